//! What does a regulator propose, and what has each party said?

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::again::{Again, folded};
use super::agreements::{LineView, TermView, family, left, reason_field, terms_table};
use super::frame::{Reader, Section, Sheet, sheet};
use super::history::timeline;
use super::inbox::{ChangeView, changes_table, pretty, summary_of};
use super::parts::{Waiting, code_field, empty, facts, headline, more, state, table, when};
use super::stretch::{others, stretch};
use super::values::{Instant, Names};
use super::words;
use crate::identity::url::segment;
use crate::node::io::{Problem, Role};
use crate::pages::Language;
use crate::pages::layout::Tone;

/// Most mediations on a page.
const SHOWN_MAX: usize = 100;

/// `GET /mediations`.
#[derive(Debug, Deserialize)]
pub struct MediationsView {
    pub(super) mediations: Vec<Head>,
}

/// A mediation in a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head {
    id: String,
    mediator: String,
    role: String,
    parties: Vec<String>,
    state: String,
    version: u64,
    cooperation: Option<String>,
    from: Option<Instant>,
    until: Option<Instant>,
    answer_by: Instant,
    note: String,
    answers: Vec<AnswerView>,
    waits_for_people: bool,
    approved_by: Vec<String>,
    in_force: bool,
}

#[derive(Debug, Deserialize)]
struct AnswerView {
    participant: String,
    answer: String,
    reason: Option<String>,
    #[serde(default)]
    changes: BTreeMap<String, Vec<ChangeView>>,
}

/// `GET /mediations/{id}`.
#[derive(Debug, Deserialize)]
pub struct MediationView {
    #[serde(flatten)]
    head: Head,
    agreements: Vec<MediatedView>,
    withdrawn: Option<String>,
    history: Vec<LineView>,
}

#[derive(Debug, Deserialize)]
struct MediatedView {
    id: String,
    provider: String,
    consumer: String,
    dataset: String,
    terms: Vec<TermView>,
    policy: Value,
}

impl Head {
    /// Whether people here are asked for something.
    pub(super) const fn waits(&self) -> bool {
        self.waits_for_people
    }

    /// Whether it is under way.
    pub(super) fn is_open(&self) -> bool {
        is_open(&self.state)
    }

    /// Until when.
    pub(super) const fn answer_by(&self) -> Instant {
        self.answer_by
    }

    /// Its page.
    pub(super) fn path(&self) -> String {
        format!("/console/mediations/{}", segment(&self.id))
    }

    /// Between whom, proposed by whom.
    pub(super) fn line(&self, reader: &Reader<'_>, names: &Names) -> String {
        let parties: Vec<&str> = self.parties.iter().map(|id| names.of(id)).collect();
        let mediator = names.of(&self.mediator);
        match reader.language {
            Language::Chinese => format!("{mediator}提议：{}", parties.join("与")),
            Language::English => format!("{mediator} proposes: {}", parties.join(" and ")),
        }
    }

    fn mediates(&self) -> bool {
        self.role == "mediator"
    }
}

/// The state of a mediation, with how it looks.
fn state_of(reader: &Reader<'_>, code: &str, in_force: bool) -> (Tone, String) {
    let (tone, zh, en) = match (code, in_force) {
        (_, true) => (Tone::Good, "已签署", "signed by both"),
        ("draft", _) => (Tone::Waiting, "待第二人批准", "waits for a second person"),
        ("proposed", _) => (Tone::Waiting, "等待答复", "waits for answers"),
        ("countered", _) => (Tone::Soon, "有还价", "countered"),
        ("accepted", _) => (Tone::Good, "双方已接受", "accepted by both"),
        ("refused", _) => (Tone::Stopped, "被拒绝", "refused"),
        ("withdrawn", _) => (Tone::Stopped, "已撤回", "withdrawn"),
        ("expired", _) => (Tone::Stopped, "逾期未答复", "expired"),
        (other, _) => return (Tone::Unknown, other.into()),
    };
    (tone, reader.pick(zh, en).into())
}

