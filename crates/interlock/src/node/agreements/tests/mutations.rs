//! Valid messages changed at random: nothing panics, what is refused changes nothing and is answered
//! in the words of the protocol.

use interlock_core::negotiation::{NegotiationMessage, NegotiationState, Party};
use interlock_core::transfer::TransferState;
use proptest::prelude::*;
use serde_json::json;

use super::super::Transfer;
use super::connectors::agreement;
use super::hostile::{OURS, THEIRS, body, message, opening, standing, with_id};
use super::*;
use crate::driver::answer::refuse_protocol;
use crate::dsp::CONTEXT;
use crate::dsp::failure::Protocol;
use crate::exchange::http::parse_request;

const IN_FORCE: &str = "urn:uuid:in-force";

/// What is done to a value of a message.
#[derive(Clone, Debug)]
enum Change {
    Remove,
    Replace(Value),
    Wrap(&'static str),
    Nest(usize),
    Repeat(usize),
    /// Another value of the same message is put here.
    CopyOf(usize),
    Rename(String),
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!({"@id": 1})),
        Just(json!({"@value": {"@value": "x"}})),
        proptest::sample::select(vec![
            "",
            "@type",
            "ACCEPTED",
            "FINALIZED",
            "odrl:use",
            OURS,
            THEIRS,
            "urn:x",
            "\u{0}",
            "https://169.254.169.254/",
            "99999999999999999999",
            "9999-12-31T23:59:59Z",
            "P999999D",
        ])
        .prop_map(Value::from),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::Remove),
        scalar().prop_map(Change::Replace),
        proptest::sample::select(vec!["@id", "@value", "@list", "@set", "x"])
            .prop_map(Change::Wrap),
        (1..80_usize).prop_map(Change::Nest),
        (2..6_usize).prop_map(Change::Repeat),
        any::<usize>().prop_map(Change::CopyOf),
        "[a-zA-Z:@]{0,12}".prop_map(Change::Rename),
    ]
}

/// Pointers to all values below and at `value`.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.into());
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                places(inner, &format!("{at}/{name}"), out);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                places(inner, &format!("{at}/{index}"), out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn changed(mut message: Value, at: usize, change: &Change) -> Value {
    let mut all = Vec::new();
    places(&message, "", &mut all);
    let pointer = &all[at % all.len()];
    let value = message.pointer(pointer).unwrap().clone();
    let new = match change {
        Change::Remove | Change::Rename(_) => {
            let Some((parent, name)) = pointer.rsplit_once('/') else {
                return Value::Null;
            };
            let name = name.replace("~1", "/").replace("~0", "~");
            match message.pointer_mut(parent).unwrap() {
                Value::Object(members) => {
                    members.remove(&name);
                    if let Change::Rename(new) = change {
                        members.insert(new.clone(), value);
                    }
                }
                Value::Array(items) => drop(items.remove(name.parse().unwrap())),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                    panic!("a scalar holds nothing")
                }
            }
            return message;
        }
        Change::Replace(new) => new.clone(),
        Change::Wrap(name) => json!({ *name: value }),
        Change::Nest(levels) => (0..*levels).fold(value, |inner, _| json!([inner])),
        Change::Repeat(times) => vec![value; *times].into(),
        Change::CopyOf(other) => message.pointer(&all[other % all.len()]).unwrap().clone(),
    };
    *message.pointer_mut(pointer).unwrap() = new;
    message
}

/// Every message that the other node may send to ours, which is `party`, with its endpoint.
fn messages(party: Party) -> Vec<(String, Value)> {
    let mut all: Vec<_> = NegotiationMessage::ALL
        .into_iter()
        .map(|kind| message(kind, party))
        .collect();
    for (kind, step) in [
        ("TransferStartMessage", "start"),
        ("TransferSuspensionMessage", "suspension"),
        ("TransferCompletionMessage", "completion"),
        ("TransferTerminationMessage", "termination"),
    ] {
        let more = json!({ "code": "x", "reason": ["because"] });
        all.push((format!("/transfers/{OURS}/{step}"), body(kind, party, more)));
    }
    let request = opening("urn:uuid:new", &with_id("o", &stations()));
    let mut offer = request.clone();
    offer["@type"] = "ContractOfferMessage".into();
    offer.as_object_mut().unwrap().remove("consumerPid");
    offer["providerPid"] = "urn:uuid:new".into();
    offer["offer"]["target"] = "locker-stations".into();
    all.push(("/negotiations/request".into(), request));
    all.push(("/negotiations/offers".into(), offer));
    let transfer = json!({
        "@context": [CONTEXT],
        "@type": "TransferRequestMessage",
        "consumerPid": "urn:uuid:new",
        "agreementId": IN_FORCE,
        "format": "HttpData-PULL",
        "dataAddress": { "@type": "DataAddress", "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
            "endpoint": "https://connector.example/in", "endpointProperties": [
                { "@type": "EndpointProperty", "name": "authorization", "value": "x" }] },
        "callbackAddress": "https://cainiao.example/dsp",
    });
    all.push(("/transfers/request".into(), transfer));
    let catalog =
        json!({ "@context": [CONTEXT], "@type": "CatalogRequestMessage", "filter": ["x"] });
    all.push(("/catalog/request".into(), catalog));
    all
}

