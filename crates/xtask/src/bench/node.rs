//! Benchmarks of one whole node: a process with a data directory of its own.
//!
//! INVARIANT: a node that was started is ended, however the benchmark goes. It knows the command
//! line, the names of the listeners in `interlock.toml` and `GET /health`; nothing else of the node.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use super::{Figure, Setting, median};
use crate::now;

/// Listeners in the table `listen`. The first is the local API.
const LISTENERS: [&str; 4] = ["local", "exchange", "public", "metrics"];

const ANSWER_WAIT_MAX: Duration = Duration::from_secs(20);
const POLL_EVERY: Duration = Duration::from_micros(500);
/// Time at rest before memory is read, so that start-up's own work is over.
const SETTLE: Duration = Duration::from_secs(1);

/// Resident memory of a fresh node a second after it first answers.
pub(super) fn rest(setting: &Setting) -> anyhow::Result<Figure> {
    let place = Place::init(setting)?;
    let mut node = place.start()?;
    node.wait_until_it_answers(place.local)?;
    std::thread::sleep(SETTLE);
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.child.id()))
        .context("failed to read the node's memory from /proc; this benchmark needs Linux")?;
    Ok(Figure {
        value: resident_kib(&status)? / 1024.0,
        unit: "MiB",
        floor: None,
        goal_max: 40.0,
    })
}

/// Median time from exec to the first 200 of `GET /health`.
pub(super) fn start(setting: &Setting) -> anyhow::Result<Figure> {
    let place = Place::init(setting)?;
    let rounds = if setting.quick { 3 } else { 9 };
    let mut floors = Vec::new();
    let mut values = Vec::new();
    for _ in 0..rounds {
        let begin = now();
        succeed(Command::new(&setting.binary).arg("--version"))?;
        floors.push(begin.elapsed().as_secs_f64());

        let begin = now();
        let mut node = place.start()?;
        node.wait_until_it_answers(place.local)?;
        values.push(begin.elapsed().as_secs_f64());
    }
    Ok(Figure {
        value: median(values).context("no round was measured")?,
        unit: "s",
        floor: median(floors),
        goal_max: 0.2,
    })
}

/// A data directory with listeners on free ports.
struct Place {
    binary: PathBuf,
    config: PathBuf,
    local: SocketAddr,
}

impl Place {
    fn init(setting: &Setting) -> anyhow::Result<Self> {
        let dir = setting.scratch.join("node");
        let mut init = Command::new(&setting.binary);
        init.arg("init").arg(&dir);
        init.args(["--id", "did:web:bench.example"]);
        init.args(["--name", "Bench", "--role", "locker-operator"]);
        succeed(&mut init)?;
        let config = dir.join("interlock.toml");
        let addresses = free_addresses(LISTENERS.len())?;
        let text = std::fs::read_to_string(&config)
            .with_context(|| format!("`init` left no `{}`", config.display()))?;
        std::fs::write(&config, with_listeners(&text, &addresses))
            .with_context(|| format!("failed to write `{}`", config.display()))?;
        let local = *addresses.first().context("no address for the local API")?;
        Ok(Self {
            binary: setting.binary.clone(),
            config,
            local,
        })
    }

    fn start(&self) -> anyhow::Result<Node> {
        let log = self.log();
        let output = std::fs::File::create(&log)
            .with_context(|| format!("failed to create `{}`", log.display()))?;
        let mut run = Command::new(&self.binary);
        run.args(["run", "--config"]).arg(&self.config);
        run.stdin(Stdio::null()).stdout(Stdio::null());
        let child = run
            .stderr(output)
            .spawn()
            .context("failed to start the node")?;
        Ok(Node { child, log })
    }

    fn log(&self) -> PathBuf {
        self.config.with_extension("log")
    }
}

/// A running node; ended when dropped.
struct Node {
    child: Child,
    log: PathBuf,
}

impl Node {
    fn wait_until_it_answers(&mut self, local: SocketAddr) -> anyhow::Result<()> {
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

fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("failed to start `{}`", name(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}", name(command), said.trim());
    }
    Ok(())
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
fn free_addresses(count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    // All are held until the last is known, else one could be given twice.
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(TcpListener::bind("127.0.0.1:0").context("no free port on 127.0.0.1")?);
    }
    held.iter()
        .map(|listener| listener.local_addr().context("a listener has no address"))
        .collect()
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

fn resident_kib(status: &str) -> anyhow::Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    number
        .and_then(|number| number.trim().parse().ok())
        .context("the node's status in /proc has no `VmRSS`; is it still running?")
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
    fn resident_memory_is_read_in_kib() {
        let status = "Name:\tinterlock\nVmHWM:\t  999 kB\nVmRSS:\t   20480 kB\n";
        assert_eq!(resident_kib(status).unwrap(), 20480.0);
        assert!(resident_kib("Name:\tinterlock\n").is_err());
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
                let mut request = [0; 16];
                stream.read_exact(&mut request).unwrap();
                stream.write_all(reply.as_bytes()).unwrap();
                request
            });
            assert_eq!(answers(local), want, "{reply}");
            assert_eq!(&server.join().unwrap(), b"GET /health HTTP");
        }
    }

    #[test]
    fn addresses_differ() {
        let addresses = free_addresses(4).unwrap();
        let distinct: std::collections::BTreeSet<_> = addresses.iter().collect();
        assert_eq!(distinct.len(), 4);
    }
}
