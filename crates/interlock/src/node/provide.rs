//! Providing feeds: polls, batches, receipts.
//!
//! Purpose: what a consumer may have now, decided item by item when its poll is answered. Invariants:
//! a batch is one record with its positions, its leaf and what it took from the queue; a repeated
//! poll gets the same batch; a poll that waits is answered when something comes, when the term ends,
//! or when its time is over. It does not know how items came into the queue.

use interlock_core::agreement::AgreementState;
use interlock_core::dataset::{Dataset, DatasetForm};
use interlock_core::decide::{
    self, Decision, DenialReason, EvidenceSeen, ReleaseRequest, Standing, Usage,
};
use interlock_core::ids::{ParticipantId, RequestId, WireId};
use interlock_core::negotiation::Party;
use interlock_core::terms::Purpose as TermPurpose;
use interlock_core::time::ClockInterval;
use interlock_core::transfer::TransferState;

use super::Node;
use super::agreements::Agreement;
use super::io::{Effect, Guard, PeerAnswer, PeerRequest, Problem, ReplyId};
use super::live::Parked;
use super::problem;
use super::record::{BatchReleased, Record};
use super::state::feed::{OUTSTANDING_MAX, Outstanding, Queued};
use super::turn::Turn;
use crate::exchange::wire::{
    BATCH_EVENTS_MAX, Envelope, FeedBatch, FeedEvent, FeedItem, FeedReceipt, Lane, POLL_WAIT_MS_MAX,
};

/// Most polls that may wait at a node.
const PARKED_MAX: usize = 10_000;
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

impl Node {
    /// A partner's request that its identity seam has let in.
    pub(super) fn peer(
        &mut self,
        turn: &mut Turn<'_>,
        reply: ReplyId,
        from: &ParticipantId,
        request: PeerRequest,
    ) {
        let answer = match request {
            PeerRequest::Dsp { post, path, body } => Ok(self.dsp(turn, from, post, &path, &body)),
            PeerRequest::Feed {
                transfer,
                lane,
                after,
                limit,
                wait_ms,
            } => {
                let until = turn.at().plus_ms(i64::from(wait_ms.min(POLL_WAIT_MS_MAX)));
                let limit = limit.clamp(1, BATCH_EVENTS_MAX);
                let poll = Parked {
                    reply,
                    from: from.clone(),
                    transfer,
                    lane,
                    after,
                    limit,
                    until,
                };
                return self.poll(turn, poll);
            }
            PeerRequest::Receipt { transfer, envelope } => {
                self.receipt(turn, from, &transfer, &envelope)
            }
            PeerRequest::Lookup { transfer, envelope } => {
                return self.lookup(turn, reply, from, &transfer, &envelope);
            }
            PeerRequest::Checkpoint => Ok(PeerAnswer::Evidence(self.evidence_for(turn, from))),
            PeerRequest::Entries { from: first } => self.entries(turn, from, first),
            PeerRequest::Cooperation(message) => self.cooperation(turn, from, &message),
            PeerRequest::Notice(envelope) => self.notice(turn, from, &envelope),
        };
        let answer = answer.unwrap_or_else(PeerAnswer::Problem);
        turn.push(Effect::ReplyPeer {
            to: reply,
            answer,
            guard: None,
        });
    }

    /// The agreement behind a started transfer of `from`, where we provide.
    pub(super) fn provided(
        &self,
        from: &ParticipantId,
        transfer: &WireId,
        form: DatasetForm,
    ) -> Result<Agreement, Problem> {
        let unknown = || problem::not_found("transfer");
        let transfer = self
            .state
            .book
            .transfers
            .get(transfer)
            .ok_or_else(unknown)?;
        let agreement = self
            .state
            .book
            .agreements
            .get(&transfer.agreement)
            .ok_or_else(unknown)?;
        if &transfer.peer != from
            || transfer.party != Party::Provider
            || agreement.terms.dataset.form() != form
        {
            return Err(unknown());
        }
        match transfer.state {
            TransferState::Started => Ok(agreement.clone()),
            TransferState::Suspended => Err(problem::denial(DenialReason::Suspended)),
            TransferState::Requested | TransferState::Completed | TransferState::Terminated => {
                Err(problem::problem(
                    "transfer-not-started",
                    409,
                    "the transfer is not started",
                    format!(
                        "its state is `{}`; start a new transfer under an agreement in force",
                        transfer.state.as_str()
                    ),
                ))
            }
        }
    }

