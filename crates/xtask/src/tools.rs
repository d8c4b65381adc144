//! Programs without which a task cannot run, wherever they are from; Debian has them all.
//!
//! INVARIANT: afterwards all are there, or the error names the command that installs them. What is there
//! is left as it is: Debian's package of it may not fit beside it.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// What a task needs.
pub(crate) struct Tools {
    /// For people: `Java 17 or later and Maven`.
    pub(crate) what: &'static str,
    /// In the order of their names in errors.
    pub(crate) needs: &'static [Need],
}

/// One thing that a task needs.
pub(crate) struct Need {
    /// A command that succeeds where it is there, and does nothing.
    pub(crate) probe: &'static [&'static str],
    /// What Debian calls the package that it is in.
    pub(crate) package: &'static str,
}

/// A program that succeeds with an argument where it is there.
pub(crate) const fn need(probe: &'static [&'static str], package: &'static str) -> Need {
    Need { probe, package }
}

impl Tools {
    /// Installs what is missing, and nothing else, as root on Debian.
    pub(crate) fn ensure(&self) -> anyhow::Result<()> {
        let missing = self.missing();
        if missing.is_empty() {
            return Ok(());
        }
        let packages = packages(&missing);
        let install = ["install", "-q", "-y", "--no-install-recommends"];
        let install = [&install, packages.as_slice()].concat();
        let advice = format!("apt-get {}", install.join(" "));
        if !is_root() || !succeeds(&["apt-get", "--version"]) {
            bail!("this needs {}; as root on Debian: {advice}", self.what);
        }
        eprintln!("installing {}", packages.join(" "));
        for args in [&["update", "-q"][..], &install] {
            let mut command = Command::new("apt-get");
            command
                .args(args)
                .env("DEBIAN_FRONTEND", "noninteractive")
                .stdin(Stdio::null());
            let status = command.status().context("failed to start apt-get")?;
            if !status.success() {
                let args = args.join(" ");
                bail!("`apt-get {args}` failed; install by hand: {advice}");
            }
        }
        match self.missing().first() {
            None => Ok(()),
            Some(need) => {
                let probe = need.probe.join(" ");
                bail!("`{}` was installed, and `{probe}` fails", need.package)
            }
        }
    }

    fn missing(&self) -> Vec<&'static Need> {
        let needs = self.needs.iter();
        needs.filter(|need| !succeeds(need.probe)).collect()
    }
}

/// The packages of what is missing, each once.
fn packages(missing: &[&Need]) -> Vec<&'static str> {
    let mut packages: Vec<&str> = Vec::new();
    for need in missing {
        if !packages.contains(&need.package) {
            packages.push(need.package);
        }
    }
    packages
}

fn succeeds(command: &[&str]) -> bool {
    let Some((program, arguments)) = command.split_first() else {
        return false;
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const THERE: Need = need(&["true"], "coreutils");
    const FAILS: Need = need(&["false"], "coreutils");
    const ABSENT: Need = need(&["interlock-is-no-such-program", "-V"], "interlock-is-none");

    #[test]
    fn only_what_is_not_there_is_missed() {
        let tools = Tools {
            what: "programs",
            needs: &[ABSENT, THERE, FAILS, FAILS],
        };
        let missing = tools.missing();
        assert_eq!(packages(&missing), ["interlock-is-none", "coreutils"]);
        let there = Tools {
            needs: &[THERE],
            ..tools
        };
        assert!(there.ensure().is_ok());
    }
}
