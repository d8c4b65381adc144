//! The one writer: takes what is queued, lets the machine decide, makes the records durable, and only
//! then lets anything be seen.
//!
//! INVARIANT: the order within a group is content keys and a new signing key, then one append of all
//! records, then replies, calls and deliveries, then destruction of keys. After a store has failed nothing leaves and nothing
//! more is decided: whether the group is durable is unknown, and only recovery can tell. The writer
//! does not know what is in a record.
//!
//! Requests that arrive while a group is being synced are the next group. Whoever waits for a group has
//! it at once; one that nobody waits for, since it says only how a call ended, lets what comes within
//! [`IDLE_GROUP_WAIT`] in, and is synced with it.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use interlock_core::ids::ParticipantId;
use interlock_core::time::{ClockInterval, Timestamp};
use interlock_journal::keyslots::SlotKey;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use super::activity::{Activity, UnderWay};
use super::clock::Clock;
use super::handle::{ConnectorReply, Handle, Job, LocalReply, PeerReply, QUEUE_LENGTH_MAX, Queued};
use super::seams::{ApiKeys, Machine, Outside, Partners, Store, TimedRecord};
use crate::identity::keys::NodeKey;
use crate::node::Rng;
use crate::node::io::{
    CallId, ConnectorAnswer, Effect, Guard, Input, LeavesWanted, Message, PeerAnswer, PeerRequest,
    Push, ReplyId, SystemNotice,
};
use crate::telemetry::Metrics;

/// A group takes up no further input once it holds this many records.
pub const GROUP_RECORDS_MAX: usize = 5_000;
/// How long a group that nobody waits for waits for company.
pub const IDLE_GROUP_WAIT: Duration = Duration::from_millis(2);
/// Answers that are owed are looked through for callers who have gone at every multiple of this.
const REPLIES_SWEEP: usize = 4_096;

/// Why a writer ended.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The store failed; what was not answered may or may not be durable.
    #[error(
        "failed to {what}: {error}; the node has stopped, correct the disk and start it again: it \
         recovers what is durable"
    )]
    Store {
        /// What was being done.
        what: &'static str,
        /// What the operating system says.
        error: io::Error,
    },
    /// A defect: the thread of the writer ended by itself.
    #[error("the writer has ended by a defect; start the node again and report it with its log")]
    Defect,
}

/// What a writer is built from.
pub(super) struct Parts<M, S> {
    pub(super) machine: M,
    pub(super) store: S,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Box<dyn Rng + Send>,
    pub(super) activity: Activity,
    pub(super) metrics: Arc<Metrics>,
    /// The highest time in the journal.
    pub(super) journal_time: Option<Timestamp>,
    /// How long a group that nobody waits for waits for company.
    pub(super) idle_group_wait: Duration,
}

/// Owns the machine and the store.
pub(super) struct Writer<M, S> {
    machine: M,
    store: S,
    clock: Arc<dyn Clock>,
    rng: Box<dyn Rng + Send>,
    metrics: Arc<Metrics>,
    jobs: mpsc::Receiver<Queued>,
    wake: watch::Sender<Option<Timestamp>>,
    partners: watch::Sender<Arc<Partners>>,
    api_keys: watch::Sender<Arc<ApiKeys>>,
    floor: Option<ClockInterval>,
    replies: Replies,
    parked: Parked,
    idle_group_wait: Duration,
}

/// Answers that are owed.
#[derive(Default)]
struct Replies {
    drawn: u64,
    local: HashMap<ReplyId, oneshot::Sender<LocalReply>>,
    peer: HashMap<ReplyId, oneshot::Sender<PeerReply>>,
    connector: HashMap<ReplyId, oneshot::Sender<ConnectorReply>>,
}

impl Replies {
    fn draw(&mut self) -> ReplyId {
        self.drawn += 1;
        if self.drawn.is_multiple_of(REPLIES_SWEEP as u64) {
            self.local.retain(|_, reply| !reply.is_closed());
            self.peer.retain(|_, reply| !reply.is_closed());
            self.connector.retain(|_, reply| !reply.is_closed());
        }
        ReplyId(self.drawn)
    }

    fn awaited(&mut self, sender: oneshot::Sender<LocalReply>) -> ReplyId {
        let reply = self.draw();
        self.local.insert(reply, sender);
        reply
    }
}

/// How many parked polls are taken off the activity.
struct Parked {
    activity: Activity,
    count: usize,
}

