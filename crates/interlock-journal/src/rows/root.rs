//! The root: one small file that says which runs there are and what else belongs to them.
//!
//! ```text
//! root   "ilroot01", length of the body u64, the body, CRC-32C of all before u32; little-endian
//! ```
//!
//! INVARIANT: there is the root of before or the new one, whole, whatever fails: it is written as a
//! draft, synced, renamed, and the directory synced, which makes the names of its runs durable too.
//! It does not know what is in the body.

use crate::bytes::{len_u64, u32_at, u64_at};
use crate::disk::{Disk, read_up_to, replace_file};

use super::error::{RowsError, damaged, io_error};

/// The name of the root's file.
pub const ROOT_NAME: &str = "root";
const MAGIC: [u8; 8] = *b"ilroot01";
const HEAD_SIZE_BYTES: usize = 16;
const CHECKSUM_SIZE_BYTES: usize = 4;

/// Writes a root in place of the one there is.
///
/// # Errors
/// [`RowsError::Io`]: whether the new one or the old one is there is open.
pub fn save(disk: &mut dyn Disk, body: &[u8]) -> Result<(), RowsError> {
    let mut bytes = Vec::with_capacity(HEAD_SIZE_BYTES + body.len() + CHECKSUM_SIZE_BYTES);
    bytes.extend(MAGIC);
    bytes.extend(len_u64(body).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    replace_file(disk, ROOT_NAME, &bytes).map_err(io_error("replace", ROOT_NAME))
}

/// The body of the root; `None` if there is no root.
///
/// # Errors
/// [`RowsError`]: it is damaged, or of another version.
pub fn load(disk: &mut dyn Disk) -> Result<Option<Vec<u8>>, RowsError> {
    let names = disk.list().map_err(io_error("list", ""))?;
    if !names.iter().any(|name| name == ROOT_NAME) {
        return Ok(None);
    }
    let size = disk
        .len(ROOT_NAME)
        .map_err(io_error("examine", ROOT_NAME))?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut bytes = read_up_to(disk, ROOT_NAME, 0, size).map_err(io_error("read", ROOT_NAME))?;
    let broken = |what| damaged(ROOT_NAME, 0, what);
    if bytes.get(..8) != Some(MAGIC.as_slice()) {
        return Err(broken("it is of another version, or no root"));
    }
    let body = bytes
        .len()
        .checked_sub(HEAD_SIZE_BYTES + CHECKSUM_SIZE_BYTES);
    let end = bytes.len().saturating_sub(CHECKSUM_SIZE_BYTES);
    let whole = body.is_some_and(|body| u64_at(&bytes, 8) == Some(body as u64))
        && u32_at(&bytes, end) == bytes.get(..end).map(crc32c::crc32c);
    if !whole {
        return Err(broken("its checksum is wrong"));
    }
    bytes.truncate(end);
    Ok(Some(bytes.split_off(HEAD_SIZE_BYTES)))
}

/// Removes the root, so that everything is made anew at the next start.
///
/// # Errors
/// [`RowsError::Io`].
pub fn discard(disk: &mut dyn Disk) -> Result<(), RowsError> {
    let names = disk.list().map_err(io_error("list", ""))?;
    if names.iter().any(|name| name == ROOT_NAME) {
        disk.remove(ROOT_NAME)
            .map_err(io_error("remove", ROOT_NAME))?;
        disk.sync_dir().map_err(io_error("sync", ""))?;
    }
    Ok(())
}
