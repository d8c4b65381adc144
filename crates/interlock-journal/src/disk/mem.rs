//! A simulated disk that loses what was not synced, tears writes and fails on demand.
//!
//! INVARIANT: it keeps no more than the contract of [`Disk`] promises. A failed sync behaves as on
//! Linux: what was not durable stays readable, counts as clean, and is gone after a crash unless it is
//! written again. It knows no formats; all of its chance comes from a seed.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Disk;

/// A sector is written as a whole or not at all.
pub const SECTOR_SIZE_BYTES: u64 = 512;

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Reported as failed, and nothing was done. A sync that fails so loses what it was to save.
    Failed,
    /// Reported as failed, and all of it was done.
    FailedAlthoughDone,
    /// Reported as failed after this many bytes of a write; as [`Fault::Failed`] elsewhere.
    ShortWrite(usize),
    /// Fails for lack of space after half of a write; as [`Fault::Failed`] elsewhere.
    DiskFull,
    /// The power fails before the operation: it and all that follow fail until [`MemDisk::crash`].
    PowerLoss,
}

/// What of the unsynced survives a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// All of it: the process died, the machine did not.
    KeepAll,
    /// Nothing of it.
    LoseUnsynced,
    /// Single sectors, some changes of length, and the first few changes of names, by this seed.
    Torn(u64),
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Truncate(u64),
}

#[derive(Clone, Debug, Default)]
struct Content {
    /// What reads see.
    current: Vec<u8>,
    /// What survives.
    durable: Vec<u8>,
    /// What the next sync makes durable.
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum DirChange {
    Link { name: String, file: u64 },
    Rename { from: String, to: String },
    Remove(String),
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<u64, Content>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    pending_names: Vec<DirChange>,
    next_file: u64,
    faults: BTreeMap<u64, Fault>,
    operations: u64,
    powered_off: bool,
    capacity_bytes: Option<u64>,
    trace: Option<Vec<String>>,
}

/// A simulated disk. Clones share it, so that a test can fail it from outside.
#[derive(Clone, Debug, Default)]
pub struct MemDisk {
    state: Arc<Mutex<State>>,
}

impl MemDisk {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the operation after `operations_from_now` others fail. Only operations that change
    /// something count: not `list`, `len` and `read_at`.
    pub fn inject(&self, operations_from_now: u64, fault: Fault) {
        let mut state = self.lock();
        let at = state.operations.saturating_add(operations_from_now);
        state.faults.insert(at, fault);
    }

    /// Limits the sum of all files' lengths; `None` lifts the limit.
    pub fn set_capacity_bytes(&self, capacity_bytes: Option<u64>) {
        self.lock().capacity_bytes = capacity_bytes;
    }

    /// Sum of all files' lengths, in bytes.
    pub fn used_bytes(&self) -> u64 {
        self.lock().used_bytes()
    }

    /// How many changing operations there were.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// The changing operations since the last call, as text, in order. The first call starts the
    /// recording.
    pub fn take_trace(&self) -> Vec<String> {
        self.lock().trace.replace(Vec::new()).unwrap_or_default()
    }

    /// Flips the bits of `mask` in one durable byte; returns whether there is such a byte.
    pub fn flip(&self, name: &str, offset: u64, mask: u8) -> bool {
        let mut state = self.lock();
        let Some(file) = state.names.get(name).copied() else {
            return false;
        };
        let Some(content) = state.files.get_mut(&file) else {
            return false;
        };
        let Ok(at) = usize::try_from(offset) else {
            return false;
        };
        let hit = content.current.get_mut(at).map(|b| *b ^= mask).is_some();
        if let Some(b) = content.durable.get_mut(at) {
            *b ^= mask;
        }
        hit
    }

