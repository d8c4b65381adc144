//! Strict reading of JSON: every member is known, of its type and within its limits.
//!
//! INVARIANT: whatever is wrong is recorded with its JSON pointer (RFC 6901) and what to write
//! instead, and reading goes on, so that a body is corrected once. What was sent is repeated only if
//! it cannot be a telephone number. This module does not know what a body is for.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::problem;
use crate::node::io::{FieldError, Problem};

/// Most errors listed for one body.
pub(super) const ERRORS_MAX: usize = 1_000;
/// From how many digits on a text may be a telephone number and is not repeated.
const PHONE_DIGITS_MIN: usize = 7;

/// The errors of one body.
#[derive(Default)]
pub(super) struct Errors(RefCell<Vec<FieldError>>);

impl Errors {
    /// Records one.
    pub(super) fn push(&self, pointer: &str, detail: impl Into<String>) {
        let mut errors = self.0.borrow_mut();
        if errors.len() < ERRORS_MAX {
            errors.push(FieldError {
                pointer: pointer.into(),
                detail: detail.into(),
            });
        }
    }

    /// What was read, if nothing was wrong with it.
    pub(super) fn finish<T>(self, read: Option<T>) -> Result<T, Problem> {
        let errors = self.0.into_inner();
        match read {
            Some(read) if errors.is_empty() => Ok(read),
            Some(_) | None => Err(problem::malformed(errors)),
        }
    }
}

/// The JSON type of a value, for people.
const fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The pointer of a member or element below `pointer`.
pub(super) fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// An object whose members are all known.
pub(super) struct Object<'a> {
    members: &'a Map<String, Value>,
    pointer: String,
    errors: &'a Errors,
}

impl<'a> Object<'a> {
    /// Takes an object and records members that are not in `known`.
    pub(super) fn of(
        value: &'a Value,
        pointer: &str,
        errors: &'a Errors,
        known: &[&str],
    ) -> Option<Self> {
        let Value::Object(members) = value else {
            errors.push(pointer, wrong_type("an object", value));
            return None;
        };
        for name in members
            .keys()
            .filter(|name| !known.contains(&name.as_str()))
        {
            let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            let remedy = match names.is_empty() {
                true => "send none here".to_owned(),
                false => format!("known are {}", names.join(", ")),
            };
            if is_name(name) {
                let detail = format!("`{name}` is no member here; {remedy}");
                errors.push(&below(pointer, name), detail);
            } else {
                errors.push(
                    pointer,
                    format!("there is a member that is none here; {remedy}"),
                );
            }
        }
        Some(Self {
            members,
            pointer: pointer.into(),
            errors,
        })
    }

    /// The pointer of a member.
    pub(super) fn at(&self, name: &str) -> String {
        below(&self.pointer, name)
    }

    /// Where errors go.
    pub(super) const fn errors(&self) -> &'a Errors {
        self.errors
    }

    /// The value of a member, if it is there.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name)
    }

    /// The value of a member that has to be there.
    pub(super) fn needed(&self, name: &str) -> Option<&'a Value> {
        let value = self.get(name);
        if value.is_none() {
            let detail = format!("`{name}` is missing; add it");
            self.errors.push(&self.at(name), detail);
        }
        value
    }

    /// A member that has to be there, read by `read`.
    pub(super) fn need<T>(&self, name: &str, read: impl Read<T>) -> Option<T> {
        self.take(name, self.needed(name)?, read)
    }

    /// A member that may be absent, read by `read`.
    pub(super) fn may<T>(&self, name: &str, read: impl Read<T>) -> Option<T> {
        self.take(name, self.get(name)?, read)
    }

    fn take<T>(&self, name: &str, value: &Value, read: impl Read<T>) -> Option<T> {
        match read(value) {
            Ok(read) => Some(read),
            Err(detail) => {
                self.errors.push(&self.at(name), detail);
                None
            }
        }
    }

    /// The elements of a list, each read by `read`, which records its own errors.
    pub(super) fn list<T>(
        &self,
        name: &str,
        value: &'a Value,
        length: &RangeInclusive<usize>,
        mut read: impl FnMut(&'a Value, &str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let pointer = self.at(name);
        let Value::Array(items) = value else {
            self.errors.push(&pointer, wrong_type("an array", value));
            return None;
        };
        if !length.contains(&items.len()) {
            let (count, min, max) = (items.len(), length.start(), length.end());
            let detail = format!("`{name}` has {count} elements; send {min} to {max}");
            self.errors.push(&pointer, detail);
            return None;
        }
        let read_all = items
            .iter()
            .enumerate()
            .map(|(index, item)| read(item, &below(&pointer, &index.to_string())));
        // Every element is read before the first failure ends it: all errors are wanted.
        read_all.collect::<Vec<_>>().into_iter().collect()
    }

    /// A list of texts that may be absent; empty then.
    pub(super) fn texts<T, E: ToString>(
        &self,
        name: &str,
        length_max: usize,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let Some(value) = self.get(name) else {
            return Some(Vec::new());
        };
        let read = text(parse);
        self.list(name, value, &(0..=length_max), |item, pointer| {
            read(item)
                .map_err(|detail| self.errors.push(pointer, detail))
                .ok()
        })
    }
}

