//! One participant's node.

pub mod config;
pub mod identity;
