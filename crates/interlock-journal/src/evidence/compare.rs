//! The exports of the two parties of a pair, side by side.
//!
//! INVARIANT: it says of each log how the two copies stand to each other; whom that convicts is for
//! the findings, which it takes from the check of both files together.

use crate::merkle::Hash;

use super::copy::Copy;
use super::verify::read_all;
use super::{EvidenceFile, FindingKind, TrustedKeys, Verdict, verify};
use serde::{Deserialize, Serialize};

/// How two copies of one log stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The same leaves.
    Same,
    /// The reader has not heard of the latest leaves, which is no fault.
    ReaderBehind,
    /// The writer has fewer leaves than its reader.
    WriterBehind,
    /// Only one of the files has the log.
    OneSided,
    /// The writer signed two different logs, one for each side.
    SplitView,
    /// The writer signed two different logs, and showed both to one side.
    Fork,
    /// The copies differ, and no two signatures of the writer say so: one copy was changed.
    Differ,
}

impl Standing {
    /// For people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::ReaderBehind => "reader behind",
            Self::WriterBehind => "writer behind",
            Self::OneSided => "in one file only",
            Self::SplitView => "split view",
            Self::Fork => "fork",
            Self::Differ => "differ",
        }
    }
}

/// One log in both files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogComparison {
    /// The log, by the origin of its checkpoints.
    pub origin: String,
    /// Leaves in the first file; `None` if it has not the log.
    pub in_first: Option<u64>,
    /// Leaves in the second file.
    pub in_second: Option<u64>,
    /// Leaves from the first on that are the same.
    pub common: u64,
    /// How they stand.
    pub standing: Standing,
    /// Receipts that one copy has and that stand at another place, or not at all, in the other, which
    /// has leaves there: one side denies them.
    pub denied_receipts: u64,
}

/// Two files of a pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Each log that either has.
    pub logs: Vec<LogComparison>,
    /// What both together show.
    pub verdict: Verdict,
}

/// Compares two files. `trusted` as for [`verify`].
pub fn compare(first: &EvidenceFile, second: &EvidenceFile, trusted: &TrustedKeys) -> Comparison {
    let files = [first.clone(), second.clone()];
    let verdict = verify(&files, trusted);
    let mut unheard = Vec::new();
    let one = read_all(&files[..1], trusted, &mut unheard);
    let two = read_all(&files[1..], trusted, &mut unheard);
    let mut logs = Vec::new();
    for copy in &one {
        let other = two.iter().find(|other| other.is_same_log(copy));
        logs.push(stand(copy, other, &verdict));
    }
    for copy in &two {
        if !one.iter().any(|other| other.is_same_log(copy)) {
            let alone = stand(copy, None, &verdict);
            logs.push(LogComparison {
                in_first: None,
                in_second: alone.in_first,
                ..alone
            });
        }
    }
    Comparison { logs, verdict }
}

fn stand(copy: &Copy<'_>, other: Option<&Copy<'_>>, verdict: &Verdict) -> LogComparison {
    let mut line = LogComparison {
        origin: copy.origin.clone(),
        in_first: Some(copy.size()),
        in_second: other.map(Copy::size),
        common: 0,
        standing: Standing::OneSided,
        denied_receipts: 0,
    };
    let Some(other) = other else { return line };
    let pairs = copy.hashes.iter().zip(&other.hashes);
    line.common = pairs.take_while(|(one, two)| one == two).count() as u64;
    let found = |kind| {
        let mut findings = verdict.findings.iter();
        findings.any(|finding| finding.kind == kind && finding.origin == copy.origin)
    };
    let shorter = copy.size().min(other.size());
    line.standing = if line.common < shorter {
        match (found(FindingKind::SplitView), found(FindingKind::Fork)) {
            (true, _) => Standing::SplitView,
            (false, true) => Standing::Fork,
            (false, false) => Standing::Differ,
        }
    } else if found(FindingKind::Fork) {
        Standing::Fork
    } else if copy.size() == other.size() {
        Standing::Same
    } else {
        let longer = if copy.size() > other.size() {
            copy
        } else {
            other
        };
        match longer.holder == longer.writer {
            true => Standing::ReaderBehind,
            false => Standing::WriterBehind,
        }
    };
    line.denied_receipts = denied(copy, other, line.common) + denied(other, copy, line.common);
    line
}

/// Receipts of one copy behind the common beginning, at places where the other has something else.
fn denied(copy: &Copy<'_>, other: &Copy<'_>, common: u64) -> u64 {
    let hash = |of: &Copy<'_>, at: u64| -> Option<Hash> {
        of.hashes.get(usize::try_from(at).ok()?).copied()
    };
    let receipts = copy.receipts.iter().filter(|(index, _)| {
        *index >= common
            && match hash(other, *index) {
                Some(theirs) => hash(copy, *index) != Some(theirs),
                // The writer has not what its reader shows.
                None => other.holder == other.writer,
            }
    });
    receipts.count() as u64
}
