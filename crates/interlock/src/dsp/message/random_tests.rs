//! Messages at random: what is emitted reads back, and nothing that comes panics.

use interlock_core::ids::WireId;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::json::Limits;
use super::super::policy::{Agreement, Offer};
use super::tests::{read, samples};
use super::*;
use crate::identity::url::BaseUrl;

fn id() -> impl Strategy<Value = WireId> {
    "[a-z]{1,4}:[A-Za-z0-9:/._-]{1,12}".prop_map(|text| WireId::parse(&text).unwrap())
}

fn address() -> impl Strategy<Value = BaseUrl> {
    "https?://[a-z]{1,8}\\.example(:[1-9][0-9]{0,3})?(/[a-z0-9]{1,5}){0,2}"
        .prop_map(|text| BaseUrl::parse(&text).unwrap())
}

fn pids() -> impl Strategy<Value = Pids> {
    (id(), id()).prop_map(|(consumer, provider)| Pids { consumer, provider })
}

fn known_pids() -> impl Strategy<Value = KnownPids> {
    let one = || proptest::option::of(id());
    (one(), one()).prop_map(|(consumer, provider)| KnownPids { consumer, provider })
}

fn cause() -> impl Strategy<Value = Cause> {
    let reasons = proptest::collection::vec(any::<String>(), 0..3);
    (proptest::option::of(any::<String>()), reasons)
        .prop_map(|(code, reasons)| Cause { code, reasons })
}

fn operand() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<String>().prop_map(Value::from),
        proptest::collection::vec("[a-z]{0,5}", 0..3).prop_map(Value::from),
        "[0-9]{1,4}".prop_map(|text| json!({"@value": text, "@type": "xsd:integer"})),
        id().prop_map(|id| json!({ "@id": id.as_str() })),
    ]
}

fn constraint() -> impl Strategy<Value = Value> {
    let operator = proptest::sample::select(vec!["eq", "lt", "gteq", "isAnyOf"]);
    let atom = ("(odrl|il):[a-zA-Z]{1,8}", operator, operand()).prop_map(|(left, operator, right)| {
        json!({"leftOperand": left, "operator": operator, "rightOperand": right})
    });
    let logical = proptest::sample::select(vec!["and", "andSequence", "or", "xone"]);
    atom.prop_recursive(3, 12, 3, move |inner| {
        let logical = logical.clone();
        (logical, proptest::collection::vec(inner, 1..3))
            .prop_map(|(name, items)| json!({ name: items }))
    })
}

fn policy_rules() -> impl Strategy<Value = Map<String, Value>> {
    let rule = || {
        let constraints = proptest::collection::vec(constraint(), 0..3);
        ("[a-z]{1,8}", constraints).prop_map(|(action, constraints)| {
            let mut rule = json!({ "action": action });
            if !constraints.is_empty() {
                rule["constraint"] = constraints.into();
            }
            rule
        })
    };
    let list = move |least: usize| proptest::collection::vec(rule(), least..3);
    (list(1), list(0), list(0)).prop_map(|(permission, prohibition, obligation)| {
        let mut out = Map::new();
        for (name, list) in [
            ("permission", permission),
            ("prohibition", prohibition),
            ("obligation", obligation),
        ] {
            if !list.is_empty() {
                out.insert(name.into(), list.into());
            }
        }
        out
    })
}

fn any_offer() -> impl Strategy<Value = Offer> {
    let one = || proptest::option::of(id());
    (id(), one(), one(), one(), policy_rules()).prop_map(
        |(id, target, assigner, assignee, rules)| Offer {
            id,
            target,
            assigner,
            assignee,
            rules,
        },
    )
}

fn opening() -> impl Strategy<Value = Opening> {
    prop_oneof![
        address().prop_map(|callback| Opening::New { callback }),
        id().prop_map(|pid| Opening::Continued { pid }),
    ]
}

fn any_data_address() -> impl Strategy<Value = Option<DataAddress>> {
    let property = (any::<String>(), any::<String>())
        .prop_map(|(name, value)| EndpointProperty { name, value });
    let properties = proptest::collection::vec(property, 0..3);
    let address = (
        any::<String>(),
        proptest::option::of(any::<String>()),
        properties,
    )
        .prop_map(|(endpoint_type, endpoint, properties)| DataAddress {
            endpoint_type,
            endpoint,
            properties,
        });
    proptest::option::of(address)
}

fn negotiation_message() -> impl Strategy<Value = Message> {
    let agreement = (id(), id(), id(), id(), policy_rules());
    prop_oneof![
        (id(), opening(), any_offer()).prop_map(|(consumer_pid, opening, offer)| {
            ContractRequestMessage {
                consumer_pid,
                opening,
                offer,
            }
            .into()
        }),
        (id(), opening(), id(), any_offer()).prop_map(|(pid, opening, target, offer)| {
            ContractOfferMessage::new(pid, opening, target, offer).into()
        }),
        (pids(), agreement).prop_map(|(pids, (id, target, assigner, assignee, rules))| {
            let timestamp = "2017-06-01T00:00:00+08:00".into();
            let agreement = Agreement {
                id,
                target,
                assigner,
                assignee,
                timestamp,
                rules,
            };
            ContractAgreementMessage { pids, agreement }.into()
        }),
        pids().prop_map(|pids| ContractAgreementVerificationMessage { pids }.into()),
        (pids(), proptest::sample::select(NegotiationEvent::ALL))
            .prop_map(|(pids, event)| ContractNegotiationEventMessage { pids, event }.into()),
        (pids(), cause()).prop_map(|(pids, cause)| ContractNegotiationTerminationMessage {
            pids,
            cause
        }
        .into()),
        (pids(), proptest::sample::select(NegotiationState::ALL))
            .prop_map(|(pids, state)| ContractNegotiation { pids, state }.into()),
        (known_pids(), cause())
            .prop_map(|(pids, cause)| ContractNegotiationError { pids, cause }.into()),
    ]
}

