//! The file for an auditor, written from what a journal holds.
//!
//! INVARIANT: the journal is only read, up to its last whole group; an export of a damaged journal is
//! refused. Of our own logs the newest epoch is signed as it stands, so that what is shown is our
//! word. It knows no personal data.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use interlock_core::agreement::Assurance;
use interlock_core::ids::ParticipantId;
use interlock_core::time::{Timestamp, Zone};
use interlock_journal::bilateral::{KeyRotation, Leaf, LeafBody};
use interlock_journal::checkpoint::{Checkpoint, origin};
use interlock_journal::disk::RealDisk;
use interlock_journal::evidence::{
    AgreementEvidence, EvidenceFile, KeyEvidence, LogEvidence, ParticipantEvidence,
};
use interlock_journal::hex;
use interlock_journal::journal::{Damage, Met, Position, RecordHeader, visit};
use interlock_journal::manifest::SignedManifest;
use interlock_journal::merkle::{Frontier, leaf_hash};

use super::collect::{Collected, LogCopy};
use crate::driver::clock::Clock;
use crate::driver::file_store::read_record;
use crate::identity::own::OwnIdentity;
use crate::node::agreements::Cooperation;
use crate::node::record::Record;

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The journal cannot be read.
    #[error("failed to read the journal: {0}; check `store.dir` and who may use it")]
    Read(#[from] io::Error),
    /// The journal is damaged.
    #[error("{0}")]
    Damaged(Damage),
    /// A record is of another version.
    #[error("record {0} is of another version of interlock; export with the one that wrote it")]
    Record(Position),
    /// There is no log with this participant.
    #[error("there is no log with `{0}`; `interlock partner list` shows who there is")]
    NoSuchPartner(ParticipantId),
}

/// Reads a journal and hands every record out, in order.
///
/// # Errors
/// [`ExportError::Read`], [`ExportError::Damaged`], [`ExportError::Record`].
pub fn read(
    journal: &Path,
    each: &mut dyn FnMut(&RecordHeader, &Record),
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), ExportError> {
    let mut disk = RealDisk::open_read_only(journal)?;
    let mut unreadable = None;
    let report = visit(&mut disk, &mut |met| match met {
        Met::Record(header, body) => match read_record(header.kind, body) {
            Some(record) => each(header, &record),
            None => unreadable = unreadable.or(Some(header.position)),
        },
        Met::Progress {
            read_bytes,
            total_bytes,
        } => progress(read_bytes, total_bytes),
    })?;
    match (report.damage.first(), unreadable) {
        (Some(damage), _) => Err(ExportError::Damaged(*damage)),
        (None, Some(position)) => Err(ExportError::Record(position)),
        (None, None) => Ok(()),
    }
}

/// Who exports.
pub struct Signer<'a> {
    /// The participant.
    pub id: &'a ParticipantId,
    /// Its key, which signs its own logs as they stand.
    pub key: &'a SigningKey,
    /// The time, read before the journal was: leaves that were written meanwhile are younger.
    pub now: Timestamp,
    /// In which the time is shown.
    pub zone: Zone,
}

impl Collected {
    /// The file about one partner, or about all.
    ///
    /// # Errors
    /// [`ExportError::NoSuchPartner`].
    pub fn file(
        &self,
        by: &Signer<'_>,
        partner: Option<&ParticipantId>,
    ) -> Result<EvidenceFile, ExportError> {
        let wanted: BTreeSet<&ParticipantId> = match partner {
            Some(partner) if self.partners().any(|known| known == partner) => [partner].into(),
            Some(partner) => return Err(ExportError::NoSuchPartner(partner.clone())),
            None => self.partners().collect(),
        };
        let mut file = EvidenceFile::new(by.id.clone());
        file.exported_at = Some(by.now.to_rfc3339(by.zone));
        for cooperation in self.cooperations.values() {
            if wanted.contains(&cooperation.peer) {
                file.manifests.extend(signed(by.id, cooperation));
            }
        }
        for agreement in self.agreements.values() {
            if wanted.contains(agreement.other(by.id)) {
                file.agreements.push(AgreementEvidence {
                    id: agreement.id.clone(),
                    provider: agreement.provider.clone(),
                    consumer: agreement.consumer.clone(),
                    dataset: agreement.terms.dataset,
                    policy: agreement.terms.to_policy(),
                    policy_hash: hex::encode(&agreement.policy_hash),
                    without_manifest: agreement.facts.assurance != Assurance::Signed,
                });
            }
        }
        file.anchors = self.anchors(by.id, &wanted);
        for partner in &wanted {
            file.logs.extend(self.logs(by, partner));
        }
        let everybody = std::iter::once(by.id).chain(wanted);
        file.participants = everybody.map(|id| self.keys_of(by, id, &file)).collect();
        Ok(file)
    }

    fn logs(&self, by: &Signer<'_>, partner: &ParticipantId) -> Vec<LogEvidence> {
        let ours = by.key.verifying_key().to_bytes();
        let pinned = self.keys.get(partner).and_then(|keys| keys.last());
        let mirrored = self.mirrored.get(partner).map(Vec::as_slice);
        let mirrored = mirrored.unwrap_or_default();
        let leaves = mirrored.iter().flat_map(|copy| &copy.leaves);
        let rotated = rotations(leaves.cloned()).last().map(|it| it.new_key);
        let pinned = rotated.or(pinned.copied()).unwrap_or_default();
        let written = self.written.get(partner).map(Vec::as_slice);
        let written = written.unwrap_or_default();
        let mut logs = Vec::new();
        for (at, copy) in written.iter().enumerate() {
            let key = key_after(written.get(at + 1..).unwrap_or_default(), ours);
            let mut log = evidence(by.id, partner, copy, key);
            if at + 1 == written.len() {
                log.checkpoints.extend(checkpoint(by, partner, copy));
            }
            logs.push(log);
        }
        for (at, copy) in mirrored.iter().enumerate() {
            let key = key_after(mirrored.get(at + 1..).unwrap_or_default(), pinned);
            let mut log = evidence(partner, by.id, copy, key);
            log.checkpoints.clone_from(&copy.checkpoints);
            logs.push(log);
        }
        logs
    }

