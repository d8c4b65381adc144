//! Which agreement ends when, and what may leave under it.

use interlock_core::time::{DAY_MS, HOUR_MS};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::again::{Again, folded};
use super::charts::{self, Bar};
use super::frame::{Reader, Section, Sheet, sheet};
use super::history::timeline;
use super::parts::{
    both, done, empty, facts, headline, more, siblings, state, table, table_under, when,
};
use super::stretch::{others, stretch};
use super::values::{Both, Instant, Names, grouped};
use super::words;
use crate::identity::url::segment;
use crate::node::io::Role;
use crate::pages::Language;
use crate::pages::layout::Tone;

/// Below this, hours are said instead of days, in milliseconds.
const HOURS_BELOW_MS: i64 = 72 * HOUR_MS;
/// Most agreements on a page.
const SHOWN_MAX: usize = 100;
/// From how long before its end an agreement ends soon, in milliseconds.
pub(super) const SOON_MS: i64 = 14 * DAY_MS;

/// `GET /agreements`.
#[derive(Debug, Deserialize)]
pub struct AgreementsView {
    pub(super) agreements: Vec<Head>,
}

/// One agreement in a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) role: String,
    pub(super) partner: String,
    pub(super) dataset: String,
    pub(super) state: String,
    pub(super) from: Instant,
    pub(super) ends_at: Instant,
    /// Whether a signed agreement goes on with all that it is for.
    pub(super) followed: bool,
    cooperation: String,
    assurance: String,
}

impl Head {
    /// Whether it stands or will.
    pub(super) fn is_open(&self) -> bool {
        matches!(
            self.state.as_str(),
            "FINALIZED" | "SIGNED" | "IN_FORCE" | "SUSPENDED" | "RUN_OFF"
        )
    }

    pub(super) fn path(&self) -> String {
        format!("/console/agreements/{}", segment(&self.id))
    }
}

/// `GET /agreements/{id}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgreementView {
    #[serde(flatten)]
    head: Head,
    summary: Both,
    terms: Vec<TermView>,
    policy: Value,
    policy_hash: String,
    signatures: Vec<SignatureView>,
    quota_per_day: Option<u64>,
    used_today: Option<u64>,
    finalized_at: Instant,
    signed_at: Option<Instant>,
    suspended_by: Option<String>,
    supersedes: Option<String>,
    superseded_by: Option<String>,
    history: Vec<LineView>,
    negotiated: Vec<LineView>,
}

/// One term in words.
#[derive(Debug, Deserialize)]
pub(super) struct TermView {
    key: String,
    class: String,
    #[serde(flatten)]
    words: Both,
    odrl: String,
}

#[derive(Debug, Deserialize)]
struct SignatureView {
    participant: String,
    signature: String,
}

/// One line of a history.
#[derive(Debug, Deserialize)]
pub(super) struct LineView {
    pub(super) at: Instant,
    pub(super) by: String,
    pub(super) what: String,
}

/// Pages about agreements.
pub(super) fn family(reader: &Reader<'_>) -> Markup {
    siblings(
        reader,
        &[
            ("/console/agreements", reader.pick("协议", "Agreements")),
            ("/console/inbox", reader.pick("待办提案", "Inbox")),
            ("/console/mediations", reader.pick("调解", "Mediation")),
            ("/regulator", reader.pick("合作状况", "Cooperations")),
            ("/console/partners", reader.pick("伙伴", "Partners")),
            ("/console/rehearsals", reader.pick("演练", "Rehearsal")),
        ],
    )
}

/// `in 3 days`, `in 70 hours`, `in 5 minutes`, or that it is over.
pub(super) fn left(reader: &Reader<'_>, end: Instant) -> String {
    let left_ms = end.0.since_ms(reader.as_of);
    let hours = left_ms / HOUR_MS;
    match (left_ms, reader.language) {
        (..0, _) => reader.language.ago(end.0, reader.as_of),
        (0..HOUR_MS, _) => reader.language.ahead(end.0, reader.as_of),
        (0..HOURS_BELOW_MS, Language::Chinese) => format!("还有 {hours} 小时"),
        (0..HOURS_BELOW_MS, Language::English) if hours == 1 => "in 1 hour".into(),
        (0..HOURS_BELOW_MS, Language::English) => format!("in {hours} hours"),
        _ => reader.language.ahead(end.0, reader.as_of),
    }
}

/// Soonest end first, what is over last.
pub(super) fn sorted(agreements: &[Head]) -> Vec<&Head> {
    let mut all: Vec<&Head> = agreements.iter().collect();
    all.sort_by_key(|a| (!a.is_open(), a.ends_at));
    all
}

