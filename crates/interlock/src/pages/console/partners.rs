//! What runs between us and a partner.

use interlock_core::ids::ParticipantId;
use maud::{Markup, html};
use serde::Deserialize;

use super::agreements::{AgreementsView, Head, family, sorted};
use super::feeds::FeedView;
use super::frame::{Reader, Section, Sheet, sheet};
use super::parts::{empty, facts, headline, state, table, when};
use super::stretch::{others, stretch};
use super::values::{Names, grouped};
use super::words;
use crate::identity::keys::PublicKey;
use crate::identity::url::segment;
use crate::pages::Language;
use crate::pages::layout::Tone;

/// Most partners on a page, and most agreements one way with one of them.
const SHOWN_MAX: usize = 100;

/// `GET /partners`.
#[derive(Debug, Deserialize)]
pub struct PartnersView {
    items: Vec<PartnerView>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartnerView {
    id: String,
    name: String,
    roles: Vec<String>,
    exchange_url: String,
    key: String,
    connector: bool,
}

impl PartnersView {
    /// What they are called.
    pub fn names(&self) -> Names {
        let pairs = self.items.iter();
        Names::new(pairs.map(|p| (p.id.clone(), p.name.clone())))
    }

    /// The keys that they sign with.
    pub fn keys(&self) -> impl Iterator<Item = (ParticipantId, [u8; 32])> {
        self.items.iter().filter_map(|p| {
            let id = ParticipantId::parse(&p.id).ok()?;
            let key = PublicKey::parse(&p.key).ok()?;
            Some((id, *key.as_bytes()))
        })
    }

    /// Whether that is one of them.
    pub fn lists(&self, id: &str) -> bool {
        self.items.iter().any(|p| p.id == id)
    }
}

fn role<'a>(reader: &Reader<'_>, code: &'a str) -> &'a str {
    match code {
        "platform" => reader.pick("电商平台", "platform"),
        "locker-operator" => reader.pick("快递柜运营商", "locker operator"),
        "carrier" => reader.pick("快递公司", "carrier"),
        "regulator" => reader.pick("监管机构", "regulator"),
        "messenger" => reader.pick("短信服务商", "messenger"),
        other => other,
    }
}

/// The list.
pub fn partners_page(
    reader: &Reader<'_>,
    partners: &PartnersView,
    agreements: &AgreementsView,
) -> Markup {
    let title = reader.pick("伙伴", "Partners");
    let number = grouped(partners.items.len() as u64);
    let open = |id: &str, role: &str| {
        let of = agreements.agreements.iter();
        of.filter(|a| a.partner == id && a.role == role && a.is_open())
            .count()
    };
    let rows = html! {
        @for partner in stretch(reader, &partners.items, SHOWN_MAX) {
            tr {
                th scope="row" { a href={ "/console/partners/" (segment(&partner.id)) } { (partner.name) } }
                td {
                    @for (code, at) in partner.roles.iter().zip(0..) {
                        @if at > 0 { (reader.pick("、", ", ")) }
                        (role(reader, code))
                    }
                }
                td.number { (open(&partner.id, "provider")) }
                td.number { (open(&partner.id, "consumer")) }
            }
        }
    };
    let main = html! {
        (family(reader))
        h1 { (title) }
        p.lead {
            @match reader.language {
                Language::Chinese => { "与 " (number) " 个伙伴有往来。" }
                Language::English => {
                    (number) (if partners.items.len() == 1 { " partner" } else { " partners" }) " may talk to us."
                }
            }
        }
        @if partners.items.is_empty() {
            (empty(reader.pick(
                "还没有伙伴。用 interlock partner add 添加。",
                "No partners yet. Add one with interlock partner add.",
            )))
        } @else {
            (table("partners", title, &[
                reader.pick("伙伴", "Partner"),
                reader.pick("角色", "Does"),
                reader.pick("我方提供（协议数）", "We give (agreements)"),
                reader.pick("我方获得（协议数）", "We get (agreements)"),
            ], &rows))
            (others(reader, partners.items.len(), SHOWN_MAX))
        }
    };
    sheet(
        reader,
        &Sheet {
            title,
            section: Section::Agreements,
            wide: true,
        },
        &main,
    )
}

/// One partner; `None` if there is none of that id.
// tidy: long, one page from top to bottom
pub fn partner_page(
    reader: &Reader<'_>,
    id: &str,
    partners: &PartnersView,
    agreements: &AgreementsView,
    feeds: &[FeedView],
) -> Option<Markup> {
    let partner = partners.items.iter().find(|p| p.id == id)?;
    let of: Vec<&Head> = sorted(&agreements.agreements)
        .into_iter()
        .filter(|a| a.partner == id)
        .collect();
    let open = of.iter().filter(|a| a.is_open()).count();
    let (tone, lead) = match open {
        0 => (
            Tone::Stopped,
            reader
                .pick(
                    "没有有效协议，没有数据流动。",
                    "No agreement stands: nothing flows.",
                )
                .to_owned(),
        ),
        n => (
            Tone::Good,
            match reader.language {
                Language::Chinese => format!("有 {n} 份协议。"),
                Language::English if n == 1 => "1 agreement stands.".into(),
                Language::English => format!("{n} agreements stand."),
            },
        ),
    };
    let one_way = |role: &str, id: &str, caption: &str| {
        let rows = html! {
            @for a in of.iter().filter(|a| a.role == role).take(SHOWN_MAX) {
                @let (tone, word) = words::agreement_state(reader, &a.state);
                tr {
                    th scope="row" { a href=(a.path()) { (words::dataset(reader, &a.dataset)) } }
                    td { (state(tone, &word)) }
                    td { (when(reader, a.ends_at)) }
                    td.number {
                        @if let Some(feed) = feeds.iter().find(|f| role == "provider" && f.is(&partner.id, &a.dataset)) {
                            a href="/console/feeds" { (grouped(feed.waiting())) }
                        }
                    }
                }
            }
        };
        table(
            id,
            caption,
            &[
                reader.pick("数据", "Data"),
                reader.pick("状态", "State"),
                reader.pick("到期", "Until"),
                reader.pick("待送", "Waiting"),
            ],
            &rows,
        )
    };
    let main = html! {
        (family(reader))
        (headline(tone, &partner.name, &html! { (lead) }))
        (one_way("provider", "gives", reader.pick("我方提供", "We give")))
        (one_way("consumer", "gets", reader.pick("我方获得", "We get")))
        h2 { (reader.pick("身份与密钥", "Identity and key")) }
        (facts(&[
            ("DID", html! { code { (partner.id) } }),
            (reader.pick("地址", "Address"), html! { code { (partner.exchange_url) } }),
            (reader.pick("锁定的公钥", "Pinned key"), html! { code { (partner.key) } }),
            (reader.pick("软件", "Software"), html! {
                (if partner.connector {
                    reader.pick("其他连接器", "another connector")
                } else {
                    "Interlock"
                })
            }),
            (reader.pick("台账", "Ledger"), html! {
                a href={ "/console/releases?partner=" (segment(&partner.id)) } {
                    (reader.pick("提供与拒绝", "released and denied"))
                }
            }),
            (reader.pick("证据", "Evidence"), html! {
                a href={ "/console/evidence/" (segment(&partner.id)) } {
                    (reader.pick("双方记录", "both logs"))
                }
            }),
        ]))
    };
    let page = Sheet {
        title: &partner.name,
        section: Section::Agreements,
        wide: true,
    };
    Some(sheet(reader, &page, &main))
}
