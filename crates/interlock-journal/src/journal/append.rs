//! Appending groups and starting segments.
//!
//! INVARIANT: the system calls come in the order that the module above promises. It does not retry.

use std::io;

use interlock_core::time::Timestamp;

use crate::bytes::len_u64;
use crate::disk::Disk;

use super::error::JournalError;
use super::frame::{
    COMMIT_FRAME_SIZE_BYTES, Commit, FORMAT_VERSION, Position, RECORD_HEADER_SIZE_BYTES,
    RECORD_SIZE_BYTES_MAX, RecordHeader, SEGMENT_HEADER_SIZE_BYTES, SegmentHeader, chain_over,
    encode_commit, encode_record,
};
use super::scan::segment_name;
use super::{GROUP_RECORDS_MAX, GROUP_SIZE_BYTES_MAX, Journal, Options, io_error};

/// What a file grows by for a large group.
const PAGE_SIZE_BYTES: u64 = 4096;

/// A record to append.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// What the body is; the node's business.
    pub kind: u16,
    /// Which writer's share; 0 today.
    pub partition: u16,
    /// When the writer accepted it.
    pub time: Timestamp,
    /// At most [`RECORD_SIZE_BYTES_MAX`] bytes.
    pub body: &'a [u8],
}

impl Journal {
    /// Appends the records as one group and returns the position of the last one, when all of them
    /// are durable. Either all of them will be found after a restart, or none.
    ///
    /// # Errors
    /// - [`JournalError::GroupEmpty`], [`JournalError::GroupTooLarge`],
    ///   [`JournalError::RecordTooLarge`]: nothing was written; the journal goes on.
    /// - [`JournalError::DiskFull`]: nothing was written; the journal goes on.
    /// - [`JournalError::Io`]: whether the group will be found after a restart is open. The journal
    ///   is poisoned.
    /// - [`JournalError::Poisoned`]: an earlier call failed so.
    pub fn append_group(&mut self, records: &[NewRecord<'_>]) -> Result<Position, JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        let size_bytes = group_size_bytes(records)?;
        self.make_room(size_bytes as u64)?;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let (last, chain) = self.encode(records, &mut buffer);
        let name = segment_name(self.active);
        let written = self
            .disk
            .write_at(&name, self.end_bytes, &buffer)
            .map_err(|error| io_error("write", &name, error))
            .and_then(|()| {
                self.disk
                    .datasync(&name)
                    .map_err(|error| io_error("sync", &name, error))
            });
        if let Err(error) = written {
            self.poisoned = true;
            return Err(error);
        }
        self.index_group(self.active, self.last.next(), self.end_bytes);
        self.end_bytes += len_u64(&buffer);
        self.chain = chain;
        self.last = last;
        let latest = records.iter().map(|record| record.time).max();
        self.time_max = self.time_max.max(latest);
        self.buffer = buffer;
        Ok(last)
    }

    /// Encodes a group that continues the journal; returns its last position and chain hash.
    fn encode(&self, records: &[NewRecord<'_>], buffer: &mut Vec<u8>) -> (Position, [u8; 32]) {
        let mut header = RecordHeader {
            version: FORMAT_VERSION,
            epoch: self.options.epoch,
            kind: 0,
            partition: 0,
            position: self.last,
            time: Timestamp::default(),
        };
        for record in records {
            header.kind = record.kind;
            header.partition = record.partition;
            header.time = record.time;
            header.position = header.position.next();
            encode_record(buffer, &header, record.body);
        }
        let commit = Commit {
            records: u32::try_from(records.len()).unwrap_or(u32::MAX),
            group_size_bytes: u32::try_from(buffer.len()).unwrap_or(u32::MAX),
            chain: chain_over(&self.chain, buffer),
        };
        encode_commit(buffer, &header, &commit);
        (header.position, commit.chain)
    }

    /// Makes sure that the active segment has preallocated space for a group of this size.
    fn make_room(&mut self, size_bytes: u64) -> Result<(), JournalError> {
        let has_groups = self.end_bytes > SEGMENT_HEADER_SIZE_BYTES as u64;
        let would_end = self.end_bytes + size_bytes;
        let step = match size_bytes < self.options.large_group_size_bytes {
            true => self.options.preallocate_size_bytes.max(1),
            false => PAGE_SIZE_BYTES,
        };
        let outcome = if would_end > self.options.segment_size_bytes && has_groups {
            self.rotate()
                .and_then(|()| self.allocate(SEGMENT_HEADER_SIZE_BYTES as u64 + size_bytes, step))
        } else {
            self.allocate(would_end, step)
        };
        if let Err(error) = &outcome
            && !matches!(error, JournalError::DiskFull)
        {
            self.poisoned = true;
        }
        outcome
    }

    fn allocate(&mut self, end_bytes: u64, step: u64) -> Result<(), JournalError> {
        if end_bytes <= self.allocated_bytes {
            return Ok(());
        }
        let len_bytes = end_bytes.next_multiple_of(step);
        let name = segment_name(self.active);
        self.disk
            .allocate(&name, len_bytes)
            .map_err(|error| space_error("extend", &name, error))?;
        self.allocated_bytes = len_bytes;
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), JournalError> {
        let old = segment_name(self.active);
        if self.allocated_bytes > self.end_bytes {
            self.disk
                .truncate(&old, self.end_bytes)
                .map_err(|error| io_error("cut", &old, error))?;
            self.disk
                .datasync(&old)
                .map_err(|error| io_error("sync", &old, error))?;
            self.allocated_bytes = self.end_bytes;
        }
        let header = SegmentHeader {
            number: self.active + 1,
            first_position: self.last.next(),
            chain: self.chain,
        };
        self.allocated_bytes = make_segment(self.disk.as_mut(), &self.options, &header)?;
        self.active = header.number;
        self.end_bytes = SEGMENT_HEADER_SIZE_BYTES as u64;
        self.segments.push((header.number, header.first_position));
        Ok(())
    }
}

/// Makes an empty segment durable under its name; returns how far it is preallocated.
pub(super) fn make_segment(
    disk: &mut dyn Disk,
    options: &Options,
    header: &SegmentHeader,
) -> Result<u64, JournalError> {
    let name = segment_name(header.number);
    let draft = format!("{name}.new");
    let size_bytes = options
        .preallocate_size_bytes
        .max(SEGMENT_HEADER_SIZE_BYTES as u64);
    disk.create(&draft, size_bytes)
        .map_err(|error| space_error("create", &draft, error))?;
    disk.write_at(&draft, 0, &header.encode())
        .map_err(|error| io_error("write", &draft, error))?;
    disk.datasync(&draft)
        .map_err(|error| io_error("sync", &draft, error))?;
    disk.rename(&draft, &name)
        .map_err(|error| io_error("rename", &draft, error))?;
    disk.sync_dir()
        .map_err(|error| io_error("sync the directory of", &name, error))?;
    Ok(size_bytes)
}

fn space_error(operation: &'static str, name: &str, error: io::Error) -> JournalError {
    if error.kind() == io::ErrorKind::StorageFull {
        return JournalError::DiskFull;
    }
    io_error(operation, name, error)
}

/// Bytes of the group's frames with the commit, if it is within the limits.
fn group_size_bytes(records: &[NewRecord<'_>]) -> Result<usize, JournalError> {
    if records.is_empty() {
        return Err(JournalError::GroupEmpty);
    }
    let mut size_bytes = COMMIT_FRAME_SIZE_BYTES;
    for record in records {
        if record.body.len() > RECORD_SIZE_BYTES_MAX {
            return Err(JournalError::RecordTooLarge {
                size_bytes: record.body.len(),
            });
        }
        size_bytes = size_bytes.saturating_add(RECORD_HEADER_SIZE_BYTES + record.body.len());
    }
    if records.len() > GROUP_RECORDS_MAX || size_bytes > GROUP_SIZE_BYTES_MAX {
        return Err(JournalError::GroupTooLarge {
            records: records.len(),
            size_bytes,
        });
    }
    Ok(size_bytes)
}
