//! Looking at a running node: parcels, stations, status, dry runs; and making API keys.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use interlock_core::waybill::Waybill;
use serde_json::{Value, json};

use super::Around;
use super::args::{Common, ExplainArguments, ParcelCommand, StationCommand};
use super::error::CliError;
use super::output::{Output, cell_text};
use super::place::{self, KEY_VARIABLE};
use crate::driver::entropy::SystemRng;
use crate::driver::node::KEYS_DIR;
use crate::identity::url::segment;
use crate::master_key::{self, MasterKeyError, MasterKeySource};
use crate::run;

/// `parcel`
pub(super) fn parcel(
    command: &ParcelCommand,
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let ParcelCommand::Show { waybill } = command;
    let waybill = parse_waybill(waybill)?;
    let path = format!("/parcels/{}/{}", waybill.carrier(), waybill.number());
    let answer = place::client(common, around)?.get(&path)?;
    if output.json {
        return output.json(&answer);
    }
    output.card(
        &answer,
        &[
            ("carrier", "/carrier"),
            ("number", "/number"),
            ("marketplace", "/marketplace"),
            ("ownership", "/ownership/state"),
            ("owner", "/ownership/owner"),
            ("state", "/state"),
            ("since", "/stateAt"),
            ("age in s", "/ageSeconds"),
            ("page", "/tracking"),
        ],
    )?;
    let stale = answer.pointer("/stale").and_then(Value::as_array);
    for reason in stale.into_iter().flatten() {
        let cell = |pointer: &str| reason.pointer(pointer).map_or("-".into(), cell_text);
        let (source, since, why) = (cell("/source"), cell("/since"), cell("/reason"));
        output.line(&format!(
            "may be stale: nothing from {source} since {since} ({why})"
        ))?;
    }
    output.line("")?;
    let columns = [
        ("at", "/at"),
        ("step", "/step"),
        ("place", "/place"),
        ("from", "/from"),
        ("no", "/number"),
    ];
    output.table(&answer, "/events", &columns, "nothing happened yet")
}

fn parse_waybill(text: &str) -> Result<Waybill, CliError> {
    crate::local_api::parse_waybill(text).map_err(CliError::Usage)
}

/// `station`
pub(super) fn station(
    command: &StationCommand,
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let client = place::client(common, around)?;
    match command {
        StationCommand::List => {
            let answer = client.get("/stations")?;
            let columns = [
                ("station", "/id"),
                ("name", "/name"),
                ("state", "/state"),
                ("small", "/sizes/small/free"),
                ("medium", "/sizes/medium/free"),
                ("large", "/sizes/large/free"),
            ];
            output.table(&answer, "/stations", &columns, "no stations of ours")?;
            let partners = answer.pointer("/partners").and_then(Value::as_array);
            if output.json || partners.is_none_or(Vec::is_empty) {
                return Ok(());
            }
            output.line("")?;
            let columns = [
                ("station", "/id"),
                ("operator", "/operator"),
                ("name", "/name"),
                ("state", "/state"),
                ("free space", "/availability"),
            ];
            output.table(&answer, "/partners", &columns, "")
        }
        StationCommand::Show { id } => {
            let answer = client.get(&format!("/stations/{}", segment(id.as_str())))?;
            let rows = [
                ("station", "/id"),
                ("name", "/name"),
                ("state", "/state"),
                ("small installed", "/sizes/small/installed"),
                ("small free", "/sizes/small/free"),
                ("medium installed", "/sizes/medium/installed"),
                ("medium free", "/sizes/medium/free"),
                ("large installed", "/sizes/large/installed"),
                ("large free", "/sizes/large/free"),
            ];
            output.card(&answer, &rows)
        }
    }
}

/// `status`
pub(super) fn status(
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let answer = place::client(common, around)?.get("/status")?;
    output.card(
        &answer,
        &[
            ("node", "/name"),
            ("id", "/id"),
            ("now", "/now"),
            ("parcels", "/parcels"),
            ("deposits", "/deposits"),
            ("deposits under way", "/depositsUnderWay"),
            ("deposits refused", "/depositsRefused"),
            ("picked up", "/pickedUp"),
            ("messages sent", "/messagesSent"),
            ("messages waiting", "/messagesWaiting"),
            ("events accepted", "/eventsAccepted"),
            ("events received", "/eventsReceived"),
            ("releases", "/releases"),
            ("denials", "/denials"),
            ("alerts", "/alerts"),
        ],
    )?;
    let some = |pointer: &str| {
        let list = answer.pointer(pointer).and_then(Value::as_array);
        !output.json && list.is_some_and(|list| !list.is_empty())
    };
    let (waiting, feeds) = (some("/waitingForPartners"), some("/feeds"));
    if waiting {
        output.line("")?;
        let columns = [
            ("waits for", "/partner"),
            ("what", "/what"),
            ("id", "/id"),
            ("state", "/state"),
            ("tries", "/tries"),
            ("next try", "/nextTryAt"),
            ("last error", "/lastError"),
        ];
        output.table(&answer, "/waitingForPartners", &columns, "")?;
    }
    if !feeds {
        return Ok(());
    }
    output.line("")?;
    let columns = [
        ("feed to", "/to"),
        ("dataset", "/dataset"),
        ("live ready", "/live/ready"),
        ("released", "/live/released"),
        ("backlog ready", "/backlog/ready"),
        ("released", "/backlog/released"),
        ("held", "/held"),
        ("oldest held", "/oldestHeld"),
    ];
    output.table(&answer, "/feeds", &columns, "")
}

