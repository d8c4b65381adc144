//! What datasets, states and other codes are called.
//!
//! INVARIANT: a code that has no word here is shown as it was received.

use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::decide::DenialReason;
use interlock_core::terms::{self, Notifier, Purpose, TermClass, TermKey};

use super::frame::Reader;
use crate::pages::layout::Tone;
use crate::pages::{Language, words};

fn of<'a>(
    reader: &Reader<'_>,
    code: &'a str,
    words: &[(&str, &'static str, &'static str)],
) -> &'a str {
    let found = words.iter().find(|(key, _, _)| *key == code);
    found.map_or(code, |&(_, zh, en)| reader.pick(zh, en))
}

/// The language as the terms have it.
pub(super) const fn spoken(reader: &Reader<'_>) -> terms::Language {
    match reader.language {
        Language::Chinese => terms::Language::Zh,
        Language::English => terms::Language::En,
    }
}

/// A dataset.
pub(super) fn dataset<'a>(reader: &Reader<'_>, code: &'a str) -> &'a str {
    let known = Dataset::parse(code);
    known.map_or(code, |dataset| {
        terms::dataset_label(dataset, spoken(reader))
    })
}

/// Who makes a term come true.
pub(super) fn class<'a>(reader: &Reader<'_>, code: &'a str) -> &'a str {
    TermClass::parse(code).map_or(code, |class| class.label(spoken(reader)))
}

/// The name of a term.
pub(super) fn term<'a>(reader: &Reader<'_>, code: &'a str) -> &'a str {
    TermKey::parse(code).map_or(code, |key| key.label(spoken(reader)))
}

/// Why something was denied, and what to do.
pub(super) fn denial<'a>(reader: &Reader<'_>, code: &'a str) -> &'a str {
    match (DenialReason::parse(code), code) {
        (Some(reason), _) => reason.sentence(spoken(reader)),
        (None, "voided") => reader.pick(
            "已决定提供，但协议在送出前终止，没有送出。",
            "It was decided as a release; the term ended before it left, so it did not.",
        ),
        (None, other) => other,
    }
}

/// Why something was denied, without what to do about it.
pub(super) fn denied<'a>(reader: &Reader<'_>, code: &'a str) -> &'a str {
    let whole = denial(reader, code);
    let mark = reader.pick("。", ". ");
    let first = whole.split(mark).next().unwrap_or(whole);
    first.trim_end_matches('.')
}

/// Why parcels did not go into a locker, where it is no denial: code, Chinese, English.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "consent-refused",
        "收件人不同意使用快递柜",
        "The recipient has not agreed to a locker",
    ),
    (
        "consent-unknown",
        "不知道收件人是否同意",
        "Whether the recipient agrees is not known",
    ),
    (
        "consent-no-locker",
        "收件人不要快递柜",
        "The recipient wants no locker",
    ),
    (
        "consent-other-station",
        "收件人指定了其他网点",
        "The recipient wants another station",
    ),
    (
        "consent-not-before",
        "收件人希望晚些送达",
        "The recipient wants it later in the day",
    ),
    (
        "ownership-contested",
        "两方主张此包裹",
        "Two participants claim the parcel",
    ),
    (
        "owner-unknown",
        "不知道包裹属于谁",
        "Nobody knows whose parcel it is",
    ),
    (
        "no-agreement",
        "与包裹归属方没有协议",
        "There is no agreement with the parcel's owner",
    ),
    (
        "code-withheld",
        "通知方拿不到取件码",
        "Whoever would tell the recipient is not given the code",
    ),
    (
        "request-lost",
        "归属方没有我方请求的记录",
        "The owner has no request of ours on record",
    ),
    (
        "transfer-unknown",
        "归属方不认识此协议",
        "The owner does not know the agreement",
    ),
    (
        "transfer-not-started",
        "协议下的数据传输尚未开始",
        "The transfer under the agreement has not begun",
    ),
    ("no-gateway", "无法发送短信", "No messages can be sent"),
];

/// Why a parcel did not go into a locker.
pub(super) fn refused<'a>(reader: &Reader<'_>, code: &'a str) -> &'a str {
    let known = of(reader, code, REFUSED);
    match known == code {
        true => denied(reader, code),
        false => known,
    }
}

/// What data was asked for.
pub(super) fn purpose<'a>(reader: &Reader<'_>, code: &'a str) -> &'a str {
    Purpose::parse(code).map_or(code, |purpose| purpose.label(spoken(reader)))
}

/// Who tells a recipient.
pub(super) fn notifier<'a>(reader: &Reader<'_>, code: &'a str) -> &'a str {
    match (Notifier::parse(code), code) {
        (Some(notifier), _) => notifier.label(spoken(reader)),
        (None, "queued") => reader.pick("待归属方答复", "waits for the owner's answer"),
        (None, "nobody") => reader.pick("没有人", "nobody"),
        (None, other) => other,
    }
}

