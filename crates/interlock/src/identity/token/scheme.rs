//! How nodes tell each other who they are: the seam between signed tokens and a laboratory's.
//!
//! INVARIANT: `static` exists only where the configuration says
//! `allow_static_tokens_for_laboratory = true`. It proves nothing about body, time or repeats; it is
//! there so that a conformance kit, which cannot sign, can talk to a node.

use std::fmt;

use interlock_core::ids::ParticipantId;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::super::did::KeyId;
use super::super::keys::PublicKey;
use super::{Expected, Signed, TokenError, Verified, verify};

/// How requests of partners are recognised.
#[derive(Debug, Default)]
pub enum Scheme {
    /// One signed token a request.
    #[default]
    Signed,
    /// Signed tokens, and the fixed tokens of a laboratory beside them.
    Static(StaticTokens),
}

/// The fixed tokens of a laboratory, as SHA-256.
#[derive(Default)]
pub struct StaticTokens(Vec<(ParticipantId, [u8; 32])>);

impl StaticTokens {
    /// Has whoever sends `token` count as `partner`.
    #[must_use]
    pub fn with(mut self, partner: ParticipantId, token: &str) -> Self {
        self.0.push((partner, Sha256::digest(token).into()));
        self
    }

    fn partner_of(&self, token: &str) -> Option<&ParticipantId> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        self.0
            .iter()
            .find(|(_, known)| known.ct_eq(&hash).into())
            .map(|(partner, _)| partner)
    }
}

/// The participants, without their tokens.
impl fmt::Debug for StaticTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(partner, _)| partner))
            .finish()
    }
}

/// Who calls, and how we know; the body is still to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A partner, by its signature over this request.
    Signed(Signed),
    /// A partner, by a laboratory's fixed token.
    Static(ParticipantId),
}

impl Caller {
    /// The partner.
    pub const fn partner(&self) -> &ParticipantId {
        match self {
            Self::Signed(signed) => signed.partner(),
            Self::Static(partner) => partner,
        }
    }

    /// The verified request with its body; `None` of a laboratory's fixed token, which proves nothing
    /// about it.
    ///
    /// # Errors
    /// [`TokenError::WrongBody`].
    pub fn over(self, body: &[u8]) -> Result<Option<Verified>, TokenError> {
        match self {
            Self::Signed(signed) => signed.over(body).map(Some),
            Self::Static(_) => Ok(None),
        }
    }
}

impl Scheme {
    /// Says whose request this is, from its `Authorization` header: whose body is worth reading.
    ///
    /// # Errors
    /// [`TokenError`], see [`verify`].
    pub fn authenticate(
        &self,
        authorization: Option<&str>,
        expected: &Expected<'_>,
        pinned_key: impl FnOnce(&KeyId) -> Option<PublicKey>,
    ) -> Result<Caller, TokenError> {
        let header = authorization.ok_or(TokenError::Missing)?;
        match self {
            Self::Signed => {}
            Self::Static(tokens) => {
                let bare = bearer(header).unwrap_or(header);
                if let Some(partner) = tokens.partner_of(bare) {
                    return Ok(Caller::Static(partner.clone()));
                }
            }
        }
        let token = bearer(header).ok_or(TokenError::Missing)?;
        verify(token, expected, pinned_key).map(Caller::Signed)
    }
}

/// The token of `Bearer TOKEN` (RFC 6750 section 2.1; the scheme in any case).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

#[cfg(test)]
mod tests {
    use interlock_core::ids::RequestId;
    use interlock_core::time::Timestamp;

    use super::super::super::keys::NodeKey;
    use super::super::{Request, sign};
    use super::*;

    fn id(text: &str) -> ParticipantId {
        ParticipantId::parse(text).unwrap()
    }

    fn authenticate(scheme: &Scheme, header: Option<&str>) -> Result<Caller, TokenError> {
        let us = id("did:web:us.example");
        let expected = Expected {
            audience: &us,
            method: "GET",
            path_and_query: "/",
            now: Timestamp::from_millis(1_000),
            leeway_ms: 0,
            started_at: Timestamp::from_millis(0),
        };
        scheme.authenticate(header, &expected, |_| {
            Some(NodeKey::from_seed(&[1; 32]).public())
        })
    }

    fn signed() -> String {
        sign(
            &NodeKey::from_seed(&[1; 32]),
            &Request {
                issuer: &id("did:web:them.example"),
                audience: &id("did:web:us.example"),
                request_id: RequestId::from_bytes([1; 16]),
                method: "GET",
                path_and_query: "/",
                body: b"",
                issued_at: Timestamp::from_millis(1_000),
            },
        )
    }

    #[test]
    fn a_signed_token_comes_as_bearer() {
        let token = signed();
        for header in [format!("Bearer {token}"), format!("bearer {token}")] {
            let caller = authenticate(&Scheme::Signed, Some(&header)).unwrap();
            assert_eq!(caller.partner().as_str(), "did:web:them.example");
            assert!(matches!(caller, Caller::Signed(_)));
        }
        for header in [None, Some(token.as_str()), Some(""), Some("Basic YTpi")] {
            assert_eq!(
                authenticate(&Scheme::Signed, header),
                Err(TokenError::Missing)
            );
        }
    }

    #[test]
    fn a_fixed_token_counts_in_a_laboratory_alone() {
        let kit = id("did:web:kit.example");
        let laboratory = Scheme::Static(StaticTokens::default().with(kit.clone(), "let-me-in"));
        for header in ["Bearer let-me-in", "let-me-in"] {
            assert_eq!(
                authenticate(&laboratory, Some(header)),
                Ok(Caller::Static(kit.clone()))
            );
            assert!(authenticate(&Scheme::default(), Some(header)).is_err());
        }
        assert!(authenticate(&laboratory, Some("Bearer let-me-i")).is_err());
        let header = format!("Bearer {}", signed());
        assert!(matches!(
            authenticate(&laboratory, Some(&header)),
            Ok(Caller::Signed(_))
        ));
        assert!(!format!("{laboratory:?}").contains("let-me-in"));
    }
}
