//! `cargo xtask sim`: random schedules of whole nodes under simulated misfortune, by seed.
//!
//! INVARIANT: it passes only if every seed that it counts was run and showed no violation. A seed is a
//! whole run: the same seed and the same code give the same run. How many seeds in a row have passed is
//! kept in [`TOTAL`]. It knows the simulator's test by name and what that prints, never its code.

use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cargo::cargo;
use crate::now;

/// Where the running total is kept.
const TOTAL: &str = "crates/interlock-sim/seeds.json";
/// The test that runs seeds.
const TEST: &str = "random::random_schedules_lose_nothing";
/// The test that asks around the ends of terms.
const MIDNIGHT_TEST: &str = "midnight::sweep::nothing_is_released_outside_a_term";
/// Seeds of one start of the test: between them the time is looked at.
const CHUNK: u64 = 200;
/// Seeds of a run that was not told how many.
const SEEDS: u64 = 1_000;

const USAGE: &str = "\
usage: cargo xtask sim [--seeds N] [--minutes M] [--first SEED] [--record]
       cargo xtask sim --midnight N
  --seeds N     how many seeds (1,000; with --minutes as many as fit)
  --minutes M   begin no further seeds after so many minutes
  --first SEED  the first seed (the first that was not run before, by the total)
  --record      add what passed to the running total
  --midnight N  instead of seeds, N requests around the ends of terms";

#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    seeds: Option<u64>,
    minutes: Option<u64>,
    first: Option<u64>,
    record: bool,
    midnight: Option<u64>,
}

impl Wanted {
    fn parse(args: &[String]) -> anyhow::Result<Self> {
        let mut wanted = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let slot = match arg.as_str() {
                "--seeds" => &mut wanted.seeds,
                "--minutes" => &mut wanted.minutes,
                "--first" => &mut wanted.first,
                "--midnight" => &mut wanted.midnight,
                "--record" => {
                    wanted.record = true;
                    continue;
                }
                _ => bail!("`{arg}` is no option of sim\n{USAGE}"),
            };
            let value = args.next().map(|text| text.parse());
            let Some(Ok(value)) = value else {
                bail!("`{arg}` takes a number\n{USAGE}");
            };
            *slot = Some(value);
        }
        let seeds = wanted.seeds.or(wanted.minutes).or(wanted.first);
        if wanted.midnight.is_some() && (seeds.is_some() || wanted.record) {
            bail!("`--midnight` runs no seeds; leave the other options out\n{USAGE}");
        }
        Ok(wanted)
    }
}

