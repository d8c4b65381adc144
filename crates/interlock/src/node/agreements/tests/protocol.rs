//! Every message of both protocols in every state: from the right party and the wrong one, repeated,
//! about another process, and each after each.
//!
//! The tables are those of DSP 2025-1, written out (Contract Negotiation Protocol, "State Machine";
//! Transfer Process Protocol, "State Machine"; either party may terminate what is not over). Every cell
//! of both is tried at a node that is the provider and at one that is the consumer.

use interlock_core::negotiation::{NegotiationMessage, NegotiationState, Party};
use interlock_core::transfer::{TransferMessage, TransferState};
use serde_json::json;

use super::super::Transfer;
use super::super::approver::{
    Approver, Decided, NegotiationCase, NegotiationMove, TransferCase, TransferMove, WithinOffers,
};
use super::hostile::{OURS, THEIRS, body, message, offer, standing};
use super::*;
use crate::dsp::CONTEXT;
use crate::node::agreements::Actor;

/// States by message: what a message of its sender (c: consumer, p: provider) leads to; `-` is refused.
const NEGOTIATION: &str = "
    state       c:request  p:offer  c:accepted  p:agreement  c:verification  p:finalized  c:termination  p:termination
    none        REQUESTED  OFFERED  -           -            -               -            -              -
    REQUESTED   -          OFFERED  -           AGREED       -               -            TERMINATED     TERMINATED
    OFFERED     REQUESTED  -        ACCEPTED    -            -               -            TERMINATED     TERMINATED
    ACCEPTED    -          -        -           AGREED       -               -            TERMINATED     TERMINATED
    AGREED      -          -        -           -            VERIFIED        -            TERMINATED     TERMINATED
    VERIFIED    -          -        -           -            -               FINALIZED    TERMINATED     TERMINATED
    FINALIZED   -          -        -           -            -               -            -              -
    TERMINATED  -          -        -           -            -               -            -              -
";
const TRANSFER: &str = "
    state       c:request  c:start  p:start  c:suspension  p:suspension  c:completion  p:completion  c:termination  p:termination
    none        REQUESTED  -        -        -             -             -             -             -              -
    REQUESTED   -          -        STARTED  -             -             -             -             TERMINATED     TERMINATED
    STARTED     -          -        -        SUSPENDED     SUSPENDED     COMPLETED     COMPLETED     TERMINATED     TERMINATED
    SUSPENDED   -          STARTED  STARTED  -             -             -             -             TERMINATED     TERMINATED
    COMPLETED   -          -        -        -             -             -             -             -              -
    TERMINATED  -          -        -        -             -             -             -             -              -
";

/// What `message` of `sender` leads to in `state`; a pair without a column is never allowed.
fn cell(table: &'static str, state: &str, sender: Party, message: &str) -> Option<&'static str> {
    let mut rows = table.trim().lines().map(str::split_whitespace);
    let head = rows.next().expect("a head");
    let initial = if sender == Party::Provider { "p" } else { "c" };
    let column = format!("{initial}:{message}");
    let at = head.into_iter().position(|name| name == column)?;
    let mut row = rows
        .map(|row| row.collect::<Vec<_>>())
        .find(|row| row[0] == state)
        .expect("a row");
    Some(row.swap_remove(at)).filter(|cell| *cell != "-")
}

/// Does nothing by itself, so that what a message led to can be seen.
struct Passive;

impl Approver for Passive {
    fn terms(&self, target: &WireId, policy: &Value) -> Result<Terms, String> {
        WithinOffers.terms(target, policy)
    }

    fn negotiation(&mut self, _: &NegotiationCase<'_>) -> Decided<NegotiationMove> {
        Decided::new(NegotiationMove::Wait, Actor::Node)
    }

    fn transfer(&mut self, _: &TransferCase<'_>) -> Decided<TransferMove> {
        Decided::new(TransferMove::Wait, Actor::Node)
    }

    fn asks_at_once(&self, _: &Agreement) -> bool {
        false
    }
}

fn word(kind: NegotiationMessage) -> &'static str {
    match kind {
        NegotiationMessage::Request => "request",
        NegotiationMessage::Offer => "offer",
        NegotiationMessage::Accepted => "accepted",
        NegotiationMessage::Agreement => "agreement",
        NegotiationMessage::Verification => "verification",
        NegotiationMessage::Finalized => "finalized",
        NegotiationMessage::Termination => "termination",
    }
}

