//! Does anything need me now?

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde::Deserialize;

use super::agreements::{AgreementsView, SOON_MS, left};
use super::feeds::FeedView;
use super::frame::{Reader, Section, Sheet, sheet};
use super::inbox::ProposalsView;
use super::mediations::MediationsView;
use super::parts::{count, empty, headline, siblings, state, table};
use super::values::{Instant, Names, grouped};
use super::words;
use crate::identity::url::segment;
use crate::pages::Language;
use crate::pages::layout::Tone;

/// Most things on the list of what is needed, the most urgent.
const NEEDS_SHOWN_MAX: usize = 100;
/// Most partners on the overview; the rest are on a page of their own.
const PARTNERS_SHOWN_MAX: usize = 20;

/// Of `GET /status`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusView {
    parcels: u64,
    deposits: u64,
    deposits_under_way: u64,
    deposits_refused: BTreeMap<String, u64>,
    picked_up: u64,
    messages_sent: u64,
    messages_waiting: u64,
    events_accepted: u64,
    events_received: u64,
    events_duplicate: u64,
    events_out_of_order: u64,
    releases: u64,
    denials: BTreeMap<String, u64>,
    alerts: u64,
    not_compared: Vec<String>,
    rolled_back_at: Option<Instant>,
    feeds: Vec<FeedView>,
}

impl StatusView {
    /// Every feed that we give.
    pub fn feeds(&self) -> &[FeedView] {
        &self.feeds
    }
}

/// Everything of the overview.
pub struct OverviewView {
    /// How the node is.
    pub status: StatusView,
    /// Agreements.
    pub agreements: AgreementsView,
    /// What waits for a decision.
    pub proposals: ProposalsView,
    /// What regulators propose.
    pub mediations: MediationsView,
}

/// Something that needs somebody.
struct Need {
    by: Option<Instant>,
    /// The same in words.
    when: String,
    tone: Tone,
    what: String,
    path: String,
    act: &'static str,
}

/// Pages of the overview.
fn family(reader: &Reader<'_>) -> Markup {
    siblings(
        reader,
        &[
            ("/console", reader.pick("概览", "Overview")),
            ("/console/health", reader.pick("运行状况", "Health")),
        ],
    )
}

/// What has begun already, with how long ago.
fn since(reader: &Reader<'_>, zh: (&str, &str), en: &str, at: Instant) -> String {
    let ago = reader.language.ago(at.0, reader.as_of);
    match reader.language {
        Language::Chinese => format!("{} {ago}{}", zh.0, zh.1),
        Language::English => format!("{en} {ago}"),
    }
}

// tidy: long, one kind of need after the other
fn needs(reader: &Reader<'_>, view: &OverviewView, names: &Names) -> Vec<Need> {
    let mut needs = Vec::new();
    for proposal in &view.proposals.proposals {
        needs.push(Need {
            by: proposal.answer_by(),
            when: proposal
                .answer_by()
                .map_or_else(String::new, |by| left(reader, by)),
            tone: Tone::Waiting,
            what: proposal.line(reader, names),
            path: proposal.path(),
            act: reader.pick("决定", "Decide"),
        });
    }
    for mediation in view.mediations.mediations.iter().filter(|m| m.waits()) {
        needs.push(Need {
            by: Some(mediation.answer_by()),
            when: left(reader, mediation.answer_by()),
            tone: Tone::Waiting,
            what: mediation.line(reader, names),
            path: mediation.path(),
            act: reader.pick("决定", "Decide"),
        });
    }
    for agreement in view.agreements.agreements.iter().filter(|a| a.is_open()) {
        let soon = agreement.ends_at.0.since_ms(reader.as_of) < SOON_MS;
        let suspended = agreement.state == "SUSPENDED";
        let is_over = agreement.ends_at.0 <= reader.as_of;
        let settled = agreement.followed && (is_over || !suspended);
        if (soon || suspended) && !settled {
            let (tone, word) = words::agreement_state(reader, &agreement.state);
            needs.push(Need {
                by: Some(agreement.ends_at),
                when: match is_over {
                    true => since(reader, ("已于", "到期"), "ended", agreement.ends_at),
                    false => left(reader, agreement.ends_at),
                },
                tone: if suspended { tone } else { Tone::Soon },
                what: format!(
                    "{} · {}{}{} · {word}",
                    names.of(&agreement.partner),
                    words::direction(reader, &agreement.role),
                    reader.pick("：", ": "),
                    words::dataset(reader, &agreement.dataset)
                ),
                path: agreement.path(),
                act: match is_over {
                    true => reader.pick("续约", "Renew"),
                    false => reader.pick("续约或演练", "Renew or rehearse"),
                },
            });
        }
    }
    for feed in view.status.feeds.iter().filter(|feed| feed.held() > 0) {
        needs.push(Need {
            by: feed.oldest_held(),
            when: feed.oldest_held().map_or_else(String::new, |at| {
                since(reader, ("最早", ""), "the oldest", at)
            }),
            tone: Tone::Soon,
            what: match reader.language {
                Language::Chinese => format!(
                    "{} · 我方提供：{}：{} 条滞留，没有协议可依",
                    names.of(feed.to()),
                    words::dataset(reader, feed.dataset()),
                    grouped(feed.held())
                ),
                Language::English => format!(
                    "{} · we give: {}: {} held, no agreement covers {}",
                    names.of(feed.to()),
                    words::dataset(reader, feed.dataset()),
                    items(feed.held()),
                    if feed.held() == 1 { "it" } else { "them" }
                ),
            },
            path: "/console/feeds".into(),
            act: reader.pick("查看", "Look"),
        });
    }
    needs.sort_by_key(|need| need.by.map_or(i64::MAX, |by| by.0.as_millis()));
    needs
}

