//! Passwords of people: Argon2id (RFC 9106), with the parameters kept beside each hash.
//!
//! INVARIANT: a password prints itself nowhere and is wiped from memory; what is kept cannot be turned
//! back into it. Checking one takes tens of milliseconds and [`MEMORY_KIB`] of memory, so that whoever
//! checks does it outside the node's one writer. This module does not know whose password it is.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Memory of one check, in KiB (OWASP Password Storage Cheat Sheet, Argon2id).
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over the memory (the same source).
const PASSES: u32 = 2;
/// Most memory that a stored hash may ask for, in KiB: what the journal says is checked, too.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// Shortest password that a person may choose, in characters.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Longest password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Random bytes of a generated password.
pub const PASSWORD_RANDOM_BYTES: usize = 20;
/// Digits and letters that are not taken for one another (Crockford's base 32).
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A password as a person types it.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// Why a text is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short.
    #[error("the password is too short; use at least 12 characters, such as four words")]
    TooShort,
    /// Too long.
    #[error("the password is too long; use at most 256 bytes")]
    TooLong,
}

impl Password {
    /// A new one of 100 random bits in four groups: the lower five bits of each byte count.
    pub fn generate(random: &[u8; PASSWORD_RANDOM_BYTES]) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(PASSWORD_RANDOM_BYTES + 3));
        for (byte, at) in random.iter().zip(0..) {
            if at > 0 && at % 5 == 0 {
                text.push('-');
            }
            let letter = LETTERS.get(usize::from(byte % 32)).copied();
            text.push(char::from(letter.unwrap_or(b'0')));
        }
        Self(text)
    }

    /// One that a person chooses.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub fn choose(text: &str) -> Result<Self, PasswordError> {
        if text.chars().count() < PASSWORD_CHARS_MIN {
            return Err(PasswordError::TooShort);
        }
        Self::typed(text).ok_or(PasswordError::TooLong)
    }

    /// One that a person typed to log in; `None` if none of ours can be so long.
    pub fn typed(text: &str) -> Option<Self> {
        (text.len() <= PASSWORD_BYTES_MAX).then(|| Self(Zeroizing::new(text.into())))
    }

    /// The text, to be shown once to the person whose it is.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash {
    /// Memory of a check, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Salt.
    pub salt: [u8; 16],
    /// Argon2id, version 0x13, one lane, 32 bytes.
    pub digest: [u8; 32],
}

impl PasswordHash {
    /// Hashes `password` with today's parameters. `None` if the memory for it cannot be had.
    pub fn of(password: &Password, salt: [u8; 16]) -> Option<Self> {
        let digest = digest(password, &salt, MEMORY_KIB, PASSES)?;
        Some(Self {
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            salt,
            digest,
        })
    }

    /// One that no password has, for taking as long over an unknown name as over a known one.
    pub const fn of_nobody() -> Self {
        Self {
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            salt: [0; 16],
            digest: [0; 32],
        }
    }

    /// Whether this is the hash of `password`.
    pub fn fits(&self, password: &Password) -> bool {
        if self.memory_kib > MEMORY_KIB_MAX {
            return false;
        }
        digest(password, &self.salt, self.memory_kib, self.passes)
            .is_some_and(|digest| bool::from(digest.ct_eq(&self.digest)))
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(redacted)")
    }
}

fn digest(password: &Password, salt: &[u8; 16], memory_kib: u32, passes: u32) -> Option<[u8; 32]> {
    let params = Params::new(memory_kib, passes, 1, Some(32)).ok()?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut out = [0; 32];
    let done = argon2.hash_password_into(password.reveal().as_bytes(), salt, &mut out);
    done.ok().map(|()| out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_fits_its_password_alone() {
        let chosen = Password::choose("four words in a row").unwrap();
        let hash = PasswordHash::of(&chosen, [7; 16]).unwrap();
        assert!(hash.fits(&chosen));
        assert!(!hash.fits(&Password::choose("four words in a raw").unwrap()));
        assert!(!PasswordHash::of_nobody().fits(&chosen));
        let other = PasswordHash::of(&chosen, [8; 16]).unwrap();
        assert_ne!(hash.digest, other.digest, "the salt counts");
        let greedy = PasswordHash {
            memory_kib: u32::MAX,
            ..hash
        };
        assert!(!greedy.fits(&chosen), "a damaged record takes no memory");
    }

    #[test]
    fn the_hash_is_the_one_of_rfc_9106() {
        // Made with the reference implementation: echo -n password |
        // argon2 saltsaltsaltsalt -id -v 13 -t 2 -k 19456 -p 1 -l 32 -r
        let hash = PasswordHash::of(&Password::typed("password").unwrap(), *b"saltsaltsaltsalt");
        let digits = interlock_journal::hex::encode(&hash.unwrap().digest);
        expect_test::expect!["4fde6aed2db4e6d7fd588e078583990c842630c01b9ed69c1974c892ed205d3f"]
            .assert_eq(&digits);
    }

    #[test]
    fn passwords_have_limits_and_do_not_print_themselves() {
        assert_eq!(
            Password::choose("elevenchars").unwrap_err(),
            PasswordError::TooShort
        );
        assert_eq!(
            Password::choose(&"x".repeat(257)).unwrap_err(),
            PasswordError::TooLong
        );
        assert!(Password::choose("一二三四五六七八九十甲乙").is_ok());
        assert!(
            Password::typed("short").is_some(),
            "logging in is not choosing"
        );
        let mut random = [0; PASSWORD_RANDOM_BYTES];
        for (byte, at) in random.iter_mut().zip(0_u8..) {
            *byte = at.wrapping_mul(37);
        }
        let made = Password::generate(&random);
        expect_test::expect!["05afm-sy38d-jqw16-bgntz"].assert_eq(made.reveal());
        assert!(Password::choose(made.reveal()).is_ok());
        assert_eq!(format!("{made:?}"), "Password(redacted)");
    }
}
