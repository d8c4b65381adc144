//! Collections of the state that lie in sorted runs, with what changed of late in memory.
//!
//! Purpose: a map whose size costs no memory. What changed since the last snapshot is hot; a snapshot
//! freezes it, writes it as a run of rows and lets it go. Invariants: what a table answers depends on
//! what was put into it and never on what of it is hot; personal data lies in rows only sealed, and is
//! opened with its content key as a row is read. A file that cannot be read leaves no answer: the
//! failure is kept, and nothing that was decided after it may leave the node. It does not know files.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::fmt;
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use interlock_core::ids::{DepositId, IdempotencyKey, MessageId, ParcelId};
use interlock_core::waybill::Waybill;
use interlock_journal::rows::{Rows, RowsError, Scan};

use crate::node::{ContentKeys, cipher::Cipher, io::Digest};

/// A key of a table. INVARIANT: the order of its bytes is its order.
pub trait Key: Clone + Ord + fmt::Debug + Send + Sync + 'static {
    /// Appends its bytes.
    fn write(&self, out: &mut Vec<u8>);

    /// The key of these bytes.
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// A value of a table.
pub trait Row: Clone + fmt::Debug + Send + Sync + 'static {
    /// Its bytes; `None` if it cannot be encoded.
    fn encode(&self) -> Option<Vec<u8>>;

    /// The value of these bytes, what is sealed in it opened with `keys`.
    fn decode(bytes: &[u8], keys: &dyn ContentKeys) -> Option<Self>;
}

/// Content keys that can be asked from a table.
pub type SharedKeys = Arc<dyn ContentKeys + Send + Sync>;

/// The rows of all tables, and what went wrong with them.
#[derive(Clone, Default)]
pub struct Cold(Arc<Mutex<ColdRows>>);

impl fmt::Debug for Cold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cold")
    }
}

#[derive(Default)]
struct ColdRows {
    rows: Option<(Rows, LivingKeys)>,
    /// Keys that end no later are gone, whether they are still on disk or not.
    ended_to: u32,
    failure: Option<String>,
}

/// Content keys but those that have ended.
#[derive(Clone)]
pub struct LivingKeys {
    keys: SharedKeys,
    ended_to: u32,
}

impl ContentKeys for LivingKeys {
    fn get(&self, hour: u32, slot: u32) -> Option<[u8; 32]> {
        (hour > self.ended_to).then(|| self.keys.get(hour, slot))?
    }

    fn cipher(&self) -> &'static dyn Cipher {
        self.keys.cipher()
    }
}

impl Cold {
    /// These rows from here on.
    pub fn set(&self, rows: Rows, keys: SharedKeys) {
        let mut cold = self.lock();
        let ended_to = cold.ended_to;
        cold.rows = Some((rows, LivingKeys { keys, ended_to }));
    }

    /// These rows, opened with the keys of before.
    pub fn replace(&self, rows: Rows) {
        if let Some((held, _)) = &mut self.lock().rows {
            *held = rows;
        }
    }

    /// Keys that end with this hour or before are gone.
    pub fn end_hours(&self, ended_to: u32) {
        let mut cold = self.lock();
        cold.ended_to = cold.ended_to.max(ended_to);
        let ended_to = cold.ended_to;
        if let Some((_, keys)) = &mut cold.rows {
            keys.ended_to = ended_to;
        }
    }

    /// The keys with which rows are opened.
    pub fn keys(&self) -> Option<LivingKeys> {
        self.lock().rows.as_ref().map(|(_, keys)| keys.clone())
    }

    /// Whether there are rows, if only none yet.
    pub fn is_set(&self) -> bool {
        self.lock().rows.is_some()
    }

    /// Why a row could not be read, once one could not.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    fn lock(&self) -> MutexGuard<'_, ColdRows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get<V: Row>(&self, key: impl FnOnce() -> Vec<u8>) -> Option<V> {
        let mut cold = self.lock();
        let (rows, keys) = cold.rows.as_ref()?;
        if rows.is_empty() {
            return None;
        }
        let found = match rows.get(&key()) {
            Ok(None) => return None,
            Ok(Some(bytes)) => V::decode(&bytes, keys).ok_or_else(|| UNREADABLE.to_owned()),
            Err(error) => Err(error.to_string()),
        };
        match found {
            Ok(value) => Some(value),
            Err(error) => {
                cold.failure.get_or_insert(error);
                None
            }
        }
    }

    fn scan(&self, from: &[u8]) -> Option<(Scan, LivingKeys)> {
        let mut cold = self.lock();
        let (rows, keys) = cold.rows.as_ref()?;
        let (scan, keys) = (rows.scan(from), keys.clone());
        match scan {
            Ok(scan) => Some((scan, keys)),
            Err(error) => {
                cold.failure.get_or_insert(error.to_string());
                None
            }
        }
    }

    fn failed(&self, error: &str) {
        self.lock().failure.get_or_insert(error.into());
    }
}

