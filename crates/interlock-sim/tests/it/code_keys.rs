//! Pickup codes sealed to a key of the recipient's device.

use interlock::identity::code_key::{CodeKey, CodeSecret};
use interlock::node::content::LinkKind;
use interlock::node::io::{DepositAction, LocalAnswer, LocalRequest, PageRequest, Role};
use interlock::pages::{CodeView, DelegateView, DoneView, EnrolmentView, PickupView};
use interlock_core::ids::DepositId;
use interlock_core::waybill::Waybill;
use interlock_sim::SeededRng;
use sha2::{Digest as _, Sha256};

use crate::support::*;

const NUMBER: &str = "SF1000000000001";
const ORDERS: [u8; 32] = [61; 32];

fn waybill() -> Waybill {
    Waybill::parse("sf", NUMBER).unwrap()
}

fn secret(name: &str) -> CodeSecret {
    CodeSecret::draw(&mut SeededRng::new(950, name))
}

/// A parcel on its way to a locker of Fengchao's, whose own system may speak for recipients.
fn begin(seed: u64) -> Network {
    let mut net = Network::of_june_2017(seed);
    net.put_station(FENGCHAO, "FC0001", 4);
    net.put_parcel(NUMBER, "taobao", CAINIAO, "13877665544");
    net.world.settle();
    ok(net.world.local(
        FENGCHAO,
        LocalRequest::AddKey {
            name: "app".into(),
            role: Role::OrderSystem,
            digest: ORDERS,
        },
    ));
    net
}

fn deposited(net: &mut Network) -> String {
    let deposit = net.deposit(FENGCHAO, NUMBER, "FC0001", "k").unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    net.world.settle();
    deposit["id"].as_str().unwrap().to_owned()
}

fn link(net: &Network) -> [u8; 32] {
    let state = net.world.node(FENGCHAO).unwrap().state();
    let parcel = state.parcels.find(&waybill()).unwrap();
    Sha256::digest(state.links.token(LinkKind::Pickup, parcel.id).as_bytes()).into()
}

fn page(net: &mut Network, request: PageRequest) -> PickupView {
    let answer = net.world.page(FENGCHAO, request).unwrap();
    let LocalAnswer::Pickup(view) = answer else {
        panic!("no pick-up page");
    };
    *view
}

fn enrol(net: &mut Network, key: CodeKey) -> Result<serde_json::Value, u16> {
    let request = LocalRequest::PutCodeKey(waybill(), key);
    let answer = net.world.local_as(FENGCHAO, Some(ORDERS), request);
    result(answer).map_err(|problem| problem.status)
}

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn a_code_leaves_sealed_to_the_enrolled_key_alone_and_is_worth_nothing_afterwards() {
    let mut net = begin(950);
    let mine = secret("mine");
    enrol(&mut net, mine.public()).unwrap();
    let deposit = deposited(&mut net);

    // The message says where, and no code; neither page shows one.
    let sent = net.world.sent.last().expect("a message").clone();
    assert!(sent.text_en.contains("Get your code"), "{}", sent.text_en);
    assert!(!sent.text_en.contains(" Code ") && !sent.text_zh.contains("取件码 "));
    let link = link(&net);
    let view = page(&mut net, PageRequest::Pickup(link));
    assert!(matches!(view.code, CodeView::Hidden), "{:?}", view.code);
    let shown = page(&mut net, PageRequest::ShowCode(link));
    let CodeView::Sealed {
        deposit: id,
        sealed,
    } = shown.code
    else {
        panic!("{:?}", shown.code);
    };
    assert_eq!(id, deposit);
    let of = DepositId::parse(&deposit).unwrap();
    let (code, compartment) = mine
        .open(&of, &hex(&sealed))
        .expect("it is for this device");
    assert!(!compartment.is_empty());
    assert!(secret("other").open(&of, &hex(&sealed)).is_none());

    // The device gets it from the operator's system too, and whoever is sent reads none.
    let request = LocalRequest::GetSealedCode(waybill());
    let got = ok(net.world.local_as(FENGCHAO, Some(ORDERS), request));
    let (same, _) = mine
        .open(&of, &hex(got["sealed"].as_str().unwrap()))
        .unwrap();
    assert_eq!(*same, *code);
    let made = page(&mut net, PageRequest::Delegate(link));
    let DelegateView::Given { url } = made.delegate else {
        panic!("{:?}", made.delegate);
    };
    let token = url.rsplit('/').next().unwrap();
    let theirs = Sha256::digest(token.as_bytes()).into();
    let fetched = page(&mut net, PageRequest::DelegatedCode(theirs));
    assert!(matches!(fetched.code, CodeView::Sealed { .. }));
    assert_eq!(fetched.enrolment, EnrolmentView::No);

    // No journal holds it, and after the pick-up it opens nothing.
    for (_, record) in net.world.journal(FENGCHAO) {
        assert!(!record.windows(6).any(|it| it == code.as_bytes()));
    }
    let id = serde_json::json!({ "id": deposit });
    let open = |code: &str| DepositAction::Open { code: code.into() };
    net.advance(FENGCHAO, &id, open(&code)).unwrap();
    net.advance(FENGCHAO, &id, DepositAction::PickUp).unwrap();
    net.world.settle();
    net.advance(FENGCHAO, &id, open(&code))
        .expect_err("used once");
    let after = page(&mut net, PageRequest::ShowCode(link));
    assert!(matches!(after.code, CodeView::None), "{:?}", after.code);
    let request = LocalRequest::GetSealedCode(waybill());
    let answer = net.world.local_as(FENGCHAO, Some(ORDERS), request);
    assert_eq!(problem_of(answer).status, 409);
    assert_eq!(enrol(&mut net, mine.public()), Err(409), "too late");
    net.assert_replay_of(&[FENGCHAO]);
}

