//! Does anything need me now?

use maud::{Markup, html};
use serde::Deserialize;

use super::frame::{Reader, Section, Sheet, sheet};
use super::parts::{headline, state};
use super::values::{Instant, grouped};
use crate::pages::Language;
use crate::pages::layout::Tone;

/// Of `GET /status`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OverviewView {
    parcels: u64,
    deposits_under_way: u64,
    messages_waiting: u64,
    releases: u64,
    alerts: u64,
    not_compared: Vec<String>,
    rolled_back_at: Option<Instant>,
}

/// The page.
pub fn overview_page(reader: &Reader<'_>, view: &OverviewView) -> Markup {
    let title = reader.pick("概览", "Overview");
    let quiet = view.not_compared.is_empty();
    let (tone, lead) = match quiet {
        true => (
            Tone::Good,
            reader.pick("节点运行正常。", "The node runs as it should."),
        ),
        false => (
            Tone::Soon,
            reader.pick(
                "与部分伙伴的记录尚未比对，暂不向其签发任何内容。",
                "The logs were not compared with every partner yet: nothing is signed toward those.",
            ),
        ),
    };
    let fact = |label: &str, number: u64| {
        html! { div { dt { (label) } dd { (grouped(number)) } } }
    };
    let main = html! {
        (headline(tone, title, &html! { (lead) }))
        @if let Some(at) = view.rolled_back_at {
            p {
                (state(Tone::Soon, match reader.language {
                    Language::Chinese => "本节点曾从备份恢复",
                    Language::English => "This node was restored",
                }))
                " " span.instant { (reader.language.instant(at.0, at.1)) }
            }
        }
        dl.facts {
            (fact(reader.pick("包裹", "Parcels"), view.parcels))
            (fact(reader.pick("柜中或投柜中", "In lockers"), view.deposits_under_way))
            (fact(reader.pick("待发送的消息", "Messages waiting"), view.messages_waiting))
            (fact(reader.pick("提供的数据项", "Items released"), view.releases))
            (fact(reader.pick("提醒", "Alerts"), view.alerts))
        }
    };
    let page = Sheet {
        title,
        section: Section::Overview,
        wide: true,
    };
    sheet(reader, &page, &main)
}
