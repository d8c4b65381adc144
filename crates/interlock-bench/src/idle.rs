//! A node that has nothing to do: `rest` and `start`.

use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use super::Setting;
use super::figure::{Figure, Goal, median};
use super::machine::{now, resident_mib};
use super::place::{Place, Role, succeed};

/// Time at rest before memory is read, so that start-up's own work is over.
const SETTLE: Duration = Duration::from_secs(1);

const NODE: Role = Role {
    name: "idle",
    id: "did:web:bench.example",
    role: "locker-operator",
    marketplace: None,
    config: "",
};

/// Resident memory of a fresh node a second after it first answers.
pub(crate) fn rest(setting: &Setting) -> anyhow::Result<Vec<Figure>> {
    let place = Place::init(setting, &NODE)?;
    let node = place.up()?;
    std::thread::sleep(SETTLE);
    Ok(vec![Figure {
        name: "rest",
        value: resident_mib(node.pid())?,
        unit: "MiB",
        floor: None,
        goal: Goal::AtMost(40.0),
        about: "memory of one node at rest".into(),
    }])
}

/// Median time from exec to the first 200 of `GET /health`.
pub(crate) fn start(setting: &Setting) -> anyhow::Result<Vec<Figure>> {
    let place = Place::init(setting, &NODE)?;
    let rounds = if setting.quick { 3 } else { 9 };
    let mut floors = Vec::new();
    let mut values = Vec::new();
    for _ in 0..rounds {
        let begin = now();
        succeed(Command::new(&setting.binary).arg("--version"))?;
        floors.push(begin.elapsed().as_secs_f64());

        let begin = now();
        let _node = place.up()?;
        values.push(begin.elapsed().as_secs_f64());
    }
    Ok(vec![Figure {
        name: "start",
        value: median(values).context("no round was measured")?,
        unit: "s",
        floor: median(floors),
        goal: Goal::AtMost(0.2),
        about: "from exec to the first answer; floor: the binary printing its version".into(),
    }])
}
