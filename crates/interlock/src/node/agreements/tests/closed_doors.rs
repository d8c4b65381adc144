//! Nobody asks for, approves or signs what would send recipients to a closed door.

use interlock_core::contact::ContactForm;
use interlock_core::terms::{EvidenceKind, Notifier};
use interlock_core::time::HOUR_MS;

use super::*;
use crate::node::io::{MediatedPut, MediationAct, MediationPut, Renewal};

/// Terms under which the consumer tells recipients that their parcel lies in a locker.
pub(super) fn told_by_owner() -> Terms {
    let mut told = events();
    told.notifier = Some(Notifier::Owner);
    told.purposes.insert(Purpose::PickupNotification);
    told
}

/// Codes for the consumer, in the open.
pub(super) fn codes() -> Terms {
    Terms {
        dataset: Dataset::PickupCode,
        purposes: BTreeSet::from([Purpose::PickupNotification]),
        fields: BTreeSet::from([Field::Waybill, Field::Code, Field::Station]),
        contact_forms: BTreeSet::from([ContactForm::Full]),
        ..told_by_owner()
    }
}

/// Contacts, with which the operator of lockers tells recipients itself.
fn contacts() -> Terms {
    Terms {
        dataset: Dataset::RecipientContact,
        purposes: BTreeSet::from([Purpose::PickupNotification]),
        fields: BTreeSet::from([Field::Contact]),
        contact_forms: BTreeSet::from([ContactForm::Full]),
        evidence: BTreeSet::from([EvidenceKind::Deposit]),
        notifier: Some(Notifier::Operator),
        ..events()
    }
}

/// The negotiations of a node about a dataset that are not over.
fn open(world: &World, at: usize, dataset: Dataset) -> WireId {
    let all = world.book(at).negotiations.values();
    let mut open = all.filter(|n| n.terms.dataset == dataset && !n.state.is_terminal());
    open.next().expect("one is open").id.clone()
}

fn decide(world: &mut World, dataset: Dataset, decision: Decision) -> (u16, Value) {
    let negotiation = open(world, P, dataset);
    world.local(
        P,
        LocalRequest::Decide {
            negotiation,
            decision,
        },
    )
}

fn states(world: &World, at: usize, dataset: Dataset) -> Vec<AgreementState> {
    let clock = ClockInterval::exact(world.now);
    let all = world.book(at).agreements.values();
    let of = all.filter(|a| a.terms.dataset == dataset);
    of.map(|a| a.state_at(&clock)).collect()
}

fn manifests_sent(world: &World) -> usize {
    let is_manifest =
        |(_, sent): &&(usize, PeerRequest)| matches!(sent, PeerRequest::Cooperation(_));
    world.sent.iter().filter(is_manifest).count()
}

#[track_caller]
pub(super) fn names_the_way_out(answer: &Value) {
    let text = answer.to_string();
    for word in [
        "il:notifier",
        "`owner`",
        "`pickup-code`",
        "`full`",
        "`operator`",
    ] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
}

#[test]
fn who_is_to_tell_recipients_is_not_agreed_with_without_the_code() {
    let mut world = World::new();
    world.publish("events", &told_by_owner(), true);
    world.publish("plain", &events(), false);
    // Not asked for,
    let (status, body) = world.propose(&["events"], &[]);
    assert_eq!((status, &body["kind"]), (422, &"proposal-refused".into()));
    names_the_way_out(&body);
    // not asked for in place of what is offered,
    let (status, body) = world.propose(&["plain"], &[("plain", &told_by_owner())]);
    assert_eq!((status, &body["kind"]), (422, &"proposal-refused".into()));
    // not taken from a consumer that asks all the same,
    let mut offer = hostile::with_id("events", &told_by_owner());
    offer["target"] = "locker-events".into();
    let request = hostile::opening("urn:uuid:theirs", &offer);
    let (status, body) = world.post(&name(C), P, "/negotiations/request", &request);
    assert_eq!((status, &body["code"]), (400, &"policy-refused".into()));
    names_the_way_out(&body);
    assert!(world.book(P).negotiations.is_empty());
    // and not offered by people in place of what was asked for.
    assert_eq!(world.propose(&["plain"], &[]).0, 201);
    let policy = told_by_owner().to_policy();
    let (status, body) = world.decide(P, Decision::Counter { policy });
    assert_eq!((status, &body["kind"]), (422, &"counter-refused".into()));
    names_the_way_out(&body);
}

#[test]
fn who_is_to_tell_recipients_is_agreed_with_together_with_the_code() {
    let mut world = World::new();
    world.publish("events", &told_by_owner(), true);
    world.publish("codes", &codes(), true);
    let (status, body) = world.propose(&["events", "codes"], &[]);
    assert_eq!(status, 201, "{body}");
    world.run_until(JUNE.plus_ms(HOUR_MS));
    for at in [P, C] {
        let (states, _) = world.states(at);
        assert_eq!(states, vec![AgreementState::InForce; 2]);
    }
}

