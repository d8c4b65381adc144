//! `lookup`: contacts between two nodes, asked for by deposits at lockers.
//!
//! A courier's handheld reserves a compartment; the operator's node asks the owner's for the
//! recipient's contact, and answers when the signed answer and its own log are durable. What waits
//! while a call is under way goes with the next one, so many couriers at once make calls of many.

use anyhow::Context;
use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use serde_json::{Value, json};

use super::documents::{Parcels, head, waybill};
use super::figure::{Figure, Goal};
use super::load::{Load, Outcome, Requests};
use super::machine::{process_cpu, wall};
use super::pair::{OPERATOR, OWNER, Pair, terms};
use super::{Setting, floor};

/// Compartments of a station.
const COMPARTMENTS: u64 = 1_000;
const QUICK_DEPOSITS: u64 = 3_000;
const DEPOSITS: u64 = 60_000;
/// Couriers at once, for calls of about a hundred contacts: one call is under way while the next
/// gathers.
const MANY: usize = 200;
/// Couriers at once, one by one.
const FEW: usize = 32;

/// `POST /deposits` of a range of parcels.
struct Deposits {
    admin: String,
    parcels: std::ops::Range<u64>,
}

impl Requests for Deposits {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(parcel) = self.parcels.next() else {
            return false;
        };
        let body = format!(
            "{{\"waybill\":\"sf/{}\",\"station\":\"S{}\",\"size\":\"small\",\"courier\":\"c-17\"}}",
            waybill(parcel),
            parcel / COMPARTMENTS
        );
        let head = head("POST", "/deposits", &self.admin);
        *out = format!(
            "{head}Idempotency-Key: d-{parcel}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes();
        true
    }
}

/// Contacts a second, and calls a second one by one.
pub(crate) fn lookup(setting: &Setting) -> anyhow::Result<Vec<Figure>> {
    let count = if setting.quick {
        QUICK_DEPOSITS
    } else {
        DEPOSITS
    };
    let mut figures = Vec::new();
    for form in [ContactForm::Virtual, ContactForm::Masked] {
        figures.extend(of_form(setting, form, count)?);
        if setting.quick {
            break;
        }
    }
    Ok(figures)
}

fn of_form(setting: &Setting, form: ContactForm, count: u64) -> anyhow::Result<Vec<Figure>> {
    let mut agreed = terms(Dataset::RecipientContact, wall())?;
    agreed.contact_forms = [form].into();
    let pair = Pair::agreed(setting, &OWNER, &OPERATOR, &agreed)?;
    announce(&pair, 2 * count)?;
    let deposits = |parcels: std::ops::Range<u64>, connections| {
        let place = &pair.consumer.place;
        Load::new(place.local, connections, "201").run(&mut [Deposits {
            admin: place.admin.clone(),
            parcels,
        }])
    };
    let cpu = || -> anyhow::Result<_> {
        Ok([
            process_cpu(pair.provider.node.pid())?,
            process_cpu(pair.consumer.node.pid())?,
        ])
    };
    let before = cpu()?;
    let calls = calls(&pair)?;
    let many = deposits(0..count, MANY)?;
    let after = cpu()?;
    let calls = (calls_since(&pair, calls)?, count);
    let few = deposits(count..2 * count, FEW)?;
    let released = pair.provider.client.status("/releases")?;
    anyhow::ensure!(
        released == 2 * count,
        "{released} contacts were released for {} deposits",
        2 * count
    );
    let used: Vec<f64> = before
        .iter()
        .zip(after)
        .map(|(before, after)| after.saturating_sub(*before).as_secs_f64() * 1e6 / count as f64)
        .collect();
    let grouped = floor::append(&setting.scratch.join("floor"), count, 100)?;
    let single = floor::append(&setting.scratch.join("floor"), count.min(2_000), 1)?;
    Ok(vec![
        Figure {
            name: name(form, "lookup", "lookup-masked"),
            value: many.rate(count),
            unit: "contacts/s",
            floor: Some(grouped / 2.0),
            goal: Goal::AtLeast(20_000.0),
            about: format!(
                "{} contacts a call on average, evidence durable at both; floor: the journal alone, \
                 groups of 100, twice ({:.0} and {:.0} us of processor a contact)",
                calls.1.checked_div(calls.0).unwrap_or(0),
                used.first().copied().unwrap_or_default(),
                used.get(1).copied().unwrap_or_default()
            ),
        },
        Figure {
            name: name(form, "lookup-single", "lookup-masked-single"),
            value: few.rate(count),
            unit: "calls/s",
            floor: Some(single / 2.0 * FEW as f64),
            goal: Goal::AtLeast(3_000.0),
            about: format!(
                "couriers answered, {FEW} connections; floor: the journal alone, one record a group, \
                 twice, {FEW} at once"
            ),
        },
        super::ingest::load_figure(
            name(form, "lookup-load", "lookup-masked-load"),
            &Outcome::and(many, few),
        ),
    ])
}

const fn name(form: ContactForm, usual: &'static str, masked: &'static str) -> &'static str {
    if matches!(form, ContactForm::Masked) {
        masked
    } else {
        usual
    }
}

/// Both nodes know the parcels; the operator by the carrier's word, the owner with recipients.
fn announce(pair: &Pair, parcels: u64) -> anyhow::Result<()> {
    let stations: Vec<Value> = (0..parcels.div_ceil(COMPARTMENTS))
        .map(|n| {
            json!({
                "id": format!("S{n}"),
                "name": format!("Station {n}"),
                "position": { "longitude": 114.0, "latitude": 22.5 },
                "capacity": { "small": COMPARTMENTS },
            })
        })
        .collect();
    pair.consumer
        .client
        .put("/stations", &json!({ "stations": stations }))?;
    let put = |side: &super::pair::Side, members: String| {
        Load::new(side.place.local, 1, "200").run(&mut [Parcels {
            admin: side.place.admin.clone(),
            members,
            parcels: 0..parcels,
        }])
    };
    put(
        &pair.provider,
        "\"marketplace\":\"taobao\",\"consent\":\"given\",\"recipient\":{\"name\":\"Li Wei\",\
         \"phone\":\"138PARCEL\",\"address\":\"Shenzhen, Baoan, Xixiang 7\"}"
            .into(),
    )
    .context("failed to announce parcels to their owner")?;
    put(
        &pair.consumer,
        format!(
            "\"marketplace\":\"taobao\",\"owner\":\"{}\",\"consent\":\"given\",\"size\":\"small\"",
            OWNER.id
        ),
    )
    .context("failed to announce parcels to the operator")?;
    Ok(())
}

/// Leaves of the operator's log toward the owner: a request each call, and receipts.
fn calls(pair: &Pair) -> anyhow::Result<u64> {
    let evidence = pair.consumer.client.get("/evidence")?;
    let leaves = evidence.pointer("/items/0/ours/leaves");
    leaves
        .and_then(Value::as_u64)
        .context("`GET /evidence` tells no leaves")
}

/// Every call but the first carries a receipt, which is a leaf too.
fn calls_since(pair: &Pair, before: u64) -> anyhow::Result<u64> {
    Ok(calls(pair)?.saturating_sub(before).div_ceil(2))
}
