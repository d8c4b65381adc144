//! Feeds: a consumer that polls what it likes, and a provider that answers rubbish.

use interlock::exchange::wire::{
    CooperationView, FeedItem, Lane, ParcelView, PreAdviceView, StationView,
};
use interlock::node::io::{DepositAction, LocalRequest, PeerRequest};
use interlock_core::dataset::Dataset;
use interlock_core::event::{Place, Step};
use interlock_core::ids::{Marketplace, StationId};
use interlock_core::time::{DAY_MS, Timestamp, Zone};

use crate::support::*;

const PARCEL: &str = "SF1000000000001";
const OTHER: &str = "SF1000000000002";
const TRACKING: &str = "urn:agreement:old:2:0:tracking-events:p";

fn event(number: &str, sequence: u32) -> FeedItem {
    FeedItem::Parcel(ParcelView {
        carrier: "sf".into(),
        number: number.into(),
        sequence,
        step: Some(Step::Arrived),
        at: Some(MIDNIGHT),
        zone: Some(Zone::CHINA),
        place: Some(Place::Named("Hangzhou".into())),
        pickup_until: None,
    })
}

/// Cainiao, and SF's key in other hands.
fn rubbish(seed: u64) -> (Network, Hostile) {
    let mut net = Network::of_june_2017(seed);
    net.put_station(FENGCHAO, "FC0001", 20);
    net.put_parcel(PARCEL, "taobao", CAINIAO, "13800000001");
    net.world.settle();
    let hostile = Hostile::new(&mut net, SF, CAINIAO);
    (net, hostile)
}

fn received(net: &Network) -> u64 {
    let state = net.world.node(CAINIAO).unwrap().state();
    state.counters.events_received
}

#[test]
fn a_cursor_that_is_no_boundary_is_refused() {
    let mut net = Network::of_june_2017(140);
    net.put_parcel(PARCEL, "taobao", CAINIAO, "13800000001");
    net.world.settle();
    let mut hostile = Hostile::new(&mut net, CAINIAO, SF);
    for step in ["accepted", "arrived"] {
        net.track(SF, PARCEL, step);
    }
    let transfer = wire(TRACKING);
    let poll = |net: &mut Network, hostile: &mut Hostile, after| {
        hostile.poll(&mut net.world, &transfer, Lane::Live, after)
    };
    let batch = poll(&mut net, &mut hostile, 0).unwrap();
    assert_eq!(batch.events.len(), 2);
    for after in [1, 3, 1_000, u64::MAX - 1, u64::MAX] {
        let refused = poll(&mut net, &mut hostile, after).unwrap_err();
        assert_eq!(
            (refused.status, refused.kind.as_str()),
            (409, "cursor-unknown")
        );
    }
    assert_eq!(
        poll(&mut net, &mut hostile, 0).unwrap(),
        batch,
        "a repeat is the same"
    );
    // Two batches may be without receipt, not three.
    net.track(SF, PARCEL, "out-for-delivery");
    assert_eq!(poll(&mut net, &mut hostile, 2).unwrap().next, 3);
    net.track(SF, PARCEL, "again");
    let refused = poll(&mut net, &mut hostile, 3).unwrap_err();
    assert_eq!(
        (refused.status, refused.kind.as_str()),
        (409, "receipt-missing")
    );
    hostile.sign_receipt(net.world.now());
    hostile
        .receipt(&mut net.world, &transfer, Lane::Live, 3)
        .unwrap();
    assert_eq!(poll(&mut net, &mut hostile, 3).unwrap().next, 4);
    net.assert_replay_of(&[SF, FENGCHAO, JD]);
}

#[test]
fn polls_that_wait_do_not_pile_up() {
    let mut net = Network::of_june_2017(141);
    let hostile = Hostile::new(&mut net, CAINIAO, SF);
    let before = net.world.node(SF).unwrap().parked_polls();
    for _ in 0..1_000 {
        let request = PeerRequest::Feed {
            transfer: wire(TRACKING),
            lane: Lane::Live,
            after: 0,
            limit: u32::MAX,
            wait_ms: u32::MAX,
        };
        net.world.peer(SF, &hostile.id, &request);
    }
    let after = net.world.node(SF).unwrap().parked_polls();
    assert!(
        after > 0 && after <= before + 1,
        "{before} before, {after} after"
    );
}

