//! The counterparty's log, as this node holds it.
//!
//! INVARIANT: what was accepted is the beginning of every later state of the log, or the
//! counterparty has signed two logs and [`MirrorError::Fork`] says so with both signatures. A refused
//! call changes nothing. It keeps the leaves of late only; all of them are in the node's journal.

use std::collections::VecDeque;

use ed25519_dalek::VerifyingKey;
use interlock_core::ids::ParticipantId;
use interlock_core::time::{MINUTE_MS, Timestamp};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, CheckpointError, origin};
use crate::merkle::{Frontier, Hash, leaf_hash};

use super::leaf::{KeyRotation, Leaf, LeafBody, LeafError, Receipt};

/// Leaves kept for comparing repeats, at most.
pub const RECENT_LEAVES_MAX: usize = 1_024;
/// Bytes of them, at most.
const RECENT_SIZE_BYTES_MAX: usize = 1024 * 1024;
/// How far a time may be from this node's clock, in milliseconds.
pub const SKEW_MS_MAX: i64 = MINUTE_MS;

/// Two signed statements about one log that cannot both be true. Of one size, they convict their
/// signer by themselves; of two sizes, together with the leaves that each of them covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkEvidence {
    /// The checkpoint that was accepted, a signed note.
    pub held: String,
    /// The checkpoint that contradicts it, a signed note.
    pub offered: String,
    /// The size at which they differ.
    pub size: u64,
}

/// What was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Index of the first new leaf.
    pub from: u64,
    /// The new leaves; none if all of it was known.
    pub leaves: Vec<Leaf>,
    /// What to say in this node's own log.
    pub receipt: Receipt,
    /// The key that the counterparty signs with from now on, if it changed.
    pub rotated_to: Option<[u8; 32]>,
    /// How many of the new leaves are dated more than 60 s before this node's clock: they waited for
    /// a connection, or were dated back. What dates them is the checkpoint, which is not late.
    pub late: usize,
}

/// Why the mirror refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// Leaves are missing.
    #[error("leaves are missing; send them from index {expected} on")]
    Gap {
        /// The index wanted.
        expected: u64,
    },
    /// The checkpoint is not signed as it should be.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint is of another log or epoch.
    #[error("the checkpoint is of another log or epoch; expected `{expected}`")]
    OtherLog {
        /// The origin expected.
        expected: String,
    },
    /// A leaf cannot be read.
    #[error("leaf {index} cannot be read: {error}")]
    Leaf {
        /// Which.
        index: u64,
        /// Why.
        error: LeafError,
    },
    /// The checkpoint does not end where the leaves do.
    #[error("the checkpoint covers {size} leaves, {given} are there; send both to the same size")]
    OtherSize {
        /// Of the checkpoint.
        size: u64,
        /// With those sent.
        given: u64,
    },
    /// The leaves do not give the checkpoint's root. Either the leaves were changed on the way, or
    /// the earlier part of the log is another than before.
    #[error(
        "the leaves do not give the root of the checkpoint over {size} leaves; compare the evidence of both sides from the first leaf on"
    )]
    OtherRoot {
        /// Of the checkpoint.
        size: u64,
        /// The checkpoint that was sent, a signed note.
        offered: String,
    },
    /// The counterparty has signed two different logs.
    #[error("the counterparty has signed two logs that differ within {} leaves; keep both checkpoints as evidence", .0.size)]
    Fork(Box<ForkEvidence>),
    /// A time is before the one that precedes it.
    #[error("the time of leaf {index} goes back; its writer's clock is wrong")]
    TimeBackwards {
        /// Which leaf, or the size for the checkpoint itself.
        index: u64,
    },
    /// A leaf is more than 60 s ahead of this node's clock, or a checkpoint more than 60 s from it.
    #[error(
        "the time of leaf {index} is {skew_ms} ms from this node's clock; at most 60 s are countersigned"
    )]
    Skew {
        /// Which leaf, or the size for the checkpoint itself.
        index: u64,
        /// By how much it is ahead; negative if behind.
        skew_ms: i64,
    },
    /// A later epoch does not begin with the leaf that says what was lost.
    #[error("epoch {epoch} does not begin with a rollback entry; open it with one")]
    NoRollback {
        /// Which epoch.
        epoch: u32,
    },
    /// A key rotation is not signed by both keys, or not by the pinned one.
    #[error("leaf {index} rotates a key without the signatures of the pinned and the new key")]
    Rotation {
        /// Which leaf.
        index: u64,
    },
}

/// The counterparty's log, as this node holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorLog {
    writer: ParticipantId,
    reader: ParticipantId,
    epoch: u32,
    /// The pinned Ed25519 key of the writer.
    key: [u8; 32],
    tree: Frontier,
    /// The tree over the leaves that are no longer in `recent`.
    base: Frontier,
    recent: VecDeque<Vec<u8>>,
    /// Of the last leaf.
    time_last: Option<Timestamp>,
    /// Of the last checkpoint accepted.
    note_time: Option<Timestamp>,
    /// The last checkpoint accepted.
    note: Option<String>,
    /// Whether the log has come to the key that was pinned at first, by a rotation to it or from it.
    at_pinned: bool,
}

