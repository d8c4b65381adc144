//! Messages in every state, by the wrong party, about another's processes, with terms that are none.

use interlock_core::negotiation::{NegotiationMessage, NegotiationState, Party};
use serde_json::json;

use super::super::Negotiation;
use super::mutations::send;
use super::*;
use crate::dsp::CONTEXT;

pub(super) const OURS: &str = "urn:uuid:ours";
pub(super) const THEIRS: &str = "urn:uuid:theirs";

/// A node at which a negotiation with the other one stands in the given state.
pub(super) fn standing(party: Party, state: NegotiationState) -> World {
    let mut world = World::new();
    let negotiation = Negotiation {
        id: wire(OURS),
        peer_id: Some(wire(THEIRS)),
        peer: name(C),
        party,
        state,
        offer: wire("o"),
        target: wire("locker-stations"),
        terms: stations(),
        policy_hash: stations().policy_hash(),
        version: 1,
        terms_before: None,
        agreement: Some(wire("urn:uuid:agreement")),
        agreed_at: Some(MAY),
        cooperation: wire("urn:uuid:cooperation"),
        waits_for_people: false,
        draft: None,
        approved_by: Vec::new(),
        expires_at: JULY,
        unsent: None,
        taken: None,
        supersedes: None,
    };
    world.put(P, Record::Negotiation(Box::new(negotiation)));
    world
}

