//! What a node knows, all of it derived from its journal.
//!
//! Purpose: the state that decisions are made against. Invariants: only [`State::apply`] changes it;
//! nothing in it depends on anything but the records applied and their times; personal data is held
//! only while its content key exists. It does not know requests, answers or effects.

pub mod anchor;
mod api_keys;
mod apply;
pub mod bindings;
pub mod channel;
mod cooperations;
mod delegates;
pub mod deposits;
mod epochs;
pub mod feed;
mod keys;
mod leases;
mod ledger;
mod list;
mod lockers;
mod looks;
pub mod messages;
pub mod parcels;
mod receive;
mod rounds;
mod run_off;
mod shared;
pub mod shop;
mod spool;
mod statistics;
pub mod table;
mod timeline;
pub mod vault;
mod warnings;
mod watches;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use interlock_core::collection::Watch;
use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::ids::{
    IdempotencyKey, MessageId, ParcelId, ParticipantId, RequestId, StationId, WireId,
};
use interlock_core::station::{Compartments, Level, Station};
use interlock_core::statistics::Statistics;
use interlock_core::time::Timestamp;
use interlock_journal::bilateral::KeyRotation;
use interlock_journal::rows::Rows;
use serde::{Deserialize, Serialize};

pub use self::api_keys::{KEY_ASKED_MS, KeyAsked};
pub use self::apply::ReplayError;
use self::bindings::Bindings;
use self::channel::Channel;
use self::delegates::Delegates;
pub use self::deposits::Deposit;
use self::deposits::Deposits;
use self::feed::Feed;
use self::ledger::LedgerCounts;
use self::list::List;
use self::looks::LookEntry;
pub use self::messages::MessageState;
use self::messages::Messages;
use self::parcels::Parcels;
pub use self::receive::deletion_words;
use self::rounds::Rounds;
use self::spool::Spool;
use self::table::{Cold, FrozenRows, SharedKeys, Table, plain_rows};
use self::vault::Vault;
pub use self::warnings::WarningState;
use super::agreements::Book;
use super::content::{Content, Links};
use super::io::{Digest, Role};
use super::record::{
    AlertKind, CooperationStatus, KeyedEffect, OverCollected, Reveal, StationSeen, as_json,
};
use crate::exchange::wire::Lane;
use crate::identity::code_key::CodeKey;
use crate::identity::partner::Partner;
use crate::identity::person::{Person, PersonName};

