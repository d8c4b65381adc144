//! Does the buyer have it?

use maud::{Markup, html};
use serde::Deserialize;

use super::agreements::left;
use super::frame::{Reader, Section, Sheet, sheet};
use super::parcels::step;
use super::parts::{empty, headline, state, table, when};
use super::values::{Instant, grouped};
use crate::pages::Language;
use crate::pages::layout::Tone;

/// A merchant's parcels.
#[derive(Debug, Deserialize)]
pub struct ShopView {
    items: Vec<SoldView>,
    /// From which the list goes on.
    next: Option<String>,
    ends: Vec<EndView>,
}

/// An end of agreements that touches the merchant's parcels.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndView {
    partner_name: String,
    ends_at: Instant,
    /// How many; `None` if that is not known.
    parcels: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SoldView {
    carrier: String,
    number: String,
    state: String,
    state_at: Option<Instant>,
    stale: Vec<StaleView>,
    tracking: String,
}

#[derive(Debug, Deserialize)]
struct StaleView {
    source: String,
    since: Instant,
    reason: String,
}

/// States that a merchant can choose from.
const STATES: [&str; 12] = [
    "announced",
    "accepted",
    "arrived",
    "departed",
    "out-for-delivery",
    "deposited",
    "picked-up",
    "delivered",
    "delivery-failed",
    "overdue",
    "recalled",
    "redirected",
];

/// Whether it is a state to choose.
pub fn is_state(text: &str) -> bool {
    STATES.contains(&text)
}

fn why(reader: &Reader<'_>, sold: &SoldView) -> Option<String> {
    let stale = sold.stale.first()?;
    let at = reader.language.instant(stale.since.0, stale.since.1);
    Some(match (stale.reason.as_str(), reader.language) {
        ("no-agreement", Language::Chinese) => {
            format!("自 {at}起无有效协议，{}信息暂停更新", stale.source)
        }
        ("no-agreement", Language::English) => {
            format!(
                "no {} updates since {at}: no agreement is in force",
                stale.source
            )
        }
        ("suspended", Language::Chinese) => {
            format!("自 {at}起协议已暂停，{}信息暂停更新", stale.source)
        }
        ("suspended", Language::English) => {
            format!(
                "no {} updates since {at}: the agreement is suspended",
                stale.source
            )
        }
        (_, Language::Chinese) => format!("自 {at}起联系不上{}", stale.source),
        (_, Language::English) => format!("{} has not been reached since {at}", stale.source),
    })
}

/// What is about to end, and what that means for the merchant's buyers.
fn ahead(reader: &Reader<'_>, end: &EndView) -> String {
    let at = reader.language.instant(end.ends_at.0, end.ends_at.1);
    let (left, name) = (left(reader, end.ends_at), &end.partner_name);
    match (end.parcels, reader.language) {
        (Some(n), Language::Chinese) => format!(
            "与{name}的协议将于 {at}到期（{left}），尚无后续协议，涉及您的 {} 件包裹：此后状态可能停止更新，\
             快递柜可能不再投放。",
            grouped(n)
        ),
        (Some(n), Language::English) => format!(
            "The agreement with {name} ends {left}, {at}, and nothing follows it yet. It touches {} of \
             your parcels: after it their states may stand still, and lockers may not take them.",
            grouped(n)
        ),
        (None, Language::Chinese) => format!(
            "与{name}的协议将于 {at}到期（{left}），尚无后续协议，可能涉及您的包裹：此后状态可能停止更新，\
             快递柜可能不再投放。"
        ),
        (None, Language::English) => format!(
            "The agreement with {name} ends {left}, {at}, and nothing follows it yet. It may touch your \
             parcels: after it their states may stand still, and lockers may not take them."
        ),
    }
}

/// The address of a list that is narrowed to a state and begins behind a parcel.
fn address(path: &str, chosen: &str, from: Option<&str>) -> String {
    let state = (!chosen.is_empty()).then(|| format!("state={chosen}"));
    let from = from.map(|from| format!("before={from}"));
    let query: Vec<String> = state.into_iter().chain(from).collect();
    match query.is_empty() {
        true => path.into(),
        false => format!("{path}?{}", query.join("&")),
    }
}

