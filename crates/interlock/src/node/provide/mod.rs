//! Providing feeds: polls, batches, receipts.
//!
//! Purpose: what a consumer may have now, decided item by item when its poll is answered. Invariants:
//! a batch is one record with its positions, its leaf and what it took from the queue; a repeated
//! poll gets the same batch; a poll that waits is answered when something comes, when the term ends,
//! or when its time is over. It does not know how items came into the queue.

mod batch;
mod connector;
mod push;

use batch::passes;

use interlock_core::dataset::{Dataset, DatasetForm};
use interlock_core::decide::DenialReason;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::negotiation::Party;
use interlock_core::transfer::TransferState;

use crate::exchange::wire::{
    BATCH_EVENTS_MAX, Envelope, FeedBatch, FeedEvent, FeedReceipt, Lane, POLL_WAIT_MS_MAX,
};
use crate::node::Node;
use crate::node::agreements::Agreement;
use crate::node::io::{ConnectorAnswer, Effect, Guard, PeerAnswer, PeerRequest, Problem, ReplyId};
use crate::node::live::Parked;
use crate::node::problem;
use crate::node::record::Record;
use crate::node::state::feed::{OUTSTANDING_MAX, Outstanding};
use crate::node::turn::Turn;

/// Most polls that may wait at a node.
const PARKED_MAX: usize = 10_000;

