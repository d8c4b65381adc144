//! What the published schemas demand, listed by hand, and a checker over it. Tests only.
//!
//! INVARIANT: the facts are those of `https://w3id.org/dspace/2025/1/.../*-schema.json`: required
//! members, constants, enumerations, least lengths, `oneOf` and `not`. It shares nothing with the
//! code under test.

use serde_json::Value;

/// What a member must be.
pub(super) enum Kind {
    /// A text.
    Text,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// An array of at least so many of anything.
    AnyList(usize),
    /// An array of at least so many objects.
    List(usize, &'static Shape),
    /// An object.
    Object(&'static Shape),
    /// A text or an object.
    TextOr(&'static Shape),
    /// A text, an object or an array.
    Operand,
    /// An array of texts with the context of 2025-1.
    Context,
}

use Kind::{AnyList, Context, List, Object, OneOf, Operand, Text, TextOr};

/// What an object must be.
#[derive(Default)]
pub(super) struct Shape {
    /// Members that must be there.
    pub(super) required: &'static [&'static str],
    /// What members must be, if they are there.
    members: &'static [(&'static str, Kind)],
    /// Members of which at least one must be there.
    any_of: &'static [&'static str],
    /// Members of which exactly one must be there.
    one_of: &'static [&'static str],
    /// Members that must not be there.
    not: &'static [&'static str],
}

const NONE: Shape = Shape {
    required: &[],
    members: &[],
    any_of: &[],
    one_of: &[],
    not: &[],
};
const REASONS: Kind = AnyList(1);
const RULES: [&str; 2] = ["permission", "prohibition"];

static CONSTRAINT: Shape = Shape {
    one_of: &["and", "andSequence", "or", "xone", "leftOperand"],
    members: &[
        ("and", List(0, &CONSTRAINT)),
        ("andSequence", List(0, &CONSTRAINT)),
        ("or", List(0, &CONSTRAINT)),
        ("xone", List(0, &CONSTRAINT)),
        ("leftOperand", Text),
        ("rightOperand", Operand),
        (
            "operator",
            OneOf(&[
                "eq",
                "gt",
                "gteq",
                "lteq",
                "hasPart",
                "isA",
                "isAllOf",
                "isAnyOf",
                "isNoneOf",
                "isPartOf",
                "lt",
                "term-lteq",
                "neq",
            ]),
        ),
    ],
    ..NONE
};
static RULE: Shape = Shape {
    required: &["action"],
    members: &[("action", Text), ("constraint", List(0, &CONSTRAINT))],
    ..NONE
};
static MESSAGE_OFFER: Shape = Shape {
    required: &["@id", "@type"],
    any_of: &RULES,
    members: &[
        ("@type", OneOf(&["Offer"])),
        ("@id", Text),
        ("target", Text),
        ("permission", List(1, &RULE)),
        ("prohibition", List(1, &RULE)),
        ("obligation", List(1, &RULE)),
    ],
    ..NONE
};
static TARGET_OFFER: Shape = Shape {
    required: &["@id", "@type", "target"],
    any_of: &RULES,
    members: MESSAGE_OFFER.members,
    ..NONE
};
static CATALOG_OFFER: Shape = Shape {
    required: &["@id"],
    not: &["target"],
    any_of: &RULES,
    members: MESSAGE_OFFER.members,
    ..NONE
};
static AGREEMENT: Shape = Shape {
    required: &["@id", "@type", "target", "assignee", "assigner"],
    any_of: &RULES,
    members: &[
        ("@type", OneOf(&["Agreement"])),
        ("@id", Text),
        ("target", Text),
        ("assigner", Text),
        ("assignee", Text),
        ("timestamp", Text),
        ("permission", List(1, &RULE)),
        ("prohibition", List(1, &RULE)),
        ("obligation", List(1, &RULE)),
    ],
    ..NONE
};
static PROPERTY: Shape = Shape {
    required: &["@type", "name", "value"],
    members: &[
        ("@type", OneOf(&["EndpointProperty"])),
        ("name", Text),
        ("value", Text),
    ],
    ..NONE
};
static ADDRESS: Shape = Shape {
    required: &["@type", "endpointType"],
    members: &[
        ("@type", OneOf(&["DataAddress"])),
        ("endpointType", Text),
        ("endpoint", Text),
        ("endpointProperties", List(1, &PROPERTY)),
    ],
    ..NONE
};
static SERVICE: Shape = Shape {
    required: &["@id", "@type", "endpointURL"],
    members: &[
        ("@id", Text),
        ("@type", OneOf(&["DataService"])),
        ("endpointURL", Text),
    ],
    ..NONE
};
static DISTRIBUTION: Shape = Shape {
    required: &["accessService", "format"],
    members: &[
        ("accessService", TextOr(&SERVICE)),
        ("format", Text),
        ("hasPolicy", List(1, &CATALOG_OFFER)),
    ],
    ..NONE
};
static NESTED_DATASET: Shape = Shape {
    required: &["@id", "hasPolicy", "distribution"],
    members: &[
        ("@id", Text),
        ("hasPolicy", List(1, &CATALOG_OFFER)),
        ("distribution", List(1, &DISTRIBUTION)),
    ],
    ..NONE
};
static NESTED_CATALOG: Shape = Shape {
    required: &["@id", "@type"],
    members: &[
        ("@id", Text),
        ("@type", OneOf(&["Catalog"])),
        ("dataset", List(1, &NESTED_DATASET)),
        ("catalog", List(1, &NESTED_CATALOG)),
        ("service", List(1, &SERVICE)),
        ("distribution", List(1, &DISTRIBUTION)),
    ],
    ..NONE
};

