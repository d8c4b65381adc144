//! Starting: find what is durable, cut what was torn, stop at damage.
//!
//! INVARIANT: it cuts only bytes that no answer was ever given for, and only after the last good
//! group. It does not know what the records mean.

use crate::disk::{Disk, read_up_to};

use super::append::make_segment;
use super::error::{Damage, DamageKind, JournalError};
use super::frame::{ChainHash, Position, RecordHeader, SEGMENT_HEADER_SIZE_BYTES, SegmentHeader};
use super::scan::{
    Group, GroupReader, Next, Tail, judge_tail, read_header, segment_name, segment_numbers,
};
use super::{Journal, Options, Recovered, io_error};

const SEGMENT_HEADER: u64 = SEGMENT_HEADER_SIZE_BYTES as u64;

/// What the segments say, read forward.
#[derive(Clone, Copy)]
struct Walk {
    chain: ChainHash,
    last: Position,
    epoch: u32,
    /// The last good group of the segment read last.
    last_group: Option<Group>,
    end_bytes: u64,
    records: u64,
}

impl Journal {
    /// Opens the journal on `disk`, an empty one if there is none, and hands every record after
    /// `options.known_to` to `each`, in order.
    ///
    /// # Errors
    /// - [`JournalError::Damaged`]: something durable has changed; nothing was cut.
    /// - [`JournalError::EpochOver`]: the journal has records of a later epoch.
    /// - [`JournalError::OtherChain`]: the snapshot is of another journal.
    /// - [`JournalError::NoSuchPosition`]: the snapshot is from beyond the end of this journal, or
    ///   from before its first segment.
    /// - [`JournalError::DiskFull`], [`JournalError::Io`].
    pub fn open(
        mut disk: Box<dyn Disk>,
        options: Options,
        each: &mut dyn FnMut(&RecordHeader, &[u8]),
    ) -> Result<(Self, Recovered), JournalError> {
        let names = disk.list().map_err(|error| io_error("list", "", error))?;
        for name in names.iter().filter(|name| name.ends_with(".log.new")) {
            disk.remove(name)
                .map_err(|error| io_error("remove", name, error))?;
        }
        let mut headers = read_headers(disk.as_mut(), &segment_numbers(&names))?;
        let mut journal = Self {
            disk,
            options,
            segments: headers
                .iter()
                .map(|header| (header.number, header.first_position))
                .collect(),
            active: 1,
            end_bytes: SEGMENT_HEADER,
            allocated_bytes: 0,
            chain: [0; 32],
            last: Position::ZERO,
            time_max: None,
            poisoned: false,
            buffer: Vec::new(),
            indexes: std::collections::BTreeMap::new(),
        };
        if headers.is_empty() {
            headers.push(SegmentHeader {
                number: 1,
                first_position: Position::ZERO.next(),
                chain: [0; 32],
            });
            journal.segments.push((1, Position::ZERO.next()));
            let walk = Walk::before(headers.first());
            return journal.finish(&headers, walk, false);
        }
        let (walk, torn) = journal.walk(&headers, each)?;
        if walk.epoch > options.epoch {
            return Err(JournalError::EpochOver {
                ours: options.epoch,
                found: walk.epoch,
            });
        }
        journal.finish(&headers, walk, torn)
    }

    /// Reads the segments that hold anything after `known_to`.
    fn walk(
        &mut self,
        headers: &[SegmentHeader],
        each: &mut dyn FnMut(&RecordHeader, &[u8]),
    ) -> Result<(Walk, bool), JournalError> {
        let known_to = self.options.known_to;
        let skipped = headers
            .partition_point(|header| header.first_position <= known_to.next())
            .saturating_sub(1);
        let mut walk = Walk::before(headers.get(skipped));
        if walk.last == known_to {
            self.options.check_known(Some(&walk.chain))?;
        }
        let mut torn = false;
        for (at, header) in headers.iter().enumerate().skip(skipped) {
            let next = headers.get(at + 1);
            if header.first_position != walk.last.next() || header.chain != walk.chain {
                return Err(damage(header.number, 0, walk.last, DamageKind::SegmentChain).into());
            }
            let why = self.walk_segment(header.number, &mut walk, each)?;
            let end = walk.end_bytes;
            let tail = judge_tail(self.disk.as_mut(), header.number, end)
                .map_err(|error| io_error("read", &segment_name(header.number), error))?;
            let good = match tail {
                Tail::Clean => true,
                Tail::Torn => next.is_none() && !matches!(why, DamageKind::UnknownVersion(_)),
                Tail::Damaged => false,
            };
            if !good {
                return Err(damage(header.number, end, walk.last, why).into());
            }
            torn |= tail == Tail::Torn;
        }
        let first = headers
            .first()
            .map_or(Position::ZERO, |header| header.first_position);
        if known_to > walk.last || known_to.next() < first {
            return Err(JournalError::NoSuchPosition {
                asked: known_to,
                first,
                last: walk.last,
            });
        }
        Ok((walk, torn))
    }

