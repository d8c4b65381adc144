//! The embedded store: the journal, the content keys and the snapshots over disks.
//!
//! INVARIANT: a step is in one group of the journal, and its keys were durable before it. What is
//! opened is replayed whole before anything is appended. It does not know what a record means, only
//! how it is written: postcard, with its version and variant in the header's kind.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use interlock_core::time::Timestamp;
use interlock_journal::disk::Disk;
use interlock_journal::journal::{
    COMMIT_FRAME_SIZE_BYTES, GROUP_RECORDS_MAX, GROUP_SIZE_BYTES_MAX, Journal, JournalError,
    NewRecord, Options, Position, RECORD_HEADER_SIZE_BYTES,
};
use interlock_journal::keyslots::{Key, KeyError, KeySlots, SlotKey};

use interlock_journal::rows::Rows;

use super::entropy::SystemRng;
use super::key_files::KeyFiles;
use super::seams::{Store, TimedRecord};
use super::snapshot::{Background, Keeper, Mark, SnapshotError, Step};
use crate::identity::keys::NodeKey;
use crate::node::cipher::{Aes, Cipher};
use crate::node::record::{RECORD_VERSION, Record};
use crate::node::state::Frozen;
use crate::node::state::table::SharedKeys;
use crate::node::{ContentKeys, Rng as _};

/// Records after which a snapshot is due: so many are replayed at a start, at most, and what came while
/// it was being written.
const SNAPSHOT_RECORDS: u64 = 250_000;
/// Room made for a record before it is written out: most are events, and shorter.
const RECORD_USUAL_BYTES: usize = 192;
/// Most bytes that a frame adds to a body: header, length and checksum, generously.
const FRAME_OVERHEAD_BYTES_MAX: usize = RECORD_HEADER_SIZE_BYTES + 64;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal cannot be read.
    #[error("failed to open the journal: {0}")]
    Journal(#[from] JournalError),
    /// A snapshot cannot be written.
    #[error("failed to write the tables that are derived from the journal: {0}")]
    Snapshot(#[from] SnapshotError),
    /// The content keys cannot be read.
    #[error("failed to open the content keys: {0}")]
    Keys(#[from] KeyError),
    /// A record is not of this program.
    #[error(
        "record {0} cannot be read: it is of another version or another program; start the node with \
         the version that wrote it"
    )]
    Record(Position),
    /// A record does not fit what came before it.
    #[error(
        "record {position} does not fit those before it: {reason}; is this the journal of this node?"
    )]
    Replay {
        /// Which.
        position: Position,
        /// Why.
        reason: String,
    },
}

/// A journal and its content keys, with the snapshots of what is derived from both.
pub struct FileStore {
    journal: Journal,
    keys: Slots,
    key_files: Option<KeyFiles>,
    journal_bytes: u64,
    snapshots: Snapshots,
    /// The highest time before what was replayed.
    time_before: Option<Timestamp>,
    /// Records since the last snapshot was begun.
    unkept_records: u64,
}

/// Who writes snapshots.
enum Snapshots {
    Nobody,
    Thread(Background),
    /// Step by step, whenever it is told to.
    Steps(Box<Keeper>),
}

/// Content keys that the writer changes and tables read. A key that cannot be read is an error of who
/// opened the store, not a key that was destroyed.
#[derive(Clone)]
pub struct Slots {
    held: Arc<Mutex<HeldSlots>>,
    cipher: &'static dyn Cipher,
}

struct HeldSlots {
    slots: KeySlots,
    failed: Option<KeyError>,
}

impl Slots {
    /// Opens the content keys under a master key.
    ///
    /// # Errors
    /// [`OpenError::Keys`]: they cannot be read, or are under another master key.
    pub fn open(disk: Box<dyn Disk>, master: Key) -> Result<Self, OpenError> {
        let mut slots = KeySlots::open(disk, master)?;
        slots.check_master()?;
        let failed = None;
        Ok(Self {
            held: Arc::new(Mutex::new(HeldSlots { slots, failed })),
            cipher: &Aes,
        })
    }

