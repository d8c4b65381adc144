//! What a feed shows of an item: the granted fields and no others.
//!
//! INVARIANT: what [`State::view`] gives follows from what is on record, so that evidence can be made
//! again when a code is long gone; a code is added as the item leaves.

use interlock_core::contact::ContactForm;
use interlock_core::event::Place;
use interlock_core::ids::{DepositId, Marketplace};
use interlock_core::terms::{Field, Terms};

use super::record::ItemRef;
use super::state::{Deposit, State};
use crate::exchange::wire::{CodeTold, CodeView, FeedItem, ParcelView, PreAdviceView, StationView};
use crate::identity::code_key::seal_code;

impl State {
    // tidy: long, one literal a kind of item
    /// The item with the granted fields; `None` if what it is about is gone, or cannot be named.
    pub(in crate::node) fn view(&self, item: &ItemRef, terms: &Terms) -> Option<FeedItem> {
        let fields = terms.field_set();
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
                Some(FeedItem::Code(CodeView {
                    carrier: parcel.waybill.carrier().as_str().into(),
                    number: parcel.waybill.number().into(),
                    station: has(Field::Station).then(|| deposit.station.clone()),
                    form: self.code_form(&deposit, terms).filter(|_| has(Field::Code)),
                    told: None,
                }))
            }
        }
    }

    /// An item that was released, as it leaves now: a code stands in no queue, and is told in the form of
    /// its release while it opens a door.
    pub(in crate::node) fn told(&self, item: &ItemRef, shown: FeedItem) -> FeedItem {
        match (item, shown) {
            (ItemRef::Code(id), FeedItem::Code(view)) => FeedItem::Code(CodeView {
                told: view.form.and_then(|form| self.code_told(id, form)),
                ..view
            }),
            (_, shown) => shown,
        }
    }

    /// The form in which the code of a parcel in a compartment of ours may leave: sealed once its
    /// recipient has enrolled a key, else in clear; nothing if that was not agreed on. It follows from
    /// what is on record alone.
    pub(in crate::node) fn code_form(
        &self,
        deposit: &Deposit,
        terms: &Terms,
    ) -> Option<ContactForm> {
        let form = match self.code_keys.contains_key(&deposit.parcel) {
            true => ContactForm::Sealed,
            false => ContactForm::Full,
        };
        let agreed = terms.contact_forms.contains(&form);
        (agreed && deposit.lies()).then_some(form)
    }

    fn code_told(&self, id: &DepositId, form: ContactForm) -> Option<CodeTold> {
        let deposit = self.deposits.get(id).filter(|deposit| deposit.lies())?;
        let code = deposit.code.value.as_ref()?;
        let compartment = deposit.compartment.number();
        match (form, self.code_keys.get(&deposit.parcel)) {
            (ContactForm::Full, None) => Some(CodeTold::Open {
                code: code.clone(),
                compartment,
            }),
            (ContactForm::Sealed, Some(key)) => {
                let text = compartment.to_string();
                let mut draws = self.links.code_draws(id, key, code, &text);
                let sealed = seal_code(key, id, code, &text, &mut draws)?;
                Some(CodeTold::Sealed {
                    deposit: id.to_string(),
                    sealed: hex(&sealed),
                })
            }
            (ContactForm::Full, Some(_)) | (ContactForm::Sealed, None) => None,
            (ContactForm::Masked | ContactForm::Virtual, _) => None,
        }
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
