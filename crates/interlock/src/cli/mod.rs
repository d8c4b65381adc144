//! The command line.
//!
//! Purpose: one thin layer between a person or script and a node. Invariants: results go to standard
//! output, everything else to standard error; every failure says what to do and has its exit code; a
//! key is never taken from or put into a command's arguments. It does not know a node from inside:
//! commands ask its local API, except those that need no running node.

mod agreement;
mod args;
mod backup;
mod client;
mod error;
mod evidence;
mod init;
mod journal;
mod mediation;
mod messenger;
mod offer;
mod offline;
mod output;
mod partner;
mod people;
mod place;
mod probe;
mod rebuild;
mod reconcile;
mod rehearse;
mod show;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Parser as _};
use interlock_core::time::Timestamp;
use serde_json::Value;
use zeroize::Zeroizing;

pub use args::DemoArguments;
pub use error::CliError;
pub use init::{ADMIN_KEY_FILE, MASTER_KEY_FILE, NODE_KEY_FILE};

use self::args::{Arguments, Command};
use self::output::Output;
use crate::config::Config;
use crate::driver::clock::{Clock as _, SystemClock};

/// Largest policy that is read from a file, in bytes.
const POLICY_FILE_BYTES_MAX: usize = 64 * 1024;
/// Most that is read of standard input, in bytes.
const INPUT_BYTES_MAX: u64 = 16 * 1024;

/// The two commands that are whole programs of their own.
#[derive(Clone, Copy)]
pub struct Programs {
    /// `run`: runs a node with this configuration, whose paths are absolute, until it is told to stop.
    pub run: fn(Config) -> Result<(), CliError>,
    /// `demo`: the flags, and whether JSON is wanted.
    pub demo: fn(&DemoArguments, bool) -> Result<(), CliError>,
}

/// What surrounds a command.
pub struct Surroundings<'a> {
    /// The directory to which paths are relative.
    pub directory: PathBuf,
    /// The variable `INTERLOCK_KEY`.
    pub key: Option<Zeroizing<String>>,
    /// Standard input.
    pub input: &'a mut dyn Read,
    /// Whether standard input is a terminal.
    pub typed: bool,
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
    /// Whether standard output is a terminal.
    pub terminal: bool,
    /// `run` and `demo`.
    pub programs: Programs,
}

/// What a command sees of its surroundings; results go to an [`Output`].
struct Around<'a> {
    directory: PathBuf,
    key: Option<Zeroizing<String>>,
    input: &'a mut dyn Read,
    typed: bool,
    err: &'a mut dyn Write,
    programs: Programs,
}

impl Around<'_> {
    /// The time.
    fn now(&self) -> Timestamp {
        SystemClock::new(0).now().earliest
    }

    /// Tells a person something that is no result.
    fn note(&mut self, text: &str) {
        // Nothing can be said if standard error is closed.
        let _ = writeln!(self.err, "{text}");
    }

    /// Reads standard input, which holds `what`; `form` says so to whoever types.
    fn read(&mut self, what: &str, form: &str) -> Result<Zeroizing<String>, CliError> {
        if self.typed {
            self.note(&format!("{form}; end it with a line of its own and Ctrl-D"));
        }
        let mut text = Zeroizing::new(String::with_capacity(1024));
        let mut input = (&mut self.input).take(INPUT_BYTES_MAX);
        match input.read_to_string(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(CliError::Usage(format!("failed to read {what}: {error}"))),
        }
    }
}

/// Runs the command line of this process and gives its exit code.
pub fn main(programs: Programs) -> std::process::ExitCode {
    use std::io::IsTerminal as _;
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let mut input = std::io::stdin();
    let terminal = out.is_terminal();
    let around = Surroundings {
        directory: std::env::current_dir().unwrap_or_default(),
        key: std::env::var(place::KEY_VARIABLE).ok().map(Zeroizing::new),
        typed: input.is_terminal(),
        input: &mut input,
        out: &mut out,
        err: &mut err,
        terminal,
        programs,
    };
    std::process::ExitCode::from(run(std::env::args_os(), around))
}

