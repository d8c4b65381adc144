//! `cargo xtask test`: everything that must hold before a change goes in, in one order.
//!
//! INVARIANT: the first step that fails ends the run and is named at the end. A step is a command of
//! its own; its output goes to the terminal as it is.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::Context;

use crate::now;

struct Step {
    name: &'static str,
    args: &'static [&'static str],
    rustdocflags: Option<&'static str>,
}

const fn step(name: &'static str, args: &'static [&'static str]) -> Step {
    Step {
        name,
        args,
        rustdocflags: None,
    }
}

/// All steps are commands of cargo.
const STEPS: [Step; 5] = [
    step("format", &["fmt", "--all", "--check"]),
    step(
        "lints",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    ),
    step("tidy", &["xtask", "tidy"]),
    Step {
        name: "documentation",
        args: &["doc", "--workspace", "--no-deps"],
        rustdocflags: Some("-D rustdoc::broken_intra_doc_links"),
    },
    step("tests", &["test", "--workspace"]),
];

/// Runs the steps up to the first that fails.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let mut done: Vec<(&str, Duration)> = Vec::new();
    for (index, step) in STEPS.iter().enumerate() {
        let line = step.args.join(" ");
        eprintln!(
            "\n[{}/{}] {}: cargo {line}",
            index + 1,
            STEPS.len(),
            step.name
        );
        let start = now();
        let passed = execute(root, step)?;
        done.push((step.name, start.elapsed()));
        if !passed {
            summarize(&done, Some((step.name, &line)));
            return Ok(ExitCode::FAILURE);
        }
    }
    summarize(&done, None);
    Ok(ExitCode::SUCCESS)
}

fn execute(root: &Path, step: &Step) -> anyhow::Result<bool> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(step.args).current_dir(root);
    if let Some(flags) = step.rustdocflags {
        command.env("RUSTDOCFLAGS", flags);
    }
    let status = command
        .status()
        .with_context(|| format!("failed to start cargo for the step `{}`", step.name))?;
    Ok(status.success())
}

fn summarize(done: &[(&str, Duration)], failed: Option<(&str, &str)>) {
    eprintln!();
    for (name, took) in done {
        let verdict = match failed {
            Some((bad, _)) if bad == *name => "FAILED",
            _ => "ok",
        };
        eprintln!("{name:<14} {verdict:<7} {:>7.1} s", took.as_secs_f64());
    }
    match failed {
        Some((name, line)) => {
            let skipped = STEPS.len() - done.len();
            eprintln!(
                "failed at the step `{name}`, {skipped} not run; repeat it with: cargo {line}"
            );
        }
        None => eprintln!("all {} steps passed", STEPS.len()),
    }
}
