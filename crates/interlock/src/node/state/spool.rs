//! A queue whose middle lies in rows.
//!
//! Purpose: what waits for a consumer, of which there may be a month. Invariants: items leave in the
//! order in which they came; at most some thousands of them are in memory after a snapshot. Items go
//! into rows in chunks, so that they are read again nearly sequentially. It does not know what waits.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use interlock_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::feed::Queued;
use super::table::{Cold, FrozenRows, Key, Row, Table};
use crate::node::ContentKeys;

/// Items of a chunk.
const CHUNK_ITEMS: usize = 1_024;
/// The rows of all queues begin with this.
pub(super) const TAG: u8 = 16;

/// Which chunk of which queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ChunkKey(u64, u64);

impl Key for ChunkKey {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (queue, chunk) = bytes.split_at_checked(8)?;
        Some(Self(u64::read(queue)?, u64::read(chunk)?))
    }
}

type Chunk = Arc<Vec<Queued>>;

impl Row for Chunk {
    fn encode(&self) -> Option<Vec<u8>> {
        postcard::to_allocvec(&**self).ok()
    }

    fn decode(bytes: &[u8], _: &dyn ContentKeys) -> Option<Self> {
        postcard::from_bytes(bytes).ok().map(Self::new)
    }
}

/// A chunk in rows.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Stored {
    number: u64,
    items: u64,
    /// When the oldest of its items arose.
    oldest: Timestamp,
}

/// A queue.
#[derive(Serialize, Deserialize)]
pub struct Spool {
    /// Tells its rows from those of other queues, once it has rows.
    id: Option<u64>,
    next_chunk: u64,
    front: VecDeque<Queued>,
    middle: VecDeque<Stored>,
    back: VecDeque<Queued>,
    /// Items in `middle`.
    stored: u64,
    #[serde(skip, default = "no_rows")]
    chunks: Table<ChunkKey, Chunk>,
}

fn no_rows() -> Table<ChunkKey, Chunk> {
    Table::new(TAG, &Cold::default())
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            id: None,
            next_chunk: 0,
            front: VecDeque::new(),
            middle: VecDeque::new(),
            back: VecDeque::new(),
            stored: 0,
            chunks: no_rows(),
        }
    }
}

