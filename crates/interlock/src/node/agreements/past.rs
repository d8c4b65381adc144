//! Negotiations that are over and led to nothing that was ever in force.
//!
//! Purpose: haggling costs no memory for ever. The newest [`OVER_KEPT_MAX`] stay as they are; what is older
//! lies with all that was concluded together in one row of a table, and is read from there when somebody
//! asks for it by name or repeats a message about it. Invariants: nothing that can still change is a row;
//! who asks by name gets the same answer from a row as from memory. It does not know why something is over.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use interlock_core::agreement::AgreementState;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::negotiation::Party;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Agreement, Book, Cooperation, HistoryEntry, Negotiation};
use crate::node::io::Digest;
use crate::node::state::table::{Cold, FrozenRows, Table, plain_rows};

/// So many negotiations that are over stay in memory, and in lists.
pub const OVER_KEPT_MAX: usize = 1_000;

/// What rows of this table begin with.
const TAG: u8 = 9;

/// What a row is found by: the hash of a kind of name and the name.
type Name = Digest;

const NEGOTIATION: &str = "negotiation";
const AGREEMENT: &str = "agreement";
const COOPERATION: &str = "cooperation";

/// What is over. What is serialized is what a snapshot keeps beside the tables.
#[derive(Serialize, Deserialize)]
pub(in crate::node) struct Past {
    #[serde(skip, default = "no_rows")]
    rows: Table<Name, Row>,
    /// Negotiations in memory that are over, oldest first.
    over: VecDeque<WireId>,
    queued: BTreeSet<WireId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Row {
    /// What was concluded together, encoded: it takes less room while it is in memory.
    Concluded(Box<[u8]>),
    /// It is in the row of another name.
    In(Name),
}

plain_rows!(Row);

fn no_rows() -> Table<Name, Row> {
    Table::new(TAG, &Cold::default())
}

impl Default for Past {
    fn default() -> Self {
        Self {
            rows: no_rows(),
            over: VecDeque::new(),
            queued: BTreeSet::new(),
        }
    }
}

impl Clone for Past {
    fn clone(&self) -> Self {
        let mut rows = no_rows();
        for (name, row) in self.rows.iter() {
            rows.insert(name, row);
        }
        Self {
            rows,
            over: self.over.clone(),
            queued: self.queued.clone(),
        }
    }
}

impl PartialEq for Past {
    fn eq(&self, other: &Self) -> bool {
        self.over == other.over
            && self.queued == other.queued
            && self.rows.iter().eq(other.rows.iter())
    }
}

impl Eq for Past {}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.rows.iter().map(|(name, _)| name);
        f.debug_struct("Past")
            .field("over", &self.over)
            .field("rows", &names.count())
            .finish()
    }
}

/// What was concluded together, or not concluded. Another form of it needs another
/// [`KEPT_VERSION`](crate::driver::snapshot::KEPT_VERSION).
#[derive(Debug, Default, Serialize, Deserialize)]
struct Concluded {
    negotiations: Vec<Negotiation>,
    agreements: Vec<Agreement>,
    cooperation: Option<Cooperation>,
    histories: Vec<(WireId, VecDeque<HistoryEntry>)>,
}

