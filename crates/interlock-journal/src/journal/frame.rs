//! The bytes of the journal: segment header, record frame, commit frame.
//!
//! All numbers are little-endian. A segment is a header of 64 bytes and then groups; a group is one
//! frame a record and a commit frame at its end:
//!
//! ```text
//! segment header   0 magic "ILSEGMNT"   8 version u32     12 crc32c u32 of bytes 16..64
//!                 16 number u64        24 first position u64
//!                 32 chain hash before the first group, 32 bytes
//! frame            0 crc32c u32 of the rest of header and body    4 body length u32
//!                  8 version u8         9 type u8 (1 record, 2 commit)
//!                 10 kind u16          12 partition u16  14 zero u16
//!                 16 epoch u32         20 position u64   28 time i64, milliseconds
//!                 36 body
//! commit body      0 records u32        4 bytes of the group before this frame u32
//!                  8 chain hash, 32 bytes = SHA-256(chain hash before, frames of the records)
//!                 40 end mark, 8 bytes
//! ```
//!
//! INVARIANT: these layouts are frozen; another layout has another version. This module knows no
//! files.

use interlock_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::bytes::{array, u16_at, u32_at, u64_at};

/// Version of segment headers and frames.
pub const FORMAT_VERSION: u8 = 1;
/// Bytes of a segment's header.
pub const SEGMENT_HEADER_SIZE_BYTES: usize = 64;
/// Bytes of a record's header.
pub const RECORD_HEADER_SIZE_BYTES: usize = 36;
/// Bytes of a commit's body.
pub(super) const COMMIT_BODY_SIZE_BYTES: usize = 48;
/// Bytes of a commit frame.
pub const COMMIT_FRAME_SIZE_BYTES: usize = RECORD_HEADER_SIZE_BYTES + COMMIT_BODY_SIZE_BYTES;
/// Bytes of a record's body, at most.
pub const RECORD_SIZE_BYTES_MAX: usize = 1024 * 1024;

/// The last bytes of every group, all different and none zero: a write that was cut short does not
/// end with them, and one that was not does even if a bit of it has rotted.
pub(super) const END_MARK: [u8; 8] = *b"\xf1ILend\x8e\x1a";
const SEGMENT_MAGIC: [u8; 8] = *b"ILSEGMNT";
const FRAME_RECORD: u8 = 1;
const FRAME_COMMIT: u8 = 2;

/// The number of a record in the journal, from 1 and gapless. 0 is "before the first record".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(u64);

impl Position {
    /// Before the first record.
    pub const ZERO: Self = Self(0);

    /// The position with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position that follows. Positions do not run out: 2^64 records do not fit on a disk.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What stands before the body of every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Version of the frame ([`FORMAT_VERSION`]).
    pub version: u8,
    /// Which writer's reign: grows whenever another process may have written.
    pub epoch: u32,
    /// What the body is; the node's business.
    pub kind: u16,
    /// Which writer's share; 0 today.
    pub partition: u16,
    /// The record's number.
    pub position: Position,
    /// When the writer accepted it, by its own clock.
    pub time: Timestamp,
}

/// A hash of the chain over all groups.
pub type ChainHash = [u8; 32];

/// What a commit frame says about its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) records: u32,
    pub(super) group_size_bytes: u32,
    pub(super) chain: ChainHash,
}

/// A frame as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    Record(RecordHeader, &'a [u8]),
    Commit(RecordHeader, Commit),
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameError {
    /// More bytes are needed: this many from the start of the frame.
    Incomplete(usize),
    /// The checksum or a fixed field is wrong.
    Broken,
    /// The checksum is right and the version is not known.
    UnknownVersion(u8),
}

