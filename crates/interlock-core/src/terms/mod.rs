//! The terms of an agreement: the `il:` profile of ODRL 2.2 as one typed value.
//!
//! INVARIANT: a [`Terms`] holds only what this version understands. What a policy says beyond that
//! is refused by [`parse_policy`], never ignored, because a term that is not understood cannot be
//! kept. Not known here: whether an agreement is in force ([`crate::agreement`]), and whether an
//! item may leave ([`crate::decide`]).

mod combination;
mod comparison;
mod labels;
mod operand;
mod parse;
mod policy;
#[cfg(test)]
pub(crate) mod testing;
mod vocabulary;
mod words;

use alloc::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::contact::ContactForm;
use crate::dataset::Dataset;
use crate::ids::Marketplace;
use crate::time::{DAY_MS, Timestamp, Zone};

pub use combination::{CombinationError, check_combination, purposes_of, withholds_code};
pub use comparison::{Effect, TermChange, changes, within};
pub use labels::dataset_label;
pub use parse::{TermError, TermProblem, parse_policy};
pub use vocabulary::{
    Backlog, EvidenceKind, Field, FieldSet, Notifier, Purpose, TermClass, TermKey,
};
pub use words::{TermLine, describe, summary};

/// The namespace of the profile, written `il:` in documents.
pub const NAMESPACE: &str = "https://w3id.org/interlock/ns#";
/// The longest run-off that can be agreed on, in milliseconds (`P7D`).
pub const RUN_OFF_MS_MAX: i64 = 7 * DAY_MS;
/// Most constraints in one policy.
pub const CONSTRAINTS_MAX: usize = 64;
/// Most values in one constraint.
pub const VALUES_MAX: usize = 64;

/// Everything two participants agree on for one dataset.
///
/// An empty set grants nothing, except `evidence` of a feed, where it demands nothing. `None` in a
/// quota is no limit. The fields are stored in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// What flows.
    pub dataset: Dataset,
    /// First instant at which it flows.
    pub from: Timestamp,
    /// First instant at which it flows no more: the term is half open, `[from, until)`.
    pub until: Timestamp,
    /// The zone of `until`; days of quotas are days in it.
    pub zone: Zone,
    /// What it may be asked for.
    pub purposes: BTreeSet<Purpose>,
    /// Scope: the marketplaces whose parcels it covers. Empty for open data, which has no parcels.
    pub marketplaces: BTreeSet<Marketplace>,
    /// What of an item leaves.
    pub fields: BTreeSet<Field>,
    /// The forms in which a contact may leave. In `pickup-code` the forms of the code: `sealed` to
    /// the recipient's enrolled key, which the owner relays and cannot read, or `full`, the open
    /// code. A code that is withheld has no agreement at all.
    pub contact_forms: BTreeSet<ContactForm>,
    /// Distinct parcels in a day of `zone`.
    pub quota_per_day: Option<u32>,
    /// Releases of one parcel.
    pub quota_per_parcel: Option<u32>,
    /// Evidence of which any one opens a release.
    pub evidence: BTreeSet<EvidenceKind>,
    /// Who tells the recipient.
    pub notifier: Option<Notifier>,
    /// How long parcels that qualified before the end are still served, in milliseconds, at most
    /// [`RUN_OFF_MS_MAX`].
    pub run_off_ms: Option<i64>,
    /// What happens to items that arise while nothing is in force.
    pub backlog: Option<Backlog>,
    /// Items that arose before `from` flow if they arose at this instant or later.
    pub covers_from: Option<Timestamp>,
    /// The consumer deletes within this time, in milliseconds.
    pub delete_after_ms: Option<i64>,
    /// The provider may stop when the counterparty has stopped, with notice.
    pub reciprocate: bool,
    /// The consumer passes nothing on.
    pub no_redisclosure: bool,
}

impl Terms {
    /// The earliest instant at which an item may have arisen to flow under these terms.
    pub fn coverage_start(&self) -> Timestamp {
        match (self.backlog, self.covers_from) {
            (Some(Backlog::Drop), _) | (_, None) => self.from,
            (Some(Backlog::Hold) | None, Some(covered)) => covered.min(self.from),
        }
    }

    /// The fields that leave: those agreed on that exist in the dataset.
    pub fn field_set(&self) -> FieldSet {
        let agreed: FieldSet = self.fields.iter().copied().collect();
        agreed.intersection(FieldSet::of(self.dataset))
    }
}

/// A language in which terms and reasons are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Simplified Chinese.
    Zh,
}
