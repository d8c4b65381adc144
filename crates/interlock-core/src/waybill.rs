//! Waybills: a carrier and the number it gave a parcel.
//!
//! INVARIANT: a [`Waybill`] fits the pattern of its carrier, if the carrier is one of the known ones,
//! and is upper-case letters and digits in any case. It is pseudonymous record data: whoever works
//! with the parcel may see it, so it has accessors but no `Display`, and its `Debug` shows the carrier
//! and the last four characters only, because pages' titles, addresses and logs must not hold it.
//!
//! This module does not know whether a number was ever issued. Carriers reuse numbers; telling the
//! parcels of one waybill apart is [`crate::parcel::generation_for`].

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

/// Longest code of a carrier, in characters.
pub const CARRIER_CODE_LENGTH_MAX: usize = 16;
/// Longest number of a waybill, in characters.
pub const WAYBILL_NUMBER_LENGTH_MAX: usize = 32;
/// Shortest number of a waybill of a carrier whose pattern is unknown, in characters.
pub const WAYBILL_NUMBER_LENGTH_MIN: usize = 8;

/// Text of at most `N` bytes, kept in place: millions of waybills are in flight.
/// INVARIANT: ASCII without NUL, padded with NUL, so that the order of bytes is that of the text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Text<const N: usize>([u8; N]);

impl<const N: usize> Text<N> {
    fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; N];
        bytes
            .get_mut(..text.len())?
            .copy_from_slice(text.as_bytes());
        Some(Self(bytes))
    }

    fn as_str(&self) -> &str {
        let end = self.0.iter().position(|b| *b == 0).unwrap_or(N);
        self.0
            .get(..end)
            .and_then(|bytes| core::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }
}

impl<const N: usize> Serialize for Text<N> {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

/// Why a text is no waybill. It does not repeat the number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaybillError {
    /// The carrier's code is no name.
    #[error(
        "`{input}` is no carrier code: write 2 to 16 lower-case letters and digits, such as `sf`"
    )]
    Carrier {
        /// What came, shortened to 32 characters.
        input: String,
    },
    /// The number does not fit the carrier's pattern.
    #[error("not a waybill number of `{carrier}`: write {expected}, or check the carrier")]
    Pattern {
        /// The carrier.
        carrier: CarrierCode,
        /// The pattern in words.
        expected: &'static str,
    },
    /// The form is right and the check digit is not.
    #[error(
        "the check digit of this waybill number of `{carrier}` is wrong: scan or type it again"
    )]
    CheckDigit {
        /// The carrier.
        carrier: CarrierCode,
    },
    /// The text is not `carrier/number`.
    #[error("no carrier given: write carrier and number with a slash between, such as `sf/...`")]
    NoCarrier,
}

/// The name by which a carrier is known here, such as `sf`, `jd`, `zto`, `sto`, `yto`, `yunda`,
/// `ems`; others are allowed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CarrierCode(Text<CARRIER_CODE_LENGTH_MAX>);

impl CarrierCode {
    /// Checks and takes `text`: 2 to 16 lower-case ASCII letters and digits.
    ///
    /// # Errors
    /// [`WaybillError::Carrier`] for anything else.
    pub fn parse(text: &str) -> Result<Self, WaybillError> {
        let good = text.len() >= 2
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        Some(text)
            .filter(|_| good)
            .and_then(Text::new)
            .map(Self)
            .ok_or_else(|| WaybillError::Carrier {
                input: text.chars().take(32).collect(),
            })
    }

    /// The code, such as `sf`.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether the pattern of this carrier's numbers is known and enforced.
    pub fn is_known(&self) -> bool {
        KNOWN.iter().any(|known| known.code == self.as_str())
    }
}

impl TryFrom<String> for CarrierCode {
    type Error = WaybillError;
    fn try_from(text: String) -> Result<Self, WaybillError> {
        Self::parse(&text)
    }
}

impl fmt::Display for CarrierCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CarrierCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A carrier and the number it gave a parcel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Waybill {
    carrier: CarrierCode,
    number: Text<WAYBILL_NUMBER_LENGTH_MAX>,
}

/// A waybill as it is stored, before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(rename = "Waybill")]
struct RawWaybill<'a> {
    #[serde(borrow)]
    carrier: Cow<'a, str>,
    #[serde(borrow)]
    number: Cow<'a, str>,
}

impl<'de> Deserialize<'de> for Waybill {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let raw = RawWaybill::deserialize(d)?;
        Self::parse(&raw.carrier, &raw.number).map_err(serde::de::Error::custom)
    }
}

