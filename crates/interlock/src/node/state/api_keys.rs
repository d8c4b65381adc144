//! API keys that wait for a second person.
//!
//! INVARIANT: none of them counts; each waits for a week at most. It does not know who may agree to them.

use interlock_core::time::{DAY_MS, Timestamp};
use serde::{Deserialize, Serialize};

use super::State;
use crate::node::io::{Digest, Role};

/// How long a key waits for a second person, in milliseconds.
pub const KEY_ASKED_MS: i64 = 7 * DAY_MS;

/// An API key that somebody asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyAsked {
    /// Who will hold it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Who asked, by name.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl State {
    /// A key waits; those that waited in vain go.
    pub(super) fn key_asked(&mut self, digest: Digest, asked: KeyAsked) {
        let at = asked.at;
        self.keys_asked
            .retain(|_, before| at.since_ms(before.at) < KEY_ASKED_MS);
        self.keys_asked.insert(digest, asked);
    }
}
