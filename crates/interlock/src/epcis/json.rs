//! JSON objects as lists of raw fields, and the report of what is wrong with them.
//!
//! Invariant: no field occurs twice (a reader and a checker might take different ones), and every
//! error has a pointer. It does not know EPCIS.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{ERRORS_MAX, EpcisError, FIELDS_MAX};

/// The fields of one object, in order, unparsed.
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Fields<'a> {
    /// The value of `name`; a JSON `null` counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| *value)
            .filter(|value| value.get() != "null")
    }

    /// The names of all fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_ref())
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some(Text(key)) = map.next_key()? {
                    if fields.iter().any(|(seen, _)| *seen == key) {
                        return Err(A::Error::custom(format_args!(
                            "the field `{}` occurs twice",
                            shown(&key)
                        )));
                    }
                    if fields.len() == FIELDS_MAX {
                        return Err(A::Error::custom(format_args!(
                            "more than {FIELDS_MAX} fields"
                        )));
                    }
                    fields.push((key, map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }
        d.deserialize_map(FieldsVisitor)
    }
}

/// What is wrong with a document, up to [`ERRORS_MAX`].
#[derive(Default)]
pub(super) struct Report(Vec<EpcisError>);

impl Report {
    pub(super) fn push(&mut self, pointer: String, problem: String, remedy: &'static str) {
        if self.0.len() < ERRORS_MAX {
            self.0.push(EpcisError {
                pointer,
                problem,
                remedy,
            });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_errors(self) -> Vec<EpcisError> {
        self.0
    }

    /// The fields of the object `raw` at `pointer`.
    pub(super) fn object<'a>(&mut self, raw: &'a RawValue, pointer: &str) -> Option<Fields<'a>> {
        self.parse(raw, pointer.into(), "an object")
    }

    /// The items of the array `raw` at `pointer`.
    pub(super) fn array<'a>(
        &mut self,
        raw: &'a RawValue,
        pointer: &str,
    ) -> Option<Vec<&'a RawValue>> {
        self.parse(raw, pointer.into(), "an array")
    }

    /// The string `raw` at `pointer`.
    pub(super) fn string<'a>(&mut self, raw: &'a RawValue, pointer: &str) -> Option<Cow<'a, str>> {
        self.parse::<Text<'a>>(raw, pointer.into(), "a string")
            .map(|Text(text)| text)
    }

    /// The string field `name` of the object at `base`; an error if it is missing.
    pub(super) fn required<'a>(
        &mut self,
        fields: &Fields<'a>,
        base: &str,
        name: &str,
        remedy: &'static str,
    ) -> Option<Cow<'a, str>> {
        if let Some(raw) = fields.get(name) {
            return self.string(raw, &format!("{base}/{name}"));
        }
        self.push(format!("{base}/{name}"), "is missing".into(), remedy);
        None
    }

    /// The string field `name` of the object at `base`, if it is there.
    pub(super) fn optional<'a>(
        &mut self,
        fields: &Fields<'a>,
        base: &str,
        name: &str,
    ) -> Option<Cow<'a, str>> {
        let raw = fields.get(name)?;
        self.string(raw, &format!("{base}/{name}"))
    }

    fn parse<'a, T: Deserialize<'a>>(
        &mut self,
        raw: &'a RawValue,
        pointer: String,
        wanted: &str,
    ) -> Option<T> {
        match serde_json::from_str(raw.get()) {
            Ok(value) => Some(value),
            Err(error) => {
                let twice = error.to_string();
                let problem = match twice.split_once(" at line") {
                    Some((text, _))
                        if text.starts_with("the field") || text.starts_with("more") =>
                    {
                        text.to_owned()
                    }
                    _ => format!("is {}, not {wanted}", kind(raw)),
                };
                self.push(pointer, problem, "correct it as EPCIS 2.0 section 10 shows");
                None
            }
        }
    }
}

/// What a value is, for messages.
fn kind(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// What came, shortened for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

/// A field's name as a token of a JSON pointer (RFC 6901 section 3).
pub(super) fn token(name: &str) -> String {
    shown(name).replace('~', "~0").replace('/', "~1")
}

/// Whether brackets nest deeper than `depth_max`, strings left aside. It ends at the first
/// excess and never recurses.
pub(super) fn too_deep(text: &str, depth_max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > depth_max {
            return true;
        }
    }
    false
}
