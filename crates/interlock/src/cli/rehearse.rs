//! `rehearse`: what the ends of agreements would touch.
//!
//! INVARIANT: it asks and prints; nothing changes. It does not know how the node predicts.

use clap::Args;
use interlock_core::time::{Timestamp, Zone};
use serde_json::{Value, json};

use super::Around;
use super::args::Common;
use super::error::CliError;
use super::output::{Output, cell_text};
use super::place;
use crate::identity::url::segment;

/// What may come of an end: the node's name, and ours.
const OUTCOMES: [(&str, &str); 3] = [
    ("nothing-signed", "nothing signed"),
    ("run-off-only", "run-off only"),
    ("temporary-agreement", "temporary agreement"),
];

/// Flags of `rehearse`.
#[derive(Debug, Args)]
pub(super) struct RehearseArguments {
    /// The instant, such as 2017-07-01T00:00:00+08:00: agreements that are over by then
    #[arg(long, value_name = "INSTANT", value_parser = Timestamp::parse_zoned)]
    at: (Timestamp, Zone),
    /// List parcels after this cursor
    #[arg(long, default_value_t = 0, value_name = "CURSOR")]
    after: u64,
    /// Parcels listed at most
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
}

/// `rehearse`
pub(super) fn run(
    arguments: &RehearseArguments,
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let (at, zone) = arguments.at;
    let path = format!(
        "/rehearsals?at={}&after={}&limit={}",
        segment(&at.to_rfc3339(zone)),
        arguments.after,
        arguments.limit
    );
    let answer = place::client(common, around)?.get(&path)?;
    if output.json {
        return output.json(&answer);
    }
    let list = |pointer: &str| answer.pointer(pointer).and_then(Value::as_array);
    let cooperations = list("/cooperations").map_or(&[][..], Vec::as_slice);
    if cooperations.is_empty() {
        return output.line("no agreement is over by then without a successor");
    }
    for cooperation in cooperations {
        print_cooperation(cooperation, output)?;
    }
    let parcels: Vec<Value> = list("/parcels").into_iter().flatten().map(row).collect();
    let columns = [
        ("parcel", "/parcel"),
        ("merchant", "/merchant"),
        ("partner", "/partner"),
        ("nothing signed", "/nothing-signed"),
        ("run-off only", "/run-off-only"),
    ];
    output.table(
        &json!({ "parcels": parcels }),
        "/parcels",
        &columns,
        "no parcel is touched",
    )?;
    if parcels.len() >= arguments.limit as usize {
        let next = answer.pointer("/next").map_or_else(String::new, cell_text);
        output.line(&format!("there may be more: add `--after {next}`"))?;
    }
    Ok(())
}

fn print_cooperation(cooperation: &Value, output: &mut Output<'_>) -> Result<(), CliError> {
    let text = |pointer: &str| cooperation.pointer(pointer).map_or("-".into(), cell_text);
    output.heading(&format!("{} ({})", text("/name"), text("/partner")))?;
    let columns = [
        ("agreement", "/id"),
        ("dataset", "/dataset"),
        ("provider", "/provider"),
        ("ends", "/endsAt"),
        ("run-off until", "/runOffUntil"),
        ("backlog", "/backlog"),
    ];
    output.table(cooperation, "/agreements", &columns, "")?;
    output.line("")?;
    let outcomes: Vec<Value> = OUTCOMES
        .into_iter()
        .map(|(key, name)| {
            let counts = cooperation.pointer(&format!("/outcomes/{key}"));
            let mut counts = counts.cloned().unwrap_or_else(|| json!({}));
            if let Value::Object(members) = &mut counts {
                members.insert("outcome".into(), name.into());
            }
            counts
        })
        .collect();
    let columns = [
        ("if", "/outcome"),
        ("parcels", "/parcels"),
        ("recipients", "/recipients"),
        ("merchants", "/merchants"),
        ("not told", "/recipientsNotTold"),
        ("events held", "/eventsHeld"),
        ("dropped", "/eventsDropped"),
        ("pages stale", "/trackingStale"),
    ];
    output.table(&json!({ "outcomes": outcomes }), "/outcomes", &columns, "")?;
    output.line("")
}

/// A parcel as a row: what would be seen of it, in few words.
fn row(parcel: &Value) -> Value {
    let text = |pointer: &str| parcel.pointer(pointer).and_then(Value::as_str);
    let (carrier, number) = (text("/carrier"), text("/number"));
    json!({
        "parcel": format!("{}/{}", carrier.unwrap_or("-"), number.unwrap_or("-")),
        "merchant": text("/merchant"),
        "partner": text("/partner"),
        "nothing-signed": seen(parcel, "nothing-signed"),
        "run-off-only": seen(parcel, "run-off-only"),
    })
}

fn seen(parcel: &Value, outcome: &str) -> String {
    let text = |member: &str| {
        let pointer = format!("/outcomes/{outcome}/{member}");
        parcel.pointer(&pointer).and_then(Value::as_str)
    };
    let message = match text("message") {
        Some("nobody") => Some("no message: to the door"),
        Some("operator") => Some("operator tells"),
        Some("owner") => Some("owner tells"),
        Some("carrier") => Some("carrier tells"),
        Some(_) | None => None,
    };
    let events = match text("events") {
        Some("held") => Some("events held"),
        Some("dropped") => Some("events dropped"),
        Some("flow") => Some("events flow"),
        Some(_) | None => None,
    };
    let tracking = match text("tracking") {
        Some("last-known") => Some("last known state"),
        Some("current") => Some("tracked"),
        Some(_) | None => None,
    };
    let parts: Vec<&str> = [message, events, tracking].into_iter().flatten().collect();
    match parts.is_empty() {
        true => "as before".into(),
        false => parts.join(", "),
    }
}