    fn poll(&mut self, turn: &mut Turn<'_>, poll: Parked) {
        match self.try_batch(turn, &poll) {
            Ok(Some(batch)) => {
                let dataset = self.dataset_of(&poll.transfer);
                let dataset = dataset.unwrap_or(Dataset::LockerStations);
                self.answer_batch(turn, &poll, dataset, batch);
            }
            Ok(None) if poll.until > turn.at() && self.live.parked.len() < PARKED_MAX => {
                self.park(turn, poll);
            }
            Ok(None) => self.answer_empty(turn, &poll),
            Err(refused) => {
                let answer = PeerAnswer::Problem(refused);
                turn.push(Effect::ReplyPeer {
                    to: poll.reply,
                    answer,
                    guard: None,
                });
            }
        }
    }

    /// Lets a poll wait. One that waits for the same lane already is answered: its caller has given it
    /// up, and nobody may fill the node with polls.
    fn park(&mut self, turn: &mut Turn<'_>, poll: Parked) {
        let same = |other: &Parked| {
            (&other.from, &other.transfer, other.lane) == (&poll.from, &poll.transfer, poll.lane)
        };
        if let Some(at) = self.live.parked.iter().position(same) {
            let before = self.live.parked.swap_remove(at);
            self.answer_empty(turn, &before);
        }
        self.live.parked.push(poll);
    }

    /// Answers parked polls for which something came, whose term changed, or whose time is over.
    pub(super) fn serve_parked(&mut self, turn: &mut Turn<'_>) {
        let ready = std::mem::take(&mut self.live.ready);
        if ready.is_empty() && self.live.parked.iter().all(|poll| poll.until > turn.at()) {
            return;
        }
        for poll in std::mem::take(&mut self.live.parked) {
            let dataset = self.dataset_of(&poll.transfer);
            let due = poll.until <= turn.at();
            if due || dataset.is_some_and(|d| ready.contains(&(poll.from.clone(), d))) {
                self.poll(turn, poll);
            } else {
                self.live.parked.push(poll);
            }
        }
    }

    fn dataset_of(&self, transfer: &WireId) -> Option<Dataset> {
        let transfer = self.state.book.transfers.get(transfer)?;
        Some(
            self.state
                .book
                .agreements
                .get(&transfer.agreement)?
                .terms
                .dataset,
        )
    }

    /// The batch after a position and until when it may leave, if there is one.
    fn try_batch(
        &mut self,
        turn: &mut Turn<'_>,
        poll: &Parked,
    ) -> Result<Option<(Outstanding, Guard)>, Problem> {
        let agreement = self.provided(&poll.from, &poll.transfer, DatasetForm::Feed)?;
        let dataset = agreement.terms.dataset;
        let agreements = self.standing_between(&turn.now, &poll.from, agreement);
        let Some(polled) = agreements.first() else {
            return Ok(None);
        };
        let feed = self
            .state
            .channels
            .get(&poll.from)
            .and_then(|c| c.outbound.get(&dataset));
        let lane = feed.map(|feed| feed.lane(poll.lane));
        let released = lane.map_or(0, |lane| lane.released);
        let outstanding = lane.map(|lane| &lane.outstanding);
        let repeated = outstanding
            .into_iter()
            .flatten()
            .find(|batch| Some(batch.first) == poll.after.checked_add(1));
        if let Some(batch) = repeated {
            match self.may_repeat(turn, poll, &agreements, batch) {
                Ok(guard) => return Ok(Some((batch.clone(), guard))),
                Err(reason) if passes(reason) || self.closed(&turn.now, polled).is_some() => {
                    return Err(problem::denial(reason));
                }
                Err(reason) => {
                    let (first, agreement) = (batch.first, batch.agreement.clone());
                    self.take_back(turn, poll, dataset, first, &agreement, reason);
                    return self.form_batch(turn, poll, &agreements);
                }
            }
        }
        if poll.after != released {
            let oldest = outstanding.and_then(|all| all.front()).map(|b| b.first);
            return Err(cursor_problem(poll.after, released, oldest));
        }
        let full = self
            .state
            .channels
            .get(&poll.from)
            .is_some_and(|channel| !channel.has_room());
        if full || outstanding.is_some_and(|all| all.len() >= OUTSTANDING_MAX) {
            return Err(problem::problem(
                "receipt-missing",
                409,
                "receipts are missing",
                format!("{OUTSTANDING_MAX} batches are without receipt; post their receipts first"),
            ));
        }
        self.form_batch(turn, poll, &agreements)
    }

