//! Terms in plain words, for whoever approves them.
//!
//! INVARIANT: every term that is agreed on gives a line, and so does every protection that is absent
//! where one would expect it; nothing is said that the terms do not say.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::labels::{dataset_label, form_label, grouped, row, span};
use super::operand::{Operand, write_duration};
use super::vocabulary::{Backlog, TermClass, TermKey};
use super::{Language, Terms};
use crate::dataset::{Dataset, DatasetForm};

/// One term as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermLine {
    /// Which term.
    pub key: TermKey,
    /// Who makes it come true.
    pub class: TermClass,
    /// A sentence.
    pub text: String,
    /// The same in ODRL; empty if the line says that something is not agreed on.
    pub odrl: String,
}

/// The terms line by line, in the order of [`TermKey`].
pub fn describe(terms: &Terms, language: Language) -> Vec<TermLine> {
    TermKey::ALL
        .iter()
        .filter_map(|key| {
            let text = match value(terms, *key, language) {
                Some(value) => sentence(terms, *key, &value, language),
                None => absence(terms, *key, language)?.into(),
            };
            Some(TermLine {
                key: *key,
                class: key.class(),
                text,
                odrl: odrl(terms, *key),
            })
        })
        .collect()
}

/// One paragraph about the whole.
pub fn summary(terms: &Terms, provider: &str, consumer: &str, language: Language) -> String {
    let data = dataset_label(terms.dataset, language);
    let opening = match language {
        Language::En => format!("{provider} releases {data} to {consumer}."),
        Language::Zh => format!("{provider}向{consumer}提供{data}。"),
    };
    let separator = match language {
        Language::En => " ",
        Language::Zh => "",
    };
    let mut parts: Vec<String> = [opening].into();
    parts.extend(
        describe(terms, language)
            .into_iter()
            .filter(|line| line.key != TermKey::Dataset)
            .map(|line| line.text),
    );
    parts.join(separator)
}

/// What is agreed on for a term, without a sentence around it; `None` if nothing is.
pub(super) fn value(terms: &Terms, key: TermKey, language: Language) -> Option<String> {
    let named =
        |items: Vec<&str>, last: &str| (!items.is_empty()).then(|| row(&items, last, language));
    let at = |instant: crate::time::Timestamp| instant.to_display(terms.zone);
    match key {
        TermKey::Dataset => Some(dataset_label(terms.dataset, language).into()),
        TermKey::Term => Some(match language {
            Language::En => format!("from {} until {}", at(terms.from), at(terms.until)),
            Language::Zh => format!("{} 至 {}", at(terms.from), at(terms.until)),
        }),
        TermKey::Purpose => named(
            terms.purposes.iter().map(|p| p.label(language)).collect(),
            "and",
        ),
        TermKey::Scope => named(
            terms.marketplaces.iter().map(|m| m.as_str()).collect(),
            "and",
        ),
        TermKey::Fields => named(
            terms.fields.iter().map(|f| f.label(language)).collect(),
            "and",
        ),
        TermKey::ContactForm => {
            let code = terms.dataset == Dataset::PickupCode;
            let forms = terms.contact_forms.iter();
            named(
                forms.map(|f| form_label(*f, code, language)).collect(),
                "or",
            )
        }
        TermKey::QuotaPerDay => terms.quota_per_day.map(grouped),
        TermKey::QuotaPerParcel => terms.quota_per_parcel.map(grouped),
        TermKey::Evidence => named(
            terms.evidence.iter().map(|e| e.label(language)).collect(),
            "or",
        ),
        TermKey::Notifier => terms.notifier.map(|n| n.label(language).into()),
        TermKey::RunOff => terms.run_off_ms.map(|ms| span(ms, language)),
        TermKey::Backlog => terms.backlog.map(|b| b.label(language).into()),
        TermKey::CoversFrom => terms.covers_from.map(at),
        TermKey::Deletion => terms.delete_after_ms.map(|ms| span(ms, language)),
        TermKey::Reciprocity => yes(terms.reciprocate, language),
        TermKey::Redisclosure => yes(terms.no_redisclosure, language),
    }
}

