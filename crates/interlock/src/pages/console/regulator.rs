//! What is about to be cut, and what is out of order?
//!
//! INVARIANT: what each party says stands beside what the other says; a difference is shown as one and
//! never decided here. Nothing on the page is about a parcel.

use std::collections::BTreeMap;

use interlock_core::time::DAY_MS;
use maud::{Markup, html};
use serde::Deserialize;

use super::agreements::{SOON_MS, family, left};
use super::charts::{self, Bar};
use super::frame::{Reader, Section, Sheet, sheet};
use super::mediations::MediationsView;
use super::parts::{empty, headline, state, table, when};
use super::stretch::{others, stretch};
use super::values::{Instant, Names};
use crate::node::io::Role;
use crate::pages::Language;
use crate::pages::layout::Tone;

/// Most cooperations on a page.
const SHOWN_MAX: usize = 60;
/// Most mediations on the page, the newest that wait.
const MEDIATIONS_SHOWN_MAX: usize = 20;

/// `GET /cooperations`.
#[derive(Debug, Deserialize)]
pub struct CooperationsView {
    cooperations: Vec<ReportView>,
}

/// How one participant says that a cooperation stands.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReportView {
    manifest: String,
    parties: Vec<String>,
    end: Instant,
    state: String,
    suspends_at: Option<Instant>,
    feed_age: String,
    reported_by: Option<String>,
    reported_at: Option<Instant>,
}

/// All that is said about one cooperation.
struct Cooperation<'a> {
    manifest: &'a str,
    reports: Vec<&'a ReportView>,
}

impl Cooperation<'_> {
    fn end(&self) -> Option<Instant> {
        self.reports.iter().map(|report| report.end).max()
    }

    fn suspends_at(&self) -> Option<Instant> {
        self.reports.iter().filter_map(|r| r.suspends_at).min()
    }

    fn is_over(&self) -> bool {
        self.reports.iter().all(|report| report.state == "ended")
    }

    /// Whether those who report it say different things.
    fn differs(&self) -> bool {
        let mut states = self.reports.iter().map(|report| &report.state);
        states
            .next()
            .is_some_and(|first| states.any(|other| other != first))
    }

    /// The oldest age of the feeds that somebody reports, as a step.
    fn age(&self) -> usize {
        let steps = self.reports.iter().map(|report| age_step(&report.feed_age));
        steps.max().unwrap_or(0)
    }

    /// Whether somebody should look at it now.
    fn is_out_of_order(&self) -> bool {
        let stopped = self.reports.iter().any(|r| r.state.ends_with("suspended"));
        !self.is_over() && (self.differs() || self.age() >= 2 || stopped)
    }

    /// How bad what is out of order is: what was not heard of for some hours may be a night.
    fn is_grave(&self) -> bool {
        let stopped = self.reports.iter().any(|r| r.state.ends_with("suspended"));
        self.differs() || stopped || self.age() > 2
    }

    fn name(&self, names: &Names) -> String {
        let parties = self.reports.iter().map(|report| &report.parties);
        let parties = parties.max_by_key(|parties| parties.len());
        let parties = parties.map_or(&[][..], Vec::as_slice);
        let named: Vec<&str> = parties.iter().map(|id| names.of(id)).collect();
        match named.is_empty() {
            true => self.manifest.chars().take(12).collect(),
            false => named.join(" · "),
        }
    }
}

/// How old a step is: 0 for the youngest; what is unknown counts as the oldest.
fn age_step(code: &str) -> usize {
    let steps = ["under-5-minutes", "under-1-hour", "under-1-day"];
    let found = steps.iter().position(|step| *step == code);
    found.unwrap_or(steps.len())
}

fn age_word(reader: &Reader<'_>, step: usize) -> (Tone, &'static str) {
    match step {
        0 => (Tone::Good, reader.pick("5 分钟内", "under 5 minutes")),
        1 => (Tone::Good, reader.pick("1 小时内", "under 1 hour")),
        2 => (Tone::Soon, reader.pick("1 天内", "under 1 day")),
        _ => (Tone::Stopped, reader.pick("超过 1 天", "over 1 day")),
    }
}

