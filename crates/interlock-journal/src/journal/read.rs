//! Reading records again, found by a sparse index in memory.
//!
//! INVARIANT: what is read was durable, and its checksum is right. The index is bounded: about one
//! entry for 64 KiB of a segment, for a few segments; a segment without one is read from its start.

use super::error::JournalError;
use super::frame::{Position, RecordHeader, SEGMENT_HEADER_SIZE_BYTES};
use super::recover::{before, damage};
use super::scan::{GroupReader, Next, segment_name};
use super::{Journal, io_error};

/// Bytes of bodies that one reading returns, at most, unless a single record is larger.
pub const READ_SIZE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// An entry of the index every so many bytes.
const INDEX_STEP_BYTES: u64 = 64 * 1024;
/// Segments with an index in memory, at most.
const INDEXES_MAX: usize = 64;

/// A record as read.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// What stands before the body.
    pub header: RecordHeader,
    /// The body.
    pub body: Vec<u8>,
}

/// Bodies hold personal data: only the header is printed.
impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("header", &self.header)
            .field("body_size_bytes", &self.body.len())
            .finish()
    }
}

/// Starts of some groups of one segment: first position and offset, ascending.
#[derive(Debug, Default)]
pub(super) struct SparseIndex(Vec<(Position, u64)>);

impl Journal {
    /// Notes where a group begins, unless an entry is close before it.
    pub(super) fn index_group(&mut self, segment: u64, first: Position, offset: u64) {
        let index = self.indexes.entry(segment).or_default();
        let due = index
            .0
            .last()
            .is_none_or(|(_, last)| offset >= last + INDEX_STEP_BYTES);
        if due {
            index.0.push((first, offset));
        }
        if self.indexes.len() > INDEXES_MAX
            && let Some(oldest) = self.indexes.keys().copied().find(|n| *n != segment)
        {
            self.indexes.remove(&oldest);
        }
    }

    /// Reads records from position `from` on, in order: at most `records_max` of them and about
    /// [`READ_SIZE_BYTES_MAX`] bytes, at least one. Empty only if `from` is just after the last.
    ///
    /// # Errors
    /// - [`JournalError::NoSuchPosition`]: before the first record or further after the last.
    /// - [`JournalError::Damaged`]: what was durable has changed on the disk.
    /// - [`JournalError::Io`]: the disk cannot be read. The journal is not poisoned.
    pub fn read(
        &mut self,
        from: Position,
        records_max: usize,
    ) -> Result<Vec<Record>, JournalError> {
        let mut out = Vec::new();
        let first = self.segments.first().map_or(Position::ZERO, |s| s.1);
        if from < first || from > self.last.next() {
            return Err(JournalError::NoSuchPosition {
                asked: from,
                first,
                last: self.last,
            });
        }
        let mut wanted = from;
        let mut size_bytes = 0;
        while wanted <= self.last && out.len() < records_max && size_bytes < READ_SIZE_BYTES_MAX {
            let held = out.len();
            self.read_segment(wanted, records_max, &mut size_bytes, &mut out)?;
            match out.last() {
                Some(record) if out.len() > held => wanted = record.header.position.next(),
                Some(_) | None => break,
            }
        }
        Ok(out)
    }

    /// Reads on within the segment that holds `wanted`.
    fn read_segment(
        &mut self,
        wanted: Position,
        records_max: usize,
        size_bytes: &mut usize,
        out: &mut Vec<Record>,
    ) -> Result<(), JournalError> {
        let after = self.segments.partition_point(|s| s.1 <= wanted);
        let held = after.checked_sub(1).and_then(|at| self.segments.get(at));
        let (segment, first) = held.copied().unwrap_or((self.active, wanted));
        let segment_last = self
            .segments
            .get(after)
            .map_or(self.last, |next| before(next.1));
        let (mut expected, offset) = self
            .group_before(segment, wanted)
            .unwrap_or((first, SEGMENT_HEADER_SIZE_BYTES as u64));
        let mut reader = GroupReader::new(segment, offset);
        while expected <= segment_last && out.len() < records_max {
            let next = reader
                .next(self.disk.as_mut(), Some(expected), None)
                .map_err(|error| io_error("read", &segment_name(segment), error))?;
            let group = match next {
                Next::Group(group) => group,
                Next::None(why) => {
                    let last = before(expected);
                    return Err(damage(segment, reader.next_offset(), last, why).into());
                }
            };
            expected = group.last.next();
            self.index_group(segment, group.first, group.offset);
            for (header, body) in reader.records() {
                if header.position < wanted {
                    continue;
                }
                if out.len() >= records_max || *size_bytes >= READ_SIZE_BYTES_MAX {
                    return Ok(());
                }
                *size_bytes += body.len();
                let body = body.to_vec();
                out.push(Record { header, body });
            }
        }
        Ok(())
    }

    /// The last indexed group that begins at or before `wanted`.
    fn group_before(&self, segment: u64, wanted: Position) -> Option<(Position, u64)> {
        let index = &self.indexes.get(&segment)?.0;
        let after = index.partition_point(|(first, _)| *first <= wanted);
        index.get(after.checked_sub(1)?).copied()
    }
}
