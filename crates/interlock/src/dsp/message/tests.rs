//! Every message in every spelling, and broken in every member.

use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset as CoreDataset;
use interlock_core::ids::{Marketplace, WireId};
use interlock_core::terms::{EvidenceKind, Field, Notifier, Purpose, Terms, parse_policy};
use interlock_core::time::{DAY_MS, Timestamp, Zone};
use serde_json::{Map, Value, json};

use super::super::error::{DspError, Fault};
use super::super::json::Limits;
use super::super::policy::Offer;
use super::*;
use crate::identity::url::BaseUrl;

const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";
const CALLBACK: &str = "https://cainiao.example/dsp/callback";

pub(super) fn read(value: &Value) -> Result<Message, DspError> {
    Message::parse(value.to_string().as_bytes(), &Limits::MESSAGE)
}

/// A message of the given type with both identifiers and the members of `more`.
fn with_pids(class: &str, more: Value) -> Value {
    let mut out = json!({
        "@context": [CONTEXT],
        "@type": class,
        "consumerPid": "urn:uuid:0d9e7c1a-consumer",
        "providerPid": "urn:uuid:51b2f3aa-provider",
    });
    let members = out.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    out
}

fn without(mut value: Value, name: &str) -> Value {
    value.as_object_mut().unwrap().remove(name);
    value
}

fn rules() -> Value {
    json!([{
        "action": "use",
        "constraint": [
            {"leftOperand": "odrl:dateTime", "operator": "lt",
             "rightOperand": {"@value": "2017-06-01T00:00:00+08:00", "@type": "xsd:dateTime"}},
            {"leftOperand": "il:marketplace", "operator": "isAnyOf", "rightOperand": ["taobao"]},
        ],
    }])
}

fn offer() -> Value {
    json!({"@id": "urn:offer:1", "@type": "Offer", "target": "locker-events", "permission": rules()})
}

fn data_address() -> Value {
    json!({
        "@type": "DataAddress",
        "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
        "endpoint": "https://fengchao.example/exchange/v1/feeds/7",
        "endpointProperties": [
            {"@type": "EndpointProperty", "name": "authorization", "value": "not-for-logs"},
            {"@type": "EndpointProperty", "name": "authType", "value": "bearer"},
        ],
    })
}

fn dataset() -> Value {
    let service = json!({
        "@id": "urn:service:1", "@type": "DataService",
        "endpointURL": "https://fengchao.example/dsp",
    });
    json!({
        "@id": "locker-events",
        "@type": "Dataset",
        "dct:title": "events of lockers",
        "hasPolicy": [without(offer(), "target")],
        "distribution": [
            {"@type": "Distribution", "format": "HttpData-PULL", "accessService": service},
            {"@type": "Distribution", "format": "HttpData-PUSH", "accessService": "urn:service:1"},
        ],
    })
}

fn cause() -> Value {
    json!({"code": "42", "reason": ["the term is over"]})
}

fn in_root(mut value: Value) -> Value {
    value["@context"] = json!([CONTEXT]);
    value
}

fn negotiation_samples() -> Vec<Value> {
    let agreement = json!({
        "@id": "urn:agreement:1", "@type": "Agreement", "target": "locker-events",
        "assigner": "did:web:fengchao.example", "assignee": "did:web:cainiao.example",
        "timestamp": "2017-05-31T16:00:00Z", "permission": rules(),
        "prohibition": [{"action": "distribute"}],
        "obligation": [{"action": "delete", "constraint": [
            {"leftOperand": "odrl:elapsedTime", "operator": "lteq", "rightOperand": "P30D"}]}],
    });
    let opening = json!({"offer": offer(), "callbackAddress": CALLBACK});
    let request = with_pids("ContractRequestMessage", opening.clone());
    let untargeted = json!({"offer": without(offer(), "target")});
    let agreed = json!({ "agreement": agreement });
    let event = |event: &str| {
        let more = json!({ "eventType": event });
        with_pids("ContractNegotiationEventMessage", more)
    };
    vec![
        without(request, "providerPid"),
        with_pids("ContractRequestMessage", untargeted),
        without(with_pids("ContractOfferMessage", opening), "consumerPid"),
        with_pids("ContractOfferMessage", json!({"offer": offer()})),
        with_pids("ContractAgreementMessage", agreed),
        with_pids("ContractAgreementVerificationMessage", json!({})),
        event("ACCEPTED"),
        event("FINALIZED"),
        with_pids("ContractNegotiationTerminationMessage", cause()),
        with_pids("ContractNegotiation", json!({"state": "VERIFIED"})),
        with_pids("ContractNegotiationError", cause()),
    ]
}