    /// As keys of another cipher than the one that ships.
    #[must_use]
    pub fn of(self, cipher: &'static dyn Cipher) -> Self {
        Self { cipher, ..self }
    }

    /// For tables.
    pub fn shared(&self) -> SharedKeys {
        Arc::new(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HeldSlots> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What could not be read since the last call.
    fn failure(&self) -> Option<KeyError> {
        self.lock().failed.take()
    }
}

impl ContentKeys for Slots {
    fn get(&self, hour: u32, slot: u32) -> Option<[u8; 32]> {
        let mut held = self.lock();
        match held.slots.get(hour, slot) {
            Ok(key) => key.map(|key| *key),
            Err(error) => {
                held.failed.get_or_insert(error);
                None
            }
        }
    }

    fn cipher(&self) -> &'static dyn Cipher {
        self.cipher
    }
}

/// Takes one record with its time during replay.
pub type Each<'a, E> = dyn FnMut(Timestamp, &Record, &dyn ContentKeys) -> Result<(), E> + 'a;

/// Counts while records are handed to the machine.
struct Replay<'a, 'b, E> {
    keys: &'a Slots,
    each: &'a mut Each<'b, E>,
    journal_bytes: u64,
    failed: Option<OpenError>,
}

impl<E: std::fmt::Display> Replay<'_, '_, E> {
    fn take(&mut self, position: Position, kind: u16, time: Timestamp, body: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        self.journal_bytes += (body.len() + RECORD_HEADER_SIZE_BYTES) as u64;
        let record = decode(kind, body).ok_or(OpenError::Record(position));
        let outcome = record.and_then(|record| {
            (self.each)(time, &record, self.keys).map_err(|error| OpenError::Replay {
                position,
                reason: error.to_string(),
            })
        });
        self.failed = outcome.err();
    }
}

impl FileStore {
    /// Opens a store and hands every record to `each`, in order, with the content keys as they are
    /// now. Returns the store and the highest time in the journal.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was appended.
    pub fn open<E: std::fmt::Display>(
        journal_disk: Box<dyn Disk>,
        keys_disk: Box<dyn Disk>,
        master: Key,
        options: Options,
        each: &mut Each<'_, E>,
    ) -> Result<(Self, Option<Timestamp>), OpenError> {
        let slots = Slots::open(keys_disk, master)?;
        Self::open_with(journal_disk, slots, options, each)
    }

    /// The same with content keys that are open.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was appended.
    pub fn open_with<E: std::fmt::Display>(
        journal_disk: Box<dyn Disk>,
        keys: Slots,
        options: Options,
        each: &mut Each<'_, E>,
    ) -> Result<(Self, Option<Timestamp>), OpenError> {
        let mut replay = Replay {
            keys: &keys,
            each,
            journal_bytes: 0,
            failed: None,
        };
        let (journal, recovered) = Journal::open(journal_disk, options, &mut |header, body| {
            replay.take(header.position, header.kind, header.time, body);
        })?;
        let (journal_bytes, failed) = (replay.journal_bytes, replay.failed);
        if let Some(error) = keys.failure() {
            return Err(error.into());
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if recovered.torn_tail_cut {
            tracing::warn!("the journal had a torn end that nobody was told of; it was cut");
        }
        let time = journal.time_max();
        let store = Self {
            journal,
            keys,
            key_files: None,
            journal_bytes,
            snapshots: Snapshots::Nobody,
            time_before: None,
            unkept_records: recovered.records,
        };
        Ok((store, time))
    }

    /// With a place for the signing key, so that it can be rotated.
    #[must_use]
    pub fn with_key_files(mut self, files: KeyFiles) -> Self {
        self.key_files = Some(files);
        self
    }

    /// What was replayed came after `mark`.
    pub const fn continue_from(&mut self, mark: &Mark) {
        self.journal_bytes = self.journal_bytes.saturating_add(mark.journal_bytes());
        self.time_before = mark.time_max();
    }

    /// The end of the journal.
    pub fn mark(&self) -> Mark {
        Mark::new(
            self.journal.last(),
            *self.journal.chain(),
            self.journal.time_max().max(self.time_before),
            self.journal_bytes,
        )
    }

    /// Has a thread of its own write snapshots from here on.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn keep_in_background(&mut self, keeper: Keeper) -> io::Result<()> {
        self.snapshots = Snapshots::Thread(Background::start(keeper)?);
        Ok(())
    }