#[test]
fn a_batch_that_does_not_fit_its_leaf_is_refused_whole() {
    let (mut net, hostile) = rubbish(142);
    type Change = fn(&mut interlock::exchange::wire::FeedBatch);
    let changes: [Change; 8] = [
        |b| b.events[1].position = 1,
        |b| b.events[1].position = 3,
        |b| b.next = u64::MAX,
        |b| b.events.swap(0, 1),
        |b| b.events[0].item = event(PARCEL, 9),
        |b| b.lane = Lane::Backlog,
        |b| b.dataset = Dataset::LockerEvents,
        |b| {
            b.events[0].item = FeedItem::Station(StationView {
                station: StationId::parse("FC0001").unwrap(),
                name: None,
                position: None,
                state: None,
                capacity: None,
                availability: None,
            });
        },
    ];
    for change in changes {
        let asked = hostile.polled(&mut net, Dataset::TrackingEvents, Lane::Live);
        let mut honest = hostile.forked(
            net.world.now(),
            interlock_journal::bilateral::LeafBody::Receipt(hostile.mirror.receipt()),
        );
        let items = vec![event(PARCEL, 1), event(PARCEL, 2)];
        let mut batch = honest.batch(
            net.world.now(),
            Dataset::TrackingEvents,
            Lane::Live,
            1,
            items,
        );
        change(&mut batch);
        honest.give(&mut net, &asked, batch);
        assert_eq!(received(&net), 0);
        assert!(net.steps(CAINIAO, PARCEL).is_empty());
    }
    let alerts = net.world.node(CAINIAO).unwrap().state().alerts.len();
    assert_eq!(alerts, 1, "one alert for what comes within the hour");
    // The locker operator's feed goes on.
    let deposit = net.deposit(FENGCHAO, PARCEL, "FC0001", "k1").unwrap();
    net.advance(
        FENGCHAO,
        &deposit,
        interlock::node::io::DepositAction::Confirm,
    )
    .unwrap();
    net.world.settle();
    assert_eq!(net.steps(CAINIAO, PARCEL), ["deposited", "notified"]);
    net.assert_replay_of(&[CAINIAO, FENGCHAO, JD]);
}

#[test]
fn what_cannot_be_used_is_left_out_and_what_was_there_is_not_repeated() {
    let (mut net, mut hostile) = rubbish(143);
    let asked = hostile.polled(&mut net, Dataset::TrackingEvents, Lane::Live);
    let mut far = event(PARCEL, 7);
    let FeedItem::Parcel(view) = &mut far else {
        unreachable!()
    };
    view.at = Some(Timestamp::from_millis(i64::MIN));
    view.zone = Some(Zone::CHINA);
    let mut long = event(PARCEL, 8);
    let FeedItem::Parcel(view) = &mut long else {
        unreachable!()
    };
    view.step = Some(Step::Other("x".repeat(100_000)));
    let items = vec![
        event("nonsense", 1),
        event(PARCEL, 3),
        event(PARCEL, 3),
        event(PARCEL, 1),
        event(PARCEL, 5),
        far,
        long,
    ];
    let now = net.world.now();
    let batch = hostile.batch(now, Dataset::TrackingEvents, Lane::Live, 1, items);
    hostile.give(&mut net, &asked, batch);
    let counters = net.world.node(CAINIAO).unwrap().state().counters.clone();
    assert_eq!(counters.events_received, 2);
    assert_eq!(counters.events_duplicate, 1);
    assert_eq!(counters.events_out_of_order, 1);
    assert_eq!(net.world.node(CAINIAO).unwrap().state().alerts.len(), 1);
    assert_eq!(net.steps(CAINIAO, PARCEL).len(), 2);
    net.assert_replay_of(&[CAINIAO, FENGCHAO, JD]);
}

