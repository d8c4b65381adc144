//! Another connector: a Dataspace Protocol client and server that knows nothing of Interlock but what
//! `docs/guides/connectors.md` says.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::http::{Message, parts, send};
use super::spelling::Spelling;

/// What the connector shows at every request.
pub(super) const TOKEN: &str = "fixed-token-of-a-laboratory";
/// What it calls itself in offers and agreements.
pub(super) const NAME: &str = "BPNL00000007QWER";
/// What it wants to be shown with every page that is pushed.
pub(super) const PUSH_SECRET: &str = "secret-of-the-receiver";
const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";
/// Longest wait for a message.
const MESSAGE_WAIT_MAX: Duration = Duration::from_secs(60);

/// What the receiver of pushed pages does with one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mood {
    Answers(u16),
    HangsUp,
}

/// The connector.
pub(super) struct Connector {
    pub(super) address: SocketAddr,
    spelling: Spelling,
    node: RefCell<String>,
    messages: Receiver<Message>,
    pushed: Receiver<Message>,
    moods: Arc<Mutex<VecDeque<Mood>>>,
}

impl Connector {
    /// Listens on a free port.
    pub(super) fn start(spelling: Spelling) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (to_messages, messages) = channel();
        let (to_pushed, pushed) = channel();
        let moods: Arc<Mutex<VecDeque<Mood>>> = Arc::default();
        let server = Server {
            messages: to_messages,
            pushed: to_pushed,
            moods: Arc::clone(&moods),
        };
        std::thread::spawn(move || {
            // One at a time, in the order in which they come. Ends with the test.
            while let Ok((stream, _)) = listener.accept() {
                if server.serve(stream).is_none() {
                    break;
                }
            }
        });
        Self {
            address,
            spelling,
            node: RefCell::default(),
            messages,
            pushed,
            moods,
        }
    }

    /// Where it listens to messages of the protocol.
    pub(super) fn base(&self) -> String {
        format!("http://{}/dsp", self.address)
    }

    /// Finds where the node's endpoints of 2025-1 are, by its version metadata.
    pub(super) fn discover(&self, root: &str) {
        let (to, path) = parts(&format!("{root}/.well-known/dspace-version"));
        let answer = send(to, "GET", &path, &[], "");
        assert_eq!(answer.status(), 200);
        let versions = answer.json();
        let mut all = versions["protocolVersions"].as_array().unwrap().iter();
        let ours = all.find(|v| v["version"] == "2025-1" && v["binding"] == "HTTPS");
        let path = ours.expect("2025-1")["path"].as_str().unwrap().to_owned();
        *self.node.borrow_mut() = format!("{root}{path}");
    }

    /// Posts a message to the node; status and body of the answer.
    pub(super) fn post(&self, path: &str, kind: &str, members: Value) -> (u16, Value) {
        let mut message = json!({ "@context": [CONTEXT], "@type": kind });
        let fixed = message.as_object_mut().unwrap();
        fixed.extend(members.as_object().unwrap().clone());
        let body = self.spelling.write(&message).to_string();
        let (to, path) = parts(&format!("{}{path}", self.node.borrow()));
        let bearer = format!("Bearer {TOKEN}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        let answer = send(to, "POST", &path, &headers, &body);
        (answer.status(), answer.json())
    }

    /// Asks the node for the state of a process.
    pub(super) fn state(&self, path: &str) -> String {
        let (to, path) = parts(&format!("{}{path}", self.node.borrow()));
        let bearer = format!("Bearer {TOKEN}");
        let answer = send(to, "GET", &path, &[("Authorization", &bearer)], "");
        assert_eq!(answer.status(), 200, "{path}: {}", answer.body);
        answer.json()["state"].as_str().unwrap().into()
    }

    /// The next message of the node, which must be a `kind` at `path` below our base.
    pub(super) fn message(&self, path: &str, kind: &str) -> Value {
        let message = self.messages.recv_timeout(MESSAGE_WAIT_MAX);
        let message = message.unwrap_or_else(|_| panic!("no {kind} came"));
        let body = message.json();
        assert_eq!(body["@type"], kind, "{body}");
        assert_eq!(body["@context"], json!([CONTEXT]));
        assert_eq!(message.line, format!("POST /dsp{path} HTTP/1.1"));
        assert_eq!(message.headers["content-type"], "application/json");
        body
    }

    /// No message of the node has come that was not asked for.
    pub(super) fn assert_silent(&self) {
        assert!(self.messages.try_recv().is_err());
        assert!(self.pushed.try_recv().is_err());
    }

    /// Has the receiver do this with the next pages, and take all after them.
    pub(super) fn set_moods(&self, moods: &[Mood]) {
        self.moods.lock().unwrap().extend(moods);
    }

    /// Where pages are to be pushed.
    pub(super) fn inbox(&self) -> Value {
        let property = |name: &str, value: &str| json!({ "@type": "EndpointProperty", "name": name, "value": value });
        json!({
            "@type": "DataAddress",
            "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
            "endpoint": format!("http://{}/inbox", self.address),
            "endpointProperties": [
                property("authorization", PUSH_SECRET),
                property("authType", "bearer"),
            ],
        })
    }

    /// The next attempt to push a page.
    pub(super) fn attempt(&self) -> Message {
        let page = self.pushed.recv_timeout(MESSAGE_WAIT_MAX);
        let page = page.expect("a page is pushed");
        assert_eq!(page.line, "POST /inbox HTTP/1.1");
        assert_eq!(
            page.headers["authorization"],
            format!("Bearer {PUSH_SECRET}")
        );
        page
    }
}

struct Server {
    messages: Sender<Message>,
    pushed: Sender<Message>,
    moods: Arc<Mutex<VecDeque<Mood>>>,
}

impl Server {
    /// Serves one request of a connection; `None` once nobody listens to us any more.
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let Some(request) = Message::read(&mut stream) else {
            return Some(());
        };
        let is_page = request.path() == "/inbox";
        let (to, mood) = match is_page {
            true => (&self.pushed, self.moods.lock().unwrap().pop_front()),
            false => (&self.messages, None),
        };
        to.send(request).ok()?;
        if let Mood::Answers(status) = mood.unwrap_or(Mood::Answers(200)) {
            let head = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n");
            // Whoever asked may be gone: that is its business.
            let _ = write!(stream, "{head}\r\n");
        }
        Some(())
    }
}
