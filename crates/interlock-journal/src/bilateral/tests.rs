//! A log and its mirror, honest and not.

use ed25519_dalek::SigningKey;
use interlock_core::ids::{ParticipantId, RequestId, WireId};
use interlock_core::time::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::checkpoint::CheckpointError;
use crate::merkle::Hash;

fn a() -> ParticipantId {
    ParticipantId::parse("did:web:a.example").unwrap()
}

fn b() -> ParticipantId {
    ParticipantId::parse("did:web:b.example").unwrap()
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_496_246_400_000 + ms)
}

fn leaf(ms: i64, n: u8) -> Leaf {
    let voided = Voided {
        request_id: RequestId::from_bytes([n; 16]),
        agreement: WireId::parse("urn:a").unwrap(),
        reason: "closing".into(),
    };
    Leaf::new(at(ms), LeafBody::Voided(voided))
}

fn pair() -> (OutLog, MirrorLog) {
    let mirror = MirrorLog::new(a(), b(), 1, &key(1).verifying_key());
    (OutLog::new(a(), b(), 1), mirror)
}

fn sent(out: &OutLog, from: u64) -> Vec<Vec<u8>> {
    let leaves = out.leaves_from(from, 5_000).unwrap();
    leaves.map(<[u8]>::to_vec).collect()
}

/// A pair that has exchanged `n` leaves, one a second.
fn exchanged(n: u8) -> (OutLog, MirrorLog) {
    let (mut out, mut mirror) = pair();
    for i in 0..n {
        out.append(&leaf(i64::from(i) * 1_000, i)).unwrap();
    }
    let now = at(i64::from(n) * 1_000);
    let note = out.checkpoint(&key(1), now).unwrap();
    mirror.accept(0, &sent(&out, 0), &note, now).unwrap();
    (out, mirror)
}

#[test]
fn a_mirror_follows_and_receipts_let_leaves_go() {
    let (mut out, mut mirror) = pair();
    for round in 0..5i64 {
        out.check_receipts().unwrap();
        for i in 0..3u8 {
            out.append(&leaf(round * 1_000, i)).unwrap();
        }
        out.answered().unwrap();
        let now = at(round * 1_000 + 10);
        let note = out.checkpoint(&key(1), now).unwrap();
        let from = mirror.size();
        let accepted = mirror.accept(from, &sent(&out, from), &note, now).unwrap();
        assert_eq!(accepted.from, from);
        assert_eq!(accepted.leaves.len(), 3);
        assert_eq!(accepted.late, 0);
        assert_eq!(accepted.receipt.root, out.root());
        assert_eq!(mirror.note(), Some(note.as_str()));
        out.receipted(&accepted.receipt).unwrap();
        assert_eq!(out.acknowledged(), out.size());
        assert!(sent(&out, out.size()).is_empty());
    }
    assert_eq!(out.leaves_from(3, 1).err(), Some(OutError::NotHeld(3)));
    let state = postcard::to_allocvec(&(out.clone(), mirror.clone())).unwrap();
    let read: (OutLog, MirrorLog) = postcard::from_bytes(&state).unwrap();
    assert_eq!(read, (out, mirror));
}

#[test]
fn a_third_answer_waits_for_a_receipt() {
    let (mut out, _) = pair();
    for i in 0..2 {
        out.append(&leaf(0, i)).unwrap();
        out.answered().unwrap();
    }
    // A repeat of the last answer is not another one.
    out.answered().unwrap();
    out.append(&leaf(0, 9)).unwrap();
    assert_eq!(out.check_receipts(), Err(OutError::ReceiptMissing));
    assert_eq!(out.answered(), Err(OutError::ReceiptMissing));
    let receipt = |size, root| Receipt {
        epoch: 1,
        size,
        root,
    };
    let root = out.root_at(1).unwrap();
    let wrong = out.receipted(&receipt(1, [0; 32]));
    assert_eq!(wrong, Err(OutError::OtherRoot { size: 1 }));
    let ahead = out.receipted(&receipt(4, root));
    assert_eq!(ahead, Err(OutError::AheadOfUs { size: 4, held: 3 }));
    let other = Receipt {
        epoch: 2,
        ..receipt(1, root)
    };
    assert!(matches!(
        out.receipted(&other),
        Err(OutError::OtherEpoch { .. })
    ));
    assert_eq!(out.check_receipts(), Err(OutError::ReceiptMissing));
    out.receipted(&receipt(1, root)).unwrap();
    out.check_receipts().unwrap();
}

