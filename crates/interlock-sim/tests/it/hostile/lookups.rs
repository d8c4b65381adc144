//! Lookups that nobody should answer.

use interlock::exchange::wire::{LookupOutcome, LookupRequest};
use interlock::node::io::{PeerRequest, Problem};
use interlock_core::dataset::Dataset;
use interlock_core::time::{DAY_MS, MINUTE_MS};

use crate::support::*;

const OURS: &str = "SF1000000000001";
const THEIRS: &str = "SF2000000000001";
const NOBODYS: &str = "SF3000000000001";

/// Cainiao with a parcel, JD with another, and Fengchao's key in other hands.
fn begin(seed: u64) -> (Network, Hostile) {
    begin_with(seed, |_| {})
}

fn begin_with(seed: u64, change: impl Fn(&mut interlock_core::terms::Terms)) -> (Network, Hostile) {
    let mut net = Network::with_terms(seed, change);
    net.put_station(FENGCHAO, "FC0001", 20);
    net.put_parcel(OURS, "taobao", CAINIAO, "13800000001");
    net.put_parcel(THEIRS, "jd", JD, "13900000001");
    net.world.settle();
    let hostile = Hostile::new(&mut net, FENGCHAO, CAINIAO);
    (net, hostile)
}

/// What an attack must not change: parcels, usage, ledger, what others were given.
fn released(net: &Network) -> (u64, usize) {
    let state = net.world.node(CAINIAO).unwrap().state();
    let uses = state.parcels.iter().map(|p| p.uses.len()).sum();
    (state.counters.releases, uses)
}

fn refused(outcome: Result<impl std::fmt::Debug, Problem>, status: u16, kind: &str) {
    let problem = outcome.expect_err(kind);
    assert_eq!((problem.status, problem.kind.as_str()), (status, kind));
    assert!(!problem.detail.is_empty(), "says what to do");
}

/// The carrier goes on, and so does the node after a restart.
fn others_go_on(net: &mut Network) {
    net.track(SF, OURS, "accepted");
    assert_eq!(net.steps(CAINIAO, OURS), ["accepted"]);
    net.assert_replay_of(&[CAINIAO, SF, JD]);
}

#[test]
fn a_lookup_without_reason_is_denied() {
    let (mut net, mut hostile) = begin(100);
    let now = net.world.now();
    type Change = fn(&mut LookupRequest);
    let cases: [(&str, Change); 5] = [
        ("evidence-missing", |r| r.items[0].evidence = None),
        ("purpose-not-granted", |r| r.purpose = "courier-call".into()),
        ("purpose-not-granted", |r| r.purpose = "marketing".into()),
        ("form-not-granted", |r| {
            r.form = Some(interlock_core::contact::ContactForm::Full)
        }),
        ("evidence-missing", |r| {
            let evidence = r.items[0].evidence.as_mut().unwrap();
            evidence.at = evidence.at.plus_ms(10 * MINUTE_MS);
        }),
    ];
    for (expected, change) in cases {
        let mut answers = Vec::new();
        for number in [OURS, THEIRS, NOBODYS] {
            let item = hostile.item(number, now);
            let mut request = hostile.request(vec![item]);
            change(&mut request);
            let answer = hostile.lookup(&mut net.world, &request).expect("answered");
            hostile.sign_receipt(now);
            answers.push(reason(&answer.items[0]));
        }
        assert_eq!(
            answers, [expected; 3],
            "the answer tells nothing of whose parcel it is"
        );
    }
    assert_eq!(released(&net), (0, 0));
    assert_eq!(
        hostile.look(&mut net, OURS),
        "",
        "the right question is answered"
    );
    others_go_on(&mut net);
}

