//! The journal on a disk that works, and on one whose bytes have rotted.

use expect_test::expect;
use interlock_core::time::Timestamp;
use proptest::prelude::*;

use crate::disk::{Crash, Disk, MemDisk};

use super::frame::{FORMAT_VERSION, SEGMENT_HEADER_SIZE_BYTES, encode_record};
use super::scan::segment_name;
use super::*;

pub(super) const SMALL: Options = Options {
    segment_size_bytes: 4096,
    preallocate_size_bytes: 1024,
    large_group_size_bytes: 3_000,
    epoch: 1,
    known_to: Position::ZERO,
    known_chain: None,
};

pub(super) fn body(position: u64) -> Vec<u8> {
    // Of differing lengths, some longer than a sector, none with a sector of zeros.
    let len = 1 + usize::try_from(position * 37 % 700).unwrap();
    vec![u8::try_from(position % 250).unwrap() + 1; len]
}

pub(super) fn append(journal: &mut Journal, records: u64) -> Result<Position, JournalError> {
    let first = journal.last().next().get();
    let bodies: Vec<Vec<u8>> = (first..first + records).map(body).collect();
    let group: Vec<NewRecord<'_>> = bodies
        .iter()
        .map(|body| NewRecord {
            kind: 7,
            partition: 0,
            time: Timestamp::from_millis(1_000),
            body,
        })
        .collect();
    journal.append_group(&group)
}

/// Opens the journal and checks every record's position and body; returns it with the count.
pub(super) fn open(disk: &MemDisk, options: Options) -> Result<(Journal, Recovered), JournalError> {
    let mut expected = options.known_to;
    Journal::open(Box::new(disk.clone()), options, &mut |header, bytes| {
        expected = expected.next();
        assert_eq!(header.position, expected);
        assert_eq!(bytes, body(expected.get()), "record {expected}");
    })
}

/// A journal of three segments, closed.
pub(super) fn filled() -> (MemDisk, Position) {
    let disk = MemDisk::new();
    let (mut journal, _) = open(&disk, SMALL).unwrap();
    for records in [1, 3, 2, 5, 1, 1, 4, 3, 2, 1, 2, 3] {
        append(&mut journal, records).unwrap();
    }
    assert_eq!(journal.segments.len(), 3);
    (disk, journal.last())
}

