//! Who may do what.

use maud::{Markup, html};
use serde::Deserialize;

use super::frame::{Reader, Section, Sheet, sheet};
use super::parts::{empty, table};
use super::values::grouped;
use crate::node::io::Role;
use crate::pages::Language;

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
    }
}

/// The page.
pub fn access_page(reader: &Reader<'_>, people: &PeopleView) -> Markup {
    let title = reader.pick("人员与权限", "People and roles");
    let number = grouped(people.items.len() as u64);
    let rows = html! {
        @for person in &people.items {
            tr {
                th scope="row" { (person.name) }
                td {
                    @for (role, at) in person.roles.iter().zip(0..) {
                        @if at > 0 { (reader.pick("、", ", ")) }
                        (role_word(reader, *role))
                    }
                }
                td { (person.courier.as_ref().or(person.merchant.as_ref()).map_or("", |id| id.as_str())) }
            }
        }
    };
    let main = html! {
        h1 { (title) }
        p.lead {
            @match reader.language {
                Language::Chinese => { (number) " 人可以登录。" }
                Language::English => { (number) " people may log in." }
            }
        }
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
                ],
                &rows,
            ))
        }
    };
    let page = Sheet {
        title,
        section: Section::Access,
        wide: true,
    };
    sheet(reader, &page, &main)
}
