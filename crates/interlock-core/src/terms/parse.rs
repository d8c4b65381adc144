//! Reading a policy (ODRL 2.2 in the JSON of DSP 2025-1) into [`Terms`].
//!
//! INVARIANT: what is not understood is an error that names it; nothing is skipped. All errors are
//! listed, so that a policy is corrected once. The order of members and constraints does not matter.
//!
//! Not known here: whether the terms make sense together, see
//! [`check_combination`](super::check_combination).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde_json::{Map, Value};

use super::operand::{Name, Operand, parse_duration};
use super::policy::XSD;
use super::vocabulary::{Backlog, EvidenceKind, Field, FieldSet, Notifier, Purpose};
use super::{CONSTRAINTS_MAX, NAMESPACE, RUN_OFF_MS_MAX, Terms, VALUES_MAX};
use crate::contact::ContactForm;
use crate::dataset::Dataset;
use crate::ids::Marketplace;
use crate::time::{Timestamp, Zone};

/// What is wrong with a part of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TermProblem {
    /// A member that a policy, rule or constraint does not have.
    UnknownMember,
    /// An operand that is no term of the profile.
    UnknownTerm,
    /// An operator that the term does not take.
    WrongOperator,
    /// An action that the profile does not know in this place.
    UnknownAction,
    /// A value that the term does not know.
    UnknownValue,
    /// A profile other than ours.
    UnknownProfile,
    /// A field that the dataset does not have.
    NotInDataset,
    /// `and`, `or`, `xone` or `andSequence`.
    LogicalConstraint,
    /// The second of its kind.
    Duplicate,
    /// A term that must be there is not.
    Missing,
    /// Another JSON type.
    WrongType,
    /// A bare JSON number, which the schema of DSP 2025-1 does not allow.
    BareNumber,
    /// An instant without zone, or none at all.
    NoInstant,
    /// A number or duration outside what is allowed.
    OutOfRange,
    /// More than the limit.
    TooMany,
}

impl TermProblem {
    /// The problem in a few words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownMember => "unknown member",
            Self::UnknownTerm => "unknown term",
            Self::WrongOperator => "wrong operator for",
            Self::UnknownAction => "unknown action",
            Self::UnknownValue => "unknown value",
            Self::UnknownProfile => "unknown profile",
            Self::NotInDataset => "no field of this dataset:",
            Self::LogicalConstraint => "logical constraint",
            Self::Duplicate => "repeated",
            Self::Missing => "missing",
            Self::WrongType => "wrong JSON type for",
            Self::BareNumber => "bare number for",
            Self::NoInstant => "no instant with zone in",
            Self::OutOfRange => "out of range:",
            Self::TooMany => "too many values in",
        }
    }
}

/// One reason why a policy is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pointer}`: {problem} `{term}`; {remedy}")]
pub struct TermError {
    /// Where, as a JSON pointer (RFC 6901) into the policy.
    pub pointer: String,
    /// What is wrong.
    pub problem: TermProblem,
    /// The term, member, action or value in question, as it was given, at most 128 characters.
    pub term: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for TermProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

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

    fn constraints(&mut self, at: &str, value: &Value) {
        let constraints = one_or_many(at, value);
        if self.within_limit(at, "constraint", constraints.len(), CONSTRAINTS_MAX) {
            for (at, constraint) in constraints {
                self.constraint(&at, constraint);
            }
        }
    }

