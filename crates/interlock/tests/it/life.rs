//! The life of an agreement between two processes, as people drive it by command: proposed, countered,
//! approved by two people, renewed, ended with notice.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::backup::{Dir, PAUSE, Running, TRIES, interlock};
use super::ports::ports;

/// A node with its admin's key.
struct Node {
    dir: PathBuf,
    id: String,
    key: String,
    port: u16,
}

impl Node {
    fn init(dir: &Path, name: &str, role: &[&str], port: u16) -> Self {
        let id = format!("did:web:{name}.example");
        let port_text = port.to_string();
        let mut arguments = vec![
            "init", name, "--id", &id, "--name", name, "--port", &port_text, "--role",
        ];
        arguments.extend(role);
        let (code, out, err) = interlock(dir, "", &arguments);
        assert_eq!(code, 0, "{err}");
        let at = out.find("il_").expect("the admin key");
        let key = out[at..].chars();
        let key = key.take_while(|c| c.is_ascii_alphanumeric() || *c == '_');
        Self {
            dir: dir.join(name),
            id,
            key: key.collect(),
            port,
        }
    }

    /// Runs a command as its admin, which must succeed.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Value {
        self.run_as(&self.key, arguments)
    }

    /// The same as somebody else.
    #[track_caller]
    fn run_as(&self, key: &str, arguments: &[&str]) -> Value {
        let (code, out, err) = interlock(&self.dir, key, arguments);
        assert_eq!(code, 0, "{arguments:?}: {err}");
        serde_json::from_str(&out).expect("one JSON value")
    }

    /// What people read.
    fn read(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_interlock"))
            .current_dir(&self.dir)
            .env("INTERLOCK_KEY", &self.key)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A key for one of its people.
    fn hire(&self, name: &str) -> String {
        let made = self.run(&["key", "add", "--name", name, "--role", "approver"]);
        made["key"].as_str().expect("a key").into()
    }

    /// Its DID document, as its door gives it.
    fn did_document(&self) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request =
            "GET /.well-known/did.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        body.into()
    }

    fn lists(&self, other: &Self, role: &str) {
        std::fs::write(self.dir.join("partner.json"), other.did_document()).unwrap();
        let name = other.id.as_str();
        self.run(&[
            "partner",
            "add",
            "--did-document",
            "partner.json",
            "--name",
            name,
            "--role",
            role,
        ]);
    }

    /// The negotiation that waits for its people, once there is one.
    fn waiting(&self) -> String {
        self.until(|list| {
            let all = list["negotiations"].as_array()?;
            let mut waiting = all.iter().filter(|n| n["waitsForPeople"] == true);
            Some(waiting.next()?["id"].as_str()?.to_owned())
        })
    }

    /// The agreement in a state, once there is one.
    fn agreement(&self, state: &str) -> String {
        self.until(|list| {
            let all = list["agreements"].as_array()?;
            let mut found = all.iter().filter(|a| a["state"] == state);
            Some(found.next()?["id"].as_str()?.to_owned())
        })
    }

    #[track_caller]
    fn until<T>(&self, found: impl Fn(&Value) -> Option<T>) -> T {
        let mut last = Value::Null;
        for _ in 0..TRIES {
            last = self.run(&["agreement", "list"]);
            if let Some(found) = found(&last) {
                return found;
            }
            std::thread::sleep(PAUSE);
        }
        panic!("it does not come to that: {last:#}");
    }
}

