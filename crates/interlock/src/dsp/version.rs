//! Version metadata: which releases of the protocol a connector speaks, and where
//! (DSP 2025-1 "Exposure of Versions", `GET /.well-known/dspace-version`).
//!
//! INVARIANT: only the HTTPS binding is kept, the one that the schema knows. Whether a version is
//! spoken here is the caller's to decide.

use serde_json::{Map, Value, json};

use super::error::DspError;
use super::json::{self, Limits};
use super::node::{Node, shape};

/// The release that this module speaks.
pub const VERSION: &str = "2025-1";
/// The only binding.
const BINDING: &str = "HTTPS";

/// The answer of the version endpoint. It is plain JSON, without `@context`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions(pub Vec<Version>);

/// One release at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The release, such as `2025-1`.
    pub version: String,
    /// Path of its endpoints, under the root of the version endpoint.
    pub path: String,
    /// Which service of the connector it belongs to.
    pub service_id: Option<String>,
    /// How participants are identified, such as `did:web`.
    pub identifier_type: Option<String>,
    /// How its endpoints are secured.
    pub auth: Option<Auth>,
}

/// How an endpoint is secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Name of the protocol.
    pub protocol: String,
    /// Its version.
    pub version: String,
    /// Its profiles.
    pub profiles: Vec<String>,
}

impl Versions {
    /// What a node of ours answers: one release, its endpoints below `path`, did:web.
    pub fn of_node(path: &str) -> Self {
        Self(vec![Version {
            version: VERSION.into(),
            path: path.into(),
            service_id: None,
            identifier_type: Some("did:web".into()),
            auth: None,
        }])
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// [`DspError`] if it breaks the schema or has no entry with the HTTPS binding.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, DspError> {
        let value = json::read(bytes, limits)?;
        let root = Node::at(&value, "")?;
        let mut versions = Vec::new();
        for entry in root.nodes("protocolVersions")? {
            if entry.required_text("binding")? == BINDING {
                versions.push(Version::read(&entry)?);
            }
        }
        root.required("protocolVersions", (!versions.is_empty()).then_some(()))?;
        Ok(Self(versions))
    }

    /// The answer as JSON. The schema wants at least one entry.
    pub fn to_json(&self) -> Value {
        let entries: Vec<Value> = self.0.iter().map(Version::to_json).collect();
        json!({ "protocolVersions": entries })
    }

    /// The first entry of the release that this module speaks.
    pub fn spoken(&self) -> Option<&Version> {
        self.0.iter().find(|entry| entry.version == VERSION)
    }
}

impl Version {
    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        Ok(Self {
            version: node.required_text("version")?,
            path: node.required_text("path")?,
            service_id: node.text("serviceId")?.map(Into::into),
            identifier_type: node.text("identifierType")?.map(Into::into),
            auth: node.node("auth")?.as_ref().map(Auth::read).transpose()?,
        })
    }

    fn to_json(&self) -> Value {
        let mut out = Map::new();
        out.insert("version".into(), self.version.as_str().into());
        out.insert("path".into(), self.path.as_str().into());
        out.insert("binding".into(), BINDING.into());
        if let Some(id) = &self.service_id {
            out.insert("serviceId".into(), id.as_str().into());
        }
        if let Some(kind) = &self.identifier_type {
            out.insert("identifierType".into(), kind.as_str().into());
        }
        if let Some(auth) = &self.auth {
            let Auth {
                protocol,
                version,
                profiles,
            } = auth;
            let auth = json!({"protocol": protocol, "version": version, "profile": profiles});
            out.insert("auth".into(), auth);
        }
        Value::Object(out)
    }
}

impl Auth {
    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        let profile = |(value, place): (&Value, String)| match value.as_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(shape(place, "a text")),
        };
        Ok(Self {
            protocol: node.required_text("protocol")?,
            version: node.required_text("version")?,
            profiles: node
                .values("profile")
                .into_iter()
                .map(profile)
                .collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_release_is_found_among_others() {
        let text = br#"{"protocolVersions": [
            {"version": "2024-1", "path": "/old", "binding": "HTTPS"},
            {"version": "2025-1", "path": "/mq", "binding": "AMQP"},
            {"version": "2025-1", "path": "/dsp", "binding": "HTTPS", "identifierType": "did:web",
             "serviceId": "node", "auth": {"protocol": "DCP", "version": "1.0", "profile": ["p"]}}]}"#;
        let versions = Versions::parse(text, &Limits::MESSAGE).unwrap();
        assert_eq!(versions.0.len(), 2);
        assert_eq!(versions.spoken().unwrap().path, "/dsp");
        let again = serde_json::to_vec(&versions.to_json()).unwrap();
        assert_eq!(Versions::parse(&again, &Limits::MESSAGE), Ok(versions));
    }

    #[test]
    fn an_answer_without_a_usable_entry_is_refused() {
        for (text, pointer) in [
            ("[]", ""),
            ("{}", "/protocolVersions"),
            (r#"{"protocolVersions": []}"#, "/protocolVersions"),
            (r#"{"protocolVersions": ["2025-1"]}"#, "/protocolVersions/0"),
            (
                r#"{"protocolVersions": [{"version": "2025-1", "path": "/"}]}"#,
                "/protocolVersions/0/binding",
            ),
            (
                r#"{"protocolVersions": [{"version": 1, "path": "/", "binding": "HTTPS"}]}"#,
                "/protocolVersions/0/version",
            ),
        ] {
            let error = Versions::parse(text.as_bytes(), &Limits::MESSAGE).unwrap_err();
            assert_eq!(error.pointer, pointer, "{error}");
        }
    }
}
