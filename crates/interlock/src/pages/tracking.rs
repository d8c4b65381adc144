//! `/t/{token}`: does the buyer have it? The last known state of one parcel, its age, and why it may
//! be stale.

use interlock_core::event::Step;
use interlock_core::time::{Timestamp, Zone};
use maud::{Markup, html};

use super::Language;
use super::layout::{Frame, Tone, cut, page, sentence};
use super::words::{self, NAME_CHARS_MAX, capitalised};

/// Most events on a page, the newest.
const EVENTS_SHOWN_MAX: usize = 60;
/// Most reasons for staleness on a page.
const STALE_SHOWN_MAX: usize = 4;

/// One event as a reader sees it.
#[derive(Clone, Debug)]
pub struct TrackedEvent {
    /// What happened.
    pub step: Step,
    /// When, by the source's word.
    pub at: Timestamp,
    /// The zone it was recorded in.
    pub zone: Zone,
    /// Where, by the name that people know.
    pub place: Option<String>,
    /// Who reported it, by the name that people know.
    pub source: String,
}

/// Why nothing newer is known from a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleReason {
    /// No agreement is in force.
    NoAgreement,
    /// The agreement is suspended.
    Suspended,
    /// The source does not answer.
    Unreachable,
}

/// A source that has stopped telling.
#[derive(Clone, Debug)]
pub struct Stale {
    /// Who, by the name that people know.
    pub source: String,
    /// Since when.
    pub since: Timestamp,
    /// The zone to write that in.
    pub zone: Zone,
    /// Why.
    pub reason: StaleReason,
}

/// What the tracking page of one parcel shows.
#[derive(Clone, Debug)]
pub struct TrackingView {
    /// Whose page it is, by the name that people know.
    pub publisher: String,
    /// The carrier, by the name that people know.
    pub carrier: String,
    /// The merchant, if the reader may know.
    pub merchant: Option<String>,
    /// What is known, newest first.
    pub events: Vec<TrackedEvent>,
    /// Who should be telling more and does not.
    pub stale: Vec<Stale>,
    /// When the view was made.
    pub now: Timestamp,
    /// The zone of the publisher.
    pub zone: Zone,
}

/// The page.
pub fn tracking_page(view: &TrackingView, language: Language) -> Markup {
    let other = format!("?lang={}", language.other().tag());
    let as_of = language.instant(view.now, view.zone);
    let frame = Frame {
        title: language.pick("包裹动态", "Parcel tracking"),
        publisher: &cut(&view.publisher, NAME_CHARS_MAX),
        other_language: &other,
        as_of: Some(match language {
            Language::Chinese => format!("截至 {as_of}。"),
            Language::English => format!("As of {as_of}."),
        }),
    };
    let ended = last_state(view).is_some_and(|e| e.step.is_final());
    let stale = if ended { &[] } else { view.stale.as_slice() };
    let main = html! {
        (state(view, stale, language))
        (facts(view, language))
        (timeline(view, stale, language))
    };
    page(&frame, language, &main)
}

/// The newest event that says where the parcel is: that somebody was told does not.
fn last_state(view: &TrackingView) -> Option<&TrackedEvent> {
    let says_where = |event: &&TrackedEvent| event.step != Step::Notified;
    view.events
        .iter()
        .find(says_where)
        .or_else(|| view.events.first())
}

fn state(view: &TrackingView, stale: &[Stale], language: Language) -> Markup {
    let Some(last) = last_state(view) else {
        if let Some((first, others)) = stale.split_first() {
            let title = language.pick("暂无更新", "No updates");
            return html! {
                h1.soon { (Tone::Soon.shape()) (title) }
                p.lead { (sentence(&warning(first, None, language))) }
                (warnings(others, None, language))
            };
        }
        let (title, text) = match language {
            Language::Chinese => (
                "尚无动态",
                format!(
                    "尚未收到此包裹的信息。{}上报后将显示在这里。",
                    cut(&view.carrier, NAME_CHARS_MAX)
                ),
            ),
            Language::English => (
                "Nothing known yet",
                format!(
                    "Nothing is known of this parcel yet. It shows here once {} reports it.",
                    cut(&view.carrier, NAME_CHARS_MAX)
                ),
            ),
        };
        return html! {
            h1.unknown { (Tone::Unknown.shape()) (title) }
            p.lead { (sentence(&text)) }
            (warnings(stale, None, language))
        };
    };
    let fact = words::step(&last.step, last.place.as_deref(), language);
    let at = language.instant(last.at, last.zone);
    let ago = language.ago(last.at, view.now);
    let lead = match (language, stale.is_empty()) {
        (Language::Chinese, false) => format!("最近已知：{fact}，{at}，"),
        (Language::Chinese, true) => format!("{fact}，{at}，"),
        (Language::English, false) => format!("Last known: {fact}, {at}, "),
        (Language::English, true) => format!("{}, {at}, ", capitalised(&fact)),
    };
    let tone = if stale.is_empty() {
        words::tone(&last.step)
    } else {
        Tone::Soon
    };
    let title = if stale.is_empty() {
        words::headline(&last.step, language)
    } else {
        language
            .pick("信息可能不是最新", "May be out of date")
            .into()
    };
    html! {
        h1 class=(tone.class()) { (tone.shape()) (title) }
        p.lead { (sentence(&lead)) span.instant { (ago) (language.pick("。", ".")) } }
        (warnings(stale, Some(last), language))
    }
}

