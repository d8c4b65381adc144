//! The world: nodes, what is under way between them, and the clock.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;
use interlock::exchange::http::{encode_answer, encode_request, parse_answer, parse_request};
use interlock::exchange::wire::Contact;
use interlock::identity::keys::PublicKey;
use interlock::identity::partner::{Partner, Role as ParticipantRole};
use interlock::identity::sealing::Messenger;
use interlock::identity::url::BaseUrl;
use interlock::node::io::{
    CallFailure, CallId, Digest, Effect, Input, LeavesWanted, LocalAnswer, LocalRequest, Message,
    PageRequest, PeerAnswer, PeerRequest, ReplyId, Role, SystemNotice,
};
use interlock::node::record::Record;
use interlock::node::{Node, NodeConfig};
use interlock_core::contact::{NumberRange, Phone};
use interlock_core::ids::{IdempotencyKey, Marketplace, MessageId, ParticipantId};
use interlock_core::time::Timestamp;
use interlock_core::waybill::CarrierCode;
use sha2::{Digest as _, Sha256};

use crate::SeededRng;
use crate::node::{SimNode, Snapshots};
use crate::weather::Weather;

/// How long nodes poll, in milliseconds: long, so that idle weeks are cheap.
const POLL_WAIT_MS: u32 = 6 * 3_600_000;
/// Longest time in which a local request is answered, in milliseconds.
const ANSWER_MS_MAX: i64 = 24 * 3_600_000;
/// Most steps of one run, so that a loop between nodes ends a test.
const STEPS_MAX: usize = 5_000_000;

/// Index of a node in its world.
pub type NodeIx = usize;

/// What a node is made from.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// The last part of its DID: `did:web:NAME.example`.
    pub name: &'static str,
    /// Its role.
    pub role: ParticipantRole,
    /// Marketplaces whose parcels it owns.
    pub marketplaces: &'static [&'static str],
    /// Carriers for which it speaks.
    pub carriers: &'static [&'static str],
}

/// A call that passed between two nodes, in encoded bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// When it was asked.
    pub at: Timestamp,
    /// When the answer left.
    pub answered_at: Timestamp,
    /// Who asked.
    pub from: NodeIx,
    /// Who answered.
    pub to: NodeIx,
    /// Method, target and body of the request.
    pub request: (bool, String, Vec<u8>),
    /// Status and body of the answer.
    pub answer: (u16, Vec<u8>),
}

/// A message that a gateway took.
#[derive(Clone, PartialEq, Eq)]
pub struct Sent {
    /// Whose gateway.
    pub by: NodeIx,
    /// Its id.
    pub id: MessageId,
    /// To whom.
    pub to: Contact,
    /// Text in Chinese.
    pub text_zh: String,
    /// Text in English.
    pub text_en: String,
}

pub(crate) enum Due {
    Request {
        to: NodeIx,
        waiting: Box<Waiting>,
    },
    Answer {
        to: NodeIx,
        epoch: u32,
        call: CallId,
        outcome: Result<PeerAnswer, CallFailure>,
    },
    Gateway {
        node: NodeIx,
        epoch: u32,
        message: Box<Message>,
    },
    Read {
        node: NodeIx,
        epoch: u32,
        wanted: Box<LeavesWanted>,
    },
    Noticed {
        node: NodeIx,
        epoch: u32,
        id: MessageId,
    },
    Shown {
        node: NodeIx,
        epoch: u32,
        effect: Box<Effect>,
    },
    Wake {
        node: NodeIx,
    },
}

/// A call that came to a node whose place a test has taken.
pub struct AskedOf {
    /// Who asks.
    pub from: NodeIx,
    /// What.
    pub request: PeerRequest,
    pub(crate) waiting: Waiting,
}

/// A call: under way, or waiting for its answer at the asked node.
#[derive(Clone)]
pub(crate) struct Waiting {
    pub(crate) from: NodeIx,
    pub(crate) epoch: u32,
    pub(crate) call: CallId,
    pub(crate) request: PeerRequest,
    pub(crate) asked_at: Timestamp,
    /// The network's own repetition of another, whose answer nobody waits for.
    pub(crate) copy: bool,
}

