//! Personal data of recipients: phone, name, address, and the forms in which a contact may leave.
//!
//! INVARIANT: none of these types prints what it holds; [`Phone::masked`] is the only text of a phone
//! that is fit for people who need not call it (GB/T 41833-2022: at least six digits hidden).

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

/// A telephone number in E.164 form: `+` and 8 to 15 digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Phone(String);

/// Why a text is no telephone number. It does not repeat the input: a typing error is still
/// personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a telephone number; write 11 digits of a Chinese mobile or E.164 with `+` and country code"
)]
pub struct PhoneError;

impl Phone {
    /// Parses an 11-digit Chinese mobile number (`1` then `3` to `9`) or E.164 with `+`.
    ///
    /// # Errors
    /// [`PhoneError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, PhoneError> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(PhoneError);
        }
        let international = text.starts_with('+');
        let mobile = |d: &str| {
            d.len() == 11
                && d.starts_with('1')
                && d.as_bytes()
                    .get(1)
                    .is_some_and(|b| (b'3'..=b'9').contains(b))
        };
        if international && (8..=15).contains(&digits.len()) && !digits.starts_with('0') {
            if digits
                .strip_prefix("86")
                .is_some_and(|rest| rest.starts_with('1') && !mobile(rest))
            {
                return Err(PhoneError);
            }
            return Ok(Self(alloc::format!("+{digits}")));
        }
        if !international && mobile(digits) {
            return Ok(Self(alloc::format!("+86{digits}")));
        }
        Err(PhoneError)
    }

    /// The number in E.164, for whoever may call it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Its digits as a whole number, of which E.164 has at most 15.
    pub fn digits(&self) -> u64 {
        let digits = self.0.bytes().filter(u8::is_ascii_digit);
        digits.fold(0, |number, digit| {
            number * 10 + u64::from(digit.saturating_sub(b'0'))
        })
    }

    /// `*******1234`: the last four digits (GB/T 41833-2022 hides six or more).
    pub fn masked(&self) -> String {
        let tail = self
            .0
            .get(self.0.len().saturating_sub(4)..)
            .unwrap_or_default();
        alloc::format!("*******{tail}")
    }
}

/// Most numbers of a range.
pub const RANGE_NUMBERS_MAX: u64 = 100_000;

/// Numbers in a row that a telephone network leased to us, such as `+8617000000000-+8617000000999`. None
/// of them is anybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberRange {
    first: u64,
    last: u64,
}

/// Why a text is no range of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a range of telephone numbers; write the first and the last in E.164, such as `+8617000000000-+8617000000999`, at most 100,000 of one length"
)]
pub struct NumberRangeError;

impl NumberRange {
    /// Reads the first and the last number, joined by `-`.
    ///
    /// # Errors
    /// [`NumberRangeError`] unless both are numbers in E.164, of one length and in order, and all between
    /// them are at most [`RANGE_NUMBERS_MAX`].
    pub fn parse(text: &str) -> Result<Self, NumberRangeError> {
        let (first, last) = text.split_once('-').ok_or(NumberRangeError)?;
        if !first.starts_with('+') || !last.starts_with('+') || first.len() != last.len() {
            return Err(NumberRangeError);
        }
        let digits = |text| Phone::parse(text).map(|phone| phone.digits());
        let (Ok(first), Ok(last)) = (digits(first), digits(last)) else {
            return Err(NumberRangeError);
        };
        let count = last.checked_sub(first).ok_or(NumberRangeError)?;
        let range = Self { first, last };
        (count < RANGE_NUMBERS_MAX)
            .then_some(range)
            .ok_or(NumberRangeError)
    }

    /// The digits of its first and of its last number.
    pub const fn ends(self) -> (u64, u64) {
        (self.first, self.last)
    }

    /// Whether a number with these digits is one of them.
    pub const fn contains(self, digits: u64) -> bool {
        self.first <= digits && digits <= self.last
    }
}

impl TryFrom<String> for Phone {
    type Error = PhoneError;
    fn try_from(text: String) -> Result<Self, PhoneError> {
        Self::parse(&text)
    }
}

impl From<Phone> for String {
    fn from(phone: Phone) -> String {
        phone.0
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(redacted)")
    }
}

/// The recipient of a parcel as its owner knows them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Name, at most 128 bytes.
    pub name: String,
    /// Telephone number.
    pub phone: Phone,
    /// Postal address, at most 512 bytes.
    pub address: String,
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recipient(redacted)")
    }
}

/// Form of a released contact, from the most to the least restrictive. The order is what
/// "most restrictive form that serves the purpose" means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContactForm {
    /// `*******1234`: shows that there is a contact; nobody can be called with it.
    Masked,
    /// Encrypted to a messenger's key; the consumer relays what it cannot read.
    Sealed,
    /// A number leased for this parcel, with an extension and an expiry.
    Virtual,
    /// The number itself.
    Full,
}

impl ContactForm {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Masked => "masked",
            Self::Sealed => "sealed",
            Self::Virtual => "virtual",
            Self::Full => "full",
        }
    }

    /// Whether a message can be sent to the recipient with it.
    pub const fn can_notify(self) -> bool {
        match self {
            Self::Masked => false,
            Self::Sealed | Self::Virtual | Self::Full => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_of_numbers_in_a_row() {
        let range = NumberRange::parse("+8617000000000-+8617000000999").unwrap();
        assert_eq!(range.ends(), (8_617_000_000_000, 8_617_000_000_999));
        let one = Phone::parse("17000000999").unwrap();
        assert!(range.contains(one.digits()));
        assert!(!range.contains(one.digits() + 1));
        assert!(NumberRange::parse("+8617000000000-+8617000000000").is_ok());
        for wrong in [
            "",
            "+8617000000000",
            "17000000000-17000000999",
            "+8617000000999-+8617000000000",
            "+8617000000000-+8617000100000",
            "+869500000-+8695000009",
            "+8612000000000-+8612000000009",
            "+8617000000000-+8617000000009-+8617000000019",
        ] {
            assert_eq!(NumberRange::parse(wrong), Err(NumberRangeError), "{wrong}");
        }
    }

    #[test]
    fn phones_are_parsed_and_masked() {
        let phone = Phone::parse("13812341234").unwrap();
        assert_eq!(phone, Phone::parse("+8613812341234").unwrap());
        assert_eq!(phone.masked(), "*******1234");
        assert_eq!(alloc::format!("{phone:?}"), "Phone(redacted)");
        for bad in [
            "",
            "1381234123",
            "23812341234",
            "138123412345",
            "+",
            "+12",
            "138-1234",
            "+8612345678901",
        ] {
            assert!(Phone::parse(bad).is_err(), "{bad}");
        }
    }
}
