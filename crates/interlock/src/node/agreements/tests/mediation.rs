//! Mediation: two parties that accept a regulator's terms have them in force at once; nobody else can
//! bring anything about.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an answer of another kind is a failure of the test"
)]

use interlock_core::time::{HOUR_MS, MINUTE_MS};
use interlock_journal::manifest::Manifest;
use serde_json::json;

use super::*;
use crate::exchange::mediation::{
    MediationAnswer, MediationDocument, MediationMessage, PartyAnswer,
};
use crate::node::agreements::Mediation;
use crate::node::feed_items::hex;
use crate::node::io::{MediatedPut, MediationAct, MediationPut};

/// What the regulator proposes: locker events one way, free space the other.
pub(super) fn proposal() -> MediationPut {
    let terms = [(P, C, events()), (C, P, stations())];
    let agreements = terms.into_iter().map(|(provider, consumer, terms)| {
        let terms = Terms { from: MAY, ..terms };
        MediatedPut {
            provider: name(provider),
            consumer: name(consumer),
            dataset: terms.dataset,
            policy: terms.to_policy(),
        }
    });
    MediationPut {
        agreements: agreements.collect(),
        note: "until the dispute is settled".into(),
        answer_by: None,
    }
}

fn proposed() -> (World, WireId) {
    let mut world = World::mediated();
    let id = propose(&mut world);
    (world, id)
}

fn propose(world: &mut World) -> WireId {
    let (status, body) = world.local(M, LocalRequest::ProposeMediation(proposal()));
    assert_eq!(status, 201, "{body}");
    wire(body["id"].as_str().unwrap())
}

fn act(world: &mut World, at: usize, id: &WireId, act: MediationAct) -> (u16, Value) {
    act_by(world, at, [9; 32], id, act)
}

fn act_by(
    world: &mut World,
    at: usize,
    key: [u8; 32],
    id: &WireId,
    act: MediationAct,
) -> (u16, Value) {
    let mediation = id.clone();
    world.local_by(at, key, LocalRequest::Mediate { mediation, act })
}

const ACCEPT: MediationAct = MediationAct::Accept { version: None };

#[track_caller]
fn accept(world: &mut World, at: usize, id: &WireId) {
    let (status, body) = act(world, at, id, ACCEPT);
    assert_eq!(status, 200, "{body}");
}

fn shown(world: &mut World, at: usize, id: &WireId) -> Value {
    let (status, body) = world.local(at, LocalRequest::GetMediation(id.clone()));
    assert_eq!(status, 200, "{body}");
    body
}

fn mediation<'a>(world: &'a World, at: usize, id: &WireId) -> &'a Mediation {
    &world.book(at).mediations[id]
}

fn document(world: &World, id: &WireId) -> MediationDocument {
    mediation(world, M, id).to_document().unwrap()
}

/// What a party's door says to a document of `from`.
fn show(
    world: &mut World,
    from: usize,
    at: usize,
    document: &MediationDocument,
) -> Result<u64, (u16, String)> {
    say(
        world,
        from,
        at,
        MediationMessage::Proposal(Box::new(document.clone())),
    )
}

fn say(
    world: &mut World,
    from: usize,
    at: usize,
    message: MediationMessage,
) -> Result<u64, (u16, String)> {
    match world.ask(&name(from), at, &PeerRequest::Mediation(message)) {
        PeerAnswer::Mediation(taken) => Ok(taken.revision),
        PeerAnswer::Problem(problem) => {
            let pointer = problem.errors.first().map(|e| e.pointer.clone());
            Err((problem.status, pointer.unwrap_or(problem.kind)))
        }
        other => panic!("{other:?}"),
    }
}

