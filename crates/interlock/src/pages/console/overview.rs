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
use crate::pages::Language;
use crate::pages::layout::Tone;

/// Most things on the list of what is needed, the most urgent.
const NEEDS_SHOWN_MAX: usize = 100;

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

fn needs(reader: &Reader<'_>, view: &OverviewView, names: &Names) -> Vec<Need> {
    let mut needs = Vec::new();
    for proposal in &view.proposals.proposals {
        needs.push(Need {
            by: proposal.answer_by(),
            tone: Tone::Waiting,
            what: proposal.line(reader, names),
            path: proposal.path(),
            act: reader.pick("决定", "Decide"),
        });
    }
    for mediation in view.mediations.mediations.iter().filter(|m| m.waits()) {
        needs.push(Need {
            by: Some(mediation.answer_by()),
            tone: Tone::Waiting,
            what: mediation.line(reader, names),
            path: mediation.path(),
            act: reader.pick("决定", "Decide"),
        });
    }
    for agreement in view.agreements.agreements.iter().filter(|a| a.is_open()) {
        let soon = agreement.ends_at.0.since_ms(reader.as_of) < SOON_MS;
        let suspended = agreement.state == "SUSPENDED";
        if soon || suspended {
            let (tone, word) = words::agreement_state(reader, &agreement.state);
            needs.push(Need {
                by: Some(agreement.ends_at),
                tone: if suspended { tone } else { Tone::Soon },
                what: format!(
                    "{} · {} · {word}",
                    names.of(&agreement.partner),
                    words::dataset(reader, &agreement.dataset)
                ),
                path: agreement.path(),
                act: reader.pick("续约或演练", "Renew or rehearse"),
            });
        }
    }
    for feed in view.status.feeds.iter().filter(|feed| feed.held() > 0) {
        needs.push(Need {
            by: feed.oldest_held(),
            tone: Tone::Soon,
            what: match reader.language {
                Language::Chinese => format!(
                    "{} · {}：{} 条滞留，没有协议可依",
                    names.of(feed.to()),
                    words::dataset(reader, feed.dataset()),
                    grouped(feed.held())
                ),
                Language::English => format!(
                    "{} · {}: {} items held, no agreement covers them",
                    names.of(feed.to()),
                    words::dataset(reader, feed.dataset()),
                    grouped(feed.held())
                ),
            },
            path: "/console/feeds".into(),
            act: reader.pick("查看", "Look"),
        });
    }
    needs.sort_by_key(|need| need.by.map_or(i64::MAX, |by| by.0.as_millis()));
    needs
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
                td { @if let Some(by) = need.by { (left(reader, by)) } }
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
        let rows = html! {
            @for (reason, number) in counts.iter().take(NEEDS_SHOWN_MAX) {
                tr { th scope="row" { code { (reason) } } td.number { (grouped(*number)) } }
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
