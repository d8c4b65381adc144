//! The spellings of JSON-LD that connectors use for one message.

use serde_json::{Map, Value, json};

/// How a connector writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// As the examples of the specification are.
    Compact,
    /// Every property and word as a full IRI, every value in a list, as JSON-LD processors leave it.
    Expanded,
}

const DSPACE: &str = "https://w3id.org/dspace/2025/1/";
const ODRL: &str = "http://www.w3.org/ns/odrl/2/";

/// Properties that are ODRL's; the others are the protocol's, but for those of Dublin Core.
const OF_ODRL: [&str; 10] = [
    "action",
    "assignee",
    "assigner",
    "constraint",
    "leftOperand",
    "operator",
    "permission",
    "prohibition",
    "rightOperand",
    "target",
];
/// Properties whose values are identifiers.
const IDENTIFIERS: [&str; 8] = [
    "agreementId",
    "assignee",
    "assigner",
    "callbackAddress",
    "consumerPid",
    "providerPid",
    "target",
    "format",
];

impl Spelling {
    /// The message in this spelling.
    pub(super) fn write(self, message: &Value) -> Value {
        match self {
            Self::Compact => message.clone(),
            Self::Expanded => expanded("", message),
        }
    }
}

fn iri(name: &str) -> String {
    if name.starts_with('@') || name.contains(':') {
        return name.replace("odrl:", ODRL);
    }
    match name {
        "format" => format!("http://purl.org/dc/terms/{name}"),
        _ if OF_ODRL.contains(&name) => format!("{ODRL}{name}"),
        _ => format!("{DSPACE}{name}"),
    }
}

fn expanded(property: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let spelled = members.iter().map(|(name, value)| {
                let value = match name.as_str() {
                    "@context" | "@id" | "@value" => value.clone(),
                    "@type" if members.contains_key("@value") => value.clone(),
                    "@type" => json!([class(value.as_str().unwrap())]),
                    _ => listed(expanded(name, value)),
                };
                (iri(name), value)
            });
            Value::Object(spelled.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(|item| expanded(property, item)).collect(),
        Value::String(text) => match property {
            _ if IDENTIFIERS.contains(&property) => json!({ "@id": text }),
            "leftOperand" => json!({ "@id": iri(text) }),
            "action" | "operator" => json!({ "@id": format!("{ODRL}{text}") }),
            "eventType" => json!({ "@id": format!("{DSPACE}{text}") }),
            _ => json!({ "@value": text }),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => json!({ "@value": value }),
    }
}

fn class(name: &str) -> String {
    let odrl = ["Offer", "Agreement", "Permission", "Constraint"];
    match odrl.contains(&name) {
        true => format!("{ODRL}{name}"),
        false => format!("{DSPACE}{name}"),
    }
}

fn listed(value: Value) -> Value {
    match value.is_array() {
        true => value,
        false => json!([value]),
    }
}
