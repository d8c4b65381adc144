//! During a cut no door opens unless somebody tells, and the round's check says so before setting out.

use interlock::node::io::{DepositAction, LocalRequest};
use interlock::node::record::AlertKind;
use interlock_core::time::{DAY_MS, HOUR_MS, SECOND_MS};
use interlock_core::waybill::Waybill;
use serde_json::Value;

use crate::support::*;

const BEFORE: &str = "SF1000000000001";
const AFTER: &str = "SF1000000000002";

fn check(net: &mut Network, number: &str) -> Value {
    let waybills = vec![Waybill::parse("sf", number).unwrap()];
    let round = ok(net
        .world
        .local(FENGCHAO, LocalRequest::CheckRound { waybills }));
    round["items"][0].clone()
}

#[test]
fn a_round_in_run_off_is_told_what_the_deposits_will_say() {
    let mut net = Network::of_june_2017(320);
    net.put_station(FENGCHAO, "FC0001", 20);
    net.put_parcel(BEFORE, "taobao", CAINIAO, "13800000001");
    net.world.settle();
    net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
    net.put_parcel(AFTER, "taobao", CAINIAO, "13800000002");
    net.world.settle();
    let served = check(&mut net, BEFORE);
    assert_eq!(
        (&served["canDeposit"], &served["notifier"]),
        (&true.into(), &"operator".into())
    );
    let late = check(&mut net, AFTER);
    assert_eq!(late["canDeposit"], false);
    assert!(
        late["detail"].as_str().unwrap().contains("has ended"),
        "{late}"
    );
    // Both are held to it, and the owner is not even asked about the late one.
    let denials = |net: &Network| {
        net.world
            .node(CAINIAO)
            .unwrap()
            .state()
            .counters
            .denials
            .clone()
    };
    let before = denials(&net);
    let refused = net.deposit(FENGCHAO, AFTER, "FC0001", "k2").unwrap_err();
    assert_eq!(refused.kind, "nobody-can-tell");
    assert_eq!(denials(&net), before);
    net.deposit(FENGCHAO, BEFORE, "FC0001", "k1").unwrap();
    // The run-off is over: not a moment longer.
    net.world.run_until(MIDNIGHT.plus_ms(7 * DAY_MS));
    assert_eq!(check(&mut net, BEFORE)["canDeposit"], false);
}

#[test]
fn without_a_gateway_no_door_opens_where_we_would_tell() {
    let mut net = Network::of_june_2017(321);
    net.put_station(FENGCHAO, "FC0001", 20);
    net.put_parcel(BEFORE, "taobao", CAINIAO, "13800000001");
    net.world.settle();
    net.world.without_gateway(FENGCHAO);
    net.world.kill(FENGCHAO);
    assert!(net.world.restart(FENGCHAO));
    net.world.settle();
    let told = check(&mut net, BEFORE);
    assert_eq!(told["canDeposit"], false);
    assert!(
        told["detail"].as_str().unwrap().contains("no-gateway"),
        "{told}"
    );
    let releases = |net: &Network| net.world.node(CAINIAO).unwrap().state().counters.releases;
    let before = releases(&net);
    let refused = net.deposit(FENGCHAO, BEFORE, "FC0001", "k1").unwrap_err();
    assert_eq!(refused.kind, "nobody-can-tell");
    assert_eq!(
        releases(&net),
        before,
        "no contact is asked for that nobody would use"
    );
}

#[test]
fn a_page_during_the_cut_leads_with_the_reason() {
    let mut net = Network::with_terms(322, |terms| terms.run_off_ms = None);
    net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
    let link = net.put_parcel(BEFORE, "taobao", CAINIAO, "13800000001");
    net.world.settle();
    let view = net.tracking(CAINIAO, &link);
    assert!(view.events.is_empty());
    assert_eq!(view.stale.len(), 1);
    assert_eq!(view.stale[0].since, MIDNIGHT);
    let page = interlock::pages::tracking_page(&view, interlock::pages::Language::English);
    let text = page.into_string();
    assert!(!text.contains("Nothing known yet"), "{text}");
    assert!(text.contains("no agreement is in force"), "{text}");
    let parcel = net.parcel(CAINIAO, BEFORE);
    assert_eq!(parcel["stale"][0]["reason"], "no-agreement");
}

/// A door is closed on a parcel in the last second, while its owner cannot be reached; then it can, and
/// refuses the contact as `closing`.
fn caught_by_the_end(seed: u64, change: impl Fn(&mut interlock_core::terms::Terms)) -> Network {
    let mut net = Network::with_terms(seed, change);
    net.put_station(FENGCHAO, "FC0001", 20);
    net.put_parcel(BEFORE, "taobao", CAINIAO, "13800000001");
    net.world.settle();
    net.world.run_until(MIDNIGHT.plus_ms(-2_500));
    net.world.cut(CAINIAO, FENGCHAO, true);
    let opened = net.deposit(FENGCHAO, BEFORE, "FC0001", "k1").unwrap();
    assert!(
        net.world.now() < MIDNIGHT.plus_ms(-300),
        "the courier waits no longer"
    );
    net.advance(FENGCHAO, &opened, DepositAction::Confirm)
        .unwrap();
    net.world.cut(CAINIAO, FENGCHAO, false);
    // It asks again as it starts.
    net.world.kill(FENGCHAO);
    assert!(net.world.restart(FENGCHAO));
    net.world.run_until(MIDNIGHT.plus_ms(-50));
    let denials = &net.world.node(CAINIAO).unwrap().state().counters.denials;
    assert_eq!(denials.get("closing"), Some(&1), "{denials:?}");
    net
}

fn told(net: &mut Network) -> Vec<String> {
    net.steps(FENGCHAO, BEFORE)
}

/// How often the operator's people were told that a recipient was not.
fn alerts(net: &Network) -> usize {
    let alerts = net.world.node(FENGCHAO).unwrap().state().alerts.iter();
    let untold = alerts.filter(|alert| alert.kind == AlertKind::RecipientNotTold);
    untold.count()
}

#[test]
fn a_parcel_that_the_last_second_caught_in_a_locker_is_told_of_by_run_off() {
    let mut net = caught_by_the_end(323, |_| {});
    assert_eq!(told(&mut net), ["deposited"]);
    net.world.run_until(MIDNIGHT.plus_ms(5 * SECOND_MS));
    assert_eq!(told(&mut net), ["deposited", "notified"]);
    assert_eq!(alerts(&net), 0);
    net.assert_replay_gives_the_same();
}

#[test]
fn what_nobody_could_tell_of_is_told_under_the_next_agreement() {
    let mut net = caught_by_the_end(324, |terms| terms.run_off_ms = None);
    net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
    assert_eq!(told(&mut net), ["deposited"]);
    assert_eq!(alerts(&net), 1);
    // Nothing has changed after a restart, and people are not told again.
    net.world.kill(FENGCHAO);
    assert!(net.world.restart(FENGCHAO));
    net.world.run_until(MIDNIGHT.plus_ms(2 * HOUR_MS));
    assert_eq!(told(&mut net), ["deposited"]);
    assert_eq!(alerts(&net), 1);
    net.agree_anew(30);
    net.world.settle();
    assert_eq!(told(&mut net), ["deposited", "notified"]);
    assert_eq!(alerts(&net), 1);
    assert_eq!(net.world.sent.len(), 1, "told once");
    net.assert_replay_gives_the_same();
}
