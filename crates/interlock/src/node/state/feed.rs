//! One feed toward one consumer: what is ready, what waits, what left and is not yet receipted.
//!
//! Purpose: the queues behind a dataset that we provide. Invariants: positions of a lane are given at
//! release and are gapless; of one parcel, everything that is ready or without receipt is in one lane,
//! so that no lane overtakes the other, but for what waited until later things had left; at most
//! [`OUTSTANDING_MAX`] batches of a lane are without receipt, and each keeps what it showed, so that a
//! repeat is the same. It does not know terms: who may have what was decided before.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use interlock_core::ids::{DepositId, ParcelId, RequestId, WireId};
use interlock_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::spool::Spool;
use crate::exchange::wire::{FeedItem, Lane};
use crate::node::record::ItemRef;

/// Most batches of a lane that may be without receipt.
pub const OUTSTANDING_MAX: usize = 2;

/// One thing on its way to the consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
            ItemRef::Station(_) | ItemRef::Cooperation(_) => None,
            ItemRef::Code(deposit) => Some(parcel_key_of(*deposit)),
        }
    }

    /// Its place among all that arose: by time, and among what arose of its parcel in the same
    /// millisecond by its place there.
    const fn order(&self) -> (Timestamp, u32) {
        let index = match &self.item {
            ItemRef::Event(_, index) => *index,
            ItemRef::Advice(_)
            | ItemRef::Station(_)
            | ItemRef::Code(_)
            | ItemRef::Cooperation(_) => 0,
        };
        (self.arose_at, index)
    }
}

const fn parcel_key_of(deposit: DepositId) -> ParcelId {
    ParcelId::from_bytes(*deposit.as_bytes())
}

/// One item of a batch that left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// What.
    pub queued: Queued,
    /// Salt of its commitment.
    pub salt: RequestId,
    /// What the consumer was shown, without a code; `None` if that cannot be said any more.
    #[serde(with = "kept_views")]
    pub shown: Option<FeedItem>,
}

/// How a snapshot keeps what was shown: as JSON, which leaves out what it has not.
mod kept_views {
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::FeedItem;

    pub(super) fn serialize<S: Serializer>(
        shown: &Option<FeedItem>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let kept = shown.as_ref().map(serde_json::to_string);
        kept.transpose()
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<FeedItem>, D::Error> {
        let kept = Option::<String>::deserialize(deserializer)?;
        let shown = kept.map(|text| serde_json::from_str(&text));
        shown.transpose().map_err(D::Error::custom)
    }
}

/// A batch that left and is not yet receipted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outstanding {
    /// Position of its first event.
    pub first: u64,
    /// What it held.
    pub items: Vec<Released>,
    /// Under which agreement it left.
    pub agreement: WireId,
    /// Index of its leaf in our log.
    pub leaf: u64,
}

impl Outstanding {
    /// Position of its last event.
    pub fn last(&self) -> u64 {
        self.first + (self.items.len() as u64).saturating_sub(1)
    }
}

/// One lane.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct LaneState {
    /// Ready, in order.
    pub ready: Spool,
    /// Highest position that was released.
    pub released: u64,
    /// Batches without receipt, oldest first.
    pub outstanding: VecDeque<Outstanding>,
    /// Highest position of a batch of which only the leaf came back after a loss: what it held is not
    /// known here.
    pub lost_to: u64,
}

/// What of a parcel is ready or without receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct UnderWay {
    /// In which lane.
    lane: Lane,
    /// How much.
    count: u32,
    /// When the newest of it arose.
    newest: Timestamp,
}

