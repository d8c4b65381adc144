//! Nobody is surprised: warnings before an end, each once, none where a successor is signed.

use interlock::node::LEADS_MS;
use interlock::node::io::LocalRequest;
use interlock_core::ids::MerchantId;
use interlock_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};
use serde_json::Value;

use crate::support::*;

/// Whose parcels [`Network::put_parcel`] announces.
const MERCHANT: &str = "m1";

/// Hours left, partner, and the merchants of each warning that a node's own systems got.
fn told(net: &Network, ix: usize) -> Vec<(u64, String, u64)> {
    let notices = net.world.notices.iter().filter(|(by, _)| *by == ix);
    let one = |data: &Value| {
        let merchants = data["merchants"].as_array().unwrap();
        let parcels = merchants
            .first()
            .map_or(0, |m| m["parcels"].as_u64().unwrap());
        let partner = data["partner"].as_str().unwrap().to_owned();
        (data["hoursLeft"].as_u64().unwrap(), partner, parcels)
    };
    notices.map(|(_, notice)| one(&notice.data)).collect()
}

fn begin(seed: u64) -> Network {
    let mut net = Network::of_june_2017(seed);
    net.put_station(FENGCHAO, "FC0001", 20);
    net.put_parcel("SF1000000000001", "taobao", CAINIAO, "13800000001");
    net.world.settle();
    net
}

#[test]
fn each_end_is_warned_of_once_a_lead_and_restarts_repeat_nothing() {
    let mut net = begin(310);
    // The world begins two days before: signed just now, so that longer leads are not due.
    net.world.run_until(MIDNIGHT.plus_ms(-DAY_MS + MINUTE_MS));
    let first = told(&net, CAINIAO);
    let hours: Vec<u64> = first.iter().map(|w| w.0).collect();
    assert_eq!(hours, [24, 24], "one for each partner: {first:?}");
    assert_eq!(
        first[0].2, 1,
        "the merchant with a parcel under way is named"
    );
    for ix in ALL {
        net.world.kill(ix);
        assert!(net.world.restart(ix));
    }
    net.world.settle();
    net.world.run_until(MIDNIGHT.plus_ms(DAY_MS));
    let all = told(&net, CAINIAO);
    let of = |partner: &str| -> Vec<u64> {
        let theirs = all.iter().filter(|w| w.1.contains(partner));
        theirs.map(|w| w.0).collect()
    };
    assert_eq!(of("fengchao"), [24, 12, 3, 1]);
    assert_eq!(of("sf"), [24, 12, 3, 1]);
    // The operator and the carrier are told as well; the rival's agreements go on.
    assert_eq!(told(&net, FENGCHAO).len(), 4);
    assert_eq!(told(&net, SF).len(), 4);
    assert!(told(&net, JD).is_empty());
    let status = ok(net.world.local(CAINIAO, LocalRequest::GetStatus));
    assert_eq!(status["warnings"].as_array().unwrap().len(), 8);
    assert_eq!(status["warnings"][0]["hoursLeft"], 1);
    let alerts = ok(net.world.local(CAINIAO, LocalRequest::GetAlerts));
    let ends = alerts["items"].as_array().unwrap().clone();
    let ends = ends
        .iter()
        .filter(|a| a["kind"] == "agreement-ends")
        .count();
    assert_eq!(ends, 8);
    net.assert_replay_gives_the_same();
}

/// What a merchant is told of ends ahead.
fn told_to(net: &mut Network, merchant: &str) -> Vec<(String, Value)> {
    let merchant = MerchantId::parse(merchant).unwrap();
    let shop = ok(net.world.local(
        CAINIAO,
        LocalRequest::GetShop {
            merchant,
            state: None,
            before: None,
            limit: 10,
        },
    ));
    let ends = shop["ends"].as_array().unwrap().clone();
    let one = |end: Value| {
        let name = end["partnerName"].as_str().unwrap().to_owned();
        assert_eq!(end["endsAt"], "2017-06-01T00:00:00+08:00");
        (name, end["parcels"].clone())
    };
    ends.into_iter().map(one).collect()
}

