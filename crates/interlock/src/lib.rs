//! One participant's node.

pub mod demo;
