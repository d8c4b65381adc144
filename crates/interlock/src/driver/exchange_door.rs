//! The door for other nodes: who asks is settled, the request is whole and well formed, and only then
//! does the node hear of it.
//!
//! INVARIANT: nothing reaches the node before its token was verified against the key pinned for the
//! partner, its id was fresh, and its body parsed. Of whom the head does not show to be a partner no body
//! is read, but a short one where it can introduce a key. An answer with a guard is checked again after it
//! was encoded, immediately before it is handed to the connection. One partner's requests take no slot of
//! another's. It does not know what a request means.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{AUTHORIZATION, CONNECTION, LINK};
use http::request::Parts;
use http::{HeaderValue, Method};
use hyper::body::Bytes;
use interlock_core::dataset::Dataset;
use interlock_core::ids::ParticipantId;
use interlock_core::time::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::{read_body, refuse, refuse_protocol, require_json, respond};
use super::handle::Handle;
use crate::dsp::failure::Protocol;
use crate::exchange::http::{DSP_BASE, encode_answer, parse_request};
use crate::exchange::page::is_pull;
use crate::exchange::problem::{method_not_allowed, not_found, problem};
use crate::exchange::rotated::{NOTICE_SIZE_BYTES_MAX, introduces_keys, rotated_to};
use crate::exchange::wire::BODY_SIZE_BYTES_MAX;
use crate::identity::did::{DID_DOCUMENT_TYPE, KeyId};
use crate::identity::own::OwnIdentity;
use crate::identity::token::replay::ReplayGuard;
use crate::identity::token::scheme::{Caller, Scheme};
use crate::identity::token::{Expected, TokenError};
use crate::identity::transfer_token::TransferTokens;
use crate::node::io::{PeerAnswer, Problem};

/// Most requests of one partner at once, parked polls included.
pub const REQUESTS_PER_PARTNER_MAX: usize = 128;

/// What anybody may read.
#[derive(Clone, Debug)]
pub struct WellKnown {
    /// `/.well-known/dspace-version` (DSP 2025-1 section 4.3).
    pub dspace_version: Bytes,
    /// Of whom `/.well-known/did.json` is (did:web).
    pub did: Arc<OwnIdentity>,
}

/// How the door knows who asks.
pub struct Gate {
    /// Who we are: the audience of every token.
    pub id: ParticipantId,
    /// Signed tokens, or fixed ones in a laboratory.
    pub scheme: Scheme,
    /// Checks the tokens of connectors for their transfers.
    pub tokens: TransferTokens,
    /// How far a partner's clock may differ, in milliseconds.
    pub leeway_ms: i64,
    /// What stands before our paths where a proxy passes them on as they are; usually empty.
    pub base_path: String,
    /// What anybody may read.
    pub well_known: WellKnown,
}

pub(super) struct Door {
    pub(super) handle: Handle,
    pub(super) gate: Gate,
    started_at: Timestamp,
    seen: Mutex<ReplayGuard>,
    slots: Mutex<HashMap<ParticipantId, Arc<Semaphore>>>,
}

/// Whether an answer holds pick-up codes. Its buffers are given back, and so wiped, with its connection;
/// that of a feed, where the next poll is parked at once, would keep them for as long as both nodes run.
fn tells_codes(answer: &PeerAnswer) -> bool {
    match answer {
        PeerAnswer::Feed(batch) => {
            batch.body.dataset == Dataset::PickupCode && !batch.body.events.is_empty()
        }
        PeerAnswer::Dsp { .. }
        | PeerAnswer::Lookup(_)
        | PeerAnswer::Evidence(_)
        | PeerAnswer::Mirror(_)
        | PeerAnswer::Cooperation(_)
        | PeerAnswer::Mediation(_)
        | PeerAnswer::Problem(_) => false,
    }
}

/// The routes of the exchange door.
pub(super) fn router(handle: Handle, gate: Gate) -> axum::Router {
    let started_at = handle.now().earliest;
    let door = Arc::new(Door {
        handle,
        gate,
        started_at,
        seen: Mutex::default(),
        slots: Mutex::default(),
    });
    axum::Router::new().fallback(serve).with_state(door)
}

async fn serve(State(door): State<Arc<Door>>, request: Request) -> Response {
    let response = match door.well_known(&request) {
        Some(response) => response,
        None => {
            let protocol = door.protocol(request.uri());
            let answer = door.exchange(request).await;
            answer.unwrap_or_else(|refusal| match protocol {
                Some(protocol) => refuse_protocol(protocol, &refusal),
                None => refuse(&refusal),
            })
        }
    };
    door.handle.metrics().answered(response.status().as_u16());
    response
}