#[test]
fn a_rivals_parcel_and_no_parcel_look_the_same() {
    let (mut net, mut hostile) = begin(101);
    let now = net.world.now();
    let mut sizes = Vec::new();
    for number in [THEIRS, NOBODYS, "XX"] {
        let item = hostile.item(number, now);
        let request = hostile.request(vec![item]);
        let agreement = hostile.lookup_agreement();
        hostile.write_request(now, &request, &request.items.clone(), &agreement);
        let envelope = hostile.envelope(now, request);
        let transfer = wire(&format!("{agreement}:p"));
        let asked = PeerRequest::Lookup { transfer, envelope };
        let answer = hostile.ask(&mut net.world, &asked).unwrap();
        hostile.sign_receipt(now);
        let (status, _) = interlock::exchange::http::encode_answer(&answer);
        let interlock::node::io::PeerAnswer::Lookup(envelope) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(reason(&envelope.body.items[0]), "unknown-parcel");
        let leaves: Vec<usize> = envelope.evidence.leaves.iter().map(|l| l.0.len()).collect();
        let body = serde_json::to_vec(&envelope.body).unwrap().len();
        sizes.push((status, body, leaves));
    }
    assert!(sizes.windows(2).all(|pair| pair[0] == pair[1]), "{sizes:?}");
    assert_eq!(released(&net), (0, 0));
}

#[test]
fn a_parcel_of_another_marketplace_of_the_owner_looks_like_none() {
    let (mut net, mut hostile) = begin_with(102, |terms| {
        if terms.dataset == Dataset::RecipientContact {
            terms.marketplaces = ["tmall"]
                .map(|m| interlock_core::ids::Marketplace::parse(m).unwrap())
                .into();
        }
    });
    assert_eq!(hostile.look(&mut net, OURS), "unknown-parcel");
    assert_eq!(hostile.look(&mut net, NOBODYS), "unknown-parcel");
    assert_eq!(released(&net), (0, 0));
}

#[test]
fn after_the_term_run_off_covers_what_was_there_before_and_nothing_else() {
    let (mut net, mut hostile) = begin(103);
    net.world.run_until(MIDNIGHT.plus_ms(-500));
    assert_eq!(hostile.look(&mut net, OURS), "closing");
    net.world.run_until(MIDNIGHT);
    net.put_parcel("SF1000000000002", "taobao", CAINIAO, "13800000002");
    net.world.settle();
    assert_eq!(hostile.look(&mut net, OURS), "", "run-off");
    for late in ["SF1000000000002", THEIRS, NOBODYS] {
        assert_eq!(hostile.look(&mut net, late), "not-in-run-off");
    }
    let now = net.world.now();
    let item = hostile.item("SF1000000000002", MIDNIGHT.plus_ms(-DAY_MS));
    let request = hostile.request(vec![item]);
    let backdated = hostile.lookup(&mut net.world, &request).unwrap();
    assert_eq!(
        reason(&backdated.items[0]),
        "not-in-run-off",
        "evidence dated back qualifies nothing"
    );
    hostile.sign_receipt(now);
    let before = released(&net);
    net.world.run_until(MIDNIGHT.plus_ms(7 * DAY_MS));
    // What is over answers the same of every parcel but of one that was served to the end.
    for (number, expected) in [("SF1000000000002", "term-ended"), (NOBODYS, "term-ended")] {
        assert_eq!(hostile.look(&mut net, number), expected);
    }
    assert_ne!(hostile.look(&mut net, OURS), "");
    assert_eq!(released(&net), before);
}

#[test]
fn what_is_asked_must_be_on_the_log_as_it_is_asked() {
    let (mut net, mut hostile) = begin(104);
    let now = net.world.now();
    let item = hostile.item(OURS, now);
    let request = hostile.request(vec![item]);
    refused(
        hostile.send_lookup(&mut net.world, &request),
        422,
        "evidence-mismatch",
    );
    let other = hostile.item(NOBODYS, now);
    let agreement = hostile.lookup_agreement();
    hostile.write_request(now, &request, &[other], &agreement);
    refused(
        hostile.send_lookup(&mut net.world, &request),
        422,
        "evidence-mismatch",
    );
    let mut purpose = request.clone();
    purpose.purpose = "courier-call".into();
    hostile.write_request(now, &purpose, &request.items, &agreement);
    refused(
        hostile.send_lookup(&mut net.world, &request),
        422,
        "evidence-mismatch",
    );
    hostile.write_request(now, &request, &request.items, &wire("urn:another"));
    refused(
        hostile.send_lookup(&mut net.world, &request),
        422,
        "evidence-mismatch",
    );
    assert_eq!(released(&net), (0, 0));
    others_go_on(&mut net);
}

