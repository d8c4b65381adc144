//! Parcels and their events as an order system sends them.
//!
//! INVARIANT: event `n` is of one parcel and one step, whoever asks; all bytes of a document but
//! numbers of waybills and events are made once, so that making a request costs nearly nothing. It
//! does not know where they are sent.
//!
//! Parcels go in waves of [`WAVE_PARCELS`], as many as are under way at once; each has one event of
//! each of [`STEPS`], and the next wave begins when all of a wave were delivered.

use serde_json::Value;

use super::load::Requests;

/// Parcels under way at once.
pub(crate) const WAVE_PARCELS: u64 = 10_000;
/// Events of one parcel.
pub(crate) const STORY_EVENTS: u64 = STEPS.len() as u64;
/// Where parcels begin that are only tracked.
pub(crate) const TRACKED_FROM: u64 = 1_000_000_000;
/// Events of one document.
pub(crate) const DOCUMENT_EVENTS: u64 = 100;
/// Events of a wave.
pub(crate) const WAVE_EVENTS: u64 = WAVE_PARCELS * STEPS.len() as u64;
/// Parcels of one `PUT /parcels`.
const PUT_PARCELS: u64 = 1_000;

/// The step, its bizStep, and what goes with it in CBV 2.0.
const STEPS: [(&str, &str, &str); 6] = [
    ("issued", "commissioning", "active"),
    ("accepted", "accepting", "in_progress"),
    ("arrived", "arriving", "in_progress"),
    ("departed", "shipping", "in_transit"),
    ("out-for-delivery", "departing", "in_transit"),
    ("delivered", "accepting", ""),
];

/// The number of a waybill of SF, by the parcel's own.
pub(crate) fn waybill(parcel: u64) -> String {
    format!("SF{parcel:013}")
}

/// The head of a request to the local API, without the length of a body.
pub(crate) fn head(method: &str, path: &str, admin: &str) -> String {
    format!(
        "{method} /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {admin}\r\n\
         Content-Type: application/json\r\n"
    )
}

/// A whole request with a body.
pub(crate) fn request(method: &str, path: &str, admin: &str, body: &str) -> Vec<u8> {
    let head = head(method, path, admin);
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A document with places for the numbers.
struct Template {
    bytes: Vec<u8>,
    /// Where the waybill's and the event's digits begin, by event.
    places: Vec<(usize, usize)>,
}

impl Template {
    fn new(admin: &str, step: usize) -> Self {
        let body = document(step);
        let bytes = request("POST", "/events", admin, &body);
        let find = |mark: &str| -> Vec<usize> {
            let text = String::from_utf8_lossy(&bytes);
            text.match_indices(mark)
                .map(|(at, _)| at + mark.len())
                .collect()
        };
        let places = find("/waybill/sf/SF").into_iter().zip(find("-4000-8000-"));
        Self {
            places: places.collect(),
            bytes,
        }
    }
}

/// The body of a document of one step, all numbers zero.
fn document(step: usize) -> String {
    let event = event(step);
    let events: Vec<&str> = (0..DOCUMENT_EVENTS).map(|_| event.as_str()).collect();
    around(&events.join(","))
}

/// All events of one parcel as one document.
pub(crate) fn story(parcel: u64) -> Value {
    let events: Vec<String> = (0..STEPS.len())
        .zip(parcel * STORY_EVENTS..)
        .map(|(step, number)| {
            event(step)
                .replace("SF0000000000000", &waybill(parcel))
                .replace("-8000-000000000000", &format!("-8000-{number:012}"))
        })
        .collect();
    serde_json::from_str(&around(&events.join(","))).unwrap_or(Value::Null)
}

/// One event, its numbers zero.
fn event(step: usize) -> String {
    let (name, biz_step, disposition) = STEPS.get(step).copied().unwrap_or(STEPS[0]);
    let disposition = match disposition {
        "" => String::new(),
        word => format!("\"disposition\":\"{word}\","),
    };
    format!(
        "{{\"type\":\"ObjectEvent\",\"eventID\":\"urn:uuid:5f0c8a3e-7b1d-4000-8000-000000000000\",\
         \"eventTime\":\"2026-11-2{step}T09:30:00.250+08:00\",\"eventTimeZoneOffset\":\"+08:00\",\
         \"epcList\":[\"https://id.sf.example/waybill/sf/SF0000000000000\"],\"action\":\"{}\",\
         \"bizStep\":\"{biz_step}\",{disposition}\"il:step\":\"{name}\",\
         \"readPoint\":{{\"id\":\"https://id.sf.example/place/Shenzhen%20Baoan%20transfer%20hall%207\"}},\
         \"bizTransactionList\":[{{\"type\":\"desadv\",\
         \"bizTransaction\":\"https://id.sf.example/manifest/SZX-2026-11-20-0417\"}}],\
         \"sourceList\":[{{\"type\":\"location\",\"source\":\"https://id.sf.example/place/Shenzhen\"}}]}}",
        if step == 0 { "ADD" } else { "OBSERVE" }
    )
}

/// A document around events.
fn around(events: &str) -> String {
    format!(
        "{{\"@context\":[\"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld\",\
         {{\"il\":\"https://w3id.org/interlock/ns#\"}}],\"type\":\"EPCISDocument\",\
         \"schemaVersion\":\"2.0\",\"creationDate\":\"2026-11-20T10:00:00+08:00\",\
         \"epcisBody\":{{\"eventList\":[{}]}}}}",
        events
    )
}

/// Documents of the events from `next` to `end`, every `stride`th of them: the share of one thread.
pub(crate) struct Documents {
    templates: Vec<Template>,
    next: u64,
    end: u64,
    stride: u64,
}

impl Documents {
    /// The shares of `threads` threads of the documents of `events`, whole documents.
    pub(crate) fn shares(admin: &str, events: std::ops::Range<u64>, threads: u64) -> Vec<Self> {
        let documents = events.start / DOCUMENT_EVENTS..events.end / DOCUMENT_EVENTS;
        (0..threads)
            .map(|thread| Self {
                templates: (0..STEPS.len())
                    .map(|step| Template::new(admin, step))
                    .collect(),
                next: documents.start + thread,
                end: documents.end,
                stride: threads,
            })
            .collect()
    }
}

impl Requests for Documents {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        if self.next >= self.end {
            return false;
        }
        let first = self.next * DOCUMENT_EVENTS;
        self.next += self.stride;
        let (wave, within) = (first / WAVE_EVENTS, first % WAVE_EVENTS);
        let step = usize::try_from(within / WAVE_PARCELS).unwrap_or(0);
        let Some(template) = self.templates.get(step) else {
            return false;
        };
        out.clear();
        out.extend_from_slice(&template.bytes);
        for ((waybill, event), at) in template.places.iter().zip(0..) {
            let parcel = wave * WAVE_PARCELS + within % WAVE_PARCELS + at;
            write(out, *waybill, 13, parcel);
            write(out, *event, 12, first + at);
        }
        true
    }
}

