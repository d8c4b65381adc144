//! Fetching leaves that were lost: ours from a partner's mirror, theirs from the partner.
//!
//! INVARIANT: leaves of ours are put back only if they give the root of a checkpoint with our own
//! signature; leaves of theirs go the way of all leaves of theirs.

use std::collections::VecDeque;

use interlock_core::ids::ParticipantId;
use interlock_journal::bilateral::OutLog;

use super::{Shown, Step};
use crate::exchange::wire::{Blob, Evidence, LogSide};
use crate::node::Node;
use crate::node::io::PeerRequest;
use crate::node::record::{AlertKind, Record, Regained};
use crate::node::state::channel::EPOCH_FIRST;
use crate::node::turn::Turn;

/// Most leaves of one epoch that are put back.
const REGAIN_LEAVES_MAX: usize = 50_000;
/// Most bytes of them.
const REGAIN_SIZE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most bytes of leaves in one record.
const RECORD_LEAVES_BYTES_MAX: usize = 512 * 1024;

/// Leaves of ours on their way back.
#[derive(Debug)]
pub(super) struct Regaining {
    /// Epochs to fetch, oldest first; the first one is under way.
    wanted: VecDeque<Shown>,
    from: u64,
    leaves: Vec<Blob>,
    size_bytes: usize,
}

impl Node {
    /// Fetches the leaves of ours that the partner has and we have not.
    pub(super) fn regain(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        wanted: VecDeque<Shown>,
    ) {
        let Some(first) = wanted.front() else {
            return self.follow(turn, partner);
        };
        let channel = self.state.channel(partner);
        let same = channel.map_or(EPOCH_FIRST, |c| c.out.epoch()) == first.epoch;
        let from = channel.filter(|_| same).map_or(0, |c| c.out.size());
        let regaining = Regaining {
            wanted,
            from,
            leaves: Vec::new(),
            size_bytes: 0,
        };
        self.regain_on(turn, partner, regaining);
    }

    fn regain_on(&mut self, turn: &mut Turn<'_>, partner: &ParticipantId, regaining: Regaining) {
        let Some(epoch) = regaining.wanted.front().map(|shown| shown.epoch) else {
            return;
        };
        let request = PeerRequest::Entries {
            log: LogSide::Mirrored,
            epoch: Some(epoch),
            from: regaining.from + regaining.leaves.len() as u64,
        };
        if let Some(comparison) = self.live.comparisons.get_mut(partner) {
            comparison.step = Step::Regaining(regaining);
        }
        self.call_to_compare(turn, partner, request);
    }

    pub(super) fn regain_page(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        mut regaining: Regaining,
        page: Evidence,
    ) {
        let held = regaining.from + regaining.leaves.len() as u64;
        let Some(size) = regaining.wanted.front().map(|s| s.checkpoint.size) else {
            return self.follow(turn, partner);
        };
        let missing = usize::try_from(size.saturating_sub(held)).unwrap_or(usize::MAX);
        if page.from != held || page.leaves.is_empty() {
            let reason = format!("they show {held} leaves only");
            return self.regain_failed(turn, partner, &regaining, &reason);
        }
        for leaf in page.leaves.into_iter().take(missing) {
            regaining.size_bytes += leaf.0.len();
            regaining.leaves.push(leaf);
        }
        let too_much = regaining.leaves.len() > REGAIN_LEAVES_MAX
            || regaining.size_bytes > REGAIN_SIZE_BYTES_MAX;
        if too_much {
            let reason = format!("more than {REGAIN_LEAVES_MAX} of them are missing");
            return self.regain_failed(turn, partner, &regaining, &reason);
        }
        if regaining.from + (regaining.leaves.len() as u64) < size {
            return self.regain_on(turn, partner, regaining);
        }
        self.regain_whole(turn, partner, regaining);
    }

