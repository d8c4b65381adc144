//! Comparing logs with a partner at a start, before anything is signed toward it.
//!
//! Purpose: a node that was started from an old copy of its directory must not write another leaf at a
//! place where it has signed one. Each partner is asked what it holds of our log; its answer counts
//! only as far as our own signature is on it. Invariants: toward a partner that is not compared with,
//! no leaf is written and no checkpoint signed; whoever shows that we are behind makes every log of
//! ours begin a new epoch, because a mirror may be shown shorter than it is. It does not know
//! what a leaf means.

mod epoch;
mod regain;
mod serve;

use std::collections::VecDeque;

use interlock_core::ids::ParticipantId;
use interlock_journal::checkpoint::{Checkpoint, epoch_of};

pub(in crate::node) use self::serve::page;

use self::regain::Regaining;
use crate::exchange::wire::{LogSide, MirrorView, Notice, WrittenView};
use crate::node::Node;
use crate::node::io::{CallFailure, Effect, PeerAnswer, PeerRequest, Problem};
use crate::node::live::{Purpose, Timer, backoff_ms};
use crate::node::problem::problem;
use crate::node::record::{AlertKind, Record};
use crate::node::state::channel::EPOCH_FIRST;
use crate::node::turn::Turn;

/// How long an answer is waited for, in milliseconds.
const ANSWER_TIMEOUT_MS: u32 = 5_000;

/// Where the comparison with one partner stands.
#[derive(Debug, Default)]
pub struct Comparison {
    step: Step,
    tries: u32,
    /// What it showed of our log, oldest epoch first; our signature was verified.
    shown: Vec<Shown>,
    /// Where it says that its own log stands.
    written: Option<WrittenView>,
}

#[derive(Debug, Default)]
enum Step {
    /// Waits for its timer.
    #[default]
    Waits,
    /// Asked what they hold.
    Viewing,
    /// Fetches leaves of ours.
    Regaining(Regaining),
    /// Fetches leaves of theirs that they count as received.
    Following,
    /// Done, but for partners that have not said a word yet.
    Ready,
}

/// A checkpoint of ours that a partner showed.
#[derive(Clone, Debug)]
struct Shown {
    epoch: u32,
    checkpoint: Checkpoint,
}

impl Node {
    /// At a start: nobody is compared with.
    pub(in crate::node) fn begin_comparing(&mut self, turn: &mut Turn<'_>) {
        let partners: Vec<ParticipantId> = self.state.partners.keys().cloned().collect();
        for partner in partners {
            self.begin_comparing_with(turn, partner);
        }
    }

    /// A partner that is new to us may have known us before we lost our memory of it.
    pub(in crate::node) fn begin_comparing_with(
        &mut self,
        turn: &mut Turn<'_>,
        partner: ParticipantId,
    ) {
        if self.state.is_connector(&partner) {
            return;
        }
        self.live
            .comparisons
            .insert(partner.clone(), Comparison::default());
        self.live.comparing_first.insert(partner.clone());
        self.tell_key_if_owed(turn, &partner);
        self.compare(turn, &partner);
    }

    /// Whether anything may be signed toward a partner.
    pub(in crate::node) fn is_compared(&self, partner: &ParticipantId) -> bool {
        !self.live.comparisons.contains_key(partner)
    }

    /// Partners with whom the comparison is not done.
    pub(in crate::node) fn uncompared(&self) -> impl Iterator<Item = &ParticipantId> {
        self.live.comparisons.keys()
    }

    /// The refusal of a request that cannot be answered without signing something, while we are not
    /// compared with its sender.
    pub(in crate::node) fn not_compared(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        request: &PeerRequest,
    ) -> Option<Problem> {
        let comparison = self.live.comparisons.get(from)?;
        let settled = match comparison.step {
            Step::Following | Step::Ready => true,
            Step::Waits | Step::Viewing | Step::Regaining(_) => false,
        };
        let waits = matches!(comparison.step, Step::Waits);
        let allowed = match request {
            // Neither a leaf nor a checkpoint is signed for these.
            PeerRequest::Dsp { .. } | PeerRequest::Checkpoint | PeerRequest::Mediation(_) => true,
            PeerRequest::Entries { log, .. } => *log == LogSide::Mirrored || settled,
            PeerRequest::Feed { .. }
            | PeerRequest::Receipt { .. }
            | PeerRequest::Lookup { .. }
            | PeerRequest::Cooperation(_) => false,
            PeerRequest::Notice(envelope) => {
                let body = &envelope.body;
                matches!(
                    body,
                    Notice::KeyRotation { .. } | Notice::Cosignature { .. }
                )
            }
        };
        if waits {
            // It can be reached again: no need to wait for the timer.
            self.compare(turn, from);
        }
        (!allowed).then(|| {
            problem(
                "not-compared-yet",
                503,
                "logs are being compared",
                "this node has started and compares its log with yours before it signs anything; try again in a second",
            )
        })
    }

