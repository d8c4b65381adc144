//! Reading a segment group by group, and judging what stands at its end.
//!
//! INVARIANT: a group is handed on only if every checksum in it and its sequence are right, and its
//! hash too where the hash before it is known. This module changes nothing on the disk.

use std::io;

use crate::bytes::len_u64;
use crate::disk::{Disk, SECTOR_SIZE_BYTES, read_up_to};

use super::error::DamageKind;
use super::frame::{
    COMMIT_FRAME_SIZE_BYTES, ChainHash, END_MARK, Frame, FrameError, Position, RecordHeader,
    SEGMENT_HEADER_SIZE_BYTES, SegmentHeader, chain_over, decode_frame,
};
use super::{GROUP_RECORDS_MAX, GROUP_SIZE_BYTES_MAX};

/// Bytes read at once.
const READ_SIZE_BYTES: usize = 256 * 1024;
const SEGMENT_PREFIX: &str = "segment-";
const SEGMENT_SUFFIX: &str = ".log";

/// The file name of a segment.
pub fn segment_name(number: u64) -> String {
    format!("{SEGMENT_PREFIX}{number:010}{SEGMENT_SUFFIX}")
}

/// The numbers of the segments in a listing, ascending.
pub(super) fn segment_numbers(names: &[String]) -> Vec<u64> {
    let mut numbers: Vec<u64> = names
        .iter()
        .filter_map(|name| {
            let digits = name
                .strip_prefix(SEGMENT_PREFIX)?
                .strip_suffix(SEGMENT_SUFFIX)?;
            let number = digits.parse().ok()?;
            (segment_name(number) == *name).then_some(number)
        })
        .collect();
    numbers.sort_unstable();
    numbers
}

/// The header of a segment, or what is wrong with it.
pub(super) fn read_header(
    disk: &mut dyn Disk,
    number: u64,
) -> io::Result<Result<SegmentHeader, DamageKind>> {
    let name = segment_name(number);
    let bytes = read_up_to(disk, &name, 0, SEGMENT_HEADER_SIZE_BYTES)?;
    Ok(match SegmentHeader::decode(&bytes) {
        Ok(header) if header.number == number => Ok(header),
        Ok(_) => Err(DamageKind::SegmentChain),
        Err(FrameError::UnknownVersion(version)) => Err(DamageKind::UnknownVersion(version)),
        Err(FrameError::Broken | FrameError::Incomplete(_)) => Err(DamageKind::SegmentHeader),
    })
}

/// A group that was read and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Where its first frame stands.
    pub(super) offset: u64,
    /// Bytes of all frames, the commit included.
    pub(super) size_bytes: usize,
    pub(super) first: Position,
    pub(super) last: Position,
    pub(super) chain: ChainHash,
    pub(super) epoch: u32,
}

/// What comes next in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Group(Group),
    /// No group stands here; whether that is the end is for the caller to judge.
    None(DamageKind),
}

/// Reads one segment forward.
pub(super) struct GroupReader {
    name: String,
    /// Where `buffer` begins in the file.
    offset: u64,
    buffer: Vec<u8>,
    /// Where in `buffer` the group starts that was handed out last.
    start: usize,
    /// Bytes of that group.
    taken: usize,
}

impl GroupReader {
    pub(super) fn new(number: u64, offset: u64) -> Self {
        Self {
            name: segment_name(number),
            offset,
            buffer: Vec::new(),
            start: 0,
            taken: 0,
        }
    }

    /// Where the next group is expected.
    pub(super) fn next_offset(&self) -> u64 {
        self.offset + (self.start + self.taken) as u64
    }

    /// Reads the next group. `expected` is the position of its first record, `chain` the hash
    /// before it where that is known.
    pub(super) fn next(
        &mut self,
        disk: &mut dyn Disk,
        expected: Option<Position>,
        chain: Option<&ChainHash>,
    ) -> io::Result<Next> {
        self.start += self.taken;
        self.taken = 0;
        if self.start >= READ_SIZE_BYTES {
            self.buffer.drain(..self.start);
            self.offset += self.start as u64;
            self.start = 0;
        }
        let mut at = 0;
        let mut first = None;
        let mut previous: Option<RecordHeader> = None;
        let mut records = 0u32;
        loop {
            let rest = self.buffer.get(self.start + at..).unwrap_or_default();
            match decode_frame(rest) {
                Err(FrameError::Incomplete(need)) => {
                    if at + need > GROUP_SIZE_BYTES_MAX
                        || !self.fill(disk, self.start + at + need)?
                    {
                        return Ok(Next::None(DamageKind::Record));
                    }
                }
                Err(FrameError::Broken) => return Ok(Next::None(DamageKind::Record)),
                Err(FrameError::UnknownVersion(version)) => {
                    return Ok(Next::None(DamageKind::UnknownVersion(version)));
                }
                Ok((Frame::Record(header, _), size)) => {
                    let wanted = previous.map_or(expected, |p| Some(p.position.next()));
                    if wanted.is_some_and(|position| position != header.position)
                        || previous.is_some_and(|record| record.epoch != header.epoch)
                        || records as usize >= GROUP_RECORDS_MAX
                    {
                        return Ok(Next::None(DamageKind::Sequence));
                    }
                    first.get_or_insert(header.position);
                    previous = Some(header);
                    records += 1;
                    at += size;
                }
                Ok((Frame::Commit(header, commit), size)) => {
                    let counted = commit.records == records
                        && commit.group_size_bytes as usize == at
                        && previous.is_some_and(|last| {
                            (last.position, last.epoch) == (header.position, header.epoch)
                        });
                    let Some(first) = first.filter(|_| counted) else {
                        return Ok(Next::None(DamageKind::Sequence));
                    };
                    let frames = self.group_bytes(at);
                    if chain.is_some_and(|chain| chain_over(chain, frames) != commit.chain) {
                        return Ok(Next::None(DamageKind::Chain));
                    }
                    self.taken = at + size;
                    return Ok(Next::Group(Group {
                        offset: self.offset + self.start as u64,
                        size_bytes: self.taken,
                        first,
                        last: header.position,
                        chain: commit.chain,
                        epoch: header.epoch,
                    }));
                }
            }
        }
    }

