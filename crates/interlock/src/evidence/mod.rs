//! Evidence out of a node's journal: what an auditor gets.
//!
//! Purpose: collect both logs of every pair, manifests, policies and keys from the records, and show
//! single items on request. Invariants: it only reads, beside a running node too; personal data is in
//! an export only where an item was asked for. It does not check anything: that is for
//! `interlock_journal::evidence`.

mod anchors;
mod collect;
mod export;
mod open;

pub use collect::{Collected, LogCopy};
pub use export::{ExportError, Exporter, Signer, read};
pub use open::{OpenOneError, Replayed, open_parcel};
