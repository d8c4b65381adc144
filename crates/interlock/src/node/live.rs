//! What a node has under way and may forget at a restart.
//!
//! Purpose: calls, parked polls, waiting callers, timers. Invariant: losing all of it loses nothing
//! that was acknowledged; [`super::Node::start`] makes it anew from the state. It does not know time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;

use interlock_core::dataset::Dataset;
use interlock_core::ids::{DepositId, MessageId, ParcelId, ParticipantId, RequestId, WireId};
use interlock_core::time::Timestamp;
use interlock_journal::bilateral::Deletion;

use super::io::{CallId, ReplyId};
use super::record::AlertKind;
use crate::exchange::page::PageCursor;
use crate::exchange::wire::Lane;
use crate::identity::person::PersonName;

/// What an outgoing call was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A poll of a feed.
    Pull(PullKey),
    /// A receipt for a feed.
    Receipt(PullKey),
    /// A lookup.
    Lookup {
        /// Whom.
        to: ParticipantId,
        /// The request.
        request_id: RequestId,
    },
    /// A receipt for lookups.
    LookupReceipt(ParticipantId),
    /// A message of the Dataspace Protocol about a negotiation.
    Negotiation(WireId),
    /// A message of the Dataspace Protocol about a transfer.
    Transfer(WireId),
    /// Where a negotiation stands at a partner that has refused a message about it.
    NegotiationReread {
        /// Our id of it.
        id: WireId,
        /// Why it was refused.
        refusal: String,
    },
    /// The same of a transfer.
    TransferReread {
        /// Our id of it.
        id: WireId,
        /// Why it was refused.
        refusal: String,
    },
    /// A manifest.
    Cooperation(WireId),
    /// A mediation as it stands, or an answer to one.
    Mediation {
        /// The mediation.
        mediation: WireId,
        /// Whom.
        to: ParticipantId,
    },
    /// A partner's catalog, for callers of ours.
    Catalog(ParticipantId),
    /// A page of a push transfer.
    Push {
        /// Our id of the transfer.
        transfer: WireId,
        /// What a 2xx acknowledges.
        next: PageCursor,
    },
    /// The notice of a frozen run-off.
    RunOff(WireId),
    /// A notice of a suspension in return from then on, or that there will be none.
    Reciprocity(WireId, Option<Timestamp>),
    /// The notice that an agreement was stopped early.
    Stopped(WireId),
    /// A comparison of logs.
    Compare(ParticipantId),
    /// A checkpoint for the time that it is signed at.
    Clock(ParticipantId),
    /// An attestation that what a partner gave us is deleted.
    Attestation(ParticipantId),
    /// A recipient's wish that a partner delete the contact of a parcel.
    Erasure(ParticipantId, ParcelId),
    /// The news that our key was rotated.
    KeyNotice(ParticipantId),
    /// A look at a partner's anchor log, or our cosignature of it; the second look at once, if true.
    Witness(ParticipantId, bool),
    /// Leaves of a partner that nothing else carries.
    Leaves(ParticipantId),
}

/// One lane of one feed that we consume.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PullKey {
    /// From whom.
    pub from: ParticipantId,
    /// Dataset.
    pub dataset: Dataset,
    /// Lane.
    pub lane: Lane,
}

/// A lane that is being pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// The provider's id of the transfer.
    pub transfer: WireId,
    /// Whether a poll is under way.
    pub polling: bool,
    /// When the last one was sent.
    pub asked: Timestamp,
    /// Failures in a row.
    pub failures: u32,
}

/// A partner's poll that waits for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Where its answer goes.
    pub reply: ReplyId,
    /// Who polls.
    pub from: ParticipantId,
    /// Our id of the transfer.
    pub transfer: WireId,
    /// Lane.
    pub lane: Lane,
    /// Position asked after.
    pub after: u64,
    /// Most events wanted.
    pub limit: u32,
    /// When it is answered empty.
    pub until: Timestamp,
    /// The cursor of a connector, which asks for both lanes; `lane` and `after` follow it.
    pub cursor: Option<PageCursor>,
}

