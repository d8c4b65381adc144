//! Stopping an agreement early, and going on.
//!
//! Purpose: a suspension and its end are put on record, and a stop reaches the other party's evidence at
//! once: it stands in our own log, without which the other party could not show what it answers
//! ([`super::reciprocity`]), and nothing else may pass between the two for long. Invariant: the notice
//! says nothing that the log does not. It does not know why somebody stops.

use std::ops::RangeInclusive;

use interlock_core::agreement::AgreementState;
use interlock_core::ids::{ParticipantId, WireId};

use super::super::Node;
use super::super::io::{CallFailure, Effect, PeerAnswer, PeerRequest};
use super::super::live::{Purpose, Timer, backoff_between_ms};
use super::super::turn::Turn;
use super::delivery::is_final;
use super::negotiate::ANSWER_TIMEOUT_MS;
use super::{Actor, Agreement};
use crate::exchange::wire::Notice;

/// Between two tries, in milliseconds: beside it the protocol's own message is tried more often.
const RETRY_MS: RangeInclusive<i64> = 60_000..=3_600_000;

impl Node {
    /// Puts on record that somebody stopped an agreement; `party` is the one that may resume it.
    pub(super) fn suspended(
        &mut self,
        turn: &mut Turn<'_>,
        mut agreement: Agreement,
        party: &ParticipantId,
        by: Actor,
        reason: &str,
    ) {
        agreement.facts.suspended_at = Some(turn.at());
        agreement.suspended_by = Some(party.clone());
        self.note_agreement(turn, &agreement, by, format!("suspended it: {reason}"));
        let id = agreement.id.clone();
        self.put_agreement(turn, agreement);
        self.carried_out(turn, &id, party);
    }

    /// Puts on record that an agreement goes on.
    pub(super) fn resumed(&mut self, turn: &mut Turn<'_>, mut agreement: Agreement, by: Actor) {
        agreement.facts.suspended_at = None;
        agreement.suspended_by = None;
        self.note_agreement(turn, &agreement, by, "resumed it");
        let id = agreement.id.clone();
        self.put_agreement(turn, agreement);
        self.trigger_lifted(turn, &id);
    }

    /// Whether the partner has to hear that this one stopped, by us or before its term.
    fn was_stopped(&self, agreement: &Agreement) -> bool {
        let me = &self.state.me;
        match agreement.state {
            AgreementState::Suspended => agreement.suspended_by.as_ref() == Some(me),
            AgreementState::RunOff | AgreementState::Ended => {
                agreement.facts.end(&agreement.terms) < agreement.terms.until
            }
            AgreementState::Finalized
            | AgreementState::Signed
            | AgreementState::InForce
            | AgreementState::Superseded => false,
        }
    }

    /// Sends what the partner has not receipted of our log, if the agreement was stopped.
    pub(in super::super) fn tell_stopped(&mut self, turn: &mut Turn<'_>, id: &WireId) {
        let known = self.state.book.agreements.get(id);
        let stopped = known.filter(|a| self.was_stopped(a));
        let Some(to) = stopped.map(|a| a.other(&self.state.me).clone()) else {
            return;
        };
        let log = self.state.channels.get(&to).map(|channel| &channel.out);
        if log.is_none_or(|log| log.acknowledged() == log.size()) || !self.is_compared(&to) {
            return;
        }
        let agreement = id.clone();
        let notice = self.envelope(turn, &to, Notice::Stopped { agreement });
        let call = self.live.call(Purpose::Stopped(id.clone()));
        turn.push(Effect::Call {
            call,
            to,
            request: PeerRequest::Notice(notice),
            timeout_ms: ANSWER_TIMEOUT_MS,
        });
    }

    /// The answer. What is refused for good, or over, is not repeated: the log goes along with what comes
    /// next.
    pub(in super::super) fn stopped_told(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        let known = self.state.book.agreements.get(id);
        let Some((from, is_over)) = known.map(|a| {
            let is_over = a.state == AgreementState::Ended;
            (a.other(&self.state.me).clone(), is_over)
        }) else {
            return;
        };
        let timer = Timer::TellStopped(id.clone());
        match outcome {
            Ok(PeerAnswer::Evidence(evidence)) => {
                self.forget_tries(&timer);
                if let Err(problem) = self.take_evidence(turn, &from, &evidence) {
                    tracing::debug!(partner = %from, kind = %problem.kind, "the answer to a notice was refused");
                }
            }
            Ok(PeerAnswer::Problem(problem)) if is_final(problem.status) => {
                self.forget_tries(&timer);
            }
            Ok(_) | Err(_) if is_over => self.forget_tries(&timer),
            Ok(_) | Err(_) => {
                let tries = self.live.tries.entry(timer.clone()).or_default();
                let pause_ms = backoff_between_ms(RETRY_MS, *tries, turn.random64());
                *tries = tries.saturating_add(1);
                self.live.timer(turn.at().plus_ms(pause_ms), timer);
            }
        }
    }

    /// After a restart, or once compared with a partner: tells again what may not have been heard.
    pub(in super::super) fn resume_stopped(
        &mut self,
        turn: &mut Turn<'_>,
        with: Option<&ParticipantId>,
    ) {
        let agreements = self.state.book.agreements.values();
        let stopped = agreements.filter(|a| {
            a.state == AgreementState::Suspended
                && with.is_none_or(|with| with == a.other(&self.state.me))
        });
        let stopped: Vec<WireId> = stopped.map(|a| a.id.clone()).collect();
        for id in stopped {
            self.tell_stopped(turn, &id);
        }
    }
}
