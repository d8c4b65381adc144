//! The manifest of a cooperation: one document that both parties sign.
//!
//! INVARIANT: what is signed is the canonical form (RFC 8785, JCS) of strings and objects only, so
//! that there is one text for each manifest and numbers have no say in it. None of the agreements
//! named is in force before both signatures are there. It does not know whether the parties' keys
//! are theirs; that is for whoever signs.

use std::collections::BTreeMap;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hex;
use crate::merkle::Hash;

/// The version of the form.
pub const MANIFEST_VERSION: &str = "1";
/// Agreements in a manifest, at most.
pub const POLICIES_MAX: usize = 64;

/// A cooperation of two parties: all agreements with one term.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub version: String,
    /// Identifier of the cooperation.
    pub cooperation: WireId,
    /// The two parties.
    pub parties: BTreeMap<ParticipantId, Party>,
    /// The agreements by their id, 1 to [`POLICIES_MAX`].
    pub policies: BTreeMap<WireId, PolicyRef>,
    /// Start of the term, RFC 3339 with an offset; included.
    pub from: String,
    /// End of the term, RFC 3339 with an offset; not included.
    pub until: String,
    /// Who proposed it, if neither of the parties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mediator: Option<ParticipantId>,
    /// Hash of the manifest that this one takes the place of, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<String>,
}

/// One party of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// Its Ed25519 public key, hexadecimal: from now on the pinned one.
    pub key: String,
}

/// One agreement of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRef {
    /// Who provides.
    pub provider: ParticipantId,
    /// Who consumes.
    pub consumer: ParticipantId,
    /// What.
    pub dataset: Dataset,
    /// SHA-256 of the normalised policy, hexadecimal.
    pub policy_hash: String,
}

/// A manifest with the signatures that it has so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedManifest {
    /// What is signed.
    pub manifest: Manifest,
    /// Ed25519 over the canonical form, hexadecimal, by party.
    pub signatures: BTreeMap<ParticipantId, String>,
}

/// A manifest that was found to be one, with its keys and its canonical form at hand.
#[derive(Debug)]
pub struct Checked<'a> {
    keys: BTreeMap<&'a ParticipantId, VerifyingKey>,
    canonical: Vec<u8>,
}

/// Why a manifest is not one, or is not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Of another version.
    #[error("manifest version `{0}` is not known; update interlock")]
    UnknownVersion(String),
    /// Not two parties.
    #[error("a manifest has two parties, this one has {0}")]
    Parties(usize),
    /// Not 1 to 64 agreements.
    #[error("a manifest has 1 to 64 agreements, this one has {0}")]
    Policies(usize),
    /// A key is no Ed25519 public key in hexadecimal.
    #[error("the key of `{0}` is no Ed25519 public key; write 64 lower-case hexadecimal digits")]
    Key(String),
    /// A hash is not 64 hexadecimal digits.
    #[error("the hash of `{0}` is none; write 64 lower-case hexadecimal digits")]
    PolicyHash(String),
    /// An agreement is not between the two parties.
    #[error("agreement `{0}` is not between the two parties of the manifest")]
    OtherParty(String),
    /// The term is empty or no term.
    #[error("`{from}` to `{until}` is no term; write two instants of RFC 3339, the earlier first")]
    Term {
        /// As written.
        from: String,
        /// As written.
        until: String,
    },
    /// The signer is none of the parties.
    #[error("`{0}` is no party of the manifest")]
    NotAParty(String),
    /// The signing key is not the one that the manifest names.
    #[error("the key of `{0}` is not the one in the manifest")]
    OtherKey(String),
    /// The signer is not the mediator.
    #[error("`{0}` is not the mediator whom the manifest names")]
    NotTheMediator(String),
    /// A signature does not fit.
    #[error("the signature of `{0}` does not fit the manifest; ask for it again")]
    BadSignature(String),
    /// A party has not signed.
    #[error("`{0}` has not signed")]
    Unsigned(String),
}

