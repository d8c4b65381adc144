//! A list that only grows, in rows.
//!
//! Purpose: what is read by cursor and never changed: the ledger, what came from partners. Invariant:
//! an entry keeps its place for ever. It does not know what is in it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::table::{Cold, FrozenRows, Row, Table};

/// Entries that are read at once on the way back.
const STRETCH_ENTRIES: u64 = 256;

/// A list whose rows begin with `TAG`.
pub struct List<const TAG: u8, T> {
    len: u64,
    entries: Table<u64, T>,
}

impl<const TAG: u8, T: Row> Default for List<TAG, T> {
    fn default() -> Self {
        Self {
            len: 0,
            entries: Table::new(TAG, &Cold::default()),
        }
    }
}

impl<const TAG: u8, T: Row> List<TAG, T> {
    /// Adds an entry at the end.
    pub fn push(&mut self, entry: T) {
        self.entries.insert(self.len, entry);
        self.len += 1;
    }

    /// The entries from a place on.
    pub fn from(&self, place: u64) -> impl Iterator<Item = T> {
        let entries = (place < self.len).then(|| self.entries.range(Some(&place)));
        entries.into_iter().flatten().map(|(_, entry)| entry)
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.from(0)
    }

    /// The entries before a place with their places, newest first.
    pub fn before(&self, place: u64) -> impl Iterator<Item = (u64, T)> {
        let mut end = place.min(self.len);
        let stretches = std::iter::from_fn(move || {
            let start = end.saturating_sub(STRETCH_ENTRIES);
            let stretch = (start..end).zip(self.from(start));
            let stretch: Vec<(u64, T)> = stretch.collect();
            end = start;
            (!stretch.is_empty()).then_some(stretch)
        });
        stretches.flat_map(|stretch| stretch.into_iter().rev())
    }

    /// How many there are.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The last entry.
    pub fn last(&self) -> Option<T> {
        self.entries.get(&self.len.checked_sub(1)?)
    }

    /// Reads what is not in memory from these rows.
    pub fn attach(&mut self, cold: &Cold) {
        self.entries.attach(cold);
    }

    /// What was added since the last snapshot.
    pub fn freeze(&mut self) -> Box<dyn FrozenRows> {
        self.entries.freeze()
    }

    /// What was frozen is in the rows now.
    pub fn let_go(&mut self) {
        self.entries.let_go();
    }
}

impl<const TAG: u8, T: Row> fmt::Debug for List<TAG, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<const TAG: u8, T> Serialize for List<TAG, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.len.serialize(serializer)
    }
}

impl<'de, const TAG: u8, T: Row> Deserialize<'de> for List<TAG, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self {
            len: u64::deserialize(deserializer)?,
            ..Self::default()
        })
    }
}