/// A caller of ours that waits for events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventWaiter {
    /// Where its answer goes.
    pub reply: ReplyId,
    /// Dataset wanted.
    pub feed: Option<Dataset>,
    /// Cursor.
    pub after: u64,
    /// Most events wanted.
    pub limit: u32,
    /// When it is answered empty.
    pub until: Timestamp,
}

/// Something to do at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Poll again.
    Pull(PullKey),
    /// Give a receipt again that failed, for the position.
    Receipt(PullKey, u64),
    /// Ask for contacts again, or at last.
    Lookup(ParticipantId),
    /// Give the receipt for lookups on its own.
    LookupReceipt(ParticipantId),
    /// Hand a message to the gateway again.
    Message(MessageId),
    /// Hand a warning to our own systems again.
    Warning(MessageId),
    /// Answer a courier who waits for a slow owner.
    Courier(DepositId),
    /// A compartment was kept long enough.
    Reservation(DepositId),
    /// The time to pick a parcel up is over.
    Pickup(DepositId),
    /// A caller of ours has waited long enough for events.
    Poll,
    /// Send a negotiation's message again.
    Negotiation(WireId),
    /// Send a transfer's message again.
    Transfer(WireId),
    /// Send a manifest again.
    Cooperation(WireId),
    /// Send a message of mediation to a partner again.
    Mediation(WireId, ParticipantId),
    /// Send a page again.
    Push(WireId),
    /// Decide about a negotiation after all.
    DecideNegotiation(WireId),
    /// Decide about a transfer after all.
    DecideTransfer(WireId),
    /// Send the notice of a frozen run-off again.
    RunOff(WireId),
    /// A notice of a suspension in return is over.
    Reciprocate(WireId),
    /// Ask for the contact of a parcel that lies in a locker, which its owner refused in its last moments.
    Contact(DepositId),
    /// Send such a notice again.
    TellReciprocity(WireId),
    /// Send the notice of an early stop again.
    TellStopped(WireId),
    /// Look at how our cooperations stand.
    Cooperations,
    /// Compare with a partner again.
    Compare(ParticipantId),
    /// Ask for the dataset of an agreement again.
    AskAgain(WireId),
    /// Ask partners for the time while the clock is in doubt.
    Clock,
    /// Attest to a deletion again.
    Attestation(ParticipantId),
    /// Ask again that a contact be deleted.
    Erasure(ParticipantId, ParcelId),
    /// Tell a partner again that our key was rotated.
    KeyNotice(ParticipantId),
    /// Write an entry of the anchor log.
    Anchor,
    /// Look at the anchor logs of all partners.
    Witness,
}

