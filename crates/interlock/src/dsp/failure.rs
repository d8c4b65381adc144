//! Refusals as HTTP: a status and an error body of the protocol that was spoken.
//!
//! INVARIANT: what is unknown and what is not the caller's are answered by the same bytes, so that an
//! answer tells nobody what exists. A refusal changes no state; that is its caller's promise.

use http::StatusCode;
use serde_json::Value;

use super::error::{DspError, Fault};
use super::message::{
    CatalogError, Cause, ContractNegotiationError, KnownPids, Pids, TransferError,
};

/// Which of the three protocols was spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Catalog.
    Catalog,
    /// Contract negotiation.
    Negotiation,
    /// Transfer process.
    Transfer,
}

impl Protocol {
    /// The protocol whose error body answers at `path`, below the base.
    pub fn of(path: &str) -> Self {
        match path.trim_start_matches('/').split(['/', '?']).next() {
            Some("negotiations") => Self::Negotiation,
            Some("transfers") => Self::Transfer,
            Some(_) | None => Self::Catalog,
        }
    }

    /// The error body for a request that was refused before it was known what it is about.
    pub fn error(self, code: &str, reason: &str) -> Value {
        let cause = Cause {
            code: Some(code.into()),
            reasons: vec![reason.into()],
        };
        self.error_body(KnownPids::default(), cause)
    }

    fn error_body(self, pids: KnownPids, cause: Cause) -> Value {
        match self {
            Self::Catalog => CatalogError { cause }.to_json(),
            Self::Negotiation => ContractNegotiationError { pids, cause }.to_json(),
            Self::Transfer => TransferError { pids, cause }.to_json(),
        }
    }
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The body is no message, or not the one wanted here.
    Malformed(DspError),
    /// The process does not exist, or is not this caller's: never say which.
    NotFound,
    /// The message is not legal in the state of the process, or not from this side.
    IllegalTransition {
        /// The bare type of the message, or the event.
        message: &'static str,
        /// The state, as the protocol writes it.
        state: &'static str,
    },
    /// The message contradicts what the process already says: another identifier, another offer.
    Contradiction {
        /// JSON pointer to what contradicts.
        pointer: String,
    },
    /// The policy cannot be agreed on; the text names the constraint.
    Policy(String),
    /// The provider does not know such a filter or page.
    Filter(DspError),
    /// Too many requests of this caller.
    Throttled,
    /// The node cannot serve now; the message may be sent again.
    Unavailable,
}

impl Refusal {
    /// The HTTP status (DSP 2025-1: 400 for an illegal transition, 404 for what is unknown or not
    /// authorised).
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(error) | Self::Filter(error) => match error.fault {
                Fault::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
                Fault::TooDeep { .. }
                | Fault::TooMany { .. }
                | Fault::Syntax { .. }
                | Fault::Repeated
                | Fault::Context
                | Fault::Type { .. }
                | Fault::Missing
                | Fault::Shape { .. }
                | Fault::Word { .. }
                | Fault::Form { .. } => StatusCode::BAD_REQUEST,
            },
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::IllegalTransition { .. } | Self::Contradiction { .. } | Self::Policy(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Throttled => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The code in the body.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::NotFound => "not-found",
            Self::IllegalTransition { .. } => "illegal-transition",
            Self::Contradiction { .. } => "contradiction",
            Self::Policy(_) => "policy-refused",
            Self::Filter(_) => "filter-not-supported",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
        }
    }

    fn reason(&self) -> String {
        match self {
            Self::Malformed(error) | Self::Filter(error) => error.to_string(),
            Self::NotFound => {
                "nothing here for this participant; check the identifier and the token".into()
            }
            Self::IllegalTransition { message, state } => {
                format!("`{message}` is not possible in state `{state}`; ask for the state first")
            }
            Self::Contradiction { pointer } => format!(
                "`{pointer}` contradicts the process; repeat what was sent first or start another"
            ),
            Self::Policy(reason) => reason.clone(),
            Self::Throttled => "too many requests; wait before the next".into(),
            Self::Unavailable => "not available now; send the message again later".into(),
        }
    }

    /// The error body. `pids` names the process as far as the caller may know it; for
    /// [`Refusal::NotFound`] none are shown.
    pub fn body(&self, protocol: Protocol, pids: Option<Pids>) -> Value {
        let cause = Cause {
            code: Some(self.code().into()),
            reasons: vec![self.reason()],
        };
        let pids = match self {
            Self::NotFound => KnownPids::default(),
            Self::Malformed(_)
            | Self::IllegalTransition { .. }
            | Self::Contradiction { .. }
            | Self::Policy(_)
            | Self::Filter(_)
            | Self::Throttled
            | Self::Unavailable => pids.map(Into::into).unwrap_or_default(),
        };
        protocol.error_body(pids, cause)
    }
}

#[cfg(test)]
mod tests {
    use interlock_core::ids::WireId;
    use serde_json::json;

    use super::*;
    use crate::dsp::Limits;

    fn pids() -> Pids {
        Pids {
            consumer: WireId::parse("urn:c").unwrap(),
            provider: WireId::parse("urn:p").unwrap(),
        }
    }

    #[test]
    fn unknown_and_not_authorised_are_the_same_bytes() {
        for protocol in [Protocol::Negotiation, Protocol::Transfer] {
            let unknown = Refusal::NotFound.body(protocol, None);
            assert_eq!(Refusal::NotFound.body(protocol, Some(pids())), unknown);
            assert_eq!(unknown["providerPid"], "");
        }
        assert_eq!(Refusal::NotFound.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn an_illegal_transition_is_400_and_says_why() {
        let refusal = Refusal::IllegalTransition {
            message: "ContractAgreementMessage",
            state: "FINALIZED",
        };
        assert_eq!(refusal.status(), StatusCode::BAD_REQUEST);
        assert_eq!(
            refusal.body(Protocol::Negotiation, Some(pids())),
            json!({
                "@context": [crate::dsp::CONTEXT],
                "@type": "ContractNegotiationError",
                "consumerPid": "urn:c",
                "providerPid": "urn:p",
                "code": "illegal-transition",
                "reason": ["`ContractAgreementMessage` is not possible in state `FINALIZED`; \
                            ask for the state first"],
            })
        );
    }

    #[test]
    fn a_bad_body_is_400_and_a_large_one_413() {
        let error = TransferError::parse(b"[]", &Limits::MESSAGE).unwrap_err();
        let refusal = Refusal::Malformed(error);
        assert_eq!(refusal.status(), StatusCode::BAD_REQUEST);
        let body = refusal.body(Protocol::Catalog, None);
        assert_eq!(
            body["reason"][0],
            "the document has the wrong shape; send an object"
        );
        let limits = Limits {
            bytes_max: 1,
            ..Limits::MESSAGE
        };
        let error = TransferError::parse(b"[]", &limits).unwrap_err();
        assert_eq!(
            Refusal::Malformed(error).status(),
            StatusCode::PAYLOAD_TOO_LARGE
        );
    }
}
