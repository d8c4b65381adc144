//! Where in the journal the leaves of a log stand, so that any of them can be read again.
//!
//! INVARIANT: a place is the first leaf of its record. From one place to the next there are few leaves
//! or few records, so that reading from the last place before a leaf is bounded; a place costs some
//! bytes for hundreds of leaves. It reads nothing and does not know what a record is.

use serde::{Deserialize, Serialize};

use crate::merkle::{Frontier, Hash};

/// A place is noted after so many leaves.
const SPACING_LEAVES: u64 = 512;
/// Height of the perfect subtrees whose roots are kept: as many leaves as between two places.
const LEVEL: u32 = 9;
/// A place is noted after so many records of the journal, even if they held few leaves.
pub const SPACING_RECORDS: u64 = 262_144;

/// Where a leaf stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Index of the leaf in its log.
    pub leaf: u64,
    /// Position in the journal of the record that begins with it.
    pub position: u64,
}

/// The places of one epoch of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    size: u64,
    /// Of the record noted last.
    position_last: u64,
    places: Vec<Place>,
}

impl Places {
    /// The next `leaves` of the log stand in the record at `position`. True if that is a new place.
    pub fn note(&mut self, position: u64, leaves: u64) -> bool {
        // Further leaves of one record are found by its first one.
        let begins = self.size == 0 || position != self.position_last;
        let due = self.places.last().is_none_or(|last| {
            self.size - last.leaf >= SPACING_LEAVES || position - last.position >= SPACING_RECORDS
        });
        if begins && due {
            let leaf = self.size;
            self.places.push(Place { leaf, position });
        }
        self.size += leaves;
        self.position_last = position;
        begins && due
    }

    /// How many leaves were noted.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The last place at or before a leaf, and all that follow; `None` if there is no such leaf.
    pub fn from(&self, leaf: u64) -> Option<&[Place]> {
        if leaf >= self.size {
            return None;
        }
        let after = self.places.partition_point(|place| place.leaf <= leaf);
        self.places.get(after.checked_sub(1)?..)
    }
}

/// The places of a log, with what is needed to compute its root at any size from the leaves after a
/// place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootedPlaces {
    places: Places,
    /// Roots of the perfect subtrees of [`SPACING_LEAVES`] leaves.
    blocks: Vec<Hash>,
    /// The leaves after them.
    rest: Frontier,
    /// At each place, the leaves between the last of those subtrees and the place.
    rests: Vec<Frontier>,
}

impl RootedPlaces {
    /// The next leaf of the log stands in the record at `position`.
    pub fn note(&mut self, position: u64, leaf_hash: Hash) {
        if self.places.note(position, 1) {
            self.rests.push(self.rest.clone());
        }
        self.rest.append(leaf_hash);
        if self.rest.size() == SPACING_LEAVES {
            self.blocks.push(self.rest.root());
            self.rest = Frontier::new();
        }
    }

    /// The places.
    pub const fn places(&self) -> &Places {
        &self.places
    }

    /// The tree over all leaves before `place`, which is one of these; `None` if it is not.
    pub fn tree_at(&self, place: Place) -> Option<Frontier> {
        let at = self.places.places.iter().position(|it| *it == place)?;
        let rest = self.rests.get(at)?;
        let blocks = usize::try_from(place.leaf / SPACING_LEAVES).ok()?;
        Frontier::joined(self.blocks.get(..blocks)?, LEVEL, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::leaf_hash;

    #[test]
    fn every_leaf_has_a_place_close_before_it() {
        let mut places = Places::default();
        assert_eq!(places.from(0), None);
        // One leaf a record, then records of 200 leaves, then a leaf every 100,000 records.
        let mut position = 7;
        let mut at = Vec::new();
        for leaves in [1; 1_000].into_iter().chain([200; 20]).chain([1; 30]) {
            position += if leaves == 1 && at.len() > 4_000 {
                100_000
            } else {
                1
            };
            // The leaves of a record may be noted one by one.
            for _ in 0..leaves {
                places.note(position, 1);
                at.push(position);
            }
        }
        assert_eq!(places.size(), at.len() as u64);
        assert!(places.places.len() < 40, "{}", places.places.len());
        for (leaf, position) in (0u64..).zip(&at) {
            let found = places.from(leaf).unwrap()[0];
            assert!(found.leaf <= leaf && leaf - found.leaf < SPACING_LEAVES + 200);
            assert!(position - found.position <= SPACING_RECORDS);
            let same_record = at.iter().position(|it| *it == found.position).unwrap();
            assert_eq!(same_record as u64, found.leaf);
        }
        assert_eq!(places.from(at.len() as u64), None);
    }

    #[test]
    fn the_root_at_any_size_follows_from_a_place() {
        let mut places = RootedPlaces::default();
        let hashes: Vec<Hash> = (0..2_000u32).map(|n| leaf_hash(&n.to_le_bytes())).collect();
        for (n, hash) in (0u64..).zip(&hashes) {
            // Three leaves a record, so that places are not at the borders of subtrees.
            places.note(n / 3, *hash);
        }
        let mut whole = Frontier::new();
        for (size, hash) in (0u64..).zip(&hashes) {
            let place = places.places().from(size).unwrap()[0];
            let mut tree = places.tree_at(place).unwrap();
            assert_eq!(tree.size(), place.leaf);
            for hash in &hashes[place.leaf as usize..size as usize] {
                tree.append(*hash);
            }
            assert_eq!(tree, whole);
            whole.append(*hash);
        }
        assert!(places.places().from(700).unwrap()[0].leaf % SPACING_LEAVES != 0);
        let other = Place {
            leaf: 1,
            position: 0,
        };
        assert_eq!(places.tree_at(other), None);
    }
}
