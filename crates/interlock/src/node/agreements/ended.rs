//! Transfers that a partner refused, moved on or ended.
//!
//! Purpose: what follows from the partner's word about a transfer. Invariants: a refusal alone ends no
//! transfer: where it stands at the partner does; a consumer whose agreement is in force asks again for
//! its dataset, with growing pauses, when the provider ended the transfer, and not when it suspended it.
//! It does not know what the transfer hands over.

use interlock_core::agreement::AgreementState;
use interlock_core::ids::WireId;
use interlock_core::negotiation::Party;
use interlock_core::time::{HOUR_MS, SECOND_MS, Timestamp};
use interlock_core::transfer::TransferState;
use sha2::{Digest as _, Sha256};

use super::super::Node;
use super::super::io::{CallFailure, PeerAnswer};
use super::super::live::{Timer, backoff_between_ms};
use super::super::turn::Turn;
use super::approver::TransferMove;
use super::delivery::Standing;
use super::{Actor, Transfer};
use crate::dsp::routes::{Route, TransferStep};

/// Shortest pause before a dataset is asked for again, in milliseconds.
const ASK_AGAIN_MS_MIN: i64 = SECOND_MS;
/// Longest one. A transfer that lived longer than this begins the pauses anew.
const ASK_AGAIN_MS_MAX: i64 = HOUR_MS;

impl Node {
    /// The partner has our message about a transfer.
    pub(super) fn transfer_taken(&mut self, turn: &mut Turn<'_>, mut transfer: Transfer) {
        let id = transfer.id.clone();
        self.forget_tries(&Timer::Transfer(id.clone()));
        transfer.unsent = None;
        let ours = transfer.party == Party::Provider;
        let started = ours && transfer.state == TransferState::Started;
        self.record_transfer(turn, transfer);
        if started {
            self.hand_over_polls(turn, &id);
            self.push(turn, &id);
        }
        self.decide_transfer(turn, &id, false);
    }

    /// Where a transfer stands at the partner, which refused our message about it: it may have had it
    /// before, or have moved on.
    pub(in super::super) fn transfer_reread(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        refusal: String,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        let sent = self.live.agreements.sending.remove(id);
        let Some(transfer) = self.state.book.transfers.get(id).cloned() else {
            return;
        };
        if transfer.unsent.is_none() || transfer.unsent != sent {
            return self.send_transfer(turn, id);
        }
        use TransferState as S;
        match (transfer.state, transfer.standing(outcome)) {
            (_, Err(why)) => self.try_later(turn, Timer::Transfer(id.clone()), why),
            (ours, Ok(Standing::At(theirs))) if ours == theirs => {
                self.transfer_taken(turn, transfer);
            }
            (S::Started, Ok(Standing::At(S::Suspended))) => self.suspended_there(turn, transfer),
            (_, Ok(standing)) => self.transfer_refused(turn, transfer, &refusal, Some(standing)),
        }
    }

    /// They will not take our message: the transfer is over. Where it stands at the partner says how,
    /// and whether the partner has to be told.
    pub(super) fn transfer_refused(
        &mut self,
        turn: &mut Turn<'_>,
        mut transfer: Transfer,
        reason: &str,
        standing: Option<Standing<TransferState>>,
    ) {
        tracing::warn!(transfer = %transfer.id, peer = %transfer.peer, reason, "a message about a transfer was refused");
        self.forget_tries(&Timer::Transfer(transfer.id.clone()));
        transfer.unsent = None;
        if transfer.state.is_terminal() {
            return self.record_transfer(turn, transfer);
        }
        transfer.state = TransferState::Terminated;
        match standing {
            Some(Standing::At(theirs)) if theirs.is_terminal() => transfer.state = theirs,
            Some(Standing::At(_)) => {
                let reason = "you refused the message that came last";
                let next = TransferMove::Terminate(reason.into());
                transfer.unsent = self.transfer_message(&transfer, &next);
            }
            Some(Standing::Unknown) | None => {}
        }
        self.put_ended(turn, transfer);
    }

