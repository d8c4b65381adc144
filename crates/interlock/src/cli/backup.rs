//! `backup` and `restore`: copies of a node beside it, and nodes made from them.
//!
//! INVARIANT: nothing that exists is changed. What a copy holds is the business of [`crate::backup`].

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::args::Common;
use super::error::CliError;
use super::output::Output;
use super::{Around, place};
use crate::backup::{self, BackupError, Manifest, Places};
use crate::config::Config;

/// Flags of `backup`.
#[derive(Debug, Args)]
pub(super) struct BackupArguments {
    /// The directory to make
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// Flags of `restore`.
#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    /// A directory that `backup` made
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The directory of the node to make
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The master key that the node had, if it is kept elsewhere; else a new one is made
    #[arg(long, value_name = "FILE")]
    master_key: Option<PathBuf>,
}

/// `backup`
pub(super) fn backup(
    arguments: &BackupArguments,
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let config = place::config(common, around)?;
    let places = places(place::config_path(common, around), &config);
    let to = around.directory.join(&arguments.to);
    let id = &config.participant.id;
    let made_at = around.now().to_rfc3339(config.participant.zone);
    let manifest = backup::backup(&places, id, made_at, &to).map_err(failed)?;
    card(&manifest, &to, output)
}

/// `restore`
pub(super) fn restore(
    arguments: &RestoreArguments,
    around: &mut Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let from = around.directory.join(&arguments.from);
    let to = around.directory.join(&arguments.to);
    backup::check(&from).map_err(failed)?;
    let mut config = place::config_in(&from.join(place::CONFIG_NAME))?;
    let text = from.join(place::CONFIG_NAME);
    let parsed = std::fs::read_to_string(&text).ok();
    if let Some(Ok(fresh)) = parsed.as_deref().map(Config::parse) {
        config = fresh;
        config.resolve_paths(&to);
    }
    let places = places(to.join(place::CONFIG_NAME), &config);
    for path in [&places.key, &places.store] {
        if !path.starts_with(&to) {
            return Err(CliError::Usage(format!(
                "the configuration in the backup puts `{}` outside of `{}`; give it a path below its own \
                 directory in a copy of the backup's configuration, and restore by hand",
                path.display(),
                to.display()
            )));
        }
    }
    let master = arguments
        .master_key
        .as_ref()
        .map(|path| around.directory.join(path));
    let manifest = backup::restore(&from, &places, &to, master.as_deref()).map_err(failed)?;
    around.note(
        "the content keys are in no backup: personal data of before is not readable unless you put the \
         node's `data/keys` and its master key back before it starts; at its first start the node compares \
         itself with every partner before it signs anything",
    );
    card(&manifest, &to, output)
}

fn places(config: PathBuf, parsed: &Config) -> Places {
    Places {
        config,
        key: parsed.participant.key_file.clone(),
        store: parsed.store.dir.clone(),
    }
}

fn card(manifest: &Manifest, dir: &Path, output: &mut Output<'_>) -> Result<(), CliError> {
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let value = json!({
        "directory": dir.display().to_string(),
        "participant": manifest.participant.as_str(),
        "madeAt": manifest.made_at,
        "lastRecord": manifest.last_record,
        "files": manifest.files.len(),
        "bytes": bytes,
    });
    output.card(
        &value,
        &[
            ("directory", "/directory"),
            ("participant", "/participant"),
            ("made at", "/madeAt"),
            ("last record", "/lastRecord"),
            ("files", "/files"),
            ("bytes", "/bytes"),
        ],
    )
}

fn failed(error: BackupError) -> CliError {
    let text = error.to_string();
    match error {
        BackupError::Differs { .. } | BackupError::Damaged(_) => CliError::Verification(text),
        BackupError::NotEmpty(_) => CliError::Usage(text),
        BackupError::Io { .. } | BackupError::Private(_) => CliError::Failed(text),
    }
}
