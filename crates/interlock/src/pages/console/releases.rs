//! What left, what was denied, and why.

use interlock_core::dataset::Dataset;
use interlock_core::terms::Purpose;
use maud::{Markup, html};
use serde::Deserialize;

use super::charts::{self, Column};
use super::feeds::family;
use super::frame::{Reader, Section, Sheet, sheet};
use super::parts::{empty, facts, headline, state, table, when};
use super::values::{Instant, Names, grouped};
use super::words;
use crate::identity::url::segment;
use crate::pages::Language;
use crate::pages::layout::Tone;

/// Most partners that the filter lists; others are filtered by from their own pages.
const CHOICES_MAX: usize = 200;

/// What the ledger is searched by, as it stands in the page's address; empty for all.
#[derive(Clone, Debug, Default)]
pub struct LedgerFilter {
    /// Id of the partner.
    pub partner: String,
    /// Dataset.
    pub dataset: String,
    /// Agreement.
    pub agreement: String,
    /// Purpose.
    pub purpose: String,
    /// `released` or `denied`.
    pub outcome: String,
    /// First day, such as `2017-06-01`.
    pub since: String,
    /// Last day.
    pub until: String,
}

impl LedgerFilter {
    fn pairs(&self) -> [(&'static str, &str); 7] {
        [
            ("partner", &self.partner),
            ("dataset", &self.dataset),
            ("agreement", &self.agreement),
            ("purpose", &self.purpose),
            ("outcome", &self.outcome),
            ("since", &self.since),
            ("until", &self.until),
        ]
    }

    fn path(&self, more: Option<(&str, &str)>) -> String {
        let replaced = |name: &str| more.is_some_and(|(other, _)| other == name);
        let pairs = self.pairs().into_iter();
        let pairs = pairs.filter(|(name, value)| !value.is_empty() && !replaced(name));
        let pairs: Vec<(&str, &str)> = pairs.chain(more).collect();
        let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
        format!("/console/releases?{query}")
    }
}

/// A page of the ledger, newest first.
#[derive(Debug, Deserialize)]
pub struct LedgerView {
    items: Vec<EntryView>,
    next: Option<u64>,
    days: Vec<DayView>,
}

impl LedgerView {
    /// Whether its first entry is the one of that cursor.
    pub fn is_of(&self, cursor: u64) -> bool {
        self.items
            .first()
            .is_some_and(|entry| entry.cursor == cursor)
    }
}

#[derive(Debug, Deserialize)]
struct DayView {
    day: String,
    released: u64,
    denied: u64,
}

#[derive(Debug, Deserialize)]
struct EntryView {
    cursor: u64,
    at: Instant,
    to: String,
    dataset: String,
    agreement: Option<String>,
    purpose: Option<String>,
    outcome: OutcomeView,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OutcomeView {
    released: Option<u64>,
    lane: Option<String>,
    parcel: Option<String>,
    contact_form: Option<String>,
    denied: Option<String>,
}

impl EntryView {
    fn path(&self) -> String {
        format!("/console/releases/{}", self.cursor)
    }

