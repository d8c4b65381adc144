//! One run: rows in ascending order of their keys in a file that never changes.
//!
//! ```text
//! blocks    BLOCK after BLOCK, each of about 8 KiB, a larger one if a single row is:
//!            rows: key length u16, 1 + value length u32 (0: removed), key, value
//!            then of each row its offset in the block, u32; then their number, u32
//! index     how many other files have blocks of the run u16; number and size of each u64 u64;
//!            of each block: first key's length u16, first key, file u16 (0: this one, then the others in
//!            their order), offset u64, length u32, CRC-32C u32; then the last key's length u16 and the
//!            last key
//! filter    lines of 64 bytes (the `filter` module)
//! footer    "ilrows02", number of rows u64, offset and length of the index u64 u64, its CRC-32C u32,
//!            length of the filter u64, its CRC-32C u32, CRC-32C of the footer so far u32
//! ```
//! All numbers are little-endian. A block that a merge need not change stays in the file in which it
//! lies, so a run may have blocks in others; a file stays as long as a run has blocks in it. Index and
//! filter are held in memory, about 1.3 bytes a row and 40 bytes a block; blocks are read as they are
//! asked for, and the latest held (the `recent` module).
//!
//! INVARIANT: nothing is answered from bytes whose checksum is not right.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use crate::bytes::{len_u64, u16_at, u32_at, u64_at};
use crate::disk::{Disk, read_up_to};

use super::error::{RowsError, damaged, io_error};
use super::filter::{Filter, hash};
use super::recent::Recent;

pub(super) const MAGIC: [u8; 8] = *b"ilrows02";
pub(super) const FOOTER_SIZE_BYTES: usize = 52;
/// Bytes of a block's entry in the index, but for its first key.
const ENTRY_SIZE_BYTES: usize = 20;
/// Bytes before a row's key.
pub(super) const ROW_HEAD_BYTES: usize = 6;

/// A disk that several readers share.
pub(super) type Shared = Arc<Mutex<Box<dyn Disk>>>;

/// A row as found: `None` is a row that was removed.
pub type Value = Option<Vec<u8>>;

/// Key and value of a row as it lies in a block.
pub(super) type RowRef<'a> = (&'a [u8], Option<&'a [u8]>);

/// What names a run in a list of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RunName {
    /// Its number, which no other run ever had.
    pub number: u64,
    /// How often its rows were merged.
    pub level: u8,
    /// The checksum of its footer, which has those of index and filter.
    pub footer: u32,
}

impl RunName {
    /// The name of its file.
    pub fn file(&self) -> String {
        file_name(self.number)
    }
}

pub(super) fn file_name(number: u64) -> String {
    format!("{number:016}.rows")
}

/// Where a block is.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockRef {
    pub(super) offset: u64,
    pub(super) size_bytes: u32,
    pub(super) checksum: u32,
    key_at: u32,
    key_bytes: u16,
    /// 0: in the run's own file; else one more than its place among the others.
    pub(super) file: u16,
}

/// Where a block lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) file: u16,
    pub(super) offset: u64,
    pub(super) size_bytes: u32,
    pub(super) checksum: u32,
}

/// A file of another run in which blocks of this one lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Other {
    pub(super) number: u64,
    pub(super) size_bytes: u64,
}

/// First keys and places of all blocks.
#[derive(Debug, Default)]
pub(super) struct Index {
    others: Vec<Other>,
    keys: Vec<u8>,
    blocks: Vec<BlockRef>,
    last: Vec<u8>,
}

impl Index {
    pub(super) fn push(&mut self, first: &[u8], place: Place) {
        self.blocks.push(BlockRef {
            offset: place.offset,
            size_bytes: place.size_bytes,
            checksum: place.checksum,
            key_at: u32::try_from(self.keys.len()).unwrap_or(u32::MAX),
            key_bytes: u16::try_from(first.len()).unwrap_or(u16::MAX),
            file: place.file,
        });
        self.keys.extend_from_slice(first);
    }

    /// What names another file in the places of blocks. `None` if there are too many.
    pub(super) fn file(&mut self, other: Other) -> Option<u16> {
        let known = self.others.iter().position(|known| *known == other);
        let at = known.unwrap_or(self.others.len());
        let file = u16::try_from(at + 1).ok()?;
        if known.is_none() {
            self.others.push(other);
        }
        Some(file)
    }