/// The state of one node. What is serialized is what a snapshot keeps beside the tables.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    /// Whose node it is.
    pub me: ParticipantId,
    /// Derives the tokens of links and labels.
    #[serde(skip, default = "Links::unset")]
    pub links: Links,
    /// Rows of the tables that are not in memory.
    #[serde(skip)]
    cold: Cold,
    /// Who may talk to us.
    #[serde(with = "as_json")]
    pub partners: BTreeMap<ParticipantId, Partner>,
    /// API keys by their digest.
    pub api_keys: BTreeMap<Digest, (String, Role)>,
    /// When each was added.
    pub api_keys_since: BTreeMap<Digest, Timestamp>,
    /// People who work with the pages.
    pub people: BTreeMap<PersonName, Person>,
    /// Offers, negotiations, agreements, transfers.
    pub book: Book,
    /// Parcels.
    pub parcels: Parcels,
    /// Our stations.
    pub stations: BTreeMap<StationId, OwnStation>,
    /// Partners' stations.
    pub stations_seen: BTreeMap<(ParticipantId, StationId), StationSeen>,
    /// How regulators were last shown each cooperation of ours.
    pub cooperations_shown: BTreeMap<WireId, CooperationStatus>,
    /// How partners have shown us cooperations of theirs: by partner and manifest, with when.
    pub cooperations_seen: BTreeMap<(ParticipantId, [u8; 32]), (Timestamp, CooperationStatus)>,
    /// By agreement of ours in run-off: the parcels that it serves, ascending.
    pub run_off: BTreeMap<WireId, Box<[ParcelId]>>,
    /// Deposits at our stations.
    pub deposits: Deposits,
    /// Deposits that are not over, while it is known whose they are.
    #[serde(skip)]
    pub rounds: Rounds,
    /// By counterparty: both logs, feeds, lookups.
    pub channels: BTreeMap<ParticipantId, Channel>,
    /// Messages to recipients.
    pub messages: Messages,
    /// Warnings before ends of agreements.
    pub warnings: BTreeMap<MessageId, WarningState>,
    /// The shortest lead at which an agreement's end was warned of, in milliseconds.
    pub warned: BTreeMap<WireId, i64>,
    /// Requests with an idempotency key.
    #[serde(skip, default = "no_keyed")]
    pub keyed: Table<(Digest, IdempotencyKey), Keyed>,
    /// What came in from partners, in order, for our own systems.
    pub inbox: List<{ tag::INBOX }, InboxEntry>,
    /// Releases and denials.
    pub ledger: List<{ tag::LEDGER }, LedgerEntry>,
    /// How many of those there were of late.
    pub ledger_counts: LedgerCounts,
    /// Alerts.
    pub alerts: Vec<Alert>,
    /// Counts since the beginning.
    pub counters: Counters,
    /// Content keys: which there are, and when they end.
    pub vault: Vault,
    /// What connectors want to be shown with pages that are pushed to them, by our id of the transfer.
    pub push_secrets: BTreeMap<WireId, Content<String>>,
    /// Partners that are to delete the contact of a parcel and do not know it yet, with the agreement
    /// under which they were given it, and since when.
    pub erasures: BTreeMap<(ParticipantId, ParcelId), (WireId, Timestamp)>,
    /// Links by which somebody else than the recipient fetches a parcel.
    pub delegates: Delegates,
    /// Who let whom in, by the name of who was let in.
    pub let_in_by: BTreeMap<String, BTreeSet<String>>,
    /// Keys that recipients enrolled for the codes of their parcels, until the stay is over.
    pub code_keys: BTreeMap<ParcelId, CodeKey>,
    /// Highest time in the journal.
    pub high: Timestamp,
    /// When we last found that the end of our journal had been lost.
    pub rolled_back_at: Option<Timestamp>,
    /// Partners toward whom our log needs a new epoch since then.
    pub suspect: BTreeSet<ParticipantId>,
    /// Our anchor log.
    pub anchor: self::anchor::AnchorLog,
    /// Anchor logs of partners that we have cosigned.
    pub witnessed: BTreeMap<ParticipantId, self::anchor::WitnessedLog>,
    /// Rotations of keys, ours and partners', by participant, the oldest first.
    pub rotations: BTreeMap<ParticipantId, Vec<(Timestamp, KeyRotation)>>,
    /// What consumers of contacts ask, beside what they deposit.
    pub watches: BTreeMap<ParticipantId, Watch>,
    /// Looks of people at personal data.
    pub looks: List<{ tag::LOOKS }, LookEntry>,
    /// What happened, by week.
    pub statistics: Statistics,
    /// Phones that people asked to see.
    pub reveals: BTreeMap<RequestId, Reveal>,
    /// Numbers that are bound to callers and recipients.
    pub bindings: Bindings,
    /// API keys that count once a second person has agreed to them, by their digest.
    pub keys_asked: BTreeMap<Digest, KeyAsked>,
    /// How many records were applied: the position in the journal of the last one.
    pub applied: u64,
    queues: QueueIds,
}

/// The rows of each table begin with one of these, or with those of parcels, of what is over of
/// agreements (9), of deposits and messages (10 to 14) and of queues (from 16 on).
mod tag {
    pub(super) const INBOX: u8 = 6;
    pub(super) const LEDGER: u8 = 7;
    pub(super) const KEYED: u8 = 8;
    pub(super) const LOOKS: u8 = 15;
}

fn no_keyed() -> Table<(Digest, IdempotencyKey), Keyed> {
    Table::new(tag::KEYED, &Cold::default())
}

