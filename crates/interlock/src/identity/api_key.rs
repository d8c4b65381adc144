//! Keys of callers of the local API: handhelds, cabinets, order systems, people.
//!
//! INVARIANT: a key is shown once, when it is made; what is stored is its SHA-256, from which 192
//! random bits cannot be found again, so that no slow password hash is needed. The module does not
//! know what a key allows.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::keys::{parse_hex32, to_hex};

/// What every key starts with, so that scanners for leaked secrets find it.
pub const API_KEY_PREFIX: &str = "il_";

/// Random bytes in a key.
pub const API_KEY_RANDOM_BYTES: usize = 24;

/// Why a text is no API key or no hash of one. The text is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// Not a key.
    #[error("the text is no key of the local API; expected `il_` and 48 hexadecimal digits")]
    Key,
    /// Not a hash.
    #[error("the text is no stored key; expected 64 hexadecimal digits")]
    Hash,
}

/// A key as its caller presents it: `il_` and 48 hexadecimal digits.
#[derive(Clone)]
pub struct ApiKey(Zeroizing<String>);

impl ApiKey {
    /// The key of the given random bytes.
    pub fn generate(random: &[u8; API_KEY_RANDOM_BYTES]) -> Self {
        Self(Zeroizing::new(format!(
            "{API_KEY_PREFIX}{}",
            to_hex(random)
        )))
    }

    /// Checks the form of a presented key.
    ///
    /// # Errors
    /// [`ApiKeyError::Key`] for anything that [`ApiKey::generate`] does not make.
    pub fn parse(text: &str) -> Result<Self, ApiKeyError> {
        let digits = text.strip_prefix(API_KEY_PREFIX).ok_or(ApiKeyError::Key)?;
        let good = digits.len() == 2 * API_KEY_RANDOM_BYTES
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !good {
            return Err(ApiKeyError::Key);
        }
        Ok(Self(Zeroizing::new(text.into())))
    }

    /// The text, to be shown once to whoever may use it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored.
    pub fn hash(&self) -> ApiKeyHash {
        ApiKeyHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

/// `il_` and the first four digits, enough to find a key in a list.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..API_KEY_PREFIX.len() + 4).unwrap_or_default();
        write!(f, "ApiKey({shown}...)")
    }
}

/// SHA-256 of a key; written as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApiKeyHash([u8; 32]);

impl ApiKeyHash {
    /// Whether `key` is the key of this hash; takes the same time for every key.
    pub fn matches(&self, key: &ApiKey) -> bool {
        self.0.ct_eq(&key.hash().0).into()
    }
}

impl TryFrom<String> for ApiKeyHash {
    type Error = ApiKeyError;
    fn try_from(text: String) -> Result<Self, ApiKeyError> {
        parse_hex32(&text).map(Self).ok_or(ApiKeyError::Hash)
    }
}

impl From<ApiKeyHash> for String {
    fn from(hash: ApiKeyHash) -> String {
        to_hex(&hash.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_matches_its_hash_alone() {
        let key = ApiKey::generate(&[0xab; 24]);
        assert_eq!(key.reveal(), format!("il_{}", "ab".repeat(24)));
        let again = ApiKey::parse(key.reveal()).unwrap();
        assert!(key.hash().matches(&again));
        let other = ApiKey::generate(&[0xac; 24]);
        assert!(!key.hash().matches(&other));
    }

    #[test]
    fn the_stored_form_is_frozen() {
        let stored = serde_json::to_string(&ApiKey::generate(&[1; 24]).hash()).unwrap();
        expect_test::expect![[
            r#""5ebf2f1aa8d24bc8a250cc73c05a404c5e3d15105513c679919db72373b3aba3""#
        ]]
        .assert_eq(&stored);
        let back: ApiKeyHash = serde_json::from_str(&stored).unwrap();
        assert!(back.matches(&ApiKey::generate(&[1; 24])));
        assert!(serde_json::from_str::<ApiKeyHash>(r#""abc""#).is_err());
    }

    #[test]
    fn bad_keys_are_refused_and_none_is_shown() {
        let key = ApiKey::generate(&[0xab; 24]);
        assert_eq!(format!("{key:?}"), "ApiKey(il_abab...)");
        let upper = key.reveal().to_uppercase().replace("IL_", "il_");
        for bad in [
            "",
            "il_",
            "abab",
            &key.reveal()[1..],
            &key.reveal()[..50],
            &upper,
        ] {
            let error = ApiKey::parse(bad).unwrap_err();
            assert!(!error.to_string().contains("abab"));
        }
    }
}
