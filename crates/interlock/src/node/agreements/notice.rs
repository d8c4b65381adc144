//! Notices: what a partner says about an agreement in force.
//!
//! Purpose: termination with notice, and the consumer's word that it deleted. Invariants: a
//! termination takes effect at the time that the notice names and never before the notice came; one
//! that is named cannot be moved later; an attestation of deletion is a word, not a proof, and is shown
//! as one. It does not know run-off.

use interlock_core::agreement::AgreementState;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::time::Timestamp;

use super::super::Node;
use super::super::erase::agreement_of;
use super::super::io::{CallFailure, PeerAnswer, PeerRequest, Problem};
use super::super::live::Timer;
use super::super::problem::{field, not_found};
use super::super::state::deletion_words;
use super::super::turn::Turn;
use super::delivery::{is_final, why_not};
use super::negotiate::shorten;
use super::reciprocity::TERMINATED;
use super::{Actor, Agreement};
use crate::exchange::wire::{Envelope, Notice};

impl Node {
    /// `POST notices`.
    pub(in super::super) fn notice(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        envelope: &Envelope<Notice>,
    ) -> Result<PeerAnswer, Problem> {
        if let Notice::KeyRotation { rotations } = &envelope.body {
            return self.key_notice(turn, from, rotations);
        }
        if let Notice::Cosignature { line } = &envelope.body {
            return self.cosigned(turn, from, line);
        }
        let agreement = agreement_of(envelope).ok_or_else(|| not_found("agreement"))?;
        let known = self.state.book.agreement(agreement);
        let known = known.filter(|a| a.other(&self.state.me) == from);
        let mut agreement = known.ok_or_else(|| not_found("agreement"))?.into_owned();
        let before = agreement.facts;
        let mut said = None;
        match &envelope.body {
            Notice::Termination { at, reason, .. } => {
                let reason = shorten(reason);
                agreement.end_at((*at).max(turn.at()));
                if agreement.facts != before {
                    let end = self.instant(agreement.facts.end(&agreement.terms));
                    said = Some(format!("{TERMINATED} {end}: {reason}"));
                }
            }
            body @ (Notice::Deletion { .. }
            | Notice::Erasure { .. }
            | Notice::RunOff { .. }
            | Notice::Cosignature { .. }
            | Notice::KeyRotation { .. }
            | Notice::Stopped { .. }
            | Notice::Reciprocity { .. }) => may_say(from, &agreement, body)?,
        }
        self.take_evidence(turn, from, &envelope.evidence)?;
        match &envelope.body {
            // The log that came along is all.
            Notice::Termination { .. } | Notice::Stopped { .. } => {}
            Notice::Reciprocity {
                trigger,
                at,
                reason,
                ..
            } => self.reciprocity_came(turn, from, &agreement, (trigger, *at, reason))?,
            // What they froze counts as received from here on.
            Notice::RunOff { .. } => {
                self.receipt_leaf(turn, from);
            }
            Notice::Deletion {
                up_to, contacts, ..
            } => {
                self.check_attested(&agreement, *up_to, *contacts)?;
                self.receipt_leaf(turn, from);
            }
            Notice::Erasure {
                carrier, number, ..
            } => self.erasure_wanted(turn, from, carrier, number)?,
            // Taken above.
            Notice::KeyRotation { .. } | Notice::Cosignature { .. } => {}
        }
        if let Some(what) = said {
            self.note_agreement(turn, &agreement, Actor::Partner(from.clone()), what);
        }
        if agreement.facts != before {
            self.put_agreement(turn, agreement);
            self.settle_now(turn);
        }
        Ok(PeerAnswer::Evidence(self.evidence_for(turn, from)))
    }

    /// An attestation counts only if it is on evidence: a leaf put it into the history.
    fn check_attested(
        &self,
        agreement: &Agreement,
        up_to: Timestamp,
        contacts: u64,
    ) -> Result<(), Problem> {
        let items = u32::try_from(contacts).unwrap_or(u32::MAX);
        let what = deletion_words(items, up_to, agreement.terms.zone);
        let mut lines = self.state.book.history(&agreement.id);
        if lines.any(|line| line.what == what) {
            return Ok(());
        }
        Err(field(
            "evidence-mismatch",
            422,
            "the deletion is not on evidence",
            "/body",
            "append the deletion to your log first, then send the notice as it is there",
        ))
    }