#[test]
fn a_party_speaks_of_its_own_cooperations_in_few_words_and_dates() {
    let mut net = Network::of_june_2017(147);
    let dataset = Dataset::CooperationStatus;
    let (from, until) = (
        MIDNIGHT.plus_ms(-60 * DAY_MS),
        MIDNIGHT.plus_ms(365 * DAY_MS),
    );
    net.agree(SF, JD, terms(dataset, from, until, &[]), "old");
    net.world.kill(JD);
    assert!(net.world.restart(JD));
    net.world.settle();
    let [sf, fengchao, cainiao] =
        [SF, FENGCHAO, CAINIAO].map(|ix| net.world.id(ix).unwrap().clone());
    let mut hostile = Hostile::new(&mut net, SF, JD);
    let good = CooperationView {
        manifest: Some("0a".repeat(32)),
        parties: vec![fengchao.clone(), sf.clone()],
        end: Some(until),
        state: Some("in-force".into()),
        suspends_at: None,
        feed_age: Some("under-1-hour".into()),
    };
    let with = |change: &dyn Fn(&mut CooperationView)| {
        let mut view = good.clone();
        change(&mut view);
        FeedItem::Cooperation(view)
    };
    let items = vec![
        with(&|view| view.parties = vec![fengchao.clone(), cainiao.clone()]),
        with(&|view| view.parties = vec![sf.clone()]),
        with(&|view| view.parties = vec![sf.clone(); 1_000]),
        with(&|view| view.manifest = None),
        with(&|view| view.manifest = Some("0a".repeat(31))),
        with(&|view| view.manifest = Some("zz".repeat(32))),
        with(&|view| view.state = Some("x".repeat(100_000))),
        with(&|view| view.feed_age = Some("x".repeat(33))),
        with(&|view| view.end = Some(Timestamp::from_millis(i64::MAX))),
        with(&|view| view.suspends_at = Some(Timestamp::from_millis(i64::MIN))),
    ];
    let asked = hostile.polled(&mut net, dataset, Lane::Live);
    let now = net.world.now();
    let batch = hostile.batch(now, dataset, Lane::Live, 1, items);
    hostile.give(&mut net, &asked, batch);
    let seen = |net: &mut Network| {
        let all = ok(net.world.local(JD, LocalRequest::GetCooperations));
        let all = all["cooperations"].as_array().unwrap().clone();
        let reported = all.iter().filter(|one| one["reportedBy"].is_string());
        reported.cloned().collect::<Vec<_>>()
    };
    assert_eq!(seen(&mut net), Vec::<serde_json::Value>::new());
    assert_eq!(net.world.node(JD).unwrap().state().alerts.len(), 1);
    // The cursor went on: what is right comes through, and replaces what was said before.
    for (first, state) in [(11, "in-force"), (12, "suspended")] {
        let asked = hostile.polled(&mut net, dataset, Lane::Live);
        let now = net.world.now();
        let item = with(&|view| view.state = Some(state.into()));
        let batch = hostile.batch(now, dataset, Lane::Live, first, vec![item]);
        hostile.give(&mut net, &asked, batch);
        let seen = seen(&mut net);
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(seen[0]["state"], state);
        assert_eq!(seen[0]["reportedBy"], sf.as_str());
    }
    net.assert_replay_of(&[JD]);
}

#[test]
fn a_batch_of_ten_thousand_is_refused() {
    let (mut net, mut hostile) = rubbish(144);
    let asked = hostile.polled(&mut net, Dataset::TrackingEvents, Lane::Live);
    let now = net.world.now();
    let items: Vec<FeedItem> = (1..=10_000).map(|n| event(PARCEL, n)).collect();
    let batch = hostile.batch(now, Dataset::TrackingEvents, Lane::Live, 1, items);
    hostile.give(&mut net, &asked, batch);
    assert_eq!(received(&net), 0);
    assert!(net.steps(CAINIAO, PARCEL).is_empty());
}

fn advice(number: &str, owner: Option<&str>, at: Timestamp) -> PreAdviceView {
    PreAdviceView {
        carrier: "sf".into(),
        number: number.into(),
        issued_at: at,
        size_class: Some("small".into()),
        owner: owner.map(|o| interlock_core::ids::ParticipantId::parse(o).unwrap()),
        marketplace: Some(Marketplace::parse("jd").unwrap()),
        claim: None,
    }
}

/// JD advises Fengchao of parcels as if it were a carrier.
fn claimant(seed: u64) -> (Network, Hostile) {
    let mut net = Network::of_june_2017(seed);
    let terms = terms(
        Dataset::PreAdvice,
        MIDNIGHT.plus_ms(-60 * DAY_MS),
        MIDNIGHT.plus_ms(365 * DAY_MS),
        &["jd", "taobao"],
    );
    net.agree(JD, FENGCHAO, terms, "old");
    net.put_station(FENGCHAO, "FC0001", 20);
    net.world.kill(FENGCHAO);
    assert!(net.world.restart(FENGCHAO));
    net.world.settle();
    let hostile = Hostile::new(&mut net, JD, FENGCHAO);
    (net, hostile)
}

fn claim(net: &mut Network, hostile: &mut Hostile, first: u64, view: PreAdviceView) {
    let asked = hostile.polled(net, Dataset::PreAdvice, Lane::Live);
    let now = net.world.now();
    let items = vec![FeedItem::PreAdvice(view)];
    let batch = hostile.batch(now, Dataset::PreAdvice, Lane::Live, first, items);
    hostile.give(net, &asked, batch);
}

