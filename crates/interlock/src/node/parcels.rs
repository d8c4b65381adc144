//! Parcels and events at our own door.
//!
//! Purpose: what order systems tell us and ask us. Invariants: a request is taken whole or refused
//! whole; a repeat of an event is found within its parcel and answered as such. It does not know
//! partners.

use interlock_core::dataset::Dataset;
use interlock_core::event::Place;
use interlock_core::ids::ParcelId;
use interlock_core::parcel::{Consent, Generation, Ownership};
use interlock_core::time::Timestamp;
use interlock_core::waybill::Waybill;
use serde_json::{Value, json};

use super::Node;
use super::content::LinkKind;
use super::io::{EventPut, EventTaken, FieldError, LocalAnswer, ParcelPut, Problem};
use super::live::{EventWaiter, Timer};
use super::problem;
use super::record::{EventRecord, ParcelRecord, Record};
use super::state::parcels::TimelineEvent;
use super::turn::Turn;
use crate::epcis::{EventDraft, IdBase, render};
use crate::identity::partner::Role;

/// Most events of one answer of `GET /events`.
pub const EVENTS_PAGE_MAX: u32 = 1_000;
/// Most callers that may wait for events.
const WAITERS_MAX: usize = 256;

impl Node {
    /// `PUT /parcels`.
    pub(super) fn put_parcels(
        &mut self,
        turn: &mut Turn<'_>,
        parcels: Vec<ParcelPut>,
    ) -> Result<LocalAnswer, Problem> {
        let errors: Vec<FieldError> = parcels
            .iter()
            .enumerate()
            .filter_map(|(at, put)| self.check_put(at, put))
            .collect();
        if !errors.is_empty() {
            return Err(Problem {
                kind: "invalid".into(),
                status: 422,
                title: "some parcels cannot be taken".into(),
                detail: "nothing was taken; correct the fields listed and send all of them again"
                    .into(),
                errors,
            });
        }
        let mut items = Vec::with_capacity(parcels.len());
        for put in parcels {
            let id = self.put_parcel(turn, &put)?;
            let own = self
                .state
                .parcels
                .get(id)
                .is_some_and(|p| p.owner() == Some(&self.state.me));
            let links = &self.state.links;
            items.push(json!({
                "carrier": put.waybill.carrier().as_str(),
                "number": put.waybill.number(),
                "claim": own.then(|| links.claim(id).reveal()),
                "tracking": own.then(|| format!("{}/t/{}", self.config.public_url, links.token(LinkKind::Tracking, id))),
            }));
        }
        Ok(LocalAnswer::Json {
            status: 200,
            body: json!({ "items": items }),
        })
    }

    fn check_put(&self, at: usize, put: &ParcelPut) -> Option<FieldError> {
        let error = |name: &str, detail: String| {
            Some(FieldError {
                pointer: format!("/parcels/{at}/{name}"),
                detail,
            })
        };
        let platform = self.config.roles.contains(&Role::Platform);
        if platform
            && !self.config.marketplaces.is_empty()
            && !self.config.marketplaces.contains(&put.marketplace)
        {
            return error(
                "marketplace",
                format!(
                    "`{}` is not a marketplace of this node; `interlock.toml` lists them",
                    put.marketplace
                ),
            );
        }
        if platform
            && put
                .owner
                .as_ref()
                .is_some_and(|owner| *owner != self.state.me)
        {
            return error(
                "owner",
                "a platform puts its own parcels; leave `owner` out".into(),
            );
        }
        if let Some(stranger) = put
            .lockers
            .iter()
            .find(|locker| !self.state.partners.contains_key(*locker))
        {
            return error(
                "lockers",
                format!("`{stranger}` is no partner; `interlock partner add` makes it one"),
            );
        }
        None
    }

    fn put_parcel(&mut self, turn: &mut Turn<'_>, put: &ParcelPut) -> Result<ParcelId, Problem> {
        let issued_at = put.issued_at.unwrap_or_else(|| turn.at());
        let (id, generation) = self.place(turn, &put.waybill, issued_at);
        let owner = match (&put.owner, self.config.roles.contains(&Role::Platform)) {
            (Some(owner), _) => Some(owner.clone()),
            (None, true) => Some(self.state.me.clone()),
            (None, false) => None,
        };
        if self.is_known(id, put) {
            return Ok(id);
        }
        let due = self.keep_until(turn, self.config.recipient_kept_ms, None);
        let recipient = match &put.recipient {
            Some(recipient) => Some(turn.seal(&self.state.vault, recipient, due).ok_or_else(
                || {
                    problem::problem(
                        "internal",
                        500,
                        "not taken",
                        "the recipient could not be put on record; try again",
                    )
                },
            )?),
            None => None,
        };
        let record = ParcelRecord {
            id,
            waybill: put.waybill,
            generation,
            issued_at,
            source: None,
            marketplace: Some(put.marketplace.clone()),
            merchant: put.merchant.clone(),
            owner,
            claim: None,
            size_class: put.size_class,
            consent: put.consent,
            preference: put.preference.clone(),
            recipient,
            lockers: put.lockers.clone(),
        };
        self.record(turn, Record::Parcel(Box::new(record)));
        for locker in &put.lockers {
            self.live.ready.insert((locker.clone(), Dataset::PreAdvice));
        }
        self.ready_for(id);
        Ok(id)
    }

