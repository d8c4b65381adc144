//! The program: the command line and the two commands that are programs of their own.

use std::process::ExitCode;

use interlock::cli::{self, CliError, Programs};
use interlock::run::{self, RunError};
use interlock::telemetry::{self, LogFormat};

fn main() -> ExitCode {
    cli::main(Programs {
        run: start,
        demo: |_arguments, _json| Err(not_built("demo")),
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

/// Until the driver is joined to the command line.
fn not_built(command: &str) -> CliError {
    CliError::Failed(format!("this build has no `{command}`; use a later one"))
}