impl Checked<'_> {
    /// [`Manifest::canonical_bytes`].
    pub fn canonical_bytes(&self) -> &[u8] {
        &self.canonical
    }

    fn key(&self, party: &ParticipantId) -> Result<&VerifyingKey, ManifestError> {
        let key = self.keys.get(party);
        key.ok_or_else(|| ManifestError::NotAParty(party.as_str().into()))
    }

    /// Signs for a party, with the key that the manifest names for it.
    ///
    /// # Errors
    /// [`ManifestError::NotAParty`], [`ManifestError::OtherKey`].
    pub fn sign(&self, party: &ParticipantId, key: &SigningKey) -> Result<[u8; 64], ManifestError> {
        if *self.key(party)? != key.verifying_key() {
            return Err(ManifestError::OtherKey(party.as_str().into()));
        }
        Ok(key.sign(&self.canonical).to_bytes())
    }

    /// Checks the signature of one party, hexadecimal.
    ///
    /// # Errors
    /// [`ManifestError::BadSignature`], [`ManifestError::NotAParty`].
    pub fn verify(&self, party: &ParticipantId, signature: &str) -> Result<(), ManifestError> {
        verify_by(self.key(party)?, &self.canonical, signature)
            .ok_or_else(|| ManifestError::BadSignature(party.as_str().into()))
    }
}

fn verify_by(key: &VerifyingKey, canonical: &[u8], signature: &str) -> Option<()> {
    let signature = Signature::from_bytes(&hex::decode(signature)?);
    key.verify_strict(canonical, &signature).ok()
}

impl Manifest {
    /// Checks everything that can be checked without asking anybody.
    ///
    /// # Errors
    /// [`ManifestError`], the first that is found.
    pub fn check(&self) -> Result<(), ManifestError> {
        self.check_with(&[]).map(drop)
    }