plain_rows!(InboxEntry, LedgerEntry, Keyed, LookEntry);

/// How many queues have had rows. It says nothing of what a state holds, so it is not printed.
#[derive(Default, Serialize, Deserialize)]
struct QueueIds(u64);

impl std::fmt::Debug for QueueIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QueueIds")
    }
}

fn queues(channels: &mut BTreeMap<ParticipantId, Channel>) -> impl Iterator<Item = &mut Spool> {
    let feeds = channels.values_mut().flat_map(|c| c.outbound.values_mut());
    feeds.flat_map(Feed::queues)
}

/// Why a state cannot be frozen: a defect.
#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    /// There are no rows to which what is frozen could be written.
    #[error("the state has no tables")]
    NoRows,
    /// Something cannot be encoded.
    #[error("the state cannot be encoded: {0}")]
    Encode(#[from] postcard::Error),
}

/// What a snapshot writes.
pub struct Frozen {
    /// The state beside the tables.
    pub kept: Vec<u8>,
    /// What changed in the tables, in the order of their rows.
    pub tables: Vec<Box<dyn FrozenRows>>,
}

/// A station of ours.
#[derive(Debug, Serialize, Deserialize)]
pub struct OwnStation {
    /// The station.
    pub station: Station,
    /// Its compartments.
    pub compartments: Compartments,
    /// What partners were last shown.
    pub shown: [Option<Level>; 3],
}

/// A request with an idempotency key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Keyed {
    /// Digest of the body.
    pub body: Digest,
    /// What it led to.
    pub effect: KeyedEffect,
    /// When.
    pub at: Timestamp,
}

/// One event that came in from a partner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InboxEntry {
    /// From whom.
    pub from: ParticipantId,
    /// Dataset.
    pub dataset: Dataset,
    /// Lane that it came by.
    pub lane: Lane,
    /// The parcel and the index of the event in its timeline.
    pub event: Option<(ParcelId, u32)>,
    /// The station, if it is about one.
    pub station: Option<StationId>,
    /// The manifest of the cooperation, if it is about one.
    pub cooperation: Option<[u8; 32]>,
    /// When it was accepted.
    pub at: Timestamp,
}

/// One release or denial.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// When.
    pub at: Timestamp,
    /// To whom; we are the provider.
    pub to: ParticipantId,
    /// What.
    pub dataset: Dataset,
    /// Under which agreement, if any applied.
    pub agreement: Option<WireId>,
    /// Purpose, where one was stated.
    pub purpose: Option<String>,
    /// Released how many items, or denied why.
    pub outcome: LedgerOutcome,
}

/// Outcome of a ledger entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum LedgerOutcome {
    /// A batch of so many events.
    Batch {
        /// Lane.
        lane: Lane,
        /// Events.
        events: u32,
    },
    /// The contact of one parcel.
    Contact {
        /// Parcel.
        parcel: ParcelId,
        /// Form.
        form: ContactForm,
    },
    /// Denied.
    Denied {
        /// Why.
        reason: String,
    },
    /// Decided as a release, but the term ended before it reached the socket.
    Voided,
}

/// Something for people to look at.
#[derive(Debug, Serialize, Deserialize)]
pub struct Alert {
    /// When.
    pub at: Timestamp,
    /// Kind.
    pub kind: AlertKind,
    /// Which parcel.
    pub parcel: Option<ParcelId>,
    /// Which partner.
    pub partner: Option<ParticipantId>,
    /// In words.
    pub detail: String,
    /// What shows it, if a consumer asked beyond its deposits.
    pub shown_by: Option<Box<OverCollected>>,
}

