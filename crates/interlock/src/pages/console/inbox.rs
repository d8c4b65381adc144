//! What changes if I agree?

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::again::{Again, folded};
use super::agreements::{LineView, TermView, family, left, reason_field, terms_table};
use super::frame::{Reader, Section, Sheet, sheet};
use super::history::timeline;
use super::parts::{
    Waiting, code_field, empty, facts, headline, more, state, summary, table, table_under, when,
};
use super::problems;
use super::stretch::{others, stretch};
use super::values::{Instant, Names};
use super::words;
use crate::identity::url::segment;
use crate::node::io::{Problem, Role};
use crate::pages::Language;
use crate::pages::layout::Tone;

/// Most proposals on a page.
const SHOWN_MAX: usize = 100;

/// `GET /proposals`.
#[derive(Debug, Deserialize)]
pub struct ProposalsView {
    pub(super) proposals: Vec<ProposalView>,
}

/// A negotiation with the terms that lie there.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProposalView {
    id: String,
    partner: String,
    role: String,
    dataset: String,
    state: String,
    supersedes: Option<String>,
    agreement: Option<String>,
    version: u64,
    waits_for_people: bool,
    approved_by: Vec<String>,
    approvals_needed: usize,
    draft_by: Option<String>,
    answer_by: Option<Instant>,
    terms: Vec<TermView>,
    changes: Vec<ChangeView>,
    policy: Value,
    history: Vec<LineView>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ChangeView {
    key: String,
    effect: String,
    en: OldNew,
    zh: OldNew,
}

#[derive(Debug, Deserialize)]
struct OldNew {
    old: Option<String>,
    new: Option<String>,
}

impl ProposalView {
    pub(super) fn path(&self) -> String {
        format!("/console/inbox/{}", segment(&self.id))
    }

    pub(super) const fn answer_by(&self) -> Option<Instant> {
        self.answer_by
    }

    /// Who wants what, in a line.
    pub(super) fn line(&self, reader: &Reader<'_>, names: &Names) -> String {
        let dataset = words::dataset(reader, &self.dataset);
        let partner = names.of(&self.partner);
        match (self.role.as_str(), reader.language) {
            ("provider", Language::Chinese) => format!("{partner}希望获得：{dataset}"),
            ("provider", Language::English) => format!("{partner} asks for: {dataset}"),
            (_, Language::Chinese) => format!("{partner}愿意提供：{dataset}"),
            (_, Language::English) => format!("{partner} offers: {dataset}"),
        }
    }
}

