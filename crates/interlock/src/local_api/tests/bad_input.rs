//! Bad input: refused whole, every error named, nothing personal repeated, the node not asked.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use http::Request;
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};

use super::{Door, HANDHELD_KEY, KEY, example};
use crate::local_api::{BODY_SIZE_BYTES_MAX, SMALL_BODY_SIZE_BYTES_MAX};
use crate::node::io::LocalRequest;

#[test]
fn all_errors_of_many_parcels_are_listed_at_once() {
    let door = Door::new();
    let good = example("Parcels")["parcels"][0].clone();
    let bad = json!({
        "waybill": { "carrier": "sf", "number": "SF1" },
        "marketplace": "Taobao!",
        "merchant": 7,
        "recipient": { "name": "", "phone": "13812341", "address": "x".repeat(513), "age": 4 },
        "size": "huge",
        "consent": "yes",
        "preference": { "noLocker": "no", "notBefore": 24, "onlyStation": "a b" },
        "owner": "cainiao",
        "lockers": ["did:web:fengchao.example", "fengchao"],
        "issuedAt": "2017-05-31T09:00:00",
        "weight": 3,
    });
    let body = json!({ "parcels": [good, bad, { "marketplace": "jd" }] });
    let details = door.refuse(
        "PUT",
        "/parcels",
        &body,
        &[
            "/parcels/1/weight",
            "/parcels/1/waybill/number",
            "/parcels/1/marketplace",
            "/parcels/1/merchant",
            "/parcels/1/recipient/age",
            "/parcels/1/recipient/name",
            "/parcels/1/recipient/phone",
            "/parcels/1/recipient/address",
            "/parcels/1/size",
            "/parcels/1/consent",
            "/parcels/1/preference/noLocker",
            "/parcels/1/preference/onlyStation",
            "/parcels/1/preference/notBefore",
            "/parcels/1/owner",
            "/parcels/1/lockers/1",
            "/parcels/1/issuedAt",
            "/parcels/2/waybill",
        ],
    );
    assert!(!details.contains("13812341"), "{details}");
    for remedy in [
        "`small`, `medium` or `large`",
        "`given`, `refused`, `unknown`",
        "did:web:fengchao.example",
        "RFC 3339 with an offset",
        "11 digits of a Chinese mobile",
        "`waybill` is missing; add it",
        "0 to 23",
    ] {
        assert!(details.contains(remedy), "{remedy}: {details}");
    }
}

#[test]
fn a_telephone_number_in_the_wrong_place_is_not_repeated() {
    let door = Door::new();
    let phone = "+86 138 1234 1234";
    let good = example("Parcels")["parcels"][0].clone();
    for pointer in [
        "/waybill",
        "/marketplace",
        "/merchant",
        "/recipient/phone",
        "/size",
        "/consent",
        "/preference/onlyStation",
        "/owner",
        "/lockers/0",
        "/issuedAt",
    ] {
        let mut body = good.clone();
        *body.pointer_mut(pointer).unwrap() = phone.into();
        let details = door.refuse("PUT", "/parcels", &body, &[pointer]);
        assert!(!details.contains("1234"), "{details}");
    }
    let mut named = good.clone();
    named
        .as_object_mut()
        .unwrap()
        .insert("13812341234".into(), json!(1));
    let details = door.refuse("PUT", "/parcels", &named, &[""]);
    assert!(!details.contains("1234"), "{details}");
    let mut deposit = example("Deposit");
    deposit["contact"] = "138123412".into();
    deposit["courier"] = "c 13812341234".into();
    let details = door.refuse("POST", "/deposits", &deposit, &["/courier", "/contact"]);
    assert!(!details.contains("1381234"), "{details}");
    let answer = door.ask("GET", "/parcels/sf/13812341234", None);
    assert_eq!((answer.status, answer.kind()), (400, "bad-request"));
    assert!(!answer.body.to_string().contains("1234"), "{}", answer.body);
    let answer = door.ask_text("PUT", "/parcels", Some("{\"phone\": 13812341234"));
    assert_eq!(answer.status, 400);
    assert!(!answer.body.to_string().contains("1234"), "{}", answer.body);
}

