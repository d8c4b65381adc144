//! One agreement after another: what random schedules found, each as a test of its own.

use interlock::exchange::wire::Lane;
use interlock::node::io::{PeerAnswer, PeerRequest};
use interlock_core::dataset::Dataset;
use interlock_core::time::{DAY_MS, HOUR_MS};

use crate::support::*;

const PARCEL: &str = "SF1000000000001";

fn begin(seed: u64) -> Network {
    let mut net = Network::of_june_2017(seed);
    net.put_station(FENGCHAO, "FC0001", 20);
    net.put_parcel(PARCEL, "taobao", CAINIAO, "13800000001");
    net.world.settle();
    net
}

/// Seed 4: after a restart the transfer of an agreement that had ended was polled for ever.
#[test]
fn a_restarted_consumer_pulls_by_the_agreement_in_force() {
    let mut net = begin(180);
    net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
    net.agree_anew(20);
    net.world.run_until(MIDNIGHT.plus_ms(8 * DAY_MS));
    net.world.kill(CAINIAO);
    assert!(net.world.restart(CAINIAO));
    net.world.settle();
    net.track(SF, PARCEL, "arrived");
    assert_eq!(net.steps(CAINIAO, PARCEL), ["arrived"]);
}

/// The run-off of an agreement ends while its successor is in force, and the consumer is away.
#[test]
fn the_end_of_a_run_off_takes_nothing_from_the_successor() {
    let mut net = begin(181);
    net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
    net.agree_anew(20);
    net.put_parcel("SF1000000000002", "taobao", CAINIAO, "13800000002");
    net.world.settle();
    net.world.cut(SF, CAINIAO, true);
    net.world.run_until(MIDNIGHT.plus_ms(7 * DAY_MS - HOUR_MS));
    net.track(SF, "SF1000000000002", "accepted");
    net.world.run_until(MIDNIGHT.plus_ms(7 * DAY_MS + HOUR_MS));
    net.track(SF, "SF1000000000002", "arrived");
    net.world.cut(SF, CAINIAO, false);
    net.world.run_until(net.world.now().plus_ms(HOUR_MS));
    assert_eq!(
        net.steps(CAINIAO, "SF1000000000002"),
        ["accepted", "arrived"]
    );
    assert_eq!(net.held(SF, "tracking-events"), 0);
}

/// A poll under an agreement in run-off sees what only its successor releases.
#[test]
fn a_poll_in_run_off_strands_nothing_of_the_successor() {
    let mut net = begin(182);
    net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
    net.put_parcel("SF1000000000002", "taobao", CAINIAO, "13800000002");
    net.track(SF, "SF1000000000002", "accepted");
    let mut hostile = Hostile::new(&mut net, CAINIAO, SF);
    hostile.continue_from(&net);
    net.agree_anew(3);
    let (old, new) = (
        wire("urn:agreement:old:2:0:tracking-events:p"),
        wire("urn:agreement:new:2:0:tracking-events:p"),
    );
    let batch = hostile
        .poll(&mut net.world, &old, Lane::Backlog, 0)
        .unwrap();
    assert_eq!(
        batch.events.len(),
        1,
        "it is released by the successor, whose transfer is started"
    );
    let repeated = hostile
        .poll(&mut net.world, &new, Lane::Backlog, 0)
        .unwrap();
    assert_eq!(repeated, batch);
    let last = net.world.node(SF).unwrap().state().ledger.last().unwrap();
    let under = last.agreement.as_ref().unwrap();
    assert_eq!(under.as_str(), "urn:agreement:new:2:0:tracking-events");
}

/// Seed 15: a batch whose answer was lost, under an agreement that is over.
#[test]
fn a_lost_answer_of_an_agreement_that_is_over_does_not_stop_the_lane() {
    let mut net = begin(183);
    let mut hostile = Hostile::new(&mut net, CAINIAO, SF);
    net.track(SF, PARCEL, "accepted");
    let (old, new) = (
        wire("urn:agreement:old:2:0:tracking-events:p"),
        wire("urn:agreement:new:2:0:tracking-events:p"),
    );
    let lost = hostile.poll(&mut net.world, &old, Lane::Live, 0).unwrap();
    assert_eq!(lost.next, 1);
    net.world.run_until(MIDNIGHT.plus_ms(8 * DAY_MS));
    net.agree_anew(3);
    // Its owner's node is not there; the carrier knows the parcel all the same.
    let put = net.try_put_parcel("SF1000000000002", "taobao", CAINIAO, "13800000002", |_| {});
    assert_eq!(put, None);
    net.track(SF, "SF1000000000002", "accepted");
    let batch = hostile.poll(&mut net.world, &new, Lane::Live, 0).unwrap();
    assert_eq!((batch.events.len(), batch.next), (1, 1));
    assert_ne!(batch.events[0].item, lost.events[0].item);
    assert_eq!(
        net.held(SF, "tracking-events"),
        1,
        "the first one is not covered"
    );
    hostile.sign_receipt(net.world.now());
    hostile
        .receipt(&mut net.world, &new, Lane::Live, 1)
        .unwrap();
    let before = format!("{:?}", net.world.node(SF).unwrap().state());
    let replayed = net.world.replayed(SF).unwrap();
    assert!(before == format!("{:?}", replayed.state()));
}

/// A repeat shows what was shown, whatever has become of the parcel since.
#[test]
fn a_repeated_batch_has_the_same_bytes() {
    let mut net = begin(184);
    let mut hostile = Hostile::new(&mut net, CAINIAO, FENGCHAO);
    // The courier is answered though the owner is away, and the notice waits.
    let deposit = net.deposit(FENGCHAO, PARCEL, "FC0001", "k1").unwrap();
    use interlock::node::io::DepositAction;
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    let transfer = wire("urn:agreement:old:1:0:locker-events:p");
    let first = hostile
        .poll(&mut net.world, &transfer, Lane::Live, 0)
        .unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Recall)
        .unwrap();
    net.deposit(FENGCHAO, PARCEL, "FC0001", "k2").unwrap();
    let again = hostile
        .poll(&mut net.world, &transfer, Lane::Live, 0)
        .unwrap();
    assert_eq!(first, again);
}

/// Seed 45: the receipts of two batches were lost.
#[test]
fn a_consumer_told_that_receipts_are_missing_gives_them() {
    let mut net = begin(185);
    net.track(SF, PARCEL, "accepted");
    let hostile = Hostile::new(&mut net, SF, CAINIAO);
    let asked = hostile.polled(&mut net, Dataset::TrackingEvents, Lane::Live);
    let missing = interlock::node::problem::problem("receipt-missing", 409, "", "");
    net.world
        .answer_for(SF, &asked, &PeerAnswer::Problem(missing));
    net.world.run_until(net.world.now().plus_ms(2 * 60_000));
    let receipts = net.world.asked_of(SF);
    assert!(
        receipts
            .iter()
            .any(|asked| matches!(asked.request, PeerRequest::Receipt { .. }))
    );
}

/// What was on its way before an agreement began is served within it.
#[test]
fn a_parcel_from_before_the_agreement_is_told_of_within_it() {
    let mut net = begin(186);
    net.world.run_until(MIDNIGHT.plus_ms(8 * DAY_MS));
    net.agree_anew(3);
    let deposit = net.deposit(FENGCHAO, PARCEL, "FC0001", "k1").unwrap();
    assert_eq!(deposit["notifier"], "operator", "{deposit}");
}
