//! What could not be delivered: shown, tried again, and what a partner's refusal leads to.

use interlock_core::negotiation::Party;
use interlock_core::time::{HOUR_MS, MINUTE_MS};
use interlock_core::transfer::TransferState;
use serde_json::json;

use super::super::Transfer;
use super::*;
use crate::dsp::CONTEXT;
use crate::node::io::AgreementChange;

/// An agreement in force at both, with its dataset flowing.
fn in_force() -> World {
    let mut world = World::new();
    world.publish("o", &stations(), true);
    assert_eq!(world.propose(&["o"], &[]).0, 201);
    world.run_until(JUNE.plus_ms(MINUTE_MS));
    world.assert_in_force();
    world
}

/// The one transfer of a node that is not over.
fn transfer(world: &World, at: usize) -> Transfer {
    let all = world.book(at).transfers.values();
    let mut open = all.filter(|t| !t.state.is_terminal());
    let found = open.next().expect("a transfer").clone();
    assert!(open.next().is_none(), "one is open");
    found
}

fn change(world: &mut World, at: usize, change: AgreementChange) -> u16 {
    let agreement = world.agreement(at).id.clone();
    world
        .local(at, LocalRequest::ChangeAgreement { agreement, change })
        .0
}

fn suspend(reason: &str) -> AgreementChange {
    AgreementChange::Suspend {
        reason: reason.into(),
    }
}

/// A message of the provider about the consumer's transfer.
fn from_provider(world: &mut World, step: &str, kind: &str, more: Value) -> u16 {
    let known = transfer(world, C);
    let mut body = json!({
        "@context": [CONTEXT],
        "@type": kind,
        "consumerPid": known.id.as_str(),
        "providerPid": known.peer_id.as_ref().unwrap().as_str(),
    });
    let members = body.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    let path = format!("/transfers/{}/{step}", known.id);
    world.post(&name(P), C, &path, &body).0
}

/// Answers the call that is under way, as the partner at its other end.
fn answer(world: &mut World, status: u16, body: Value) -> (bool, String) {
    let flight = world.flights.pop_front().expect("a call");
    let PeerRequest::Dsp { post, path, .. } = flight.request else {
        panic!("{:?}", flight.request);
    };
    let link = None;
    let outcome = Ok(PeerAnswer::Dsp { status, body, link });
    let call = flight.call;
    world.step(flight.from, Input::Answered { call, outcome });
    (post, path)
}

/// A call that is under way gets no answer.
fn lose(world: &mut World) {
    let flight = world.flights.pop_front().expect("a call");
    let (call, outcome) = (flight.call, Err(CallFailure::TimedOut));
    world.step(flight.from, Input::Answered { call, outcome });
}

/// Time passes until the next message leaves.
fn wait(world: &mut World, at: usize) {
    while world.flights.is_empty() {
        world.now = world.nodes[at].next_wake().expect("another try");
        world.step(at, Input::Tick);
    }
}

fn status(world: &mut World, at: usize) -> Vec<Value> {
    let (_, body) = world.local(at, LocalRequest::GetStatus);
    body["waitingForPartners"].as_array().unwrap().clone()
}

#[test]
fn a_negotiation_that_waits_for_a_partner_says_since_when_and_why() {
    let mut world = World::new();
    world.publish("o", &stations(), false);
    assert_eq!(world.propose(&["o"], &[]).0, 201);
    assert_eq!(status(&mut world, P), Vec::<Value>::new());
    world.down = Some(C);
    assert_eq!(world.decide(P, Decision::Approve).0, 200);
    world.run_until(MAY.plus_ms(10 * MINUTE_MS));
    let id = world
        .book(P)
        .negotiations
        .keys()
        .next()
        .unwrap()
        .to_string();
    let shown = world.negotiation(P, &id);
    let waiting = &shown["waitingForPartner"];
    assert_eq!(shown["state"], "AGREED");
    let tries = waiting["tries"].as_u64().unwrap();
    assert!((8..40).contains(&tries), "{tries}");
    assert_eq!(waiting["lastError"], "no answer in time");
    let next = waiting["nextTryAt"].as_str().unwrap();
    let (next, _) = Timestamp::parse_zoned(next).unwrap();
    assert!(next > world.now && next.since_ms(world.now) <= MINUTE_MS);
    let line = status(&mut world, P).remove(0);
    assert_eq!(
        (&line["what"], &line["id"]),
        (&json!("negotiation"), &json!(id))
    );
    assert_eq!(line["tries"], waiting["tries"]);
    let (_, all) = world.local(P, LocalRequest::GetNegotiations);
    assert_eq!(&all["negotiations"][0]["waitingForPartner"], waiting);
    // A node that starts anew tries at once, and counts from there.
    world.restart(P);
    world.run();
    let shown = world.negotiation(P, &id);
    assert_eq!(shown["waitingForPartner"]["tries"], 1);
    world.down = None;
    world.run_until(JUNE.plus_ms(MINUTE_MS));
    world.assert_in_force();
    assert_eq!(world.negotiation(P, &id)["waitingForPartner"], Value::Null);
    assert_eq!(status(&mut world, P), Vec::<Value>::new());
}

