//! Contract negotiation (DSP 2025-1 "Contract Negotiation Protocol" and its schemas).
//!
//! INVARIANT: a request or offer either opens a negotiation, with a callback address, or continues
//! one, with the other side's identifier; the schemas allow no third way. State machines are not
//! known here.

use interlock_core::ids::WireId;
use serde_json::{Map, Value};

use super::super::error::DspError;
use super::super::node::Node;
use super::super::policy::{Agreement, Offer, required_agreement, required_offer};
use super::{Body, Cause, KnownPids, Pids, put, words};
use crate::identity::url::BaseUrl;

/// Whether a message opens a negotiation or continues it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It opens one; the other side calls back here (`callbackAddress`).
    New {
        /// Base address of the sender's callbacks.
        callback: BaseUrl,
    },
    /// It belongs to one that exists; the identifier is the other side's. An address sent beside it
    /// is not read: it was settled when the negotiation began.
    Continued {
        /// The other side's identifier of the process.
        pid: WireId,
    },
}

impl Opening {
    fn read(node: &Node<'_>, pid_name: &str) -> Result<Self, DspError> {
        if let Some(pid) = node.id(pid_name)? {
            return Ok(Self::Continued { pid });
        }
        let address = node.address("callbackAddress")?;
        let callback = node.required("callbackAddress", address)?;
        Ok(Self::New { callback })
    }

    fn write(&self, pid_name: &str, out: &mut Map<String, Value>) {
        match self {
            Self::New { callback } => put(out, "callbackAddress", callback.as_str()),
            Self::Continued { pid } => put(out, pid_name, pid.as_str()),
        }
    }
}

/// The consumer asks for an agreement, or makes a counter-offer.
#[derive(Clone, Debug, PartialEq)]
pub struct ContractRequestMessage {
    /// The consumer's identifier of the negotiation.
    pub consumer_pid: WireId,
    /// New, or continued by the provider's identifier.
    pub opening: Opening,
    /// What is asked for.
    pub offer: Offer,
}

impl Body for ContractRequestMessage {
    const TYPE: &'static str = "ContractRequestMessage";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        Ok(Self {
            consumer_pid: node.required_id("consumerPid")?,
            opening: Opening::read(node, "providerPid")?,
            offer: required_offer(node)?,
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        put(out, "consumerPid", self.consumer_pid.as_str());
        self.opening.write("providerPid", out);
        out.insert("offer".into(), self.offer.to_policy());
    }
}

/// The provider offers, or makes a counter-offer.
#[derive(Clone, Debug, PartialEq)]
pub struct ContractOfferMessage {
    /// The provider's identifier of the negotiation.
    pub provider_pid: WireId,
    /// New, or continued by the consumer's identifier.
    pub opening: Opening,
    target: WireId,
    offer: Offer,
}

impl ContractOfferMessage {
    /// A message about the dataset `target`, which becomes the offer's target.
    pub fn new(provider_pid: WireId, opening: Opening, target: WireId, offer: Offer) -> Self {
        let offer = Offer {
            target: Some(target.clone()),
            ..offer
        };
        Self {
            provider_pid,
            opening,
            target,
            offer,
        }
    }

    /// The dataset offered: the schema requires the target here.
    pub const fn target(&self) -> &WireId {
        &self.target
    }

    /// What is offered; its own target is [`Self::target`].
    pub const fn offer(&self) -> &Offer {
        &self.offer
    }
}

impl Body for ContractOfferMessage {
    const TYPE: &'static str = "ContractOfferMessage";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        let provider_pid = node.required_id("providerPid")?;
        let opening = Opening::read(node, "consumerPid")?;
        let offer = required_offer(node)?;
        let offer_node = node.required("offer", node.node("offer")?)?;
        let target = offer_node.required_id("target")?;
        Ok(Self::new(provider_pid, opening, target, offer))
    }

    fn write(&self, out: &mut Map<String, Value>) {
        put(out, "providerPid", self.provider_pid.as_str());
        self.opening.write("consumerPid", out);
        out.insert("offer".into(), self.offer.to_policy());
    }
}

