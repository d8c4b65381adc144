//! One node of the world: its machine, what it made durable, and its clock.
//!
//! Invariant: a node that starts has nothing but what is on its two disks; a node whose disk fails is
//! gone at once, as the shipped writer stops its process, and shows nothing of that step.

use std::collections::BTreeMap;
use std::io;

use ed25519_dalek::SigningKey;
use interlock::driver::file_store::{FileStore, OpenError};
use interlock::driver::leaf_reader::read_leaves;
use interlock::driver::seams::{Store, TimedRecord};
use interlock::driver::snapshot::{self, Start};
use interlock::driver::steady::Steady;
use interlock::identity::derived::Derived;
use interlock::identity::keys::NodeKey;
use interlock::node::io::{CallFailure, Effect, LeavesRead, LeavesWanted, ReplyId};
use interlock::node::record::{Record, Sealed};
use interlock::node::{ContentKeys, Node, NodeConfig};
use interlock_core::time::{ClockInterval, Timestamp};
use interlock_journal::disk::{Crash, Disk, MemDisk};
use interlock_journal::journal::{self, JournalError, Met, Options};
use interlock_journal::keyslots::{KeySlots, SlotKey};

use crate::SeededRng;
use crate::world::{NodeIx, World};

/// Segments of the simulated journals: small, so that a run has several.
const SEGMENT_SIZE_BYTES: u64 = 256 * 1024;
/// Steps in which their space is taken.
const PREALLOCATE_SIZE_BYTES: u64 = 16 * 1024;
/// How far a clock may jump and still be followed, in milliseconds: the default of `interlock.toml`.
const JUMP_LIMIT_MS: i64 = 5_000;
/// The master key of every simulated node.
const MASTER: [u8; 32] = [9; 32];

/// Which of a node's disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskOf {
    /// The one with the journal.
    Journal,
    /// The one with the content keys.
    Keys,
    /// The one with what is derived from both.
    Tables,
}

/// How a node's clock differs from the world's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockError {
    /// What is added to the world's time, in milliseconds.
    pub skew_ms: i64,
    /// How uncertain the node says that it is, in milliseconds either way.
    pub uncertainty_ms: i64,
}

pub(crate) struct SimNode {
    pub(crate) node: Node,
    pub(crate) config: NodeConfig,
    pub(crate) key: SigningKey,
    /// What was derived from its first key.
    pub(crate) derived: Derived,
    /// A key that is durable and may come next, as a file beside the other one is.
    pub(crate) next_key: Option<SigningKey>,
    pub(crate) disk: Disks,
    pub(crate) journal: Vec<(Timestamp, Vec<u8>)>,
    pub(crate) keys: Keys,
    pub(crate) rng: SeededRng,
    pub(crate) steps: (Timestamp, u64),
    pub(crate) up: bool,
    pub(crate) epoch: u32,
    pub(crate) wake: Option<Timestamp>,
    pub(crate) clock: ClockError,
    /// Whether its disk failed under a preset record: what follows would not fit without it.
    broken: bool,
    /// The shipped code between the machine's clock and the node.
    steady: Steady,
    /// What a reading of it was, less the world's time.
    steady_ahead_ms: i64,
    /// No reading of the clock is below this, as in the shipped writer.
    pub(crate) floor: Option<ClockInterval>,
}

/// What a node has on disk, and the open store over it.
#[derive(Default)]
pub(crate) struct Disks {
    pub(crate) journal: MemDisk,
    pub(crate) keys: MemDisk,
    pub(crate) tables: MemDisk,
    store: Option<FileStore>,
    /// How often a node was made from a snapshot, and how often from its whole journal.
    pub(crate) starts: (u64, u64),
}

#[derive(Clone, Default)]
pub(crate) struct Keys(pub(crate) BTreeMap<(u32, u32), [u8; 32]>);

impl ContentKeys for Keys {
    fn get(&self, hour: u32, slot: u32) -> Option<[u8; 32]> {
        self.0.get(&(hour, slot)).copied()
    }
}

/// What a start finds on disk.
struct Found {
    node: Node,
    journal: Vec<(Timestamp, Vec<u8>)>,
    time: Option<Timestamp>,
}

