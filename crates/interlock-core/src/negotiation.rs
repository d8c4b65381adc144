//! The state machine of a contract negotiation (DSP 2025-1, Contract Negotiation Protocol).
//!
//! INVARIANT: a message that the specification does not allow from that party in that state changes
//! nothing. The diagram and the text differ on termination: the diagram draws it for some parties
//! only, the text lets either party send it in any state. Received terminations follow the text, as
//! a party that wants out cannot be held; terminal states stay terminal.
//!
//! Not known here: policies, identifiers, and who decides.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The side of a message's sender, in negotiations and transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// Offers the dataset.
    Provider,
    /// Requests the dataset.
    Consumer,
}

impl Party {
    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Provider => Self::Consumer,
            Self::Consumer => Self::Provider,
        }
    }

    /// `provider` or `consumer`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Consumer => "consumer",
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// State of a negotiation. Both parties hold the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NegotiationState {
    /// The consumer asked for a contract.
    Requested,
    /// The provider made an offer.
    Offered,
    /// The consumer accepted the offer.
    Accepted,
    /// The provider sent the agreement.
    Agreed,
    /// The consumer verified it.
    Verified,
    /// The provider finalized it. Terminal.
    Finalized,
    /// A party ended it. Terminal.
    Terminated,
}

impl NegotiationState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Requested,
        Self::Offered,
        Self::Accepted,
        Self::Agreed,
        Self::Verified,
        Self::Finalized,
        Self::Terminated,
    ];

    /// The name on the wire, such as `REQUESTED`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "REQUESTED",
            Self::Offered => "OFFERED",
            Self::Accepted => "ACCEPTED",
            Self::Agreed => "AGREED",
            Self::Verified => "VERIFIED",
            Self::Finalized => "FINALIZED",
            Self::Terminated => "TERMINATED",
        }
    }

    /// The state with the given name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == name)
    }

    /// Whether no message leads out of it.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Finalized | Self::Terminated => true,
            Self::Requested | Self::Offered | Self::Accepted | Self::Agreed | Self::Verified => {
                false
            }
        }
    }
}