/// `1 item`, `2 items`.
pub(super) fn items(number: u64) -> String {
    let word = if number == 1 { "item" } else { "items" };
    format!("{} {word}", grouped(number))
}

/// The page.
// tidy: long, one page from top to bottom
pub fn overview_page(reader: &Reader<'_>, view: &OverviewView, names: &Names) -> Markup {
    let title = reader.pick("概览", "Overview");
    let needs = needs(reader, view, names);
    let status = &view.status;
    let (tone, lead) = match (needs.len(), status.alerts, reader.language) {
        (0, 0, _) => (
            Tone::Good,
            reader
                .pick("没有需要您处理的事项。", "Nothing needs you now.")
                .to_owned(),
        ),
        (0, n, Language::Chinese) => (
            Tone::Soon,
            format!("没有到期事项；有 {} 条提醒。", grouped(n)),
        ),
        (0, 1, Language::English) => (Tone::Soon, "Nothing is due; there is 1 alert.".into()),
        (0, n, Language::English) => (
            Tone::Soon,
            format!("Nothing is due; there are {} alerts.", grouped(n)),
        ),
        (n, _, Language::Chinese) => (Tone::Soon, format!("有 {n} 件事需要处理，最急的在前。")),
        (1, _, Language::English) => (Tone::Soon, "1 thing needs you.".into()),
        (n, _, Language::English) => (
            Tone::Soon,
            format!("{n} things need you, the most urgent first."),
        ),
    };
    let rows = html! {
        @for need in needs.iter().take(NEEDS_SHOWN_MAX) {
            tr {
                th scope="row" { (state(need.tone, &need.what)) }
                td { (need.when) }
                td { a href=(need.path) { (need.act) } }
            }
        }
    };
    let denials: u64 = status.denials.values().sum();
    let main = html! {
        (family(reader))
        (headline(tone, title, &html! { (lead) }))
        @if !status.not_compared.is_empty() {
            p.notice.soon {
                (Tone::Soon.shape())
                (reader.pick("与以下伙伴的记录尚未比对，暂不向其签发：", "Not compared yet with these partners; nothing is signed toward them: "))
                @for (id, at) in status.not_compared.iter().zip(0..) {
                    @if at > 0 { (reader.pick("、", ", ")) }
                    (names.of(id))
                }
            }
        }
        @if needs.is_empty() {
            (empty(reader.pick(
                "提案、即将到期的协议和滞留的数据会按期限列在这里。",
                "Proposals, agreements about to end and data that is held are listed here by deadline.",
            )))
        } @else {
            (table("needs", reader.pick("需要您处理", "Needs you"), &[
                reader.pick("事项", "What"),
                reader.pick("期限", "By when"),
                reader.pick("下一步", "Next step"),
            ], &rows))
        }
        (partners(reader, view, names))
        h2 { (reader.pick("数字", "In numbers")) }
        dl.facts {
            div { dt { (reader.pick("提供的数据项", "Items released")) } dd { (count(status.releases, "/console/releases?outcome=released")) } }
            div { dt { (reader.pick("拒绝", "Denials")) } dd { (count(denials, "/console/releases?outcome=denied")) } }
            div { dt { (reader.pick("提醒", "Alerts")) } dd { (count(status.alerts, "/console/alerts")) } }
            div { dt { (reader.pick("包裹", "Parcels")) } dd { (count(status.parcels, "/console/parcels")) } }
            div { dt { (reader.pick("柜中或投柜中", "In lockers now")) } dd { (count(status.deposits_under_way, "/console/stations")) } }
        }
    };
    sheet(
        reader,
        &Sheet {
            title,
            section: Section::Overview,
            wide: true,
        },
        &main,
    )
}

