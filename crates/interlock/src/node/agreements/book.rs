//! Everything that a node knows of agreements, and where to find it.
//!
//! INVARIANT: the indexes say what the entries say; an entry is put by [`Book`]'s own methods only, so
//! that no request has to look at more entries than concern it. It does not know why an entry changes.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use interlock_core::agreement::AgreementState;
use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::negotiation::{NegotiationState, Party};
use interlock_core::time::Timestamp;
use interlock_core::transfer::TransferState;
use serde::{Deserialize, Serialize};

use super::past::Past;
use super::{
    Agreement, Cooperation, HistoryEntry, Mediation, Negotiation, Offer, Reciprocity, Transfer,
};

/// Everything that a node knows of agreements. The maps are read by anybody and changed by the methods
/// of this type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    /// Offers that we publish.
    pub offers: BTreeMap<WireId, Offer>,
    /// Negotiations by our id; [`Book::negotiation`] finds those that have left memory, too.
    pub negotiations: BTreeMap<WireId, Negotiation>,
    /// Agreements.
    pub agreements: BTreeMap<WireId, Agreement>,
    /// Cooperations.
    pub cooperations: BTreeMap<WireId, Cooperation>,
    /// Mediations, ours and those in which we are a party.
    pub mediations: BTreeMap<WireId, Mediation>,
    /// Notices of suspensions in return, by the agreement that they are about.
    pub reciprocities: BTreeMap<WireId, Reciprocity>,
    /// Transfers by our id.
    pub transfers: BTreeMap<WireId, Transfer>,
    /// What happened to a negotiation or an agreement, oldest first.
    pub histories: BTreeMap<WireId, VecDeque<HistoryEntry>>,
    pub(in crate::node) past: Past,
    pub(super) index: Index,
}

/// The begin of a term, the latest first, with the agreement.
type ByTerm = BTreeSet<(Reverse<Timestamp>, WireId)>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index {
    /// Negotiations by the peer, our party and the peer's id.
    pub(super) negotiation_of: BTreeMap<(ParticipantId, Party, WireId), WireId>,
    /// Negotiations that are not over, by peer.
    open: BTreeMap<ParticipantId, BTreeSet<WireId>>,
    /// Negotiations that wait for our people.
    waiting: BTreeSet<WireId>,
    /// Negotiations with a message to be acknowledged.
    unsent: BTreeSet<WireId>,
    /// When each open negotiation ends by itself.
    deadlines: BTreeSet<(Timestamp, WireId)>,
    /// Our negotiations as consumer, by cooperation.
    members: BTreeMap<WireId, BTreeSet<WireId>>,
    /// Which negotiation an agreement is of, or would be.
    pub(super) made_by: BTreeMap<WireId, WireId>,
    /// Agreements by provider, consumer and dataset.
    feeds: BTreeMap<ParticipantId, BTreeMap<ParticipantId, BTreeMap<Dataset, ByTerm>>>,
    /// Cooperations that both have signed, by the hash of the manifest.
    pub(super) manifests: BTreeMap<[u8; 32], WireId>,
    /// Agreements whose notice is to be acknowledged, cooperations whose manifest is.
    untold: BTreeSet<WireId>,
    /// Mediations by the agreements that their terms name.
    pub(super) mediated: BTreeMap<WireId, WireId>,
    /// Mediations by the cooperation that their manifest names, or named before.
    pub(super) mediation_of: BTreeMap<WireId, WireId>,
    /// Transfers by the peer, our party and the peer's id.
    transfer_of: BTreeMap<(ParticipantId, Party, WireId), WireId>,
    /// Transfers by agreement.
    transfers: BTreeMap<WireId, BTreeSet<WireId>>,
    /// Started transfers whose data we push.
    pushed: BTreeSet<WireId>,
}

