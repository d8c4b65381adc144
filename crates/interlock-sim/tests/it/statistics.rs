//! Counts for regulators, of whole nodes.

use interlock::node::io::{DepositAction, Digest, LocalRequest, Role};
use interlock_core::time::DAY_MS;
use serde_json::{Value, json};

use crate::support::*;

const AUDITOR: Digest = [21; 32];
const HANDHELD: Digest = [22; 32];

fn number(nth: usize) -> String {
    format!("SF10000000{nth:05}")
}

/// Fengchao with so many parcels of Taobao and of JD in its lockers.
fn begin(seed: u64, taobao: usize, jd: usize) -> Network {
    let mut net = Network::of_june_2017(seed);
    net.put_station(FENGCHAO, "FC0001", 60);
    for (name, role, digest) in [
        ("an", Role::Auditor, AUDITOR),
        ("handheld", Role::Handheld, HANDHELD),
    ] {
        let name = name.into();
        ok(net
            .world
            .local(FENGCHAO, LocalRequest::AddKey { name, role, digest }));
    }
    for nth in 0..taobao + jd {
        let (market, owner) = if nth < taobao {
            ("taobao", CAINIAO)
        } else {
            ("jd", JD)
        };
        net.put_parcel(&number(nth), market, owner, "13800000001");
    }
    net.world.settle();
    for nth in 0..taobao + jd {
        let key = format!("k{nth}");
        let deposit = net.deposit(FENGCHAO, &number(nth), "FC0001", &key).unwrap();
        net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
            .unwrap();
        net.world.settle();
    }
    net
}

fn asked(net: &mut Network) -> Value {
    ok(net
        .world
        .local_as(FENGCHAO, Some(AUDITOR), LocalRequest::GetStatistics))
}

#[test]
fn weeks_that_are_over_are_shown_in_rounded_counts_and_never_change() {
    let mut net = begin(540, 23, 4);
    assert_eq!(asked(&mut net)["items"], json!([]), "the week is not over");
    net.world.run_until(net.world.now().plus_ms(8 * DAY_MS));
    let view = asked(&mut net);
    let week = &view["items"][0];
    assert_eq!(week["from"], "2017-05-29T00:00:00+00:00");
    assert_eq!(week["facts"]["deposited"], 20);
    assert_eq!(week["facts"]["pickedUp"], Value::Null);
    assert!(!view.to_string().contains("SF1"), "no parcel: {view}");
    net.world.kill(FENGCHAO);
    assert!(net.world.restart(FENGCHAO));
    assert_eq!(asked(&mut net)["items"][0], *week);
    let answer = net
        .world
        .local_as(FENGCHAO, Some(HANDHELD), LocalRequest::GetStatistics);
    assert_eq!(problem_of(answer).status, 403);
    net.assert_replay_of(&[FENGCHAO]);
}

#[test]
fn one_parcel_more_of_a_rival_does_not_show() {
    let after = |jd| {
        let mut net = begin(541, 23, jd);
        net.world.run_until(net.world.now().plus_ms(8 * DAY_MS));
        let view = asked(&mut net);
        view["items"][0]["facts"]["deposited"].clone()
    };
    assert_eq!(after(4), after(5));
}
