//! Merkle trees as of RFC 6962 section 2, over SHA-256.
//!
//! INVARIANT: a proof that verifies shows what its function says and nothing about who signed the
//! root. This module knows no logs, signatures or files.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Hashes in a proof, at most: the height of a tree of 2^64 leaves and one.
pub const PROOF_HASHES_MAX: usize = 65;

/// The hash of a leaf: SHA-256(0x00, leaf).
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(leaf);
    hash.finalize().into()
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hash = Sha256::new();
    hash.update([1]);
    hash.update(left);
    hash.update(right);
    hash.finalize().into()
}

/// The root of the tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// A tree that only grows, by the roots of its perfect subtrees: 32 bytes for each bit of its size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Frontier {
    size: u64,
    /// INVARIANT: one for each bit that is set in `size`, that of the largest subtree first.
    peaks: Vec<Hash>,
}

#[derive(Serialize, Deserialize)]
struct Parts {
    size: u64,
    peaks: Vec<Hash>,
}

impl TryFrom<Parts> for Frontier {
    type Error = &'static str;
    fn try_from(Parts { size, peaks }: Parts) -> Result<Self, Self::Error> {
        if peaks.len() as u64 != u64::from(size.count_ones()) {
            return Err("the number of subtrees does not fit the size of the tree");
        }
        Ok(Self { size, peaks })
    }
}

impl From<Frontier> for Parts {
    fn from(Frontier { size, peaks }: Frontier) -> Self {
        Self { size, peaks }
    }
}

impl Frontier {
    /// The tree without leaves.
    pub const fn new() -> Self {
        Self {
            size: 0,
            peaks: Vec::new(),
        }
    }

    /// How many leaves there are.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its [`leaf_hash`].
    pub fn append(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The tree that begins with perfect subtrees of `2^level` leaves each, given by their roots, and
    /// goes on with the leaves of `rest`, which are fewer than that; `None` if they are not.
    pub fn joined(subtrees: &[Hash], level: u32, rest: &Self) -> Option<Self> {
        let wide = 1u64.checked_shl(level)?;
        if rest.size >= wide {
            return None;
        }
        let mut whole = Self::new();
        for subtree in subtrees {
            whole.append(*subtree);
        }
        whole.size = whole.size.checked_mul(wide)?.checked_add(rest.size)?;
        whole.peaks.extend_from_slice(&rest.peaks);
        Some(whole)
    }

    /// The root over all leaves so far.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else {
            return empty_root();
        };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// The root of the tree over these leaf hashes.
pub fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    for leaf in leaves {
        frontier.append(*leaf);
    }
    frontier.root()
}

/// The largest power of two below `n`, which is at least 2.
const fn split(n: usize) -> usize {
    1 << (usize::BITS - 1 - (n - 1).leading_zeros())
}

/// Proof that the leaf at `index` is in the tree over `leaves`; `None` if there is no such leaf.
/// RFC 6962 section 2.1.1.
pub fn inclusion_proof(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    leaves.get(index)?;
    let mut proof = Vec::new();
    let (mut rest, mut index) = (leaves, index);
    while rest.len() > 1 {
        let k = split(rest.len());
        let (left, right) = rest.split_at_checked(k)?;
        if index < k {
            proof.push(root(right));
            rest = left;
        } else {
            proof.push(root(left));
            rest = right;
            index -= k;
        }
    }
    proof.reverse();
    Some(proof)
}

/// Whether `proof` shows that the leaf with this hash is at `index` of the tree of `size` leaves
/// and this root. RFC 9162 section 2.1.3.2.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Proof that the tree over the first `from` of `leaves` is the beginning of the tree over all;
/// `None` if there are fewer leaves, or `from` is 0. RFC 6962 section 2.1.2.
pub fn consistency_proof(leaves: &[Hash], from: usize) -> Option<Vec<Hash>> {
    if from == 0 || from > leaves.len() {
        return None;
    }
    let mut proof = Vec::new();
    let (mut rest, mut from) = (leaves, from);
    // Whether the old tree is the whole of the subtree in hand, so that its root is known.
    let mut whole = true;
    while from < rest.len() {
        let k = split(rest.len());
        let (left, right) = rest.split_at_checked(k)?;
        if from <= k {
            proof.push(root(right));
            rest = left;
        } else {
            proof.push(root(left));
            rest = right;
            from -= k;
            whole = false;
        }
    }
    if !whole {
        proof.push(root(rest));
    }
    proof.reverse();
    Some(proof)
}