/// Writes the digits of `number` over those at `at`.
fn write(out: &mut [u8], at: usize, digits: usize, mut number: u64) {
    for place in out.iter_mut().skip(at).take(digits).rev() {
        *place = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// `PUT /parcels` of a range of parcels, all of one owner.
pub(crate) struct Parcels {
    /// An administrator's key.
    pub(crate) admin: String,
    /// Members of each parcel beside its waybill, such as `"marketplace":"taobao"`.
    pub(crate) members: String,
    /// Which.
    pub(crate) parcels: std::ops::Range<u64>,
}

impl Requests for Parcels {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let first = self.parcels.start;
        let last = self.parcels.end.min(first + PUT_PARCELS);
        if first >= last {
            return false;
        }
        self.parcels.start = last;
        let items: Vec<String> = (first..last)
            .map(|parcel| {
                let members = self.members.replace("PARCEL", &format!("{parcel:08}"));
                format!("{{\"waybill\":\"sf/{}\",{members}}}", waybill(parcel))
            })
            .collect();
        let body = format!("{{\"parcels\":[{}]}}", items.join(","));
        *out = request("PUT", "/parcels", &self.admin, &body);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn body(request: &[u8]) -> &[u8] {
        let at = request.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        &request[at + 4..]
    }

    #[test]
    fn every_event_is_of_its_own_parcel_and_step() {
        let mut seen = BTreeSet::new();
        let mut out = Vec::new();
        for mut share in Documents::shares("key", 0..WAVE_EVENTS + 1_000, 2) {
            while share.next(&mut out) {
                let captured = interlock::epcis::parse_document(body(&out)).unwrap();
                assert_eq!(captured.len() as u64, DOCUMENT_EVENTS);
                for one in captured {
                    let step = one.event.step.as_str().to_owned();
                    assert!(seen.insert((one.waybill.number().to_owned(), step)));
                }
            }
        }
        assert_eq!(seen.len() as u64, WAVE_EVENTS + 1_000);
        let parcels: BTreeSet<&String> = seen.iter().map(|(number, _)| number).collect();
        assert_eq!(parcels.len() as u64, WAVE_PARCELS + 1_000);
    }

    #[test]
    fn parcels_are_put_in_calls_of_a_thousand() {
        let mut parcels = Parcels {
            admin: "key".into(),
            members: "\"marketplace\":\"taobao\"".into(),
            parcels: 5..1_006,
        };
        let mut out = Vec::new();
        let mut counts = Vec::new();
        while parcels.next(&mut out) {
            let value: serde_json::Value = serde_json::from_slice(body(&out)).unwrap();
            counts.push(value["parcels"].as_array().unwrap().len());
        }
        assert_eq!(counts, [1_000, 1]);
    }
}
