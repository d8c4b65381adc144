//! A disk that is full: nothing that was answered is lost, nothing is answered that is not durable.

use std::sync::Arc;

use interlock_core::time::Timestamp;
use interlock_journal::disk::MemDisk;
use interlock_journal::journal::Options;
use zeroize::Zeroizing;

use super::world::*;
use crate::driver::clock::ManualClock;
use crate::driver::file_store::FileStore;
use crate::driver::seams::Store as _;
use crate::driver::server::Server;
use crate::identity::partner::Role as ParticipantRole;
use crate::node::io::{LocalAnswer, LocalRequest, Role};
use crate::node::record::Record;
use crate::node::{Node, NodeConfig};

const ADMIN: [u8; 32] = [5; 32];

fn opened(journal: &MemDisk, keys: &MemDisk) -> (Node, FileStore, Option<Timestamp>) {
    let me = cast("a", 1);
    let config = NodeConfig::new(me.id, "A", vec![ParticipantRole::Platform]);
    let mut node = Node::new(config, me.key.signing_key().clone());
    let options = Options {
        preallocate_size_bytes: 4_096,
        ..Options::default()
    };
    let (store, time) = FileStore::open(
        Box::new(journal.clone()),
        Box::new(keys.clone()),
        Zeroizing::new([3; 32]),
        options,
        &mut |time, record, keys| node.replay(time, record, keys),
    )
    .unwrap();
    (node, store, time)
}

/// Starts the node of these disks a second after the last time.
async fn up(journal: &MemDisk, keys: &MemDisk) -> Server {
    let (node, store, time) = opened(journal, keys);
    let mut setup = Setup::new(cast("a", 1));
    let at = time.unwrap_or(NOW).plus_ms(1_000);
    setup.clock = Arc::new(ManualClock::new(at));
    setup.start_with(node, store).await
}

/// Lists partners until the node answers otherwise; how many it took from `first` on, and what it said.
async fn list(server: &Server, first: u8) -> (u8, String) {
    for n in first..=u8::MAX {
        let partner = cast(&format!("p{n}"), n).as_partner("http://127.0.0.1:1", None);
        let request = LocalRequest::AddPartner(partner);
        let answer = server.handle.local(Some(ADMIN), None, request).await;
        if let LocalAnswer::Problem(problem) = answer {
            return (n - first, problem.kind);
        }
    }
    panic!("the disk is not full")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_the_node_and_room_lets_it_go_on() {
    let (journal, keys) = (MemDisk::new(), MemDisk::new());
    let (_, mut store, _) = opened(&journal, &keys);
    let key = Record::ApiKey {
        name: "admin".into(),
        role: Role::Admin,
        digest: ADMIN,
    };
    store.append(&[vec![(NOW, Box::new(key))]]).unwrap();
    drop(store);

    journal.set_capacity_bytes(Some(journal.used_bytes() + 20_000));
    let mut server = up(&journal, &keys).await;
    let (taken, kind) = list(&server, 10).await;
    assert!(taken > 3, "{taken}");
    assert_eq!(kind, "stopping", "what is not durable is not answered");
    let error = server.ended().await.to_string();
    assert!(error.contains("the disk is full; free space"), "{error}");
    assert!(error.contains("start it again"), "{error}");
    drop(server);

    // Still full: it starts, shows what there is, and stops at the next write.
    let mut server = up(&journal, &keys).await;
    assert_eq!(server.handle.partners().len(), usize::from(taken));
    let status = LocalRequest::GetStatus;
    let status = server.handle.local(Some(ADMIN), None, status).await;
    assert!(matches!(status, LocalAnswer::Json { .. }));
    assert_eq!(list(&server, 10 + taken).await.1, "stopping");
    assert!(
        server
            .ended()
            .await
            .to_string()
            .contains("the disk is full")
    );
    drop(server);

    journal.set_capacity_bytes(None);
    let server = up(&journal, &keys).await;
    assert_eq!(server.handle.partners().len(), usize::from(taken));
    let more = cast("more", 9).as_partner("http://127.0.0.1:1", None);
    let more = LocalRequest::AddPartner(more);
    let answer = server.handle.local(Some(ADMIN), None, more).await;
    assert!(matches!(answer, LocalAnswer::Json { .. }));
    server.stop().await.unwrap();
    let (node, _, _) = opened(&journal, &keys);
    assert_eq!(node.state().partners.len(), usize::from(taken) + 1);
}
