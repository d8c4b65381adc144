//! A fake node, a store in memory that can be held or fail, and small clients.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use axum::response::IntoResponse as _;
use hyper::body::Bytes;
use interlock_core::ids::{ParticipantId, RequestId, WireId};
use interlock_core::time::{ClockInterval, Timestamp};
use interlock_journal::keyslots::SlotKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::driver::activity::Activity;
use crate::driver::clock::ManualClock;
use crate::driver::entropy::SystemRng;
use crate::driver::exchange_door::{Gate, WellKnown};
use crate::driver::listen::Listener;
use crate::driver::outlet::{Calling, Gateway, Hooks};
use crate::driver::seams::{ApiKeys, Machine, Partners, Store, TimedRecord};
use crate::driver::server::{Door, Parts, Server};
use crate::driver::writer::IDLE_GROUP_WAIT;
use crate::exchange::wire::{Evidence, LogSide};
use crate::identity::keys::NodeKey;
use crate::identity::own::OwnIdentity;
use crate::identity::partner::{Partner, Role};
use crate::identity::tls::{CertificatePin, Trust};
use crate::identity::token::scheme::Scheme;
use crate::identity::token::{self, Request};
use crate::identity::transfer_token::TransferTokens;
use crate::identity::url::BaseUrl;
use crate::node::Rng;
use crate::node::io::{Effect, Input, LocalAnswer, LocalRequest, PeerAnswer, PeerRequest};
use crate::node::record::Record;

/// 2017-05-31T23:59:59+08:00.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_496_246_399_000);

pub(super) type React = Box<dyn FnMut(Input, ClockInterval) -> Vec<Effect> + Send>;

/// A node that does what a test says.
pub(super) struct Fake {
    pub(super) react: React,
    pub(super) partners: Partners,
    pub(super) wake: Arc<Mutex<Option<Timestamp>>>,
    pub(super) parked: Arc<AtomicUsize>,
}

impl Machine for Fake {
    fn start(&mut self, _: ClockInterval, _: &mut dyn Rng) -> Vec<Effect> {
        Vec::new()
    }

    fn step(&mut self, input: Input, now: ClockInterval, _: &mut dyn Rng) -> Vec<Effect> {
        if matches!(input, Input::Tick) {
            *self.wake.lock().unwrap() = None;
        }
        (self.react)(input, now)
    }

    fn next_wake(&self) -> Option<Timestamp> {
        *self.wake.lock().unwrap()
    }

    fn parked_polls(&self) -> usize {
        self.parked.load(Ordering::SeqCst)
    }

    fn partners(&self) -> &Partners {
        &self.partners
    }

    fn api_keys(&self) -> &ApiKeys {
        static NONE: ApiKeys = ApiKeys::new();
        &NONE
    }
}

/// What was done, in order.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(super) fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A store in memory; its appends can be held back or made to fail.
#[derive(Clone, Default)]
pub(super) struct FakeStore {
    pub(super) log: Log,
    pub(super) failing: Arc<AtomicBool>,
    /// Whether an append was begun.
    pub(super) begun: Arc<AtomicBool>,
    held: Arc<(Mutex<bool>, Condvar)>,
}

impl FakeStore {
    pub(super) fn hold(&self, hold: bool) {
        *self.held.0.lock().unwrap() = hold;
        self.held.1.notify_all();
    }
}

impl Store for FakeStore {
    fn put_keys(&mut self, keys: &[SlotKey]) -> io::Result<()> {
        self.log.add(format!("keys {}", keys.len()));
        Ok(())
    }

    fn append(&mut self, steps: &[Vec<TimedRecord>]) -> io::Result<()> {
        self.begun.store(true, Ordering::SeqCst);
        let mut held = self.held.0.lock().unwrap();
        while *held {
            held = self.held.1.wait(held).unwrap();
        }
        if self.failing.load(Ordering::SeqCst) {
            return Err(io::Error::other("sync failed"));
        }
        let records: usize = steps.iter().map(Vec::len).sum();
        self.log.add(format!("append {records}"));
        Ok(())
    }

