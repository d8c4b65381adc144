//! People: two pairs of eyes, deadlines, and the log of who decided what.

use interlock_core::negotiation::NegotiationState;
use interlock_core::time::{DAY_MS, HOUR_MS};

use super::*;

fn decide(world: &mut World, at: usize, key: [u8; 32], decision: Decision) -> (u16, Value) {
    let id = wire(world.proposal(at)["id"].as_str().unwrap());
    let request = LocalRequest::Decide {
        negotiation: id,
        decision,
    };
    world.local_by(at, key, request)
}

fn shorter(days: i64) -> Terms {
    Terms {
        until: JULY.plus_ms(-days * DAY_MS),
        ..stations()
    }
}

fn counter(days: i64) -> Decision {
    Decision::Counter {
        policy: shorter(days).to_policy(),
    }
}

const LI: [u8; 32] = [9; 32];

#[test]
fn two_different_people_approve_what_a_partner_asks_for() {
    let mut world = World::new();
    world.four_eyes(P);
    let wang = world.hire(P, "wang");
    // Another key of the same person is the same pair of eyes.
    let again = Record::ApiKey {
        name: "li".into(),
        role: Role::Approver,
        digest: [8; 32],
    };
    world.put(P, again);
    world.publish("o", &stations(), false);
    world.propose(&["o"], &[]);
    let (status, view) = decide(&mut world, P, LI, Decision::Approve);
    assert_eq!((status, &view["state"]), (200, &"REQUESTED".into()));
    assert_eq!(view["approvedBy"], serde_json::json!(["li"]));
    for key in [LI, [8; 32]] {
        let (status, body) = decide(&mut world, P, key, Decision::Approve);
        assert_eq!((status, &body["kind"]), (409, &"same-person".into()));
    }
    assert_eq!(world.states(C).1, vec![NegotiationState::Requested]);
    // A restart does not forget the first approval.
    world.restart(P);
    assert_eq!(decide(&mut world, P, wang, Decision::Approve).0, 200);
    world.run_until(JUNE);
    world.assert_in_force();
}

#[test]
fn whoever_makes_terms_is_one_of_the_two() {
    let mut world = World::new();
    world.four_eyes(P);
    let wang = world.hire(P, "wang");
    world.publish("o", &stations(), false);
    world.propose(&["o"], &[]);
    decide(&mut world, P, wang, Decision::Approve);
    // Li wants other terms: what Wang approved is no longer what lies there.
    let sent = world.sent.len();
    assert_eq!(decide(&mut world, P, LI, counter(3)).0, 200);
    assert_eq!(
        world.sent.len(),
        sent,
        "nothing leaves with one pair of eyes"
    );
    let proposal = world.proposal(P);
    assert_eq!(
        (&proposal["version"], &proposal["draftBy"]),
        (&2.into(), &"li".into())
    );
    assert_eq!(proposal["changes"][0]["effect"], "consumer-gets-less");
    assert_eq!(proposal["changes"][0]["class"], "provider");
    assert_eq!(
        decide(&mut world, P, LI, Decision::Approve).1["kind"],
        "same-person"
    );
    // Wang looked at the first version, and says so.
    let (status, body) = decide(&mut world, P, wang, Decision::ApproveVersion(1));
    assert_eq!((status, &body["kind"]), (409, &"terms-changed".into()));
    assert_eq!(
        decide(&mut world, P, wang, Decision::ApproveVersion(2)).0,
        200
    );
    assert_eq!(world.states(C).1, vec![NegotiationState::Offered]);
    world.decide(C, Decision::Approve);
    world.run_until(JUNE);
    world.assert_in_force();
    assert_eq!(world.agreement(C).terms, shorter(3));
}

