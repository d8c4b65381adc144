use expect_test::expect;
use interlock_core::event::{Place, Step};
use interlock_core::ids::StationId;
use interlock_core::time::{Timestamp, Zone};
use interlock_core::waybill::Waybill;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn waybill() -> Waybill {
    Waybill::parse("sf", "SF1234567890123").unwrap()
}

fn base() -> IdBase {
    IdBase::parse("sf.example").unwrap()
}

fn event(step: Step, place: Option<Place>) -> EventDraft {
    let (at, zone) = Timestamp::parse_zoned("2017-06-01T09:30:00.250+08:00").unwrap();
    EventDraft {
        step,
        at,
        zone,
        place,
    }
}

fn station() -> Option<Place> {
    Some(Place::Station(StationId::parse("0412").unwrap()))
}

/// A foreign event without `il:step`, changed by `change`.
fn foreign(change: Value) -> Value {
    let mut event = json!({
        "type": "ObjectEvent",
        "eventTime": "2017-06-01T09:30:00+08:00",
        "eventTimeZoneOffset": "+08:00",
        "epcList": ["https://sf.example/waybill/sf/SF1234567890123"],
        "action": "OBSERVE",
        "bizStep": "arriving",
    });
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            event.as_object_mut().unwrap().remove(name);
        } else {
            event[name] = value.clone();
        }
    }
    event
}

fn document(events: Vec<Value>) -> Vec<u8> {
    let created = Timestamp::from_millis(0);
    render_document(events, created, Zone::CHINA)
        .to_string()
        .into_bytes()
}

fn steps(changes: &[Value]) -> Vec<Step> {
    let bytes = document(changes.iter().cloned().map(foreign).collect());
    let captured = parse_document(&bytes).unwrap();
    captured.into_iter().map(|c| c.event.step).collect()
}

