//! What a node tells its operators: a log on stderr and counters.
//!
//! INVARIANT: neither holds personal data, tokens, keys or the paths of links; labels come from fixed
//! sets, so that their number is bounded. It does not know what is counted.

mod metrics;

pub use metrics::{Counter, Gauge, METRICS_MEDIA_TYPE, Metrics};

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be parsed.
    #[error("`{0}` is no log filter; write a level such as `info`, or `info,interlock=debug`")]
    Filter(String),
    /// Something else has set up a log in this process.
    #[error("the log of this process is set up already")]
    SetUp,
}

/// Starts the log on stderr, once a process. `filter` is a level or a list of `target=level`.
///
/// # Errors
/// [`LogError`] for a filter that cannot be parsed, or a second call.
pub fn start_log(format: LogFormat, filter: &str) -> Result<(), LogError> {
    let parsed = EnvFilter::try_new(filter).map_err(|_| LogError::Filter(filter.into()))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|_| LogError::SetUp)
}
