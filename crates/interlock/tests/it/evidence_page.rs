//! The page that checks evidence with no software of ours, run as it is written; and our own verifier
//! over the same example.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const GUIDES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guides");

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("interlock-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    for file in ["evidence.json", "batch.json", "rotated.json"] {
        std::fs::copy(format!("{GUIDES}/evidence-example/{file}"), dir.join(file)).unwrap();
    }
    dir
}

/// The page's Python, put together as it says.
fn script() -> String {
    let page = std::fs::read_to_string(format!("{GUIDES}/evidence.md")).unwrap();
    let blocks = page.split("```python\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap())
        .collect()
}

fn check(dir: &Path) -> Output {
    std::fs::write(dir.join("check.py"), script()).unwrap();
    Command::new("python3")
        .arg("check.py")
        .current_dir(dir)
        .output()
        .expect("python3 runs")
}

#[test]
fn the_page_checks_the_example_and_finds_what_is_changed() {
    let dir = scratch("evidence-page");
    let good = check(&dir);
    let said = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(
        good.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&good.stderr)
    );
    assert!(said.matches("ok    ").count() > 60, "{said}");
    for shown in [
        "the new key signed it, too",
        "cosigned by did:web:bureau.example",
        "5 leaves were there by second 1496257500",
    ] {
        assert!(said.contains(shown), "{shown}: {said}");
    }
    for line in said.lines() {
        let expected = ["ok ", "    ", "manifest "];
        assert!(
            expected.iter().any(|start| line.starts_with(start)),
            "{line}"
        );
    }
    // One character of a parcel's number, and one of a leaf.
    let batch = std::fs::read_to_string(dir.join("batch.json")).unwrap();
    let number = batch.find("\"number\":\"").unwrap() + 10 + 4;
    let mut spoiled = batch.clone().into_bytes();
    spoiled[number] = if spoiled[number] == b'7' { b'8' } else { b'7' };
    std::fs::write(dir.join("batch.json"), spoiled).unwrap();
    assert!(!check(&dir).status.success(), "a parcel was changed");
    std::fs::write(dir.join("batch.json"), batch).unwrap();
    let evidence = std::fs::read_to_string(dir.join("evidence.json")).unwrap();
    let time = evidence
        .find("\ntime ")
        .or_else(|| evidence.find("time 1"))
        .unwrap()
        + 8;
    let mut spoiled = evidence.into_bytes();
    spoiled[time] = if spoiled[time] == b'7' { b'8' } else { b'7' };
    std::fs::write(dir.join("evidence.json"), spoiled).unwrap();
    assert!(!check(&dir).status.success(), "a checkpoint was changed");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn the_page_finds_what_is_changed_in_a_rotation_and_in_anchors() {
    let dir = scratch("evidence-rotated");
    let right = std::fs::read_to_string(dir.join("rotated.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&right).unwrap();
    let anchor = |name: &str| file["anchors"][1][name].as_str().unwrap().to_owned();
    let path = |name: &str| file["anchors"][2][name][0].as_str().unwrap().to_owned();
    // Each by one character in the middle of it.
    let places = [
        (
            "the rotation",
            file["logs"][0]["leaves"][2].as_str().unwrap().to_owned(),
        ),
        ("the salt of a head", anchor("salt")),
        ("an entry", anchor("entry")),
        ("a cosigned note", anchor("note").replace('\n', "\\n")),
        ("a path to an entry", path("path")),
        ("a path to the root", path("entry_path")),
        (
            "the root of a head",
            file["anchors"][0]["head"]["root"]
                .as_str()
                .unwrap()
                .to_owned(),
        ),
    ];
    for (what, part) in places {
        let at = right.find(&part).expect(what) + part.len() / 2;
        let mut spoiled = right.clone().into_bytes();
        spoiled[at] = if spoiled[at] == b'7' { b'8' } else { b'7' };
        std::fs::write(dir.join("rotated.json"), spoiled).unwrap();
        let output = check(&dir);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            !output.status.success() && said.contains("WRONG"),
            "{what}: {said}"
        );
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn our_verifier_agrees_with_the_page() {
    let dir = scratch("evidence-ours");
    let verify = || {
        Command::new(env!("CARGO_BIN_EXE_interlock"))
            .args(["evidence", "verify", "evidence.json", "--json"])
            .current_dir(&dir)
            .output()
            .unwrap()
    };
    let good = verify();
    let said = String::from_utf8_lossy(&good.stdout);
    let verdict: serde_json::Value = serde_json::from_str(&said).expect(&said);
    assert_eq!(verdict["findings"], serde_json::json!([]), "{said}");
    assert_eq!(good.status.code(), Some(0));
    let text = std::fs::read_to_string(dir.join("evidence.json")).unwrap();
    std::fs::write(dir.join("evidence.json"), &text[..text.len() / 2]).unwrap();
    assert_eq!(verify().status.code(), Some(4), "a file that was cut");
    std::fs::remove_dir_all(&dir).unwrap();
}
