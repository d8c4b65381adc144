use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParticipantId, RequestId};
use interlock_core::time::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::exchange::mediation::{
    MediationAnswer, MediationDocument, MediationMessage, MediationTaken, PartyAnswer,
};
use crate::exchange::wire::{
    Blob, Contact, CooperationMessage, FeedBatch, FeedReceipt, LookupAnswer, LookupItem,
    LookupOutcome, LookupRequest, MirroredEpoch, Notice, WrittenView,
};

fn evidence() -> Evidence {
    Evidence {
        from: 3,
        leaves: vec![Blob(vec![1, 2, 3])],
        checkpoint: "log\n4\nAAAA\n".into(),
    }
}

fn envelope<T>(body: T) -> Envelope<T> {
    Envelope {
        evidence: evidence(),
        body,
    }
}

fn id(text: &str) -> WireId {
    WireId::parse(text).unwrap()
}

fn lookup(items: usize) -> PeerRequest {
    let item = LookupItem {
        carrier: "sf".into(),
        number: "SF1".into(),
        evidence: None,
        salt: RequestId::from_bytes([2; 16]),
    };
    PeerRequest::Lookup {
        transfer: id("urn:uuid:7/%"),
        envelope: envelope(LookupRequest {
            request_id: RequestId::from_bytes([1; 16]),
            purpose: "pickup-notification".into(),
            form: None,
            items: vec![item; items],
        }),
    }
}

fn requests() -> Vec<PeerRequest> {
    vec![
        PeerRequest::Dsp {
            post: true,
            path: "/negotiations/request".into(),
            body: serde_json::json!({"a": [1, "b"]}),
        },
        PeerRequest::Dsp {
            post: false,
            path: "/negotiations/urn:uuid:1?a=b".into(),
            body: serde_json::Value::Null,
        },
        PeerRequest::Feed {
            transfer: id("a/b?c#d%20"),
            lane: Lane::Backlog,
            after: u64::MAX,
            limit: 500,
            wait_ms: 60_000,
        },
        PeerRequest::Receipt {
            transfer: id("t"),
            envelope: envelope(FeedReceipt {
                lane: Lane::Live,
                next: 9,
            }),
        },
        lookup(1),
        PeerRequest::Checkpoint,
        PeerRequest::Entries {
            log: LogSide::Mirrored,
            epoch: Some(3),
            from: 12,
        },
        PeerRequest::Cooperation(CooperationMessage {
            manifest: serde_json::json!({"v": 1}),
            signatures: vec![],
        }),
        PeerRequest::Mediation(MediationMessage::Answer(MediationAnswer {
            mediation: id("m"),
            version: 2,
            answer: PartyAnswer::Refused {
                reason: "too long".into(),
            },
        })),
        PeerRequest::Mediation(MediationMessage::Proposal(Box::new(mediation()))),
        PeerRequest::Notice(envelope(Notice::Reciprocity {
            agreement: id("a"),
            trigger: id("b"),
            at: Some(Timestamp::from_millis(5)),
            reason: "you stopped first".into(),
        })),
        PeerRequest::Notice(envelope(Notice::RunOff { agreement: id("a") })),
        PeerRequest::Notice(envelope(Notice::Stopped { agreement: id("a") })),
        PeerRequest::Notice(envelope(Notice::Termination {
            agreement: id("a"),
            at: Timestamp::from_millis(5),
            reason: "moved".into(),
        })),
    ]
}

fn mediation() -> MediationDocument {
    let who = |name: &str| ParticipantId::parse(&format!("did:web:{name}.example")).unwrap();
    let manifest = serde_json::json!({
        "version": "1", "cooperation": "c", "parties": {}, "policies": {},
        "from": "2017-06-03T10:00:00+08:00", "until": "2017-07-01T00:00:00+08:00",
        "mediator": "did:web:postbureau.example",
    });
    MediationDocument {
        mediation: id("m"),
        revision: 3,
        version: 2,
        manifest: serde_json::from_value(manifest).unwrap(),
        signature: "00".into(),
        policies: [(id("a"), serde_json::json!({}))].into(),
        note: "until it is settled".into(),
        answer_by: Timestamp::from_millis(5),
        answers: [
            (
                who("a"),
                PartyAnswer::Accepted {
                    signature: "00".into(),
                },
            ),
            (
                who("b"),
                PartyAnswer::Countered {
                    policies: [(id("a"), serde_json::json!({}))].into(),
                    reason: "shorter".into(),
                },
            ),
        ]
        .into(),
        withdrawn: None,
    }
}

