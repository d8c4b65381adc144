//! What the records of a journal say about evidence.
//!
//! INVARIANT: leaves stand in the order in which they were written or mirrored, each once; an epoch
//! begins where its record says so. It reads no files.

use std::collections::BTreeMap;

use interlock_core::ids::{ParticipantId, WireId};
use interlock_journal::checkpoint::Checkpoint;

use crate::exchange::wire::Blob;
use crate::node::agreements::{Agreement, Cooperation};
use crate::node::record::{Anchored, LeavesIn, Record};

/// Epoch of a log that was never rolled back.
const EPOCH_FIRST: u32 = 1;

/// One epoch of one log, as one side has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogCopy {
    /// The epoch.
    pub epoch: u32,
    /// Encoded leaves, from the first on.
    pub leaves: Vec<Vec<u8>>,
    /// Signed notes of its writer, in the order in which they came; none in a log of our own.
    pub checkpoints: Vec<String>,
}

impl LogCopy {
    const fn new(epoch: u32) -> Self {
        Self {
            epoch,
            leaves: Vec::new(),
            checkpoints: Vec::new(),
        }
    }
}

/// What a journal holds of evidence.
#[derive(Debug, Default)]
pub struct Collected {
    /// Logs that we wrote, by reader; epochs ascending.
    pub written: BTreeMap<ParticipantId, Vec<LogCopy>>,
    /// Logs that we mirrored, by writer; epochs ascending.
    pub mirrored: BTreeMap<ParticipantId, Vec<LogCopy>>,
    /// The pinned keys of partners, the oldest first.
    pub keys: BTreeMap<ParticipantId, Vec<[u8; 32]>>,
    /// Agreements as they were last.
    pub agreements: BTreeMap<WireId, Agreement>,
    /// Cooperations as they were last.
    pub cooperations: BTreeMap<WireId, Cooperation>,
    /// Entries of our anchor log, each with the cosignatures of its note.
    pub anchored: Vec<(Anchored, Vec<String>)>,
    /// Records taken.
    pub records: u64,
}

impl Collected {
    /// Takes the next record.
    pub fn take(&mut self, record: &Record) {
        self.records += 1;
        match record.leaves() {
            Some(LeavesIn::Written { to, epoch, leaves }) => {
                self.epoch(to, epoch);
                leaves.iter().for_each(|leaf| self.write(to, leaf));
            }
            Some(LeavesIn::Mirrored {
                from,
                first,
                leaves,
                note,
            }) => self.mirror(from, first, leaves, note),
            None => self.take_other(record),
        }
    }

    /// A record without leaves: keys, and what was agreed on.
    fn take_other(&mut self, record: &Record) {
        if let Record::Partner(partner) = record {
            let keys = self.keys.entry(partner.id.clone()).or_default();
            let key = *partner.key.as_bytes();
            if keys.last() != Some(&key) {
                keys.push(key);
            }
        } else if let Record::Anchored(anchored) = record {
            self.anchored.push(((**anchored).clone(), Vec::new()));
        } else if let Record::Cosigned { line, .. } = record {
            if let Some((_, lines)) = self.anchored.last_mut() {
                lines.push(line.clone());
            }
        } else if let Record::KeyRotated { of, rotation } = record {
            // Ours is in our logs, and signs the export.
            if let Some(keys) = self.keys.get_mut(of) {
                keys.push(rotation.new_key);
            }
        } else if let Record::Agreement(agreement) = record {
            self.agreements
                .insert(agreement.id.clone(), (**agreement).clone());
        } else if let Record::Cooperation(cooperation) = record {
            self.cooperations
                .insert(cooperation.id.clone(), (**cooperation).clone());
        }
    }

    /// Everybody with whom there is a log.
    pub fn partners(&self) -> impl Iterator<Item = &ParticipantId> {
        let written = self.written.keys();
        let only_mirrored = self.mirrored.keys();
        written.chain(only_mirrored.filter(|id| !self.written.contains_key(*id)))
    }

    /// What is written toward `to` from here on is in this epoch, if one is named.
    fn epoch(&mut self, to: &ParticipantId, epoch: Option<u32>) {
        let epochs = self.written.entry(to.clone()).or_default();
        let last = epochs.last().map(|last| last.epoch);
        let epoch = epoch.or(last).unwrap_or(EPOCH_FIRST);
        if last.is_none_or(|last| last < epoch) {
            epochs.push(LogCopy::new(epoch));
        }
    }

    fn write(&mut self, to: &ParticipantId, leaf: &Blob) {
        let epochs = self.written.entry(to.clone()).or_default();
        if let Some(log) = epochs.last_mut() {
            log.leaves.push(leaf.0.clone());
        }
    }

    fn mirror(&mut self, from: &ParticipantId, first: u64, leaves: &[Blob], note: &str) {
        let epochs = self.mirrored.entry(from.clone()).or_default();
        let said = Checkpoint::parse_unverified(note);
        let epoch = said.and_then(|note| {
            let (_, epoch) = note.origin.rsplit_once(" epoch ")?;
            epoch.parse().ok()
        });
        let epoch = epoch.unwrap_or(EPOCH_FIRST);
        if epochs.last().is_none_or(|last| last.epoch < epoch) {
            epochs.push(LogCopy::new(epoch));
        }
        let Some(log) = epochs.last_mut() else { return };
        // Leaves that came again are held already.
        let known = (log.leaves.len() as u64).saturating_sub(first);
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        log.leaves
            .extend(leaves.iter().skip(known).map(|leaf| leaf.0.clone()));
        if log.checkpoints.last().map(String::as_str) != Some(note) {
            log.checkpoints.push(note.into());
        }
    }
}