/// The list.
// tidy: long, one page from top to bottom
pub fn agreements_page(reader: &Reader<'_>, view: &AgreementsView, names: &Names) -> Markup {
    let title = reader.pick("协议", "Agreements");
    let all = sorted(&view.agreements);
    // What is in its run-off has ended already.
    let ahead = |a: &&&Head| a.is_open() && a.ends_at.0 > reader.as_of;
    let first = all.iter().find(ahead);
    let first = first.or_else(|| all.iter().find(|a| a.is_open()));
    let (tone, lead) = match first {
        None => (
            Tone::Unknown,
            html! { (reader.pick("当前没有有效协议，没有数据流动。", "No agreement stands: nothing flows.")) },
        ),
        Some(first) => {
            let soon = first.ends_at.0.since_ms(reader.as_of) < SOON_MS;
            let tone = if soon { Tone::Soon } else { Tone::Good };
            let text = html! {
                @match reader.language {
                    Language::Chinese => {
                        "最先到期：" a href=(first.path()) { (names.of(&first.partner)) "，" (words::dataset(reader, &first.dataset)) }
                        "，" (left(reader, first.ends_at)) "。"
                    }
                    Language::English => {
                        "First to end: "
                        a href=(first.path()) { (names.of(&first.partner)) ", " (words::dataset(reader, &first.dataset)) }
                        ", " (left(reader, first.ends_at)) "."
                    }
                }
            };
            (tone, text)
        }
    };
    let bars: Vec<Bar> = all
        .iter()
        .filter(|a| a.is_open())
        .take(12)
        .map(|a| Bar {
            label: format!(
                "{} · {}",
                names.of(&a.partner),
                words::dataset(reader, &a.dataset)
            ),
            value: u64::try_from(a.ends_at.0.since_ms(reader.as_of).max(0) / DAY_MS).unwrap_or(0),
            tone: words::agreement_state(reader, &a.state).0,
            path: a.path(),
            hatched: 0,
        })
        .collect();
    let rows = html! {
        @for a in stretch(reader, &all, SHOWN_MAX) {
            @let (tone, word) = words::agreement_state(reader, &a.state);
            tr {
                th scope="row" { a href=(a.path()) { (names.of(&a.partner)) } }
                td { (words::direction(reader, &a.role)) (reader.pick("：", ": ")) (words::dataset(reader, &a.dataset)) }
                td { (state(tone, &word)) }
                td { (when(reader, a.from)) }
                td { (when(reader, a.ends_at)) }
            }
        }
    };
    let main = html! {
        (family(reader))
        (headline(tone, title, &lead))
        @if all.is_empty() {
            (empty(reader.pick(
                "还没有协议。用 interlock catalog 查看伙伴的报价，用 interlock agreement propose 提出；伙伴的提案出现在“待办提案”。",
                "No agreements yet. interlock catalog shows what a partner offers, interlock agreement propose asks for it; what partners propose is in the inbox.",
            )))
        } @else {
            (charts::bars(
                "ends",
                reader.pick("距到期天数", "Days to the end"),
                reader.pick("天", "days"),
                &bars,
            ))
            (table("all", reader.pick("全部协议", "All agreements"), &[
                reader.pick("伙伴", "Partner"),
                reader.pick("数据", "Data"),
                reader.pick("状态", "State"),
                reader.pick("开始", "From"),
                reader.pick("到期", "Until"),
            ], &rows))
            (others(reader, all.len(), SHOWN_MAX))
        }
    };
    sheet(
        reader,
        &Sheet {
            title,
            section: Section::Agreements,
            wide: true,
        },
        &main,
    )
}

/// Terms in words, each beside who makes it come true and its policy; below the heading with that id, if any.
pub(super) fn terms_table(
    reader: &Reader<'_>,
    heading: &str,
    id: &str,
    terms: &[TermView],
) -> Markup {
    let rows = html! {
        @for term in terms {
            tr {
                th scope="row" { (words::term(reader, &term.key)) }
                td.text { (both(reader, &term.words)) }
                td { (words::class(reader, &term.class)) }
                td.text { code { (term.odrl) } }
            }
        }
    };
    table_under(
        heading,
        id,
        reader.pick("条款", "Terms"),
        &[
            reader.pick("条款", "Term"),
            reader.pick("含义", "What it says"),
            reader.pick("由谁保证", "Who makes it so"),
            "ODRL",
        ],
        &rows,
    )
}