/// Both agreements are in force at both parties, under a manifest that names the mediator.
#[track_caller]
fn assert_both_in_force(world: &World) {
    let clock = ClockInterval::exact(world.now);
    for at in [P, C] {
        let book = world.book(at);
        assert_eq!(book.agreements.len(), 2);
        for agreement in book.agreements.values() {
            assert_eq!(agreement.state_at(&clock), AgreementState::InForce);
            assert_eq!(agreement.state, AgreementState::InForce, "not on record");
            let cooperation = &book.cooperations[&agreement.cooperation];
            let manifest = cooperation.read_manifest().unwrap();
            assert_eq!(manifest.mediator, Some(name(M)));
            let signatures = [
                (at, &cooperation.our_signature),
                (1 - at, &cooperation.their_signature),
            ];
            for (party, signature) in signatures {
                let signature = hex(signature.as_ref().unwrap());
                manifest.verify(&name(party), &signature).unwrap();
            }
            let transfers = book.transfers_of(&agreement.id);
            let states: Vec<_> = transfers.map(|t| t.state.as_str()).collect();
            assert_eq!(states, ["STARTED"]);
        }
        assert!(book.negotiations.values().all(|n| n.unsent.is_none()));
        assert_eq!(world.replayed(at).state().book, *book);
    }
    assert_eq!(world.replayed(M).state().book, *world.book(M));
}

fn nothing_agreed(world: &World) {
    for at in [P, C, JD, M] {
        assert!(world.book(at).agreements.is_empty(), "{at}");
        assert!(world.book(at).cooperations.is_empty(), "{at}");
    }
}

#[test]
fn once_both_have_accepted_it_is_in_force_without_anybody_waiting() {
    for order in [[P, C], [C, P]] {
        let (mut world, id) = proposed();
        for at in order {
            let body = shown(&mut world, at, &id);
            assert_eq!(
                (&body["state"], &body["role"]),
                (&json!("proposed"), &json!("party"))
            );
            assert_eq!(body["waitsForPeople"], true);
            assert_eq!(body["agreements"].as_array().unwrap().len(), 2);
            assert!(body["agreements"][0]["terms"][0]["en"].is_string());
        }
        accept(&mut world, order[0], &id);
        nothing_agreed(&world);
        let body = shown(&mut world, order[1], &id);
        let mut answers: Vec<_> = [0, 1].map(|n| body["answers"][n]["answer"].clone()).into();
        answers.sort_by_key(ToString::to_string);
        assert_eq!(answers, ["accepted", "none"]);
        let second = world.now;
        accept(&mut world, order[1], &id);
        assert_eq!(world.now, second, "no timer was waited for");
        assert_both_in_force(&world);
        for at in [P, C] {
            let body = shown(&mut world, at, &id);
            assert_eq!(
                (&body["state"], &body["inForce"]),
                (&json!("accepted"), &json!(true))
            );
        }
        assert_eq!(shown(&mut world, M, &id)["state"], "accepted");
        // The mediator's node knows terms, and nothing that was agreed or exchanged.
        let book = world.book(M);
        assert!(book.agreements.is_empty() && book.negotiations.is_empty());
        assert_eq!(world.nodes[M].state().parcels.iter().count(), 0);
    }
}

#[test]
fn what_one_would_accept_is_shown_to_mediator_and_other_and_can_become_the_proposal() {
    let (mut world, id) = proposed();
    accept(&mut world, P, &id);
    let until = JULY.plus_ms(-10 * DAY_MS);
    let counter = MediationAct::Counter {
        until: Some(until),
        policies: Vec::new(),
        reason: "three weeks will do".into(),
    };
    let (status, body) = act(&mut world, C, &id, counter);
    assert_eq!(status, 200, "{body}");
    nothing_agreed(&world);
    for at in [P, M] {
        let body = shown(&mut world, at, &id);
        assert_eq!(body["state"], "countered");
        let answers = body["answers"].as_array().unwrap();
        let cainiao = answers
            .iter()
            .find(|a| a["participant"] == name(C).as_str());
        let cainiao = cainiao.unwrap();
        assert_eq!(cainiao["reason"], "three weeks will do");
        for changes in cainiao["changes"].as_object().unwrap().values() {
            assert_eq!(changes.as_array().unwrap().len(), 1);
            assert_eq!(changes[0]["key"], "term");
        }
    }
    assert_eq!(act(&mut world, M, &id, MediationAct::Adopt(name(P))).0, 422);
    let (status, body) = act(&mut world, M, &id, MediationAct::Adopt(name(C)));
    assert_eq!((status, &body["version"]), (200, &json!(2)), "{body}");
    // Who had accepted other terms has accepted none of these.
    let body = shown(&mut world, P, &id);
    assert_eq!(
        (&body["waitsForPeople"], &body["approvedBy"]),
        (&json!(true), &json!([]))
    );
    let old = MediationAct::Accept { version: Some(1) };
    assert_eq!(act(&mut world, P, &id, old).0, 409);
    accept(&mut world, C, &id);
    nothing_agreed(&world);
    accept(&mut world, P, &id);
    assert_both_in_force(&world);
    assert!(
        world
            .book(P)
            .agreements
            .values()
            .all(|a| a.terms.until == until)
    );
}

