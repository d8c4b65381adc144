//! Random sequences: whatever two nodes do, lose, repeat and forget, every process stays within the
//! protocol's state machine, and once all is delivered both sides know the same.

use interlock_core::negotiation::{self, NegotiationMessage, Party};
use interlock_core::time::{HOUR_MS, MINUTE_MS, SECOND_MS};
use interlock_core::transfer::{self, TransferMessage, TransferState};
use serde_json::json;

use super::super::{Negotiation, Transfer};
use super::hostile::{message, offer};
use super::*;
use crate::dsp::CONTEXT;
use crate::node::io::{AgreementChange, Renewal};

/// Seeds of each property.
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

/// One thing that people, the network or the machine do.
// tidy: long, one arm a thing
fn something(world: &mut World, dice: &mut Dice, keys: &[[u8; 32]; 2]) {
    let at = dice.below(2);
    let key = keys[dice.below(2)];
    let agreements: Vec<WireId> = world.book(at).agreements.keys().cloned().collect();
    match dice.below(12) {
        0 | 1 => {
            let offers = ["auto", "asked", "events"];
            let chosen = dice.pick(&offers).copied().unwrap_or("auto");
            let shorter = Terms {
                until: JULY.plus_ms(-HOUR_MS),
                ..stations()
            };
            let asked = [(chosen, &shorter)];
            let other = dice.below(2) == 0 && chosen != "events";
            world.propose(&[chosen], if other { &asked } else { &[] });
        }
        2..=5 => {
            let Some(id) = dice.pick(&waiting(world, at)).cloned() else {
                return;
            };
            let terms = world.book(at).negotiations[&id].shown_terms().clone();
            let shift = i64::try_from(1 + dice.below(3)).unwrap() * MINUTE_MS;
            let other = Terms {
                until: terms.until.plus_ms(-shift),
                ..terms
            };
            let decision = match dice.below(8) {
                0 => Decision::Reject {
                    reason: "no".into(),
                },
                1 | 2 => Decision::Counter {
                    policy: other.to_policy(),
                },
                _ => Decision::Approve,
            };
            let negotiation = id;
            world.local_by(
                at,
                key,
                LocalRequest::Decide {
                    negotiation,
                    decision,
                },
            );
        }
        6 => {
            if let Some(agreement) = dice.pick(&agreements).cloned() {
                let change = match dice.below(6) {
                    0 => AgreementChange::Terminate {
                        at: world.now.plus_ms(MINUTE_MS),
                        reason: "done".into(),
                    },
                    1 | 2 => AgreementChange::Suspend {
                        reason: "audit".into(),
                    },
                    _ => AgreementChange::Resume,
                };
                world.local_by(at, key, LocalRequest::ChangeAgreement { agreement, change });
            }
        }
        7 => {
            if let Some(agreement) = dice.pick(&agreements).cloned() {
                let renewal = Renewal::default();
                world.local_by(at, key, LocalRequest::Renew { agreement, renewal });
            }
        }
        8 => world.restart(at),
        9 => world.down = [None, Some(P), Some(C)][dice.below(3)],
        _ => {
            let pause = i64::try_from(dice.below(300)).unwrap() * SECOND_MS;
            world.run_until(world.now.plus_ms(pause));
        }
    }
    world.run();
}

/// What becomes of the next messages.
fn weather(world: &mut World, dice: &mut Dice) {
    world.sent.clear();
    world.fates.clear();
    for message in 0..MESSAGES_MAX / 10 {
        let fates = [Fate::RequestLost, Fate::AnswerLost, Fate::Repeated];
        let fate = fates.get(dice.below(8)).copied();
        world.fates.extend(fate.map(|fate| (message, fate)));
    }
}

/// The same negotiation, transfer and agreement at both.
fn assert_both_know_the_same(world: &World, seed: u64) {
    for at in [P, C] {
        let other = world.book(1 - at);
        for n in world.book(at).negotiations.values() {
            assert!(n.unsent.is_none(), "seed {seed}: unsent: {n:?}");
            let theirs = n.peer_id.as_ref().map(|id| &other.negotiations[id]);
            match theirs {
                Some(m) => assert_eq!(n.state, m.state, "seed {seed}\n{n:?}\n{m:?}"),
                None => assert!(
                    n.draft.is_some() || n.state.is_terminal(),
                    "seed {seed}: {n:?}"
                ),
            }
        }
        let clock = ClockInterval::exact(world.now);
        for t in world.book(at).transfers.values() {
            let state = world.book(at).agreements[&t.agreement].state_at(&clock);
            if !matches!(state, AgreementState::InForce | AgreementState::Suspended) {
                // Nothing is said about a transfer whose agreement is over.
                continue;
            }
            assert!(t.unsent.is_none(), "seed {seed}: unsent: {t:?}");
            match t.peer_id.as_ref().map(|id| &other.transfers[id]) {
                Some(u) => assert_eq!(t.state, u.state, "seed {seed}\n{t:?}\n{u:?}"),
                None => assert!(t.state.is_terminal(), "seed {seed}: {t:?}"),
            }
        }
        for a in world.book(at).agreements.values() {
            let b = &other.agreements[&a.id];
            let states = (a.state_at(&clock), b.state_at(&clock));
            // Whether one that is over was suspended before, nobody is told any more.
            assert_eq!(states.0, states.1, "seed {seed}\n{a:?}\n{b:?}");
            assert_eq!(
                (a.policy_hash, &a.superseded_by),
                (b.policy_hash, &b.superseded_by),
                "seed {seed}\n{a:?}\n{b:?}"
            );
            if at == C && states.0 == AgreementState::InForce {
                let flows = world.book(C).started(a, Party::Consumer);
                assert!(flows.is_some(), "seed {seed}: nothing flows under {a:?}");
            }
        }
        assert_eq!(
            world.replayed(at).state().book,
            *world.book(at),
            "seed {seed}"
        );
    }
}

fn sequence(seed: u64) -> World {
    let mut world = World::new();
    let mut dice = Dice(TestRng(seed));
    world.rng = TestRng(seed ^ 0xabcd);
    let keys = [[9; 32], world.hire(P, "wang")];
    world.hire(C, "wang");
    for (id, terms, auto) in [
        ("auto", stations(), true),
        ("asked", stations(), false),
        ("events", events(), false),
    ] {
        world.publish(id, &terms, auto);
    }
    // In half of the sequences two people decide, at one side or at both.
    match seed % 4 {
        2 => world.four_eyes(P),
        3 => [P, C].into_iter().for_each(|at| world.four_eyes(at)),
        _ => {}
    }
    world.run_until(JUNE);
    for _ in 0..STEPS {
        weather(&mut world, &mut dice);
        something(&mut world, &mut dice, &keys);
    }
    world.down = None;
    world.fates.clear();
    world.sent.clear();
    // The longest pause, of asking again for a dataset, is an hour.
    world.run_until(world.now.plus_ms(3 * HOUR_MS));
    world
}

#[test]
fn two_nodes_stay_within_the_protocol_and_come_to_know_the_same() {
    let mut in_force = 0;
    for seed in 0..SEEDS {
        let world = sequence(seed);
        for at in [P, C] {
            assert_within_the_machine(&world, at, seed);
        }
        assert_both_know_the_same(&world, seed);
        let (agreements, _) = world.states(C);
        in_force += agreements
            .iter()
            .filter(|s| **s == AgreementState::InForce)
            .count();
    }
    assert!(in_force > 5, "the sequences lead somewhere: {in_force}");
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
