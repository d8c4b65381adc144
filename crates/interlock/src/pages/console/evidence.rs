//! Do both copies agree?

use maud::{Markup, html};
use serde::Deserialize;

use super::frame::{Reader, Section, Sheet, sheet};
use super::parts::{empty, facts, headline, siblings, state, table};
use super::stretch::{others, stretch};
use super::values::{Names, grouped};
use super::verdict::Checked;
use crate::identity::url::segment;
use crate::pages::Language;
use crate::pages::layout::Tone;

/// Most partners on a page.
const SHOWN_MAX: usize = 100;

/// `GET /evidence`.
#[derive(Debug, Deserialize)]
pub struct LogsView {
    items: Vec<LogsOf>,
}

#[derive(Debug, Deserialize)]
struct LogsOf {
    partner: String,
    ours: Ours,
    theirs: Theirs,
}

#[derive(Debug, Deserialize)]
struct Ours {
    epoch: u64,
    leaves: u64,
    root: String,
    receipted: u64,
}

#[derive(Debug, Deserialize)]
struct Theirs {
    epoch: Option<u64>,
    leaves: u64,
    receipted: u64,
    checkpoint: Option<String>,
}

/// Pages about evidence.
pub(super) fn family(reader: &Reader<'_>) -> Markup {
    siblings(
        reader,
        &[
            ("/console/evidence", reader.pick("双方记录", "Both logs")),
            (
                "/console/evidence/files",
                reader.pick("核验文件", "Verify files"),
            ),
        ],
    )
}

/// The list.
// tidy: long, one page from top to bottom
pub fn evidence_page(reader: &Reader<'_>, view: &LogsView, names: &Names) -> Markup {
    let title = reader.pick("证据", "Evidence");
    let waiting = view
        .items
        .iter()
        .filter(|l| l.ours.receipted < l.ours.leaves);
    let waiting = waiting.count();
    let (tone, lead) = match (view.items.is_empty(), waiting) {
        (true, _) => (
            Tone::Unknown,
            reader.pick("还没有双方记录。", "There are no logs yet."),
        ),
        (false, 0) => (
            Tone::Good,
            reader.pick(
                "所有伙伴都已回执到我方最新一条。",
                "Every partner has receipted our newest entry.",
            ),
        ),
        (false, _) => (
            Tone::Waiting,
            reader.pick(
                "部分伙伴尚未回执最新记录。",
                "Some partners have not receipted our newest entries yet.",
            ),
        ),
    };
    let rows = html! {
        @for logs in stretch(reader, &view.items, SHOWN_MAX) {
            tr {
                th scope="row" { a href={ "/console/evidence/" (segment(&logs.partner)) } { (names.of(&logs.partner)) } }
                td.number { (grouped(logs.ours.leaves)) }
                td.number { (grouped(logs.ours.receipted)) }
                td.number { (grouped(logs.theirs.leaves)) }
                td {
                    @if logs.ours.receipted < logs.ours.leaves {
                        (state(Tone::Waiting, reader.pick("等待回执", "receipt awaited")))
                    } @else {
                        (state(Tone::Good, reader.pick("已回执", "receipted")))
                    }
                }
            }
        }
    };
    let main = html! {
        (family(reader))
        (headline(tone, title, &html! { (lead) }))
        p {
            (reader.pick(
                "这里只说明记录的进度；是否属实请逐个核验。",
                "This says how far the logs are; whether they hold is checked one by one.",
            ))
        }
        @if view.items.is_empty() {
            (empty(reader.pick(
                "与伙伴交换的每一次请求、提供、拒绝都会记入双方记录。",
                "Every request, release and denial between a partner and us goes into both logs.",
            )))
        } @else {
            (table("logs", reader.pick("双方记录", "Both logs"), &[
                reader.pick("伙伴", "Partner"),
                reader.pick("我方记录", "Our entries"),
                reader.pick("对方已回执", "Receipted by them"),
                reader.pick("对方记录", "Their entries, mirrored"),
                reader.pick("状态", "State"),
            ], &rows))
            (others(reader, view.items.len(), SHOWN_MAX))
        }
    };
    sheet(
        reader,
        &Sheet {
            title,
            section: Section::Evidence,
            wide: true,
        },
        &main,
    )
}

