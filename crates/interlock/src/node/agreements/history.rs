//! The log of a negotiation or an agreement: who did or decided what, when, about which terms.
//!
//! INVARIANT: a line is a record of its own, so that a long history costs a change nothing; what our
//! people decided is dropped last. It does not know what a decision leads to.

use std::fmt;

use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::Node;
use super::super::record::Record;
use super::super::turn::Turn;
use super::{Agreement, Book, Negotiation};

/// Most lines of a history that are kept at hand; the journal has all of them.
const HISTORY_MAX: usize = 1_000;

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    /// This node by itself: time passed, or a step of the protocol followed from another.
    Node,
    /// One of our people, by the name of the API key.
    Person(String),
    /// The other party.
    Partner(ParticipantId),
    /// An offer of ours that accepts by itself.
    Offer(WireId),
}

impl Actor {
    /// `node`, `person`, `partner` or `offer`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Person(_) => "person",
            Self::Partner(_) => "partner",
            Self::Offer(_) => "offer",
        }
    }
}

impl From<&str> for Actor {
    fn from(person: &str) -> Self {
        Self::Person(person.into())
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("this node"),
            Self::Person(name) => f.write_str(name),
            Self::Partner(id) => id.fmt(f),
            Self::Offer(id) => write!(f, "offer {id}"),
        }
    }
}

/// Which terms something was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Their number in the negotiation.
    pub number: u32,
    /// SHA-256 of the normalised policy.
    pub policy_hash: [u8; 32],
}

/// Something that was done or decided, as it is put on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// The negotiation or agreement.
    pub about: WireId,
    /// Who.
    pub by: Actor,
    /// What, in words.
    pub what: String,
    /// About which terms, in a negotiation.
    pub version: Option<Version>,
}

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
    /// What, in words.
    pub what: String,
    /// About which terms, in a negotiation.
    pub version: Option<Version>,
}

impl Book {
    /// Adds a line.
    pub(in crate::node) fn noted(&mut self, at: Timestamp, noted: &Noted) {
        let lines = self.histories.entry(noted.about.clone()).or_default();
        if lines.len() >= HISTORY_MAX {
            let decided = |line: &HistoryEntry| matches!(line.by, Actor::Person(_));
            let oldest = lines.iter().position(|line| !decided(line)).unwrap_or(0);
            lines.remove(oldest);
        }
        lines.push_back(HistoryEntry {
            at,
            by: noted.by.clone(),
            what: noted.what.clone(),
            version: noted.version,
        });
    }
}

impl Node {
    /// Puts on record what was done about a negotiation, and about which terms.
    pub(super) fn note(
        &mut self,
        turn: &mut Turn<'_>,
        negotiation: &Negotiation,
        by: Actor,
        what: impl Into<String>,
    ) {
        let version = Version {
            number: negotiation.version,
            policy_hash: negotiation.policy_hash,
        };
        let noted = Noted {
            about: negotiation.id.clone(),
            by,
            what: what.into(),
            version: Some(version),
        };
        self.record(turn, Record::Noted(Box::new(noted)));
    }

    /// Puts on record what was done about an agreement.
    pub(super) fn note_agreement(
        &mut self,
        turn: &mut Turn<'_>,
        agreement: &Agreement,
        by: Actor,
        what: impl Into<String>,
    ) {
        let noted = Noted {
            about: agreement.id.clone(),
            by,
            what: what.into(),
            version: None,
        };
        self.record(turn, Record::Noted(Box::new(noted)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chatter_does_not_push_out_what_people_decided() {
        let mut book = Book::default();
        let id = WireId::parse("urn:n").unwrap();
        let line = |by, what: &str| Noted {
            about: id.clone(),
            by,
            what: what.into(),
            version: None,
        };
        let at = Timestamp::from_millis(0);
        book.noted(at, &line(Actor::Person("li".into()), "approved"));
        for number in 0..2 * HISTORY_MAX {
            book.noted(at, &line(Actor::Node, &number.to_string()));
        }
        let lines: Vec<_> = book.history(&id).collect();
        assert_eq!(lines.len(), HISTORY_MAX);
        assert_eq!(lines[0].what, "approved");
        assert_eq!(lines[1].what, (HISTORY_MAX + 1).to_string());
    }
}
