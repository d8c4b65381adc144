//! Where a webhook, or a page for a connector, may go: outward only.
//!
//! Invariant: the address that is checked is the one that is connected to, so the driver resolves
//! first, asks here, then connects to that very address. It does not resolve names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

/// Longest URL of a webhook, in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// Why a webhook is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// Not a URL that can be called.
    #[error("the address is no URL; write `https://host/path`, at most 2048 characters")]
    Url,
    /// A name or password in the URL.
    #[error("the address has a user or password in it; take them out")]
    Credentials,
    /// Neither `https` nor plain HTTP to this machine where that is allowed.
    #[error(
        "`{scheme}` is not called; use `https`, plain `http` goes to this machine only, where the configuration allows it"
    )]
    Scheme {
        /// What the URL says.
        scheme: String,
    },
    /// The URL names one address and another was resolved.
    #[error("`{host}` is not the address that was resolved; resolve again")]
    Mismatch {
        /// What the URL says.
        host: String,
    },
    /// A host that resolvers would take for an address, in a form that people do not see through.
    #[error("`{host}` is neither a name nor an address in its usual form; write it as a name")]
    Numbers {
        /// What the URL says.
        host: String,
    },
    /// The address is private, local, reserved or a cloud's metadata service.
    #[error(
        "`{address}` lies inward (private, local, reserved or a metadata service); name a public one, or allow this machine in the configuration"
    )]
    Inward {
        /// What the name resolved to.
        address: IpAddr,
    },
}

/// A webhook that may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address to connect to.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// The name for TLS and the `Host` header.
    pub host: String,
    /// Whether TLS is spoken.
    pub tls: bool,
}

/// Checks that `url`, whose host was resolved to `resolved`, leads outward; a loopback address is
/// accepted where `allow_loopback` says so (a gateway on the same machine, the demo).
///
/// # Errors
/// [`GuardError`] with the remedy.
pub fn guard(url: &str, resolved: IpAddr, allow_loopback: bool) -> Result<Target, GuardError> {
    if url.len() > URL_BYTES_MAX {
        return Err(GuardError::Url);
    }
    let uri: Uri = url.parse().map_err(|_| GuardError::Url)?;
    let scheme = uri.scheme_str().ok_or(GuardError::Url)?;
    let authority = uri.authority().ok_or(GuardError::Url)?;
    if authority.as_str().contains('@') {
        return Err(GuardError::Credentials);
    }
    let host = authority.host();
    let address = outermost(resolved);
    let loopback = address.is_loopback();
    let tls = match scheme {
        "https" => true,
        "http" if loopback && allow_loopback => false,
        other => {
            return Err(GuardError::Scheme {
                scheme: other.into(),
            });
        }
    };
    let literal = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(named) = literal.parse::<IpAddr>()
        && outermost(named) != address
    {
        return Err(GuardError::Mismatch { host: host.into() });
    }
    if is_inward(address) && !(loopback && allow_loopback) {
        return Err(GuardError::Inward { address });
    }
    let port = match authority.port() {
        Some(port) => port.as_u16(),
        None if tls => 443,
        None => 80,
    };
    Ok(Target {
        address,
        port,
        host: host.into(),
        tls,
    })
}

/// Checks what can be seen of an address before its name is resolved: scheme, user, and a host that is
/// itself an address that leads inward, however it is written. The name is checked once resolved, by
/// [`guard`].
///
/// # Errors
/// [`GuardError`] with the remedy.
pub fn screen(url: &str, allow_loopback: bool) -> Result<(), GuardError> {
    if url.len() > URL_BYTES_MAX {
        return Err(GuardError::Url);
    }
    let uri: Uri = url.parse().map_err(|_| GuardError::Url)?;
    let authority = uri.authority().ok_or(GuardError::Url)?;
    if authority.as_str().contains('@') {
        return Err(GuardError::Credentials);
    }
    let host = authority.host().trim_matches(['[', ']']);
    let local =
        host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost");
    let address = match host.parse::<IpAddr>() {
        Ok(address) => Some(outermost(address)),
        Err(_) if local => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        // Forms that resolvers take for an address: `2130706433`, `0177.0.0.1`, `0x7f.1`, `127.1`.
        Err(_) if is_number_like(host) => {
            return Err(GuardError::Numbers { host: host.into() });
        }
        Err(_) => None,
    };
    match (uri.scheme_str(), address) {
        (None, _) => Err(GuardError::Url),
        (Some("http" | "https"), Some(address)) if address.is_loopback() && allow_loopback => {
            Ok(())
        }
        (Some("https"), Some(address)) if is_inward(address) => Err(GuardError::Inward { address }),
        (Some("https"), _) => Ok(()),
        (Some("http"), Some(address)) if is_inward(address) => Err(GuardError::Inward { address }),
        (Some(scheme), _) => Err(GuardError::Scheme {
            scheme: scheme.into(),
        }),
    }
}

