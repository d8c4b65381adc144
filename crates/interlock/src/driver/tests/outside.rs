//! Partners that answer well, rubbish, slowly or not at all; gateways of every mood.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a fake node answers only what its test is about"
)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use interlock_core::ids::MessageId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::world::*;
use crate::driver::listen::Listener;
use crate::driver::outlet::Gateway;
use crate::driver::server::Server;
use crate::exchange::wire::Contact;
use crate::identity::tls::{self, CertificatePin, SelfSigned};
use crate::node::io::{
    CallFailure, CallId, DeliveryFailure, Effect, Input, LocalRequest, Message, PeerAnswer,
    SystemNotice,
};
use crate::notify::{WebhookHeaders, WebhookSecret};

/// A server that answers every request with the same bytes, or never.
async fn canned(bytes: Option<&'static [u8]>) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut text = vec![0; 65_536];
                let mut length = 0;
                loop {
                    let read = stream.read(&mut text[length..]).await.unwrap_or(0);
                    length += read;
                    let so_far = String::from_utf8_lossy(&text[..length]).into_owned();
                    if read == 0 || complete(&so_far) {
                        let _ = sender.send(so_far);
                        break;
                    }
                }
                match bytes {
                    Some(bytes) => drop(stream.write_all(bytes).await),
                    None => std::future::pending().await,
                }
            });
        }
    });
    (address, requests)
}

fn complete(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.parse().unwrap());
    body.len() >= length
}

/// Calls each partner once and gives what came back, in the order of the calls.
async fn call_all(partners: Vec<crate::identity::partner::Partner>) -> Vec<Outcome> {
    let mut setup = Setup::new(cast("a", 1));
    let ids: Vec<_> = partners.iter().map(|partner| partner.id.clone()).collect();
    setup.partners = partners;
    let outcomes: Arc<Mutex<Vec<Option<Outcome>>>> = Arc::new(Mutex::new(vec![None; ids.len()]));
    let seen = outcomes.clone();
    let server = setup
        .start(move |input, _| match input {
            Input::Local { .. } => ids
                .iter()
                .zip(0..)
                .map(|(id, call)| Effect::Call {
                    call: CallId(call),
                    to: id.clone(),
                    request: entries(),
                    timeout_ms: 300,
                })
                .collect(),
            Input::Answered { call, outcome } => {
                let at = usize::try_from(call.0).unwrap();
                let before = seen.lock().unwrap()[at].replace(outcome);
                assert!(before.is_none(), "one answer a call");
                vec![]
            }
            _ => vec![],
        })
        .await;
    let handle = server.handle.clone();
    let ask = tokio::spawn(async move { handle.local(None, None, LocalRequest::GetStatus).await });
    until(|| outcomes.lock().unwrap().iter().all(Option::is_some)).await;
    ask.abort();
    server.stop().await.unwrap();
    let outcomes = outcomes.lock().unwrap().clone();
    outcomes.into_iter().map(Option::unwrap).collect()
}

type Outcome = Result<PeerAnswer, CallFailure>;

/// A node that answers every partner with evidence.
async fn answering(setup: Setup) -> Server {
    setup
        .start(|input, _| match input {
            Input::Peer { reply, .. } => vec![Effect::ReplyPeer {
                to: reply,
                answer: evidence(),
                guard: None,
            }],
            _ => vec![],
        })
        .await
}

type Check = fn(&Outcome) -> bool;

