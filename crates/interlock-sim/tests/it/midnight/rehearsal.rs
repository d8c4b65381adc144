//! A rehearsal says which parcels an end touches: held against what then happens.

use std::collections::{BTreeMap, BTreeSet};

use interlock::node::io::{DepositAction, LocalRequest};
use interlock_core::terms::{Backlog, Terms};
use interlock_core::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use interlock_sim::NodeIx;
use serde_json::Value;

use crate::support::*;

/// Number, and what has happened to it before midnight.
const PARCELS: [(&str, &str); 6] = [
    ("SF1000000000001", "announced"),
    ("SF1000000000002", "announced"),
    ("SF1000000000003", "under way"),
    ("SF1000000000004", "under way"),
    ("SF1000000000005", "in a locker"),
    ("SF1000000000006", "picked up"),
];
const RIVAL: &str = "SF1000000000007";

type Set = BTreeSet<String>;

/// What happened, or was predicted, of each number.
#[derive(Debug, Default, PartialEq, Eq)]
struct Facts {
    /// Deposits refused because nobody can tell the recipient.
    refused: Set,
    /// Whose tracking event waits at the carrier.
    held: Set,
    /// Whose tracking event was dropped.
    dropped: Set,
    /// Whose page says that it may be out of date.
    stale: Set,
}

fn begin(seed: u64, change: impl Fn(&mut Terms)) -> (Network, BTreeMap<String, String>) {
    let mut net = Network::with_terms(seed, change);
    net.put_station(FENGCHAO, "FC0001", 40);
    let mut links = BTreeMap::new();
    for (number, _) in PARCELS {
        let link = net.put_parcel(number, "taobao", CAINIAO, "13800000001");
        links.insert(number.to_owned(), link);
    }
    net.put_parcel(RIVAL, "jd", JD, "13800000007");
    net.world.settle();
    for (number, state) in PARCELS {
        if state != "announced" {
            net.track(SF, number, "accepted");
        }
        if state == "in a locker" || state == "picked up" {
            let deposit = net.deposit(FENGCHAO, number, "FC0001", number).unwrap();
            net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
                .unwrap();
            net.world.settle();
            if state == "picked up" {
                let code = net.code();
                net.advance(FENGCHAO, &deposit, DepositAction::Open { code })
                    .unwrap();
                net.advance(FENGCHAO, &deposit, DepositAction::PickUp)
                    .unwrap();
                net.world.settle();
            }
        }
    }
    net.world.run_until(net.world.now().plus_ms(HOUR_MS));
    (net, links)
}

fn rehearse(net: &mut Network, ix: NodeIx) -> Value {
    let at = MIDNIGHT.plus_ms(HOUR_MS);
    let asked = LocalRequest::Rehearse {
        at,
        after: 0,
        limit: 100,
    };
    ok(net.world.local(ix, asked))
}

/// The numbers of a rehearsal's list for which `member` is `value` under `outcome`.
fn numbers(rehearsal: &Value, outcome: &str, member: &str, value: &str) -> Set {
    let parcels = rehearsal["parcels"].as_array().unwrap();
    let mut found = Set::new();
    for parcel in parcels {
        if parcel["outcomes"][outcome][member] == value {
            found.insert(parcel["number"].as_str().unwrap().to_owned());
        }
    }
    found
}

fn predicted(net: &mut Network, outcome: &str) -> Facts {
    let (operator, carrier, owner) = (
        rehearse(net, FENGCHAO),
        rehearse(net, SF),
        rehearse(net, CAINIAO),
    );
    // The owner says the same of messages as the operator.
    assert_eq!(
        numbers(&operator, outcome, "message", "nobody"),
        numbers(&owner, outcome, "message", "nobody")
    );
    Facts {
        refused: numbers(&operator, outcome, "message", "nobody"),
        held: numbers(&carrier, outcome, "events", "held"),
        dropped: numbers(&carrier, outcome, "events", "dropped"),
        stale: numbers(&owner, outcome, "tracking", "last-known"),
    }
}

