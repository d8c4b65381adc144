//! What is read and what is refused.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::terms::testing::{any_terms, contact_terms, event_terms};

use TermProblem as P;

/// The policy of the contact terms, changed.
fn edit(change: fn(&mut Value)) -> Value {
    let mut policy = contact_terms().to_policy();
    change(&mut policy);
    policy
}

fn contact(policy: &Value) -> Result<Terms, Vec<TermError>> {
    parse_policy(policy, Dataset::RecipientContact)
}

/// The policy of the contact terms with one constraint replaced or added.
fn with(index: usize, constraint: Value) -> Value {
    let mut policy = contact_terms().to_policy();
    let list = policy["permission"][0]["constraint"]
        .as_array_mut()
        .unwrap();
    if index < list.len() {
        list[index] = constraint;
    } else {
        list.push(constraint);
    }
    policy
}

fn atomic(left: &str, operator: &str, right: Value) -> Value {
    json!({ "leftOperand": left, "operator": operator, "rightOperand": right })
}

#[track_caller]
fn refuses(policy: &Value, pointer: &str, problem: TermProblem, term: &str, remedy: &str) {
    let errors = contact(policy).unwrap_err();
    let found = errors.iter().find(|e| e.pointer == pointer);
    let found = found.unwrap_or_else(|| panic!("{errors:?}"));
    assert_eq!((found.problem, found.term.as_str()), (problem, term));
    assert!(found.remedy.contains(remedy), "{}", found.remedy);
}

#[test]
fn compact_prefixed_and_full_names_read_the_same() {
    let text = contact_terms().to_policy().to_string();
    let prefixed = text
        .replace(NAMESPACE, "il:")
        .replace("\"use\"", "\"odrl:use\"");
    let full = text
        .replace("odrl:", "http://www.w3.org/ns/odrl/2/")
        .replace("\"isAnyOf\"", "{\"@id\":\"odrl:isAnyOf\"}")
        .replace(
            "\"delete\"",
            "{\"@id\":\"http://www.w3.org/ns/odrl/2/delete\"}",
        );
    let compact = text
        .replace("odrl:", "")
        .replace("http://www.w3.org/2001/XMLSchema#", "xsd:");
    let keys = text.replace("\"permission\"", "\"odrl:permission\"");
    for variant in [prefixed, full, compact, keys] {
        assert_ne!(variant, text);
        let policy: Value = serde_json::from_str(&variant).unwrap();
        assert_eq!(contact(&policy), Ok(contact_terms()), "{variant}");
    }
}

#[test]
fn single_values_order_and_envelope_do_not_matter() {
    let mut policy = contact_terms().to_policy();
    let list = policy["permission"][0]["constraint"]
        .as_array_mut()
        .unwrap();
    list.reverse();
    let market = list
        .iter_mut()
        .find(|c| c["rightOperand"] == json!(["taobao"]))
        .unwrap();
    market["rightOperand"] = json!({ "@value": "taobao", "@type": "xsd:string" });
    policy["permission"] = policy["permission"][0].take();
    policy["@context"] = json!(["https://w3id.org/dspace/2025/1/context.jsonld"]);
    policy["@id"] = json!("urn:uuid:1");
    policy["@type"] = json!("Agreement");
    policy["target"] = json!("recipient-contact");
    policy["assigner"] = json!("did:web:cainiao.example");
    policy["assignee"] = json!("did:web:fengchao.example");
    policy["timestamp"] = json!("2017-05-30T10:00:00+08:00");
    policy["profile"] = json!(NAMESPACE);
    assert_eq!(contact(&policy), Ok(contact_terms()));
}

#[test]
fn unknown_terms_are_named() {
    let at = |n: usize| format!("/permission/0/constraint/{n}");
    let extra = |left: &str| with(99, atomic(left, "eq", json!("x")));
    refuses(
        &extra("il:colour"),
        &at(11),
        P::UnknownTerm,
        "il:colour",
        "`il:field`",
    );
    refuses(
        &extra("ex:field"),
        &at(11),
        P::UnknownTerm,
        "ex:field",
        "remove it",
    );
    refuses(
        &extra("field"),
        &at(11),
        P::UnknownTerm,
        "field",
        "`il:field`",
    );
    let wrong = with(
        0,
        atomic("odrl:dateTime", "eq", json!("2017-06-01T00:00:00Z")),
    );
    refuses(
        &wrong,
        &at(0),
        P::WrongOperator,
        "odrl:dateTime",
        "`gteq`, `lt`",
    );
    let or = with(0, json!({ "or": [] }));
    refuses(
        &or,
        &format!("{}/or", at(0)),
        P::LogicalConstraint,
        "or",
        "separate offers",
    );
    let twice = with(99, atomic("il:field", "isAnyOf", json!("name")));
    refuses(&twice, &at(11), P::Duplicate, "il:field", "once");
    let half = with(
        0,
        json!({ "leftOperand": "odrl:dateTime", "operator": "lt" }),
    );
    refuses(
        &half,
        &format!("{}/rightOperand", at(0)),
        P::Missing,
        "rightOperand",
        "constraint",
    );
}

