//! Who may do what, and who lets whom in.
//!
//! INVARIANT: a password, a secret or a key is on the page that answers the form and on no other.

use maud::{Markup, html};
use serde::Deserialize;

use super::again::Typed;
use super::frame::{Reader, Section, Sheet, sheet};
use super::inbox::summary_of;
use super::parts::{code_field, done, empty, facts, more, table, when};
use super::stretch::{others, stretch};
use super::values::{Instant, grouped};
use crate::identity::url::segment;
use crate::node::io::{Problem, Role};
use crate::pages::Language;
use crate::pages::qr::qr;

/// Most people, and most keys, on a page: each has a form.
const SHOWN_MAX: usize = 30;

/// `GET /people`.
#[derive(Debug, Deserialize)]
pub struct PeopleView {
    items: Vec<PersonView>,
}

#[derive(Debug, Deserialize)]
struct PersonView {
    name: String,
    roles: Vec<Role>,
    courier: Option<String>,
    merchant: Option<String>,
}

/// What a role is called.
pub(super) const fn role_word(reader: &Reader<'_>, role: Role) -> &'static str {
    match role {
        Role::Admin => reader.pick("管理员", "administrator"),
        Role::OrderSystem => reader.pick("订单系统", "order system"),
        Role::Handheld => reader.pick("手持终端", "handheld"),
        Role::Cabinet => reader.pick("快递柜", "cabinet"),
        Role::Approver => reader.pick("审批人", "approver"),
        Role::Auditor => reader.pick("审计与隐私", "audit and privacy"),
        Role::Operations => reader.pick("值班", "duty"),
        Role::Courier => reader.pick("快递员", "courier"),
        Role::Merchant => reader.pick("商家", "merchant"),
        Role::Telephone => reader.pick("电话系统", "telephone network"),
    }
}

/// `GET /keys`.
#[derive(Debug, Deserialize)]
pub struct KeysView {
    keys: Vec<KeyView>,
    waiting: Vec<KeyAskedView>,
}

/// A key that counts once another person has approved it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyAskedView {
    id: String,
    name: String,
    role: Role,
    asked_by: String,
    asked_at: Instant,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyView {
    id: String,
    name: String,
    role: Role,
    added_at: Option<Instant>,
}

/// What is shown once.
#[derive(Debug)]
pub enum Shown<'a> {
    /// Somebody who may log in now.
    Person {
        /// The name.
        name: &'a str,
        /// The password.
        password: &'a str,
        /// The secret of the one-time codes.
        secret: &'a str,
        /// The same as authenticator apps take it up.
        enrolment: &'a str,
    },
    /// An API key.
    Key {
        /// The holder.
        name: &'a str,
        /// The key.
        key: &'a str,
        /// Whether another person has to approve it before it counts.
        waits: bool,
    },
}

/// Roles of people.
const PEOPLE: [Role; 6] = [
    Role::Admin,
    Role::Approver,
    Role::Auditor,
    Role::Operations,
    Role::Courier,
    Role::Merchant,
];
/// Roles of keys: those of machines, and those of people who call the API.
const KEYS: [Role; 8] = [
    Role::OrderSystem,
    Role::Handheld,
    Role::Cabinet,
    Role::Telephone,
    Role::Admin,
    Role::Approver,
    Role::Auditor,
    Role::Operations,
];

