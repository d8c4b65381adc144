//! `cargo xtask bench`: figures beside their goals, each with its floor measured in the same run.
//!
//! INVARIANT: a figure is measured, never computed from another run. A benchmark is a function in
//! [`ALL`]; what it measures and how is its own business, how it is shown is decided here.

mod node;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use serde_json::json;

/// What a benchmark found.
struct Figure {
    value: f64,
    /// Unit of the value, the floor and the goal.
    unit: &'static str,
    /// The least that the machine could do in this run, if there is such a thing.
    floor: Option<f64>,
    /// The value must not be above it.
    goal_max: f64,
}

impl Figure {
    fn met(&self) -> bool {
        self.value <= self.goal_max
    }

    fn ratio(&self) -> Option<f64> {
        self.floor
            .filter(|floor| *floor > 0.0)
            .map(|floor| self.value / floor)
    }
}

/// What a benchmark may use.
struct Setting {
    /// The release build of `interlock`.
    binary: PathBuf,
    /// A directory for data, empty at the start of each benchmark.
    scratch: PathBuf,
    /// Fewer repetitions: a rough figure.
    quick: bool,
}

struct Benchmark {
    name: &'static str,
    about: &'static str,
    measure: fn(&Setting) -> anyhow::Result<Figure>,
}

/// All benchmarks, in the order in which they run.
const ALL: [Benchmark; 2] = [
    Benchmark {
        name: "rest",
        about: "memory of one node at rest",
        measure: node::rest,
    },
    Benchmark {
        name: "start",
        about: "from exec to the first answer; floor: the binary printing its version",
        measure: node::start,
    },
];

struct Options {
    chosen: Vec<&'static Benchmark>,
    quick: bool,
    json: bool,
}

/// Builds the binary and runs the benchmarks named in `args`, all without names.
pub(crate) fn run(root: &Path, args: &[String]) -> anyhow::Result<ExitCode> {
    let options = match parse(args) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("error: {message}");
            return Ok(ExitCode::from(2));
        }
    };
    let target = build(root)?;
    let mut missed = 0;
    for benchmark in &options.chosen {
        let scratch = target.join("xtask-bench").join(benchmark.name);
        empty(&scratch)?;
        let setting = Setting {
            binary: target.join("release").join("interlock"),
            scratch,
            quick: options.quick,
        };
        let figure = (benchmark.measure)(&setting)
            .with_context(|| format!("failed to measure `{}`", benchmark.name))?;
        if options.json {
            println!("{}", line_json(benchmark.name, &figure));
        } else {
            println!("{}", line_text(benchmark, &figure));
        }
        missed += usize::from(!figure.met());
    }
    if missed > 0 {
        eprintln!("{missed} of {} goals missed", options.chosen.len());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        chosen: Vec::new(),
        quick: false,
        json: false,
    };
    for arg in args {
        match arg.as_str() {
            "--quick" => options.quick = true,
            "--json" => options.json = true,
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

/// Builds the release binary and returns cargo's target directory, which this program runs from.
fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--package", "interlock"])
        .current_dir(root)
        .status()
        .context("failed to start cargo")?;
    if !status.success() {
        bail!("the release build failed; repair it first");
    }
    let own = std::env::current_exe().context("failed to find this program's own path")?;
    match own.ancestors().nth(2) {
        Some(target) => Ok(target.to_path_buf()),
        None => bail!("`{}` is in no target directory", own.display()),
    }
}

fn empty(dir: &Path) -> anyhow::Result<()> {
    let failed = || format!("failed to empty `{}`", dir.display());
    if dir.exists() {
        std::fs::remove_dir_all(dir).with_context(failed)?;
    }
    std::fs::create_dir_all(dir).with_context(failed)
}

fn line_json(name: &str, figure: &Figure) -> serde_json::Value {
    json!({
        "name": name,
        "value": figure.value,
        "unit": figure.unit,
        "floor": figure.floor,
        "ratio": figure.ratio(),
        "goal": figure.goal_max,
        "met": figure.met(),
    })
}

fn line_text(benchmark: &Benchmark, figure: &Figure) -> String {
    let verdict = if figure.met() { "met" } else { "MISSED" };
    let floor = match (figure.floor, figure.ratio()) {
        (Some(floor), Some(ratio)) => format!("floor {floor:.4}, x{ratio:.1}"),
        _ => "no floor".into(),
    };
    format!(
        "{:<8} {:>10.4} {:<4} goal <= {:<6} {verdict:<6}  {floor:<24} {}",
        benchmark.name, figure.value, figure.unit, figure.goal_max, benchmark.about
    )
}

/// The middle value; of an even number the upper of the two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: f64, floor: Option<f64>) -> Figure {
        Figure {
            value,
            unit: "s",
            floor,
            goal_max: 0.2,
        }
    }

    #[test]
    fn a_figure_is_shown_with_floor_ratio_and_goal() {
        assert_eq!(
            line_json("start", &figure(0.25, Some(0.125))).to_string(),
            "{\"floor\":0.125,\"goal\":0.2,\"met\":false,\"name\":\"start\",\"ratio\":2.0,\
             \"unit\":\"s\",\"value\":0.25}"
        );
        let bare = line_json("rest", &figure(0.2, None));
        assert_eq!(bare["met"], true);
        assert!(bare["floor"].is_null() && bare["ratio"].is_null());
        let text = line_text(&ALL[1], &figure(0.25, Some(0.125)));
        assert!(text.contains("MISSED") && text.contains("x2.0"), "{text}");
    }

    #[test]
    fn benchmarks_are_chosen_by_name() {
        let parsed = |args: &[&str]| parse(&args.iter().map(|a| (*a).into()).collect::<Vec<_>>());
        let all = parsed(&["--json"]).ok().unwrap();
        assert_eq!(
            (all.chosen.len(), all.json, all.quick),
            (ALL.len(), true, false)
        );
        let one = parsed(&["start", "--quick"]).ok().unwrap();
        assert_eq!(
            (one.chosen[0].name, one.chosen.len(), one.quick),
            ("start", 1, true)
        );
        let error = parsed(&["strat"]).err().unwrap();
        assert!(
            error.contains("`strat`") && error.contains("`start`"),
            "{error}"
        );
    }

    #[test]
    fn the_median_is_no_mean() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![]), None);
    }
}
