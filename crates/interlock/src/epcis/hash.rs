//! The event id: `ni:///sha-256;<hex>?ver=CBV2.0` (CBV 2.0 section 8.9.2, RFC 6920).
//!
//! The pre-hash string of what is rendered here is, without separators or line breaks:
//!
//! ```text
//! eventType=ObjectEvent eventTime=<UTC, milliseconds, Z> eventTimeZoneOffset=<±hh:mm>
//! epcList epc=<waybill URI> action=<ADD or OBSERVE> bizStep=<web URI> disposition=<web URI>
//! persistentDisposition set=<URI> readPoint id=<URI> bizLocation id=<URI>
//! {https://w3id.org/interlock/ns#}step=<name>
//! ```
//!
//! Invariant: only these fields are rendered, so none of the places where implementations differ
//! (parties, business transactions, numbers in extensions) is touched. GS1 keys are not converted to
//! Digital Links here: rendered names are HTTPS URIs of the issuer, and an event whose place may be a
//! GS1 key gets no id.

use interlock_core::time::{SECOND_MS, Timestamp, Zone};
use sha2::{Digest as _, Sha256};

use super::vocabulary::{List, canonical};

/// The fields of an event that its id depends on.
pub(super) struct Hashed<'a> {
    pub(super) at: Timestamp,
    pub(super) zone: Zone,
    pub(super) epc: &'a str,
    pub(super) action: &'a str,
    pub(super) biz_step: &'a str,
    pub(super) disposition: Option<&'a str>,
    pub(super) persistent_set: Option<&'a str>,
    pub(super) read_point: Option<&'a str>,
    pub(super) biz_location: Option<&'a str>,
    /// Namespace, local name and value.
    pub(super) extension: Option<(&'a str, &'a str, &'a str)>,
}

impl Hashed<'_> {
    pub(super) fn pre_hash(&self) -> String {
        let mut text = format!(
            "eventType=ObjectEventeventTime={}eventTimeZoneOffset={}epcListepc={}action={}bizStep={}",
            utc_millis(self.at),
            self.zone.to_offset_string(),
            self.epc,
            self.action,
            canonical(List::BizStep, self.biz_step),
        );
        if let Some(disposition) = self.disposition {
            text += &format!("disposition={}", canonical(List::Disposition, disposition));
        }
        if let Some(set) = self.persistent_set {
            text += &format!(
                "persistentDispositionset={}",
                canonical(List::Disposition, set)
            );
        }
        if let Some(id) = self.read_point {
            text += &format!("readPointid={id}");
        }
        if let Some(id) = self.biz_location {
            text += &format!("bizLocationid={id}");
        }
        if let Some((namespace, name, value)) = self.extension {
            text += &format!("{{{namespace}}}{name}={value}");
        }
        text
    }

    pub(super) fn event_id(&self) -> String {
        let digest = Sha256::digest(self.pre_hash().as_bytes());
        let mut id = String::from("ni:///sha-256;");
        for byte in digest {
            id += &format!("{byte:02x}");
        }
        id + "?ver=CBV2.0"
    }
}

/// `2017-06-01T00:00:00.000Z`.
fn utc_millis(at: Timestamp) -> String {
    let text = at.to_rfc3339(Zone::UTC);
    let seconds = text.get(..19).unwrap_or(&text);
    format!("{seconds}.{:03}Z", at.as_millis().rem_euclid(SECOND_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Hashed<'static> {
        Hashed {
            at: Timestamp::from_millis(0),
            zone: Zone::parse("+01:00").unwrap(),
            epc: "https://id.gs1.org/00/040123451111111110",
            action: "OBSERVE",
            biz_step: "shipping",
            disposition: None,
            persistent_set: None,
            read_point: Some("https://id.gs1.org/414/4012345000115"),
            biz_location: None,
            extension: None,
        }
    }

    /// Vectors of `RalphTro/epcis-event-hash-generator`, the reference implementation that CBV 2.0
    /// names: `tests/examples/TimeStampRoundOff`, `epcisDocWithVariousEventTypes` (third event).
    #[test]
    fn published_vectors() {
        let at = |text: &str| Timestamp::parse_zoned(text).unwrap().0;
        let shipping = Hashed {
            at: at("2023-02-02T11:04:03.142Z"),
            disposition: Some("in_transit"),
            ..base()
        };
        assert_eq!(
            shipping.event_id(),
            "ni:///sha-256;af7658e711574363633f20b3dadc7bc4c13c6f612cf96d95e03c421c0e58f3c6?ver=CBV2.0"
        );
        let transporting = Hashed {
            at: at("2023-02-02T11:04:03.141Z"),
            biz_step: "urn:epcglobal:cbv:bizstep:transporting",
            read_point: Some("geo:50.947573340894124,6.922120147375441"),
            ..base()
        };
        assert_eq!(
            transporting.event_id(),
            "ni:///sha-256;0550df44527332c1fe417c5837fe61b9e71eaa93307b88519dac549bf2d4dcf9?ver=CBV2.0"
        );
        let inspecting = Hashed {
            at: at("2019-10-21T15:45:00+01:00"),
            epc: "https://id.gs1.org/00/040123450111111110",
            biz_step: "https://ref.gs1.org/cbv/BizStep-inspecting",
            disposition: Some("cbv:Disp-in_progress"),
            read_point: Some("https://id.gs1.org/414/4012345000245"),
            ..base()
        };
        assert_eq!(
            inspecting.pre_hash(),
            "eventType=ObjectEventeventTime=2019-10-21T14:45:00.000ZeventTimeZoneOffset=+01:00epcListepc=https://id.gs1.org/00/040123450111111110action=OBSERVEbizStep=https://ref.gs1.org/cbv/BizStep-inspectingdisposition=https://ref.gs1.org/cbv/Disp-in_progressreadPointid=https://id.gs1.org/414/4012345000245"
        );
    }
}