#[test]
fn calls_name_numbers_as_they_are_dialled() {
    let door = Door::new();
    let good = example("Call");
    let asked = door.pass("POST", "/calls", Some(&good));
    assert!(matches!(asked.request, LocalRequest::ConnectCall(call) if call.from.is_some()));
    // Whoever calls from what is no number is connected as one who withholds it.
    for hidden in ["anonymous", "sip:a@b.example", "+86 138 1234 1234", ""] {
        let mut call = good.clone();
        call["from"] = hidden.into();
        let asked = door.pass("POST", "/calls", Some(&call));
        assert!(
            matches!(asked.request, LocalRequest::ConnectCall(call) if call.from.is_none()),
            "{hidden}"
        );
    }
    for (pointer, wrong) in [
        ("/to", json!("13812341")),
        ("/to", json!(8_695_000_000_u64)),
        ("/to", json!(null)),
        ("/from", json!(13_812_341_234_u64)),
        ("/extension", json!("12341234")),
        ("/extension", json!("0047110008155")),
        ("/extension", json!("1234x1234567")),
        ("/extension", json!(4_711)),
    ] {
        let mut call = good.clone();
        *call.pointer_mut(pointer).unwrap() = wrong;
        let details = door.refuse("POST", "/calls", &call, &[pointer]);
        assert!(!details.contains("1234"), "{details}");
    }
    let mut more = good.clone();
    more["waybill"] = "SF1234567890123".into();
    door.refuse("POST", "/calls", &more, &["/waybill"]);
    door.refuse(
        "POST",
        "/calls",
        &json!({ "extension": "004711000815" }),
        &["/to"],
    );
    let mut large = good;
    large["to"] = "1".repeat(SMALL_BODY_SIZE_BYTES_MAX).into();
    assert_eq!(door.ask("POST", "/calls", Some(&large)).status, 413);
    let withheld = json!({ "to": "+8695000000", "extension": "004711000815" });
    door.pass("POST", "/calls", Some(&withheld));
}

#[test]
fn waybills_are_known_and_come_once() {
    let door = Door::new();
    let parcel = |waybill: Value| json!({ "waybill": waybill, "marketplace": "taobao" });
    let unknown = door.refuse("PUT", "/parcels", &parcel("NOPE".into()), &["/waybill"]);
    assert!(unknown.contains("name the carrier"), "{unknown}");
    let two = door.refuse(
        "PUT",
        "/parcels",
        &parcel("75312345678901".into()),
        &["/waybill"],
    );
    assert!(two.contains("`zto` and of `yto`"), "{two}");
    let digit = json!({ "carrier": "ems", "number": "RB123456784GB" });
    let digit = door.refuse("PUT", "/parcels", &parcel(digit), &["/waybill/number"]);
    assert!(digit.contains("check digit"), "{digit}");
    let sf = || parcel("SF1234567890123".into());
    let twice = json!({ "parcels": [sf(), parcel("sf/sf1234567890123".into())] });
    let twice = door.refuse("PUT", "/parcels", &twice, &["/parcels/1/waybill"]);
    assert!(
        twice.contains("the same waybill as `/parcels/0/waybill`"),
        "{twice}"
    );
    let round = json!({ "waybills": ["SF1234567890123", "SF1234567890123", 5] });
    door.refuse("POST", "/rounds/check", &round, &["/waybills/2"]);
}

#[test]
fn lists_have_limits() {
    let door = Door::new();
    let sf = |n: usize| format!("SF{n:013}");
    let parcels = |count: usize| {
        let all = (0..count).map(|n| json!({ "waybill": sf(n), "marketplace": "taobao" }));
        json!({ "parcels": all.collect::<Vec<_>>() })
    };
    door.pass("PUT", "/parcels", Some(&parcels(1_000)));
    let many = door.refuse("PUT", "/parcels", &parcels(1_001), &["/parcels"]);
    assert!(many.contains("1001 elements; send 1 to 1000"), "{many}");
    door.refuse("PUT", "/parcels", &parcels(0), &["/parcels"]);
    let round = json!({ "waybills": (0..501).map(sf).collect::<Vec<_>>() });
    door.refuse("POST", "/rounds/check", &round, &["/waybills"]);
    let answer = door.ask("GET", "/releases?limit=501", None);
    assert_eq!((answer.status, answer.kind()), (400, "bad-request"));
    assert!(
        answer.body["detail"]
            .as_str()
            .unwrap()
            .contains("from 1 to 500"),
        "{}",
        answer.body
    );
}

