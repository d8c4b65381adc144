//! The seam below the journal: one flat directory of files, and what a disk promises about it.
//!
//! INVARIANT: after [`Disk::datasync`] of a file its bytes and its length survive a loss of power;
//! after [`Disk::sync_dir`] so do creations, renames and removals. Nothing else does. A disk knows no
//! formats and never retries: what to do about a failure is decided above it.

mod mem;
mod real;

pub use mem::{Crash, Fault, MemDisk, SECTOR_SIZE_BYTES};
pub use real::RealDisk;

use std::io;

/// Bytes in a file name, at most.
pub const FILE_NAME_BYTES_MAX: usize = 128;

/// One flat directory of files.
///
/// Every method fails with the error of the system call below. A failure leaves open whether the
/// operation was done, partly done or not done at all.
pub trait Disk: Send {
    /// The names of all files, sorted.
    ///
    /// # Errors
    /// The directory cannot be read.
    fn list(&mut self) -> io::Result<Vec<String>>;

    /// The length of a file in bytes.
    ///
    /// # Errors
    /// The file does not exist or cannot be examined.
    fn len(&mut self, name: &str) -> io::Result<u64>;

    /// Reads at `offset` until `buffer` is full or the file ends; returns how much was read.
    ///
    /// # Errors
    /// The file does not exist or cannot be read.
    fn read_at(&mut self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Creates a file of `size_bytes` zeros, in place of one that has the name.
    ///
    /// # Errors
    /// The file cannot be created, or the disk is full ([`io::ErrorKind::StorageFull`]).
    fn create(&mut self, name: &str, size_bytes: u64) -> io::Result<()>;

    /// Makes a file longer, with zeros that take their place on the disk now, so that a later write
    /// there neither fails for lack of space nor changes the file's extents.
    ///
    /// # Errors
    /// The disk is full ([`io::ErrorKind::StorageFull`]), or the file cannot be written.
    fn allocate(&mut self, name: &str, len_bytes: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`, which may make the file longer.
    ///
    /// # Errors
    /// Not all was written; a part may have been.
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes a file's bytes and length durable (`fdatasync`).
    ///
    /// # Errors
    /// The sync failed. What was written since the last one may be gone even if it can still be
    /// read, and a second sync that succeeds proves nothing about it.
    fn datasync(&mut self, name: &str) -> io::Result<()>;

    /// Cuts a file to `len_bytes`.
    ///
    /// # Errors
    /// The file does not exist or cannot be cut.
    fn truncate(&mut self, name: &str, len_bytes: u64) -> io::Result<()>;

    /// Gives a file another name, in place of the one that has it.
    ///
    /// # Errors
    /// The file does not exist or cannot be renamed.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The file does not exist or cannot be removed.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and removals durable.
    ///
    /// # Errors
    /// The sync failed.
    fn sync_dir(&mut self) -> io::Result<()>;

    /// Closes a file that is held open, so that its space is free once it is removed.
    fn forget(&mut self, _: &str) {}

    /// Another way to the same directory, for another thread.
    fn share(&self) -> Box<dyn Disk>;
}

/// Reads `len_bytes` at `offset`, or fewer where the file ends.
pub(crate) fn read_up_to(
    disk: &mut dyn Disk,
    name: &str,
    offset: u64,
    len_bytes: usize,
) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; len_bytes];
    let read = disk.read_at(name, offset, &mut buffer)?;
    buffer.truncate(read);
    Ok(buffer)
}

/// Writes a small file as a whole: either the old bytes or the new ones survive, never a mixture.
///
/// Order of system calls: create `NAME.new`, write, datasync, rename to `NAME`, sync the directory.
pub(crate) fn replace_file(disk: &mut dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let draft = format!("{name}.new");
    disk.create(&draft, 0)?;
    disk.write_at(&draft, 0, bytes)?;
    disk.datasync(&draft)?;
    disk.rename(&draft, name)?;
    disk.sync_dir()
}