fn world(party: Party, state: NegotiationState) -> World {
    let mut world = standing(party, state);
    world.publish("o", &stations(), false);
    let transfer = Transfer {
        id: wire(OURS),
        peer_id: Some(wire(THEIRS)),
        peer: name(C),
        party,
        agreement: wire("urn:uuid:agreement"),
        state: match state {
            NegotiationState::Requested => TransferState::Requested,
            NegotiationState::Offered => TransferState::Suspended,
            NegotiationState::Accepted
            | NegotiationState::Agreed
            | NegotiationState::Verified
            | NegotiationState::Finalized
            | NegotiationState::Terminated => TransferState::Started,
        },
        unsent: None,
        taken: None,
        starts: 1,
        push: None,
    };
    world.put(P, Record::Transfer(Box::new(transfer)));
    world.put(P, agreement(IN_FORCE));
    world.now = JUNE;
    world.step(P, Input::Tick);
    world
}

/// An error body of the protocol that was spoken, as its schema has it.
fn check_error(path: &str, answer: &Value) {
    let kind = match Protocol::of(path) {
        Protocol::Catalog => "CatalogError",
        Protocol::Negotiation => "ContractNegotiationError",
        Protocol::Transfer => "TransferError",
    };
    assert_eq!(answer["@type"], kind, "{answer}");
    assert_eq!(answer["@context"], json!([CONTEXT]));
    assert!(answer["code"].as_str().is_some_and(|code| !code.is_empty()));
    let reasons = answer["reason"].as_array().expect("reasons");
    assert!(
        !reasons.is_empty() && reasons.iter().all(Value::is_string),
        "{answer}"
    );
    assert!(answer.to_string().len() < 4_096, "{answer}");
}

/// Sends bytes to the door and then to the node, as the driver does.
pub(super) fn send(world: &mut World, path: &str, bytes: &[u8]) -> u16 {
    let (book, written) = (world.book(P).clone(), world.journals[P].len());
    let (status, answer) = match parse_request(true, &format!("/dsp{path}"), bytes) {
        Ok(request) => {
            let PeerAnswer::Dsp { status, body, .. } = world.ask(&name(C), P, &request) else {
                panic!("no answer of the protocol");
            };
            (status, body)
        }
        Err(problem) => {
            let refused = refuse_protocol(Protocol::of(path), &problem);
            assert_eq!(refused.headers()["content-type"], "application/json");
            let status = refused.status().as_u16();
            let body = axum::body::to_bytes(refused.into_body(), usize::MAX);
            let body = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap()
                .block_on(body);
            (status, serde_json::from_slice(&body.unwrap()).unwrap())
        }
    };
    if !(200..300).contains(&status) {
        assert!(
            (400..500).contains(&status) || status == 503,
            "{status}: {answer}"
        );
        check_error(path, &answer);
        assert_eq!(world.book(P), &book, "{answer}");
        assert_eq!(world.journals[P].len(), written, "{answer}");
    }
    status
}

fn party() -> impl Strategy<Value = Party> {
    proptest::sample::select(vec![Party::Provider, Party::Consumer])
}

fn state() -> impl Strategy<Value = NegotiationState> {
    proptest::sample::select(NegotiationState::ALL.to_vec())
}

proptest! {
    #[test]
    fn a_message_with_other_values_is_taken_whole_or_refused_whole(
        party in party(),
        state in state(),
        which in any::<usize>(),
        changes in proptest::collection::vec((any::<usize>(), change()), 1..4),
    ) {
        let mut world = world(party, state);
        let all = messages(party);
        let (path, message) = all[which % all.len()].clone();
        let message = changes
            .iter()
            .fold(message, |message, (at, change)| changed(message, *at, change));
        let bytes = message.to_string().into_bytes();
        let status = send(&mut world, &path, &bytes);
        // What was taken changes nothing when it comes again; what was refused is refused again.
        let book = world.book(P).clone();
        prop_assert_eq!(send(&mut world, &path, &bytes), status);
        prop_assert_eq!(world.book(P), &book);
    }

    #[test]
    fn a_message_with_other_bytes_is_refused_or_another_message(
        party in party(),
        state in state(),
        which in any::<usize>(),
        cuts in proptest::collection::vec((any::<usize>(), 0..8_usize, proptest::collection::vec(any::<u8>(), 0..6)), 1..4),
    ) {
        let mut world = world(party, state);
        let all = messages(party);
        let (path, message) = &all[which % all.len()];
        let mut bytes = message.to_string().into_bytes();
        for (at, out, put) in cuts {
            let at = at % (bytes.len() + 1);
            let end = (at + out).min(bytes.len());
            bytes.splice(at..end, put);
        }
        send(&mut world, path, &bytes);
    }

    #[test]
    fn whatever_path_is_asked_there_is_an_answer(
        post in any::<bool>(),
        path in "(/(negotiations|transfers|catalog|datasets|request|urn:uuid:ours|start|events|offers|[a-z%0-9:]{0,6})){0,5}(\\?[a-z=&%]{0,8})?",
    ) {
        let mut world = world(Party::Provider, NegotiationState::Requested);
        let book = world.book(P).clone();
        let body = if post { "{}" } else { "" };
        if let Ok(request) = parse_request(post, &format!("/dsp{path}"), body.as_bytes()) {
            let PeerAnswer::Dsp { status, body, .. } = world.ask(&name(C), P, &request) else {
                panic!("no answer of the protocol");
            };
            if status != 200 {
                check_error(&path, &body);
            }
        }
        prop_assert_eq!(world.book(P), &book);
    }
}

/// Unchanged, each is legal in some state at one of the parties: changes start from what would be taken.
#[test]
fn every_message_is_taken_somewhere() {
    let mut never: BTreeSet<String> = messages(Party::Provider)
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    for party in [Party::Provider, Party::Consumer] {
        for (path, message) in messages(party) {
            for state in NegotiationState::ALL {
                let mut world = world(party, state);
                let status = send(&mut world, &path, message.to_string().as_bytes());
                if (200..300).contains(&status) {
                    never.remove(&path);
                }
            }
        }
    }
    assert!(never.is_empty(), "{never:?}");
}
