//! Runs against a map in memory, and against disks that fail.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::disk::{Crash, Fault, MemDisk};

type Model = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

fn flush(disk: &MemDisk, number: u64, rows: &Model) -> Result<NewRun, RowsError> {
    let mut flush = Flush::begin(Box::new(disk.clone()), number, rows.len() as u64)?;
    for (key, value) in rows {
        flush.push(key, value.as_deref())?;
    }
    flush.finish()
}

fn merge_all(rows: &Rows, disk: &MemDisk, next: &mut u64, step: usize) -> Result<Rows, RowsError> {
    let mut rows = rows.clone();
    while let Some(due) = rows.merge_due() {
        let mut merge = rows.merge(due.clone(), Box::new(disk.clone()), *next)?;
        *next += 1;
        while !merge.step(step)? {}
        rows = rows.merged(due, merge.finish()?);
    }
    Ok(rows)
}

fn all(rows: &Rows, from: &[u8]) -> Result<Vec<FoundRow>, RowsError> {
    let mut scan = rows.scan(from)?;
    let mut out = Vec::new();
    while let Some(row) = scan.next_row()? {
        out.push(row);
    }
    Ok(out)
}

fn key(n: u32) -> Vec<u8> {
    format!("key-{n:06}").into_bytes()
}

fn model(rows: std::ops::Range<u32>, value: usize) -> Model {
    rows.map(|n| (key(n), Some(vec![n as u8; value]))).collect()
}

#[test]
fn rows_of_many_blocks_are_found_and_others_are_not() {
    let disk = MemDisk::new();
    let rows = model(0..5_000, 40);
    let run = flush(&disk, 1, &rows).unwrap();
    let table = Rows::empty(Box::new(disk.clone())).with(run);
    let table = Rows::open(Box::new(disk), &table.names()).unwrap();
    for (key, value) in &rows {
        assert_eq!(&table.get(key).unwrap(), value);
    }
    for missing in ["", "key-", "key-0000001", "key-009999", "zzz"] {
        assert_eq!(table.get(missing.as_bytes()).unwrap(), None);
    }
    let from = all(&table, b"key-004990x").unwrap();
    assert_eq!(from.len(), 9);
    assert_eq!(all(&table, b"").unwrap().len(), 5_000);
    assert!(all(&table, b"zzz").unwrap().is_empty());
}

#[test]
fn large_rows_and_empty_ones_are_kept() {
    let disk = MemDisk::new();
    let rows = Model::from([
        (b"".to_vec(), Some(Vec::new())),
        (b"a".to_vec(), Some(vec![7; 300_000])),
        (b"b".to_vec(), None),
        (vec![9; KEY_SIZE_BYTES_MAX], Some(b"c".to_vec())),
    ]);
    let table = Rows::empty(Box::new(disk.clone())).with(flush(&disk, 1, &rows).unwrap());
    for (key, value) in &rows {
        assert_eq!(&table.get(key).unwrap(), value);
    }
    assert_eq!(all(&table, b"").unwrap().len(), 3);
}

#[test]
fn rows_out_of_order_or_too_large_are_refused() {
    let disk = MemDisk::new();
    let mut flush = Flush::begin(Box::new(disk), 1, 9).unwrap();
    flush.push(b"b", None).unwrap();
    for (key, what) in [
        (b"b".to_vec(), "above"),
        (b"a".to_vec(), "above"),
        (vec![b'c'; KEY_SIZE_BYTES_MAX + 1], "too long"),
    ] {
        let error = flush.push(&key, None).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn merging_keeps_the_newest_and_forgets_what_was_removed() {
    let disk = MemDisk::new();
    let mut table = Rows::empty(Box::new(disk.clone()));
    let mut expected = Model::new();
    let mut next = 1;
    for round in 0..(FAN_IN * FAN_IN) as u32 {
        // Some rows of before change or go, and a stretch of new ones comes that nothing overlaps.
        let mut rows = model(round * 1_000..round * 1_000 + 1_000, 20);
        for n in (round..round * 1_000).step_by(97) {
            let gone = n % 2 == 0;
            rows.insert(key(n), (!gone).then(|| format!("{round}").into_bytes()));
        }
        table = table.with(flush(&disk, next, &rows).unwrap());
        next += 1;
        expected.append(&mut rows);
        table = merge_all(&table, &disk, &mut next, 100).unwrap();
        assert!(table.names().len() < 2 * FAN_IN);
    }
    assert_eq!(table.names().len(), 1);
    let live: Vec<_> = expected
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.clone()?)))
        .collect();
    assert_eq!(all(&table, b"").unwrap(), live);
    let removed = expected.iter().filter(|(_, value)| value.is_none());
    for (key, _) in removed {
        assert_eq!(table.get(key).unwrap(), None);
    }
    let run = table.runs.first().unwrap();
    assert_eq!(run.rows, live.len() as u64, "removed rows are not kept");
    let mut bare = disk;
    clean(&mut bare, &table).unwrap();
    let files: Vec<String> = table.files().into_iter().map(run::file_name).collect();
    assert_eq!(bare.list().unwrap(), files);
}

