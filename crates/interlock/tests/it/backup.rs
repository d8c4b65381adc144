//! A node that is copied while it takes writes, and nodes made from the copy.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::ports::ports;

/// Longest that a node may take to answer, in tries of [`PAUSE`].
pub(super) const TRIES: u32 = 300;
pub(super) const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Dir(pub(super) PathBuf);

impl Dir {
    pub(super) fn new(name: &str) -> Self {
        let name = format!("interlock-{name}-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running node, killed at the end.
pub(super) struct Running(Child);

impl Running {
    pub(super) fn start(node: &Path, key: &str) -> Self {
        Self::start_logged(node, key, "info")
    }

    /// The same with a level of its log, which is added to what it said before.
    pub(super) fn start_logged(node: &Path, key: &str, level: &str) -> Self {
        let config = node.join("interlock.toml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_interlock"));
        Self::start_by(
            command.args(["run", "--config"]).arg(config),
            node,
            key,
            level,
        )
    }

    /// The same by a command that becomes the node.
    pub(super) fn start_by(command: &mut Command, node: &Path, key: &str, level: &str) -> Self {
        let said = node.with_extension("said");
        let mut log = std::fs::OpenOptions::new();
        let log = log.create(true).append(true).open(&said).unwrap();
        let child = command
            .env("INTERLOCK_LOG", level)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut running = Self(child);
        let said = || std::fs::read_to_string(&said).unwrap();
        for _ in 0..TRIES {
            if interlock(node, key, &["status"]).0 == 0 {
                return running;
            }
            let ended = running.0.try_wait().unwrap();
            assert!(ended.is_none(), "the node ended: {}", said());
            std::thread::sleep(PAUSE);
        }
        panic!("the node does not answer: {}", said());
    }
}

impl Running {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Has the node stop by itself, and waits for it.
    pub fn stop(mut self) {
        let pid = self.0.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(told.success());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Exit code, output, what was said to people.
pub(super) fn interlock(node: &Path, key: &str, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_interlock"))
        .current_dir(node)
        .env("INTERLOCK_KEY", key)
        .arg("--json")
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

pub fn made(dir: &Path) -> (PathBuf, String) {
    let port = ports(4).to_string();
    let arguments = [
        "init",
        "node",
        "--id",
        "did:web:sf.example",
        "--name",
        "SF",
        "--role",
        "carrier",
        "--port",
        &port,
    ];
    let (code, out, err) = interlock(dir, "", &arguments);
    assert_eq!(code, 0, "{err}");
    let made: Value = serde_json::from_str(&out).unwrap();
    let key = made.to_string();
    let at = key.find("il_").expect("the admin key");
    let key: String = key[at..]
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    (dir.join("node"), key)
}

/// Starts a node that must not start; what it says.
fn refused(node: &Path) -> String {
    let config = node.join("interlock.toml");
    let mut child = Command::new(env!("CARGO_BIN_EXE_interlock"))
        .args(["run", "--config"])
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..TRIES {
        if child.try_wait().unwrap().is_some() {
            let output = child.wait_with_output().unwrap();
            assert_ne!(output.status.code(), Some(0));
            return String::from_utf8(output.stderr).unwrap();
        }
        std::thread::sleep(PAUSE);
    }
    let _ = child.kill();
    panic!("the node runs");
}

#[test]
fn a_copy_of_a_running_node_is_whole_and_a_restored_node_says_so() {
    let dir = Dir::new("backup");
    let (node, key) = made(&dir.0);
    let running = Running::start(&node, &key);
    let done = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (node, key, done) = (node.clone(), key.clone(), done.clone());
        move || {
            let mut answered = 0;
            while !done.load(Ordering::Relaxed) {
                let name = format!("auditor{answered}");
                let arguments = ["key", "add", "--name", &name, "--role", "auditor"];
                assert_eq!(interlock(&node, &key, &arguments).0, 0);
                answered += 1;
            }
            answered
        }
    });
    let copies: Vec<PathBuf> = (0..4).map(|nth| dir.0.join(format!("copy{nth}"))).collect();
    let mut last = 0;
    for copy in &copies {
        let (code, out, err) = interlock(&node, &key, &["backup", "--to", copy.to_str().unwrap()]);
        assert_eq!(code, 0, "{err}");
        let made: Value = serde_json::from_str(&out).unwrap();
        let records = made["lastRecord"].as_u64().unwrap();
        assert!(records >= last, "a later copy holds no less");
        last = records;
    }
    done.store(true, Ordering::Relaxed);
    assert!(
        writer.join().unwrap() > 0,
        "something was written meanwhile"
    );
    drop(running);

    let copy = copies.last().unwrap();
    for name in ["keys/master.key", "keys/started", "data"] {
        assert!(!copy.join(name).exists(), "{name} is in the copy");
    }
    // Into what holds something nothing is restored.
    let from = copy.to_str().unwrap();
    let (code, _, err) = interlock(&dir.0, "", &["restore", "--from", from, "--to", "node"]);
    assert!(code == 2 && err.contains("not empty"), "{code} {err}");
    let (code, _, err) = interlock(&dir.0, "", &["restore", "--from", from, "--to", "again"]);
    assert_eq!(code, 0, "{err}");
    let again = dir.0.join("again");
    let running = Running::start(&again, &key);
    let status: Value = serde_json::from_str(&interlock(&again, &key, &["status"]).1).unwrap();
    assert!(status["rolledBackAt"].is_string(), "{status}");
    drop(running);
    // It was said once: another start is not another restore.
    assert!(!again.join("keys/restored").exists());

    // A copy in which a byte was changed, or a file added, is named.
    let doctored = copies.first().unwrap();
    let file = doctored.join("keys/admin.sha256");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[0] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let from = doctored.to_str().unwrap();
    let (code, _, err) = interlock(&dir.0, "", &["restore", "--from", from, "--to", "third"]);
    assert!(
        code == 4 && err.contains("keys/admin.sha256"),
        "{code} {err}"
    );
    assert!(!dir.0.join("third").exists(), "nothing was made");
}

/// The key that a running node says it signs with, and how many there were before it.
fn signing(node: &Path, key: &str, arguments: &[&str]) -> (String, usize) {
    let (code, out, err) = interlock(node, key, arguments);
    assert_eq!(code, 0, "{err}");
    let said: Value = serde_json::from_str(&out).unwrap();
    let earlier = said["earlier"].as_array().unwrap().len();
    (said["key"].as_str().unwrap().to_owned(), earlier)
}

#[test]
fn a_node_signs_with_its_rotated_key_after_a_start_and_from_any_copy() {
    let dir = Dir::new("rotated");
    let (node, key) = made(&dir.0);
    let running = Running::start(&node, &key);
    let first = signing(&node, &key, &["key", "signing"]);
    let second = signing(&node, &key, &["key", "rotate"]);
    assert_eq!((first.1, second.1), (0, 1));
    assert_ne!(first.0, second.0);
    assert!(node.join("keys/derived.key").exists() && !node.join("keys/next.pem").exists());
    drop(running);
    let running = Running::start(&node, &key);
    assert_eq!(signing(&node, &key, &["key", "signing"]), second);

    // Copies are made while it is rotated again and again; each gives a node that starts.
    let done = Arc::new(AtomicBool::new(false));
    let rotating = std::thread::spawn({
        let (node, key, done) = (node.clone(), key.clone(), done.clone());
        move || {
            let mut keys = vec![first, second];
            while !done.load(Ordering::Relaxed) || keys.len() < 4 {
                keys.push(signing(&node, &key, &["key", "rotate"]));
            }
            keys
        }
    });
    let copies = ["one", "two", "three"].map(|name| dir.0.join(format!("copy-{name}")));
    for copy in &copies {
        let (code, _, err) = interlock(&node, &key, &["backup", "--to", copy.to_str().unwrap()]);
        assert_eq!(code, 0, "{err}");
    }
    done.store(true, Ordering::Relaxed);
    let keys = rotating.join().unwrap();
    let last = keys.last().unwrap().clone();
    drop(running);
    let running = Running::start(&node, &key);
    assert_eq!(signing(&node, &key, &["key", "signing"]), last);
    drop(running);
    for (nth, copy) in copies.iter().enumerate() {
        let to = format!("again{nth}");
        let from = copy.to_str().unwrap();
        let (code, _, err) = interlock(&dir.0, "", &["restore", "--from", from, "--to", &to]);
        assert_eq!(code, 0, "{err}");
        let again = dir.0.join(&to);
        let _running = Running::start(&again, &key);
        let (now, _) = signing(&again, &key, &["key", "signing"]);
        assert!(keys[1..].iter().any(|(key, _)| *key == now), "{now}");
    }

    // A key that was rotated away, put back into the key file, is refused by name.
    let old = std::fs::read(copies[0].join("keys/node.pem")).unwrap();
    assert_ne!(old, std::fs::read(node.join("keys/node.pem")).unwrap());
    std::fs::write(node.join("keys/node.pem"), old).unwrap();
    let said = refused(&node);
    assert!(
        said.contains("rotated away") && said.contains(&last.0),
        "{said}"
    );
}

#[test]
fn a_node_without_its_memory_or_with_another_master_key_does_not_start() {
    let dir = Dir::new("memory");
    let (node, key) = made(&dir.0);
    drop(Running::start(&node, &key));
    let master = node.join("keys/master.key");
    let right = std::fs::read(&master).unwrap();
    std::fs::write(&master, "0".repeat(64)).unwrap();
    let said = refused(&node);
    assert!(said.contains("master key"), "{said}");
    std::fs::write(&master, right).unwrap();
    drop(Running::start(&node, &key));
    std::fs::remove_dir_all(node.join("data/journal")).unwrap();
    let said = refused(&node);
    assert!(said.contains("interlock restore"), "{said}");
    assert!(!node.join("data/journal").exists(), "nothing was made");
}

#[test]
fn a_node_whose_master_key_does_not_come_from_its_program_does_not_start() {
    let dir = Dir::new("master-program");
    let (node, key) = made(&dir.0);
    let config = node.join("interlock.toml");
    let before = std::fs::read_to_string(&config).unwrap();
    assert!(before.contains("\n[listen]\n"), "{before}");
    let with = |lines: &str| {
        let text = before.replacen("\n[listen]\n", &format!("\n{lines}\n[listen]\n"), 1);
        std::fs::write(&config, text).unwrap();
    };
    let master = std::fs::read_to_string(node.join("keys/master.key")).unwrap();
    let digits = master.trim();
    let shell = |script: &str, more: &str| {
        with(&format!(
            "master_key_command = [\"/bin/sh\", \"-c\", \"{script}\"]\n{more}"
        ));
    };
    for (script, more, named) in [
        (
            "exec sleep 30",
            "master_key_command_seconds = 1\n",
            "within 1 s",
        ),
        ("exit 0", "", "must print 64 hexadecimal digits"),
        ("echo 00; exit 3", "", "must print 64 hexadecimal digits"),
    ] {
        shell(script, more);
        let said = refused(&node);
        assert!(
            said.contains(named) && said.contains("`/bin/sh` gave no master key"),
            "{said}"
        );
        assert!(!said.contains(digits), "{said}");
    }
    with("master_key_command = []\n");
    let said = refused(&node);
    assert!(
        said.contains("`master_key_command` names no program"),
        "{said}"
    );
    with("master_key_command_seconds = 5\n");
    let said = refused(&node);
    assert!(said.contains("says nothing without"), "{said}");
    // And the same node starts with the key that its file had.
    shell(&format!("echo {digits}"), "");
    std::fs::remove_file(node.join("keys/master.key")).unwrap();
    drop(Running::start(&node, &key));
}