/// The logs with one partner, and what a check found; `None` if there are none.
pub fn evidence_of_page(
    reader: &Reader<'_>,
    partner: &str,
    view: &LogsView,
    names: &Names,
    checked: Option<&Checked>,
) -> Option<Markup> {
    let logs = view.items.iter().find(|logs| logs.partner == partner);
    let name = names.of(partner);
    let Some(logs) = logs else {
        return names.knows(partner).then(|| no_logs(reader, name));
    };
    let title = match reader.language {
        Language::Chinese => format!("与{name}的记录"),
        Language::English => format!("Logs with {name}"),
    };
    let (tone, lead) = verdict(reader, checked);
    let entries = |n: u64| html! { (grouped(n)) };
    let main = html! {
        (family(reader))
        (headline(tone, &title, &html! { (lead) }))
        @if let Some(checked) = checked { (checked.body(reader, names)) }
        form method="post" action={ "/console/evidence/" (segment(partner)) "/verify" } {
            (reader.mark())
            button type="submit" { (reader.pick("立即核验", "Verify now")) }
        }
        h2 { (reader.pick("我方记录", "Our log")) }
        (facts(&[
            (reader.pick("条目", "Entries"), entries(logs.ours.leaves)),
            (reader.pick("对方已回执到", "Receipted by them up to"), entries(logs.ours.receipted)),
            (reader.pick("世代", "Epoch"), html! { (logs.ours.epoch) }),
            (reader.pick("根", "Root"), html! { code { (logs.ours.root) } }),
        ]))
        h2 { (reader.pick("对方记录（我方镜像）", "Their log (our mirror)")) }
        (facts(&[
            (reader.pick("条目", "Entries"), entries(logs.theirs.leaves)),
            (reader.pick("我方已回执到", "Receipted by us up to"), entries(logs.theirs.receipted)),
            (reader.pick("世代", "Epoch"), html! { (logs.theirs.epoch.map_or_else(String::new, |e| e.to_string())) }),
        ]))
        @if let Some(note) = &logs.theirs.checkpoint {
            h2 { (reader.pick("对方签名的检查点", "Their signed checkpoint")) }
            pre tabindex="0" { code { (note) } }
        }
        h2 { (reader.pick("离线核验", "Verify offline")) }
        p { (reader.pick("无需运行节点，也无需信任任何一方：", "Without a running node, and trusting neither side:")) }
        pre tabindex="0" { code {
            "interlock evidence export --partner " (partner) " --out evidence.json\ninterlock evidence verify evidence.json"
        } }
    };
    let page = Sheet {
        title: &title,
        section: Section::Evidence,
        wide: true,
    };
    Some(sheet(reader, &page, &main))
}

/// A partner with whom nothing was exchanged.
fn no_logs(reader: &Reader<'_>, name: &str) -> Markup {
    let title = match reader.language {
        Language::Chinese => format!("与{name}的记录"),
        Language::English => format!("Logs with {name}"),
    };
    let lead = reader.pick("没有可核验的内容。", "There is nothing to verify.");
    let main = html! {
        (headline(Tone::Unknown, &title, &html! { (lead) }))
        (empty(reader.pick(
            "双方签署第一份协议后，这里会有双方记录。",
            "Both logs begin when the first agreement with them is signed.",
        )))
    };
    let page = Sheet {
        title: &title,
        section: Section::Evidence,
        wide: true,
    };
    sheet(reader, &page, &main)
}

fn verdict(reader: &Reader<'_>, checked: Option<&Checked>) -> (Tone, &'static str) {
    checked.map_or_else(
        || {
            let text = reader.pick(
                "本页打开后尚未核验。",
                "Not checked since this page was opened.",
            );
            (Tone::Unknown, text)
        },
        |checked| checked.lead(reader),
    )
}