    /// Asks a partner what it holds of our log.
    pub(in crate::node) fn compare(&mut self, turn: &mut Turn<'_>, partner: &ParticipantId) {
        let Some(comparison) = self.live.comparisons.get_mut(partner) else {
            return;
        };
        if !matches!(comparison.step, Step::Waits) {
            return;
        }
        comparison.step = Step::Viewing;
        self.call_to_compare(turn, partner, PeerRequest::Checkpoint);
    }

    fn call_to_compare(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        request: PeerRequest,
    ) {
        let call = self.live.call(Purpose::Compare(partner.clone()));
        turn.push(Effect::Call {
            call,
            to: partner.clone(),
            request,
            timeout_ms: ANSWER_TIMEOUT_MS,
        });
    }

    /// An answer to what was asked for the comparison.
    pub(in crate::node) fn compare_answered(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        let Some(comparison) = self.live.comparisons.get_mut(partner) else {
            return;
        };
        match (std::mem::take(&mut comparison.step), outcome) {
            (Step::Viewing, Ok(PeerAnswer::Mirror(view))) => self.viewed(turn, partner, view),
            (Step::Regaining(regaining), Ok(PeerAnswer::Evidence(page))) => {
                self.regain_page(turn, partner, regaining, page);
            }
            (Step::Regaining(regaining), Ok(PeerAnswer::Problem(refused))) => {
                let reason = format!("they refused to show them: {}", refused.detail);
                self.regain_failed(turn, partner, &regaining, &reason);
            }
            (Step::Following, Ok(PeerAnswer::Evidence(page))) => {
                self.follow_page(turn, partner, &page);
            }
            (Step::Following, Ok(PeerAnswer::Problem(refused))) if refused.status != 503 => {
                self.cannot_follow(turn, partner, &refused.detail);
            }
            (
                Step::Waits | Step::Viewing | Step::Regaining(_) | Step::Following | Step::Ready,
                _,
            ) => self.compare_later(turn, partner),
        }
    }

    fn compare_later(&mut self, turn: &mut Turn<'_>, partner: &ParticipantId) {
        let Some(comparison) = self.live.comparisons.get_mut(partner) else {
            return;
        };
        comparison.step = Step::Waits;
        comparison.tries = comparison.tries.saturating_add(1);
        let at = turn
            .at()
            .plus_ms(backoff_ms(comparison.tries, turn.random64()));
        self.live.timer(at, Timer::Compare(partner.clone()));
        self.live.comparing_first.remove(partner);
        self.end_comparisons(turn);
    }

    /// What a partner holds of our log came in.
    fn viewed(&mut self, turn: &mut Turn<'_>, partner: &ParticipantId, view: MirrorView) {
        self.adopt_rotations(turn, partner, &view.written.rotations);
        self.adopt_own_rotations(turn, &view.rotations);
        let Some(mut shown) = self.read_shown(turn, partner, &view) else {
            return self.compare_later(turn, partner);
        };
        shown.sort_by_key(|shown| shown.epoch);
        let channel = self.state.channel(partner);
        let epoch = channel.map_or(EPOCH_FIRST, |c| c.out.epoch());
        let size = channel.map_or(0, |c| c.out.size());
        let mut wanted = VecDeque::new();
        let mut differs = None;
        for shown in shown.iter().filter(|shown| shown.epoch >= epoch) {
            let ahead = shown.epoch > epoch || shown.checkpoint.size > size;
            if ahead {
                wanted.push_back(shown.clone());
            } else if let Some(channel) = channel
                && shown.checkpoint.size >= channel.out.acknowledged()
                && channel.out.root_at(shown.checkpoint.size) != Ok(shown.checkpoint.root)
            {
                differs = Some(shown.checkpoint.size);
            }
        }
        if let Some(comparison) = self.live.comparisons.get_mut(partner) {
            comparison.shown = shown;
            comparison.written = Some(view.written);
        }
        // It was heard: what it has to give may take a while, and the others need not wait for it.
        self.live.comparing_first.remove(partner);
        if let Some(newest) = wanted.back() {
            let reason = format!(
                "it holds {} leaves of epoch {} of our log, with our signature; we have {size} of epoch {epoch}",
                newest.checkpoint.size, newest.epoch
            );
            self.found_behind(turn, partner, &reason);
            self.end_comparisons(turn);
            return self.regain(turn, partner, wanted);
        }
        let differs =
            differs.map(|size| format!("we signed other {size} leaves than those that we have"));
        let anchor_lost = || self.anchor_lost(view.anchor.as_deref()?);
        if let Some(reason) = differs.or_else(anchor_lost) {
            self.found_behind(turn, partner, &reason);
        }
        self.end_comparisons(turn);
        self.follow(turn, partner);
    }