    fn keep_signing_key(&mut self, key: &NodeKey) -> io::Result<()> {
        self.log.add(format!("signing key {}", key.public()));
        Ok(())
    }

    fn take_signing_key(&mut self) {
        self.log.add("signing key taken".to_owned());
    }

    fn destroy_keys(&mut self, slots: &[(u32, u32)], _: &[u32]) -> io::Result<()> {
        self.log.add(format!("destroy {}", slots.len()));
        Ok(())
    }

    fn journal_bytes(&self) -> u64 {
        4_096
    }
}

pub(super) fn record() -> Effect {
    let id = WireId::parse("urn:uuid:1").unwrap();
    Effect::Append(Box::new(Record::OfferWithdrawn(id)))
}

pub(super) const fn entries() -> PeerRequest {
    PeerRequest::Entries {
        log: LogSide::Written,
        epoch: None,
        from: 0,
    }
}

pub(super) fn evidence() -> PeerAnswer {
    PeerAnswer::Evidence(Evidence {
        from: 0,
        leaves: vec![],
        checkpoint: "note".into(),
    })
}

/// One participant of a test.
pub(super) struct Cast {
    pub(super) id: ParticipantId,
    pub(super) key: NodeKey,
}

pub(super) fn cast(name: &str, seed: u8) -> Cast {
    Cast {
        id: ParticipantId::parse(&format!("did:web:{name}.example")).unwrap(),
        key: NodeKey::from_seed(&[seed; 32]),
    }
}

impl Cast {
    pub(super) fn as_partner(&self, url: &str, pin: Option<CertificatePin>) -> Partner {
        let value = serde_json::json!({
            "id": self.id,
            "name": "somebody",
            "roles": [Role::LockerOperator],
            "exchange_url": BaseUrl::parse(url).unwrap(),
            "key": self.key.public(),
        });
        let mut partner: Partner = serde_json::from_value(value).unwrap();
        partner.certificate_pin = pin;
        partner
    }

    /// An `Authorization` header for a call to `audience`.
    pub(super) fn bearer(
        &self,
        audience: &Cast,
        method: &str,
        target: &str,
        body: &[u8],
        request: u8,
        at: Timestamp,
    ) -> String {
        let request = Request {
            issuer: &self.id,
            audience: &audience.id,
            request_id: RequestId::from_bytes([request; 16]),
            method,
            path_and_query: target,
            body,
            issued_at: at,
        };
        format!("Bearer {}", token::sign(&self.key, &request))
    }
}

/// A node under construction.
pub(super) struct Setup {
    pub(super) me: Cast,
    pub(super) partners: Vec<Partner>,
    pub(super) store: FakeStore,
    pub(super) clock: Arc<ManualClock>,
    pub(super) activity: Activity,
    pub(super) wake: Arc<Mutex<Option<Timestamp>>>,
    pub(super) parked: Arc<AtomicUsize>,
    pub(super) listener: Listener,
    pub(super) gateway: Option<Gateway>,
    pub(super) systems: Option<Gateway>,
    pub(super) public: Option<Door>,
    pub(super) journal: std::path::PathBuf,
    pub(super) idle_group_wait: std::time::Duration,
}

pub(super) fn listener() -> Listener {
    Listener::bind(([127, 0, 0, 1], 0).into(), None).unwrap()
}

impl Setup {
    pub(super) fn new(me: Cast) -> Self {
        Self {
            me,
            partners: Vec::new(),
            store: FakeStore::default(),
            clock: Arc::new(ManualClock::new(NOW)),
            activity: Activity::new(),
            wake: Arc::default(),
            parked: Arc::default(),
            listener: listener(),
            gateway: None,
            systems: None,
            public: None,
            journal: std::path::PathBuf::new(),
            idle_group_wait: IDLE_GROUP_WAIT,
        }
    }