/// The state of a cooperation as one side says it.
fn state_word(reader: &Reader<'_>, code: &str) -> (Tone, String) {
    let (tone, zh, en) = match code {
        "in-force" => (Tone::Good, "生效中", "in force"),
        "partly-suspended" => (Tone::Soon, "部分暂停", "partly suspended"),
        "suspended" => (Tone::Stopped, "已暂停", "suspended"),
        "signed" => (Tone::Waiting, "已签署，未开始", "signed, not begun"),
        "run-off" => (Tone::Soon, "收尾期", "in run-off"),
        "ended" => (Tone::Stopped, "已终止", "ended"),
        "" => (Tone::Unknown, "未告知", "not told"),
        other => return (Tone::Unknown, other.into()),
    };
    (tone, reader.pick(zh, en).into())
}

/// By their ends, those that are over last.
fn grouped(view: &CooperationsView) -> Vec<Cooperation<'_>> {
    let mut all: BTreeMap<&str, Vec<&ReportView>> = BTreeMap::new();
    for report in &view.cooperations {
        all.entry(&report.manifest).or_default().push(report);
    }
    let of = |(manifest, reports)| Cooperation { manifest, reports };
    let mut all: Vec<Cooperation<'_>> = all.into_iter().map(of).collect();
    all.sort_by_key(|cooperation| (cooperation.is_over(), cooperation.end()));
    all
}

/// The page.
pub fn regulator_page(
    reader: &Reader<'_>,
    view: &CooperationsView,
    mediations: &MediationsView,
    names: &Names,
) -> Markup {
    let title = reader.pick("合作状况", "Cooperations");
    let all = grouped(view);
    let open: Vec<&Cooperation<'_>> = all.iter().filter(|c| !c.is_over()).collect();
    let troubled: Vec<&Cooperation<'_>> = open
        .iter()
        .copied()
        .filter(|c| c.is_out_of_order())
        .collect();
    let grave = troubled.iter().any(|cooperation| cooperation.is_grave());
    let (tone, lead) = lead(reader, &open, (troubled.len(), grave), names);
    let main = html! {
        (family(reader))
        (headline(tone, title, &html! { (lead) }))
        @if all.is_empty() {
            (empty(reader.pick(
                "双方同意向监管部门提供合作状况后，这里列出各项合作及其到期时间。",
                "Cooperations are listed here once their parties agree to show a regulator how they stand.",
            )))
        } @else {
            (ends(reader, &open, names))
            (outages(reader, &troubled, names))
            (listed(reader, &all, names))
        }
        (mediated(reader, mediations, names))
        h2 { (reader.pick("证据", "Evidence")) }
        p {
            a href="/console/evidence/files" {
                (reader.pick("核验交来的证据文件", "Verify evidence that was handed in"))
            }
        }
    };
    let page = Sheet {
        title,
        section: Section::Agreements,
        wide: true,
    };
    sheet(reader, &page, &main)
}

fn lead(
    reader: &Reader<'_>,
    open: &[&Cooperation<'_>],
    (troubled, grave): (usize, bool),
    names: &Names,
) -> (Tone, String) {
    let first = open
        .iter()
        .filter_map(|c| Some((c.end()?, c)))
        .find(|(end, _)| end.0 > reader.as_of);
    let Some((end, first)) = first else {
        let text = reader.pick("没有将要到期的合作。", "No cooperation is about to end.");
        return (
            if troubled > 0 {
                Tone::Soon
            } else {
                Tone::Unknown
            },
            text.into(),
        );
    };
    let soon = end.0.since_ms(reader.as_of) < SOON_MS;
    let tone = match (troubled, soon) {
        (1.., _) if grave => Tone::Stopped,
        (1.., _) | (0, true) => Tone::Soon,
        (0, false) => Tone::Good,
    };
    let (who, left) = (first.name(names), left(reader, end));
    let text = match (troubled, reader.language) {
        (0, Language::Chinese) => format!("最先到期：{who}，{left}。"),
        (0, Language::English) => format!("First to end: {who}, {left}."),
        (n, Language::Chinese) => format!("{n} 项合作异常。最先到期：{who}，{left}。"),
        (1, Language::English) => {
            format!("1 cooperation is out of order. First to end: {who}, {left}.")
        }
        (n, Language::English) => {
            format!("{n} cooperations are out of order. First to end: {who}, {left}.")
        }
    };
    (tone, text)
}

fn ends(reader: &Reader<'_>, open: &[&Cooperation<'_>], names: &Names) -> Markup {
    let ahead = |cooperation: &&&Cooperation<'_>| {
        let end = cooperation.end();
        end.is_some_and(|end| end.0 > reader.as_of)
    };
    let bars: Vec<Bar> = open
        .iter()
        .filter(ahead)
        .take(12)
        .filter_map(|cooperation| {
            let left_ms = cooperation.end()?.0.since_ms(reader.as_of);
            let tone = if left_ms < SOON_MS {
                Tone::Soon
            } else {
                Tone::Good
            };
            Some(Bar {
                label: cooperation.name(names),
                value: u64::try_from(left_ms / DAY_MS).unwrap_or(0),
                tone,
                path: String::new(),
                hatched: 0,
            })
        })
        .collect();
    html! {
        @if !bars.is_empty() {
            (charts::bars(
                "ends",
                reader.pick("距到期天数", "Days to the end"),
                reader.pick("天", "days"),
                &bars,
            ))
        }
    }
}

