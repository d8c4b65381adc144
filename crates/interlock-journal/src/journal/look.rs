//! Reading on from a position beside the node that writes the journal.
//!
//! INVARIANT: what is handed out is whole and in sequence, each record's checksum is right, and nothing
//! is changed. It finds the segment by its header and reads it from the start: at most one segment is
//! read in vain. Whether the hash chain holds is for the check of the whole journal.

use std::ops::ControlFlow;

use crate::disk::Disk;

use super::error::JournalError;
use super::frame::{Position, RecordHeader, SEGMENT_HEADER_SIZE_BYTES};
use super::io_error;
use super::recover::{before, damage};
use super::scan::{GroupReader, Next, read_header, segment_name, segment_numbers};

/// Hands out the records from `from` on, in order, until `each` breaks or there are no more whole groups.
///
/// # Errors
/// - [`JournalError::NoSuchPosition`]: before the first record held.
/// - [`JournalError::Damaged`]: a segment does not lead to the next one.
/// - [`JournalError::Io`]: the disk cannot be read.
pub fn look_from(
    disk: &mut dyn Disk,
    from: Position,
    each: &mut dyn FnMut(&RecordHeader, &[u8]) -> ControlFlow<()>,
) -> Result<(), JournalError> {
    let names = disk.list().map_err(|error| io_error("list", "", error))?;
    let numbers = segment_numbers(&names);
    let mut at = find(disk, &numbers, from)?;
    let mut wanted: Option<Position> = None;
    while let Some(number) = numbers.get(at).copied() {
        let first = first_of(disk, number)?;
        if wanted.is_some_and(|wanted| wanted != first) {
            let kind = super::DamageKind::SegmentChain;
            return Err(damage(number, 0, before(first), kind).into());
        }
        let (end, broke) = look_in(disk, number, first, from, each)?;
        if broke.is_break() {
            return Ok(());
        }
        wanted = Some(end);
        at += 1;
    }
    Ok(())
}

/// The last segment that begins at or before `from`.
fn find(disk: &mut dyn Disk, numbers: &[u64], from: Position) -> Result<usize, JournalError> {
    let (mut low, mut high) = (0, numbers.len());
    while low < high {
        let middle = low.midpoint(high);
        let Some(number) = numbers.get(middle) else {
            break;
        };
        if first_of(disk, *number)? <= from {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low.checked_sub(1).ok_or(JournalError::NoSuchPosition {
        asked: from,
        first: Position::ZERO.next(),
        last: Position::ZERO,
    })
}

fn first_of(disk: &mut dyn Disk, number: u64) -> Result<Position, JournalError> {
    let header = read_header(disk, number)
        .map_err(|error| io_error("read", &segment_name(number), error))?;
    match header {
        Ok(header) => Ok(header.first_position),
        Err(kind) => Err(damage(number, 0, Position::ZERO, kind).into()),
    }
}

/// Reads one segment; returns the position after its last whole group.
fn look_in(
    disk: &mut dyn Disk,
    number: u64,
    first: Position,
    from: Position,
    each: &mut dyn FnMut(&RecordHeader, &[u8]) -> ControlFlow<()>,
) -> Result<(Position, ControlFlow<()>), JournalError> {
    let mut reader = GroupReader::new(number, SEGMENT_HEADER_SIZE_BYTES as u64);
    let mut expected = first;
    loop {
        let next = reader
            .next(disk, Some(expected), None)
            .map_err(|error| io_error("read", &segment_name(number), error))?;
        let Next::Group(group) = next else {
            return Ok((expected, ControlFlow::Continue(())));
        };
        expected = group.last.next();
        if expected <= from {
            continue;
        }
        for (header, body) in reader.records() {
            if header.position >= from && each(&header, body).is_break() {
                return Ok((expected, ControlFlow::Break(())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SMALL, append, body, filled, open};
    use super::*;
    use crate::disk::MemDisk;

    fn look(disk: &MemDisk, from: u64, most: usize) -> Result<Vec<u64>, JournalError> {
        let mut out = Vec::new();
        let mut disk = disk.clone();
        look_from(&mut disk, Position::new(from), &mut |header, bytes| {
            assert_eq!(bytes, body(header.position.get()));
            out.push(header.position.get());
            match out.len() < most {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        Ok(out)
    }

    #[test]
    fn every_record_is_found_beside_its_writer() {
        let (disk, last) = filled();
        let (mut journal, _) = open(&disk, SMALL).unwrap();
        for from in 1..=last.get() {
            let rest: Vec<u64> = (from..=last.get()).collect();
            assert_eq!(look(&disk, from, usize::MAX).unwrap(), rest);
            assert_eq!(look(&disk, from, 2).unwrap(), rest[..rest.len().min(2)]);
        }
        assert!(look(&disk, last.get() + 1, 9).unwrap().is_empty());
        assert!(look(&disk, u64::MAX, 9).unwrap().is_empty());
        let before = look(&disk, 0, 9);
        assert!(matches!(before, Err(JournalError::NoSuchPosition { .. })));
        append(&mut journal, 3).unwrap();
        let appended: Vec<u64> = (last.get() + 1..=last.get() + 3).collect();
        assert_eq!(look(&disk, appended[0], 9).unwrap(), appended);
    }

    #[test]
    fn damage_is_named_and_what_is_being_written_is_the_end() {
        let (disk, last) = filled();
        // A torn group at the very end is one that its writer has not finished.
        let name = segment_name(3);
        let len = disk.clone().len(&name).unwrap();
        disk.clone().write_at(&name, len, &[7; 30]).unwrap();
        let all: Vec<u64> = (1..=last.get()).collect();
        assert_eq!(look(&disk, 1, usize::MAX).unwrap(), all);
        assert!(disk.flip(&segment_name(2), 200, 1));
        assert!(matches!(
            look(&disk, 1, usize::MAX),
            Err(JournalError::Damaged(_))
        ));
    }
}
