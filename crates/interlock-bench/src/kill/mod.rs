//! `cargo xtask kill`: three nodes under load, one of them killed at a random point, again and again.
//!
//! INVARIANT: a node is ended by SIGKILL only, and what is checked was acknowledged over its own API
//! before. Which node is killed and how long it may work follow from the seed; at which instruction it
//! is hit does not. It knows the doors and the command line; nothing of a node's inside.
//!
//! After each kill and restart: no acknowledged event or deposit is missing, what the owner's systems
//! had read stands where it stood and nothing came twice, and the evidence of all three, exported while
//! they run, verifies. At the end everything acknowledged is at its consumer once, and one message for
//! each deposit was given to the gateway.

mod check;
mod gateway;
mod work;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use interlock_core::dataset::Dataset;
use serde_json::json;

use super::campaign::Campaign;
use super::documents::{Parcels, TRACKED_FROM};
use super::load::Load;
use super::machine::wall;
use super::pair::{CARRIER, OPERATOR, OWNER, Side, agree, terms};
use super::{Setting, empty};
use check::Checks;
pub(super) use gateway::Gateway;
use work::Work;

/// The argument that asks for this instead of benchmarks.
pub(super) const ARGUMENT: &str = "kill";
const USAGE: &str = "usage: cargo xtask kill [--times N] [--seed S]";
const TIMES: u64 = 200;
/// How long the nodes work between a check and the next kill, at most.
const WORK_MS_MAX: u64 = 350;
/// A node that is killed again while it recovers has had this long, at most.
const RECOVERY_MS_MAX: u64 = 120;
/// Compartments of a station.
pub(super) const COMPARTMENTS: u64 = 1_000;
/// Parcels of either kind for each kill: more than the load gets to.
const PARCELS_A_KILL: u64 = 60;
/// After so many kills the nodes are new: all their evidence is verified after each kill, so nodes that
/// live on make each kill dearer than the one before.
const KILLS_OF_ONE_LIFE: u64 = 100;
/// Of so many checks one has the load go on while evidence is exported and verified.
const CHECKS_UNDER_LOAD: u64 = 10;

/// Random numbers from a seed (xorshift64*).
pub(super) struct Chance(u64);

impl Chance {
    /// Of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// The three nodes.
pub(super) struct Three {
    pub(super) carrier: Side,
    pub(super) owner: Side,
    pub(super) operator: Side,
}

impl Three {
    pub(super) const fn all(&self) -> [&Side; 3] {
        [&self.carrier, &self.owner, &self.operator]
    }

