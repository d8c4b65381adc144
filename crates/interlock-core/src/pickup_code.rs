//! Pickup codes: six digits that open one compartment, once.
//!
//! INVARIANT: a code leaves a [`PickupCode`] only through [`PickupCode::reveal`]; it has no serde
//! form, no `Display`, and its `Debug` is redacted. What is kept to verify it is a [`StoredCode`].
//!
//! A salted hash of six digits does not withstand whoever holds it: a million tries are quick. It
//! keeps codes out of dumps, logs and sight; that codes cannot be guessed at a cabinet is the work of
//! the tries in [`crate::locker`]. This module does not know which codes are in use: two parcels at
//! one station must not share one, so the caller draws again on a clash.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// How many codes there are.
const CODES: u64 = 1_000_000;
/// Draws at or above this would make some codes likelier than others.
const DRAW_END: u64 = u64::MAX - u64::MAX % CODES;
/// Separates this hash from every other use of SHA-256.
const HASH_CONTEXT: &[u8] = b"interlock pickup-code v1\0";

/// Six digits that open a compartment.
#[derive(Clone)]
pub struct PickupCode([u8; 6]);

/// Why a text is no pickup code. It does not repeat the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a pickup code; type the 6 digits of the newest message")]
pub struct PickupCodeError;

impl PickupCode {
    /// The code that belongs to `draw`, 64 random bits. All codes are equally likely because the
    /// few draws that do not divide evenly (one in 2^44) give `None`: draw again.
    pub fn from_draw(draw: u64) -> Option<Self> {
        if draw >= DRAW_END {
            return None;
        }
        let mut rest = draw % CODES;
        let mut digits = [b'0'; 6];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).ok()?;
            rest /= 10;
        }
        Some(Self(digits))
    }

    /// Parses six ASCII digits.
    ///
    /// # Errors
    /// [`PickupCodeError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, PickupCodeError> {
        let digits: [u8; 6] = text.as_bytes().try_into().map_err(|_| PickupCodeError)?;
        if digits.iter().all(u8::is_ascii_digit) {
            Ok(Self(digits))
        } else {
            Err(PickupCodeError)
        }
    }

    /// The six digits, for the message to the recipient and for what the terms allow.
    pub fn reveal(&self) -> String {
        self.0.iter().map(|b| char::from(*b)).collect()
    }

    /// What is kept to verify the code later. `salt` is random, new for each code.
    pub fn store(&self, salt: [u8; 8]) -> StoredCode {
        StoredCode {
            salt,
            hash: self.hash(&salt),
        }
    }

    fn hash(&self, salt: &[u8; 8]) -> [u8; 16] {
        let full = Sha256::new()
            .chain_update(HASH_CONTEXT)
            .chain_update(salt)
            .chain_update(self.0)
            .finalize();
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(full) {
            *to = from;
        }
        short
    }
}

/// In constant time.
impl ConstantTimeEq for PickupCode {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl PartialEq for PickupCode {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for PickupCode {}

impl fmt::Debug for PickupCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PickupCode(redacted)")
    }
}

/// What is kept of a code: a salt and the first 16 bytes of
/// SHA-256(`interlock pickup-code v1`, NUL, salt, digits). Sixteen bytes, because the code has 20 bits
/// and a parcel in flight has to be small.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCode {
    salt: [u8; 8],
    hash: [u8; 16],
}

impl StoredCode {
    /// Stands for a code that is kept elsewhere: no code matches it.
    pub const ELSEWHERE: Self = Self {
        salt: [0; 8],
        hash: [0; 16],
    };

    /// Whether `code` is the one that was stored, compared in constant time.
    pub fn matches(&self, code: &PickupCode) -> bool {
        *self != Self::ELSEWHERE && bool::from(code.hash(&self.salt).ct_eq(&self.hash))
    }
}

impl fmt::Debug for StoredCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredCode(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn draws_map_evenly() {
        let text = |draw| PickupCode::from_draw(draw).map(|code| code.reveal());
        assert_eq!(text(0).as_deref(), Some("000000"));
        assert_eq!(text(42).as_deref(), Some("000042"));
        assert_eq!(text(1_999_999).as_deref(), Some("999999"));
        assert_eq!(DRAW_END % CODES, 0);
        assert_eq!(text(DRAW_END - 1).as_deref(), Some("999999"));
        assert_eq!(text(DRAW_END), None);
        assert_eq!(text(u64::MAX), None);
    }

    #[test]
    fn only_six_digits_parse() {
        for bad in ["", "12345", "1234567", "12345a", "１２３４５６", "12 456"] {
            assert_eq!(PickupCode::parse(bad), Err(PickupCodeError), "{bad}");
        }
    }

    #[test]
    fn nothing_prints_the_code() {
        let code = PickupCode::parse("123456").unwrap();
        let stored = code.store([7; 8]);
        assert_eq!(alloc::format!("{code:?}"), "PickupCode(redacted)");
        assert_eq!(alloc::format!("{stored:?}"), "StoredCode(redacted)");
    }

    #[test]
    fn no_code_matches_one_that_is_kept_elsewhere() {
        let code = PickupCode::parse("000000").unwrap();
        assert!(!StoredCode::ELSEWHERE.matches(&code));
        let blank = StoredCode {
            salt: [0; 8],
            hash: code.hash(&[0; 8]),
        };
        assert!(blank.matches(&code));
    }

    #[test]
    fn stored_form_is_frozen() {
        let stored = PickupCode::parse("123456").unwrap().store([7; 8]);
        let bytes = postcard::to_allocvec(&stored).unwrap();
        expect_test::expect!["07070707070707076dd9e73845578a08b56ffed720c5b199"]
            .assert_eq(&hex(&bytes));
        assert_eq!(postcard::from_bytes::<StoredCode>(&bytes), Ok(stored));
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| alloc::format!("{b:02x}")).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_stored_code_knows_its_own_only(a in 0..CODES, b in 0..CODES, salt: [u8; 8]) {
            let (code, other) = (PickupCode::from_draw(a).unwrap(), PickupCode::from_draw(b).unwrap());
            prop_assert_eq!(PickupCode::parse(&code.reveal()), Ok(code.clone()));
            let stored = code.store(salt);
            prop_assert!(stored.matches(&code));
            prop_assert_eq!(stored.matches(&other), a == b);
            let mut salted = salt;
            salted[0] ^= 1;
            prop_assert_ne!(code.store(salted), stored);
        }
    }
}
