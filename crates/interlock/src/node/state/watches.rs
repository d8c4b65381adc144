//! What consumers of contacts ask, beside what they deposit.

use std::collections::BTreeMap;

use interlock_core::agreement::AgreementState;
use interlock_core::collection::{Asked, Watch};
use interlock_core::dataset::Dataset;
use interlock_core::event::Step;
use interlock_core::ids::{ParcelId, ParticipantId};
use interlock_core::time::{Timestamp, Zone};
use interlock_journal::bilateral::{Leaf, LeafBody};

use super::{Alert, State};
use crate::node::record::{
    AlertKind, BatchReceived, LookupDecision, LookupReleased, OverCollected, ReceivedItem,
};

impl State {
    /// Counts what a lookup asked. Called before it is on record as a use: what was used before is told
    /// from what is used now.
    pub(super) fn watch_lookup(&mut self, at: Timestamp, lookup: &LookupReleased, leaves: &[u64]) {
        let known = self.book.agreements.get(&lookup.agreement);
        let zone = known.map_or(Zone::CHINA, |agreement| agreement.terms.zone);
        let followed = self.reports_deposits(&lookup.to);
        let mut watch = self.watches.remove(&lookup.to).unwrap_or_default();
        watch.settle(at, zone, followed);
        let answered_by = positions(lookup, leaves);
        let answered_by: BTreeMap<Option<&str>, u64> = answered_by
            .iter()
            .map(|(reason, position)| (reason.as_deref(), *position))
            .collect();
        for outcome in &lookup.outcomes {
            let (item, reason) = match outcome {
                LookupDecision::Released { parcel, .. } => {
                    let (again, early) = self.asked_before_or_early(&lookup.to, *parcel);
                    let item = Asked::Released {
                        parcel: *parcel,
                        again,
                        early,
                        followed,
                    };
                    (item, None)
                }
                LookupDecision::Denied { reason } if reason == "unknown-parcel" => {
                    (Asked::Unknown, Some(reason))
                }
                LookupDecision::Denied { reason } => (Asked::Denied, Some(reason)),
            };
            let leaf = answered_by.get(&reason.map(String::as_str));
            let leaf = leaf.copied().unwrap_or(0);
            watch.asked(at, zone, item, leaf);
        }
        self.watches.insert(lookup.to.clone(), watch);
    }

    /// Counts what a batch of a consumer's deposits says became of what it had asked.
    pub(super) fn watch_deposits(&mut self, at: Timestamp, batch: &BatchReceived) {
        if batch.dataset != Dataset::LockerEvents {
            return;
        }
        let zone = self.watch_zone(&batch.from);
        let Some(watch) = self.watches.get_mut(&batch.from) else {
            return;
        };
        watch.heard(at);
        for item in &batch.items {
            let ReceivedItem::Event { parcel, event, .. } = item else {
                continue;
            };
            match &event.step {
                Step::Deposited => watch.deposited(at, zone, *parcel),
                Step::PickedUp | Step::Recalled | Step::Redirected => watch.closed(zone, *parcel),
                Step::Issued
                | Step::Accepted
                | Step::Arrived
                | Step::Departed
                | Step::OutForDelivery
                | Step::Delivered
                | Step::DeliveryFailed
                | Step::Notified
                | Step::Overdue
                | Step::Extended
                | Step::Other(_) => {}
            }
        }
    }

    /// The watch over a consumer as it is at `at`, with what nothing followed by then.
    pub fn watched(&self, at: Timestamp, consumer: &ParticipantId) -> Option<Watch> {
        let mut watch = self.watches.get(consumer)?.clone();
        self.settle_watch(at, consumer, &mut watch);
        Some(watch)
    }

    pub(super) fn over_collected(&mut self, at: Timestamp, over: &OverCollected) {
        if let Some(mut watch) = self.watches.remove(&over.by) {
            self.settle_watch(at, &over.by, &mut watch);
            watch.found(over.finding.day, over.finding.sign);
            self.watches.insert(over.by.clone(), watch);
        }
        self.alerts.push(Alert {
            at,
            kind: AlertKind::OverCollection,
            parcel: None,
            partner: Some(over.by.clone()),
            detail: crate::node::collection::words(over, self.watch_zone(&over.by)),
            shown_by: Some(Box::new(over.clone())),
        });
    }

    fn settle_watch(&self, at: Timestamp, consumer: &ParticipantId, watch: &mut Watch) {
        let follows = self.reports_deposits(consumer);
        watch.settle(at, self.watch_zone(consumer), follows);
    }

    /// The zone of the newest agreement by which a consumer may ask.
    fn watch_zone(&self, consumer: &ParticipantId) -> Zone {
        let contacts = Dataset::RecipientContact;
        let all = self.book.between(&self.me, consumer, contacts);
        all.last()
            .map_or(Zone::CHINA, |agreement| agreement.terms.zone)
    }

    /// Whether a consumer tells us of its deposits.
    fn reports_deposits(&self, consumer: &ParticipantId) -> bool {
        let events = Dataset::LockerEvents;
        let mut all = self.book.between(consumer, &self.me, events);
        all.any(|agreement| {
            matches!(
                agreement.state,
                AgreementState::InForce | AgreementState::RunOff
            )
        })
    }

    /// Whether a consumer had the contact before, and whether it asks before it can have the parcel: it
    /// was announced to others only, or its carrier has no more than taken it in.
    fn asked_before_or_early(&self, consumer: &ParticipantId, id: ParcelId) -> (bool, bool) {
        let Some(parcel) = self.parcels.get(id) else {
            return (false, false);
        };
        let again = parcel.uses.iter().any(|use_| &use_.to == consumer);
        let elsewhere = !parcel.lockers.is_empty() && !parcel.lockers.contains(consumer);
        let mut carried = parcel.events.iter().map(|entry| &entry.event.step);
        let at_origin = parcel.events.iter().any(|e| !e.event.step.is_locker())
            && carried.all(|step| matches!(step, Step::Issued | Step::Accepted));
        (again, elsewhere || at_origin)
    }
}

/// Where the release of a lookup stands, and its denials by reason.
fn positions(lookup: &LookupReleased, leaves: &[u64]) -> Vec<(Option<String>, u64)> {
    let decoded = lookup.leaves.iter().map(|leaf| Leaf::decode(&leaf.0));
    let shown = decoded.zip(leaves).filter_map(|(leaf, position)| {
        let reason = match leaf.ok()?.body {
            LeafBody::Release(_) => None,
            LeafBody::Denial(denial) => Some(denial.reason),
            LeafBody::Request(_)
            | LeafBody::AgreementChange(_)
            | LeafBody::Receipt(_)
            | LeafBody::KeyRotation(_)
            | LeafBody::Rollback(_)
            | LeafBody::Voided(_)
            | LeafBody::Deletion(_)
            | LeafBody::RunOffSet(_) => return None,
        };
        Some((reason, *position))
    });
    shown.collect()
}
