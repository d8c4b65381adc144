//! Which keys to believe.
//!
//! INVARIANT: keys that whoever checks has given for a participant are the only ones believed for it,
//! but for those that rotations signed by both keys lead to. What is taken from a file's own
//! manifests or logs is said to be.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use interlock_core::ids::ParticipantId;
use serde::{Deserialize, Serialize};

use crate::bilateral::{KeyRotation, Leaf, LeafBody};
use crate::hex;

use super::{EvidenceFile, TrustedKeys};

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySource {
    /// Whoever checks has given it.
    Given,
    /// A manifest in the files that both parties have signed names it.
    Manifest,
    /// A log in the files says so of itself, and nothing else does.
    FileAlone,
    /// A rotation signed by it and by a key that is believed.
    Rotation,
}

/// A key that is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BelievedKey {
    /// Whose.
    pub participant: ParticipantId,
    /// Ed25519, hexadecimal.
    pub key: String,
    /// Why.
    pub source: KeySource,
}

/// The keys to check these files with, and where each comes from.
pub fn keys_for(files: &[EvidenceFile], given: &TrustedKeys) -> (TrustedKeys, Vec<BelievedKey>) {
    let mut keys: BTreeMap<ParticipantId, BTreeMap<[u8; 32], KeySource>> = BTreeMap::new();
    for (participant, given) in given {
        let known = keys.entry(participant.clone()).or_default();
        known.extend(given.iter().map(|key| (*key, KeySource::Given)));
    }
    let manifests = files.iter().flat_map(|file| &file.manifests);
    for signed in manifests.filter(|signed| signed.verify().is_ok()) {
        for (participant, party) in &signed.manifest.parties {
            if let Some(key) = hex::decode(&party.key)
                && !given.contains_key(participant)
            {
                let known = keys.entry(participant.clone()).or_default();
                known.entry(key).or_insert(KeySource::Manifest);
            }
        }
    }
    follow_rotations(files, &mut keys);
    for log in files.iter().flat_map(|file| &file.logs) {
        if let Some(key) = hex::decode(&log.key)
            && !keys.contains_key(&log.writer)
        {
            let known = keys.entry(log.writer.clone()).or_default();
            known.insert(key, KeySource::FileAlone);
        }
    }
    let mut trusted = TrustedKeys::new();
    let mut believed = Vec::new();
    for (participant, known) in keys {
        for (key, source) in known {
            believed.push(BelievedKey {
                participant: participant.clone(),
                key: hex::encode(&key),
                source,
            });
            trusted.entry(participant.clone()).or_default().push(key);
        }
    }
    (trusted, believed)
}

/// Each of two keys that have signed a rotation vouches for the other.
fn follow_rotations(
    files: &[EvidenceFile],
    keys: &mut BTreeMap<ParticipantId, BTreeMap<[u8; 32], KeySource>>,
) {
    let mut rotations: Vec<(ParticipantId, KeyRotation)> = Vec::new();
    for log in files.iter().flat_map(|file| &file.logs) {
        for text in &log.leaves {
            let leaf = STANDARD.decode(text).ok();
            if let Some(leaf) = leaf.and_then(|bytes| Leaf::decode(&bytes).ok())
                && let LeafBody::KeyRotation(rotation) = leaf.body
                && rotation.verify(&log.writer, &rotation.old_key).is_some()
            {
                rotations.push((log.writer.clone(), rotation));
            }
        }
    }
    // Each round follows at least one rotation further, or is the last.
    for _ in 0..=rotations.len() {
        let mut more = false;
        for (writer, rotation) in &rotations {
            let Some(known) = keys.get_mut(writer) else {
                continue;
            };
            let pair = [rotation.old_key, rotation.new_key];
            if pair.iter().any(|key| known.contains_key(key)) {
                for key in pair {
                    let absent = !known.contains_key(&key);
                    more |= absent;
                    known.entry(key).or_insert(KeySource::Rotation);
                }
            }
        }
        if !more {
            break;
        }
    }
}