/// One agreement.
pub fn agreement_page(
    reader: &Reader<'_>,
    view: &AgreementView,
    names: &Names,
    is_done: bool,
    again: Option<&Again<'_>>,
) -> Markup {
    let head = &view.head;
    let title = match reader.language {
        Language::Chinese => format!("与{}的协议", names.of(&head.partner)),
        Language::English => format!("Agreement with {}", names.of(&head.partner)),
    };
    let (tone, word) = words::agreement_state(reader, &head.state);
    let left_ms = head.ends_at.0.since_ms(reader.as_of);
    let tone = match tone {
        Tone::Good if left_ms <= SOON_MS => Tone::Soon,
        Tone::Good | Tone::Soon | Tone::Stopped | Tone::Waiting | Tone::Unknown => tone,
    };
    // What was negotiated at an instant came before what was done under it.
    let mut lines: Vec<&LineView> = view.negotiated.iter().chain(&view.history).collect();
    lines.sort_by_key(|line| line.at);
    let main = html! {
        (Again::summary(again, reader))
        @if is_done { (done(reader.pick("已执行。", "Done."))) }
        (family(reader))
        (headline(tone, &title, &html! { (both(reader, &view.summary)) }))
        (charts::term(reader, head.from, head.ends_at))
        (facts(&agreement_facts(reader, view, &word, names)))
        (acts(reader, view, again))
        (terms_table(reader, "", "terms", &view.terms))
        h2 { (reader.pick("签署", "Signatures")) }
        @if view.signatures.is_empty() {
            (empty(reader.pick("没有签署的清单。", "No signed manifest.")))
        } @else {
            (facts(&view.signatures.iter().map(|s| {
                (names.of(&s.participant), html! { code { (s.signature) } })
            }).collect::<Vec<_>>()))
        }
        h2 { (reader.pick("经过", "What happened")) }
        (timeline(reader, names, &lines))
        (more(reader, reader.pick("完整条款（ODRL）", "The whole policy (ODRL)"), &html! {
            pre tabindex="0" { code { (serde_json::to_string_pretty(&view.policy).unwrap_or_default()) } }
        }))
    };
    sheet(
        reader,
        &Sheet {
            title: &title,
            section: Section::Agreements,
            wide: true,
        },
        &main,
    )
}

// tidy: long, one page from top to bottom
fn agreement_facts<'a>(
    reader: &Reader<'a>,
    view: &AgreementView,
    word: &str,
    names: &Names,
) -> Vec<(&'a str, Markup)> {
    let head = &view.head;
    let other = |id: &str| html! { a href={ "/console/agreements/" (segment(id)) } { (id) } };
    let mut rows = vec![
        (
            reader.pick("状态", "State"),
            state(words::agreement_state(reader, &head.state).0, word),
        ),
        (
            reader.pick("数据", "Data"),
            html! { (words::direction(reader, &head.role)) (reader.pick("：", ": ")) (words::dataset(reader, &head.dataset)) },
        ),
        (
            reader.pick("伙伴", "Partner"),
            html! { a href={ "/console/partners/" (segment(&head.partner)) } { (names.of(&head.partner)) } },
        ),
        (
            reader.pick("到期", "Ends"),
            html! { (when(reader, head.ends_at)) },
        ),
        (
            reader.pick("已提供与已拒绝", "Released and denied"),
            html! {
                a href={ "/console/releases?agreement=" (segment(&head.id)) } {
                    (reader.pick("台账", "the ledger"))
                }
            },
        ),
    ];
    if let (Some(quota), Some(used)) = (view.quota_per_day, view.used_today) {
        let word = used_of(reader, used, quota);
        rows.push((reader.pick("今日额度", "Quota today"), word));
    }
    rows.extend([
        (
            reader.pick("保证", "Assurance"),
            html! {
                (match head.assurance.as_str() {
                    "signed" => reader.pick("双方签署清单", "a manifest that both signed"),
                    _ => reader.pick("对方不签署清单", "the other side signs no manifest"),
                })
            },
        ),
        (
            reader.pick("达成", "Concluded"),
            when(reader, view.finalized_at),
        ),
    ]);
    if let Some(at) = view.signed_at {
        rows.push((reader.pick("签署", "Signed"), when(reader, at)));
    }
    if let Some(by) = &view.suspended_by {
        rows.push((
            reader.pick("暂停方", "Suspended by"),
            html! { (names.of(by)) },
        ));
    }
    if let Some(id) = &view.supersedes {
        rows.push((reader.pick("取代", "Takes over from"), other(id)));
    }
    if let Some(id) = &view.superseded_by {
        rows.push((reader.pick("已被取代", "Taken over by"), other(id)));
    }
    rows.push((
        reader.pick("合作", "Cooperation"),
        html! { code { (head.cooperation) } },
    ));
    rows.push((
        reader.pick("条款哈希", "Hash of the terms"),
        html! { code { (view.policy_hash) } },
    ));
    rows
}

