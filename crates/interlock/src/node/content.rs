//! Personal data in memory and in records: sealed on the way to the journal, gone with its key.
//!
//! Purpose: one way to seal and open content, and the tokens of links and labels. Invariant: what is
//! sealed here can be read back only with a key that lies in a slot and nowhere else. It does not know
//! where slots are stored.

use hmac::{Hmac, KeyInit, Mac};
use interlock_core::ids::{DepositId, ParcelId};
use interlock_core::parcel::ClaimToken;
use interlock_core::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::cipher::Cipher;
use super::io::{Digest, Extension};
use super::record::Sealed;
use super::scramble::{self, scramble, unscramble};
use super::state::parcels::Number;
use super::{ContentKeys, Rng};
use crate::exchange::wire::Blob;
use crate::identity::code_key::CodeKey;
use crate::identity::derived::Derived;

/// Personal data that is held while its key exists. It is stored as it came: sealed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Content<T> {
    /// The hour in which the key ends, and its slot.
    pub slot: (u32, u32),
    /// The value; `None` once the key is destroyed.
    #[serde(skip)]
    pub value: Option<T>,
    /// What the value was opened from; nothing once it was deleted.
    sealed: Option<Box<Sealed>>,
}

impl<T> std::fmt::Debug for Content<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Content(slot {:?}, {})",
            self.slot,
            if self.value.is_some() {
                "held"
            } else {
                "deleted"
            }
        )
    }
}

impl<T> Content<T> {
    /// Lets the value go, and says where its key is. `None` if it was gone before.
    pub fn erase(&mut self) -> Option<(u32, u32)> {
        self.sealed = None;
        self.value.take().map(|_| self.slot)
    }

    /// Lets the value go if its key ended with `hour`.
    pub fn end(&mut self, hour: u32) {
        if self.slot.0 == hour {
            self.sealed = None;
            self.value = None;
        }
    }
}

impl<T: DeserializeOwned> Content<T> {
    /// Opens sealed content; a missing key or damaged ciphertext leaves no value.
    pub fn open(sealed: &Sealed, keys: &dyn ContentKeys) -> Self {
        let mut content = Self {
            slot: (sealed.hour, sealed.slot),
            value: None,
            sealed: Some(Box::new(sealed.clone())),
        };
        content.reopen(keys);
        content
    }

    /// Opens again what came from a store; what was deleted stays so.
    pub fn reopen(&mut self, keys: &dyn ContentKeys) {
        let Some(sealed) = &self.sealed else {
            return;
        };
        let key = keys.get(sealed.hour, sealed.slot).map(Zeroizing::new);
        let (bytes, data) = (&sealed.ciphertext.0, aad(sealed.hour, sealed.slot));
        self.value = keys
            .cipher()
            .open(key, &data, bytes, &sealed.nonce)
            .and_then(|plain| postcard::from_bytes(&plain).ok());
    }
}

/// A sealed value and the key that opens it.
pub struct Fresh {
    /// For the record.
    pub sealed: Sealed,
    /// For the slot.
    pub key: [u8; 32],
}

/// Seals `value` under a new key for `slot` of those that end in `hour`. `None` if it cannot be encoded.
pub fn seal<T: Serialize>(
    cipher: &dyn Cipher,
    value: &T,
    hour: u32,
    slot: u32,
    rng: &mut dyn Rng,
) -> Option<Fresh> {
    let mut key = [0; 32];
    rng.fill(&mut key);
    let mut nonce = [0; 12];
    rng.fill(&mut nonce);
    let plain = Zeroizing::new(postcard::to_allocvec(value).ok()?);
    let ciphertext = cipher.seal(&key, &aad(hour, slot), &plain, &nonce)?;
    Some(Fresh {
        sealed: Sealed {
            hour,
            slot,
            nonce,
            ciphertext: Blob(ciphertext),
        },
        key,
    })
}

fn aad(hour: u32, slot: u32) -> [u8; 8] {
    let mut out = [0; 8];
    let bytes = hour.to_le_bytes().into_iter().chain(slot.to_le_bytes());
    out.iter_mut()
        .zip(bytes)
        .for_each(|(slot, byte)| *slot = byte);
    out
}

/// Kinds of links to pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkKind {
    /// `/t/…`
    Tracking,
    /// `/p/…`
    Pickup,
}