fn transfer_word(kind: TransferMessage) -> &'static str {
    match kind {
        TransferMessage::Request => "request",
        TransferMessage::Start => "start",
        TransferMessage::Suspension => "suspension",
        TransferMessage::Completion => "completion",
        TransferMessage::Termination => "termination",
    }
}

/// One message, and what the specification says of it.
struct Case {
    name: String,
    path: String,
    body: Value,
    /// What it leads to.
    expected: Option<&'static str>,
    error: &'static str,
}

impl Case {
    /// Tries it in every way at a fresh world of `make`; `state` reads where the process stands.
    fn check(&self, make: &dyn Fn() -> World, state: &dyn Fn(&World) -> String) {
        self.once_and_again(make(), state);
        self.by_others(make());
        self.about_others(make());
    }

    fn once_and_again(&self, mut world: World, state: &dyn Fn(&World) -> String) {
        let before = (state(&world), world.book(P).clone());
        let journal = world.journals[P].len();
        let (status, answer) = world.post(&name(C), P, &self.path, &self.body);
        let case = format!("{}: {status} {answer}", self.name);
        if let Some(expected) = self.expected {
            assert_eq!(status, 200, "{case}");
            assert_eq!(state(&world), expected, "{case}");
        } else {
            assert_eq!(status, 400, "{case}");
            assert_eq!(answer["@type"], self.error, "{case}");
            assert_eq!(answer["code"], "illegal-transition", "{case}");
            assert!(answer["reason"].is_array(), "{case}");
            let pids = [&answer["consumerPid"], &answer["providerPid"]];
            assert!(
                pids.contains(&&json!(OURS)) && pids.contains(&&json!(THEIRS)),
                "{case}"
            );
            assert_eq!((state(&world), world.book(P).clone()), before, "{case}");
            assert_eq!(world.journals[P].len(), journal, "{case}");
        }
        // The same again gets the same answer and changes nothing.
        let after = world.book(P).clone();
        let journal = world.journals[P].len();
        for _ in 0..2 {
            let (again, answer) = world.post(&name(C), P, &self.path, &self.body);
            assert_eq!(again, status, "{case}, again: {answer}");
            assert_eq!(world.book(P), &after, "{case}, again");
            assert_eq!(world.journals[P].len(), journal, "{case}, again");
        }
        assert_eq!(world.replayed(P).state().book, after, "{case}");
    }

    /// Another partner, and somebody who is none: as if it did not exist.
    fn by_others(&self, mut world: World) {
        let before = world.book(P).clone();
        let unknown = self.path.replace(OURS, "urn:uuid:none");
        let stranger = ParticipantId::parse("did:web:nobody.example").unwrap();
        for other in [name(2), stranger] {
            let case = format!("{} by {other}", self.name);
            let answer = world.post(&other, P, &self.path, &self.body);
            assert_eq!(answer.0, 404, "{case}: {}", answer.1);
            assert_eq!(
                answer,
                world.post(&other, P, &unknown, &self.body),
                "{case}"
            );
            assert_eq!(world.book(P), &before, "{case}");
        }
    }

    /// The right party about an identifier that is not the process's, or without one.
    fn about_others(&self, mut world: World) {
        let before = world.book(P).clone();
        let (status, _) = world.post(
            &name(C),
            P,
            &self.path.replace(OURS, "urn:uuid:none"),
            &self.body,
        );
        assert_eq!(status, 404, "{}", self.name);
        for property in ["consumerPid", "providerPid"] {
            for value in [json!("urn:uuid:other"), json!(7), json!(""), Value::Null] {
                let mut other = self.body.clone();
                other[property] = value.clone();
                let (status, answer) = world.post(&name(C), P, &self.path, &other);
                let case = format!("{} with {property} {value}: {answer}", self.name);
                assert_eq!(status, 400, "{case}");
                assert_eq!(world.book(P), &before, "{case}");
            }
        }
        assert_eq!(world.book(P), &before);
    }
}

fn negotiation_case(party: Party, state: &str, kind: NegotiationMessage) -> Case {
    let (path, body) = message(kind, party);
    let sender = party.other();
    Case {
        name: format!("{} of the {sender} in {state}", word(kind)),
        path,
        body,
        expected: cell(NEGOTIATION, state, sender, word(kind)),
        error: "ContractNegotiationError",
    }
}

