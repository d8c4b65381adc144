//! Renewing an agreement: a successor that names it and takes over at its end.
//!
//! Purpose: the next term of an agreement, proposed by either party. Invariants: a renewal is a
//! negotiation like any other, about an offer whose id is that of the agreement; an agreement has one
//! successor at most. Usage goes by partner and dataset, so that a renewal neither gives a second quota
//! nor takes one. It does not know who accepts it.

use std::borrow::Cow;

use interlock_core::agreement::AgreementState;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::negotiation::{NegotiationState, Party};
use interlock_core::terms::{Backlog, Terms};
use interlock_core::time::Timestamp;
use serde_json::json;

use super::super::Node;
use super::super::io::{LocalAnswer, Problem, Renewal};
use super::super::problem::{field, not_found, problem};
use super::super::turn::Turn;
use super::negotiate::check_policy;
use super::{Agreement, Negotiation, new_id};

impl Node {
    /// `POST /agreements/{id}/renew`: 201 with `negotiations`, the one by which it is renewed.
    ///
    /// # Errors
    /// 404 for an unknown agreement, 409 for one that has a successor, or will have, 422 for terms that
    /// cannot follow.
    pub(in super::super) fn renew(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        renewal: Renewal,
        by: &str,
    ) -> Result<LocalAnswer, Problem> {
        let known = self.state.book.agreement(id).map(Cow::into_owned);
        let agreement = known.ok_or_else(|| not_found("agreement"))?;
        self.may_renew(turn, &agreement)?;
        let terms = self.next_terms(turn, &agreement, renewal)?;
        let party = agreement.party(&self.state.me);
        let peer = agreement.other(&self.state.me).clone();
        let negotiation = Negotiation {
            id: new_id(turn),
            peer_id: None,
            peer,
            party,
            state: match party {
                Party::Provider => NegotiationState::Offered,
                Party::Consumer => NegotiationState::Requested,
            },
            offer: id.clone(),
            target: agreement.target,
            terms_before: Some(agreement.terms),
            policy_hash: terms.policy_hash(),
            terms,
            version: 1,
            agreement: None,
            agreed_at: None,
            cooperation: new_id(turn),
            waits_for_people: false,
            draft: None,
            approved_by: Vec::new(),
            expires_at: self.answer_by(turn),
            unsent: None,
            taken: None,
            supersedes: Some(id.clone()),
        };
        let body = json!({
            "cooperation": negotiation.cooperation.as_str(),
            "negotiations": [negotiation.id.as_str()],
        });
        self.begin(turn, negotiation, by);
        Ok(LocalAnswer::Json { status: 201, body })
    }

    fn may_renew(&self, turn: &Turn<'_>, agreement: &Agreement) -> Result<(), Problem> {
        let not_now =
            |detail: String| Err(problem("not-possible", 409, "not possible now", detail));
        if let Some(successor) = &agreement.superseded_by {
            return not_now(format!("it has a successor, `{successor}`; renew that one"));
        }
        if agreement.state_at(&turn.now) == AgreementState::Finalized {
            return not_now("it is not signed yet; nothing of it could be renewed".into());
        }
        let peer = agreement.other(&self.state.me);
        let open = self.state.book.open_negotiations(peer);
        let under_way = open.filter(|n| n.supersedes.as_ref() == Some(&agreement.id));
        if let Some(other) = under_way.map(|n| &n.id).next() {
            return not_now(format!("`{other}` renews it already; decide that one"));
        }
        Ok(())
    }

    /// The terms that follow: those given, else the same for as long again, from the end on.
    fn next_terms(
        &self,
        turn: &Turn<'_>,
        agreement: &Agreement,
        renewal: Renewal,
    ) -> Result<Terms, Problem> {
        let refused = |pointer: &str, detail: String| {
            field("not-possible", 422, "not renewed", pointer, detail)
        };
        let old = &agreement.terms;
        let mut terms = match renewal.policy {
            Some(policy) => {
                check_policy(&policy, old.dataset).map_err(|e| refused("/policy", e))?
            }
            None => successor(agreement, turn.at()),
        };
        terms.until = renewal.until.unwrap_or(terms.until);
        if terms.until <= turn.at() || terms.until <= terms.from {
            let detail = "the new term is over, or none; let it end later";
            return Err(refused("/until", detail.into()));
        }
        if agreement.provider == self.state.me {
            self.can_provide(&terms)
                .map_err(|e| refused("/policy", e))?;
        }
        let parties = [&agreement.provider, &agreement.consumer];
        self.leaves_codes(&terms, parties, [])
            .map_err(|e| refused("/policy", e))?;
        Ok(terms)
    }

    /// The agreement that an offer of the peer, or a request for one, would renew: its id is the
    /// agreement's. `party` is ours.
    pub(super) fn to_renew(
        &self,
        peer: &ParticipantId,
        party: Party,
        offer: &WireId,
    ) -> Option<&Agreement> {
        let agreement = self.state.book.agreements.get(offer)?;
        let me = &self.state.me;
        let ours = agreement.party(me) == party && agreement.other(me) == peer;
        ours.then_some(agreement)
    }
}

/// The terms of an agreement for another term: from its end, without a gap, or from now where that is
/// past, in which case what waits meanwhile is covered.
fn successor(agreement: &Agreement, now: Timestamp) -> Terms {
    let old = &agreement.terms;
    let end = agreement.facts.end(old);
    let from = end.max(now);
    let gap = from > end && old.backlog == Some(Backlog::Hold);
    Terms {
        from,
        until: from.plus_ms(old.until.since_ms(old.from)),
        covers_from: gap.then_some(end),
        ..old.clone()
    }
}

impl Agreement {
    /// Which party `me` is.
    pub(super) fn party(&self, me: &ParticipantId) -> Party {
        if &self.provider == me {
            Party::Provider
        } else {
            Party::Consumer
        }
    }
}
