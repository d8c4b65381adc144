//! Signed calls: Standard Webhooks 1.0, symmetric signatures (`v1`).
//!
//! Invariant: what is signed is `id.timestamp.body`, byte by byte as sent; a signature is compared in
//! constant time. It does not know the transport: headers are values that a driver puts on a request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use interlock_core::time::{SECOND_MS, Timestamp};
use sha2::Sha256;
use zeroize::Zeroizing;

/// How far a webhook's timestamp may lie from the receiver's clock, in seconds.
pub const TOLERANCE_S: i64 = 300;

/// Signatures looked at in one header; more are refused.
const SIGNATURES_MAX: usize = 8;

/// Prefix of a written secret.
const SECRET_PREFIX: &str = "whsec_";

/// Why a secret or a signed call is not accepted. The secret is never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Not `whsec_` with base64 of 24 to 64 bytes.
    #[error(
        "not a webhook secret; write `whsec_` and the base64 of 24 to 64 random bytes, as from `openssl rand -base64 32`"
    )]
    Secret,
    /// The timestamp is no number of seconds.
    #[error("`webhook-timestamp` is no number; send seconds since 1970-01-01 UTC")]
    Timestamp,
    /// The timestamp is too far from the receiver's clock.
    #[error(
        "`webhook-timestamp` is more than 5 minutes from this clock; check both clocks and sign every attempt anew"
    )]
    TooFar,
    /// No signature fits.
    #[error(
        "no signature in `webhook-signature` fits; check that both sides hold the same secret and that the body is signed as sent"
    )]
    Signature,
}

/// The secret that a sender and a receiver share. It is wiped on drop and never printed.
#[derive(Clone)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret(redacted)")
    }
}

/// The three headers of a signed call, in the order that they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookHeaders {
    /// `webhook-id`: the same at every attempt, the receiver's idempotency key.
    pub id: String,
    /// `webhook-timestamp`: seconds since the Unix epoch at this attempt.
    pub timestamp: String,
    /// `webhook-signature`: `v1,` and the base64 of the HMAC-SHA256; several, separated by spaces,
    /// while a secret is being replaced.
    pub signature: String,
}

impl WebhookHeaders {
    /// Names and values.
    pub fn pairs(&self) -> [(&'static str, &str); 3] {
        [
            ("webhook-id", &self.id),
            ("webhook-timestamp", &self.timestamp),
            ("webhook-signature", &self.signature),
        ]
    }
}

impl WebhookSecret {
    /// Parses `whsec_` and base64.
    ///
    /// # Errors
    /// [`WebhookError::Secret`] for another form or a key of fewer than 24 or more than 64 bytes.
    pub fn parse(text: &str) -> Result<Self, WebhookError> {
        let encoded = text
            .trim()
            .strip_prefix(SECRET_PREFIX)
            .ok_or(WebhookError::Secret)?;
        let key = STANDARD
            .decode(encoded)
            .map(Zeroizing::new)
            .map_err(|_| WebhookError::Secret)?;
        if !(24..=64).contains(&key.len()) {
            return Err(WebhookError::Secret);
        }
        Ok(Self(key))
    }

    /// The headers that send `body` under `id` at the time `at`.
    ///
    /// # Errors
    /// [`WebhookError::Secret`] if the key cannot be used.
    pub fn sign(
        &self,
        id: &str,
        at: Timestamp,
        body: &[u8],
    ) -> Result<WebhookHeaders, WebhookError> {
        let timestamp = at.as_millis().div_euclid(SECOND_MS).to_string();
        let tag = self.mac(id, &timestamp, body)?.finalize().into_bytes();
        Ok(WebhookHeaders {
            id: id.into(),
            signature: format!("v1,{}", STANDARD.encode(tag)),
            timestamp,
        })
    }

