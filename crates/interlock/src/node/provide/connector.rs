//! Feeds to connectors that are not Interlock: pages by cursor, without receipts.
//!
//! Purpose: the same batches as for nodes, decided, counted and put on the log in the same place, for
//! a consumer that keeps no log of its own. Invariants: asking beyond a page acknowledges it, and
//! nothing else does; a token counts only for the start that it came with, while the transfer is
//! started; what leaves on a day without receipts is bounded. It does not know HTTP.

use interlock_core::dataset::{Dataset, DatasetForm};
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::terms::Field;
use interlock_core::transfer::TransferState;

use super::cursor_problem;
use crate::exchange::page::{Page, PageCursor};
use crate::exchange::wire::{BATCH_EVENTS_MAX, FeedItem, Lane};
use crate::node::Node;
use crate::node::agreements::Agreement;
use crate::node::io::{
    ConnectorAnswer, ConnectorRequest, ConnectorWant, Effect, Guard, Problem, ReplyId, TokenPair,
};
use crate::node::live::Parked;
use crate::node::problem;
use crate::node::record::Record;
use crate::node::state::feed::Outstanding;
use crate::node::turn::Turn;

impl Node {
    /// A request with a transfer's token, which the door has verified.
    pub(in crate::node) fn connector(
        &mut self,
        turn: &mut Turn<'_>,
        reply: ReplyId,
        from: &ParticipantId,
        request: ConnectorRequest,
    ) {
        let answer = match self.connector_asks(turn, reply, from, request) {
            Ok(None) => return,
            Ok(Some(pair)) => ConnectorAnswer::Tokens(pair),
            Err(refused) => ConnectorAnswer::Problem(refused),
        };
        turn.push(Effect::ReplyConnector {
            to: reply,
            answer,
            guard: None,
        });
    }

    fn connector_asks(
        &mut self,
        turn: &mut Turn<'_>,
        reply: ReplyId,
        from: &ParticipantId,
        request: ConnectorRequest,
    ) -> Result<Option<TokenPair>, Problem> {
        let ConnectorRequest {
            transfer,
            start,
            want,
        } = request;
        self.check_token(from, &transfer, start)?;
        let agreement = self.provided(from, &transfer, DatasetForm::Feed)?;
        match want {
            ConnectorWant::Tokens => {
                if let Some(reason) = self.closed(&turn.now, &agreement) {
                    return Err(self.deny(turn, from, &transfer, &agreement, reason));
                }
                let known = self.state.book.transfers.get(&transfer);
                let known = known.ok_or_else(|| problem::not_found("transfer"))?;
                let pair = self.token_pair(known, &agreement, turn.now.latest);
                Ok(Some(pair))
            }
            ConnectorWant::Page {
                cursor,
                limit,
                wait_ms,
            } => {
                let dataset = agreement.terms.dataset;
                let cursor = cursor.unwrap_or_else(|| self.unacknowledged(from, dataset));
                self.acknowledge(turn, from, dataset, cursor)?;
                let poll = Parked {
                    reply,
                    from: from.clone(),
                    transfer,
                    lane: cursor.first,
                    after: cursor.position(cursor.first),
                    limit: limit.clamp(1, BATCH_EVENTS_MAX),
                    until: turn.at().plus_ms(i64::from(wait_ms)),
                    cursor: Some(cursor),
                };
                self.poll(turn, poll);
                Ok(None)
            }
        }
    }

    /// A token counts while its transfer is started, and until the transfer is started anew.
    fn check_token(
        &self,
        from: &ParticipantId,
        transfer: &WireId,
        start: u32,
    ) -> Result<(), Problem> {
        let known = self.state.book.transfers.get(transfer);
        let known = known.filter(|t| &t.peer == from && self.state.is_connector(from));
        let state = known.map(|t| t.state);
        if known.is_some_and(|t| t.starts == start) && state == Some(TransferState::Started) {
            return Ok(());
        }
        let state = state.map_or("unknown", TransferState::as_str);
        Err(problem::problem(
            "token-revoked",
            401,
            "the token is revoked",
            format!(
                "the transfer is `{state}`, or was started anew; use the token of its newest start"
            ),
        ))
    }