const UNREADABLE: &str = "a stored row is of another form than this program's";

type Part<K, V> = BTreeMap<K, Option<V>>;

/// A map in sorted runs.
pub struct Table<K, V> {
    tag: u8,
    /// What changed since the last snapshot; `None` was removed.
    hot: Part<K, V>,
    /// What is being written as a run.
    frozen: Option<Arc<Part<K, V>>>,
    /// Rows that are asked for again and again, as they are in the runs.
    warm: BTreeMap<K, V>,
    cold: Cold,
}

/// What of a table lies below what changed of late.
struct Below<'a, K, V> {
    tag: u8,
    frozen: Option<&'a Part<K, V>>,
    warm: &'a BTreeMap<K, V>,
    cold: &'a Cold,
}

impl<K: Key, V: Row> Below<'_, K, V> {
    fn get(&self, key: &K) -> Option<V> {
        if let Some(held) = self.frozen.and_then(|frozen| frozen.get(key)) {
            return held.clone();
        }
        if let Some(held) = self.warm.get(key) {
            return Some(held.clone());
        }
        self.cold.get(|| {
            let mut bytes = Vec::with_capacity(40);
            bytes.push(self.tag);
            key.write(&mut bytes);
            bytes
        })
    }
}

/// Rows of a table that are held in memory as they are in the runs, at most.
const WARM_ROWS_MAX: usize = 100_000;

impl<K: Key, V: Row> Table<K, V> {
    /// An empty table. `tag` tells its rows from those of other tables.
    pub fn new(tag: u8, cold: &Cold) -> Self {
        Self {
            tag,
            hot: BTreeMap::new(),
            frozen: None,
            warm: BTreeMap::new(),
            cold: cold.clone(),
        }
    }

    /// Reads what is not in memory from these rows.
    pub fn attach(&mut self, cold: &Cold) {
        self.cold = cold.clone();
    }

    /// The value under `key`.
    pub fn get(&self, key: &K) -> Option<V> {
        if let Some(held) = self.hot.get(key) {
            return held.clone();
        }
        self.below().get(key)
    }

