//! Couriers, recipients and mediators of a midnight: what they ask for until it is answered.
//!
//! INVARIANT: a request is repeated, with the same key and body, until the node answers. A refusal that
//! the terms are the reason for is tried again later, as people do; every other one is a failure.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::super::client::Client;
use super::super::kill::Gateway;
use super::super::machine::now;
use super::super::pair::{OPERATOR, OWNER};

const AGAIN_AFTER: Duration = Duration::from_millis(10);
const WAIT_MAX: Duration = Duration::from_secs(60);
/// What a parcel is refused for while nobody can tell its recipient.
const NOBODY: &str = "nobody-can-tell";

/// The local APIs that people use.
pub(super) struct Doors {
    pub(super) owner: Client,
    pub(super) operator: Client,
    pub(super) regulator: Client,
}

/// A parcel in a locker.
pub(super) struct Inside {
    pub(super) deposit: String,
    pub(super) compartment: u64,
    /// When the door was closed.
    pub(super) since: Instant,
}

/// How often a door was not opened as nobody could tell the recipient.
#[derive(Default)]
pub(super) struct Refusals(AtomicU64);

impl Refusals {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The waybill of a parcel.
pub(super) fn waybill(parcel: u64) -> String {
    format!("sf/SF{parcel:013}")
}

/// Asks until there is an answer.
pub(super) fn ask(
    client: &Client,
    (method, path): (&str, &str),
    key: Option<&str>,
    body: Option<&Value>,
) -> anyhow::Result<(u16, Value)> {
    let begin = now();
    loop {
        match client.try_ask(method, path, key, body) {
            Ok((503, _)) | Err(_) => std::thread::sleep(AGAIN_AFTER),
            Ok(answer) => return Ok(answer),
        }
        if begin.elapsed() > WAIT_MAX {
            bail!("`{method} {path}` got no answer within {WAIT_MAX:?}");
        }
    }
}

/// The same, which must be done.
pub(super) fn done(
    client: &Client,
    (method, path): (&str, &str),
    key: Option<&str>,
    body: Option<&Value>,
) -> anyhow::Result<Value> {
    match ask(client, (method, path), key, body)? {
        (200..=299, answer) => Ok(answer),
        (status, refusal) => bail!("`{method} {path}` got {status}: {refusal}"),
    }
}

/// Both order systems speak of a parcel.
pub(super) fn announce(doors: &Doors, parcel: u64) -> anyhow::Result<()> {
    let common = json!({
        "waybill": waybill(parcel),
        "marketplace": "taobao",
        "consent": "given",
        "size": "small",
    });
    let with = |name: &str, value: Value| {
        let mut body = common.clone();
        if let Some(object) = body.as_object_mut() {
            object.insert(name.into(), value);
        }
        body
    };
    let phone = format!("138{parcel:08}");
    let recipient =
        json!({ "name": "Li Wei", "phone": phone, "address": "Shenzhen, Baoan, Xixiang 7" });
    let own = with("recipient", recipient);
    let advised = with("owner", OWNER.id.into());
    done(&doors.owner, ("PUT", "/parcels"), None, Some(&own))?;
    done(&doors.operator, ("PUT", "/parcels"), None, Some(&advised))?;
    Ok(())
}

/// One try to deposit a parcel; the deposit, once its door was closed on it.
pub(super) fn deposit(
    doors: &Doors,
    parcel: u64,
    number: u64,
    refusals: &Refusals,
) -> anyhow::Result<Option<Inside>> {
    let operator = &doors.operator;
    let body = json!({
        "waybill": waybill(parcel),
        "station": "S1",
        "size": "small",
        "courier": "c-17",
    });
    let key = format!("d-{parcel}-{number}");
    let opened = match ask(operator, ("POST", "/deposits"), Some(&key), Some(&body))? {
        (201, opened) => opened,
        (409, refusal) if is_nobody(&refusal) => {
            refusals.0.fetch_add(1, Ordering::Relaxed);
            return Ok(None);
        }
        (status, refusal) => bail!("a deposit got {status}: {refusal}"),
    };
    let id = opened.get("id").and_then(Value::as_str);
    let id = id.context("a deposit has an id")?;
    let compartment = opened.get("compartment").and_then(Value::as_u64);
    let compartment = compartment.context("a deposit has a compartment")?;
    let path = format!("/deposits/{id}/confirm");
    match ask(operator, ("POST", &path), None, Some(&json!({})))? {
        (200, _) => Ok(Some(Inside {
            deposit: id.into(),
            compartment,
            since: now(),
        })),
        // The owner was slow, and refused after the door had been opened: the courier keeps the parcel.
        (409, refusal) if is_nobody(&refusal) => {
            refusals.0.fetch_add(1, Ordering::Relaxed);
            let path = format!("/deposits/{id}/cancel");
            done(operator, ("POST", &path), None, Some(&json!({})))?;
            Ok(None)
        }
        (status, refusal) => bail!("a closed door got {status}: {refusal}"),
    }
}

fn is_nobody(refusal: &Value) -> bool {
    let kind = refusal.get("type").and_then(Value::as_str);
    kind.is_some_and(|kind| kind.ends_with(NOBODY))
}

/// Code and compartment in a message.
fn understand(text: &str) -> Option<(&str, u64)> {
    let (_, rest) = text.split_once(" Code ")?;
    let (code, rest) = rest.split_once(", compartment ")?;
    let (compartment, _) = rest.split_once('.')?;
    Some((code, compartment.parse().ok()?))
}

/// The recipient reads the message, types its code and takes the parcel out; `used` are the codes of
/// others before.
pub(super) fn pick_up(
    doors: &Doors,
    gateway: &Gateway,
    inside: &Inside,
    used: &mut BTreeSet<String>,
) -> anyhow::Result<()> {
    let begin = now();
    let operator = &doors.operator;
    let path = format!("/deposits/{}", inside.deposit);
    let code = loop {
        if begin.elapsed() > WAIT_MAX {
            bail!("the recipient of {} was not told", inside.deposit);
        }
        // Who comes before the operator knows that the message was taken needs no more of them.
        let deposit = done(operator, ("GET", &path), None, None)?;
        if deposit.get("state").and_then(Value::as_str) != Some("notified") {
            std::thread::sleep(AGAIN_AFTER);
            continue;
        }
        let texts = gateway.texts();
        let read = texts.iter().filter_map(|text| understand(text));
        let mut ours = read.filter(|(_, compartment)| *compartment == inside.compartment);
        if let Some((code, _)) = ours.find(|(code, _)| !used.contains(*code)) {
            break code.to_owned();
        }
        std::thread::sleep(AGAIN_AFTER);
    };
    let (open, key) = (format!("{path}/open"), format!("o-{}", inside.deposit));
    let typed = json!({ "code": code });
    done(operator, ("POST", &open), Some(&key), Some(&typed))?;
    let (out, key) = (format!("{path}/pickup"), format!("p-{}", inside.deposit));
    done(operator, ("POST", &out), Some(&key), Some(&json!({})))?;
    used.insert(code);
    Ok(())
}

/// The regulator proposes `policies` of both directions, and both parties accept.
pub(super) fn mediate(doors: &Doors, contacts: &Value, events: &Value) -> anyhow::Result<()> {
    let agreement = |provider: &str, consumer: &str, dataset: &str, policy: &Value| {
        json!({
            "provider": provider,
            "consumer": consumer,
            "dataset": dataset,
            "policy": policy,
        })
    };
    let proposal = json!({
        "agreements": [
            agreement(OWNER.id, OPERATOR.id, "recipient-contact", contacts),
            agreement(OPERATOR.id, OWNER.id, "locker-events", events),
        ],
        "note": "until the dispute is settled",
    });
    let path = ("POST", "/mediations");
    let made = done(&doors.regulator, path, Some("m-1"), Some(&proposal))?;
    let id = made.get("id").and_then(Value::as_str);
    let path = format!("/mediations/{}", id.context("a mediation has an id")?);
    for party in [&doors.owner, &doors.operator] {
        let begin = now();
        while ask(party, ("GET", &path), None, None)?.0 != 200 {
            if begin.elapsed() > WAIT_MAX {
                bail!("a party has not heard of the mediation within {WAIT_MAX:?}");
            }
            std::thread::sleep(AGAIN_AFTER);
        }
        let accept = format!("{path}/accept");
        done(party, ("POST", &accept), Some("a-1"), Some(&json!({})))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_code_and_compartment() {
        let text = "Lockers: your SF parcel is in locker S1 (Station 1). Pick it up by 2017-06-03 18:00 \
                    (UTC+8). Code 81604275, compartment 7. Details: https://lockers.example/p/x9";
        assert_eq!(understand(text), Some(("81604275", 7)));
        assert_eq!(understand("your parcel is on its way"), None);
    }
}