/// Nodes over a simulated network.
pub struct World {
    pub(crate) now: Timestamp,
    pub(crate) nodes: Vec<SimNode>,
    pub(crate) due: BTreeMap<(Timestamp, u64), Due>,
    pub(crate) sequence: u64,
    pub(crate) next_reply: u64,
    pub(crate) waiting: BTreeMap<(NodeIx, ReplyId), Waiting>,
    pub(crate) answers: BTreeMap<ReplyId, LocalAnswer>,
    pub(crate) cut: BTreeSet<(NodeIx, NodeIx)>,
    pub(crate) replaced: BTreeMap<NodeIx, Vec<AskedOf>>,
    pub(crate) seen_messages: BTreeSet<(NodeIx, MessageId)>,
    pub(crate) chance: SeededRng,
    pub(crate) snapshot_chance: SeededRng,
    /// When nodes write snapshots: often, and slowly, unless it is set otherwise.
    pub snapshots: Snapshots,
    /// What the network does.
    pub weather: Weather,
    /// Everything that passed between nodes.
    pub exchanged: Vec<Exchanged>,
    /// Everything that gateways took, once each.
    pub sent: Vec<Sent>,
    /// Deliveries that gateways had taken before.
    pub repeated_messages: u64,
    /// Whether gateways take nothing.
    pub gateways_down: bool,
    /// Up to so long after it was decided an answer to a partner leaves, in milliseconds: disks sync and
    /// sockets wait.
    pub answer_ms_max: u32,
    /// What misfortune there was so far.
    pub struck: Struck,
    /// What nodes told their own systems.
    pub notices: Vec<(NodeIx, SystemNotice)>,
}

/// How often misfortune struck, so that a run can say that its faults were not in vain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Struck {
    /// Nodes that ended because a disk failed.
    pub disks: u64,
    /// Requests and answers that were lost.
    pub lost: u64,
    /// Requests that arrived twice.
    pub repeated: u64,
}

impl World {
    /// From its next start on, a node has no gateway by which it could tell recipients.
    pub fn without_gateway(&mut self, ix: NodeIx) {
        if let Some(node) = self.nodes.get_mut(ix) {
            node.config.has_gateway = false;
        }
    }

    /// From its next start on, a node seals contacts to this messenger.
    pub fn seals_to(&mut self, ix: NodeIx, messenger: Messenger) {
        if let Some(node) = self.nodes.get_mut(ix) {
            node.config.messenger = Some(messenger);
        }
    }

    /// From its next start on, a node binds the numbers of a pool to partners that call from these numbers.
    pub fn binds_numbers(
        &mut self,
        ix: NodeIx,
        pool: Option<NumberRange>,
        callers: impl IntoIterator<Item = (Phone, ParticipantId)>,
    ) {
        if let Some(node) = self.nodes.get_mut(ix) {
            node.config.virtual_pool = pool;
            node.config.virtual_callers = callers.into_iter().collect();
        }
    }

    /// From its next start on, two people must approve at a node.
    pub fn four_eyes(&mut self, ix: NodeIx) {
        if let Some(node) = self.nodes.get_mut(ix) {
            node.config.approvals_min = 2;
        }
    }

    /// From their next start on, nodes poll for so long.
    pub fn poll_for(&mut self, wait_ms: u32) {
        for node in &mut self.nodes {
            node.config.poll_wait_ms = wait_ms;
        }
    }

    /// A world at `now`, all of whose nodes know each other.
    pub fn new(seed: u64, now: Timestamp, specs: &[NodeSpec]) -> Self {
        let mut world = Self {
            now,
            nodes: Vec::new(),
            due: BTreeMap::new(),
            sequence: 0,
            next_reply: 0,
            waiting: BTreeMap::new(),
            answers: BTreeMap::new(),
            cut: BTreeSet::new(),
            replaced: BTreeMap::new(),
            seen_messages: BTreeSet::new(),
            chance: SeededRng::new(seed, "weather"),
            snapshot_chance: SeededRng::new(seed, "snapshots"),
            snapshots: Snapshots {
                begun: 60,
                steps_max: 4,
            },
            weather: Weather::default(),
            exchanged: Vec::new(),
            sent: Vec::new(),
            repeated_messages: 0,
            gateways_down: false,
            answer_ms_max: 0,
            struck: Struck::default(),
            notices: Vec::new(),
        };
        for spec in specs {
            let mut rng = SeededRng::new(seed, spec.name);
            let mut secret = [0; 32];
            interlock::node::Rng::fill(&mut rng, &mut secret);
            let key = SigningKey::from_bytes(&secret);
            let Ok(id) = ParticipantId::parse(&format!("did:web:{}.example", spec.name)) else {
                continue;
            };
            let mut config = NodeConfig::new(id, spec.name, vec![spec.role]);
            config.marketplaces = spec
                .marketplaces
                .iter()
                .filter_map(|m| Marketplace::parse(m).ok())
                .collect();
            config.public_url = format!("https://{}.example", spec.name);
            config.exchange_url = format!("https://node.{}.example", spec.name);
            config.poll_wait_ms = POLL_WAIT_MS;
            config.virtual_number = Some("+8618877771111".into());
            config.courier_number = Some("+8618877772222".into());
            world.nodes.push(SimNode::new(config, key, rng, now));
        }
        world.introduce(specs);
        world
    }