impl Parked {
    fn set(&mut self, count: usize) {
        self.activity.repark(self.count, count);
        self.count = count;
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// What the steps of one group want done.
#[derive(Default)]
struct Group {
    keys: Vec<SlotKey>,
    steps: Vec<Vec<TimedRecord>>,
    records: usize,
    /// The last one, if the key was rotated.
    signing_key: Option<NodeKey>,
    seen: Vec<Seen>,
    destroy: Vec<(u32, u32)>,
    ended: Vec<u32>,
    ticks: Vec<oneshot::Sender<()>>,
    under_way: Vec<UnderWay>,
    /// Whether something that rests on it has left already.
    late: bool,
    stop: bool,
}

/// An effect that others can see.
enum Seen {
    Local(ReplyId, LocalReply),
    Peer(ReplyId, PeerAnswer, Option<Guard>),
    Connector(ReplyId, ConnectorAnswer, Option<Guard>),
    Call(CallId, ParticipantId, PeerRequest, u32),
    Push(Box<Push>),
    ReadLeaves(Box<LeavesWanted>),
    Deliver(Message),
    Notify(SystemNotice),
}

impl Group {
    /// Whether another input can be taken up. A second rotation in one group would leave the first key
    /// nowhere.
    const fn has_room(&self) -> bool {
        !self.stop && self.signing_key.is_none() && self.records < GROUP_RECORDS_MAX
    }

    /// Whether it has records that nobody waits for: nothing is to be seen and no key to be destroyed
    /// once they are durable.
    const fn is_idle(&self) -> bool {
        self.records > 0
            && !self.late
            && self.seen.is_empty()
            && self.destroy.is_empty()
            && self.ended.is_empty()
            && self.ticks.is_empty()
    }

    fn take(&mut self, effects: Vec<Effect>, time: Timestamp) {
        let mut records = Vec::new();
        for effect in effects {
            match effect {
                Effect::PutKey { hour, slot, key } => self.keys.push(SlotKey {
                    hour,
                    slot,
                    key: key.into(),
                }),
                Effect::DestroyKey { hour, slot } => self.destroy.push((hour, slot)),
                Effect::DestroyHour { hour } => self.ended.push(hour),
                Effect::RotateSigningKey(key) => self.signing_key = Some(*key),
                Effect::Append(record) => records.push((time, record)),
                Effect::ReplyLocal { to, answer, guard } => {
                    self.seen
                        .push(Seen::Local(to, LocalReply { answer, guard }));
                }
                Effect::ReplyPeer { to, answer, guard } => {
                    self.seen.push(Seen::Peer(to, answer, guard));
                }
                Effect::ReplyConnector { to, answer, guard } => {
                    self.seen.push(Seen::Connector(to, answer, guard));
                }
                Effect::Call {
                    call,
                    to,
                    request,
                    timeout_ms,
                } => self.seen.push(Seen::Call(call, to, request, timeout_ms)),
                Effect::Push(push) => self.seen.push(Seen::Push(push)),
                Effect::ReadLeaves(wanted) => self.seen.push(Seen::ReadLeaves(wanted)),
                Effect::Deliver(message) => self.seen.push(Seen::Deliver(message)),
                Effect::Notify(notice) => self.seen.push(Seen::Notify(notice)),
            }
        }
        if !records.is_empty() {
            self.records += records.len();
            self.steps.push(records);
        }
    }
}

/// Wakes the writer, which has a thread of its own, after a time.
fn timer() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
}

/// Lets others see `now`, if it is not what they see.
fn publish_to<T: Clone + PartialEq>(seen: &watch::Sender<Arc<T>>, now: &T) {
    seen.send_if_modified(|published| {
        let changed = **published != *now;
        if changed {
            *published = Arc::new(now.clone());
        }
        changed
    });
}

impl<M: Machine, S: Store> Writer<M, S> {
    /// A writer and the handle to it.
    pub(super) fn new(parts: Parts<M, S>) -> (Self, Handle, watch::Receiver<Option<Timestamp>>) {
        let (sender, jobs) = mpsc::channel(QUEUE_LENGTH_MAX);
        let wake = watch::Sender::new(parts.machine.next_wake());
        parts.activity.watch(wake.subscribe());
        let partners = watch::Sender::new(Arc::new(parts.machine.partners().clone()));
        let api_keys = watch::Sender::new(Arc::new(parts.machine.api_keys().clone()));
        let handle = Handle {
            jobs: sender,
            activity: parts.activity.clone(),
            clock: parts.clock.clone(),
            metrics: parts.metrics.clone(),
            partners: partners.subscribe(),
            api_keys: api_keys.subscribe(),
        };
        let wakes = wake.subscribe();
        let writer = Self {
            machine: parts.machine,
            store: parts.store,
            clock: parts.clock,
            rng: parts.rng,
            metrics: parts.metrics,
            jobs,
            wake,
            partners,
            api_keys,
            floor: parts.journal_time.map(|at| ClockInterval {
                earliest: Timestamp::from_millis(i64::MIN),
                latest: at,
            }),
            replies: Replies::default(),
            parked: Parked {
                activity: parts.activity,
                count: 0,
            },
            idle_group_wait: parts.idle_group_wait,
        };
        (writer, handle, wakes)
    }

