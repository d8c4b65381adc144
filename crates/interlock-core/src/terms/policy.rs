//! Writing [`Terms`] as a policy, and the bytes that are signed.
//!
//! INVARIANT: equal terms give equal bytes, on every machine and in every version: one form, sorted
//! (RFC 8785), with strings only, so that no number format matters. Wire JSON is never signed; the
//! form written here is.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::operand::{Operand, write_duration};
use super::{NAMESPACE, Terms};

/// The namespace of XML Schema types, written `xsd:`.
pub(super) const XSD: &str = "http://www.w3.org/2001/XMLSchema#";

impl Terms {
    /// The terms as a normalised policy (ODRL 2.2 in the JSON of DSP 2025-1), without the `@id`,
    /// `@type` and parties that an offer or agreement puts around it.
    pub fn to_policy(&self) -> Value {
        let constraints: Vec<Value> = Operand::ALL
            .into_iter()
            .filter_map(|operand| {
                self.right_operand(operand).map(|right| {
                    json!({
                        "leftOperand": operand.iri(),
                        "operator": operand.operator(),
                        "rightOperand": right,
                    })
                })
            })
            .collect();
        let mut permission = Map::new();
        permission.insert("action".into(), "use".into());
        permission.insert("constraint".into(), constraints.into());
        if let Some(ms) = self.delete_after_ms {
            let duty = json!([{
                "action": "delete",
                "constraint": [{
                    "leftOperand": "odrl:elapsedTime",
                    "operator": "lteq",
                    "rightOperand": typed("duration", write_duration(ms)),
                }],
            }]);
            permission.insert("duty".into(), duty);
        }
        let mut policy = Map::new();
        policy.insert("permission".into(), json!([permission]));
        if self.no_redisclosure {
            policy.insert("prohibition".into(), json!([{ "action": "distribute" }]));
        }
        if self.reciprocate {
            let action = format!("{NAMESPACE}reciprocate");
            policy.insert("obligation".into(), json!([{ "action": action }]));
        }
        Value::Object(policy)
    }

    fn right_operand(&self, operand: Operand) -> Option<Value> {
        let instant = |at: crate::time::Timestamp| typed("dateTime", at.to_rfc3339(self.zone));
        let number = |n: u32| typed("integer", n.to_string());
        match operand {
            Operand::From => Some(instant(self.from)),
            Operand::Until => Some(instant(self.until)),
            Operand::Purpose => array(self.purposes.iter().map(|p| p.as_str())),
            Operand::Marketplace => array(self.marketplaces.iter().map(|m| m.as_str())),
            Operand::Field => array(self.fields.iter().map(|f| f.as_str())),
            Operand::ContactForm => array(self.contact_forms.iter().map(|f| f.as_str())),
            Operand::QuotaPerDay => self.quota_per_day.map(number),
            Operand::QuotaPerParcel => self.quota_per_parcel.map(number),
            Operand::Evidence => array(self.evidence.iter().map(|e| e.as_str())),
            Operand::Notifier => self.notifier.map(|n| n.as_str().into()),
            Operand::RunOff => self
                .run_off_ms
                .map(|ms| typed("duration", write_duration(ms))),
            Operand::Backlog => self.backlog.map(|b| b.as_str().into()),
            Operand::CoversFrom => self.covers_from.map(instant),
        }
    }

    /// The right operand for people: values without their types.
    pub(super) fn constraint_text(&self, operand: Operand) -> Option<String> {
        let right = self.right_operand(operand)?;
        let text = |value: &Value| value.as_str().map(String::from);
        match &right {
            Value::Array(items) => {
                let items: Vec<String> = items.iter().filter_map(text).collect();
                Some(items.join(", "))
            }
            Value::Object(object) => object.get("@value").and_then(text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text(&right),
        }
    }

    /// The bytes that a manifest names by hash: the dataset and the normalised policy in the form of
    /// RFC 8785.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let whole = json!({
            "dataset": self.dataset.as_str(),
            "policy": self.to_policy(),
            "profile": NAMESPACE,
            "version": "1",
        });
        let mut out = String::new();
        write_canonical(&whole, &mut out);
        out.into_bytes()
    }

    /// SHA-256 of [`Terms::canonical_bytes`].
    pub fn policy_hash(&self) -> [u8; 32] {
        Sha256::digest(self.canonical_bytes()).into()
    }
}

fn typed(name: &str, value: String) -> Value {
    json!({ "@type": format!("{XSD}{name}"), "@value": value })
}

/// A sorted array; `None` for an empty one, which is not written. Sorted by name, not by the order
/// of the variants, so that the bytes do not depend on it.
fn array<'a>(names: impl Iterator<Item = &'a str>) -> Option<Value> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    (!names.is_empty()).then(|| json!(names))
}

/// Writes a value in the form of RFC 8785.
///
/// INVARIANT: a normalised policy has no numbers and its member names are ASCII, for which sorting
/// by bytes is sorting by UTF-16 units.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => {
            let mut members: Vec<(&String, &Value)> = object.iter().collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, value)) in members.into_iter().enumerate() {
                debug_assert!(key.is_ascii(), "member names of a policy are ASCII");
                if index > 0 {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        Value::String(text) => write_text(text, out),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            debug_assert!(!value.is_number(), "a policy has no numbers");
            out.push_str(&value.to_string());
        }
    }
}

