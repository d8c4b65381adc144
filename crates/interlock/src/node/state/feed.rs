//! One feed toward one consumer: what is ready, what waits, what left and is not yet receipted.
//!
//! Purpose: the queues behind a dataset that we provide. Invariants: positions of a lane are given at
//! release and are gapless; of one parcel, nothing enters the live lane while something of it waits in
//! the backlog lane; at most [`OUTSTANDING_MAX`] batches of a lane are without receipt. It does not
//! know terms: who may have what was decided before.

use std::collections::{BTreeMap, VecDeque};

use interlock_core::ids::{DepositId, ParcelId, RequestId, WireId};
use interlock_core::time::Timestamp;

use crate::exchange::wire::Lane;
use crate::node::record::ItemRef;

/// Most batches of a lane that may be without receipt.
pub const OUTSTANDING_MAX: usize = 2;

/// One thing on its way to the consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// What.
    pub item: ItemRef,
    /// When it arose, by our journal.
    pub arose_at: Timestamp,
}

impl Queued {
    /// The parcel or deposit that orders it among others.
    fn key(&self) -> Option<ParcelId> {
        match &self.item {
            ItemRef::Advice(parcel) | ItemRef::Event(parcel, _) => Some(*parcel),
            ItemRef::Station(_) => None,
            ItemRef::Code(deposit) => Some(parcel_key_of(*deposit)),
        }
    }
}

const fn parcel_key_of(deposit: DepositId) -> ParcelId {
    ParcelId::from_bytes(*deposit.as_bytes())
}

/// A batch that left and is not yet receipted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outstanding {
    /// Position of its first event.
    pub first: u64,
    /// What it held, with the salts of the commitments.
    pub items: Vec<(Queued, RequestId)>,
    /// Under which agreement it left.
    pub agreement: WireId,
    /// Index of its leaf in our log.
    pub leaf: u64,
}

impl Outstanding {
    /// Position of its last event.
    pub fn last(&self) -> u64 {
        self.first + self.items.len() as u64 - 1
    }
}

/// One lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneState {
    /// Ready, in order.
    pub ready: VecDeque<Queued>,
    /// Highest position that was released.
    pub released: u64,
    /// Batches without receipt, oldest first.
    pub outstanding: VecDeque<Outstanding>,
}

/// A feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feed {
    live: LaneState,
    backlog: LaneState,
    /// What arose while nothing was in force, in order.
    held: VecDeque<Queued>,
    /// Of each parcel, how much is held or in the backlog lane.
    behind: BTreeMap<ParcelId, u32>,
    /// How much was dropped, by the term of the last agreement.
    pub dropped: u64,
}

impl Feed {
    /// A lane.
    pub const fn lane(&self, lane: Lane) -> &LaneState {
        match lane {
            Lane::Live => &self.live,
            Lane::Backlog => &self.backlog,
        }
    }

    const fn lane_mut(&mut self, lane: Lane) -> &mut LaneState {
        match lane {
            Lane::Live => &mut self.live,
            Lane::Backlog => &mut self.backlog,
        }
    }

    /// Adds an item that arose while an agreement is in force.
    pub fn push_live(&mut self, item: Queued) {
        match item.key().filter(|key| self.behind.contains_key(key)) {
            Some(key) => {
                self.note_behind(key);
                self.backlog.ready.push_back(item);
            }
            None => self.live.ready.push_back(item),
        }
    }

    /// Adds an item that arose while nothing is in force.
    pub fn push_held(&mut self, item: Queued) {
        if let Some(key) = item.key() {
            self.note_behind(key);
        }
        self.held.push_back(item);
    }

    /// An agreement came into force that covers what arose from `covers_from` on: that is ready now,
    /// in the backlog lane. Of a parcel of which something earlier stays held, everything stays.
    pub fn cover(&mut self, covers_from: Timestamp) {
        let mut stuck: BTreeMap<ParcelId, ()> = BTreeMap::new();
        for item in std::mem::take(&mut self.held) {
            let key = item.key();
            let blocked = key.is_some_and(|key| stuck.contains_key(&key));
            if item.arose_at >= covers_from && !blocked {
                self.backlog.ready.push_back(item);
                continue;
            }
            if let Some(key) = key {
                stuck.insert(key, ());
            }
            self.held.push_back(item);
        }
    }

    /// The agreement ended: what is ready and did not leave waits for another one.
    pub fn withdraw(&mut self) {
        let live = std::mem::take(&mut self.live.ready);
        let backlog = std::mem::take(&mut self.backlog.ready);
        let held = std::mem::take(&mut self.held);
        let mut all: Vec<Queued> = backlog
            .into_iter()
            .chain(live.into_iter().inspect(|item| {
                if let Some(key) = item.key() {
                    *self.behind.entry(key).or_default() += 1;
                }
            }))
            .chain(held)
            .collect();
        all.sort_by_key(|item| item.arose_at);
        self.held = all.into();
    }

    /// The first `taken` ready items of a lane left as one batch, but for those whose index is in
    /// `withheld`, which wait.
    pub fn release(
        &mut self,
        lane: Lane,
        taken: u32,
        withheld: &[u32],
        salts: &[RequestId],
        agreement: &WireId,
        leaf: u64,
    ) {
        let mut salts = salts.iter();
        let mut items = Vec::new();
        let mut waiting = Vec::new();
        for index in 0..taken {
            let Some(item) = self.lane_mut(lane).ready.pop_front() else {
                break;
            };
            if withheld.contains(&index) {
                waiting.push(item);
                continue;
            }
            if lane == Lane::Backlog {
                self.forget_behind(&item);
            }
            if let Some(salt) = salts.next() {
                items.push((item, *salt));
            }
        }
        for item in waiting {
            if lane == Lane::Live
                && let Some(key) = item.key()
            {
                self.note_behind(key);
            }
            self.held.push_back(item);
        }
        if items.is_empty() {
            return;
        }
        let state = self.lane_mut(lane);
        let first = state.released + 1;
        state.released += items.len() as u64;
        state.outstanding.push_back(Outstanding {
            first,
            items,
            agreement: agreement.clone(),
            leaf,
        });
    }