#[test]
fn a_repeated_id_is_the_same_request() {
    let (mut net, mut hostile) = begin(105);
    let now = net.world.now();
    let item = hostile.item(OURS, now);
    let request = hostile.request(vec![item]);
    let first = hostile.lookup(&mut net.world, &request).unwrap();
    let after_first = released(&net);
    let again = hostile.send_lookup(&mut net.world, &request).unwrap();
    assert_eq!(first, again);
    let records = net.world.journal(CAINIAO).len();
    let mut other = request.clone();
    other.items = vec![hostile.item(NOBODYS, now)];
    refused(
        hostile.lookup(&mut net.world, &other),
        422,
        "request-id-reused",
    );
    assert_eq!(released(&net), after_first, "no debit");
    assert_eq!(
        net.world.journal(CAINIAO).len(),
        records + 1,
        "only its own log is kept"
    );
    // Receipted, it is still that one release.
    hostile.sign_receipt(now);
    assert_eq!(
        hostile.send_lookup(&mut net.world, &request).unwrap(),
        first
    );
    assert_eq!(released(&net), after_first);
}

/// Requests that are under way at the same time, over connections of their own and in any order.
#[test]
fn a_quota_is_not_won_by_asking_on_many_connections_at_once() {
    let (mut net, mut hostile) = begin_with(108, |terms| {
        if terms.dataset == Dataset::RecipientContact {
            terms.quota_per_day = Some(3);
        }
    });
    let numbers: Vec<String> = (10..18).map(|n| format!("SF10000000000{n}")).collect();
    for number in &numbers {
        net.put_parcel(number, "taobao", CAINIAO, "13800000002");
    }
    let now = net.world.now();
    let agreement = hostile.lookup_agreement();
    let requests: Vec<LookupRequest> = numbers
        .chunks(2)
        .map(|pair| {
            let items = pair
                .iter()
                .map(|number| hostile.item(number, now))
                .collect();
            let request = hostile.request(items);
            hostile.write_request(now, &request, &request.items.clone(), &agreement);
            request
        })
        .collect();
    for request in requests.iter().rev() {
        let envelope = hostile.envelope(now, request.clone());
        let transfer = wire(&format!("{agreement}:p"));
        let asked = PeerRequest::Lookup { transfer, envelope };
        net.world.call(FENGCHAO, CAINIAO, asked.clone());
        net.world.call(FENGCHAO, CAINIAO, asked);
    }
    net.world.settle();
    let (released, uses) = released(&net);
    assert_eq!(
        (released, uses),
        (3, 3),
        "the quota, and no repeat debits it"
    );
    others_go_on(&mut net);
}

#[test]
fn quotas_count_within_a_batch_and_across() {
    let (mut net, mut hostile) = begin_with(106, |terms| {
        if terms.dataset == Dataset::RecipientContact {
            terms.quota_per_day = Some(2);
            terms.quota_per_parcel = Some(2);
        }
    });
    for n in 2..=3 {
        net.put_parcel(
            &format!("SF100000000000{n}"),
            "taobao",
            CAINIAO,
            "13800000002",
        );
    }
    let now = net.world.now();
    let numbers = [
        OURS,
        OURS,
        OURS,
        "SF1000000000002",
        "SF1000000000003",
        NOBODYS,
    ];
    let items = numbers.map(|number| hostile.item(number, now)).to_vec();
    let request = hostile.request(items);
    let answer = hostile.lookup(&mut net.world, &request).unwrap();
    hostile.sign_receipt(now);
    let reasons: Vec<String> = answer.items.iter().map(reason).collect();
    assert_eq!(
        reasons,
        [
            "",
            "",
            "quota-per-parcel",
            "",
            "quota-per-day",
            "quota-per-day"
        ]
    );
    assert_eq!(
        hostile.look(&mut net, "SF1000000000002"),
        "",
        "counted today"
    );
    assert_eq!(hostile.look(&mut net, "SF1000000000003"), "quota-per-day");
    assert_eq!(released(&net), (4, 4));
    net.world.run_until(now.plus_ms(DAY_MS));
    assert_eq!(hostile.look(&mut net, "SF1000000000003"), "", "a new day");
    assert_eq!(hostile.look(&mut net, OURS), "quota-per-parcel");
    others_go_on(&mut net);
}

