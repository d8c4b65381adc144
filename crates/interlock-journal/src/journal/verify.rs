//! Checking a whole journal without changing it (`interlock journal verify`).
//!
//! INVARIANT: it writes nothing and needs no running node; beside one, a group that is just being
//! written counts as a torn end, never as damage. It cannot know that whole segments are missing at
//! the end; the receipts of counterparties show that.

use std::io;

use crate::disk::Disk;

use super::error::{Damage, DamageKind};
use super::frame::{ChainHash, Position, RecordHeader, SEGMENT_HEADER_SIZE_BYTES};
use super::recover::{before, damage};
use super::scan::{
    GroupReader, Next, Tail, judge_tail, read_header, segment_name, segment_numbers,
};

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Segments looked at.
    pub segments: u64,
    /// Good groups.
    pub groups: u64,
    /// Good records.
    pub records: u64,
    /// The last good record.
    pub last: Position,
    /// The hash over all groups, if nothing is damaged.
    pub chain: ChainHash,
    /// Where the last segment ends in a torn write, if it does; the next start cuts it.
    pub torn_tail: Option<TornTail>,
    /// What is damaged: the first place in every segment.
    pub damage: Vec<Damage>,
}

/// A write at the very end that was never whole, so that nobody was told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Number of the segment.
    pub segment: u64,
    /// Where in the segment it begins, in bytes.
    pub offset: u64,
    /// The last record before it; all up to there is good.
    pub last: Position,
}

/// What a check meets on its way, in order.
#[derive(Clone, Copy, Debug)]
pub enum Met<'a> {
    /// A record whose group is good.
    Record(&'a RecordHeader, &'a [u8]),
    /// So many bytes of so many were looked at.
    Progress {
        /// Looked at.
        read_bytes: u64,
        /// In all segments.
        total_bytes: u64,
    },
}

/// Checks every checksum, sequence and hash of the journal on `disk`.
///
/// # Errors
/// The disk cannot be read. Damage is not an error but part of the report.
pub fn verify(disk: &mut dyn Disk) -> io::Result<Report> {
    visit(disk, &mut |_| {})
}

/// As [`verify`], and hands every good record to `each`. Records behind damage are handed out too:
/// the report says that something is missing before them.
///
/// # Errors
/// As [`verify`].
pub fn visit(disk: &mut dyn Disk, each: &mut dyn FnMut(Met<'_>)) -> io::Result<Report> {
    let numbers = segment_numbers(&disk.list()?);
    let mut check = Check {
        report: Report::default(),
        read_bytes: 0,
        total_bytes: 0,
        each,
    };
    for number in numbers.iter().copied() {
        check.total_bytes += disk.len(&segment_name(number))?;
    }
    // `None` behind damage: the next segment's own header says where it believes to be.
    let mut known: Option<(Position, ChainHash)> = None;
    let mut previous = None;
    for number in numbers.iter().copied() {
        let start_bytes = check.read_bytes;
        let follows = previous.is_none_or(|previous| previous + 1 == number);
        let is_last = numbers.last() == Some(&number);
        known = check.segment(disk, number, known, follows, is_last)?;
        previous = Some(number);
        check.progress(start_bytes + disk.len(&segment_name(number))?);
    }
    let mut report = check.report;
    if report.damage.is_empty() {
        report.chain = known.map_or([0; 32], |(_, chain)| chain);
    }
    Ok(report)
}

/// A check under way.
struct Check<'a> {
    report: Report,
    read_bytes: u64,
    total_bytes: u64,
    each: &'a mut dyn FnMut(Met<'_>),
}

impl Check<'_> {
    fn progress(&mut self, read_bytes: u64) {
        self.read_bytes = read_bytes;
        (self.each)(Met::Progress {
            read_bytes,
            total_bytes: self.total_bytes.max(read_bytes),
        });
    }

    /// Checks one segment; returns where it ends, if it is good.
    fn segment(
        &mut self,
        disk: &mut dyn Disk,
        number: u64,
        known: Option<(Position, ChainHash)>,
        follows: bool,
        is_last: bool,
    ) -> io::Result<Option<(Position, ChainHash)>> {
        self.report.segments += 1;
        let last = self.report.last;
        let header = match read_header(disk, number)? {
            Ok(header) => header,
            Err(kind) => {
                self.report.damage.push(damage(number, 0, last, kind));
                return Ok(None);
            }
        };
        let stated = (before(header.first_position), header.chain);
        if !follows || known.is_some_and(|known| known != stated) {
            let kind = DamageKind::SegmentChain;
            self.report.damage.push(damage(number, 0, last, kind));
        }
        self.groups(disk, number, stated, is_last)
    }

    /// Checks the groups of one segment.
    fn groups(
        &mut self,
        disk: &mut dyn Disk,
        number: u64,
        (mut last, mut chain): (Position, ChainHash),
        is_last: bool,
    ) -> io::Result<Option<(Position, ChainHash)>> {
        let start_bytes = self.read_bytes;
        let mut reader = GroupReader::new(number, SEGMENT_HEADER_SIZE_BYTES as u64);
        // Where a second look was taken. A node that runs may have been writing the group at the
        // first one.
        let mut looked_again = None;
        let (end, why, tail) = loop {
            match reader.next(disk, Some(last.next()), Some(&chain))? {
                Next::Group(group) => {
                    self.report.groups += 1;
                    self.report.records += group.last.get().saturating_sub(last.get());
                    last = group.last;
                    chain = group.chain;
                    self.report.last = last;
                    for (header, body) in reader.records() {
                        (self.each)(Met::Record(&header, body));
                    }
                    self.progress(start_bytes + reader.next_offset());
                }
                Next::None(why) => {
                    let end = reader.next_offset();
                    let tail = judge_tail(disk, number, end)?;
                    if !is_last || tail == Tail::Clean || looked_again == Some(end) {
                        break (end, why, tail);
                    }
                    looked_again = Some(end);
                    reader = GroupReader::new(number, end);
                }
            }
        };
        let unknown = matches!(why, DamageKind::UnknownVersion(_));
        match tail {
            Tail::Clean => {}
            Tail::Torn if is_last && !unknown => {
                self.report.torn_tail = Some(TornTail {
                    segment: number,
                    offset: end,
                    last,
                });
            }
            Tail::Torn | Tail::Damaged => {
                self.report.damage.push(damage(number, end, last, why));
                return Ok(None);
            }
        }
        Ok(Some((last, chain)))
    }
}