    /// Has snapshots written by [`Self::work`] from here on.
    pub fn keep_by_steps(&mut self, keeper: Keeper) {
        self.snapshots = Snapshots::Steps(Box::new(keeper));
    }

    /// What a node reads its tables from, if snapshots are written by steps.
    pub fn tables(&self) -> Option<(Rows, SharedKeys)> {
        match &self.snapshots {
            Snapshots::Nobody | Snapshots::Thread(_) => None,
            Snapshots::Steps(keeper) => Some((keeper.rows(), self.keys.shared())),
        }
    }

    /// Does one step of what there is to do for snapshots. Rows to be read from now on, if there are
    /// new ones, and whether all that was frozen is in them.
    ///
    /// # Errors
    /// A snapshot cannot be written.
    pub fn work(&mut self) -> Result<Option<(Rows, bool)>, SnapshotError> {
        let Snapshots::Steps(keeper) = &mut self.snapshots else {
            return Ok(None);
        };
        match keeper.step()? {
            Step::Idle | Step::Working => Ok(None),
            Step::Rows { rows, frozen } => {
                keeper.installed();
                Ok(Some((rows, frozen)))
            }
        }
    }
}

/// A record's kind and body.
///
/// The kind is [`RECORD_VERSION`] in the high byte and the variant in the low one, so that a reader of
/// frames alone can tell records apart.
fn encode(record: &Record) -> io::Result<(u16, Vec<u8>)> {
    let room = Vec::with_capacity(RECORD_USUAL_BYTES);
    let body = postcard::to_extend(record, room).map_err(io::Error::other)?;
    // postcard writes the variant first, in one byte while there are fewer than 128.
    let variant = body.first().copied().unwrap_or_default();
    Ok((u16::from_be_bytes([RECORD_VERSION, variant]), body))
}

/// A defect that is found before the record is written: afterwards the journal could not be opened.
fn unreadable(kind: u16) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a record of kind {kind} could not be read again"),
    )
}

/// The record of a kind and body, or `None` if they are not of this version.
pub fn read_record(kind: u16, body: &[u8]) -> Option<Record> {
    decode(kind, body)
}

/// The record of a kind and body, or `None` if they are not of this version, or not a record.
fn decode(kind: u16, body: &[u8]) -> Option<Record> {
    let [version, variant] = kind.to_be_bytes();
    if version != RECORD_VERSION || body.first() != Some(&variant) {
        return None;
    }
    match postcard::take_from_bytes(body) {
        Ok((record, [])) => Some(record),
        Ok(_) | Err(_) => None,
    }
}

/// Where the next group begins: steps go into one group while it stays within the journal's limits.
struct Packer<'a> {
    journal: &'a mut Journal,
    bodies: Vec<(u16, Timestamp, Vec<u8>)>,
    size_bytes: usize,
}

impl Packer<'_> {
    fn add(&mut self, step: Vec<(u16, Timestamp, Vec<u8>)>) -> io::Result<()> {
        let step_bytes: usize = step
            .iter()
            .map(|(_, _, body)| body.len() + FRAME_OVERHEAD_BYTES_MAX)
            .sum();
        let full = self.bodies.len() + step.len() > GROUP_RECORDS_MAX
            || self.size_bytes + step_bytes + COMMIT_FRAME_SIZE_BYTES > GROUP_SIZE_BYTES_MAX;
        if full {
            self.flush()?;
        }
        self.size_bytes += step_bytes;
        self.bodies.extend(step);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.bodies.is_empty() {
            return Ok(());
        }
        let records: Vec<NewRecord<'_>> = self
            .bodies
            .iter()
            .map(|(kind, time, body)| NewRecord {
                kind: *kind,
                partition: 0,
                time: *time,
                body,
            })
            .collect();
        self.journal
            .append_group(&records)
            .map_err(io::Error::other)?;
        self.bodies.clear();
        self.size_bytes = 0;
        Ok(())
    }
}

