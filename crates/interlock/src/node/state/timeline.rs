//! Applying records about parcels, and routing their events to the feeds of those who may have them.

use interlock_core::dataset::Dataset;
use interlock_core::event::Step;
use interlock_core::ids::{ParcelId, ParticipantId};
use interlock_core::parcel::{Claim, ClaimToken, ClaimTokenHash, Consent, Ownership, Preference};
use interlock_core::terms::Notifier;
use interlock_core::time::Timestamp;
use interlock_core::waybill::CarrierCode;

use super::State;
use super::apply::ReplayError;
use super::feed::Queued;
use super::parcels::{BareClaim, ContactUse, Lease, Leased, Parcel, TimelineEvent};
use super::shop::Standing;
use crate::node::ContentKeys;
use crate::node::content::{Content, LinkKind};
use crate::node::outlook::Flow;
use crate::node::record::{EventRecord, ItemRef, LookupReleased, ParcelRecord};
use interlock_core::contact::ContactForm;

impl State {
    pub(super) fn parcel(&mut self, at: Timestamp, record: &ParcelRecord, keys: &dyn ContentKeys) {
        if self.parcels.get(record.id).is_none() {
            let links = [LinkKind::Tracking, LinkKind::Pickup]
                .map(|kind| (self.links.digest(kind, record.id), kind));
            self.parcels.insert(new_parcel(at, record), links);
        }
        let carrier_says = self.speaks_for_carrier(record);
        let Some(parcel) = self.parcels.get_mut(record.id) else {
            return;
        };
        let owner_before = parcel.owner().cloned();
        let stood = Standing::of(parcel, &self.me);
        if carrier_says {
            if let Some(owner) = &record.owner {
                parcel.ownership = parcel.ownership.claim(&Claim::PreAdvice { owner });
            }
            fill(&mut parcel.marketplace, record.marketplace.as_ref());
            fill(&mut parcel.size_class, record.size_class.as_ref());
            fill(&mut parcel.merchant, record.merchant.as_ref());
        } else if let Some(claimant) = &record.source {
            parcel.ownership = parcel.ownership.claim(&Claim::Bare { claimant });
            let token = record.claim.map(ClaimTokenHash::from_bytes);
            let claim = BareClaim {
                claimant: claimant.clone(),
                token,
                marketplace: record.marketplace.clone(),
            };
            let mut known = parcel.claims.iter_mut();
            match known.find(|known| known.claimant == claim.claimant) {
                Some(before) => *before = claim,
                None => parcel.claims.push(claim),
            }
        }
        if record.source.is_none() {
            if record.consent != Consent::Unknown && !parcel.wished {
                parcel.consent = record.consent;
            }
            if !parcel.wished {
                parcel.preference = record.preference.clone();
            }
            if let Some(sealed) = &record.recipient {
                parcel.recipient = Some(Content::open(sealed, keys));
            }
        }
        let advised: Vec<ParticipantId> = record
            .lockers
            .iter()
            .filter(|locker| !parcel.lockers.contains(locker))
            .cloned()
            .collect();
        parcel.lockers.extend(advised.iter().cloned());
        let owner_after = parcel.owner().cloned();
        let stands = Standing::of(parcel, &self.me);
        self.parcels.stands(record.id, stood, stands);
        for locker in advised {
            self.enqueue(
                &locker,
                Dataset::PreAdvice,
                Queued {
                    item: ItemRef::Advice(record.id),
                    arose_at: at,
                },
                at,
            );
        }
        if owner_before.is_none() && owner_after.is_some() {
            self.route_history(record.id);
        }
    }

    /// Whether the record is the carrier's own word (or our own door's): then its owner counts.
    fn speaks_for_carrier(&self, record: &ParcelRecord) -> bool {
        match &record.source {
            None => true,
            Some(source) => self
                .partners
                .get(source)
                .is_some_and(|p| p.carriers.contains(&record.waybill.carrier())),
        }
    }

    pub(super) fn claimed(
        &mut self,
        id: ParcelId,
        claimant: &ParticipantId,
        token: [u8; 16],
    ) -> Result<(), ReplayError> {
        let parcel = self
            .parcels
            .get_mut(id)
            .ok_or(ReplayError("a claimed parcel is unknown"))?;
        let owner_before = parcel.owner().cloned();
        let stood = Standing::of(parcel, &self.me);
        let token = ClaimToken::from_bytes(token);
        let claims = parcel.claims.clone();
        for claim in claims.iter().filter(|claim| &claim.claimant == claimant) {
            parcel.ownership = parcel.ownership.claim(&Claim::Token {
                claimant,
                token: &token,
                expected: claim.token.as_ref(),
            });
            if claim.token.is_some_and(|hash| hash.matches(&token)) {
                fill(&mut parcel.marketplace, claim.marketplace.as_ref());
            }
        }
        let newly_owned = owner_before.is_none() && parcel.owner().is_some();
        let stands = Standing::of(parcel, &self.me);
        self.parcels.stands(id, stood, stands);
        if newly_owned {
            self.route_history(id);
        }
        Ok(())
    }

