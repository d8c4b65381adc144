//! Values as the local API writes them.

use std::collections::BTreeMap;

use interlock_core::time::{Timestamp, Zone};
use serde::{Deserialize, Deserializer};

/// An instant with the zone that it was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(pub(crate) Timestamp, pub(crate) Zone);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (at, zone) = Timestamp::parse_zoned(&text).map_err(serde::de::Error::custom)?;
        Ok(Self(at, zone))
    }
}

/// A text in both languages.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Both {
    pub(crate) en: String,
    pub(crate) zh: String,
}

/// What participants are called.
#[derive(Debug, Default)]
pub struct Names {
    partners: BTreeMap<String, String>,
    /// Our own id and name.
    own: Option<(String, String)>,
}

/// Names of all partners, by id.
#[derive(Debug, Deserialize)]
pub struct NamesView {
    names: BTreeMap<String, String>,
}

impl NamesView {
    /// What they are called.
    pub fn names(self) -> Names {
        Names::new(self.names)
    }
}

impl Names {
    /// From pairs of id and name.
    pub(crate) fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            partners: pairs.into_iter().collect(),
            own: None,
        }
    }

    /// The same, with what we are called ourselves.
    pub(crate) fn with_own(self, id: &str, name: &str) -> Self {
        Self {
            own: Some((id.into(), name.into())),
            ..self
        }
    }

    /// The name of a participant, its id where it has none here.
    pub(crate) fn of<'a>(&'a self, id: &'a str) -> &'a str {
        let own = self.own.as_ref().filter(|(own, _)| own == id);
        let name = own.map(|(_, name)| name);
        let name = name.or_else(|| self.partners.get(id));
        name.map_or(id, String::as_str)
    }

    /// Whether that is a partner of ours.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.partners.contains_key(id)
    }

    /// All ids and names of partners, by id.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.partners.iter();
        all.map(|(id, name)| (id.as_str(), name.as_str()))
    }
}

/// `1,234`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (digit, left) in digits.chars().zip((0..digits.len()).rev()) {
        out.push(digit);
        if left > 0 && left % 3 == 0 {
            out.push(',');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