impl Store for FileStore {
    fn put_keys(&mut self, keys: &[SlotKey]) -> io::Result<()> {
        let mut fresh = || {
            let mut key = [0; 32];
            SystemRng.fill(&mut key);
            key
        };
        let mut held = self.keys.lock();
        held.slots
            .put_all(keys, &mut fresh)
            .map_err(io::Error::other)
    }

    fn append(&mut self, steps: &[Vec<TimedRecord>]) -> io::Result<()> {
        let mut packer = Packer {
            journal: &mut self.journal,
            bodies: Vec::new(),
            size_bytes: 0,
        };
        for step in steps {
            let mut bodies = Vec::with_capacity(step.len());
            for (time, record) in step {
                let (kind, body) = encode(record)?;
                if decode(kind, &body).is_none() {
                    return Err(unreadable(kind));
                }
                self.journal_bytes += (body.len() + RECORD_HEADER_SIZE_BYTES) as u64;
                self.unkept_records += 1;
                bodies.push((kind, *time, body));
            }
            packer.add(bodies)?;
        }
        packer.flush()
    }

    fn keep_signing_key(&mut self, key: &NodeKey) -> io::Result<()> {
        match &self.key_files {
            Some(files) => files.keep(key),
            None => Err(io::Error::other(
                "this node keeps no file of its signing key",
            )),
        }
    }

    fn take_signing_key(&mut self) {
        if let Some(files) = &self.key_files {
            files.take();
        }
    }

    fn destroy_keys(&mut self, slots: &[(u32, u32)], hours: &[u32]) -> io::Result<()> {
        let mut held = self.keys.lock();
        held.slots.destroy(slots).map_err(io::Error::other)?;
        let mut hours = hours.iter();
        hours.try_for_each(|hour| held.slots.destroy_hour(*hour).map_err(io::Error::other))
    }

    fn wants_snapshot(&self) -> bool {
        let busy = match &self.snapshots {
            Snapshots::Nobody => true,
            Snapshots::Thread(thread) => thread.is_flushing(),
            Snapshots::Steps(keeper) => keeper.is_flushing(),
        };
        !busy && self.unkept_records >= SNAPSHOT_RECORDS
    }

    fn can_snapshot(&self) -> bool {
        match &self.snapshots {
            Snapshots::Nobody => false,
            Snapshots::Thread(thread) => !thread.is_flushing() && self.unkept_records > 0,
            Snapshots::Steps(keeper) => !keeper.is_flushing() && self.unkept_records > 0,
        }
    }

    fn snapshot(&mut self, frozen: Frozen) -> io::Result<()> {
        let mark = self.mark();
        self.unkept_records = 0;
        match &mut self.snapshots {
            Snapshots::Nobody => Ok(()),
            Snapshots::Thread(thread) => thread.begin(frozen, Some(mark)),
            Snapshots::Steps(keeper) => keeper.begin(frozen, Some(mark)).map_err(io::Error::other),
        }
    }

    fn news(&mut self) -> io::Result<Option<(Rows, bool)>> {
        if let Some(error) = self.keys.failure() {
            return Err(io::Error::other(error));
        }
        match &mut self.snapshots {
            Snapshots::Nobody | Snapshots::Steps(_) => Ok(None),
            Snapshots::Thread(thread) => {
                let news = thread.news()?;
                if news.is_some() {
                    thread.installed()?;
                }
                Ok(news)
            }
        }
    }

    fn distrust(&mut self) -> io::Result<()> {
        match &mut self.snapshots {
            Snapshots::Nobody => Ok(()),
            Snapshots::Thread(thread) => thread.distrust(),
            Snapshots::Steps(keeper) => keeper.distrust().map_err(io::Error::other),
        }
    }

    fn journal_bytes(&self) -> u64 {
        self.journal_bytes
    }
}

#[cfg(test)]
mod tests {
    use interlock_core::ids::WireId;
    use interlock_journal::disk::{Crash, MemDisk};
    use zeroize::Zeroizing;

