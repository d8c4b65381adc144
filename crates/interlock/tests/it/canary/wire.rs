//! A wire that somebody listens to: every byte that goes to the door of a node and comes from there.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// What passed, by who asked: what they asked, what they were answered.
type Passed = Arc<Mutex<BTreeMap<String, [Vec<u8>; 2]>>>;

/// The way to a door, at which everybody lists the node.
pub(super) struct Tap {
    pub(super) port: u16,
    door: Arc<AtomicU16>,
    passed: Passed,
}

impl Tap {
    /// Listens; where it leads to is said later.
    pub(super) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (passed, door) = (Passed::default(), Arc::new(AtomicU16::new(0)));
        let (all, to) = (passed.clone(), door.clone());
        std::thread::spawn(move || {
            for asking in listener.incoming().map_while(Result::ok) {
                // A node that is down is down behind its wire too.
                let Ok(door) = TcpStream::connect(("127.0.0.1", to.load(Ordering::SeqCst))) else {
                    continue;
                };
                let all = all.clone();
                std::thread::spawn(move || carry(asking, door, &all));
            }
        });
        Self { port, door, passed }
    }

    pub(super) fn lead_to(&self, door: u16) {
        self.door.store(door, Ordering::SeqCst);
    }

    pub(super) fn passed(&self) -> BTreeMap<String, [Vec<u8>; 2]> {
        self.passed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn forget(&self) {
        self.passed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Carries one connection, which is one node's: its first request says whose.
fn carry(mut asking: TcpStream, mut door: TcpStream, passed: &Passed) {
    let mut head = Vec::new();
    let mut bytes = vec![0; 1 << 16];
    while !head.windows(4).any(|it| it == b"\r\n\r\n") {
        match asking.read(&mut bytes) {
            Ok(read @ 1..) => head.extend_from_slice(&bytes[..read]),
            Ok(_) | Err(_) => return,
        }
    }
    let from = issuer(&head);
    note(passed, &from, 0, &head);
    if door.write_all(&head).is_err() {
        return;
    }
    let back = (door.try_clone().unwrap(), asking.try_clone().unwrap());
    let (of, all) = (from.clone(), passed.clone());
    let answers = std::thread::spawn(move || pass(back.0, back.1, &all, &of, 1));
    pass(asking, door, passed, &from, 0);
    let _ = answers.join();
}

fn pass(mut from: TcpStream, mut to: TcpStream, passed: &Passed, whose: &str, direction: usize) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        note(passed, whose, direction, &bytes[..read]);
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    // Each side hears of the end of the other.
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

fn note(passed: &Passed, whose: &str, direction: usize, bytes: &[u8]) {
    let mut all = passed.lock().unwrap_or_else(PoisonError::into_inner);
    all.entry(whose.to_owned()).or_default()[direction].extend_from_slice(bytes);
}

/// Who signed a request, by its token.
fn issuer(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head);
    let token = text.split("Bearer ").nth(1).unwrap_or_default();
    let claims = token.split('.').nth(1).unwrap_or_default();
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&claims).unwrap_or_default();
    let id = claims["iss"].as_str().unwrap_or("nobody");
    let name = id
        .trim_start_matches("did:web:")
        .trim_end_matches(".example");
    name.to_owned()
}
