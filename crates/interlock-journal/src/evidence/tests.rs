//! Every way to spoil evidence, each found by name, with its place and whom it convicts.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParticipantId, RequestId, WireId};
use interlock_core::time::{Timestamp, Zone};

use super::*;
use crate::bilateral::{
    KeyRotation, Lane, Leaf, LeafBody, OutLog, Receipt, Release, Rollback, Voided, commit,
    item_proof, items_root,
};
use crate::checkpoint::{Checkpoint, origin};
use crate::hex;
use crate::manifest::{MANIFEST_VERSION, Manifest, Party, PolicyRef};
use crate::merkle::{self, leaf_hash};

mod anchors;
mod reconciling;

fn a() -> ParticipantId {
    ParticipantId::parse("did:web:a.example").unwrap()
}

fn b() -> ParticipantId {
    ParticipantId::parse("did:web:b.example").unwrap()
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn public(n: u8) -> [u8; 32] {
    key(n).verifying_key().to_bytes()
}

fn at(n: u64) -> Timestamp {
    Timestamp::from_millis(1_496_246_400_000 + i64::try_from(n).unwrap() * 1_000)
}

fn trusted() -> TrustedKeys {
    BTreeMap::from([(a(), vec![public(1)]), (b(), vec![public(2)])])
}

fn voided(n: u64) -> LeafBody {
    LeafBody::Voided(Voided {
        request_id: RequestId::from_bytes([u8::try_from(n).unwrap(); 16]),
        agreement: WireId::parse("urn:a").unwrap(),
        reason: "closing".into(),
    })
}

/// A log as it grows, with everything that was shown of it.
struct Grown {
    log: OutLog,
    key: u8,
    first_key: u8,
    leaves: Vec<String>,
    checkpoints: Vec<String>,
}

impl Grown {
    fn new(writer: ParticipantId, reader: ParticipantId, epoch: u32, key: u8) -> Self {
        Self {
            log: OutLog::new(writer, reader, epoch),
            key,
            first_key: key,
            leaves: Vec::new(),
            checkpoints: Vec::new(),
        }
    }

    fn add(&mut self, body: LeafBody) {
        self.add_at(body, at(self.log.size()));
    }

    fn add_at(&mut self, body: LeafBody, time: Timestamp) {
        let leaf = Leaf::new(time, body);
        self.leaves.push(STANDARD.encode(leaf.encode().unwrap()));
        self.log.append(&leaf).unwrap();
    }

    fn add_voided(&mut self, to: u64) {
        while self.log.size() < to {
            self.add(voided(self.log.size()));
        }
    }

    fn checkpoint(&mut self) -> Receipt {
        self.checkpoint_at(at(self.log.size()))
    }

    fn checkpoint_at(&mut self, time: Timestamp) -> Receipt {
        let note = self.log.checkpoint(&key(self.key), time).unwrap();
        self.checkpoints.push(note);
        Receipt {
            epoch: self.log.epoch(),
            size: self.log.size(),
            root: self.log.root(),
        }
    }

    fn evidence(&self, writer: ParticipantId, reader: ParticipantId) -> LogEvidence {
        LogEvidence {
            writer,
            reader,
            epoch: self.log.epoch(),
            key: hex::encode(&public(self.first_key)),
            leaves: self.leaves.clone(),
            checkpoints: self.checkpoints.clone(),
        }
    }
}

fn file(holder: ParticipantId, logs: Vec<LogEvidence>) -> EvidenceFile {
    EvidenceFile {
        logs,
        ..EvidenceFile::new(holder)
    }
}

/// Checkpoints over 3, 6 and 10 leaves of A, receipted by B: what A holds and what B holds.
fn pair() -> (EvidenceFile, EvidenceFile) {
    let mut from_a = Grown::new(a(), b(), 1, 1);
    let mut from_b = Grown::new(b(), a(), 1, 2);
    for size in [3, 6, 10] {
        from_a.add_voided(size);
        let receipt = from_a.checkpoint();
        from_b.add_at(LeafBody::Receipt(receipt), at(size));
        from_b.checkpoint_at(at(size));
    }
    let logs = vec![from_a.evidence(a(), b()), from_b.evidence(b(), a())];
    (file(a(), logs.clone()), file(b(), logs))
}

/// Kind, holder, place, signer, convicted.
type Found = (
    FindingKind,
    ParticipantId,
    (u64, u64),
    Option<ParticipantId>,
    Option<ParticipantId>,
);

fn found(files: &[EvidenceFile]) -> Vec<Found> {
    let verdict = verify(files, &trusted());
    let found = verdict.findings.into_iter().map(|f| {
        assert!(!f.detail.is_empty());
        (
            f.kind,
            f.holder,
            (f.from_leaf, f.to_leaf),
            f.signed_by,
            f.convicts,
        )
    });
    found.collect()
}

#[test]
fn good_evidence_has_no_findings_and_says_what_it_proves() {
    let (at_a, at_b) = pair();
    for files in [vec![at_a.clone()], vec![at_b.clone()], vec![at_a, at_b]] {
        let verdict = verify(&files, &trusted());
        assert_eq!(verdict.findings, []);
        assert_eq!(verdict.logs.len(), files.len() * 2);
        let log = &verdict.logs[0];
        assert_eq!((log.leaves, log.signed, log.countersigned), (10, 10, 10));
        assert_eq!(verdict.logs[1].countersigned, 0);
        let json = serde_json::to_string(&files).unwrap();
        let read: Vec<EvidenceFile> = serde_json::from_str(&json).unwrap();
        assert_eq!(read, files);
    }
}

#[test]
fn what_is_not_signed_yet_is_not_called_proven() {
    let (mut at_a, _) = pair();
    at_a.logs[0].checkpoints.pop();
    at_a.logs[1].leaves.pop();
    at_a.logs[1].checkpoints.pop();
    let verdict = verify(&[at_a], &trusted());
    assert_eq!(verdict.findings, []);
    let log = &verdict.logs[0];
    assert_eq!((log.leaves, log.signed, log.countersigned), (10, 6, 6));
}

#[test]
fn a_flipped_leaf() {
    let (at_a, mut at_b) = pair();
    at_b.logs[0].leaves[4] = STANDARD.encode(Leaf::new(at(4), voided(99)).encode().unwrap());
    let changed = |place| (FindingKind::Changed, b(), place, Some(a()), None);
    // Alone: between two checkpoints. The receipts over 6 and 10 contradict it as well.
    let alone = found(std::slice::from_ref(&at_b));
    assert_eq!(alone[0], changed((3, 6)));
    assert!(alone[1..].iter().all(|f| f.0 == FindingKind::Receipt));
    // With the other side's copy: exactly.
    assert_eq!(found(&[at_a.clone(), at_b]), [changed((4, 5))]);

    // A copy that its own writer shows convicts the writer.
    let mut own = at_a;
    own.logs[0].leaves[4] = STANDARD.encode(Leaf::new(at(4), voided(99)).encode().unwrap());
    let alone = found(&[own]);
    assert_eq!(
        alone[0],
        (FindingKind::Changed, a(), (3, 6), Some(a()), Some(a()))
    );
}

#[test]
fn a_flip_that_leaves_no_leaf() {
    let (at_a, mut at_b) = pair();
    at_b.logs[0].leaves[4] = "AAAA".into();
    let found = found(&[at_a, at_b]);
    assert_eq!(found[0], (FindingKind::Malformed, b(), (4, 5), None, None));
    assert_eq!(
        found[1],
        (FindingKind::Changed, b(), (4, 5), Some(a()), None)
    );
    assert_eq!(found.len(), 2);
}

#[test]
fn a_truncated_copy() {
    let (at_a, mut at_b) = pair();
    at_b.logs[0].leaves.truncate(7);
    let alone = found(std::slice::from_ref(&at_b));
    let truncated = (FindingKind::Truncated, b(), (7, 10), Some(a()), None);
    assert_eq!(alone, [truncated]);
    assert_eq!(found(&[at_a, at_b.clone()]), alone);
    // Without the checkpoint too, only this side's own receipt shows it.
    at_b.logs[0].checkpoints.pop();
    let shown = (FindingKind::Truncated, b(), (7, 10), None, None);
    assert_eq!(found(&[at_b]), [shown]);
}

#[test]
fn a_removed_leaf() {
    let (at_a, mut at_b) = pair();
    at_b.logs[0].leaves.remove(4);
    let removed = (FindingKind::Removed, b(), (4, 5), Some(a()), None);
    assert_eq!(found(&[at_a, at_b.clone()]), [removed]);
    let alone = found(&[at_b]);
    assert_eq!(
        alone[0],
        (FindingKind::Changed, b(), (3, 6), Some(a()), None)
    );
}

#[test]
fn reordered_leaves() {
    let (at_a, mut at_b) = pair();
    at_b.logs[0].leaves.swap(7, 8);
    let found = found(&[at_a, at_b]);
    assert_eq!(
        found[0],
        (FindingKind::TimeBackwards, b(), (8, 9), None, None)
    );
    assert_eq!(
        found[1],
        (FindingKind::Reordered, b(), (7, 9), Some(a()), None)
    );
    assert_eq!(found.len(), 2);
}

#[test]
fn a_fork_shown_to_one_side() {
    let (_, mut at_b) = pair();
    let mut other = Grown::new(a(), b(), 1, 1);
    other.add(voided(200));
    other.add_voided(6);
    other.checkpoint();
    at_b.logs[0].checkpoints.push(other.checkpoints[0].clone());
    let found = found(&[at_b]);
    assert_eq!(
        found[0],
        (FindingKind::Fork, b(), (0, 6), Some(a()), Some(a()))
    );
}

#[test]
fn a_split_view_of_one_size_and_of_two() {
    let (at_a, mut at_b) = pair();
    for size in [10, 8] {
        let mut other = Grown::new(a(), b(), 1, 1);
        other.add(voided(200));
        other.add_voided(size);
        other.checkpoint();
        at_b.logs[0] = other.evidence(a(), b());
        let found = found(&[at_a.clone(), at_b.clone()]);
        let split = |holder| {
            (
                FindingKind::SplitView,
                holder,
                (0, size),
                Some(a()),
                Some(a()),
            )
        };
        assert_eq!(found[0], split(a()), "{size}");
        let receipts = found.iter().filter(|f| f.0 != FindingKind::SplitView);
        assert!(
            receipts
                .clone()
                .all(|f| f.0 == FindingKind::Receipt && f.4.is_none())
        );
    }
}

#[test]
fn a_writer_that_was_rolled_back() {
    let (mut at_a, at_b) = pair();
    at_a.logs[0].leaves.truncate(6);
    at_a.logs[0].checkpoints.pop();
    // Exported before the last four were written, it is merely older.
    let mut older = at_a.clone();
    older.logs[1].leaves.truncate(2);
    older.logs[1].checkpoints.truncate(2);
    assert_eq!(found(&[older, at_b.clone()]), []);
    // Exported afterwards, with the writer's own signature over what it shows.
    let mut shown = Grown::new(a(), b(), 1, 1);
    shown.add_voided(6);
    let note = shown.log.checkpoint(&key(1), at(20)).unwrap();
    at_a.logs[0].checkpoints.push(note);
    let found_both = found(&[at_a.clone(), at_b]);
    assert_eq!(
        found_both,
        [(FindingKind::Rollback, a(), (6, 10), Some(a()), Some(a()))]
    );
    // With its mirror of the other log only, a receipt shows it and no signature of its own.
    assert_eq!(
        found(&[at_a]),
        [(FindingKind::Rollback, a(), (6, 10), None, None)]
    );
}

#[test]
fn an_epoch_opens_with_a_rollback_entry_or_convicts() {
    let (mut at_a, mut at_b) = pair();
    let roots = |size| {
        let mut log = Grown::new(a(), b(), 1, 1);
        log.add_voided(size);
        log.log.root()
    };
    let rollback = |kept_root| {
        let mut declared = Grown::new(a(), b(), 2, 1);
        declared.add(LeafBody::Rollback(Rollback {
            previous_epoch: 1,
            kept_size: 6,
            kept_root,
            countersigned_size: 10,
            countersigned_root: roots(10),
        }));
        declared.checkpoint();
        declared.evidence(a(), b())
    };
    // Said openly, the loss convicts nobody; it is told.
    at_a.logs[0].leaves.truncate(6);
    at_a.logs[0].checkpoints.pop();
    at_a.logs.push(rollback(roots(6)));
    at_b.logs.push(rollback(roots(6)));
    let verdict = verify(&[at_a.clone(), at_b], &trusted());
    assert_eq!(verdict.findings, []);
    let told = |text: &str| verdict.unproven.iter().any(|it| it.detail.contains(text));
    assert!(told("lost leaves 6 to 9 of epoch 1"));
    // With another beginning than it had signed it is a fork.
    at_a.logs[2] = rollback([0; 32]);
    assert_eq!(
        found(std::slice::from_ref(&at_a)),
        [(FindingKind::Fork, a(), (0, 1), Some(a()), Some(a()))]
    );
    let mut silent = Grown::new(a(), b(), 2, 1);
    silent.add_voided(2);
    silent.checkpoint();
    let (mut at_a, _) = pair();
    at_a.logs.push(silent.evidence(a(), b()));
    assert_eq!(
        found(&[at_a]),
        [(FindingKind::Rollback, a(), (0, 1), Some(a()), Some(a()))]
    );
}

#[test]
fn a_foreign_key_proves_nothing() {
    let (mut at_a, _) = pair();
    // A checkpoint by somebody else.
    let mut foreign = Grown::new(a(), b(), 1, 9);
    foreign.add(voided(200));
    foreign.checkpoint();
    let mut at_b = at_a.clone();
    at_b.logs[0]
        .checkpoints
        .push(foreign.checkpoints[0].clone());
    assert_eq!(
        found(&[at_b]),
        [(FindingKind::ForeignKey, a(), (0, 1), None, None)]
    );
    // A whole log by somebody else.
    at_a.logs[0] = foreign.evidence(a(), b());
    at_a.logs[1].leaves.clear();
    at_a.logs[1].checkpoints.clear();
    let verdict = verify(&[at_a], &trusted());
    assert_eq!(verdict.findings.len(), 1);
    assert_eq!(verdict.findings[0].kind, FindingKind::ForeignKey);
    assert_eq!(verdict.logs[0].signed, 0);
}

#[test]
fn a_rotated_key_is_followed() {
    let mut log = Grown::new(a(), b(), 1, 1);
    log.add_voided(2);
    log.checkpoint();
    log.add(LeafBody::KeyRotation(KeyRotation::sign(
        &a(),
        &key(1),
        &key(5),
    )));
    log.key = 5;
    log.add_voided(4);
    log.checkpoint();
    let verdict = verify(&[file(b(), vec![log.evidence(a(), b())])], &trusted());
    assert_eq!(verdict.findings, []);
    assert_eq!(verdict.logs[0].signed, 4);
    // The beginning may be signed by the new key, too.
    let note = log.log.checkpoint_at(1, &key(5), at(4)).unwrap();
    let mut early = log.evidence(a(), b());
    early.checkpoints = vec![note];
    let verdict = verify(&[file(b(), vec![early])], &trusted());
    assert_eq!((verdict.findings.len(), verdict.logs[0].signed), (0, 1));
    // The old key is over.
    log.key = 1;
    log.add_voided(5);
    log.checkpoint();
    assert_eq!(
        found(&[file(b(), vec![log.evidence(a(), b())])]),
        [(FindingKind::ForeignKey, b(), (0, 5), None, None)]
    );
    // A rotation by somebody else changes nothing.
    let mut log = Grown::new(a(), b(), 1, 1);
    log.add(LeafBody::KeyRotation(KeyRotation::sign(
        &a(),
        &key(6),
        &key(7),
    )));
    log.checkpoint();
    assert_eq!(
        found(&[file(b(), vec![log.evidence(a(), b())])]),
        [(FindingKind::ForeignKey, b(), (0, 1), None, None)]
    );
}

#[test]
fn a_key_that_was_rotated_to_two_is_named_and_convicts_nobody() {
    let rotated = |reader, epoch, to| {
        let mut log = Grown::new(a(), reader, epoch, 1);
        log.add_voided(2);
        let rotation = KeyRotation::sign(&a(), &key(1), &key(to));
        log.add(LeafBody::KeyRotation(rotation));
        log.key = to;
        log.add_voided(4);
        log.checkpoint();
        log
    };
    let c = ParticipantId::parse("did:web:c.example").unwrap();
    let log = |reader: &ParticipantId, to| {
        file(
            reader.clone(),
            vec![rotated(reader.clone(), 1, to).evidence(a(), reader.clone())],
        )
    };
    assert_eq!(found(&[log(&b(), 5), log(&c, 5)]), []);
    let split = |holder| (FindingKind::SplitView, holder, (2, 3), Some(a()), None);
    assert_eq!(found(&[log(&b(), 5), log(&c, 6)]), [split(b()), split(c)]);
}

#[test]
fn a_receipt_for_what_never_was() {
    let (mut at_a, _) = pair();
    let mut lying = Grown::new(b(), a(), 1, 2);
    lying.add(LeafBody::Receipt(Receipt {
        epoch: 1,
        size: 3,
        root: [7; 32],
    }));
    lying.checkpoint();
    at_a.logs[1] = lying.evidence(b(), a());
    assert_eq!(
        found(std::slice::from_ref(&at_a)),
        [(FindingKind::Receipt, a(), (0, 1), None, None)]
    );
    assert_eq!(verify(&[at_a], &trusted()).logs[0].countersigned, 0);
}

#[test]
fn changed_notes_and_other_versions_are_malformed() {
    let (mut at_a, _) = pair();
    at_a.logs[0].checkpoints[1] = at_a.logs[0].checkpoints[1].replacen("\n6\n", "\n7\n", 1);
    at_a.logs[0].checkpoints.push("not a note".into());
    let other_log = at_a.logs[1].clone();
    let mut mixed = Grown::new(a(), a(), 1, 1);
    mixed.add(voided(1));
    mixed.checkpoint();
    at_a.logs[0].checkpoints.push(mixed.checkpoints[0].clone());
    let kinds: Vec<FindingKind> = found(std::slice::from_ref(&at_a))
        .into_iter()
        .map(|f| f.0)
        .collect();
    assert_eq!(kinds, [FindingKind::Malformed; 3]);
    at_a.version = 2;
    at_a.logs = vec![other_log];
    let found = found(&[at_a]);
    assert_eq!(found, [(FindingKind::Malformed, a(), (0, 0), None, None)]);
}

/// A file of A's with one release of parcel data to B under an agreement that is in no manifest.
fn released_without_manifest(says_so: bool) -> EvidenceFile {
    let (from, until) = (at(0), at(86_400));
    let instant = |at: Timestamp| at.to_rfc3339(Zone::CHINA);
    let atom = |left: &str, operator: &str, right: serde_json::Value| serde_json::json!({ "leftOperand": left, "operator": operator, "rightOperand": right });
    let policy = serde_json::json!({ "permission": [{ "action": "use", "constraint": [
        atom("odrl:dateTime", "gteq", instant(from).into()),
        atom("odrl:dateTime", "lt", instant(until).into()),
        atom("odrl:purpose", "isAnyOf", vec!["delivery-tracking"].into()),
        atom("il:marketplace", "isAnyOf", vec!["shop"].into()),
        atom("il:field", "isAnyOf", vec!["waybill"].into()),
    ] }] });
    let dataset = Dataset::TrackingEvents;
    let terms = interlock_core::terms::parse_policy(&policy, dataset).unwrap();
    let mut log = Grown::new(a(), b(), 1, 1);
    log.add(LeafBody::Release(Release {
        request_id: RequestId::from_bytes([1; 16]),
        agreement: WireId::parse("urn:plain").unwrap(),
        dataset,
        lane: Some(Lane::Live),
        from_position: 1,
        to_position: 1,
        items: 1,
        items_root: [0; 32],
    }));
    log.checkpoint();
    let mut file = file(a(), vec![log.evidence(a(), b())]);
    file.agreements.push(AgreementEvidence {
        id: WireId::parse("urn:plain").unwrap(),
        provider: a(),
        consumer: b(),
        dataset,
        policy_hash: hex::encode(&terms.policy_hash()),
        policy,
        without_manifest: says_so,
    });
    file
}

#[test]
fn a_release_to_a_connector_that_signs_nothing_is_unproven_and_no_fault() {
    let said = released_without_manifest(true);
    let verdict = verify(std::slice::from_ref(&said), &trusted());
    assert_eq!(verdict.findings, []);
    let unproven = |word: &str| verdict.unproven.iter().any(|u| u.detail.contains(word));
    assert!(unproven("its holder's word"), "{:?}", verdict.unproven);

    let silent = released_without_manifest(false);
    let kinds = |file: &EvidenceFile| -> Vec<(FindingKind, Option<ParticipantId>)> {
        let found = found(std::slice::from_ref(file)).into_iter();
        found.map(|(kind, .., convicts)| (kind, convicts)).collect()
    };
    assert_eq!(kinds(&silent), [(FindingKind::NoAgreement, Some(a()))]);
    // Who has signed a manifest runs a node: the excuse does not count.
    let mut refuted = said;
    refuted.manifests.push(signed_by_both());
    assert_eq!(kinds(&refuted), [(FindingKind::NoAgreement, Some(a()))]);
}

fn signed_by_both() -> SignedManifest {
    let manifest = manifest();
    let sign = |id: ParticipantId, n| (id.clone(), manifest.sign(&id, &key(n)).unwrap());
    SignedManifest {
        signatures: BTreeMap::from([sign(a(), 1), sign(b(), 2)]),
        manifest: manifest.clone(),
    }
}

fn manifest() -> Manifest {
    let party = |n| Party {
        key: hex::encode(&public(n)),
    };
    let policy = PolicyRef {
        provider: a(),
        consumer: b(),
        dataset: Dataset::LockerEvents,
        policy_hash: hex::encode(&[3; 32]),
    };
    Manifest {
        version: MANIFEST_VERSION.into(),
        cooperation: WireId::parse("urn:c").unwrap(),
        parties: BTreeMap::from([(a(), party(1)), (b(), party(2))]),
        policies: BTreeMap::from([(WireId::parse("urn:a").unwrap(), policy)]),
        from: "2017-06-03T00:00:00+08:00".into(),
        until: "2017-07-01T00:00:00+08:00".into(),
        mediator: None,
        supersedes: None,
    }
}

#[test]
fn keys_come_from_manifests_that_both_have_signed() {
    let manifest = manifest();
    let mut signed = SignedManifest {
        signatures: BTreeMap::from([(a(), manifest.sign(&a(), &key(1)).unwrap())]),
        manifest,
    };
    let half = keys_of(std::slice::from_ref(&signed));
    assert_eq!(half, Err(ManifestError::Unsigned(b().as_str().into())));
    let by_b = signed.manifest.sign(&b(), &key(2)).unwrap();
    signed.signatures.insert(b(), by_b);
    assert_eq!(keys_of(&[signed.clone(), signed]), Ok(trusted()));
}
