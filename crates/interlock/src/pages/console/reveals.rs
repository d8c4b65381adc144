//! Phones in clear: who asked, who agreed, who saw.
//!
//! INVARIANT: a phone is on the page that answers its form, to the one who asked, and on no other.

use interlock_core::time::MINUTE_MS;
use maud::{Markup, html};
use serde::Deserialize;

use super::again::{Again, folded};
use super::alerts::masked;
use super::feeds::family;
use super::frame::{Reader, Section, Sheet, sheet};
use super::parts::{code_field, done, empty, facts, headline, state, table, when};
use super::stretch::{others, stretch};
use super::values::Instant;
use crate::node::io::REVEAL_REASONS;
use crate::pages::Language;
use crate::pages::layout::{Tone, cut};
use crate::pages::words::NAME_CHARS_MAX;

/// Most requests on a page: some have a form.
const SHOWN_MAX: usize = 30;
/// How long an approved phone may be looked at; the node's rule, said to people.
const SHOWN_WITHIN_MIN: i64 = 15;

/// `GET /reveals`.
#[derive(Debug, Deserialize)]
pub struct RevealsView {
    items: Vec<RevealView>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RevealView {
    id: String,
    parcel: Option<String>,
    reason: String,
    reference: Option<String>,
    asked_by: String,
    asked_at: Instant,
    approved_by: Option<String>,
    approved_at: Option<Instant>,
    /// Who let both in.
    let_in_alike: Option<String>,
    shown_at: Option<Instant>,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Waiting,
    Approved,
    Over,
    Shown,
}

impl RevealView {
    fn standing(&self, reader: &Reader<'_>) -> Standing {
        let over = |at: Instant| reader.as_of.since_ms(at.0) > SHOWN_WITHIN_MIN * MINUTE_MS;
        match (self.approved_at, self.shown_at) {
            (_, Some(_)) => Standing::Shown,
            (Some(at), None) if over(at) => Standing::Over,
            (Some(_), None) => Standing::Approved,
            (None, None) => Standing::Waiting,
        }
    }

