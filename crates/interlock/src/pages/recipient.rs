//! What a recipient can do beside reading the code: have more time, send somebody else, say what is wrong, be
//! deleted.
//!
//! INVARIANT: each is a form of its own that says what follows from it; nothing is done by opening a page.

use interlock_core::time::Timestamp;
use maud::{Markup, html};

use super::Language;
use super::layout::{Tone, sentence};
use super::pickup::{DelegateView, DoneView, EnrolmentView, PickupView};
use super::qr::qr;

/// A number that connects to the courier, and hides both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallView {
    /// The operator's number, E.164.
    pub number: String,
    /// What is dialled behind it.
    pub extension: String,
}

/// What was reported of the locker, and what can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportView {
    /// Nothing can be reported here.
    No,
    /// Each can be reported once.
    Possible {
        /// When it was reported that the door does not open.
        stuck: Option<Timestamp>,
        /// When it was reported that the compartment is empty.
        empty: Option<Timestamp>,
    },
}

fn form(view: &PickupView, language: Language, act: &str, word: &str) -> Markup {
    html! {
        form method="post" action=(format!("/p/{}/{act}?lang={}", view.token, language.tag())) {
            input type="hidden" name="csrf" value=(view.csrf);
            button.second type="submit" { (word) }
        }
    }
}

/// What was done just now.
pub(super) fn done(view: &PickupView, language: Language) -> Markup {
    let text = match view.done {
        None => return html! {},
        Some(DoneView::Later) => language.pick("已延长取件时间。", "You have more time now."),
        Some(DoneView::Delegated) => language.pick(
            "代取链接已生成，请转发给代取人。",
            "There is a link now: pass it on to whoever fetches the parcel.",
        ),
        Some(DoneView::Withdrawn) => language.pick(
            "代取链接已撤回，不再有效。",
            "The link is withdrawn and shows nothing any more.",
        ),
        Some(DoneView::Enrolled) => language.pick(
            "已登记。取件码从现在起只以加密形式给出。",
            "Enrolled. From now on your code is given encrypted only.",
        ),
        Some(DoneView::Reported) => language.pick(
            "已转告运营商的工作人员。",
            "The locker operator's people are told.",
        ),
        Some(DoneView::Deleted) => language.pick(
            "您的联系信息已在此删除，并已要求获得过它的各方删除。",
            "Your contact is deleted here, and whoever was given it is asked to delete it.",
        ),
    };
    html! { p.notice.good role="status" { (Tone::Good.shape()) (text) } }
}

/// The courier, behind a number that is nobody's own.
pub(super) fn call(view: &PickupView, language: Language) -> Markup {
    let Some(call) = &view.call else {
        return html! {};
    };
    // A comma is the pause that telephones know before they dial on; the `;ext=` of RFC 3966 few do.
    let address = format!("tel:{},{}", call.number, call.extension);
    html! {
        section aria-labelledby="call" {
            h2 #call { (language.pick("快递员", "The courier")) }
            p { a.button href=(address) { (language.pick("拨打快递员电话", "Call the courier")) } }
            p {
                span.instant { (call.number) }
                (language.pick("，分机 ", ", extension "))
                strong.instant { (call.extension) }
            }
            p.muted {
                (language.pick(
                    "由运营商转接，双方都看不到对方的号码。包裹取出后此分机失效。",
                    "The locker operator connects you: neither of you sees the other's number. The extension ends when the parcel is out.",
                ))
            }
        }
    }
}

/// What is wrong at the locker.
pub(super) fn report(view: &PickupView, language: Language) -> Markup {
    let ReportView::Possible { stuck, empty } = view.report else {
        return html! {};
    };
    let lines = [
        (
            stuck,
            "stuck",
            language.pick("报告：柜门打不开", "Report that the door does not open"),
            language.pick("柜门打不开", "The door does not open"),
        ),
        (
            empty,
            "empty",
            language.pick("报告：格口是空的", "Report that the compartment is empty"),
            language.pick("格口是空的", "The compartment is empty"),
        ),
    ];
    html! {
        section aria-labelledby="report" {
            h2 #report { (language.pick("柜子有问题", "Something is wrong at the locker")) }
            p {
                (language.pick(
                    "运营商的工作人员会看到是哪个包裹、哪个格口。除此之外什么也不改变：包裹仍记录为在柜中。",
                    "The operator's people see which parcel and which compartment it is. Nothing else changes: the parcel still counts as lying there.",
                ))
            }
            @for (told, act, button, what) in lines {
                @match told {
                    None => (form(view, language, act, button)),
                    Some(at) => p {
                        @let time = language.instant(at, view.zone);
                        (sentence(&match language {
                            Language::Chinese => format!("{what}：已于 {time}转告。"),
                            Language::English => format!("{what}: told at {time}."),
                        }))
                    },
                }
            }
        }
    }
}