    fn introduce(&mut self, specs: &[NodeSpec]) {
        for ix in 0..self.nodes.len() {
            let admin = Record::ApiKey {
                name: "admin".into(),
                role: Role::Admin,
                digest: admin(),
            };
            let mut records = vec![admin];
            for (other, spec) in specs.iter().enumerate().filter(|(other, _)| *other != ix) {
                records.extend(
                    self.partner(other, spec)
                        .map(|p| Record::Partner(Box::new(p))),
                );
            }
            for record in records {
                self.preset(ix, record);
            }
        }
    }

    fn partner(&self, ix: NodeIx, spec: &NodeSpec) -> Option<Partner> {
        let node = self.nodes.get(ix)?;
        Some(Partner {
            id: node.config.id.clone(),
            name: spec.name.into(),
            roles: vec![spec.role],
            exchange_url: BaseUrl::parse(&node.config.exchange_url).ok()?,
            key: PublicKey::from_bytes(node.key.verifying_key().as_bytes()).ok()?,
            marketplaces: node.config.marketplaces.clone(),
            carriers: spec
                .carriers
                .iter()
                .filter_map(|c| CarrierCode::parse(c).ok())
                .collect(),
            certificate_pin: None,
            connector: false,
            connector_id: None,
            parcel_data_without_manifest: false,
        })
    }

    /// Starts what was preset: transfers, timers.
    pub fn start(&mut self) {
        for ix in 0..self.nodes.len() {
            self.start_node(ix);
        }
        self.settle();
    }

    /// The time.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// A node's DID.
    pub fn id(&self, ix: NodeIx) -> Option<&ParticipantId> {
        self.nodes.get(ix).map(|n| &n.config.id)
    }

    /// A node.
    pub fn node(&self, ix: NodeIx) -> Option<&Node> {
        self.nodes.get(ix).map(|n| &n.node)
    }

    /// Bytes of a node's journal, one entry a record.
    pub fn journal(&self, ix: NodeIx) -> &[(Timestamp, Vec<u8>)] {
        self.nodes.get(ix).map_or(&[], |n| n.journal.as_slice())
    }

    /// Cuts or restores the network between two nodes.
    pub fn cut(&mut self, a: NodeIx, b: NodeIx, cut: bool) {
        for pair in [(a, b), (b, a)] {
            if cut {
                self.cut.insert(pair);
            } else {
                self.cut.remove(&pair);
            }
        }
    }

    /// Makes a request of a node's local API and runs until it is answered.
    pub fn local(&mut self, ix: NodeIx, request: LocalRequest) -> Option<LocalAnswer> {
        self.local_keyed(ix, request, None)
    }

    /// The same with an idempotency key; the digest of the body is that of `body`.
    pub fn local_keyed(
        &mut self,
        ix: NodeIx,
        request: LocalRequest,
        key: Option<(&str, &str)>,
    ) -> Option<LocalAnswer> {
        let reply = self.reply();
        let idempotency = key.and_then(|(key, body)| {
            Some((
                IdempotencyKey::parse(key).ok()?,
                Sha256::digest(body.as_bytes()).into(),
            ))
        });
        self.step(
            ix,
            Input::Local {
                reply,
                credential: Some(admin()),
                idempotency,
                request,
            },
        );
        self.until_answered(ix, reply)
    }

    /// A request with a credential of the caller's choice.
    pub fn local_as(
        &mut self,
        ix: NodeIx,
        credential: Option<Digest>,
        request: LocalRequest,
    ) -> Option<LocalAnswer> {
        let reply = self.reply();
        self.step(
            ix,
            Input::Local {
                reply,
                credential,
                idempotency: None,
                request,
            },
        );
        self.until_answered(ix, reply)
    }

    /// Opens a page.
    pub fn page(&mut self, ix: NodeIx, request: PageRequest) -> Option<LocalAnswer> {
        let reply = self.reply();
        self.step(ix, Input::Page { reply, request });
        self.until_answered(ix, reply)
    }

    /// The key with which a node signs.
    pub fn key(&self, ix: NodeIx) -> Option<&SigningKey> {
        self.nodes.get(ix).map(|n| &n.key)
    }

    /// Kills a node and takes its place: what others ask of it is kept for [`Self::asked_of`].
    pub fn replace(&mut self, ix: NodeIx) {
        self.kill(ix);
        self.replaced.insert(ix, Vec::new());
    }

    /// Whether a test has taken a node's place.
    pub fn is_replaced(&self, ix: NodeIx) -> bool {
        self.replaced.contains_key(&ix)
    }

