//! The gateway to which the operator gives messages for recipients.
//!
//! INVARIANT: a message is one idempotency key (`webhook-id`), however often it comes; some come and
//! are taken without the sender hearing of it. It keeps what messages say and knows nothing of deposits.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use serde_json::Value;

use super::super::place::Place;

/// One of so many messages is taken and not answered.
const SILENT_EVERY: usize = 16;

/// A gateway on loopback; its thread ends with the process.
pub(crate) struct Gateway {
    address: SocketAddr,
    taken: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Gateway {
    /// Opens it.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port on 127.0.0.1")?;
        let gateway = Self {
            address: listener.local_addr().context("a listener has no address")?,
            taken: Arc::default(),
        };
        let taken = Arc::clone(&gateway.taken);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let taken = Arc::clone(&taken);
                std::thread::spawn(move || serve(stream, &taken));
            }
        });
        Ok(gateway)
    }

    /// Has an operator's node that is not started yet send its messages here.
    pub(crate) fn configure(&self, place: &Place) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(place.config())
            .context("failed to read a node's configuration")?;
        let named = format!("\ngateway_url = \"http://{}/messages\"\n", self.address);
        let lines = text.lines().filter(|line| !line.starts_with("gateway_url"));
        let lines: Vec<&str> = lines.collect();
        let text = lines
            .join("\n")
            .replace("\n[notify]\n", &format!("\n[notify]{named}"));
        anyhow::ensure!(text.contains(&named), "the configuration has no `[notify]`");
        std::fs::write(place.config(), text).context("failed to write a node's configuration")
    }

    /// How many messages were taken.
    pub(crate) fn taken(&self) -> usize {
        self.locked().len()
    }

    /// The English texts of all messages.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.locked().values().cloned().collect()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes messages from one connection until it ends.
fn serve(stream: TcpStream, taken: &Mutex<BTreeMap<String, String>>) {
    let Ok(mut writer) = stream.try_clone() else {
        return;
    };
    let mut reader = BufReader::new(stream);
    while let Some((id, text)) = message(&mut reader) {
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let first = taken.insert(id, text).is_none();
        let silent = first && taken.len().is_multiple_of(SILENT_EVERY);
        drop(taken);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        if silent || writer.write_all(answer).is_err() {
            return;
        }
    }
}

/// Reads one message; its idempotency key and its English text.
fn message(reader: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut id = None;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.split_once(':') else {
            match line.trim() {
                "" => break,
                _ => continue,
            }
        };
        match name.to_ascii_lowercase().as_str() {
            "webhook-id" => id = Some(value.trim().to_owned()),
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    let text = body.pointer("/text/en")?.as_str()?;
    Some((id?, text.to_owned()))
}
