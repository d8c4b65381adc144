//! Parcels: size, generation of a waybill, who owns the data, and what the recipient agreed to.
//!
//! INVARIANT: a parcel has at most one owner, and only a claim with a proof makes one: the carrier's
//! pre-advice or possession of the label's token. Claims that conflict leave nobody as owner.
//!
//! This module does not check who sent a claim; callers pass claims of authenticated participants.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::ids::{ParticipantId, StationId};
use crate::time::{DAY_MS, HOUR_MS, Timestamp, Zone};

/// Size class of a parcel or a compartment, the smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SizeClass {
    /// Class A, 8 x 38 x 64 cm.
    Small,
    /// Class B, 19 x 38 x 64 cm.
    Medium,
    /// Class C, 41 x 38 x 64 cm.
    Large,
}

/// Why a text is no size class.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{input}` is no size class: write `small`, `medium` or `large` (or `A`, `B`, `C`)")]
pub struct SizeClassError {
    /// What came, shortened to 32 characters.
    pub input: String,
}

impl SizeClass {
    /// All size classes, the smallest first.
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// The name on the wire, such as `small`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }

    /// Height, width and depth in centimetres.
    pub const fn dimensions_cm(self) -> [u16; 3] {
        match self {
            Self::Small => [8, 38, 64],
            Self::Medium => [19, 38, 64],
            Self::Large => [41, 38, 64],
        }
    }

    /// Parses `small`, `medium`, `large`, or the letters `A`, `B`, `C` that operators use.
    ///
    /// # Errors
    /// [`SizeClassError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, SizeClassError> {
        match text {
            "small" | "A" => Ok(Self::Small),
            "medium" | "B" => Ok(Self::Medium),
            "large" | "C" => Ok(Self::Large),
            other => Err(SizeClassError {
                input: other.chars().take(32).collect(),
            }),
        }
    }
}

impl fmt::Display for SizeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long after a parcel closed its waybill number may come again as the same parcel: 30 days.
pub const REUSE_AFTER_MS: i64 = 30 * DAY_MS;

/// Which of the parcels that had one waybill number, counted from 1: carriers reuse numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(u16);

impl Generation {
    /// The first parcel with a number.
    pub const FIRST: Self = Self(1);

    /// The number, from 1.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The next parcel with the same number. It stops at the last one, which is more than 5,000
    /// years of reuse away.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The newest parcel known for a waybill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastGeneration {
    /// Its generation.
    pub generation: Generation,
    /// When it was picked up, delivered or taken back for good; none while it is under way.
    pub closed_at: Option<Timestamp>,
}

/// The generation to which a waybill issued at `issued_at` belongs: a new one if the last parcel
/// closed at least [`REUSE_AFTER_MS`] before, else still the last one.
pub const fn generation_for(issued_at: Timestamp, last: Option<LastGeneration>) -> Generation {
    match last {
        None => Generation::FIRST,
        Some(last) => match last.closed_at {
            Some(closed_at) if issued_at.since_ms(closed_at) >= REUSE_AFTER_MS => {
                last.generation.next()
            }
            Some(_) | None => last.generation,
        },
    }
}

/// 128 random bits printed on the label: whoever shows them has seen the parcel or issued it.
#[derive(Clone)]
pub struct ClaimToken([u8; 16]);

/// Why a text is no claim token. It does not repeat the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a claim token; write the 32 lower-case hexadecimal digits of the label")]
pub struct ClaimTokenError;

impl ClaimToken {
    /// Takes 16 random bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Parses 32 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// [`ClaimTokenError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, ClaimTokenError> {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.bytes().all(hex) {
            return Err(ClaimTokenError);
        }
        u128::from_str_radix(text, 16)
            .map(|bits| Self(bits.to_be_bytes()))
            .map_err(|_| ClaimTokenError)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The 32 hexadecimal digits, for the label.
    pub fn reveal(&self) -> String {
        alloc::format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// What is stored and sent in place of the token. 128 random bits need no salt.
    pub fn hash(&self) -> ClaimTokenHash {
        let hash = Sha256::new()
            .chain_update(b"interlock claim-token v1\0")
            .chain_update(self.0)
            .finalize();
        ClaimTokenHash(hash.into())
    }
}

