//! JSON under limits, with one spelling for every property.
//!
//! INVARIANT: no more is built than the limits allow, and no object holds a property twice. What the
//! properties mean is not known here.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::error::{DspError, Fault, child};
use super::term;

/// Deepest nesting that any [`Limits`] can allow, in levels.
pub const DEPTH_MAX: usize = 64;

/// How much of a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes.
    pub bytes_max: usize,
    /// Deepest nesting of objects and arrays, in levels; more than [`DEPTH_MAX`] counts as that.
    pub depth_max: usize,
    /// Most values: objects, arrays, texts, numbers, booleans and nulls together.
    pub values_max: usize,
}

impl Limits {
    /// For every message but a catalog. Room for a policy of some hundred constraints.
    pub const MESSAGE: Self = Self {
        bytes_max: 256 * 1_024,
        depth_max: 32,
        values_max: 8_192,
    };

    /// For a catalog: one answer of 10,000 datasets from a counterparty that does not page.
    pub const CATALOG: Self = Self {
        bytes_max: 16 * 1_024 * 1_024,
        depth_max: 32,
        values_max: 1_000_000,
    };
}

/// Reads one JSON document.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Value, DspError> {
    let bytes_max = limits.bytes_max;
    if bytes.len() > bytes_max {
        return Err(DspError::new("", Fault::TooLarge { bytes_max }));
    }
    let trace = RefCell::new(Trace::default());
    let seed = Seed {
        trace: &trace,
        limits,
        depth_left: limits.depth_max.min(DEPTH_MAX),
    };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let outcome = seed
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    outcome.map_err(|error| {
        trace.into_inner().failed.unwrap_or_else(|| {
            let (line, column) = (error.line(), error.column());
            DspError::new("", Fault::Syntax { line, column })
        })
    })
}

/// `value` with every property under its one spelling; as it is where it has no other.
pub(super) fn spelled(value: &Value) -> Result<Cow<'_, Value>, DspError> {
    match is_spelled(value) {
        true => Ok(Cow::Borrowed(value)),
        false => respell(value, "").map(Cow::Owned),
    }
}

fn is_spelled(value: &Value) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .all(|(key, inner)| term::property(key) == key.as_str() && is_spelled(inner)),
        Value::Array(items) => items.iter().all(is_spelled),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn respell(value: &Value, pointer: &str) -> Result<Value, DspError> {
    match value {
        Value::Object(members) => {
            let mut out = Map::new();
            for (key, inner) in members {
                let name = term::property(key).into_owned();
                let place = child(pointer, &name);
                if out.contains_key(&name) {
                    return Err(DspError::new(place, Fault::Repeated));
                }
                let inner = respell(inner, &place)?;
                out.insert(name, inner);
            }
            Ok(Value::Object(out))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(at, item)| respell(item, &child(pointer, &at.to_string())))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
    }
}

/// Where the reader is, and why it stopped.
#[derive(Default)]
struct Trace {
    path: Vec<Segment>,
    values: usize,
    failed: Option<DspError>,
}

impl Trace {
    /// Notes the fault; the text of the returned error is never seen.
    fn fail<E: Error>(&mut self, fault: Fault) -> E {
        let pointer = self
            .path
            .iter()
            .fold(String::new(), |parent, segment| match segment {
                Segment::Item(at) => child(&parent, &at.to_string()),
                Segment::Member(name) => child(&parent, name),
            });
        self.failed = Some(DspError::new(pointer, fault));
        E::custom("stopped")
    }
}

/// One step of a path.
enum Segment {
    /// Into an array.
    Item(usize),
    /// Into an object.
    Member(String),
}

/// Builds one value and what it holds.
#[derive(Clone, Copy)]
struct Seed<'a> {
    trace: &'a RefCell<Trace>,
    limits: &'a Limits,
    depth_left: usize,
}

