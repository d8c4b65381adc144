//! Transfers that are pushed to connectors.

use interlock_core::time::MINUTE_MS;
use serde_json::json;

use super::connectors::{change, provider, request, station, take_messages};
use super::*;
use crate::dsp::CONTEXT;
use crate::node::io::AgreementChange;

/// The address of a push, with what else is said of it.
fn address(endpoint: &str, properties: &[(&str, &str)]) -> Value {
    let properties: Vec<Value> = properties
        .iter()
        .map(|(name, value)| json!({"@type": "EndpointProperty", "name": name, "value": value}))
        .collect();
    let mut address = json!({
        "@type": "DataAddress",
        "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
        "endpoint": endpoint,
    });
    if !properties.is_empty() {
        address["endpointProperties"] = properties.into();
    }
    address
}

fn pushing(world: &mut World, properties: &[(&str, &str)]) -> WireId {
    let address = address("https://connector.example/in", properties);
    let body = request("urn:uuid:c1", "HttpData-PUSH", Some(address));
    let (status, answer) = world.post(&name(C), P, "/transfers/request", &body);
    assert_eq!(status, 201, "{answer}");
    let messages = take_messages(world);
    let (path, body) = messages.last().expect("a start");
    assert!(path.ends_with("/start"), "{path}");
    assert_eq!(
        body.get("dataAddress"),
        None,
        "a push has no address of ours"
    );
    wire(answer["providerPid"].as_str().unwrap())
}

fn take_push(world: &mut World) -> Option<crate::node::io::Push> {
    assert!(world.pushes.len() <= 1, "one page at a time");
    world.pushes.pop()
}

fn answered(world: &mut World, call: CallId, status: Option<u16>) {
    let outcome = match status {
        Some(status) => Ok(PeerAnswer::Dsp {
            status,
            body: Value::Null,
            link: None,
        }),
        None => Err(CallFailure::TimedOut),
    };
    world.step(P, Input::Answered { call, outcome });
}

#[test]
fn pages_are_pushed_in_order_and_repeated_until_they_are_taken() {
    let mut world = provider();
    let transfer = pushing(
        &mut world,
        &[("authorization", "secret"), ("authType", "bearer")],
    );
    let first = take_push(&mut world).expect("a page");
    assert_eq!(first.transfer, transfer);
    assert_eq!(first.target.endpoint, "https://connector.example/in");
    assert_eq!(first.target.authorization.as_deref(), Some("Bearer secret"));
    assert_eq!(first.page.items.len(), 3);
    assert!(!format!("{:?}", first.target).contains("secret"));
    for (_, record) in &world.journals[P] {
        let bytes = postcard::to_allocvec(record).unwrap();
        assert!(!bytes.windows(6).any(|it| it == b"secret"), "{record:?}");
    }

    answered(&mut world, first.call, None);
    assert_eq!(take_push(&mut world), None, "not at once");
    let wake = world.nodes[P].next_wake().expect("a timer");
    assert!(
        wake > world.now && wake <= world.now.plus_ms(MINUTE_MS),
        "with a backoff"
    );
    world.now = wake;
    world.step(P, Input::Tick);
    let again = take_push(&mut world).expect("the page again");
    assert_eq!(again.page, first.page);

    // A node that is killed meanwhile sends the very same again.
    world.restart(P);
    let after = take_push(&mut world).expect("the page again");
    assert_eq!(after.page, first.page);
    answered(&mut world, after.call, Some(204));
    assert_eq!(take_push(&mut world), None, "all was taken");

    // What comes later is pushed at once, though nobody polls.
    world.nodes[P].config.roles = vec![ParticipantRole::LockerOperator];
    world.replies += 1;
    let input = Input::Local {
        reply: ReplyId(world.replies),
        credential: Some([9; 32]),
        idempotency: None,
        request: LocalRequest::PutStations(vec![station(9)]),
    };
    world.step(P, input);
    let next = take_push(&mut world).expect("what came meanwhile");
    assert_eq!(next.page.items.len(), 1);
    assert_ne!(next.page.next, first.page.next);
    // With the transfer its secret goes.
    assert_eq!(world.keys[P].len(), 1);
    let body = json!({
        "@context": [CONTEXT], "@type": "TransferCompletionMessage",
        "consumerPid": "urn:uuid:c1", "providerPid": transfer.as_str(),
    });
    let path = format!("/transfers/{transfer}/completion");
    assert_eq!(world.post(&name(C), P, &path, &body).0, 200);
    assert!(world.keys[P].is_empty());
    assert!(world.nodes[P].state().push_secrets.is_empty());
}

