//! A running node: its writer, its doors, its calls. The demo, the tests and `interlock run` start the
//! same thing.
//!
//! INVARIANT: doors open only after the node has recovered and its first group is durable; when it
//! stops, doors close before the writer does. It does not know where its parts come from.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use interlock_core::time::Timestamp;
use tokio::sync::{oneshot, watch};

use super::activity::Activity;
use super::answer::respond;
use super::clock::Clock;
use super::exchange_door::{self, Gate};
use super::handle::{Handle, Job};
use super::listen::{self, Listener};
use super::outlet::{Calling, Hooks, Outlet};
use super::seams::{Machine, Store};
use super::writer::{self, Writer, WriterError};
use crate::node::Rng;
use crate::telemetry::{METRICS_MEDIA_TYPE, Metrics};

/// The least time between two ticks of a node that is due at once again, in milliseconds.
const TICK_SPACING_MS: u64 = 1;

/// Makes the routes of a door around a handle.
pub type Routes = Box<dyn FnOnce(&Handle) -> axum::Router + Send>;

/// A door: where it listens and what it serves.
pub struct Door {
    /// Where.
    pub listener: Listener,
    /// What.
    pub routes: Routes,
}

/// What a node is started from.
pub struct Parts<M, S> {
    /// The node, with everything replayed.
    pub machine: M,
    /// Its store.
    pub store: S,
    /// The highest time in its journal.
    pub journal_time: Option<Timestamp>,
    /// How long records that nobody waits for wait for others: [`IDLE_GROUP_WAIT`](super::writer::IDLE_GROUP_WAIT).
    pub idle_group_wait: Duration,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// Its randomness.
    pub rng: Box<dyn Rng + Send>,
    /// What is under way, shared with other nodes under the same clock.
    pub activity: Activity,
    /// Where its journal is, for what is read again beside the writer.
    pub journal: PathBuf,
    /// How it calls partners.
    pub calling: Calling,
    /// Where its webhooks go.
    pub hooks: Hooks,
    /// How it knows partners.
    pub gate: Gate,
    /// Where partners come.
    pub exchange: Listener,
    /// The local API; `GET /health` is added.
    pub local: Option<Door>,
    /// Pick-up and tracking links.
    pub public: Option<Door>,
    /// Where `GET /metrics` is answered.
    pub metrics: Option<Listener>,
}

/// Where the doors are, with their real ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Partners.
    pub exchange: SocketAddr,
    /// Local API.
    pub local: Option<SocketAddr>,
    /// Links.
    pub public: Option<SocketAddr>,
    /// Metrics.
    pub metrics: Option<SocketAddr>,
}