    use super::*;

    const MASTER: [u8; 32] = [9; 32];

    fn record(text: &str) -> Box<Record> {
        Box::new(Record::OfferWithdrawn(WireId::parse(text).unwrap()))
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    type Seen = Vec<(Timestamp, Record)>;

    fn open(journal: &MemDisk, keys: &MemDisk) -> (FileStore, Option<Timestamp>, Seen) {
        let mut seen = Vec::new();
        let (store, time) = FileStore::open(
            Box::new(journal.clone()),
            Box::new(keys.clone()),
            Zeroizing::new(MASTER),
            Options::default(),
            &mut |time, record: &Record, _| -> Result<(), String> {
                seen.push((time, record.clone()));
                Ok(())
            },
        )
        .unwrap();
        (store, time, seen)
    }

    #[test]
    fn what_was_appended_is_replayed_after_a_loss_of_power() {
        let (journal, keys) = (MemDisk::new(), MemDisk::new());
        let (mut store, time, seen) = open(&journal, &keys);
        assert_eq!((time, seen.len()), (None, 0));
        let key = |slot| SlotKey {
            hour: 3,
            slot,
            key: Zeroizing::new([7; 32]),
        };
        store.put_keys(&[key(0), key(1)]).unwrap();
        let steps = vec![
            vec![(at(5), record("a")), (at(5), record("b"))],
            vec![(at(6), record("c"))],
        ];
        store.append(&steps).unwrap();
        store.destroy_keys(&[(3, 0)], &[]).unwrap();
        let bytes = store.journal_bytes();
        assert!(bytes > 0);
        drop(store);
        journal.crash(Crash::LoseUnsynced);
        keys.crash(Crash::LoseUnsynced);

        let mut found = Vec::new();
        let (store, time) = FileStore::open(
            Box::new(journal.clone()),
            Box::new(keys.clone()),
            Zeroizing::new(MASTER),
            Options::default(),
            &mut |time, record: &Record, keys| -> Result<(), String> {
                found.push((time, record.clone(), keys.get(3, 0), keys.get(3, 1)));
                Ok(())
            },
        )
        .unwrap();
        let key = Some([7; 32]);
        assert_eq!(
            found,
            [
                (at(5), *record("a"), None, key),
                (at(5), *record("b"), None, key),
                (at(6), *record("c"), None, key)
            ]
        );
        assert_eq!(time, Some(at(6)));
        assert_eq!(store.journal_bytes(), bytes);
    }

    #[test]
    fn more_steps_than_a_group_holds_are_several_groups() {
        let (journal, keys) = (MemDisk::new(), MemDisk::new());
        let (mut store, _, _) = open(&journal, &keys);
        let steps: Vec<Vec<TimedRecord>> = (0..7)
            .map(|_| (0..1_000).map(|_| (at(1), record("a"))).collect())
            .collect();
        store.append(&steps).unwrap();
        drop(store);
        assert_eq!(open(&journal, &keys).2.len(), 7_000);
    }

    #[test]
    fn another_version_or_a_refused_record_stops_the_opening() {
        assert!(decode(u16::from_be_bytes([RECORD_VERSION + 1, 0]), &[0]).is_none());
        let (kind, mut body) = encode(&record("a")).unwrap();
        assert_eq!(decode(kind, &body), Some(*record("a")));
        assert!(decode(kind ^ 1, &body).is_none());
        assert!(unreadable(kind).to_string().contains(&kind.to_string()));
        body.push(0);
        assert!(decode(kind, &body).is_none());

        let (journal, keys) = (MemDisk::new(), MemDisk::new());
        let (mut store, _, _) = open(&journal, &keys);
        store.append(&[vec![(at(1), record("a"))]]).unwrap();
        drop(store);
        let refused = FileStore::open(
            Box::new(journal),
            Box::new(keys),
            Zeroizing::new(MASTER),
            Options::default(),
            &mut |_, _, _| Err("no"),
        );
        let error = refused.err().unwrap().to_string();
        assert!(error.starts_with("record 1 does not fit"), "{error}");
    }
}
