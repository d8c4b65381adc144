//! JSON of our own systems, read strictly.
//!
//! INVARIANT: an object that has a member twice is refused, since two readers would take different
//! ones. It does not know what the members mean.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::problem::{no_fit, not_json};
use crate::node::io::Problem;

/// What the text of an error says that is about a repeated member.
const REPEATED: &str = "a member is given twice";

/// Reads one JSON document.
///
/// # Errors
/// 400 if it is none, or an object in it has a member twice. Names are not repeated: they may be
/// anything.
pub(super) fn read(bytes: &[u8]) -> Result<Value, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = Strict
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| {
        if error.to_string().starts_with(REPEATED) {
            let (line, column) = (error.line(), error.column());
            return no_fit(format!(
                "{REPEATED} before line {line}, column {column}; nothing was changed, give each once"
            ));
        }
        not_json(&error)
    })
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(Strict)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom(REPEATED));
            }
            members.insert(name, from.next_value_seed(Strict)?);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_is_json_is_read_as_it_is() {
        for text in [
            r#"{"a":[1,-2,0.5,true,false,null,"\u00e9\n",{"b":{}}],"c":18446744073709551615}"#,
            "[]",
            "7",
            "\"x\"",
            "null",
        ] {
            let expected: Value = serde_json::from_str(text).unwrap();
            assert_eq!(read(text.as_bytes()).unwrap(), expected, "{text}");
        }
        assert_eq!(
            read(b" {\"a\": {\"a\": 1}} ").unwrap(),
            json!({"a": {"a": 1}})
        );
    }

    #[test]
    fn a_member_twice_is_refused_at_every_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"[{"b":{"13812341234":1,"13812341234":2}}]"#,
        ] {
            let problem = read(text.as_bytes()).unwrap_err();
            assert_eq!(problem.status, 400, "{text}");
            assert!(problem.detail.starts_with(REPEATED), "{}", problem.detail);
            assert!(!problem.detail.contains("1381234"), "{}", problem.detail);
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let deep = "[".repeat(10_000);
        for text in ["", "{", "{\"a\":1,}", "{} {}", "NaN", "{a:1}", &deep] {
            assert_eq!(read(text.as_bytes()).unwrap_err().status, 400);
        }
    }
}
