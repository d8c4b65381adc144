//! `mediation`: a regulator proposes a cooperation to two others.

use std::path::PathBuf;

use clap::Subcommand;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::time::{Timestamp, Zone};
use serde_json::{Map, Value, json};

use super::agreement::{print_change, print_history, print_terms};
use super::args::{Common, policy_of_offer};
use super::client::Client;
use super::error::CliError;
use super::output::{Column, Output};
use super::{Around, json_file, place};
use crate::identity::url::segment;

/// `mediation`
#[derive(Debug, Subcommand)]
pub(super) enum MediationCommand {
    /// As a regulator, propose a cooperation to two partners
    Propose {
        /// Agreements, note and time to answer: the JSON of `POST /mediations`
        file: PathBuf,
    },
    /// List mediations
    List,
    /// How cooperations stand: ours, and those that parties show to a regulator
    Status,
    /// Show a mediation: its terms in plain words, and what the parties say
    Show {
        /// The mediation
        #[arg(value_parser = WireId::parse)]
        id: WireId,
        /// In Chinese
        #[arg(long)]
        zh: bool,
    },
    /// Accept the terms that lie there; once both parties have, the nodes do the rest
    Accept {
        /// The mediation
        #[arg(value_parser = WireId::parse)]
        id: WireId,
        /// Only if these are still the terms, by the version that `show` printed
        #[arg(long)]
        version: Option<u32>,
    },
    /// Say which other terms we would accept
    Counter {
        /// The mediation
        #[arg(value_parser = WireId::parse)]
        id: WireId,
        /// Another end, for all agreements
        #[arg(long, value_name = "INSTANT", value_parser = Timestamp::parse_zoned)]
        until: Option<(Timestamp, Zone)>,
        /// The policy in a file for an agreement of the mediation; may be repeated
        #[arg(long = "policy", value_name = "AGREEMENT=FILE", value_parser = policy_of_offer)]
        policies: Vec<(WireId, PathBuf)>,
        /// Why, for the mediator and the other party
        #[arg(long)]
        reason: String,
    },
    /// Accept none of this
    Refuse {
        /// The mediation
        #[arg(value_parser = WireId::parse)]
        id: WireId,
        /// Why, for the mediator and the other party
        #[arg(long)]
        reason: String,
    },
    /// As its mediator, propose other terms to both
    Revise {
        /// The mediation
        #[arg(value_parser = WireId::parse)]
        id: WireId,
        /// Agreements, note and time to answer: the JSON of `POST /mediations`
        file: PathBuf,
    },
    /// As its mediator, propose to both what one of them would accept
    Adopt {
        /// The mediation
        #[arg(value_parser = WireId::parse)]
        id: WireId,
        /// Whose counter-proposal
        #[arg(value_parser = ParticipantId::parse)]
        party: ParticipantId,
    },
    /// As its mediator, give it up
    Withdraw {
        /// The mediation
        #[arg(value_parser = WireId::parse)]
        id: WireId,
        /// Why, for the parties
        #[arg(long)]
        reason: String,
    },
}