impl fmt::Debug for ClaimToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimToken(redacted)")
    }
}

/// SHA-256 of `interlock claim-token v1`, NUL and the token.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimTokenHash([u8; 32]);

impl ClaimTokenHash {
    /// Takes a stored hash.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether it is the hash of `token`, compared in constant time.
    pub fn matches(&self, token: &ClaimToken) -> bool {
        token.hash().0.ct_eq(&self.0).into()
    }
}

impl fmt::Debug for ClaimTokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimTokenHash(redacted)")
    }
}

/// What makes somebody the owner. The discriminants are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// The carrier's signed pre-advice says so.
    PreAdvice,
    /// It showed the token of the label.
    ClaimToken,
}

/// How many claimants are kept with a parcel. Who comes later is on record, not in this state.
pub const CLAIMANTS_MAX: usize = 4;

/// Who authorises a parcel's data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ownership {
    /// Nobody has proved it.
    Unclaimed {
        /// Who says so without proof, in the order of coming; at most [`CLAIMANTS_MAX`]. It opens
        /// nothing.
        bare: Vec<ParticipantId>,
    },
    /// One participant has proved it.
    Owned {
        /// The owner.
        owner: ParticipantId,
        /// The best proof so far.
        by: Proof,
    },
    /// More than one has proved it: nobody is fed, and people are told.
    Contested {
        /// Who, in the order of coming; at least two, at most [`CLAIMANTS_MAX`].
        claimants: Vec<ParticipantId>,
    },
}

/// A claim to a parcel.
#[derive(Clone, Debug)]
pub enum Claim<'a> {
    /// The carrier says in a signed pre-advice who the owner is.
    PreAdvice {
        /// The owner named.
        owner: &'a ParticipantId,
    },
    /// A participant shows the token of the label.
    Token {
        /// Who shows it.
        claimant: &'a ParticipantId,
        /// What it shows.
        token: &'a ClaimToken,
        /// The hash that came with the parcel, if any came.
        expected: Option<&'a ClaimTokenHash>,
    },
    /// A participant says so.
    Bare {
        /// Who says so.
        claimant: &'a ParticipantId,
    },
}

impl Default for Ownership {
    fn default() -> Self {
        Self::Unclaimed { bare: Vec::new() }
    }
}

impl Ownership {
    /// The owner, if there is exactly one with a proof. Only this opens anything.
    pub const fn owner(&self) -> Option<&ParticipantId> {
        match self {
            Self::Owned { owner, .. } => Some(owner),
            Self::Unclaimed { .. } | Self::Contested { .. } => None,
        }
    }

    /// The ownership after `claim`. A wrong token, or a token for a parcel that has none, counts as
    /// no more than a bare claim, so that the answer to it tells nothing.
    #[must_use]
    pub fn claim(&self, claim: &Claim<'_>) -> Self {
        match claim {
            Claim::PreAdvice { owner } => self.proved(owner, Proof::PreAdvice),
            Claim::Token {
                claimant,
                token,
                expected,
            } => {
                if expected.is_some_and(|hash| hash.matches(token)) {
                    self.proved(claimant, Proof::ClaimToken)
                } else {
                    self.said(claimant)
                }
            }
            Claim::Bare { claimant } => self.said(claimant),
        }
    }

    fn proved(&self, claimant: &ParticipantId, proof: Proof) -> Self {
        match self {
            Self::Unclaimed { .. } => Self::Owned {
                owner: claimant.clone(),
                by: proof,
            },
            Self::Owned { owner, by } if owner == claimant => Self::Owned {
                owner: owner.clone(),
                by: match proof {
                    Proof::PreAdvice => Proof::PreAdvice,
                    Proof::ClaimToken => *by,
                },
            },
            Self::Owned { owner, .. } => Self::Contested {
                claimants: alloc::vec![owner.clone(), claimant.clone()],
            },
            Self::Contested { claimants } => Self::Contested {
                claimants: with(claimants, claimant),
            },
        }
    }

    fn said(&self, claimant: &ParticipantId) -> Self {
        match self {
            Self::Unclaimed { bare } => Self::Unclaimed {
                bare: with(bare, claimant),
            },
            Self::Owned { .. } | Self::Contested { .. } => self.clone(),
        }
    }
}

