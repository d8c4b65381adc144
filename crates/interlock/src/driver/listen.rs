//! Listening: the accept loop, TLS, limits of a connection, and an orderly end.
//!
//! INVARIANT: a connection that sends or takes nothing is closed after a named time, and no more than
//! [`CONNECTIONS_MAX`] are open at one listener. It does not know what is served.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// Most connections that one listener serves; further ones wait.
pub const CONNECTIONS_MAX: usize = 1_024;
/// Connections that may wait to be accepted; the operating system may allow fewer.
const WAITING_MAX: i32 = 1_024;
/// How long a TLS handshake may take, in milliseconds.
pub const HANDSHAKE_TIMEOUT_MS: u64 = 10_000;
/// How long the head of a request may take, and a connection be idle, in milliseconds.
pub const HEAD_TIMEOUT_MS: u64 = 60_000;
/// How long a write may make no progress, in milliseconds.
pub const WRITE_TIMEOUT_MS: u64 = 20_000;
/// How long requests under way have to end when the node stops, in milliseconds.
pub const GRACE_MS: u64 = 500;
/// Largest head of a request, in bytes.
const HEAD_SIZE_BYTES_MAX: usize = 32 * 1024;
/// Most header fields of a request.
const HEADERS_MAX: usize = 64;
/// How long accepting pauses after it has failed, as it does when there are no file descriptors left.
const ACCEPT_PAUSE_MS: u64 = 100;

/// A bound socket and how it is spoken to.
pub struct Listener {
    tcp: std::net::TcpListener,
    tls: Option<Arc<ServerConfig>>,
}

impl Listener {
    /// Binds `address`; port 0 takes a free one. Without `tls` it speaks plain HTTP.
    ///
    /// # Errors
    /// The address is in use or not ours.
    pub fn bind(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        // The standard library's listener lets 128 wait to be accepted; of more, some would be heard a
        // second later, when their first packet comes again.
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(WAITING_MAX)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            tcp: socket.into(),
            tls,
        })
    }

    /// The address with its real port.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Serves `router` until `stopped` says so; then requests under way have [`GRACE_MS`].
///
/// # Errors
/// The socket cannot be handed to the runtime.
pub(super) fn serve(
    listener: Listener,
    router: axum::Router,
    stopped: watch::Receiver<bool>,
) -> io::Result<tokio::task::JoinHandle<()>> {
    let tcp = TcpListener::from_std(listener.tcp)?;
    let tls = listener.tls.map(TlsAcceptor::from);
    Ok(tokio::spawn(accept(tcp, tls, router, stopped)))
}

async fn accept(
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
    router: axum::Router,
    mut stopped: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let next = async {
            let slot = slots.clone().acquire_owned().await;
            (tcp.accept().await, slot)
        };
        let (accepted, slot) = tokio::select! {
            next = next => next,
            () = until(&mut stopped) => break,
        };
        while connections.try_join_next().is_some() {}
        match (accepted, slot) {
            (Ok((stream, _)), Ok(slot)) => {
                let connection = Connection {
                    tls: tls.clone(),
                    router: router.clone(),
                    stopped: stopped.clone(),
                    _slot: slot,
                };
                connections.spawn(connection.run(stream));
            }
            (Err(error), _) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            }
            (Ok(_), Err(_)) => break,
        }
    }
    drop(tcp);
    while connections.join_next().await.is_some() {}
}

/// Ends when the node stops.
pub(super) async fn until(stopped: &mut watch::Receiver<bool>) {
    // Whoever could stop us is gone: that is a stop too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

struct Connection {
    tls: Option<TlsAcceptor>,
    router: axum::Router,
    stopped: watch::Receiver<bool>,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(mut self, stream: TcpStream) {
        // Only a hint to the operating system.
        let _ = stream.set_nodelay(true);
        match self.tls.take() {
            None => self.speak(stream).await,
            Some(tls) => {
                let limit = Duration::from_millis(HANDSHAKE_TIMEOUT_MS);
                match tokio::time::timeout(limit, tls.accept(stream)).await {
                    Ok(Ok(stream)) => self.speak(stream).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!("a TLS handshake took too long"),
                }
            }
        }
    }

    async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(mut self, stream: S) {
        let service = TowerToHyperService::new(self.router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(HEAD_TIMEOUT_MS))
            .max_buf_size(HEAD_SIZE_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(Patient::new(stream)), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = until(&mut self.stopped) => {
                connection.as_mut().graceful_shutdown();
                let limit = Duration::from_millis(GRACE_MS);
                tokio::time::timeout(limit, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke");
        }
    }
}

/// A stream whose writes fail after [`WRITE_TIMEOUT_MS`] without progress: a reader that takes nothing
/// may not hold a connection for ever.
struct Patient<S> {
    stream: S,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    const fn new(stream: S) -> Self {
        Self {
            stream,
            stalled: None,
        }
    }

    fn watch<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let stalled = self.stalled.get_or_insert_with(|| {
            Box::pin(tokio::time::sleep(Duration::from_millis(WRITE_TIMEOUT_MS)))
        });
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(outcome, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(outcome, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(outcome, context)
    }
}
