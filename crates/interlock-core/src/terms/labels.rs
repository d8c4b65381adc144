//! The words of the profile in English and Chinese, and how numbers and spans are shown.
//!
//! INVARIANT: labels are for people; nothing parses them.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Language;
use super::vocabulary::{Backlog, EvidenceKind, Field, Notifier, Purpose, TermClass, TermKey};
use crate::contact::ContactForm;
use crate::dataset::Dataset;
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};

const fn pick(language: Language, en: &'static str, zh: &'static str) -> &'static str {
    match language {
        Language::En => en,
        Language::Zh => zh,
    }
}

impl Purpose {
    /// The purpose in plain words.
    pub const fn label(self, language: Language) -> &'static str {
        let (en, zh) = match self {
            Self::DepositConsent => ("asking whether a locker is welcome", "确认收件人同意投柜"),
            Self::PickupNotification => ("telling the recipient to pick up", "取件通知"),
            Self::CourierCall => ("a call by the courier", "快递员致电"),
            Self::DeliveryTracking => (
                "showing a parcel to its recipient and merchant",
                "向收件人和商家展示物流",
            ),
            Self::LockerOperation => ("running lockers", "快递柜运营"),
            Self::Ownership => ("knowing whose parcel it is", "确认包裹归属"),
            Self::Mediation => ("mediation", "调解"),
            Self::Statistics => ("statistics", "统计"),
            Self::Marketing => ("marketing", "营销"),
        };
        pick(language, en, zh)
    }
}

impl Field {
    /// The field in plain words.
    pub const fn label(self, language: Language) -> &'static str {
        let (en, zh) = match self {
            Self::Waybill => ("waybill", "运单号"),
            Self::Step => ("what happened", "事件"),
            Self::EventTime => ("when it happened", "事件时间"),
            Self::Number => ("number of the event", "事件序号"),
            Self::Station => ("locker station", "快递柜"),
            Self::SizeClass => ("size class", "格口规格"),
            Self::Place => ("place", "地点"),
            Self::Owner => ("owner", "归属方"),
            Self::Marketplace => ("marketplace", "平台"),
            Self::Contact => ("contact", "联系方式"),
            Self::Name => ("name", "名称"),
            Self::Consent => ("consent to a locker", "投柜同意"),
            Self::Preference => ("preferred way to be told", "通知偏好"),
            Self::Code => ("pick-up code", "取件码"),
            Self::Compartment => ("compartment", "格口"),
            Self::Deadline => ("pick-up deadline", "取件截止时间"),
            Self::Position => ("position", "位置"),
            Self::State => ("state", "状态"),
            Self::Availability => ("free space in three levels", "余格（三档）"),
            Self::Capacity => ("installed compartments", "格口总数"),
            Self::ManifestHash => ("hash of the manifest", "清单摘要"),
            Self::Parties => ("parties", "双方"),
            Self::End => ("end", "到期时间"),
            Self::FeedAge => ("age of the feeds", "数据时延"),
            Self::Period => ("period", "统计周期"),
            Self::Measure => ("what is counted", "统计项"),
            Self::Count => ("count", "数量"),
        };
        pick(language, en, zh)
    }
}

impl EvidenceKind {
    /// The evidence in plain words.
    pub const fn label(self, language: Language) -> &'static str {
        let (en, zh) = match self {
            Self::Arrival => ("its arrival scan", "到站扫描"),
            Self::Deposit => ("its deposit", "投柜记录"),
        };
        pick(language, en, zh)
    }
}

impl Notifier {
    /// The notifier in plain words.
    pub const fn label(self, language: Language) -> &'static str {
        let (en, zh) = match self {
            Self::Operator => ("the locker operator", "快递柜运营方"),
            Self::Owner => ("the parcel's owner", "包裹归属方"),
            Self::Carrier => ("the carrier", "快递公司"),
        };
        pick(language, en, zh)
    }
}

impl Backlog {
    /// The answer in plain words.
    pub const fn label(self, language: Language) -> &'static str {
        let (en, zh) = match self {
            Self::Hold => ("held", "保留"),
            Self::Drop => ("dropped", "丢弃"),
        };
        pick(language, en, zh)
    }
}

