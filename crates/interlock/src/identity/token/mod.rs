//! Signed tokens between nodes: one for each request, bound to its audience, method, path and body.
//!
//! A token is a compact JWS (RFC 7515) with Ed25519 (RFC 8037) and claims of JWT (RFC 7519) and ours:
//! `htm` and `htp` (method, path with query), `bh` (SHA-256 of the body, base64url), `jti` (the
//! request id, 32 hexadecimal digits).
//!
//! INVARIANT: what a token says is read only after its signature was verified with the key pinned for
//! the partner that it names. The algorithm is ours, never the token's choice. This module knows no
//! clock, and not what a request means. It does not remember tokens: that is [`replay`].

pub mod replay;
pub mod scheme;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use interlock_core::ids::{ParticipantId, RequestId};
use interlock_core::time::{SECOND_MS, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::did::KeyId;
use super::keys::{NodeKey, PublicKey};

/// How long our tokens are valid, in milliseconds.
pub const TOKEN_LIFETIME_MS: i64 = 30 * SECOND_MS;

/// Longest life of a token that is accepted, in milliseconds (design: at most 60 s).
pub const TOKEN_LIFETIME_MS_MAX: i64 = 60 * SECOND_MS;

/// Largest leeway for the difference of two clocks, in milliseconds (design: at most 5 s).
pub const LEEWAY_MS_MAX: i64 = 5 * SECOND_MS;

/// Longest token that is read, in bytes.
pub const TOKEN_BYTES_MAX: usize = 4_096;

const ALGORITHM: &str = "EdDSA";
const TYPE: &str = "il-request+jwt";

/// Why a request does not count as a partner's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No `Authorization: Bearer` header.
    #[error("the request has no token; send `Authorization: Bearer` with one")]
    Missing,
    /// No compact JWS of the expected form.
    #[error("the token is malformed: {0}; see the reference of tokens between nodes")]
    Malformed(&'static str),
    /// The key that it names is not pinned here.
    #[error(
        "the key `{0}` is not known here; have this node's operator add the participant and its \
         present key (`interlock partner add`)"
    )]
    UnknownKey(String),
    /// The signature is not that key's.
    #[error("the signature does not verify with the key `{0}`; sign with that key")]
    BadSignature(String),
    /// Issued by another participant than the one whose key signed.
    #[error(
        "the token is issued by `{0}`, which does not control the key that signed it; \
         sign with the issuer's own key"
    )]
    WrongIssuer(String),
    /// Meant for another node.
    #[error("the token is for `{0}`, not for this node; make one for the node that you call")]
    WrongAudience(String),
    /// Its end lies before our time, leeway included.
    #[error("the token expired at {0}; make a new one for each request and check both clocks")]
    Expired(String),
    /// Its issue lies after our time, leeway included.
    #[error("the token was issued at {0}, in the future; check both clocks")]
    IssuedInFuture(String),
    /// Issued before this process started, so that its memory of requests does not cover it.
    #[error("the token was issued before this node started; make a new one and repeat the request")]
    IssuedBeforeStart,
    /// Valid for longer than allowed, or with an end before its beginning.
    #[error("the token is valid for {0} ms; make one of 1 to 60000 ms")]
    TooLongLived(i64),
    /// For another method.
    #[error("the token is for another method than that of the request; make one for each request")]
    WrongMethod,
    /// For another path or query.
    #[error(
        "the token is for another path or query than that of the request; make one for each request"
    )]
    WrongPath,
    /// For another body.
    #[error("the token is for another body than that of the request; make one for each request")]
    WrongBody,
    /// The request id was used before.
    #[error("the request id was used before; make a new one for a new request")]
    Replayed,
    /// The memory of the partner's request ids is full.
    #[error("too many requests within the life of a token; wait and repeat the request")]
    TooManyRequests,
}

impl TokenError {
    /// A stable name for problem details, logs and counters.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "token-missing",
            Self::Malformed(_) => "token-malformed",
            Self::UnknownKey(_) => "token-unknown-key",
            Self::BadSignature(_) => "token-bad-signature",
            Self::WrongIssuer(_) => "token-wrong-issuer",
            Self::WrongAudience(_) => "token-wrong-audience",
            Self::Expired(_) => "token-expired",
            Self::IssuedInFuture(_) => "token-issued-in-future",
            Self::IssuedBeforeStart => "token-issued-before-start",
            Self::TooLongLived(_) => "token-too-long-lived",
            Self::WrongMethod => "token-wrong-method",
            Self::WrongPath => "token-wrong-path",
            Self::WrongBody => "token-wrong-body",
            Self::Replayed => "token-replayed",
            Self::TooManyRequests => "too-many-requests",
        }
    }
}

