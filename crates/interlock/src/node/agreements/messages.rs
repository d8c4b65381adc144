//! The messages that we send about negotiations and transfers.
//!
//! INVARIANT: a message is built once, when its step is decided, and kept as it is until it is
//! acknowledged, so that a repeat is byte-equal to the first. It does not know when a message is legal.

use interlock_core::ids::WireId;
use interlock_core::negotiation::{NegotiationState, Party};
use interlock_core::terms::Terms;
use interlock_core::time::Timestamp;
use interlock_core::transfer::TransferState;
use serde_json::{Map, Value};

use super::{Negotiation, Outgoing, Transfer};
use crate::dsp;
use crate::dsp::message::{
    self, Cause, ContractAgreementMessage, ContractAgreementVerificationMessage,
    ContractNegotiation, ContractNegotiationEventMessage, ContractNegotiationTerminationMessage,
    ContractOfferMessage, ContractRequestMessage, NegotiationEvent, Opening, Pids, TransferProcess,
};
use crate::dsp::routes::{NegotiationStep, Route, TransferStep};
use crate::identity::url::BaseUrl;

impl Outgoing {
    /// A message to the endpoint `route` of the peer.
    pub(super) fn new(route: &Route, body: &Value) -> Self {
        Self {
            path: route.path(),
            body: body.to_string(),
        }
    }

