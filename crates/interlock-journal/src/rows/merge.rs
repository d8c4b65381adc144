//! Reading several runs as one, and making one of several.
//!
//! INVARIANT: of rows with one key the newest run's counts. A merge writes a new run and changes none;
//! whoever lists runs replaces the old ones by it. A stretch of blocks that no other run interferes with
//! stays in the file in which it lies, if half of that file or more is still in use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::disk::Disk;

use super::error::{RowsError, damaged};
use super::run::{Block, RowRef, Run, Shared, Value};
use super::write::RunWriter;
use super::{NewRun, Rows};

/// A shorter stretch of blocks is copied, so that a file is not kept for a few of them.
const STRETCH_BLOCKS_MIN: usize = 16;
/// Blocks stay in a file only while so much of it, in percent, is in use.
const USED_PERCENT_MIN: u64 = 50;

/// Key and value of a row that was found.
pub type FoundRow = (Vec<u8>, Vec<u8>);

/// A place in a run.
#[derive(Debug)]
struct Cursor {
    run: Arc<Run>,
    /// The next block.
    next: usize,
    block: Option<Block>,
    row: usize,
    /// How many blocks from this one on are known to come before every row of the other cursors.
    whole: usize,
    /// Whether those are so many that they stay where they lie.
    stays: bool,
}

impl Cursor {
    /// At the first row whose key is not below `from`.
    fn at(run: Arc<Run>, disk: &Shared, from: &[u8]) -> Result<Self, RowsError> {
        let first = match run.index.block_of(from) {
            Some(block) => block,
            None if from > run.index.last() => usize::MAX,
            None => 0,
        };
        let mut cursor = Self {
            run,
            next: first,
            block: None,
            row: 0,
            whole: 0,
            stays: false,
        };
        cursor.load(disk)?;
        if let Some(block) = &cursor.block {
            let (row, _) = block.seek(from).ok_or_else(|| cursor.unreadable())?;
            cursor.row = row;
            cursor.skip_empty(disk)?;
        }
        Ok(cursor)
    }

    fn load(&mut self, disk: &Shared) -> Result<(), RowsError> {
        self.block = self.run.block(disk, self.next)?;
        self.next = self.next.saturating_add(1);
        self.whole = self.whole.saturating_sub(1);
        self.row = 0;
        Ok(())
    }

    fn skip_empty(&mut self, disk: &Shared) -> Result<(), RowsError> {
        while self.block.as_ref().is_some_and(|b| self.row >= b.rows) {
            self.load(disk)?;
        }
        Ok(())
    }

    fn unreadable(&self) -> RowsError {
        damaged(&self.run.file, 0, "a row cannot be read")
    }

    fn row(&self) -> Result<Option<RowRef<'_>>, RowsError> {
        let Some(block) = &self.block else {
            return Ok(None);
        };
        let row = block.row(self.row).ok_or_else(|| self.unreadable())?;
        Ok(Some(row))
    }

    fn advance(&mut self, disk: &Shared) -> Result<(), RowsError> {
        self.row += 1;
        self.skip_empty(disk)
    }
}

/// The cursors of some runs, newest first.
struct Cursors {
    disk: Shared,
    all: Vec<Cursor>,
}

impl Cursors {
    fn at(disk: &Shared, runs: &[Arc<Run>], from: &[u8]) -> Result<Self, RowsError> {
        let cursors = runs.iter().map(|run| Cursor::at(run.clone(), disk, from));
        Ok(Self {
            disk: disk.clone(),
            all: cursors.collect::<Result<_, _>>()?,
        })
    }

    /// The cursor with the lowest key; the newest of those with one key.
    fn lowest(&self) -> Result<Option<usize>, RowsError> {
        let mut lowest: Option<(usize, &[u8])> = None;
        for (number, cursor) in self.all.iter().enumerate() {
            if let Some((key, _)) = cursor.row()?
                && lowest.is_none_or(|(_, lowest)| key < lowest)
            {
                lowest = Some((number, key));
            }
        }
        Ok(lowest.map(|(number, _)| number))
    }

    /// Takes the lowest row, and leaves out the older ones with its key.
    fn take(&mut self) -> Result<Option<(Vec<u8>, Value)>, RowsError> {
        let Some(number) = self.lowest()? else {
            return Ok(None);
        };
        let row = self.all.get(number).map_or(Ok(None), Cursor::row)?;
        let Some((key, value)) = row else {
            return Ok(None);
        };
        let (key, value) = (key.to_vec(), value.map(<[u8]>::to_vec));
        self.pass(number, &key)?;
        Ok(Some((key, value)))
    }

    fn pass(&mut self, from: usize, key: &[u8]) -> Result<(), RowsError> {
        for cursor in self.all.iter_mut().skip(from) {
            if cursor.row()?.is_some_and(|(other, _)| other == key) {
                cursor.advance(&self.disk)?;
            }
        }
        Ok(())
    }

    /// How many blocks of a cursor come before every other row, if it stands at the first row of one. What
    /// was found holds until they are passed, since the other cursors only go on.
    fn whole_blocks(&mut self, number: usize) -> Result<usize, RowsError> {
        let Some(cursor) = self.all.get(number).filter(|cursor| cursor.row == 0) else {
            return Ok(0);
        };
        if cursor.whole > 0 {
            return Ok(cursor.whole);
        }
        let mut end: Option<&[u8]> = None;
        for (at, other) in self.all.iter().enumerate() {
            if at != number
                && let Some((key, _)) = other.row()?
            {
                end = Some(end.map_or(key, |end| end.min(key)));
            }
        }
        let whole = cursor
            .run
            .index
            .blocks_below(cursor.next.saturating_sub(1), end);
        if let Some(cursor) = self.all.get_mut(number) {
            cursor.whole = whole;
            cursor.stays = whole >= STRETCH_BLOCKS_MIN;
        }
        Ok(whole)
    }
}

