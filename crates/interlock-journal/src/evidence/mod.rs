//! Checking exported evidence of one or both sides, offline (`interlock evidence verify`, `compare`).
//!
//! INVARIANT: a finding convicts somebody only by their own signature in the evidence, under a key
//! that whoever checks has given; everything else is said to be unproven. It trusts nothing that an
//! export says about itself, and it cannot see leaves that no signed checkpoint and no receipt names.

mod agreements;
mod anchors;
mod compare;
mod copy;
mod openings;
mod reconcile;
mod trust;
mod verify;

#[cfg(test)]
mod tests;

pub use anchors::{AnchorEvidence, Dated};
pub use compare::{Comparison, LogComparison, Standing, compare};
pub use reconcile::{Line, Matter, Reconciliation, reconcile};
pub use trust::{BelievedKey, KeySource, keys_for};
pub use verify::verify;

use std::collections::BTreeMap;

use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParticipantId, WireId};
use serde::{Deserialize, Serialize};

use crate::manifest::{ManifestError, SignedManifest};

/// Version of the file's form.
pub const EVIDENCE_VERSION: u32 = 1;
/// Leaves of one log in a file, at most.
pub const EVIDENCE_LEAVES_MAX: usize = 10_000_000;

/// Everything that one side holds about a pair, or about all its pairs: what an auditor gets.
///
/// Unknown fields are refused, so that nothing in a file is overlooked; what a later program adds
/// goes to `extensions`, by name, and is reported as not checked by those that do not know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceFile {
    /// [`EVIDENCE_VERSION`].
    pub version: u32,
    /// Whose copy it is.
    pub holder: ParticipantId,
    /// When it was written, by the holder's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exported_at: Option<String>,
    /// The participants with the history of their keys, by the holder's word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub participants: Vec<ParticipantEvidence>,
    /// The manifests, which name the keys.
    pub manifests: Vec<SignedManifest>,
    /// The agreements with their policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agreements: Vec<AgreementEvidence>,
    /// The logs, each epoch by itself.
    pub logs: Vec<LogEvidence>,
    /// Single items of batches that are shown; nothing in the file says anything of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub openings: Vec<Opening>,
    /// What anchors say of the logs of the holder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<AnchorEvidence>,
    /// What later versions add, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: BTreeMap<String, serde_json::Value>,
}

impl EvidenceFile {
    /// A file without anything in it.
    pub const fn new(holder: ParticipantId) -> Self {
        Self {
            version: EVIDENCE_VERSION,
            holder,
            exported_at: None,
            participants: Vec::new(),
            manifests: Vec::new(),
            agreements: Vec::new(),
            logs: Vec::new(),
            openings: Vec::new(),
            anchors: Vec::new(),
            extensions: BTreeMap::new(),
        }
    }
}

/// A participant and its keys, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParticipantEvidence {
    /// Its DID, whose document is where its key can be looked up.
    pub id: ParticipantId,
    /// Its keys.
    pub keys: Vec<KeyEvidence>,
}

/// A key and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEvidence {
    /// Ed25519, hexadecimal.
    pub key: String,
    /// For people: a manifest, a rotation in a log, or the holder's list of partners.
    pub source: String,
}

/// An agreement with its policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreementEvidence {
    /// Its id.
    pub id: WireId,
    /// Who provides.
    pub provider: ParticipantId,
    /// Who consumes.
    pub consumer: ParticipantId,
    /// What.
    pub dataset: Dataset,
    /// The normalised policy ([`interlock_core::terms::Terms::to_policy`]).
    pub policy: serde_json::Value,
    /// SHA-256 of its canonical form with the dataset, hexadecimal.
    pub policy_hash: String,
    /// Whether it was made with a connector that signs no manifest, by the holder's word.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_manifest: bool,
}

/// One item of a batch, shown without the others.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// The log, by the origin of its checkpoints.
    pub origin: String,
    /// Index of the leaf in it.
    pub leaf: u64,
    /// Index of the item in the batch.
    pub index: u32,
    /// The salt, hexadecimal.
    pub salt: String,
    /// The item, byte by byte as it was committed to.
    pub item: String,
    /// The commitment, hexadecimal: SHA-256 of `interlock item 1`, salt and item.
    pub commitment: String,
    /// The hashes beside the way to the root in the leaf, the lowest first, hexadecimal.
    pub proof: Vec<String>,
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opening({} leaf {}, redacted)", self.origin, self.leaf)
    }
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
    /// A leaf or checkpoint is dated where it cannot have been written.
    Misdated,
    /// A manifest lacks a signature, or carries one that does not fit.
    Unsigned,
    /// A policy is not the one that was signed.
    Policy,
    /// A release under no agreement of its writer, or under one that both have not signed.
    NoAgreement,
    /// A release outside the term, while suspended, or after the end.
    OutsideTerm,
    /// A release for what was not agreed on.
    BeyondTerms,
    /// More was released than the quota allows.
    BeyondQuota,
    /// An item that is shown is not in the batch that it is said to be from.
    Opening,
    /// The parcels of a run-off were frozen outside the term, or twice and differently.
    RunOff,
}

impl FindingKind {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Reordered => "reordered",
            Self::Truncated => "truncated",
            Self::TimeBackwards => "time-backwards",
            Self::Fork => "fork",
            Self::SplitView => "split-view",
            Self::Rollback => "rollback",
            Self::ForeignKey => "foreign-key",
            Self::Receipt => "receipt",
            Self::Misdated => "misdated",
            Self::Unsigned => "unsigned",
            Self::Policy => "policy",
            Self::NoAgreement => "no-agreement",
            Self::OutsideTerm => "outside-term",
            Self::BeyondTerms => "beyond-terms",
            Self::BeyondQuota => "beyond-quota",
            Self::Opening => "opening",
            Self::RunOff => "run-off",
        }
    }
}

/// Something that is neither wrong nor shown: said so that nobody takes it for proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unproven {
    /// In which log, by the origin of its checkpoints; empty if in none.
    pub origin: String,
    /// In whose copy.
    pub holder: ParticipantId,
    /// For people: what cannot be told, and what would tell it.
    pub detail: String,
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
    /// Data was demanded so often.
    pub requests: u64,
    /// Batches that were released.
    pub releases: u64,
    /// Items in them.
    pub released_items: u64,
    /// Denials.
    pub denials: u64,
}

/// The parcels that a run-off serves, as they were frozen at the end of the term.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenSet {
    /// In which log, by the origin of its checkpoints.
    pub origin: String,
    /// In whose copy.
    pub holder: ParticipantId,
    /// Index of the leaf.
    pub leaf: u64,
    /// Which agreement.
    pub agreement: WireId,
    /// When it ended.
    pub ended_at: interlock_core::time::Timestamp,
    /// How many parcels.
    pub parcels: u32,
    /// Root over the commitments to them, hexadecimal.
    pub root: String,
    /// Whether the provider has signed it.
    pub signed: bool,
    /// Whether the consumer has receipted it: then neither side can change it.
    pub receipted: bool,
}

/// The outcome of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// One for each copy of each log.
    pub logs: Vec<LogSummary>,
    /// What is wrong; none if all is as it was signed.
    pub findings: Vec<Finding>,
    /// What these files do not show.
    pub unproven: Vec<Unproven>,
    /// The frozen sets of run-offs.
    #[serde(default)]
    pub run_off: Vec<FrozenSet>,
    /// What witnesses date.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dated: Vec<Dated>,
}
