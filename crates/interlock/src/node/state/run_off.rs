//! Which parcels the run-off of an agreement serves.
//!
//! INVARIANT: the set is made once, when our journal says that the agreement entered its run-off, of what
//! the journal held before the end; nothing that comes in later, whatever time it names, adds to it: no
//! late scan, no cabinet that was offline, no owner who proves only now that a parcel is theirs. It does
//! not know clocks.

use std::sync::Arc;

use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParcelId, WireId};

use super::State;
use super::feed::Feed;
use super::parcels::Parcel;
use crate::node::agreements::Agreement;
use crate::node::record::ItemRef;

impl State {
    /// Whether the run-off of an agreement of ours serves the parcel behind an item: by the set that was
    /// frozen, or for an agreement that never was in run-off by what would be frozen now.
    pub fn in_run_off(&self, agreement: &Agreement, item: &ItemRef) -> bool {
        let Some(parcel) = self.parcel_of(item) else {
            return false;
        };
        match self.run_off.get(&agreement.id) {
            Some(frozen) => frozen.binary_search(&parcel.id).is_ok(),
            None => self.qualifies(agreement, &parcel),
        }
    }

    /// The frozen set of an agreement in run-off, in ascending order.
    pub fn frozen(&self, agreement: &WireId) -> Option<&[ParcelId]> {
        self.run_off.get(agreement).map(|set| &**set)
    }

    /// Freezes the set of an agreement that enters its run-off. Only parcels that are not over, or are
    /// on their way to the consumer, are looked at.
    pub(super) fn freeze(&mut self, agreement: &Agreement) {
        let under_way = self
            .feed_of(agreement)
            .into_iter()
            .flat_map(Feed::under_way);
        let over = under_way
            .filter_map(|id| self.parcels.get(*id))
            .filter(|parcel| parcel.closed_at.is_some());
        let parcels = self.parcels.open().chain(over);
        let served = parcels.filter(|parcel| self.qualifies(agreement, parcel));
        let mut set: Vec<ParcelId> = served.map(|parcel| parcel.id).collect();
        set.sort_unstable();
        self.run_off.insert(agreement.id.clone(), set.into());
    }

    fn parcel_of(&self, item: &ItemRef) -> Option<Arc<Parcel>> {
        match item {
            ItemRef::Advice(id) | ItemRef::Event(id, _) => self.parcels.get(*id),
            ItemRef::Code(deposit) => self.parcels.get(self.deposits.get(deposit)?.parcel),
            ItemRef::Station(_) | ItemRef::Cooperation(_) => None,
        }
    }

    /// Whether a parcel had qualified before the end, is within scope, is the consumer's business and
    /// has anything left to be told.
    fn qualifies(&self, agreement: &Agreement, parcel: &Parcel) -> bool {
        let terms = &agreement.terms;
        let end = agreement.facts.end(terms);
        let qualified = self.qualified_at(&ItemRef::Advice(parcel.id), terms.dataset);
        let marketplace = parcel.marketplace.as_ref();
        qualified.is_some_and(|at| at < end)
            && marketplace.is_some_and(|m| terms.marketplaces.contains(m))
            && self.concerns(agreement, parcel)
            && (parcel.closed_at.is_none() || self.is_under_way(agreement, parcel))
    }

    fn concerns(&self, agreement: &Agreement, parcel: &Parcel) -> bool {
        let consumer = &agreement.consumer;
        match agreement.terms.dataset {
            Dataset::LockerEvents => {
                parcel.owner() == Some(consumer)
                    || self.carrier_notified(parcel).as_ref() == Some(consumer)
            }
            Dataset::TrackingEvents | Dataset::PickupCode => parcel.owner() == Some(consumer),
            Dataset::PreAdvice => parcel.lockers.contains(consumer),
            Dataset::RecipientContact => parcel.owner() == Some(&self.me),
            Dataset::LockerStations | Dataset::CooperationStatus | Dataset::ExchangeStatistics => {
                false
            }
        }
    }

    /// Whether something of the parcel is on its way to the consumer.
    fn is_under_way(&self, agreement: &Agreement, parcel: &Parcel) -> bool {
        let feed = self.feed_of(agreement);
        feed.is_some_and(|feed| feed.is_under_way(&parcel.id))
    }

    fn feed_of(&self, agreement: &Agreement) -> Option<&Feed> {
        let channel = self.channels.get(&agreement.consumer)?;
        channel.outbound.get(&agreement.terms.dataset)
    }
}