    const fn side(&mut self, number: u64) -> (&'static str, &mut Side) {
        match number {
            0 => (CARRIER.name, &mut self.carrier),
            1 => (OWNER.name, &mut self.owner),
            _ => (OPERATOR.name, &mut self.operator),
        }
    }
}

/// Runs the campaign as `args` ask for it.
pub(super) fn main(
    binary: std::path::PathBuf,
    scratch: std::path::PathBuf,
    args: &[String],
) -> anyhow::Result<ExitCode> {
    let Some(asked) = Campaign::asked_for((binary, scratch), args, TIMES, USAGE) else {
        return Ok(ExitCode::from(2));
    };
    let Campaign {
        times,
        seed,
        setting,
    } = asked;
    println!("{times} kills, seed {seed}");
    let told = campaign(&setting, times, seed).with_context(|| {
        format!(
            "seed {seed}; the data directories are kept in `{}`",
            setting.scratch.display()
        )
    })?;
    println!("{told}");
    empty(&setting.scratch)?;
    Ok(ExitCode::SUCCESS)
}

fn campaign(setting: &Setting, times: u64, seed: u64) -> anyhow::Result<String> {
    let mut chance = Chance::new(seed);
    let mut sum = Sum::default();
    while sum.kills < times {
        empty(&setting.scratch)?;
        life(setting, times, &mut chance, &mut sum)?;
        println!("{}", sum.told());
    }
    Ok(format!(
        "{}; 0 lost, 0 repeated, evidence of all pairs verified {} times",
        sum.told(),
        sum.verified
    ))
}

/// Three nodes from their first start until they were killed often enough, or `times` is reached.
fn life(setting: &Setting, times: u64, chance: &mut Chance, sum: &mut Sum) -> anyhow::Result<()> {
    let gateway = Gateway::open()?;
    let mut three = up(setting, &gateway)?;
    let until = times.min(sum.kills + KILLS_OF_ONE_LIFE);
    let parcels = (until - sum.kills) * PARCELS_A_KILL + COMPARTMENTS;
    announce(&three, parcels)?;
    let work = Arc::new(Work::new(&three, parcels));
    let threads = work.start();
    let mut checks = Checks::new(setting);
    while sum.kills < until {
        std::thread::sleep(Duration::from_millis(chance.below(WORK_MS_MAX)));
        let (name, side) = three.side(chance.below(3));
        side.node.kill()?;
        sum.kills += 1;
        if chance.below(4) == 0 {
            side.node = side.place.start()?;
            std::thread::sleep(Duration::from_millis(chance.below(RECOVERY_MS_MAX)));
            side.node.kill()?;
            sum.kills += 1;
        }
        side.node = side.place.up()?;
        work.pause(chance.below(CHECKS_UNDER_LOAD) != 0);
        checks
            .after_a_kill(&three, &work, chance)
            .with_context(|| format!("after kill {}, of the {name}", sum.kills))?;
        work.pause(false);
        if let Some(error) = work.failed() {
            bail!("after kill {}, of the {name}: {error}", sum.kills);
        }
    }
    work.stop();
    for thread in threads {
        if thread.join().is_err() {
            bail!("a thread of the load ended by a defect");
        }
    }
    if let Some(error) = work.failed() {
        bail!("{error}");
    }
    checks.at_the_end(&three, &work, &gateway)?;
    let acknowledged = work.acknowledged();
    sum.events += acknowledged.events();
    sum.deposits += acknowledged.deposits.len();
    sum.messages += gateway.taken();
    sum.verified += checks.verified();
    Ok(())
}

/// What all lives had.
#[derive(Default)]
struct Sum {
    kills: u64,
    events: u64,
    deposits: usize,
    messages: usize,
    verified: u64,
}

impl Sum {
    fn told(&self) -> String {
        format!(
            "{} kills: {} events and {} deposits acknowledged; {} messages",
            self.kills, self.events, self.deposits, self.messages
        )
    }
}

fn up(setting: &Setting, gateway: &Gateway) -> anyhow::Result<Three> {
    let operator = super::place::Place::init(setting, &OPERATOR)?;
    gateway.configure(&operator)?;
    let three = Three {
        carrier: Side::up(setting, &CARRIER)?,
        owner: Side::up(setting, &OWNER)?,
        operator: Side::of(operator)?,
    };
    let Three {
        carrier,
        owner,
        operator,
    } = &three;
    carrier.lists(&OWNER, &owner.place)?;
    owner.lists(&CARRIER, &carrier.place)?;
    owner.lists(&OPERATOR, &operator.place)?;
    operator.lists(&OWNER, &owner.place)?;
    let of = |dataset| terms(dataset, wall());
    agree(
        (carrier, &CARRIER),
        (owner, &OWNER),
        &of(Dataset::TrackingEvents)?,
    )?;
    agree(
        (owner, &OWNER),
        (operator, &OPERATOR),
        &of(Dataset::RecipientContact)?,
    )?;
    agree(
        (operator, &OPERATOR),
        (owner, &OWNER),
        &of(Dataset::LockerEvents)?,
    )?;
    Ok(three)
}

/// All nodes know the parcels: those that are deposited, and those that are only tracked.
fn announce(three: &Three, parcels: u64) -> anyhow::Result<()> {
    let stations: Vec<serde_json::Value> = (0..parcels.div_ceil(COMPARTMENTS))
        .map(|n| {
            json!({
                "id": format!("S{n}"),
                "name": format!("Station {n}"),
                "position": { "longitude": 114.0, "latitude": 22.5 },
                "capacity": { "small": COMPARTMENTS },
            })
        })
        .collect();
    three
        .operator
        .client
        .put("/stations", &json!({ "stations": stations }))?;
    let owned = format!(
        "\"marketplace\":\"taobao\",\"owner\":\"{}\",\"consent\":\"given\",\"size\":\"small\"",
        OWNER.id
    );
    let known = "\"marketplace\":\"taobao\",\"consent\":\"given\",\"recipient\":{\"name\":\"Li Wei\",\
                 \"phone\":\"138PARCEL\",\"address\":\"Shenzhen, Baoan, Xixiang 7\"}";
    let put = |side: &Side, members: &str, parcels: std::ops::Range<u64>| {
        Load::new(side.place.local, 1, "200").run(&mut [Parcels {
            admin: side.place.admin.clone(),
            members: members.into(),
            parcels,
        }])
    };
    put(&three.operator, &owned, 0..parcels)?;
    put(&three.owner, known, 0..parcels)?;
    let tracked = TRACKED_FROM..TRACKED_FROM + parcels;
    put(&three.carrier, &owned, tracked.clone())?;
    put(&three.owner, "\"marketplace\":\"taobao\"", tracked)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_choices_and_all_of_them() {
        let draw = |seed| {
            let mut chance = Chance::new(seed);
            (0..64).map(|_| chance.below(3)).collect::<Vec<u64>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!((0..3).all(|number| draw(7).contains(&number)));
    }
}
