//! The domain of Interlock: what participants agree on, what flows between them, and how a node
//! decides. Pure: no async, no clock, no randomness, no files, no sockets; time is a parameter.
#![no_std]
extern crate alloc;

pub mod agreement;
pub mod collection;
pub mod contact;
pub mod dataset;
pub mod decide;
pub mod event;
pub mod ids;
pub mod label;
pub mod locker;
pub mod negotiation;
pub mod parcel;
pub mod pickup_code;
pub mod station;
pub mod statistics;
pub mod terms;
pub mod time;
pub mod transfer;
pub mod waybill;