/// What a call would add, before it is accepted.
struct Addition {
    tree: Frontier,
    leaves: Vec<Leaf>,
    time_last: Option<Timestamp>,
    key: [u8; 32],
    at_pinned: bool,
    late: usize,
    /// Index of the first known leaf that differs from the one sent.
    contradicted: Option<u64>,
}

impl Addition {
    /// Follows a rotation. Where a later key than the log's first was pinned, the rotations before it are
    /// what was: they change nothing, and the checkpoint over them is by the pinned key all the same.
    fn rotate(
        &mut self,
        writer: &ParticipantId,
        rotation: &KeyRotation,
        index: u64,
    ) -> Result<(), MirrorError> {
        let refused = MirrorError::Rotation { index };
        if let Some(key) = rotation.follow(writer, &self.key) {
            self.key = key.to_bytes();
            self.at_pinned = true;
        } else if self.at_pinned || rotation.verify(writer, &rotation.old_key).is_none() {
            return Err(refused);
        }
        Ok(())
    }
}

impl MirrorLog {
    /// The empty mirror of a log whose writer's key is pinned.
    pub fn new(
        writer: ParticipantId,
        reader: ParticipantId,
        epoch: u32,
        key: &VerifyingKey,
    ) -> Self {
        Self {
            writer,
            reader,
            epoch,
            key: *key.as_bytes(),
            tree: Frontier::new(),
            base: Frontier::new(),
            recent: VecDeque::new(),
            time_last: None,
            note_time: None,
            note: None,
            at_pinned: false,
        }
    }

    /// The empty mirror of a later epoch of the same log: the key and the times go on.
    pub fn following(&self, epoch: u32) -> Self {
        Self {
            writer: self.writer.clone(),
            reader: self.reader.clone(),
            epoch,
            key: self.key,
            tree: Frontier::new(),
            base: Frontier::new(),
            recent: VecDeque::new(),
            time_last: self.time_last,
            note_time: self.note_time,
            note: None,
            at_pinned: self.at_pinned,
        }
    }

    /// Pins another key: the writer was introduced anew.
    pub fn pin(&mut self, key: &VerifyingKey) {
        self.key = *key.as_bytes();
    }

    /// The leaves from `from` on, if they are still in memory.
    pub fn leaves_from(&self, from: u64) -> Option<impl Iterator<Item = &[u8]>> {
        let skipped = usize::try_from(from.checked_sub(self.base.size())?).ok()?;
        let held = skipped <= self.recent.len();
        held.then(|| self.recent.iter().skip(skipped).map(Vec::as_slice))
    }

    /// How many leaves are held.
    pub const fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The epoch.
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The pinned key, or the one that it was rotated to.
    pub const fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// The last checkpoint accepted, a signed note.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// What to say about it in this node's own log.
    pub fn receipt(&self) -> Receipt {
        Receipt {
            epoch: self.epoch,
            size: self.tree.size(),
            root: self.tree.root(),
        }
    }

    /// Takes leaves from index `from` on and the checkpoint over all of them. What is known already
    /// must be the same bytes; `now` is this node's clock.
    ///
    /// # Errors
    /// [`MirrorError`]; nothing was changed.
    pub fn accept<L: AsRef<[u8]>>(
        &mut self,
        from: u64,
        leaves: &[L],
        note: &str,
        now: Timestamp,
    ) -> Result<Accepted, MirrorError> {
        self.accept_by(from, leaves, note, now, &[])
    }

    /// The same where the writer is known to have rotated its key since: the beginning of its log may
    /// come under a checkpoint that one of the `later` keys signed.
    ///
    /// # Errors
    /// [`MirrorError`]; nothing was changed.
    pub fn accept_by<L: AsRef<[u8]>>(
        &mut self,
        from: u64,
        leaves: &[L],
        note: &str,
        now: Timestamp,
        later: &[[u8; 32]],
    ) -> Result<Accepted, MirrorError> {
        let held = self.size();
        if from > held {
            return Err(MirrorError::Gap { expected: held });
        }
        let added = self.examine(from, leaves, now)?;
        let checkpoint = self.verify_note(note, &added, later)?;
        self.compare(&checkpoint, note, &added)?;
        let fresh = checkpoint.size > held;
        if fresh {
            let last = added.time_last.max(self.note_time);
            if last.is_some_and(|last| checkpoint.time < last) {
                return Err(MirrorError::TimeBackwards {
                    index: checkpoint.size,
                });
            }
            let skew_ms = checkpoint.time.since_ms(now);
            if skew_ms.unsigned_abs() > SKEW_MS_MAX.unsigned_abs() {
                return Err(MirrorError::Skew {
                    index: checkpoint.size,
                    skew_ms,
                });
            }
        }
        let rotated_to = (added.key != self.key).then_some(added.key);
        if fresh {
            let known = usize::try_from(held - from).unwrap_or(usize::MAX);
            for leaf in leaves.iter().skip(known) {
                self.recent.push_back(leaf.as_ref().to_vec());
            }
            self.trim();
            self.tree = added.tree;
            self.time_last = added.time_last;
            self.note_time = Some(checkpoint.time);
            self.key = added.key;
            self.at_pinned = added.at_pinned;
            self.note = Some(note.into());
        }
        Ok(Accepted {
            from: held,
            leaves: added.leaves,
            receipt: self.receipt(),
            rotated_to,
            late: added.late,
        })
    }

