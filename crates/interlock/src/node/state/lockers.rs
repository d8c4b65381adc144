//! Applying records about stations, deposits and the contacts that go with them.

use interlock_core::dataset::Dataset;
use interlock_core::ids::{DepositId, ParticipantId, RequestId, StationId};
use interlock_core::locker::Stay;
use interlock_core::parcel::SizeClass;
use interlock_core::station::{Compartments, Station, level};
use interlock_core::time::Timestamp;

use super::apply::ReplayError;
use super::feed::Queued;
use super::rounds::Rounds;
use super::{Deposit, OwnStation, State};
use crate::exchange::wire::Contact;
use crate::node::ContentKeys;
use crate::node::content::{Content, Links};
use crate::node::record::{CompartmentChange, ContactOutcome, DepositRecord, ItemRef, Teller};

impl State {
    pub(super) fn station(&mut self, at: Timestamp, station: &Station) {
        let id = station.id.clone();
        match self.stations.get_mut(&id) {
            Some(own) if own.station.capacity == station.capacity => own.station = station.clone(),
            Some(_) | None => {
                let own = OwnStation {
                    station: station.clone(),
                    compartments: Compartments::new(station.capacity),
                    shown: [None; 3],
                };
                self.stations.insert(id.clone(), own);
            }
        }
        self.refresh_levels(&id);
        self.show_station(at, &id);
    }

    /// Puts a station's present state into the feeds of all who may see stations.
    fn show_station(&mut self, at: Timestamp, id: &StationId) {
        let consumers: Vec<ParticipantId> = self
            .book
            .agreements
            .values()
            .filter(|a| a.provider == self.me && a.terms.dataset == Dataset::LockerStations)
            .map(|a| a.consumer.clone())
            .collect();
        for consumer in consumers {
            let item = Queued {
                item: ItemRef::Station(id.clone()),
                arose_at: at,
            };
            let known = self
                .channels
                .get(&consumer)
                .and_then(|c| c.outbound.get(&Dataset::LockerStations));
            if !known.is_some_and(|feed| feed.holds(&item.item)) {
                self.enqueue(&consumer, Dataset::LockerStations, item, at);
            }
        }
    }

    /// All stations, toward a consumer whose agreement just came into force.
    pub(super) fn show_all_stations(&mut self, at: Timestamp, consumer: &ParticipantId) {
        let ids: Vec<StationId> = self.stations.keys().cloned().collect();
        for id in ids {
            let item = Queued {
                item: ItemRef::Station(id),
                arose_at: at,
            };
            let known = self
                .channels
                .get(consumer)
                .and_then(|c| c.outbound.get(&Dataset::LockerStations));
            if !known.is_some_and(|feed| feed.holds(&item.item)) {
                self.enqueue(consumer, Dataset::LockerStations, item, at);
            }
        }
    }

    /// Recomputes the coarse levels of a station; true if one changed.
    fn refresh_levels(&mut self, id: &StationId) -> bool {
        let Some(own) = self.stations.get_mut(id) else {
            return false;
        };
        let before = own.shown;
        for (shown, size) in own.shown.iter_mut().zip(SizeClass::ALL) {
            *shown = level(
                *shown,
                own.compartments.free(size),
                own.station.capacity.of(size),
            );
        }
        own.shown != before
    }

    fn compartments_changed(&mut self, at: Timestamp, id: &StationId) {
        if self.refresh_levels(id) {
            self.show_station(at, id);
        }
    }

    pub(super) fn deposit(
        &mut self,
        at: Timestamp,
        record: &DepositRecord,
        keys: &dyn ContentKeys,
    ) -> Result<(), ReplayError> {
        let own = self
            .stations
            .get_mut(&record.station)
            .ok_or(ReplayError("a deposit's station is unknown"))?;
        own.compartments
            .take(record.compartment)
            .map_err(|_| ReplayError("a deposit's compartment is not free"))?;
        let parcel = self
            .parcels
            .get_mut(record.parcel)
            .ok_or(ReplayError("a deposit's parcel is unknown"))?;
        parcel.deposit = Some(record.id);
        let deposit = Deposit {
            parcel: record.parcel,
            station: record.station.clone(),
            compartment: record.compartment,
            size_class: record.size_class,
            stay: record.stay.clone(),
            courier: Content::open(&record.courier, keys),
            code: Content::open(&record.code, keys),
            contact: record
                .contact
                .as_ref()
                .map(|sealed| Content::open(sealed, keys)),
            contact_form: record
                .contact
                .as_ref()
                .map(|_| interlock_core::contact::ContactForm::Full),
            contact_under: None,
            teller: None,
            opened_at: at,
            deposited_at: None,
            pickup_until: None,
            message: None,
        };
        if let Some(courier) = &deposit.courier.value {
            self.rounds.enter(&self.links, courier, record.id);
        }
        self.deposits.insert(record.id, deposit);
        self.compartments_changed(at, &record.station);
        Ok(())
    }