fn transfer_samples() -> Vec<Value> {
    let request = json!({
        "agreementId": "urn:agreement:1", "format": "HttpData-PUSH",
        "callbackAddress": CALLBACK, "dataAddress": data_address(),
    });
    let start = json!({"dataAddress": data_address()});
    vec![
        without(with_pids("TransferRequestMessage", request), "providerPid"),
        with_pids("TransferStartMessage", start),
        with_pids("TransferStartMessage", json!({})),
        with_pids("TransferSuspensionMessage", cause()),
        with_pids("TransferCompletionMessage", json!({})),
        with_pids("TransferTerminationMessage", cause()),
        with_pids("TransferProcess", json!({"state": "SUSPENDED"})),
        with_pids("TransferError", cause()),
    ]
}

fn catalog_sample() -> Value {
    let distribution = json!({
        "@type": "Distribution", "format": "Catalog", "accessService": "urn:service:1",
    });
    in_root(json!({
        "@type": "Catalog", "@id": "urn:catalog:1", "participantId": "did:web:fengchao.example",
        "dataset": [dataset()],
        "service": [{"@id": "urn:service:1", "@type": "DataService",
                     "endpointURL": "https://fengchao.example/dsp"}],
        "catalog": [{
            "@id": "urn:catalog:2", "@type": "Catalog", "distribution": [distribution],
        }],
    }))
}

/// One message of each type and form, as the schemas want it.
pub(super) fn samples() -> Vec<Value> {
    let filter = json!(["locker-events", {"x": 1}]);
    let mut out = negotiation_samples();
    out.extend(transfer_samples());
    out.extend([
        in_root(json!({"@type": "CatalogRequestMessage", "filter": filter})),
        catalog_sample(),
        in_root(dataset()),
        in_root(json!({"@type": "CatalogError", "code": "7", "reason": ["not for you"]})),
    ]);
    out
}

#[test]
fn samples_cover_every_type_and_are_valid() {
    let mut types: Vec<String> = Vec::new();
    for sample in samples() {
        assert_eq!(schema::violations(&sample), Vec::<String>::new());
        types.push(sample["@type"].as_str().unwrap().into());
    }
    types.sort();
    types.dedup();
    assert_eq!(types.len(), 19, "{types:?}");
}

#[test]
fn a_message_is_emitted_as_the_schema_has_it() {
    for sample in samples() {
        let message = read(&sample).unwrap();
        assert_eq!(message.to_json(), sample);
        assert_eq!(message.type_name(), sample["@type"]);
    }
}

/// The vocabulary of each member of the samples, by the JSON-LD contexts of the protocol.
fn vocabulary(name: &str, parent: &str) -> (&'static str, &'static str) {
    match (name, parent) {
        ("title" | "format", _) => ("dct:", "http://purl.org/dc/terms/"),
        (
            "dataset" | "service" | "catalog" | "distribution" | "accessService" | "endpointURL"
            | "Catalog" | "Dataset" | "Distribution" | "DataService",
            _,
        ) => ("dcat:", "http://www.w3.org/ns/dcat#"),
        (
            "hasPolicy" | "target" | "assigner" | "assignee" | "permission" | "prohibition"
            | "obligation" | "action" | "constraint" | "leftOperand" | "operator" | "rightOperand"
            | "Offer" | "Agreement",
            _,
        )
        | (_, "action" | "operator") => ("odrl:", "http://www.w3.org/ns/odrl/2/"),
        _ => ("dspace:", "https://w3id.org/dspace/2025/1/"),
    }
}

/// How a document is spelled otherwise.
#[derive(Clone, Copy, PartialEq)]
enum Spelling {
    /// Prefixes; a list of one as its element.
    Prefixed,
    /// Full IRIs; every value in an array, texts as `@id` or `@value`.
    Expanded,
}

