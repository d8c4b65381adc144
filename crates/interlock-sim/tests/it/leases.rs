//! Leases of several holders, of a memory that was lost, and keys that are told phones.

use interlock::exchange::wire::{Contact, FeedItem, Lane, LookupOutcome, ParcelView};
use interlock::node::io::{DepositAction, Digest, KeyId, LocalRequest, Role};
use interlock::node::record::{LookupDecision, Record};
use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::event::{Place, Step};
use interlock_core::ids::StationId;
use interlock_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, Zone};
use interlock_core::waybill::Waybill;
use interlock_sim::NodeIx;
use serde_json::Value;

use crate::calls::*;
use crate::support::*;

const THIRD: &str = "SF1000000000003";
const FOURTH: &str = "SF1000000000004";

/// The same two parcels, of which JD may ask for the contacts too, and tells of its lockers.
fn of_two_consumers(seed: u64, pool: Option<u64>) -> Network {
    let mut net = begin(seed, pool);
    let from = MIDNIGHT.plus_ms(-60 * DAY_MS);
    let until = MIDNIGHT.plus_ms(300 * DAY_MS);
    let mut contact = terms(Dataset::RecipientContact, from, until, &["taobao"]);
    contact.contact_forms = [ContactForm::Virtual].into();
    net.agree(CAINIAO, JD, contact, "old");
    let events = terms(Dataset::LockerEvents, from, until, &["taobao"]);
    net.agree(JD, CAINIAO, events, "old");
    restart(&mut net);
    net
}

/// What a partner whose place was taken is leased.
fn leased_to(net: &mut Network, hostile: &mut Hostile, number: &str) -> Leased {
    let now = net.world.now();
    let item = hostile.item(number, now);
    let request = hostile.request(vec![item]);
    let answer = hostile.lookup(&mut net.world, &request).expect("answered");
    hostile.sign_receipt(now);
    let LookupOutcome::Released(Contact::Virtual {
        number, extension, ..
    }) = answer.items[0].clone()
    else {
        panic!("{:?}", answer.items[0]);
    };
    Leased { number, extension }
}

fn take_place(net: &mut Network, ix: NodeIx) -> Hostile {
    let mut hostile = Hostile::new(net, ix, CAINIAO);
    hostile.continue_from(net);
    hostile
}

fn erase(net: &mut Network, number: &str) {
    let erase = LocalRequest::EraseRecipient(Waybill::parse("sf", number).unwrap());
    ok(net.world.local(CAINIAO, erase));
    net.world.settle();
}

#[test]
fn each_holder_of_a_parcel_has_a_number_of_its_own_that_says_nothing_of_another() {
    for pool in [None, Some(3)] {
        let mut net = of_two_consumers(970, pool);
        let (_, mine) = deposited(&mut net, PARCEL, "k1");
        let mut alone = of_two_consumers(970, pool);
        let (_, without_jd) = deposited(&mut alone, PARCEL, "k1");
        let mut jd = take_place(&mut net, JD);
        let theirs = leased_to(&mut net, &mut jd, PARCEL);
        for _ in 0..2 {
            assert_eq!(connected(&mut net, &mine, Some(FENGCHAOS)), e164(PHONE));
            assert_eq!(connected(&mut net, &theirs, Some(JDS)), e164(PHONE));
            restart(&mut net);
            net.answer_comparisons();
        }
        match pool {
            None => assert_ne!(mine, theirs),
            Some(_) => {
                // Each partner has the pool to itself.
                assert_eq!(mine, theirs);
                assert_eq!(connected(&mut net, &mine, Some(NUMBER)), None);
            }
        }
        // Whoever asks again has what it had, whether another asked or not.
        let mut fengchao = take_place(&mut net, FENGCHAO);
        assert_eq!(leased_to(&mut net, &mut fengchao, PARCEL), mine);
        let mut fengchao = take_place(&mut alone, FENGCHAO);
        assert_eq!(leased_to(&mut alone, &mut fengchao, PARCEL), without_jd);
        assert_eq!(mine, without_jd, "not a digit tells of another");
        net.assert_replay_of(&[CAINIAO]);
        net.answer_comparisons();
        erase(&mut net, PARCEL);
        net.put_parcel(PARCEL, "taobao", CAINIAO, OTHERS_PHONE);
        net.world.settle();
        assert_eq!(connected(&mut net, &mine, Some(FENGCHAOS)), None);
        assert_eq!(connected(&mut net, &theirs, Some(JDS)), None);
    }
}

