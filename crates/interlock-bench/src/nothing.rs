//! A server that stores nothing: the node's own door for `POST /events`, which parses, checks and
//! hashes every event, and behind it nothing at all.
//!
//! INVARIANT: it runs the shipped code of the door, on as many threads as a node has. It knows how the
//! node answers, and nothing of what it does. It is a process of its own, so that its processor time
//! is its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use interlock::local_api::{Answering, Seam, router};
use interlock::node::io::{Digest, EventTaken, LocalAnswer, LocalRequest, Role};
use interlock_core::ids::IdempotencyKey;

/// The argument by which this program is started as that server.
pub(crate) const ARGUMENT: &str = "serve-nothing";
/// As many as a node has.
const WORKER_THREADS: usize = 2;

struct Nothing;

impl Seam for Nothing {
    fn local(
        &self,
        _: Option<Digest>,
        _: Option<(IdempotencyKey, Digest)>,
        request: LocalRequest,
    ) -> Answering<'_> {
        let count = if let LocalRequest::PostEvents(events) = request {
            std::hint::black_box(events).len()
        } else {
            0
        };
        let answer = LocalAnswer::Events(vec![EventTaken::Accepted(1); count]);
        Box::pin(std::future::ready(answer))
    }

    fn role(&self, _: &Digest) -> Option<Role> {
        Some(Role::Admin)
    }

    fn fill(&self, _: &mut [u8]) {}
}

/// Serves until the process is ended. Prints the address.
pub(crate) fn serve() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.context("no free port on 127.0.0.1")?;
        println!("{}", listener.local_addr()?);
        let routes: Router = router(Arc::new(Nothing));
        axum::serve(listener, routes)
            .await
            .context("the server ended")
    })
}

/// The server as a child; ended when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it is.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts it.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("failed to find this program's own path")?;
        let mut child = Command::new(own)
            .arg(ARGUMENT)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start the server that stores nothing")?;
        let mut line = String::new();
        let read = match child.stdout.take() {
            Some(output) => BufReader::new(output).read_line(&mut line).map(drop),
            None => Ok(()),
        };
        let address = read
            .map_err(anyhow::Error::from)
            .and_then(|()| line.trim().parse().map_err(anyhow::Error::from));
        // Kept even if the address is none, so that it is ended.
        let mut server = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        server.address = address.context("the server that stores nothing told no address")?;
        Ok(server)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing to do about a failure: the process is then already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
