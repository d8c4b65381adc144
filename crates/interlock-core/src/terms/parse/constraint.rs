//! Reading the constraints of a permission and their values.
//!
//! INVARIANT: a constraint is taken whole or refused; a value is one of those that the term knows.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::Value;

use super::error::TermProblem;
use super::{Reader, one_or_many, pointer};
use crate::contact::ContactForm;
use crate::ids::Marketplace;
use crate::terms::operand::{Name, Operand, parse_duration};
use crate::terms::policy::XSD;
use crate::terms::vocabulary::{Backlog, EvidenceKind, Field, FieldSet, Notifier, Purpose};
use crate::terms::{CONSTRAINTS_MAX, RUN_OFF_MS_MAX, VALUES_MAX};
use crate::time::{Timestamp, Zone};

impl Reader {
    pub(super) fn constraints(&mut self, at: &str, value: &Value) {
        let constraints = one_or_many(at, value);
        if self.within_limit(at, "constraint", constraints.len(), CONSTRAINTS_MAX) {
            for (at, constraint) in constraints {
                self.constraint(&at, constraint);
            }
        }
    }

    /// Left operand, operator and right operand of an atomic constraint.
    pub(super) fn atomic<'a>(
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

    pub(super) fn duration(
        &mut self,
        at: &str,
        value: &Value,
        term: &str,
        ms_max: i64,
    ) -> Option<i64> {
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
        let value = sole(value);
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
pub(super) fn text_of(value: &Value) -> Option<&str> {
    let value = sole(value);
    match value.get("@id") {
        Some(id) if value.as_object().is_some_and(|object| object.len() == 1) => id.as_str(),
        Some(_) => None,
        None => literal(value, WORD_TYPES)?.as_str(),
    }
}

/// What a list of one holds, which JSON-LD 1.1 has mean the same as its item; else the value itself.
fn sole(value: &Value) -> &Value {
    match value.as_array().map(Vec::as_slice) {
        Some([one]) => one,
        Some(_) | None => value,
    }
}

/// A bare value, or the `@value` of a typed one if its type is among `types` of XML Schema. Language
/// tags make no sense here and are not taken.
fn literal<'a>(value: &'a Value, types: &[&str]) -> Option<&'a Value> {
    let value = sole(value);
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
