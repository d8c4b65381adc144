//! Nodes whose signing key is rotated.

use interlock::exchange::wire::{Envelope, Evidence, Notice, Rotation};
use interlock::identity::keys::PublicKey;
use interlock::identity::partner::Partner;
use interlock::node::io::{LocalRequest, PeerAnswer, PeerRequest, Problem};
use interlock::node::record::AlertKind;
use interlock_core::ids::ParticipantId;
use interlock_core::time::MINUTE_MS;
use interlock_journal::bilateral::KeyRotation;
use interlock_journal::disk::Fault;
use interlock_journal::evidence::{EvidenceFile, FindingKind, TrustedKeys, keys_for, verify};
use interlock_sim::{DiskOf, NodeIx};

use crate::support::*;

const PARCEL: &str = "SF1000000000001";

fn network(seed: u64) -> Network {
    let mut net = Network::of_june_2017(seed);
    net.put_parcel(PARCEL, "taobao", CAINIAO, "13800000001");
    net.track(SF, PARCEL, "accepted");
    net
}

fn rotate(net: &mut Network, ix: NodeIx) {
    ok(net.world.local(ix, LocalRequest::RotateSigningKey));
}

fn calm(net: &mut Network) {
    let until = net.world.now().plus_ms(3 * MINUTE_MS);
    net.world.run_until(until);
}

fn key_of(net: &Network, ix: NodeIx) -> [u8; 32] {
    net.world.key(ix).unwrap().verifying_key().to_bytes()
}

/// The key of `of` that `ix` has pinned, and the one that its mirror of the log has come to.
fn pinned(net: &Network, ix: NodeIx, of: NodeIx) -> ([u8; 32], [u8; 32]) {
    let of = net.world.id(of).unwrap();
    let state = net.world.node(ix).unwrap().state();
    let mirror = state.channel(of).and_then(|c| c.mirror.as_ref()).unwrap();
    (*state.partners[of].key.as_bytes(), *mirror.key())
}

/// The exports of both, under the keys that all had at first, show nothing wrong.
fn assert_verifies(net: &Network, first: &TrustedKeys, nodes: &[NodeIx]) {
    let files: Vec<EvidenceFile> = nodes.iter().map(|ix| export_of(&net.world, *ix)).collect();
    let (trusted, _) = keys_for(&files, first);
    let verdict = verify(&files, &trusted);
    // The agreements of this network were put on record without manifests.
    let others = [
        FindingKind::NoAgreement,
        FindingKind::Unsigned,
        FindingKind::Rollback,
    ];
    for finding in &verdict.findings {
        assert!(others.contains(&finding.kind), "{finding:?}");
    }
    assert!(verdict.logs.iter().any(|log| log.signed > 2));
    for log in verdict.logs.iter().filter(|log| log.leaves > 0) {
        // Of its own logs a node signs the newest epoch; those before are signed in their readers' copies.
        let own = log.origin.starts_with(&format!("{} -> ", log.holder));
        let followed = verdict.logs.iter().any(|other| {
            let (name, epoch) = name_and_epoch(&other.origin);
            let (this, before) = name_and_epoch(&log.origin);
            other.holder == log.holder && name == this && epoch > before
        });
        assert!(log.signed > 0 || (own && followed), "{log:?}");
    }
}

/// The two sides of a log, and its epoch.
fn name_and_epoch(origin: &str) -> (&str, u32) {
    let (name, epoch) = origin.rsplit_once(" epoch ").unwrap();
    (name, epoch.parse().unwrap())
}

fn keys_now(net: &Network) -> TrustedKeys {
    let id = |ix| net.world.id(ix).unwrap().clone();
    ALL.into_iter()
        .map(|ix| (id(ix), vec![key_of(net, ix)]))
        .collect()
}