    /// Sends the notice of our termination of an agreement, until they have it.
    pub(super) fn send_notice(&mut self, turn: &mut Turn<'_>, id: &WireId) {
        let Some(agreement) = self.state.book.agreements.get(id) else {
            return;
        };
        let Some((at, reason)) = agreement.unsent_notice.clone() else {
            return;
        };
        let to = agreement.other(&self.state.me).clone();
        let notice = Notice::Termination {
            agreement: id.clone(),
            at,
            reason,
        };
        let envelope = self.envelope(turn, &to, notice);
        self.call_about(turn, id, to, PeerRequest::Notice(envelope));
    }

    /// The answer to a notice.
    pub(super) fn notice_answered(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        let Some(mut agreement) = self.state.book.agreements.get(id).cloned() else {
            return;
        };
        let timer = Timer::Cooperation(id.clone());
        let from = agreement.other(&self.state.me).clone();
        let refused = match self.taken_notice(turn, Some(&from), outcome) {
            Ok(refused) => refused,
            Err(why) => return self.try_later(turn, timer, why),
        };
        self.forget_tries(&timer);
        agreement.unsent_notice = None;
        if let Some(reason) = refused {
            let by = Actor::Partner(agreement.other(&self.state.me).clone());
            let what = format!("refused the notice: {}", shorten(&reason));
            self.note_agreement(turn, &agreement, by, what);
        }
        self.put_agreement(turn, agreement);
    }

    /// What a partner's answer to a notice comes to: why it will never take the notice, if so.
    ///
    /// # Errors
    /// Why it is told again.
    pub(super) fn taken_notice(
        &mut self,
        turn: &mut Turn<'_>,
        from: Option<&ParticipantId>,
        outcome: Result<PeerAnswer, CallFailure>,
    ) -> Result<Option<String>, String> {
        match outcome {
            Ok(PeerAnswer::Evidence(evidence)) => {
                if let Some(from) = from
                    && let Err(problem) = self.take_evidence(turn, from, &evidence)
                {
                    tracing::debug!(partner = %from, kind = %problem.kind, "the answer to a notice was refused");
                }
                Ok(None)
            }
            Ok(PeerAnswer::Problem(problem))
                if is_final(problem.status) && problem.kind != "evidence-refused" =>
            {
                Ok(Some(problem.detail))
            }
            other => Err(why_not(other)),
        }
    }

    /// Whether an agreement could still be stopped or ended.
    pub(super) fn is_live(turn: &Turn<'_>, agreement: &Agreement) -> bool {
        match agreement.state_at(&turn.now) {
            AgreementState::Signed | AgreementState::InForce | AgreementState::Suspended => true,
            AgreementState::Finalized
            | AgreementState::RunOff
            | AgreementState::Ended
            | AgreementState::Superseded => false,
        }
    }
}

/// Whether a notice is for this party to give.
fn may_say(from: &ParticipantId, agreement: &Agreement, body: &Notice) -> Result<(), Problem> {
    let (party, refusal) = match body {
        Notice::Deletion { .. } => (&agreement.consumer, "only the consumer attests to deletion"),
        Notice::Erasure { .. } => (&agreement.provider, "only the provider asks for deletion"),
        Notice::RunOff { .. } => (&agreement.provider, "only the provider freezes a run-off"),
        Notice::Reciprocity { .. } => (
            &agreement.provider,
            "only the provider stops what it provides",
        ),
        Notice::Termination { .. }
        | Notice::Stopped { .. }
        | Notice::KeyRotation { .. }
        | Notice::Cosignature { .. } => return Ok(()),
    };
    match party == from {
        true => Ok(()),
        false => Err(not_yours(refusal)),
    }
}

fn not_yours(detail: &str) -> Problem {
    field("notice-refused", 422, "not your notice", "/body", detail)
}

impl Agreement {
    /// Ends it at `at`, if that is earlier than it would end anyway.
    pub(super) fn end_at(&mut self, at: interlock_core::time::Timestamp) {
        if at < self.facts.end(&self.terms) {
            self.facts.terminated_at = Some(at);
        }
    }
}
