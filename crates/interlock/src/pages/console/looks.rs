//! Who of our people looked at whose data.
//!
//! INVARIANT: numbers that a telephone network was given to connect calls stand apart from looks of people, so
//! that many calls hide no look.

use maud::{Markup, html};
use serde::Deserialize;

use super::alerts::masked;
use super::feeds::family;
use super::frame::{Reader, Section, Sheet, sheet};
use super::parts::{empty, headline, state, table, when};
use super::values::Instant;
use crate::node::io::LookKind;
use crate::pages::Language;
use crate::pages::layout::{Tone, cut};
use crate::pages::words::NAME_CHARS_MAX;

/// Looks on a page.
pub const LOOKS_SHOWN: u32 = 50;
/// What the filter is for looks of all kinds, calls among them.
pub const LOOKS_ALL: &str = "all";
/// Parcels of one look that are named; a round has many.
const PARCELS_SHOWN_MAX: usize = 3;

/// `GET /looks`.
#[derive(Debug, Deserialize)]
pub struct LooksView {
    items: Vec<LookView>,
    next: Option<u64>,
}

impl LooksView {
    /// Where to go on, if nothing was found so far.
    pub fn goes_on_empty(&self) -> Option<u64> {
        self.next.filter(|_| self.items.is_empty())
    }
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
    fn is_call(&self) -> bool {
        self.what == LookKind::Call.as_str()
    }

    fn what<'a>(&'a self, reader: &Reader<'_>) -> &'a str {
        LookKind::parse(&self.what).map_or(&self.what, |kind| word_of(reader, kind))
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

/// What stands in a row: the newest of some calls that are alike, else one look.
struct Row<'a> {
    look: &'a LookView,
    times: usize,
}

/// Calls by one key about one parcel are one row of the page; every other look has its own.
fn rows_of(items: &[LookView]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for look in items {
        let alike = |row: &&mut Row<'_>| {
            look.is_call()
                && row.look.is_call()
                && row.look.by == look.by
                && row.look.parcels == look.parcels
        };
        match rows.iter_mut().find(alike) {
            Some(row) => row.times += 1,
            None => rows.push(Row { look, times: 1 }),
        }
    }
    rows
}

/// What the page is about, and what of it people should know first.
fn lead(reader: &Reader<'_>, view: &LooksView, what: Option<LookKind>) -> (Tone, String) {
    if what == Some(LookKind::Call) {
        return (Tone::Waiting, reader.pick(
            "这些号码由电话网络取用，以便接通打给虚拟号码的来电；不是人员查看。",
            "A telephone network was given these numbers to connect calls to virtual ones. They are no looks of people.",
        ).to_owned());
    }
    let people = || view.items.iter().filter(|look| !look.is_call());
    let clear = people().filter(|look| look.what == "phone").count();
    let full = people()
        .filter(|look| look.contact_form.as_deref() == Some("full"))
        .count();
    let (tone, told) = match (clear, full, reader.language) {
        (0, 0, _) => (
            Tone::Good,
            reader.pick(
                "本页没有人查看过完整手机号。人员每次查看个人数据都先记录，后显示。",
                "Nobody on this page saw a phone in clear. Each look of a person is on record before its answer is shown.",
            ).to_owned(),
        ),
        (0, n, Language::Chinese) => (Tone::Soon, format!("本页有 {n} 次查看显示了完整号码，因为协议约定如此。")),
        (0, 1, Language::English) => (Tone::Soon, "One look on this page showed the full number, as the agreement says.".into()),
        (0, n, Language::English) => (Tone::Soon, format!("{n} looks on this page showed the full number, as the agreement says.")),
        (n, _, Language::Chinese) => (Tone::Soon, format!("本页有 {n} 次查看完整手机号，每次都由两人同意。")),
        (1, _, Language::English) => (
            Tone::Soon,
            "One phone was seen in clear on this page; two people agreed to it.".into(),
        ),
        (n, _, Language::English) => (
            Tone::Soon,
            format!("{n} phones were seen in clear on this page; two people agreed to each."),
        ),
    };
    let calls = match what {
        None => reader.pick(
            "电话网络为接通来电取用的号码也在其中。",
            " Numbers given to a telephone network to connect calls are among them.",
        ),
        Some(_) => reader.pick(
            "电话网络为接通来电取用的号码另列。",
            " Numbers given to a telephone network to connect calls are listed apart.",
        ),
    };
    (tone, told + calls)
}