fn happened(net: &mut Network, links: &BTreeMap<String, String>) -> Facts {
    net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
    let mut facts = Facts::default();
    for (number, link) in links {
        if !net.tracking(CAINIAO, link).stale.is_empty() {
            facts.stale.insert(number.clone());
        }
    }
    let waiting = |net: &mut Network| {
        let status = ok(net.world.local(SF, LocalRequest::GetStatus));
        let feeds = status["feeds"].as_array().unwrap().clone();
        let feed = feeds.iter().find(|f| {
            f["dataset"] == "tracking-events" && f["to"].as_str().unwrap().contains("cainiao")
        });
        let of = |key: &str| feed.map_or(0, |f| f[key].as_u64().unwrap());
        (of("held"), of("dropped"))
    };
    for (number, state) in PARCELS {
        if state == "announced" || state == "under way" {
            let key = format!("after-{number}");
            if let Err(problem) = net.deposit(FENGCHAO, number, "FC0001", &key) {
                assert_eq!(problem.kind, "nobody-can-tell");
                facts.refused.insert(number.into());
            }
        }
        let (held, dropped) = waiting(net);
        net.track(SF, number, "arrived");
        match waiting(net) {
            (h, d) if (h, d) == (held + 1, dropped) => drop(facts.held.insert(number.into())),
            (h, d) if (h, d) == (held, dropped + 1) => drop(facts.dropped.insert(number.into())),
            now => assert_eq!(now, (held, dropped)),
        }
    }
    facts
}

fn set(numbers: &[&str]) -> Set {
    numbers.iter().map(|n| (*n).to_owned()).collect()
}

#[test]
fn nothing_signed_touches_who_was_said_to_be_touched() {
    let (mut net, links) = begin(300, |terms| terms.run_off_ms = None);
    let said = predicted(&mut net, "nothing-signed");
    assert_eq!(said.refused.len(), 4);
    assert_eq!(
        said.held.len(),
        6,
        "the carrier does not know what a locker did"
    );
    assert_eq!(
        said,
        predicted(&mut net, "run-off-only"),
        "there is no run-off"
    );
    assert_eq!(said, happened(&mut net, &links));
}

#[test]
fn dropped_events_are_said_to_be_dropped() {
    let (mut net, links) = begin(301, |terms| {
        terms.run_off_ms = None;
        if terms.backlog.is_some() {
            terms.backlog = Some(Backlog::Drop);
        }
    });
    let said = predicted(&mut net, "nothing-signed");
    assert_eq!((said.held.len(), said.dropped.len()), (0, 6));
    assert_eq!(said, happened(&mut net, &links));
}

#[test]
fn the_run_off_serves_who_was_said_to_be_served() {
    let (mut net, links) = begin(302, |_| {});
    let said = predicted(&mut net, "run-off-only");
    // The carrier never told of these two before the end: their page may not promise that it will.
    assert_eq!(said.stale, set(&["SF1000000000001", "SF1000000000002"]));
    assert!(said.refused.is_empty() && said.held.is_empty());
    assert!(!predicted(&mut net, "nothing-signed").refused.is_empty());
    assert_eq!(said, happened(&mut net, &links));
}

#[test]
fn a_temporary_agreement_touches_nobody() {
    let (mut net, links) = begin(303, |terms| terms.run_off_ms = None);
    let said = predicted(&mut net, "temporary-agreement");
    assert_eq!(said, Facts::default());
    net.world.run_until(MIDNIGHT.plus_ms(-MINUTE_MS));
    net.agree_anew(28);
    assert_eq!(said, happened(&mut net, &links));
}

