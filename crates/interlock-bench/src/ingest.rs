//! Events at the local API: `ingest`, `grow` and `recover`.
//!
//! What is measured is one node as it ships: documents of 100 events, parsed, checked, hashed, looked
//! for among those of their parcel, durable, in the parcel's timeline and in the owner's feed, and
//! then answered. Parcels are announced between the rounds, outside of the measured time.

use std::time::Duration;

use anyhow::Context;

use super::documents::{Documents, Parcels, WAVE_EVENTS, WAVE_PARCELS};
use super::figure::{Figure, Goal, median};
use super::load::{Load, Outcome};
use super::machine::{now, process_cpu, resident_mib};
use super::nothing::Server;
use super::pair::{CARRIER, OWNER, Side};
use super::place::Place;
use super::{Setting, floor};

/// Connections of the load generator.
const CONNECTIONS: usize = 16;
/// The journal's own speed is measured in groups of this size.
const FLOOR_GROUP: usize = 5_000;
const QUICK_ROUNDS: u64 = 2;
const ROUNDS: u64 = 9;
/// Events of `grow` and `recover`, if not asked for otherwise.
const EVENTS: u64 = 10_000_000;
const QUICK_EVENTS: u64 = 4 * WAVE_EVENTS;
/// Waves that are "the first million" of `grow`.
const FIRST_WAVES: u64 = 16;

/// A carrier's node and how to load it.
pub(crate) struct Carrier {
    side: Side,
    /// Waves that were sent.
    waves: u64,
}

impl Carrier {
    pub(crate) fn up(setting: &Setting) -> anyhow::Result<Self> {
        let side = Side::up(setting, &CARRIER)?;
        let owner = Place::init(setting, &OWNER)?;
        side.lists(&OWNER, &owner)?;
        Ok(Self { side, waves: 0 })
    }

    /// Announces the parcels of the next wave and sends its events; only these are measured. With the
    /// processor time that the node took for them.
    pub(crate) fn wave(&mut self) -> anyhow::Result<(Outcome, Duration)> {
        let wave = self.waves;
        self.waves += 1;
        announce(&self.side, wave * WAVE_PARCELS..(wave + 1) * WAVE_PARCELS)?;
        let begin = process_cpu(self.side.node.pid())?;
        let outcome = send(
            self.side.place.local,
            &self.side.place.admin,
            wave * WAVE_EVENTS..(wave + 1) * WAVE_EVENTS,
        )?;
        let cpu = process_cpu(self.side.node.pid())?.saturating_sub(begin);
        Ok((outcome, cpu))
    }

    fn waves(&mut self, count: u64) -> anyhow::Result<Outcome> {
        let mut sum = Outcome::default();
        for _ in 0..count {
            sum = sum.and(self.wave()?.0);
        }
        Ok(sum)
    }
}

/// Tells a carrier's node whose parcels these are.
pub(crate) fn announce(side: &Side, parcels: std::ops::Range<u64>) -> anyhow::Result<()> {
    let parcels = Parcels {
        admin: side.place.admin.clone(),
        members: format!(
            "\"marketplace\":\"taobao\",\"owner\":\"{}\",\"size\":\"small\"",
            OWNER.id
        ),
        parcels,
    };
    Load::new(side.place.local, 1, "200")
        .run(&mut [parcels])
        .context("failed to announce parcels")?;
    Ok(())
}

/// Sends events as documents.
pub(crate) fn send(
    to: std::net::SocketAddr,
    admin: &str,
    events: std::ops::Range<u64>,
) -> anyhow::Result<Outcome> {
    let mut shares = Documents::shares(admin, events, 1);
    Load::new(to, CONNECTIONS, "202")
        .run(&mut shares)
        .context("failed to send events")
}

/// Events a second beside two floors, bytes of an event, and what the load generator costs.
pub(crate) fn ingest(setting: &Setting) -> anyhow::Result<Vec<Figure>> {
    let nothing = Server::start()?;
    let mut carrier = Carrier::up(setting)?;
    let idle = carrier.side.place.disk_bytes()?;
    let rounds = if setting.quick { QUICK_ROUNDS } else { ROUNDS };
    let (mut values, mut parsed) = (Vec::new(), Vec::new());
    let (mut plain, mut own) = (Vec::new(), Vec::new());
    let mut all = Outcome::default();
    let mut cpu = [Duration::ZERO; 2];
    for round in 0..rounds {
        let begin = process_cpu(nothing.pid())?;
        let events = round * WAVE_EVENTS..(round + 1) * WAVE_EVENTS;
        let floor = send(nothing.address, &carrier.side.place.admin, events)?;
        parsed.push(floor.rate(WAVE_EVENTS));
        cpu[0] += process_cpu(nothing.pid())?.saturating_sub(begin);
        let scratch = setting.scratch.join("floor");
        plain.push(floor::append_plain(&scratch, WAVE_EVENTS, FLOOR_GROUP)?);
        own.push(floor::append(&scratch, WAVE_EVENTS, FLOOR_GROUP)?);
        let (outcome, used) = carrier.wave()?;
        cpu[1] += used;
        values.push(outcome.rate(WAVE_EVENTS));
        all = all.and(outcome);
    }
    let events = rounds * WAVE_EVENTS;
    let bytes = carrier.side.place.disk_bytes()?.saturating_sub(idle);
    let value = median(values).context("no round was measured")?;
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / events as f64;
    let rate = |name, floor, goal, about: String| Figure {
        name,
        value,
        unit: "events/s",
        floor: median(floor),
        goal,
        about,
    };
    Ok(vec![
        rate(
            "ingest",
            parsed,
            Goal::RatioAtLeast(0.7),
            format!(
                "documents of 100 events; floor: parses, checks and hashes, stores nothing \
                 ({:.1} us of processor an event, the node {:.1})",
                each(cpu[0]),
                each(cpu[1])
            ),
        ),
        rate(
            "ingest-journal",
            plain,
            Goal::RatioAtLeast(0.25),
            format!(
                "the same; floor: the journal alone, durable, {} B a record, groups of 5,000",
                floor::PLAIN_SIZE_BYTES
            ),
        ),
        rate(
            "ingest-records",
            own,
            Goal::Shown,
            "the same; floor: the journal alone with the records that events come to".into(),
        ),
        bytes_figure("ingest-bytes", bytes, events),
        load_figure("ingest-load", &all),
    ])
}