fn warnings(stale: &[Stale], last: Option<&TrackedEvent>, language: Language) -> Markup {
    html! {
        @for one in stale.iter().take(STALE_SHOWN_MAX) {
            p.notice.soon { (sentence(&warning(one, last, language))) }
        }
    }
}

/// The consequence depends on who is silent: a parcel in a locker is not moved by its carrier.
fn warning(stale: &Stale, last: Option<&TrackedEvent>, language: Language) -> String {
    let then = match last {
        Some(last) if last.step.is_locker() && last.source == stale.source => {
            language.pick("包裹可能已被取走。", " The parcel may have been picked up.")
        }
        Some(last) if last.step.is_locker() => "",
        Some(_) | None => language.pick("包裹可能仍在运送。", " The parcel may still be moving."),
    };
    let source = cut(&stale.source, NAME_CHARS_MAX);
    let since = language.instant(stale.since, stale.zone);
    match language {
        Language::Chinese => match stale.reason {
            StaleReason::NoAgreement => {
                format!("自 {since}起无有效协议，{source}信息暂停更新。{then}")
            }
            StaleReason::Suspended => {
                format!("自 {since}起协议已暂停，{source}信息暂停更新。{then}")
            }
            StaleReason::Unreachable => {
                format!("自 {since}起{source}系统无响应，信息暂停更新。{then}")
            }
        },
        Language::English => {
            let why = match stale.reason {
                StaleReason::NoAgreement => "no agreement is in force",
                StaleReason::Suspended => "the agreement is suspended",
                StaleReason::Unreachable => "its system does not answer",
            };
            format!("No {source} updates since {since}: {why}.{then}")
        }
    }
}

fn facts(view: &TrackingView, language: Language) -> Markup {
    html! {
        dl.facts {
            div {
                dt { (language.pick("快递公司", "Carrier")) }
                dd { (cut(&view.carrier, NAME_CHARS_MAX)) }
            }
            @if let Some(merchant) = &view.merchant {
                div {
                    dt { (language.pick("商家", "Merchant")) }
                    dd { (cut(merchant, NAME_CHARS_MAX)) }
                }
            }
        }
    }
}

fn timeline(view: &TrackingView, stale: &[Stale], language: Language) -> Markup {
    let hidden = view.events.len().saturating_sub(EVENTS_SHOWN_MAX);
    let mut gaps: Vec<&Stale> = stale.iter().take(STALE_SHOWN_MAX).collect();
    gaps.sort_by_key(|one| std::cmp::Reverse(one.since));
    html! {
        @if !view.events.is_empty() {
            section aria-labelledby="timeline" {
                h2 #timeline { (language.pick("全部动态", "What happened")) }
                ol.timeline {
                    @for event in view.events.iter().take(EVENTS_SHOWN_MAX) {
                        @for one in gaps_before(&mut gaps, event) { (gap(one, language)) }
                        li class=(words::tone(&event.step).class()) { (row(event, language)) }
                    }
                    @for one in gaps { (gap(one, language)) }
                }
                @if hidden > 0 {
                    p.muted {
                        @match language {
                            Language::Chinese => { "另有 " (hidden) " 条更早的动态未显示。" }
                            Language::English => { (hidden) " older ones are not shown." }
                        }
                    }
                }
            }
        }
    }
}

/// Takes from `gaps`, newest first, those that began no earlier than `event`.
fn gaps_before<'a>(gaps: &mut Vec<&'a Stale>, event: &TrackedEvent) -> Vec<&'a Stale> {
    let count = gaps.iter().take_while(|one| one.since >= event.at).count();
    gaps.drain(..count).collect()
}

fn gap(stale: &Stale, language: Language) -> Markup {
    let source = cut(&stale.source, NAME_CHARS_MAX);
    html! {
        li.gap {
            time datetime=(stale.since.to_rfc3339(stale.zone)) {
                (language.instant(stale.since, stale.zone))
            }
            span.fact {
                @match language {
                    Language::Chinese => { "此后无" (source) "信息" }
                    Language::English => { "Nothing from " (source) " since then" }
                }
            }
        }
    }
}

fn row(event: &TrackedEvent, language: Language) -> Markup {
    let fact = words::step(&event.step, event.place.as_deref(), language);
    html! {
        time datetime=(event.at.to_rfc3339(event.zone)) {
            (language.instant(event.at, event.zone))
        }
        span.fact {
            (words::tone(&event.step).shape())
            (capitalised(&fact))
        }
        span.source {
            (language.pick("来源：", "Source: "))
            (cut(&event.source, NAME_CHARS_MAX))
        }
    }
}
