//! What our people decide about proposals: one of them, or two.
//!
//! Purpose: approving, countering and rejecting. Invariants: a decision is possible only while it is
//! asked for; where two must approve, nothing is agreed on or proposed before two different people have
//! approved the same terms, and whoever made terms is one of the two; other terms need both anew. People
//! are told apart by their names, and by who let whom in. It does not know who may decide: the door has checked
//! the role.

use std::borrow::Cow;

use interlock_core::ids::WireId;
use interlock_core::negotiation::{NegotiationState, Party};
use interlock_core::terms::Terms;
use serde_json::Value;

use super::super::Node;
use super::super::io::{Decision, LocalAnswer, Problem};
use super::super::problem::{field, not_found, problem};
use super::super::turn::Turn;
use super::negotiate::{check_policy, shorten};
use super::{Actor, Draft, Negotiation, new_id};

impl Negotiation {
    /// The terms that our people are to look at: those that one of them wants to propose, else those on
    /// the table.
    pub(super) fn shown_terms(&self) -> &Terms {
        self.draft
            .as_ref()
            .map_or(&self.terms, |draft| &draft.terms)
    }

    /// Their number.
    pub(super) fn shown_version(&self) -> u32 {
        // What opens a negotiation is its first version, sent or not.
        let counters = self.draft.is_some() && self.peer_id.is_some();
        self.version.saturating_add(u32::from(counters))
    }
}

impl Node {
    /// Whether two people must approve.
    pub(super) fn needs_two(&self) -> bool {
        self.config.approvals_min > 1
    }

    /// `POST /proposals/{id}/approve`, `counter`, `reject`: 200 with the negotiation. `by` is the name
    /// of the API key of whoever decided.
    ///
    /// # Errors
    /// 404 for an unknown negotiation, 409 for one that waits for nobody here, for terms that have
    /// changed and for a second approval by the same person, 422 for a counter-offer that cannot be made.
    pub(in super::super) fn decide_proposal(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        decision: Decision,
        by: &str,
    ) -> Result<LocalAnswer, Problem> {
        let known = self.state.book.negotiation(id).map(Cow::into_owned);
        let mut negotiation = known.ok_or_else(|| not_found("negotiation"))?;
        let waits = negotiation.waits_for_people && turn.at() < negotiation.shown_terms().until;
        match decision {
            Decision::Approve if waits => self.approve(turn, negotiation, None, by)?,
            Decision::ApproveVersion(version) if waits => {
                self.approve(turn, negotiation, Some(version), by)?;
            }
            Decision::Counter { policy } if waits => {
                let terms = self.counter_terms(turn, &negotiation, &policy)?;
                self.counter(turn, negotiation, terms, by);
            }
            Decision::Reject { reason } if !negotiation.state.is_terminal() => {
                let by = Actor::Person(by.into());
                self.terminate(turn, &mut negotiation, by, "rejected", &shorten(&reason));
                self.put_negotiation(turn, negotiation);
            }
            Decision::Approve
            | Decision::ApproveVersion(_)
            | Decision::Counter { .. }
            | Decision::Reject { .. } => {
                return Err(problem(
                    "not-waiting",
                    409,
                    "nothing to decide",
                    format!(
                        "the negotiation is in state `{}` and waits for no decision here, or its term is over",
                        negotiation.state
                    ),
                ));
            }
        }
        let known = self.state.book.negotiation(id);
        let body = known.map_or(Value::Null, |n| self.negotiation_view(&n));
        Ok(LocalAnswer::Json { status: 200, body })
    }

    fn approve(
        &mut self,
        turn: &mut Turn<'_>,
        mut negotiation: Negotiation,
        version: Option<u32>,
        by: &str,
    ) -> Result<(), Problem> {
        let refused = |kind, detail: String| problem(kind, 409, "not approved", detail);
        let shown = negotiation.shown_version();
        if version.is_some_and(|version| version != shown) {
            let detail = format!("the terms are version {shown} now; look at them again");
            return Err(refused("terms-changed", detail));
        }
        if self.needs_two() {
            let before = match &negotiation.draft {
                Some(draft) => std::slice::from_ref(&draft.by),
                None => negotiation.approved_by.as_slice(),
            };
            self.another_person(before, by, "not approved")?;
        }
        if negotiation.party == Party::Provider {
            self.can_provide(negotiation.shown_terms())
                .map_err(|detail| refused("cannot-provide", detail))?;
        }
        let parties = negotiation.parties(&self.state.me);
        self.leaves_codes(negotiation.shown_terms(), parties, [])
            .map_err(|detail| refused("code-withheld", detail))?;
        let person = Actor::Person(by.into());
        if let Some(draft) = negotiation.draft.take() {
            let what = format!("approved what {} wants to propose", draft.by);
            self.note(turn, &negotiation, person.clone(), what);
            let people = vec![draft.by, by.to_owned()];
            self.propose_terms(turn, negotiation, draft.terms, person, people);
            return Ok(());
        }
        negotiation.approved_by.push(by.to_owned());
        if negotiation.approved_by.len() < self.config.approvals_min {
            self.note(
                turn,
                &negotiation,
                person,
                "approved it; a second person must",
            );
            self.put_negotiation(turn, negotiation);
            return Ok(());
        }
        match negotiation.party {
            Party::Provider => self.agree(turn, negotiation, person),
            Party::Consumer => self.accept(turn, negotiation, person),
        }
        Ok(())
    }

