//! One event of a document.

use std::borrow::Cow;

use interlock_core::event::{Place, Step};
use interlock_core::time::{Timestamp, Zone};
use interlock_core::waybill::Waybill;
use serde_json::value::RawValue;

use super::document::unknown_fields;
use super::json::{At, Fields, Report, shown};
use super::uri::{is_uri, parse_place, parse_waybill};
use super::vocabulary::{Facts, List, NotAWord, Word, form, infer, named_step, word};
use super::{Captured, EVENT_BYTES_MAX, EventDraft, NAMESPACE};

/// Fields that EPCIS 2.0 gives an `ObjectEvent`.
const FIELDS: [&str; 22] = [
    "@context",
    "type",
    "isA",
    "eventTime",
    "recordTime",
    "eventTimeZoneOffset",
    "eventID",
    "certificationInfo",
    "errorDeclaration",
    "epcList",
    "quantityList",
    "action",
    "bizStep",
    "disposition",
    "persistentDisposition",
    "readPoint",
    "bizLocation",
    "bizTransactionList",
    "sourceList",
    "destinationList",
    "sensorElementList",
    "ilmd",
];

/// Longest `eventID`, in bytes.
const EVENT_ID_BYTES_MAX: usize = 256;

/// Reads the event `raw` at `index`; `None` if anything about it was reported.
pub(super) fn capture<'a>(
    report: &mut Report,
    index: usize,
    raw: &'a RawValue,
    prefix: Option<&str>,
) -> Option<Captured<'a>> {
    let base = format!("/epcisBody/eventList/{index}");
    if raw.get().len() > EVENT_BYTES_MAX {
        report.push(
            base,
            format!("has {} bytes", raw.get().len()),
            "send at most 16 KiB an event, sensor data and extensions elsewhere",
        );
        return None;
    }
    let fields = report.object(raw, At::place(&base))?;
    let mut reader = Reader {
        report,
        fields: &fields,
        base: &base,
        prefix,
    };
    reader.kind()?;
    unknown_fields(&fields, &base, &FIELDS, reader.report);
    reader.unsupported();
    let parcel = reader.parcel();
    let time = reader.time();
    let place = reader.place();
    let event_id = reader.event_id();
    let step = reader.step(place.as_ref());
    let ((issuer, waybill), (at, zone), step) = (parcel?, time?, step?);
    Some(Captured {
        index,
        issuer,
        waybill,
        event: EventDraft {
            step,
            at,
            zone,
            place,
        },
        event_id,
        original: raw.get(),
    })
}

struct Reader<'r, 'f, 'a> {
    report: &'r mut Report,
    fields: &'f Fields<'a>,
    base: &'f str,
    prefix: Option<&'f str>,
}

impl<'a> Reader<'_, '_, 'a> {
    fn error(&mut self, name: &str, problem: impl Into<String>, remedy: &'static str) {
        let pointer = format!("{}/{name}", self.base);
        self.report.push(pointer, problem.into(), remedy);
    }