/// The list from the parcel behind `from` on, from the newest if there is none.
// tidy: long, one page from top to bottom
pub fn merchant_page(
    reader: &Reader<'_>,
    view: &ShopView,
    chosen: &str,
    from: Option<&str>,
) -> Markup {
    let title = reader.pick("我的包裹", "Your parcels");
    let stale = view.items.iter().filter(|sold| !sold.stale.is_empty());
    let (all, stale) = (view.items.len() as u64, stale.count() as u64);
    let goes_on = view.next.is_some();
    let (tone, lead) = match (all, stale, reader.language) {
        (0, _, Language::Chinese) if goes_on => (
            Tone::Unknown,
            "此段中没有符合条件的包裹，还有更早的。".to_owned(),
        ),
        (0, _, Language::English) if goes_on => (
            Tone::Unknown,
            "None of these parcels fits; there are older ones.".to_owned(),
        ),
        (0, _, Language::Chinese) => (Tone::Unknown, "没有符合条件的包裹。".to_owned()),
        (0, _, Language::English) => (Tone::Unknown, "No parcel fits.".to_owned()),
        (n, 0, Language::Chinese) => (
            Tone::Good,
            format!("显示 {} 件，状态均为最新。", grouped(n)),
        ),
        (n, 0, Language::English) => (
            Tone::Good,
            format!("{} parcels, all up to date.", grouped(n)),
        ),
        (n, s, Language::Chinese) => (
            Tone::Soon,
            format!(
                "显示 {} 件，其中 {} 件的信息不是最新。",
                grouped(n),
                grouped(s)
            ),
        ),
        (n, s, Language::English) => (
            Tone::Soon,
            format!(
                "{} parcels; {} of them are not up to date.",
                grouped(n),
                grouped(s)
            ),
        ),
    };
    let rows = html! {
        @for sold in &view.items {
            @let (tone, word) = step(reader, &sold.state);
            tr {
                th scope="row" { code { (sold.carrier) "/" (sold.number) } }
                td { (state(tone, word)) }
                td { @if let Some(at) = sold.state_at { (when(reader, at)) } }
                td.text[!sold.stale.is_empty()] { @if let Some(why) = why(reader, sold) { (state(Tone::Soon, &why)) } }
                td { a href=(sold.tracking) { (reader.pick("买家链接", "Buyer's link")) } }
            }
        }
    };
    let csv = address("/merchant.csv", chosen, from);
    let main = html! {
        (headline(tone, title, &html! { (lead) }))
        @for end in &view.ends {
            p.notice.soon { (Tone::Soon.shape()) (ahead(reader, end)) }
        }
        form.filters method="get" action="/merchant" aria-label=(reader.pick("筛选", "Filter")) {
            div.field {
                label for="state" { (reader.pick("状态", "State")) }
                select #state name="state" {
                    option value="" { (reader.pick("全部", "all")) }
                    @for code in STATES {
                        option value=(code) selected[code == chosen] { (step(reader, code).1) }
                    }
                }
            }
            button type="submit" { (reader.pick("筛选", "Filter")) }
        }
        @if view.items.is_empty() && !goes_on {
            (empty(reader.pick(
                "平台登记您的包裹后会显示在这里。",
                "Your parcels appear here once the platform has announced them.",
            )))
        } @else if !view.items.is_empty() {
            p {
                a href=(csv) download {
                    (reader.pick("下载 CSV（由此往前最多 500 件）", "Download as CSV (up to 500, from these on)"))
                }
            }
            (table("parcels", title, &[
                reader.pick("运单", "Waybill"),
                reader.pick("最近已知", "Last known"),
                reader.pick("时间", "When"),
                reader.pick("为何不是最新", "Why it may be old"),
                reader.pick("买家", "Buyer"),
            ], &rows))
        }
        @if let Some(next) = &view.next {
            p {
                a href=(address("/merchant", chosen, Some(next))) {
                    (reader.pick("更早的包裹", "Older parcels"))
                }
            }
        }
        @if from.is_some() {
            p { a href=(address("/merchant", chosen, None)) { (reader.pick("最新的包裹", "Newest parcels")) } }
        }
    };
    sheet(
        reader,
        &Sheet {
            title,
            section: Section::Merchant,
            wide: true,
        },
        &main,
    )
}

/// The same as CSV (RFC 4180), in UTF-8 with a mark that spreadsheets know it by. A value that a
/// spreadsheet would take for a formula is quoted.
pub fn merchant_csv(reader: &Reader<'_>, view: &ShopView) -> String {
    let mut out =
        String::from("\u{feff}carrier,number,state,state_at,stale_since,stale_reason,tracking\r\n");
    for sold in &view.items {
        let stale = sold.stale.first();
        let at = |at: Option<Instant>| at.map_or_else(String::new, |at| at.0.to_rfc3339(at.1));
        let row = [
            sold.carrier.clone(),
            sold.number.clone(),
            sold.state.clone(),
            at(sold.state_at),
            at(stale.map(|stale| stale.since)),
            why(reader, sold).unwrap_or_default(),
            sold.tracking.clone(),
        ];
        let cells: Vec<String> = row.iter().map(|cell| csv_cell(cell)).collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    out
}

fn csv_cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula {
        format!("'{text}")
    } else {
        text.into()
    };
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_no_formula() {
        for (cell, written) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "'=1+1"),
            ("@SUM(A1),2", "\"'@SUM(A1),2\""),
        ] {
            assert_eq!(csv_cell(cell), written);
        }
    }
}