/// Runs a command; gives the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>, around: Surroundings<'_>) -> u8 {
    let Surroundings {
        directory,
        key,
        input,
        typed,
        out,
        err,
        terminal,
        programs,
    } = around;
    let mut around = Around {
        directory,
        key,
        input,
        typed,
        err,
        programs,
    };
    let parsed = match Arguments::try_parse_from(arguments) {
        Ok(parsed) => parsed,
        Err(error) => {
            let stream: &mut dyn Write = if error.use_stderr() { around.err } else { out };
            let text = error.render();
            // Nothing can be said if standard error is closed.
            let _ = match terminal {
                true => write!(stream, "{}", text.ansi()),
                false => write!(stream, "{text}"),
            };
            return if error.use_stderr() { 2 } else { 0 };
        }
    };
    let mut output = Output {
        writer: out,
        json: parsed.common.json,
        colour: terminal,
    };
    match dispatch(&parsed, &mut around, &mut output) {
        Ok(()) => 0,
        Err(error) => {
            around.note(&format!("error: {error}"));
            error.code()
        }
    }
}

fn dispatch(
    arguments: &Arguments,
    around: &mut Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let common = &arguments.common;
    match &arguments.command {
        Command::Demo(demo) => (around.programs.demo)(demo, common.json),
        Command::Init(arguments) => init::init(arguments, around, output),
        Command::Run => (around.programs.run)(place::config(common, around)?),
        Command::Check => offline::check(common, around, output),
        Command::Partner(command) => partner::run(command, common, around, output),
        Command::Offer(command) => offer::run(command, common, around, output),
        Command::Catalog { partner } => offer::catalog(partner, common, around, output),
        Command::Agreement(command) => agreement::run(command, common, around, output),
        Command::Mediation(command) => mediation::run(command, common, around, output),
        Command::Explain(arguments) => show::explain(arguments, common, around, output),
        Command::Rehearse(arguments) => rehearse::run(arguments, common, around, output),
        Command::Parcel(command) => show::parcel(command, common, around, output),
        Command::Station(command) => show::station(command, common, around, output),
        Command::Journal(command) => journal::run(command, common, around, output),
        Command::Evidence(command) => evidence::run(command, common, around, output),
        Command::Reconcile(arguments) => reconcile::run(arguments, common, around, output),
        Command::Status => show::status(common, around, output),
        Command::Statistics => show::statistics(common, around, output),
        Command::Backup(arguments) => backup::backup(arguments, common, around, output),
        Command::Rebuild => rebuild::rebuild(common, around, output),
        Command::Restore(arguments) => backup::restore(arguments, around, output),
        Command::Key(command) => show::key(command, common, around, output),
        Command::People(command) => people::run(command, common, around, output),
        Command::Messenger(command) => messenger::run(command, common, around, output),
        Command::Completions { shell } => {
            let mut bytes = Vec::new();
            let mut command = Arguments::command();
            clap_complete::generate(*shell, &mut command, "interlock", &mut bytes);
            output.raw(&bytes)
        }
        Command::Man => {
            let mut bytes = Vec::new();
            let page = clap_mangen::Man::new(Arguments::command());
            let rendered = page.render(&mut bytes);
            rendered.map_err(|error| CliError::Failed(error.to_string()))?;
            output.raw(&bytes)
        }
    }
}

/// Reads a JSON file that a flag names.
fn json_file(path: &Path) -> Result<Value, CliError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        CliError::Usage(format!("failed to read `{shown}`: {error}; check the path"))
    })?;
    if text.len() > POLICY_FILE_BYTES_MAX {
        return Err(CliError::Usage(format!(
            "`{shown}` has more than {POLICY_FILE_BYTES_MAX} bytes; is it a policy?"
        )));
    }
    serde_json::from_str(&text)
        .map_err(|error| CliError::Usage(format!("`{shown}` is no JSON: {error}; correct it")))
}
