//! What is derived from the journal, thrown away and made anew.

use std::path::Path;

use crate::backup::{Dir, Running, interlock, made};

/// What the node answers to everything that reads.
fn answers(node: &Path, key: &str) -> Vec<String> {
    let commands: [&[&str]; 6] = [
        &["partner", "list"],
        &["offer", "list"],
        &["agreement", "list"],
        &["station", "list"],
        &["parcel", "show", "sf/SF0000000000001"],
        &["parcel", "show", "sf/SF0000000000002"],
    ];
    let answer = |arguments: &&[&str]| {
        let (code, out, err) = interlock(node, key, arguments);
        format!("{arguments:?} {code} {out} {err}")
    };
    commands.iter().map(answer).collect()
}

#[test]
fn answers_are_the_same_before_and_after() {
    let dir = Dir::new("rebuild");
    let (node, key) = made(&dir.0);
    let running = Running::start(&node, &key);
    for name in ["one", "two", "three"] {
        let arguments = ["key", "add", "--name", name, "--role", "auditor"];
        assert_eq!(interlock(&node, &key, &arguments).0, 0);
    }
    // A node that runs is not touched.
    let (code, _, err) = interlock(&node, &key, &["rebuild"]);
    assert!(
        code == 1 && err.contains("stop that node first"),
        "{code} {err}"
    );
    let before = answers(&node, &key);
    running.stop();

    let root = node.join("data/tables/root");
    let written = std::fs::read(&root).unwrap();
    let verified = interlock(&node, &key, &["journal", "verify"]);
    let (code, out, err) = interlock(&node, &key, &["rebuild"]);
    assert_eq!(code, 0, "{err}");
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(said["records"].as_u64().unwrap() >= 4, "{said}");
    assert_eq!(interlock(&node, &key, &["journal", "verify"]), verified);
    assert!(std::fs::read(&root).is_ok());

    let running = Running::start(&node, &key);
    assert_eq!(answers(&node, &key), before);
    running.stop();
    // A damaged root is thrown away by the start itself, and so is a missing directory.
    let mut damaged = written;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&root, damaged).unwrap();
    let running = Running::start(&node, &key);
    assert_eq!(answers(&node, &key), before);
    running.stop();
    std::fs::remove_dir_all(node.join("data/tables")).unwrap();
    let running = Running::start(&node, &key);
    assert_eq!(answers(&node, &key), before);
    drop(running);
}
