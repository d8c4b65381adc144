//! One participant's node.

pub mod config;
pub mod demo;
pub mod dsp;
pub mod epcis;
pub mod identity;
pub mod notify;
pub mod pages;
