//! Bearer tokens of transfers: what a connector shows to pull a feed by plain HTTP.
//!
//! A token is derived from a secret of the node and says what it is good for: whose it is, which start
//! of the transfer it belongs to, whether it fetches or refreshes, and until when. Nothing is stored,
//! so nothing fills up, and a restart loses none.
//!
//! INVARIANT: a token counts for one transfer alone, and what it says is read only after its code was
//! verified. Whether the transfer still runs is not known here: the node compares the start.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::time::Timestamp;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::derived::Derived;

/// Longest token that is read, in bytes.
pub const TRANSFER_TOKEN_BYTES_MAX: usize = 1_024;
/// Bytes of the code at the front.
const CODE_LENGTH: usize = 32;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenUse {
    /// Fetching pages.
    Fetch,
    /// Getting the next pair of tokens.
    Refresh,
}

impl TokenUse {
    const fn byte(self) -> u8 {
        match self {
            Self::Fetch => 1,
            Self::Refresh => 2,
        }
    }
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferClaims {
    /// Whose it is.
    pub holder: ParticipantId,
    /// Which start of the transfer it was given with, from 1: a later start makes it void.
    pub start: u32,
    /// What for.
    pub used_for: TokenUse,
    /// It counts while the clock is surely before this.
    pub expires_at: Timestamp,
}

/// Why a token does not count. What it says is not told: it may be a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferTokenError {
    /// None, or not where it belongs.
    #[error(
        "send the token of the transfer's start as `Authorization: Bearer`, and nowhere in the address"
    )]
    Missing,
    /// Not a token of this transfer for this use.
    #[error("the token is not one of this transfer for this use; take it from the newest start")]
    Unknown,
    /// Its time is over.
    #[error("the token has expired; refresh it at the start's `refreshEndpoint`")]
    Expired,
}

/// Makes and checks the tokens of a node.
#[derive(Clone)]
pub struct TransferTokens {
    secret: [u8; 32],
}

impl fmt::Debug for TransferTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransferTokens(redacted)")
    }
}

impl TransferTokens {
    /// From the seed of the node's signing key, by a derivation of its own.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self {
            secret: Self::derive(seed),
        }
    }

    /// From what was derived from the node's first signing key.
    pub fn from_derived(derived: &Derived) -> Self {
        Self {
            secret: *derived.transfers,
        }
    }

    pub(super) fn derive(seed: &[u8; 32]) -> [u8; 32] {
        code(seed, &[b"interlock transfer tokens 1"])
    }

    /// The token for `transfer` that says `claims`.
    pub fn issue(&self, transfer: &WireId, claims: &TransferClaims) -> String {
        let said = encode(claims);
        let mut token = self.code(transfer, &said).to_vec();
        token.extend_from_slice(&said);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// What `token` says, if it is one of `transfer` for this use and its time is not over at `latest`.
    ///
    /// # Errors
    /// [`TransferTokenError::Unknown`], [`TransferTokenError::Expired`].
    pub fn verify(
        &self,
        transfer: &WireId,
        token: &str,
        used_for: TokenUse,
        latest: Timestamp,
    ) -> Result<TransferClaims, TransferTokenError> {
        if token.len() > TRANSFER_TOKEN_BYTES_MAX {
            return Err(TransferTokenError::Unknown);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_| TransferTokenError::Unknown)?;
        let (shown, said) = bytes
            .split_at_checked(CODE_LENGTH)
            .ok_or(TransferTokenError::Unknown)?;
        if !bool::from(self.code(transfer, said).ct_eq(shown)) {
            return Err(TransferTokenError::Unknown);
        }
        let claims = decode(said).ok_or(TransferTokenError::Unknown)?;
        if claims.used_for != used_for {
            return Err(TransferTokenError::Unknown);
        }
        if latest >= claims.expires_at {
            return Err(TransferTokenError::Expired);
        }
        Ok(claims)
    }

    fn code(&self, transfer: &WireId, said: &[u8]) -> [u8; CODE_LENGTH] {
        let id = transfer.as_str().as_bytes();
        let length = u64::try_from(id.len()).unwrap_or(u64::MAX).to_be_bytes();
        code(&self.secret, &[&length, id, said])
    }
}

