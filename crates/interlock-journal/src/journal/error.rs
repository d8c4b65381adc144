//! What can go wrong with a journal, each with what to do about it.
//!
//! INVARIANT: an error of the input leaves the journal as it was; every other error says so by name.

use std::io;

use super::frame::Position;

/// Why bytes in a segment cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DamageKind {
    /// The header of the segment is broken.
    #[error("the segment header is broken")]
    SegmentHeader,
    /// The segment does not continue the one before it: one is missing, foreign or cut.
    #[error("the segment does not continue the one before it")]
    SegmentChain,
    /// A frame's checksum or fixed fields are wrong.
    #[error("a record is broken")]
    Record,
    /// A group's hash does not continue the chain.
    #[error("the hash chain is broken")]
    Chain,
    /// Positions, epochs or counts do not continue what came before.
    #[error("a record is out of sequence")]
    Sequence,
    /// Written by a later version of this program.
    #[error("format version {0} is not known; use the version of interlock that wrote it")]
    UnknownVersion(u8),
}

impl DamageKind {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SegmentHeader => "segment-header",
            Self::SegmentChain => "segment-chain",
            Self::Record => "record",
            Self::Chain => "chain",
            Self::Sequence => "sequence",
            Self::UnknownVersion(_) => "unknown-version",
        }
    }

    /// What that means, for whoever has to decide what to do.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::SegmentHeader | Self::Record => {
                "bytes that were durable and answered have changed since; the disk rots, or \
                 something else wrote to the file"
            }
            Self::SegmentChain => {
                "the segment is not the one that was written after the one before it: a segment is \
                 missing, cut, swapped, or from another journal"
            }
            Self::Chain | Self::Sequence => {
                "every record is whole and they are not the ones that followed each other: \
                 something was exchanged, or parts of two journals were put together"
            }
            Self::UnknownVersion(_) => {
                "nothing is known to be damaged; a later version of interlock wrote it"
            }
        }
    }
}

/// A place in the journal that cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "segment {segment} is damaged at byte {offset}, at or after position {position}: {kind}; \
     restore from a backup or a standby, then run `interlock journal verify`"
)]
pub struct Damage {
    /// Number of the segment.
    pub segment: u64,
    /// Where in the segment, in bytes.
    pub offset: u64,
    /// No record before this one is affected.
    pub position: Position,
    /// What is wrong.
    pub kind: DamageKind,
}

/// A failure of the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Something that was durable is no longer what it was.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// A system call failed. If it was a write or a sync, the journal is poisoned: stop the process.
    #[error("failed to {operation} `{file}`; stop the node and look at the disk")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file; empty for the directory.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// There was no space for the group. Nothing was written; it may be tried again.
    #[error("the disk is full; free space, the journal is unharmed")]
    DiskFull,
    /// A write or a sync failed earlier. Nothing more is accepted until the journal is opened anew.
    #[error("the journal failed before; restart the node, it recovers what is durable")]
    Poisoned,
    /// A group of no records.
    #[error("a group has no records; append at least one")]
    GroupEmpty,
    /// A group of too many records or bytes.
    #[error("a group has {records} records of {size_bytes} bytes; append it in smaller groups")]
    GroupTooLarge {
        /// Records in it.
        records: usize,
        /// Bytes of its frames.
        size_bytes: usize,
    },
    /// A record's body is too large.
    #[error("a record has {size_bytes} bytes; at most 1 MiB fit")]
    RecordTooLarge {
        /// Bytes of its body.
        size_bytes: usize,
    },
    /// The journal holds records of a later epoch: another writer took over.
    #[error("epoch {ours} is over, the journal is at {found}; another writer took over")]
    EpochOver {
        /// The epoch asked for.
        ours: u32,
        /// The highest in the journal.
        found: u32,
    },
    /// What is known up to a position is not of this journal.
    #[error("the hash over the records up to {asked} is another in this journal")]
    OtherChain {
        /// The position.
        asked: Position,
    },
    /// A start or a reading was asked for at a position that the journal does not hold.
    #[error("position {asked} is not in the journal, which holds {first} to {last}")]
    NoSuchPosition {
        /// The position asked for.
        asked: Position,
        /// The first position held.
        first: Position,
        /// The last position held.
        last: Position,
    },
}
