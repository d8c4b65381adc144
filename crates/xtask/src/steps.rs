//! `cargo xtask test`: everything that must hold before a change goes in, in one order.
//!
//! INVARIANT: the first step that fails ends the run and is named at the end. A step is a command of
//! its own; its output goes to the terminal as it is.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use crate::cargo::cargo;
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

/// Runs all steps up to the first that fails.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let outcome = until_failure(&STEPS, |step| execute(root, step))?;
    eprintln!("\n{}", outcome.summary(STEPS.len()));
    Ok(match outcome.failed {
        Some(_) => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    })
}

struct Outcome {
    /// Name of each step that ran, and how long it took.
    done: Vec<(&'static str, Duration)>,
    /// The last of them, if it failed.
    failed: Option<&'static Step>,
}

fn until_failure(
    steps: &'static [Step],
    mut execute: impl FnMut(&Step) -> anyhow::Result<bool>,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome {
        done: Vec::new(),
        failed: None,
    };
    for (step, number) in steps.iter().zip(1..) {
        let total = steps.len();
        eprintln!("\n[{number}/{total}] {}: {}", step.name, step.line());
        let start = now();
        let passed = execute(step)?;
        outcome.done.push((step.name, start.elapsed()));
        if !passed {
            outcome.failed = Some(step);
            break;
        }
    }
    Ok(outcome)
}

impl Step {
    fn line(&self) -> String {
        let flags = self
            .rustdocflags
            .map(|flags| format!("RUSTDOCFLAGS='{flags}' "));
        format!("{}cargo {}", flags.unwrap_or_default(), self.args.join(" "))
    }
}

impl Outcome {
    fn summary(&self, total: usize) -> String {
        let mut text = String::new();
        for (name, took) in &self.done {
            let is_failed = self.failed.is_some_and(|step| step.name == *name);
            let verdict = if is_failed { "FAILED" } else { "ok" };
            let seconds = took.as_secs_f64();
            text.push_str(&format!("{name:<14} {verdict:<7} {seconds:>7.1} s\n"));
        }
        text.push_str(&match self.failed {
            Some(step) => format!(
                "failed at the step `{}`, {} not run; repeat it with: {}",
                step.name,
                total - self.done.len(),
                step.line()
            ),
            None => format!("all {total} steps passed"),
        });
        text
    }
}

fn execute(root: &Path, step: &Step) -> anyhow::Result<bool> {
    let mut command = cargo();
    command.args(step.args).current_dir(root);
    if let Some(flags) = step.rustdocflags {
        command.env("RUSTDOCFLAGS", flags);
    }
    let status = command
        .status()
        .with_context(|| format!("failed to start cargo for the step `{}`", step.name))?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_ends_the_run_and_is_named() {
        let mut ran = Vec::new();
        let outcome = until_failure(&STEPS, |step| {
            ran.push(step.name.to_owned());
            Ok(step.name != "tidy")
        })
        .unwrap();
        assert_eq!(ran, ["format", "lints", "tidy"]);
        let summary = outcome.summary(STEPS.len());
        assert!(
            summary.ends_with(
                "failed at the step `tidy`, 2 not run; repeat it with: cargo xtask tidy"
            ),
            "{summary}"
        );
        assert_eq!(summary.matches("FAILED").count(), 1, "{summary}");
    }

    #[test]
    fn success_names_every_step() {
        let outcome = until_failure(&STEPS, |_| Ok(true)).unwrap();
        assert!(outcome.failed.is_none());
        let summary = outcome.summary(STEPS.len());
        assert!(STEPS.iter().all(|step| summary.contains(step.name)));
        assert!(summary.ends_with("all 5 steps passed"), "{summary}");
    }
}