/// Runs of rows that follow one another, with some that lie all over: what parcels by number and by a random
/// id are.
fn ascending(disk: &MemDisk, runs: u32, next: &mut u64) -> (Rows, Model) {
    let mut table = Rows::empty(Box::new(disk.clone()));
    let mut expected = Model::new();
    for run in 0..runs {
        let mut rows = model(run * 1_000..run * 1_000 + 1_000, 600);
        for n in 0..100 {
            let id = format!("x{:08x}", (run * 100 + n).wrapping_mul(0x9e37_79b9));
            rows.insert(id.into_bytes(), Some(vec![run as u8; 20]));
        }
        table = table.with(flush(disk, *next, &rows).unwrap());
        *next += 1;
        expected.append(&mut rows);
    }
    (table, expected)
}

#[test]
fn what_nothing_interferes_with_is_not_written_again() {
    let disk = MemDisk::new();
    let mut next = 1;
    let (table, expected) = ascending(&disk, 6, &mut next);
    let before = table.size_bytes();
    let merged = merge_all(&table, &disk, &mut next, 10).unwrap();
    assert_eq!(merged.names().len(), 1);
    let own = disk.clone().len(&merged.names()[0].file()).unwrap();
    assert!(own * 5 < before, "{own} of {before}");
    assert_eq!(merged.files().len(), 7);
    assert_eq!(merged.size_bytes(), before + own);
    // The old files stay, and the rows are those of before, after a new start too.
    let mut bare = disk.clone();
    clean(&mut bare, &merged).unwrap();
    assert_eq!(bare.list().unwrap().len(), 7);
    let merged = Rows::open(Box::new(disk.clone()), &merged.names()).unwrap();
    let live = |(key, value): (&Vec<u8>, &Option<Vec<u8>>)| Some((key.clone(), value.clone()?));
    let live: Vec<_> = expected.iter().filter_map(live).collect();
    assert_eq!(all(&merged, b"").unwrap(), live);
    for (key, value) in expected.iter().step_by(37) {
        assert_eq!(&merged.get(key).unwrap(), value);
    }
    // A file without which rows would be missing is missed, damage in it is named by its name.
    let first = run::file_name(1);
    assert!(disk.flip(&first, 40, 1));
    let error = all(&merged, b"").unwrap_err().to_string();
    assert!(error.contains(&first), "{error}");
    bare.truncate(&first, 100).unwrap();
    assert!(Rows::open(Box::new(disk.clone()), &merged.names()).is_err());
    bare.remove(&first).unwrap();
    assert!(Rows::open(Box::new(disk), &merged.names()).is_err());
}

#[test]
fn a_file_is_let_go_once_little_of_it_is_in_use() {
    let disk = MemDisk::new();
    let mut next = 1;
    let (table, mut expected) = ascending(&disk, 6, &mut next);
    let mut table = merge_all(&table, &disk, &mut next, 10).unwrap();
    assert!(table.files().contains(&1));
    // More than half of what lies in the first file comes anew, again and again.
    for round in 0..(FAN_IN * FAN_IN) as u32 {
        let mut rows = model(0..600, 600);
        rows.insert(key(900_000 + round), Some(vec![1]));
        table = table.with(flush(&disk, next, &rows).unwrap());
        next += 1;
        expected.append(&mut rows);
        table = merge_all(&table, &disk, &mut next, 10).unwrap();
        let mut bare = disk.clone();
        clean(&mut bare, &table).unwrap();
    }
    // The next merge of what still points to it copies that; a file in full use stays.
    let lasting = merge::lasting(&table.runs);
    assert!(
        table.files().contains(&1) && !lasting.contains(&1),
        "{lasting:?}"
    );
    assert!(lasting.contains(&table.names()[0].number), "{lasting:?}");
    let whole = table.size_bytes();
    let rows: usize = expected
        .iter()
        .map(|(k, v)| k.len() + v.as_ref().map_or(0, Vec::len))
        .sum();
    assert!(whole < 2 * rows as u64, "{whole} bytes for {rows}");
    let live = expected
        .iter()
        .map(|(key, value)| (key.clone(), value.clone().unwrap()));
    assert!(all(&table, b"").unwrap().into_iter().eq(live));
}