/// The page.
pub fn access_page(
    reader: &Reader<'_>,
    people: &PeopleView,
    keys: &KeysView,
    shown: Option<&Shown<'_>>,
    trouble: Option<(&Problem, &Typed)>,
) -> Markup {
    let title = reader.pick("人员与权限", "People and roles");
    let nothing = Typed::default();
    let typed = trouble.map_or(&nothing, |(_, typed)| typed);
    let titled = match trouble {
        Some(_) => reader.pick("出错：人员与权限", "Error: People and roles"),
        None => title,
    };
    let main = html! {
        @if let Some((trouble, _)) = trouble { (summary_of(reader, trouble, "person-code")) }
        h1 { (title) }
        @if let Some(shown) = shown { (once(reader, shown)) }
        p.lead {
            @let (number, machines) = (grouped(people.items.len() as u64), grouped(keys.keys.len() as u64));
            @match reader.language {
                Language::Chinese => { (number) " 人可以登录，" (machines) " 个接口密钥有效。" }
                Language::English => { "People who may log in: " (number) ". API keys that count: " (machines) "." }
            }
        }
        (people_table(reader, people))
        details open[reader.print || trouble.is_some()] {
            summary { (reader.pick("添加人员", "Let somebody in")) }
            (new_person(reader, typed))
        }
        @if !keys.waiting.is_empty() { (waiting_table(reader, keys)) }
        (keys_table(reader, keys))
        @let longest = people.items.len().max(keys.keys.len()).max(keys.waiting.len());
        (others(reader, longest, SHOWN_MAX))
        (more(reader, reader.pick("添加密钥", "Add a key"), &new_key(reader)))
    };
    let page = Sheet {
        title: titled,
        section: Section::Access,
        wide: true,
    };
    sheet(reader, &page, &main)
}

fn people_table(reader: &Reader<'_>, people: &PeopleView) -> Markup {
    let rows = html! {
        @for (person, at) in stretch(reader, &people.items, SHOWN_MAX).iter().zip(0..) {
            tr {
                th scope="row" { (person.name) }
                td {
                    @for (role, at) in person.roles.iter().zip(0..) {
                        @if at > 0 { (reader.pick("、", ", ")) }
                        (role_word(reader, *role))
                    }
                }
                td { (person.courier.as_ref().or(person.merchant.as_ref()).map_or("", |id| id.as_str())) }
                td {
                    (withdraw(
                        reader,
                        &format!("/console/access/people/{}/withdraw", segment(&person.name)),
                        &format!("withdraw-person-{at}"),
                    ))
                }
            }
        }
    };
    html! {
        @if people.items.is_empty() {
            (empty(reader.pick("还没有人。", "Nobody yet.")))
        } @else {
            (table(
                "people",
                reader.pick("人员", "People"),
                &[
                    reader.pick("账号", "Name"),
                    reader.pick("角色", "Roles"),
                    reader.pick("快递员或商家编号", "Courier or merchant"),
                    reader.pick("撤销", "Withdraw"),
                ],
                &rows,
            ))
        }
    }
}

fn waiting_table(reader: &Reader<'_>, keys: &KeysView) -> Markup {
    let rows = html! {
        @for (key, at) in stretch(reader, &keys.waiting, SHOWN_MAX).iter().zip(0..) {
            @let path = format!("/console/access/keys/{}", segment(&key.id));
            tr {
                th scope="row" { (key.name) }
                td { (role_word(reader, key.role)) }
                td { code { (key.id) } }
                td { (key.asked_by) " · " (when(reader, key.asked_at)) }
                td {
                    (more(reader, reader.pick("批准…", "Approve …"), &html! {
                        form method="post" action={ (path) "/approve" } {
                            (reader.mark())
                            (code_field(reader, &format!("approve-key-{at}")))
                            button type="submit" { (reader.pick("批准，立即生效", "Approve; it counts at once")) }
                        }
                    }))
                    (withdraw(reader, &format!("{path}/withdraw"), &format!("withdraw-waiting-{at}")))
                }
            }
        }
    };
    table(
        "waiting-keys",
        reader.pick("待他人批准的密钥", "Keys that wait for another person"),
        &[
            reader.pick("持有者", "Holder"),
            reader.pick("角色", "Role"),
            reader.pick("编号", "Id"),
            reader.pick("申请人与时间", "Asked by, and when"),
            reader.pick("处理", "Decide"),
        ],
        &rows,
    )
}

fn keys_table(reader: &Reader<'_>, keys: &KeysView) -> Markup {
    let rows = html! {
        @for (key, at) in stretch(reader, &keys.keys, SHOWN_MAX).iter().zip(0..) {
            tr {
                th scope="row" { (key.name) }
                td { (role_word(reader, key.role)) }
                td { code { (key.id) } }
                td { @if let Some(added) = key.added_at { (when(reader, added)) } }
                td {
                    (withdraw(
                        reader,
                        &format!("/console/access/keys/{}/withdraw", segment(&key.id)),
                        &format!("withdraw-key-{at}"),
                    ))
                }
            }
        }
    };
    table(
        "keys",
        reader.pick("接口密钥", "API keys"),
        &[
            reader.pick("持有者", "Holder"),
            reader.pick("角色", "Role"),
            reader.pick("编号", "Id"),
            reader.pick("添加时间", "Added"),
            reader.pick("撤销", "Withdraw"),
        ],
        &rows,
    )
}

