//! `outage`: what waited during an outage drains beside today's events.
//!
//! A carrier takes events while nothing is in force, and holds them. Then an agreement that covers the
//! time comes into force. While the backlog drains, events arrive at ten times the operator's peak, and
//! single parcels are followed from the carrier's API until they are in the owner's timeline. When all
//! has drained the same is measured without a backlog.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use interlock_core::dataset::Dataset;
use interlock_core::time::DAY_MS;
use serde_json::Value;

use super::Setting;
use super::documents::{
    DOCUMENT_EVENTS, Documents, Parcels, STORY_EVENTS, TRACKED_FROM, WAVE_EVENTS, WAVE_PARCELS,
    story, waybill,
};
use super::figure::{Figure, Goal};
use super::ingest::{announce, send};
use super::load::Load;
use super::machine::{now, wall};
use super::pair::{CARRIER, OWNER, Pair, Side, agree, terms};

const QUICK_WAVES: u64 = 1;
const WAVES: u64 = 10;
/// Events that arrive in a second: three for each of 3 million parcels a day, ten times.
const ARRIVING: u64 = 1_000;
/// What drains must be so many times what arrives.
const TIMES: f64 = 5.0;
/// Parcels that may be followed.
const FOLLOWED_MAX: u64 = 20_000;
/// Parcels followed without a backlog.
const QUICK_CALM: usize = 50;
const CALM: usize = 2_000;
/// Longest time without any event coming in.
const STALL_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// A parcel is followed so often.
const FOLLOW_EVERY: Duration = Duration::from_millis(10);

/// Rate of the backlog, delay of what arrives meanwhile, and what went wrong.
pub(crate) fn outage(setting: &Setting) -> anyhow::Result<Vec<Figure>> {
    let (waves, calm) = match setting.quick {
        true => (QUICK_WAVES, QUICK_CALM),
        false => (WAVES, CALM),
    };
    let backlog = waves * WAVE_EVENTS;
    let pair = with_backlog(setting, waves)?;
    let mut outage = Outage {
        pair: &pair,
        followed: 0,
    };
    let arriving = Arriving {
        pair: &pair,
        first: backlog,
        last: backlog + WAVE_EVENTS,
    };
    let (rate, beside, alone, sent) = outage.measure(&arriving, backlog, calm)?;
    let all = backlog + sent + outage.followed * STORY_EVENTS;
    let missing = wait_for(&pair.consumer, all)?;
    let wrong = pair.consumer.client.status("/eventsDuplicate")?
        + pair.consumer.client.status("/eventsOutOfOrder")?;
    Ok(vec![
        Figure {
            name: "outage",
            value: rate,
            unit: "events/s",
            floor: Some(ARRIVING as f64),
            goal: Goal::RatioAtLeast(TIMES),
            about: format!(
                "{backlog} held events drain at the owner; floor: what arrives meanwhile, ten times the peak"
            ),
        },
        Figure {
            name: "outage-live",
            value: percentile(&beside, 99)?,
            unit: "ms",
            floor: Some(percentile(&alone, 99)?),
            goal: Goal::RatioAtMost(2.0),
            about: format!(
                "p99 of {} parcels (median {:.1} ms), from the carrier's API to the owner's timeline, while \
                 it drains; floor: of {} without a backlog (median {:.1} ms)",
                beside.len(),
                percentile(&beside, 50)?,
                alone.len(),
                percentile(&alone, 50)?,
            ),
        },
        Figure {
            name: "outage-wrong",
            value: (missing + wrong) as f64,
            unit: "events",
            floor: None,
            goal: Goal::AtMost(0.0),
            about: format!("lost, repeated or out of order, of {all}"),
        },
    ])
}

/// A carrier that holds the events of `waves` for an owner, with no agreement between them.
fn with_backlog(setting: &Setting, waves: u64) -> anyhow::Result<Pair> {
    let pair = Pair {
        provider: Side::up(setting, &CARRIER)?,
        consumer: Side::up(setting, &OWNER)?,
    };
    pair.provider.lists(&OWNER, &pair.consumer.place)?;
    pair.consumer.lists(&CARRIER, &pair.provider.place)?;
    for parcels in [
        0..(waves + 1) * WAVE_PARCELS,
        TRACKED_FROM..TRACKED_FROM + FOLLOWED_MAX,
    ] {
        announce(&pair.provider, parcels.clone())?;
        Load::new(pair.consumer.place.local, 1, "200").run(&mut [Parcels {
            admin: pair.consumer.place.admin.clone(),
            members: "\"marketplace\":\"taobao\"".into(),
            parcels,
        }])?;
    }
    let provider = &pair.provider.place;
    send(provider.local, &provider.admin, 0..waves * WAVE_EVENTS)?;
    Ok(pair)
}

/// Events that arrive all the time.
struct Arriving<'a> {
    pair: &'a Pair,
    first: u64,
    last: u64,
}