#[test]
fn unknown_values_are_named() {
    let right = |n: usize| format!("/permission/0/constraint/{n}/rightOperand");
    let set = |n: usize, left: &str, value: Value| with(n, atomic(left, "isAnyOf", value));
    let purpose = set(
        2,
        "odrl:purpose",
        json!(["pickup-notification", "profiling"]),
    );
    refuses(
        &purpose,
        &format!("{}/1", right(2)),
        P::UnknownValue,
        "profiling",
        "`deposit-consent`",
    );
    refuses(
        &set(3, "il:marketplace", json!("TB")),
        &right(3),
        P::UnknownValue,
        "TB",
        "`taobao`",
    );
    refuses(
        &set(4, "il:field", json!(["waybill"])),
        &right(4),
        P::NotInDataset,
        "waybill",
        "`contact`",
    );
    refuses(
        &set(4, "il:field", json!([])),
        &right(4),
        P::Missing,
        "il:field",
        "at least one",
    );
    let many: Vec<String> = (0..65).map(|n| format!("m{n}")).collect();
    refuses(
        &set(3, "il:marketplace", json!(many)),
        &right(3),
        P::TooMany,
        "il:marketplace",
        "64",
    );
}

#[test]
// tidy: long, one line a way to write a value
fn instants_numbers_and_spans_are_read_strictly() {
    let right = |n: usize| format!("/permission/0/constraint/{n}/rightOperand");
    let local = with(
        0,
        atomic("odrl:dateTime", "gteq", json!("2017-06-01T00:00:00")),
    );
    refuses(&local, &right(0), P::NoInstant, "odrl:dateTime", "offset");
    let bare = with(6, atomic("il:quotaPerDay", "lteq", json!(5)));
    refuses(&bare, &right(6), P::BareNumber, "il:quotaPerDay", "`\"5\"`");
    for bad in [
        json!("0"),
        json!("-1"),
        json!("4294967296"),
        json!(""),
        json!({"@value": 1.5}),
    ] {
        let quota = with(6, atomic("il:quotaPerDay", "lteq", bad));
        refuses(
            &quota,
            &right(6),
            P::OutOfRange,
            "il:quotaPerDay",
            "whole number",
        );
    }
    let typed = with(
        6,
        atomic(
            "il:quotaPerDay",
            "lteq",
            json!({"@value": 7, "@type": "xsd:integer"}),
        ),
    );
    assert_eq!(contact(&typed).unwrap().quota_per_day, Some(7));
    // A list of one is its item.
    for (at, term, value) in [
        (
            6,
            "il:quotaPerDay",
            json!([{"@value": 7, "@type": "xsd:integer"}]),
        ),
        (6, "il:quotaPerDay", json!(["7"])),
    ] {
        let quota = with(at, atomic(term, "lteq", value));
        assert_eq!(contact(&quota).unwrap().quota_per_day, Some(7));
    }
    let notifier = with(
        9,
        atomic("il:notifier", "eq", json!([{"@id": "il:operator"}])),
    );
    assert_eq!(contact(&notifier).unwrap(), contact_terms());
    let bare = with(6, atomic("il:quotaPerDay", "lteq", json!([5])));
    refuses(&bare, &right(6), P::BareNumber, "il:quotaPerDay", "`\"5\"`");
    let two = with(6, atomic("il:quotaPerDay", "lteq", json!(["5", "6"])));
    refuses(
        &two,
        &right(6),
        P::OutOfRange,
        "il:quotaPerDay",
        "whole number",
    );
    let long = with(10, atomic("il:runOff", "lteq", json!("P8D")));
    refuses(&long, &right(10), P::OutOfRange, "il:runOff", "P7D");
    let notifier = with(9, atomic("il:notifier", "eq", json!(["operator", "owner"])));
    refuses(
        &notifier,
        &right(9),
        P::WrongType,
        "il:notifier",
        "`carrier`",
    );
}

#[test]
fn permissions_are_checked() {
    let action = edit(|p| p["permission"][0]["action"] = json!("sell"));
    refuses(
        &action,
        "/permission/0/action",
        P::UnknownAction,
        "sell",
        "`use`",
    );
    let two = edit(|p| p["permission"] = json!([p["permission"][0], p["permission"][0]]));
    refuses(
        &two,
        "/permission",
        P::TooMany,
        "permission",
        "one permission",
    );
    let none = edit(|p| drop(p.as_object_mut().unwrap().remove("permission")));
    refuses(&none, "/permission", P::Missing, "permission", "add one");
    let assignee = edit(|p| p["permission"][0]["assignee"] = json!("did:web:x"));
    refuses(
        &assignee,
        "/permission/0/assignee",
        P::UnknownMember,
        "assignee",
        "remove",
    );
    let inherit = edit(|p| p["inheritFrom"] = json!("x"));
    refuses(
        &inherit,
        "/inheritFrom",
        P::UnknownMember,
        "inheritFrom",
        "`permission`",
    );
    let profile = edit(|p| p["profile"] = json!("https://example.org/p"));
    refuses(
        &profile,
        "/profile",
        P::UnknownProfile,
        "https://example.org/p",
        NAMESPACE,
    );
}