    pub(super) fn stay(
        &mut self,
        at: Timestamp,
        id: DepositId,
        stay: &Stay,
        change: CompartmentChange,
    ) -> Result<(), ReplayError> {
        let deposit = self
            .deposits
            .get_mut(&id)
            .ok_or(ReplayError("a deposit is unknown"))?;
        deposit.stay = stay.clone();
        if let Some(deadline) = stay.deadline() {
            deposit.pickup_until = Some(deadline);
        }
        if matches!(change, CompartmentChange::Occupied) {
            deposit.deposited_at = Some(at);
        }
        let (station, compartment) = (deposit.station.clone(), deposit.compartment);
        if stay.phase().is_over() {
            leave_round(&mut self.rounds, &self.links, deposit, id);
            self.code_keys.remove(&deposit.parcel);
            self.delegates.set(&self.links, id, None);
            self.deposits.ended(id);
        }
        let own = self
            .stations
            .get_mut(&station)
            .ok_or(ReplayError("a deposit's station is unknown"))?;
        match change {
            CompartmentChange::None => return Ok(()),
            CompartmentChange::Occupied => {
                self.counters.deposits += 1;
                own.compartments.occupy(compartment)
            }
            CompartmentChange::Released => {
                if stay.phase() == interlock_core::locker::Phase::PickedUp {
                    self.counters.picked_up += 1;
                }
                own.compartments.release(compartment)
            }
        }
        .map_err(|_| ReplayError("a compartment is not in the state that its deposit says"))?;
        self.compartments_changed(at, &station);
        Ok(())
    }

    pub(super) fn teller(&mut self, id: DepositId, teller: &Teller) -> Result<(), ReplayError> {
        let deposit = self
            .deposits
            .get_mut(&id)
            .ok_or(ReplayError("a deposit is unknown"))?;
        deposit.teller = Some(teller.clone());
        if let Teller::Nobody { reason } = teller {
            self.counters.deposits_refused += 1;
            let reason = reason.clone();
            *self.counters.refusals.entry(reason).or_default() += 1;
        }
        Ok(())
    }

    pub(super) fn lookup_answered(
        &mut self,
        at: Timestamp,
        from: &ParticipantId,
        request_id: RequestId,
        outcomes: &[ContactOutcome],
        keys: &dyn ContentKeys,
    ) -> Result<(), ReplayError> {
        let channel = self
            .channels
            .get_mut(from)
            .ok_or(ReplayError("an answer's channel is unknown"))?;
        let asked = channel
            .asked
            .remove(&request_id)
            .ok_or(ReplayError("an answer was not asked for"))?;
        for ((id, _, _), outcome) in asked.items.iter().zip(outcomes) {
            let deposit = self
                .deposits
                .get_mut(id)
                .ok_or(ReplayError("a deposit is unknown"))?;
            if let ContactOutcome::Granted { form, contact } = outcome {
                deposit.contact = Some(Content::<Contact>::open(contact, keys));
                deposit.contact_form = Some(*form);
                deposit.contact_under = Some((asked.agreement.clone(), at));
                self.vault.granted(contact.hour, &asked.agreement, at);
            }
        }
        Ok(())
    }
}

/// A deposit is no courier's to look after any more, or nobody may know whose.
pub(super) fn leave_round(rounds: &mut Rounds, links: &Links, deposit: &Deposit, id: DepositId) {
    if let Some(courier) = &deposit.courier.value {
        rounds.leave(links, courier, id);
    }
}