impl Waybill {
    /// Checks and takes a carrier's code and a number. Lower-case letters of the number are taken
    /// as upper-case ones. The pattern of a known carrier is enforced, the check digit of UPU S10
    /// included; of another carrier 8 to 32 letters and digits are taken.
    ///
    /// # Errors
    /// [`WaybillError`], which says what the number should look like.
    pub fn parse(carrier: &str, number: &str) -> Result<Self, WaybillError> {
        let carrier = CarrierCode::parse(carrier)?;
        let known = KNOWN.iter().find(|known| known.code == carrier.as_str());
        let expected = known.map_or("8 to 32 letters and digits", |known| known.expected);
        let pattern = || WaybillError::Pattern { carrier, expected };
        let number = canonical(number).ok_or_else(pattern)?;
        let fit = known.map_or_else(
            || Fit::of(number.as_str().len() >= WAYBILL_NUMBER_LENGTH_MIN),
            |known| (known.fit)(number.as_str()),
        );
        match fit {
            Fit::Yes => Ok(Self { carrier, number }),
            Fit::No => Err(pattern()),
            Fit::CheckDigit => Err(WaybillError::CheckDigit { carrier }),
        }
    }

    /// Parses what [`Waybill::to_text`] writes.
    ///
    /// # Errors
    /// [`WaybillError`] as for [`Waybill::parse`], or if there is no slash.
    pub fn parse_text(text: &str) -> Result<Self, WaybillError> {
        let (carrier, number) = text.split_once('/').ok_or(WaybillError::NoCarrier)?;
        Self::parse(carrier, number)
    }

    /// The known carriers whose pattern the number fits, in the order of how much the pattern says.
    /// A heuristic: none proves the carrier, and an empty answer means that the caller has to name
    /// it.
    pub fn guess(number: &str) -> Vec<CarrierCode> {
        let Some(number) = canonical(number) else {
            return Vec::new();
        };
        KNOWN
            .iter()
            .filter(|known| matches!((known.fit)(number.as_str()), Fit::Yes))
            .filter_map(|known| Text::new(known.code).map(CarrierCode))
            .collect()
    }

    /// The carrier.
    pub const fn carrier(&self) -> CarrierCode {
        self.carrier
    }

    /// The number, for whoever works with the parcel; never for logs, titles or addresses of pages.
    pub fn number(&self) -> &str {
        self.number.as_str()
    }

    /// `sf/SF1234567890123`, for whoever works with the parcel; as restricted as
    /// [`Waybill::number`].
    pub fn to_text(&self) -> String {
        alloc::format!("{}/{}", self.carrier, self.number())
    }
}

/// The carrier and the last four characters: enough to recognise, too little to look it up.
impl fmt::Debug for Waybill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number();
        let tail = number
            .get(number.len().saturating_sub(4)..)
            .unwrap_or_default();
        write!(f, "Waybill({}/*{tail})", self.carrier)
    }
}

/// The number in upper case, if it is letters and digits and not too long.
fn canonical(number: &str) -> Option<Text<WAYBILL_NUMBER_LENGTH_MAX>> {
    if !number.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let mut text = Text::new(number)?;
    text.0.make_ascii_uppercase();
    Some(text)
}

/// How a number relates to a carrier's pattern.
enum Fit {
    Yes,
    No,
    CheckDigit,
}

impl Fit {
    const fn of(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }
}

/// A carrier whose pattern is known.
struct Known {
    code: &'static str,
    expected: &'static str,
    fit: fn(&str) -> Fit,
}

/// Patterns seen in the field, the most telling first. They are heuristics of what carriers print,
/// except UPU S10, which is a standard.
const KNOWN: [Known; 7] = [
    Known {
        code: "sf",
        expected: "`SF` and 13 digits",
        fit: |n| Fit::of(n.strip_prefix("SF").is_some_and(|d| digits(d, 13..=13))),
    },
    Known {
        code: "jd",
        expected: "`JDX` or `JDK` and 12 digits, or `JDV`, a letter and 11 digits",
        fit: |n| Fit::of(is_jd(n)),
    },
    Known {
        code: "ems",
        expected: "2 letters, 9 digits and 2 letters, such as `RB123456785GB` (UPU S10)",
        fit: s10,
    },
    Known {
        code: "sto",
        expected: "`773` and 9 to 13 digits",
        fit: |n| Fit::of(n.strip_prefix("773").is_some_and(|d| digits(d, 9..=13))),
    },
    Known {
        code: "zto",
        expected: "14 digits",
        fit: |n| Fit::of(digits(n, 14..=14)),
    },
    Known {
        code: "yunda",
        expected: "13 or 15 digits",
        fit: |n| Fit::of(digits(n, 13..=13) || digits(n, 15..=15)),
    },
    Known {
        code: "yto",
        expected: "2 letters or digits and 10 to 13 digits",
        fit: |n| Fit::of(n.get(2..).is_some_and(|d| digits(d, 10..=13))),
    },
];

