//! Java and Maven, without which the kit cannot run.
//!
//! INVARIANT: afterwards both are there, or the error names the command that installs them.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// What Debian calls a Java that can run a source file, and Maven.
const PACKAGES: [&str; 2] = ["default-jdk-headless", "maven"];
const ADVICE: &str = "apt-get install -y --no-install-recommends default-jdk-headless maven";

/// Installs what is missing, as root on Debian.
pub(super) fn ensure() -> anyhow::Result<()> {
    if are_there() {
        return Ok(());
    }
    if !is_root() || !has("apt-get", "--version") {
        bail!("the kit needs Java 17 or later and Maven; as root on Debian: {ADVICE}");
    }
    eprintln!("installing {}", PACKAGES.join(" "));
    apt(&["update", "-q"])?;
    apt(&[
        &["install", "-q", "-y", "--no-install-recommends"],
        &PACKAGES[..],
    ]
    .concat())?;
    if !are_there() {
        bail!(
            "Java and Maven were installed and do not run; try `java -version` and `mvn -version`"
        );
    }
    Ok(())
}

fn are_there() -> bool {
    has("javac", "-version") && has("java", "-version") && has("mvn", "-version")
}

fn has(program: &str, argument: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::null());
    let output = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    output.is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn apt(args: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("apt-get");
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    let status = command.stdin(Stdio::null()).status();
    if !status.context("failed to start apt-get")?.success() {
        bail!(
            "`apt-get {}` failed; install by hand: {ADVICE}",
            args.join(" ")
        );
    }
    Ok(())
}
