//! The state machine of a transfer process (DSP 2025-1, Transfer Process Protocol).
//!
//! INVARIANT: a message that the specification does not allow from that party in that state changes
//! nothing. A start is the provider's; only out of SUSPENDED may the consumer send it too (state
//! diagram and HTTPS binding).
//!
//! Not known here: agreements, endpoints and tokens. A feed's cursor outlives its transfers.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::negotiation::Party;

/// State of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TransferState {
    /// The consumer asked for a dataset under an agreement.
    Requested,
    /// The dataset can be accessed.
    Started,
    /// A party paused it.
    Suspended,
    /// A party completed it. Terminal.
    Completed,
    /// A party ended it. Terminal.
    Terminated,
}

impl TransferState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Requested,
        Self::Started,
        Self::Suspended,
        Self::Completed,
        Self::Terminated,
    ];

    /// The name on the wire, such as `STARTED`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "REQUESTED",
            Self::Started => "STARTED",
            Self::Suspended => "SUSPENDED",
            Self::Completed => "COMPLETED",
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
            Self::Completed | Self::Terminated => true,
            Self::Requested | Self::Started | Self::Suspended => false,
        }
    }
}

impl fmt::Display for TransferState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A message of the transfer protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferMessage {
    /// `TransferRequestMessage`: opens a transfer.
    Request,
    /// `TransferStartMessage`.
    Start,
    /// `TransferSuspensionMessage`.
    Suspension,
    /// `TransferCompletionMessage`.
    Completion,
    /// `TransferTerminationMessage`.
    Termination,
}

impl TransferMessage {
    /// Every message.
    pub const ALL: [Self; 5] = [
        Self::Request,
        Self::Start,
        Self::Suspension,
        Self::Completion,
        Self::Termination,
    ];

    /// The state in which a transfer is once it was taken.
    pub const fn leads_to(self) -> TransferState {
        match self {
            Self::Request => TransferState::Requested,
            Self::Start => TransferState::Started,
            Self::Suspension => TransferState::Suspended,
            Self::Completion => TransferState::Completed,
            Self::Termination => TransferState::Terminated,
        }
    }

    /// The `@type` on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "TransferRequestMessage",
            Self::Start => "TransferStartMessage",
            Self::Suspension => "TransferSuspensionMessage",
            Self::Completion => "TransferCompletionMessage",
            Self::Termination => "TransferTerminationMessage",
        }
    }
}

/// A message that is not allowed. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {sender} may not send `{}` in state `{}`; get the transfer and continue from its state",
    .message.as_str(),
    .state.map_or("none", TransferState::as_str)
)]
pub struct IllegalTransition {
    /// The state of the transfer; `None` if it did not exist.
    pub state: Option<TransferState>,
    /// Who sent the message.
    pub sender: Party,
    /// The message.
    pub message: TransferMessage,
}

/// The state after `sender` sent `message` in `state`; `None` is a transfer that does not exist,
/// which a request of the consumer creates. A repeated request is the door's to recognise, by its
/// `consumerPid`.
///
/// # Errors
/// [`IllegalTransition`] for everything that DSP 2025-1 does not allow.
pub fn next(
    state: Option<TransferState>,
    sender: Party,
    message: TransferMessage,
) -> Result<TransferState, IllegalTransition> {
    use TransferState as S;
    let next = match message {
        TransferMessage::Request => {
            (state.is_none() && sender == Party::Consumer).then_some(S::Requested)
        }
        TransferMessage::Start => match state {
            Some(S::Requested) => (sender == Party::Provider).then_some(S::Started),
            Some(S::Suspended) => Some(S::Started),
            None | Some(S::Started | S::Completed | S::Terminated) => None,
        },
        TransferMessage::Suspension => (state == Some(S::Started)).then_some(S::Suspended),
        TransferMessage::Completion => (state == Some(S::Started)).then_some(S::Completed),
        TransferMessage::Termination => state
            .is_some_and(|s| !s.is_terminal())
            .then_some(S::Terminated),
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

    use Party::{Consumer, Provider};
    use TransferMessage as M;
    use TransferState as S;

    /// Every transition of the specification, written out; all others must be refused.
    const LEGAL: &[(Option<S>, Party, M, S)] = &[
        (None, Consumer, M::Request, S::Requested),
        (Some(S::Requested), Provider, M::Start, S::Started),
        (Some(S::Requested), Provider, M::Termination, S::Terminated),
        (Some(S::Requested), Consumer, M::Termination, S::Terminated),
        (Some(S::Started), Provider, M::Suspension, S::Suspended),
        (Some(S::Started), Consumer, M::Suspension, S::Suspended),
        (Some(S::Started), Provider, M::Completion, S::Completed),
        (Some(S::Started), Consumer, M::Completion, S::Completed),
        (Some(S::Started), Provider, M::Termination, S::Terminated),
        (Some(S::Started), Consumer, M::Termination, S::Terminated),
        (Some(S::Suspended), Provider, M::Start, S::Started),
        (Some(S::Suspended), Consumer, M::Start, S::Started),
        (Some(S::Suspended), Provider, M::Termination, S::Terminated),
        (Some(S::Suspended), Consumer, M::Termination, S::Terminated),
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
        let error = next(None, Provider, M::Start).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the provider may not send `TransferStartMessage` in state `none`; get the transfer \
             and continue from its state"
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
