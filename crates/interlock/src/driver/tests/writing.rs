//! Order of a group, failing stores, guards, ticks, quiescence.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a fake node answers only what its test is about"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use interlock_core::ids::{MessageId, WireId};

use super::world::*;
use crate::driver::handle::{Job, Queued};
use crate::driver::server::Server;
use crate::driver::writer::WriterError;
use crate::exchange::wire::Lane;
use crate::node::io::{
    CallId, Effect, Guard, Input, LocalAnswer, LocalGuard, LocalRequest, PeerRequest, ReplyId,
};

fn status(reply: ReplyId) -> Effect {
    Effect::ReplyLocal {
        to: reply,
        answer: LocalAnswer::Json {
            status: 200,
            body: serde_json::json!({"ok": true}),
        },
        guard: None,
    }
}

fn is_ok(answer: &LocalAnswer) -> bool {
    matches!(answer, LocalAnswer::Json { status: 200, .. })
}

fn ask(server: &Server) -> tokio::task::JoinHandle<LocalAnswer> {
    let handle = server.handle.clone();
    tokio::spawn(async move { handle.local(None, None, LocalRequest::GetStatus).await })
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_seen_before_the_records_are_durable() {
    let setup = Setup::new(cast("a", 1));
    let (store, log) = (setup.store.clone(), setup.store.log.clone());
    let nobody = cast("nobody", 9).id;
    let seen = log.clone();
    let server = setup
        .start(move |input, _| match input {
            Input::Local { reply, .. } => vec![
                Effect::DestroyKey { hour: 1, slot: 2 },
                status(reply),
                Effect::Call {
                    call: CallId(1),
                    to: nobody.clone(),
                    request: entries(),
                    timeout_ms: 1_000,
                },
                record(),
                Effect::PutKey {
                    hour: 1,
                    slot: 3,
                    key: [7; 32],
                },
                record(),
            ],
            Input::Answered { outcome, .. } => {
                seen.add(format!("answered {}", outcome.is_err()));
                vec![]
            }
            _ => vec![],
        })
        .await;
    store.hold(true);
    let handle = server.handle.clone();
    let asked =
        tokio::spawn(async move { handle.local(None, None, LocalRequest::GetStatus).await });
    until(|| !log.lines().is_empty()).await;
    assert_eq!(log.lines(), ["keys 1"]);
    assert!(!asked.is_finished());
    store.hold(false);
    assert!(is_ok(&asked.await.unwrap()));
    until(|| log.lines().len() == 4).await;
    assert_eq!(log.lines()[..2], ["keys 1", "append 2"]);
    assert!(log.lines().contains(&"destroy 1".into()));
    assert!(log.lines().contains(&"answered true".into()));
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_during_a_sync_is_the_next_group() {
    let setup = Setup::new(cast("a", 1));
    let (store, log) = (setup.store.clone(), setup.store.log.clone());
    let server = setup
        .start(|input, _| match input {
            Input::Local { reply, .. } => vec![record(), status(reply)],
            _ => vec![],
        })
        .await;
    store.hold(true);
    let first = ask(&server);
    until(|| store.begun.load(Ordering::SeqCst)).await;
    let others: Vec<_> = (0..10).map(|_| ask(&server)).collect();
    until(|| server.handle.queue_length() == 10).await;
    store.hold(false);
    assert!(is_ok(&first.await.unwrap()));
    for other in others {
        assert!(is_ok(&other.await.unwrap()));
    }
    assert_eq!(log.lines(), ["append 1", "append 10"]);
    assert_eq!(server.handle.metrics().groups.get(), 2);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_nobody_waits_for_is_synced_with_the_next() {
    let mut setup = Setup::new(cast("a", 1));
    setup.idle_group_wait = Duration::from_secs(3_600);
    let log = setup.store.log.clone();
    let decided = Arc::new(AtomicUsize::new(0));
    let count = decided.clone();
    let react = move |input, _| match input {
        Input::Local { reply, .. } => vec![record(), status(reply)],
        Input::Delivered { .. } => {
            count.fetch_add(1, Ordering::SeqCst);
            vec![record()]
        }
        _ => vec![],
    };
    let server = setup.start(react).await;
    let quiet = || Queued {
        job: Job::Plain(Input::Delivered {
            message: MessageId::from_bytes([1; 16]),
            outcome: Ok(()),
        }),
        under_way: server.handle.activity.begin(),
    };
    server.handle.jobs.send(quiet()).await.unwrap();
    until(|| decided.load(Ordering::SeqCst) == 1).await;
    // It waits, and whoever is answered has it made durable too, in one append.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(log.lines().is_empty());
    assert!(is_ok(&ask(&server).await.unwrap()));
    assert_eq!(log.lines(), ["append 2"]);
    // A stop takes along what waits.
    server.handle.jobs.send(quiet()).await.unwrap();
    server.stop().await.unwrap();
    assert_eq!(log.lines(), ["append 2", "append 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_nobody_waits_for_is_durable_soon() {
    let setup = Setup::new(cast("a", 1));
    let log = setup.store.log.clone();
    let server = setup
        .start(|input, _| match input {
            Input::Delivered { .. } => vec![record()],
            _ => vec![],
        })
        .await;
    let job = Job::Plain(Input::Delivered {
        message: MessageId::from_bytes([1; 16]),
        outcome: Ok(()),
    });
    let under_way = server.handle.activity.begin();
    let queued = Queued { job, under_way };
    server.handle.jobs.send(queued).await.unwrap();
    until(|| log.lines() == ["append 1"]).await;
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_answers_nobody_and_ends_the_writer() {
    let setup = Setup::new(cast("a", 1));
    let (store, log) = (setup.store.clone(), setup.store.log.clone());
    let seen = log.clone();
    let mut server = setup
        .start(move |input, _| match input {
            Input::Local { reply, .. } => {
                seen.add("decided");
                vec![
                    status(reply),
                    record(),
                    Effect::DestroyKey { hour: 1, slot: 1 },
                ]
            }
            _ => vec![],
        })
        .await;
    store.failing.store(true, Ordering::SeqCst);
    let address = server.addresses.local.unwrap();
    let reply = send(address, "GET", "/status", &[], b"").await;
    assert_eq!((reply.status, reply.kind().as_str()), (503, "stopping"));
    let error = server.ended().await;
    assert!(matches!(error, WriterError::Store { .. }), "{error}");
    assert!(error.to_string().contains("sync failed"));
    let again = server
        .handle
        .local(None, None, LocalRequest::GetStatus)
        .await;
    assert!(!is_ok(&again));
    assert_eq!(log.lines(), ["decided"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once_and_says_when_to_come_again() {
    let setup = Setup::new(cast("a", 1));
    let store = setup.store.clone();
    let server = setup
        .start(|input, _| match input {
            Input::Local { reply, .. } => vec![record(), status(reply)],
            _ => vec![],
        })
        .await;
    store.hold(true);
    let handle = server.handle.clone();
    let held = tokio::spawn(async move { handle.local(None, None, LocalRequest::GetStatus).await });
    until(|| store.begun.load(Ordering::SeqCst)).await;
    let gone = || Queued {
        job: Job::Gone,
        under_way: server.handle.activity.begin(),
    };
    while server.handle.jobs.try_send(gone()).is_ok() {}
    let address = server.addresses.local.unwrap();
    let reply = send(address, "GET", "/status", &[], b"").await;
    assert_eq!((reply.status, reply.kind().as_str()), (503, "busy"));
    assert!(reply.head.contains("retry-after: 1"));
    store.hold(false);
    assert!(is_ok(&held.await.unwrap()));
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_is_checked_again_at_the_socket() {
    let (me, partner) = (cast("a", 1), cast("b", 2));
    let until_ms = NOW.plus_ms(1_000);
    let setup = Setup::new(cast("a", 1)).with(partner.as_partner("http://127.0.0.1:1", None));
    let (clock, log) = (setup.clock.clone(), setup.store.log.clone());
    let seen = log.clone();
    let server = setup
        .start(move |input, now| match input {
            Input::Peer {
                reply,
                from,
                request,
            } => {
                assert!(now.latest < until_ms, "decided while the term runs");
                if matches!(request, PeerRequest::Entries { from: 1, .. }) {
                    // The term ends between the decision and the socket.
                    clock.set(until_ms);
                }
                vec![
                    record(),
                    Effect::ReplyPeer {
                        to: reply,
                        answer: evidence(),
                        guard: Some(Guard {
                            until: until_ms,
                            agreement: WireId::parse("agreement").unwrap(),
                            to: from,
                        }),
                    },
                ]
            }
            Input::Voided { to, agreement, .. } => {
                seen.add(format!("voided {to} {agreement}"));
                vec![record()]
            }
            _ => vec![],
        })
        .await;
    let ask = async |from: u8| {
        let target = format!("/exchange/v1/evidence/entries?from={from}");
        let bearer = partner.bearer(&me, "GET", &target, b"", from, NOW);
        let headers = [("Authorization", bearer.as_str())];
        send(server.addresses.exchange, "GET", &target, &headers, b"").await
    };
    assert_eq!(ask(0).await.status, 200);
    let denied = ask(1).await;
    assert_eq!((denied.status, denied.kind().as_str()), (403, "term-ended"));
    assert!(!denied.body.contains("checkpoint"));
    until(|| log.lines().len() == 4).await;
    assert_eq!(
        log.lines(),
        [
            "append 1",
            "append 1",
            "voided did:web:b.example agreement",
            "append 1"
        ]
    );
    assert_eq!(server.handle.metrics().voided.get(), 1);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_our_own_is_checked_again_at_the_socket() {
    let until = NOW.plus_ms(1_000);
    let setup = Setup::new(cast("a", 1));
    let (clock, log) = (setup.clock.clone(), setup.store.log.clone());
    let seen = log.clone();
    let server = setup
        .start(move |input, now| match input {
            Input::Local { reply, request, .. } => {
                assert!(now.latest < until, "decided in time");
                if matches!(request, LocalRequest::GetNames) {
                    clock.set(until);
                }
                let guard = LocalGuard {
                    until,
                    instead: crate::node::problem::not_found("call"),
                };
                let Effect::ReplyLocal { to, answer, .. } = status(reply) else {
                    unreachable!("that is its answer");
                };
                vec![Effect::ReplyLocal {
                    to,
                    answer,
                    guard: Some(Box::new(guard)),
                }]
            }
            Input::Voided { .. } => {
                seen.add("voided");
                vec![record()]
            }
            _ => vec![],
        })
        .await;
    let in_time = server.handle.local(None, None, LocalRequest::GetStatus);
    assert!(is_ok(&in_time.await));
    let late = server.handle.local(None, None, LocalRequest::GetNames);
    let late = late.await;
    assert!(
        matches!(&late, LocalAnswer::Problem(problem) if problem.status == 404),
        "{late:?}"
    );
    assert_eq!(server.handle.metrics().voided.get(), 1);
    assert_eq!(log.lines(), Vec::<String>::new(), "no partner is told");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ticks_follow_the_clock_and_a_due_node_is_busy() {
    let setup = Setup::new(cast("a", 1));
    let (clock, wake, store) = (setup.clock.clone(), setup.wake.clone(), setup.store.clone());
    let log = store.log.clone();
    *wake.lock().unwrap() = Some(NOW.plus_ms(60_000));
    let seen = log.clone();
    let server = setup
        .start(move |input, now| {
            if matches!(input, Input::Tick) {
                seen.add(format!("tick {}", now.latest.since_ms(NOW)));
                return vec![record()];
            }
            vec![]
        })
        .await;
    until(|| !server.handle.busy()).await;
    clock.advance(59_999);
    assert!(!server.handle.busy());
    store.hold(true);
    clock.advance(1);
    assert!(server.handle.busy(), "due");
    until(|| !log.lines().is_empty()).await;
    assert!(server.handle.busy(), "being made durable");
    store.hold(false);
    until(|| !server.handle.busy()).await;
    assert_eq!(log.lines(), ["tick 60000", "append 1"]);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_poll_is_quiet_and_its_end_is_not() {
    let (a, b) = (cast("a", 1), cast("b", 2));
    let mut provider = Setup::new(cast("b", 2)).with(a.as_partner("http://127.0.0.1:1", None));
    let consumer = Setup::new(a).with(b.as_partner(&provider.url(), None));
    provider.activity = consumer.activity.clone();
    let (parked, log) = (provider.parked.clone(), consumer.store.log.clone());
    let mut waiting = None;
    let provider = provider
        .start(move |input, _| match input {
            Input::Peer { reply, .. } => {
                parked.store(1, Ordering::SeqCst);
                waiting = Some(reply);
                vec![]
            }
            Input::Local { reply, .. } => {
                parked.store(0, Ordering::SeqCst);
                let answer = evidence();
                let to = waiting.take().unwrap();
                vec![
                    status(reply),
                    Effect::ReplyPeer {
                        to,
                        answer,
                        guard: None,
                    },
                ]
            }
            _ => vec![],
        })
        .await;
    let seen = log.clone();
    let consumer = consumer
        .start(move |input, _| match input {
            Input::Local { reply, .. } => vec![
                status(reply),
                Effect::Call {
                    call: CallId(1),
                    to: b.id.clone(),
                    request: entries(),
                    timeout_ms: 20_000,
                },
            ],
            Input::Answered { outcome, .. } => {
                seen.add(format!("answered {}", outcome == Ok(evidence())));
                vec![record()]
            }
            _ => vec![],
        })
        .await;
    let ask = consumer.handle.local(None, None, LocalRequest::GetStatus);
    assert!(is_ok(&ask.await));
    until(|| !consumer.handle.busy()).await;
    assert!(
        log.lines().is_empty(),
        "quiet because it waits, not because it ended"
    );
    let ask = provider.handle.local(None, None, LocalRequest::GetStatus);
    assert!(is_ok(&ask.await));
    until(|| !provider.handle.busy()).await;
    assert_eq!(log.lines(), ["answered true", "append 1"]);
    provider.stop().await.unwrap();
    consumer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_whose_caller_has_gone_counts_no_more() {
    let (a, b) = (cast("a", 1), cast("b", 2));
    let setup = Setup::new(cast("b", 2)).with(a.as_partner("http://127.0.0.1:1", None));
    let parked = setup.parked.clone();
    let server = setup
        .start(move |input, _| {
            if matches!(input, Input::Peer { .. }) {
                parked.store(1, Ordering::SeqCst);
            }
            vec![]
        })
        .await;
    let request = PeerRequest::Feed {
        transfer: WireId::parse("t").unwrap(),
        lane: Lane::Live,
        after: 0,
        limit: 1,
        wait_ms: 60_000,
    };
    // The work that the poll stands for at the caller.
    let call = server.handle.activity.begin();
    let handle = server.handle.clone();
    let poll = tokio::spawn(async move { handle.peer(a.id, request).await.answer });
    until(|| !server.handle.busy()).await;
    poll.abort();
    assert!(poll.await.is_err());
    until(|| server.handle.busy()).await;
    drop(call);
    until(|| !server.handle.busy()).await;
    drop(b);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_dropped_ends_its_writer() {
    let setup = Setup::new(cast("a", 1));
    let store = std::sync::Arc::downgrade(&setup.store.failing);
    let server = setup.start(|_, _| vec![]).await;
    assert!(store.upgrade().is_some());
    drop(server);
    until(|| store.upgrade().is_none()).await;
}
