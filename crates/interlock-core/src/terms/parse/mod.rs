//! Reading a policy (ODRL 2.2 in the JSON of DSP 2025-1) into [`Terms`].
//!
//! INVARIANT: what is not understood is an error that names it; nothing is skipped. All errors are
//! listed, so that a policy is corrected once. The order of members and constraints does not matter.
//!
//! Not known here: whether the terms make sense together, see
//! [`check_combination`](super::check_combination).

mod constraint;
mod error;

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::operand::{Name, Operand};
use super::{CONSTRAINTS_MAX, NAMESPACE, Terms};
use crate::dataset::Dataset;
use crate::time::{Timestamp, Zone};

use constraint::text_of;
pub use error::{TermError, TermProblem};

/// Reads `policy` as the terms under which `dataset` flows.
///
/// Names may be compact, prefixed (`odrl:`, `il:`) or full IRIs; rules and values may stand alone or
/// in an array; values may be strings, `@id` or typed. `@id`, `@type`, `target`, `assigner`,
/// `assignee` and `timestamp` belong to the offer or agreement around the terms and are not read.
///
/// # Errors
/// Every [`TermError`] found: unknown terms, operators, actions and values, logical constraints,
/// repetitions, missing terms, instants without zone, bare numbers, and what exceeds a limit.
pub fn parse_policy(policy: &Value, dataset: Dataset) -> Result<Terms, Vec<TermError>> {
    let mut reader = Reader {
        dataset,
        errors: Vec::new(),
        seen: BTreeSet::new(),
        terms: empty(dataset),
    };
    reader.policy(policy);
    reader.require_terms();
    if reader.errors.is_empty() {
        Ok(reader.terms)
    } else {
        Err(reader.errors)
    }
}

fn empty(dataset: Dataset) -> Terms {
    Terms {
        dataset,
        from: Timestamp::from_millis(0),
        until: Timestamp::from_millis(0),
        zone: Zone::UTC,
        purposes: BTreeSet::new(),
        marketplaces: BTreeSet::new(),
        fields: BTreeSet::new(),
        contact_forms: BTreeSet::new(),
        quota_per_day: None,
        quota_per_parcel: None,
        evidence: BTreeSet::new(),
        notifier: None,
        run_off_ms: None,
        backlog: None,
        covers_from: None,
        delete_after_ms: None,
        reciprocate: false,
        no_redisclosure: false,
    }
}

struct Reader {
    dataset: Dataset,
    errors: Vec<TermError>,
    seen: BTreeSet<Operand>,
    terms: Terms,
}

/// The members of a rule or constraint by their ODRL name.
type Members<'a> = Vec<(&'a str, &'a str, &'a Value)>;

impl Reader {
    fn error(&mut self, at: &str, problem: TermProblem, term: &str, remedy: impl Into<String>) {
        self.errors.push(TermError {
            pointer: at.into(),
            problem,
            term: term.chars().take(128).collect(),
            remedy: remedy.into(),
        });
    }

    fn policy(&mut self, policy: &Value) {
        let Some(object) = policy.as_object() else {
            self.error("", TermProblem::WrongType, "policy", "write a JSON object");
            return;
        };
        let mut permissions = 0;
        for (local, key, value) in self.members("", object) {
            let at = pointer("", key);
            match local {
                "@context" | "@id" | "@type" | "target" | "assigner" | "assignee" | "timestamp" => {
                }
                "profile" => self.profile(&at, value),
                "permission" => {
                    let rules = one_or_many(&at, value);
                    permissions += rules.len();
                    if let [(at, rule)] = rules.as_slice() {
                        self.permission(at, rule);
                    }
                }
                "prohibition" => self.rules(&at, value, Self::prohibition),
                "obligation" => self.rules(&at, value, Self::obligation),
                _ => self.error(
                    &at,
                    TermProblem::UnknownMember,
                    key,
                    "remove it, or use `permission`, `prohibition` and `obligation`",
                ),
            }
        }
        match permissions {
            0 => self.error(
                "/permission",
                TermProblem::Missing,
                "permission",
                "add one permission of the action `use`",
            ),
            1 => {}
            _ => self.error(
                "/permission",
                TermProblem::TooMany,
                "permission",
                "put all constraints into one permission; alternatives are separate offers",
            ),
        }
    }