    /// The checkpoints of our log that a partner shows; `None`, and people are told, if one is not ours.
    fn read_shown(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        view: &MirrorView,
    ) -> Option<Vec<Shown>> {
        let mut shown = Vec::new();
        for epoch in &view.mirrored {
            match self.verify_shown(partner, epoch.epoch, &epoch.checkpoint) {
                Ok(good) => shown.push(good),
                Err(reason) => {
                    let detail = format!(
                        "it shows a checkpoint of our log that cannot be compared: {reason}; if this node's \
                         key was changed since this copy of its directory was made, put the newer key back"
                    );
                    self.alert(turn, AlertKind::NotCompared, None, Some(partner), detail);
                    return None;
                }
            }
        }
        Some(shown)
    }

    /// A checkpoint is ours only with our signature.
    fn verify_shown(
        &self,
        partner: &ParticipantId,
        epoch: u32,
        note: &str,
    ) -> Result<Shown, String> {
        let me = &self.state.me;
        let mut error = String::from("no key of ours is known");
        for key in self.own_keys() {
            match Checkpoint::parse_and_verify(note, me.as_str(), &key) {
                Ok(checkpoint) if epoch_of(&checkpoint.origin, me, partner) == Some(epoch) => {
                    return Ok(Shown { epoch, checkpoint });
                }
                Ok(_) => error = "it is of another log".into(),
                Err(found) => error = found.to_string(),
            }
        }
        Err(error)
    }

    /// The end of our journal was lost: put on record before anything else follows from it.
    fn found_behind(&mut self, turn: &mut Turn<'_>, partner: &ParticipantId, reason: &str) {
        if !self.state.suspect.contains(partner) {
            self.record(
                turn,
                Record::RolledBack {
                    shown_by: Some(partner.clone()),
                    reason: reason.into(),
                },
            );
        }
        let detail = format!(
            "this node was started from an older copy of its directory: {reason}; its logs go on in a new epoch"
        );
        self.alert(turn, AlertKind::RolledBack, None, Some(partner), detail);
    }

    /// Ends the comparisons that are ready, once every partner was heard or not reached: whoever shows
    /// that we are behind is heard before anything is signed toward the others.
    fn end_comparisons(&mut self, turn: &mut Turn<'_>) {
        if !self.live.comparing_first.is_empty() {
            return;
        }
        let mut ready = Vec::new();
        for (partner, comparison) in &self.live.comparisons {
            if matches!(comparison.step, Step::Ready) {
                ready.push(partner.clone());
            }
        }
        for partner in &ready {
            let shown = self
                .live
                .comparisons
                .remove(partner)
                .map(|comparison| comparison.shown);
            if self.state.suspect.contains(partner) {
                self.open_epoch(turn, partner, &shown.unwrap_or_default());
            }
        }
        let late: Vec<ParticipantId> = self.state.suspect.iter().cloned().collect();
        for partner in late {
            if self.is_compared(&partner) {
                self.open_epoch(turn, &partner, &[]);
            }
        }
        for partner in ready {
            self.resume_with(turn, &partner);
        }
    }

    fn ready(&mut self, turn: &mut Turn<'_>, partner: &ParticipantId) {
        if let Some(comparison) = self.live.comparisons.get_mut(partner) {
            comparison.step = Step::Ready;
        }
        self.live.comparing_first.remove(partner);
        self.end_comparisons(turn);
    }

    /// Takes up what waited for the comparison.
    fn resume_with(&mut self, turn: &mut Turn<'_>, partner: &ParticipantId) {
        self.show_rotations(turn, partner);
        self.resume_agreements_with(turn, partner);
        self.resume_run_off(turn, Some(partner));
        self.resume_stopped(turn, Some(partner));
        self.resume_notices(turn, partner);
        self.ask(turn, partner);
    }
}
