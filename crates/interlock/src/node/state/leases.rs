//! Numbers that are leased for a parcel's recipient.
//!
//! INVARIANT: each holder has leases of its own, which nothing that another does begins, changes or ends; a
//! lease is never taken out of its parcel, so that its extension never comes again. It does not know who calls.

use interlock_core::ids::ParticipantId;
use interlock_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::State;
use super::parcels::Parcel;

/// What is leased, as it is kept: nobody who reads it can dial an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Leased {
    /// The extension of so many leases of the parcel before.
    Extension(u16),
    /// The number of a pool with these digits.
    Number(u64),
}

impl Leased {
    /// Reads what a record says; `None` for what leads nowhere.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(nth) = text.strip_prefix('#') {
            return nth.parse().ok().map(Self::Extension);
        }
        text.strip_prefix('+')?.parse().ok().map(Self::Number)
    }
}

/// As it stands in records.
impl std::fmt::Display for Leased {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Extension(nth) => write!(f, "#{nth}"),
            Self::Number(digits) => write!(f, "+{digits}"),
        }
    }
}

/// A number at which one participant reaches a parcel's recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Which.
    pub number: Leased,
    /// To whom.
    pub holder: ParticipantId,
    /// When, by our journal.
    pub since: Timestamp,
    /// Its end, exclusive.
    pub until: Timestamp,
}

impl Parcel {
    /// What a participant was leased last.
    pub fn lease_of(&self, holder: &ParticipantId) -> Option<&Lease> {
        let mut newest = self.leases.iter().rev();
        newest.find(|lease| lease.holder == *holder)
    }

    /// A number is leased, unless that is what its holder has.
    pub(super) fn leased(&mut self, lease: Lease) {
        let held = self.lease_of(&lease.holder);
        if held.is_none_or(|held| (held.number, held.until) != (lease.number, lease.until)) {
            self.leases.push(lease);
        }
    }

    /// Nobody who was leased a number reaches the recipient by it any more, whoever that is told to be from
    /// now on.
    pub(super) fn end_leases(&mut self, at: Timestamp) {
        for lease in &mut self.leases {
            lease.until = at.min(lease.until);
        }
    }
}

impl State {
    /// Whether who has a lease may be connected by it, as far as the clock and our memory say. One from
    /// before the end of our journal was lost may have ended in what was lost.
    pub fn may_be_called(&self, lease: &Lease, at: Timestamp) -> bool {
        at < lease.until && self.rolled_back_at.is_none_or(|lost| lost < lease.since)
    }
}
