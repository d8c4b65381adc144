//! Snapshots: what a node derived from its journal, written so that a start need not derive it again.
//!
//! Purpose: write what the node froze as a run of rows, then a root that names the runs, the place in
//! the journal and the small rest of the state; merge runs. Invariants: the root is replaced only when
//! all that it names is durable, and a file is removed only when no root leads to it; nothing here is
//! needed, so that what is damaged, missing or of another journal is thrown away and made anew. Work is
//! done in small steps, by a thread or by a simulator. It does not know what is in a state or a row.

mod open;
mod thread;

#[cfg(test)]
pub(crate) mod again;
#[cfg(test)]
mod tests;

pub use open::{Disks, Opened, Start, open, rebuild};
pub(super) use thread::Background;

use interlock_core::time::Timestamp;
use interlock_journal::disk::Disk;
use interlock_journal::journal::{ChainHash, Position};
use interlock_journal::rows::{self, Flush, Merge, Rows, RowsError, RunName, root};
use serde::{Deserialize, Serialize};

use crate::node::state::table::FrozenRows;
use crate::node::state::{FreezeError, Frozen};

/// Version of what a root keeps. It changes with every type that is kept in a root or a row: then a
/// start makes everything anew.
pub const KEPT_VERSION: u32 = 10;
/// Rows that one step writes, or rows and blocks that it merges.
const STEP_ROWS: usize = 512;

/// A place in the journal at which a group ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    position: u64,
    chain: ChainHash,
    time_max: Option<Timestamp>,
    journal_bytes: u64,
}

impl Mark {
    /// After the record at `position`, where the hash over all groups is `chain`; the highest time and
    /// the bytes of records so far.
    pub const fn new(
        position: Position,
        chain: ChainHash,
        time_max: Option<Timestamp>,
        journal_bytes: u64,
    ) -> Self {
        Self {
            position: position.get(),
            chain,
            time_max,
            journal_bytes,
        }
    }

    /// The last record that it covers.
    pub const fn position(&self) -> Position {
        Position::new(self.position)
    }

    /// The hash over all groups so far.
    pub const fn chain(&self) -> ChainHash {
        self.chain
    }

    /// The highest time so far.
    pub const fn time_max(&self) -> Option<Timestamp> {
        self.time_max
    }

    /// Bytes of the records so far.
    pub const fn journal_bytes(&self) -> u64 {
        self.journal_bytes
    }
}

/// What a root keeps.
#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    mark: Mark,
    /// Newest first.
    runs: Vec<RunName>,
    /// The number of the next run.
    next_run: u64,
    /// The state beside the tables.
    state: Vec<u8>,
}