fn respell_text(
    text: &str,
    parent: &str,
    spelling: Spelling,
    word: impl Fn(&str) -> String,
) -> Value {
    let text = match parent {
        "action" | "operator" | "state" | "eventType" => word(text),
        "leftOperand" => text.replace("odrl:", "http://www.w3.org/ns/odrl/2/"),
        _ => text.into(),
    };
    let names = ["action", "operator", "leftOperand"].contains(&parent);
    match spelling {
        Spelling::Prefixed => json!(text),
        Spelling::Expanded if names || text.starts_with("urn:") => json!([{ "@id": text }]),
        Spelling::Expanded => json!([{ "@value": text }]),
    }
}

fn respell(value: &Value, parent: &str, spelling: Spelling) -> Value {
    let word = |name: &str| {
        let name = name.strip_prefix("dct:").unwrap_or(name);
        let (prefix, iri) = vocabulary(name, parent);
        match spelling {
            Spelling::Prefixed => format!("{prefix}{name}"),
            Spelling::Expanded => format!("{iri}{name}"),
        }
    };
    match value {
        Value::Object(members) => {
            let mut out = Map::new();
            for (name, inner) in members {
                let (name, inner) = match name.as_str() {
                    "@context" => (name.clone(), json!(["https://other.example", CONTEXT, {}])),
                    "@type" if parent != "rightOperand" => {
                        let class = inner.as_str().unwrap();
                        let (prefix, iri) = vocabulary(class, "");
                        match spelling {
                            Spelling::Prefixed => (name.clone(), json!(format!("{prefix}{class}"))),
                            Spelling::Expanded => (name.clone(), json!([format!("{iri}{class}")])),
                        }
                    }
                    "@id" | "@type" | "@value" => (name.clone(), inner.clone()),
                    // What a filter or an operand holds belongs to whoever wrote it.
                    "filter" | "rightOperand" => (word(name), inner.clone()),
                    _ => (word(name), respell(inner, name, spelling)),
                };
                out.insert(name, inner);
            }
            out.insert(
                "https://other.example/extra".into(),
                json!({"deep": [1, null]}),
            );
            if parent.is_empty() || spelling == Spelling::Prefixed {
                return Value::Object(out);
            }
            Value::Array(vec![Value::Object(out)])
        }
        Value::Array(items) => {
            let items: Vec<Value> = items
                .iter()
                .flat_map(|item| {
                    let item = respell(item, parent, spelling);
                    item.as_array().cloned().unwrap_or_else(|| vec![item])
                })
                .collect();
            match (spelling, items.as_slice()) {
                (Spelling::Prefixed, [one]) => one.clone(),
                _ => Value::Array(items),
            }
        }
        Value::String(text) => respell_text(text, parent, spelling, word),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// What an unknown member leaves behind: rules keep it, messages do not.
fn drop_extras(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove("https://other.example/extra");
            members.values_mut().for_each(drop_extras);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_extras),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_spelling_reads_as_the_same_message() {
    for sample in samples() {
        for spelling in [Spelling::Prefixed, Spelling::Expanded] {
            let other = respell(&sample, "", spelling);
            assert_ne!(other, sample);
            let message = read(&other).unwrap_or_else(|error| panic!("{error}\n{other:#}"));
            let mut emitted = message.to_json();
            drop_extras(&mut emitted);
            assert_eq!(emitted, sample, "{other:#}");
        }
    }
}

#[test]
fn the_context_may_be_a_text() {
    for mut sample in samples() {
        let message = read(&sample).unwrap();
        sample["@context"] = json!(CONTEXT);
        assert_eq!(read(&sample), Ok(message));
    }
}

#[test]
fn a_member_that_is_required_is_asked_for() {
    for sample in samples() {
        let class = sample["@type"].as_str().unwrap().to_owned();
        // An error may come from a side that never learnt the other's identifier.
        let lenient = ["ContractNegotiationError", "TransferError"].contains(&class.as_str());
        for name in schema::of(&class).required {
            let is_pid = name.ends_with("Pid");
            let outcome = read(&without(sample.clone(), name));
            if lenient && is_pid {
                assert!(outcome.is_ok());
                continue;
            }
            let error = outcome.unwrap_err();
            // What continues a negotiation reads as opening one, which wants an address.
            let wanted = match (class.as_str(), *name) {
                ("ContractRequestMessage", "providerPid")
                | ("ContractOfferMessage", "consumerPid") => "/callbackAddress".into(),
                _ => format!("/{name}"),
            };
            assert_eq!(error.pointer, wanted, "{class}: {error}");
            let wanted = match *name {
                "@context" => Fault::Context,
                "@type" => Fault::Type {
                    found: String::new(),
                    wanted: "a message of Dataspace Protocol 2025-1",
                },
                _ => Fault::Missing,
            };
            assert_eq!(error.fault, wanted, "{class}");
        }
    }
}

#[test]
fn a_member_of_another_kind_is_refused_by_name() {
    for sample in samples() {
        let class = sample["@type"].as_str().unwrap().to_owned();
        for name in sample.as_object().unwrap().keys() {
            if ["reason", "filter", "dct:title"].contains(&name.as_str()) {
                continue;
            }
            for bad in [
                json!(7),
                json!(["a", "b", 7]),
                json!({"x": {}}),
                json!(true),
            ] {
                let mut broken = sample.clone();
                broken[name] = bad.clone();
                let error = read(&broken).expect_err(&format!("{class} {name} {bad}"));
                assert!(
                    error.pointer.starts_with(&format!("/{name}")),
                    "{class}: {error}"
                );
                assert!(!error.remedy().is_empty());
            }
        }
    }
}

#[test]
fn identifiers_addresses_and_words_have_their_form() {
    for (name, bad) in [
        ("consumerPid", json!("with space")),
        ("providerPid", json!("x".repeat(257))),
        ("consumerPid", json!("")),
        ("providerPid", json!({"@id": 7})),
        ("state", json!("INITIALIZED")),
        ("state", json!("odrl:VERIFIED")),
        ("state", json!("verified")),
    ] {
        let mut broken = with_pids("ContractNegotiation", json!({"state": "VERIFIED"}));
        broken[name] = bad;
        let error = read(&broken).unwrap_err();
        assert_eq!(error.pointer, format!("/{name}"));
    }
    let mut broken = with_pids(
        "ContractNegotiationEventMessage",
        json!({"eventType": "AGREED"}),
    );
    let error = read(&broken).unwrap_err().to_string();
    assert_eq!(
        error,
        "`/eventType` is `AGREED`; send one of `ACCEPTED` `FINALIZED` (DSP 2025-1)"
    );
    broken["eventType"] = json!("dspace:FINALIZED");
    assert!(read(&broken).is_ok());
}

#[test]
fn an_address_that_is_refused_is_not_repeated() {
    let secret = "https://user:hunter2@sf.example/";
    let mut broken = samples().remove(0);
    broken["callbackAddress"] = json!(secret);
    let error = read(&broken).unwrap_err();
    assert_eq!(error.pointer, "/callbackAddress");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn a_token_is_never_shown() {
    let start = with_pids(
        "TransferStartMessage",
        json!({"dataAddress": data_address()}),
    );
    let message = read(&start).unwrap();
    assert!(!format!("{message:?}").contains("not-for-logs"));
    let Message::TransferStartMessage(start) = message else {
        panic!("another type")
    };
    let address = start.data_address.unwrap();
    assert_eq!(address.property("authorization"), Some("not-for-logs"));
    assert!(!format!("{:?}", address.properties).contains("not-for-logs"));
    let endpoint = BaseUrl::parse(address.endpoint.as_deref().unwrap()).unwrap();
    assert_eq!(DataAddress::bearer(&endpoint, "not-for-logs"), address);
}

#[test]
fn another_type_is_refused_where_one_is_wanted() {
    let completion = with_pids("TransferCompletionMessage", json!({})).to_string();
    let error = TransferStartMessage::parse(completion.as_bytes(), &Limits::MESSAGE).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`/@type` is of type `TransferCompletionMessage`; set `@type` to TransferStartMessage"
    );
    let unknown = with_pids("ContractOfferRequest", json!({}));
    assert_eq!(read(&unknown).unwrap_err().pointer, "/@type");
}

#[test]
fn a_nested_type_that_lies_is_refused() {
    for (place, pointer) in [
        ("/offer/@type", "/offer/@type"),
        ("/offer/permission/0/action", "/offer/permission/0/action"),
    ] {
        let mut broken = samples().remove(0);
        *broken.pointer_mut(place).unwrap() = json!("Agreement");
        let outcome = read(&broken);
        if place.ends_with("@type") {
            assert_eq!(outcome.unwrap_err().pointer, pointer);
        } else {
            assert!(outcome.is_ok(), "actions are judged elsewhere");
        }
    }
}

#[test]
fn a_request_with_both_pid_and_callback_continues() {
    let both = with_pids(
        "ContractRequestMessage",
        json!({"offer": offer(), "callbackAddress": "https://sf.example"}),
    );
    let message = read(&both).unwrap();
    assert_eq!(message.to_json(), without(both, "callbackAddress"));
}

#[test]
fn reasons_of_every_kind_read_as_text() {
    let termination = with_pids(
        "ContractNegotiationTerminationMessage",
        json!({"reason": [{"message": "a"}, {"@value": "b", "@language": "en"}, "c", {"x": 1}, 5]}),
    );
    let Ok(Message::ContractNegotiationTerminationMessage(message)) = read(&termination) else {
        panic!("no termination")
    };
    assert_eq!(message.cause.reasons, ["a", "b", "c", "{\"x\":1}", "5"]);
}

#[test]
fn a_catalog_of_a_lenient_connector_is_read() {
    let mut catalog = catalog_sample();
    // Open offers without rules, empty lists, and a target: seen in the field.
    catalog["dataset"][0]["hasPolicy"] = json!({
        "@id": "urn:open", "@type": "odrl:Offer", "odrl:permission": [], "odrl:prohibition": [],
        "odrl:obligation": [], "odrl:target": {"@id": "locker-events"},
    });
    let Ok(Message::Catalog(read)) = read(&catalog) else {
        panic!("no catalog")
    };
    let offer = &read.content.datasets[0].offers[0];
    assert!(offer.rules.is_empty() && offer.target.is_none());
}

/// Terms with every kind of constraint, duty, prohibition and obligation.
fn terms() -> Terms {
    let instant = |text| Timestamp::parse_zoned(text).unwrap().0;
    Terms {
        dataset: CoreDataset::RecipientContact,
        from: instant("2017-06-01T00:00:00+08:00"),
        until: instant("2017-07-01T00:00:00+08:00"),
        zone: Zone::CHINA,
        purposes: [Purpose::DepositConsent, Purpose::PickupNotification].into(),
        marketplaces: [Marketplace::parse("taobao").unwrap()].into(),
        fields: [Field::Contact, Field::Consent].into(),
        contact_forms: [ContactForm::Sealed, ContactForm::Virtual].into(),
        quota_per_day: Some(2_000_000),
        quota_per_parcel: Some(4),
        evidence: [EvidenceKind::Arrival, EvidenceKind::Deposit].into(),
        notifier: Some(Notifier::Operator),
        run_off_ms: Some(7 * DAY_MS),
        backlog: None,
        covers_from: None,
        delete_after_ms: Some(30 * DAY_MS),
        reciprocate: true,
        no_redisclosure: true,
    }
}

#[test]
fn terms_survive_the_wire() {
    let mut policy = terms().to_policy();
    policy["@id"] = json!("urn:offer:1");
    let message = ContractRequestMessage {
        consumer_pid: WireId::parse("urn:c").unwrap(),
        opening: Opening::Continued {
            pid: WireId::parse("urn:p").unwrap(),
        },
        offer: Offer::from_policy(&policy).unwrap(),
    };
    let sent = message.to_json();
    assert_eq!(schema::violations(&sent), Vec::<String>::new());
    let bytes = sent.to_string();
    let received = ContractRequestMessage::parse(bytes.as_bytes(), &Limits::MESSAGE).unwrap();
    let policy = received.offer.to_policy();
    assert_eq!(
        parse_policy(&policy, CoreDataset::RecipientContact),
        Ok(terms())
    );
}

#[test]
fn a_policy_without_end_is_refused() {
    let constraint = json!({"leftOperand": "a", "operator": "eq", "rightOperand": "b"});
    let mut flood = samples().remove(0);
    flood["offer"]["permission"][0]["constraint"] = vec![constraint.clone(); 10_000].into();
    assert!(matches!(
        read(&flood).unwrap_err().fault,
        Fault::TooLarge { .. }
    ));
    flood["offer"]["permission"][0]["constraint"] = vec![constraint.clone(); 3_000].into();
    assert!(matches!(
        read(&flood).unwrap_err().fault,
        Fault::TooMany { .. }
    ));
    let mut deep = constraint;
    for _ in 0..20 {
        deep = json!({ "and": [deep] });
    }
    flood["offer"]["permission"][0]["constraint"] = json!([deep]);
    assert!(matches!(
        read(&flood).unwrap_err().fault,
        Fault::TooDeep { .. }
    ));
}
