//! Looks of people, as they are listed.

use interlock_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::node::record::{Looked, Viewer};

/// A look of a person at personal data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LookEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Viewer,
    /// At what.
    pub what: Looked,
}
