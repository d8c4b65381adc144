//! Pictures: our own SVG, by class, with the same figures as a table below.
//!
//! INVARIANT: a picture says its title and unit, begins at zero, and never carries what its table does
//! not: whoever cannot see it reads the table.

use interlock_core::time::DAY_MS;
use maud::{Markup, html};

use super::frame::Reader;
use super::parts::more;
use super::values::{Instant, grouped};
use crate::pages::layout::Tone;

/// Width of the plot, in units of the picture.
const WIDTH: u64 = 600;
/// Room before the bars for their numbers, by which the list below names them.
const GUTTER: u64 = 32;
/// Height of a bar and the gap below it.
const BAR: usize = 14;
const STEP: usize = 22;

/// One bar.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: u64,
    /// How much of it is hatched: denied.
    pub(super) hatched: u64,
    pub(super) tone: Tone,
    /// Where its figures are; empty for nowhere.
    pub(super) path: String,
}

/// Horizontal bars, longest value across the whole width; where there is nothing to see, no picture.
pub(super) fn bars(id: &str, title: &str, unit: &str, bars: &[Bar]) -> Markup {
    let most = bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1);
    let height = bars.len() * STEP + 20;
    let hatch = format!("{id}-hatch");
    html! {
        @if bars.iter().any(|bar| bar.value > 0) {
            figure.chart {
                figcaption { (title) " (" (unit) ")" }
                svg viewBox=(format!("0 0 {} {height}", GUTTER + WIDTH + 40)) role="img" aria-label=(title) {
                    defs {
                        pattern id=(hatch) width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                            path.hatch d="M0 0V6" {}
                        }
                    }
                    @for (bar, at) in bars.iter().zip(0..) {
                        @let y = at * STEP;
                        @let long = bar.value * WIDTH / most;
                        @let denied = bar.hatched * WIDTH / most;
                        g.(bar.tone.class()) {
                            rect.bar x=(GUTTER) y=(y) width=(long.max(1)) height=(BAR) {}
                            @if denied > 0 {
                                rect x=(GUTTER + long.saturating_sub(denied)) y=(y) width=(denied) height=(BAR) fill={ "url(#" (hatch) ")" } {}
                            }
                        }
                        text.last x=(GUTTER - 6) y=(y + 12) { (at + 1) }
                        text.value x=(GUTTER + long.max(1) + 6) y=(y + 12) { (grouped(bar.value)) }
                    }
                    path.axis d=(format!("M{GUTTER} 0V{}", bars.len() * STEP)) {}
                    text.end x=(GUTTER) y=(height - 4) { "0" }
                    text.end.last x=(GUTTER + WIDTH) y=(height - 4) { (grouped(most)) }
                }
                ol.labels {
                    @for bar in bars {
                        li {
                            @if bar.path.is_empty() { (bar.label) } @else { a href=(bar.path) { (bar.label) } }
                            " " strong { (grouped(bar.value)) }
                        }
                    }
                }
            }
        }
    }
}

/// Columns by day or hour: released, and hatched denied.
pub(super) struct Column {
    pub(super) label: String,
    pub(super) plain: u64,
    pub(super) hatched: u64,
}

