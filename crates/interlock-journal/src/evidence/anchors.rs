//! What a witness dates.
//!
//! INVARIANT: a date counts only by the cosignature of a witness whose key whoever checks has given,
//! over a note whose log leads to the head, by proofs. Two heads of one size with different roots
//! convict their writer, as two checkpoints do; so do two entries in one place, and a head that became
//! shorter. A witness convicts nobody by its clock.

use std::collections::BTreeMap;

use ed25519_dalek::VerifyingKey;
use interlock_core::ids::ParticipantId;
use interlock_core::time::SECOND_MS;
use serde::{Deserialize, Serialize};

use crate::anchor::{Head, anchor_epoch, cosignature};
use crate::bilateral::{SKEW_MS_MAX, verify_item};
use crate::checkpoint::Checkpoint;
use crate::hex;
use crate::merkle::{Hash, leaf_hash, verify_inclusion};

use super::copy::Copy;
use super::{EvidenceFile, Finding, FindingKind, TrustedKeys, Unproven, Verdict};

/// Shows that a log stood at a head when a witness signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorEvidence {
    /// Who writes the log, and the anchor log.
    pub writer: ParticipantId,
    /// The head.
    pub head: Head,
    /// The salt of its commitment, hexadecimal.
    pub salt: String,
    /// Its index among the commitments of the entry.
    pub index: u32,
    /// How many commitments the entry has.
    pub commitments: u32,
    /// From the commitment to the entry, the lowest hash first, hexadecimal.
    pub path: Vec<String>,
    /// The entry: the root over its commitments, hexadecimal.
    pub entry: String,
    /// Its index in the anchor log.
    pub entry_index: u64,
    /// From the entry to the root in the note, hexadecimal.
    pub entry_path: Vec<String>,
    /// The checkpoint of the anchor log, a signed note with cosignatures.
    pub note: String,
}

/// Leaves that a witness dates.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dated {
    /// The log, by the origin of its checkpoints.
    pub origin: String,
    /// Leaves from the first on that were there.
    pub leaves: u64,
    /// By then, in milliseconds since 1970 UTC, by the witness's clock.
    pub by_ms: i64,
    /// The witness.
    pub witness: ParticipantId,
}

/// An anchor whose paths and signature are right.
struct Shown<'a> {
    anchor: &'a AnchorEvidence,
    file: &'a EvidenceFile,
    /// The root of the head.
    head: Hash,
    /// The checkpoint of the anchor log.
    checkpoint: Checkpoint,
}

/// Checks what the files show of anchors, against each other and against the copies.
pub(super) fn check(
    files: &[EvidenceFile],
    copies: &[Copy<'_>],
    trusted: &TrustedKeys,
    verdict: &mut Verdict,
) {
    let mut all = Vec::new();
    for file in files {
        for anchor in &file.anchors {
            match shown(anchor, file, trusted) {
                Ok(shown) => all.push(shown),
                Err(why) => {
                    let detail = format!(
                        "an anchor over {} leaves shows nothing: {why}",
                        anchor.head.size
                    );
                    let malformed = finding(FindingKind::Malformed, anchor, file, detail);
                    verdict.findings.push(malformed);
                }
            }
        }
    }
    for shown in &all {
        against_copies(shown, copies, &mut verdict.findings);
        date(shown, copies, trusted, verdict);
    }
    against_each_other(&all, &mut verdict.findings);
    verdict.dated.sort();
    verdict.dated.dedup();
}

/// Says by when the log stood there, by the word of every witness that is known.
fn date(shown: &Shown<'_>, copies: &[Copy<'_>], trusted: &TrustedKeys, verdict: &mut Verdict) {
    let (anchor, file) = (shown.anchor, shown.file);
    let mut dated = false;
    for (witness, keys) in trusted.iter().filter(|(id, _)| **id != anchor.writer) {
        let keys = keys
            .iter()
            .filter_map(|key| VerifyingKey::from_bytes(key).ok());
        let mut times = keys.filter_map(|key| cosignature(&anchor.note, witness.as_str(), &key));
        let Some(cosigned) = times.next() else {
            continue;
        };
        dated = true;
        let same = copies.iter().filter(|copy| copy.origin == anchor.head.log);
        let mut same = same.filter(|copy| copy.root_at(anchor.head.size) == Some(&shown.head));
        let last = same.find_map(|copy| {
            let last = usize::try_from(anchor.head.size).ok()?.checked_sub(1)?;
            copy.times.get(last).copied()
        });
        if last.is_some_and(|last| last.since_ms(cosigned.at) > SKEW_MS_MAX + SECOND_MS) {
            let detail = format!(
                "{witness} says that these leaves were there before the last of them was written, by its \
                 writer's clock; one of the two clocks is wrong"
            );
            verdict
                .findings
                .push(finding(FindingKind::Misdated, anchor, file, detail));
            continue;
        }
        verdict.dated.push(Dated {
            origin: anchor.head.log.clone(),
            leaves: anchor.head.size,
            by_ms: cosigned.at.as_millis(),
            witness: witness.clone(),
        });
    }
    if !dated {
        verdict.unproven.push(Unproven {
            origin: anchor.head.log.clone(),
            holder: file.holder.clone(),
            detail: format!(
                "the anchor over {} leaves has no cosignature of a witness whose key is known",
                anchor.head.size
            ),
        });
    }
}