    /// Works until it is told to stop. Blocks: it has a thread of its own.
    ///
    /// # Errors
    /// [`WriterError::Store`] as soon as the store fails.
    pub(super) fn run(
        mut self,
        outside: &dyn Outside,
        started: oneshot::Sender<()>,
    ) -> Result<(), WriterError> {
        let mut group = Group::default();
        let now = self.now();
        let effects = self.machine.start(now, self.rng.as_mut());
        group.take(effects, now.latest);
        self.commit(group, outside)?;
        let timer = timer().map_err(|error| WriterError::Store {
            what: "set a timer",
            error,
        })?;
        // Whoever started the node may have given up by now.
        let _ = started.send(());
        while let Some(first) = self.jobs.blocking_recv() {
            let group = self.gather(first, &timer);
            let stop = group.stop;
            self.commit(group, outside)?;
            self.keep(stop)?;
            if stop {
                break;
            }
        }
        Ok(())
    }

    /// The next group: what is queued, and if nobody waits for that, what comes soon.
    fn gather(&mut self, first: Queued, timer: &Runtime) -> Group {
        let mut group = Group::default();
        self.step(first, &mut group);
        let (mut until, wait) = (None, self.idle_group_wait);
        while group.has_room() {
            let next = match self.jobs.try_recv() {
                Ok(next) => Some(next),
                Err(_) if group.is_idle() => timer.block_on(async {
                    let until = *until.get_or_insert_with(|| Instant::now() + wait);
                    timeout_at(until, self.jobs.recv()).await.ok().flatten()
                }),
                Err(_) => None,
            };
            let Some(next) = next else {
                break;
            };
            self.step(next, &mut group);
        }
        group
    }

    /// Takes up what was written of snapshots, and begins one when it is due, or the node stops.
    fn keep(&mut self, stop: bool) -> Result<(), WriterError> {
        let failed = |error| WriterError::Store {
            what: "write a snapshot",
            error,
        };
        while let Some((rows, frozen)) = self.store.news().map_err(failed)? {
            self.machine.install(rows, frozen);
        }
        let due = self.store.wants_snapshot() || stop && self.store.can_snapshot();
        if due && let Some(frozen) = self.machine.freeze().map_err(failed)? {
            self.store.snapshot(frozen).map_err(failed)?;
        }
        Ok(())
    }

    /// Nothing that was decided on what could not be read is written or seen.
    fn check_machine(&mut self) -> Result<(), WriterError> {
        let Some(failure) = self.machine.failure() else {
            return Ok(());
        };
        let distrusted = self.store.distrust();
        Err(WriterError::Store {
            what: "read what is derived from the journal",
            error: match distrusted {
                Ok(()) => io::Error::other(failure),
                Err(error) => error,
            },
        })
    }

    /// The clock, never below what was decided or journaled before.
    fn now(&mut self) -> ClockInterval {
        let read = self.clock.now();
        let now = self.floor.map_or(read, |floor| ClockInterval {
            earliest: read.earliest.max(floor.earliest),
            latest: read.latest.max(floor.latest),
        });
        self.floor = Some(now);
        self.machine.clock_jumped(self.clock.jumped_ms());
        now
    }

