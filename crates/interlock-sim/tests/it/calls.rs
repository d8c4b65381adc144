//! Virtual numbers: whom a telephone network is told to connect, and whom not.

use interlock::exchange::wire::Contact;
use interlock::node::io::{CallPut, DepositAction, Digest, LeasedExtension, LocalRequest, Role};
use interlock_core::contact::{ContactForm, NumberRange, Phone};
use interlock_core::dataset::Dataset;
use interlock_core::time::{DAY_MS, HOUR_MS, Timestamp};
use interlock_core::waybill::Waybill;
use serde_json::{Value, json};

use crate::support::*;

pub const PARCEL: &str = "SF1000000000001";
pub const OTHER: &str = "SF1000000000002";
pub const PHONE: &str = "13800000001";
pub const OTHERS_PHONE: &str = "13800000002";
/// The number behind which Cainiao's recipients are reached by extension.
pub const NUMBER: &str = "+8618877771111";
/// Fengchao's own number, from which its couriers are connected.
pub const FENGCHAOS: &str = "+8695000001";
/// JD's own number.
pub const JDS: &str = "+8695000002";
const STRANGERS: &str = "+8613700000009";
pub const TELEPHONE: Digest = [31; 32];
pub const ORDERS: Digest = [32; 32];
const AUDITOR: Digest = [33; 32];

/// What was leased, as it is dialled.
#[derive(Clone, Debug, PartialEq)]
pub struct Leased {
    pub number: String,
    pub extension: String,
}

/// Two parcels of Cainiao's, and a telephone network at Cainiao; `pool`: of so many numbers.
pub fn begin(seed: u64, pool: Option<u64>) -> Network {
    let mut net = Network::with_terms(seed, |terms| {
        if terms.dataset == Dataset::RecipientContact {
            terms.contact_forms = [ContactForm::Virtual].into();
        }
    });
    net.put_station(FENGCHAO, "FC0001", 8);
    for (name, role, digest) in [
        ("exchange", Role::Telephone, TELEPHONE),
        ("orders", Role::OrderSystem, ORDERS),
        ("an", Role::Auditor, AUDITOR),
    ] {
        let name = name.into();
        let add = LocalRequest::AddKey { name, role, digest };
        ok(net.world.local(CAINIAO, add));
    }
    if let Some(count) = pool {
        bind(&mut net, count);
    }
    net.put_parcel(PARCEL, "taobao", CAINIAO, PHONE);
    net.put_parcel(OTHER, "taobao", CAINIAO, OTHERS_PHONE);
    net.world.settle();
    net
}

/// Cainiao and Fengchao agree until long after midnight.
pub fn agree_longer(net: &mut Network) {
    let from = MIDNIGHT.plus_ms(-60 * DAY_MS);
    let until = MIDNIGHT.plus_ms(300 * DAY_MS);
    for (provider, consumer, dataset) in [
        (CAINIAO, FENGCHAO, Dataset::RecipientContact),
        (FENGCHAO, CAINIAO, Dataset::LockerEvents),
    ] {
        let mut terms = terms(dataset, from, until, &["taobao"]);
        if dataset == Dataset::RecipientContact {
            terms.contact_forms = [ContactForm::Virtual].into();
        }
        net.agree(provider, consumer, terms, "longer");
    }
}

pub fn bind(net: &mut Network, count: u64) {
    let pool = format!("+8617000000000-+{}", 8_617_000_000_000 + count - 1);
    let pool = NumberRange::parse(&pool).unwrap();
    let callers = [(FENGCHAO, FENGCHAOS), (JD, JDS)].map(|(ix, number)| {
        let id = net.world.id(ix).unwrap().clone();
        (Phone::parse(number).unwrap(), id)
    });
    net.world.binds_numbers(CAINIAO, Some(pool), callers);
    restart(net);
}

pub fn restart(net: &mut Network) {
    net.world.kill(CAINIAO);
    assert!(net.world.restart(CAINIAO));
    net.world.settle();
}