    pub(super) fn own_event(
        &mut self,
        at: Timestamp,
        record: &EventRecord,
    ) -> Result<(), ReplayError> {
        let parcel = self
            .parcels
            .get_mut(record.parcel)
            .ok_or(ReplayError("an event's parcel is unknown"))?;
        if record.event.number != parcel.last_number(None) + 1 {
            return Err(ReplayError("an event is numbered out of order"));
        }
        let index = u32::try_from(parcel.events.len())
            .map_err(|_| ReplayError("a parcel has too many events"))?;
        let stood = Standing::of(parcel, &self.me);
        parcel.events.push(TimelineEvent {
            event: record.event.clone(),
            from: None,
            logged_at: at,
            digest: record.digest,
        });
        let stands = Standing::of(parcel, &self.me);
        let addressed = Addressed::of(parcel);
        self.parcels.stands(record.parcel, stood, stands);
        if record.event.step.is_final() {
            self.parcels.close(record.parcel, at);
            self.code_keys.remove(&record.parcel);
        }
        self.counters.events_accepted += 1;
        let locker = record.event.step.is_locker();
        self.route(&addressed, ItemRef::Event(record.parcel, index), locker, at);
        if record.event.step == Step::Deposited {
            self.offer_code(record.parcel, at);
        }
        Ok(())
    }

    /// Puts the code of a parcel that lies in a compartment of ours into the feeds of those with whom that
    /// was agreed, in a form in which it may leave: its owner, and the carrier that tells the recipient.
    pub(super) fn offer_code(&mut self, id: ParcelId, at: Timestamp) {
        let Some(parcel) = self.parcels.get(id) else {
            return;
        };
        let held = parcel
            .deposit
            .and_then(|id| Some((id, self.deposits.get(&id)?)));
        let Some((deposit, held)) = held else { return };
        let owner = parcel.owner().filter(|owner| **owner != self.me).cloned();
        let carrier = self
            .carrier_of(&parcel)
            .filter(|it| Some(it) != owner.as_ref());
        let all = owner.map(|it| (it, None));
        let all = all
            .into_iter()
            .chain(carrier.map(|it| (it, Some(Notifier::Carrier))));
        let agreed: Vec<ParticipantId> = all
            .filter(|(consumer, notifier)| {
                let mut between = self.book.between(&self.me, consumer, Dataset::PickupCode);
                between.any(|agreement| {
                    let tells = notifier.is_none() || agreement.terms.notifier == *notifier;
                    tells && self.code_form(&held, &agreement.terms).is_some()
                })
            })
            .map(|(consumer, _)| consumer)
            .collect();
        for consumer in agreed {
            let item = ItemRef::Code(deposit);
            let queued = Queued { item, arose_at: at };
            self.enqueue(&consumer, Dataset::PickupCode, queued, at);
        }
    }

    /// Routes what was accepted before the owner was known.
    fn route_history(&mut self, id: ParcelId) {
        let Some(parcel) = self.parcels.get(id) else {
            return;
        };
        let addressed = Addressed::of(&parcel);
        let own = (0u32..).zip(&parcel.events);
        for (index, entry) in own.filter(|(_, e)| e.from.is_none()) {
            let locker = entry.event.step.is_locker();
            let item = ItemRef::Event(id, index);
            self.route(&addressed, item, locker, entry.logged_at);
        }
        let deposit = parcel.deposit.and_then(|id| self.deposits.get(&id));
        if let Some(at) = deposit.and_then(|deposit| deposit.deposited_at) {
            self.offer_code(id, at);
        }
    }

    /// Puts an event of our own into the feeds of those who may have it: the owner, and the carrier
    /// where it is agreed that the carrier tells the recipient.
    fn route(&mut self, to: &Addressed, item: ItemRef, locker: bool, at: Timestamp) {
        let dataset = if locker {
            Dataset::LockerEvents
        } else {
            Dataset::TrackingEvents
        };
        let owner = to.owner.clone().filter(|owner| *owner != self.me);
        let carrier = locker.then(|| self.notified_as(to.carrier)).flatten();
        let carrier = carrier.filter(|carrier| owner.as_ref() != Some(carrier));
        for consumer in owner.into_iter().chain(carrier) {
            let item = item.clone();
            let queued = Queued { item, arose_at: at };
            self.enqueue(&consumer, dataset, queued, at);
        }
    }

    /// The parcel's carrier, if it ever had an agreement with us by which it tells the recipient.
    pub(super) fn carrier_notified(&self, parcel: &Parcel) -> Option<ParticipantId> {
        self.notified_as(parcel.waybill.carrier())
    }

    fn notified_as(&self, carrier: CarrierCode) -> Option<ParticipantId> {
        let carrier = self.partner_that_is(carrier)?;
        let agreed = self
            .book
            .between(&self.me, &carrier, Dataset::LockerEvents)
            .any(|a| a.terms.notifier == Some(Notifier::Carrier));
        agreed.then_some(carrier)
    }

    /// The partner that carries the parcel.
    pub fn carrier_of(&self, parcel: &Parcel) -> Option<ParticipantId> {
        self.partner_that_is(parcel.waybill.carrier())
    }

