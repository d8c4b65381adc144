//! The node's Ed25519 key (RFC 8032) and the public keys of partners, in every form they are written.
//!
//! INVARIANT: a [`PublicKey`] is a canonical point that is not of small order, so that a signature
//! convicts one signer; a [`NodeKey`] never prints itself. The module draws no randomness: whoever
//! generates a key passes 32 random bytes.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::base58;
use super::private_file::{self, PrivateFileError};

/// PKCS#8 (RFC 5958, RFC 8410) version 1 around the 32 bytes of an Ed25519 key.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// Multicodec `ed25519-pub` as a varint.
const MULTICODEC_ED25519: [u8; 2] = [0xed, 0x01];

/// Why a text is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// Not an Ed25519 private key. The text is not repeated.
    #[error(
        "the text is no private key; expected Ed25519 as PKCS#8 PEM (`-----BEGIN PRIVATE KEY-----`) \
         or 64 hexadecimal digits"
    )]
    Private,
    /// Not an Ed25519 public key; its beginning only, because it may be a private one.
    #[error(
        "`{0}...` is no public key; write Ed25519 as multibase (`z6Mk...`), 64 hexadecimal digits or a \
         JWK with `kty` `OKP` and `crv` `Ed25519`"
    )]
    Public(String),
    /// A point of small order, with which one signature fits many messages.
    #[error("`{0}` is a weak key; ask the partner for another one")]
    Weak(String),
}

/// The key with which a node signs.
#[derive(Clone)]
pub struct NodeKey(SigningKey);

impl NodeKey {
    /// The key of 32 random bytes (RFC 8032 section 5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads a key from a file that only its owner may read.
    ///
    /// # Errors
    /// [`KeyError::File`] for a file that others can use or that cannot be read, and
    /// [`KeyError::Private`] for another content.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        Self::parse(&private_file::read(path)?)
    }

    /// Writes the key as PKCS#8 PEM to a new file with mode 0600.
    ///
    /// # Errors
    /// [`KeyError::File`], also if the file exists.
    pub fn create_file(&self, path: &Path) -> Result<(), KeyError> {
        Ok(private_file::create(path, &self.to_pem())?)
    }

    /// PKCS#8 PEM (RFC 8410 section 7), as `openssl genpkey -algorithm ed25519` writes it.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut der = Zeroizing::new(PKCS8_PREFIX.to_vec());
        der.extend_from_slice(self.0.as_bytes());
        let body = Zeroizing::new(STANDARD.encode(&der));
        Zeroizing::new(format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", body.as_str()))
    }

    /// Parses PKCS#8 PEM or 64 hexadecimal digits; white space around is ignored.
    ///
    /// # Errors
    /// [`KeyError::Private`] for anything else.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let seed = match text.strip_prefix(PEM_BEGIN) {
            Some(rest) => parse_pkcs8(rest),
            None => parse_hex32(text).map(Zeroizing::new),
        };
        seed.map(|seed| Self::from_seed(&seed))
            .ok_or(KeyError::Private)
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs `message` (RFC 8032, deterministic).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The key in the form that the journal's logs take.
    pub fn signing_key(&self) -> &SigningKey {
        &self.0
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey(of {})", self.public())
    }
}

fn parse_pkcs8(rest: &str) -> Option<Zeroizing<[u8; 32]>> {
    let body = rest.strip_suffix(PEM_END)?;
    let body: Zeroizing<String> =
        Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).ok()?);
    let seed = der.strip_prefix(&PKCS8_PREFIX)?;
    Some(Zeroizing::new(seed.try_into().ok()?))
}

/// The 32 bytes that 64 hexadecimal digits of either case stand for.
pub(super) fn parse_hex32(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut out = [0u8; 32];
    for (slot, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *slot = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(out)
}

/// `bytes` as lower-case hexadecimal digits.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The public key of a node; written as multibase in files and documents.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(VerifyingKey);

/// An Ed25519 JWK (RFC 8037 section 2); further members are ignored, as RFC 7517 section 4 wants.
#[derive(Serialize, Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
}

impl PublicKey {
    /// Checks and takes 32 bytes.
    ///
    /// # Errors
    /// [`KeyError::Public`] for bytes that are no canonical point, [`KeyError::Weak`] for a point of
    /// small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes)
            .map_err(|_| KeyError::Public(beginning(&to_hex(bytes))))?;
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(KeyError::Public(beginning(&to_hex(bytes))));
        }
        if key.is_weak() {
            return Err(KeyError::Weak(to_hex(bytes)));
        }
        Ok(Self(key))
    }

    /// Parses multibase (`z6Mk...`), 64 hexadecimal digits or a JWK.
    ///
    /// # Errors
    /// [`KeyError::Public`] for anything else, [`KeyError::Weak`] for a point of small order.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let bytes = match text.bytes().next() {
            Some(b'z') => parse_multibase(text),
            Some(b'{') => serde_json::from_str(text).ok().and_then(parse_jwk),
            Some(_) | None => parse_hex32(text),
        };
        let bytes = bytes.ok_or_else(|| KeyError::Public(beginning(text)))?;
        Self::from_bytes(&bytes)
    }

    /// The 32 bytes of RFC 8032.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        to_hex(self.as_bytes())
    }

    /// Multibase base58btc of the multicodec key, `z6Mk...` (Multikey, `did:key`).
    pub fn to_multibase(&self) -> String {
        to_multibase(self.as_bytes())
    }

    /// JWK (RFC 8037): `{"kty":"OKP","crv":"Ed25519","x":"..."}`.
    pub fn to_jwk(&self) -> serde_json::Value {
        serde_json::json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "x": URL_SAFE_NO_PAD.encode(self.as_bytes()),
        })
    }

    /// Whether `signature` is this key's over `message`, by the strict rules: canonical, and no
    /// points of small order.
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0
            .verify_strict(message, &Signature::from_bytes(signature))
            .is_ok()
    }

    /// The key in the form that the journal's logs take.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.0
    }
}