    /// The disk as it is after a crash and a restart: faults are cleared, the power is back.
    pub fn crash(&self, crash: Crash) {
        let mut state = self.lock();
        state.faults.clear();
        state.powered_off = false;
        let mut chance = match crash {
            Crash::KeepAll => return,
            Crash::LoseUnsynced => None,
            Crash::Torn(seed) => Some(Chance(seed)),
        };
        let changes = std::mem::take(&mut state.pending_names);
        let kept = chance
            .as_mut()
            .map_or(0, |chance| chance.below(changes.len() as u64 + 1));
        let mut names = std::mem::take(&mut state.durable_names);
        for change in changes.into_iter().take(usize::try_from(kept).unwrap_or(0)) {
            apply_name(&mut names, change);
        }
        state.names.clone_from(&names);
        state.durable_names = names;
        let names = state.names.clone();
        state
            .files
            .retain(|file, _| names.values().any(|kept| kept == file));
        for content in state.files.values_mut() {
            let pending = std::mem::take(&mut content.pending);
            if let Some(chance) = chance.as_mut() {
                for change in pending {
                    tear(&mut content.durable, &change, chance);
                }
            }
            content.current.clone_from(&content.durable);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the operation, and says how it is to fail.
    fn begin(&self, what: String) -> io::Result<(MutexGuard<'_, State>, Option<Fault>)> {
        let mut state = self.lock();
        let fault = state.faults.get(&state.operations).copied();
        state.operations += 1;
        if fault == Some(Fault::PowerLoss) {
            state.powered_off = true;
        }
        if state.powered_off {
            return Err(io::Error::other("the simulated power is off"));
        }
        if let Some(trace) = state.trace.as_mut() {
            trace.push(what);
        }
        Ok((state, fault))
    }

    fn change_file(&self, what: String, name: &str, change: Change) -> io::Result<()> {
        let (mut state, fault) = self.begin(what)?;
        let file = state.file_of(name)?;
        let done = match fault {
            None | Some(Fault::FailedAlthoughDone) => Some(change),
            Some(Fault::Failed | Fault::PowerLoss) => None,
            Some(Fault::ShortWrite(kept)) => change.shortened(kept),
            Some(Fault::DiskFull) => {
                let half = match &change {
                    Change::Write { bytes, .. } => bytes.len() / 2,
                    Change::Truncate(_) => 0,
                };
                change.shortened(half)
            }
        };
        if let Some(change) = done {
            state.check_space(file, &change)?;
            let content = state.content(file)?;
            apply(&mut content.current, &change);
            content.pending.push(change);
        }
        outcome(fault)
    }

    fn change_names(&self, what: String, change: DirChange) -> io::Result<()> {
        let (mut state, fault) = self.begin(what)?;
        match &change {
            DirChange::Link { .. } => {}
            DirChange::Rename { from: name, .. } | DirChange::Remove(name) => {
                state.file_of(name)?;
            }
        }
        if matches!(fault, None | Some(Fault::FailedAlthoughDone)) {
            apply_name(&mut state.names, change.clone());
            state.pending_names.push(change);
        }
        outcome(fault)
    }
}

impl State {
    fn file_of(&self, name: &str) -> io::Result<u64> {
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no file `{name}`")))
    }

    fn content(&mut self, file: u64) -> io::Result<&mut Content> {
        self.files
            .get_mut(&file)
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn used_bytes(&self) -> u64 {
        self.files.values().map(|c| c.current.len() as u64).sum()
    }

    fn check_space(&mut self, file: u64, change: &Change) -> io::Result<()> {
        let Some(capacity) = self.capacity_bytes else {
            return Ok(());
        };
        let used = self.used_bytes();
        let len = self.content(file)?.current.len() as u64;
        let new_len = match change {
            Change::Write { offset, bytes } => len.max(offset + bytes.len() as u64),
            Change::Truncate(new_len) => *new_len,
        };
        if new_len > len && used + (new_len - len) > capacity {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }
}

impl Change {
    fn shortened(self, kept: usize) -> Option<Self> {
        match self {
            Self::Write { offset, mut bytes } => {
                bytes.truncate(kept);
                (!bytes.is_empty()).then_some(Self::Write { offset, bytes })
            }
            Self::Truncate(_) => None,
        }
    }
}

fn outcome(fault: Option<Fault>) -> io::Result<()> {
    match fault {
        None => Ok(()),
        Some(Fault::DiskFull) => Err(io::Error::from(io::ErrorKind::StorageFull)),
        Some(
            Fault::Failed | Fault::FailedAlthoughDone | Fault::ShortWrite(_) | Fault::PowerLoss,
        ) => Err(io::Error::other("a fault of the simulated disk")),
    }
}

fn apply(target: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes } => {
            let Ok(start) = usize::try_from(*offset) else {
                return;
            };
            let end = start.saturating_add(bytes.len());
            if target.len() < end {
                target.resize(end, 0);
            }
            if let Some(slot) = target.get_mut(start..end) {
                slot.copy_from_slice(bytes);
            }
        }
        Change::Truncate(len) => target.resize(usize::try_from(*len).unwrap_or(usize::MAX), 0),
    }
}

/// Applies a random half of the sectors of a write, or a change of length in one case of two.
fn tear(target: &mut Vec<u8>, change: &Change, chance: &mut Chance) {
    match change {
        Change::Truncate(_) => {
            if chance.below(2) == 0 {
                apply(target, change);
            }
        }
        Change::Write { offset, bytes } => {
            let mut at = *offset;
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let room = SECTOR_SIZE_BYTES - at % SECTOR_SIZE_BYTES;
                let cut = usize::try_from(room).map_or(rest.len(), |room| room.min(rest.len()));
                let (sector, after) = rest.split_at_checked(cut).unwrap_or((rest, &[]));
                if chance.below(2) == 0 {
                    let bytes = sector.to_vec();
                    apply(target, &Change::Write { offset: at, bytes });
                }
                at += sector.len() as u64;
                rest = after;
            }
        }
    }
}

fn apply_name(names: &mut BTreeMap<String, u64>, change: DirChange) {
    match change {
        DirChange::Link { name, file } => {
            names.insert(name, file);
        }
        DirChange::Rename { from, to } => {
            if let Some(file) = names.remove(&from) {
                names.insert(to, file);
            }
        }
        DirChange::Remove(name) => {
            names.remove(&name);
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): enough chance for a simulated disk.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).checked_rem(bound).unwrap_or(0)
    }
}

impl Disk for MemDisk {
    fn list(&mut self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn len(&mut self, name: &str) -> io::Result<u64> {
        let mut state = self.lock();
        let file = state.file_of(name)?;
        Ok(state.content(file)?.current.len() as u64)
    }

    fn read_at(&mut self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.lock();
        let file = state.file_of(name)?;
        let current = &state.content(file)?.current;
        let start = usize::try_from(offset).map_or(current.len(), |at| at.min(current.len()));
        let rest = current.get(start..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(read)
    }

    fn create(&mut self, name: &str, size_bytes: u64) -> io::Result<()> {
        let (mut state, fault) = self.begin(format!("create {name} {size_bytes}"))?;
        if matches!(fault, None | Some(Fault::FailedAlthoughDone)) {
            let file = state.next_file;
            state.next_file += 1;
            let change = DirChange::Link {
                name: name.into(),
                file,
            };
            apply_name(&mut state.names, change.clone());
            state.pending_names.push(change);
            state.files.insert(file, Content::default());
            let zeros = Change::Write {
                offset: 0,
                bytes: vec![0; usize::try_from(size_bytes).unwrap_or(0)],
            };
            state.check_space(file, &zeros)?;
            let content = state.content(file)?;
            apply(&mut content.current, &zeros);
            content.pending.push(zeros);
        }
        outcome(fault)
    }

    fn allocate(&mut self, name: &str, len_bytes: u64) -> io::Result<()> {
        let offset = self.len(name)?;
        let grown = usize::try_from(len_bytes.saturating_sub(offset)).unwrap_or(0);
        let bytes = vec![0; grown];
        let what = format!("allocate {name} {len_bytes}");
        self.change_file(what, name, Change::Write { offset, bytes })
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let what = format!("write {name} {offset}+{}", bytes.len());
        let bytes = bytes.to_vec();
        self.change_file(what, name, Change::Write { offset, bytes })
    }

    fn datasync(&mut self, name: &str) -> io::Result<()> {
        let (mut state, fault) = self.begin(format!("datasync {name}"))?;
        let file = state.file_of(name)?;
        let content = state.content(file)?;
        let pending = std::mem::take(&mut content.pending);
        if matches!(fault, None | Some(Fault::FailedAlthoughDone)) {
            for change in &pending {
                apply(&mut content.durable, change);
            }
        }
        outcome(fault)
    }

    fn truncate(&mut self, name: &str, len_bytes: u64) -> io::Result<()> {
        let what = format!("truncate {name} {len_bytes}");
        self.change_file(what, name, Change::Truncate(len_bytes))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let change = DirChange::Rename {
            from: from.into(),
            to: to.into(),
        };
        self.change_names(format!("rename {from} {to}"), change)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.change_names(format!("remove {name}"), DirChange::Remove(name.into()))
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        let (mut state, fault) = self.begin("sync_dir".into())?;
        if matches!(fault, None | Some(Fault::FailedAlthoughDone)) {
            state.pending_names.clear();
            state.durable_names = state.names.clone();
        }
        outcome(fault)
    }

    fn share(&self) -> Box<dyn Disk> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(disk: &mut MemDisk, name: &str) -> Vec<u8> {
        super::super::read_up_to(disk, name, 0, 1 << 16).unwrap()
    }

    #[test]
    fn what_was_not_synced_is_lost() {
        let mut disk = MemDisk::new();
        disk.create("a", 4).unwrap();
        disk.write_at("a", 0, b"one").unwrap();
        disk.datasync("a").unwrap();
        disk.sync_dir().unwrap();
        disk.write_at("a", 0, b"two").unwrap();
        disk.create("b", 0).unwrap();
        disk.crash(Crash::KeepAll);
        assert_eq!(all(&mut disk, "a"), b"two\0");
        disk.crash(Crash::LoseUnsynced);
        assert_eq!(all(&mut disk, "a"), b"one\0");
        assert_eq!(disk.list().unwrap(), ["a"]);
    }

    #[test]
    fn a_failed_sync_is_not_mended_by_a_second_one() {
        let mut disk = MemDisk::new();
        disk.create("a", 4).unwrap();
        disk.datasync("a").unwrap();
        disk.sync_dir().unwrap();
        disk.write_at("a", 0, b"lost").unwrap();
        disk.inject(0, Fault::Failed);
        assert!(disk.datasync("a").is_err());
        disk.datasync("a").unwrap();
        assert_eq!(all(&mut disk, "a"), b"lost");
        disk.crash(Crash::LoseUnsynced);
        assert_eq!(all(&mut disk, "a"), [0; 4]);
    }

    #[test]
    fn a_torn_write_keeps_whole_sectors() {
        let mut disk = MemDisk::new();
        disk.create("a", 4096).unwrap();
        disk.datasync("a").unwrap();
        disk.sync_dir().unwrap();
        disk.write_at("a", 0, &[7; 4096]).unwrap();
        disk.crash(Crash::Torn(3));
        let bytes = all(&mut disk, "a");
        let sectors: Vec<u8> = bytes
            .chunks(512)
            .map(|sector| {
                assert!(sector.iter().all(|b| *b == sector[0]));
                sector[0]
            })
            .collect();
        assert!(sectors.contains(&7) && sectors.contains(&0), "{sectors:?}");
    }

    #[test]
    fn faults_hit_the_operation_they_name() {
        let mut disk = MemDisk::new();
        disk.create("a", 0).unwrap();
        disk.inject(1, Fault::ShortWrite(2));
        disk.write_at("a", 0, b"abc").unwrap();
        assert!(disk.write_at("a", 3, b"def").is_err());
        assert_eq!(all(&mut disk, "a"), b"abcde");
        disk.set_capacity_bytes(Some(6));
        let full = disk.write_at("a", 5, b"gh").unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        disk.inject(0, Fault::PowerLoss);
        assert!(disk.sync_dir().is_err());
        assert!(disk.sync_dir().is_err());
        disk.crash(Crash::LoseUnsynced);
        assert!(disk.list().unwrap().is_empty());
    }
}
