//! How personal data is encrypted at rest.
//!
//! INVARIANT: the program that ships has [`Aes`] and nothing else. The seam is there so that its cost can be
//! measured against a cipher that only copies; that one is in the benchmarks, and no configuration names it.
//! It does not know what it seals, nor where keys lie.

use interlock_journal::keyslots;
use zeroize::Zeroizing;

/// Seals and opens content under its key.
pub trait Cipher: Send + Sync + std::fmt::Debug {
    /// Seals `plain` under `key`; `None` if it is too long for the cipher. A nonce is used once with a key.
    fn seal(&self, key: &[u8; 32], data: &[u8], plain: &[u8], nonce: &[u8; 12]) -> Option<Vec<u8>>;

    /// Opens what [`Self::seal`] made; `None` if the key is gone, or anything is not as it was sealed.
    fn open(
        &self,
        key: Option<Zeroizing<[u8; 32]>>,
        data: &[u8],
        sealed: &[u8],
        nonce: &[u8; 12],
    ) -> Option<Zeroizing<Vec<u8>>>;

    /// Whether its keys have to be stored.
    fn has_keys(&self) -> bool {
        true
    }
}

/// AES-256-GCM, as the key slots use it.
#[derive(Clone, Copy, Debug)]
pub struct Aes;

impl Cipher for Aes {
    fn seal(&self, key: &[u8; 32], data: &[u8], plain: &[u8], nonce: &[u8; 12]) -> Option<Vec<u8>> {
        keyslots::seal(key, data, plain, nonce).ok()
    }

    fn open(
        &self,
        key: Option<Zeroizing<[u8; 32]>>,
        data: &[u8],
        sealed: &[u8],
        nonce: &[u8; 12],
    ) -> Option<Zeroizing<Vec<u8>>> {
        keyslots::open(&*key?, data, sealed, nonce)
    }
}
