//! Pickup codes sealed to a key of the recipient: HPKE (RFC 9180), base mode, X25519 with HKDF-SHA256 and
//! AES-256-GCM.
//!
//! Purpose: a code that only the recipient's device reads, whoever carries it there. Invariants: what is
//! sealed opens for the deposit that it was sealed for and no other; keys and codes never print themselves.
//! It does not know when a code is worth something: the locker does.
//!
//! A recipient's app needs no software of ours: `info` is `interlock sealed code 1`, the additional data are
//! the 32 digits of the deposit's id, and the plaintext is `{"code": "...", "compartment": "..."}` in JSON.

use std::fmt;

use interlock_core::ids::DepositId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::keys::{parse_hex32, to_hex};
use super::sealing::{Zeros, open_with, seal_to, secret_to_public};
use crate::node::Rng;

/// Sets this use of a key apart from any other (RFC 9180 section 5.1).
const INFO: &[u8] = b"interlock sealed code 1";

/// The public key that a recipient enrolled for a parcel, X25519.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeKey([u8; 32]);

/// Why a text is no such key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key; write the 64 hexadecimal digits of an X25519 public key, as the app shows it")]
pub struct CodeKeyError;

impl CodeKey {
    /// From 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`CodeKeyError`], also for a point that agrees on the same secret with everybody.
    pub fn parse(text: &str) -> Result<Self, CodeKeyError> {
        let bytes = parse_hex32(text.trim()).ok_or(CodeKeyError)?;
        // A seal with what is no key fails: here, rather than when a code is wanted.
        seal_to(&bytes, INFO, b"", b"", &mut Zeros).ok_or(CodeKeyError)?;
        Ok(Self(bytes))
    }

    /// 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        to_hex(&self.0)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key of these bytes, whether it is one or not.
    #[cfg(test)]
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// The private key at the recipient's device.
pub struct CodeSecret(Zeroizing<[u8; 32]>);

impl fmt::Debug for CodeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeSecret(redacted)")
    }
}

impl CodeSecret {
    /// A new one.
    pub fn draw(rng: &mut dyn Rng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill(seed.as_mut());
        Self(seed)
    }

    /// What is enrolled.
    pub fn public(&self) -> CodeKey {
        CodeKey(secret_to_public(&self.0))
    }

    /// Code and compartment; `None` if it was sealed to another key or for another deposit, or is damaged.
    pub fn open(&self, deposit: &DepositId, sealed: &[u8]) -> Option<(Zeroizing<String>, String)> {
        let plain = open_with(&self.0, INFO, deposit.to_string().as_bytes(), sealed)?;
        let read: Plain<String> = serde_json::from_slice(&plain).ok()?;
        Some((Zeroizing::new(read.code), read.compartment))
    }
}

#[derive(Serialize, Deserialize)]
struct Plain<T> {
    code: T,
    compartment: T,
}

/// Seals a code to a recipient's key: encapsulated key, then ciphertext.
pub fn seal_code(
    key: &CodeKey,
    deposit: &DepositId,
    code: &str,
    compartment: &str,
    rng: &mut dyn Rng,
) -> Option<Vec<u8>> {
    let plain = Plain { code, compartment };
    let plain = Zeroizing::new(serde_json::to_vec(&plain).ok()?);
    seal_to(&key.0, INFO, deposit.to_string().as_bytes(), &plain, rng)
}

#[cfg(test)]
mod tests {
    use super::super::sealing::tests::Counting;
    use super::*;

    #[test]
    fn only_the_enrolled_device_reads_a_code_and_for_its_deposit_alone() {
        let (mine, other) = (
            CodeSecret::draw(&mut Counting(1)),
            CodeSecret::draw(&mut Counting(2)),
        );
        let deposit = DepositId::from_bytes([5; 16]);
        let mut rng = Counting(9);
        let sealed = seal_code(&mine.public(), &deposit, "482913", "17", &mut rng).unwrap();
        let again = seal_code(&mine.public(), &deposit, "482913", "17", &mut rng).unwrap();
        assert_ne!(sealed, again, "shown twice, it looks unlike");
        let (code, compartment) = mine.open(&deposit, &sealed).unwrap();
        assert_eq!((code.as_str(), compartment.as_str()), ("482913", "17"));
        assert!(other.open(&deposit, &sealed).is_none());
        assert!(
            mine.open(&DepositId::from_bytes([6; 16]), &sealed)
                .is_none()
        );
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(mine.open(&deposit, &changed).is_none(), "{at}");
            assert!(mine.open(&deposit, &sealed[..at]).is_none(), "{at}");
        }
        assert!(!sealed.windows(6).any(|window| window == b"482913"));
    }

    #[test]
    fn what_is_no_key_is_refused_and_no_secret_prints_itself() {
        let secret = CodeSecret::draw(&mut Counting(3));
        let public = secret.public();
        assert_eq!(CodeKey::parse(&public.to_hex()), Ok(public));
        assert_eq!(format!("{secret:?}"), "CodeSecret(redacted)");
        for bad in ["", "00", &"0".repeat(64), &"g".repeat(64), &"1".repeat(65)] {
            assert_eq!(CodeKey::parse(bad), Err(CodeKeyError), "{bad}");
        }
    }
}