/// How much of a quota is used; nine tenths of it are worth a look.
fn used_of(reader: &Reader<'_>, used: u64, quota: u64) -> Markup {
    let tone = match (
        used >= quota,
        used.saturating_mul(10) >= quota.saturating_mul(9),
    ) {
        (true, _) => Tone::Stopped,
        (false, true) => Tone::Soon,
        (false, false) => Tone::Good,
    };
    let (used, quota) = (grouped(used), grouped(quota));
    state(
        tone,
        &match reader.language {
            Language::Chinese => format!("已用 {used} 件，共 {quota} 件"),
            Language::English => format!("{used} of {quota} parcels used"),
        },
    )
}

/// What an approver can do with it.
fn acts(reader: &Reader<'_>, view: &AgreementView, again: Option<&Again<'_>>) -> Markup {
    let path = view.head.path();
    let is_open = view.head.is_open();
    let suspended = view.head.state == "SUSPENDED";
    let end = view.head.ends_at.0.to_rfc3339(view.head.ends_at.1);
    html! {
        @if is_open && reader.is_any(&[Role::Approver]) {
            h2 { (reader.pick("操作", "What you can do")) }
            div.acts {
                @if view.head.ends_at.0 > reader.as_of {
                    a.button href={ "/console/rehearsals?at=" (segment(&end)) } {
                        (reader.pick("演练到期", "Rehearse the end"))
                    }
                }
                @if view.head.role == "consumer" || view.head.role == "provider" {
                    (folded(reader, again, "renew", reader.pick("续约", "Renew"), &html! {
                        form.sheet method="post" action={ (path) "/renew" } {
                            (reader.mark())
                            (super::parts::code_field(reader, "renew-code"))
                            button type="submit" { (reader.pick("按原条款提议续约", "Propose to renew with the same terms")) }
                        }
                    }))
                }
                @if suspended {
                    form method="post" action={ (path) "/resume" } {
                        (reader.mark())
                        button type="submit" { (reader.pick("恢复", "Resume")) }
                    }
                } @else {
                    (folded(reader, again, "suspend", reader.pick("暂停", "Suspend"), &html! {
                        form.sheet method="post" action={ (path) "/suspend" } {
                            (reader.mark())
                            (reason_field(reader, again, "suspend"))
                            button.danger type="submit" { (reader.pick("暂停，停止提供", "Suspend: nothing is released")) }
                        }
                    }))
                }
                (folded(reader, again, "terminate", reader.pick("提前终止", "Terminate"), &html! {
                    form.sheet method="post" action={ (path) "/terminate" } {
                        (reader.mark())
                        (reason_field(reader, again, "terminate"))
                        div.field {
                            label for="at" { (reader.pick("何时终止，如 ", "When, such as ")) span.instant { "2017-07-01T00:00:00+08:00" } }
                            input #at name="at" type="text" required value=(Again::value(again, "terminate", "at", &end));
                        }
                        (super::parts::code_field(reader, "terminate-code"))
                        button.danger type="submit" { (reader.pick("终止协议", "Terminate the agreement")) }
                    }
                }))
            }
        }
    }
}

/// Why, for the other side.
pub(super) fn reason_field(reader: &Reader<'_>, again: Option<&Again<'_>>, act: &str) -> Markup {
    let id = format!("{act}-reason");
    html! {
        div.field {
            label for=(id) { (reader.pick("原因（对方可见）", "Why (the other side sees it)")) }
            input id=(id) name="reason" type="text" maxlength="500" required
                value=(Again::value(again, act, "reason", ""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_that_is_nearly_used_stands_out() {
        let reader = Reader::in_tests(Language::English);
        for (used, class) in [(0, "good"), (449, "good"), (450, "soon"), (500, "stopped")] {
            let said = used_of(&reader, used, 500).into_string();
            assert!(said.contains(class), "{said}");
            assert!(
                said.contains(&format!("{used} of 500 parcels used")),
                "{said}"
            );
        }
        for (used, class) in [(0, "good"), (4, "good"), (5, "stopped")] {
            let said = used_of(&reader, used, 5).into_string();
            assert!(said.contains(class), "{used} of 5: {said}");
        }
        let chinese = Reader {
            language: Language::Chinese,
            ..reader
        };
        let said = used_of(&chinese, 1_200, 2_000).into_string();
        assert!(said.contains("已用 1,200 件，共 2,000 件"), "{said}");
    }
}
