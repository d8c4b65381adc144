//! Why something may not leave, in a word for machines and a sentence for people.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::terms::Language;

/// Why nothing leaves. The order of the variants is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DenialReason {
    /// No agreement is in force: its manifest is not complete.
    NotInForce,
    /// The term has not begun.
    NotYet,
    /// The term is over and run-off does not apply.
    TermEnded,
    /// The term ends within the closing guard.
    Closing,
    /// The agreement is suspended.
    Suspended,
    /// A successor took its place.
    Superseded,
    /// It was terminated before the end of its term.
    Terminated,
    /// The purpose is not in the terms.
    PurposeNotGranted,
    /// The parcel's marketplace is not in the terms, or not known.
    OutOfScope,
    /// A field is not in the terms.
    FieldNotGranted,
    /// No agreed form of the contact or code serves.
    FormNotGranted,
    /// As many parcels as agreed were released today.
    QuotaPerDay,
    /// This parcel was released as often as agreed.
    QuotaPerParcel,
    /// There is no evidence that the parcel is at the consumer.
    EvidenceMissing,
    /// The parcel did not qualify for run-off before the end.
    NotInRunOff,
    /// The run-off set is being frozen.
    RunOffNotFrozen,
    /// The run-off is over.
    RunOffEnded,
    /// The item arose before the time that the terms cover.
    BeforeCoverage,
    /// The provider's clock is not certain enough.
    ClockUncertain,
}

impl DenialReason {
    /// Every reason, in stored order.
    pub const ALL: [Self; 19] = [
        Self::NotInForce,
        Self::NotYet,
        Self::TermEnded,
        Self::Closing,
        Self::Suspended,
        Self::Superseded,
        Self::Terminated,
        Self::PurposeNotGranted,
        Self::OutOfScope,
        Self::FieldNotGranted,
        Self::FormNotGranted,
        Self::QuotaPerDay,
        Self::QuotaPerParcel,
        Self::EvidenceMissing,
        Self::NotInRunOff,
        Self::RunOffNotFrozen,
        Self::RunOffEnded,
        Self::BeforeCoverage,
        Self::ClockUncertain,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotInForce => "not-in-force",
            Self::NotYet => "not-yet",
            Self::TermEnded => "term-ended",
            Self::Closing => "closing",
            Self::Suspended => "suspended",
            Self::Superseded => "superseded",
            Self::Terminated => "terminated",
            Self::PurposeNotGranted => "purpose-not-granted",
            Self::OutOfScope => "out-of-scope",
            Self::FieldNotGranted => "field-not-granted",
            Self::FormNotGranted => "form-not-granted",
            Self::QuotaPerDay => "quota-per-day",
            Self::QuotaPerParcel => "quota-per-parcel",
            Self::EvidenceMissing => "evidence-missing",
            Self::NotInRunOff => "not-in-run-off",
            Self::RunOffNotFrozen => "run-off-not-frozen",
            Self::RunOffEnded => "run-off-ended",
            Self::BeforeCoverage => "before-coverage",
            Self::ClockUncertain => "clock-uncertain",
        }
    }

    /// The reason with the given name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == name)
    }

    /// What happened and what to do, in one or two sentences for people.
    pub const fn sentence(self, language: Language) -> &'static str {
        match language {
            Language::En => self.sentence_en(),
            Language::Zh => self.sentence_zh(),
        }
    }

    const fn sentence_en(self) -> &'static str {
        match self {
            Self::NotInForce => {
                "No agreement is in force: not all of it is signed. Have both parties sign the manifest."
            }
            Self::NotYet => "The agreement has not begun. Ask again when its term starts.",
            Self::TermEnded => "The agreement has ended. Renew it or ask another party.",
            Self::Closing => "The agreement ends within moments. Renew it.",
            Self::Suspended => "The agreement is suspended. Resume it or ask why it was stopped.",
            Self::Superseded => "A newer agreement took its place. Ask under that one.",
            Self::Terminated => "The agreement was terminated early. Negotiate a new one.",
            Self::PurposeNotGranted => {
                "The purpose isn't in the agreement. Ask for a purpose that is, or have it added."
            }
            Self::OutOfScope => {
                "The parcel isn't in the agreement's scope. Ask only for parcels of the agreed marketplaces."
            }
            Self::FieldNotGranted => {
                "A field isn't in the agreement. Ask for agreed fields only, or have it added."
            }
            Self::FormNotGranted => {
                "No agreed form of the contact serves this. Ask for a less revealing form, or have one added."
            }
            Self::QuotaPerDay => {
                "Today's quota is used up. Ask again tomorrow, or agree on a higher quota."
            }
            Self::QuotaPerParcel => {
                "This parcel was released as often as agreed. Use what was released before."
            }
            Self::EvidenceMissing => {
                "There's no evidence that this parcel is with you. Scan its arrival or deposit it first."
            }
            Self::NotInRunOff => {
                "The agreement has ended and this parcel came too late for run-off. Renew the agreement."
            }
            Self::RunOffNotFrozen => {
                "The agreement has just ended and run-off is being prepared. Ask again in a moment."
            }
            Self::RunOffEnded => "The agreement and its run-off have ended. Renew the agreement.",
            Self::BeforeCoverage => {
                "This arose before the time that the agreement covers. Agree on an earlier start of coverage."
            }
            Self::ClockUncertain => {
                "The provider's clock isn't certain enough to release. Its administrator must check time synchronisation."
            }
        }
    }

    const fn sentence_zh(self) -> &'static str {
        match self {
            Self::NotInForce => "协议尚未生效：签署未完成。请双方签署清单。",
            Self::NotYet => "协议尚未开始。请在生效后再查询。",
            Self::TermEnded => "协议已到期。请续约，或由其他方办理。",
            Self::Closing => "协议即将到期，已停止提供。请续约。",
            Self::Suspended => "协议已暂停。请恢复协议，或了解暂停原因。",
            Self::Superseded => "协议已被新协议取代。请按新协议查询。",
            Self::Terminated => "协议已提前终止。请重新协商。",
            Self::PurposeNotGranted => "协议不含该用途。请使用协议内的用途，或协商增加。",
            Self::OutOfScope => "包裹不在协议范围内。请只查询约定平台的包裹。",
            Self::FieldNotGranted => "协议不含所请求的字段。请只请求约定字段，或协商增加。",
            Self::FormNotGranted => {
                "没有可用的约定联系方式形式。请改用更少披露的形式，或协商增加。"
            }
            Self::QuotaPerDay => "今日额度已用完。请明日再查询，或协商提高额度。",
            Self::QuotaPerParcel => "该包裹已达约定提供次数。请使用此前提供的数据。",
            Self::EvidenceMissing => "没有该包裹在贵方的凭据。请先扫描到站或完成投柜。",
            Self::NotInRunOff => "协议已到期，该包裹未在到期前进入收尾期范围。请续约。",
            Self::RunOffNotFrozen => "协议刚到期，收尾期名单正在生成。请稍后再查询。",
            Self::RunOffEnded => "协议及收尾期均已结束。请续约。",
            Self::BeforeCoverage => "该信息产生于协议覆盖时间之前。请协商更早的覆盖起点。",
            Self::ClockUncertain => "提供方时钟不够准确，已停止提供。请其管理员检查时间同步。",
        }
    }
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
