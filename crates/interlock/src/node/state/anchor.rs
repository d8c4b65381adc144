//! Applying records of anchor logs, ours and those that we witness.
//!
//! INVARIANT: an anchor log only grows; after a loss it goes on in another epoch. It does not know
//! when an entry is due.

use std::collections::BTreeMap;

use interlock_core::ids::ParticipantId;
use interlock_core::time::Timestamp;
use interlock_journal::bilateral::items_root;
use interlock_journal::merkle::{Frontier, Hash, leaf_hash};
use serde::{Deserialize, Serialize};

use super::State;
use super::channel::EPOCH_FIRST;
use crate::exchange::wire::Blob;
use crate::node::record::Anchored;

/// Our anchor log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchorLog {
    /// Its epoch.
    pub epoch: u32,
    /// The tree over its entries.
    pub tree: Frontier,
    /// The entries, 32 bytes each; an epoch has a few thousand.
    pub entries: Vec<Hash>,
    /// Its newest checkpoint, a signed note.
    pub note: Option<String>,
    /// Who cosigned it, and the lines that they added.
    pub cosigned: BTreeMap<ParticipantId, String>,
}

impl Default for AnchorLog {
    fn default() -> Self {
        Self::new(EPOCH_FIRST)
    }
}

impl AnchorLog {
    const fn new(epoch: u32) -> Self {
        Self {
            epoch,
            tree: Frontier::new(),
            entries: Vec::new(),
            note: None,
            cosigned: BTreeMap::new(),
        }
    }
}

/// What we have cosigned of a partner's anchor log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessedLog {
    /// Its epoch.
    pub epoch: u32,
    /// The tree over its entries.
    pub tree: Frontier,
    /// The note that we cosigned last.
    pub note: String,
}

impl State {
    pub(super) fn anchored(&mut self, anchored: &Anchored) {
        if anchored.epoch != self.anchor.epoch {
            self.anchor = AnchorLog::new(anchored.epoch);
        }
        let entry = items_root(&anchored.commitments(&self.me));
        self.anchor.tree.append(leaf_hash(&entry));
        self.anchor.entries.push(entry);
        self.anchor.note = Some(anchored.note.clone());
        self.anchor.cosigned.clear();
    }

    pub(super) fn anchor_cosigned(&mut self, by: &ParticipantId, line: &str) {
        self.anchor.cosigned.insert(by.clone(), line.into());
    }

    /// The end of our anchor log may be lost, as that of every log.
    pub(super) fn anchor_lost(&mut self, at: Timestamp) {
        let second = u32::try_from(at.as_millis().div_euclid(1_000)).unwrap_or(u32::MAX);
        let epoch = self.anchor.epoch.saturating_add(1).max(second);
        self.anchor = AnchorLog::new(epoch);
    }

    pub(super) fn witnessed(
        &mut self,
        of: &ParticipantId,
        epoch: u32,
        entries: &[Blob],
        note: &str,
    ) {
        let seen = self.witnessed.remove(of).filter(|seen| seen.epoch == epoch);
        let mut tree = seen.map_or_else(Frontier::new, |seen| seen.tree);
        for entry in entries {
            tree.append(leaf_hash(&entry.0));
        }
        let note = note.into();
        let seen = WitnessedLog { epoch, tree, note };
        self.witnessed.insert(of.clone(), seen);
    }
}
