//! Reading leaves of a log again from the journal.
//!
//! INVARIANT: one page reads no further than from the nearest place before its first leaf to its last,
//! however far back it is, and holds leaves in their order without a gap. It only reads, beside the writer. It does not know what a leaf says, and
//! signs nothing.

use std::ops::ControlFlow;

use interlock_core::ids::ParticipantId;
use interlock_journal::bilateral::Place;
use interlock_journal::checkpoint::{Checkpoint, epoch_of};
use interlock_journal::disk::Disk;
use interlock_journal::journal::{JournalError, Position, look_from};

use super::file_store::read_record;
use crate::exchange::wire::{Blob, ENVELOPE_LEAVES_MAX, LogSide, PAGE_SIZE_BYTES_MAX};
use crate::node::io::{LeavesRead, LeavesWanted};
use crate::node::record::{LeavesIn, Record};

/// A place that is so many records ahead is gone to at once; a nearer one is read on to.
const SKIP_RECORDS_MIN: u64 = 65_536;
/// Most records that are looked at for one page, unless it would have no leaf.
const LOOKED_AT_MAX: u64 = 1_000_000;

/// Reads a page. `me` is whose journal it is.
///
/// # Errors
/// The journal cannot be read, or is damaged there.
pub fn read_leaves(
    disk: &mut dyn Disk,
    me: &ParticipantId,
    wanted: &LeavesWanted,
) -> Result<LeavesRead, JournalError> {
    let mut page = Page {
        me,
        wanted,
        next: wanted.places.first().map_or(0, |place| place.leaf),
        held: 0,
        held_bytes: 0,
        looked_at: 0,
        ended: false,
        read: LeavesRead::default(),
    };
    let mut at = 0;
    while let Some(place) = wanted.places.get(at).copied() {
        let ahead = wanted.places.get(at + 1..).unwrap_or_default();
        let mut skip_to = None;
        look_from(disk, Position::new(place.position), &mut |header, body| {
            let position = header.position.get();
            let record = read_record(header.kind, body);
            if record.is_none_or(|record| page.take(&record).is_break()) {
                page.ended = true;
                return ControlFlow::Break(());
            }
            skip_to = ahead.iter().position(|place| page.is_far(*place, position));
            match skip_to {
                None => ControlFlow::Continue(()),
                Some(_) => ControlFlow::Break(()),
            }
        })?;
        match skip_to.filter(|_| !page.ended) {
            Some(skipped) => at += skipped + 1,
            None => break,
        }
    }
    Ok(page.read)
}

/// A page under way.
struct Page<'a> {
    me: &'a ParticipantId,
    wanted: &'a LeavesWanted,
    /// Index of the leaf that comes next.
    next: u64,
    /// Leaves from the first wanted one on, and their bytes.
    held: usize,
    held_bytes: usize,
    looked_at: u64,
    ended: bool,
    read: LeavesRead,
}

impl Page<'_> {
    /// Whether the next leaf is that of a place far ahead of `position`.
    fn is_far(&self, place: Place, position: u64) -> bool {
        place.leaf == self.next && place.position > position + SKIP_RECORDS_MIN
    }

    /// Takes the leaves of one record; breaks when the page is full or the log at its end.
    fn take(&mut self, record: &Record) -> ControlFlow<()> {
        self.looked_at += 1;
        let partner = &self.wanted.partner;
        match (record.leaves(), self.wanted.log) {
            (Some(LeavesIn::Written { to, epoch, leaves }), LogSide::Written) if to == partner => {
                if epoch.is_some_and(|epoch| epoch != self.wanted.epoch) {
                    return ControlFlow::Break(());
                }
                for leaf in leaves {
                    if self.next >= self.wanted.to || !self.fits(&[leaf]) {
                        return ControlFlow::Break(());
                    }
                    self.push(leaf);
                }
            }
            (
                Some(LeavesIn::Mirrored {
                    from,
                    first,
                    leaves,
                    note,
                }),
                LogSide::Mirrored,
            ) if from == partner => {
                let epoch = Checkpoint::parse_unverified(note)
                    .and_then(|note| epoch_of(&note.origin, partner, self.me));
                if epoch != Some(self.wanted.epoch) {
                    return ControlFlow::Break(());
                }
                let known = self.next.saturating_sub(first);
                let known = usize::try_from(known).unwrap_or(usize::MAX);
                let fresh: Vec<&Blob> = leaves.iter().skip(known).collect();
                // The checkpoint covers the whole record, so it is taken whole or not at all.
                if !self.fits(&fresh) {
                    return ControlFlow::Break(());
                }
                fresh.into_iter().for_each(|leaf| self.push(leaf));
                self.read.note = Some(note.into());
            }
            _ => {}
        }
        let enough = self.held > 0 && self.looked_at >= LOOKED_AT_MAX;
        match enough || self.next >= self.wanted.to {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Whether the page may still take these leaves; the first ones always.
    fn fits(&self, leaves: &[&Blob]) -> bool {
        let size_bytes: usize = leaves.iter().map(|leaf| leaf.0.len()).sum();
        self.held == 0
            || (self.held + leaves.len() <= ENVELOPE_LEAVES_MAX
                && self.held_bytes + size_bytes <= PAGE_SIZE_BYTES_MAX)
    }

    fn push(&mut self, leaf: &Blob) {
        if self.next >= self.wanted.from {
            self.held += 1;
            self.held_bytes += leaf.0.len();
        }
        self.next += 1;
        let keep = match self.wanted.log {
            // The root before the first wanted leaf follows from those before it.
            LogSide::Written => true,
            LogSide::Mirrored | LogSide::Anchor => self.next > self.wanted.from,
        };
        if keep {
            self.read.leaves.push(leaf.clone());
        }
    }
}