#[test]
fn transfers_manifests_and_notices_that_wait_are_shown() {
    let mut world = in_force();
    world.down = Some(C);
    assert_eq!(change(&mut world, P, suspend("audit")), 200);
    world.run_until(JUNE.plus_ms(5 * MINUTE_MS));
    let (_, shown) = world.local(P, LocalRequest::GetTransfers);
    let line = &shown["transfers"][0];
    assert_eq!(line["state"], "SUSPENDED");
    assert_eq!(line["dataset"], "locker-stations");
    assert_eq!(line["waitingForPartner"]["lastError"], "no answer in time");
    let agreement = world.agreement(P).id.clone();
    let (_, shown) = world.local(P, LocalRequest::GetAgreement(agreement));
    assert_eq!(&shown["transfers"][0], line);
    let ends = AgreementChange::Terminate {
        at: JUNE.plus_ms(DAY_MS),
        reason: "done".into(),
    };
    assert_eq!(change(&mut world, P, ends), 200);
    world.run_until(JUNE.plus_ms(10 * MINUTE_MS));
    let what: Vec<Value> = status(&mut world, P)
        .iter()
        .map(|line| line["what"].clone())
        .collect();
    assert_eq!(what, [json!("transfer"), json!("notice")]);

    let mut world = World::new();
    world.publish("o", &stations(), true);
    // The manifest is the consumer's last message.
    world.propose(&["o"], &[]);
    let manifest = |sent: &(usize, PeerRequest)| matches!(sent.1, PeerRequest::Cooperation(_));
    let at = world.sent.iter().position(manifest).expect("a manifest");
    let mut world = World::new();
    world.publish("o", &stations(), true);
    world.fates = (at..MESSAGES_MAX).map(|n| (n, Fate::RequestLost)).collect();
    world.propose(&["o"], &[]);
    world.run_until(MAY.plus_ms(MINUTE_MS));
    let line = status(&mut world, C).remove(0);
    assert_eq!(line["what"], "manifest");
    let agreement = world.agreement(C).id.clone();
    let (_, shown) = world.local(C, LocalRequest::GetAgreement(agreement));
    assert_eq!(shown["state"], "FINALIZED");
    assert_eq!(shown["waitingForPartner"]["tries"], line["tries"]);
}

#[test]
fn what_a_partner_cannot_take_yet_is_tried_again_at_once_then_ever_less_often() {
    let mut world = World::new();
    world.publish("o", &stations(), true);
    assert_eq!(world.propose(&["o"], &[]).0, 201);
    // The consumer's node is at the beginning of the term before the provider's.
    world.run_until(JUNE.plus_ms(-1));
    world.now = JUNE;
    wait(&mut world, C);
    let mut pauses = Vec::new();
    for _ in 0..14 {
        let (_, path) = answer(&mut world, 503, json!({ "reason": ["not in force yet"] }));
        assert_eq!(path, "/transfers/request");
        let before = world.now;
        wait(&mut world, C);
        pauses.push(world.now.since_ms(before));
    }
    let bounds = |n: u32| (10 << n).min(30_000)..=(20 << n).min(60_000);
    for (n, pause) in (0..).zip(&pauses) {
        assert!(bounds(n).contains(pause), "{pauses:?}");
    }
    world.run();
    world.run_until(JUNE.plus_ms(1));
    assert_eq!(transfer(&world, C).state, TransferState::Started);
}

