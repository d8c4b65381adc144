//! Negotiating as provider.
//!
//! Purpose: what a consumer asks for, accepted within a published offer or laid before our people.
//! Invariants: what is agreed on is what was on the table last; a request that names a term we do not
//! know is refused with the term named. It does not know what the consumer does with the agreement.

use interlock_core::agreement::{AgreementFacts, AgreementState};
use interlock_core::ids::ParticipantId;
use interlock_core::negotiation::{NegotiationMessage, NegotiationState, Party};
use interlock_core::terms;
use serde_json::Value;

use super::super::Node;
use super::super::record::Record;
use super::super::turn::Turn;
use super::door::{Incoming, Refused};
use super::negotiate::check_frame;
use super::{Actor, Agreement, Negotiation, OPEN_NEGOTIATIONS_MAX, Offer, new_id};
use crate::dsp::failure::Refusal;
use crate::dsp::message::{
    ContractAgreementVerificationMessage, ContractNegotiationEventMessage, ContractRequestMessage,
    NegotiationEvent, Opening, Pids,
};

impl Node {
    // tidy: long, each refusal stands before what it protects
    /// A consumer opens a negotiation about one of our offers.
    pub(super) fn request_opened(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
    ) -> Result<Value, Refused> {
        let body = message.read(ContractRequestMessage::from_json)?;
        let Opening::New { callback } = &body.opening else {
            let pointer = "/providerPid".into();
            return Err(Refusal::Contradiction { pointer }.into());
        };
        self.check_callback(message.from, callback)?;
        let (book, pid) = (&self.state.book, &body.consumer_pid);
        if let Some(known) = book.negotiation_with(message.from, Party::Provider, pid) {
            if known.offer == body.offer.id {
                return Ok(known.to_wire(known.state));
            }
            let pointer = "/offer/@id".into();
            return Err(Refusal::Contradiction { pointer }.into());
        }
        self.may_open(message.from)?;
        let offer_id = &body.offer.id;
        let renewed = self.to_renew(message.from, Party::Provider, offer_id);
        let supersedes = renewed.map(|a| a.id.clone());
        let of_offer = self.offer_to(message.from, offer_id);
        let of_offer = of_offer.map(|offer| (offer.target.clone(), offer.terms.clone()));
        let known = of_offer.or_else(|| renewed.map(|a| (a.target.clone(), a.terms.clone())));
        let mediated = self.accepted_in_mediation(message.from, offer_id);
        let alone = mediated.is_none();
        let cooperation = mediated.and_then(|(m, _)| Some(m.read_manifest()?.cooperation));
        let known = known.or_else(|| {
            let (_, mediated) = mediated?;
            Some((mediated.terms.dataset.into(), mediated.terms.clone()))
        });
        let (target, offered) = known.ok_or(Refusal::NotFound)?;
        self.can_attest(message.from, offered.dataset)
            .map_err(Refusal::Policy)?;
        let asked = self.terms_of(turn, &body.offer.to_policy(), &target)?;
        if alone {
            self.leaves_codes(&asked, [&self.state.me, message.from], [])
                .map_err(Refusal::Policy)?;
        }
        check_frame(
            &body.offer,
            &target,
            [
                self.state.me.as_str(),
                self.state.name_on_wire(message.from),
            ],
        )?;
        let id = new_id(turn);
        let negotiation = Negotiation {
            id: id.clone(),
            peer_id: Some(body.consumer_pid),
            peer: message.from.clone(),
            party: Party::Provider,
            state: NegotiationState::Requested,
            offer: body.offer.id,
            target,
            policy_hash: asked.policy_hash(),
            terms: asked,
            version: 1,
            terms_before: Some(offered),
            agreement: None,
            agreed_at: None,
            // The consumer names the cooperation in its manifest; until then it stands alone.
            cooperation: cooperation.unwrap_or(id),
            waits_for_people: false,
            draft: None,
            approved_by: Vec::new(),
            expires_at: self.answer_by(turn),
            unsent: None,
            taken: Some(message.digest),
            supersedes,
        };
        let by = Actor::Partner(message.from.clone());
        let what = format!("asked for {}", negotiation.target);
        self.note(turn, &negotiation, by, what);
        let answer = negotiation.to_wire(NegotiationState::Requested);
        self.consider(turn, negotiation, false);
        Ok(answer)
    }

