//! From a published offer to an agreement in force, and what changes it.

use interlock_core::agreement::AgreementState;
use interlock_core::negotiation::NegotiationState;
use interlock_core::time::{DAY_MS, HOUR_MS};

use super::*;
use crate::node::io::{AgreementChange, ExplainRequest};

fn agreed(terms: &Terms) -> World {
    let mut world = World::new();
    world.publish("o", terms, true);
    assert_eq!(world.propose(&["o"], &[]).0, 201);
    world.run_until(JUNE.plus_ms(HOUR_MS));
    world.assert_in_force();
    world
}

fn change(world: &mut World, at: usize, change: AgreementChange) -> (u16, Value) {
    let agreement = world.agreement(at).id.clone();
    world.local(at, LocalRequest::ChangeAgreement { agreement, change })
}

fn state(world: &World, at: usize) -> AgreementState {
    world
        .agreement(at)
        .state_at(&ClockInterval::exact(world.now))
}

#[test]
fn people_approve_and_it_comes_into_force_at_both() {
    let mut world = World::new();
    world.publish("o", &stations(), false);
    let (status, body) = world.propose(&["o"], &[]);
    assert_eq!(status, 201, "{body}");
    assert_eq!(world.states(C), (vec![], vec![NegotiationState::Requested]));
    let proposal = world.proposal(P);
    assert_eq!(proposal["partner"], name(C).as_str());
    assert_eq!(proposal["changes"], serde_json::json!([]));
    let term = proposal["terms"]
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["key"] == "term")
        .unwrap();
    assert_eq!(term["class"], "provider");
    assert!(term["zh"].as_str().unwrap().contains("2017-07-01"));

    assert_eq!(world.decide(P, Decision::Approve).0, 200);
    let signed = (
        vec![AgreementState::Signed],
        vec![NegotiationState::Finalized],
    );
    assert_eq!(world.states(P), signed);
    assert_eq!(world.states(C), signed);
    world.run_until(JUNE);
    world.assert_in_force();

    let id = world.agreement(C).id.clone();
    assert!(
        id.as_str().starts_with("urn:uuid:") && id.as_str().len() == 45,
        "{id}"
    );
    let (_, view) = world.local(C, LocalRequest::GetAgreement(id));
    assert_eq!(view["state"], "IN_FORCE");
    assert_eq!(view["role"], "consumer");
    assert_eq!(view["daysLeft"], 30);
    assert_eq!(view["until"], "2017-07-01T00:00:00+08:00");
    assert_eq!(view["signatures"].as_array().unwrap().len(), 2);
    assert_eq!(view["policy"], stations().to_policy());
}

#[test]
fn a_request_within_the_offer_is_accepted_without_asking() {
    for auto in [true, false] {
        let mut world = World::new();
        world.publish("o", &stations(), auto);
        let narrower = Terms {
            until: JULY.plus_ms(-DAY_MS),
            ..stations()
        };
        world.propose(&["o"], &[("o", &narrower)]);
        let expected = if auto {
            NegotiationState::Finalized
        } else {
            NegotiationState::Requested
        };
        assert_eq!(world.states(C).1, vec![expected]);
        if auto {
            assert_eq!(world.agreement(P).terms, narrower);
        }
    }
}