#[test]
fn a_suspended_push_waits_and_goes_on() {
    let mut world = provider();
    pushing(&mut world, &[]);
    let first = take_push(&mut world).expect("a page");
    assert_eq!(first.target.authorization, None);
    let suspend = AgreementChange::Suspend {
        reason: "checking".into(),
    };
    change(&mut world, suspend);
    take_messages(&mut world);
    answered(&mut world, first.call, None);
    world.now = world.now.plus_ms(5 * MINUTE_MS);
    world.step(P, Input::Tick);
    assert_eq!(
        take_push(&mut world),
        None,
        "nothing leaves while it is suspended"
    );
    change(&mut world, AgreementChange::Resume);
    take_messages(&mut world);
    let again = take_push(&mut world).expect("the page again");
    assert_eq!(again.page, first.page);
    world.now = JULY;
    answered(&mut world, again.call, None);
    world.step(P, Input::Tick);
    world.now = JULY.plus_ms(5 * MINUTE_MS);
    world.step(P, Input::Tick);
    assert_eq!(take_push(&mut world), None, "nothing leaves after the end");
}

#[test]
fn people_are_told_when_pages_are_not_taken() {
    let mut world = provider();
    pushing(&mut world, &[]);
    for _ in 0..5 {
        let page = take_push(&mut world).expect("a page");
        answered(&mut world, page.call, None);
        world.now = world.nodes[P].next_wake().expect("a timer");
        world.step(P, Input::Tick);
    }
    let alerts = world.journals[P].iter().filter(|(_, record)| {
        matches!(
            record,
            Record::Alert {
                kind: crate::node::record::AlertKind::NotTaken,
                ..
            }
        )
    });
    assert_eq!(alerts.count(), 1);
}

#[test]
fn addresses_that_lead_inward_are_refused_in_every_disguise() {
    for endpoint in [
        "http://127.0.0.1/in",
        "https://127.0.0.1/in",
        "https://localhost/in",
        "https://x.localhost/in",
        "https://10.0.0.1/in",
        "https://192.168.1.1/in",
        "https://172.16.0.1/in",
        "https://169.254.169.254/latest/meta-data",
        "https://[fd00:ec2::254]/latest",
        "https://[::1]/in",
        "https://[fe80::1]/in",
        "https://[::ffff:169.254.169.254]/in",
        "https://[::ffff:7f00:1]/in",
        "https://[64:ff9b::a9fe:a9fe]/in",
        "https://2130706433/in",
        "https://0177.0.0.1/in",
        "https://0x7f000001/in",
        "https://0x7f.0.0.1/in",
        "https://127.1/in",
        "https://100.100.100.200/in",
        "https://0/in",
        "https://user:secret@connector.example/in",
        "http://connector.example/in",
        "ftp://connector.example/in",
        "connector.example/in",
        "",
    ] {
        let mut world = provider();
        let before = world.book(P).clone();
        let body = request("urn:uuid:c1", "HttpData-PUSH", Some(address(endpoint, &[])));
        let (status, answer) = world.post(&name(C), P, "/transfers/request", &body);
        assert_eq!(status, 400, "{endpoint}: {answer}");
        assert_eq!(world.book(P), &before, "{endpoint}");
        assert!(!answer.to_string().contains("secret"), "{answer}");
    }
    for callback in [
        "https://127.0.0.1:9/dsp",
        "https://169.254.169.254/x",
        "https://2130706433",
        "http://[::1]:80/a",
    ] {
        let mut world = provider();
        let mut body = request("urn:uuid:c1", "HttpData-PULL", None);
        body["callbackAddress"] = callback.into();
        let (status, answer) = world.post(&name(C), P, "/transfers/request", &body);
        assert_eq!(status, 400, "{callback}: {answer}");
        assert!(answer.to_string().contains("/callbackAddress"), "{answer}");
        assert!(world.book(P).transfers.is_empty());
    }
}

#[test]
fn a_push_needs_an_address_and_a_visible_secret() {
    for (format, address) in [
        ("HttpData-PUSH", None),
        (
            "HttpData-PUSH",
            Some(address(
                "https://connector.example/in",
                &[("authorization", "a\nb")],
            )),
        ),
        (
            "HttpData-PUSH",
            Some(address(
                "https://connector.example/in",
                &[("authorization", "abc"), ("authType", "basic")],
            )),
        ),
        ("AmazonS3-PUSH", None),
    ] {
        let mut world = provider();
        let body = request("urn:uuid:c1", format, address);
        let (status, answer) = world.post(&name(C), P, "/transfers/request", &body);
        assert_eq!(status, 400, "{answer}");
        assert!(world.book(P).transfers.is_empty());
    }
}
