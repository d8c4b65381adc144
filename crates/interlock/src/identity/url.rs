//! Base addresses of nodes and gateways.
//!
//! INVARIANT: a [`BaseUrl`] is absolute, `http` or `https`, without user, query, fragment or final
//! slash, so that a path can be appended to it. It does not know whether anything listens there.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest address that is accepted, in bytes.
pub const URL_LENGTH_MAX: usize = 512;

/// One segment of a path, or one value of a query: everything that is not unreserved (RFC 3986, section
/// 2.3) is encoded.
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Why a text is no base address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{input}` is no base address; write `https://host`, `https://host:port` or with a path, without \
     user, query and fragment"
)]
pub struct UrlError {
    /// What came, without user and query, which may be secrets; at most 80 characters.
    pub input: String,
}

/// An address to which paths are appended, such as `https://fengchao.example/node`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BaseUrl {
    text: String,
    https: bool,
    host: String,
    port: u16,
}

impl BaseUrl {
    /// Checks and takes `text`; final slashes are dropped.
    ///
    /// # Errors
    /// [`UrlError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        Self::parse_checked(text).ok_or_else(|| UrlError {
            input: without_secrets(text),
        })
    }

    fn parse_checked(text: &str) -> Option<Self> {
        if text.len() > URL_LENGTH_MAX || text.contains(['?', '#', '@']) {
            return None;
        }
        let uri: http::Uri = text.parse().ok()?;
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        let port_written = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            Some(0) => return None,
            Some(port) => port,
            None if port_written => return None,
            None if https => 443,
            None => 80,
        };
        let host = authority.host();
        if host.is_empty() {
            return None;
        }
        Some(Self {
            text: text.trim_end_matches('/').into(),
            https,
            host: host.trim_matches(['[', ']']).to_ascii_lowercase(),
            port,
        })
    }

    /// The address without final slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the connection is protected by TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The host in lower case; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 443 or 80 if none is written.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the host is this machine: `localhost` or a loopback address.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
    }
}

fn without_secrets(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("...@{rest}").chars().take(80).collect(),
        None => text.chars().take(80).collect(),
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = UrlError;
    fn try_from(text: String) -> Result<Self, UrlError> {
        Self::parse(&text)
    }
}

impl From<BaseUrl> for String {
    fn from(url: BaseUrl) -> String {
        url.text
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_address() {
        let url = BaseUrl::parse("https://Fengchao.example:8443/node/").unwrap();
        assert_eq!(url.as_str(), "https://Fengchao.example:8443/node");
        assert_eq!((url.host(), url.port()), ("fengchao.example", 8443));
        assert!(url.is_https() && !url.is_loopback());
        for (text, port) in [
            ("http://127.0.0.1", 80),
            ("http://[::1]:9/", 9),
            ("https://localhost", 443),
        ] {
            let url = BaseUrl::parse(text).unwrap();
            assert!(url.is_loopback(), "{text}");
            assert_eq!(url.port(), port);
        }
        assert!(
            !BaseUrl::parse("http://localhost.example")
                .unwrap()
                .is_loopback()
        );
    }

    #[test]
    fn bad_addresses_are_refused() {
        let long = format!("https://{}.example", "a".repeat(512));
        for bad in [
            "",
            "fengchao.example",
            "/node",
            "ftp://fengchao.example",
            "https://",
            "https://user@fengchao.example",
            "https://fengchao.example/?a=1",
            "https://fengchao.example/#a",
            "https://fengchao.example:0",
            "https://fengchao.example:99999",
            "https://fengchao.example:",
            "https://a b",
            &long,
        ] {
            let error = BaseUrl::parse(bad).unwrap_err();
            assert!(error.to_string().contains("https://host"), "{error}");
        }
        let secret = BaseUrl::parse("https://node:hunter2@sms.example/a?key=hunter2#hunter2");
        assert_eq!(secret.unwrap_err().input, "...@sms.example/a");
    }
}
