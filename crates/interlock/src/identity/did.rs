//! DID documents of nodes (W3C DID 1.0, method `did:web`).
//!
//! INVARIANT: a parsed document is about the participant that was asked for, and each of its keys is
//! controlled by that participant. A document only introduces a partner: its key counts when a person
//! or a manifest has pinned it. This module fetches nothing.

use std::fmt;

use interlock_core::ids::ParticipantId;
use serde_json::{Value, json};

use super::keys::{self, PublicKey};
use super::url::BaseUrl;

/// Path at which a node serves its document (`did:web` without a path).
pub const DID_DOCUMENT_PATH: &str = "/.well-known/did.json";

/// Media type of the document.
pub const DID_DOCUMENT_TYPE: &str = "application/did+json";

/// Longest document that is read, in bytes.
pub const DID_DOCUMENT_BYTES_MAX: usize = 64 * 1024;

/// Most verification methods or services that are read.
pub const DID_ENTRIES_MAX: usize = 50;

/// Type of the service that names the base address of a node's exchange door.
pub const SERVICE_EXCHANGE: &str = "InterlockExchange";
/// Type of the service that names the DSP version document (DSP 2025-1, `/.well-known/dspace-version`).
pub const SERVICE_DATA: &str = "DataService";

const DSP_VERSION_PATH: &str = "/.well-known/dspace-version";

/// Why an identifier leads to no document, or a document is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DidError {
    /// Not `did:web`, or not a host that a URL can name.
    #[error(
        "`{0}` leads to no web address; write `did:web:host`, with a port as `did:web:host%3A8443`"
    )]
    NotWeb(String),
    /// Not JSON, or too long.
    #[error(
        "the document of `{id}` is no JSON of at most {DID_DOCUMENT_BYTES_MAX} bytes; ask the partner for a correct one"
    )]
    NoJson {
        /// The participant that was asked for.
        id: ParticipantId,
    },
    /// A member is missing or has another form.
    #[error(
        "the document of `{id}` is wrong at `{pointer}`: expected {expected}; ask the partner for a correct one"
    )]
    Member {
        /// The participant that was asked for.
        id: ParticipantId,
        /// JSON pointer of the member.
        pointer: String,
        /// What should be there.
        expected: &'static str,
    },
    /// About somebody else.
    #[error("the document of `{id}` is about `{found}`; check the address of the partner")]
    OtherSubject {
        /// The participant that was asked for.
        id: ParticipantId,
        /// The subject of the document, shortened.
        found: String,
    },
    /// No Ed25519 key for authentication.
    #[error(
        "the document of `{id}` has no Ed25519 key for authentication; ask the partner to publish one"
    )]
    NoKey {
        /// The participant that was asked for.
        id: ParticipantId,
    },
}

/// The address of the document of a `did:web` participant.
///
/// `did:web:host` -> `https://host/.well-known/did.json`, `did:web:host%3A8443:a:b` ->
/// `https://host:8443/a/b/did.json`.
///
/// # Errors
/// [`DidError::NotWeb`] for another method, a host that is no host, or a path that leaves its place.
pub fn document_url(id: &ParticipantId) -> Result<String, DidError> {
    let bad = || DidError::NotWeb(id.as_str().into());
    let rest = id.as_str().strip_prefix("did:web:").ok_or_else(bad)?;
    let mut parts = rest.split(':');
    let host = parts.next().ok_or_else(bad)?;
    let authority = match host.split_once('%') {
        None => host.to_ascii_lowercase(),
        Some((name, port)) => {
            let port = port.strip_prefix("3A").or_else(|| port.strip_prefix("3a"));
            let port: u16 = port.and_then(|p| p.parse().ok()).ok_or_else(bad)?;
            format!("{}:{port}", name.to_ascii_lowercase())
        }
    };
    let good_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':');
    if authority.starts_with(['.', '-', ':']) || !authority.bytes().all(good_host) {
        return Err(bad());
    }
    let mut url = format!("https://{authority}");
    let mut has_path = false;
    for part in parts {
        if part.is_empty() || part.contains('%') || part == "." || part == ".." {
            return Err(bad());
        }
        url.push('/');
        url.push_str(part);
        has_path = true;
    }
    url.push_str(if has_path {
        "/did.json"
    } else {
        DID_DOCUMENT_PATH
    });
    BaseUrl::parse(&url).map_err(|_| bad())?;
    Ok(url)
}