    /// What was asked of a replaced node since the last call.
    pub fn asked_of(&mut self, ix: NodeIx) -> Vec<AskedOf> {
        self.replaced
            .get_mut(&ix)
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Answers in the place of a replaced node.
    pub fn answer_for(&mut self, ix: NodeIx, asked: &AskedOf, answer: &PeerAnswer) {
        self.answered(ix, &asked.waiting, answer);
    }

    /// A partner's request that did not come from its node; the answer is what it would see. `None` if
    /// it waits.
    pub fn peer(
        &mut self,
        ix: NodeIx,
        from: &ParticipantId,
        request: &PeerRequest,
    ) -> Option<PeerAnswer> {
        let wire = encode_request(request);
        let input = match parse_request(wire.post, &wire.target, &wire.body) {
            Ok(parsed) => Input::Peer {
                reply: self.reply(),
                from: from.clone(),
                request: parsed,
            },
            Err(problem) => return Some(PeerAnswer::Problem(problem)),
        };
        let reply = ReplyId(self.next_reply);
        let now = self.now;
        let node = self.nodes.get_mut(ix)?;
        let clock = node.clock_at(now);
        let mut rng = node.rng_at(now);
        let effects = node.node.step(input, clock, &mut rng);
        node.stepped();
        let mut found = None;
        let (ours, rest): (Vec<_>, Vec<_>) = effects
            .into_iter()
            .partition(|effect| matches!(effect, Effect::ReplyPeer { to, .. } if *to == reply));
        for effect in ours {
            if let Effect::ReplyPeer { answer, .. } = effect {
                let (status, body) = encode_answer(&answer);
                found = parse_answer(request, status, &body).ok();
            }
        }
        self.carry_out(ix, rest, clock.latest);
        found
    }

    /// The same where the answer may take a while: it reads from disk.
    pub fn peer_later(
        &mut self,
        ix: NodeIx,
        from: &ParticipantId,
        request: &PeerRequest,
    ) -> Option<PeerAnswer> {
        let asks = self.nodes.iter().position(|node| node.config.id == *from)?;
        let epoch = self.nodes.get(asks)?.epoch;
        let before = self.exchanged.len();
        let waiting = Waiting {
            from: asks,
            epoch,
            call: CallId(0),
            request: request.clone(),
            asked_at: self.now,
            // The node in whose name this is asked waits for no answer.
            copy: true,
        };
        self.send(ix, waiting);
        self.settle();
        let wire = encode_request(request);
        let answered = self
            .exchanged
            .get(before..)?
            .iter()
            .find(|it| (it.from, it.to, &it.request.1) == (asks, ix, &wire.target))?;
        parse_answer(request, answered.answer.0, &answered.answer.1).ok()
    }

    /// Sends a partner's request that did not come from its node over the network; the answer is kept
    /// with everything else that passed ([`Self::exchanged`]).
    pub fn call(&mut self, from: NodeIx, to: NodeIx, request: PeerRequest) {
        let epoch = self.nodes.get(from).map_or(0, |n| n.epoch);
        let waiting = Waiting {
            from,
            epoch,
            call: CallId(0),
            request,
            asked_at: self.now,
            copy: true,
        };
        let way_ms = self.weather.request(&mut self.chance).way_ms;
        let waiting = Box::new(waiting);
        self.at(self.now.plus_ms(way_ms), Due::Request { to, waiting });
    }

    pub(crate) const fn reply(&mut self) -> ReplyId {
        self.next_reply += 1;
        ReplyId(self.next_reply)
    }

    /// `None` if the node dies before, or never answers.
    fn until_answered(&mut self, ix: NodeIx, reply: ReplyId) -> Option<LocalAnswer> {
        let life = |world: &Self| world.nodes.get(ix).filter(|n| n.up).map(|n| n.epoch);
        let (born, until) = (life(self), self.now.plus_ms(ANSWER_MS_MAX));
        for _ in 0..STEPS_MAX {
            if let Some(answer) = self.answers.remove(&reply) {
                return Some(answer);
            }
            if born.is_none() || life(self) != born || !self.next(Some(until)) {
                return None;
            }
        }
        None
    }

    /// Runs until `until`; the clock stands there then.
    pub fn run_until(&mut self, until: Timestamp) {
        for _ in 0..STEPS_MAX {
            if !self.next(Some(until)) {
                break;
            }
        }
        self.now = self.now.max(until);
    }

    /// Runs until nothing is under way but polls that wait.
    pub fn settle(&mut self) {
        self.run_until(self.now.plus_ms(500));
    }
}

fn admin() -> Digest {
    Sha256::digest(b"il_admin").into()
}
