//! How much is exchanged: whole weeks, in tens.

use std::collections::BTreeMap;

use interlock_core::statistics::Fact;
use maud::{Markup, html};
use serde::Deserialize;

use super::feeds::family;
use super::frame::{Reader, Section, Sheet, sheet};
use super::parts::{empty, headline, table};
use super::stretch::{others, stretch};
use super::values::{Instant, grouped};
use crate::pages::Language;
use crate::pages::layout::Tone;

/// Weeks on a page.
const SHOWN_MAX: usize = 8;

/// `GET /statistics`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatisticsView {
    items: Vec<WeekView>,
    fewer_than: u64,
}

#[derive(Debug, Deserialize)]
struct WeekView {
    from: Instant,
    facts: BTreeMap<String, Option<u64>>,
}

/// What a fact is called.
const fn fact_word(reader: &Reader<'_>, fact: Fact) -> &'static str {
    match fact {
        Fact::Deposited => reader.pick("投柜", "deposited"),
        Fact::DepositRefused => reader.pick("拒绝投柜", "deposits refused"),
        Fact::PickedUp => reader.pick("取件", "picked up"),
        Fact::MessageSent => reader.pick("已通知收件人", "recipients told"),
        Fact::ContactReleased => reader.pick("提供联系方式", "contacts released"),
        Fact::EventReleased => reader.pick("提供事件", "events released"),
        Fact::EventReceived => reader.pick("收到事件", "events received"),
        Fact::DeniedByTerm => reader.pick("因期限拒绝", "denied: term"),
        Fact::DeniedByQuota => reader.pick("因配额拒绝", "denied: quota"),
        Fact::DeniedByReason => reader.pick("因用途或证据拒绝", "denied: purpose or evidence"),
        Fact::DeniedUnknown => reader.pick("因包裹未知拒绝", "denied: unknown parcel"),
        Fact::DeniedByConsent => reader.pick("因收件人意愿拒绝", "denied: recipient's wish"),
        Fact::DeniedOther => reader.pick("因其他原因拒绝", "denied: other"),
    }
}

/// The page.
pub fn statistics_page(reader: &Reader<'_>, view: &StatisticsView) -> Markup {
    let title = reader.pick("统计", "Statistics");
    let min = view.fewer_than;
    let lead = match (view.items.len(), reader.language) {
        (0, _) => reader
            .pick("还没有整周的数据。", "No week is over yet.")
            .to_owned(),
        (n, Language::Chinese) => format!("{n} 周的数据，每周结束后公布，此后不再改变。"),
        (1, Language::English) => {
            "One week; it was published when it was over and never changes.".into()
        }
        (n, Language::English) => {
            format!("{n} weeks; each was published when it was over and never changes.")
        }
    };
    let weeks = stretch(reader, &view.items, SHOWN_MAX);
    let heads: Vec<String> = weeks
        .iter()
        .map(|week| {
            let text = reader.language.instant(week.from.0, week.from.1);
            text.split(' ').next().unwrap_or_default().to_owned()
        })
        .collect();
    let mut columns = vec![reader.pick("每周（自此日起，UTC）", "Week from (UTC)")];
    columns.extend(heads.iter().map(String::as_str));
    let few = match reader.language {
        Language::Chinese => format!("少于 {min}"),
        Language::English => format!("fewer than {min}"),
    };
    let rows = html! {
        @for fact in Fact::ALL {
            tr {
                th scope="row" { (fact_word(reader, fact)) }
                @for week in weeks {
                    td.number {
                        @match week.facts.get(fact.as_str()).copied().flatten() {
                            Some(count) => (grouped(count)),
                            None => span.muted { (few) },
                        }
                    }
                }
            }
        }
    };
    let main = html! {
        (family(reader))
        (headline(Tone::Unknown, title, &html! { (lead) }))
        p {
            (reader.pick(
                "数字向下取整到十位；不按伙伴、平台、网点或日期细分，也没有合计，以免推算出个人或竞争对手的数量。",
                "Counts are rounded down to tens. There is no breakdown by partner, marketplace, station or day and no total, so that nobody's own count can be had from them.",
            ))
        }
        @if view.items.is_empty() {
            (empty(reader.pick(
                "一周结束后（UTC 周一零点）显示在这里。",
                "A week is shown here when it is over, on Monday 00:00 UTC.",
            )))
        } @else {
            (table("statistics", title, &columns, &rows))
            (others(reader, view.items.len(), SHOWN_MAX))
        }
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
    use serde_json::json;

    use super::*;

    fn page(language: Language, weeks: usize) -> String {
        let week = |nth: usize| {
            json!({ "from": format!("2017-0{}-05T00:00:00Z", nth % 9 + 1),
                "until": "2017-06-12T00:00:00Z",
                "facts": { "deposited": 12_340, "pickedUp": null } })
        };
        let items: Vec<_> = (0..weeks).map(week).collect();
        let view = json!({ "items": items, "fewerThan": 10 });
        let view: StatisticsView = serde_json::from_value(view).unwrap();
        let reader = Reader {
            here: "/console/statistics",
            ..Reader::in_tests(language)
        };
        statistics_page(&reader, &view).into_string()
    }

    #[test]
    fn what_is_small_or_not_there_is_fewer_than_ten_and_never_zero() {
        let text = page(Language::English, 1);
        assert!(
            text.contains("12,340") && text.contains("2017-01-05"),
            "{text}"
        );
        assert_eq!(text.matches("fewer than 10").count(), Fact::ALL.len() - 1);
        assert!(!text.contains(">0<"), "{text}");
        let text = page(Language::Chinese, 1);
        assert_eq!(text.matches("少于 10").count(), Fact::ALL.len() - 1);
        assert!(page(Language::English, 0).contains("No week is over yet."));
        let many = page(Language::English, 30);
        assert_eq!(many.matches("12,340").count(), SHOWN_MAX);
        assert!(many.contains("1 to 8 of 30"), "{many}");
    }
}
