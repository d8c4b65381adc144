//! The README's first agreement by hand, run as it is written: two shells, two nodes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use super::ports::ports;

/// Longest time that one block of commands may take.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(60);
/// A person looks again after so long: nodes talk to each other meanwhile.
const PAUSE: Duration = Duration::from_millis(500);
/// How often a person looks again before giving up.
const LOOKS: usize = 60;
/// Echoed after each block.
const MARK: &str = "--- end of block";

/// A terminal: a shell that stays, with a node in its background.
struct Terminal {
    shell: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Terminal {
    fn open(directory: &Path) -> Self {
        let bin = Path::new(env!("CARGO_BIN_EXE_interlock")).parent().unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("bash")
            .args(["--noprofile", "--norc", "-u"])
            .current_dir(directory)
            .env("PATH", path)
            .env_remove("INTERLOCK_KEY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("bash runs");
        let input = shell.stdin.take().unwrap();
        let output = shell.stdout.take().unwrap();
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            shell,
            input,
            lines,
        }
    }

    /// Types a block and reads what it prints.
    fn run(&mut self, block: &str) -> String {
        writeln!(self.input, "{block}\necho; echo '{MARK}'").unwrap();
        self.input.flush().unwrap();
        let mut out = String::new();
        loop {
            let line = self
                .lines
                .recv_timeout(BLOCK_TIMEOUT)
                .expect("the block ends in time");
            if line == MARK {
                return out;
            }
            out += &line;
            out.push('\n');
        }
    }

    /// Types a command until it prints what the next block begins with, as a person waits for it.
    fn look(&mut self, command: &str, seen: impl Fn(&str) -> bool) {
        let mut printed = String::new();
        for _ in 0..LOOKS {
            printed = self.run(command);
            if seen(&printed) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        panic!("`{command}` still prints:\n{printed}");
    }
}

/// What people wait for before they type the next block.
fn wait_after(terminal: usize, block: &str, terminals: &mut [Terminal; 2]) {
    let list = "interlock agreement list";
    let in_force = |printed: &str| printed.matches("IN_FORCE").count() == 2;
    if block.contains("interlock run") {
        terminals[terminal].look("interlock status 2>&1", |printed| {
            !printed.contains("error:")
        });
    } else if block.contains("agreement propose") {
        terminals[0].look(list, |printed| {
            printed.lines().any(|line| line.ends_with(" yes"))
        });
    } else if block.contains("agreement approve") {
        terminals[0].look(list, in_force);
        terminals[1].look(list, in_force);
    } else if block.contains("POST /deposits ") {
        // Until the receipts of what was asked lie at both.
        terminals[1].look(
            "interlock evidence export --out a.json >/dev/null\n\
             (cd ../cainiao && interlock evidence export --out b.json >/dev/null)\n\
             interlock evidence compare a.json ../cainiao/b.json",
            |printed| printed.matches("  same  ").count() == 2,
        );
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The shell's own jobs, by their process ids.
        let _ = writeln!(self.input, "kill $(jobs -p)\nwait\nexit");
        let _ = self.input.flush();
        let _ = self.shell.wait();
    }
}

/// The blocks of the README's section, with the terminal of each.
fn blocks(readme: &str) -> Vec<(usize, String)> {
    let section = readme.split("## A first agreement by hand").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut found = Vec::new();
    let mut parts = section.split("```");
    while let (Some(prose), Some(code)) = (parts.next(), parts.next()) {
        let last = prose
            .rfind("Terminal ")
            .expect("a terminal is named before each block");
        let terminal = match prose.as_bytes()[last + "Terminal ".len()] {
            b'1' => 0,
            b'2' => 1,
            other => panic!("terminal {other}"),
        };
        found.push((
            terminal,
            code.strip_prefix("sh\n").expect("a shell block").to_owned(),
        ));
    }
    found
}

fn scratch() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("interlock-readme-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// What the two exports must hold and must not.
fn check_exports(dir: &Path) {
    let read = |name: &str| std::fs::read_to_string(dir.join(name).join("evidence.json")).unwrap();
    let (owner, operator) = (read("cainiao"), read("fengchao"));
    for (file, canary) in [&owner, &operator]
        .into_iter()
        .flat_map(|file| ["19900001234", "Li Lei", "Wensan"].map(|canary| (file, canary)))
    {
        assert!(!file.contains(canary), "{canary}");
    }
    // Only the opening that was asked for names the parcel.
    assert!(!owner.contains("SF1234567890123"));
    let mut shown: Value = serde_json::from_str(&operator).unwrap();
    let openings = shown["openings"].take();
    assert!(!shown.to_string().contains("SF1234567890123"));
    let items: Vec<&str> = openings
        .as_array()
        .unwrap()
        .iter()
        .map(|opening| opening["item"].as_str().unwrap())
        .collect();
    // What was asked, and what was granted in which form.
    assert_eq!(items.len(), 2, "{items:?}");
    assert!(items.iter().all(|item| item.contains("SF1234567890123")));
    assert!(
        items.iter().any(|item| item.ends_with(r#","full"]"#)),
        "{items:?}"
    );
}

#[test]
fn the_readme_works_as_written() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let (ours, theirs) = (ports(4), ports(4));
    let dir = scratch();
    let mut terminals = [Terminal::open(&dir), Terminal::open(&dir)];
    let mut outputs = Vec::new();
    for (terminal, block) in blocks(&readme) {
        // Only the ports differ from what is written: others may use those of the README.
        let block = block
            .replace(
                "--role platform --marketplace taobao >",
                &format!("--role platform --marketplace taobao --port {ours} >"),
            )
            .replace("--port 8450", &format!("--port {theirs}"));
        let block = (0..4).fold(block, |block, n| {
            block
                .replace(&format!(":{}", 8440 + n), &format!(":{}", ours + n))
                .replace(&format!(":{}", 8450 + n), &format!(":{}", theirs + n))
        });
        outputs.push(terminals[terminal].run(&block));
        wait_after(terminal, &block, &mut terminals);
    }
    let [.., approved, deposited, _, compared] = outputs.as_slice() else {
        panic!("blocks")
    };
    assert_eq!(approved.matches("IN_FORCE").count(), 2, "{approved}");
    let deposit: Value = serde_json::from_str(deposited.lines().nth(1).unwrap()).unwrap();
    assert_eq!(
        (&deposit["notifier"], &deposit["contactForm"]),
        (&"operator".into(), &"full".into()),
        "{deposited}"
    );
    let confirmed: Value = serde_json::from_str(deposited.lines().nth(2).unwrap()).unwrap();
    assert_eq!(confirmed["state"], "deposited", "{deposited}");
    assert!(
        deposited.contains("owned") && deposited.contains("FC0001"),
        "{deposited}"
    );
    assert_eq!(compared.matches("  same  ").count(), 2, "{compared}");
    drop(terminals);
    check_exports(&dir);
    std::fs::remove_dir_all(&dir).unwrap();
}
