//! Random sequences: whatever a partner sends and answers, and whenever the node is killed, every process
//! stays within the protocol's state machine.

use interlock_core::negotiation::{self, NegotiationMessage, Party};
use interlock_core::time::SECOND_MS;
use interlock_core::transfer::{self, TransferMessage, TransferState};
use serde_json::json;

use super::super::{Negotiation, Transfer};
use super::hostile::{message, offer};
use super::*;
use crate::dsp::CONTEXT;

/// Seeds of the property.
const SEEDS: u64 = 40;
/// Steps of one sequence.
const STEPS: usize = 40;

struct Dice(TestRng);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        let bound = u64::try_from(bound.max(1)).unwrap();
        usize::try_from(u64::from_le_bytes(bytes) % bound).unwrap()
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }
}

/// Which states can follow when the partner sends something, and this side answers it at once, or this
/// side alone sends something.
fn negotiation_follows(before: Option<NegotiationState>, us: Party) -> Vec<NegotiationState> {
    let by = |state, party| {
        let all = NegotiationMessage::ALL.into_iter();
        all.filter_map(move |m| negotiation::next(state, party, m).ok())
    };
    let one: Vec<_> = by(before, us).chain(by(before, us.other())).collect();
    let two = by(before, us.other()).flat_map(|state| by(Some(state), us));
    let two: Vec<_> = two.collect();
    before.into_iter().chain(one).chain(two).collect()
}

fn transfer_follows(before: Option<TransferState>, us: Party) -> Vec<TransferState> {
    let by = |state, party| {
        let all = TransferMessage::ALL.into_iter();
        all.filter_map(move |m| transfer::next(state, party, m).ok())
    };
    let one: Vec<_> = by(before, us).chain(by(before, us.other())).collect();
    let two = by(before, us.other()).flat_map(|state| by(Some(state), us));
    let two: Vec<_> = two.collect();
    before.into_iter().chain(one).chain(two).collect()
}

/// Holds every record of a journal against the state machines.
#[track_caller]
fn assert_within_the_machine(world: &World, at: usize, seed: u64) {
    let mut negotiations: BTreeMap<WireId, NegotiationState> = BTreeMap::new();
    let mut transfers: BTreeMap<WireId, TransferState> = BTreeMap::new();
    for (_, record) in &world.journals[at] {
        if let Record::Negotiation(n) = record {
            let before = negotiations.insert(n.id.clone(), n.state);
            let allowed = negotiation_follows(before, n.party);
            assert!(
                allowed.contains(&n.state),
                "seed {seed}: {before:?} -> {n:?}"
            );
            assert!(
                n.unsent.is_none() || n.draft.is_none() || n.peer_id.is_some(),
                "seed {seed}: a draft left: {n:?}"
            );
        }
        if let Record::Transfer(t) = record {
            let before = transfers.insert(t.id.clone(), t.state);
            let allowed = transfer_follows(before, t.party);
            assert!(
                allowed.contains(&t.state),
                "seed {seed}: {before:?} -> {t:?}"
            );
        }
    }
}

fn waiting(world: &World, at: usize) -> Vec<WireId> {
    world.book(at).waiting().map(|n| n.id.clone()).collect()
}

/// A message of a partner that follows no protocol, about one of the node's processes or about none.
// tidy: long, one arm a message
fn anything(world: &World, dice: &mut Dice) -> (String, Value) {
    let negotiations: Vec<&Negotiation> = world.book(P).negotiations.values().collect();
    let transfers: Vec<&Transfer> = world.book(P).transfers.values().collect();
    let agreements: Vec<&WireId> = world.book(P).agreements.keys().collect();
    let fresh = format!("urn:uuid:{}", dice.below(4));
    let base = json!({
        "@context": [CONTEXT],
        "callbackAddress": "https://partner.example/dsp",
    });
    let with = |more: Value| {
        let mut body = base.clone();
        let members = body.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        body
    };
    match (
        dice.below(8),
        dice.pick(&negotiations),
        dice.pick(&transfers),
    ) {
        (0, _, _) => {
            let mut body = with(offer(&stations()));
            body["@type"] = "ContractRequestMessage".into();
            body["consumerPid"] = fresh.into();
            body["offer"]["@id"] = ["auto", "asked"][dice.below(2)].into();
            ("/negotiations/request".into(), body)
        }
        (1, _, _) => {
            let mut body = with(offer(&stations()));
            body["@type"] = "ContractOfferMessage".into();
            body["providerPid"] = fresh.into();
            ("/negotiations/offers".into(), body)
        }
        (2, _, _) => {
            let agreement = dice.pick(&agreements).map_or("urn:none", |id| id.as_str());
            let body = with(json!({
                "@type": "TransferRequestMessage",
                "consumerPid": fresh,
                "agreementId": agreement,
                "format": "HttpData-PULL",
            }));
            ("/transfers/request".into(), body)
        }
        (3, _, Some(t)) => {
            let steps = [
                ("start", "TransferStartMessage"),
                ("suspension", "TransferSuspensionMessage"),
                ("completion", "TransferCompletionMessage"),
                ("termination", "TransferTerminationMessage"),
            ];
            let (step, kind) = steps[dice.below(4)];
            let theirs = t.peer_id.as_ref().map_or("urn:x", |id| id.as_str());
            let (consumer, provider) = match t.party {
                Party::Provider => (theirs, t.id.as_str()),
                Party::Consumer => (t.id.as_str(), theirs),
            };
            let body = json!({
                "@context": [CONTEXT], "@type": kind,
                "consumerPid": consumer, "providerPid": provider,
            });
            (format!("/transfers/{}/{step}", t.id), body)
        }
        (_, Some(n), _) => {
            let kind = NegotiationMessage::ALL[dice.below(7)];
            let (path, body) = message(kind, n.party);
            let theirs = n.peer_id.as_ref().map_or("urn:x", |id| id.as_str());
            let put = |text: &str| {
                text.replace(super::hostile::OURS, n.id.as_str())
                    .replace(super::hostile::THEIRS, theirs)
            };
            let body = serde_json::from_str(&put(&body.to_string())).unwrap();
            (put(&path), body)
        }
        (_, None, _) => ("/negotiations/urn:none/events".into(), base.clone()),
    }
}

