//! Who did what, in a reader's words.
//!
//! INVARIANT: what has words here is said in the reader's language, with what people wrote left as they
//! wrote it; what has none is shown as it is on record, marked as English. Codes of datasets and ids of
//! participants are named in both languages.

use maud::{Markup, html};

use super::agreements::LineView;
use super::frame::Reader;
use super::values::Names;
use super::words;
use crate::pages::Language;

/// Lines that say the same each time.
const WHOLE: &[(&str, &str)] = &[
    ("accepted", "已接受"),
    ("accepted our terms", "接受了我方条款"),
    ("agreed", "已同意"),
    (
        "approved it; a second person must",
        "已批准，还需第二人批准",
    ),
    ("approved the proposal", "批准了提议"),
    ("asked for other terms", "要求其他条款"),
    (
        "both parties have accepted; negotiations begin",
        "双方已接受，开始签约",
    ),
    ("both parties have signed", "双方已签署"),
    ("finalized", "已达成"),
    ("finalized it", "已达成"),
    (
        "gave up: the term that it was about is over",
        "放弃：所涉期限已过",
    ),
    (
        "not signed: recipients would be sent to a closed door",
        "未签署：收件人会被引到打不开的柜门前",
    ),
    ("offered other terms", "提出其他条款"),
    ("offered what we asked for", "按我方要求报价"),
    ("proposed it", "已提议"),
    ("proposed other terms", "提出其他条款"),
    ("resumed it", "已恢复"),
    ("verified the agreement", "已核实协议"),
    (
        "wants to propose other terms; a second person must approve",
        "拟提出其他条款，需第二人批准",
    ),
];

/// Lines that name something: what stands before and after it, in English and in Chinese. The first that
/// fits counts.
const NAMING: &[([&str; 2], [&str; 2])] = &[
    (
        ["approved what ", " wants to propose"],
        ["批准了 ", " 拟提出的条款"],
    ),
    (
        ["wants to propose ", "; a second person must approve"],
        ["拟提出“", "”，需第二人批准"],
    ),
    (
        ["proposed to both what ", " would accept"],
        ["以 ", " 可接受的条款向双方重新提议"],
    ),
    (["proposed terms, version ", ""], ["提出条款，版本 ", ""]),
    (["asked for ", ""], ["请求：", ""]),
    (["offered ", ""], ["报价：", ""]),
    (["proposed ", ""], ["提出：", ""]),
    (["ended it: ", ""], ["结束：", ""]),
    (["refused it: ", ""], ["拒绝：", ""]),
    (["refused: ", ""], ["拒绝：", ""]),
    (["refused the notice: ", ""], ["拒绝该通知：", ""]),
    (["suspended it: ", ""], ["暂停：", ""]),
    (["superseded by ", ""], ["已被取代：", ""]),
    (["withdrew it: ", ""], ["撤回：", ""]),
    (["would accept other terms: ", ""], ["可接受其他条款：", ""]),
    (["did not take our answer: ", ""], ["未接受我方答复：", ""]),
];

/// Lines that name two things, with what stands before, between and after them.
const NAMING_TWO: &[([&str; 3], [&str; 3])] = &[
    (
        ["terminated it with effect from ", ": ", ""],
        ["自 ", " 起终止：", ""],
    ),
    (
        ["says that ", " contacts released up to ", " are deleted"],
        ["声明截至此时提供的联系方式已删除，数量与时间：", "，", ""],
    ),
];

/// A line in Chinese, if it has words here.
fn chinese(reader: &Reader<'_>, names: &Names, what: &str) -> Option<String> {
    if let Some((_, zh)) = WHOLE.iter().find(|(en, _)| *en == what) {
        return Some((*zh).into());
    }
    let named = |thing: &str| words::dataset(reader, names.of(thing)).to_owned();
    let two = NAMING_TWO
        .iter()
        .find_map(|([before, between, after], zh)| {
            let rest = what.strip_prefix(before)?.strip_suffix(after)?;
            let (first, second) = rest.split_once(between)?;
            let [zh_before, zh_between, zh_after] = zh;
            Some(format!("{zh_before}{first}{zh_between}{second}{zh_after}"))
        });
    two.or_else(|| {
        NAMING
            .iter()
            .find_map(|([before, after], [zh_before, zh_after])| {
                let thing = what.strip_prefix(before)?.strip_suffix(after)?;
                Some(format!("{zh_before}{}{zh_after}", named(thing)))
            })
    })
    .or_else(|| {
        let (who, said) = what.strip_prefix("says that ")?.split_once(' ')?;
        let said = chinese(reader, names, said)?;
        Some(format!("转告：{} {said}", names.of(who)))
    })
}