    pub(super) fn others(&self) -> &[Other] {
        &self.others
    }

    /// The other file that blocks name so; `None` for the run's own.
    pub(super) fn other(&self, file: u16) -> Option<&Other> {
        self.others.get(usize::from(file).checked_sub(1)?)
    }

    pub(super) fn blocks(&self) -> &[BlockRef] {
        &self.blocks
    }

    /// How many blocks from `first` on have only keys below `end`; all of them if there is no end.
    pub(super) fn blocks_below(&self, first: usize, end: Option<&[u8]>) -> usize {
        let rest = self.blocks.get(first..).unwrap_or_default();
        let Some(end) = end.filter(|end| *end <= self.last.as_slice()) else {
            return rest.len();
        };
        let begun = rest.partition_point(|block| self.first_key(block) <= end);
        begun.saturating_sub(1)
    }

    /// Gives back what was set aside for more blocks.
    pub(super) fn shrink(&mut self) {
        self.keys.shrink_to_fit();
        self.blocks.shrink_to_fit();
    }

    pub(super) fn set_last(&mut self, key: &[u8]) {
        self.last.clear();
        self.last.extend_from_slice(key);
    }

    pub(super) fn last(&self) -> &[u8] {
        &self.last
    }

    pub(super) fn get(&self, block: usize) -> Option<&BlockRef> {
        self.blocks.get(block)
    }

    pub(super) fn first_key(&self, block: &BlockRef) -> &[u8] {
        let at = block.key_at as usize;
        self.keys
            .get(at..at + usize::from(block.key_bytes))
            .unwrap_or_default()
    }

    /// The block that has `key`, if any does.
    pub(super) fn block_of(&self, key: &[u8]) -> Option<usize> {
        if key > self.last.as_slice() {
            return None;
        }
        let after = self.blocks.partition_point(|b| self.first_key(b) <= key);
        after.checked_sub(1)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let fixed = 16 * self.others.len() + ENTRY_SIZE_BYTES * self.blocks.len() + 4;
        let mut out = Vec::with_capacity(self.keys.len() + fixed + self.last.len());
        let others = u16::try_from(self.others.len()).unwrap_or(u16::MAX);
        out.extend(others.to_le_bytes());
        for other in &self.others {
            out.extend(other.number.to_le_bytes());
            out.extend(other.size_bytes.to_le_bytes());
        }
        for block in &self.blocks {
            out.extend(block.key_bytes.to_le_bytes());
            out.extend_from_slice(self.first_key(block));
            out.extend(block.file.to_le_bytes());
            out.extend(block.offset.to_le_bytes());
            out.extend(block.size_bytes.to_le_bytes());
            out.extend(block.checksum.to_le_bytes());
        }
        let last = u16::try_from(self.last.len()).unwrap_or(u16::MAX);
        out.extend(last.to_le_bytes());
        out.extend_from_slice(&self.last);
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut index = Self::default();
        let mut at = 2;
        for _ in 0..u16_at(bytes, 0)? {
            index.others.push(Other {
                number: u64_at(bytes, at)?,
                size_bytes: u64_at(bytes, at + 8)?,
            });
            at += 16;
        }
        loop {
            let key_bytes = usize::from(u16_at(bytes, at)?);
            let key = bytes.get(at + 2..at + 2 + key_bytes)?;
            at += 2 + key_bytes;
            if at == bytes.len() {
                index.set_last(key);
                index.shrink();
                return Some(index);
            }
            let file = u16_at(bytes, at)?;
            if usize::from(file) > index.others.len() {
                return None;
            }
            let place = Place {
                file,
                offset: u64_at(bytes, at + 2)?,
                size_bytes: u32_at(bytes, at + 10)?,
                checksum: u32_at(bytes, at + 14)?,
            };
            index.push(key, place);
            at += ENTRY_SIZE_BYTES - 2;
        }
    }
}

/// A block as read, its checksum right.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    pub(super) rows: usize,
}

impl Block {
    pub(super) fn new(bytes: Vec<u8>) -> Option<Self> {
        let rows = u32_at(&bytes, bytes.len().checked_sub(4)?)?;
        Some(Self {
            bytes,
            rows: usize::try_from(rows).ok()?,
        })
    }