fn encode(claims: &TransferClaims) -> Vec<u8> {
    let mut said = vec![claims.used_for.byte()];
    said.extend_from_slice(&claims.start.to_be_bytes());
    said.extend_from_slice(&claims.expires_at.as_millis().to_be_bytes());
    said.extend_from_slice(claims.holder.as_str().as_bytes());
    said
}

fn decode(said: &[u8]) -> Option<TransferClaims> {
    let (used_for, said) = said.split_first()?;
    let (start, said) = said.split_first_chunk()?;
    let (expires_at, holder) = said.split_first_chunk()?;
    let used_for = [TokenUse::Fetch, TokenUse::Refresh]
        .into_iter()
        .find(|known| known.byte() == *used_for)?;
    let holder = std::str::from_utf8(holder).ok()?;
    Some(TransferClaims {
        holder: ParticipantId::parse(holder).ok()?,
        start: u32::from_be_bytes(*start),
        used_for,
        expires_at: Timestamp::from_millis(i64::from_be_bytes(*expires_at)),
    })
}

fn code(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // Every key of 32 bytes is one; a code of zeros would count nowhere.
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
    use proptest::prelude::*;

    use super::*;

    fn wire(text: &str) -> WireId {
        WireId::parse(text).unwrap()
    }

    fn claims(used_for: TokenUse) -> TransferClaims {
        TransferClaims {
            holder: ParticipantId::parse("did:web:connector.example").unwrap(),
            start: 3,
            used_for,
            expires_at: Timestamp::from_millis(1_000),
        }
    }

    fn tokens() -> TransferTokens {
        TransferTokens::from_seed(&[7; 32])
    }

    #[test]
    fn a_token_counts_for_one_transfer_one_use_and_a_time() {
        let (a, b) = (wire("urn:uuid:a"), wire("urn:uuid:b"));
        let token = tokens().issue(&a, &claims(TokenUse::Fetch));
        let at = Timestamp::from_millis(999);
        let read = tokens().verify(&a, &token, TokenUse::Fetch, at);
        assert_eq!(read, Ok(claims(TokenUse::Fetch)));
        let unknown = Err(TransferTokenError::Unknown);
        assert_eq!(tokens().verify(&b, &token, TokenUse::Fetch, at), unknown);
        assert_eq!(tokens().verify(&a, &token, TokenUse::Refresh, at), unknown);
        let late = Timestamp::from_millis(1_000);
        let expired = Err(TransferTokenError::Expired);
        assert_eq!(tokens().verify(&a, &token, TokenUse::Fetch, late), expired);
        let other = TransferTokens::from_seed(&[8; 32]);
        assert_eq!(other.verify(&a, &token, TokenUse::Fetch, at), unknown);
    }

    #[test]
    fn the_form_is_frozen() {
        let token = tokens().issue(&wire("urn:uuid:a"), &claims(TokenUse::Refresh));
        expect_test::expect!["BSc6hctlMoN3mXHbqcxIhF-ILyUYQUmDRLo_1-a_X6sCAAAAAwAAAAAAAAPoZGlkOndlYjpjb25uZWN0b3IuZXhhbXBsZQ"].assert_eq(&token);
        assert_eq!(format!("{:?}", tokens()), "TransferTokens(redacted)");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_changed_token_never_counts(at in 0_usize..80, bit in 0_u8..8, noise in ".{0,90}") {
            let transfer = wire("urn:uuid:a");
            let token = tokens().issue(&transfer, &claims(TokenUse::Fetch));
            let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            for changed in [URL_SAFE_NO_PAD.encode(&bytes), noise] {
                let read = tokens().verify(
                    &transfer, &changed, TokenUse::Fetch, Timestamp::from_millis(0));
                prop_assert_eq!(read, Err(TransferTokenError::Unknown));
            }
        }
    }
}
