//! `POST /events`: EPCIS 2.0 at the door, typed events inside.

use interlock_core::event::ParcelEvent;
use interlock_core::waybill::Waybill;
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
    // Every event is read before the first failure ends it: all errors are wanted.
    let events: Vec<_> = captured
        .iter()
        .map(|event| event_put(event, &errors))
        .collect();
    errors
        .finish(events.into_iter().collect())
        .map(LocalRequest::PostEvents)
}

fn event_put(captured: &Captured<'_>, errors: &Errors) -> Option<EventPut> {
    let waybill = Waybill::parse(&captured.carrier, &captured.number);
    let waybill = waybill.map_err(|error| {
        let pointer = format!("/epcisBody/eventList/{}/epcList/0", captured.index);
        errors.push(&pointer, error.to_string());
    });
    let event = &captured.event;
    Some(EventPut {
        waybill: waybill.ok()?,
        event: ParcelEvent {
            number: 0,
            step: event.step.clone(),
            at: event.at,
            zone: event.zone,
            place: event.place.clone(),
        },
        digest: Sha256::digest(captured.original.as_bytes()).into(),
    })
}
