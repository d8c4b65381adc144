//! What a check of evidence found, in a reader's words.
//!
//! INVARIANT: what is wrong comes first, with its place, whose signature shows it and whom that convicts;
//! what was not checked is never shown as good. The verifier's own sentences stay as it wrote them,
//! marked as English.

use interlock_journal::evidence::{BelievedKey, Finding, FindingKind, KeySource, Verdict};
use maud::{Markup, html};

use super::frame::Reader;
use super::parts::{more, state, table};
use super::values::{Names, grouped};
use crate::pages::Language;
use crate::pages::layout::Tone;

/// Most findings on a page; the command line shows all.
const FINDINGS_SHOWN_MAX: usize = 100;
/// Most lines of what cannot be proven on a page.
const UNPROVEN_SHOWN_MAX: usize = 50;
/// Most logs and keys on a page.
const LOGS_SHOWN_MAX: usize = 100;

/// What a check of the evidence found, made by `interlock_journal::evidence::verify`.
#[derive(Debug)]
pub struct Checked {
    /// Whose evidence it is, and when they exported it.
    pub files: Vec<(String, Option<String>)>,
    /// Manifests in the files.
    pub manifests: usize,
    /// The keys that signatures were checked with.
    pub keys: Vec<BelievedKey>,
    /// What was found.
    pub verdict: Verdict,
}

impl Checked {
    /// The sentence that says how it went, and how it looks: the worst counts.
    pub(super) fn lead(&self, reader: &Reader<'_>) -> (Tone, &'static str) {
        let verdict = &self.verdict;
        let convicts = verdict.findings.iter().any(|f| f.convicts.is_some());
        match (verdict.findings.is_empty(), verdict.unproven.is_empty()) {
            (false, _) if convicts => (
                Tone::Stopped,
                reader.pick(
                    "核验未通过。下表列出不符之处，以及何方的签名与其自身不一致。",
                    "It does not hold. The table says where, and whose own signatures contradict each other.",
                ),
            ),
            (false, _) => (
                Tone::Stopped,
                reader.pick(
                    "核验未通过：副本与已签名的内容不符。这不说明是谁改动。",
                    "It does not hold: a copy is not what was signed. This does not show who changed it.",
                ),
            ),
            (true, _) if verdict.logs.is_empty() => (
                Tone::Unknown,
                reader.pick("文件中没有可核验的记录。", "There is no log in it to check."),
            ),
            (true, _) if self.is_self_named() => (
                Tone::Soon,
                reader.pick(
                    "内容自洽，但签名密钥只由文件自身给出。请向各方另行核对密钥。",
                    "It is consistent, but its keys are named by the file alone. Compare them with their owners.",
                ),
            ),
            (true, false) => (
                Tone::Soon,
                reader.pick(
                    "已核验的部分成立；下列部分无法证明。",
                    "What could be checked holds; the following cannot be proven.",
                ),
            ),
            (true, true) => (
                Tone::Good,
                reader.pick("刚刚核验：全部成立。", "Checked just now: everything holds."),
            ),
        }
    }

    /// Whether a key is believed for no other reason than that the file says so.
    fn is_self_named(&self) -> bool {
        self.keys
            .iter()
            .any(|key| key.source == KeySource::FileAlone)
    }

    /// Everything that was found.
    pub(super) fn body(&self, reader: &Reader<'_>, names: &Names) -> Markup {
        let verdict = &self.verdict;
        let leaves: u64 = verdict.logs.iter().map(|log| log.leaves).sum();
        html! {
            p {
                @match reader.language {
                    Language::Chinese => {
                        "核验了 " (verdict.logs.len()) " 份记录、" (grouped(leaves)) " 条、"
                        (self.manifests) " 份签署的清单。"
                    }
                    Language::English => {
                        "Looked at " (verdict.logs.len()) " logs with " (grouped(leaves)) " entries, and "
                        (self.manifests) " signed manifests."
                    }
                }
            }
            @if !verdict.findings.is_empty() { (findings(reader, &verdict.findings, names)) }
            @if !verdict.unproven.is_empty() { (self.unproven(reader)) }
        }
    }