impl Book {
    /// Agreements of `dataset` from `provider` to `consumer` that are, were or can be in force, the
    /// latest term first.
    pub fn between<'a>(
        &'a self,
        provider: &ParticipantId,
        consumer: &ParticipantId,
        dataset: Dataset,
    ) -> impl Iterator<Item = &'a Agreement> + use<'a> {
        let of_provider = self.index.feeds.get(provider);
        let of_both = of_provider.and_then(|feeds| feeds.get(consumer));
        let found = of_both.and_then(|feeds| feeds.get(&dataset));
        found
            .into_iter()
            .flatten()
            .filter_map(|(_, id)| self.agreements.get(id))
    }

    /// How many negotiations with `peer` are not over.
    pub fn open_with(&self, peer: &ParticipantId) -> usize {
        self.index.open.get(peer).map_or(0, BTreeSet::len)
    }

    /// Negotiations with `peer` that are not over.
    pub fn open_negotiations<'a>(
        &'a self,
        peer: &ParticipantId,
    ) -> impl Iterator<Item = &'a Negotiation> + use<'a> {
        let open = self.index.open.get(peer).into_iter().flatten();
        open.filter_map(|id| self.negotiations.get(id))
    }

    /// What waits for our people.
    pub fn waiting(&self) -> impl Iterator<Item = &Negotiation> {
        let waiting = self.index.waiting.iter();
        waiting.filter_map(|id| self.negotiations.get(id))
    }

    /// Negotiations with a message that the peer has not acknowledged.
    pub fn unsent(&self) -> impl Iterator<Item = &WireId> {
        self.index.unsent.iter()
    }

    /// Agreements with a notice, and cooperations with a manifest, that the peer has not acknowledged.
    pub fn untold(&self) -> impl Iterator<Item = &WireId> {
        self.index.untold.iter()
    }

    /// The negotiation that ends by itself next, and when.
    pub fn next_deadline(&self) -> Option<&(Timestamp, WireId)> {
        self.index.deadlines.first()
    }

    /// The negotiations that we opened, or answered, as consumer for a cooperation.
    pub fn members<'a>(
        &'a self,
        cooperation: &WireId,
    ) -> impl Iterator<Item = &'a Negotiation> + use<'a> {
        let members = self.index.members.get(cooperation);
        members
            .into_iter()
            .flatten()
            .filter_map(|id| self.negotiations.get(id))
    }

    /// The cooperation with the manifest of this hash, if both have signed it.
    pub fn cooperation_of(&self, manifest_hash: &[u8]) -> Option<Cow<'_, Cooperation>> {
        match self.index.manifests.get(manifest_hash) {
            Some(id) => self.cooperations.get(id).map(Cow::Borrowed),
            None => self.past.cooperation_of(manifest_hash).map(Cow::Owned),
        }
    }

    /// Whether an agreement of this id is known, or about to be.
    pub fn knows_agreement(&self, id: &WireId) -> bool {
        let index = &self.index.made_by;
        index.contains_key(id) || self.agreements.contains_key(id) || self.past.knows_agreement(id)
    }

    /// The transfer that `peer` calls `peer_id`, in which we are `party`.
    pub fn transfer_with(
        &self,
        peer: &ParticipantId,
        party: Party,
        peer_id: &WireId,
    ) -> Option<&Transfer> {
        let key = (peer.clone(), party, peer_id.clone());
        self.transfers.get(self.index.transfer_of.get(&key)?)
    }

    /// The transfers of an agreement.
    pub fn transfers_of<'a>(
        &'a self,
        agreement: &WireId,
    ) -> impl Iterator<Item = &'a Transfer> + use<'a> {
        let transfers = self.index.transfers.get(agreement);
        transfers
            .into_iter()
            .flatten()
            .filter_map(|id| self.transfers.get(id))
    }

    /// The started transfer of an agreement, at our side of it.
    pub fn started(&self, agreement: &Agreement, party: Party) -> Option<&Transfer> {
        let mut all = self.transfers_of(&agreement.id);
        all.find(|t| t.party == party && t.state == TransferState::Started)
    }

    /// Started transfers whose data we push.
    pub fn pushed(&self) -> impl Iterator<Item = &Transfer> {
        let pushed = self.index.pushed.iter();
        pushed.filter_map(|id| self.transfers.get(id))
    }

    /// What happened to a negotiation or an agreement, oldest first.
    pub fn history(&self, id: &WireId) -> impl Iterator<Item = &HistoryEntry> {
        self.histories.get(id).into_iter().flatten()
    }

    /// Puts a negotiation in the place of what was there.
    pub(in crate::node) fn put_negotiation(&mut self, negotiation: Negotiation) {
        if let Some(old) = self.negotiations.get(&negotiation.id) {
            self.index.negotiation(old, false);
        }
        self.index.negotiation(&negotiation, true);
        let id = negotiation.id.clone();
        self.negotiations.insert(id.clone(), negotiation);
        self.note_over(&id);
    }

    /// Puts an agreement in the place of what was there.
    pub(in crate::node) fn put_agreement(&mut self, agreement: Agreement) {
        if let Some(old) = self.agreements.get(&agreement.id) {
            self.index.agreement(old, false);
        }
        self.index.agreement(&agreement, true);
        let negotiation = agreement.negotiation.clone();
        self.agreements.insert(agreement.id.clone(), agreement);
        self.note_over(&negotiation);
    }

    /// Enters the state of an agreement; it, if it is known.
    pub(in crate::node) fn agreement_entered(
        &mut self,
        id: &WireId,
        state: AgreementState,
    ) -> Option<&Agreement> {
        // No index goes by the state that was entered.
        let agreement = self.agreements.get_mut(id)?;
        agreement.state = state;
        let negotiation = agreement.negotiation.clone();
        self.note_over(&negotiation);
        self.agreements.get(id)
    }

    /// Puts a cooperation in the place of what was there.
    pub(in crate::node) fn put_cooperation(&mut self, cooperation: Cooperation) {
        let id = cooperation.id.clone();
        let untold = cooperation.is_open();
        mark(&mut self.index.untold, id.clone(), untold);
        if let (true, Some(hash)) = (cooperation.is_complete(), cooperation.manifest_hash()) {
            self.index.manifests.insert(hash, id.clone());
        }
        self.cooperations.insert(id, cooperation);
    }

    /// Puts a mediation in the place of what was there.
    pub(in crate::node) fn put_mediation(&mut self, mediation: Mediation) {
        if let Some(old) = self.mediations.get(&mediation.id) {
            self.index.mediation(old, false);
        }
        self.index.mediation(&mediation, true);
        self.mediations.insert(mediation.id.clone(), mediation);
    }

    /// Puts a transfer in the place of what was there.
    pub(in crate::node) fn put_transfer(&mut self, transfer: Transfer) {
        if let Some(old) = self.transfers.get(&transfer.id) {
            self.index.transfer(old, false);
        }
        self.index.transfer(&transfer, true);
        self.transfers.insert(transfer.id.clone(), transfer);
    }
}