/// Derives the 128-bit tokens of links and labels from a secret of the node. A token is as hard to
/// guess as the secret, and the same token can be printed again without being stored.
#[derive(Clone)]
pub struct Links {
    secret: [u8; 32],
    /// Whether recipients have a number at which they call couriers.
    calls: bool,
}

/// How many leases of one parcel have extensions.
const LEASES: u16 = 100;
/// How many parcels in a row have extensions of their own.
const LEASED_PARCELS: u64 = scramble::NUMBERS / LEASES as u64;

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Links(redacted)")
    }
}

impl Links {
    /// From what was derived from the node's first signing key; `calls`: whether recipients have a number
    /// at which they call couriers.
    pub fn from_derived(derived: &Derived, calls: bool) -> Self {
        Self {
            secret: *derived.links,
            calls,
        }
    }

    /// Stands in where none are known yet.
    pub(super) const fn unset() -> Self {
        Self {
            secret: [0; 32],
            calls: false,
        }
    }

    /// The same, with a number for calls to couriers.
    #[cfg(test)]
    pub(super) const fn unset_with_calls() -> Self {
        Self {
            calls: true,
            ..Self::unset()
        }
    }

    /// The token of a link, 32 hexadecimal digits.
    pub fn token(&self, kind: LinkKind, parcel: ParcelId) -> String {
        let label: &[u8] = match kind {
            LinkKind::Tracking => b"tracking",
            LinkKind::Pickup => b"pickup",
        };
        let full = mac(&self.secret, &[label, parcel.as_bytes()]);
        interlock_journal::hex::encode(full.get(..16).unwrap_or(&full))
    }

    /// Digest under which a link is found.
    pub fn digest(&self, kind: LinkKind, parcel: ParcelId) -> Digest {
        Sha256::digest(self.token(kind, parcel).as_bytes()).into()
    }

    /// The token of a link for somebody else than the recipient, 32 hexadecimal digits.
    pub fn delegate(&self, link: &[u8; 16]) -> String {
        let full = mac(&self.secret, &[b"delegate", link]);
        interlock_journal::hex::encode(full.get(..16).unwrap_or(&full))
    }

    /// Digest under which such a link is found.
    pub fn delegate_digest(&self, link: &[u8; 16]) -> Digest {
        Sha256::digest(self.delegate(link).as_bytes()).into()
    }

    /// The extension at which the recipient of a deposit calls its courier, if there is a number for that.
    pub fn extension(&self, deposit: DepositId) -> Option<Extension> {
        if !self.calls {
            return None;
        }
        let full = mac(&self.secret, &[b"courier", deposit.as_bytes()]);
        Some(Extension::of(
            full.first_chunk::<4>().copied().unwrap_or_default(),
        ))
    }

    /// The extension at which a parcel's recipient is called under the `nth` of its leases, whoever holds
    /// it; `None` after the hundredth. It leads back to the parcel, so no table of them is kept. Those of two
    /// leases have nothing in common that is seen without the secret. `lost` is when the end of our journal
    /// was last found to be lost: a parcel or lease that was lost with it has not the extension of the one
    /// that has its number now.
    pub fn lease(&self, lost: Option<Timestamp>, parcel: Number, nth: u16) -> Option<String> {
        let number = parcel % LEASED_PARCELS * u64::from(LEASES) + u64::from(nth);
        let image = (nth < LEASES).then(|| scramble(&self.leases(lost), number));
        image.map(|image| format!("{image:012}"))
    }

    /// The parcel of an extension of 12 digits, of `count` parcels that there are, and which of its leases it
    /// is. Of two parcels as far apart as numbers reach it is the later one: ten billion came since the other.
    pub fn leased(
        &self,
        lost: Option<Timestamp>,
        extension: &str,
        count: u64,
    ) -> Option<(Number, u16)> {
        let digits = extension.len() == 12 && extension.bytes().all(|b| b.is_ascii_digit());
        let image = extension.parse().ok().filter(|_| digits)?;
        let number = unscramble(&self.leases(lost), image);
        let (parcel, nth) = (number / u64::from(LEASES), number % u64::from(LEASES));
        let rounds = count.checked_sub(parcel + 1)? / LEASED_PARCELS;
        Some((parcel + rounds * LEASED_PARCELS, u16::try_from(nth).ok()?))
    }

