//! What stands between us and one counterparty.
//!
//! Purpose: both bilateral logs, the feeds in both directions, lookups in both directions, usage.
//! Invariants: our log toward them has one writer, us; a lookup keeps its answer until its receipt
//! came; usage survives a successor of an agreement, because it is kept by dataset. It does not know
//! what may be released.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ed25519_dalek::VerifyingKey;
use interlock_core::dataset::Dataset;
use interlock_core::ids::{DepositId, ParcelId, ParticipantId, RequestId, WireId};
use interlock_core::time::Timestamp;
use interlock_journal::bilateral::{
    Leaf, LeafBody, MirrorLog, OutLog, Places, Receipt, RootedPlaces,
};
use interlock_journal::merkle::Hash;
use serde::{Deserialize, Serialize};

use super::epochs::LostInbound;
use super::feed::Feed;
use crate::exchange::wire::{ENVELOPE_LEAVES_MAX, Lane};
use crate::node::record::LookupDecision;

/// Epoch of a log that was never rolled back.
pub const EPOCH_FIRST: u32 = 1;
/// Most earlier epochs of a log of which is known how they ended and where they stand.
const EPOCHS_PAST_MAX: usize = 32;
/// Most leaves of theirs kept at hand.
const RECENT_MAX: usize = 1_024;
/// Most receipted answers that can be given again: a partner asks for one at a time.
const SETTLED_MAX: usize = 2;
/// Most agreements of which the partner's last word is kept.
const SAID_MAX: usize = 20_000;
/// Longest purpose of a request that is kept at hand, in bytes.
const PURPOSE_LENGTH_MAX: usize = 64;

/// Everything about one counterparty.
#[derive(Debug, Serialize, Deserialize)]
pub struct Channel {
    /// Our log toward them.
    pub out: OutLog,
    /// Their log toward us, once their key is pinned.
    pub mirror: Option<MirrorLog>,
    /// How earlier epochs of their log ended here, oldest first.
    pub mirrored_past: VecDeque<EpochEnd>,
    /// How many of our key's rotations our log shows, or had no need to.
    pub shown: usize,
    /// Size of our log with the leaf of the last one.
    pub shown_to: u64,
    /// Where in our journal the leaves of our log stand, by epoch.
    pub written_at: BTreeMap<u32, RootedPlaces>,
    /// How many leaves of the epochs before we stand by: those that their reader is known to hold as they
    /// are here. What comes after them was written again, or is not what we signed.
    pub stood_by: BTreeMap<u32, u64>,
    /// How much of the newest epoch came back from its reader's mirror, under our own signature.
    pub regained_to: u64,
    /// Where in our journal the leaves of theirs stand, by epoch.
    pub mirrored_at: BTreeMap<u32, Places>,
    /// Requests and releases of theirs that were mirrored of late, for checking bodies against them.
    pub recent: VecDeque<Leaf>,
    /// The state of each agreement by the last word in the partner's log.
    pub said: BTreeMap<WireId, String>,
    /// How much of their log our newest receipt names.
    pub receipted: u64,
    /// Whether anything but receipts came since then.
    pub owes_receipt: bool,
    /// How much of their log receipts name that we had lost, by the partner's mirror.
    pub receipted_then: u64,
    /// What came from them, was receipted, and was lost here.
    pub lost_inbound: LostInbound,
    /// Feeds that we provide.
    pub outbound: BTreeMap<Dataset, Feed>,
    /// Feeds that we consume.
    pub inbound: BTreeMap<Dataset, Inbound>,
    /// Lookups of ours without an answer yet.
    pub asked: BTreeMap<RequestId, Asked>,
    /// Lookups of theirs that we answered, until receipted.
    pub answered: VecDeque<Answered>,
    /// Those of them that were receipted last. A receipt shows that our leaves came, not that the answer did:
    /// whoever learned of a release by our log alone asks the same again.
    pub settled: VecDeque<Answered>,
    /// Usage by dataset.
    pub usage: BTreeMap<Dataset, UsageState>,
    /// Of a connector: by dataset, the day of the newest release and how much left on it.
    unreceipted: BTreeMap<Dataset, (i64, u64)>,
}

impl Channel {
    /// Between us and `them`, before anything was said.
    pub fn new(me: &ParticipantId, them: &ParticipantId, key: Option<&VerifyingKey>) -> Self {
        Self {
            out: OutLog::new(me.clone(), them.clone(), EPOCH_FIRST),
            mirror: key.map(|key| MirrorLog::new(them.clone(), me.clone(), EPOCH_FIRST, key)),
            mirrored_past: VecDeque::new(),
            shown: 0,
            shown_to: 0,
            written_at: BTreeMap::new(),
            stood_by: BTreeMap::new(),
            regained_to: 0,
            mirrored_at: BTreeMap::new(),
            recent: VecDeque::new(),
            said: BTreeMap::new(),
            receipted: 0,
            owes_receipt: false,
            receipted_then: 0,
            lost_inbound: LostInbound::new(),
            outbound: BTreeMap::new(),
            inbound: BTreeMap::new(),
            asked: BTreeMap::new(),
            answered: VecDeque::new(),
            settled: VecDeque::new(),
            usage: BTreeMap::new(),
            unreceipted: BTreeMap::new(),
        }
    }

