//! What a recipient sees and wants, at whole nodes.

use interlock::node::content::LinkKind;
use interlock::node::io::{Digest, LocalAnswer, LocalRequest, PageRequest, Role};
use interlock::pages::{Access, Fate};
use interlock_core::ids::StationId;
use interlock_core::parcel::{Consent, Hour, Preference};
use interlock_core::time::{DAY_MS, HOUR_MS};
use interlock_core::waybill::Waybill;
use interlock_sim::NodeIx;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::*;

const PARCEL: &str = "SF1000000000001";
const ORDERS: Digest = [31; 32];
const HANDHELD: Digest = [32; 32];

fn begin(seed: u64) -> Network {
    let mut net = Network::with_terms(seed, |terms| {
        if terms.delete_after_ms.is_none() && terms.notifier.is_some() {
            terms.delete_after_ms = Some(7 * DAY_MS);
        }
    });
    net.put_station(FENGCHAO, "FC0001", 4);
    net.put_station(FENGCHAO, "FC0002", 4);
    net.put_parcel(PARCEL, "taobao", CAINIAO, "13800000001");
    for (name, role, digest) in [
        ("orders", Role::OrderSystem, ORDERS),
        ("handheld", Role::Handheld, HANDHELD),
    ] {
        let name = name.into();
        ok(net
            .world
            .local(CAINIAO, LocalRequest::AddKey { name, role, digest }));
    }
    net.world.settle();
    net
}

fn waybill() -> Waybill {
    Waybill::parse("sf", PARCEL).unwrap()
}

fn wish(net: &mut Network, consent: Consent, preference: Preference) -> Value {
    let request = LocalRequest::PutWish(waybill(), consent, preference);
    ok(net.world.local_as(CAINIAO, Some(ORDERS), request))
}

fn view(net: &mut Network) -> Value {
    let request = LocalRequest::GetRecipient(waybill());
    ok(net.world.local_as(CAINIAO, Some(ORDERS), request))
}

#[test]
fn a_wish_is_respected_and_the_courier_is_told_what_to_do() {
    let mut net = begin(550);
    let no_locker = Preference {
        no_locker: true,
        ..Preference::default()
    };
    let other = Preference {
        only_station: Some(StationId::parse("FC0002").unwrap()),
        ..Preference::default()
    };
    let late = Preference {
        not_before: Some(Hour::try_from(23).unwrap()),
        ..Preference::default()
    };
    for (nth, (consent, preference, told)) in [
        (Consent::Refused, Preference::default(), "not agreed"),
        (Consent::Given, no_locker, "no locker"),
        (Consent::Given, other.clone(), "another station"),
        (Consent::Given, late, "later in the day"),
    ]
    .into_iter()
    .enumerate()
    {
        wish(&mut net, consent, preference);
        let refused = net.deposit(FENGCHAO, PARCEL, "FC0001", &format!("k{nth}"));
        let problem = refused.expect_err(told);
        assert_eq!(problem.status, 409);
        assert!(problem.detail.contains(told), "{}", problem.detail);
    }
    wish(&mut net, Consent::Given, other);
    net.deposit(FENGCHAO, PARCEL, "FC0002", "there")
        .expect("as it was wished");
    net.assert_replay_of(&[CAINIAO, FENGCHAO]);
}

#[test]
fn an_order_system_does_not_change_what_the_recipient_wants() {
    let mut net = begin(551);
    let said = wish(&mut net, Consent::Refused, Preference::default());
    assert_eq!(
        (&said["consent"], &said["wished"]),
        (&json!("refused"), &json!(true))
    );
    net.put_parcel(PARCEL, "taobao", CAINIAO, "13800000001");
    assert_eq!(view(&mut net), said, "put again, with consent");
    let journal = net.world.journal(CAINIAO).len();
    wish(&mut net, Consent::Refused, Preference::default());
    assert_eq!(net.world.journal(CAINIAO).len(), journal, "said before");
    let unknown = Waybill::parse("sf", "SF1999999999999").unwrap();
    let request = LocalRequest::PutWish(unknown, Consent::Given, Preference::default());
    assert_eq!(
        problem_of(net.world.local_as(CAINIAO, Some(ORDERS), request)).status,
        404
    );
    let at_operator = LocalRequest::PutWish(waybill(), Consent::Given, Preference::default());
    let answer = net.world.local(FENGCHAO, at_operator);
    assert_eq!(problem_of(answer).status, 404, "not the owner");
    for request in [
        LocalRequest::PutWish(waybill(), Consent::Given, Preference::default()),
        LocalRequest::GetRecipient(waybill()),
    ] {
        let answer = net.world.local_as(CAINIAO, Some(HANDHELD), request);
        assert_eq!(problem_of(answer).status, 403);
    }
    net.assert_replay_of(&[CAINIAO]);
}

/// The only release of the number that the recipient's page at a node shows.
fn access(net: &mut Network, ix: NodeIx) -> Access {
    let state = net.world.node(ix).unwrap().state();
    let parcel = state.parcels.find(&waybill()).unwrap();
    let token = state.links.token(LinkKind::Pickup, parcel.id);
    let request = PageRequest::Pickup(Sha256::digest(token.as_bytes()).into());
    let Some(LocalAnswer::Pickup(view)) = net.world.page(ix, request) else {
        panic!("no pick-up page");
    };
    let [access] = view.accesses.as_slice() else {
        panic!("{:?}", view.accesses);
    };
    access.clone()
}

#[test]
fn a_recipient_sees_who_had_the_number_until_when_and_that_it_is_deleted() {
    let mut net = begin(552);
    assert_eq!(view(&mut net)["releases"], json!([]));
    net.deposit(FENGCHAO, PARCEL, "FC0001", "k").unwrap();
    net.world.settle();
    let before = view(&mut net);
    let release = &before["releases"][0];
    assert_eq!(release["to"], net.world.id(FENGCHAO).unwrap().as_str());
    assert_eq!(release["purpose"], "pickup-notification");
    assert_eq!(release["form"], "virtual");
    assert!(
        release["agreement"]
            .as_str()
            .unwrap()
            .contains("recipient-contact")
    );
    assert!(release["until"].is_string(), "the term says: {release}");
    assert_eq!(release["askedToDelete"], false);
    let pages = [CAINIAO, FENGCHAO].map(|ix| access(&mut net, ix));
    for page in &pages {
        assert_eq!(page.agreement.as_deref(), release["agreement"].as_str());
        assert_eq!(page.fate, Fate::Kept);
    }
    let until = pages[0].until.expect("the term says");
    let theirs = pages[1].until.expect("its key ends");
    assert!(theirs <= until && until.since_ms(theirs) <= HOUR_MS);
    ok(net
        .world
        .local(CAINIAO, LocalRequest::EraseRecipient(waybill())));
    net.world.settle();
    let after = view(&mut net);
    assert_eq!(after["held"], false);
    let release = &after["releases"][0];
    assert_eq!(
        (&release["askedToDelete"], &release["knowsToDelete"]),
        (&json!(true), &json!(true))
    );
    assert!(!after.to_string().contains("138"), "no phone: {after}");
    assert_eq!(access(&mut net, CAINIAO).fate, Fate::Told);
    assert_eq!(access(&mut net, FENGCHAO).fate, Fate::Deleted);
    net.assert_replay_of(&[CAINIAO, FENGCHAO]);
}