    fn partner_that_is(&self, carrier: CarrierCode) -> Option<ParticipantId> {
        self.partners
            .values()
            .find(|p| p.carriers.contains(&carrier))
            .map(|p| p.id.clone())
    }

    /// Queues an item toward a consumer: ready if an agreement is in force (or its run-off covers the
    /// parcel), held or dropped otherwise, by the last agreement's word.
    pub(super) fn enqueue(
        &mut self,
        consumer: &ParticipantId,
        dataset: Dataset,
        item: Queued,
        at: Timestamp,
    ) {
        let flow = self.flow(&self.book, consumer, dataset, &item.item, at);
        let feed = self
            .channel_mut(consumer)
            .outbound
            .entry(dataset)
            .or_default();
        match flow {
            Flow::Live => feed.push_live(item),
            Flow::Dropped => feed.dropped += 1,
            Flow::Held => feed.push_held(item),
        }
    }

    /// When the parcel behind an item qualified for run-off, by our journal: its deposit for
    /// `locker-events`, its registration otherwise.
    pub fn qualified_at(&self, item: &ItemRef, dataset: Dataset) -> Option<Timestamp> {
        let parcel = match item {
            ItemRef::Advice(id) | ItemRef::Event(id, _) => self.parcels.get(*id)?,
            ItemRef::Code(deposit) => self.parcels.get(self.deposits.get(deposit)?.parcel)?,
            ItemRef::Station(_) | ItemRef::Cooperation(_) => return None,
        };
        match dataset {
            Dataset::LockerEvents | Dataset::PickupCode => parcel
                .events
                .iter()
                .find(|e| e.from.is_none() && e.event.step.is_locker())
                .map(|e| e.logged_at),
            Dataset::PreAdvice
            | Dataset::RecipientContact
            | Dataset::LockerStations
            | Dataset::TrackingEvents
            | Dataset::CooperationStatus
            | Dataset::ExchangeStatistics => Some(parcel.registered_at),
        }
    }

    pub(super) fn contact_used(
        &mut self,
        at: Timestamp,
        id: ParcelId,
        lookup: &LookupReleased,
        form: ContactForm,
        lease: Option<&(String, Timestamp)>,
    ) {
        let Some(parcel) = self.parcels.get_mut(id) else {
            return;
        };
        parcel.uses.push(ContactUse {
            passed_on: false,
            to: lookup.to.clone(),
            agreement: lookup.agreement.clone(),
            purpose: lookup.purpose.clone(),
            form,
            at,
        });
        let lease = lease.and_then(|(text, until)| Some((Leased::parse(text)?, *until)));
        if let Some((number, until)) = lease {
            parcel.leased(Lease {
                number,
                holder: lookup.to.clone(),
                since: at,
                until,
            });
            if let Leased::Number(digits) = number {
                self.bindings.bind(&lookup.to, digits, id, until);
            }
        }
    }

    /// What the recipient wants takes the place of what an order system said.
    pub(super) fn wished(
        &mut self,
        id: ParcelId,
        consent: Consent,
        preference: &Preference,
    ) -> Result<(), ReplayError> {
        let parcel = self.parcels.get_mut(id);
        let parcel = parcel.ok_or(ReplayError("a wish is for a parcel that is unknown"))?;
        parcel.consent = consent;
        parcel.preference = preference.clone();
        parcel.wished = true;
        Ok(())
    }

    pub(super) fn contact_deleted(&mut self, at: Timestamp, id: ParcelId) {
        let Some(parcel) = self.parcels.get_mut(id) else {
            return;
        };
        parcel.end_leases(at);
        if let Some(recipient) = &mut parcel.recipient {
            recipient.erase();
        }
        if let Some(deposit) = parcel.deposit.and_then(|d| self.deposits.get_mut(&d))
            && let Some(contact) = &mut deposit.contact
        {
            contact.erase();
        }
    }
}

/// What of a parcel says into whose feeds its events go.
struct Addressed {
    owner: Option<ParticipantId>,
    carrier: CarrierCode,
}

impl Addressed {
    fn of(parcel: &Parcel) -> Self {
        Self {
            owner: parcel.owner().cloned(),
            carrier: parcel.waybill.carrier(),
        }
    }
}

fn new_parcel(at: Timestamp, record: &ParcelRecord) -> Parcel {
    Parcel {
        id: record.id,
        waybill: record.waybill,
        generation: record.generation,
        issued_at: record.issued_at,
        registered_at: at,
        marketplace: None,
        merchant: None,
        ownership: Ownership::default(),
        size_class: None,
        consent: Consent::Unknown,
        preference: Preference::default(),
        wished: false,
        recipient: None,
        lockers: Vec::new(),
        claims: Vec::new(),
        events: Vec::new(),
        deposit: None,
        uses: Vec::new(),
        leases: Vec::new(),
        code: None,
        pickup_until: None,
        closed_at: None,
    }
}

fn fill<T: Clone>(slot: &mut Option<T>, value: Option<&T>) {
    if let Some(value) = value {
        *slot = Some(value.clone());
    }
}