#[test]
fn a_refusal_a_withdrawal_and_time_end_a_proposal() {
    let (mut world, id) = proposed();
    accept(&mut world, P, &id);
    let refuse = MediationAct::Refuse {
        reason: "not with us".into(),
    };
    assert_eq!(act(&mut world, C, &id, refuse).0, 200);
    for at in [P, C, M] {
        assert_eq!(shown(&mut world, at, &id)["state"], "refused", "{at}");
    }
    assert_eq!(act(&mut world, C, &id, ACCEPT).0, 409);

    let id = propose(&mut world);
    let withdraw = MediationAct::Withdraw {
        reason: "they talk themselves".into(),
    };
    assert_eq!(
        act(&mut world, P, &id, withdraw.clone()).0,
        409,
        "not theirs"
    );
    assert_eq!(act(&mut world, M, &id, withdraw).0, 200);
    for at in [P, C] {
        assert_eq!(act(&mut world, at, &id, ACCEPT).0, 409);
        assert_eq!(
            shown(&mut world, at, &id)["withdrawn"],
            "they talk themselves"
        );
    }

    let put = MediationPut {
        answer_by: Some(world.now.plus_ms(HOUR_MS)),
        ..proposal()
    };
    let (_, body) = world.local(M, LocalRequest::ProposeMediation(put));
    let id = wire(body["id"].as_str().unwrap());
    accept(&mut world, P, &id);
    world.run_until(MAY.plus_ms(HOUR_MS));
    let (status, body) = act(&mut world, C, &id, ACCEPT);
    assert_eq!(status, 409, "{body}");
    // The mediator's door takes nothing after the time either.
    let manifest = mediation(&world, M, &id).read_manifest().unwrap();
    let answer = answer(&id, &manifest, C);
    assert_eq!(
        say(&mut world, C, M, answer),
        Err((409, "not-possible".into()))
    );
    nothing_agreed(&world);
}

/// An acceptance as the party's node makes it.
fn answer(id: &WireId, manifest: &Manifest, party: usize) -> MediationMessage {
    MediationMessage::Answer(MediationAnswer {
        mediation: id.clone(),
        version: 1,
        answer: PartyAnswer::Accepted {
            signature: manifest.sign(&name(party), &key(party)).unwrap(),
        },
    })
}

#[test]
fn only_a_regulator_mediates_and_is_no_party() {
    let (mut world, id) = proposed();
    let (status, body) = world.local(C, LocalRequest::ProposeMediation(proposal()));
    assert_eq!((status, &body["kind"]), (409, &json!("not-a-mediator")));
    let good = document(&world, &id);
    // The very document, by a partner that is none.
    let refusal = Err((403, "not-a-mediator".into()));
    assert_eq!(show(&mut world, C, P, &good), refusal);
    assert_eq!(show(&mut world, JD, P, &good), refusal);
    // To a node that is no party of it.
    let other = Err((422, "/proposal/manifest/parties".into()));
    assert_eq!(show(&mut world, M, JD, &good), other);
    // A mediator that would be party.
    let mut put = proposal();
    put.agreements[0].consumer = name(M);
    assert_eq!(world.local(M, LocalRequest::ProposeMediation(put)).0, 422);
}

