//! `negotiate`: from a proposal to an agreement that both have signed.
//!
//! A caller proposes at the consumer's local API and waits there for the end. It is answered once the
//! consumer has made the provider's signature durable, which the provider had done before it answered:
//! catalog, request, agreement, verification, finalization and manifest, each durable at its receiver.
//! The term begins tomorrow, so that no transfer is part of what is measured; each agreement takes the
//! place of the one before it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use interlock_core::time::DAY_MS;
use serde_json::{Value, json};

use super::client::Connection;
use super::documents::{head, request};
use super::figure::{Figure, Goal, median};
use super::machine::{now, process_cpu, resident_mib, wall};
use super::pair::{OPERATOR, OWNER, Pair, Side, stations};
use super::place::Place;
use super::{Setting, floor};

const QUICK_SINGLE: usize = 60;
const QUICK_MANY: usize = 800;
const SINGLE: usize = 1_000;
const MANY: usize = 100_000;
/// Callers at once.
const CALLERS: usize = 20;
/// How often resident memory is read.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// Groups that a negotiation has to see durable, one after the other: the proposal, the request, the
/// agreement, the verification, its end, the manifest at both.
const GROUPS: f64 = 7.0;
/// Records of a negotiation at one node, about.
const RECORDS: f64 = 14.0;

/// Time, rate, processor time and memory of negotiations.
// tidy: long, one literal a figure
pub(crate) fn negotiate(setting: &Setting) -> anyhow::Result<Vec<Figure>> {
    let (single, many) = match (setting.quick, setting.events) {
        (true, None) => (QUICK_SINGLE, QUICK_MANY),
        (true, Some(many)) => (QUICK_SINGLE, usize::try_from(many)?),
        (false, _) => (SINGLE, MANY),
    };
    let pair = offered(setting)?;
    let mut times = Vec::with_capacity(single);
    let mut failed = 0;
    let mut caller = Caller::new(&pair.consumer.place)?;
    for _ in 0..single {
        let begin = now();
        failed += usize::from(!caller.negotiate()?);
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    // Beginning, middle and end: what is kept until a snapshot has it comes and goes in each.
    let part = many * 2 / 5;
    let (mut took, mut used) = (Duration::ZERO, Duration::ZERO);
    let mut peaks = Vec::new();
    for count in [many - 2 * part, part, part] {
        let cpu = cpu(&pair)?;
        let begin = now();
        let (more, peak) = peak_of(&pair, || at_once(&pair.consumer.place, count))?;
        failed += more;
        took += begin.elapsed();
        used += self::cpu(&pair)?.saturating_sub(cpu);
        peaks.push(peak);
    }
    let scratch = setting.scratch.join("floor");
    let one = floor::append(&scratch, 200, 1)?;
    let grouped = floor::append(&scratch, 20_000, CALLERS)?;
    let rate = many as f64 / took.as_secs_f64().max(1e-9);
    Ok(vec![
        Figure {
            name: "negotiate",
            value: median(times).context("nothing was negotiated")?,
            unit: "ms",
            floor: Some(GROUPS / one * 1e3),
            goal: Goal::AtMost(5.0),
            about: "p50 one by one, to both signatures; floor: the journal alone, seven groups"
                .into(),
        },
        Figure {
            name: "negotiate-rate",
            value: rate,
            unit: "1/s",
            floor: Some(grouped / RECORDS / 2.0),
            goal: Goal::AtLeast(1_000.0),
            about: format!(
                "{CALLERS} at once; floor: the journal alone, groups of {CALLERS}, at both"
            ),
        },
        Figure {
            name: "negotiate-cpu",
            value: used.as_secs_f64() * 1e3 / many as f64,
            unit: "ms",
            floor: None,
            goal: Goal::AtMost(2.0),
            about: "processor time of both nodes each".into(),
        },
        Figure {
            name: "negotiate-failed",
            value: failed as f64,
            unit: "",
            floor: None,
            goal: Goal::AtMost(0.0),
            about: format!("of {}", single + many),
        },
        Figure {
            name: "negotiate-memory",
            value: peaks.last().copied().unwrap_or_default(),
            unit: "MiB",
            floor: peaks.get(1).copied(),
            goal: Goal::RatioAtMost(1.1),
            about: format!(
                "most resident in both nodes in the last {part}; floor: in the {part} before"
            ),
        },
    ])
}

/// Two nodes, of which one offers stations to whoever asks.
fn offered(setting: &Setting) -> anyhow::Result<Pair> {
    let pair = Pair {
        provider: Side::up(setting, &OPERATOR)?,
        consumer: Side::up(setting, &OWNER)?,
    };
    pair.provider.lists(&OWNER, &pair.consumer.place)?;
    pair.consumer.lists(&OPERATOR, &pair.provider.place)?;
    let terms = stations(wall().plus_ms(DAY_MS));
    let offer = json!({
        "id": "urn:bench:stations",
        "dataset": terms.dataset.as_str(),
        "policy": terms.to_policy(),
        "autoAccept": true,
    });
    pair.provider.client.post("/offers", &offer)?;
    Ok(pair)
}

/// Negotiates `count` times, [`CALLERS`] at once; how many failed.
fn at_once(place: &Place, count: usize) -> anyhow::Result<usize> {
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|at| {
                let own = count / CALLERS + usize::from(at < count % CALLERS);
                scope.spawn(move || -> anyhow::Result<usize> {
                    let mut caller = Caller::new(place)?;
                    let mut failed = 0;
                    for _ in 0..own {
                        failed += usize::from(!caller.negotiate()?);
                    }
                    Ok(failed)
                })
            })
            .collect();
        let mut failed = 0;
        for caller in callers {
            let done = caller.join();
            failed += done.map_err(|_| anyhow::anyhow!("a caller ended by a defect"))??;
        }
        Ok(failed)
    })
}

