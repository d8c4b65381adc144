//! From two acceptances to agreements in force, by ordinary negotiations.
//!
//! INVARIANT: a party begins only with its own acceptance and the other's signature under the same
//! manifest; what it provides it agrees to on its own acceptance, to exactly the terms that it saw, and
//! nothing of it is in force before all agreements are FINALIZED and both signatures are there. Each
//! party asks for what it consumes. It does not know mediators.

use interlock_core::agreement::AgreementState;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::negotiation::{NegotiationState, Party};

use super::super::super::Node;
use super::super::super::feed_items::hex;
use super::super::super::record::Record;
use super::super::super::turn::Turn;
use super::super::{Actor, Book, Cooperation, Negotiation, new_id};
use super::{Answer, Mediated, Mediation};

impl Book {
    /// The mediation in whose terms, as they are now, an agreement of this id is named.
    pub fn mediated(&self, agreement: &WireId) -> Option<&Mediation> {
        self.mediations.get(self.index.mediated.get(agreement)?)
    }

    /// The mediation of whose manifest this is the cooperation, or was before its terms changed.
    pub fn mediation_of(&self, cooperation: &WireId) -> Option<&Mediation> {
        self.mediations
            .get(self.index.mediation_of.get(cooperation)?)
    }
}

impl Node {
    /// Begins to negotiate, once both have accepted.
    pub(super) fn conclude_mediation(&mut self, turn: &mut Turn<'_>, id: &WireId) {
        let Some(mut known) = self.state.book.mediations.get(id).cloned() else {
            return;
        };
        if known.begun || self.both_signatures(&known).is_none() {
            return;
        }
        let Some(manifest) = known.read_manifest() else {
            return;
        };
        known.begun = true;
        let (people, agreements) = (known.approved_by.clone(), known.agreements.clone());
        let what = "both parties have accepted; negotiations begin".to_owned();
        self.note_mediation(turn, id, Actor::Node, what);
        self.put_mediation(turn, known);
        for (agreement, mediated) in agreements {
            if mediated.consumer == self.state.me {
                let cooperation = manifest.cooperation.clone();
                self.ask_mediated(turn, agreement, mediated, cooperation, &people);
            }
        }
        // What we provide alone may be final already.
        self.complete_mediated(turn, &manifest.cooperation);
    }

    /// Asks for an agreement that was mediated: the id of the offer is that of the agreement.
    fn ask_mediated(
        &mut self,
        turn: &mut Turn<'_>,
        offer: WireId,
        mediated: Mediated,
        cooperation: WireId,
        people: &[String],
    ) {
        let terms = mediated.terms;
        let negotiation = Negotiation {
            id: new_id(turn),
            peer_id: None,
            peer: mediated.provider,
            party: Party::Consumer,
            state: NegotiationState::Requested,
            offer,
            target: terms.dataset.into(),
            terms_before: None,
            policy_hash: terms.policy_hash(),
            terms: terms.clone(),
            version: 1,
            agreement: None,
            agreed_at: None,
            cooperation,
            waits_for_people: false,
            draft: None,
            approved_by: Vec::new(),
            expires_at: self.answer_by(turn),
            unsent: None,
            taken: None,
            supersedes: None,
        };
        self.propose_terms(turn, negotiation, terms, Actor::Node, people.to_vec());
    }

    /// What we have accepted to provide to a partner, by the agreement's id, until it is agreed on.
    pub(in super::super) fn accepted_in_mediation(
        &self,
        consumer: &ParticipantId,
        agreement: &WireId,
    ) -> Option<(&Mediation, &Mediated)> {
        let book = &self.state.book;
        let known = book.mediated(agreement)?;
        let mediated = known.agreements.get(agreement)?;
        let ours = mediated.provider == self.state.me && &mediated.consumer == consumer;
        let accepted = matches!(known.ours, Some(Answer::Accepted { .. }));
        let accepted = accepted && known.withdrawn.is_none();
        let open = !book.agreements.contains_key(agreement);
        (ours && accepted && open).then_some((known, mediated))
    }

    /// Whether a negotiation is about exactly what we accepted to provide.
    pub(in super::super) fn is_mediated(&self, negotiation: &Negotiation) -> bool {
        let accepted = self.accepted_in_mediation(&negotiation.peer, &negotiation.offer);
        negotiation.party == Party::Provider
            && accepted.is_some_and(|(_, mediated)| {
                mediated.terms.policy_hash() == negotiation.policy_hash
            })
    }

    /// Puts the manifest of a mediation on record as signed by both, once all its agreements are
    /// FINALIZED.
    pub(in super::super) fn complete_mediated(
        &mut self,
        turn: &mut Turn<'_>,
        cooperation: &WireId,
    ) {
        let book = &self.state.book;
        if book.cooperation(cooperation).is_some() {
            return;
        }
        let Some(known) = book.mediation_of(cooperation) else {
            return;
        };
        let current = known
            .read_manifest()
            .is_some_and(|m| &m.cooperation == cooperation);
        let finalized = known.agreements.iter().all(|(id, mediated)| {
            book.agreements.get(id).is_some_and(|a| {
                (&a.provider, &a.consumer, &a.terms)
                    == (&mediated.provider, &mediated.consumer, &mediated.terms)
                    && a.state == AgreementState::Finalized
            })
        });
        let signed = self.both_signatures(known).filter(|_| current && finalized);
        let peer = known.other(&self.state.me).cloned();
        let (Some((ours, theirs)), Some(peer), Some(manifest)) =
            (signed, peer, known.read_manifest())
        else {
            return;
        };
        let record = Cooperation {
            id: cooperation.clone(),
            peer,
            manifest: Some(known.manifest.clone()),
            our_signature: Some(ours),
            their_signature: Some(theirs),
            refused: None,
        };
        self.record(turn, Record::Cooperation(Box::new(record)));
        self.signed(turn, &manifest);
    }

    /// Our signature under the manifest, and the other party's, if that is one with the key that we
    /// have pinned.
    fn both_signatures(&self, known: &Mediation) -> Option<(Vec<u8>, Vec<u8>)> {
        let Some(Answer::Accepted { signature: ours }) = &known.ours else {
            return None;
        };
        let other = known.other(&self.state.me)?;
        let Some(Answer::Accepted { signature: theirs }) = known.answers.get(other) else {
            return None;
        };
        let manifest = known.read_manifest()?;
        if self.signers(other).as_ref() != Some(&manifest.parties) {
            return None;
        }
        manifest.verify(other, &hex(theirs)).ok()?;
        Some((ours.clone(), theirs.clone()))
    }
}
