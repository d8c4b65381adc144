//! Logs that contradict themselves.

use interlock::exchange::wire::{Blob, Evidence, FeedReceipt, Lane};
use interlock::node::io::{PeerAnswer, PeerRequest, Problem};
use interlock_core::time::{MINUTE_MS, Timestamp};
use interlock_journal::bilateral::{AgreementChange, LeafBody};

use crate::support::*;

const PARCEL: &str = "SF1000000000001";
const TRACKING: &str = "urn:agreement:old:2:0:tracking-events:p";

/// Cainiao's key in other hands, toward SF, which has three events for it.
fn begin(seed: u64) -> (Network, Hostile) {
    let mut net = Network::of_june_2017(seed);
    net.put_parcel(PARCEL, "taobao", CAINIAO, "13800000001");
    net.put_parcel("SF2000000000001", "jd", JD, "13900000001");
    net.world.settle();
    let hostile = Hostile::new(&mut net, CAINIAO, SF);
    for step in ["accepted", "arrived", "out-for-delivery"] {
        net.track(SF, PARCEL, step);
    }
    (net, hostile)
}

fn word(text: &str) -> LeafBody {
    LeafBody::AgreementChange(AgreementChange {
        agreement: wire("urn:a"),
        policy_hash: [1; 32],
        state: text.into(),
    })
}

fn offer(net: &mut Network, hostile: &Hostile, evidence: Evidence) -> Option<Problem> {
    let body = FeedReceipt {
        lane: Lane::Live,
        next: 0,
    };
    let envelope = interlock::exchange::wire::Envelope { evidence, body };
    let transfer = wire(TRACKING);
    let request = PeerRequest::Receipt { transfer, envelope };
    match net.world.peer(hostile.victim, &hostile.id, &request) {
        Some(PeerAnswer::Evidence(_)) => None,
        Some(PeerAnswer::Problem(problem)) => Some(problem),
        other => panic!("{other:?}"),
    }
}

/// The evidence is refused with this in its words, and nothing is kept of it but an alert or none.
fn assert_refused(
    net: &mut Network,
    hostile: &Hostile,
    evidence: Evidence,
    word: &str,
    alerts: usize,
) {
    let ix = hostile.victim;
    let mirrored = |net: &Network| {
        let state = net.world.node(ix).unwrap().state();
        state.channel(&hostile.id).map(|c| c.mirrored())
    };
    let held = mirrored(net);
    let records = net.world.journal(ix).len();
    let before = net.world.node(ix).unwrap().state().alerts.len();
    let problem = offer(net, hostile, evidence).expect(word);
    assert_eq!(problem.status, 422, "{}", problem.detail);
    assert!(problem.detail.contains(word), "{}", problem.detail);
    assert_eq!(mirrored(net), held);
    let state = net.world.node(ix).unwrap().state();
    assert_eq!(state.alerts.len() - before, alerts);
    assert_eq!(net.world.journal(ix).len() - records, alerts);
}

fn forked(hostile: &Hostile, at: Timestamp) -> Hostile {
    hostile.forked(at, word("other"))
}

#[test]
fn a_log_with_two_beginnings_convicts_its_writer() {
    let (mut net, mut hostile) = begin(120);
    let now = net.world.now();
    hostile.write(now, word("A"));
    assert_eq!(offer(&mut net, &hostile, hostile.evidence(now)), None);
    let other = forked(&hostile, now);
    assert_refused(&mut net, &hostile, other.evidence(now), "two logs", 1);
    // However often it is repeated, people are told once an hour, with both notes.
    for _ in 0..50 {
        assert_refused(&mut net, &hostile, other.evidence(now), "two logs", 0);
    }
    let alerts = &net.world.node(SF).unwrap().state().alerts;
    let detail = &alerts.last().unwrap().detail;
    assert_eq!(
        detail.matches("\n— did:web:cainiao.example").count(),
        2,
        "{detail}"
    );
    assert_eq!(offer(&mut net, &hostile, hostile.evidence(now)), None);
    net.track(SF, "SF2000000000001", "accepted");
    assert_eq!(net.steps(JD, "SF2000000000001"), ["accepted"]);
}