    fn look(&self, reader: &Reader<'_>) -> (Tone, String) {
        match (&self.outcome.denied, self.outcome.released, reader.language) {
            (Some(_), _, _) => (Tone::Stopped, reader.pick("已拒绝", "denied").into()),
            (None, Some(n), Language::Chinese) => (Tone::Good, format!("提供 {} 条", grouped(n))),
            (None, Some(1), Language::English) => (Tone::Good, "released 1 item".into()),
            (None, n, Language::English) => (
                Tone::Good,
                format!("released {} items", grouped(n.unwrap_or(0))),
            ),
            (None, None, Language::Chinese) => (Tone::Good, "已提供".into()),
        }
    }
}

/// The ledger.
// tidy: long, one page from top to bottom
pub fn releases_page(
    reader: &Reader<'_>,
    view: &LedgerView,
    filter: &LedgerFilter,
    names: &Names,
) -> Markup {
    let title = reader.pick("台账", "Ledger");
    let denied: u64 = view.days.iter().map(|day| day.denied).sum();
    let released: u64 = view.days.iter().map(|day| day.released).sum();
    let lead = match reader.language {
        Language::Chinese => html! {
            "近 14 天提供 " a href=(filter.path(Some(("outcome", "released")))) { (grouped(released)) } " 条，拒绝 "
            a href=(filter.path(Some(("outcome", "denied")))) { (grouped(denied)) } " 次。"
        },
        Language::English => html! {
            "In the last 14 days " a href=(filter.path(Some(("outcome", "released")))) { (grouped(released)) }
            " items were released and " a href=(filter.path(Some(("outcome", "denied")))) { (grouped(denied)) }
            " requests denied."
        },
    };
    let columns: Vec<Column> = view
        .days
        .iter()
        .map(|day| Column {
            label: day.day.clone(),
            plain: day.released,
            hatched: day.denied,
        })
        .collect();
    let rows = html! {
        @for entry in &view.items {
            @let (tone, word) = entry.look(reader);
            tr {
                th scope="row" {
                    a href=(entry.path()) {
                        time datetime=(entry.at.0.to_rfc3339(entry.at.1)) {
                            (reader.language.instant(entry.at.0, entry.at.1))
                        }
                    }
                }
                td { (names.of(&entry.to)) }
                td { (words::dataset(reader, &entry.dataset)) }
                td { @if let Some(purpose) = &entry.purpose { (words::purpose(reader, purpose)) } }
                td { (state(tone, &word)) }
                td { @if let Some(reason) = &entry.outcome.denied { (words::denied(reader, reason)) } }
            }
        }
    };
    let main = html! {
        (family(reader))
        (headline(Tone::Waiting, title, &lead))
        (charts::columns(
            reader,
            "days",
            reader.pick("每日提供与拒绝（斜线）", "Released a day, and denied (hatched)"),
            [reader.pick("日期", "Day"), reader.pick("提供", "Released"), reader.pick("拒绝", "Denied")],
            &columns,
        ))
        (filter_form(reader, filter, names))
        @if view.items.is_empty() {
            (empty(reader.pick(
                "没有符合条件的记录。",
                "No entry fits. Nothing was asked for, or the filter is too narrow.",
            )))
        } @else {
            (table("ledger", title, &[
                reader.pick("时间", "Time"),
                reader.pick("我方提供给", "We give to"),
                reader.pick("数据", "Data"),
                reader.pick("用途", "Purpose"),
                reader.pick("结果", "Outcome"),
                reader.pick("原因", "Reason"),
            ], &rows))
            @if let Some(next) = view.next {
                p { a rel="next" href=(filter.path(Some(("before", &next.to_string())))) { (reader.pick("更早的记录", "Earlier entries")) } }
            }
        }
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

fn filter_form(reader: &Reader<'_>, filter: &LedgerFilter, names: &Names) -> Markup {
    let all = reader.pick("全部", "all");
    let outcomes = [
        ("released", reader.pick("提供", "released")),
        ("denied", reader.pick("拒绝", "denied")),
    ];
    html! {
        form.filters method="get" action="/console/releases" aria-label=(reader.pick("筛选", "Filter")) {
            div.field {
                label for="partner" { (reader.pick("伙伴", "Partner")) }
                select #partner name="partner" {
                    option value="" { (all) }
                    @for (id, name) in names.all().take(CHOICES_MAX) {
                        option value=(id) selected[id == filter.partner] { (name) }
                    }
                    @if !filter.partner.is_empty() && !names.all().take(CHOICES_MAX).any(|(id, _)| id == filter.partner) {
                        option value=(filter.partner) selected { (names.of(&filter.partner)) }
                    }
                }
            }
            div.field {
                label for="dataset" { (reader.pick("数据", "Data")) }
                select #dataset name="dataset" {
                    option value="" { (all) }
                    @for code in Dataset::ALL.map(Dataset::as_str) {
                        option value=(code) selected[code == filter.dataset] { (words::dataset(reader, code)) }
                    }
                }
            }
            div.field {
                label for="outcome" { (reader.pick("结果", "Outcome")) }
                select #outcome name="outcome" {
                    option value="" { (all) }
                    @for (code, word) in outcomes {
                        option value=(code) selected[code == filter.outcome] { (word) }
                    }
                }
            }
            div.field {
                label for="purpose" { (reader.pick("用途", "Purpose")) }
                select #purpose name="purpose" {
                    option value="" { (all) }
                    @for code in Purpose::ALL.iter().map(|purpose| purpose.as_str()) {
                        option value=(code) selected[code == filter.purpose] { (words::purpose(reader, code)) }
                    }
                    @if !filter.purpose.is_empty() && Purpose::parse(&filter.purpose).is_none() {
                        option value=(filter.purpose) selected { (filter.purpose) }
                    }
                }
            }
            div.field {
                label for="since" { (reader.pick("从", "From")) }
                input #since name="since" type="date" value=(filter.since);
            }
            div.field {
                label for="until" { (reader.pick("到", "To")) }
                input #until name="until" type="date" value=(filter.until);
            }
            @if !filter.agreement.is_empty() {
                input type="hidden" name="agreement" value=(filter.agreement);
            }
            button type="submit" { (reader.pick("筛选", "Filter")) }
        }
    }
}

