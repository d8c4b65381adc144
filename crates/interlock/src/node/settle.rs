//! Time passing: agreements that begin and end, and everything else that is due.

use interlock_core::agreement::{self, AgreementState};
use interlock_core::ids::WireId;
use interlock_core::time::{ClockInterval, Timestamp};

use super::Node;
use super::io::{CallFailure, CallId, PeerAnswer};
use super::live::{Purpose, Timer};
use super::record::Record;
use super::turn::Turn;

impl Node {
    /// Puts every agreement's new state on record once time has changed it, before anything else of
    /// the step is looked at. What was decided does not depend on this having been done in time.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>) {
        if self.live.settle_at.is_some_and(|at| at > turn.at()) {
            return;
        }
        self.settle_now(turn);
    }

    /// The same, whenever an agreement changed.
    pub(super) fn settle_now(&mut self, turn: &mut Turn<'_>) {
        let changed: Vec<(WireId, AgreementState)> = self
            .state
            .book
            .agreements
            .values()
            .map(|a| (a, a.state_at(&turn.now)))
            .filter(|(a, state)| a.state != *state)
            .map(|(a, state)| (a.id.clone(), state))
            .collect();
        for (id, state) in changed {
            self.record(
                turn,
                Record::AgreementState {
                    agreement: id.clone(),
                    state,
                },
            );
            let Some(agreement) = self.state.book.agreements.get(&id).cloned() else {
                continue;
            };
            tracing::info!(agreement = %id, dataset = %agreement.terms.dataset, state = state.as_str(), "an agreement changed its state");
            self.agreement_leaf(turn, &agreement, state.as_str());
            if agreement.provider == self.state.me {
                self.live
                    .ready
                    .insert((agreement.consumer.clone(), agreement.terms.dataset));
            } else if state == AgreementState::InForce && self.approver.asks_at_once(&agreement) {
                self.request_transfer(turn, &id);
            }
        }
        self.warn(turn);
        let next = [self.next_settle(&turn.now), self.next_warning(turn)];
        self.live.settle_at = next.into_iter().flatten().min();
    }

    /// When an agreement changes its state next. An end counts once the clock may have reached it, a
    /// beginning only once the clock must have: that much later by the width of the clock.
    fn next_settle(&self, now: &ClockInterval) -> Option<Timestamp> {
        let width_ms = now.latest.since_ms(now.earliest);
        let next = |a: &super::agreements::Agreement| {
            let end = agreement::next_change_at(&a.facts, &a.terms, now.latest);
            let begin = agreement::next_change_at(&a.facts, &a.terms, now.earliest);
            let begin = begin.map(|at| at.plus_ms(width_ms));
            [end, begin].into_iter().flatten().min()
        };
        self.state.book.agreements.values().filter_map(next).min()
    }

    /// Does what is due.
    pub(super) fn due_timers(&mut self, turn: &mut Turn<'_>) {
        for timer in self.live.take_due(turn.at()) {
            match timer {
                Timer::Pull(key) => self.pull(turn, &key),
                Timer::Receipt(key, next) => self.receipt_again(turn, &key, next),
                Timer::Lookup(owner) => self.ask(turn, &owner),
                Timer::LookupReceipt(owner) => self.lookup_receipt_due(turn, &owner),
                Timer::Message(id) => self.message_due(turn, id),
                Timer::Warning(id) => self.warning_due(turn, id),
                Timer::Courier(id) => self.courier_waited(turn, id),
                Timer::Reservation(id) | Timer::Pickup(id) => self.deposit_due(turn, id),
                Timer::Poll => {}
                Timer::Negotiation(id) => self.send_negotiation(turn, &id),
                Timer::Transfer(id) => self.send_transfer(turn, &id),
                Timer::Cooperation(id) => self.send_cooperation(turn, &id),
                Timer::Push(id) => self.push(turn, &id),
                Timer::DecideNegotiation(id) => self.decide_negotiation(turn, &id, true),
                Timer::DecideTransfer(id) => self.decide_transfer(turn, &id, true),
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
            Purpose::Cooperation(id) => self.cooperation_answered(turn, &id, outcome),
            Purpose::Push { transfer, next } => {
                self.pushed(turn, &transfer, next, outcome.map(drop));
            }
            Purpose::Catalog(reply) => self.catalog_answered(turn, reply, outcome),
        }
    }
}
