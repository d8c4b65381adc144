//! The log that this node writes for one counterparty.
//!
//! INVARIANT: it is append-only, its times never go back, and of every prefix that the counterparty
//! has not countersigned the root is known. It holds the leaves that are not yet acknowledged, no
//! others. It does not know how leaves travel.

use std::collections::VecDeque;

use ed25519_dalek::SigningKey;
use interlock_core::ids::ParticipantId;
use interlock_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, CheckpointError, origin};
use crate::merkle::{Frontier, Hash, leaf_hash};

use super::leaf::{Leaf, LeafError, Receipt};

/// Leaves that the counterparty has not acknowledged, at most.
pub const UNACKNOWLEDGED_LEAVES_MAX: usize = 50_000;
/// Answers without a receipt, at most.
pub const RECEIPTS_OUTSTANDING_MAX: usize = 2;

/// Why the log refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutError {
    /// The leaf cannot be encoded.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// The checkpoint cannot be signed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The time is before that of the last leaf.
    #[error("a time in a log never goes back; check the node's clock")]
    TimeBackwards,
    /// The counterparty acknowledges nothing.
    #[error("the counterparty has not acknowledged 50000 leaves; nothing more is released to it")]
    TooManyUnacknowledged,
    /// Two answers have no receipt yet.
    #[error("receipt missing for earlier answers; send a receipt with the next call")]
    ReceiptMissing,
    /// A receipt or acknowledgement names more leaves than there are.
    #[error(
        "the receipt names {size} leaves, the log has {held}; if both are right, this node was rolled back"
    )]
    AheadOfUs {
        /// Leaves it names.
        size: u64,
        /// Leaves the log has.
        held: u64,
    },
    /// A receipt names another root than the log had at that size.
    #[error("the receipt names another root at {size} leaves; compare the evidence of both sides")]
    OtherRoot {
        /// At this size.
        size: u64,
    },
    /// A receipt for another epoch of the log.
    #[error("the receipt is for epoch {found}, the log is in epoch {ours}")]
    OtherEpoch {
        /// The receipt's.
        found: u32,
        /// The log's.
        ours: u32,
    },
    /// A prefix that was acknowledged is no longer at hand.
    #[error("leaf {0} is no longer in memory; read it from the journal")]
    NotHeld(u64),
}

/// The log that this node writes for one counterparty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutLog {
    writer: ParticipantId,
    reader: ParticipantId,
    epoch: u32,
    /// The tree over all leaves.
    tree: Frontier,
    /// The tree over those that were acknowledged; `pending` follows it.
    acknowledged: Frontier,
    pending: VecDeque<Vec<u8>>,
    time_last: Option<Timestamp>,
    /// Sizes of answers that have no receipt, ascending.
    outstanding: VecDeque<u64>,
}

impl OutLog {
    /// An empty log of this epoch.
    pub const fn new(writer: ParticipantId, reader: ParticipantId, epoch: u32) -> Self {
        Self {
            writer,
            reader,
            epoch,
            tree: Frontier::new(),
            acknowledged: Frontier::new(),
            pending: VecDeque::new(),
            time_last: None,
            outstanding: VecDeque::new(),
        }
    }

    /// The origin line of its checkpoints.
    pub fn origin(&self) -> String {
        origin(&self.writer, &self.reader, self.epoch)
    }

    /// The epoch.
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// How many leaves there are.
    pub const fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The root over all leaves.
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// How many leaves the counterparty has acknowledged.
    pub const fn acknowledged(&self) -> u64 {
        self.acknowledged.size()
    }

    /// Appends a leaf and returns its index. The caller makes it durable before anybody sees it.
    ///
    /// # Errors
    /// [`OutError::Leaf`], [`OutError::TimeBackwards`], [`OutError::TooManyUnacknowledged`]; the log
    /// is as before.
    pub fn append(&mut self, leaf: &Leaf) -> Result<u64, OutError> {
        if self.time_last.is_some_and(|last| leaf.time < last) {
            return Err(OutError::TimeBackwards);
        }
        if self.pending.len() >= UNACKNOWLEDGED_LEAVES_MAX {
            return Err(OutError::TooManyUnacknowledged);
        }
        let bytes = leaf.encode()?;
        let index = self.tree.size();
        self.tree.append(leaf_hash(&bytes));
        self.pending.push_back(bytes);
        self.time_last = Some(leaf.time);
        Ok(index)
    }

    /// The encoded leaves from `from` on, at most `leaves_max`.
    ///
    /// # Errors
    /// [`OutError::NotHeld`] if the counterparty had acknowledged `from`; [`OutError::AheadOfUs`] if
    /// there are fewer leaves.
    pub fn leaves_from(
        &self,
        from: u64,
        leaves_max: usize,
    ) -> Result<impl Iterator<Item = &[u8]>, OutError> {
        let skipped = self.offset_of(from)?;
        Ok(self
            .pending
            .iter()
            .skip(skipped)
            .take(leaves_max)
            .map(Vec::as_slice))
    }

    /// The root over the first `size` leaves.
    ///
    /// # Errors
    /// As [`Self::leaves_from`].
    pub fn root_at(&self, size: u64) -> Result<Hash, OutError> {
        if size == self.tree.size() {
            return Ok(self.tree.root());
        }
        let kept = self.offset_of(size)?;
        let mut tree = self.acknowledged.clone();
        for leaf in self.pending.iter().take(kept) {
            tree.append(leaf_hash(leaf));
        }
        Ok(tree.root())
    }