    pub(super) fn with(mut self, partner: Partner) -> Self {
        self.partners.push(partner);
        self
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.listener.address().unwrap())
    }

    pub(super) async fn start(
        mut self,
        react: impl FnMut(Input, ClockInterval) -> Vec<Effect> + Send + 'static,
    ) -> Server {
        let partners: BTreeMap<_, _> = std::mem::take(&mut self.partners)
            .into_iter()
            .map(|partner| (partner.id.clone(), partner))
            .collect();
        let machine = Fake {
            react: Box::new(react),
            partners,
            wake: self.wake.clone(),
            parked: self.parked.clone(),
        };
        let store = self.store.clone();
        self.start_with(machine, store).await
    }

    /// Starts another machine and store than the fake ones.
    pub(super) async fn start_with(self, machine: impl Machine, store: impl Store) -> Server {
        let local = Door {
            listener: listener(),
            routes: Box::new(|handle| {
                let handle = handle.clone();
                let status = move || async move {
                    match handle.local(None, None, LocalRequest::GetStatus).await {
                        LocalAnswer::Json { body, .. } => body.to_string().into_response(),
                        LocalAnswer::Problem(problem) => crate::driver::answer::refuse(&problem),
                        LocalAnswer::Events(_)
                        | LocalAnswer::Tracking(_)
                        | LocalAnswer::Pickup(_)
                        | LocalAnswer::Person(_) => "".into_response(),
                    }
                };
                axum::Router::new().route("/status", axum::routing::get(status))
            }),
        };
        let url = BaseUrl::parse("https://a.example").unwrap();
        let own = OwnIdentity::new(self.me.id.clone(), url, self.me.key.clone());
        let own = Arc::new(own);
        Server::start(Parts {
            machine,
            store,
            journal_time: None,
            idle_group_wait: self.idle_group_wait,
            clock: self.clock,
            rng: Box::new(SystemRng),
            activity: self.activity,
            journal: self.journal,
            calling: Calling {
                own: own.clone(),
                trust: Trust::default(),
                plain_anywhere: false,
                allow_loopback_callbacks: false,
            },
            hooks: Hooks {
                gateway: self.gateway,
                systems: self.systems,
            },
            gate: Gate {
                tokens: TransferTokens::from_seed(&self.me.key.signing_key().to_bytes()),
                id: self.me.id,
                scheme: Scheme::default(),
                leeway_ms: 1_000,
                base_path: String::new(),
                well_known: WellKnown {
                    dspace_version: Bytes::from_static(b"{\"protocolVersions\":[]}"),
                    did: own,
                },
            },
            exchange: self.listener,
            local: Some(local),
            public: self.public,
            metrics: Some(listener()),
        })
        .await
        .unwrap()
    }
}

/// What came back: status, head in lower case, body.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn kind(&self) -> String {
        let value: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        let kind = value["type"].as_str().unwrap();
        kind.rsplit('/').next().unwrap().into()
    }
}

/// Sends bytes as they are and reads until the other side closes.
pub(super) async fn raw(address: std::net::SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A door that refuses early may close before it has taken everything.
    let _ = stream.write_all(bytes).await;
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text).await;
    parse_reply(&text)
}

pub(super) fn parse_reply(text: &[u8]) -> Reply {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Reply {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_ascii_lowercase(),
        body: body.into(),
    }
}

pub(super) async fn send(
    address: std::net::SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    let bytes = [text.as_bytes(), b"\r\n", body].concat();
    raw(address, &bytes).await
}

/// Waits, without a clock, until something is so.
pub(super) async fn until(what: impl Fn() -> bool) {
    for _ in 0..20_000 {
        if what() {
            return;
        }
        tokio::task::yield_now().await;
        std::thread::sleep(std::time::Duration::from_micros(500));
    }
    panic!("it never became so");
}