fn yes(agreed: bool, language: Language) -> Option<String> {
    let text = match language {
        Language::En => "agreed",
        Language::Zh => "已约定",
    };
    agreed.then(|| text.into())
}

fn sentence(terms: &Terms, key: TermKey, value: &str, language: Language) -> String {
    match language {
        Language::En => sentence_en(terms, key, value),
        Language::Zh => sentence_zh(terms, key, value),
    }
}

fn sentence_en(terms: &Terms, key: TermKey, value: &str) -> String {
    match key {
        TermKey::Dataset => format!("What flows: {value}."),
        TermKey::Term => format!("In force {value}, the last instant not included."),
        TermKey::Purpose => format!(
            "For {value} only. The provider denies any other stated purpose; that the data is used for nothing else is promised."
        ),
        TermKey::Scope => format!("Only for parcels of {value}."),
        TermKey::Fields => format!("These fields leave: {value}. No others do."),
        TermKey::ContactForm if terms.dataset == Dataset::PickupCode => {
            format!("The code leaves as: {value}; the most restrictive that serves.")
        }
        TermKey::ContactForm => {
            format!("The contact leaves as: {value}; the most restrictive that serves.")
        }
        TermKey::QuotaPerDay => {
            format!("At most {value} different parcels a day ({}).", terms.zone)
        }
        TermKey::QuotaPerParcel => format!("At most {value} releases for each parcel."),
        TermKey::Evidence => format!("Only for a parcel with signed evidence: {value}."),
        TermKey::Notifier => format!("The recipient is told by {value}."),
        TermKey::RunOff => format!(
            "Run-off: parcels that qualified before the end are served for {value} after it."
        ),
        TermKey::Backlog => match terms.backlog {
            Some(Backlog::Drop) => {
                "What arises while nothing is in force is dropped and never released.".into()
            }
            Some(Backlog::Hold) | None => {
                "What arises while nothing is in force is held for an agreement that covers it.".into()
            }
        },
        TermKey::CoversFrom => format!("What arose since {value} flows too, by these terms."),
        TermKey::Deletion => format!("The consumer deletes it within {value} and attests to that."),
        TermKey::Reciprocity => "If one side stops by a signed act, the other may stop too, with at least 72 hours' notice; run-off and messages to recipients go on.".into(),
        TermKey::Redisclosure => {
            "It isn't passed on, except to the parcel's own recipient and merchant.".into()
        }
    }
}

fn sentence_zh(terms: &Terms, key: TermKey, value: &str) -> String {
    match key {
        TermKey::Dataset => format!("数据：{value}。"),
        TermKey::Term => format!("有效期 {value}，不含截止时刻。"),
        TermKey::Purpose => {
            format!("仅用于：{value}。提供方拒绝其他声明用途；不作他用为承诺。")
        }
        TermKey::Scope => format!("仅限 {value} 的包裹。"),
        TermKey::Fields => format!("仅提供以下字段：{value}。"),
        TermKey::ContactForm if terms.dataset == Dataset::PickupCode => {
            format!("取件码的提供形式：{value}，取满足用途的最严格形式。")
        }
        TermKey::ContactForm => {
            format!("联系方式的提供形式：{value}，取满足用途的最严格形式。")
        }
        TermKey::QuotaPerDay => format!("每日（{}）最多 {value} 个不同包裹。", terms.zone),
        TermKey::QuotaPerParcel => format!("每个包裹最多提供 {value} 次。"),
        TermKey::Evidence => format!("须有该包裹的签名凭据：{value}。"),
        TermKey::Notifier => format!("由{value}通知收件人。"),
        TermKey::RunOff => format!("收尾期：到期前已符合条件的包裹，到期后继续服务 {value}。"),
        TermKey::Backlog => match terms.backlog {
            Some(Backlog::Drop) => "无有效协议期间产生的数据将丢弃，不再提供。".into(),
            Some(Backlog::Hold) | None => {
                "无有效协议期间产生的数据将保留，待有协议覆盖时提供。".into()
            }
        },
        TermKey::CoversFrom => format!("自 {value} 起产生的数据也按本条款提供。"),
        TermKey::Deletion => format!("使用方在 {value}内删除并出具声明。"),
        TermKey::Reciprocity => {
            "一方以签名方式停止后，另一方可对等停止，须至少提前 72 小时通知；不影响收尾期和收件人通知。".into()
        }
        TermKey::Redisclosure => "不得再披露，仅可向包裹的收件人和商家展示。".into(),
    }
}

