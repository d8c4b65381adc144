//! Comparing copies of logs with what was signed about them, and with each other.
//!
//! INVARIANT: a copy is called wrong only against a signed checkpoint or receipt; a writer is
//! convicted only by two things that it signed, or by one that contradicts the copy it shows itself.
//! It reads nothing but what it is given.

use crate::checkpoint::Checkpoint;

use super::copy::Copy;
use super::{
    EVIDENCE_LEAVES_MAX, EVIDENCE_VERSION, EvidenceFile, Finding, FindingKind, LogSummary,
    TrustedKeys, Verdict,
};

/// Checks the evidence of one side, or compares that of both. `trusted` are the keys that whoever
/// checks got by another way than from these files: from the manifests they know, or from the
/// participants.
pub fn verify(files: &[EvidenceFile], trusted: &TrustedKeys) -> Verdict {
    let mut findings = Vec::new();
    let mut copies = Vec::new();
    for file in files {
        let version = file.version == EVIDENCE_VERSION;
        for log in &file.logs {
            if version && log.leaves.len() <= EVIDENCE_LEAVES_MAX {
                copies.push(Copy::read(&file.holder, log, trusted, &mut findings));
            }
        }
        let left_out = file
            .logs
            .iter()
            .any(|log| log.leaves.len() > EVIDENCE_LEAVES_MAX);
        if !version || left_out {
            findings.push(Finding {
                kind: FindingKind::Malformed,
                origin: String::new(),
                holder: file.holder.clone(),
                from_leaf: 0,
                to_leaf: 0,
                signed_by: None,
                convicts: None,
                detail: format!("evidence version {} or size is not known", file.version),
            });
        }
    }
    for copy in &copies {
        check_forks(copy, &copies, &mut findings);
        check_own(copy, &copies, &mut findings);
        check_others(copy, &copies, &mut findings);
        check_epoch(copy, &copies, &mut findings);
        check_receipts(copy, &copies, &mut findings);
    }
    dedup(&mut findings);
    let logs = copies.iter().map(|copy| summary(copy, &copies)).collect();
    Verdict { logs, findings }
}

/// Drops findings of the same kind at the same place of the same copy; the first has the signature.
fn dedup(findings: &mut Vec<Finding>) {
    let mut seen = std::collections::BTreeSet::new();
    findings.retain(|f| {
        seen.insert((
            f.kind,
            f.origin.clone(),
            f.holder.clone(),
            f.from_leaf,
            f.to_leaf,
        ))
    });
}

/// Two checkpoints of one size with different roots: within a copy, and against later copies.
fn check_forks(copy: &Copy<'_>, copies: &[Copy<'_>], findings: &mut Vec<Finding>) {
    let later = copies
        .iter()
        .skip_while(|other| !std::ptr::eq(*other, copy));
    for other in later.filter(|other| other.is_same_log(copy)) {
        let same_copy = std::ptr::eq(other, copy);
        let kind = if same_copy {
            FindingKind::Fork
        } else {
            FindingKind::SplitView
        };
        for (at, one) in copy.signed.iter().enumerate() {
            let skipped = if same_copy { at + 1 } else { 0 };
            let two = other.signed.iter().skip(skipped);
            if two
                .clone()
                .any(|two| two.size == one.size && two.root != one.root)
            {
                findings.push(copy.convicted(
                    kind,
                    (0, one.size),
                    format!("two signed checkpoints over {} leaves differ", one.size),
                ));
                break;
            }
        }
    }
}

/// The copy against the checkpoints that it comes with.
fn check_own(copy: &Copy<'_>, copies: &[Copy<'_>], findings: &mut Vec<Finding>) {
    let mut good = 0;
    for checkpoint in &copy.signed {
        match copy.agrees(checkpoint) {
            Some(true) => good = good.max(checkpoint.size),
            Some(false) => {
                findings.push(locate(copy, good, checkpoint, copies));
                return;
            }
            None => {
                findings.push(too_short(copy, checkpoint));
                return;
            }
        }
    }
}

/// Finds out what was done to the leaves between `good` and a checkpoint that they do not give.
fn locate(copy: &Copy<'_>, good: u64, checkpoint: &Checkpoint, copies: &[Copy<'_>]) -> Finding {
    let right = copies
        .iter()
        .find(|other| other.is_same_log(copy) && other.agrees(checkpoint) == Some(true));
    let Some(right) = right else {
        return copy.wrong(
            FindingKind::Changed,
            (good, checkpoint.size),
            format!(
                "the leaves do not give the root signed over {}; one was changed, removed or moved, \
                 the copy of the other side shows which",
                checkpoint.size
            ),
        );
    };
    let pairs = copy.hashes.iter().zip(&right.hashes);
    let first = pairs.take_while(|(ours, theirs)| ours == theirs).count();
    let rest = |hashes: &'_ [[u8; 32]]| hashes.get(first..).unwrap_or_default().to_vec();
    let (ours, theirs) = (rest(&copy.hashes), rest(&right.hashes));
    let first = first as u64;
    let mut sorted = (ours.clone(), theirs.clone());
    sorted.0.sort_unstable();
    sorted.1.sort_unstable();
    let missing = theirs.iter().position(|hash| ours.first() == Some(hash));
    if sorted.0 == sorted.1 {
        let last = ours.iter().zip(&theirs).rposition(|(a, b)| a != b);
        let to = first + last.map_or(0, |at| at as u64) + 1;
        let detail = "the same leaves stand in another order than was signed".into();
        return copy.wrong(FindingKind::Reordered, (first, to), detail);
    }
    if let Some(missing) = missing
        && !sorted.0.is_empty()
        && sorted.0.len() < sorted.1.len()
    {
        let detail = "leaves are missing that the signed root covers".into();
        let to = first + missing as u64;
        return copy.wrong(FindingKind::Removed, (first, to), detail);
    }
    let detail = "the leaf is another than the signed root covers".into();
    copy.wrong(FindingKind::Changed, (first, first + 1), detail)
}