pub(super) fn columns(
    reader: &Reader<'_>,
    id: &str,
    title: &str,
    heads: [&str; 3],
    columns: &[Column],
) -> Markup {
    let most = columns
        .iter()
        .map(|column| column.plain + column.hatched)
        .max()
        .unwrap_or(0)
        .max(1);
    let count = columns.len().max(1) as u64;
    let step = (WIDTH / count).max(3);
    let hatch = format!("{id}-hatch");
    let first = columns.first().map_or("", |column| column.label.as_str());
    let last = columns.last().map_or("", |column| column.label.as_str());
    html! {
        @if !columns.is_empty() {
            figure.chart {
                figcaption { (title) }
                svg viewBox="0 0 660 150" role="img" aria-label=(title) {
                    defs {
                        pattern id=(hatch) width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                            path.hatch.ink d="M0 0V5" {}
                        }
                    }
                    @for (column, at) in columns.iter().zip(0_u64..) {
                        @let plain = column.plain * 110 / most;
                        @let denied = column.hatched * 110 / most;
                        g.waiting { rect.bar x=(40 + at * step) y=(120 - plain) width=(step - 2) height=(plain) {} }
                        g.stopped {
                            rect.outline x=(40 + at * step) y=(120 - plain - denied) width=(step - 2) height=(denied) fill={ "url(#" (hatch) ")" } {}
                        }
                    }
                    path.axis d="M38 10V120H640" {}
                    text.end.last x="34" y="18" { (grouped(most)) }
                    text.end.last x="34" y="122" { "0" }
                    text.end x="40" y="138" { (first) }
                    text.end.last x="640" y="138" { (last) }
                }
                (more(reader, reader.pick("数据表", "As a table"), &html! {
                    div.scroll role="region" tabindex="0" aria-label=(title) {
                        table {
                            thead { tr { @for head in heads { th scope="col" { (head) } } } }
                            tbody {
                                @for column in columns {
                                    tr {
                                        th scope="row" { (column.label) }
                                        td.number { (grouped(column.plain)) }
                                        td.number { (grouped(column.hatched)) }
                                    }
                                }
                            }
                        }
                    }
                }))
            }
        }
    }
}

/// The term of an agreement with where we are in it.
pub(super) fn term(reader: &Reader<'_>, from: Instant, until: Instant) -> Markup {
    let whole = until.0.since_ms(from.0).max(1);
    let gone = reader.as_of.since_ms(from.0).clamp(0, whole);
    let at = u64::try_from(gone.saturating_mul(600) / whole).unwrap_or(0);
    let days = (until.0.since_ms(reader.as_of).max(0) + DAY_MS - 1) / DAY_MS;
    let title = reader.pick("期限", "Term");
    html! {
        figure.chart {
            figcaption { (title) }
            svg viewBox="0 0 640 26" role="img" aria-label=(title) {
                rect.rest x="0" y="6" width="600" height="14" {}
                g.(if days > 14 { "good" } else { "soon" }) { rect.bar x="0" y="6" width=(at) height="14" {} }
                path.now d=(format!("M{at} 0V26")) {}
            }
            // Below the picture, where both fit on a phone.
            p.ends {
                span { (reader.language.instant(from.0, from.1)) }
                " "
                span { (reader.language.instant(until.0, until.1)) }
            }
        }
    }
}

/// Lengths of a map's ruler, in kilometres: figures that people reckon with.
const SCALES_KM: [f64; 15] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0,
];

/// A station on a map: where, and how it looks.
pub(super) struct Dot {
    pub(super) longitude: f64,
    pub(super) latitude: f64,
    pub(super) tone: Tone,
    pub(super) name: String,
    pub(super) path: String,
}

