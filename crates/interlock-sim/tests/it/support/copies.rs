//! What each node holds of each log, read from its records, and what was ever sent.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use interlock::evidence::{Collected, LogCopy, Signer};
use interlock_core::ids::ParticipantId;
use interlock_core::time::Zone;
use interlock_journal::checkpoint::Checkpoint;
use interlock_journal::evidence::{
    EvidenceFile, Finding, FindingKind, LogEvidence, TrustedKeys, Verdict, verify,
};
use interlock_journal::hex;
use interlock_sim::{NodeIx, World};
use serde_json::Value;

use super::ALL;

/// No leaf that was ever sent differs from another at the same place of the same epoch of a log, and no
/// checkpoint from another of the same size.
pub fn assert_no_fork(world: &World) {
    let mut leaves: BTreeMap<(String, u64), String> = BTreeMap::new();
    let mut roots: BTreeMap<(String, u64), String> = BTreeMap::new();
    for exchanged in &world.exchanged {
        for body in [&exchanged.request.2, &exchanged.answer.1] {
            let Ok(body) = serde_json::from_slice::<Value>(body) else {
                continue;
            };
            let evidence = body.get("evidence").unwrap_or(&body);
            let (Some(from), Some(sent), Some(note)) = (
                evidence["from"].as_u64(),
                evidence["leaves"].as_array(),
                evidence["checkpoint"].as_str(),
            ) else {
                continue;
            };
            let Some(checkpoint) = Checkpoint::parse_unverified(note) else {
                continue;
            };
            let root = STANDARD.encode(checkpoint.root);
            let at = (checkpoint.origin.clone(), checkpoint.size);
            let known = roots.entry(at.clone()).or_insert_with(|| root.clone());
            assert!(*known == root, "two checkpoints at {at:?}");
            for (index, leaf) in (from..).zip(sent) {
                let leaf = leaf.as_str().unwrap();
                URL_SAFE_NO_PAD.decode(leaf).unwrap();
                let at = (checkpoint.origin.clone(), index);
                let known = leaves.entry(at.clone()).or_insert_with(|| leaf.into());
                assert!(known == leaf, "two leaves at {at:?}");
            }
        }
    }
}

/// What a node exports, signed with the key that it has now.
pub fn export_of(world: &World, ix: NodeIx) -> EvidenceFile {
    let mut collected = Collected::default();
    for (_, bytes) in world.journal(ix) {
        collected.take(&postcard::from_bytes(bytes).unwrap());
    }
    let by = Signer {
        id: world.id(ix).unwrap(),
        key: world.key(ix).unwrap(),
        now: world.now(),
        zone: Zone::CHINA,
    };
    collected.file(&by, None).unwrap()
}

/// The evidence that a node holds of its logs with all others.
pub fn evidence_of(world: &World, ix: NodeIx) -> EvidenceFile {
    let me = world.id(ix).unwrap();
    let mut collected = Collected::default();
    for (_, bytes) in world.journal(ix) {
        collected.take(&postcard::from_bytes(bytes).unwrap());
    }
    let mut logs = Vec::new();
    let mut add = |writer: &ParticipantId, reader: &ParticipantId, copy: &LogCopy| {
        let of = ALL.into_iter().find(|ix| world.id(*ix) == Some(writer));
        let key = world.key(of.unwrap()).unwrap().verifying_key();
        logs.push(LogEvidence {
            writer: writer.clone(),
            reader: reader.clone(),
            epoch: copy.epoch,
            key: hex::encode(key.as_bytes()),
            leaves: copy
                .leaves
                .iter()
                .map(|leaf| STANDARD.encode(leaf))
                .collect(),
            checkpoints: copy.checkpoints.clone(),
        });
    };
    for (reader, epochs) in &collected.written {
        epochs.iter().for_each(|copy| add(me, reader, copy));
    }
    for (writer, epochs) in &collected.mirrored {
        epochs.iter().for_each(|copy| add(writer, me, copy));
    }
    EvidenceFile {
        logs,
        ..EvidenceFile::new(me.clone())
    }
}

/// What is wrong with the evidence of all nodes together, but for the manifests that are not there: the
/// agreements of a simulated network are from the beginning.
pub fn findings_of(world: &World) -> Vec<Finding> {
    let mut findings = verdict_of(world).findings;
    findings.retain(|finding| {
        let no_manifest = finding.detail.contains("is in no manifest in the file");
        !(finding.kind == FindingKind::NoAgreement && no_manifest)
    });
    findings
}

/// What the evidence of all nodes together shows.
pub fn verdict_of(world: &World) -> Verdict {
    let files: Vec<EvidenceFile> = ALL.into_iter().map(|ix| evidence_of(world, ix)).collect();
    let mut trusted = TrustedKeys::new();
    for ix in ALL {
        let key = world.key(ix).unwrap().verifying_key().to_bytes();
        trusted.insert(world.id(ix).unwrap().clone(), vec![key]);
    }
    verify(&files, &trusted)
}