/// Two parcels of which one has a number of the pool and one an extension, and a key that waits for a second
/// person.
pub fn leased(seed: u64) -> Network {
    let mut net = begin(seed, Some(1));
    net.world.four_eyes(CAINIAO);
    restart(&mut net);
    deposited(&mut net, PARCEL, "k1");
    deposited(&mut net, OTHER, "k2");
    let (name, role, digest) = ("second".into(), Role::Telephone, [34; 32]);
    let add = LocalRequest::AddKey { name, role, digest };
    ok(net.world.local(CAINIAO, add));
    net
}

/// Cainiao does not count Fengchao among its partners any more.
fn part(net: &mut Network) {
    let fengchao = net.world.id(FENGCHAO).unwrap().clone();
    let remove = LocalRequest::RemovePartner(fengchao);
    ok(net.world.local(CAINIAO, remove));
}

/// Deposits a parcel; its deposit, and what its recipient was told by.
pub fn deposited(net: &mut Network, number: &str, key: &str) -> (Value, Leased) {
    let deposit = net.deposit(FENGCHAO, number, "FC0001", key).unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    net.world.settle();
    let Contact::Virtual {
        number, extension, ..
    } = net.world.sent.last().expect("a message").to.clone()
    else {
        panic!("leased");
    };
    (deposit, Leased { number, extension })
}

pub fn dialled(leased: &Leased, from: Option<&str>) -> LocalRequest {
    let extension = Some(leased.extension.as_str()).filter(|it| !it.is_empty());
    LocalRequest::ConnectCall(CallPut {
        from: from.map(|it| Phone::parse(it).unwrap()),
        to: Phone::parse(&leased.number).unwrap(),
        extension: extension.map(|it| LeasedExtension::parse(it).unwrap()),
    })
}

/// Whom Cainiao's telephone network is told to connect.
pub fn connected(net: &mut Network, leased: &Leased, from: Option<&str>) -> Option<String> {
    let request = dialled(leased, from);
    let answer = result(net.world.local_as(CAINIAO, Some(TELEPHONE), request));
    match answer {
        Ok(body) => Some(body["phone"].as_str().unwrap().to_owned()),
        Err(refused) => {
            // One answer for whatever the reason is.
            assert_eq!((refused.status, refused.kind.as_str()), (404, "not-found"));
            assert_eq!(
                refused.detail,
                "nobody is reached at the number that was dialled, or not by who calls, or not any more; hang up"
            );
            None
        }
    }
}

pub fn e164(phone: &str) -> Option<String> {
    Some(format!("+86{phone}"))
}

pub fn neighbour(leased: &Leased) -> Leased {
    let next = (leased.extension.parse::<u64>().unwrap() + 1) % 1_000_000_000_000;
    Leased {
        number: leased.number.clone(),
        extension: format!("{next:012}"),
    }
}

#[test]
fn an_extension_connects_to_its_recipient_until_the_parcel_is_out() {
    let mut net = begin(960, None);
    let (deposit, mine) = deposited(&mut net, PARCEL, "k1");
    let (_, others) = deposited(&mut net, OTHER, "k2");
    assert_eq!(mine.number, NUMBER);
    assert_ne!(mine, others);
    // Whoever calls: couriers call from phones that nobody knows.
    for from in [None, Some(FENGCHAOS), Some(STRANGERS)] {
        assert_eq!(connected(&mut net, &mine, from), e164(PHONE));
        assert_eq!(connected(&mut net, &others, from), e164(OTHERS_PHONE));
    }
    assert_eq!(connected(&mut net, &neighbour(&mine), None), None);
    let elsewhere = Leased {
        number: "+8618877772222".into(),
        ..mine.clone()
    };
    assert_eq!(
        connected(&mut net, &elsewhere, None),
        None,
        "another number"
    );
    let bare = Leased {
        extension: String::new(),
        ..mine.clone()
    };
    assert_eq!(connected(&mut net, &bare, Some(FENGCHAOS)), None);

    restart(&mut net);
    assert_eq!(connected(&mut net, &mine, None), e164(PHONE));
    net.advance(FENGCHAO, &deposit, DepositAction::Recall)
        .unwrap();
    net.world.settle();
    assert_eq!(connected(&mut net, &mine, None), None, "the stay is over");
    assert_eq!(connected(&mut net, &others, None), e164(OTHERS_PHONE));
    // Put in again, it is reached again; and not seven days after it was leased.
    let (_, again) = deposited(&mut net, PARCEL, "k3");
    assert_eq!(connected(&mut net, &again, None), e164(PHONE));
    net.assert_replay_of(&[CAINIAO]);
}