/// Something that JD's lockers tell of a parcel.
fn said_by_jd(net: &mut Network, jd: &mut Hostile, sequence: u32, step: Step) {
    let asked = jd.polled(net, Dataset::LockerEvents, Lane::Live);
    let item = FeedItem::Parcel(ParcelView {
        carrier: "sf".into(),
        number: PARCEL.into(),
        sequence,
        step: Some(step),
        at: Some(net.world.now()),
        zone: Some(Zone::CHINA),
        place: Some(Place::Station(StationId::parse("JD0001").unwrap())),
        pickup_until: None,
    });
    let first = u64::from(sequence);
    let batch = jd.batch(
        net.world.now(),
        Dataset::LockerEvents,
        Lane::Live,
        first,
        vec![item],
    );
    jd.give(net, &asked, batch);
    let state = net.world.node(CAINIAO).unwrap().state();
    let parcel = state.parcels.find(&Waybill::parse("sf", PARCEL).unwrap());
    let theirs = parcel.unwrap().last_received(&jd.id, true);
    assert_eq!(theirs, sequence, "it was received");
}

#[test]
fn what_another_operator_says_neither_ends_a_stay_nor_goes_on_with_one() {
    let mut net = of_two_consumers(971, None);
    let (deposit, mine) = deposited(&mut net, PARCEL, "k1");
    let mut jd = take_place(&mut net, JD);
    net.world.run_until(net.world.now().plus_ms(MINUTE_MS));
    said_by_jd(&mut net, &mut jd, 1, Step::Recalled);
    assert_eq!(connected(&mut net, &mine, None), e164(PHONE));
    net.advance(FENGCHAO, &deposit, DepositAction::Recall)
        .unwrap();
    net.world.settle();
    assert_eq!(connected(&mut net, &mine, None), None);
    said_by_jd(&mut net, &mut jd, 2, Step::Deposited);
    assert_eq!(connected(&mut net, &mine, None), None);
    // A pick-up is the end for everybody.
    let (_, again) = deposited(&mut net, PARCEL, "k2");
    assert_eq!(connected(&mut net, &again, None), e164(PHONE));
    said_by_jd(&mut net, &mut jd, 3, Step::PickedUp);
    assert_eq!(connected(&mut net, &again, None), None);
}

/// Cainiao goes back to its first `records`, marked as a restore marks it or not.
fn put_back(net: &mut Network, records: usize, marked: bool) {
    net.world.kill(CAINIAO);
    assert!(net.world.put_back(CAINIAO, records));
    if marked {
        let reason = "restored from a copy".into();
        let record = Record::RolledBack {
            shown_by: None,
            reason,
        };
        assert!(net.world.append_offline(CAINIAO, net.world.now(), record));
    }
    assert!(net.world.restart(CAINIAO));
    net.world.run_until(net.world.now().plus_ms(5 * MINUTE_MS));
}