#[test]
fn repeats_and_overlaps_are_taken_and_change_nothing() {
    let (mut out, mut mirror) = exchanged(4);
    let before = mirror.clone();
    let note = out.checkpoint(&key(1), at(4_500)).unwrap();
    let accepted = mirror.accept(1, &sent(&out, 1), &note, at(4_500)).unwrap();
    assert!(accepted.leaves.is_empty());
    // An older answer that arrives late is as good.
    let old = out.checkpoint_at(2, &key(1), at(4_500)).unwrap();
    mirror
        .accept(0, &sent(&out, 0)[..2], &old, at(999_000))
        .unwrap();
    assert_eq!(mirror, before);
    out.append(&leaf(5_000, 9)).unwrap();
    let note = out.checkpoint(&key(1), at(5_000)).unwrap();
    let accepted = mirror.accept(2, &sent(&out, 2), &note, at(5_000)).unwrap();
    assert_eq!((accepted.from, accepted.leaves.len()), (4, 1));
    let gap = mirror.accept(6, &sent(&out, 5), &note, at(5_000));
    assert_eq!(gap, Err(MirrorError::Gap { expected: 5 }));
}

#[test]
fn a_fork_convicts_its_signer() {
    let (_, mut mirror) = exchanged(4);
    let before = mirror.clone();
    // The same log until leaf 2, and then another.
    let mut forked = OutLog::new(a(), b(), 1);
    for (ms, n) in [(0, 0), (1_000, 1), (2_000, 77), (3_000, 3)] {
        forked.append(&leaf(ms, n)).unwrap();
    }
    let now = at(4_200);
    // Of the same size.
    let note = forked.checkpoint(&key(1), now).unwrap();
    let error = mirror.accept(4, &sent(&forked, 4), &note, now).unwrap_err();
    let MirrorError::Fork(evidence) = error else {
        panic!("{error}");
    };
    assert_eq!(evidence.size, 4);
    assert_eq!(Some(evidence.held.as_str()), mirror.note());
    assert_eq!(evidence.offered, note);
    // Of a smaller size.
    let note = forked.checkpoint_at(3, &key(1), now).unwrap();
    let error = mirror
        .accept(0, &sent(&forked, 0)[..3], &note, now)
        .unwrap_err();
    assert!(matches!(error, MirrorError::Fork(e) if e.size == 3));
    // Of a larger one, with the leaf that differs.
    forked.append(&leaf(4_100, 5)).unwrap();
    let note = forked.checkpoint(&key(1), now).unwrap();
    let error = mirror.accept(0, &sent(&forked, 0), &note, now).unwrap_err();
    assert!(matches!(error, MirrorError::Fork(e) if e.size == 3));
    // Of a larger one, without it: not proven here.
    let error = mirror.accept(4, &sent(&forked, 4), &note, now).unwrap_err();
    assert!(matches!(error, MirrorError::OtherRoot { size: 5, .. }));
    assert_eq!(mirror, before);
}

#[test]
fn what_is_not_right_is_refused_and_changes_nothing() {
    let (mut out, mut mirror) = exchanged(3);
    let before = mirror.clone();
    out.append(&leaf(4_000, 4)).unwrap();
    let now = at(4_000);
    let good = sent(&out, 3);
    let note = out.checkpoint(&key(1), now).unwrap();
    let mut accept = |leaves: &[Vec<u8>], note: &str, now| mirror.accept(3, leaves, note, now);

    let foreign = out.checkpoint(&key(2), now).unwrap();
    assert_eq!(
        accept(&good, &foreign, now),
        Err(MirrorError::Checkpoint(CheckpointError::UnknownSigner))
    );
    let changed = leaf(4_000, 5).encode().unwrap();
    assert!(matches!(
        accept(&[changed], &note, now),
        Err(MirrorError::OtherRoot { .. })
    ));
    assert!(matches!(
        accept(&[vec![1, 2, 3]], &note, now),
        Err(MirrorError::Leaf { index: 3, .. })
    ));
    assert_eq!(
        accept(&[], &note, now),
        Err(MirrorError::OtherSize { size: 4, given: 3 })
    );
    // This node's clock is 61 s behind, then 61 s ahead.
    assert_eq!(
        accept(&good, &note, at(4_000 - 61_000)),
        Err(MirrorError::Skew {
            index: 3,
            skew_ms: 61_000
        })
    );
    assert_eq!(
        accept(&good, &note, at(4_000 + 61_000)),
        Err(MirrorError::Skew {
            index: 4,
            skew_ms: -61_000
        })
    );
    let mut other = OutLog::new(a(), b(), 2);
    other.append(&leaf(0, 0)).unwrap();
    let other = other.checkpoint(&key(1), now).unwrap();
    assert!(matches!(
        accept(&good, &other, now),
        Err(MirrorError::OtherLog { .. })
    ));
    assert_eq!(mirror, before);
    mirror.accept(3, &good, &note, now).unwrap();
}

