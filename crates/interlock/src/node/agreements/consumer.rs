//! Negotiating as consumer.
//!
//! Purpose: what a provider offers in return, and the agreement that it sends. Invariants: an agreement
//! is verified only if its normalised terms are byte-equal to what was on the table; an offer that
//! differs from what we asked for waits for our people. It does not know how proposals begin.

use interlock_core::negotiation::{NegotiationMessage, NegotiationState, Party};
use interlock_core::time::Timestamp;
use interlock_journal::bilateral::SKEW_MS_MAX;
use serde_json::Value;

use super::super::Node;
use super::super::turn::Turn;
use super::door::{Incoming, Refused};
use super::negotiate::check_frame;
use super::{Actor, Negotiation, new_id};
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
        let body = message.read(ContractOfferMessage::from_json)?;
        let Opening::New { callback } = &body.opening else {
            let pointer = "/consumerPid".into();
            return Err(Refusal::Contradiction { pointer }.into());
        };
        self.check_callback(message.from, callback)?;
        let book = &self.state.book;
        let opened_before =
            book.negotiation_with(message.from, Party::Consumer, &body.provider_pid);
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
        self.can_attest(message.from, offered.dataset)
            .map_err(Refusal::Policy)?;
        let renewed = self.to_renew(message.from, Party::Consumer, &body.offer().id);
        let before = renewed.map(|a| a.terms.clone());
        let supersedes = renewed.map(|a| a.id.clone());
        let negotiation = Negotiation {
            id: new_id(turn),
            peer_id: Some(body.provider_pid.clone()),
            peer: message.from.clone(),
            party: Party::Consumer,
            state: NegotiationState::Offered,
            offer: body.offer().id.clone(),
            target,
            terms_before: before,
            policy_hash: offered.policy_hash(),
            terms: offered,
            version: 1,
            agreement: None,
            agreed_at: None,
            cooperation: new_id(turn),
            waits_for_people: false,
            draft: None,
            approved_by: Vec::new(),
            expires_at: self.answer_by(turn),
            unsent: None,
            taken: Some(message.digest),
            supersedes,
        };
        let by = Actor::Partner(message.from.clone());
        let what = format!("offered {}", negotiation.target);
        self.note(turn, &negotiation, by, what);
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
        let body = message.read(ContractOfferMessage::from_json)?;
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
        let same = offered == negotiation.terms;
        negotiation.table(offered, None);
        negotiation.expires_at = self.answer_by(turn);
        let what = match same {
            true => "offered what we asked for",
            false => "offered other terms",
        };
        let by = Actor::Partner(message.from.clone());
        self.note(turn, &negotiation, by, what);
        self.consider(turn, negotiation, false);
        Ok(())
    }

    /// Accepts the offer on the table.
    pub(super) fn accept(&mut self, turn: &mut Turn<'_>, mut negotiation: Negotiation, by: Actor) {
        negotiation.state = NegotiationState::Accepted;
        negotiation.waits_for_people = false;
        negotiation.unsent = negotiation.event_message(NegotiationEvent::Accepted);
        self.note(turn, &negotiation, by, "accepted");
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
        let body = message.read(ContractAgreementMessage::from_json)?;
        let kind = NegotiationMessage::Agreement;
        let Some(mut negotiation) = self.take_message(message, known, &body.pids, kind)? else {
            return Ok(());
        };
        let read = self.read_agreement(turn, &negotiation, &body.agreement);
        match read {
            Ok(agreed_at) => {
                negotiation.agreement = Some(body.agreement.id);
                negotiation.agreed_at = Some(agreed_at);
                let by = Actor::Partner(message.from.clone());
                self.note(turn, &negotiation, by, "agreed");
                self.consider(turn, negotiation, false);
            }
            Err(reason) => {
                let code = "agreement-differs";
                self.terminate(turn, &mut negotiation, Actor::Node, code, &reason);
                self.put_negotiation(turn, negotiation);
            }
        }
        Ok(())
    }

    /// When the provider agreed.
    ///
    /// # Errors
    /// In what the agreement differs from what was on the table.
    fn read_agreement(
        &self,
        turn: &Turn<'_>,
        negotiation: &Negotiation,
        agreement: &dsp::Agreement,
    ) -> Result<Timestamp, String> {
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
                return Err(format!(
                    "the agreement's `{name}` is not what was negotiated"
                ));
            }
        }
        let mediated = self.state.book.mediation_of(&negotiation.cooperation);
        if mediated.is_some() && agreement.id != negotiation.offer {
            return Err("the agreement's `@id` is not the one that was mediated".into());
        }
        if self.state.book.knows_agreement(&agreement.id) {
            return Err("the agreement's `@id` is that of another one".into());
        }
        let agreed = self
            .approver
            .terms(&negotiation.target, &agreement.to_policy())?;
        // Equal terms give equal bytes; other terms may.
        if agreed != negotiation.terms && agreed.policy_hash() != negotiation.policy_hash {
            return Err("the agreement's terms are not those that were on the table".into());
        }
        // Of two agreements the later one counts, so that none may be dated into the future.
        match Timestamp::parse_zoned(&agreement.timestamp) {
            Ok((at, _)) if at.since_ms(turn.at()) > SKEW_MS_MAX => {
                Err("the agreement's `timestamp` is ahead of our clock; correct yours".into())
            }
            Ok((at, _)) => Ok(at),
            Err(_) => Ok(turn.at()),
        }
    }
}
