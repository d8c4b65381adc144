//! Evidence that somebody hands in: good, spoilt, not theirs to hand in, and no evidence at all.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use interlock_core::ids::{ParticipantId, RequestId, WireId};
use interlock_journal::bilateral::{Leaf, LeafBody, OutLog, Voided};
use interlock_journal::evidence::{EvidenceFile, LogEvidence};
use interlock_journal::hex;

use super::*;

/// A log that `writer` wrote for us and signed, with a leaf for each reason.
fn log(writer: &Cast, reasons: &[&str]) -> LogEvidence {
    let reader = ParticipantId::parse("did:web:fengchao.example").unwrap();
    let key = writer.key.signing_key();
    let mut log = OutLog::new(writer.id.clone(), reader.clone(), 1);
    let mut leaves = Vec::new();
    for reason in reasons {
        let body = LeafBody::Voided(Voided {
            request_id: RequestId::from_bytes([7; 16]),
            agreement: WireId::parse("urn:a").unwrap(),
            reason: (*reason).into(),
        });
        let leaf = Leaf::new(NOW, body);
        leaves.push(STANDARD.encode(leaf.encode().unwrap()));
        log.append(&leaf).unwrap();
    }
    LogEvidence {
        writer: writer.id.clone(),
        reader,
        epoch: 1,
        key: hex::encode(&key.verifying_key().to_bytes()),
        leaves,
        checkpoints: vec![log.checkpoint(key, NOW).unwrap()],
    }
}

fn file(logs: Vec<LogEvidence>) -> Vec<u8> {
    let holder = ParticipantId::parse("did:web:fengchao.example").unwrap();
    let file = EvidenceFile {
        logs,
        ..EvidenceFile::new(holder)
    };
    serde_json::to_vec(&file).unwrap()
}

impl World {
    async fn hand_in(&self, cookies: &str, site: &str, mark: &str, files: &[&[u8]]) -> Reply {
        let mut body =
            format!("--line\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n{mark}\r\n")
                .into_bytes();
        for file in files {
            body.extend_from_slice(
                b"--line\r\nContent-Disposition: form-data; name=\"evidence\"; filename=\"e.json\"\r\n\
                  Content-Type: application/json\r\n\r\n",
            );
            body.extend_from_slice(file);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--line--\r\n");
        let headers = [
            ("Cookie", cookies),
            ("Accept-Language", "en"),
            ("Sec-Fetch-Site", site),
            ("Content-Type", "multipart/form-data; boundary=line"),
        ];
        send(self.to, "POST", "/console/evidence/files", &headers, &body).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_is_handed_in_is_verified_and_convicts_by_signatures() {
    let world = World::new().await;
    let cookies = world.log_in("bo", 2).await;
    let page = world.get("/console/evidence/files", &cookies).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let mark = mark_in(&page.body);
    let sf = cast("sf", 4);
    let good = log(&sf, &["one", "two", "three"]);
    let hand_in = async |files: &[&[u8]]| {
        let reply = world.hand_in(&cookies, "same-origin", &mark, files).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body
    };
    let says = hand_in(&[&file(vec![good.clone()])]).await;
    assert!(
        says.contains("its keys are named by the file alone"),
        "{says}"
    );
    let answer = world.server.handle.local(
        Some(ADMIN),
        None,
        LocalRequest::AddPartner(sf.as_partner("http://127.0.0.1:9", None)),
    );
    assert!(matches!(answer.await, LocalAnswer::Json { .. }));
    let says = hand_in(&[&file(vec![good.clone()])]).await;
    assert!(
        says.contains("this node&#39;s own partner list")
            || says.contains("this node's own partner list"),
        "{says}"
    );
    assert!(says.contains("somebody → Fengchao · 1"), "{says}");
    assert!(!says.contains("What does not hold"), "{says}");

    // Changed by whoever holds it: found, and nobody is convicted by it.
    let mut changed = good.clone();
    changed.leaves.swap(0, 1);
    let says = hand_in(&[&file(vec![changed])]).await;
    assert!(says.contains("This does not show who changed it"), "{says}");
    assert!(!says.contains("<strong>somebody</strong>"), "{says}");

    // Two checkpoints of one size with different roots: their signer is convicted.
    let mut forked = good.clone();
    let other = log(&sf, &["one", "two", "THREE"]);
    forked.checkpoints.extend(other.checkpoints);
    let says = hand_in(&[&file(vec![forked])]).await;
    assert!(says.contains("signed two different logs"), "{says}");
    assert!(says.contains("<strong>somebody</strong>"), "{says}");
    assert!(says.contains("entr"), "the place is named: {says}");

    // Signed by a key that is not the one that we know.
    let eve = Cast {
        id: sf.id.clone(),
        ..cast("eve", 5)
    };
    let says = hand_in(&[&file(vec![log(&eve, &["one"])])]).await;
    assert!(
        says.contains("signed by another&#39;s key") || says.contains("signed by another's key"),
        "{says}"
    );
    world.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_evidence_or_not_theirs_to_check_is_refused() {
    let world = World::new().await;
    let good = file(vec![log(&cast("sf", 4), &["one"])]);
    let cookies = world.log_in("bo", 2).await;
    let page = world.get("/console/evidence/files", &cookies).await;
    let mark = mark_in(&page.body);
    let script = b"{\"version\": \"<script>alert(1)</script>\"}";
    let deep = "[".repeat(100_000);
    let four: Vec<&[u8]> = vec![&good; 5];
    for (what, site, mark, files, status) in [
        (
            "cross-site",
            "cross-site",
            mark.as_str(),
            vec![&good[..]],
            403,
        ),
        ("no mark", "same-origin", "", vec![&good[..]], 403),
        ("wrong mark", "same-origin", "00", vec![&good[..]], 403),
        ("no file", "same-origin", &mark, vec![], 422),
        ("empty", "same-origin", &mark, vec![&b""[..]], 422),
        ("script", "same-origin", &mark, vec![&script[..]], 422),
        (
            "cut",
            "same-origin",
            &mark,
            vec![&good[..good.len() / 2]],
            422,
        ),
        ("deep", "same-origin", &mark, vec![deep.as_bytes()], 422),
        ("binary", "same-origin", &mark, vec![&[0, 255, 1][..]], 422),
        ("too many", "same-origin", &mark, four, 422),
    ] {
        let reply = world.hand_in(&cookies, site, mark, &files).await;
        assert_eq!(reply.status, status, "{what}: {}", reply.body);
        assert!(!reply.body.contains("<script"), "{what}");
        assert!(!reply.body.contains("everything holds"), "{what}");
    }
    let large = vec![b' '; 33 * 1024 * 1024];
    let reply = world
        .hand_in(&cookies, "same-origin", &mark, &[&large])
        .await;
    assert_eq!(reply.status, 413);
    // Another form, as if it were one of files.
    let form = format!("csrf={mark}&evidence=1");
    let reply = world.post("/console/evidence/files", &cookies, &form).await;
    assert_eq!(reply.status, 422, "{}", reply.body);
    // Who may not see evidence, or is nobody, has nothing read.
    let courier = world.log_in("courier-7", 3).await;
    assert_eq!(
        world.get("/console/evidence/files", &courier).await.status,
        403
    );
    for (cookies, status) in [(courier.as_str(), 403), ("", 401)] {
        let reply = world.hand_in(cookies, "same-origin", &mark, &[&good]).await;
        assert_eq!(reply.status, status, "{}", reply.body);
    }
    world.server.stop().await.unwrap();
}
