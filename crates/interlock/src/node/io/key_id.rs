//! The name of an API key among people.

use super::Digest;

/// Names an API key to people: the first digits of its digest, which tell nothing of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// The name of the key with this digest.
    pub fn of(digest: &Digest) -> Self {
        let mut id = [0; 8];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
        Self(id)
    }

    /// Reads 16 hexadecimal digits.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let id = interlock_journal::hex::decode(text).map(Self);
        id.ok_or_else(|| "write the 16 hexadecimal digits that the list of keys shows".into())
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&interlock_journal::hex::encode(&self.0))
    }
}
