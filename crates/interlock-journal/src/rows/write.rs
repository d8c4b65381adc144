//! Writing a run.
//!
//! INVARIANT: a run has its name only when all of its bytes are durable; that its name is durable is
//! the business of whoever lists it. Order of system calls: create `NAME.new`, write and datasync in
//! pieces, datasync, rename to `NAME`.

use crate::bytes::len_u64;
use crate::disk::Disk;

use super::error::{RowsError, io_error};
use super::filter::{Filter, hash};
use super::run::{
    Block, BlockRef, FOOTER_SIZE_BYTES, Footer, Index, Other, Place, Run, RunName, file_name,
    hashes,
};

/// A block is written once it holds so many bytes.
const BLOCK_SIZE_BYTES: usize = 8 * 1024;
/// Bytes that are gathered before they are written.
const WRITE_SIZE_BYTES: usize = 512 * 1024;
/// Bytes that are written before they are synced, so that no sync takes long.
const SYNC_SIZE_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of a key, at most.
pub const KEY_SIZE_BYTES_MAX: usize = 1_024;
/// Bytes of a value, at most.
pub const VALUE_SIZE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A run that is being written.
pub(super) struct RunWriter {
    disk: Box<dyn Disk>,
    number: u64,
    level: u8,
    draft: String,
    buffer: Vec<u8>,
    /// Bytes written to the file.
    written: u64,
    synced: u64,
    block: Vec<u8>,
    offsets: Vec<u32>,
    first: Vec<u8>,
    last: Vec<u8>,
    index: Index,
    filter: Filter,
    rows: u64,
}

impl RunWriter {
    /// Begins run `number` of at most `rows_max` rows.
    pub(super) fn new(
        mut disk: Box<dyn Disk>,
        number: u64,
        level: u8,
        rows_max: u64,
    ) -> Result<Self, RowsError> {
        let draft = format!("{}.new", file_name(number));
        disk.create(&draft, 0).map_err(io_error("create", &draft))?;
        Ok(Self {
            disk,
            number,
            level,
            draft,
            buffer: Vec::with_capacity(WRITE_SIZE_BYTES + 2 * BLOCK_SIZE_BYTES),
            written: 0,
            synced: 0,
            block: Vec::with_capacity(2 * BLOCK_SIZE_BYTES),
            offsets: Vec::new(),
            first: Vec::new(),
            last: Vec::new(),
            index: Index::default(),
            filter: Filter::for_keys(rows_max),
            rows: 0,
        })
    }