#[test]
fn a_changed_proposal_needs_both_anew() {
    let mut world = World::new();
    world.four_eyes(P);
    let wang = world.hire(P, "wang");
    world.publish("o", &stations(), false);
    world.propose(&["o"], &[]);
    decide(&mut world, P, LI, counter(5));
    decide(&mut world, P, wang, Decision::Approve);
    // The consumer counters: neither of the two stands for that.
    world.decide(C, counter(2));
    assert_eq!(world.proposal(P)["approvedBy"], serde_json::json!([]));
    assert_eq!(decide(&mut world, P, wang, Decision::Approve).0, 200);
    assert!(world.book(P).agreements.is_empty());
    assert_eq!(decide(&mut world, P, LI, Decision::Approve).0, 200);
    world.run_until(JUNE);
    world.assert_in_force();
}

#[test]
fn a_proposal_of_our_own_leaves_once_a_second_person_approved_it() {
    let mut world = World::new();
    world.four_eyes(C);
    let wang = world.hire(C, "wang");
    world.publish("o", &stations(), true);
    assert_eq!(world.propose(&["o"], &[]).0, 201);
    assert!(world.book(P).negotiations.is_empty());
    assert_eq!(
        decide(&mut world, C, LI, Decision::Approve).1["kind"],
        "same-person"
    );
    world.restart(C);
    world.run();
    assert!(world.book(P).negotiations.is_empty());
    assert_eq!(decide(&mut world, C, wang, Decision::Approve).0, 200);
    world.run_until(JUNE);
    world.assert_in_force();
}

#[test]
fn one_person_alone_publishes_no_offer_that_accepts_by_itself() {
    let mut world = World::new();
    world.four_eyes(P);
    let offer = |auto_accept| {
        LocalRequest::PublishOffer(OfferPut {
            id: wire("o"),
            dataset: Dataset::LockerStations.into(),
            policy: stations().to_policy(),
            audience: Vec::new(),
            auto_accept,
        })
    };
    let (status, body) = world.local(P, offer(true));
    assert_eq!(
        (status, &body["errors"][0]["pointer"]),
        (422, &"/autoAccept".into())
    );
    assert_eq!(world.local(P, offer(false)).0, 201);
}

#[test]
fn what_nobody_answers_ends_at_both_sides_with_the_reason() {
    let mut world = World::new();
    world.nodes[P].config.proposal_life_ms = 3 * DAY_MS;
    let long = Terms {
        from: MAY,
        ..stations()
    };
    world.publish("o", &long, false);
    world.propose(&["o"], &[]);
    let id = world.proposal(P)["id"].as_str().unwrap().to_owned();
    assert_eq!(world.proposal(P)["answerBy"], "2017-06-03T00:00:00+08:00");
    world.run_until(MAY.plus_ms(3 * DAY_MS - 1));
    assert_eq!(world.states(P).1, vec![NegotiationState::Requested]);
    world.run_until(MAY.plus_ms(3 * DAY_MS));
    for at in [P, C] {
        assert_eq!(world.states(at).1, vec![NegotiationState::Terminated]);
        let book = world.book(at);
        let id = book.negotiations.keys().next().unwrap();
        let last = book.history(id).last().unwrap();
        assert!(last.what.contains("nobody answered in time"), "{last:?}");
    }
    let request = LocalRequest::Decide {
        negotiation: wire(&id),
        decision: Decision::Approve,
    };
    assert_eq!(world.local(P, request).0, 409);
}

#[test]
fn a_partner_that_is_away_is_no_partner_that_does_not_answer() {
    let mut world = World::new();
    world.nodes[C].config.proposal_life_ms = 6 * HOUR_MS;
    world.publish("o", &stations(), false);
    world.fates = [(1, Fate::RequestLost)].into();
    world.propose(&["o"], &[]);
    world.down = Some(P);
    world.run_until(MAY.plus_ms(9 * HOUR_MS));
    assert_eq!(world.states(C).1, vec![NegotiationState::Requested]);
    world.down = None;
    world.run_until(MAY.plus_ms(10 * HOUR_MS));
    assert_eq!(world.states(P).1, vec![NegotiationState::Requested]);
    // The hours count from when the partner has it.
    world.run_until(MAY.plus_ms(17 * HOUR_MS));
    assert_eq!(world.states(C).1, vec![NegotiationState::Terminated]);
}

