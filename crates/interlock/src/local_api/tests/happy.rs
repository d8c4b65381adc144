//! Each route asks the node what it should.

use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::event::Step;
use interlock_core::parcel::{Consent, SizeClass};
use interlock_core::time::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Door, HANDHELD_KEY, KEY, example};
use crate::node::io::{
    AgreementChange, Decision, DepositAction, KeyId, LocalRequest, LookKind, Role,
};

const DEPOSIT: &str = "/deposits/00112233445566778899aabbccddeeff";

#[test]
fn parcels_come_one_by_one_or_many() {
    let door = Door::new();
    let many = example("Parcels");
    let one = many["parcels"][0].clone();
    for body in [&many, &one] {
        let asked = door.pass("PUT", "/parcels", Some(body));
        let LocalRequest::PutParcels(parcels) = asked.request else {
            panic!("{:?}", asked.request);
        };
        let [parcel] = parcels.as_slice() else {
            panic!("one parcel");
        };
        assert_eq!(parcel.waybill.to_text(), "sf/SF1234567890123");
        assert_eq!(parcel.marketplace.as_str(), "taobao");
        assert_eq!(parcel.merchant.as_ref().unwrap().as_str(), "shop-7");
        let recipient = parcel.recipient.as_ref().unwrap();
        assert_eq!(recipient.phone.reveal(), "+8613800000000");
        assert_eq!(
            (recipient.name.as_str(), recipient.address.as_str()),
            ("Wang Fang", "Nanshan, Shenzhen")
        );
        assert_eq!(parcel.size_class, Some(SizeClass::Small));
        assert_eq!(parcel.consent, Consent::Given);
        assert_eq!(
            parcel.preference.only_station.as_ref().unwrap().as_str(),
            "SZ-001"
        );
        assert_eq!(parcel.preference.not_before.map(u8::from), Some(9));
        assert!(!parcel.preference.no_locker);
        assert_eq!(
            parcel.owner.as_ref().unwrap().as_str(),
            "did:web:cainiao.example"
        );
        assert_eq!(parcel.lockers[0].as_str(), "did:web:fengchao.example");
        let issued = Timestamp::parse_zoned("2017-05-31T01:00:00Z").unwrap().0;
        assert_eq!(parcel.issued_at, Some(issued));
    }
    let least = json!({ "waybill": "SF1234567890123", "marketplace": "jd" });
    let asked = door.pass("PUT", "/parcels", Some(&least));
    assert!(matches!(&asked.request, LocalRequest::PutParcels(parcels)
        if parcels[0].consent == Consent::Unknown && parcels[0].recipient.is_none()
            && parcels[0].issued_at.is_none() && parcels[0].lockers.is_empty()));
}

#[test]
fn the_key_and_the_idempotency_key_go_along_as_digests() {
    let door = Door::new();
    let body = example("Deposit");
    let first = door.pass("POST", "/deposits", Some(&body));
    let key_digest: [u8; 32] = Sha256::digest(KEY.as_bytes()).into();
    assert_eq!(first.credential, Some(key_digest));
    let (key, digest) = first.idempotency.unwrap();
    assert_eq!(key.as_str(), "scan-1");
    let again = door.pass("POST", "/deposits", Some(&body));
    assert_eq!(again.idempotency, Some((key.clone(), digest)));
    let mut other = body.clone();
    other["courier"] = "c-18".into();
    let other = door.pass("POST", "/deposits", Some(&other));
    assert_ne!(other.idempotency, Some((key, digest)));
    assert_eq!(door.pass("GET", "/status", None).idempotency, None);
}

#[test]
fn the_same_key_at_another_resource_is_another_write() {
    let door = Door::new();
    let send = |path: &str| {
        let request = http::Request::builder()
            .method("POST")
            .uri(format!("/api/v1{DEPOSIT}/{path}"))
            .header("authorization", format!("bearer {KEY}"))
            .header("idempotency-key", "\"k\"");
        let answer = door.send(request.body(axum::body::Body::empty()).unwrap());
        assert_eq!(answer.status, 200);
        door.scribe.take().unwrap().idempotency.unwrap()
    };
    let (confirm, pickup) = (send("confirm"), send("pickup"));
    assert_eq!(confirm.0.as_str(), "k");
    assert_eq!(confirm.0, pickup.0);
    assert_ne!(confirm.1, pickup.1);
}

