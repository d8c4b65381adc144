//! The node: one participant's state and every rule that changes it, deterministic.
//!
//! Purpose: turn an [`io::Input`] into [`io::Effect`]s. Invariants: state changes only by applying a
//! [`record::Record`], so that replaying the journal gives the same state; what others can see leaves
//! only after the records of its step are durable; any error while deciding denies. It knows no
//! files, sockets, clocks or randomness: time and random bytes are parameters.

pub mod access;
pub mod agreements;
mod anchor;
mod api_keys;
pub mod cipher;
mod clocks;
mod code_keys;
mod collection;
mod compare;
mod consume;
pub mod content;
mod cooperations;
mod delegates;
mod deposits;
mod erase;
pub(crate) mod evidence;
mod feed_items;
mod four_eyes;
pub mod io;
pub mod keys;
mod labels;
mod ladder;
mod ledger;
mod live;
mod looks;
mod lookups;
mod messages;
mod outlook;
mod pages;
mod parcels;
mod people;
pub mod problem;
mod provide;
pub mod record;
mod rehearse;
mod rounds;
mod run_off;
mod scramble;
mod settle;
pub mod state;
mod stations;
mod telephone;
mod turn;
mod views;
mod warnings;
mod wishes;

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use interlock_core::contact::{NumberRange, Phone};
use interlock_core::ids::{Marketplace, ParticipantId};
use interlock_core::time::{ClockInterval, DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp, Zone};

pub(crate) use self::consume::parse_hex32;
pub use self::state::ReplayError;
pub use self::warnings::LEADS_MS;

use self::agreements::approver::{Approver, WithinOffers};
use self::cipher::{Aes, Cipher};
use self::content::Links;
use self::io::{Effect, Input, LocalAnswer, ReplyId};
use self::live::Live;
use self::record::Record;
use self::state::table::SharedKeys;
use self::state::{FreezeError, Frozen, State};
use self::turn::Turn;
use interlock_journal::rows::Rows;

use crate::identity::derived::Derived;
use crate::identity::one_time::OneTimeCodes;
use crate::identity::partner::Role as ParticipantRole;
use crate::identity::sealing::Messenger;
use crate::identity::transfer_token::TransferTokens;

/// Source of random bytes; the driver's is the operating system, a test's is a seed.
pub trait Rng {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// Reads content keys. `None`: destroyed, or never there.
pub trait ContentKeys {
    /// The key in `slot` of those that end in `hour`.
    fn get(&self, hour: u32, slot: u32) -> Option<[u8; 32]>;

    /// What they are keys of.
    fn cipher(&self) -> &'static dyn Cipher {
        &Aes
    }
}

/// What a node is told about itself. Times in milliseconds.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Its DID.
    pub id: ParticipantId,
    /// Its name, for people.
    pub name: String,
    /// What it does.
    pub roles: Vec<ParticipantRole>,
    /// Marketplaces whose parcels it owns.
    pub marketplaces: Vec<Marketplace>,
    /// Zone in which it shows times.
    pub zone: Zone,
    /// Base of the links in messages, without a slash at the end.
    pub public_url: String,
    /// Base of its exchange door, without a slash at the end.
    pub exchange_url: String,
    /// Number from which virtual numbers are leased, E.164.
    pub virtual_number: Option<String>,
    /// Numbers of which each is bound to a consumer that calls and a recipient.
    pub virtual_pool: Option<NumberRange>,
    /// From which numbers consumers call the numbers of the pool.
    pub virtual_callers: BTreeMap<Phone, ParticipantId>,
    /// Number behind which recipients reach couriers, E.164.
    pub courier_number: Option<String>,
    /// To whom contacts are sealed.
    pub messenger: Option<Messenger>,
    /// How long a parcel may lie in a compartment.
    pub pickup_period_ms: i64,
    /// How much longer a recipient may have it lie there; 0 for not at all.
    pub extension_ms: i64,
    /// How long a compartment is kept for a door to be closed.
    pub reservation_ms: i64,
    /// How long a deposit waits for the owner before the notice is queued.
    pub slow_partner_ms: i64,
    /// How long before the end of a term requests are denied as `closing`; 0 for not at all.
    pub closing_guard_ms: i64,
    /// How far the clock may jump, or differ from what partners sign, before nothing is released.
    pub clock_limit_ms: i64,
    /// How long a poll waits for an event.
    pub poll_wait_ms: u32,
    /// How long a connector's token for a transfer counts.
    pub transfer_token_ms: i64,
    /// Most items of a dataset that leave for one connector on a day, because it gives no receipts.
    pub unreceipted_per_day: u32,
    /// Whether an address that a connector names may be on this machine.
    pub allow_loopback_callbacks: bool,
    /// Whether partners beyond this machine may be called without TLS.
    pub plain_http_anywhere: bool,
    /// Whether there is a gateway by which we tell recipients.
    pub has_gateway: bool,
    /// Whether its signing key is kept where a new one can be put beside it.
    pub keeps_key: bool,
    /// How often an entry goes to the anchor log, in milliseconds; never if there is no number.
    pub anchor_every_ms: Option<i64>,
    /// How many of our people must approve the same terms: 1, or 2 for four eyes.
    pub approvals_min: usize,
    /// How long a negotiation waits for somebody's answer.
    pub proposal_life_ms: i64,
    /// How long a recipient's data is kept, from when it was taken in.
    pub recipient_kept_ms: i64,
    /// How long a contact that we were given is kept; a term may say less.
    pub contact_kept_ms: i64,
    /// How long it is kept which courier deposited a parcel.
    pub courier_kept_ms: i64,
    /// How personal data is encrypted at rest.
    pub cipher: &'static dyn Cipher,
}