#[test]
fn a_partner_that_is_away_is_tried_until_the_agreement_is_over_and_no_longer() {
    let end = JUNE.plus_ms(6 * HOUR_MS);
    let mut world = World::new();
    let brief = Terms {
        until: end,
        ..stations()
    };
    world.publish("o", &brief, true);
    assert_eq!(world.propose(&["o"], &[]).0, 201);
    world.run_until(JUNE.plus_ms(MINUTE_MS));
    world.down = Some(C);
    assert_eq!(change(&mut world, P, suspend("audit")), 200);
    for hour in 1..6 {
        let before = world.sent.len();
        world.run_until(JUNE.plus_ms(hour * HOUR_MS));
        let tries = world.sent.len() - before;
        assert!((55..=140).contains(&tries), "{tries} tries in an hour");
    }
    // A start does not begin anew what is over.
    world.run_until(end.plus_ms(MINUTE_MS));
    world.restart(P);
    world.run();
    let over = world.sent.len();
    world.run_until(end.plus_ms(2 * HOUR_MS));
    let after = world.sent[over..].iter();
    let messages = after.filter(|(_, request)| matches!(request, PeerRequest::Dsp { .. }));
    assert_eq!(messages.count(), 0);
    assert_eq!(status(&mut world, P), Vec::<Value>::new());
}

#[test]
fn a_newer_message_does_not_double_the_tries() {
    let mut world = in_force();
    world.down = Some(C);
    for _ in 0..5 {
        assert_eq!(change(&mut world, P, suspend("audit")), 200);
        world.now = world.now.plus_ms(20_000);
        assert_eq!(change(&mut world, P, AgreementChange::Resume), 200);
        world.run_until(world.now.plus_ms(20_000));
    }
    let from = world.now.plus_ms(HOUR_MS);
    world.run_until(from);
    let before = world.sent.len();
    world.run_until(from.plus_ms(HOUR_MS));
    let tries = world.sent.len() - before;
    assert!((55..=125).contains(&tries), "{tries} tries in an hour");
}

#[test]
fn the_dataset_is_asked_for_again_when_its_provider_ended_the_transfer() {
    for (step, kind) in [
        ("termination", "TransferTerminationMessage"),
        ("completion", "TransferCompletionMessage"),
    ] {
        let mut world = in_force();
        let first = transfer(&world, C).id;
        assert_eq!(from_provider(&mut world, step, kind, json!({})), 200);
        let agreement = world.agreement(C).id.clone();
        let (_, shown) = world.local(C, LocalRequest::GetAgreement(agreement.clone()));
        let again = shown["asksAgainAt"].as_str().expect("a time");
        let (again, _) = Timestamp::parse_zoned(again).unwrap();
        assert!(again > world.now);
        world.run_until(world.now.plus_ms(MINUTE_MS));
        let now = transfer(&world, C);
        assert_ne!(now.id, first);
        assert_eq!(now.state, TransferState::Started, "{step}");
        let (_, shown) = world.local(C, LocalRequest::GetAgreement(agreement));
        assert_eq!(shown["asksAgainAt"], Value::Null);
    }
}

#[test]
fn a_provider_that_ends_every_transfer_is_asked_ever_less_often() {
    let mut world = in_force();
    let mut asked = Vec::new();
    let kind = "TransferTerminationMessage";
    for _ in 0..16 {
        assert_eq!(
            from_provider(&mut world, "termination", kind, json!({})),
            200
        );
        let ended = world.now;
        let open = |world: &World| {
            let mut all = world.book(C).transfers.values();
            all.any(|t| t.party == Party::Consumer && t.state == TransferState::Started)
        };
        while !open(&world) {
            let next = world.nodes[C].next_wake().unwrap();
            world.run_until(next);
        }
        asked.push(world.now.since_ms(ended));
    }
    assert!(asked[0] <= 2_000, "{asked:?}");
    assert!(asked[15] >= HOUR_MS / 2, "{asked:?}");
    assert!(asked.iter().all(|pause| *pause <= HOUR_MS + 1), "{asked:?}");
}

#[test]
fn what_is_suspended_is_not_asked_for_again() {
    let mut world = in_force();
    assert_eq!(change(&mut world, P, suspend("audit")), 200);
    world.run_until(JUNE.plus_ms(3 * HOUR_MS));
    assert_eq!(world.book(C).transfers.len(), 1);
    assert_eq!(transfer(&world, C).state, TransferState::Suspended);
    // Ended while it stands still: asked for when it goes on.
    let kind = "TransferTerminationMessage";
    assert_eq!(
        from_provider(&mut world, "termination", kind, json!({})),
        200
    );
    world.run_until(JUNE.plus_ms(6 * HOUR_MS));
    assert_eq!(world.book(C).transfers.len(), 1);
}