#[test]
fn a_key_enrolled_at_the_page_stays_whoever_else_has_the_link() {
    let mut net = begin(951);
    deposited(&mut net);
    let link = link(&net);
    let before = page(&mut net, PageRequest::ShowCode(link));
    assert!(matches!(before.code, CodeView::Shown { .. }));
    assert_eq!(before.enrolment, EnrolmentView::Possible);
    let (mine, thief) = (secret("mine").public(), secret("thief").public());
    let enrolled = page(&mut net, PageRequest::Enrol(link, mine));
    assert_eq!(enrolled.done, Some(DoneView::Enrolled));
    let key = mine.to_hex();
    assert_eq!(enrolled.enrolment, EnrolmentView::Enrolled { key });
    let refused = page(&mut net, PageRequest::Enrol(link, thief));
    assert_eq!(refused.done, None);
    assert_eq!(refused.enrolment, enrolled.enrolment);
    let again = page(&mut net, PageRequest::Enrol(link, mine));
    assert_eq!(again.done, Some(DoneView::Enrolled), "the same again");
    let shown = page(&mut net, PageRequest::ShowCode(link));
    assert!(matches!(shown.code, CodeView::Sealed { .. }));
    // A lost device: whoever speaks for the recipient replaces the key, on record.
    enrol(&mut net, thief).unwrap();
    net.assert_replay_of(&[FENGCHAO]);
}

#[test]
fn keys_are_enrolled_where_there_is_a_code_to_come_and_by_whom_it_concerns() {
    let mut net = begin(952);
    let key = secret("mine").public();
    let unknown = Waybill::parse("sf", "SF1999999999999").unwrap();
    for request in [
        LocalRequest::PutCodeKey(unknown, key),
        LocalRequest::GetSealedCode(unknown),
    ] {
        let answer = net.world.local_as(FENGCHAO, Some(ORDERS), request);
        assert_eq!(problem_of(answer).status, 404);
    }
    let request = || LocalRequest::GetSealedCode(waybill());
    let early = net.world.local_as(FENGCHAO, Some(ORDERS), request());
    assert!(problem_of(early).detail.contains("enrolled no key"));
    // At the owner no code comes to be.
    let answer = net
        .world
        .local(CAINIAO, LocalRequest::PutCodeKey(waybill(), key));
    assert_eq!(problem_of(answer).status, 409);
    let handheld = [62; 32];
    ok(net.world.local(
        FENGCHAO,
        LocalRequest::AddKey {
            name: "handheld".into(),
            role: Role::Handheld,
            digest: handheld,
        },
    ));
    for request in [LocalRequest::PutCodeKey(waybill(), key), request()] {
        let answer = net.world.local_as(FENGCHAO, Some(handheld), request);
        assert_eq!(problem_of(answer).status, 403);
    }
}