#[test]
fn bodies_of_another_shape_are_refused() {
    let door = Door::new();
    for body in [json!([]), json!(1), json!(null), json!("SF1234567890123")] {
        door.refuse("PUT", "/parcels", &body, &[""]);
        door.refuse("POST", "/deposits", &body, &[""]);
    }
    for text in ["", "{", "{}{}", "{'a':1}", "\u{feff}{}"] {
        let answer = door.ask_text("PUT", "/parcels", Some(text));
        assert_eq!(
            (answer.status, answer.kind()),
            (400, "malformed"),
            "{text:?}"
        );
        assert!(door.scribe.take().is_none());
    }
    let path = "/deposits/00112233445566778899aabbccddeeff/confirm";
    door.refuse("POST", path, &json!({ "why": 1 }), &["/why"]);
    door.refuse(
        "POST",
        "/deposits",
        &json!({}),
        &["/waybill", "/station", "/size", "/courier"],
    );
}

#[test]
fn a_stop_in_return_names_its_trigger_its_reason_and_an_instant() {
    let door = Door::new();
    let path = "/agreements/a1/reciprocate";
    door.refuse("POST", path, &json!([]), &[""]);
    door.refuse("POST", path, &json!({}), &["/trigger", "/reason"]);
    let good = json!({ "trigger": "a2", "reason": "you stopped first" });
    for (name, value) in [
        ("trigger", json!(7)),
        ("trigger", json!("")),
        ("trigger", json!("a".repeat(3_000))),
        ("reason", json!("")),
        ("reason", json!("w".repeat(10_000))),
        ("at", json!("2017-06-04T00:00:00")),
        ("at", json!("soon")),
        ("at", json!(1_496_505_600)),
        ("notice", json!("P3D")),
    ] {
        let mut body = good.clone();
        body[name] = value;
        door.refuse("POST", path, &body, &[&format!("/{name}")]);
    }
    door.pass("POST", path, Some(&good));
}

#[test]
fn stations_are_on_earth_and_have_compartments() {
    let door = Door::new();
    let mut body = example("Stations");
    let station = &mut body["stations"][0];
    station["position"] = json!({ "longitude": 181, "latitude": -90.5 });
    station["capacity"] = json!({ "small": 2_001, "medium": -1, "large": 1.5 });
    station["state"] = "broken".into();
    let pointers = [
        "/stations/0/position/longitude",
        "/stations/0/position/latitude",
        "/stations/0/state",
        "/stations/0/capacity/small",
        "/stations/0/capacity/medium",
        "/stations/0/capacity/large",
    ];
    door.refuse("PUT", "/stations", &body, &pointers);
    body = example("Stations");
    body["stations"][0]["capacity"] = json!({});
    door.refuse("PUT", "/stations", &body, &["/stations/0/capacity"]);
    let station = example("Stations")["stations"][0].clone();
    let twice = json!({ "stations": [station.clone(), station] });
    door.refuse("PUT", "/stations", &twice, &["/stations/1/id"]);
}

#[test]
fn a_policy_is_checked_term_by_term() {
    let door = Door::new();
    let mut body = example("Offer");
    let constraints = &mut body["policy"]["permission"][0]["constraint"];
    constraints[0]["leftOperand"] = "il:surprise".into();
    constraints[4]["rightOperand"] = json!(["step", "contact"]);
    let answer = door.ask("POST", "/offers", Some(&body));
    assert_eq!(answer.status, 400);
    let inside = |pointer: &&str| pointer.starts_with("/policy/permission/0");
    assert!(
        answer.pointers().iter().filter(|p| inside(p)).count() >= 2,
        "{}",
        answer.body
    );
    assert!(door.scribe.take().is_none());
    let mut body = example("Offer");
    body["policy"]["permission"][0]["constraint"][4]["rightOperand"] = json!(["step"]);
    let details = door.refuse("POST", "/offers", &body, &["/policy", "/policy"]);
    assert!(details.contains("il:field"), "{details}");
    let proposal = json!({ "partner": "did:web:sf.example", "offers": ["a", "a"],
        "policies": { "b": {} } });
    door.refuse(
        "POST",
        "/negotiations",
        &proposal,
        &["/offers/1", "/policies/b"],
    );
}

