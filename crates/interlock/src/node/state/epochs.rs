//! Applying records about logs that lost their end: what comes back from a mirror, and new epochs.
//!
//! INVARIANT: what a leaf shows that came back is never undone: its positions are not given again, its
//! releases count against quotas, an agreement that it says is over stays over. It does not know how
//! the leaves came back.

use interlock_core::dataset::Dataset;
use interlock_core::ids::ParticipantId;
use interlock_core::time::Timestamp;
use interlock_journal::bilateral::{self, Leaf, LeafBody, MirrorError, MirrorLog, OutLog};
use interlock_journal::checkpoint::{Checkpoint, epoch_of};
use interlock_journal::merkle::leaf_hash;

use super::State;
use super::apply::ReplayError;
use super::channel::Channel;
use crate::exchange::wire::{Blob, Lane};
use crate::node::record::Regained;

impl State {
    /// We lost the end of our journal: every log that we write needs a new epoch.
    pub(super) fn rolled_back(&mut self, at: Timestamp) {
        self.rolled_back_at = Some(at);
        self.anchor_lost(at);
        let known = self.partners.keys().chain(self.channels.keys());
        self.suspect = known.cloned().collect();
    }

    /// Leaves of ours came back from the mirror of their reader.
    pub(super) fn regained(&mut self, regained: &Regained) -> Result<(), ReplayError> {
        let me = self.me.clone();
        let to = &regained.to;
        let position = self.position();
        let channel = self.channel_mut(to);
        if regained.epoch > channel.out.epoch() {
            let next = OutLog::new(me, to.clone(), regained.epoch);
            channel.begin(next, None);
        }
        if regained.epoch != channel.out.epoch() || regained.first != channel.out.size() {
            return Err(ReplayError("regained leaves do not follow the log"));
        }
        let bytes: Vec<&[u8]> = regained.leaves.iter().map(|l| l.0.as_slice()).collect();
        let leaves = channel
            .out
            .regain(&bytes)
            .map_err(|_| ReplayError("a regained leaf does not fit its log"))?;
        for leaf in bytes {
            channel.written(position, leaf_hash(leaf));
        }
        channel.regained_to = channel.out.size();
        for leaf in &leaves {
            self.high = self.high.max(leaf.time);
            self.stands_by(to, leaf);
        }
        Ok(())
    }

    /// What we had signed and do not remember holds all the same.
    fn stands_by(&mut self, to: &ParticipantId, leaf: &Leaf) {
        match &leaf.body {
            LeafBody::Release(release) => match release.lane {
                Some(lane) => {
                    let feed = self.channel_mut(to).outbound.entry(release.dataset);
                    feed.or_default().lost(lane_of(lane), release.to_position);
                }
                None => {
                    let terms = self.book.agreements.get(&release.agreement);
                    let day = terms.map_or(0, |a| a.terms.zone.day_of(leaf.time));
                    let usage = self.channel_mut(to).usage.entry(release.dataset);
                    usage.or_default().debit_lost(day, release.items);
                }
            },
            LeafBody::AgreementChange(change) => {
                let me = self.me.clone();
                if let Some(mut agreement) = self.book.agreements.get(&change.agreement).cloned() {
                    agreement.said(&me, &change.state, leaf.time);
                    self.book.put_agreement(agreement);
                }
            }
            LeafBody::Receipt(receipt) => {
                let channel = self.channel_mut(to);
                let epoch = channel.mirror.as_ref().map(MirrorLog::epoch);
                if epoch.is_some_and(|epoch| epoch <= receipt.epoch) {
                    channel.receipted_then = channel.receipted_then.max(receipt.size);
                }
            }
            LeafBody::KeyRotation(rotation) => {
                self.own_rotation_regained(leaf.time, rotation);
                let size = self.channel(to).map_or(0, |channel| channel.out.size());
                self.rotation_written(to, rotation, size);
            }
            LeafBody::Request(_)
            | LeafBody::Denial(_)
            | LeafBody::Rollback(_)
            | LeafBody::Voided(_)
            | LeafBody::Deletion(_)
            | LeafBody::RunOffSet(_) => {}
        }
    }

