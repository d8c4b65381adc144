//! Data protection by pages: looks, phones in clear, statistics.

use interlock_core::ids::ParcelId;

use super::work::location;
use super::*;
use crate::node::io::KeyId;
use crate::node::record::{Look, Looked, Viewer};

const PHONE: &str = "19900001234";

/// The address of the only form of that act, such as `approve`.
fn path_of(page: &str, act: &str) -> String {
    let before = page.split(&format!("/{act}\"")).next().unwrap();
    let (_, id) = before.rsplit_once("action=\"/console/reveals/").unwrap();
    format!("/console/reveals/{id}/{act}")
}

#[tokio::test(flavor = "multi_thread")]
// tidy: long, one step after another
async fn a_phone_in_clear_takes_two_people_at_the_pages_too() {
    let world = World::new().await;
    world.admin(put("dan", &[Role::Auditor], 4)).await;
    world.put_parcel("SF1234567890123", "m1").await;
    let codes = OneTimeCodes::from_seed(&cast("fengchao", 1).key.signing_key().to_bytes());
    let code = |of: u8| codes.code(&drawn(of).enrolment, world.server.handle.now().latest);
    let (bo, dan) = (world.log_in("bo", 2).await, world.log_in("dan", 4).await);
    let page = world.get("/console/reveals", &bo).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("No request waits for you."));
    let mark = mark_in(&page.body);
    let ask = |waybill: &str, more: &str| {
        format!("csrf={mark}&waybill={waybill}&reason=complaint&reference=T-47{more}")
    };

    // What does not fit is said beside the form, which keeps what was typed and no code.
    for form in [
        ask("sf%2FSF1234567890123", "&code=000000"),
        ask("sf%2FSF1234567890123", ""),
        ask("nonsense", ""),
        ask("sf%2FSF1234567890123", "").replace("complaint", "gossip"),
        ask("sf%2FSF1234567890123", "").replace("T-47", "please%20call"),
    ] {
        let refused = world.post("/console/reveals", &bo, &form).await;
        let status = refused.status;
        assert!(matches!(status, 400 | 422), "{form}: {}", refused.body);
        assert!(refused.body.contains("name=\"waybill\""), "{form}");
        assert!(!refused.body.contains("000000"), "no code comes again");
    }
    let form = ask("sf%2FSF1234567890123", &format!("&code={}", code(2)));
    let asked = world.post("/console/reveals", &bo, &form).await;
    assert_eq!(asked.status, 303, "{}", asked.body);
    assert_eq!(location(&asked), "/console/reveals");

    // Who asked has no form to agree with, and no way around it.
    let own = world.get("/console/reveals", &bo).await;
    assert!(!own.body.contains("/approve\""), "{}", own.body);
    assert!(own.body.contains("waits for somebody else") && !own.body.contains(PHONE));
    let theirs = world.get("/console/reveals", &dan).await;
    assert!(theirs.body.contains("One request waits for you."));
    assert!(
        theirs.body.contains("sf/SF1********0123"),
        "{}",
        theirs.body
    );
    let approve = path_of(&theirs.body, "approve");
    world.pass(MINUTE_MS);
    let form = format!("csrf={mark}&code={}", code(2));
    let refused = world.post(&approve, &bo, &form).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(refused.body.contains("another person approves it"));
    let see = approve.replace("/approve", "/show");
    world.pass(MINUTE_MS);
    let form = format!("csrf={mark}&code={}", code(2));
    let early = world.post(&see, &bo, &form).await;
    assert_eq!(early.status, 409, "{}", early.body);
    assert!(!early.body.contains(PHONE));

    let their_mark = mark_in(&theirs.body);
    let form = format!("csrf={their_mark}&code={}", code(4));
    assert_eq!(world.post(&approve, &dan, &form).await.status, 303);
    let page = world.get("/console/reveals", &bo).await;
    assert!(page.body.contains("approved, not seen yet"));
    assert_eq!(path_of(&page.body, "show"), see);
    world.pass(MINUTE_MS);
    let form = format!("csrf={mark}&code={}", code(2));
    let shown = world.post(&see, &bo, &form).await;
    assert_eq!(shown.status, 200);
    assert!(shown.body.contains(PHONE), "{}", shown.body);
    world.pass(MINUTE_MS);
    let form = format!("csrf={mark}&code={}", code(2));
    let again = world.post(&see, &bo, &form).await;
    assert_eq!(again.status, 409);
    assert!(!again.body.contains(PHONE), "once");

    // It is among the looks, and nowhere in clear.
    let looks = world.get("/console/looks", &dan).await;
    assert_eq!(looks.status, 200, "{}", looks.body);
    assert!(looks.body.contains("a phone in clear") && looks.body.contains("bo"));
    assert!(looks.body.contains("One phone was seen in clear"));
    assert!(!looks.body.contains(PHONE) && !looks.body.contains("SF1234567890123"));
    world.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_data_protection_are_for_data_protection() {
    let world = World::new().await;
    world.admin(put("olaf", &[Role::Operations], 5)).await;
    let (bo, olaf) = (world.log_in("bo", 2).await, world.log_in("olaf", 5).await);
    for path in ["/console/looks", "/console/reveals", "/console/statistics"] {
        let page = world.get(path, &bo).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        assert!(page.body.contains(&format!("href=\"{path}\"")), "{path}");
        assert_eq!(world.get(path, &olaf).await.status, 403, "{path}");
        assert_eq!(world.get(path, "").await.status, 303, "{path}");
    }
    for odd in ["-1", "99999999999999999999", "x", "18446744073709551615"] {
        let page = world
            .get(&format!("/console/looks?before={odd}"), &bo)
            .await;
        assert_eq!(page.status, 200, "{odd}");
    }
    let empty = world.get("/console/statistics", &bo).await;
    assert!(
        empty.body.contains("No week is over yet."),
        "{}",
        empty.body
    );
    let mark = mark_in(&world.get("/account", &bo).await.body);
    for path in ["/console/reveals/x/approve", "/console/reveals/00/show"] {
        let form = format!("csrf={mark}");
        assert_eq!(world.post(path, &bo, &form).await.status, 404, "{path}");
        assert_eq!(world.get(path, &bo).await.status, 303, "{path}");
    }
    world.server.stop().await.unwrap();
}

