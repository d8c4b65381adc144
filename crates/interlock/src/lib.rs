//! One participant's node.

pub mod backup;
pub mod cli;
pub mod config;
pub mod demo;
pub mod driver;
pub mod dsp;
pub mod epcis;
pub mod evidence;
pub mod exchange;
pub mod identity;
pub mod label;
pub mod local_api;
pub mod master_key;
pub mod node;
pub mod notify;
pub mod pages;
pub mod progress;
pub mod run;
pub mod telemetry;
