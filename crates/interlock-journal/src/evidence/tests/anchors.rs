//! Anchors and witnesses; and the example that the page of evidence checks.

use super::*;
use crate::anchor::{Head, anchor_origin, cosign};

/// The anchor of the first log of `a`, cosigned by a witness with key 9 at second 20.
fn anchored(size: u64, root: [u8; 32]) -> AnchorEvidence {
    anchored_at(1, size, root, at(20))
}

/// The same as the entry at `place` of three, cosigned at another time.
fn anchored_at(place: usize, size: u64, root: [u8; 32], cosigned: Timestamp) -> AnchorEvidence {
    let log = origin(&a(), &b(), 1);
    let head = Head::new(log, size, &root);
    let salt = [4; 16];
    let mut commitments: Vec<[u8; 32]> = (0..15u8).map(|n| [n * 17; 32]).collect();
    let ours = commit(&salt, head.text().as_bytes());
    commitments.push(ours);
    commitments.sort_unstable();
    let index = commitments.iter().position(|it| *it == ours).unwrap();
    let entry = items_root(&commitments);
    let mut entries = [
        leaf_hash(&[1; 32]),
        leaf_hash(&[2; 32]),
        leaf_hash(&[3; 32]),
    ];
    entries[place] = leaf_hash(&entry);
    let checkpoint = Checkpoint {
        origin: anchor_origin(&a(), 1),
        size: 3,
        root: merkle::root(&entries),
        time: at(19),
    };
    let note = checkpoint.sign(&key(1), a().as_str()).unwrap();
    let line = cosign(&note, witness().as_str(), &key(9), cosigned).unwrap();
    let path = |path: Vec<[u8; 32]>| path.iter().map(|it| hex::encode(it)).collect();
    AnchorEvidence {
        writer: a(),
        head,
        salt: hex::encode(&salt),
        index: u32::try_from(index).unwrap(),
        commitments: 16,
        path: path(item_proof(&commitments, index).unwrap()),
        entry: hex::encode(&entry),
        entry_index: place as u64,
        entry_path: path(merkle::inclusion_proof(&entries, place).unwrap()),
        note: format!("{note}{line}"),
    }
}

fn witness() -> ParticipantId {
    ParticipantId::parse("did:web:bureau.example").unwrap()
}

#[test]
fn a_witness_dates_a_log_and_convicts_who_anchored_another() {
    let (at_a, at_b) = pair();
    let mut believed = trusted();
    believed.insert(witness(), vec![public(9)]);
    let root = |size| {
        let mut log = Grown::new(a(), b(), 1, 1);
        log.add_voided(size);
        log.log.root()
    };
    let with = |anchor: AnchorEvidence| {
        let mut file = at_a.clone();
        file.anchors.push(anchor);
        file
    };
    let verdict = verify(&[with(anchored(6, root(6)))], &believed);
    assert_eq!(verdict.findings, []);
    let dated = Dated {
        origin: origin(&a(), &b(), 1),
        leaves: 6,
        by_ms: at(20).as_millis(),
        witness: witness(),
    };
    assert_eq!(verdict.dated, [dated]);
    // A witness that nobody knows dates nothing, and that is said.
    let unknown = verify(&[with(anchored(6, root(6)))], &trusted());
    assert!(unknown.dated.is_empty() && unknown.findings.is_empty());
    assert!(
        unknown
            .unproven
            .iter()
            .any(|it| it.detail.contains("no cosignature"))
    );
    // Another log than the one that is shown: both are signed.
    let other = verify(&[with(anchored(6, [7; 32])), at_b], &believed);
    let split = other
        .findings
        .iter()
        .filter(|it| it.kind == FindingKind::SplitView);
    assert!(split.clone().all(|it| it.convicts == Some(a())) && split.count() == 2);
    // Whatever is changed in it, it shows nothing.
    let spoiled: [fn(&mut AnchorEvidence); 8] = [
        |it| it.head.size = 5,
        |it| it.salt = hex::encode(&[5; 16]),
        |it| it.index += 1,
        |it| drop(it.path.pop()),
        |it| it.entry = hex::encode(&[3; 32]),
        |it| it.entry_index = 0,
        |it| it.note = it.note.replacen("\n3\n", "\n4\n", 1),
        |it| it.head.log = origin(&b(), &a(), 1),
    ];
    for spoil in spoiled {
        let mut anchor = anchored(6, root(6));
        spoil(&mut anchor);
        let verdict = verify(&[with(anchor)], &believed);
        assert_eq!(verdict.findings.len(), 1);
        assert_eq!(verdict.findings[0].kind, FindingKind::Malformed);
        assert!(verdict.dated.is_empty());
    }
}

