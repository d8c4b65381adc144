//! The two logs of a pair of participants: each written by one, mirrored leaf by leaf by the other.
//!
//! INVARIANT: whoever holds a log can show, with the writer's signature, what was demanded and
//! released up to each checkpoint; two checkpoints of one size with different roots convict their
//! signer. What was *received* is shown up to the last receipt only. This module keeps the end of a
//! log in memory; the leaves themselves are records of the node's journal.

mod items;
mod leaf;
mod mirror;
mod out;
mod places;

#[cfg(test)]
mod tests;

pub use items::{commit, item_proof, items_root, verify_item};
pub use leaf::{
    AgreementChange, Deletion, Denial, KeyRotation, LEAF_SIZE_BYTES_MAX, LEAF_VERSION, Lane, Leaf,
    LeafBody, LeafError, Receipt, Release, Request, Rollback, RunOffSet, SignatureBytes, Voided,
};
pub use mirror::{Accepted, ForkEvidence, MirrorError, MirrorLog, RECENT_LEAVES_MAX, SKEW_MS_MAX};
pub use out::{OutError, OutLog, RECEIPTS_OUTSTANDING_MAX, UNACKNOWLEDGED_LEAVES_MAX};
pub use places::{Place, Places, RootedPlaces, SPACING_RECORDS};