#[test]
fn a_number_of_the_pool_connects_its_partner_alone_to_its_recipient() {
    let mut net = begin(961, Some(2));
    let (deposit, mine) = deposited(&mut net, PARCEL, "k1");
    let (_, others) = deposited(&mut net, OTHER, "k2");
    assert_eq!(mine.number, "+8617000000000");
    assert_eq!(others.number, "+8617000000001");
    assert_eq!(
        (mine.extension.as_str(), others.extension.as_str()),
        ("", "")
    );
    let view = net.parcel(FENGCHAO, PARCEL);
    assert_eq!(
        view["deposit"]["phone"], "+8617000000000",
        "as it is dialled"
    );
    assert_eq!(connected(&mut net, &mine, Some(FENGCHAOS)), e164(PHONE));
    assert_eq!(
        connected(&mut net, &others, Some(FENGCHAOS)),
        e164(OTHERS_PHONE)
    );
    for from in [None, Some(STRANGERS), Some("+8613800000001"), Some(NUMBER)] {
        assert_eq!(connected(&mut net, &mine, from), None, "{from:?}");
    }
    let unbound = Leased {
        number: "+8617000000002".into(),
        extension: String::new(),
    };
    assert_eq!(connected(&mut net, &unbound, Some(FENGCHAOS)), None);

    net.assert_replay_of(&[CAINIAO]);
    restart(&mut net);
    assert_eq!(connected(&mut net, &mine, Some(FENGCHAOS)), e164(PHONE));
    net.advance(FENGCHAO, &deposit, DepositAction::Recall)
        .unwrap();
    net.world.settle();
    assert_eq!(connected(&mut net, &mine, Some(FENGCHAOS)), None);
}

#[test]
fn a_number_is_bound_again_a_day_after_its_lease_and_an_extension_serves_until_then() {
    let mut net = begin(962, Some(1));
    let (deposit, mine) = deposited(&mut net, PARCEL, "k1");
    assert_eq!(mine.extension, "");
    let begun = net.world.now();
    let (_, others) = deposited(&mut net, OTHER, "k2");
    assert_eq!(others.number, NUMBER, "none of the pool is free");
    assert_eq!(connected(&mut net, &others, None), e164(OTHERS_PHONE));
    net.advance(FENGCHAO, &deposit, DepositAction::Recall)
        .unwrap();
    net.world.settle();

    // Within the run-off of the agreement, which ends before the lease does.
    let third = "SF1000000000003";
    agree_longer(&mut net);
    net.world.run_until(begun.plus_ms(7 * DAY_MS + DAY_MS / 2));
    net.put_parcel(third, "taobao", CAINIAO, "13800000003");
    net.world.settle();
    let (stay, resting) = deposited(&mut net, third, "k3");
    assert_eq!(resting.number, NUMBER, "the number rests");
    net.advance(FENGCHAO, &stay, DepositAction::Recall).unwrap();
    net.world.run_until(begun.plus_ms(8 * DAY_MS + HOUR_MS));
    let fourth = "SF1000000000004";
    net.put_parcel(fourth, "taobao", CAINIAO, "13800000004");
    net.world.settle();
    let (_, bound) = deposited(&mut net, fourth, "k4");
    assert_eq!(bound.number, mine.number, "it has rested");
    assert_eq!(
        connected(&mut net, &mine, Some(FENGCHAOS)),
        e164("13800000004"),
        "who has it still reaches whom it is bound to now"
    );
    assert_eq!(
        connected(&mut net, &others, None),
        None,
        "its lease is over"
    );
}