fn look(by: &str, what: Looked) -> Record {
    let by = Viewer {
        caller: [7; 32],
        name: by.into(),
    };
    Record::Looked(Box::new(Look { by, what }))
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_hide_no_look_of_a_person() {
    let parcel = ParcelId::from_bytes([3; 16]);
    let (seen, called) = (Looked::Address(parcel), Looked::Call(parcel));
    let mut records = vec![look("cy", seen)];
    // More than one question goes through, and more than all that a page shows.
    records.extend((0..20_100).map(|_| look("exchange", called.clone())));
    let world = World::after(&records).await;
    let bo = world.log_in("bo", 2).await;
    let people = world.get("/console/looks", &bo).await;
    assert!(people.body.contains("cy") && !people.body.contains("exchange"));
    assert!(people.body.contains("listed apart"), "{}", people.body);
    let unknown = world.get("/console/looks?what=gossip", &bo).await;
    assert!(unknown.body.contains("cy") && !unknown.body.contains("exchange"));
    for what in ["call", "all"] {
        let page = world.get(&format!("/console/looks?what={what}"), &bo).await;
        assert_eq!(page.body.matches("exchange").count(), 1, "{}", page.body);
        assert!(page.body.contains("50 times on this page"));
        let older = format!("/console/looks?what={what}&amp;before=20052");
        assert!(page.body.contains(&older), "{}", page.body);
    }
    let none = world.get("/console/looks?what=phone", &bo).await;
    assert!(!none.body.contains("cy</th>") && !none.body.contains("Older ones"));
    world.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_waits_is_approved_by_somebody_else_at_the_page() {
    let asked = |by: &str, digest: u8| Record::KeyAsked {
        name: format!("exchange {by}"),
        role: Role::Telephone,
        digest: [digest; 32],
        by: by.into(),
    };
    let zhao = Record::ApiKey {
        name: "zhao".into(),
        role: Role::Admin,
        digest: [7; 32],
    };
    let let_in = |name: &str| Record::LetIn {
        name: name.into(),
        by: "root".into(),
    };
    let records = [
        zhao,
        let_in("zhao"),
        let_in("an"),
        asked("zhao", 8),
        asked("an", 9),
        asked("li", 10),
    ];
    let world = World::after(&records).await;
    let codes = OneTimeCodes::from_seed(&cast("fengchao", 1).key.signing_key().to_bytes());
    let cookies = world.log_in("an", 1).await;
    let page = world.get("/console/access", &cookies).await;
    let mark = mark_in(&page.body);
    for said in ["exchange zhao", "exchange an", "wait for another person"] {
        assert!(page.body.contains(said), "{said}: {}", page.body);
    }
    let approve = async |digest: u8| {
        world.pass(MINUTE_MS);
        let now = world.server.handle.now().latest;
        let form = format!("csrf={mark}&code={}", codes.code(&drawn(1).enrolment, now));
        let id = KeyId::of(&[digest; 32]);
        let path = format!("/console/access/keys/{id}/approve");
        world.post(&path, &cookies, &form).await
    };
    assert_eq!(approve(9).await.status, 403, "one's own");
    assert_eq!(approve(10).await.status, 409, "of somebody who left");
    assert_eq!(approve(8).await.status, 303);
    let page = world.get("/console/access", &cookies).await;
    assert_eq!(page.body.matches("/approve\"").count(), 2);
    assert_eq!(approve(8).await.status, 404, "it waits no more");
    let alerts = world.get("/console/alerts", &cookies).await;
    let said = "`zhao` and `an`, who were both let in by `root` and may be one person";
    assert!(alerts.body.contains(said), "{}", alerts.body);
    world.server.stop().await.unwrap();
}
