//! A node as a process of its own: a data directory, listeners on free ports, and its end.
//!
//! INVARIANT: a node that was started is ended, however the benchmark goes. It knows the command
//! line, the names of the listeners in `interlock.toml` and `GET /health`; nothing else of the node.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use super::machine::{self, now};
use super::{Setting, encryption};

/// Listeners in the table `listen`. The first is the local API.
const LISTENERS: [&str; 4] = ["local", "exchange", "public", "metrics"];

/// The first port for nodes, and how many there are: none that the tests of `interlock` use.
const FIRST_PORT: u16 = 12_000;
const PORTS: u16 = 6_000;

const ANSWER_WAIT_MAX: Duration = Duration::from_secs(120);
const POLL_EVERY: Duration = Duration::from_micros(500);

/// What a participant is.
pub(crate) struct Role {
    /// Name of its directory.
    pub(crate) name: &'static str,
    /// Its DID.
    pub(crate) id: &'static str,
    /// As `interlock init` calls it.
    pub(crate) role: &'static str,
    /// Whose parcels it owns.
    pub(crate) marketplace: Option<&'static str>,
    /// Lines for `interlock.toml`.
    pub(crate) config: &'static str,
}

/// A data directory with listeners on free ports.
pub(crate) struct Place {
    binary: PathBuf,
    /// Whether its node keeps personal data as it is.
    pub(crate) plain: bool,
    config: PathBuf,
    /// Where the local API is.
    pub(crate) local: SocketAddr,
    /// Where other nodes reach it.
    pub(crate) exchange: SocketAddr,
    /// Where links to pages lead.
    pub(crate) public: SocketAddr,
    /// An administrator's key.
    pub(crate) admin: String,
    /// The node's public key.
    pub(crate) key: String,
}

impl Place {
    /// Makes the directory of a node.
    pub(crate) fn init(setting: &Setting, role: &Role) -> anyhow::Result<Self> {
        let dir = setting.scratch.join(role.name);
        let mut init = Command::new(&setting.binary);
        init.arg("--json").arg("init").arg(&dir);
        init.args(["--id", role.id, "--name", role.name, "--role", role.role]);
        if let Some(marketplace) = role.marketplace {
            init.args(["--marketplace", marketplace]);
        }
        let said: Value =
            serde_json::from_str(&succeed(&mut init)?).context("`init --json` printed no JSON")?;
        let text = |name: &str| {
            let text = said.get(name).and_then(Value::as_str).map(str::to_owned);
            text.with_context(|| format!("`init --json` printed no `{name}`"))
        };
        let config = dir.join("interlock.toml");
        let addresses = free_addresses(LISTENERS.len())?;
        let written = std::fs::read_to_string(&config)
            .with_context(|| format!("`init` left no `{}`", config.display()))?;
        let mut changed = with_listeners(&written, &addresses);
        changed.push_str(role.config);
        std::fs::write(&config, changed)
            .with_context(|| format!("failed to write `{}`", config.display()))?;
        write_secret(&dir.join("keys").join("gateway.secret"))?;
        let address = |at: usize| addresses.get(at).copied().context("no address is free");
        Ok(Self {
            binary: setting.binary.clone(),
            plain: setting.plain,
            config,
            local: address(0)?,
            exchange: address(1)?,
            public: address(2)?,
            admin: text("adminKey")?,
            key: text("key")?,
        })
    }

    /// Starts the node.
    pub(crate) fn start(&self) -> anyhow::Result<Node> {
        let log = self.config.with_extension("log");
        let output = std::fs::File::create(&log)
            .with_context(|| format!("failed to create `{}`", log.display()))?;
        let mut run = match self.plain {
            false => Command::new(&self.binary),
            true => encryption::command()?,
        };
        run.args(["run", "--config"]).arg(&self.config);
        run.stdin(Stdio::null()).stdout(Stdio::null());
        let child = run
            .stderr(output)
            .spawn()
            .context("failed to start the node")?;
        Ok(Node { child, log })
    }

    /// Starts the node and waits until it answers.
    pub(crate) fn up(&self) -> anyhow::Result<Node> {
        let mut node = self.start()?;
        node.wait_until_it_answers(self.local)?;
        Ok(node)
    }

    /// Has everything that is derived from the journal made anew.
    pub(crate) fn rebuild(&self) -> anyhow::Result<()> {
        let mut rebuild = Command::new(&self.binary);
        rebuild.args(["rebuild", "--json", "--config"]);
        succeed(rebuild.arg(&self.config)).map(drop)
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// Bytes of everything that the node keeps.
    pub(crate) fn disk_bytes(&self) -> anyhow::Result<u64> {
        machine::disk_bytes(self.config.parent().unwrap_or(&self.config))
    }
}

/// A running node; ended when dropped, as `kill -9` does.
pub(crate) struct Node {
    child: Child,
    log: PathBuf,
}

impl Node {
    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as `kill -9` does, and waits until it is gone.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().context("failed to kill the node")?;
        self.child.wait().context("failed to wait for the node")?;
        Ok(())
    }

