//! What waited at its owner arrives once, in its place, at whom it belongs to, and at nobody else.

use interlock_core::dataset::Dataset;
use interlock_core::time::{DAY_MS, HOUR_MS};

use crate::support::*;

const PARCEL: &str = "SF1000000000001";
const RIVAL: &str = "SF1000000000002";

fn counters(net: &Network, ix: interlock_sim::NodeIx) -> (u64, u64) {
    let counters = &net.world.node(ix).unwrap().state().counters;
    (counters.events_duplicate, counters.events_out_of_order)
}

#[test]
fn an_event_that_was_overtaken_fills_its_place_in_the_order() {
    let mut net = Network::with_terms(720, |terms| terms.run_off_ms = None);
    net.put_parcel(PARCEL, "taobao", CAINIAO, "13800000001");
    net.track(SF, PARCEL, "accepted");
    net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
    net.track(SF, PARCEL, "arrived");
    assert_eq!(net.held(SF, "tracking-events"), 1);
    // The first new agreement does not cover the cut: what arises now goes ahead.
    let now = net.world.now();
    net.agree_named("narrow", 1, now, true);
    net.track(SF, PARCEL, "out-for-delivery");
    assert_eq!(net.steps(CAINIAO, PARCEL), ["accepted", "out-for-delivery"]);
    assert_eq!(net.held(SF, "tracking-events"), 1);
    net.world.run_until(now.plus_ms(DAY_MS + HOUR_MS));
    net.agree_named("wide", 30, MIDNIGHT, true);
    net.world.settle();
    assert_eq!(
        net.steps(CAINIAO, PARCEL),
        ["accepted", "arrived", "out-for-delivery"]
    );
    assert_eq!(net.held(SF, "tracking-events"), 0);
    assert_eq!(counters(&net, CAINIAO), (0, 0));
    assert_eq!(findings_of(&net.world), []);
    net.assert_replay_gives_the_same();
    // It is not given again.
    net.world.kill(CAINIAO);
    assert!(net.world.restart(CAINIAO));
    net.world.run_until(net.world.now().plus_ms(HOUR_MS));
    assert_eq!(net.steps(CAINIAO, PARCEL).len(), 3);
}

#[test]
fn another_platform_gets_its_own_backlog_and_nobody_elses_whatever_scope_it_agrees_on() {
    let mut net = Network::with_terms(721, |terms| terms.run_off_ms = None);
    net.put_station(FENGCHAO, "FC0001", 20);
    net.put_parcel(PARCEL, "taobao", CAINIAO, "13800000001");
    net.put_parcel(RIVAL, "jd", JD, "13800000002");
    for number in [PARCEL, RIVAL] {
        net.track(SF, number, "accepted");
    }
    net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
    for number in [PARCEL, RIVAL] {
        net.track(SF, number, "arrived");
    }
    assert_eq!(
        net.held(SF, "tracking-events"),
        1,
        "Cainiao's; JD's is in force"
    );
    // The carrier and the lockers change platform: JD agrees on both marketplaces, the cut included.
    let now = net.world.now();
    for (provider, dataset) in [
        (SF, Dataset::TrackingEvents),
        (FENGCHAO, Dataset::LockerEvents),
    ] {
        let mut wide = terms(dataset, now, now.plus_ms(30 * DAY_MS), &["taobao", "jd"]);
        wide.covers_from = Some(MIDNIGHT.plus_ms(-30 * DAY_MS));
        net.agree(provider, JD, wide, "wide");
    }
    for ix in ALL {
        net.world.kill(ix);
        assert!(net.world.restart(ix));
    }
    net.world.settle();
    assert_eq!(net.steps(JD, RIVAL), ["accepted", "arrived"]);
    assert_eq!(net.steps_or_none(JD, PARCEL), Vec::<String>::new());
    assert_eq!(
        net.held(SF, "tracking-events"),
        1,
        "it belongs to Cainiao alone"
    );
    // When Cainiao is back it gets everything, once and in order.
    net.agree_anew(30);
    net.world.settle();
    assert_eq!(net.steps(CAINIAO, PARCEL), ["accepted", "arrived"]);
    assert_eq!(net.steps_or_none(CAINIAO, RIVAL), Vec::<String>::new());
    assert_eq!(net.held(SF, "tracking-events"), 0);
    assert_eq!(
        (counters(&net, CAINIAO), counters(&net, JD)),
        ((0, 0), (0, 0))
    );
}
