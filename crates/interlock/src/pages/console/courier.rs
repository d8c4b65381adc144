//! Which compartment?
//!
//! INVARIANT: one step a screen, and the field that a scanner types into has the focus; a form carries
//! an idempotency key, so that a double scan opens one door. Phones are masked, names are not shown.

use maud::{Markup, html};
use serde::Deserialize;

use super::frame::{Reader, Section, Sheet, sheet};
use super::parcels::DepositView;
use super::parts::{empty, facts, headline, state, summary, table, when};
use super::values::grouped;
use super::words;
use crate::node::io::Problem;
use crate::pages::Language;
use crate::pages::layout::Tone;

/// A courier's open deposits.
#[derive(Debug, Deserialize)]
pub struct RoundView {
    items: Vec<OpenView>,
}

#[derive(Debug, Deserialize)]
struct OpenView {
    waybill: Option<String>,
    #[serde(flatten)]
    deposit: DepositView,
}

/// What the courier filled in, to be shown again.
#[derive(Clone, Debug, Default)]
pub struct ScanView {
    /// Idempotency key of the form.
    pub key: String,
    /// Station.
    pub station: String,
    /// Waybill; empty for the next parcel.
    pub waybill: String,
    /// Size class.
    pub size: String,
    /// Claim token of the label.
    pub claim: String,
    /// Whether the recipient's number may be typed: nobody knows whose parcel it is.
    pub wants_contact: bool,
    /// What was done last, in a word.
    pub done: Option<&'static str>,
}

/// Other stations with a compartment free.
#[derive(Debug, Deserialize)]
pub struct NearView {
    stations: Vec<NearStation>,
}

#[derive(Debug, Deserialize)]
struct NearStation {
    id: String,
    metres: u64,
    free: u64,
}

impl NearView {
    /// Where else a parcel of this size goes, in words.
    pub fn lines(&self, reader: &Reader<'_>, size: &str) -> Vec<String> {
        let size = words::size(reader, size);
        let lines = self.stations.iter().map(|near| {
            let NearStation { id, metres, free } = near;
            match reader.language {
                Language::Chinese => format!("{metres} 米外 {id} 号柜余 {free} 个{size}。"),
                Language::English => format!("Station {id}, {metres} m: {free} {size}."),
            }
        });
        lines.collect()
    }
}

/// The code of the reason why nobody can tell the recipient, which stands in brackets.
pub fn refusal_code(detail: &str) -> &str {
    let code = detail
        .rsplit_once('(')
        .and_then(|(_, rest)| rest.split_once(')'));
    code.map_or("", |(code, _)| code)
}

/// Codes, and what is said of them in Chinese and English.
type Said = (&'static [&'static str], &'static str, &'static str);

/// Why nobody can tell the recipient, by the code of the reason, in the courier's words.
const UNTOLD: &[Said] = &[
    (
        &["consent-refused", "consent-unknown", "consent-no-locker"],
        "请勿投柜：收件人未同意使用快递柜。请按地址投递。",
        "Don't use the locker: the recipient has not agreed to it. Deliver to the address.",
    ),
    (
        &["suspended"],
        "请勿投柜：与平台的协议已暂停，无人通知收件人。请按地址投递。",
        "Don't use the locker: the agreement with the parcel's owner is suspended, and nobody can tell the recipient. Deliver to the address.",
    ),
    (
        &[
            "term-ended",
            "not-in-run-off",
            "run-off-ended",
            "no-agreement",
        ],
        "请勿投柜：与平台的协议已终止，无人通知收件人。请按地址投递。",
        "Don't use the locker: the agreement with the parcel's owner is over, and nobody can tell the recipient. Deliver to the address.",
    ),
    (
        &["owner-unknown"],
        "不知道包裹属于谁。可输入收件人号码由我方通知，否则请按地址投递。",
        "Nobody knows whose parcel this is. Type the recipient's number and we tell them, or deliver to the address.",
    ),
    (
        &["consent-other-station"],
        "请勿投此柜：收件人指定了其他网点。请投到该网点或按地址投递。",
        "Not this locker: the recipient wants another station. Use that one, or deliver to the address.",
    ),
    (
        &["consent-not-before"],
        "现在请勿投柜：收件人希望晚些送达。请稍后再投或按地址投递。",
        "Not now: the recipient wants it later in the day. Come again later, or deliver to the address.",
    ),
    (
        &["ownership-contested"],
        "请勿投柜：两方主张此包裹，无人可通知收件人。请按地址投递。",
        "Don't use the locker: two companies claim this parcel. Deliver to the address.",
    ),
    (
        &["no-gateway"],
        "请勿投柜：目前无法发送短信。请按地址投递，并告知站点。",
        "Don't use the locker: no messages can be sent at the moment. Deliver to the address, and tell your depot.",
    ),
    (
        &["code-withheld"],
        "请勿投柜：负责通知收件人的一方拿不到取件码。请按地址投递。",
        "Don't use the locker: whoever would tell the recipient isn't given the code. Deliver to the address.",
    ),
    (
        &["quota-per-day"],
        "请勿投柜：平台今日的查询额度已用完。请按地址投递。",
        "Don't use the locker: the owner's limit for today is used up. Deliver to the address.",
    ),
];

