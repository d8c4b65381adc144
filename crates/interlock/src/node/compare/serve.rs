//! What a partner is shown of the two logs of the pair.

use interlock_core::ids::ParticipantId;

use crate::exchange::wire::{
    Blob, ENVELOPE_LEAVES_MAX, EPOCHS_SHOWN_MAX, Evidence, LogSide, MirrorView, MirroredEpoch,
    WrittenView,
};
use crate::node::Node;
use crate::node::io::{PeerAnswer, Problem};
use crate::node::problem::problem;
use crate::node::state::channel::EPOCH_FIRST;
use crate::node::turn::Turn;

/// Most bytes of leaves in one page, unless a single leaf is larger.
const PAGE_SIZE_BYTES_MAX: usize = 1024 * 1024;

impl Node {
    /// `GET evidence/checkpoint`: what we hold of the asking node's log.
    pub(in crate::node) fn mirror_view(&self, to: &ParticipantId) -> MirrorView {
        let channel = self.state.channel(to);
        let past = channel.into_iter().flat_map(|c| &c.mirrored_past);
        let past = past.map(|end| (end.epoch, end.note.as_str()));
        let newest = channel
            .and_then(|c| c.mirror.as_ref())
            .and_then(|mirror| Some((mirror.epoch(), mirror.note()?)));
        let all: Vec<MirroredEpoch> = past
            .chain(newest)
            .map(|(epoch, note)| MirroredEpoch {
                epoch,
                checkpoint: note.into(),
            })
            .collect();
        let skipped = all.len().saturating_sub(EPOCHS_SHOWN_MAX);
        MirrorView {
            mirrored: all.into_iter().skip(skipped).collect(),
            written: WrittenView {
                epoch: channel.map_or(EPOCH_FIRST, |c| c.out.epoch()),
                receipted: channel.map_or(0, |c| c.out.acknowledged()),
            },
        }
    }

    /// `GET evidence/entries?from=&log=&epoch=`.
    pub(in crate::node) fn entries(
        &self,
        turn: &Turn<'_>,
        to: &ParticipantId,
        log: LogSide,
        epoch: Option<u32>,
        from: u64,
    ) -> Result<PeerAnswer, Problem> {
        let page = match log {
            LogSide::Written => {
                let ours = self
                    .state
                    .channel(to)
                    .map_or(EPOCH_FIRST, |c| c.out.epoch());
                epoch
                    .is_none_or(|epoch| epoch == ours)
                    .then(|| self.evidence_from(turn, to, from))
                    .flatten()
            }
            LogSide::Mirrored => self.mirrored_page(to, epoch, from),
        };
        page.map(PeerAnswer::Evidence).ok_or_else(|| {
            problem(
                "entries-gone",
                410,
                "not at hand",
                "these entries do not exist, or are no longer at hand; take them from your own mirror",
            )
        })
    }

    fn mirrored_page(&self, to: &ParticipantId, epoch: Option<u32>, from: u64) -> Option<Evidence> {
        let mirror = self.state.channel(to)?.mirror.as_ref()?;
        if epoch.is_some_and(|epoch| epoch != mirror.epoch()) {
            return None;
        }
        let leaves = mirror.leaves_from(from)?;
        Some(Evidence {
            from,
            leaves: page(leaves),
            checkpoint: mirror.note()?.into(),
        })
    }
}

/// As many leaves as fit a page.
pub(in crate::node) fn page<'a>(leaves: impl Iterator<Item = &'a [u8]>) -> Vec<Blob> {
    let mut out = Vec::new();
    let mut size_bytes = 0;
    for leaf in leaves.take(ENVELOPE_LEAVES_MAX) {
        size_bytes += leaf.len();
        if size_bytes > PAGE_SIZE_BYTES_MAX && !out.is_empty() {
            break;
        }
        out.push(Blob(leaf.to_vec()));
    }
    out
}