    /// Refuses a partner that has too many negotiations open.
    pub(super) fn may_open(&self, from: &ParticipantId) -> Result<(), Refused> {
        if self.state.book.open_with(from) < OPEN_NEGOTIATIONS_MAX {
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
        let body = message.read(ContractRequestMessage::from_json)?;
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
        self.leaves_codes(&asked, [&self.state.me, message.from], [])
            .map_err(Refusal::Policy)?;
        check_frame(
            &body.offer,
            &negotiation.target,
            [
                self.state.me.as_str(),
                self.state.name_on_wire(message.from),
            ],
        )?;
        negotiation.table(asked, None);
        negotiation.expires_at = self.answer_by(turn);
        let by = Actor::Partner(message.from.clone());
        self.note(turn, &negotiation, by, "asked for other terms");
        self.consider(turn, negotiation, false);
        Ok(())
    }

    /// The offer that a negotiation is about, if it still stands and is for the peer: the one that was
    /// asked for, or where an agreement is to be renewed the first that covers the terms on the table.
    pub(super) fn offer_about(&self, negotiation: &Negotiation) -> Option<&Offer> {
        if negotiation.supersedes.is_none() {
            return self.offer_to(&negotiation.peer, &negotiation.offer);
        }
        self.state.book.offers.values().find(|offer| {
            offer.auto_accept
                && offer.is_for(&negotiation.peer)
                && terms::within(&negotiation.terms, &offer.terms).is_ok()
        })
    }

    /// Agrees to the terms on the table.
    pub(super) fn agree(&mut self, turn: &mut Turn<'_>, mut negotiation: Negotiation, by: Actor) {
        // A mediator has drawn the id for the manifest that both have signed.
        let agreement = match self.is_mediated(&negotiation) {
            true => negotiation.offer.clone(),
            false => new_id(turn),
        };
        let me = self.state.me.as_str();
        let parties = [me, self.state.name_on_wire(&negotiation.peer)];
        negotiation.state = NegotiationState::Agreed;
        negotiation.waits_for_people = false;
        negotiation.unsent = negotiation.agreement_message(parties, &agreement, turn.at());
        negotiation.agreement = Some(agreement);
        negotiation.agreed_at = Some(turn.at());
        self.note(turn, &negotiation, by, "agreed");
        self.put_negotiation(turn, negotiation);
    }

    /// An event of the peer: the consumer accepts, or the provider finalizes.
    pub(super) fn event_came(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
        known: Negotiation,
    ) -> Result<(), Refused> {
        let body = message.read(ContractNegotiationEventMessage::from_json)?;
        let kind = match body.event {
            NegotiationEvent::Accepted => NegotiationMessage::Accepted,
            NegotiationEvent::Finalized => NegotiationMessage::Finalized,
        };
        let Some(negotiation) = self.take_message(message, known, &body.pids, kind)? else {
            return Ok(());
        };
        let by = Actor::Partner(message.from.clone());
        match body.event {
            NegotiationEvent::Accepted => {
                self.note(turn, &negotiation, by, "accepted our terms");
                self.consider(turn, negotiation, false);
            }
            NegotiationEvent::Finalized => {
                self.note(turn, &negotiation, by, "finalized it");
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
        let body = message.read(ContractAgreementVerificationMessage::from_json)?;
        let kind = NegotiationMessage::Verification;
        let taken = self.take_message(message, known, &body.pids, kind)?;
        if let Some(negotiation) = taken {
            let by = Actor::Partner(message.from.clone());
            self.note(turn, &negotiation, by, "verified the agreement");
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

    /// Puts the agreement of a FINALIZED negotiation on record. With a manifest to come it is in force
    /// only once that is signed.
    fn conclude(&mut self, turn: &mut Turn<'_>, negotiation: Negotiation) {
        let me = self.state.me.clone();
        let peer = negotiation.peer.clone();
        let assurance = self.assurance_with(&peer);
        let (provider, consumer) = match negotiation.party {
            Party::Provider => (me, peer),
            Party::Consumer => (peer, me),
        };
        // A connector knows no manifest: what is agreed with it is attested by the negotiation alone.
        let cooperation = negotiation.cooperation.clone();
        let agreement = negotiation.agreement.clone().map(|id| Agreement {
            id,
            provider,
            consumer,
            policy_hash: negotiation.policy_hash,
            terms: negotiation.terms.clone(),
            cooperation: negotiation.cooperation.clone(),
            agreed_at: negotiation.agreed_at.unwrap_or(turn.at()),
            finalized_at: turn.at(),
            facts: AgreementFacts::finalized(assurance),
            suspended_by: None,
            supersedes: negotiation.supersedes.clone(),
            superseded_by: None,
            unsent_notice: None,
            state: AgreementState::Finalized,
            negotiation: negotiation.id.clone(),
            target: negotiation.target.clone(),
        });
        self.put_negotiation(turn, negotiation);
        if let Some(agreement) = agreement {
            self.note_agreement(turn, &agreement, Actor::Node, "finalized");
            self.put_agreement(turn, agreement.clone());
            if agreement.facts.is_attested(&agreement.terms) {
                self.take_over(turn, agreement);
                self.settle_now(turn);
            }
            self.complete_mediated(turn, &cooperation);
        }
    }

    /// Puts an agreement on record. What follows from its new state is done when the step settles.
    pub(super) fn put_agreement(&mut self, turn: &mut Turn<'_>, agreement: Agreement) {
        self.live.agreements.touched.insert(agreement.id.clone());
        self.record(turn, Record::Agreement(Box::new(agreement)));
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
