//! `evidence`: the file for an auditor, and checking such files offline.
//!
//! INVARIANT: checking reads files and nothing else. What is wrong is exit code 4; what cannot be
//! proven is said and is no failure.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use interlock_core::ids::ParticipantId;
use interlock_core::time::{Timestamp, Zone};
use interlock_core::waybill::Waybill;
use interlock_journal::evidence::{
    self, BelievedKey, EvidenceFile, Finding, KeySource, TrustedKeys, Verdict, keys_for,
};
use serde_json::{Value, json};

use super::args::{Common, EvidenceCommand, ExportArguments};
use super::error::CliError;
use super::output::Output;
use super::{Around, place};
use crate::config::Config;
use crate::driver::node::JOURNAL_DIR;
use crate::evidence::{Collected, Signer, open_parcel, read};
use crate::identity::keys::PublicKey;
use crate::identity::url::segment;
use crate::progress::Progress;
use crate::run;

/// Largest evidence file that is read, in bytes.
const FILE_SIZE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// `evidence`
pub(super) fn run(
    command: &EvidenceCommand,
    common: &Common,
    around: &mut Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    match command {
        EvidenceCommand::Export(arguments) => export(arguments, common, around, output),
        EvidenceCommand::Verify { files, keys } => verify(files, keys, around, output),
        EvidenceCommand::Compare {
            first,
            second,
            keys,
        } => compare([first, second], keys, around, output),
    }
}

fn export(
    arguments: &ExportArguments,
    common: &Common,
    around: &mut Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let file = own(arguments, common, around, output.json)?;
    let text = serde_json::to_string(&file).map_err(|error| CliError::Failed(error.to_string()))?;
    let Some(out) = &arguments.out else {
        return output.line(&text);
    };
    write_new(&around.directory.join(out), &text)?;
    let leaves: usize = file.logs.iter().map(|log| log.leaves.len()).sum();
    let value = json!({
        "file": out.display().to_string(),
        "holder": file.holder,
        "partners": file.participants.len().saturating_sub(1),
        "logs": file.logs.len(),
        "leaves": leaves,
        "manifests": file.manifests.len(),
        "openings": file.openings.len(),
    });
    output.card(
        &value,
        &[
            ("file", "/file"),
            ("holder", "/holder"),
            ("partners", "/partners"),
            ("logs", "/logs"),
            ("leaves", "/leaves"),
            ("manifests", "/manifests"),
            ("items shown", "/openings"),
        ],
    )
}

/// Our own evidence, of the running node or of its journal.
pub(super) fn own(
    arguments: &ExportArguments,
    common: &Common,
    around: &mut Around<'_>,
    json: bool,
) -> Result<EvidenceFile, CliError> {
    if !arguments.running && common.url.is_none() {
        return offline(arguments, common, around, json);
    }
    if !arguments.parcels.is_empty() {
        return Err(CliError::Usage(
            "`--parcel` reads content keys, which a node does not give away; run the command \
             where the data directory is, without `--url`"
                .into(),
        ));
    }
    let about = arguments.partner.as_ref().map(ParticipantId::as_str);
    let path = format!("/evidence/{}", segment(about.unwrap_or("all")));
    let value = place::client(common, around)?.get(&path)?;
    serde_json::from_value(value).map_err(|error| {
        CliError::Failed(format!(
            "the node's evidence cannot be read: {error}; use the version of interlock that it runs"
        ))
    })
}

/// Reads the journal of the configuration.
fn offline(
    arguments: &ExportArguments,
    common: &Common,
    around: &mut Around<'_>,
    json: bool,
) -> Result<EvidenceFile, CliError> {
    let config = place::config(common, around)?;
    let key = run::signing_key(&config).map_err(|error| CliError::Usage(error.to_string()))?;
    let progress = Progress::new(!json);
    let now = around.now();
    let mut openings = Vec::new();
    let mut collected = Collected::default();
    for text in &arguments.parcels {
        let waybill = waybill(text)?;
        let replayed = open(&config, &waybill, &progress)?;
        if replayed.openings.is_empty() {
            progress.end();
            return Err(CliError::Failed(format!(
                "nothing of `{text}` can be shown: no leaf is about it, or its salts and content are \
                 destroyed; `interlock parcel show` shows what is known of it"
            )));
        }
        openings.extend(replayed.openings);
        collected = replayed.collected;
    }
    if arguments.parcels.is_empty() {
        let journal = config.store.dir.join(JOURNAL_DIR);
        let done = read(
            &journal,
            &mut |_, record| collected.take(record),
            &mut |done, all| progress.part("reading the journal", done, all),
        );
        progress.end();
        done.map_err(|error| failed(&error))?;
    }
    progress.end();
    let by = Signer {
        id: &config.participant.id,
        key: key.signing_key(),
        now,
        zone: config.participant.zone,
    };
    let mut file = collected
        .file(&by, arguments.partner.as_ref())
        .map_err(|error| failed(&error))?;
    let about = arguments.partner.as_ref();
    let shown = openings
        .into_iter()
        .filter(|(partner, _)| about.is_none_or(|about| about == partner));
    file.openings = shown.map(|(_, opening)| opening).collect();
    Ok(file)
}