/// An anchor log, or a log in it, that its writer signed in two ways, or that became shorter.
fn against_each_other(all: &[Shown<'_>], findings: &mut Vec<Finding>) {
    let mut convict = |kind, shown: &Shown<'_>, detail: &str| {
        let writer = Some(shown.anchor.writer.clone());
        findings.push(Finding {
            signed_by: writer.clone(),
            convicts: writer,
            ..finding(kind, shown.anchor, shown.file, detail.into())
        });
    };
    let (mut notes, mut entries, mut heads) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut in_order = BTreeMap::new();
    for shown in all {
        let (anchor, log) = (shown.anchor, shown.checkpoint.origin.as_str());
        let name = anchor.head.log.as_str();
        let size = shown.checkpoint.size;
        let note = *notes.entry((log, size)).or_insert(shown.checkpoint.root);
        let entry = *entries
            .entry((log, anchor.entry_index))
            .or_insert(&anchor.entry);
        if note != shown.checkpoint.root || *entry != anchor.entry {
            let detail = "its writer signed two anchor logs under one name";
            convict(FindingKind::SplitView, shown, detail);
        }
        let head = *heads.entry((name, anchor.head.size)).or_insert(shown.head);
        if head != shown.head {
            convict(
                FindingKind::SplitView,
                shown,
                "two logs of this size were anchored",
            );
        }
        in_order.insert((log, name, anchor.entry_index), shown);
    }
    let later = in_order.iter().skip(1);
    for ((place, earlier), (next, later)) in in_order.iter().zip(later) {
        let same = (place.0, place.1) == (next.0, next.1);
        if same && later.anchor.head.size < earlier.anchor.head.size {
            convict(
                FindingKind::Rollback,
                earlier,
                "fewer leaves were anchored later",
            );
        }
    }
}

/// An anchor, if its writer has signed that the head was there.
fn shown<'a>(
    anchor: &'a AnchorEvidence,
    file: &'a EvidenceFile,
    trusted: &TrustedKeys,
) -> Result<Shown<'a>, &'static str> {
    let keys = trusted.get(&anchor.writer).into_iter().flatten();
    let mut keys = keys.filter_map(|key| VerifyingKey::from_bytes(key).ok());
    let name = anchor.writer.as_str();
    let signed = keys.find_map(|key| Checkpoint::parse_and_verify(&anchor.note, name, &key).ok());
    let checkpoint = signed.ok_or("its note is not signed by a known key of its writer")?;
    if anchor_epoch(&checkpoint.origin, &anchor.writer).is_none() {
        return Err("its note is of no anchor log of its writer");
    }
    if !anchor.head.log.starts_with(&format!("{name} -> ")) {
        return Err("its log is not written by who anchors it");
    }
    let path = |path: &[String]| {
        path.iter()
            .map(|it| hex::decode(it))
            .collect::<Option<Vec<Hash>>>()
    };
    let entry: Hash = hex::decode(&anchor.entry).ok_or("its entry is no hash")?;
    let salt = hex::decode::<16>(&anchor.salt).ok_or("its salt is not 32 hexadecimal digits")?;
    let to_entry = path(&anchor.path).ok_or("its path holds something that is no hash")?;
    let to_root = path(&anchor.entry_path).ok_or("its path holds something that is no hash")?;
    let text = anchor.head.text();
    if !verify_item(
        &salt,
        text.as_bytes(),
        anchor.index,
        anchor.commitments,
        &to_entry,
        &entry,
    ) {
        return Err("the path from the head does not lead to the entry");
    }
    let leaf = leaf_hash(&entry);
    if !verify_inclusion(
        &leaf,
        anchor.entry_index,
        checkpoint.size,
        &to_root,
        &checkpoint.root,
    ) {
        return Err("the path from the entry does not lead to the root in the note");
    }
    Ok(Shown {
        anchor,
        file,
        head: hex::decode(&anchor.head.root).ok_or("its root is no hash")?,
        checkpoint,
    })
}

fn against_copies(shown: &Shown<'_>, copies: &[Copy<'_>], findings: &mut Vec<Finding>) {
    let (anchor, size) = (shown.anchor, shown.anchor.head.size);
    for copy in copies.iter().filter(|copy| copy.origin == anchor.head.log) {
        let held = copy.root_at(size);
        if held.is_none_or(|held| *held == shown.head) {
            continue;
        }
        findings.push(if copy.proven() >= size {
            let detail =
                format!("the writer signed these leaves, and anchored another log of {size}");
            copy.convicted(FindingKind::SplitView, (0, size), detail)
        } else {
            let detail = format!("another log of {size} leaves was anchored");
            finding(FindingKind::Changed, anchor, shown.file, detail)
        });
    }
}

fn finding(
    kind: FindingKind,
    anchor: &AnchorEvidence,
    file: &EvidenceFile,
    detail: String,
) -> Finding {
    Finding {
        kind,
        origin: anchor.head.log.clone(),
        holder: file.holder.clone(),
        from_leaf: 0,
        to_leaf: anchor.head.size,
        signed_by: None,
        convicts: None,
        detail,
    }
}
