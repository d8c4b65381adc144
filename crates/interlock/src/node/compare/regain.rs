//! Fetching leaves that were lost: ours from a partner's mirror, theirs from the partner.
//!
//! INVARIANT: leaves of ours are put back only if they give the root of a checkpoint with our own
//! signature; leaves of theirs go the way of all leaves of theirs.

use std::collections::VecDeque;

use interlock_core::ids::ParticipantId;
use interlock_journal::bilateral::OutLog;

use super::{Shown, Step};
use crate::exchange::wire::{Blob, Evidence, LogSide, PastEpoch};
use crate::node::Node;
use crate::node::io::PeerRequest;
use crate::node::record::{AlertKind, Record, Regained};
use crate::node::state::channel::EPOCH_FIRST;
use crate::node::turn::Turn;

/// Most bytes of leaves in one record.
const RECORD_LEAVES_BYTES_MAX: usize = 512 * 1024;

/// Leaves of ours on their way back.
#[derive(Debug)]
pub(super) struct Regaining {
    /// Epochs to fetch, oldest first; the first one is under way.
    wanted: VecDeque<Shown>,
    /// Leaves of it that we have, or have again.
    held: u64,
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
        let regaining = Regaining {
            held: self.own_log(partner, first.epoch).size(),
            wanted,
        };
        self.regain_on(turn, partner, regaining);
    }

    /// What we hold of an epoch of our log that is the newest, or newer than that.
    fn own_log(&self, partner: &ParticipantId, epoch: u32) -> OutLog {
        let channel = self.state.channel(partner);
        let same = channel.filter(|channel| channel.out.epoch() == epoch);
        same.map_or_else(
            || OutLog::new(self.state.me.clone(), partner.clone(), epoch),
            |channel| channel.out.clone(),
        )
    }

    fn regain_on(&mut self, turn: &mut Turn<'_>, partner: &ParticipantId, regaining: Regaining) {
        let Some(epoch) = regaining.wanted.front().map(|shown| shown.epoch) else {
            return;
        };
        let request = PeerRequest::Entries {
            log: LogSide::Mirrored,
            epoch: Some(epoch),
            from: regaining.held,
        };
        if let Some(comparison) = self.live.comparisons.get_mut(partner) {
            comparison.step = Step::Regaining(regaining);
        }
        self.call_to_compare(turn, partner, request);
    }

    /// A page of them came: it is put back at once if it ends with a checkpoint that we signed.
    pub(super) fn regain_page(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        mut regaining: Regaining,
        page: Evidence,
    ) {
        let Some(shown) = regaining.wanted.front().cloned() else {
            return self.follow(turn, partner);
        };
        if page.from != regaining.held || page.leaves.is_empty() {
            let reason = format!("they show {} leaves only", regaining.held);
            return self.regain_failed(turn, partner, &regaining, &reason);
        }
        let bytes: Vec<&[u8]> = page.leaves.iter().map(|l| l.0.as_slice()).collect();
        let size = page.from + page.leaves.len() as u64;
        let mut log = self.own_log(partner, shown.epoch);
        let root = log.root_with(&bytes);
        let signed = self.verify_shown(partner, shown.epoch, &page.checkpoint);
        let ours = signed
            .is_ok_and(|signed| (signed.checkpoint.size, signed.checkpoint.root) == (size, root));
        if !ours || log.regain(&bytes).is_err() {
            let reason = "they are not those that we signed";
            return self.regain_failed(turn, partner, &regaining, reason);
        }
        let mut first = page.from;
        for leaves in chunks(page.leaves) {
            let count = leaves.len() as u64;
            let regained = Regained {
                to: partner.clone(),
                epoch: shown.epoch,
                first,
                leaves,
                checkpoint: page.checkpoint.clone(),
            };
            self.record(turn, Record::Regained(Box::new(regained)));
            first += count;
        }
        turn.not_before(self.state.high);
        tracing::warn!(%partner, leaves = first - page.from, "leaves of ours came back from a mirror");
        regaining.held = first;
        if regaining.held < shown.checkpoint.size {
            return self.regain_on(turn, partner, regaining);
        }
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
            regaining.held
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
        let held = mirror.map_or(0, |mirror| mirror.size());
        // What they still have of earlier epochs comes first: later leaves close them here.
        let newest = PastEpoch {
            epoch: written.epoch,
            size: written.receipted,
        };
        let next = written.past.iter().chain([&newest]).find_map(|it| {
            let from = if it.epoch == epoch { held } else { 0 };
            (it.epoch >= epoch && from < it.size).then_some((it.epoch, from))
        });
        let Some((epoch, from)) = next else {
            return self.followed(turn, partner);
        };
        if let Some(comparison) = self.live.comparisons.get_mut(partner) {
            comparison.step = Step::Following;
        }
        let request = PeerRequest::Entries {
            log: LogSide::Written,
            epoch: Some(epoch),
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