macro_rules! message {
    ($required:expr, $members:expr $(, $field:ident: $value:expr)*) => {
        Shape { required: $required, members: $members, $($field: $value,)* ..NONE }
    };
}

static REQUEST: Shape = message!(
    &["@context", "@type", "consumerPid", "offer"],
    &[
        ("@context", Context),
        ("consumerPid", Text),
        ("providerPid", Text),
        ("callbackAddress", Text),
        ("offer", Object(&MESSAGE_OFFER)),
    ],
    one_of: &["callbackAddress", "providerPid"]
);
static OFFER: Shape = message!(
    &["@context", "@type", "providerPid", "offer"],
    &[
        ("@context", Context),
        ("consumerPid", Text),
        ("providerPid", Text),
        ("callbackAddress", Text),
        ("offer", Object(&TARGET_OFFER)),
    ],
    one_of: &["callbackAddress", "consumerPid"]
);
static AGREED: Shape = message!(
    &[
        "@context",
        "@type",
        "providerPid",
        "consumerPid",
        "agreement"
    ],
    &[
        ("@context", Context),
        ("consumerPid", Text),
        ("providerPid", Text),
        ("agreement", Object(&AGREEMENT)),
    ]
);
/// Verification, completion, terminations, suspension and errors: identifiers, code and reasons.
static PLAIN: Shape = message!(
    &["@context", "@type", "providerPid", "consumerPid"],
    &[
        ("@context", Context),
        ("consumerPid", Text),
        ("providerPid", Text),
        ("code", Text),
        ("reason", REASONS),
    ]
);
static EVENT: Shape = message!(
    &[
        "@context",
        "@type",
        "providerPid",
        "consumerPid",
        "eventType"
    ],
    &[
        ("@context", Context),
        ("consumerPid", Text),
        ("providerPid", Text),
        ("eventType", OneOf(&["ACCEPTED", "FINALIZED"])),
    ]
);
static NEGOTIATION: Shape = message!(
    &["@context", "@type", "providerPid", "consumerPid", "state"],
    &[
        ("@context", Context),
        ("consumerPid", Text),
        ("providerPid", Text),
        (
            "state",
            OneOf(&[
                "REQUESTED",
                "OFFERED",
                "ACCEPTED",
                "AGREED",
                "VERIFIED",
                "FINALIZED",
                "TERMINATED",
            ]),
        ),
    ]
);
static TRANSFER: Shape = message!(
    &["@context", "@type", "providerPid", "consumerPid", "state"],
    &[
        ("@context", Context),
        ("consumerPid", Text),
        ("providerPid", Text),
        (
            "state",
            OneOf(&[
                "REQUESTED",
                "STARTED",
                "TERMINATED",
                "COMPLETED",
                "SUSPENDED"
            ]),
        ),
    ]
);
static TRANSFER_REQUEST: Shape = message!(
    &[
        "@context",
        "@type",
        "agreementId",
        "format",
        "callbackAddress",
        "consumerPid"
    ],
    &[
        ("@context", Context),
        ("agreementId", Text),
        ("format", Text),
        ("callbackAddress", Text),
        ("consumerPid", Text),
        ("dataAddress", Object(&ADDRESS)),
    ]
);
static TRANSFER_START: Shape = message!(
    &["@context", "@type", "providerPid", "consumerPid"],
    &[
        ("@context", Context),
        ("consumerPid", Text),
        ("providerPid", Text),
        ("dataAddress", Object(&ADDRESS)),
    ]
);
static CATALOG_REQUEST: Shape = message!(
    &["@context", "@type"],
    &[("@context", Context), ("filter", AnyList(0))]
);
static CATALOG: Shape = message!(
    &["@context", "@type", "@id", "participantId"],
    &[
        ("@context", Context),
        ("@id", Text),
        ("participantId", Text),
        ("dataset", List(1, &NESTED_DATASET)),
        ("catalog", List(1, &NESTED_CATALOG)),
        ("service", List(1, &SERVICE)),
        ("distribution", List(1, &DISTRIBUTION)),
    ]
);
static DATASET: Shape = message!(
    &["@context", "@id", "hasPolicy", "distribution"],
    &[
        ("@context", Context),
        ("@id", Text),
        ("hasPolicy", List(1, &CATALOG_OFFER)),
        ("distribution", List(1, &DISTRIBUTION)),
    ]
);
static CATALOG_ERROR: Shape = message!(
    &["@context", "@type"],
    &[
        ("@context", Context),
        ("code", Text),
        ("reason", AnyList(0))
    ]
);