/// The protected header. Another member, such as `crit` or `jwk`, is refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: ParticipantId,
    aud: ParticipantId,
    iat: NumericDate,
    exp: NumericDate,
    jti: RequestId,
    htm: String,
    htp: String,
    bh: String,
}

/// Seconds since the Unix epoch, with a fraction where there are milliseconds (RFC 7519 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
struct NumericDate(Timestamp);

impl From<NumericDate> for f64 {
    fn from(date: NumericDate) -> f64 {
        // Exact up to the year 285,000.
        date.0.as_millis() as f64 / 1_000.0
    }
}

impl TryFrom<f64> for NumericDate {
    type Error = &'static str;
    fn try_from(seconds: f64) -> Result<Self, &'static str> {
        // Years 1970 to 9999.
        if !(0.0..=253_402_300_799.0).contains(&seconds) {
            return Err("no time that a token could have");
        }
        let ms = (seconds * 1_000.0).round() as i64;
        Ok(Self(Timestamp::from_millis(ms)))
    }
}

/// A request to be signed.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Who sends it: we.
    pub issuer: &'a ParticipantId,
    /// Whom it is for.
    pub audience: &'a ParticipantId,
    /// Its id; the same for a repeat of the same request, so that it takes effect once.
    pub request_id: RequestId,
    /// `GET`, `POST`.
    pub method: &'a str,
    /// Path and query exactly as they stand in the request line.
    pub path_and_query: &'a str,
    /// The body; empty if there is none.
    pub body: &'a [u8],
    /// Now.
    pub issued_at: Timestamp,
}

/// The token of one request, valid for [`TOKEN_LIFETIME_MS`].
pub fn sign(key: &NodeKey, request: &Request<'_>) -> String {
    sign_for(key, request, TOKEN_LIFETIME_MS)
}

fn sign_for(key: &NodeKey, request: &Request<'_>, lifetime_ms: i64) -> String {
    let header = Header {
        alg: ALGORITHM.into(),
        typ: TYPE.into(),
        kid: KeyId::new(request.issuer, &key.public()).to_string(),
    };
    let claims = Claims {
        iss: request.issuer.clone(),
        aud: request.audience.clone(),
        iat: NumericDate(request.issued_at),
        exp: NumericDate(request.issued_at.plus_ms(lifetime_ms)),
        jti: request.request_id,
        htm: request.method.into(),
        htp: request.path_and_query.into(),
        bh: hash_of(request.body),
    };
    let signing_input = format!("{}.{}", encode(&header), encode(&claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signing_input.as_bytes()));
    format!("{signing_input}.{signature}")
}

fn encode(part: &impl Serialize) -> String {
    // Strings and finite numbers alone: there is nothing that JSON could not hold.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).unwrap_or_default())
}

fn hash_of(body: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(body))
}

/// What the node that verifies knows of the request, before its body, and of itself.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// Our own id.
    pub audience: &'a ParticipantId,
    /// The method of the request.
    pub method: &'a str,
    /// Path and query exactly as they stand in the request line.
    pub path_and_query: &'a str,
    /// Now.
    pub now: Timestamp,
    /// How far two clocks may differ, in milliseconds; taken as 0 to [`LEEWAY_MS_MAX`].
    pub leeway_ms: i64,
    /// When this process started. A token of an earlier time may have been used at the process before
    /// this one, whose memory of requests is gone.
    pub started_at: Timestamp,
}

/// A request that is a partner's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Who signed it.
    pub partner: ParticipantId,
    /// Its id.
    pub request_id: RequestId,
    /// Until when the token would be accepted again, and its id must be remembered.
    pub remember_until: Timestamp,
}

/// A request that is a partner's if its body is the one that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    verified: Verified,
    body_hash: String,
}

impl Signed {
    /// Who signed it. Nothing is to be done for it before [`over`](Self::over), but its body read.
    pub const fn partner(&self) -> &ParticipantId {
        &self.verified.partner
    }

    /// Checks that the body that came is the one that was signed.
    ///
    /// # Errors
    /// [`TokenError::WrongBody`].
    pub fn over(self, body: &[u8]) -> Result<Verified, TokenError> {
        let same_body = self.body_hash.as_bytes().ct_eq(hash_of(body).as_bytes());
        if !bool::from(same_body) {
            return Err(TokenError::WrongBody);
        }
        Ok(self.verified)
    }
}