    /// Where a connector goes on that names no cursor: before the oldest page that it has not
    /// acknowledged.
    pub(in crate::node) fn unacknowledged(
        &self,
        to: &ParticipantId,
        dataset: Dataset,
    ) -> PageCursor {
        let channel = self.state.channel(to);
        let feed = channel.and_then(|channel| channel.outbound.get(&dataset));
        let position = |lane| {
            feed.map_or(0, |feed| {
                let lane = feed.lane(lane);
                let oldest = lane.outstanding.front();
                oldest.map_or(lane.released, |batch| batch.first.saturating_sub(1))
            })
        };
        PageCursor {
            first: Lane::Live,
            live: position(Lane::Live),
            backlog: position(Lane::Backlog),
        }
    }

    /// The connector holds everything up to its cursor.
    pub(in crate::node) fn acknowledge(
        &mut self,
        turn: &mut Turn<'_>,
        to: &ParticipantId,
        dataset: Dataset,
        cursor: PageCursor,
    ) -> Result<(), Problem> {
        for lane in Lane::ALL {
            let next = cursor.position(lane);
            let channel = self.state.channel(to);
            let feed = channel.and_then(|channel| channel.outbound.get(&dataset));
            let state = feed.map(|feed| feed.lane(lane));
            let released = state.map_or(0, |state| state.released);
            let oldest = state.and_then(|state| state.outstanding.front());
            if next > released {
                return Err(cursor_problem(next, released, oldest.map(|b| b.first)));
            }
            if oldest.is_some_and(|batch| batch.last() <= next) {
                self.record(
                    turn,
                    Record::Acknowledged {
                        from: to.clone(),
                        dataset,
                        lane,
                        next,
                    },
                );
            }
        }
        Ok(())
    }

    /// The batch for a connector, from the lane whose turn it is, or from the other: `poll` is of the
    /// lane that has one.
    pub(in crate::node) fn try_lanes(
        &mut self,
        turn: &mut Turn<'_>,
        poll: &mut Parked,
        cursor: PageCursor,
    ) -> Result<Option<(Outstanding, Guard)>, Problem> {
        for lane in cursor.lanes() {
            (poll.lane, poll.after) = (lane, cursor.position(lane));
            if let Some(batch) = self.try_batch(turn, poll)? {
                return Ok(Some(batch));
            }
        }
        poll.lane = cursor.first;
        Ok(None)
    }

    /// The page of a batch, or an empty one.
    pub(in crate::node) fn page_of(
        &self,
        transfer: &WireId,
        next: PageCursor,
        items: Vec<FeedItem>,
        leaf: Option<u64>,
    ) -> Page {
        let book = &self.state.book;
        let agreement = book.transfers.get(transfer);
        let agreement = agreement.and_then(|transfer| book.agreements.get(&transfer.agreement));
        Page {
            dataset: agreement.map_or(Dataset::LockerStations, |a| a.terms.dataset),
            next,
            epcis: agreement.is_some_and(is_epcis),
            items,
            leaf,
        }
    }

    /// Refuses what would leave beyond the day's bound for a connector.
    pub(in crate::node) fn check_unreceipted(
        &self,
        turn: &Turn<'_>,
        to: &ParticipantId,
        agreement: &Agreement,
    ) -> Result<(), Problem> {
        let most = u64::from(self.config.unreceipted_per_day);
        let day = agreement.terms.zone.day_of(turn.at());
        let channel = self.state.channel(to);
        let left = channel.map_or(0, |c| c.unreceipted_on(agreement.terms.dataset, day));
        if !self.state.is_connector(to) || left < most {
            return Ok(());
        }
        Err(problem::problem(
            "unreceipted-limit",
            429,
            "too much has left today without receipts",
            format!(
                "at most {most} items of a dataset leave on a day for whoever gives no receipts; go on tomorrow"
            ),
        ))
    }
}

/// Whether what an agreement grants makes EPCIS events.
fn is_epcis(agreement: &Agreement) -> bool {
    let fields = agreement.terms.field_set();
    let events = match agreement.terms.dataset {
        Dataset::LockerEvents | Dataset::TrackingEvents => true,
        Dataset::PreAdvice
        | Dataset::RecipientContact
        | Dataset::PickupCode
        | Dataset::LockerStations
        | Dataset::CooperationStatus
        | Dataset::ExchangeStatistics => false,
    };
    events && fields.contains(Field::Step) && fields.contains(Field::EventTime)
}