    /// Whether another answer's leaf fits the envelope that carries it: what they have not receipted is
    /// sent again each time. The last tenth is kept for what must be said: receipts, ends of agreements.
    pub fn has_room(&self) -> bool {
        let pending = self.out.size().saturating_sub(self.out.acknowledged());
        pending < (ENVELOPE_LEAVES_MAX - ENVELOPE_LEAVES_MAX / 10) as u64
    }

    /// Items left for a connector on `day`.
    pub fn left_unreceipted(&mut self, dataset: Dataset, day: i64, items: u64) {
        let (counted, count) = self.unreceipted.entry(dataset).or_insert((day, 0));
        if *counted != day {
            (*counted, *count) = (day, 0);
        }
        *count = count.saturating_add(items);
    }

    /// How many items of a dataset left for a connector on `day`.
    pub fn unreceipted_on(&self, dataset: Dataset, day: i64) -> u64 {
        let known = self.unreceipted.get(&dataset);
        known
            .filter(|(counted, _)| *counted == day)
            .map_or(0, |(_, count)| *count)
    }

    /// How much of their log we hold.
    pub fn mirrored(&self) -> u64 {
        self.mirror.as_ref().map_or(0, MirrorLog::size)
    }

    /// How many leaves of an epoch of our log we sign for.
    pub fn signs_for(&self, epoch: u32) -> u64 {
        if epoch == self.out.epoch() {
            return self.out.size();
        }
        self.stood_by.get(&epoch).copied().unwrap_or(0)
    }

    /// Begins another epoch of our log. `shown` is a size and root of the one before that its reader
    /// holds, under our signature.
    pub fn begin(&mut self, next: OutLog, shown: Option<(u64, Hash)>) {
        let before = &self.out;
        let held = shown.filter(|(size, root)| before.root_at(*size) == Ok(*root));
        let held = held.map_or(0, |(size, _)| size);
        let stood_by = held.max(before.acknowledged()).max(self.regained_to);
        self.stood_by.insert(before.epoch(), stood_by);
        while self.stood_by.len() > EPOCHS_PAST_MAX {
            self.stood_by.pop_first();
        }
        self.regained_to = 0;
        self.shown_to = 0;
        self.out = next;
    }

    /// The newest leaf of our log stands in the record at `position`.
    pub fn written(&mut self, position: u64, leaf: Hash) {
        let epoch = self.out.epoch();
        self.written_at
            .entry(epoch)
            .or_default()
            .note(position, leaf);
        while self.written_at.len() > EPOCHS_PAST_MAX {
            self.written_at.pop_first();
        }
    }

    /// The newest leaves of their log stand in the record at `position`.
    pub fn read(&mut self, position: u64, leaves: u64) {
        let epoch = self.mirror.as_ref().map_or(EPOCH_FIRST, MirrorLog::epoch);
        let places = self.mirrored_at.entry(epoch).or_default();
        places.note(position, leaves);
        while self.mirrored_at.len() > EPOCHS_PAST_MAX {
            self.mirrored_at.pop_first();
        }
    }

    /// Begins the mirror of a later epoch of their log.
    pub fn follow(&mut self, mirror: MirrorLog) {
        if let Some(before) = self.mirror.replace(mirror)
            && let Some(note) = before.note()
        {
            self.mirrored_past.push_back(EpochEnd {
                epoch: before.epoch(),
                size: before.size(),
                note: note.into(),
            });
        }
        while self.mirrored_past.len() > EPOCHS_PAST_MAX {
            self.mirrored_past.pop_front();
        }
        self.receipted = 0;
        self.receipted_then = 0;
        self.owes_receipt = true;
    }

    /// Keeps leaves of theirs at hand, and acts on their receipts.
    pub fn note_leaves(&mut self, leaves: &[Leaf]) {
        let mut newest = None;
        for leaf in leaves {
            match &leaf.body {
                LeafBody::Receipt(receipt) => newest = Some(receipt),
                LeafBody::Request(request) => {
                    self.owes_receipt = true;
                    // No purpose has so long a name; what is kept at hand is bounded.
                    if request.purpose.len() <= PURPOSE_LENGTH_MAX {
                        self.recent.push_back(leaf.clone());
                    }
                }
                LeafBody::Release(_) => {
                    self.owes_receipt = true;
                    self.recent.push_back(leaf.clone());
                }
                LeafBody::Denial(_) | LeafBody::Deletion(_) | LeafBody::RunOffSet(_) => {
                    self.owes_receipt = true;
                }
                LeafBody::AgreementChange(change) => {
                    if self.said.len() < SAID_MAX || self.said.contains_key(&change.agreement) {
                        self.said
                            .insert(change.agreement.clone(), change.state.clone());
                    }
                }
                LeafBody::KeyRotation(_) | LeafBody::Rollback(_) | LeafBody::Voided(_) => {}
            }
        }
        while self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
        if let Some(receipt) = newest {
            self.receipted_by(receipt);
        }
    }
}

