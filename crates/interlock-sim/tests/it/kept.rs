//! What snapshots keep has the form that is checked in, or another version.
//!
//! A program takes up the snapshot of another build of it only if the version is the same. So whoever
//! changes a type of the state must raise the version, and this test is there to say so.

mod shape;

use std::collections::BTreeSet;

use interlock::driver::snapshot::KEPT_VERSION;
use interlock::node::state::State;

use self::shape::Shape;
use crate::random;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/kept/form.txt");
/// Schedules of which the states are looked at.
const SEEDS: std::ops::Range<u64> = 0..8;

fn add(shape: &Shape, state: &State) {
    shape.add(state);
    for parcel in state.parcels.iter() {
        shape.add(&*parcel);
    }
    for entry in state.inbox.iter() {
        shape.add(&entry);
    }
    for entry in state.ledger.iter() {
        shape.add(&entry);
    }
    for (_, keyed) in state.keyed.iter() {
        shape.add(&keyed);
    }
}

/// What a line is about.
fn subject(line: &str) -> &str {
    line.split_once(" = ").map_or(line, |(what, _)| what)
}

#[test]
fn another_form_of_what_is_kept_has_another_version() {
    let shape = Shape::default();
    for seed in SEEDS {
        random::states_after(seed, &mut |state| add(&shape, state));
    }
    let found = shape.lines();
    let text = std::fs::read_to_string(FILE).unwrap();
    let mut lines = text.lines().map(str::to_owned);
    let version = lines.next().unwrap();
    let known: BTreeSet<String> = lines.collect();
    let now = format!("version {KEPT_VERSION}");
    let other: Vec<&String> = found.difference(&known).collect();
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    if version == now {
        let subjects: BTreeSet<&str> = known.iter().map(|line| subject(line)).collect();
        let changed: Vec<_> = other
            .iter()
            .filter(|line| subjects.contains(subject(line)))
            .collect();
        assert!(
            changed.is_empty(),
            "raise KEPT_VERSION, then run this test with UPDATE_EXPECT=1: {changed:#?}"
        );
    }
    let written: BTreeSet<String> = match version == now {
        true => known.union(&found).cloned().collect(),
        false => found.clone(),
    };
    if update {
        let lines: String = written.iter().map(|line| format!("{line}\n")).collect();
        return std::fs::write(FILE, format!("{now}\n{lines}")).unwrap();
    }
    assert!(
        version == now && other.is_empty(),
        "run this test with UPDATE_EXPECT=1: {other:#?}"
    );
}
