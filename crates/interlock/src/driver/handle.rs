//! How doors, calls and deliveries reach the one writer.
//!
//! INVARIANT: what cannot be queued is refused at once with a named remedy; nobody waits without a
//! limit. A handle does not know how a door speaks.

use std::sync::Arc;
use std::time::Duration;

use interlock_core::ids::{IdempotencyKey, ParticipantId};
use interlock_core::time::{ClockInterval, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};

use super::activity::{Activity, UnderWay};
use super::clock::Clock;
use super::seams::{ApiKeys, Partners};
use crate::exchange::problem::problem;
use crate::node::io::{
    ConnectorAnswer, ConnectorRequest, ConnectorWant, Digest, Guard, Input, LocalAnswer,
    LocalGuard, LocalRequest, PageRequest, PeerAnswer, PeerRequest, PersonCaller, Problem, ReplyId,
    Role,
};
use crate::telemetry::Metrics;

/// Most inputs that wait for the writer.
pub const QUEUE_LENGTH_MAX: usize = 8_192;
/// How long a local caller waits for the node beyond the wait that it asked for, in milliseconds.
pub const LOCAL_TIMEOUT_MS: u32 = 30_000;
/// The same for a page.
pub const PAGE_TIMEOUT_MS: u32 = 10_000;
/// The same for a partner.
pub const PEER_TIMEOUT_MS: u32 = 30_000;

/// What waits for the writer.
pub(super) enum Job {
    Local {
        credential: Option<Digest>,
        idempotency: Option<(IdempotencyKey, Digest)>,
        request: LocalRequest,
        reply: oneshot::Sender<LocalReply>,
    },
    Person {
        who: PersonCaller,
        idempotency: Option<(IdempotencyKey, Digest)>,
        request: LocalRequest,
        reply: oneshot::Sender<LocalReply>,
    },
    Page {
        request: PageRequest,
        reply: oneshot::Sender<LocalReply>,
    },
    Peer {
        from: ParticipantId,
        request: PeerRequest,
        reply: oneshot::Sender<PeerReply>,
    },
    Connector {
        from: ParticipantId,
        request: ConnectorRequest,
        reply: oneshot::Sender<ConnectorReply>,
    },
    /// An input that nobody waits for.
    Plain(Input),
    /// Time passed; the sender learns when the node has seen it.
    Tick(oneshot::Sender<()>),
    /// A partner that waited has gone: count the parked polls again.
    Gone,
    /// Finish what is queued before this, and end.
    Stop,
}

/// A job, counted until its effects are handed over.
pub(super) struct Queued {
    pub(super) job: Job,
    pub(super) under_way: UnderWay,
}

/// An answer to a caller of our own on its way to the socket.
pub(super) struct LocalReply {
    /// The answer.
    pub(super) answer: LocalAnswer,
    /// Until when it may leave.
    pub(super) guard: Option<Box<LocalGuard>>,
}

/// A partner's answer on its way to the socket.
pub struct PeerReply {
    /// The answer.
    pub answer: PeerAnswer,
    /// Until when it may leave.
    pub(super) guard: Option<Guard>,
    pub(super) reply: ReplyId,
}

/// A connector's answer on its way to the socket.
pub struct ConnectorReply {
    /// The answer.
    pub answer: ConnectorAnswer,
    /// Until when it may leave.
    pub(super) guard: Option<Guard>,
    pub(super) reply: ReplyId,
}

/// Reaches a running node; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) jobs: mpsc::Sender<Queued>,
    pub(super) activity: Activity,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) partners: watch::Receiver<Arc<Partners>>,
    pub(super) api_keys: watch::Receiver<Arc<ApiKeys>>,
}