#[test]
fn a_refusal_without_json_is_still_a_refusal() {
    let request = &requests()[0];
    let refused = parse_answer(request, 404, b"<html>not here</html>").unwrap();
    let (status, body, link) = (404, serde_json::Value::Null, None);
    assert_eq!(refused, PeerAnswer::Dsp { status, body, link });
    assert!(parse_answer(request, 200, b"<html>welcome</html>").is_err());
}

// tidy: long, one literal a kind of answer
fn answers() -> Vec<(PeerRequest, PeerAnswer)> {
    let problem = Problem {
        kind: "quota-exhausted".into(),
        status: 429,
        title: "no more today".into(),
        detail: "ask again tomorrow".into(),
        errors: vec![crate::node::io::FieldError {
            pointer: "/body/items/0".into(),
            detail: "one too many".into(),
        }],
    };
    let feed = PeerRequest::Feed {
        transfer: id("t"),
        lane: Lane::Live,
        after: 0,
        limit: 5,
        wait_ms: 0,
    };
    vec![
        (
            requests()[0].clone(),
            PeerAnswer::Dsp {
                status: 404,
                body: serde_json::json!({"code": "x"}),
                link: None,
            },
        ),
        (
            requests()[1].clone(),
            PeerAnswer::Dsp {
                status: 200,
                body: serde_json::Value::Null,
                link: None,
            },
        ),
        (
            feed.clone(),
            PeerAnswer::Feed(envelope(FeedBatch {
                dataset: Dataset::LockerEvents,
                lane: Lane::Live,
                next: 4,
                events: vec![],
            })),
        ),
        (
            lookup(1),
            PeerAnswer::Lookup(envelope(LookupAnswer {
                request_id: RequestId::from_bytes([1; 16]),
                items: vec![LookupOutcome::Released(Contact::Full {
                    phone: "+8613800000000".into(),
                })],
            })),
        ),
        (PeerRequest::Checkpoint, PeerAnswer::Mirror(mirror_view(1))),
        (requests()[6].clone(), PeerAnswer::Evidence(evidence())),
        (
            requests()[7].clone(),
            PeerAnswer::Cooperation(CooperationMessage {
                manifest: serde_json::json!({"v": 1}),
                signatures: vec![crate::exchange::wire::ManifestSignature {
                    participant: ParticipantId::parse("did:web:a.example").unwrap(),
                    signature: "00".into(),
                }],
            }),
        ),
        (
            requests()[8].clone(),
            PeerAnswer::Mediation(MediationTaken {
                mediation: id("m"),
                revision: 3,
            }),
        ),
        (feed, PeerAnswer::Problem(problem)),
    ]
}

#[test]
fn requests_round_trip() {
    for request in requests() {
        let http = encode_request(&request);
        assert!(http.target.parse::<http::Uri>().is_ok(), "{}", http.target);
        let back = parse_request(http.post, &http.target, &http.body).unwrap();
        assert_eq!(back, request);
    }
}

#[test]
fn answers_round_trip() {
    for (request, answer) in answers() {
        let (status, body) = encode_answer(&answer);
        assert_eq!(parse_answer(&request, status, &body), Ok(answer));
    }
}

