//! `reconcile`: two participants' views of a period, side by side.
//!
//! INVARIANT: it reads two evidence files, or one and our own evidence, and changes nothing. That the
//! two differ is exit code 4, as is evidence that does not hold.

use std::path::PathBuf;

use clap::Args;
use interlock_core::ids::ParticipantId;
use interlock_core::time::{Timestamp, Zone};
use interlock_journal::evidence::{self, EvidenceFile, Reconciliation, keys_for};
use serde_json::{Value, json};

use super::Around;
use super::args::{Common, ExportArguments, trusted_key};
use super::error::CliError;
use super::evidence::{given, load, own, print_keys, print_rest};
use super::output::Output;
use crate::identity::keys::PublicKey;

/// Flags of `reconcile`.
#[derive(Debug, Args)]
pub(super) struct ReconcileArguments {
    /// The partner's evidence file, made by `evidence export`
    theirs: PathBuf,
    /// Our evidence file; our own journal, or our running node with `--running`, if not given
    ours: Option<PathBuf>,
    /// Begin of the period
    #[arg(long, value_name = "INSTANT", value_parser = Timestamp::parse_zoned)]
    from: Option<(Timestamp, Zone)>,
    /// End of the period, which is not part of it
    #[arg(long, value_name = "INSTANT", value_parser = Timestamp::parse_zoned)]
    until: Option<(Timestamp, Zone)>,
    /// A key got by another way than from the files; may be repeated
    #[arg(long = "key", value_name = "DID=KEY", value_parser = trusted_key)]
    keys: Vec<(ParticipantId, PublicKey)>,
    /// Ask the running node for our evidence instead of reading its journal
    #[arg(long)]
    running: bool,
}

/// Runs the command.
pub(super) fn run(
    arguments: &ReconcileArguments,
    common: &Common,
    around: &mut Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let theirs = load(&arguments.theirs, around)?;
    let ours = match &arguments.ours {
        Some(path) => load(path, around)?,
        None => {
            let export = ExportArguments {
                partner: Some(theirs.holder.clone()),
                out: None,
                parcels: Vec::new(),
                running: arguments.running,
            };
            own(&export, common, around, output.json)?
        }
    };
    if ours.holder == theirs.holder {
        return Err(CliError::Usage(format!(
            "both files are from `{}`; give one of each side",
            ours.holder
        )));
    }
    let all = (
        Timestamp::from_millis(i64::MIN),
        Timestamp::from_millis(i64::MAX),
    );
    let from = arguments.from.map_or(all.0, |(at, _)| at);
    let until = arguments.until.map_or(all.1, |(at, _)| at);
    if until <= from {
        return Err(CliError::Usage(
            "`--until` is not after `--from`; write the earlier instant with `--from`".into(),
        ));
    }
    let files: [EvidenceFile; 2] = [ours, theirs];
    let (trusted, believed) = keys_for(&files, &given(&arguments.keys));
    let [ours, theirs] = &files;
    let found = evidence::reconcile(ours, theirs, (from, until), &trusted);
    let value = shown(arguments, &found, &believed);
    if output.json {
        output.json(&value)?;
    } else {
        print_keys(&believed, &value, output)?;
        print(&found, &value, output)?;
    }
    match (found.agrees(), found.comparison.verdict.findings.is_empty()) {
        (true, true) => Ok(()),
        (false, true) => Err(CliError::Verification(
            "the two views differ; the differences are named above".into(),
        )),
        (_, false) => Err(CliError::Verification(
            "the evidence does not hold; what is wrong is named above".into(),
        )),
    }
}

fn shown(
    arguments: &ReconcileArguments,
    found: &Reconciliation,
    believed: &[evidence::BelievedKey],
) -> Value {
    let lines = found.lines.iter().map(|line| {
        json!({
            "from": line.from,
            "to": line.to,
            "what": line.matter.words(),
            "matter": line.matter,
            "sent": line.sent,
            "held": line.held,
            "received": line.received,
            "difference": line.difference,
        })
    });
    let instant = |at: Option<(Timestamp, Zone)>| at.map(|(at, zone)| at.to_rfc3339(zone));
    json!({
        "agree": found.agrees(),
        "good": found.comparison.verdict.findings.is_empty(),
        "holders": found.holders,
        "from": instant(arguments.from),
        "until": instant(arguments.until),
        "keys": believed,
        "lines": lines.collect::<Vec<_>>(),
        "differences": found.differences,
        "findings": found.comparison.verdict.findings,
        "unproven": found.comparison.verdict.unproven,
    })
}