/// Why else no door opened, by the kind of the problem.
const OTHERS: &[Said] = &[
    (
        &["station-full", "no-compartment"],
        "此尺寸的格口已满。请换一个尺寸或网点。",
        "No compartment of this size is free. Choose another size or station.",
    ),
    (
        &["unknown-station", "no-station"],
        "没有此网点。请扫描柜上的网点编号。",
        "There is no such station. Scan the number on the locker.",
    ),
    (
        &["no-waybill"],
        "不是我们认识的运单号。请重新扫描，或写成“快递公司/单号”。",
        "That is no waybill that we know. Scan it again, or write carrier/number.",
    ),
    (
        &["no-size"],
        "请选择格口尺寸。",
        "Choose small, medium or large.",
    ),
    (
        &["no-claim"],
        "认领码应为 32 位。请重新扫描。",
        "The claim token has 32 digits. Scan it again.",
    ),
    (
        &["no-phone"],
        "不是手机号码。请按面单输入。",
        "That is no phone number. Type it as on the label.",
    ),
    (
        &["already-deposited"],
        "此包裹已在柜中，没有再开柜。请核对运单号。",
        "This parcel is in a locker already; no door was opened. Check the waybill.",
    ),
];

fn said(table: &[Said], code: &str) -> Option<(&'static str, &'static str)> {
    let found = table.iter().find(|(codes, _, _)| codes.contains(&code));
    found.map(|&(_, zh, en)| (zh, en))
}

/// Why a parcel was not deposited, in the courier's words.
fn refusal(reader: &Reader<'_>, problem: &Problem) -> String {
    let found = match problem.kind.as_str() {
        "nobody-can-tell" => Some(said(UNTOLD, refusal_code(&problem.detail)).unwrap_or((
            "请勿投柜：没有人能通知收件人。请按地址投递。",
            "Don't use the locker: nobody can tell the recipient. Deliver to the address.",
        ))),
        kind => said(OTHERS, kind),
    };
    match (found, reader.language) {
        (Some((zh, en)), language) => language.pick(zh, en).to_owned(),
        (None, Language::Chinese) => format!("没有开柜。{}", problem.detail),
        (None, Language::English) => problem.detail.clone(),
    }
}