    fn counter(
        &mut self,
        turn: &mut Turn<'_>,
        mut negotiation: Negotiation,
        terms: Terms,
        by: &str,
    ) {
        let person = Actor::Person(by.into());
        if self.needs_two() {
            let by = by.to_owned();
            negotiation.draft = Some(Draft { terms, by });
            negotiation.expires_at = self.answer_by(turn);
            let what = "wants to propose other terms; a second person must approve";
            self.note(turn, &negotiation, person, what);
            self.put_negotiation(turn, negotiation);
        } else {
            self.propose_terms(turn, negotiation, terms, person, vec![by.to_owned()]);
        }
    }

    /// Proposes terms that enough of our people stand for: opens a negotiation, or counters.
    pub(super) fn propose_terms(
        &mut self,
        turn: &mut Turn<'_>,
        mut negotiation: Negotiation,
        terms: Terms,
        by: Actor,
        people: Vec<String>,
    ) {
        negotiation.waits_for_people = false;
        negotiation.expires_at = self.answer_by(turn);
        if negotiation.peer_id.is_none() {
            if negotiation.terms != terms {
                negotiation.policy_hash = terms.policy_hash();
                negotiation.terms = terms;
            }
            let opening = self.dsp_base();
            negotiation.unsent = opening.and_then(|callback| negotiation.opening_message(callback));
            let what = format!("proposed {}", negotiation.terms.dataset);
            self.note(turn, &negotiation, by, what);
        } else {
            negotiation.table(terms, None);
            negotiation.state = match negotiation.party {
                Party::Provider => NegotiationState::Offered,
                Party::Consumer => NegotiationState::Requested,
            };
            negotiation.unsent = negotiation.counter_message(new_id(turn));
            self.note(turn, &negotiation, by, "proposed other terms");
        }
        negotiation.approved_by = people;
        self.put_negotiation(turn, negotiation);
    }

    /// Begins a negotiation with terms that one of our people proposes: at once, or once a second one
    /// has approved them.
    pub(super) fn begin(&mut self, turn: &mut Turn<'_>, mut negotiation: Negotiation, by: &str) {
        let terms = negotiation.terms.clone();
        if self.needs_two() {
            let by = by.to_owned();
            let what = format!(
                "wants to propose {}; a second person must approve",
                terms.dataset
            );
            self.note(turn, &negotiation, Actor::Person(by.clone()), what);
            negotiation.draft = Some(Draft { terms, by });
            negotiation.waits_for_people = true;
            self.put_negotiation(turn, negotiation);
        } else {
            let person = Actor::Person(by.into());
            self.propose_terms(turn, negotiation, terms, person, vec![by.to_owned()]);
        }
    }

    /// The terms of a counter-offer, which must be about the same dataset and not the same terms.
    fn counter_terms(
        &self,
        turn: &Turn<'_>,
        negotiation: &Negotiation,
        policy: &Value,
    ) -> Result<Terms, Problem> {
        let refused = |detail: String| {
            field(
                "counter-refused",
                422,
                "no counter-offer was made",
                "/policy",
                detail,
            )
        };
        let terms = check_policy(policy, negotiation.terms.dataset).map_err(&refused)?;
        if terms.until <= turn.at() {
            return Err(refused("the term is over; let it end later".into()));
        }
        if &terms == negotiation.shown_terms() {
            return Err(refused(
                "these are the terms on the table; approve them instead".into(),
            ));
        }
        if negotiation.party == Party::Provider {
            self.can_provide(&terms).map_err(&refused)?;
        }
        self.leaves_codes(&terms, negotiation.parties(&self.state.me), [])
            .map_err(refused)?;
        Ok(terms)
    }
}
