//! Opening a new epoch of our log toward a partner.

use interlock_core::ids::ParticipantId;
use interlock_journal::bilateral::{Leaf, LeafBody, Rollback};
use interlock_journal::merkle::empty_root;

use super::Shown;
use crate::exchange::wire::Blob;
use crate::node::Node;
use crate::node::record::Record;
use crate::node::state::channel::EPOCH_FIRST;
use crate::node::turn::Turn;

impl Node {
    /// Begins a new epoch with a leaf that says what was lost; leaves that the partner has not mirrored
    /// are written again after it.
    ///
    /// The number is that of the second, so that a node that is rolled back twice does not open the same
    /// epoch twice.
    pub(super) fn open_epoch(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        shown: &[Shown],
    ) {
        let signed = shown.iter().map(|shown| shown.checkpoint.time).max();
        let written = self
            .state
            .channel(partner)
            .and_then(|channel| channel.out.time_last());
        for time in [signed, written].into_iter().flatten() {
            turn.not_before(time);
        }
        let newest = shown.last();
        let channel = self.state.channel(partner);
        let ours = channel.map_or(EPOCH_FIRST, |c| c.out.epoch());
        let previous_epoch = newest.map_or(ours, |shown| shown.epoch.max(ours));
        let kept = channel.filter(|c| c.out.epoch() == previous_epoch);
        let countersigned = newest.filter(|shown| shown.epoch == previous_epoch);
        let rollback = Rollback {
            previous_epoch,
            kept_size: kept.map_or(0, |c| c.out.size()),
            kept_root: kept.map_or_else(empty_root, |c| c.out.root()),
            countersigned_size: countersigned.map_or(0, |shown| shown.checkpoint.size),
            countersigned_root: countersigned.map_or_else(empty_root, |s| s.checkpoint.root),
        };
        let reissued = kept.map_or_else(Vec::new, |channel| {
            let held = channel.out.acknowledged().max(rollback.countersigned_size);
            let held = held.min(channel.out.size());
            let leaves = channel.out.leaves_from(held, usize::MAX);
            let leaves = leaves.into_iter().flatten();
            leaves
                .filter_map(|bytes| again(turn, bytes))
                .collect::<Vec<Blob>>()
        });
        let second = u32::try_from(turn.at().as_millis().div_euclid(1_000)).unwrap_or(u32::MAX);
        let epoch = previous_epoch.saturating_add(1).max(second);
        let leaf = Leaf::new(turn.at(), LeafBody::Rollback(rollback));
        let opened = Record::EpochOpened {
            to: partner.clone(),
            epoch,
            leaf: Blob(leaf.encode().unwrap_or_default()),
            reissued: u32::try_from(reissued.len()).unwrap_or(u32::MAX),
        };
        tracing::warn!(%partner, epoch, "a log of ours goes on in a new epoch");
        self.record(turn, opened);
        for leaf in reissued {
            let to = partner.clone();
            self.record(turn, Record::Leaf { to, leaf });
        }
    }
}

/// The same leaf, dated now; a receipt is given anew instead.
fn again(turn: &Turn<'_>, bytes: &[u8]) -> Option<Blob> {
    let leaf = Leaf::decode(bytes).ok()?;
    if matches!(leaf.body, LeafBody::Receipt(_)) {
        return None;
    }
    Leaf::new(turn.at(), leaf.body).encode().ok().map(Blob)
}
