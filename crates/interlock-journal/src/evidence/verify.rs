//! Comparing copies of logs with what was signed about them, and with each other.
//!
//! INVARIANT: a copy is called wrong only against a signed checkpoint or receipt; a writer is
//! convicted only by two things that it signed, or by one that contradicts the copy it shows itself.
//! It reads nothing but what it is given.

use interlock_core::time::Timestamp;

use crate::bilateral::SKEW_MS_MAX;
use crate::checkpoint::{Checkpoint, origin};

use super::agreements::{self, Agreed, Requests};
use super::anchors;
use super::copy::Copy;
use super::openings;
use super::{
    EVIDENCE_LEAVES_MAX, EVIDENCE_VERSION, EvidenceFile, Finding, FindingKind, LogSummary,
    TrustedKeys, Unproven, Verdict,
};

/// Checks the evidence of one side, or compares that of both. `trusted` are the keys that whoever
/// checks got by another way than from these files: from the manifests they know, or from the
/// participants.
pub fn verify(files: &[EvidenceFile], trusted: &TrustedKeys) -> Verdict {
    let mut verdict = Verdict::default();
    let copies = read_all(files, trusted, &mut verdict.findings);
    for copy in &copies {
        check_forks(copy, &copies, &mut verdict.findings);
        check_own(copy, &copies, &mut verdict.findings);
        check_others(copy, &copies, &mut verdict.findings);
        check_epoch(copy, &copies, &mut verdict);
        check_receipts(copy, &copies, &mut verdict.findings);
        check_rotations(copy, &copies, &mut verdict.findings);
        check_checkpoint_times(copy, &mut verdict.findings);
        say_unproven(copy, &copies, &mut verdict);
    }
    for file in files {
        let agreed = Agreed::read(file, trusted, &mut verdict);
        for log in &file.logs {
            let origin = origin(&log.writer, &log.reader, log.epoch);
            let own = copies
                .iter()
                .find(|copy| copy.holder == &file.holder && copy.origin == origin);
            let asked = file
                .logs
                .iter()
                .filter(|other| other.writer == log.reader && other.reader == log.writer);
            let requests: Requests = asked.flat_map(agreements::requests_in).collect();
            if let Some(copy) = own {
                agreements::check(log, copy, &agreed, &requests, &mut verdict);
            }
        }
        openings::check(file, &mut verdict.findings);
        for name in file.extensions.keys() {
            verdict.unproven.push(Unproven {
                origin: String::new(),
                holder: file.holder.clone(),
                detail: format!("`{name}` in the file is not known to this program, nor checked"),
            });
        }
    }
    anchors::check(files, &copies, trusted, &mut verdict);
    sign(&copies, &mut verdict.findings);
    dedup(&mut verdict.findings);
    verdict.logs = copies.iter().map(|copy| summary(copy, &copies)).collect();
    for frozen in &mut verdict.run_off {
        let log = verdict
            .logs
            .iter()
            .find(|log| log.origin == frozen.origin && log.holder == frozen.holder);
        frozen.receipted = log.is_some_and(|log| frozen.leaf < log.countersigned);
    }
    verdict
}