    /// Whether a put says nothing new.
    fn is_known(&self, id: ParcelId, put: &ParcelPut) -> bool {
        let Some(parcel) = self.state.parcels.get(id) else {
            return false;
        };
        let owner = put
            .owner
            .as_ref()
            .is_none_or(|owner| parcel.owner() == Some(owner));
        let recipient = put.recipient.as_ref().is_none_or(|new| {
            parcel
                .recipient
                .as_ref()
                .and_then(|held| held.value.as_ref())
                == Some(new)
        });
        owner
            && recipient
            && parcel.marketplace.as_ref() == Some(&put.marketplace)
            && put
                .merchant
                .as_ref()
                .is_none_or(|m| parcel.merchant.as_ref() == Some(m))
            && put.size_class.is_none_or(|s| parcel.size_class == Some(s))
            && (put.consent == Consent::Unknown || put.consent == parcel.consent || parcel.wished)
            && (put.preference == parcel.preference || parcel.wished)
            && put
                .lockers
                .iter()
                .all(|locker| parcel.lockers.contains(locker))
    }

    /// A parcel of which nobody has spoken, scanned with a typed contact.
    pub(super) fn bare_parcel(&mut self, turn: &mut Turn<'_>, waybill: &Waybill) -> ParcelId {
        let id = ParcelId::from_bytes(turn.random16());
        let record = ParcelRecord {
            id,
            waybill: *waybill,
            generation: Generation::FIRST,
            issued_at: turn.at(),
            source: None,
            marketplace: None,
            merchant: None,
            owner: None,
            claim: None,
            size_class: None,
            consent: Consent::Unknown,
            preference: interlock_core::parcel::Preference::default(),
            recipient: None,
            lockers: Vec::new(),
        };
        self.record(turn, Record::Parcel(Box::new(record)));
        id
    }

    /// `POST /events`.
    pub(super) fn post_events(
        &mut self,
        turn: &mut Turn<'_>,
        events: Vec<EventPut>,
    ) -> LocalAnswer {
        let mut items = Vec::with_capacity(events.len());
        for put in events {
            // Nothing of the parcel is held on to: what changes would have to be copied.
            let known = self.state.parcels.find(&put.waybill).map(|parcel| {
                let mut own = parcel.events.iter().filter(|e| e.from.is_none());
                let taken = own.any(|e| e.digest == put.digest);
                (parcel.id, parcel.last_number(None), taken)
            });
            let (id, last) = match known {
                Some((_, _, true)) => {
                    items.push(EventTaken::Duplicate);
                    continue;
                }
                Some((id, last, false)) => (id, last),
                None => (self.bare_parcel(turn, &put.waybill), 0),
            };
            let mut event = put.event;
            event.number = last + 1;
            items.push(EventTaken::Accepted(event.number));
            self.record_event(
                turn,
                EventRecord {
                    parcel: id,
                    event,
                    digest: put.digest,
                },
            );
        }
        LocalAnswer::Events(items)
    }

    /// Puts an event on record and wakes the feeds that it goes to.
    pub(super) fn record_event(&mut self, turn: &mut Turn<'_>, event: EventRecord) {
        let id = event.parcel;
        self.record(turn, Record::Event(event));
        self.ready_for(id);
    }

    /// Feeds that may have something of the parcel now.
    pub(super) fn ready_for(&mut self, id: ParcelId) {
        if self.nobody_waits() {
            return;
        }
        let Some(parcel) = self.state.parcels.get(id) else {
            return;
        };
        let carrier = self.state.carrier_of(&parcel);
        for consumer in parcel.owner().into_iter().chain(carrier.as_ref()) {
            for dataset in [
                Dataset::LockerEvents,
                Dataset::TrackingEvents,
                Dataset::PickupCode,
            ] {
                self.live.ready.insert((consumer.clone(), dataset));
            }
        }
    }

