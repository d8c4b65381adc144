//! EPCIS 2.0 at the doors: JSON documents in, JSON events out (GS1 EPCIS 2.0, CBV 2.0).
//!
//! Invariant: a document is taken whole or refused whole with every error, each with a JSON pointer
//! and a remedy; what is rendered here parses back to the same event. Inside a node there is no EPCIS:
//! only `Step`, time and place. This module does not know whose parcel it is, nor whether an event was
//! seen before.
//!
//! One `ObjectEvent` names one parcel and one step:
//!
//! | step | action | bizStep / disposition | more |
//! |---|---|---|---|
//! | issued | ADD | commissioning / active | |
//! | accepted | OBSERVE | accepting / in_progress | |
//! | arrived | OBSERVE | arriving / in_progress | readPoint, bizLocation |
//! | departed | OBSERVE | shipping / in_transit | readPoint |
//! | out-for-delivery | OBSERVE | departing / in_transit | readPoint |
//! | delivered | OBSERVE | accepting | readPoint |
//! | delivery-failed | OBSERVE | other | readPoint |
//! | deposited | OBSERVE | accepting / in_progress | readPoint, bizLocation: the station |
//! | notified | OBSERVE | `…#notified` | |
//! | picked-up | OBSERVE | accepting | readPoint |
//! | overdue | OBSERVE | storing | persistentDisposition sets `…#overdue` |
//! | recalled | OBSERVE | accepting / returned | |
//! | redirected | OBSERVE | `…#redirected` | |
//! | extended | OBSERVE | `…#extended` | |
//! | another | OBSERVE | the code it came with, or `…#code/` and the code | |
//!
//! `…` is [`NAMESPACE`]. CBV has one word, `accepting`, for several of these steps, so what is
//! rendered also says `il:step`. A document without it is understood by disposition, parties and
//! place. The compartment is not shown: it travels with the code only.

mod document;
mod event;
mod hash;
mod json;
mod render;
mod uri;
mod vocabulary;

#[cfg(test)]
mod tests;

pub use document::parse_document;
pub use render::{render, render_document};
pub use uri::{IdBase, waybill_uri};

use interlock_core::event::{ParcelEvent, Place, Step};
use interlock_core::time::{Timestamp, Zone};
use interlock_core::waybill::Waybill;

/// Longest document, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Most events in a document (GS1's own example of a capture limit).
pub const EVENTS_MAX: usize = 500;
/// Longest event, in bytes.
pub const EVENT_BYTES_MAX: usize = 16 * 1024;
/// Deepest nesting of a document.
pub const DEPTH_MAX: usize = 16;
/// Most fields of one object.
pub const FIELDS_MAX: usize = 64;
/// Most errors listed for a document.
pub const ERRORS_MAX: usize = 1_000;
/// Longest name of a place and longest unknown step, in bytes.
pub const TEXT_BYTES_MAX: usize = 128;

pub use interlock_core::terms::NAMESPACE;

/// What rendered documents call [`NAMESPACE`].
const PREFIX: &str = "il";

/// An event as a door knows it: its number within the parcel is given by the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDraft {
    /// What happened.
    pub step: Step,
    /// When, by the source's word (`eventTime`).
    pub at: Timestamp,
    /// The zone it was recorded in (`eventTimeZoneOffset`).
    pub zone: Zone,
    /// Where: `bizLocation`, else `readPoint`.
    pub place: Option<Place>,
}

impl From<&ParcelEvent> for EventDraft {
    fn from(event: &ParcelEvent) -> Self {
        Self {
            step: event.step.clone(),
            at: event.at,
            zone: event.zone,
            place: event.place.clone(),
        }
    }
}

/// One event of a document that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured<'a> {
    /// Its place in `eventList`, from 0.
    pub index: usize,
    /// The domain that issued the waybill's URI.
    pub issuer: String,
    /// The parcel's waybill.
    pub waybill: Waybill,
    /// What happened.
    pub event: EventDraft,
    /// `eventID`, as given.
    pub event_id: Option<String>,
    /// The event's own bytes in the document.
    pub original: &'a str,
}

/// One thing that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pointer}`: {problem}; {remedy}")]
pub struct EpcisError {
    /// Where, as a JSON pointer (RFC 6901), such as `/epcisBody/eventList/3/eventTime`.
    pub pointer: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: &'static str,
}
