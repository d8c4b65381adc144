//! What a node keeps and what it can prove: the journal over a [`disk::Disk`] seam, and the bilateral
//! logs with their proofs.
//!
//! INVARIANT: nothing is reported as durable before it is, and nothing that was reported is lost
//! without being named. This crate knows no clock, no randomness and no network; both are parameters.

pub mod anchor;
pub mod bilateral;
mod bytes;
pub mod checkpoint;
pub mod disk;
pub mod evidence;
pub mod hex;
pub mod journal;
pub mod keyslots;
pub mod manifest;
pub mod merkle;
pub mod rows;
