//! Offers, negotiations, agreements, cooperations and transfers of a node.
//!
//! Purpose: how two nodes come to an agreement in force (Dataspace Protocol 2025-1, then the manifest
//! with both signatures). Invariants: a state changes only along the protocol's state machines; no
//! agreement is in force before its manifest carries both signatures; at most one agreement is in
//! force for a provider, consumer and dataset. It does not know what is released under an agreement.

mod address;
pub mod approver;
mod book;
mod catalog;
mod closed_doors;
mod consumer;
mod delivery;
mod door;
mod ended;
mod history;
mod local;
mod manifest;
mod mediation;
mod messages;
mod negotiate;
mod notice;
pub(super) mod past;
mod plain;
mod proposals;
mod provider;
mod reciprocity;
mod renew;
mod signers;
mod stopped;
#[cfg(test)]
mod tests;
mod transfer;
mod views;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use interlock_core::agreement::{self, AgreementFacts, AgreementState};
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::negotiation::{NegotiationState, Party};
use interlock_core::terms::Terms;
use interlock_core::time::{ClockInterval, Timestamp};
use interlock_core::transfer::TransferState;
use serde::{Deserialize, Serialize};

use super::io::ReplyId;
use super::live::Timer;
use super::turn::Turn;

pub use self::book::Book;
pub(super) use self::catalog::CatalogWanted;
use self::catalog::Found;
pub use self::history::{Actor, HistoryEntry, Noted, Version};
pub use self::mediation::{Answer, Mediated, Mediation};
pub use self::past::OVER_KEPT_MAX;
pub use self::reciprocity::Reciprocity;

/// Most negotiations of one partner that may be open at once; more of them is a fault or an attack.
const OPEN_NEGOTIATIONS_MAX: usize = 1_000;
/// Most offers that a node publishes.
const OFFERS_MAX: usize = 20_000;
/// Most pages of a partner's catalog that are read: 10,000 datasets in pages of a hundred.
const CATALOG_PAGES_MAX: u32 = 100;
/// Most transfers under one agreement that may be open at once.
const OPEN_TRANSFERS_MAX: usize = 100;
/// What we offer to partners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Its id.
    pub id: WireId,
    /// The dataset as the wire names it: its kind, or one of several of a kind.
    pub target: WireId,
    /// The terms.
    pub terms: Terms,
    /// To whom; every partner if empty.
    pub audience: Vec<ParticipantId>,
    /// Whether requests within the offer are accepted without asking people.
    pub auto_accept: bool,
}

/// A negotiation, at either side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Negotiation {
    /// Our id of it (`providerPid` or `consumerPid`).
    pub id: WireId,
    /// Their id of it, once known.
    pub peer_id: Option<WireId>,
    /// With whom.
    pub peer: ParticipantId,
    /// Which party we are.
    pub party: Party,
    /// Its state.
    pub state: NegotiationState,
    /// The offer that it began with.
    pub offer: WireId,
    /// The dataset as the wire names it.
    pub target: WireId,
    /// The terms on the table.
    pub terms: Terms,
    /// SHA-256 of them as a normalised policy.
    pub policy_hash: [u8; 32],
    /// Which terms these are: 1 for the first ones, one more with each counter-offer.
    pub version: u32,
    /// The terms before the last counter-offer, for the diff.
    pub terms_before: Option<Terms>,
    /// The agreement, once there is one.
    pub agreement: Option<WireId>,
    /// When the provider agreed, by its word.
    pub agreed_at: Option<Timestamp>,
    /// The cooperation whose manifest it will be part of.
    pub cooperation: WireId,
    /// Whether our people must decide.
    pub waits_for_people: bool,
    /// What one of our people wants to propose, until a second one has approved it.
    pub draft: Option<Draft>,
    /// Who of our people has approved the terms on the table, or made them, by the name of the API key.
    pub approved_by: Vec<String>,
    /// When it ends by itself unless somebody answers.
    pub expires_at: Timestamp,
    /// The message that the peer has not yet acknowledged.
    pub unsent: Option<Outgoing>,
    /// SHA-256 of the last message that we took from the peer, for recognising its repeats.
    pub taken: Option<[u8; 32]>,
    /// The agreement that it is to take the place of.
    pub supersedes: Option<WireId>,
}