    /// The consumer holds everything up to `next`, by a receipt.
    pub fn receipted(&mut self, lane: Lane, next: u64) {
        let outstanding = &mut self.lane_mut(lane).outstanding;
        while outstanding
            .front()
            .is_some_and(|batch| batch.last() <= next)
        {
            outstanding.pop_front();
        }
    }

    /// Whether the same item waits already: the newest state of a thing is shown once.
    pub fn holds(&self, item: &ItemRef) -> bool {
        let mut all = self
            .live
            .ready
            .iter()
            .chain(&self.backlog.ready)
            .chain(&self.held);
        all.any(|queued| &queued.item == item)
    }

    /// How many items wait, held or ready.
    pub fn waiting(&self) -> u64 {
        (self.live.ready.len() + self.backlog.ready.len() + self.held.len()) as u64
    }

    /// How many items are held because no agreement covers them.
    pub fn held(&self) -> u64 {
        self.held.len() as u64
    }

    /// When the oldest held item arose.
    pub fn oldest_held(&self) -> Option<Timestamp> {
        self.held.iter().map(|item| item.arose_at).min()
    }

    fn note_behind(&mut self, key: ParcelId) {
        *self.behind.entry(key).or_default() += 1;
    }

    fn forget_behind(&mut self, item: &Queued) {
        let Some(key) = item.key() else { return };
        if let Some(count) = self.behind.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.behind.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(parcel: u8, index: u32, at: i64) -> Queued {
        Queued {
            item: ItemRef::Event(ParcelId::from_bytes([parcel; 16]), index),
            arose_at: Timestamp::from_millis(at),
        }
    }

    fn agreement() -> WireId {
        WireId::parse("urn:a").unwrap()
    }

    fn salts(n: usize) -> Vec<RequestId> {
        (0..n)
            .map(|i| RequestId::from_bytes([i as u8; 16]))
            .collect()
    }

    fn drain(feed: &mut Feed, lane: Lane) -> Vec<Queued> {
        let n = feed.lane(lane).ready.len() as u32;
        feed.release(lane, n, &[], &salts(n as usize), &agreement(), 0);
        let out = feed
            .lane(lane)
            .outstanding
            .back()
            .map(|b| b.items.iter().map(|(q, _)| q.clone()).collect());
        out.unwrap_or_default()
    }

    #[test]
    fn a_parcel_with_backlog_stays_in_order() {
        let mut feed = Feed::default();
        feed.push_held(item(1, 0, 10));
        feed.push_held(item(2, 0, 11));
        feed.cover(Timestamp::from_millis(11));
        feed.push_live(item(1, 1, 20));
        feed.push_live(item(2, 1, 21));
        feed.push_live(item(3, 0, 22));
        assert_eq!(drain(&mut feed, Lane::Live), [item(3, 0, 22)]);
        // Parcel 1's first event is not covered; its second must not overtake it in either lane, but
        // is itself covered and so goes by the backlog lane behind nothing of its own that flows.
        assert_eq!(
            drain(&mut feed, Lane::Backlog),
            [item(2, 0, 11), item(1, 1, 20), item(2, 1, 21)]
        );
        assert_eq!(feed.held(), 1);
        assert_eq!(feed.oldest_held(), Some(Timestamp::from_millis(10)));
    }

    #[test]
    fn positions_are_gapless_and_withheld_items_wait() {
        let mut feed = Feed::default();
        for n in 0..5 {
            feed.push_live(item(n, 0, i64::from(n)));
        }
        feed.release(Lane::Live, 4, &[1, 2], &salts(2), &agreement(), 7);
        assert_eq!(feed.lane(Lane::Live).released, 2);
        let batch = feed.lane(Lane::Live).outstanding.front().unwrap();
        assert_eq!((batch.first, batch.last(), batch.leaf), (1, 2, 7));
        assert_eq!(feed.held(), 2);
        feed.receipted(Lane::Live, 1);
        assert_eq!(
            feed.lane(Lane::Live).outstanding.len(),
            1,
            "half a batch is no receipt"
        );
        feed.receipted(Lane::Live, 2);
        assert!(feed.lane(Lane::Live).outstanding.is_empty());
        feed.cover(Timestamp::from_millis(0));
        assert_eq!(
            drain(&mut feed, Lane::Backlog),
            [item(1, 0, 1), item(2, 0, 2)]
        );
    }

    #[test]
    fn nothing_is_lost_when_an_agreement_ends() {
        let mut feed = Feed::default();
        feed.push_held(item(1, 0, 1));
        feed.cover(Timestamp::from_millis(0));
        feed.push_live(item(2, 0, 2));
        feed.push_held(item(3, 0, 3));
        feed.withdraw();
        assert_eq!((feed.held(), feed.waiting()), (3, 3));
        feed.cover(Timestamp::from_millis(0));
        assert_eq!(
            drain(&mut feed, Lane::Backlog),
            [item(1, 0, 1), item(2, 0, 2), item(3, 0, 3)]
        );
    }
}
