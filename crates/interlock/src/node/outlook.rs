//! What agreements allow at an instant: of those that there are, or of those that there might be.
//!
//! Purpose: one place that says who tells a recipient, what flows and what is stale, asked by the
//! doors about now and by a rehearsal about another time and other agreements. Invariant: a rehearsal
//! asks the very functions that decide. It does not know what has changed since.

use interlock_core::agreement::AgreementState;
use interlock_core::dataset::Dataset;
use interlock_core::ids::ParticipantId;
use interlock_core::terms::Backlog;
use interlock_core::time::{ClockInterval, Timestamp};

use super::Node;
use super::agreements::{Agreement, Book};
use super::record::ItemRef;
use super::state::State;
use super::state::parcels::Parcel;
use crate::pages::StaleReason;

/// Agreements, seen at an instant.
pub(super) struct Outlook<'a> {
    /// Parcels, partners, what happened.
    pub(super) state: &'a State,
    /// The agreements: those in `state`, or others.
    pub(super) book: &'a Book,
    /// The instant.
    pub(super) now: ClockInterval,
    /// Whether we can tell recipients ourselves.
    pub(super) has_gateway: bool,
}

/// What becomes of an item that arises for a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    /// It is released.
    Live,
    /// It waits for an agreement that covers it.
    Held,
    /// It is dropped, by the last agreement's word.
    Dropped,
}

/// A source that would tell more of a parcel and does not.
pub(super) struct StaleSource {
    /// Who.
    pub(super) from: ParticipantId,
    /// Since when.
    pub(super) since: Timestamp,
    /// Why.
    pub(super) reason: StaleReason,
}

impl Node {
    /// What the agreements that there are allow at `now`.
    pub(super) const fn outlook(&self, now: ClockInterval) -> Outlook<'_> {
        Outlook {
            state: &self.state,
            book: &self.state.book,
            now,
            has_gateway: self.config.has_gateway,
        }
    }
}

impl Outlook<'_> {
    /// Sources that would tell more of a parcel and do not, and why.
    pub(super) fn stale_sources(&self, parcel: &Parcel) -> Vec<StaleSource> {
        if parcel.closed_at.is_some() {
            return Vec::new();
        }
        let mut sources: Vec<(ParticipantId, Dataset)> = Vec::new();
        if let Some(carrier) = self.state.carrier_of(parcel) {
            sources.push((carrier, Dataset::TrackingEvents));
        }
        for entry in parcel.events.iter().filter(|e| e.event.step.is_locker()) {
            if let Some(from) = &entry.from
                && !sources.contains(&(from.clone(), Dataset::LockerEvents))
            {
                sources.push((from.clone(), Dataset::LockerEvents));
            }
        }
        let stale = sources.into_iter().filter_map(|(from, dataset)| {
            let (since, reason) = self.stale(parcel, &from, dataset)?;
            Some(StaleSource {
                from,
                since,
                reason,
            })
        });
        stale.collect()
    }

    fn stale(
        &self,
        parcel: &Parcel,
        from: &ParticipantId,
        dataset: Dataset,
    ) -> Option<(Timestamp, StaleReason)> {
        let mut since = None;
        let mut suspended = false;
        for agreement in self.book.between(from, &self.state.me, dataset) {
            let end = agreement.facts.end(&agreement.terms);
            match agreement.state_at(&self.now) {
                AgreementState::InForce => return None,
                AgreementState::RunOff if told_before(parcel, from, dataset, end) => return None,
                AgreementState::Suspended => {
                    suspended = true;
                    since = since.max(agreement.facts.suspended_at);
                }
                AgreementState::RunOff | AgreementState::Ended => since = since.max(Some(end)),
                AgreementState::Finalized | AgreementState::Signed | AgreementState::Superseded => {
                }
            }
        }
        let reason = if suspended {
            StaleReason::Suspended
        } else {
            StaleReason::NoAgreement
        };
        Some((since?, reason))
    }
}

/// Whether `from` told of the parcel before `end`: then it had the parcel, and its run-off covers it.
fn told_before(parcel: &Parcel, from: &ParticipantId, dataset: Dataset, end: Timestamp) -> bool {
    let locker = dataset == Dataset::LockerEvents;
    parcel.events.iter().any(|e| {
        e.from.as_ref() == Some(from) && e.event.step.is_locker() == locker && e.logged_at < end
    })
}

impl State {
    /// What becomes of an item for `consumer` that arises at `at`, by the states in `book`: it flows if
    /// an agreement is in force (or its run-off covers the parcel), else the last agreement says.
    pub(in crate::node) fn flow(
        &self,
        book: &Book,
        consumer: &ParticipantId,
        dataset: Dataset,
        item: &ItemRef,
        at: Timestamp,
    ) -> Flow {
        let mut flow = Flow::Held;
        for (rank, agreement) in book.between(&self.me, consumer, dataset).enumerate() {
            if self.flows_under(agreement, item) {
                return Flow::Live;
            }
            let drops = agreement.terms.backlog == Some(Backlog::Drop);
            if rank == 0 && drops && agreement.terms.from <= at {
                flow = Flow::Dropped;
            }
        }
        flow
    }

    fn flows_under(&self, agreement: &Agreement, item: &ItemRef) -> bool {
        match agreement.state {
            AgreementState::InForce => true,
            AgreementState::RunOff => self.in_run_off(agreement, item),
            AgreementState::Finalized
            | AgreementState::Signed
            | AgreementState::Suspended
            | AgreementState::Ended
            | AgreementState::Superseded => false,
        }
    }
}
