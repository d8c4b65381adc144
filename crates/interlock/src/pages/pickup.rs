//! `/p/{token}`: where is my parcel, by when, and how do I get it out?
//!
//! Invariant: opening the page spends nothing and shows no code; only the answer to the *Show code*
//! form does, and compartment and code come together.

use interlock_core::time::{Timestamp, Zone};
use maud::{Markup, html};

use super::Language;
use super::accesses::{Access, accesses};
use super::layout::{Frame, Tone, cut, page, sentence};
use super::qr::qr;
use super::recipient::{self, CallView, ReportView};
use super::words::NAME_CHARS_MAX;

/// Longest address shown, in characters.
const ADDRESS_CHARS_MAX: usize = 128;

/// Where a locker station is.
#[derive(Clone, Debug)]
pub struct StationView {
    /// Its name or number.
    pub name: String,
    /// Street and position, such as `90 Wensan Road, east gate`.
    pub address: String,
}

/// What has become of the parcel.
#[derive(Clone, Debug)]
pub enum PickupState {
    /// It is on its way and may come to a locker.
    Expected,
    /// It lies there.
    Deposited {
        /// Pick it up by then.
        until: Timestamp,
    },
    /// The time is over; it still lies there.
    Overdue {
        /// When the time was over.
        since: Timestamp,
    },
    /// It was taken out.
    PickedUp {
        /// When.
        at: Timestamp,
    },
    /// The courier took it back.
    Recalled {
        /// When.
        at: Timestamp,
    },
    /// It goes to another place.
    Redirected {
        /// When that was decided.
        at: Timestamp,
        /// Where to, if known.
        to: Option<String>,
    },
}

/// How the recipient gets the code. Holds the code only once it was asked for.
#[derive(Clone)]
pub enum CodeView {
    /// There is none to show here.
    None,
    /// A form asks for it.
    Hidden,
    /// It was asked for: shown once, in the answer to the form.
    Shown {
        /// The code.
        code: String,
        /// The compartment that it opens.
        compartment: String,
    },
    /// It was asked for, and only the recipient's device reads it.
    Sealed {
        /// Id of the deposit that it opens.
        deposit: String,
        /// Code and compartment, sealed, in hexadecimal digits.
        sealed: String,
    },
    /// By agreement it goes another way.
    Withheld {
        /// Who sends it, by the name that people know.
        sender: String,
        /// `*******1234`.
        masked_phone: String,
    },
}

impl std::fmt::Debug for CodeView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Hidden => "Hidden",
            Self::Shown { .. } => "Shown(redacted)",
            Self::Sealed { .. } => "Sealed",
            Self::Withheld { .. } => "Withheld(redacted)",
        })
    }
}

/// What went wrong last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleView {
    /// A code was tried at the locker and did not fit.
    WrongCode {
        /// Tries left before the wait.
        tries_left: u32,
    },
    /// Too many wrong codes: the locker takes none until then.
    LockedUntil(Timestamp),
    /// The code was shown too often by this link: not again until then.
    ShownTooOften {
        /// When it can be shown again.
        until: Timestamp,
    },
    /// The form was too old or not from this page.
    FormExpired,
    /// What was typed is no key.
    NoKey,
}

/// The link by which somebody else fetches the parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DelegateView {
    /// There can be none.
    No,
    /// The recipient can make one.
    Possible,
    /// It was made and not withdrawn.
    Given {
        /// Its address.
        url: String,
    },
}

/// The key of the recipient's device, to which the code is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnrolmentView {
    /// There can be none.
    No,
    /// One can be enrolled.
    Possible,
    /// One is.
    Enrolled {
        /// It, in hexadecimal digits.
        key: String,
    },
}

/// What a form of the page has just done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoneView {
    /// The deadline is later now.
    Later,
    /// There is a link for somebody else.
    Delegated,
    /// It was taken back.
    Withdrawn,
    /// The recipient's contact was deleted.
    Deleted,
    /// A key was enrolled.
    Enrolled,
    /// The operator's people were told what is wrong.
    Reported,
}

