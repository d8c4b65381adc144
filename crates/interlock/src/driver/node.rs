//! The real node behind the driver's seams, and how it is opened from its directory.
//!
//! INVARIANT: a node is started only after every record of its journal was applied. This module does
//! not know what is in a record.

use std::io;
use std::path::Path;

use interlock_core::time::{ClockInterval, Timestamp};
use interlock_journal::disk::RealDisk;
use interlock_journal::journal::Options;
use interlock_journal::keyslots::Key;

use super::file_store::{FileStore, OpenError};
use super::seams::{Machine, Partners};
use crate::identity::keys::NodeKey;
use crate::node::io::{Effect, Input};
use crate::node::{Node, NodeConfig, Rng};

impl Machine for Node {
    fn start(&mut self, now: ClockInterval, rng: &mut dyn Rng) -> Vec<Effect> {
        Self::start(self, now, rng)
    }

    fn step(&mut self, input: Input, now: ClockInterval, rng: &mut dyn Rng) -> Vec<Effect> {
        Self::step(self, input, now, rng)
    }

    fn clock_jumped(&mut self, by_ms: Option<i64>) {
        Self::clock_jumped(self, by_ms);
    }

    fn confirms_jump(&self) -> bool {
        Self::confirms_jump(self)
    }

    fn next_wake(&self) -> Option<Timestamp> {
        Self::next_wake(self)
    }

    fn parked_polls(&self) -> usize {
        Self::parked_polls(self)
    }

    fn partners(&self) -> &Partners {
        &self.state().partners
    }
}

/// A node as its directory has it.
pub struct Opened {
    /// The node, with everything replayed.
    pub node: Node,
    /// Its store.
    pub store: FileStore,
    /// The highest time in its journal.
    pub journal_time: Option<Timestamp>,
}

/// Why a node cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenNodeError {
    /// The directory cannot be used.
    #[error("failed to open `{path}`: {source}; check that it exists and belongs to this user")]
    Directory {
        /// Which.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] OpenError),
}

/// Directory of the journal, below that of the store.
pub const JOURNAL_DIR: &str = "journal";
/// Directory of the content keys, below that of the store.
pub const KEYS_DIR: &str = "keys";

/// Opens a node: `journal/` and `keys/` below `directory` are made if they are missing, and locked.
///
/// # Errors
/// [`OpenNodeError`]; nothing was appended.
pub fn open(
    directory: &Path,
    config: NodeConfig,
    key: &NodeKey,
    master: Key,
) -> Result<Opened, OpenNodeError> {
    let disk = |name: &str| {
        let path = directory.join(name);
        RealDisk::open(&path)
            .map(Box::new)
            .map_err(|source| OpenNodeError::Directory {
                path: path.display().to_string(),
                source,
            })
    };
    let mut node = Node::new(config, key.signing_key().clone());
    let (store, journal_time) = FileStore::open(
        disk(JOURNAL_DIR)?,
        disk(KEYS_DIR)?,
        master,
        Options::default(),
        &mut |time, record, keys| node.replay(time, record, keys),
    )?;
    Ok(Opened {
        node,
        store,
        journal_time,
    })
}