fn open(
    config: &Config,
    waybill: &Waybill,
    progress: &Progress,
) -> Result<crate::evidence::Replayed, CliError> {
    let usage = |error: run::RunError| CliError::Usage(error.to_string());
    let key = run::signing_key(config).map_err(usage)?;
    let master = run::master_key(config).map_err(usage)?;
    let node = run::empty_node(config, &key);
    open_parcel(
        &config.store.dir,
        master,
        node,
        waybill,
        &mut |done, all| {
            progress.part("replaying the journal", done, all);
        },
    )
    .map_err(|error| CliError::Failed(error.to_string()))
}

fn failed(error: &crate::evidence::ExportError) -> CliError {
    CliError::Failed(error.to_string())
}

fn waybill(text: &str) -> Result<Waybill, CliError> {
    let (carrier, number) = text.split_once('/').ok_or_else(|| {
        CliError::Usage(format!(
            "`{text}` is no waybill; write carrier/number, such as sf/SF1234567890123"
        ))
    })?;
    Waybill::parse(carrier, number).map_err(|error| CliError::Usage(error.to_string()))
}

/// A file that was not there, for its owner.
fn write_new(path: &Path, text: &str) -> Result<(), CliError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")
    });
    written.map_err(|error| {
        CliError::Failed(format!(
            "failed to write `{}`: {error}; name another file with `--out`",
            path.display()
        ))
    })
}

pub(super) fn load(path: &Path, around: &Around<'_>) -> Result<EvidenceFile, CliError> {
    let path = around.directory.join(path);
    let shown = path.display();
    let unread = |error: std::io::Error| {
        CliError::Usage(format!("failed to read `{shown}`: {error}; check the path"))
    };
    let file = std::fs::File::open(&path).map_err(unread)?;
    if file.metadata().map_err(unread)?.len() > FILE_SIZE_BYTES_MAX {
        return Err(CliError::Usage(format!(
            "`{shown}` has more than 4 GiB; export one partner at a time"
        )));
    }
    serde_json::from_reader(std::io::BufReader::new(file)).map_err(|error| {
        CliError::Verification(format!(
            "`{shown}` is no evidence file: {error}; it was cut or changed, or a later version wrote \
             it: ask for it again"
        ))
    })
}

pub(super) fn given(keys: &[(ParticipantId, PublicKey)]) -> TrustedKeys {
    let mut given = TrustedKeys::new();
    for (id, key) in keys {
        given.entry(id.clone()).or_default().push(*key.as_bytes());
    }
    given
}

fn verify(
    paths: &[PathBuf],
    keys: &[(ParticipantId, PublicKey)],
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let files: Result<Vec<EvidenceFile>, CliError> =
        paths.iter().map(|path| load(path, around)).collect();
    let files = files?;
    let (trusted, believed) = keys_for(&files, &given(keys));
    let verdict = evidence::verify(&files, &trusted);
    let holders: Vec<Value> = files
        .iter()
        .map(|file| json!({ "holder": file.holder, "exportedAt": file.exported_at }))
        .collect();
    let value = json!({
        "good": verdict.findings.is_empty(),
        "files": holders,
        "keys": believed,
        "logs": verdict.logs,
        "runOff": run_off(&verdict),
        "findings": verdict.findings,
        "unproven": verdict.unproven,
        "dated": verdict.dated,
    });
    if output.json {
        output.json(&value)?;
    } else {
        print_keys(&believed, &value, output)?;
        let columns = [
            ("log", "/origin"),
            ("copy of", "/holder"),
            ("leaves", "/leaves"),
            ("signed", "/signed"),
            ("received", "/countersigned"),
            ("requests", "/requests"),
            ("releases", "/releases"),
            ("items", "/released_items"),
            ("denials", "/denials"),
        ];
        output.table(&value, "/logs", &columns, "no logs")?;
        if !verdict.run_off.is_empty() {
            output.line("")?;
            output.table(&value, "/runOff", &RUN_OFF, "")?;
        }
        print_rest(&verdict, output)?;
    }
    judge(&verdict)
}

/// The parcels that run-offs serve, as they were frozen.
const RUN_OFF: [super::output::Column<'static>; 7] = [
    ("run-off of", "/agreement"),
    ("copy of", "/holder"),
    ("ended", "/endedAt"),
    ("parcels", "/parcels"),
    ("root", "/root"),
    ("signed", "/signed"),
    ("received", "/receipted"),
];

fn run_off(verdict: &Verdict) -> Vec<Value> {
    let sets = verdict.run_off.iter().map(|set| {
        json!({
            "origin": set.origin,
            "holder": set.holder,
            "leaf": set.leaf,
            "agreement": set.agreement,
            "endedAt": set.ended_at.to_rfc3339(interlock_core::time::Zone::UTC),
            "parcels": set.parcels,
            "root": set.root,
            "signed": set.signed,
            "receipted": set.receipted,
        })
    });
    sets.collect()
}