fn answer_of(reader: &Reader<'_>, code: &str) -> (Tone, String) {
    let (tone, zh, en) = match code {
        "none" => (Tone::Waiting, "尚未答复", "has not answered"),
        "accepted" => (Tone::Good, "已接受", "accepts"),
        "countered" => (Tone::Soon, "还价", "would accept other terms"),
        "refused" => (Tone::Stopped, "拒绝", "refuses"),
        other => return (Tone::Unknown, other.into()),
    };
    (tone, reader.pick(zh, en).into())
}

/// The list.
pub fn mediations_page(
    reader: &Reader<'_>,
    view: &MediationsView,
    names: &Names,
    trouble: Option<&Problem>,
    typed: &str,
) -> Markup {
    let title = reader.pick("调解", "Mediation");
    let titled = match trouble {
        Some(_) => reader.pick("出错：调解", "Error: Mediation"),
        None => title,
    };
    let waiting = Waiting {
        none: ("没有等待我方答复的调解。", "No mediation waits for us."),
        chinese: "项调解等待我方答复。",
        english: ("mediation waits for us.", "mediations wait for us."),
    };
    let number = view.mediations.iter().filter(|m| m.waits()).count();
    let (tone, lead) = waiting.lead(reader, number);
    let newest: Vec<&Head> = view.mediations.iter().rev().collect();
    let rows = html! {
        @for m in stretch(reader, &newest, SHOWN_MAX) {
            @let (tone, word) = state_of(reader, &m.state, m.in_force);
            tr {
                th scope="row" { a href=(m.path()) { (m.line(reader, names)) } }
                td { (state(tone, &word)) }
                td { @if let Some(until) = m.until { (when(reader, until)) } }
                td { (when(reader, m.answer_by)) }
            }
        }
    };
    let main = html! {
        @if let Some(trouble) = trouble { (summary_of(reader, trouble, "propose-code")) }
        (family(reader))
        (headline(tone, title, &html! { (lead) }))
        @if view.mediations.is_empty() {
            (empty(reader.pick(
                "监管部门可向双方提议有期限的临时合作；双方都接受后，几秒内生效。",
                "A regulator can propose a cooperation for a time to two others; once both accept, it is in \
                 force within seconds.",
            )))
        } @else {
            (table("mediations", title, &[
                reader.pick("提议", "Proposal"),
                reader.pick("状态", "State"),
                reader.pick("合作到期", "Would end"),
                reader.pick("答复期限", "Answer by"),
            ], &rows))
            (others(reader, newest.len(), SHOWN_MAX))
        }
        @if reader.is_any(&[Role::Approver]) { (propose(reader, typed, trouble.is_some())) }
    };
    let page = Sheet {
        title: titled,
        section: Section::Agreements,
        wide: true,
    };
    sheet(reader, &page, &main)
}

fn propose(reader: &Reader<'_>, typed: &str, open: bool) -> Markup {
    let form = html! {
        form.sheet method="post" action="/console/mediations" {
            (reader.mark())
            div.field {
                label for="mediation" {
                    (reader.pick(
                        "提议（JSON：agreements、note、answerBy；格式见本地接口说明）",
                        "Proposal (JSON: agreements, note, answerBy; its form is that of the local API)",
                    ))
                }
                textarea #mediation name="mediation" rows="16" spellcheck="false" required { (typed) }
            }
            (code_field(reader, "propose-code"))
            button type="submit" { (reader.pick("向双方提议", "Propose to both")) }
        }
    };
    html! {
        details open[open || reader.print] {
            summary { (reader.pick("作为监管部门提议", "Propose as a regulator")) }
            (form)
        }
    }
}

/// One mediation.
pub fn mediation_page(
    reader: &Reader<'_>,
    view: &MediationView,
    names: &Names,
    again: Option<&Again<'_>>,
) -> Markup {
    let head = &view.head;
    let title = head.line(reader, names);
    let titled = match again {
        Some(_) => format!("{}{title}", reader.pick("出错：", "Error: ")),
        None => title.clone(),
    };
    let lines: Vec<&LineView> = view.history.iter().collect();
    let (tone, lead) = lead(reader, view);
    let main = html! {
        (Again::summary(again, reader))
        (family(reader))
        (headline(tone, &title, &lead))
        (facts(&facts_of(reader, view)))
        (answers(reader, view, names))
        @for agreement in &view.agreements { (mediated(reader, agreement, names)) }
        @if head.waits() && reader.is_any(&[Role::Approver]) { (decide(reader, view, again)) }
        @if head.mediates() && is_open(&head.state) && reader.is_any(&[Role::Approver]) {
            (conduct(reader, head, names, again))
        }
        h2 { (reader.pick("经过", "What happened")) }
        (timeline(reader, names, &lines))
    };
    let page = Sheet {
        title: &titled,
        section: Section::Agreements,
        wide: true,
    };
    sheet(reader, &page, &main)
}