/// `claimants` and `claimant` once, the earliest kept.
fn with(claimants: &[ParticipantId], claimant: &ParticipantId) -> Vec<ParticipantId> {
    let mut all = claimants.to_vec();
    if all.len() < CLAIMANTS_MAX && !all.contains(claimant) {
        all.push(claimant.clone());
    }
    all
}

/// Whether the recipient agreed to a locker (measures on smart lockers, 2019: a parcel goes into a
/// locker only with consent). The discriminants are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consent {
    /// The recipient agreed.
    Given,
    /// The recipient refused.
    Refused,
    /// Nobody asked, or nobody answered.
    #[default]
    Unknown,
}

/// What the recipient prefers. It narrows a consent and never widens one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preference {
    /// Not into a locker this time.
    #[serde(default)]
    pub no_locker: bool,
    /// Only into this station.
    #[serde(default)]
    pub only_station: Option<StationId>,
    /// Not before this hour of the local day.
    #[serde(default)]
    pub not_before: Option<Hour>,
}

/// An hour of the day, 0 to 23.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Hour(u8);

/// Why a number is no hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no hour of the day: write 0 to 23")]
pub struct HourError(pub u8);

impl TryFrom<u8> for Hour {
    type Error = HourError;
    fn try_from(hour: u8) -> Result<Self, HourError> {
        if hour < 24 {
            Ok(Self(hour))
        } else {
            Err(HourError(hour))
        }
    }
}

impl From<Hour> for u8 {
    fn from(hour: Hour) -> u8 {
        hour.0
    }
}

/// Why a parcel may not be put into a locker, as far as its recipient has a say. A denial, not a
/// failure: the text is for the courier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsentDenial {
    /// The recipient refused.
    Refused,
    /// Nobody knows whether the recipient agreed.
    Unknown,
    /// The recipient wants no locker for this parcel.
    NoLocker,
    /// The recipient named another station.
    OtherStation(StationId),
    /// It is too early in the recipient's day.
    NotBefore(Hour),
}

impl fmt::Display for ConsentDenial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("the recipient refused lockers: deliver to the address"),
            Self::Unknown => f.write_str(
                "the recipient has not agreed to a locker: ask them, or deliver to the address",
            ),
            Self::NoLocker => {
                f.write_str("the recipient wants no locker for this parcel: deliver to the address")
            }
            Self::OtherStation(station) => {
                write!(
                    f,
                    "the recipient wants station `{station}`: deposit it there"
                )
            }
            Self::NotBefore(hour) => {
                write!(
                    f,
                    "the recipient wants it not before {:02}:00: come later",
                    hour.0
                )
            }
        }
    }
}

