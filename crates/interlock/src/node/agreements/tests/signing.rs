//! The manifest: what is not what was agreed on is not signed.

use ed25519_dalek::Signer as _;
use interlock_journal::manifest::Manifest;
use serde_json::json;

use super::*;
use crate::exchange::wire::{CooperationMessage, Envelope, Evidence, ManifestSignature, Notice};
use crate::node::feed_items::hex;

/// Both sides FINALIZED, and the consumer's manifest not yet delivered.
fn finalized() -> (World, CooperationMessage) {
    let mut world = World::new();
    world.publish("o", &stations(), true);
    // Catalog, request, agreement, verification, finalized; then the manifest.
    world.fates = (5..MESSAGES_MAX).map(|n| (n, Fate::RequestLost)).collect();
    world.propose(&["o"], &[]);
    let last = world.sent.last().unwrap().1.clone();
    let PeerRequest::Cooperation(message) = last else {
        panic!("{last:?}");
    };
    world.fates.clear();
    (world, message)
}

fn signed(manifest: &Manifest, by: usize) -> ManifestSignature {
    ManifestSignature {
        participant: name(by),
        signature: hex(&key(by).sign(&manifest.canonical_bytes()).to_bytes()),
    }
}

fn send(world: &mut World, from: usize, message: CooperationMessage) -> PeerAnswer {
    world.ask(&name(from), P, &PeerRequest::Cooperation(message))
}

#[track_caller]
fn assert_refused(change: impl FnOnce(&mut Manifest), pointer: &str) {
    let (mut world, message) = finalized();
    let before = world.book(P).clone();
    let mut manifest: Manifest = serde_json::from_value(message.manifest).unwrap();
    change(&mut manifest);
    let message = CooperationMessage {
        signatures: vec![signed(&manifest, C)],
        manifest: serde_json::to_value(&manifest).unwrap(),
    };
    let PeerAnswer::Problem(problem) = send(&mut world, C, message) else {
        panic!("it was signed");
    };
    assert_eq!(
        (problem.status, problem.errors[0].pointer.as_str()),
        (422, pointer),
        "{problem:?}"
    );
    assert_eq!(world.book(P), &before);
}

#[test]
fn the_manifest_that_fits_is_signed_once_and_shown_again() {
    let (mut world, message) = finalized();
    let PeerAnswer::Cooperation(first) = send(&mut world, C, message.clone()) else {
        panic!("refused");
    };
    assert_eq!(first.manifest, message.manifest);
    assert_eq!(first.signatures.len(), 2);
    let manifest: Manifest = serde_json::from_value(first.manifest.clone()).unwrap();
    for by in [P, C] {
        assert!(
            first.signatures.contains(&signed(&manifest, by)),
            "Ed25519 is deterministic"
        );
    }
    let journal = world.journals[P].len();
    assert_eq!(send(&mut world, C, message), PeerAnswer::Cooperation(first));
    assert_eq!(world.journals[P].len(), journal);
    world.run_until(JUNE);
    world.assert_in_force();
}

#[test]
fn a_manifest_that_is_not_what_was_agreed_on_is_not_signed() {
    fn policy(m: &mut Manifest) -> &mut interlock_journal::manifest::PolicyRef {
        m.policies.values_mut().next().unwrap()
    }
    assert_refused(
        |m| policy(m).policy_hash = hex(&[7; 32]),
        "/manifest/policies",
    );
    assert_refused(
        |m| policy(m).dataset = Dataset::LockerEvents,
        "/manifest/policies",
    );
    assert_refused(
        |m| {
            let p = policy(m);
            std::mem::swap(&mut p.provider, &mut p.consumer);
        },
        "/manifest/policies",
    );
    assert_refused(
        |m| {
            let (_, p) = m.policies.pop_first().unwrap();
            m.policies.insert(wire("urn:uuid:other"), p);
        },
        "/manifest/policies",
    );
    assert_refused(
        |m| m.until = "2017-08-01T00:00:00+08:00".into(),
        "/manifest/until",
    );
    assert_refused(|m| m.version = "2".into(), "/manifest");
    assert_refused(
        |m| {
            let third = hex(key(2).verifying_key().as_bytes());
            m.parties.get_mut(&name(P)).unwrap().key = third;
        },
        "/manifest/parties",
    );
    assert_refused(|m| m.mediator = Some(name(2)), "/manifest");
    assert_refused(
        |m| m.supersedes = Some(hex(&[7; 32])),
        "/manifest/supersedes",
    );
}

