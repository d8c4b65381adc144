//! What the nodes stored, read from their directories, and their evidence checked as an auditor would.
//!
//! INVARIANT: nothing is asked of a running node: the journals are copied while nothing is under way,
//! and read by the programs that read them offline. It does not know what should be found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use interlock_core::ids::ParticipantId;
use interlock_journal::disk::RealDisk;
use interlock_journal::evidence::{
    EVIDENCE_VERSION, EvidenceFile, LogEvidence, TrustedKeys, verify,
};
use interlock_journal::journal::Options;

use super::cast::{Seven, Who};
use super::error::DemoError;
use super::network::{Deed, Member, id_of};
use super::parcels::DemoParcel;
use super::streets::waybill;
use crate::driver::file_store::FileStore;
use crate::exchange::wire::Blob;
use crate::node::Node;
use crate::node::record::Record;

/// Epoch of a log that was never rolled back.
const EPOCH_FIRST: u32 = 1;

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

/// One side's copies of the logs with each partner.
#[derive(Default)]
struct Logs {
    /// Leaves that it wrote, by reader.
    written: BTreeMap<ParticipantId, Vec<Vec<u8>>>,
    /// Leaves that it mirrored, by writer, and the newest checkpoint.
    mirrored: BTreeMap<ParticipantId, (Vec<Vec<u8>>, String)>,
    records: u64,
}

impl Logs {
    fn take(&mut self, record: &Record) {
        self.records += 1;
        let mut write = |to: &ParticipantId, leaf: &Blob| {
            self.written
                .entry(to.clone())
                .or_default()
                .push(leaf.0.clone());
        };
        match record {
            Record::LookupAsked(asked) => write(&asked.to, &asked.leaf),
            // A batch in which everything was withheld has no leaf.
            Record::BatchReleased(batch) if batch.salts.is_empty() => {}
            Record::BatchReleased(batch) => write(&batch.to, &batch.leaf),
            Record::LookupReleased(lookup) => {
                lookup
                    .leaves
                    .iter()
                    .for_each(|leaf| write(&lookup.to, leaf));
            }
            Record::Denied { to, leaf, .. }
            | Record::Leaf { to, leaf }
            | Record::BatchesTakenBack { to, leaf, .. } => write(to, leaf),
            Record::Mirrored {
                from,
                first,
                leaves,
                checkpoint,
            } => {
                let (held, newest) = self.mirrored.entry(from.clone()).or_default();
                // Leaves that came again are held already.
                let known = (held.len() as u64).saturating_sub(*first);
                let known = usize::try_from(known).unwrap_or(usize::MAX);
                held.extend(leaves.iter().skip(known).map(|leaf| leaf.0.clone()));
                newest.clone_from(checkpoint);
            }
            Record::Partner(_)
            | Record::PartnerRemoved(_)
            | Record::ApiKey { .. }
            | Record::Offer(_)
            | Record::OfferWithdrawn(_)
            | Record::Negotiation(_)
            | Record::Agreement(_)
            | Record::AgreementState { .. }
            | Record::Transfer(_)
            | Record::Cooperation(_)
            | Record::Parcel(_)
            | Record::Claimed { .. }
            | Record::Event(_)
            | Record::Station(_)
            | Record::Deposit(_)
            | Record::Stay { .. }
            | Record::Notifier { .. }
            | Record::LookupAnswered { .. }
            | Record::Receipted { .. }
            | Record::Acknowledged { .. }
            | Record::BatchReceived(_)
            | Record::Message { .. }
            | Record::MessageDone { .. }
            | Record::Keyed { .. }
            | Record::Alert { .. }
            | Record::ContactDeleted { .. }
            | Record::EndWarned(_)
            | Record::WarningDone { .. }
            | Record::Noted(_) => {}
        }
    }
}

/// What one node's directory shows.
struct Side {
    logs: Logs,
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
        let key = *nodes.of(who).deed.key.public().as_bytes();
        trusted.insert(id_of(who)?, vec![key]);
        sides.insert(who, (side.logs, key));
    }
    compare(&sides, &trusted, &mut audit)?;
    Ok(audit)
}

fn side(who: Who, deed: &Deed, parcels: &[DemoParcel], scratch: &Path) -> Result<Side, DemoError> {
    let (node, logs) = read(who, deed, scratch)?;
    let agreements = node.state().book.agreements.keys();
    Ok(Side {
        logs,
        rivals: rivals(who, &node, parcels)?,
        agreements: agreements.map(ToString::to_string).collect(),
    })
}

/// Replays a copy of a node's journal.
fn read(who: Who, deed: &Deed, scratch: &Path) -> Result<(Node, Logs), DemoError> {
    let disk = |name: &str| {
        let to = scratch.join(name);
        copy(&deed.directory.join(name), &to)?;
        let opened = RealDisk::open(&to).map(Box::new);
        opened.map_err(DemoError::files(&to))
    };
    let mut node = Node::new(deed.config.clone(), deed.key.signing_key().clone());
    let mut logs = Logs::default();
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
    sides: &BTreeMap<Who, (Logs, [u8; 32])>,
    trusted: &TrustedKeys,
    audit: &mut Audit,
) -> Result<(), DemoError> {
    audit.verified = true;
    for (a, one) in sides {
        for (b, other) in sides.range(a..).skip(1) {
            let pair = [file(*a, one, *b, other.1)?, file(*b, other, *a, one.1)?];
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

/// What one side would export about a pair.
fn file(
    holder: Who,
    (logs, key): &(Logs, [u8; 32]),
    partner: Who,
    partner_key: [u8; 32],
) -> Result<EvidenceFile, DemoError> {
    let (me, them) = (id_of(holder)?, id_of(partner)?);
    let encoded = |leaves: &[Vec<u8>]| leaves.iter().map(|leaf| STANDARD.encode(leaf)).collect();
    let hex = |key: &[u8; 32]| key.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut copies = Vec::new();
    if let Some(leaves) = logs.written.get(&them) {
        copies.push(LogEvidence {
            writer: me.clone(),
            reader: them.clone(),
            epoch: EPOCH_FIRST,
            key: hex(key),
            leaves: encoded(leaves),
            checkpoints: Vec::new(),
        });
    }
    if let Some((leaves, checkpoint)) = logs.mirrored.get(&them) {
        copies.push(LogEvidence {
            writer: them,
            reader: me.clone(),
            epoch: EPOCH_FIRST,
            key: hex(&partner_key),
            leaves: encoded(leaves),
            checkpoints: vec![checkpoint.clone()],
        });
    }
    Ok(EvidenceFile {
        version: EVIDENCE_VERSION,
        holder: me,
        manifests: Vec::new(),
        logs: copies,
    })
}