/// The facts about the message type `name`.
pub(super) fn of(name: &str) -> &'static Shape {
    match name {
        "ContractRequestMessage" => &REQUEST,
        "ContractOfferMessage" => &OFFER,
        "ContractAgreementMessage" => &AGREED,
        "ContractNegotiationEventMessage" => &EVENT,
        "ContractNegotiation" => &NEGOTIATION,
        "ContractAgreementVerificationMessage"
        | "ContractNegotiationTerminationMessage"
        | "ContractNegotiationError"
        | "TransferSuspensionMessage"
        | "TransferCompletionMessage"
        | "TransferTerminationMessage"
        | "TransferError" => &PLAIN,
        "TransferRequestMessage" => &TRANSFER_REQUEST,
        "TransferStartMessage" => &TRANSFER_START,
        "TransferProcess" => &TRANSFER,
        "CatalogRequestMessage" => &CATALOG_REQUEST,
        "Catalog" => &CATALOG,
        "Dataset" => &DATASET,
        "CatalogError" => &CATALOG_ERROR,
        other => panic!("no schema of `{other}`"),
    }
}

/// What breaks the schema in a message, each with its place; empty if it is valid.
pub(super) fn violations(message: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let name = message["@type"].as_str().unwrap_or_default();
    check(of(name), message, name, &mut out);
    out
}

fn check(shape: &Shape, value: &Value, at: &str, out: &mut Vec<String>) {
    let Some(object) = value.as_object() else {
        out.push(format!("{at} is no object"));
        return;
    };
    let count = |names: &[&str]| names.iter().filter(|n| object.contains_key(**n)).count();
    if count(shape.required) < shape.required.len() {
        out.push(format!("{at} lacks one of {:?}", shape.required));
    }
    if !shape.any_of.is_empty() && count(shape.any_of) == 0 {
        out.push(format!("{at} has none of {:?}", shape.any_of));
    }
    if !shape.one_of.is_empty() && count(shape.one_of) != 1 {
        out.push(format!("{at} has not one of {:?}", shape.one_of));
    }
    if count(shape.not) > 0 {
        out.push(format!("{at} has one of {:?}", shape.not));
    }
    if object.contains_key("leftOperand") && count(&["operator", "rightOperand"]) != 2 {
        out.push(format!("{at} is half a constraint"));
    }
    for (name, kind) in shape.members {
        if let Some(member) = object.get(*name) {
            check_kind(kind, member, &format!("{at}/{name}"), out);
        }
    }
}

fn check_kind(kind: &Kind, value: &Value, at: &str, out: &mut Vec<String>) {
    let list_of = |least: usize| value.as_array().filter(|items| items.len() >= least);
    let good = match kind {
        Text => value.is_string(),
        OneOf(words) => value.as_str().is_some_and(|text| words.contains(&text)),
        AnyList(least) => list_of(*least).is_some(),
        Operand => value.is_string() || value.is_object() || value.is_array(),
        Context => list_of(1).is_some_and(|items| {
            items.iter().all(Value::is_string)
                && items.contains(&"https://w3id.org/dspace/2025/1/context.jsonld".into())
        }),
        List(least, shape) => match list_of(*least) {
            None => false,
            Some(items) => {
                items.iter().for_each(|item| check(shape, item, at, out));
                true
            }
        },
        TextOr(_) if value.is_string() => true,
        Object(shape) | TextOr(shape) => {
            check(shape, value, at, out);
            true
        }
    };
    if !good {
        out.push(format!("{at} is of another kind"));
    }
}

#[test]
fn the_checker_finds_what_is_wrong() {
    use serde_json::json;
    let good = json!({
        "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
        "@type": "ContractRequestMessage", "consumerPid": "c", "providerPid": "p",
        "offer": {"@id": "o", "@type": "Offer", "permission": [{"action": "use", "constraint": [
            {"leftOperand": "a", "operator": "eq", "rightOperand": "b"}]}]},
    });
    assert_eq!(violations(&good), Vec::<String>::new());
    for (place, bad) in [
        (
            "/@context",
            json!("https://w3id.org/dspace/2025/1/context.jsonld"),
        ),
        ("/callbackAddress", json!("https://both")),
        ("/offer", json!({"@id": "o", "@type": "Offer"})),
        ("/offer/permission", json!([])),
        ("/offer/permission/0/constraint/0/rightOperand", json!(5)),
        (
            "/offer/permission/0/constraint/0/operator",
            json!("odrl:eq"),
        ),
        ("/consumerPid", json!(1)),
    ] {
        let mut message = good.clone();
        message["callbackAddress"] = Value::Null;
        message.as_object_mut().unwrap().remove("callbackAddress");
        if place == "/callbackAddress" {
            message["callbackAddress"] = bad;
        } else {
            *message.pointer_mut(place).unwrap() = bad;
        }
        assert!(!violations(&message).is_empty(), "{place}");
    }
}