    // tidy: long, one arm a kind of job
    fn step(&mut self, queued: Queued, group: &mut Group) {
        group.under_way.push(queued.under_way);
        let input = match queued.job {
            Job::Local {
                credential,
                idempotency,
                request,
                reply: sender,
            } => {
                let reply = self.replies.awaited(sender);
                Input::Local {
                    reply,
                    credential,
                    idempotency,
                    request,
                }
            }
            Job::Person {
                who,
                idempotency,
                request,
                reply: sender,
            } => {
                let reply = self.replies.awaited(sender);
                Input::Person {
                    reply,
                    who,
                    idempotency,
                    request,
                }
            }
            Job::Page {
                request,
                reply: sender,
            } => {
                let reply = self.replies.awaited(sender);
                Input::Page { reply, request }
            }
            Job::Peer {
                from,
                request,
                reply: sender,
            } => {
                let reply = self.replies.draw();
                self.replies.peer.insert(reply, sender);
                Input::Peer {
                    reply,
                    from,
                    request,
                }
            }
            Job::Connector {
                from,
                request,
                reply: sender,
            } => {
                let reply = self.replies.draw();
                self.replies.connector.insert(reply, sender);
                Input::Connector {
                    reply,
                    from,
                    request,
                }
            }
            Job::Plain(input) => {
                // The denial that took an answer's place has left.
                group.late |= matches!(input, Input::Voided { .. });
                input
            }
            Job::Tick(seen) => {
                group.ticks.push(seen);
                Input::Tick
            }
            Job::Gone => return,
            Job::Stop => {
                group.stop = true;
                return;
            }
        };
        let now = self.now();
        let effects = self.machine.step(input, now, self.rng.as_mut());
        if self.machine.confirms_jump() {
            self.clock.follow();
        }
        self.metrics.inputs.add(1);
        group.take(effects, now.latest);
    }

    fn commit(&mut self, group: Group, outside: &dyn Outside) -> Result<(), WriterError> {
        let failed = |what| move |error| WriterError::Store { what, error };
        self.check_machine()?;
        if !group.keys.is_empty() {
            self.store
                .put_keys(&group.keys)
                .map_err(failed("store content keys"))?;
        }
        if let Some(key) = &group.signing_key {
            self.store
                .keep_signing_key(key)
                .map_err(failed("store the new signing key"))?;
        }
        if !group.steps.is_empty() {
            self.store
                .append(&group.steps)
                .map_err(failed("append to the journal"))?;
            self.metrics.groups.add(1);
            self.metrics.records.add(group.records as u64);
            self.metrics.journal_bytes.set(self.store.journal_bytes());
        }
        if let Some(key) = group.signing_key {
            self.store.take_signing_key();
            outside.sign_with(key);
        }
        self.publish();
        for seen in group.seen {
            self.show(seen, outside);
        }
        if !group.destroy.is_empty() || !group.ended.is_empty() {
            self.store
                .destroy_keys(&group.destroy, &group.ended)
                .map_err(failed("destroy content keys"))?;
        }
        self.settle();
        for tick in group.ticks {
            // The task that sets the ticks has ended: the node is being stopped.
            let _ = tick.send(());
        }
        Ok(())
    }

    /// Partners and API keys as of this group: before its calls, which may go to a partner that it
    /// added, and its answers, which may hold a key that is used at once.
    fn publish(&self) {
        publish_to(&self.partners, self.machine.partners());
        publish_to(&self.api_keys, self.machine.api_keys());
    }

    fn show(&mut self, seen: Seen, outside: &dyn Outside) {
        match seen {
            Seen::Local(to, answer) => {
                if let Some(reply) = self.replies.local.remove(&to) {
                    // The caller has gone; what was decided stands.
                    let _ = reply.send(answer);
                }
            }
            Seen::Peer(to, answer, guard) => {
                if let Some(reply) = self.replies.peer.remove(&to) {
                    // The same.
                    let _ = reply.send(PeerReply {
                        answer,
                        guard,
                        reply: to,
                    });
                }
            }
            Seen::Connector(to, answer, guard) => {
                if let Some(reply) = self.replies.connector.remove(&to) {
                    // The same.
                    let _ = reply.send(ConnectorReply {
                        answer,
                        guard,
                        reply: to,
                    });
                }
            }
            Seen::Call(call, to, request, timeout_ms) => {
                outside.call(call, to, request, timeout_ms);
            }
            Seen::Push(push) => outside.push(*push),
            Seen::ReadLeaves(wanted) => outside.read_leaves(wanted),
            Seen::Deliver(message) => outside.deliver(message),
            Seen::Notify(notice) => outside.notify(notice),
        }
    }

    /// Tells the clocks what the node waits for, before this group stops counting as under way.
    fn settle(&mut self) {
        let peers = self
            .replies
            .peer
            .values()
            .filter(|reply| !reply.is_closed());
        let local = self
            .replies
            .local
            .values()
            .filter(|reply| !reply.is_closed());
        let connectors = self
            .replies
            .connector
            .values()
            .filter(|reply| !reply.is_closed());
        let waiting = peers.count() + local.count() + connectors.count();
        self.parked.set(self.machine.parked_polls().min(waiting));
        let next = self.machine.next_wake();
        self.wake.send_if_modified(|wake| {
            let changed = *wake != next;
            *wake = next;
            changed
        });
    }
}
