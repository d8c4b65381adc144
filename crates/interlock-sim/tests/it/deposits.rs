//! Deposits: stations that cannot take a parcel, codes, and what recipients allow.

use interlock::node::io::{
    DepositAction, LocalRequest, ParcelPut, PeerAnswer, PeerRequest, Problem,
};
use interlock::node::problem::{not_found, problem};
use interlock::node::record::AlertKind;
use interlock_core::ids::StationId;
use interlock_core::parcel::{Consent, Hour, Preference};
use interlock_core::station::{Capacity, StationState};
use interlock_core::time::{HOUR_MS, MINUTE_MS};
use serde_json::Value;

use crate::support::*;

const PARCEL: &str = "SF1000000000001";

fn number(n: u32) -> String {
    format!("SF10000000000{n:02}")
}

fn refused(outcome: Result<Value, Problem>, status: u16, kind: &str) -> String {
    let problem = outcome.expect_err(kind);
    assert_eq!(
        (problem.status, problem.kind.as_str()),
        (status, kind),
        "{}",
        problem.detail
    );
    problem.detail
}

fn begin(seed: u64) -> Network {
    let mut net = Network::of_june_2017(seed);
    net.put_station(FENGCHAO, "FC0001", 2);
    for n in 1..=4 {
        net.put_parcel(&number(n), "taobao", CAINIAO, "13800000001");
    }
    net.world.settle();
    net
}

fn put_station(net: &mut Network, state: StationState, capacity: [u16; 3]) {
    let [small, medium, large] = capacity;
    let mut station = net.station("FC0002", 1);
    station.state = state;
    station.capacity = Capacity::new(small, medium, large).unwrap();
    ok(net
        .world
        .local(FENGCHAO, LocalRequest::PutStations(vec![station])));
}

#[test]
fn a_station_that_cannot_take_it_says_why() {
    let mut net = begin(160);
    for n in 1..=2 {
        net.deposit(FENGCHAO, &number(n), "FC0001", &number(n))
            .unwrap();
    }
    let full = refused(
        net.deposit(FENGCHAO, &number(3), "FC0001", "k3"),
        409,
        "no-compartment",
    );
    assert!(!full.is_empty());
    let other = net.deposit_of_size(FENGCHAO, &number(3), "FC0001", "k4", "large");
    assert!(other.is_ok(), "another size is free");
    refused(
        net.deposit(FENGCHAO, &number(4), "FC9999", "k5"),
        422,
        "unknown-station",
    );
    put_station(&mut net, StationState::Operating, [1, 0, 1]);
    let none = net.deposit_of_size(FENGCHAO, &number(4), "FC0002", "k6", "medium");
    refused(none, 409, "no-compartment");
    let state = StationState::ALL
        .into_iter()
        .find(|s| !s.takes_deposits())
        .unwrap();
    put_station(&mut net, state, [1, 0, 1]);
    refused(
        net.deposit(FENGCHAO, &number(4), "FC0002", "k7"),
        409,
        "no-compartment",
    );
    let counters = &net.world.node(FENGCHAO).unwrap().state().counters;
    assert_eq!(counters.events_accepted, 0, "no door was closed");
    net.assert_replay_gives_the_same();
}