    /// A new epoch of our log begins with `leaf`; `reissued` leaves of the one before follow.
    pub(super) fn epoch_opened(
        &mut self,
        to: &ParticipantId,
        epoch: u32,
        leaf: &Blob,
        reissued: u32,
    ) -> Result<(), ReplayError> {
        let me = self.me.clone();
        let channel = self.channel_mut(to);
        if epoch <= channel.out.epoch() {
            return Err(ReplayError("an epoch is older than the one before"));
        }
        let opens = Leaf::decode(&leaf.0).map(|leaf| leaf.body);
        let shown = match opens {
            Ok(LeafBody::Rollback(lost)) if lost.previous_epoch == channel.out.epoch() => {
                Some((lost.countersigned_size, lost.countersigned_root))
            }
            Ok(_) | Err(_) => None,
        };
        channel.begin(OutLog::new(me, to.clone(), epoch), shown);
        channel.owes_receipt = true;
        channel.receipted = 0;
        for feed in channel.outbound.values_mut() {
            feed.renamed(reissued.into());
        }
        for answered in &mut channel.answered {
            answered.log_size = u64::from(reissued) + 1;
        }
        self.suspect.remove(to);
        self.append_leaf(to, leaf)?;
        if let Ok(leaf) = Leaf::decode(&leaf.0) {
            self.high = self.high.max(leaf.time);
        }
        Ok(())
    }

    /// The mirror that takes leaves under this checkpoint: the one held, or one that begins with the
    /// first leaf of a later epoch, which must say what was lost.
    pub(super) fn mirror_for(
        channel: &Channel,
        me: &ParticipantId,
        from: &ParticipantId,
        first: u64,
        leaves: &[Blob],
        checkpoint: &str,
    ) -> Result<Option<MirrorLog>, MirrorError> {
        let Some(mirror) = &channel.mirror else {
            return Err(MirrorError::Gap { expected: 0 });
        };
        let named = Checkpoint::parse_unverified(checkpoint)
            .and_then(|checkpoint| epoch_of(&checkpoint.origin, from, me));
        let Some(epoch) = named.filter(|epoch| *epoch > mirror.epoch()) else {
            return Ok(None);
        };
        if first > 0 {
            return Err(MirrorError::Gap { expected: 0 });
        }
        let opens = leaves.first().map(|leaf| Leaf::decode(&leaf.0));
        let fresh_log = mirror.size() == 0 && mirror.note().is_none();
        match opens {
            Some(Ok(leaf)) if fresh_log || matches!(leaf.body, LeafBody::Rollback(_)) => {
                Ok(Some(mirror.following(epoch)))
            }
            Some(_) | None => Err(MirrorError::NoRollback { epoch }),
        }
    }

    /// After a loss, batches of theirs that our lost receipts covered are not sent again: the cursors
    /// pass them.
    pub(super) fn pass_lost_batches(channel: &mut Channel, first: u64, leaves: &[Leaf]) {
        for (index, leaf) in (first..).zip(leaves) {
            if index >= channel.receipted_then {
                return;
            }
            let LeafBody::Release(bilateral::Release {
                dataset,
                lane: Some(lane),
                to_position,
                ..
            }) = &leaf.body
            else {
                continue;
            };
            let lane = lane_of(*lane);
            let inbound = channel.inbound.entry(*dataset).or_default();
            if *to_position > inbound.cursor(lane) {
                inbound.advance(lane, *to_position);
                *channel.lost_inbound.entry((*dataset, lane)).or_default() = *to_position;
            }
        }
    }
}

/// Which datasets and lanes have lost what came by them, up to which position.
pub type LostInbound = std::collections::BTreeMap<(Dataset, Lane), u64>;

const fn lane_of(lane: bilateral::Lane) -> Lane {
    match lane {
        bilateral::Lane::Live => Lane::Live,
        bilateral::Lane::Backlog => Lane::Backlog,
    }
}
