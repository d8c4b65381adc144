//! The run-off serves what the provider's log held before the end, as it was frozen then, and nothing
//! that comes in later, whatever time it names.

use interlock::node::io::{EventPut, LocalRequest};
use interlock_core::dataset::Dataset;
use interlock_core::event::{ParcelEvent, Place, Step};
use interlock_core::ids::WireId;
use interlock_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp, Zone};
use interlock_core::waybill::Waybill;
use interlock_journal::evidence::FrozenSet;
use interlock_sim::NodeIx;
use sha2::{Digest as _, Sha256};

use crate::support::*;

const BEFORE: &str = "SF1000000000001";
const DONE: &str = "SF1000000000002";
const LATE: &str = "SF1000000000003";
const RIVAL: &str = "SF1000000000004";

fn agreement(net: &Network, provider: NodeIx, consumer: NodeIx, dataset: Dataset) -> WireId {
    let book = &net.world.node(provider).unwrap().state().book;
    let (from, to) = (net.world.id(provider), net.world.id(consumer));
    let found = book.between(from.unwrap(), to.unwrap(), dataset).next();
    found.expect("an agreement").id.clone()
}

/// What both copies of the log say of the run-off of an agreement.
fn frozen(net: &Network, id: &WireId) -> Vec<FrozenSet> {
    let sets = verdict_of(&net.world).run_off;
    sets.into_iter()
        .filter(|set| &set.agreement == id)
        .collect()
}

/// An event that is reported now with the time `at`.
fn report(net: &mut Network, number: &str, step: Step, at: Timestamp) {
    let digest = Sha256::digest(format!("{number} {step:?}")).into();
    let event = ParcelEvent {
        number: 0,
        step,
        at,
        zone: Zone::CHINA,
        place: Some(Place::Named("Hangzhou".into())),
    };
    let put = EventPut {
        waybill: Waybill::parse("sf", number).unwrap(),
        event,
        digest,
    };
    ok(net.world.local(SF, LocalRequest::PostEvents(vec![put])));
    net.world.settle();
}

/// A parcel under way, one that is delivered, and one of a rival's, on the evening before.
fn evening(seed: u64) -> Network {
    let mut net = Network::of_june_2017(seed);
    for number in [BEFORE, DONE] {
        net.put_parcel(number, "taobao", CAINIAO, "13800000001");
        net.track(SF, number, "accepted");
    }
    net.put_parcel(RIVAL, "jd", JD, "13800000002");
    net.track(SF, RIVAL, "accepted");
    report(&mut net, DONE, Step::Delivered, MIDNIGHT.plus_ms(-DAY_MS));
    net
}

#[test]
fn the_set_is_frozen_at_the_end_and_receipted_by_the_consumer() {
    let mut net = evening(700);
    let id = agreement(&net, SF, CAINIAO, Dataset::TrackingEvents);
    net.world.run_until(MIDNIGHT.plus_ms(-MINUTE_MS));
    assert_eq!(frozen(&net, &id), []);
    net.world.run_until(MIDNIGHT.plus_ms(MINUTE_MS));
    let sets = frozen(&net, &id);
    assert_eq!(sets.len(), 2, "at provider and consumer: {sets:?}");
    for set in &sets {
        // Not the one that is delivered, and nothing of a rival's.
        assert_eq!((set.parcels, set.ended_at), (1, MIDNIGHT));
        assert!(set.receipted, "{set:?}");
        // The provider has signed it for its reader, who keeps what was signed.
        let reader = net.world.id(CAINIAO) == Some(&set.holder);
        assert!(set.signed || !reader, "{set:?}");
        assert_eq!(set.root, sets[0].root);
    }
    // Contacts may still be asked for of one, too: Cainiao has the carrier's word that the other one was
    // delivered.
    let contacts = agreement(&net, CAINIAO, FENGCHAO, Dataset::RecipientContact);
    assert_eq!(frozen(&net, &contacts)[0].parcels, 1);
    net.track(SF, BEFORE, "arrived");
    assert_eq!(net.steps(CAINIAO, BEFORE), ["accepted", "arrived"]);
    assert_eq!(findings_of(&net.world), []);
    net.assert_replay_gives_the_same();
}

