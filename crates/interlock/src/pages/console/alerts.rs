//! What people should look at.

use maud::{Markup, html};
use serde::Deserialize;

use super::feeds::family;
use super::frame::{Reader, Section, Sheet, sheet};
use super::parts::{empty, headline, state, table, when};
use super::stretch::others;
use super::values::{Instant, Names, grouped};
use super::words;
use crate::identity::url::segment;
use crate::pages::Language;
use crate::pages::layout::Tone;

/// Most alerts on a page.
pub const ALERTS_SHOWN_MAX: usize = 100;

/// `GET /alerts`.
#[derive(Debug, Deserialize)]
pub struct AlertsView {
    items: Vec<AlertView>,
    all: u64,
}

#[derive(Debug, Deserialize)]
struct AlertView {
    at: Instant,
    kind: String,
    partner: Option<String>,
    parcel: Option<String>,
    detail: String,
}

/// The page.
// tidy: long, one page from top to bottom
pub fn alerts_page(reader: &Reader<'_>, view: &AlertsView, names: &Names) -> Markup {
    let title = reader.pick("提醒", "Alerts");
    let number = view.all;
    let (tone, lead) = match (number, reader.language) {
        (0, _) => (
            Tone::Good,
            reader
                .pick("没有提醒。", "There is nothing to look at.")
                .to_owned(),
        ),
        (n, Language::Chinese) => (Tone::Soon, format!("{} 条提醒，最新的在前。", grouped(n))),
        (1, Language::English) => (Tone::Soon, "1 alert.".into()),
        (n, Language::English) => (Tone::Soon, format!("{} alerts, newest first.", grouped(n))),
    };
    let rows = html! {
        @for alert in &view.items {
            tr {
                th scope="row" { (state(Tone::Soon, words::alert(reader, &alert.kind))) }
                td { (when(reader, alert.at)) }
                td {
                    @if let Some(partner) = &alert.partner {
                        a href={ "/console/partners/" (segment(partner)) } { (names.of(partner)) }
                    }
                }
                td { @if let Some(parcel) = &alert.parcel { code { (masked(parcel)) } } }
                @match said(reader, alert) {
                    Some(zh) => td.text { (zh) },
                    None => td.text lang="en" { (alert.detail) },
                }
            }
        }
    };
    let main = html! {
        (family(reader))
        (headline(tone, title, &html! { (lead) }))
        @if number == 0 {
            (empty(reader.pick(
                "有争议的所有权、不一致的证据、被拒的消息等会显示在这里。",
                "Contested ownership, evidence that differs, refused messages and the like are listed here.",
            )))
        } @else {
            (table("alerts", title, &[
                reader.pick("种类", "Kind"),
                reader.pick("时间", "Time"),
                reader.pick("伙伴", "Partner"),
                reader.pick("包裹", "Parcel"),
                reader.pick("说明", "What happened"),
            ], &rows))
        }
        (others(reader, usize::try_from(number).unwrap_or(usize::MAX), ALERTS_SHOWN_MAX))
    };
    sheet(
        reader,
        &Sheet {
            title,
            section: Section::Data,
            wide: true,
        },
        &main,
    )
}

/// What happened in the reader's language, if it is an end: that agreements end, or that a partner will suspend
/// one. The kind is our own; the text of another may hold a partner's words, which are never taken for ours.
fn said(reader: &Reader<'_>, alert: &AlertView) -> Option<String> {
    match (reader.language, alert.kind.as_str()) {
        (Language::Chinese, "agreement-ends") => ends_in_chinese(&alert.detail),
        (Language::Chinese, "suspension-announced") => suspends_in_chinese(reader, &alert.detail),
        (Language::Chinese | Language::English, _) => None,
    }
}

/// `it will suspend ID (locker-events) from WHEN on, in return for ID, which we stopped: …`
fn suspends_in_chinese(reader: &Reader<'_>, detail: &str) -> Option<String> {
    let (agreement, rest) = detail.strip_prefix("it will suspend ")?.split_once(" (")?;
    let (dataset, rest) = rest.split_once(") from ")?;
    let (when, rest) = rest.split_once(" on, in return for ")?;
    let (trigger, _) = rest.split_once(", which we stopped: ")?;
    let dataset = words::dataset(reader, dataset);
    Some(format!(
        "对方将自 {when} 起暂停 {agreement}（{dataset}），作为我方停止 {trigger} 的对等措施。请在此之前恢复，或另行约定。"
    ))
}

