//! Anchors of our logs for an export.
//!
//! INVARIANT: an anchor is shown only for a log that the export is about; of the others in its entry
//! nothing is shown but commitments on the way.

use std::collections::BTreeSet;

use interlock_core::ids::ParticipantId;
use interlock_journal::bilateral::{item_proof, items_root};
use interlock_journal::evidence::AnchorEvidence;
use interlock_journal::hex;
use interlock_journal::merkle::{Hash, inclusion_proof, leaf_hash};

use super::collect::Collected;

/// Most anchors of one log in a file: the newest, each over another size.
const ANCHORS_PER_LOG_MAX: usize = 1_000;

impl Collected {
    /// The cosigned anchors of our logs toward these partners.
    pub(super) fn anchors(
        &self,
        me: &ParticipantId,
        wanted: &BTreeSet<&ParticipantId>,
    ) -> Vec<AnchorEvidence> {
        let mut out = Vec::new();
        let mut entries: Vec<Hash> = Vec::new();
        let mut epoch = None;
        let mut shown = BTreeSet::new();
        for (anchored, lines) in &self.anchored {
            if epoch != Some(anchored.epoch) {
                epoch = Some(anchored.epoch);
                entries.clear();
            }
            let commitments = anchored.commitments(me);
            let entry = items_root(&commitments);
            entries.push(leaf_hash(&entry));
            let heads = anchored
                .heads
                .iter()
                .filter(|it| wanted.contains(&it.reader));
            for head in heads.filter(|_| !lines.is_empty()) {
                if !shown.insert((head.reader.clone(), head.epoch, head.size)) {
                    continue;
                }
                let commitment = head.commitment(me);
                let Ok(index) = commitments.binary_search(&commitment) else {
                    continue;
                };
                let last = entries.len() - 1;
                let paths = item_proof(&commitments, index).zip(inclusion_proof(&entries, last));
                let Some((path, entry_path)) = paths else {
                    continue;
                };
                let hashes = |path: Vec<Hash>| path.iter().map(|it| hex::encode(it)).collect();
                out.push(AnchorEvidence {
                    writer: me.clone(),
                    head: head.head(me),
                    salt: hex::encode(head.salt.as_bytes()),
                    index: u32::try_from(index).unwrap_or(u32::MAX),
                    commitments: u32::try_from(commitments.len()).unwrap_or(u32::MAX),
                    path: hashes(path),
                    entry: hex::encode(&entry),
                    entry_index: last as u64,
                    entry_path: hashes(entry_path),
                    note: format!("{}{}", anchored.note, lines.concat()),
                });
            }
        }
        let most = ANCHORS_PER_LOG_MAX.saturating_mul(wanted.len());
        let skipped = out.len().saturating_sub(most);
        out.drain(..skipped);
        out
    }
}
