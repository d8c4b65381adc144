//! `agreement`: the life of agreements, in plain words.

use interlock_core::ids::WireId;
use serde_json::{Map, Value, json};

use super::args::{AgreementCommand, Common};
use super::client::{Client, segment};
use super::error::CliError;
use super::output::{Column, Output};
use super::{Around, json_file, place};

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
            let rows = [
                ("cooperation", "/cooperation"),
                ("negotiations", "/negotiations"),
            ];
            output.card(&answer, &rows)
        }
        AgreementCommand::List => list(&client, output),
        AgreementCommand::Show { id, odrl, zh } => show(&client, id, *odrl, *zh, output),
        AgreementCommand::Approve { id } => decide(&client, id, "approve", None, output),
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
        AgreementCommand::Suspend { id, reason } => change(
            &client,
            id,
            "suspend",
            Some(&json!({ "reason": reason })),
            output,
        ),
        AgreementCommand::Resume { id } => change(&client, id, "resume", None, output),
        AgreementCommand::Terminate { id, at, reason } => {
            let body = json!({ "at": at.0.to_rfc3339(at.1), "reason": reason });
            change(&client, id, "terminate", Some(&body), output)
        }
    }
}

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
    ];
    output.card(&answer, &rows)
}

const HEAD: [Column; 8] = [
    ("agreement", "/id"),
    ("partner", "/partner"),
    ("we are", "/role"),
    ("dataset", "/dataset"),
    ("state", "/state"),
    ("from", "/from"),
    ("ends", "/endsAt"),
    ("assurance", "/assurance"),
];

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
    let whole = json!({
        "agreements": agreements.pointer("/agreements"),
        "negotiations": open,
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
    ];
    output.table(&whole, "/agreements", &columns, "no agreements")?;
    if open.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let columns = [
        ("negotiation", "/id"),
        ("partner", "/partner"),
        ("we are", "/role"),
        ("dataset", "/dataset"),
        ("state", "/state"),
        ("waits for us", "/waitsForPeople"),
    ];
    output.table(&whole, "/negotiations", &columns, "")
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
    output.card(&found, &HEAD)?;
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
        output.line(&format!(
            "  changed: {} ({}): {old} -> {new}",
            text("/key"),
            text("/effect")
        ))?;
    }
    Ok(())
}

/// An agreement, else what waits for our decision.
fn find(client: &Client, id: &WireId) -> Result<Value, CliError> {
    let proposals = client.get("/proposals")?;
    let all = proposals.pointer("/proposals").and_then(Value::as_array);
    let waiting = all
        .into_iter()
        .flatten()
        .find(|proposal| proposal.pointer("/id").and_then(Value::as_str) == Some(id.as_str()));
    match waiting {
        Some(proposal) => Ok(proposal.clone()),
        None => client.get(&format!("/agreements/{}", segment(id.as_str()))),
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
