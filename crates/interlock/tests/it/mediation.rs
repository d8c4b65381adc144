//! A temporary agreement by mediation, on three processes, by the commands that their people type: from
//! the second acceptance on nobody does anything, and contacts flow.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::ids::Marketplace;
use interlock_core::terms::{EvidenceKind, Field, Notifier, Purpose, Terms};
use interlock_core::time::{DAY_MS, Timestamp, Zone};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};

use super::backup::{Dir, Running, interlock};
use super::ports::ports;

const TRIES: u32 = 300;
const PAUSE: Duration = Duration::from_millis(20);
pub(super) const OWNER: &str = "did:web:cainiao.example";
pub(super) const OPERATOR: &str = "did:web:fengchao.example";
const BUREAU: &str = "did:web:postbureau.example";

/// No door opens without a gateway; nothing is handed to this one.
const NO_GATEWAY: &str = "http://127.0.0.1:9/messages";

/// A participant with its process.
pub(super) struct Member {
    pub(super) id: &'static str,
    role: &'static str,
    pub(super) dir: PathBuf,
    pub(super) key: String,
    public: String,
    pub(super) port: u16,
    pub(super) running: Running,
}

impl Member {
    fn up(root: &Path, name: &str, id: &'static str, role: &'static str, more: &[&str]) -> Self {
        Self::with_gateway(NO_GATEWAY, root, name, (id, role), more)
    }

    /// The same with a gateway of its own, if it is a locker operator.
    pub(super) fn with_gateway(
        gateway: &str,
        root: &Path,
        name: &str,
        (id, role): (&'static str, &'static str),
        more: &[&str],
    ) -> Self {
        Self::configured("info", gateway, root, name, (id, role), more, |text| text)
    }

    /// The same with a level of its log, and a configuration that is changed before it starts.
    pub(super) fn configured(
        level: &str,
        gateway: &str,
        root: &Path,
        name: &str,
        (id, role): (&'static str, &'static str),
        more: &[&str],
        change: impl Fn(String) -> String,
    ) -> Self {
        let port = ports(4);
        let number = port.to_string();
        let mut arguments = vec!["init", name, "--id", id, "--name", name, "--role", role];
        arguments.extend(["--port", &number]);
        arguments.extend(more);
        let (code, out, err) = interlock(root, "", &arguments);
        assert_eq!(code, 0, "{err}");
        let made: Value = serde_json::from_str(&out).unwrap();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let (dir, key) = (root.join(name), text("adminKey"));
        let config = dir.join("interlock.toml");
        let written = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, change(written)).unwrap();
        if role == "locker-operator" {
            let config = dir.join("interlock.toml");
            let mut written = std::fs::read_to_string(&config).unwrap();
            written.push_str(&format!("\n[notify]\ngateway_url = \"{gateway}\"\n"));
            written.push_str("secret_file = \"keys/gateway.secret\"\n");
            std::fs::write(&config, written).unwrap();
            let secret = format!("whsec_{}\n", "A".repeat(43) + "=");
            private(&dir.join("keys/gateway.secret"), &secret);
        }
        let running = Running::start_logged(&dir, &key, level);
        Self {
            id,
            role,
            public: text("key"),
            dir,
            key,
            port,
            running,
        }
    }

    /// Runs a command of its people; what it prints.
    #[track_caller]
    pub(super) fn run(&self, arguments: &[&str]) -> Value {
        let (code, out, err) = interlock(&self.dir, &self.key, arguments);
        assert_eq!(code, 0, "{arguments:?}: {err}");
        serde_json::from_str(&out).unwrap_or_default()
    }

    pub(super) fn lists(&self, other: &Self) {
        let market = ["--marketplace", "taobao"];
        let more = if other.id == OWNER { &market[..] } else { &[] };
        self.lists_at(other, other.port, more);
    }

    /// The same at another port, with what the partner is said to have.
    pub(super) fn lists_at(&self, other: &Self, port: u16, more: &[&str]) {
        let url = format!("http://127.0.0.1:{port}");
        let mut arguments = vec!["partner", "add", "--id", other.id, "--name", other.id];
        arguments.extend(["--role", other.role, "--exchange-url", &url]);
        arguments.extend(["--key", &other.public]);
        arguments.extend(more);
        self.run(&arguments);
    }

    /// Stopped and started again.
    pub(super) fn restarted(self, level: &str) -> Self {
        let Self { running, .. } = self;
        running.stop();
        let running = Running::start_logged(&self.dir, &self.key, level);
        Self { running, ..self }
    }

    /// A request of its own systems at the local API: status and body.
    pub(super) fn call(&self, method: &str, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port + 1)).unwrap();
        write!(
            stream,
            "{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: Bearer {}\r\nContent-Type: application/json\r\n{key}\
             Content-Length: {}\r\n\r\n{body}",
            self.key,
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head[9..12].parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }
}

