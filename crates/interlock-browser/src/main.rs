//! `cargo xtask pages`: every page of whole nodes in a real browser, before, in and after the cut of 2017.
//!
//! INVARIANT: it passes only if every page that it reached was shown in every look and nothing was found.
//! It reaches nodes by their doors only.

mod browser;
mod crawl;
mod driver;
mod hand;
mod june;
mod newcomer;
mod page;
mod print;
mod recipient;
mod round;
mod shop;
mod spoilt;
mod visit;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

const USAGE: &str = "\
usage: cargo xtask pages [--screenshots DIR] [--quick] [--names]
  --screenshots DIR  a picture of every page in both languages and widths, light and dark
  --quick            one moment, both languages and widths, light alone
  --names            only pages on which everybody is called what nobody should be called";

/// What is wanted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    axe: Option<PathBuf>,
    screenshots: Option<PathBuf>,
    quick: bool,
    names: bool,
}

impl Wanted {
    fn parse(args: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut wanted = Self::default();
        let mut args = args;
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--quick" => wanted.quick = true,
                "--names" => wanted.names = true,
                "--screenshots" | "--axe" => {
                    let value = args.next().map(PathBuf::from);
                    let value = value.with_context(|| format!("`{arg}` takes a path\n{USAGE}"))?;
                    match arg.as_str() {
                        "--axe" => wanted.axe = Some(value),
                        _ => wanted.screenshots = Some(value),
                    }
                }
                _ => bail!("`{arg}` is no option of pages\n{USAGE}"),
            }
        }
        Ok(wanted)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let wanted = match Wanted::parse(std::env::args().skip(1)) {
        Ok(wanted) => wanted,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(ExitCode::from(2));
        }
    };
    let axe = wanted.axe.as_deref();
    let axe = axe.context("`--axe FILE` is missing; run this as `cargo xtask pages`")?;
    let axe = std::fs::read_to_string(axe)
        .with_context(|| format!("failed to read `{}`", axe.display()))?;
    if let Some(directory) = &wanted.screenshots {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("failed to make `{}`", directory.display()))?;
    }
    let root = std::env::temp_dir().join(format!("interlock-pages-{}", std::process::id()));
    std::fs::create_dir(&root).with_context(|| format!("failed to make `{}`", root.display()))?;
    let outcome = all(&wanted, &axe, &root);
    std::fs::remove_dir_all(&root)
        .with_context(|| format!("failed to remove `{}`", root.display()))?;
    outcome
}

fn all(wanted: &Wanted, axe: &str, root: &Path) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to make a runtime")?;
    let found = runtime.block_on(visit::all(wanted, axe, root))?;
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    Ok(match found {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}
