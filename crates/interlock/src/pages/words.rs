//! What steps, purposes and forms of contact are called.
//!
//! Invariant: a code that has no word here is shown as it was received.

use interlock_core::contact::ContactForm;
use interlock_core::event::Step;

use super::Language;
use super::layout::{Tone, cut};

/// Longest name or code shown, in characters.
pub(super) const NAME_CHARS_MAX: usize = 64;

/// A step as part of a sentence, such as `arrived in Hangzhou`.
pub(super) fn step(step: &Step, place: Option<&str>, language: Language) -> String {
    let place = place.map(|p| cut(p, NAME_CHARS_MAX));
    match language {
        Language::Chinese => chinese_step(step, place.as_deref()),
        Language::English => english_step(step, place.as_deref()),
    }
}

fn chinese_step(step: &Step, place: Option<&str>) -> String {
    let fact = match (step, place) {
        (Step::Arrived, Some(place)) => return format!("到达{place}"),
        (Step::Departed, Some(place)) => return format!("离开{place}"),
        (Step::Deposited, Some(place)) => return format!("已放入快递柜 {place}"),
        (Step::PickedUp, Some(place)) => return format!("已从快递柜 {place} 取出"),
        (Step::Other(code), _) => format!("状态代码 {}", cut(code, NAME_CHARS_MAX)),
        (Step::Issued, _) => "已生成运单".into(),
        (Step::Accepted, _) => "快递公司已揽收".into(),
        (Step::Arrived, None) => "到达中转站".into(),
        (Step::Departed, None) => "离开中转站".into(),
        (Step::OutForDelivery, _) => "正在派送".into(),
        (Step::Delivered, _) => "已送达".into(),
        (Step::DeliveryFailed, _) => "未能送达".into(),
        (Step::Deposited, None) => "已放入快递柜".into(),
        (Step::Notified, _) => "已通知收件人".into(),
        (Step::PickedUp, None) => "已取件".into(),
        (Step::Overdue, _) => "已过取件时间，仍在快递柜中".into(),
        (Step::Recalled, _) => "快递员已取回".into(),
        (Step::Redirected, _) => "已转往其他地点".into(),
        (Step::Extended, _) => "取件时间已延长".into(),
    };
    match place {
        Some(place) => format!("{fact}（{place}）"),
        None => fact,
    }
}

fn english_step(step: &Step, place: Option<&str>) -> String {
    let fact = match (step, place) {
        (Step::Arrived, Some(place)) => return format!("arrived in {place}"),
        (Step::Departed, Some(place)) => return format!("left {place}"),
        (Step::Deposited, Some(place)) => return format!("put into locker {place}"),
        (Step::PickedUp, Some(place)) => return format!("picked up from locker {place}"),
        (Step::Other(code), _) => format!("status code {}", cut(code, NAME_CHARS_MAX)),
        (Step::Issued, _) => "waybill issued".into(),
        (Step::Accepted, _) => "handed over to the carrier".into(),
        (Step::Arrived, None) => "arrived at a station".into(),
        (Step::Departed, None) => "left a station".into(),
        (Step::OutForDelivery, _) => "out for delivery".into(),
        (Step::Delivered, _) => "delivered".into(),
        (Step::DeliveryFailed, _) => "could not be delivered".into(),
        (Step::Deposited, None) => "put into a locker".into(),
        (Step::Notified, _) => "recipient told".into(),
        (Step::PickedUp, None) => "picked up".into(),
        (Step::Overdue, _) => "pick-up time over, still in the locker".into(),
        (Step::Recalled, _) => "taken back by the courier".into(),
        (Step::Redirected, _) => "sent on to another place".into(),
        (Step::Extended, _) => "more time to pick it up".into(),
    };
    match place {
        Some(place) => format!("{fact} ({place})"),
        None => fact,
    }
}

/// The state that a step leaves a parcel in, as a heading.
pub(super) fn headline(step: &Step, language: Language) -> String {
    let (chinese, english) = match step {
        Step::Accepted | Step::Arrived | Step::Departed => ("运送中", "On its way"),
        Step::Deposited | Step::Notified | Step::Extended => ("在快递柜中", "In the locker"),
        Step::Overdue => ("仍在快递柜中", "Still in the locker"),
        Step::Issued
        | Step::OutForDelivery
        | Step::Delivered
        | Step::DeliveryFailed
        | Step::PickedUp
        | Step::Recalled
        | Step::Redirected
        | Step::Other(_) => return capitalised(&self::step(step, None, language)),
    };
    language.pick(chinese, english).into()
}

/// How a step looks as the state of a parcel.
pub(super) const fn tone(step: &Step) -> Tone {
    match step {
        Step::Delivered | Step::PickedUp | Step::Deposited | Step::Notified | Step::Extended => {
            Tone::Good
        }
        Step::Overdue | Step::DeliveryFailed => Tone::Soon,
        Step::Recalled | Step::Redirected => Tone::Stopped,
        Step::Issued | Step::Accepted | Step::Arrived | Step::Departed | Step::OutForDelivery => {
            Tone::Waiting
        }
        Step::Other(_) => Tone::Unknown,
    }
}

/// Why a contact was released; the code itself if it has no word.
pub(super) fn purpose(code: &str, language: Language) -> String {
    let (chinese, english) = match code {
        "deposit-consent" => (
            "确认您是否同意使用快递柜",
            "to see whether you agree to a locker",
        ),
        "pickup-notification" => ("发送取件通知", "to tell you that your parcel is there"),
        "courier-call" => ("快递员与您联系", "so that the courier can call you"),
        "delivery-tracking" => ("显示包裹动态", "to show where your parcel is"),
        other => return cut(other, NAME_CHARS_MAX),
    };
    language.pick(chinese, english).into()
}

/// In which form a contact was released.
pub(super) const fn contact_form(form: ContactForm, language: Language) -> &'static str {
    match form {
        ContactForm::Masked => language.pick("仅尾号", "last digits only"),
        ContactForm::Sealed => {
            language.pick("加密号码，对方不可读", "encrypted, unreadable to them")
        }
        ContactForm::Virtual => language.pick("虚拟号码", "a virtual number"),
        ContactForm::Full => language.pick("完整号码", "the full number"),
    }
}

/// The sentence with its first letter in upper case.
pub(super) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