#[test]
fn a_manifest_that_leaves_the_code_out_is_not_signed() {
    let mut world = World::new();
    world.publish("events", &closed_doors::told_by_owner(), true);
    world.publish("codes", &closed_doors::codes(), true);
    let is_manifest =
        |(_, sent): &&(usize, PeerRequest)| matches!(sent, PeerRequest::Cooperation(_));
    // Both are FINALIZED, and no manifest arrives.
    world.fates = (9..MESSAGES_MAX).map(|n| (n, Fate::RequestLost)).collect();
    assert_eq!(world.propose(&["events", "codes"], &[]).0, 201);
    let (_, last) = world.sent.iter().rfind(is_manifest).unwrap().clone();
    let PeerRequest::Cooperation(message) = last else {
        panic!("{last:?}");
    };
    world.fates.clear();
    let whole: Manifest = serde_json::from_value(message.manifest.clone()).unwrap();
    assert_eq!(whole.policies.len(), 2);
    let mut less = whole;
    less.policies
        .retain(|_, policy| policy.dataset == Dataset::LockerEvents);
    let without = CooperationMessage {
        signatures: vec![signed(&less, C)],
        manifest: serde_json::to_value(&less).unwrap(),
    };
    let PeerAnswer::Problem(problem) = send(&mut world, C, without) else {
        panic!("it was signed");
    };
    assert_eq!(problem.status, 503, "it may be sent again");
    assert_eq!(problem.errors[0].pointer, "/manifest/policies");
    closed_doors::names_the_way_out(&problem.errors[0].detail.clone().into());
    let PeerAnswer::Cooperation(_) = send(&mut world, C, message) else {
        panic!("the whole is signed");
    };
}

#[test]
fn only_the_parties_own_signature_counts() {
    let (mut world, message) = finalized();
    let before = world.book(P).clone();
    let manifest: Manifest = serde_json::from_value(message.manifest.clone()).unwrap();
    let forged = ManifestSignature {
        participant: name(C),
        ..signed(&manifest, 2)
    };
    for signatures in [vec![], vec![forged], vec![signed(&manifest, P)]] {
        let message = CooperationMessage {
            signatures,
            ..message.clone()
        };
        assert!(matches!(send(&mut world, C, message), PeerAnswer::Problem(p) if p.status == 422));
    }
    // A third party that got hold of it cannot have it signed, nor see it afterwards.
    assert!(matches!(
        send(&mut world, 2, message.clone()),
        PeerAnswer::Problem(_)
    ));
    assert_eq!(world.book(P), &before);
    send(&mut world, C, message.clone());
    assert!(matches!(send(&mut world, 2, message), PeerAnswer::Problem(p) if p.status == 422));
}

#[test]
fn an_agreement_is_in_one_manifest_only() {
    let (mut world, message) = finalized();
    send(&mut world, C, message.clone());
    let mut manifest: Manifest = serde_json::from_value(message.manifest).unwrap();
    manifest.cooperation = wire("urn:uuid:second");
    let message = CooperationMessage {
        signatures: vec![signed(&manifest, C)],
        manifest: serde_json::to_value(&manifest).unwrap(),
    };
    assert!(matches!(send(&mut world, C, message), PeerAnswer::Problem(p) if p.status == 422));
    assert_eq!(world.book(P).cooperations.len(), 1);
}

#[test]
fn without_both_signatures_nothing_is_in_force() {
    let (mut world, _) = finalized();
    world.down = Some(P);
    world.run_until(JUNE.plus_ms(DAY_MS));
    for at in [P, C] {
        assert_eq!(world.states(at).0, vec![AgreementState::Finalized]);
        assert!(world.book(at).transfers.is_empty());
    }
}

#[test]
fn a_partner_that_will_not_sign_is_shown() {
    let (mut world, _) = finalized();
    // The provider has lost its agreement: it refuses what it does not know.
    world.nodes[P] = node(P);
    world.put(P, Record::Partner(Box::new(partner(C))));
    world.run_until(JUNE);
    let cooperation = world.book(C).cooperations.values().next().unwrap();
    assert!(
        cooperation
            .refused
            .as_ref()
            .unwrap()
            .contains("not what we agreed on")
    );
    assert_eq!(world.nodes[C].state().alerts.len(), 1);
    assert_eq!(world.states(C).0, vec![AgreementState::Finalized]);
}

#[test]
fn notices_are_heard_from_the_other_party_only() {
    let (mut world, message) = finalized();
    send(&mut world, C, message);
    world.run_until(JUNE);
    let agreement = world.agreement(P).id.clone();
    let notice = |body| {
        PeerRequest::Notice(Envelope {
            evidence: Evidence {
                from: 0,
                leaves: Vec::new(),
                checkpoint: String::new(),
            },
            body,
        })
    };
    let ended = Notice::Termination {
        agreement,
        at: world.now,
        reason: "x".into(),
    };
    let before = world.book(P).clone();
    let answer = world.ask(&name(2), P, &notice(ended));
    assert!(matches!(answer, PeerAnswer::Problem(p) if p.status == 404));
    assert_eq!(world.book(P), &before);
}

#[test]
fn the_manifest_names_parties_keys_hashes_and_term() {
    let (_, message) = finalized();
    let manifest: Manifest = serde_json::from_value(message.manifest).unwrap();
    let hash = hex(&stations().policy_hash());
    let id = manifest.policies.keys().next().unwrap().as_str().to_owned();
    assert_eq!(
        serde_json::to_value(&manifest).unwrap(),
        json!({
            "version": "1",
            "cooperation": manifest.cooperation.as_str(),
            "parties": {
                name(P).as_str(): { "key": hex(key(P).verifying_key().as_bytes()) },
                name(C).as_str(): { "key": hex(key(C).verifying_key().as_bytes()) },
            },
            "policies": { id: {
                "provider": name(P).as_str(),
                "consumer": name(C).as_str(),
                "dataset": "locker-stations",
                "policy_hash": hash,
            }},
            "from": "2017-06-01T00:00:00+08:00",
            "until": "2017-07-01T00:00:00+08:00",
        })
    );
}