/// What runs between us and each partner.
fn partners(reader: &Reader<'_>, view: &OverviewView, names: &Names) -> Markup {
    let open = || view.agreements.agreements.iter().filter(|a| a.is_open());
    let number =
        |id: &str, role: &str| open().filter(|a| a.partner == id && a.role == role).count();
    let waiting = |id: &str| {
        let feeds = view.status.feeds.iter().filter(|feed| feed.to() == id);
        feeds.map(FeedView::waiting).sum::<u64>()
    };
    // What is in its run-off has ended already.
    let first_end = |id: &str| {
        let ends = open().filter(|a| a.partner == id).map(|a| a.ends_at);
        ends.filter(|end| end.0 > reader.as_of).min()
    };
    let rows = html! {
        @for (id, name) in names.all().take(PARTNERS_SHOWN_MAX) {
            tr {
                th scope="row" { a href={ "/console/partners/" (segment(id)) } { (name) } }
                td { @if let Some(end) = first_end(id) { (left(reader, end)) } }
                td.number { (number(id, "provider")) }
                td.number { (number(id, "consumer")) }
                td.number { (count(waiting(id), "/console/feeds")) }
            }
        }
    };
    html! {
        @if names.all().next().is_some() {
            (table("partners", reader.pick("伙伴", "Partners"), &[
                reader.pick("伙伴", "Partner"),
                reader.pick("最先到期", "First to end"),
                reader.pick("我方提供（协议数）", "We give (agreements)"),
                reader.pick("我方获得（协议数）", "We get (agreements)"),
                reader.pick("待送", "Waiting"),
            ], &rows))
            @if names.all().nth(PARTNERS_SHOWN_MAX).is_some() {
                p { a href="/console/partners" { (reader.pick("全部伙伴", "All partners")) } }
            }
        }
    }
}

/// How the node runs.
// tidy: long, one page from top to bottom
pub fn health_page(reader: &Reader<'_>, status: &StatusView, names: &Names) -> Markup {
    let title = reader.pick("运行状况", "Health");
    let quiet = status.not_compared.is_empty();
    let (tone, lead) = match quiet {
        true => (
            Tone::Good,
            reader.pick(
                "节点运行正常，与所有伙伴的记录已比对。",
                "The node runs, and its logs were compared with every partner.",
            ),
        ),
        false => (
            Tone::Soon,
            reader.pick(
                "节点运行；与部分伙伴的记录尚未比对。",
                "The node runs; logs with some partners are not compared yet.",
            ),
        ),
    };
    let figures = [
        (reader.pick("投柜", "Deposits"), status.deposits),
        (reader.pick("已取件", "Picked up"), status.picked_up),
        (
            reader.pick("已发消息", "Messages sent"),
            status.messages_sent,
        ),
        (
            reader.pick("待发消息", "Messages waiting"),
            status.messages_waiting,
        ),
        (
            reader.pick("本方事件", "Events of our own"),
            status.events_accepted,
        ),
        (
            reader.pick("收到的事件", "Events received"),
            status.events_received,
        ),
        (
            reader.pick("重复（已剔除）", "Repeats kept out"),
            status.events_duplicate,
        ),
        (
            reader.pick("乱序", "Out of order"),
            status.events_out_of_order,
        ),
    ];
    let by_reason = |id: &str, caption: &str, counts: &BTreeMap<String, u64>| {
        let word = |reason| match id {
            "denials" => words::denied(reader, reason),
            _ => words::refused(reader, reason),
        };
        let rows = html! {
            @for (reason, number) in counts.iter().take(NEEDS_SHOWN_MAX) {
                @let said = word(reason.as_str());
                tr {
                    th scope="row" { @if said != reason { (said) " " } code.muted { (reason) } }
                    td.number { (grouped(*number)) }
                }
            }
        };
        html! {
            @if !counts.is_empty() {
                (table(id, caption, &[reader.pick("原因", "Reason"), reader.pick("次数", "Times")], &rows))
            }
        }
    };
    let main = html! {
        (family(reader))
        (headline(tone, title, &html! { (lead) }))
        @if let Some(at) = status.rolled_back_at {
            p.notice.soon {
                (Tone::Soon.shape())
                (reader.pick("本节点的记录曾丢失末尾并已重建，时间：", "The end of this node's journal had been lost and was rebuilt at "))
                (reader.language.instant(at.0, at.1))
            }
        }
        @if !quiet {
            ul { @for id in &status.not_compared { li { (names.of(id)) } } }
        }
        dl.facts {
            @for (label, number) in figures { div { dt { (label) } dd { (grouped(number)) } } }
        }
        (by_reason("denials", reader.pick("按原因的拒绝", "Denials by reason"), &status.denials))
        (by_reason("refusals", reader.pick("按原因的未投柜", "Deposits refused, by reason"), &status.deposits_refused))
    };
    sheet(
        reader,
        &Sheet {
            title,
            section: Section::Overview,
            wide: false,
        },
        &main,
    )
}