#[test]
fn merchants_are_told_of_ends_that_touch_their_parcels_until_they_are_averted_or_over() {
    let mut net = begin(314);
    assert_eq!(told_to(&mut net, MERCHANT), [], "it is early");
    net.world.run_until(MIDNIGHT.plus_ms(-DAY_MS + MINUTE_MS));
    let both = told_to(&mut net, MERCHANT);
    assert_eq!(both.len(), 2, "carrier and lockers: {both:?}");
    assert!(both.iter().all(|(_, parcels)| *parcels == 1), "{both:?}");
    assert_eq!(told_to(&mut net, "m-other"), [], "not theirs");
    net.world.run_until(MIDNIGHT.plus_ms(-HOUR_MS + MINUTE_MS));
    assert_eq!(told_to(&mut net, MERCHANT).len(), 2, "each end once");
    net.world.kill(CAINIAO);
    assert!(net.world.restart(CAINIAO));
    assert_eq!(told_to(&mut net, MERCHANT), both);
    net.agree_named("next", 60, MIDNIGHT, true);
    assert_eq!(told_to(&mut net, MERCHANT), [], "a successor is signed");

    let mut net = begin(315);
    net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
    assert_eq!(told_to(&mut net, MERCHANT), [], "it is over");
}

#[test]
fn a_signed_successor_without_a_gap_silences_the_warning() {
    let mut net = begin(311);
    net.world.run_until(MIDNIGHT.plus_ms(-DAY_MS + MINUTE_MS));
    assert_eq!(told(&net, CAINIAO).len(), 2);
    net.agree_named("next", 60, MIDNIGHT, true);
    net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
    assert_eq!(
        told(&net, CAINIAO).len(),
        2,
        "nothing after the successor was signed"
    );
    // The successor is warned of in its own time.
    net.world.run_until(MIDNIGHT.plus_ms(31 * DAY_MS));
    let last = told(&net, CAINIAO).pop().unwrap();
    assert_eq!(last.0, 30 * 24);
}

#[test]
fn a_successor_with_a_gap_does_not() {
    let mut net = begin(312);
    let later = |dataset| {
        terms(
            dataset,
            MIDNIGHT.plus_ms(1),
            MIDNIGHT.plus_ms(30 * DAY_MS),
            &["taobao"],
        )
    };
    let dataset = interlock_core::dataset::Dataset::LockerEvents;
    net.agree(FENGCHAO, CAINIAO, later(dataset), "late");
    for ix in [FENGCHAO, CAINIAO] {
        net.world.kill(ix);
        assert!(net.world.restart(ix));
    }
    net.world.run_until(MIDNIGHT.plus_ms(-DAY_MS + MINUTE_MS));
    let warned = net.world.notices.iter().any(|(by, notice)| {
        let agreements = notice.data["agreements"].as_array().unwrap();
        *by == CAINIAO && agreements.iter().any(|a| a["dataset"] == "locker-events")
    });
    assert!(warned);
}

#[test]
fn a_warning_that_our_systems_did_not_take_comes_again_under_its_id() {
    let mut net = begin(313);
    let at = MIDNIGHT.plus_ms(-DAY_MS);
    net.world.run_until(at.plus_ms(-1));
    assert!(told(&net, CAINIAO).is_empty(), "not a moment before");
    // The answer of the webhook is lost with the process.
    net.world.run_until(at.plus_ms(1));
    assert_eq!(told(&net, CAINIAO).len(), 2);
    let ids = |net: &Network| -> Vec<_> {
        let ours = net.world.notices.iter().filter(|(by, _)| *by == CAINIAO);
        ours.map(|(_, n)| n.id).collect()
    };
    let before = ids(&net);
    net.world.kill(CAINIAO);
    assert!(net.world.restart(CAINIAO));
    net.world.run_until(at.plus_ms(HOUR_MS));
    let after = ids(&net);
    assert_eq!(after.len(), 4);
    let (first, again) = after.split_at(2);
    assert_eq!(first, before);
    assert!(
        again.iter().all(|id| before.contains(id)),
        "the receiver can tell"
    );
    let open = net.world.node(CAINIAO).unwrap().state();
    assert!(open.warnings.values().all(|known| known.done.is_some()));
}

#[test]
fn leads_are_what_was_asked_for() {
    let hours = LEADS_MS.map(|lead| lead / HOUR_MS);
    assert_eq!(hours, [720, 336, 168, 72, 24, 12, 3, 1]);
    assert!(Timestamp::from_millis(0) < MIDNIGHT);
}