fn withdraw(reader: &Reader<'_>, path: &str, id: &str) -> Markup {
    more(
        reader,
        reader.pick("撤销…", "Withdraw …"),
        &html! {
            form method="post" action=(path) {
                (reader.mark())
                (code_field(reader, id))
                button.danger type="submit" { (reader.pick("立即撤销", "Withdraw at once")) }
            }
        },
    )
}

fn new_person(reader: &Reader<'_>, typed: &Typed) -> Markup {
    let text = |id: &'static str, label: &'static str, needed: bool| {
        html! {
            div.field {
                label for=(id) { (label) }
                input id=(id) name=(id) type="text" autocomplete="off" maxlength="64" required[needed] value=(typed.get(id));
            }
        }
    };
    html! {
        form.sheet method="post" action="/console/access/people" {
            (reader.mark())
            (text("name-of-person", reader.pick("账号", "Name"), true))
            fieldset {
                legend { (reader.pick("角色", "Roles")) }
                @for role in PEOPLE {
                    label.choice {
                        input type="checkbox" name={ "role." (role.as_str()) } value="on"
                            checked[!typed.get(&format!("role.{}", role.as_str())).is_empty()];
                        " " (role_word(reader, role))
                    }
                }
            }
            (text("courier", reader.pick("快递员编号（角色为快递员时）", "Courier's id (for that role)"), false))
            (text("merchant", reader.pick("商家编号（角色为商家时）", "Merchant's id (for that role)"), false))
            (code_field(reader, "person-code"))
            button type="submit" { (reader.pick("添加，并显示密码", "Let in, and show the password")) }
        }
    }
}

fn new_key(reader: &Reader<'_>) -> Markup {
    html! {
        form.sheet method="post" action="/console/access/keys" {
            (reader.mark())
            div.field {
                label for="holder" { (reader.pick("持有者", "Holder")) }
                input #holder name="holder" type="text" autocomplete="off" maxlength="64" required;
            }
            div.field {
                label for="role" { (reader.pick("角色", "Role")) }
                select #role name="role" {
                    @for role in KEYS { option value=(role.as_str()) { (role_word(reader, role)) } }
                }
            }
            (code_field(reader, "key-code"))
            button type="submit" { (reader.pick("添加，并显示密钥", "Add, and show the key")) }
        }
    }
}

/// What is never shown again.
fn once(reader: &Reader<'_>, shown: &Shown<'_>) -> Markup {
    let word = |text: &str| html! { code { (text) } };
    let (said, rows) = match shown {
        Shown::Person {
            name,
            password,
            secret,
            enrolment,
        } => (
            reader.pick(
                "已添加。以下内容只显示这一次，请当面交给本人。",
                "Done. This is shown once: hand it over in person.",
            ),
            vec![
                (reader.pick("账号", "Name"), html! { (name) }),
                (reader.pick("密码", "Password"), word(password)),
                (
                    reader.pick("身份验证器密钥", "Secret for the authenticator app"),
                    word(secret),
                ),
                (
                    reader.pick("身份验证器地址", "Address for the authenticator app"),
                    html! {
                        (qr(enrolment, reader.pick("身份验证器地址的二维码", "QR code of that address")))
                        (word(enrolment))
                    },
                ),
            ],
        ),
        Shown::Key { name, key, waits } => (
            match waits {
                true => reader.pick(
                    "密钥只显示这一次，须由另一位管理员在七天内批准后才生效。",
                    "The key is shown once. It counts when another administrator has approved it, within a week.",
                ),
                false => reader.pick("已添加。密钥只显示这一次。", "Done. The key is shown once."),
            },
            vec![
                (reader.pick("持有者", "Holder"), html! { (name) }),
                (reader.pick("密钥", "Key"), word(key)),
            ],
        ),
    };
    html! {
        (done(said))
        (facts(&rows))
    }
}