    /// A row by its number: key, value.
    pub(super) fn row(&self, row: usize) -> Option<RowRef<'_>> {
        let offsets = self.bytes.len().checked_sub(4 + 4 * self.rows)?;
        let at = u32_at(&self.bytes, offsets + 4 * row)? as usize;
        let key_bytes = usize::from(u16_at(&self.bytes, at)?);
        let value_bytes = u32_at(&self.bytes, at + 2)? as usize;
        let key_at = at + ROW_HEAD_BYTES;
        let value_at = key_at + key_bytes;
        let key = self.bytes.get(key_at..value_at)?;
        match value_bytes.checked_sub(1) {
            None => Some((key, None)),
            Some(bytes) => Some((key, Some(self.bytes.get(value_at..value_at + bytes)?))),
        }
    }

    /// Whether it has rows that were removed, or that cannot be read.
    pub(super) fn forgets(&self) -> bool {
        let removed = |row| self.row(row).is_none_or(|(_, value)| value.is_none());
        (0..self.rows).any(removed)
    }

    /// The number of the first row whose key is not below `key`, and whether it is that key.
    pub(super) fn seek(&self, key: &[u8]) -> Option<(usize, bool)> {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low.midpoint(high);
            match self.row(middle)?.0.cmp(key) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Some((middle, true)),
                Ordering::Greater => high = middle,
            }
        }
        Some((low, false))
    }
}

/// A run, open for reading.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) name: RunName,
    pub(super) rows: u64,
    pub(super) index: Index,
    pub(super) filter: Filter,
    pub(super) file: String,
    pub(super) size_bytes: u64,
}

pub(super) struct Footer {
    pub(super) rows: u64,
    pub(super) index_at: u64,
    pub(super) index_bytes: u64,
    pub(super) index_checksum: u32,
    pub(super) filter_bytes: u64,
    pub(super) filter_checksum: u32,
}

impl Footer {
    pub(super) fn encode(&self) -> (Vec<u8>, u32) {
        let mut out = MAGIC.to_vec();
        out.extend(self.rows.to_le_bytes());
        out.extend(self.index_at.to_le_bytes());
        out.extend(self.index_bytes.to_le_bytes());
        out.extend(self.index_checksum.to_le_bytes());
        out.extend(self.filter_bytes.to_le_bytes());
        out.extend(self.filter_checksum.to_le_bytes());
        let checksum = crc32c::crc32c(&out);
        out.extend(checksum.to_le_bytes());
        (out, checksum)
    }

    fn decode(bytes: &[u8]) -> Option<(Self, u32)> {
        let body = bytes.get(..FOOTER_SIZE_BYTES - 4)?;
        let checksum = u32_at(bytes, FOOTER_SIZE_BYTES - 4)?;
        if body.get(..8) != Some(MAGIC.as_slice()) || crc32c::crc32c(body) != checksum {
            return None;
        }
        let footer = Self {
            rows: u64_at(body, 8)?,
            index_at: u64_at(body, 16)?,
            index_bytes: u64_at(body, 24)?,
            index_checksum: u32_at(body, 32)?,
            filter_bytes: u64_at(body, 36)?,
            filter_checksum: u32_at(body, 44)?,
        };
        Some((footer, checksum))
    }
}

impl Run {
    /// Opens a run that a list names; its index and filter are checked.
    pub(super) fn open(disk: &mut dyn Disk, name: RunName) -> Result<Self, RowsError> {
        let file = name.file();
        let size = disk.len(&file).map_err(io_error("examine", &file))?;
        let footer_at = size.saturating_sub(FOOTER_SIZE_BYTES as u64);
        let bytes = read_up_to(disk, &file, footer_at, FOOTER_SIZE_BYTES)
            .map_err(io_error("read", &file))?;
        let Some((footer, checksum)) = Footer::decode(&bytes) else {
            return Err(damaged(&file, footer_at, "its footer is broken"));
        };
        if checksum != name.footer {
            return Err(damaged(
                &file,
                footer_at,
                "it is another run than was listed",
            ));
        }
        let filter_at = footer.index_at.saturating_add(footer.index_bytes);
        if filter_at.checked_add(footer.filter_bytes) != Some(footer_at) {
            return Err(damaged(&file, footer_at, "its parts do not fill it"));
        }
        let mut part = |at: u64, bytes: u64, checksum: u32, what| {
            let len = usize::try_from(bytes).unwrap_or(usize::MAX);
            let part = read_up_to(disk, &file, at, len).map_err(io_error("read", &file))?;
            match part.len() == len && crc32c::crc32c(&part) == checksum {
                true => Ok(part),
                false => Err(damaged(&file, at, what)),
            }
        };
        let index = part(
            footer.index_at,
            footer.index_bytes,
            footer.index_checksum,
            "its index is broken",
        )?;
        let filter = part(
            filter_at,
            footer.filter_bytes,
            footer.filter_checksum,
            "its filter is broken",
        )?;
        let index = Index::decode(&index)
            .ok_or_else(|| damaged(&file, footer.index_at, "its index cannot be read"))?;
        let filter = Filter::from_bytes(filter)
            .ok_or_else(|| damaged(&file, filter_at, "its filter cannot be read"))?;
        for other in index.others() {
            let name = file_name(other.number);
            let size = disk.len(&name).map_err(io_error("examine", &name))?;
            if size != other.size_bytes {
                return Err(damaged(&name, size, "it is not as long as it was"));
            }
        }
        Ok(Self {
            name,
            rows: footer.rows,
            index,
            filter,
            file,
            size_bytes: size,
        })
    }

