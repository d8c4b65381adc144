//! Showing one parcel of a batch without the others.
//!
//! INVARIANT: what is shown is rebuilt from the journal as it stood when the leaf was written, and is
//! shown only if it leads to the root in the leaf. Where a content key was destroyed, nothing can be
//! rebuilt and nothing is shown.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use interlock_core::ids::ParticipantId;
use interlock_core::waybill::Waybill;
use interlock_journal::bilateral::{Leaf, LeafBody, commit, item_proof, items_root};
use interlock_journal::checkpoint::origin;
use interlock_journal::disk::RealDisk;
use interlock_journal::evidence::Opening;
use interlock_journal::hex;
use interlock_journal::keyslots::{Key, KeySlots};
use interlock_journal::merkle::Hash;

use super::collect::{Collected, LogCopy};
use super::export::{ExportError, read};
use crate::driver::node::{JOURNAL_DIR, KEYS_DIR};
use crate::node::evidence::Committed;
use crate::node::{ContentKeys, Node, ReplayError};

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum OpenOneError {
    /// The journal cannot be read.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The content keys cannot be read.
    #[error("failed to read the content keys: {0}; check `store.dir` and who may use it")]
    Keys(String),
    /// A record does not fit those before it.
    #[error("the journal is not this node's: {0}; check `--config`")]
    Replay(#[from] ReplayError),
}

/// Content keys that are only read.
struct Reading(RefCell<KeySlots>);

impl ContentKeys for Reading {
    fn get(&self, hour: u32, slot: u32) -> Option<[u8; 32]> {
        // A key that cannot be read is one that shows nothing.
        self.0.borrow_mut().get(hour, slot).ok()?.map(|key| *key)
    }
}

/// A journal that was read whole.
pub struct Replayed {
    /// The evidence in it.
    pub collected: Collected,
    /// What can be shown of the parcel, by partner.
    pub openings: Vec<(ParticipantId, Opening)>,
}

/// Reads the journal and keys below `store` and shows every item about `waybill`. `node` is an empty
/// node of this participant.
///
/// # Errors
/// [`OpenOneError`].
pub fn open_parcel(
    store: &Path,
    master: Key,
    mut node: Node,
    waybill: &Waybill,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Replayed, OpenOneError> {
    let wrong = |error: String| OpenOneError::Keys(error);
    let disk = RealDisk::open_read_only(&store.join(KEYS_DIR));
    let disk = disk.map_err(|error| wrong(error.to_string()))?;
    let slots = KeySlots::open(Box::new(disk), master).map_err(|error| wrong(error.to_string()))?;
    let keys = Reading(RefCell::new(slots));
    let mut collected = Collected::default();
    let mut batches: BTreeMap<Hash, (ParticipantId, Vec<Committed>)> = BTreeMap::new();
    let mut failed = None;
    read(
        &store.join(JOURNAL_DIR),
        &mut |header, record| {
            for (partner, items) in node.committed_by(record) {
                if items.iter().any(|item| item.is_about(waybill)) {
                    batches.insert(items_root(&commitments(&items)), (partner, items));
                }
            }
            collected.take(record);
            if failed.is_none() {
                failed = node.replay(header.time, record, &keys).err();
            }
        },
        progress,
    )?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let me = node.state().me.clone();
    let mut openings = Vec::new();
    for partner in collected.partners() {
        let written = collected.written.get(partner).into_iter().flatten();
        let written = written.map(|log| (origin(&me, partner, log.epoch), log));
        let mirrored = collected.mirrored.get(partner).into_iter().flatten();
        let mirrored = mirrored.map(|log| (origin(partner, &me, log.epoch), log));
        for (origin, log) in written.chain(mirrored) {
            let shown = show(&origin, log, &batches, waybill);
            openings.extend(shown.into_iter().map(|it| (partner.clone(), it)));
        }
    }
    Ok(Replayed {
        collected,
        openings,
    })
}

fn commitments(items: &[Committed]) -> Vec<Hash> {
    let commitments = items.iter();
    commitments
        .map(|item| commit(item.salt.as_bytes(), item.text.as_bytes()))
        .collect()
}

/// The items of one log about the parcel.
fn show(
    origin: &str,
    log: &LogCopy,
    batches: &BTreeMap<Hash, (ParticipantId, Vec<Committed>)>,
    waybill: &Waybill,
) -> Vec<Opening> {
    let mut openings = Vec::new();
    for (index, bytes) in (0u64..).zip(&log.leaves) {
        let found = Leaf::decode(bytes)
            .ok()
            .and_then(|leaf| batches.get(&root_of(&leaf.body)?));
        let Some((_, items)) = found else { continue };
        let commitments = commitments(items);
        for (at, item) in items.iter().enumerate() {
            let proof = item_proof(&commitments, at);
            let (Some(proof), true, Ok(number)) = (proof, item.is_about(waybill), at.try_into())
            else {
                continue;
            };
            openings.push(Opening {
                origin: origin.into(),
                leaf: index,
                index: number,
                salt: hex::encode(item.salt.as_bytes()),
                item: item.text.clone(),
                commitment: commitments
                    .get(at)
                    .map(|it| hex::encode(it))
                    .unwrap_or_default(),
                proof: proof.iter().map(|hash| hex::encode(hash)).collect(),
            });
        }
    }
    openings
}

const fn root_of(body: &LeafBody) -> Option<Hash> {
    match body {
        LeafBody::Request(it) => Some(it.items_root),
        LeafBody::Release(it) => Some(it.items_root),
        LeafBody::Denial(it) => Some(it.items_root),
        LeafBody::RunOffSet(it) => Some(it.items_root),
        LeafBody::AgreementChange(_)
        | LeafBody::Receipt(_)
        | LeafBody::KeyRotation(_)
        | LeafBody::Rollback(_)
        | LeafBody::Voided(_)
        | LeafBody::Deletion(_) => None,
    }
}