fn named(kind: &str, parts: &[&str]) -> Name {
    let mut hash = Sha256::new();
    for part in [&[kind], parts].concat() {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}

/// Each kind of id has names of its own: some ids are drawn by partners.
fn by_id(kind: &str, id: &WireId) -> Name {
    named(kind, &[id.as_str()])
}

fn by_peer(peer: &ParticipantId, party: Party, id: &WireId) -> Name {
    named("peer", &[peer.as_str(), party.as_str(), id.as_str()])
}

impl Past {
    fn find(&self, name: &Name) -> Option<Concluded> {
        let row = match self.rows.get(name)? {
            Row::In(other) => self.rows.get(&other)?,
            row @ Row::Concluded(_) => row,
        };
        match row {
            Row::Concluded(bytes) => postcard::from_bytes(&bytes).ok(),
            Row::In(_) => None,
        }
    }

    /// Keeps what was concluded together. False if it cannot be encoded: it stays where it is.
    fn keep(&mut self, concluded: &Concluded) -> bool {
        let first = concluded
            .negotiations
            .first()
            .map(|n| by_id(NEGOTIATION, &n.id));
        let (Some(first), Ok(bytes)) = (first, postcard::to_allocvec(concluded)) else {
            return false;
        };
        self.rows.insert(first, Row::Concluded(bytes.into()));
        let mut also = Vec::new();
        for n in &concluded.negotiations {
            also.push(by_id(NEGOTIATION, &n.id));
            also.extend(n.peer_id.iter().map(|id| by_peer(&n.peer, n.party, id)));
            also.extend(n.agreement.iter().map(|id| by_id(AGREEMENT, id)));
        }
        also.extend(concluded.agreements.iter().map(|a| by_id(AGREEMENT, &a.id)));
        if let Some(cooperation) = &concluded.cooperation {
            also.push(by_id(COOPERATION, &cooperation.id));
            also.extend(cooperation.manifest_hash());
        }
        for name in also.into_iter().filter(|name| *name != first) {
            self.rows.insert(name, Row::In(first));
        }
        true
    }

    /// Whether an agreement of this id is over.
    pub(super) fn knows_agreement(&self, id: &WireId) -> bool {
        self.rows.contains(&by_id(AGREEMENT, id))
    }

    /// Reads what is not in memory from these rows.
    pub(in crate::node) fn attach(&mut self, cold: &Cold) {
        self.rows.attach(cold);
    }

    /// What was added since the last snapshot.
    pub(in crate::node) fn freeze(&mut self) -> Box<dyn FrozenRows> {
        self.rows.freeze()
    }

    /// What was frozen is in the rows now.
    pub(in crate::node) fn let_go(&mut self) {
        self.rows.let_go();
    }

    /// The cooperation with the manifest of this hash.
    pub(super) fn cooperation_of(&self, manifest_hash: &[u8]) -> Option<Cooperation> {
        self.find(manifest_hash.try_into().ok()?)?.cooperation
    }
}

impl Book {
    /// A negotiation by our id, over or not.
    pub fn negotiation(&self, id: &WireId) -> Option<Cow<'_, Negotiation>> {
        if let Some(known) = self.negotiations.get(id) {
            return Some(Cow::Borrowed(known));
        }
        let mut found = self
            .past
            .find(&by_id(NEGOTIATION, id))?
            .negotiations
            .into_iter();
        found.find(|n| &n.id == id).map(Cow::Owned)
    }

    /// The negotiation that `peer` calls `peer_id`, in which we are `party`, over or not.
    pub fn negotiation_with(
        &self,
        peer: &ParticipantId,
        party: Party,
        peer_id: &WireId,
    ) -> Option<Cow<'_, Negotiation>> {
        let key = (peer.clone(), party, peer_id.clone());
        if let Some(id) = self.index.negotiation_of.get(&key) {
            return self.negotiations.get(id).map(Cow::Borrowed);
        }
        let found = self.past.find(&by_peer(peer, party, peer_id))?;
        let mut found = found.negotiations.into_iter();
        found
            .find(|n| &n.peer == peer && n.party == party && n.peer_id.as_ref() == Some(peer_id))
            .map(Cow::Owned)
    }

    /// An agreement, over or not.
    pub fn agreement(&self, id: &WireId) -> Option<Cow<'_, Agreement>> {
        if let Some(known) = self.agreements.get(id) {
            return Some(Cow::Borrowed(known));
        }
        let mut found = self
            .past
            .find(&by_id(AGREEMENT, id))?
            .agreements
            .into_iter();
        found.find(|a| &a.id == id).map(Cow::Owned)
    }

    /// A cooperation, over or not.
    pub fn cooperation(&self, id: &WireId) -> Option<Cow<'_, Cooperation>> {
        if let Some(known) = self.cooperations.get(id) {
            return Some(Cow::Borrowed(known));
        }
        let found = self.past.find(&by_id(COOPERATION, id))?.cooperation;
        found.filter(|c| &c.id == id).map(Cow::Owned)
    }

    /// What happened to a negotiation or an agreement, over or not, oldest first.
    pub fn history_of(&self, id: &WireId) -> Cow<'_, VecDeque<HistoryEntry>> {
        if let Some(lines) = self.histories.get(id) {
            return Cow::Borrowed(lines);
        }
        let find = |kind| self.past.find(&by_id(kind, id));
        let found = find(NEGOTIATION).or_else(|| find(AGREEMENT));
        let found = found.unwrap_or_default();
        let mut found = found.histories.into_iter();
        let lines = found.find(|(about, _)| about == id);
        Cow::Owned(lines.map(|(_, lines)| lines).unwrap_or_default())
    }

    /// A negotiation, or its agreement, has changed: if it is over now, it is the newest of those.
    pub(super) fn note_over(&mut self, id: &WireId) {
        if self.is_over(id) && self.past.queued.insert(id.clone()) {
            self.past.over.push_back(id.clone());
        }
        while self.past.over.len() > OVER_KEPT_MAX {
            if let Some(oldest) = self.past.over.pop_front() {
                self.past.queued.remove(&oldest);
                self.let_go(&oldest);
            }
        }
    }

    /// Whether nothing can come of a negotiation any more: it ended, or what was agreed on was superseded
    /// before it began.
    fn is_over(&self, id: &WireId) -> bool {
        let Some(n) = self.negotiations.get(id) else {
            return false;
        };
        let said = n.state.is_terminal() && n.unsent.is_none();
        let agreement = n.agreement.as_ref().and_then(|id| self.agreements.get(id));
        said && agreement.is_none_or(|a| {
            let cooperation = self.cooperations.get(&a.cooperation);
            a.state == AgreementState::Superseded
                && a.facts.is_moot(&a.terms)
                && a.unsent_notice.is_none()
                && cooperation.is_none_or(|c| !c.is_open())
                && self.transfers_of(&a.id).next().is_none()
                && !self.index.mediated.contains_key(&a.id)
        })
    }

    /// All negotiations that were to be concluded together with one.
    fn together(&self, n: &Negotiation) -> BTreeSet<WireId> {
        let members = self.members(&n.cooperation).map(|m| m.id.clone());
        let mut together: BTreeSet<WireId> = members.collect();
        together.insert(n.id.clone());
        let agreement = n.agreement.as_ref().and_then(|id| self.agreements.get(id));
        let signed = agreement.and_then(|a| self.cooperations.get(&a.cooperation));
        let manifest = signed.and_then(Cooperation::read_manifest);
        let others = manifest.iter().flat_map(|m| m.policies.keys());
        let others = others.filter_map(|id| self.agreements.get(id));
        together.extend(others.map(|a| a.negotiation.clone()));
        together
    }

    /// Lets a negotiation leave memory with all that was concluded together, if all of it is over.
    fn let_go(&mut self, id: &WireId) {
        let Some(n) = self.negotiations.get(id) else {
            return;
        };
        let mediated = self.index.mediation_of.contains_key(&n.cooperation);
        let together = self.together(n);
        if mediated || !together.iter().all(|id| self.is_over(id)) {
            return;
        }
        let mut concluded = Concluded::default();
        let known = together.iter().filter_map(|id| self.negotiations.get(id));
        concluded.negotiations = known.cloned().collect();
        let agreed = concluded
            .negotiations
            .iter()
            .filter_map(|n| n.agreement.as_ref());
        let agreed = agreed.filter_map(|id| self.agreements.get(id));
        concluded.agreements = agreed.cloned().collect();
        let signed = concluded.agreements.first().map(|a| &a.cooperation);
        concluded.cooperation = signed.and_then(|id| self.cooperations.get(id)).cloned();
        let agreements = concluded.agreements.iter().map(|a| &a.id);
        for about in together.iter().chain(agreements) {
            let lines = self.histories.get(about).cloned();
            let lines = lines.map(|lines| (about.clone(), lines));
            concluded.histories.extend(lines);
        }
        if self.past.keep(&concluded) {
            self.forget(&concluded);
        }
    }

    fn forget(&mut self, concluded: &Concluded) {
        for n in &concluded.negotiations {
            self.index.negotiation(n, false);
            self.negotiations.remove(&n.id);
            if let Some(agreement) = &n.agreement {
                self.index.made_by.remove(agreement);
            }
        }
        for a in &concluded.agreements {
            self.index.agreement(a, false);
            self.agreements.remove(&a.id);
        }
        if let Some(cooperation) = &concluded.cooperation {
            if let Some(hash) = cooperation.manifest_hash() {
                self.index.manifests.remove(&hash);
            }
            self.cooperations.remove(&cooperation.id);
        }
        for (about, _) in &concluded.histories {
            self.histories.remove(about);
        }
    }
}