#[test]
fn times_never_go_back() {
    let (mut out, _) = exchanged(3);
    assert_eq!(out.append(&leaf(1_999, 9)), Err(OutError::TimeBackwards));
    assert_eq!(
        out.checkpoint(&key(1), at(0)).err(),
        Some(OutError::TimeBackwards)
    );

    // A writer that does not care.
    let (_, mut mirror) = exchanged(3);
    let mut careless = OutLog::new(a(), b(), 1);
    for i in 0..3u8 {
        careless.append(&leaf(i64::from(i) * 1_000, i)).unwrap();
    }
    let mut tree = crate::merkle::Frontier::new();
    let early = leaf(1_500, 9).encode().unwrap();
    for bytes in sent(&careless, 0).iter().chain([&early]) {
        tree.append(crate::merkle::leaf_hash(bytes));
    }
    let note = crate::checkpoint::Checkpoint {
        origin: careless.origin(),
        size: 4,
        root: tree.root(),
        time: at(3_000),
    };
    let note = note.sign(&key(1), "did:web:a.example").unwrap();
    assert_eq!(
        mirror.accept(3, &[early], &note, at(3_000)),
        Err(MirrorError::TimeBackwards { index: 3 })
    );
}

#[test]
fn leaves_that_waited_for_a_connection_are_taken_and_called_late() {
    let (mut out, mut mirror) = exchanged(1);
    out.append(&leaf(2_000, 1)).unwrap();
    out.append(&leaf(3_600_000, 2)).unwrap();
    let now = at(3_600_500);
    let note = out.checkpoint(&key(1), now).unwrap();
    let accepted = mirror.accept(1, &sent(&out, 1), &note, now).unwrap();
    assert_eq!((accepted.leaves.len(), accepted.late), (2, 1));
}

#[test]
fn a_key_is_rotated_by_both_keys() {
    let (mut out, mut mirror) = exchanged(2);
    let rotation = KeyRotation::sign(&a(), &key(1), &key(2));
    out.append(&Leaf::new(at(3_000), LeafBody::KeyRotation(rotation)))
        .unwrap();
    let now = at(3_000);
    let old = out.checkpoint(&key(1), now).unwrap();
    assert_eq!(
        mirror.accept(2, &sent(&out, 2), &old, now),
        Err(MirrorError::Checkpoint(CheckpointError::UnknownSigner))
    );
    let note = out.checkpoint(&key(2), now).unwrap();
    let accepted = mirror.accept(2, &sent(&out, 2), &note, now).unwrap();
    let new_key = key(2).verifying_key().to_bytes();
    assert_eq!(accepted.rotated_to, Some(new_key));
    assert_eq!(mirror.key(), &new_key);

    let stolen = KeyRotation::sign(&a(), &key(3), &key(4));
    out.append(&Leaf::new(at(4_000), LeafBody::KeyRotation(stolen)))
        .unwrap();
    let note = out.checkpoint(&key(4), at(4_000)).unwrap();
    assert_eq!(
        mirror.accept(3, &sent(&out, 3), &note, at(4_000)),
        Err(MirrorError::Rotation { index: 3 })
    );
}

#[test]
fn the_beginning_of_a_log_may_be_signed_by_a_later_key() {
    let (mut out, _) = exchanged(3);
    let rotation = KeyRotation::sign(&a(), &key(1), &key(2));
    let now = at(4_000);
    out.append(&Leaf::new(now, LeafBody::KeyRotation(rotation.clone())))
        .unwrap();
    let mut mirror = pair().1;
    let beginning = &sent(&out, 0)[..2];
    let note = out.checkpoint_at(2, &key(2), now).unwrap();
    let unknown = Err(MirrorError::Checkpoint(CheckpointError::UnknownSigner));
    assert_eq!(mirror.accept(0, beginning, &note, now), unknown);
    let later = [rotation.new_key];
    let foreign = out.checkpoint_at(2, &key(3), now).unwrap();
    assert_eq!(
        mirror.accept_by(0, beginning, &foreign, now, &later),
        unknown
    );
    mirror.accept_by(0, beginning, &note, now, &later).unwrap();
    assert_eq!(
        mirror.key(),
        &rotation.old_key,
        "the log has not come to the rotation"
    );
    let note = out.checkpoint(&key(2), now).unwrap();
    mirror
        .accept_by(2, &sent(&out, 2), &note, now, &later)
        .unwrap();
    assert_eq!(mirror.key(), &rotation.new_key);
    // Whoever has pinned the new key takes the rotation for what it is.
    let mut mirror = MirrorLog::new(a(), b(), 1, &key(2).verifying_key());
    mirror.accept(0, &sent(&out, 0), &note, now).unwrap();
    assert_eq!(mirror.key(), &rotation.new_key);
}