    /// The history of a participant's keys.
    fn keys_of(
        &self,
        by: &Signer<'_>,
        id: &ParticipantId,
        file: &EvidenceFile,
    ) -> ParticipantEvidence {
        let mut keys: Vec<KeyEvidence> = Vec::new();
        let mut add = |key: String, source: String| {
            if !keys.iter().any(|known| known.key == key) {
                keys.push(KeyEvidence { key, source });
            }
        };
        for log in file.logs.iter().filter(|log| log.writer == *id) {
            add(log.key.clone(), format!("log {}", log_name(log)));
            for rotation in rotations(log.leaves.iter().filter_map(|it| STANDARD.decode(it).ok())) {
                let new = hex::encode(&rotation.new_key);
                add(new, format!("rotation in log {}", log_name(log)));
            }
        }
        for signed in &file.manifests {
            if let Some(party) = signed.manifest.parties.get(id) {
                let source = format!("manifest of {}", signed.manifest.cooperation);
                add(party.key.clone(), source);
            }
        }
        for key in self.keys.get(id).into_iter().flatten() {
            add(hex::encode(key), "list of partners".into());
        }
        if id == by.id {
            let key = by.key.verifying_key().to_bytes();
            add(hex::encode(&key), "own key".into());
        }
        ParticipantEvidence {
            id: id.clone(),
            keys,
        }
    }
}

fn log_name(log: &LogEvidence) -> String {
    origin(&log.writer, &log.reader, log.epoch)
}

fn rotations(leaves: impl Iterator<Item = Vec<u8>>) -> impl Iterator<Item = KeyRotation> {
    leaves.filter_map(|bytes| match Leaf::decode(&bytes).ok()?.body {
        LeafBody::KeyRotation(rotation) => Some(rotation),
        LeafBody::Request(_)
        | LeafBody::Release(_)
        | LeafBody::Denial(_)
        | LeafBody::AgreementChange(_)
        | LeafBody::Receipt(_)
        | LeafBody::Rollback(_)
        | LeafBody::Voided(_)
        | LeafBody::Deletion(_)
        | LeafBody::RunOffSet(_) => None,
    })
}

/// The key that the later epochs of a log begin with; `now` is the key at its end.
fn key_after(later: &[LogCopy], now: [u8; 32]) -> [u8; 32] {
    let leaves = later.iter().flat_map(|copy| &copy.leaves);
    let first = rotations(leaves.cloned()).next();
    first.map_or(now, |rotation| rotation.old_key)
}

/// A log without checkpoints. `key_now` is the writer's key at its end.
fn evidence(
    writer: &ParticipantId,
    reader: &ParticipantId,
    copy: &LogCopy,
    key_now: [u8; 32],
) -> LogEvidence {
    let first = rotations(copy.leaves.iter().cloned()).next();
    let key = first.map_or(key_now, |rotation| rotation.old_key);
    LogEvidence {
        writer: writer.clone(),
        reader: reader.clone(),
        epoch: copy.epoch,
        key: hex::encode(&key),
        leaves: copy.leaves.iter().map(|it| STANDARD.encode(it)).collect(),
        checkpoints: Vec::new(),
    }
}

/// Our signature over a log of ours as it stands; `None` if there is nothing in it.
fn checkpoint(by: &Signer<'_>, reader: &ParticipantId, copy: &LogCopy) -> Option<String> {
    let last = Leaf::decode(copy.leaves.last()?).ok()?;
    let mut tree = Frontier::new();
    for leaf in &copy.leaves {
        tree.append(leaf_hash(leaf));
    }
    let checkpoint = Checkpoint {
        origin: origin(by.id, reader, copy.epoch),
        size: tree.size(),
        root: tree.root(),
        time: by.now.max(last.time),
    };
    checkpoint.sign(by.key, by.id.as_str()).ok()
}

/// The manifest of a cooperation, once both parties have signed it.
fn signed(me: &ParticipantId, cooperation: &Cooperation) -> Option<SignedManifest> {
    let ours = cooperation.our_signature.as_deref()?;
    let theirs = cooperation.their_signature.as_deref()?;
    Some(SignedManifest {
        manifest: cooperation.read_manifest()?,
        signatures: [
            (me.clone(), hex::encode(ours)),
            (cooperation.peer.clone(), hex::encode(theirs)),
        ]
        .into(),
    })
}

/// Exports for a running node, from the journal beside it.
pub struct Exporter {
    /// Where the journal is.
    pub journal: PathBuf,
    /// Who exports.
    pub own: Arc<OwnIdentity>,
    /// In which times are shown.
    pub zone: Zone,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
}

impl Exporter {
    /// The file about one partner, or about all, as JSON.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn export(&self, partner: Option<&ParticipantId>) -> Result<Vec<u8>, ExportError> {
        // Before the journal is read: what is written meanwhile is younger than the signature.
        let now = self.clock.now().earliest;
        let mut collected = Collected::default();
        read(
            &self.journal,
            &mut |_, record| collected.take(record),
            &mut |_, _| {},
        )?;
        let key = self.own.key();
        let by = Signer {
            id: self.own.id(),
            key: key.signing_key(),
            now,
            zone: self.zone,
        };
        let file = collected.file(&by, partner)?;
        Ok(serde_json::to_vec(&file).map_err(io::Error::other)?)
    }
}