/// Whether the last label of a host is a number, which no top-level domain is (WHATWG URL, "ends in a
/// number").
fn is_number_like(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// The address behind the ways of writing IPv4 as IPv6: mapped, compatible, NAT64 (RFC 6052) and
/// 6to4 (RFC 3056).
fn outermost(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return IpAddr::V4(v4);
    }
    let embedded = match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some((high, low)),
        [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    match embedded {
        Some((high, low)) => {
            IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        None => address,
    }
}

fn is_inward(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_inward_v4(v4),
        IpAddr::V6(v6) => is_inward_v6(v6),
    }
}

/// IANA's special-purpose registry for IPv4, and two clouds' metadata services in public ranges.
fn is_inward_v4(address: Ipv4Addr) -> bool {
    match address.octets() {
        [0 | 10 | 127, ..] => true,
        [100, second, ..] => (64..128).contains(&second),
        [168, 63, 129, 16] => true,
        [169, 254, ..] | [192, 168, ..] => true,
        [172, second, ..] => (16..32).contains(&second),
        [192, 0, 0 | 2, _] | [192, 88, 99, _] => true,
        [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        [first, ..] => first >= 224,
    }
}

/// Only global unicast (2000::/3) leads outward, without IANA's protocol assignments (Teredo among
/// them) and the documentation ranges.
fn is_inward_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, second, ..] if second < 0x200 => true,
        [0x2001, 0xdb8, ..] => true,
        [0x3fff, second, ..] if second < 0x1000 => true,
        [first, ..] => !(0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn public_addresses_pass() {
        for address in [
            "1.1.1.1",
            "223.5.5.5",
            "172.32.0.1",
            "2606:4700::1111",
            "100.128.0.1",
        ] {
            let target = guard("https://sms.example/v1/send", ip(address), false).unwrap();
            assert_eq!((target.port, target.tls), (443, true), "{address}");
            assert_eq!(target.host, "sms.example");
        }
        let target = guard("https://sms.example:8443/x", ip("1.1.1.1"), false).unwrap();
        assert_eq!(target.port, 8443);
    }

    #[test]
    fn inward_addresses_are_refused_in_every_disguise() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.100.100.200",
            "127.0.0.1",
            "127.9.9.9",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001:0:1::1",
            "2001:db8::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "3fff::1",
        ] {
            let error = guard("https://sms.example/", ip(address), false).unwrap_err();
            assert!(
                matches!(error, GuardError::Inward { .. }),
                "{address}: {error}"
            );
        }
    }

    #[test]
    fn loopback_needs_to_be_allowed_and_opens_nothing_else() {
        let target = guard("http://127.0.0.1:9000/sms", ip("127.0.0.1"), true).unwrap();
        assert_eq!((target.port, target.tls), (9000, false));
        assert!(guard("http://localhost/", ip("::1"), true).is_ok());
        assert!(guard("http://localhost/", ip("::ffff:127.0.0.1"), true).is_ok());
        assert!(guard("https://h/", ip("10.0.0.1"), true).is_err());
        assert!(guard("https://h/", ip("169.254.169.254"), true).is_err());
        assert!(matches!(
            guard("http://sms.example/", ip("1.1.1.1"), true),
            Err(GuardError::Scheme { .. })
        ));
    }

    #[test]
    fn urls_are_checked() {
        let public = ip("1.1.1.1");
        for bad in [
            "",
            "sms.example",
            "/path",
            "https://",
            "https:///x",
            "https://a b/",
        ] {
            assert_eq!(guard(bad, public, false), Err(GuardError::Url), "{bad}");
        }
        let long = format!("https://h/{}", "x".repeat(URL_BYTES_MAX));
        assert_eq!(guard(&long, public, false), Err(GuardError::Url));
        assert_eq!(
            guard("https://user:secret@sms.example/", public, false),
            Err(GuardError::Credentials)
        );
        for bad in [
            "ftp://sms.example/",
            "gopher://sms.example/",
            "http://sms.example/",
        ] {
            assert!(
                matches!(guard(bad, public, false), Err(GuardError::Scheme { .. })),
                "{bad}"
            );
        }
        assert!(matches!(
            guard("https://10.0.0.1/", public, false),
            Err(GuardError::Mismatch { .. })
        ));
        assert!(matches!(
            guard("https://[::1]/", public, false),
            Err(GuardError::Mismatch { .. })
        ));
    }
}
