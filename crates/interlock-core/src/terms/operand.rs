//! How each term is written in ODRL: operand, operator, and durations.
//!
//! INVARIANT: one table serves reading, writing and showing, so that they cannot drift apart.

use alloc::format;
use alloc::string::String;

use super::NAMESPACE;
use super::vocabulary::TermKey;
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};

/// The namespace of ODRL 2.2, written `odrl:`.
pub(super) const ODRL: &str = "http://www.w3.org/ns/odrl/2/";

/// A name of a policy, resolved to its vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name<'a> {
    /// Of ODRL: a bare name, `odrl:` or the full IRI.
    Odrl(&'a str),
    /// Of our profile: `il:` or the full IRI.
    Interlock(&'a str),
    /// Anything else.
    Foreign,
}

impl<'a> Name<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        if let Some(local) = text
            .strip_prefix(NAMESPACE)
            .or_else(|| text.strip_prefix("il:"))
        {
            return Self::Interlock(local);
        }
        if let Some(local) = text
            .strip_prefix(ODRL)
            .or_else(|| text.strip_prefix("odrl:"))
        {
            return Self::Odrl(local);
        }
        if text.contains([':', '/', '#']) {
            Self::Foreign
        } else {
            Self::Odrl(text)
        }
    }
}

/// A constraint of a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operand {
    From,
    Until,
    Purpose,
    Marketplace,
    Field,
    ContactForm,
    QuotaPerDay,
    QuotaPerParcel,
    Evidence,
    Notifier,
    RunOff,
    Backlog,
    CoversFrom,
}

impl Operand {
    pub(super) const ALL: [Self; 13] = [
        Self::From,
        Self::Until,
        Self::Purpose,
        Self::Marketplace,
        Self::Field,
        Self::ContactForm,
        Self::QuotaPerDay,
        Self::QuotaPerParcel,
        Self::Evidence,
        Self::Notifier,
        Self::RunOff,
        Self::Backlog,
        Self::CoversFrom,
    ];

    pub(super) const fn name(self) -> Name<'static> {
        match self {
            Self::From | Self::Until => Name::Odrl("dateTime"),
            Self::Purpose => Name::Odrl("purpose"),
            Self::Marketplace => Name::Interlock("marketplace"),
            Self::Field => Name::Interlock("field"),
            Self::ContactForm => Name::Interlock("contactForm"),
            Self::QuotaPerDay => Name::Interlock("quotaPerDay"),
            Self::QuotaPerParcel => Name::Interlock("quotaPerParcel"),
            Self::Evidence => Name::Interlock("evidence"),
            Self::Notifier => Name::Interlock("notifier"),
            Self::RunOff => Name::Interlock("runOff"),
            Self::Backlog => Name::Interlock("backlog"),
            Self::CoversFrom => Name::Interlock("coversFrom"),
        }
    }

    pub(super) const fn operator(self) -> &'static str {
        match self {
            Self::From | Self::CoversFrom => "gteq",
            Self::Until => "lt",
            Self::Purpose
            | Self::Marketplace
            | Self::Field
            | Self::ContactForm
            | Self::Evidence => "isAnyOf",
            Self::QuotaPerDay | Self::QuotaPerParcel | Self::RunOff => "lteq",
            Self::Notifier | Self::Backlog => "eq",
        }
    }

    /// The operand as it is written: `odrl:` needs no context of ours, `il:` would.
    pub(super) fn iri(self) -> String {
        match self.name() {
            Name::Odrl(local) => format!("odrl:{local}"),
            Name::Interlock(local) => format!("{NAMESPACE}{local}"),
            Name::Foreign => String::new(),
        }
    }

    /// The operand as people read it.
    pub(super) fn short(self) -> String {
        match self.name() {
            Name::Odrl(local) => format!("odrl:{local}"),
            Name::Interlock(local) => format!("il:{local}"),
            Name::Foreign => String::new(),
        }
    }
}

impl TermKey {
    /// How the term is written in a policy, such as `il:field`.
    pub const fn odrl(self) -> &'static str {
        match self {
            Self::Dataset => "odrl:target",
            Self::Term => "odrl:dateTime",
            Self::Purpose => "odrl:purpose",
            Self::Scope => "il:marketplace",
            Self::Fields => "il:field",
            Self::ContactForm => "il:contactForm",
            Self::QuotaPerDay => "il:quotaPerDay",
            Self::QuotaPerParcel => "il:quotaPerParcel",
            Self::Evidence => "il:evidence",
            Self::Notifier => "il:notifier",
            Self::RunOff => "il:runOff",
            Self::Backlog => "il:backlog",
            Self::CoversFrom => "il:coversFrom",
            Self::Deletion => "odrl:delete",
            Self::Reciprocity => "il:reciprocate",
            Self::Redisclosure => "odrl:distribute",
        }
    }
}