/// The name of a key: the DID of its controller, `#`, and the key itself in multibase, so that the
/// name cannot stay the same when the key changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyId {
    controller: ParticipantId,
    /// As it is named: whether it is a key is asked of keys that are used, not of names.
    key: [u8; 32],
}

impl KeyId {
    /// The name of `key` as a key of `controller`.
    pub fn new(controller: &ParticipantId, key: &PublicKey) -> Self {
        Self {
            controller: controller.clone(),
            key: *key.as_bytes(),
        }
    }

    /// Splits `did:web:host#z6Mk...`; nothing if it is no such name.
    pub fn parse(text: &str) -> Option<Self> {
        let (controller, fragment) = text.split_once('#')?;
        Some(Self {
            controller: ParticipantId::parse(controller).ok()?,
            key: keys::parse_multibase(fragment)?,
        })
    }

    /// The participant whose key it is said to be.
    pub fn controller(&self) -> &ParticipantId {
        &self.controller
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = keys::to_multibase(&self.key);
        write!(f, "{}#{key}", self.controller)
    }
}

/// What a node needs of a participant's DID document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DidDocument {
    /// The subject.
    pub id: ParticipantId,
    /// Its Ed25519 keys for authentication, the present one first.
    pub keys: Vec<PublicKey>,
    /// Base address of the exchange door; absent for a foreign connector.
    pub exchange_url: Option<BaseUrl>,
    /// Address of the DSP version document; absent if the participant speaks no DSP.
    pub dsp_version_url: Option<String>,
}

impl DidDocument {
    /// The document of our node.
    pub fn of_node(id: &ParticipantId, key: PublicKey, exchange_url: &BaseUrl) -> Self {
        Self {
            id: id.clone(),
            keys: vec![key],
            exchange_url: Some(exchange_url.clone()),
            dsp_version_url: Some(format!("{exchange_url}{DSP_VERSION_PATH}")),
        }
    }

    /// The document as it is served (W3C DID 1.0 section 6.3; Multikey of Controlled Identifiers 1.0).
    pub fn to_json(&self) -> Value {
        let key_ids: Vec<String> = self
            .keys
            .iter()
            .map(|key| KeyId::new(&self.id, key).to_string())
            .collect();
        let methods: Vec<Value> = self
            .keys
            .iter()
            .map(|key| {
                json!({
                    "id": KeyId::new(&self.id, key).to_string(),
                    "type": "Multikey",
                    "controller": self.id,
                    "publicKeyMultibase": key.to_multibase(),
                })
            })
            .collect();
        let exchange = self.exchange_url.as_ref().map(|url| {
            json!({ "id": format!("{}#exchange", self.id), "type": SERVICE_EXCHANGE,
                    "serviceEndpoint": url })
        });
        let dsp = self.dsp_version_url.as_ref().map(|url| {
            json!({ "id": format!("{}#dsp", self.id), "type": SERVICE_DATA,
                    "serviceEndpoint": url })
        });
        json!({
            "@context": [
                "https://www.w3.org/ns/did/v1",
                "https://w3id.org/security/multikey/v1",
            ],
            "id": self.id,
            "verificationMethod": methods,
            "authentication": key_ids,
            "assertionMethod": key_ids,
            "service": exchange.into_iter().chain(dsp).collect::<Vec<_>>(),
        })
    }