    fn below(&self) -> Below<'_, K, V> {
        Below {
            tag: self.tag,
            frozen: self.frozen.as_deref(),
            warm: &self.warm,
            cold: &self.cold,
        }
    }

    /// Whether there is a value under `key`.
    pub fn contains(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// The value under `key`, to change it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.changing(key).map(|(value, _)| value)
    }

    /// The same, and whether it was changed before since the last snapshot.
    pub fn changing(&mut self, key: &K) -> Option<(&mut V, bool)> {
        // By the parts: what lies below is not read through what is changed.
        let below = Below {
            tag: self.tag,
            frozen: self.frozen.as_deref(),
            warm: &self.warm,
            cold: &self.cold,
        };
        match self.hot.entry(key.clone()) {
            btree_map::Entry::Occupied(held) => Some((held.into_mut().as_mut()?, true)),
            btree_map::Entry::Vacant(slot) => {
                let value = below.get(key)?;
                self.warm.remove(key);
                Some((slot.insert(Some(value)).as_mut()?, false))
            }
        }
    }

    /// Puts a value in place of the one there is.
    pub fn insert(&mut self, key: K, value: V) {
        self.warm.remove(&key);
        self.hot.insert(key, Some(value));
    }

    /// Removes a value.
    pub fn remove(&mut self, key: &K) {
        self.warm.remove(key);
        self.hot.insert(key.clone(), None);
    }

    /// All values in the order of their keys.
    pub fn iter(&self) -> Iter<'_, K, V> {
        self.range(None)
    }

    /// The values from a key on, in the order of their keys.
    pub fn range(&self, from: Option<&K>) -> Iter<'_, K, V> {
        let bound = from.map_or(Bound::Unbounded, Bound::Included);
        let mut first = vec![self.tag];
        if let Some(from) = from {
            from.write(&mut first);
        }
        Iter {
            tag: self.tag,
            hot: self.hot.range((bound, Bound::Unbounded)).peekable(),
            frozen: self
                .frozen
                .as_deref()
                .map(|frozen| frozen.range((bound, Bound::Unbounded)).peekable()),
            cold: ColdIter::new(self.cold.clone(), &first),
        }
    }

    /// The keys of values in memory of which this holds.
    pub fn held(&self, holds: impl Fn(&V) -> bool) -> Vec<K> {
        let frozen = self.frozen.as_deref().into_iter().flatten();
        let changed = self.hot.iter().chain(frozen);
        let changed = changed.filter_map(|(key, value)| Some((key, value.as_ref()?)));
        let all = changed.chain(&self.warm);
        all.filter(|(_, value)| holds(value))
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// Holds a value that is in the runs, because it will be asked for again.
    pub fn warm_up(&mut self, key: K, value: V) {
        if self.warm.len() >= WARM_ROWS_MAX {
            self.warm.clear();
        }
        if !self.hot.contains_key(&key) {
            self.warm.insert(key, value);
        }
    }

    /// A value will not be asked for any more.
    pub fn cool(&mut self, key: &K) {
        self.warm.remove(key);
    }

    /// What changed since the last snapshot, to be written; it stays here until [`Self::let_go`].
    pub fn freeze(&mut self) -> Box<dyn FrozenRows> {
        debug_assert!(self.frozen.is_none(), "one snapshot at a time");
        let frozen = Arc::new(std::mem::take(&mut self.hot));
        self.frozen = Some(frozen.clone());
        Box::new(FrozenTable {
            tag: self.tag,
            left: frozen.len(),
            part: frozen,
            after: None,
        })
    }

    /// What was frozen is in the rows now.
    pub fn let_go(&mut self) {
        self.let_go_but(|_, _| false);
    }

    /// The same, but what will be asked for again stays in memory.
    pub fn let_go_but(&mut self, stays: impl Fn(&K, &V) -> bool) {
        let frozen = self.frozen.take().unwrap_or_default();
        for (key, value) in frozen.iter() {
            if let Some(value) = value.as_ref().filter(|value| stays(key, value)) {
                self.warm_up(key.clone(), value.clone());
            }
        }
    }
}

/// What a table holds, wherever it lies: two tables that answer the same print the same.
impl<K: Key, V: Row> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

type MemoryIter<'a, K, V> = Peekable<btree_map::Range<'a, K, Option<V>>>;

/// Entries of a table in the order of their keys.
pub struct Iter<'a, K, V> {
    tag: u8,
    hot: MemoryIter<'a, K, V>,
    frozen: Option<MemoryIter<'a, K, V>>,
    cold: ColdIter<K, V>,
}

struct ColdIter<K, V> {
    cold: Cold,
    scan: Option<(Scan, LivingKeys)>,
    next: Option<(K, Vec<u8>)>,
    value: std::marker::PhantomData<V>,
    begun: bool,
}

impl<K: Key, V: Row> ColdIter<K, V> {
    fn new(cold: Cold, from: &[u8]) -> Self {
        Self {
            scan: cold.scan(from),
            cold,
            next: None,
            value: std::marker::PhantomData,
            begun: false,
        }
    }

    fn peek(&mut self, tag: u8) -> Option<&K> {
        if !self.begun {
            self.begun = true;
            self.advance(tag);
        }
        self.next.as_ref().map(|(key, _)| key)
    }

    fn advance(&mut self, tag: u8) {
        self.next = self.read(tag).unwrap_or_else(|error| {
            self.cold.failed(&error);
            None
        });
    }

    fn read(&mut self, tag: u8) -> Result<Option<(K, Vec<u8>)>, String> {
        let Some((scan, _)) = &mut self.scan else {
            return Ok(None);
        };
        let row = scan
            .next_row()
            .map_err(|error: RowsError| error.to_string())?;
        let Some((key, value)) = row else {
            return Ok(None);
        };
        match key.split_first() {
            Some((first, rest)) if *first == tag => {
                let key = K::read(rest).ok_or_else(|| UNREADABLE.to_owned())?;
                Ok(Some((key, value)))
            }
            Some(_) | None => Ok(None),
        }
    }

    fn take(&mut self, tag: u8) -> Option<(K, V)> {
        let (key, bytes) = self.next.take()?;
        self.advance(tag);
        let (_, keys) = self.scan.as_ref()?;
        let value = V::decode(&bytes, keys);
        if value.is_none() {
            self.cold.failed(UNREADABLE);
        }
        Some((key, value?))
    }
}