#[test]
fn the_log_says_who_decided_what_when_and_about_which_terms() {
    let mut world = World::new();
    world.four_eyes(P);
    let wang = world.hire(P, "wang");
    world.publish("o", &stations(), false);
    world.propose(&["o"], &[]);
    let id = world.proposal(P)["id"].as_str().unwrap().to_owned();
    decide(&mut world, P, LI, counter(5));
    decide(&mut world, P, wang, Decision::Approve);
    world.decide(C, Decision::Approve);
    world.restart(P);
    let view = world.negotiation(P, &id);
    let line = |number: usize| {
        let line = &view["history"][number];
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (
            text("by"),
            text("kind"),
            text("what"),
            line["version"].as_u64().unwrap(),
        )
    };
    let person =
        |name: &str, what: &str, version| (name.into(), "person".into(), what.into(), version);
    let (cainiao, fengchao) = (name(C).to_string(), name(P).to_string());
    assert_eq!(
        line(0),
        (
            cainiao.clone(),
            "partner".into(),
            "asked for locker-stations".into(),
            1
        )
    );
    let drafted = "wants to propose other terms; a second person must approve";
    assert_eq!(line(1), person("li", drafted, 1));
    assert_eq!(
        line(2),
        person("wang", "approved what li wants to propose", 1)
    );
    assert_eq!(line(3), person("wang", "proposed other terms", 2));
    assert_eq!(
        line(4),
        (cainiao, "partner".into(), "accepted our terms".into(), 2)
    );
    assert_eq!(line(5), (fengchao, "node".into(), "agreed".into(), 2));
    let hash = crate::node::feed_items::hex(&shorter(5).policy_hash());
    assert_eq!(view["history"][3]["policyHash"], hash);
    assert_eq!(view["history"][3]["at"], "2017-05-31T00:00:00+08:00");
    // The agreement shows where it came from.
    let agreement = world.agreement(P).id.clone();
    let (_, shown) = world.local(P, LocalRequest::GetAgreement(agreement));
    assert_eq!(shown["negotiated"], view["history"]);
    assert_eq!(shown["history"][0]["what"], "finalized");
}

#[test]
fn a_caller_may_wait_for_the_end() {
    let mut world = World::new();
    world.publish("o", &stations(), false);
    world.propose(&["o"], &[]);
    let id = world.book(C).negotiations.keys().next().unwrap().clone();
    let wait = |wait_ms| LocalRequest::GetNegotiation {
        negotiation: id.clone(),
        wait_ms,
    };
    let input = Input::Local {
        reply: ReplyId(77),
        credential: Some(LI),
        idempotency: None,
        request: wait(60_000),
    };
    world.step(C, input);
    assert!(world.local.is_empty());
    assert_eq!(world.nodes[C].parked_polls(), 1);
    // The last answer of all is that of the caller who waits.
    let (_, body) = world.decide(P, Decision::Approve);
    assert_eq!(body["state"], "FINALIZED");
    let agreement = &world.agreement(C).facts;
    assert!(
        agreement.manifest_complete_at.is_some(),
        "answered before it was signed"
    );
    assert_eq!(world.nodes[C].parked_polls(), 0);
    assert_eq!(world.local(C, wait(60_000)).1["state"], "FINALIZED");
}

#[test]
fn callers_that_come_while_a_catalog_is_asked_for_share_the_next_one() {
    let mut world = World::new();
    world.publish("o", &stations(), true);
    for number in 0..3 {
        let request = LocalRequest::Propose {
            partner: name(P),
            offers: vec![wire("o")],
            policies: Vec::new(),
        };
        let input = Input::Local {
            reply: ReplyId(90 + number),
            credential: Some(LI),
            idempotency: None,
            request,
        };
        world.step(C, input);
    }
    world.run();
    let catalog = |(_, request): &&(usize, PeerRequest)| matches!(request, PeerRequest::Dsp { path, .. } if path == "/catalog/request");
    assert_eq!(world.sent.iter().filter(catalog).count(), 2);
    assert_eq!(world.states(C).1, vec![NegotiationState::Finalized; 3]);
    assert!(world.nodes[C].live.agreements.catalogs.is_empty());
}