    fn unproven(&self, reader: &Reader<'_>) -> Markup {
        let all = &self.verdict.unproven;
        let title = reader.pick("无法证明的部分", "What cannot be proven");
        more(
            reader,
            &format!("{title} ({})", all.len()),
            &html! {
                ul {
                    @for what in all.iter().take(UNPROVEN_SHOWN_MAX) {
                        li.muted lang="en" {
                            @if !what.origin.is_empty() { code { (what.origin) } ": " }
                            (what.detail)
                        }
                    }
                }
                (rest(reader, all.len(), UNPROVEN_SHOWN_MAX))
            },
        )
    }

    /// Each log, as far as it is shown by signatures.
    pub(super) fn logs(&self, reader: &Reader<'_>, names: &Names) -> Markup {
        let logs = &self.verdict.logs;
        let rows = html! {
            @for log in logs.iter().take(LOGS_SHOWN_MAX) {
                tr {
                    th scope="row" { (place(&log.origin, names)) }
                    td { (names.of(log.holder.as_str())) }
                    td.number { (grouped(log.leaves)) }
                    td.number { (grouped(log.signed)) }
                    td.number { (grouped(log.countersigned)) }
                    td.number { (grouped(log.released_items)) }
                    td.number { (grouped(log.denials)) }
                }
            }
        };
        html! {
            (table("checked-logs", reader.pick("记录", "Logs"), &[
                reader.pick("由谁写给谁", "Written by, for"),
                reader.pick("副本来自", "Copy of"),
                reader.pick("条目", "Entries"),
                reader.pick("写方已签名", "Signed by the writer"),
                reader.pick("对方已回执", "Receipted"),
                reader.pick("提供条数", "Items released"),
                reader.pick("拒绝", "Denials"),
            ], &rows))
            (rest(reader, logs.len(), LOGS_SHOWN_MAX))
        }
    }

    /// The keys, and why each is believed.
    pub(super) fn keys(&self, reader: &Reader<'_>, names: &Names) -> Markup {
        let rows = html! {
            @for key in self.keys.iter().take(LOGS_SHOWN_MAX) {
                @let (tone, word) = source(reader, key.source);
                tr {
                    th scope="row" { (names.of(key.participant.as_str())) }
                    td { code { (key.key) } }
                    td { (state(tone, word)) }
                }
            }
        };
        table(
            "keys",
            reader.pick("核验所用的密钥", "Keys that it was checked with"),
            &[
                reader.pick("一方", "Participant"),
                reader.pick("公钥", "Public key"),
                reader.pick("来源", "Known from"),
            ],
            &rows,
        )
    }
}

fn rest(reader: &Reader<'_>, all: usize, shown: usize) -> Markup {
    let left = all.saturating_sub(shown);
    html! {
        @if left > 0 {
            p.muted {
                @match reader.language {
                    Language::Chinese => { "另有 " (left) " 条未显示；命令行会列出全部。" }
                    Language::English => { (left) " more are not shown; the command line lists all." }
                }
            }
        }
    }
}

fn source(reader: &Reader<'_>, source: KeySource) -> (Tone, &'static str) {
    match source {
        KeySource::Given => (
            Tone::Good,
            reader.pick("本节点已登记", "this node's own partner list"),
        ),
        KeySource::Manifest => (
            Tone::Waiting,
            reader.pick("双方签署的清单", "a manifest that both signed"),
        ),
        KeySource::Rotation => (
            Tone::Waiting,
            reader.pick("新旧密钥共同签署的更换", "a rotation signed by both keys"),
        ),
        KeySource::FileAlone => (
            Tone::Soon,
            reader.pick("只有文件自身", "the file alone: compare it with its owner"),
        ),
    }
}

/// `Fengchao to Cainiao, epoch 1`; an origin of another form as it is.
fn place(origin: &str, names: &Names) -> String {
    let parts = origin
        .split_once(" -> ")
        .and_then(|(writer, rest)| Some((writer, rest.split_once(" epoch ")?)));
    parts.map_or_else(
        || origin.to_owned(),
        |(writer, (reader, epoch))| {
            format!("{} → {} · {epoch}", names.of(writer), names.of(reader))
        },
    )
}

