//! `encryption`: what it costs to keep personal data encrypted, each key in a slot of its own.
//!
//! Nodes as they ship beside nodes of the same library that keep personal data as it is and store no keys,
//! in turn and in one run. The cipher that does nothing is this program's and in no other: the seam is
//! `interlock::node::cipher`, and no configuration names another one.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use interlock::node::cipher::Cipher;
use interlock::run::{Beside, run_beside};
use zeroize::Zeroizing;

use super::documents::{Parcels, WAVE_EVENTS};
use super::figure::{Figure, Goal, median};
use super::ingest::Carrier;
use super::load::Load;
use super::pair::{OWNER, Side};
use super::{Setting, couriers, lookup};

/// The argument by which this program is started as a node that encrypts nothing.
pub(crate) const ARGUMENT: &str = "serve-plain";
const QUICK_ROUNDS: usize = 1;
const ROUNDS: usize = 5;
/// Contacts a round.
const QUICK_CONTACTS: u64 = 3_000;
const CONTACTS: u64 = 20_000;
/// Parcels with recipients a round.
const PARCELS: u64 = 50_000;
const QUICK_PARCELS: u64 = 5_000;

/// Copies, and needs no keys.
#[derive(Debug)]
struct Copying;

impl Cipher for Copying {
    fn seal(&self, _: &[u8; 32], _: &[u8], plain: &[u8], _: &[u8; 12]) -> Option<Vec<u8>> {
        Some(plain.to_vec())
    }

    fn open(
        &self,
        _: Option<Zeroizing<[u8; 32]>>,
        _: &[u8],
        sealed: &[u8],
        _: &[u8; 12],
    ) -> Option<Zeroizing<Vec<u8>>> {
        Some(Zeroizing::new(sealed.to_vec()))
    }

    fn has_keys(&self) -> bool {
        false
    }
}

/// What such a node is started with.
pub(crate) fn beside() -> Beside {
    Beside {
        cipher: Some(&Copying),
        ..Beside::default()
    }
}

/// This program as such a node; `run --config FILE` follows.
pub(crate) fn command() -> anyhow::Result<Command> {
    let own = std::env::current_exe().context("failed to find this program's own path")?;
    let mut command = Command::new(own);
    command.arg(ARGUMENT);
    Ok(command)
}

/// Runs such a node until it is ended.
pub(crate) fn serve(args: &[String]) -> anyhow::Result<()> {
    let path = args.last().map(PathBuf::from);
    let config = couriers::read(&path.context("`run --config FILE` follows")?)?;
    run_beside(&config, beside(), |_| {}).context("the node ended")
}

/// The two ways to run a node, each in a directory of its own.
fn both(setting: &Setting, name: &str) -> anyhow::Result<[Setting; 2]> {
    let one = |plain: bool| {
        let kind = if plain { "plain" } else { "encrypted" };
        let scratch = setting.scratch.join(format!("{name}-{kind}"));
        std::fs::create_dir_all(&scratch).context("failed to make a directory")?;
        Ok::<Setting, anyhow::Error>(Setting {
            binary: setting.binary.clone(),
            scratch,
            quick: setting.quick,
            events: setting.events,
            plain,
        })
    };
    Ok([one(false)?, one(true)?])
}

/// A rate of nodes as they ship, and as floor that of nodes that encrypt nothing.
fn figure(
    name: &'static str,
    unit: &'static str,
    rates: [Vec<f64>; 2],
    goal: Goal,
    about: &str,
) -> anyhow::Result<Figure> {
    let [shipped, plain] = rates.map(median);
    Ok(Figure {
        name,
        value: shipped.context("no round was measured")?,
        unit,
        floor: plain,
        goal,
        about: format!("{about}; floor: the same with nothing encrypted and no key stored"),
    })
}

/// Events, parcels with recipients and contacts a second, encrypted beside plain.
pub(crate) fn encryption(setting: &Setting) -> anyhow::Result<Vec<Figure>> {
    let rounds = if setting.quick { QUICK_ROUNDS } else { ROUNDS };
    Ok(vec![
        figure(
            "encryption-ingest",
            "events/s",
            ingest(setting, rounds)?,
            Goal::RatioAtLeast(0.8),
            "documents of 100 events, which hold no personal data",
        )?,
        figure(
            "encryption-parcels",
            "parcels/s",
            parcels(setting, rounds)?,
            Goal::Shown,
            "parcels announced with their recipients, one request after the other",
        )?,
        figure(
            "encryption-lookup",
            "contacts/s",
            lookups(setting, rounds)?,
            Goal::RatioAtLeast(0.8),
            "contacts asked for by many couriers at once, evidence durable at both",
        )?,
    ])
}

fn ingest(setting: &Setting, rounds: usize) -> anyhow::Result<[Vec<f64>; 2]> {
    let [shipped, plain] = both(setting, "ingest")?;
    let mut carriers = [Carrier::up(&shipped)?, Carrier::up(&plain)?];
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (carrier, rates) in carriers.iter_mut().zip(&mut rates) {
            rates.push(carrier.wave()?.0.rate(WAVE_EVENTS));
        }
    }
    Ok(rates)
}

fn parcels(setting: &Setting, rounds: usize) -> anyhow::Result<[Vec<f64>; 2]> {
    let count = if setting.quick {
        QUICK_PARCELS
    } else {
        PARCELS
    };
    let [shipped, plain] = both(setting, "parcels")?;
    let owners = [Side::up(&shipped, &OWNER)?, Side::up(&plain, &OWNER)?];
    let mut rates = [Vec::new(), Vec::new()];
    for round in 0..u64::try_from(rounds).unwrap_or_default() {
        for (owner, rates) in owners.iter().zip(&mut rates) {
            let outcome = Load::new(owner.place.local, 1, "200").run(&mut [Parcels {
                admin: owner.place.admin.clone(),
                members: lookup::RECIPIENT.into(),
                parcels: round * count..(round + 1) * count,
            }])?;
            rates.push(outcome.rate(count));
        }
    }
    Ok(rates)
}

fn lookups(setting: &Setting, rounds: usize) -> anyhow::Result<[Vec<f64>; 2]> {
    let count = if setting.quick {
        QUICK_CONTACTS
    } else {
        CONTACTS
    };
    let mut rates = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        let settings = both(setting, &format!("lookup-{round}"))?;
        for (setting, rates) in settings.iter().zip(&mut rates) {
            rates.push(lookup::contacts(setting, count)?);
        }
    }
    Ok(rates)
}
