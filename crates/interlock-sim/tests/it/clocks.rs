//! Clocks that jump, go back or differ from the others': nothing is released by them, nothing is lost,
//! and it ends by itself.

use interlock::node::io::{DepositAction, LocalRequest};
use interlock::node::record::AlertKind;
use interlock::node::state::LedgerOutcome;
use interlock_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use interlock_sim::{ClockError, NodeIx};
use serde_json::Value;

use crate::support::*;

const PARCEL: &str = "SF1000000000001";
const SECOND: &str = "SF1000000000002";
const THIRD: &str = "SF1000000000004";

fn begin(seed: u64) -> Network {
    let mut net = Network::of_june_2017(seed);
    net.put_station(FENGCHAO, "FC0001", 20);
    for number in [PARCEL, SECOND, THIRD] {
        net.put_parcel(number, "taobao", CAINIAO, "13800000001");
    }
    net.track(SF, PARCEL, "accepted");
    // Everybody has heard from everybody once.
    let deposit = net.deposit(FENGCHAO, PARCEL, "FC0001", "k1").unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    net.world.run_until(net.world.now().plus_ms(MINUTE_MS));
    assert_eq!(
        net.steps(CAINIAO, PARCEL),
        ["accepted", "deposited", "notified"]
    );
    net
}

fn turn(net: &mut Network, ix: NodeIx, skew_ms: i64) {
    let clock = ClockError {
        skew_ms,
        uncertainty_ms: 0,
    };
    net.world.set_clock(ix, clock);
}

fn clock_of(net: &mut Network, ix: NodeIx) -> Value {
    ok(net.world.local(ix, LocalRequest::GetStatus))["clock"].clone()
}

fn alerts(net: &Network, ix: NodeIx) -> Vec<Option<NodeIx>> {
    let state = net.world.node(ix).unwrap().state();
    let mut found = Vec::new();
    for alert in state
        .alerts
        .iter()
        .filter(|a| a.kind == AlertKind::ClockDoubted)
    {
        let named = |other: &NodeIx| net.world.id(*other) == alert.partner.as_ref();
        found.push(ALL.into_iter().find(named));
    }
    found
}

/// Times at which a node released anything.
fn released(net: &Network, ix: NodeIx) -> Vec<Timestamp> {
    let ledger = &net.world.node(ix).unwrap().state().ledger;
    let released = ledger.iter().filter(|entry| {
        matches!(
            entry.outcome,
            LedgerOutcome::Batch { .. } | LedgerOutcome::Contact { .. }
        )
    });
    released.map(|entry| entry.at).collect()
}

fn wait(net: &mut Network, ms: i64) {
    net.world.run_until(net.world.now().plus_ms(ms));
}

#[test]
fn a_clock_that_jumps_releases_nothing_takes_everything_and_comes_back() {
    for by_ms in [10 * MINUTE_MS, -10 * MINUTE_MS, 400 * DAY_MS, -400 * DAY_MS] {
        let mut net = begin(401);
        let before = (released(&net, CAINIAO).len(), released(&net, SF).len());
        for ix in [CAINIAO, SF] {
            turn(&mut net, ix, by_ms);
        }
        // The order system, the courier and the carrier go on.
        net.put_parcel("SF1000000000003", "taobao", CAINIAO, "13800000003");
        net.track(SF, SECOND, "accepted");
        wait(&mut net, MINUTE_MS / 2);
        let refused = net.deposit(FENGCHAO, SECOND, "FC0001", "k2").unwrap_err();
        assert_eq!(refused.kind, "nobody-can-tell");
        assert!(refused.detail.contains("clock"), "{}", refused.detail);
        assert_eq!(
            (released(&net, CAINIAO).len(), released(&net, SF).len()),
            before,
            "{by_ms}"
        );
        assert_eq!(net.steps_or_none(CAINIAO, SECOND), Vec::<String>::new());
        let said = clock_of(&mut net, CAINIAO);
        assert_eq!(
            (&said["inDoubt"], &said["jumpedMs"]),
            (&true.into(), &by_ms.into())
        );
        assert_eq!(alerts(&net, CAINIAO), [None]);
        // What goes on record meanwhile is dated by the clock as it was.
        let high = net.world.node(CAINIAO).unwrap().state().high;
        assert!(high <= net.world.now(), "{by_ms}");
        for ix in [CAINIAO, SF] {
            turn(&mut net, ix, 0);
        }
        wait(&mut net, MINUTE_MS);
        assert_eq!(clock_of(&mut net, CAINIAO)["inDoubt"], false);
        assert_eq!(net.steps(CAINIAO, SECOND), ["accepted"]);
        net.deposit(FENGCHAO, SECOND, "FC0001", "k3").unwrap();
        net.assert_all_evidence_is_mirrored();
        net.assert_replay_gives_the_same();
    }
}

#[test]
fn a_small_step_changes_nothing() {
    for by_ms in [-4 * SECOND_MS, 4 * SECOND_MS] {
        let mut net = begin(402);
        turn(&mut net, CAINIAO, by_ms);
        wait(&mut net, MINUTE_MS);
        net.deposit(FENGCHAO, SECOND, "FC0001", "k2").unwrap();
        assert_eq!(clock_of(&mut net, CAINIAO)["inDoubt"], false);
        assert_eq!(alerts(&net, CAINIAO), []);
    }
}

