//! The files of the signing key while it is rotated.
//!
//! Beside `node.pem`: `next.pem`, a key that is durable and not yet known to be in use, and
//! `derived.key`, what was derived from the first key and stays.
//!
//! INVARIANT: at every moment the key that the journal names last is in one of the two files. Order of
//! steps: `derived.key` (once), `next.pem`, the record, then `next.pem` takes the name of the key file.
//! It does not know why a key is rotated.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::identity::derived::{DERIVED_NAME, Derived};
use crate::identity::keys::{KeyError, NodeKey};
use crate::identity::private_file;

/// The key that may come next.
pub const NEXT_NAME: &str = "next.pem";

/// Why no key can be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFilesError {
    /// A file cannot be read.
    #[error("failed to read the signing key: {0}")]
    Key(#[from] KeyError),
    /// A file beside it cannot be read.
    #[error("failed to read what was derived from the first signing key: {0}")]
    Derived(#[from] private_file::PrivateFileError),
    /// The key was rotated away.
    #[error(
        "the key file `{file}` holds a key that this node has rotated away; it signs with {key} now: put the file \
         with that key back"
    )]
    RotatedAway {
        /// The key file.
        file: String,
        /// The key in use, multibase.
        key: String,
    },
}

/// Where the signing key is kept.
#[derive(Clone, Debug)]
pub struct KeyFiles {
    signing: PathBuf,
    /// The next key is in use, and could not take the name of the key file.
    to_take: Cell<bool>,
}

impl KeyFiles {
    /// Beside this file, the signing key's.
    pub const fn beside(signing: PathBuf) -> Self {
        let to_take = Cell::new(false);
        Self { signing, to_take }
    }

    fn next(&self) -> PathBuf {
        self.signing.with_file_name(NEXT_NAME)
    }

    /// The key of the key file.
    ///
    /// # Errors
    /// [`KeyFilesError::Key`].
    pub fn read(&self) -> Result<NodeKey, KeyFilesError> {
        Ok(NodeKey::read(&self.signing)?)
    }

    /// What was derived from the first key; `key` is the one in use.
    ///
    /// # Errors
    /// [`KeyFilesError::Derived`].
    pub fn derived(&self, key: &NodeKey) -> Result<Derived, KeyFilesError> {
        let kept = Derived::read(&self.signing.with_file_name(DERIVED_NAME))?;
        Ok(kept.unwrap_or_else(|| Derived::from_seed(&key.signing_key().to_bytes())))
    }

    /// Of the two keys, the one that the journal names; `earlier` are the keys that it says were
    /// replaced. A key that the journal does not know at all counts: the journal may be older.
    ///
    /// # Errors
    /// [`KeyFilesError`].
    pub fn in_use(
        &self,
        named: Option<[u8; 32]>,
        earlier: &[[u8; 32]],
    ) -> Result<NodeKey, KeyFilesError> {
        let key = self.read()?;
        let Some(named) = named.filter(|named| key.public().as_bytes() != named) else {
            return Ok(key);
        };
        if self.next().exists() {
            let next = NodeKey::read(&self.next())?;
            if *next.public().as_bytes() == named {
                self.take();
                return Ok(next);
            }
        }
        if earlier.contains(key.public().as_bytes()) {
            let key = crate::identity::keys::PublicKey::from_bytes(&named);
            return Err(KeyFilesError::RotatedAway {
                file: self.signing.display().to_string(),
                key: key.map_or_else(|_| String::new(), |key| key.to_multibase()),
            });
        }
        tracing::warn!("the journal does not know the signing key: is the journal an older copy?");
        Ok(key)
    }

    /// Makes a key durable that may come next.
    ///
    /// # Errors
    /// It may not be durable, or the one before it has not taken the name of the key file yet.
    pub fn keep(&self, key: &NodeKey) -> io::Result<()> {
        if self.to_take.get() {
            self.try_take()?;
        }
        let derived = self.signing.with_file_name(DERIVED_NAME);
        if !derived.exists() {
            let first = self.read().map_err(io::Error::other)?;
            let kept = Derived::from_seed(&first.signing_key().to_bytes());
            self.whole(&derived, |draft| {
                kept.create_file(draft).map_err(io::Error::other)
            })?;
        }
        self.whole(&self.next(), |draft| {
            key.create_file(draft).map_err(io::Error::other)
        })
    }