#[test]
fn a_node_that_went_down_before_it_asked_again_asks_when_it_is_back() {
    let mut world = in_force();
    let kind = "TransferTerminationMessage";
    assert_eq!(
        from_provider(&mut world, "termination", kind, json!({})),
        200
    );
    world.restart(C);
    world.run_until(world.now.plus_ms(MINUTE_MS));
    assert_eq!(transfer(&world, C).state, TransferState::Started);
}

/// A provider whose start the consumer has taken without our knowing.
fn start_without_answer() -> (World, Transfer) {
    let mut world = in_force();
    assert_eq!(change(&mut world, P, suspend("audit")), 200);
    world.run();
    let agreement = world.agreement(P).id.clone();
    let input = Input::Local {
        reply: ReplyId(1_000),
        credential: Some([9; 32]),
        idempotency: None,
        request: LocalRequest::ChangeAgreement {
            agreement,
            change: AgreementChange::Resume,
        },
    };
    world.step(P, input);
    lose(&mut world);
    let standing = transfer(&world, P);
    assert_eq!(standing.state, TransferState::Started);
    wait(&mut world, P);
    (world, standing)
}

fn process(known: &Transfer, state: &str) -> Value {
    json!({
        "@context": [CONTEXT],
        "@type": "TransferProcess",
        "providerPid": known.id.as_str(),
        "consumerPid": known.peer_id.as_ref().unwrap().as_str(),
        "state": state,
    })
}

#[test]
fn a_refused_repeat_of_a_start_is_looked_up_and_ends_nothing() {
    let (mut world, known) = start_without_answer();
    let sent = answer(&mut world, 400, json!({ "reason": ["not in STARTED"] }));
    assert!(sent.0 && sent.1.ends_with("/start"), "{sent:?}");
    // Nobody answers at first, then it says that it has it.
    lose(&mut world);
    assert_eq!(transfer(&world, P).state, TransferState::Started);
    wait(&mut world, P);
    answer(&mut world, 400, json!({}));
    let (post, path) = answer(&mut world, 200, process(&known, "STARTED"));
    assert!(!post);
    assert_eq!(
        path,
        format!("/transfers/{}", known.peer_id.clone().unwrap())
    );
    let now = transfer(&world, P);
    assert_eq!((now.state, now.unsent), (TransferState::Started, None));
}

#[test]
fn where_a_transfer_stands_at_the_partner_counts() {
    for (there, status, here, told) in [
        ("COMPLETED", 200, TransferState::Completed, false),
        ("TERMINATED", 200, TransferState::Terminated, false),
        ("REQUESTED", 200, TransferState::Terminated, true),
        ("SUSPENDED", 200, TransferState::Suspended, false),
        ("", 404, TransferState::Terminated, false),
    ] {
        let (mut world, known) = start_without_answer();
        answer(&mut world, 400, json!({}));
        answer(&mut world, status, process(&known, there));
        let now = &world.book(P).transfers[&known.id];
        assert_eq!(now.state, here, "{there}");
        let last = now.unsent.as_ref();
        let ends = last.is_some_and(|last| last.path.ends_with("/termination"));
        assert_eq!(ends, told, "{there}: {last:?}");
        // It holds it suspended: its people are the ones to resume it.
        let stopped_by = world.agreement(P).suspended_by.clone();
        let expected = (here == TransferState::Suspended).then(|| name(C));
        assert_eq!(stopped_by, expected, "{there}");
        assert_eq!(world.replayed(P).state().book, *world.book(P));
    }
}

#[test]
fn two_suspensions_that_cross_are_one() {
    let mut world = in_force();
    for at in [P, C] {
        let agreement = world.agreement(at).id.clone();
        let input = Input::Local {
            reply: ReplyId(1_000),
            credential: Some([9; 32]),
            idempotency: None,
            request: LocalRequest::ChangeAgreement {
                agreement,
                change: suspend("at once"),
            },
        };
        world.step(at, input);
    }
    world.run_until(JUNE.plus_ms(HOUR_MS));
    for at in [P, C] {
        let known = transfer(&world, at);
        assert_eq!(
            (known.state, known.unsent),
            (TransferState::Suspended, None)
        );
    }
    // Each resumes its own; it flows once both have.
    assert_eq!(change(&mut world, P, AgreementChange::Resume), 200);
    world.run_until(JUNE.plus_ms(2 * HOUR_MS));
    for at in [P, C] {
        assert_eq!(transfer(&world, at).state, TransferState::Suspended);
        assert_eq!(world.agreement(at).suspended_by, Some(name(C)));
    }
    assert_eq!(change(&mut world, C, AgreementChange::Resume), 200);
    world.run_until(JUNE.plus_ms(3 * HOUR_MS));
    for at in [P, C] {
        assert_eq!(transfer(&world, at).state, TransferState::Started);
        assert_eq!(world.agreement(at).suspended_by, None);
    }
}

