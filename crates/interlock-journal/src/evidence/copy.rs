//! One copy of one log, read and prepared for comparing.
//!
//! INVARIANT: `signed` has only checkpoints of this log whose signature is right under the writer's
//! key at that size. It does not compare.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use interlock_core::ids::ParticipantId;
use interlock_core::time::Timestamp;

use crate::bilateral::{KeyRotation, Leaf, LeafBody, Receipt, Rollback};
use crate::checkpoint::{Checkpoint, CheckpointError, origin};
use crate::hex;
use crate::merkle::{Frontier, Hash, leaf_hash};

use super::{Finding, FindingKind, LogEvidence, TrustedKeys};

/// One copy of one log.
pub(super) struct Copy<'a> {
    pub(super) holder: &'a ParticipantId,
    pub(super) writer: &'a ParticipantId,
    pub(super) reader: &'a ParticipantId,
    pub(super) epoch: u32,
    pub(super) origin: String,
    /// Hash of every leaf.
    pub(super) hashes: Vec<Hash>,
    /// The root at every size, from 0 on.
    pub(super) roots: Vec<Hash>,
    /// Checkpoints with a right signature.
    pub(super) signed: Vec<Checkpoint>,
    pub(super) receipts: Vec<(u64, Receipt)>,
    /// Rotations that both of their keys have signed.
    pub(super) rotations: Vec<(u64, KeyRotation)>,
    /// The first leaf, if it says that an earlier epoch lost its end.
    pub(super) opens_with: Option<Rollback>,
    /// Time of every leaf; that of the one before where a leaf cannot be read.
    pub(super) times: Vec<Timestamp>,
    pub(super) requests: u64,
    pub(super) releases: u64,
    pub(super) released_items: u64,
    pub(super) denials: u64,
}

impl<'a> Copy<'a> {
    /// Reads a copy; what cannot be read is a finding.
    pub(super) fn read(
        holder: &'a ParticipantId,
        log: &'a LogEvidence,
        trusted: &TrustedKeys,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let mut copy = Self {
            holder,
            writer: &log.writer,
            reader: &log.reader,
            epoch: log.epoch,
            origin: origin(&log.writer, &log.reader, log.epoch),
            hashes: Vec::new(),
            roots: vec![Frontier::new().root()],
            signed: Vec::new(),
            receipts: Vec::new(),
            rotations: Vec::new(),
            opens_with: None,
            times: Vec::new(),
            requests: 0,
            releases: 0,
            released_items: 0,
            denials: 0,
        };
        let keys = copy.read_leaves(log, trusted, findings);
        for note in &log.checkpoints {
            copy.read_checkpoint(note, &keys, findings);
        }
        copy.signed
            .sort_by_key(|checkpoint| (checkpoint.size, checkpoint.time));
        copy
    }

    /// Whether the writer's last signature over it is from before `time`: then there may be more
    /// leaves by now. Without any signature nothing dates it.
    pub(super) fn is_older_than(&self, time: Timestamp) -> bool {
        let signed = self.signed.iter().map(|checkpoint| checkpoint.time).max();
        signed.is_some_and(|signed| signed <= time)
    }

    /// What the leaf at `index` shows is the writer's word if a signed checkpoint covers it.
    pub(super) fn said(&self, kind: FindingKind, index: u64, detail: String) -> Finding {
        let place = (index, index + 1);
        if index < self.proven() {
            self.convicted(kind, place, detail)
        } else {
            self.unsigned(kind, place, detail)
        }
    }

    /// How many leaves there are.
    pub(super) fn size(&self) -> u64 {
        self.hashes.len() as u64
    }

    /// The root over the first `size` leaves.
    pub(super) fn root_at(&self, size: u64) -> Option<&Hash> {
        self.roots.get(usize::try_from(size).ok()?)
    }

    /// Whether the leaves give the root of this checkpoint; `None` if there are too few.
    pub(super) fn agrees(&self, checkpoint: &Checkpoint) -> Option<bool> {
        Some(*self.root_at(checkpoint.size)? == checkpoint.root)
    }

    /// Leaves that a checkpoint in this copy proves.
    pub(super) fn proven(&self) -> u64 {
        let proven = self
            .signed
            .iter()
            .filter(|checkpoint| self.agrees(checkpoint) == Some(true));
        proven.map(|checkpoint| checkpoint.size).max().unwrap_or(0)
    }

    /// The same log, whoever holds it.
    pub(super) fn is_same_log(&self, other: &Self) -> bool {
        self.origin == other.origin
    }

    /// A finding that no signature shows.
    pub(super) fn unsigned(
        &self,
        kind: FindingKind,
        (from_leaf, to_leaf): (u64, u64),
        detail: String,
    ) -> Finding {
        Finding {
            kind,
            origin: self.origin.clone(),
            holder: self.holder.clone(),
            from_leaf,
            to_leaf,
            signed_by: None,
            convicts: None,
            detail,
        }
    }

    /// This copy is wrong, as the writer's signature shows.
    pub(super) fn wrong(&self, kind: FindingKind, place: (u64, u64), detail: String) -> Finding {
        let own = self.holder == self.writer;
        Finding {
            signed_by: Some(self.writer.clone()),
            convicts: own.then(|| self.writer.clone()),
            ..self.unsigned(kind, place, detail)
        }
    }