/// What an approver should know is not agreed on.
fn absence(terms: &Terms, key: TermKey, language: Language) -> Option<&'static str> {
    let parcel_data = terms.dataset.is_parcel_data();
    let lookup = terms.dataset.form() == DatasetForm::Lookup;
    let (en, zh) = match key {
        TermKey::QuotaPerDay if lookup => ("No limit a day.", "无每日额度限制。"),
        TermKey::RunOff if parcel_data => (
            "No run-off: at the end everything stops, for every parcel.",
            "无收尾期：到期后所有包裹立即停止提供。",
        ),
        TermKey::Deletion if parcel_data => ("Deletion isn't agreed on.", "未约定删除。"),
        TermKey::Redisclosure if parcel_data => ("Passing on isn't prohibited.", "未禁止再披露。"),
        TermKey::Dataset
        | TermKey::Term
        | TermKey::Purpose
        | TermKey::Scope
        | TermKey::Fields
        | TermKey::ContactForm
        | TermKey::QuotaPerDay
        | TermKey::QuotaPerParcel
        | TermKey::Evidence
        | TermKey::Notifier
        | TermKey::RunOff
        | TermKey::Backlog
        | TermKey::CoversFrom
        | TermKey::Deletion
        | TermKey::Reciprocity
        | TermKey::Redisclosure => return None,
    };
    Some(match language {
        Language::En => en,
        Language::Zh => zh,
    })
}

/// The term as it stands in the policy, short enough to read.
fn odrl(terms: &Terms, key: TermKey) -> String {
    let constraint = |operand: Operand| {
        terms
            .constraint_text(operand)
            .map_or_else(String::new, |right| {
                format!("{} {} {right}", operand.short(), operand.operator())
            })
    };
    match key {
        TermKey::Dataset => format!("odrl:target {}", terms.dataset),
        TermKey::Term => format!(
            "{}; {}",
            constraint(Operand::From),
            constraint(Operand::Until)
        ),
        TermKey::Purpose => constraint(Operand::Purpose),
        TermKey::Scope => constraint(Operand::Marketplace),
        TermKey::Fields => constraint(Operand::Field),
        TermKey::ContactForm => constraint(Operand::ContactForm),
        TermKey::QuotaPerDay => constraint(Operand::QuotaPerDay),
        TermKey::QuotaPerParcel => constraint(Operand::QuotaPerParcel),
        TermKey::Evidence => constraint(Operand::Evidence),
        TermKey::Notifier => constraint(Operand::Notifier),
        TermKey::RunOff => constraint(Operand::RunOff),
        TermKey::Backlog => constraint(Operand::Backlog),
        TermKey::CoversFrom => constraint(Operand::CoversFrom),
        TermKey::Deletion => terms.delete_after_ms.map_or_else(String::new, |ms| {
            format!(
                "duty odrl:delete: odrl:elapsedTime lteq {}",
                write_duration(ms)
            )
        }),
        TermKey::Reciprocity if terms.reciprocate => "obligation il:reciprocate".into(),
        TermKey::Redisclosure if terms.no_redisclosure => "prohibition odrl:distribute".into(),
        TermKey::Reciprocity | TermKey::Redisclosure => String::new(),
    }
}