#[test]
fn a_start_is_a_repeat_only_while_it_is_started() {
    let mut world = in_force();
    let start = |world: &mut World, token: &str| {
        let address = json!({ "dataAddress": {
            "@type": "DataAddress",
            "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
            "endpointProperties": [{
                "@type": "EndpointProperty", "name": "authorization", "value": token,
            }],
        } });
        from_provider(world, "start", "TransferStartMessage", address)
    };
    let before = world.book(C).clone();
    assert_eq!(start(&mut world, "first"), 200);
    assert_eq!(start(&mut world, "second"), 200);
    assert_eq!(world.book(C), &before, "it is started already");
    let kind = "TransferSuspensionMessage";
    assert_eq!(
        from_provider(&mut world, "suspension", kind, json!({})),
        200
    );
    assert_eq!(
        from_provider(&mut world, "suspension", kind, json!({})),
        200
    );
    assert_eq!(transfer(&world, C).state, TransferState::Suspended);
    assert_eq!(start(&mut world, "third"), 200);
    assert_eq!(transfer(&world, C).state, TransferState::Started);
    // What our people stopped is not started by a start that came before.
    assert_eq!(change(&mut world, C, suspend("stop")), 200);
    assert_eq!(start(&mut world, "third"), 400);
    assert_eq!(transfer(&world, C).state, TransferState::Suspended);
}

#[test]
fn a_partner_that_refuses_a_message_is_told_that_it_is_over() {
    let mut world = World::new();
    world.publish("o", &stations(), false);
    assert_eq!(world.propose(&["o"], &[]).0, 201);
    let id = wire(world.proposal(P)["id"].as_str().unwrap());
    let input = Input::Local {
        reply: ReplyId(1_000),
        credential: Some([9; 32]),
        idempotency: None,
        request: LocalRequest::Decide {
            negotiation: id.clone(),
            decision: Decision::Approve,
        },
    };
    world.step(P, input);
    let (_, path) = answer(&mut world, 400, json!({ "reason": ["no"] }));
    assert!(path.ends_with("/agreement"), "{path}");
    // It stands at REQUESTED there: the agreement was not taken.
    let (post, path) = {
        let flight = world.flights.front().expect("a look");
        let PeerRequest::Dsp { post, path, .. } = &flight.request else {
            panic!("{:?}", flight.request);
        };
        (*post, path.clone())
    };
    assert!(!post, "{path}");
    world.run();
    for at in [P, C] {
        assert_eq!(world.states(at).1, [NegotiationState::Terminated], "{at}");
    }
    let told = &world.book(P).negotiations[&id];
    assert_eq!(told.unsent, None);
}

#[test]
fn a_refused_repeat_of_an_agreement_is_looked_up() {
    let mut world = World::new();
    world.publish("o", &stations(), false);
    assert_eq!(world.propose(&["o"], &[]).0, 201);
    // The agreement arrives and its answer is lost; the repeat meets a proxy that refuses it.
    world.fates = [(world.sent.len(), Fate::AnswerLost)].into();
    let negotiation = wire(world.proposal(P)["id"].as_str().unwrap());
    let decision = Decision::Approve;
    let request = LocalRequest::Decide {
        negotiation,
        decision,
    };
    let input = Input::Local {
        reply: ReplyId(1_000),
        credential: Some([9; 32]),
        idempotency: None,
        request,
    };
    world.step(P, input);
    let flight = world.flights.pop_front().unwrap();
    world.ask(&name(P), C, &flight.request);
    let outcome = Err(CallFailure::TimedOut);
    world.step(
        P,
        Input::Answered {
            call: flight.call,
            outcome,
        },
    );
    // The consumer's verification is lost as well for now.
    lose(&mut world);
    wait(&mut world, P);
    let at = world.flights.iter().position(|flight| flight.from == P);
    let flight = world.flights.remove(at.expect("a repeat")).unwrap();
    let outcome = Ok(PeerAnswer::Dsp {
        status: 400,
        body: json!({}),
        link: None,
    });
    world.step(
        P,
        Input::Answered {
            call: flight.call,
            outcome,
        },
    );
    world.run_until(JUNE.plus_ms(HOUR_MS));
    world.assert_in_force();
}