// tidy: long, one arm a command
/// Runs a command.
pub(super) fn run(
    command: &MediationCommand,
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let client = place::client(common, around)?;
    let file = |path: &PathBuf| json_file(&around.directory.join(path));
    let (id, act, body) = match command {
        MediationCommand::Propose { file: path } => {
            let answer = client.post("/mediations", Some(&file(path)?))?;
            return output.card(&answer, &HEAD);
        }
        MediationCommand::List => {
            let columns = [
                ("mediation", "/id"),
                ("mediator", "/mediator"),
                ("parties", "/parties"),
                ("state", "/state"),
                ("until", "/until"),
                ("answer by", "/answerBy"),
                ("waits for us", "/waitsForPeople"),
                ("in force", "/inForce"),
            ];
            let all = client.get("/mediations")?;
            return output.table(&all, "/mediations", &columns, "no mediations");
        }
        MediationCommand::Status => {
            let columns = [
                ("parties", "/parties"),
                ("state", "/state"),
                ("ends", "/end"),
                ("suspends", "/suspendsAt"),
                ("last heard", "/feedAge"),
                ("by", "/reportedBy"),
                ("manifest", "/manifest"),
            ];
            let all = client.get("/cooperations")?;
            return output.table(&all, "/cooperations", &columns, "no cooperations");
        }
        MediationCommand::Show { id, zh } => return show(&client, id, *zh, output),
        MediationCommand::Accept { id, version } => {
            let act = match version {
                Some(version) => format!("accept?version={version}"),
                None => "accept".into(),
            };
            (id, act, None)
        }
        MediationCommand::Counter {
            id,
            until,
            policies,
            reason,
        } => {
            let mut body = Map::new();
            body.insert("reason".into(), reason.as_str().into());
            if let Some((at, zone)) = until {
                body.insert("until".into(), at.to_rfc3339(*zone).into());
            }
            let read = policies
                .iter()
                .map(|(agreement, path)| Ok((agreement.to_string(), file(path)?)));
            let read: Map<String, Value> = read.collect::<Result<_, CliError>>()?;
            body.insert("policies".into(), read.into());
            (id, "counter".into(), Some(Value::Object(body)))
        }
        MediationCommand::Refuse { id, reason } => {
            (id, "refuse".into(), Some(json!({ "reason": reason })))
        }
        MediationCommand::Revise { id, file: path } => (id, "revise".into(), Some(file(path)?)),
        MediationCommand::Adopt { id, party } => {
            (id, "adopt".into(), Some(json!({ "party": party })))
        }
        MediationCommand::Withdraw { id, reason } => {
            (id, "withdraw".into(), Some(json!({ "reason": reason })))
        }
    };
    let path = format!("/mediations/{}/{act}", segment(id.as_str()));
    output.card(&client.post(&path, body.as_ref())?, &HEAD)
}

const HEAD: [Column<'static>; 12] = [
    ("mediation", "/id"),
    ("mediator", "/mediator"),
    ("parties", "/parties"),
    ("we are", "/role"),
    ("state", "/state"),
    ("version", "/version"),
    ("from", "/from"),
    ("until", "/until"),
    ("answer by", "/answerBy"),
    ("approved by", "/approvedBy"),
    ("waits for us", "/waitsForPeople"),
    ("in force", "/inForce"),
];

fn show(client: &Client, id: &WireId, zh: bool, output: &mut Output<'_>) -> Result<(), CliError> {
    let found = client.get(&format!("/mediations/{}", segment(id.as_str())))?;
    if output.json {
        return output.json(&found);
    }
    output.card(&found, &HEAD)?;
    let text = |of: &Value, pointer: &str| {
        let text = of.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or("-").to_owned()
    };
    output.line("")?;
    output.line(&text(&found, "/note"))?;
    let list = |pointer: &str| found.pointer(pointer).and_then(Value::as_array);
    for agreement in list("/agreements").into_iter().flatten() {
        let (provider, consumer) = (text(agreement, "/provider"), text(agreement, "/consumer"));
        let (dataset, id) = (text(agreement, "/dataset"), text(agreement, "/id"));
        output.line("")?;
        output.heading(&format!("{dataset}: {provider} -> {consumer}  ({id})"))?;
        print_terms(agreement, zh, output)?;
    }
    output.line("")?;
    for answer in list("/answers").into_iter().flatten() {
        let reason = answer.pointer("/reason").and_then(Value::as_str);
        let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
        let (who, what) = (text(answer, "/participant"), text(answer, "/answer"));
        output.line(&format!("{who}  {what}{reason}"))?;
        let changes = answer.pointer("/changes").and_then(Value::as_object);
        for (id, changes) in changes.into_iter().flatten() {
            for change in changes.as_array().into_iter().flatten() {
                output.line(&format!("  {id}"))?;
                print_change(change, if zh { "zh" } else { "en" }, output)?;
            }
        }
    }
    print_history(&found, output)
}