    /// Reads the good groups of one segment; returns why there was no further one.
    fn walk_segment(
        &mut self,
        number: u64,
        walk: &mut Walk,
        each: &mut dyn FnMut(&RecordHeader, &[u8]),
    ) -> Result<DamageKind, JournalError> {
        let known_to = self.options.known_to;
        let mut reader = GroupReader::new(number, SEGMENT_HEADER);
        walk.last_group = None;
        walk.end_bytes = SEGMENT_HEADER;
        loop {
            let expected = Some(walk.last.next());
            let next = reader
                .next(self.disk.as_mut(), expected, Some(&walk.chain))
                .map_err(|error| io_error("read", &segment_name(number), error))?;
            let group = match next {
                Next::Group(group) if group.epoch >= walk.epoch => group,
                Next::Group(_) => {
                    // The tail is judged from here on, and finds the group whole.
                    return Ok(DamageKind::Sequence);
                }
                Next::None(why) => return Ok(why),
            };
            self.index_group(number, group.first, group.offset);
            if group.first <= known_to && known_to <= group.last {
                let ends = known_to == group.last;
                self.options.check_known(ends.then_some(&group.chain))?;
            }
            walk.chain = group.chain;
            walk.last = group.last;
            walk.epoch = group.epoch;
            walk.last_group = Some(group);
            walk.end_bytes = reader.next_offset();
            for (header, body) in reader.records() {
                self.time_max = self.time_max.max(Some(header.time));
                if header.position > known_to {
                    walk.records += 1;
                    each(&header, body);
                }
            }
        }
    }

    /// Makes what was found durable, and ready to be appended to.
    fn finish(
        mut self,
        headers: &[SegmentHeader],
        walk: Walk,
        torn_tail_cut: bool,
    ) -> Result<(Self, Recovered), JournalError> {
        let Some(header) = headers.last() else {
            return Err(JournalError::Poisoned);
        };
        self.active = header.number;
        self.chain = walk.chain;
        self.last = walk.last;
        self.end_bytes = walk.end_bytes;
        match walk.last_group {
            None => {
                self.allocated_bytes = make_segment(self.disk.as_mut(), &self.options, header)?;
            }
            Some(group) => self.allocated_bytes = self.secure_tail(group, torn_tail_cut)?,
        }
        let recovered = Recovered {
            records: walk.records,
            last: self.last,
            torn_tail_cut,
        };
        Ok((self, recovered))
    }

    /// Cuts a torn tail, and writes the last good group again. Returns the length of the segment.
    fn secure_tail(&mut self, group: Group, torn: bool) -> Result<u64, JournalError> {
        let name = segment_name(self.active);
        let failed = |operation| {
            let name = name.clone();
            move |error| io_error(operation, &name, error)
        };
        let disk = self.disk.as_mut();
        if torn {
            disk.truncate(&name, self.end_bytes)
                .map_err(failed("cut"))?;
        }
        let bytes =
            read_up_to(disk, &name, group.offset, group.size_bytes).map_err(failed("read"))?;
        disk.write_at(&name, group.offset, &bytes)
            .map_err(failed("write"))?;
        disk.datasync(&name).map_err(failed("sync"))?;
        disk.sync_dir().map_err(failed("sync the directory of"))?;
        disk.len(&name).map_err(failed("examine"))
    }
}

impl Options {
    /// `None`: what is known ends within a group.
    fn check_known(&self, chain: Option<&ChainHash>) -> Result<(), JournalError> {
        match self.known_chain.is_none_or(|known| chain == Some(&known)) {
            true => Ok(()),
            false => Err(JournalError::OtherChain {
                asked: self.known_to,
            }),
        }
    }
}

impl Walk {
    fn before(header: Option<&SegmentHeader>) -> Self {
        Self {
            chain: header.map_or([0; 32], |header| header.chain),
            last: header.map_or(Position::ZERO, |header| before(header.first_position)),
            epoch: 0,
            last_group: None,
            end_bytes: SEGMENT_HEADER,
            records: 0,
        }
    }
}

/// The headers of all segments, which must be numbered without a gap.
fn read_headers(disk: &mut dyn Disk, numbers: &[u64]) -> Result<Vec<SegmentHeader>, JournalError> {
    let mut headers: Vec<SegmentHeader> = Vec::with_capacity(numbers.len());
    for number in numbers.iter().copied() {
        let last = headers
            .last()
            .map_or(Position::ZERO, |header| before(header.first_position));
        let header = read_header(disk, number)
            .map_err(|error| io_error("read", &segment_name(number), error))?
            .map_err(|kind| damage(number, 0, last, kind))?;
        let in_sequence = headers.last().is_none_or(|previous| {
            previous.number + 1 == number && previous.first_position < header.first_position
        });
        if !in_sequence || header.first_position == Position::ZERO {
            return Err(damage(number, 0, last, DamageKind::SegmentChain).into());
        }
        headers.push(header);
    }
    Ok(headers)
}

pub(super) const fn before(position: Position) -> Position {
    Position::new(position.get().saturating_sub(1))
}

/// Damage found behind the good record `last`.
pub(super) const fn damage(segment: u64, offset: u64, last: Position, kind: DamageKind) -> Damage {
    Damage {
        segment,
        offset,
        position: last.next(),
        kind,
    }
}
