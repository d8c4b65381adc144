//! `agreement`: the life of agreements, in plain words.

use std::path::PathBuf;

use clap::Subcommand;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::time::{Timestamp, Zone};
use serde_json::{Map, Value, json};

use super::args::{Common, policy_of_offer};
use super::client::Client;
use super::error::CliError;
use super::output::{Column, Output};
use super::{Around, json_file, place};
use crate::identity::url::segment;

/// `agreement`
#[derive(Debug, Subcommand)]
pub(super) enum AgreementCommand {
    /// Ask a partner for agreements on its offers, as one cooperation
    Propose {
        /// The partner's DID
        #[arg(value_parser = ParticipantId::parse)]
        partner: ParticipantId,
        /// Its offers
        #[arg(required = true, value_parser = WireId::parse)]
        offers: Vec<WireId>,
        /// Ask for the policy in a file instead of the offered one; may be repeated
        #[arg(long = "policy", value_name = "OFFER=FILE", value_parser = policy_of_offer)]
        policies: Vec<(WireId, PathBuf)>,
    },
    /// List agreements, and negotiations under way
    List,
    /// Show an agreement or a proposal in plain words
    Show {
        /// The agreement or negotiation
        #[arg(value_parser = WireId::parse)]
        id: WireId,
        /// Show the policy instead
        #[arg(long)]
        odrl: bool,
        /// In Chinese
        #[arg(long)]
        zh: bool,
    },
    /// Agree to a proposal; where two people must approve, one of the two approvals
    Approve {
        /// The negotiation
        #[arg(value_parser = WireId::parse)]
        id: WireId,
        /// Only if these are still the terms, by the version that `show` printed
        #[arg(long)]
        version: Option<u32>,
    },
    /// Offer other terms instead
    Counter {
        /// The negotiation
        #[arg(value_parser = WireId::parse)]
        id: WireId,
        /// ODRL policy in a file
        #[arg(long, value_name = "FILE")]
        policy: PathBuf,
    },
    /// End a negotiation
    Reject {
        /// The negotiation
        #[arg(value_parser = WireId::parse)]
        id: WireId,
        /// Why, for the other side
        #[arg(long)]
        reason: String,
    },
    /// Propose a successor that takes over at the end, without a gap
    Renew {
        /// The agreement
        #[arg(value_parser = WireId::parse)]
        id: WireId,
        /// When the new term ends; after as long a term again if not given
        #[arg(long, value_name = "INSTANT", value_parser = Timestamp::parse_zoned)]
        until: Option<(Timestamp, Zone)>,
        /// Other terms: ODRL policy in a file
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
    /// Release nothing until it is resumed
    Suspend {
        /// The agreement
        #[arg(value_parser = WireId::parse)]
        id: WireId,
        /// Why, for the other side
        #[arg(long)]
        reason: String,
    },
    /// Give notice to stop what we provide, in return for what the other side stopped
    Reciprocate {
        /// The agreement to be suspended
        #[arg(value_parser = WireId::parse)]
        id: WireId,
        /// The agreement that the other side has suspended or ended early
        #[arg(long, value_name = "AGREEMENT", value_parser = WireId::parse)]
        trigger: WireId,
        /// From when; 73 hours from now if not given: 72 hours are the least, from when the other side has it
        #[arg(long, value_name = "INSTANT", value_parser = Timestamp::parse_zoned)]
        at: Option<(Timestamp, Zone)>,
        /// Why, for the other side
        #[arg(long)]
        reason: String,
    },
    /// Go on after a suspension
    Resume {
        /// The agreement
        #[arg(value_parser = WireId::parse)]
        id: WireId,
    },
    /// End an agreement before its term
    Terminate {
        /// The agreement
        #[arg(value_parser = WireId::parse)]
        id: WireId,
        /// When it ends
        #[arg(long, value_name = "INSTANT", value_parser = Timestamp::parse_zoned)]
        at: (Timestamp, Zone),
        /// Why, for the other side
        #[arg(long)]
        reason: String,
    },
}

// tidy: long, one arm a command
/// Runs a command.
pub(super) fn run(
    command: &AgreementCommand,
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let client = place::client(common, around)?;
    match command {
        AgreementCommand::Propose {
            partner,
            offers,
            policies,
        } => {
            let mut chosen = Map::new();
            for (offer, path) in policies {
                chosen.insert(
                    offer.as_str().into(),
                    json_file(&around.directory.join(path))?,
                );
            }
            let body = json!({ "partner": partner, "offers": offers, "policies": chosen });
            let answer = client.post("/negotiations", Some(&body))?;
            output.card(&answer, &PROPOSED)
        }
        AgreementCommand::List => list(&client, output),
        AgreementCommand::Show { id, odrl, zh } => show(&client, id, *odrl, *zh, output),
        AgreementCommand::Approve { id, version } => {
            let decision = match version {
                Some(version) => format!("approve?version={version}"),
                None => "approve".into(),
            };
            decide(&client, id, &decision, None, output)
        }
        AgreementCommand::Counter { id, policy } => {
            let body = json!({ "policy": json_file(&around.directory.join(policy))? });
            decide(&client, id, "counter", Some(&body), output)
        }
        AgreementCommand::Reject { id, reason } => decide(
            &client,
            id,
            "reject",
            Some(&json!({ "reason": reason })),
            output,
        ),
        AgreementCommand::Renew { id, until, policy } => {
            let mut body = Map::new();
            if let Some((at, zone)) = until {
                body.insert("until".into(), at.to_rfc3339(*zone).into());
            }
            if let Some(path) = policy {
                body.insert("policy".into(), json_file(&around.directory.join(path))?);
            }
            let path = format!("/agreements/{}/renew", segment(id.as_str()));
            let answer = client.post(&path, Some(&Value::Object(body)))?;
            output.card(&answer, &PROPOSED)
        }
        AgreementCommand::Suspend { id, reason } => change(
            &client,
            id,
            "suspend",
            Some(&json!({ "reason": reason })),
            output,
        ),
        AgreementCommand::Reciprocate {
            id,
            trigger,
            at,
            reason,
        } => {
            let mut body = json!({ "trigger": trigger, "reason": reason });
            if let (Some((at, zone)), Some(body)) = (at, body.as_object_mut()) {
                body.insert("at".into(), at.to_rfc3339(*zone).into());
            }
            change(&client, id, "reciprocate", Some(&body), output)
        }
        AgreementCommand::Resume { id } => change(&client, id, "resume", None, output),
        AgreementCommand::Terminate { id, at, reason } => {
            let body = json!({ "at": at.0.to_rfc3339(at.1), "reason": reason });
            change(&client, id, "terminate", Some(&body), output)
        }
    }
}

const PROPOSED: [Column; 2] = [
    ("cooperation", "/cooperation"),
    ("negotiations", "/negotiations"),
];

fn decide(
    client: &Client,
    id: &WireId,
    decision: &str,
    body: Option<&Value>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let path = format!("/proposals/{}/{decision}", segment(id.as_str()));
    let answer = client.post(&path, body)?;
    let rows = [
        ("negotiation", "/id"),
        ("partner", "/partner"),
        ("dataset", "/dataset"),
        ("state", "/state"),
        ("agreement", "/agreement"),
        ("approved by", "/approvedBy"),
        ("waits for us", "/waitsForPeople"),
    ];
    output.card(&answer, &rows)
}

const HEAD: [Column<'static>; 12] = [
    ("agreement", "/id"),
    ("partner", "/partner"),
    ("we are", "/role"),
    ("dataset", "/dataset"),
    ("state", "/state"),
    ("from", "/from"),
    ("ends", "/endsAt"),
    ("assurance", "/assurance"),
    ("asks again at", "/asksAgainAt"),
    TRIES,
    LAST_ERROR,
    NEXT_TRY,
];

/// How often a message was tried that the partner has not taken.
pub(super) const TRIES: Column<'static> = ("tries", "/waitingForPartner/tries");
/// What came of the last try.
pub(super) const LAST_ERROR: Column<'static> = ("last error", "/waitingForPartner/lastError");
/// When it is tried again.
pub(super) const NEXT_TRY: Column<'static> = ("next try", "/waitingForPartner/nextTryAt");

fn change(
    client: &Client,
    id: &WireId,
    change: &str,
    body: Option<&Value>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let path = format!("/agreements/{}/{change}", segment(id.as_str()));
    output.card(&client.post(&path, body)?, &HEAD)
}

fn list(client: &Client, output: &mut Output<'_>) -> Result<(), CliError> {
    let agreements = client.get("/agreements")?;
    let negotiations = client.get("/negotiations")?;
    let open = |item: &&Value| {
        let state = item.pointer("/state").and_then(Value::as_str);
        !matches!(state, Some("FINALIZED" | "TERMINATED"))
    };
    let all = negotiations
        .pointer("/negotiations")
        .and_then(Value::as_array);
    let open: Vec<&Value> = all.into_iter().flatten().filter(open).collect();
    let transfers = client.get("/transfers")?;
    let whole = json!({
        "agreements": agreements.pointer("/agreements"),
        "negotiations": open,
        "transfers": transfers.pointer("/transfers"),
    });
    if output.json {
        return output.json(&whole);
    }
    let columns = [
        ("agreement", "/id"),
        ("partner", "/partner"),
        ("we are", "/role"),
        ("dataset", "/dataset"),
        ("state", "/state"),
        ("ends", "/endsAt"),
        ("days", "/daysLeft"),
        ("assurance", "/assurance"),
    ];
    output.table(&whole, "/agreements", &columns, "no agreements")?;
    if !open.is_empty() {
        output.line("")?;
        output.table(&whole, "/negotiations", &NEGOTIATIONS, "")?;
    }
    waiting(&whole, output)
}

const NEGOTIATIONS: [Column<'static>; 7] = [
    ("negotiation", "/id"),
    ("partner", "/partner"),
    ("we are", "/role"),
    ("dataset", "/dataset"),
    ("state", "/state"),
    ("assurance", "/assurance"),
    ("waits for us", "/waitsForPeople"),
];

/// What could not be delivered to a partner yet, of agreements, negotiations and transfers.
fn waiting(whole: &Value, output: &mut Output<'_>) -> Result<(), CliError> {
    let lists = ["/agreements", "/negotiations", "/transfers"];
    let all = lists
        .iter()
        .filter_map(|list| whole.pointer(list)?.as_array());
    let waits = |item: &&Value| item.pointer(TRIES.1).is_some();
    let waiting: Vec<&Value> = all.flatten().filter(waits).collect();
    if waiting.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let columns = [
        ("waits for partner", "/id"),
        ("state", "/state"),
        TRIES,
        NEXT_TRY,
        LAST_ERROR,
    ];
    output.table(&json!({ "waiting": waiting }), "/waiting", &columns, "")
}

fn show(
    client: &Client,
    id: &WireId,
    odrl: bool,
    zh: bool,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let found = find(client, id)?;
    if odrl {
        let policy = found.pointer("/policy");
        return output.json(policy.unwrap_or(&Value::Null));
    }
    if output.json {
        return output.json(&found);
    }
    let negotiated = found.pointer("/version").is_some();
    if negotiated {
        output.card(&found, &NEGOTIATION)?;
    } else {
        output.card(&found, &HEAD)?;
        print_transfers(&found, output)?;
    }
    let language = if zh { "zh" } else { "en" };
    if let Some(summary) = found
        .pointer(&format!("/summary/{language}"))
        .and_then(Value::as_str)
    {
        output.line("")?;
        output.line(summary)?;
    }
    output.line("")?;
    print_terms(&found, zh, output)?;
    let changes = found.pointer("/changes").and_then(Value::as_array);
    for change in changes.into_iter().flatten() {
        print_change(change, language, output)?;
    }
    print_history(&found, output)
}

/// The transfers of an agreement.
fn print_transfers(of: &Value, output: &mut Output<'_>) -> Result<(), CliError> {
    let transfers = of.pointer("/transfers").and_then(Value::as_array);
    if transfers.is_none_or(Vec::is_empty) {
        return Ok(());
    }
    output.line("")?;
    let columns = [
        ("transfer", "/id"),
        ("state", "/state"),
        TRIES,
        NEXT_TRY,
        LAST_ERROR,
    ];
    output.table(of, "/transfers", &columns, "")
}

/// One term that differs from what lay there before, with what it means and who makes it come true.
pub(super) fn print_change(
    change: &Value,
    language: &str,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let text = |pointer: &str| {
        change
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or("-")
    };
    let (old, new) = (
        text(&format!("/{language}/old")),
        text(&format!("/{language}/new")),
    );
    let effect = match text("/effect") {
        "consumer-gets-more" => "the consumer gets more",
        "consumer-gets-less" => "the consumer gets less",
        _ => "neither more nor less",
    };
    output.line(&format!(
        "  changed: {} ({effect}): {old} -> {new}  [{}]",
        text("/key"),
        class(text("/class"))
    ))
}

/// Who did and decided what, the negotiation before the agreement.
pub(super) fn print_history(of: &Value, output: &mut Output<'_>) -> Result<(), CliError> {
    let lines = |pointer: &str| of.pointer(pointer).and_then(Value::as_array);
    let all: Vec<&Value> = lines("/negotiated")
        .into_iter()
        .chain(lines("/history"))
        .flatten()
        .collect();
    if !all.is_empty() {
        output.line("")?;
    }
    for line in all {
        let text = |pointer: &str| line.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
        let version = line.pointer("/version").and_then(Value::as_u64);
        let version = version.map_or(String::new(), |number| format!("  (version {number})"));
        let (at, by, what) = (text("/at"), text("/by"), text("/what"));
        output.line(&format!("  {at}  {by}: {what}{version}"))?;
    }
    Ok(())
}

const NEGOTIATION: [Column; 14] = [
    ("negotiation", "/id"),
    ("partner", "/partner"),
    ("we are", "/role"),
    ("dataset", "/dataset"),
    ("state", "/state"),
    ("version", "/version"),
    ("waits for us", "/waitsForPeople"),
    ("drafted by", "/draftBy"),
    ("approved by", "/approvedBy"),
    ("answer by", "/answerBy"),
    ("assurance", "/assurance"),
    TRIES,
    LAST_ERROR,
    NEXT_TRY,
];

/// An agreement, else a negotiation.
fn find(client: &Client, id: &WireId) -> Result<Value, CliError> {
    match client.get(&format!("/agreements/{}", segment(id.as_str()))) {
        Err(CliError::NotFound(_)) => {
            client.get(&format!("/negotiations/{}", segment(id.as_str())))
        }
        found => found,
    }
}

/// The terms of something, a line each, with who makes it come true.
pub(super) fn print_terms(of: &Value, zh: bool, output: &mut Output<'_>) -> Result<(), CliError> {
    let language = if zh { "/zh" } else { "/en" };
    let terms = of.pointer("/terms").and_then(Value::as_array);
    for term in terms.into_iter().flatten() {
        let text = |pointer: &str| term.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
        output.line(&format!(
            "  {}  [{}]",
            text(language),
            class(text("/class"))
        ))?;
    }
    Ok(())
}

/// Who makes a term come true, for people.
fn class(name: &str) -> &str {
    match name {
        "provider" => "enforced by the provider",
        "consumer-node" => "enforced by the consumer's node",
        other => other,
    }
}