#[test]
fn a_digest_on_record_does_not_tell_the_code_that_was_typed() {
    let door = Door::new();
    let body = r#"{"code":"482913"}"#;
    let path = format!("/api/v1{DEPOSIT}/open");
    let send = |key: &str| {
        let request = http::Request::builder()
            .method("POST")
            .uri(&path)
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .header("idempotency-key", "k");
        let answer = door.send(request.body(body.into()).unwrap());
        assert_eq!(answer.status, 200);
        door.scribe.take().unwrap().idempotency.unwrap().1
    };
    let digest = send(KEY);
    assert_eq!(digest, send(KEY), "a repeat is known as one");
    assert_ne!(digest, send(HANDHELD_KEY), "the key is part of it");
    // Whoever reads the journal knows method, path and what a body looks like, and tries all codes.
    let tried = format!("POST\0{path}\0{body}");
    for guess in [tried.clone(), format!("\0{tried}")] {
        let guess: [u8; 32] = Sha256::digest(guess.as_bytes()).into();
        assert_ne!(digest, guess);
    }
}

#[test]
fn a_deposit_and_what_becomes_of_it() {
    let door = Door::new();
    let asked = door.pass("POST", "/deposits", Some(&example("Deposit")));
    let LocalRequest::OpenDeposit(deposit) = asked.request else {
        panic!("{:?}", asked.request);
    };
    assert_eq!(deposit.waybill.to_text(), "sf/SF1234567890123");
    assert_eq!(
        (deposit.station.as_str(), deposit.courier.as_str()),
        ("SZ-001", "c-17")
    );
    assert_eq!(deposit.size_class, SizeClass::Small);
    assert_eq!(
        deposit.claim.unwrap().reveal(),
        "00112233445566778899aabbccddeeff"
    );
    assert_eq!(deposit.contact.unwrap().reveal(), "+8613800000000");
    let asked = door.pass("GET", DEPOSIT, None);
    assert!(matches!(asked.request, LocalRequest::GetDeposit(id)
        if id.to_string() == "00112233445566778899aabbccddeeff"));
    type Is = fn(&DepositAction) -> bool;
    let actions: [(&str, Option<serde_json::Value>, Is); 7] = [
        ("confirm", None, |action| {
            matches!(action, DepositAction::Confirm)
        }),
        ("cancel", Some(json!({})), |action| {
            matches!(action, DepositAction::Cancel)
        }),
        (
            "open",
            Some(example("Code")),
            |action| matches!(action, DepositAction::Open { code } if code == "402931"),
        ),
        ("pickup", None, |action| {
            matches!(action, DepositAction::PickUp)
        }),
        ("recall", None, |action| {
            matches!(action, DepositAction::Recall)
        }),
        (
            "redirect",
            Some(example("Redirect")),
            |action| matches!(action, DepositAction::Redirect { station } if station.as_str() == "SZ-002"),
        ),
        ("confirm", Some(json!({})), |action| {
            matches!(action, DepositAction::Confirm)
        }),
    ];
    for (path, body, is) in actions {
        let asked = door.pass("POST", &format!("{DEPOSIT}/{path}"), body.as_ref());
        assert!(
            matches!(&asked.request, LocalRequest::AdvanceDeposit { deposit, action }
                if deposit.as_bytes()[1] == 0x11 && is(action)),
            "{path}: {:?}",
            asked.request
        );
    }
}

#[test]
fn rounds_stations_and_parcels() {
    let door = Door::new();
    let asked = door.pass("POST", "/rounds/check", Some(&example("Round")));
    assert!(
        matches!(&asked.request, LocalRequest::CheckRound { waybills }
        if waybills[0].to_text() == "sf/SF1234567890123")
    );
    let many = example("Stations");
    for body in [&many, &many["stations"][0]] {
        let asked = door.pass("PUT", "/stations", Some(body));
        let LocalRequest::PutStations(stations) = asked.request else {
            panic!("{:?}", asked.request);
        };
        let station = &stations[0];
        assert_eq!(station.position.lng_udeg(), 113_946_800);
        assert_eq!(station.position.lat_udeg(), 22_540_700);
        assert_eq!(station.capacity.of(SizeClass::Medium), 16);
        assert_eq!(station.name.as_str(), "Keyuan Road 12");
    }
    let asked = door.pass("GET", "/stations", None);
    assert!(matches!(asked.request, LocalRequest::GetStations));
    let asked = door.pass("GET", "/stations/SZ-001", None);
    assert!(matches!(asked.request, LocalRequest::GetStation(id) if id.as_str() == "SZ-001"));
    let asked = door.pass("GET", "/parcels/sf/sf1234567890123", None);
    assert!(matches!(asked.request, LocalRequest::GetParcel(waybill)
        if waybill.number() == "SF1234567890123"));
}