#[test]
fn too_many_items_and_none_are_refused_before_anything_is_kept() {
    let (mut net, mut hostile) = begin(107);
    let now = net.world.now();
    let records = net.world.journal(CAINIAO).len();
    for count in [0, 501] {
        let items: Vec<_> = (0..count)
            .map(|_| hostile_item(&mut hostile, now))
            .collect();
        let request = hostile.request(items);
        refused(hostile.lookup(&mut net.world, &request), 400, "malformed");
    }
    assert_eq!(net.world.journal(CAINIAO).len(), records);
}

fn hostile_item(
    hostile: &mut Hostile,
    now: interlock_core::time::Timestamp,
) -> interlock::exchange::wire::LookupItem {
    let mut item = hostile.item(OURS, now);
    item.salt = interlock_core::ids::RequestId::from_bytes([1; 16]);
    item
}

#[test]
fn the_third_answer_waits_for_a_receipt() {
    let (mut net, mut hostile) = begin(108);
    let now = net.world.now();
    for _ in 0..2 {
        let item = hostile.item(OURS, now);
        let request = hostile.request(vec![item]);
        let answer = hostile.lookup(&mut net.world, &request).unwrap();
        assert!(matches!(answer.items[0], LookupOutcome::Released(_)));
    }
    let item = hostile.item(OURS, now);
    let request = hostile.request(vec![item]);
    refused(
        hostile.lookup(&mut net.world, &request),
        409,
        "receipt-missing",
    );
    assert_eq!(released(&net), (2, 2));
    hostile.sign_receipt(now);
    assert!(hostile.send_lookup(&mut net.world, &request).is_ok());
}

/// What a partner whose answer was lost does after it has learned of the release by our log.
#[test]
fn an_answer_that_was_receipted_by_the_log_alone_is_given_again_and_counts_once() {
    let (mut net, mut hostile) = begin(108);
    let now = net.world.now();
    let item = hostile.item(OURS, now);
    let request = hostile.request(vec![item]);
    let answer = hostile.lookup(&mut net.world, &request).unwrap();
    assert!(matches!(answer.items[0], LookupOutcome::Released(_)));
    hostile.sign_receipt(now);
    for _ in 0..2 {
        let again = hostile.send_lookup(&mut net.world, &request).unwrap();
        assert_eq!(again, answer);
    }
    assert_eq!(released(&net), (1, 1), "one release, whatever is repeated");
    // After two newer ones it is over.
    for _ in 0..2 {
        assert_eq!(hostile.look(&mut net, OURS), "");
    }
    refused(
        hostile.send_lookup(&mut net.world, &request),
        422,
        "evidence-mismatch",
    );
}

#[test]
fn a_transfer_of_somebody_else_is_none() {
    let (mut net, mut hostile) = begin(109);
    let now = net.world.now();
    let item = hostile.item(OURS, now);
    let request = hostile.request(vec![item]);
    for transfer in [
        "urn:agreement:old:3:1:recipient-contact:p",
        "urn:agreement:old:2:0:tracking-events:c",
        "urn:agreement:old:1:0:locker-events:c",
        "urn:nothing",
    ] {
        let envelope = hostile.envelope(now, request.clone());
        let transfer = wire(transfer);
        let asked = PeerRequest::Lookup {
            transfer: transfer.clone(),
            envelope,
        };
        match hostile.ask(&mut net.world, &asked) {
            Some(interlock::node::io::PeerAnswer::Problem(problem)) => {
                assert_eq!((problem.status, problem.kind.as_str()), (404, "not-found"));
            }
            other => panic!("{other:?}"),
        }
        let lane = interlock::exchange::wire::Lane::Live;
        refused(
            hostile.poll(&mut net.world, &transfer, lane, 0),
            404,
            "not-found",
        );
        refused(
            hostile.receipt(&mut net.world, &transfer, lane, 0),
            404,
            "not-found",
        );
    }
    assert_eq!(released(&net), (0, 0));
}
