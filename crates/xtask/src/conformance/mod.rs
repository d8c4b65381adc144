//! `cargo xtask conformance`: the official kit of Dataspace Protocol 2025-1 against a whole node.
//!
//! INVARIANT: it passes only if the kit started exactly [`TESTS`] tests and every one succeeded, and all
//! that our nodes emit fits the published schemas, so that a run in which nothing was tested fails. What
//! the kit and the nodes said stays in `target/conformance`. It knows the node by its command line and
//! doors, never its code.

mod kit;
mod messages;
mod node;
mod verdict;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use self::kit::Kit;
use self::node::UnderTest;
use self::verdict::Verdict;
use crate::now;
use crate::tools::{Tools, need};

const TOOLS: Tools = Tools {
    what: "Java 17 or later and Maven",
    needs: &[
        need(&["javac", "-version"], "default-jdk-headless"),
        need(&["java", "-version"], "default-jdk-headless"),
        need(&["mvn", "-version"], "maven"),
    ],
};
/// Tests of the kit that run; two more are disabled by the kit itself.
const TESTS: u32 = 65;

/// Runs the kit: against our node, or with `--kit-alone` against the kit's own connector, which shows
/// that kit and launcher are in order.
pub(crate) fn run(root: &Path, args: &[String]) -> anyhow::Result<ExitCode> {
    let alone = match args {
        [] => false,
        [one] if one == "--kit-alone" => true,
        _ => {
            eprintln!("error: usage: cargo xtask conformance [--kit-alone]");
            return Ok(ExitCode::from(2));
        }
    };
    let begin = now();
    TOOLS.ensure()?;
    let place = root.join("target/conformance");
    std::fs::create_dir_all(&place)
        .with_context(|| format!("failed to make `{}`", place.display()))?;
    let kit = Kit::resolve(root, &place)?;
    let schemas = match alone {
        true => None,
        false => Some(messages::check(root, &place, |messages, result| {
            kit.validate(messages, result)
        })?),
    };
    let result = match alone {
        true => kit.execute(&kit::alone())?,
        false => {
            let under_test = UnderTest::start(root, &place)?;
            kit.execute(&kit::against(&under_test.addresses))?
        }
    };
    let verdict = Verdict::parse(&result)?;
    println!("{}", verdict.words(TESTS));
    if let Some(schemas) = &schemas {
        println!("{}", schemas.words());
    }
    println!(
        "{:.0} s; what was said is in target/conformance",
        begin.elapsed().as_secs_f64()
    );
    let fits = schemas.is_none_or(|schemas| schemas.passes());
    Ok(match verdict.passes(TESTS) && fits {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
