//! A world of nodes from one seed: the shipped node code over a simulated network, journal and clock.
//!
//! Purpose: run any number of nodes in one thread, with every byte that passes between them on record,
//! so that what happened once happens again from its seed. Invariants: nodes meet only through the
//! encoded bytes of `/exchange/v1` and the Dataspace Protocol; a restarted node has nothing but its
//! journal and keys. It does not ship, and it knows no sockets: the doors have tests of their own.

pub mod collectors;
mod faults;
mod net;
mod node;
mod rng;
mod weather;
mod world;

pub use node::{ClockError, DiskOf, Snapshots};
pub use rng::SeededRng;
pub use weather::Weather;
pub use world::{AskedOf, Exchanged, NodeIx, NodeSpec, Sent, Struck, World};
