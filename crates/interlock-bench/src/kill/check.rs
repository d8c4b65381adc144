//! What must hold after each kill, and at the end.
//!
//! INVARIANT: what was acknowledged is read before the node is asked, so that nothing is expected
//! that was not answered. It changes nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::super::Setting;
use super::super::evidence::verify;
use super::super::machine::now;
use super::gateway::Gateway;
use super::work::{Acknowledged, Work};
use super::{Chance, Three};

/// Deposits looked at after each kill: so many of the latest, so many others.
const DEPOSITS_LOOKED_AT: u64 = 4;
const PAGE: usize = 500;
const ARRIVAL_WAIT_MAX: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is remembered between checks.
pub(super) struct Checks {
    binary: PathBuf,
    scratch: PathBuf,
    /// Where the owner's own systems are in its events.
    cursor: u64,
    /// The last event that they have read.
    last: Value,
    /// Carrier's events and closed doors, each by what makes it one.
    events: BTreeSet<String>,
    deposited: BTreeSet<String>,
    verified: u64,
}

impl Checks {
    /// Nothing was looked at yet.
    pub(super) fn new(setting: &Setting) -> Self {
        Self {
            binary: setting.binary.clone(),
            scratch: setting.scratch.clone(),
            cursor: 0,
            last: Value::Null,
            events: BTreeSet::new(),
            deposited: BTreeSet::new(),
            verified: 0,
        }
    }

    /// How often the evidence was verified.
    pub(super) const fn verified(&self) -> u64 {
        self.verified
    }

    /// All three answer, and nothing acknowledged is missing.
    pub(super) fn after_a_kill(
        &mut self,
        three: &Three,
        work: &Work,
        chance: &mut Chance,
    ) -> anyhow::Result<()> {
        let acknowledged = work.acknowledged();
        let accepted = three.carrier.client.status("/eventsAccepted")?;
        ensure!(
            accepted >= acknowledged.events(),
            "{} events were acknowledged, the carrier's node holds {accepted}",
            acknowledged.events()
        );
        let count = acknowledged.deposits.len() as u64;
        for back in 0..DEPOSITS_LOOKED_AT.min(count) {
            check_deposit(three, &acknowledged, count - 1 - back)?;
            check_deposit(three, &acknowledged, chance.below(count))?;
        }
        self.read_events(three)?;
        self.verify_evidence(three)
    }

    /// The owner's systems read on where they were.
    fn read_events(&mut self, three: &Three) -> anyhow::Result<()> {
        let client = &three.owner.client;
        if self.cursor > 0 {
            let page = client.get(&format!("/events?after={}&limit=1", self.cursor - 1))?;
            ensure!(
                page.pointer("/events/0") == Some(&self.last),
                "event {} at the owner was {}, now there is {page}",
                self.cursor,
                self.last
            );
        }
        loop {
            let page = client.get(&format!("/events?after={}&limit={PAGE}", self.cursor))?;
            let events = page.get("events").and_then(Value::as_array);
            let events = events.context("`GET /events` has no `events`")?;
            for event in events {
                self.take(event)?;
            }
            let Some(last) = events.last() else {
                return Ok(());
            };
            self.last = last.clone();
            let next = page.get("next").and_then(Value::as_u64);
            self.cursor = next.context("`GET /events` has no `next`")?;
        }
    }

    /// An event that must not have come before.
    fn take(&mut self, event: &Value) -> anyhow::Result<()> {
        let feed = event
            .get("feed")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let epcis = event.get("epcis").context("an event without EPCIS")?;
        let step = epcis.get("il:step").and_then(Value::as_str);
        let step = step.with_context(|| format!("an event without step: {event}"))?;
        let parcel = epcis.pointer("/epcList/0").and_then(Value::as_str);
        let parcel = parcel.with_context(|| format!("an event of no parcel: {event}"))?;
        let name = format!("{parcel} {step}");
        let seen = match (feed, step) {
            ("tracking-events", _) => &mut self.events,
            ("locker-events", "deposited") => &mut self.deposited,
            (_, _) => return Ok(()),
        };
        ensure!(
            seen.insert(name.clone()),
            "the owner got `{name}` twice: {event}"
        );
        Ok(())
    }

    /// All three export beside their running nodes; the files are checked together, offline.
    fn verify_evidence(&mut self, three: &Three) -> anyhow::Result<()> {
        verify(&self.binary, &self.scratch, &three.all())?;
        self.verified += 1;
        Ok(())
    }

    /// Everything acknowledged is at its consumer once, and each deposit has one message.
    pub(super) fn at_the_end(
        &mut self,
        three: &Three,
        work: &Work,
        gateway: &Gateway,
    ) -> anyhow::Result<()> {
        let begin = now();
        loop {
            let acknowledged = work.acknowledged();
            let deposits = three.operator.client.status("/messagesSent")?;
            self.read_events(three)?;
            let accepted = three.carrier.client.status("/eventsAccepted")?;
            let there = self.events.len() as u64 == accepted
                && self.deposited.len() as u64 == deposits
                && deposits >= acknowledged.deposits.len() as u64
                && gateway.taken() as u64 == deposits;
            if there {
                break;
            }
            ensure!(
                begin.elapsed() < ARRIVAL_WAIT_MAX,
                "the owner has {} of {accepted} events and {} of {} deposits; {deposits} messages \
                 were sent and {} taken",
                self.events.len(),
                self.deposited.len(),
                acknowledged.deposits.len(),
                gateway.taken()
            );
            std::thread::sleep(LOOK_EVERY);
        }
        let acknowledged = work.acknowledged();
        for number in 0..acknowledged.deposits.len() as u64 {
            check_deposit(three, &acknowledged, number)?;
        }
        self.verify_evidence(three)
    }
}

fn check_deposit(three: &Three, acknowledged: &Acknowledged, number: u64) -> anyhow::Result<()> {
    let at = usize::try_from(number).ok();
    let id = at.and_then(|at| acknowledged.deposits.get(at));
    let id = id.context("a deposit that is not there was looked for")?;
    let deposit = three.operator.client.get(&format!("/deposits/{id}"))?;
    let state = deposit.get("state").and_then(Value::as_str);
    ensure!(
        matches!(state, Some("deposited" | "notified")),
        "deposit {number}, whose door is closed, is {deposit}"
    );
    Ok(())
}