/// Measures how well collectors of contacts are found.
pub(crate) fn collectors(root: &Path, args: &[String]) -> anyhow::Result<ExitCode> {
    if args.len() > 2 || args.iter().any(|arg| arg.parse::<u64>().is_err()) {
        eprintln!(
            "error: give a seed and how many collectors of each kind\nusage: cargo xtask collectors [SEED [EACH]]"
        );
        return Ok(ExitCode::from(2));
    }
    let status = cargo()
        .current_dir(root)
        .args([
            "run",
            "--quiet",
            "-p",
            "interlock-sim",
            "--example",
            "collectors",
            "--",
        ])
        .args(args)
        .status()
        .context("cargo could not be started")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs the seeds that are asked for.
pub(crate) fn run(root: &Path, args: &[String]) -> anyhow::Result<ExitCode> {
    let wanted = match Wanted::parse(args) {
        Ok(wanted) => wanted,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(ExitCode::from(2));
        }
    };
    if let Some(requests) = wanted.midnight {
        return midnight(root, requests);
    }
    let total = read_total(root)?;
    let first = wanted.first.unwrap_or(total);
    let fallback = match wanted.minutes {
        Some(_) => u64::MAX - first,
        None => SEEDS,
    };
    let end = first.saturating_add(wanted.seeds.unwrap_or(fallback));
    println!("building the simulator");
    simulate(root, &["--no-run"], &[])?;
    let limit = wanted
        .minutes
        .map(|m| Duration::from_secs(m.saturating_mul(60)));
    let begin = now();
    let mut next = first;
    while next < end && limit.is_none_or(|limit| begin.elapsed() < limit) {
        let count = CHUNK.min(end - next);
        let run = [("INTERLOCK_SEED_FIRST", next), ("INTERLOCK_SEEDS", count)];
        let said = simulate(root, &["--exact", TEST, "--nocapture"], &run);
        let said = said.with_context(|| {
            format!(
                "a seed from {next} on failed; run one again with `cargo xtask sim --first SEED --seeds 1`"
            )
        })?;
        println!(
            "{} ({:.0} s)",
            told(&said, next, count)
                .context("the simulator ran no seeds; is its test still there?")?,
            begin.elapsed().as_secs_f64()
        );
        next += count;
    }
    let passed = next - first;
    println!("{passed} seeds without a violation, from {first} on; {total} in a row before");
    if wanted.record {
        if first > total {
            bail!(
                "seeds {total} to {first} were not run; leave out --first to go on with the total"
            );
        }
        write_total(root, next.max(total))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Requests around the ends of terms: nothing may be released outside.
fn midnight(root: &Path, requests: u64) -> anyhow::Result<ExitCode> {
    println!("building the simulator");
    simulate(root, &["--no-run"], &[])?;
    let rest = ["--exact", MIDNIGHT_TEST, "--nocapture"];
    let said = simulate(root, &rest, &[("INTERLOCK_MIDNIGHT", requests)])?;
    let line = said.lines().find(|line| line.contains(MIDNIGHT_SAYS));
    println!(
        "{}",
        line.context("the simulator asked nothing; is its test still there?")?
    );
    Ok(ExitCode::SUCCESS)
}

/// What the test says with its figures.
const MIDNIGHT_SAYS: &str = "requests around the ends of terms";

/// The line in which the test says that it ran just these seeds.
fn told(said: &str, first: u64, count: u64) -> Option<&str> {
    let begin = format!("{count} seeds from {first}: ");
    said.lines().find(|line| line.starts_with(&begin))
}

/// Runs the simulator's tests, and gives what they printed.
fn simulate(root: &Path, rest: &[&str], numbers: &[(&str, u64)]) -> anyhow::Result<String> {
    let mut command = cargo();
    command.current_dir(root);
    command.args(["test", "--quiet", "--release", "--package", "interlock-sim"]);
    command.args(["--test", "it"]);
    for (name, number) in numbers {
        command.env(name, number.to_string());
    }
    if !numbers.is_empty() {
        command.arg("--");
    }
    command.args(rest);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("failed to start cargo")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{said}\nthe simulator failed: {}", output.status);
    }
    Ok(said)
}

fn read_total(root: &Path) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(root.join(TOTAL))
        .with_context(|| format!("failed to read `{TOTAL}`"))?;
    parse_total(&text).with_context(|| format!("`{TOTAL}` is not {{\"passed\": N}}"))
}

fn parse_total(text: &str) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    value.get("passed")?.as_u64()
}

fn write_total(root: &Path, passed: u64) -> anyhow::Result<()> {
    std::fs::write(root.join(TOTAL), format!("{{\"passed\": {passed}}}\n"))
        .with_context(|| format!("failed to write `{TOTAL}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn what_is_wanted_is_read_and_what_is_no_option_is_named() {
        let wanted = Wanted::parse(&words("--seeds 5 --first 7 --record")).unwrap();
        assert_eq!(
            (wanted.seeds, wanted.first, wanted.record),
            (Some(5), Some(7), true)
        );
        assert_eq!(
            Wanted::parse(&words("--midnight 9")).unwrap().midnight,
            Some(9)
        );
        for bad in [
            "--seed 5",
            "--seeds",
            "--seeds many",
            "5",
            "--midnight 9 --seeds 1",
        ] {
            let error = Wanted::parse(&words(bad)).unwrap_err().to_string();
            assert!(error.contains("usage"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_run_of_no_seeds_or_of_others_does_not_count() {
        let said = "\nrunning 1 test\n200 seeds from 400: Struck {}\n";
        assert!(told(said, 400, 200).is_some());
        assert!(told(said, 400, 100).is_none());
        assert!(told(said, 200, 200).is_none());
        assert!(told("running 0 tests", 0, 200).is_none());
    }

    #[test]
    fn a_total_is_one_number() {
        assert_eq!(parse_total("{\"passed\": 12}\n"), Some(12));
        assert_eq!(parse_total("{\"passed\": \"12\"}"), None);
        assert_eq!(parse_total(""), None);
    }
}
