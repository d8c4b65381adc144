//! The real node in a real directory: what was answered is there after a restart.

use std::path::Path;
use std::sync::Arc;

use interlock_core::time::Timestamp;
use zeroize::Zeroizing;

use super::world::*;
use crate::driver::clock::ManualClock;
use crate::driver::node::{Opened, open};
use crate::driver::seams::Store as _;
use crate::identity::partner::Role as ParticipantRole;
use crate::node::NodeConfig;
use crate::node::io::{LocalAnswer, LocalRequest, Role};
use crate::node::record::Record;

const ADMIN: [u8; 32] = [5; 32];

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