#[test]
fn a_rehearsal_counts_pages_and_changes_nothing() {
    let (mut net, _) = begin(304, |terms| terms.run_off_ms = None);
    let before = format!("{:?}", net.world.node(CAINIAO).unwrap().state());
    let whole = rehearse(&mut net, CAINIAO);
    let with = |partner: &str| {
        let all = whole["cooperations"].as_array().unwrap();
        all.iter()
            .find(|c| c["partner"].as_str().unwrap().contains(partner))
            .unwrap()
            .clone()
    };
    let (locker, carrier) = (with("fengchao"), with("sf"));
    // Five parcels are open; one lies in a locker already and its recipient was told.
    let counts = &locker["outcomes"]["nothing-signed"];
    assert_eq!(counts["recipientsNotTold"], 4);
    assert_eq!(
        (&counts["parcels"], &counts["recipients"]),
        (&5.into(), &1.into())
    );
    assert_eq!(counts["merchants"], 1);
    assert_eq!(locker["merchants"][0]["nothing-signed"], 5);
    assert_eq!(carrier["outcomes"]["nothing-signed"]["trackingStale"], 5);
    assert_eq!(carrier["outcomes"]["temporary-agreement"]["parcels"], 0);
    let at = MIDNIGHT.plus_ms(HOUR_MS);
    let mut paged = Vec::new();
    let mut after = 0;
    loop {
        let asked = LocalRequest::Rehearse {
            at,
            after,
            limit: 3,
        };
        let page = ok(net.world.local(CAINIAO, asked));
        let items = page["parcels"].as_array().unwrap();
        if items.is_empty() {
            break;
        }
        assert!(items.len() <= 3);
        paged.extend(items.iter().cloned());
        after = page["next"].as_u64().unwrap();
    }
    assert_eq!(Value::from(paged), whole["parcels"]);
    assert_eq!(
        before,
        format!("{:?}", net.world.node(CAINIAO).unwrap().state())
    );
    // Rivals see nothing of it: their agreements go on.
    let rival = rehearse(&mut net, JD);
    assert_eq!(rival["cooperations"].as_array().unwrap().len(), 0);
    // The past is not rehearsed, and the far future has everybody's ends.
    let at = net.world.now().plus_ms(-1);
    let asked = LocalRequest::Rehearse {
        at,
        after: 0,
        limit: 3,
    };
    assert_eq!(problem_of(net.world.local(CAINIAO, asked)).status, 422);
    let at = MIDNIGHT.plus_ms(400 * DAY_MS);
    let asked = LocalRequest::Rehearse {
        at,
        after: 0,
        limit: 3,
    };
    let far = ok(net.world.local(FENGCHAO, asked));
    assert_eq!(far["cooperations"].as_array().unwrap().len(), 3);
}

#[test]
fn a_signed_successor_without_a_gap_leaves_nothing_to_touch() {
    let (mut net, _) = begin(305, |terms| terms.run_off_ms = None);
    net.agree_named("next", 28, MIDNIGHT, true);
    let rehearsal = rehearse(&mut net, FENGCHAO);
    for cooperation in rehearsal["cooperations"].as_array().unwrap() {
        assert_eq!(
            cooperation["outcomes"]["nothing-signed"]["parcels"], 0,
            "{cooperation}"
        );
    }
    assert_eq!(rehearsal["parcels"].as_array().unwrap().len(), 0);
}

#[test]
fn many_parcels_are_looked_at_in_stretches_and_each_is_counted_once() {
    const MANY: u64 = 2_500;
    let (mut net, _) = begin(307, |_| {});
    for n in 0..MANY {
        let phone = format!("139{n:08}");
        net.put_parcel(&format!("SF2{n:012}"), "taobao", CAINIAO, &phone);
    }
    net.world.settle();
    let at = MIDNIGHT.plus_ms(HOUR_MS);
    let mut after = 0;
    let mut listed = Set::new();
    loop {
        let asked = LocalRequest::Rehearse {
            at,
            after,
            limit: 1_000,
        };
        let page = ok(net.world.local(CAINIAO, asked));
        let locker = page["cooperations"].as_array().unwrap().iter();
        let mut locker = locker.filter(|it| it["partner"].as_str().unwrap().contains("fengchao"));
        let locker = locker.next().unwrap();
        let counts = &locker["outcomes"]["nothing-signed"];
        // One of those before them was picked up.
        assert_eq!(counts["parcels"], MANY + 5, "{counts}");
        assert_eq!(counts["recipients"], MANY + 1);
        assert_eq!(locker["merchants"][0]["nothing-signed"], MANY + 5);
        let items = page["parcels"].as_array().unwrap();
        if items.is_empty() {
            break;
        }
        for item in items {
            let who = format!("{} {}", item["partner"], item["number"]);
            assert!(listed.insert(who), "listed twice: {item}");
        }
        after = page["next"].as_u64().unwrap();
    }
    let of_lockers = listed.iter().filter(|who| who.contains("fengchao"));
    assert_eq!(of_lockers.count() as u64, MANY + 5);
}
