//! Contacts sealed to a messenger: HPKE (RFC 9180) with X25519, HKDF-SHA256 and AES-256-GCM, base mode.
//!
//! Purpose: an owner hands a consumer a contact that only a messenger reads. Invariants: what is sealed
//! names the consumer for whom it is and when it ends, and opens for no other consumer; keys of messengers
//! never print themselves. It does not say who sealed it: the owner's release leaf does.

use std::convert::Infallible;
use std::fmt;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{
    Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _, single_shot_open,
    single_shot_seal_with_rng,
};
use interlock_core::contact::Phone;
use interlock_core::ids::ParticipantId;
use interlock_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::keys::{parse_hex32, to_hex};
use crate::node::Rng;

type Kem = X25519HkdfSha256;

/// Sets this use of a key apart from any other (RFC 9180 section 5.1).
const INFO: &[u8] = b"interlock sealed contact 1";
/// Bytes of an encapsulated key of X25519.
const ENCAPSULATED_BYTES: usize = 32;

/// A messenger to whom contacts can be sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Messenger {
    /// Its DID.
    pub id: ParticipantId,
    /// Its public key.
    pub key: MessengerKey,
}

/// The public key of a messenger, X25519.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessengerKey([u8; 32]);

/// Why a text is no key of a messenger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a messenger's key; write the 64 hexadecimal digits that `interlock messenger key` prints"
)]
pub struct MessengerKeyError;

impl MessengerKey {
    /// From 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`MessengerKeyError`], also for a point that agrees on the same secret with everybody.
    pub fn parse(text: &str) -> Result<Self, MessengerKeyError> {
        let bytes = parse_hex32(text).ok_or(MessengerKeyError)?;
        let key = Self(bytes);
        // A seal with what is no key fails: here, rather than when a parcel waits.
        let nobody = Sealing {
            phone: Phone::parse("+10000000").map_err(|_| MessengerKeyError)?,
            until: Timestamp::from_millis(0),
        };
        nobody
            .seal_raw(&key, b"", &mut Zeros)
            .ok_or(MessengerKeyError)?;
        Ok(key)
    }

    /// 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        to_hex(&self.0)
    }
}

/// The private key of a messenger.
pub struct MessengerSecret(Zeroizing<[u8; 32]>);

impl fmt::Debug for MessengerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessengerSecret(redacted)")
    }
}

impl MessengerSecret {
    /// A new one.
    pub fn draw(rng: &mut dyn Rng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill(seed.as_mut());
        Self(seed)
    }

    /// From 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`MessengerKeyError`].
    pub fn parse(text: &str) -> Result<Self, MessengerKeyError> {
        let bytes = parse_hex32(text.trim()).ok_or(MessengerKeyError)?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// 64 hexadecimal digits, for a private file.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(to_hex(self.0.as_slice()))
    }

    /// What others seal to.
    pub fn public(&self) -> MessengerKey {
        MessengerKey(secret_to_public(&self.0))
    }

