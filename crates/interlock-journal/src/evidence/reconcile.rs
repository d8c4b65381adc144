//! Two participants' views of a period, from the evidence of both.
//!
//! INVARIANT: a line counts what leaves say, each side by its own copy, and a difference is named with
//! the leaves that make it; whom it convicts is for the findings, which come from the check of both
//! files together. A leaf's time is its writer's. It knows counts and no parcel: what waits at its
//! owner is in no log.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bilateral::{Lane, Leaf, LeafBody};
use crate::merkle::{Hash, leaf_hash};

use super::{Comparison, EvidenceFile, LogEvidence, Standing, TrustedKeys, compare};

/// What a line is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Matter {
    /// Asked for, of a dataset.
    Asked(Dataset),
    /// Released, of a dataset, in a lane; a lookup has none.
    Released(Dataset, Option<Lane>),
    /// Refused, for a reason.
    Refused(String),
    /// Released and held back before it left, for a reason. Counted in answers.
    Voided(String),
    /// Deleted, by the word of whoever had it.
    Deleted,
}

impl Matter {
    /// In words, such as `released locker-events, backlog`.
    pub fn words(&self) -> String {
        match self {
            Self::Asked(dataset) => format!("asked for {dataset}"),
            Self::Released(dataset, None) => format!("released {dataset}"),
            Self::Released(dataset, Some(Lane::Live)) => format!("released {dataset}, live"),
            Self::Released(dataset, Some(Lane::Backlog)) => format!("released {dataset}, backlog"),
            Self::Refused(reason) => format!("refused: {reason}"),
            Self::Voided(reason) => format!("held back: {reason}"),
            Self::Deleted => "deleted what was released".into(),
        }
    }
}

/// One line: what one participant said to the other in the period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Who sent.
    pub from: ParticipantId,
    /// To whom.
    pub to: ParticipantId,
    /// What.
    pub matter: Matter,
    /// Items by the sender's copy.
    pub sent: u64,
    /// Items by the receiver's copy.
    pub held: u64,
    /// Items of the sender's copy that the receiver has acknowledged with its signature.
    pub received: u64,
    /// In what the two differ; empty if they agree.
    pub difference: String,
}

/// The two views side by side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// Whose files.
    pub holders: [ParticipantId; 2],
    /// The lines, by sender and matter.
    pub lines: Vec<Line>,
    /// What else differs, in words.
    pub differences: Vec<String>,
    /// The logs of the two and what both files together show.
    pub comparison: Comparison,
}

impl Reconciliation {
    /// Whether both tell the same.
    pub fn agrees(&self) -> bool {
        self.differences.is_empty() && self.lines.iter().all(|line| line.difference.is_empty())
    }
}

/// Compares what two files say of the leaves with a time in `[from, until)`. `trusted` as for
/// [`super::verify`].
pub fn reconcile(
    first: &EvidenceFile,
    second: &EvidenceFile,
    (from, until): (Timestamp, Timestamp),
    trusted: &TrustedKeys,
) -> Reconciliation {
    let holders = [first.holder.clone(), second.holder.clone()];
    let comparison = compare(first, second, trusted);
    let mut tables: BTreeMap<(ParticipantId, Matter), Tally> = BTreeMap::new();
    let mut differences = Vec::new();
    for (own, other) in [(first, second), (second, first)] {
        let (writer, reader) = (&own.holder, &other.holder);
        let asked = datasets_of(&[own, other]);
        for epoch in epochs(writer, reader, [own, other]) {
            let sent = leaves(own, writer, reader, epoch);
            let held = leaves(other, writer, reader, epoch);
            let acknowledged = acknowledged(writer, reader, epoch, [own, other]);
            let span = |at: Timestamp| from <= at && at < until;
            differences.extend(gap(writer, reader, epoch, &sent, &held, span));
            for (index, (hash, leaf)) in (0u64..).zip(&sent) {
                let same = held
                    .get(position(index))
                    .is_some_and(|(other, _)| other == hash);
                if let Some((matter, items)) = said(leaf.as_ref(), span, &asked) {
                    let line = tables.entry((writer.clone(), matter)).or_default();
                    line.sent += items;
                    line.received += if index < acknowledged { items } else { 0 };
                    if !same {
                        line.only_sent.insert(index);
                    }
                }
            }
            for (index, (hash, leaf)) in (0u64..).zip(&held) {
                let same = sent
                    .get(position(index))
                    .is_some_and(|(other, _)| other == hash);
                if let Some((matter, items)) = said(leaf.as_ref(), span, &asked) {
                    let line = tables.entry((writer.clone(), matter)).or_default();
                    line.held += items;
                    if !same {
                        line.only_held.insert(index);
                    }
                }
            }
        }
    }
    let lines = tables.into_iter().map(|((writer, matter), tally)| {
        let reader = holders.iter().find(|holder| **holder != writer);
        let to = reader.cloned().unwrap_or_else(|| writer.clone());
        tally.line(writer, to, matter)
    });
    let lines = lines.collect();
    differences.extend(forks(&comparison));
    Reconciliation {
        holders,
        lines,
        differences,
        comparison,
    }
}

