//! Logging in, and a form that came too late.

use interlock_core::time::Timestamp;
use maud::{Markup, html};

use super::frame::{Reader, Section, Sheet, sheet};
use super::parts::{Field, field, summary};
use crate::pages::Language;
use crate::pages::layout::sentence;

/// Why a login did not go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginTrouble {
    /// Name or password is wrong; which of the two is not said.
    Wrong,
    /// Too many tries: none until then.
    Until(Timestamp),
    /// The page was too old.
    FormExpired,
    /// A form was sent after the session had ended.
    LoggedOut,
}

/// The login page.
#[derive(Clone, Debug, Default)]
pub struct LoginView {
    /// Mark of the form.
    pub csrf: String,
    /// Where to go afterwards; empty for the person's first page.
    pub next: String,
    /// The name typed before.
    pub name: String,
    /// The form that came too late.
    pub kept: Vec<(String, String)>,
    /// What went wrong.
    pub trouble: Option<LoginTrouble>,
}

/// The page.
pub fn login_page(reader: &Reader<'_>, view: &LoginView) -> Markup {
    let title = reader.pick("登录", "Log in");
    let titled = match view.trouble {
        Some(_) => reader.pick("出错：登录", "Error: Log in"),
        None => title,
    };
    let main = html! {
        @if let Some(trouble) = view.trouble {
            (summary(reader, &html! { (words(reader, trouble)) }, Some("name")))
        }
        h1 { (title) }
        p.lead {
            (reader.pick(
                "请使用管理员给您的账号登录。",
                "Use the account that your administrator gave you.",
            ))
        }
        form.sheet method="post" action="/login" {
            input type="hidden" name="csrf" value=(view.csrf);
            input type="hidden" name="next" value=(view.next);
            @for (name, value) in &view.kept {
                input type="hidden" name={ "kept." (name) } value=(value);
            }
            (field(&Field {
                name: "name",
                label: reader.pick("账号", "Name"),
                kind: "text",
                autocomplete: "username",
                value: &view.name,
                error: None,
            }))
            (field(&Field {
                name: "password",
                label: reader.pick("密码", "Password"),
                kind: "password",
                autocomplete: "current-password",
                value: "",
                error: None,
            }))
            button type="submit" { (title) }
        }
    };
    let page = Sheet {
        title: titled,
        section: Section::None,
        wide: false,
    };
    sheet(reader, &page, &main)
}

fn words(reader: &Reader<'_>, trouble: LoginTrouble) -> String {
    match (trouble, reader.language) {
        (LoginTrouble::Wrong, Language::Chinese) => {
            "账号或密码不正确。15 分钟内错 5 次后需等待。".into()
        }
        (LoginTrouble::Wrong, Language::English) => {
            "name or password is not right. After 5 wrong ones in 15 minutes there is a wait."
                .into()
        }
        (LoginTrouble::Until(at), Language::Chinese) => format!(
            "尝试次数过多，{}后可再试。",
            reader.language.instant(at, reader.zone)
        ),
        (LoginTrouble::Until(at), Language::English) => format!(
            "too many tries. Try again after {}.",
            reader.language.instant(at, reader.zone)
        ),
        (LoginTrouble::FormExpired, Language::Chinese) => {
            "页面已过期，或浏览器不接受 Cookie。请再次登录。".into()
        }
        (LoginTrouble::FormExpired, Language::English) => {
            "the page was too old, or your browser takes no cookies. Log in again.".into()
        }
        (LoginTrouble::LoggedOut, Language::Chinese) => {
            "您已退出登录。登录后可再次提交刚才的内容。".into()
        }
        (LoginTrouble::LoggedOut, Language::English) => {
            "you were logged out. Log in, and send what you wrote once more.".into()
        }
    }
}

/// A form that came without its session's mark, to be sent once more by hand.
pub fn send_again(reader: &Reader<'_>, path: &str, kept: &[(String, String)]) -> Markup {
    let title = reader.pick("再次提交", "Send again");
    let text = reader.pick(
        "提交时页面已过期，没有执行任何操作。请核对后再次提交；密码和动态码需重新填写。",
        "The page was too old when you sent it, and nothing was done. Check it and send it again; \
         passwords and one-time codes have to be typed again.",
    );
    let page = path.split('?').next().unwrap_or(path);
    let main = html! {
        h1 { (title) }
        p.lead { (sentence(text)) }
        form.sheet method="post" action=(path) {
            (reader.mark())
            @if !kept.is_empty() {
                dl.facts {
                    @for (name, value) in kept {
                        div { dt { (name) } dd { (value) } }
                    }
                }
                @for (name, value) in kept {
                    input type="hidden" name=(name) value=(value);
                }
            }
            button type="submit" { (title) }
        }
        p { a href=(page) { (reader.pick("不提交，返回页面", "Go back without sending")) } }
    };
    let sheet_of = Sheet {
        title,
        section: Section::None,
        wide: false,
    };
    sheet(reader, &sheet_of, &main)
}