    /// Resolves the names of an object's members; a name that occurs twice is an error.
    fn members<'a>(&mut self, at: &str, object: &'a Map<String, Value>) -> Members<'a> {
        let mut members: Members<'a> = Vec::new();
        for (key, value) in object {
            let local = match Name::of(key) {
                Name::Odrl(local) => local,
                Name::Interlock(_) | Name::Foreign if key == "dspace:timestamp" => "timestamp",
                Name::Interlock(_) | Name::Foreign => key.as_str(),
            };
            if members.iter().any(|(known, _, _)| *known == local) {
                self.error(
                    &pointer(at, key),
                    TermProblem::Duplicate,
                    key,
                    "write it once",
                );
            } else {
                members.push((local, key.as_str(), value));
            }
        }
        members
    }

    fn profile(&mut self, at: &str, value: &Value) {
        for (at, value) in one_or_many(at, value) {
            let known = text_of(value).is_some_and(|text| {
                matches!(Name::of(text), Name::Interlock(""))
                    || text == NAMESPACE.trim_end_matches('#')
            });
            if !known {
                let shown = value.to_string();
                self.error(
                    &at,
                    TermProblem::UnknownProfile,
                    text_of(value).unwrap_or(&shown),
                    format!("use `{NAMESPACE}` or leave it out"),
                );
            }
        }
    }

    fn rules(&mut self, at: &str, value: &Value, read: fn(&mut Self, &str, &Value)) {
        let rules = one_or_many(at, value);
        if self.within_limit(at, "rules", rules.len(), CONSTRAINTS_MAX) {
            for (at, rule) in rules {
                read(self, &at, rule);
            }
        }
    }

    fn within_limit(&mut self, at: &str, what: &str, count: usize, count_max: usize) -> bool {
        if count > count_max {
            let remedy = format!("at most {count_max} are allowed");
            self.error(at, TermProblem::TooMany, what, remedy);
        }
        count <= count_max
    }

    fn permission(&mut self, at: &str, rule: &Value) {
        let Some(object) = self.object(at, rule) else {
            return;
        };
        let mut acted = false;
        for (local, key, value) in self.members(at, object) {
            let at = pointer(at, key);
            match local {
                "@id" | "@type" => {}
                "action" => {
                    acted = true;
                    self.action(&at, value, &["use"]);
                }
                "constraint" => self.constraints(&at, value),
                "duty" => self.rules(&at, value, Self::duty),
                _ => self.error(&at, TermProblem::UnknownMember, key, "remove it"),
            }
        }
        self.require_action(at, acted, "use");
    }

    fn prohibition(&mut self, at: &str, rule: &Value) {
        if self.bare_rule(at, rule, "distribute") {
            let repeated = core::mem::replace(&mut self.terms.no_redisclosure, true);
            self.once(at, repeated, "distribute");
        }
    }

    fn obligation(&mut self, at: &str, rule: &Value) {
        if self.bare_rule(at, rule, "il:reciprocate") {
            let repeated = core::mem::replace(&mut self.terms.reciprocate, true);
            self.once(at, repeated, "il:reciprocate");
        }
    }

    fn once(&mut self, at: &str, repeated: bool, what: &str) {
        if repeated {
            self.error(at, TermProblem::Duplicate, what, "write it once");
        }
    }

    /// A rule that consists of its action only.
    fn bare_rule(&mut self, at: &str, rule: &Value, action: &str) -> bool {
        let Some(object) = self.object(at, rule) else {
            return false;
        };
        let mut good = false;
        let mut acted = false;
        for (local, key, value) in self.members(at, object) {
            let at = pointer(at, key);
            match local {
                "@id" | "@type" => {}
                "action" => {
                    acted = true;
                    good = self.action(&at, value, &[action]);
                }
                "constraint" if value.as_array().is_some_and(Vec::is_empty) => {}
                _ => self.error(
                    &at,
                    TermProblem::UnknownMember,
                    key,
                    "remove it; this rule has an action only",
                ),
            }
        }
        self.require_action(at, acted, action);
        good
    }

    /// The duty to delete: `odrl:delete` with `odrl:elapsedTime` lteq a duration.
    fn duty(&mut self, at: &str, rule: &Value) {
        let Some(object) = self.object(at, rule) else {
            return;
        };
        let mut acted = false;
        let mut deletion = None;
        for (local, key, value) in self.members(at, object) {
            let at = pointer(at, key);
            match local {
                "@id" | "@type" => {}
                "action" => {
                    acted = true;
                    self.action(&at, value, &["delete"]);
                }
                "constraint" => {
                    let constraints = one_or_many(&at, value);
                    self.within_limit(&at, "elapsedTime", constraints.len(), 1);
                    if let [(at, constraint)] = constraints.as_slice() {
                        deletion = self.elapsed_time(at, constraint);
                    }
                }
                _ => self.error(&at, TermProblem::UnknownMember, key, "remove it"),
            }
        }
        self.require_action(at, acted, "delete");
        if deletion.is_none() && !self.errors.iter().any(|e| e.pointer.starts_with(at)) {
            self.error(
                at,
                TermProblem::Missing,
                "odrl:elapsedTime",
                "say within which time the consumer deletes, such as `P30D`",
            );
        }
        let repeated = self.terms.delete_after_ms.is_some();
        self.once(at, repeated, "delete");
        self.terms.delete_after_ms = deletion;
    }

    fn elapsed_time(&mut self, at: &str, constraint: &Value) -> Option<i64> {
        let (operand, operator, right) = self.atomic(at, constraint)?;
        if Name::of(operand) != Name::Odrl("elapsedTime") {
            let remedy = "a duty to delete has the constraint `odrl:elapsedTime` only";
            self.error(at, TermProblem::UnknownTerm, operand, remedy);
            return None;
        }
        if Name::of(operator) != Name::Odrl("lteq") {
            self.error(at, TermProblem::WrongOperator, operand, "use `lteq`");
            return None;
        }
        self.duration(&pointer(at, "rightOperand"), right, operand, i64::MAX)
    }

    fn object<'a>(&mut self, at: &str, value: &'a Value) -> Option<&'a Map<String, Value>> {
        let object = value.as_object();
        if object.is_none() {
            self.error(at, TermProblem::WrongType, "rule", "write a JSON object");
        }
        object
    }

    fn action(&mut self, at: &str, value: &Value, known: &[&str]) -> bool {
        let given = text_of(value).unwrap_or_default();
        let good = known.iter().any(|k| Name::of(k) == Name::of(given));
        if !good {
            let remedy = format!("use `{}` here", known.join("`, `"));
            self.error(at, TermProblem::UnknownAction, given, remedy);
        }
        good
    }

    fn require_action(&mut self, at: &str, acted: bool, action: &str) {
        if !acted {
            let remedy = format!("add the action `{action}`");
            self.error(at, TermProblem::Missing, "action", remedy);
        }
    }

    fn require_terms(&mut self) {
        let required = [
            (Operand::From, true),
            (Operand::Until, true),
            (Operand::Purpose, true),
            (Operand::Field, true),
            (Operand::Marketplace, self.dataset.is_parcel_data()),
        ];
        for (operand, needed) in required {
            if needed && !self.seen.contains(&operand) {
                self.error(
                    "/permission",
                    TermProblem::Missing,
                    &operand.short(),
                    format!("add a constraint on it with `{}`", operand.operator()),
                );
            }
        }
        let dated = self.seen.contains(&Operand::From) && self.seen.contains(&Operand::Until);
        if dated && self.errors.is_empty() && self.terms.from >= self.terms.until {
            self.error(
                "/permission",
                TermProblem::OutOfRange,
                "odrl:dateTime",
                "let the term end (`lt`) after it begins (`gteq`)",
            );
        }
    }
}

/// The items of an array with their pointers, or the value itself.
fn one_or_many<'a>(at: &str, value: &'a Value) -> Vec<(String, &'a Value)> {
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| (pointer(at, &index.to_string()), item))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            [(at.into(), value)].into()
        }
    }
}

/// `at` extended by one reference token (RFC 6901).
fn pointer(at: &str, key: &str) -> String {
    // Asked for at every step of reading, and seldom seen.
    if !key.contains(['~', '/']) {
        return [at, "/", key].concat();
    }
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests;
