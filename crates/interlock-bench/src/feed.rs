//! `feed`: from a carrier's own API to durable at the owner, with its receipt.

use std::time::Duration;

use anyhow::bail;
use interlock_core::dataset::Dataset;

use super::documents::{Parcels, WAVE_EVENTS, WAVE_PARCELS};
use super::figure::{Figure, Goal};
use super::ingest::{announce, load_figure, send};
use super::load::Load;
use super::machine::{now, process_cpu, wall};
use super::pair::{CARRIER, OWNER, Pair, terms};
use super::{Setting, floor};

const QUICK_WAVES: u64 = 1;
const WAVES: u64 = 12;
/// Longest time without any event coming in.
const STALL_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Events a second through two nodes.
pub(crate) fn feed(setting: &Setting) -> anyhow::Result<Vec<Figure>> {
    let pair = Pair::agreed(
        setting,
        &CARRIER,
        &OWNER,
        &terms(Dataset::TrackingEvents, wall())?,
    )?;
    let waves = if setting.quick { QUICK_WAVES } else { WAVES };
    let (parcels, events) = (waves * WAVE_PARCELS, waves * WAVE_EVENTS);
    announce(&pair.provider, 0..parcels)?;
    Load::new(pair.consumer.place.local, 1, "200").run(&mut [Parcels {
        admin: pair.consumer.place.admin.clone(),
        members: "\"marketplace\":\"taobao\"".into(),
        parcels: 0..parcels,
    }])?;
    let appended = floor::append(&setting.scratch.join("floor"), events, 5_000)?;
    let cpu = |side: &super::pair::Side| process_cpu(side.node.pid());
    let before = [cpu(&pair.provider)?, cpu(&pair.consumer)?];
    let begin = now();
    let provider = &pair.provider.place;
    let sent = send(provider.local, &provider.admin, 0..events)?;
    wait_for(&pair, events)?;
    let elapsed = begin.elapsed().as_secs_f64();
    let used = [cpu(&pair.provider)?, cpu(&pair.consumer)?];
    let each = |at: usize| {
        let used = used.get(at).copied().unwrap_or_default();
        let before = before.get(at).copied().unwrap_or_default();
        used.saturating_sub(before).as_secs_f64() * 1e6 / events as f64
    };
    Ok(vec![
        Figure {
            name: "feed",
            value: events as f64 / elapsed,
            unit: "events/s",
            floor: Some(appended / 2.0),
            goal: Goal::AtLeast(60_000.0),
            about: format!(
                "from the carrier's API to durable at the owner, with receipt; floor: the journal \
                 alone, twice ({:.1} and {:.1} us of processor an event)",
                each(0),
                each(1)
            ),
        },
        load_figure("feed-load", &sent),
    ])
}

/// Waits until the owner holds everything and the carrier has the receipts. A last leaf of the carrier
/// may be its own receipt for the owner's: for that one none is given, so it counts as done when it is
/// still the only one at the next look.
pub(crate) fn wait_for(pair: &Pair, events: u64) -> anyhow::Result<()> {
    let mut seen = (0, now());
    let mut one_left = false;
    loop {
        let received = pair.consumer.client.status("/eventsReceived")?;
        if received >= events {
            let evidence = pair.provider.client.get("/evidence")?;
            let number = |at: &str| evidence.pointer(at).and_then(serde_json::Value::as_u64);
            let leaves = number("/items/0/ours/leaves");
            let receipted = number("/items/0/ours/receipted");
            let open = leaves
                .zip(receipted)
                .map(|(leaves, receipted)| leaves - receipted);
            match open {
                Some(0) => return Ok(()),
                Some(1) if one_left => return Ok(()),
                Some(_) | None => one_left = open == Some(1),
            }
        }
        if received > seen.0 {
            seen = (received, now());
        }
        if seen.1.elapsed() > STALL_MAX {
            bail!("{received} of {events} events came to the owner, then none");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