/// A map of stations: nothing but the stations and a scale, drawn here.
pub(super) fn map(title: &str, scale: &str, dots: &[Dot]) -> Markup {
    let (mut west, mut east) = (f64::MAX, f64::MIN);
    let (mut south, mut north) = (f64::MAX, f64::MIN);
    for dot in dots {
        west = west.min(dot.longitude);
        east = east.max(dot.longitude);
        south = south.min(dot.latitude);
        north = north.max(dot.latitude);
    }
    let middle = f64::midpoint(south, north).to_radians().cos().max(0.1);
    let kilometres = ((east - west) * middle).max(north - south).max(0.005) * 111.32;
    let per_degree = 560.0 / (kilometres / 111.32);
    let place = |dot: &Dot| {
        let x = 40.0 + (dot.longitude - west) * middle * per_degree;
        let y = 40.0 + (north - dot.latitude) * per_degree;
        (x.round(), y.round())
    };
    let height = (80.0 + (north - south) * per_degree)
        .round()
        .clamp(80.0, 640.0);
    let fifth = kilometres / 5.0;
    let ruler = SCALES_KM.into_iter().rev().find(|km| *km <= fifth);
    let ruler = ruler.unwrap_or(SCALES_KM[0]);
    let ruler_width = (560.0 * ruler / kilometres).round();
    html! {
        @if !dots.is_empty() {
            figure.chart.map {
                figcaption { (title) }
                svg viewBox=(format!("0 0 640 {}", height + 30.0)) role="group" aria-label=(title) {
                    rect.frame x="1" y="1" width="638" height=(height + 28.0) {}
                    @for dot in dots {
                        @let (x, y) = place(dot);
                        a href=(dot.path) aria-label=(dot.name) {
                            g.(dot.tone.class()) {
                                title { (dot.name) }
                                @match dot.tone {
                                    Tone::Soon => path.bar d=(format!("M{x} {}l9 15h-18z", y - 9.0)) {},
                                    Tone::Stopped => rect.bar x=(x - 7.0) y=(y - 7.0) width="14" height="14" {},
                                    Tone::Waiting => path.bar d=(format!("M{x} {}l9 9-9 9-9-9z", y - 9.0)) {},
                                    Tone::Good => circle.bar cx=(x) cy=(y) r="7" {},
                                    Tone::Unknown => circle.outline cx=(x) cy=(y) r="7" {},
                                }
                            }
                        }
                    }
                    path.axis d=(format!("M40 {}h{ruler_width}", height + 8.0)) {}
                    text.end x="40" y=(height + 24.0) { (ruler) " " (scale) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use interlock_core::time::{Timestamp, Zone};

    use super::*;
    use crate::pages::Language;

    fn dot(longitude: f64, tone: Tone, name: &str) -> Dot {
        Dot {
            longitude,
            latitude: 30.0,
            tone,
            name: name.into(),
            path: format!("/console/stations/{}", name.len()),
        }
    }

    #[test]
    fn a_map_shows_each_station_as_it_is_and_a_ruler_in_figures_to_reckon_with() {
        let dots = [
            dot(120.0, Tone::Good, "East <gate>"),
            dot(121.0, Tone::Stopped, "West"),
            dot(122.0, Tone::Soon, "North gate"),
        ];
        let text = map("Where", "km", &dots).into_string();
        assert!(!text.contains("<gate>") && text.contains("East &lt;gate&gt;"));
        assert_eq!(text.matches("<a href=").count(), dots.len(), "{text}");
        // 193 km from west to east: a fifth of it is 38.5.
        assert!(text.contains(">20 km</text>"), "{text}");
        for shape in [
            "<circle class=\"bar\"",
            "<rect class=\"bar\"",
            "<path class=\"bar\"",
        ] {
            assert_eq!(text.matches(shape).count(), 1, "{shape}: {text}");
        }
        let one = map("Where", "km", &dots[..1]).into_string();
        assert!(one.contains(">0.1 km</text>"), "{one}");
        assert_eq!(map("Where", "km", &[]).into_string(), "");
    }

    #[test]
    fn a_term_shows_where_we_are_between_its_two_ends() {
        let at = |text: &str| Timestamp::parse_zoned(text).unwrap().0;
        let instant = |text: &str| Instant(at(text), Zone::CHINA);
        let (from, until) = ("2017-06-01T00:00:00+08:00", "2017-07-01T00:00:00+08:00");
        for (as_of, width, tone) in [
            ("2017-05-01T00:00:00+08:00", 0, "good"),
            ("2017-06-16T00:00:00+08:00", 300, "good"),
            ("2017-06-25T00:00:00+08:00", 480, "soon"),
            ("2017-08-01T00:00:00+08:00", 600, "soon"),
        ] {
            let reader = Reader {
                as_of: at(as_of),
                ..Reader::in_tests(Language::English)
            };
            let text = term(&reader, instant(from), instant(until)).into_string();
            let bar = format!(
                "<g class=\"{tone}\"><rect class=\"bar\" x=\"0\" y=\"6\" width=\"{width}\""
            );
            assert!(text.contains(&bar), "{as_of}: {text}");
            for end in ["2017-06-01 00:00 (UTC+8)", "2017-07-01 00:00 (UTC+8)"] {
                assert!(text.contains(&format!("<span>{end}</span>")), "{text}");
            }
        }
    }
}