#[test]
fn events_go_in_and_out() {
    let door = Door::new();
    let asked = door.pass("POST", "/events", Some(&example("EpcisDocument")));
    let LocalRequest::PostEvents(events) = asked.request else {
        panic!("{:?}", asked.request);
    };
    assert_eq!(events[0].waybill.to_text(), "sf/SF1234567890123");
    assert_eq!(events[0].event.step, Step::Arrived);
    assert_eq!(events[0].event.number, 0);
    let path = "/events?feed=locker-events&after=7&limit=20&wait=1500";
    let asked = door.pass("GET", path, None);
    assert!(matches!(
        asked.request,
        LocalRequest::GetEvents {
            feed: Some(Dataset::LockerEvents),
            after: 7,
            limit: 20,
            wait_ms: 1_500
        }
    ));
    let asked = door.pass("GET", "/events", None);
    assert!(matches!(
        asked.request,
        LocalRequest::GetEvents {
            feed: None,
            after: 0,
            limit: 100,
            wait_ms: 0
        }
    ));
}

#[test]
fn offers_and_negotiations() {
    let door = Door::new();
    assert!(matches!(
        door.pass("GET", "/offers", None).request,
        LocalRequest::GetOffers {
            after: None,
            limit: 100
        }
    ));
    let path = "/offers?after=locker-stations%3Ahangzhou&limit=500";
    let asked = door.pass("GET", path, None);
    assert!(
        matches!(&asked.request, LocalRequest::GetOffers { after: Some(id), limit: 500 }
        if id.as_str() == "locker-stations:hangzhou")
    );
    let asked = door.pass("PUT", "/offers", Some(&example("Offers")));
    assert!(matches!(&asked.request, LocalRequest::PutOffers(offers) if offers.len() == 2));
    let asked = door.pass("POST", "/offers", Some(&example("Offer")));
    assert!(matches!(&asked.request, LocalRequest::PublishOffer(offer)
        if offer.id.as_str() == "tracking-2017" && offer.dataset.as_str() == "tracking-events"
            && offer.auto_accept && offer.audience.len() == 1 && offer.policy.is_object()));
    let asked = door.pass("DELETE", "/offers/urn%3Auuid%3A1%2Fa", None);
    assert!(matches!(&asked.request, LocalRequest::WithdrawOffer(id)
        if id.as_str() == "urn:uuid:1/a"));
    let asked = door.pass("GET", "/partners/did:web:sf.example/catalog", None);
    assert!(matches!(&asked.request, LocalRequest::GetCatalog(id)
        if id.as_str() == "did:web:sf.example"));
    let asked = door.pass("POST", "/negotiations", Some(&example("Proposal")));
    assert!(
        matches!(&asked.request, LocalRequest::Propose { partner, offers, policies }
        if partner.as_str() == "did:web:sf.example" && offers.len() == 1 && policies.len() == 1)
    );
    let asked = door.pass("GET", "/negotiations", None);
    assert!(matches!(asked.request, LocalRequest::GetNegotiations));
    assert!(matches!(
        door.pass("GET", "/proposals", None).request,
        LocalRequest::GetProposals
    ));
    let asked = door.pass("POST", "/proposals/n1/approve", None);
    assert!(
        matches!(&asked.request, LocalRequest::Decide { negotiation, decision: Decision::Approve }
        if negotiation.as_str() == "n1")
    );
    let asked = door.pass("POST", "/proposals/n1/counter", Some(&example("Counter")));
    assert!(
        matches!(&asked.request, LocalRequest::Decide { decision: Decision::Counter { policy }, .. }
        if policy["permission"].is_array())
    );
    let asked = door.pass("POST", "/proposals/n1/reject", Some(&example("Reason")));
    assert!(
        matches!(&asked.request, LocalRequest::Decide { decision: Decision::Reject { reason }, .. }
        if reason == "the term is too long")
    );
}

#[test]
fn agreements_and_dry_runs() {
    let door = Door::new();
    assert!(matches!(
        door.pass("GET", "/agreements", None).request,
        LocalRequest::GetAgreements
    ));
    let asked = door.pass("GET", "/agreements/a1", None);
    assert!(matches!(&asked.request, LocalRequest::GetAgreement(id) if id.as_str() == "a1"));
    let change = |path: &str, body: Option<&str>| {
        let path = format!("/agreements/a1/{path}");
        let asked = door.pass("POST", &path, body.map(example).as_ref());
        let LocalRequest::ChangeAgreement { agreement, change } = asked.request else {
            panic!("{:?}", asked.request);
        };
        assert_eq!(agreement.as_str(), "a1");
        change
    };
    assert!(matches!(
        change("suspend", Some("Reason")),
        AgreementChange::Suspend { .. }
    ));
    assert!(matches!(change("resume", None), AgreementChange::Resume));
    let end = Timestamp::parse_zoned("2017-07-01T00:00:00+08:00")
        .unwrap()
        .0;
    assert!(matches!(change("terminate", Some("Termination")),
        AgreementChange::Terminate { at, reason } if at == end && reason == "the mediation failed"));
    let stop = Timestamp::parse_zoned("2017-06-04T00:00:00+08:00")
        .unwrap()
        .0;
    assert!(
        matches!(change("reciprocate", Some("Reciprocity")), AgreementChange::Reciprocate { at, .. }
        if at == Some(stop))
    );
    let asked = door.pass("POST", "/explain", Some(&example("Explain")));
    let LocalRequest::Explain(explain) = asked.request else {
        panic!("{:?}", asked.request);
    };
    assert_eq!(explain.purpose, "pickup-notification");
    assert_eq!(explain.form, Some(ContactForm::Virtual));
    assert_eq!(explain.at.unwrap().as_millis(), 1_496_246_400_000);
    assert!(explain.waybill.is_some());
}