fn is_open(state: &str) -> bool {
    matches!(state, "proposed" | "countered" | "draft")
}

fn lead(reader: &Reader<'_>, view: &MediationView) -> (Tone, Markup) {
    let head = &view.head;
    if head.waits() && !head.mediates() {
        let by = left(reader, head.answer_by);
        let text = match reader.language {
            Language::Chinese => html! {
                "接受即由我方签署以下全部条款；双方都接受后几秒内生效。答复期限" (by) "。"
            },
            Language::English => html! {
                "Accepting signs all terms below for us; once both accept, they are in force within \
                 seconds. It has to be answered " (by) "."
            },
        };
        return (Tone::Waiting, text);
    }
    let (tone, word) = state_of(reader, &head.state, head.in_force);
    let text = match reader.language {
        Language::Chinese => html! { "状态：" (word) "。" },
        Language::English => html! { "State: " (word) "." },
    };
    (tone, text)
}

fn facts_of<'a>(reader: &Reader<'a>, view: &MediationView) -> Vec<(&'a str, Markup)> {
    let head = &view.head;
    let mut rows = Vec::new();
    for (name, at) in [
        (reader.pick("开始", "Begins"), head.from),
        (reader.pick("到期", "Ends"), head.until),
        (reader.pick("答复期限", "Answer by"), Some(head.answer_by)),
    ] {
        if let Some(at) = at {
            rows.push((name, when(reader, at)));
        }
    }
    rows.push((reader.pick("理由", "Why"), html! { (head.note) }));
    rows.push((reader.pick("版本", "Version"), html! { (head.version) }));
    if !head.approved_by.is_empty() {
        let people = head.approved_by.join(" · ");
        rows.push((reader.pick("我方批准", "Our approvals"), html! { (people) }));
    }
    if let Some(cooperation) = &head.cooperation {
        rows.push((
            reader.pick("合作", "Cooperation"),
            html! { code { (cooperation) } },
        ));
    }
    if let Some(why) = &view.withdrawn {
        rows.push((
            reader.pick("撤回原因", "Withdrawn because"),
            html! { (why) },
        ));
    }
    rows
}

fn answers(reader: &Reader<'_>, view: &MediationView, names: &Names) -> Markup {
    let rows = html! {
        @for answer in &view.head.answers {
            @let (tone, word) = answer_of(reader, &answer.answer);
            tr {
                th scope="row" { (names.of(&answer.participant)) }
                td { (state(tone, &word)) }
                td { (answer.reason.as_deref().unwrap_or("—")) }
            }
        }
    };
    let changes = view.head.answers.iter().flat_map(|answer| {
        let of = move |(id, changes)| (answer, id, changes);
        answer.changes.iter().map(of)
    });
    html! {
        (table("answers", reader.pick("双方答复", "What each has said"), &[
            reader.pick("一方", "Party"),
            reader.pick("答复", "Answer"),
            reader.pick("理由", "Why"),
        ], &rows))
        @for ((answer, id, changes), at) in changes.zip(0..) {
            @let agreement = view.agreements.iter().find(|agreement| agreement.id == *id);
            @if let Some(agreement) = agreement {
                @let heading = format!("changed-{at}");
                h3 id=(heading) { (names.of(&answer.participant)) (reader.pick("：", ": ")) (between(reader, agreement, names)) }
                (changes_table(reader, &heading, &format!("changes-{at}"), changes))
            }
        }
    }
}

