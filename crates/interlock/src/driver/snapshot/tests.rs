//! Nodes made from snapshots, whole and damaged, against nodes made from the same journal alone.

use ed25519_dalek::SigningKey;
use interlock_core::contact::{Phone, Recipient};
use interlock_core::event::{ParcelEvent, Step};
use interlock_core::ids::{Marketplace, ParcelId, ParticipantId};
use interlock_core::parcel::{Consent, Generation, Preference};
use interlock_core::time::{Timestamp, Zone};
use interlock_core::waybill::Waybill;
use interlock_journal::disk::{Crash, Disk, MemDisk};
use interlock_journal::journal::Options;
use interlock_journal::keyslots::SlotKey;
use zeroize::Zeroizing;

use super::*;
use crate::driver::file_store::OpenError;
use crate::driver::seams::Store as _;
use crate::identity::derived::Derived;
use crate::identity::partner::Role;
use crate::node::cipher::Aes;
use crate::node::content::seal;
use crate::node::record::{EventRecord, ParcelRecord, Record};
use crate::node::{NodeConfig, Rng};

const SECRET: &str = "Wang Xiaoming of Building 7";
const HOUR: u32 = 415_632;

struct Counting(u8);

impl Rng for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(5).wrapping_add(113);
            *byte = self.0;
        }
    }
}

/// A node's disks, and what it did so far.
struct Place {
    journal: MemDisk,
    keys: MemDisk,
    tables: MemDisk,
    seed: u8,
}

impl Place {
    fn new(seed: u8) -> Self {
        Self {
            journal: MemDisk::new(),
            keys: MemDisk::new(),
            tables: MemDisk::new(),
            seed,
        }
    }

    fn open(&self) -> Result<Opened, OpenError> {
        let id = ParticipantId::parse(&format!("did:web:node{}.example", self.seed)).unwrap();
        let config = NodeConfig::new(id, "node", vec![Role::Carrier]);
        let disks = Disks {
            journal: Box::new(self.journal.clone()),
            keys: Box::new(self.keys.clone()),
            tables: Box::new(self.tables.clone()),
        };
        let options = Options {
            segment_size_bytes: 64 * 1024,
            ..Options::default()
        };
        let key = SigningKey::from_bytes(&[self.seed; 32]);
        let derived = Derived::from_seed(&key.to_bytes());
        let master = Zeroizing::new([9; 32]);
        open(&disks, &config, &key, &derived, master, options)
    }

    /// Opens, and says how, and what the node holds.
    fn look(&self) -> (Start, String) {
        let opened = self.open().unwrap();
        (opened.start, format!("{:?}", opened.node.state()))
    }

    /// What a node holds that is made from the journal alone.
    fn expected(&self) -> String {
        let bare = Self {
            journal: self.journal.clone(),
            keys: self.keys.clone(),
            tables: MemDisk::new(),
            seed: self.seed,
        };
        bare.look().1
    }

    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut disk = self.tables.clone();
        let names = disk.list().unwrap();
        let read = names.into_iter().map(|name| {
            let mut bytes = vec![0; disk.len(&name).unwrap() as usize];
            disk.read_at(&name, 0, &mut bytes).unwrap();
            (name, bytes)
        });
        read.collect()
    }
}