    /// [`Self::check`], for whoever signs or verifies then. Keys that are among `known` need not be
    /// read from their bytes again, which takes as long as everything else.
    ///
    /// # Errors
    /// The same.
    pub fn checked(&self, known: &[VerifyingKey]) -> Result<Checked<'_>, ManifestError> {
        Ok(Checked {
            keys: self.check_with(known)?,
            canonical: self.canonical_bytes(),
        })
    }

    fn check_with(
        &self,
        known: &[VerifyingKey],
    ) -> Result<BTreeMap<&ParticipantId, VerifyingKey>, ManifestError> {
        if self.version != MANIFEST_VERSION {
            return Err(ManifestError::UnknownVersion(self.version.clone()));
        }
        if self.parties.len() != 2 {
            return Err(ManifestError::Parties(self.parties.len()));
        }
        if self.policies.is_empty() || self.policies.len() > POLICIES_MAX {
            return Err(ManifestError::Policies(self.policies.len()));
        }
        let mut keys = BTreeMap::new();
        for (party, named) in &self.parties {
            let bytes = hex::decode::<32>(&named.key);
            let known = known.iter().find(|key| Some(*key.as_bytes()) == bytes);
            let key = match known {
                Some(key) => *key,
                None => self.key(party)?,
            };
            keys.insert(party, key);
        }
        for (agreement, policy) in &self.policies {
            let between = policy.provider != policy.consumer
                && self.parties.contains_key(&policy.provider)
                && self.parties.contains_key(&policy.consumer);
            if !between {
                return Err(ManifestError::OtherParty(agreement.as_str().into()));
            }
            if hex::decode::<32>(&policy.policy_hash).is_none() {
                return Err(ManifestError::PolicyHash(agreement.as_str().into()));
            }
        }
        if let Some(hash) = &self.supersedes
            && hex::decode::<32>(hash).is_none()
        {
            return Err(ManifestError::PolicyHash("supersedes".into()));
        }
        self.term().map(|_| keys)
    }

    /// The term as instants: `[from, until)`.
    ///
    /// # Errors
    /// [`ManifestError::Term`].
    pub fn term(&self) -> Result<(Timestamp, Timestamp), ManifestError> {
        let parse = |text| Timestamp::parse_zoned(text).map(|(at, _)| at).ok();
        match (parse(&self.from), parse(&self.until)) {
            (Some(from), Some(until)) if from < until => Ok((from, until)),
            (Some(_) | None, Some(_) | None) => Err(ManifestError::Term {
                from: self.from.clone(),
                until: self.until.clone(),
            }),
        }
    }

    /// The key that the manifest names for a party.
    ///
    /// # Errors
    /// [`ManifestError::NotAParty`], [`ManifestError::Key`].
    pub fn key(&self, party: &ParticipantId) -> Result<VerifyingKey, ManifestError> {
        let named = self
            .parties
            .get(party)
            .ok_or_else(|| ManifestError::NotAParty(party.as_str().into()))?;
        hex::decode(&named.key)
            .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
            .filter(|key| !key.is_weak())
            .ok_or_else(|| ManifestError::Key(party.as_str().into()))
    }

    /// The bytes that are hashed and signed (RFC 8785).
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let parties = self.parties.iter().map(|(id, party)| {
            let fields = [("key", Jcs::text(&party.key))];
            (id.as_str(), Jcs::object(fields))
        });
        let policies = self.policies.iter().map(|(id, policy)| {
            let fields = [
                ("provider", Jcs::text(policy.provider.as_str())),
                ("consumer", Jcs::text(policy.consumer.as_str())),
                ("dataset", Jcs::text(policy.dataset.as_str())),
                ("policy_hash", Jcs::text(&policy.policy_hash)),
            ];
            (id.as_str(), Jcs::object(fields))
        });
        let mediator = self.mediator.as_ref().map(ParticipantId::as_str);
        let supersedes = self.supersedes.as_deref();
        let fields = [
            ("version", Jcs::text(&self.version)),
            ("cooperation", Jcs::text(self.cooperation.as_str())),
            ("parties", Jcs::object(parties)),
            ("policies", Jcs::object(policies)),
            ("from", Jcs::text(&self.from)),
            ("until", Jcs::text(&self.until)),
        ];
        let optional = [("mediator", mediator), ("supersedes", supersedes)];
        let optional = optional
            .into_iter()
            .filter_map(|(name, value)| Some((name, Jcs::text(value?))));
        let mut out = String::new();
        Jcs::object(fields.into_iter().chain(optional)).write(&mut out);
        out.into_bytes()
    }

    /// SHA-256 of the canonical form: what notices and the regulator's feed name a manifest by.
    pub fn hash(&self) -> Hash {
        Sha256::digest(self.canonical_bytes()).into()
    }

    /// Signs for a party, with the key that the manifest names for it.
    ///
    /// # Errors
    /// As [`Self::check`], and [`ManifestError::OtherKey`].
    pub fn sign(&self, party: &ParticipantId, key: &SigningKey) -> Result<String, ManifestError> {
        let signature = self.checked(&[key.verifying_key()])?.sign(party, key)?;
        Ok(hex::encode(&signature))
    }

    /// Signs as the mediator whom the manifest names: it proposes and is bound by nothing.
    ///
    /// # Errors
    /// As [`Self::check`], and [`ManifestError::NotTheMediator`].
    pub fn sign_as_mediator(
        &self,
        mediator: &ParticipantId,
        key: &SigningKey,
    ) -> Result<String, ManifestError> {
        self.check()?;
        if self.mediator.as_ref() != Some(mediator) || self.parties.contains_key(mediator) {
            return Err(ManifestError::NotTheMediator(mediator.as_str().into()));
        }
        Ok(hex::encode(&key.sign(&self.canonical_bytes()).to_bytes()))
    }

    /// Checks the signature of the mediator, whose key the manifest does not name.
    ///
    /// # Errors
    /// [`ManifestError::NotTheMediator`] for a manifest without one, [`ManifestError::BadSignature`].
    pub fn verify_mediator(&self, key: &[u8; 32], signature: &str) -> Result<(), ManifestError> {
        let mediator = self.mediator.as_ref();
        let mediator = mediator.ok_or_else(|| ManifestError::NotTheMediator("nobody".into()))?;
        let key = VerifyingKey::from_bytes(key)
            .ok()
            .filter(|key| !key.is_weak());
        key.and_then(|key| verify_by(&key, &self.canonical_bytes(), signature))
            .ok_or_else(|| ManifestError::BadSignature(mediator.as_str().into()))
    }

    /// Checks the signature of one party.
    ///
    /// # Errors
    /// [`ManifestError::BadSignature`], [`ManifestError::NotAParty`], [`ManifestError::Key`].
    pub fn verify(&self, party: &ParticipantId, signature: &str) -> Result<(), ManifestError> {
        verify_by(&self.key(party)?, &self.canonical_bytes(), signature)
            .ok_or_else(|| ManifestError::BadSignature(party.as_str().into()))
    }
}