#[derive(Default)]
struct Tally {
    sent: u64,
    held: u64,
    received: u64,
    only_sent: BTreeSet<u64>,
    only_held: BTreeSet<u64>,
}

impl Tally {
    fn line(self, from: ParticipantId, to: ParticipantId, matter: Matter) -> Line {
        let mut words = Vec::new();
        if !self.only_sent.is_empty() {
            words.push(format!("{to} does not hold {}", ranges(&self.only_sent)));
        }
        if !self.only_held.is_empty() {
            words.push(format!("{from} does not show {}", ranges(&self.only_held)));
        }
        if words.is_empty() && self.received < self.sent {
            let open = self.sent - self.received;
            words.push(format!("{to} has signed no receipt for {open}"));
        }
        Line {
            from,
            to,
            matter,
            sent: self.sent,
            held: self.held,
            received: self.received,
            difference: words.join("; "),
        }
    }
}

/// `leaf 3`, `leaves 3 to 7, 9`.
fn ranges(indices: &BTreeSet<u64>) -> String {
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for index in indices {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            Some(_) | None => spans.push((*index, *index)),
        }
    }
    let words = spans.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first} to {last}"),
    });
    let words: Vec<String> = words.collect();
    let name = if indices.len() == 1 { "leaf" } else { "leaves" };
    format!("{name} {}", words.join(", "))
}

/// The dataset of each agreement that a file names: a denial names the agreement only.
fn datasets_of<'a>(files: &[&'a EvidenceFile]) -> BTreeMap<&'a WireId, Dataset> {
    let agreements = files.iter().flat_map(|file| &file.agreements);
    agreements.map(|it| (&it.id, it.dataset)).collect()
}

fn logs<'a>(
    file: &'a EvidenceFile,
    writer: &ParticipantId,
    reader: &ParticipantId,
) -> impl Iterator<Item = &'a LogEvidence> {
    let (writer, reader) = (writer.clone(), reader.clone());
    let all = file.logs.iter();
    all.filter(move |log| log.writer == writer && log.reader == reader)
}

fn epochs(
    writer: &ParticipantId,
    reader: &ParticipantId,
    files: [&EvidenceFile; 2],
) -> BTreeSet<u32> {
    let all = files
        .into_iter()
        .flat_map(|file| logs(file, writer, reader));
    all.map(|log| log.epoch).collect()
}

type Read = (Hash, Option<Leaf>);

/// The leaves of one epoch in one file; `None` where one cannot be read, which the check reports.
fn leaves(
    file: &EvidenceFile,
    writer: &ParticipantId,
    reader: &ParticipantId,
    epoch: u32,
) -> Vec<Read> {
    let log = logs(file, writer, reader).find(|log| log.epoch == epoch);
    let encoded = log.into_iter().flat_map(|log| &log.leaves);
    let read = encoded.map(|text| {
        let bytes = STANDARD.decode(text).unwrap_or_default();
        (leaf_hash(&bytes), Leaf::decode(&bytes).ok())
    });
    read.collect()
}