#[test]
fn events_are_refused_as_a_whole() {
    let door = Door::new();
    let mut body = example("EpcisDocument");
    let good = body["epcisBody"]["eventList"][0].clone();
    let mut bad = good.clone();
    bad["epcList"] = json!(["https://id.sf.example/waybill/sf/SF12"]);
    body["epcisBody"]["eventList"] = json!([good, bad]);
    door.refuse(
        "POST",
        "/events",
        &body,
        &["/epcisBody/eventList/1/epcList/0"],
    );
    body["epcisBody"]["eventList"][0]["eventTime"] = "13812341234".into();
    let answer = door.ask("POST", "/events", Some(&body));
    assert_eq!(answer.status, 400);
    assert!(
        answer
            .pointers()
            .contains(&"/epcisBody/eventList/0/eventTime"),
        "{}",
        answer.body
    );
    assert!(!answer.body.to_string().contains("1381234"));
}

fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
}

#[test]
fn without_a_key_nothing_is_read() {
    let door = Door::new();
    let key = |value: &str| {
        let request = request("PUT", "/parcels").header("authorization", value);
        door.send(request.body(Body::from("{")).unwrap())
    };
    let basic = format!("Basic {KEY}");
    for value in ["", "Bearer", "Bearer ", &basic, "Bearer il_1", KEY] {
        let answer = key(value);
        assert_eq!(
            (answer.status, answer.kind()),
            (401, "unauthorised"),
            "{value}"
        );
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    let bare = door.send(request("GET", "/status").body(Body::empty()).unwrap());
    assert_eq!(bare.status, 401);
}

#[test]
// tidy: long, one line a way to be wrong
fn types_sizes_and_idempotency_keys_are_checked_before_the_body() {
    let door = Door::new();
    let send = |method: &str, path: &str, headers: &[(&str, &str)], body: Body| {
        let mut request = request(method, path).header("authorization", format!("Bearer {KEY}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = door.send(request.body(body).unwrap());
        assert!(door.scribe.take().is_none());
        (answer.status, answer.kind().to_owned())
    };
    let json_type = ("content-type", "application/json");
    let deposit = || Body::from(example("Deposit").to_string());
    let missing = send("POST", "/deposits", &[json_type], deposit());
    assert_eq!(missing, (400, "idempotency-key-missing".into()));
    let spaced = send(
        "POST",
        "/deposits",
        &[json_type, ("idempotency-key", "a b")],
        deposit(),
    );
    assert_eq!(spaced, (400, "bad-request".into()));
    let two = [
        json_type,
        ("idempotency-key", "a"),
        ("idempotency-key", "b"),
    ];
    assert_eq!(send("POST", "/deposits", &two, deposit()).0, 400);
    let kept = [json_type, ("idempotency-key", "a")];
    assert_eq!(
        send(
            "POST",
            "/keys",
            &kept,
            Body::from(example("Key").to_string())
        )
        .0,
        400
    );
    let text = [("content-type", "text/plain"), ("idempotency-key", "a")];
    assert_eq!(
        send("POST", "/deposits", &text, deposit()),
        (415, "wrong-content-type".into())
    );
    for headers in [&[] as &[(&str, &str)], &[("content-type", "text/plain")]] {
        assert_eq!(
            send("PUT", "/parcels", headers, Body::from("{}")),
            (415, "wrong-content-type".into())
        );
    }
    // Which of the two counts depends on the reader: neither does.
    let twice = Body::from(r#"{"parcels":[],"parcels":[]}"#);
    assert_eq!(
        send("PUT", "/parcels", &[json_type], twice),
        (400, "malformed".into())
    );
    let large = |size: usize| Body::from(" ".repeat(size + 1));
    let parcels = send("PUT", "/parcels", &[json_type], large(BODY_SIZE_BYTES_MAX));
    assert_eq!(parcels, (413, "too-large".into()));
    let announced = BODY_SIZE_BYTES_MAX + 1;
    let announced = [json_type, ("content-length", &announced.to_string())];
    assert_eq!(send("PUT", "/parcels", &announced, Body::from("{}")).0, 413);
    let small = send(
        "POST",
        "/explain",
        &[json_type],
        large(SMALL_BODY_SIZE_BYTES_MAX),
    );
    assert_eq!(small, (413, "too-large".into()));
    let body = [json_type, ("content-length", "2")];
    assert_eq!(send("DELETE", "/offers/a", &body, Body::from("{}")).0, 400);
}

#[test]
fn many_offers_are_refused_whole_with_every_error() {
    let door = Door::new();
    let good = example("Offer");
    let mut other = good.clone();
    other["id"] = "other".into();
    other["dataset"] = "parcels:hangzhou".into();
    let body = json!({ "offers": [good, other, good] });
    let pointers = ["/offers/1/dataset", "/offers/2/id"];
    let details = door.refuse("PUT", "/offers", &body, &pointers);
    assert!(
        details.contains("the same id as `/offers/0/id`"),
        "{details}"
    );
    door.refuse("PUT", "/offers", &json!({ "offers": [] }), &["/offers"]);
    let many: Vec<&Value> = std::iter::repeat_n(&good, 1_001).collect();
    door.refuse("PUT", "/offers", &json!({ "offers": many }), &["/offers"]);
    for wrong in [json!({}), json!({ "offers": {} }), json!([good])] {
        assert_eq!(door.ask("PUT", "/offers", Some(&wrong)).status, 400);
    }
    let answer = door.ask("GET", "/offers?after=a%20b", None);
    assert_eq!((answer.status, answer.kind()), (400, "bad-request"));
}

#[test]
fn queries_and_paths_are_strict() {
    let door = Door::new();
    for path in [
        "/releases?limit=0",
        "/releases?limit=five",
        "/releases?limit=+5",
        "/releases?after=-1",
        "/releases?after=18446744073709551616",
        "/releases?after=1&after=2",
        "/releases?cursor=1",
        "/status?verbose=1",
        "/rehearsals",
        "/rehearsals?at=midnight",
        "/rehearsals?at=2017-07-01T00:00:00",
        "/rehearsals?at=2017-07-01T00:00:00Z&limit=0",
        "/events?feed=everything",
        "/events?wait=60001",
        "/looks?what=gossip",
        "/looks?what=",
        "/looks?what=call&what=phone",
        "/deposits/12",
        "/parcels/SF/SF1234567890123",
        "/partners/cainiao/catalog",
        "/stations/a%20b",
    ] {
        let answer = door.ask("GET", path, None);
        assert_eq!(
            (answer.status, answer.kind()),
            (400, "bad-request"),
            "{path}"
        );
        assert!(door.scribe.take().is_none());
    }
    let looks = door.ask("GET", "/looks?what=gossip", None);
    assert_eq!(
        looks.body["detail"],
        "`what` is not known; write one of people, parcel, round, shop, address, phone, call"
    );
    let several = door.ask("GET", "/events?feed=everything&wait=x&foo=1", None);
    let detail = several.body["detail"].as_str().unwrap();
    for part in [
        "`feed` is not known",
        "`wait` is not a whole number",
        "none here",
    ] {
        assert!(detail.contains(part), "{detail}");
    }
}

/// A body that says whether somebody began to read it.
struct Watched(Arc<AtomicBool>);

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.store(true, Ordering::SeqCst);
        Poll::Ready(None)
    }
}

#[test]
fn nobody_has_a_large_body_read_who_may_not_send_one() {
    let door = Door::new();
    let unknown = KEY.replace("17", "18");
    let large = [
        ("PUT", "/parcels"),
        ("POST", "/events"),
        ("PUT", "/stations"),
        ("PUT", "/offers"),
        ("POST", "/negotiations"),
        ("POST", "/mediations"),
        ("POST", "/mediations/urn:x/counter"),
        ("POST", "/mediations/urn:x/revise"),
    ];
    for (method, path) in large {
        for (key, status, kind) in [
            (unknown.as_str(), 401, "unauthorised"),
            (HANDHELD_KEY, 403, "forbidden"),
            // Whoever may has it read, and is told that it is none.
            (KEY, 400, "malformed"),
        ] {
            let read = Arc::new(AtomicBool::new(false));
            let request = Request::builder()
                .method(method)
                .uri(format!("/api/v1{path}"))
                .header("authorization", format!("Bearer {key}"))
                .header("content-type", "application/json")
                .body(Body::new(Watched(read.clone())))
                .unwrap();
            let answer = door.send(request);
            assert_eq!((answer.status, answer.kind()), (status, kind), "{path}");
            assert_eq!(read.load(Ordering::SeqCst), key == KEY, "{method} {path}");
            assert!(door.scribe.take().is_none(), "the node must not be asked");
        }
    }
}