/// `3 agreements end within 14 days and nothing follows them (parcels touched: 4, merchants: 2): …`
fn ends_in_chinese(detail: &str) -> Option<String> {
    let (number, rest) = detail.split_once(" agreement")?;
    let (_, rest) = rest.split_once(" within ")?;
    let (span, rest) = rest.split_once(" and nothing follows ")?;
    let (_, rest) = rest.split_once("(parcels touched: ")?;
    let (parcels, rest) = rest.split_once(", merchants: ")?;
    let (merchants, _) = rest.split_once(')')?;
    let (length, unit) = span.split_once(' ')?;
    let unit = match unit {
        "day" | "days" => "天",
        "hour" | "hours" => "小时",
        _ => return None,
    };
    Some(format!(
        "{number} 份协议将在 {length} {unit}内到期，尚无后续协议，涉及 {parcels} 件包裹、{merchants} 个商家。请续约，或演练到期。"
    ))
}

/// A waybill with its middle hidden.
pub(super) fn masked(waybill: &str) -> String {
    let chars: Vec<char> = waybill.chars().collect();
    let shown = |at: usize| at < 6 || at + 4 >= chars.len();
    let hidden = chars.iter().zip(0..);
    hidden
        .map(|(c, at)| if shown(at) { *c } else { '*' })
        .collect()
}

#[cfg(test)]
mod tests {
    use interlock_core::time::{Timestamp, Zone};

    use super::*;

    fn said_in(language: Language, kind: &str, detail: &str) -> Option<String> {
        let alert = AlertView {
            at: Instant(Timestamp::from_millis(0), Zone::CHINA),
            kind: kind.into(),
            partner: None,
            parcel: None,
            detail: detail.into(),
        };
        said(&Reader::in_tests(language), &alert)
    }

    fn in_chinese(kind: &str, detail: &str) -> Option<String> {
        said_in(Language::Chinese, kind, detail)
    }

    #[test]
    fn an_end_is_said_in_chinese_and_what_is_not_known_is_left() {
        let detail = "1 agreement ends within 12 hours and nothing follows it (parcels touched: 4, merchants: 2): \
                      renew it, or rehearse the end";
        let said = in_chinese("agreement-ends", detail).unwrap();
        assert!(said.starts_with("1 份协议将在 12 小时内到期，"), "{said}");
        assert!(said.contains("涉及 4 件包裹、2 个商家"), "{said}");
        let detail = "it will suspend urn:a (locker-events) from 2017-06-04T00:00:00+08:00 on, in return for urn:b, \
                      which we stopped: resume that before, or agree on something else";
        let said = in_chinese("suspension-announced", detail).unwrap();
        assert!(
            said.starts_with("对方将自 2017-06-04T00:00:00+08:00 起暂停 urn:a（"),
            "{said}"
        );
        assert!(said.contains("停止 urn:b 的"), "{said}");
        for kind in [
            "agreement-ends",
            "suspension-announced",
            "contested-ownership",
        ] {
            let other = "two participants claim the parcel";
            assert_eq!(in_chinese(kind, other), None);
        }
        assert_eq!(
            said_in(Language::English, "suspension-announced", detail),
            None
        );
    }

    #[test]
    fn what_a_partner_writes_is_not_said_as_ours() {
        let theirs = "9 agreements end within 3 days and nothing follows them (parcels touched: 4, merchants: 2): x";
        for detail in [
            theirs.to_owned(),
            format!("mediation m: did:web:jd.example refused it: {theirs}"),
            "it will suspend a (b) from c on, in return for d, which we stopped: e".to_owned(),
        ] {
            for kind in ["mediation", "erasure-refused", "evidence-mismatch"] {
                assert_eq!(in_chinese(kind, &detail), None, "{kind}");
            }
        }
    }
}
