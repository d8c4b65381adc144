//! One participant's node.

pub mod epcis;
pub mod notify;
pub mod pages;
