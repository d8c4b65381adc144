//! What would stop then?

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde::Deserialize;

use super::agreements::family;
use super::charts::{self, Bar};
use super::frame::{Reader, Section, Sheet, sheet};
use super::parts::{empty, headline, summary, table, when};
use super::problems;
use super::values::{Instant, grouped};
use super::words;
use crate::identity::url::segment;
use crate::node::io::Problem;
use crate::pages::Language;
use crate::pages::layout::Tone;

/// Of `GET /rehearsals`.
#[derive(Debug, Deserialize)]
pub struct RehearsalView {
    at: Instant,
    cooperations: Vec<EndingView>,
}

#[derive(Debug, Deserialize)]
struct EndingView {
    partner: String,
    name: String,
    agreements: Vec<EndsView>,
    outcomes: BTreeMap<String, CountsView>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndsView {
    id: String,
    dataset: String,
    ends_at: Instant,
    run_off_until: Option<Instant>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CountsView {
    parcels: u64,
    recipients: u64,
    merchants: u64,
    recipients_not_told: u64,
    events_held: u64,
    events_dropped: u64,
    tracking_stale: u64,
}

const OUTCOMES: [&str; 3] = ["nothing-signed", "run-off-only", "temporary-agreement"];

fn outcome(reader: &Reader<'_>, code: &str) -> &'static str {
    match code {
        "nothing-signed" => reader.pick(
            "什么都不签，立即切断",
            "nothing is signed, the interface is cut",
        ),
        "run-off-only" => reader.pick("只有收尾期", "the run-off alone"),
        _ => reader.pick("签署临时协议", "a temporary agreement"),
    }
}

/// The page; without an answer it asks for an instant.
pub fn rehearsal_page(
    reader: &Reader<'_>,
    at: &str,
    view: Option<&RehearsalView>,
    trouble: Option<&Problem>,
) -> Markup {
    let title = reader.pick("演练", "Rehearsal");
    let titled = match trouble {
        Some(_) => reader.pick("出错：演练", "Error: Rehearsal"),
        None => title,
    };
    let main = html! {
        @if let Some(trouble) = trouble {
            (summary(reader, &problems::words(reader, trouble), Some("at")))
        }
        (family(reader))
        @match view {
            Some(view) => (found(reader, title, view)),
            None => {
                h1 { (title) }
                p.lead { (reader.pick("到某一时刻为止到期的协议会影响什么？不会发出任何内容。", "What do the ends of agreements up to an instant touch? Nothing is sent.")) }
            }
        }
        form.sheet.inline method="get" action="/console/rehearsals" {
            div.field {
                label for="at" { (reader.pick("时刻，如 ", "Instant, such as ")) span.instant { "2017-07-01T00:00:00+08:00" } }
                input #at name="at" type="text" required value=(at) maxlength="40";
            }
            button type="submit" { (reader.pick("演练", "Rehearse")) }
        }
    };
    sheet(
        reader,
        &Sheet {
            title: titled,
            section: Section::Agreements,
            wide: true,
        },
        &main,
    )
}

fn found(reader: &Reader<'_>, title: &str, view: &RehearsalView) -> Markup {
    let at = reader.language.instant(view.at.0, view.at.1);
    let touched: u64 = view
        .cooperations
        .iter()
        .filter_map(|c| c.outcomes.get("nothing-signed"))
        .map(|counts| counts.parcels)
        .sum();
    let (tone, lead) = match (view.cooperations.is_empty(), reader.language) {
        (true, Language::Chinese) => (Tone::Good, format!("到 {at}没有协议到期。")),
        (true, Language::English) => (Tone::Good, format!("No agreement ends up to {at}.")),
        (false, Language::Chinese) => (
            Tone::Soon,
            format!(
                "到 {at}，与 {} 个伙伴的协议到期，涉及 {} 件。",
                view.cooperations.len(),
                grouped(touched)
            ),
        ),
        (false, Language::English) => (
            Tone::Soon,
            format!(
                "Up to {at} agreements with {} {} end and touch {} {}.",
                view.cooperations.len(),
                if view.cooperations.len() == 1 {
                    "partner"
                } else {
                    "partners"
                },
                grouped(touched),
                if touched == 1 { "parcel" } else { "parcels" }
            ),
        ),
    };
    html! {
        (headline(tone, title, &html! { (lead) }))
        p.notice.waiting { (Tone::Waiting.shape()) (reader.pick("演练：没有发出任何内容。", "Rehearsal: nothing is sent.")) }
        @for ending in &view.cooperations { (one(reader, ending)) }
        @if view.cooperations.is_empty() {
            (empty(reader.pick("选一个更晚的时刻。", "Choose a later instant.")))
        }
    }
}

fn one(reader: &Reader<'_>, ending: &EndingView) -> Markup {
    let id = segment(&ending.partner).replace('%', "-");
    let none = CountsView::default();
    let of = |code: &str| ending.outcomes.get(code).unwrap_or(&none);
    let bars: Vec<Bar> = OUTCOMES
        .iter()
        .map(|code| Bar {
            label: outcome(reader, code).into(),
            value: of(code).parcels,
            hatched: of(code).recipients_not_told,
            tone: Tone::Soon,
            path: String::new(),
        })
        .collect();
    // Tables of several partners are told apart by their captions.
    let outcomes = match reader.language {
        Language::Chinese => format!("三种结果：{}", ending.name),
        Language::English => format!("Three outcomes: {}", ending.name),
    };
    let figures = |counts: &CountsView| {
        [
            counts.parcels,
            counts.recipients,
            counts.merchants,
            counts.recipients_not_told,
            counts.events_held,
            counts.events_dropped,
            counts.tracking_stale,
        ]
    };
    let rows = html! {
        @for code in OUTCOMES {
            tr {
                th scope="row" { (outcome(reader, code)) }
                @for figure in figures(of(code)) { td.number { (grouped(figure)) } }
            }
        }
    };
    html! {
        h2 { a href={ "/console/partners/" (segment(&ending.partner)) } { (ending.name) } }
        ul {
            @for a in &ending.agreements {
                li {
                    a href={ "/console/agreements/" (segment(&a.id)) } { (words::dataset(reader, &a.dataset)) }
                    " " (when(reader, a.ends_at))
                    @if let Some(until) = a.run_off_until {
                        (reader.pick("；收尾期至 ", "; run-off until "))
                        span.instant { (reader.language.instant(until.0, until.1)) }
                    }
                }
            }
        }
        (charts::bars(
            &format!("bars-{id}"),
            reader.pick("涉及的包裹，斜线为收件人无人通知", "Parcels touched, hatched where nobody tells the recipient"),
            reader.pick("件", "parcels"),
            &bars,
        ))
        (table(&format!("table-{id}"), &outcomes, &[
            reader.pick("结果", "If"),
            reader.pick("包裹", "Parcels"),
            reader.pick("收件人", "Recipients"),
            reader.pick("商家", "Merchants"),
            reader.pick("无人通知", "Not told"),
            reader.pick("事件滞留", "Events held"),
            reader.pick("事件丢弃", "Events dropped"),
            reader.pick("动态停更", "Tracking stale"),
        ], &rows))
    }
}