/// Checks that `token` is a partner's for exactly this request, of which the body is still to come.
///
/// `pinned_key` gives the key of that name if it is pinned for a partner
/// ([`PartnerList::key`](super::partner::PartnerList::key)). A verified request may still be a
/// repeat: ask [`replay::ReplayGuard`].
///
/// # Errors
/// The first [`TokenError`] in this order: form, key, signature, issuer, audience, times, method,
/// path.
pub fn verify(
    token: &str,
    expected: &Expected<'_>,
    pinned_key: impl FnOnce(&KeyId) -> Option<PublicKey>,
) -> Result<Signed, TokenError> {
    let parts = split(token)?;
    let key_id = key_named_by(parts.header)?;
    let key = pinned_key(&key_id).ok_or_else(|| TokenError::UnknownKey(key_id.to_string()))?;
    if !key.verifies(parts.signing_input.as_bytes(), &parts.signature) {
        return Err(TokenError::BadSignature(key_id.to_string()));
    }
    let claims: Claims = decode(parts.claims, "its claims are not the expected ones")?;
    if claims.iss != *key_id.controller() {
        return Err(TokenError::WrongIssuer(claims.iss.into()));
    }
    if claims.aud != *expected.audience {
        return Err(TokenError::WrongAudience(claims.aud.into()));
    }
    let remember_until = check_times(claims.iat.0, claims.exp.0, expected)?;
    if claims.htm != expected.method {
        return Err(TokenError::WrongMethod);
    }
    if claims.htp != expected.path_and_query {
        return Err(TokenError::WrongPath);
    }
    Ok(Signed {
        verified: Verified {
            partner: claims.iss,
            request_id: claims.jti,
            remember_until,
        },
        body_hash: claims.bh,
    })
}

/// The three parts of a token.
struct Parts<'a> {
    header: &'a str,
    claims: &'a str,
    /// Header and claims with the dot between: what is signed (RFC 7515 section 5.1).
    signing_input: &'a str,
    signature: [u8; 64],
}

fn split(token: &str) -> Result<Parts<'_>, TokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::Malformed("it is longer than 4096 bytes"));
    }
    let not_three = || TokenError::Malformed("it has not three parts");
    let (signing_input, signature) = token.rsplit_once('.').ok_or_else(not_three)?;
    let (header, claims) = signing_input.split_once('.').ok_or_else(not_three)?;
    if claims.contains('.') {
        return Err(not_three());
    }
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(TokenError::Malformed(
            "its signature is not 64 bytes in base64url",
        ))?;
    Ok(Parts {
        header,
        claims,
        signing_input,
        signature,
    })
}

fn key_named_by(header: &str) -> Result<KeyId, TokenError> {
    let header: Header = decode(header, "its header is not `alg`, `typ` and `kid`")?;
    if header.alg != ALGORITHM {
        return Err(TokenError::Malformed("its `alg` is not `EdDSA`"));
    }
    if header.typ != TYPE {
        return Err(TokenError::Malformed("its `typ` is not `il-request+jwt`"));
    }
    KeyId::parse(&header.kid).ok_or(TokenError::Malformed(
        "its `kid` is not a DID, `#` and a key in multibase",
    ))
}

fn decode<T: for<'de> Deserialize<'de>>(part: &str, what: &'static str) -> Result<T, TokenError> {
    let json = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Malformed("it is not base64url"))?;
    serde_json::from_slice(&json).map_err(|_| TokenError::Malformed(what))
}

/// Checks the life of a token, `[iat, exp)`, and gives the end of its acceptance.
fn check_times(
    issued_at: Timestamp,
    expires_at: Timestamp,
    expected: &Expected<'_>,
) -> Result<Timestamp, TokenError> {
    let leeway_ms = expected.leeway_ms.clamp(0, LEEWAY_MS_MAX);
    let lifetime_ms = expires_at.since_ms(issued_at);
    if !(1..=TOKEN_LIFETIME_MS_MAX).contains(&lifetime_ms) {
        return Err(TokenError::TooLongLived(lifetime_ms));
    }
    let remember_until = expires_at.plus_ms(leeway_ms);
    if expected.now >= remember_until {
        return Err(TokenError::Expired(rfc3339(expires_at)));
    }
    if issued_at > expected.now.plus_ms(leeway_ms) {
        return Err(TokenError::IssuedInFuture(rfc3339(issued_at)));
    }
    if issued_at < expected.started_at {
        return Err(TokenError::IssuedBeforeStart);
    }
    Ok(remember_until)
}

fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339(interlock_core::time::Zone::UTC)
}

#[cfg(test)]
mod tests;
