//! What single items of a partner's batch become here.
//!
//! INVARIANT: an item is used only if all of it is usable; what came before is kept out by its number,
//! and what was overtaken comes in once. It does not know batches, cursors and receipts.

use std::collections::{BTreeMap, BTreeSet};

use interlock_core::event::ParcelEvent;
use interlock_core::ids::{ParcelId, ParticipantId};
use interlock_core::parcel::{
    Consent, Generation, LastGeneration, Preference, SizeClass, generation_for,
};
use interlock_core::time::{Timestamp, Zone};
use interlock_core::waybill::Waybill;

use super::check::{code_usable, is_short, place_usable, station_usable};
use super::parse_hex32;
use crate::exchange::wire::{CodeView, FeedItem, Lane, ParcelView, PreAdviceView};
use crate::node::Node;
use crate::node::live::PullKey;
use crate::node::record::{AlertKind, ParcelRecord, ReceivedItem, Record, StationSeen};
use crate::node::turn::Turn;

/// What a batch held so far of each parcel, by whether it counts locker steps.
pub(super) type Seen = BTreeMap<(ParcelId, bool), Numbers>;

/// Numbers of the events of a parcel.
pub(super) struct Numbers {
    /// The highest so far.
    last: u32,
    /// Lower ones that this batch has brought.
    late: BTreeSet<u32>,
}

impl Node {
    /// Turns an item into what we store; records of parcels that were unknown precede.
    pub(super) fn received(
        &mut self,
        turn: &mut Turn<'_>,
        key: &PullKey,
        item: &FeedItem,
        seen: &mut Seen,
    ) -> Option<ReceivedItem> {
        match item {
            FeedItem::PreAdvice(view) => self.received_advice(turn, key, view),
            FeedItem::Parcel(view) => self.received_event(turn, key, view, seen),
            FeedItem::Station(view) if !station_usable(view) => None,
            FeedItem::Station(view) => Some(ReceivedItem::Station(StationSeen {
                station: view.station.clone(),
                name: view.name.clone(),
                position: view.position,
                state: view.state.clone(),
                capacity: view.capacity,
                availability: view.availability.clone(),
            })),
            FeedItem::Cooperation(view) => self.received_status(&key.from, view),
            FeedItem::Code(view) => self.received_code(turn, key, view),
        }
    }

    /// A code that is told in the form of its release. Whoever has the parcel says its code, and nobody
    /// else changes it.
    fn received_code(
        &mut self,
        turn: &mut Turn<'_>,
        key: &PullKey,
        view: &CodeView,
    ) -> Option<ReceivedItem> {
        let told = view.told.as_ref().filter(|told| code_usable(told))?;
        if view.form != Some(told.form()) {
            return None;
        }
        let waybill = Waybill::parse(&view.carrier, &view.number).ok()?;
        let known = self.state.parcels.find(&waybill);
        let elsewhere = known.as_ref().and_then(|parcel| parcel.last_in_locker());
        if elsewhere.is_some_and(|e| {
            e.from.as_ref() != Some(&key.from) && !e.event.step.leaves_compartment()
        }) {
            return None;
        }
        let parcel = self.parcel_of(turn, &key.from, &waybill, turn.at());
        let due = self.code_due(turn, key);
        let code = turn.seal(&self.state.vault, told, due)?;
        Some(ReceivedItem::Code { parcel, code })
    }

    fn received_advice(
        &mut self,
        turn: &mut Turn<'_>,
        key: &PullKey,
        view: &PreAdviceView,
    ) -> Option<ReceivedItem> {
        let waybill = Waybill::parse(&view.carrier, &view.number).ok()?;
        let size_class = match &view.size_class {
            Some(name) => Some(SizeClass::parse(name).ok()?),
            None => None,
        };
        let claim = match &view.claim {
            Some(text) => Some(parse_hex32(text)?),
            None => None,
        };
        // A time ahead of ours would open a new generation and hide the parcel that is under way.
        let issued_at = view.issued_at.min(turn.at());
        let (id, generation) = self.place(turn, &waybill, issued_at);
        let was_contested = self.is_contested(id);
        self.record(
            turn,
            Record::Parcel(Box::new(ParcelRecord {
                id,
                waybill,
                generation,
                issued_at,
                source: Some(key.from.clone()),
                marketplace: view.marketplace.clone(),
                merchant: None,
                owner: view.owner.clone(),
                claim,
                size_class,
                consent: Consent::Unknown,
                preference: Preference::default(),
                recipient: None,
                lockers: Vec::new(),
            })),
        );
        if !was_contested && self.is_contested(id) {
            let detail =
                "two participants are named as owner; nobody is fed until it is settled".into();
            self.alert(
                turn,
                AlertKind::ContestedOwnership,
                Some(id),
                Some(&key.from),
                detail,
            );
        }
        Some(ReceivedItem::Advice(id))
    }