/// `statistics`
pub(super) fn statistics(
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let answer = place::client(common, around)?.get("/statistics")?;
    let columns = [
        ("week from", "/from"),
        ("deposited", "/facts/deposited"),
        ("refused", "/facts/depositRefused"),
        ("picked up", "/facts/pickedUp"),
        ("messages", "/facts/messageSent"),
        ("contacts", "/facts/contactReleased"),
        ("events out", "/facts/eventReleased"),
        ("events in", "/facts/eventReceived"),
    ];
    output.table(&answer, "/items", &columns, "no week is over yet")?;
    if output.json {
        return Ok(());
    }
    output.line("")?;
    let columns = [
        ("denied in week from", "/from"),
        ("term", "/facts/deniedByTerm"),
        ("quota", "/facts/deniedByQuota"),
        ("purpose, form, evidence", "/facts/deniedByReason"),
        ("unknown", "/facts/deniedUnknown"),
        ("consent", "/facts/deniedByConsent"),
        ("other", "/facts/deniedOther"),
    ];
    output.table(&answer, "/items", &columns, "")?;
    output.line("rounded down to tens; -: fewer than ten")
}

/// `explain`: a denial is exit code 3.
pub(super) fn explain(
    arguments: &ExplainArguments,
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let mut body = json!({
        "partner": arguments.partner,
        "dataset": arguments.dataset,
        "purpose": arguments.purpose,
    });
    if let Value::Object(members) = &mut body {
        if let Some(waybill) = &arguments.waybill {
            members.insert("waybill".into(), parse_waybill(waybill)?.to_text().into());
        }
        if let Some(form) = arguments.form {
            members.insert("form".into(), form.as_str().into());
        }
        if let Some((at, zone)) = arguments.at {
            members.insert("at".into(), at.to_rfc3339(zone).into());
        }
    }
    let answer = place::client(common, around)?.post("/explain", Some(&body))?;
    output.card(
        &answer,
        &[
            ("decision", "/decision"),
            ("reason", "/reason"),
            ("agreement", "/agreement"),
            ("fields", "/fields"),
            ("form", "/form"),
            ("under", "/under"),
        ],
    )?;
    let text = |pointer| answer.pointer(pointer).and_then(Value::as_str);
    match (text("/decision"), text("/sentence/en")) {
        (Some("release"), _) => Ok(()),
        (_, sentence) => Err(CliError::Denied(format!(
            "it would be denied: {}",
            sentence.unwrap_or("the node gave no reason; look at `--json`")
        ))),
    }
}

/// `key`
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make an API key; it is shown once
    Add {
        /// Who will hold it
        #[arg(long)]
        name: String,
        /// What it may do: admin, order-system, handheld, cabinet, telephone, approver, auditor
        #[arg(long)]
        role: String,
    },
    /// Who holds API keys
    List,
    /// Agree to a key that somebody else asked for and that waits for a second person
    Approve {
        /// Its id, as `key list` shows it
        id: String,
    },
    /// Withdraw an API key at once
    Withdraw {
        /// Its id, as `key list` shows it
        id: String,
    },
    /// Put another master key in the place of the one that opens content keys; the node must not run
    RotateMaster {
        /// Where the master key comes from a variable or a program: the file with the one before it,
        /// which is overwritten and removed
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
    /// Sign with a new key from here on; the old one signs for it, and partners are told
    Rotate,
    /// Show the key that the node signs with, and those before it
    Signing,
}

