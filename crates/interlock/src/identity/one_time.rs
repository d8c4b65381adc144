//! One-time codes of people: RFC 6238 with SHA-1, six digits and steps of 30 seconds, which is what
//! every authenticator app can do.
//!
//! INVARIANT: a person's secret is derived from the node's seed and a random enrolment, so that no
//! journal and no backup holds one; a new enrolment ends the old secret. This module keeps no count
//! of tries and does not know which codes were used.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use interlock_core::time::Timestamp;
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::derived::Derived;
use super::url::segment;

/// Length of a step, in milliseconds.
pub const STEP_MS: i64 = 30_000;
/// Digits of a code.
pub const DIGITS: usize = 6;
/// Steps before and after the present one whose codes count too: a phone's clock is not ours.
const STEPS_ASIDE: i64 = 1;
/// Bytes of a secret (RFC 4226 section 4, R6).
const SECRET_BYTES: usize = 20;
/// RFC 4648 section 6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Derives the secrets of people.
#[derive(Clone)]
pub struct OneTimeCodes {
    secret: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for OneTimeCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeCodes(redacted)")
    }
}

impl OneTimeCodes {
    /// From the seed of the node's signing key, by a derivation of its own.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self {
            secret: Self::derive(seed),
        }
    }

    /// From what was derived from the node's first signing key.
    pub fn from_derived(derived: &Derived) -> Self {
        Self {
            secret: derived.codes.clone(),
        }
    }

    pub(super) fn derive(seed: &[u8; 32]) -> Zeroizing<[u8; 32]> {
        mac256(seed, b"interlock one-time codes 1")
    }

    /// The secret of an enrolment in base 32, for an authenticator app.
    pub fn reveal(&self, enrolment: &[u8; 16]) -> Zeroizing<String> {
        base32(self.secret_of(enrolment).as_ref())
    }

    /// The code at an instant.
    pub fn code(&self, enrolment: &[u8; 16], at: Timestamp) -> String {
        code_of(self.secret_of(enrolment).as_ref(), step_of(at))
    }

    /// The step whose code `typed` is, if it is one that counts at `at` and later than `used`.
    pub fn step(
        &self,
        enrolment: &[u8; 16],
        typed: &str,
        at: Timestamp,
        used: Option<i64>,
    ) -> Option<i64> {
        let typed: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
        let secret = self.secret_of(enrolment);
        let now = step_of(at);
        let mut fits = (now - STEPS_ASIDE..=now + STEPS_ASIDE)
            .filter(|step| used.is_none_or(|used| *step > used))
            .filter(|step| {
                bool::from(
                    code_of(secret.as_ref(), *step)
                        .as_bytes()
                        .ct_eq(typed.as_bytes()),
                )
            });
        fits.next_back()
    }

    fn secret_of(&self, enrolment: &[u8; 16]) -> Zeroizing<[u8; SECRET_BYTES]> {
        let full = mac256(self.secret.as_ref(), enrolment);
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        for (to, from) in secret.iter_mut().zip(full.iter()) {
            *to = *from;
        }
        secret
    }
}

/// The address by which an authenticator app takes a secret up.
pub fn enrolment_uri(publisher: &str, person: &str, secret: &str) -> Zeroizing<String> {
    let issuer = segment(publisher);
    Zeroizing::new(format!(
        "otpauth://totp/{issuer}:{}?secret={secret}&issuer={issuer}",
        segment(person)
    ))
}

fn step_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(STEP_MS)
}

/// RFC 4226 section 5.3.
fn code_of(secret: &[u8], step: i64) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret) else {
        return String::new();
    };
    mac.update(&step.to_be_bytes());
    let full = mac.finalize().into_bytes();
    let offset = usize::from(full.last().copied().unwrap_or(0) & 15);
    let four = full.iter().skip(offset).take(4);
    let number = four.fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
    format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
}

fn mac256(key: &[u8], text: &[u8]) -> Zeroizing<[u8; 32]> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Zeroizing::new([0; 32]);
    };
    mac.update(text);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

fn base32(bytes: &[u8]) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::new());
    for five in bytes.chunks(5) {
        let bits = five
            .iter()
            .fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        let bits = bits << (8 * (5 - five.len()));
        for at in 0..(five.len() * 8).div_ceil(5) {
            let index = usize::try_from((bits >> (35 - 5 * at)) & 31).unwrap_or(0);
            out.push(char::from(BASE32.get(index).copied().unwrap_or(b'A')));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENROLMENT: [u8; 16] = [4; 16];

    fn codes() -> OneTimeCodes {
        OneTimeCodes::from_seed(&[7; 32])
    }

    /// RFC 6238 appendix B, the last six of its eight digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = b"12345678901234567890";
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            let step = step_of(Timestamp::from_millis(seconds * 1_000));
            assert_eq!(code_of(secret, step), code);
        }
        assert_eq!(base32(b"foobar").as_str(), "MZXW6YTBOI");
    }

    #[test]
    fn a_code_counts_for_a_moment_and_once() {
        let at = Timestamp::from_millis(1_496_246_400_000);
        let code = codes().code(&ENROLMENT, at);
        let step = codes().step(&ENROLMENT, &code, at, None).unwrap();
        let spaced = format!("{} {}", &code[..3], &code[3..]);
        assert!(codes().step(&ENROLMENT, &spaced, at, None).is_some());
        let close = at.plus_ms(STEP_MS);
        assert!(codes().step(&ENROLMENT, &code, close, None).is_some());
        assert_eq!(codes().step(&ENROLMENT, &code, at, Some(step)), None);
        let late = at.plus_ms(2 * STEP_MS);
        assert_eq!(codes().step(&ENROLMENT, &code, late, None), None);
        for wrong in ["", "000000x", "１２３４５６"] {
            assert_eq!(codes().step(&ENROLMENT, wrong, at, None), None);
        }
        assert_ne!(
            codes().code(&[5; 16], at),
            code,
            "another enrolment, another secret"
        );
        assert_eq!(format!("{:?}", codes()), "OneTimeCodes(redacted)");
    }

    #[test]
    fn the_derivation_is_frozen() {
        let secret = codes().reveal(&ENROLMENT);
        expect_test::expect!["PTTFFTP3QD7NS4J7O36DDHOF27FATEL3"].assert_eq(&secret);
        let uri = enrolment_uri("丰巢", "li.lei", "ABC");
        assert_eq!(
            uri.as_str(),
            "otpauth://totp/%E4%B8%B0%E5%B7%A2:li.lei?secret=ABC&issuer=%E4%B8%B0%E5%B7%A2"
        );
    }
}
