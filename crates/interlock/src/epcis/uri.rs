//! Names of parcels and places as URIs.
//!
//! Waybills have no GS1 company prefix, so a parcel is `https://<issuer>/waybill/<carrier>/<number>`
//! (CBV 2.0 section 8.1: HTTP URIs of a domain that the issuer controls). Invariant: such a URI cannot
//! be taken for a GS1 Digital Link, whose path has an application identifier or its short name as a
//! segment: a carrier's code that looks like one has a `~` before it. A station is
//! `https://<issuer>/station/<id>`, another place `https://<issuer>/place/<text>` with
//! percent-encoding.

use interlock_core::event::Place;
use interlock_core::ids::{ParticipantId, StationId};
use interlock_core::waybill::{Waybill, WaybillError};

use super::TEXT_BYTES_MAX;

/// Longest domain (RFC 1035), with a port.
const DOMAIN_BYTES_MAX: usize = 253 + 6;

/// Short names of GS1 keys in Digital Links (GS1 Digital Link 1.2 section 4.3); the numeric ones are
/// digits only.
const DIGITAL_LINK_NAMES: [&str; 15] = [
    "cpid", "gcn", "gdti", "giai", "ginc", "gln", "grai", "gsin", "gsrn", "gsrnp", "gtin", "itip",
    "party", "sscc", "upui",
];

/// The domain under which a participant issues names, such as `sf.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdBase(String);

impl IdBase {
    /// Takes a domain in lower case, with a port if need be.
    pub fn parse(domain: &str) -> Option<Self> {
        is_domain(domain).then(|| Self(domain.into()))
    }

    /// The domain of a participant's DID.
    pub fn of(participant: &ParticipantId) -> Option<Self> {
        let name = participant.as_str().strip_prefix("did:web:")?;
        let domain = name.split(':').next()?;
        Self::parse(&domain.replace("%3A", ":").to_ascii_lowercase())
    }

    /// The domain.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The URI of a waybill that `issuer` names.
pub fn waybill_uri(issuer: &IdBase, waybill: &Waybill) -> String {
    let carrier = waybill.carrier();
    let mark = if is_digital_link_key(carrier.as_str()) {
        "~"
    } else {
        ""
    };
    format!(
        "https://{}/waybill/{mark}{carrier}/{}",
        issuer.0,
        waybill.number()
    )
}

fn is_digital_link_key(segment: &str) -> bool {
    segment.bytes().all(|b| b.is_ascii_digit()) || DIGITAL_LINK_NAMES.contains(&segment)
}

/// Issuer and waybill of a URI made by [`waybill_uri`]; `None` if it is none.
pub(super) fn parse_waybill(uri: &str) -> Option<(&str, Result<Waybill, WaybillError>)> {
    let (issuer, path) = uri.strip_prefix("https://")?.split_once('/')?;
    let (segment, number) = path.strip_prefix("waybill/")?.split_once('/')?;
    let carrier = segment.strip_prefix('~').unwrap_or(segment);
    let marked = segment.starts_with('~');
    (is_domain(issuer) && marked == is_digital_link_key(carrier))
        .then(|| (issuer, Waybill::parse(carrier, number)))
}

/// The URI of a place; a name that already is a URI stays as it is.
pub(super) fn place_uri(issuer: &IdBase, place: &Place) -> String {
    match place {
        Place::Station(id) => format!("https://{}/station/{id}", issuer.0),
        Place::Named(name) => {
            if is_uri(name) && parse_place(name).as_ref() == Some(place) {
                return name.clone();
            }
            format!("https://{}/place/{}", issuer.0, encode(name))
        }
    }
}

/// The place that a URI names; a foreign URI is kept as the place's name. `None` if it is no URI, or
/// longer than [`TEXT_BYTES_MAX`] once decoded.
pub(super) fn parse_place(uri: &str) -> Option<Place> {
    if !is_uri(uri) {
        return None;
    }
    let own = uri
        .strip_prefix("https://")
        .and_then(|rest| rest.split_once('/'))
        .filter(|(issuer, _)| is_domain(issuer));
    if let Some((_, path)) = own {
        let station = path.strip_prefix("station/").map(StationId::parse);
        if let Some(Ok(id)) = station {
            return Some(Place::Station(id));
        }
        if let Some(name) = path.strip_prefix("place/") {
            return decode(name)
                .filter(|n| !n.is_empty() && n.len() <= TEXT_BYTES_MAX)
                .map(Place::Named);
        }
    }
    (uri.len() <= TEXT_BYTES_MAX).then(|| Place::Named(uri.into()))
}

/// A scheme, a colon and printable ASCII without spaces.
pub(super) fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        && !rest.is_empty()
        && rest
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'`'))
}

fn is_domain(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "0"));
    text.len() <= DOMAIN_BYTES_MAX
        && port.parse::<u16>().is_ok()
        && host.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

/// Undoes [`encode`]; `None` for a broken escape or bytes that are no UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        out.push(u8::try_from(high << 4 | low).ok()?);
    }
    String::from_utf8(out).ok()
}
