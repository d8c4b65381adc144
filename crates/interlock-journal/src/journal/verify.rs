//! Checking a whole journal without changing it (`interlock journal verify`).
//!
//! INVARIANT: it writes nothing and needs no running node. It cannot know that whole segments are
//! missing at the end; the receipts of counterparties show that.

use std::io;

use crate::disk::Disk;

use super::error::{Damage, DamageKind};
use super::frame::{ChainHash, Position, SEGMENT_HEADER_SIZE_BYTES};
use super::recover::{before, damage};
use super::scan::{GroupReader, Next, Tail, judge_tail, read_header, segment_numbers};

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
    /// Whether the last segment ends in a torn write, which the next start cuts.
    pub torn_tail: bool,
    /// What is damaged: the first place in every segment.
    pub damage: Vec<Damage>,
}

/// Checks every checksum, sequence and hash of the journal on `disk`.
///
/// # Errors
/// The disk cannot be read. Damage is not an error but part of the report.
pub fn verify(disk: &mut dyn Disk) -> io::Result<Report> {
    let numbers = segment_numbers(&disk.list()?);
    let mut report = Report::default();
    // `None` behind damage: the next segment's own header says where it believes to be.
    let mut known: Option<(Position, ChainHash)> = None;
    let mut previous = None;
    for number in numbers.iter().copied() {
        report.segments += 1;
        let header = match read_header(disk, number)? {
            Ok(header) => header,
            Err(kind) => {
                report.damage.push(damage(number, 0, report.last, kind));
                known = None;
                previous = Some(number);
                continue;
            }
        };
        let stated = (before(header.first_position), header.chain);
        let follows = previous.is_none_or(|previous| previous + 1 == number);
        if !follows || known.is_some_and(|known| known != stated) {
            let kind = DamageKind::SegmentChain;
            report.damage.push(damage(number, 0, report.last, kind));
        }
        let is_last = numbers.last() == Some(&number);
        known = verify_segment(disk, number, stated, is_last, &mut report)?;
        previous = Some(number);
    }
    if report.damage.is_empty() {
        report.chain = known.map_or([0; 32], |(_, chain)| chain);
    }
    Ok(report)
}

/// Checks the groups of one segment; returns where it ends, if it is good.
fn verify_segment(
    disk: &mut dyn Disk,
    number: u64,
    (mut last, mut chain): (Position, ChainHash),
    is_last: bool,
    report: &mut Report,
) -> io::Result<Option<(Position, ChainHash)>> {
    let mut reader = GroupReader::new(number, SEGMENT_HEADER_SIZE_BYTES as u64);
    let why = loop {
        match reader.next(disk, Some(last.next()), Some(&chain))? {
            Next::Group(group) => {
                report.groups += 1;
                report.records += group.last.get().saturating_sub(last.get());
                last = group.last;
                chain = group.chain;
                report.last = last;
            }
            Next::None(why) => break why,
        }
    };
    let end = reader.next_offset();
    let good = match judge_tail(disk, number, end)? {
        Tail::Clean => true,
        Tail::Torn if is_last && !matches!(why, DamageKind::UnknownVersion(_)) => {
            report.torn_tail = true;
            true
        }
        Tail::Torn | Tail::Damaged => false,
    };
    if good {
        return Ok(Some((last, chain)));
    }
    report.damage.push(damage(number, end, last, why));
    Ok(None)
}