/// Why a snapshot is not written or not used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A file.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// A defect: a state cannot be frozen.
    #[error(transparent)]
    Freeze(#[from] FreezeError),
    /// The thread that writes.
    #[error("failed to write in the background: {0}")]
    Thread(#[from] std::io::Error),
    /// A defect: something cannot be encoded.
    #[error("a row or a root cannot be encoded")]
    Encode,
    /// Written by another version of this program.
    #[error("it is of another version of this program")]
    Version,
    /// It does not fit the journal, or the node.
    #[error("it does not fit: {0}")]
    Foreign(String),
}

/// What a step did.
pub enum Step {
    /// There is nothing to do.
    Idle,
    /// There is more to do.
    Working,
    /// Rows to be read from now on; what was frozen is among them if `frozen`.
    Rows {
        /// Them.
        rows: Rows,
        /// Whether the last frozen part is durable with its root.
        frozen: bool,
    },
}

/// Writes snapshots, one after another.
pub struct Keeper {
    disk: Box<dyn Disk>,
    rows: Rows,
    next_run: u64,
    /// What the root says beside the runs, once there is one.
    saved: Option<(Mark, Vec<u8>)>,
    flushing: Option<Flushing>,
    merging: Option<Merging>,
    /// Whether rows were written since, without a root.
    ahead: bool,
    /// Files in which nothing lies any more, since runs were merged.
    obsolete: Vec<Obsolete>,
    /// How often rows were given to the reader, and how often it took them.
    given: u64,
    taken: u64,
}

/// A file that is not needed any more.
struct Obsolete {
    /// The run as which it was written.
    number: u64,
    /// From these rows on it is not read.
    unread_from: u64,
    /// Whether no durable root leads to it.
    unnamed: bool,
}

struct Flushing {
    /// `None`: what is in memory only gets lighter, no root is written.
    mark: Option<Mark>,
    state: Vec<u8>,
    tables: std::vec::IntoIter<Box<dyn FrozenRows>>,
    table: Option<Box<dyn FrozenRows>>,
    run: Flush,
}

struct Merging {
    inputs: Vec<RunName>,
    merge: Merge,
}

impl Keeper {
    /// A keeper without a snapshot; what lies on the disk is removed.
    ///
    /// # Errors
    /// [`SnapshotError::Rows`].
    pub fn anew(mut disk: Box<dyn Disk>) -> Result<Self, SnapshotError> {
        root::discard(disk.as_mut())?;
        let rows = Rows::empty(disk.share());
        rows::clean(disk.as_mut(), &rows)?;
        Ok(Self::over(disk, rows, 1, None))
    }

    fn over(
        disk: Box<dyn Disk>,
        rows: Rows,
        next_run: u64,
        saved: Option<(Mark, Vec<u8>)>,
    ) -> Self {
        Self {
            disk,
            rows,
            next_run,
            saved,
            flushing: None,
            merging: None,
            ahead: false,
            obsolete: Vec::new(),
            given: 0,
            taken: 0,
        }
    }

    /// The snapshot on the disk; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn load(mut disk: Box<dyn Disk>) -> Result<Option<Self>, SnapshotError> {
        let Some(body) = root::load(disk.as_mut())? else {
            return Ok(None);
        };
        let version = postcard::take_from_bytes::<u32>(&body).map(|(version, _)| version);
        if version != Ok(KEPT_VERSION) {
            return Err(SnapshotError::Version);
        }
        let kept: Kept = postcard::from_bytes(&body).map_err(|_| SnapshotError::Version)?;
        let rows = Rows::open(disk.share(), &kept.runs)?;
        rows::clean(disk.as_mut(), &rows)?;
        let saved = Some((kept.mark, kept.state));
        Ok(Some(Self::over(disk, rows, kept.next_run, saved)))
    }

    /// What the root says: the place in the journal and the state beside the tables.
    pub fn saved(&self) -> Option<(&Mark, &[u8])> {
        let (mark, state) = self.saved.as_ref()?;
        Some((mark, state))
    }

    /// The rows as they are.
    pub fn rows(&self) -> Rows {
        self.rows.clone()
    }

    /// Whether something that was frozen is not written yet.
    pub const fn is_flushing(&self) -> bool {
        self.flushing.is_some()
    }

    /// Begins to write what was frozen at `mark`; without a mark rows are written and no root.
    ///
    /// # Errors
    /// [`SnapshotError::Rows`].
    pub fn begin(&mut self, frozen: Frozen, mark: Option<Mark>) -> Result<(), SnapshotError> {
        debug_assert!(self.flushing.is_none(), "one snapshot at a time");
        let rows: usize = frozen.tables.iter().map(|table| table.left()).sum();
        let run = Flush::begin(self.disk.share(), self.next_run, rows as u64)?;
        self.next_run += 1;
        self.flushing = Some(Flushing {
            mark,
            state: frozen.kept,
            tables: frozen.tables.into_iter(),
            table: None,
            run,
        });
        Ok(())
    }

    /// Does a small part of what there is to do.
    ///
    /// # Errors
    /// [`SnapshotError`]: nothing more can be written; the node goes on only from a new start.
    pub fn step(&mut self) -> Result<Step, SnapshotError> {
        let taken = self.taken;
        let unneeded = |old: &Obsolete| old.unnamed && old.unread_from <= taken;
        if let Some(at) = self.obsolete.iter().position(unneeded) {
            let old = self.obsolete.swap_remove(at);
            self.rows.forget(old.number);
            rows::remove(self.disk.as_mut(), old.number)?;
            return Ok(Step::Working);
        }
        if let Some(mut flushing) = self.flushing.take() {
            if flushing.step()? {
                return self.flushed(flushing);
            }
            self.flushing = Some(flushing);
            return Ok(Step::Working);
        }
        if let Some(mut merging) = self.merging.take() {
            if merging.merge.step(STEP_ROWS)? {
                return self.merged(merging);
            }
            self.merging = Some(merging);
            return Ok(Step::Working);
        }
        let Some(due) = self.rows.merge_due() else {
            return Ok(Step::Idle);
        };
        let names = self.rows.names();
        self.merging = Some(Merging {
            inputs: names.get(due.clone()).unwrap_or_default().to_vec(),
            merge: self.rows.merge(due, self.disk.share(), self.next_run)?,
        });
        self.next_run += 1;
        Ok(Step::Working)
    }

    fn flushed(&mut self, flushing: Flushing) -> Result<Step, SnapshotError> {
        self.rows = self.rows.with(flushing.run.finish()?);
        self.ahead = flushing.mark.is_none();
        if let Some(mark) = flushing.mark {
            self.saved = Some((mark, flushing.state));
            self.save()?;
        }
        self.given += 1;
        Ok(Step::Rows {
            rows: self.rows.clone(),
            frozen: true,
        })
    }

    fn merged(&mut self, merging: Merging) -> Result<Step, SnapshotError> {
        let names = self.rows.names();
        let first = merging.inputs.first();
        let start = names.iter().position(|name| Some(name) == first);
        let start = start.unwrap_or(names.len());
        let run = merging.merge.finish()?;
        let before = self.rows.files();
        self.rows = self.rows.merged(start..start + merging.inputs.len(), run);
        self.given += 1;
        let unread_from = self.given;
        let after = self.rows.files();
        let unneeded = before.difference(&after).copied();
        self.obsolete.extend(unneeded.map(|number| Obsolete {
            number,
            unread_from,
            unnamed: false,
        }));
        // Rows that are ahead of the root's state wait for one that is not.
        if !self.ahead {
            self.save()?;
        }
        Ok(Step::Rows {
            rows: self.rows.clone(),
            frozen: false,
        })
    }

    fn save(&mut self) -> Result<(), SnapshotError> {
        let Some((mark, state)) = &self.saved else {
            return Ok(());
        };
        let kept = Kept {
            version: KEPT_VERSION,
            mark: *mark,
            runs: self.rows.names(),
            next_run: self.next_run,
            state: state.clone(),
        };
        let body = postcard::to_allocvec(&kept).map_err(|_| SnapshotError::Encode)?;
        root::save(self.disk.as_mut(), &body)?;
        for old in &mut self.obsolete {
            old.unnamed = true;
        }
        Ok(())
    }

    /// The reader took the next of the rows that it was given, and reads none of before any more.
    pub const fn installed(&mut self) {
        self.taken += 1;
    }

    /// Throws the snapshot away: the next start makes everything anew.
    ///
    /// # Errors
    /// [`SnapshotError::Rows`]: it may still be there.
    pub fn distrust(&mut self) -> Result<(), SnapshotError> {
        Ok(root::discard(self.disk.as_mut())?)
    }
}

impl Flushing {
    /// Writes some rows; whether there are no more.
    fn step(&mut self) -> Result<bool, SnapshotError> {
        let Some(table) = &mut self.table else {
            self.table = self.tables.next();
            return Ok(self.table.is_none());
        };
        let rows = table.next(STEP_ROWS).ok_or(SnapshotError::Encode)?;
        for (key, value) in &rows {
            self.run.push(key, value.as_deref())?;
        }
        if table.left() == 0 {
            self.table = None;
        }
        Ok(false)
    }
}
