//! Asks a running node over its local API.
//!
//! INVARIANT: the key goes nowhere but to the address that was named, and not in the clear beyond
//! this machine. One connection a request: a command makes few.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::error::CliError;
use crate::exchange::problem;
use crate::identity::api_key::ApiKey;
use crate::identity::url::BaseUrl;

/// How long an answer may take, in milliseconds: longer than the node waits for a partner.
const ANSWER_TIMEOUT_MS: u64 = 40_000;
/// Largest answer that is read, in bytes.
const ANSWER_SIZE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where the node is and how it is spoken to.
pub(super) struct Client {
    /// Its local API.
    pub(super) url: BaseUrl,
    /// The key shown.
    pub(super) key: ApiKey,
    /// How its certificate is checked, for `https`.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl Client {
    /// `GET`.
    pub(super) fn get(&self, path: &str) -> Result<Value, CliError> {
        self.ask(Method::GET, path, None)
    }

    /// `POST`, without a body if there is none.
    pub(super) fn post(&self, path: &str, body: Option<&Value>) -> Result<Value, CliError> {
        self.ask(Method::POST, path, body)
    }

    /// `PUT`.
    pub(super) fn put(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.ask(Method::PUT, path, Some(body))
    }

    /// `DELETE`.
    pub(super) fn delete(&self, path: &str) -> Result<Value, CliError> {
        self.ask(Method::DELETE, path, None)
    }

    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, CliError> {
        if !self.url.is_https() && !self.url.is_loopback() {
            return Err(CliError::Usage(format!(
                "`{}` would carry the API key in the clear; use `https://`, or run the command on \
                 the node's own machine",
                self.url
            )));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CliError::Failed(format!("failed to start: {error}; try again")))?;
        let limit = Duration::from_millis(ANSWER_TIMEOUT_MS);
        let asked = runtime.block_on(async {
            tokio::time::timeout(limit, self.exchange(method, path, body)).await
        });
        let Answered { status, bytes, .. } = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(self.unreachable(&error.to_string())),
            Err(_) => return Err(self.unreachable("no answer in time")),
        };
        if (200..300).contains(&status) {
            return serde_json::from_slice(&bytes).map_err(|_| self.not_interlock(status));
        }
        let refusal = problem::from_json(status, &bytes);
        Err(refusal.map_or_else(
            || self.not_interlock(status),
            |refusal| CliError::of_problem(&refusal),
        ))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answered, Box<dyn std::error::Error + Send + Sync>> {
        let address = (self.url.host(), self.url.port());
        let tcp = TcpStream::connect(address).await?;
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/api/v1{path}", self.prefix()))
            .header("host", self.authority())
            .header("authorization", format!("Bearer {}", self.key.reveal()))
            .header("content-length", bytes.len());
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Full::new(Bytes::from(bytes)))?;
        if !self.url.is_https() {
            return send(tcp, request).await;
        }
        let Some(tls) = &self.tls else {
            return Err(
                "no certificate would be trusted; set `tls.certificate_file` or \
                        `tls.ca_file` in the configuration"
                    .into(),
            );
        };
        let name = ServerName::try_from(self.url.host().to_owned())?;
        let connector = TlsConnector::from(Arc::clone(tls));
        send(connector.connect(name, tcp).await?, request).await
    }

    /// What of the address stands before the path of the API.
    fn prefix(&self) -> &str {
        let rest = self
            .url
            .as_str()
            .split_once("://")
            .map_or("", |(_, rest)| rest);
        rest.find('/')
            .and_then(|at| rest.get(at..))
            .unwrap_or_default()
    }

    fn authority(&self) -> &str {
        let rest = self
            .url
            .as_str()
            .split_once("://")
            .map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }

    fn unreachable(&self, why: &str) -> CliError {
        CliError::Failed(format!(
            "the node at `{}` does not answer: {why}; start it with `interlock run`, or name its \
             address with `--url`",
            self.url
        ))
    }

    fn not_interlock(&self, status: u16) -> CliError {
        CliError::Failed(format!(
            "`{}` answered with status {status} and no JSON of a node; check `--url`: it has to be \
             the local API",
            self.url
        ))
    }
}

/// What came back.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) bytes: Bytes,
    /// The header `Date`.
    pub(super) date: Option<String>,
}

/// One request over one connection.
pub(super) async fn send<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<Answered, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its failure is the request's failure.
    let driving = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let date = response.headers().get("date");
    let date = date.and_then(|date| date.to_str().ok()).map(str::to_owned);
    let body = Limited::new(response.into_body(), ANSWER_SIZE_BYTES_MAX);
    let bytes = body.collect().await?.to_bytes();
    driving.abort();
    Ok(Answered {
        status,
        bytes,
        date,
    })
}