#[test]
fn anchor_logs_that_fork_or_shrink_convict_their_writer_and_a_lying_witness_dates_nothing() {
    let (at_a, _) = pair();
    let mut believed = trusted();
    believed.insert(witness(), vec![public(9)]);
    let root = |size| {
        let mut log = Grown::new(a(), b(), 1, 1);
        log.add_voided(size);
        log.log.root()
    };
    let of = |anchors: Vec<AnchorEvidence>| {
        let mut file = at_a.clone();
        file.anchors = anchors;
        let verdict = verify(&[file], &believed);
        let findings = verdict.findings.iter();
        let found: Vec<_> = findings.map(|it| (it.kind, it.convicts.clone())).collect();
        (found, verdict.dated.len())
    };
    let good = anchored(6, root(6));
    assert_eq!(of(vec![good.clone(), good.clone()]), (vec![], 1));
    // Two notes over three entries: of other entries in other places, and of two in one place.
    let convicted = |kind| (kind, Some(a()));
    for other in [anchored_at(2, 6, root(6), at(20)), anchored(5, root(5))] {
        let (found, _) = of(vec![good.clone(), other]);
        assert_eq!(found, [convicted(FindingKind::SplitView)]);
    }
    // In one log, which its writer signed as a whole: more leaves first, then fewer.
    let (more, fewer) = (anchored(6, root(6)), anchored(5, root(5)));
    let entries: Vec<[u8; 32]> = [&more, &fewer]
        .map(|it| leaf_hash(&hex::decode::<32>(&it.entry).unwrap()))
        .into();
    let checkpoint = Checkpoint {
        origin: anchor_origin(&a(), 1),
        size: 2,
        root: merkle::root(&entries),
        time: at(19),
    };
    let note = checkpoint.sign(&key(1), a().as_str()).unwrap();
    let placed = |anchor: &AnchorEvidence, place: usize| AnchorEvidence {
        entry_index: place as u64,
        entry_path: merkle::inclusion_proof(&entries, place)
            .unwrap()
            .iter()
            .map(|it| hex::encode(it))
            .collect(),
        note: note.clone(),
        ..anchor.clone()
    };
    let (found, _) = of(vec![placed(&fewer, 1), placed(&more, 0)]);
    assert_eq!(found, [convicted(FindingKind::Rollback)]);
    // The witness says that leaves were there a minute and more before they were written.
    let early = anchored_at(1, 6, root(6), at(0).plus_ms(-60_000));
    assert_eq!(of(vec![early]), (vec![(FindingKind::Misdated, None)], 0));
}

/// Three entries of the anchor log of `a`: the heads of its log in each, and others' commitments.
fn anchors_of(log: &OutLog, sizes: [u64; 3], signed_by: [u8; 3]) -> Vec<AnchorEvidence> {
    let heads = sizes.map(|size| Head::new(log.origin(), size, &log.root_at(size).unwrap()));
    let mut entries = Vec::new();
    let mut all = Vec::new();
    for (nth, (head, by)) in heads.into_iter().zip(signed_by).enumerate() {
        let n = u8::try_from(nth).unwrap();
        let salt = [n + 1; 16];
        let ours = commit(&salt, head.text().as_bytes());
        let others = (0..15u8).map(|other| commit(&[n + 100; 16], &[other]));
        let mut commitments: Vec<[u8; 32]> = others.chain([ours]).collect();
        commitments.sort_unstable();
        let index = commitments.iter().position(|it| *it == ours).unwrap();
        let entry = items_root(&commitments);
        entries.push(leaf_hash(&entry));
        let time = at(3_600 * (nth as u64 + 1));
        let checkpoint = Checkpoint {
            origin: anchor_origin(&a(), 1),
            size: entries.len() as u64,
            root: merkle::root(&entries),
            time,
        };
        let note = checkpoint.sign(&key(by), a().as_str()).unwrap();
        let line = cosign(&note, witness().as_str(), &key(9), time.plus_ms(300_000)).unwrap();
        let path = |path: Vec<[u8; 32]>| path.iter().map(|it| hex::encode(it)).collect();
        all.push(AnchorEvidence {
            writer: a(),
            head,
            salt: hex::encode(&salt),
            index: u32::try_from(index).unwrap(),
            commitments: 16,
            path: path(item_proof(&commitments, index).unwrap()),
            entry: hex::encode(&entry),
            entry_index: nth as u64,
            entry_path: path(merkle::inclusion_proof(&entries, nth).unwrap()),
            note: format!("{note}{line}"),
        });
    }
    all
}

#[test]
fn the_example_of_the_page_holds_a_rotation_and_anchors() {
    let mut log = Grown::new(a(), b(), 1, 1);
    log.add_voided(2);
    log.checkpoint();
    log.add(LeafBody::KeyRotation(KeyRotation::sign(
        &a(),
        &key(1),
        &key(5),
    )));
    log.key = 5;
    log.add_voided(5);
    log.checkpoint();
    let mut other = Grown::new(b(), a(), 1, 2);
    other.add_voided(1);
    other.checkpoint();
    let logs = vec![log.evidence(a(), b()), other.evidence(b(), a())];
    let mut file = file(a(), logs);
    file.manifests.push(signed_by_both());
    file.anchors = anchors_of(&log.log, [2, 3, 5], [1, 5, 5]);
    let mut believed = trusted();
    believed.insert(witness(), vec![public(9)]);
    believed.get_mut(&a()).unwrap().push(public(5));
    let verdict = verify(std::slice::from_ref(&file), &believed);
    assert_eq!(verdict.findings, []);
    let dated: Vec<u64> = verdict.dated.iter().map(|it| it.leaves).collect();
    assert_eq!(dated, [2, 3, 5]);
    let text = serde_json::to_string_pretty(&file).unwrap() + "\n";
    expect_test::expect_file!["../../../../../docs/guides/evidence-example/rotated.json"]
        .assert_eq(&text);
}