// tidy: long, one life of a code from its first wrong try to after the pick-up
#[test]
fn codes_are_tried_three_times_and_used_once() {
    let mut net = begin(161);
    let deposit = net.deposit(FENGCHAO, PARCEL, "FC0001", "k1").unwrap();
    let open = |code: &str| DepositAction::Open { code: code.into() };
    refused(
        net.advance(FENGCHAO, &deposit, DepositAction::PickUp),
        409,
        "wrong-phase",
    );
    refused(
        net.advance(FENGCHAO, &deposit, open("123456")),
        409,
        "wrong-phase",
    );
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    let events = net
        .world
        .node(FENGCHAO)
        .unwrap()
        .state()
        .counters
        .events_accepted;
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    let again = net
        .world
        .node(FENGCHAO)
        .unwrap()
        .state()
        .counters
        .events_accepted;
    assert_eq!(events, again, "a repeat is no second deposit");
    refused(
        net.advance(FENGCHAO, &deposit, DepositAction::PickUp),
        409,
        "wrong-phase",
    );
    net.world.settle();
    let code = net.code();
    let wrong = if code == "000000" { "111111" } else { "000000" };
    refused(
        net.advance(FENGCHAO, &deposit, open("12")),
        422,
        "wrong-code",
    );
    refused(
        net.advance(FENGCHAO, &deposit, open(wrong)),
        403,
        "wrong-code",
    );
    // Tries are on record: a restart gives no new ones.
    net.world.kill(FENGCHAO);
    assert!(net.world.restart(FENGCHAO));
    refused(
        net.advance(FENGCHAO, &deposit, open(wrong)),
        403,
        "wrong-code",
    );
    refused(
        net.advance(FENGCHAO, &deposit, open(wrong)),
        423,
        "locked-out",
    );
    refused(
        net.advance(FENGCHAO, &deposit, open(&code)),
        423,
        "locked-out",
    );
    net.world.run_until(net.world.now().plus_ms(15 * MINUTE_MS));
    let opened = net.advance(FENGCHAO, &deposit, open(&code)).unwrap();
    assert_eq!(opened["opens"], true);
    let repeated = net.advance(FENGCHAO, &deposit, open(&code)).unwrap();
    assert_eq!(repeated["opens"], false, "a code opens once");
    net.advance(FENGCHAO, &deposit, DepositAction::PickUp)
        .unwrap();
    refused(
        net.advance(FENGCHAO, &deposit, open(&code)),
        409,
        "wrong-phase",
    );
    refused(
        net.advance(FENGCHAO, &deposit, DepositAction::Recall),
        409,
        "wrong-phase",
    );
    net.world.settle();
    assert_eq!(
        net.steps(CAINIAO, PARCEL),
        ["deposited", "notified", "picked-up"]
    );
    net.assert_replay_gives_the_same();
}

#[test]
fn a_reservation_runs_out_and_a_parcel_comes_back() {
    let mut net = begin(162);
    let deposit = net.deposit(FENGCHAO, PARCEL, "FC0001", "k1").unwrap();
    net.world.run_until(net.world.now().plus_ms(HOUR_MS));
    refused(
        net.advance(FENGCHAO, &deposit, DepositAction::Confirm),
        409,
        "wrong-phase",
    );
    assert!(net.world.sent.is_empty());
    // A reservation that ran out does not keep the parcel from another compartment.
    net.advance(FENGCHAO, &deposit, DepositAction::Cancel)
        .unwrap();
    let second = net.deposit(FENGCHAO, PARCEL, "FC0001", "k2").unwrap();
    net.advance(FENGCHAO, &second, DepositAction::Confirm)
        .unwrap();
    net.world.settle();
    net.advance(FENGCHAO, &second, DepositAction::Recall)
        .unwrap();
    refused(
        net.advance(FENGCHAO, &second, DepositAction::Open { code: net.code() }),
        409,
        "wrong-phase",
    );
    let third = net.deposit(FENGCHAO, PARCEL, "FC0001", "k3").unwrap();
    net.advance(FENGCHAO, &third, DepositAction::Confirm)
        .unwrap();
    net.world.settle();
    let station = StationId::parse("FC0002").unwrap();
    let redirect = || DepositAction::Redirect {
        station: station.clone(),
    };
    refused(
        net.advance(FENGCHAO, &third, redirect()),
        422,
        "unknown-station",
    );
    net.put_station(FENGCHAO, "FC0002", 1);
    net.advance(FENGCHAO, &third, redirect()).unwrap();
    net.world.settle();
    assert_eq!(
        net.steps(CAINIAO, PARCEL),
        [
            "deposited",
            "notified",
            "recalled",
            "deposited",
            "notified",
            "redirected"
        ]
    );
    assert_eq!(net.world.sent.len(), 2, "one message a deposit");
    let free = ok(net.world.local(FENGCHAO, LocalRequest::GetStations));
    assert_eq!(free["stations"][0]["sizes"]["small"]["free"], 2);
    net.assert_replay_gives_the_same();
}

/// The owner's node is the test's; it answers lookups with `refused`, every time it is asked within an
/// hour. How often it was.
fn refuse_lookups(net: &mut Network, refused: &Problem) -> usize {
    let mut asked = 0;
    for _ in 0..60 {
        for call in net.world.asked_of(CAINIAO) {
            if matches!(call.request, PeerRequest::Lookup { .. }) {
                asked += 1;
                let answer = PeerAnswer::Problem(refused.clone());
                net.world.answer_for(CAINIAO, &call, &answer);
            }
        }
        net.world.run_until(net.world.now().plus_ms(MINUTE_MS));
    }
    asked
}