#[test]
fn the_ledger_pages_by_cursor() {
    let door = Door::new();
    for (path, denied) in [("/releases", false), ("/denials", true)] {
        let asked = door.pass("GET", &format!("{path}?limit=5&after=9"), None);
        assert!(
            matches!(asked.request, LocalRequest::GetLedger { denials, after: 9, limit: 5 }
            if denials == denied)
        );
    }
    for (query, wanted) in [("", None), ("&what=people", Some(LookKind::People))] {
        let asked = door.pass("GET", &format!("/looks?before=9&limit=5{query}"), None);
        assert!(
            matches!(asked.request, LocalRequest::GetLooks { before: 9, limit: 5, what }
            if what == wanted)
        );
    }
    let asked = door.pass("GET", "/messages?after=3", None);
    assert!(matches!(
        asked.request,
        LocalRequest::GetMessages {
            after: 3,
            limit: 100
        }
    ));
    assert!(matches!(
        door.pass("GET", "/alerts", None).request,
        LocalRequest::GetAlerts
    ));
    assert!(matches!(
        door.pass("GET", "/evidence", None).request,
        LocalRequest::GetEvidence
    ));
    assert!(matches!(
        door.pass("GET", "/status", None).request,
        LocalRequest::GetStatus
    ));
}

#[test]
fn partners_and_a_key_that_is_shown_once() {
    let door = Door::new();
    assert!(matches!(
        door.pass("GET", "/partners", None).request,
        LocalRequest::GetPartners
    ));
    let asked = door.pass("POST", "/partners", Some(&example("Partner")));
    assert!(matches!(&asked.request, LocalRequest::AddPartner(partner)
        if partner.id.as_str() == "did:web:sf.example" && partner.carriers.len() == 1
            && partner.certificate_pin.is_some()));
    let asked = door.pass("DELETE", "/partners/did:web:sf.example", None);
    assert!(matches!(&asked.request, LocalRequest::RemovePartner(id)
        if id.as_str() == "did:web:sf.example"));
    assert!(matches!(
        door.pass("GET", "/keys/signing", None).request,
        LocalRequest::GetSigningKeys
    ));
    assert!(matches!(
        door.pass("POST", "/keys/signing/rotate", None).request,
        LocalRequest::RotateSigningKey
    ));
    let answer = door.ask("POST", "/keys", Some(&example("Key")));
    let shown = format!("il_{}", "07".repeat(24));
    assert_eq!(answer.body["key"], shown);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let wanted: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
    assert!(matches!(door.scribe.take().unwrap().request,
        LocalRequest::AddKey { name, role: Role::Handheld, digest }
            if name == "handheld 17" && digest == wanted));
}

#[test]
fn keys_are_listed_and_withdrawn_by_their_id() {
    let door = Door::new();
    assert!(matches!(
        door.pass("GET", "/keys", None).request,
        LocalRequest::GetKeys
    ));
    let digest = [0xab; 32];
    let path = format!("/keys/{}", KeyId::of(&digest));
    assert_eq!(path, "/keys/abababababababab");
    assert!(matches!(door.pass("DELETE", &path, None).request,
        LocalRequest::WithdrawKey(id) if id == KeyId::of(&digest)));
    let approve = format!("{path}/approve");
    assert!(matches!(door.pass("POST", &approve, None).request,
        LocalRequest::ApproveKey(id) if id == KeyId::of(&digest)));
    let long = "ab".repeat(32);
    for wrong in ["x1", "abababababababa", "ABABABABABABABAB", long.as_str()] {
        let answer = door.ask("DELETE", &format!("/keys/{wrong}"), None);
        assert_eq!(
            (answer.status, answer.kind()),
            (400, "bad-request"),
            "{wrong}"
        );
        assert!(door.scribe.take().is_none(), "{wrong}");
    }
}
