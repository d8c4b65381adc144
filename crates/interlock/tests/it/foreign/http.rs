//! HTTP/1.1 in a page: what anybody could write who reads the guide.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longest wait for one answer; a poll that waits is asked to be shorter.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(60);

/// A request or an answer: its first line, its headers in lower case, its body.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) line: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Message {
    /// Reads one; `None` if the other side has closed.
    pub(super) fn read(from: &mut impl std::io::Read) -> Option<Self> {
        let mut from = BufReader::new(from);
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let mut headers = BTreeMap::new();
        loop {
            let mut header = String::new();
            from.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length");
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        from.read_exact(&mut body).ok()?;
        Some(Self {
            line: line.trim_end().into(),
            headers,
            body: String::from_utf8(body).unwrap(),
        })
    }

    pub(super) fn json(&self) -> Value {
        match self.body.is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&self.body).unwrap(),
        }
    }

    /// The status of an answer.
    pub(super) fn status(&self) -> u16 {
        self.line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The path of a request.
    pub(super) fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }
}

/// Sends one request on a connection of its own.
pub(super) fn send(
    to: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Message {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(ANSWER_WAIT_MAX)).unwrap();
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    write!(stream, "{text}\r\n{body}").unwrap();
    Message::read(&mut stream).expect("an answer")
}

/// The address and the path of an `http` URL.
pub(super) fn parts(url: &str) -> (SocketAddr, String) {
    let rest = url.strip_prefix("http://").expect(url);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    (host.parse().expect(url), format!("/{path}"))
}
