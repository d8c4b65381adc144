//! A directory of the operating system as a [`Disk`].
//!
//! INVARIANT: files are readable by their owner only (0600, the directory 0700), and one process at a
//! time writes to a directory: it holds a lock on the file `lock` in it. It knows no formats.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, FILE_NAME_BYTES_MAX};

/// Files held open at once, at most.
const OPEN_FILES_MAX: usize = 64;
/// Zeros are written in pieces of this size.
const ZEROS_SIZE_BYTES: usize = 64 * 1024;
const LOCK_NAME: &str = "lock";

/// A directory of the operating system.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
    open: BTreeMap<String, File>,
    /// `None`: opened for reading only. The lock is released when the last of those who share it lets
    /// it go.
    lock: Option<Arc<File>>,
}

impl RealDisk {
    /// Opens the directory `root` for reading and writing and locks it; makes it if it is missing.
    ///
    /// # Errors
    /// The directory cannot be made or opened, or another process holds its lock
    /// ([`io::ErrorKind::WouldBlock`]).
    pub fn open(root: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(root.join(LOCK_NAME))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::WouldBlock,
                format!(
                    "`{}` is in use by another process; stop that node first",
                    root.display()
                ),
            ),
            fs::TryLockError::Error(error) => error,
        })?;
        Ok(Self {
            root: root.to_path_buf(),
            open: BTreeMap::new(),
            lock: Some(Arc::new(lock)),
        })
    }

    /// Opens the directory `root` for reading only, beside a node that may be running.
    ///
    /// # Errors
    /// There is no such directory.
    pub fn open_read_only(root: &Path) -> io::Result<Self> {
        fs::read_dir(root)?;
        Ok(Self {
            root: root.to_path_buf(),
            open: BTreeMap::new(),
            lock: None,
        })
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let good = !name.is_empty()
            && name.len() <= FILE_NAME_BYTES_MAX
            && !name.starts_with('.')
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if good && name != LOCK_NAME {
            return Ok(self.root.join(name));
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{name}` is no file name; use letters, digits, `-`, `_` and `.`"),
        ))
    }

    fn writable(&self) -> io::Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the directory was opened for reading only",
        ))
    }

    fn file(&mut self, name: &str) -> io::Result<&File> {
        if !self.open.contains_key(name) {
            let file = OpenOptions::new()
                .read(true)
                .write(self.lock.is_some())
                .open(self.path(name)?)?;
            self.hold(name, file);
        }
        self.open
            .get(name)
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn hold(&mut self, name: &str, file: File) {
        if self.open.len() >= OPEN_FILES_MAX {
            self.open.pop_first();
        }
        self.open.insert(name.into(), file);
    }
}

fn write_zeros(file: &File, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS_SIZE_BYTES];
    let mut at = from;
    while at < to {
        let piece = usize::try_from(to - at).map_or(ZEROS_SIZE_BYTES, |n| n.min(ZEROS_SIZE_BYTES));
        file.write_all_at(zeros.get(..piece).unwrap_or(&zeros), at)?;
        at += piece as u64;
    }
    Ok(())
}

impl Disk for RealDisk {
    fn list(&mut self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && name != LOCK_NAME
                && entry.file_type()?.is_file()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn len(&mut self, name: &str) -> io::Result<u64> {
        Ok(self.file(name)?.metadata()?.len())
    }

    fn read_at(&mut self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let file = self.file(name)?;
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, offset + read as u64) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn create(&mut self, name: &str, size_bytes: u64) -> io::Result<()> {
        self.writable()?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.path(name)?)?;
        write_zeros(&file, 0, size_bytes)?;
        self.hold(name, file);
        Ok(())
    }

    fn allocate(&mut self, name: &str, len_bytes: u64) -> io::Result<()> {
        let file = self.file(name)?;
        write_zeros(file, file.metadata()?.len(), len_bytes)
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(name)?.write_all_at(bytes, offset)
    }

    fn datasync(&mut self, name: &str) -> io::Result<()> {
        self.file(name)?.sync_data()
    }

    fn truncate(&mut self, name: &str, len_bytes: u64) -> io::Result<()> {
        self.file(name)?.set_len(len_bytes)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.writable()?;
        self.open.remove(to);
        let file = self.open.remove(from);
        fs::rename(self.path(from)?, self.path(to)?)?;
        if let Some(file) = file {
            self.hold(to, file);
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.writable()?;
        self.open.remove(name);
        fs::remove_file(self.path(name)?)
    }

    fn forget(&mut self, name: &str) {
        self.open.remove(name);
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        File::open(&self.root)?.sync_all()
    }

    fn share(&self) -> Box<dyn Disk> {
        Box::new(Self {
            root: self.root.clone(),
            open: BTreeMap::new(),
            lock: self.lock.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let root =
            std::env::temp_dir().join(format!("interlock-disk-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        root
    }

    #[test]
    fn files_are_private_and_the_directory_has_one_writer() {
        let root = scratch("private");
        let mut disk = RealDisk::open(&root).unwrap();
        disk.create("a.new", 100_000).unwrap();
        disk.write_at("a.new", 99_998, b"abcd").unwrap();
        disk.datasync("a.new").unwrap();
        disk.rename("a.new", "a").unwrap();
        disk.allocate("a", 200_000).unwrap();
        disk.sync_dir().unwrap();
        assert_eq!(disk.list().unwrap(), ["a"]);
        assert_eq!(disk.len("a").unwrap(), 200_000);
        let mode = fs::metadata(root.join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut buffer = [9; 8];
        assert_eq!(disk.read_at("a", 99_996, &mut buffer).unwrap(), 8);
        assert_eq!(&buffer, b"\0\0abcd\0\0");
        disk.truncate("a", 100_000).unwrap();
        assert_eq!(disk.read_at("a", 99_998, &mut buffer).unwrap(), 2);

        let second = RealDisk::open(&root).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::WouldBlock);
        let mut reader = RealDisk::open_read_only(&root).unwrap();
        assert_eq!(reader.read_at("a", 99_998, &mut buffer).unwrap(), 2);
        assert!(reader.write_at("a", 0, b"x").is_err());
        assert!(reader.create("b", 0).is_err());
        drop(disk);
        let mut disk = RealDisk::open(&root).unwrap();
        disk.remove("a").unwrap();
        assert!(disk.list().unwrap().is_empty());
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn names_do_not_leave_the_directory() {
        let root = scratch("names");
        let mut disk = RealDisk::open(&root).unwrap();
        for name in ["", "..", "../a", "a/b", ".hidden", "lock"] {
            assert!(disk.create(name, 0).is_err(), "{name}");
        }
        fs::remove_dir_all(&root).unwrap();
    }
}
