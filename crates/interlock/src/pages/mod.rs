//! Pages for people, rendered on the server: no script, one stylesheet, Chinese and English.
//!
//! Invariant: a page is a pure function of its view and the language; every text from outside is
//! escaped; titles, URLs and headers hold no waybill, phone, name or code. The first sentence answers
//! the reader's question and says how old the answer is. This module does not know where views come
//! from, nor who may see them: whoever holds the link.

mod accesses;
pub mod console;
mod language;
mod layout;
mod message;
mod pickup;
mod qr;
mod recipient;
mod tracking;
mod words;

#[cfg(test)]
mod tests;

pub use accesses::{Access, Fate};
pub use language::Language;
pub use layout::{Asset, icon, security_headers, stylesheet};
pub use message::{error_page, link_ended_page, not_found_page};
pub use pickup::{
    CodeView, DelegateView, DoneView, EnrolmentView, PickupState, PickupView, StationView,
    TroubleView, pickup_page,
};
pub use recipient::{CallView, ReportView};
pub use tracking::{Stale, StaleReason, TrackedEvent, TrackingView, tracking_page};

/// Longest page, in bytes; the limits of lists and texts keep to it.
pub const PAGE_BYTES_MAX: usize = 100 * 1024;