impl Handle {
    /// Asks the node for a local caller: `credential` is the digest of the API key shown,
    /// `idempotency` the key of the write and the digest of its body.
    pub async fn local(
        &self,
        credential: Option<Digest>,
        idempotency: Option<(IdempotencyKey, Digest)>,
        request: LocalRequest,
    ) -> LocalAnswer {
        let wait_ms = if let LocalRequest::GetEvents { wait_ms, .. }
        | LocalRequest::GetNegotiation { wait_ms, .. } = &request
        {
            *wait_ms
        } else {
            0
        };
        // A local caller counts until it is answered; a partner does at the node that calls.
        let _waiting = self.activity.begin();
        let (reply, answer) = oneshot::channel();
        let job = Job::Local {
            credential,
            idempotency,
            request,
            reply,
        };
        self.ask(job, answer, LOCAL_TIMEOUT_MS.saturating_add(wait_ms))
            .await
            .map_or_else(LocalAnswer::Problem, |reply| self.shown(reply))
    }

    /// Asks the node for a person whose session the door keeps.
    pub async fn person(
        &self,
        who: PersonCaller,
        idempotency: Option<(IdempotencyKey, Digest)>,
        request: LocalRequest,
    ) -> LocalAnswer {
        let _waiting = self.activity.begin();
        let (reply, answer) = oneshot::channel();
        let job = Job::Person {
            who,
            idempotency,
            request,
            reply,
        };
        self.ask(job, answer, LOCAL_TIMEOUT_MS)
            .await
            .map_or_else(LocalAnswer::Problem, |reply| self.shown(reply))
    }