    /// Left operand, operator and right operand of an atomic constraint.
    fn atomic<'a>(
        &mut self,
        at: &str,
        constraint: &'a Value,
    ) -> Option<(&'a str, &'a str, &'a Value)> {
        let object = self.object(at, constraint)?;
        let errors_before = self.errors.len();
        let (mut operand, mut operator, mut right) = (None, None, None);
        for (local, key, value) in self.members(at, object) {
            match local {
                "@id" | "@type" => {}
                "leftOperand" => operand = text_of(value),
                "operator" => operator = text_of(value),
                "rightOperand" => right = Some(value),
                "and" | "or" | "xone" | "andSequence" => self.error(
                    &pointer(at, key),
                    TermProblem::LogicalConstraint,
                    key,
                    "list the constraints one by one; alternatives are separate offers",
                ),
                _ => self.error(
                    &pointer(at, key),
                    TermProblem::UnknownMember,
                    key,
                    "a constraint has `leftOperand`, `operator` and `rightOperand`",
                ),
            }
        }
        if self.errors.len() > errors_before {
            return None;
        }
        let missing = match (operand, operator, right) {
            (Some(operand), Some(operator), Some(right)) => {
                return Some((operand, operator, right));
            }
            (None, _, _) => "leftOperand",
            (_, None, _) => "operator",
            (_, _, None) => "rightOperand",
        };
        self.error(
            &pointer(at, missing),
            TermProblem::Missing,
            missing,
            "a constraint has `leftOperand`, `operator` and `rightOperand`",
        );
        None
    }

    fn constraint(&mut self, at: &str, constraint: &Value) {
        let Some((given, operator, right)) = self.atomic(at, constraint) else {
            return;
        };
        let candidates: Vec<Operand> = Operand::ALL
            .into_iter()
            .filter(|o| o.name() == Name::of(given))
            .collect();
        if candidates.is_empty() {
            let known: BTreeSet<String> = Operand::ALL.iter().map(|o| o.short()).collect();
            let remedy = format!("remove it or use one of {}", list(&known));
            self.error(at, TermProblem::UnknownTerm, given, remedy);
            return;
        }
        let Some(operand) = candidates
            .iter()
            .find(|o| Name::Odrl(o.operator()) == Name::of(operator))
        else {
            let known: Vec<&str> = candidates.iter().map(|o| o.operator()).collect();
            let remedy = format!("use {}", list(&known));
            self.error(at, TermProblem::WrongOperator, given, remedy);
            return;
        };
        if !self.seen.insert(*operand) {
            let remedy = "write it once, with all its values";
            self.error(at, TermProblem::Duplicate, given, remedy);
            return;
        }
        self.take(*operand, &pointer(at, "rightOperand"), given, right);
    }

    fn take(&mut self, operand: Operand, at: &str, term: &str, value: &Value) {
        match operand {
            Operand::From => {
                if let Some((instant, _)) = self.instant(at, value, term) {
                    self.terms.from = instant;
                }
            }
            Operand::Until => {
                if let Some((instant, zone)) = self.instant(at, value, term) {
                    self.terms.until = instant;
                    self.terms.zone = zone;
                }
            }
            Operand::CoversFrom => {
                self.terms.covers_from = self.instant(at, value, term).map(|(instant, _)| instant);
            }
            Operand::Purpose => {
                self.terms.purposes = self.set(
                    at,
                    value,
                    term,
                    Purpose::parse,
                    &words(Purpose::ALL, |w| w.as_str()),
                );
            }
            Operand::Marketplace => {
                let known = "a name such as `taobao`: lower-case letters, digits, `-` and `_`";
                self.terms.marketplaces =
                    self.set(at, value, term, |text| Marketplace::parse(text).ok(), known);
            }
            Operand::Field => self.fields(at, value, term),
            Operand::ContactForm => {
                let known = words(&FORMS, |w| w.as_str());
                let parse = |text: &str| FORMS.into_iter().find(|f| f.as_str() == text);
                self.terms.contact_forms = self.set(at, value, term, parse, &known);
            }
            Operand::Evidence => {
                let known = words(EvidenceKind::ALL, |w| w.as_str());
                self.terms.evidence = self.set(at, value, term, EvidenceKind::parse, &known);
            }
            Operand::Notifier => {
                let known = words(Notifier::ALL, |w| w.as_str());
                self.terms.notifier = self.word(at, value, term, Notifier::parse, &known);
            }
            Operand::Backlog => {
                let known = words(Backlog::ALL, |w| w.as_str());
                self.terms.backlog = self.word(at, value, term, Backlog::parse, &known);
            }
            Operand::QuotaPerDay => self.terms.quota_per_day = self.quota(at, value, term),
            Operand::QuotaPerParcel => self.terms.quota_per_parcel = self.quota(at, value, term),
            Operand::RunOff => {
                self.terms.run_off_ms = self.duration(at, value, term, RUN_OFF_MS_MAX);
            }
        }
    }

    fn fields(&mut self, at: &str, value: &Value, term: &str) {
        let here = words(Field::of(self.dataset), |w| w.as_str());
        let known = words(Field::ALL, |w| w.as_str());
        let fields = self.set(at, value, term, Field::parse, &known);
        let dataset = FieldSet::of(self.dataset);
        for field in &fields {
            if !dataset.contains(*field) {
                let remedy = format!("`{}` has {here}", self.dataset);
                self.error(at, TermProblem::NotInDataset, field.as_str(), remedy);
            }
        }
        self.terms.fields = fields;
    }

    fn set<T: Ord>(
        &mut self,
        at: &str,
        value: &Value,
        term: &str,
        parse: impl Fn(&str) -> Option<T>,
        known: &str,
    ) -> BTreeSet<T> {
        let values = one_or_many(at, value);
        if values.is_empty() {
            self.error(at, TermProblem::Missing, term, "name at least one value");
        }
        if !self.within_limit(at, term, values.len(), VALUES_MAX) {
            return BTreeSet::new();
        }
        values
            .into_iter()
            .filter_map(|(at, value)| self.word(&at, value, term, &parse, known))
            .collect()
    }

    fn word<T>(
        &mut self,
        at: &str,
        value: &Value,
        term: &str,
        parse: impl Fn(&str) -> Option<T>,
        known: &str,
    ) -> Option<T> {
        let Some(text) = text_of(value) else {
            self.error(at, TermProblem::WrongType, term, format!("use {known}"));
            return None;
        };
        let local = match Name::of(text) {
            Name::Interlock(local) => local,
            Name::Odrl(_) | Name::Foreign => text,
        };
        let word = parse(local);
        if word.is_none() {
            self.error(at, TermProblem::UnknownValue, text, format!("use {known}"));
        }
        word
    }

    fn instant(&mut self, at: &str, value: &Value, term: &str) -> Option<(Timestamp, Zone)> {
        let parsed = literal(value, INSTANT_TYPES)
            .and_then(Value::as_str)
            .and_then(|text| Timestamp::parse_zoned(text).ok());
        if parsed.is_none() {
            let remedy = "write RFC 3339 with an offset, such as `2017-06-01T00:00:00+08:00`";
            self.error(at, TermProblem::NoInstant, term, remedy);
        }
        parsed
    }

    fn duration(&mut self, at: &str, value: &Value, term: &str, ms_max: i64) -> Option<i64> {
        let parsed = literal(value, DURATION_TYPES)
            .and_then(Value::as_str)
            .and_then(parse_duration)
            .filter(|ms| (1..=ms_max).contains(ms));
        if parsed.is_none() {
            let remedy = if ms_max == RUN_OFF_MS_MAX {
                "write a duration of at most `P7D`, such as `P3D` or `PT72H`"
            } else {
                "write a duration such as `P30D` or `PT12H`, without years and months"
            };
            self.error(at, TermProblem::OutOfRange, term, remedy);
        }
        parsed
    }

    fn quota(&mut self, at: &str, value: &Value, term: &str) -> Option<u32> {
        if value.is_number() {
            let remedy = format!("write the string `\"{value}\"` or a typed value");
            self.error(at, TermProblem::BareNumber, term, remedy);
            return None;
        }
        let number = match literal(value, NUMBER_TYPES) {
            Some(Value::Number(number)) => number.as_u64().and_then(|n| u32::try_from(n).ok()),
            Some(Value::String(text)) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok()
            }
            Some(
                Value::String(_)
                | Value::Null
                | Value::Bool(_)
                | Value::Array(_)
                | Value::Object(_),
            )
            | None => None,
        };
        let number = number.filter(|n| *n > 0);
        if number.is_none() {
            let remedy = format!("write a whole number from `\"1\"` to `\"{}\"`", u32::MAX);
            self.error(at, TermProblem::OutOfRange, term, remedy);
        }
        number
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