fn findings(reader: &Reader<'_>, findings: &[Finding], names: &Names) -> Markup {
    let nobody = html! { span.muted { (reader.pick("无", "nobody")) } };
    let who = |id: &Option<interlock_core::ids::ParticipantId>| match id {
        Some(id) => html! { (names.of(id.as_str())) },
        None => nobody.clone(),
    };
    let rows = html! {
        @for finding in findings.iter().take(FINDINGS_SHOWN_MAX) {
            tr {
                th scope="row" { (state(Tone::Stopped, kind(reader, finding.kind))) }
                td { (place_of(reader, finding, names)) }
                td { (names.of(finding.holder.as_str())) }
                td { (who(&finding.signed_by)) }
                td {
                    @match &finding.convicts {
                        Some(id) => strong { (names.of(id.as_str())) },
                        None => (nobody),
                    }
                }
                td lang="en" { (finding.detail) }
            }
        }
    };
    html! {
        (table("findings", reader.pick("不符之处", "What does not hold"), &[
            reader.pick("问题", "What"),
            reader.pick("位置", "Where"),
            reader.pick("副本来自", "In the copy of"),
            reader.pick("由谁的签名证明", "Shown by the signature of"),
            reader.pick("证明其自相矛盾", "Convicts"),
            reader.pick("说明", "In words"),
        ], &rows))
        (rest(reader, findings.len(), FINDINGS_SHOWN_MAX))
    }
}

fn place_of(reader: &Reader<'_>, finding: &Finding, names: &Names) -> Markup {
    let last = finding.to_leaf.saturating_sub(1).max(finding.from_leaf);
    html! {
        @if !finding.origin.is_empty() {
            (place(&finding.origin, names)) br;
            @match (finding.from_leaf == last, reader.language) {
                (true, Language::Chinese) => { "第 " (grouped(last)) " 条" }
                (true, Language::English) => { "entry " (grouped(last)) }
                (false, Language::Chinese) => { "第 " (grouped(finding.from_leaf)) " 至 " (grouped(last)) " 条" }
                (false, Language::English) => { "entries " (grouped(finding.from_leaf)) " to " (grouped(last)) }
            }
        } @else { "—" }
    }
}

/// What is wrong, in a few words.
const fn kind(reader: &Reader<'_>, kind: FindingKind) -> &'static str {
    let (zh, en) = match kind {
        FindingKind::Malformed => ("无法读取", "cannot be read"),
        FindingKind::Changed => ("内容被改", "changed"),
        FindingKind::Removed => ("中间缺失", "removed"),
        FindingKind::Reordered => ("顺序被改", "put in another order"),
        FindingKind::Truncated => ("末尾缺失", "cut off at the end"),
        FindingKind::TimeBackwards => ("时间倒退", "time goes back"),
        FindingKind::Fork => ("签署了两份不同记录", "signed two different logs"),
        FindingKind::SplitView => ("向双方出示不同记录", "showed each side another log"),
        FindingKind::Rollback => ("记录变短", "shorter than was signed"),
        FindingKind::ForeignKey => ("密钥不属于写方", "signed by another's key"),
        FindingKind::Receipt => ("回执与记录不符", "receipt for something else"),
        FindingKind::Misdated => ("日期不可能", "dated where it cannot be"),
        FindingKind::Unsigned => ("清单缺少签名", "manifest not signed"),
        FindingKind::Policy => ("条款不是所签署的", "policy is not the one signed"),
        FindingKind::NoAgreement => ("无协议而提供", "released under no agreement"),
        FindingKind::OutsideTerm => ("在期限外提供", "released outside the term"),
        FindingKind::BeyondTerms => ("提供超出约定", "released beyond the terms"),
        FindingKind::BeyondQuota => ("超出配额", "beyond the quota"),
        FindingKind::Opening => ("出示的条目不在批次中", "shown item is not of its batch"),
        FindingKind::RunOff => ("收尾期名单不符", "run-off set is wrong"),
    };
    reader.pick(zh, en)
}