#[test]
fn every_flipped_byte_is_named_or_does_not_matter() {
    let disk = MemDisk::new();
    let rows = model(0..400, 60);
    let table = Rows::empty(Box::new(disk.clone())).with(flush(&disk, 1, &rows).unwrap());
    let names = table.names();
    let file = names[0].file();
    let size = disk.clone().len(&file).unwrap();
    let mut named = 0;
    for offset in (0..size).step_by(11).chain(size - 60..size) {
        assert!(disk.flip(&file, offset, 0x10));
        let read = Rows::open(Box::new(disk.clone()), &names).and_then(|table| all(&table, b""));
        let error = read
            .err()
            .unwrap_or_else(|| panic!("byte {offset} does not matter"));
        let RowsError::Damaged { file: told, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(told, &file);
        named += 1;
        disk.flip(&file, offset, 0x10);
    }
    assert!(named > 1_000);
    for cut in [0, 10, 52, size / 2, size - 1] {
        let short = MemDisk::new();
        let mut bare: Box<dyn Disk> = Box::new(short.clone());
        flush(&short, 1, &rows).unwrap();
        bare.truncate(&file, cut).unwrap();
        assert!(Rows::open(Box::new(short), &names).is_err(), "{cut}");
    }
    assert!(Rows::open(Box::new(MemDisk::new()), &names).is_err());
}

#[test]
fn another_run_under_the_name_is_noticed() {
    let disk = MemDisk::new();
    let table = Rows::empty(Box::new(disk.clone()));
    let names = table
        .with(flush(&disk, 1, &model(0..10, 4)).unwrap())
        .names();
    flush(&disk, 1, &model(0..10, 5)).unwrap();
    let error = Rows::open(Box::new(disk), &names)
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("another run"), "{error}");
}

#[test]
fn a_root_is_the_old_one_or_the_new_one_whatever_fails() {
    let faults = [
        Fault::Failed,
        Fault::FailedAlthoughDone,
        Fault::ShortWrite(7),
        Fault::DiskFull,
        Fault::PowerLoss,
    ];
    for fault in faults {
        for at in 0..6 {
            for crash in [Crash::KeepAll, Crash::LoseUnsynced, Crash::Torn(at)] {
                let mut disk = MemDisk::new();
                assert_eq!(root::load(&mut disk).unwrap(), None);
                root::save(&mut disk, b"old").unwrap();
                disk.inject(at, fault);
                let saved = root::save(&mut disk, &[b'n'; 2_000]).is_ok();
                disk.crash(crash);
                let body = root::load(&mut disk).unwrap().unwrap();
                let new = body == [b'n'; 2_000];
                assert!(new || body == b"old", "{fault:?} {at} {crash:?}");
                assert!(new || !saved);
            }
        }
    }
}

#[test]
fn a_damaged_root_is_named_and_can_be_thrown_away() {
    let mut disk = MemDisk::new();
    root::save(&mut disk, b"something to keep").unwrap();
    let size = disk.len(root::ROOT_NAME).unwrap();
    for offset in 0..size {
        disk.flip(root::ROOT_NAME, offset, 1);
        assert!(root::load(&mut disk).is_err(), "{offset}");
        disk.flip(root::ROOT_NAME, offset, 1);
    }
    assert!(root::load(&mut disk).unwrap().is_some());
    root::discard(&mut disk).unwrap();
    root::discard(&mut disk).unwrap();
    disk.crash(Crash::LoseUnsynced);
    assert_eq!(root::load(&mut disk).unwrap(), None);
}

