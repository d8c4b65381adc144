//! `cargo xtask bench`: builds the binary and the benchmarks, and runs them.
//!
//! INVARIANT: what is measured was built just now, both in one build. It knows no benchmark.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};

use crate::cargo::cargo;

/// Runs the benchmarks with `args`; their exit code.
pub(crate) fn run(root: &Path, args: &[String]) -> anyhow::Result<ExitCode> {
    let status = cargo()
        .args(["build", "--quiet", "--release"])
        .args(["--package", "interlock", "--package", "interlock-bench"])
        .current_dir(root)
        .status()
        .context("failed to start cargo")?;
    if !status.success() {
        bail!("the release build failed; repair it first");
    }
    let own = std::env::current_exe().context("failed to find this program's own path")?;
    let Some(target) = own.ancestors().nth(2) else {
        bail!("`{}` is in no target directory", own.display());
    };
    let status = Command::new(target.join("release").join("interlock-bench"))
        .args(args)
        .status()
        .context("failed to start the benchmarks")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
