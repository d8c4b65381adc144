//! Callers of ours that wait for a negotiation to come to its end.
//!
//! INVARIANT: a caller that waits is answered when the negotiation is over and what it led to is
//! attested or will not be, or as things stand when its time is up. It does not know what it waits for.

use interlock_core::ids::WireId;
use interlock_core::negotiation::NegotiationState;
use interlock_core::time::Timestamp;

use super::super::Node;
use super::super::io::{LocalAnswer, ReplyId};
use super::super::live::Timer;
use super::super::problem::not_found;
use super::super::turn::Turn;
use super::{Negotiation, Waiter};

impl Node {
    /// `GET /negotiations/{id}`: the negotiation as [`Node::proposal_view`] shows it, once it is over or
    /// at `until`. 404 for an unknown id.
    pub(in super::super) fn get_negotiation(
        &mut self,
        turn: &mut Turn<'_>,
        reply: ReplyId,
        id: WireId,
        until: Timestamp,
    ) {
        let Some(negotiation) = self.state.book.negotiation(&id) else {
            return self.reply(turn, reply, LocalAnswer::Problem(not_found("negotiation")));
        };
        if self.is_over(&negotiation) || until <= turn.at() {
            let body = self.proposal_view(&negotiation);
            return self.reply(turn, reply, LocalAnswer::Json { status: 200, body });
        }
        self.live.timer(until, Timer::Poll);
        let waiter = Waiter { reply, until };
        let waiters = &mut self.live.agreements.waiters;
        waiters.entry(id).or_default().push(waiter);
    }

    /// Answers those whose negotiation is over, and those whose time is up.
    pub(in super::super) fn serve_negotiation_waiters(&mut self, turn: &mut Turn<'_>) {
        let moved = std::mem::take(&mut self.live.agreements.moved);
        if self.live.agreements.waiters.is_empty() {
            return;
        }
        let waiters = &self.live.agreements.waiters;
        let up = waiters
            .iter()
            .filter(|(_, waiters)| waiters.iter().any(|waiter| waiter.until <= turn.at()));
        let up: Vec<WireId> = up.map(|(id, _)| id.clone()).collect();
        for id in moved.into_iter().chain(up) {
            for waiter in self.live.agreements.waiters.remove(&id).unwrap_or_default() {
                self.get_negotiation(turn, waiter.reply, id.clone(), waiter.until);
            }
        }
    }

    /// How many callers wait.
    pub(in super::super) fn waiting_for_negotiations(&self) -> usize {
        self.live.agreements.waiters.values().map(Vec::len).sum()
    }

    /// Whether nothing more will come of a negotiation by itself.
    fn is_over(&self, negotiation: &Negotiation) -> bool {
        if negotiation.state != NegotiationState::Finalized {
            return negotiation.state == NegotiationState::Terminated;
        }
        let book = &self.state.book;
        let agreement = negotiation.agreement.as_ref();
        let agreement = agreement.and_then(|id| book.agreement(id));
        agreement.is_none_or(|agreement| {
            let cooperation = book.cooperation(&agreement.cooperation);
            let refused = cooperation.is_some_and(|c| c.refused.is_some());
            refused || agreement.facts.is_attested(&agreement.terms)
        })
    }
}