/// When snapshots are begun, and how fast they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshots {
    /// Of a thousand groups, after so many one is begun, if none is being written.
    pub begun: u32,
    /// After each group up to so many steps are done.
    pub steps_max: u32,
}

impl SimNode {
    pub(crate) fn new(config: NodeConfig, key: SigningKey, rng: SeededRng, now: Timestamp) -> Self {
        Self {
            node: Node::new(config.clone(), key.clone()),
            derived: Derived::from_seed(&key.to_bytes()),
            next_key: None,
            config,
            key,
            disk: Disks::default(),
            journal: Vec::new(),
            keys: Keys::default(),
            rng,
            steps: (now, 0),
            up: true,
            epoch: 0,
            wake: None,
            clock: ClockError::default(),
            broken: false,
            steady: Steady::new(JUMP_LIMIT_MS),
            steady_ahead_ms: 0,
            floor: None,
        }
    }

    /// Random bytes for the next step.
    pub(crate) fn rng_at(&mut self, now: Timestamp) -> SeededRng {
        let nth = if self.steps.0 == now {
            self.steps.1 + 1
        } else {
            0
        };
        self.steps = (now, nth);
        self.rng.at(now.as_millis(), nth)
    }

    /// What the node's clock says when the world's says `now`.
    pub(crate) fn clock_at(&mut self, now: Timestamp) -> ClockInterval {
        let read = self.read_clock(now);
        let read = self.floor.map_or(read, |floor| ClockInterval {
            earliest: read.earliest.max(floor.earliest),
            latest: read.latest.max(floor.latest),
        });
        self.floor = Some(read);
        self.node.clock_jumped(self.steady.jumped_ms());
        read
    }

    /// The same without the floor.
    fn read_clock(&mut self, now: Timestamp) -> ClockInterval {
        let ClockError {
            skew_ms,
            uncertainty_ms,
        } = self.clock;
        let wall_ms = now.plus_ms(skew_ms).as_millis();
        let read = self.steady.read(wall_ms, now.as_millis());
        self.steady_ahead_ms = read.latest_ms - now.as_millis();
        ClockInterval {
            earliest: Timestamp::from_millis(read.earliest_ms - uncertainty_ms),
            latest: Timestamp::from_millis(read.latest_ms + uncertainty_ms),
        }
    }

    /// After a step: a jump that partners confirm is followed.
    pub(crate) fn stepped(&mut self) {
        if self.node.confirms_jump() {
            self.steady.follow();
        }
    }

    /// When the world's clock stands so that this node's is at `at`.
    pub(crate) fn world_time(&self, at: Timestamp) -> Timestamp {
        at.plus_ms(-self.steady_ahead_ms - self.clock.uncertainty_ms)
    }

    /// Makes what a step wants durable: keys, then records, as one group.
    fn persist(&mut self, keys: &[SlotKey], records: Vec<TimedRecord>) -> io::Result<()> {
        if self.disk.store.is_none() {
            self.disk
                .open(&self.config, &self.key, &self.derived)
                .map_err(io::Error::other)?;
            if let Some((rows, keys)) = self.disk.store.as_ref().and_then(FileStore::tables) {
                self.node.begin_tables(rows, keys);
            }
        }
        let Some(store) = self.disk.store.as_mut() else {
            return Err(io::Error::other("the store is closed"));
        };
        if !keys.is_empty() {
            store.put_keys(keys)?;
        }
        for key in keys {
            self.keys.0.insert((key.hour, key.slot), *key.key);
        }
        if records.is_empty() {
            return Ok(());
        }
        let bytes = |(at, record): &TimedRecord| {
            let bytes = postcard::to_allocvec(&**record).map_err(io::Error::other)?;
            Ok((*at, bytes))
        };
        let written = records.iter().map(bytes).collect::<io::Result<Vec<_>>>()?;
        store.append(&[records])?;
        self.journal.extend(written);
        Ok(())
    }