impl Spool {
    /// How many items wait.
    pub fn len(&self) -> usize {
        let stored = usize::try_from(self.stored).unwrap_or(usize::MAX);
        self.front.len() + stored + self.back.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an item behind all others.
    pub fn push_back(&mut self, item: Queued) {
        self.back.push_back(item);
    }

    /// Puts an item before those at the end of which `later` holds. It comes back if that may reach
    /// beyond what was added of late.
    pub fn push_before(
        &mut self,
        item: Queued,
        later: impl Fn(&Queued) -> bool,
    ) -> Result<(), Queued> {
        let at = match self.back.iter().rposition(|held| !later(held)) {
            Some(before) => before + 1,
            None if self.front.is_empty() && self.middle.is_empty() => 0,
            None => return Err(item),
        };
        self.back.insert(at, item);
        Ok(())
    }

    /// Takes the first item.
    pub fn pop_front(&mut self) -> Option<Queued> {
        if self.front.is_empty() {
            match self.middle.pop_front() {
                Some(stored) => self.front = self.fetch(stored),
                None => {
                    let first = self.back.len().min(CHUNK_ITEMS);
                    self.front = self.back.drain(..first).collect();
                }
            }
        }
        self.front.pop_front()
    }

    fn fetch(&mut self, stored: Stored) -> VecDeque<Queued> {
        self.stored = self.stored.saturating_sub(stored.items);
        let key = ChunkKey(self.id.unwrap_or_default(), stored.number);
        let items = self.chunks.get(&key);
        self.chunks.remove(&key);
        items.map_or_else(VecDeque::new, |items| items.iter().cloned().collect())
    }

    /// All items in their order.
    pub fn iter(&self) -> impl Iterator<Item = Queued> {
        let stored = self.middle.iter().flat_map(|stored| {
            let key = ChunkKey(self.id.unwrap_or_default(), stored.number);
            let items = self.chunks.get(&key).unwrap_or_default();
            (0..items.len()).filter_map(move |at| items.get(at).cloned())
        });
        let front = self.front.iter().cloned();
        front.chain(stored).chain(self.back.iter().cloned())
    }

    /// When the oldest item arose.
    pub fn oldest(&self) -> Option<Timestamp> {
        let held = self
            .front
            .iter()
            .chain(&self.back)
            .map(|item| item.arose_at);
        held.chain(self.middle.iter().map(|stored| stored.oldest))
            .min()
    }

    /// Takes all items.
    pub fn take_all(&mut self) -> impl Iterator<Item = Queued> {
        std::iter::from_fn(|| self.pop_front())
    }

    /// Moves what is too much for memory into chunks. `id` gives a number that no other queue has.
    pub fn settle(&mut self, cold: &Cold, id: &mut u64) {
        self.chunks.attach(cold);
        while self.back.len() >= 2 * CHUNK_ITEMS {
            let queue = *self.id.get_or_insert_with(|| {
                *id += 1;
                *id
            });
            let items: Vec<Queued> = self.back.drain(..CHUNK_ITEMS).collect();
            let Some(oldest) = items.iter().map(|item| item.arose_at).min() else {
                return;
            };
            let number = self.next_chunk;
            self.next_chunk += 1;
            self.stored += items.len() as u64;
            self.middle.push_back(Stored {
                number,
                items: items.len() as u64,
                oldest,
            });
            self.chunks.insert(ChunkKey(queue, number), Arc::new(items));
        }
    }

    /// Reads chunks from these rows.
    pub fn attach(&mut self, cold: &Cold) {
        self.chunks.attach(cold);
    }

    /// Orders queues as their rows are.
    pub const fn id(&self) -> Option<u64> {
        self.id
    }

    /// What changed in its chunks since the last snapshot.
    pub fn freeze(&mut self) -> Box<dyn FrozenRows> {
        self.chunks.freeze()
    }

    /// What was frozen is in the rows now.
    pub fn let_go(&mut self) {
        self.chunks.let_go();
    }
}

impl FromIterator<Queued> for Spool {
    fn from_iter<I: IntoIterator<Item = Queued>>(items: I) -> Self {
        Self {
            back: items.into_iter().collect(),
            ..Self::default()
        }
    }
}

/// What waits, wherever it lies.
impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use interlock_core::ids::ParcelId;

    use super::*;
    use crate::node::record::ItemRef;

    fn item(n: u64) -> Queued {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&n.to_be_bytes());
        Queued {
            item: ItemRef::Event(ParcelId::from_bytes(id), 0),
            arose_at: Timestamp::from_millis(n.cast_signed()),
        }
    }

    #[test]
    fn items_leave_in_their_order_wherever_they_lie() {
        let cold = Cold::default();
        let mut id = 0;
        let mut spool = Spool::default();
        let (mut pushed, mut popped) = (0, 0);
        for round in 0..40_u64 {
            for _ in 0..round * 97 % 1_500 {
                spool.push_back(item(pushed));
                pushed += 1;
            }
            for _ in 0..round * 61 % 900 {
                if let Some(found) = spool.pop_front() {
                    assert_eq!(found, item(popped));
                    popped += 1;
                }
            }
            if round % 3 == 0 {
                spool.settle(&cold, &mut id);
                assert!(spool.front.len() + spool.back.len() < 3 * CHUNK_ITEMS);
            }
            assert_eq!(spool.len() as u64, pushed - popped);
            let oldest = (pushed > popped).then(|| item(popped).arose_at);
            assert_eq!(spool.oldest(), oldest);
            assert!(spool.iter().eq((popped..pushed).map(item)));
        }
        assert!(!spool.middle.is_empty());
        assert!(spool.take_all().eq((popped..pushed).map(item)));
        assert!(spool.is_empty() && spool.oldest().is_none());
        assert_eq!(id, 1);
    }
}
