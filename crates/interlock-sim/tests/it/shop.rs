//! A merchant's list: each parcel under the state that it is in, on one list, and on nobody else's.

use interlock::node::io::{DepositAction, LocalRequest};
use interlock_core::ids::{MerchantId, ParcelId};
use interlock_core::time::{DAY_MS, HOUR_MS};
use serde_json::Value;

use crate::support::*;

const FIRST: &str = "SF1000000000001";
const SECOND: &str = "SF1000000000002";
const THIRD: &str = "SF1000000000003";

fn asked(
    merchant: &str,
    state: Option<&str>,
    before: Option<ParcelId>,
    limit: u32,
) -> LocalRequest {
    LocalRequest::GetShop {
        merchant: MerchantId::parse(merchant).unwrap(),
        state: state.map(str::to_owned),
        before,
        limit,
    }
}

/// The numbers on a list, and from where it goes on.
fn list(
    net: &mut Network,
    merchant: &str,
    state: Option<&str>,
    before: Option<ParcelId>,
    limit: u32,
) -> (Vec<String>, Option<ParcelId>) {
    let request = asked(merchant, state, before, limit);
    let shop = ok(net.world.local(CAINIAO, request));
    let items = shop["items"].as_array().unwrap().iter();
    let numbers = items.map(|item| item["number"].as_str().unwrap().to_owned());
    let next = shop["next"].as_str().map(|id| ParcelId::parse(id).unwrap());
    (numbers.collect(), next)
}

/// All numbers of a merchant's list in that state.
fn of(net: &mut Network, state: &str) -> Vec<String> {
    let (numbers, next) = list(net, "m1", Some(state), None, 10);
    assert_eq!(next, None);
    numbers
}

/// Three parcels of one merchant, of which two are in lockers; gives their deposits.
fn three(seed: u64) -> (Network, Vec<Value>) {
    let mut net = Network::of_june_2017(seed);
    net.put_station(FENGCHAO, "FC0001", 4);
    let mut deposits = Vec::new();
    for (number, key) in [(FIRST, "k1"), (SECOND, "k2"), (THIRD, "")] {
        net.put_parcel(number, "taobao", CAINIAO, "13877665544");
        net.world.settle();
        if !key.is_empty() {
            let deposit = net.deposit(FENGCHAO, number, "FC0001", key).unwrap();
            net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
                .unwrap();
            net.world.settle();
            deposits.push(deposit);
        }
    }
    (net, deposits)
}

#[test]
fn a_parcel_is_found_by_the_state_that_it_is_in_and_by_no_earlier_one() {
    let (mut net, deposits) = three(950);
    let (all, next) = list(&mut net, "m1", None, None, 10);
    assert_eq!(all, [THIRD, SECOND, FIRST], "the newest first");
    assert_eq!(next, None);
    // Whoever was told of it is told of a parcel that was deposited.
    assert_eq!(of(&mut net, "deposited"), [SECOND, FIRST]);
    assert_eq!(of(&mut net, "picked-up"), [""; 0]);
    let recall = DepositAction::Recall;
    net.advance(FENGCHAO, &deposits[0], recall).unwrap();
    net.world.settle();
    assert_eq!(of(&mut net, "deposited"), [SECOND]);
    assert_eq!(of(&mut net, "recalled"), [FIRST]);
    net.world.run_until(net.world.now().plus_ms(2 * DAY_MS));
    assert_eq!(of(&mut net, "overdue"), [SECOND]);
    assert_eq!(of(&mut net, "deposited"), [""; 0]);
    assert_eq!(of(&mut net, "no-such-state"), [""; 0]);
    let before = list(&mut net, "m1", None, None, 10);
    net.world.kill(CAINIAO);
    assert!(net.world.restart(CAINIAO));
    assert_eq!(list(&mut net, "m1", None, None, 10), before);
    assert_eq!(of(&mut net, "overdue"), [SECOND]);
    net.world.run_until(net.world.now().plus_ms(HOUR_MS));
    net.assert_replay_gives_the_same();
}

#[test]
fn a_list_goes_on_where_it_ended_and_begins_at_own_parcels_only() {
    let (mut net, _) = three(951);
    net.put_parcel_with("SF1000000000004", "taobao", CAINIAO, "13877665544", |put| {
        put.merchant = Some(MerchantId::parse("m2").unwrap());
    });
    net.world.settle();
    let (first, next) = list(&mut net, "m1", None, None, 2);
    assert_eq!(first, [THIRD, SECOND]);
    let (rest, end) = list(&mut net, "m1", None, next, 2);
    assert_eq!((rest, end), (vec![FIRST.to_owned()], None));
    let (deposited, next) = list(&mut net, "m1", Some("deposited"), None, 1);
    assert_eq!(deposited, [SECOND]);
    let (deposited, end) = list(&mut net, "m1", Some("deposited"), next, 1);
    assert_eq!((deposited, end), (vec![FIRST.to_owned()], None));
    // Another merchant's parcel is as good as none.
    for before in [next.unwrap(), ParcelId::from_bytes([7; 16])] {
        let answer = net
            .world
            .local(CAINIAO, asked("m2", None, Some(before), 10));
        assert_eq!(problem_of(answer).status, 404);
    }
    let (theirs, _) = list(&mut net, "m2", None, None, 10);
    assert_eq!(theirs, ["SF1000000000004"]);
    // Nor is a parcel on the lists of those who do not own it.
    let at_fengchao = net.world.local(FENGCHAO, asked("m1", None, None, 10));
    assert_eq!(ok(at_fengchao)["items"].as_array().unwrap().len(), 0);
}
