//! Cursors, paths and bodies.

use interlock_core::event::Place;
use interlock_core::ids::StationId;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn wire(text: &str) -> WireId {
    WireId::parse(text).unwrap()
}

fn provider() -> ParticipantId {
    ParticipantId::parse("did:web:fengchao.example").unwrap()
}

fn cursor(live: u64, backlog: u64) -> PageCursor {
    PageCursor {
        first: Lane::Live,
        live,
        backlog,
    }
}

fn parcel(step: Option<Step>) -> FeedItem {
    FeedItem::Parcel(ParcelView {
        carrier: "sf".into(),
        number: "SF1234567890123".into(),
        sequence: 3,
        step,
        at: Some(Timestamp::from_millis(1_496_246_400_000)),
        zone: Some(Zone::CHINA),
        place: Some(Place::Station(StationId::parse("FC0001").unwrap())),
        pickup_until: None,
    })
}

fn page(epcis: bool, items: Vec<FeedItem>) -> Page {
    Page {
        dataset: Dataset::LockerEvents,
        next: cursor(7, 2),
        epcis,
        items,
        leaf: Some(4),
    }
}

#[test]
fn events_are_an_epcis_document_that_our_own_door_takes() {
    let page = page(true, vec![parcel(Some(Step::Deposited))]);
    let document = page_json(&page, &provider(), Timestamp::from_millis(0), Zone::UTC);
    assert_eq!(document["type"], "EPCISDocument");
    assert_eq!(document["il:cursor"], "live.7.2");
    assert_eq!(document["il:leaf"], 4);
    let bytes = document.to_string().into_bytes();
    let events = crate::epcis::parse_document(&bytes).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event.step, Step::Deposited);
    assert_eq!(events[0].waybill.number(), "SF1234567890123");
}

#[test]
fn what_is_no_epcis_event_is_plain_json() {
    let withheld = page(false, vec![parcel(None)]);
    let body = page_json(&withheld, &provider(), Timestamp::from_millis(0), Zone::UTC);
    assert_eq!(body["items"][0]["number"], "SF1234567890123");
    assert_eq!(body["items"][0].get("step"), None, "{body}");
    let station = FeedItem::Station(StationView {
        station: StationId::parse("FC0001").unwrap(),
        name: None,
        position: Some((113_946_800, 22_540_700)),
        state: Some("open".into()),
        capacity: Some([1, 2, 3]),
        availability: Some(["none".into(), "some".into(), "many".into()]),
    });
    let stations = Page {
        dataset: Dataset::LockerStations,
        ..page(false, vec![station])
    };
    let body = page_json(&stations, &provider(), Timestamp::from_millis(0), Zone::UTC);
    expect_test::expect![[r#"{"cursor":"live.7.2","dataset":"locker-stations","items":[{"availability":{"large":"many","medium":"some","small":"none"},"capacity":{"large":3,"medium":2,"small":1},"id":"FC0001","position":{"latitude":22.5407,"longitude":113.9468},"state":"open"}],"leaf":4}"#]].assert_eq(&body.to_string());
}

#[test]
fn an_empty_page_keeps_the_form() {
    let body = page_json(
        &page(true, Vec::new()),
        &provider(),
        Timestamp::from_millis(0),
        Zone::UTC,
    );
    assert_eq!(body["epcisBody"]["eventList"], Value::Array(Vec::new()));
}

#[test]
fn the_lane_that_was_served_last_comes_last() {
    let start = cursor(0, 0);
    assert_eq!(start.lanes(), [Lane::Live, Lane::Backlog]);
    let after = start.after(Lane::Live, 5);
    assert_eq!(after.lanes(), [Lane::Backlog, Lane::Live]);
    assert_eq!((after.live, after.backlog), (5, 0));
    assert_eq!(after.after(Lane::Backlog, 9).first, Lane::Live);
}

#[test]
fn requests_are_read() {
    let target = format!(
        "{}?cursor=backlog.7.2&limit=10&wait=500",
        pull_path(&wire("urn:uuid:a"))
    );
    let read = parse_pull(false, &target, b"");
    let expected = PullCall::Page {
        transfer: wire("urn:uuid:a"),
        cursor: Some(PageCursor {
            first: Lane::Backlog,
            live: 7,
            backlog: 2,
        }),
        limit: 10,
        wait_ms: 500,
    };
    assert_eq!(read, Ok(expected));
    let body = b"grant_type=refresh_token&refresh_token=abc";
    let read = parse_pull(true, "/pull/v1/urn:uuid:a/token", body);
    let expected = PullCall::Refresh {
        transfer: wire("urn:uuid:a"),
        token: "abc".into(),
    };
    assert_eq!(read, Ok(expected));
}

#[test]
fn a_token_in_the_address_and_other_strange_requests_are_refused() {
    for (post, target, body, status) in [
        (false, "/pull/v1/urn:a?access_token=abc", "", 400),
        (false, "/pull/v1/urn:a?token=abc", "", 400),
        (
            true,
            "/pull/v1/urn:a/token?refresh_token=abc",
            "grant_type=refresh_token&refresh_token=abc",
            400,
        ),
        (false, "/pull/v1/urn:a?cursor=live.1", "", 400),
        (false, "/pull/v1/urn:a?cursor=live.1.-1", "", 400),
        (false, "/pull/v1/urn:a?cursor=both.1.1", "", 400),
        (false, "/pull/v1/urn:a?cursor=live.1.1.1", "", 400),
        (
            false,
            "/pull/v1/urn:a?cursor=live.1.18446744073709551616",
            "",
            400,
        ),
        (false, "/pull/v1/urn:a?limit=2001", "", 400),
        (false, "/pull/v1/urn:a?wait=60001", "", 400),
        (
            false,
            "/pull/v1/urn:a?cursor=live.1.1&cursor=live.1.1",
            "",
            400,
        ),
        (true, "/pull/v1/urn:a", "", 405),
        (false, "/pull/v1/urn:a/token", "", 405),
        (false, "/pull/v1/urn:a/else", "", 404),
        (false, "/pull/v1", "", 404),
        (false, "/pull/v1/%zz", "", 404),
        (true, "/pull/v1/urn:a/token", "", 400),
        (
            true,
            "/pull/v1/urn:a/token",
            "grant_type=password&refresh_token=abc",
            400,
        ),
        (
            true,
            "/pull/v1/urn:a/token",
            "grant_type=refresh_token",
            400,
        ),
        (
            true,
            "/pull/v1/urn:a/token",
            "{\"grant_type\":\"refresh_token\"}",
            400,
        ),
    ] {
        let refused = parse_pull(post, target, body.as_bytes()).unwrap_err();
        assert_eq!(refused.status, status, "{target} {body}");
        assert!(!refused.detail.contains("abc"), "{refused:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_cursor_reads_back(live: u64, backlog: u64, first: bool) {
        let first = if first { Lane::Live } else { Lane::Backlog };
        let cursor = PageCursor { first, live, backlog };
        prop_assert_eq!(PageCursor::parse(&cursor.to_text()), Some(cursor));
    }

    #[test]
    fn no_text_is_misread(text in ".{0,40}") {
        if let Some(cursor) = PageCursor::parse(&text) {
            let again = PageCursor::parse(&cursor.to_text());
            prop_assert_eq!(again, Some(cursor));
        }
    }
}
