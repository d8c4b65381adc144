//! Two nodes that talk in memory: every effect is delivered, lost or repeated as a test wants.

mod catalogs;
mod closed_doors;
mod connectors;
mod delivery;
mod evil;
mod faults;
mod hostile;
mod life;
mod mediation;
mod mutations;
mod names;
mod pages;
mod past;
mod people;
mod protocol;
mod pushes;
mod renewal;
mod sequences;
mod signing;
mod walks;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ed25519_dalek::SigningKey;
use interlock_core::agreement::AgreementState;
use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::negotiation::NegotiationState;
use interlock_core::terms::{Field, Purpose, Terms};
use interlock_core::time::{ClockInterval, DAY_MS, Timestamp, Zone};
use serde_json::Value;

use super::{Agreement, Book};
use crate::driver::snapshot::again::Again;
use crate::exchange::http::{encode_request, parse_request};
use crate::identity::keys::PublicKey;
use crate::identity::partner::{Partner, Role as ParticipantRole};
use crate::identity::url::BaseUrl;
use crate::node::io::{
    CallFailure, CallId, ConnectorAnswer, Decision, Effect, Input, LocalAnswer, LocalRequest,
    OfferPut, PeerAnswer, PeerRequest, ReplyId, Role,
};
use crate::node::record::Record;
use crate::node::{Node, NodeConfig, Rng};

/// 2017-05-31 00:00 in China: a day before the terms begin.
pub(super) const MAY: Timestamp = Timestamp::from_millis(1_496_160_000_000);
/// 2017-06-01 00:00 in China.
pub(super) const JUNE: Timestamp = Timestamp::from_millis(1_496_246_400_000);
/// 2017-07-01 00:00 in China.
pub(super) const JULY: Timestamp = Timestamp::from_millis(1_498_838_400_000);
/// Who provides in these tests, and who consumes.
pub(super) const P: usize = 0;
pub(super) const C: usize = 1;
/// A rival of the consumer, and a regulator, in tests of mediation.
pub(super) const JD: usize = 2;
pub(super) const M: usize = 3;
/// Most messages of one run.
const MESSAGES_MAX: usize = 5_000;

pub(super) fn name(node: usize) -> ParticipantId {
    let names = ["fengchao", "cainiao", "jd", "postbureau"];
    ParticipantId::parse(&format!("did:web:{}.example", names[node])).unwrap()
}

pub(super) fn wire(text: &str) -> WireId {
    WireId::parse(text).unwrap()
}

fn key(node: usize) -> SigningKey {
    SigningKey::from_bytes(&[u8::try_from(node).unwrap() + 1; 32])
}

/// Free space of lockers: open data.
pub(super) fn stations() -> Terms {
    Terms {
        dataset: Dataset::LockerStations,
        from: JUNE,
        until: JULY,
        zone: Zone::CHINA,
        purposes: BTreeSet::from([Purpose::LockerOperation]),
        marketplaces: BTreeSet::new(),
        fields: BTreeSet::from([Field::Station, Field::Availability]),
        contact_forms: BTreeSet::new(),
        quota_per_day: None,
        quota_per_parcel: None,
        evidence: BTreeSet::new(),
        notifier: None,
        run_off_ms: None,
        backlog: None,
        covers_from: None,
        delete_after_ms: Some(30 * DAY_MS),
        reciprocate: false,
        no_redisclosure: true,
    }
}

/// Life of parcels in lockers.
pub(super) fn events() -> Terms {
    Terms {
        dataset: Dataset::LockerEvents,
        purposes: BTreeSet::from([Purpose::DeliveryTracking]),
        marketplaces: BTreeSet::from([interlock_core::ids::Marketplace::parse("taobao").unwrap()]),
        fields: Field::of(Dataset::LockerEvents).iter().copied().collect(),
        run_off_ms: Some(2 * DAY_MS),
        ..stations()
    }
}

struct TestRng(u64);

