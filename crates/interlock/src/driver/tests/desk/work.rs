//! What people do in the pages: deposits, own parcels, an empty console.

use interlock_core::contact::{Phone, Recipient};
use interlock_core::ids::{Marketplace, StationId};
use interlock_core::parcel::{Consent, Preference};
use interlock_core::station::{Capacity, Position, Station, StationName, StationState};
use interlock_core::time::HOUR_MS;
use interlock_core::waybill::Waybill;

use super::*;
use crate::node::io::ParcelPut;

impl World {
    pub(super) async fn admin(&self, request: LocalRequest) {
        let answer = self.server.handle.local(Some(ADMIN), None, request).await;
        assert!(matches!(answer, LocalAnswer::Json { .. }), "{answer:?}");
    }

    async fn put_station(&self) {
        let station = |id: &str, latitude| Station {
            id: StationId::parse(id).unwrap(),
            name: StationName::parse("East <b>gate</b>").unwrap(),
            position: Position::new(120_000_000, latitude).unwrap(),
            state: StationState::Operating,
            capacity: Capacity::new(1, 2, 0).unwrap(),
        };
        let all = [
            ("FC0001", 30_000_000),
            ("FC0002", 30_001_000),
            ("FC0003", 31_000_000),
        ];
        let all = all.map(|(id, latitude)| station(id, latitude));
        self.admin(LocalRequest::PutStations(all.into())).await;
    }

    pub(super) async fn put_parcel(&self, number: &str, merchant: &str) {
        let parcel = ParcelPut {
            waybill: Waybill::parse("sf", number).unwrap(),
            issued_at: None,
            marketplace: Marketplace::parse("taobao").unwrap(),
            merchant: Some(MerchantId::parse(merchant).unwrap()),
            owner: None,
            recipient: Some(Recipient {
                name: "<script>alert(1)</script>".into(),
                phone: Phone::parse("19900001234").unwrap(),
                address: "Wensan Road 90".into(),
            }),
            size_class: None,
            consent: Consent::Given,
            preference: Preference::default(),
            lockers: vec![],
        };
        self.admin(LocalRequest::PutParcels(vec![parcel])).await;
    }
}

fn value_of(page: &str, name: &str) -> String {
    let (_, rest) = page
        .split_once(&format!("name=\"{name}\" value=\""))
        .unwrap();
    rest.split_once('"').unwrap().0.into()
}

pub(super) fn location(reply: &Reply) -> String {
    let line = reply
        .head
        .lines()
        .find_map(|l| l.strip_prefix("location: "));
    line.unwrap_or_else(|| panic!("{}", reply.body)).into()
}