#[test]
fn the_order_of_system_calls_is_the_promised_one() {
    let disk = MemDisk::new();
    disk.take_trace();
    let (mut journal, _) = open(&disk, SMALL).unwrap();
    append(&mut journal, 2).unwrap();
    append(&mut journal, 8).unwrap();
    append(&mut journal, 6).unwrap();
    drop(journal);
    disk.clone()
        .create("segment-0000000009.log.new", 0)
        .unwrap();
    open(&disk, SMALL).unwrap();
    expect![[r#"
        create segment-0000000001.log.new 1024
        write segment-0000000001.log.new 0+64
        datasync segment-0000000001.log.new
        rename segment-0000000001.log.new segment-0000000001.log
        sync_dir
        write segment-0000000001.log 64+269
        datasync segment-0000000001.log
        allocate segment-0000000001.log 3072
        write segment-0000000001.log 333+2304
        datasync segment-0000000001.log
        truncate segment-0000000001.log 2637
        datasync segment-0000000001.log
        create segment-0000000002.log.new 1024
        write segment-0000000002.log.new 0+64
        datasync segment-0000000002.log.new
        rename segment-0000000002.log.new segment-0000000002.log
        sync_dir
        allocate segment-0000000002.log 4096
        write segment-0000000002.log 64+3303
        datasync segment-0000000002.log
        create segment-0000000009.log.new 0
        remove segment-0000000009.log.new
        write segment-0000000002.log 64+3303
        datasync segment-0000000002.log
        sync_dir"#]]
    .assert_eq(&disk.take_trace().join("\n"));
}

#[test]
fn what_was_appended_is_found_again() {
    let (disk, last) = filled();
    let (journal, recovered) = open(&disk, SMALL).unwrap();
    assert_eq!(recovered.last, last);
    assert_eq!(recovered.records, last.get());
    assert!(!recovered.torn_tail_cut);
    assert_eq!(journal.time_max(), Some(Timestamp::from_millis(1_000)));
    let report = verify(&mut disk.clone()).unwrap();
    assert_eq!(report.damage, []);
    assert_eq!((report.records, report.last), (last.get(), last));
    assert_eq!((report.segments, report.groups), (3, 12));
    assert_eq!(&report.chain, journal.chain());
}

#[test]
fn a_snapshot_saves_reading() {
    let (disk, last) = filled();
    for known in 0..=last.get() {
        let options = Options {
            known_to: Position::new(known),
            ..SMALL
        };
        let (mut journal, recovered) = open(&disk, options).unwrap();
        assert_eq!(recovered.records, last.get() - known);
        let all = journal.read(Position::new(1), 1_000).unwrap();
        assert_eq!(all.len() as u64, last.get());
    }
    // The hash at the end of a group tells this journal from another.
    let (disk_of_chains, mut chains) = (MemDisk::new(), vec![(0, [0; 32])]);
    let (mut journal, _) = open(&disk_of_chains, SMALL).unwrap();
    for records in [1, 3, 2, 5, 1, 1, 4, 3, 2, 1, 2, 3] {
        append(&mut journal, records).unwrap();
        chains.push((journal.last().get(), *journal.chain()));
    }
    for known in 0..=last.get() {
        for (at, chain) in &chains {
            let options = Options {
                known_to: Position::new(known),
                known_chain: Some(*chain),
                ..SMALL
            };
            match open(&disk, options) {
                Ok((_, recovered)) => {
                    assert_eq!((known, recovered.records), (*at, last.get() - known));
                }
                Err(JournalError::OtherChain { asked }) => {
                    assert_eq!(asked.get(), known);
                    assert_ne!(known, *at);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    // Damage before the snapshot's segment is not looked for at the start.
    assert!(disk.flip(&segment_name(1), 200, 1));
    let options = Options {
        known_to: last,
        ..SMALL
    };
    open(&disk, options).unwrap();
    let beyond = Options {
        known_to: last.next(),
        ..SMALL
    };
    assert!(matches!(
        open(&disk, beyond),
        Err(JournalError::NoSuchPosition { .. })
    ));
}

#[test]
fn records_are_read_from_any_position() {
    let (disk, last) = filled();
    let (mut journal, _) = open(&disk, SMALL).unwrap();
    for from in 1..=last.get() + 1 {
        for limit in [0, 1, 2, 7, 100] {
            let records = journal.read(Position::new(from), limit).unwrap();
            let wanted = (last.get() + 1 - from).min(limit as u64);
            assert_eq!(records.len() as u64, wanted);
            for (record, position) in records.iter().zip(from..) {
                assert_eq!(record.header.position.get(), position);
                assert_eq!(record.header.kind, 7);
                assert_eq!(record.body, body(position));
            }
        }
    }
    for outside in [Position::ZERO, last.next().next()] {
        assert!(matches!(
            journal.read(outside, 1),
            Err(JournalError::NoSuchPosition { .. })
        ));
    }
    assert!(disk.flip(&segment_name(2), 300, 4));
    let damaged = journal.read(Position::new(1), 1_000).unwrap_err();
    assert!(
        matches!(damaged, JournalError::Damaged(d) if d.segment == 2),
        "{damaged}"
    );
    assert!(!journal.is_poisoned());
}

#[test]
fn any_flipped_byte_is_named_and_nothing_is_lost_silently() {
    let (disk, last) = filled();
    let mut named = 0;
    for segment in 1..=3 {
        let name = segment_name(segment);
        let mut offset = 0;
        // A cut makes the last segment shorter.
        while offset < disk.clone().len(&name).unwrap() {
            let mask = if offset % 2 == 0 {
                0xff
            } else {
                1 << (offset % 8)
            };
            assert!(disk.flip(&name, offset, mask));
            let report = verify(&mut disk.clone()).unwrap();
            match open(&disk, SMALL) {
                Err(JournalError::Damaged(damage)) => {
                    named += 1;
                    assert_eq!(damage.segment, segment);
                    assert!(damage.offset <= offset, "{damage}");
                    // A start looks at all headers before it reads any record.
                    let reported = report.damage[0];
                    assert!(damage.position <= reported.position);
                    assert_eq!(reported.segment, damage.segment);
                    assert_eq!(reported.offset, damage.offset);
                    assert_eq!(reported.kind, damage.kind);
                    assert!(disk.flip(&name, offset, mask));
                }
                Err(other) => panic!("{other}"),
                // In what is preallocated: cut, with every record still there.
                Ok((_, recovered)) => {
                    assert_eq!((segment, recovered.last), (3, last), "byte {offset}");
                    let torn = report.torn_tail.unwrap();
                    assert_eq!((torn.segment, torn.last), (3, last));
                    assert!(torn.offset <= offset && report.damage.is_empty());
                }
            }
            offset += 1;
        }
    }
    assert!(named > 8_000, "{named}");
}

#[test]
fn a_missing_cut_or_swapped_segment_is_named() {
    type Spoil = fn(&mut MemDisk);
    let spoil: [(&str, Spoil); 4] = [
        ("missing", |disk| disk.remove(&segment_name(2)).unwrap()),
        ("cut at a group", |disk| {
            let mut reader = scan::GroupReader::new(2, SEGMENT_HEADER_SIZE_BYTES as u64);
            reader.next(disk, None, None).unwrap();
            disk.truncate(&segment_name(2), reader.next_offset())
                .unwrap();
        }),
        ("swapped", |disk| {
            disk.rename(&segment_name(2), "x").unwrap();
            disk.rename(&segment_name(3), &segment_name(2)).unwrap();
            disk.rename("x", &segment_name(3)).unwrap();
        }),
        ("from another journal", |disk| {
            let (mut other, _) = open(&MemDisk::new(), SMALL).unwrap();
            for _ in 0..20 {
                append(&mut other, 1).unwrap();
            }
            let len = usize::try_from(other.disk.len(&segment_name(2)).unwrap()).unwrap();
            let bytes =
                crate::disk::read_up_to(other.disk.as_mut(), &segment_name(2), 0, len).unwrap();
            disk.create(&segment_name(2), 0).unwrap();
            disk.write_at(&segment_name(2), 0, &bytes).unwrap();
        }),
    ];
    for (what, spoil) in spoil {
        let (mut disk, _) = filled();
        spoil(&mut disk);
        let error = open(&disk, SMALL).unwrap_err();
        assert!(matches!(error, JournalError::Damaged(_)), "{what}: {error}");
        assert!(!verify(&mut disk).unwrap().damage.is_empty(), "{what}");
    }
}

#[test]
fn a_check_hands_out_every_record_and_says_how_far_it_is() {
    let (disk, last) = filled();
    let mut expected = Position::ZERO;
    let mut furthest = 0;
    let mut total = 0;
    let mut each = |met: Met<'_>| match met {
        Met::Record(header, bytes) => {
            expected = expected.next();
            assert_eq!(
                (header.position, bytes),
                (expected, &body(expected.get())[..])
            );
        }
        Met::Progress {
            read_bytes,
            total_bytes,
        } => {
            assert!(furthest <= read_bytes && read_bytes <= total_bytes);
            furthest = read_bytes;
            total = total_bytes;
        }
    };
    visit(&mut disk.clone(), &mut each).unwrap();
    assert_eq!(expected, last);
    assert!(furthest > 0 && furthest == total);
}

/// A disk on which a group becomes whole between two looks at it.
struct Growing {
    disk: MemDisk,
    hidden_from: u64,
    looked: bool,
}

impl Disk for Growing {
    fn share(&self) -> Box<dyn Disk> {
        self.disk.share()
    }

    fn list(&mut self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn len(&mut self, name: &str) -> io::Result<u64> {
        self.disk.len(name)
    }
    fn read_at(&mut self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.disk.read_at(name, offset, buffer)?;
        let buffer_len = buffer.len();
        let hidden = (offset..).zip(buffer.iter_mut().take(read));
        if buffer_len > SEGMENT_HEADER_SIZE_BYTES && !self.looked {
            self.looked = true;
            hidden
                .filter(|(at, _)| *at >= self.hidden_from)
                .for_each(|(_, byte)| *byte = 0);
        }
        Ok(read)
    }
    fn create(&mut self, name: &str, size_bytes: u64) -> io::Result<()> {
        self.disk.create(name, size_bytes)
    }
    fn allocate(&mut self, name: &str, len_bytes: u64) -> io::Result<()> {
        self.disk.allocate(name, len_bytes)
    }
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.write_at(name, offset, bytes)
    }
    fn datasync(&mut self, name: &str) -> io::Result<()> {
        self.disk.datasync(name)
    }
    fn truncate(&mut self, name: &str, len_bytes: u64) -> io::Result<()> {
        self.disk.truncate(name, len_bytes)
    }
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn sync_dir(&mut self) -> io::Result<()> {
        self.disk.sync_dir()
    }
}

#[test]
fn a_group_that_a_node_is_writing_is_no_damage() {
    let disk = MemDisk::new();
    let (mut journal, _) = open(&disk, SMALL).unwrap();
    append(&mut journal, 2).unwrap();
    let whole = journal.end_bytes;
    append(&mut journal, 2).unwrap();
    for hidden_from in whole..journal.end_bytes {
        let growing = || Growing {
            disk: disk.clone(),
            hidden_from,
            looked: false,
        };
        // Judged by what is there after the first look it would be damage.
        let mut disk = growing();
        let mut reader = scan::GroupReader::new(1, SEGMENT_HEADER_SIZE_BYTES as u64);
        let first = reader.next(&mut disk, None, None).unwrap();
        let second = reader.next(&mut disk, None, None).unwrap();
        assert!(matches!(first, scan::Next::Group(_)));
        assert!(matches!(second, scan::Next::None(_)));
        let tail = scan::judge_tail(&mut disk, 1, reader.next_offset()).unwrap();
        assert_eq!(tail, scan::Tail::Damaged);
        let report = verify(&mut growing()).unwrap();
        assert_eq!((report.damage, report.records), (Vec::new(), 4));
    }
}

#[test]
fn a_record_of_a_later_version_is_not_cut() {
    let (mut disk, last) = filled();
    let (journal, _) = open(&disk, SMALL).unwrap();
    let mut later = Vec::new();
    let header = RecordHeader {
        version: FORMAT_VERSION + 1,
        epoch: 1,
        kind: 1,
        partition: 0,
        position: last.next(),
        time: Timestamp::default(),
    };
    encode_record(&mut later, &header, b"from the future");
    disk.write_at(&segment_name(3), journal.end_bytes, &later)
        .unwrap();
    let error = open(&disk, SMALL).unwrap_err().to_string();
    assert!(error.contains("format version 2 is not known"), "{error}");
}

#[test]
fn limits_and_epochs_are_kept() {
    let disk = MemDisk::new();
    let (mut journal, _) = open(&disk, SMALL).unwrap();
    let large = vec![1; RECORD_SIZE_BYTES_MAX + 1];
    let record = |body| NewRecord {
        kind: 1,
        partition: 0,
        time: Timestamp::default(),
        body,
    };
    let empty = journal.append_group(&[]);
    assert!(matches!(empty, Err(JournalError::GroupEmpty)));
    let too_large = journal.append_group(&[record(&large)]);
    assert!(matches!(
        too_large,
        Err(JournalError::RecordTooLarge { .. })
    ));
    let too_many = journal.append_group(&vec![record(&[]); GROUP_RECORDS_MAX + 1]);
    assert!(matches!(too_many, Err(JournalError::GroupTooLarge { .. })));
    let in_all = journal.append_group(&vec![record(&large[1..]); 16]);
    assert!(matches!(in_all, Err(JournalError::GroupTooLarge { .. })));
    assert_eq!(journal.last(), Position::ZERO);
    // Larger than a segment: it gets one of its own.
    journal.append_group(&[record(&large[1..])]).unwrap();
    let last = journal
        .append_group(&vec![record(&[]); GROUP_RECORDS_MAX])
        .unwrap();
    assert_eq!(last.get(), GROUP_RECORDS_MAX as u64 + 1);
    drop(journal);

    let mut sizes = Vec::new();
    let mut each = |_: &RecordHeader, body: &[u8]| sizes.push(body.len());
    let second = Options { epoch: 2, ..SMALL };
    let (mut journal, _) = Journal::open(Box::new(disk.clone()), second, &mut each).unwrap();
    journal.append_group(&[record(b"x")]).unwrap();
    assert_eq!(sizes.len(), GROUP_RECORDS_MAX + 1);
    assert_eq!(sizes[0], RECORD_SIZE_BYTES_MAX);
    let old = Journal::open(Box::new(disk), SMALL, &mut |_, _| {}).unwrap_err();
    assert!(matches!(old, JournalError::EpochOver { ours: 1, found: 2 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_groups_in_any_segments_are_found_again(
        groups in proptest::collection::vec(1u64..20, 1..20),
        segment_size_bytes in 100u64..20_000,
        preallocate_size_bytes in 0u64..9_000,
    ) {
        let disk = MemDisk::new();
        let options = Options { segment_size_bytes, preallocate_size_bytes, ..SMALL };
        let (mut journal, _) = open(&disk, options).unwrap();
        for group in &groups {
            append(&mut journal, *group).unwrap();
        }
        let chain = *journal.chain();
        disk.crash(Crash::LoseUnsynced);
        let (journal, recovered) = open(&disk, options).unwrap();
        prop_assert_eq!(recovered.last.get(), groups.iter().sum::<u64>());
        prop_assert_eq!(journal.chain(), &chain);
    }
}