/// Counts, each of what is on record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Deposits confirmed.
    pub deposits: u64,
    /// Deposits refused because nobody could tell the recipient.
    pub deposits_refused: u64,
    /// Messages that the gateway took.
    pub messages_sent: u64,
    /// Parcels picked up.
    pub picked_up: u64,
    /// Events accepted at our own door or made by our lockers.
    pub events_accepted: u64,
    /// Events received from partners.
    pub events_received: u64,
    /// Repeats received from partners and kept out.
    pub events_duplicate: u64,
    /// Received events whose number was lower than one received before.
    pub events_out_of_order: u64,
    /// Items released: events and contacts.
    pub releases: u64,
    /// Denials by reason.
    pub denials: BTreeMap<String, u64>,
    /// Pre-advices and claims received from partners.
    pub advices_received: u64,
    /// Deposits refused, by reason.
    pub refusals: BTreeMap<String, u64>,
}

impl State {
    /// The state before the first record.
    pub fn new(me: ParticipantId, links: Links) -> Self {
        let cold = Cold::default();
        let mut state = Self {
            me,
            links,
            partners: BTreeMap::new(),
            api_keys: BTreeMap::new(),
            people: BTreeMap::new(),
            api_keys_since: BTreeMap::new(),
            book: Book::default(),
            parcels: Parcels::new(&cold),
            stations: BTreeMap::new(),
            stations_seen: BTreeMap::new(),
            run_off: BTreeMap::new(),
            cooperations_shown: BTreeMap::new(),
            cooperations_seen: BTreeMap::new(),
            deposits: Deposits::default(),
            rounds: Rounds::default(),
            channels: BTreeMap::new(),
            messages: Messages::default(),
            warnings: BTreeMap::new(),
            warned: BTreeMap::new(),
            keyed: no_keyed(),
            inbox: List::default(),
            ledger: List::default(),
            ledger_counts: LedgerCounts::default(),
            alerts: Vec::new(),
            counters: Counters::default(),
            vault: Vault::default(),
            push_secrets: BTreeMap::new(),
            erasures: BTreeMap::new(),
            delegates: Delegates::default(),
            let_in_by: BTreeMap::new(),
            code_keys: BTreeMap::new(),
            high: Timestamp::from_millis(0),
            rolled_back_at: None,
            suspect: BTreeSet::new(),
            anchor: self::anchor::AnchorLog::default(),
            witnessed: BTreeMap::new(),
            rotations: BTreeMap::new(),
            watches: BTreeMap::new(),
            statistics: Statistics::default(),
            looks: List::default(),
            reveals: BTreeMap::new(),
            bindings: Bindings::default(),
            keys_asked: BTreeMap::new(),
            applied: 0,
            queues: QueueIds::default(),
            cold,
        };
        state.attach();
        state
    }

    /// Has all tables read from the rows of this state.
    fn attach(&mut self) {
        let cold = &self.cold;
        self.parcels.attach(cold);
        self.keyed.attach(cold);
        self.inbox.attach(cold);
        self.ledger.attach(cold);
        self.book.past.attach(cold);
        self.deposits.attach(cold);
        self.messages.attach(cold);
        self.looks.attach(cold);
        for queue in queues(&mut self.channels) {
            queue.attach(cold);
        }
    }

    /// The state that a snapshot kept, over its rows. `None` if it is not of this form.
    pub fn restore(kept: &[u8], links: Links, rows: Rows, keys: SharedKeys) -> Option<Self> {
        let mut state: Self = match postcard::take_from_bytes(kept) {
            Ok((state, [])) => state,
            Ok(_) | Err(_) => return None,
        };
        state.links = links;
        state.cold.end_hours(state.vault.ended_to());
        state.cold.set(rows, keys);
        state.attach();
        state.reopen();
        Some(state)
    }

    /// Opens what lies sealed in what a snapshot kept, and enters who has what in hand.
    fn reopen(&mut self) {
        let Some(keys) = self.cold.keys() else {
            return;
        };
        self.deposits.reopen(&keys);
        for (id, deposit) in self.deposits.under_way() {
            if let Some(courier) = &deposit.courier.value {
                self.rounds.enter(&self.links, courier, *id);
            }
        }
        for secret in self.push_secrets.values_mut() {
            secret.reopen(&keys);
        }
    }