impl Index {
    pub(super) fn negotiation(&mut self, n: &Negotiation, put: bool) {
        if let Some(peer_id) = &n.peer_id {
            let key = (n.peer.clone(), n.party, peer_id.clone());
            if put {
                self.negotiation_of.insert(key, n.id.clone());
            } else {
                self.negotiation_of.remove(&key);
            }
        }
        let open = self.open.entry(n.peer.clone()).or_default();
        mark(open, n.id.clone(), put && !n.state.is_terminal());
        mark(&mut self.waiting, n.id.clone(), put && n.waits_for_people);
        mark(&mut self.unsent, n.id.clone(), put && n.unsent.is_some());
        if let Some(at) = n.deadline() {
            mark(&mut self.deadlines, (at, n.id.clone()), put);
        }
        if n.party == Party::Consumer {
            let members = self.members.entry(n.cooperation.clone()).or_default();
            mark(members, n.id.clone(), put);
            if members.is_empty() {
                self.members.remove(&n.cooperation);
            }
        }
        if let (Some(agreement), true) = (&n.agreement, put) {
            self.made_by.insert(agreement.clone(), n.id.clone());
        }
    }

    pub(super) fn agreement(&mut self, a: &Agreement, put: bool) {
        let of_provider = self.feeds.entry(a.provider.clone()).or_default();
        let of_both = of_provider.entry(a.consumer.clone()).or_default();
        let feed = of_both.entry(a.terms.dataset).or_default();
        let key = (Reverse(a.terms.from), a.id.clone());
        mark(feed, key, put && !a.facts.is_moot(&a.terms));
        let untold = put && a.unsent_notice.is_some();
        mark(&mut self.untold, a.id.clone(), untold);
    }

    fn mediation(&mut self, m: &Mediation, put: bool) {
        // What was agreed on under earlier terms stays known as mediated.
        if let Some(manifest) = m.read_manifest().filter(|_| put) {
            self.mediation_of.insert(manifest.cooperation, m.id.clone());
        }
        let of = |index: &mut BTreeMap<WireId, WireId>, key: WireId| match put {
            true => index.insert(key, m.id.clone()),
            false => index.remove(&key),
        };
        for agreement in m.agreements.keys() {
            of(&mut self.mediated, agreement.clone());
        }
    }

    fn transfer(&mut self, t: &Transfer, put: bool) {
        if let Some(peer_id) = &t.peer_id {
            let key = (t.peer.clone(), t.party, peer_id.clone());
            if put {
                self.transfer_of.insert(key, t.id.clone());
            } else {
                self.transfer_of.remove(&key);
            }
        }
        let transfers = self.transfers.entry(t.agreement.clone()).or_default();
        mark(transfers, t.id.clone(), put);
        let pushes = t.party == Party::Provider && t.push.is_some();
        let pushed = put && pushes && t.state == TransferState::Started;
        mark(&mut self.pushed, t.id.clone(), pushed);
    }
}

impl Negotiation {
    /// When it ends by itself. While terms lie before people they have until `expires_at`; what has
    /// still to reach the peer is tried for as long as the terms could be of use.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        match self.state {
            NegotiationState::Requested | NegotiationState::Offered if self.unsent.is_none() => {
                Some(self.expires_at.min(self.terms.until))
            }
            NegotiationState::Requested
            | NegotiationState::Offered
            | NegotiationState::Accepted
            | NegotiationState::Agreed
            | NegotiationState::Verified => Some(self.terms.until),
            NegotiationState::Finalized | NegotiationState::Terminated => None,
        }
    }
}

/// Has `key` in a set, or not.
fn mark<T: Ord>(set: &mut BTreeSet<T>, key: T, there: bool) {
    if there {
        set.insert(key);
    } else {
        set.remove(&key);
    }
}