/// What the pick-up page of one parcel shows.
#[derive(Clone, Debug)]
pub struct PickupView {
    /// Whose page it is, by the name that people know.
    pub publisher: String,
    /// The link's token, for the form's address.
    pub token: String,
    /// Ties the form to this page.
    pub csrf: String,
    /// The carrier, by the name that people know.
    pub carrier: String,
    /// The merchant, if known.
    pub merchant: Option<String>,
    /// Where it is or was.
    pub station: Option<StationView>,
    /// What has become of it.
    pub state: PickupState,
    /// How to get the code.
    pub code: CodeView,
    /// What went wrong last.
    pub trouble: Option<TroubleView>,
    /// Who got the recipient's number, newest first.
    pub accesses: Vec<Access>,
    /// Whether it is the page of somebody whom the recipient sends: it shows where, by when and the code,
    /// and nothing of the recipient.
    pub is_delegates: bool,
    /// The deadline that the recipient can have instead.
    pub later: Option<Timestamp>,
    /// How to call the courier.
    pub call: Option<CallView>,
    /// What is wrong at the locker.
    pub report: ReportView,
    /// Whether somebody else may fetch it.
    pub delegate: DelegateView,
    /// Whether a contact of the recipient is held here.
    pub number_held: bool,
    /// The key of the recipient's device.
    pub enrolment: EnrolmentView,
    /// What a form has just done.
    pub done: Option<DoneView>,
    /// When the view was made.
    pub now: Timestamp,
    /// The zone that times are written in.
    pub zone: Zone,
}

/// The page.
pub fn pickup_page(view: &PickupView, language: Language) -> Markup {
    let door = if view.is_delegates { "d" } else { "p" };
    let other = format!("/{door}/{}?lang={}", view.token, language.other().tag());
    let as_of = language.instant(view.now, view.zone);
    let frame = Frame {
        title: language.pick("取件", "Pick up your parcel"),
        publisher: &cut(&view.publisher, NAME_CHARS_MAX),
        other_language: &other,
        as_of: Some(match language {
            Language::Chinese => format!("截至 {as_of}。"),
            Language::English => format!("As of {as_of}."),
        }),
    };
    let main = html! {
        (recipient::done(view, language))
        (state(view, language))
        (trouble(view, language))
        @if is_in_locker(&view.state) { (code(view, language, door)) }
        (facts(view, language))
        @if is_in_locker(&view.state) { (recipient::call(view, language)) }
        @if view.is_delegates {
            p.muted {
                (language.pick(
                    "收件人请您代取此包裹。此链接可被收件人撤回，取件后失效。",
                    "The recipient asks you to fetch this parcel. They can withdraw this link; it ends when the parcel is out.",
                ))
            }
        } @else {
            @if is_in_locker(&view.state) { (recipient::report(view, language)) }
            @if is_in_locker(&view.state) { (recipient::choices(view, language)) }
            (recipient::enrolment(view, language))
            (accesses(view, language))
            (recipient::deletion(view, language))
        }
    };
    page(&frame, language, &main)
}

const fn is_in_locker(state: &PickupState) -> bool {
    match state {
        PickupState::Deposited { .. } | PickupState::Overdue { .. } => true,
        PickupState::Expected
        | PickupState::PickedUp { .. }
        | PickupState::Recalled { .. }
        | PickupState::Redirected { .. } => false,
    }
}

fn state(view: &PickupView, language: Language) -> Markup {
    let (tone, title, lead) = match language {
        Language::Chinese => chinese_state(view),
        Language::English => english_state(view),
    };
    let (tone, title) = match view.trouble {
        Some(TroubleView::LockedUntil(_)) if is_in_locker(&view.state) => (
            Tone::Stopped,
            language.pick("暂时无法开柜", "Locked for now"),
        ),
        Some(
            TroubleView::LockedUntil(_)
            | TroubleView::WrongCode { .. }
            | TroubleView::ShownTooOften { .. }
            | TroubleView::FormExpired
            | TroubleView::NoKey,
        )
        | None => (tone, title),
    };
    html! {
        h1 class=(tone.class()) { (tone.shape()) (title) }
        p.lead { (sentence(&lead)) }
    }
}

fn chinese_state(view: &PickupView) -> (Tone, &'static str, String) {
    let time = |at| Language::Chinese.instant(at, view.zone);
    let carrier = cut(&view.carrier, NAME_CHARS_MAX);
    let station = match &view.station {
        Some(station) => format!("快递柜 {}", cut(&station.name, NAME_CHARS_MAX)),
        None => "快递柜".into(),
    };
    match &view.state {
        PickupState::Expected => (
            Tone::Waiting,
            "尚未入柜",
            format!("您的{carrier}包裹尚未放入快递柜，放入后您会收到短信。"),
        ),
        PickupState::Deposited { until } => (
            Tone::Good,
            "可以取件",
            format!("您的包裹在{station}，请于 {}前取件。", time(*until)),
        ),
        PickupState::Overdue { since } => (
            Tone::Soon,
            "已过取件时间",
            format!(
                "您的包裹仍在{station}。取件时间已于 {}结束，请尽快取件，否则快递员可能取回。",
                time(*since)
            ),
        ),
        PickupState::PickedUp { at } => (
            Tone::Good,
            "已取件",
            format!(
                "包裹已于 {}从{station}取出。若不是您本人，请联系{carrier}。",
                time(*at)
            ),
        ),
        PickupState::Recalled { at } => (
            Tone::Stopped,
            "已被取回",
            format!(
                "快递员已于 {}取回包裹。请联系{carrier}安排派送。",
                time(*at)
            ),
        ),
        PickupState::Redirected { at, to } => (
            Tone::Waiting,
            "已转往他处",
            match to {
                Some(to) => format!(
                    "包裹已于 {}转往 {}。到达后您会收到短信。",
                    time(*at),
                    cut(to, NAME_CHARS_MAX)
                ),
                None => format!("包裹已于 {}转往其他地点。到达后您会收到短信。", time(*at)),
            },
        ),
    }
}

