//! The real node in a real directory: what was answered is there after a restart.

use std::path::Path;
use std::sync::Arc;

use interlock_core::ids::{RequestId, WireId};
use interlock_core::time::Timestamp;
use interlock_journal::bilateral::{Leaf, LeafBody, OutLog, Voided};
use zeroize::Zeroizing;

use super::world::*;
use crate::driver::clock::ManualClock;
use crate::driver::node::{JOURNAL_DIR, Opened, open};
use crate::driver::seams::Store as _;
use crate::exchange::wire::{Blob, Evidence};
use crate::identity::partner::Role as ParticipantRole;
use crate::node::NodeConfig;
use crate::node::io::{LocalAnswer, LocalRequest, Role};
use crate::node::record::Record;

const ADMIN: [u8; 32] = [5; 32];

/// A log of `writer` toward `reader` as the reader's journal has it, a hundred leaves a record.
fn mirrored(writer: &Cast, reader: &Cast, records: u8) -> Vec<Record> {
    let mut log = OutLog::new(writer.id.clone(), reader.id.clone(), 1);
    (0..records)
        .map(|nth| {
            let first = log.size();
            let leaves: Vec<Blob> = (0..100)
                .map(|n| {
                    let voided = Voided {
                        request_id: RequestId::from_bytes([nth; 16]),
                        agreement: WireId::parse(&format!("urn:a:{n}")).unwrap(),
                        reason: "term-ended".into(),
                    };
                    let leaf = Leaf::new(NOW, LeafBody::Voided(voided));
                    log.append(&leaf).unwrap();
                    Blob(leaf.encode().unwrap())
                })
                .collect();
            Record::Mirrored {
                from: writer.id.clone(),
                first,
                leaves,
                checkpoint: log.checkpoint(writer.key.signing_key(), NOW).unwrap(),
            }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_that_are_no_longer_in_memory_are_read_from_the_journal() {
    let name = format!("interlock-leaves-{}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    let _ = std::fs::remove_dir_all(&directory);
    let (me, b) = (cast("a", 1), cast("b", 2));
    let mut first = opened(&directory);
    let partner = b.as_partner("http://127.0.0.1:1", None);
    let records = std::iter::once(Record::Partner(Box::new(partner))).chain(mirrored(&b, &me, 12));
    let step = records.map(|record| (NOW, Box::new(record))).collect();
    first.store.append(&[step]).unwrap();
    drop(first);

    let opened = opened(&directory);
    let mut setup = Setup::new(cast("a", 1));
    setup.clock = Arc::new(ManualClock::new(NOW.plus_ms(1_000)));
    setup.journal = directory.join(JOURNAL_DIR);
    let server = setup.start_with(opened.node, opened.store).await;
    let mut nth = 0;
    let mut ask = async |from: u64| {
        nth += 1;
        let target = format!("/exchange/v1/evidence/entries?from={from}&log=mirrored");
        let bearer = b.bearer(&me, "GET", &target, b"", nth, NOW.plus_ms(1_000));
        let to = server.addresses.exchange;
        send(to, "GET", &target, &[("Authorization", &bearer)], b"").await
    };
    let reply = ask(10).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let page: Evidence = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((page.from, page.leaves.len()), (10, 1_190));
    assert!(page.checkpoint.contains("\n1200\n"));
    assert_eq!(ask(1_201).await.kind(), "entries-gone");

    // A journal that rots is said to be unreadable, and the node goes on.
    let segment = directory.join(JOURNAL_DIR).join("segment-0000000001.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let reply = ask(10).await;
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (500, "entries-unreadable")
    );
    assert_eq!(ask(1_200).await.status, 200);
    server.stop().await.unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
}

fn opened(directory: &Path) -> Opened {
    let me = cast("a", 1);
    let config = NodeConfig::new(me.id, "A", vec![ParticipantRole::Platform]);
    open(directory, config, &me.key, Zeroizing::new([3; 32])).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_was_added_may_call_at_once_and_after_a_restart() {
    let directory = std::env::temp_dir().join(format!("interlock-real-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    let mut first = opened(&directory);
    assert_eq!(first.journal_time, None);
    let key = Record::ApiKey {
        name: "admin".into(),
        role: Role::Admin,
        digest: ADMIN,
    };
    first.store.append(&[vec![(NOW, Box::new(key))]]).unwrap();
    drop(first);

    let (me, b) = (cast("a", 1), cast("b", 2));
    let target = "/exchange/v1/evidence/checkpoint";
    let call = async |to, at: Timestamp| {
        let bearer = b.bearer(&me, "GET", target, b"", 1, at);
        send(to, "GET", target, &[("Authorization", &bearer)], b"").await
    };
    let started = async |clock: &Arc<ManualClock>| {
        let opened = opened(&directory);
        assert!(opened.journal_time.is_some());
        let mut setup = Setup::new(cast("a", 1));
        setup.clock = clock.clone();
        setup.start_with(opened.node, opened.store).await
    };

    let clock = Arc::new(ManualClock::new(NOW.plus_ms(1_000)));
    let server = started(&clock).await;
    let to = server.addresses.exchange;
    assert_eq!(
        call(to, NOW.plus_ms(1_000)).await.kind(),
        "token-unknown-key"
    );
    let partner = b.as_partner("http://127.0.0.1:1", None);
    let add = LocalRequest::AddPartner(partner);
    let answer = server.handle.local(Some(ADMIN), None, add).await;
    assert!(matches!(&answer, LocalAnswer::Json { status, .. } if *status < 300));
    assert_ne!(call(to, NOW.plus_ms(1_000)).await.status, 401);
    let refused = server
        .handle
        .local(None, None, LocalRequest::GetStatus)
        .await;
    assert!(matches!(&refused, LocalAnswer::Problem(problem) if problem.status == 401));
    server.stop().await.unwrap();

    clock.advance(1_000);
    let server = started(&clock).await;
    assert!(server.handle.partners().contains_key(&b.id));
    let to = server.addresses.exchange;
    assert_ne!(call(to, NOW.plus_ms(2_000)).await.status, 401);
    server.stop().await.unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
}