/// Rows of several runs in ascending order of their keys, without those that were removed.
pub struct Scan {
    cursors: Cursors,
}

impl Scan {
    pub(super) fn new(rows: &Rows, from: &[u8]) -> Result<Self, RowsError> {
        Ok(Self {
            cursors: Cursors::at(&rows.disk, &rows.runs, from)?,
        })
    }

    /// The next row.
    ///
    /// # Errors
    /// [`RowsError`]; the scan is of no use any more.
    pub fn next_row(&mut self) -> Result<Option<FoundRow>, RowsError> {
        while let Some((key, value)) = self.cursors.take()? {
            if let Some(value) = value {
                return Ok(Some((key, value)));
            }
        }
        Ok(None)
    }
}

/// A merge under way.
pub struct Merge {
    cursors: Cursors,
    writer: RunWriter,
    /// Whether nothing older is left, so that removed rows need not be remembered.
    oldest: bool,
    /// Files in which blocks may stay.
    lasting: BTreeSet<u64>,
}

/// The files of which these runs use enough for blocks to stay there.
pub(super) fn lasting(runs: &[Arc<Run>]) -> BTreeSet<u64> {
    let mut used: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for run in runs {
        for block in run.index.blocks() {
            let holder = run.holder(block);
            let (bytes, _) = used.entry(holder.number).or_insert((0, holder.size_bytes));
            *bytes += u64::from(block.size_bytes);
        }
    }
    let enough = |(used, size): (u64, u64)| 100 * used >= USED_PERCENT_MIN * size;
    let lasting = used.into_iter().filter(|(_, used)| enough(*used));
    lasting.map(|(number, _)| number).collect()
}

impl Merge {
    pub(super) fn new(
        rows: &Rows,
        inputs: std::ops::Range<usize>,
        disk: Box<dyn Disk>,
        number: u64,
    ) -> Result<Self, RowsError> {
        let oldest = inputs.end == rows.runs.len();
        let runs = rows.runs.get(inputs).unwrap_or_default();
        let level = runs.iter().map(|run| run.name.level).max().unwrap_or(0);
        let rows_max = runs.iter().map(|run| run.rows).sum();
        Ok(Self {
            cursors: Cursors::at(&rows.disk, runs, &[])?,
            writer: RunWriter::new(disk, number, level.saturating_add(1), rows_max)?,
            oldest,
            lasting: lasting(runs),
        })
    }

    /// Takes up to so many rows or blocks; whether all are taken.
    ///
    /// # Errors
    /// [`RowsError`]; the merge is of no use any more.
    pub fn step(&mut self, rows: usize) -> Result<bool, RowsError> {
        for _ in 0..rows {
            let Some(lowest) = self.cursors.lowest()? else {
                return Ok(true);
            };
            if self.cursors.whole_blocks(lowest)? > 0
                && (self.leave_block(lowest)? || self.copy_block(lowest)?)
            {
                continue;
            }
            if let Some((key, value)) = self.cursors.take()?
                && (value.is_some() || !self.oldest)
            {
                self.writer.push(&key, value.as_deref())?;
            }
        }
        Ok(false)
    }

    /// Leaves the block of a cursor where it lies. Not done if it has rows that are left out, or if its
    /// stretch or its file is not for staying.
    fn leave_block(&mut self, number: usize) -> Result<bool, RowsError> {
        let Some(cursor) = self.cursors.all.get_mut(number) else {
            return Ok(false);
        };
        let place = cursor.run.index.get(cursor.next.saturating_sub(1));
        let (Some(block), Some(place)) = (&cursor.block, place) else {
            return Ok(false);
        };
        let holder = cursor.run.holder(place);
        let stays = cursor.stays && self.lasting.contains(&holder.number);
        if !stays || self.oldest && block.forgets() {
            return Ok(false);
        }
        let first = block.row(0).map_or(&[][..], |(key, _)| key);
        if !self.writer.refer_to((block, first), place, holder)? {
            return Ok(false);
        }
        cursor.load(&self.cursors.disk)?;
        cursor.skip_empty(&self.cursors.disk)?;
        Ok(true)
    }

    /// Copies the block of a cursor as it is. Not done if it has rows that are left out, or if a small block
    /// would be left behind.
    fn copy_block(&mut self, number: usize) -> Result<bool, RowsError> {
        if !self.writer.takes_blocks() {
            return Ok(false);
        }
        let Some(cursor) = self.cursors.all.get_mut(number) else {
            return Ok(false);
        };
        let Some(block) = &cursor.block else {
            return Ok(false);
        };
        if self.oldest && block.forgets() {
            return Ok(false);
        }
        let first = block.row(0).map(|(key, _)| key.to_vec());
        self.writer.push_block(block, &first.unwrap_or_default())?;
        cursor.load(&self.cursors.disk)?;
        cursor.skip_empty(&self.cursors.disk)?;
        Ok(true)
    }

    /// Gives the new run its name. Every row must have been taken.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn finish(self) -> Result<NewRun, RowsError> {
        Ok(NewRun(Arc::new(self.writer.finish()?)))
    }
}