    /// The partner holds suspended what we have started: it suspended it as well, or at once after.
    fn suspended_there(&mut self, turn: &mut Turn<'_>, mut transfer: Transfer) {
        transfer.state = TransferState::Suspended;
        transfer.unsent = None;
        // Its message may still be on its way; it is a repeat of what we know then.
        let endpoint = Route::Transfer(transfer.id.clone(), TransferStep::Suspension).path();
        transfer.taken = Some(Sha256::digest(endpoint.as_bytes()).into());
        let agreement = self.state.book.agreements.get(&transfer.agreement).cloned();
        if let Some(agreement) = agreement.filter(|a| a.suspended_by.is_none()) {
            let by = Actor::Partner(transfer.peer.clone());
            let peer = transfer.peer.clone();
            self.suspended(turn, agreement, &peer, by, "it stands still at the partner");
        }
        self.put_transfer(turn, transfer);
        self.settle_now(turn);
    }

    /// Puts a transfer that the partner ended on record; its dataset is asked for again later.
    pub(super) fn put_ended(&mut self, turn: &mut Turn<'_>, transfer: Transfer) {
        let (party, agreement) = (transfer.party, transfer.agreement.clone());
        self.put_transfer(turn, transfer);
        if party == Party::Consumer && self.wants(turn, &agreement) {
            self.ask_later_for(turn, agreement);
        }
    }

    /// Whether the dataset of an agreement should be flowing to us.
    fn wants(&self, turn: &Turn<'_>, agreement: &WireId) -> bool {
        let known = self.state.book.agreements.get(agreement);
        known.is_some_and(|a| {
            a.consumer == self.state.me
                && a.state_at(&turn.now) == AgreementState::InForce
                && self.approver.asks_at_once(a)
        })
    }

    fn ask_later_for(&mut self, turn: &mut Turn<'_>, agreement: WireId) {
        let known = self.live.agreements.asked_again.get(&agreement);
        let (times, _) = known
            .copied()
            .filter(|(_, at)| turn.at().since_ms(*at) < ASK_AGAIN_MS_MAX)
            .unwrap_or((0, turn.at()));
        let bounds = ASK_AGAIN_MS_MIN..=ASK_AGAIN_MS_MAX;
        let at = turn
            .at()
            .plus_ms(backoff_between_ms(bounds, times, turn.random64()));
        let entry = (times.saturating_add(1), at);
        self.live
            .agreements
            .asked_again
            .insert(agreement.clone(), entry);
        self.live.timer(at, Timer::AskAgain(agreement));
    }

    /// Asks for the dataset of an agreement whose transfer the provider had ended.
    pub(in super::super) fn ask_again(&mut self, turn: &mut Turn<'_>, agreement: &WireId) {
        if self.wants(turn, agreement) {
            self.request_transfer(turn, agreement);
        }
    }

    /// When the dataset of an agreement is asked for again, if its provider has ended the transfer.
    pub(super) fn asks_again_at(&self, turn: &Turn<'_>, agreement: &WireId) -> Option<Timestamp> {
        let (_, at) = self.live.agreements.asked_again.get(agreement)?;
        Some(*at).filter(|at| *at > turn.at())
    }

    /// Asks again for what should be flowing to us, and was not asked for when the node went down.
    pub(super) fn resume_asking(&mut self, turn: &mut Turn<'_>) {
        let book = &self.state.book;
        let idle = |id: &&WireId| {
            let mut all = book.transfers_of(id);
            self.wants(turn, id) && !all.any(|t| !t.state.is_terminal())
        };
        let idle: Vec<WireId> = book.agreements.keys().filter(idle).cloned().collect();
        for agreement in idle {
            self.ask_later_for(turn, agreement);
        }
    }
}