#[test]
fn what_a_partner_provides_to_us_does_not_stand_for_what_it_would_need_of_us() {
    // With these contacts the consumer would tell recipients of its own lockers, not of the provider's.
    let mut world = World::new();
    world.publish("events", &told_by_owner(), true);
    world.publish("contacts", &contacts(), true);
    let (status, body) = world.propose(&["events", "contacts"], &[]);
    assert_eq!((status, &body["kind"]), (422, &"proposal-refused".into()));
    names_the_way_out(&body);
    assert!(world.book(C).negotiations.is_empty());
}

#[test]
fn people_do_not_approve_it_once_nothing_else_brings_the_code() {
    let mut world = World::new();
    world.publish("events", &told_by_owner(), false);
    world.publish("codes", &codes(), false);
    // One after the other: what is asked for together ends together.
    assert_eq!(world.propose(&["codes"], &[]).0, 201);
    assert_eq!(world.propose(&["events"], &[]).0, 201);
    let reason = "not now".into();
    assert_eq!(
        decide(&mut world, Dataset::PickupCode, Decision::Reject { reason }).0,
        200
    );
    assert_eq!(
        world.local(P, LocalRequest::WithdrawOffer(wire("codes"))).0,
        200
    );
    let (status, body) = decide(&mut world, Dataset::LockerEvents, Decision::Approve);
    assert_eq!((status, &body["kind"]), (409, &"code-withheld".into()));
    names_the_way_out(&body);
    assert!(world.book(P).agreements.is_empty());
    world.publish("codes", &codes(), false);
    assert_eq!(
        decide(&mut world, Dataset::LockerEvents, Decision::Approve).0,
        200
    );
}

#[test]
fn our_manifest_waits_for_the_code_and_people_are_told_once() {
    let mut world = World::new();
    world.publish("events", &told_by_owner(), true);
    world.publish("codes", &codes(), false);
    assert_eq!(world.propose(&["codes"], &[]).0, 201);
    // What is negotiated counts until it comes to a signature.
    assert_eq!(world.propose(&["events"], &[]).0, 201);
    world.run_until(MAY.plus_ms(HOUR_MS));
    world.restart(C);
    world.run_until(MAY.plus_ms(2 * HOUR_MS));
    let finalized = [AgreementState::Finalized];
    assert_eq!(states(&world, C, Dataset::LockerEvents), finalized);
    assert_eq!(manifests_sent(&world), 0);
    let alerts = &world.nodes[C].state().alerts;
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let said = alerts.iter().next().unwrap().detail.clone();
    names_the_way_out(&said.into());
    let id = world.agreement(C).id.clone();
    let (_, shown) = world.local(C, LocalRequest::GetAgreement(id));
    let lines = shown["history"].as_array().unwrap();
    let held = lines
        .iter()
        .filter(|line| line["what"] == "not signed: recipients would be sent to a closed door");
    assert_eq!(held.count(), 1, "{lines:?}");
    // Other agreements that are signed meanwhile change nothing.
    world.publish("stations", &stations(), true);
    assert_eq!(world.propose(&["stations"], &[]).0, 201);
    assert_eq!(states(&world, C, Dataset::LockerEvents), finalized);
    assert_eq!(world.nodes[C].state().alerts.len(), 1, "told once");

    assert_eq!(
        decide(&mut world, Dataset::PickupCode, Decision::Approve).0,
        200
    );
    world.run_until(JUNE.plus_ms(HOUR_MS));
    for at in [P, C] {
        for dataset in [Dataset::PickupCode, Dataset::LockerEvents] {
            assert_eq!(states(&world, at, dataset), [AgreementState::InForce]);
        }
        assert_eq!(world.replayed(at).state().book, *world.book(at));
    }
}

/// The owner's manifest of events waits for the operator's of contacts; `lost` is which message has no answer.
fn signed_for_contacts(lost: Option<usize>) -> World {
    let mut world = World::new();
    world.fates = lost.map(|n| (n, Fate::AnswerLost)).into_iter().collect();
    world.publish("events", &told_by_owner(), true);
    let offer = LocalRequest::PublishOffer(OfferPut {
        id: wire("contacts"),
        dataset: Dataset::RecipientContact.into(),
        policy: contacts().to_policy(),
        audience: Vec::new(),
        auto_accept: false,
    });
    assert_eq!(world.local(C, offer).0, 201);
    let propose = LocalRequest::Propose {
        partner: name(C),
        offers: vec![wire("contacts")],
        policies: Vec::new(),
    };
    assert_eq!(world.local(P, propose).0, 201);
    assert_eq!(world.propose(&["events"], &[]).0, 201);
    assert_eq!(manifests_sent(&world), 0);
    assert_eq!(world.decide(C, Decision::Approve).0, 200);
    world
}

