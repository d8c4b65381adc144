//! What a midnight came to, counted when all is at rest.
//!
//! INVARIANT: every figure is what a node stored or answered, or what the gateway took; none is what
//! somebody meant to do. It changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use anyhow::Context;
use interlock_core::time::Timestamp;
use serde_json::Value;

use super::super::Setting;
use super::super::client::Client;
use super::super::evidence::verify;
use super::super::kill::Gateway;
use super::super::machine::now;
use super::course::{BEFORE, Nodes, PARCELS, truce};
use super::people::waybill;

const REST_WAIT_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const PAGE: usize = 500;

/// What must be the same whatever hit the nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Parcels that were picked up, by the operator's word.
    picked_up: u64,
    /// Messages that the operator's node says it sent, and those that the gateway took.
    messages: (u64, u64),
    /// Parcels of which the owner released a contact.
    contacts: u64,
    /// Events that the owner's systems read, by step.
    events: BTreeMap<String, u64>,
    /// Parcels of which they read just the operator's events, each once, in their order.
    in_order: u64,
    /// Events that still wait at the operator.
    waiting: u64,
    /// Releases at times at which no term allowed them.
    outside: u64,
    /// Agreements in force, by either party's word.
    in_force: (u64, u64),
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events: Vec<String> = self
            .events
            .iter()
            .map(|(step, count)| format!("{count} {step}"))
            .collect();
        write!(
            f,
            "{} picked up; {} messages sent, {} taken; contacts of {}; events: {}, of {} parcels all in \
             order; {} waiting, {} outside terms; {} and {} agreements in force",
            self.picked_up,
            self.messages.0,
            self.messages.1,
            self.contacts,
            events.join(", "),
            self.in_order,
            self.waiting,
            self.outside,
            self.in_force.0,
            self.in_force.1
        )
    }
}

/// Waits until nothing more comes, has the evidence verified, and counts.
pub(super) fn count(
    setting: &Setting,
    nodes: &Nodes,
    gateway: &Gateway,
    midnight: Timestamp,
) -> anyhow::Result<Counts> {
    let begin = now();
    let mut counts = look(nodes, gateway, midnight)?;
    while !is_whole(&counts) && begin.elapsed() < REST_WAIT_MAX {
        std::thread::sleep(LOOK_EVERY);
        counts = look(nodes, gateway, midnight)?;
    }
    verify(&setting.binary, &setting.scratch, &nodes.all())?;
    Ok(counts)
}

/// Whether all that was to come has come; what is too much is for the comparison to show.
fn is_whole(counts: &Counts) -> bool {
    let sent = counts.messages;
    counts.waiting == 0 && counts.in_order == PARCELS && sent.0 >= PARCELS && sent.1 >= PARCELS
}

fn look(nodes: &Nodes, gateway: &Gateway, midnight: Timestamp) -> anyhow::Result<Counts> {
    let (owner, operator) = (&nodes.owner.client, &nodes.operator.client);
    let mut counts = Counts {
        messages: (
            operator.status("/messagesSent")?,
            gateway.taken().try_into()?,
        ),
        waiting: waiting(operator)?,
        in_force: (in_force(owner)?, in_force(operator)?),
        ..Counts::default()
    };
    let mut came = inbox(owner)?;
    for parcel in 0..PARCELS {
        let there = steps(&operator.get(&format!("/parcels/{}", waybill(parcel)))?)?;
        let here = came.remove(&waybill(parcel)).unwrap_or_default();
        counts.picked_up += u64::from(there.last().is_some_and(|step| step == "picked-up"));
        counts.in_order += u64::from(!there.is_empty() && here == there);
        for step in here {
            *counts.events.entry(step).or_default() += 1;
        }
    }
    let mut contacts = BTreeSet::new();
    for entry in releases(owner)? {
        let parcel = entry.pointer("/outcome/parcel").and_then(Value::as_str);
        let Some(parcel) = parcel else { continue };
        let in_run_off = (0..BEFORE).any(|before| waybill(before) == parcel);
        let at = instant(&entry)?;
        counts.outside += u64::from(!in_run_off && at < truce(midnight));
        contacts.insert(parcel.to_owned());
    }
    counts.contacts = contacts.len().try_into()?;
    for entry in releases(operator)? {
        let at = instant(&entry)?;
        counts.outside += u64::from(at >= midnight && at < truce(midnight));
    }
    Ok(counts)
}