    /// From here on rows that were frozen may lie in `rows`.
    pub fn begin_tables(&self, rows: Rows, keys: SharedKeys) {
        self.cold.set(rows, keys);
    }

    /// What a snapshot keeps: this state beside the tables, and what changed in them.
    ///
    /// # Errors
    /// [`FreezeError`]; nothing was frozen.
    pub fn freeze_tables(&mut self) -> Result<Frozen, FreezeError> {
        if !self.cold.is_set() {
            return Err(FreezeError::NoRows);
        }
        for queue in queues(&mut self.channels) {
            queue.settle(&self.cold, &mut self.queues.0);
        }
        let kept = postcard::to_allocvec(self)?;
        let mut tables: Vec<_> = self.parcels.freeze().into_iter().collect();
        tables.push(self.inbox.freeze());
        tables.push(self.ledger.freeze());
        tables.push(self.keyed.freeze());
        tables.push(self.book.past.freeze());
        tables.extend(self.deposits.freeze());
        tables.extend(self.messages.freeze());
        tables.push(self.looks.freeze());
        let mut with_rows: Vec<_> = queues(&mut self.channels)
            .filter(|queue| queue.id().is_some())
            .collect();
        with_rows.sort_by_key(|queue| queue.id());
        tables.extend(with_rows.into_iter().map(Spool::freeze));
        Ok(Frozen { kept, tables })
    }

    /// Rows in place of those before. `frozen`: with all that was frozen, which is let go.
    pub fn install(&mut self, rows: Rows, frozen: bool) {
        self.cold.replace(rows);
        if frozen {
            self.parcels.let_go();
            self.inbox.let_go();
            self.ledger.let_go();
            self.keyed.let_go();
            self.book.past.let_go();
            self.deposits.let_go();
            self.messages.let_go();
            self.looks.let_go();
            for queue in queues(&mut self.channels) {
                queue.let_go();
            }
        }
    }

    /// Why a row could not be read, once one could not. What was decided since may be wrong.
    pub fn failure(&self) -> Option<String> {
        self.cold.failure()
    }

    /// Whether a partner runs a connector that is not Interlock.
    pub fn is_connector(&self, partner: &ParticipantId) -> bool {
        self.partners.get(partner).is_some_and(|p| p.connector)
    }

    /// What a participant is called in offers and agreements.
    pub fn name_on_wire<'a>(&'a self, id: &'a ParticipantId) -> &'a str {
        let partner = self.partners.get(id);
        let own = partner.and_then(|p| p.connector_id.as_ref());
        own.map_or(id.as_str(), WireId::as_str)
    }

    /// The channel with `partner`, made on first use.
    pub fn channel_mut(&mut self, partner: &ParticipantId) -> &mut Channel {
        let key = self.partners.get(partner).map(|p| *p.key.verifying_key());
        let me = &self.me;
        let rotations = self.rotations.get(me).map_or(0, Vec::len);
        let channel = self.channels.entry(partner.clone()).or_insert_with(|| {
            let mut fresh = Channel::new(me, partner, key.as_ref());
            // Whoever meets us now is introduced to the key of now.
            fresh.shown = rotations;
            fresh
        });
        if channel.mirror.is_none() && key.is_some() {
            channel.mirror = Channel::new(me, partner, key.as_ref()).mirror;
        }
        channel
    }

    /// The channel with `partner`, if anything was ever exchanged.
    pub fn channel(&self, partner: &ParticipantId) -> Option<&Channel> {
        self.channels.get(partner)
    }

    /// How many items wait at us, not released, by consumer and dataset.
    pub fn waiting(&self) -> VecDeque<(&ParticipantId, Dataset, u64)> {
        let mut out = VecDeque::new();
        for (partner, channel) in &self.channels {
            for (dataset, feed) in &channel.outbound {
                out.push_back((partner, *dataset, feed.waiting()));
            }
        }
        out
    }
}