#[test]
fn a_manifest_that_comes_before_our_partners_signature_is_signed_later() {
    let world = signed_for_contacts(None);
    let is_manifest = |(from, sent): &(usize, PeerRequest)| {
        *from == P && matches!(sent, PeerRequest::Cooperation(_))
    };
    let first = world.sent.iter().position(is_manifest).unwrap();
    assert_eq!(manifests_sent(&world), 2);
    let mut world = signed_for_contacts(Some(first));
    assert!(
        manifests_sent(&world) > 1,
        "C's came, and P had not its signature"
    );
    let finalized = [AgreementState::Finalized];
    assert_eq!(states(&world, P, Dataset::LockerEvents), finalized);
    world.run_until(JUNE.plus_ms(HOUR_MS));
    for at in [P, C] {
        for dataset in [Dataset::RecipientContact, Dataset::LockerEvents] {
            assert_eq!(states(&world, at, dataset), [AgreementState::InForce]);
        }
        assert_eq!(world.replayed(at).state().book, *world.book(at));
    }
}

#[test]
fn it_is_renewed_with_the_code_only() {
    let mut world = World::new();
    world.publish("events", &told_by_owner(), true);
    world.publish("codes", &codes(), true);
    assert_eq!(world.propose(&["events", "codes"], &[]).0, 201);
    world.run_until(JUNE.plus_ms(HOUR_MS));
    let renew = |world: &mut World, at: usize, dataset: Dataset| {
        let all = world.book(at).agreements.values();
        let mut of = all.filter(|a| a.terms.dataset == dataset);
        let agreement = of.next().unwrap().id.clone();
        let renewal = Renewal::default();
        world.local(at, LocalRequest::Renew { agreement, renewal })
    };
    for at in [P, C] {
        // The codes end with the first term.
        let (status, body) = renew(&mut world, at, Dataset::LockerEvents);
        assert_eq!(
            (status, &body["errors"][0]["pointer"]),
            (422, &"/policy".into())
        );
        names_the_way_out(&body["errors"][0]["detail"]);
    }
    assert_eq!(renew(&mut world, C, Dataset::PickupCode).0, 201);
    assert_eq!(renew(&mut world, C, Dataset::LockerEvents).0, 201);
    let before = manifests_sent(&world);
    let approve = || Decision::Approve;
    assert_eq!(decide(&mut world, Dataset::LockerEvents, approve()).0, 200);
    assert_eq!(manifests_sent(&world), before, "signed without the code");
    assert_eq!(decide(&mut world, Dataset::PickupCode, approve()).0, 200);
    world.run_until(JULY.plus_ms(HOUR_MS));
    for at in [P, C] {
        for dataset in [Dataset::PickupCode, Dataset::LockerEvents] {
            let states = states(&world, at, dataset);
            assert!(states.contains(&AgreementState::InForce), "{states:?}");
        }
    }
}

fn mediate(world: &mut World, terms: &[(usize, usize, Terms)]) -> WireId {
    let agreements = terms.iter().map(|(provider, consumer, terms)| MediatedPut {
        provider: name(*provider),
        consumer: name(*consumer),
        dataset: terms.dataset,
        policy: terms.to_policy(),
    });
    let put = MediationPut {
        agreements: agreements.collect(),
        note: "until the dispute is settled".into(),
        answer_by: None,
    };
    let (status, body) = world.local(M, LocalRequest::ProposeMediation(put));
    assert_eq!(status, 201, "{body}");
    wire(body["id"].as_str().unwrap())
}

fn accept(world: &mut World, at: usize, mediation: &WireId) -> (u16, Value) {
    let mediation = mediation.clone();
    let act = MediationAct::Accept { version: None };
    world.local(at, LocalRequest::Mediate { mediation, act })
}

#[test]
fn no_party_accepts_it_of_a_mediator() {
    let told = || (P, C, told_by_owner());
    for with in [None, Some((C, P, codes())), Some((P, C, contacts()))] {
        let mut world = World::mediated();
        // To accept is to sign: what is only offered or negotiated does not count.
        world.publish("codes", &codes(), false);
        assert_eq!(world.propose(&["codes"], &[]).0, 201);
        let terms: Vec<_> = [told()].into_iter().chain(with).collect();
        let id = mediate(&mut world, &terms);
        for at in [P, C] {
            let (status, body) = accept(&mut world, at, &id);
            assert_eq!((status, &body["kind"]), (409, &"cannot-provide".into()));
            names_the_way_out(&body);
            assert_eq!(world.book(at).mediations[&id].ours, None);
        }
        // Once the codes are signed for, the same is accepted.
        assert_eq!(
            decide(&mut world, Dataset::PickupCode, Decision::Approve).0,
            200
        );
        let (status, body) = accept(&mut world, P, &id);
        assert_eq!(status, 200, "{body}");
    }
}

#[test]
fn both_parties_accept_it_of_a_mediator_with_what_opens_the_door() {
    for with in [(P, C, codes()), (C, P, contacts())] {
        let mut world = World::mediated();
        let id = mediate(&mut world, &[(P, C, told_by_owner()), with]);
        for at in [P, C] {
            let (status, body) = accept(&mut world, at, &id);
            assert_eq!(status, 200, "{body}");
        }
        world.run_until(JUNE.plus_ms(HOUR_MS));
        for at in [P, C] {
            assert_eq!(
                states(&world, at, Dataset::LockerEvents),
                [AgreementState::InForce]
            );
        }
    }
}