    fn is_readers(&self, reader: &Reader<'_>) -> bool {
        reader
            .person
            .is_some_and(|person| person.name.as_str() == self.asked_by)
    }
}

const fn standing_word(reader: &Reader<'_>, standing: Standing) -> (Tone, &'static str) {
    match standing {
        Standing::Waiting => (
            Tone::Waiting,
            reader.pick("等待他人同意", "waits for somebody else"),
        ),
        Standing::Approved => (
            Tone::Soon,
            reader.pick("已同意，尚未查看", "approved, not seen yet"),
        ),
        Standing::Over => (
            Tone::Unknown,
            reader.pick("已过期，未查看", "over, never seen"),
        ),
        Standing::Shown => (Tone::Stopped, reader.pick("已查看", "seen")),
    }
}

/// What a reason is called.
fn reason_word<'a>(reader: &Reader<'_>, reason: &'a str) -> &'a str {
    match reason {
        "delivery-problem" => reader.pick("派送问题", "a problem with the delivery"),
        "recipient-asked" => reader.pick("收件人要求", "the recipient asked"),
        "complaint" => reader.pick("投诉", "a complaint"),
        "legal-order" => reader.pick("依法要求", "a legal order"),
        other => other,
    }
}

/// The page; with the phone, if this is the answer that shows it, or with what went wrong.
pub fn reveals_page(
    reader: &Reader<'_>,
    view: &RevealsView,
    phone: Option<&str>,
    again: Option<&Again<'_>>,
) -> Markup {
    let title = reader.pick("查看完整号码", "Phones in clear");
    let titled = match again {
        Some(_) => reader.pick("出错：查看完整号码", "Error: Phones in clear"),
        None => title,
    };
    let waiting = view
        .items
        .iter()
        .filter(|it| it.standing(reader) == Standing::Waiting && !it.is_readers(reader))
        .count();
    let (tone, lead) = match (waiting, reader.language) {
        (0, _) => (
            Tone::Good,
            reader
                .pick("没有请求等待您同意。", "No request waits for you.")
                .to_owned(),
        ),
        (n, Language::Chinese) => (Tone::Waiting, format!("{n} 个请求等待您同意或不予理会。")),
        (1, Language::English) => (Tone::Waiting, "One request waits for you.".into()),
        (n, Language::English) => (Tone::Waiting, format!("{n} requests wait for you.")),
    };
    let main = html! {
        (family(reader))
        (Again::summary(again, reader))
        @if let Some(phone) = phone { (once(reader, phone)) }
        (headline(tone, title, &html! { (lead) }))
        p {
            (reader.pick(
                "一人请求，另一人同意，请求人在 15 分钟内可看一次。三步都有记录；记录中没有号码。",
                "One person asks, another agrees, and who asked sees it once within 15 minutes. All three are on record; the record holds no phone.",
            ))
        }
        @if view.items.is_empty() {
            (empty(reader.pick(
                "还没有人请求查看完整号码。",
                "Nobody has asked to see a phone in clear yet.",
            )))
        } @else { (list(reader, view)) }
        (folded(reader, again, "ask", reader.pick("请求查看一个号码", "Ask to see a phone"), &ask(reader, again)))
    };
    let page = Sheet {
        title: titled,
        section: Section::Data,
        wide: true,
    };
    sheet(reader, &page, &main)
}

fn list(reader: &Reader<'_>, view: &RevealsView) -> Markup {
    let rows = html! {
        @for (it, at) in stretch(reader, &view.items, SHOWN_MAX).iter().zip(0..) {
            tr {
                th scope="row" { @if let Some(parcel) = &it.parcel { code { (masked(parcel)) } } }
                td { @let (tone, word) = standing_word(reader, it.standing(reader)); (state(tone, word)) }
                td {
                    (reason_word(reader, &it.reason))
                    @if let Some(reference) = &it.reference { " " code { (reference) } }
                }
                td { (cut(&it.asked_by, NAME_CHARS_MAX)) " " (when(reader, it.asked_at)) }
                td {
                    @if let (Some(by), Some(at)) = (&it.approved_by, it.approved_at) {
                        (cut(by, NAME_CHARS_MAX)) " " (when(reader, at))
                        @if let Some(both) = &it.let_in_alike {
                            br;
                            (state(Tone::Soon, reader.pick("两人均由同一人添加：", "both were let in by ")))
                            " " (cut(both, NAME_CHARS_MAX))
                        }
                    }
                }
                td { @if let Some(at) = it.shown_at { (when(reader, at)) } }
                td { (act(reader, it, at)) }
            }
        }
    };
    html! {
        (table("reveals", reader.pick("请求", "Requests"), &[
            reader.pick("包裹", "Parcel"),
            reader.pick("状态", "State"),
            reader.pick("原因", "Reason"),
            reader.pick("请求人", "Asked"),
            reader.pick("同意人", "Approved"),
            reader.pick("查看时间", "Seen"),
            reader.pick("操作", "Do"),
        ], &rows))
        (others(reader, view.items.len(), SHOWN_MAX))
    }
}

/// What this reader can do with a request.
fn act(reader: &Reader<'_>, it: &RevealView, at: usize) -> Markup {
    let (act, open, button) = match (it.standing(reader), it.is_readers(reader)) {
        (Standing::Waiting, false) => (
            "approve",
            reader.pick("同意…", "Agree …"),
            reader.pick("同意对方查看一次", "Let them see it once"),
        ),
        (Standing::Approved, true) => (
            "show",
            reader.pick("查看…", "See it …"),
            reader.pick("现在显示号码", "Show the phone now"),
        ),
        (Standing::Waiting | Standing::Over | Standing::Shown, _) | (Standing::Approved, false) => {
            return html! {};
        }
    };
    let id = format!("{act}-code-{at}");
    html! {
        details open[reader.print] {
            summary { (open) }
            form method="post" action={ "/console/reveals/" (it.id) "/" (act) } {
                (reader.mark())
                (code_field(reader, &id))
                button type="submit" { (button) }
            }
        }
    }
}

fn ask(reader: &Reader<'_>, again: Option<&Again<'_>>) -> Markup {
    let value = |name, first| Again::value(again, "ask", name, first);
    html! {
        form.sheet method="post" action="/console/reveals" {
            (reader.mark())
            div.field {
                label for="waybill" { (reader.pick("运单号", "Waybill")) }
                input #waybill name="waybill" type="text" autocomplete="off" maxlength="64" required
                    value=(value("waybill", ""));
            }
            div.field {
                label for="reason" { (reader.pick("原因", "Reason")) }
                select #reason name="reason" {
                    @for reason in REVEAL_REASONS {
                        option value=(reason) selected[value("reason", "") == reason] { (reason_word(reader, reason)) }
                    }
                }
            }
            div.field {
                label for="reference" { (reader.pick("工单或函件编号（可不填）", "Number of a ticket or letter (optional)")) }
                input #reference name="reference" type="text" autocomplete="off" maxlength="40"
                    value=(value("reference", ""));
            }
            (code_field(reader, "ask-code"))
            button type="submit" { (reader.pick("请求", "Ask")) }
        }
    }
}

/// The phone, on this answer alone.
fn once(reader: &Reader<'_>, phone: &str) -> Markup {
    html! {
        (done(reader.pick(
            "号码只显示这一次，您已被记录为查看人。",
            "The phone is shown this once, and it is on record that you saw it.",
        )))
        (facts(&[(reader.pick("手机号", "Phone"), html! { code { (phone) } })]))
    }
}