#[cfg(test)]
mod tests {
    use interlock_core::time::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    const OVER: &str = "2017-06-01T00:00:00+08:00";
    const SOON: &str = "2017-06-03T12:00:00+08:00";

    fn view<T: serde::de::DeserializeOwned>(answer: Value) -> T {
        serde_json::from_value(answer).unwrap()
    }

    fn agreement(dataset: &str, state: &str, ends_at: &str, followed: bool) -> Value {
        json!({ "followed": followed,
            "id": format!("urn:{dataset}"), "role": "provider", "partner": "did:web:sf.example",
            "dataset": dataset, "state": state, "from": "2017-05-01T00:00:00+08:00",
            "endsAt": ends_at, "cooperation": "c", "assurance": "signed",
        })
    }

    fn page(language: Language) -> String {
        let lane = json!({ "ready": 2, "released": 0 });
        let status = json!({
            "parcels": 0, "deposits": 0, "depositsUnderWay": 0, "depositsRefused": {}, "pickedUp": 0,
            "messagesSent": 0, "messagesWaiting": 0, "eventsAccepted": 0, "eventsReceived": 0,
            "eventsDuplicate": 0, "eventsOutOfOrder": 0, "releases": 0, "denials": {}, "alerts": 0,
            "notCompared": [], "rolledBackAt": null,
            "feeds": [{
                "to": "did:web:sf.example", "dataset": "pre-advice", "live": lane, "backlog": lane,
                "held": 1, "dropped": 0, "oldestHeld": "2017-06-01T23:00:00+08:00",
            }],
        });
        let agreements = [
            agreement("tracking-events", "RUN_OFF", OVER, false),
            agreement("locker-events", "IN_FORCE", SOON, false),
            // What took its place is in force: nobody is needed.
            agreement("recipient-contact", "RUN_OFF", OVER, true),
            agreement(
                "recipient-contact",
                "IN_FORCE",
                "2017-07-01T00:00:00+08:00",
                false,
            ),
            // What takes its place is signed; of one that is suspended people are told all the same.
            agreement("locker-stations", "IN_FORCE", SOON, true),
            agreement("pickup-code", "SUSPENDED", SOON, true),
        ];
        let view = OverviewView {
            status: view(status),
            agreements: view(json!({ "agreements": agreements })),
            proposals: view(json!({ "proposals": [] })),
            mediations: view(json!({ "mediations": [] })),
        };
        let (as_of, _) = Timestamp::parse_zoned("2017-06-02T00:00:00+08:00").unwrap();
        let reader = Reader {
            as_of,
            ..Reader::in_tests(language)
        };
        let names = Names::new([("did:web:sf.example".into(), "SF".into())]);
        overview_page(&reader, &view, &names).into_string()
    }

    #[test]
    fn each_need_says_who_gives_and_what_is_over_is_not_rehearsed() {
        let says = page(Language::English);
        for said in [
            "SF · we give: tracking events · in run-off",
            "ended 1 day ago",
            ">Renew<",
            "SF · we give: locker events · in force",
            "in 36 hours",
            ">Renew or rehearse<",
            "1 item held, no agreement covers it",
            "the oldest 1 hour ago",
        ] {
            assert!(says.contains(said), "{said}: {says}");
        }
        assert!(says.contains("SF · we give: pick-up code"), "{says}");
        assert!(says.contains("4 things need you"), "{says}");
        let says = page(Language::Chinese);
        assert!(says.contains("已于 1 天前到期"), "{says}");
        assert!(says.contains("最早 1 小时前"), "{says}");
    }

    #[test]
    fn each_partner_stands_there_with_what_runs_and_waits() {
        let says = page(Language::English);
        let (_, row) = says.split_once("id=\"partners\"").unwrap();
        let row = row.split("<tbody>").nth(1).unwrap();
        let row = row.split("</tbody>").next().unwrap();
        assert!(row.contains("SF</a>"), "{row}");
        assert!(
            row.contains("<td class=\"number\">6</td><td class=\"number\">0</td>"),
            "{row}"
        );
        // What ended already is no end to come.
        assert!(row.contains("<td>in 36 hours</td>"), "{row}");
        assert!(row.contains(">5</a>"), "{row}");
    }
}