impl fmt::Display for NegotiationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A message of the negotiation protocol; events are told apart by their `eventType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NegotiationMessage {
    /// `ContractRequestMessage`: opens a negotiation or counters an offer.
    Request,
    /// `ContractOfferMessage`: opens a negotiation or counters a request.
    Offer,
    /// `ContractNegotiationEventMessage` with `ACCEPTED`.
    Accepted,
    /// `ContractAgreementMessage`.
    Agreement,
    /// `ContractAgreementVerificationMessage`.
    Verification,
    /// `ContractNegotiationEventMessage` with `FINALIZED`.
    Finalized,
    /// `ContractNegotiationTerminationMessage`.
    Termination,
}

impl NegotiationMessage {
    /// Every message.
    pub const ALL: [Self; 7] = [
        Self::Request,
        Self::Offer,
        Self::Accepted,
        Self::Agreement,
        Self::Verification,
        Self::Finalized,
        Self::Termination,
    ];

    /// The `@type` on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "ContractRequestMessage",
            Self::Offer => "ContractOfferMessage",
            Self::Accepted | Self::Finalized => "ContractNegotiationEventMessage",
            Self::Agreement => "ContractAgreementMessage",
            Self::Verification => "ContractAgreementVerificationMessage",
            Self::Termination => "ContractNegotiationTerminationMessage",
        }
    }
}

/// A message that is not allowed. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {sender} may not send `{}` in state `{}`; get the negotiation and continue from its state",
    .message.as_str(),
    .state.map_or("none", NegotiationState::as_str)
)]
pub struct IllegalTransition {
    /// The state of the negotiation; `None` if it did not exist.
    pub state: Option<NegotiationState>,
    /// Who sent the message.
    pub sender: Party,
    /// The message.
    pub message: NegotiationMessage,
}

/// The state after `sender` sent `message` in `state`; `None` is a negotiation that does not exist,
/// which a request of the consumer or an offer of the provider creates.
///
/// # Errors
/// [`IllegalTransition`] for everything that DSP 2025-1 does not allow.
pub fn next(
    state: Option<NegotiationState>,
    sender: Party,
    message: NegotiationMessage,
) -> Result<NegotiationState, IllegalTransition> {
    use NegotiationState as S;
    let next = match (message, sender) {
        (NegotiationMessage::Request, Party::Consumer) => {
            matches!(state, None | Some(S::Offered)).then_some(S::Requested)
        }
        (NegotiationMessage::Offer, Party::Provider) => {
            matches!(state, None | Some(S::Requested)).then_some(S::Offered)
        }
        (NegotiationMessage::Accepted, Party::Consumer) => {
            (state == Some(S::Offered)).then_some(S::Accepted)
        }
        (NegotiationMessage::Agreement, Party::Provider) => {
            matches!(state, Some(S::Requested | S::Accepted)).then_some(S::Agreed)
        }
        (NegotiationMessage::Verification, Party::Consumer) => {
            (state == Some(S::Agreed)).then_some(S::Verified)
        }
        (NegotiationMessage::Finalized, Party::Provider) => {
            (state == Some(S::Verified)).then_some(S::Finalized)
        }
        (NegotiationMessage::Termination, Party::Provider | Party::Consumer) => state
            .is_some_and(|s| !s.is_terminal())
            .then_some(S::Terminated),
        (NegotiationMessage::Request | NegotiationMessage::Accepted, Party::Provider)
        | (NegotiationMessage::Offer | NegotiationMessage::Agreement, Party::Consumer)
        | (NegotiationMessage::Verification, Party::Provider)
        | (NegotiationMessage::Finalized, Party::Consumer) => None,
    };
    next.ok_or(IllegalTransition {
        state,
        sender,
        message,
    })
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::*;

    use NegotiationMessage as M;
    use NegotiationState as S;
    use Party::{Consumer, Provider};

    /// Every transition of the specification, written out; all others must be refused.
    const LEGAL: &[(Option<S>, Party, M, S)] = &[
        (None, Consumer, M::Request, S::Requested),
        (None, Provider, M::Offer, S::Offered),
        (Some(S::Requested), Provider, M::Offer, S::Offered),
        (Some(S::Requested), Provider, M::Agreement, S::Agreed),
        (Some(S::Requested), Provider, M::Termination, S::Terminated),
        (Some(S::Requested), Consumer, M::Termination, S::Terminated),
        (Some(S::Offered), Consumer, M::Request, S::Requested),
        (Some(S::Offered), Consumer, M::Accepted, S::Accepted),
        (Some(S::Offered), Provider, M::Termination, S::Terminated),
        (Some(S::Offered), Consumer, M::Termination, S::Terminated),
        (Some(S::Accepted), Provider, M::Agreement, S::Agreed),
        (Some(S::Accepted), Provider, M::Termination, S::Terminated),
        (Some(S::Accepted), Consumer, M::Termination, S::Terminated),
        (Some(S::Agreed), Consumer, M::Verification, S::Verified),
        (Some(S::Agreed), Provider, M::Termination, S::Terminated),
        (Some(S::Agreed), Consumer, M::Termination, S::Terminated),
        (Some(S::Verified), Provider, M::Finalized, S::Finalized),
        (Some(S::Verified), Provider, M::Termination, S::Terminated),
        (Some(S::Verified), Consumer, M::Termination, S::Terminated),
    ];

    #[test]
    fn only_what_the_specification_allows_is_allowed() {
        let states: Vec<Option<S>> = core::iter::once(None)
            .chain(S::ALL.into_iter().map(Some))
            .collect();
        let mut legal = 0;
        for state in states {
            for sender in [Provider, Consumer] {
                for message in M::ALL {
                    let row = LEGAL
                        .iter()
                        .find(|r| (r.0, r.1, r.2) == (state, sender, message));
                    let expected = row.map(|r| r.3).ok_or(IllegalTransition {
                        state,
                        sender,
                        message,
                    });
                    assert_eq!(next(state, sender, message), expected);
                    legal += usize::from(row.is_some());
                }
            }
        }
        assert_eq!(legal, LEGAL.len());
    }

    #[test]
    fn a_refusal_says_what_and_what_to_do() {
        let error = next(Some(S::Finalized), Provider, M::Termination).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the provider may not send `ContractNegotiationTerminationMessage` in state \
             `FINALIZED`; get the negotiation and continue from its state"
        );
    }

    #[test]
    fn states_are_named_as_on_the_wire() {
        for state in S::ALL {
            assert_eq!(S::parse(state.as_str()), Some(state));
            assert_eq!(
                serde_json::to_value(state).unwrap(),
                serde_json::Value::from(state.as_str())
            );
        }
    }
}
