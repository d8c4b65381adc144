//! Pictures count what the tables of their pages count: read back from the pages themselves.

use interlock_core::time::{DAY_MS, HOUR_MS, Timestamp, Zone};
use serde_json::{Value, json};

use super::*;
use crate::pages::Language;

/// 2017-06-14T12:00:00+08:00.
const NOW: Timestamp = Timestamp::from_millis(1_497_412_800_000);

fn reader(language: Language) -> Reader<'static> {
    Reader {
        as_of: NOW,
        ..Reader::in_tests(language)
    }
}

fn view<T: serde::de::DeserializeOwned>(answer: Value) -> T {
    serde_json::from_value(answer).unwrap()
}

/// Whatever stands between `from` and the next `to`, again and again.
fn all<'a>(text: &'a str, from: &str, to: &str) -> Vec<&'a str> {
    let pieces = text.split(from).skip(1);
    pieces.map(|rest| rest.split(to).next().unwrap()).collect()
}

fn one<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let [only] = all(text, from, to)[..] else {
        panic!("`{from}` is not there once: {text}");
    };
    only
}

fn number(text: &str) -> u64 {
    text.replace(',', "").parse().unwrap()
}

/// The rows of the table with that id: cells as they are written.
fn rows<'a>(page: &'a str, id: &str) -> Vec<Vec<&'a str>> {
    let (_, rest) = page.split_once(&format!("id=\"{id}\"")).unwrap();
    let body = rest.split("<tbody>").nth(1).unwrap();
    let body = body.split("</tbody>").next().unwrap();
    let rows = all(body, "<tr>", "</tr>").into_iter();
    let cells = |row: &'a str| {
        let cells = row.split("</th>").flat_map(|part| part.split("</td>"));
        cells.filter(|cell| !cell.is_empty()).collect()
    };
    rows.map(cells).collect()
}

/// The figure in a cell.
fn figure(cell: &str) -> u64 {
    number(cell.rsplit('>').next().unwrap())
}

fn widths(picture: &str, class: &str) -> Vec<u64> {
    let bars = all(picture, class, ">").into_iter();
    bars.map(|bar| number(one(bar, " width=\"", "\"")))
        .collect()
}

#[test]
fn columns_by_day_are_as_high_as_the_days_of_their_table() {
    let counted: [(u64, u64); 5] = [(0, 0), (1_234, 17), (20, 600), (0, 3), (2_000, 0)];
    let day = |(at, (released, denied)): (usize, &(u64, u64))| json!({ "day": format!("2017-06-{:02}", at + 10), "released": released, "denied": denied });
    let days: Vec<Value> = counted.iter().enumerate().map(day).collect();
    let ledger: LedgerView = view(json!({ "items": [], "next": null, "days": days }));
    for language in Language::ALL {
        let page = releases_page(
            &reader(language),
            &ledger,
            &LedgerFilter::default(),
            &Names::default(),
        );
        let page = page.into_string();
        let chart = one(&page, "<figure", "</figure>");
        let table = one(chart, "<tbody>", "</tbody>");
        let told: Vec<(u64, u64)> = all(table, "<tr>", "</tr>")
            .into_iter()
            .map(|row| {
                let cells = all(row, "<td class=\"number\">", "</td>");
                (number(cells[0]), number(cells[1]))
            })
            .collect();
        assert_eq!(told, counted, "{chart}");
        let heights = |class: &str| -> Vec<u64> {
            let drawn = all(chart, class, ">").into_iter();
            drawn
                .map(|it| number(one(it, " height=\"", "\"")))
                .collect()
        };
        // 2,000 in one day is the most, and 110 high.
        let scaled = |count: u64| count * 110 / 2_000;
        let plain: Vec<u64> = told.iter().map(|day| scaled(day.0)).collect();
        let hatched: Vec<u64> = told.iter().map(|day| scaled(day.1)).collect();
        assert_eq!(heights("<rect class=\"bar\""), plain);
        assert_eq!(heights("<rect class=\"outline\""), hatched);
        let lead = one(&page, "<p class=\"lead\">", "</p>");
        assert!(lead.contains(">3,254<") && lead.contains(">620<"), "{lead}");
    }
}

