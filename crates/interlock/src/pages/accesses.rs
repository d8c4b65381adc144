//! Who got the recipient's number: in which form, for what, under which agreement, until when.
//!
//! INVARIANT: what became of it says no more than is known here: that others have deleted it is their
//! word, and a time that is over by the terms is not a deletion.

use interlock_core::contact::ContactForm;
use interlock_core::time::{Timestamp, Zone};
use maud::{Markup, html};

use super::Language;
use super::layout::cut;
use super::pickup::PickupView;
use super::words::{self, NAME_CHARS_MAX};

/// Most entries on a page, the newest.
const ACCESSES_SHOWN_MAX: usize = 50;

/// One release of the recipient's number (PIPL article 23: who, why, in which form).
#[derive(Clone, Debug)]
pub struct Access {
    /// Who got it, by the name that people know.
    pub who: String,
    /// The purpose's code, such as `pickup-notification`.
    pub purpose: String,
    /// In which form.
    pub form: ContactForm,
    /// When.
    pub at: Timestamp,
    /// The number of the agreement under which it was released; none if a courier typed it.
    pub agreement: Option<String>,
    /// Until when they may keep it, if the terms say.
    pub until: Option<Timestamp>,
    /// What is known to have become of it.
    pub fate: Fate,
}

/// What became of a number that was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They may have it.
    Kept,
    /// The time by the terms is over: they have to have deleted it.
    Over,
    /// They are asked to delete it and do not know yet.
    Asked,
    /// They know that they have to delete it.
    Told,
    /// It is deleted: it was ours to delete.
    Deleted,
}

/// The list.
pub(super) fn accesses(view: &PickupView, language: Language) -> Markup {
    let hidden = view.accesses.len().saturating_sub(ACCESSES_SHOWN_MAX);
    html! {
        section aria-labelledby="accesses" {
            h2 #accesses { (language.pick("谁获得了我的号码，为什么", "Who got my number, and why")) }
            @if view.accesses.is_empty() {
                p {
                    (language.pick(
                        "没有人获得您的号码。有人获得时会显示在这里。",
                        "Nobody has got your number. Whoever does is listed here.",
                    ))
                }
            } @else {
                ul.accesses {
                    @for access in view.accesses.iter().take(ACCESSES_SHOWN_MAX) {
                        (entry(access, view.zone, language))
                    }
                }
                @if hidden > 0 {
                    p.muted {
                        @match language {
                            Language::Chinese => { "另有 " (hidden) " 条更早的记录未显示。" }
                            Language::English => { (hidden) " older ones are not shown." }
                        }
                    }
                }
            }
        }
    }
}

fn entry(access: &Access, zone: Zone, language: Language) -> Markup {
    html! {
        li {
            strong { (cut(&access.who, NAME_CHARS_MAX)) }
            span { (words::purpose(&access.purpose, language)) }
            span.muted {
                (words::contact_form(access.form, language))
                (language.pick("，", ", "))
                time datetime=(access.at.to_rfc3339(zone)) { (language.instant(access.at, zone)) }
            }
            span.muted {
                @if let Some(agreement) = &access.agreement {
                    (language.pick("依据协议 ", "Under agreement "))
                    code { (cut(agreement, NAME_CHARS_MAX)) }
                } @else {
                    (language.pick("由快递员录入，无需协议", "Typed by the courier, under no agreement"))
                }
            }
            span.muted { (fate(access, zone, language)) }
        }
    }
}

fn fate(access: &Access, zone: Zone, language: Language) -> String {
    let until = access.until.map(|at| language.instant(at, zone));
    match (access.fate, language, until) {
        (Fate::Kept, Language::Chinese, Some(until)) => format!("最迟保留至 {until}，尚未删除"),
        (Fate::Kept, Language::English, Some(until)) => {
            format!("May be kept until {until}; not deleted yet")
        }
        (Fate::Kept, Language::Chinese, None) => "协议未约定删除时间，尚未删除".into(),
        (Fate::Kept, Language::English, None) => {
            "The agreement names no time to delete it; not deleted yet".into()
        }
        (Fate::Over, Language::Chinese, Some(until)) => format!("按约定应已于 {until}删除"),
        (Fate::Over, Language::English, Some(until)) => {
            format!("Had to be deleted by {until}, by the agreement")
        }
        (Fate::Over, Language::Chinese, None) => "按约定应已删除".into(),
        (Fate::Over, Language::English, None) => "Had to be deleted, by the agreement".into(),
        (Fate::Asked, Language::Chinese, _) => "已要求对方删除，对方尚未收到".into(),
        (Fate::Asked, Language::English, _) => "Asked to delete it; they do not know yet".into(),
        (Fate::Told, Language::Chinese, _) => "已要求对方删除，对方已收到".into(),
        (Fate::Told, Language::English, _) => "Asked to delete it, and they know".into(),
        (Fate::Deleted, Language::Chinese, _) => "已删除".into(),
        (Fate::Deleted, Language::English, _) => "Deleted".into(),
    }
}