#[tokio::test(flavor = "multi_thread")]
// tidy: long, one step after another
async fn a_courier_deposits_by_forms_and_reaches_own_deposits_alone() {
    let world = World::new().await;
    world.put_station().await;
    world.admin(put("c8", &[Role::Courier], 8)).await;
    let cookies = world.log_in("courier-7", 3).await;
    let page = world.get("/courier", &cookies).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let scan = |page: &str, more: &str| {
        format!(
            "csrf={}&key={}&waybill=sf%2FSF1234567890123&station=FC0001&size=small{more}",
            mark_in(page),
            value_of(page, "key")
        )
    };
    let form = scan(&page.body, "");
    let refused = world.post("/courier/deposits", &cookies, &form).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(refused.body.contains("Nobody knows whose parcel this is"));
    assert!(refused.body.contains("name=\"contact\""));
    let form = scan(&refused.body, "&contact=19900001234");
    let opened = world.post("/courier/deposits", &cookies, &form).await;
    assert_eq!(opened.status, 303, "{}", opened.body);
    let deposit = location(&opened);
    let twice = world.post("/courier/deposits", &cookies, &form).await;
    assert_eq!(location(&twice), deposit, "a double scan opens one door");
    let page = world.get(&deposit, &cookies).await;
    assert!(
        page.body.contains("Put it in and close the door"),
        "{}",
        page.body
    );
    let other = world.log_in("c8", 8).await;
    assert_eq!(world.get(&deposit, &other).await.status, 404);
    let theirs = format!(
        "csrf={}",
        mark_in(&world.get("/courier", &other).await.body)
    );
    for act in ["confirm", "cancel", "recall", "open"] {
        let path = format!("{deposit}/{act}");
        assert_eq!(
            world.post(&path, &other, &theirs).await.status,
            404,
            "{act}"
        );
    }
    let form = format!("csrf={}&station=FC0001&size=small", mark_in(&page.body));
    let done = world
        .post(&format!("{deposit}/confirm"), &cookies, &form)
        .await;
    assert_eq!(
        location(&done),
        "/courier?station=fc0001&size=small&done=confirm"
    );
    let page = world
        .get("/courier?station=FC0001&done=confirm", &cookies)
        .await;
    assert!(page.body.contains("SF1234567890123"), "{}", page.body);
    assert!(
        page.body.contains("value=\"FC0001\""),
        "ready for the next one"
    );
    let page = world.get("/courier", &other).await;
    assert!(!page.body.contains("SF1234567890123"));
    // The one small compartment is taken: what else is free is said.
    let form = scan(&page.body, "&contact=19900001234").replace("0123", "0124");
    let full = world.post("/courier/deposits", &other, &form).await;
    assert_eq!(full.status, 422, "{}", full.body);
    assert!(full.body.contains("medium: 2 free"), "{}", full.body);
    assert!(
        full.body.contains("Station FC0002, 111 m: 1 small."),
        "{}",
        full.body
    );
    assert!(!full.body.contains("FC0003"), "too far");
    let duty = world.log_in("an", 1).await;
    for path in ["/console/stations", "/console/stations/FC0001"] {
        let page = world.get(path, &duty).await;
        assert_eq!(page.status, 200, "{}", page.body);
        assert!(page.body.contains("East &lt;b&gt;gate"), "{path}");
    }
    let page = world.get("/console/parcels", &duty).await;
    let form = format!("csrf={}&waybill=sf/SF1234567890123", mark_in(&page.body));
    let found = world.post("/console/parcels", &duty, &form).await;
    assert!(found.body.contains("deposited"), "{}", found.body);
    assert!(!found.body.contains("19900001234"));
    world.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_sees_own_parcels_alone() {
    let world = World::new().await;
    world.put_parcel("SF1234567890123", "m1").await;
    world.put_parcel("SF1234567890124", "m2").await;
    for (merchant, of) in [("m1", 11), ("m2", 12)] {
        world.admin(put(merchant, &[Role::Merchant], of)).await;
    }
    let cookies = world.log_in("m1", 11).await;
    for path in ["/merchant", "/merchant.csv", "/merchant?state=announced"] {
        let page = world.get(path, &cookies).await;
        assert_eq!(page.status, 200, "{}", page.body);
        assert!(
            page.body.contains("SF1234567890123"),
            "{path}: {}",
            page.body
        );
        assert!(!page.body.contains("SF1234567890124"), "{path}");
        assert!(!page.body.contains("19900001234") && !page.body.contains("alert(1)"));
    }
    let page = world.get("/merchant?state=delivered", &cookies).await;
    assert!(!page.body.contains("SF1234567890123"));
    for before in ["x", "SF1234567890123", "00112233445566778899aabbccddeeff"] {
        for path in ["/merchant", "/merchant.csv"] {
            let page = world
                .get(&format!("{path}?before={before}"), &cookies)
                .await;
            assert_eq!(page.status, 404, "{path} {before}");
        }
    }
    for path in [
        "/courier",
        "/console",
        "/console/parcels",
        "/console/rehearsals",
        "/console/releases",
    ] {
        let page = world.get(path, &cookies).await;
        assert!(matches!(page.status, 403 | 404), "{path} {}", page.status);
    }
    world.server.stop().await.unwrap();
}

/// Scans a parcel and closes its door; where the deposit is.
async fn deposited(world: &World, cookies: &str, number: &str, size: &str) -> String {
    let page = world.get("/courier", cookies).await;
    let form = format!(
        "csrf={}&key={}&waybill=sf%2F{number}&station=FC0001&size={size}&contact=19900001234",
        mark_in(&page.body),
        value_of(&page.body, "key")
    );
    let opened = world.post("/courier/deposits", cookies, &form).await;
    assert_eq!(opened.status, 303, "{}", opened.body);
    let deposit = location(&opened);
    let form = format!(
        "csrf={}&station=FC0001&size={size}",
        mark_in(&world.get(&deposit, cookies).await.body)
    );
    let done = world
        .post(&format!("{deposit}/confirm"), cookies, &form)
        .await;
    assert_eq!(done.status, 303, "{}", done.body);
    deposit
}

#[tokio::test(flavor = "multi_thread")]
async fn a_courier_reads_what_is_overdue_and_takes_it_back_once() {
    let world = World::new().await;
    world.put_station().await;
    let cookies = world.log_in("courier-7", 3).await;
    let first = deposited(&world, &cookies, "SF1234567890123", "small").await;
    world.pass(HOUR_MS);
    let cookies = world.log_in("courier-7", 3).await;
    let second = deposited(&world, &cookies, "SF1234567890124", "medium").await;
    let page = world.get("/courier", &cookies).await;
    assert!(page.body.contains("2 parcels, none of them overdue."));
    // A stay is a day long here.
    world.pass(23 * HOUR_MS + MINUTE_MS);
    let cookies = world.log_in("courier-7", 3).await;
    let page = world.get("/courier", &cookies).await.body;
    assert!(
        page.contains("2 parcels, 1 overdue: take it back."),
        "{page}"
    );
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    assert!(
        place("SF1234567890123") < place("SF1234567890124"),
        "what ends first is first"
    );
    world.pass(HOUR_MS);
    let cookies = world.log_in("courier-7", 3).await;
    let page = world.get("/courier", &cookies).await.body;
    assert!(page.contains("2 parcels, 2 overdue: take them back."));
    for (deposit, rest) in [
        (&first, "1 parcel, 1 overdue: take it back."),
        (&second, "None. What you deposit"),
    ] {
        let page = world.get(deposit, &cookies).await.body;
        assert!(page.contains("Overdue: take it back"), "{page}");
        let form = format!("csrf={}&station=FC0001&size=small", mark_in(&page));
        let path = format!("{deposit}/recall");
        let done = world.post(&path, &cookies, &form).await;
        assert!(location(&done).ends_with("done=recall"));
        let page = world.get("/courier?done=recall", &cookies).await.body;
        assert!(
            page.contains("Taken back.") && page.contains(rest),
            "{page}"
        );
        // Pressed twice, or by the back button: nothing more happens.
        let again = world.post(&path, &cookies, &form).await;
        assert_eq!(again.status, 303, "{}", again.body);
    }
    let duty = world.log_in("an", 1).await;
    let page = world.get("/console/stations/FC0001", &duty).await.body;
    assert!(page.contains("3 compartments are free."), "{page}");
    world.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_health_shows_is_what_status_says() {
    let world = World::new().await;
    world.put_station().await;
    let courier = world.log_in("courier-7", 3).await;
    deposited(&world, &courier, "SF1234567890123", "small").await;
    deposited(&world, &courier, "SF1234567890124", "medium").await;
    let answer = world
        .server
        .handle
        .local(Some(ADMIN), None, LocalRequest::GetStatus)
        .await;
    let LocalAnswer::Json { body, .. } = answer else {
        panic!("{answer:?}");
    };
    let duty = world.log_in("an", 1).await;
    let page = world.get("/console/health", &duty).await.body;
    for (label, figure) in [
        ("Deposits", "deposits"),
        ("Picked up", "pickedUp"),
        ("Messages sent", "messagesSent"),
        ("Messages waiting", "messagesWaiting"),
        ("Events of our own", "eventsAccepted"),
        ("Events received", "eventsReceived"),
        ("Repeats kept out", "eventsDuplicate"),
        ("Out of order", "eventsOutOfOrder"),
    ] {
        let shown = format!("<dt>{label}</dt><dd>{}</dd>", body[figure]);
        assert!(page.contains(&shown), "{shown}: {page}");
    }
    assert_eq!(
        (&body["deposits"], &body["pickedUp"]),
        (&2.into(), &0.into())
    );
    assert_eq!(body["eventsAccepted"], 2, "{body}");
    let page = world.get("/console", &duty).await.body;
    for (label, path, figure) in [
        ("Parcels", "/console/parcels", "parcels"),
        ("In lockers now", "/console/stations", "depositsUnderWay"),
        ("Alerts", "/console/alerts", "alerts"),
        (
            "Items released",
            "/console/releases?outcome=released",
            "releases",
        ),
    ] {
        let shown = format!(
            "<dt>{label}</dt><dd><a href=\"{path}\">{}</a></dd>",
            body[figure]
        );
        assert!(page.contains(&shown), "{shown}: {page}");
    }
    world.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_an_empty_console_says_what_fills_it() {
    let world = World::new().await;
    let cookies = world.log_in("an", 1).await;
    for path in [
        "",
        "/health",
        "/partners",
        "/agreements",
        "/inbox",
        "/mediations",
        "/rehearsals",
        "/rehearsals?at=2017-07-01T00:00:00%2B08:00",
        "/releases",
        "/releases?outcome=denied&since=2017-05-01&until=x&partner=y&before=-1",
        "/alerts",
        "/feeds",
        "/evidence",
        "/evidence/files",
        "/parcels",
        "/stations",
        "/stations?from=100",
        "/agreements?from=x",
        "/access",
        "/regulator",
    ] {
        for language in ["en", "zh-CN"] {
            let headers = [("Cookie", cookies.as_str()), ("Accept-Language", language)];
            let path = match path {
                "/regulator" => path.to_owned(),
                _ => format!("/console{path}"),
            };
            let page = send(world.to, "GET", &path, &headers, b"").await;
            assert_eq!(page.status, 200, "{path}: {}", page.body);
            assert!(page.body.contains(&format!("<html lang=\"{language}\"")));
            assert!(page.body.len() < crate::pages::PAGE_BYTES_MAX);
        }
    }
    for (path, status) in [
        ("/rehearsals?at=yesterday", 422),
        ("/rehearsals?at=2001-01-01T00:00:00Z", 422),
        ("/releases/0", 404),
        ("/releases/1", 404),
        ("/releases/x", 404),
        ("/agreements/none", 404),
        ("/inbox/none", 404),
        ("/mediations/none", 404),
        ("/partners/did:web:nobody.example", 404),
        ("/evidence/did:web:nobody.example", 404),
        ("/stations/FC9999", 404),
    ] {
        let page = world.get(&format!("/console{path}"), &cookies).await;
        assert_eq!(page.status, status, "{path}: {}", page.body);
        assert!(page.head.contains("content-security-policy"));
    }
    world.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
// tidy: long, one step after another
async fn an_administrator_lets_people_and_machines_in_and_out() {
    let world = World::new().await;
    let codes = OneTimeCodes::from_seed(&cast("fengchao", 1).key.signing_key().to_bytes());
    let cookies = world.log_in("an", 1).await;
    let page = world.get("/console/access", &cookies).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let mark = mark_in(&page.body);
    let now = || world.server.handle.now().latest;
    let code = || codes.code(&drawn(1).enrolment, now());
    let person = format!("csrf={mark}&name-of-person=wu&role.auditor=on&role.operations=on");
    for (form, says) in [
        (format!("{person}&code=000000"), "type the six digits"),
        (
            format!("csrf={mark}&name-of-person=wu&code={}", code()),
            "roles",
        ),
        (
            format!("csrf={mark}&name-of-person=%3Cb%3E&role.auditor=on"),
            "name",
        ),
    ] {
        let refused = world.post("/console/access/people", &cookies, &form).await;
        assert!(matches!(refused.status, 400 | 422), "{}", refused.body);
        assert!(refused.body.contains(says), "{says}: {}", refused.body);
    }
    let refused = world
        .post(
            "/console/access/people",
            &cookies,
            &format!("{person}&code=000000"),
        )
        .await;
    assert!(
        refused.body.contains("value=\"wu\""),
        "what was typed is kept"
    );
    assert!(!refused.body.contains("000000"), "and no code");
    let form = format!("{person}&code={}", code());
    let added = world.post("/console/access/people", &cookies, &form).await;
    assert_eq!(added.status, 200, "{}", added.body);
    let fact = |page: &str, name: &str| -> String {
        let (_, rest) = page
            .split_once(&format!("<dt>{name}</dt><dd><code>"))
            .unwrap();
        rest.split_once('<').unwrap().0.into()
    };
    let password = fact(&added.body, "Password");
    assert!(added.body.contains("otpauth://totp/"));
    let page = world.get("/console/access", &cookies).await;
    assert!(page.body.contains("wu") && !page.body.contains(&password));
    let reply = world.try_login("", "wu", &password, "").await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    let auditor = cookie_in(&reply, "").unwrap();
    assert_eq!(world.get("/console/access", &auditor).await.status, 403);
    let mark_of_wu = mark_in(&world.get("/console", &auditor).await.body);
    for path in [
        "people",
        "keys",
        "people/an/withdraw",
        "keys/0011223344556677/withdraw",
        "keys/0011223344556677/approve",
    ] {
        let form = format!("csrf={mark_of_wu}&name-of-person=x&role.admin=on&holder=x&role=admin");
        let path = format!("/console/access/{path}");
        assert_eq!(
            world.post(&path, &auditor, &form).await.status,
            403,
            "{path}"
        );
    }
    world.pass(MINUTE_MS);
    let form = format!(
        "csrf={mark}&holder=handheld+17&role=handheld&code={}",
        code()
    );
    let added = world.post("/console/access/keys", &cookies, &form).await;
    assert_eq!(added.status, 200, "{}", added.body);
    let key = fact(&added.body, "Key");
    let page = world.get("/console/access", &cookies).await;
    assert!(page.body.contains("handheld 17") && !page.body.contains(&key));
    let (_, rest) = page.body.split_once("handheld 17").unwrap();
    let id = rest
        .split_once("<code>")
        .unwrap()
        .1
        .split_once('<')
        .unwrap()
        .0;
    for path in [
        "people/wu/withdraw".to_owned(),
        format!("keys/{id}/withdraw"),
    ] {
        world.pass(MINUTE_MS);
        let form = format!("csrf={mark}&code={}", code());
        let gone = world
            .post(&format!("/console/access/{path}"), &cookies, &form)
            .await;
        assert_eq!(location(&gone), "/console/access", "{path}");
    }
    let page = world.get("/console/access", &cookies).await;
    assert!(!page.body.contains("handheld 17") && !page.body.contains(">wu<"));
    assert_eq!(
        world.get("/console", &auditor).await.status,
        303,
        "logged out"
    );
    world.server.stop().await.unwrap();
}

/// Pages that are not anybody's in particular, each with the roles that may read it beside the
/// administrator's.
const PAGES: [(&str, &[Role]); 20] = {
    const EVERYBODY: &[Role] = &[Role::Approver, Role::Auditor, Role::Operations];
    const DUTY: &[Role] = &[Role::Auditor, Role::Operations];
    [
        ("/console", EVERYBODY),
        ("/console/health", EVERYBODY),
        ("/console/partners", EVERYBODY),
        ("/console/agreements", EVERYBODY),
        ("/console/inbox", EVERYBODY),
        ("/console/mediations", EVERYBODY),
        ("/regulator", EVERYBODY),
        ("/console/rehearsals", EVERYBODY),
        (
            "/console/rehearsals?at=2017-07-01T00:00:00%2B08:00",
            EVERYBODY,
        ),
        ("/console/parcels", EVERYBODY),
        ("/console/releases", DUTY),
        ("/console/releases?outcome=denied", DUTY),
        ("/console/alerts", DUTY),
        ("/console/evidence", DUTY),
        ("/console/evidence/files", DUTY),
        ("/console/stations", DUTY),
        ("/console/feeds", EVERYBODY),
        ("/console/access", &[]),
        ("/courier", &[Role::Courier]),
        ("/merchant", &[Role::Merchant]),
    ]
};

#[tokio::test(flavor = "multi_thread")]
async fn each_role_reaches_its_pages_and_no_others() {
    let world = World::new().await;
    let roles = [
        ("r1", Role::Approver),
        ("r2", Role::Auditor),
        ("r3", Role::Operations),
        ("r4", Role::Courier),
        ("r5", Role::Merchant),
    ];
    for ((who, role), of) in roles.into_iter().zip(21..) {
        world.admin(put(who, &[role], of)).await;
        let cookies = world.log_in(who, of).await;
        for (path, readers) in PAGES {
            let page = world.get(path, &cookies).await;
            match readers.contains(&role) {
                true => assert_eq!(page.status, 200, "{who} {path}: {}", page.body),
                false => assert!(
                    matches!(page.status, 403 | 404),
                    "{who} {path}: {}",
                    page.status
                ),
            }
        }
        let nobody = world.get("/console", "").await;
        assert_eq!(nobody.status, 303, "whoever is not logged in");
    }
    world.server.stop().await.unwrap();
}