    /// The records of the group that [`Self::next`] returned.
    pub(super) fn records(&self) -> Records<'_> {
        Records {
            rest: self.group_bytes(self.taken),
        }
    }

    fn group_bytes(&self, len: usize) -> &[u8] {
        self.buffer
            .get(self.start..self.start + len)
            .unwrap_or_default()
    }

    /// Makes the buffer at least `need` bytes long; `false` where the file ends before.
    fn fill(&mut self, disk: &mut dyn Disk, need: usize) -> io::Result<bool> {
        let have = self.buffer.len();
        let wanted = need.saturating_sub(have).max(READ_SIZE_BYTES);
        let more = read_up_to(disk, &self.name, self.offset + have as u64, wanted)?;
        self.buffer.extend_from_slice(&more);
        Ok(self.buffer.len() >= need)
    }
}

/// The records of a checked group.
pub(super) struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = (RecordHeader, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (frame, size) = decode_frame(self.rest).ok()?;
        self.rest = self.rest.get(size..)?;
        match frame {
            Frame::Record(header, body) => Some((header, body)),
            Frame::Commit(..) => None,
        }
    }
}

/// What stands after the last good group of the last segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing but zeros.
    Clean,
    /// A write that was never whole, and so never answered: it may be cut.
    Torn,
    /// A write that was whole and has changed since, or one that others followed.
    Damaged,
}

/// Judges the bytes from `start` to the end of a segment, which are no good group.
///
/// A torn write lacks whole sectors, which are zero because the file was preallocated with zeros or
/// because a file that grew is read as zeros where nothing came to the disk (ext4 in its default mode,
/// XFS), or it ends before the end mark. What lacks neither was written whole: then it may have been
/// answered, and must not be cut. A record whose body has a sector of zeros hides the difference if
/// the very last group of a journal rots; counterparties' receipts are what is left then.
pub(super) fn judge_tail(disk: &mut dyn Disk, number: u64, start: u64) -> io::Result<Tail> {
    let name = segment_name(number);
    let mut dirt = Vec::new();
    let mut at = start;
    loop {
        let piece = read_up_to(disk, &name, at, READ_SIZE_BYTES)?;
        if piece.is_empty() {
            break;
        }
        at += len_u64(&piece);
        dirt.extend_from_slice(&piece);
    }
    let Some(last) = dirt.iter().rposition(|b| *b != 0) else {
        return Ok(Tail::Clean);
    };
    dirt.truncate(last + 1);
    if followed_by_commit(&dirt) || (ends_whole(&dirt) && !lacks_sector(&dirt, start)) {
        return Ok(Tail::Damaged);
    }
    Ok(Tail::Torn)
}

/// Whether a commit of a group that does not begin at the start of `dirt` stands in it.
fn followed_by_commit(dirt: &[u8]) -> bool {
    dirt.windows(COMMIT_FRAME_SIZE_BYTES)
        .enumerate()
        .filter(|(_, window)| window.ends_with(&END_MARK))
        .any(|(at, window)| match decode_frame(window) {
            Ok((Frame::Commit(_, commit), _)) => commit.group_size_bytes as usize != at,
            Ok((Frame::Record(..), _)) | Err(_) => false,
        })
}

/// Whether the last bytes are the end mark, but for a flipped bit or two.
fn ends_whole(dirt: &[u8]) -> bool {
    let end = dirt.iter().rev().zip(END_MARK.iter().rev());
    end.filter(|(found, mark)| found == mark).count() >= END_MARK.len() - 2
}

fn lacks_sector(dirt: &[u8], start: u64) -> bool {
    let mut rest = dirt;
    let mut at = start;
    while !rest.is_empty() {
        let room = SECTOR_SIZE_BYTES - at % SECTOR_SIZE_BYTES;
        let cut = usize::try_from(room).map_or(rest.len(), |room| room.min(rest.len()));
        let (sector, after) = rest.split_at_checked(cut).unwrap_or((rest, &[]));
        if sector.iter().all(|b| *b == 0) {
            return true;
        }
        at += len_u64(sector);
        rest = after;
    }
    false
}
