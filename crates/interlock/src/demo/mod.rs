//! The demo: June 2017 replayed on whole nodes.
//!
//! INVARIANT: it reaches nodes by their doors only, and no node knows of it. Every figure that it
//! reports is counted from what the nodes stored or answered, none from what it meant to send.

pub mod api;
mod audit;
pub mod cast;
mod count;
mod course;
pub mod deal;
mod error;
mod gateway;
mod lanes;
mod look;
pub mod network;
mod paint;
pub mod parcels;
mod plan;
mod rehearsal;
mod report;
mod stay;
mod streets;
pub mod style;
mod telephone;
mod text;

use std::ffi::OsStr;
use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use interlock_core::time::{DAY_MS, MINUTE_MS, Timestamp};

use self::count::Figures;
use self::course::Course;
use self::network::Network;
use self::paint::Paint;
use self::parcels::{DemoParcel, generate, read_lade};
use self::plan::{Plan, day_start};
use self::report::{Notes, Other};
use self::style::Style;
use crate::driver::clock::{Clock as _, SystemClock};
use crate::driver::entropy::SystemRng;
use crate::node::Rng as _;
use crate::progress::Progress;

pub use error::DemoError;
pub use rehearsal::{Check, Rehearsal, Said};
pub use report::{Counts, Day, Evidence, Report};

/// Parcels of a demo that names none.
pub const PARCELS_DEFAULT: usize = 5_000;
/// How many days after the last pick-up a demo may end.
const UNTIL_AFTER_DAYS_MAX: i64 = 30;
/// From which everything that is not recorded is drawn.
pub const SEED: u64 = 2017;

/// Where parcels come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// So many, generated.
    Generated(usize),
    /// Read from a file in the format of LaDe's pick-up part.
    File(PathBuf),
}

impl Source {
    /// A number, or else a file.
    pub fn parse(text: &OsStr) -> Self {
        let number = text.to_str().and_then(|text| text.parse().ok());
        number.map_or_else(|| Self::File(text.into()), Self::Generated)
    }
}

/// What `interlock demo` was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The parcels.
    pub parcels: Source,
    /// The last day, `2017-06-08`; a day after the last pick-up if absent.
    pub until: Option<String>,
    /// Whether nodes and pages stay up afterwards.
    pub stay: bool,
    /// Whether one JSON object is printed instead of the report for people.
    pub json: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            parcels: Source::Generated(PARCELS_DEFAULT),
            until: None,
            stay: false,
            json: false,
        }
    }
}