/// A feed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Feed {
    live: LaneState,
    backlog: LaneState,
    /// What arose while nothing was in force, in order.
    held: Spool,
    /// Of each parcel, what is ready or without receipt.
    under_way: BTreeMap<ParcelId, UnderWay>,
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

    /// Adds an item that arose while an agreement is in force: to the live lane, or behind what is under
    /// way of its parcel.
    pub fn push_live(&mut self, item: Queued) {
        self.push(Lane::Live, item);
    }

    /// Adds an item that arose while nothing is in force.
    pub fn push_held(&mut self, item: Queued) {
        self.held.push_back(item);
    }

    fn push(&mut self, lane: Lane, item: Queued) {
        let lane = match item.key() {
            Some(key) => {
                let known = self.under_way.entry(key).or_insert(UnderWay {
                    lane,
                    count: 0,
                    newest: item.arose_at,
                });
                known.count += 1;
                // What something later has overtaken already fills its place from the backlog.
                let late = item.arose_at < known.newest;
                known.newest = known.newest.max(item.arose_at);
                if late { lane } else { known.lane }
            }
            None => lane,
        };
        self.lane_mut(lane).ready.push_back(item);
    }

    /// One item less of a parcel is under way.
    fn settled(&mut self, item: &Queued) {
        let Some(key) = item.key() else { return };
        if let Some(known) = self.under_way.get_mut(&key) {
            known.count = known.count.saturating_sub(1);
            if known.count == 0 {
                self.under_way.remove(&key);
            }
        }
    }

    /// Items are not under way any more and did not leave: the newest of their parcels may be others.
    fn put_off(&mut self, items: &[Queued]) {
        let mut stale = BTreeSet::new();
        for item in items {
            self.settled(item);
            let Some(key) = item.key() else { continue };
            let known = self.under_way.get(&key);
            if known.is_some_and(|known| item.arose_at >= known.newest) {
                stale.insert(key);
            }
        }
        if stale.is_empty() {
            return;
        }
        let mut newest: BTreeMap<ParcelId, Timestamp> = BTreeMap::new();
        for lane in [&self.live, &self.backlog] {
            let left = lane.outstanding.iter().flat_map(|batch| &batch.items);
            let left = left.map(|item| item.queued.clone());
            for item in left.chain(lane.ready.iter()) {
                if let Some(key) = item.key().filter(|key| stale.contains(key)) {
                    let known = newest.entry(key).or_insert(item.arose_at);
                    *known = item.arose_at.max(*known);
                }
            }
        }
        for (key, newest) in newest {
            if let Some(known) = self.under_way.get_mut(&key) {
                known.newest = newest;
            }
        }
    }

    /// An agreement came into force that covers what arose from `covers_from` on: that is ready now,
    /// in the backlog lane, or behind what is under way of its parcel.
    pub fn cover(&mut self, covers_from: Timestamp) {
        let mut overtaken = Vec::new();
        for _ in 0..self.held.len() {
            let Some(item) = self.held.pop_front() else {
                break;
            };
            if item.arose_at < covers_from {
                self.held.push_back(item);
            } else if self.is_overtaken(&item) {
                overtaken.push(item);
            } else {
                self.push(Lane::Backlog, item);
            }
        }
        if !overtaken.is_empty() {
            self.put_before(overtaken);
        }
    }

    /// Whether something later of its parcel is ready, or left.
    fn is_overtaken(&self, item: &Queued) -> bool {
        let known = item.key().and_then(|key| self.under_way.get(&key));
        known.is_some_and(|known| item.arose_at < known.newest)
    }

    /// Makes items ready that something later of their parcels has overtaken: before what of it did not
    /// leave yet.
    fn put_before(&mut self, mut items: Vec<Queued>) {
        let mut first: BTreeMap<ParcelId, (Timestamp, u32)> = BTreeMap::new();
        for item in &items {
            if let Some(key) = item.key() {
                let known = first.entry(key).or_insert_with(|| item.order());
                *known = item.order().min(*known);
            }
        }
        let mut later = Vec::new();
        for lane in Lane::ALL {
            let ready: Vec<Queued> = self.lane_mut(lane).ready.take_all().collect();
            for item in ready {
                let before = item.key().and_then(|key| first.get(&key));
                match before.is_some_and(|before| *before < item.order()) {
                    true => later.push(item),
                    false => self.lane_mut(lane).ready.push_back(item),
                }
            }
        }
        self.put_off(&later);
        items.extend(later);
        items.sort_by_key(Queued::order);
        for item in items {
            self.push(Lane::Backlog, item);
        }
    }

    /// The last agreement ended: what is ready and did not leave waits for another one.
    pub fn withdraw(&mut self) {
        let mut all: Vec<Queued> = self.backlog.ready.take_all().collect();
        all.extend(self.live.ready.take_all());
        self.put_off(&all);
        self.hold_again(all);
    }

    /// Batches from position `first` on never came to the consumer, and may not any more: what they held
    /// waits, and their positions are free again.
    pub fn take_back(&mut self, lane: Lane, first: u64) {
        let mut back = Vec::new();
        while let Some(batch) = self
            .lane_mut(lane)
            .outstanding
            .pop_back_if(|batch| batch.first >= first)
        {
            self.lane_mut(lane).released = batch.first.saturating_sub(1);
            back.extend(batch.items.into_iter().map(|item| item.queued));
        }
        let state = self.lane_mut(lane);
        if state.lost_to >= first {
            state.lost_to = first.saturating_sub(1);
            state.released = state.released.min(state.lost_to);
        }
        self.put_off(&back);
        self.hold_again(back);
    }

    /// Puts an item among those that are held, of which some may have arisen since.
    fn hold_one_again(&mut self, item: Queued) {
        let own = item.order();
        if let Err(item) = self.held.push_before(item, |held| held.order() > own) {
            self.hold_again(vec![item]);
        }
    }

    /// Puts items among those that are held, in the order in which they arose.
    fn hold_again(&mut self, mut items: Vec<Queued>) {
        items.extend(self.held.take_all());
        items.sort_by_key(Queued::order);
        for item in items {
            self.held.push_back(item);
        }
    }

    /// The queues, for a snapshot.
    pub const fn queues(&mut self) -> [&mut Spool; 3] {
        [
            &mut self.live.ready,
            &mut self.backlog.ready,
            &mut self.held,
        ]
    }

    /// The items that [`Self::release`] would release of the first `taken`.
    pub fn front<'a>(
        &'a self,
        lane: Lane,
        taken: u32,
        withheld: &'a [u32],
    ) -> impl Iterator<Item = Queued> {
        let mut withheld = withheld.iter().peekable();
        self.lane(lane)
            .ready
            .iter()
            .zip(0..taken)
            .filter(move |(_, index)| withheld.next_if_eq(&index).is_none())
            .map(|(item, _)| item)
    }

    /// The first `taken` ready items of a lane left as one batch, but for those whose index is in
    /// `withheld` (ascending), which wait. `shown` are the salts and views of the others.
    pub fn release(
        &mut self,
        lane: Lane,
        taken: u32,
        withheld: &[u32],
        shown: Vec<(RequestId, Option<FeedItem>)>,
        agreement: &WireId,
        leaf: u64,
    ) {
        let mut withheld = withheld.iter().peekable();
        let mut shown = shown.into_iter();
        let (mut items, mut put_off) = (Vec::new(), Vec::new());
        for index in 0..taken {
            let Some(queued) = self.lane_mut(lane).ready.pop_front() else {
                break;
            };
            if withheld.next_if_eq(&&index).is_some() {
                put_off.push(queued);
            } else if let Some((salt, shown)) = shown.next() {
                items.push(Released {
                    queued,
                    salt,
                    shown,
                });
            }
        }
        if !items.is_empty() {
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
        self.put_off(&put_off);
        for item in put_off {
            self.hold_one_again(item);
        }
    }

    /// A batch up to position `last` had left, and what it held was lost here: its positions are not
    /// given again.
    pub fn lost(&mut self, lane: Lane, last: u64) {
        let state = self.lane_mut(lane);
        if last > state.released {
            state.released = last;
            state.lost_to = last;
        }
    }

    /// Batches without receipt are named by the leaf with this index from now on.
    pub fn renamed(&mut self, leaf: u64) {
        for lane in Lane::ALL {
            for batch in &mut self.lane_mut(lane).outstanding {
                batch.leaf = leaf;
            }
        }
    }

    /// The consumer holds everything up to `next`, by a receipt.
    pub fn receipted(&mut self, lane: Lane, next: u64) {
        while let Some(batch) = self
            .lane_mut(lane)
            .outstanding
            .pop_front_if(|batch| batch.last() <= next)
        {
            for item in &batch.items {
                self.settled(&item.queued);
            }
        }
    }

    /// Whether something of the parcel is ready, or left and is not receipted.
    pub fn is_under_way(&self, parcel: &ParcelId) -> bool {
        self.under_way.contains_key(parcel)
    }

    /// Parcels of which something is ready, or left and is not receipted.
    pub fn under_way(&self) -> impl Iterator<Item = &ParcelId> {
        self.under_way.keys()
    }

    /// Whether the same item waits already: the newest state of a thing is shown once.
    pub fn holds(&self, item: &ItemRef) -> bool {
        let ready = self.live.ready.iter().chain(self.backlog.ready.iter());
        let mut all = ready.chain(self.held.iter());
        all.any(|queued| queued.item == *item)
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
        self.held.oldest()
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

    fn shown(n: usize) -> Vec<(RequestId, Option<FeedItem>)> {
        (0..n)
            .map(|i| (RequestId::from_bytes([i as u8; 16]), None))
            .collect()
    }

    fn drain(feed: &mut Feed, lane: Lane) -> Vec<Queued> {
        let n = feed.lane(lane).ready.len() as u32;
        feed.release(lane, n, &[], shown(n as usize), &agreement(), 0);
        let out = feed
            .lane(lane)
            .outstanding
            .back()
            .map(|b| b.items.iter().map(|item| item.queued.clone()).collect());
        out.unwrap_or_default()
    }

    #[test]
    fn what_is_withheld_waits_before_what_arose_later() {
        for earlier in [0, 1] {
            let mut feed = Feed::default();
            for at in 0..earlier {
                feed.push_held(item(9, 0, at));
            }
            feed.push_live(item(1, 0, 10));
            feed.push_live(item(2, 0, 10));
            feed.push_held(item(1, 1, 11));
            feed.release(Lane::Live, 2, &[0, 1], Vec::new(), &agreement(), 0);
            feed.cover(Timestamp::from_millis(10));
            let waited = [item(1, 0, 10), item(2, 0, 10), item(1, 1, 11)];
            assert_eq!(drain(&mut feed, Lane::Backlog), waited);
            // What was not covered lies before all that is held after it.
            assert_eq!(feed.held(), earlier as u64);
            feed.push_live(item(3, 0, 5));
            feed.release(Lane::Live, 1, &[0], Vec::new(), &agreement(), 0);
            feed.cover(Timestamp::from_millis(-1));
            let last = drain(&mut feed, Lane::Backlog);
            assert!(last.is_sorted_by_key(Queued::order), "{last:?}");
            assert_eq!(last.len() as i64, earlier + 1);
        }
    }

    #[test]
    fn what_did_not_leave_follows_what_did_in_its_lane() {
        let mut feed = Feed::default();
        feed.push_live(item(1, 0, 10));
        assert_eq!(drain(&mut feed, Lane::Live), [item(1, 0, 10)]);
        feed.push_live(item(1, 1, 20));
        feed.push_live(item(1, 2, 30));
        feed.withdraw();
        feed.cover(Timestamp::from_millis(0));
        // The first has no receipt yet, so both follow it in the live lane, in their order.
        let both = [item(1, 1, 20), item(1, 2, 30)];
        assert_eq!(drain(&mut feed, Lane::Live), both);
        // The same when they left, and were taken back.
        feed.take_back(Lane::Live, 2);
        feed.cover(Timestamp::from_millis(0));
        assert_eq!(drain(&mut feed, Lane::Live), both);
        // And when they were withheld.
        feed.take_back(Lane::Live, 2);
        feed.cover(Timestamp::from_millis(0));
        feed.release(Lane::Live, 2, &[0, 1], Vec::new(), &agreement(), 0);
        feed.cover(Timestamp::from_millis(0));
        assert_eq!(drain(&mut feed, Lane::Live), both);
        assert_eq!(feed.waiting(), 0);
    }

    #[test]
    fn what_waited_is_ready_before_what_arose_later_and_did_not_leave() {
        let mut feed = Feed::default();
        feed.push_live(item(1, 0, 10));
        feed.push_live(item(2, 0, 15));
        feed.release(Lane::Live, 1, &[0], Vec::new(), &agreement(), 0);
        feed.push_live(item(1, 1, 20));
        feed.push_live(item(1, 2, 30));
        feed.push_held(item(1, 3, 40));
        feed.cover(Timestamp::from_millis(0));
        assert_eq!(drain(&mut feed, Lane::Live), [item(2, 0, 15)]);
        let all = [
            item(1, 0, 10),
            item(1, 1, 20),
            item(1, 2, 30),
            item(1, 3, 40),
        ];
        assert_eq!(drain(&mut feed, Lane::Backlog), all);
        feed.receipted(Lane::Backlog, 4);
        assert!(!feed.is_under_way(&ParcelId::from_bytes([1; 16])));
        // One that left stays before it; what is ready goes on where that is.
        feed.push_live(item(1, 4, 50));
        feed.release(Lane::Live, 1, &[0], Vec::new(), &agreement(), 0);
        feed.push_live(item(1, 5, 60));
        assert_eq!(drain(&mut feed, Lane::Live), [item(1, 5, 60)]);
        feed.push_live(item(1, 6, 70));
        feed.cover(Timestamp::from_millis(0));
        assert_eq!(drain(&mut feed, Lane::Backlog), [item(1, 4, 50)]);
        assert_eq!(drain(&mut feed, Lane::Live), [item(1, 6, 70)]);
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
        // Parcel 1's first event is not covered and stays; its second is, and nothing of the parcel is
        // under way. Parcel 2's second waits behind its first.
        assert_eq!(
            drain(&mut feed, Lane::Live),
            [item(1, 1, 20), item(3, 0, 22)]
        );
        assert_eq!(
            drain(&mut feed, Lane::Backlog),
            [item(2, 0, 11), item(2, 1, 21)]
        );
        assert_eq!(feed.held(), 1);
        assert_eq!(feed.oldest_held(), Some(Timestamp::from_millis(10)));
    }

    #[test]
    fn what_left_holds_its_parcel_in_its_lane_until_the_receipt() {
        let mut feed = Feed::default();
        feed.push_held(item(1, 0, 1));
        feed.cover(Timestamp::from_millis(0));
        assert_eq!(drain(&mut feed, Lane::Backlog), [item(1, 0, 1)]);
        feed.push_live(item(1, 1, 2));
        assert!(feed.lane(Lane::Live).ready.is_empty());
        assert_eq!(drain(&mut feed, Lane::Backlog), [item(1, 1, 2)]);
        feed.receipted(Lane::Backlog, 2);
        feed.push_live(item(1, 2, 3));
        assert_eq!(drain(&mut feed, Lane::Live), [item(1, 2, 3)]);
        feed.push_held(item(1, 3, 4));
        feed.cover(Timestamp::from_millis(0));
        assert!(
            feed.lane(Lane::Backlog).ready.is_empty(),
            "the live lane has something of the parcel without receipt"
        );
        assert_eq!(drain(&mut feed, Lane::Live), [item(1, 3, 4)]);
    }

    #[test]
    fn what_was_overtaken_fills_its_place_from_the_backlog() {
        let mut feed = Feed::default();
        feed.push_held(item(1, 0, 1));
        feed.push_live(item(1, 1, 2));
        drain(&mut feed, Lane::Live);
        // Covered at last, while the later one is without receipt.
        feed.cover(Timestamp::from_millis(0));
        assert_eq!(drain(&mut feed, Lane::Backlog), [item(1, 0, 1)]);
        // What arises now goes on where the parcel is.
        feed.push_live(item(1, 2, 3));
        assert_eq!(drain(&mut feed, Lane::Live), [item(1, 2, 3)]);
    }

    #[test]
    fn positions_are_gapless_and_withheld_items_wait() {
        let mut feed = Feed::default();
        for n in 0..5 {
            feed.push_live(item(n, 0, i64::from(n)));
        }
        let front: Vec<Queued> = feed.front(Lane::Live, 4, &[1, 2]).collect();
        assert_eq!(front, [item(0, 0, 0), item(3, 0, 3)]);
        feed.release(Lane::Live, 4, &[1, 2], shown(2), &agreement(), 7);
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
    fn what_is_taken_back_waits_and_its_positions_are_given_again() {
        let mut feed = Feed::default();
        feed.push_live(item(1, 0, 1));
        drain(&mut feed, Lane::Live);
        feed.push_live(item(1, 1, 2));
        drain(&mut feed, Lane::Live);
        feed.push_live(item(1, 2, 3));
        drain(&mut feed, Lane::Live);
        feed.push_held(item(1, 3, 4));
        feed.take_back(Lane::Live, 2);
        assert_eq!(feed.lane(Lane::Live).released, 1);
        assert_eq!(feed.lane(Lane::Live).outstanding.len(), 1);
        assert_eq!(feed.held(), 3);
        feed.receipted(Lane::Live, 1);
        feed.cover(Timestamp::from_millis(0));
        assert_eq!(
            drain(&mut feed, Lane::Backlog),
            [item(1, 1, 2), item(1, 2, 3), item(1, 3, 4)]
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