fn compare(
    paths: [&PathBuf; 2],
    keys: &[(ParticipantId, PublicKey)],
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let [first, second] = [load(paths[0], around)?, load(paths[1], around)?];
    let files = [first, second];
    let (trusted, believed) = keys_for(&files, &given(keys));
    let [first, second] = files;
    let compared = evidence::compare(&first, &second, &trusted);
    let lines: Vec<Value> = compared
        .logs
        .iter()
        .map(|log| {
            json!({
                "origin": log.origin,
                "inFirst": log.in_first,
                "inSecond": log.in_second,
                "common": log.common,
                "standing": log.standing,
                "words": log.standing.as_str(),
                "deniedReceipts": log.denied_receipts,
            })
        })
        .collect();
    let value = json!({
        "good": compared.verdict.findings.is_empty(),
        "first": first.holder,
        "second": second.holder,
        "keys": believed,
        "logs": lines,
        "findings": compared.verdict.findings,
        "unproven": compared.verdict.unproven,
    });
    if output.json {
        output.json(&value)?;
    } else {
        print_keys(&believed, &value, output)?;
        let columns = [
            ("log", "/origin"),
            (first.holder.as_str(), "/inFirst"),
            (second.holder.as_str(), "/inSecond"),
            ("in common", "/common"),
            ("", "/words"),
            ("receipts denied", "/deniedReceipts"),
        ];
        output.table(&value, "/logs", &columns, "no logs")?;
        print_rest(&compared.verdict, output)?;
    }
    judge(&compared.verdict)
}

pub(super) fn print_keys(
    believed: &[BelievedKey],
    value: &Value,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    output.table(
        value,
        "/keys",
        &[
            ("participant", "/participant"),
            ("key", "/key"),
            ("from", "/source"),
        ],
        "no keys",
    )?;
    if believed.iter().any(|key| key.source != KeySource::Given) {
        output.line(
            "Compare the keys that are not `given` with the DID documents or with somebody you trust.",
        )?;
    }
    output.line("")
}

pub(super) fn print_rest(verdict: &Verdict, output: &mut Output<'_>) -> Result<(), CliError> {
    for finding in &verdict.findings {
        output.line("")?;
        output.heading(&place_of(finding))?;
        output.line(&format!("  {}", finding.detail))?;
        output.line(&format!("  {}", whose(finding)))?;
    }
    if !verdict.dated.is_empty() {
        output.line("")?;
        output.heading("dated by witnesses")?;
    }
    for dated in &verdict.dated {
        let by = Timestamp::from_millis(dated.by_ms).to_rfc3339(Zone::UTC);
        output.line(&format!(
            "  {}: {} leaves were there by {by}, says {}",
            dated.origin, dated.leaves, dated.witness
        ))?;
    }
    if !verdict.unproven.is_empty() {
        output.line("")?;
        output.heading("not shown")?;
    }
    for unproven in &verdict.unproven {
        let log = match unproven.origin.as_str() {
            "" => String::new(),
            origin => format!("{origin}, copy of {}: ", unproven.holder),
        };
        output.line(&format!("  {log}{}", unproven.detail))?;
    }
    output.line(
        "  Times are shown between countersigned checkpoints only; that a scan or deposit happened, \
         and what a receiver did with data, no log shows.",
    )
}

fn place_of(finding: &Finding) -> String {
    let leaves = match (finding.from_leaf, finding.to_leaf) {
        (0, 0) => String::new(),
        (from, to) if from + 1 == to => format!(", leaf {from}"),
        (from, to) => format!(", leaves {from} to {}", to.saturating_sub(1)),
    };
    let of = match finding.origin.as_str() {
        "" => "the file".into(),
        origin => format!("{origin}{leaves}"),
    };
    format!(
        "{}: {of}, copy of {}",
        finding.kind.as_str(),
        finding.holder
    )
}

/// Whose signature convicts whom.
fn whose(finding: &Finding) -> String {
    match (&finding.signed_by, &finding.convicts) {
        (Some(by), Some(whom)) if by == whom => format!("the signature of {by} convicts it"),
        (Some(by), Some(whom)) => format!("the signature of {by} convicts {whom}"),
        (Some(by), None) => {
            format!("the signature of {by} shows it; whom it convicts is open")
        }
        (None, Some(_) | None) => "no signature shows whose doing it is".into(),
    }
}

fn judge(verdict: &Verdict) -> Result<(), CliError> {
    match verdict.findings.len() {
        0 => Ok(()),
        1 => Err(CliError::Verification(
            "1 thing is wrong; it is named above".into(),
        )),
        count => Err(CliError::Verification(format!(
            "{count} things are wrong; they are named above"
        ))),
    }
}