/// One entry; `None` if there is none.
// tidy: long, one page from top to bottom
pub fn release_page(reader: &Reader<'_>, view: &LedgerView, names: &Names) -> Option<Markup> {
    let entry = view.items.first()?;
    let (tone, word) = entry.look(reader);
    let partner = names.of(&entry.to);
    let title = match (&entry.outcome.denied, reader.language) {
        (Some(_), Language::Chinese) => "一次拒绝",
        (Some(_), Language::English) => "A denial",
        (None, Language::Chinese) => "一次提供",
        (None, Language::English) => "A release",
    };
    let lead = match (&entry.outcome.denied, reader.language) {
        (Some(reason), _) => words::denial(reader, reason).to_owned(),
        (None, Language::Chinese) => format!("按协议提供给{partner}，双方均有记录。"),
        (None, Language::English) => {
            format!("It left for {partner} under an agreement, and both sides have it on record.")
        }
    };
    let mut rows = vec![
        (reader.pick("结果", "Outcome"), state(tone, &word)),
        (reader.pick("时间", "Time"), when(reader, entry.at)),
        (
            reader.pick("提供给", "To"),
            html! { a href={ "/console/partners/" (segment(&entry.to)) } { (partner) } },
        ),
        (
            reader.pick("数据", "Data"),
            html! { (words::dataset(reader, &entry.dataset)) },
        ),
    ];
    if let Some(code) = &entry.purpose {
        let word = words::purpose(reader, code);
        rows.push((
            reader.pick("用途", "Purpose"),
            html! { (word) @if word != code { " " code.muted { (code) } } },
        ));
    }
    if let Some(code) = &entry.outcome.contact_form {
        rows.push((
            reader.pick("联系方式形式", "Form of contact"),
            html! { (words::contact_form(reader, code)) },
        ));
    }
    if let Some(code) = &entry.outcome.denied {
        rows.push((
            reader.pick("原因代码", "Reason code"),
            html! { code { (code) } },
        ));
    }
    if let Some(lane) = &entry.outcome.lane {
        let word = match lane.as_str() {
            "live" => reader.pick("实时", "live"),
            "backlog" => reader.pick("积压", "backlog"),
            other => other,
        };
        rows.push((reader.pick("通道", "Lane"), html! { (word) }));
    }
    if let Some(parcel) = &entry.outcome.parcel {
        rows.push((
            reader.pick("包裹", "Parcel"),
            html! { code { (super::alerts::masked(parcel)) } },
        ));
    }
    rows.push((
        reader.pick("协议", "Agreement"),
        match &entry.agreement {
            Some(id) => html! { a href={ "/console/agreements/" (segment(id)) } { (reader.pick("条款", "its terms")) } },
            None => html! { (reader.pick("无", "none applied")) },
        },
    ));
    let main = html! {
        (family(reader))
        (headline(tone, title, &html! { (lead) }))
        (facts(&rows))
        h2 { (reader.pick("证据", "Evidence")) }
        p {
            (reader.pick(
                "此条以一片叶子写入与对方的双方记录。核验会重算整个记录、签名与条款。",
                "It stands as a leaf in the log between us and them. Verifying recomputes the whole log, signatures and terms.",
            ))
        }
        form method="post" action={ "/console/evidence/" (segment(&entry.to)) "/verify" } {
            (reader.mark())
            button type="submit" { (reader.pick("核验与对方的记录", "Verify the log with them")) }
        }
    };
    let page = Sheet {
        title,
        section: Section::Data,
        wide: false,
    };
    Some(sheet(reader, &page, &main))
}
