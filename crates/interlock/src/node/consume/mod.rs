//! Consuming feeds: polling, verifying, storing, receipting.
//!
//! Purpose: everything that a partner releases to us is durable here once, in order, with a receipt.
//! Invariants: the events of a batch, our cursor after it, the partner's leaves and our receipt are one
//! group of records; a batch that does not fit its leaf is refused whole and raises an alert; what we
//! have already is kept out by its number. There is no give-up: a partner that is down is polled again
//! for as long as the agreement can still release anything.

mod check;
mod items;

use std::collections::BTreeMap;

use interlock_core::agreement::AgreementState;
use interlock_core::dataset::DatasetForm;
use interlock_core::ids::WireId;
use interlock_core::negotiation::Party;
use interlock_core::time::Timestamp;
use interlock_core::transfer::TransferState;

use self::check::check_positions;
use crate::exchange::wire::{BATCH_EVENTS_MAX, Envelope, FeedBatch, FeedItem, FeedReceipt, Lane};
use crate::node::Node;
use crate::node::feed_items::hex;
use crate::node::io::{CallFailure, Effect, PeerAnswer, PeerRequest};
use crate::node::live::{Pull, PullKey, Purpose, Timer, backoff_ms};
use crate::node::record::{
    AlertKind, BatchReceived, ContentRef, ErasureReason, ReceivedItem, Record,
};
use crate::node::turn::Turn;

/// Added to a poll's wait before the call is given up, in milliseconds.
const POLL_GRACE_MS: u32 = 10_000;

/// Most events of the backlog that are asked for at once: what a page of it costs both writers, an event
/// of today waits for.
const BACKLOG_EVENTS_ASKED: u32 = 100;
/// Between two pages of the backlog lies the time that the first took, and at most this, in milliseconds.
const BACKLOG_PAUSE_MS_MAX: i64 = 100;

/// Why a batch was not taken in.
struct Refusal(String);

impl Node {
    /// Begins to pull the feed of a transfer that was started, or to ask by it for what nobody released.
    pub(in crate::node) fn start_pull(&mut self, turn: &mut Turn<'_>, transfer: &WireId) {
        let Some(transfer) = self.state.book.transfers.get(transfer) else {
            return;
        };
        let Some(agreement) = self.state.book.agreements.get(&transfer.agreement) else {
            return;
        };
        let dataset = agreement.terms.dataset;
        let started = transfer.party == Party::Consumer && transfer.state == TransferState::Started;
        if started && dataset.form() == DatasetForm::Lookup {
            let owner = transfer.peer.clone();
            return self.ask_untold(turn, &owner);
        }
        let (Some(their_id), true, DatasetForm::Feed) =
            (transfer.peer_id.clone(), started, dataset.form())
        else {
            return;
        };
        let from = transfer.peer.clone();
        for lane in Lane::ALL {
            let key = PullKey {
                from: from.clone(),
                dataset,
                lane,
            };
            let polling = self.live.pulls.get(&key).is_some_and(|pull| pull.polling);
            self.live.pulls.insert(
                key.clone(),
                Pull {
                    transfer: their_id.clone(),
                    polling,
                    asked: turn.at(),
                    failures: 0,
                },
            );
            // A receipt that was lost with a restart would leave its batch without one.
            let cursor = self.cursor(&key);
            if cursor > 0 && !polling {
                self.give_receipt(turn, &key, cursor);
            }
            self.pull(turn, &key);
        }
    }

