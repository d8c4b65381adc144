//! `POST /events`: EPCIS 2.0 at the door, typed events inside.

use interlock_core::event::ParcelEvent;
use sha2::{Digest as _, Sha256};

use super::super::call::Call;
use super::super::input::Errors;
use crate::epcis::{Captured, parse_document};
use crate::node::io::{EventPut, LocalRequest, Problem};

/// The events of a document. Their numbers are 0: the node gives them.
pub(in super::super) fn post(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    let errors = Errors::default();
    let captured = match parse_document(call.body) {
        Ok(captured) => captured,
        Err(wrong) => {
            for error in wrong {
                errors.push(
                    &error.pointer,
                    format!("{}; {}", error.problem, error.remedy),
                );
            }
            return errors.finish(None);
        }
    };
    let events = captured.iter().map(event_put).collect();
    errors.finish(Some(events)).map(LocalRequest::PostEvents)
}

fn event_put(captured: &Captured<'_>) -> EventPut {
    let event = &captured.event;
    EventPut {
        waybill: captured.waybill,
        event: ParcelEvent {
            number: 0,
            step: event.step.clone(),
            at: event.at,
            zone: event.zone,
            place: event.place.clone(),
        },
        digest: Sha256::digest(captured.original.as_bytes()).into(),
    }
}