impl<K: Key, V: Row> Iterator for Iter<'_, K, V> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        loop {
            let hot = self.hot.peek().map(|(key, _)| *key);
            let frozen = self
                .frozen
                .as_mut()
                .and_then(|f| f.peek().map(|(key, _)| *key));
            let cold = self.cold.peek(self.tag);
            let lowest = [hot, frozen, cold].into_iter().flatten().min()?.clone();
            let [in_hot, in_frozen, in_cold] = [hot, frozen, cold].map(|k| k == Some(&lowest));
            // The hottest one counts; all that have the key move on.
            let mut found = None;
            if in_cold {
                let taken = self.cold.take(self.tag);
                let hidden = in_hot || in_frozen;
                found = taken.filter(|_| !hidden).map(|(_, value)| Some(value));
            }
            if in_frozen && let Some((_, value)) = self.frozen.as_mut().and_then(Iterator::next) {
                found = Some(value.clone());
            }
            if in_hot && let Some((_, value)) = self.hot.next() {
                found = Some(value.clone());
            }
            if let Some(Some(value)) = found {
                return Some((lowest, value));
            }
        }
    }
}

/// A stretch of frozen rows: key and value, `None` for one that was removed.
pub type FrozenStretch = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Rows of one table on their way into a run.
pub trait FrozenRows: Send {
    /// How many are left.
    fn left(&self) -> usize;

    /// The next ones in the order of their keys, at most `rows`; `None` if one cannot be encoded.
    fn next(&mut self, rows: usize) -> Option<FrozenStretch>;
}

struct FrozenTable<K, V> {
    tag: u8,
    part: Arc<Part<K, V>>,
    after: Option<K>,
    left: usize,
}

impl<K: Key, V: Row> FrozenRows for FrozenTable<K, V> {
    fn left(&self) -> usize {
        self.left
    }

    fn next(&mut self, rows: usize) -> Option<FrozenStretch> {
        let from = self
            .after
            .as_ref()
            .map_or(Bound::Unbounded, Bound::Excluded);
        let mut out = Vec::with_capacity(rows.min(self.left));
        let mut last = None;
        for (key, value) in self.part.range((from, Bound::Unbounded)).take(rows) {
            let mut bytes = vec![self.tag];
            key.write(&mut bytes);
            let value = match value {
                Some(value) => Some(value.encode()?),
                None => None,
            };
            out.push((bytes, value));
            last = Some(key);
        }
        self.after = last.cloned().or_else(|| self.after.take());
        self.left = self.left.saturating_sub(out.len());
        Some(out)
    }
}

impl Key for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

macro_rules! id_keys {
    ($($id:ty),+) => {$(
        impl Key for $id {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.as_bytes());
            }

            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_bytes)
            }
        }
    )+};
}

id_keys!(ParcelId, DepositId, MessageId);

impl Key for Digest {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }
}

impl Key for Waybill {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.carrier().as_str().as_bytes());
        out.push(0);
        out.extend_from_slice(self.number().as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (carrier, number) = text.split_once('\0')?;
        Self::parse(carrier, number).ok()
    }
}

impl Key for (Digest, IdempotencyKey) {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
        out.extend_from_slice(self.1.as_str().as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (digest, key) = bytes.split_at_checked(32)?;
        let key = IdempotencyKey::parse(std::str::from_utf8(key).ok()?).ok()?;
        Some((digest.try_into().ok()?, key))
    }
}

/// Rows without sealed parts.
macro_rules! plain_rows {
    ($($row:ty),+ $(,)?) => {$(
        impl $crate::node::state::table::Row for $row {
            fn encode(&self) -> Option<Vec<u8>> {
                postcard::to_allocvec(self).ok()
            }

            fn decode(bytes: &[u8], _: &dyn $crate::node::ContentKeys) -> Option<Self> {
                postcard::from_bytes(bytes).ok()
            }
        }
    )+};
}

pub(in crate::node) use plain_rows;

plain_rows!(u64, ());

#[cfg(test)]
mod tests {
    use interlock_journal::disk::{Disk, MemDisk};
    use interlock_journal::rows::Flush;

    use super::*;

    struct NoKeys;

    impl ContentKeys for NoKeys {
        fn get(&self, _: u32, _: u32) -> Option<[u8; 32]> {
            None
        }
    }

    fn next(state: &mut u64) -> u64 {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(99);
        *state >> 33
    }

