//! Forming a batch: what may leave now, decided item by item.

use interlock_core::agreement::AgreementState;
use interlock_core::dataset::Dataset;
use interlock_core::decide::{
    self, Decision, DenialReason, EvidenceSeen, ReleaseRequest, Standing, Usage,
};
use interlock_core::ids::{ParticipantId, RequestId, WireId};
use interlock_core::negotiation::Party;
use interlock_core::terms::{Purpose as TermPurpose, Terms};
use interlock_core::time::ClockInterval;

use super::guard;
use crate::exchange::wire::FeedItem;
use crate::node::Node;
use crate::node::agreements::Agreement;
use crate::node::io::{Guard, Problem};
use crate::node::live::Parked;
use crate::node::record::{BatchReleased, ItemRef, Record};
use crate::node::state::feed::{Outstanding, Queued};
use crate::node::turn::Turn;

/// Most items looked at to form one batch.
const SCAN_MAX: usize = 5_000;

/// The outcome of looking at the front of a queue.
#[derive(Default)]
struct Scan {
    taken: u32,
    withheld: Vec<u32>,
    granted: Vec<FeedItem>,
    /// Under which agreement, by index; decided by the first item granted.
    under: Option<usize>,
}

/// What becomes of the item at the front of a queue.
enum Front {
    /// It may leave under the agreement with this index.
    Leaves(usize, FeedItem),
    /// It may leave soon, or under an agreement whose transfer is not started.
    Soon,
    /// Nothing that stands releases it.
    Waits,
}

/// Whether what was denied for this reason may leave by itself in a while.
pub(super) const fn passes(reason: DenialReason) -> bool {
    match reason {
        DenialReason::NotInForce
        | DenialReason::NotYet
        | DenialReason::Closing
        | DenialReason::Suspended
        | DenialReason::QuotaPerDay
        | DenialReason::RunOffNotFrozen
        | DenialReason::ClockUncertain => true,
        DenialReason::TermEnded
        | DenialReason::Superseded
        | DenialReason::Terminated
        | DenialReason::PurposeNotGranted
        | DenialReason::OutOfScope
        | DenialReason::FieldNotGranted
        | DenialReason::FormNotGranted
        | DenialReason::QuotaPerParcel
        | DenialReason::EvidenceMissing
        | DenialReason::NotInRunOff
        | DenialReason::RunOffEnded
        | DenialReason::BeforeCoverage => false,
    }
}

/// What a feed is for: whoever polls states no purpose, so one of those agreed on stands for all.
fn purpose_of(terms: &Terms) -> TermPurpose {
    // Terms without a purpose do not pass negotiation; `marketing` is denied by all others.
    terms
        .purposes
        .first()
        .copied()
        .unwrap_or(TermPurpose::Marketing)
}

/// Whether terms do not grant all that others granted.
fn narrows(terms: &Terms, others: &Terms) -> bool {
    let fields = others.field_set().is_subset(terms.field_set());
    !fields || !others.contact_forms.is_subset(&terms.contact_forms)
}

impl Node {
    /// The agreement of a poll, then the others of the same feed that stand now: a feed is one queue,
    /// and an item must not be put aside by one agreement that another one releases.
    pub(in crate::node) fn standing_between(
        &self,
        now: &ClockInterval,
        to: &ParticipantId,
        polled: Agreement,
    ) -> Vec<Agreement> {
        let others = self
            .state
            .book
            .between(&self.state.me, to, polled.terms.dataset)
            .filter(|other| other.id != polled.id)
            .filter(|other| match other.state_at(now) {
                AgreementState::InForce | AgreementState::RunOff => true,
                AgreementState::Finalized
                | AgreementState::Signed
                | AgreementState::Suspended
                | AgreementState::Ended
                | AgreementState::Superseded => false,
            });
        let others: Vec<Agreement> = others.cloned().collect();
        std::iter::once(polled).chain(others).collect()
    }

