//! The fault table: every operation failed in every way, then a crash of every kind.

use crate::disk::{Crash, Fault, MemDisk};

use super::tests::{SMALL, append, open};
use super::{JournalError, Position, verify};

const GROUPS: [u64; 9] = [2, 1, 6, 3, 1, 5, 2, 4, 1];

fn faults() -> Vec<Fault> {
    vec![
        Fault::Failed,
        Fault::FailedAlthoughDone,
        Fault::ShortWrite(40),
        Fault::ShortWrite(700),
        Fault::ShortWrite(1_021),
        Fault::DiskFull,
        Fault::PowerLoss,
    ]
}

fn crashes() -> Vec<Crash> {
    let mut crashes = vec![Crash::KeepAll, Crash::LoseUnsynced];
    crashes.extend((0..3).map(Crash::Torn));
    crashes
}

/// What a caller was told, and what it cannot know.
#[derive(Debug, Default, Clone, Copy)]
struct Told {
    /// Every record up to here was answered.
    durable: u64,
    /// A group that failed may reach to here.
    possible: u64,
}

/// Opens the journal and appends groups until something fails for good.
fn work(disk: &MemDisk, told: &mut Told) -> Result<(), JournalError> {
    let (mut journal, recovered) = open(disk, SMALL)?;
    let found = recovered.last.get();
    assert!(
        found == told.durable || found == told.possible,
        "found {found} after {told:?}"
    );
    told.durable = found;
    told.possible = found;
    for group in GROUPS {
        told.possible = told.durable + group;
        match append(&mut journal, group) {
            Ok(last) => {
                assert_eq!(last.get(), told.possible);
                told.durable = told.possible;
            }
            Err(JournalError::DiskFull) => {
                assert!(!journal.is_poisoned());
                assert_eq!(journal.last(), Position::new(told.durable));
                told.possible = told.durable;
            }
            Err(error) => {
                assert!(journal.is_poisoned(), "{error}");
                let again = append(&mut journal, 1);
                assert!(matches!(again, Err(JournalError::Poisoned)));
                return Err(error);
            }
        }
    }
    Ok(())
}

fn operations_of_a_run() -> u64 {
    let disk = MemDisk::new();
    work(&disk, &mut Told::default()).unwrap();
    work(
        &disk,
        &mut Told {
            durable: 25,
            possible: 25,
        },
    )
    .unwrap();
    disk.operations()
}

#[test]
fn nothing_answered_is_lost_and_nothing_else_reappears_half() {
    let operations = operations_of_a_run();
    assert!(operations > 50, "{operations}");
    let mut failed = 0;
    for at in 0..operations {
        for fault in faults() {
            for crash in crashes() {
                let disk = MemDisk::new();
                let mut told = Told::default();
                disk.inject(at, fault);
                // Two processes, so that the fault may also hit a start with data.
                let first = work(&disk, &mut told).and_then(|()| work(&disk, &mut told));
                failed += u32::from(first.is_err());
                disk.crash(crash);
                work(&disk, &mut told)
                    .unwrap_or_else(|error| panic!("op {at} {fault:?} {crash:?}: {error}"));
                // What the second process built on must itself have been durable.
                disk.crash(Crash::LoseUnsynced);
                work(&disk, &mut told)
                    .unwrap_or_else(|error| panic!("op {at} {fault:?} {crash:?}: {error}"));
                let report = verify(&mut disk.clone()).unwrap();
                assert_eq!(report.damage, []);
                assert_eq!(report.last, Position::new(told.durable));
            }
        }
    }
    assert!(failed > 1_000, "{failed}");
}

#[test]
fn power_lost_twice_in_a_row_is_survived() {
    let operations = operations_of_a_run();
    for at in 0..operations {
        for again in 0..8 {
            let disk = MemDisk::new();
            let mut told = Told::default();
            disk.inject(at, Fault::PowerLoss);
            let _ = work(&disk, &mut told).and_then(|()| work(&disk, &mut told));
            disk.crash(Crash::Torn(at * 31 + again));
            disk.inject(again, Fault::PowerLoss);
            let _ = work(&disk, &mut told);
            disk.crash(Crash::Torn(at * 17 + again));
            work(&disk, &mut told).unwrap_or_else(|error| panic!("op {at} {again}: {error}"));
        }
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_space() {
    let disk = MemDisk::new();
    let (mut journal, _) = open(&disk, SMALL).unwrap();
    disk.set_capacity_bytes(Some(6_000));
    let mut refused = 0;
    for _ in 0..40 {
        match append(&mut journal, 1) {
            Ok(_) => {}
            Err(JournalError::DiskFull) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 10);
    let held = journal.last();
    assert!(held > Position::ZERO);
    disk.set_capacity_bytes(None);
    assert_eq!(append(&mut journal, 3).unwrap().get(), held.get() + 3);
    disk.crash(Crash::LoseUnsynced);
    let (_, recovered) = open(&disk, SMALL).unwrap();
    assert_eq!(recovered.last.get(), held.get() + 3);
}

#[test]
fn a_sync_that_failed_once_poisons_and_the_last_group_is_written_again() {
    let disk = MemDisk::new();
    let (mut journal, _) = open(&disk, SMALL).unwrap();
    append(&mut journal, 1).unwrap();
    // The next group fits what is preallocated: its write, then its sync.
    disk.inject(1, Fault::Failed);
    assert!(matches!(
        append(&mut journal, 1),
        Err(JournalError::Io {
            operation: "sync",
            ..
        })
    ));
    assert!(matches!(
        append(&mut journal, 1),
        Err(JournalError::Poisoned)
    ));
    drop(journal);
    // Without a crash the bytes of the lost group can still be read; it is taken in, and must then
    // be as durable as any other.
    let (mut journal, recovered) = open(&disk, SMALL).unwrap();
    assert_eq!(recovered.last.get(), 2);
    append(&mut journal, 1).unwrap();
    disk.crash(Crash::LoseUnsynced);
    let (_, recovered) = open(&disk, SMALL).unwrap();
    assert_eq!(recovered.last.get(), 3);
}
