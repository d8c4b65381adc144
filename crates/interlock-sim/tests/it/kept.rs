//! What snapshots keep has the form that is checked in, or another version.
//!
//! A program takes up the snapshot of another build of it only if the version is the same. So whoever
//! changes a type of the state must raise the version, and this test is there to say so.

mod shape;

use std::collections::BTreeSet;

use interlock::driver::snapshot::KEPT_VERSION;
use interlock::identity::password::{Password, PasswordHash};
use interlock::identity::person::PersonName;
use interlock::node::io::{LocalRequest, OfferPut, PersonPut, Role};
use interlock::node::state::State;
use interlock_core::dataset::Dataset;
use interlock_core::ids::CourierId;
use interlock_core::time::{DAY_MS, HOUR_MS};

use self::shape::Shape;
use crate::support::*;
use crate::{calls, random};

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

/// Two nodes that negotiated, of which one has a courier who logs in.
fn negotiated() -> Network {
    let mut net = Network::of_june_2017(1);
    let until = MIDNIGHT.plus_ms(30 * DAY_MS);
    for (id, auto_accept) in [("urn:offer:a", true), ("urn:offer:b", false)] {
        let mut terms = terms(Dataset::LockerStations, MIDNIGHT, until, &[]);
        (terms.run_off_ms, terms.backlog) = (None, None);
        let offer = OfferPut {
            id: wire(id),
            dataset: terms.dataset.into(),
            policy: terms.to_policy(),
            audience: Vec::new(),
            auto_accept,
        };
        ok(net.world.local(FENGCHAO, LocalRequest::PublishOffer(offer)));
        let propose = LocalRequest::Propose {
            partner: net.world.id(FENGCHAO).unwrap().clone(),
            offers: vec![wire(id)],
            policies: Vec::new(),
        };
        ok(net.world.local(CAINIAO, propose));
        net.world.run_until(net.world.now().plus_ms(HOUR_MS));
    }
    let password = Password::typed("three long words").unwrap();
    let person = PersonPut {
        name: PersonName::parse("wang").unwrap(),
        roles: [Role::Courier].into(),
        courier: CourierId::parse("c7").ok(),
        merchant: None,
        password: PasswordHash::of(&password, [1; 16]).unwrap(),
        enrolment: [2; 16],
    };
    ok(net
        .world
        .local(FENGCHAO, LocalRequest::PutPerson(Box::new(person))));
    net.assert_replay_gives_the_same();
    net
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
    for net in [negotiated(), calls::leased(966)] {
        for ix in [CAINIAO, FENGCHAO] {
            add(&shape, net.world.node(ix).unwrap().state());
        }
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