/// A document of another mediation in which `change` was made, and the manifest signed again by `signer`.
fn changed(
    world: &World,
    id: &WireId,
    signer: usize,
    change: impl Fn(&mut MediationDocument),
) -> MediationDocument {
    let mut document = document(world, id);
    document.mediation = wire("urn:other");
    change(&mut document);
    let mediator = document.manifest.mediator.clone();
    if let Some(mediator) = mediator {
        let signed = document.manifest.sign_as_mediator(&mediator, &key(signer));
        document.signature = signed.unwrap_or_default();
    }
    document
}

#[test]
fn a_document_that_does_not_hold_is_refused_by_what_is_wrong() {
    let (mut world, id) = proposed();
    type Change = fn(&mut MediationDocument);
    let cases: [(&str, Change); 10] = [
        ("/proposal/manifest/mediator", |d| {
            d.manifest.mediator = Some(name(JD))
        }),
        ("/proposal/manifest/mediator", |d| {
            d.manifest.mediator = None
        }),
        ("/proposal/manifest", |d| d.manifest.version = "2".into()),
        ("/proposal/manifest/supersedes", |d| {
            d.manifest.supersedes = Some("00".repeat(32))
        }),
        ("/proposal/manifest/until", |d| {
            d.manifest.until = "2017-08-01T00:00:00+08:00".into();
        }),
        ("/proposal/policies", |d| drop(d.policies.pop_first())),
        ("/proposal/policies", |d| {
            let longer = Terms {
                from: MAY,
                until: JULY.plus_ms(DAY_MS),
                ..events()
            };
            for policy in d.policies.values_mut() {
                *policy = longer.to_policy();
            }
        }),
        ("/proposal/policies", |d| {
            for policy in d.policies.values_mut() {
                *policy = json!({});
            }
        }),
        ("/proposal/answers", |d| {
            let reason = "we are no party".into();
            d.answers.insert(name(JD), PartyAnswer::Refused { reason });
        }),
        // All is well but the ids, which are those of the first mediation.
        ("/proposal/manifest", |_| {}),
    ];
    for (at, (pointer, change)) in cases.into_iter().enumerate() {
        let document = changed(&world, &id, M, change);
        let refusal = show(&mut world, M, P, &document);
        assert_eq!(refusal, Err((422, pointer.into())), "case {at}");
    }
    let forged = changed(&world, &id, JD, |_| {});
    let refusal = Err((422, "/proposal/signature".into()));
    assert_eq!(show(&mut world, M, P, &forged), refusal);
    assert_eq!(world.book(P).mediations.len(), 1);
}

#[test]
fn documents_may_come_late_twice_and_out_of_order() {
    let (mut world, id) = proposed();
    let first = document(&world, &id);
    accept(&mut world, P, &id);
    let second = document(&world, &id);
    assert!(second.revision > first.revision);
    let before = mediation(&world, C, &id).clone();
    assert_eq!(show(&mut world, M, C, &first), Ok(second.revision));
    assert_eq!(show(&mut world, M, C, &second), Ok(second.revision));
    assert_eq!(mediation(&world, C, &id), &before);
    // Other terms under the same version; a version that goes back.
    let mut other = second.clone();
    other.revision += 1;
    other.answer_by = other.answer_by.plus_ms(1);
    let refusal = Err((422, "/proposal/version".into()));
    assert_eq!(show(&mut world, M, C, &other), refusal);
    other.answer_by = second.answer_by;
    other.version = 0;
    assert_eq!(show(&mut world, M, C, &other), refusal);
    assert_eq!(mediation(&world, C, &id), &before);
    accept(&mut world, C, &id);
    assert_both_in_force(&world);
    // Nothing changes any more, whatever a mediator says.
    let mut late = document(&world, &id);
    late.revision += 1;
    late.withdrawn = Some("changed our mind".into());
    assert_eq!(
        show(&mut world, M, C, &late),
        Err((409, "not-possible".into()))
    );
    assert_eq!(
        act(&mut world, M, &id, MediationAct::Revise(proposal())).0,
        409
    );
}

