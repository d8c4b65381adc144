//! Where a parcel is, and who was told.
//!
//! INVARIANT: a waybill is asked for by a form and stands in no address and no title.

use maud::{Markup, html};
use serde::Deserialize;

use super::frame::{Reader, Section, Sheet, sheet};
use super::parts::{facts, headline, state, summary, when};
use super::stations::family;
use super::values::{Instant, Names};
use super::words;
use crate::pages::Language;
use crate::pages::layout::Tone;

/// `GET /parcels/{carrier}/{number}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParcelView {
    carrier: String,
    number: String,
    generation: u64,
    marketplace: Option<String>,
    merchant: Option<String>,
    ownership: OwnershipView,
    state: Option<String>,
    state_at: Option<Instant>,
    stale: Vec<StaleView>,
    events: Vec<EventView>,
    contact_releases: Vec<UseView>,
    deposit: Option<DepositView>,
    tracking: Option<String>,
}

#[derive(Debug, Deserialize)]
struct OwnershipView {
    state: String,
    owner: Option<String>,
}

#[derive(Debug, Deserialize)]
struct StaleView {
    source: String,
    since: Instant,
    reason: String,
}

#[derive(Debug, Deserialize)]
struct EventView {
    step: String,
    at: Instant,
    place: Option<String>,
    from: Option<String>,
}

#[derive(Debug, Deserialize)]
struct UseView {
    to: String,
    purpose: String,
    form: String,
    at: Instant,
}

/// A deposit as handhelds see it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DepositView {
    pub(super) id: String,
    pub(super) state: String,
    pub(super) station: String,
    pub(super) compartment: u64,
    pub(super) size: String,
    pub(super) notifier: String,
    pub(super) phone: Option<String>,
    pub(super) pickup_until: Option<Instant>,
}

impl DepositView {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// What a person typed, and what came of it.
#[derive(Debug, Default)]
pub struct Asked {
    /// The waybill.
    pub waybill: String,
    /// Why there is no answer, in words.
    pub trouble: Option<String>,
}

/// The page that asks, or shows a parcel.
pub fn parcels_page(
    reader: &Reader<'_>,
    asked: &Asked,
    parcel: Option<&ParcelView>,
    names: &Names,
) -> Markup {
    let title = reader.pick("包裹", "Parcels");
    let titled = match asked.trouble {
        Some(_) => reader.pick("出错：包裹", "Error: Parcels"),
        None => title,
    };
    let main = html! {
        @if let Some(trouble) = &asked.trouble { (summary(reader, &html! { (trouble) }, Some("waybill"))) }
        (family(reader))
        @match parcel {
            // The field that scanners type into has the focus: what it found stands below it, in sight.
            Some(parcel) => {
                (ask(reader, asked, reader.pick("查询另一件", "Another waybill")))
                (found(reader, parcel, names))
            }
            None => {
                h1 { (title) }
                p.lead { (reader.pick("输入或扫描运单号。", "Type or scan a waybill.")) }
                (ask(reader, asked, reader.pick("运单号", "Waybill")))
            }
        }
    };
    sheet(
        reader,
        &Sheet {
            title: titled,
            section: Section::Parcels,
            wide: false,
        },
        &main,
    )
}

fn ask(reader: &Reader<'_>, asked: &Asked, label: &str) -> Markup {
    html! {
        form.sheet.inline method="post" action="/console/parcels" {
            (reader.mark())
            div.field {
                label for="waybill" { (label) }
                input #waybill name="waybill" type="text" autocomplete="off" required
                    value=(asked.waybill) maxlength="64" autofocus[asked.trouble.is_none()];
            }
            button type="submit" { (reader.pick("查询", "Look up")) }
        }
    }
}

pub(super) fn step<'a>(reader: &Reader<'_>, code: &'a str) -> (Tone, &'a str) {
    let (tone, zh, en) = match code {
        "announced" => (Tone::Waiting, "已登记", "announced"),
        "issued" => (Tone::Waiting, "已生成运单", "waybill issued"),
        "accepted" => (Tone::Waiting, "已揽收", "handed to the carrier"),
        "arrived" => (Tone::Waiting, "到达", "arrived"),
        "departed" => (Tone::Waiting, "离开", "left"),
        "out-for-delivery" => (Tone::Waiting, "派送中", "out for delivery"),
        "delivered" => (Tone::Good, "已送达", "delivered"),
        "delivery-failed" => (Tone::Soon, "未能送达", "could not be delivered"),
        "deposited" => (Tone::Good, "已投柜", "deposited"),
        "notified" => (Tone::Good, "已通知收件人", "recipient told"),
        "picked-up" => (Tone::Good, "已取件", "picked up"),
        "overdue" => (Tone::Soon, "逾期", "overdue"),
        "recalled" => (Tone::Stopped, "已取回", "taken back"),
        "redirected" => (Tone::Stopped, "已转投", "sent on"),
        "extended" => (Tone::Good, "已延长取件时间", "more time given"),
        other => return (Tone::Unknown, other),
    };
    (tone, reader.pick(zh, en))
}