    fn received_event(
        &mut self,
        turn: &mut Turn<'_>,
        key: &PullKey,
        view: &ParcelView,
        seen: &mut Seen,
    ) -> Option<ReceivedItem> {
        let waybill = Waybill::parse(&view.carrier, &view.number).ok()?;
        let step = view.step.clone().filter(is_short)?;
        if view
            .place
            .as_ref()
            .is_some_and(|place| !place_usable(place))
        {
            return None;
        }
        let at = view.at.unwrap_or_else(|| turn.at());
        if !at.is_date() || view.pickup_until.is_some_and(|until| !until.is_date()) {
            return None;
        }
        let parcel = self.parcel_of(turn, &key.from, &waybill, at);
        let number = view.sequence;
        let known = self.state.parcels.get(parcel);
        let locker = step.is_locker();
        let numbers = seen.entry((parcel, locker)).or_insert_with(|| Numbers {
            last: known
                .as_ref()
                .map_or(0, |p| p.last_received(&key.from, locker)),
            late: BTreeSet::new(),
        });
        if number <= numbers.last {
            // What waited until an agreement covered it may come behind what arose later.
            let had = known.is_some_and(|p| p.has_received(&key.from, locker, number));
            let late = key.lane == Lane::Backlog && !had && numbers.late.insert(number);
            if !late {
                return Some(ReceivedItem::Skipped { parcel, number });
            }
        }
        numbers.last = numbers.last.max(number);
        let event = ParcelEvent {
            number,
            step,
            at,
            zone: view.zone.unwrap_or(Zone::UTC),
            place: view.place.clone(),
        };
        Some(ReceivedItem::Event {
            parcel,
            event,
            pickup_until: view.pickup_until,
        })
    }

    /// Our id of a partner's parcel, which is put on record if it is new.
    fn parcel_of(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        waybill: &Waybill,
        at: Timestamp,
    ) -> ParcelId {
        if let Some(parcel) = self.state.parcels.find(waybill) {
            return parcel.id;
        }
        let (id, generation) = self.place(turn, waybill, at);
        self.record(
            turn,
            Record::Parcel(Box::new(ParcelRecord {
                id,
                waybill: *waybill,
                generation,
                issued_at: at,
                source: Some(from.clone()),
                marketplace: None,
                merchant: None,
                owner: None,
                claim: None,
                size_class: None,
                consent: Consent::Unknown,
                preference: Preference::default(),
                recipient: None,
                lockers: Vec::new(),
            })),
        );
        id
    }

    /// The parcel to which a waybill issued at a time belongs: a known one, or a new id and generation.
    pub(in crate::node) fn place(
        &self,
        turn: &mut Turn<'_>,
        waybill: &Waybill,
        issued_at: Timestamp,
    ) -> (ParcelId, Generation) {
        let last = self.state.parcels.find(waybill);
        let last_generation = last.as_ref().map(|p| LastGeneration {
            generation: p.generation,
            closed_at: p.closed_at,
        });
        let generation = generation_for(issued_at, last_generation);
        match last {
            Some(parcel) if parcel.generation == generation => (parcel.id, generation),
            Some(_) | None => (ParcelId::from_bytes(turn.random16()), generation),
        }
    }

    fn is_contested(&self, id: ParcelId) -> bool {
        self.state.parcels.get(id).is_some_and(|p| {
            matches!(
                p.ownership,
                interlock_core::parcel::Ownership::Contested { .. }
            )
        })
    }
}