#[test]
fn no_call_is_connected_without_an_agreement_that_covers_it() {
    let mut net = begin(963, None);
    let (_, mine) = deposited(&mut net, PARCEL, "k1");
    net.world.run_until(MIDNIGHT.plus_ms(-HOUR_MS));
    let late = "SF1000000000003";
    net.put_parcel(late, "taobao", CAINIAO, "13800000003");
    net.world.settle();
    assert_eq!(connected(&mut net, &mine, None), e164(PHONE));
    net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
    // What was there before the end runs off with its parcels.
    let in_run_off = connected(&mut net, &mine, None);
    let run_off = net.parcel(CAINIAO, PARCEL);
    assert_eq!(in_run_off, e164(PHONE), "{run_off}");
    let (_, of_run_off) = deposited(&mut net, late, "k2");
    assert_eq!(connected(&mut net, &of_run_off, None), e164("13800000003"));
    net.world.run_until(MIDNIGHT.plus_ms(4 * DAY_MS));
    assert_eq!(connected(&mut net, &mine, None), e164(PHONE));
    // After the run-off nobody is reached, though the second lease has not ended.
    net.world
        .run_until(MIDNIGHT.plus_ms(7 * DAY_MS + HOUR_MS / 6));
    assert_eq!(connected(&mut net, &mine, None), None);
    assert_eq!(connected(&mut net, &of_run_off, None), None);
}

#[test]
fn an_answer_that_would_leave_after_the_lease_or_the_agreement_connects_nobody() {
    // The lease ends first, or the run-off of the agreement does.
    for of_run_off in [false, true] {
        let mut net = begin(970, None);
        if of_run_off {
            net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
        }
        let (_, mine) = deposited(&mut net, PARCEL, "k1");
        net.world.answer_ms_max = 60_000;
        let leased = net.world.now();
        let until = match of_run_off {
            true => MIDNIGHT.plus_ms(7 * DAY_MS),
            false => {
                let answer = net
                    .world
                    .local_as(CAINIAO, Some(TELEPHONE), dialled(&mine, None));
                let until = ok(answer)["until"].as_str().unwrap().to_owned();
                Timestamp::parse_zoned(&until).unwrap().0
            }
        };
        assert!(leased < until);
        net.world.run_until(until.plus_ms(-DAY_MS));
        assert_eq!(connected(&mut net, &mine, None), e164(PHONE));
        net.world.run_until(until.plus_ms(-1));
        assert_eq!(connected(&mut net, &mine, None), None);
        assert!(net.world.now() >= until, "it was decided before");
    }
}

#[test]
fn who_is_deleted_is_called_by_nobody_and_gets_the_same_answer() {
    for pool in [None, Some(3)] {
        let mut net = begin(964, pool);
        let (_, mine) = deposited(&mut net, PARCEL, "k1");
        assert_eq!(connected(&mut net, &mine, Some(FENGCHAOS)), e164(PHONE));
        let waybill = Waybill::parse("sf", PARCEL).unwrap();
        ok(net
            .world
            .local(CAINIAO, LocalRequest::EraseRecipient(waybill)));
        net.world.settle();
        assert_eq!(connected(&mut net, &mine, Some(FENGCHAOS)), None);
        restart(&mut net);
        assert_eq!(connected(&mut net, &mine, Some(FENGCHAOS)), None);
    }
}

#[test]
fn who_is_no_partner_any_more_reaches_nobody() {
    for pool in [None, Some(3)] {
        let mut net = begin(967, pool);
        let (_, mine) = deposited(&mut net, PARCEL, "k1");
        assert_eq!(connected(&mut net, &mine, Some(FENGCHAOS)), e164(PHONE));
        part(&mut net);
        assert_eq!(connected(&mut net, &mine, Some(FENGCHAOS)), None);
        restart(&mut net);
        assert_eq!(connected(&mut net, &mine, Some(FENGCHAOS)), None);
    }
}

