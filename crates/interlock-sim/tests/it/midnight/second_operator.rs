//! A second locker operator comes while the first one's terms are over: what waited for the first, and
//! what the first holds, is nothing to the second.

use interlock::identity::partner::Role;
use interlock::node::io::DepositAction;
use interlock_core::dataset::Dataset;
use interlock_core::time::{DAY_MS, HOUR_MS, Timestamp};
use interlock_core::waybill::Waybill;
use interlock_sim::{NodeIx, NodeSpec, World};

use crate::support::*;

const SUIDIYI: NodeIx = 3;
/// Parcels that go to the first operator: one before the end, one after it.
const FIRST: [&str; 2] = ["SF1000000000001", "SF1000000000002"];
/// One that goes to the second, announced before that has any agreement.
const SECOND: &str = "SF1000000000003";

/// Terms without run-off, so that all there is waits.
fn agree(net: &mut Network, operator: NodeIx, name: &str, (from, until): (Timestamp, Timestamp)) {
    for (provider, consumer, dataset) in [
        (SF, operator, Dataset::PreAdvice),
        (CAINIAO, operator, Dataset::RecipientContact),
        (operator, CAINIAO, Dataset::LockerEvents),
    ] {
        let mut terms = terms(dataset, from, until, &["taobao"]);
        terms.run_off_ms = None;
        if dataset != Dataset::RecipientContact {
            terms.covers_from = Some(MIDNIGHT.plus_ms(-30 * DAY_MS));
        }
        net.agree(provider, consumer, terms, name);
    }
}

/// Two days before the first operator's terms end; the second has none.
fn network(seed: u64) -> Network {
    let spec = |name, role, marketplaces, carriers| NodeSpec {
        name,
        role,
        marketplaces,
        carriers,
    };
    let specs = [
        spec("cainiao", Role::Platform, &["taobao"][..], &[][..]),
        spec("fengchao", Role::LockerOperator, &[], &[]),
        spec("sf", Role::Carrier, &[], &["sf"]),
        spec("suidiyi", Role::LockerOperator, &[], &[]),
    ];
    let world = World::new(seed, MIDNIGHT.plus_ms(-2 * DAY_MS), &specs);
    let mut net = Network { world };
    let term = (MIDNIGHT.plus_ms(-60 * DAY_MS), MIDNIGHT);
    agree(&mut net, FENGCHAO, "old", term);
    net.world.start();
    net
}

/// The carrier announces a parcel to one operator; its owner knows it, too.
fn announce(net: &mut Network, number: &str, operator: NodeIx) {
    net.try_announce(number, "taobao", (CAINIAO, operator), "13800000001", |_| {})
        .expect("an answer");
    net.world.settle();
}

fn knows(net: &Network, ix: NodeIx, number: &str) -> bool {
    let waybill = Waybill::parse("sf", number).unwrap();
    let state = net.world.node(ix).unwrap().state();
    state.parcels.find(&waybill).is_some()
}

fn learn(net: &mut Network) {
    for ix in ALL {
        net.world.kill(ix);
        assert!(net.world.restart(ix));
    }
    net.world.settle();
}

#[test]
fn a_second_locker_operator_gets_what_names_it_and_nothing_of_the_firsts_backlog() {
    let mut net = network(730);
    net.put_station(FENGCHAO, "FC0001", 20);
    net.put_station(SUIDIYI, "SD0001", 20);
    net.world.run_until(MIDNIGHT.plus_ms(-2 * HOUR_MS));
    announce(&mut net, FIRST[0], FENGCHAO);
    let lies = net.deposit(FENGCHAO, FIRST[0], "FC0001", "k1").unwrap();
    net.advance(FENGCHAO, &lies, DepositAction::Confirm)
        .unwrap();
    net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
    let before = net.steps(CAINIAO, FIRST[0]);

    // After the end the recipient comes, and parcels for either operator are announced.
    let opened = DepositAction::Open { code: net.code() };
    for action in [opened, DepositAction::PickUp] {
        net.advance(FENGCHAO, &lies, action).unwrap();
    }
    announce(&mut net, FIRST[1], FENGCHAO);
    announce(&mut net, SECOND, SUIDIYI);
    assert_eq!(net.held(FENGCHAO, "locker-events"), 1);
    assert_eq!(net.held(SF, "pre-advice"), 2);

    let now = net.world.now();
    let term = (now, now.plus_ms(30 * DAY_MS));
    agree(&mut net, SUIDIYI, "second", term);
    learn(&mut net);
    assert!(knows(&net, SUIDIYI, SECOND));
    for number in FIRST {
        assert!(!knows(&net, SUIDIYI, number), "{number} goes to the first");
        let asked = net.deposit(SUIDIYI, number, "SD0001", number);
        assert_eq!(asked.unwrap_err().kind, "nobody-can-tell");
    }
    assert_eq!(net.held(SF, "pre-advice"), 1, "the first one's");
    assert_eq!(net.held(FENGCHAO, "locker-events"), 1);
    assert_eq!(net.steps(CAINIAO, FIRST[0]), before);
    net.deposit(SUIDIYI, SECOND, "SD0001", "k2").unwrap();

    // When the first has terms again it gets its own, once.
    let now = net.world.now();
    let term = (now, now.plus_ms(30 * DAY_MS));
    agree(&mut net, FENGCHAO, "again", term);
    learn(&mut net);
    assert!(knows(&net, FENGCHAO, FIRST[1]) && !knows(&net, FENGCHAO, SECOND));
    assert_eq!(net.held(SF, "pre-advice"), 0);
    assert_eq!(net.held(FENGCHAO, "locker-events"), 0);
    let after = net.steps(CAINIAO, FIRST[0]);
    assert_eq!(after.last().map(String::as_str), Some("picked-up"));
    assert_eq!(after.len(), before.len() + 1);
    assert_eq!(findings_of(&net.world), []);
    net.assert_replay_gives_the_same();
}