/// Why a node could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A socket cannot be used.
    #[error("failed to listen: {0}; check the addresses in `listen`")]
    Listen(#[source] io::Error),
    /// The thread of the writer cannot be started.
    #[error("failed to start the writer: {0}; check the limits of this process")]
    Thread(#[source] io::Error),
    /// The writer ended while it started.
    #[error(transparent)]
    Writer(#[from] WriterError),
}

/// A running node.
pub struct Server {
    /// Where its doors are.
    pub addresses: Addresses,
    /// Reaches it.
    pub handle: Handle,
    stop: watch::Sender<bool>,
    doors: Vec<tokio::task::JoinHandle<()>>,
    ended: oneshot::Receiver<Result<(), WriterError>>,
}

impl Server {
    /// Starts the writer, waits until its first group is durable, and opens the doors.
    ///
    /// # Errors
    /// [`ServerError`]; nothing is left running then.
    pub async fn start<M: Machine, S: Store>(parts: Parts<M, S>) -> Result<Self, ServerError> {
        let address = |listener: &Listener| listener.address().map_err(ServerError::Listen);
        let door_address = |door: &Option<Door>| {
            let listener = door.as_ref().map(|door| &door.listener);
            listener.map(address).transpose()
        };
        let addresses = Addresses {
            exchange: address(&parts.exchange)?,
            local: door_address(&parts.local)?,
            public: door_address(&parts.public)?,
            metrics: parts.metrics.as_ref().map(address).transpose()?,
        };
        let (writer, handle, wakes) = Writer::new(writer::Parts {
            machine: parts.machine,
            store: parts.store,
            clock: parts.clock,
            rng: parts.rng,
            activity: parts.activity,
            metrics: Arc::new(Metrics::default()),
            journal_time: parts.journal_time,
            idle_group_wait: parts.idle_group_wait,
        });
        let stop = watch::Sender::new(false);
        let outlet = Outlet::new(
            handle.clone(),
            parts.calling,
            parts.hooks,
            parts.journal,
            stop.subscribe(),
        );
        let mut ended = spawn_writer(writer, outlet).await?;
        tokio::spawn(tick(handle.clone(), wakes, stop.subscribe()));
        let mut routes = vec![(
            parts.exchange,
            exchange_door::router(handle.clone(), parts.gate),
        )];
        if let Some(door) = parts.local {
            let health = axum::Router::new().route("/health", get(health));
            routes.push((door.listener, (door.routes)(&handle).merge(health)));
        }
        if let Some(door) = parts.public {
            routes.push((door.listener, (door.routes)(&handle)));
        }
        if let Some(listener) = parts.metrics {
            let router = axum::Router::new()
                .route("/metrics", get(metrics))
                .with_state(handle.clone());
            routes.push((listener, router));
        }
        let mut doors = Vec::new();
        for (listener, router) in routes {
            match listen::serve(listener, router, stop.subscribe()) {
                Ok(door) => doors.push(door),
                Err(error) => {
                    stop.send_replace(true);
                    handle.send_job(Job::Stop).await;
                    // The first error is the one to report.
                    let _ = (&mut ended).await;
                    return Err(ServerError::Listen(error));
                }
            }
        }
        Ok(Self {
            addresses,
            handle,
            stop,
            doors,
            ended,
        })
    }

    /// Ends when the writer has ended by itself: the store failed, or by a defect. Whoever runs a node
    /// must then end the process.
    pub async fn ended(&mut self) -> WriterError {
        match (&mut self.ended).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) | Err(_) => WriterError::Defect,
        }
    }

    /// Closes the doors, gives requests under way a moment, lets the writer finish what is queued, and
    /// ends it. Calls under way are dropped; the node takes them up at its next start.
    ///
    /// # Errors
    /// [`WriterError`] if the writer had failed.
    pub async fn stop(self) -> Result<(), WriterError> {
        self.stop.send_replace(true);
        for door in self.doors {
            // A door that ended by a defect has nothing under way.
            let _ = door.await;
        }
        self.handle.send_job(Job::Stop).await;
        match self.ended.await {
            Ok(outcome) => outcome,
            Err(_) => Err(WriterError::Defect),
        }
    }
}

type Ended = oneshot::Receiver<Result<(), WriterError>>;

async fn spawn_writer<M: Machine, S: Store>(
    writer: Writer<M, S>,
    outlet: Outlet,
) -> Result<Ended, ServerError> {
    let (started, is_started) = oneshot::channel();
    let (ended, mut has_ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("writer".into())
        .spawn(move || {
            let outcome = writer.run(&outlet, started);
            if let Err(error) = &outcome {
                tracing::error!(%error, "the writer has stopped");
            }
            // Nobody waits: the server was dropped without being stopped.
            let _ = ended.send(outcome);
        })
        .map_err(ServerError::Thread)?;
    if is_started.await.is_ok() {
        return Ok(has_ended);
    }
    match (&mut has_ended).await {
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(())) | Err(_) => Err(WriterError::Defect.into()),
    }
}

/// Gives the node its ticks, each only after it has seen the one before.
async fn tick(
    handle: Handle,
    mut wakes: watch::Receiver<Option<Timestamp>>,
    mut stopped: watch::Receiver<bool>,
) {
    let ticks = async {
        loop {
            let due = *wakes.borrow_and_update();
            let Some(at) = due else {
                if wakes.changed().await.is_err() {
                    return;
                }
                continue;
            };
            tokio::select! {
                changed = wakes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = handle.sleep_until(at) => {
                    let (seen, is_seen) = oneshot::channel();
                    handle.send_job(Job::Tick(seen)).await;
                    if is_seen.await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(TICK_SPACING_MS)).await;
                }
            }
        }
    };
    tokio::select! {
        () = ticks => return,
        () = listen::until(&mut stopped) => {}
    }
    if stopped.has_changed().is_err() {
        // The server was dropped without being stopped; its writer holds a handle of its own.
        handle.send_job(Job::Stop).await;
    }
}

/// The doors open after recovery: whoever gets an answer at all gets 200.
async fn health() -> Response {
    respond(200, "text/plain", "ok\n")
}

async fn metrics(State(handle): State<Handle>) -> Response {
    let text = handle.metrics().render(handle.queue_length());
    respond(200, METRICS_MEDIA_TYPE, text)
}