#[test]
fn bars_of_a_backlog_are_the_sums_of_their_rows() {
    let feed = |to: &str, live: u64, backlog: u64, held: u64| {
        let oldest = (held > 0).then_some("2017-06-01T00:00:00+08:00");
        json!({
            "to": to, "dataset": "tracking-events", "held": held, "dropped": 0, "oldestHeld": oldest,
            "live": { "ready": live, "released": 5 }, "backlog": { "ready": backlog, "released": 6 },
        })
    };
    let feeds: FeedsView = view(json!({ "feeds": [
        feed("did:web:a.example", 7, 0, 0),
        feed("did:web:b.example", 0, 0, 0),
        feed("did:web:c.example", 100, 1_000, 400),
        feed("did:web:d.example", 0, 30, 0),
    ]}));
    for language in Language::ALL {
        let page = feeds_page(&reader(language), &feeds, &Names::default()).into_string();
        let chart = one(&page, "<figure", "</figure>");
        let rows = rows(&page, "feeds");
        assert_eq!(rows.len(), 4, "{page}");
        let sums = rows.iter().map(|row| {
            let cells = [row[3], row[4], row[5]].map(figure);
            (cells.iter().sum::<u64>(), cells[2])
        });
        let waiting: Vec<(u64, u64)> = sums.filter(|(waiting, _)| *waiting > 0).collect();
        assert_eq!(waiting, [(1_500, 400), (30, 0), (7, 0)]);
        let drawn: Vec<u64> = all(chart, "<strong>", "</strong>")
            .into_iter()
            .map(number)
            .collect();
        let sums: Vec<u64> = waiting.iter().map(|(sum, _)| *sum).collect();
        assert_eq!(drawn, sums);
        let long: Vec<u64> = sums.iter().map(|sum| (sum * 600 / 1_500).max(1)).collect();
        assert_eq!(widths(chart, "<rect class=\"bar\""), long);
        let hatched = format!("width=\"{}\" height=\"14\" fill", 400 * 600 / 1_500);
        assert_eq!(chart.matches("fill=\"url(#").count(), 1);
        assert!(chart.contains(&hatched), "{chart}");
    }
}

#[test]
fn bars_of_ends_are_the_days_to_the_ends_in_their_table() {
    let agreement = |id: &str, state: &str, ends: Timestamp| {
        json!({
            "id": id, "role": "provider", "partner": format!("did:web:{id}.example"),
            "dataset": "tracking-events", "state": state, "from": "2017-06-01T00:00:00+08:00",
            "endsAt": ends.to_rfc3339(Zone::CHINA), "followed": false, "cooperation": "c", "assurance": "manifest",
        })
    };
    let agreements: AgreementsView = view(json!({ "agreements": [
        agreement("a", "IN_FORCE", NOW.plus_ms(16 * DAY_MS)),
        agreement("b", "SUSPENDED", NOW.plus_ms(3 * DAY_MS + 5 * HOUR_MS)),
        agreement("c", "ENDED", NOW.plus_ms(-2 * DAY_MS)),
        agreement("d", "RUN_OFF", NOW.plus_ms(-DAY_MS)),
        agreement("e", "SIGNED", NOW.plus_ms(60 * DAY_MS)),
    ]}));
    for language in Language::ALL {
        let page = agreements_page(&reader(language), &agreements, &Names::default());
        let page = page.into_string();
        let chart = one(&page, "<figure", "</figure>");
        let days = all(chart, "<li>", "</li>").into_iter().map(|label| {
            let path = one(label, "href=\"", "\"").to_owned();
            (path, number(one(label, "<strong>", "</strong>")))
        });
        let mut days: Vec<(String, u64)> = days.collect();
        let told = rows(&page, "all").into_iter().map(|row| {
            let end = one(row[4], "datetime=\"", "\"");
            let (end, _) = Timestamp::parse_zoned(end).unwrap();
            let left = end.since_ms(NOW).max(0) / DAY_MS;
            let path = one(row[0], "href=\"", "\"").to_owned();
            (path, u64::try_from(left).unwrap())
        });
        let mut told: Vec<(String, u64)> = told.collect();
        assert_eq!(told.len(), 5);
        // What has ended has no bar.
        told.retain(|(path, _)| !path.ends_with("/c"));
        days.sort();
        told.sort();
        assert_eq!(days, told, "{page}");
        let counted: Vec<u64> = days.iter().map(|(_, days)| *days).collect();
        assert_eq!(counted, [16, 3, 0, 60]);
    }
}

