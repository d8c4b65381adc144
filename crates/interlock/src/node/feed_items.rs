//! What a feed shows of an item: the granted fields and no others.

use interlock_core::event::Place;
use interlock_core::ids::Marketplace;
use interlock_core::terms::{Field, FieldSet};

use super::record::ItemRef;
use super::state::State;
use super::state::feed::Feed;
use crate::exchange::wire::{CodeView, FeedItem, ParcelView, PreAdviceView, StationView};

impl State {
    // tidy: long, one literal a kind of item
    /// The item with the granted fields; `None` if what it is about is gone, or cannot be named.
    pub(in crate::node) fn view(&self, item: &ItemRef, fields: FieldSet) -> Option<FeedItem> {
        let has = |field| fields.contains(field);
        match item {
            ItemRef::Advice(id) => {
                let parcel = self.parcels.get(*id)?;
                let own = parcel.owner() == Some(&self.me);
                Some(FeedItem::PreAdvice(PreAdviceView {
                    carrier: parcel.waybill.carrier().as_str().into(),
                    number: parcel.waybill.number().into(),
                    issued_at: parcel.issued_at,
                    size_class: parcel
                        .size_class
                        .filter(|_| has(Field::SizeClass))
                        .map(|s| s.as_str().into()),
                    owner: parcel.owner().filter(|_| has(Field::Owner)).cloned(),
                    marketplace: parcel
                        .marketplace
                        .clone()
                        .filter(|_| has(Field::Marketplace)),
                    claim: own.then(|| hex(self.links.claim(*id).hash().as_bytes())),
                }))
            }
            ItemRef::Event(id, index) => {
                let parcel = self.parcels.get(*id)?;
                let entry = parcel.events.get(*index as usize)?;
                let place = entry.event.place.clone().filter(|place| match place {
                    Place::Station(_) => has(Field::Station) || has(Field::Place),
                    Place::Named(_) => has(Field::Place),
                });
                let until = parcel
                    .deposit
                    .and_then(|d| self.deposits.get(&d))
                    .and_then(|d| d.pickup_until);
                Some(FeedItem::Parcel(ParcelView {
                    carrier: parcel.waybill.carrier().as_str().into(),
                    number: parcel.waybill.number().into(),
                    sequence: entry.event.number,
                    step: Some(entry.event.step.clone()).filter(|_| has(Field::Step)),
                    at: Some(entry.event.at).filter(|_| has(Field::EventTime)),
                    zone: Some(entry.event.zone).filter(|_| has(Field::EventTime)),
                    place,
                    pickup_until: until.filter(|_| has(Field::Deadline)),
                }))
            }
            ItemRef::Station(id) => {
                let own = self.stations.get(id)?;
                let station = &own.station;
                Some(FeedItem::Station(StationView {
                    station: station.id.clone(),
                    name: has(Field::Name).then(|| station.name.as_str().into()),
                    position: has(Field::Position)
                        .then(|| (station.position.lng_udeg(), station.position.lat_udeg())),
                    state: has(Field::State).then(|| station.state.as_str().into()),
                    capacity: has(Field::Capacity).then(|| {
                        interlock_core::parcel::SizeClass::ALL.map(|size| station.capacity.of(size))
                    }),
                    availability: has(Field::Availability).then(|| {
                        own.shown
                            .map(|level| level.map_or("none", |l| l.as_str()).into())
                    }),
                }))
            }
            ItemRef::Cooperation(id) => {
                let shown = self.cooperations_shown.get(id)?;
                Some(FeedItem::Cooperation(shown.view(fields)))
            }
            ItemRef::Code(id) => {
                let deposit = self.deposits.get(id)?;
                let parcel = self.parcels.get(deposit.parcel)?;
                let code = deposit.code.value.as_ref()?;
                has(Field::Code).then(|| {
                    FeedItem::Code(CodeView {
                        carrier: parcel.waybill.carrier().as_str().into(),
                        number: parcel.waybill.number().into(),
                        code: code.clone(),
                        compartment: deposit.compartment.number(),
                    })
                })
            }
        }
    }

    /// Codes in batches without receipt, which a snapshot does not keep, are shown as they were.
    pub(in crate::node) fn show_codes_again(&mut self) {
        let mut channels = std::mem::take(&mut self.channels);
        for channel in channels.values_mut() {
            for (item, agreement, shown) in channel.outbound.values_mut().flat_map(Feed::unshown) {
                let terms = self.book.agreements.get(agreement).map(|a| &a.terms);
                if let (ItemRef::Code(_), Some(terms)) = (item, terms) {
                    *shown = self.view(item, terms.field_set());
                }
            }
        }
        self.channels = channels;
    }

    /// The marketplace of what an item is about; `None` for open data and for parcels without one.
    pub(in crate::node) fn marketplace_of(&self, item: &ItemRef) -> Option<Marketplace> {
        match item {
            ItemRef::Advice(id) | ItemRef::Event(id, _) => {
                self.parcels.get(*id)?.marketplace.clone()
            }
            ItemRef::Code(deposit) => {
                let parcel = self.deposits.get(deposit)?.parcel;
                self.parcels.get(parcel)?.marketplace.clone()
            }
            ItemRef::Station(_) | ItemRef::Cooperation(_) => None,
        }
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    interlock_journal::hex::encode(bytes)
}