    /// The agreement of a poll, then the others of the same feed that stand now: a feed is one queue,
    /// and an item must not be put aside by one agreement that another one releases.
    fn standing_between(
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

    fn form_batch(
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
            let scan = self.scan(&turn.now, poll, agreements);
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
            match self.front(now, agreements, scan.under, queued) {
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
                Decision::Release(grant) => {
                    let started = at == 0 || self.transfer_of(agreement, Party::Provider).is_some();
                    match self.state.view(&queued.item, grant.fields) {
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
    pub(super) fn closed(
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

    fn decide_item(&self, now: &ClockInterval, agreement: &Agreement, queued: &Queued) -> Decision {
        let dataset = agreement.terms.dataset;
        let qualified_at = self.state.qualified_at(&queued.item, dataset);
        let marketplace = self.state.marketplace_of(&queued.item);
        let request = ReleaseRequest {
            purpose: feed_purpose(dataset),
            marketplace: marketplace.as_ref(),
            fields: &[],
            form: None,
            arose_at: queued.arose_at,
            qualified_at,
        };
        let standing = self.standing(now, agreement, qualified_at);
        decide::decide(
            &request,
            &agreement.terms,
            &standing,
            &Usage::default(),
            &EvidenceSeen::default(),
            now,
        )
    }

    /// Where the agreement stands for a parcel that qualified at the given time.
    pub(super) fn standing(
        &self,
        now: &ClockInterval,
        agreement: &Agreement,
        qualified_at: Option<interlock_core::time::Timestamp>,
    ) -> Standing {
        let end = agreement.facts.end(&agreement.terms);
        Standing {
            state: agreement.state_at(now),
            terminated_at: agreement.facts.terminated_at,
            closing_guard_ms: self.config.closing_guard_ms,
            in_run_off_set: (agreement.state == AgreementState::RunOff)
                .then(|| qualified_at.is_some_and(|at| at < end)),
        }
    }

    /// A batch that left before may be shown again only while it could leave: under one of the
    /// agreements that stand, with all that it showed.
    fn may_repeat(
        &self,
        turn: &Turn<'_>,
        poll: &Parked,
        agreements: &[Agreement],
        batch: &Outstanding,
    ) -> Result<Guard, DenialReason> {
        let mut lasting = DenialReason::TermEnded;
        let mut passing = None;
        let book = &self.state.book.agreements;
        let showed = book.get(&batch.agreement).map(|a| a.terms.field_set());
        for agreement in agreements {
            let narrower =
                showed.is_none_or(|fields| !fields.is_subset(agreement.terms.field_set()));
            let reason = match self.closed(&turn.now, agreement) {
                Some(reason) => Some(reason),
                None if narrower => Some(DenialReason::FieldNotGranted),
                None => batch.items.iter().find_map(|item| {
                    match self.decide_item(&turn.now, agreement, &item.queued) {
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
    fn take_back(
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

    /// Puts a denial on record, once for each transfer and reason, and says it.
    fn deny(
        &mut self,
        turn: &mut Turn<'_>,
        to: &ParticipantId,
        transfer: &WireId,
        agreement: &Agreement,
        reason: DenialReason,
    ) -> Problem {
        if self
            .live
            .denied
            .insert((transfer.clone(), reason.as_str().into()))
        {
            let leaf = self.denial_leaf(turn, Some(agreement), reason.as_str());
            self.record(
                turn,
                Record::Denied {
                    to: to.clone(),
                    dataset: agreement.terms.dataset,
                    reason: reason.as_str().into(),
                    leaf,
                },
            );
        }
        problem::denial(reason)
    }

    fn answer_batch(
        &self,
        turn: &mut Turn<'_>,
        poll: &Parked,
        dataset: Dataset,
        (batch, guard): (Outstanding, Guard),
    ) {
        let next = batch.last();
        let wanted = batch.items.len();
        let events: Vec<FeedEvent> = (batch.first..)
            .zip(batch.items)
            .filter_map(|(position, released)| {
                Some(FeedEvent {
                    position,
                    salt: released.salt,
                    item: released.shown?,
                })
            })
            .collect();
        let (answer, guard) = if events.len() == wanted {
            let body = FeedBatch {
                dataset,
                lane: poll.lane,
                next,
                events,
            };
            (
                PeerAnswer::Feed(self.envelope(turn, &poll.from, body)),
                Some(guard),
            )
        } else {
            let gone = problem::problem(
                "batch-gone",
                410,
                "the batch is deleted",
                "what it held was due for deletion before it was receipted; settle it between people",
            );
            (PeerAnswer::Problem(gone), None)
        };
        turn.push(Effect::ReplyPeer {
            to: poll.reply,
            answer,
            guard,
        });
    }

    fn answer_empty(&self, turn: &mut Turn<'_>, poll: &Parked) {
        let dataset = self
            .dataset_of(&poll.transfer)
            .unwrap_or(Dataset::LockerStations);
        let body = FeedBatch {
            dataset,
            lane: poll.lane,
            next: poll.after,
            events: Vec::new(),
        };
        let answer = PeerAnswer::Feed(self.envelope(turn, &poll.from, body));
        turn.push(Effect::ReplyPeer {
            to: poll.reply,
            answer,
            guard: None,
        });
    }

    fn receipt(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        transfer: &WireId,
        envelope: &Envelope<FeedReceipt>,
    ) -> Result<PeerAnswer, Problem> {
        let unknown = || problem::not_found("transfer");
        let known = self
            .state
            .book
            .transfers
            .get(transfer)
            .ok_or_else(unknown)?;
        if &known.peer != from || known.party != Party::Provider {
            return Err(unknown());
        }
        let dataset = self.dataset_of(transfer).ok_or_else(unknown)?;
        let FeedReceipt { lane, next } = envelope.body;
        let feed = self
            .state
            .channels
            .get(from)
            .and_then(|c| c.outbound.get(&dataset));
        let released = feed.map_or(0, |feed| feed.lane(lane).released);
        if next > released {
            return Err(problem::field(
                "receipt-ahead",
                422,
                "a receipt for what was not released",
                "/body/next",
                format!(
                    "`{next}` is beyond the last released position {released}; receipt what you hold"
                ),
            ));
        }
        self.take_evidence(turn, from, &envelope.evidence)?;
        let channel = self.state.channels.get(from);
        let batch = channel
            .and_then(|c| c.outbound.get(&dataset))
            .and_then(|feed| settled(feed, lane, next));
        if let Some(batch) = batch {
            if channel.is_none_or(|c| c.out.acknowledged() <= batch.leaf) {
                return Err(problem::problem(
                    "receipt-not-on-log",
                    422,
                    "the receipt is not on your log",
                    "append a receipt for our log to yours first, then send it with its evidence",
                ));
            }
            self.record(
                turn,
                Record::Receipted {
                    from: from.clone(),
                    dataset,
                    lane,
                    next,
                },
            );
        }
        self.receipt_leaf_if_much(turn, from);
        Ok(PeerAnswer::Evidence(self.evidence_for(turn, from)))
    }
}

/// Until when an answer to a poll may leave.
fn guard(poll: &Parked, agreement: &Agreement) -> Guard {
    Guard {
        until: agreement.flows_until(),
        agreement: agreement.id.clone(),
        to: poll.from.clone(),
    }
}

/// Whether what was denied for this reason may leave by itself in a while.
const fn passes(reason: DenialReason) -> bool {
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

/// The newest batch that a receipt up to `next` settles.
fn settled(feed: &super::state::feed::Feed, lane: Lane, next: u64) -> Option<&Outstanding> {
    let outstanding = &feed.lane(lane).outstanding;
    outstanding.iter().rev().find(|batch| batch.last() <= next)
}

fn cursor_problem(after: u64, released: u64, outstanding: Option<u64>) -> Problem {
    let oldest = outstanding.map_or(released, |first| first - 1);
    problem::field(
        "cursor-unknown",
        409,
        "no batch begins there",
        "after",
        format!(
            "`{after}` is no boundary; go on after position {oldest} or {released}: what you receipted is not sent again"
        ),
    )
}

/// What a feed is for; a feed has one purpose, which the terms must grant.
pub(super) const fn feed_purpose(dataset: Dataset) -> TermPurpose {
    match dataset {
        Dataset::PreAdvice => TermPurpose::Ownership,
        Dataset::RecipientContact | Dataset::PickupCode => TermPurpose::PickupNotification,
        Dataset::LockerEvents | Dataset::TrackingEvents => TermPurpose::DeliveryTracking,
        Dataset::LockerStations => TermPurpose::LockerOperation,
        Dataset::CooperationStatus => TermPurpose::Mediation,
        Dataset::ExchangeStatistics => TermPurpose::Statistics,
    }
}