    /// Makes a file that is there whole and durable, or not at all; one of its name is replaced.
    fn whole(&self, path: &Path, make: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
        let draft = path.with_extension("new");
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        make(&draft)?;
        fs::rename(&draft, path)?;
        self.sync()
    }

    /// The key that was kept is the one in use. A failure is made good before the next rotation, or at
    /// the next start.
    pub fn take(&self) {
        if let Err(error) = self.try_take() {
            tracing::error!(%error, "the new signing key stays in `{NEXT_NAME}`; a start puts it in its place");
        }
    }

    fn try_take(&self) -> io::Result<()> {
        self.to_take.set(true);
        if self.next().exists() {
            fs::rename(self.next(), &self.signing)?;
        }
        self.sync()?;
        self.to_take.set(false);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let directory = self
            .signing
            .parent()
            .filter(|it| !it.as_os_str().is_empty());
        File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::private_file::tests::Scratch;

    fn key(n: u8) -> NodeKey {
        NodeKey::from_seed(&[n; 32])
    }

    fn bytes(n: u8) -> [u8; 32] {
        *key(n).public().as_bytes()
    }

    #[test]
    fn a_crash_at_any_step_leaves_the_key_that_the_journal_names() {
        let scratch = Scratch::new("key-files");
        let path = scratch.0.join("node.pem");
        key(1).create_file(&path).unwrap();
        let files = KeyFiles::beside(path);
        let derived = |key: &NodeKey| *files.derived(key).unwrap().links;
        let links = derived(&key(1));
        let in_use = |named: Option<u8>, earlier: &[u8]| {
            let earlier: Vec<[u8; 32]> = earlier.iter().map(|n| bytes(*n)).collect();
            let key = files.in_use(named.map(bytes), &earlier);
            key.map(|key| *key.public().as_bytes())
        };
        assert_eq!(in_use(None, &[]).unwrap(), bytes(1));
        // What a crash left of either file is no hindrance.
        for draft in ["derived.new", "next.new"] {
            fs::write(scratch.0.join(draft), "half").unwrap();
        }
        // Kept, and the record was never written.
        files.keep(&key(2)).unwrap();
        assert!(!scratch.0.join("derived.new").exists() && !scratch.0.join("next.new").exists());
        assert_eq!(in_use(None, &[]).unwrap(), bytes(1));
        // Kept again, written, and the name not taken.
        files.keep(&key(3)).unwrap();
        assert_eq!(in_use(Some(3), &[1]).unwrap(), bytes(3));
        assert_eq!(in_use(Some(3), &[1]).unwrap(), bytes(3));
        assert_eq!(files.read().unwrap().public(), key(3).public());
        assert_eq!(derived(&key(3)), links, "links stay");
        // Once more, whole.
        files.keep(&key(4)).unwrap();
        files.take();
        assert_eq!(in_use(Some(4), &[1, 3]).unwrap(), bytes(4));
        assert_eq!(derived(&key(4)), links);
        // A key that is in use and did not get its name is not written over.
        files.keep(&key(5)).unwrap();
        let (node, aside) = (scratch.0.join("node.pem"), scratch.0.join("aside"));
        fs::rename(&node, &aside).unwrap();
        fs::create_dir(&node).unwrap();
        files.take();
        assert!(files.keep(&key(6)).is_err());
        fs::remove_dir(&node).unwrap();
        fs::rename(&aside, &node).unwrap();
        assert_eq!(in_use(Some(5), &[1, 3, 4]).unwrap(), bytes(5));
        files.keep(&key(4)).unwrap();
        files.take();
        // An older file put back is refused by name; a newer one than the journal knows is used.
        fs::remove_file(scratch.0.join("node.pem")).unwrap();
        key(3).create_file(&scratch.0.join("node.pem")).unwrap();
        let refused = in_use(Some(4), &[1, 3]).unwrap_err();
        assert!(
            refused
                .to_string()
                .contains(&key(4).public().to_multibase())
        );
        assert_eq!(in_use(Some(1), &[]).unwrap(), bytes(3));
    }
}