/// What a partner answers, if anything, and what the node must hear of it.
const MOODS: [(Option<&[u8]>, Check); 6] = [
    (
        Some(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"),
        |heard| matches!(heard, Err(CallFailure::Rubbish(_))),
    ),
    (Some(b"SSH-2.0-nonsense\r\n"), |heard| {
        matches!(heard, Err(CallFailure::Unreachable(_)))
    }),
    (
        Some(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{"),
        |heard| matches!(heard, Err(CallFailure::Rubbish(_))),
    ),
    (None, |heard| *heard == Err(CallFailure::TimedOut)),
    (
        Some(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
        |heard| matches!(heard, Err(CallFailure::Rubbish(_))),
    ),
    (
        Some(
            b"HTTP/1.1 403 No\r\nContent-Length: 60\r\n\r\n\
              {\"type\":\"urn:interlock:problem:suspended\",\"title\":\"stopped\"}",
        ),
        |heard| {
            matches!(heard, Ok(PeerAnswer::Problem(problem))
                if problem.kind == "suspended" && problem.status == 403)
        },
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_may_answer_anything_and_others_are_unaffected() {
    let good =
        Setup::new(cast("good", 9)).with(cast("a", 1).as_partner("http://127.0.0.1:1", None));
    let mut partners = vec![cast("good", 9).as_partner(&good.url(), None)];
    let good = answering(good).await;
    // Nothing listens there.
    partners.push(cast("closed", 10).as_partner("http://127.0.0.1:1", None));
    let mut requests = Vec::new();
    for (mood, seed) in MOODS.iter().zip(11..) {
        let (address, heard) = canned(mood.0).await;
        requests.push(heard);
        let url = format!("http://{address}/base");
        partners.push(cast(&format!("p{seed}"), seed).as_partner(&url, None));
    }
    let outcomes = call_all(partners).await;
    assert_eq!(outcomes[0], Ok(evidence()));
    assert!(matches!(&outcomes[1], Err(CallFailure::Unreachable(_))));
    for (outcome, (mood, check)) in outcomes[2..].iter().zip(MOODS) {
        let mood = mood.map(String::from_utf8_lossy);
        assert!(check(outcome), "{mood:?}: {outcome:?}");
    }
    let request = requests[0].recv().await.unwrap();
    assert!(
        request.starts_with("GET /base/exchange/v1/evidence/entries?from=0&log=written HTTP/1.1")
    );
    good.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_with_the_pinned_certificate_only() {
    let made = SelfSigned::make(&["localhost".into()]).unwrap();
    let directory = std::env::temp_dir().join(format!("interlock-driver-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (certificate, key) = (directory.join("c.pem"), directory.join("k.pem"));
    std::fs::write(&certificate, &made.certificate_pem).unwrap();
    crate::identity::private_file::create(&key, &made.key_pem).unwrap();
    let config = tls::server_config(&certificate, &key).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();

    let mut node =
        Setup::new(cast("b", 2)).with(cast("a", 1).as_partner("http://127.0.0.1:1", None));
    node.listener = Listener::bind(([127, 0, 0, 1], 0).into(), Some(config)).unwrap();
    let port = node.listener.address().unwrap().port();
    let node = answering(node).await;
    let url = format!("https://localhost:{port}");
    let pin = CertificatePin::of_pem(&made.certificate_pem).unwrap();
    let other = SelfSigned::make(&["localhost".into()]).unwrap();
    let other = CertificatePin::of_pem(&other.certificate_pem).unwrap();
    let call = async |pin| {
        call_all(vec![cast("b", 2).as_partner(&url, pin)])
            .await
            .remove(0)
    };
    assert_eq!(call(Some(pin)).await, Ok(evidence()));
    for wrong in [Some(other), None] {
        let outcome = call(wrong).await;
        assert!(
            matches!(&outcome, Err(CallFailure::Unreachable(_))),
            "{outcome:?}"
        );
    }
    node.stop().await.unwrap();
}

fn message(id: u8) -> Message {
    Message {
        id: MessageId::from_bytes([id; 16]),
        to: Contact::Full {
            phone: "+8613800000000".into(),
        },
        text_zh: "包裹".into(),
        text_en: "parcel".into(),
        attempt: 1,
    }
}

fn secret() -> WebhookSecret {
    WebhookSecret::parse("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=").unwrap()
}

fn hook(url: &str, allow_loopback: bool) -> Gateway {
    Gateway {
        url: url.parse().unwrap(),
        secret: secret(),
        allow_loopback,
        tls: None,
    }
}

/// Hands one message to a gateway and gives what the node hears of it.
async fn deliver(url: &str, allow_loopback: bool) -> Result<(), DeliveryFailure> {
    let mut setup = Setup::new(cast("a", 1));
    setup.gateway = Some(hook(url, allow_loopback));
    hear(setup, || Effect::Deliver(message(5))).await
}

fn notice() -> SystemNotice {
    SystemNotice {
        id: message(5).id,
        kind: "agreement.ends",
        at: NOW,
        data: serde_json::json!({ "parcels": 2 }),
    }
}

/// Starts a node that has one thing delivered and gives what it hears of it.
async fn hear(
    setup: Setup,
    effect: impl Fn() -> Effect + Send + 'static,
) -> Result<(), DeliveryFailure> {
    let heard = Arc::new(Mutex::new(None));
    let seen = heard.clone();
    let server = setup
        .start(move |input, _| match input {
            Input::Local { .. } => vec![effect()],
            Input::Delivered {
                message: id,
                outcome,
            } => {
                assert_eq!(id, message(5).id);
                *seen.lock().unwrap() = Some(outcome);
                vec![]
            }
            _ => vec![],
        })
        .await;
    let handle = server.handle.clone();
    let ask = tokio::spawn(async move { handle.local(None, None, LocalRequest::GetStatus).await });
    until(|| heard.lock().unwrap().is_some()).await;
    ask.abort();
    server.stop().await.unwrap();
    let outcome = heard.lock().unwrap().take();
    outcome.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_gets_a_signed_message_once() {
    let (gateway, mut requests) =
        canned(Some(b"HTTP/1.1 202 Yes\r\nContent-Length: 0\r\n\r\n")).await;
    deliver(&format!("http://{gateway}/sms"), true)
        .await
        .unwrap();
    let request = requests.recv().await.unwrap();
    assert!(requests.try_recv().is_err());
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /sms HTTP/1.1"));
    let header = |name: &str| {
        let found = head.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap().trim_start_matches(": ").to_owned()
    };
    let headers = WebhookHeaders {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    assert_eq!(headers.id, message(5).id.to_string());
    secret().verify(&headers, body.as_bytes(), NOW).unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["to"]["full"]["phone"], "+8613800000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_systems_are_told_by_a_signed_webhook_and_not_the_gateway() {
    let (systems, mut requests) =
        canned(Some(b"HTTP/1.1 204 Yes\r\nContent-Length: 0\r\n\r\n")).await;
    let mut setup = Setup::new(cast("a", 1));
    setup.gateway = Some(hook("http://127.0.0.1:1/sms", true));
    setup.systems = Some(hook(&format!("http://{systems}/erp"), true));
    hear(setup, || Effect::Notify(notice())).await.unwrap();
    let request = requests.recv().await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /erp HTTP/1.1"));
    assert!(head.contains("webhook-signature: v1,"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["type"], "agreement.ends");
    assert_eq!(body["data"]["parcels"], 2);
    let without = hear(Setup::new(cast("a", 1)), || Effect::Notify(notice())).await;
    assert!(matches!(without, Err(DeliveryFailure::Refused(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_says_decides_about_another_try() {
    let (busy, _keep) = canned(Some(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")).await;
    let (never, _keep) = canned(Some(b"HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n")).await;
    let retry = |outcome| matches!(outcome, Err(DeliveryFailure::Retry(_)));
    assert!(retry(deliver(&format!("http://{busy}/"), true).await));
    assert!(retry(deliver("http://127.0.0.1:1/", true).await));
    assert!(matches!(
        deliver(&format!("http://{never}/"), true).await,
        Err(DeliveryFailure::Refused(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_does_not_go_inward() {
    let (inside, mut requests) =
        canned(Some(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
    for url in [format!("http://{inside}/"), "https://10.0.0.1/".into()] {
        let outcome = deliver(&url, false).await;
        assert!(
            matches!(outcome, Err(DeliveryFailure::Retry(_))),
            "{outcome:?}"
        );
    }
    assert!(requests.try_recv().is_err());
}
