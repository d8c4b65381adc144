//! A carrier's node as a process of its own, and what its people and systems do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::connector::{Connector, NAME, TOKEN};
use super::http::send;
use crate::ports::ports;

/// Who the node is.
pub(super) const ID: &str = "did:web:sf.example";
/// Who runs the connector.
pub(super) const PARTNER: &str = "did:web:shop.example";
const TOKEN_VARIABLE: &str = "INTERLOCK_TEST_CONNECTOR_TOKEN";
/// What the node says.
const LOG: &str = "node.log";
/// Longest that a node may take to answer, in tries of [`PAUSE`].
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// The node, ended with the test.
pub(super) struct Node {
    dir: PathBuf,
    key: String,
    child: Option<Child>,
    pub(super) exchange: SocketAddr,
    local: SocketAddr,
}

impl Node {
    /// Makes a directory, lists the connector as the guide says, and starts the node.
    pub(super) fn start(name: &str, connector: &Connector) -> Self {
        let dir = format!("interlock-{name}-{}", std::process::id());
        let dir = std::env::temp_dir().join(dir);
        let _ = std::fs::remove_dir_all(&dir);
        let output = Command::new(env!("CARGO_BIN_EXE_interlock"))
            .args(["--json", "init"])
            .arg(&dir)
            .args(["--id", ID, "--name", "SF", "--role", "carrier"])
            .output()
            .unwrap();
        let made: Value = serde_json::from_slice(&output.stdout).expect("`init` says what it made");
        let first = ports(4);
        let doors = [0, 1, 2, 3].map(|nth| SocketAddr::from(([127, 0, 0, 1], first + nth)));
        let config = dir.join("interlock.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, configured(&text, &doors, connector)).unwrap();
        let [exchange, local, ..] = doors;
        let mut node = Self {
            dir,
            key: made["adminKey"].as_str().unwrap().into(),
            child: None,
            exchange,
            local,
        };
        node.run();
        node
    }

    /// Starts the process and waits until it answers.
    pub(super) fn run(&mut self) {
        let mut log = std::fs::OpenOptions::new();
        let log = log.create(true).append(true).open(self.file(LOG)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_interlock"))
            .args(["run", "--config"])
            .arg(self.file("interlock.toml"))
            .env(TOKEN_VARIABLE, TOKEN)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap());
        for _ in 0..TRIES {
            if std::net::TcpStream::connect(self.local).is_ok() {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        panic!("the node does not answer");
    }

    /// Ends the process as `kill -9` does.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The root of its door for partners.
    pub(super) fn root(&self) -> String {
        format!("http://{}", self.exchange)
    }

    /// A command of the administrator's; what it printed.
    pub(super) fn command(&self, arguments: &[&str]) -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_interlock"))
            .current_dir(&self.dir)
            .env("INTERLOCK_KEY", &self.key)
            .env(TOKEN_VARIABLE, TOKEN)
            .arg("--json")
            .args(arguments)
            .output()
            .unwrap();
        let [out, said] =
            [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        assert!(output.status.success(), "{arguments:?}: {said}{out}");
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// A call of the local API, which must succeed.
    pub(super) fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {}", self.key);
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let path = format!("/api/v1{path}");
        let answer = send(self.local, method, &path, &headers, &body);
        let status = answer.status();
        assert!((200..300).contains(&status), "{path}: {}", answer.body);
        answer.json()
    }

    /// Announces parcels of a marketplace, which the connector's participant owns.
    pub(super) fn announce(&self, marketplace: &str, numbers: &[&str]) {
        let parcels: Vec<Value> = numbers
            .iter()
            .map(|number| {
                let waybill = format!("sf/{number}");
                json!({ "waybill": waybill, "marketplace": marketplace, "owner": PARTNER })
            })
            .collect();
        self.api("PUT", "/parcels", &json!({ "parcels": parcels }));
    }

    /// Reports that each of these parcels arrived somewhere, in order.
    pub(super) fn report(&self, numbers: &[&str], at: &str) {
        let events: Vec<Value> = numbers.iter().map(|number| event(number, at)).collect();
        self.api(
            "POST",
            "/events",
            &json!({
                "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
                "type": "EPCISDocument",
                "schemaVersion": "2.0",
                "creationDate": at,
                "epcisBody": { "eventList": events },
            }),
        );
    }

    /// Where a file of its directory is.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.file(LOG));
            eprintln!("the node said:\n{}", log.unwrap_or_default());
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn event(number: &str, at: &str) -> Value {
    json!({
        "type": "ObjectEvent",
        "eventTime": at,
        "eventTimeZoneOffset": "+08:00",
        "epcList": [format!("https://id.sf.example/waybill/sf/{number}")],
        "action": "OBSERVE",
        "bizStep": "arriving",
        "disposition": "in_progress",
    })
}

/// The configuration with doors of its own and the connector as a partner.
fn configured(text: &str, doors: &[SocketAddr; 4], connector: &Connector) -> String {
    let (mut out, mut in_listen) = (String::new(), false);
    for line in text.lines() {
        if line.starts_with('[') {
            in_listen = line == "[listen]";
        }
        if !in_listen {
            out += line;
            out.push('\n');
        }
    }
    let [exchange, local, public, metrics] = doors;
    let base = connector.base();
    out + &format!(
        "
[listen]
exchange = \"http://{exchange}\"
local = \"http://{local}\"
public = \"http://{public}\"
metrics = \"http://{metrics}\"
allow_static_tokens_for_laboratory = true
allow_loopback_callbacks = true

[[partner]]
id = \"{PARTNER}\"
name = \"Shop\"
roles = [\"platform\"]
marketplaces = [\"shop\"]
exchange_url = \"{base}\"
key = \"z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw\"
connector = true
connector_id = \"{NAME}\"
parcel_data_without_manifest = true
static_token_env = \"{TOKEN_VARIABLE}\"
"
    )
}