/// The first screen: scan, station, size; below it what lies in lockers.
// tidy: long, one page from top to bottom
pub fn courier_page(
    reader: &Reader<'_>,
    scan: &ScanView,
    round: &RoundView,
    trouble: Option<&Problem>,
    instead: &[String],
) -> Markup {
    let title = reader.pick("投柜", "Deposit");
    let titled = match trouble {
        Some(_) => reader.pick("出错：投柜", "Error: Deposit"),
        None => title,
    };
    let main = html! {
        @if let Some(trouble) = trouble {
            (summary(reader, &html! {
                (refusal(reader, trouble))
                @for text in instead { " " (text) }
            }, Some("waybill")))
        }
        @if let Some(done) = scan.done { (super::parts::done(done)) }
        h1 { (title) }
        form.sheet.big method="post" action="/courier/deposits" {
            (reader.mark())
            input type="hidden" name="key" value=(scan.key);
            div.field {
                label for="waybill" { (reader.pick("扫描或输入运单号", "Scan or type the waybill")) }
                input #waybill name="waybill" type="text" autocomplete="off" inputmode="text" required
                    maxlength="64" value=(scan.waybill) autofocus[trouble.is_none()]
                    aria-invalid=[trouble.map(|_| "true")];
            }
            div.field {
                label for="station" { (reader.pick("网点编号", "Station")) }
                input #station name="station" type="text" autocomplete="off" required maxlength="64" value=(scan.station);
            }
            fieldset {
                legend { (reader.pick("格口尺寸", "Size")) }
                @for size in ["small", "medium", "large"] {
                    label.choice {
                        input type="radio" name="size" value=(size) required
                            checked[size == scan.size || (scan.size.is_empty() && size == "small")];
                        (words::size(reader, size))
                    }
                }
            }
            @if scan.wants_contact {
                div.field {
                    label for="contact" { (reader.pick("收件人手机号（面单上）", "Recipient's number (on the label)")) }
                    input #contact name="contact" type="tel" autocomplete="off" maxlength="20";
                }
            }
            details open[!scan.claim.is_empty()] {
                summary { (reader.pick("面单上的认领码", "Claim token of the label")) }
                div.field {
                    label for="claim" { (reader.pick("认领码（32 位）", "Claim token (32 digits)")) }
                    input #claim name="claim" type="text" autocomplete="off" maxlength="32" value=(scan.claim);
                }
            }
            button type="submit" { (reader.pick("开柜", "Open a compartment")) }
        }
        (round_list(reader, round))
    };
    sheet(
        reader,
        &Sheet {
            title: titled,
            section: Section::Courier,
            wide: false,
        },
        &main,
    )
}

fn round_list(reader: &Reader<'_>, round: &RoundView) -> Markup {
    let rows = html! {
        @for open in &round.items {
            @let overdue = open.deposit.state == "overdue";
            tr {
                th scope="row" {
                    a href={ "/courier/deposits/" (open.deposit.id) } {
                        @match &open.waybill {
                            Some(waybill) => code { (waybill) },
                            None => (reader.pick("打开", "Open")),
                        }
                    }
                }
                td { (state(if overdue { Tone::Soon } else { Tone::Good }, words::phase(reader, &open.deposit.state))) }
                td { (open.deposit.station) " · " (open.deposit.compartment) }
                td { @if let Some(until) = open.deposit.pickup_until { (when(reader, until)) } }
            }
        }
    };
    let number = round.items.len() as u64;
    let overdue = round
        .items
        .iter()
        .filter(|o| o.deposit.state == "overdue")
        .count();
    html! {
        h2 { (reader.pick("我在柜中的包裹", "Your parcels in lockers")) }
        @if round.items.is_empty() {
            (empty(reader.pick("没有。投柜后会列在这里，直到取走。", "None. What you deposit is listed here until it is taken out.")))
        } @else {
            p {
                @match reader.language {
                    Language::Chinese => {
                        (grouped(number)) " 件，"
                        @match overdue {
                            0 => "均未逾期。",
                            n => { "其中 " (n) " 件逾期需取回。" }
                        }
                    }
                    Language::English => {
                        (grouped(number)) (if number == 1 { " parcel" } else { " parcels" })
                        @match overdue {
                            0 => ", none of them overdue.",
                            n => { ", " (n) " overdue: take " (if n == 1 { "it" } else { "them" }) " back." }
                        }
                    }
                }
            }
            (table("round", reader.pick("先到期的在前", "What ends first is first"), &[
                reader.pick("运单", "Waybill"),
                reader.pick("状态", "State"),
                reader.pick("网点与格口", "Station and compartment"),
                reader.pick("取件截止", "Pick up by"),
            ], &rows))
        }
    }
}

/// How to reach the recipient: a number that can be called leads to the telephone, a masked one does not.
fn contact(reader: &Reader<'_>, phone: Option<&str>) -> Markup {
    let Some(phone) = phone else {
        return html! { (reader.pick("不显示", "not shown")) };
    };
    if phone.contains('*') {
        return html! { (phone) };
    }
    let (number, extension) = phone.split_once(',').unwrap_or((phone, ""));
    html! {
        a href={ "tel:" (phone) } { span.instant { (number) } }
        @if !extension.is_empty() {
            (reader.pick("，分机 ", ", extension "))
            strong.instant { (extension) }
        }
    }
}

