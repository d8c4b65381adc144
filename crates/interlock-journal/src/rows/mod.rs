//! Rows by key in sorted runs: what a node derives from its journal and does not hold in memory.
//!
//! A run is a file that never changes (layout: the `run` module). What is newer is a run before the
//! others, and a row that was removed is a row that says so. Runs of one level are merged into one of
//! the next once there are [`FAN_IN`], so that a row is written again once for each factor of
//! [`FAN_IN`] by which the whole has grown; a stretch of blocks that no other run interferes with stays in
//! the file in which it lies. Which runs there are is said by a list, and the list is in the [`root`].
//!
//! INVARIANT: everything here can be made anew from the journal and is worth nothing without it. A
//! file that is not what it was is named and never answered from. It does not know what rows mean.

mod error;
mod filter;
mod merge;
mod recent;
pub mod root;
mod run;
mod write;

#[cfg(test)]
mod tests;

pub use error::RowsError;
pub use merge::{FoundRow, Merge, Scan};
pub use run::{RunName, Value};
pub use write::{KEY_SIZE_BYTES_MAX, VALUE_SIZE_BYTES_MAX};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::Disk;

use error::io_error;
use filter::hash;
use recent::Recent;
use run::{Run, Shared};
use write::RunWriter;

/// Runs of one level that are merged into one of the next.
pub const FAN_IN: usize = 6;
/// How the files of runs end.
const RUN_SUFFIX: &str = ".rows";

/// Some runs, read as one table. Clones share files and what is held of them in memory.
#[derive(Clone)]
pub struct Rows {
    disk: Shared,
    /// Newest first.
    runs: Vec<Arc<Run>>,
    recent: Arc<Recent>,
}

/// A run that was written and is in no list yet.
#[derive(Debug)]
pub struct NewRun(Arc<Run>);

impl NewRun {
    /// What names it in a list.
    pub fn name(&self) -> RunName {
        self.0.name
    }
}

/// A run that is being written from rows in memory.
pub struct Flush(RunWriter);

impl Flush {
    /// Begins run `number` of at most `rows_max` rows.
    ///
    /// # Errors
    /// [`RowsError::Io`].
    pub fn begin(disk: Box<dyn Disk>, number: u64, rows_max: u64) -> Result<Self, RowsError> {
        Ok(Self(RunWriter::new(disk, number, 0, rows_max)?))
    }

    /// Adds a row; `None` says that it was removed. Keys come in ascending order.
    ///
    /// # Errors
    /// [`RowsError`]; the run is of no use any more.
    pub fn push(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), RowsError> {
        self.0.push(key, value)
    }

    /// Makes all of it durable and gives the run its name.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn finish(self) -> Result<NewRun, RowsError> {
        Ok(NewRun(Arc::new(self.0.finish()?)))
    }
}

impl Rows {
    /// No rows, on `disk`.
    pub fn empty(disk: Box<dyn Disk>) -> Self {
        Self {
            disk: Arc::new(Mutex::new(disk)),
            runs: Vec::new(),
            recent: Arc::default(),
        }
    }

    /// The runs of a list, newest first. Index and filter of each are checked, blocks as they are read.
    ///
    /// # Errors
    /// [`RowsError`]: one of them is missing, damaged, or another than was listed.
    pub fn open(mut disk: Box<dyn Disk>, names: &[RunName]) -> Result<Self, RowsError> {
        let runs = names
            .iter()
            .map(|name| Run::open(disk.as_mut(), *name).map(Arc::new))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            disk: Arc::new(Mutex::new(disk)),
            runs,
            recent: Arc::default(),
        })
    }

    /// The list of runs, newest first.
    pub fn names(&self) -> Vec<RunName> {
        self.runs.iter().map(|run| run.name).collect()
    }

    /// Whether there are no runs.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Bytes of all files.
    pub fn size_bytes(&self) -> u64 {
        let files = self.runs.iter().flat_map(|run| run.files());
        let files: BTreeMap<u64, u64> = files.map(|f| (f.number, f.size_bytes)).collect();
        files.values().sum()
    }

    /// The files that are read, by the numbers of the runs as which they were written.
    pub fn files(&self) -> BTreeSet<u64> {
        let files = self.runs.iter().flat_map(|run| run.files());
        files.map(|file| file.number).collect()
    }

    /// Closes the file of a run that is not read any more, so that its space is free once it is removed.
    pub fn forget(&self, number: u64) {
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        disk.forget(&run::file_name(number));
    }

    /// The value under `key`.
    ///
    /// # Errors
    /// [`RowsError`]: a file cannot be read, or is damaged.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        let key_hash = hash(key);
        for run in &self.runs {
            if let Some(value) = run.get((&self.disk, &self.recent), key, key_hash)? {
                return Ok(value);
            }
        }
        Ok(None)
    }

    /// The rows from `from` on, ascending.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn scan(&self, from: &[u8]) -> Result<Scan, RowsError> {
        Scan::new(self, from)
    }

    /// The same rows with a run before the others.
    #[must_use]
    pub fn with(&self, run: NewRun) -> Self {
        let runs = std::iter::once(run.0).chain(self.runs.iter().cloned());
        Self {
            disk: self.disk.clone(),
            runs: runs.collect(),
            recent: self.recent.clone(),
        }
    }

    /// Which runs are to be merged, if any are: those of the lowest level of which there are enough.
    pub fn merge_due(&self) -> Option<Range<usize>> {
        let mut start = 0;
        while let Some(first) = self.runs.get(start) {
            let rest = self.runs.get(start..).unwrap_or_default();
            let level = first.name.level;
            let same = rest
                .iter()
                .take_while(|run| run.name.level <= level)
                .count();
            if same >= FAN_IN {
                return Some(start..start + same);
            }
            start += same;
        }
        None
    }

    /// Begins a merge of these runs into run `number`.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn merge(
        &self,
        runs: Range<usize>,
        disk: Box<dyn Disk>,
        number: u64,
    ) -> Result<Merge, RowsError> {
        Merge::new(self, runs, disk, number)
    }

    /// The same rows with one run in place of those that it was merged from.
    #[must_use]
    pub fn merged(&self, runs: Range<usize>, run: NewRun) -> Self {
        let mut all = self.runs.clone();
        all.splice(runs, [run.0]);
        Self {
            disk: self.disk.clone(),
            runs: all,
            recent: self.recent.clone(),
        }
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// Removes every file and draft of a run that these rows do not lie in. Nobody may be reading them.
///
/// # Errors
/// [`RowsError::Io`]; what is left over does no harm.
pub fn clean(disk: &mut dyn Disk, kept: &Rows) -> Result<(), RowsError> {
    let names = disk.list().map_err(io_error("list", ""))?;
    let kept: BTreeSet<String> = kept.files().into_iter().map(run::file_name).collect();
    for name in names {
        let ours = name.ends_with(RUN_SUFFIX) && !kept.contains(&name);
        if ours || name.ends_with(".new") {
            disk.remove(&name).map_err(io_error("remove", &name))?;
        }
    }
    Ok(())
}

/// Removes the file of a run in which no listed run has blocks. Nobody may be reading it.
///
/// # Errors
/// [`RowsError::Io`].
pub fn remove(disk: &mut dyn Disk, number: u64) -> Result<(), RowsError> {
    let file = run::file_name(number);
    disk.remove(&file).map_err(io_error("remove", &file))
}
