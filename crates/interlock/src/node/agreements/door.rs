//! The door of Dataspace Protocol 2025-1.
//!
//! Purpose: which endpoint is asked, by whom, and the answer in the protocol's form. Invariants: what
//! is unknown and what is another's are answered by the same bytes; a refusal changes nothing. Callback
//! addresses in messages are read and not used: we send to the address in the partner list only, so
//! that nobody can point us at an address of their choice. It does not know what a message leads to.

use std::borrow::Cow;

use http::Method;
use interlock_core::ids::{ParticipantId, WireId};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::super::Node;
use super::super::io::PeerAnswer;
use super::super::turn::Turn;
use super::Negotiation;
use crate::dsp::DspError;
use crate::dsp::failure::{Protocol, Refusal};
use crate::dsp::message::Pids;
use crate::dsp::routes::{NegotiationStep, Route, TransferStep};

/// A refusal, with the process as far as the caller may know it.
pub(super) struct Refused {
    refusal: Box<Refusal>,
    pids: Option<Pids>,
}

impl Refused {
    /// A refusal about a process that the caller takes part in.
    pub(super) fn about(pids: Option<Pids>, refusal: Refusal) -> Self {
        let refusal = Box::new(refusal);
        Self { refusal, pids }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::about(None, refusal)
    }
}

impl From<DspError> for Refused {
    fn from(error: DspError) -> Self {
        Refusal::Malformed(error).into()
    }
}

/// What answers a message that was taken.
pub(super) struct Answer {
    /// The body; `null` for none.
    pub(super) body: Value,
    /// The `Link` header, for a catalog of several pages.
    pub(super) link: Option<String>,
}

/// A message as it came in.
pub(super) struct Incoming<'a> {
    /// Who sent it.
    pub(super) from: &'a ParticipantId,
    /// SHA-256 of the endpoint.
    pub(super) endpoint: [u8; 32],
    /// The body, read within [`Limits::MESSAGE`](crate::dsp::Limits::MESSAGE).
    body: &'a Value,
    /// SHA-256 of endpoint and body: the same message again has the same.
    pub(super) digest: [u8; 32],
    /// The query of its address.
    pub(super) query: Option<&'a str>,
}

impl Incoming<'_> {
    /// Reads it as one type of message.
    pub(super) fn read<T>(&self, read: fn(&Value) -> Result<T, DspError>) -> Result<T, Refused> {
        Ok(read(self.body)?)
    }
}

impl Node {
    /// Answers a request of the Dataspace Protocol; `path` is below the DSP base.
    pub(in super::super) fn dsp(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        post: bool,
        path: &str,
        body: &Value,
    ) -> PeerAnswer {
        let method = if post { Method::POST } else { Method::GET };
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let protocol = Protocol::of(path);
        let route = Route::parse(&method, path).filter(|_| self.state.partners.contains_key(from));
        let Some(route) = route else {
            return refused(protocol, Refusal::NotFound.into());
        };
        let mut hash = Sha256::new();
        hash.update(path.as_bytes());
        let endpoint = hash.clone().finalize().into();
        hash.update([0]);
        // What was read as JSON can be written as JSON.
        hash.update(serde_json::to_vec(body).unwrap_or_default());
        let digest = hash.finalize().into();
        let message = Incoming {
            from,
            endpoint,
            body,
            digest,
            query,
        };
        match self.dsp_route(turn, &message, &route) {
            Ok(Answer { body, link }) => PeerAnswer::Dsp {
                status: route.success().as_u16(),
                body,
                link,
            },
            Err(refusal) => refused(protocol, refusal),
        }
    }

    fn dsp_route(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
        route: &Route,
    ) -> Result<Answer, Refused> {
        let body = match route {
            Route::Versions => Err(Refusal::NotFound.into()),
            Route::Catalog => return self.catalog_requested(turn, message),
            Route::Dataset(id) => self.dataset_requested(turn, message.from, id),
            Route::NegotiationRequest => self.request_opened(turn, message),
            Route::NegotiationOffer => self.offer_opened(turn, message),
            Route::Negotiation(id, step) => self.negotiation_step(turn, message, id, *step),
            Route::TransferRequest => self.transfer_requested(turn, message),
            Route::Transfer(id, step) => self.transfer_step(turn, message, id, *step),
        };
        let link = None;
        body.map(|body| Answer { body, link })
    }

    fn negotiation_step(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
        id: &WireId,
        step: NegotiationStep,
    ) -> Result<Value, Refused> {
        let known = self.negotiation_of(message.from, id)?;
        match step {
            // Before they have answered what opened it there is no name of theirs to call it by.
            NegotiationStep::State if known.peer_id.is_none() => {
                return Err(Refusal::NotFound.into());
            }
            NegotiationStep::State => return Ok(known.to_wire(known.state)),
            NegotiationStep::Request => self.request_countered(turn, message, known)?,
            NegotiationStep::Offers => self.offer_countered(turn, message, known)?,
            NegotiationStep::Agreement => self.agreement_came(turn, message, known)?,
            NegotiationStep::Verification => self.verification_came(turn, message, known)?,
            NegotiationStep::Events => self.event_came(turn, message, known)?,
            NegotiationStep::Termination => self.termination_came(turn, message, known)?,
        }
        Ok(Value::Null)
    }

    fn transfer_step(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
        id: &WireId,
        step: TransferStep,
    ) -> Result<Value, Refused> {
        let known = self.transfer_with(message.from, id)?;
        match step {
            TransferStep::State if known.peer_id.is_none() => {
                return Err(Refusal::NotFound.into());
            }
            TransferStep::State => return Ok(known.to_wire(known.state)),
            TransferStep::Start => self.start_came(turn, message, known)?,
            TransferStep::Completion => self.completion_came(turn, message, known)?,
            TransferStep::Termination => self.transfer_terminated(turn, message, known)?,
            TransferStep::Suspension => self.suspension_came(turn, message, known)?,
        }
        Ok(Value::Null)
    }

    /// The negotiation `id` of ours, if it is with `from`.
    fn negotiation_of(&self, from: &ParticipantId, id: &WireId) -> Result<Negotiation, Refused> {
        let known = self.state.book.negotiation(id);
        known
            .filter(|negotiation| &negotiation.peer == from)
            .map(Cow::into_owned)
            .ok_or_else(|| Refusal::NotFound.into())
    }
}

fn refused(protocol: Protocol, Refused { refusal, pids }: Refused) -> PeerAnswer {
    PeerAnswer::Dsp {
        status: refusal.status().as_u16(),
        body: refusal.body(protocol, pids),
        link: None,
    }
}
