//! Negotiating as provider.
//!
//! Purpose: what a consumer asks for, accepted within a published offer or laid before our people.
//! Invariants: what is agreed on is what was on the table last; a request that names a term we do not
//! know is refused with the term named. It does not know what the consumer does with the agreement.

use interlock_core::agreement::{AgreementFacts, AgreementState, Assurance};
use interlock_core::ids::ParticipantId;
use interlock_core::negotiation::{NegotiationMessage, NegotiationState, Party};
use serde_json::Value;

use super::super::Node;
use super::super::record::Record;
use super::super::turn::Turn;
use super::door::{Incoming, Refused};
use super::negotiate::check_frame;
use super::{Agreement, HistoryEntry, Negotiation, OPEN_NEGOTIATIONS_MAX, Offer, new_id};
use crate::dsp::failure::Refusal;
use crate::dsp::message::{
    ContractAgreementVerificationMessage, ContractNegotiationEventMessage, ContractRequestMessage,
    NegotiationEvent, Opening, Pids,
};

impl Node {
    /// A consumer opens a negotiation about one of our offers.
    pub(super) fn request_opened(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
    ) -> Result<Value, Refused> {
        let body = message.read(ContractRequestMessage::parse)?;
        let Opening::New { callback } = &body.opening else {
            let pointer = "/providerPid".into();
            return Err(Refusal::Contradiction { pointer }.into());
        };
        self.check_callback(message.from, callback)?;
        let mut known = self.state.book.negotiations.values();
        let opened_before = known.find(|n| {
            n.party == Party::Provider
                && &n.peer == message.from
                && n.peer_id.as_ref() == Some(&body.consumer_pid)
        });
        if let Some(known) = opened_before {
            if known.offer == body.offer.id {
                return Ok(known.to_wire(known.state));
            }
            let pointer = "/offer/@id".into();
            return Err(Refusal::Contradiction { pointer }.into());
        }
        self.may_open(message.from)?;
        let offer = self.offer_to(message.from, &body.offer.id);
        let offer = offer.cloned().ok_or(Refusal::NotFound)?;
        let asked = self.terms_of(turn, &body.offer.to_policy(), &offer.target)?;
        check_frame(
            &body.offer,
            &offer.target,
            [
                self.state.me.as_str(),
                self.state.name_on_wire(message.from),
            ],
        )?;
        let id = new_id(turn);
        let mut negotiation = Negotiation {
            id: id.clone(),
            peer_id: Some(body.consumer_pid),
            peer: message.from.clone(),
            party: Party::Provider,
            state: NegotiationState::Requested,
            offer: offer.id,
            target: offer.target,
            terms: asked,
            terms_before: Some(offer.terms),
            agreement: None,
            // The consumer names the cooperation in its manifest; until then it stands alone.
            cooperation: id,
            waits_for_people: false,
            unsent: None,
            taken: Some(message.digest),
            history: Vec::new(),
        };
        negotiation.note(
            turn.at(),
            message.from.as_str(),
            format!("asked for {}", negotiation.target),
        );
        let answer = negotiation.to_wire(NegotiationState::Requested);
        self.consider(turn, negotiation, false);
        Ok(answer)
    }

    /// Refuses a partner that has too many negotiations open.
    pub(super) fn may_open(&self, from: &ParticipantId) -> Result<(), Refused> {
        let all = self.state.book.negotiations.values();
        let open = all.filter(|n| &n.peer == from && !n.state.is_terminal());
        if open.count() < OPEN_NEGOTIATIONS_MAX {
            return Ok(());
        }
        Err(Refusal::Throttled.into())
    }

    /// The consumer answers an offer of ours with other terms.
    pub(super) fn request_countered(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
        known: Negotiation,
    ) -> Result<(), Refused> {
        let body = message.read(ContractRequestMessage::parse)?;
        let Opening::Continued { pid } = body.opening else {
            let pointer = "/callbackAddress".into();
            return Err(Refusal::Contradiction { pointer }.into());
        };
        let pids = Pids {
            consumer: body.consumer_pid,
            provider: pid,
        };
        let taken = self.take_message(message, known, &pids, NegotiationMessage::Request)?;
        let Some(mut negotiation) = taken else {
            return Ok(());
        };
        let policy = body.offer.to_policy();
        let asked = self.terms_of(turn, &policy, &negotiation.target)?;
        check_frame(
            &body.offer,
            &negotiation.target,
            [
                self.state.me.as_str(),
                self.state.name_on_wire(message.from),
            ],
        )?;
        negotiation.terms_before = Some(std::mem::replace(&mut negotiation.terms, asked));
        negotiation.note(turn.at(), message.from.as_str(), "asked for other terms");
        self.consider(turn, negotiation, false);
        Ok(())
    }