// tidy: long, one story from the copy to the last of the eight days
#[test]
fn what_was_leased_before_a_loss_reaches_nobody_after_it() {
    for (marked, pool) in [
        (true, None),
        (true, Some(2)),
        (false, None),
        (false, Some(2)),
    ] {
        let mut net = begin(972, pool);
        let (_, kept) = deposited(&mut net, PARCEL, "k1");
        let copy = net.world.journal(CAINIAO).len();
        // Lost with the copy: a parcel and its lease.
        net.put_parcel(THIRD, "taobao", CAINIAO, "13800000003");
        net.world.settle();
        let (_, lost) = deposited(&mut net, THIRD, "k2");
        assert_eq!(
            connected(&mut net, &lost, Some(FENGCHAOS)),
            e164("13800000003")
        );
        let begun = net.world.now();
        put_back(&mut net, copy, marked);
        let state = net.world.node(CAINIAO).unwrap().state();
        assert!(state.rolled_back_at.is_some());
        assert_eq!(connected(&mut net, &kept, Some(FENGCHAOS)), None);
        // The next parcel has the number of the lost one.
        net.put_parcel(FOURTH, "taobao", CAINIAO, "13800000004");
        net.world.settle();
        let (_, next) = deposited(&mut net, FOURTH, "k3");
        assert_eq!(next.number, NUMBER, "nothing is bound anew yet");
        assert_ne!(next, lost);
        for _ in 0..2 {
            assert_eq!(
                connected(&mut net, &next, Some(FENGCHAOS)),
                e164("13800000004")
            );
            for gone in [&kept, &lost] {
                assert_eq!(connected(&mut net, gone, Some(FENGCHAOS)), None);
            }
            restart(&mut net);
        }
        if pool.is_none() {
            continue;
        }
        // Until what was bound in what was lost has ended and rested.
        agree_longer(&mut net);
        for (hours, number, bound) in [
            (8 * 24 - 1, "SF1000000000005", false),
            (8 * 24 + 1, "SF1000000000006", true),
        ] {
            net.world.run_until(begun.plus_ms(hours * HOUR_MS));
            net.put_parcel(number, "taobao", CAINIAO, "13800000005");
            net.world.settle();
            let (_, leased) = deposited(&mut net, number, number);
            assert_eq!(leased.extension.is_empty(), bound, "{hours}");
            assert_eq!(
                connected(&mut net, &leased, Some(FENGCHAOS)),
                e164("13800000005")
            );
        }
    }
}

#[test]
fn nobody_is_connected_for_a_holder_with_whom_logs_are_not_compared() {
    let mut net = begin(973, None);
    let (_, mine) = deposited(&mut net, PARCEL, "k1");
    net.world.cut(CAINIAO, FENGCHAO, true);
    restart(&mut net);
    net.world.run_until(net.world.now().plus_ms(MINUTE_MS));
    assert_eq!(connected(&mut net, &mine, None), None);
    net.world.cut(CAINIAO, FENGCHAO, false);
    net.world.run_until(net.world.now().plus_ms(HOUR_MS));
    assert_eq!(connected(&mut net, &mine, None), e164(PHONE));
}

#[test]
fn a_lease_that_leads_nowhere_as_a_node_is_configured_now_is_leased_anew() {
    let mut net = begin(974, Some(1));
    let (_, mine) = deposited(&mut net, PARCEL, "k1");
    assert_eq!(mine.extension, "");
    net.world.binds_numbers(CAINIAO, None, []);
    let mut fengchao = take_place(&mut net, FENGCHAO);
    assert_eq!(connected(&mut net, &mine, Some(FENGCHAOS)), None);
    let again = leased_to(&mut net, &mut fengchao, PARCEL);
    assert_eq!(again.number, NUMBER);
    assert_eq!(connected(&mut net, &again, None), e164(PHONE));
    // And once more, with another pool.
    bind(&mut net, 1);
    net.answer_comparisons();
    assert_eq!(leased_to(&mut net, &mut fengchao, PARCEL), again);
    net.assert_replay_of(&[CAINIAO]);
}

fn add_key(net: &mut Network, by: Option<Digest>, name: &str, role: Role, digest: Digest) -> Value {
    let name = name.into();
    let request = LocalRequest::AddKey { name, role, digest };
    ok(match by {
        Some(by) => net.world.local_as(CAINIAO, Some(by), request),
        None => net.world.local(CAINIAO, request),
    })
}

fn alerts(net: &mut Network, kind: &str) -> Vec<String> {
    let view = ok(net.world.local(CAINIAO, LocalRequest::GetAlerts));
    let all = view["items"].as_array().unwrap().iter();
    let some = all.filter(|alert| alert["kind"] == kind);
    some.map(|alert| alert["detail"].as_str().unwrap().to_owned())
        .collect()
}

