//! Addresses that counterparties give: where to call back, where a service listens.
//!
//! INVARIANT: an [`Address`] is absolute, `http` or `https`, without user, query, fragment or final
//! slash, so that a path can be appended. Whether it points inward, or anything listens there, is
//! the caller's to find out when it connects.

use std::fmt;

/// Longest address that is accepted, in bytes.
pub const ADDRESS_LENGTH_MAX: usize = 512;

/// What an address must look like.
pub(super) const ADDRESS_FORM: &str =
    "an absolute http or https URL without user, query and fragment, at most 512 bytes";

/// A text is no address. It is not repeated: a URL may carry a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no address; send {ADDRESS_FORM}")]
pub struct AddressError;

/// A base address, such as `https://fengchao.example/dsp`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(String);

impl Address {
    /// Checks and takes `text`; final slashes are dropped.
    ///
    /// # Errors
    /// [`AddressError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > ADDRESS_LENGTH_MAX || text.contains(['?', '#', '@', '\\']) {
            return Err(AddressError);
        }
        let uri: http::Uri = text.parse().map_err(|_| AddressError)?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        let host = uri.host().unwrap_or_default();
        // A port that is written but is none ("host:") leaves the authority longer than the host.
        let port_good = uri.authority().is_some_and(|authority| {
            authority.as_str().len() == host.len() || authority.port_u16().is_some_and(|p| p > 0)
        });
        if !known || host.is_empty() || !port_good {
            return Err(AddressError);
        }
        Ok(Self(text.trim_end_matches('/').into()))
    }

    /// The address without final slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_base_addresses_are_taken() {
        for (text, taken) in [
            ("https://sf.example", "https://sf.example"),
            ("https://sf.example/dsp/", "https://sf.example/dsp"),
            ("http://127.0.0.1:8083//", "http://127.0.0.1:8083"),
            ("http://[::1]:80/x", "http://[::1]:80/x"),
        ] {
            assert_eq!(Address::parse(text).unwrap().as_str(), taken);
        }
        for text in [
            "",
            "/negotiations",
            "sf.example",
            "ftp://sf.example",
            "file:///etc/passwd",
            "https://",
            "https://user@sf.example",
            "https://sf.example?x=1",
            "https://sf.example#x",
            "https://sf.example:0",
            "https://sf.example:99999",
            "https://sf.example:",
            "https://sf.example/ x",
        ] {
            assert_eq!(Address::parse(text), Err(AddressError), "{text}");
        }
        let long = format!("https://sf.example/{}", "x".repeat(ADDRESS_LENGTH_MAX));
        assert_eq!(Address::parse(&long), Err(AddressError));
    }
}