impl Seed<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let Some(depth_left) = self.depth_left.checked_sub(1) else {
            let depth_max = self.limits.depth_max.min(DEPTH_MAX);
            return Err(self.trace.borrow_mut().fail(Fault::TooDeep { depth_max }));
        };
        Ok(Self { depth_left, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        {
            let mut trace = self.trace.borrow_mut();
            trace.values = trace.values.saturating_add(1);
            let values_max = self.limits.values_max;
            if trace.values > values_max {
                return Err(trace.fail(Fault::TooMany { values_max }));
            }
        }
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
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
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut out = Vec::new();
        loop {
            self.trace.borrow_mut().path.push(Segment::Item(out.len()));
            let item = items.next_element_seed(inner)?;
            self.trace.borrow_mut().path.pop();
            match item {
                Some(value) => out.push(value),
                None => return Ok(Value::Array(out)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut out = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let name = term::property(&key).into_owned();
            let repeated = out.contains_key(&name);
            // It stays the path's until its value is read.
            self.trace.borrow_mut().path.push(Segment::Member(name));
            if repeated {
                return Err(self.trace.borrow_mut().fail(Fault::Repeated));
            }
            let value = members.next_value_seed(inner)?;
            if let Some(Segment::Member(name)) = self.trace.borrow_mut().path.pop() {
                out.insert(name, value);
            }
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SMALL: Limits = Limits {
        bytes_max: 100,
        depth_max: 3,
        values_max: 10,
    };

    fn fault(text: &str) -> (String, Fault) {
        let error = read(text.as_bytes(), &SMALL).unwrap_err();
        (error.pointer, error.fault)
    }

    #[test]
    fn names_are_brought_to_one_spelling() {
        let value = read(
            br#"{"dspace:code":[1,-2,1.5,true,null,{"odrl:or":"x"}]}"#,
            &SMALL,
        );
        assert_eq!(
            value,
            Ok(json!({"code": [1, -2, 1.5, true, null, {"or": "x"}]}))
        );
    }

    #[test]
    fn each_limit_holds_at_its_edge() {
        assert!(read(b"[[[1]]]", &SMALL).is_ok());
        assert_eq!(
            fault("[[[[1]]]]"),
            ("/0/0/0".into(), Fault::TooDeep { depth_max: 3 })
        );
        assert!(read(b"[1,2,3,4,5,6,7,8,9]", &SMALL).is_ok());
        assert_eq!(
            fault("[1,2,3,4,5,6,7,8,9,10]"),
            ("/9".into(), Fault::TooMany { values_max: 10 })
        );
        assert!(read(format!("\"{}\"", "x".repeat(98)).as_bytes(), &SMALL).is_ok());
        assert_eq!(
            fault(&format!("\"{}\"", "x".repeat(99))),
            (String::new(), Fault::TooLarge { bytes_max: 100 })
        );
    }

    #[test]
    fn depth_is_bounded_whatever_the_limits_say() {
        let limits = Limits {
            depth_max: usize::MAX,
            ..Limits::CATALOG
        };
        let error = read("[".repeat(100_000).as_bytes(), &limits).unwrap_err();
        assert_eq!(
            error.fault,
            Fault::TooDeep {
                depth_max: DEPTH_MAX
            }
        );
    }

    #[test]
    fn a_property_in_two_spellings_is_refused() {
        let twice = r#"{"offer":{"permission":1,"odrl:permission":2}}"#;
        assert_eq!(fault(twice), ("/offer/permission".into(), Fault::Repeated));
        assert_eq!(fault(r#"{"a":1,"a":1}"#), ("/a".into(), Fault::Repeated));
    }

    #[test]
    fn what_is_no_json_is_named_by_place() {
        for (text, line, column) in [
            ("", 1, 0),
            ("{", 1, 1),
            ("{}\n{}", 2, 1),
            ("{\"a\":\u{1}}", 1, 6),
        ] {
            assert_eq!(fault(text), (String::new(), Fault::Syntax { line, column }));
        }
        assert!(matches!(
            read(b"\"\xff\"", &SMALL).unwrap_err().fault,
            Fault::Syntax { .. }
        ));
    }
}
