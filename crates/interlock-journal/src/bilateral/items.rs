//! A batch is one leaf: the root over one salted commitment an item, so that one item can be shown
//! without the others.
//!
//! INVARIANT: a commitment says nothing about its item to whoever lacks the salt; a salt is used for
//! one item only and is destroyed with the item's content key.

use sha2::{Digest, Sha256};

use crate::merkle::{Hash, inclusion_proof, leaf_hash, root, verify_inclusion};

/// Sets commitments apart from every other hash.
const DOMAIN: &[u8; 16] = b"interlock item 1";

/// The commitment to an item: SHA-256("interlock item 1", salt, item).
pub fn commit(salt: &[u8; 16], item: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update(salt);
    hash.update(item);
    hash.finalize().into()
}

fn leaves(commitments: &[Hash]) -> Vec<Hash> {
    commitments.iter().map(|c| leaf_hash(c)).collect()
}

/// The root over the commitments of a batch, in order (RFC 6962).
pub fn items_root(commitments: &[Hash]) -> Hash {
    root(&leaves(commitments))
}

/// Proof of the item at `index` of a batch; `None` if there is no such item.
pub fn item_proof(commitments: &[Hash], index: usize) -> Option<Vec<Hash>> {
    inclusion_proof(&leaves(commitments), index)
}

/// Whether the item was at `index` of the batch of `items` items with this root.
pub fn verify_item(
    salt: &[u8; 16],
    item: &[u8],
    index: u32,
    items: u32,
    proof: &[Hash],
    items_root: &Hash,
) -> bool {
    let leaf = leaf_hash(&commit(salt, item));
    verify_inclusion(&leaf, index.into(), items.into(), proof, items_root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_item_is_shown_without_the_others() {
        let items: Vec<([u8; 16], Vec<u8>)> = (0..5u8).map(|i| ([i; 16], vec![i; 9])).collect();
        let commitments: Vec<Hash> = items.iter().map(|(s, i)| commit(s, i)).collect();
        let root = items_root(&commitments);
        let proof = item_proof(&commitments, 3).unwrap();
        let (salt, item) = &items[3];
        assert!(verify_item(salt, item, 3, 5, &proof, &root));
        assert!(!verify_item(&[9; 16], item, 3, 5, &proof, &root));
        assert!(!verify_item(salt, b"another", 3, 5, &proof, &root));
        assert!(!verify_item(salt, item, 2, 5, &proof, &root));
        assert_eq!(item_proof(&commitments, 5), None);
    }

    #[test]
    fn golden_commitment() {
        assert_eq!(
            crate::hex::encode(&commit(&[1; 16], b"SF 1234567890")),
            "99916e5f7ce633eb0413588032e8806ae84cc3b78e5e858c610e73a28b42298c"
        );
    }
}