/// Fewer leaves than were signed: the reader's copy is cut; the writer's own log went back.
fn too_short(copy: &Copy<'_>, checkpoint: &Checkpoint) -> Finding {
    let place = (copy.size(), checkpoint.size);
    let detail = format!(
        "{} leaves are there, the writer has signed {}",
        copy.size(),
        checkpoint.size
    );
    let kind = if copy.holder == copy.writer {
        FindingKind::Rollback
    } else {
        FindingKind::Truncated
    };
    copy.wrong(kind, place, detail)
}

/// The copy against the checkpoints that others hold of the same log.
fn check_others(copy: &Copy<'_>, copies: &[Copy<'_>], findings: &mut Vec<Finding>) {
    let others = copies
        .iter()
        .filter(|other| other.is_same_log(copy) && !std::ptr::eq(*other, copy));
    let checkpoints = others.flat_map(|other| &other.signed);
    let sizes: Vec<u64> = copy.signed.iter().map(|c| c.size).collect();
    for checkpoint in checkpoints {
        match copy.agrees(checkpoint) {
            Some(true) => {}
            // Reported as two checkpoints of one size.
            Some(false) if sizes.contains(&checkpoint.size) => {}
            Some(false) if copy.proven() >= checkpoint.size => {
                findings.push(copy.convicted(
                    FindingKind::SplitView,
                    (0, checkpoint.size),
                    format!(
                        "the writer signed these leaves, and to another another log of {}",
                        checkpoint.size
                    ),
                ));
                return;
            }
            Some(false) => {
                findings.push(locate(copy, copy.proven(), checkpoint, copies));
                return;
            }
            // The reader may not have heard of the latest leaves; the writer must have its own.
            None if copy.holder == copy.writer => {
                let own = copy.signed.last().map_or(0, |own| own.size);
                if own < checkpoint.size {
                    findings.push(too_short(copy, checkpoint));
                }
                return;
            }
            None => {}
        }
    }
}

/// A later epoch must say openly that the one before lost its end.
fn check_epoch(copy: &Copy<'_>, copies: &[Copy<'_>], findings: &mut Vec<Finding>) {
    let earlier = copies.iter().any(|other| {
        other.writer == copy.writer && other.reader == copy.reader && other.epoch < copy.epoch
    });
    if copy.opens_with_rollback {
        let detail = "the writer declares that it lost the end of an earlier epoch".into();
        findings.push(copy.unsigned(FindingKind::Rollback, (0, 1), detail));
    } else if earlier && copy.size() > 0 {
        let detail = "an epoch follows another without a rollback entry".into();
        findings.push(if copy.proven() > 0 {
            copy.convicted(FindingKind::Rollback, (0, 1), detail)
        } else {
            copy.unsigned(FindingKind::Rollback, (0, 1), detail)
        });
    }
}

/// The receipts in this copy against the log that they are about.
fn check_receipts(copy: &Copy<'_>, copies: &[Copy<'_>], findings: &mut Vec<Finding>) {
    for (index, receipt) in &copy.receipts {
        let about = copies.iter().find(|other| {
            other.writer == copy.reader
                && other.reader == copy.writer
                && other.epoch == receipt.epoch
                && other.holder == other.writer
        });
        let about = about.or_else(|| {
            copies.iter().find(|other| {
                other.writer == copy.reader
                    && other.reader == copy.writer
                    && other.epoch == receipt.epoch
            })
        });
        let Some(about) = about else { continue };
        let place = (*index, index + 1);
        match about.root_at(receipt.size) {
            Some(root) if *root == receipt.root => {}
            Some(_) => findings.push(copy.unsigned(
                FindingKind::Receipt,
                place,
                format!(
                    "the receipt over {} leaves names another root than they have; its writer must \
                     show the checkpoint that it received",
                    receipt.size
                ),
            )),
            None if about.holder == about.writer => findings.push(about.unsigned(
                FindingKind::Rollback,
                (about.size(), receipt.size),
                format!(
                    "the reader countersigned {} leaves, the writer shows {}; a checkpoint would \
                     prove it",
                    receipt.size,
                    about.size()
                ),
            )),
            None => findings.push(about.unsigned(
                FindingKind::Truncated,
                (about.size(), receipt.size),
                format!("leaf {index} of the other log is a receipt for more leaves"),
            )),
        }
    }
}

fn summary(copy: &Copy<'_>, copies: &[Copy<'_>]) -> LogSummary {
    let receipts = copies
        .iter()
        .filter(|other| other.writer == copy.reader && other.reader == copy.writer);
    let countersigned = receipts
        .flat_map(|other| {
            let proven = other.proven();
            other
                .receipts
                .iter()
                .filter(move |(index, _)| *index < proven)
        })
        .filter(|(_, receipt)| {
            receipt.epoch == copy.epoch && copy.root_at(receipt.size) == Some(&receipt.root)
        })
        .map(|(_, receipt)| receipt.size);
    LogSummary {
        origin: copy.origin.clone(),
        holder: copy.holder.clone(),
        leaves: copy.size(),
        signed: copy.proven(),
        countersigned: countersigned.max().unwrap_or(0),
    }
}