impl Rng for TestRng {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            // SplitMix64.
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = u8::try_from((z ^ (z >> 31)) & 0xff).unwrap();
        }
    }
}

/// Content keys by hour and slot.
type Keys = BTreeMap<(u32, u32), [u8; 32]>;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Delivered,
    RequestLost,
    AnswerLost,
    Repeated,
}

struct Flight {
    from: usize,
    /// Nobody for a partner that has no node here.
    to: Option<usize>,
    call: CallId,
    request: PeerRequest,
}

/// Two nodes that list one another.
pub(super) struct World {
    pub(super) now: Timestamp,
    /// How uncertain the clock of both nodes is.
    pub(super) clock_width_ms: i64,
    pub(super) nodes: Vec<Node>,
    pub(super) journals: Vec<Vec<(Timestamp, Record)>>,
    /// The content keys of both.
    pub(super) keys: Vec<Keys>,
    flights: VecDeque<Flight>,
    /// Every message that was sent, polls apart.
    pub(super) sent: Vec<(usize, PeerRequest)>,
    /// What becomes of the message with this number; delivered if nothing is said.
    pub(super) fates: BTreeMap<usize, Fate>,
    /// A node that does not answer.
    pub(super) down: Option<usize>,
    local: Vec<LocalAnswer>,
    /// Pages on their way to connectors.
    pushes: Vec<crate::node::io::Push>,
    /// Answers to connectors.
    connector: Vec<ConnectorAnswer>,
    rng: TestRng,
    replies: u64,
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self {
            now: MAY,
            clock_width_ms: 0,
            nodes: vec![node(P), node(C)],
            journals: vec![Vec::new(), Vec::new()],
            keys: vec![Keys::new(), Keys::new()],
            flights: VecDeque::new(),
            sent: Vec::new(),
            fates: BTreeMap::new(),
            down: None,
            local: Vec::new(),
            connector: Vec::new(),
            pushes: Vec::new(),
            rng: TestRng(7),
            replies: 0,
        };
        for at in [P, C] {
            world.introduce(at, &[1 - at, JD]);
        }
        world
    }

    /// Four nodes: the two, a rival of the consumer, and a regulator whom all list as one.
    pub(super) fn mediated() -> Self {
        let mut world = Self::new();
        for at in [JD, M] {
            world.nodes.push(node(at));
            world.journals.push(Vec::new());
            world.keys.push(Keys::new());
        }
        for at in [P, C, JD] {
            world.introduce(at, &[M]);
        }
        world.introduce(JD, &[P, C]);
        world.introduce(M, &[P, C, JD]);
        world
    }

    /// Gives a node an administrator, and partners.
    fn introduce(&mut self, at: usize, partners: &[usize]) {
        let admin = Record::ApiKey {
            name: "li".into(),
            role: Role::Admin,
            digest: [9; 32],
        };
        self.put(at, admin);
        for other in partners {
            self.put(at, Record::Partner(Box::new(partner(*other))));
        }
    }

    /// Puts a record on a node's journal.
    pub(super) fn put(&mut self, at: usize, record: Record) {
        self.nodes[at]
            .replay(self.now, &record, &self.keys[at])
            .unwrap();
        self.journals[at].push((self.now, record));
    }

    pub(super) fn book(&self, at: usize) -> &Book {
        &self.nodes[at].state().book
    }

    /// The one agreement of a node.
    pub(super) fn agreement(&self, at: usize) -> &Agreement {
        let agreements = &self.book(at).agreements;
        assert_eq!(agreements.len(), 1, "{agreements:?}");
        agreements.values().next().unwrap()
    }

    /// The states of a node's agreements and negotiations.
    pub(super) fn states(&self, at: usize) -> (Vec<AgreementState>, Vec<NegotiationState>) {
        let clock = ClockInterval::exact(self.now);
        let book = self.book(at);
        let agreements = book.agreements.values().map(|a| a.state_at(&clock));
        let negotiations = book.negotiations.values().map(|n| n.state);
        (agreements.collect(), negotiations.collect())
    }

    fn carry_out(&mut self, at: usize, effects: Vec<Effect>) -> Vec<(ReplyId, PeerAnswer)> {
        let mut answers = Vec::new();
        for effect in effects {
            match effect {
                Effect::Append(record) => self.journals[at].push((self.now, *record)),
                Effect::Call {
                    call, to, request, ..
                } => {
                    // Polls are another module's; they wait for ever here.
                    let to = (0..self.nodes.len()).find(|node| name(*node) == to);
                    if !matches!(request, PeerRequest::Feed { .. }) {
                        self.flights.push_back(Flight {
                            from: at,
                            to,
                            call,
                            request,
                        });
                    }
                }
                Effect::ReplyPeer { to, answer, .. } => answers.push((to, answer)),
                Effect::ReplyLocal { answer, .. } => self.local.push(answer),
                Effect::ReplyConnector { answer, .. } => self.connector.push(answer),
                Effect::Push(push) => self.pushes.push(*push),
                Effect::PutKey { hour, slot, key } => {
                    self.keys[at].insert((hour, slot), key);
                }
                Effect::DestroyKey { hour, slot } => {
                    self.keys[at].remove(&(hour, slot));
                }
                Effect::DestroyHour { hour } => self.keys[at].retain(|key, _| key.0 != hour),
                Effect::ReadLeaves(_)
                | Effect::RotateSigningKey(_)
                | Effect::Deliver(_)
                | Effect::Notify(_) => {}
            }
        }
        answers
    }

    fn step(&mut self, at: usize, input: Input) -> Vec<(ReplyId, PeerAnswer)> {
        let clock = ClockInterval {
            earliest: self.now.plus_ms(-self.clock_width_ms),
            latest: self.now,
        };
        let effects = self.nodes[at].step(input, clock, &mut self.rng);
        self.carry_out(at, effects)
    }

    /// A request of `from` at the door of `at`, as HTTP carries it.
    pub(super) fn ask(
        &mut self,
        from: &ParticipantId,
        at: usize,
        request: &PeerRequest,
    ) -> PeerAnswer {
        self.replies += 1;
        let reply = ReplyId(self.replies);
        let http = encode_request(request);
        let request = parse_request(http.post, &http.target, &http.body).unwrap();
        let from = from.clone();
        let answers = self.step(
            at,
            Input::Peer {
                reply,
                from,
                request,
            },
        );
        let (to, answer) = answers.into_iter().next().expect("an answer");
        assert_eq!(to, reply);
        answer
    }

    pub(super) fn post(
        &mut self,
        from: &ParticipantId,
        at: usize,
        path: &str,
        body: &Value,
    ) -> (u16, Value) {
        self.dsp(from, at, true, path, body)
    }

    pub(super) fn get(&mut self, from: &ParticipantId, at: usize, path: &str) -> (u16, Value) {
        self.dsp(from, at, false, path, &Value::Null)
    }

    fn dsp(
        &mut self,
        from: &ParticipantId,
        at: usize,
        post: bool,
        path: &str,
        body: &Value,
    ) -> (u16, Value) {
        let request = PeerRequest::Dsp {
            post,
            path: path.into(),
            body: body.clone(),
        };
        let answer = self.ask(from, at, &request);
        let PeerAnswer::Dsp { status, body, .. } = answer else {
            panic!("{answer:?}");
        };
        (status, body)
    }

    /// Delivers what is under way until nothing is.
    pub(super) fn run(&mut self) {
        while let Some(Flight {
            from,
            to,
            call,
            request,
        }) = self.flights.pop_front()
        {
            let Some(to) = to else {
                let outcome = Err(CallFailure::TimedOut);
                self.step(from, Input::Answered { call, outcome });
                continue;
            };
            assert!(self.sent.len() < MESSAGES_MAX, "nodes talk without end");
            let fate = self
                .fates
                .get(&self.sent.len())
                .copied()
                .unwrap_or(Fate::Delivered);
            self.sent.push((from, request.clone()));
            let gone = fate == Fate::RequestLost || self.down == Some(to);
            let mut answer = (!gone).then(|| self.ask(&name(from), to, &request));
            if fate == Fate::Repeated {
                answer = Some(self.ask(&name(from), to, &request));
            }
            let outcome = answer
                .filter(|_| fate != Fate::AnswerLost)
                .ok_or(CallFailure::TimedOut);
            self.step(from, Input::Answered { call, outcome });
        }
    }

    /// Lets time pass, with every timer of both nodes on the way.
    pub(super) fn run_until(&mut self, until: Timestamp) {
        self.run();
        loop {
            let next = self.nodes.iter().filter_map(Node::next_wake).min();
            let Some(next) = next.filter(|at| *at <= until) else {
                break;
            };
            self.now = self.now.max(next);
            self.tick();
        }
        self.now = self.now.max(until);
        self.tick();
    }

    fn tick(&mut self) {
        for at in 0..self.nodes.len() {
            self.step(at, Input::Tick);
        }
        self.run();
    }

    /// A request of our own people, with the messages that it leads to.
    pub(super) fn local(&mut self, at: usize, request: LocalRequest) -> (u16, Value) {
        self.local_by(at, [9; 32], request)
    }

    /// The same with another key.
    pub(super) fn local_by(
        &mut self,
        at: usize,
        key: [u8; 32],
        request: LocalRequest,
    ) -> (u16, Value) {
        self.replies += 1;
        let input = Input::Local {
            reply: ReplyId(self.replies),
            credential: Some(key),
            idempotency: None,
            request,
        };
        self.local.clear();
        self.step(at, input);
        self.run();
        match self.local.pop().expect("an answer") {
            LocalAnswer::Json { status, body } => (status, body),
            LocalAnswer::Problem(problem) => {
                (problem.status, serde_json::to_value(&problem).unwrap())
            }
            LocalAnswer::Events(_)
            | LocalAnswer::Tracking(_)
            | LocalAnswer::Pickup(_)
            | LocalAnswer::Person(_) => {
                panic!("a page, or events")
            }
        }
    }

    pub(super) fn publish(&mut self, id: &str, terms: &Terms, auto_accept: bool) {
        let offer = OfferPut {
            id: wire(id),
            dataset: terms.dataset.into(),
            policy: terms.to_policy(),
            audience: Vec::new(),
            auto_accept,
        };
        let (status, body) = self.local(P, LocalRequest::PublishOffer(offer));
        assert_eq!(status, 201, "{body}");
    }

    /// The consumer proposes, asking for other terms where given.
    pub(super) fn propose(&mut self, offers: &[&str], asked: &[(&str, &Terms)]) -> (u16, Value) {
        let request = LocalRequest::Propose {
            partner: name(P),
            offers: offers.iter().map(|id| wire(id)).collect(),
            policies: asked
                .iter()
                .map(|(id, terms)| (wire(id), terms.to_policy()))
                .collect(),
        };
        self.local(C, request)
    }

    /// The one proposal that waits at a node.
    pub(super) fn proposal(&mut self, at: usize) -> Value {
        let (_, mut body) = self.local(at, LocalRequest::GetProposals);
        let proposals = body["proposals"].as_array_mut().unwrap();
        assert_eq!(proposals.len(), 1, "{proposals:?}");
        proposals.remove(0)
    }

    pub(super) fn decide(&mut self, at: usize, decision: Decision) -> (u16, Value) {
        let id = wire(self.proposal(at)["id"].as_str().unwrap());
        self.local(
            at,
            LocalRequest::Decide {
                negotiation: id,
                decision,
            },
        )
    }

    /// Gives a node another person who approves; the key's digest.
    pub(super) fn hire(&mut self, at: usize, name: &str) -> [u8; 32] {
        let digest = [name.as_bytes()[0]; 32];
        let record = Record::ApiKey {
            name: name.into(),
            role: Role::Approver,
            digest,
        };
        self.put(at, record);
        digest
    }

    /// Two people must approve at a node from here on.
    pub(super) fn four_eyes(&mut self, at: usize) {
        self.nodes[at].config.approvals_min = 2;
    }

    /// What is shown of a negotiation.
    pub(super) fn negotiation(&mut self, at: usize, id: &str) -> Value {
        let request = LocalRequest::GetNegotiation {
            negotiation: wire(id),
            wait_ms: 0,
        };
        self.local(at, request).1
    }

    /// A node made from its journal, with a snapshot taken halfway and one at the end.
    pub(super) fn replayed(&self, at: usize) -> Node {
        let config = self.nodes[at].config.clone();
        let mut fresh = node(at);
        fresh.config = config.clone();
        let mut again = Again::new(&fresh, self.keys[at].clone());
        let journal = &self.journals[at];
        for (n, (time, record)) in journal.iter().enumerate() {
            if n == journal.len() / 2 {
                fresh = again.take(fresh, &config, &key(at));
            }
            let bytes = postcard::to_allocvec(record).unwrap();
            let record: Record = postcard::from_bytes(&bytes).unwrap();
            fresh.replay(*time, &record, &self.keys[at]).unwrap();
        }
        again.take(fresh, &config, &key(at))
    }

    /// Kills a node and starts it again from its journal; calls under way are forgotten.
    pub(super) fn restart(&mut self, at: usize) {
        self.nodes[at] = self.replayed(at);
        self.flights.retain(|flight| flight.from != at);
        let clock = ClockInterval::exact(self.now);
        let effects = self.nodes[at].start(clock, &mut self.rng);
        self.carry_out(at, effects);
    }

    /// Both nodes hold the same agreement in force, and a started transfer of it.
    #[track_caller]
    pub(super) fn assert_in_force(&self) {
        for at in [P, C] {
            let clock = ClockInterval::exact(self.now);
            let agreement = self.agreement(at);
            assert_eq!(agreement.state_at(&clock), AgreementState::InForce);
            assert_eq!(agreement.state, AgreementState::InForce, "not on record");
            let transfers: Vec<_> = self.book(at).transfers.values().collect();
            assert_eq!(transfers.len(), 1, "{transfers:?}");
            assert_eq!(transfers[0].state.as_str(), "STARTED");
            assert_eq!(transfers[0].unsent, None);
            assert!(
                self.book(at)
                    .negotiations
                    .values()
                    .all(|n| n.unsent.is_none())
            );
            assert_eq!(self.replayed(at).state().book, *self.book(at));
        }
        let (ours, theirs) = (self.agreement(P), self.agreement(C));
        assert_eq!(
            (&ours.id, ours.policy_hash),
            (&theirs.id, theirs.policy_hash)
        );
        assert_eq!(ours.terms, theirs.terms);
    }
}

fn node(at: usize) -> Node {
    let mut config = NodeConfig::new(name(at), "test", vec![role(at)]);
    let name = ["fengchao", "cainiao", "jd", "postbureau"][at];
    config.exchange_url = format!("https://{name}.example");
    Node::new(config, key(at))
}

const fn role(at: usize) -> ParticipantRole {
    match at {
        M => ParticipantRole::Regulator,
        _ => ParticipantRole::Platform,
    }
}

fn partner(at: usize) -> Partner {
    let public = key(at).verifying_key();
    Partner {
        id: name(at),
        name: ["Fengchao", "Cainiao", "JD", "Post Bureau"][at].into(),
        roles: vec![role(at)],
        exchange_url: BaseUrl::parse("https://partner.example").unwrap(),
        key: PublicKey::from_bytes(public.as_bytes()).unwrap(),
        marketplaces: Vec::new(),
        carriers: Vec::new(),
        certificate_pin: None,
        connector: false,
        connector_id: None,
        parcel_data_without_manifest: false,
    }
}