const FORMS: [ContactForm; 4] = [
    ContactForm::Masked,
    ContactForm::Sealed,
    ContactForm::Virtual,
    ContactForm::Full,
];

const WORD_TYPES: &[&str] = &["string", "anyURI"];
const INSTANT_TYPES: &[&str] = &["dateTime", "dateTimeStamp"];
const DURATION_TYPES: &[&str] = &["duration", "dayTimeDuration"];
const NUMBER_TYPES: &[&str] = &["integer", "nonNegativeInteger", "positiveInteger"];

/// A string, an `@id` or a string of XML Schema.
fn text_of(value: &Value) -> Option<&str> {
    match value.get("@id") {
        Some(id) if value.as_object().is_some_and(|object| object.len() == 1) => id.as_str(),
        Some(_) => None,
        None => literal(value, WORD_TYPES)?.as_str(),
    }
}

/// A bare value, or the `@value` of a typed one if its type is among `types` of XML Schema. Language
/// tags make no sense here and are not taken.
fn literal<'a>(value: &'a Value, types: &[&str]) -> Option<&'a Value> {
    let Some(object) = value.as_object() else {
        return Some(value);
    };
    let known = |key: &String| matches!(key.as_str(), "@value" | "@type");
    let typed = match object.get("@type") {
        None => true,
        Some(given) => {
            let given = given.as_str()?;
            let local = given
                .strip_prefix(XSD)
                .or_else(|| given.strip_prefix("xsd:"))?;
            types.contains(&local)
        }
    };
    let inner = object.get("@value").filter(|inner| !inner.is_object())?;
    (typed && object.keys().all(known)).then_some(inner)
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
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn words<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> String {
    let names: Vec<&str> = all.iter().map(|word| name(*word)).collect();
    list(&names)
}