fn transfer_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        (id(), id(), any::<String>(), address(), any_data_address()).prop_map(
            |(consumer_pid, agreement_id, format, callback, data_address)| {
                TransferRequestMessage {
                    consumer_pid,
                    agreement_id,
                    format,
                    callback,
                    data_address,
                }
                .into()
            }
        ),
        (pids(), any_data_address()).prop_map(|(pids, data_address)| TransferStartMessage {
            pids,
            data_address
        }
        .into()),
        (pids(), cause())
            .prop_map(|(pids, cause)| TransferSuspensionMessage { pids, cause }.into()),
        pids().prop_map(|pids| TransferCompletionMessage { pids }.into()),
        (pids(), cause())
            .prop_map(|(pids, cause)| TransferTerminationMessage { pids, cause }.into()),
        (pids(), proptest::sample::select(TransferState::ALL))
            .prop_map(|(pids, state)| TransferProcess { pids, state }.into()),
        (known_pids(), cause()).prop_map(|(pids, cause)| TransferError { pids, cause }.into()),
    ]
}

fn service() -> impl Strategy<Value = DataService> {
    (id(), address()).prop_map(|(id, endpoint)| DataService { id, endpoint })
}

fn any_dataset() -> impl Strategy<Value = Dataset> {
    let offer = || {
        any_offer().prop_map(|offer| Offer {
            target: None,
            ..offer
        })
    };
    let access = prop_oneof![
        id().prop_map(AccessService::Named),
        service().prop_map(AccessService::Described),
    ];
    let distribution = (
        any::<String>(),
        access,
        proptest::collection::vec(offer(), 0..2),
    )
        .prop_map(|(format, access, offers)| Distribution {
            format,
            access,
            offers,
        });
    (
        id(),
        proptest::option::of(any::<String>()),
        proptest::collection::vec(offer(), 1..3),
        proptest::collection::vec(distribution, 1..3),
    )
        .prop_map(|(id, title, offers, distributions)| Dataset {
            id,
            title,
            offers,
            distributions,
        })
}

fn catalog_node() -> impl Strategy<Value = CatalogNode> {
    let datasets = proptest::collection::vec(any_dataset(), 0..2);
    let leaf = (id(), datasets, proptest::collection::vec(service(), 0..2)).prop_map(
        |(id, datasets, services)| CatalogNode {
            id,
            datasets,
            services,
            distributions: Vec::new(),
            catalogs: Vec::new(),
        },
    );
    leaf.prop_recursive(2, 4, 2, |inner| {
        (id(), proptest::collection::vec(inner, 0..2)).prop_map(|(id, catalogs)| CatalogNode {
            id,
            datasets: Vec::new(),
            services: Vec::new(),
            distributions: Vec::new(),
            catalogs,
        })
    })
}

fn catalog_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        proptest::collection::vec(any::<String>().prop_map(Value::from), 0..3)
            .prop_map(|filter| CatalogRequestMessage { filter }.into()),
        (id(), catalog_node()).prop_map(|(participant_id, content)| {
            Catalog {
                participant_id,
                content,
            }
            .into()
        }),
        any_dataset().prop_map(Message::from),
        cause().prop_map(|cause| CatalogError { cause }.into()),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let names = "(@id|@type|@value|@list|@context|offer|permission|and|reason|x)";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((names, inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Replaces the `nth` value below `value`, counted in depth first, by `other`.
fn replace_nth(value: &mut Value, nth: &mut usize, other: &Value) {
    if *nth == 0 {
        *value = other.clone();
        *nth = usize::MAX;
        return;
    }
    *nth -= 1;
    match value {
        Value::Object(members) => members
            .values_mut()
            .for_each(|v| replace_nth(v, nth, other)),
        Value::Array(items) => items.iter_mut().for_each(|v| replace_nth(v, nth, other)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn what_is_emitted_reads_back_and_is_valid(
        message in prop_oneof![negotiation_message(), transfer_message(), catalog_message()]
    ) {
        let json = message.to_json();
        prop_assert_eq!(schema::violations(&json), Vec::<String>::new());
        prop_assert_eq!(read(&json), Ok(message));
    }

    #[test]
    fn no_json_panics_and_what_is_taken_is_stable(
        sample in proptest::sample::select(samples()), nth in 0usize..40, other in any_json()
    ) {
        let mut broken = sample;
        let mut left = nth;
        replace_nth(&mut broken, &mut left, &other);
        if let Ok(message) = read(&broken) {
            prop_assert_eq!(read(&message.to_json()), Ok(message));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(Message::parse(&bytes, &Limits::MESSAGE).is_err());
    }
}
