//! Files that only their owner may read: keys, tokens, secrets of gateways.
//!
//! INVARIANT: a file whose group or others have any permission is never read, and one that is
//! written here is durable, with mode 0600, before the call returns. It does not know the content.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Longest private file that is read, in bytes.
pub const PRIVATE_FILE_BYTES_MAX: u64 = 16 * 1024;

/// Why a private file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// The operating system refused.
    #[error("failed to {action} `{}`: {source}; check the path and who may use it", path.display())]
    Io {
        /// `read`, `create` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Group or others have some permission.
    #[error(
        "`{}` has mode {mode:04o}, so that others than its owner can use it; run `chmod 600 {}` and \
         consider the secret in it as known to others", path.display(), path.display()
    )]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Too long, or not UTF-8.
    #[error("`{}` is not a text of at most {PRIVATE_FILE_BYTES_MAX} bytes; check that it is the right file", path.display())]
    Content {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a text that only its owner may read. The text is wiped from memory when dropped.
///
/// # Errors
/// [`PrivateFileError`]; the mode is taken from the opened file, so that it cannot be exchanged
/// between the check and the reading.
pub fn read(path: &Path) -> Result<Zeroizing<String>, PrivateFileError> {
    let io_error = |source| PrivateFileError::Io {
        action: "read",
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(io_error)?;
    let mode = file.metadata().map_err(io_error)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::Mode {
            path: path.into(),
            mode,
        });
    }
    let mut text = Zeroizing::new(String::new());
    let content = || PrivateFileError::Content { path: path.into() };
    let read = file
        .take(PRIVATE_FILE_BYTES_MAX + 1)
        .read_to_string(&mut text);
    match read {
        Ok(_) if text.len() as u64 <= PRIVATE_FILE_BYTES_MAX => Ok(text),
        Ok(_) => Err(content()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(content()),
        Err(error) => Err(io_error(error)),
    }
}

/// Creates `path` with mode 0600 and `text` in it; an existing file is never overwritten.
///
/// Durable when it returns: the file is synced, then its directory.
///
/// # Errors
/// [`PrivateFileError::Io`], also if the file exists.
pub fn create(path: &Path, text: &str) -> Result<(), PrivateFileError> {
    let io_error = |action| {
        move |source| PrivateFileError::Io {
            action,
            path: path.into(),
            source,
        }
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(io_error("create"))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(io_error("write"))?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(io_error("write"))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A directory of this test's own, removed at the end.
    pub(crate) struct Scratch(pub(crate) PathBuf);

    impl Scratch {
        pub(crate) fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("interlock-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn only_the_owner_may_read() {
        let scratch = Scratch::new("private-file");
        let path = scratch.0.join("secret");
        create(&path, "a secret").unwrap();
        let mode = std::fs::metadata(&path).unwrap().mode() & 0o7777;
        assert_eq!(mode, 0o600);
        assert_eq!(read(&path).unwrap().as_str(), "a secret");
        for mode in [0o640, 0o604, 0o610, 0o660, 0o644] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err();
            assert!(matches!(error, PrivateFileError::Mode { mode: m, .. } if m == mode));
            assert!(error.to_string().contains("chmod 600"), "{error}");
            assert!(!error.to_string().contains("a secret"), "{error}");
        }
    }

    #[test]
    fn nothing_is_overwritten_and_size_is_bounded() {
        let scratch = Scratch::new("private-file-new");
        let path = scratch.0.join("secret");
        create(&path, &"x".repeat(16 * 1024 + 1)).unwrap();
        assert!(matches!(read(&path), Err(PrivateFileError::Content { .. })));
        let error = create(&path, "y").unwrap_err();
        assert!(matches!(
            error,
            PrivateFileError::Io {
                action: "create",
                ..
            }
        ));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 16 * 1024 + 1);
        let missing = read(&scratch.0.join("none")).unwrap_err();
        assert!(matches!(
            missing,
            PrivateFileError::Io { action: "read", .. }
        ));
    }
}