/// The list.
pub fn inbox_page(reader: &Reader<'_>, view: &ProposalsView, names: &Names) -> Markup {
    let title = reader.pick("待办提案", "Inbox");
    let waiting = Waiting {
        none: ("没有等待决定的提案。", "Nothing waits for a decision."),
        chinese: "份提案等待我方决定。",
        english: ("proposal waits for us.", "proposals wait for us."),
    };
    let (tone, lead) = waiting.lead(reader, view.proposals.len());
    let rows = html! {
        @for proposal in stretch(reader, &view.proposals, SHOWN_MAX) {
            tr {
                th scope="row" { a href=(proposal.path()) { (proposal.line(reader, names)) } }
                td { @if let Some(by) = proposal.answer_by { (when(reader, by)) } }
                td.number { (proposal.approved_by.len()) " / " (proposal.approvals_needed) }
                td.number { (proposal.changes.len()) }
            }
        }
    };
    let main = html! {
        (family(reader))
        (headline(tone, title, &html! { (lead) }))
        @if view.proposals.is_empty() {
            (empty(reader.pick(
                "伙伴提出的、超出自动接受范围的条款会出现在这里。",
                "Terms that a partner proposes beyond what is accepted by itself are listed here.",
            )))
        } @else {
            (table("inbox", title, &[
                reader.pick("提案", "Proposal"),
                reader.pick("答复期限", "Answer by"),
                reader.pick("已批准", "Approved"),
                reader.pick("变化", "Changes"),
            ], &rows))
            (others(reader, view.proposals.len(), SHOWN_MAX))
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

/// One proposal.
pub fn proposal_page(
    reader: &Reader<'_>,
    view: &ProposalView,
    names: &Names,
    again: Option<&Again<'_>>,
) -> Markup {
    let title = view.line(reader, names);
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
        (facts(&proposal_facts(reader, view, names)))
        (changes_table(reader, "", "changes", &view.changes))
        (terms_table(reader, "", "terms", &view.terms))
        @if view.waits_for_people && reader.is_any(&[Role::Approver]) { (decide(reader, view, again)) }
        h2 { (reader.pick("经过", "What happened")) }
        (timeline(reader, names, &lines))
        (more(reader, reader.pick("完整条款（ODRL）", "The whole policy (ODRL)"), &html! {
            pre tabindex="0" { code { (pretty(&view.policy)) } }
        }))
    };
    let page = Sheet {
        title: &titled,
        section: Section::Agreements,
        wide: true,
    };
    sheet(reader, &page, &main)
}

/// What went wrong, with the way to the code's field if it is about that.
pub(super) fn summary_of(reader: &Reader<'_>, trouble: &Problem, code_id: &str) -> Markup {
    let of_code = trouble.errors.iter().any(|error| error.pointer == "/code");
    let fields = trouble
        .errors
        .iter()
        .filter(|error| error.pointer != "/code");
    let words = html! {
        (problems::words(reader, trouble))
        @for error in fields { br; span lang="en" { code { (error.pointer) } " " (error.detail) } }
    };
    summary(reader, &words, of_code.then_some(code_id))
}

fn lead(reader: &Reader<'_>, view: &ProposalView) -> (Tone, Markup) {
    if !view.waits_for_people {
        let word = words::negotiation_state(reader, &view.state);
        let text = match reader.language {
            Language::Chinese => html! { "现在不等待我方决定。状态：" (word) "。" },
            Language::English => html! { "Nothing is to be decided here now. State: " (word) "." },
        };
        return (Tone::Unknown, text);
    }
    let effect = match view.changes.len() {
        0 => reader.pick(
            "没有更早的版本可比；批准即同意以下全部条款。",
            "There is no earlier version to compare with: approving agrees to all terms below.",
        ),
        _ => reader.pick(
            "批准后，以下各项随之改变。",
            "If you approve, the following changes.",
        ),
    };
    let by = view.answer_by.map(|by| left(reader, by));
    let text = html! {
        (effect)
        @if let Some(by) = by {
            @match reader.language {
                Language::Chinese => { "答复期限" (by) "。" }
                Language::English => { " It has to be answered " (by) "." }
            }
        }
    };
    (Tone::Waiting, text)
}

fn proposal_facts<'a>(
    reader: &Reader<'a>,
    view: &ProposalView,
    names: &Names,
) -> Vec<(&'a str, Markup)> {
    let mut rows = vec![
        (
            reader.pick("方向", "Direction"),
            html! { (words::direction(reader, &view.role)) (reader.pick("：", ": ")) (words::dataset(reader, &view.dataset)) },
        ),
        (
            reader.pick("伙伴", "Partner"),
            html! { a href={ "/console/partners/" (segment(&view.partner)) } { (names.of(&view.partner)) } },
        ),
        (reader.pick("版本", "Version"), html! { (view.version) }),
        (
            reader.pick("我方批准", "Our approvals"),
            html! {
                (view.approved_by.len()) " / " (view.approvals_needed)
                @for name in &view.approved_by { " · " (name) }
                @if let Some(by) = &view.draft_by { " · " (reader.pick("起草：", "drafted by ")) (by) }
            },
        ),
    ];
    for (name, id) in [
        (reader.pick("取代协议", "Takes over from"), &view.supersedes),
        (reader.pick("协议", "Agreement"), &view.agreement),
    ] {
        if let Some(id) = id {
            rows.push((
                name,
                html! { a href={ "/console/agreements/" (segment(id)) } { (id) } },
            ));
        }
    }
    rows
}

/// What changes, by term.
pub(super) fn changes_table(
    reader: &Reader<'_>,
    heading: &str,
    id: &str,
    changes: &[ChangeView],
) -> Markup {
    let rows = html! {
        @for change in changes {
            @let words_of = match reader.language { Language::Chinese => &change.zh, Language::English => &change.en };
            @let (tone, effect) = words::effect(reader, &change.effect);
            tr {
                th scope="row" { (words::term(reader, &change.key)) }
                td { del { (words_of.old.as_deref().unwrap_or("—")) } }
                td { ins { (words_of.new.as_deref().unwrap_or("—")) } }
                td { (state(tone, effect)) }
            }
        }
    };
    html! {
        @if !changes.is_empty() {
            (table_under(heading, id, reader.pick("变化", "What changes"), &[
                reader.pick("条款", "Term"),
                reader.pick("之前", "Before"),
                reader.pick("提案", "Proposed"),
                reader.pick("影响", "Effect"),
            ], &rows))
        }
    }
}

fn decide(reader: &Reader<'_>, view: &ProposalView, again: Option<&Again<'_>>) -> Markup {
    let path = view.path();
    let policy = pretty(&view.policy);
    let second = view.approvals_needed > 1 && view.approved_by.len() + 1 < view.approvals_needed;
    html! {
        h2 { (reader.pick("决定", "Decide")) }
        form.sheet method="post" action={ (path) "/approve" } {
            (reader.mark())
            input type="hidden" name="version" value=(view.version);
            @if second {
                p { (reader.pick("批准后还需第二人批准才生效。", "After you, a second person must approve.")) }
            }
            (code_field(reader, "approve-code"))
            button type="submit" { (reader.pick("批准", "Approve")) }
        }
        (folded(reader, again, "counter", reader.pick("还价", "Counter"), &html! {
            form.sheet method="post" action={ (path) "/counter" } {
                (reader.mark())
                div.field {
                    label for="policy" { (reader.pick("条款（ODRL，已填入现有条款）", "Terms (ODRL, filled with those that lie there)")) }
                    textarea #policy name="policy" rows="16" spellcheck="false" required {
                        (Again::value(again, "counter", "policy", &policy))
                    }
                }
                (code_field(reader, "counter-code"))
                button type="submit" { (reader.pick("提出还价", "Send the counter-offer")) }
            }
        }))
        (folded(reader, again, "reject", reader.pick("拒绝", "Reject"), &html! {
            form.sheet method="post" action={ (path) "/reject" } {
                (reader.mark())
                (reason_field(reader, again, "reject"))
                button.danger type="submit" { (reader.pick("拒绝提案", "Reject the proposal")) }
            }
        }))
    }
}

/// JSON for people.
pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