/// How many leaves of a log its reader has acknowledged in its own log, by either copy of that.
fn acknowledged(
    writer: &ParticipantId,
    reader: &ParticipantId,
    epoch: u32,
    files: [&EvidenceFile; 2],
) -> u64 {
    let replies = files
        .into_iter()
        .flat_map(|file| logs(file, reader, writer));
    let receipts = replies.flat_map(|log| &log.leaves).filter_map(|text| {
        let bytes = STANDARD.decode(text).ok()?;
        match Leaf::decode(&bytes).ok()?.body {
            LeafBody::Receipt(receipt) if receipt.epoch == epoch => Some(receipt.size),
            LeafBody::Receipt(_)
            | LeafBody::Request(_)
            | LeafBody::Release(_)
            | LeafBody::Denial(_)
            | LeafBody::AgreementChange(_)
            | LeafBody::KeyRotation(_)
            | LeafBody::Rollback(_)
            | LeafBody::Voided(_)
            | LeafBody::Deletion(_)
            | LeafBody::RunOffSet(_) => None,
        }
    });
    receipts.max().unwrap_or(0)
}

/// What a leaf of the period says, with how many items.
fn said(
    leaf: Option<&Leaf>,
    span: impl Fn(Timestamp) -> bool,
    datasets: &BTreeMap<&WireId, Dataset>,
) -> Option<(Matter, u64)> {
    let leaf = leaf.filter(|leaf| span(leaf.time))?;
    match &leaf.body {
        LeafBody::Request(it) => Some((Matter::Asked(it.dataset), it.items.into())),
        LeafBody::Release(it) => Some((Matter::Released(it.dataset, it.lane), it.items.into())),
        LeafBody::Denial(it) => {
            let dataset = it.agreement.as_ref().and_then(|id| datasets.get(id));
            let what = dataset.map_or(String::new(), |dataset| format!("{dataset}, "));
            // A feed that is refused as a whole names no items.
            let items = it.items.max(1).into();
            Some((Matter::Refused(format!("{what}{}", it.reason)), items))
        }
        LeafBody::Voided(it) => Some((Matter::Voided(it.reason.clone()), 1)),
        LeafBody::Deletion(it) => Some((Matter::Deleted, it.items.into())),
        LeafBody::AgreementChange(_)
        | LeafBody::Receipt(_)
        | LeafBody::KeyRotation(_)
        | LeafBody::Rollback(_)
        | LeafBody::RunOffSet(_) => None,
    }
}

/// Leaves of the period that only one side has, whatever they are about.
fn gap(
    writer: &ParticipantId,
    reader: &ParticipantId,
    epoch: u32,
    sent: &[Read],
    held: &[Read],
    span: impl Fn(Timestamp) -> bool,
) -> Option<String> {
    let (longer, who) = match sent.len() >= held.len() {
        true => (sent, reader),
        false => (held, writer),
    };
    let shorter = sent.len().min(held.len());
    let beyond = longer.get(shorter..).unwrap_or_default();
    let missing: BTreeSet<u64> = (0u64..)
        .zip(beyond)
        .filter(|(_, (_, leaf))| leaf.as_ref().is_none_or(|leaf| span(leaf.time)))
        .map(|(at, _)| at + shorter as u64)
        .collect();
    (!missing.is_empty()).then(|| {
        let leaves = ranges(&missing);
        format!("{who} has not {leaves} of the log of {writer} toward {reader}, epoch {epoch}")
    })
}

/// Two histories of one log are a difference, whatever they count.
fn forks(comparison: &Comparison) -> Vec<String> {
    let logs = comparison.logs.iter();
    let forked = logs.filter(|log| {
        matches!(
            log.standing,
            Standing::SplitView | Standing::Fork | Standing::Differ
        )
    });
    forked
        .map(|log| {
            let (words, common) = (log.standing.as_str(), log.common);
            format!("{}: {words} after {common} leaves", log.origin)
        })
        .collect()
}

fn position(index: u64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
