//! Events out: released views and `GET /events`.
//!
//! Invariant: a rendered event holds nothing but waybill, step, time and place, and its id is the
//! hash of what is shown, never of an original that holds more.

use interlock_core::event::{Place, Step};
use interlock_core::time::{Timestamp, Zone};
use interlock_core::waybill::Waybill;
use serde_json::{Map, Value, json};

use super::hash::Hashed;
use super::uri::{IdBase, parse_place, place_uri, waybill_uri};
use super::vocabulary::form;
use super::{EventDraft, NAMESPACE, PREFIX};

/// The context of EPCIS 2.0.
const CONTEXT: &str = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld";

/// One event as EPCIS 2.0 JSON; names are issued under `id_base`. It has an `eventID` unless its
/// place is a foreign URI that may be a GS1 key: the hash would need its Digital Link form.
pub fn render(event: &EventDraft, waybill: &Waybill, id_base: &IdBase) -> Value {
    let form = form(&event.step);
    let epc = waybill_uri(id_base, waybill);
    let place = event.place.as_ref().map(|place| place_uri(id_base, place));
    let overdue = format!("{NAMESPACE}overdue");
    let step = match &event.step {
        Step::Other(_) => None,
        Step::Issued
        | Step::Accepted
        | Step::Arrived
        | Step::Departed
        | Step::OutForDelivery
        | Step::Delivered
        | Step::DeliveryFailed
        | Step::Deposited
        | Step::Notified
        | Step::PickedUp
        | Step::Overdue
        | Step::Recalled
        | Step::Redirected
        | Step::Extended => Some(event.step.as_str()),
    };
    let hashed = Hashed {
        at: event.at,
        zone: event.zone,
        epc: &epc,
        action: form.action,
        biz_step: &form.biz_step,
        disposition: form.disposition,
        persistent_set: form.overdue.then_some(overdue.as_str()),
        read_point: place.as_deref(),
        biz_location: place.as_deref().filter(|_| form.stays),
        extension: step.map(|step| (NAMESPACE, "step", step)),
    };
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| out.insert(name.into(), value);
    put("type", json!("ObjectEvent"));
    if !place.as_deref().is_some_and(is_perhaps_gs1) {
        put("eventID", json!(hashed.event_id()));
    }
    put("eventTime", json!(event.at.to_rfc3339(event.zone)));
    put("eventTimeZoneOffset", json!(event.zone.to_offset_string()));
    put("epcList", json!([epc]));
    put("action", json!(form.action));
    put("bizStep", json!(form.biz_step));
    if let Some(disposition) = hashed.disposition {
        put("disposition", json!(disposition));
    }
    if let Some(set) = hashed.persistent_set {
        put("persistentDisposition", json!({ "set": [set] }));
    }
    if let Some(id) = hashed.read_point {
        put("readPoint", json!({ "id": id }));
    }
    if let Some(id) = hashed.biz_location {
        put("bizLocation", json!({ "id": id }));
    }
    if let Some(step) = step {
        put(&format!("{PREFIX}:step"), json!(step));
    }
    Value::Object(out)
}

/// Whether a place's URI may stand for a GS1 key: an EPC URN, or a web address that is not one of ours.
fn is_perhaps_gs1(uri: &str) -> bool {
    let ours = matches!(parse_place(uri), Some(place) if place != Place::Named(uri.into()));
    let web = uri.starts_with("https:") || uri.starts_with("http:");
    uri.starts_with("urn:epc:") || (web && !ours)
}

/// An `EPCISDocument` of events made by [`render`].
pub fn render_document(events: Vec<Value>, created: Timestamp, zone: Zone) -> Value {
    json!({
        "@context": [CONTEXT, { PREFIX: NAMESPACE }],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": created.to_rfc3339(zone),
        "epcisBody": { "eventList": events },
    })
}