impl Door {
    fn below<'a>(&self, target: &'a str) -> &'a str {
        target
            .strip_prefix(self.gate.base_path.as_str())
            .unwrap_or(target)
    }

    /// The protocol whose error bodies answer at an address, if it is one of the Dataspace Protocol.
    fn protocol(&self, uri: &http::Uri) -> Option<Protocol> {
        let path = self.below(uri.path()).strip_prefix(DSP_BASE)?;
        (path.is_empty() || path.starts_with('/')).then(|| Protocol::of(path))
    }

    fn well_known(&self, request: &Request) -> Option<Response> {
        let known = &self.gate.well_known;
        let (media_type, body) = match self.below(request.uri().path()) {
            "/.well-known/dspace-version" => ("application/json", known.dspace_version.clone()),
            "/.well-known/did.json" => (DID_DOCUMENT_TYPE, known.did.did_document().into()),
            _ => return None,
        };
        if request.method() != Method::GET {
            return Some(refuse(&method_not_allowed("GET")));
        }
        Some(respond(200, media_type, body))
    }

    async fn exchange(&self, request: Request) -> Result<Response, Problem> {
        let post = match *request.method() {
            Method::GET => false,
            Method::POST => true,
            _ => return Err(method_not_allowed("GET or POST")),
        };
        let (head, body) = request.into_parts();
        let target = head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        if is_pull(self.below(target)) {
            return Ok(self
                .pull(post, self.below(target), &head.headers, body)
                .await);
        }
        let (from, _slot, body) = self.heard(&head, body).await?;
        if post {
            require_json(&head.headers)?;
        }
        let parsed = parse_request(post, self.below(target), &body)?;
        drop(body);
        let reply = self.handle.peer(from, parsed).await;
        if let PeerAnswer::Problem(refusal) = reply.answer {
            return Err(refusal);
        }
        let (status, bytes) = encode_answer(&reply.answer);
        match self.handle.release(&reply).await {
            Some(denial) => Err(denial),
            None => {
                let mut response = respond(status, "application/json", Body::from(bytes));
                if let PeerAnswer::Dsp {
                    link: Some(link), ..
                } = &reply.answer
                    && let Ok(link) = HeaderValue::from_str(link)
                {
                    response.headers_mut().insert(LINK, link);
                }
                if tells_codes(&reply.answer) {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(CONNECTION, close);
                }
                Ok(response)
            }
        }
    }

    /// Who asks, a slot of theirs, and the body that they signed for.
    async fn heard(
        &self,
        head: &Parts,
        body: Body,
    ) -> Result<(ParticipantId, OwnedSemaphorePermit, Bytes), Problem> {
        let post = head.method == Method::POST;
        let target = head.uri.path_and_query();
        let target = target.map_or("/", |target| target.as_str());
        let is_dsp = self.protocol(&head.uri).is_some();
        let authorization = head.headers.get(AUTHORIZATION);
        let authorization = authorization.and_then(|value| value.to_str().ok());
        let unauthorised = |error| self.unauthorised(is_dsp, &error);
        match self.caller(authorization, post, target, None) {
            Ok(caller) => {
                let slot = self.slot(caller.partner())?;
                let body = read_body(&head.headers, body, BODY_SIZE_BYTES_MAX).await?;
                let from = self.admit(caller, &body).map_err(unauthorised)?;
                Ok((from, slot, body))
            }
            // Only there could a body tell, and little of it is read.
            Err(TokenError::UnknownKey(_)) if post && introduces_keys(self.below(target)) => {
                let body = read_body(&head.headers, body, NOTICE_SIZE_BYTES_MAX).await?;
                let from = self
                    .caller(authorization, post, target, Some(&body))
                    .and_then(|caller| self.admit(caller, &body))
                    .map_err(unauthorised)?;
                let slot = self.slot(&from)?;
                Ok((from, slot, body))
            }
            Err(error) => Err(unauthorised(error)),
        }
    }

    /// Whose request it is by its head, and with a body of which that alone may show a key.
    fn caller(
        &self,
        authorization: Option<&str>,
        post: bool,
        target: &str,
        introducing: Option<&[u8]>,
    ) -> Result<Caller, TokenError> {
        let expected = Expected {
            audience: &self.gate.id,
            method: if post { "POST" } else { "GET" },
            path_and_query: target,
            now: self.handle.now().latest,
            leeway_ms: self.gate.leeway_ms,
            started_at: self.started_at,
        };
        let partners = self.handle.partners();
        self.gate
            .scheme
            .authenticate(authorization, &expected, |key_id| {
                let partner = partners.get(key_id.controller())?;
                if partner.key_id() == *key_id {
                    return Some(partner.key);
                }
                // A partner that has rotated its key says so with the new one.
                let next = rotated_to(partner, self.below(target), introducing?)?;
                (KeyId::new(&partner.id, &next) == *key_id).then_some(next)
            })
    }

    /// The partner whose request it is with its body, for the first time.
    fn admit(&self, caller: Caller, body: &[u8]) -> Result<ParticipantId, TokenError> {
        let partner = caller.partner().clone();
        if let Some(verified) = caller.over(body)? {
            let now = self.handle.now().latest;
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.admit(&verified, now).require_fresh()?;
        }
        Ok(partner)
    }

    /// 401, and 404 at the Dataspace Protocol, where unknown and unauthorised look the same.
    fn unauthorised(&self, is_dsp: bool, error: &TokenError) -> Problem {
        self.handle.metrics().unauthorised.add(1);
        tracing::info!(
            reason = error.code(),
            "a request was not accepted as a partner's"
        );
        if is_dsp {
            return not_found();
        }
        let status = if *error == TokenError::TooManyRequests {
            429
        } else {
            401
        };
        problem(
            error.code(),
            status,
            "not accepted as a partner's request",
            error.to_string(),
        )
    }

    pub(super) fn slot(&self, from: &ParticipantId) -> Result<OwnedSemaphorePermit, Problem> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = slots
            .entry(from.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(REQUESTS_PER_PARTNER_MAX)));
        slots.clone().try_acquire_owned().map_err(|_| {
            problem(
                "too-many-requests",
                429,
                "too many requests at once",
                format!("keep at most {REQUESTS_PER_PARTNER_MAX} under way, parked polls included"),
            )
        })
    }
}