#[test]
fn an_owner_that_knows_no_such_transfer_is_not_asked_for_ever() {
    let mut net = begin(165);
    Hostile::new(&mut net, CAINIAO, FENGCHAO);
    let outside = net.deposit(FENGCHAO, PARCEL, "FC0001", "k1").unwrap();
    assert_eq!(outside["notifier"], "queued");
    let inside = net.deposit(FENGCHAO, &number(2), "FC0001", "k2").unwrap();
    net.advance(FENGCHAO, &inside, DepositAction::Confirm)
        .unwrap();
    // Whoever is busy is asked again.
    let busy = problem("busy", 503, "busy", "try again in a second");
    let asked = refuse_lookups(&mut net, &busy);
    assert!(asked > 10, "asked {asked} times");
    assert_eq!(refuse_lookups(&mut net, &not_found("transfer")), 2);
    let state = net.world.node(FENGCHAO).unwrap().state();
    assert!(state.channels.values().all(|c| c.asked.is_empty()));
    let not_told: Vec<_> = state
        .alerts
        .iter()
        .filter(|a| a.kind == AlertKind::RecipientNotTold)
        .collect();
    let [alert] = not_told.as_slice() else {
        panic!("one parcel lies inside: {not_told:?}");
    };
    assert!(
        alert.detail.contains("transfer-unknown"),
        "{}",
        alert.detail
    );
    let told = refused(
        net.advance(FENGCHAO, &outside, DepositAction::Confirm),
        409,
        "nobody-can-tell",
    );
    assert!(told.contains("deliver to the address"), "{told}");
    net.assert_replay_of(&[FENGCHAO, SF, JD]);
}

#[test]
fn a_message_that_waited_too_long_does_not_go_out() {
    let mut net = begin(164);
    net.world.gateways_down = true;
    let deposit = net.deposit(FENGCHAO, PARCEL, "FC0001", "k1").unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    net.world.run_until(net.world.now().plus_ms(MINUTE_MS));
    let alerts = ok(net.world.local(FENGCHAO, LocalRequest::GetAlerts));
    assert_eq!(alerts["items"][0]["kind"], "recipient-not-told");
    assert_eq!(alerts["items"].as_array().unwrap().len(), 1, "once");
    net.advance(FENGCHAO, &deposit, DepositAction::Recall)
        .unwrap();
    net.world.gateways_down = false;
    net.world.run_until(net.world.now().plus_ms(10 * MINUTE_MS));
    assert!(net.world.sent.is_empty(), "the parcel lies there no more");
    net.assert_replay_gives_the_same();
}

#[test]
fn the_recipient_decides_about_lockers() {
    let mut net = begin(163);
    let early = Preference {
        not_before: Some(Hour::try_from(23).unwrap()),
        ..Preference::default()
    };
    let elsewhere = Preference {
        only_station: Some(StationId::parse("FC0009").unwrap()),
        ..Preference::default()
    };
    let none = Preference {
        no_locker: true,
        ..Preference::default()
    };
    let cases: [(&str, Consent, Preference); 5] = [
        ("consent-refused", Consent::Refused, Preference::default()),
        ("consent-unknown", Consent::Unknown, Preference::default()),
        ("consent-no-locker", Consent::Given, none),
        ("consent-other-station", Consent::Given, elsewhere),
        ("consent-not-before", Consent::Given, early),
    ];
    for (n, (reason, consent, preference)) in (10..).zip(cases) {
        let change = |put: &mut ParcelPut| {
            put.consent = consent;
            put.preference = preference;
        };
        net.put_parcel_with(&number(n), "taobao", CAINIAO, "13800000001", change);
        net.world.settle();
        let detail = refused(
            net.deposit(FENGCHAO, &number(n), "FC0001", reason),
            409,
            "nobody-can-tell",
        );
        assert!(detail.contains(reason), "{detail}");
        assert!(detail.contains("deliver to the address"), "{detail}");
    }
    assert!(net.world.sent.is_empty());
    let free = ok(net.world.local(FENGCHAO, LocalRequest::GetStations));
    assert_eq!(
        free["stations"][0]["sizes"]["small"]["free"], 2,
        "nothing is kept for them"
    );
    net.assert_replay_gives_the_same();
}
