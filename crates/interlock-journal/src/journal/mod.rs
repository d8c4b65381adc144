//! The journal: what a node accepts is a record here before it is anything else.
//!
//! Segments of a named size, each a header and then groups of records; a group is one write and one
//! `fdatasync`, checksummed by record and hash-chained by group (layouts: the `frame` module).
//!
//! INVARIANT: [`Journal::append_group`] returns a position only when that record and all before it
//! are durable. After a failed write or sync it never does again.
//!
//! # The order of system calls
//! This order is promised, tested, and what recovery relies on.
//!
//! A group: `allocate` where the preallocated space ends, `write` (all frames, the commit frame
//! last), `datasync`. So a group that follows another proves that the sync of the other succeeded.
//!
//! A new segment, when the group would not fit: `truncate` the old one to what is used, `datasync`
//! it; `create` the new one preallocated under the name `NEXT.new`, `write` its header, `datasync`
//! it, `rename` it to its name, `sync_dir`; then the group. So a segment that has a successor is
//! complete, and one that has a group has a durable name.
//!
//! A start: `remove` a left-over `.new`; if the last segment has no good group, make it again as
//! above; otherwise `truncate` a torn tail, `write` the last good group once more, `datasync`, and
//! `sync_dir`. The last group is written again because a sync that failed in an earlier process
//! leaves bytes that can be read, count as clean, and are not on the disk; all before it are proven.
//!
//! # What fails how
//! No space for `allocate` or `create`: [`JournalError::DiskFull`], nothing was written, the journal
//! goes on. Anything else that fails poisons the journal; the process stops and recovers.
//!
//! It does not know what the bodies mean.

mod append;
mod error;
mod frame;
mod look;
mod read;
mod recover;
mod scan;
mod verify;

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod tests;

pub use append::NewRecord;
pub use error::{Damage, DamageKind, JournalError};
pub use frame::{
    COMMIT_FRAME_SIZE_BYTES, ChainHash, FORMAT_VERSION, Position, RECORD_HEADER_SIZE_BYTES,
    RECORD_SIZE_BYTES_MAX, RecordHeader, SEGMENT_HEADER_SIZE_BYTES,
};
pub use look::look_from;
pub use read::{READ_SIZE_BYTES_MAX, Record};
pub use scan::segment_name;
pub use verify::{Met, Report, TornTail, verify, visit};

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use interlock_core::time::Timestamp;

use crate::disk::Disk;
use read::SparseIndex;

/// Records in a group, at most.
pub const GROUP_RECORDS_MAX: usize = 5_000;
/// Bytes of a group's frames, at most.
pub const GROUP_SIZE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How a journal is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A segment is followed by a new one before it would grow beyond this size.
    pub segment_size_bytes: u64,
    /// Space is preallocated in steps of this size.
    pub preallocate_size_bytes: u64,
    /// From this size on a group gets no more space than it needs, in pages. Where groups are large, zeros
    /// beyond them are as much again to write, and the longer sync of a file that grows is shared by many
    /// records.
    pub large_group_size_bytes: u64,
    /// The writer's epoch; no less than any in the journal.
    pub epoch: u32,
    /// Records up to here, the last of a group, are known from a snapshot: they are not handed out,
    /// and their segments are not read.
    pub known_to: Position,
    /// The hash over all groups up to there, if the start is to check that it is this journal's.
    pub known_chain: Option<ChainHash>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_size_bytes: 64 * 1024 * 1024,
            preallocate_size_bytes: 4 * 1024 * 1024,
            large_group_size_bytes: 128 * 1024,
            epoch: 1,
            known_to: Position::ZERO,
            known_chain: None,
        }
    }
}

/// What a start found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Records handed out.
    pub records: u64,
    /// The last record of the journal; [`Position::ZERO`] if there is none.
    pub last: Position,
    /// Whether a torn tail, which nobody was told of, was cut.
    pub torn_tail_cut: bool,
}

/// The journal of a node, open for appending and reading. One at a time on a disk.
pub struct Journal {
    disk: Box<dyn Disk>,
    options: Options,
    /// Number and first position of every segment, ascending; never empty.
    segments: Vec<(u64, Position)>,
    /// Number of the segment that is written to.
    active: u64,
    /// Where the next group goes in it.
    end_bytes: u64,
    /// How far it is preallocated.
    allocated_bytes: u64,
    chain: ChainHash,
    last: Position,
    time_max: Option<Timestamp>,
    poisoned: bool,
    buffer: Vec<u8>,
    indexes: BTreeMap<u64, SparseIndex>,
}

impl Journal {
    /// The last durable record; [`Position::ZERO`] if there is none.
    pub const fn last(&self) -> Position {
        self.last
    }

    /// The first record held, if there is any.
    pub fn first(&self) -> Option<Position> {
        let (_, first) = self.segments.first().copied()?;
        (first <= self.last).then_some(first)
    }

    /// The highest time among the records read at the start and appended since: a clock that is
    /// behind it is wrong.
    pub const fn time_max(&self) -> Option<Timestamp> {
        self.time_max
    }

    /// The hash over all groups so far.
    pub const fn chain(&self) -> &ChainHash {
        &self.chain
    }

    /// The epoch this journal writes in.
    pub const fn epoch(&self) -> u32 {
        self.options.epoch
    }

    /// Whether a write or a sync failed, so that nothing more is accepted.
    pub const fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("options", &self.options)
            .field("active", &self.active)
            .field("end_bytes", &self.end_bytes)
            .field("last", &self.last)
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}

/// Names the failed system call.
fn io_error(operation: &'static str, file: &str, source: io::Error) -> JournalError {
    JournalError::Io {
        operation,
        file: file.into(),
        source,
    }
}
