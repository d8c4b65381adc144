//! One HTTP/1.1 client over TCP or TLS: connections are reused, everything has a limit.
//!
//! INVARIANT: the address that was checked is the one that is connected to; plain HTTP leaves this
//! machine only where the configuration says so in so many words. It does not know what is sent.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::header::LINK;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::notify;

/// Idle connections that are kept for one host.
const IDLE_CONNECTIONS_MAX: usize = 32;
/// How long an idle connection is kept, in milliseconds.
const IDLE_TIMEOUT_MS: u64 = 50_000;
/// How long connecting may take, in milliseconds.
const CONNECT_TIMEOUT_MS: u64 = 10_000;

/// An answer, whole.
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// All `Link` headers as one.
    pub(super) link: Option<String>,
    /// The body.
    pub(super) body: Bytes,
}

/// Where a client may connect to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reach {
    /// A partner that an administrator named: anywhere by TLS, this machine by plain HTTP.
    Partner {
        /// Plain HTTP to other machines too.
        plain_anywhere: bool,
    },
    /// A webhook: outward only.
    Webhook {
        /// This machine too, also by plain HTTP.
        allow_loopback: bool,
    },
}

/// What a test says of names.
#[cfg(test)]
pub(super) type Script = Arc<dyn Fn(&str) -> Vec<IpAddr> + Send + Sync>;

/// How a name becomes addresses.
#[derive(Clone)]
pub(super) enum Names {
    /// As the operating system says.
    System,
    /// As a test says, which may say something else each time.
    #[cfg(test)]
    Scripted(Script),
}

impl Names {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((host, port)).await?.collect()),
            #[cfg(test)]
            Self::Scripted(names) => {
                let addresses = names(host).into_iter();
                Ok(addresses.map(|ip| SocketAddr::new(ip, port)).collect())
            }
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum HttpFailure {
    /// Not connected, or the connection broke.
    Unreachable(String),
    /// Not in time.
    TimedOut,
    /// An answer beyond the limit.
    TooLarge,
}

/// A client with its pool of connections.
#[derive(Clone)]
pub(super) struct HttpClient(Client<Connector, Full<Bytes>>);

impl HttpClient {
    /// A client; without `tls` it speaks plain HTTP alone.
    pub(super) fn new(tls: Option<Arc<ClientConfig>>, reach: Reach) -> Self {
        Self::with_names(tls, reach, Names::System)
    }

    /// The same where names mean something else.
    pub(super) fn with_names(tls: Option<Arc<ClientConfig>>, reach: Reach, names: Names) -> Self {
        let connector = Connector {
            tls: tls.map(TlsConnector::from),
            reach,
            names,
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_millis(IDLE_TIMEOUT_MS))
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(connector);
        Self(client)
    }

    /// Sends a request and reads the whole answer: status and body.
    pub(super) async fn send(
        &self,
        request: http::Request<Full<Bytes>>,
        timeout_ms: u32,
        answer_size_bytes_max: usize,
    ) -> Result<Answer, HttpFailure> {
        let exchange = async {
            let response = self
                .0
                .request(request)
                .await
                .map_err(|error| HttpFailure::Unreachable(innermost(&error)))?;
            let status = response.status().as_u16();
            let links = response.headers().get_all(LINK).iter();
            let links: Vec<&str> = links.filter_map(|link| link.to_str().ok()).collect();
            let link = (!links.is_empty()).then(|| links.join(", "));
            if response.body().size_hint().lower() > answer_size_bytes_max as u64 {
                return Err(HttpFailure::TooLarge);
            }
            let body = Limited::new(response.into_body(), answer_size_bytes_max)
                .collect()
                .await
                .map_err(|error| {
                    if error.is::<LengthLimitError>() {
                        HttpFailure::TooLarge
                    } else {
                        HttpFailure::Unreachable(innermost(error.as_ref()))
                    }
                })?;
            Ok(Answer {
                status,
                link,
                body: body.to_bytes(),
            })
        };
        tokio::time::timeout(Duration::from_millis(timeout_ms.into()), exchange)
            .await
            .unwrap_or(Err(HttpFailure::TimedOut))
    }
}

/// The last cause, which says most ("connection refused").
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

#[derive(Clone)]
struct Connector {
    tls: Option<TlsConnector>,
    reach: Reach,
    names: Names,
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

impl tower_service::Service<Uri> for Connector {
    type Response = Stream;
    type Error = io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        let connector = self.clone();
        Box::pin(async move {
            let limit = Duration::from_millis(CONNECT_TIMEOUT_MS);
            tokio::time::timeout(limit, connector.connect(uri))
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        })
    }
}

impl Connector {
    async fn connect(&self, uri: Uri) -> io::Result<Stream> {
        let refused = |text: &str| io::Error::new(io::ErrorKind::InvalidInput, text.to_owned());
        let tls = uri.scheme_str() == Some("https");
        let host = uri
            .host()
            .ok_or_else(|| refused("the address has no host"))?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let mut last = refused("the host has no address");
        for address in self.names.resolve(&host, port).await? {
            match self.attempt(&uri, &host, address, tls).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn attempt(
        &self,
        uri: &Uri,
        host: &str,
        address: SocketAddr,
        tls: bool,
    ) -> io::Result<Stream> {
        self.check(uri, address.ip(), tls)?;
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        if !tls {
            return Ok(Stream(TokioIo::new(Box::new(tcp))));
        }
        let Some(connector) = &self.tls else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no certificate would be trusted; pin the partner's certificate",
            ));
        };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let stream = connector.connect(name, tcp).await?;
        Ok(Stream(TokioIo::new(Box::new(stream))))
    }

    fn check(&self, uri: &Uri, address: IpAddr, tls: bool) -> io::Result<()> {
        match self.reach {
            Reach::Partner { plain_anywhere } => {
                if tls || plain_anywhere || address.is_loopback() {
                    return Ok(());
                }
                Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "plain HTTP goes to this machine only; use `https`",
                ))
            }
            Reach::Webhook { allow_loopback } => {
                notify::guard(&uri.to_string(), address, allow_loopback)
                    .map(|_| ())
                    .map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))
            }
        }
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection, plain or TLS.
struct Stream(TokioIo<Box<dyn Duplex>>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
