//! The program: the command line and the two commands that are programs of their own.

use std::process::ExitCode;

use interlock::cli::{self, CliError, DemoArguments, Programs};
use interlock::demo::{self, DemoError, Options, Source};
use interlock::run::{self, RunError};
use interlock::telemetry::{self, LogFormat};
use mimalloc::MiMalloc;
use zeroizing_alloc::ZeroAlloc;

/// Bodies are made by the doors' threads and dropped by the writer's: decision 0031. What is dropped is
/// wiped, wherever it lay: decision 0070.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<MiMalloc> = ZeroAlloc(MiMalloc);

fn main() -> ExitCode {
    cli::main(Programs {
        run: start,
        demo: replay,
    })
}

/// Runs a node; its log goes to standard error.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the seam of the command line gives it away"
)]
fn start(config: interlock::config::Config) -> Result<(), CliError> {
    let filter = std::env::var("INTERLOCK_LOG").unwrap_or_else(|_| "info".into());
    telemetry::start_log(LogFormat::Text, &filter).map_err(|e| CliError::Usage(e.to_string()))?;
    let name = config.participant.name.clone();
    run::run(&config, |doors| {
        let door =
            |address: Option<std::net::SocketAddr>| address.map_or("-".into(), |a| a.to_string());
        eprintln!(
            "{name} is up: exchange {}, local API {}, pages {}, metrics {}",
            doors.exchange,
            door(doors.local),
            door(doors.public),
            door(doors.metrics)
        );
    })
    .map_err(|error| match error {
        RunError::Configuration(text) => CliError::Usage(text),
        RunError::Failed(text) => CliError::Failed(text),
    })
}

/// Replays June 2017.
fn replay(arguments: &DemoArguments, json: bool) -> Result<(), CliError> {
    let options = Options {
        parcels: Source::parse(&arguments.parcels),
        until: arguments.until.clone(),
        stay: arguments.stay,
        json,
    };
    let failed = |error: DemoError| {
        let text = error.to_string();
        match error.is_of_usage() {
            true => CliError::Usage(text),
            false => CliError::Failed(text),
        }
    };
    let report = demo::run(&options).map_err(failed)?;
    if report.holds() {
        return Ok(());
    }
    let text = "the figures do not hold what the demo promises; report it as a fault";
    Err(CliError::Verification(text.into()))
}