#[test]
fn what_comes_in_after_the_end_is_not_served_whatever_time_it_names() {
    let mut net = evening(701);
    net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
    let id = agreement(&net, SF, CAINIAO, Dataset::TrackingEvents);
    let before = frozen(&net, &id);
    let yesterday = MIDNIGHT.plus_ms(-DAY_MS);
    // Announced and scanned yesterday, says a scanner that was offline.
    net.put_parcel_with(LATE, "taobao", CAINIAO, "13800000003", |put| {
        put.issued_at = Some(yesterday);
    });
    report(&mut net, LATE, Step::Accepted, yesterday);
    assert_eq!(net.steps_or_none(CAINIAO, LATE), Vec::<String>::new());
    assert_eq!(net.held(SF, "tracking-events"), 1);
    // What was under way is served, whatever time its events name.
    report(&mut net, BEFORE, Step::Arrived, yesterday);
    assert_eq!(net.steps(CAINIAO, BEFORE), ["accepted", "arrived"]);
    assert_eq!(frozen(&net, &id), before, "the set is what it was");
    // The run-off ends, too.
    net.world.run_until(MIDNIGHT.plus_ms(7 * DAY_MS));
    report(&mut net, BEFORE, Step::OutForDelivery, yesterday);
    assert_eq!(net.steps(CAINIAO, BEFORE), ["accepted", "arrived"]);
    assert_eq!(net.held(SF, "tracking-events"), 2);
}

#[test]
fn a_cabinet_that_was_offline_adds_nothing_to_the_run_off_of_locker_events() {
    let mut net = Network::of_june_2017(702);
    net.put_station(FENGCHAO, "FC0001", 20);
    for number in [BEFORE, LATE] {
        net.put_parcel(number, "taobao", CAINIAO, "13800000001");
        net.world.settle();
    }
    let first = net.deposit(FENGCHAO, BEFORE, "FC0001", "k1").unwrap();
    let confirm = interlock::node::io::DepositAction::Confirm;
    net.advance(FENGCHAO, &first, confirm.clone()).unwrap();
    net.world.settle();
    net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
    let id = agreement(&net, FENGCHAO, CAINIAO, Dataset::LockerEvents);
    assert_eq!(
        frozen(&net, &id)[0].parcels,
        1,
        "what lay in a locker at the end"
    );
    // The door was closed before midnight, says the cabinet now; the log says when it came in.
    let second = net.deposit(FENGCHAO, LATE, "FC0001", "k2").unwrap();
    net.advance(FENGCHAO, &second, confirm).unwrap();
    net.world.settle();
    let held = net.held(FENGCHAO, "locker-events");
    assert!(held > 0, "it waits for an agreement");
    assert!(
        !net.steps_or_none(CAINIAO, LATE)
            .contains(&"deposited".to_owned())
    );
    assert_eq!(frozen(&net, &id)[0].parcels, 1);
    assert_eq!(findings_of(&net.world), []);
}

#[test]
fn an_owner_who_proves_only_after_the_end_gets_nothing_by_the_run_off() {
    let mut net = Network::of_june_2017(703);
    let number = "SF1000000000009";
    // The carrier scans a parcel of which it does not know whose it is.
    let waybill = Waybill::parse("sf", number).unwrap();
    let unknown = interlock::node::io::ParcelPut {
        waybill,
        issued_at: None,
        marketplace: interlock_core::ids::Marketplace::parse("taobao").unwrap(),
        merchant: None,
        owner: None,
        recipient: None,
        size_class: None,
        consent: interlock_core::parcel::Consent::Unknown,
        preference: interlock_core::parcel::Preference::default(),
        lockers: Vec::new(),
    };
    ok(net.world.local(SF, LocalRequest::PutParcels(vec![unknown])));
    net.track(SF, number, "accepted");
    net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
    let id = agreement(&net, SF, CAINIAO, Dataset::TrackingEvents);
    assert_eq!(frozen(&net, &id)[0].parcels, 0);
    net.put_parcel(number, "taobao", CAINIAO, "13800000001");
    net.world.settle();
    assert_eq!(net.steps_or_none(CAINIAO, number), Vec::<String>::new());
    assert_eq!(
        net.held(SF, "tracking-events"),
        1,
        "it waits for an agreement that covers it"
    );
}
