//! The hash-chained journal by itself: what durability costs with nothing around it.
//!
//! INVARIANT: the same library, file system and bodies as a node's; only the node is missing.

use std::path::Path;

use anyhow::Context;
use interlock::node::record::{EventRecord, RECORD_VERSION, Record};
use interlock_core::event::{ParcelEvent, Place, Step};
use interlock_core::ids::ParcelId;
use interlock_core::time::{Timestamp, Zone};
use interlock_journal::disk::RealDisk;
use interlock_journal::journal::{Journal, NewRecord, Options};
use sha2::{Digest as _, Sha256};

use super::machine::now;

/// Bytes of a record by which machines are compared, whatever a node's own records come to.
pub(crate) const PLAIN_SIZE_BYTES: usize = 400;

/// Records of events that a second takes when they are appended in groups of `group` and each group
/// is durable before the next.
pub(crate) fn append(dir: &Path, events: u64, group: usize) -> anyhow::Result<f64> {
    let at = Timestamp::from_millis(1_780_000_000_000);
    let bodies = (0..events)
        .map(|n| postcard::to_allocvec(&Record::Event(event(n, at))))
        .collect::<Result<Vec<_>, _>>()
        .context("failed to encode an event")?;
    append_bodies(dir, &bodies, group)
}

/// The same with records of [`PLAIN_SIZE_BYTES`], all different.
pub(crate) fn append_plain(dir: &Path, records: u64, group: usize) -> anyhow::Result<f64> {
    let bodies: Vec<Vec<u8>> = (0..records)
        .map(|n| {
            let hash = Sha256::digest(n.to_le_bytes());
            hash.iter()
                .copied()
                .cycle()
                .take(PLAIN_SIZE_BYTES)
                .collect()
        })
        .collect();
    append_bodies(dir, &bodies, group)
}

fn append_bodies(dir: &Path, bodies: &[Vec<u8>], group: usize) -> anyhow::Result<f64> {
    if dir.exists() {
        std::fs::remove_dir_all(dir).context("failed to empty a scratch directory")?;
    }
    std::fs::create_dir_all(dir).context("failed to make a scratch directory")?;
    let disk = RealDisk::open(dir).context("failed to open a scratch directory")?;
    let opened = Journal::open(Box::new(disk), Options::default(), &mut |_, _| {});
    let (mut journal, _) = opened.context("failed to open a journal")?;
    let at = Timestamp::from_millis(1_780_000_000_000);
    let variant = bodies.first().and_then(|body| body.first()).copied();
    let kind = u16::from_be_bytes([RECORD_VERSION, variant.unwrap_or_default()]);
    let records: Vec<NewRecord<'_>> = bodies
        .iter()
        .map(|body| NewRecord {
            kind,
            partition: 0,
            time: at,
            body,
        })
        .collect();
    let begin = now();
    for group in records.chunks(group) {
        journal
            .append_group(group)
            .context("failed to append to a journal")?;
    }
    Ok(bodies.len() as f64 / begin.elapsed().as_secs_f64())
}

/// Reads and checks a whole journal; how many records it holds.
pub(crate) fn scan(dir: &Path) -> anyhow::Result<u64> {
    let disk = RealDisk::open(dir).context("failed to open the node's journal")?;
    let opened = Journal::open(Box::new(disk), Options::default(), &mut |_, body| {
        std::hint::black_box(body);
    });
    let (_, recovered) = opened.context("failed to read the node's journal")?;
    Ok(recovered.records)
}

fn event(n: u64, at: Timestamp) -> EventRecord {
    let digest: [u8; 32] = Sha256::digest(n.to_le_bytes()).into();
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(digest) {
        *to = from;
    }
    EventRecord {
        parcel: ParcelId::from_bytes(id),
        event: ParcelEvent {
            number: 3,
            step: Step::Departed,
            at,
            zone: Zone::CHINA,
            place: Some(Place::Named("Shenzhen Baoan transfer hall 7".into())),
        },
        digest,
    }
}