// tidy: long, one key from the request to the first call
#[test]
fn a_key_that_is_told_phones_takes_two_people_and_its_makers_are_named() {
    const BO: Digest = [41; 32];
    const CHEN: Digest = [42; 32];
    const NEW: Digest = [43; 32];
    const OTHER_KEY: Digest = [44; 32];
    let mut net = begin(975, None);
    let told = alerts(&mut net, "telephone-key");
    assert_eq!(told.len(), 1, "where one decides, people are told");
    assert!(told[0].contains("`exchange` by `admin`"), "{told:?}");
    add_key(&mut net, None, "bo", Role::Admin, BO);
    add_key(&mut net, None, "chen", Role::Admin, CHEN);
    net.world.four_eyes(CAINIAO);
    restart(&mut net);
    let (_, mine) = deposited(&mut net, PARCEL, "k1");

    let asked = add_key(&mut net, Some(BO), "tel", Role::Telephone, NEW);
    assert_eq!(asked["waits"], true);
    let calls = |net: &mut Network| {
        let answer = net.world.local_as(CAINIAO, Some(NEW), dialled(&mine, None));
        result(answer).map_err(|refused| refused.status).is_ok()
    };
    assert!(!calls(&mut net), "it does not count");
    let id = KeyId::of(&NEW);
    let approve = |net: &mut Network, by: Option<Digest>, id: KeyId| {
        let request = LocalRequest::ApproveKey(id);
        result(match by {
            Some(by) => net.world.local_as(CAINIAO, Some(by), request),
            None => net.world.local(CAINIAO, request),
        })
    };
    // Neither who asked, nor who let in who asked, nor by a key of another role.
    for (by, status) in [
        (Some(BO), 403),
        (None, 403),
        (Some(NEW), 401),
        (Some(ORDERS), 403),
    ] {
        assert_eq!(approve(&mut net, by, id).unwrap_err().status, status);
    }
    restart(&mut net);
    let listed = ok(net.world.local(CAINIAO, LocalRequest::GetKeys));
    assert_eq!(listed["waiting"][0]["askedBy"], "bo");
    assert!(!calls(&mut net));
    let approved = approve(&mut net, Some(CHEN), id).unwrap();
    assert_eq!(approved["letInAlike"], "admin");
    assert!(calls(&mut net));
    let told = alerts(&mut net, "telephone-key");
    assert_eq!(told.len(), 2);
    let named = "`tel` by `bo` and `chen`, who were both let in by `admin`";
    assert!(told[0].contains(named), "{told:?}");
    assert_eq!(approve(&mut net, Some(CHEN), id).unwrap_err().status, 404);

    // One that is withdrawn or waited for a week never counts.
    let other = KeyId::of(&OTHER_KEY);
    for withdrawn in [true, false] {
        add_key(&mut net, Some(BO), "tel", Role::Telephone, OTHER_KEY);
        match withdrawn {
            true => drop(ok(net
                .world
                .local(CAINIAO, LocalRequest::WithdrawKey(other)))),
            false => net.world.run_until(net.world.now().plus_ms(7 * DAY_MS)),
        }
        assert_eq!(
            approve(&mut net, Some(CHEN), other).unwrap_err().status,
            404
        );
    }
    // Whoever asked knows the key, and is no administrator any more.
    add_key(&mut net, Some(BO), "tel", Role::Telephone, OTHER_KEY);
    let bo = LocalRequest::WithdrawKey(KeyId::of(&BO));
    ok(net.world.local(CAINIAO, bo));
    let gone = approve(&mut net, Some(CHEN), other).unwrap_err();
    assert_eq!((gone.status, gone.kind.as_str()), (409, "asker-withdrawn"));
    add_key(&mut net, None, "bo", Role::Auditor, BO);
    let gone = approve(&mut net, Some(CHEN), other).unwrap_err();
    assert_eq!(gone.status, 409, "of another role");
    // Other keys are told no phones, and wait for nobody.
    let handheld = add_key(&mut net, None, "h1", Role::Handheld, [45; 32]);
    assert_eq!(handheld["waits"], false);
    net.assert_replay_of(&[CAINIAO]);
}

/// Cainiao's journal as a node wrote it that put the digits of extensions on record.
fn write_as_before(net: &mut Network, digits: &str) -> usize {
    let journal = net.world.journal(CAINIAO).to_vec();
    net.world.kill(CAINIAO);
    assert!(net.world.put_back(CAINIAO, 0));
    let mut changed = 0;
    for (at, bytes) in journal {
        let mut record: Record = postcard::from_bytes(&bytes).unwrap();
        if let Record::LookupReleased(lookup) = &mut record {
            for outcome in &mut lookup.outcomes {
                if let LookupDecision::Released {
                    lease: Some((text, _)),
                    ..
                } = outcome
                {
                    *text = digits.into();
                    changed += 1;
                }
            }
        }
        assert!(net.world.append_offline(CAINIAO, at, record));
    }
    changed
}