/// What somebody should ask about, and why.
fn outages(reader: &Reader<'_>, troubled: &[&Cooperation<'_>], names: &Names) -> Markup {
    let rows = html! {
        @for cooperation in troubled.iter().take(SHOWN_MAX) {
            tr {
                th scope="row" { (cooperation.name(names)) }
                td {
                    @if cooperation.differs() {
                        (state(Tone::Stopped, reader.pick("双方所述不一致", "the parties say different things")))
                        br;
                    }
                    @if cooperation.reports.iter().any(|r| r.state.ends_with("suspended")) {
                        (state(Tone::Stopped, reader.pick("已暂停", "suspended")))
                        br;
                    }
                    @if cooperation.age() >= 2 {
                        @let (tone, word) = age_word(reader, cooperation.age());
                        (state(tone, &format!("{}{word}", reader.pick("最后一次通信：", "last heard of each other: "))))
                    }
                }
            }
        }
    };
    html! {
        h2 { (reader.pick("异常与中断", "Outages and differences")) }
        @if troubled.is_empty() {
            p { (state(Tone::Good, reader.pick("没有。", "None."))) }
        } @else {
            (table("outages", reader.pick("需要询问的合作", "To be asked about"), &[
                reader.pick("合作", "Cooperation"),
                reader.pick("原因", "Why"),
            ], &rows))
        }
    }
}

fn listed(reader: &Reader<'_>, all: &[Cooperation<'_>], names: &Names) -> Markup {
    let rows = html! {
        @for cooperation in stretch(reader, all, SHOWN_MAX) {
            @let (age_tone, age) = age_word(reader, cooperation.age());
            tr {
                th scope="row" { (cooperation.name(names)) br; code.muted { (cooperation.manifest.get(..12).unwrap_or(cooperation.manifest)) } }
                td { @if let Some(end) = cooperation.end() { (when(reader, end)) } }
                td {
                    @for report in &cooperation.reports { (report_line(reader, report, names)) br; }
                }
                td { (state(age_tone, age)) }
                td { @if let Some(at) = cooperation.suspends_at() { (when(reader, at)) } @else { "—" } }
            }
        }
    };
    html! {
        (table("cooperations", reader.pick("全部合作", "All cooperations"), &[
            reader.pick("双方", "Parties"),
            reader.pick("到期", "Ends"),
            reader.pick("各方所述状态", "State, as each says"),
            reader.pick("数据流", "Feeds"),
            reader.pick("预告暂停", "Suspension announced for"),
        ], &rows))
        (others(reader, all.len(), SHOWN_MAX))
    }
}

fn report_line(reader: &Reader<'_>, report: &ReportView, names: &Names) -> Markup {
    let (tone, word) = state_word(reader, &report.state);
    let by = report.reported_by.as_deref();
    let by = by.map_or(reader.pick("本节点", "this node"), |id| names.of(id));
    html! {
        (state(tone, &format!("{by}{}{word}", reader.pick("：", ": "))))
        @if let Some(at) = report.reported_at {
            " " span.muted { (reader.language.ago(at.0, reader.as_of)) }
        }
    }
}

