//! Who decides what a node does next about a negotiation or a transfer.
//!
//! Purpose: the one seam for decisions of a participant: by itself within what it offers, by its
//! people, or by a script in a conformance run. Invariant: an approver only says what it wants; the
//! node does nothing that the protocol's state machine does not allow, whatever is said. An approver
//! knows no clock, no partner's address and no journal.

use interlock_core::dataset::Dataset;
use interlock_core::ids::WireId;
use interlock_core::negotiation::{NegotiationState as State, Party};
use interlock_core::terms::{self, Terms};
use interlock_core::transfer::TransferState;
use serde_json::Value;

use super::negotiate::check_policy;
use super::{Actor, Agreement, Negotiation, Offer, Transfer};

/// Decides for a node. Asked whenever a message was taken from the peer or acknowledged by it.
pub trait Approver: Send {
    /// The terms that `policy` means for the dataset that the wire names `target`.
    ///
    /// # Errors
    /// What cannot be agreed on, with the constraint named.
    fn terms(&self, target: &WireId, policy: &Value) -> Result<Terms, String>;

    /// What to do next about a negotiation.
    fn negotiation(&mut self, case: &NegotiationCase<'_>) -> Decided<NegotiationMove>;

    /// What to do next about a transfer.
    fn transfer(&mut self, case: &TransferCase<'_>) -> Decided<TransferMove>;

    /// Whether the dataset of an agreement is asked for as soon as the agreement is in force.
    fn asks_at_once(&self, agreement: &Agreement) -> bool;
}

/// A negotiation about which something has to be decided, in the state that it is in now.
#[derive(Debug)]
pub struct NegotiationCase<'a> {
    /// The negotiation.
    pub negotiation: &'a Negotiation,
    /// The offer of ours that it is about, if it still stands and is for the peer.
    pub offer: Option<&'a Offer>,
    /// Whether this node could keep the terms on the table as their provider.
    pub can_provide: bool,
    /// Whether our people have accepted to provide exactly this, in a mediation.
    pub mediated: bool,
    /// Whether the time of [`NegotiationMove::Later`] is over.
    pub waited: bool,
}

/// A transfer about which something has to be decided, in the state that it is in now.
#[derive(Debug)]
pub struct TransferCase<'a> {
    /// The transfer.
    pub transfer: &'a Transfer,
    /// Whether the time of [`TransferMove::Later`] is over.
    pub waited: bool,
}

/// A decision and whose it is, for the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided<T> {
    /// What to do.
    pub next: T,
    /// By whom.
    pub by: Actor,
}

/// What to do about a negotiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NegotiationMove {
    /// Nothing: it is the peer's turn, or over.
    Wait,
    /// Lay it before our people.
    AskPeople,
    /// Ask again after so many milliseconds, unless something happens before.
    Later(i64),
    /// Provider: agree to the terms on the table.
    Agree,
    /// Provider: offer these terms. Consumer: request them.
    Propose(Box<Terms>),
    /// Consumer: accept the offer on the table.
    Accept,
    /// Consumer: confirm the agreement.
    Verify,
    /// Provider: conclude it.
    Finalize,
    /// End it, for the reason given.
    Terminate(String),
}

/// What to do about a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferMove {
    /// Nothing.
    Wait,
    /// Ask again after so many milliseconds, unless something happens before.
    Later(i64),
    /// Start it, or start it again.
    Start,
    /// Stop it for a while, for the reason given.
    Suspend(String),
    /// Declare it complete.
    Complete,
    /// End it, for the reason given.
    Terminate(String),
}

impl<T> Decided<T> {
    /// `next`, decided by `by`.
    pub fn new(next: T, by: impl Into<Actor>) -> Self {
        let by = by.into();
        Self { next, by }
    }
}

/// The approver that ships: automatic within a published offer that says so, for what was asked for,
/// and for what follows from an agreement; everything else is laid before people.
#[derive(Clone, Copy, Debug, Default)]
pub struct WithinOffers;

impl Approver for WithinOffers {
    fn terms(&self, target: &WireId, policy: &Value) -> Result<Terms, String> {
        let kind = dataset_of(target).ok_or_else(|| unknown_dataset(target))?;
        check_policy(policy, kind)
    }

    fn negotiation(&mut self, case: &NegotiationCase<'_>) -> Decided<NegotiationMove> {
        let it = case.negotiation;
        match (it.party, it.state) {
            (Party::Provider, State::Requested) if case.mediated => {
                Decided::new(NegotiationMove::Agree, Actor::Node)
            }
            (Party::Provider, State::Requested) => {
                let within = case
                    .offer
                    .filter(|o| o.auto_accept && terms::within(&it.terms, &o.terms).is_ok());
                match within.filter(|_| case.can_provide) {
                    Some(o) => Decided::new(NegotiationMove::Agree, Actor::Offer(o.id.clone())),
                    None => Decided::new(NegotiationMove::AskPeople, Actor::Node),
                }
            }
            (Party::Provider, State::Accepted) => Decided::new(NegotiationMove::Agree, Actor::Node),
            (Party::Provider, State::Verified) => {
                Decided::new(NegotiationMove::Finalize, Actor::Node)
            }
            // Our people stand for what we asked for.
            (Party::Consumer, State::Offered)
                if it.version > 1 && it.terms_before.as_ref() == Some(&it.terms) =>
            {
                Decided::new(NegotiationMove::Accept, Actor::Node)
            }
            (Party::Consumer, State::Offered) => {
                Decided::new(NegotiationMove::AskPeople, Actor::Node)
            }
            (Party::Consumer, State::Agreed) => Decided::new(NegotiationMove::Verify, Actor::Node),
            (
                Party::Provider,
                State::Offered | State::Agreed | State::Finalized | State::Terminated,
            )
            | (
                Party::Consumer,
                State::Requested
                | State::Accepted
                | State::Verified
                | State::Finalized
                | State::Terminated,
            ) => Decided::new(NegotiationMove::Wait, Actor::Node),
        }
    }

    fn transfer(&mut self, case: &TransferCase<'_>) -> Decided<TransferMove> {
        let it = case.transfer;
        let next = match (it.party, it.state) {
            (Party::Provider, TransferState::Requested) => TransferMove::Start,
            (Party::Consumer, TransferState::Requested)
            | (
                Party::Provider | Party::Consumer,
                TransferState::Started
                | TransferState::Suspended
                | TransferState::Completed
                | TransferState::Terminated,
            ) => TransferMove::Wait,
        };
        Decided::new(next, Actor::Node)
    }

    fn asks_at_once(&self, _agreement: &Agreement) -> bool {
        true
    }
}

/// The kind of dataset that an identifier on the wire names: `KIND`, or `KIND:NAME` for one of several
/// of a kind, such as `locker-stations:hangzhou`.
pub fn dataset_of(target: &WireId) -> Option<Dataset> {
    let kind = target.as_str().split(':').next().unwrap_or_default();
    Dataset::parse(kind)
}

fn unknown_dataset(target: &WireId) -> String {
    format!("the dataset `{target}` is not known; name one of the profile's")
}