impl NodeConfig {
    /// A configuration with the defaults of `interlock.toml`.
    pub fn new(id: ParticipantId, name: &str, roles: Vec<ParticipantRole>) -> Self {
        Self {
            id,
            name: name.into(),
            roles,
            marketplaces: Vec::new(),
            zone: Zone::CHINA,
            public_url: String::new(),
            exchange_url: String::new(),
            virtual_number: None,
            virtual_pool: None,
            virtual_callers: BTreeMap::new(),
            courier_number: None,
            messenger: None,
            pickup_period_ms: 24 * HOUR_MS,
            extension_ms: 24 * HOUR_MS,
            reservation_ms: 5 * MINUTE_MS,
            slow_partner_ms: 2 * SECOND_MS,
            closing_guard_ms: SECOND_MS,
            clock_limit_ms: 5 * SECOND_MS,
            poll_wait_ms: 30_000,
            transfer_token_ms: 15 * MINUTE_MS,
            unreceipted_per_day: 1_000_000,
            allow_loopback_callbacks: false,
            plain_http_anywhere: false,
            has_gateway: true,
            keeps_key: true,
            anchor_every_ms: None,
            approvals_min: 1,
            proposal_life_ms: 14 * DAY_MS,
            recipient_kept_ms: 60 * DAY_MS,
            contact_kept_ms: 30 * DAY_MS,
            courier_kept_ms: 30 * DAY_MS,
            cipher: &Aes,
        }
    }
}

/// One participant's node.
pub struct Node {
    config: NodeConfig,
    key: SigningKey,
    approver: Box<dyn Approver>,
    tokens: TransferTokens,
    codes: OneTimeCodes,
    state: State,
    live: Live,
}

impl Node {
    /// An empty node whose key was never rotated; records are replayed into it, then it is started.
    pub fn new(config: NodeConfig, key: SigningKey) -> Self {
        let derived = Derived::from_seed(&key.to_bytes());
        Self::with_derived(config, key, &derived)
    }

    /// The same, where the secrets of links and transfers were derived from an earlier key.
    pub fn with_derived(config: NodeConfig, key: SigningKey, derived: &Derived) -> Self {
        let links = Links::from_derived(derived, config.courier_number.is_some());
        let state = State::new(config.id.clone(), links);
        Self {
            tokens: TransferTokens::from_derived(derived),
            codes: OneTimeCodes::from_derived(derived),
            config,
            key,
            approver: Box::new(WithinOffers),
            state,
            live: Live::default(),
        }
    }

    /// A node as a snapshot kept it, over its rows; later records are replayed into it. `None` if the
    /// snapshot is of another node, or of another form than this program's.
    pub fn restore(
        config: NodeConfig,
        key: SigningKey,
        derived: &Derived,
        kept: &[u8],
        rows: Rows,
        keys: SharedKeys,
    ) -> Option<Self> {
        let links = Links::from_derived(derived, config.courier_number.is_some());
        let state = State::restore(kept, links, rows, keys)?;
        let ours = state.me == config.id;
        ours.then(|| Self {
            state,
            ..Self::with_derived(config, key, derived)
        })
    }

    /// From here on rows that a snapshot wrote lie in `rows`, sealed content under `keys`.
    pub fn begin_tables(&self, rows: Rows, keys: SharedKeys) {
        self.state.begin_tables(rows, keys);
    }

    /// What a snapshot of this moment writes.
    ///
    /// # Errors
    /// [`FreezeError`]: a defect; nothing was frozen.
    pub fn freeze(&mut self) -> Result<Frozen, FreezeError> {
        self.state.freeze_tables()
    }

    /// Rows in place of those before; `frozen`: with all that the last [`Self::freeze`] gave.
    pub fn install(&mut self, rows: Rows, frozen: bool) {
        self.state.install(rows, frozen);
    }

    /// Why a row could not be read, once one could not: nothing decided since may leave the node.
    pub fn failure(&self) -> Option<String> {
        self.state.failure()
    }

    /// The node with another approver than the one that ships.
    #[must_use]
    pub fn with_approver(mut self, approver: Box<dyn Approver>) -> Self {
        self.approver = approver;
        self
    }

