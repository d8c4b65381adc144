//! Consumers that ask beyond their deposits are shown to people, with leaves that both sides hold.

use interlock::node::io::{DepositAction, LocalRequest};
use interlock::node::record::{AlertKind, OverCollected};
use interlock_core::collection::Sign;
use interlock_core::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use interlock_journal::bilateral::{Leaf, LeafBody};
use serde_json::json;

use crate::support::*;

/// Noon, JD with `parcels` that Fengchao knows of.
fn begin(seed: u64, parcels: u32) -> (Network, Vec<String>) {
    let mut net = Network::of_june_2017(seed);
    let noon = net.world.now().plus_ms(12 * HOUR_MS);
    net.put_station(FENGCHAO, "FC0001", 60);
    net.world.run_until(noon);
    let numbers: Vec<String> = (0..parcels)
        .map(|nth| format!("SF10000000{nth:05}"))
        .collect();
    for (nth, number) in numbers.iter().enumerate() {
        net.put_parcel(number, "jd", JD, &format!("139000{nth:05}"));
    }
    net.world.settle();
    (net, numbers)
}

fn found(net: &Network) -> Vec<OverCollected> {
    let alerts = &net.world.node(JD).unwrap().state().alerts;
    let of_kind = alerts
        .iter()
        .filter(|a| a.kind == AlertKind::OverCollection);
    of_kind
        .map(|alert| (**alert.shown_by.as_ref().unwrap()).clone())
        .collect()
}

/// Asks for all of them in one lookup.
fn sweep(net: &mut Network, hostile: &mut Hostile, numbers: &[String]) {
    let now = net.world.now();
    let items = numbers.iter().map(|number| hostile.item(number, now));
    let items = items.collect();
    let request = hostile.request(items);
    hostile.lookup(&mut net.world, &request).expect("answered");
    hostile.sign_receipt(now);
}

/// The leaf that an alert names, as the consumer itself holds it.
fn named(hostile: &Hostile, over: &OverCollected) -> Vec<LeafBody> {
    let leaf = |at: &u64| {
        let mut held = hostile.mirror.leaves_from(*at).expect("it is held");
        Leaf::decode(held.next().unwrap()).unwrap().body
    };
    over.finding.leaves.iter().map(leaf).collect()
}

#[test]
fn contacts_that_no_deposit_followed_are_told_with_the_leaves_that_show_them() {
    let (mut net, numbers) = begin(500, 30);
    let mut hostile = Hostile::new(&mut net, FENGCHAO, JD);
    sweep(&mut net, &mut hostile, &numbers);
    net.world.run_until(net.world.now().plus_ms(2 * DAY_MS));
    assert_eq!(found(&net), [], "its feed may be late");
    net.world
        .run_until(net.world.now().plus_ms(DAY_MS + HOUR_MS));
    let told = found(&net);
    let [over] = told.as_slice() else {
        panic!("{told:?}");
    };
    let finding = &over.finding;
    assert_eq!(
        (finding.sign, finding.count, finding.of),
        (Sign::Undeposited, 30, 30)
    );
    let shown = named(&hostile, over);
    let [LeafBody::Release(release)] = shown.as_slice() else {
        panic!("{shown:?}");
    };
    assert_eq!(release.items, 30);
    let view = ok(net.world.local(JD, LocalRequest::GetAlerts));
    let item = &view["items"][0];
    assert_eq!(item["kind"], "over-collection");
    assert_eq!(item["evidence"]["sign"], "undeposited");
    assert_eq!(item["evidence"]["leaves"], json!(finding.leaves));
    assert!(!view.to_string().contains("139000"), "no phone: {view}");
    net.world.kill(JD);
    assert!(net.world.restart(JD));
    net.world.run_until(net.world.now().plus_ms(3 * HOUR_MS));
    assert_eq!(found(&net), told, "once, also over a restart");
    net.assert_replay_of(&[JD]);
}

#[test]
fn numbers_that_are_tried_are_told_within_the_hour() {
    let (mut net, _) = begin(501, 1);
    let mut hostile = Hostile::new(&mut net, FENGCHAO, JD);
    let guessed: Vec<String> = (0..40).map(|nth| format!("SF20000000{nth:05}")).collect();
    sweep(&mut net, &mut hostile, &guessed);
    net.world
        .run_until(net.world.now().plus_ms(HOUR_MS + MINUTE_MS));
    // Whoever looks: any step of the next hour does.
    ok(net.world.local(JD, LocalRequest::GetStatus));
    let told = found(&net);
    let [over] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!((over.finding.sign, over.finding.count), (Sign::Unknown, 40));
    let shown = named(&hostile, over);
    assert!(matches!(&shown[..], [LeafBody::Denial(denial)] if denial.reason == "unknown-parcel"));
}

#[test]
fn an_operator_that_deposits_what_it_asks_for_is_left_in_peace() {
    let (mut net, numbers) = begin(502, 30);
    for (nth, number) in numbers.iter().enumerate() {
        let deposit = net.deposit(FENGCHAO, number, "FC0001", &format!("k{nth}"));
        let deposit = deposit.unwrap();
        net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
            .unwrap();
        net.world.settle();
        let open = DepositAction::Open { code: net.code() };
        net.advance(FENGCHAO, &deposit, open).unwrap();
        net.advance(FENGCHAO, &deposit, DepositAction::PickUp)
            .unwrap();
        net.world.settle();
    }
    net.world.run_until(net.world.now().plus_ms(12 * DAY_MS));
    assert_eq!(found(&net), []);
    let watch = net.world.node(JD).unwrap().state().watches.values().next();
    let (_, counts) = watch.unwrap().newest().unwrap();
    assert_eq!(
        (counts.asked, counts.deposited, counts.closed),
        (30, 30, 30)
    );
    net.assert_replay_of(&[JD]);
}