/// `SF gives Cainiao: tracking events`.
fn between(reader: &Reader<'_>, agreement: &MediatedView, names: &Names) -> String {
    let provider = names.of(&agreement.provider);
    let consumer = names.of(&agreement.consumer);
    let dataset = words::dataset(reader, &agreement.dataset);
    match reader.language {
        Language::Chinese => format!("{provider}向{consumer}提供：{dataset}"),
        Language::English => format!("{provider} gives {consumer}: {dataset}"),
    }
}

fn mediated(reader: &Reader<'_>, agreement: &MediatedView, names: &Names) -> Markup {
    html! {
        @let heading = format!("of-{}", agreement.id);
        h2 id=(heading) { (between(reader, agreement, names)) }
        (terms_table(reader, &heading, &agreement.id, &agreement.terms))
        (more(reader, reader.pick("完整条款（ODRL）", "The whole policy (ODRL)"), &html! {
            pre tabindex="0" { code { (pretty(&agreement.policy)) } }
        }))
    }
}

/// What a party can say, and at the mediator the second person.
fn decide(reader: &Reader<'_>, view: &MediationView, again: Option<&Again<'_>>) -> Markup {
    let head = &view.head;
    let path = head.path();
    html! {
        h2 { (reader.pick("决定", "Decide")) }
        form.sheet method="post" action={ (path) "/accept" } {
            (reader.mark())
            input type="hidden" name="version" value=(head.version);
            (code_field(reader, "accept-code"))
            button type="submit" {
                @if head.mediates() { (reader.pick("批准提议", "Approve the proposal")) }
                @else { (reader.pick("接受并签署", "Accept and sign")) }
            }
        }
        @if !head.mediates() {
            (folded(reader, again, "counter", reader.pick("还价", "Counter"), &counter(reader, &path, again)))
            (folded(reader, again, "refuse", reader.pick("拒绝", "Refuse"), &html! {
                form.sheet method="post" action={ (path) "/refuse" } {
                    (reader.mark())
                    (reason_field(reader, again, "refuse"))
                    button.danger type="submit" { (reader.pick("拒绝调解", "Refuse the mediation")) }
                }
            }))
        }
    }
}

fn counter(reader: &Reader<'_>, path: &str, again: Option<&Again<'_>>) -> Markup {
    html! {
        form.sheet method="post" action={ (path) "/counter" } {
            (reader.mark())
            div.field {
                label for="until" {
                    (reader.pick(
                        "另一到期时间（如 2017-08-01T00:00:00+08:00）",
                        "Another end (such as 2017-08-01T00:00:00+08:00)",
                    ))
                }
                input #until name="until" type="text" maxlength="40" autocomplete="off" required
                    value=(Again::value(again, "counter", "until", ""));
            }
            (reason_field(reader, again, "counter"))
            button type="submit" { (reader.pick("提出还价", "Send the counter-proposal")) }
        }
    }
}

/// What the mediator can do while it is open.
fn conduct(reader: &Reader<'_>, head: &Head, names: &Names, again: Option<&Again<'_>>) -> Markup {
    let path = head.path();
    html! {
        h2 { (reader.pick("调解方操作", "As the mediator")) }
        @for (answer, at) in head.answers.iter().filter(|answer| answer.answer == "countered").zip(1..) {
            @let code = if at == 1 { "adopt-code".to_owned() } else { format!("adopt-code-{at}") };
            form.sheet method="post" action={ (path) "/adopt" } {
                (reader.mark())
                input type="hidden" name="party" value=(answer.participant);
                p {
                    @match reader.language {
                        Language::Chinese => { "以" (names.of(&answer.participant)) "的还价向双方重新提议。" }
                        Language::English => { "Propose to both what " (names.of(&answer.participant)) " would accept." }
                    }
                }
                (code_field(reader, &code))
                button type="submit" { (reader.pick("采纳还价", "Adopt it")) }
            }
        }
        (folded(reader, again, "withdraw", reader.pick("撤回", "Withdraw"), &html! {
            form.sheet method="post" action={ (path) "/withdraw" } {
                (reader.mark())
                (reason_field(reader, again, "withdraw"))
                button.danger type="submit" { (reader.pick("撤回提议", "Withdraw the proposal")) }
            }
        }))
    }
}