fn bytes_figure(name: &'static str, bytes: u64, events: u64) -> Figure {
    Figure {
        name,
        value: bytes as f64 / events as f64,
        unit: "B/event",
        floor: None,
        goal: Goal::AtMost(450.0),
        about: "on disk, announcing of the parcels included".into(),
    }
}

/// What the load generator took of one processor.
pub(crate) fn load_figure(name: &'static str, outcome: &Outcome) -> Figure {
    Figure {
        name,
        value: 100.0 * outcome.share(),
        unit: "%",
        floor: None,
        goal: Goal::AtMost(50.0),
        about: "of one processor: the load generator's own share".into(),
    }
}

/// The speed after many events beside that at the beginning, with disk and memory.
pub(crate) fn grow(setting: &Setting) -> anyhow::Result<Vec<Figure>> {
    let mut carrier = Carrier::up(setting)?;
    let pid = carrier.side.node.pid();
    let idle = carrier.side.place.disk_bytes()?;
    let total = waves(setting);
    let part = if setting.quick {
        1
    } else {
        FIRST_WAVES.min(total / 2).max(1)
    };
    // The first wave of a fresh node is a bit faster than the rest of the first million, and counts.
    let first = carrier.waves(part)?.rate(part * WAVE_EVENTS);
    let memory_first = resident_mib(pid)?;
    if total > 2 * part {
        carrier.waves(total - 2 * part)?;
    }
    let last = carrier.waves(part)?.rate(part * WAVE_EVENTS);
    let memory_last = resident_mib(pid)?;
    let events = carrier.waves * WAVE_EVENTS;
    let bytes = carrier.side.place.disk_bytes()?.saturating_sub(idle);
    let millions = events as f64 / 1e6;
    Ok(vec![
        Figure {
            name: "grow",
            value: last,
            unit: "events/s",
            floor: Some(first),
            goal: Goal::RatioAtLeast(0.8),
            about: format!("ingest at {millions:.1} million events; floor: at the beginning"),
        },
        bytes_figure("grow-bytes", bytes, events),
        Figure {
            name: "grow-memory",
            value: memory_last,
            unit: "MiB",
            floor: Some(memory_first),
            goal: Goal::RatioAtMost(1.25),
            about: "resident memory then; floor: after the first part".into(),
        },
    ])
}

fn waves(setting: &Setting) -> u64 {
    let events = setting
        .events
        .unwrap_or(if setting.quick { QUICK_EVENTS } else { EVENTS });
    events.div_ceil(WAVE_EVENTS).max(2)
}

/// A start after `kill -9`.
pub(crate) fn recover(setting: &Setting) -> anyhow::Result<Vec<Figure>> {
    let mut carrier = Carrier::up(setting)?;
    let total = waves(setting);
    carrier.waves(total)?;
    let events = carrier.waves * WAVE_EVENTS;
    let Carrier { side, .. } = carrier;
    drop(side.node);
    let begin = now();
    let journal = side.place.config().with_file_name("data").join("journal");
    let read = floor::scan(&journal)?;
    let scan = begin.elapsed().as_secs_f64();
    anyhow::ensure!(
        read >= events,
        "the journal holds {read} records of {events} events"
    );
    let begin = now();
    let node = side.place.up()?;
    let start = begin.elapsed().as_secs_f64();
    drop(node);
    let begin = now();
    side.place.rebuild()?;
    let rebuild = begin.elapsed().as_secs_f64();
    let millions = events as f64 / 1e6;
    Ok(vec![
        Figure {
            name: "recover",
            value: start,
            unit: "s",
            floor: Some(scan),
            goal: Goal::AtMost(2.0),
            about: format!(
                "start after kill -9 with {millions:.1} million events; floor: reading and checking \
                 the whole journal"
            ),
        },
        Figure {
            name: "recover-rebuild",
            value: events as f64 / rebuild,
            unit: "events/s",
            floor: Some(events as f64 / scan),
            goal: Goal::AtLeast(300_000.0),
            about: "`interlock rebuild`: all state made anew from the journal, and written".into(),
        },
    ])
}