    /// The secret of extensions since a loss.
    fn leases(&self, lost: Option<Timestamp>) -> [u8; 32] {
        let lost_ms = lost.map_or(0, Timestamp::as_millis);
        mac(&self.secret, &[b"extensions", &lost_ms.to_le_bytes()])
    }

    /// The code that a label shows in place of an address: 60 bits, in Crockford's base 32.
    pub fn label_code(&self, parcel: ParcelId) -> String {
        const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let full = mac(&self.secret, &[b"label", parcel.as_bytes()]);
        let head = full.first_chunk::<8>().copied().unwrap_or_default();
        let bits = u64::from_be_bytes(head);
        let digit = |nth: u32| {
            let five = (bits >> (59 - 5 * nth)) & 31;
            let digit = usize::try_from(five).ok().and_then(|at| DIGITS.get(at));
            char::from(digit.copied().unwrap_or(b'0'))
        };
        let group = |of: std::ops::Range<u32>| of.map(digit).collect::<String>();
        format!("{}-{}-{}", group(0..4), group(4..8), group(8..12))
    }

    /// For sealing a code: random to everybody else, and the same for the same, so that what leaves again
    /// is equal byte by byte.
    pub(in crate::node) fn code_draws(
        &self,
        deposit: &DepositId,
        key: &CodeKey,
        code: &str,
        compartment: &str,
    ) -> Drawn {
        let parts: [&[u8]; 5] = [
            b"code",
            deposit.as_bytes(),
            key.as_bytes(),
            code.as_bytes(),
            compartment.as_bytes(),
        ];
        Drawn {
            seed: Zeroizing::new(mac(&self.secret, &parts)),
            nth: 0,
        }
    }

    /// The claim token that the owner prints on the label.
    pub fn claim(&self, parcel: ParcelId) -> ClaimToken {
        let full = mac(&self.secret, &[b"claim", parcel.as_bytes()]);
        let mut token = [0; 16];
        token.copy_from_slice(full.get(..16).unwrap_or(&[0; 16]));
        ClaimToken::from_bytes(token)
    }
}

/// Bytes drawn from a secret.
pub(in crate::node) struct Drawn {
    seed: Zeroizing<[u8; 32]>,
    nth: u64,
}

impl Rng for Drawn {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = Zeroizing::new(mac(&self.seed, &[&self.nth.to_le_bytes()]));
            self.nth += 1;
            for (byte, drawn) in chunk.iter_mut().zip(block.iter()) {
                *byte = *drawn;
            }
        }
    }
}

pub(super) fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_hundred_leases_of_a_parcel_have_extensions_of_their_own_that_lead_back() {
        let links = Links::unset();
        let mut all = BTreeSet::new();
        for parcel in [0, 1, 7] {
            for nth in 0..LEASES {
                let extension = links.lease(None, parcel, nth).unwrap();
                assert_eq!(links.leased(None, &extension, 8), Some((parcel, nth)));
                all.insert(extension);
            }
            assert_eq!(links.lease(None, parcel, LEASES), None, "never one again");
        }
        assert_eq!(all.len(), 300);
        let last = links.lease(None, 7, 0).unwrap();
        assert_eq!(links.leased(None, &last, 7), None, "no such parcel yet");
        let far = LEASED_PARCELS + 8;
        let later = links.leased(None, &last, far);
        assert_eq!(later, Some((LEASED_PARCELS + 7, 0)), "the later of two");
        for wrong in ["", "1", "+00000000001", "0000000000001"] {
            assert_eq!(links.leased(None, wrong, 8), None, "{wrong}");
        }
    }

    #[test]
    fn a_number_that_is_given_again_after_a_loss_has_another_extension() {
        let links = Links::unset();
        let at = |ms| Some(Timestamp::from_millis(ms));
        let losses = [None, at(1_496_246_400_000), at(1_496_246_400_001)];
        let of = |lost| links.lease(lost, 5, 0).unwrap();
        let all: BTreeSet<String> = losses.into_iter().map(of).collect();
        assert_eq!(all.len(), 3);
        let before = of(None);
        assert_ne!(links.leased(losses[1], &before, 1_000), Some((5, 0)));
    }
}