/// Runs the demo in a temporary directory and prints its report. The directory is removed at the end.
///
/// # Errors
/// [`DemoError`]; nothing is left running or behind.
pub fn run(options: &Options) -> Result<Report, DemoError> {
    let root = temporary_directory()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(DemoError::own("a runtime"))?;
    let outcome = runtime.block_on(async {
        // A demo that has been shown is preferred to its interruption.
        tokio::select! {
            biased;
            outcome = show(options, &root) => outcome,
            Ok(()) = tokio::signal::ctrl_c() => Err(DemoError::Interrupted),
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    let removed = fs::remove_dir_all(&root).map_err(DemoError::files(&root));
    let report = outcome?;
    removed?;
    Ok(report)
}

/// A directory of our own that nobody else can read.
fn temporary_directory() -> Result<PathBuf, DemoError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut name = [0; 8];
    SystemRng.fill(&mut name);
    let name = u64::from_le_bytes(name);
    let root = std::env::temp_dir().join(format!("interlock-demo-{name:016x}"));
    let made = fs::DirBuilder::new().mode(0o700).create(&root);
    made.map_err(DemoError::files(&root))?;
    Ok(root)
}

async fn show(options: &Options, root: &Path) -> Result<Report, DemoError> {
    let (report, network) = live_through(options, root).await?;
    let paint = Paint(!options.json && std::io::stdout().is_terminal());
    let mut text = match options.json {
        true => serde_json::to_string_pretty(&report).map_err(DemoError::own("the report"))? + "\n",
        false => text::render(&report, paint).map_err(DemoError::own("the report"))?,
    };
    if options.stay {
        let links = report.links();
        let guide = stay::guide(&network, &links, paint).map_err(DemoError::own("the guide"))?;
        match options.json {
            true => eprintln!("{guide}"),
            false => text.push_str(&guide),
        }
    }
    // Whoever reads may have gone away; the demo has been shown.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    if options.stay {
        let stopped = tokio::signal::ctrl_c().await;
        stopped.map_err(DemoError::own("a stop by Ctrl-C"))?;
    }
    network.stop().await;
    Ok(report)
}

/// Runs the demo under `root`, which must be empty, and stops the nodes; their directories stay there
/// for whoever wants to look into them. Nothing is printed.
///
/// # Errors
/// [`DemoError`].
pub async fn replay(options: &Options, root: &Path) -> Result<Report, DemoError> {
    let (report, network) = live_through(options, root).await?;
    network.stop().await;
    Ok(report)
}

/// Lives through the demo under `root`, which must be empty, and leaves the nodes up at the demo's last
/// moment, for whoever wants to go on from there. Nothing is printed.
///
/// # Errors
/// [`DemoError`].
pub async fn stage(options: &Options, root: &Path) -> Result<(Report, Network), DemoError> {
    live_through(options, root).await
}

async fn live_through(options: &Options, root: &Path) -> Result<(Report, Network), DemoError> {
    let stopwatch = SystemClock::new(0);
    let started = stopwatch.now().earliest;
    let parcels = match &options.parcels {
        Source::Generated(count) => generate(*count, SEED)?,
        Source::File(path) => read_lade(path, SEED)?,
    };
    let parcels = Arc::new(parcels);
    let end = end_of(options.until.as_deref(), &parcels)?;
    let progress = Progress::new(!options.json);
    let recorded = matches!(options.parcels, Source::File(_));
    let run = Run {
        parcels: &parcels,
        recorded,
        end,
    };
    let other = root.join("as-in-2017");
    fs::create_dir(&other).map_err(DemoError::files(&other))?;
    let (network, figures, notes) = run.live(&other, Style::AsIn2017, progress).await?;
    network.stop().await;
    let other = Other { figures, notes };
    let (network, figures, mut notes) = run.live(root, Style::Interlock, progress).await?;
    notes.recorded = recorded;
    let audit = audit::audit(&network.nodes, &parcels, &root.join("audit"))?;
    progress.end();
    let took_ms = stopwatch.now().earliest.since_ms(started);
    let duration_ms = u64::try_from(took_ms).unwrap_or(0);
    let report = Report::new(figures, notes, other, audit, duration_ms);
    Ok((report, network))
}

/// What both runs have in common.
struct Run<'a> {
    parcels: &'a Arc<Vec<DemoParcel>>,
    recorded: bool,
    end: Timestamp,
}

impl Run<'_> {
    /// Lives through the weeks on new nodes under `root`.
    async fn live(
        &self,
        root: &Path,
        style: Style,
        progress: Progress,
    ) -> Result<(Network, Figures, Notes), DemoError> {
        let plan = Plan::new(self.parcels, self.end);
        let network = Network::start(root, plan.begins, style).await?;
        // Recorded parcels all find room, though they come and go at the ends of the plan's pieces.
        let room = match self.recorded {
            true => parcels::Room::Ample {
                slack_ms: plan::STEP_MS,
            },
            false => parcels::Room::Usual,
        };
        let course = Course::new(&network, self.parcels.clone(), room, progress);
        let (figures, notes) = course.run(plan).await?;
        Ok((network, figures, notes))
    }
}

/// The last minute of the day on which the demo ends.
fn end_of(until: Option<&str>, parcels: &[DemoParcel]) -> Result<Timestamp, DemoError> {
    let last = parcels.iter().map(|parcel| parcel.picked_up_at).max();
    let last = last.unwrap_or(deal::TRUCE);
    let first = parcels.iter().map(|parcel| parcel.accepted_at).min();
    let first = first.unwrap_or(deal::MIDNIGHT);
    let Some(given) = until else {
        return Ok(day_start(last).plus_ms(2 * DAY_MS - MINUTE_MS));
    };
    let refuse = |remedy: String| DemoError::Until {
        given: given.chars().take(32).collect(),
        remedy,
    };
    let text = format!("{given}T00:00:00+08:00");
    let (day, _) = Timestamp::parse_zoned(&text)
        .map_err(|_| refuse("write a day such as `2017-06-08`".into()))?;
    let earliest = day_start(first);
    if day < earliest {
        let first = report::date(earliest);
        return Err(refuse(format!("the first parcel is accepted on {first}")));
    }
    let latest = day_start(last).plus_ms(UNTIL_AFTER_DAYS_MAX * DAY_MS);
    if day > latest {
        let latest = report::date(latest);
        return Err(refuse(format!(
            "nothing happens after the last pick-up; write a day up to {latest}"
        )));
    }
    Ok(day.plus_ms(DAY_MS - MINUTE_MS))
}