    fn optional(&mut self, name: &str) -> Option<Cow<'a, str>> {
        self.report.optional(self.fields, self.base, name)
    }

    fn required(&mut self, name: &str, remedy: &'static str) -> Option<Cow<'a, str>> {
        self.report.required(self.fields, self.base, name, remedy)
    }

    fn kind(&mut self) -> Option<()> {
        let name = if self.fields.get("isA").is_some() {
            "isA"
        } else {
            "type"
        };
        let kind = self.required(name, "write `ObjectEvent`")?;
        match kind.as_ref() {
            "ObjectEvent" => Some(()),
            "AggregationEvent"
            | "TransactionEvent"
            | "TransformationEvent"
            | "AssociationEvent" => {
                self.error(
                    name,
                    format!("`{kind}` does not tell the step of one parcel"),
                    "send one `ObjectEvent` for each parcel and step",
                );
                None
            }
            other => {
                let problem = format!("`{}` is no event of EPCIS 2.0", shown(other));
                self.error(name, problem, "write `ObjectEvent`");
                None
            }
        }
    }

    fn unsupported(&mut self) {
        if self.fields.get("errorDeclaration").is_some() {
            self.error(
                "errorDeclaration",
                "declares another event wrong and is no step of a parcel",
                "send the corrective event alone",
            );
        }
        if self.fields.get("quantityList").is_some() {
            self.error(
                "quantityList",
                "counts classes of goods, which no parcel is",
                "name one parcel in `epcList`",
            );
        }
    }

    fn parcel(&mut self) -> Option<(String, Waybill)> {
        const REMEDY: &str =
            "name one parcel as `https://<issuer's domain>/waybill/<carrier>/<number>`";
        let Some(raw) = self.fields.get("epcList") else {
            self.error("epcList", "is missing", REMEDY);
            return None;
        };
        let list = self.report.array(raw, At::below(self.base, "epcList"))?;
        let [epc] = list.as_slice() else {
            self.error("epcList", format!("names {} objects", list.len()), REMEDY);
            return None;
        };
        let epc = self.report.string(epc, At::below(self.base, "epcList/0"))?;
        let Some((issuer, waybill)) = parse_waybill(&epc) else {
            self.error("epcList/0", "is no waybill's URI", REMEDY);
            return None;
        };
        match waybill {
            Ok(waybill) => Some((issuer.into(), waybill)),
            Err(error) => {
                self.error("epcList/0", error.to_string(), REMEDY);
                None
            }
        }
    }

    fn time(&mut self) -> Option<(Timestamp, Zone)> {
        const TIME: &str = "write RFC 3339 with an offset, such as `2017-06-01T00:00:00+08:00`";
        const ZONE: &str = "write the offset where it happened, such as `+08:00`";
        let time = self.required("eventTime", TIME);
        let at = time.and_then(|text| {
            let parsed = Timestamp::parse_zoned(&text);
            if parsed.is_err() {
                self.error(
                    "eventTime",
                    format!("`{}` is no instant", shown(&text)),
                    TIME,
                );
            }
            parsed.ok()
        });
        let offset = self.required("eventTimeZoneOffset", ZONE);
        let zone = offset.and_then(|text| {
            let parsed = Zone::parse(&text);
            if parsed.is_err() {
                let problem = format!("`{}` is no offset", shown(&text));
                self.error("eventTimeZoneOffset", problem, ZONE);
            }
            parsed.ok()
        });
        let ((at, _), zone) = (at?, zone?);
        Some((at, zone))
    }

    fn location(&mut self, name: &str) -> Option<Place> {
        let raw = self.fields.get(name)?;
        let pointer = format!("{}/{name}", self.base);
        let location = self.report.object(raw, At::place(&pointer))?;
        let id = self
            .report
            .required(&location, &pointer, "id", "name the place by a URI")?;
        let place = parse_place(&id);
        if place.is_none() {
            self.error(
                &format!("{name}/id"),
                format!("`{}` is no URI of at most 128 bytes", shown(&id)),
                "write `https://<domain>/station/<id>`, `https://<domain>/place/<name>` or another URI",
            );
        }
        place
    }

    fn place(&mut self) -> Option<Place> {
        let read_point = self.location("readPoint");
        let biz_location = self.location("bizLocation");
        biz_location.or(read_point)
    }

    fn event_id(&mut self) -> Option<String> {
        let id = self.optional("eventID")?;
        if is_uri(&id) && id.len() <= EVENT_ID_BYTES_MAX {
            return Some(id.into_owned());
        }
        let problem = format!("`{}` is no URI of at most 256 bytes", shown(&id));
        self.error(
            "eventID",
            problem,
            "write a URI such as `urn:uuid:…`, or leave it out",
        );
        None
    }

    /// Whether the array `name` is there and has items.
    fn has_items(&mut self, name: &str) -> bool {
        let Some(raw) = self.fields.get(name) else {
            return false;
        };
        self.report
            .array(raw, At::below(self.base, name))
            .is_some_and(|items| !items.is_empty())
    }

    fn step(&mut self, place: Option<&Place>) -> Option<Step> {
        const REMEDY: &str = "write a word of CBV 2.0 such as `accepting`, or a URI of your own domain that does not begin with `urn:epcglobal:cbv`";
        let action = self.action();
        let text = self.required("bizStep", REMEDY);
        let returned = self.is_returned();
        let overdue = self.sets_overdue();
        let facts = Facts {
            returned,
            overdue,
            has_source: self.has_items("sourceList"),
            has_destination: self.has_items("destinationList"),
            at_station: matches!(place, Some(Place::Station(_))),
            has_biz_location: self.fields.get("bizLocation").is_some(),
        };
        let text = text?;
        let biz_step = match word(List::BizStep, &text, self.prefix) {
            Ok(biz_step) => biz_step,
            Err(why) => {
                self.error("bizStep", not_a_word(&text, why), REMEDY);
                return None;
            }
        };
        let step = match self.told_step() {
            Some(told) => self.agreeing(told?, &biz_step)?,
            None => infer(&biz_step, &facts),
        };
        self.check_action(action?, &step)?;
        Some(step)
    }

    fn action(&mut self) -> Option<&'static str> {
        const REMEDY: &str = "write `OBSERVE`, or `ADD` where the waybill is issued";
        let action = self.required("action", REMEDY)?;
        let known = ["ADD", "OBSERVE", "DELETE"]
            .into_iter()
            .find(|known| *known == action);
        if known.is_none() {
            let problem = format!("`{}` is no action", shown(&action));
            self.error("action", problem, REMEDY);
        }
        known
    }

    /// A step that this version knows has one action; what it does not know keeps its own.
    fn check_action(&mut self, action: &'static str, step: &Step) -> Option<()> {
        let wanted = form(step).action;
        if action == wanted || matches!(step, Step::Other(_)) {
            return Some(());
        }
        self.error(
            "action",
            format!("is `{action}`, but this step takes `{wanted}`"),
            "write `OBSERVE`, or `ADD` where the waybill is issued",
        );
        None
    }

    fn is_returned(&mut self) -> bool {
        let Some(text) = self.optional("disposition") else {
            return false;
        };
        self.disposition("disposition", &text) == Some(Word::Cbv("returned"))
    }

    fn disposition<'t>(&mut self, name: &str, text: &'t str) -> Option<Word<'t>> {
        match word(List::Disposition, text, self.prefix) {
            Ok(disposition) => Some(disposition),
            Err(why) => {
                self.error(
                    name,
                    not_a_word(text, why),
                    "write a word of CBV 2.0 such as `in_progress`, or a URI of your own domain that does not begin with `urn:epcglobal:cbv`",
                );
                None
            }
        }
    }

    fn sets_overdue(&mut self) -> bool {
        const NAME: &str = "persistentDisposition";
        let Some(raw) = self.fields.get(NAME) else {
            return false;
        };
        let pointer = format!("{}/{NAME}", self.base);
        let Some(lists) = self.report.object(raw, At::place(&pointer)) else {
            return false;
        };
        let mut overdue = false;
        for list in ["set", "unset"] {
            let pointer = format!("{pointer}/{list}");
            let items = lists
                .get(list)
                .and_then(|raw| self.report.array(raw, At::place(&pointer)));
            for (at, item) in items.unwrap_or_default().into_iter().enumerate() {
                let Some(text) = self
                    .report
                    .string(item, At::place(&format!("{pointer}/{at}")))
                else {
                    continue;
                };
                let disposition = self.disposition(&format!("{NAME}/{list}/{at}"), &text);
                overdue |= list == "set" && disposition == Some(Word::Own("overdue".into()));
            }
        }
        overdue
    }

    /// What `il:step` says: absent, wrong (and reported), or a step.
    fn told_step(&mut self) -> Option<Option<Step>> {
        let prefixed = |name: &&str| {
            let bare = self.prefix.and_then(|prefix| name.strip_prefix(prefix));
            bare == Some(":step")
        };
        let whole = |name: &&str| name.strip_prefix(NAMESPACE) == Some("step");
        let is_told = |name: &&str| self.fields.get(name).is_some();
        let mut names = self.fields.names().filter(is_told);
        let name = names
            .find(prefixed)
            .or_else(|| self.fields.names().filter(is_told).find(whole))?;
        let raw = self.fields.get(name)?;
        let key = super::json::token(name);
        let Some(told) = self.report.string(raw, At::below(self.base, &key)) else {
            return Some(None);
        };
        let step = named_step(&told);
        if step.is_none() {
            let problem = format!("`{}` is no step", shown(&told));
            self.error(
                &key,
                problem,
                "write a step such as `deposited`, or leave it out",
            );
        }
        Some(step)
    }

    /// `told`, if its bizStep is the one that the event has.
    fn agreeing(&mut self, told: Step, biz_step: &Word<'_>) -> Option<Step> {
        let form = form(&told);
        if word(List::BizStep, &form.biz_step, None).as_ref() == Ok(biz_step) {
            return Some(told);
        }
        let problem = format!("does not fit the step `{}`", told.as_str());
        self.error(
            "bizStep",
            problem,
            "let both say the same, or leave `il:step` out",
        );
        None
    }
}

fn not_a_word(text: &str, why: NotAWord) -> String {
    match why {
        NotAWord::NotInCbv => format!("`{}` is no word of CBV 2.0", shown(text)),
        NotAWord::NoUri => format!("`{}` is no URI of at most 128 bytes", shown(text)),
    }
}
