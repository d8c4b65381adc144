//! What was deleted is in the memory of no process: that of two nodes is read while they run, as whoever
//! takes a core of them would.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use interlock_core::dataset::Dataset;
use serde_json::{Value, json};

use super::backup::Dir;
use super::canary::planted::{Kind, Planted};
use super::mediation::{Member, OPERATOR, OWNER, policy, waits};

const PHONE: &str = "13876501987";
const NAME: &str = "Canary-Zhou";
const ADDRESS: &str = "Canary Lane 7719";
const WAYBILL: &str = "sf/SF1234567890123";
/// Longest that a connection which nobody uses is kept open, and its buffers with it, in seconds.
pub(super) const IDLE_S_MAX: u32 = 90;

/// A gateway that takes every message and keeps them.
pub(super) fn gateway() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/messages", listener.local_addr().unwrap());
    let all = Arc::new(Mutex::new(Vec::new()));
    let taken = all.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut text = String::new();
            let mut bytes = [0; 4096];
            while !whole(&text) {
                let read = stream.read(&mut bytes).unwrap_or(0);
                if read == 0 {
                    break;
                }
                text.push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
            if whole(&text) {
                taken.lock().unwrap().push(text);
                let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all(answer);
            }
        }
    });
    (url, all)
}

/// Whether a request has come as a whole.
fn whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let head = head.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|it| it.strip_prefix("content-length:"));
    body.len() >= length.map_or(0, |length| length.trim().parse().unwrap())
}

/// The pick-up code that a message says.
pub(super) fn code_in(text: &str) -> String {
    let (_, rest) = text.split_once("取件码 ").expect("a code");
    let code = rest.chars().take_while(char::is_ascii_digit);
    code.collect()
}

/// Both nodes list each other, and contacts flow to the operator.
fn agreed(owner: &Member, operator: &Member) {
    owner.lists(operator);
    operator.lists(owner);
    let dataset = Dataset::RecipientContact;
    let offer = json!({ "id": "urn:contacts", "dataset": dataset.as_str(),
        "policy": policy(dataset), "audience": [OPERATOR], "autoAccept": true });
    assert_eq!(owner.call("POST", "/offers", "", &offer).0, 201);
    let proposal = json!({ "partner": OWNER, "offers": ["urn:contacts"] });
    let (status, said) = operator.call("POST", "/negotiations", "", &proposal);
    assert!(status < 300, "{said}");
    waits("the agreement", || {
        for party in [owner, operator] {
            let (_, open) = party.call("GET", "/proposals", "", &Value::Null);
            for proposal in open["proposals"].as_array().unwrap() {
                let id = proposal["id"].as_str().unwrap();
                party.call("POST", &format!("/proposals/{id}/approve"), "", &json!({}));
            }
        }
        let in_force = |party: &Member| {
            let (_, all) = party.call("GET", "/agreements", "", &Value::Null);
            all["agreements"][0]["state"] == "IN_FORCE"
        };
        (in_force(owner) && in_force(operator)).then_some(())
    });
}

fn deposited(owner: &Member, operator: &Member) -> String {
    let parcel = json!({ "waybill": WAYBILL, "marketplace": "taobao", "consent": "given",
        "recipient": { "name": NAME, "phone": PHONE, "address": ADDRESS } });
    assert_eq!(owner.call("PUT", "/parcels", "", &parcel).0, 200);
    let parcel = json!({ "waybill": WAYBILL, "marketplace": "taobao", "consent": "given",
        "owner": OWNER, "size": "small" });
    assert_eq!(operator.call("PUT", "/parcels", "", &parcel).0, 200);
    let station = json!({ "id": "S1", "name": "Gate 1", "capacity": { "small": 9 },
        "position": { "longitude": 120.0, "latitude": 30.0 } });
    assert_eq!(operator.call("PUT", "/stations", "", &station).0, 200);
    let body = json!({ "waybill": WAYBILL, "station": "S1", "size": "small", "courier": "c7" });
    let key = "Idempotency-Key: k1\r\n";
    let (status, opened) = operator.call("POST", "/deposits", key, &body);
    assert_eq!(status, 201, "{opened}");
    assert_eq!(opened["contactForm"], "full", "{opened}");
    opened["id"].as_str().unwrap().to_owned()
}

#[test]
fn what_was_deleted_is_in_the_memory_of_no_process() {
    let (url, messages) = gateway();
    let dir = Dir::new("wiped");
    let market = ["--marketplace", "taobao"];
    let owner = Member::with_gateway(&url, &dir.0, "cainiao", (OWNER, "platform"), &market);
    let role = (OPERATOR, "locker-operator");
    let operator = Member::with_gateway(&url, &dir.0, "fengchao", role, &[]);
    agreed(&owner, &operator);
    let deposit = deposited(&owner, &operator);
    let act = |act: &str, body: &Value| {
        let key = format!("Idempotency-Key: {act}\r\n");
        let path = format!("/deposits/{deposit}/{act}");
        let (status, said) = operator.call("POST", &path, &key, body);
        assert!(status < 300, "{act}: {said}");
    };
    act("confirm", &json!({}));
    let code = waits("the message", || {
        let text = messages.lock().unwrap().last()?.clone();
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n")?.1).unwrap();
        assert!(body["to"].to_string().contains(PHONE), "{body}");
        Some(code_in(body["text"]["zh"].as_str().unwrap()))
    });
    let processes = [("cainiao", &owner), ("fengchao", &operator)];
    let mut planted = Planted::new(&[
        ("phone", Kind::Phone, PHONE),
        ("name", Kind::Text, NAME),
        ("address", Kind::Text, ADDRESS),
    ]);
    planted.plant_codes(&[("code", code.clone())]);
    let in_memory = |(name, member): (&str, &Member)| {
        planted.in_memory(&format!("memory of {name}"), member.running.pid())
    };

    // What is held is found, so what is not found is not there.
    for (process, held) in processes
        .into_iter()
        .zip([&["phone", "name", "address"][..], &["phone", "code"]])
    {
        let Some(found) = in_memory(process) else {
            return;
        };
        for what in held {
            assert!(
                found.iter().any(|it| it.whose == *what),
                "{what}: {found:#?}"
            );
        }
    }

    act("open", &json!({ "code": code }));
    act("pickup", &json!({}));
    let path = format!("/parcels/{WAYBILL}/recipient");
    assert_eq!(owner.call("DELETE", &path, "", &Value::Null).0, 200);
    waits("the deletion at both", || {
        let (_, view) = owner.call("GET", &path, "", &Value::Null);
        let told = view["releases"][0]["knowsToDelete"] == true;
        (view["held"] == false && told).then_some(())
    });
    // Connections between the two are kept open for a while, each with its last message.
    let mut left: Vec<_> = Vec::new();
    for _ in 0..IDLE_S_MAX {
        let all = processes.into_iter().map(in_memory);
        left = all.flat_map(Option::unwrap).collect();
        if left.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    panic!("{left:#?}");
}
