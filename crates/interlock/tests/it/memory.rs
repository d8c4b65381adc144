//! What was deleted is in the memory of no process: that of two nodes is read while they run, as whoever
//! takes a core of them would.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use interlock_core::dataset::Dataset;
use serde_json::{Value, json};

use super::backup::Dir;
use super::mediation::{Member, OPERATOR, OWNER, policy, waits};

const PHONE: &str = "13876501987";
const NAME: &str = "Canary-Zhou";
const ADDRESS: &str = "Canary Lane 7719";
const WAYBILL: &str = "sf/SF1234567890123";
/// Longest that a connection which nobody uses is kept open, and its buffers with it, in seconds.
pub(super) const IDLE_S_MAX: u32 = 90;
/// Bytes that are read at a time; what lies across two reads is found too.
const READ_SIZE_BYTES: usize = 1 << 20;

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

/// The ranges of a process's memory that can be read, but for the program itself and its libraries, which it
/// cannot write to.
pub(super) fn ranges(pid: u32) -> Vec<(u64, u64, String)> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let parsed = maps.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (from, to) = words.next()?.split_once('-')?;
        let rights = words.next()?;
        let name = words.nth(3).unwrap_or_default();
        let program = name.starts_with('/') && !rights.contains('w');
        let kernel = name.starts_with("[v");
        let readable = rights.starts_with('r') && !program;
        let number = |text| u64::from_str_radix(text, 16).ok();
        (readable && !kernel).then_some((number(from)?, number(to)?, name.to_owned()))
    });
    parsed.collect()
}

/// Which of the words are in a process's memory, and in which range; `None` if it may not be read.
fn found(pid: u32, words: &[&str]) -> Option<Vec<String>> {
    let mut memory = match File::open(format!("/proc/{pid}/mem")) {
        Ok(memory) => memory,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            eprintln!("SKIPPED: the memory of a child may not be read here (ptrace): {error}");
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    let longest = words.iter().map(|word| word.len()).max().unwrap();
    let (mut all, mut read) = (Vec::new(), 0);
    for (from, to, name) in ranges(pid) {
        let mut at = from;
        let mut window: Vec<u8> = Vec::new();
        while at < to {
            let size = READ_SIZE_BYTES.min(usize::try_from(to - at).unwrap());
            let kept = window.len().min(longest);
            window.drain(..window.len() - kept);
            let begin = window.len();
            window.resize(begin + size, 0);
            memory.seek(SeekFrom::Start(at)).unwrap();
            // A range that was given back since, or a guard page.
            if memory.read_exact(&mut window[begin..]).is_err() {
                break;
            }
            for word in words {
                if let Some(place) = memchr::memmem::find(&window, word.as_bytes()) {
                    let around = &window[place.saturating_sub(80)..(place + 80).min(window.len())];
                    let around = String::from_utf8_lossy(around).into_owned();
                    all.push(format!("`{word}` in {from:x} {name}: {around:?}"));
                }
            }
            at += size as u64;
            read += size;
        }
    }
    assert!(read > 1 << 20, "the memory was read: {read} bytes");
    Some(all)
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
    let pids = [owner.running.pid(), operator.running.pid()];

    // What is held is found, so what is not found is not there.
    let Some(held) = found(pids[0], &[PHONE, NAME, ADDRESS]) else {
        return;
    };
    for word in [PHONE, NAME, ADDRESS] {
        assert!(held.iter().any(|it| it.contains(word)), "{word}: {held:#?}");
    }
    let held = found(pids[1], &[PHONE, &code]).unwrap();
    for word in [PHONE, code.as_str()] {
        assert!(held.iter().any(|it| it.contains(word)), "{word}: {held:#?}");
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
    let words = [PHONE, NAME, ADDRESS, &code];
    let mut left = Vec::new();
    for _ in 0..IDLE_S_MAX {
        left = pids.map(|pid| found(pid, &words).unwrap()).concat();
        if left.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    panic!("{left:#?}");
}