/// RFC 8785 section 3.2.2.2. Almost no text of a policy has anything to be escaped.
fn write_text(text: &str, out: &mut String) {
    let plain = |byte| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use expect_test::expect;
    use proptest::prelude::*;

    use super::super::testing::{any_terms, contact_terms, event_terms};
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Signed bytes: a difference here breaks every manifest that was ever signed.
    #[test]
    fn golden_canonical_bytes() {
        let text = String::from_utf8(contact_terms().canonical_bytes()).unwrap();
        expect![[r#"{"dataset":"recipient-contact","policy":{"obligation":[{"action":"https://w3id.org/interlock/ns#reciprocate"}],"permission":[{"action":"use","constraint":[{"leftOperand":"odrl:dateTime","operator":"gteq","rightOperand":{"@type":"http://www.w3.org/2001/XMLSchema#dateTime","@value":"2017-06-01T00:00:00+08:00"}},{"leftOperand":"odrl:dateTime","operator":"lt","rightOperand":{"@type":"http://www.w3.org/2001/XMLSchema#dateTime","@value":"2017-07-01T00:00:00+08:00"}},{"leftOperand":"odrl:purpose","operator":"isAnyOf","rightOperand":["deposit-consent","pickup-notification"]},{"leftOperand":"https://w3id.org/interlock/ns#marketplace","operator":"isAnyOf","rightOperand":["taobao"]},{"leftOperand":"https://w3id.org/interlock/ns#field","operator":"isAnyOf","rightOperand":["consent","contact"]},{"leftOperand":"https://w3id.org/interlock/ns#contactForm","operator":"isAnyOf","rightOperand":["sealed","virtual"]},{"leftOperand":"https://w3id.org/interlock/ns#quotaPerDay","operator":"lteq","rightOperand":{"@type":"http://www.w3.org/2001/XMLSchema#integer","@value":"2000000"}},{"leftOperand":"https://w3id.org/interlock/ns#quotaPerParcel","operator":"lteq","rightOperand":{"@type":"http://www.w3.org/2001/XMLSchema#integer","@value":"4"}},{"leftOperand":"https://w3id.org/interlock/ns#evidence","operator":"isAnyOf","rightOperand":["arrival","deposit"]},{"leftOperand":"https://w3id.org/interlock/ns#notifier","operator":"eq","rightOperand":"operator"},{"leftOperand":"https://w3id.org/interlock/ns#runOff","operator":"lteq","rightOperand":{"@type":"http://www.w3.org/2001/XMLSchema#duration","@value":"P7D"}}],"duty":[{"action":"delete","constraint":[{"leftOperand":"odrl:elapsedTime","operator":"lteq","rightOperand":{"@type":"http://www.w3.org/2001/XMLSchema#duration","@value":"P30D"}}]}]}],"prohibition":[{"action":"distribute"}]},"profile":"https://w3id.org/interlock/ns#","version":"1"}"#]].assert_eq(&text);
        expect!["fded756b9d0ae9540de2c9364af98a38c6ecaa31c488ab34c0f60f728d16c07e"]
            .assert_eq(&hex(&contact_terms().policy_hash()));
        expect!["c015f72e97d58a9962a8a843c60827cbe90b613773f0ea6ad97e881d9105487f"]
            .assert_eq(&hex(&event_terms().policy_hash()));
    }

    /// Stored bytes: a difference here makes a journal unreadable.
    #[test]
    fn golden_stored_bytes() {
        let packed = postcard::to_allocvec(&contact_terms()).unwrap();
        expect!["0180d0e1f38b5780f0d79b9f57c007020001010674616f62616f02090b0201020180897a01040200010100018090e4c00400000180a0f6a7130101"].assert_eq(&hex(&packed));
        let json = serde_json::to_string(&contact_terms()).unwrap();
        expect![[r#"{"dataset":"recipient-contact","from":1496246400000,"until":1498838400000,"zone":480,"purposes":["deposit-consent","pickup-notification"],"marketplaces":["taobao"],"fields":["contact","consent"],"contact_forms":["sealed","virtual"],"quota_per_day":2000000,"quota_per_parcel":4,"evidence":["arrival","deposit"],"notifier":"operator","run_off_ms":604800000,"backlog":null,"covers_from":null,"delete_after_ms":2592000000,"reciprocate":true,"no_redisclosure":true}"#]].assert_eq(&json);
    }

    #[test]
    fn the_order_of_members_does_not_change_the_bytes() {
        let mut out = String::new();
        write_canonical(
            &json!({ "b": ["x", { "d": "\u{1}\n\"", "c": "\u{20ac}" }], "a": "y" }),
            &mut out,
        );
        assert_eq!(
            out,
            "{\"a\":\"y\",\"b\":[\"x\",{\"c\":\"\u{20ac}\",\"d\":\"\\u0001\\n\\\"\"}]}"
        );
    }

    fn no_numbers(value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().all(no_numbers),
            Value::Object(object) => object.values().all(no_numbers),
            Value::String(_) => true,
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    proptest! {
        #[test]
        fn equal_terms_have_equal_bytes_and_different_ones_do_not(a in any_terms(), b in any_terms()) {
            prop_assert!(no_numbers(&a.to_policy()));
            prop_assert_eq!(a == b, a.canonical_bytes() == b.canonical_bytes());
            let stored = postcard::to_allocvec(&a).unwrap();
            let back: Terms = postcard::from_bytes(&stored).unwrap();
            prop_assert_eq!(back.policy_hash(), a.policy_hash());
            let json = serde_json::to_vec(&a).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Terms>(&json).unwrap(), a);
        }
    }
}