/// A segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u64,
    pub(super) first_position: Position,
    pub(super) chain: ChainHash,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut rest = Vec::with_capacity(48);
        rest.extend_from_slice(&self.number.to_le_bytes());
        rest.extend_from_slice(&self.first_position.0.to_le_bytes());
        rest.extend_from_slice(&self.chain);
        let mut out = Vec::with_capacity(SEGMENT_HEADER_SIZE_BYTES);
        out.extend_from_slice(&SEGMENT_MAGIC);
        out.extend_from_slice(&u32::from(FORMAT_VERSION).to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&rest).to_le_bytes());
        out.extend_from_slice(&rest);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let rest = bytes
            .get(16..SEGMENT_HEADER_SIZE_BYTES)
            .ok_or(FrameError::Incomplete(SEGMENT_HEADER_SIZE_BYTES))?;
        let good = array(bytes, 0) == Some(SEGMENT_MAGIC)
            && u32_at(bytes, 12) == Some(crc32c::crc32c(rest));
        if !good {
            return Err(FrameError::Broken);
        }
        let version = u32_at(bytes, 8).ok_or(FrameError::Broken)?;
        if version != u32::from(FORMAT_VERSION) {
            let version = u8::try_from(version).map_err(|_| FrameError::Broken)?;
            return Err(FrameError::UnknownVersion(version));
        }
        let fields = || {
            Some(Self {
                number: u64_at(bytes, 16)?,
                first_position: Position(u64_at(bytes, 24)?),
                chain: array(bytes, 32)?,
            })
        };
        fields().ok_or(FrameError::Broken)
    }
}

/// Appends the frame of a record. The body is at most [`RECORD_SIZE_BYTES_MAX`]; the caller checks.
pub(super) fn encode_record(out: &mut Vec<u8>, header: &RecordHeader, body: &[u8]) {
    encode_frame(out, FRAME_RECORD, header, body);
}

/// Appends the frame of a commit; `header` is that of the group's last record.
pub(super) fn encode_commit(out: &mut Vec<u8>, header: &RecordHeader, commit: &Commit) {
    let mut body = Vec::with_capacity(COMMIT_BODY_SIZE_BYTES);
    body.extend_from_slice(&commit.records.to_le_bytes());
    body.extend_from_slice(&commit.group_size_bytes.to_le_bytes());
    body.extend_from_slice(&commit.chain);
    body.extend_from_slice(&END_MARK);
    let header = RecordHeader {
        kind: 0,
        partition: 0,
        ..*header
    };
    encode_frame(out, FRAME_COMMIT, &header, &body);
}

fn encode_frame(out: &mut Vec<u8>, frame_type: u8, header: &RecordHeader, body: &[u8]) {
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut fields = [0u8; RECORD_HEADER_SIZE_BYTES - 4];
    let parts: [&[u8]; 9] = [
        &len.to_le_bytes(),
        &[header.version],
        &[frame_type],
        &header.kind.to_le_bytes(),
        &header.partition.to_le_bytes(),
        &[0, 0],
        &header.epoch.to_le_bytes(),
        &header.position.0.to_le_bytes(),
        &header.time.as_millis().to_le_bytes(),
    ];
    for (to, from) in fields.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    let crc = crc32c::crc32c_append(crc32c::crc32c(&fields), body);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&fields);
    out.extend_from_slice(body);
}

/// The frame at the start of `bytes`, and its size.
pub(super) fn decode_frame(bytes: &[u8]) -> Result<(Frame<'_>, usize), FrameError> {
    let need = FrameError::Incomplete;
    let len = u32_at(bytes, 4).ok_or(need(RECORD_HEADER_SIZE_BYTES))? as usize;
    if bytes.len() < RECORD_HEADER_SIZE_BYTES {
        return Err(need(RECORD_HEADER_SIZE_BYTES));
    }
    if len > RECORD_SIZE_BYTES_MAX {
        return Err(FrameError::Broken);
    }
    let size = RECORD_HEADER_SIZE_BYTES + len;
    let checked = bytes.get(4..size).ok_or(need(size))?;
    if u32_at(bytes, 0) != Some(crc32c::crc32c(checked)) {
        return Err(FrameError::Broken);
    }
    let body = bytes
        .get(RECORD_HEADER_SIZE_BYTES..size)
        .ok_or(need(size))?;
    let header = decode_header(bytes).ok_or(FrameError::Broken)?;
    if header.version != FORMAT_VERSION {
        return Err(FrameError::UnknownVersion(header.version));
    }
    let frame = match bytes.get(9) {
        Some(&FRAME_RECORD) => Frame::Record(header, body),
        Some(&FRAME_COMMIT) => {
            let commit = decode_commit(body).ok_or(FrameError::Broken)?;
            Frame::Commit(header, commit)
        }
        Some(_) | None => return Err(FrameError::Broken),
    };
    Ok((frame, size))
}