fn english_state(view: &PickupView) -> (Tone, &'static str, String) {
    let time = |at| Language::English.instant(at, view.zone);
    let carrier = cut(&view.carrier, NAME_CHARS_MAX);
    let station = match &view.station {
        Some(station) => format!("locker {}", cut(&station.name, NAME_CHARS_MAX)),
        None => "the locker".into(),
    };
    match &view.state {
        PickupState::Expected => (
            Tone::Waiting,
            "Not in a locker yet",
            format!("Your {carrier} parcel is not in a locker yet. You get a message when it is."),
        ),
        PickupState::Deposited { until } => (
            Tone::Good,
            "Ready to pick up",
            format!(
                "Your parcel is in {station}. Pick it up by {}.",
                time(*until)
            ),
        ),
        PickupState::Overdue { since } => (
            Tone::Soon,
            "Pick-up time is over",
            format!(
                "Your parcel is still in {station}. The time to pick it up ended {}: go soon, or the courier may take it back.",
                time(*since)
            ),
        ),
        PickupState::PickedUp { at } => (
            Tone::Good,
            "Picked up",
            format!(
                "The parcel was taken out of {station} at {}. If that was not you, call {carrier}.",
                time(*at)
            ),
        ),
        PickupState::Recalled { at } => (
            Tone::Stopped,
            "Taken back",
            format!(
                "The courier took the parcel back at {}. Ask {carrier} to deliver it.",
                time(*at)
            ),
        ),
        PickupState::Redirected { at, to } => (
            Tone::Waiting,
            "Sent on",
            match to {
                Some(to) => format!(
                    "The parcel was sent on to {} at {}. You get a message when it is there.",
                    cut(to, NAME_CHARS_MAX),
                    time(*at)
                ),
                None => format!(
                    "The parcel was sent on to another place at {}. You get a message when it is there.",
                    time(*at)
                ),
            },
        ),
    }
}

fn trouble(view: &PickupView, language: Language) -> Markup {
    let time = |at| language.instant(at, view.zone);
    let Some(trouble) = view.trouble else {
        return html! {};
    };
    let text = match (trouble, language) {
        (TroubleView::WrongCode { tries_left }, Language::Chinese) => {
            format!("取件码不正确，还可试 {tries_left} 次，之后需等 15 分钟。请以最新短信为准。")
        }
        (TroubleView::WrongCode { tries_left: 1 }, Language::English) => {
            "Code not accepted. 1 try left, then a 15-minute wait. Use the newest message.".into()
        }
        (TroubleView::WrongCode { tries_left }, Language::English) => format!(
            "Code not accepted. {tries_left} tries left, then a 15-minute wait. Use the newest message."
        ),
        (TroubleView::LockedUntil(until), Language::Chinese) => {
            format!(
                "取件码多次不正确，{}前无法开柜。包裹仍在柜中。",
                time(until)
            )
        }
        (TroubleView::LockedUntil(until), Language::English) => format!(
            "Too many wrong codes: the locker takes none until {}. The parcel is still in it.",
            time(until)
        ),
        (TroubleView::ShownTooOften { until }, Language::Chinese) => {
            format!("取件码显示次数过多，{}后可再次显示。", time(until))
        }
        (TroubleView::ShownTooOften { until }, Language::English) => format!(
            "The code was shown too often. It can be shown again after {}.",
            time(until)
        ),
        (TroubleView::NoKey, Language::Chinese) => {
            "这不是公钥，没有任何操作被执行。请粘贴应用显示的 64 位十六进制数字。".into()
        }
        (TroubleView::NoKey, Language::English) => {
            "That is no key, and nothing was done. Paste the 64 hexadecimal digits that the app shows.".into()
        }
        (TroubleView::FormExpired, Language::Chinese) => {
            "页面已过期，没有任何操作被执行。请再次点击按钮。".into()
        }
        (TroubleView::FormExpired, Language::English) => {
            "The page was too old and nothing was done. Press the button again.".into()
        }
    };
    html! { p.notice.stopped role="alert" { (Tone::Stopped.shape()) (sentence(&text)) } }
}

