//! A node that is started where few files may be open.

use std::process::Command;

use super::backup::{Dir, Running, made};

#[test]
fn a_node_takes_as_many_open_files_as_it_is_granted() {
    let dir = Dir::new("open-files");
    let (node, key) = made(&dir.0);
    let run = format!(
        "ulimit -S -n 200; ulimit -H -n 4000; exec {} run --config {}",
        env!("CARGO_BIN_EXE_interlock"),
        node.join("interlock.toml").display()
    );
    let running = Running::start_by(Command::new("sh").args(["-c", &run]), &node, &key, "info");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.pid())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers, ["4000", "4000"], "{line}");
    running.stop();
}