/// In which form a contact was released.
pub(super) fn contact_form<'a>(reader: &Reader<'_>, code: &'a str) -> &'a str {
    let forms = [
        ContactForm::Masked,
        ContactForm::Sealed,
        ContactForm::Virtual,
        ContactForm::Full,
    ];
    let known = forms.into_iter().find(|form| form.as_str() == code);
    known.map_or(code, |form| words::contact_form(form, reader.language))
}

/// The state of an agreement, with how it looks.
pub(super) fn agreement_state(reader: &Reader<'_>, code: &str) -> (Tone, String) {
    let (tone, zh, en) = match code {
        "FINALIZED" => (Tone::Waiting, "待签署", "to be signed"),
        "SIGNED" => (Tone::Waiting, "已签署，未开始", "signed, not begun"),
        "IN_FORCE" => (Tone::Good, "生效中", "in force"),
        "SUSPENDED" => (Tone::Stopped, "已暂停", "suspended"),
        "RUN_OFF" => (Tone::Soon, "收尾期", "in run-off"),
        "ENDED" => (Tone::Stopped, "已终止", "ended"),
        "SUPERSEDED" => (Tone::Unknown, "已被取代", "superseded"),
        other => return (Tone::Unknown, other.into()),
    };
    (tone, reader.pick(zh, en).into())
}

/// The state of a negotiation.
pub(super) fn negotiation_state<'a>(reader: &Reader<'_>, code: &'a str) -> &'a str {
    of(
        reader,
        code,
        &[
            ("REQUESTED", "对方已请求", "requested"),
            ("OFFERED", "已报价", "offered"),
            ("ACCEPTED", "已接受", "accepted"),
            ("AGREED", "已同意", "agreed"),
            ("VERIFIED", "已核实", "verified"),
            ("FINALIZED", "已达成", "concluded"),
            ("TERMINATED", "已终止", "ended"),
        ],
    )
}

/// Which way data flows, from our side.
pub(super) fn direction(reader: &Reader<'_>, role: &str) -> &'static str {
    match role {
        "provider" => reader.pick("我方提供", "we give"),
        _ => reader.pick("我方获得", "we get"),
    }
}

/// What a change of a term means.
pub(super) fn effect(reader: &Reader<'_>, code: &str) -> (Tone, &'static str) {
    match code {
        "consumer-gets-more" => (
            Tone::Soon,
            reader.pick("获得方得到更多", "the consumer gets more"),
        ),
        "consumer-gets-less" => (
            Tone::Good,
            reader.pick("获得方得到更少", "the consumer gets less"),
        ),
        _ => (Tone::Waiting, reader.pick("其他变化", "another change")),
    }
}

/// What an alert is about.
pub(super) fn alert<'a>(reader: &Reader<'_>, code: &'a str) -> &'a str {
    of(
        reader,
        code,
        &[
            ("contested-ownership", "所有权有争议", "contested ownership"),
            ("recipient-not-told", "收件人未获通知", "recipient not told"),
            ("evidence-mismatch", "证据不一致", "evidence differs"),
            ("order-broken", "顺序错误", "order broken"),
            ("message-refused", "消息被拒", "message refused"),
            ("agreement-ends", "协议即将到期", "agreement ends"),
            ("not-taken", "未被领取", "not taken"),
            ("rolled-back", "记录曾丢失", "rolled back"),
            ("not-compared", "尚未比对", "not compared"),
            ("mediation", "调解待处理", "mediation"),
            ("clock-doubted", "时钟存疑", "clock in doubt"),
            ("erasure-refused", "删除被拒", "deletion refused"),
            ("key-rotated", "签名密钥已更换", "signing key rotated"),
            (
                "suspension-announced",
                "对方预告暂停",
                "suspension announced",
            ),
            ("over-collection", "查询超出投柜", "asked beyond deposits"),
            (
                "telephone-key",
                "新增电话系统密钥",
                "key for telephone calls",
            ),
            (
                "calls-to-nobody",
                "大量来电无人可接",
                "many calls to nobody",
            ),
            ("door-stuck", "取件人反映柜门打不开", "a door does not open"),
            (
                "compartment-empty",
                "取件人反映格口是空的",
                "a compartment is empty",
            ),
        ],
    )
}

/// The phase of a stay in a locker.
pub(super) fn phase<'a>(reader: &Reader<'_>, code: &'a str) -> &'a str {
    of(
        reader,
        code,
        &[
            ("arrived", "已到站", "arrived"),
            ("reserved", "已预留格口", "compartment reserved"),
            ("notified", "已通知收件人", "recipient told"),
            ("deposited", "已投柜", "deposited"),
            ("overdue", "逾期", "overdue"),
            ("picked-up", "已取件", "picked up"),
            ("recalled", "已取回", "taken back"),
            ("redirected", "已转投", "sent on"),
            ("cancelled", "已取消", "cancelled"),
            ("refused", "未投柜", "refused"),
            ("opened", "柜门已开", "door open"),
        ],
    )
}

/// A size class.
pub(super) fn size(reader: &Reader<'_>, code: &str) -> &'static str {
    match code {
        "small" => reader.pick("小格口", "small"),
        "medium" => reader.pick("中格口", "medium"),
        _ => reader.pick("大格口", "large"),
    }
}