    /// Reads a block. `None` after the last one.
    pub(super) fn block(&self, disk: &Shared, block: usize) -> Result<Option<Block>, RowsError> {
        let Some(place) = self.index.get(block) else {
            return Ok(None);
        };
        let other = self.index.other(place.file);
        let other = other.map(|other| file_name(other.number));
        let file = other.as_deref().unwrap_or(&self.file);
        let mut disk = disk.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = read_up_to(disk.as_mut(), file, place.offset, place.size_bytes as usize)
            .map_err(io_error("read", file))?;
        drop(disk);
        if len_u64(&bytes) != u64::from(place.size_bytes)
            || crc32c::crc32c(&bytes) != place.checksum
        {
            return Err(damaged(file, place.offset, "a block is broken"));
        }
        Block::new(bytes)
            .map(Some)
            .ok_or_else(|| damaged(file, place.offset, "a block cannot be read"))
    }

    /// The file in which a block of this run lies.
    pub(super) fn holder(&self, block: &BlockRef) -> Other {
        self.index.other(block.file).copied().unwrap_or(self.own())
    }

    /// The run's own file.
    pub(super) const fn own(&self) -> Other {
        Other {
            number: self.name.number,
            size_bytes: self.size_bytes,
        }
    }

    /// All files in which it has blocks.
    pub(super) fn files(&self) -> impl Iterator<Item = Other> {
        std::iter::once(self.own()).chain(self.index.others().iter().copied())
    }

    /// A block that may have been read before. `None` after the last one.
    fn recent_block(
        &self,
        (disk, recent): (&Shared, &Recent),
        number: usize,
    ) -> Result<Option<Arc<Block>>, RowsError> {
        if let Some(block) = recent.get(self.name.number, number) {
            return Ok(Some(block));
        }
        let block = self.block(disk, number)?.map(Arc::new);
        if let Some(block) = &block {
            recent.hold(self.name.number, number, block);
        }
        Ok(block)
    }

    /// The row with this key. `None` if the run does not speak of it.
    pub(super) fn get(
        &self,
        from: (&Shared, &Recent),
        key: &[u8],
        key_hash: u64,
    ) -> Result<Option<Value>, RowsError> {
        // The filter first: it touches one line of memory, the index many.
        if key > self.index.last() || !self.filter.may_have(key_hash) {
            return Ok(None);
        }
        let Some(number) = self.index.block_of(key) else {
            return Ok(None);
        };
        let Some(block) = self.recent_block(from, number)? else {
            return Ok(None);
        };
        let unreadable = || damaged(&self.file, 0, "a row cannot be read");
        let (row, found) = block.seek(key).ok_or_else(unreadable)?;
        if !found {
            return Ok(None);
        }
        let (_, value) = block.row(row).ok_or_else(unreadable)?;
        Ok(Some(value.map(<[u8]>::to_vec)))
    }
}

/// Hashes of all keys of a block, in order; the last key.
pub(super) fn hashes(block: &Block, mut each: impl FnMut(u64)) -> Option<Vec<u8>> {
    let mut last = None;
    for row in 0..block.rows {
        let (key, _) = block.row(row)?;
        each(hash(key));
        last = Some(key);
    }
    last.map(<[u8]>::to_vec)
}