/// Whether the code cannot be asked for at present.
fn is_blocked(view: &PickupView) -> bool {
    match view.trouble {
        Some(TroubleView::LockedUntil(_) | TroubleView::ShownTooOften { .. }) => true,
        Some(TroubleView::WrongCode { .. } | TroubleView::FormExpired | TroubleView::NoKey)
        | None => false,
    }
}

fn code(view: &PickupView, language: Language, door: &str) -> Markup {
    match &view.code {
        CodeView::None => html! {},
        CodeView::Hidden if is_blocked(view) => html! {},
        CodeView::Hidden => html! {
            form.code method="post" action=(format!("/{door}/{}/code?lang={}", view.token, language.tag())) {
                input type="hidden" name="csrf" value=(view.csrf);
                button type="submit" { (language.pick("显示取件码", "Show code")) }
                p.muted {
                    (language.pick(
                        "到柜前再显示。取件码只能用一次，请勿转告他人。",
                        "Show it when you are at the locker. It works once: don't pass it on.",
                    ))
                }
            }
        },
        CodeView::Shown { code, compartment } => html! {
            section.code aria-labelledby="code" {
                h2 #code { (language.pick("取件码", "Your code")) }
                p.digits { (code) }
                (qr(code, language.pick("取件码的二维码，供快递柜扫描", "QR code of your code, for the locker's scanner")))
                p {
                    (language.pick("格口 ", "Compartment "))
                    strong { (compartment) }
                }
                p.muted {
                    (language.pick(
                        "取件码只能用一次，请勿转告他人。",
                        "It works once: don't pass it on.",
                    ))
                }
            }
        },
        CodeView::Sealed { deposit, sealed } => html! {
            section aria-labelledby="code" {
                h2 #code { (language.pick("取件码（已加密）", "Your code, encrypted")) }
                p {
                    (language.pick(
                        "只有登记过公钥的设备能读取。用应用扫描，或复制以下内容。",
                        "Only the device whose key you enrolled reads it. Scan it with the app, or copy it.",
                    ))
                }
                (qr(sealed, language.pick("加密取件码的二维码", "QR code of the encrypted code")))
                p { code { (sealed) } }
                p.muted { (language.pick("投柜编号 ", "Deposit ")) code { (deposit) } }
            }
        },
        CodeView::Withheld {
            sender,
            masked_phone,
        } => {
            let sender = cut(sender, NAME_CHARS_MAX);
            let text = match language {
                Language::Chinese => {
                    format!("本页不显示取件码：按协议由{sender}短信发送至 {masked_phone}。")
                }
                Language::English => format!(
                    "This page can't show your code: by agreement, {sender} sends it by SMS to {masked_phone}."
                ),
            };
            html! { p.notice.waiting { (Tone::Waiting.shape()) (text) } }
        }
    }
}

fn facts(view: &PickupView, language: Language) -> Markup {
    let (station, deadline) = match &view.state {
        PickupState::Deposited { until } => (
            view.station.as_ref(),
            Some((
                language.pick("取件截止", "Pick up by"),
                *until,
                language.ahead(*until, view.now),
            )),
        ),
        PickupState::Overdue { since } => (
            view.station.as_ref(),
            Some((
                language.pick("取件时间结束", "Time ended"),
                *since,
                language.ago(*since, view.now),
            )),
        ),
        PickupState::PickedUp { .. } => (view.station.as_ref(), None),
        PickupState::Expected | PickupState::Recalled { .. } | PickupState::Redirected { .. } => {
            (None, None)
        }
    };
    html! {
        dl.facts {
            @if let Some(station) = station {
                div {
                    dt { (language.pick("快递柜", "Locker")) }
                    dd { (cut(&station.name, NAME_CHARS_MAX)) }
                }
                @if !station.address.is_empty() {
                    div {
                        dt { (language.pick("地址", "Address")) }
                        dd { (cut(&station.address, ADDRESS_CHARS_MAX)) }
                    }
                }
            }
            @if let Some((label, at, relative)) = deadline {
                div {
                    dt { (label) }
                    dd {
                        time datetime=(at.to_rfc3339(view.zone)) {
                            (sentence(&language.instant(at, view.zone)))
                        }
                        (language.pick("，", ", "))
                        span.instant { (relative) }
                    }
                }
            }
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