    /// Begins and goes on with snapshots, as the shipped writer and its thread do.
    fn keep(&mut self, snapshots: Snapshots, chance: &mut SeededRng) -> io::Result<()> {
        let mut below = |end: u64| chance.draw().checked_rem(end).unwrap_or(0);
        let Some(store) = self.disk.store.as_mut() else {
            return Ok(());
        };
        for _ in 0..below(u64::from(snapshots.steps_max) + 1) {
            if let Some((rows, frozen)) = store.work().map_err(io::Error::other)? {
                self.node.install(rows, frozen);
            }
        }
        if below(1_000) < u64::from(snapshots.begun) && store.can_snapshot() {
            let frozen = self.node.freeze().map_err(io::Error::other)?;
            store.snapshot(frozen)?;
        }
        Ok(())
    }

    /// Of the two keys that are there, takes the one that the journal names.
    fn choose_key(&mut self) {
        let named = self.node.state().own_key();
        let next = self
            .next_key
            .take_if(|next| Some(next.verifying_key().to_bytes()) == named);
        if let Some(next) = next {
            self.key = next;
        }
        let key = NodeKey::from_seed(&self.key.to_bytes());
        self.node.use_key(&key);
    }

    fn destroy(&mut self, slots: &[(u32, u32)], hours: &[u32]) -> io::Result<()> {
        if slots.is_empty() && hours.is_empty() {
            return Ok(());
        }
        if let Some(store) = self.disk.store.as_mut() {
            store.destroy_keys(slots, hours)?;
        }
        self.keys
            .0
            .retain(|slot, _| !slots.contains(slot) && !hours.contains(&slot.0));
        Ok(())
    }
}

impl Disks {
    /// Opens the store and makes a node from what it holds.
    fn open(
        &mut self,
        config: &NodeConfig,
        key: &SigningKey,
        derived: &Derived,
    ) -> Result<Found, OpenError> {
        self.store = None;
        let options = Options {
            segment_size_bytes: SEGMENT_SIZE_BYTES,
            preallocate_size_bytes: PREALLOCATE_SIZE_BYTES,
            ..Options::default()
        };
        let disks = snapshot::Disks {
            journal: Box::new(self.journal.clone()),
            keys: Box::new(self.keys.clone()),
            tables: Box::new(self.tables.clone()),
        };
        let opened = snapshot::open(&disks, config, key, derived, MASTER.into(), options)?;
        let mut store = opened.store;
        store.keep_by_steps(opened.keeper);
        self.store = Some(store);
        self.starts.0 += u64::from(matches!(opened.start, Start::Snapshot { .. }));
        self.starts.1 += u64::from(matches!(opened.start, Start::Journal { .. }));
        Ok(Found {
            node: opened.node,
            journal: self.records()?,
            time: opened.time,
        })
    }

    /// All records of the journal.
    fn records(&self) -> Result<Vec<(Timestamp, Vec<u8>)>, OpenError> {
        let mut records = Vec::new();
        let mut each = |met: Met<'_>| {
            if let Met::Record(header, body) = met {
                records.push((header.time, body.to_vec()));
            }
        };
        let read = journal::visit(&mut self.journal.clone(), &mut each);
        read.map_err(|source| JournalError::Io {
            operation: "read",
            file: String::new(),
            source,
        })?;
        Ok(records)
    }

    fn crash(&mut self, crash: Crash) {
        self.store = None;
        self.journal.crash(crash);
        self.keys.crash(crash);
        self.tables.crash(crash);
    }
}