fn beginning(text: &str) -> String {
    text.chars().take(12).collect()
}

/// Multibase base58btc of the multicodec of a key.
pub(super) fn to_multibase(key: &[u8; 32]) -> String {
    let mut bytes = MULTICODEC_ED25519.to_vec();
    bytes.extend_from_slice(key);
    format!("z{}", base58::encode(&bytes))
}

/// The bytes of [`to_multibase`]; whether they are a key is not looked at.
pub(super) fn parse_multibase(text: &str) -> Option<[u8; 32]> {
    let bytes = base58::decode(text.strip_prefix('z')?)?;
    bytes.strip_prefix(&MULTICODEC_ED25519)?.try_into().ok()
}

fn parse_jwk(jwk: Jwk) -> Option<[u8; 32]> {
    if jwk.kty != "OKP" || jwk.crv != "Ed25519" {
        return None;
    }
    URL_SAFE_NO_PAD.decode(jwk.x).ok()?.try_into().ok()
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::parse(&text)
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        key.to_multibase()
    }
}

/// Multibase.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_multibase())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::private_file::tests::Scratch;
    use super::*;

    /// RFC 8032 section 7.1, test 1.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    #[test]
    fn forms_of_a_known_key() {
        let key = NodeKey::parse(SEED).unwrap();
        let public = key.public();
        assert_eq!(public.to_hex(), PUBLIC);
        assert_eq!(
            public.to_multibase(),
            "z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw"
        );
        // RFC 8037 appendix A.2.
        let jwk =
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        assert_eq!(
            public.to_jwk(),
            serde_json::from_str::<serde_json::Value>(jwk).unwrap()
        );
        for form in [PUBLIC, &PUBLIC.to_uppercase(), &public.to_multibase(), jwk] {
            assert_eq!(PublicKey::parse(form).unwrap(), public, "{form}");
        }
        assert_eq!(
            key.to_pem().as_str(),
            "-----BEGIN PRIVATE KEY-----\n\
             MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
             -----END PRIVATE KEY-----\n"
        );
        assert_eq!(NodeKey::parse(&key.to_pem()).unwrap().public(), public);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = Scratch::new("node-key");
        let path = scratch.0.join("node.key");
        let key = NodeKey::from_seed(&[7; 32]);
        key.create_file(&path).unwrap();
        assert_eq!(NodeKey::read(&path).unwrap().public(), key.public());
        assert!(key.create_file(&path).is_err());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            NodeKey::read(&path),
            Err(KeyError::File(PrivateFileError::Mode { mode: 0o640, .. }))
        ));
    }

    #[test]
    fn nothing_prints_the_private_key() {
        let key = NodeKey::parse(SEED).unwrap();
        let shown = format!("{key:?}");
        assert!(shown.contains("z6Mk"));
        assert!(
            !shown.contains("9d61") && !shown.contains("157, 97"),
            "{shown}"
        );
        let error = NodeKey::parse(&SEED.replace('9', "g")).unwrap_err();
        assert!(!error.to_string().contains("d61b1"), "{error}");
    }

    #[test]
    fn bad_keys_are_refused() {
        let pem = NodeKey::from_seed(&[7; 32]).to_pem();
        for bad in [
            "",
            "00",
            &SEED[1..],
            &pem.replace("MC4C", "MC4D"),
            &pem.replace("PRIVATE KEY-----\n", "RSA PRIVATE KEY-----\n"),
            pem.strip_suffix("-----END PRIVATE KEY-----\n").unwrap(),
        ] {
            assert!(
                matches!(NodeKey::parse(bad), Err(KeyError::Private)),
                "{bad}"
            );
        }
        // The neutral element is of small order; p + 1 is its other, not canonical, encoding.
        let neutral = format!("01{}", "00".repeat(31));
        assert!(matches!(PublicKey::parse(&neutral), Err(KeyError::Weak(_))));
        let not_canonical = format!("ee{}7f", "ff".repeat(30));
        assert!(PublicKey::parse(&not_canonical).is_err());
        for bad in [
            "z6Mk",
            "z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc",
            r#"{"kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qY"}"#,
            "{",
            "",
        ] {
            assert!(
                matches!(PublicKey::parse(bad), Err(KeyError::Public(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_private_key_in_the_wrong_place_is_not_repeated() {
        let pem = NodeKey::parse(SEED).unwrap().to_pem();
        let error = PublicKey::parse(&pem).unwrap_err().to_string();
        assert!(
            error.starts_with("`-----BEGIN P...` is no public key"),
            "{error}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn every_form_round_trips_and_signs(seed: [u8; 32], message: Vec<u8>) {
            let key = NodeKey::from_seed(&seed);
            let public = key.public();
            for form in [public.to_hex(), public.to_multibase(), public.to_jwk().to_string()] {
                prop_assert_eq!(PublicKey::parse(&form).unwrap(), public);
            }
            let mut signature = key.sign(&message);
            prop_assert!(public.verifies(&message, &signature));
            signature[5] ^= 1;
            prop_assert!(!public.verifies(&message, &signature));
        }
    }
}
