//! What nodes say to each other under `/exchange/v1`, beside the Dataspace Protocol.
//!
//! Purpose: the shapes of the exchange door and their bounds. Invariant: whatever parses here is
//! within its limits and carries no unknown field. It does not know who asks or whether anything may
//! be released.

pub mod http;
pub mod mediation;
pub mod page;
pub mod problem;
pub mod rotated;
pub mod wire;