fn mediated(reader: &Reader<'_>, view: &MediationsView, names: &Names) -> Markup {
    let open: Vec<_> = view
        .mediations
        .iter()
        .rev()
        .filter(|m| m.is_open())
        .collect();
    html! {
        h2 { (reader.pick("调解", "Mediation")) }
        @if open.is_empty() {
            p { (reader.pick("没有进行中的调解。", "No mediation is under way.")) }
        } @else {
            ul {
                @for mediation in open.iter().take(MEDIATIONS_SHOWN_MAX) {
                    li {
                        a href=(mediation.path()) { (mediation.line(reader, names)) }
                        (reader.pick("，答复期限", ", to be answered ")) (left(reader, mediation.answer_by()))
                    }
                }
            }
        }
        @if reader.is_any(&[Role::Approver]) {
            p { a.button href="/console/mediations" { (reader.pick("提议临时合作", "Propose a temporary cooperation")) } }
        } @else {
            p { a href="/console/mediations" { (reader.pick("全部调解", "All mediations")) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use interlock_core::time::{Timestamp, Zone};
    use serde_json::{Value, json};

    use super::*;

    fn report(manifest: &str, by: &str, end: &str, state: &str, age: &str) -> Value {
        json!({
            "manifest": manifest.repeat(64),
            "parties": ["did:web:cainiao.example", "did:web:fengchao.example"],
            "end": end,
            "state": state,
            "suspendsAt": null,
            "feedAge": age,
            "reportedBy": by,
            "reportedAt": "2017-05-29T00:00:00+08:00",
        })
    }

    fn page(reports: Vec<Value>, language: Language) -> String {
        let view = json!({ "cooperations": reports });
        let view: CooperationsView = serde_json::from_value(view).unwrap();
        let none: MediationsView = serde_json::from_value(json!({ "mediations": [] })).unwrap();
        let names = Names::new([
            ("did:web:cainiao.example".into(), "Cainiao".into()),
            ("did:web:fengchao.example".into(), "<b>Fengchao".into()),
        ]);
        let (as_of, zone) = Timestamp::parse_zoned("2017-05-30T00:00:00+08:00").unwrap();
        let reader = Reader {
            publisher: "Bureau",
            here: "/regulator",
            as_of,
            ..Reader::in_tests(language)
        };
        assert_eq!(zone, Zone::CHINA);
        regulator_page(&reader, &view, &none, &names).into_string()
    }

    #[test]
    fn what_both_say_stands_beside_each_other_and_a_difference_is_out_of_order() {
        let (cainiao, fengchao) = ("did:web:cainiao.example", "did:web:fengchao.example");
        let june = "2017-06-01T00:00:00+08:00";
        let july = "2017-07-01T00:00:00+08:00";
        let fresh = "under-5-minutes";
        let same = vec![
            report("a", cainiao, june, "in-force", fresh),
            report("a", fengchao, june, "in-force", fresh),
            report("b", cainiao, july, "in-force", fresh),
        ];
        let says = page(same.clone(), Language::English);
        assert!(
            says.contains("First to end: Cainiao · &lt;b&gt;Fengchao, in 48 hours."),
            "{says}"
        );
        assert!(
            says.contains("Cainiao: in force") && says.contains("None."),
            "{says}"
        );

        let mut differ = same.clone();
        differ[1] = report("a", fengchao, june, "suspended", fresh);
        let says = page(differ, Language::English);
        assert!(says.contains("1 cooperation is out of order."), "{says}");
        assert!(says.contains("the parties say different things"), "{says}");

        let mut silent = same.clone();
        silent[2] = report("b", cainiao, july, "in-force", "over-1-day");
        let says = page(silent, Language::Chinese);
        assert!(says.contains("1 项合作异常"), "{says}");
        assert!(says.contains("最后一次通信：超过 1 天"), "{says}");

        let over = vec![report("a", cainiao, june, "ended", "what it is")];
        let says = page(over, Language::English);
        assert!(says.contains("No cooperation is about to end."), "{says}");
        assert!(
            says.contains("over 1 day"),
            "an unknown age counts as old: {says}"
        );
        assert!(page(vec![], Language::English).contains("agree to show a regulator"));
    }

    #[test]
    fn many_cooperations_stay_within_a_page() {
        let reports = (0..500).map(|n| {
            let manifest = format!("{n:064}");
            let mut one = report(
                "a",
                "did:web:x.example",
                "2017-07-01T00:00:00+08:00",
                "suspended",
                "?",
            );
            one["manifest"] = manifest.into();
            one
        });
        let says = page(reports.collect(), Language::English);
        assert!(says.len() < crate::pages::PAGE_BYTES_MAX, "{}", says.len());
        assert!(says.contains("1 to 60 of 500."), "{says}");
    }
}