impl SignedManifest {
    /// Checks the manifest and that it carries the signatures of both parties, and no wrong one.
    ///
    /// # Errors
    /// [`ManifestError`]; [`ManifestError::Unsigned`] if all that is wrong is a missing signature.
    pub fn verify(&self) -> Result<(), ManifestError> {
        self.manifest.check()?;
        for (party, signature) in &self.signatures {
            self.manifest.verify(party, signature)?;
        }
        let mut parties = self.manifest.parties.keys();
        match parties.find(|party| !self.signatures.contains_key(party)) {
            None => Ok(()),
            Some(party) => Err(ManifestError::Unsigned(party.as_str().into())),
        }
    }
}

/// A value of strings and objects. Its keys are ASCII (every identifier is), for which the order of
/// bytes is the order of UTF-16 units that RFC 8785 asks for.
enum Jcs<'a> {
    Text(&'a str),
    Object(BTreeMap<&'a str, Jcs<'a>>),
}

impl<'a> Jcs<'a> {
    const fn text(text: &'a str) -> Self {
        Self::Text(text)
    }

    fn object(fields: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        Self::Object(fields.into_iter().collect())
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => write_text(text, out),
            Self::Object(fields) => {
                out.push('{');
                for (at, (name, value)) in fields.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// RFC 8785 section 3.2.2.2.
fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn id(text: &str) -> ParticipantId {
        ParticipantId::parse(text).unwrap()
    }

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    fn party(n: u8) -> Party {
        Party {
            key: hex::encode(key(n).verifying_key().as_bytes()),
        }
    }

    fn sample() -> Manifest {
        let (a, b) = (
            id("did:web:cainiao.example"),
            id("did:web:fengchao.example"),
        );
        let policy = |dataset, provider: &ParticipantId, consumer: &ParticipantId| PolicyRef {
            provider: provider.clone(),
            consumer: consumer.clone(),
            dataset,
            policy_hash: hex::encode(&[0xab; 32]),
        };
        Manifest {
            version: MANIFEST_VERSION.into(),
            cooperation: WireId::parse("urn:uuid:c1").unwrap(),
            policies: BTreeMap::from([
                (
                    WireId::parse("urn:uuid:2").unwrap(),
                    policy(Dataset::LockerEvents, &b, &a),
                ),
                (
                    WireId::parse("urn:uuid:1").unwrap(),
                    policy(Dataset::RecipientContact, &a, &b),
                ),
            ]),
            parties: BTreeMap::from([(b, party(2)), (a, party(1))]),
            from: "2017-06-03T00:00:00+08:00".into(),
            until: "2017-07-01T00:00:00+08:00".into(),
            mediator: Some(id("did:web:post-bureau.example")),
            supersedes: None,
        }
    }

    #[test]
    fn golden_manifest() {
        let bytes = sample().canonical_bytes();
        expect![[r#"{"cooperation":"urn:uuid:c1","from":"2017-06-03T00:00:00+08:00","mediator":"did:web:post-bureau.example","parties":{"did:web:cainiao.example":{"key":"8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"},"did:web:fengchao.example":{"key":"8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"}},"policies":{"urn:uuid:1":{"consumer":"did:web:fengchao.example","dataset":"recipient-contact","policy_hash":"abababababababababababababababababababababababababababababababab","provider":"did:web:cainiao.example"},"urn:uuid:2":{"consumer":"did:web:cainiao.example","dataset":"locker-events","policy_hash":"abababababababababababababababababababababababababababababababab","provider":"did:web:fengchao.example"}},"until":"2017-07-01T00:00:00+08:00","version":"1"}"#]].assert_eq(std::str::from_utf8(&bytes).unwrap());
        expect!["afb4c5d19ad040f3347a7ab9a1afc46d0b788f28118651bb3d607cfb1f42e7ee"]
            .assert_eq(&hex::encode(&sample().hash()));
    }

    #[test]
    fn the_canonical_form_reads_as_the_manifest() {
        let superseding = Manifest {
            supersedes: Some(hex::encode(&[1; 32])),
            mediator: None,
            ..sample()
        };
        for manifest in [sample(), superseding] {
            let bytes = manifest.canonical_bytes();
            let read: Manifest = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(read, manifest);
            // serde_json sorts the members of a value as JCS does.
            let value = serde_json::to_value(&manifest).unwrap();
            assert_eq!(serde_json::to_vec(&value).unwrap(), bytes);
        }
        assert!(serde_json::from_str::<Manifest>(r#"{"version":"1","more":""}"#).is_err());
    }

    #[test]
    fn escapes_are_those_of_json() {
        let text = "\u{1}\u{8}\t\n\u{c}\r\u{1f}\"\\/é丰";
        let mut out = String::new();
        write_text(text, &mut out);
        assert_eq!(out, serde_json::to_string(text).unwrap());
    }

    #[test]
    fn both_must_sign_with_the_keys_named() {
        let manifest = sample();
        let (a, b) = (
            id("did:web:cainiao.example"),
            id("did:web:fengchao.example"),
        );
        assert_eq!(
            manifest.sign(&a, &key(2)),
            Err(ManifestError::OtherKey(a.as_str().into()))
        );
        let bureau = id("did:web:post-bureau.example");
        assert!(matches!(
            manifest.sign(&bureau, &key(3)),
            Err(ManifestError::NotAParty(_))
        ));
        let mut signed = SignedManifest {
            signatures: BTreeMap::from([(a.clone(), manifest.sign(&a, &key(1)).unwrap())]),
            manifest,
        };
        assert_eq!(
            signed.verify(),
            Err(ManifestError::Unsigned(b.as_str().into()))
        );
        let by_b = signed.manifest.sign(&b, &key(2)).unwrap();
        signed.signatures.insert(b.clone(), by_b);
        assert_eq!(signed.verify(), Ok(()));
        let mut changed = signed.clone();
        changed.manifest.until = "2017-08-01T00:00:00+08:00".into();
        assert!(matches!(
            changed.verify(),
            Err(ManifestError::BadSignature(_))
        ));
        let by_a = signed.signatures[&a].clone();
        signed.signatures.insert(b, by_a);
        assert!(matches!(
            signed.verify(),
            Err(ManifestError::BadSignature(_))
        ));
    }

    #[test]
    fn what_is_no_manifest_is_named() {
        type Spoil = fn(&mut Manifest);
        let cases: [(Spoil, &str); 9] = [
            (|m| m.version = "2".into(), "version `2`"),
            (|m| drop(m.parties.pop_first()), "two parties"),
            (|m| m.policies.clear(), "1 to 64 agreements"),
            (|m| m.until = m.from.clone(), "no term"),
            (|m| m.from = "2017-06-03".into(), "no term"),
            (|m| m.supersedes = Some("x".into()), "`supersedes`"),
            (
                |m| {
                    for party in m.parties.values_mut() {
                        party.key = hex::encode(&[0; 32]);
                    }
                },
                "no Ed25519 public key",
            ),
            (
                |m| {
                    for policy in m.policies.values_mut() {
                        policy.policy_hash.make_ascii_uppercase();
                    }
                },
                "hash of `urn:uuid:1`",
            ),
            (
                |m| {
                    for policy in m.policies.values_mut() {
                        policy.provider = policy.consumer.clone();
                    }
                },
                "not between the two",
            ),
        ];
        for (spoil, message) in cases {
            let mut manifest = sample();
            spoil(&mut manifest);
            let error = manifest.check().unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
