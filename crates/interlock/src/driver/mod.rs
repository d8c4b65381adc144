//! The driver: everything around the deterministic node that has a clock, a disk or a socket.
//!
//! Purpose: bring what happens to the node as inputs and carry out its effects. Invariant: the order
//! of [`writer`]: records are durable before anybody sees what follows from them. It does not know what
//! an input means.
//!
//! One thread writes; a small runtime serves doors, calls and deliveries and talks to it through a
//! bounded queue ([`handle`]).

pub mod activity;
pub mod answer;
pub mod clock;
pub mod desk;
pub mod entropy;
pub mod exchange_door;
pub mod file_store;
pub mod handle;
mod html;
mod http_client;
pub mod key_files;
pub mod leaf_reader;
pub mod listen;
pub mod node;
pub mod open_files;
pub mod outlet;
pub mod public_door;
mod pull_door;
pub mod seams;
pub mod server;
pub mod snapshot;
pub mod steady;
pub mod writer;

#[cfg(test)]
mod tests;