    /// Applies one record of the journal, in order, before [`Node::start`].
    ///
    /// # Errors
    /// If the record does not fit the state: the journal is not this node's.
    pub fn replay(
        &mut self,
        time: Timestamp,
        record: &Record,
        keys: &dyn ContentKeys,
    ) -> Result<(), ReplayError> {
        self.state.apply(time, record, keys)
    }

    /// Takes up what was under way: calls to repeat, messages to send again.
    pub fn start(&mut self, now: ClockInterval, rng: &mut dyn Rng) -> Vec<Effect> {
        let mut turn = Turn::new(now, rng, &self.state, self.config.cipher);
        self.watch_clock(&mut turn);
        self.begin_comparing(&mut turn);
        self.resume_agreements(&mut turn);
        self.resume_mediations(&mut turn);
        self.resume_run_off(&mut turn, None);
        self.resume_deposits(&mut turn);
        self.resume_messages(&mut turn);
        self.resume_lookups(&mut turn);
        self.resume_warnings(&mut turn);
        self.resume_deletion(&mut turn);
        self.resume_anchors(&turn);
        self.resume_reciprocity(&mut turn);
        self.resume_stopped(&mut turn, None);
        self.live.started_at = Some(turn.at());
        self.look_at_cooperations(&mut turn);
        self.finish(turn)
    }

    /// Takes one input.
    pub fn step(&mut self, input: Input, now: ClockInterval, rng: &mut dyn Rng) -> Vec<Effect> {
        let mut turn = Turn::new(now, rng, &self.state, self.config.cipher);
        self.watch_clock(&mut turn);
        self.settle(&mut turn);
        self.due_timers(&mut turn);
        match input {
            Input::Local {
                reply,
                credential,
                idempotency,
                request,
            } => {
                self.local(&mut turn, reply, credential, idempotency, request);
            }
            Input::Person {
                reply,
                who,
                idempotency,
                request,
            } => {
                self.person(&mut turn, reply, &who, idempotency, request);
            }
            Input::Page { reply, request } => {
                let answer = self.page(&mut turn, &request);
                self.reply(&mut turn, reply, answer);
            }
            Input::Peer {
                reply,
                from,
                request,
            } => {
                self.live.heard.insert(from.clone(), turn.at());
                self.peer(&mut turn, reply, &from, request);
            }
            Input::Connector {
                reply,
                from,
                request,
            } => self.connector(&mut turn, reply, &from, request),
            Input::Answered { call, outcome } => self.answered(&mut turn, call, outcome),
            Input::Delivered { message, outcome } => self.delivered(&mut turn, message, outcome),
            Input::LeavesRead { wanted, outcome } => self.leaves_read(&mut turn, *wanted, outcome),
            Input::Voided {
                reply: _,
                to,
                agreement,
            } => self.voided(&mut turn, &to, &agreement),
            Input::Tick => self.walk_on(&mut turn),
        }
        self.finish(turn)
    }

    /// When the node wants an [`io::Input::Tick`] next, if at all.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let poll = self.live.parked.iter().map(|poll| poll.until).min();
        let (settle, end) = (self.next_settle(), self.next_end());
        let judged = self.next_judgement();
        let walk = self.live.walks.front().map(rehearse::Walk::begun_at);
        let all = [self.live.next_timer(), settle, end, poll, judged, walk];
        all.into_iter().flatten().min()
    }

    /// How many polls of partners and of our own systems wait here for something to happen.
    pub fn parked_polls(&self) -> usize {
        self.live.parked.len() + self.live.event_waiters.len() + self.waiting_for_negotiations()
    }

    /// Read access for tests and the demo's counting.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Applies a record and has it written.
    fn record(&mut self, turn: &mut Turn<'_>, record: Record) {
        let applied = self.state.apply(turn.at(), &record, turn.keys());
        debug_assert!(applied.is_ok(), "a fresh record must fit: {applied:?}");
        match applied {
            Ok(()) => turn.push(Effect::Append(Box::new(record))),
            // In the journal it would keep the node from ever starting again.
            Err(error) => tracing::error!(%error, "a record that does not fit was not written"),
        }
    }

    /// Has a record written that was applied when it was checked.
    fn append_applied(&mut self, turn: &mut Turn<'_>, record: Record) {
        self.state.high = self.state.high.max(turn.at());
        self.state.applied += 1;
        turn.push(Effect::Append(Box::new(record)));
    }

    fn reply(&self, turn: &mut Turn<'_>, to: ReplyId, answer: LocalAnswer) {
        let guard = None;
        turn.push(Effect::ReplyLocal { to, answer, guard });
    }

    fn finish(&mut self, mut turn: Turn<'_>) -> Vec<Effect> {
        self.serve_parked(&mut turn);
        self.serve_waiters(&mut turn);
        self.serve_negotiation_waiters(&mut turn);
        turn.finish()
    }
}