    /// The provider's id of the transfer by which a feed comes now: that of the agreement in force, else
    /// of one that may still release something.
    fn feed_transfer(&self, turn: &Turn<'_>, key: &PullKey) -> Option<WireId> {
        self.state
            .book
            .between(&key.from, &self.state.me, key.dataset)
            .filter_map(|agreement| {
                let transfer = self.state.book.started(agreement, Party::Consumer)?;
                let rank = match agreement.state_at(&turn.now) {
                    AgreementState::InForce => 0,
                    AgreementState::RunOff => 1,
                    AgreementState::Suspended | AgreementState::Signed => 2,
                    AgreementState::Finalized
                    | AgreementState::Ended
                    | AgreementState::Superseded => 3,
                };
                Some((rank, transfer.peer_id.clone()?))
            })
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, transfer)| transfer)
    }

    pub(in crate::node) fn pull(&mut self, turn: &mut Turn<'_>, key: &PullKey) {
        let best = self.feed_transfer(turn, key);
        let Some(pull) = self.live.pulls.get_mut(key) else {
            return;
        };
        if pull.polling || self.live.comparisons.contains_key(&key.from) {
            return;
        }
        pull.polling = true;
        pull.asked = turn.at();
        if let Some(best) = best {
            pull.transfer = best;
        }
        let transfer = pull.transfer.clone();
        let wait_ms = self.config.poll_wait_ms;
        let request = PeerRequest::Feed {
            transfer,
            lane: key.lane,
            after: self.cursor(key),
            limit: match key.lane {
                Lane::Live => BATCH_EVENTS_MAX,
                Lane::Backlog => BACKLOG_EVENTS_ASKED,
            },
            wait_ms,
        };
        let call = self.live.call(Purpose::Pull(key.clone()));
        let timeout_ms = wait_ms.saturating_add(POLL_GRACE_MS);
        turn.push(Effect::Call {
            call,
            to: key.from.clone(),
            request,
            timeout_ms,
        });
    }

    fn cursor(&self, key: &PullKey) -> u64 {
        let channel = self.state.channels.get(&key.from);
        channel
            .and_then(|c| c.inbound.get(&key.dataset))
            .map_or(0, |inbound| inbound.cursor(key.lane))
    }

    pub(in crate::node) fn pulled(
        &mut self,
        turn: &mut Turn<'_>,
        key: PullKey,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        let Some(pull) = self.live.pulls.get_mut(&key) else {
            return;
        };
        pull.polling = false;
        let asked = pull.asked;
        match outcome {
            Ok(PeerAnswer::Feed(envelope)) => {
                pull.failures = 0;
                match self.take_batch(turn, &key, &envelope) {
                    Ok(()) => self.pull_on(turn, key, asked, envelope.body.events.is_empty()),
                    Err(Refusal(detail)) => {
                        self.alert(
                            turn,
                            AlertKind::EvidenceMismatch,
                            None,
                            Some(&key.from),
                            detail,
                        );
                        turn_later(self, turn, &key);
                    }
                }
            }
            Ok(PeerAnswer::Problem(problem)) if self.may_still_flow(turn, &key) => {
                tracing::debug!(partner = %key.from, dataset = %key.dataset, kind = %problem.kind, "a poll was refused");
                if problem.kind == "receipt-missing" && !self.live.receipts_due.contains(&key) {
                    let cursor = self.cursor(&key);
                    self.give_receipt(turn, &key, cursor);
                }
                turn_later(self, turn, &key);
            }
            Ok(PeerAnswer::Problem(_)) => {
                self.live.pulls.remove(&key);
            }
            Ok(
                PeerAnswer::Dsp { .. }
                | PeerAnswer::Lookup(_)
                | PeerAnswer::Evidence(_)
                | PeerAnswer::Mirror(_)
                | PeerAnswer::Cooperation(_)
                | PeerAnswer::Mediation(_),
            )
            | Err(_) => turn_later(self, turn, &key),
        }
    }

    /// Asks for what follows a page that was asked for at `asked`. What waited leaves half of the time to
    /// what happens today.
    fn pull_on(&mut self, turn: &mut Turn<'_>, key: PullKey, asked: Timestamp, was_empty: bool) {
        if key.lane == Lane::Live || was_empty {
            return self.pull(turn, &key);
        }
        let took_ms = turn.at().since_ms(asked);
        let at = turn.at().plus_ms(took_ms.clamp(1, BACKLOG_PAUSE_MS_MAX));
        self.live.timer(at, Timer::Pull(key));
    }

    /// Whether anything can still come by this feed under the agreements that we have.
    fn may_still_flow(&self, turn: &Turn<'_>, key: &PullKey) -> bool {
        self.state
            .book
            .between(&key.from, &self.state.me, key.dataset)
            .any(|agreement| match agreement.state_at(&turn.now) {
                AgreementState::InForce
                | AgreementState::RunOff
                | AgreementState::Suspended
                | AgreementState::Signed => true,
                AgreementState::Finalized | AgreementState::Ended | AgreementState::Superseded => {
                    false
                }
            })
    }

    fn take_batch(
        &mut self,
        turn: &mut Turn<'_>,
        key: &PullKey,
        envelope: &Envelope<FeedBatch>,
    ) -> Result<(), Refusal> {
        let batch = &envelope.body;
        let cursor = self.cursor(key);
        check_positions(key, batch, cursor)?;
        self.take_evidence(turn, &key.from, &envelope.evidence)
            .map_err(|problem| Refusal(problem.detail))?;
        if batch.events.is_empty() {
            return Ok(());
        }
        self.check_batch_leaf(key, batch)?;
        let mut items = Vec::with_capacity(batch.events.len());
        let mut unusable = Vec::new();
        let mut seen = BTreeMap::new();
        for event in &batch.events {
            match self.received(turn, key, &event.item, &mut seen) {
                Some(item) => items.push(item),
                None => unusable.push(event.position),
            }
        }
        if let Some(first) = unusable.first() {
            let detail = format!(
                "{} items of the {} lane, from position {first} on, have fields that cannot be used; they were left out",
                unusable.len(),
                key.lane.as_str()
            );
            self.alert(turn, AlertKind::OrderBroken, None, Some(&key.from), detail);
        }
        let received = BatchReceived {
            from: key.from.clone(),
            dataset: key.dataset,
            lane: key.lane,
            next: batch.next,
            items,
        };
        let told = self.to_tell(&received);
        let over = codes_over(&received);
        self.record(turn, Record::BatchReceived(Box::new(received)));
        self.erase(turn, over, ErasureReason::Over);
        for parcel in told {
            self.queue_message(turn, parcel, crate::node::record::MessageKind::Deposited);
        }
        self.give_receipt(turn, key, batch.next);
        Ok(())
    }

    /// Until when a code that a locker operator tells us may be kept.
    fn code_due(&self, turn: &Turn<'_>, key: &PullKey) -> Timestamp {
        let book = &self.state.book;
        let mut known = book.between(&key.from, &self.state.me, key.dataset);
        let agreement = known.next().map(|agreement| agreement.id.clone());
        self.keep_until(turn, self.config.contact_kept_ms, agreement.as_ref())
    }

    fn give_receipt(&mut self, turn: &mut Turn<'_>, key: &PullKey, next: u64) {
        if !self.is_compared(&key.from) {
            return;
        }
        self.receipt_leaf(turn, &key.from);
        let Some(pull) = self.live.pulls.get(key) else {
            return;
        };
        let transfer = pull.transfer.clone();
        let envelope = self.envelope(
            turn,
            &key.from,
            FeedReceipt {
                lane: key.lane,
                next,
            },
        );
        let call = self.live.call(Purpose::Receipt(key.clone()));
        let request = PeerRequest::Receipt { transfer, envelope };
        turn.push(Effect::Call {
            call,
            to: key.from.clone(),
            request,
            timeout_ms: POLL_GRACE_MS,
        });
    }

    /// The answer to a receipt. One that is lost is made good by the next.
    pub(in crate::node) fn receipt_answered(
        &mut self,
        turn: &mut Turn<'_>,
        key: &PullKey,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        match outcome {
            Ok(PeerAnswer::Evidence(evidence)) => {
                self.live.receipt_tries.remove(key);
                if let Err(problem) = self.take_evidence(turn, &key.from, &evidence) {
                    self.alert(
                        turn,
                        AlertKind::EvidenceMismatch,
                        None,
                        Some(&key.from),
                        problem.detail,
                    );
                }
            }
            Ok(
                PeerAnswer::Dsp { .. }
                | PeerAnswer::Feed(_)
                | PeerAnswer::Lookup(_)
                | PeerAnswer::Mirror(_)
                | PeerAnswer::Cooperation(_)
                | PeerAnswer::Mediation(_)
                | PeerAnswer::Problem(_),
            )
            | Err(_) => {
                if !self.live.receipts_due.insert(key.clone()) {
                    return;
                }
                let next = self.cursor(key);
                let tries = self.live.receipt_tries.entry(key.clone()).or_default();
                *tries = tries.saturating_add(1);
                let at = turn.at().plus_ms(backoff_ms(*tries, turn.random64()));
                self.live.timer(at, Timer::Receipt(key.clone(), next));
            }
        }
    }

    /// Gives a receipt again whose call failed, if nothing newer was receipted since.
    pub(in crate::node) fn receipt_again(&mut self, turn: &mut Turn<'_>, key: &PullKey, next: u64) {
        self.live.receipts_due.remove(key);
        if self.cursor(key) == next {
            self.give_receipt(turn, key, next);
        }
    }

    fn check_batch_leaf(&self, key: &PullKey, batch: &FeedBatch) -> Result<(), Refusal> {
        let items: Vec<&FeedItem> = batch.events.iter().map(|e| &e.item).collect();
        let salts: Vec<_> = batch.events.iter().map(|e| e.salt).collect();
        let root = crate::node::evidence::items_root(&items, &salts);
        let first = batch.events.first().map_or(0, |e| e.position);
        if self.shows_batch(&key.from, key.dataset, key.lane, (first, batch.next), &root) {
            return Ok(());
        }
        Err(Refusal(format!(
            "positions {first} to {} of {} are not what the partner's log says was released (root {}); nothing was taken in",
            batch.next,
            key.dataset,
            hex(&root)
        )))
    }
}