impl Arriving<'_> {
    /// A document every tenth of a second until `done`; how many events that were.
    fn go(&self, done: &AtomicBool) -> anyhow::Result<u64> {
        let place = &self.pair.provider.place;
        let every =
            Duration::from_secs(1) * u32::try_from(DOCUMENT_EVENTS)? / u32::try_from(ARRIVING)?;
        let begin = now();
        let mut next = self.first;
        let mut due = Duration::ZERO;
        while !done.load(Ordering::Relaxed) && next < self.last {
            let events = next..next + DOCUMENT_EVENTS;
            let mut documents = Documents::shares(&place.admin, events, 1);
            Load::new(place.local, 1, "202")
                .run(&mut documents)
                .context("failed to send what arrives")?;
            next += DOCUMENT_EVENTS;
            due += every;
            std::thread::sleep(due.saturating_sub(begin.elapsed()));
        }
        Ok(next - self.first)
    }
}

struct Outage<'a> {
    pair: &'a Pair,
    followed: u64,
}

impl Outage<'_> {
    /// Rate of the backlog, delays beside it and without it in milliseconds, events that arrived.
    fn measure(
        &mut self,
        arriving: &Arriving<'_>,
        backlog: u64,
        calm: usize,
    ) -> anyhow::Result<(f64, Vec<f64>, Vec<f64>, u64)> {
        let mut terms = terms(Dataset::TrackingEvents, wall())?;
        terms.covers_from = Some(wall().plus_ms(-DAY_MS));
        agree(
            (&self.pair.provider, &CARRIER),
            (&self.pair.consumer, &OWNER),
            &terms,
        )?;
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let arrives = scope.spawn(|| arriving.go(&done));
            let measured = self.follow(backlog, calm);
            done.store(true, Ordering::Relaxed);
            let sent = arrives.join();
            let sent = sent.map_err(|_| anyhow::anyhow!("the arrivals ended by a defect"))??;
            let (rate, beside, alone) = measured?;
            Ok((rate, beside, alone, sent))
        })
    }

    fn follow(&mut self, backlog: u64, calm: usize) -> anyhow::Result<(f64, Vec<f64>, Vec<f64>)> {
        let begin = now();
        let first = self.drained()?;
        let (mut last, mut took) = (first, Duration::ZERO);
        let mut beside = Vec::new();
        while last < backlog {
            beside.push(self.one()?);
            (last, took) = (self.drained()?, begin.elapsed());
            if took > STALL_MAX * 10 {
                bail!("{last} of {backlog} events have drained");
            }
        }
        let mut alone = Vec::with_capacity(calm);
        for _ in 0..calm {
            alone.push(self.one()?);
        }
        let rate = (last - first) as f64 / took.as_secs_f64().max(1e-3);
        Ok((rate, beside, alone))
    }

    /// Held events that have left.
    fn drained(&self) -> anyhow::Result<u64> {
        let status = self.pair.provider.client.get("/status")?;
        let feeds = status.get("feeds").and_then(Value::as_array);
        let released = |feed: &Value| feed.pointer("/backlog/released")?.as_u64();
        Ok(feeds.into_iter().flatten().filter_map(released).sum())
    }

    /// How long a parcel's events take, in milliseconds.
    fn one(&mut self) -> anyhow::Result<f64> {
        let parcel = TRACKED_FROM + self.followed;
        self.followed += 1;
        if self.followed >= FOLLOWED_MAX {
            bail!("all parcels were followed");
        }
        let events = story(parcel);
        let path = format!("/parcels/sf/{}", waybill(parcel));
        let begin = now();
        self.pair.provider.client.post("/events", &events)?;
        while begin.elapsed() < STALL_MAX {
            let seen = self.pair.consumer.client.get(&path)?;
            let events = seen.get("events").and_then(Value::as_array);
            if events.map_or(0, Vec::len) as u64 >= STORY_EVENTS {
                let took = begin.elapsed();
                std::thread::sleep(FOLLOW_EVERY.saturating_sub(took));
                return Ok(took.as_secs_f64() * 1e3);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        bail!("the events of a parcel did not come within {STALL_MAX:?}")
    }
}

/// Waits until the owner has `events`; how many are missing when no more come.
fn wait_for(consumer: &Side, events: u64) -> anyhow::Result<u64> {
    let mut seen = (0, now());
    loop {
        let received = consumer.client.status("/eventsReceived")?;
        if received >= events {
            return Ok(received - events);
        }
        if received > seen.0 {
            seen = (received, now());
        }
        if seen.1.elapsed() > STALL_MAX {
            return Ok(events - received);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What `percent` of the values do not exceed.
fn percentile(values: &[f64], percent: usize) -> anyhow::Result<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().context("nothing was followed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 99).unwrap(), 99.0);
        assert_eq!(percentile(&values, 50).unwrap(), 50.0);
        assert_eq!(percentile(&[7.0], 99).unwrap(), 7.0);
        assert!(percentile(&[], 99).is_err());
    }
}