    /// A signed checkpoint over the first `size` leaves.
    ///
    /// # Errors
    /// As [`Self::root_at`]; [`OutError::TimeBackwards`] if `time` is before the last leaf's;
    /// [`OutError::Checkpoint`].
    pub fn checkpoint_at(
        &self,
        size: u64,
        key: &SigningKey,
        time: Timestamp,
    ) -> Result<String, OutError> {
        if size == self.size() && self.time_last.is_some_and(|last| time < last) {
            return Err(OutError::TimeBackwards);
        }
        let checkpoint = Checkpoint {
            origin: self.origin(),
            size,
            root: self.root_at(size)?,
            time,
        };
        Ok(checkpoint.sign(key, self.writer.as_str())?)
    }

    /// A signed checkpoint over all leaves.
    ///
    /// # Errors
    /// As [`Self::checkpoint_at`].
    pub fn checkpoint(&self, key: &SigningKey, time: Timestamp) -> Result<String, OutError> {
        self.checkpoint_at(self.size(), key, time)
    }

    /// Whether another answer may be given: at most two may be without a receipt.
    ///
    /// # Errors
    /// [`OutError::ReceiptMissing`].
    pub fn check_receipts(&self) -> Result<(), OutError> {
        if self.outstanding.len() >= RECEIPTS_OUTSTANDING_MAX {
            return Err(OutError::ReceiptMissing);
        }
        Ok(())
    }

    /// Notes that an answer was given whose evidence ends at the current size. A repeat of an
    /// answer adds no leaf and needs no receipt of its own.
    ///
    /// # Errors
    /// [`OutError::ReceiptMissing`]; the answer must not be given.
    pub fn answered(&mut self) -> Result<(), OutError> {
        if self.outstanding.back() == Some(&self.size()) {
            return Ok(());
        }
        self.check_receipts()?;
        self.outstanding.push_back(self.size());
        Ok(())
    }

    /// The counterparty says in its own log that it holds this log up to a checkpoint.
    ///
    /// # Errors
    /// [`OutError::AheadOfUs`], [`OutError::OtherRoot`], [`OutError::OtherEpoch`]: the receipt
    /// settles nothing. A receipt for a prefix that was settled before changes nothing.
    pub fn receipted(&mut self, receipt: &Receipt) -> Result<(), OutError> {
        if receipt.epoch != self.epoch {
            return Err(OutError::OtherEpoch {
                found: receipt.epoch,
                ours: self.epoch,
            });
        }
        if receipt.size < self.acknowledged.size() {
            return Ok(());
        }
        if self.root_at(receipt.size)? != receipt.root {
            return Err(OutError::OtherRoot { size: receipt.size });
        }
        self.outstanding.retain(|size| *size > receipt.size);
        self.acknowledge(receipt.size)
    }

    /// The counterparty has mirrored the first `size` leaves: they are let go.
    ///
    /// # Errors
    /// [`OutError::AheadOfUs`].
    pub fn acknowledge(&mut self, size: u64) -> Result<(), OutError> {
        if size > self.size() {
            return Err(OutError::AheadOfUs {
                size,
                held: self.size(),
            });
        }
        while self.acknowledged.size() < size {
            let Some(leaf) = self.pending.pop_front() else {
                break;
            };
            self.acknowledged.append(leaf_hash(&leaf));
        }
        Ok(())
    }

    /// The root over all leaves with these after them.
    pub fn root_with<L: AsRef<[u8]>>(&self, leaves: &[L]) -> Hash {
        let mut tree = self.tree.clone();
        for leaf in leaves {
            tree.append(leaf_hash(leaf.as_ref()));
        }
        tree.root()
    }

    /// Puts back leaves that this node had written and lost, and that the counterparty showed from its
    /// mirror; it holds everything up to them.
    ///
    /// # Errors
    /// [`OutError::Leaf`], [`OutError::TimeBackwards`]; the log is as before.
    pub fn regain<L: AsRef<[u8]>>(&mut self, leaves: &[L]) -> Result<Vec<Leaf>, OutError> {
        let mut decoded = Vec::with_capacity(leaves.len());
        let mut last = self.time_last;
        for bytes in leaves {
            let leaf = Leaf::decode(bytes.as_ref())?;
            if last.is_some_and(|last| leaf.time < last) {
                return Err(OutError::TimeBackwards);
            }
            last = Some(leaf.time);
            decoded.push(leaf);
        }
        for bytes in leaves {
            self.tree.append(leaf_hash(bytes.as_ref()));
        }
        self.time_last = last;
        self.pending.clear();
        self.outstanding.clear();
        self.acknowledged = self.tree.clone();
        Ok(decoded)
    }

    /// When the last leaf was written.
    pub const fn time_last(&self) -> Option<Timestamp> {
        self.time_last
    }

    fn offset_of(&self, index: u64) -> Result<usize, OutError> {
        let held = self.size();
        if index > held {
            return Err(OutError::AheadOfUs { size: index, held });
        }
        index
            .checked_sub(self.acknowledged.size())
            .and_then(|offset| usize::try_from(offset).ok())
            .ok_or(OutError::NotHeld(index))
    }
}