fn errors(bytes: &[u8]) -> Vec<String> {
    let errors = parse_document(bytes).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

fn pointers(change: Value) -> Vec<String> {
    let errors = parse_document(&document(vec![foreign(change)])).unwrap_err();
    errors
        .into_iter()
        .map(|e| e.pointer.replace("/epcisBody/eventList/0", "…"))
        .collect()
}

/// The id is the one that the reference implementation of CBV's event hash gives for this document.
#[test]
fn a_deposit_is_rendered_with_its_id() {
    let rendered = render(&event(Step::Deposited, station()), &waybill(), &base());
    let text = serde_json::to_string_pretty(&render_document(
        vec![rendered],
        Timestamp::from_millis(1_496_246_400_000),
        Zone::CHINA,
    ));
    expect![[r#"
        {
          "@context": [
            "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
            {
              "il": "https://w3id.org/interlock/ns#"
            }
          ],
          "creationDate": "2017-06-01T00:00:00+08:00",
          "epcisBody": {
            "eventList": [
              {
                "action": "OBSERVE",
                "bizLocation": {
                  "id": "https://sf.example/station/0412"
                },
                "bizStep": "accepting",
                "disposition": "in_progress",
                "epcList": [
                  "https://sf.example/waybill/sf/SF1234567890123"
                ],
                "eventID": "ni:///sha-256;0ab8f595c568c0197ad315be1cf041593035142f04d33a33d6e9c7a521c2093f?ver=CBV2.0",
                "eventTime": "2017-06-01T09:30:00.25+08:00",
                "eventTimeZoneOffset": "+08:00",
                "il:step": "deposited",
                "readPoint": {
                  "id": "https://sf.example/station/0412"
                },
                "type": "ObjectEvent"
              }
            ]
          },
          "schemaVersion": "2.0",
          "type": "EPCISDocument"
        }"#]].assert_eq(&text.unwrap());
}

#[test]
fn cbv_names_urns_web_uris_and_compact_uris_are_equal() {
    let all = steps(&[
        json!({"bizStep": "arriving"}),
        json!({"bizStep": "urn:epcglobal:cbv:bizstep:arriving"}),
        json!({"bizStep": "https://ref.gs1.org/cbv/BizStep-arriving"}),
        json!({"bizStep": "cbv:BizStep-arriving"}),
        json!({"bizStep": "receiving"}),
    ]);
    assert_eq!(all, vec![Step::Arrived; 5]);
}

#[test]
fn steps_with_one_word_are_told_apart_without_our_extension() {
    let party = json!([{"type": "possessing_party", "source": "https://fengchao.example/party/1"}]);
    let at_station = json!({"id": "https://fengchao.example/station/0412"});
    let overdue =
        |uri: &str| json!({"bizStep": "storing", "persistentDisposition": {"set": [uri]}});
    let all = steps(&[
        json!({"bizStep": "commissioning", "action": "ADD", "disposition": "active"}),
        json!({"bizStep": "accepting", "disposition": "in_progress",
               "sourceList": party, "destinationList": party}),
        json!({"bizStep": "accepting", "disposition": "in_progress", "bizLocation": at_station,
               "readPoint": {"id": "https://fengchao.example/place/0412-B07"},
               "sourceList": party, "destinationList": party}),
        json!({"bizStep": "accepting", "sourceList": party, "bizLocation": at_station}),
        json!({"bizStep": "accepting", "disposition": "returned", "sourceList": party}),
        json!({"bizStep": "shipping", "disposition": "urn:epcglobal:cbv:disp:returned"}),
        json!({"bizStep": "shipping", "disposition": "in_transit"}),
        json!({"bizStep": "departing", "disposition": "in_transit"}),
        overdue("https://w3id.org/interlock/ns#overdue"),
        overdue("il:overdue"),
        json!({"bizStep": "il:redirected"}),
        json!({"bizStep": "il:extended"}),
    ]);
    expect!["[Issued, Accepted, Deposited, PickedUp, Recalled, Recalled, Departed, OutForDelivery, Overdue, Overdue, Redirected, Extended]"].assert_eq(&format!("{all:?}"));
}

#[test]
fn words_without_a_meaning_for_a_parcel_are_kept() {
    let all = steps(&[
        json!({"bizStep": "collecting"}),
        json!({"bizStep": "storing"}),
        json!({"bizStep": "storing", "persistentDisposition": {"unset": ["il:overdue"]}}),
        json!({"bizStep": "inspecting", "disposition": "recalled"}),
        json!({"bizStep": "https://sto.example/steps/weighed"}),
        json!({"bizStep": "urn:sto:step:17", "action": "DELETE"}),
        json!({"bizStep": "il:something"}),
    ]);
    let codes: Vec<&str> = all.iter().map(Step::as_str).collect();
    assert_eq!(
        codes,
        [
            "collecting",
            "storing",
            "storing",
            "inspecting",
            "https://sto.example/steps/weighed",
            "urn:sto:step:17",
            "https://w3id.org/interlock/ns#something",
        ]
    );
    assert!(all.iter().all(|step| matches!(step, Step::Other(_))));
}

#[test]
fn il_is_ours_only_where_the_context_says_so() {
    let mut document = json!({
        "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
                     {"il": "https://other.example/ns#", "x": NAMESPACE}],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2017-06-01T00:00:00Z",
        "epcisBody": {"eventList": [foreign(json!({"il:step": "no step of ours"}))]},
    });
    let bytes = document.to_string().into_bytes();
    assert_eq!(parse_document(&bytes).unwrap()[0].event.step, Step::Arrived);
    document["epcisBody"]["eventList"][0] =
        foreign(json!({"bizStep": "accepting", "x:step": "delivered"}));
    let bytes = document.to_string().into_bytes();
    assert_eq!(
        parse_document(&bytes).unwrap()[0].event.step,
        Step::Delivered
    );
}

#[test]
fn the_original_bytes_and_the_place_of_an_event_are_kept() {
    let sgln = "urn:epc:id:sgln:4012345.00011.987";
    let events = vec![
        foreign(json!({})),
        foreign(json!({"readPoint": {"id": sgln}, "eventID": "urn:uuid:1", "sto:note": {"a": 1}})),
    ];
    let bytes = document(events.clone());
    let captured = parse_document(&bytes).unwrap();
    for (index, one) in captured.iter().enumerate() {
        assert_eq!(one.index, index);
        assert_eq!(one.original, events[index].to_string());
    }
    assert_eq!(captured[1].event.place, Some(Place::Named(sgln.into())));
    assert_eq!(captured[1].event_id.as_deref(), Some("urn:uuid:1"));
    assert_eq!(captured[0].issuer, "sf.example");
    assert_eq!(captured[0].waybill, waybill());
    let rendered = render(&captured[1].event, &waybill(), &base());
    assert_eq!(rendered["readPoint"]["id"], sgln);
    assert_eq!(
        rendered.get("eventID"),
        None,
        "its hash would need a conversion"
    );
}

#[test]
fn every_error_of_a_document_is_listed_with_its_pointer() {
    let bytes = document(vec![
        foreign(json!({"eventTime": "2017-06-01 09:30", "eventTimeZoneOffset": null})),
        foreign(json!({"type": "AggregationEvent"})),
        foreign(json!({})),
        foreign(json!({"bizStep": "arived", "action": 7})),
    ]);
    expect![[r#"
        `/epcisBody/eventList/0/eventTime`: `2017-06-01 09:30` is no instant; write RFC 3339 with an offset, such as `2017-06-01T00:00:00+08:00`
        `/epcisBody/eventList/0/eventTimeZoneOffset`: is missing; write the offset where it happened, such as `+08:00`
        `/epcisBody/eventList/1/type`: `AggregationEvent` does not tell the step of one parcel; send one `ObjectEvent` for each parcel and step
        `/epcisBody/eventList/3/action`: is a number, not a string; correct it as EPCIS 2.0 section 10 shows
        `/epcisBody/eventList/3/bizStep`: `arived` is no word of CBV 2.0; write a word of CBV 2.0 such as `accepting`, or a URI of your own domain that does not begin with `urn:epcglobal:cbv`"#]].assert_eq(&errors(&bytes).join("\n"));
}

#[test]
fn missing_and_mistyped_fields_are_named() {
    for name in [
        "eventTime",
        "eventTimeZoneOffset",
        "epcList",
        "action",
        "bizStep",
        "type",
    ] {
        let wanted = [format!("…/{name}")];
        assert_eq!(pointers(json!({ name: null })), wanted, "missing");
        assert_eq!(pointers(json!({ name: 7 })), wanted, "mistyped");
        assert_eq!(pointers(json!({ name: {"x": 1} })), wanted, "mistyped");
    }
    for name in [
        "disposition",
        "readPoint",
        "bizLocation",
        "sourceList",
        "destinationList",
        "persistentDisposition",
        "eventID",
    ] {
        assert_eq!(
            pointers(json!({ name: 7 })),
            [format!("…/{name}")],
            "mistyped"
        );
    }
}

#[test]
fn wrong_values_are_named() {
    let epc = |uri: &str| pointers(json!({"epcList": [uri]}));
    for uri in [
        "urn:epc:id:sscc:4012345.0000000333",
        "https://id.gs1.org/00/040123450000001112",
        "http://sf.example/waybill/sf/SF1234567890123",
        "https://sf.example/waybill/01/12345678901231",
        "https://sf.example/waybill/sscc/12345678901231",
        "https://sf.example/waybill/~sf/SF1234567890123",
        "https://sf.example/waybill/sf/SF123456789012",
        "https://sf.example/waybill/ems/RB123456784GB",
        "https://sf.example/waybill/sf/SF1234567890123/2",
        "https://SF.example/waybill/sf/SF1234567890123",
        "https://user@sf.example/waybill/sf/SF1234567890123",
    ] {
        assert_eq!(epc(uri), ["…/epcList/0"], "{uri}");
    }
    assert_eq!(pointers(json!({"epcList": []})), ["…/epcList"]);
    let two = "https://sf.example/waybill/sf/SF1234567890123";
    assert_eq!(pointers(json!({"epcList": [two, two]})), ["…/epcList"]);
    for (change, pointer) in [
        (json!({"action": "ADD"}), "…/action"),
        (json!({"action": "observe"}), "…/action"),
        (json!({"bizStep": "commissioning"}), "…/action"),
        (
            json!({"bizStep": "urn:epcglobal:cbv:bizstep:locker"}),
            "…/bizStep",
        ),
        (
            json!({"bizStep": "urn:epcglobal:cbv:mine:locker"}),
            "…/bizStep",
        ),
        (
            json!({"bizStep": "https://ref.gs1.org/cbv/BizStep-locker"}),
            "…/bizStep",
        ),
        (json!({"bizStep": "a:b c"}), "…/bizStep"),
        (json!({"disposition": "awaiting_pickup"}), "…/disposition"),
        (
            json!({"persistentDisposition": {"set": ["overdue"]}}),
            "…/persistentDisposition/set/0",
        ),
        (json!({"readPoint": {"id": "door 7"}}), "…/readPoint/id"),
        (json!({"readPoint": {}}), "…/readPoint/id"),
        (
            json!({"readPoint": {"id": format!("urn:x:{}", "y".repeat(200))}}),
            "…/readPoint/id",
        ),
        (json!({"eventID": "7"}), "…/eventID"),
        (json!({"errorDeclaration": {}}), "…/errorDeclaration"),
        (json!({"quantityList": []}), "…/quantityList"),
        (json!({"bizstep": "arriving"}), "…/bizstep"),
        (json!({"a/b~c": 1}), "…/a~1b~0c"),
        (json!({"il:step": "flown"}), "…/il:step"),
        (json!({"il:step": 7}), "…/il:step"),
        (json!({"il:step": "deposited"}), "…/bizStep"),
        (json!({"type": "SensorEvent"}), "…/type"),
    ] {
        assert_eq!(pointers(change.clone()), [pointer], "{change}");
    }
}

#[test]
fn frames_are_checked() {
    let good = || -> Value { serde_json::from_slice(&document(vec![foreign(json!({}))])).unwrap() };
    for (name, value, pointer) in [
        ("type", json!("EPCISQueryDocument"), "/type"),
        ("schemaVersion", json!("1.2"), "/schemaVersion"),
        ("schemaVersion", json!(2.0), "/schemaVersion"),
        ("creationDate", json!("yesterday"), "/creationDate"),
        ("epcisBody", json!([]), "/epcisBody"),
        ("epcisBody", json!({}), "/epcisBody/eventList"),
        (
            "epcisBody",
            json!({"eventList": {}}),
            "/epcisBody/eventList",
        ),
        (
            "epcisBody",
            json!({"eventList": []}),
            "/epcisBody/eventList",
        ),
        (
            "epcisBody",
            json!({"eventList": [7]}),
            "/epcisBody/eventList/0",
        ),
        ("extra", json!(1), "/extra"),
    ] {
        let mut document = good();
        document[name] = value;
        let errors = parse_document(document.to_string().as_bytes()).unwrap_err();
        let found: Vec<&str> = errors.iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(found, [pointer], "{name}");
    }
    for name in ["type", "schemaVersion", "creationDate", "epcisBody"] {
        let mut document = good();
        document.as_object_mut().unwrap().remove(name);
        let errors = parse_document(document.to_string().as_bytes()).unwrap_err();
        assert_eq!(errors[0].pointer, format!("/{name}"));
    }
    for bad in ["", "[]", "{", "null", "\u{feff}{}", "{}x"] {
        assert!(parse_document(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(errors(&[0xff, b'{', b'}'])[0].contains("UTF-8"));
}

#[test]
fn limits_hold() {
    let good = foreign(json!({}));
    assert_eq!(
        parse_document(&document(vec![good.clone(); EVENTS_MAX]))
            .unwrap()
            .len(),
        EVENTS_MAX
    );
    let many = errors(&document(vec![good; EVENTS_MAX + 1]));
    assert_eq!(
        many,
        ["`/epcisBody/eventList`: has 501 events; send at most 500 events at once"]
    );

    let mut large = document(vec![foreign(json!({}))]);
    large.resize(DOCUMENT_BYTES_MAX + 1, b' ');
    assert!(errors(&large)[0].contains("2097153 bytes"));
    large.truncate(DOCUMENT_BYTES_MAX);
    assert!(parse_document(&large).is_ok());

    let fat = json!({"x:note": "y".repeat(EVENT_BYTES_MAX)});
    assert!(errors(&document(vec![foreign(fat)]))[0].contains("at most 16 KiB"));

    let deep = format!(
        "{{\"x:a\": {}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(errors(deep.as_bytes())[0].contains("nests deeper"));
    let brackets = json!({"x:note": "[{".repeat(40) + "\\\""});
    assert!(parse_document(&document(vec![foreign(brackets)])).is_ok());

    let wide: serde_json::Map<String, Value> = (0..=FIELDS_MAX)
        .map(|n| (format!("x:{n}"), json!(n)))
        .collect();
    assert!(
        errors(&document(vec![foreign(Value::Object(wide))]))[0].contains("more than 64 fields")
    );

    let bad = json!({"action": 1, "bizStep": 2, "eventTime": 3, "epcList": 4});
    let listed = errors(&document(vec![foreign(bad); EVENTS_MAX]));
    assert_eq!(listed.len(), ERRORS_MAX);
}

#[test]
fn a_field_that_occurs_twice_is_refused() {
    let text = String::from_utf8(document(vec![foreign(json!({}))])).unwrap();
    let twice = text.replacen("\"action\":", "\"action\":\"ADD\",\"action\":", 1);
    let found = errors(twice.as_bytes());
    assert!(found[0].contains("`action` occurs twice"), "{found:?}");
    assert!(found[0].contains("/epcisBody/eventList/0"), "{found:?}");
}

#[test]
fn repeats_are_returned_and_contradictions_refused() {
    let one = foreign(json!({"eventID": "urn:uuid:1"}));
    let captured = document(vec![one.clone(), one.clone()]);
    let captured = parse_document(&captured).unwrap();
    assert_eq!(captured.len(), 2);
    assert_eq!(captured[0].event, captured[1].event);

    let other = foreign(json!({"eventID": "urn:uuid:1", "bizStep": "departing"}));
    let found = parse_document(&document(vec![one, other])).unwrap_err();
    assert_eq!(found[0].pointer, "/epcisBody/eventList/1/eventID");
    assert!(found[0].problem.contains("event 0"));
}

#[test]
fn id_bases_are_domains() {
    for good in ["sf.example", "127.0.0.1:9000", "xn--fiq.example"] {
        assert!(IdBase::parse(good).is_some(), "{good}");
    }
    for bad in [
        "",
        "https://sf.example",
        "SF.example",
        "a..b",
        "a/b",
        "-a.b",
        "a:b",
        "a:1:2",
    ] {
        assert!(IdBase::parse(bad).is_none(), "{bad}");
    }
}

#[test]
fn a_waybill_never_looks_like_a_digital_link() {
    let uri =
        |carrier: &str| waybill_uri(&base(), &Waybill::parse(carrier, "12345678901231").unwrap());
    assert_eq!(uri("01"), "https://sf.example/waybill/~01/12345678901231");
    assert_eq!(
        uri("sscc"),
        "https://sf.example/waybill/~sscc/12345678901231"
    );
    assert_eq!(uri("zto"), "https://sf.example/waybill/zto/12345678901231");
}

#[test]
fn an_error_repeats_no_waybill_number() {
    let found = errors(&document(vec![
        foreign(json!({"epcList": ["https://sf.example/waybill/sf/SF98765"]})),
        foreign(json!({"epcList": ["urn:sf:98765"]})),
    ]));
    assert_eq!(found.len(), 2);
    assert!(
        found.iter().all(|error| !error.contains("98765")),
        "{found:?}"
    );
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        proptest::sample::select(vec![
            Step::Issued,
            Step::Accepted,
            Step::Arrived,
            Step::Departed,
            Step::OutForDelivery,
            Step::Delivered,
            Step::DeliveryFailed,
            Step::Deposited,
            Step::Notified,
            Step::PickedUp,
            Step::Overdue,
            Step::Recalled,
            Step::Redirected,
            Step::Extended,
        ]),
        "[ -~]{1,40}".prop_map(Step::Other),
        "\\PC{1,30}".prop_map(Step::Other),
        proptest::sample::select(vec![
            "accepting",
            "collecting",
            "storing",
            "deposited",
            "cbv:BizStep-packing",
            "urn:epcglobal:cbv:bizstep:packing",
            "il:notified",
            "https://w3id.org/interlock/ns#notified",
            "il:extended",
            "https://w3id.org/interlock/ns#code/x",
            "007",
        ])
        .prop_map(|code| Step::Other(code.into())),
    ]
}

fn any_place() -> impl Strategy<Value = Option<Place>> {
    proptest::option::of(prop_oneof![
        "[A-Za-z0-9._-]{1,64}".prop_map(|id| Place::Station(StationId::parse(&id).unwrap())),
        "\\PC{1,30}".prop_map(Place::Named),
        "(urn:epc:id:sgln:|geo:|https://a.example/(station|place)/)[a-z0-9%./]{1,20}"
            .prop_map(Place::Named),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_rendered_parses_back(
        step in any_step(),
        place in any_place(),
        ms in 0i64..4_000_000_000_000,
        minutes in -14 * 60..=14 * 60i32,
        carrier in "x[a-z0-9]{1,8}|01|8004|sscc|party",
        number in "[A-Z0-9]{8,32}",
    ) {
        let sign = if minutes < 0 { '-' } else { '+' };
        let zone = Zone::parse(&format!(
            "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60
        )).unwrap();
        let draft = EventDraft { step, at: Timestamp::from_millis(ms), zone, place };
        let waybill = Waybill::parse(&carrier, &number).unwrap();
        let bytes = document(vec![render(&draft, &waybill, &base())]);
        let captured = parse_document(&bytes);
        prop_assert!(captured.is_ok(), "{captured:?}");
        let captured = captured.unwrap().remove(0);
        prop_assert_eq!(captured.event, draft);
        prop_assert_eq!(captured.waybill, waybill);
    }

    #[test]
    fn rubbish_is_refused_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse_document(&bytes).is_err());
    }
}