fn print(found: &Reconciliation, value: &Value, output: &mut Output<'_>) -> Result<(), CliError> {
    let columns = [
        ("from", "/from"),
        ("what", "/what"),
        ("sent", "/sent"),
        ("held", "/held"),
        ("received", "/received"),
        ("difference", "/difference"),
    ];
    output.table(
        value,
        "/lines",
        &columns,
        "nothing passed between the two in this period",
    )?;
    output.line("")?;
    output.line(
        "sent: by the sender's copy; held: by the receiver's copy; received: acknowledged by the \
         receiver's signature.",
    )?;
    for difference in &found.differences {
        output.line(&format!("differs: {difference}"))?;
    }
    if found.agrees() {
        output.line("The two views agree.")?;
    }
    print_rest(&found.comparison.verdict, output)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::tests::run_in;
    use super::*;
    use crate::identity::private_file::tests::Scratch;

    /// The example of the guide as both sides hold it; `change` spoils the second.
    fn files(scratch: &Scratch, change: impl Fn(&mut Value)) {
        let example = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/guides/evidence-example/evidence.json"
        );
        let text = std::fs::read_to_string(Path::new(example)).unwrap();
        let mut file: Value = serde_json::from_str(&text).unwrap();
        let write = |name: &str, file: &Value| {
            std::fs::write(scratch.0.join(name), file.to_string()).unwrap();
        };
        write("ours.json", &file);
        file["holder"] = "did:web:fengchao.example".into();
        change(&mut file);
        write("theirs.json", &file);
    }

    fn run_reconcile(scratch: &Scratch, more: &str) -> (u8, String, String) {
        let done = run_in(
            &scratch.0,
            false,
            &format!("reconcile theirs.json ours.json {more}"),
        );
        (done.code, done.out, done.err)
    }

    #[test]
    fn two_sides_of_a_day_are_one_table() {
        let scratch = Scratch::new("reconcile-one-table");
        files(&scratch, |_| {});
        let (_, out, err) = run_reconcile(&scratch, "");
        for words in [
            "sent",
            "held",
            "received",
            "released",
            "did:web:fengchao.example",
        ] {
            assert!(out.contains(words), "{words}: {out}{err}");
        }
        let (_, json, _) = run_reconcile(&scratch, "--json");
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["good"], true, "{json}");
        for line in value["lines"].as_array().unwrap() {
            assert_eq!(line["sent"], line["held"], "{line}");
        }
        assert_eq!(value["differences"], json!([]));
        let period = "--from 2030-01-01T00:00:00Z --until 2030-01-02T00:00:00Z";
        let (code, out, _) = run_reconcile(&scratch, period);
        assert_eq!(code, 0);
        assert!(out.contains("nothing passed between the two"), "{out}");
        assert!(out.contains("The two views agree."), "{out}");
    }

    #[test]
    fn what_one_side_left_out_is_named_and_fails() {
        let scratch = Scratch::new("reconcile-left-out");
        files(&scratch, |theirs| {
            let leaves = theirs["logs"][1]["leaves"].as_array_mut().unwrap();
            leaves.pop();
        });
        let (code, out, err) = run_reconcile(&scratch, "");
        assert_eq!(code, 4, "{out}{err}");
        assert!(out.contains("differs: "), "{out}");
    }

    #[test]
    fn what_cannot_be_compared_is_a_usage_error() {
        let scratch = Scratch::new("reconcile-no-compare");
        files(&scratch, |theirs| {
            theirs["holder"] = "did:web:cainiao.example".into();
        });
        assert_eq!(run_reconcile(&scratch, "").0, 2, "twice the same side");
        files(&scratch, |_| {});
        let turned = "--from 2030-01-02T00:00:00Z --until 2030-01-01T00:00:00Z";
        assert_eq!(run_reconcile(&scratch, turned).0, 2);
        let missing = run_in(&scratch.0, false, "reconcile nowhere.json ours.json");
        assert_eq!(missing.code, 2);
        std::fs::write(scratch.0.join("theirs.json"), "{}").unwrap();
        assert_eq!(run_reconcile(&scratch, "").0, 4, "no evidence");
    }
}
