//! The node under test of the conformance kit: the command line of `interlock`, whose `run` starts a
//! whole node as it ships, with other decisions and datasets, and a door at which the kit has it act.
//!
//! INVARIANT: only what a participant decides is scripted, behind the seam `Approver`; messages, state
//! machines, journal and doors are the shipped ones. It does not know what the kit expects.

mod control;
mod script;
mod seed;

use std::net::SocketAddr;
use std::process::ExitCode;

use interlock::cli::{self, CliError, DemoArguments, Programs};
use interlock::config::Config;
use interlock::run::{self, Beside, RunError};
use interlock::telemetry::{self, LogFormat};

use self::script::Script;

/// The variable with the address of the door at which the kit has the node act.
const CONTROL_VARIABLE: &str = "INTERLOCK_CONFORMANCE_CONTROL";

fn main() -> ExitCode {
    cli::main(Programs {
        run: start,
        demo: no_demo,
    })
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the seam of the command line gives it away"
)]
fn start(config: Config) -> Result<(), CliError> {
    let filter = std::env::var("INTERLOCK_LOG").unwrap_or_else(|_| "info".into());
    telemetry::start_log(LogFormat::Text, &filter).map_err(|e| CliError::Usage(e.to_string()))?;
    let control = control_address()?;
    let kit = config.partners.first().map(|listed| &listed.partner);
    let kit = kit.ok_or_else(|| {
        CliError::Usage("the kit is no partner; list it as the first `[[partner]]`".into())
    })?;
    let records = seed::records(&config.participant.id, &kit.id)
        .map_err(|error| CliError::Failed(error.to_string()))?;
    let listener = std::net::TcpListener::bind(control)
        .map_err(|error| CliError::Usage(format!("failed to listen on `{control}`: {error}")))?;
    let beside = Beside {
        approver: Some(Box::new(Script::default())),
        records,
        ..Beside::default()
    };
    let partner = kit.id.clone();
    run::run_beside(&config, beside, |server| {
        control::serve(listener, server.handle.clone(), partner);
        eprintln!(
            "the node under test is up, at {}",
            server.addresses.exchange
        );
    })
    .map_err(|error| match error {
        RunError::Configuration(text) => CliError::Usage(text),
        RunError::Failed(text) => CliError::Failed(text),
    })
}

fn control_address() -> Result<SocketAddr, CliError> {
    let text = std::env::var(CONTROL_VARIABLE).unwrap_or_default();
    text.parse().map_err(|_| {
        CliError::Usage(format!(
            "`{CONTROL_VARIABLE}` is no address; set it to one such as `127.0.0.1:8090`"
        ))
    })
}

fn no_demo(_: &DemoArguments, _: bool) -> Result<(), CliError> {
    Err(CliError::Usage(
        "this program has no demo; use `interlock demo`".into(),
    ))
}