/// Reads all copies of all logs in the files.
pub(super) fn read_all<'a>(
    files: &'a [EvidenceFile],
    trusted: &TrustedKeys,
    findings: &mut Vec<Finding>,
) -> Vec<Copy<'a>> {
    let mut copies = Vec::new();
    for file in files {
        let version = file.version == EVIDENCE_VERSION;
        for log in &file.logs {
            if version && log.leaves.len() <= EVIDENCE_LEAVES_MAX {
                copies.push(Copy::read(&file.holder, log, trusted, findings));
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
    copies
}

/// A leaf that is wrong in itself is its writer's word if the copy gives the signed root over it.
fn sign(copies: &[Copy<'_>], findings: &mut [Finding]) {
    let own = [FindingKind::Malformed, FindingKind::TimeBackwards];
    for finding in findings.iter_mut().filter(|it| own.contains(&it.kind)) {
        let copy = copies
            .iter()
            .find(|copy| copy.origin == finding.origin && copy.holder == &finding.holder);
        let single = finding.to_leaf == finding.from_leaf + 1;
        if let Some(copy) = copy
            && single
            && finding.signed_by.is_none()
            && finding.from_leaf < copy.proven()
        {
            finding.signed_by = Some(copy.writer.clone());
            finding.convicts = Some(copy.writer.clone());
        }
    }
}

/// Checkpoints in order of size must be in order of time, none before its last leaf.
fn check_checkpoint_times(copy: &Copy<'_>, findings: &mut Vec<Finding>) {
    let mut last: Option<&Checkpoint> = None;
    for checkpoint in &copy.signed {
        let place = (checkpoint.size.saturating_sub(1), checkpoint.size);
        if last.is_some_and(|last| checkpoint.time < last.time) {
            let detail = format!(
                "the checkpoint over {} leaves is dated before one over fewer",
                checkpoint.size
            );
            findings.push(copy.convicted(FindingKind::Misdated, place, detail));
        }
        let leaf = usize::try_from(place.0)
            .ok()
            .and_then(|at| copy.times.get(at));
        let covered = copy.agrees(checkpoint) == Some(true) && checkpoint.size > 0;
        if covered && leaf.is_some_and(|time| *time > checkpoint.time) {
            let detail = "the leaf is dated after a checkpoint that covers it".into();
            findings.push(copy.convicted(FindingKind::Misdated, place, detail));
        }
        last = Some(checkpoint);
    }
}

/// What a copy does not show, so that nobody takes it for proven.
fn say_unproven(copy: &Copy<'_>, copies: &[Copy<'_>], verdict: &mut Verdict) {
    let summary = summary(copy, copies);
    let mut say = |detail: String| {
        verdict.unproven.push(Unproven {
            origin: copy.origin.clone(),
            holder: copy.holder.clone(),
            detail,
        });
    };
    if summary.signed < summary.leaves {
        say(format!(
            "leaves {} to {}: no checkpoint of their writer covers them",
            summary.signed,
            summary.leaves - 1
        ));
    }
    if summary.countersigned < summary.leaves {
        say(format!(
            "leaves {} to {}: that the other side received them is not shown by a receipt",
            summary.countersigned,
            summary.leaves - 1
        ));
    }
    let mut late = 0u64;
    for (index, time) in (0u64..).zip(&copy.times) {
        let first = copy.signed.partition_point(|note| note.size <= index);
        let covering = copy.signed.get(first);
        late += u64::from(covering.is_some_and(|note| note.time.since_ms(*time) > SKEW_MS_MAX));
    }
    if late > 0 {
        say(format!(
            "{late} leaves are dated more than 60 s before the first checkpoint over them in this              copy: they waited, or were dated back; shown is only that they are no younger"
        ));
    }
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
            // The reader may not have heard of the latest leaves; the writer must have its own, but
            // for those whose loss it has declared.
            // A copy that was written before it is merely older.
            None if copy.holder == copy.writer
                && !declared(copy, copies)
                && !copy.is_older_than(checkpoint.time) =>
            {
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

/// Whether a later epoch says openly that this copy's end was lost.
fn declared(copy: &Copy<'_>, copies: &[Copy<'_>]) -> bool {
    copies.iter().any(|later| {
        later.writer == copy.writer
            && later.reader == copy.reader
            && later
                .opens_with
                .as_ref()
                .is_some_and(|it| it.previous_epoch == copy.epoch && it.kept_size <= copy.size())
    })
}

/// A later epoch must say openly that the one before lost its end.
fn check_epoch(copy: &Copy<'_>, copies: &[Copy<'_>], verdict: &mut Verdict) {
    let findings = &mut verdict.findings;
    let earlier = copies.iter().any(|other| {
        other.writer == copy.writer && other.reader == copy.reader && other.epoch < copy.epoch
    });
    if let Some(rollback) = &copy.opens_with {
        let kept = copies.iter().filter(|other| {
            other.writer == copy.writer
                && other.reader == copy.reader
                && other.epoch == rollback.previous_epoch
        });
        let mut roots = kept.filter_map(|other| other.root_at(rollback.kept_size));
        if roots.any(|root| *root != rollback.kept_root) {
            let detail = "the entry of the new epoch names another log than the one it continues";
            findings.push(copy.said(FindingKind::Fork, 0, detail.into()));
        }
        verdict.unproven.push(Unproven {
            origin: copy.origin.clone(),
            holder: copy.holder.clone(),
            detail: format!(
                "the writer says openly that it lost leaves {} to {} of epoch {}; what they held is                  shown by the reader's copy alone",
                rollback.kept_size,
                rollback.countersigned_size.saturating_sub(1),
                rollback.previous_epoch
            ),
        });
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
            Some(root) if *root == receipt.root => {
                findings.extend(dated_after(copy, *index, about, receipt.size));
            }
            Some(_) => findings.push(copy.unsigned(
                FindingKind::Receipt,
                place,
                format!(
                    "the receipt over {} leaves names another root than they have; its writer must \
                     show the checkpoint that it received",
                    receipt.size
                ),
            )),
            None if about.holder == about.writer && declared(about, copies) => {}
            None if usize::try_from(*index)
                .ok()
                .and_then(|at| copy.times.get(at))
                .is_some_and(|time| about.holder != copy.holder && about.is_older_than(*time)) => {}
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

/// One key that was rotated to two: whoever had it has signed for both, the participant or a thief.
fn check_rotations(copy: &Copy<'_>, copies: &[Copy<'_>], findings: &mut Vec<Finding>) {
    for (index, rotation) in &copy.rotations {
        let all = copies.iter().filter(|other| other.writer == copy.writer);
        let mut all = all.flat_map(|other| &other.rotations);
        let two = all.any(|(_, other)| {
            other.old_key == rotation.old_key && other.new_key != rotation.new_key
        });
        if two {
            let detail = "this key was rotated to another key as well; both rotations are signed by it, so \
                          that it was in two hands, or its owner shows two";
            findings.push(Finding {
                signed_by: Some(copy.writer.clone()),
                ..copy.unsigned(FindingKind::SplitView, (*index, index + 1), detail.into())
            });
        }
    }
}

/// A receipt that is older than what it is a receipt for.
fn dated_after(copy: &Copy<'_>, index: u64, about: &Copy<'_>, size: u64) -> Option<Finding> {
    let at = |times: &[Timestamp], index: u64| times.get(usize::try_from(index).ok()?).copied();
    let receipt = at(&copy.times, index)?;
    let last = at(&about.times, size.checked_sub(1)?)?;
    (last.since_ms(receipt) > SKEW_MS_MAX).then(|| {
        about.unsigned(
            FindingKind::Misdated,
            (size - 1, size),
            format!(
                "the leaf is dated more than 60 s after its receipt, leaf {index} of the other log: \
                 one of the two is misdated, and which cannot be told"
            ),
        )
    })
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
        requests: copy.requests,
        releases: copy.releases,
        released_items: copy.released_items,
        denials: copy.denials,
    }
}