#[test]
fn partners_pin_the_new_key_and_all_evidence_still_verifies() {
    let mut net = network(420);
    let first = keys_now(&net);
    let before = key_of(&net, SF);
    for nth in 0..3 {
        rotate(&mut net, SF);
        calm(&mut net);
        net.track(SF, PARCEL, &format!("step-{nth}"));
        calm(&mut net);
    }
    let key = key_of(&net, SF);
    assert_ne!(key, before);
    assert_eq!(pinned(&net, CAINIAO, SF), (key, key));
    let sf = net.world.id(SF).unwrap().clone();
    for ix in [CAINIAO, JD, FENGCHAO] {
        let state = net.world.node(ix).unwrap().state();
        assert_eq!(*state.partners[&sf].key.as_bytes(), key);
        let told = state
            .alerts
            .iter()
            .filter(|it| it.kind == AlertKind::KeyRotated);
        assert_eq!(told.count(), 3, "people are told of each");
        assert_eq!(state.rotations_of(&sf).len(), 3);
    }
    let shown = ok(net.world.local(SF, LocalRequest::GetSigningKeys));
    assert_eq!(shown["earlier"].as_array().unwrap().len(), 3);
    rotate(&mut net, CAINIAO);
    calm(&mut net);
    net.track(SF, PARCEL, "arrived");
    calm(&mut net);
    assert_verifies(&net, &first, &[SF, CAINIAO]);
    assert_verifies(&net, &first, &[CAINIAO]);
    // Whoever believes only the newest keys believes those that they vouch for.
    assert_verifies(&net, &keys_now(&net), &[SF, CAINIAO]);
    let file = export_of(&net.world, CAINIAO);
    let keys = file.participants.iter().find(|it| it.id == sf).unwrap();
    assert_eq!(keys.keys.len(), 4, "the history of keys is in the file");
    assert_eq!(net.steps(CAINIAO, PARCEL).len(), 5);
    net.assert_replay_gives_the_same();
}

#[test]
fn a_partner_that_was_away_hears_of_it_later() {
    let mut net = network(421);
    let first = keys_now(&net);
    net.world.cut(SF, CAINIAO, true);
    rotate(&mut net, SF);
    rotate(&mut net, SF);
    net.track_now(SF, PARCEL, "arrived");
    let until = net.world.now().plus_ms(10 * MINUTE_MS);
    net.world.run_until(until);
    let shown = ok(net.world.local(SF, LocalRequest::GetSigningKeys));
    let waiting = shown["notReceipted"].to_string();
    assert!(waiting.contains("cainiao"), "{shown}");
    // It starts again in between, and does not forget whom to tell.
    net.world.kill(SF);
    assert!(net.world.restart(SF));
    net.world.cut(SF, CAINIAO, false);
    calm(&mut net);
    let key = key_of(&net, SF);
    assert_eq!(pinned(&net, CAINIAO, SF), (key, key));
    assert_eq!(net.steps(CAINIAO, PARCEL).len(), 2);
    assert_verifies(&net, &first, &[SF, CAINIAO]);
}

#[test]
fn a_crash_in_the_middle_leaves_one_key_in_use() {
    let mut survived = 0;
    for operation in 0..3 {
        let mut net = network(422 + operation);
        let first = keys_now(&net);
        let old = key_of(&net, SF);
        net.world
            .inject(SF, DiskOf::Journal, operation, Fault::PowerLoss);
        let answer = net.world.local(SF, LocalRequest::RotateSigningKey);
        assert_eq!(answer.is_none(), !net.world.is_up(SF));
        survived += u32::from(net.world.is_up(SF));
        net.world.clear_faults(SF);
        if !net.world.is_up(SF) {
            assert!(net.world.restart(SF));
        }
        calm(&mut net);
        let key = key_of(&net, SF);
        let known = net.world.node(SF).unwrap().state().own_key();
        assert_eq!(
            known,
            Some(key).filter(|_| key != old),
            "the journal names the key in use"
        );
        net.track(SF, PARCEL, "arrived");
        calm(&mut net);
        assert_eq!(pinned(&net, CAINIAO, SF).0, key);
        rotate(&mut net, SF);
        net.world.kill(SF);
        assert!(net.world.restart(SF));
        calm(&mut net);
        net.track(SF, PARCEL, "out-for-delivery");
        calm(&mut net);
        let newer = key_of(&net, SF);
        assert_ne!(newer, key);
        assert_eq!(pinned(&net, CAINIAO, SF), (newer, newer));
        assert_verifies(&net, &first, &[SF, CAINIAO]);
    }
    assert!(survived < 3, "the fault struck");
}

fn notice(
    net: &mut Network,
    at: NodeIx,
    from: &ParticipantId,
    rotations: &[KeyRotation],
) -> Result<(), Problem> {
    let envelope = Envelope {
        evidence: Evidence {
            from: 0,
            leaves: Vec::new(),
            checkpoint: String::new(),
        },
        body: Notice::KeyRotation {
            rotations: rotations
                .iter()
                .map(|it| Rotation::of(it).unwrap())
                .collect(),
        },
    };
    match net.world.peer(at, from, &PeerRequest::Notice(envelope)) {
        Some(PeerAnswer::Evidence(_)) => Ok(()),
        Some(PeerAnswer::Problem(problem)) => Err(problem),
        other => panic!("{other:?}"),
    }
}