/// What a partner that follows no protocol answers.
fn any_answer(request: &PeerRequest, dice: &mut Dice) -> Result<PeerAnswer, CallFailure> {
    let PeerRequest::Dsp { post, body, .. } = request else {
        return Err(CallFailure::TimedOut);
    };
    let status = [200, 200, 201, 400, 404, 409, 500, 503][dice.below(8)];
    let states = [
        "REQUESTED",
        "OFFERED",
        "AGREED",
        "VERIFIED",
        "FINALIZED",
        "TERMINATED",
    ];
    let kind = ["ContractNegotiation", "TransferProcess"][dice.below(2)];
    let provider = ["urn:uuid:0", "urn:uuid:1", "urn:uuid:2"][dice.below(3)];
    let state = states[dice.below(6)];
    let answer = json!({
        "@context": [CONTEXT],
        "@type": kind,
        "consumerPid": body["consumerPid"],
        "providerPid": provider,
        "state": state,
    });
    if dice.below(6) == 0 {
        return Err(CallFailure::TimedOut);
    }
    let body = if *post || dice.below(2) == 0 {
        answer
    } else {
        Value::Null
    };
    Ok(PeerAnswer::Dsp {
        status,
        body,
        link: None,
    })
}

#[test]
fn a_partner_that_sends_anything_leads_no_process_out_of_the_machine() {
    let mut taken = 0;
    for seed in 0..SEEDS {
        let mut world = World::new();
        let mut dice = Dice(TestRng(seed));
        world.rng = TestRng(seed ^ 0xabcd);
        world.publish("auto", &stations(), true);
        world.publish("asked", &stations(), false);
        world.now = JUNE;
        let mut last = None;
        for _ in 0..4 * STEPS {
            let repeat = last.clone().filter(|_| dice.below(4) == 0);
            let (path, body) = repeat.unwrap_or_else(|| anything(&world, &mut dice));
            let (status, answer) = world.post(&name(C), P, &path, &body);
            assert!(
                [200, 201, 400, 404, 429, 503].contains(&status),
                "seed {seed}: {status} {answer}"
            );
            taken += usize::from(status < 300);
            last = Some((path, body));
            for _ in 0..dice.below(3) {
                if let Some(flight) = world.flights.pop_front() {
                    let outcome = any_answer(&flight.request, &mut dice);
                    let call = flight.call;
                    world.step(flight.from, Input::Answered { call, outcome });
                }
            }
            match dice.below(12) {
                0 => world.restart(P),
                1 => {
                    if let Some(negotiation) = dice.pick(&waiting(&world, P)).cloned() {
                        let decision = Decision::Approve;
                        let request = LocalRequest::Decide {
                            negotiation,
                            decision,
                        };
                        let reply = ReplyId(1);
                        let (credential, idempotency) = (Some([9; 32]), None);
                        world.step(
                            P,
                            Input::Local {
                                reply,
                                credential,
                                idempotency,
                                request,
                            },
                        );
                    }
                }
                2 => {
                    world.now = world.now.plus_ms(30 * SECOND_MS);
                    world.step(P, Input::Tick);
                }
                _ => {}
            }
        }
        assert_within_the_machine(&world, P, seed);
        assert_eq!(
            world.replayed(P).state().book,
            *world.book(P),
            "seed {seed}"
        );
    }
    assert!(taken > 500, "messages get through: {taken}");
}
