//! Checking exported evidence of one or both sides, offline (`interlock evidence verify`, `compare`).
//!
//! INVARIANT: a finding convicts somebody only by their own signature in the evidence, under a key
//! that whoever checks has given; everything else is said to be unproven. It trusts nothing that an
//! export says about itself, and it cannot see leaves that no signed checkpoint and no receipt names.

mod copy;
mod verify;

#[cfg(test)]
mod tests;

pub use verify::verify;

use std::collections::BTreeMap;

use interlock_core::ids::ParticipantId;
use serde::{Deserialize, Serialize};

use crate::manifest::{ManifestError, SignedManifest};

/// Version of the file's form.
pub const EVIDENCE_VERSION: u32 = 1;
/// Leaves of one log in a file, at most.
pub const EVIDENCE_LEAVES_MAX: usize = 10_000_000;

/// Everything that one side holds about a pair: what an auditor gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceFile {
    /// [`EVIDENCE_VERSION`].
    pub version: u32,
    /// Whose copy it is.
    pub holder: ParticipantId,
    /// The manifests of the pair, which name the keys.
    pub manifests: Vec<SignedManifest>,
    /// Both logs, each epoch by itself.
    pub logs: Vec<LogEvidence>,
}

/// One epoch of one log as its holder has it, from the first leaf on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogEvidence {
    /// Who writes the log.
    pub writer: ParticipantId,
    /// For whom.
    pub reader: ParticipantId,
    /// The epoch.
    pub epoch: u32,
    /// The writer's Ed25519 key before the first leaf, hexadecimal; later ones are in the leaves.
    pub key: String,
    /// Encoded leaves in standard base64.
    pub leaves: Vec<String>,
    /// Signed notes, in any order.
    pub checkpoints: Vec<String>,
}

/// The Ed25519 keys that whoever checks believes, by participant, with those of old.
pub type TrustedKeys = BTreeMap<ParticipantId, Vec<[u8; 32]>>;

/// The keys that these manifests name. Both parties have signed each of them, so whoever believes
/// one party's key, or has the manifest from a party, may believe the other's.
///
/// # Errors
/// [`ManifestError`] of the first manifest that does not carry both signatures.
pub fn keys_of(manifests: &[SignedManifest]) -> Result<TrustedKeys, ManifestError> {
    let mut keys = TrustedKeys::new();
    for signed in manifests {
        signed.verify()?;
        for party in signed.manifest.parties.keys() {
            let key = signed.manifest.key(party)?.to_bytes();
            let known = keys.entry(party.clone()).or_default();
            if !known.contains(&key) {
                known.push(key);
            }
        }
    }
    Ok(keys)
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// Bytes that are no leaf, no checkpoint, or no evidence of a known version.
    Malformed,
    /// A leaf is not what was signed.
    Changed,
    /// A leaf is missing in the middle.
    Removed,
    /// Leaves stand in another order than was signed.
    Reordered,
    /// Leaves are missing at the end.
    Truncated,
    /// A time goes back.
    TimeBackwards,
    /// The writer signed two different logs, and showed both to the holder.
    Fork,
    /// The writer signed two different logs, and showed one to each holder.
    SplitView,
    /// The writer's own log is shorter than what was signed or countersigned, or an epoch follows
    /// another.
    Rollback,
    /// Signed by a key that is not the writer's.
    ForeignKey,
    /// A receipt names a root that its counterparty's log does not have.
    Receipt,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// In which log, by the origin of its checkpoints.
    pub origin: String,
    /// In whose copy.
    pub holder: ParticipantId,
    /// First leaf that it may concern.
    pub from_leaf: u64,
    /// First leaf after those that it may concern.
    pub to_leaf: u64,
    /// Whose signature shows it; `None` if no signature does.
    pub signed_by: Option<ParticipantId>,
    /// Whom that signature convicts: the signer of two things that cannot both be true, or the writer
    /// whose own copy contradicts its signature, provided that the copy came from its holder. `None`
    /// if it only shows that a copy is wrong.
    pub convicts: Option<ParticipantId>,
    /// For people: what was compared with what.
    pub detail: String,
}

/// What was proven of one copy of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSummary {
    /// The log, by the origin of its checkpoints.
    pub origin: String,
    /// Whose copy.
    pub holder: ParticipantId,
    /// Leaves in it.
    pub leaves: u64,
    /// Leaves from the first on that a checkpoint of the writer covers: demanded or released.
    pub signed: u64,
    /// Leaves from the first on that a receipt of the reader covers: received.
    pub countersigned: u64,
}

/// The outcome of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// One for each copy of each log.
    pub logs: Vec<LogSummary>,
    /// What is wrong; none if all is as it was signed.
    pub findings: Vec<Finding>,
}
