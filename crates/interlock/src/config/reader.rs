//! Reads one table of the file, key by key, and collects every error with its line.
//!
//! INVARIANT: an error leaves a harmless value behind and is always recorded, so that the caller may
//! go on reading but never uses a configuration with errors.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, ConfigErrorKind};
use super::schema::{self, Table};
use super::secret::SecretSource;

/// The errors found so far, and the text for which lines are counted.
pub(super) struct Errors<'a> {
    text: &'a str,
    found: RefCell<Vec<ConfigError>>,
}

impl<'a> Errors<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self {
            text,
            found: RefCell::new(Vec::new()),
        }
    }

    pub(super) fn push(&self, at: usize, kind: ConfigErrorKind) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        self.found.borrow_mut().push(ConfigError { line, kind });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// All errors in the order of their lines.
    pub(super) fn into_sorted(self) -> Vec<ConfigError> {
        let mut errors = self.found.into_inner();
        errors.sort_by_key(|error| error.line);
        errors
    }
}

/// One table of the file.
pub(super) struct Reader<'a> {
    schema: &'static Table,
    values: Option<&'a DeTable<'a>>,
    start: usize,
    errors: &'a Errors<'a>,
}

impl<'a> Reader<'a> {
    /// A reader of `values` (of nothing, if the table is not in the file); unknown keys are recorded.
    pub(super) fn new(
        schema: &'static Table,
        values: Option<&'a DeTable<'a>>,
        span: Range<usize>,
        errors: &'a Errors<'a>,
    ) -> Self {
        let reader = Self {
            schema,
            values,
            start: span.start,
            errors,
        };
        for key in values.into_iter().flat_map(|table| table.keys()) {
            let name: &str = key.get_ref();
            if !schema.keys.iter().any(|known| known.name == name) {
                errors.push(key.span().start, unknown_key(schema, name));
            }
        }
        reader
    }

    fn get(&self, name: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.values?
            .iter()
            .find(|(key, _)| key.get_ref().as_ref() == name)
            .map(|(_, value)| value)
    }

    /// Whether the key is set.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether the key is a list without items.
    pub(super) fn is_empty_list(&self, name: &str) -> bool {
        let list = self.get(name).and_then(|value| value.get_ref().as_array());
        list.is_some_and(|items| items.is_empty())
    }

    /// Records an error at a key, or at the table if the key is not set.
    pub(super) fn error(&self, name: &str, kind: ConfigErrorKind) {
        let at = self
            .get(name)
            .map_or(self.start, |value| value.span().start);
        self.errors.push(at, kind);
    }

    fn wrong_type(&self, name: &str, value: &Spanned<DeValue<'_>>, expected: impl Into<String>) {
        self.errors.push(
            value.span().start,
            ConfigErrorKind::Type {
                key: name.into(),
                found: type_of(value.get_ref()),
                expected: expected.into(),
            },
        );
    }

    fn wrong_value(&self, name: &str, at: usize, problem: impl Display) {
        self.errors.push(
            at,
            ConfigErrorKind::Value {
                key: name.into(),
                problem: problem.to_string(),
            },
        );
    }

    /// A text, parsed; nothing if it is not set or wrong.
    pub(super) fn parsed<T, E: Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.get(name)?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(name, value, "a string in quotes");
            return None;
        };
        match parse(text) {
            Ok(parsed) => Some(parsed),
            Err(problem) => {
                self.wrong_value(name, value.span().start, problem);
                None
            }
        }
    }

    /// As [`Reader::parsed`], for a key that must be set.
    pub(super) fn needed<T, E: Display>(
        &self,
        name: &'static str,
        advice: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if !self.has(name) {
            self.missing(name, advice);
        }
        self.parsed(name, parse)
    }

    /// Records that a key must be set.
    pub(super) fn missing(&self, name: &'static str, advice: &'static str) {
        self.errors.push(
            self.start,
            ConfigErrorKind::Missing {
                key: name,
                table: title(self.schema),
                advice,
            },
        );
    }

    /// A list of texts, each parsed; empty if it is not set.
    pub(super) fn list<T, E: Display>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let Some(value) = self.get(name) else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_type(name, value, "a list of strings, such as `[\"a\", \"b\"]`");
            return Vec::new();
        };
        let mut parsed = Vec::new();
        for item in items.iter() {
            match item.get_ref().as_str().map(&parse) {
                Some(Ok(item)) => parsed.push(item),
                Some(Err(problem)) => self.wrong_value(name, item.span().start, problem),
                None => self.wrong_type(name, item, "strings in the list"),
            }
        }
        parsed
    }

    /// A whole number in a range.
    pub(super) fn number(&self, name: &str, range: RangeInclusive<u32>, default: u32) -> u32 {
        let Some(value) = self.get(name) else {
            return default;
        };
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let Some(number) = value.get_ref().as_integer() else {
            self.wrong_type(name, value, expected);
            return default;
        };
        match u32::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if range.contains(&number) => number,
            Ok(_) | Err(_) => {
                let problem = format!("`{number}` is out of range; write {expected}");
                self.wrong_value(name, value.span().start, problem);
                default
            }
        }
    }

    /// `true` or `false`; false if it is not set.
    pub(super) fn flag(&self, name: &str) -> bool {
        let Some(value) = self.get(name) else {
            return false;
        };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong_type(name, value, "`true` or `false`");
            false
        })
    }

    /// A path that is not empty.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.parsed(name, |text| match text.is_empty() {
            true => Err("the path is empty; write one, or remove the line"),
            false => Ok(PathBuf::from(text)),
        })
    }

    /// The secret named by `NAME_file` or `NAME_env`; both at once are an error.
    pub(super) fn secret(&self, file_key: &str, env_key: &str) -> Option<SecretSource> {
        let file = self.path(file_key).map(SecretSource::File);
        let env = self.parsed(env_key, parse_variable).map(SecretSource::Env);
        if file.is_some() && env.is_some() {
            let text =
                format!("`{file_key}` and `{env_key}` exclude each other; remove one of them");
            self.error(env_key, ConfigErrorKind::Combination(text));
        }
        file.or(env)
    }

    /// A table as JSON, for policies.
    pub(super) fn json(&self, name: &str) -> Option<serde_json::Value> {
        let value = self.get(name)?;
        if value.get_ref().as_table().is_none() {
            self.wrong_type(name, value, "a table, such as `[offer.policy]`");
            return None;
        }
        let json = to_json(value.get_ref());
        if json.is_none() {
            let problem =
                "it holds a number that JSON does not know; write a finite one of 64 bits";
            self.wrong_value(name, value.span().start, problem);
        }
        json
    }
}