fn list<'a, T: AsRef<str> + 'a>(names: impl IntoIterator<Item = &'a T>) -> String {
    let quoted: Vec<String> = names
        .into_iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::testing::{any_terms, contact_terms, event_terms};
    use super::*;

    use TermProblem as P;

    fn contact(policy: &Value) -> Result<Terms, Vec<TermError>> {
        parse_policy(policy, Dataset::RecipientContact)
    }

    /// The policy of the contact terms with one constraint replaced or added.
    fn with(index: usize, constraint: Value) -> Value {
        let mut policy = contact_terms().to_policy();
        let list = policy["permission"][0]["constraint"]
            .as_array_mut()
            .unwrap();
        if index < list.len() {
            list[index] = constraint;
        } else {
            list.push(constraint);
        }
        policy
    }

    fn atomic(left: &str, operator: &str, right: Value) -> Value {
        json!({ "leftOperand": left, "operator": operator, "rightOperand": right })
    }

    #[track_caller]
    fn refuses(policy: &Value, pointer: &str, problem: TermProblem, term: &str, remedy: &str) {
        let errors = contact(policy).unwrap_err();
        let found = errors.iter().find(|e| e.pointer == pointer);
        let found = found.unwrap_or_else(|| panic!("{errors:?}"));
        assert_eq!((found.problem, found.term.as_str()), (problem, term));
        assert!(found.remedy.contains(remedy), "{}", found.remedy);
    }

    #[test]
    fn compact_prefixed_and_full_names_read_the_same() {
        let text = contact_terms().to_policy().to_string();
        let prefixed = text
            .replace(NAMESPACE, "il:")
            .replace("\"use\"", "\"odrl:use\"");
        let full = text
            .replace("odrl:", "http://www.w3.org/ns/odrl/2/")
            .replace("\"isAnyOf\"", "{\"@id\":\"odrl:isAnyOf\"}")
            .replace(
                "\"delete\"",
                "{\"@id\":\"http://www.w3.org/ns/odrl/2/delete\"}",
            );
        let compact = text
            .replace("odrl:", "")
            .replace("http://www.w3.org/2001/XMLSchema#", "xsd:");
        let keys = text.replace("\"permission\"", "\"odrl:permission\"");
        for variant in [prefixed, full, compact, keys] {
            assert_ne!(variant, text);
            let policy: Value = serde_json::from_str(&variant).unwrap();
            assert_eq!(contact(&policy), Ok(contact_terms()), "{variant}");
        }
    }

    #[test]
    fn single_values_order_and_envelope_do_not_matter() {
        let mut policy = contact_terms().to_policy();
        let list = policy["permission"][0]["constraint"]
            .as_array_mut()
            .unwrap();
        list.reverse();
        let market = list
            .iter_mut()
            .find(|c| c["rightOperand"] == json!(["taobao"]))
            .unwrap();
        market["rightOperand"] = json!({ "@value": "taobao", "@type": "xsd:string" });
        policy["permission"] = policy["permission"][0].take();
        policy["@context"] = json!(["https://w3id.org/dspace/2025/1/context.jsonld"]);
        policy["@id"] = json!("urn:uuid:1");
        policy["@type"] = json!("Agreement");
        policy["target"] = json!("recipient-contact");
        policy["assigner"] = json!("did:web:cainiao.example");
        policy["assignee"] = json!("did:web:fengchao.example");
        policy["timestamp"] = json!("2017-05-30T10:00:00+08:00");
        policy["profile"] = json!(NAMESPACE);
        assert_eq!(contact(&policy), Ok(contact_terms()));
    }

    #[test]
    fn unknown_terms_are_named() {
        let at = |n: usize| format!("/permission/0/constraint/{n}");
        let extra = |left: &str| with(99, atomic(left, "eq", json!("x")));
        refuses(
            &extra("il:colour"),
            &at(11),
            P::UnknownTerm,
            "il:colour",
            "`il:field`",
        );
        refuses(
            &extra("ex:field"),
            &at(11),
            P::UnknownTerm,
            "ex:field",
            "remove it",
        );
        refuses(
            &extra("field"),
            &at(11),
            P::UnknownTerm,
            "field",
            "`il:field`",
        );
        let wrong = with(
            0,
            atomic("odrl:dateTime", "eq", json!("2017-06-01T00:00:00Z")),
        );
        refuses(
            &wrong,
            &at(0),
            P::WrongOperator,
            "odrl:dateTime",
            "`gteq`, `lt`",
        );
        let or = with(0, json!({ "or": [] }));
        refuses(
            &or,
            &format!("{}/or", at(0)),
            P::LogicalConstraint,
            "or",
            "separate offers",
        );
        let twice = with(99, atomic("il:field", "isAnyOf", json!("name")));
        refuses(&twice, &at(11), P::Duplicate, "il:field", "once");
        let half = with(
            0,
            json!({ "leftOperand": "odrl:dateTime", "operator": "lt" }),
        );
        refuses(
            &half,
            &format!("{}/rightOperand", at(0)),
            P::Missing,
            "rightOperand",
            "constraint",
        );
    }

    #[test]
    fn unknown_values_are_named() {
        let right = |n: usize| format!("/permission/0/constraint/{n}/rightOperand");
        let set = |n: usize, left: &str, value: Value| with(n, atomic(left, "isAnyOf", value));
        let purpose = set(
            2,
            "odrl:purpose",
            json!(["pickup-notification", "profiling"]),
        );
        refuses(
            &purpose,
            &format!("{}/1", right(2)),
            P::UnknownValue,
            "profiling",
            "`deposit-consent`",
        );
        refuses(
            &set(3, "il:marketplace", json!("TB")),
            &right(3),
            P::UnknownValue,
            "TB",
            "`taobao`",
        );
        refuses(
            &set(4, "il:field", json!(["waybill"])),
            &right(4),
            P::NotInDataset,
            "waybill",
            "`contact`",
        );
        refuses(
            &set(4, "il:field", json!([])),
            &right(4),
            P::Missing,
            "il:field",
            "at least one",
        );
        let many: Vec<String> = (0..65).map(|n| format!("m{n}")).collect();
        refuses(
            &set(3, "il:marketplace", json!(many)),
            &right(3),
            P::TooMany,
            "il:marketplace",
            "64",
        );
        let local = with(
            0,
            atomic("odrl:dateTime", "gteq", json!("2017-06-01T00:00:00")),
        );
        refuses(&local, &right(0), P::NoInstant, "odrl:dateTime", "offset");
        let bare = with(6, atomic("il:quotaPerDay", "lteq", json!(5)));
        refuses(&bare, &right(6), P::BareNumber, "il:quotaPerDay", "`\"5\"`");
        for bad in [
            json!("0"),
            json!("-1"),
            json!("4294967296"),
            json!(""),
            json!({"@value": 1.5}),
        ] {
            let quota = with(6, atomic("il:quotaPerDay", "lteq", bad));
            refuses(
                &quota,
                &right(6),
                P::OutOfRange,
                "il:quotaPerDay",
                "whole number",
            );
        }
        let typed = with(
            6,
            atomic(
                "il:quotaPerDay",
                "lteq",
                json!({"@value": 7, "@type": "xsd:integer"}),
            ),
        );
        assert_eq!(contact(&typed).unwrap().quota_per_day, Some(7));
        let long = with(10, atomic("il:runOff", "lteq", json!("P8D")));
        refuses(&long, &right(10), P::OutOfRange, "il:runOff", "P7D");
        let notifier = with(9, atomic("il:notifier", "eq", json!(["operator", "owner"])));
        refuses(
            &notifier,
            &right(9),
            P::WrongType,
            "il:notifier",
            "`carrier`",
        );
    }

    #[test]
    fn rules_are_checked() {
        let edit = |edit: fn(&mut Value)| {
            let mut policy = contact_terms().to_policy();
            edit(&mut policy);
            policy
        };
        let action = edit(|p| p["permission"][0]["action"] = json!("sell"));
        refuses(
            &action,
            "/permission/0/action",
            P::UnknownAction,
            "sell",
            "`use`",
        );
        let two = edit(|p| p["permission"] = json!([p["permission"][0], p["permission"][0]]));
        refuses(
            &two,
            "/permission",
            P::TooMany,
            "permission",
            "one permission",
        );
        let none = edit(|p| drop(p.as_object_mut().unwrap().remove("permission")));
        refuses(&none, "/permission", P::Missing, "permission", "add one");
        let assignee = edit(|p| p["permission"][0]["assignee"] = json!("did:web:x"));
        refuses(
            &assignee,
            "/permission/0/assignee",
            P::UnknownMember,
            "assignee",
            "remove",
        );
        let inherit = edit(|p| p["inheritFrom"] = json!("x"));
        refuses(
            &inherit,
            "/inheritFrom",
            P::UnknownMember,
            "inheritFrom",
            "`permission`",
        );
        let profile = edit(|p| p["profile"] = json!("https://example.org/p"));
        refuses(
            &profile,
            "/profile",
            P::UnknownProfile,
            "https://example.org/p",
            NAMESPACE,
        );
        let prohibition = edit(|p| p["prohibition"][0]["action"] = json!("print"));
        refuses(
            &prohibition,
            "/prohibition/0/action",
            P::UnknownAction,
            "print",
            "`distribute`",
        );
        let limited = edit(|p| p["prohibition"][0]["constraint"] = json!([{}]));
        refuses(
            &limited,
            "/prohibition/0/constraint",
            P::UnknownMember,
            "constraint",
            "action only",
        );
        let twice = edit(|p| p["obligation"] = json!([p["obligation"][0], p["obligation"][0]]));
        refuses(
            &twice,
            "/obligation/1",
            P::Duplicate,
            "il:reciprocate",
            "once",
        );
        let duty = edit(|p| p["permission"][0]["duty"] = json!([{ "action": "delete" }]));
        refuses(
            &duty,
            "/permission/0/duty/0",
            P::Missing,
            "odrl:elapsedTime",
            "P30D",
        );
        let inform = edit(|p| p["permission"][0]["duty"][0]["action"] = json!("inform"));
        refuses(
            &inform,
            "/permission/0/duty/0/action",
            P::UnknownAction,
            "inform",
            "`delete`",
        );
    }

    #[test]
    fn all_errors_are_listed_with_what_is_missing() {
        let policy = json!({ "permission": { "action": "use", "constraint": [
            atomic("il:one", "eq", json!("x")),
            atomic("il:two", "eq", json!("x")),
        ] } });
        let terms: Vec<String> = contact(&policy)
            .unwrap_err()
            .into_iter()
            .map(|e| e.term)
            .collect();
        assert_eq!(
            terms,
            [
                "il:one",
                "il:two",
                "odrl:dateTime",
                "odrl:dateTime",
                "odrl:purpose",
                "il:field",
                "il:marketplace"
            ]
        );
        let stations = parse_policy(&policy, Dataset::LockerStations).unwrap_err();
        assert!(stations.iter().all(|e| e.term != "il:marketplace"));
        let many =
            json!({ "permission": { "action": "use", "constraint": alloc::vec![json!({}); 65] } });
        refuses(
            &many,
            "/permission/constraint",
            P::TooMany,
            "constraint",
            "64",
        );
        let backwards = with(
            1,
            atomic("odrl:dateTime", "lt", json!("2017-06-01T00:00:00+08:00")),
        );
        refuses(
            &backwards,
            "/permission",
            P::OutOfRange,
            "odrl:dateTime",
            "after it begins",
        );
    }

    #[test]
    fn an_error_reads_as_a_sentence() {
        let errors = contact(&with(99, atomic("il:a/b~c", "eq", json!("x")))).unwrap_err();
        let text = errors[0].to_string();
        let start =
            "`/permission/0/constraint/11`: unknown term `il:a/b~c`; remove it or use one of ";
        assert!(text.starts_with(start), "{text}");
        assert_eq!(pointer("", "a/b~c"), "/a~1b~0c");
    }

    /// Every node of a policy with its pointer.
    fn nodes(at: &str, value: &Value, out: &mut Vec<String>) {
        out.push(at.into());
        if let Some(object) = value.as_object() {
            for (key, value) in object {
                nodes(&pointer(at, key), value, out);
            }
        }
        if let Some(items) = value.as_array() {
            for (index, value) in items.iter().enumerate() {
                nodes(&pointer(at, &index.to_string()), value, out);
            }
        }
    }

    #[test]
    fn no_part_of_a_policy_is_ignored() {
        for terms in [contact_terms(), event_terms()] {
            let policy = terms.to_policy();
            let mut all = Vec::new();
            nodes("", &policy, &mut all);
            assert!(all.len() > 60);
            for at in &all {
                for junk in [
                    Value::Null,
                    json!(true),
                    json!(1),
                    json!("junk"),
                    json!({ "x": 1 }),
                    json!([[]]),
                ] {
                    let mut changed = policy.clone();
                    *changed.pointer_mut(at).unwrap() = junk;
                    let read = parse_policy(&changed, terms.dataset);
                    assert_ne!(read, Ok(terms.clone()), "{at} was ignored: {changed}");
                }
                let mut grown = policy.clone();
                if let Some(object) = grown.pointer_mut(at).unwrap().as_object_mut() {
                    object.insert("il:more".into(), json!("junk"));
                    let read = parse_policy(&grown, terms.dataset);
                    assert!(read.is_err(), "a new member at {at} was ignored");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(terms in any_terms()) {
            let policy = terms.to_policy();
            prop_assert_eq!(parse_policy(&policy, terms.dataset), Ok(terms.clone()));
            let text: Value = serde_json::from_str(&policy.to_string()).unwrap();
            prop_assert_eq!(parse_policy(&text, terms.dataset), Ok(terms));
        }
    }
}