    /// Adds a row; `None` says that it was removed. Keys come in ascending order.
    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), RowsError> {
        self.check(key, value)?;
        if self.offsets.is_empty() {
            self.first.clear();
            self.first.extend_from_slice(key);
        }
        let at = u32::try_from(self.block.len()).unwrap_or(u32::MAX);
        self.offsets.push(at);
        let key_bytes = u16::try_from(key.len()).unwrap_or(u16::MAX);
        let value_bytes = value.map_or(0, |value| value.len() + 1);
        let value_bytes = u32::try_from(value_bytes).unwrap_or(u32::MAX);
        self.block.extend(key_bytes.to_le_bytes());
        self.block.extend(value_bytes.to_le_bytes());
        self.block.extend_from_slice(key);
        self.block.extend_from_slice(value.unwrap_or_default());
        self.filter.insert(hash(key));
        self.last.clear();
        self.last.extend_from_slice(key);
        self.rows += 1;
        if self.block.len() >= BLOCK_SIZE_BYTES {
            self.end_block()?;
        }
        Ok(())
    }

    fn check(&self, key: &[u8], value: Option<&[u8]>) -> Result<(), RowsError> {
        let value_bytes = value.map_or(0, <[u8]>::len);
        let what = if self.rows > 0 && key <= self.last.as_slice() {
            "its key is not above the one before"
        } else if key.len() > KEY_SIZE_BYTES_MAX {
            "its key is too long"
        } else if value_bytes > VALUE_SIZE_BYTES_MAX {
            "its value is too long"
        } else {
            return Ok(());
        };
        Err(RowsError::Refused {
            key_bytes: key.len(),
            value_bytes,
            what,
        })
    }

    /// Adds a whole block of another run, whose keys are all above those so far.
    pub(super) fn push_block(&mut self, block: &Block, first: &[u8]) -> Result<(), RowsError> {
        self.take_keys(block, first)?;
        self.put_block(&block.bytes)
    }

    /// The same, but the block stays where it lies. Whether it can.
    pub(super) fn refer_to(
        &mut self,
        (block, first): (&Block, &[u8]),
        place: &BlockRef,
        holder: Other,
    ) -> Result<bool, RowsError> {
        let Some(file) = self.index.file(holder) else {
            return Ok(false);
        };
        self.take_keys(block, first)?;
        let place = Place {
            file,
            offset: place.offset,
            size_bytes: place.size_bytes,
            checksum: place.checksum,
        };
        self.index.push(&self.first, place);
        Ok(true)
    }

    fn take_keys(&mut self, block: &Block, first: &[u8]) -> Result<(), RowsError> {
        self.end_block()?;
        self.check(first, None)?;
        let filter = &mut self.filter;
        if let Some(last) = hashes(block, |hash| filter.insert(hash)) {
            self.last = last;
        }
        self.rows += block.rows as u64;
        self.first.clear();
        self.first.extend_from_slice(first);
        Ok(())
    }

    /// Whether a whole block can follow without leaving a small one behind.
    pub(super) const fn takes_blocks(&self) -> bool {
        self.block.is_empty() || self.block.len() > BLOCK_SIZE_BYTES / 2
    }

    fn end_block(&mut self) -> Result<(), RowsError> {
        if self.offsets.is_empty() {
            return Ok(());
        }
        let mut block = std::mem::take(&mut self.block);
        for offset in &self.offsets {
            block.extend(offset.to_le_bytes());
        }
        let rows = u32::try_from(self.offsets.len()).unwrap_or(u32::MAX);
        block.extend(rows.to_le_bytes());
        self.offsets.clear();
        self.put_block(&block)?;
        block.clear();
        self.block = block;
        Ok(())
    }

    fn put_block(&mut self, block: &[u8]) -> Result<(), RowsError> {
        let offset = self.written + len_u64(&self.buffer);
        let place = Place {
            file: 0,
            offset,
            size_bytes: u32::try_from(block.len()).unwrap_or(u32::MAX),
            checksum: crc32c::crc32c(block),
        };
        self.index.push(&self.first, place);
        self.buffer.extend_from_slice(block);
        if self.buffer.len() >= WRITE_SIZE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), RowsError> {
        self.disk
            .write_at(&self.draft, self.written, &self.buffer)
            .map_err(io_error("write", &self.draft))?;
        self.written += len_u64(&self.buffer);
        self.buffer.clear();
        if self.written >= self.synced + SYNC_SIZE_BYTES {
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), RowsError> {
        self.synced = self.written;
        self.disk
            .datasync(&self.draft)
            .map_err(io_error("sync", &self.draft))
    }

    /// Writes the rest and gives the run its name.
    pub(super) fn finish(mut self) -> Result<Run, RowsError> {
        self.end_block()?;
        self.index.set_last(&self.last);
        self.index.shrink();
        let index = self.index.encode();
        let (footer, checksum) = Footer {
            rows: self.rows,
            index_at: self.written + len_u64(&self.buffer),
            index_bytes: len_u64(&index),
            index_checksum: crc32c::crc32c(&index),
            filter_bytes: len_u64(self.filter.as_bytes()),
            filter_checksum: crc32c::crc32c(self.filter.as_bytes()),
        }
        .encode();
        debug_assert_eq!(footer.len(), FOOTER_SIZE_BYTES);
        self.buffer.extend_from_slice(&index);
        self.buffer.extend_from_slice(self.filter.as_bytes());
        self.buffer.extend_from_slice(&footer);
        self.flush()?;
        self.sync()?;
        let name = RunName {
            number: self.number,
            level: self.level,
            footer: checksum,
        };
        let file = name.file();
        self.disk
            .rename(&self.draft, &file)
            .map_err(io_error("rename", &self.draft))?;
        Ok(Run {
            name,
            rows: self.rows,
            index: self.index,
            filter: self.filter,
            file,
            size_bytes: self.written,
        })
    }
}
