//! The program: the command line and the two commands that are programs of their own.

use std::process::ExitCode;

use interlock::cli::{self, CliError, Programs};

fn main() -> ExitCode {
    cli::main(Programs {
        run: |_config| Err(not_built("run")),
        demo: |_arguments, _json| Err(not_built("demo")),
    })
}

/// Until the driver is joined to the command line.
fn not_built(command: &str) -> CliError {
    CliError::Failed(format!("this build has no `{command}`; use a later one"))
}