    /// The writer has signed what cannot be.
    pub(super) fn convicted(
        &self,
        kind: FindingKind,
        place: (u64, u64),
        detail: String,
    ) -> Finding {
        Finding {
            signed_by: Some(self.writer.clone()),
            convicts: Some(self.writer.clone()),
            ..self.unsigned(kind, place, detail)
        }
    }

    /// Reads the leaves; returns the writer's key from each size on.
    fn read_leaves(
        &mut self,
        log: &LogEvidence,
        trusted: &TrustedKeys,
        findings: &mut Vec<Finding>,
    ) -> BTreeMap<u64, VerifyingKey> {
        let mut keys = BTreeMap::new();
        let first = hex::decode::<32>(&log.key).filter(|key| {
            let known = trusted.get(&log.writer);
            known.is_some_and(|known| known.contains(key))
        });
        match first.and_then(|key| VerifyingKey::from_bytes(&key).ok()) {
            Some(key) => drop(keys.insert(0, key)),
            None => findings.push(self.unsigned(
                FindingKind::ForeignKey,
                (0, log.leaves.len() as u64),
                "the key of the log is not one that was given for its writer".into(),
            )),
        }
        let mut tree = Frontier::new();
        let mut time_last = None;
        for (index, text) in (0u64..).zip(&log.leaves) {
            let bytes = STANDARD.decode(text).unwrap_or_default();
            let hash = leaf_hash(&bytes);
            tree.append(hash);
            self.hashes.push(hash);
            self.roots.push(tree.root());
            let place = (index, index + 1);
            let leaf = match Leaf::decode(&bytes) {
                Ok(leaf) => leaf,
                Err(error) => {
                    let detail = error.to_string();
                    findings.push(self.unsigned(FindingKind::Malformed, place, detail));
                    self.times.push(time_last.unwrap_or_default());
                    continue;
                }
            };
            if time_last.is_some_and(|last| leaf.time < last) {
                let detail = "the time of the leaf is before that of the one above it".into();
                findings.push(self.unsigned(FindingKind::TimeBackwards, place, detail));
            }
            time_last = Some(leaf.time);
            self.times.push(leaf.time);
            self.read_body(index, &leaf.body, &mut keys, findings);
        }
        keys
    }

    fn read_body(
        &mut self,
        index: u64,
        body: &LeafBody,
        keys: &mut BTreeMap<u64, VerifyingKey>,
        findings: &mut Vec<Finding>,
    ) {
        match body {
            LeafBody::Receipt(receipt) => self.receipts.push((index, receipt.clone())),
            LeafBody::Rollback(rollback) if index == 0 => {
                self.opens_with =
                    Some(rollback.clone()).filter(|it| it.previous_epoch < self.epoch);
            }
            LeafBody::Request(_) => self.requests += 1,
            LeafBody::Release(release) => {
                self.releases += 1;
                self.released_items += u64::from(release.items);
            }
            LeafBody::Denial(_) => self.denials += 1,
            LeafBody::KeyRotation(rotation) => {
                if rotation.verify(self.writer, &rotation.old_key).is_some() {
                    self.rotations.push((index, rotation.clone()));
                }
                let pinned = keys.values().next_back().copied();
                let key = pinned.and_then(|key| rotation.follow(self.writer, key.as_bytes()));
                match key {
                    Some(key) => drop(keys.insert(index + 1, key)),
                    None => findings.push(
                        self.unsigned(
                            FindingKind::ForeignKey,
                            (index, index + 1),
                            "the key is rotated without the signatures of the old and the new one"
                                .into(),
                        ),
                    ),
                }
            }
            LeafBody::Rollback(_)
            | LeafBody::AgreementChange(_)
            | LeafBody::Voided(_)
            | LeafBody::Deletion(_)
            | LeafBody::RunOffSet(_) => {}
        }
    }

    fn read_checkpoint(
        &mut self,
        note: &str,
        keys: &BTreeMap<u64, VerifyingKey>,
        findings: &mut Vec<Finding>,
    ) {
        let size = Checkpoint::parse_unverified(note).map_or(0, |checkpoint| checkpoint.size);
        let Some((_, key)) = keys.range(..=size).next_back() else {
            return;
        };
        // A later key may sign the beginning of the log, too; an earlier one may not sign its end.
        let later = keys.range(size.saturating_add(1)..).map(|(_, key)| key);
        let mut read = Err(CheckpointError::UnknownSigner);
        for key in std::iter::once(key).chain(later) {
            read = Checkpoint::parse_and_verify(note, self.writer.as_str(), key);
            if read != Err(CheckpointError::UnknownSigner) {
                break;
            }
        }
        let (kind, detail) = match read {
            Ok(checkpoint) if checkpoint.origin == self.origin => {
                self.signed.push(checkpoint);
                return;
            }
            Ok(other) => (
                FindingKind::Malformed,
                format!("a checkpoint of another log, `{}`", other.origin),
            ),
            Err(error @ CheckpointError::UnknownSigner) => {
                (FindingKind::ForeignKey, error.to_string())
            }
            Err(
                error @ (CheckpointError::NotANote
                | CheckpointError::NotACheckpoint
                | CheckpointError::BadSignature
                | CheckpointError::BadKeyName
                | CheckpointError::BadOrigin),
            ) => (FindingKind::Malformed, error.to_string()),
        };
        findings.push(self.unsigned(kind, (0, size), detail));
    }
}