    /// `GET /parcels/{carrier}/{number}`.
    pub(super) fn parcel_answer(
        &self,
        turn: &Turn<'_>,
        waybill: &Waybill,
    ) -> Result<LocalAnswer, Problem> {
        let parcel = self
            .state
            .parcels
            .find(waybill)
            .ok_or_else(|| problem::not_found("parcel"))?;
        let zone = self.config.zone;
        let owner = match &parcel.ownership {
            Ownership::Owned { owner, .. } => json!({ "state": "owned", "owner": owner.as_str() }),
            Ownership::Unclaimed { .. } => json!({ "state": "unclaimed" }),
            Ownership::Contested { .. } => json!({ "state": "contested" }),
        };
        let events = parcel.in_order().into_iter();
        let events: Vec<Value> = events.map(|e| self.event_view(e)).collect();
        let uses: Vec<Value> = parcel
            .uses
            .iter()
            .map(|u| json!({ "to": u.to.as_str(), "purpose": u.purpose, "form": u.form.as_str(), "at": u.at.to_rfc3339(zone) }))
            .collect();
        let latest = parcel.latest();
        let own = parcel.owner() == Some(&self.state.me);
        let body = json!({
            "carrier": parcel.waybill.carrier().as_str(),
            "number": parcel.waybill.number(),
            "generation": parcel.generation.number(),
            "marketplace": parcel.marketplace.as_ref().map(|m| m.as_str()),
            "merchant": parcel.merchant.as_ref().map(|m| m.as_str()),
            "ownership": owner,
            "state": latest.map(|e| e.event.step.as_str()),
            "stateAt": latest.map(|e| e.event.at.to_rfc3339(e.event.zone)),
            "ageSeconds": latest.map(|e| turn.at().since_ms(e.event.at) / 1_000),
            "stale": self.stale_reasons(turn, &parcel).iter().map(|s| json!({
                "source": s.source, "since": s.since.to_rfc3339(zone), "reason": super::pages::stale_word(s.reason) })).collect::<Vec<_>>(),
            "events": events,
            "contactReleases": uses,
            "deposit": parcel.deposit.map(|id| self.deposit_view(id)),
            "tracking": own.then(|| format!("{}/t/{}", self.config.public_url, self.state.links.token(LinkKind::Tracking, parcel.id))),
        });
        Ok(LocalAnswer::Json { status: 200, body })
    }

    fn event_view(&self, entry: &TimelineEvent) -> Value {
        let event = &entry.event;
        json!({
            "number": event.number,
            "step": event.step.as_str(),
            "at": event.at.to_rfc3339(event.zone),
            "place": event.place.as_ref().map(place_words),
            "from": entry.from.as_ref().map(|f| f.as_str()),
            "loggedAt": entry.logged_at.to_rfc3339(self.config.zone),
        })
    }

    /// `GET /events`, now or when something comes.
    pub(super) fn get_events(&mut self, turn: &mut Turn<'_>, waiter: EventWaiter) {
        let (items, next) = self.events_page(&waiter);
        let waits = items.is_empty()
            && waiter.until > turn.at()
            && self.live.event_waiters.len() < WAITERS_MAX;
        if waits {
            self.live.timer(waiter.until, Timer::Poll);
            self.live.event_waiters.push(waiter);
            return;
        }
        let answer = LocalAnswer::Json {
            status: 200,
            body: json!({ "events": items, "next": next }),
        };
        self.reply(turn, waiter.reply, answer);
    }

    pub(super) fn serve_waiters(&mut self, turn: &mut Turn<'_>) {
        if self.live.event_waiters.is_empty() {
            return;
        }
        for waiter in std::mem::take(&mut self.live.event_waiters) {
            self.get_events(turn, waiter);
        }
    }

    fn events_page(&self, waiter: &EventWaiter) -> (Vec<Value>, u64) {
        let base = IdBase::of(&self.config.id);
        let mut next = waiter.after;
        let mut items = Vec::new();
        let entries = self.state.inbox.from(waiter.after);
        for (entry, position) in entries.zip(waiter.after.saturating_add(1)..) {
            if items.len() >= waiter.limit as usize {
                break;
            }
            next = position;
            if waiter.feed.is_some_and(|feed| feed != entry.dataset) {
                continue;
            }
            let mut item = json!({
                "cursor": position,
                "feed": entry.dataset.as_str(),
                "from": entry.from.as_str(),
                "lane": entry.lane.as_str(),
                "receivedAt": entry.at.to_rfc3339(self.config.zone),
            });
            if let (Some(object), Some((key, value))) =
                (item.as_object_mut(), self.inbox_body(&entry, base.as_ref()))
            {
                object.insert(key.into(), value);
            }
            items.push(item);
        }
        (items, next)
    }

    fn inbox_body(
        &self,
        entry: &super::state::InboxEntry,
        base: Option<&IdBase>,
    ) -> Option<(&'static str, Value)> {
        if let Some((id, index)) = entry.event {
            let parcel = self.state.parcels.get(id)?;
            let event = &parcel.events.get(index as usize)?.event;
            return Some((
                "epcis",
                render(&EventDraft::from(event), &parcel.waybill, base?),
            ));
        }
        if let Some(manifest) = entry.cooperation {
            let key = (entry.from.clone(), manifest);
            let (_, status) = self.state.cooperations_seen.get(&key)?;
            return Some(("cooperation", self.status_of_cooperation(status)));
        }
        let station = entry.station.as_ref()?;
        let seen = self
            .state
            .stations_seen
            .get(&(entry.from.clone(), station.clone()))?;
        Some((
            "station",
            json!({ "id": seen.station.as_str(), "name": seen.name, "state": seen.state, "availability": seen.availability }),
        ))
    }
}

/// A place in words.
pub(super) fn place_words(place: &Place) -> String {
    match place {
        Place::Station(id) => id.as_str().to_owned(),
        Place::Named(name) => name.clone(),
    }
}

/// Milliseconds of a wait, as an instant.
pub(super) const fn wait_until(now: Timestamp, wait_ms: u32) -> Timestamp {
    now.plus_ms(wait_ms as i64)
}