#[test]
fn a_mediator_cannot_make_up_what_a_party_said() {
    let (mut world, id) = proposed();
    accept(&mut world, P, &id);
    let mut document = document(&world, &id);
    let manifest = document.manifest.clone();
    let signature = manifest.sign(&name(P), &key(P)).unwrap();
    let made_up = [
        // Another's signature, no signature, one that only looks like one.
        PartyAnswer::Accepted {
            signature: signature.clone(),
        },
        PartyAnswer::Accepted {
            signature: "00".repeat(64),
        },
    ];
    for answer in made_up {
        document.revision += 1;
        document.answers.insert(name(C), answer);
        assert_eq!(show(&mut world, M, P, &document), Ok(document.revision));
        let known = mediation(&world, P, &id);
        assert!(!known.begun && !known.answers.contains_key(&name(C)));
    }
    document.revision += 1;
    let short = PartyAnswer::Accepted {
        signature: "00".into(),
    };
    document.answers.insert(name(C), short);
    let refusal = Err((422, "/answer/accepted/signature".into()));
    assert_eq!(show(&mut world, M, P, &document), refusal);
    // Nor what we said: only our own people's word counts at our node.
    document.answers = BTreeMap::from([
        (
            name(P),
            PartyAnswer::Accepted {
                signature: signature.clone(),
            },
        ),
        (name(C), PartyAnswer::Accepted { signature }),
    ]);
    document.revision += 10;
    assert!(show(&mut world, M, C, &document).is_ok());
    assert!(!mediation(&world, C, &id).begun);
    world.run_until(MAY.plus_ms(MINUTE_MS));
    nothing_agreed(&world);
}

#[test]
fn a_mediator_takes_answers_of_its_parties_alone_signed_under_what_lies_there() {
    let (mut world, id) = proposed();
    let manifest = document(&world, &id).manifest;
    let unknown = Err((404, "not-found".into()));
    assert_eq!(say(&mut world, JD, M, answer(&id, &manifest, P)), unknown);
    assert_eq!(
        say(&mut world, P, C, answer(&id, &manifest, P)),
        unknown,
        "no mediator"
    );
    assert_eq!(
        say(&mut world, P, M, answer(&wire("urn:no"), &manifest, P)),
        unknown
    );
    let forged = Err((422, "/answer/accepted/signature".into()));
    assert_eq!(
        say(&mut world, C, M, answer(&id, &manifest, P)),
        forged,
        "another's"
    );
    let mut other = manifest.clone();
    other.cooperation = wire("urn:cooperation:other");
    assert_eq!(
        say(&mut world, P, M, answer(&id, &other, P)),
        forged,
        "another manifest"
    );
    let MediationMessage::Answer(mut late) = answer(&id, &manifest, P) else {
        panic!("an answer");
    };
    late.version = 2;
    let changed = Err((409, "terms-changed".into()));
    assert_eq!(
        say(&mut world, P, M, MediationMessage::Answer(late)),
        changed
    );
    assert!(mediation(&world, M, &id).answers.is_empty());
    // The same answer again is the same answer.
    let first = say(&mut world, P, M, answer(&id, &manifest, P));
    let revision = mediation(&world, M, &id).revision;
    assert_eq!(first, Ok(revision));
    assert_eq!(
        say(&mut world, P, M, answer(&id, &manifest, P)),
        Ok(revision)
    );
}

