//! One request as the table of routes sees it: path parameters, query and body.
//!
//! INVARIANT: a query parameter that the route does not list is refused, and so is one that is given
//! twice. This module does not know what the parameters mean.

use std::ops::RangeInclusive;

use interlock_core::time::Timestamp;
use serde_json::Value;

use super::input::{Errors, Object, without_phone};
use super::json;
use super::problem::bad_request;
use super::routes::{Parameter, ParameterKind};
use crate::node::io::Problem;

/// A request whose size, type and credential form were checked.
pub(super) struct Call<'a> {
    /// Path parameters, decoded, in order.
    pub(super) path: Vec<(String, String)>,
    /// Query parameters, decoded.
    pub(super) query: Vec<(String, String)>,
    /// The body; empty if there is none.
    pub(super) body: &'a [u8],
}

impl Call<'_> {
    /// Refuses query parameters that are not listed, are repeated or have another form.
    ///
    /// # Errors
    /// One problem that names all of them.
    pub(super) fn check_query(&self, known: &[Parameter]) -> Result<(), Problem> {
        let mut wrong = Vec::new();
        for (index, (name, value)) in self.query.iter().enumerate() {
            let Some(parameter) = known.iter().find(|parameter| parameter.name == name) else {
                let names: Vec<&str> = known.iter().map(|parameter| parameter.name).collect();
                wrong.push(match names.is_empty() {
                    true => "the query has a parameter; send none here".into(),
                    false => format!(
                        "the query has a parameter that is none here; known are {}",
                        names.join(", ")
                    ),
                });
                continue;
            };
            if self
                .query
                .iter()
                .take(index)
                .any(|(other, _)| other == name)
            {
                wrong.push(format!("`{name}` is given twice; give it once"));
            }
            wrong.extend(
                parameter
                    .kind
                    .check(value)
                    .err()
                    .map(|e| format!("`{name}` {e}")),
            );
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(bad_request(wrong.join("; ")))
    }

    /// A path parameter, read by `parse`.
    ///
    /// # Errors
    /// 400 with what is wrong with it.
    pub(super) fn segment<T, E: ToString>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Problem> {
        let text = self.path.iter().find(|(key, _)| key == name);
        let text = text.map(|(_, value)| value.as_str()).unwrap_or_default();
        parse(text).map_err(|error| {
            let detail = without_phone(&error.to_string(), text);
            bad_request(format!("`{name}` in the path: {detail}"))
        })
    }

    /// A query parameter as it was given, if it was.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A number of the query, already checked against its range, or `default`.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> T {
        self.parameter(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    }

    /// An instant of the query that has to be given.
    ///
    /// # Errors
    /// 400 if it is missing.
    pub(super) fn instant(&self, name: &str) -> Result<Timestamp, Problem> {
        let given = self.parameter(name).map(Timestamp::parse_zoned);
        match given {
            Some(Ok((at, _))) => Ok(at),
            Some(Err(_)) | None => Err(bad_request(format!(
                "`{name}` is missing; write an instant such as 2017-07-01T00:00:00%2B08:00"
            ))),
        }
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// 400 if it is none, or an object in it has a member twice.
    pub(super) fn json(&self) -> Result<Value, Problem> {
        json::read(self.body)
    }

    /// The body as an object with the given members, read by `read`.
    ///
    /// # Errors
    /// 400 with every error.
    pub(super) fn object<T>(
        &self,
        known: &[&str],
        read: impl FnOnce(&Object<'_>) -> Option<T>,
    ) -> Result<T, Problem> {
        let value = self.json()?;
        let errors = Errors::default();
        let read = Object::of(&value, "", &errors, known).and_then(|object| read(&object));
        errors.finish(read)
    }

    /// Takes an absent body or an object without members.
    ///
    /// # Errors
    /// 400 for another body.
    pub(super) fn nothing(&self) -> Result<(), Problem> {
        if self.body.is_empty() {
            return Ok(());
        }
        self.object(&[], |_| Some(()))
    }
}

impl ParameterKind {
    fn check(self, value: &str) -> Result<(), String> {
        match self {
            Self::Whole { range, .. } => check_whole(value, &range()),
            Self::Text => Ok(()),
            Self::Name(all) => {
                let all = all();
                if all.contains(&value) {
                    return Ok(());
                }
                Err(format!("is not known; write one of {}", all.join(", ")))
            }
            Self::Instant => match Timestamp::parse_zoned(value) {
                Ok(_) => Ok(()),
                Err(_) => Err("is no instant with an offset; write one such as \
                     2017-07-01T00:00:00+08:00, its `+` as %2B"
                    .into()),
            },
        }
    }
}

fn check_whole(value: &str, range: &RangeInclusive<u64>) -> Result<(), String> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let number = value.parse::<u64>().ok().filter(|_| digits);
    if number.is_some_and(|number| range.contains(&number)) {
        return Ok(());
    }
    let (min, max) = (range.start(), range.end());
    Err(format!(
        "is not a whole number from {min} to {max}; write one"
    ))
}