#[test]
fn prohibitions_obligations_and_duties_are_checked() {
    let prohibition = edit(|p| p["prohibition"][0]["action"] = json!("print"));
    refuses(
        &prohibition,
        "/prohibition/0/action",
        P::UnknownAction,
        "print",
        "`distribute`",
    );
    let limited = edit(|p| p["prohibition"][0]["constraint"] = json!([{}]));
    refuses(
        &limited,
        "/prohibition/0/constraint",
        P::UnknownMember,
        "constraint",
        "action only",
    );
    let twice = edit(|p| p["obligation"] = json!([p["obligation"][0], p["obligation"][0]]));
    refuses(
        &twice,
        "/obligation/1",
        P::Duplicate,
        "il:reciprocate",
        "once",
    );
    let duty = edit(|p| p["permission"][0]["duty"] = json!([{ "action": "delete" }]));
    refuses(
        &duty,
        "/permission/0/duty/0",
        P::Missing,
        "odrl:elapsedTime",
        "P30D",
    );
    let inform = edit(|p| p["permission"][0]["duty"][0]["action"] = json!("inform"));
    refuses(
        &inform,
        "/permission/0/duty/0/action",
        P::UnknownAction,
        "inform",
        "`delete`",
    );
}

#[test]
fn all_errors_are_listed_with_what_is_missing() {
    let policy = json!({ "permission": { "action": "use", "constraint": [
        atomic("il:one", "eq", json!("x")),
        atomic("il:two", "eq", json!("x")),
    ] } });
    let terms: Vec<String> = contact(&policy)
        .unwrap_err()
        .into_iter()
        .map(|e| e.term)
        .collect();
    assert_eq!(
        terms,
        [
            "il:one",
            "il:two",
            "odrl:dateTime",
            "odrl:dateTime",
            "odrl:purpose",
            "il:field",
            "il:marketplace"
        ]
    );
    let stations = parse_policy(&policy, Dataset::LockerStations).unwrap_err();
    assert!(stations.iter().all(|e| e.term != "il:marketplace"));
    let many =
        json!({ "permission": { "action": "use", "constraint": alloc::vec![json!({}); 65] } });
    refuses(
        &many,
        "/permission/constraint",
        P::TooMany,
        "constraint",
        "64",
    );
    let backwards = with(
        1,
        atomic("odrl:dateTime", "lt", json!("2017-06-01T00:00:00+08:00")),
    );
    refuses(
        &backwards,
        "/permission",
        P::OutOfRange,
        "odrl:dateTime",
        "after it begins",
    );
}

#[test]
fn an_error_reads_as_a_sentence() {
    let errors = contact(&with(99, atomic("il:a/b~c", "eq", json!("x")))).unwrap_err();
    let text = errors[0].to_string();
    let start = "`/permission/0/constraint/11`: unknown term `il:a/b~c`; remove it or use one of ";
    assert!(text.starts_with(start), "{text}");
    assert_eq!(pointer("", "a/b~c"), "/a~1b~0c");
}

/// Every node of a policy with its pointer.
fn nodes(at: &str, value: &Value, out: &mut Vec<String>) {
    out.push(at.into());
    if let Some(object) = value.as_object() {
        for (key, value) in object {
            nodes(&pointer(at, key), value, out);
        }
    }
    if let Some(items) = value.as_array() {
        for (index, value) in items.iter().enumerate() {
            nodes(&pointer(at, &index.to_string()), value, out);
        }
    }
}

#[test]
fn no_part_of_a_policy_is_ignored() {
    for terms in [contact_terms(), event_terms()] {
        let policy = terms.to_policy();
        let mut all = Vec::new();
        nodes("", &policy, &mut all);
        assert!(all.len() > 60);
        for at in &all {
            for junk in [
                Value::Null,
                json!(true),
                json!(1),
                json!("junk"),
                json!({ "x": 1 }),
                json!([[]]),
            ] {
                let mut changed = policy.clone();
                *changed.pointer_mut(at).unwrap() = junk;
                let read = parse_policy(&changed, terms.dataset);
                assert_ne!(read, Ok(terms.clone()), "{at} was ignored: {changed}");
            }
            let mut grown = policy.clone();
            if let Some(object) = grown.pointer_mut(at).unwrap().as_object_mut() {
                object.insert("il:more".into(), json!("junk"));
                let read = parse_policy(&grown, terms.dataset);
                assert!(read.is_err(), "a new member at {at} was ignored");
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(terms in any_terms()) {
        let policy = terms.to_policy();
        prop_assert_eq!(parse_policy(&policy, terms.dataset), Ok(terms.clone()));
        let text: Value = serde_json::from_str(&policy.to_string()).unwrap();
        prop_assert_eq!(parse_policy(&text, terms.dataset), Ok(terms));
    }
}
