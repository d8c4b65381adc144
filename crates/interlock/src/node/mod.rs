//! The node: one participant's state and every rule that changes it, deterministic.
//!
//! Purpose: turn an [`io::Input`] into [`io::Effect`]s. Invariants: state changes only by applying a
//! [`record::Record`], so that replaying the journal gives the same state; what others can see leaves
//! only after the records of its step are durable; any error while deciding denies. It knows no
//! files, sockets, clocks or randomness: time and random bytes are parameters.

pub mod io;
pub mod record;

use interlock_core::time::{ClockInterval, Timestamp};

/// Source of random bytes; the driver's is the operating system, a test's is a seed.
pub trait Rng {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// Reads content keys during replay. `None`: destroyed.
pub trait ContentKeys {
    /// The key in `slot` of `day`.
    fn get(&self, day: u32, slot: u32) -> Option<[u8; 32]>;
}

impl Node {
    /// An empty node; records are replayed into it, then it is started.
    pub fn new(config: NodeConfig, key: ed25519_dalek::SigningKey) -> Self;

    /// Applies one record of the journal, in order, before [`Node::start`].
    ///
    /// # Errors
    /// If the record does not fit the state: the journal is not this node's.
    pub fn replay(&mut self, time: Timestamp, record: record::Record, keys: &dyn ContentKeys) -> Result<(), ReplayError>;

    /// Takes up what was under way: calls to repeat, messages to send again.
    pub fn start(&mut self, now: ClockInterval, rng: &mut dyn Rng) -> Vec<io::Effect>;

    /// Takes one input.
    pub fn step(&mut self, input: io::Input, now: ClockInterval, rng: &mut dyn Rng) -> Vec<io::Effect>;

    /// When the node wants an [`io::Input::Tick`] next, if at all.
    pub fn next_wake(&self) -> Option<Timestamp>;
}