/// Whether the recipient lets the parcel into `station` at `now`, in the zone of the station.
///
/// # Errors
/// [`ConsentDenial`], the most general reason first. Not knowing denies.
pub fn admits(
    consent: Consent,
    preference: &Preference,
    station: &StationId,
    now: Timestamp,
    zone: Zone,
) -> Result<(), ConsentDenial> {
    match consent {
        Consent::Given => {}
        Consent::Refused => return Err(ConsentDenial::Refused),
        Consent::Unknown => return Err(ConsentDenial::Unknown),
    }
    if preference.no_locker {
        return Err(ConsentDenial::NoLocker);
    }
    if let Some(wanted) = &preference.only_station
        && wanted != station
    {
        return Err(ConsentDenial::OtherStation(wanted.clone()));
    }
    if let Some(hour) = preference.not_before {
        let since_midnight_ms = now.since_ms(zone.day_start(zone.day_of(now)));
        if since_midnight_ms < i64::from(hour.0) * HOUR_MS {
            return Err(ConsentDenial::NotBefore(hour));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn party(name: &str) -> ParticipantId {
        ParticipantId::parse(&alloc::format!("did:web:{name}.example")).unwrap()
    }

    #[test]
    fn sizes_have_names_and_letters() {
        for (size, letter) in SizeClass::ALL.into_iter().zip(["A", "B", "C"]) {
            assert_eq!(SizeClass::parse(size.as_str()), Ok(size));
            assert_eq!(SizeClass::parse(letter), Ok(size));
            let json = serde_json::to_string(&size).unwrap();
            assert_eq!(json, alloc::format!("\"{size}\""));
        }
        let error = SizeClass::parse("XL").unwrap_err();
        assert_eq!(
            alloc::format!("{error}"),
            "`XL` is no size class: write `small`, `medium` or `large` (or `A`, `B`, `C`)"
        );
        assert!(SizeClass::Small < SizeClass::Medium && SizeClass::Medium < SizeClass::Large);
        assert_eq!(SizeClass::Large.dimensions_cm(), [41, 38, 64]);
    }

    #[test]
    fn a_number_that_comes_again_after_30_days_is_another_parcel() {
        let closed = Timestamp::from_millis(1_496_246_400_000);
        let last = |closed_at| {
            Some(LastGeneration {
                generation: Generation::FIRST.next(),
                closed_at,
            })
        };
        let number = |at, last| generation_for(at, last).number();
        assert_eq!(number(closed, None), 1);
        assert_eq!(number(closed.plus_ms(400 * DAY_MS), last(None)), 2);
        assert_eq!(
            number(closed.plus_ms(REUSE_AFTER_MS - 1), last(Some(closed))),
            2
        );
        assert_eq!(
            number(closed.plus_ms(REUSE_AFTER_MS), last(Some(closed))),
            3
        );
        assert_eq!(
            number(closed.plus_ms(-REUSE_AFTER_MS), last(Some(closed))),
            2
        );
    }

    #[test]
    fn tokens_are_redacted_and_their_hash_is_frozen() {
        let text = "000102030405060708090a0b0c0d0eff";
        let token = ClaimToken::parse(text).unwrap();
        assert_eq!(token.reveal(), text);
        assert_eq!(alloc::format!("{token:?}"), "ClaimToken(redacted)");
        assert_eq!(
            alloc::format!("{:?}", token.hash()),
            "ClaimTokenHash(redacted)"
        );
        let hex: String = token
            .hash()
            .as_bytes()
            .iter()
            .map(|b| alloc::format!("{b:02x}"))
            .collect();
        assert_eq!(
            hex,
            "e61642ffba47f430fe83f8bc334ba17b6bdb6891887380655a0e03f944d5cad6"
        );
        assert!(token.hash().matches(&token));
        let mut other = token.0;
        other[15] ^= 1;
        assert!(!token.hash().matches(&ClaimToken::from_bytes(other)));
        for bad in [
            "",
            "00",
            "+00102030405060708090a0b0c0d0eff",
            &text.to_uppercase(),
        ] {
            assert!(ClaimToken::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bare_claim_is_kept_and_opens_nothing() {
        let (cainiao, jd) = (party("cainiao"), party("jd"));
        let token = ClaimToken::from_bytes([1; 16]);
        let wrong = Claim::Token {
            claimant: &jd,
            token: &token,
            expected: Some(&ClaimToken::from_bytes([2; 16]).hash()),
        };
        let state = Ownership::default()
            .claim(&Claim::Bare { claimant: &cainiao })
            .claim(&wrong)
            .claim(&Claim::Token {
                claimant: &jd,
                token: &token,
                expected: None,
            });
        assert_eq!(state.owner(), None);
        assert_eq!(
            state,
            Ownership::Unclaimed {
                bare: vec![cainiao.clone(), jd.clone()]
            }
        );
        let owned = state.claim(&Claim::PreAdvice { owner: &jd });
        assert_eq!(owned.owner(), Some(&jd));
        assert_eq!(owned.claim(&Claim::Bare { claimant: &cainiao }), owned);
    }

    #[test]
    fn the_token_of_the_label_proves() {
        let cainiao = party("cainiao");
        let token = ClaimToken::from_bytes([1; 16]);
        let shown = Claim::Token {
            claimant: &cainiao,
            token: &token,
            expected: Some(&token.hash()),
        };
        let state = Ownership::default().claim(&shown);
        let owned_by = |by| Ownership::Owned {
            owner: cainiao.clone(),
            by,
        };
        assert_eq!(state, owned_by(Proof::ClaimToken));
        let advised = state.claim(&Claim::PreAdvice { owner: &cainiao });
        assert_eq!(advised, owned_by(Proof::PreAdvice));
        assert_eq!(advised.claim(&shown), owned_by(Proof::PreAdvice));
    }

    #[test]
    fn ownership_is_frozen() {
        let a = ParticipantId::parse("did:web:a").unwrap();
        let b = ParticipantId::parse("did:web:b").unwrap();
        let pack = |state: &Ownership| {
            let bytes = postcard::to_allocvec(state).unwrap();
            assert_eq!(&postcard::from_bytes::<Ownership>(&bytes).unwrap(), state);
            bytes
        };
        let unclaimed = Ownership::default();
        assert_eq!(pack(&unclaimed), b"\x00\x00");
        let owned = unclaimed.claim(&Claim::PreAdvice { owner: &a });
        assert_eq!(pack(&owned), b"\x01\x09did:web:a\x00");
        let contested = owned.claim(&Claim::PreAdvice { owner: &b });
        assert_eq!(pack(&contested), b"\x02\x02\x09did:web:a\x09did:web:b");
    }

    #[test]
    fn the_recipient_has_a_say() {
        let (here, there) = (
            StationId::parse("0412").unwrap(),
            StationId::parse("0413").unwrap(),
        );
        let noon = Timestamp::parse_zoned("2017-06-01T12:00:00+08:00")
            .unwrap()
            .0;
        let ask = |consent, preference: &Preference, now| {
            admits(consent, preference, &here, now, Zone::CHINA)
        };
        let any = Preference::default();
        assert_eq!(ask(Consent::Given, &any, noon), Ok(()));
        assert_eq!(
            ask(Consent::default(), &any, noon),
            Err(ConsentDenial::Unknown)
        );
        assert_eq!(
            ask(Consent::Refused, &any, noon),
            Err(ConsentDenial::Refused)
        );
        let none = Preference {
            no_locker: true,
            ..any.clone()
        };
        assert_eq!(
            ask(Consent::Given, &none, noon),
            Err(ConsentDenial::NoLocker)
        );
        let other = Preference {
            only_station: Some(there.clone()),
            ..any.clone()
        };
        assert_eq!(
            ask(Consent::Given, &other, noon),
            Err(ConsentDenial::OtherStation(there))
        );
        let same = Preference {
            only_station: Some(here.clone()),
            ..any.clone()
        };
        assert_eq!(ask(Consent::Given, &same, noon), Ok(()));
        let late = Preference {
            not_before: Some(Hour(12)),
            ..any
        };
        assert_eq!(ask(Consent::Given, &late, noon), Ok(()));
        let denial = ask(Consent::Given, &late, noon.plus_ms(-1)).unwrap_err();
        assert_eq!(
            alloc::format!("{denial}"),
            "the recipient wants it not before 12:00: come later"
        );
        assert!(serde_json::from_str::<Preference>(r#"{"not_before":24}"#).is_err());
        assert!(serde_json::from_str::<Preference>(r#"{"nolocker":true}"#).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Whoever is fed is the only one who ever proved ownership, and nothing after a conflict
        /// feeds anybody.
        #[test]
        fn two_proofs_feed_nobody(claims in proptest::collection::vec((0..3u8, 0..3usize), 0..12)) {
            let parties = [party("a"), party("b"), party("c")];
            let token = ClaimToken::from_bytes([9; 16]);
            let hash = token.hash();
            let mut state = Ownership::default();
            let mut proved = Vec::new();
            for (kind, who) in claims {
                let claimant = &parties[who];
                state = state.claim(&match kind {
                    0 => Claim::Bare { claimant },
                    1 => Claim::PreAdvice { owner: claimant },
                    _ => Claim::Token { claimant, token: &token, expected: Some(&hash) },
                });
                if kind != 0 && !proved.contains(claimant) {
                    proved.push(claimant.clone());
                }
                match proved.as_slice() {
                    [only] => prop_assert_eq!(state.owner(), Some(only)),
                    [] => prop_assert_eq!(state.owner(), None),
                    several => {
                        prop_assert_eq!(&state, &Ownership::Contested { claimants: several.to_vec() });
                    }
                }
            }
        }
    }
}