    /// Reads the leaves that are new and compares those that are known.
    fn examine<L: AsRef<[u8]>>(
        &self,
        from: u64,
        leaves: &[L],
        now: Timestamp,
    ) -> Result<Addition, MirrorError> {
        let mut added = Addition {
            tree: self.tree.clone(),
            leaves: Vec::new(),
            time_last: self.time_last,
            key: self.key,
            at_pinned: self.at_pinned,
            late: 0,
            contradicted: None,
        };
        for (index, bytes) in (from..).zip(leaves) {
            let bytes = bytes.as_ref();
            if index < self.size() {
                let known = index
                    .checked_sub(self.base.size())
                    .and_then(|at| self.recent.get(usize::try_from(at).ok()?));
                if known.is_some_and(|known| known != bytes) {
                    added.contradicted.get_or_insert(index);
                }
                continue;
            }
            let leaf = Leaf::decode(bytes).map_err(|error| MirrorError::Leaf { index, error })?;
            if added.time_last.is_some_and(|last| leaf.time < last) {
                return Err(MirrorError::TimeBackwards { index });
            }
            let ahead_ms = leaf.time.since_ms(now);
            if ahead_ms > SKEW_MS_MAX {
                return Err(MirrorError::Skew {
                    index,
                    skew_ms: ahead_ms,
                });
            }
            added.late += usize::from(ahead_ms < -SKEW_MS_MAX);
            if let LeafBody::KeyRotation(rotation) = &leaf.body {
                added.rotate(&self.writer, rotation, index)?;
            }
            added.time_last = Some(leaf.time);
            added.tree.append(leaf_hash(bytes));
            added.leaves.push(leaf);
        }
        Ok(added)
    }

    fn verify_note(
        &self,
        note: &str,
        added: &Addition,
        later: &[[u8; 32]],
    ) -> Result<Checkpoint, MirrorError> {
        let mut read = Err(CheckpointError::UnknownSigner);
        for key in [&added.key].into_iter().chain(later) {
            let key = VerifyingKey::from_bytes(key).map_err(|_| CheckpointError::UnknownSigner)?;
            read = Checkpoint::parse_and_verify(note, self.writer.as_str(), &key);
            if read != Err(CheckpointError::UnknownSigner) {
                break;
            }
        }
        let checkpoint = read?;
        let expected = origin(&self.writer, &self.reader, self.epoch);
        if checkpoint.origin != expected {
            return Err(MirrorError::OtherLog { expected });
        }
        Ok(checkpoint)
    }

    /// Compares the checkpoint with what is held and what would be added.
    fn compare(
        &self,
        checkpoint: &Checkpoint,
        note: &str,
        added: &Addition,
    ) -> Result<(), MirrorError> {
        let size = checkpoint.size;
        let given = added.tree.size();
        if size > given || (size < given && given > self.size()) {
            return Err(MirrorError::OtherSize { size, given });
        }
        let root = if size < self.size() {
            self.root_at(size)
        } else {
            Some(added.tree.root())
        };
        // Of a prefix that is no longer in memory nothing is said here; the verifier does.
        let differs = root.is_some_and(|root| root != checkpoint.root);
        let same_size = size <= self.size();
        match (&self.note, differs) {
            (Some(held), true) if same_size || added.contradicted.is_some() => {
                Err(MirrorError::Fork(Box::new(ForkEvidence {
                    held: held.clone(),
                    offered: note.into(),
                    size: added.contradicted.map_or(size, |index| index + 1),
                })))
            }
            (Some(_) | None, true) => Err(MirrorError::OtherRoot {
                size,
                offered: note.into(),
            }),
            // The checkpoint is right, so the leaves that were sent are not those it covers.
            (Some(_) | None, false) if added.contradicted.is_some() => {
                Err(MirrorError::OtherRoot {
                    size,
                    offered: note.into(),
                })
            }
            (Some(_) | None, false) => Ok(()),
        }
    }

    /// The root over the first `size` leaves, if that can be computed from what is in memory.
    fn root_at(&self, size: u64) -> Option<Hash> {
        let kept = usize::try_from(size.checked_sub(self.base.size())?).ok()?;
        let mut tree = self.base.clone();
        for leaf in self.recent.iter().take(kept) {
            tree.append(leaf_hash(leaf));
        }
        (tree.size() == size).then(|| tree.root())
    }

    fn trim(&mut self) {
        let mut size_bytes: usize = self.recent.iter().map(Vec::len).sum();
        while self.recent.len() > RECENT_LEAVES_MAX || size_bytes > RECENT_SIZE_BYTES_MAX {
            let Some(leaf) = self.recent.pop_front() else {
                break;
            };
            size_bytes -= leaf.len();
            self.base.append(leaf_hash(&leaf));
        }
    }
}