impl TermKey {
    /// The name of the term for people.
    pub const fn label(self, language: Language) -> &'static str {
        let (en, zh) = match self {
            Self::Dataset => ("data", "数据"),
            Self::Term => ("term", "期限"),
            Self::Purpose => ("purpose", "用途"),
            Self::Scope => ("scope", "范围"),
            Self::Fields => ("fields", "字段"),
            Self::ContactForm => ("contact form", "联系方式形式"),
            Self::QuotaPerDay => ("quota a day", "每日额度"),
            Self::QuotaPerParcel => ("quota a parcel", "单件额度"),
            Self::Evidence => ("evidence", "凭据"),
            Self::Notifier => ("who tells the recipient", "通知方"),
            Self::RunOff => ("run-off", "收尾期"),
            Self::Backlog => ("backlog", "积压"),
            Self::CoversFrom => ("coverage", "覆盖起点"),
            Self::Deletion => ("deletion", "删除"),
            Self::Reciprocity => ("reciprocity", "对等"),
            Self::Redisclosure => ("passing on", "再披露"),
        };
        pick(language, en, zh)
    }
}

impl TermClass {
    /// Who makes the term come true, in plain words.
    pub const fn label(self, language: Language) -> &'static str {
        let (en, zh) = match self {
            Self::Provider => ("enforced by the provider", "由提供方执行"),
            Self::ConsumerNode => ("enforced by the consumer's node", "由使用方节点执行"),
            Self::Promised => ("promised", "承诺"),
        };
        pick(language, en, zh)
    }
}

/// The dataset in plain words.
pub const fn dataset_label(dataset: Dataset, language: Language) -> &'static str {
    let (en, zh) = match dataset {
        Dataset::PreAdvice => ("advice of parcels on their way", "在途预报"),
        Dataset::RecipientContact => ("contacts of recipients", "收件人联系方式"),
        Dataset::LockerEvents => ("locker events", "快递柜事件"),
        Dataset::PickupCode => ("pick-up codes", "取件码"),
        Dataset::LockerStations => ("locker stations", "快递柜信息"),
        Dataset::TrackingEvents => ("tracking events", "物流轨迹"),
        Dataset::CooperationStatus => ("state of the cooperation", "合作状态"),
        Dataset::ExchangeStatistics => ("statistics of the exchange", "交换统计"),
    };
    pick(language, en, zh)
}

/// The form in plain words; a code has forms too.
pub(super) const fn form_label(form: ContactForm, code: bool, language: Language) -> &'static str {
    let (en, zh) = match (form, code) {
        (ContactForm::Masked, _) => ("masked", "脱敏号码"),
        (ContactForm::Sealed, false) => ("sealed to a messenger", "仅短信服务方可解密"),
        (ContactForm::Sealed, true) => ("sealed to the recipient", "仅收件人可解密"),
        (ContactForm::Virtual, _) => ("virtual number", "虚拟号码"),
        (ContactForm::Full, false) => ("full number", "完整号码"),
        (ContactForm::Full, true) => ("open code", "明文取件码"),
    };
    pick(language, en, zh)
}

/// Items in a row: `a, b and c`, in Chinese `a、b、c`, and `a或b` for alternatives.
pub(super) fn row(items: &[&str], last: &str, language: Language) -> String {
    match (language, items) {
        (Language::Zh, _) => items.join(if last == "or" { "或" } else { "、" }),
        (Language::En, []) => String::new(),
        (Language::En, [one]) => (*one).into(),
        (Language::En, [first @ .., end]) => format!("{} {last} {end}", first.join(", ")),
    }
}

/// `1,234` in both languages.
pub(super) fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A span in plain words: `3 days`, `1 day 12 hours`.
pub(super) fn span(ms: i64, language: Language) -> String {
    let units = [
        (DAY_MS, "day", "天"),
        (HOUR_MS, "hour", "小时"),
        (MINUTE_MS, "minute", "分钟"),
        (SECOND_MS, "second", "秒"),
    ];
    let mut rest = ms.max(0);
    let mut parts: Vec<String> = Vec::new();
    for (unit_ms, en, zh) in units {
        let count = rest / unit_ms;
        rest %= unit_ms;
        match (count, language) {
            (0, _) => {}
            (_, Language::Zh) => parts.push(format!("{count} {zh}")),
            (1, Language::En) => parts.push(format!("1 {en}")),
            (_, Language::En) => parts.push(format!("{count} {en}s")),
        }
    }
    if parts.is_empty() {
        return pick(language, "less than a second", "不足 1 秒").into();
    }
    parts.join(" ")
}