/// Terms that one of our people wants to propose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The terms.
    pub terms: Terms,
    /// Who, by the name of the API key.
    pub by: String,
}

/// A message that is sent again until the peer acknowledges it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// Path below the peer's DSP base.
    pub path: String,
    /// JSON body as text.
    pub body: String,
}

/// An agreement, at either side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Its id on the wire.
    pub id: WireId,
    /// Who provides.
    pub provider: ParticipantId,
    /// Who consumes.
    pub consumer: ParticipantId,
    /// Normalised terms; the dataset is in them.
    pub terms: Terms,
    /// SHA-256 of the normalised policy.
    pub policy_hash: [u8; 32],
    /// The cooperation that it belongs to.
    pub cooperation: WireId,
    /// When its provider agreed, by the provider's clock: of two agreements on one dataset between the
    /// same parties the later one counts, at both sides.
    pub agreed_at: Timestamp,
    /// When it was FINALIZED, by our clock.
    pub finalized_at: Timestamp,
    /// From which its state follows at any time.
    pub facts: AgreementFacts,
    /// Who suspended it, while it is.
    pub suspended_by: Option<ParticipantId>,
    /// The agreement that it was to take the place of, if it is a renewal.
    pub supersedes: Option<WireId>,
    /// The agreement that follows it.
    pub superseded_by: Option<WireId>,
    /// The notice of our termination that the other party has not yet acknowledged: when it ends,
    /// and why.
    pub unsent_notice: Option<(Timestamp, String)>,
    /// The state that was last entered on record.
    pub state: AgreementState,
    /// Our id of the negotiation that it came of.
    pub negotiation: WireId,
    /// The dataset as the wire names it.
    pub target: WireId,
}

impl Agreement {
    /// Until when anything can be released under it: the end of the term, or of its run-off once the
    /// term has ended.
    pub fn flows_until(&self) -> Timestamp {
        let end = self.facts.end(&self.terms);
        match self.state {
            AgreementState::RunOff => end.plus_ms(self.terms.run_off_ms.unwrap_or(0)),
            AgreementState::Finalized
            | AgreementState::Signed
            | AgreementState::InForce
            | AgreementState::Suspended
            | AgreementState::Ended
            | AgreementState::Superseded => end,
        }
    }

    /// Its state at `clock`.
    pub fn state_at(&self, clock: &ClockInterval) -> AgreementState {
        agreement::state(&self.facts, &self.terms, clock)
    }

    /// The other party, seen from `me`.
    pub fn other(&self, me: &ParticipantId) -> &ParticipantId {
        if &self.provider == me {
            &self.consumer
        } else {
            &self.provider
        }
    }
}

/// All agreements that are signed together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooperation {
    /// Its id.
    pub id: WireId,
    /// With whom.
    pub peer: ParticipantId,
    /// Canonical manifest, once there is one.
    pub manifest: Option<Vec<u8>>,
    /// Our signature.
    pub our_signature: Option<Vec<u8>>,
    /// Theirs.
    pub their_signature: Option<Vec<u8>>,
    /// Why they will not sign, if they said so.
    pub refused: Option<String>,
}

/// A transfer, at either side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Our id of it.
    pub id: WireId,
    /// Their id of it, once known.
    pub peer_id: Option<WireId>,
    /// With whom.
    pub peer: ParticipantId,
    /// Which party we are.
    pub party: Party,
    /// Under which agreement.
    pub agreement: WireId,
    /// Its state.
    pub state: TransferState,
    /// The message that the peer has not yet acknowledged.
    pub unsent: Option<Outgoing>,
    /// SHA-256 of the endpoint of the last message that we took from the peer, for recognising its
    /// repeats: those of a start may bring other tokens.
    pub taken: Option<[u8; 32]>,
    /// How often its provider has started it: the tokens of earlier starts are void.
    pub starts: u32,
    /// Where its data is pushed; pulled if nowhere.
    pub push: Option<PushTarget>,
}

/// Where the data of a transfer is pushed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushTarget {
    /// Address, as the consumer gave it.
    pub endpoint: String,
    /// What goes into `Authorization`, if the consumer gave something. A secret of the consumer's: it is
    /// not put on record here but sealed, beside the transfer.
    pub authorization: Option<String>,
}