fn turn_later(node: &mut Node, turn: &mut Turn<'_>, key: &PullKey) {
    let Some(pull) = node.live.pulls.get_mut(key) else {
        return;
    };
    pull.failures = pull.failures.saturating_add(1);
    let at = turn
        .at()
        .plus_ms(backoff_ms(pull.failures, turn.random64()));
    node.live.timer(at, Timer::Pull(key.clone()));
}

/// 32 bytes from 64 lower-case hexadecimal digits.
pub(crate) fn parse_hex32(text: &str) -> Option<[u8; 32]> {
    let (high, low) = (text.get(..32)?, text.get(32..)?);
    let mut out = [0; 32];
    for (half, part) in out.chunks_exact_mut(16).zip([high, low]) {
        half.copy_from_slice(interlock_core::ids::RequestId::parse(part).ok()?.as_bytes());
    }
    Some(out)
}

/// Codes of parcels that lie in no compartment any more.
fn codes_over(batch: &BatchReceived) -> Vec<ContentRef> {
    let left = batch.items.iter().filter_map(|item| match item {
        ReceivedItem::Event { parcel, event, .. } => {
            event.step.leaves_compartment().then_some(*parcel)
        }
        ReceivedItem::Advice(_)
        | ReceivedItem::Station(_)
        | ReceivedItem::Code { .. }
        | ReceivedItem::Skipped { .. }
        | ReceivedItem::Cooperation(_) => None,
    });
    left.map(ContentRef::CodeSeen).collect()
}
