//! A whole document: its frame, its limits, and what its events contradict among themselves.

use std::collections::HashMap;

use interlock_core::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::event::capture;
use super::json::{At, Fields, Named, Report, With, shown, token, too_deep};
use super::{Captured, DEPTH_MAX, DOCUMENT_BYTES_MAX, EVENTS_MAX, EpcisError, NAMESPACE};

/// Fields that EPCIS 2.0 gives a document.
const FIELDS: [&str; 11] = [
    "@context",
    "id",
    "type",
    "isA",
    "schemaVersion",
    "creationDate",
    "epcisHeader",
    "epcisBody",
    "sender",
    "receiver",
    "instanceIdentifier",
];

const BODY: &str = "/epcisBody";
const LIST: &str = "/epcisBody/eventList";
const LIST_REMEDY: &str = "write the events as `epcisBody.eventList`, an array";

/// The value of `eventList`.
#[derive(Deserialize)]
struct EventList<'a>(#[serde(borrow)] Vec<&'a RawValue>);

impl Named for EventList<'_> {
    const NAME: &'static str = "eventList";
}

impl<'a> Named for With<'a, EventList<'a>> {
    const NAME: &'static str = "epcisBody";
}

/// A document whose body and list are an object and an array, as they nearly always are.
type Quick<'a> = With<'a, With<'a, EventList<'a>>>;

impl<'a> Quick<'a> {
    fn events(self, report: &mut Report) -> Option<Vec<&'a RawValue>> {
        let Some(body) = self.one else {
            report.push(BODY.into(), "is missing".into(), LIST_REMEDY);
            return None;
        };
        unknown_fields(&body.others, BODY, &[EventList::NAME], report);
        let Some(EventList(events)) = body.one else {
            report.push(LIST.into(), "is missing".into(), LIST_REMEDY);
            return None;
        };
        Some(events)
    }
}

/// Reads an `EPCISDocument` (EPCIS 2.0 section 10, JSON or JSON-LD) of `ObjectEvent`s, one parcel and
/// one step each. Events keep their order; byte-equal repeats within the document are returned as
/// often as they occur.
///
/// # Errors
/// Every error of the document, up to [`super::ERRORS_MAX`]; then none of its events counts.
pub fn parse_document(bytes: &[u8]) -> Result<Vec<Captured<'_>>, Vec<EpcisError>> {
    let mut report = Report::default();
    let captured = read(bytes, &mut report);
    match captured {
        Some(captured) if report.is_empty() => Ok(captured),
        Some(_) | None => Err(report.into_errors()),
    }
}

fn read<'a>(bytes: &'a [u8], report: &mut Report) -> Option<Vec<Captured<'a>>> {
    let whole = |report: &mut Report, problem: String, remedy| {
        report.push(String::new(), problem, remedy);
    };
    if bytes.len() > DOCUMENT_BYTES_MAX {
        let problem = format!("the document has {} bytes", bytes.len());
        whole(report, problem, "send at most 2 MiB and 500 events at once");
        return None;
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        whole(
            report,
            "the document is not UTF-8".into(),
            "encode it as UTF-8",
        );
        return None;
    };
    if too_deep(text, DEPTH_MAX) {
        let problem = format!("the document nests deeper than {DEPTH_MAX} levels");
        whole(report, problem, "send the events without nested extensions");
        return None;
    }
    let (prefix, events) = match serde_json::from_str::<Quick<'a>>(text) {
        Ok(quick) => {
            let prefix = frame(&quick.others, report);
            (prefix, quick.events(report)?)
        }
        // Something is not where it belongs: taken apart step by step, to say what.
        Err(_) => match serde_json::from_str::<Fields<'a>>(text) {
            Ok(root) => {
                let prefix = frame(&root, report);
                (prefix, event_list(&root, report)?)
            }
            Err(error) => {
                whole(
                    report,
                    format!("not a JSON object: {error}"),
                    "send an EPCISDocument as EPCIS 2.0 section 10 shows",
                );
                return None;
            }
        },
    };
    let events = count_checked(events, report)?;
    let captured: Vec<Captured<'a>> = events
        .into_iter()
        .enumerate()
        .filter_map(|(index, raw)| capture(report, index, raw, prefix.as_deref()))
        .collect();
    contradictions(&captured, report);
    Some(captured)
}