#[test]
fn a_map_has_each_station_of_its_table_as_it_is() {
    let station = |id: &str, state: &str, free: u64, longitude: f64| {
        json!({
            "id": id, "name": format!("Station {id}"), "state": state,
            "position": { "longitude": longitude, "latitude": 30.0 },
            "sizes": { "small": { "installed": 4, "free": free } },
        })
    };
    let stations: StationsView = view(json!({
        "stations": [
            station("A", "operating", 3, 120.0), station("B", "operating", 0, 120.1),
            station("C", "overloaded", 1, 120.2), station("D", "disabled", 4, 120.3),
            station("E", "created", 4, 120.4), station("F", "what-else", 4, 120.5),
        ],
        "partners": [], "all": 6, "usable": 2, "partnersAll": 0,
    }));
    for language in Language::ALL {
        let page = stations_page(&reader(language), &stations, &Names::default()).into_string();
        let chart = one(&page, "<figure", "</figure>");
        let dots = all(chart, "<a href=\"", "</a>").into_iter().map(|dot| {
            let path = dot.split('"').next().unwrap();
            (path, one(dot, "<g class=\"", "\""))
        });
        let told = rows(&page, "stations");
        let told = told.iter().map(|row| {
            let path = one(row[0], "href=\"", "\"");
            (path, one(row[2], "<span class=\"state ", "\""))
        });
        let (dots, told): (Vec<_>, Vec<_>) = (dots.collect(), told.collect());
        assert_eq!(dots, told, "{page}");
        let tones = ["good", "stopped", "soon", "stopped", "waiting", "unknown"];
        let drawn: Vec<&str> = dots.iter().map(|(_, tone)| *tone).collect();
        assert_eq!(drawn, tones);
    }
}

#[test]
fn the_health_page_has_every_figure_of_the_status_that_it_was_made_from() {
    let figures = [
        ("deposits", "Deposits", 1_001),
        ("pickedUp", "Picked up", 1_002),
        ("messagesSent", "Messages sent", 1_003),
        ("messagesWaiting", "Messages waiting", 1_004),
        ("eventsAccepted", "Events of our own", 1_005),
        ("eventsReceived", "Events received", 1_006),
        ("eventsDuplicate", "Repeats kept out", 1_007),
        ("eventsOutOfOrder", "Out of order", 1_008),
    ];
    let mut status = json!({
        "parcels": 1, "depositsUnderWay": 2, "releases": 3, "alerts": 4, "notCompared": [],
        "rolledBackAt": null, "feeds": [],
        "denials": { "no-agreement": 2_017, "quota-per-day": 6 },
        "depositsRefused": { "consent-refused": 1, "ended": 3_000 },
    });
    for (member, _, value) in figures {
        status[member] = json!(value);
    }
    let status: StatusView = view(status);
    let page = health_page(&reader(Language::English), &status, &Names::default()).into_string();
    for (_, label, value) in figures {
        let shown = format!("<dt>{label}</dt><dd>{}</dd>", grouped(value));
        assert!(page.contains(&shown), "{shown}: {page}");
    }
    for (id, counts) in [
        ("denials", [("no-agreement", 2_017), ("quota-per-day", 6)]),
        ("refusals", [("consent-refused", 1), ("ended", 3_000)]),
    ] {
        let told = rows(&page, id);
        let told = told.iter().map(|row| {
            (
                one(row[0], "<code class=\"muted\">", "</code>"),
                figure(row[1]),
            )
        });
        assert_eq!(told.collect::<Vec<_>>(), counts, "{page}");
    }
    for said in [
        "The recipient has not agreed to a locker <",
        "quota is used up <",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
}