/// Parcels of another owner with some events each; every third one is delivered, every tenth has a
/// recipient of ours.
fn work(opened: &mut Opened, parcels: std::ops::Range<u32>) -> u64 {
    let mut records = 0;
    for n in parcels {
        let at = Timestamp::from_millis(1_496_000_000_000 + i64::from(n) * 1_000);
        let mut id = [7; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let id = ParcelId::from_bytes(id);
        let mut keys = Vec::new();
        let recipient = (n % 10 == 0).then(|| {
            let recipient = Recipient {
                name: SECRET.into(),
                phone: Phone::parse("13800000000").unwrap(),
                address: "1 Long Road".into(),
            };
            let fresh = seal(&Aes, &recipient, HOUR, n, &mut Counting(n as u8)).unwrap();
            keys.push(SlotKey {
                hour: HOUR,
                slot: n,
                key: Zeroizing::new(fresh.key),
            });
            fresh.sealed
        });
        let mut step = vec![Record::Parcel(Box::new(ParcelRecord {
            id,
            waybill: Waybill::parse("sf", &format!("SF{n:013}")).unwrap(),
            generation: Generation::FIRST,
            issued_at: at,
            source: None,
            marketplace: Marketplace::parse("taobao").ok(),
            merchant: None,
            owner: ParticipantId::parse("did:web:owner.example").ok(),
            claim: None,
            size_class: None,
            consent: Consent::Unknown,
            preference: Preference::default(),
            recipient,
            lockers: Vec::new(),
        }))];
        let last = if n % 3 == 0 {
            Step::Delivered
        } else {
            Step::Departed
        };
        for (number, what) in (1..).zip([Step::Issued, Step::Arrived, last]) {
            step.push(Record::Event(EventRecord {
                parcel: id,
                event: ParcelEvent {
                    number,
                    step: what,
                    at,
                    zone: Zone::CHINA,
                    place: None,
                },
                digest: [number as u8; 32],
            }));
        }
        opened.store.put_keys(&keys).unwrap();
        let keys: std::collections::BTreeMap<_, _> = keys
            .iter()
            .map(|key| ((key.hour, key.slot), *key.key))
            .collect();
        for record in &step {
            opened.node.replay(at, record, &keys).unwrap();
        }
        records += step.len() as u64;
        let step = step.into_iter().map(|record| (at, Box::new(record)));
        opened.store.append(&[step.collect()]).unwrap();
    }
    records
}

#[test]
fn a_start_takes_the_snapshot_and_the_tail() {
    let place = Place::new(1);
    let mut opened = place.open().unwrap();
    assert_eq!(opened.start, Start::Journal { records: 0 });
    let mut records = work(&mut opened, 0..700);
    opened.save().unwrap();
    let mut tail = 0;
    for round in 0..8 {
        tail = work(&mut opened, 700 + round * 50..750 + round * 50);
        records += tail;
        let held = format!("{:?}", opened.node.state());
        drop(opened);
        for disk in [&place.journal, &place.keys, &place.tables] {
            disk.crash(Crash::LoseUnsynced);
        }
        let expected = place.expected();
        let (start, found) = place.look();
        assert_eq!(start, Start::Snapshot { records: tail });
        assert!(held == expected && found == expected);
        opened = place.open().unwrap();
        opened.save().unwrap();
    }
    assert!(tail > 0);
    assert_eq!(opened.store.mark().position().get(), records);
    let parcels = &opened.node.state().parcels;
    assert!(parcels.len() == 1_100);
    let open = parcels.iter().filter(|parcel| parcel.closed_at.is_none());
    assert!(parcels.open().map(|p| p.id).eq(open.map(|p| p.id)));
    assert!((700..800).contains(&parcels.open().count()));
    let runs = opened.keeper.rows().names().len();
    assert!(runs < rows::FAN_IN, "{runs} runs: none were merged");
    let files = opened.keeper.rows().files();
    assert_eq!(
        place.files().len(),
        files.len() + 1,
        "what nothing lies in is removed"
    );
    assert!(
        files.len() < 9,
        "nine runs were written, and {files:?} are left"
    );
}

#[test]
fn nothing_personal_is_in_the_clear_and_a_destroyed_key_hides_it() {
    let place = Place::new(1);
    let mut opened = place.open().unwrap();
    work(&mut opened, 0..100);
    opened.save().unwrap();
    let files = place.files();
    assert!(files.len() >= 2);
    for (name, bytes) in &files {
        let told = bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes());
        assert!(!told, "{name} has a recipient in the clear");
    }
    let waybill = |n: u32| Waybill::parse("sf", &format!("SF{n:013}")).unwrap();
    let known = |opened: &Opened, n| {
        let parcel = opened.node.state().parcels.find(&waybill(n)).unwrap();
        parcel.recipient.as_ref().unwrap().value.is_some()
    };
    assert!(known(&opened, 10) && known(&opened, 20));
    opened.store.destroy_keys(&[(HOUR, 10)], &[]).unwrap();
    drop(opened);
    let opened = place.open().unwrap();
    assert!(matches!(opened.start, Start::Snapshot { records: 0 }));
    assert!(!known(&opened, 10) && known(&opened, 20));
}