    /// Reads the document of `id`; what is not needed is ignored, as W3C DID 1.0 wants.
    ///
    /// Keys are the Ed25519 methods of types `Multikey`, `JsonWebKey`, `JsonWebKey2020` and
    /// `Ed25519VerificationKey2020` that `authentication` names or holds.
    ///
    /// # Errors
    /// [`DidError`] for a document about somebody else, without such a key, with a key controlled by
    /// another, or of another form.
    pub fn parse(text: &str, id: &ParticipantId) -> Result<Self, DidError> {
        let no_json = || DidError::NoJson { id: id.clone() };
        if text.len() > DID_DOCUMENT_BYTES_MAX {
            return Err(no_json());
        }
        let document: Value = serde_json::from_str(text).map_err(|_| no_json())?;
        let reader = Reader {
            id,
            document: &document,
        };
        let subject = reader.text(&document, "/id", "the DID of the participant")?;
        if subject != id.as_str() {
            return Err(DidError::OtherSubject {
                id: id.clone(),
                found: subject.chars().take(80).collect(),
            });
        }
        let keys = reader.authentication_keys()?;
        if keys.is_empty() {
            return Err(DidError::NoKey { id: id.clone() });
        }
        let exchange_url =
            match reader.service(SERVICE_EXCHANGE)? {
                Some((pointer, url)) => Some(BaseUrl::parse(url).map_err(|_| {
                    reader.wrong(&pointer, "an address such as `https://host:port`")
                })?),
                None => None,
            };
        Ok(Self {
            id: id.clone(),
            keys,
            exchange_url,
            dsp_version_url: reader.service(SERVICE_DATA)?.map(|(_, url)| url.into()),
        })
    }
}

/// Reads members of one document and names the place of what is wrong.
struct Reader<'a> {
    id: &'a ParticipantId,
    document: &'a Value,
}

impl<'a> Reader<'a> {
    fn wrong(&self, pointer: &str, expected: &'static str) -> DidError {
        DidError::Member {
            id: self.id.clone(),
            pointer: pointer.into(),
            expected,
        }
    }