fn negotiation_world(party: Party, state: NegotiationState) -> World {
    let mut world = standing(party, state);
    world.nodes[P].approver = Box::new(Passive);
    world
}

fn negotiation_state(world: &World) -> String {
    let known = &world.book(P).negotiations[&wire(OURS)];
    known.state.as_str().into()
}

#[test]
fn every_negotiation_message_in_every_state() {
    let mut legal = 0;
    for party in [Party::Provider, Party::Consumer] {
        for state in NegotiationState::ALL {
            for kind in NegotiationMessage::ALL {
                let case = negotiation_case(party, state.as_str(), kind);
                legal += usize::from(case.expected.is_some());
                case.check(&|| negotiation_world(party, state), &negotiation_state);
            }
            let mut world = negotiation_world(party, state);
            let path = format!("/negotiations/{OURS}");
            let (status, answer) = world.get(&name(C), P, &path);
            assert_eq!((status, &answer["state"]), (200, &json!(state.as_str())));
            assert_eq!(world.get(&name(2), P, &path).0, 404);
        }
    }
    assert_eq!(legal, 17, "all but the two that open a negotiation");
}

#[test]
fn every_negotiation_message_after_every_other() {
    for party in [Party::Provider, Party::Consumer] {
        for state in NegotiationState::ALL {
            for first in NegotiationMessage::ALL {
                let one = negotiation_case(party, state.as_str(), first);
                let now = one.expected.unwrap_or(state.as_str());
                for second in NegotiationMessage::ALL.into_iter().filter(|k| *k != first) {
                    let mut world = negotiation_world(party, state);
                    world.post(&name(C), P, &one.path, &one.body);
                    let two = negotiation_case(party, now, second);
                    let (status, answer) = world.post(&name(C), P, &two.path, &two.body);
                    let case = format!("{}, then {}: {answer}", one.name, two.name);
                    let wanted = two.expected.map_or(400, |_| 200);
                    assert_eq!(status, wanted, "{case}");
                    let stands = two.expected.unwrap_or(now);
                    assert_eq!(negotiation_state(&world), stands, "{case}");
                }
            }
        }
    }
}

#[test]
fn a_negotiation_that_does_not_exist_is_opened_by_two_messages_alone() {
    for party in [Party::Provider, Party::Consumer] {
        for kind in NegotiationMessage::ALL {
            let mut world = World::new();
            world.nodes[P].approver = Box::new(Passive);
            world.publish("urn:uuid:offer", &stations(), false);
            let before = world.book(P).clone();
            let (path, body) = message(kind, party);
            // About one that exists: it does not.
            let (status, answer) = world.post(&name(C), P, &path, &body);
            assert_eq!(status, 404, "{kind:?}: {answer}");
            assert_eq!(world.book(P), &before);
            let sender = party.other();
            let Some(expected) = cell(NEGOTIATION, "none", sender, word(kind)) else {
                continue;
            };
            let (path, pid) = match sender {
                Party::Consumer => ("/negotiations/request", "consumerPid"),
                Party::Provider => ("/negotiations/offers", "providerPid"),
            };
            let mut body = offer(&stations());
            body["@context"] = json!([CONTEXT]);
            body["@type"] = kind.as_str().into();
            body[pid] = THEIRS.into();
            body["callbackAddress"] = "https://partner.example/dsp".into();
            let opened = world.post(&name(C), P, path, &body);
            assert_eq!((opened.0, &opened.1["state"]), (201, &json!(expected)));
            let after = world.book(P).clone();
            assert_eq!(after.negotiations.len(), 1);
            assert_eq!(world.post(&name(C), P, path, &body), opened, "a repeat");
            assert_eq!(world.book(P), &after);
            let stranger = ParticipantId::parse("did:web:nobody.example").unwrap();
            assert_eq!(world.post(&stranger, P, path, &body).0, 404);
            assert_eq!(world.book(P), &after);
        }
    }
}

fn transfer_world(party: Party, state: TransferState) -> World {
    let mut world = World::new();
    world.nodes[P].approver = Box::new(Passive);
    let transfer = Transfer {
        id: wire(OURS),
        peer_id: Some(wire(THEIRS)),
        peer: name(C),
        party,
        agreement: wire("urn:uuid:agreement"),
        state,
        unsent: None,
        taken: None,
        starts: 1,
        push: None,
    };
    world.put(P, Record::Transfer(Box::new(transfer)));
    world
}

