//! `cargo xtask bench`: figures beside their goals, each with its floor measured in the same run.
//!
//! INVARIANT: a figure is measured, never computed from another run. A benchmark is a function in
//! [`ALL`]; what it measures and how is its own business, how it is shown is decided in `figure`. Nodes
//! are processes of the shipped binary, reached by their doors; floors are the libraries alone.

mod campaign;
mod catalog;
mod client;
mod couriers;
mod decide;
mod documents;
mod encryption;
mod evidence;
mod feed;
mod figure;
mod floor;
mod idle;
mod ingest;
mod kill;
mod load;
mod lookup;
mod machine;
mod mediate;
mod midnight;
mod negotiate;
mod nothing;
mod outage;
mod pages;
mod pair;
mod place;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use figure::Figure;
use mimalloc::MiMalloc;
use zeroizing_alloc::ZeroAlloc;

/// The node's: floors are measured with what the node has.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<MiMalloc> = ZeroAlloc(MiMalloc);

/// What a benchmark may use.
struct Setting {
    /// The release build of `interlock`.
    binary: PathBuf,
    /// A directory for data, empty at the start of each benchmark.
    scratch: PathBuf,
    /// Little work: a rough figure.
    quick: bool,
    /// Events stored by `grow` and `recover`.
    events: Option<u64>,
    /// Nodes keep personal data as it is: the same library with another cipher, started by this program.
    plain: bool,
}

struct Benchmark {
    name: &'static str,
    measure: fn(&Setting) -> anyhow::Result<Vec<Figure>>,
}

const fn benchmark(
    name: &'static str,
    measure: fn(&Setting) -> anyhow::Result<Vec<Figure>>,
) -> Benchmark {
    Benchmark { name, measure }
}

/// All benchmarks, in the order in which they run.
const ALL: [Benchmark; 14] = [
    benchmark("rest", idle::rest),
    benchmark("start", idle::start),
    benchmark("ingest", ingest::ingest),
    benchmark("lookup", lookup::lookup),
    benchmark("encryption", encryption::encryption),
    benchmark("negotiate", negotiate::negotiate),
    benchmark("mediate", mediate::mediate),
    benchmark("catalog", catalog::catalog),
    benchmark("decide", decide::decide),
    benchmark("feed", feed::feed),
    benchmark("outage", outage::outage),
    benchmark("pages", pages::pages),
    benchmark("recover", ingest::recover),
    benchmark("grow", ingest::grow),
];

const USAGE: &str = "usage: cargo xtask bench [NAME...] [--quick] [--json] [--events N]";

struct Options {
    chosen: Vec<&'static Benchmark>,
    quick: bool,
    json: bool,
    events: Option<u64>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args == [nothing::ARGUMENT] {
        return ended(nothing::serve().map(|()| ExitCode::SUCCESS));
    }
    let rest = args.get(1..).unwrap_or_default();
    match args.first().map(String::as_str) {
        Some(encryption::ARGUMENT) => {
            return ended(encryption::serve(rest).map(|()| ExitCode::SUCCESS));
        }
        Some(kill::ARGUMENT) => return ended(beside_the_binary(kill::main, "xtask-kill", rest)),
        Some(midnight::ARGUMENT) => {
            return ended(beside_the_binary(midnight::main, "xtask-midnight", rest));
        }
        Some(_) | None => {}
    }
    match parse(&args) {
        Ok(options) => ended(run(&options)),
        Err(message) => {
            eprintln!("error: {message}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn ended(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// A campaign with nodes of the shipped binary: where that is, where its data goes, its arguments.
type Campaign = fn(PathBuf, PathBuf, &[String]) -> anyhow::Result<ExitCode>;

fn beside_the_binary(
    campaign: Campaign,
    scratch: &str,
    args: &[String],
) -> anyhow::Result<ExitCode> {
    let own = std::env::current_exe().context("failed to find this program's own path")?;
    let release = own.parent().context("this program is in no directory")?;
    campaign(
        release.join("interlock"),
        release.with_file_name(scratch),
        args,
    )
}

fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let own = std::env::current_exe().context("failed to find this program's own path")?;
    let release = own.parent().context("this program is in no directory")?;
    let scratch = release.with_file_name("xtask-bench");
    let (mut missed, mut of) = (0, 0);
    for benchmark in &options.chosen {
        let setting = Setting {
            binary: release.join("interlock"),
            scratch: scratch.join(benchmark.name),
            quick: options.quick,
            events: options.events,
            plain: false,
        };
        empty(&setting.scratch)?;
        let figures = (benchmark.measure)(&setting)
            .with_context(|| format!("failed to measure `{}`", benchmark.name))?;
        for figure in figures {
            match options.json {
                true => println!("{}", figure.to_json()),
                false => println!("{}", figure.to_line()),
            }
            missed += usize::from(!figure.met());
            of += 1;
        }
        // Data of many events is large; a failed benchmark keeps it for a look.
        empty(&setting.scratch)?;
    }
    if missed > 0 {
        eprintln!("{missed} of {of} goals missed");
    }
    // A quick run is too rough to judge by, on a machine that does other things too.
    Ok(match missed > 0 && !options.quick {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        chosen: Vec::new(),
        quick: false,
        json: false,
        events: None,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => options.quick = true,
            "--json" => options.json = true,
            "--events" => {
                let number = args.next().and_then(|text| text.parse().ok());
                options.events = Some(number.ok_or("write a number after `--events`")?);
            }
            name => match ALL.iter().find(|b| b.name == name) {
                Some(benchmark) => options.chosen.push(benchmark),
                None => {
                    let known: Vec<&str> = ALL.iter().map(|b| b.name).collect();
                    let known = known.join("`, `");
                    return Err(format!("`{name}` is no benchmark; there are `{known}`"));
                }
            },
        }
    }
    if options.chosen.is_empty() {
        options.chosen = ALL.iter().collect();
    }
    Ok(options)
}

fn empty(dir: &Path) -> anyhow::Result<()> {
    let failed = || format!("failed to empty `{}`", dir.display());
    if dir.exists() {
        std::fs::remove_dir_all(dir).with_context(failed)?;
    }
    std::fs::create_dir_all(dir).with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benchmarks_are_chosen_by_name() {
        let parsed = |args: &[&str]| parse(&args.iter().map(|a| (*a).into()).collect::<Vec<_>>());
        let all = parsed(&["--json"]).ok().unwrap();
        assert_eq!(
            (all.chosen.len(), all.json, all.quick, all.events),
            (ALL.len(), true, false, None)
        );
        let one = parsed(&["start", "--quick", "--events", "7"]).ok().unwrap();
        assert_eq!(
            (one.chosen[0].name, one.chosen.len(), one.quick, one.events),
            ("start", 1, true, Some(7))
        );
        let error = parsed(&["strat"]).err().unwrap();
        assert!(
            error.contains("`strat`") && error.contains("`start`"),
            "{error}"
        );
        assert!(parsed(&["--events", "many"]).is_err());
    }
}
