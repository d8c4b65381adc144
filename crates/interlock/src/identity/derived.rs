//! The secrets from which tokens of links, labels, transfers and people are derived.
//!
//! INVARIANT: they follow from the node's first signing key and stay when the key is rotated, so that
//! printed labels and links that were sent go on working. The first key does not follow from them. They
//! never print themselves.

use std::fmt;
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::keys::{parse_hex32, to_hex};
use super::one_time::OneTimeCodes;
use super::private_file::{self, PrivateFileError};
use super::transfer_token::TransferTokens;

/// The file beside the signing key, once that was rotated.
pub const DERIVED_NAME: &str = "derived.key";

/// The secrets.
pub struct Derived {
    /// Of links and labels.
    pub links: Zeroizing<[u8; 32]>,
    /// Of tokens for transfers.
    pub transfers: Zeroizing<[u8; 32]>,
    /// Of people's one-time codes.
    pub codes: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Derived(redacted)")
    }
}

impl Derived {
    /// Those of a node whose first signing key has this seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let mut links = Zeroizing::new([0; 32]);
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(seed) {
            mac.update(b"interlock links 1");
            links.copy_from_slice(&mac.finalize().into_bytes());
        }
        Self {
            links,
            transfers: Zeroizing::new(TransferTokens::derive(seed)),
            codes: OneTimeCodes::derive(seed),
        }
    }

    /// Reads the file beside the signing key; `None` if there is none, as before the first rotation.
    ///
    /// # Errors
    /// [`PrivateFileError`], also for a file that does not hold three times 64 hexadecimal digits.
    pub fn read(path: &Path) -> Result<Option<Self>, PrivateFileError> {
        if !path.exists() {
            return Ok(None);
        }
        let text = private_file::read(path)?;
        let lines = text
            .lines()
            .map(|line| parse_hex32(line.trim()).map(Zeroizing::new));
        let secrets: Option<Vec<Zeroizing<[u8; 32]>>> = lines.collect();
        let secrets: Option<[_; 3]> = secrets.and_then(|secrets| secrets.try_into().ok());
        let content = || PrivateFileError::Content { path: path.into() };
        let [links, transfers, codes] = secrets.ok_or_else(content)?;
        Ok(Some(Self {
            links,
            transfers,
            codes,
        }))
    }

    /// Writes the file; durable when it returns.
    ///
    /// # Errors
    /// [`PrivateFileError::Io`], also if the file exists.
    pub fn create_file(&self, path: &Path) -> Result<(), PrivateFileError> {
        let mut text = Zeroizing::new(String::new());
        for secret in [&self.links, &self.transfers, &self.codes] {
            text.push_str(&Zeroizing::new(to_hex(secret.as_ref())));
            text.push('\n');
        }
        private_file::create(path, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::private_file::tests::Scratch;
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let scratch = Scratch::new("derived");
        let path = scratch.0.join(DERIVED_NAME);
        assert!(Derived::read(&path).unwrap().is_none());
        let derived = Derived::from_seed(&[7; 32]);
        derived.create_file(&path).unwrap();
        let read = Derived::read(&path).unwrap().unwrap();
        assert_eq!(
            (&read.links, &read.transfers, &read.codes),
            (&derived.links, &derived.transfers, &derived.codes)
        );
        assert!(read.links != read.transfers);
        assert_eq!(format!("{read:?}"), "Derived(redacted)");
        assert!(derived.create_file(&path).is_err(), "never overwritten");
        let cut = scratch.0.join("cut");
        private_file::create(&cut, &to_hex(&[1; 32])).unwrap();
        assert!(matches!(
            Derived::read(&cut),
            Err(PrivateFileError::Content { .. })
        ));
    }
}
