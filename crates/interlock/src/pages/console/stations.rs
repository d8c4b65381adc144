//! Can a courier deposit here?

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde::Deserialize;

use super::charts::{self, Bar, Dot};
use super::frame::{Reader, Section, Sheet, sheet};
use super::parts::{empty, facts, headline, siblings, state, table};
use super::stretch::others;
use super::values::{Names, grouped};
use super::words;
use crate::identity::url::segment;
use crate::pages::Language;
use crate::pages::layout::Tone;

/// Most stations on the map and in the list.
pub const STATIONS_SHOWN_MAX: usize = 100;
const SIZES: [&str; 3] = ["small", "medium", "large"];

/// `GET /stations`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StationsView {
    stations: Vec<StationView>,
    partners: Vec<SeenView>,
    all: u64,
    usable: u64,
    partners_all: u64,
}

/// `GET /stations/{id}`.
#[derive(Debug, Deserialize)]
pub struct StationView {
    id: String,
    name: String,
    state: String,
    position: PositionView,
    sizes: BTreeMap<String, SizeView>,
}

#[derive(Debug, Deserialize)]
struct PositionView {
    longitude: f64,
    latitude: f64,
}

#[derive(Debug, Deserialize)]
struct SizeView {
    installed: u64,
    free: u64,
}

#[derive(Debug, Deserialize)]
struct SeenView {
    id: String,
    operator: String,
    name: Option<String>,
    state: Option<String>,
}

impl StationView {
    fn of(&self, size: &str) -> (u64, u64) {
        let size = self.sizes.get(size);
        size.map_or((0, 0), |size| (size.free, size.installed))
    }

    /// What is free here in other sizes, in words.
    pub fn free_beside(&self, reader: &Reader<'_>, size: &str) -> Vec<String> {
        let others = SIZES.iter().filter(|other| **other != size);
        let free = others.filter_map(|other| {
            let (free, _) = self.of(other);
            let word = words::size(reader, other);
            (free > 0).then(|| match reader.language {
                Language::Chinese => format!("{word}余 {free} 个。"),
                Language::English => format!("{word}: {free} free."),
            })
        });
        free.collect()
    }

    fn free(&self) -> u64 {
        self.sizes.values().map(|size| size.free).sum()
    }

    fn look(&self, reader: &Reader<'_>) -> (Tone, &'static str) {
        match self.state.as_str() {
            "operating" | "overloaded" if self.free() == 0 => {
                (Tone::Stopped, reader.pick("已满", "full"))
            }
            state => look(reader, state),
        }
    }

    fn path(&self) -> String {
        format!("/console/stations/{}", segment(&self.id))
    }
}

/// The state of a station, by what its operator says.
fn look(reader: &Reader<'_>, code: &str) -> (Tone, &'static str) {
    match code {
        "operating" => (Tone::Good, reader.pick("运行", "operating")),
        "overloaded" => (Tone::Soon, reader.pick("拥挤", "overloaded")),
        "created" => (Tone::Waiting, reader.pick("未启用", "not open yet")),
        "disabled" | "non-operating" => (Tone::Stopped, reader.pick("停用", "out of use")),
        _ => (Tone::Unknown, reader.pick("未知", "unknown")),
    }
}

/// Pages about parcels.
pub(super) fn family(reader: &Reader<'_>) -> Markup {
    siblings(
        reader,
        &[
            ("/console/parcels", reader.pick("包裹", "Parcels")),
            ("/console/stations", reader.pick("快递柜网点", "Stations")),
        ],
    )
}

