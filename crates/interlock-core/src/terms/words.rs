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
        TermKey::Term => format!("In force {value}; the end itself is not included."),
        TermKey::Purpose => format!(
            "Only for: {value}. The provider denies any other stated purpose; that the data is used for nothing else is promised."
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

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::super::testing::{any_terms, contact_terms, event_terms};
    use super::*;

    #[test]
    fn the_contact_terms_in_both_languages() {
        expect!["Cainiao releases contacts of recipients to Fengchao. In force from 2017-06-01 00:00 (UTC+8) until 2017-07-01 00:00 (UTC+8); the end itself is not included. Only for: asking whether a locker is welcome and telling the recipient to pick up. The provider denies any other stated purpose; that the data is used for nothing else is promised. Only for parcels of taobao. These fields leave: contact and consent to a locker. No others do. The contact leaves as: sealed to a messenger or virtual number; the most restrictive that serves. At most 2,000,000 different parcels a day (UTC+8). At most 4 releases for each parcel. Only for a parcel with signed evidence: its arrival scan or its deposit. The recipient is told by the locker operator. Run-off: parcels that qualified before the end are served for 7 days after it. The consumer deletes it within 30 days and attests to that. If one side stops by a signed act, the other may stop too, with at least 72 hours' notice; run-off and messages to recipients go on. It isn't passed on, except to the parcel's own recipient and merchant."].assert_eq(&summary(
            &contact_terms(),
            "Cainiao",
            "Fengchao",
            Language::En,
        ));
        expect!["菜鸟向丰巢提供收件人联系方式。有效期 2017-06-01 00:00 (UTC+8) 至 2017-07-01 00:00 (UTC+8)，不含截止时刻。仅用于：确认收件人同意投柜、取件通知。提供方拒绝其他声明用途；不作他用为承诺。仅限 taobao 的包裹。仅提供以下字段：联系方式、投柜同意。联系方式的提供形式：仅短信服务方可解密或虚拟号码，取满足用途的最严格形式。每日（UTC+8）最多 2,000,000 个不同包裹。每个包裹最多提供 4 次。须有该包裹的签名凭据：到站扫描或投柜记录。由快递柜运营方通知收件人。收尾期：到期前已符合条件的包裹，到期后继续服务 7 天。使用方在 30 天内删除并出具声明。一方以签名方式停止后，另一方可对等停止，须至少提前 72 小时通知；不影响收尾期和收件人通知。不得再披露，仅可向包裹的收件人和商家展示。"].assert_eq(&summary(&contact_terms(), "菜鸟", "丰巢", Language::Zh));
    }

    #[test]
    fn lines_stand_beside_their_odrl() {
        let lines: Vec<String> = describe(&event_terms(), Language::En)
            .into_iter()
            .map(|l| format!("{} | {} | {} | {}", l.key, l.class, l.text, l.odrl))
            .collect();
        expect![[r#"
            dataset | provider | What flows: locker events. | odrl:target locker-events
            term | provider | In force from 2017-06-01 00:00 (UTC+8) until 2017-07-01 00:00 (UTC+8); the end itself is not included. | odrl:dateTime gteq 2017-06-01T00:00:00+08:00; odrl:dateTime lt 2017-07-01T00:00:00+08:00
            purpose | provider | Only for: showing a parcel to its recipient and merchant. The provider denies any other stated purpose; that the data is used for nothing else is promised. | odrl:purpose isAnyOf delivery-tracking
            scope | provider | Only for parcels of taobao. | il:marketplace isAnyOf taobao
            fields | provider | These fields leave: waybill, what happened, when it happened, number of the event, locker station, size class and pick-up deadline. No others do. | il:field isAnyOf deadline, event-time, number, size-class, station, step, waybill
            notifier | consumer-node | The recipient is told by the locker operator. | il:notifier eq operator
            run-off | provider | Run-off: parcels that qualified before the end are served for 7 days after it. | il:runOff lteq P7D
            backlog | provider | What arises while nothing is in force is held for an agreement that covers it. | il:backlog eq hold
            covers-from | provider | What arose since 2017-05-30 00:00 (UTC+8) flows too, by these terms. | il:coversFrom gteq 2017-05-30T00:00:00+08:00
            deletion | consumer-node | The consumer deletes it within 30 days and attests to that. | duty odrl:delete: odrl:elapsedTime lteq P30D
            reciprocity | provider | If one side stops by a signed act, the other may stop too, with at least 72 hours' notice; run-off and messages to recipients go on. | obligation il:reciprocate
            redisclosure | promised | It isn't passed on, except to the parcel's own recipient and merchant. | prohibition odrl:distribute"#]].assert_eq(&lines.join("\n"));
    }

    #[test]
    fn what_is_absent_is_said() {
        let mut terms = event_terms();
        terms.run_off_ms = None;
        terms.delete_after_ms = None;
        terms.no_redisclosure = false;
        terms.backlog = Some(Backlog::Drop);
        let text = summary(&terms, "Fengchao", "Cainiao", Language::En);
        for said in [
            "No run-off: at the end everything stops",
            "Deletion isn't agreed on.",
            "Passing on isn't prohibited.",
            "is dropped and never released",
        ] {
            assert!(text.contains(said), "{text}");
        }
        terms.dataset = Dataset::LockerStations;
        let open = summary(&terms, "Fengchao", "Cainiao", Language::Zh);
        assert!(!open.contains("无收尾期"), "{open}");
    }

    #[test]
    fn spans_and_numbers() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(999), "999");
        assert_eq!(span(129_600_000, Language::En), "1 day 12 hours");
        assert_eq!(span(259_200_000, Language::Zh), "3 天");
        assert_eq!(span(5, Language::En), "less than a second");
        assert_eq!(row(&["a", "b", "c"], "and", Language::En), "a, b and c");
        assert_eq!(row(&["a", "b"], "and", Language::Zh), "a、b");
    }

    proptest! {
        #[test]
        fn every_agreed_term_has_a_line_in_both_languages(terms in any_terms()) {
            for key in TermKey::ALL {
                let agreed = value(&terms, *key, Language::En).is_some();
                prop_assert_eq!(agreed, value(&terms, *key, Language::Zh).is_some());
                prop_assert_eq!(agreed, !odrl(&terms, *key).is_empty(), "{}", key);
                for language in [Language::En, Language::Zh] {
                    let line = describe(&terms, language).into_iter().find(|l| l.key == *key);
                    prop_assert!(line.is_some() || !agreed);
                }
            }
        }
    }
}
