//! Applying records about how cooperations stand, and showing them to regulators.

use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::terms::{Field, FieldSet};
use interlock_core::time::Timestamp;

use super::State;
use super::feed::Queued;
use crate::exchange::wire::CooperationView;
use crate::node::feed_items::hex;
use crate::node::record::{CooperationStatus, ItemRef};

impl State {
    pub(super) fn cooperation_shown(
        &mut self,
        at: Timestamp,
        id: &WireId,
        status: &CooperationStatus,
    ) {
        self.cooperations_shown.insert(id.clone(), status.clone());
        for consumer in self.told_of_cooperations() {
            self.show_cooperation(at, &consumer, id);
        }
    }

    /// All of them, toward a regulator whose agreement just came into force.
    pub(super) fn show_all_cooperations(&mut self, at: Timestamp, consumer: &ParticipantId) {
        let ids: Vec<WireId> = self.cooperations_shown.keys().cloned().collect();
        for id in ids {
            self.show_cooperation(at, consumer, &id);
        }
    }

    /// With whom `cooperation-status` was ever agreed on.
    pub fn told_of_cooperations(&self) -> Vec<ParticipantId> {
        let partners = self.partners.keys();
        let agreed = partners.filter(|partner| {
            let mut agreed = self
                .book
                .between(&self.me, partner, Dataset::CooperationStatus);
            agreed.next().is_some()
        });
        agreed.cloned().collect()
    }

    fn show_cooperation(&mut self, at: Timestamp, consumer: &ParticipantId, id: &WireId) {
        let item = ItemRef::Cooperation(id.clone());
        let feed = self
            .channels
            .get(consumer)
            .and_then(|channel| channel.outbound.get(&Dataset::CooperationStatus));
        // The newest state is shown once.
        if !feed.is_some_and(|feed| feed.holds(&item)) {
            let queued = Queued { item, arose_at: at };
            self.enqueue(consumer, Dataset::CooperationStatus, queued, at);
        }
    }
}

impl CooperationStatus {
    /// What a regulator is shown of it.
    pub fn view(&self, fields: FieldSet) -> CooperationView {
        let has = |field| fields.contains(field);
        CooperationView {
            manifest: has(Field::ManifestHash).then(|| hex(&self.manifest)),
            parties: match has(Field::Parties) {
                true => self.parties.clone(),
                false => Vec::new(),
            },
            end: has(Field::End).then_some(self.end),
            state: has(Field::End).then(|| self.state.clone()),
            suspends_at: self.suspends_at.filter(|_| has(Field::End)),
            feed_age: has(Field::FeedAge).then(|| self.feed_age.clone()),
        }
    }
}