    /// Opens what was sealed for `consumer`. `None` if it was not, or is damaged or over at `now`.
    pub fn open(&self, consumer: &ParticipantId, bytes: &[u8], now: Timestamp) -> Option<Phone> {
        let plain = open_with(&self.0, INFO, consumer.as_str().as_bytes(), bytes)?;
        let sealing: Sealing = postcard::from_bytes(&plain).ok()?;
        (now < sealing.until).then_some(sealing.phone)
    }
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Sealing {
    phone: Phone,
    until: Timestamp,
}

impl Sealing {
    fn seal_raw(&self, key: &MessengerKey, consumer: &[u8], rng: &mut dyn Rng) -> Option<Vec<u8>> {
        let plain = Zeroizing::new(postcard::to_allocvec(self).ok()?);
        seal_to(&key.0, INFO, consumer, &plain, rng)
    }
}

/// The public key of a secret.
pub(super) fn secret_to_public(secret: &[u8; 32]) -> [u8; 32] {
    let (_, public) = Kem::derive_keypair(secret);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(public.to_bytes().as_slice());
    bytes
}

/// Seals `plain` to a public key: encapsulated key, then ciphertext. `None` if that is no key.
pub(super) fn seal_to(
    key: &[u8; 32],
    info: &[u8],
    data: &[u8],
    plain: &[u8],
    rng: &mut dyn Rng,
) -> Option<Vec<u8>> {
    let public = <Kem as hpke::Kem>::PublicKey::from_bytes(key).ok()?;
    let (encapsulated, ciphertext) = single_shot_seal_with_rng::<AesGcm256, HkdfSha256, Kem>(
        &OpModeS::Base,
        &public,
        info,
        plain,
        data,
        &mut Draws(rng),
    )
    .ok()?;
    let mut sealed = encapsulated.to_bytes().to_vec();
    sealed.extend(ciphertext);
    Some(sealed)
}

/// Opens what [`seal_to`] made; `None` if anything is not as it was sealed.
pub(super) fn open_with(
    secret: &[u8; 32],
    info: &[u8],
    data: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (encapsulated, ciphertext) = sealed.split_at_checked(ENCAPSULATED_BYTES)?;
    let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
    let (private, _) = Kem::derive_keypair(secret);
    let plain = single_shot_open::<AesGcm256, HkdfSha256, Kem>(
        &OpModeR::Base,
        &private,
        &encapsulated,
        info,
        ciphertext,
        data,
    );
    plain.ok().map(Zeroizing::new)
}

/// Seals a phone for `consumer` until `until`: encapsulated key, then ciphertext.
pub fn seal(
    messenger: &Messenger,
    consumer: &ParticipantId,
    phone: &Phone,
    until: Timestamp,
    rng: &mut dyn Rng,
) -> Option<Vec<u8>> {
    let sealing = Sealing {
        phone: phone.clone(),
        until,
    };
    sealing.seal_raw(&messenger.key, consumer.as_str().as_bytes(), rng)
}

/// Our source of random bytes as the library wants one.
struct Draws<'a>(&'a mut dyn Rng);

impl TryRng for Draws<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Draws<'_> {}

/// For checking a key alone: what is sealed with it is thrown away.
pub(super) struct Zeros;

impl Rng for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Draws that differ and are the same in each run.
    pub(in crate::identity) struct Counting(pub(in crate::identity) u8);

    impl Rng for Counting {
        fn fill(&mut self, bytes: &mut [u8]) {
            for byte in bytes {
                self.0 = self.0.wrapping_add(7);
                *byte = self.0;
            }
        }
    }

    fn who(name: &str) -> ParticipantId {
        ParticipantId::parse(&format!("did:web:{name}.example")).unwrap()
    }

    const UNTIL: Timestamp = Timestamp::from_millis(1_496_246_400_000);

    #[test]
    fn only_the_messenger_opens_it_for_whom_it_was_sealed_and_in_time() {
        let secret = MessengerSecret::draw(&mut Counting(1));
        let messenger = Messenger {
            id: who("sms"),
            key: secret.public(),
        };
        let phone = Phone::parse("13800000001").unwrap();
        let mut rng = Counting(9);
        let sealed = seal(&messenger, &who("fengchao"), &phone, UNTIL, &mut rng).unwrap();
        let again = seal(&messenger, &who("fengchao"), &phone, UNTIL, &mut rng).unwrap();
        assert_ne!(sealed, again, "two releases of one phone look unlike");
        let before = UNTIL.plus_ms(-1);
        assert_eq!(secret.open(&who("fengchao"), &sealed, before), Some(phone));
        assert_eq!(secret.open(&who("suidiyi"), &sealed, before), None);
        assert_eq!(secret.open(&who("fengchao"), &sealed, UNTIL), None, "over");
        let other = MessengerSecret::draw(&mut Counting(2));
        assert_eq!(other.open(&who("fengchao"), &sealed, before), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(
                secret.open(&who("fengchao"), &changed, before),
                None,
                "{at}"
            );
            assert_eq!(secret.open(&who("fengchao"), &sealed[..at], before), None);
        }
        assert!(!sealed.windows(4).any(|window| window == b"0000"));
    }

    #[test]
    fn keys_are_read_as_they_are_printed_and_no_secret_prints_itself() {
        let secret = MessengerSecret::draw(&mut Counting(3));
        let read = MessengerSecret::parse(&secret.reveal()).unwrap();
        assert_eq!(read.public(), secret.public());
        let public = secret.public();
        assert_eq!(MessengerKey::parse(&public.to_hex()), Ok(public));
        assert_eq!(format!("{secret:?}"), "MessengerSecret(redacted)");
        for bad in ["", "00", &"0".repeat(64), &"g".repeat(64)] {
            assert_eq!(MessengerKey::parse(bad), Err(MessengerKeyError), "{bad}");
        }
    }
}
