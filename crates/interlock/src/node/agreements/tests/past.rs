//! What has left memory is answered as if it had not.

use interlock_core::negotiation::NegotiationState;

use super::*;
use crate::node::agreements::{Negotiation, OVER_KEPT_MAX};

/// As many negotiations that came to nothing as push all others that are over out of memory.
fn flood(world: &mut World, at: usize) {
    let like = world.book(at).negotiations.values().next().unwrap().clone();
    for number in 0..OVER_KEPT_MAX {
        let id = wire(&format!("urn:flood:{number}"));
        let negotiation = Negotiation {
            peer_id: Some(wire(&format!("urn:theirs:{number}"))),
            state: NegotiationState::Terminated,
            agreement: None,
            cooperation: id.clone(),
            waits_for_people: false,
            unsent: None,
            id,
            ..like.clone()
        };
        world.put(at, Record::Negotiation(Box::new(negotiation)));
    }
}

/// The agreement that was superseded before it began, and its negotiation at a node.
fn moot(world: &World, at: usize) -> (WireId, WireId) {
    let mut agreements = world.book(at).agreements.values();
    let moot = agreements.find(|a| a.superseded_by.is_some()).unwrap();
    (moot.id.clone(), moot.negotiation.clone())
}

/// Everything that can be asked about it, and every message about it once more.
fn answers(
    world: &mut World,
    agreement: &WireId,
    negotiations: &[WireId; 2],
    said: &[(usize, PeerRequest)],
) -> Vec<String> {
    let mut out = Vec::new();
    for at in [P, C] {
        let id = negotiations[at].clone();
        let asked = LocalRequest::GetAgreement(agreement.clone());
        out.push(format!("{:?}", world.local(at, asked)));
        let asked = LocalRequest::GetNegotiation {
            negotiation: id.clone(),
            wait_ms: 0,
        };
        out.push(format!("{:?}", world.local(at, asked)));
        let decision = Decision::Approve;
        let asked = LocalRequest::Decide {
            negotiation: id.clone(),
            decision,
        };
        out.push(format!("{:?}", world.local(at, asked)));
        let renewal = crate::node::io::Renewal::default();
        let asked = LocalRequest::Renew {
            agreement: agreement.clone(),
            renewal,
        };
        out.push(format!("{:?}", world.local(at, asked)));
        for from in [name(1 - at), name(JD)] {
            let path = format!("/negotiations/{id}");
            out.push(format!("{:?}", world.get(&from, at, &path)));
        }
    }
    for (from, request) in said {
        let answer = world.ask(&name(*from), 1 - from, request);
        out.push(format!("{request:?}: {answer:?}"));
    }
    out
}

#[test]
fn what_is_over_is_answered_from_its_row_as_from_memory() {
    let mut world = World::new();
    world.publish("o", &stations(), true);
    assert_eq!(world.propose(&["o"], &[]).0, 201);
    let said = world.sent.clone();
    world.run_until(world.now.plus_ms(1_000));
    assert_eq!(world.propose(&["o"], &[]).0, 201);
    let (agreement, of_provider) = moot(&world, P);
    let (same, of_consumer) = moot(&world, C);
    assert_eq!(agreement, same);
    let negotiations = [of_provider, of_consumer];
    let before = answers(&mut world, &agreement, &negotiations, &said);
    assert!(before[0].starts_with("(200"), "{}", before[0]);
    assert!(before[0].contains("both parties have signed"));
    assert!(said.len() >= 6, "{said:?}");
    for at in [P, C] {
        flood(&mut world, at);
        let book = world.book(at);
        assert!(!book.negotiations.contains_key(&negotiations[at]));
        assert!(!book.agreements.contains_key(&agreement));
        assert!(!book.histories.contains_key(&agreement));
        assert_eq!(book.cooperations.len(), 1, "that of the successor");
        assert_eq!(book.negotiations.len(), OVER_KEPT_MAX + 1);
        assert!(book.knows_agreement(&agreement));
        let kept = book.agreement(&agreement).unwrap();
        let cooperation = book.cooperation(&kept.cooperation).unwrap();
        let hash = cooperation.manifest_hash().unwrap();
        assert_eq!(book.cooperation_of(&hash).unwrap().id, cooperation.id);
        assert_eq!(world.replayed(at).state().book, *world.book(at));
    }
    let after = answers(&mut world, &agreement, &negotiations, &said);
    assert_eq!(before, after);
}

#[test]
fn what_is_not_over_stays_in_memory() {
    let mut world = World::new();
    // One waits for people, one of two that belong together was rejected and cannot be told yet.
    world.publish("o", &stations(), false);
    world.publish("e", &events(), false);
    assert_eq!(world.propose(&["o", "e"], &[]).0, 201);
    let (_, body) = world.local(P, LocalRequest::GetProposals);
    let first = wire(body["proposals"][0]["id"].as_str().unwrap());
    world.down = Some(C);
    let reason = "no".to_owned();
    let request = LocalRequest::Decide {
        negotiation: first.clone(),
        decision: Decision::Reject { reason },
    };
    assert_eq!(world.local(P, request).0, 200);
    for at in [P, C] {
        flood(&mut world, at);
    }
    let book = world.book(P);
    assert!(book.negotiations[&first].unsent.is_some());
    assert_eq!(book.waiting().count(), 1);
    let open = world.book(C).negotiations.values();
    let open = open.filter(|n| n.state == NegotiationState::Requested);
    assert_eq!(open.count(), 2);
    world.down = None;
    world.run_until(world.now.plus_ms(120_000));
    assert_eq!(
        world.book(P).waiting().count(),
        0,
        "the other is given up, too"
    );
    assert_eq!(world.replayed(P).state().book, *world.book(P));
}
