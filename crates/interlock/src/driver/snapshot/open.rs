//! Opening a node: from its snapshot and the tail of its journal, or from the whole journal.
//!
//! INVARIANT: a snapshot is used only if it is whole, of this program, of this node and of this very
//! journal; whatever is wrong with it is named in the log, and costs time and nothing else. A node that
//! was opened holds all that its journal says.

use ed25519_dalek::SigningKey;
use interlock_core::time::Timestamp;
use interlock_journal::disk::Disk;
use interlock_journal::journal::{JournalError, Options};
use interlock_journal::keyslots::Key;

use super::{Background, Keeper, SnapshotError, Step};
use crate::driver::file_store::{FileStore, OpenError, Slots};
use crate::identity::derived::Derived;
use crate::node::{Node, NodeConfig};

/// While records are replayed, what so many of them changed is written by another thread, so that it
/// stays small in memory.
const REPLAYED_RECORDS: u64 = if cfg!(test) { 300 } else { 250_000 };

/// What a node lies on.
pub struct Disks {
    /// Its journal.
    pub journal: Box<dyn Disk>,
    /// Its content keys.
    pub keys: Box<dyn Disk>,
    /// What is derived from both.
    pub tables: Box<dyn Disk>,
}

/// How a node was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From a snapshot and so many later records.
    Snapshot {
        /// Records replayed.
        records: u64,
    },
    /// From all records.
    Journal {
        /// Records replayed.
        records: u64,
    },
}

/// A node, with everything replayed.
pub struct Opened {
    /// The node.
    pub node: Node,
    /// Its store.
    pub store: FileStore,
    /// The highest time in its journal.
    pub time: Option<Timestamp>,
    /// What writes its snapshots.
    pub keeper: Keeper,
    /// How it was made.
    pub start: Start,
}

/// Opens a node.
///
/// # Errors
/// [`OpenError`]; nothing was appended.
pub fn open(
    disks: &Disks,
    config: &NodeConfig,
    key: &SigningKey,
    derived: &Derived,
    master: Key,
    options: Options,
) -> Result<Opened, OpenError> {
    let slots = Slots::open(disks.keys.share(), master)?.of(config.cipher);
    let opening = Opening {
        disks,
        config,
        key,
        derived,
        slots: &slots,
        options,
    };
    match Keeper::load(disks.tables.share()) {
        Ok(None) => {}
        Ok(Some(keeper)) => match opening.open_snapshot(keeper) {
            Ok(opened) => return Ok(opened),
            Err(error) if does_not_fit(&error) => forget(&error),
            Err(error) => return Err(error),
        },
        Err(error) => forget(&error),
    }
    opening.anew(&mut |_| {})
}

/// Whether an error may be the snapshot's and not the journal's.
const fn does_not_fit(error: &OpenError) -> bool {
    match error {
        OpenError::Snapshot(_)
        | OpenError::Replay { .. }
        | OpenError::Record(_)
        | OpenError::Journal(
            JournalError::OtherChain { .. } | JournalError::NoSuchPosition { .. },
        ) => true,
        OpenError::Keys(_)
        | OpenError::Journal(
            JournalError::Damaged(_)
            | JournalError::Io { .. }
            | JournalError::DiskFull
            | JournalError::Poisoned
            | JournalError::GroupEmpty
            | JournalError::GroupTooLarge { .. }
            | JournalError::RecordTooLarge { .. }
            | JournalError::EpochOver { .. },
        ) => false,
    }
}

fn forget(error: &dyn std::fmt::Display) {
    tracing::warn!(%error, "the snapshot is not used; everything is made anew from the journal");
}

/// Opens a node from its journal alone; snapshot and tables are thrown away and made anew. `progress`
/// is told how many records were replayed.
///
/// # Errors
/// [`OpenError`].
pub fn rebuild(
    disks: &Disks,
    config: &NodeConfig,
    key: &SigningKey,
    derived: &Derived,
    master: Key,
    options: Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Opened, OpenError> {
    let slots = Slots::open(disks.keys.share(), master)?.of(config.cipher);
    let opening = Opening {
        disks,
        config,
        key,
        derived,
        slots: &slots,
        options,
    };
    let mut opened = opening.anew(progress)?;
    opened.save()?;
    Ok(opened)
}

struct Opening<'a> {
    disks: &'a Disks,
    config: &'a NodeConfig,
    key: &'a SigningKey,
    derived: &'a Derived,
    slots: &'a Slots,
    options: Options,
}