    /// Asks the node for a page behind a link, or who somebody is who wants to log in.
    pub async fn page(&self, request: PageRequest) -> LocalAnswer {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Page { request, reply }, answer, PAGE_TIMEOUT_MS)
            .await
            .map_or_else(LocalAnswer::Problem, |reply| self.shown(reply))
    }

    /// Asks the node for the partner `from`, whose identity was verified. Before the answer goes to
    /// the socket it must pass [`Handle::release`].
    pub async fn peer(&self, from: ParticipantId, request: PeerRequest) -> PeerReply {
        let wait_ms = if let PeerRequest::Feed { wait_ms, .. } = &request {
            *wait_ms
        } else {
            0
        };
        let (reply, answer) = oneshot::channel();
        let job = Job::Peer {
            from,
            request,
            reply,
        };
        let mut gone = TellWhenGone(Some(self));
        let outcome = self
            .ask(job, answer, PEER_TIMEOUT_MS.saturating_add(wait_ms))
            .await;
        if outcome.is_ok() {
            gone.0 = None;
        }
        outcome.unwrap_or_else(|problem| PeerReply {
            answer: PeerAnswer::Problem(problem),
            guard: None,
            reply: ReplyId(0),
        })
    }

    /// Asks the node for the connector `from`, whose token for a transfer was verified. Before a page
    /// goes to the socket it must pass [`Handle::may_leave`].
    pub async fn connector(
        &self,
        from: ParticipantId,
        request: ConnectorRequest,
    ) -> ConnectorReply {
        let wait_ms = match request.want {
            ConnectorWant::Page { wait_ms, .. } => wait_ms,
            ConnectorWant::Tokens => 0,
        };
        let (reply, answer) = oneshot::channel();
        let job = Job::Connector {
            from,
            request,
            reply,
        };
        let mut gone = TellWhenGone(Some(self));
        let outcome = self
            .ask(job, answer, PEER_TIMEOUT_MS.saturating_add(wait_ms))
            .await;
        if outcome.is_ok() {
            gone.0 = None;
        }
        outcome.unwrap_or_else(|problem| ConnectorReply {
            answer: ConnectorAnswer::Problem(problem),
            guard: None,
            reply: ReplyId(0),
        })
    }

    /// The last check before an answer to a caller of our own goes to the socket.
    fn shown(&self, reply: LocalReply) -> LocalAnswer {
        let LocalReply { answer, guard } = reply;
        match guard.filter(|guard| self.clock.now().latest >= guard.until) {
            None => answer,
            Some(over) => {
                self.metrics.voided.add(1);
                LocalAnswer::Problem(over.instead)
            }
        }
    }

    /// The last check before a partner's answer goes to the socket, see [`Handle::may_leave`].
    pub async fn release(&self, reply: &PeerReply) -> Option<Problem> {
        self.may_leave(reply.guard.as_ref(), reply.reply).await
    }

    /// The last check before an answer goes to the socket: `None` if it may leave now. Otherwise its
    /// term has ended; the node is told that it did not leave, and the denial is to be sent instead.
    pub(super) async fn may_leave(&self, guard: Option<&Guard>, reply: ReplyId) -> Option<Problem> {
        let guard = guard?;
        if self.clock.now().latest < guard.until {
            return None;
        }
        self.metrics.voided.add(1);
        self.send(Input::Voided {
            reply,
            to: guard.to.clone(),
            agreement: guard.agreement.clone(),
        })
        .await;
        Some(problem(
            "term-ended",
            403,
            "the agreement has ended",
            "the term ended before the answer could leave; nothing is released under it any more",
        ))
    }

    /// Queues an input that nobody waits for; waits while the queue is full.
    pub(super) async fn send(&self, input: Input) {
        self.send_job(Job::Plain(input)).await;
    }

    pub(super) async fn send_job(&self, job: Job) {
        let under_way = self.activity.begin();
        // The writer has ended: so does everything that would have come of this.
        let _ = self.jobs.send(Queued { job, under_way }).await;
    }

    /// The time by this node's clock.
    pub fn now(&self) -> ClockInterval {
        self.clock.now()
    }

    /// Ends when the clock reaches `at`.
    pub async fn sleep_until(&self, at: Timestamp) {
        self.clock.sleep_until(at).await;
    }

    /// Whether anything is under way in any of the nodes that share this one's [`Activity`]: queued
    /// inputs, calls, deliveries, a wake that is due.
    pub fn busy(&self) -> bool {
        self.activity.busy(self.clock.now().latest)
    }

    /// How many inputs wait.
    pub fn queue_length(&self) -> usize {
        self.jobs
            .max_capacity()
            .saturating_sub(self.jobs.capacity())
    }

    /// The partners as of the last durable group.
    pub fn partners(&self) -> Arc<Partners> {
        self.partners.borrow().clone()
    }

    /// The role of an API key as of the last durable group.
    pub fn role(&self, credential: &Digest) -> Option<Role> {
        let keys = self.api_keys.borrow();
        keys.get(credential).map(|(_, role)| *role)
    }

    /// What this node has counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    async fn ask<A>(
        &self,
        job: Job,
        answer: oneshot::Receiver<A>,
        timeout_ms: u32,
    ) -> Result<A, Problem> {
        let under_way = self.activity.begin();
        self.jobs
            .try_send(Queued { job, under_way })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => {
                    self.metrics.refused.add(1);
                    busy()
                }
                mpsc::error::TrySendError::Closed(_) => stopping(),
            })?;
        match tokio::time::timeout(Duration::from_millis(timeout_ms.into()), answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(stopping()),
            Err(_) => Err(problem(
                "no-answer-in-time",
                504,
                "no answer in time",
                "the request may have taken effect; repeat it with the same idempotency key",
            )),
        }
    }
}

/// Tells the writer when whoever waited for an answer has gone away.
struct TellWhenGone<'a>(Option<&'a Handle>);

impl Drop for TellWhenGone<'_> {
    fn drop(&mut self) {
        if let Some(handle) = self.0 {
            let under_way = handle.activity.begin();
            let job = Job::Gone;
            // With a full queue the next group counts again anyway.
            let _ = handle.jobs.try_send(Queued { job, under_way });
        }
    }
}

fn busy() -> Problem {
    problem(
        "busy",
        503,
        "too many requests are waiting",
        "nothing was changed; try again after the seconds in `Retry-After`",
    )
}

fn stopping() -> Problem {
    problem(
        "stopping",
        503,
        "the node is stopping",
        "whether the request took effect is not known; repeat it with the same idempotency key when \
         the node is back",
    )
}