#[test]
fn a_claim_without_the_carriers_word_opens_nothing() {
    let (mut net, mut hostile) = claimant(145);
    let now = net.world.now();
    claim(
        &mut net,
        &mut hostile,
        1,
        advice(PARCEL, Some("did:web:jd.example"), now),
    );
    let refused = net.deposit(FENGCHAO, PARCEL, "FC0001", "k1").unwrap_err();
    assert!(
        refused.detail.contains("owner-unknown"),
        "{}",
        refused.detail
    );
    // The carrier's word settles it, and a later claim changes nothing.
    net.put_parcel(PARCEL, "taobao", CAINIAO, "13800000001");
    net.world.settle();
    for first in 2..6 {
        claim(
            &mut net,
            &mut hostile,
            first,
            advice(PARCEL, Some("did:web:jd.example"), now),
        );
    }
    let deposit = net.deposit(FENGCHAO, PARCEL, "FC0001", "k2").unwrap();
    assert_eq!(deposit["notifier"], "operator");
    let claims: usize = net
        .world
        .node(FENGCHAO)
        .unwrap()
        .state()
        .parcels
        .iter()
        .map(|p| p.claims.len())
        .sum();
    assert_eq!(claims, 1);
}

#[test]
fn a_claim_dated_ahead_hides_no_parcel() {
    let (mut net, mut hostile) = claimant(146);
    net.put_parcel(PARCEL, "taobao", CAINIAO, "13800000001");
    net.world.settle();
    let deposit = net.deposit(FENGCHAO, PARCEL, "FC0001", "k1").unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    net.world.settle();
    let code = net.code();
    net.advance(FENGCHAO, &deposit, DepositAction::Open { code })
        .unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::PickUp)
        .unwrap();
    net.world.settle();
    let ahead = Timestamp::from_millis(i64::MAX);
    claim(&mut net, &mut hostile, 1, advice(PARCEL, None, ahead));
    let seen = net.parcel(FENGCHAO, PARCEL);
    assert_eq!(seen["generation"], 1);
    assert_eq!(seen["ownership"]["state"], "owned");
}

/// A parcel in a locker is picked up; in one of two worlds the carrier's key, in other hands, has named
/// another owner of it by then.
fn picked_up(contested: bool) -> Network {
    let mut net = Network::of_june_2017(147);
    net.put_station(FENGCHAO, "FC0001", 20);
    for number in [PARCEL, OTHER] {
        net.put_parcel(number, "taobao", CAINIAO, "13800000001");
    }
    net.world.settle();
    let deposit = net.deposit(FENGCHAO, PARCEL, "FC0001", "k1").unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    net.world.settle();
    assert_eq!(net.steps(CAINIAO, PARCEL), ["deposited", "notified"]);
    let mut hostile = Hostile::new(&mut net, SF, FENGCHAO);
    // The log goes on where SF's node left it.
    hostile.continue_from(&net);
    let asked = hostile.polled(&mut net, Dataset::PreAdvice, Lane::Live);
    let now = net.world.now();
    let (owner, marketplace) = match contested {
        true => ("did:web:jd.example", "jd"),
        false => ("did:web:cainiao.example", "taobao"),
    };
    let named = |number| {
        FeedItem::PreAdvice(PreAdviceView {
            marketplace: Some(Marketplace::parse(marketplace).unwrap()),
            ..advice(number, Some(owner), now)
        })
    };
    let items = vec![named(PARCEL), named(OTHER)];
    let batch = hostile.batch(now, Dataset::PreAdvice, Lane::Live, 3, items);
    hostile.give(&mut net, &asked, batch);
    let code = net.code();
    for action in [DepositAction::Open { code }, DepositAction::PickUp] {
        net.advance(FENGCHAO, &deposit, action).unwrap();
    }
    net.world.settle();
    net
}

#[test]
fn two_owners_named_feed_nobody() {
    let mut owned = picked_up(false);
    assert_eq!(
        owned.steps(CAINIAO, PARCEL),
        ["deposited", "notified", "picked-up"]
    );
    owned.deposit(FENGCHAO, OTHER, "FC0001", "k2").unwrap();

    let mut net = picked_up(true);
    assert_eq!(net.steps(FENGCHAO, PARCEL).last().unwrap(), "picked-up");
    assert_eq!(net.steps(CAINIAO, PARCEL), ["deposited", "notified"]);
    assert!(net.steps_or_none(JD, PARCEL).is_empty());
    let refused = net.deposit(FENGCHAO, OTHER, "FC0001", "k2").unwrap_err();
    assert!(
        refused.detail.contains("ownership-contested"),
        "{}",
        refused.detail
    );
    let alerts = &net.world.node(FENGCHAO).unwrap().state().alerts;
    assert_eq!(alerts.len(), 2, "{alerts:?}");
    for alert in alerts {
        assert!(alert.detail.contains("two participants"), "{alert:?}");
    }
}