    fn text(
        &self,
        value: &'a Value,
        pointer: &str,
        expected: &'static str,
    ) -> Result<&'a str, DidError> {
        let name = pointer.rsplit('/').next().unwrap_or_default();
        value
            .get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| self.wrong(pointer, expected))
    }

    fn list(&self, name: &str) -> Result<&'a [Value], DidError> {
        let expected = "a list of at most 50 entries";
        match self.document.get(name) {
            None => Ok(&[]),
            Some(Value::Array(list)) if list.len() <= DID_ENTRIES_MAX => Ok(list),
            Some(_) => Err(self.wrong(&format!("/{name}"), expected)),
        }
    }

    /// The id of a method may be relative to the subject (W3C DID 1.0 section 3.2.2).
    fn absolute(&self, reference: &str) -> String {
        if reference.starts_with('#') {
            return format!("{}{reference}", self.id);
        }
        reference.into()
    }

    fn authentication_keys(&self) -> Result<Vec<PublicKey>, DidError> {
        let mut keys = Vec::new();
        for (index, entry) in self.list("authentication")?.iter().enumerate() {
            let at = format!("/authentication/{index}");
            let key = match entry {
                Value::String(reference) => self.referenced_key(&at, reference)?,
                Value::Object(_) => self.key_of_method(&at, entry)?,
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                    return Err(self.wrong(&at, "a reference to a key, or a key"));
                }
            };
            keys.extend(key);
        }
        Ok(keys)
    }

    fn referenced_key(&self, at: &str, reference: &str) -> Result<Option<PublicKey>, DidError> {
        let wanted = self.absolute(reference);
        for (index, method) in self.list("verificationMethod")?.iter().enumerate() {
            let pointer = format!("/verificationMethod/{index}");
            let found = self.text(method, &format!("{pointer}/id"), "the name of the key")?;
            if self.absolute(found) == wanted {
                return self.key_of_method(&pointer, method);
            }
        }
        Err(self.wrong(at, "the name of a key in `verificationMethod`"))
    }

    /// The key of a verification method, or nothing if it is not an Ed25519 key.
    fn key_of_method(&self, at: &str, method: &'a Value) -> Result<Option<PublicKey>, DidError> {
        let controller = format!("{at}/controller");
        if self.text(method, &controller, "the DID of the participant")? != self.id.as_str() {
            return Err(self.wrong(&controller, "the DID of the participant"));
        }
        let kind = self.text(method, &format!("{at}/type"), "the type of the key")?;
        match kind {
            "Multikey" | "Ed25519VerificationKey2020" => {
                let pointer = format!("{at}/publicKeyMultibase");
                let expected = "a key in multibase, such as `z6Mk...`";
                let text = self.text(method, &pointer, expected)?;
                if !text.starts_with("z6Mk") {
                    return Ok(None);
                }
                PublicKey::parse(text)
                    .map(Some)
                    .map_err(|_| self.wrong(&pointer, expected))
            }
            "JsonWebKey" | "JsonWebKey2020" => {
                let pointer = format!("{at}/publicKeyJwk");
                let expected = "an Ed25519 key as JWK";
                let jwk = method
                    .get("publicKeyJwk")
                    .ok_or_else(|| self.wrong(&pointer, expected))?;
                if jwk.get("crv").and_then(Value::as_str) != Some("Ed25519") {
                    return Ok(None);
                }
                PublicKey::parse(&jwk.to_string())
                    .map(Some)
                    .map_err(|_| self.wrong(&pointer, expected))
            }
            _ => Ok(None),
        }
    }

    /// Where the first service of a type lies, and its endpoint.
    fn service(&self, kind: &str) -> Result<Option<(String, &'a str)>, DidError> {
        for (index, service) in self.list("service")?.iter().enumerate() {
            if service.get("type").and_then(Value::as_str) == Some(kind) {
                let pointer = format!("/service/{index}/serviceEndpoint");
                let url = self.text(service, &pointer, "an address")?;
                return Ok(Some((pointer, url)));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::keys::NodeKey;
    use super::*;

    fn id(text: &str) -> ParticipantId {
        ParticipantId::parse(text).unwrap()
    }

    fn document() -> DidDocument {
        DidDocument::of_node(
            &id("did:web:fengchao.example%3A8443"),
            NodeKey::from_seed(&[1; 32]).public(),
            &BaseUrl::parse("https://fengchao.example:8443").unwrap(),
        )
    }

    #[test]
    fn where_documents_lie() {
        for (did, url) in [
            (
                "did:web:fengchao.example",
                "https://fengchao.example/.well-known/did.json",
            ),
            (
                "did:web:localhost%3A8443",
                "https://localhost:8443/.well-known/did.json",
            ),
            (
                "did:web:localhost%3a8443",
                "https://localhost:8443/.well-known/did.json",
            ),
            (
                "did:web:post.example:nodes:west",
                "https://post.example/nodes/west/did.json",
            ),
            (
                "did:web:Post.example%3A1:a",
                "https://post.example:1/a/did.json",
            ),
        ] {
            assert_eq!(document_url(&id(did)).unwrap(), url);
        }
        for bad in [
            "did:key:z6Mk",
            "did:web:a.example%3A",
            "did:web:a.example%3A99999",
            "did:web:a.example%2F8443",
            "did:web:a.example%3A1%3A2",
            "did:web:a.example:..",
            "did:web:a.example:.:b",
            "did:web:a.example::b",
            "did:web:a.example:%2e%2e",
            "did:web:a_b",
            "did:web:.",
        ] {
            assert!(
                matches!(document_url(&id(bad)), Err(DidError::NotWeb(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_served_document_is_frozen_and_read_back() {
        let text = serde_json::to_string_pretty(&document().to_json()).unwrap();
        expect![[r#"
            {
              "@context": [
                "https://www.w3.org/ns/did/v1",
                "https://w3id.org/security/multikey/v1"
              ],
              "assertionMethod": [
                "did:web:fengchao.example%3A8443#z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX"
              ],
              "authentication": [
                "did:web:fengchao.example%3A8443#z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX"
              ],
              "id": "did:web:fengchao.example%3A8443",
              "service": [
                {
                  "id": "did:web:fengchao.example%3A8443#exchange",
                  "serviceEndpoint": "https://fengchao.example:8443",
                  "type": "InterlockExchange"
                },
                {
                  "id": "did:web:fengchao.example%3A8443#dsp",
                  "serviceEndpoint": "https://fengchao.example:8443/.well-known/dspace-version",
                  "type": "DataService"
                }
              ],
              "verificationMethod": [
                {
                  "controller": "did:web:fengchao.example%3A8443",
                  "id": "did:web:fengchao.example%3A8443#z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX",
                  "publicKeyMultibase": "z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX",
                  "type": "Multikey"
                }
              ]
            }"#]].assert_eq(&text);
        let back = DidDocument::parse(&text, &id("did:web:fengchao.example%3A8443")).unwrap();
        assert_eq!(back, document());
    }

    #[test]
    fn foreign_forms_of_keys_are_read() {
        let key = NodeKey::from_seed(&[2; 32]).public();
        let text = json!({
            "id": "did:web:foreign.example",
            "verificationMethod": [
                { "id": "#p256", "type": "JsonWebKey2020", "controller": "did:web:foreign.example",
                  "publicKeyJwk": { "kty": "EC", "crv": "P-256", "x": "a", "y": "b" } },
                { "id": "#ed", "type": "JsonWebKey", "controller": "did:web:foreign.example",
                  "publicKeyJwk": key.to_jwk() },
                { "id": "#unused", "type": "Multikey", "controller": "did:web:foreign.example",
                  "publicKeyMultibase": NodeKey::from_seed(&[3; 32]).public().to_multibase() },
            ],
            "authentication": ["did:web:foreign.example#p256", "#ed"],
            "service": [{ "id": "#x", "type": "LinkedDomains", "serviceEndpoint": ["https://a.example"] }],
        })
        .to_string();
        let parsed = DidDocument::parse(&text, &id("did:web:foreign.example")).unwrap();
        assert_eq!(parsed.keys, [key]);
        assert_eq!(parsed.exchange_url, None);
    }

    #[test]
    fn bad_documents_are_refused_with_their_place() {
        let us = id("did:web:fengchao.example%3A8443");
        let check = |change: &dyn Fn(&mut Value), expected: &str| {
            let mut value = document().to_json();
            change(&mut value);
            let error = DidDocument::parse(&value.to_string(), &us).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(expected), "{text}");
        };
        check(
            &|d| d["id"] = json!("did:web:other.example"),
            "is about `did:web:other.example`",
        );
        check(&|d| d["id"] = json!(7), "`/id`");
        check(&|d| d["authentication"] = json!([]), "no Ed25519 key");
        check(&|d| d["authentication"] = json!("#a"), "`/authentication`");
        check(&|d| d["authentication"] = json!([7]), "`/authentication/0`");
        check(
            &|d| d["authentication"] = json!(["#gone"]),
            "`/authentication/0`",
        );
        check(
            &|d| d["verificationMethod"][0]["controller"] = json!("did:web:other.example"),
            "`/verificationMethod/0/controller`",
        );
        check(
            &|d| d["verificationMethod"][0]["publicKeyMultibase"] = json!("z6Mkbad"),
            "`/verificationMethod/0/publicKeyMultibase`",
        );
        check(
            &|d| d["service"][0]["serviceEndpoint"] = json!("nowhere"),
            "`/service/0/serviceEndpoint`",
        );
        check(&|d| d["service"] = json!(vec![json!({}); 51]), "`/service`");
        for text in [
            "",
            "{",
            &format!("\"{}\"", "a".repeat(DID_DOCUMENT_BYTES_MAX)),
        ] {
            let error = DidDocument::parse(text, &us).unwrap_err();
            assert!(matches!(error, DidError::NoJson { .. }), "{error}");
        }
    }

    #[test]
    fn a_key_id_is_of_one_key() {
        let us = id("did:web:a.example");
        let key = NodeKey::from_seed(&[1; 32]).public();
        let key_id = KeyId::new(&us, &key);
        assert_eq!(KeyId::parse(&key_id.to_string()), Some(key_id.clone()));
        assert_eq!(key_id.controller(), &us);
        for bad in [
            "did:web:a.example",
            "did:web:a.example#",
            "#z6Mk",
            "did:web:a.example#key-1",
        ] {
            assert_eq!(KeyId::parse(bad), None, "{bad}");
        }
    }
}
