//! The project's own tasks, run as `cargo xtask TASK`.
//!
//! INVARIANT: a task exits 0 only if everything it looked at was in order. Tasks know the checkout
//! and the command line of the binary, never its code: nothing here links to the other crates.

mod bench;
mod cargo;
mod check_demo;
mod conformance;
mod pages;
mod sim;
mod steps;
mod tidy;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};

const USAGE: &str = "\
usage: cargo xtask TASK

tasks:
  test                              format, lints, tidy, documentation, all tests
  tidy                              the rules of the house that no compiler checks
  bench [NAME...] [--quick] [--json] [--events N]
                                    figures beside their goals
  kill [--times N] [--seed S]       three nodes under load, one killed again and again
  midnight [--times N] [--seed S]   the end of a term on three nodes, one killed or stopped
  conformance [--kit-alone]         the official kit of Dataspace Protocol 2025-1 against a node
  sim [--seeds N] [--minutes M] [--first SEED] [--record]
                                    random schedules of whole nodes under simulated misfortune
  sim --midnight N                  N requests around the ends of terms
  collectors [SEED [EACH]]          how well collectors of contacts are found, and false alarms
  pages [--screenshots DIR] [--quick] [--names]
                                    every page in a real browser, judged by axe
  check-demo FILE                   whether the JSON of `interlock demo` shows what it must";

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let root = checkout()?;
    let (task, rest) = match args.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("", args),
    };
    match (task, rest) {
        ("test", []) => steps::run(&root),
        ("tidy", []) => tidy::run(&root),
        ("kill" | "midnight", rest) => bench::run(&root, &[&[task.to_owned()], rest].concat()),
        ("bench", rest) => bench::run(&root, rest),
        ("conformance", rest) => conformance::run(&root, rest),
        ("pages", rest) => pages::run(&root, rest),
        ("sim", rest) => sim::run(&root, rest),
        ("collectors", rest) => sim::collectors(&root, rest),
        ("check-demo", [file]) => check_demo::run(Path::new(file)),
        ("help" | "--help" | "-h", []) => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("error: `{}` is no task\n{USAGE}", args.join(" "));
            Ok(ExitCode::from(2))
        }
    }
}

/// The top of the checkout: two levels above this crate, as cargo tells at run time, so that a
/// checkout that was moved after it was built is still found.
fn checkout() -> anyhow::Result<PathBuf> {
    let crate_dir = std::env::var_os("CARGO_MANIFEST_DIR")
        .context("`CARGO_MANIFEST_DIR` is not set; run this as `cargo xtask`")?;
    let root = Path::new(&crate_dir).ancestors().nth(2);
    match root {
        Some(root) if root.join("Cargo.toml").is_file() => Ok(root.to_path_buf()),
        _ => bail!("found no workspace above the crate xtask; run `cargo xtask` in the checkout"),
    }
}

/// The clock of the tasks. They measure; what they measure has clocks of its own.
#[expect(
    clippy::disallowed_methods,
    reason = "tasks measure real time and are no part of a node"
)]
fn now() -> Instant {
    Instant::now()
}
