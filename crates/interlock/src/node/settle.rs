//! Time passing: agreements that begin and end, and everything else that is due.

use interlock_core::agreement::{self, AgreementState};
use interlock_core::ids::WireId;
use interlock_core::time::Timestamp;

use super::Node;
use super::io::{CallFailure, CallId, PeerAnswer};
use super::keys::knows_not_our_key;
use super::live::{Purpose, Timer};
use super::record::Record;
use super::turn::Turn;

impl Node {
    /// Puts every agreement's new state on record once time has changed it, before anything else of
    /// the step is looked at. What was decided does not depend on this having been done in time.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>) {
        self.end_hours(turn);
        let changes = &mut self.live.agreements;
        while let Some((_, id)) = changes.changes.first().filter(|(at, _)| *at <= turn.at()) {
            let id = id.clone();
            changes.changes.pop_first();
            changes.change_at.remove(&id);
            changes.touched.insert(id);
        }
        self.expire_negotiations(turn);
        self.settle_now(turn);
        self.judge_collection(turn);
    }

    /// The same, whenever an agreement changed: looks at those that did.
    pub(super) fn settle_now(&mut self, turn: &mut Turn<'_>) {
        let mut changed = Vec::new();
        while let Some(id) = self.live.agreements.touched.pop_first() {
            let Some(agreement) = self.state.book.agreements.get(&id) else {
                continue;
            };
            let state = agreement.state_at(&turn.now);
            // Its leaf would be signed; what is decided does not wait for the record.
            let compared = self.is_compared(agreement.other(&self.state.me));
            if agreement.state != state && compared {
                self.entered(turn, &id, state);
            }
            self.watch(turn, id.clone());
            changed.push(id);
        }
        if !changed.is_empty() {
            self.watch_cooperations(turn, &changed);
        }
        self.warn(turn, changed);
    }

    /// Puts the new state of an agreement on record and does what follows from it.
    fn entered(&mut self, turn: &mut Turn<'_>, id: &WireId, state: AgreementState) {
        self.record(
            turn,
            Record::AgreementState {
                agreement: id.clone(),
                state,
            },
        );
        let Some(agreement) = self.state.book.agreements.get(id).cloned() else {
            return;
        };
        tracing::info!(agreement = %id, dataset = %agreement.terms.dataset, state = state.as_str(), "an agreement changed its state");
        self.agreement_leaf(turn, &agreement, state.as_str());
        self.tell_stopped(turn, id);
        if matches!(state, AgreementState::Ended | AgreementState::Superseded) {
            self.end_transfers(turn, &agreement);
        }
        if agreement.provider == self.state.me {
            if state == AgreementState::RunOff {
                self.attest_run_off(turn, &agreement);
            }
            self.live
                .ready
                .insert((agreement.consumer.clone(), agreement.terms.dataset));
        } else if state == AgreementState::InForce && self.approver.asks_at_once(&agreement) {
            self.request_transfer(turn, id);
        }
    }

    /// Notes when an agreement changes its state next. An end counts once the clock may have reached
    /// it, a beginning only once the clock must have: that much later by the width of the clock.
    fn watch(&mut self, turn: &Turn<'_>, id: WireId) {
        let next = self.state.book.agreements.get(&id).and_then(|a| {
            let width_ms = turn.now.latest.since_ms(turn.now.earliest);
            let end = agreement::next_change_at(&a.facts, &a.terms, turn.now.latest);
            let begin = agreement::next_change_at(&a.facts, &a.terms, turn.now.earliest);
            let begin = begin.map(|at| at.plus_ms(width_ms));
            [end, begin].into_iter().flatten().min()
        });
        let watched = &mut self.live.agreements;
        let before = match next {
            Some(at) => watched.change_at.insert(id.clone(), at),
            None => watched.change_at.remove(&id),
        };
        if let Some(before) = before {
            watched.changes.remove(&(before, id.clone()));
        }
        if let Some(at) = next {
            watched.changes.insert((at, id));
        }
    }

    /// When time changes the state of an agreement, or ends a negotiation, next.
    pub(super) fn next_settle(&self) -> Option<Timestamp> {
        let change = self.live.agreements.changes.first();
        let deadline = self.state.book.next_deadline();
        let warning = self.live.agreements.warnings.first();
        let first = [change, deadline, warning].into_iter().flatten();
        first.map(|(at, _)| *at).min()
    }

    /// Does what is due.
    pub(super) fn due_timers(&mut self, turn: &mut Turn<'_>) {
        for timer in self.live.take_due(turn.at()) {
            if !self.is_due(turn, &timer) {
                continue;
            }
            match timer {
                Timer::Pull(key) => self.pull(turn, &key),
                Timer::Receipt(key, next) => self.receipt_again(turn, &key, next),
                Timer::Lookup(owner) => self.ask(turn, &owner),
                Timer::LookupReceipt(owner) => self.lookup_receipt_due(turn, &owner),
                Timer::Message(id) => self.message_due(turn, id),
                Timer::Warning(id) => self.warning_due(turn, id),
                Timer::Courier(id) => self.courier_waited(turn, id),
                Timer::Contact(id) => self.ask_soon(turn, id),
                Timer::Reservation(id) | Timer::Pickup(id) => self.deposit_due(turn, id),
                Timer::Poll => {}
                Timer::Negotiation(id) => self.send_negotiation(turn, &id),
                Timer::Transfer(id) => self.send_transfer(turn, &id),
                Timer::Cooperation(id) => self.send_cooperation(turn, &id),
                Timer::Mediation(id, _) => self.send_mediation(turn, &id),
                Timer::Push(id) => self.push(turn, &id),
                Timer::DecideNegotiation(id) => self.decide_negotiation(turn, &id, true),
                Timer::DecideTransfer(id) => self.decide_transfer(turn, &id, true),
                Timer::RunOff(id) => self.tell_run_off(turn, &id),
                Timer::Reciprocate(id) => self.reciprocity_due(turn, &id),
                Timer::TellReciprocity(id) => self.send_reciprocity(turn, &id),
                Timer::TellStopped(id) => self.tell_stopped(turn, &id),
                Timer::Cooperations => self.look_at_cooperations(turn),
                Timer::Compare(partner) => self.compare(turn, &partner),
                Timer::AskAgain(agreement) => self.ask_again(turn, &agreement),
                Timer::Clock => self.ask_the_time(turn),
                Timer::Attestation(partner) => self.send_attestation(turn, &partner),
                Timer::Erasure(partner, parcel) => self.send_erasure(turn, &partner, parcel),
                Timer::Anchor => self.anchor_due(turn),
                Timer::Witness => self.witness_due(turn),
                Timer::KeyNotice(partner) => self.tell_key(turn, &partner),
            }
        }
    }

    /// The answer to a call of ours.
    pub(super) fn answered(
        &mut self,
        turn: &mut Turn<'_>,
        call: CallId,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        let Some(purpose) = self.live.calls.remove(&call) else {
            return;
        };
        if let Purpose::Compare(partner) | Purpose::Lookup { to: partner, .. } = &purpose
            && knows_not_our_key(&outcome)
        {
            self.tell_key(turn, partner);
        }
        if let Purpose::Pull(key) = &purpose
            && knows_not_our_key(&outcome)
        {
            self.tell_key(turn, &key.from);
        }
        if let (Purpose::Pull(key) | Purpose::Receipt(key), Ok(_)) = (&purpose, &outcome) {
            self.live.heard.insert(key.from.clone(), turn.at());
        }
        match purpose {
            Purpose::Pull(key) => self.pulled(turn, key, outcome),
            Purpose::Receipt(key) => self.receipt_answered(turn, &key, outcome),
            Purpose::Lookup { to, request_id } => {
                self.lookup_answered(turn, &to, request_id, outcome)
            }
            Purpose::LookupReceipt(to) => {
                if let Ok(PeerAnswer::Evidence(evidence)) = outcome
                    && let Err(problem) = self.take_evidence(turn, &to, &evidence)
                {
                    tracing::debug!(partner = %to, kind = %problem.kind, "the answer to a receipt was refused");
                }
            }
            Purpose::Negotiation(id) => self.negotiation_answered(turn, &id, outcome),
            Purpose::Transfer(id) => self.transfer_answered(turn, &id, outcome),
            Purpose::NegotiationReread { id, refusal } => {
                self.negotiation_reread(turn, &id, refusal, outcome);
            }
            Purpose::TransferReread { id, refusal } => {
                self.transfer_reread(turn, &id, refusal, outcome);
            }
            Purpose::Cooperation(id) => self.cooperation_answered(turn, &id, outcome),
            Purpose::Mediation { mediation, to } => {
                self.mediation_answered(turn, &mediation, &to, outcome);
            }
            Purpose::Push { transfer, next } => {
                self.pushed(turn, &transfer, next, outcome.map(drop));
            }
            Purpose::Catalog(partner) => self.catalog_answered(turn, &partner, outcome),
            Purpose::Reciprocity(id, at) => self.reciprocity_told(turn, (&id, at), outcome),
            Purpose::Stopped(id) => self.stopped_told(turn, &id, outcome),
            Purpose::RunOff(id) => self.run_off_told(turn, &id, outcome),
            Purpose::Compare(partner) => self.compare_answered(turn, &partner, outcome),
            Purpose::Clock(partner) => self.time_answered(turn, &partner, outcome),
            Purpose::Attestation(to) => self.attestation_answered(turn, &to, outcome),
            Purpose::Erasure(to, parcel) => self.erasure_answered(turn, to, parcel, outcome),
            Purpose::KeyNotice(partner) => self.key_told(turn, &partner, outcome),
            Purpose::Witness(partner, again) => self.anchor_seen(turn, &partner, again, outcome),
            Purpose::Leaves(of) => self.leaves_fetched(turn, &of, outcome),
        }
    }
}
