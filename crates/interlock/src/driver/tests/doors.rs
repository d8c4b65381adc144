//! Bad input at the exchange door: a clear refusal, nothing reaches the node, others are served.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a fake node answers only what its test is about"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use interlock_journal::bilateral::KeyRotation;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::world::*;
use crate::driver::exchange_door::REQUESTS_PER_PARTNER_MAX;
use crate::driver::server::Server;
use crate::exchange::http::{HttpRequest, encode_request};
use crate::exchange::wire::{
    BODY_SIZE_BYTES_MAX, CooperationMessage, Envelope, Evidence, Notice, Rotation,
};
use crate::node::io::{Effect, Input, PeerAnswer, PeerRequest};

const CHECKPOINT: &str = "/exchange/v1/evidence/checkpoint";

/// A node that answers checkpoints and DSP, holds everything else, and counts what reaches it.
async fn node() -> (Server, Arc<AtomicUsize>) {
    let reached = Arc::new(AtomicUsize::new(0));
    let setup = Setup::new(cast("a", 1))
        .with(cast("b", 2).as_partner("http://127.0.0.1:1", None))
        .with(cast("c", 3).as_partner("http://127.0.0.1:1", None));
    let count = reached.clone();
    let server = setup
        .start(move |input, _| match input {
            Input::Peer { reply, request, .. } => {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = match request {
                    PeerRequest::Dsp { path, .. } => PeerAnswer::Dsp {
                        status: 201,
                        body: serde_json::json!({"path": path}),
                        link: None,
                    },
                    PeerRequest::Feed { .. } => return vec![],
                    _ => evidence(),
                };
                vec![Effect::ReplyPeer {
                    to: reply,
                    answer,
                    guard: None,
                }]
            }
            _ => vec![],
        })
        .await;
    (server, reached)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_no_partner_is_refused_by_name() {
    let (server, reached) = node().await;
    let (me, b, stranger) = (cast("a", 1), cast("b", 2), cast("b", 8));
    let get = async |bearer: String| {
        let headers = [("Authorization", bearer.as_str())];
        let headers = if bearer.is_empty() {
            &[][..]
        } else {
            &headers[..]
        };
        send(server.addresses.exchange, "GET", CHECKPOINT, headers, b"").await
    };
    let sign = |who: &Cast, audience: &Cast, method, target, body: &[u8], id, at_ms| {
        who.bearer(audience, method, target, body, id, NOW.plus_ms(at_ms))
    };
    for (bearer, kind) in [
        (String::new(), "token-missing"),
        ("Basic YTpi".into(), "token-missing"),
        ("Bearer a.b.c".into(), "token-malformed"),
        (
            sign(&stranger, &me, "GET", CHECKPOINT, b"", 1, 0),
            "token-unknown-key",
        ),
        (
            sign(&b, &b, "GET", CHECKPOINT, b"", 2, 0),
            "token-wrong-audience",
        ),
        (
            sign(&b, &me, "GET", CHECKPOINT, b"", 3, -1),
            "token-issued-before-start",
        ),
        (
            sign(&b, &me, "GET", CHECKPOINT, b"", 4, -90_000),
            "token-expired",
        ),
        (
            sign(&b, &me, "GET", CHECKPOINT, b"", 5, 9_000),
            "token-issued-in-future",
        ),
        (
            sign(&b, &me, "POST", CHECKPOINT, b"", 6, 0),
            "token-wrong-method",
        ),
        (
            sign(&b, &me, "GET", "/exchange/v1/notices", b"", 7, 0),
            "token-wrong-path",
        ),
        (
            sign(&b, &me, "GET", CHECKPOINT, b"x", 8, 0),
            "token-wrong-body",
        ),
    ] {
        let reply = get(bearer).await;
        assert_eq!((reply.status, reply.kind().as_str()), (401, kind));
        assert!(reply.head.contains("www-authenticate: bearer"));
        assert!(
            reply
                .head
                .contains("content-type: application/problem+json")
        );
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    let good = sign(&b, &me, "GET", CHECKPOINT, b"", 9, 0);
    assert_eq!(get(good.clone()).await.status, 200);
    assert_eq!(get(good).await.kind(), "token-replayed");
    assert_eq!(reached.load(Ordering::SeqCst), 1);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dataspace_protocol_hides_itself_from_strangers() {
    let (server, reached) = node().await;
    let (me, b) = (cast("a", 1), cast("b", 2));
    let target = "/dsp/negotiations/request";
    let body = br#"{"a":1}"#;
    let json = ("Content-Type", "application/json; charset=utf-8");
    let to = server.addresses.exchange;
    let stranger = send(to, "POST", target, &[json], body).await;
    assert_eq!(stranger.status, 404);
    // As if it had been somebody else's process: in the words of the protocol.
    assert!(
        stranger.body.contains("ContractNegotiationError"),
        "{}",
        stranger.body
    );
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    let bearer = b.bearer(&me, "POST", target, body, 1, NOW);
    let headers = [json, ("Authorization", bearer.as_str())];
    let reply = send(to, "POST", target, &headers, body).await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.body, r#"{"path":"/negotiations/request"}"#);
    for (path, part) in [
        ("/.well-known/dspace-version", r#"{"protocolVersions":[]}"#),
        ("/.well-known/did.json", &me.key.public().to_multibase()),
    ] {
        let reply = send(to, "GET", path, &[], b"").await;
        assert!(
            reply.status == 200 && reply.body.contains(part),
            "{}",
            reply.body
        );
        assert_eq!(send(to, "POST", path, &[], b"").await.status, 405);
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_shows_its_new_key_with_the_new_key_and_nothing_else() {
    let (server, reached) = node().await;
    let (me, b, rotated, stranger) = (cast("a", 1), cast("b", 2), cast("b", 5), cast("b", 8));
    let to = server.addresses.exchange;
    let notice = |old: &Cast, new: &Cast| {
        let (old, new) = (old.key.signing_key(), new.key.signing_key());
        let rotation = Rotation::of(&KeyRotation::sign(&b.id, old, new)).unwrap();
        encode_request(&PeerRequest::Notice(Envelope {
            evidence: Evidence {
                from: 0,
                leaves: Vec::new(),
                checkpoint: String::new(),
            },
            body: Notice::KeyRotation {
                rotations: vec![rotation],
            },
        }))
    };
    let mut id = 0;
    let mut ask = async |by: &Cast, wire: &HttpRequest| {
        id += 1;
        let method = if wire.post { "POST" } else { "GET" };
        let bearer = by.bearer(&me, method, &wire.target, &wire.body, id, NOW);
        let json = ("Content-Type", "application/json");
        let headers = [json, ("Authorization", bearer.as_str())];
        send(to, method, &wire.target, &headers, &wire.body).await
    };
    assert_eq!(ask(&rotated, &notice(&b, &rotated)).await.status, 200);
    assert_eq!(ask(&b, &notice(&b, &rotated)).await.status, 200);
    assert_eq!(reached.load(Ordering::SeqCst), 2);
    let checkpoint = encode_request(&PeerRequest::Checkpoint);
    for (by, wire) in [
        // The node has not pinned it yet: nothing else is taken.
        (&rotated, &checkpoint),
        (&stranger, &notice(&b, &rotated)),
        (&stranger, &notice(&stranger, &rotated)),
        (&rotated, &notice(&stranger, &rotated)),
        (&rotated, &notice(&rotated, &b)),
    ] {
        let reply = ask(by, wire).await;
        assert_eq!(
            (reply.status, reply.kind().as_str()),
            (401, "token-unknown-key")
        );
    }
    // The body is bound to the token: a rotation cannot be put under another's call.
    let mut other = notice(&b, &stranger);
    let bearer = rotated.bearer(
        &me,
        "POST",
        &other.target,
        &notice(&b, &rotated).body,
        99,
        NOW,
    );
    other.body.push(b' ');
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", bearer.as_str()),
    ];
    let reply = send(to, "POST", &other.target, &headers, &other.body).await;
    assert_eq!(reply.status, 401);
    assert_eq!(reached.load(Ordering::SeqCst), 2);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_of_the_protocol_is_in_its_words() {
    let (server, reached) = node().await;
    let (me, b) = (cast("a", 1), cast("b", 2));
    let to = server.addresses.exchange;
    let id = AtomicUsize::new(1);
    let post = async |target: &str, media_type: &str, body: &[u8]| {
        let id = u8::try_from(id.fetch_add(1, Ordering::SeqCst)).unwrap();
        let bearer = b.bearer(&me, "POST", target, body, id, NOW);
        let headers = [
            ("Content-Type", media_type),
            ("Authorization", bearer.as_str()),
        ];
        send(to, "POST", target, &headers, body).await
    };
    let json = "application/json";
    let large = vec![b' '; BODY_SIZE_BYTES_MAX + 1];
    let deep = [b"[".repeat(200), b"]".repeat(200)].concat();
    for (reply, status, kind) in [
        (
            post("/dsp/catalog/request", json, b"{").await,
            400,
            "CatalogError",
        ),
        (
            post("/dsp/negotiations/request", json, br#"{"a":1,"a":2}"#).await,
            400,
            "ContractNegotiationError",
        ),
        (
            post("/dsp/transfers/request", json, &deep).await,
            400,
            "TransferError",
        ),
        (
            post("/dsp/transfers/request", json, &large).await,
            413,
            "TransferError",
        ),
        (
            post("/dsp/negotiations/request", "text/plain", b"{}").await,
            415,
            "ContractNegotiationError",
        ),
    ] {
        assert_eq!(reply.status, status, "{}", reply.body);
        let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(body["@type"], kind);
        assert!(
            body["reason"].is_array() && body["code"].is_string(),
            "{body}"
        );
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_body_changes_nothing() {
    let (server, reached) = node().await;
    let (me, b) = (cast("a", 1), cast("b", 2));
    let target = "/exchange/v1/cooperations";
    let good = encode_request(&PeerRequest::Cooperation(CooperationMessage {
        manifest: serde_json::json!({}),
        signatures: vec![],
    }))
    .body;
    let id = AtomicUsize::new(1);
    let post = async |media_type: &str, body: &[u8]| {
        let id = u8::try_from(id.fetch_add(1, Ordering::SeqCst)).unwrap();
        let bearer = b.bearer(&me, "POST", target, body, id, NOW);
        let headers = [
            ("Content-Type", media_type),
            ("Authorization", bearer.as_str()),
        ];
        send(server.addresses.exchange, "POST", target, &headers, body).await
    };
    let json = "application/json";
    for (reply, status, kind) in [
        (post("text/plain", &good).await, 415, "wrong-content-type"),
        (post(json, b"{").await, 400, "malformed"),
        (
            post(json, br#"{"manifest":1,"signatures":[1]}"#).await,
            400,
            "malformed",
        ),
        (
            post(json, &vec![b' '; BODY_SIZE_BYTES_MAX + 1]).await,
            413,
            "too-large",
        ),
    ] {
        assert_eq!((reply.status, reply.kind().as_str()), (status, kind));
    }
    let reply = post(json, br#"{"manifest":1,"signatures":[1]}"#).await;
    assert!(
        reply.body.contains(r#""pointer":"/signatures/0""#),
        "{}",
        reply.body
    );
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    assert_eq!(post(json, &good).await.status, 200);
    assert_eq!(reached.load(Ordering::SeqCst), 1);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_announced_size_is_cut_off_too() {
    let (server, reached) = node().await;
    let bearer = cast("b", 2).bearer(&cast("a", 1), "POST", "/exchange/v1/notices", b"", 1, NOW);
    let head = format!(
        "POST /exchange/v1/notices HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: {bearer}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let mut stream = TcpStream::connect(server.addresses.exchange).await.unwrap();
    let (mut read, mut write) = stream.split();
    let flood = async {
        write.write_all(head.as_bytes()).await.unwrap();
        let chunk = [
            b"100000\r\n".to_vec(),
            vec![b' '; 0x10_0000],
            b"\r\n".to_vec(),
        ]
        .concat();
        while write.write_all(&chunk).await.is_ok() {}
        // The door has closed; what it said is there to be read.
        std::future::pending::<()>().await;
    };
    let answer = async {
        let mut bytes = vec![0; 4_096];
        let length = read.read(&mut bytes).await.unwrap();
        parse_reply(&bytes[..length])
    };
    tokio::select! {
        () = flood => {}
        reply = answer => assert_eq!((reply.status, reply.kind().as_str()), (413, "too-large")),
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    server.stop().await.unwrap();
}

/// A notice of `by`, of whose announced body one byte came.
fn begun(by: &Cast) -> Vec<u8> {
    let target = "/exchange/v1/notices";
    let bearer = by.bearer(&cast("a", 1), "POST", target, b"", 1, NOW);
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: {bearer}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    head.into_bytes()
}

/// As below: whoever were waited for would be told 408.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_the_body_of_a_stranger() {
    let (server, reached) = node().await;
    let to = server.addresses.exchange;
    // A key of a partner's that is not pinned may be introduced by the body there, and nowhere else.
    let reply = raw(to, &begun(&cast("b", 8))).await;
    assert_eq!((reply.status, reply.kind().as_str()), (408, "too-slow"));
    let elsewhere = "/exchange/v1/cooperations";
    let stranger = String::from_utf8(begun(&cast("b", 8))).unwrap();
    let stranger = stranger.replace("/exchange/v1/notices", elsewhere);
    let forged = String::from_utf8(begun(&cast("b", 2))).unwrap();
    let signed = forged.find("\r\nContent-Type").unwrap();
    let forged = [&forged[..signed - 4], "AAAA", &forged[signed..]].concat();
    let moved = String::from_utf8(begun(&cast("b", 2))).unwrap();
    let moved = moved.replace("/exchange/v1/notices", elsewhere);
    let nobody = stranger.replace("Bearer ", "Bearer x");
    for (head, kind) in [
        (stranger, "token-unknown-key"),
        (forged, "token-bad-signature"),
        (moved, "token-wrong-path"),
        (nobody, "token-malformed"),
    ] {
        let reply = raw(to, head.as_bytes()).await;
        assert_eq!((reply.status, reply.kind().as_str()), (401, kind));
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    server.stop().await.unwrap();
}

/// With the clock of the runtime paused, it moves on as soon as nothing can go on without it.
#[tokio::test(start_paused = true)]
async fn a_slow_sender_is_told_and_let_go() {
    let (server, reached) = node().await;
    let reply = raw(server.addresses.exchange, &begun(&cast("b", 2))).await;
    assert_eq!((reply.status, reply.kind().as_str()), (408, "too-slow"));
    // Not even a head.
    let mut stream = TcpStream::connect(server.addresses.exchange).await.unwrap();
    stream.write_all(b"GET / HT").await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_partner_takes_no_slot_of_another() {
    let (server, reached) = node().await;
    let (me, b, c) = (cast("a", 1), cast("b", 2), cast("c", 3));
    let to = server.addresses.exchange;
    let poll = "/exchange/v1/feeds/t?lane=live&after=0&limit=1&wait=60000";
    let mut polls = Vec::new();
    for id in 0..REQUESTS_PER_PARTNER_MAX {
        let bearer = b.bearer(&me, "GET", poll, b"", u8::try_from(id).unwrap(), NOW);
        polls.push(tokio::spawn(async move {
            send(to, "GET", poll, &[("Authorization", &bearer)], b"").await
        }));
    }
    until(|| reached.load(Ordering::SeqCst) == REQUESTS_PER_PARTNER_MAX).await;
    let ask = async |who: &Cast| {
        let bearer = who.bearer(&me, "GET", CHECKPOINT, b"", 200, NOW);
        send(to, "GET", CHECKPOINT, &[("Authorization", &bearer)], b"").await
    };
    let refused = ask(&b).await;
    assert_eq!(
        (refused.status, refused.kind().as_str()),
        (429, "too-many-requests")
    );
    assert!(refused.head.contains("retry-after"));
    assert_eq!(ask(&c).await.status, 200);
    for poll in polls {
        poll.abort();
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_answer_without_a_key() {
    let (server, _) = node().await;
    let local = server.addresses.local.unwrap();
    assert_eq!(send(local, "GET", "/health", &[], b"").await.body, "ok\n");
    let _ = send(server.addresses.exchange, "GET", CHECKPOINT, &[], b"").await;
    let metrics = server.addresses.metrics.unwrap();
    let text = send(metrics, "GET", "/metrics", &[], b"").await.body;
    assert!(
        text.contains("\ninterlock_unauthorised_total 1\n"),
        "{text}"
    );
    assert!(
        text.contains("\ninterlock_requests_denied_total 1\n"),
        "{text}"
    );
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_parked_polls() {
    let (server, reached) = node().await;
    let (me, b) = (cast("a", 1), cast("b", 2));
    let poll = "/exchange/v1/feeds/t?lane=live&after=0&limit=1&wait=60000";
    let bearer = b.bearer(&me, "GET", poll, b"", 1, NOW);
    let mut stream = TcpStream::connect(server.addresses.exchange).await.unwrap();
    let head = format!("GET {poll} HTTP/1.1\r\nHost: a\r\nAuthorization: {bearer}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    until(|| reached.load(Ordering::SeqCst) == 1).await;
    server.stop().await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}