    pub(in crate::node) fn form_batch(
        &mut self,
        turn: &mut Turn<'_>,
        poll: &Parked,
        agreements: &[Agreement],
    ) -> Result<Option<(Outstanding, Guard)>, Problem> {
        let Some(polled) = agreements.first() else {
            return Ok(None);
        };
        if let Some(reason) = self.closed(&turn.now, polled) {
            return Err(self.deny(turn, &poll.from, &poll.transfer, polled, reason));
        }
        loop {
            let scan = self.scan(&self.deciding(turn, &poll.from), poll, agreements);
            if scan.taken == 0 {
                return Ok(None);
            }
            let released = !scan.granted.is_empty();
            let under = scan.under.and_then(|at| agreements.get(at));
            let agreement = under.unwrap_or(polled);
            self.record_batch(turn, poll, agreement, scan);
            if released {
                let channel = self.state.channels.get(&poll.from);
                let feed = channel.and_then(|c| c.outbound.get(&agreement.terms.dataset));
                let batch = feed.and_then(|feed| feed.lane(poll.lane).outstanding.back());
                return Ok(batch.map(|batch| (batch.clone(), guard(poll, agreement))));
            }
        }
    }

    fn record_batch(
        &mut self,
        turn: &mut Turn<'_>,
        poll: &Parked,
        agreement: &Agreement,
        scan: Scan,
    ) {
        let salts: Vec<RequestId> = scan.granted.iter().map(|_| turn.random_id()).collect();
        let lane = self
            .state
            .channels
            .get(&poll.from)
            .and_then(|c| c.outbound.get(&agreement.terms.dataset));
        let first = lane.map_or(0, |feed| feed.lane(poll.lane).released) + 1;
        let leaf = self.release_leaf(turn, agreement, poll.lane, first, &scan.granted, &salts);
        self.record(
            turn,
            Record::BatchReleased(Box::new(BatchReleased {
                to: poll.from.clone(),
                dataset: agreement.terms.dataset,
                lane: poll.lane,
                agreement: agreement.id.clone(),
                first,
                taken: scan.taken,
                withheld: scan.withheld,
                salts,
                leaf,
            })),
        );
    }

    /// Looks at the front of a lane: what may leave now as one batch, and what waits for another
    /// agreement. It stops at what may leave later, so that nothing overtakes it.
    fn scan(&self, now: &ClockInterval, poll: &Parked, agreements: &[Agreement]) -> Scan {
        let mut scan = Scan::default();
        let feed = agreements.first().and_then(|polled| {
            let channel = self.state.channels.get(&poll.from)?;
            channel.outbound.get(&polled.terms.dataset)
        });
        let Some(feed) = feed else { return scan };
        for queued in feed.lane(poll.lane).ready.iter().take(SCAN_MAX) {
            if scan.granted.len() >= poll.limit as usize {
                break;
            }
            match self.front(now, agreements, scan.under, &queued) {
                Front::Leaves(under, item) if scan.under.is_none_or(|chosen| chosen == under) => {
                    scan.under = Some(under);
                    scan.granted.push(item);
                }
                Front::Leaves(..) | Front::Soon => break,
                Front::Waits => scan.withheld.push(scan.taken),
            }
            scan.taken += 1;
        }
        scan
    }

    /// What becomes of an item: `chosen` is the agreement of the items before it.
    fn front(
        &self,
        now: &ClockInterval,
        agreements: &[Agreement],
        chosen: Option<usize>,
        queued: &Queued,
    ) -> Front {
        let mut soon = false;
        for at in chosen.into_iter().chain(0..agreements.len()) {
            let Some(agreement) = agreements.get(at) else {
                continue;
            };
            match self.decide_item(now, agreement, queued) {
                Decision::Release(_) => {
                    let started = at == 0
                        || self
                            .state
                            .book
                            .started(agreement, Party::Provider)
                            .is_some();
                    match self.state.view(&queued.item, &agreement.terms) {
                        Some(item) if started => return Front::Leaves(at, item),
                        Some(_) => soon = true,
                        None => {}
                    }
                }
                Decision::Denial(reason) => soon |= passes(reason),
            }
        }
        if soon { Front::Soon } else { Front::Waits }
    }

