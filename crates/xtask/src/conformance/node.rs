//! The node under test: a process with a data directory of its own, ended when the run is over.
//!
//! INVARIANT: it is the program as it ships but for its decisions, and it is ended however the run goes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cargo::cargo;
use crate::now;

/// Who the node is.
pub(super) const NODE_ID: &str = "did:web:under-test.example";
/// What the kit shows at every request.
pub(super) const KIT_TOKEN: &str = "conformance-kit";
/// What the kit calls itself in offers and agreements.
const KIT_NAME: &str = "TCK_PARTICIPANT";
/// A key for the kit's entry in the partner list; the kit signs nothing.
const KIT_KEY: &str = "z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw";
const TOKEN_VARIABLE: &str = "INTERLOCK_KIT_TOKEN";
const CONTROL_VARIABLE: &str = "INTERLOCK_CONFORMANCE_CONTROL";
const READY_WAIT_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where everything listens.
pub(super) struct Addresses {
    /// The node's door for partners.
    pub(super) exchange: SocketAddr,
    /// Where the kit has the node act.
    pub(super) control: SocketAddr,
    /// The kit.
    pub(super) kit: SocketAddr,
    others: [SocketAddr; 3],
}

/// The running node.
pub(super) struct UnderTest {
    pub(super) addresses: Addresses,
    child: Child,
    log: PathBuf,
}

impl UnderTest {
    /// Builds it, makes its directory anew and starts it.
    pub(super) fn start(root: &Path, place: &Path) -> anyhow::Result<Self> {
        let binary = build(root)?;
        let addresses = Addresses::free()?;
        let directory = place.join("node");
        if directory.exists() {
            std::fs::remove_dir_all(&directory).context("failed to remove the last run's node")?;
        }
        let mut init = Command::new(&binary);
        init.arg("init").arg(&directory).args(["--id", NODE_ID]);
        init.args(["--name", "Under test", "--role", "locker-operator"]);
        let output = init.stdin(Stdio::null()).output();
        let output = output.context("failed to start the node's `init`")?;
        if !output.status.success() {
            bail!("`init` failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let config = directory.join("interlock.toml");
        let text = std::fs::read_to_string(&config).context("`init` left no configuration")?;
        std::fs::write(&config, configured(&text, &addresses))
            .context("failed to write the node's configuration")?;
        let log = place.join("node.log");
        let output = std::fs::File::create(&log).context("failed to create `node.log`")?;
        let mut run = Command::new(&binary);
        run.args(["run", "--config"]).arg(&config);
        run.env(TOKEN_VARIABLE, KIT_TOKEN);
        run.env(CONTROL_VARIABLE, addresses.control.to_string());
        run.stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output);
        let child = run.spawn().context("failed to start the node")?;
        let mut node = Self {
            addresses,
            child,
            log,
        };
        node.wait_until_ready()?;
        Ok(node)
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let begin = now();
        while begin.elapsed() < READY_WAIT_MAX {
            if is_ready(self.addresses.control) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait().context("failed to watch the node")? {
                bail!("the node ended with {status}; see {}", self.log.display());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        bail!("the node is not ready; see {}", self.log.display())
    }
}

impl Drop for UnderTest {
    fn drop(&mut self) {
        // Nothing to do about a failure: the process is then already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Addresses {
    /// Loopback addresses that were free a moment ago, each another.
    fn free() -> anyhow::Result<Self> {
        let bind = || TcpListener::bind("127.0.0.1:0").context("no free port on 127.0.0.1");
        // All are held until the last is known, else one could be given twice.
        let held = [bind()?, bind()?, bind()?, bind()?, bind()?, bind()?];
        let at =
            |listener: &TcpListener| listener.local_addr().context("a listener has no address");
        let [exchange, control, kit, local, public, metrics] = &held;
        Ok(Self {
            exchange: at(exchange)?,
            control: at(control)?,
            kit: at(kit)?,
            others: [at(local)?, at(public)?, at(metrics)?],
        })
    }
}

/// The configuration with doors of its own, and the kit as a connector with a fixed token.
fn configured(text: &str, addresses: &Addresses) -> String {
    let mut out = String::new();
    let mut in_listen = false;
    for line in text.lines() {
        if line.trim_start().starts_with('[') {
            in_listen = line.trim() == "[listen]";
        }
        if !in_listen {
            out.push_str(line);
            out.push('\n');
        }
    }
    let [local, public, metrics] = addresses.others;
    let (exchange, kit) = (addresses.exchange, addresses.kit);
    out.push_str(&format!(
        "
[listen]
exchange = \"http://{exchange}\"
local = \"http://{local}\"
public = \"http://{public}\"
metrics = \"http://{metrics}\"
allow_static_tokens_for_laboratory = true
allow_loopback_callbacks = true

[[partner]]
id = \"did:web:kit.example\"
name = \"Conformance kit\"
roles = [\"regulator\"]
exchange_url = \"http://{kit}\"
key = \"{KIT_KEY}\"
connector = true
connector_id = \"{KIT_NAME}\"
static_token_env = \"{TOKEN_VARIABLE}\"
"
    ));
    out
}

fn build(root: &Path) -> anyhow::Result<PathBuf> {
    eprintln!("building the node under test");
    let mut build = cargo();
    build.args(["build", "--quiet", "-p", "interlock-conformance"]);
    let status = build.current_dir(root).stdin(Stdio::null()).status();
    if !status.context("failed to start cargo")?.success() {
        bail!("the node under test does not build");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("debug/interlock-conformance"))
}

fn is_ready(control: SocketAddr) -> bool {
    let ask = || -> std::io::Result<[u8; 12]> {
        let mut stream = TcpStream::connect(control)?;
        stream.set_read_timeout(Some(READY_WAIT_MAX))?;
        write!(
            stream,
            "GET /ready HTTP/1.1\r\nHost: {control}\r\nConnection: close\r\n\r\n"
        )?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status)
    };
    ask().is_ok_and(|status| status == *b"HTTP/1.1 200")
}