#[test]
fn a_clock_that_goes_back_before_an_end_does_not_lengthen_the_term() {
    let mut net = begin(403);
    net.world.run_until(MIDNIGHT.plus_ms(-30 * MINUTE_MS));
    for ix in [CAINIAO, SF, FENGCHAO] {
        turn(&mut net, ix, -HOUR_MS);
    }
    let nodes = [CAINIAO, SF, FENGCHAO];
    let before = nodes.map(|ix| released(&net, ix).len());
    let known = net.steps(CAINIAO, PARCEL);
    // Nobody notices before something is asked; it is asked all the time.
    for n in 0..8 {
        net.track(SF, PARCEL, &format!("step-{n}"));
        let key = format!("early-{n}");
        let refused = net.deposit(FENGCHAO, SECOND, "FC0001", &key).unwrap_err();
        assert_eq!(refused.kind, "nobody-can-tell", "{}", refused.detail);
        assert_eq!(nodes.map(|ix| released(&net, ix).len()), before, "{n}");
        wait(&mut net, 10 * MINUTE_MS);
    }
    assert_eq!(net.steps(CAINIAO, PARCEL), known);
    assert_eq!(net.steps(SF, PARCEL).len(), 9, "they wait");
    let state = |ix: NodeIx| {
        let agreements = &net.world.node(ix).unwrap().state().book.agreements;
        let old = agreements.values().find(|a| a.terms.until == MIDNIGHT);
        old.unwrap().state
    };
    let over = interlock_core::agreement::AgreementState::RunOff;
    assert_eq!([state(CAINIAO), state(SF), state(FENGCHAO)], [over; 3]);
    assert_eq!(nodes.map(|ix| released(&net, ix).len()), before);
}

#[test]
fn a_node_that_starts_with_a_wrong_clock_is_told_by_its_partners() {
    for by_ms in [-10 * MINUTE_MS, 10 * MINUTE_MS] {
        let mut net = begin(404);
        net.world.kill(FENGCHAO);
        turn(&mut net, FENGCHAO, by_ms);
        assert!(net.world.restart(FENGCHAO));
        let before = released(&net, FENGCHAO).len();
        // Two owners sign other times.
        net.put_parcel("SF2000000000001", "jd", JD, "13900000001");
        for _ in 0..8 {
            net.track(SF, PARCEL, "again");
            let _late = net.deposit(FENGCHAO, SECOND, "FC0001", "k2");
            let _late = net.deposit(FENGCHAO, "SF2000000000001", "FC0001", "k3");
            wait(&mut net, MINUTE_MS);
        }
        if by_ms > 0 {
            // Whoever is ahead is refused by those whom it asks, and hears few times: nothing leaves.
            assert_eq!(released(&net, FENGCHAO).len(), before);
            continue;
        }
        let said = clock_of(&mut net, FENGCHAO);
        let doubted = said["partners"].as_array().unwrap().clone();
        assert!(
            doubted.iter().any(|p| p["inDoubt"] == true),
            "{by_ms}: {said}"
        );
        assert_eq!(said["inDoubt"], true, "{by_ms}: {said}");
        assert_eq!(released(&net, FENGCHAO).len(), before);
        assert!(alerts(&net, FENGCHAO).contains(&None));
        // The administrator sets the clock: a jump, which the partners confirm.
        turn(&mut net, FENGCHAO, 0);
        wait(&mut net, 15 * MINUTE_MS);
        let said = clock_of(&mut net, FENGCHAO);
        assert_eq!(
            (&said["inDoubt"], &said["jumpedMs"]),
            (&false.into(), &Value::Null),
            "{by_ms}: {said}"
        );
        let third = net.deposit(FENGCHAO, THIRD, "FC0001", "k4").unwrap();
        net.advance(FENGCHAO, &third, DepositAction::Confirm)
            .unwrap();
        wait(&mut net, MINUTE_MS);
        assert!(
            released(&net, FENGCHAO).len() > before,
            "{by_ms}: it serves again"
        );
        net.assert_replay_gives_the_same();
    }
}

#[test]
fn a_partner_with_a_wrong_clock_stops_what_goes_to_itself() {
    let mut net = begin(405);
    let mut wrong = Hostile::new(&mut net, JD, FENGCHAO);
    // Fengchao's partner JD signs times ten minutes ahead, as often as it likes.
    let ahead = net.world.now().plus_ms(10 * MINUTE_MS);
    let request = wrong.envelope(
        ahead,
        interlock::exchange::wire::FeedReceipt {
            lane: interlock::exchange::wire::Lane::Live,
            next: 0,
        },
    );
    let transfer = wire("urn:agreement:old:1:3:locker-events:p");
    for _ in 0..3 {
        let receipt = interlock::node::io::PeerRequest::Receipt {
            transfer: transfer.clone(),
            envelope: request.clone(),
        };
        wrong.ask(&mut net.world, &receipt);
        wait(&mut net, SECOND_MS);
    }
    assert_eq!(alerts(&net, FENGCHAO), [Some(JD)]);
    assert_eq!(clock_of(&mut net, FENGCHAO)["inDoubt"], false);
    // Cainiao is served as before.
    let deposit = net.deposit(FENGCHAO, SECOND, "FC0001", "k2").unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    net.world.settle();
    assert_eq!(net.steps(CAINIAO, SECOND), ["deposited", "notified"]);
}