#[test]
fn forged_replayed_and_returning_keys_are_refused() {
    let mut net = network(430);
    let sf = net.world.id(SF).unwrap().clone();
    let old = net.world.key(SF).unwrap().clone();
    rotate(&mut net, SF);
    let middle = net.world.key(SF).unwrap().clone();
    calm(&mut net);
    rotate(&mut net, SF);
    calm(&mut net);
    let now = net.world.key(SF).unwrap().clone();
    let stranger = ed25519_dalek::SigningKey::from_bytes(&[77; 32]);
    let jd = net.world.key(JD).unwrap().clone();
    let genuine = KeyRotation::sign(&sf, &now, &stranger);
    let mut unsigned = genuine.clone();
    unsigned.old_signature = KeyRotation::sign(&sf, &stranger, &now).new_signature;
    let mut unproven = genuine.clone();
    unproven.new_signature = genuine.old_signature;
    let jd_id = net.world.id(JD).unwrap().clone();
    let one = |of, from, to| vec![KeyRotation::sign(of, from, to)];
    let attempts = [
        ("a stranger's", one(&sf, &stranger, &jd)),
        ("without the old key", vec![unsigned]),
        ("without the new key", vec![unproven]),
        ("for another", one(&jd_id, &now, &stranger)),
        ("replayed", one(&sf, &old, &middle)),
        ("by the old key again", one(&sf, &old, &stranger)),
        ("back to the old key", one(&sf, &now, &old)),
        ("to a partner's key", one(&sf, &now, &jd)),
        (
            "broken off",
            [vec![genuine.clone()], one(&sf, &now, &middle)].concat(),
        ),
        ("empty", vec![]),
    ];
    let records = net.world.journal(CAINIAO).len();
    for (what, rotations) in attempts {
        let refused = notice(&mut net, CAINIAO, &sf, &rotations).expect_err(what);
        assert_eq!(
            (refused.status, refused.kind.as_str()),
            (422, "rotation-refused"),
            "{what}"
        );
    }
    assert_eq!(
        net.world.journal(CAINIAO).len(),
        records,
        "nothing is kept of them"
    );
    assert_eq!(pinned(&net, CAINIAO, SF).0, now.verifying_key().to_bytes());
    // The newest one again changes nothing; one that follows it does.
    let newest = KeyRotation::sign(&sf, &middle, &now);
    notice(&mut net, CAINIAO, &sf, std::slice::from_ref(&newest)).unwrap();
    assert_eq!(net.world.journal(CAINIAO).len(), records);
    notice(&mut net, CAINIAO, &sf, &[newest, genuine]).unwrap();
    assert_eq!(
        pinned(&net, CAINIAO, SF).0,
        stranger.verifying_key().to_bytes()
    );
    net.assert_replay_of(&[CAINIAO]);
}

#[test]
fn a_partner_put_back_to_before_the_rotation_follows_it_again() {
    let mut net = network(431);
    let first = keys_now(&net);
    let copies = (
        net.world.journal(CAINIAO).len(),
        net.world.journal(SF).len(),
    );
    for step in ["arrived", "out-for-delivery"] {
        net.track(SF, PARCEL, step);
    }
    rotate(&mut net, SF);
    calm(&mut net);
    net.track(SF, PARCEL, "delivered-late");
    calm(&mut net);
    net.world.kill(CAINIAO);
    assert!(net.world.put_back(CAINIAO, copies.0));
    assert!(net.world.restart(CAINIAO));
    calm(&mut net);
    let key = key_of(&net, SF);
    assert_eq!(pinned(&net, CAINIAO, SF), (key, key));
    net.track(SF, PARCEL, "once-more");
    calm(&mut net);
    assert_no_fork(&net.world);
    assert_verifies(&net, &first, &[SF, CAINIAO]);
    // And the node that rotated, put back to before it with its newer key file.
    net.world.kill(SF);
    assert!(net.world.put_back(SF, copies.1));
    assert!(net.world.restart(SF));
    calm(&mut net);
    let state = net.world.node(SF).unwrap().state();
    assert_eq!(
        state.own_key(),
        Some(key),
        "its own rotation came back from a mirror"
    );
    assert_no_fork(&net.world);
    assert_verifies(&net, &first, &[SF, CAINIAO]);
}