#[test]
fn what_is_damaged_missing_or_of_another_journal_is_made_anew() {
    let place = Place::new(1);
    let mut opened = place.open().unwrap();
    work(&mut opened, 0..300);
    opened.save().unwrap();
    work(&mut opened, 300..350);
    drop(opened);
    let expected = place.expected();
    let whole = place.files();
    let restore = || {
        let mut disk = place.tables.clone();
        for name in disk.list().unwrap() {
            disk.remove(&name).unwrap();
        }
        for (name, bytes) in &whole {
            disk.create(name, 0).unwrap();
            disk.write_at(name, 0, bytes).unwrap();
        }
    };
    let anew = |what: &str| {
        // A block is read when it is asked for: what is damaged there shows then, and stops the node.
        let mut opened = place.open().unwrap();
        let mut found = format!("{:?}", opened.node.state());
        if opened.node.failure().is_some() {
            opened.keeper.distrust().unwrap();
            opened = place.open().unwrap();
            found = format!("{:?}", opened.node.state());
        }
        assert!(matches!(opened.start, Start::Journal { .. }), "{what}");
        assert!(found == expected, "{what}");
        restore();
    };
    for (name, bytes) in &whole {
        for offset in (0..bytes.len() as u64).step_by(bytes.len() / 23) {
            assert!(place.tables.flip(name, offset, 4));
            anew(&format!("{name} has another byte at {offset}"));
        }
        let mut disk = place.tables.clone();
        disk.truncate(name, bytes.len() as u64 / 2).unwrap();
        anew(&format!("half of {name}"));
        disk.remove(name).unwrap();
        anew(&format!("no {name}"));
    }
    // The journal lost its end, or is another one with as many records.
    let mut shorter = Place::new(1);
    work(&mut shorter.open().unwrap(), 0..200);
    shorter.tables = place.tables.clone();
    assert_eq!(shorter.look().0, Start::Journal { records: 800 });
    restore();
    let mut other = Place::new(1);
    work(&mut other.open().unwrap(), 1..351);
    other.tables = place.tables.clone();
    assert_eq!(other.look().0, Start::Journal { records: 1_400 });
    assert!(other.look().1 == other.expected());
    restore();
    // Another node's snapshot.
    let mut stranger = Place::new(2);
    work(&mut stranger.open().unwrap(), 0..350);
    stranger.tables = place.tables.clone();
    assert_eq!(stranger.look().0, Start::Journal { records: 1_400 });
    restore();
    assert!(matches!(place.look().0, Start::Snapshot { records: 200 }));
}

#[test]
fn a_snapshot_of_another_version_is_not_used() {
    let place = Place::new(1);
    let mut opened = place.open().unwrap();
    work(&mut opened, 0..30);
    opened.save().unwrap();
    drop(opened);
    let mut disk = place.tables.clone();
    let mut body = root::load(&mut disk).unwrap().unwrap();
    body[0] = body[0].wrapping_add(1);
    root::save(&mut disk, &body).unwrap();
    assert_eq!(place.look().0, Start::Journal { records: 120 });
}

#[test]
fn a_power_cut_at_any_step_leaves_a_snapshot_or_none() {
    let place = Place::new(1);
    let mut opened = place.open().unwrap();
    work(&mut opened, 0..60);
    opened.save().unwrap();
    drop(opened);
    let mut from_snapshot = 0;
    for cut in 0..60 {
        let mut opened = place.open().unwrap();
        work(&mut opened, 60 + cut..61 + cut);
        place.tables.inject(
            u64::from(cut) % 20,
            interlock_journal::disk::Fault::PowerLoss,
        );
        let _ = opened.save();
        drop(opened);
        place.tables.crash(Crash::Torn(u64::from(cut)));
        let (start, found) = place.look();
        assert!(found == place.expected());
        from_snapshot += u32::from(matches!(start, Start::Snapshot { .. }));
    }
    assert_eq!(from_snapshot, 60, "a snapshot was there before");
}