/// Checks everything around the events; returns what the document calls [`NAMESPACE`].
fn frame(root: &Fields<'_>, report: &mut Report) -> Option<String> {
    unknown_fields(root, "", &FIELDS, report);
    let kind_name = if root.get("isA").is_some() {
        "isA"
    } else {
        "type"
    };
    let kind = report.required(root, "", kind_name, "write `EPCISDocument`");
    if let Some(kind) = kind
        && kind != "EPCISDocument"
    {
        report.push(
            format!("/{kind_name}"),
            format!("`{}` is not captured", shown(&kind)),
            "send an `EPCISDocument`",
        );
    }
    let version = report.required(root, "", "schemaVersion", "write `2.0`");
    if let Some(version) = version
        && version != "2.0"
        && !version.starts_with("2.0.")
    {
        report.push(
            "/schemaVersion".into(),
            format!("`{}` is not understood", shown(&version)),
            "send EPCIS 2.0 and write `2.0`",
        );
    }
    let created = report.required(
        root,
        "",
        "creationDate",
        "write when the document was made, such as `2017-06-01T00:00:00+08:00`",
    );
    if let Some(created) = created
        && Timestamp::parse_zoned(&created).is_err()
    {
        report.push(
            "/creationDate".into(),
            format!("`{}` is no instant", shown(&created)),
            "write RFC 3339 with an offset, such as `2017-06-01T00:00:00+08:00`",
        );
    }
    own_prefix(root.get("@context")?)
}

/// The prefix that the document's context binds to [`NAMESPACE`] (JSON-LD 1.1 section 4.1).
fn own_prefix(context: &RawValue) -> Option<String> {
    let context: Value = serde_json::from_str(context.get()).ok()?;
    let parts = context
        .as_array()
        .map_or(std::slice::from_ref(&context), Vec::as_slice);
    parts.iter().find_map(|part| {
        let bound = part.as_object()?.iter().find(|(_, iri)| *iri == NAMESPACE);
        bound.map(|(prefix, _)| prefix.clone())
    })
}

fn event_list<'a>(root: &Fields<'a>, report: &mut Report) -> Option<Vec<&'a RawValue>> {
    let Some(body) = root.get("epcisBody") else {
        report.push(BODY.into(), "is missing".into(), LIST_REMEDY);
        return None;
    };
    let body = report.object(body, At::place(BODY))?;
    unknown_fields(&body, BODY, &["eventList"], report);
    let Some(list) = body.get("eventList") else {
        report.push(LIST.into(), "is missing".into(), LIST_REMEDY);
        return None;
    };
    report.array(list, At::place(LIST))
}

/// The list, unless it is too long.
fn count_checked<'a>(events: Vec<&'a RawValue>, report: &mut Report) -> Option<Vec<&'a RawValue>> {
    if events.is_empty() {
        report.push(LIST.into(), "is empty".into(), "send at least one event");
    }
    if events.len() > EVENTS_MAX {
        report.push(
            LIST.into(),
            format!("has {} events", events.len()),
            "send at most 500 events at once",
        );
        return None;
    }
    Some(events)
}

/// A field that is neither in `known` nor an extension (with a prefix) is an error.
pub(super) fn unknown_fields(fields: &Fields<'_>, base: &str, known: &[&str], report: &mut Report) {
    for name in fields.names() {
        if !known.contains(&name) && !name.contains(':') {
            report.push(
                format!("{base}/{}", token(name)),
                "is no field of EPCIS 2.0 here".into(),
                "correct its name, or give an extension a prefix",
            );
        }
    }
}

/// One `eventID` names one event.
fn contradictions(captured: &[Captured<'_>], report: &mut Report) {
    let mut seen: HashMap<&str, &Captured<'_>> = HashMap::with_capacity(captured.len());
    for event in captured {
        let Some(id) = event.event_id.as_deref() else {
            continue;
        };
        let Some(first) = seen.insert(id, event) else {
            continue;
        };
        let same = first.event == event.event
            && first.issuer == event.issuer
            && first.waybill == event.waybill;
        if !same {
            report.push(
                format!("/epcisBody/eventList/{}/eventID", event.index),
                format!(
                    "is also the id of event {}, which says something else",
                    first.index
                ),
                "give every event an id of its own",
            );
        }
    }
}