/// A line in English that names a dataset or somebody by a code, with the word for it.
fn english(reader: &Reader<'_>, names: &Names, what: &str) -> Option<String> {
    let retold = what
        .strip_prefix("says that ")
        .and_then(|rest| rest.split_once(' '))
        .filter(|(who, _)| names.of(who) != *who);
    if let Some((who, said)) = retold {
        let said = english(reader, names, said).unwrap_or_else(|| said.into());
        return Some(format!("says that {} {said}", names.of(who)));
    }
    NAMING.iter().find_map(|([before, after], _)| {
        let thing = what.strip_prefix(before)?.strip_suffix(after)?;
        let named = words::dataset(reader, names.of(thing));
        (named != thing).then(|| format!("{before}{named}{after}"))
    })
}

/// Lines of a history, newest first.
pub(super) fn timeline(reader: &Reader<'_>, names: &Names, lines: &[&LineView]) -> Markup {
    html! {
        ol.timeline {
            @for line in lines.iter().rev() {
                li {
                    time datetime=(line.at.0.to_rfc3339(line.at.1)) {
                        (reader.language.instant(line.at.0, line.at.1))
                    }
                    @match said(reader, names, &line.what) {
                        Some(zh) => span.fact { (zh) },
                        None => span.fact lang="en" { (line.what) },
                    }
                    span.source { (names.of(&line.by)) }
                }
            }
        }
    }
}

fn said(reader: &Reader<'_>, names: &Names, what: &str) -> Option<String> {
    match reader.language {
        Language::Chinese => chinese(reader, names, what),
        Language::English => english(reader, names, what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_said_in_chinese_with_what_people_wrote_as_it_is() {
        let reader = Reader {
            publisher: "菜鸟",
            ..Reader::in_tests(Language::Chinese)
        };
        let sf = ("did:web:sf.example".to_owned(), "顺丰".to_owned());
        let names = Names::new([sf]);
        for (what, zh) in [
            ("both parties have signed", "双方已签署"),
            ("asked for tracking-events", "请求：物流轨迹"),
            ("asked for other terms", "要求其他条款"),
            ("ended it: too late <b>", "结束：too late <b>"),
            (
                "terminated it with effect from 2017-06-01T00:00:00+08:00: why: not",
                "自 2017-06-01T00:00:00+08:00 起终止：why: not",
            ),
            (
                "proposed to both what did:web:sf.example would accept",
                "以 顺丰 可接受的条款向双方重新提议",
            ),
            ("says that did:web:sf.example accepted", "转告：顺丰 已接受"),
            (
                "says that did:web:sf.example would accept other terms: later",
                "转告：顺丰 可接受其他条款：later",
            ),
        ] {
            assert_eq!(said(&reader, &names, what).as_deref(), Some(zh), "{what}");
        }
        assert_eq!(said(&reader, &names, "something new"), None);
        let english = Reader {
            language: Language::English,
            ..reader
        };
        for (what, en) in [
            ("agreed", None),
            ("ended it: too late <b>", None),
            (
                "asked for tracking-events",
                Some("asked for tracking events"),
            ),
            (
                "says that did:web:sf.example accepted",
                Some("says that 顺丰 accepted"),
            ),
            (
                "proposed to both what did:web:sf.example would accept",
                Some("proposed to both what 顺丰 would accept"),
            ),
        ] {
            assert_eq!(said(&english, &names, what).as_deref(), en, "{what}");
        }
    }
}
