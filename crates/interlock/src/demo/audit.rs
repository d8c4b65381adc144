//! What the nodes stored, read from their directories, and their evidence checked as an auditor would.
//!
//! INVARIANT: nothing is asked of a running node: the journals are copied while nothing is under way,
//! and read by the programs that read them offline. It does not know what should be found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use ed25519_dalek::SigningKey;
use interlock_core::time::{Timestamp, Zone};
use interlock_journal::disk::RealDisk;
use interlock_journal::evidence::{EvidenceFile, TrustedKeys, verify};
use interlock_journal::journal::Options;

use super::cast::{Seven, Who};
use super::error::DemoError;
use super::network::{Deed, Member, id_of};
use super::parcels::DemoParcel;
use super::streets::waybill;
use crate::driver::file_store::FileStore;
use crate::evidence::{Collected, Signer};
use crate::node::Node;

/// What the directories of all nodes show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Pairs of participants that wrote logs for each other.
    pub pairs: u64,
    /// Leaves in all logs.
    pub leaves: u64,
    /// Whether everything is as it was signed, in both copies of each log.
    pub verified: bool,
    /// What is wrong, for people.
    pub findings: Vec<String>,
    /// Records in all journals.
    pub records: u64,
    /// By participant, parcels in its store of which it must not know.
    pub rivals: BTreeMap<Who, u64>,
    /// Agreements on record, by id.
    pub agreements: BTreeSet<String>,
}

/// What one node's directory shows.
struct Side {
    logs: Collected,
    /// The latest time on record.
    high: Timestamp,
    rivals: u64,
    agreements: Vec<String>,
}

/// Reads the directories of all nodes, side by side; `scratch` takes the copies and is emptied again.
///
/// # Errors
/// [`DemoError`] for a journal that cannot be read or does not verify.
pub fn audit(
    nodes: &Seven<Member>,
    parcels: &[DemoParcel],
    scratch: &Path,
) -> Result<Audit, DemoError> {
    let mut audit = Audit::default();
    let mut sides = BTreeMap::new();
    let mut trusted = TrustedKeys::new();
    let mut now = Timestamp::default();
    let read: Vec<(Who, Result<Side, DemoError>)> = std::thread::scope(|scope| {
        let readers: Vec<_> = nodes
            .iter()
            .map(|(who, member)| {
                let (deed, scratch) = (&member.deed, scratch.join(who.key()));
                (who, scope.spawn(move || side(who, deed, parcels, &scratch)))
            })
            .collect();
        let joined = readers.into_iter().map(|(who, reader)| {
            let gone = |_| DemoError::Journal {
                who,
                reason: "its reader ended".into(),
            };
            (who, reader.join().map_err(gone).and_then(|side| side))
        });
        joined.collect()
    });
    fs::remove_dir_all(scratch).map_err(DemoError::files(scratch))?;
    for (who, side) in read {
        let side = side?;
        audit.records += side.logs.records;
        audit.rivals.insert(who, side.rivals);
        audit.agreements.extend(side.agreements);
        let key = &nodes.of(who).deed.key;
        trusted.insert(id_of(who)?, vec![*key.public().as_bytes()]);
        now = now.max(side.high);
        sides.insert(who, (side.logs, key.signing_key().clone()));
    }
    compare(&sides, &trusted, now, &mut audit)?;
    Ok(audit)
}

fn side(who: Who, deed: &Deed, parcels: &[DemoParcel], scratch: &Path) -> Result<Side, DemoError> {
    let (node, logs) = read(who, deed, scratch)?;
    let agreements = node.state().book.agreements.keys();
    Ok(Side {
        logs,
        high: node.state().high,
        rivals: rivals(who, &node, parcels)?,
        agreements: agreements.map(ToString::to_string).collect(),
    })
}

/// Replays a copy of a node's journal.
fn read(who: Who, deed: &Deed, scratch: &Path) -> Result<(Node, Collected), DemoError> {
    let disk = |name: &str| {
        let to = scratch.join(name);
        copy(&deed.directory.join(name), &to)?;
        let opened = RealDisk::open(&to).map(Box::new);
        opened.map_err(DemoError::files(&to))
    };
    let mut node = Node::new(deed.config.clone(), deed.key.signing_key().clone());
    let mut logs = Collected::default();
    let opened = FileStore::open(
        disk("journal")?,
        disk("keys")?,
        deed.master.clone(),
        Options::default(),
        &mut |time, record, keys| {
            logs.take(record);
            node.replay(time, record, keys)
        },
    );
    opened.map_err(|error| DemoError::Journal {
        who,
        reason: error.to_string(),
    })?;
    Ok((node, logs))
}

fn copy(from: &Path, to: &Path) -> Result<(), DemoError> {
    fs::create_dir_all(to).map_err(DemoError::files(to))?;
    for entry in fs::read_dir(from).map_err(DemoError::files(from))? {
        let entry = entry.map_err(DemoError::files(from))?;
        let target = to.join(entry.file_name());
        fs::copy(entry.path(), &target).map_err(DemoError::files(&target))?;
    }
    Ok(())
}

/// Parcels that a node holds and must not know of. A parcel that is in nobody's input counts too.
fn rivals(who: Who, node: &Node, parcels: &[DemoParcel]) -> Result<u64, DemoError> {
    let mut allowed = BTreeSet::new();
    for parcel in parcels.iter().filter(|parcel| who.may_know(parcel)) {
        allowed.insert(waybill(parcel)?);
    }
    let known = node.state().parcels.iter();
    let strange = known.filter(|parcel| !allowed.contains(&parcel.waybill));
    Ok(strange.count() as u64)
}

/// Compares both copies of both logs of each pair.
fn compare(
    sides: &BTreeMap<Who, (Collected, SigningKey)>,
    trusted: &TrustedKeys,
    now: Timestamp,
    audit: &mut Audit,
) -> Result<(), DemoError> {
    audit.verified = true;
    for (a, one) in sides {
        for (b, other) in sides.range(a..).skip(1) {
            let pair = [file(*a, one, *b, now)?, file(*b, other, *a, now)?];
            let pair: Vec<EvidenceFile> = pair.into_iter().flatten().collect();
            let leaves: usize = pair.iter().flat_map(written_leaves).sum();
            if leaves == 0 {
                continue;
            }
            audit.pairs += 1;
            audit.leaves += leaves as u64;
            let verdict = verify(&pair, trusted);
            audit.verified &= verdict.findings.is_empty();
            for finding in verdict.findings {
                let (a, b) = (a.name(), b.name());
                audit
                    .findings
                    .push(format!("{a} and {b}: {}", finding.detail));
            }
        }
    }
    audit.verified &= audit.pairs > 0;
    Ok(())
}

/// Leaves of the log that the holder of a file wrote.
fn written_leaves(file: &EvidenceFile) -> impl Iterator<Item = usize> {
    let own = file.logs.iter().filter(|log| log.writer == file.holder);
    own.map(|log| log.leaves.len())
}

/// What one side exports about a pair; `None` if there is no log of theirs.
fn file(
    holder: Who,
    (logs, key): &(Collected, SigningKey),
    partner: Who,
    now: Timestamp,
) -> Result<Option<EvidenceFile>, DemoError> {
    let (me, them) = (id_of(holder)?, id_of(partner)?);
    if !logs.partners().any(|known| *known == them) {
        return Ok(None);
    }
    let by = Signer {
        id: &me,
        key,
        now,
        zone: Zone::CHINA,
    };
    let file = logs.file(&by, Some(&them));
    file.map(Some).map_err(|error| DemoError::Journal {
        who: holder,
        reason: error.to_string(),
    })
}