/// A deposit: which compartment, and the next step.
// tidy: long, one page from top to bottom
pub fn deposit_page(
    reader: &Reader<'_>,
    deposit: &DepositView,
    trouble: Option<&Problem>,
) -> Markup {
    let waits = deposit.state == "reserved";
    let (tone, title) = match deposit.state.as_str() {
        "reserved" => (
            Tone::Waiting,
            reader.pick("放入并关门", "Put it in and close the door"),
        ),
        "deposited" | "notified" => (Tone::Good, reader.pick("已投柜", "Deposited")),
        "overdue" => (
            Tone::Soon,
            reader.pick("逾期，请取回", "Overdue: take it back"),
        ),
        "refused" => (
            Tone::Stopped,
            reader.pick("请按地址投递", "Deliver to the address"),
        ),
        other => (Tone::Unknown, words::phase(reader, other)),
    };
    let lead = match (deposit.notifier.as_str(), reader.language) {
        ("operator", Language::Chinese) => "由快递柜运营商通知收件人。",
        ("operator", Language::English) => "The locker operator tells the recipient.",
        ("owner", Language::Chinese) => "由平台通知收件人。",
        ("owner", Language::English) => "The platform tells the recipient.",
        ("carrier", Language::Chinese) => "由快递公司通知收件人。",
        ("carrier", Language::English) => "The carrier tells the recipient.",
        ("queued", Language::Chinese) => "平台答复较慢；答复后立即通知收件人。",
        ("queued", Language::English) => {
            "The platform is slow; the recipient is told as soon as it answers."
        }
        (_, Language::Chinese) => "没有人能通知收件人。",
        (_, Language::English) => "Nobody can tell the recipient.",
    };
    let path = format!("/courier/deposits/{}", deposit.id);
    let act = |act: &str, class: &'static str, word: &str| {
        html! {
            form method="post" action={ (path) "/" (act) } {
                (reader.mark())
                input type="hidden" name="station" value=(deposit.station);
                input type="hidden" name="size" value=(deposit.size);
                button.(class) type="submit" autofocus[act == "confirm"] { (word) }
            }
        }
    };
    let main = html! {
        @if let Some(trouble) = trouble {
            (summary(reader, &super::problems::words(reader, trouble), None))
        }
        (headline(tone, title, &html! { (lead) }))
        section.code aria-label=(reader.pick("格口", "Compartment")) {
            h2 { (reader.pick("格口", "Compartment")) }
            p.digits { (deposit.compartment) }
            p { (words::size(reader, &deposit.size)) }
        }
        div.big {
            @if waits {
                (act("confirm", "go", reader.pick("门已关好，下一件", "The door is closed, next parcel")))
                (act("cancel", "danger", reader.pick("放不下或门坏，换一个", "It doesn't fit or the door is stuck: another one")))
            } @else if matches!(deposit.state.as_str(), "deposited" | "notified" | "overdue") {
                (act("recall", "danger", reader.pick("我已取回此包裹", "I took this parcel back")))
            }
            p { a href={ "/courier?station=" (crate::identity::url::segment(&deposit.station)) } { (reader.pick("返回扫描", "Back to scanning")) } }
        }
        (facts(&[
            (reader.pick("网点", "Station"), html! { (deposit.station) }),
            (reader.pick("状态", "State"), html! { (words::phase(reader, &deposit.state)) }),
            (reader.pick("联系", "Contact"), contact(reader, deposit.phone.as_deref())),
        ]))
    };
    sheet(
        reader,
        &Sheet {
            title,
            section: Section::Courier,
            wide: false,
        },
        &main,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_code_in_brackets() {
        let said = "do not use the locker: the agreement (old) is suspended (suspended); deliver to the address";
        assert_eq!(refusal_code(said), "suspended");
        assert_eq!(refusal_code("no brackets"), "");
        assert_eq!(refusal_code("one ( only"), "");
    }
}