impl Channel {
    /// Settles what a receipt covers. One that does not fit was refused when it came.
    fn receipted_by(&mut self, receipt: &Receipt) {
        if self.out.receipted(receipt).is_err() {
            return;
        }
        while let Some(settled) = self
            .answered
            .pop_front_if(|answered| answered.log_size <= receipt.size)
        {
            // A demand is good for one answer.
            self.recent.retain(|leaf| match &leaf.body {
                LeafBody::Request(request) => request.request_id != settled.request_id,
                LeafBody::Release(_)
                | LeafBody::Denial(_)
                | LeafBody::AgreementChange(_)
                | LeafBody::Receipt(_)
                | LeafBody::KeyRotation(_)
                | LeafBody::Rollback(_)
                | LeafBody::Voided(_)
                | LeafBody::Deletion(_)
                | LeafBody::RunOffSet(_) => true,
            });
            self.settled.push_back(settled);
        }
        while self.settled.len() > SETTLED_MAX {
            self.settled.pop_front();
        }
    }

    /// The lookup of theirs that we answered or could answer again.
    pub fn answer_to(&self, request: RequestId) -> Option<&Answered> {
        let all = self.answered.iter().chain(&self.settled);
        all.rev().find(|answered| answered.request_id == request)
    }
}

/// How an epoch of a partner's log ended here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochEnd {
    /// The epoch.
    pub epoch: u32,
    /// How many leaves we hold of it.
    pub size: u64,
    /// Its last checkpoint that we accepted, a signed note.
    pub note: String,
}

/// Where we are in a feed that we consume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbound {
    /// Last durable position of the live lane.
    pub live: u64,
    /// Last durable position of the backlog lane.
    pub backlog: u64,
}

impl Inbound {
    /// The cursor of a lane.
    pub const fn cursor(&self, lane: Lane) -> u64 {
        match lane {
            Lane::Live => self.live,
            Lane::Backlog => self.backlog,
        }
    }

    /// Moves the cursor of a lane.
    pub const fn advance(&mut self, lane: Lane, next: u64) {
        match lane {
            Lane::Live => self.live = next,
            Lane::Backlog => self.backlog = next,
        }
    }
}

/// A lookup of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The agreement that we rely on.
    pub agreement: WireId,
    /// Purpose.
    pub purpose: String,
    /// Deposits, each with the salt of its item and the time of its evidence.
    pub items: Vec<(DepositId, RequestId, Timestamp)>,
    /// When.
    pub at: Timestamp,
}

/// A lookup of theirs that we answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The request.
    pub request_id: RequestId,
    /// Under which agreement.
    pub agreement: WireId,
    /// Root over the commitments to what was asked.
    pub items_root: [u8; 32],
    /// By item.
    pub outcomes: Vec<LookupDecision>,
    /// Size of our log with its leaves: a receipt over that much closes it.
    pub log_size: u64,
}

/// Usage of a dataset by the counterparty. How often a parcel was released to it is kept with the
/// parcel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageState {
    /// The day counted, in the term's zone.
    pub day: i64,
    /// Distinct parcels released on that day.
    pub parcels: BTreeSet<ParcelId>,
    /// Releases of that day that were lost with the end of a log: of which parcels is not known, so
    /// each counts as another one.
    pub lost: u32,
}

impl UsageState {
    fn enter(&mut self, day: i64) {
        if day > self.day {
            self.day = day;
            self.parcels.clear();
            self.lost = 0;
        }
    }

    /// Debits releases of a day of which is known only how many there were.
    pub fn debit_lost(&mut self, day: i64, items: u32) {
        self.enter(day);
        if day == self.day {
            self.lost = self.lost.saturating_add(items);
        }
    }

    /// Debits a release.
    pub fn debit(&mut self, day: i64, parcel: ParcelId) {
        self.enter(day);
        self.parcels.insert(parcel);
    }

    /// Whether a release of the parcel counts on `day` already.
    pub fn counted(&self, day: i64, parcel: ParcelId) -> bool {
        day == self.day && self.parcels.contains(&parcel)
    }

    /// How many parcels count on `day`.
    pub fn parcels_on(&self, day: i64) -> u32 {
        if day != self.day {
            return 0;
        }
        let known = u32::try_from(self.parcels.len()).unwrap_or(u32::MAX);
        known.saturating_add(self.lost)
    }
}
