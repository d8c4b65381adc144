//! One participant's node.

pub mod notify;
pub mod pages;