impl Node {
    /// A partner's request that its identity seam has let in.
    pub(in crate::node) fn peer(
        &mut self,
        turn: &mut Turn<'_>,
        reply: ReplyId,
        from: &ParticipantId,
        request: PeerRequest,
    ) {
        if let Some(refusal) = self.not_for(turn, from, &request) {
            return turn.push(Effect::ReplyPeer {
                to: reply,
                answer: PeerAnswer::Problem(refusal),
                guard: None,
            });
        }
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
                    cursor: None,
                };
                return self.poll(turn, poll);
            }
            PeerRequest::Receipt { transfer, envelope } => {
                self.receipt(turn, from, &transfer, &envelope)
            }
            PeerRequest::Lookup { transfer, envelope } => {
                return self.lookup(turn, reply, from, &transfer, &envelope);
            }
            PeerRequest::Checkpoint => Ok(PeerAnswer::Mirror(self.mirror_view(from))),
            PeerRequest::Entries {
                log,
                epoch,
                from: first,
            } => return self.entries(turn, reply, from, log, epoch, first),
            PeerRequest::Cooperation(message) => self.cooperation(turn, from, &message),
            PeerRequest::Mediation(message) => self.mediation(turn, from, message),
            PeerRequest::Notice(envelope) => self.notice(turn, from, &envelope),
        };
        let answer = answer.unwrap_or_else(PeerAnswer::Problem);
        turn.push(Effect::ReplyPeer {
            to: reply,
            answer,
            guard: None,
        });
    }

    /// Why a partner's request is not looked at, whatever it asks for.
    fn not_for(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        request: &PeerRequest,
    ) -> Option<Problem> {
        if self.state.is_connector(from) && !matches!(request, PeerRequest::Dsp { .. }) {
            return Some(problem::problem(
                "connector",
                403,
                "not for connectors",
                "this partner is listed as a connector that is not Interlock; pull with the token of \
                 a transfer's start, or have its entry corrected",
            ));
        }
        self.not_compared(turn, from, request)
    }

    /// The agreement behind a started transfer of `from`, where we provide.
    pub(in crate::node) fn provided(
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

    fn poll(&mut self, turn: &mut Turn<'_>, mut poll: Parked) {
        let outcome = match poll.cursor {
            Some(cursor) => self.try_lanes(turn, &mut poll, cursor),
            None => self.try_batch(turn, &poll),
        };
        match outcome {
            Ok(Some(batch)) => {
                let dataset = self.dataset_of(&poll.transfer);
                let dataset = dataset.unwrap_or(Dataset::LockerStations);
                self.answer_batch(turn, &poll, dataset, batch);
            }
            Ok(None) if poll.until > turn.at() && self.live.parked.len() < PARKED_MAX => {
                self.park(turn, poll);
            }
            Ok(None) => self.answer_empty(turn, &poll),
            Err(refused) => refuse(turn, &poll, refused),
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
    pub(in crate::node) fn serve_parked(&mut self, turn: &mut Turn<'_>) {
        let ready = std::mem::take(&mut self.live.ready);
        self.push_ready(turn, &ready);
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

    pub(in crate::node) fn dataset_of(&self, transfer: &WireId) -> Option<Dataset> {
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
        let lost_to = lane.map_or(0, |lane| lane.lost_to);
        let waits = outstanding.is_some_and(|all| !all.is_empty());
        if poll.after < released && poll.after < lost_to && !waits {
            // They never had what we lost: it leaves again, from where they are.
            let agreement = polled.id.clone();
            let reason = DenialReason::TermEnded;
            self.take_back(turn, poll, dataset, poll.after + 1, &agreement, reason);
            return self.form_batch(turn, poll, &agreements);
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
        self.check_unreceipted(turn, &poll.from, polled)?;
        self.form_batch(turn, poll, &agreements)
    }

    /// Answers polls that wait by other transfers of the feed of `transfer`: its consumer has taken it up
    /// and polls by it from now on.
    pub(in crate::node) fn hand_over_polls(&mut self, turn: &mut Turn<'_>, transfer: &WireId) {
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
                    item: self.state.told(&released.queued.item, released.shown?),
                })
            })
            .collect();
        if events.len() != wanted {
            let gone = problem::problem(
                "batch-gone",
                410,
                "the batch is deleted",
                "what it held was due for deletion before it was receipted; settle it between people",
            );
            return refuse(turn, poll, gone);
        }
        let (to, guard) = (poll.reply, Some(guard));
        if let Some(cursor) = poll.cursor {
            let items = events.into_iter().map(|event| event.item).collect();
            let cursor = cursor.after(poll.lane, next);
            let page = self.page_of(&poll.transfer, cursor, items, Some(batch.leaf));
            let answer = ConnectorAnswer::Page(page);
            return turn.push(Effect::ReplyConnector { to, answer, guard });
        }
        let body = FeedBatch {
            dataset,
            lane: poll.lane,
            next,
            events,
        };
        let answer = PeerAnswer::Feed(self.envelope(turn, &poll.from, body));
        turn.push(Effect::ReplyPeer { to, answer, guard });
    }

    fn answer_empty(&self, turn: &mut Turn<'_>, poll: &Parked) {
        if let Some(cursor) = poll.cursor {
            let page = self.page_of(&poll.transfer, cursor, Vec::new(), None);
            turn.push(Effect::ReplyConnector {
                to: poll.reply,
                answer: ConnectorAnswer::Page(page),
                guard: None,
            });
            return;
        }
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

/// Refuses a poll, in the form that whoever asks can read.
fn refuse(turn: &mut Turn<'_>, poll: &Parked, refused: Problem) {
    let (to, guard) = (poll.reply, None);
    turn.push(match poll.cursor {
        Some(_) => Effect::ReplyConnector {
            to,
            answer: ConnectorAnswer::Problem(refused),
            guard,
        },
        None => Effect::ReplyPeer {
            to,
            answer: PeerAnswer::Problem(refused),
            guard,
        },
    });
}

/// Until when an answer to a poll may leave.
fn guard(poll: &Parked, agreement: &Agreement) -> Guard {
    Guard {
        until: agreement.flows_until(),
        agreement: agreement.id.clone(),
        to: poll.from.clone(),
    }
}

/// The newest batch that a receipt up to `next` settles.
fn settled(feed: &crate::node::state::feed::Feed, lane: Lane, next: u64) -> Option<&Outstanding> {
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
