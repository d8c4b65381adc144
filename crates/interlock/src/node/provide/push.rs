//! Feeds that are sent to connectors: page after page, each once the one before it was taken.
//!
//! Purpose: push transfers. Invariants: a page is a batch like any other, on record before it is sent;
//! of one transfer one page is under way; a 2xx acknowledges it and nothing else does, so that what
//! fails is sent again, the same and in order, for as long as it may leave. It does not know HTTP.

use std::collections::BTreeSet;

use interlock_core::dataset::{Dataset, DatasetForm};
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::negotiation::Party;

use crate::exchange::page::PageCursor;
use crate::exchange::wire::BATCH_EVENTS_MAX;
use crate::node::Node;
use crate::node::io::{CallFailure, Effect, Push, ReplyId};
use crate::node::live::{Parked, Purpose, Timer, backoff_ms};
use crate::node::record::AlertKind;
use crate::node::turn::Turn;

/// How long a connector may take for a page, in milliseconds.
const PUSH_TIMEOUT_MS: u32 = 30_000;
/// After so many failures in a row people are told.
const FAILURES_TOLD: u32 = 5;

impl Node {
    /// Sends what came for push transfers of the feeds in `ready`.
    pub(in crate::node) fn push_ready(
        &mut self,
        turn: &mut Turn<'_>,
        ready: &BTreeSet<(ParticipantId, Dataset)>,
    ) {
        if ready.is_empty() {
            return;
        }
        let concerned = self.state.book.pushed().filter(|t| {
            let dataset = self.dataset_of(&t.id);
            dataset.is_some_and(|dataset| ready.contains(&(t.peer.clone(), dataset)))
        });
        let ids: Vec<WireId> = concerned.map(|t| t.id.clone()).collect();
        for id in ids {
            self.push(turn, &id);
        }
    }

    /// Sends the next page of a push transfer, if it is started, none is under way, and there is one.
    pub(in crate::node) fn push(&mut self, turn: &mut Turn<'_>, id: &WireId) {
        let Some(transfer) = self.state.book.transfers.get(id) else {
            return;
        };
        let settled = transfer.unsent.is_none() && transfer.party == Party::Provider;
        let mut target = transfer.push.clone().filter(|_| settled);
        if let Some(target) = &mut target
            && let Some(secret) = self.state.push_secrets.get(id)
        {
            target.authorization.clone_from(&secret.value);
        }
        let from = transfer.peer.clone();
        let (Some(target), false) = (target, self.live.pushing.contains(id)) else {
            return;
        };
        let Ok(agreement) = self.provided(&from, id, DatasetForm::Feed) else {
            return;
        };
        // Whatever opens it again makes its feed ready.
        if self.closed(&turn.now, &agreement).is_some() {
            return;
        }
        let cursor = self.unacknowledged(&from, agreement.terms.dataset);
        let mut poll = Parked {
            reply: ReplyId(0),
            from,
            transfer: id.clone(),
            lane: cursor.first,
            after: cursor.position(cursor.first),
            limit: BATCH_EVENTS_MAX,
            until: turn.at(),
            cursor: Some(cursor),
        };
        match self.try_lanes(turn, &mut poll, cursor) {
            Ok(Some((batch, guard))) => {
                let next = cursor.after(poll.lane, batch.last());
                let leaf = Some(batch.leaf);
                let items = batch.items.into_iter();
                let items =
                    items.filter_map(|item| Some(self.state.told(&item.queued.item, item.shown?)));
                let page = self.page_of(id, next, items.collect(), leaf);
                self.live.pushing.insert(id.clone());
                let transfer = id.clone();
                let call = self.live.call(Purpose::Push { transfer, next });
                turn.push(Effect::Push(Box::new(Push {
                    call,
                    transfer: id.clone(),
                    target,
                    page,
                    guard,
                    timeout_ms: PUSH_TIMEOUT_MS,
                })));
            }
            Ok(None) => {}
            // It may leave later: at the turn of a day, or when the clock is sure again.
            Err(refused) if matches!(refused.status, 403 | 429) => {
                self.push_later(turn, id);
            }
            Err(refused) => {
                tracing::warn!(transfer = %id, kind = %refused.kind, "a push cannot go on");
            }
        }
    }

    fn push_later(&mut self, turn: &mut Turn<'_>, id: &WireId) -> u32 {
        let timer = Timer::Push(id.clone());
        let tries = self.live.tries.entry(timer.clone()).or_default();
        *tries = tries.saturating_add(1);
        let tries = *tries;
        let at = turn.at().plus_ms(backoff_ms(tries, turn.random64()));
        self.live.timer(at, timer);
        tries
    }

    /// The connector took a page, or did not.
    pub(in crate::node) fn pushed(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        next: PageCursor,
        outcome: Result<(), CallFailure>,
    ) {
        self.live.pushing.remove(id);
        let Some(transfer) = self.state.book.transfers.get(id) else {
            return;
        };
        let (peer, dataset) = (transfer.peer.clone(), self.dataset_of(id));
        match (outcome, dataset) {
            (Ok(()), Some(dataset)) => {
                self.live.tries.remove(&Timer::Push(id.clone()));
                if self.acknowledge(turn, &peer, dataset, next).is_err() {
                    tracing::warn!(transfer = %id, "what was taken had been taken back");
                }
                self.push(turn, id);
            }
            (Ok(()), None) => {}
            (Err(failure), _) => {
                let failures = self.push_later(turn, id);
                tracing::warn!(transfer = %id, failures, ?failure, "a page was not taken");
                if failures == FAILURES_TOLD {
                    let detail = format!(
                        "`{}` has not taken a page of transfer `{id}` {failures} times in a row; it is sent again until it is taken",
                        peer.as_str()
                    );
                    self.alert(turn, AlertKind::NotTaken, None, Some(&peer), detail);
                }
            }
        }
    }
}