impl Opening<'_> {
    fn open_snapshot(&self, keeper: Keeper) -> Result<Opened, OpenError> {
        let foreign = |what: &str| SnapshotError::Foreign(what.into());
        let Some((mark, kept)) = keeper.saved() else {
            return Err(foreign("it has no state").into());
        };
        let mark = *mark;
        let keys = self.slots.shared();
        let config = self.config.clone();
        let node = Node::restore(
            config,
            self.key.clone(),
            self.derived,
            kept,
            keeper.rows(),
            keys,
        )
        .ok_or_else(|| foreign("it is of another node or another form"))?;
        let options = Options {
            known_to: mark.position(),
            known_chain: Some(mark.chain()),
            ..self.options
        };
        let (mut opened, records) = self.replay(node, keeper, options, &mut |_| {})?;
        opened.store.continue_from(&mark);
        opened.time = opened.time.max(mark.time_max());
        opened.start = Start::Snapshot { records };
        Ok(opened)
    }

    fn anew(&self, progress: &mut dyn FnMut(u64)) -> Result<Opened, OpenError> {
        let keeper = Keeper::anew(self.disks.tables.share())?;
        let node = Node::with_derived(self.config.clone(), self.key.clone(), self.derived);
        node.begin_tables(keeper.rows(), self.slots.shared());
        Ok(self.replay(node, keeper, self.options, progress)?.0)
    }

    fn replay(
        &self,
        mut node: Node,
        keeper: Keeper,
        options: Options,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(Opened, u64), OpenError> {
        let mut records = 0_u64;
        let mut writing = Some(Writing::Not(Box::new(keeper)));
        let (store, time) = FileStore::open_with(
            self.disks.journal.share(),
            self.slots.clone(),
            options,
            &mut |at, record, keys| -> Result<(), String> {
                node.replay(at, record, keys)
                    .map_err(|error| error.to_string())?;
                records += 1;
                if records.is_multiple_of(REPLAYED_RECORDS) {
                    progress(records);
                    let lighter = writing.take().map(|it| it.lighten(&mut node));
                    writing = lighter.transpose().map_err(|error| error.to_string())?;
                }
                match node.failure() {
                    Some(failure) => Err(failure),
                    None => Ok(()),
                }
            },
        )?;
        progress(records);
        let keeper = writing.map(|it| it.end(&mut node)).transpose()?;
        let keeper = keeper.ok_or_else(|| SnapshotError::Foreign("its writer failed".into()))?;
        let start = Start::Journal { records };
        let opened = Opened {
            node,
            store,
            time,
            keeper,
            start,
        };
        Ok((opened, records))
    }
}

/// Who writes what records change while they are replayed: nobody at first, for most tails are short.
enum Writing {
    Not(Box<Keeper>),
    Thread(Background),
}

impl Writing {
    /// Has what changed in memory written, and no root, while the replay goes on. What was begun before
    /// is waited for: at most two parts are in memory.
    fn lighten(self, node: &mut Node) -> Result<Self, SnapshotError> {
        let mut thread = match self {
            Self::Not(keeper) => Background::start(*keeper)?,
            Self::Thread(thread) => thread,
        };
        while thread.is_flushing() {
            let (rows, frozen) = thread.wait()?;
            node.install(rows, frozen);
            thread.installed()?;
        }
        while let Some((rows, frozen)) = thread.news()? {
            node.install(rows, frozen);
            thread.installed()?;
        }
        thread.begin(node.freeze()?, None)?;
        Ok(Self::Thread(thread))
    }

    /// Waits until what was begun is written.
    fn end(self, node: &mut Node) -> Result<Keeper, SnapshotError> {
        let (mut keeper, news) = match self {
            Self::Not(keeper) => return Ok(*keeper),
            Self::Thread(thread) => thread.stop()?,
        };
        for (rows, frozen) in news {
            node.install(rows, frozen);
            keeper.installed();
        }
        Ok(keeper)
    }
}

/// Works until nothing is to be done.
pub(super) fn finish(node: &mut Node, keeper: &mut Keeper) -> Result<(), SnapshotError> {
    loop {
        match keeper.step()? {
            Step::Idle => return Ok(()),
            Step::Working => {}
            Step::Rows { rows, frozen } => {
                node.install(rows, frozen);
                keeper.installed();
            }
        }
    }
}

impl Opened {
    /// Writes a snapshot of the node as it is.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn save(&mut self) -> Result<(), SnapshotError> {
        let frozen = self.node.freeze()?;
        self.keeper.begin(frozen, Some(self.store.mark()))?;
        finish(&mut self.node, &mut self.keeper)
    }
}