#[test]
fn a_partner_listed_anew_after_two_rotations_follows_the_log_from_its_start() {
    let mut net = network(432);
    let sf = net.world.id(SF).unwrap().clone();
    net.world.cut(SF, CAINIAO, true);
    for _ in 0..2 {
        rotate(&mut net, SF);
    }
    // Its people give the key by another way: it is listed anew, and no rotation was seen.
    let key = key_of(&net, SF);
    list_anew(&mut net, CAINIAO, &sf, key);
    assert_eq!(
        net.world.node(CAINIAO).unwrap().state().rotations_of(&sf),
        []
    );
    net.world.cut(SF, CAINIAO, false);
    calm(&mut net);
    net.track(SF, PARCEL, "arrived");
    calm(&mut net);
    assert_eq!(pinned(&net, CAINIAO, SF), (key, key));
    assert_eq!(net.steps(CAINIAO, PARCEL), ["accepted", "arrived"]);
    let shown = ok(net.world.local(SF, LocalRequest::GetSigningKeys));
    assert!(
        !shown["notReceipted"].to_string().contains("cainiao"),
        "{shown}"
    );
    rotate(&mut net, SF);
    calm(&mut net);
    let newer = key_of(&net, SF);
    assert_eq!(pinned(&net, CAINIAO, SF).0, newer);
    assert_verifies(&net, &keys_now(&net), &[SF, CAINIAO]);
    net.assert_replay_of(&[SF, CAINIAO]);
}

/// A partner's people list it anew with this key.
fn list_anew(net: &mut Network, at: NodeIx, of: &ParticipantId, key: [u8; 32]) {
    let known = net.world.node(at).unwrap().state().partners[of].clone();
    ok(net.world.local(at, LocalRequest::RemovePartner(of.clone())));
    let anew = Partner {
        key: PublicKey::from_bytes(&key).unwrap(),
        ..known
    };
    ok(net.world.local(at, LocalRequest::AddPartner(anew)));
}

fn alerts_of(net: &Network, at: NodeIx, kind: AlertKind) -> Vec<String> {
    let alerts = &net.world.node(at).unwrap().state().alerts;
    let of_kind = alerts.iter().filter(|it| it.kind == kind);
    of_kind.map(|it| it.detail.clone()).collect()
}

#[test]
fn a_thief_who_rotates_first_is_told_at_both_and_is_out_once_people_list_the_key_anew() {
    let mut net = network(433);
    let first = keys_now(&net);
    let sf = net.world.id(SF).unwrap().clone();
    let stolen = net.world.key(SF).unwrap().clone();
    let [thief, next] = [77, 78].map(|n| ed25519_dalek::SigningKey::from_bytes(&[n; 32]));
    let theft = KeyRotation::sign(&sf, &stolen, &thief);
    notice(&mut net, CAINIAO, &sf, std::slice::from_ref(&theft)).unwrap();
    assert_eq!(alerts_of(&net, CAINIAO, AlertKind::KeyRotated).len(), 1);
    // The owner replaces its key. The others follow; who was deceived does not, and both are told.
    rotate(&mut net, SF);
    net.track(SF, PARCEL, "arrived");
    let until = net.world.now().plus_ms(20 * MINUTE_MS);
    net.world.run_until(until);
    let key = key_of(&net, SF);
    let at_jd = &net.world.node(JD).unwrap().state().partners[&sf];
    assert_eq!(*at_jd.key.as_bytes(), key);
    assert_eq!(
        pinned(&net, CAINIAO, SF).0,
        thief.verifying_key().to_bytes()
    );
    assert_eq!(net.steps(CAINIAO, PARCEL), ["accepted"]);
    let told = alerts_of(&net, SF, AlertKind::KeyRotated);
    assert_eq!(told.len(), 1, "once: {told:?}");
    assert!(told[0].contains("does not take our new key"), "{told:?}");
    list_anew(&mut net, CAINIAO, &sf, key);
    for rotation in [theft, KeyRotation::sign(&sf, &thief, &next)] {
        let refused = notice(&mut net, CAINIAO, &sf, &[rotation]).unwrap_err();
        assert_eq!(refused.status, 422);
    }
    let until = net.world.now().plus_ms(20 * MINUTE_MS);
    net.world.run_until(until);
    assert_eq!(pinned(&net, CAINIAO, SF), (key, key));
    assert_eq!(net.steps(CAINIAO, PARCEL), ["accepted", "arrived"]);
    assert_verifies(&net, &first, &[SF, CAINIAO]);
    net.assert_replay_of(&[SF, CAINIAO]);
}
