//! The demo: June 2017 replayed on whole nodes.
//!
//! INVARIANT: it reaches nodes by their doors only, and no node knows of it.

pub mod parcels;
