//! Negotiating as consumer.
//!
//! Purpose: what a provider offers in return, and the agreement that it sends. Invariants: an agreement
//! is verified only if its normalised terms are byte-equal to what was on the table; an offer that
//! differs from what we asked for waits for our people. It does not know how proposals begin.

use interlock_core::negotiation::{NegotiationMessage, NegotiationState, Party};
use serde_json::Value;

use super::super::Node;
use super::super::turn::Turn;
use super::door::{Incoming, Refused};
use super::negotiate::check_frame;
use super::{Negotiation, new_id};
use crate::dsp;
use crate::dsp::failure::Refusal;
use crate::dsp::message::{
    ContractAgreementMessage, ContractOfferMessage, NegotiationEvent, Opening, Pids,
};

impl Node {
    /// A provider opens a negotiation with an offer. Our people decide.
    pub(super) fn offer_opened(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
    ) -> Result<Value, Refused> {
        let body = message.read(ContractOfferMessage::parse)?;
        let Opening::New { callback } = &body.opening else {
            let pointer = "/consumerPid".into();
            return Err(Refusal::Contradiction { pointer }.into());
        };
        self.check_callback(message.from, callback)?;
        let mut known = self.state.book.negotiations.values();
        let opened_before = known.find(|n| {
            n.party == Party::Consumer
                && &n.peer == message.from
                && n.peer_id.as_ref() == Some(&body.provider_pid)
        });
        if let Some(known) = opened_before {
            if known.offer == body.offer().id {
                return Ok(known.to_wire(known.state));
            }
            let pointer = "/offer/@id".into();
            return Err(Refusal::Contradiction { pointer }.into());
        }
        self.may_open(message.from)?;
        let target = body.target().clone();
        let offered = self.terms_of(turn, &body.offer().to_policy(), &target)?;
        check_frame(
            body.offer(),
            &target,
            [
                self.state.name_on_wire(message.from),
                self.state.me.as_str(),
            ],
        )?;
        let mut negotiation = Negotiation {
            id: new_id(turn),
            peer_id: Some(body.provider_pid.clone()),
            peer: message.from.clone(),
            party: Party::Consumer,
            state: NegotiationState::Offered,
            offer: body.offer().id.clone(),
            target,
            terms: offered,
            terms_before: None,
            agreement: None,
            cooperation: new_id(turn),
            waits_for_people: false,
            unsent: None,
            taken: Some(message.digest),
            history: Vec::new(),
        };
        negotiation.note(
            turn.at(),
            message.from.as_str(),
            format!("offered {}", negotiation.target),
        );
        let answer = negotiation.to_wire(negotiation.state);
        self.consider(turn, negotiation, false);
        Ok(answer)
    }

    /// The provider answers a request of ours with an offer.
    pub(super) fn offer_countered(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
        known: Negotiation,
    ) -> Result<(), Refused> {
        let body = message.read(ContractOfferMessage::parse)?;
        let Opening::Continued { pid } = &body.opening else {
            let pointer = "/callbackAddress".into();
            return Err(Refusal::Contradiction { pointer }.into());
        };
        let pids = Pids {
            consumer: pid.clone(),
            provider: body.provider_pid.clone(),
        };
        let taken = self.take_message(message, known, &pids, NegotiationMessage::Offer)?;
        let Some(mut negotiation) = taken else {
            return Ok(());
        };
        let policy = body.offer().to_policy();
        let offered = self.terms_of(turn, &policy, &negotiation.target)?;
        check_frame(
            body.offer(),
            &negotiation.target,
            [
                self.state.name_on_wire(message.from),
                self.state.me.as_str(),
            ],
        )?;
        negotiation.note(turn.at(), message.from.as_str(), "offered its terms");
        negotiation.terms_before = Some(std::mem::replace(&mut negotiation.terms, offered));
        self.consider(turn, negotiation, false);
        Ok(())
    }

    /// Accepts the offer on the table.
    pub(super) fn accept(&mut self, turn: &mut Turn<'_>, mut negotiation: Negotiation, by: &str) {
        negotiation.state = NegotiationState::Accepted;
        negotiation.waits_for_people = false;
        negotiation.unsent = negotiation.event_message(NegotiationEvent::Accepted);
        negotiation.note(turn.at(), by, "accepted");
        self.put_negotiation(turn, negotiation);
    }

    /// Confirms the agreement.
    pub(super) fn verify(&mut self, turn: &mut Turn<'_>, mut negotiation: Negotiation) {
        negotiation.state = NegotiationState::Verified;
        negotiation.waits_for_people = false;
        negotiation.unsent = negotiation.verification_message();
        self.put_negotiation(turn, negotiation);
    }

    /// The provider sends the agreement.
    pub(super) fn agreement_came(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
        known: Negotiation,
    ) -> Result<(), Refused> {
        let body = message.read(ContractAgreementMessage::parse)?;
        let kind = NegotiationMessage::Agreement;
        let Some(mut negotiation) = self.take_message(message, known, &body.pids, kind)? else {
            return Ok(());
        };
        match self.differs(&negotiation, &body.agreement) {
            None => {
                negotiation.agreement = Some(body.agreement.id);
                negotiation.note(turn.at(), message.from.as_str(), "agreed");
                self.consider(turn, negotiation, false);
            }
            Some(reason) => {
                let me = self.state.me.to_string();
                negotiation.terminate(turn, &me, "agreement-differs", &reason);
                self.put_negotiation(turn, negotiation);
            }
        }
        Ok(())
    }

    /// In what an agreement differs from what was on the table, if in anything.
    fn differs(&self, negotiation: &Negotiation, agreement: &dsp::Agreement) -> Option<String> {
        let frame = [
            (
                agreement.target.as_str(),
                negotiation.target.as_str(),
                "target",
            ),
            (
                agreement.assigner.as_str(),
                self.state.name_on_wire(&negotiation.peer),
                "assigner",
            ),
            (
                agreement.assignee.as_str(),
                self.state.me.as_str(),
                "assignee",
            ),
        ];
        for (given, wanted, name) in frame {
            if given != wanted {
                return Some(format!(
                    "the agreement's `{name}` is not what was negotiated"
                ));
            }
        }
        let used = self.state.book.agreements.contains_key(&agreement.id)
            || self
                .state
                .book
                .negotiations
                .values()
                .any(|n| n.agreement.as_ref() == Some(&agreement.id));
        if used {
            return Some("the agreement's `@id` is that of another one".into());
        }
        let policy = agreement.to_policy();
        match self.approver.terms(&negotiation.target, &policy) {
            Err(reason) => Some(reason),
            Ok(agreed) if agreed.policy_hash() == negotiation.terms.policy_hash() => None,
            Ok(_) => Some("the agreement's terms are not those that were on the table".into()),
        }
    }
}