#[test]
fn whoever_pins_a_later_key_takes_the_rotations_before_it_for_history() {
    let (mut out, _) = exchanged(2);
    let rotate = |out: &mut OutLog, from: u8, to: u8, time: i64| {
        let rotation = KeyRotation::sign(&a(), &key(from), &key(to));
        out.append(&Leaf::new(at(time), LeafBody::KeyRotation(rotation)))
            .unwrap();
    };
    rotate(&mut out, 1, 2, 3_000);
    rotate(&mut out, 2, 3, 3_500);
    rotate(&mut out, 3, 4, 4_000);
    let now = at(4_000);
    let note = out.checkpoint(&key(4), now).unwrap();
    let pinned = |n| MirrorLog::new(a(), b(), 1, &key(n).verifying_key());
    for n in [1, 2, 3, 4] {
        let mut mirror = pinned(n);
        mirror.accept(0, &sent(&out, 0), &note, now).unwrap();
        assert_eq!(mirror.key(), key(4).verifying_key().as_bytes(), "{n}");
    }
    // In two parts, the second of which no earlier key may sign.
    let mut mirror = pinned(4);
    let first = out.checkpoint_at(3, &key(4), now).unwrap();
    mirror.accept(0, &sent(&out, 0)[..3], &first, now).unwrap();
    let unknown = Err(MirrorError::Checkpoint(CheckpointError::UnknownSigner));
    let old = out.checkpoint(&key(3), now).unwrap();
    assert_eq!(mirror.accept(3, &sent(&out, 3), &old, now), unknown);
    mirror.accept(3, &sent(&out, 3), &note, now).unwrap();
    // From there on a rotation of another key is refused, as is one to the same key.
    for (from, to) in [(1, 2), (2, 5), (4, 4)] {
        let mut out = out.clone();
        rotate(&mut out, from, to, 4_000);
        let note = out.checkpoint(&key(4), now).unwrap();
        let index = out.size() - 1;
        assert_eq!(
            mirror.accept(index, &sent(&out, index), &note, now),
            Err(MirrorError::Rotation { index })
        );
    }
    // Before it, too, both keys must have signed.
    let (mut out, _) = exchanged(2);
    let mut forged = KeyRotation::sign(&a(), &key(1), &key(2));
    forged.old_signature = forged.new_signature;
    out.append(&Leaf::new(now, LeafBody::KeyRotation(forged)))
        .unwrap();
    let note = out.checkpoint(&key(4), now).unwrap();
    assert_eq!(
        pinned(4).accept(0, &sent(&out, 0), &note, now),
        Err(MirrorError::Rotation { index: 2 })
    );
}

#[test]
fn memory_is_bounded() {
    let (mut out, mut mirror) = pair();
    let total = RECENT_LEAVES_MAX as u64 * 3;
    for _ in 0..total {
        out.append(&leaf(0, 1)).unwrap();
    }
    let note = out.checkpoint(&key(1), at(0)).unwrap();
    mirror.accept(0, &sent(&out, 0), &note, at(0)).unwrap();
    let size_bytes = postcard::to_allocvec(&mirror).unwrap().len();
    assert!(size_bytes < 64 * 1024, "{size_bytes}");
    for _ in total..UNACKNOWLEDGED_LEAVES_MAX as u64 {
        out.append(&leaf(0, 1)).unwrap();
    }
    assert_eq!(
        out.append(&leaf(0, 1)),
        Err(OutError::TooManyUnacknowledged)
    );
    out.acknowledge(1).unwrap();
    out.append(&leaf(0, 1)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_lost_or_repeated_the_mirror_ends_equal(
        steps in proptest::collection::vec((0usize..4, 0u64..3, 1usize..6, any::<bool>()), 1..25),
    ) {
        let (mut out, mut mirror) = pair();
        let mut ms = 0;
        let mut roots: Vec<Hash> = vec![out.root()];
        for (appended, back, leaves_max, lost) in steps {
            for i in 0..appended {
                ms += 100;
                out.append(&leaf(ms, u8::try_from(i).unwrap())).unwrap();
                roots.push(out.root());
            }
            let from = mirror.size().saturating_sub(back).max(out.acknowledged());
            let leaves: Vec<Vec<u8>> =
                out.leaves_from(from, leaves_max).unwrap().map(<[u8]>::to_vec).collect();
            let size = from + leaves.len() as u64;
            prop_assert_eq!(out.root_at(size).unwrap(), roots[usize::try_from(size).unwrap()]);
            let note = out.checkpoint_at(size, &key(1), at(ms)).unwrap();
            let held = mirror.size();
            let accepted = mirror.accept(from, &leaves, &note, at(ms)).unwrap();
            prop_assert_eq!(mirror.size(), held.max(size));
            if !lost {
                out.receipted(&accepted.receipt).unwrap();
            }
        }
        let rest = sent(&out, mirror.size());
        let note = out.checkpoint(&key(1), at(ms)).unwrap();
        mirror.accept(mirror.size(), &rest, &note, at(ms)).unwrap();
        prop_assert_eq!(mirror.receipt().root, out.root());
    }
}