    fn write(rows: &Rows, disk: &MemDisk, number: u64, mut frozen: Box<dyn FrozenRows>) -> Rows {
        let left = frozen.left() as u64;
        let mut run = Flush::begin(disk.share(), number, left).unwrap();
        while frozen.left() > 0 {
            for (key, value) in frozen.next(7).unwrap() {
                run.push(&key, value.as_deref()).unwrap();
            }
        }
        rows.with(run.finish().unwrap())
    }

    #[test]
    fn a_table_answers_the_same_wherever_its_rows_lie() {
        let disk = MemDisk::new();
        let cold = Cold::default();
        let mut rows = Rows::empty(disk.share());
        cold.set(rows.clone(), Arc::new(NoKeys));
        let (mut table, mut other) = (Table::new(3, &cold), Table::new(4, &cold));
        other.insert(5_u64, 1_u64);
        let mut expected = BTreeMap::new();
        let mut chance = 7;
        for round in 0..60 {
            for _ in 0..next(&mut chance) % 80 {
                let key = next(&mut chance) % 150;
                match next(&mut chance) % 4 {
                    0 => {
                        table.remove(&key);
                        expected.remove(&key);
                    }
                    1 => {
                        let found = table.get_mut(&key).map(|value| *value += 1);
                        let known = expected.get_mut(&key).map(|value| *value += 1);
                        assert_eq!(found, known);
                    }
                    _ => {
                        table.insert(key, round);
                        expected.insert(key, round);
                    }
                }
            }
            match round % 5 {
                1 | 3 => {
                    let frozen = table.freeze();
                    for key in 0..20 {
                        table.insert(key, round + 100);
                        expected.insert(key, round + 100);
                        table.remove(&(key + 20));
                        expected.remove(&(key + 20));
                    }
                    assert!(table.iter().eq(expected.clone()), "frozen in round {round}");
                    rows = write(&rows, &disk, round + 1, frozen);
                    cold.replace(rows.clone());
                    table.let_go_but(|key, _| key % 2 == 0);
                }
                _ => {}
            }
            assert!(table.iter().eq(expected.clone()), "round {round}");
            let from = next(&mut chance) % 150;
            let rest = expected.range(from..).map(|(key, value)| (*key, *value));
            assert!(table.range(Some(&from)).eq(rest));
            for key in 0..150 {
                assert_eq!(table.get(&key), expected.get(&key).copied());
            }
        }
        assert_eq!(other.get(&5), Some(1));
        assert_eq!(cold.failure(), None);
    }

    #[test]
    fn a_row_that_cannot_be_read_is_a_failure_and_no_answer() {
        let disk = MemDisk::new();
        let cold = Cold::default();
        let rows = Rows::empty(disk.share());
        cold.set(rows.clone(), Arc::new(NoKeys));
        let mut table = Table::new(3, &cold);
        table.insert(1_u64, 2_u64);
        let rows = write(&rows, &disk, 1, table.freeze());
        cold.replace(rows.clone());
        table.let_go();
        assert_eq!(table.get(&1), Some(2));
        assert!(disk.flip(&rows.names()[0].file(), 8, 1));
        // What was read and right is held; whoever reads it now is not answered.
        assert_eq!(table.get(&1), Some(2));
        cold.replace(Rows::open(disk.share(), &rows.names()).unwrap());
        assert_eq!(table.get(&1), None);
        assert!(cold.failure().unwrap().contains("damaged"));
    }

    #[test]
    fn keys_are_ordered_as_their_bytes_are() {
        fn ordered<K: Key>(keys: &mut [K]) {
            keys.sort();
            let bytes = keys.iter().map(|key| {
                let mut bytes = Vec::new();
                key.write(&mut bytes);
                assert_eq!(K::read(&bytes).as_ref(), Some(key));
                bytes
            });
            assert!(bytes.is_sorted());
        }
        ordered(&mut [0_u64, 255, 256, u64::MAX]);
        let waybill = |carrier, number| Waybill::parse(carrier, number).unwrap();
        ordered(&mut [
            waybill("sf", "SF1000000000000"),
            waybill("sf", "SF0000000000009"),
            waybill("sfx", "00000000"),
            waybill("s1", "ABCDEFGHIJ"),
            waybill("s1", "ABCDEFGH"),
        ]);
        let key = |digest, text| ([digest; 32], IdempotencyKey::parse(text).unwrap());
        ordered(&mut [key(2, "a"), key(1, "b"), key(1, "ab"), key(1, "a")]);
        ordered(&mut [ParcelId::from_bytes([1; 16]), ParcelId::from_bytes([0; 16])]);
    }
}
