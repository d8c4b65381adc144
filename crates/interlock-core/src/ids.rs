//! Names of things: parsed at the edge, trusted inside.
//!
//! Every textual identifier is bounded, printable and compared byte by byte; whoever holds one knows
//! that it was checked. Copies share one text, because events, feeds and logs name the same few
//! participants over and over. Binary identifiers are random on the wire, so that none counts anything.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is no identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{input}` is no {what}: {remedy}")]
pub struct IdError {
    /// What was wanted.
    pub what: &'static str,
    /// What came, shortened to 64 characters.
    pub input: String,
    /// What to write instead.
    pub remedy: &'static str,
}

fn check(
    what: &'static str,
    remedy: &'static str,
    length_max: usize,
    text: &str,
    good: fn(&str) -> bool,
) -> Result<(), IdError> {
    if !text.is_empty() && text.len() <= length_max && good(text) {
        return Ok(());
    }
    Err(IdError {
        what,
        input: text.chars().take(64).collect(),
        remedy,
    })
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $remedy:literal, $good:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes `text`.
            ///
            /// # Errors
            /// [`IdError`] if it is empty, too long or has a character that is not allowed.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check($what, $remedy, $max, text, $good)?;
                Ok(Self(text.into()))
            }

            /// The identifier as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().into()
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct Checked;
                impl serde::de::Visitor<'_> for Checked {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a string")
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text).map_err(E::custom)
                    }
                }
                d.deserialize_str(Checked)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn is_did(text: &str) -> bool {
    let mut parts = text.splitn(3, ':');
    parts.next() == Some("did")
        && parts.next().is_some_and(|m| {
            !m.is_empty()
                && m.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
        && parts.next().is_some_and(|rest| {
            !rest.is_empty()
                && rest.bytes().all(|b| {
                    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'%')
                })
        })
}

fn is_name(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
}

fn is_code(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn is_uri_like(text: &str) -> bool {
    text.bytes().all(|b| {
        b.is_ascii_graphic()
            && !matches!(
                b,
                b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'
            )
    })
}

text_id!(
    /// A participant's decentralised identifier (W3C DID 1.0), such as `did:web:fengchao.example`.
    ParticipantId, "participant id", 256,
    "write a DID such as `did:web:fengchao.example`", is_did
);
text_id!(
    /// Where an order came from, the key of scope: `taobao`, `jd`.
    Marketplace, "marketplace", 64,
    "use lower-case letters, digits, `-` and `_`, at most 64", is_name
);
text_id!(
    /// A merchant, in the words of its marketplace.
    MerchantId, "merchant id", 64,
    "use letters, digits, `-`, `_` and `.`, at most 64", is_code
);
text_id!(
    /// A courier, in the words of the carrier.
    CourierId, "courier id", 64,
    "use letters, digits, `-`, `_` and `.`, at most 64", is_code
);
text_id!(
    /// A locker station, in the words of its operator.
    StationId, "station id", 64,
    "use letters, digits, `-`, `_` and `.`, at most 64", is_code
);
text_id!(
    /// Identifier of a negotiation, agreement, transfer, offer or dataset on the wire (DSP 2025-1
    /// `@id`, `providerPid`, `consumerPid`): a URI or other printable text without spaces.
    WireId, "identifier", 256,
    "use printable ASCII without spaces, at most 256 characters", is_uri_like
);
impl From<crate::dataset::Dataset> for WireId {
    /// The dataset of that kind, where a participant has one only.
    fn from(kind: crate::dataset::Dataset) -> Self {
        Self(kind.as_str().into())
    }
}

text_id!(
    /// Key by which a caller makes a write repeatable (`Idempotency-Key`).
    IdempotencyKey, "idempotency key", 128,
    "use printable ASCII without spaces, at most 128 characters", is_uri_like
);

macro_rules! binary_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Takes 16 bytes as they are.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Parses 32 lower-case hexadecimal digits.
            ///
            /// # Errors
            /// [`IdError`] for anything else.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                parse_hex16(text).map(Self).ok_or_else(|| IdError {
                    what: $what,
                    input: text.chars().take(64).collect(),
                    remedy: "write 32 lower-case hexadecimal digits",
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let digits = hex16(&self.0);
                f.write_str(core::str::from_utf8(&digits).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() {
                    s.collect_str(self)
                } else {
                    self.0.serialize(s)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    let text = String::deserialize(d)?;
                    Self::parse(&text).map_err(serde::de::Error::custom)
                } else {
                    <[u8; 16]>::deserialize(d).map(Self)
                }
            }
        }
    };
}

fn parse_hex16(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    if bytes.len() != 32 {
        return None;
    }
    let mut out = [0u8; 16];
    for (slot, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *slot = hex_digit(*high)? << 4 | hex_digit(*low)?;
    }
    Some(out)
}

/// 32 lower-case hexadecimal digits.
fn hex16(bytes: &[u8; 16]) -> [u8; 32] {
    let digit = |nibble: u8| match nibble {
        0..=9 => b'0' + nibble,
        more => b'a' + (more - 10),
    };
    let mut out = [0; 32];
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    out
}

const fn hex_digit(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    }
}

binary_id!(
    /// A parcel (one waybill, one generation) at one node. Random, local to the node that drew it.
    ParcelId, "parcel id"
);
binary_id!(
    /// A deposit at a locker operator. Random.
    DepositId, "deposit id"
);
binary_id!(
    /// A request that may be repeated without further effect. Random.
    RequestId, "request id"
);
binary_id!(
    /// A message to a recipient. Random; the gateway's idempotency key.
    MessageId, "message id"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_bounded() {
        assert!(ParticipantId::parse("did:web:fengchao.example").is_ok());
        for bad in ["", "fengchao", "did:web:", "did::x", "did:web:a b"] {
            let error = ParticipantId::parse(bad).unwrap_err();
            assert!(error.remedy.contains("DID"), "{error}");
        }
        assert!(Marketplace::parse("Taobao").is_err());
        assert!(StationId::parse(&"9".repeat(65)).is_err());
    }

    #[test]
    fn binary_identifiers_round_trip() {
        let id = RequestId::from_bytes([0xa5; 16]);
        assert_eq!(RequestId::parse(&alloc::format!("{id}")), Ok(id));
        assert!(RequestId::parse("A5").is_err());
        let packed = postcard::to_allocvec(&id).unwrap();
        assert_eq!(packed, [0xa5; 16]);
    }
}
