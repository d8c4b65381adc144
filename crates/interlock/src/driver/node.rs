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
use interlock_journal::rows::Rows;

use super::file_store::{FileStore, OpenError};
use super::seams::{ApiKeys, Machine, Partners};
use super::snapshot::{self, Disks, Start};
use crate::identity::derived::Derived;
use crate::identity::keys::NodeKey;
use crate::node::io::{Effect, Input};
use crate::node::state::Frozen;
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

    fn api_keys(&self) -> &ApiKeys {
        &self.state().api_keys
    }

    fn freeze(&mut self) -> io::Result<Option<Frozen>> {
        Self::freeze(self).map(Some).map_err(io::Error::other)
    }

    fn install(&mut self, rows: Rows, frozen: bool) {
        Self::install(self, rows, frozen);
    }

    fn failure(&self) -> Option<String> {
        Self::failure(self)
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

/// Directory of what is derived from both, below that of the store.
pub const TABLES_DIR: &str = "tables";

/// Opens a node: `journal/`, `keys/` and `tables/` below `directory` are made if they are missing, and
/// locked. Its snapshots are written by a thread of their own.
///
/// # Errors
/// [`OpenNodeError`]; nothing was appended.
pub fn open(
    directory: &Path,
    config: NodeConfig,
    key: &NodeKey,
    master: Key,
) -> Result<Opened, OpenNodeError> {
    let derived = Derived::from_seed(&key.signing_key().to_bytes());
    open_derived(directory, config, key, &derived, master)
}

/// The same where the signing key may have been rotated.
///
/// # Errors
/// [`OpenNodeError`]; nothing was appended.
pub fn open_derived(
    directory: &Path,
    config: NodeConfig,
    key: &NodeKey,
    derived: &Derived,
    master: Key,
) -> Result<Opened, OpenNodeError> {
    let disks = disks(directory)?;
    let key = key.signing_key();
    let mut opened = snapshot::open(&disks, &config, key, derived, master, Options::default())?;
    tracing::info!(start = ?opened.start, "the node was made from its journal");
    opened
        .store
        .keep_in_background(opened.keeper)
        .map_err(|source| directory_error(directory, source))?;
    Ok(Opened {
        node: opened.node,
        store: opened.store,
        journal_time: opened.time,
    })
}

/// Throws away what is derived from a node's journal and makes it anew. `progress` is told how many
/// records were replayed; returned is how many there are.
///
/// # Errors
/// [`OpenNodeError`].
pub fn rebuild(
    directory: &Path,
    config: &NodeConfig,
    key: &NodeKey,
    derived: &Derived,
    master: Key,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, OpenNodeError> {
    let disks = disks(directory)?;
    let key = key.signing_key();
    let options = Options::default();
    let made = snapshot::rebuild(&disks, config, key, derived, master, options, progress)?;
    let (Start::Snapshot { records } | Start::Journal { records }) = made.start;
    Ok(records)
}

fn disks(directory: &Path) -> Result<Disks, OpenNodeError> {
    let disk = |name: &str| {
        let path = directory.join(name);
        let disk = RealDisk::open(&path).map(Box::new);
        disk.map_err(|source| directory_error(&path, source))
    };
    Ok(Disks {
        journal: disk(JOURNAL_DIR)?,
        keys: disk(KEYS_DIR)?,
        tables: disk(TABLES_DIR)?,
    })
}

fn directory_error(path: &Path, source: io::Error) -> OpenNodeError {
    OpenNodeError::Directory {
        path: path.display().to_string(),
        source,
    }
}