#[test]
fn a_journal_that_has_digits_of_leases_is_opened_and_they_reach_nobody() {
    const DIGITS: &str = "480275193366";
    let mut net = begin(978, None);
    deposited(&mut net, PARCEL, "k1");
    assert_eq!(write_as_before(&mut net, DIGITS), 1);
    assert!(net.world.restart(CAINIAO), "it is opened");
    net.world.run_until(net.world.now().plus_ms(5 * MINUTE_MS));
    let before = Leased {
        number: NUMBER.into(),
        extension: DIGITS.into(),
    };
    assert_eq!(connected(&mut net, &before, None), None);
    let mut fengchao = take_place(&mut net, FENGCHAO);
    let mine = leased_to(&mut net, &mut fengchao, PARCEL);
    assert_eq!(connected(&mut net, &mine, None), e164(PHONE));
    net.assert_replay_of(&[CAINIAO]);
}

#[test]
fn many_calls_that_reach_nobody_are_told() {
    let mut net = begin(976, None);
    let (_, mine) = deposited(&mut net, PARCEL, "k1");
    let wrong = neighbour(&mine);
    let dial = |net: &mut Network, number: &Leased, times: u32| {
        (0..times).for_each(|_| drop(connected(net, number, None)));
    };
    // As many as reach somebody are couriers who call too late.
    dial(&mut net, &mine, 120);
    dial(&mut net, &wrong, 120);
    assert_eq!(alerts(&mut net, "calls-to-nobody").len(), 0);
    dial(&mut net, &wrong, 10);
    let told = alerts(&mut net, "calls-to-nobody");
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("`exchange` asked"), "{told:?}");
    assert!(!told[0].contains(&mine.extension) && !told[0].contains(&wrong.extension));
    // Once a day, and less than a hundred within an hour are not told.
    net.world.run_until(net.world.now().plus_ms(2 * HOUR_MS));
    dial(&mut net, &wrong, 150);
    net.world.run_until(net.world.now().plus_ms(DAY_MS));
    dial(&mut net, &wrong, 99);
    net.world.run_until(net.world.now().plus_ms(HOUR_MS));
    dial(&mut net, &wrong, 99);
    assert_eq!(alerts(&mut net, "calls-to-nobody").len(), 1);
    dial(&mut net, &wrong, 1);
    assert_eq!(alerts(&mut net, "calls-to-nobody").len(), 2);
}

#[test]
fn an_extension_is_on_no_record_of_whoever_leased_it() {
    let mut net = begin(977, None);
    let (_, mine) = deposited(&mut net, PARCEL, "k1");
    assert_eq!(mine.extension.len(), 12);
    for (_, record) in net.world.journal(CAINIAO) {
        let mut windows = record.windows(mine.extension.len());
        assert!(!windows.any(|window| window == mine.extension.as_bytes()));
    }
    assert_eq!(connected(&mut net, &mine, None), e164(PHONE));
}

#[test]
fn what_was_bound_is_forgotten_once_it_has_rested() {
    let mut net = begin(978, Some(2));
    let fengchao = net.world.id(FENGCHAO).unwrap().clone();
    let bound = |net: &Network| {
        let state = net.world.node(CAINIAO).unwrap().state();
        state
            .bindings
            .parcel(&fengchao, 8_617_000_000_000)
            .is_some()
    };
    deposited(&mut net, PARCEL, "k1");
    assert!(bound(&net));
    // It goes with the next hour in which data of anybody ends: here the recipient's, after sixty days.
    net.world.binds_numbers(CAINIAO, None, []);
    restart(&mut net);
    assert!(bound(&net));
    net.world.run_until(net.world.now().plus_ms(61 * DAY_MS));
    assert!(!bound(&net));
    net.assert_replay_of(&[CAINIAO]);
}