impl std::fmt::Debug for PushTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PushTarget(redacted)")
    }
}

/// Calls about agreements that are under way. Lost at a restart, which sends anew.
#[derive(Debug, Default)]
pub struct UnderWay {
    /// What was sent about a negotiation, transfer, manifest or notice and is not answered yet, by its
    /// id. One at a time, so that an answer is known to be for this message.
    pub(super) sending: BTreeMap<WireId, Outgoing>,
    /// What was tried and not taken, by the timer of the next try.
    undelivered: BTreeMap<Timer, delivery::Undelivered>,
    /// How often, and when last, the dataset of an agreement was asked for again because its provider
    /// had ended the transfer.
    asked_again: BTreeMap<WireId, (u32, Timestamp)>,
    /// Mediations about which a partner is being told something.
    pub(super) mediating: BTreeMap<(WireId, ParticipantId), mediation::Sent>,
    /// Callers of ours that wait for a partner's catalog, while it is asked for.
    pub(super) catalogs: BTreeMap<ParticipantId, CatalogCalls>,
    /// When each agreement changes its state next.
    pub(super) changes: BTreeSet<(Timestamp, WireId)>,
    /// The same by agreement.
    pub(super) change_at: BTreeMap<WireId, Timestamp>,
    /// Agreements that were changed and are to be looked at.
    pub(super) touched: BTreeSet<WireId>,
    /// When our systems are to be warned of the end of each agreement next.
    pub(super) warnings: BTreeSet<(Timestamp, WireId)>,
    /// The same by agreement.
    pub(super) warn_at: BTreeMap<WireId, Timestamp>,
    /// Negotiations that moved on in this step.
    pub(super) moved: BTreeSet<WireId>,
    /// Callers of ours that wait for a negotiation to come to its end.
    pub(super) waiters: BTreeMap<WireId, Vec<Waiter>>,
}

/// Callers of ours that wait for one partner's catalog. One call at a time: who comes while it is under
/// way waits for the next, with all others, so that nobody gets a catalog older than the question.
#[derive(Debug, Default)]
pub(super) struct CatalogCalls {
    /// Whom the call that is under way is for.
    pub(super) now: Vec<(ReplyId, CatalogWanted)>,
    /// Whom the next one is for.
    pub(super) next: Vec<(ReplyId, CatalogWanted)>,
    /// Pages asked for.
    pages: u32,
    /// What the pages so far hold.
    found: Vec<Found>,
}

/// A caller of ours that waits for a negotiation.
#[derive(Debug)]
pub(super) struct Waiter {
    /// Where its answer goes.
    pub(super) reply: ReplyId,
    /// When it is answered as things stand.
    pub(super) until: Timestamp,
}

impl Agreement {
    /// We had said in our log that it stopped or ended, and lost the record of it: it is over, or stands
    /// still until somebody resumes it.
    pub(in super::super) fn said(&mut self, me: &ParticipantId, state: &str, at: Timestamp) {
        let named = AgreementState::ALL
            .into_iter()
            .find(|s| s.as_str() == state);
        match named {
            Some(AgreementState::Ended | AgreementState::Superseded | AgreementState::RunOff) => {
                if at < self.facts.end(&self.terms) {
                    self.facts.terminated_at = Some(at);
                }
            }
            Some(AgreementState::Suspended) => {
                self.facts.suspended_at = Some(at);
                self.suspended_by = Some(me.clone());
            }
            Some(AgreementState::InForce | AgreementState::Signed | AgreementState::Finalized)
            | None => {}
        }
    }
}

/// A new identifier for the wire. Random, because a counter would tell partners how much others do.
fn new_id(turn: &mut Turn<'_>) -> WireId {
    loop {
        let digits = interlock_core::ids::RequestId::from_bytes(turn.random16()).to_string();
        let groups = [
            digits.get(..8),
            digits.get(8..12),
            digits.get(12..16),
            digits.get(16..20),
            digits.get(20..),
        ];
        let groups: Vec<&str> = groups.into_iter().flatten().collect();
        // Hexadecimal digits are always an identifier: the first draw is taken.
        if let Ok(id) = WireId::parse(&format!("urn:uuid:{}", groups.join("-"))) {
            return id;
        }
    }
}
