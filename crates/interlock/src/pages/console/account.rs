//! One's own account.

use interlock_core::time::Timestamp;
use maud::{Markup, html};

use super::access::role_word;
use super::frame::{Reader, Section, Sheet, sheet};
use super::parts::{Field, field, summary};
use crate::pages::Language;
use crate::pages::layout::Tone;

/// Why the password stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountTrouble {
    /// The old one is wrong.
    WrongPassword,
    /// Too many tries: none until then.
    Until(Timestamp),
    /// The new one is too short.
    TooShort,
    /// The new one is too long.
    TooLong,
}

/// The page.
pub fn account_page(reader: &Reader<'_>, done: bool, trouble: Option<AccountTrouble>) -> Markup {
    let title = reader.pick("我的账号", "Your account");
    let titled = match trouble {
        Some(_) => reader.pick("出错：我的账号", "Error: Your account"),
        None => title,
    };
    let words = trouble.map(|trouble| words(reader, trouble));
    let of_old = matches!(
        trouble,
        Some(AccountTrouble::WrongPassword | AccountTrouble::Until(_))
    );
    let main = html! {
        @if let Some(words) = &words {
            (summary(reader, &html! { (words) }, Some(if of_old { "old-password" } else { "new-password" })))
        }
        @if done {
            p.notice.good role="status" {
                (Tone::Good.shape())
                (reader.pick("密码已更改，其他登录已全部退出。", "The password is changed. You are logged out everywhere else."))
            }
        }
        h1 { (title) }
        @if let Some(person) = reader.person {
            dl.facts {
                div { dt { (reader.pick("账号", "Name")) } dd { (person.name.as_str()) } }
                div {
                    dt { (reader.pick("角色", "Roles")) }
                    dd {
                        @for (role, at) in person.roles.iter().zip(0..) {
                            @if at > 0 { (reader.pick("、", ", ")) }
                            (role_word(reader, *role))
                        }
                    }
                }
            }
        }
        h2 { (reader.pick("更改密码", "Change your password")) }
        form.sheet method="post" action="/account/password" {
            (reader.mark())
            // Which password it is, for whatever keeps passwords.
            @if let Some(person) = reader.person {
                input type="text" name="username" autocomplete="username" value=(person.name.as_str()) readonly hidden;
            }
            (field(&Field {
                name: "old-password",
                label: reader.pick("当前密码", "Password now"),
                kind: "password",
                autocomplete: "current-password",
                value: "",
                error: words.as_deref().filter(|_| of_old),
            }))
            (field(&Field {
                name: "new-password",
                label: reader.pick("新密码（至少 12 个字符）", "New password (at least 12 characters)"),
                kind: "password",
                autocomplete: "new-password",
                value: "",
                error: words.as_deref().filter(|_| !of_old),
            }))
            button type="submit" { (reader.pick("更改密码", "Change password")) }
        }
    };
    let page = Sheet {
        title: titled,
        section: Section::None,
        wide: false,
    };
    sheet(reader, &page, &main)
}

fn words(reader: &Reader<'_>, trouble: AccountTrouble) -> String {
    let until = |at| reader.language.instant(at, reader.zone);
    match (trouble, reader.language) {
        (AccountTrouble::WrongPassword, Language::Chinese) => "当前密码不正确。".into(),
        (AccountTrouble::WrongPassword, Language::English) => {
            "the password you have now is not right.".into()
        }
        (AccountTrouble::Until(at), Language::Chinese) => {
            format!("尝试次数过多，{}后可再试。", until(at))
        }
        (AccountTrouble::Until(at), Language::English) => {
            format!("too many tries. Try again after {}.", until(at))
        }
        (AccountTrouble::TooShort, Language::Chinese) => {
            "新密码太短，至少 12 个字符。几个词连在一起即可。".into()
        }
        (AccountTrouble::TooShort, Language::English) => {
            "the new password is too short. Use at least 12 characters, such as four words.".into()
        }
        (AccountTrouble::TooLong, Language::Chinese) => "新密码太长，最多 256 字节。".into(),
        (AccountTrouble::TooLong, Language::English) => {
            "the new password is too long. Use at most 256 bytes.".into()
        }
    }
}