impl World {
    /// Writes a record into a node's journal as if it had been there before.
    pub fn preset(&mut self, ix: NodeIx, record: Record) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(ix) else {
            return;
        };
        let keys = node.keys.clone();
        if !node.broken && node.node.replay(now, &record, &keys).is_ok() {
            // Nothing is written to a disk after it has failed: the process ends there.
            if node.persist(&[], vec![(now, Box::new(record))]).is_err() {
                node.broken = true;
                self.struck.disks += 1;
                self.crash(ix, Crash::KeepAll);
            }
        }
    }

    pub(crate) fn start_node(&mut self, ix: NodeIx) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(ix) else {
            return;
        };
        let clock = node.clock_at(now);
        let mut rng = node.rng_at(now);
        let effects = node.node.start(clock, &mut rng);
        self.carry_out(ix, effects, clock.latest);
    }

    /// Kills a node's process: what was under way is lost, what was written is not.
    pub fn kill(&mut self, ix: NodeIx) {
        self.crash(ix, Crash::KeepAll);
    }

    /// Kills a node, or its whole machine: of what was not synced as much survives as `crash` says.
    pub fn crash(&mut self, ix: NodeIx, crash: Crash) {
        if let Some(node) = self.nodes.get_mut(ix) {
            node.up = false;
            node.epoch += 1;
            node.wake = None;
            node.disk.crash(crash);
        }
        let lost: Vec<(NodeIx, ReplyId)> = self
            .waiting
            .keys()
            .filter(|(at, _)| *at == ix)
            .copied()
            .collect();
        for key in lost {
            if let Some(waiting) = self.waiting.remove(&key) {
                self.answer_later(
                    &waiting,
                    Err(CallFailure::Unreachable("the connection broke".into())),
                );
            }
        }
    }

    /// Reads leaves from a node's disk, as its driver would.
    pub(crate) fn read_leaves(&self, ix: NodeIx, wanted: &LeavesWanted) -> Option<LeavesRead> {
        let node = self.nodes.get(ix)?;
        let mut disk = node.disk.journal.clone();
        read_leaves(&mut disk, &node.config.id, wanted).ok()
    }

    /// Changes what a node is told about itself, from its next start on.
    pub fn configure(&mut self, ix: NodeIx, change: impl FnOnce(&mut NodeConfig)) {
        if let Some(node) = self.nodes.get_mut(ix) {
            change(&mut node.config);
        }
    }

    /// Sets a node's clock.
    pub fn set_clock(&mut self, ix: NodeIx, clock: ClockError) {
        if let Some(node) = self.nodes.get_mut(ix) {
            node.clock = clock;
        }
    }

    /// How often nodes were made from a snapshot, and how often from a whole journal.
    pub fn starts(&self) -> (u64, u64) {
        let all = self.nodes.iter().map(|node| node.disk.starts);
        all.fold((0, 0), |sum, starts| (sum.0 + starts.0, sum.1 + starts.1))
    }

    /// Whether a node runs.
    pub fn is_up(&self, ix: NodeIx) -> bool {
        self.nodes.get(ix).is_some_and(|n| n.up)
    }

    /// Every file on a node's disks, with its bytes.
    pub fn stored(&self, ix: NodeIx) -> Vec<(String, Vec<u8>)> {
        let Some(node) = self.nodes.get(ix) else {
            return Vec::new();
        };
        let mut files = Vec::new();
        for disk in [&node.disk.journal, &node.disk.keys, &node.disk.tables] {
            let mut disk = disk.clone();
            for name in disk.list().unwrap_or_default() {
                let len_bytes = disk.len(&name).unwrap_or_default();
                let mut bytes = vec![0; usize::try_from(len_bytes).unwrap_or_default()];
                if disk.read_at(&name, 0, &mut bytes).is_ok() {
                    files.push((name, bytes));
                }
            }
        }
        files
    }

    /// Whether the key of something sealed is still among those on a node's disk.
    pub fn has_key(&self, ix: NodeIx, sealed: &Sealed) -> bool {
        let disk = self.nodes.get(ix).map(|node| node.disk.keys.clone());
        let slots = disk.and_then(|disk| KeySlots::open(Box::new(disk), MASTER.into()).ok());
        let found = slots.and_then(|mut slots| slots.get(sealed.hour, sealed.slot).ok());
        found.flatten().is_some()
    }

    /// A node made from another's records and keys, not started. `None` if they give none.
    pub fn replayed(&self, ix: NodeIx) -> Option<Node> {
        let node = self.nodes.get(ix)?;
        let (config, key) = (node.config.clone(), node.key.clone());
        let mut fresh = Node::with_derived(config, key, &node.derived);
        for (at, bytes) in &node.journal {
            let record = postcard::from_bytes::<Record>(bytes).ok()?;
            fresh.replay(*at, &record, &node.keys).ok()?;
        }
        Some(fresh)
    }

    /// Puts a killed node back to an older copy of its journal: its first `records`. Its key files stay
    /// as they are. False if the copy cannot be written.
    pub fn put_back(&mut self, ix: NodeIx, records: usize) -> bool {
        let Some(node) = self.nodes.get_mut(ix) else {
            return false;
        };
        node.disk.store = None;
        node.disk.journal = MemDisk::new();
        // Tables and snapshot stay: they are of a journal that there is no more.
        let copy: Vec<_> = node.journal.drain(..).take(records).collect();
        if node
            .disk
            .open(&node.config, &node.key, &node.derived)
            .is_err()
        {
            return false;
        }
        for (at, bytes) in copy {
            let written = postcard::from_bytes::<Record>(&bytes)
                .is_ok_and(|record| node.persist(&[], vec![(at, Box::new(record))]).is_ok());
            if !written {
                return false;
            }
        }
        true
    }

    /// Adds a record to the journal of a killed node. False if its disk does not take it.
    pub fn append_offline(&mut self, ix: NodeIx, at: Timestamp, record: Record) -> bool {
        let node = self.nodes.get_mut(ix);
        node.is_some_and(|node| node.persist(&[], vec![(at, Box::new(record))]).is_ok())
    }

    /// A killed node as its disks give it, not started. `None` if they give none.
    pub fn opened(&mut self, ix: NodeIx) -> Option<Node> {
        let node = self.nodes.get_mut(ix)?;
        let found = node
            .disk
            .open(&node.config, &node.key, &node.derived)
            .ok()?;
        Some(found.node)
    }

    /// Starts a killed node from its disks. False if they give no node.
    pub fn restart(&mut self, ix: NodeIx) -> bool {
        let Some(node) = self.nodes.get_mut(ix) else {
            return false;
        };
        let Ok(found) = node.disk.open(&node.config, &node.key, &node.derived) else {
            return false;
        };
        node.node = found.node;
        node.steady = Steady::new(JUMP_LIMIT_MS);
        node.broken = false;
        node.choose_key();
        node.journal = found.journal;
        node.floor = found.time.map(|at| ClockInterval {
            earliest: Timestamp::from_millis(i64::MIN),
            latest: at,
        });
        node.up = true;
        self.start_node(ix);
        true
    }

    /// Carries out effects in the driver's order: keys, records, then everything that others see.
    pub(crate) fn carry_out(&mut self, ix: NodeIx, effects: Vec<Effect>, time: Timestamp) {
        let Some(node) = self.nodes.get_mut(ix) else {
            return;
        };
        let (mut keys, mut records, mut outside) = (Vec::new(), Vec::new(), Vec::new());
        let (mut destroy, mut ended) = (Vec::new(), Vec::new());
        let mut rotated = None;
        for effect in effects {
            match effect {
                Effect::PutKey { hour, slot, key } => keys.push(SlotKey {
                    hour,
                    slot,
                    key: key.into(),
                }),
                Effect::DestroyKey { hour, slot } => destroy.push((hour, slot)),
                Effect::DestroyHour { hour } => ended.push(hour),
                Effect::RotateSigningKey(key) => rotated = Some(key.signing_key().clone()),
                Effect::Append(record) => records.push((time, record)),
                shown @ (Effect::ReplyLocal { .. }
                | Effect::ReplyPeer { .. }
                | Effect::ReplyConnector { .. }
                | Effect::Push(_)
                | Effect::ReadLeaves(_)
                | Effect::Call { .. }
                | Effect::Deliver(_)
                | Effect::Notify(_)) => outside.push(shown),
            }
        }
        if rotated.is_some() {
            node.next_key.clone_from(&rotated);
        }
        // What was decided on rows that cannot be read is worth nothing.
        let unread = node.node.failure().is_some();
        if unread && let Some(store) = node.disk.store.as_mut() {
            // A disk that fails here too leaves a snapshot that the next start finds damaged again.
            let _ = store.distrust();
        }
        if unread || node.persist(&keys, records).is_err() {
            self.struck.disks += 1;
            return self.crash(ix, Crash::KeepAll);
        }
        if let Some(key) = rotated {
            node.key = key;
        }
        for effect in outside {
            self.show_in_time(ix, effect);
        }
        let Some(node) = self.nodes.get_mut(ix) else {
            return;
        };
        let done = node
            .destroy(&destroy, &ended)
            .and_then(|()| node.keep(self.snapshots, &mut self.snapshot_chance));
        if done.is_err() {
            self.struck.disks += 1;
            return self.crash(ix, Crash::KeepAll);
        }
        self.schedule_wake(ix);
    }
}