    /// Whether it opens a negotiation.
    pub(super) fn opens(&self) -> bool {
        [Route::NegotiationRequest, Route::NegotiationOffer]
            .iter()
            .any(|route| route.path() == self.path)
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

impl Negotiation {
    /// Both identifiers, once the peer's is known.
    pub(super) fn pids(&self) -> Option<Pids> {
        Some(pids(self.party, &self.id, self.peer_id.as_ref()?))
    }

    /// What is on the table, as an offer on the wire.
    fn wire_offer(&self, id: WireId) -> dsp::Offer {
        dsp::Offer {
            id,
            target: Some(self.target.clone()),
            assigner: None,
            assignee: None,
            rules: rules(&self.terms),
        }
    }

    /// What opens it: the consumer's request, or the provider's offer; `callback` is our own endpoint.
    pub(super) fn opening_message(&self, callback: BaseUrl) -> Option<Outgoing> {
        let opening = Opening::New { callback };
        let offer = self.wire_offer(self.offer.clone());
        let (route, body) = match self.party {
            Party::Provider => {
                let target = self.target.clone();
                let message = ContractOfferMessage::new(self.id.clone(), opening, target, offer);
                (Route::NegotiationOffer, message.to_json())
            }
            Party::Consumer => {
                let message = ContractRequestMessage {
                    consumer_pid: self.id.clone(),
                    opening,
                    offer,
                };
                (Route::NegotiationRequest, message.to_json())
            }
        };
        Some(Outgoing::new(&route, &body))
    }

    /// The terms on the table, to the other side: an offer of the provider, a request of the consumer.
    /// `offer` is a new identifier, so that the same terms in a later round are another message and
    /// not a repeat of the earlier one.
    pub(super) fn counter_message(&self, offer: WireId) -> Option<Outgoing> {
        let pid = self.peer_id.clone()?;
        let opening = Opening::Continued { pid: pid.clone() };
        let (step, body) = match self.party {
            Party::Provider => {
                let (id, offer) = (self.id.clone(), self.wire_offer(offer));
                let message = ContractOfferMessage::new(id, opening, self.target.clone(), offer);
                (NegotiationStep::Offers, message.to_json())
            }
            Party::Consumer => {
                let message = ContractRequestMessage {
                    consumer_pid: self.id.clone(),
                    opening,
                    offer: self.wire_offer(offer),
                };
                (NegotiationStep::Request, message.to_json())
            }
        };
        Some(Outgoing::new(&Route::Negotiation(pid, step), &body))
    }

    /// The agreement, from its provider.
    pub(super) fn agreement_message(
        &self,
        [provider, consumer]: [&str; 2],
        agreement: &WireId,
        at: Timestamp,
    ) -> Option<Outgoing> {
        let message = ContractAgreementMessage {
            pids: self.pids()?,
            agreement: dsp::Agreement {
                id: agreement.clone(),
                target: self.target.clone(),
                assigner: WireId::parse(provider).ok()?,
                assignee: WireId::parse(consumer).ok()?,
                timestamp: at.to_rfc3339(self.terms.zone),
                rules: rules(&self.terms),
            },
        };
        self.outgoing(NegotiationStep::Agreement, &message.to_json())
    }

    /// The consumer's word that the agreement is what was on the table.
    pub(super) fn verification_message(&self) -> Option<Outgoing> {
        let message = ContractAgreementVerificationMessage { pids: self.pids()? };
        self.outgoing(NegotiationStep::Verification, &message.to_json())
    }

    /// An event.
    pub(super) fn event_message(&self, event: NegotiationEvent) -> Option<Outgoing> {
        let pids = self.pids()?;
        let message = ContractNegotiationEventMessage { pids, event };
        self.outgoing(NegotiationStep::Events, &message.to_json())
    }

    /// The end, with the reason for people.
    pub(super) fn termination_message(&self, code: &str, reason: &str) -> Option<Outgoing> {
        let message = ContractNegotiationTerminationMessage {
            pids: self.pids()?,
            cause: cause(code, reason),
        };
        self.outgoing(NegotiationStep::Termination, &message.to_json())
    }

    fn outgoing(&self, step: NegotiationStep, body: &Value) -> Option<Outgoing> {
        let route = Route::Negotiation(self.peer_id.clone()?, step);
        Some(Outgoing::new(&route, body))
    }

    /// Where it stands, said to be `state`.
    pub(super) fn to_wire(&self, state: NegotiationState) -> Value {
        let Some(pids) = self.pids() else {
            return Value::Null;
        };
        let state = wire_state(state);
        ContractNegotiation { pids, state }.to_json()
    }
}

impl Transfer {
    /// Both identifiers, once the peer's is known.
    pub(super) fn pids(&self) -> Option<Pids> {
        Some(pids(self.party, &self.id, self.peer_id.as_ref()?))
    }

    /// A message about it.
    pub(super) fn outgoing(&self, step: TransferStep, body: &Value) -> Option<Outgoing> {
        let route = Route::Transfer(self.peer_id.clone()?, step);
        Some(Outgoing::new(&route, body))
    }

    /// Where it stands, said to be `state`.
    pub(super) fn to_wire(&self, state: TransferState) -> Value {
        let Some(pids) = self.pids() else {
            return Value::Null;
        };
        let state = wire_transfer_state(state);
        TransferProcess { pids, state }.to_json()
    }
}

/// A cause with one reason.
pub(super) fn cause(code: &str, reason: &str) -> Cause {
    Cause {
        code: Some(code.into()),
        reasons: vec![reason.into()],
    }
}

/// The terms as the rules of an offer or agreement.
pub(super) fn rules(terms: &Terms) -> Map<String, Value> {
    match terms.to_policy() {
        Value::Object(rules) => rules,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

fn pids(party: Party, ours: &WireId, theirs: &WireId) -> Pids {
    match party {
        Party::Provider => Pids {
            consumer: theirs.clone(),
            provider: ours.clone(),
        },
        Party::Consumer => Pids {
            consumer: ours.clone(),
            provider: theirs.clone(),
        },
    }
}

pub(super) const fn wire_state(state: NegotiationState) -> message::NegotiationState {
    use message::NegotiationState as Wire;
    match state {
        NegotiationState::Requested => Wire::Requested,
        NegotiationState::Offered => Wire::Offered,
        NegotiationState::Accepted => Wire::Accepted,
        NegotiationState::Agreed => Wire::Agreed,
        NegotiationState::Verified => Wire::Verified,
        NegotiationState::Finalized => Wire::Finalized,
        NegotiationState::Terminated => Wire::Terminated,
    }
}

pub(super) const fn wire_transfer_state(state: TransferState) -> message::TransferState {
    use message::TransferState as Wire;
    match state {
        TransferState::Requested => Wire::Requested,
        TransferState::Started => Wire::Started,
        TransferState::Suspended => Wire::Suspended,
        TransferState::Completed => Wire::Completed,
        TransferState::Terminated => Wire::Terminated,
    }
}