    /// Checks a received call: one `v1` signature fits and the timestamp is within [`TOLERANCE_S`] of
    /// `now`. Whether `id` was seen before is for the caller to know.
    ///
    /// # Errors
    /// What is wrong, as [`WebhookError`].
    pub fn verify(
        &self,
        headers: &WebhookHeaders,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), WebhookError> {
        let sent_s: i64 = headers
            .timestamp
            .parse()
            .map_err(|_| WebhookError::Timestamp)?;
        let now_s = now.as_millis().div_euclid(SECOND_MS);
        if now_s.saturating_sub(sent_s).saturating_abs() > TOLERANCE_S {
            return Err(WebhookError::TooFar);
        }
        if headers.signature.split(' ').count() > SIGNATURES_MAX {
            return Err(WebhookError::Signature);
        }
        for candidate in headers.signature.split(' ') {
            let Some(tag) = candidate
                .strip_prefix("v1,")
                .and_then(|text| STANDARD.decode(text).ok())
            else {
                continue;
            };
            let mac = self.mac(&headers.id, &headers.timestamp, body)?;
            if mac.verify_slice(&tag).is_ok() {
                return Ok(());
            }
        }
        Err(WebhookError::Signature)
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Result<Hmac<Sha256>, WebhookError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(|_| WebhookError::Secret)?;
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        Ok(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the reference libraries (standard-webhooks, `sign function works`).
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn at() -> Timestamp {
        Timestamp::from_millis(1_614_265_330_999)
    }

    #[test]
    fn the_published_vector_is_signed_and_verified() {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        let headers = secret.sign(ID, at(), BODY).unwrap();
        assert_eq!(
            headers.pairs(),
            [
                ("webhook-id", ID),
                ("webhook-timestamp", "1614265330"),
                ("webhook-signature", SIGNATURE),
            ]
        );
        assert_eq!(secret.verify(&headers, BODY, at()), Ok(()));
    }

    #[test]
    fn every_changed_part_is_refused() {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        let good = secret.sign(ID, at(), BODY).unwrap();
        let refuse = |change: fn(&mut WebhookHeaders), body: &[u8], wanted| {
            let mut headers = good.clone();
            change(&mut headers);
            assert_eq!(secret.verify(&headers, body, at()), Err(wanted));
        };
        refuse(|_| {}, b"{}", WebhookError::Signature);
        refuse(|h| h.id.push('x'), BODY, WebhookError::Signature);
        refuse(
            |h| h.timestamp = "1614265331".into(),
            BODY,
            WebhookError::Signature,
        );
        refuse(
            |h| h.timestamp = "hello".into(),
            BODY,
            WebhookError::Timestamp,
        );
        refuse(
            |h| h.timestamp = i64::MIN.to_string(),
            BODY,
            WebhookError::TooFar,
        );
        refuse(|h| h.signature.truncate(8), BODY, WebhookError::Signature);
        refuse(
            |h| h.signature = "v1,".into(),
            BODY,
            WebhookError::Signature,
        );
        refuse(|h| h.signature.clear(), BODY, WebhookError::Signature);
        refuse(
            |h| h.signature = h.signature.replace("v1,", "v2,"),
            BODY,
            WebhookError::Signature,
        );
        refuse(
            |h| h.signature = format!("{}{}", "v1,AAAA ".repeat(8), h.signature),
            BODY,
            WebhookError::Signature,
        );
        let other = WebhookSecret::parse(&format!("whsec_{}", STANDARD.encode([7u8; 32]))).unwrap();
        assert_eq!(
            other.verify(&good, BODY, at()),
            Err(WebhookError::Signature)
        );
    }

    #[test]
    fn one_good_signature_among_several_is_enough() {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        let mut headers = secret.sign(ID, at(), BODY).unwrap();
        headers.signature =
            format!("v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,x {SIGNATURE}");
        assert_eq!(secret.verify(&headers, BODY, at()), Ok(()));
    }

    #[test]
    fn a_call_ages_after_five_minutes_on_either_side() {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        let headers = secret.sign(ID, at(), BODY).unwrap();
        for (shift_s, wanted) in [
            (300, Ok(())),
            (301, Err(WebhookError::TooFar)),
            (-300, Ok(())),
            (-301, Err(WebhookError::TooFar)),
        ] {
            let now = at().plus_ms(shift_s * SECOND_MS);
            assert_eq!(secret.verify(&headers, BODY, now), wanted, "{shift_s}");
        }
    }

    #[test]
    fn secrets_are_checked_and_not_printed() {
        for bad in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_AAAA",
            "whsec_%%%%",
        ] {
            assert_eq!(
                WebhookSecret::parse(bad).err(),
                Some(WebhookError::Secret),
                "{bad}"
            );
        }
        let long = format!("whsec_{}", STANDARD.encode([1u8; 65]));
        assert!(WebhookSecret::parse(&long).is_err());
        let secret = WebhookSecret::parse(SECRET).unwrap();
        assert_eq!(format!("{secret:?}"), "WebhookSecret(redacted)");
    }
}
