//! What our nodes emit, held against the published JSON schemas.
//!
//! INVARIANT: schemas and validator are those of the kit's jars, so that nothing of the kit lies here;
//! it passes only if a message of every type in [`TYPES`] was checked and none failed. It does not know
//! how the messages came about: `crates/interlock-sim/examples/emitted.rs` says.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use crate::cargo::cargo;
use anyhow::{Context, bail};

/// The types that our nodes emit and the kit has a schema of.
const TYPES: [&str; 14] = [
    "Catalog",
    "CatalogRequestMessage",
    "ContractAgreementMessage",
    "ContractAgreementVerificationMessage",
    "ContractNegotiation",
    "ContractNegotiationError",
    "ContractNegotiationEventMessage",
    "ContractNegotiationTerminationMessage",
    "ContractOfferMessage",
    "ContractRequestMessage",
    "Dataset",
    "TransferProcess",
    "TransferRequestMessage",
    "TransferStartMessage",
];
/// Failures that are printed; the rest is in the file.
const SHOWN_MAX: usize = 20;

/// What the check found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Checked {
    types: BTreeMap<String, u32>,
    unknown: BTreeMap<String, u32>,
    failures: Vec<String>,
}

/// Has two nodes talk, and checks all that they said.
pub(super) fn check(
    root: &Path,
    place: &Path,
    validate: impl FnOnce(&Path, &Path) -> anyhow::Result<()>,
) -> anyhow::Result<Checked> {
    eprintln!("recording what two nodes say");
    let (messages, result) = (place.join("messages.txt"), place.join("schemas.txt"));
    let output = std::fs::File::create(&messages).context("failed to create `messages.txt`")?;
    let mut emit = cargo();
    emit.args([
        "run",
        "--quiet",
        "-p",
        "interlock-sim",
        "--example",
        "emitted",
    ]);
    emit.current_dir(root).stdin(Stdio::null()).stdout(output);
    if !emit.status().context("failed to start cargo")?.success() {
        bail!("the nodes did not come to an end with each other");
    }
    eprintln!("checking it against the published schemas");
    validate(&messages, &result)?;
    let text = std::fs::read_to_string(&result).context("the check left no result")?;
    Checked::parse(&text)
}

impl Checked {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut found = Self::default();
        for line in text.lines() {
            let (name, value) = line.split_once('=').context("a line without `=`")?;
            let count = || -> anyhow::Result<(String, u32)> {
                let (kind, number) = value.rsplit_once(' ').context("a type without a number")?;
                Ok((kind.into(), number.parse()?))
            };
            match name {
                "checked" => found.types.extend([count()?]),
                "unknown" => found.unknown.extend([count()?]),
                "failure" => found.failures.push(value.into()),
                other => bail!("the result has a line `{other}` that is not known"),
            }
        }
        Ok(found)
    }

    fn missing(&self) -> Vec<&'static str> {
        let missing = TYPES.into_iter().filter(|t| !self.types.contains_key(*t));
        missing.collect()
    }

    /// Whether every type was checked and nothing failed.
    pub(super) fn passes(&self) -> bool {
        self.failures.is_empty() && self.missing().is_empty()
    }

    /// It in words.
    pub(super) fn words(&self) -> String {
        let total: u32 = self.types.values().sum();
        let mut text = format!(
            "schemas: {total} messages of {} types, {} that do not fit",
            self.types.len(),
            self.failures.len()
        );
        for failure in self.failures.iter().take(SHOWN_MAX) {
            text.push_str(&format!("\n  {failure}"));
        }
        let missing = self.missing();
        if !missing.is_empty() {
            text.push_str(&format!("\n  not among them: {}", missing.join(", ")));
        }
        if !self.unknown.is_empty() {
            let names: Vec<&str> = self.unknown.keys().map(String::as_str).collect();
            text.push_str(&format!(
                "\n  the kit has no schema of: {}",
                names.join(", ")
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> String {
        TYPES.map(|kind| format!("checked={kind} 2\n")).concat()
    }

    #[test]
    fn it_passes_if_every_type_was_checked_and_all_fit() {
        let found = Checked::parse(&(all() + "unknown=TransferError 1\n")).unwrap();
        assert!(found.passes());
        assert_eq!(
            found.words(),
            "schemas: 28 messages of 14 types, 0 that do not fit\n  \
             the kit has no schema of: TransferError"
        );
    }

    #[test]
    fn a_type_that_is_missing_or_a_message_that_does_not_fit_fails() {
        assert!(!Checked::parse("").unwrap().passes());
        let some = all().replace("checked=Dataset 2\n", "");
        let found = Checked::parse(&some).unwrap();
        assert!(!found.passes());
        assert!(found.words().contains("not among them: Dataset"));
        let failed = all() + "failure=POST /dsp/x: /offer/@id: missing\n";
        let found = Checked::parse(&failed).unwrap();
        assert!(!found.passes());
        assert!(found.words().contains("POST /dsp/x: /offer/@id: missing"));
        assert!(Checked::parse("something").is_err());
        assert!(Checked::parse("other=1").is_err());
    }
}
