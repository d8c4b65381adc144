//! The program: the command line and the two commands that are programs of their own.

use std::process::ExitCode;

use interlock::cli::{self, CliError, DemoArguments, Programs};
use interlock::demo::{self, DemoError, Options, Source};

fn main() -> ExitCode {
    cli::main(Programs {
        run: |_config| Err(not_built("run")),
        demo: replay,
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
    let report = demo::run(&options).map_err(|error| match error {
        DemoError::Until { .. } | DemoError::Parcels(_) => CliError::Usage(error.to_string()),
        error => CliError::Failed(error.to_string()),
    })?;
    if report.holds() {
        return Ok(());
    }
    let text = "the figures do not hold what the demo promises; report it as a fault";
    Err(CliError::Verification(text.into()))
}

/// Until the driver is joined to the command line.
fn not_built(command: &str) -> CliError {
    CliError::Failed(format!("this build has no `{command}`; use a later one"))
}
