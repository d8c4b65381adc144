//! `rebuild`: what is derived from the journal, made anew.
//!
//! INVARIANT: the journal and the content keys are read and never changed; a node that runs is not
//! touched, because it holds the lock of its directory. It does not know what is derived.

use serde_json::json;

use super::args::Common;
use super::error::CliError;
use super::output::Output;
use super::{Around, place};
use crate::progress::Progress;
use crate::run;

/// `rebuild`
pub(super) fn rebuild(
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let config = place::config(common, around)?;
    let progress = Progress::new(!output.json);
    let begin = around.now();
    let outcome = run::rebuild(&config, &mut |records| {
        progress.say(&format!("{records} records of the journal are replayed"));
    });
    progress.end();
    let records = outcome.map_err(|error| CliError::Failed(error.to_string()))?;
    let seconds = around.now().since_ms(begin) as f64 / 1_000.0;
    let value = json!({
        "directory": config.store.dir.display().to_string(),
        "records": records,
        "seconds": seconds,
    });
    output.card(
        &value,
        &[
            ("directory", "/directory"),
            ("records", "/records"),
            ("seconds", "/seconds"),
        ],
    )
}
