//! Two views of a period: what agrees, and every way in which two can differ.

use super::*;
use crate::bilateral::{Denial, Lane, Release, Request};

const ALL: (Timestamp, Timestamp) = (Timestamp::from_millis(0), Timestamp::from_millis(i64::MAX));

fn released(n: u8, items: u32, lane: Lane) -> LeafBody {
    LeafBody::Release(Release {
        request_id: RequestId::from_bytes([n; 16]),
        agreement: WireId::parse("urn:a").unwrap(),
        dataset: Dataset::LockerEvents,
        lane: Some(lane),
        from_position: 1,
        to_position: items.into(),
        items,
        items_root: [n; 32],
    })
}

fn refused(n: u8) -> LeafBody {
    LeafBody::Denial(Denial {
        request_id: RequestId::from_bytes([n; 16]),
        agreement: None,
        reason: "term-ended".into(),
        items: 0,
        items_root: [0; 32],
    })
}

fn asked(n: u8) -> LeafBody {
    LeafBody::Request(Request {
        request_id: RequestId::from_bytes([n; 16]),
        agreement: WireId::parse("urn:a").unwrap(),
        dataset: Dataset::RecipientContact,
        purpose: "pickup-notification".into(),
        items: 2,
        items_root: [n; 32],
    })
}

/// A released 3 live, refused twice, released 5 of a backlog; B asked for 2 and acknowledged all but the
/// last release.
fn both() -> (Grown, Grown) {
    let mut from_a = Grown::new(a(), b(), 1, 1);
    for body in [released(1, 3, Lane::Live), refused(2), refused(3)] {
        from_a.add(body);
    }
    let receipt = from_a.checkpoint();
    from_a.add(released(4, 5, Lane::Backlog));
    from_a.checkpoint();
    let mut from_b = Grown::new(b(), a(), 1, 2);
    from_b.add(asked(9));
    from_b.add(LeafBody::Receipt(receipt));
    from_b.checkpoint();
    (from_a, from_b)
}

fn files((from_a, from_b): &(Grown, Grown)) -> (EvidenceFile, EvidenceFile) {
    let logs = vec![from_a.evidence(a(), b()), from_b.evidence(b(), a())];
    (file(a(), logs.clone()), file(b(), logs))
}

/// Sender, matter, sent, held, received.
fn lines(found: &Reconciliation) -> Vec<(bool, String, u64, u64, u64)> {
    let line = |l: &Line| (l.from == a(), l.matter.words(), l.sent, l.held, l.received);
    found.lines.iter().map(line).collect()
}

#[test]
fn two_that_tell_the_same_agree_line_by_line() {
    let (one, two) = files(&both());
    let found = reconcile(&one, &two, ALL, &trusted());
    let wanted = [
        (true, "released locker-events, live", 3, 3, 3),
        (true, "released locker-events, backlog", 5, 5, 0),
        (true, "refused: term-ended", 2, 2, 2),
        (false, "asked for recipient-contact", 2, 2, 0),
    ];
    let wanted = wanted.map(|(from_a, words, sent, held, received)| {
        (from_a, words.to_owned(), sent, held, received)
    });
    assert_eq!(lines(&found), wanted);
    // What was not acknowledged is a difference, and is named.
    let open: Vec<&str> = found.lines.iter().map(|l| l.difference.as_str()).collect();
    assert_eq!(open[0], "");
    assert!(
        open[1].contains("did:web:b.example has signed no receipt for 5"),
        "{open:?}"
    );
    assert!(found.differences.is_empty());
    // The order of the files does not matter.
    let turned = reconcile(&two, &one, ALL, &trusted());
    assert_eq!(turned.lines, found.lines);
}

#[test]
fn only_the_period_counts_half_open() {
    let (one, two) = files(&both());
    let found = reconcile(&one, &two, (at(1), at(3)), &trusted());
    let words: Vec<_> = found
        .lines
        .iter()
        .map(|l| (l.matter.words(), l.sent))
        .collect();
    assert_eq!(words, [("refused: term-ended".into(), 2)]);
    let nothing = reconcile(&one, &two, (at(50), at(60)), &trusted());
    assert!(nothing.lines.is_empty() && nothing.agrees());
}

#[test]
fn what_only_one_side_has_is_named_by_leaf_and_side() {
    let (one, two) = files(&both());
    // B has not heard of the last leaf.
    let mut behind = two.clone();
    behind.logs[0].leaves.pop();
    behind.logs[0].checkpoints.pop();
    let found = reconcile(&one, &behind, ALL, &trusted());
    let backlog = &found.lines[1];
    assert_eq!((backlog.sent, backlog.held), (5, 0));
    assert_eq!(backlog.difference, "did:web:b.example does not hold leaf 3");
    assert_eq!(found.differences.len(), 1, "{:?}", found.differences);
    assert!(found.differences[0].contains("did:web:b.example has not leaf 3"));
    assert!(!found.agrees());
    // A shows less than it signed.
    let mut hides = one.clone();
    hides.logs[0].leaves.truncate(1);
    let found = reconcile(&hides, &two, ALL, &trusted());
    assert!(
        found
            .lines
            .iter()
            .any(|l| l.difference.contains("did:web:a.example does not show"))
    );
    assert!(
        !found.comparison.verdict.findings.is_empty(),
        "its own receipt convicts it"
    );
}

#[test]
fn two_histories_are_a_difference_though_the_counts_agree() {
    let (one, two) = (files(&both()).0, {
        let mut other = both();
        other.0 = Grown::new(a(), b(), 1, 1);
        for body in [released(7, 3, Lane::Live), refused(2), refused(3)] {
            other.0.add(body);
        }
        other.0.checkpoint();
        other.0.add(released(4, 5, Lane::Backlog));
        other.0.checkpoint();
        files(&other).1
    });
    let found = reconcile(&one, &two, ALL, &trusted());
    let live = &found.lines[0];
    assert_eq!((live.sent, live.held), (3, 3));
    assert!(live.difference.contains("leaf 0"), "{}", live.difference);
    assert!(
        found
            .differences
            .iter()
            .any(|d| d.contains("after 0 leaves"))
    );
    assert!(!found.agrees());
}

#[test]
fn files_of_others_have_no_lines() {
    let (one, _) = files(&both());
    let stranger = file(
        ParticipantId::parse("did:web:c.example").unwrap(),
        Vec::new(),
    );
    let found = reconcile(&one, &stranger, ALL, &trusted());
    assert!(found.lines.is_empty());
}