#[test]
fn whoever_asks_again_after_the_pick_up_calls_nobody() {
    for pool in [None, Some(3)] {
        let mut net = begin(968, pool);
        let (deposit, mine) = deposited(&mut net, PARCEL, "k1");
        let code = net.code();
        for action in [DepositAction::Open { code }, DepositAction::PickUp] {
            net.advance(FENGCHAO, &deposit, action).unwrap();
        }
        net.world.settle();
        assert_eq!(connected(&mut net, &mine, Some(FENGCHAOS)), None);
        net.world.run_until(net.world.now().plus_ms(HOUR_MS));
        let mut hostile = Hostile::new(&mut net, FENGCHAO, CAINIAO);
        hostile.continue_from(&net);
        let uses = |net: &Network| {
            let state = net.world.node(CAINIAO).unwrap().state();
            let waybill = Waybill::parse("sf", PARCEL).unwrap();
            state.parcels.find(&waybill).unwrap().uses.len()
        };
        let before = uses(&net);
        let denied = hostile.look(&mut net, PARCEL);
        assert_eq!((denied.as_str(), uses(&net)), ("", before + 1), "leased");
        assert_eq!(connected(&mut net, &mine, Some(FENGCHAOS)), None);
    }
}

#[test]
fn what_was_leased_before_an_erasure_does_not_reach_who_is_told_after_it() {
    for pool in [None, Some(3)] {
        let mut net = begin(969, pool);
        let (deposit, mine) = deposited(&mut net, PARCEL, "k1");
        let waybill = Waybill::parse("sf", PARCEL).unwrap();
        let erase = LocalRequest::EraseRecipient(waybill);
        ok(net.world.local(CAINIAO, erase));
        net.world.settle();
        net.put_parcel(PARCEL, "taobao", CAINIAO, OTHERS_PHONE);
        net.world.settle();
        assert_eq!(connected(&mut net, &mine, Some(FENGCHAOS)), None);
        // Whoever is told anew is reached by what is leased anew.
        net.advance(FENGCHAO, &deposit, DepositAction::Recall)
            .unwrap();
        let (_, again) = deposited(&mut net, PARCEL, "k2");
        assert_ne!(again, mine);
        for _ in 0..2 {
            let reached = connected(&mut net, &again, Some(FENGCHAOS));
            assert_eq!(reached, e164(OTHERS_PHONE));
            assert_eq!(connected(&mut net, &mine, Some(FENGCHAOS)), None);
            restart(&mut net);
        }
        net.assert_replay_of(&[CAINIAO]);
    }
}

#[test]
fn only_the_telephone_network_is_told_and_each_time_it_is_on_record() {
    let mut net = begin(965, None);
    let (_, mine) = deposited(&mut net, PARCEL, "k1");
    let looks = |net: &mut Network| {
        let request = LocalRequest::GetLooks {
            before: 0,
            limit: 100,
            what: None,
        };
        let view = ok(net.world.local_as(CAINIAO, Some(AUDITOR), request));
        view["items"].as_array().unwrap().clone()
    };
    let before = looks(&mut net).len();
    // An administrator neither: a phone in clear takes two people.
    for key in [None, Some(ORDERS), Some(AUDITOR), Some([99; 32])] {
        let answer = match key {
            Some(key) => net.world.local_as(CAINIAO, Some(key), dialled(&mine, None)),
            None => net.world.local(CAINIAO, dialled(&mine, None)),
        };
        let refused = result(answer).unwrap_err();
        assert!([401, 403].contains(&refused.status), "{refused:?}");
    }
    assert_eq!(connected(&mut net, &neighbour(&mine), None), None);
    assert_eq!(looks(&mut net).len(), before, "nothing was told");
    assert_eq!(connected(&mut net, &mine, None), e164(PHONE));
    let told = looks(&mut net);
    assert_eq!(told.len(), before + 1);
    assert_eq!(told[0]["by"], "exchange");
    assert_eq!(told[0]["what"], "call");
    assert_eq!(told[0]["parcels"], json!([format!("sf/{PARCEL}")]));
    let printed = format!("{:?}", dialled(&mine, Some(STRANGERS)));
    assert!(!printed.contains("137") && !printed.contains(&mine.extension));
}
