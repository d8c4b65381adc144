//! The items that a record commits to, as they were when it was written.
//!
//! INVARIANT: called before the record is applied, it gives the bytes that the leaf commits to, or
//! nothing where they can no longer be rebuilt; whoever uses them compares the root.

use interlock_core::ids::{ParticipantId, RequestId};
use interlock_core::waybill::Waybill;
use serde::Serialize;

use interlock_journal::bilateral::{Leaf, LeafBody};

use crate::exchange::wire::{Blob, FeedItem, LookupItem};
use crate::node::Node;
use crate::node::record::{BatchReleased, ContactOutcome, Record};
use crate::node::state::channel::Asked;

/// One item of a batch or lookup with its salt.
pub struct Committed {
    /// The salt of its commitment.
    pub salt: RequestId,
    /// The bytes that are committed to, which are JSON.
    pub text: String,
    /// Carrier and number of the parcel that it is about, if it is about one.
    parcel: Option<(String, String)>,
}

impl Committed {
    /// Whether it is about this parcel.
    pub fn is_about(&self, waybill: &Waybill) -> bool {
        self.parcel.as_ref().is_some_and(|(carrier, number)| {
            carrier == waybill.carrier().as_str() && number == waybill.number()
        })
    }

    fn of_feed(salt: RequestId, item: &FeedItem) -> Option<Self> {
        let parcel = match item {
            FeedItem::PreAdvice(view) => Some((view.carrier.clone(), view.number.clone())),
            FeedItem::Parcel(view) => Some((view.carrier.clone(), view.number.clone())),
            FeedItem::Code(view) => Some((view.carrier.clone(), view.number.clone())),
            FeedItem::Station(_) | FeedItem::Cooperation(_) => None,
        };
        Self::new(salt, &item.committed(), parcel)
    }

    /// A parcel of a frozen run-off.
    pub(in crate::node) fn of_waybill(salt: RequestId, waybill: &Waybill) -> Option<Self> {
        let carrier = waybill.carrier().as_str().to_owned();
        let number = waybill.number().to_owned();
        let item = serde_json::json!({ "carrier": carrier, "number": number });
        Self::new(salt, &item, Some((carrier, number)))
    }

    fn of_lookup<T: Serialize>(item: &LookupItem, committed: &T) -> Option<Self> {
        let parcel = Some((item.carrier.clone(), item.number.clone()));
        Self::new(item.salt, committed, parcel)
    }

    fn new<T: Serialize>(
        salt: RequestId,
        item: &T,
        parcel: Option<(String, String)>,
    ) -> Option<Self> {
        let text = serde_json::to_string(item).ok()?;
        Some(Self { salt, text, parcel })
    }
}

impl Node {
    /// The items behind the roots that a record puts on evidence, by leaf, with whom the leaf is
    /// shared. The record must not have been applied.
    // tidy: long, one arm a record
    pub fn committed_by(&self, record: &Record) -> Vec<(ParticipantId, Vec<Committed>)> {
        let lists: Vec<(&ParticipantId, Option<Vec<Committed>>)> = match record {
            Record::BatchReleased(batch) => vec![(&batch.to, self.committed_batch(batch))],
            Record::LookupAsked(asked) => {
                let items = self.lookup_items(&Asked {
                    agreement: asked.agreement.clone(),
                    purpose: asked.purpose.clone(),
                    items: asked.items.clone(),
                    at: self.state.high,
                });
                let items = items.iter().map(|item| Committed::of_lookup(item, item));
                vec![(&asked.to, items.collect())]
            }
            Record::LookupAnswered {
                from,
                request_id,
                outcomes,
            } => {
                let lists = self.committed_answer(from, *request_id, outcomes);
                lists.into_iter().map(|list| (from, list)).collect()
            }
            Record::Leaf { to, leaf } => vec![(to, self.committed_set(leaf))],
            Record::Partner(_)
            | Record::PartnerRemoved(_)
            | Record::ApiKey { .. }
            | Record::Offer(_)
            | Record::OfferWithdrawn(_)
            | Record::Negotiation(_)
            | Record::Agreement(_)
            | Record::AgreementState { .. }
            | Record::Transfer(_)
            | Record::Cooperation(_)
            | Record::Parcel(_)
            | Record::Claimed { .. }
            | Record::Event(_)
            | Record::Station(_)
            | Record::Deposit(_)
            | Record::Stay { .. }
            | Record::Notifier { .. }
            // Whoever answers a lookup does not keep the salts of what it was asked.
            | Record::LookupReleased(_)
            | Record::Denied { .. }
            | Record::Mirrored { .. }
            | Record::Receipted { .. }
            | Record::Acknowledged { .. }
            | Record::EndWarned(_)
            | Record::WarningDone { .. }
            | Record::Noted(_)
            | Record::BatchReceived(_)
            | Record::Message { .. }
            | Record::MessageDone { .. }
            | Record::Keyed { .. }
            | Record::Alert { .. }
            | Record::ContactDeleted { .. }
            | Record::BatchesTakenBack { .. }
            | Record::Mediation(_)
            | Record::CooperationShown { .. }
            | Record::Reciprocity(_)
            | Record::RolledBack { .. }
            | Record::Regained(_)
            | Record::EpochOpened { .. }
            | Record::Person(_)
            | Record::PersonWithdrawn(_)
            | Record::HourEnded { .. }
            | Record::Erased(_)
            | Record::PushSecret { .. }
            | Record::ErasureTold { .. }
            | Record::ApiKeyWithdrawn { .. }
            | Record::KeyRotated { .. }
            | Record::Anchored(_)
            | Record::Cosigned { .. }
            | Record::Witnessed { .. }
            | Record::Delegated { .. }
            | Record::OverCollected(_)
            | Record::Looked(_)
            | Record::Reveal(_)
            | Record::Wished { .. }
            | Record::CodeKey { .. }
            | Record::KeyAsked { .. }
            | Record::LetIn { .. } => Vec::new(),
        };
        let known = lists
            .into_iter()
            .filter_map(|(with, list)| Some((with.clone(), list?)));
        known.filter(|(_, list)| !list.is_empty()).collect()
    }

