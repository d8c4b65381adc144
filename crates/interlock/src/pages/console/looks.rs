//! Who of our people looked at whose data.

use maud::{Markup, html};
use serde::Deserialize;

use super::alerts::masked;
use super::feeds::family;
use super::frame::{Reader, Section, Sheet, sheet};
use super::parts::{empty, headline, state, table, when};
use super::values::Instant;
use crate::pages::Language;
use crate::pages::layout::{Tone, cut};
use crate::pages::words::NAME_CHARS_MAX;

/// Looks on a page.
pub const LOOKS_SHOWN: u32 = 50;
/// Parcels of one look that are named; a round has many.
const PARCELS_SHOWN_MAX: usize = 3;

/// `GET /looks`.
#[derive(Debug, Deserialize)]
pub struct LooksView {
    items: Vec<LookView>,
    next: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LookView {
    at: Instant,
    by: String,
    what: String,
    parcels: Vec<Option<String>>,
    merchant: Option<String>,
    contact_form: Option<String>,
}

impl LookView {
    fn what<'a>(&'a self, reader: &Reader<'_>) -> &'a str {
        match self.what.as_str() {
            "parcel" => reader.pick("一件包裹", "a parcel"),
            "round" => reader.pick("快递员的投柜记录", "a courier's deposits"),
            "shop" => reader.pick("商家的包裹清单", "a merchant's list"),
            "address" => reader.pick("面单代码对应的地址", "the address behind a label's code"),
            "call" => reader.pick("为接通来电取用的号码", "a phone, to connect a call"),
            "phone" => reader.pick("完整手机号", "a phone in clear"),
            other => other,
        }
    }

    /// What was shown of a contact: none, a form that hides the number, or the number.
    fn shown(&self, reader: &Reader<'_>) -> (Tone, &'static str) {
        match self.contact_form.as_deref() {
            None => (Tone::Unknown, reader.pick("无", "none")),
            Some("full") => (Tone::Soon, reader.pick("完整号码", "the full number")),
            Some("virtual") => (Tone::Good, reader.pick("虚拟号码", "a virtual number")),
            Some("sealed") => (Tone::Good, reader.pick("加密号码", "encrypted")),
            Some(_) => (Tone::Good, reader.pick("仅尾号", "last digits only")),
        }
    }

    fn about(&self, reader: &Reader<'_>) -> Markup {
        let named = self.parcels.iter().flatten().take(PARCELS_SHOWN_MAX);
        let more = self.parcels.len().saturating_sub(PARCELS_SHOWN_MAX);
        html! {
            @for (waybill, at) in named.zip(0..) {
                @if at > 0 { " " }
                code { (masked(waybill)) }
            }
            @if more > 0 {
                @match reader.language {
                    Language::Chinese => { " 等，另 " (more) " 件" }
                    Language::English => { " and " (more) " more" }
                }
            }
            @if let Some(merchant) = &self.merchant { (cut(merchant, NAME_CHARS_MAX)) }
        }
    }
}

/// The page; `first` if no newer looks were passed over.
// tidy: long, one page from top to bottom
pub fn looks_page(reader: &Reader<'_>, view: &LooksView, first: bool) -> Markup {
    let title = reader.pick("查看记录", "Looks");
    let clear = view
        .items
        .iter()
        .filter(|look| look.what == "phone")
        .count();
    let (tone, lead) = match (clear, reader.language) {
        (0, _) => (
            Tone::Good,
            reader.pick(
                "本页没有人查看过完整手机号。人员每次查看个人数据都先记录，后显示。",
                "Nobody on this page saw a phone in clear. Each look of a person is on record before its answer is shown.",
            ).to_owned(),
        ),
        (n, Language::Chinese) => (Tone::Soon, format!("本页有 {n} 次查看完整手机号，每次都由两人同意。")),
        (1, Language::English) => (
            Tone::Soon,
            "One phone was seen in clear on this page; two people agreed to it.".into(),
        ),
        (n, Language::English) => (
            Tone::Soon,
            format!("{n} phones were seen in clear on this page; two people agreed to each."),
        ),
    };
    let rows = html! {
        @for look in &view.items {
            tr {
                th scope="row" { (cut(&look.by, NAME_CHARS_MAX)) }
                td { (when(reader, look.at)) }
                td { (look.what(reader)) }
                td { (look.about(reader)) }
                td { @let (tone, word) = look.shown(reader); (state(tone, word)) }
            }
        }
    };
    let main = html! {
        (family(reader))
        (headline(tone, title, &html! { (lead) }))
        @if view.items.is_empty() {
            (empty(reader.pick(
                "还没有人查看过个人数据。人员查看包裹、投柜记录、商家清单或号码时会显示在这里；自有系统的访问不算。",
                "No person has looked at personal data yet. Looks at parcels, deposits, merchants' lists and phones are listed here; what our own systems read is not.",
            )))
        } @else {
            (table("looks", title, &[
                reader.pick("谁", "Who"),
                reader.pick("时间", "Time"),
                reader.pick("看了什么", "Looked at"),
                reader.pick("关于", "About"),
                reader.pick("看到的联系方式", "Contact shown"),
            ], &rows))
        }
        @if !first || view.next.is_some() {
            nav.stretch aria-label=(reader.pick("列表各段", "Parts of the list")) {
                ul {
                    @if !first {
                        li { a rel="prev" href="/console/looks" { (reader.pick("最新的", "Newest")) } }
                    }
                    @if let Some(next) = view.next {
                        li { a rel="next" href={ "/console/looks?before=" (next) } { (reader.pick("更早的", "Older ones")) } }
                    }
                }
            }
        }
    };
    let page = Sheet {
        title,
        section: Section::Data,
        wide: true,
    };
    sheet(reader, &page, &main)
}
