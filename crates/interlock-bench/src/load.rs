//! The load generator: whole requests as bytes, over connections that stay open.
//!
//! INVARIANT: every answer has the status that was expected, or the run fails; what the generator
//! itself costs is measured and told. It does not know what it sends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};

use super::machine::{now, thread_cpu};

const ANSWER_WAIT_MAX: Duration = Duration::from_secs(60);
/// Longest answer that is taken, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What one thread sends.
pub(crate) trait Requests: Send {
    /// Writes the next request into `out`, which is as it left it; false when there is none.
    fn next(&mut self, out: &mut Vec<u8>) -> bool;
}

/// How it went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Requests answered.
    pub(crate) requests: u64,
    /// From the first byte to the last.
    pub(crate) wall: Duration,
    /// Processor time of the generator.
    pub(crate) cpu: Duration,
}

impl Outcome {
    /// `count` of something in this time, for each second.
    pub(crate) fn rate(&self, count: u64) -> f64 {
        count as f64 / self.wall.as_secs_f64().max(1e-9)
    }

    /// Share of one processor that the generator took.
    pub(crate) fn share(&self) -> f64 {
        self.cpu.as_secs_f64() / self.wall.as_secs_f64().max(1e-9)
    }

    /// Both, one after the other.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            wall: self.wall + other.wall,
            cpu: self.cpu + other.cpu,
        }
    }
}

/// Connections to one address, some to each thread.
pub(crate) struct Load {
    to: SocketAddr,
    connections: usize,
    status: &'static str,
}

impl Load {
    /// `connections` for each thread; every answer must have `status`.
    pub(crate) const fn new(to: SocketAddr, connections: usize, status: &'static str) -> Self {
        Self {
            to,
            connections,
            status,
        }
    }

    /// Sends everything, a thread for each of `sources`. On a connection the next request is sent when
    /// the one before was answered.
    ///
    /// # Errors
    /// An answer with another status, or none in time.
    pub(crate) fn run<R: Requests>(&self, sources: &mut [R]) -> anyhow::Result<Outcome> {
        let ready = sources
            .iter()
            .map(|_| {
                let open = (0..self.connections).map(|_| Connection::open(self.to));
                open.collect::<anyhow::Result<Vec<Connection>>>()
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let begin = now();
        let done: Vec<anyhow::Result<(u64, Duration)>> = std::thread::scope(|scope| {
            let threads: Vec<_> = sources
                .iter_mut()
                .zip(ready)
                .map(|(source, ready)| scope.spawn(|| self.send_all(source, ready)))
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined
                .map(|done| done.unwrap_or_else(|_| bail!("a thread of the load generator broke")))
                .collect()
        });
        let mut outcome = Outcome {
            wall: begin.elapsed(),
            ..Outcome::default()
        };
        for done in done {
            let (requests, cpu) = done?;
            outcome.requests += requests;
            outcome.cpu += cpu;
        }
        Ok(outcome)
    }

    fn send_all<R: Requests>(
        &self,
        source: &mut R,
        ready: Vec<Connection>,
    ) -> anyhow::Result<(u64, Duration)> {
        let begin = thread_cpu();
        let mut request = Vec::new();
        let mut open = Vec::new();
        let mut requests = 0;
        let mut more = true;
        for mut connection in ready {
            more = more && source.next(&mut request);
            if more {
                connection.send(&request)?;
                open.push(connection);
            }
        }
        while !open.is_empty() {
            let mut kept = Vec::with_capacity(open.len());
            for mut connection in open {
                connection.receive(self.status)?;
                requests += 1;
                more = more && source.next(&mut request);
                if more {
                    connection.send(&request)?;
                    kept.push(connection);
                }
            }
            open = kept;
        }
        Ok((requests, thread_cpu().saturating_sub(begin)))
    }
}

struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    fn open(to: SocketAddr) -> anyhow::Result<Self> {
        let failed = || format!("failed to connect to `{to}`");
        let stream = TcpStream::connect_timeout(&to, ANSWER_WAIT_MAX).with_context(failed)?;
        stream.set_nodelay(true).with_context(failed)?;
        stream
            .set_read_timeout(Some(ANSWER_WAIT_MAX))
            .with_context(failed)?;
        Ok(Self {
            stream,
            answer: Vec::new(),
        })
    }

    fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream
            .write_all(request)
            .context("failed to send a request")
    }

    /// Reads one answer and looks at its status.
    fn receive(&mut self, status: &str) -> anyhow::Result<()> {
        self.answer.clear();
        let mut chunk = [0; 16 * 1024];
        let mut whole = None;
        while whole.is_none_or(|whole| self.answer.len() < whole) {
            let got = self
                .stream
                .read(&mut chunk)
                .context("no answer from the node")?;
            let Some(got) = chunk.get(..got).filter(|got| !got.is_empty()) else {
                bail!("the node closed a connection without an answer");
            };
            self.answer.extend_from_slice(got);
            if whole.is_none() {
                whole = length(&self.answer)?;
            }
            if self.answer.len() > ANSWER_BYTES_MAX {
                bail!("an answer is longer than {ANSWER_BYTES_MAX} bytes");
            }
        }
        let found = self.answer.get(9..12).unwrap_or_default();
        if found != status.as_bytes() {
            let text = String::from_utf8_lossy(&self.answer);
            bail!("expected the status {status}: {}", text.trim());
        }
        Ok(())
    }
}

/// Length of the whole answer, once its head is there (RFC 9112 section 6.2).
fn length(answer: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(answer.get(..head).unwrap_or_default()).to_ascii_lowercase();
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let body = fields
        .find(|(name, _)| *name == "content-length")
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .context("an answer has no `Content-Length`")?;
    Ok(Some(head + 4 + body))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_answer_ends_where_its_head_says() {
        let whole = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nX: y\r\n\r\n{}";
        assert_eq!(length(whole).unwrap(), Some(whole.len()));
        assert_eq!(length(&whole[..30]).unwrap(), None);
        assert!(length(b"HTTP/1.1 202 Accepted\r\n\r\n").is_err());
    }

    struct Two(u8);

    impl Requests for Two {
        fn next(&mut self, out: &mut Vec<u8>) -> bool {
            out.clear();
            out.push(b'x');
            self.0 += 1;
            self.0 <= 2
        }
    }

    #[test]
    fn an_unexpected_status_fails_the_run() {
        for (status, fails) in [("202", false), ("200", true)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let to = listener.local_addr().unwrap();
            std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut byte = [0];
                while stream.read_exact(&mut byte).is_ok() {
                    let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
                    stream.write_all(answer).unwrap();
                }
            });
            let outcome = Load::new(to, 1, status).run(&mut [Two(0)]);
            assert_eq!(outcome.is_err(), fails);
            if let Ok(outcome) = outcome {
                assert_eq!(outcome.requests, 2);
            }
        }
    }
}