/// Writes milliseconds as an ISO 8601 duration of days, hours, minutes and seconds.
pub(super) fn write_duration(ms: i64) -> String {
    let mut date = String::from("P");
    let mut rest = ms.max(0);
    if rest >= DAY_MS {
        date.push_str(&format!("{}D", rest / DAY_MS));
        rest %= DAY_MS;
    }
    let mut time = String::new();
    for (unit_ms, letter) in [(HOUR_MS, 'H'), (MINUTE_MS, 'M')] {
        if rest >= unit_ms {
            time.push_str(&format!("{}{letter}", rest / unit_ms));
            rest %= unit_ms;
        }
    }
    match (rest / SECOND_MS, rest % SECOND_MS) {
        (0, 0) => {}
        (seconds, 0) => time.push_str(&format!("{seconds}S")),
        (seconds, ms) => time.push_str(&format!("{seconds}.{ms:03}S")),
    }
    if time.is_empty() && date.len() > 1 {
        return date;
    }
    if time.is_empty() {
        time.push_str("0S");
    }
    format!("{date}T{time}")
}

/// Reads an ISO 8601 duration of weeks, days, hours, minutes and seconds into milliseconds. Years and
/// months have no fixed length and are refused, like everything else (`None`).
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    let body = text.strip_prefix('P')?;
    let (date, time) = match body.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (body, None),
    };
    if body.is_empty() || time == Some("") {
        return None;
    }
    let days = parse_units(date, &[('W', 7 * DAY_MS), ('D', DAY_MS)])?;
    let clock = [('H', HOUR_MS), ('M', MINUTE_MS), ('S', SECOND_MS)];
    let rest = parse_units(time.unwrap_or_default(), &clock)?;
    days.checked_add(rest)
}

fn parse_units(mut text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut total_ms = 0i64;
    for (letter, unit_ms) in units {
        let Some((number, rest)) = text.split_once(*letter) else {
            continue;
        };
        let ms = match number.split_once('.') {
            Some((whole, fraction)) if *letter == 'S' => {
                if fraction.len() != 3 {
                    return None;
                }
                digits(whole)?
                    .checked_mul(*unit_ms)?
                    .checked_add(digits(fraction)?)?
            }
            Some(_) => return None,
            None => digits(number)?.checked_mul(*unit_ms)?,
        };
        total_ms = total_ms.checked_add(ms)?;
        text = rest;
    }
    text.is_empty().then_some(total_ms)
}

fn digits(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, ms) in [
            ("P7D", 7 * DAY_MS),
            ("PT72H", 3 * DAY_MS),
            ("P1W", 7 * DAY_MS),
            ("P1DT2H3M4S", DAY_MS + 2 * HOUR_MS + 3 * MINUTE_MS + 4_000),
            ("PT0.250S", 250),
            ("PT0S", 0),
        ] {
            assert_eq!(parse_duration(text), Some(ms), "{text}");
            assert_eq!(parse_duration(&write_duration(ms)), Some(ms), "{text}");
        }
        assert_eq!(write_duration(3 * DAY_MS), "P3D");
        assert_eq!(write_duration(DAY_MS + 1_500), "P1DT1.500S");
        for bad in [
            "",
            "P",
            "PT",
            "7D",
            "P1Y",
            "P1M",
            "P-1D",
            "P1D2H",
            "PT1S2M",
            "P1.5D",
            "PT1.5S",
            "P99999999999999999D",
            "P 7D",
            "P7DT",
        ] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_are_resolved() {
        assert_eq!(Name::of("use"), Name::Odrl("use"));
        assert_eq!(Name::of("odrl:use"), Name::Odrl("use"));
        assert_eq!(
            Name::of("http://www.w3.org/ns/odrl/2/use"),
            Name::Odrl("use")
        );
        assert_eq!(Name::of("il:field"), Name::Interlock("field"));
        assert_eq!(
            Name::of("https://w3id.org/interlock/ns#field"),
            Name::Interlock("field")
        );
        assert_eq!(Name::of("ex:use"), Name::Foreign);
    }
}
