//! `lookup`: contacts between two nodes, asked for by deposits at lockers.
//!
//! A courier reserves a compartment; the operator's node asks the owner's for the recipient's contact,
//! and answers when the signed answer and its own log are durable. What waits while a call is under way
//! goes with the next one, so many couriers at once make calls of many: for these the operator's node
//! runs in this process, so that what is measured is the lookup and not 100 requests of handhelds.
//! One by one they come over HTTP.

use anyhow::Context;
use interlock_core::dataset::Dataset;
use serde_json::{Value, json};

use super::documents::{Parcels, head, waybill};
use super::figure::{Figure, Goal};
use super::load::{Load, Requests};
use super::machine::{process_cpu, wall};
use super::pair::{OPERATOR, OWNER, Pair, Side, terms};
use super::{Setting, couriers, floor};

/// Compartments of a station.
const COMPARTMENTS: u64 = 1_000;
const QUICK_DEPOSITS: u64 = 3_000;
const DEPOSITS: u64 = 60_000;
/// Couriers at once, for calls of about a hundred contacts: one call is under way while the next
/// gathers.
const MANY: u64 = 200;
/// Couriers at once, one by one.
const FEW: usize = 32;

/// What an owner is told of each parcel.
pub(crate) const RECIPIENT: &str = "\"marketplace\":\"taobao\",\"consent\":\"given\",\"recipient\":{\
     \"name\":\"Li Wei\",\"phone\":\"138PARCEL\",\"address\":\"Shenzhen, Baoan, Xixiang 7\"}";

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
            "{{\"waybill\":\"sf/{}\",\"station\":\"{}\",\"size\":\"small\",\"courier\":\"c-17\"}}",
            waybill(parcel),
            station(parcel)
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

/// Contacts a second, and calls a second one by one. In the form `virtual`: a masked number cannot be
/// sent a message, so a node that tells recipients never asks for one.
pub(crate) fn lookup(setting: &Setting) -> anyhow::Result<Vec<Figure>> {
    let count = if setting.quick {
        QUICK_DEPOSITS
    } else {
        DEPOSITS
    };
    let agreed = terms(Dataset::RecipientContact, wall())?;
    let pair = Pair::agreed(setting, &OWNER, &OPERATOR, &agreed)?;
    announce(&pair, 2 * count)?;
    let Pair { provider, consumer } = pair;
    let Side { place, node, .. } = consumer;
    let few = Load::new(place.local, FEW, "201").run(&mut [Deposits {
        admin: place.admin.clone(),
        parcels: 0..count,
    }])?;
    drop(node);
    let leaves = requests(&provider)?;
    let begin = process_cpu(provider.node.pid())?;
    let many = couriers::deposit(&place, MANY, count..2 * count, station)?;
    let owner_cpu = process_cpu(provider.node.pid())?.saturating_sub(begin);
    let calls = requests(&provider)?.saturating_sub(leaves).div_ceil(2);
    let released = provider.client.status("/releases")?;
    anyhow::ensure!(
        released == 2 * count,
        "{released} contacts were released for {} deposits",
        2 * count
    );
    let each = |cpu: std::time::Duration| cpu.as_secs_f64() * 1e6 / count as f64;
    let grouped = floor::append(&setting.scratch.join("floor"), count, 100)?;
    let single = floor::append(&setting.scratch.join("floor"), count.min(2_000), 1)?;
    Ok(vec![
        Figure {
            name: "lookup",
            value: many.rate(count),
            unit: "contacts/s",
            floor: Some(grouped / 2.0),
            goal: Goal::AtLeast(20_000.0),
            about: format!(
                "{} contacts a call on average, evidence durable at both; floor: the journal alone, \
                 groups of 100, twice ({:.0} and {:.0} us of processor a contact)",
                count.checked_div(calls).unwrap_or(0),
                each(owner_cpu),
                each(many.cpu)
            ),
        },
        Figure {
            name: "lookup-single",
            value: few.rate(count),
            unit: "calls/s",
            floor: Some(single / 2.0 * FEW as f64),
            goal: Goal::AtLeast(3_000.0),
            about: format!(
                "couriers answered, {FEW} connections; floor: the journal alone, one record a group, \
                 twice, {FEW} at once"
            ),
        },
        super::ingest::load_figure("lookup-load", &few),
    ])
}

/// Contacts a second, asked for by many couriers at once of a pair that is made for it.
pub(crate) fn contacts(setting: &Setting, count: u64) -> anyhow::Result<f64> {
    let agreed = terms(Dataset::RecipientContact, wall())?;
    let pair = Pair::agreed(setting, &OWNER, &OPERATOR, &agreed)?;
    announce(&pair, count)?;
    let Pair { provider, consumer } = pair;
    let Side { place, node, .. } = consumer;
    drop(node);
    let many = couriers::deposit(&place, MANY, 0..count, station)?;
    let released = provider.client.status("/releases")?;
    anyhow::ensure!(
        released == count,
        "{released} contacts were released for {count} deposits"
    );
    Ok(many.rate(count))
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
    let put = |side: &Side, members: String| {
        Load::new(side.place.local, 1, "200").run(&mut [Parcels {
            admin: side.place.admin.clone(),
            members,
            parcels: 0..parcels,
        }])
    };
    put(&pair.provider, RECIPIENT.into()).context("failed to announce parcels to their owner")?;
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

/// The station at which a parcel is deposited.
fn station(parcel: u64) -> String {
    format!("S{}", parcel / COMPARTMENTS)
}

/// Leaves of the operator's log as the owner mirrors it: a request each call, and, but for the first, a
/// receipt.
fn requests(owner: &Side) -> anyhow::Result<u64> {
    let evidence = owner.client.get("/evidence")?;
    let leaves = evidence.pointer("/items/0/theirs/leaves");
    leaves
        .and_then(Value::as_u64)
        .context("`GET /evidence` tells no leaves")
}
