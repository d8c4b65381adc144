//! The local API for what is done once: agreements, stations, looking whether something is done.
//!
//! INVARIANT: an answer that is no 2xx is an error with the node's own words. It does not know what is
//! asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use super::documents::head;
use super::place::Place;

const ANSWER_WAIT_MAX: Duration = Duration::from_secs(60);

/// One node's local API.
pub(crate) struct Client {
    to: SocketAddr,
    admin: String,
}

impl Client {
    /// Of a node, with its administrator's key.
    pub(crate) fn of(place: &Place) -> Self {
        Self {
            to: place.local,
            admin: place.admin.clone(),
        }
    }

    /// `GET`.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask("GET", path, None)
    }

    /// `POST`.
    pub(crate) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask("POST", path, Some(body))
    }

    /// `PUT`.
    pub(crate) fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask("PUT", path, Some(body))
    }

    /// A number in `GET /status`, by its JSON pointer.
    pub(crate) fn status(&self, pointer: &str) -> anyhow::Result<u64> {
        let status = self.get("/status")?;
        let number = status.pointer(pointer).and_then(Value::as_u64);
        number.with_context(|| format!("`GET /status` has no number at `{pointer}`"))
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        match self.try_ask(method, path, None, body)? {
            (200..=299, answer) => Ok(answer),
            (_, refusal) => bail!("`{method} {path}` was refused: {refusal}"),
        }
    }

    /// Asks and gives the status with the answer, whatever it is; an error if there was none.
    pub(crate) fn try_ask(
        &self,
        method: &str,
        path: &str,
        idempotency_key: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<(u16, Value)> {
        let failed = || format!("`{method} {path}` got no answer");
        let mut stream =
            TcpStream::connect_timeout(&self.to, ANSWER_WAIT_MAX).with_context(failed)?;
        stream
            .set_read_timeout(Some(ANSWER_WAIT_MAX))
            .with_context(failed)?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let length = match body.is_empty() {
            true => String::new(),
            false => format!("Content-Length: {}\r\n", body.len()),
        };
        let key = idempotency_key.map(|key| format!("Idempotency-Key: {key}\r\n"));
        let key = key.unwrap_or_default();
        let head = head(method, path, &self.admin);
        write!(stream, "{head}Connection: close\r\n{key}{length}\r\n{body}")
            .with_context(failed)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).with_context(failed)?;
        let text = String::from_utf8(answer).with_context(failed)?;
        let (head, body) = text.split_once("\r\n\r\n").with_context(failed)?;
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        let status = status.with_context(failed)?;
        match body.is_empty() {
            true => Ok((status, Value::Null)),
            false => Ok((status, serde_json::from_str(body).with_context(failed)?)),
        }
    }
}

/// A connection that stays open.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Opens one.
    pub(crate) fn open(to: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect_timeout(&to, ANSWER_WAIT_MAX)
            .with_context(|| format!("failed to reach {to}"))?;
        let set = stream.set_nodelay(true);
        set.and_then(|()| stream.set_read_timeout(Some(ANSWER_WAIT_MAX)))
            .context("failed to set up a connection")?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a whole request; head and body of its answer.
    pub(crate) fn send(&mut self, request: &[u8]) -> anyhow::Result<(String, Vec<u8>)> {
        let to = self.0.get_mut();
        to.write_all(request).context("a request was not taken")?;
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let begin = head.len();
            let read = self.0.read_line(&mut head);
            if read.context("there was no answer")? == 0 {
                bail!("the connection was closed");
            }
            let line = head.get(begin..).unwrap_or_default().trim();
            if line.is_empty() {
                break;
            }
            if let Some((name, number)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = number.trim().parse().context("an answer has no length")?;
            }
        }
        let mut body = vec![0; length];
        let read = self.0.read_exact(&mut body);
        read.context("an answer was cut short")?;
        Ok((head, body))
    }
}
