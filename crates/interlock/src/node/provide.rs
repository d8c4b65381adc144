//! Providing feeds: polls, batches, receipts.
//!
//! Purpose: what a consumer may have now, decided item by item when its poll is answered. Invariants:
//! a batch is one record with its positions, its leaf and what it took from the queue; a repeated
//! poll gets the same batch; a poll that waits is answered when something comes, when the term ends,
//! or when its time is over. It does not know how items came into the queue.

use interlock_core::agreement::AgreementState;
use interlock_core::dataset::{Dataset, DatasetForm};
use interlock_core::decide::{
    self, Decision, DenialReason, EvidenceSeen, Grant, ReleaseRequest, Standing, Usage,
};
use interlock_core::ids::{ParticipantId, RequestId, WireId};
use interlock_core::negotiation::Party;
use interlock_core::terms::Purpose as TermPurpose;
use interlock_core::time::ClockInterval;
use interlock_core::transfer::TransferState;

use super::Node;
use super::agreements::Agreement;
use super::io::{Effect, Guard, PeerAnswer, PeerRequest, Problem, ReplyId};
use super::live::{Parked, Timer};
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
struct Scan {
    taken: u32,
    withheld: Vec<u32>,
    granted: Vec<(Queued, Grant)>,
    whole: Option<DenialReason>,
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
            Ok(Some(batch)) => self.answer_batch(turn, &poll, batch),
            Ok(None) if poll.until > turn.at() && self.live.parked.len() < PARKED_MAX => {
                self.live.timer(poll.until, Timer::Poll);
                self.live.parked.push(poll);
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

    /// The batch after a position, if there is one.
    fn try_batch(
        &mut self,
        turn: &mut Turn<'_>,
        poll: &Parked,
    ) -> Result<Option<Outstanding>, Problem> {
        let agreement = self.provided(&poll.from, &poll.transfer, DatasetForm::Feed)?;
        let dataset = agreement.terms.dataset;
        let channel = self.state.channel_mut(&poll.from);
        let lane = channel.outbound.entry(dataset).or_default().lane(poll.lane);
        if let Some(batch) = lane
            .outstanding
            .iter()
            .find(|batch| Some(batch.first) == poll.after.checked_add(1))
        {
            let batch = batch.clone();
            self.may_repeat(turn, &agreement, &batch)?;
            return Ok(Some(batch));
        }
        if poll.after != lane.released {
            return Err(cursor_problem(
                poll.after,
                lane.released,
                lane.outstanding.front().map(|b| b.first),
            ));
        }
        if lane.outstanding.len() >= OUTSTANDING_MAX {
            return Err(problem::problem(
                "receipt-missing",
                409,
                "receipts are missing",
                format!("{OUTSTANDING_MAX} batches are without receipt; post their receipts first"),
            ));
        }
        self.form_batch(turn, poll, &agreement)
    }

    fn form_batch(
        &mut self,
        turn: &mut Turn<'_>,
        poll: &Parked,
        agreement: &Agreement,
    ) -> Result<Option<Outstanding>, Problem> {
        if self.is_followed(&turn.now, agreement) {
            return Ok(None);
        }
        let scan = self.scan(&turn.now, poll, agreement);
        if scan.taken > 0 {
            let salts: Vec<RequestId> = scan.granted.iter().map(|_| turn.random_id()).collect();
            let items: Vec<FeedItem> = scan
                .granted
                .iter()
                .filter_map(|(queued, grant)| self.view(&queued.item, *grant))
                .collect();
            let lane = self
                .state
                .channels
                .get(&poll.from)
                .and_then(|c| c.outbound.get(&agreement.terms.dataset));
            let first = lane.map_or(0, |feed| feed.lane(poll.lane).released) + 1;
            let leaf = self.release_leaf(turn, agreement, poll.lane, first, &items, &salts);
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
        if !scan.granted.is_empty() {
            let channel = self.state.channels.get(&poll.from);
            let feed = channel.and_then(|c| c.outbound.get(&agreement.terms.dataset));
            return Ok(feed
                .and_then(|feed| feed.lane(poll.lane).outstanding.back())
                .cloned());
        }
        match scan.whole {
            None => Ok(None),
            Some(reason) => Err(self.deny(turn, &poll.from, &poll.transfer, agreement, reason)),
        }
    }

    /// Looks at the front of a lane: what may leave now, what waits, and whether the agreement as a
    /// whole releases nothing.
    fn scan(&self, now: &ClockInterval, poll: &Parked, agreement: &Agreement) -> Scan {
        let mut scan = Scan {
            taken: 0,
            withheld: Vec::new(),
            granted: Vec::new(),
            whole: self.closed(now, agreement),
        };
        if scan.whole.is_some() {
            return scan;
        }
        let dataset = agreement.terms.dataset;
        let Some(feed) = self
            .state
            .channels
            .get(&poll.from)
            .and_then(|c| c.outbound.get(&dataset))
        else {
            return scan;
        };
        for queued in feed.lane(poll.lane).ready.iter().take(SCAN_MAX) {
            if scan.granted.len() >= poll.limit as usize {
                break;
            }
            match self.decide_item(now, agreement, queued) {
                Decision::Release(grant) if self.view(&queued.item, grant).is_some() => {
                    scan.granted.push((queued.clone(), grant));
                }
                Decision::Release(_) | Decision::Denial(_) => scan.withheld.push(scan.taken),
            }
            scan.taken += 1;
        }
        scan
    }

    /// Whether an agreement in run-off has another one in force beside it, under which its feed goes on:
    /// a poll by the older transfer takes nothing from the queue then.
    fn is_followed(&self, now: &ClockInterval, agreement: &Agreement) -> bool {
        agreement.state_at(now) == AgreementState::RunOff
            && self
                .state
                .book
                .between(
                    &agreement.provider,
                    &agreement.consumer,
                    agreement.terms.dataset,
                )
                .any(|other| other.state_at(now) == AgreementState::InForce)
    }

    /// Answers polls that wait by other transfers of the feed of `transfer`: its consumer has taken it up
    /// and polls by it from now on.
    pub(super) fn hand_over_polls(&mut self, turn: &mut Turn<'_>, transfer: &WireId) {
        let Some(started) = self.state.book.transfers.get(transfer) else {
            return;
        };
        let (peer, dataset) = (started.peer.clone(), self.dataset_of(transfer));
        for poll in std::mem::take(&mut self.live.parked) {
            let same_feed = poll.from == peer && self.dataset_of(&poll.transfer) == dataset;
            if same_feed && poll.transfer != *transfer {
                self.answer_empty(turn, &poll);
            } else {
                self.live.parked.push(poll);
            }
        }
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
        let marketplace = self.marketplace_of(&queued.item);
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

    /// A batch that left before may be shown again only while it could leave.
    fn may_repeat(
        &self,
        turn: &Turn<'_>,
        agreement: &Agreement,
        batch: &Outstanding,
    ) -> Result<(), Problem> {
        if let Some(reason) = self.closed(&turn.now, agreement) {
            return Err(problem::denial(reason));
        }
        for (queued, _) in &batch.items {
            if let Decision::Denial(reason) = self.decide_item(&turn.now, agreement, queued) {
                return Err(problem::denial(reason));
            }
        }
        Ok(())
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

    fn answer_batch(&self, turn: &mut Turn<'_>, poll: &Parked, batch: Outstanding) {
        let Ok(agreement) = self.provided(&poll.from, &poll.transfer, DatasetForm::Feed) else {
            return self.answer_empty(turn, poll);
        };
        let next = batch.last();
        let mut events = Vec::with_capacity(batch.items.len());
        for (position, (queued, salt)) in (batch.first..).zip(batch.items) {
            let Decision::Release(grant) = self.decide_item(&turn.now, &agreement, &queued) else {
                continue;
            };
            let Some(item) = self.view(&queued.item, grant) else {
                continue;
            };
            events.push(FeedEvent {
                position,
                salt,
                item,
            });
        }
        let until = agreement.flows_until();
        let body = FeedBatch {
            dataset: agreement.terms.dataset,
            lane: poll.lane,
            next,
            events,
        };
        let answer = PeerAnswer::Feed(self.envelope(turn, &poll.from, body));
        let guard = Some(Guard {
            until,
            agreement: agreement.id,
            to: poll.from.clone(),
        });
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
        if feed_has(
            self.state
                .channels
                .get(from)
                .and_then(|c| c.outbound.get(&dataset)),
            lane,
            next,
        ) {
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
        Ok(PeerAnswer::Evidence(self.evidence_for(turn, from)))
    }
}

fn feed_has(feed: Option<&super::state::feed::Feed>, lane: Lane, next: u64) -> bool {
    feed.is_some_and(|feed| {
        feed.lane(lane)
            .outstanding
            .front()
            .is_some_and(|batch| batch.last() <= next)
    })
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