#[test]
fn who_alone_accepts_binds_nobody() {
    let (mut world, id) = proposed();
    accept(&mut world, P, &id);
    // The other asks for the agreement without having accepted, and for more than was mediated.
    let offer = mediation(&world, P, &id).agreements.iter();
    let (offer, mediated) = offer
        .clone()
        .find(|(_, a)| a.provider == name(P))
        .map(|(id, a)| (id.clone(), a.clone()))
        .unwrap();
    let wider = Terms {
        until: JULY.plus_ms(DAY_MS),
        ..mediated.terms.clone()
    };
    for (terms, waits) in [(&wider, true), (&mediated.terms, false)] {
        let request = LocalRequest::ProposeKnown {
            partner: name(P),
            offer: offer.clone(),
            target: mediated.terms.dataset.into(),
            policy: terms.to_policy(),
        };
        assert_eq!(world.local(C, request).0, 201);
        assert_eq!(world.book(P).waiting().count(), 1, "{waits}");
    }
    world.run_until(MAY.plus_ms(HOUR_MS));
    let clock = ClockInterval::exact(world.now);
    for agreement in world.book(P).agreements.values() {
        assert_eq!(agreement.state_at(&clock), AgreementState::Finalized);
    }
    // Nor under a manifest of the two alone once the mediator has changed the terms.
    let revise = MediationAct::Revise(proposal());
    assert_eq!(act(&mut world, M, &id, revise).0, 200);
    world.run_until(MAY.plus_ms(2 * HOUR_MS));
    for agreement in world.book(P).agreements.values() {
        let clock = ClockInterval::exact(world.now);
        assert_eq!(agreement.state_at(&clock), AgreementState::Finalized);
    }
    // A rival that knows the id gets what a stranger gets.
    let before = world.book(P).negotiations.len();
    let request = LocalRequest::ProposeKnown {
        partner: name(P),
        offer,
        target: mediated.terms.dataset.into(),
        policy: mediated.terms.to_policy(),
    };
    assert_eq!(world.local(JD, request).0, 201);
    assert_eq!(world.book(P).negotiations.len(), before);
}

#[test]
fn where_two_must_approve_two_people_accept_and_propose() {
    let (mut world, _) = (World::mediated(), ());
    for at in [M, P] {
        world.four_eyes(at);
    }
    let id = propose(&mut world);
    assert!(world.book(P).mediations.is_empty(), "not yet approved");
    assert_eq!(shown(&mut world, M, &id)["state"], "draft");
    let (status, body) = act(&mut world, M, &id, ACCEPT);
    assert_eq!((status, &body["kind"]), (409, &json!("same-person")));
    for at in [M, P] {
        let zhang = world.hire(at, "zhang");
        if at == P {
            accept(&mut world, P, &id);
            assert_eq!(act(&mut world, P, &id, ACCEPT).0, 409, "the same person");
        }
        let (status, body) = act_by(&mut world, at, zhang, &id, ACCEPT);
        assert_eq!(status, 200, "{body}");
        assert_eq!(shown(&mut world, C, &id)["state"], "proposed");
    }
    accept(&mut world, C, &id);
    assert_both_in_force(&world);
}

/// One way from proposal to force, with time for what is lost to be sent again.
fn whole_way(fates: &[(usize, Fate)], killed: Option<(usize, usize)>) -> World {
    let mut world = World::mediated();
    world.fates = fates.iter().copied().collect();
    let id = propose(&mut world);
    for (step, at) in [P, C].into_iter().enumerate() {
        world.run_until(MAY.plus_ms((1 + 10 * i64::try_from(step).unwrap()) * MINUTE_MS));
        accept(&mut world, at, &id);
        if let Some((who, _)) = killed.filter(|(_, when)| *when == step) {
            world.restart(who);
        }
    }
    world.run_until(MAY.plus_ms(HOUR_MS));
    world
}

#[test]
fn every_message_of_a_mediation_may_be_lost_or_repeated() {
    let messages = whole_way(&[], None).sent.len();
    assert!(messages > 15, "{messages}");
    for fate in [Fate::RequestLost, Fate::AnswerLost, Fate::Repeated] {
        for at in 0..messages {
            let world = whole_way(&[(at, fate)], None);
            assert_both_in_force(&world);
        }
    }
}

#[test]
fn any_node_may_be_killed_after_an_acceptance() {
    for who in [P, C, M] {
        for step in [0, 1] {
            assert_both_in_force(&whole_way(&[], Some((who, step))));
        }
    }
}