/// What a table is asked to do.
#[derive(Clone, Debug)]
enum Op {
    Put(u16, Vec<u8>),
    /// Many large rows in a row, of which a merge can leave whole blocks where they lie.
    Stretch(u16),
    Remove(u16),
    Flush,
    Merge(usize),
    Reopen,
    Crash(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..300_u16, prop::collection::vec(any::<u8>(), 0..400)).prop_map(|(k, v)| Op::Put(k, v)),
        4 => (0..300_u16).prop_map(Op::Remove),
        2 => (0..60_u16).prop_map(|at| Op::Stretch(1_000 + 10 * at)),
        3 => Just(Op::Flush),
        2 => (1..50_usize).prop_map(Op::Merge),
        1 => Just(Op::Reopen),
        1 => any::<u64>().prop_map(Op::Crash),
    ]
}

/// A table over a disk with its list in a root, as a node keeps it, and a map that does the same.
struct Pair {
    disk: MemDisk,
    rows: Rows,
    memory: Model,
    expected: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the root on the disk leads to.
    saved: BTreeMap<Vec<u8>, Vec<u8>>,
    next: u64,
}

impl Pair {
    fn save(&mut self) {
        let mut disk = self.disk.clone();
        let body = postcard::to_allocvec(&self.rows.names()).unwrap();
        root::save(&mut disk, &body).unwrap();
        clean(&mut disk, &self.rows).unwrap();
        self.saved.clone_from(&self.expected);
    }

    fn reopen(&mut self) {
        let mut disk = self.disk.clone();
        let names: Vec<RunName> = match root::load(&mut disk).unwrap() {
            Some(body) => postcard::from_bytes(&body).unwrap(),
            None => Vec::new(),
        };
        self.rows = Rows::open(Box::new(self.disk.clone()), &names).unwrap();
        self.memory.clear();
        self.expected.clone_from(&self.saved);
    }

    fn carry_out(&mut self, op: Op) {
        match op {
            Op::Put(key, value) => {
                let key = key.to_be_bytes().to_vec();
                self.memory.insert(key.clone(), Some(value.clone()));
                self.expected.insert(key, value);
            }
            Op::Stretch(from) => {
                for key in from..from + 200 {
                    let value = vec![key as u8; 1_100];
                    self.memory
                        .insert(key.to_be_bytes().to_vec(), Some(value.clone()));
                    self.expected.insert(key.to_be_bytes().to_vec(), value);
                }
            }
            Op::Remove(key) => {
                let key = key.to_be_bytes().to_vec();
                self.expected.remove(&key);
                self.memory.insert(key, None);
            }
            Op::Flush => {
                let run = flush(&self.disk, self.next, &self.memory).unwrap();
                self.next += 1;
                self.rows = self.rows.with(run);
                self.memory.clear();
                self.save();
            }
            Op::Merge(step) => {
                self.rows = merge_all(&self.rows, &self.disk, &mut self.next, step).unwrap();
            }
            Op::Reopen => self.reopen(),
            Op::Crash(seed) => {
                // A run that nobody lists is under way.
                let _ = flush(&self.disk, self.next, &self.memory);
                self.next += 1;
                self.disk.crash(Crash::Torn(seed));
                self.reopen();
            }
        }
    }

    fn check(&self) {
        for key in (0..300_u16).chain(1_000..1_800) {
            let key = key.to_be_bytes();
            let found = match self.memory.get(key.as_slice()) {
                Some(value) => value.clone(),
                None => self.rows.get(&key).unwrap(),
            };
            assert_eq!(found.as_ref(), self.expected.get(key.as_slice()));
        }
        let stored = all(&self.rows, b"").unwrap();
        assert!(stored.is_sorted_by(|a, b| a.0 < b.0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_table_is_a_map_whatever_is_done_to_it(ops in prop::collection::vec(op(), 1..200)) {
        let disk = MemDisk::new();
        let mut pair = Pair {
            rows: Rows::empty(Box::new(disk.clone())),
            disk,
            memory: Model::new(),
            expected: BTreeMap::new(),
            saved: BTreeMap::new(),
            next: 1,
        };
        for op in ops {
            pair.carry_out(op);
        }
        pair.check();
    }
}
