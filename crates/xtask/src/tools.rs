//! Programs of Debian without which a task cannot run.
//!
//! INVARIANT: afterwards all are there, or the error names the command that installs them.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// What a task needs.
pub(crate) struct Tools {
    /// For people: `Java 17 or later and Maven`.
    pub(crate) what: &'static str,
    /// Programs, each with an argument with which it does nothing.
    pub(crate) programs: &'static [(&'static str, &'static str)],
    /// What Debian calls the packages that they are in.
    pub(crate) packages: &'static [&'static str],
}

impl Tools {
    /// Installs what is missing, as root on Debian.
    pub(crate) fn ensure(&self) -> anyhow::Result<()> {
        if self.are_there() {
            return Ok(());
        }
        let install = ["install", "-q", "-y", "--no-install-recommends"];
        let install = [&install, self.packages].concat();
        let advice = format!("apt-get {}", install.join(" "));
        if !is_root() || !has("apt-get", "--version") {
            bail!("this needs {}; as root on Debian: {advice}", self.what);
        }
        eprintln!("installing {}", self.packages.join(" "));
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
        match self.missing() {
            None => Ok(()),
            Some((program, argument)) => {
                bail!("`{program}` was installed and does not run; try `{program} {argument}`")
            }
        }
    }

    fn are_there(&self) -> bool {
        self.missing().is_none()
    }

    fn missing(&self) -> Option<(&'static str, &'static str)> {
        let mut programs = self.programs.iter().copied();
        programs.find(|(program, argument)| !has(program, argument))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_missed() {
        let tools = Tools {
            what: "two programs",
            programs: &[
                ("true", "--version"),
                ("interlock-is-no-such-program", "-V"),
            ],
            packages: &[],
        };
        assert_eq!(
            tools.missing(),
            Some(("interlock-is-no-such-program", "-V"))
        );
        let there = Tools {
            programs: &[("true", "--version")],
            ..tools
        };
        assert!(there.ensure().is_ok());
    }
}