#[test]
fn the_wire_is_frozen() {
    let lines: Vec<String> = requests()
        .iter()
        .map(|request| {
            let http = encode_request(request);
            let method = if http.post { "POST" } else { "GET" };
            format!(
                "{method} {} {}",
                http.target,
                String::from_utf8(http.body).unwrap()
            )
            .trim_end()
            .to_owned()
        })
        .collect();
    expect_test::expect![[r#"
        POST /dsp/negotiations/request {"a":[1,"b"]}
        GET /dsp/negotiations/urn:uuid:1?a=b
        GET /exchange/v1/feeds/a%2Fb%3Fc%23d%2520?lane=backlog&after=18446744073709551615&limit=500&wait=60000
        POST /exchange/v1/feeds/t/receipts {"evidence":{"from":3,"leaves":["AQID"],"checkpoint":"log\n4\nAAAA\n"},"body":{"lane":"live","next":9}}
        POST /exchange/v1/lookups/urn:uuid:7%2F%25 {"evidence":{"from":3,"leaves":["AQID"],"checkpoint":"log\n4\nAAAA\n"},"body":{"request_id":"01010101010101010101010101010101","purpose":"pickup-notification","items":[{"carrier":"sf","number":"SF1","salt":"02020202020202020202020202020202"}]}}
        GET /exchange/v1/evidence/checkpoint
        GET /exchange/v1/evidence/entries?from=12&log=mirrored&epoch=3
        POST /exchange/v1/cooperations {"manifest":{"v":1},"signatures":[]}
        POST /exchange/v1/cooperations {"answer":{"mediation":"m","version":2,"answer":{"refused":{"reason":"too long"}}}}
        POST /exchange/v1/cooperations {"proposal":{"mediation":"m","revision":3,"version":2,"manifest":{"version":"1","cooperation":"c","parties":{},"policies":{},"from":"2017-06-03T10:00:00+08:00","until":"2017-07-01T00:00:00+08:00","mediator":"did:web:postbureau.example"},"signature":"00","policies":{"a":{}},"note":"until it is settled","answer_by":5,"answers":{"did:web:a.example":{"accepted":{"signature":"00"}},"did:web:b.example":{"countered":{"policies":{"a":{}},"reason":"shorter"}}}}}
        POST /exchange/v1/notices {"evidence":{"from":3,"leaves":["AQID"],"checkpoint":"log\n4\nAAAA\n"},"body":{"reciprocity":{"agreement":"a","trigger":"b","at":5,"reason":"you stopped first"}}}
        POST /exchange/v1/notices {"evidence":{"from":3,"leaves":["AQID"],"checkpoint":"log\n4\nAAAA\n"},"body":{"run-off":{"agreement":"a"}}}
        POST /exchange/v1/notices {"evidence":{"from":3,"leaves":["AQID"],"checkpoint":"log\n4\nAAAA\n"},"body":{"stopped":{"agreement":"a"}}}
        POST /exchange/v1/notices {"evidence":{"from":3,"leaves":["AQID"],"checkpoint":"log\n4\nAAAA\n"},"body":{"termination":{"agreement":"a","at":5,"reason":"moved"}}}"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn what_is_no_endpoint_is_refused() {
    let too_long = format!("/exchange/v1/feeds/t?wait={}", POLL_WAIT_MS_MAX + 1);
    for (post, target, status) in [
        (false, too_long.as_str(), 400),
        (false, "/", 404),
        (false, "/exchange/v1", 404),
        (false, "/exchange/v11/evidence/checkpoint", 404),
        (false, "/exchange/v1/evidence/checkpoint/", 404),
        (true, "/exchange/v1/evidence/checkpoint", 405),
        (false, "/exchange/v1/notices", 405),
        (false, "/exchange/v1/lookups/t", 405),
        (false, "/exchange/v1/feeds/%zz", 404),
        (false, "/exchange/v1/feeds/t?lane=dead", 400),
        (false, "/exchange/v1/feeds/t?limit=2001", 400),
        (false, "/exchange/v1/feeds/t?after=-1", 400),
        (false, "/exchange/v1/feeds/t?after=+1", 400),
        (false, "/exchange/v1/feeds/t?after=1&after=2", 400),
        (false, "/exchange/v1/feeds/t?before=1", 400),
        (false, "/exchange/v1/evidence/entries", 400),
        (false, "/dspx/catalog", 404),
    ] {
        let problem = parse_request(post, target, b"").unwrap_err();
        assert_eq!(problem.status, status, "{target}: {problem:?}");
    }
}

fn lookup_body(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut value: serde_json::Value =
        serde_json::from_slice(&encode_request(&lookup(2)).body).unwrap();
    change(&mut value);
    serde_json::to_vec(&value).unwrap()
}

#[test]
fn a_bad_body_is_named_by_pointer_and_its_value_is_not_repeated() {
    let cases: Vec<(&str, Vec<u8>)> = vec![
        (
            "/body/items/1/number",
            lookup_body(|v| v["body"]["items"][1]["number"] = 13_812_341_234_u64.into()),
        ),
        (
            "/body/items/0/phone",
            lookup_body(|v| v["body"]["items"][0]["phone"] = "13812341234".into()),
        ),
        (
            "/body/request_id",
            lookup_body(|v| v["body"]["request_id"] = "13812341234".into()),
        ),
        (
            "/body/items",
            lookup_body(|v| v["body"]["items"] = vec![0_u8; 0].into()),
        ),
        (
            "/body",
            lookup_body(|v| {
                v["body"].as_object_mut().unwrap().remove("purpose");
            }),
        ),
        ("", b"{".to_vec()),
        ("", b"".to_vec()),
        ("", b"13812341234".to_vec()),
        ("", [lookup_body(|_| ()), b"{}".to_vec()].concat()),
        ("", vec![0xff, 0xfe]),
    ];
    for (pointer, body) in cases {
        let problem = parse_request(true, "/exchange/v1/lookups/t", &body).unwrap_err();
        assert_eq!(problem.status, 400);
        assert_eq!(problem.errors[0].pointer, pointer, "{problem:?}");
        assert!(
            !format!("{problem:?}").contains("13812341234"),
            "{problem:?}"
        );
    }
}

#[test]
fn limits_hold_for_requests_and_answers() {
    let too_many = encode_request(&lookup(LOOKUP_ITEMS_MAX + 1));
    let problem = parse_request(true, &too_many.target, &too_many.body).unwrap_err();
    assert_eq!(problem.errors[0].pointer, "/body/items");

    let request = lookup(2);
    let (_, answer) = &answers()[3];
    let (status, body) = encode_answer(answer);
    assert!(parse_answer(&request, status, &body).is_err());

    let mut leaves = evidence();
    leaves.leaves = vec![Blob(vec![]); ENVELOPE_LEAVES_MAX + 1];
    let (status, body) = encode_answer(&PeerAnswer::Evidence(leaves));
    assert!(parse_answer(&requests()[6], status, &body).is_err());

    let (status, body) = encode_answer(&PeerAnswer::Mirror(mirror_view(EPOCHS_SHOWN_MAX + 1)));
    assert!(parse_answer(&PeerRequest::Checkpoint, status, &body).is_err());
}

fn mirror_view(epochs: usize) -> MirrorView {
    let shown = MirroredEpoch {
        epoch: 1,
        checkpoint: "note".into(),
    };
    MirrorView {
        mirrored: vec![shown; epochs],
        written: WrittenView {
            epoch: 1,
            receipted: 9,
            past: Vec::new(),
            rotations: Vec::new(),
        },
        rotations: Vec::new(),
        anchor: None,
    }
}

#[test]
fn entries_name_a_log_and_an_epoch() {
    let parse = |query: &str| {
        parse_request(
            false,
            &format!("/exchange/v1/evidence/entries?{query}"),
            b"",
        )
    };
    assert_eq!(
        parse("from=3"),
        Ok(PeerRequest::Entries {
            log: LogSide::Written,
            epoch: None,
            from: 3
        })
    );
    for bad in [
        "log=mirrored",
        "from=1&log=x",
        "from=1&epoch=-1",
        "from=1&epoch=4294967296",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn rubbish_is_no_answer() {
    for (status, body) in [
        (200, &b"<html>"[..]),
        (200, b""),
        (200, b"{}"),
        (500, b"<html>"),
        (502, b""),
        (302, b"{}"),
    ] {
        assert!(
            parse_answer(&PeerRequest::Checkpoint, status, body).is_err(),
            "{status}"
        );
    }
}

proptest! {
    #[test]
    fn segments_round_trip(text in "\\PC{0,40}") {
        prop_assert_eq!(decode_segment(&encode_segment(&text)), Some(text));
    }

    #[test]
    fn no_target_or_body_panics(target in "/exchange/v1/[a-z/?=&%0-9]{0,40}", body in "[\\[\\]{}\":a-z0-9,]{0,60}") {
        for post in [false, true] {
            let _ = parse_request(post, &target, body.as_bytes());
        }
    }
}