/// More time, and somebody else.
pub(super) fn choices(view: &PickupView, language: Language) -> Markup {
    html! {
        @if let Some(until) = view.later {
            @let time = language.instant(until, view.zone);
            section aria-labelledby="later" {
                h2 #later { (language.pick("需要更多时间", "More time")) }
                p {
                    (sentence(&match language {
                        Language::Chinese => format!("可延长一次，至 {time}。"),
                        Language::English => format!("You can have until {time}, once."),
                    }))
                }
                (form(view, language, "later", language.pick("延长取件时间", "Give me more time")))
            }
        }
        (delegate(view, language))
    }
}

fn delegate(view: &PickupView, language: Language) -> Markup {
    let title = language.pick("请他人代取", "Somebody else fetches it");
    match &view.delegate {
        DelegateView::No => html! {},
        DelegateView::Possible => html! {
            section aria-labelledby="delegate" {
                h2 #delegate { (title) }
                p {
                    (language.pick(
                        "生成一个链接转发给代取人。对方可看到网点、截止时间和取件码，看不到您的号码、商家，也不能延长或删除。取件后失效，您可随时撤回。",
                        "Make a link and pass it on. It shows the locker, the deadline and the code; not your number, not the shop, and it changes nothing. It ends when the parcel is out, and you can withdraw it.",
                    ))
                }
                (form(view, language, "delegate", language.pick("生成代取链接", "Make a link")))
            }
        },
        DelegateView::Given { url } => html! {
            section aria-labelledby="delegate" {
                h2 #delegate { (title) }
                p { (language.pick("把此链接转发给代取人，或让对方扫描：", "Pass this link on, or have it scanned:")) }
                p { code { (url) } }
                (qr(url, language.pick("代取链接的二维码", "QR code of the link")))
                (form(view, language, "withdraw", language.pick("撤回代取链接", "Withdraw the link")))
            }
        },
    }
}

/// A key of the recipient's device, to which the code is sealed.
pub(super) fn enrolment(view: &PickupView, language: Language) -> Markup {
    let title = language.pick("只让我的设备读取取件码", "A code that only my device reads");
    match &view.enrolment {
        EnrolmentView::No => html! {},
        EnrolmentView::Enrolled { key } => html! {
            section aria-labelledby="enrol" {
                h2 #enrol { (title) }
                p {
                    (language.pick(
                        "已登记公钥，取件码只以加密形式给出，取件后失效。",
                        "A key is enrolled: your code is given encrypted only, and is worth nothing once the parcel is out.",
                    ))
                }
                p { code { (key) } }
            }
        },
        EnrolmentView::Possible => html! {
            section aria-labelledby="enrol" {
                h2 #enrol { (title) }
                details {
                    summary { (language.pick("登记设备公钥", "Enrol a key of my device")) }
                    p {
                        (language.pick(
                            "需要能读取加密取件码的应用。登记后本页和短信都不再显示取件码；已收到的短信不受影响。",
                            "You need an app that reads such codes. After that neither this page nor a message shows the code; a message that you have already keeps it.",
                        ))
                    }
                    form method="post" action=(format!("/p/{}/enrol?lang={}", view.token, language.tag())) {
                        input type="hidden" name="csrf" value=(view.csrf);
                        div.field {
                            label for="key" { (language.pick("公钥（64 位十六进制数字）", "Public key (64 hexadecimal digits)")) }
                            input #key name="key" type="text" autocomplete="off" spellcheck="false" maxlength="64" required;
                        }
                        button.second type="submit" { (language.pick("登记", "Enrol")) }
                    }
                }
            }
        },
    }
}

/// The end of what is held of the recipient.
pub(super) fn deletion(view: &PickupView, language: Language) -> Markup {
    html! {
        @if view.number_held {
            section aria-labelledby="delete" {
                h2 #delete { (language.pick("删除我的联系信息", "Delete my contact")) }
                p {
                    (language.pick(
                        "删除后我们不能再就此包裹通知您；仍在柜中的包裹可在本页继续取件。此操作不能撤销。",
                        "After that we cannot write to you about this parcel any more; one that lies in a locker can still be picked up with this page. It cannot be undone.",
                    ))
                }
                (form(view, language, "erase", language.pick("删除", "Delete")))
            }
        }
    }
}