pub(super) fn body(kind: &str, party: Party, more: Value) -> Value {
    let (consumer, provider) = match party {
        Party::Provider => (THEIRS, OURS),
        Party::Consumer => (OURS, THEIRS),
    };
    let mut body = json!({
        "@context": [CONTEXT],
        "@type": kind,
        "consumerPid": consumer,
        "providerPid": provider,
    });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

pub(super) fn offer(terms: &Terms) -> Value {
    let mut offer = terms.to_policy();
    offer["@id"] = "urn:uuid:offer".into();
    offer["@type"] = "Offer".into();
    offer["target"] = terms.dataset.as_str().into();
    json!({ "offer": offer })
}

pub(super) fn agreement(terms: &Terms, change: &[(&str, &str)]) -> Value {
    let mut agreement = terms.to_policy();
    for (name, value) in [
        ("@id", "urn:uuid:new"),
        ("@type", "Agreement"),
        ("target", terms.dataset.as_str()),
        ("assigner", name(C).as_str()),
        ("assignee", name(P).as_str()),
        ("timestamp", "2017-05-31T00:00:00+08:00"),
    ]
    .iter()
    .chain(change)
    {
        agreement[*name] = (*value).into();
    }
    json!({ "agreement": agreement })
}

/// The endpoint and body of a message of the other node to ours, which is `party`.
pub(super) fn message(kind: NegotiationMessage, party: Party) -> (String, Value) {
    let (path, more) = match kind {
        NegotiationMessage::Request => ("request", offer(&stations())),
        NegotiationMessage::Offer => ("offers", offer(&stations())),
        NegotiationMessage::Accepted => ("events", json!({"eventType": "ACCEPTED"})),
        NegotiationMessage::Finalized => ("events", json!({"eventType": "FINALIZED"})),
        NegotiationMessage::Agreement => ("agreement", agreement(&stations(), &[])),
        NegotiationMessage::Verification => ("agreement/verification", json!({})),
        NegotiationMessage::Termination => ("termination", json!({"reason": ["enough"]})),
    };
    let path = format!("/negotiations/{OURS}/{path}");
    (path, body(kind.as_str(), party, more))
}

#[test]
fn what_is_anothers_is_answered_as_if_it_did_not_exist() {
    for state in [NegotiationState::Requested, NegotiationState::Agreed] {
        for kind in NegotiationMessage::ALL {
            let mut world = standing(Party::Provider, state);
            let before = world.book(P).clone();
            let (path, body) = message(kind, Party::Provider);
            let anothers = world.post(&name(2), P, &path, &body);
            let unknown = path.replace(OURS, "urn:uuid:none");
            assert_eq!(anothers, world.post(&name(2), P, &unknown, &body));
            assert_eq!(anothers.0, 404);
            assert_eq!(anothers.1["providerPid"], "");
            assert_eq!(world.book(P), &before);
        }
        let mut world = standing(Party::Provider, state);
        let path = format!("/negotiations/{OURS}");
        assert_eq!(world.get(&name(C), P, &path).1["state"], state.as_str());
        let anothers = world.get(&name(2), P, &path);
        assert_eq!(
            anothers,
            world.get(&name(2), P, "/negotiations/urn:uuid:none")
        );
        assert_eq!(anothers.0, 404);
    }
}

#[test]
fn who_is_no_partner_finds_nothing() {
    let mut world = World::new();
    world.publish("o", &stations(), true);
    let stranger = ParticipantId::parse("did:web:nobody.example").unwrap();
    let request = json!({"@context": [CONTEXT], "@type": "CatalogRequestMessage"});
    assert_eq!(
        world.post(&stranger, P, "/catalog/request", &request).0,
        404
    );
    assert_eq!(world.post(&name(C), P, "/catalog/request", &request).0, 200);
}

#[test]
fn a_message_with_other_identifiers_is_refused() {
    let mut world = standing(Party::Provider, NegotiationState::Agreed);
    let before = world.book(P).clone();
    let (path, body) = message(NegotiationMessage::Verification, Party::Provider);
    for property in ["consumerPid", "providerPid"] {
        let mut other = body.clone();
        other[property] = "urn:uuid:other".into();
        let (status, answer) = world.post(&name(C), P, &path, &other);
        assert_eq!((status, &answer["code"]), (400, &"contradiction".into()));
        assert_eq!(world.book(P), &before);
    }
}

pub(super) fn opening(pid: &str, offer: &Value) -> Value {
    json!({
        "@context": [CONTEXT],
        "@type": "ContractRequestMessage",
        "consumerPid": pid,
        "callbackAddress": "https://elsewhere.example/latest",
        "offer": offer,
    })
}

pub(super) fn with_id(id: &str, terms: &Terms) -> Value {
    let mut offer = terms.to_policy();
    offer["@id"] = id.into();
    offer["@type"] = "Offer".into();
    offer
}

#[test]
fn a_term_that_is_not_known_is_refused_by_name() {
    let mut world = World::new();
    world.publish("o", &stations(), true);
    let before = world.book(P).clone();
    let constraint = json!({
        "leftOperand": "https://example.com/ns#moonPhase",
        "operator": "eq",
        "rightOperand": "full",
    });
    let mut unknown = with_id("o", &stations());
    unknown["permission"][0]["constraint"]
        .as_array_mut()
        .unwrap()
        .push(constraint);
    let mut zero = with_id(
        "o",
        &Terms {
            quota_per_day: Some(0),
            ..stations()
        },
    );
    let mut many = with_id("o", &stations());
    let list = many["permission"][0]["constraint"].as_array_mut().unwrap();
    let one = list[0].clone();
    list.extend(std::iter::repeat_n(one, 500));
    zero["target"] = "locker-stations".into();
    for (offer, named) in [
        (unknown, "moonPhase"),
        (zero, "quota"),
        (many, "constraint"),
    ] {
        let (status, answer) = world.post(
            &name(C),
            P,
            "/negotiations/request",
            &opening(THEIRS, &offer),
        );
        assert_eq!(
            (status, &answer["code"]),
            (400, &"policy-refused".into()),
            "{answer}"
        );
        assert!(
            answer["reason"][0].as_str().unwrap().contains(named),
            "{answer}"
        );
    }
    assert_eq!(world.book(P), &before);
}

#[test]
fn a_policy_of_ten_thousand_constraints_is_refused_before_it_is_judged() {
    let mut world = World::new();
    world.publish("o", &stations(), true);
    let before = world.book(P).clone();
    let small = json!({ "leftOperand": "a", "operator": "eq", "rightOperand": "b" });
    let flat = vec![small.clone(); 10_000];
    let nested = (0..10_000 / 100).map(|_| json!({ "and": vec![small.clone(); 100] }));
    let pairs = (0..13).fold(
        small.clone(),
        |inner, _| json!({ "or": [inner.clone(), inner] }),
    );
    for constraints in [
        json!(flat),
        json!(nested.collect::<Vec<_>>()),
        json!([pairs]),
    ] {
        let mut offer = with_id("o", &stations());
        offer["permission"][0]["constraint"] = constraints;
        let body = opening(THEIRS, &offer);
        let bytes = body.to_string().into_bytes();
        let status = send(&mut world, "/negotiations/request", &bytes);
        assert!(matches!(status, 400 | 413), "{status}");
    }
    assert_eq!(world.book(P), &before);
}

#[test]
fn a_request_that_cannot_be_is_refused_without_a_trace() {
    let mut world = World::new();
    world.publish("o", &stations(), true);
    let before = world.book(P).clone();
    let good = with_id("o", &stations());
    let change = |name: &str, value: &str| {
        let mut offer = good.clone();
        offer[name] = value.into();
        offer
    };
    let over = Terms {
        from: MAY.plus_ms(-DAY_MS),
        until: MAY,
        ..stations()
    };
    for (offer, status) in [
        (change("@id", "other"), 404),
        (change("target", "locker-events"), 400),
        (change("assigner", name(2).as_str()), 400),
        (change("assignee", name(2).as_str()), 400),
        (with_id("o", &over), 400),
    ] {
        let answer = world.post(
            &name(C),
            P,
            "/negotiations/request",
            &opening(THEIRS, &offer),
        );
        assert_eq!(answer.0, status, "{answer:?}");
    }
    let mut continued = opening(THEIRS, &good);
    continued["providerPid"] = OURS.into();
    assert_eq!(
        world
            .post(&name(C), P, "/negotiations/request", &continued)
            .0,
        400
    );
    for broken in [
        json!([]),
        json!({}),
        json!({"@type": "ContractRequestMessage"}),
    ] {
        assert_eq!(
            world.post(&name(C), P, "/negotiations/request", &broken).0,
            400
        );
    }
    assert_eq!(world.book(P), &before);
}

#[test]
fn a_repeated_request_is_one_negotiation_and_another_offer_is_none() {
    let mut world = World::new();
    world.publish("o", &stations(), false);
    world.publish("p", &stations(), false);
    let first = world.post(
        &name(C),
        P,
        "/negotiations/request",
        &opening(THEIRS, &with_id("o", &stations())),
    );
    assert_eq!((first.0, &first.1["state"]), (201, &"REQUESTED".into()));
    let before = world.book(P).clone();
    // Another spelling of the same request, as a connector that was restarted may write it.
    let mut again = opening(THEIRS, &with_id("o", &stations()));
    again["callbackAddress"] = "https://elsewhere.example/other".into();
    assert_eq!(
        world.post(&name(C), P, "/negotiations/request", &again),
        first
    );
    let other = opening(THEIRS, &with_id("p", &stations()));
    assert_eq!(
        world.post(&name(C), P, "/negotiations/request", &other).0,
        400
    );
    assert_eq!(world.book(P), &before);
    // The same identifier from somebody else is another negotiation.
    assert_eq!(
        world
            .post(
                &name(2),
                P,
                "/negotiations/request",
                &opening(THEIRS, &with_id("o", &stations()))
            )
            .0,
        201
    );
    assert_eq!(world.book(P).negotiations.len(), 2);
}

#[test]
fn we_send_to_the_partner_and_never_to_a_callback_address() {
    let mut world = World::new();
    world.publish("o", &stations(), true);
    world.post(
        &name(C),
        P,
        "/negotiations/request",
        &opening(THEIRS, &with_id("o", &stations())),
    );
    let flight = world.flights.pop_front().unwrap();
    let http = encode_request(&flight.request);
    assert_eq!(http.target, format!("/dsp/negotiations/{THEIRS}/agreement"));
    let journal = postcard::to_allocvec(&world.journals[P]).unwrap();
    let text = String::from_utf8_lossy(&journal);
    assert!(!text.contains("elsewhere"), "it is not even kept");

    let mut inward = opening("urn:uuid:other", &with_id("o", &stations()));
    inward["callbackAddress"] = "https://169.254.169.254/latest".into();
    let before = world.book(P).clone();
    let (status, answer) = world.post(&name(C), P, "/negotiations/request", &inward);
    assert_eq!(status, 400, "{answer}");
    assert_eq!(world.book(P), &before, "refused without a trace");
}

#[test]
fn an_agreement_that_was_swapped_is_never_verified() {
    let longer = Terms {
        until: JULY.plus_ms(DAY_MS),
        ..stations()
    };
    let mut unknown = agreement(&stations(), &[]);
    unknown["agreement"]["permission"][0]["action"] = "sell".into();
    for (swapped, why) in [
        (agreement(&longer, &[]), "terms"),
        (
            agreement(&stations(), &[("target", "locker-events")]),
            "target",
        ),
        (
            agreement(&stations(), &[("assigner", name(2).as_str())]),
            "assigner",
        ),
        (
            agreement(&stations(), &[("assignee", name(2).as_str())]),
            "assignee",
        ),
        (
            agreement(&stations(), &[("@id", "urn:uuid:agreement")]),
            "@id",
        ),
        (unknown, "sell"),
    ] {
        let mut world = standing(Party::Consumer, NegotiationState::Requested);
        let (path, _) = message(NegotiationMessage::Agreement, Party::Consumer);
        let body = body("ContractAgreementMessage", Party::Consumer, swapped);
        assert_eq!(world.post(&name(C), P, &path, &body).0, 200);
        let negotiation = &world.book(P).negotiations[&wire(OURS)];
        assert_eq!(negotiation.state, NegotiationState::Terminated, "{why}");
        let unsent = negotiation.unsent.as_ref().unwrap();
        assert!(unsent.path.ends_with("/termination"));
        assert!(unsent.body.contains(why), "{}", unsent.body);
    }
    let mut world = standing(Party::Consumer, NegotiationState::Requested);
    let (path, body) = message(NegotiationMessage::Agreement, Party::Consumer);
    world.post(&name(C), P, &path, &body);
    assert_eq!(
        world.book(P).negotiations[&wire(OURS)].state,
        NegotiationState::Verified
    );
}

#[test]
fn an_offer_that_opens_a_negotiation_waits_for_our_people() {
    let mut world = World::new();
    let mut body = json!({
        "@context": [CONTEXT],
        "@type": "ContractOfferMessage",
        "providerPid": THEIRS,
        "callbackAddress": "https://fengchao.example/dsp",
    });
    body["offer"] = offer(&stations())["offer"].clone();
    let first = world.post(&name(P), C, "/negotiations/offers", &body);
    assert_eq!((first.0, &first.1["state"]), (201, &"OFFERED".into()));
    assert_eq!(
        world.post(&name(P), C, "/negotiations/offers", &body),
        first
    );
    let proposal = world.proposal(C);
    assert_eq!(
        (&proposal["role"], &proposal["state"]),
        (&"consumer".into(), &"OFFERED".into())
    );
    body["providerPid"] = "urn:uuid:second".into();
    body["offer"]["target"] = "weather".into();
    let (status, answer) = world.post(&name(P), C, "/negotiations/offers", &body);
    assert_eq!(status, 400);
    assert!(answer["reason"][0].as_str().unwrap().contains("`weather`"));
}

#[test]
fn a_transfer_needs_an_agreement_in_force_of_its_own() {
    let mut world = World::new();
    world.publish("o", &stations(), true);
    world.propose(&["o"], &[]);
    let id = world.agreement(P).id.clone();
    let request = |pid: &str, agreement: &str, format: &str| {
        json!({
            "@context": [CONTEXT],
            "@type": "TransferRequestMessage",
            "consumerPid": pid,
            "agreementId": agreement,
            "format": format,
            "callbackAddress": "https://cainiao.example/dsp",
        })
    };
    let path = "/transfers/request";
    let pull = "HttpData-PULL";
    let too_early = request("urn:uuid:1", id.as_str(), pull);
    assert_eq!(world.post(&name(C), P, path, &too_early).0, 503);
    world.run_until(JUNE);
    let before = world.book(P).clone();
    let anothers = world.post(&name(2), P, path, &request("urn:uuid:2", id.as_str(), pull));
    assert_eq!(
        anothers,
        world.post(
            &name(2),
            P,
            path,
            &request("urn:uuid:2", "urn:uuid:none", pull)
        )
    );
    assert_eq!(anothers.0, 404);
    let (status, answer) = world.post(
        &name(C),
        P,
        path,
        &request("urn:uuid:3", id.as_str(), "Kafka"),
    );
    assert_eq!(status, 400);
    assert!(
        answer["reason"][0]
            .as_str()
            .unwrap()
            .contains("HttpData-PULL")
    );
    assert_eq!(world.book(P), &before);
    let first = world.post(&name(C), P, path, &request("urn:uuid:4", id.as_str(), pull));
    assert_eq!((first.0, &first.1["state"]), (201, &"REQUESTED".into()));
    let again = world.post(&name(C), P, path, &request("urn:uuid:4", id.as_str(), pull));
    assert_eq!(again.1["providerPid"], first.1["providerPid"]);
    // The same request about another agreement is neither a repeat nor another transfer.
    let swapped = request("urn:uuid:4", "urn:uuid:none", pull);
    let (status, answer) = world.post(&name(C), P, path, &swapped);
    assert_eq!((status, &answer["code"]), (400, &"contradiction".into()));
    let own = wire(first.1["providerPid"].as_str().unwrap());
    let start = world.book(P).transfers[&own].unsent.as_ref().unwrap();
    assert!(
        start
            .body
            .contains(&format!("https://fengchao.example/exchange/v1/feeds/{own}")),
        "{}",
        start.body
    );
    world.now = JULY;
    let (status, answer) = world.post(&name(C), P, path, &request("urn:uuid:5", id.as_str(), pull));
    assert_eq!((status, &answer["code"]), (400, &"policy-refused".into()));
}

#[test]
fn one_partner_cannot_fill_the_book() {
    let mut world = World::new();
    world.publish("o", &stations(), false);
    let offer = with_id("o", &stations());
    for n in 0..1_000 {
        let request = opening(&format!("urn:uuid:{n}"), &offer);
        assert_eq!(
            world.post(&name(2), P, "/negotiations/request", &request).0,
            201
        );
    }
    let more = opening("urn:uuid:more", &offer);
    assert_eq!(
        world.post(&name(2), P, "/negotiations/request", &more).0,
        429
    );
    assert_eq!(world.book(P).negotiations.len(), 1_000);
    assert_eq!(
        world.post(&name(C), P, "/negotiations/request", &more).0,
        201,
        "others may"
    );
}