    /// Why an agreement releases nothing at all now, if so. In run-off single parcels are decided.
    pub(in crate::node) fn closed(
        &self,
        now: &ClockInterval,
        agreement: &Agreement,
    ) -> Option<DenialReason> {
        let end = agreement.facts.end(&agreement.terms);
        match agreement.state_at(now) {
            AgreementState::InForce if now.latest >= end.plus_ms(-self.config.closing_guard_ms) => {
                Some(DenialReason::Closing)
            }
            AgreementState::InForce | AgreementState::RunOff => None,
            AgreementState::Finalized => Some(DenialReason::NotInForce),
            AgreementState::Signed => Some(DenialReason::NotYet),
            AgreementState::Suspended => Some(DenialReason::Suspended),
            AgreementState::Ended if end < agreement.terms.until => Some(DenialReason::Terminated),
            AgreementState::Ended => Some(DenialReason::TermEnded),
            AgreementState::Superseded => Some(DenialReason::Superseded),
        }
    }

    pub(in crate::node) fn decide_item(
        &self,
        now: &ClockInterval,
        agreement: &Agreement,
        queued: &Queued,
    ) -> Decision {
        let dataset = agreement.terms.dataset;
        let qualified_at = self.state.qualified_at(&queued.item, dataset);
        let marketplace = self.state.marketplace_of(&queued.item);
        let request = ReleaseRequest {
            purpose: purpose_of(&agreement.terms),
            marketplace: marketplace.as_ref(),
            fields: &[],
            form: None,
            arose_at: queued.arose_at,
            qualified_at,
        };
        let standing = self.standing(now, agreement, Some(&queued.item));
        decide::decide(
            &request,
            &agreement.terms,
            &standing,
            &Usage::default(),
            &EvidenceSeen::default(),
            now,
        )
    }

    /// Where the agreement stands for the parcel behind an item.
    pub(in crate::node) fn standing(
        &self,
        now: &ClockInterval,
        agreement: &Agreement,
        item: Option<&ItemRef>,
    ) -> Standing {
        Standing {
            state: agreement.state_at(now),
            terminated_at: agreement.facts.terminated_at,
            closing_guard_ms: self.config.closing_guard_ms,
            in_run_off_set: (agreement.state == AgreementState::RunOff)
                .then(|| item.is_some_and(|item| self.state.in_run_off(agreement, item))),
        }
    }

    /// A batch that left before may be shown again only while it could leave: under one of the
    /// agreements that stand, with all that it showed.
    pub(in crate::node) fn may_repeat(
        &self,
        turn: &Turn<'_>,
        poll: &Parked,
        agreements: &[Agreement],
        batch: &Outstanding,
    ) -> Result<Guard, DenialReason> {
        let now = self.deciding(turn, &poll.from);
        let mut lasting = DenialReason::TermEnded;
        let mut passing = None;
        let book = &self.state.book.agreements;
        let showed = book.get(&batch.agreement).map(|a| &a.terms);
        for agreement in agreements {
            let narrower = showed.is_none_or(|terms| narrows(&agreement.terms, terms));
            let reason = match self.closed(&turn.now, agreement) {
                Some(reason) => Some(reason),
                None if narrower => Some(DenialReason::FieldNotGranted),
                None => batch.items.iter().find_map(|item| {
                    match self.decide_item(&now, agreement, &item.queued) {
                        Decision::Release(_) => None,
                        Decision::Denial(reason) => Some(reason),
                    }
                }),
            };
            match reason {
                None => return Ok(guard(poll, agreement)),
                Some(reason) if passes(reason) => passing = Some(reason),
                Some(reason) => lasting = reason,
            }
        }
        Err(passing.unwrap_or(lasting))
    }

    /// The consumer stands before a batch that left under an agreement that is over, and that no other
    /// covers: it must not keep everything after it from leaving.
    pub(in crate::node) fn take_back(
        &mut self,
        turn: &mut Turn<'_>,
        poll: &Parked,
        dataset: Dataset,
        first: u64,
        agreement: &WireId,
        reason: DenialReason,
    ) {
        let leaf = self.voided_leaf(turn, agreement, reason.as_str());
        self.record(
            turn,
            Record::BatchesTakenBack {
                to: poll.from.clone(),
                dataset,
                lane: poll.lane,
                first,
                leaf,
            },
        );
    }
}
