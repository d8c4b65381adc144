//! Anchor logs and a witness.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;
use interlock::exchange::wire::{Blob, Envelope, Evidence, LogSide, Notice};
use interlock::identity::partner::Role;
use interlock::node::io::{PeerAnswer, PeerRequest, Problem};
use interlock::node::record::{AlertKind, Record};
use interlock_core::ids::ParticipantId;
use interlock_core::time::{HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use interlock_journal::anchor::{anchor_origin, cosign};
use interlock_journal::checkpoint::Checkpoint;
use interlock_journal::evidence::{TrustedKeys, verify};
use interlock_journal::merkle::{self, leaf_hash};
use interlock_sim::ClockError;

use crate::support::*;

const PARCEL: &str = "SF1000000000001";

/// JD is the witness; everybody anchors every hour.
fn network(seed: u64) -> Network {
    let mut net = Network::of_june_2017(seed);
    for ix in ALL {
        net.world.configure(ix, |config| {
            config.anchor_every_ms = Some(HOUR_MS);
            if ix == JD {
                config.roles.push(Role::Regulator);
            }
        });
        net.world.kill(ix);
        assert!(net.world.restart(ix));
        net.world.settle();
    }
    net.put_parcel(PARCEL, "taobao", CAINIAO, "13800000001");
    net
}

fn run(net: &mut Network, ms: i64) {
    let until = net.world.now().plus_ms(ms);
    net.world.run_until(until);
}

/// Runs until a quarter of an hour after the next full hour.
fn to_next_quarter(net: &mut Network) {
    let into = net.world.now().as_millis().rem_euclid(HOUR_MS);
    run(net, HOUR_MS + 15 * MINUTE_MS - into);
}

fn note(net: &Network, ix: usize) -> String {
    let state = net.world.node(ix).unwrap().state();
    state.anchor.note.clone().unwrap()
}

/// Who cosigned the newest anchor of a node, and what they added.
fn cosigned(net: &Network, ix: usize) -> BTreeMap<ParticipantId, String> {
    net.world.node(ix).unwrap().state().anchor.cosigned.clone()
}

fn alerts_of(net: &Network, ix: usize, kind: AlertKind) -> Vec<String> {
    let alerts = &net.world.node(ix).unwrap().state().alerts;
    let of_kind = alerts.iter().filter(|it| it.kind == kind);
    of_kind.map(|it| it.detail.clone()).collect()
}

#[test]
fn a_witness_dates_the_logs_and_sees_neither_sizes_nor_partners() {
    let mut net = network(450);
    for hour in 0..4 {
        for nth in 0..hour {
            net.track(SF, PARCEL, &format!("step-{hour}-{nth}"));
        }
        to_next_quarter(&mut net);
    }
    let by = net.world.now();
    let file = export_of(&net.world, SF);
    let mut trusted = TrustedKeys::new();
    for ix in ALL {
        let key = net.world.key(ix).unwrap().verifying_key().to_bytes();
        trusted.insert(net.world.id(ix).unwrap().clone(), vec![key]);
    }
    let verdict = verify(std::slice::from_ref(&file), &trusted);
    let sizes: BTreeSet<u64> = verdict.dated.iter().map(|it| it.leaves).collect();
    assert!(sizes.len() >= 3, "{:?}", verdict.dated);
    for dated in &verdict.dated {
        assert_eq!(&dated.witness, net.world.id(JD).unwrap());
        assert!(Timestamp::from_millis(dated.by_ms) <= by);
    }
    let malformed = verdict
        .findings
        .iter()
        .filter(|it| it.from_leaf == 0 && it.to_leaf > 1);
    assert_eq!(malformed.count(), 0, "{:?}", verdict.findings);
    // What the witness was sent of it: as much every hour, whatever passed.
    let jd = net
        .world
        .exchanged
        .iter()
        .filter(|it| it.from == JD && it.to == SF);
    let pages = jd.filter(|it| it.request.1.contains("log=anchor"));
    let lengths: BTreeSet<usize> = pages.map(|it| it.answer.1.len()).collect();
    assert!(lengths.len() <= 2, "{lengths:?}");
    net.assert_replay_gives_the_same();
}

#[test]
fn a_witness_whose_clock_is_in_doubt_dates_nothing() {
    let mut net = network(456);
    to_next_quarter(&mut net);
    let jd = net.world.id(JD).unwrap().clone();
    assert!(cosigned(&net, SF).contains_key(&jd));
    let witnessed = |net: &Network| {
        let of = net.world.id(SF).unwrap().clone();
        net.world.node(JD).unwrap().state().witnessed[&of]
            .tree
            .size()
    };
    let before = witnessed(&net);
    let clock = |skew_ms| ClockError {
        skew_ms,
        uncertainty_ms: 0,
    };
    net.world.set_clock(JD, clock(-3 * HOUR_MS));
    net.track(SF, PARCEL, "accepted");
    to_next_quarter(&mut net);
    assert!(!cosigned(&net, SF).contains_key(&jd), "a false date");
    assert_eq!(witnessed(&net), before);
    net.world.set_clock(JD, clock(0));
    to_next_quarter(&mut net);
    let line = cosigned(&net, SF).remove(&jd);
    assert!(line.is_some(), "the witness goes on");
    assert!(witnessed(&net) > before + 1, "what it left out is in it");
    net.assert_replay_gives_the_same();
}

#[test]
fn a_restart_keeps_the_cadence_and_a_rollback_begins_another_epoch() {
    let mut net = network(451);
    to_next_quarter(&mut net);
    let copy = net.world.journal(SF).len();
    net.track(SF, PARCEL, "accepted");
    to_next_quarter(&mut net);
    let before = Checkpoint::parse_unverified(&note(&net, SF)).unwrap();
    net.world.kill(SF);
    assert!(net.world.restart(SF));
    to_next_quarter(&mut net);
    let after = Checkpoint::parse_unverified(&note(&net, SF)).unwrap();
    assert_eq!(
        (after.size, &after.origin),
        (before.size + 1, &before.origin)
    );
    net.world.kill(SF);
    assert!(net.world.put_back(SF, copy));
    assert!(net.world.restart(SF));
    to_next_quarter(&mut net);
    let gone_on = Checkpoint::parse_unverified(&note(&net, SF)).unwrap();
    assert_ne!(
        gone_on.origin, after.origin,
        "no second log under the same name"
    );
    to_next_quarter(&mut net);
    let jd = net.world.id(JD).unwrap();
    assert!(cosigned(&net, SF).contains_key(jd), "the witness follows");
    let accused = alerts_of(&net, JD, AlertKind::EvidenceMismatch);
    assert_eq!(accused, Vec::<String>::new());
}

#[test]
fn a_node_put_back_over_nothing_but_anchors_learns_it_from_the_witness() {
    let mut net = network(454);
    to_next_quarter(&mut net);
    let copy = net.world.journal(SF).len();
    to_next_quarter(&mut net);
    to_next_quarter(&mut net);
    let before = Checkpoint::parse_unverified(&note(&net, SF)).unwrap();
    let lost = &net.world.journal(SF)[copy..];
    let anchors = lost.iter().all(|(_, bytes)| {
        let record = postcard::from_bytes::<Record>(bytes).unwrap();
        matches!(record, Record::Anchored(_) | Record::Cosigned { .. })
    });
    assert!(anchors && lost.len() == 4, "no log has grown");
    net.world.kill(SF);
    assert!(net.world.put_back(SF, copy));
    assert!(net.world.restart(SF));
    to_next_quarter(&mut net);
    let told = alerts_of(&net, SF, AlertKind::RolledBack);
    assert!(told[0].contains("of our anchor log"), "{told:?}");
    let gone_on = Checkpoint::parse_unverified(&note(&net, SF)).unwrap();
    assert_ne!(gone_on.origin, before.origin);
    assert!(cosigned(&net, SF).contains_key(net.world.id(JD).unwrap()));
    for ix in ALL {
        let accused = alerts_of(&net, ix, AlertKind::EvidenceMismatch);
        assert_eq!(accused, Vec::<String>::new());
    }
    net.assert_replay_gives_the_same();
}

/// What SF, taken over, shows of its anchor log to the witness that asks.
fn show(net: &mut Network, key: &SigningKey, epoch: u32, entries: &[Vec<u8>]) -> String {
    let sf = net.world.id(SF).unwrap().clone();
    let hashes: Vec<[u8; 32]> = entries.iter().map(|it| leaf_hash(it)).collect();
    let shown = Checkpoint {
        origin: anchor_origin(&sf, epoch),
        size: hashes.len() as u64,
        root: merkle::root(&hashes),
        time: net.world.now(),
    };
    let shown = shown.sign(key, sf.as_str()).unwrap();
    // The witness looks five minutes after the hour.
    let into = net.world.now().as_millis().rem_euclid(HOUR_MS);
    run(net, HOUR_MS + 5 * MINUTE_MS + SECOND_MS - into);
    let mut asked_once = false;
    // It is asked for the rest, and if that does not fit, for all.
    for _ in 0..2 {
        for asked in net.world.asked_of(SF) {
            let PeerRequest::Entries {
                log: LogSide::Anchor,
                from,
                ..
            } = &asked.request
            else {
                continue;
            };
            asked_once = true;
            let answer = match entries.get(*from as usize..) {
                Some(rest) => PeerAnswer::Evidence(Evidence {
                    from: *from,
                    leaves: rest.iter().cloned().map(Blob).collect(),
                    checkpoint: shown.clone(),
                }),
                None => PeerAnswer::Problem(Problem {
                    kind: "entries-gone".into(),
                    status: 410,
                    title: String::new(),
                    detail: String::new(),
                    errors: Vec::new(),
                }),
            };
            net.world.answer_for(SF, &asked, &answer);
        }
        run(net, SECOND_MS);
    }
    assert!(asked_once);
    shown
}

#[test]
fn an_anchor_log_that_forks_shrinks_or_goes_back_is_not_cosigned_and_is_told() {
    let other = |n: usize| -> Vec<Vec<u8>> { (0..n).map(|i| vec![i as u8 + 7; 32]).collect() };
    for case in 0..5 {
        let mut net = network(455 + case);
        to_next_quarter(&mut net);
        let copy = net.world.journal(SF).len();
        to_next_quarter(&mut net);
        let sf = net.world.id(SF).unwrap().clone();
        if case == 4 {
            // It has left its first epoch in the open.
            net.track(SF, PARCEL, "accepted");
            net.world.kill(SF);
            assert!(net.world.put_back(SF, copy));
            assert!(net.world.restart(SF));
            to_next_quarter(&mut net);
        }
        let key = net.world.key(SF).unwrap().clone();
        let held = net.world.node(SF).unwrap().state().anchor.entries.clone();
        let held: Vec<Vec<u8>> = held.iter().map(|it| it.to_vec()).collect();
        net.world.replace(SF);
        let witness = |net: &Network| net.world.node(JD).unwrap().state().witnessed[&sf].clone();
        let seen = witness(&net);
        assert_eq!(seen.epoch > 1, case == 4);
        let shown = match case {
            // Another log, longer; another of the same size; one with less in it; an entry that is none.
            0 => show(&mut net, &key, 1, &other(4)),
            1 => show(&mut net, &key, 1, &other(held.len())),
            2 => show(&mut net, &key, 1, &held[..1]),
            3 => show(&mut net, &key, 1, &[held, vec![vec![7; 31]]].concat()),
            _ => show(&mut net, &key, 1, &other(9)),
        };
        assert_eq!(witness(&net), seen, "{case}: nothing is cosigned");
        let told = alerts_of(&net, JD, AlertKind::EvidenceMismatch);
        assert_eq!(told.len(), 1, "{case}: {told:?}");
        assert!(
            told[0].contains(&seen.note) && told[0].contains(&shown),
            "{case}"
        );
    }
}

#[test]
fn only_a_partner_cosigns_and_only_the_newest_anchor_at_its_time() {
    let mut net = network(453);
    to_next_quarter(&mut net);
    let (jd, key) = (
        net.world.id(JD).unwrap().clone(),
        net.world.key(JD).unwrap().clone(),
    );
    let cainiao = net.world.id(CAINIAO).unwrap().clone();
    let own = net.world.key(CAINIAO).unwrap().clone();
    let plain: String = note(&net, SF);
    let now = net.world.now();
    let old = plain.replacen("anchor epoch 1", "anchor epoch 2", 1);
    let good = cosign(&plain, cainiao.as_str(), &own, now).unwrap();
    let records = net.world.journal(SF).len();
    for (what, line) in [
        (
            "another's key",
            cosign(&plain, cainiao.as_str(), &key, now).unwrap(),
        ),
        (
            "another's name",
            cosign(&plain, jd.as_str(), &key, now).unwrap(),
        ),
        (
            "another note",
            cosign(&old, cainiao.as_str(), &own, now).unwrap(),
        ),
        (
            "of an hour ago",
            cosign(&plain, cainiao.as_str(), &own, now.plus_ms(-HOUR_MS)).unwrap(),
        ),
        ("two lines", format!("{good}{good}")),
        ("no line", String::new()),
        ("rubbish", "x".repeat(100_000)),
    ] {
        match offer(&mut net, &cainiao, line) {
            Some(PeerAnswer::Problem(problem)) => assert_eq!(problem.status, 422, "{what}"),
            other => panic!("{what}: {other:?}"),
        }
    }
    assert_eq!(net.world.journal(SF).len(), records);
    for _ in 0..3 {
        let taken = offer(&mut net, &cainiao, good.clone());
        assert!(matches!(taken, Some(PeerAnswer::Evidence(_))), "{taken:?}");
    }
    assert_eq!(net.world.journal(SF).len(), records + 1, "once");
    assert_eq!(cosigned(&net, SF)[&cainiao], good);
    // Whoever asks for the anchor log sees no cosignature.
    let request = PeerRequest::Entries {
        log: LogSide::Anchor,
        epoch: None,
        from: 0,
    };
    match net.world.peer(SF, &cainiao, &request) {
        Some(PeerAnswer::Evidence(page)) => assert_eq!(page.checkpoint, plain),
        other => panic!("{other:?}"),
    }
}

fn offer(net: &mut Network, from: &ParticipantId, line: String) -> Option<PeerAnswer> {
    let envelope = Envelope {
        evidence: Evidence {
            from: 0,
            leaves: Vec::new(),
            checkpoint: String::new(),
        },
        body: Notice::Cosignature { line },
    };
    net.world.peer(SF, from, &PeerRequest::Notice(envelope))
}