/// Whether `proof` shows that the tree of `to` leaves begins with the tree of `from` leaves.
/// RFC 9162 section 2.1.4.2.
pub fn verify_consistency(
    from: u64,
    to: u64,
    proof: &[Hash],
    from_root: &Hash,
    to_root: &Hash,
) -> bool {
    if from == 0 || from > to {
        return false;
    }
    if from == to {
        return proof.is_empty() && from_root == to_root;
    }
    let (mut at, mut last) = (from - 1, to - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let mut hashes = proof.iter();
    let first = if from.is_power_of_two() {
        from_root
    } else {
        let Some(first) = hashes.next() else {
            return false;
        };
        first
    };
    let (mut old, mut new) = (*first, *first);
    for sibling in hashes {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old == *from_root && new == *to_root
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(hash: &Hash) -> String {
        hash.iter().map(|b| format!("{b:02x}")).collect()
    }

    fn leaves(n: usize) -> Vec<Hash> {
        (0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    #[test]
    fn the_roots_are_those_of_the_published_test_tree() {
        // The eight leaves that certificate-transparency implementations test with.
        let data: [&[u8]; 8] = [
            b"",
            &[0],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[
                0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d,
                0x6e, 0x6f,
            ],
        ];
        let hashes: Vec<Hash> = data.into_iter().map(leaf_hash).collect();
        assert_eq!(
            hex(&empty_root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            hex(&root(&hashes[..1])),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        assert_eq!(
            hex(&root(&hashes)),
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
        );
    }

    #[test]
    fn a_frontier_that_does_not_fit_is_refused() {
        let mut frontier = Frontier::new();
        for leaf in leaves(11) {
            frontier.append(leaf);
        }
        let mut bytes = postcard::to_allocvec(&frontier).unwrap();
        assert_eq!(postcard::from_bytes::<Frontier>(&bytes), Ok(frontier));
        bytes[0] = 12;
        assert!(postcard::from_bytes::<Frontier>(&bytes).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn proofs_hold_and_only_for_what_they_prove(
            n in 1usize..70, a in any::<proptest::sample::Index>(), spoil in 0usize..8,
        ) {
            let leaves = leaves(n);
            let (size, at) = (n as u64, a.index(n));
            let root_n = root(&leaves);
            let proof = inclusion_proof(&leaves, at).unwrap();
            prop_assert!(proof.len() <= PROOF_HASHES_MAX);
            prop_assert!(verify_inclusion(&leaves[at], at as u64, size, &proof, &root_n));
            prop_assert!(!verify_inclusion(&[7; 32], at as u64, size, &proof, &root_n));
            let other = (at as u64 + 1) % size;
            if n > 1 {
                prop_assert!(!verify_inclusion(&leaves[at], other, size, &proof, &root_n));
            }
            prop_assert!(!verify_inclusion(&leaves[at], size, size, &proof, &root_n));

            let from = at + 1;
            let old = root(&leaves[..from]);
            let mut proof = consistency_proof(&leaves, from).unwrap();
            prop_assert!(verify_consistency(from as u64, size, &proof, &old, &root_n));
            prop_assert!(!verify_consistency(from as u64, size, &proof, &[7; 32], &root_n));
            prop_assert!(!verify_consistency(from as u64, size, &proof, &old, &[7; 32]));
            if let Some(hash) = proof.get_mut(spoil) {
                hash[0] ^= 1;
                prop_assert!(!verify_consistency(from as u64, size, &proof, &old, &root_n));
            }
            proof.push([0; 32]);
            prop_assert!(!verify_consistency(from as u64, size, &proof, &old, &root_n));
        }
    }
}
