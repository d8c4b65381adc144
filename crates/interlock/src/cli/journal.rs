//! `journal verify`: a whole journal, without a running node or beside one.
//!
//! INVARIANT: nothing is written. Every place is named by file, byte and record; a torn end, which the
//! next start cuts, is no damage.

use std::path::{Path, PathBuf};

use interlock_journal::disk::RealDisk;
use interlock_journal::hex;
use interlock_journal::journal::{Damage, Met, Position, Report, TornTail, segment_name, visit};
use serde_json::{Value, json};

use super::args::{Common, JournalCommand};
use super::error::CliError;
use super::output::Output;
use super::{Around, place};
use crate::driver::file_store::read_record;
use crate::driver::node::JOURNAL_DIR;
use crate::progress::Progress;

/// `journal`
pub(super) fn run(
    command: &JournalCommand,
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    match command {
        JournalCommand::Verify { dir } => verify(dir.as_deref(), common, around, output),
    }
}

/// Records that the frames hold whole and that no version of this program has written.
#[derive(Default)]
struct Unreadable {
    count: u64,
    first: Option<Position>,
}

/// `journal verify`: damage is exit code 4.
fn verify(
    dir: Option<&Path>,
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let dir = directory(dir, common, around)?;
    let progress = Progress::new(!output.json);
    let mut unreadable = Unreadable::default();
    let report = RealDisk::open_read_only(&dir).and_then(|mut disk| {
        visit(&mut disk, &mut |met| match met {
            Met::Record(header, body) => {
                if read_record(header.kind, body).is_none() {
                    unreadable.count += 1;
                    unreadable.first.get_or_insert(header.position);
                }
            }
            Met::Progress {
                read_bytes,
                total_bytes,
            } => progress.part("checking the journal", read_bytes, total_bytes),
        })
    });
    progress.end();
    let report = report.map_err(|error| {
        CliError::Failed(format!(
            "failed to read `{}`: {error}; check `store.dir` and who may use it",
            dir.display()
        ))
    })?;
    output.card(
        &report_json(&dir, &report, &unreadable),
        &[
            ("directory", "/directory"),
            ("segments", "/segments"),
            ("groups", "/groups"),
            ("records", "/records"),
            ("last record", "/last"),
            ("chain", "/chain"),
            ("torn end", "/tornTail/what"),
        ],
    )?;
    judge(&report, &unreadable)
}

fn judge(report: &Report, unreadable: &Unreadable) -> Result<(), CliError> {
    let mut places: Vec<String> = report
        .damage
        .iter()
        .map(|damage| {
            format!(
                "\n  {}, byte {}, record {} or after: {}: {}",
                segment_name(damage.segment),
                damage.offset,
                damage.position,
                damage.kind,
                damage.kind.meaning()
            )
        })
        .collect();
    if let Some(first) = unreadable.first {
        places.push(format!(
            "\n  {} records, from record {first} on, are of another version of interlock: check them \
             with the version that wrote them",
            unreadable.count
        ));
    }
    if places.is_empty() {
        return Ok(());
    }
    Err(CliError::Verification(format!(
        "the journal is damaged; stop the node, keep a copy and restore a backup:{}",
        places.concat()
    )))
}

/// Where the journal is: named itself, or by the directory of its store or node.
fn directory(
    dir: Option<&Path>,
    common: &Common,
    around: &Around<'_>,
) -> Result<PathBuf, CliError> {
    let Some(dir) = dir else {
        return Ok(place::config(common, around)?.store.dir.join(JOURNAL_DIR));
    };
    let dir = around.directory.join(dir);
    if dir.join(JOURNAL_DIR).is_dir() {
        return Ok(dir.join(JOURNAL_DIR));
    }
    if dir.join(place::CONFIG_NAME).is_file() {
        let config = place::config_in(&dir.join(place::CONFIG_NAME))?;
        return Ok(config.store.dir.join(JOURNAL_DIR));
    }
    let has_segment = std::fs::read_dir(&dir).is_ok_and(|entries| {
        let names = entries.flatten().map(|entry| entry.file_name());
        names
            .filter_map(|name| name.into_string().ok())
            .any(|name| name == segment_name(1) || name.starts_with("segment-"))
    });
    match has_segment {
        true => Ok(dir),
        false => Err(CliError::Usage(format!(
            "there is no journal in `{}`; name the directory of a node, of its store, or of the \
             journal itself",
            dir.display()
        ))),
    }
}

fn report_json(dir: &Path, report: &Report, unreadable: &Unreadable) -> Value {
    let good = report.damage.is_empty();
    json!({
        "directory": dir.display().to_string(),
        "good": good && unreadable.count == 0,
        "segments": report.segments,
        "groups": report.groups,
        "records": report.records,
        "last": report.last.to_string(),
        "chain": good.then(|| hex::encode(&report.chain)),
        "tornTail": report.torn_tail.as_ref().map(torn_json),
        "damage": report.damage.iter().map(damage_json).collect::<Vec<_>>(),
        "unreadable": {
            "records": unreadable.count,
            "first": unreadable.first.map(|first| first.to_string()),
        },
    })
}

fn torn_json(torn: &TornTail) -> Value {
    let segment = segment_name(torn.segment);
    json!({
        "segment": segment,
        "offset": torn.offset,
        "last": torn.last.to_string(),
        "what": format!(
            "{segment}, byte {}, after record {}: a write that was cut short, or that a running node \
             is at; nobody was told of it, the next start cuts it",
            torn.offset, torn.last
        ),
    })
}

fn damage_json(damage: &Damage) -> Value {
    json!({
        "segment": segment_name(damage.segment),
        "offset": damage.offset,
        "position": damage.position.to_string(),
        "kind": damage.kind.as_str(),
        "what": damage.kind.to_string(),
        "meaning": damage.kind.meaning(),
    })
}