/// The list and the map.
// tidy: long, one page from top to bottom
pub fn stations_page(reader: &Reader<'_>, view: &StationsView, names: &Names) -> Markup {
    let title = reader.pick("快递柜网点", "Locker stations");
    let (usable, all) = (view.usable, view.all);
    let (tone, lead) = match (all, reader.language) {
        (0, _) => (
            Tone::Unknown,
            reader
                .pick("我方没有网点。", "We have no stations of our own.")
                .to_owned(),
        ),
        (_, Language::Chinese) => (
            if usable == all {
                Tone::Good
            } else {
                Tone::Soon
            },
            format!("{} 个网点中 {} 个可以投柜。", grouped(all), grouped(usable)),
        ),
        (_, Language::English) => (
            if usable == all {
                Tone::Good
            } else {
                Tone::Soon
            },
            format!(
                "{} of {} stations take parcels.",
                grouped(usable),
                grouped(all)
            ),
        ),
    };
    let dots: Vec<Dot> = view
        .stations
        .iter()
        .map(|s| Dot {
            longitude: s.position.longitude,
            latitude: s.position.latitude,
            tone: s.look(reader).0,
            name: format!("{}: {}", s.name, s.look(reader).1),
            path: s.path(),
        })
        .collect();
    let rows = html! {
        @for station in &view.stations {
            @let (tone, word) = station.look(reader);
            tr {
                th scope="row" { a href=(station.path()) { (station.name) } }
                td { code { (station.id) } }
                td { (state(tone, word)) }
                @for size in SIZES {
                    @let (free, installed) = station.of(size);
                    td.number { (grouped(free)) " / " (grouped(installed)) }
                }
            }
        }
    };
    let main = html! {
        (family(reader))
        (headline(tone, title, &html! { (lead) }))
        @if !view.stations.is_empty() {
            (charts::map(reader.pick("网点位置与状态", "Where they are, and how"), reader.pick("公里", "km"), &dots))
            (table("stations", title, &[
                reader.pick("网点", "Station"),
                reader.pick("编号", "Number"),
                reader.pick("状态", "State"),
                reader.pick("小格口（空/总）", "Small (free/all)"),
                reader.pick("中格口", "Medium"),
                reader.pick("大格口", "Large"),
            ], &rows))
        }
        (of_partners(reader, view, names))
        (others(reader, usize::try_from(all.max(view.partners_all)).unwrap_or(usize::MAX), STATIONS_SHOWN_MAX))
    };
    sheet(
        reader,
        &Sheet {
            title,
            section: Section::Parcels,
            wide: true,
        },
        &main,
    )
}

fn of_partners(reader: &Reader<'_>, view: &StationsView, names: &Names) -> Markup {
    let rows = html! {
        @for seen in &view.partners {
            tr {
                th scope="row" { (seen.name.as_deref().unwrap_or(&seen.id)) }
                td { code { (seen.id) } }
                td { (names.of(&seen.operator)) }
                td { @if let Some(code) = &seen.state { @let (tone, word) = look(reader, code); (state(tone, word)) } }
            }
        }
    };
    html! {
        @if view.partners_all == 0 && view.all == 0 {
            (empty(reader.pick(
                "快递柜运营商登记网点后显示；伙伴的网点在其提供后显示。",
                "Stations appear here once a locker operator puts them up, or a partner tells us of its own.",
            )))
        } @else if !view.partners.is_empty() {
            (table("seen", reader.pick("伙伴的网点", "Partners' stations"), &[
                reader.pick("网点", "Station"),
                reader.pick("编号", "Number"),
                reader.pick("运营商", "Operator"),
                reader.pick("状态", "State"),
            ], &rows))
        }
    }
}

/// One station.
pub fn station_page(reader: &Reader<'_>, station: &StationView) -> Markup {
    let (tone, word) = station.look(reader);
    let title = format!("{} {}", reader.pick("网点", "Station"), station.name);
    let lead = match (station.free(), reader.language) {
        (0, Language::Chinese) => "没有空格口。".to_owned(),
        (0, Language::English) => "No compartment is free.".to_owned(),
        (n, Language::Chinese) => format!("有 {} 个空格口。", grouped(n)),
        (1, Language::English) => "1 compartment is free.".into(),
        (n, Language::English) => format!("{} compartments are free.", grouped(n)),
    };
    let bars: Vec<Bar> = SIZES
        .iter()
        .map(|size| {
            let (free, installed) = station.of(size);
            Bar {
                label: match reader.language {
                    Language::Chinese => format!("{}：空 {free}，共", words::size(reader, size)),
                    Language::English => format!("{}: {free} free of", words::size(reader, size)),
                },
                value: installed,
                hatched: installed.saturating_sub(free),
                tone: Tone::Good,
                path: String::new(),
            }
        })
        .collect();
    let main = html! {
        (family(reader))
        (headline(tone, &title, &html! { (lead) }))
        (charts::bars(
            "free",
            reader.pick("格口，斜线为占用", "Compartments, hatched where taken"),
            reader.pick("个", "compartments"),
            &bars,
        ))
        (facts(&[
            (reader.pick("状态", "State"), state(tone, word)),
            (reader.pick("编号", "Number"), html! { code { (station.id) } }),
            (reader.pick("位置", "Position"), html! {
                (format!("{:.4}, {:.4}", station.position.latitude, station.position.longitude))
            }),
        ]))
    };
    sheet(
        reader,
        &Sheet {
            title: &title,
            section: Section::Parcels,
            wide: false,
        },
        &main,
    )
}