/// Two people must approve at this node.
fn four_eyes(node: &Node) {
    let path = node.dir.join("interlock.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let line = text.lines().find(|l| l.starts_with("# approvals_min"));
    let text = text.replace(line.expect("the default"), "approvals_min = 2");
    let text = text.replace("# [limits]", "[limits]");
    std::fs::write(&path, text).unwrap();
}

// tidy: long, it is one life
#[test]
fn an_agreement_lives_from_proposal_to_notice() {
    let dir = Dir::new("life");
    let port = ports(12);
    let provider = Node::init(&dir.0, "fengchao", &["locker-operator"], port);
    let consumer = Node::init(
        &dir.0,
        "cainiao",
        &["platform", "--marketplace", "taobao"],
        port + 8,
    );
    four_eyes(&provider);
    let _running = [&provider, &consumer].map(|node| Running::start(&node.dir, &node.key));
    provider.lists(&consumer, "platform");
    consumer.lists(&provider, "locker-operator");
    let (wang, zhao) = (provider.hire("wang"), provider.hire("zhao"));

    // Proposed, and countered by two people with a shorter term.
    provider.run(&["offer", "publish", "--dataset", "locker-stations"]);
    let catalog = consumer.read(&["catalog", &provider.id]);
    assert!(catalog.contains("assurance: signed"), "{catalog}");
    consumer.run(&["agreement", "propose", &provider.id, "locker-stations"]);
    let id = provider.waiting();
    let shown = provider.run(&["agreement", "show", &id]);
    let mut policy = shown["policy"].clone();
    let until = shorten(&mut policy);
    std::fs::write(provider.dir.join("counter.json"), policy.to_string()).unwrap();
    let counter = ["agreement", "counter", &id, "--policy", "counter.json"];
    provider.run_as(&wang, &counter);
    let text = provider.read(&["agreement", "show", &id]);
    assert!(text.contains("drafted by"), "{text}");
    assert!(text.contains("changed: term"), "{text}");
    let approve = ["agreement", "approve", &id];
    let (code, _, said) = interlock(&provider.dir, &wang, &approve);
    assert_ne!(code, 0, "whoever made the terms is one of the two");
    assert!(said.contains("another person"), "{said}");
    provider.run_as(&zhao, &approve);

    // The consumer reads the difference and accepts: in force at both.
    let theirs = consumer.waiting();
    let text = consumer.read(&["agreement", "show", &theirs]);
    let changed = text.lines().find(|line| line.contains("changed: term"));
    let changed = changed.unwrap_or_else(|| panic!("{text}"));
    assert!(changed.contains("the consumer gets less"), "{changed}");
    assert!(changed.contains("->"), "{changed}");
    consumer.run(&["agreement", "approve", &theirs, "--version", "2"]);
    let first = consumer.agreement("IN_FORCE");
    assert_eq!(provider.agreement("IN_FORCE"), first);
    let shown = provider.run(&["agreement", "show", &first]);
    assert_eq!(shown["assurance"], "signed");
    assert_eq!(shown["signatures"].as_array().map(Vec::len), Some(2));
    let log = shown["negotiated"].to_string();
    assert!(log.contains("wang") && log.contains("zhao"), "{log}");

    // Renewed: the successor begins when the first one ends, once two people have approved it.
    consumer.run(&["agreement", "renew", &first]);
    let renewal = provider.waiting();
    let approve = ["agreement", "approve", &renewal];
    provider.run_as(&wang, &approve);
    assert_ne!(interlock(&provider.dir, &wang, &approve).0, 0);
    provider.run_as(&zhao, &approve);
    let second = consumer.agreement("SIGNED");
    assert_eq!(provider.agreement("SIGNED"), second);
    for node in [&provider, &consumer] {
        let new = node.run(&["agreement", "show", &second]);
        assert_eq!(new["supersedes"], first.as_str());
        assert_eq!(new["from"].as_str(), Some(until.as_str()));
        let old = node.run(&["agreement", "show", &first]);
        assert_eq!(old["supersededBy"], second.as_str());
    }

    // Ended with notice: the partner knows when, why, and by whom.
    let at = until.replace("T00:00:00", "T12:00:00");
    let terminate = ["agreement", "terminate", &second, "--at", &at, "--reason"];
    provider.run_as(&wang, &[&terminate[..], &["moving out"]].concat());
    let told = consumer.until(|list| {
        let all = list["agreements"].as_array()?;
        let ended = all.iter().find(|a| a["id"] == second.as_str())?;
        (ended["endsAt"] == at.as_str()).then(|| consumer.read(&["agreement", "show", &second]))
    });
    assert!(told.contains("moving out"), "{told}");
    assert!(
        told.contains(&format!("{}: terminated it", provider.id)),
        "{told}"
    );
    assert_eq!(consumer.agreement("IN_FORCE"), first, "the first goes on");
}

/// Lets a policy end 30 days after it begins, at midnight; the end.
fn shorten(policy: &mut Value) -> String {
    let text = policy.to_string();
    let of = |operator: &str| {
        let at = text.find(&format!("\"operator\":\"{operator}\""))?;
        let rest = &text[at..];
        let value = rest.split("\"@value\":\"").nth(1)?;
        Some(value.split('"').next()?.to_owned())
    };
    let end = of("lt").unwrap_or_else(|| panic!("an end: {text}"));
    let (date, time) = end.split_once('T').expect("an instant");
    let mut parts = date.split('-').map(|part| part.parse::<u32>().unwrap());
    let (year, month) = (parts.next().unwrap(), parts.next().unwrap());
    // A month earlier, on a day that every month has.
    let (year, month) = if month == 1 {
        (year - 1, 12)
    } else {
        (year, month - 1)
    };
    let earlier = format!("{year:04}-{month:02}-15T{time}");
    *policy = serde_json::from_str(&text.replace(&end, &earlier)).unwrap();
    earlier
}