    /// Agrees to the terms on the table.
    pub(super) fn agree(&mut self, turn: &mut Turn<'_>, mut negotiation: Negotiation, by: &str) {
        let agreement = new_id(turn);
        let me = self.state.me.as_str();
        let parties = [me, self.state.name_on_wire(&negotiation.peer)];
        negotiation.state = NegotiationState::Agreed;
        negotiation.waits_for_people = false;
        negotiation.unsent = negotiation.agreement_message(parties, &agreement, turn.at());
        negotiation.agreement = Some(agreement);
        negotiation.note(turn.at(), by, "agreed");
        self.put_negotiation(turn, negotiation);
    }

    /// An event of the peer: the consumer accepts, or the provider finalizes.
    pub(super) fn event_came(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
        known: Negotiation,
    ) -> Result<(), Refused> {
        let body = message.read(ContractNegotiationEventMessage::parse)?;
        let kind = match body.event {
            NegotiationEvent::Accepted => NegotiationMessage::Accepted,
            NegotiationEvent::Finalized => NegotiationMessage::Finalized,
        };
        let Some(mut negotiation) = self.take_message(message, known, &body.pids, kind)? else {
            return Ok(());
        };
        match body.event {
            NegotiationEvent::Accepted => {
                negotiation.note(turn.at(), message.from.as_str(), "accepted our terms");
                self.consider(turn, negotiation, false);
            }
            NegotiationEvent::Finalized => {
                negotiation.note(turn.at(), message.from.as_str(), "finalized it");
                let cooperation = negotiation.cooperation.clone();
                self.conclude(turn, negotiation);
                self.sign_when_complete(turn, &cooperation);
            }
        }
        Ok(())
    }

    /// The consumer confirms the agreement: it is final.
    pub(super) fn verification_came(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
        known: Negotiation,
    ) -> Result<(), Refused> {
        let body = message.read(ContractAgreementVerificationMessage::parse)?;
        let kind = NegotiationMessage::Verification;
        let taken = self.take_message(message, known, &body.pids, kind)?;
        if let Some(mut negotiation) = taken {
            negotiation.note(turn.at(), message.from.as_str(), "verified the agreement");
            self.consider(turn, negotiation, false);
        }
        Ok(())
    }

    /// Concludes a negotiation whose agreement was verified.
    pub(super) fn finalize(&mut self, turn: &mut Turn<'_>, mut negotiation: Negotiation) {
        negotiation.state = NegotiationState::Finalized;
        negotiation.waits_for_people = false;
        negotiation.unsent = negotiation.event_message(NegotiationEvent::Finalized);
        self.conclude(turn, negotiation);
    }

    /// Puts the agreement of a FINALIZED negotiation on record. It is in force only with a manifest.
    fn conclude(&mut self, turn: &mut Turn<'_>, negotiation: Negotiation) {
        let me = self.state.me.clone();
        let peer = negotiation.peer.clone();
        let (provider, consumer) = match negotiation.party {
            Party::Provider => (me.clone(), peer),
            Party::Consumer => (peer, me.clone()),
        };
        // A connector knows no manifest: what is agreed with it is attested by the negotiation alone.
        let assurance = match self.state.is_connector(&negotiation.peer) {
            true => Assurance::Plain,
            false => Assurance::Signed,
        };
        let agreement = negotiation.agreement.clone().map(|id| Agreement {
            id,
            provider,
            consumer,
            policy_hash: negotiation.terms.policy_hash(),
            terms: negotiation.terms.clone(),
            cooperation: negotiation.cooperation.clone(),
            finalized_at: turn.at(),
            facts: AgreementFacts::finalized(assurance),
            suspended_by: None,
            superseded_by: None,
            unsent_notice: None,
            state: AgreementState::Finalized,
            history: vec![HistoryEntry {
                at: turn.at(),
                by: me.to_string(),
                what: "finalized".into(),
            }],
        });
        self.put_negotiation(turn, negotiation);
        if let Some(agreement) = agreement {
            self.record(turn, Record::Agreement(Box::new(agreement)));
        }
    }

    /// The offer `id`, if `to` may see it.
    pub(super) fn offer_to(
        &self,
        to: &ParticipantId,
        id: &interlock_core::ids::WireId,
    ) -> Option<&Offer> {
        let offer = self.state.book.offers.get(id)?;
        offer.is_for(to).then_some(offer)
    }
}

impl Offer {
    /// Whether a partner may see it.
    pub(super) fn is_for(&self, partner: &ParticipantId) -> bool {
        self.audience.is_empty() || self.audience.contains(partner)
    }
}