    /// All leaves of an epoch are there: put back if they are those that we signed.
    fn regain_whole(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        mut regaining: Regaining,
    ) {
        let Some(shown) = regaining.wanted.front().cloned() else {
            return;
        };
        let channel = self.state.channel(partner);
        let same = channel.filter(|c| c.out.epoch() == shown.epoch);
        let mut log = same.map_or_else(
            || OutLog::new(self.state.me.clone(), partner.clone(), shown.epoch),
            |c| c.out.clone(),
        );
        let bytes: Vec<&[u8]> = regaining.leaves.iter().map(|l| l.0.as_slice()).collect();
        let root = log.root_with(&bytes);
        if root != shown.checkpoint.root || log.regain(&bytes).is_err() {
            let reason = "they are not those that we signed";
            return self.regain_failed(turn, partner, &regaining, reason);
        }
        let mut first = regaining.from;
        for leaves in chunks(std::mem::take(&mut regaining.leaves)) {
            let count = leaves.len() as u64;
            let regained = Regained {
                to: partner.clone(),
                epoch: shown.epoch,
                first,
                leaves,
                checkpoint: shown.note.clone(),
            };
            self.record(turn, Record::Regained(Box::new(regained)));
            first += count;
        }
        turn.not_before(self.state.high);
        tracing::warn!(%partner, leaves = first - regaining.from, "leaves of ours came back from a mirror");
        regaining.wanted.pop_front();
        self.regain(turn, partner, regaining.wanted);
    }

    /// The leaves cannot be had: what they meant is not known.
    pub(super) fn regain_failed(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        regaining: &Regaining,
        reason: &str,
    ) {
        let size = regaining.wanted.front().map_or(0, |s| s.checkpoint.size);
        let detail = format!(
            "leaves {} to {size} of our log, which we have lost, did not come back: {reason}; compare the \
             evidence of both sides, and settle between people what was released by them",
            regaining.from
        );
        self.alert(turn, AlertKind::RolledBack, None, Some(partner), detail);
        self.follow(turn, partner);
    }

    /// Fetches the leaves of theirs that they count as received, and that we have lost.
    pub(super) fn follow(&mut self, turn: &mut Turn<'_>, partner: &ParticipantId) {
        let Some(written) = self
            .live
            .comparisons
            .get(partner)
            .and_then(|comparison| comparison.written.clone())
        else {
            return;
        };
        let mirror = self.state.channel(partner).and_then(|c| c.mirror.as_ref());
        let epoch = mirror.map_or(EPOCH_FIRST, |mirror| mirror.epoch());
        let from = mirror.map_or(0, |mirror| mirror.size());
        let from = if written.epoch == epoch { from } else { 0 };
        if written.epoch < epoch || from >= written.receipted {
            return self.followed(turn, partner);
        }
        if let Some(comparison) = self.live.comparisons.get_mut(partner) {
            comparison.step = Step::Following;
        }
        let request = PeerRequest::Entries {
            log: LogSide::Written,
            epoch: Some(written.epoch),
            from,
        };
        self.call_to_compare(turn, partner, request);
    }

    pub(super) fn follow_page(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        page: &Evidence,
    ) {
        let before = self.mirror_head(partner);
        match self.take_evidence(turn, partner, page) {
            Ok(()) if self.mirror_head(partner) > before => self.follow(turn, partner),
            Ok(()) => self.cannot_follow(turn, partner, "they sent nothing new"),
            Err(refused) => self.cannot_follow(turn, partner, &refused.detail),
        }
    }

    pub(super) fn cannot_follow(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        reason: &str,
    ) {
        let detail = format!(
            "leaves of its log that we had receipted and have lost did not come back: {reason}"
        );
        self.alert(turn, AlertKind::RolledBack, None, Some(partner), detail);
        self.followed(turn, partner);
    }

    fn followed(&mut self, turn: &mut Turn<'_>, partner: &ParticipantId) {
        let channel = self.state.channel(partner);
        let lost: Vec<String> = channel
            .filter(|_| self.state.suspect.contains(partner))
            .into_iter()
            .flat_map(|channel| &channel.lost_inbound)
            .map(|((dataset, lane), to)| format!("{dataset} ({}) up to {to}", lane.as_str()))
            .collect();
        if !lost.is_empty() {
            let detail = format!(
                "we had receipted these positions and lost what came by them: {}; ask the partner for them by another way",
                lost.join(", ")
            );
            self.alert(turn, AlertKind::RolledBack, None, Some(partner), detail);
        }
        self.ready(turn, partner);
    }
}

/// Leaves in groups that fit a record.
fn chunks(leaves: Vec<Blob>) -> Vec<Vec<Blob>> {
    let mut out: Vec<Vec<Blob>> = Vec::new();
    let mut size_bytes = usize::MAX;
    for leaf in leaves {
        if size_bytes.saturating_add(leaf.0.len()) > RECORD_LEAVES_BYTES_MAX {
            out.push(Vec::new());
            size_bytes = 0;
        }
        size_bytes += leaf.0.len();
        if let Some(last) = out.last_mut() {
            last.push(leaf);
        }
    }
    out
}
