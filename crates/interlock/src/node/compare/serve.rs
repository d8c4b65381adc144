//! What a partner is shown of the two logs of the pair.

use interlock_core::ids::ParticipantId;
use interlock_journal::bilateral::RootedPlaces;
use interlock_journal::checkpoint::{Checkpoint, origin};
use interlock_journal::merkle::leaf_hash;

use crate::exchange::wire::{
    Blob, ENVELOPE_LEAVES_MAX, EPOCHS_SHOWN_MAX, Evidence, LogSide, MirrorView, MirroredEpoch,
    PAGE_SIZE_BYTES_MAX, PastEpoch, WrittenView,
};
use crate::node::Node;
use crate::node::io::{Effect, LeavesRead, LeavesWanted, PeerAnswer, Problem, ReplyId};
use crate::node::problem::problem;
use crate::node::state::channel::EPOCH_FIRST;
use crate::node::turn::Turn;

/// Most places that are named for one page; more would not be needed for it.
const PLACES_MAX: usize = 64;

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
        let ours = channel.map_or(EPOCH_FIRST, |c| c.out.epoch());
        let past = channel.into_iter().flat_map(|c| &c.written_at);
        let past = past.filter(|(epoch, _)| **epoch < ours);
        let past: Vec<PastEpoch> = past
            .map(|(epoch, places)| PastEpoch {
                epoch: *epoch,
                size: places
                    .places()
                    .size()
                    .min(channel.map_or(0, |c| c.signs_for(*epoch))),
            })
            .collect();
        let older = past.len().saturating_sub(EPOCHS_SHOWN_MAX);
        MirrorView {
            mirrored: all.into_iter().skip(skipped).collect(),
            written: WrittenView {
                epoch: ours,
                receipted: channel.map_or(0, |c| c.out.acknowledged()),
                past: past.into_iter().skip(older).collect(),
                rotations: self.rotations_shown(&self.state.me),
            },
            rotations: self.rotations_shown(to),
            anchor: self.state.witnessed.get(to).map(|seen| seen.note.clone()),
        }
    }

    /// `GET evidence/entries?from=&log=&epoch=`: any leaf of the log, from memory or from the journal.
    pub(in crate::node) fn entries(
        &self,
        turn: &mut Turn<'_>,
        reply: ReplyId,
        to: &ParticipantId,
        log: LogSide,
        epoch: Option<u32>,
        from: u64,
    ) {
        if log == LogSide::Anchor {
            let page = self.anchor_page(epoch, from).ok_or_else(gone);
            return answer(turn, reply, page);
        }
        let channel = self.state.channel(to);
        let newest = channel.map_or(EPOCH_FIRST, |channel| match log {
            LogSide::Written => channel.out.epoch(),
            LogSide::Mirrored | LogSide::Anchor => channel
                .mirror
                .as_ref()
                .map_or(EPOCH_FIRST, |mirror| mirror.epoch()),
        });
        let epoch = epoch.unwrap_or(newest);
        let at_hand = match log {
            LogSide::Written if epoch == newest => self.evidence_from(turn, to, from),
            LogSide::Mirrored if epoch == newest => self.newest_mirrored(to, from),
            LogSide::Written | LogSide::Mirrored | LogSide::Anchor => None,
        };
        if let Some(page) = at_hand {
            return answer(turn, reply, Ok(page));
        }
        let places = channel.and_then(|channel| match log {
            LogSide::Written => channel.written_at.get(&epoch).map(RootedPlaces::places),
            LogSide::Mirrored => channel.mirrored_at.get(&epoch),
            LogSide::Anchor => None,
        });
        // Of our own log, only what we stand by.
        let most = match log {
            LogSide::Written => channel.map_or(0, |channel| channel.signs_for(epoch)),
            LogSide::Mirrored | LogSide::Anchor => u64::MAX,
        };
        let found = places.and_then(|places| Some((places.size().min(most), places.from(from)?)));
        let Some((to_leaf, places)) = found.filter(|(to_leaf, _)| from < *to_leaf) else {
            return answer(turn, reply, Err(gone()));
        };
        turn.push(Effect::ReadLeaves(Box::new(LeavesWanted {
            reply,
            partner: to.clone(),
            log,
            epoch,
            from,
            to: to_leaf,
            places: places.iter().take(PLACES_MAX).copied().collect(),
        })));
    }

    /// The end of the mirror under its newest checkpoint, where it is in memory and fits a page.
    fn newest_mirrored(&self, to: &ParticipantId, from: u64) -> Option<Evidence> {
        let mirror = self.state.channel(to)?.mirror.as_ref()?;
        let leaves = page(mirror.leaves_from(from)?);
        let whole = from + leaves.len() as u64 == mirror.size();
        whole.then_some(Evidence {
            from,
            leaves,
            checkpoint: mirror.note()?.into(),
        })
    }

    /// The journal was read for a partner.
    pub(in crate::node) fn leaves_read(
        &self,
        turn: &mut Turn<'_>,
        wanted: LeavesWanted,
        outcome: Result<LeavesRead, String>,
    ) {
        let (reply, partner) = (wanted.reply, wanted.partner.clone());
        let page = match outcome {
            Ok(read) => match wanted.log {
                LogSide::Written => self.written_page(turn, &wanted, read),
                LogSide::Mirrored => mirrored_page(&wanted, read),
                LogSide::Anchor => None,
            }
            .ok_or_else(gone),
            Err(error) => {
                tracing::error!(%partner, %error, "leaves of a log could not be read again");
                Err(problem(
                    "entries-unreadable",
                    500,
                    "not readable",
                    "the journal could not be read there; try again, and tell the people of this node",
                ))
            }
        };
        answer(turn, reply, page);
    }

    /// Leaves of ours under a checkpoint that ends with them.
    fn written_page(
        &self,
        turn: &Turn<'_>,
        wanted: &LeavesWanted,
        read: LeavesRead,
    ) -> Option<Evidence> {
        let channel = self.state.channel(&wanted.partner)?;
        let places = channel.written_at.get(&wanted.epoch)?;
        let first = wanted.places.first()?;
        let mut tree = places.tree_at(*first)?;
        for leaf in &read.leaves {
            tree.append(leaf_hash(&leaf.0));
        }
        // What would contradict our log is not signed, whatever was read, nor what we have disowned.
        if let Ok(root) = channel.out.root_at(tree.size())
            && channel.out.epoch() == wanted.epoch
            && root != tree.root()
        {
            return None;
        }
        if tree.size() > channel.signs_for(wanted.epoch) {
            return None;
        }
        let skipped = usize::try_from(wanted.from.checked_sub(first.leaf)?).ok()?;
        let leaves: Vec<Blob> = read.leaves.into_iter().skip(skipped).collect();
        if leaves.is_empty() {
            return None;
        }
        let me = &self.state.me;
        let checkpoint = Checkpoint {
            origin: origin(me, &wanted.partner, wanted.epoch),
            size: tree.size(),
            root: tree.root(),
            time: turn.at(),
        };
        Some(Evidence {
            from: wanted.from,
            leaves,
            checkpoint: checkpoint.sign(&self.key, me.as_str()).ok()?,
        })
    }
}

fn mirrored_page(wanted: &LeavesWanted, read: LeavesRead) -> Option<Evidence> {
    let leaves = Some(read.leaves).filter(|leaves| !leaves.is_empty())?;
    Some(Evidence {
        from: wanted.from,
        leaves,
        checkpoint: read.note?,
    })
}

fn answer(turn: &mut Turn<'_>, to: ReplyId, page: Result<Evidence, Problem>) {
    turn.push(Effect::ReplyPeer {
        to,
        answer: page.map_or_else(PeerAnswer::Problem, PeerAnswer::Evidence),
        guard: None,
    });
}

fn gone() -> Problem {
    problem(
        "entries-gone",
        410,
        "no such entries",
        "this node holds no entries of that log and epoch from there on; ask `evidence/checkpoint` how many there are",
    )
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