/// `key`
pub(super) fn key(
    command: &KeyCommand,
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let (name, role) = match command {
        KeyCommand::Add { name, role } => (name, role),
        KeyCommand::RotateMaster { from } => {
            return rotate_master(from.as_deref(), common, around, output);
        }
        KeyCommand::List => return keys(common, around, output),
        KeyCommand::Approve { id } => return approve(id, common, around, output),
        KeyCommand::Withdraw { id } => return withdraw(id, common, around, output),
        KeyCommand::Rotate => {
            let client = place::client(common, around)?;
            return signing(&client.post("/keys/signing/rotate", None)?, output);
        }
        KeyCommand::Signing => {
            return signing(
                &place::client(common, around)?.get("/keys/signing")?,
                output,
            );
        }
    };
    let body = json!({ "name": name, "role": role });
    let answer = place::client(common, around)?.post("/keys", Some(&body))?;
    if output.json {
        return output.json(&answer);
    }
    let key = answer.pointer("/key").and_then(Value::as_str);
    let key = key.ok_or_else(|| CliError::Failed("the node showed no key; try again".into()))?;
    output.line(&format!("export {KEY_VARIABLE}={key}"))?;
    match answer.pointer("/waits").and_then(Value::as_bool) {
        Some(true) => {
            let id = answer.pointer("/id").and_then(Value::as_str);
            output.line(&format!(
                "# it counts once another person has approved it: `interlock key approve {}`",
                id.unwrap_or("ID")
            ))
        }
        Some(false) | None => Ok(()),
    }
}

/// `key list`
fn keys(common: &Common, around: &Around<'_>, output: &mut Output<'_>) -> Result<(), CliError> {
    let answer = place::client(common, around)?.get("/keys")?;
    let columns = [
        ("id", "/id"),
        ("name", "/name"),
        ("role", "/role"),
        ("since", "/addedAt"),
    ];
    output.table(&answer, "/keys", &columns, "no keys")?;
    let waiting = answer.pointer("/waiting").and_then(Value::as_array);
    if output.json || waiting.is_none_or(Vec::is_empty) {
        return Ok(());
    }
    output.line("")?;
    let columns = [
        ("waits", "/id"),
        ("name", "/name"),
        ("role", "/role"),
        ("asked by", "/askedBy"),
        ("at", "/askedAt"),
    ];
    output.table(&answer, "/waiting", &columns, "")
}

/// `key approve`
fn approve(
    id: &str,
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let path = format!("/keys/{}/approve", segment(id));
    let answer = place::client(common, around)?.post(&path, None)?;
    let rows = [
        ("key", "/id"),
        ("name", "/name"),
        ("role", "/role"),
        ("let in alike by", "/letInAlike"),
    ];
    output.card(&answer, &rows)
}

/// `key withdraw`
fn withdraw(
    id: &str,
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let answer = place::client(common, around)?.delete(&format!("/keys/{}", segment(id)))?;
    if output.json {
        return output.json(&answer);
    }
    output.line(&format!("key {id} counts no more"))
}

/// `key rotate-master`
fn rotate_master(
    from: Option<&Path>,
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let config = place::config(common, around)?;
    let keys = config.store.dir.join(KEYS_DIR);
    let beside = &config.participant.key_file;
    let failed = |error: MasterKeyError| CliError::Failed(error.to_string());
    let source = &config.participant.master_key;
    let file = beside.with_file_name("master.key").display().to_string();
    let (now, rotated) = match (source, from) {
        (MasterKeySource::File, None) => {
            let rotated = master_key::rotate(beside, &keys, &mut SystemRng).map_err(failed)?;
            (file, rotated)
        }
        (MasterKeySource::File, Some(_)) => return Err(failed(MasterKeyError::Inside)),
        (MasterKeySource::Env(_) | MasterKeySource::Command { .. }, None) => {
            return Err(failed(MasterKeyError::Outside));
        }
        (
            MasterKeySource::Env(name) | MasterKeySource::Command { program: name, .. },
            Some(before),
        ) => {
            let new = run::master_key(&config).map_err(|e| CliError::Failed(e.to_string()))?;
            let before = around.directory.join(before);
            let rotated = master_key::rotate_to(&new, &before, &keys).map_err(failed)?;
            (name.clone(), rotated)
        }
    };
    let value = json!({ "file": now, "rewrapped": rotated });
    output.card(
        &value,
        &[
            ("master key", "/file"),
            ("key files wrapped anew", "/rewrapped"),
        ],
    )
}

/// The keys that a node signs with, for people.
fn signing(answer: &Value, output: &mut Output<'_>) -> Result<(), CliError> {
    output.card(answer, &[("signs with", "/key")])?;
    if output.json {
        return Ok(());
    }
    let columns = [("earlier key", "/key"), ("until", "/until")];
    output.table(answer, "/earlier", &columns, "it was never rotated")?;
    let waiting = answer.pointer("/notReceipted").and_then(Value::as_array);
    let waiting = waiting.map(Vec::as_slice).unwrap_or_default();
    let names: Vec<&str> = waiting.iter().filter_map(Value::as_str).collect();
    if names.is_empty() {
        return Ok(());
    }
    output.line(&format!("not receipted yet by {}", names.join(", ")))
}