#[test]
fn gaps_clocks_and_signatures() {
    let (mut net, mut hostile) = begin(121);
    let now = net.world.now();
    hostile.write(now, word("A"));
    hostile.write(now, word("B"));
    assert_refused(
        &mut net,
        &hostile,
        hostile.evidence_from(now, 1),
        "missing",
        0,
    );
    let mut ahead = forked(&hostile, now.plus_ms(10 * MINUTE_MS));
    let evidence = ahead.evidence(now.plus_ms(10 * MINUTE_MS));
    assert_refused(&mut net, &hostile, evidence, "from this node's clock", 0);
    ahead = forked(&hostile, Timestamp::from_millis(i64::MAX));
    let evidence = ahead.evidence(Timestamp::from_millis(i64::MAX));
    // The alert is about the clock of before: two that differ so far are said once.
    assert_refused(&mut net, &hostile, evidence, "", 1);
    ahead = forked(&hostile, Timestamp::from_millis(i64::MIN));
    let evidence = ahead.evidence(Timestamp::from_millis(i64::MIN));
    assert_refused(&mut net, &hostile, evidence, "", 0);
    let mut evidence = hostile.evidence(now);
    let stolen = net.world.key(JD).unwrap();
    evidence.checkpoint = hostile.out.checkpoint(stolen, now).unwrap();
    assert_refused(&mut net, &hostile, evidence, "", 0);
    let mut evidence = hostile.evidence(now);
    evidence.leaves[1] = Blob(vec![7; 100_000]);
    assert_refused(&mut net, &hostile, evidence, "bytes", 0);
    // A leaf dated before the one that precedes it: no honest log writes it, so it is put together by hand.
    let late = interlock_journal::bilateral::Leaf::new(now.plus_ms(-1), word("C"));
    let mut evidence = hostile.evidence(now);
    evidence.leaves.push(Blob(late.encode().unwrap()));
    assert_refused(&mut net, &hostile, evidence, "goes back", 0);
    let mut evidence = hostile.evidence(now);
    evidence.from = u64::MAX;
    assert_refused(&mut net, &hostile, evidence, "missing", 0);
    assert_eq!(offer(&mut net, &hostile, hostile.evidence(now)), None);
    net.assert_replay_of(&[SF, JD, FENGCHAO]);
}

#[test]
fn more_leaves_than_a_record_holds_are_refused_and_the_node_goes_on() {
    let (mut net, mut hostile) = begin(124);
    let now = net.world.now();
    for _ in 0..24 {
        hostile.write(now, word(&"x".repeat(60_000)));
    }
    let evidence = hostile.evidence(now);
    let sent: usize = evidence.leaves.iter().map(|leaf| leaf.0.len()).sum();
    assert!(sent > 1024 * 1024 && sent < 3 * 1024 * 1024);
    let problem = offer(&mut net, &hostile, evidence).unwrap();
    assert_eq!(
        (problem.status, problem.kind.as_str()),
        (413, "evidence-size")
    );
    assert!(net.world.is_up(SF));
    let mut fewer = hostile.evidence(now);
    fewer.leaves.truncate(12);
    fewer.checkpoint = hostile.out.checkpoint_at(12, &hostile.key, now).unwrap();
    assert_eq!(offer(&mut net, &hostile, fewer), None);
    net.assert_replay_of(&[SF]);
}

#[test]
fn a_receipt_counts_only_on_the_log_and_as_the_log_was() {
    let (mut net, mut hostile) = begin(122);
    let transfer = wire(TRACKING);
    let batch = hostile
        .poll(&mut net.world, &transfer, Lane::Live, 0)
        .unwrap();
    assert_eq!(batch.next, 3);
    let now = net.world.now();
    let refused = hostile
        .receipt(&mut net.world, &transfer, Lane::Live, 3)
        .unwrap_err();
    assert_eq!(
        (refused.status, refused.kind.as_str()),
        (422, "receipt-not-on-log")
    );
    let ahead = hostile
        .receipt(&mut net.world, &transfer, Lane::Live, 4)
        .unwrap_err();
    assert_eq!((ahead.status, ahead.kind.as_str()), (422, "receipt-ahead"));
    let held = hostile.mirror.size();
    for (size, root) in [
        (held, [9; 32]),
        (held + 5, hostile.mirror.receipt().root),
        (u64::MAX, [0; 32]),
    ] {
        let mut forger = forked(&hostile, now);
        forger.forge_receipt(now, size, root);
        let problem = offer(&mut net, &hostile, forger.evidence(now)).unwrap();
        assert_eq!(
            (problem.status, problem.kind.as_str()),
            (422, "receipt-mismatch")
        );
    }
    let alerts = net.world.node(SF).unwrap().state().alerts.len();
    assert_eq!(alerts, 1, "told once");
    hostile.sign_receipt(now);
    hostile
        .receipt(&mut net.world, &transfer, Lane::Live, 3)
        .expect("a right receipt");
}

#[test]
fn a_consumer_that_only_receives_is_receipted_too() {
    let mut net = Network::of_june_2017(123);
    net.put_parcel(PARCEL, "taobao", CAINIAO, "13800000001");
    net.world.settle();
    for n in 0..100 {
        net.track(SF, PARCEL, &format!("step-{n}"));
    }
    let state = net.world.node(CAINIAO).unwrap().state();
    let out = &state.channel(net.world.id(SF).unwrap()).unwrap().out;
    assert!(out.size() >= 100);
    assert!(
        out.size() - out.acknowledged() < 40,
        "{} of {}",
        out.acknowledged(),
        out.size()
    );
    assert_eq!(net.steps(CAINIAO, PARCEL).len(), 100);
}