/// Everything under way.
#[derive(Debug, Default)]
pub struct Live {
    /// Calls by id.
    pub calls: BTreeMap<CallId, Purpose>,
    next_call: u64,
    /// Lanes being pulled.
    pub pulls: BTreeMap<PullKey, Pull>,
    /// Push transfers with a page under way.
    pub pushing: BTreeSet<WireId>,
    /// Polls of partners that wait.
    pub parked: Vec<Parked>,
    /// Feeds that got something in this step.
    pub ready: BTreeSet<(ParticipantId, Dataset)>,
    /// Callers of ours that wait for events.
    pub event_waiters: Vec<EventWaiter>,
    /// Couriers that wait for a deposit's answer.
    pub couriers: BTreeMap<DepositId, ReplyId>,
    /// Deposits whose contact is to be asked for, by owner.
    pub to_ask: BTreeMap<ParticipantId, VecDeque<DepositId>>,
    /// Owners with a lookup under way.
    pub asking: BTreeSet<ParticipantId>,
    /// Tries so far of what is repeated.
    pub tries: BTreeMap<Timer, u32>,
    /// Deliveries under way, with their tries.
    pub delivering: BTreeMap<MessageId, u32>,
    timers: BTreeSet<(Timestamp, Timer)>,
    /// Calls about agreements.
    pub agreements: super::agreements::UnderWay,
    /// Lanes whose receipt is to be given again.
    pub receipts_due: BTreeSet<PullKey>,
    /// Failures in a row of a lane's receipts.
    pub receipt_tries: BTreeMap<PullKey, u32>,
    /// When people were last told of a partner, by kind.
    pub alerted: BTreeMap<(AlertKind, ParticipantId), Timestamp>,
    /// The hour in which it was last looked whether contacts are collected.
    pub judged_hour: Option<i64>,
    /// Partners with whom we are not compared yet: nothing is signed toward them.
    pub comparisons: BTreeMap<ParticipantId, super::compare::Comparison>,
    /// Those of them whose first answer is still awaited.
    pub comparing_first: BTreeSet<ParticipantId>,
    /// One-time codes used and mistyped of late, by person.
    pub codes: BTreeMap<PersonName, super::people::CodesTyped>,
    /// What the time is compared with.
    pub clocks: super::clocks::Clocks,
    /// Attestations of deletion that partners do not know yet, oldest first.
    pub attesting: BTreeMap<ParticipantId, Vec<Deletion>>,
    /// Partners with such a notice under way.
    pub told_now: BTreeSet<ParticipantId>,
    /// Requests to delete a contact that are under way.
    pub erasing: BTreeSet<(ParticipantId, ParcelId)>,
    /// Partners that are being told of our key.
    pub telling: BTreeSet<ParticipantId>,
    /// When the leaves of each partner were fetched last.
    pub fetched: BTreeMap<ParticipantId, super::evidence::Fetched>,
    /// When each partner was last heard of, by its own request.
    pub heard: BTreeMap<ParticipantId, Timestamp>,
    /// What holders of keys asked of late for calls, by their names.
    pub dialled: BTreeMap<String, super::telephone::Dialled>,
    /// When this node started.
    pub started_at: Option<Timestamp>,
    /// Whether our cooperations will be looked at again.
    pub reporting: bool,
    /// Looks at all open parcels that are under way, the first to begin first.
    pub walks: VecDeque<super::rehearse::Walk>,
    /// Denials already on record, so that a poll that repeats does not repeat the entry.
    pub denied: BTreeSet<(WireId, String)>,
}

impl Live {
    /// A new call.
    pub fn call(&mut self, purpose: Purpose) -> CallId {
        self.next_call += 1;
        let id = CallId(self.next_call);
        self.calls.insert(id, purpose);
        id
    }

    /// Sets a timer.
    pub fn timer(&mut self, at: Timestamp, timer: Timer) {
        self.timers.insert((at, timer));
    }

    /// When the next timer is due.
    pub fn next_timer(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Takes the timers that are due.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<Timer> {
        let mut due = Vec::new();
        while self.timers.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, timer)) = self.timers.pop_first() {
                due.push(timer);
            }
        }
        due
    }
}

/// Between two tries, in milliseconds, of what nothing else is said of.
pub const AGAIN_MS: RangeInclusive<i64> = 500..=60_000;

/// How long to wait before the given try, in milliseconds: doubling from half a second to a minute,
/// with up to half of it random.
pub fn backoff_ms(tries: u32, draw: u64) -> i64 {
    backoff_between_ms(AGAIN_MS, tries, draw)
}

/// The same between other bounds.
pub fn backoff_between_ms(bounds: RangeInclusive<i64>, tries: u32, draw: u64) -> i64 {
    let base = bounds.start().saturating_mul(1 << tries.min(20));
    let base = base.min(*bounds.end());
    let jitter = i64::try_from(draw % 1_000).unwrap_or(0);
    base / 2 + base * jitter / 2_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_differ_by_half() {
        for tries in 0..40 {
            let (least, most) = (backoff_ms(tries, 0), backoff_ms(tries, 999));
            let base = (500 << tries.min(7)).min(60_000);
            assert_eq!(least, base / 2, "{tries}");
            assert!(
                (base - base / 1_000 - 1..base).contains(&most),
                "{tries}: {most}"
            );
        }
        let hours = backoff_between_ms(1_000..=3_600_000, u32::MAX, 999);
        assert!((3_590_000..3_600_000).contains(&hours), "{hours}");
    }
}