/// What the owner's systems read, by parcel, in the order in which it came.
fn inbox(owner: &Client) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut came: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut after = 0;
    loop {
        let page = owner.get(&format!("/events?after={after}&limit={PAGE}"))?;
        let events = page.get("events").and_then(Value::as_array);
        let events = events.context("`GET /events` has no `events`")?;
        for event in events {
            let epcis = event.get("epcis").context("an event without EPCIS")?;
            let step = epcis.get("il:step").and_then(Value::as_str);
            let step = step.with_context(|| format!("an event without step: {event}"))?;
            let parcel = epcis.pointer("/epcList/0").and_then(Value::as_str);
            let parcel = parcel.and_then(|epc| epc.split_once("/waybill/"));
            let (_, parcel) = parcel.with_context(|| format!("an event of no parcel: {event}"))?;
            came.entry(parcel.into()).or_default().push(step.into());
        }
        if events.is_empty() {
            return Ok(came);
        }
        let next = page.get("next").and_then(Value::as_u64);
        after = next.context("`GET /events` has no `next`")?;
    }
}

/// The steps of a parcel's timeline.
fn steps(timeline: &Value) -> anyhow::Result<Vec<String>> {
    let events = timeline.get("events").and_then(Value::as_array);
    let events = events.context("a timeline has no `events`")?;
    let step = |event: &Value| Some(event.get("step")?.as_str()?.to_owned());
    Ok(events.iter().filter_map(step).collect())
}

/// All entries of `GET /releases`.
fn releases(node: &Client) -> anyhow::Result<Vec<Value>> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let last = all.last().and_then(|entry| entry.get("cursor")?.as_u64());
        let path = format!("/releases?after={}&limit=100", last.unwrap_or(0));
        let page = node.get(&path)?;
        let items = page.get("items").and_then(Value::as_array);
        let items = items.context("`GET /releases` has no `items`")?;
        if items.is_empty() {
            return Ok(all);
        }
        all.extend(items.iter().cloned());
    }
}

fn instant(entry: &Value) -> anyhow::Result<Timestamp> {
    let text = entry.get("at").and_then(Value::as_str).unwrap_or_default();
    let parsed = Timestamp::parse_zoned(text);
    let (at, _) = parsed.map_err(|error| anyhow::anyhow!("a release at `{text}`: {error}"))?;
    Ok(at)
}

/// Events that wait at a node, held or ready.
fn waiting(node: &Client) -> anyhow::Result<u64> {
    let status = node.get("/status")?;
    let feeds = status.get("feeds").and_then(Value::as_array);
    let feeds = feeds.context("`GET /status` has no `feeds`")?;
    let of = |feed: &Value, at: &str| feed.pointer(at).and_then(Value::as_u64).unwrap_or(0);
    let places = ["/held", "/live/ready", "/backlog/ready"];
    let waits = |feed: &Value| places.iter().map(|at| of(feed, at)).sum::<u64>();
    Ok(feeds.iter().map(waits).sum())
}

fn in_force(node: &Client) -> anyhow::Result<u64> {
    let listed = node.get("/agreements")?;
    let agreements = listed.get("agreements").and_then(Value::as_array);
    let agreements = agreements.context("`GET /agreements` has no `agreements`")?;
    let is = |a: &&Value| a.get("state").and_then(Value::as_str) == Some("IN_FORCE");
    Ok(agreements.iter().filter(is).count().try_into()?)
}