/// What `work` gives, and the most that was resident in both nodes meanwhile, in MiB.
fn peak_of<T>(pair: &Pair, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(T, f64)> {
    let resident = || -> anyhow::Result<f64> {
        Ok(resident_mib(pair.provider.node.pid())? + resident_mib(pair.consumer.node.pid())?)
    };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| -> anyhow::Result<f64> {
            let mut peak = resident()?;
            while !done.load(Ordering::Relaxed) {
                std::thread::sleep(SAMPLE_EVERY);
                peak = peak.max(resident()?);
            }
            Ok(peak)
        });
        let outcome = work();
        done.store(true, Ordering::Relaxed);
        let peak = watch.join();
        let peak = peak.map_err(|_| anyhow::anyhow!("a sampler ended by a defect"))??;
        Ok((outcome?, peak))
    })
}

fn cpu(pair: &Pair) -> anyhow::Result<Duration> {
    Ok(process_cpu(pair.provider.node.pid())? + process_cpu(pair.consumer.node.pid())?)
}

/// A caller with a connection that stays open.
struct Caller {
    connection: Connection,
    admin: String,
}

impl Caller {
    fn new(place: &Place) -> anyhow::Result<Self> {
        Ok(Self {
            connection: Connection::open(place.local)?,
            admin: place.admin.clone(),
        })
    }

    /// One negotiation; whether it ended as it should.
    fn negotiate(&mut self) -> anyhow::Result<bool> {
        let body = json!({ "partner": OPERATOR.id, "offers": ["urn:bench:stations"] });
        let opened = self.ask("POST", "/negotiations", &body.to_string())?;
        let id = opened.pointer("/negotiations/0").and_then(Value::as_str);
        let Some(id) = id else { return Ok(false) };
        let path = format!("/negotiations/{id}?wait=30000");
        let ended = self.ask("GET", &path, "")?;
        Ok(ended.get("state").and_then(Value::as_str) == Some("FINALIZED"))
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
        let request = match body.is_empty() {
            true => format!("{}\r\n", head(method, path, &self.admin)).into_bytes(),
            false => request(method, path, &self.admin, body),
        };
        let (_, answer) = self.connection.send(&request)?;
        serde_json::from_slice(&answer).context("an answer is no JSON")
    }
}
