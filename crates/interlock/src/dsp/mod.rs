//! Dataspace Protocol 2025-1 over HTTPS: the wire codec.
//!
//! INVARIANT: what is emitted is valid by the published schemas, and what is read means the same in
//! every spelling of it (compact, prefixed, full IRI; one value or an array; text or `@id`). A
//! property given twice in two spellings is refused, because two readers could differ on which one
//! counts. Pure functions: this module knows no socket, clock, store or state machine, and does not
//! judge policies (their terms are `interlock_core::terms`).

pub mod catalog;
mod error;
pub mod failure;
mod json;
pub mod message;
mod node;
mod policy;
pub mod routes;
mod term;
pub mod version;

pub use error::{DspError, Fault};
pub use json::{DEPTH_MAX, Limits};
pub use policy::{Agreement, Offer};

/// Reads one JSON document within the limits, every property under its one spelling.
///
/// # Errors
/// [`DspError`] if it is none, is beyond the limits, or has a property twice.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<serde_json::Value, DspError> {
    json::read(bytes, limits)
}

/// The JSON-LD context of the release, a member of every message's `@context` (DSP 2025-1
/// "Schemas & Contexts").
pub const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";