pub(super) fn parse_variable(text: &str) -> Result<String, &'static str> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if text.is_empty() || text.len() > 128 || !text.bytes().all(good) {
        return Err(
            "not the name of an environment variable; write its name (letters, digits, `_`), never \
             the secret",
        );
    }
    Ok(text.into())
}

fn to_json(value: &DeValue<'_>) -> Option<serde_json::Value> {
    use serde_json::Value;
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            Value::from(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
        }
        DeValue::Float(number) => {
            Value::Number(serde_json::Number::from_f64(number.as_str().parse().ok()?)?)
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| to_json(item.get_ref()))
                .collect::<Option<_>>()?,
        ),
        DeValue::Table(table) => Value::Object(
            table
                .iter()
                .map(|(key, value)| Some((key.get_ref().to_string(), to_json(value.get_ref())?)))
                .collect::<Option<_>>()?,
        ),
    })
}

/// What a value is, for people.
pub(super) const fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A table, for people: `[listen]` or `[[partner]]`.
pub(super) fn title(table: &Table) -> String {
    match table.repeated {
        true => format!("`[[{}]]`", table.name),
        false => format!("`[{}]`", table.name),
    }
}

fn unknown_key(table: &'static Table, name: &str) -> ConfigErrorKind {
    let known = |wanted: &str| table.keys.iter().any(|key| key.name == wanted);
    if known(&format!("{name}_file")) && known(&format!("{name}_env")) {
        return ConfigErrorKind::InlineSecret { key: name.into() };
    }
    let home = schema::TABLES
        .iter()
        .find(|other| other.keys.iter().any(|key| key.name == name));
    let advice = match home {
        Some(home) => format!("it belongs to {}", title(home)),
        None => did_you_mean(name, table.keys.iter().map(|key| key.name)),
    };
    ConfigErrorKind::UnknownKey {
        key: shortened(name),
        table: title(table),
        advice,
    }
}

/// What stands at the top of the file and is no table of ours.
pub(super) fn unknown_table(name: &str) -> ConfigErrorKind {
    let home = schema::TABLES
        .iter()
        .find(|table| table.keys.iter().any(|key| key.name == name));
    let advice = match home {
        Some(home) => format!("it belongs to {}", title(home)),
        None => did_you_mean(name, schema::TABLES.iter().map(|table| table.name)),
    };
    ConfigErrorKind::UnknownKey {
        key: shortened(name),
        table: "the file".into(),
        advice,
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

fn did_you_mean(name: &str, known: impl Iterator<Item = &'static str>) -> String {
    let name = shortened(name);
    let nearest = known.min_by_key(|known| edit_distance(&name, known));
    format!("did you mean `{}`?", nearest.unwrap_or_default())
}

/// How many letters must be inserted, removed or replaced to make `b` of `a` (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a_letter) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (above, b_letter) in row.iter().skip(1).zip(&b) {
            let replaced = diagonal + usize::from(a_letter != *b_letter);
            left = replaced.min(above + 1).min(left + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, distance) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("exchang", "exchange", 1),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
            assert_eq!(edit_distance(b, a), distance, "{b} {a}");
        }
    }
}