fn why(reader: &Reader<'_>, stale: &StaleView) -> String {
    let at = reader.language.instant(stale.since.0, stale.since.1);
    match (stale.reason.as_str(), reader.language) {
        ("no-agreement", Language::Chinese) => {
            format!(
                "自 {at}起无有效协议，{}信息暂停更新。包裹可能仍在运送。",
                stale.source
            )
        }
        ("no-agreement", Language::English) => format!(
            "No {} updates since {at}: no agreement is in force. The parcel may still be moving.",
            stale.source
        ),
        ("suspended", Language::Chinese) => {
            format!("自 {at}起协议已暂停，{}信息暂停更新。", stale.source)
        }
        ("suspended", Language::English) => {
            format!(
                "No {} updates since {at}: the agreement is suspended.",
                stale.source
            )
        }
        (_, Language::Chinese) => format!("自 {at}起未收到{}的信息。", stale.source),
        (_, Language::English) => format!("Nothing from {} since {at}.", stale.source),
    }
}

fn found(reader: &Reader<'_>, parcel: &ParcelView, names: &Names) -> Markup {
    let (tone, word) = match &parcel.state {
        Some(code) => step(reader, code),
        None => (Tone::Unknown, reader.pick("尚无动态", "nothing known yet")),
    };
    let tone = if parcel.stale.is_empty() {
        tone
    } else {
        Tone::Soon
    };
    let lead = html! {
        @match (&parcel.state, parcel.state_at) {
            (Some(_), Some(at)) => {
                (reader.pick("最近已知：", "Last known: ")) (word) (reader.pick("，", ", ")) (when(reader, at)) (reader.pick("。", "."))
            }
            _ => (reader.pick("已登记，尚无动态。", "Announced; nothing is known yet.")),
        }
    };
    html! {
        (headline(tone, reader.pick("包裹动态", "Parcel"), &lead))
        @for stale in &parcel.stale {
            p.notice.soon { (Tone::Soon.shape()) (why(reader, stale)) }
        }
        (facts(&parcel_facts(reader, parcel, names)))
        h2 { (reader.pick("经过", "What happened")) }
        ol.timeline {
            @for stale in &parcel.stale {
                li.gap {
                    time datetime=(stale.since.0.to_rfc3339(stale.since.1)) {
                        (reader.language.instant(stale.since.0, stale.since.1))
                    }
                    span.fact { (reader.pick("此后无信息：", "Nothing since: ")) (stale.source) }
                }
            }
            @for event in parcel.events.iter().rev() {
                @let (tone, word) = step(reader, &event.step);
                li.(tone.class()) {
                    time datetime=(event.at.0.to_rfc3339(event.at.1)) {
                        (reader.language.instant(event.at.0, event.at.1))
                    }
                    span.fact { (tone.shape()) (word) @if let Some(place) = &event.place { " · " (place) } }
                    span.source {
                        (event.from.as_deref().map_or(reader.publisher, |from| names.of(from)))
                    }
                }
            }
        }
        h2 { (reader.pick("谁获得了收件人号码", "Who got the recipient's number")) }
        @if parcel.contact_releases.is_empty() {
            p { (reader.pick("没有人。", "Nobody.")) }
        } @else {
            ul.accesses {
                @for given in &parcel.contact_releases {
                    li {
                        strong { (names.of(&given.to)) }
                        span { (words::purpose(reader, &given.purpose)) " · " (words::contact_form(reader, &given.form)) }
                        span.muted { (when(reader, given.at)) }
                    }
                }
            }
        }
    }
}

fn parcel_facts<'a>(
    reader: &Reader<'a>,
    parcel: &ParcelView,
    names: &Names,
) -> Vec<(&'a str, Markup)> {
    let mut rows = vec![
        (
            reader.pick("运单", "Waybill"),
            html! { code { (parcel.carrier) "/" (parcel.number) } },
        ),
        (
            reader.pick("所有方", "Owner"),
            html! {
                @match (parcel.ownership.state.as_str(), &parcel.ownership.owner) {
                    ("owned", Some(owner)) => (names.of(owner)),
                    ("contested", _) => (state(Tone::Soon, reader.pick("有争议", "contested"))),
                    _ => (reader.pick("未认领", "unclaimed")),
                }
            },
        ),
    ];
    if parcel.generation > 1 {
        rows.push((
            reader.pick("单号复用", "Use of the number"),
            html! { (parcel.generation) },
        ));
    }
    for (name, value) in [
        (reader.pick("平台", "Marketplace"), &parcel.marketplace),
        (reader.pick("商家", "Merchant"), &parcel.merchant),
    ] {
        if let Some(value) = value {
            rows.push((name, html! { (value) }));
        }
    }
    if let Some(deposit) = &parcel.deposit {
        rows.push((
            reader.pick("快递柜", "Locker"),
            html! {
                (words::phase(reader, &deposit.state)) " · "
                a href={ "/console/stations/" (crate::identity::url::segment(&deposit.station)) } { (deposit.station) }
                " · " (reader.pick("格口 ", "compartment ")) (deposit.compartment)
            },
        ));
        rows.push((
            reader.pick("由谁通知", "Who tells the recipient"),
            html! { (words::notifier(reader, &deposit.notifier)) },
        ));
        if let Some(at) = deposit.pickup_until {
            rows.push((reader.pick("取件截止", "Pick up by"), when(reader, at)));
        }
    }
    if let Some(url) = &parcel.tracking {
        rows.push((
            reader.pick("买家页面", "Buyer's page"),
            html! { a href=(url) rel="noreferrer" { (reader.pick("打开", "open")) } },
        ));
    }
    rows
}