/// Reads a value or says what is wrong with it and what to write instead.
pub(super) trait Read<T>: FnOnce(&Value) -> Result<T, String> {}
impl<T, F: FnOnce(&Value) -> Result<T, String>> Read<T> for F {}

fn wrong_type(wanted: &str, found: &Value) -> String {
    format!("expected {wanted}, found {}", type_of(found))
}

/// A string that `parse` takes.
pub(super) fn text<T, E: ToString>(
    parse: impl Fn(&str) -> Result<T, E>,
) -> impl Fn(&Value) -> Result<T, String> {
    move |value| {
        let Value::String(text) = value else {
            return Err(wrong_type("a string", value));
        };
        parse(text).map_err(|error| without_phone(&error.to_string(), text))
    }
}

/// A string of 1 to `length_bytes_max` bytes without control characters. It is never repeated.
pub(super) fn words(length_bytes_max: usize) -> impl Fn(&Value) -> Result<String, String> {
    move |value| {
        let Value::String(text) = value else {
            return Err(wrong_type("a string", value));
        };
        let good = (1..=length_bytes_max).contains(&text.len())
            && !text.trim().is_empty()
            && !text.chars().any(char::is_control);
        if !good {
            return Err(format!(
                "not a text of 1 to {length_bytes_max} bytes without control characters; shorten \
                 it or write one"
            ));
        }
        Ok(text.clone())
    }
}

/// One of some names.
pub(super) fn one_of<T: Copy>(
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> impl Fn(&Value) -> Result<T, String> {
    move |value| {
        let known = || {
            let names: Vec<String> = all.iter().map(|one| format!("`{}`", name(*one))).collect();
            names.join(", ")
        };
        let Value::String(text) = value else {
            return Err(format!(
                "{}; write one of {}",
                wrong_type("a string", value),
                known()
            ));
        };
        let found = all.iter().copied().find(|one| name(*one) == text);
        found.ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            let message = format!("`{shown}` is not known here; write one of {}", known());
            without_phone(&message, text)
        })
    }
}

/// `true` or `false`.
pub(super) fn flag(value: &Value) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| wrong_type("`true` or `false`", value))
}

/// A whole number in a range.
pub(super) fn whole(range: RangeInclusive<u16>) -> impl Fn(&Value) -> Result<u16, String> {
    move |value| {
        let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                let wanted = format!("a whole number from {} to {}", range.start(), range.end());
                match value.is_number() {
                    true => format!("not {wanted}; write one"),
                    false => wrong_type(&wanted, value),
                }
            })
    }
}

/// The message without the input, where the input may be or hold a telephone number.
pub(super) fn without_phone(message: &str, input: &str) -> String {
    if input.bytes().filter(u8::is_ascii_digit).count() < PHONE_DIGITS_MIN {
        return message.into();
    }
    // Messages repeat the input whole or shortened to one of these lengths.
    let shortened = |length: usize| input.chars().take(length).collect::<String>();
    let echo = [usize::MAX, 128, 80, 64, 32]
        .into_iter()
        .map(shortened)
        .find(|echo| message.contains(echo.as_str()));
    echo.map_or_else(|| message.into(), |echo| message.replace(&echo, "..."))
}

/// Whether a member's name may be repeated.
fn is_name(name: &str) -> bool {
    let few_digits = name.bytes().filter(u8::is_ascii_digit).count() < PHONE_DIGITS_MIN;
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'@' | b':' | b'.');
    few_digits && (1..=64).contains(&name.len()) && name.bytes().all(good)
}
