//! The local API: the door for a participant's own systems, handhelds, cabinets and people.
//!
//! Purpose: turn HTTP under [`BASE`] into [`LocalRequest`]s and the node's answers into responses.
//! Invariant: what reaches the node is wholly well-formed; a request with anything wrong in it is
//! refused whole, with every error named by JSON pointer and remedy, and no error repeats personal
//! data. The module does not know who holds which key, what a key may do or what a request changes:
//! that is the node's.

mod bodies;
mod call;
mod door;
mod input;
mod json;
mod mediation_routes;
mod mediation_schema;
mod openapi;
mod problem;
mod routes;
mod running;
mod schema;
mod table;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use interlock_core::ids::{IdempotencyKey, ParticipantId};
use interlock_core::waybill::Waybill;

use crate::identity::password::Password;
use crate::node::io::{Digest, LocalAnswer, LocalRequest, MediationPut, PersonPut, Problem, Role};

pub use openapi::document;
pub use running::Running;

/// Where the local API lies.
pub const BASE: &str = "/api/v1";
/// Largest body of a request with many parcels or stations, in bytes.
pub const BODY_SIZE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest body of a request about one thing, in bytes.
pub const SMALL_BODY_SIZE_BYTES_MAX: usize = 64 * 1024;
/// Most parcels in one `PUT /parcels`.
pub const PARCELS_MAX: usize = 1_000;
/// Most stations in one `PUT /stations`.
pub const STATIONS_MAX: usize = 1_000;
/// Most waybills in one `POST /rounds/check`.
pub const ROUND_WAYBILLS_MAX: usize = 500;
/// Most offers in one `POST /negotiations`.
pub const NEGOTIATION_OFFERS_MAX: usize = 16;
/// Most offers in one `PUT /offers`.
pub const OFFERS_MAX: usize = 1_000;
/// Most participants named in one list: lockers of a parcel, audience of an offer.
pub const PARTICIPANTS_MAX: usize = 64;
/// Most entries in one page of a list.
pub const PAGE_MAX: u32 = 500;
/// Entries in a page if `limit` is not given.
pub const PAGE_DEFAULT: u32 = 100;

/// An answer of the node that is under way.
pub type Answering<'a> = Pin<Box<dyn Future<Output = LocalAnswer> + Send + 'a>>;

/// An export of evidence that is under way.
pub type Exporting<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, Problem>> + Send + 'a>>;

/// What the door needs of whoever runs the node.
pub trait Seam: Send + Sync + 'static {
    /// Asks the node: `credential` is the digest of the API key shown, `idempotency` the key of the
    /// write and the digest of method, path and body.
    fn local(
        &self,
        credential: Option<Digest>,
        idempotency: Option<(IdempotencyKey, Digest)>,
        request: LocalRequest,
    ) -> Answering<'_>;

    /// The role of the API key with this digest; `None` if there is no such key. Nobody else has a body
    /// read.
    fn role(&self, credential: &Digest) -> Option<Role>;

    /// Fills `bytes` at random, for a new API key.
    fn fill(&self, bytes: &mut [u8]);

    /// The evidence file about one partner, or about all, as JSON. Whoever asks may read it: the
    /// node was asked first. One that keeps no journal has none.
    fn evidence(&self, _partner: Option<ParticipantId>) -> Exporting<'_> {
        Box::pin(async { Err(problem::no_such_path()) })
    }
}

/// The routes under [`BASE`], and nothing else: other routes of the same door are merged to it.
pub fn router(seam: Arc<dyn Seam>) -> Router {
    door::router(seam)
}

/// The body of `POST /mediations`.
///
/// # Errors
/// As that request would be answered.
pub fn parse_mediation(body: &[u8]) -> Result<MediationPut, Problem> {
    bodies::mediations::proposal(&bare(body))
}

/// The body of `POST /people`, with a password drawn from `fill`.
///
/// # Errors
/// As that request would be answered.
pub async fn draw_person(
    body: &[u8],
    fill: impl FnOnce(&mut [u8]),
) -> Result<(PersonPut, Password), Problem> {
    let described = bodies::people::person(&bare(body))?;
    bodies::people::with_password(described, fill).await
}

/// The body of `POST /keys`.
///
/// # Errors
/// As that request would be answered.
pub fn parse_key(body: &[u8]) -> Result<(String, Role), Problem> {
    bodies::admin::key(&bare(body))
}

/// The body of `POST /reveals`.
///
/// # Errors
/// As that request would be answered.
pub fn parse_reveal(body: &[u8]) -> Result<LocalRequest, Problem> {
    bodies::parcels::reveal(&bare(body))
}

/// A request that is a body alone.
const fn bare(body: &[u8]) -> call::Call<'_> {
    call::Call {
        path: Vec::new(),
        query: Vec::new(),
        body,
    }
}

/// A waybill as people write it: `carrier/number`, or a number alone whose pattern fits exactly one
/// known carrier.
///
/// # Errors
/// What to write instead; the number is not repeated.
pub fn parse_waybill(text: &str) -> Result<Waybill, String> {
    bodies::bare_waybill(text)
}