const fn word_of(reader: &Reader<'_>, kind: LookKind) -> &'static str {
    match kind {
        LookKind::People => reader.pick("人员的查看", "looks of people"),
        LookKind::Parcel => reader.pick("一件包裹", "a parcel"),
        LookKind::Round => reader.pick("快递员的投柜记录", "a courier's deposits"),
        LookKind::Shop => reader.pick("商家的包裹清单", "a merchant's list"),
        LookKind::Address => reader.pick("面单代码对应的地址", "the address behind a label's code"),
        LookKind::Phone => reader.pick("完整手机号", "a phone in clear"),
        LookKind::Call => reader.pick("为接通来电取用的号码", "a phone, to connect a call"),
    }
}

fn filter_form(reader: &Reader<'_>, what: Option<LookKind>) -> Markup {
    html! {
        form.filters method="get" action="/console/looks" aria-label=(reader.pick("筛选", "Filter")) {
            div.field {
                label for="what" { (reader.pick("看了什么", "Looked at")) }
                select #what name="what" {
                    @for kind in LookKind::ALL {
                        option value=(kind.as_str()) selected[what == Some(kind)] { (word_of(reader, kind)) }
                    }
                    option value=(LOOKS_ALL) selected[what.is_none()] { (reader.pick("全部", "all")) }
                }
            }
            button type="submit" { (reader.pick("筛选", "Filter")) }
        }
    }
}

/// Why there is nothing on the page, and what would be.
fn nothing(reader: &Reader<'_>, view: &LooksView, what: Option<LookKind>) -> Markup {
    empty(match (what, view.next) {
        (Some(_), Some(_)) => reader.pick(
            "翻查了这一段，没有找到；更早的部分还没有翻查。",
            "Nothing that fits in the stretch that was gone through; older ones were not gone through yet.",
        ),
        (Some(LookKind::Call), None) => reader.pick(
            "没有为接通来电取用过号码。",
            "No telephone network was given a number.",
        ),
        (None | Some(_), None) | (None, Some(_)) => reader.pick(
            "还没有人查看过个人数据。人员查看包裹、投柜记录、商家清单或号码时会显示在这里；自有系统的访问不算。",
            "No person has looked at personal data yet. Looks at parcels, deposits, merchants' lists and phones are listed here; what our own systems read is not.",
        ),
    })
}

fn parts_of_the_list(
    reader: &Reader<'_>,
    next: Option<u64>,
    what: Option<LookKind>,
    first: bool,
) -> Markup {
    let path = format!(
        "/console/looks?what={}",
        what.map_or(LOOKS_ALL, LookKind::as_str)
    );
    html! {
        @if !first || next.is_some() {
            nav.stretch aria-label=(reader.pick("列表各段", "Parts of the list")) {
                ul {
                    @if !first {
                        li { a rel="prev" href=(path) { (reader.pick("最新的", "Newest")) } }
                    }
                    @if let Some(next) = next {
                        li { a rel="next" href={ (path) "&before=" (next) } { (reader.pick("更早的", "Older ones")) } }
                    }
                }
            }
        }
    }
}