/// A file for its owner alone.
fn private(path: &Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

/// Contacts for pick-up messages until the end of the year after next: far from any clock.
pub(super) fn policy(dataset: Dataset) -> Value {
    let forms: &[ContactForm] = match dataset {
        Dataset::RecipientContact | Dataset::PickupCode => &[ContactForm::Full],
        Dataset::PreAdvice
        | Dataset::LockerEvents
        | Dataset::LockerStations
        | Dataset::TrackingEvents
        | Dataset::CooperationStatus
        | Dataset::ExchangeStatistics => &[],
    };
    policy_of(dataset, &["taobao"], forms)
}

/// The same for other marketplaces, and forms of contact or code.
pub(super) fn policy_of(dataset: Dataset, markets: &[&str], forms: &[ContactForm]) -> Value {
    let lookup = dataset == Dataset::RecipientContact;
    let (from, _) = Timestamp::parse_zoned("2020-01-01T00:00:00+08:00").unwrap();
    let fields = match lookup {
        true => [Field::Contact].into(),
        false => Field::of(dataset).iter().copied().collect(),
    };
    let terms = Terms {
        dataset,
        from,
        until: from.plus_ms(100 * 365 * DAY_MS),
        zone: Zone::CHINA,
        purposes: match dataset {
            Dataset::RecipientContact => [Purpose::PickupNotification].into(),
            Dataset::PreAdvice => [Purpose::Ownership, Purpose::LockerOperation].into(),
            Dataset::LockerEvents
            | Dataset::PickupCode
            | Dataset::LockerStations
            | Dataset::TrackingEvents
            | Dataset::CooperationStatus
            | Dataset::ExchangeStatistics => [Purpose::DeliveryTracking].into(),
        },
        marketplaces: markets
            .iter()
            .map(|it| Marketplace::parse(it).unwrap())
            .collect(),
        fields,
        contact_forms: forms.iter().copied().collect(),
        quota_per_day: lookup.then_some(1_000),
        quota_per_parcel: lookup.then_some(3),
        evidence: match lookup {
            true => [EvidenceKind::Arrival].into(),
            false => [].into(),
        },
        notifier: lookup.then_some(Notifier::Operator),
        run_off_ms: Some(DAY_MS),
        backlog: None,
        covers_from: None,
        delete_after_ms: (!forms.is_empty()).then_some(30 * DAY_MS),
        reciprocate: false,
        no_redisclosure: true,
    };
    terms.to_policy()
}

pub(super) fn waits<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..TRIES {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(PAUSE);
    }
    panic!("{what} did not come about");
}

// tidy: long, one story
#[test]
fn two_acceptances_and_contacts_flow() {
    let dir = Dir::new("mediation");
    let owner = Member::up(
        &dir.0,
        "cainiao",
        OWNER,
        "platform",
        &["--marketplace", "taobao"],
    );
    let operator = Member::up(&dir.0, "fengchao", OPERATOR, "locker-operator", &[]);
    let bureau = Member::up(&dir.0, "bureau", BUREAU, "regulator", &[]);
    let all = [&owner, &operator, &bureau];
    for one in all {
        for other in all.into_iter().filter(|other| other.id != one.id) {
            one.lists(other);
        }
    }
    let waybill = "sf/SF1234567890123";
    let parcel = json!({ "waybill": waybill, "marketplace": "taobao", "consent": "given",
        "recipient": { "name": "Li", "phone": "13812341234", "address": "Wensan Road 90" } });
    assert_eq!(owner.call("PUT", "/parcels", "", &parcel).0, 200);
    let parcel = json!({ "waybill": waybill, "marketplace": "taobao", "consent": "given",
        "owner": OWNER, "size": "small" });
    assert_eq!(operator.call("PUT", "/parcels", "", &parcel).0, 200);
    let station = json!({ "id": "S1", "name": "Gate 1", "capacity": { "small": 9 },
        "position": { "longitude": 120.0, "latitude": 30.0 } });
    assert_eq!(operator.call("PUT", "/stations", "", &station).0, 200);
    let mut tries = 0;
    let mut deposit = || {
        tries += 1;
        let body = json!({ "waybill": waybill, "station": "S1", "size": "small", "courier": "c7" });
        let key = format!("Idempotency-Key: k{tries}\r\n");
        operator.call("POST", "/deposits", &key, &body)
    };

    let agreement = |provider: &str, consumer: &str, dataset: Dataset| {
        json!({ "provider": provider, "consumer": consumer, "dataset": dataset.as_str(),
            "policy": policy(dataset) })
    };
    let proposal = json!({ "note": "until it is settled", "agreements": [
        agreement(OWNER, OPERATOR, Dataset::RecipientContact),
        agreement(OPERATOR, OWNER, Dataset::LockerEvents),
    ] });
    std::fs::write(bureau.dir.join("truce.json"), proposal.to_string()).unwrap();
    let made = bureau.run(&["mediation", "propose", "truce.json"]);
    let id = made["id"].as_str().unwrap().to_owned();
    for party in [&owner, &operator] {
        waits("the proposal", || {
            let listed = party.run(&["mediation", "list"]);
            (listed["mediations"][0]["waitsForPeople"] == true).then_some(())
        });
    }
    owner.run(&["mediation", "accept", &id]);
    let (status, refused) = deposit();
    assert_eq!(
        (status, &refused["title"]),
        (409, &json!("deliver to the address"))
    );

    operator.run(&["mediation", "accept", &id]);
    let (_, opened) = waits("a contact", || {
        Some(deposit()).filter(|(status, _)| *status == 201)
    });
    assert_eq!(opened["contactForm"], "full", "{opened}");
    for party in [&owner, &operator] {
        let shown = party.run(&["mediation", "show", &id]);
        assert_eq!(
            (&shown["inForce"], &shown["mediator"]),
            (&json!(true), &json!(BUREAU))
        );
        let listed = party.run(&["agreement", "list"]);
        let states = listed["agreements"].as_array().unwrap().iter();
        let states: Vec<&Value> = states.map(|a| &a["state"]).collect();
        assert_eq!(states, ["IN_FORCE", "IN_FORCE"]);
    }
    let status = bureau.run(&["mediation", "show", &id]);
    assert_eq!(status["state"], "accepted");
    // The mediator's own data holds nothing of the parcel.
    for file in files(&bureau.dir) {
        let bytes = std::fs::read(&file).unwrap();
        for word in ["SF1234567890123", "13812341234", "Wensan"] {
            let found = bytes.windows(word.len()).any(|at| at == word.as_bytes());
            assert!(!found, "{word} in {}", file.display());
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}
