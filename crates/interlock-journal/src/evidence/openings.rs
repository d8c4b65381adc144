//! Items of batches that a file shows.
//!
//! INVARIANT: an item counts as shown only if its salt, its text and the path lead to the root in a
//! leaf of the log that it names. It says nothing of the items that are not shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::bilateral::{Leaf, LeafBody, commit, verify_item};
use crate::checkpoint::origin;
use crate::hex;
use crate::merkle::Hash;

use super::{EvidenceFile, Finding, FindingKind, LogEvidence, Opening};

/// Checks every opening of a file.
pub(super) fn check(file: &EvidenceFile, findings: &mut Vec<Finding>) {
    for opening in &file.openings {
        if let Err(why) = check_one(file, opening) {
            findings.push(Finding {
                kind: FindingKind::Opening,
                origin: opening.origin.clone(),
                holder: file.holder.clone(),
                from_leaf: opening.leaf,
                to_leaf: opening.leaf.saturating_add(1),
                signed_by: None,
                convicts: None,
                detail: format!("item {} is not shown: {why}", opening.index),
            });
        }
    }
}

fn check_one(file: &EvidenceFile, opening: &Opening) -> Result<(), &'static str> {
    let named = |log: &&LogEvidence| origin(&log.writer, &log.reader, log.epoch) == opening.origin;
    let log = file.logs.iter().find(named);
    let log = log.ok_or("the log that it names is not in the file")?;
    let encoded = usize::try_from(opening.leaf)
        .ok()
        .and_then(|at| log.leaves.get(at))
        .ok_or("the log has no such leaf")?;
    let leaf = Leaf::decode(&STANDARD.decode(encoded).unwrap_or_default())
        .map_err(|_| "the leaf cannot be read")?;
    let (items, root) = committed(&leaf).ok_or("the leaf commits to no items")?;
    let salt = hex::decode::<16>(&opening.salt).ok_or("its salt is not 32 hexadecimal digits")?;
    let commitment = commit(&salt, opening.item.as_bytes());
    if hex::decode::<32>(&opening.commitment) != Some(commitment) {
        return Err("salt and item do not give the commitment");
    }
    let proof: Option<Vec<Hash>> = opening.proof.iter().map(|hash| hex::decode(hash)).collect();
    let proof = proof.ok_or("its path holds something that is no hash")?;
    let item = opening.item.as_bytes();
    if !verify_item(&salt, item, opening.index, items, &proof, &root) {
        return Err("the path from the commitment does not lead to the root in the leaf");
    }
    Ok(())
}

/// How many items a leaf commits to, and the root over them.
fn committed(leaf: &Leaf) -> Option<(u32, Hash)> {
    match &leaf.body {
        LeafBody::Request(it) => Some((it.items, it.items_root)),
        LeafBody::Release(it) => Some((it.items, it.items_root)),
        LeafBody::Denial(it) => Some((it.items, it.items_root)),
        LeafBody::RunOffSet(it) => Some((it.items, it.items_root)),
        LeafBody::AgreementChange(_)
        | LeafBody::Receipt(_)
        | LeafBody::KeyRotation(_)
        | LeafBody::Rollback(_)
        | LeafBody::Voided(_)
        | LeafBody::Deletion(_) => None,
    }
}