fn decode_header(bytes: &[u8]) -> Option<RecordHeader> {
    if u16_at(bytes, 14)? != 0 {
        return None;
    }
    Some(RecordHeader {
        version: *bytes.get(8)?,
        kind: u16_at(bytes, 10)?,
        partition: u16_at(bytes, 12)?,
        epoch: u32_at(bytes, 16)?,
        position: Position(u64_at(bytes, 20)?),
        time: Timestamp::from_millis(i64::from_le_bytes(array(bytes, 28)?)),
    })
}

fn decode_commit(body: &[u8]) -> Option<Commit> {
    if body.len() != COMMIT_BODY_SIZE_BYTES || array(body, 40)? != END_MARK {
        return None;
    }
    Some(Commit {
        records: u32_at(body, 0)?,
        group_size_bytes: u32_at(body, 4)?,
        chain: array(body, 8)?,
    })
}

/// The chain hash after a group of these frames.
pub(super) fn chain_over(before: &ChainHash, frames: &[u8]) -> ChainHash {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(frames);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes
            .chunks(16)
            .map(|row| row.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n")
            .collect()
    }

    fn header() -> RecordHeader {
        RecordHeader {
            version: FORMAT_VERSION,
            epoch: 3,
            kind: 0x0102,
            partition: 5,
            position: Position(0x0a0b_0c0d),
            time: Timestamp::from_millis(1_496_246_400_000),
        }
    }

    #[test]
    fn golden_segment_header() {
        let header = SegmentHeader {
            number: 2,
            first_position: Position(77),
            chain: [0xcc; 32],
        };
        let bytes = header.encode();
        assert_eq!(bytes.len(), SEGMENT_HEADER_SIZE_BYTES);
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        expect![[r#"
            494c5345474d4e540100000008b04113
            02000000000000004d00000000000000
            cccccccccccccccccccccccccccccccc
            cccccccccccccccccccccccccccccccc
        "#]]
        .assert_eq(&hex(&bytes));
    }

    #[test]
    fn golden_group() {
        let mut group = Vec::new();
        encode_record(&mut group, &header(), b"deposited");
        let commit = Commit {
            records: 1,
            group_size_bytes: u32::try_from(group.len()).unwrap(),
            chain: chain_over(&[0; 32], &group),
        };
        encode_commit(&mut group, &header(), &commit);
        expect![[r#"
            e8144094090000000101020105000000
            030000000d0c0b0a0000000000343c5f
            5c0100006465706f73697465640baace
            9f300000000102000000000000030000
            000d0c0b0a0000000000343c5f5c0100
            00010000002d0000006a1eb2d1f2c8e2
            e86019a125a3afd6e3217e74d116d093
            a241ad75fb8eac0ffaf1494c656e648e
            1a
        "#]]
        .assert_eq(&hex(&group));
    }

    #[test]
    fn a_version_from_later_is_named_not_taken_for_damage() {
        let mut bytes = Vec::new();
        let later = RecordHeader {
            version: 9,
            ..header()
        };
        encode_record(&mut bytes, &later, b"x");
        assert_eq!(decode_frame(&bytes), Err(FrameError::UnknownVersion(9)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn frames_round_trip_and_every_flip_is_seen(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            position in any::<u64>(), epoch in any::<u32>(), time in any::<i64>(),
            at in any::<proptest::sample::Index>(), bit in 0u8..8,
        ) {
            let header = RecordHeader {
                position: Position(position), epoch,
                time: Timestamp::from_millis(time), ..header()
            };
            let mut bytes = Vec::new();
            encode_record(&mut bytes, &header, &body);
            prop_assert_eq!(
                decode_frame(&bytes),
                Ok((Frame::Record(header, &body), bytes.len()))
            );
            let cut = at.index(bytes.len());
            let incomplete = matches!(decode_frame(&bytes[..cut]), Err(FrameError::Incomplete(_)));
            prop_assert!(incomplete);
            bytes[cut] ^= 1 << bit;
            prop_assert!(decode_frame(&bytes).is_err());
        }
    }
}