fn transfer_state(world: &World) -> String {
    let known = &world.book(P).transfers[&wire(OURS)];
    known.state.as_str().into()
}

/// The messages about a transfer that exists.
fn transfer_kinds() -> impl Iterator<Item = TransferMessage> {
    let all = TransferMessage::ALL.into_iter();
    all.filter(|kind| *kind != TransferMessage::Request)
}

fn transfer_case(party: Party, state: &str, kind: TransferMessage) -> Case {
    let sender = party.other();
    Case {
        name: format!("{} of the {sender} in {state}", transfer_word(kind)),
        path: format!("/transfers/{OURS}/{}", transfer_word(kind)),
        body: body(kind.as_str(), party, json!({})),
        expected: cell(TRANSFER, state, sender, transfer_word(kind)),
        error: "TransferError",
    }
}

#[test]
fn every_transfer_message_in_every_state() {
    let mut legal = 0;
    for party in [Party::Provider, Party::Consumer] {
        for state in TransferState::ALL {
            for kind in transfer_kinds() {
                let case = transfer_case(party, state.as_str(), kind);
                legal += usize::from(case.expected.is_some());
                case.check(&|| transfer_world(party, state), &transfer_state);
            }
            let mut world = transfer_world(party, state);
            let path = format!("/transfers/{OURS}");
            let (status, answer) = world.get(&name(C), P, &path);
            assert_eq!((status, &answer["state"]), (200, &json!(state.as_str())));
            assert_eq!(world.get(&name(2), P, &path).0, 404);
        }
    }
    assert_eq!(legal, 13, "all but the one that opens a transfer");
}

#[test]
fn every_transfer_message_after_every_other() {
    for party in [Party::Provider, Party::Consumer] {
        for state in TransferState::ALL {
            for first in transfer_kinds() {
                let one = transfer_case(party, state.as_str(), first);
                let now = one.expected.unwrap_or(state.as_str());
                for second in transfer_kinds().filter(|kind| *kind != first) {
                    let mut world = transfer_world(party, state);
                    world.post(&name(C), P, &one.path, &one.body);
                    let two = transfer_case(party, now, second);
                    let (status, answer) = world.post(&name(C), P, &two.path, &two.body);
                    let case = format!("{}, then {}: {answer}", one.name, two.name);
                    assert_eq!(status, two.expected.map_or(400, |_| 200), "{case}");
                    let stands = two.expected.unwrap_or(now);
                    assert_eq!(transfer_state(&world), stands, "{case}");
                }
            }
        }
    }
}

#[test]
fn a_transfer_that_does_not_exist_is_opened_by_the_consumers_request_alone() {
    let mut world = World::new();
    world.publish("o", &stations(), true);
    world.propose(&["o"], &[]);
    world.run_until(JUNE);
    world.nodes[P].approver = Box::new(Passive);
    let before = world.book(P).clone();
    for kind in transfer_kinds() {
        assert_eq!(
            cell(TRANSFER, "none", Party::Consumer, transfer_word(kind)),
            None
        );
        let case = transfer_case(Party::Provider, "none", kind);
        assert_eq!(world.post(&name(C), P, &case.path, &case.body).0, 404);
        assert_eq!(world.book(P), &before);
    }
    let request = json!({
        "@context": [CONTEXT],
        "@type": "TransferRequestMessage",
        "consumerPid": THEIRS,
        "agreementId": world.agreement(P).id.as_str(),
        "format": "HttpData-PULL",
        "callbackAddress": "https://partner.example/dsp",
    });
    // The consumer is not asked by its provider, and nobody else's agreement is theirs.
    for (from, at) in [(P, C), (2, P), (3, P)] {
        let before = world.book(at).clone();
        let who = match from {
            3 => ParticipantId::parse("did:web:nobody.example").unwrap(),
            partner => name(partner),
        };
        assert_eq!(world.post(&who, at, "/transfers/request", &request).0, 404);
        assert_eq!(world.book(at), &before);
    }
    let opened = world.post(&name(C), P, "/transfers/request", &request);
    assert_eq!((opened.0, &opened.1["state"]), (201, &json!("REQUESTED")));
    let after = world.book(P).clone();
    assert_eq!(after.transfers.len(), before.transfers.len() + 1);
    let again = world.post(&name(C), P, "/transfers/request", &request);
    assert_eq!((again, world.book(P)), (opened, &after));
}
