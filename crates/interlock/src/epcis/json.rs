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

/// A place in a document, written out only when something is wrong there.
#[derive(Clone, Copy)]
pub(super) struct At<'p> {
    /// JSON pointer of an object, or of the place itself.
    base: &'p str,
    /// What is below it; nothing for the place itself.
    name: &'p str,
}

impl<'p> At<'p> {
    /// The place with this pointer.
    pub(super) const fn place(pointer: &'p str) -> Self {
        Self::below(pointer, "")
    }

    /// What is called `name` below the place with the pointer `base`.
    pub(super) const fn below(base: &'p str, name: &'p str) -> Self {
        Self { base, name }
    }

    /// The JSON pointer.
    pub(super) fn pointer(self) -> String {
        match self.name {
            "" => self.base.into(),
            name => format!("{}/{name}", self.base),
        }
    }
}

/// The fields of one object, in order, unparsed.
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// Room made for the fields of an object before any is read.
const FIELDS_USUAL: usize = 16;

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

    /// Refuses a field that is there already, or one too many.
    fn refuse_twice<E: serde::de::Error>(&self, name: &str) -> Result<(), E> {
        if self.0.iter().any(|(seen, _)| seen == name) {
            let name = shown(name);
            return Err(E::custom(format_args!("the field `{name}` occurs twice")));
        }
        if self.0.len() == FIELDS_MAX {
            return Err(E::custom(format_args!("more than {FIELDS_MAX} fields")));
        }
        Ok(())
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
                let mut fields = Fields(Vec::with_capacity(FIELDS_USUAL));
                while let Some(Text(key)) = map.next_key()? {
                    fields.refuse_twice(&key)?;
                    fields.0.push((key, map.next_value()?));
                }
                Ok(fields)
            }
        }
        d.deserialize_map(FieldsVisitor)
    }
}

/// A type that is the value of one field of an object.
pub(super) trait Named {
    /// The field's name.
    const NAME: &'static str;
}

/// An object of which one field is read as `T` at once and the others stay as they are: what is large
/// is gone through once.
pub(super) struct With<'a, T> {
    /// The other fields.
    pub(super) others: Fields<'a>,
    /// The one.
    pub(super) one: Option<T>,
}

impl<'de, T: Named + Deserialize<'de>> Deserialize<'de> for With<'de, T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct WithVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Named + Deserialize<'de>> Visitor<'de> for WithVisitor<T> {
            type Value = With<'de, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut with = With {
                    others: Fields(Vec::with_capacity(FIELDS_USUAL)),
                    one: None,
                };
                while let Some(Text(key)) = map.next_key()? {
                    if key != T::NAME {
                        with.others.refuse_twice(&key)?;
                        with.others.0.push((key, map.next_value()?));
                    } else if with.one.is_none() {
                        with.one = Some(map.next_value()?);
                    } else {
                        return Err(A::Error::custom("a field occurs twice"));
                    }
                }
                Ok(with)
            }
        }
        d.deserialize_map(WithVisitor(std::marker::PhantomData))
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

    /// The fields of the object `raw`.
    pub(super) fn object<'a>(&mut self, raw: &'a RawValue, at: At<'_>) -> Option<Fields<'a>> {
        self.parse(raw, at, "an object")
    }

    /// The items of the array `raw`.
    pub(super) fn array<'a>(&mut self, raw: &'a RawValue, at: At<'_>) -> Option<Vec<&'a RawValue>> {
        self.parse(raw, at, "an array")
    }

    /// The string `raw`.
    pub(super) fn string<'a>(&mut self, raw: &'a RawValue, at: At<'_>) -> Option<Cow<'a, str>> {
        // It was checked when it was set apart: without an escape it stands for itself.
        let plain = raw
            .get()
            .strip_prefix('"')
            .and_then(|t| t.strip_suffix('"'));
        if let Some(text) = plain.filter(|text| !text.as_bytes().contains(&b'\\')) {
            return Some(Cow::Borrowed(text));
        }
        self.parse::<Text<'a>>(raw, at, "a string")
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
            return self.string(raw, At::below(base, name));
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
        self.string(raw, At::below(base, name))
    }

    fn parse<'a, T: Deserialize<'a>>(
        &mut self,
        raw: &'a RawValue,
        at: At<'_>,
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
                self.push(
                    at.pointer(),
                    problem,
                    "correct it as EPCIS 2.0 section 10 shows",
                );
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
    let mut depth = 0usize;
    let mut bytes = text.as_bytes();
    while let [byte, rest @ ..] = bytes {
        bytes = rest;
        match byte {
            b'"' => bytes = after_string(rest),
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

/// What follows the string that `bytes` are within.
fn after_string(mut bytes: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', bytes) {
        let escape = bytes.get(at) == Some(&b'\\');
        bytes = bytes
            .get(at + 1 + usize::from(escape)..)
            .unwrap_or_default();
        if !escape {
            return bytes;
        }
    }
    &[]
}