/// The page of looks of a kind, of all if none is named; `first` if no newer looks were passed over.
pub fn looks_page(
    reader: &Reader<'_>,
    view: &LooksView,
    what: Option<LookKind>,
    first: bool,
) -> Markup {
    let title = reader.pick("查看记录", "Looks");
    let (tone, lead) = lead(reader, view, what);
    let rows = html! {
        @for Row { look, times } in rows_of(&view.items) {
            tr {
                th scope="row" { (cut(&look.by, NAME_CHARS_MAX)) }
                td { (when(reader, look.at)) }
                td {
                    (look.what(reader))
                    @if times > 1 {
                        @match reader.language {
                            Language::Chinese => { "，本页 " (times) " 次" }
                            Language::English => { ", " (times) " times on this page" }
                        }
                    }
                }
                td { (look.about(reader)) }
                td { @let (tone, word) = look.shown(reader); (state(tone, word)) }
            }
        }
    };
    let main = html! {
        (family(reader))
        (headline(tone, title, &html! { (lead) }))
        (filter_form(reader, what))
        @if view.items.is_empty() {
            (nothing(reader, view, what))
        } @else {
            (table("looks", title, &[
                reader.pick("谁", "Who"),
                reader.pick("时间", "Time"),
                reader.pick("看了什么", "Looked at"),
                reader.pick("关于", "About"),
                reader.pick("看到的联系方式", "Contact shown"),
            ], &rows))
        }
        (parts_of_the_list(reader, view.next, what, first))
    };
    let page = Sheet {
        title,
        section: Section::Data,
        wide: true,
    };
    sheet(reader, &page, &main)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn look(by: &str, what: &str, form: Option<&str>, parcel: &str) -> Value {
        json!({ "at": "2017-06-01T00:00:00+08:00", "by": by, "what": what,
            "parcels": [parcel], "merchant": null, "contactForm": form })
    }

    fn page(items: &[Value], next: Option<u64>, what: Option<LookKind>) -> String {
        let view = json!({ "items": items, "next": next });
        let view: LooksView = serde_json::from_value(view).unwrap();
        let reader = Reader::in_tests(Language::English);
        looks_page(&reader, &view, what, true).into_string()
    }

    #[test]
    fn calls_that_are_alike_are_one_row_and_no_look_is_folded() {
        let call = |by, parcel| look(by, "call", Some("full"), parcel);
        let seen = || look("an", "parcel", None, "sf/SF1000000000001");
        let items = [
            call("exchange", "sf/SF1000000000001"),
            seen(),
            call("exchange", "sf/SF1000000000001"),
            call("exchange", "sf/SF1000000000002"),
            call("another", "sf/SF1000000000001"),
            seen(),
        ];
        let text = page(&items, None, None);
        assert_eq!(text.matches("<th scope=\"row\">").count(), 5, "{text}");
        assert_eq!(text.matches("2 times on this page").count(), 1);
        assert_eq!(text.matches(">an</th>").count(), 2);
    }

    #[test]
    fn the_lead_says_what_was_seen_and_that_calls_are_no_looks() {
        let people = Some(LookKind::People);
        let parcel = "sf/SF1000000000001";
        let masked = look("an", "parcel", Some("masked"), parcel);
        let full = look("an", "round", Some("full"), parcel);
        let phone = look("an", "phone", Some("full"), parcel);
        let call = look("exchange", "call", Some("full"), parcel);
        let nobody = "Nobody on this page saw a phone in clear.";
        for (items, what, says) in [
            (vec![masked.clone()], people, nobody),
            (vec![masked.clone(), call.clone()], None, nobody),
            (
                vec![full.clone()],
                people,
                "One look on this page showed the full number",
            ),
            (
                vec![full.clone(), full.clone()],
                people,
                "2 looks on this page showed the full number",
            ),
            (vec![phone.clone()], people, "One phone was seen in clear"),
            (vec![phone, full], people, "One phone was seen in clear"),
            (
                vec![call.clone()],
                Some(LookKind::Call),
                "They are no looks of people.",
            ),
        ] {
            let text = page(&items, None, what);
            assert!(text.contains(says), "`{says}` is not in {text}");
            assert_eq!(text.contains(nobody), says == nobody, "{text}");
        }
        assert!(page(&[], None, people).contains("are listed apart."));
        assert!(page(&[], None, None).contains("are among them."));
    }

    #[test]
    fn the_filter_is_kept_on_the_way_and_an_empty_stretch_is_not_the_end() {
        for (what, name) in [(None, "all"), (Some(LookKind::Phone), "phone")] {
            let text = page(&[], Some(7), what);
            assert!(text.contains(&format!("/console/looks?what={name}&amp;before=7")));
            assert!(text.contains(&format!("<option value=\"{name}\" selected>")));
        }
        let text = page(&[], Some(7), Some(LookKind::Phone));
        assert!(text.contains("were not gone through yet"), "{text}");
        assert!(!text.contains("No person has looked"));
    }
}