fn digits(text: &str, length: core::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_jd(number: &str) -> bool {
    let retail = ["JDX", "JDK"].iter().any(|prefix| {
        number
            .strip_prefix(prefix)
            .is_some_and(|d| digits(d, 12..=12))
    });
    let parcel = number.strip_prefix("JDV").is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_uppercase())
            && rest.get(1..).is_some_and(|d| digits(d, 11..=11))
    });
    retail || parcel
}

/// UPU S10: weights 8 6 4 2 3 5 9 7 over eight digits; the check digit is 11 less the sum modulo
/// 11, where 10 is written 0 and 11 is written 5.
fn s10(number: &str) -> Fit {
    const WEIGHTS: [u32; 8] = [8, 6, 4, 2, 3, 5, 9, 7];
    let (Some(service), Some(serial), Some(check), Some(country)) = (
        number.get(..2),
        number.get(2..10),
        number.get(10..11),
        number.get(11..),
    ) else {
        return Fit::No;
    };
    let letters = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
    if !(letters(service) && letters(country) && digits(serial, 8..=8) && digits(check, 1..=1)) {
        return Fit::No;
    }
    let sum: u32 = serial
        .bytes()
        .zip(WEIGHTS)
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    let wanted = match 11 - sum % 11 {
        10 => 0,
        11 => 5,
        digit => digit,
    };
    if check.bytes().map(|b| u32::from(b - b'0')).eq([wanted]) {
        Fit::Yes
    } else {
        Fit::CheckDigit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn codes(number: &str) -> Vec<String> {
        Waybill::guess(number)
            .iter()
            .map(|c| c.as_str().into())
            .collect()
    }

    #[test]
    fn known_carriers_have_patterns() {
        for (carrier, good, bad) in [
            ("sf", "SF1234567890123", "SF123456789012"),
            ("jd", "JDX123456789012", "JDA123456789012"),
            ("jd", "JDVA12345678901", "JDV112345678901"),
            ("zto", "75312345678901", "7531234567890"),
            ("sto", "773123456789", "77312345678"),
            ("sto", "7731234567890123", "77312345678901234"),
            ("yto", "YT1234567890", "YTA234567890"),
            ("yto", "YT1234567890123", "YT12345678901234"),
            ("yunda", "4312345678901", "43123456789012"),
            ("yunda", "431234567890123", "4312345678901A"),
            ("ems", "RB123456785GB", "R1123456785GB"),
            ("ems", "RB123456785GB", "RB1234567859B"),
        ] {
            let waybill = Waybill::parse(carrier, good).unwrap();
            assert_eq!(waybill.number(), good);
            assert_eq!(waybill.to_text(), alloc::format!("{carrier}/{good}"));
            assert_eq!(Waybill::parse_text(&waybill.to_text()), Ok(waybill));
            let error = Waybill::parse(carrier, bad).unwrap_err();
            assert!(matches!(error, WaybillError::Pattern { .. }), "{bad}");
            assert!(!alloc::format!("{error}").contains(bad), "{error}");
        }
    }

    #[test]
    fn check_digits_of_s10() {
        // By hand: 47312482 weighs 200, 200 mod 11 = 2, 11 - 2 = 9. 00000000 gives 11, written 5.
        // 00000003 weighs 21, 21 mod 11 = 10, 1. 10000001 weighs 15, 4, 7. 00000011 weighs 16, 5, 6.
        // 00000008 weighs 56, 56 mod 11 = 1, 10, written 0.
        for good in [
            "RB123456785GB",
            "EE473124829CN",
            "EA000000005CN",
            "EA000000031CN",
            "EA100000017CN",
            "EA000000116CN",
            "EA000000080CN",
        ] {
            assert!(Waybill::parse("ems", good).is_ok(), "{good}");
            for digit in '0'..='9' {
                let other = alloc::format!("{}{digit}{}", &good[..10], &good[11..]);
                let result = Waybill::parse("ems", &other);
                if other == good {
                    assert!(result.is_ok());
                } else {
                    assert!(matches!(result, Err(WaybillError::CheckDigit { .. })));
                }
            }
        }
    }

    #[test]
    fn other_carriers_are_taken_within_bounds() {
        assert!(Waybill::parse("best", "AB12CD34").is_ok());
        assert!(Waybill::parse("best", &"9".repeat(32)).is_ok());
        for bad in [
            "",
            "AB12CD3",
            &"9".repeat(33),
            "AB12-CD34",
            "AB12 CD34",
            "运单12345678",
        ] {
            assert!(Waybill::parse("best", bad).is_err(), "{bad}");
        }
        for bad in ["", "s", "SF", "s f", "sf/", "顺丰", &"a".repeat(17)] {
            let error = Waybill::parse(bad, "SF1234567890123").unwrap_err();
            assert!(matches!(error, WaybillError::Carrier { .. }), "{bad}");
        }
        assert_eq!(
            Waybill::parse_text("SF1234567890123"),
            Err(WaybillError::NoCarrier)
        );
    }

    #[test]
    fn guesses_do_not_prove() {
        assert_eq!(codes("SF1234567890123"), ["sf", "yto"]);
        assert_eq!(codes("sf1234567890123"), ["sf", "yto"]);
        assert_eq!(codes("77312345678901"), ["sto", "zto", "yto"]);
        assert_eq!(codes("RB123456785GB"), ["ems"]);
        assert_eq!(codes("RB123456784GB"), Vec::<String>::new());
        assert_eq!(codes("hello"), Vec::<String>::new());
        assert_eq!(codes("1234567 89012"), Vec::<String>::new());
    }

    #[test]
    fn debug_shows_the_last_four_only() {
        let waybill = Waybill::parse("sf", "SF1234567890123").unwrap();
        assert_eq!(alloc::format!("{waybill:?}"), "Waybill(sf/*0123)");
    }

    #[test]
    fn stored_form_is_frozen_and_checked() {
        let waybill = Waybill::parse("sf", "SF1234567890123").unwrap();
        let bytes = postcard::to_allocvec(&waybill).unwrap();
        assert_eq!(bytes, b"\x02sf\x0fSF1234567890123");
        assert_eq!(postcard::from_bytes::<Waybill>(&bytes), Ok(waybill));
        assert!(postcard::from_bytes::<Waybill>(b"\x02sf\x0fSF123456789012X").is_err());
        let json = serde_json::to_string(&waybill).unwrap();
        assert_eq!(json, r#"{"carrier":"sf","number":"SF1234567890123"}"#);
        assert_eq!(serde_json::from_str::<Waybill>(&json).unwrap(), waybill);
        for bad in [
            r#"{"carrier":"sf","number":"1"}"#,
            r#"{"carrier":"sf"}"#,
            r#"{"carrier":"sf","number":"SF1234567890123","x":1}"#,
        ] {
            assert!(serde_json::from_str::<Waybill>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn order_is_that_of_the_text() {
        let mut all = [
            Waybill::parse("yto", "YT1234567890").unwrap(),
            Waybill::parse("best", "ABCDEFGH").unwrap(),
            Waybill::parse("best", "ABCDEFG1").unwrap(),
            Waybill::parse("best", "ABCDEFGHI").unwrap(),
        ];
        all.sort();
        let texts: Vec<String> = all.iter().map(Waybill::to_text).collect();
        assert_eq!(
            texts,
            [
                "best/ABCDEFG1",
                "best/ABCDEFGH",
                "best/ABCDEFGHI",
                "yto/YT1234567890"
            ]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_waybill_round_trips(carrier in "[a-z0-9]{2,16}", number in "[A-Za-z0-9]{1,40}") {
            if let Ok(waybill) = Waybill::parse(&carrier, &number) {
                prop_assert_eq!(waybill.number(), number.to_ascii_uppercase());
                let bytes = postcard::to_allocvec(&waybill).unwrap();
                prop_assert_eq!(postcard::from_bytes::<Waybill>(&bytes), Ok(waybill));
            } else {
                prop_assert!(!(8..=32).contains(&number.len())
                    || CarrierCode::parse(&carrier).unwrap().is_known());
            }
        }

        #[test]
        fn what_is_guessed_parses(number in "(SF|JDX|JDVA|773|YT|)[0-9]{8,15}") {
            for carrier in Waybill::guess(&number) {
                prop_assert!(Waybill::parse(carrier.as_str(), &number).is_ok());
            }
        }
    }
}