#[test]
fn a_request_beyond_the_offer_waits_and_shows_what_changes() {
    let mut world = World::new();
    world.publish("o", &stations(), true);
    let longer = Terms {
        until: JULY.plus_ms(DAY_MS),
        ..stations()
    };
    world.propose(&["o"], &[("o", &longer)]);
    let proposal = world.proposal(P);
    let changes = proposal["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0]["key"], "term");
    assert_eq!(changes[0]["effect"], "consumer-gets-more");
    assert!(
        changes[0]["en"]["new"]
            .as_str()
            .unwrap()
            .contains("2017-07-02")
    );
}

#[test]
fn a_counter_offer_is_agreed_on_by_the_consumers_people() {
    let mut world = World::new();
    world.publish("o", &stations(), false);
    world.propose(&["o"], &[]);
    let shorter = Terms {
        until: JULY.plus_ms(-10 * DAY_MS),
        ..stations()
    };
    let policy = shorter.to_policy();
    assert_eq!(
        world
            .decide(
                P,
                Decision::Counter {
                    policy: stations().to_policy()
                }
            )
            .0,
        422
    );
    assert_eq!(world.decide(P, Decision::Counter { policy }).0, 200);
    assert_eq!(world.states(P).1, vec![NegotiationState::Offered]);
    let proposal = world.proposal(C);
    assert_eq!(proposal["changes"][0]["effect"], "consumer-gets-less");

    // The consumer asks for a little more, the provider approves that.
    let middle = Terms {
        until: JULY.plus_ms(-5 * DAY_MS),
        ..stations()
    };
    let policy = middle.to_policy();
    assert_eq!(world.decide(C, Decision::Counter { policy }).0, 200);
    assert_eq!(
        world.proposal(P)["changes"][0]["effect"],
        "consumer-gets-more"
    );
    world.decide(P, Decision::Approve);
    world.run_until(JUNE);
    world.assert_in_force();
    assert_eq!(world.agreement(C).terms, middle);
}

#[test]
fn an_accepted_offer_is_the_agreement() {
    let mut world = World::new();
    world.publish("o", &stations(), false);
    world.propose(&["o"], &[]);
    let shorter = Terms {
        until: JULY.plus_ms(-10 * DAY_MS),
        ..stations()
    };
    world.decide(
        P,
        Decision::Counter {
            policy: shorter.to_policy(),
        },
    );
    assert_eq!(world.decide(C, Decision::Approve).0, 200);
    world.run_until(JUNE);
    world.assert_in_force();
    assert_eq!(world.agreement(P).terms, shorter);
}

#[test]
fn a_rejection_ends_the_whole_cooperation() {
    let mut world = World::new();
    world.publish("a", &stations(), true);
    world.publish("b", &events(), false);
    world.propose(&["a", "b"], &[]);
    let reason = "not before autumn".to_owned();
    assert_eq!(world.decide(P, Decision::Reject { reason }).0, 200);
    world.run_until(JUNE.plus_ms(DAY_MS));
    // What was concluded alone never comes into force: no manifest names it.
    assert_eq!(world.states(C).0, vec![AgreementState::Finalized]);
    assert_eq!(world.states(P).0, vec![AgreementState::Finalized]);
    assert!(world.book(C).cooperations.is_empty());
    let book = world.book(C);
    let mut all = book.negotiations.values();
    let ended = all.find(|n| n.state == NegotiationState::Terminated);
    let last = book.history(&ended.unwrap().id).last().unwrap();
    assert!(last.what.contains("not before autumn"), "{last:?}");
}

#[test]
fn two_agreements_are_signed_together() {
    let mut world = World::new();
    world.publish("a", &stations(), true);
    world.publish("b", &events(), false);
    world.propose(&["a", "b"], &[]);
    world.run_until(JUNE);
    assert_eq!(
        world.states(C).0,
        vec![AgreementState::Finalized],
        "one alone is not in force"
    );
    world.decide(P, Decision::Approve);
    for at in [P, C] {
        assert_eq!(world.states(at).0, vec![AgreementState::InForce; 2]);
        let cooperations = &world.book(at).cooperations;
        assert_eq!(cooperations.len(), 1);
        let cooperation = cooperations.values().next().unwrap();
        assert!(cooperation.is_complete());
        assert_eq!(cooperation.read_manifest().unwrap().policies.len(), 2);
    }
    assert_eq!(
        world.book(P).cooperations.values().next().unwrap().manifest,
        world.book(C).cooperations.values().next().unwrap().manifest
    );
}

#[test]
fn whoever_suspends_resumes() {
    for (one, other) in [(P, C), (C, P)] {
        let mut world = agreed(&stations());
        let reason = "audit".to_owned();
        assert_eq!(
            change(&mut world, one, AgreementChange::Suspend { reason }).0,
            200
        );
        for at in [P, C] {
            assert_eq!(state(&world, at), AgreementState::Suspended);
            assert_eq!(
                world
                    .book(at)
                    .transfers
                    .values()
                    .next()
                    .unwrap()
                    .state
                    .as_str(),
                "SUSPENDED"
            );
        }
        assert_eq!(change(&mut world, other, AgreementChange::Resume).0, 409);
        assert_eq!(change(&mut world, one, AgreementChange::Resume).0, 200);
        world.assert_in_force();
    }
}

#[test]
fn a_termination_takes_effect_when_its_notice_says_and_not_before() {
    let mut world = agreed(&events());
    let terminate = |at| AgreementChange::Terminate {
        at,
        reason: "dispute".into(),
    };
    let early = world.now.plus_ms(-1);
    assert_eq!(change(&mut world, P, terminate(early)).0, 422);
    assert_eq!(change(&mut world, P, terminate(JULY)).0, 422);
    let at = JUNE.plus_ms(3 * DAY_MS);
    world.down = Some(C);
    assert_eq!(change(&mut world, P, terminate(at)).0, 200);
    assert_eq!(world.agreement(C).facts.terminated_at, None);
    world.down = None;
    world.run_until(JUNE.plus_ms(DAY_MS));
    assert_eq!(world.agreement(C).facts.terminated_at, Some(at));
    assert_eq!(world.agreement(P).unsent_notice, None);
    assert_eq!(state(&world, C), AgreementState::InForce);
    world.run_until(at);
    for at in [P, C] {
        assert_eq!(state(&world, at), AgreementState::RunOff);
    }
}

#[test]
fn a_notice_that_comes_late_never_takes_effect_before_it_came() {
    let mut world = agreed(&events());
    world.down = Some(C);
    let at = JUNE.plus_ms(2 * HOUR_MS);
    change(
        &mut world,
        P,
        AgreementChange::Terminate {
            at,
            reason: "dispute".into(),
        },
    );
    world.run_until(JUNE.plus_ms(5 * HOUR_MS));
    world.down = None;
    world.run_until(JUNE.plus_ms(6 * HOUR_MS));
    let known = world.agreement(C).facts.terminated_at.unwrap();
    assert!(known > JUNE.plus_ms(5 * HOUR_MS) && known <= world.now);
    assert_eq!(world.agreement(P).facts.terminated_at, Some(at));
}

#[test]
fn a_successor_takes_over_when_it_begins() {
    let mut world = agreed(&stations());
    let first = world.agreement(P).id.clone();
    let begins = JUNE.plus_ms(10 * DAY_MS);
    let renewed = Terms {
        from: begins,
        until: JULY.plus_ms(30 * DAY_MS),
        ..stations()
    };
    world.publish("next", &renewed, true);
    assert_eq!(world.propose(&["next"], &[]).0, 201);
    for at in [P, C] {
        let predecessor = &world.book(at).agreements[&first];
        assert_eq!(predecessor.facts.superseded_at, Some(begins));
        assert!(
            world
                .book(at)
                .agreements
                .contains_key(predecessor.superseded_by.as_ref().unwrap())
        );
    }
    let in_force = |world: &World, at: usize| {
        let clock = ClockInterval::exact(world.now);
        let all = world.book(at).agreements.values();
        let running = all.filter(|a| a.state_at(&clock) == AgreementState::InForce);
        running.map(|a| a.terms.from).collect::<Vec<_>>()
    };
    assert_eq!(in_force(&world, C), vec![JUNE]);
    world.run_until(begins);
    for at in [P, C] {
        assert_eq!(in_force(&world, at), vec![begins], "exactly one at a time");
    }
}

#[test]
fn one_that_begins_when_the_other_ends_supersedes_nothing() {
    let mut world = agreed(&events());
    let first = world.agreement(P).id.clone();
    let next = Terms {
        from: JULY,
        until: JULY.plus_ms(30 * DAY_MS),
        ..events()
    };
    world.publish("next", &next, true);
    world.propose(&["next"], &[]);
    world.run_until(JULY);
    assert_eq!(world.book(P).agreements[&first].facts.superseded_at, None);
    let clock = ClockInterval::exact(world.now);
    assert_eq!(
        world.book(P).agreements[&first].state_at(&clock),
        AgreementState::RunOff
    );
}

#[test]
fn a_partner_sees_only_what_is_offered_to_it() {
    let mut world = World::new();
    world.publish("o", &stations(), true);
    let secret = OfferPut {
        id: wire("secret"),
        dataset: Dataset::LockerEvents.into(),
        policy: events().to_policy(),
        audience: vec![name(2)],
        auto_accept: true,
    };
    assert_eq!(world.local(P, LocalRequest::PublishOffer(secret)).0, 201);
    let (status, catalog) = world.local(C, LocalRequest::GetCatalog(name(P)));
    assert_eq!(status, 200);
    let offers = catalog["offers"].as_array().unwrap();
    assert_eq!(offers.len(), 1);
    assert_eq!(offers[0]["id"], "o");
    assert_eq!(offers[0]["dataset"], "locker-stations");
    assert!(offers[0]["terms"].as_array().unwrap().len() > 3);
    let (status, refused) = world.propose(&["o", "secret"], &[]);
    assert_eq!(status, 422);
    assert_eq!(refused["errors"][0]["pointer"], "/offers/1");
    assert!(
        world.book(C).negotiations.is_empty(),
        "nothing was proposed in part"
    );
    // Asking past the catalog does not help.
    let (status, _) = world.get(&name(C), P, "/catalog/datasets/locker-events");
    assert_eq!(status, 404);
    let (status, _) = world.get(&name(2), P, "/catalog/datasets/locker-events");
    assert_eq!(status, 200);
}

#[test]
fn a_catalog_that_cannot_be_had_is_a_clear_error() {
    let mut world = World::new();
    world.down = Some(P);
    let (status, body) = world.propose(&["o"], &[]);
    assert_eq!(
        (status, body["kind"].as_str()),
        (502, Some("partner-unreachable"))
    );
    let stranger = ParticipantId::parse("did:web:nobody.example").unwrap();
    assert_eq!(world.local(C, LocalRequest::GetCatalog(stranger)).0, 404);
}

#[test]
fn a_dry_run_names_the_term() {
    let mut world = agreed(&stations());
    let ask = |purpose: &str, at| {
        LocalRequest::Explain(ExplainRequest {
            partner: name(C),
            dataset: Dataset::LockerStations,
            purpose: purpose.into(),
            waybill: None,
            form: None,
            at,
        })
    };
    let journal = world.journals[P].len();
    assert_eq!(
        world.local(P, ask("locker-operation", None)).1["decision"],
        "release"
    );
    let (_, later) = world.local(P, ask("locker-operation", Some(JULY)));
    assert_eq!(
        (&later["decision"], &later["reason"]),
        (&"denial".into(), &"term-ended".into())
    );
    assert!(later["sentence"]["zh"].is_string());
    assert_eq!(
        world.local(P, ask("statistics", None)).1["reason"],
        "purpose-not-granted"
    );
    assert_eq!(world.local(P, ask("sale", None)).0, 422);
    assert_eq!(
        world.journals[P].len(),
        journal,
        "a dry run changes nothing"
    );
}

#[test]
fn an_offer_that_cannot_be_kept_is_not_published() {
    let mut world = World::new();
    let put = |policy: Value, audience: Vec<ParticipantId>| {
        LocalRequest::PublishOffer(OfferPut {
            id: wire("o"),
            dataset: Dataset::LockerStations.into(),
            policy,
            audience,
            auto_accept: false,
        })
    };
    let stranger = ParticipantId::parse("did:web:nobody.example").unwrap();
    let over = Terms {
        from: MAY.plus_ms(-DAY_MS),
        until: MAY,
        ..stations()
    };
    let zero = Terms {
        quota_per_day: Some(0),
        ..stations()
    };
    for (request, pointer) in [
        (put(over.to_policy(), vec![]), "/policy"),
        (put(zero.to_policy(), vec![]), "/policy"),
        (
            put(serde_json::json!({"permission": []}), vec![]),
            "/policy",
        ),
        (
            put(stations().to_policy(), vec![name(C), stranger]),
            "/audience/1",
        ),
    ] {
        let (status, body) = world.local(P, request);
        assert_eq!(
            (status, &body["errors"][0]["pointer"]),
            (422, &pointer.into())
        );
    }
    assert!(world.book(P).offers.is_empty());
    assert_eq!(
        world.local(P, LocalRequest::WithdrawOffer(wire("o"))).0,
        404
    );
}

#[test]
fn contacts_in_a_form_that_the_node_cannot_make_are_not_offered() {
    use interlock_core::contact::ContactForm;
    use interlock_core::terms::{EvidenceKind, Notifier};
    let mut world = World::new();
    let mut offer = |forms: &[ContactForm]| {
        let terms = Terms {
            dataset: Dataset::RecipientContact,
            purposes: [Purpose::PickupNotification].into(),
            fields: [Field::Contact].into(),
            contact_forms: forms.iter().copied().collect(),
            evidence: [EvidenceKind::Arrival].into(),
            notifier: Some(Notifier::Operator),
            ..events()
        };
        let put = OfferPut {
            id: wire("contacts"),
            dataset: Dataset::RecipientContact.into(),
            policy: terms.to_policy(),
            audience: Vec::new(),
            auto_accept: true,
        };
        world.local(P, LocalRequest::PublishOffer(put))
    };
    let (status, body) = offer(&[ContactForm::Sealed, ContactForm::Virtual]);
    assert_eq!(status, 422, "{body}");
    let detail = body["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("notify.virtual_number"), "{detail}");
    let (status, body) = offer(&[ContactForm::Sealed, ContactForm::Full]);
    assert_eq!(status, 201, "{body}");
}

#[test]
fn an_uncertain_clock_begins_late_and_still_begins() {
    let mut world = World::new();
    world.clock_width_ms = 50;
    world.publish("o", &stations(), true);
    world.propose(&["o"], &[]);
    world.run_until(JUNE.plus_ms(49));
    let clock = |world: &World| ClockInterval {
        earliest: world.now.plus_ms(-50),
        latest: world.now,
    };
    assert_eq!(
        world.agreement(P).state_at(&clock(&world)),
        AgreementState::Signed
    );
    world.run_until(JUNE.plus_ms(HOUR_MS));
    world.assert_in_force();
    let entered = |record: &Record| {
        matches!(
            record,
            Record::AgreementState {
                state: AgreementState::InForce,
                ..
            }
        )
    };
    let begun = world.journals[C].iter().find(|(_, record)| entered(record));
    assert_eq!(
        begun.unwrap().0,
        JUNE.plus_ms(50),
        "by a timer, not by chance"
    );
    world.run_until(JULY);
    assert_eq!(world.agreement(P).state, AgreementState::Ended);
}

#[test]
fn leaves_that_nothing_else_carries_are_fetched_and_receipted() {
    let mut world = agreed(&stations());
    let agreement = world.agreement(P).id.clone();
    for round in 0..600 {
        let reason = "audit".to_owned();
        for change in [AgreementChange::Suspend { reason }, AgreementChange::Resume] {
            let agreement = agreement.clone();
            let request = LocalRequest::ChangeAgreement { agreement, change };
            assert_eq!(world.local(P, request).0, 200, "{round}");
            world.run_until(world.now.plus_ms(1));
        }
        world.sent.clear();
    }
    for (at, other) in [(P, C), (C, P)] {
        let channel = |at: usize, other| world.nodes[at].state().channel(&name(other)).unwrap();
        let out = &channel(at, other).out;
        assert!(out.size() > 1_200, "each change is a leaf: {}", out.size());
        let waiting = out.size() - out.acknowledged();
        assert!(waiting < 1_100, "{waiting} of {}", out.size());
        assert!(channel(other, at).mirrored() > 500);
    }
}