    /// The parcels of a run-off, if the leaf freezes one.
    fn committed_set(&self, leaf: &Blob) -> Option<Vec<Committed>> {
        match Leaf::decode(&leaf.0).ok()?.body {
            LeafBody::RunOffSet(set) => {
                let agreement = self.state.book.agreements.get(&set.agreement)?;
                Some(self.run_off_items(agreement))
            }
            LeafBody::Request(_)
            | LeafBody::Release(_)
            | LeafBody::Denial(_)
            | LeafBody::AgreementChange(_)
            | LeafBody::Receipt(_)
            | LeafBody::KeyRotation(_)
            | LeafBody::Rollback(_)
            | LeafBody::Voided(_)
            | LeafBody::Deletion(_) => None,
        }
    }

    /// The items of a batch, which still stand at the front of their queue.
    fn committed_batch(&self, batch: &BatchReleased) -> Option<Vec<Committed>> {
        let channel = self.state.channels.get(&batch.to)?;
        let lane = channel.outbound.get(&batch.dataset)?.lane(batch.lane);
        let agreement = self.state.book.agreements.get(&batch.agreement)?;
        let terms = &agreement.terms;
        let taken = (0u32..batch.taken).zip(lane.ready.iter());
        let released = taken.filter(|(at, _)| !batch.withheld.contains(at));
        released
            .zip(&batch.salts)
            .map(|((_, queued), salt)| {
                let item = self.state.view(&queued.item, terms)?;
                Committed::of_feed(*salt, &item)
            })
            .collect()
    }

    /// What an answer to a lookup of ours released, then what it denied for each reason.
    fn committed_answer(
        &self,
        from: &ParticipantId,
        request_id: RequestId,
        outcomes: &[ContactOutcome],
    ) -> Vec<Option<Vec<Committed>>> {
        let channel = self.state.channels.get(from);
        let Some(asked) = channel.and_then(|channel| channel.asked.get(&request_id)) else {
            return Vec::new();
        };
        let items = self.lookup_items(asked);
        let mut released = Vec::new();
        let mut denied: std::collections::BTreeMap<&str, Vec<Option<Committed>>> =
            std::collections::BTreeMap::new();
        for (item, outcome) in items.iter().zip(outcomes) {
            match outcome {
                ContactOutcome::Granted { form, .. } => {
                    released.push(Committed::of_lookup(item, &(item, form.as_str())));
                }
                ContactOutcome::Denied { reason } => denied
                    .entry(reason)
                    .or_default()
                    .push(Committed::of_lookup(item, item)),
            }
        }
        let lists = std::iter::once(released).chain(denied.into_values());
        lists.map(|list| list.into_iter().collect()).collect()
    }
}