    /// Waits for the first 200 of `GET /health`.
    pub(crate) fn wait_until_it_answers(&mut self, local: SocketAddr) -> anyhow::Result<()> {
        let begin = now();
        while begin.elapsed() < ANSWER_WAIT_MAX {
            if answers(local) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait().context("failed to watch the node")? {
                bail!("the node ended with {status}: {}", self.words());
            }
            std::thread::sleep(POLL_EVERY);
        }
        let wait = ANSWER_WAIT_MAX.as_secs();
        bail!(
            "no answer from http://{local}/health within {wait} s: {}",
            self.words()
        )
    }

    /// What the node wrote to its standard error.
    fn words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        match text.trim() {
            "" => "it said nothing".into(),
            words => words.into(),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Nothing to do about a failure: the process is then already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answers(local: SocketAddr) -> bool {
    let ask = || -> std::io::Result<[u8; 12]> {
        let mut stream = TcpStream::connect_timeout(&local, ANSWER_WAIT_MAX)?;
        stream.set_read_timeout(Some(ANSWER_WAIT_MAX))?;
        write!(
            stream,
            "GET /health HTTP/1.1\r\nHost: {local}\r\nConnection: close\r\n\r\n"
        )?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status)
    };
    ask().is_ok_and(|status| status == *b"HTTP/1.1 200")
}

/// A secret for a gateway, for nodes that are configured with one.
fn write_secret(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("failed to create `{}`", path.display()))?;
    file.write_all(b"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")
        .with_context(|| format!("failed to write `{}`", path.display()))
}

/// Runs a command that must succeed; what it printed.
pub(crate) fn succeed(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("failed to start `{}`", name(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}", name(command), said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn name(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name();
    let words = program.into_iter().chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Loopback addresses that were free a moment ago, each another.
///
/// They lie below those that the system gives to whoever asks for any: else a call of another process
/// could have one while its node is down between a kill and the next start.
fn free_addresses(count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let drawn = std::process::id().wrapping_mul(101) % u32::from(PORTS);
    let drawn = u16::try_from(drawn).context("more ports than there are")?;
    let mut addresses = Vec::new();
    for _ in 0..PORTS {
        if addresses.len() == count {
            return Ok(addresses);
        }
        let nth = drawn + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS;
        let address = SocketAddr::from(([127, 0, 0, 1], FIRST_PORT + nth % PORTS));
        if TcpListener::bind(address).is_ok() {
            addresses.push(address);
        }
    }
    bail!("no free port on 127.0.0.1 from {FIRST_PORT} on")
}

/// The configuration with the table `listen` replaced.
fn with_listeners(config: &str, addresses: &[SocketAddr]) -> String {
    let mut out = String::new();
    let mut in_listen = false;
    for line in config.lines() {
        if line.trim_start().starts_with('[') {
            in_listen = line.trim() == "[listen]";
        }
        if !in_listen {
            out.push_str(line);
            out.push('\n');
        }
    }
    out.push_str("\n[listen]\n");
    for (key, address) in LISTENERS.iter().zip(addresses) {
        out.push_str(&format!("{key} = \"http://{address}\"\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_replaced_and_nothing_else() {
        let config = "[participant]\nname = \"A\"\n\n[listen]\n# about\nlocal = \"x\"\n\n[store]\n\
                      dir = \"d\"\n";
        let addresses: Vec<SocketAddr> = (1..=4).map(|n| ([127, 0, 0, 1], n).into()).collect();
        assert_eq!(
            with_listeners(config, &addresses),
            "[participant]\nname = \"A\"\n\n[store]\ndir = \"d\"\n\n[listen]\n\
             local = \"http://127.0.0.1:1\"\nexchange = \"http://127.0.0.1:2\"\npublic = \"http://127.0.0.1:3\"\n\
             metrics = \"http://127.0.0.1:4\"\n"
        );
    }

    #[test]
    fn only_a_200_is_an_answer() {
        for (reply, want) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 503 No\r\n\r\n", false),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let local = listener.local_addr().unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                // All of it: what is left unread would reset the connection before the answer is read.
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    request.push(byte[0]);
                }
                stream.write_all(reply.as_bytes()).unwrap();
                request
            });
            assert_eq!(answers(local), want, "{reply}");
            assert!(server.join().unwrap().starts_with(b"GET /health HTTP"));
        }
    }

    #[test]
    fn addresses_differ() {
        let addresses = free_addresses(4).unwrap();
        let distinct: std::collections::BTreeSet<_> = addresses.iter().collect();
        assert_eq!(distinct.len(), 4);
    }
}