/// The provider agrees.
#[derive(Clone, Debug, PartialEq)]
pub struct ContractAgreementMessage {
    /// The negotiation.
    pub pids: Pids,
    /// What was agreed.
    pub agreement: Agreement,
}

impl Body for ContractAgreementMessage {
    const TYPE: &'static str = "ContractAgreementMessage";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        Ok(Self {
            pids: Pids::read(node)?,
            agreement: required_agreement(node)?,
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        self.pids.write(out);
        out.insert("agreement".into(), self.agreement.to_policy());
    }
}

/// The consumer confirms that the agreement is what it accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractAgreementVerificationMessage {
    /// The negotiation.
    pub pids: Pids,
}

impl Body for ContractAgreementVerificationMessage {
    const TYPE: &'static str = "ContractAgreementVerificationMessage";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        let pids = Pids::read(node)?;
        Ok(Self { pids })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        self.pids.write(out);
    }
}

words! {
    /// What happened in a negotiation (`eventType`).
    NegotiationEvent {
        /// The consumer accepts the provider's offer.
        Accepted = "ACCEPTED",
        /// The provider declares the agreement concluded.
        Finalized = "FINALIZED",
    }
}

/// One side tells the other that something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractNegotiationEventMessage {
    /// The negotiation.
    pub pids: Pids,
    /// What happened.
    pub event: NegotiationEvent,
}

impl Body for ContractNegotiationEventMessage {
    const TYPE: &'static str = "ContractNegotiationEventMessage";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        let allowed = NegotiationEvent::ALLOWED;
        Ok(Self {
            pids: Pids::read(node)?,
            event: node.required_word("eventType", allowed, NegotiationEvent::parse)?,
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        self.pids.write(out);
        put(out, "eventType", self.event.as_str());
    }
}

/// One side ends the negotiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractNegotiationTerminationMessage {
    /// The negotiation.
    pub pids: Pids,
    /// Why.
    pub cause: Cause,
}

impl Body for ContractNegotiationTerminationMessage {
    const TYPE: &'static str = "ContractNegotiationTerminationMessage";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        Ok(Self {
            pids: Pids::read(node)?,
            cause: Cause::read(node)?,
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        self.pids.write(out);
        self.cause.write(out);
    }
}

words! {
    /// Where a negotiation stands (`state`).
    NegotiationState {
        /// The consumer asked.
        Requested = "REQUESTED",
        /// The provider offered.
        Offered = "OFFERED",
        /// The consumer accepted.
        Accepted = "ACCEPTED",
        /// The provider agreed.
        Agreed = "AGREED",
        /// The consumer verified.
        Verified = "VERIFIED",
        /// Concluded. Terminal.
        Finalized = "FINALIZED",
        /// Ended without agreement. Terminal.
        Terminated = "TERMINATED",
    }
}

/// Where a negotiation stands: the answer to the message that opens it, and to a GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractNegotiation {
    /// The negotiation.
    pub pids: Pids,
    /// Its state at the side that answers.
    pub state: NegotiationState,
}

impl Body for ContractNegotiation {
    const TYPE: &'static str = "ContractNegotiation";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        let allowed = NegotiationState::ALLOWED;
        Ok(Self {
            pids: Pids::read(node)?,
            state: node.required_word("state", allowed, NegotiationState::parse)?,
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        self.pids.write(out);
        put(out, "state", self.state.as_str());
    }
}

/// The answer to a message of a negotiation that was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContractNegotiationError {
    /// The negotiation, as far as known.
    pub pids: KnownPids,
    /// Why.
    pub cause: Cause,
}

impl Body for ContractNegotiationError {
    const TYPE: &'static str = "ContractNegotiationError";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        Ok(Self {
            pids: KnownPids::read(node)?,
            cause: Cause::read(node)?,
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        self.pids.write(out);
        self.cause.write(out);
    }
}
