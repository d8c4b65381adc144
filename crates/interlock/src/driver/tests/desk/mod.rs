//! Logging in, and what a session is worth: over HTTP, to a whole node.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an answer of another kind is a failure of the test"
)]

mod files;
mod trust;
mod work;

use std::net::SocketAddr;
use std::sync::Arc;

use interlock_core::ids::{CourierId, MerchantId};
use interlock_core::time::{MINUTE_MS, Zone};

use super::world::*;
use crate::driver::clock::ManualClock;
use crate::driver::desk::{self, Publisher};
use crate::driver::server::{Door, Server};
use crate::identity::one_time::OneTimeCodes;
use crate::identity::partner::Role as ParticipantRole;
use crate::identity::person::{DRAWN_BYTES, Drawn, PersonName};
use crate::node::io::{LocalAnswer, LocalRequest, PersonCaller, PersonPut, Role};
use crate::node::record::Record;
use crate::node::{ContentKeys, Node, NodeConfig};

const ADMIN: [u8; 32] = [5; 32];

struct NoKeys;

impl ContentKeys for NoKeys {
    fn get(&self, _: u32, _: u32) -> Option<[u8; 32]> {
        None
    }
}

fn drawn(of: u8) -> Drawn {
    Drawn::of(&[of; DRAWN_BYTES]).unwrap()
}

fn name(text: &str) -> PersonName {
    PersonName::parse(text).unwrap()
}

fn put(who: &str, roles: &[Role], of: u8) -> LocalRequest {
    let drawn = drawn(of);
    let courier = roles.contains(&Role::Courier).then(|| who.to_owned());
    let merchant = roles.contains(&Role::Merchant).then(|| who.to_owned());
    LocalRequest::PutPerson(Box::new(PersonPut {
        name: name(who),
        roles: roles.iter().copied().collect(),
        courier: courier.map(|id| CourierId::parse(&id).unwrap()),
        merchant: merchant.map(|id| MerchantId::parse(&id).unwrap()),
        password: drawn.hash,
        enrolment: drawn.enrolment,
    }))
}

/// A node with an administrator `an`, an auditor `bo` and a courier `courier-7`; each has the password drawn
/// from its number.
struct World {
    server: Server,
    clock: Arc<ManualClock>,
    to: SocketAddr,
}

impl World {
    async fn new() -> Self {
        Self::after(&[]).await
    }

    /// The same of a node whose journal has these records.
    async fn after(records: &[Record]) -> Self {
        let me = cast("fengchao", 1);
        let roles = vec![ParticipantRole::Platform, ParticipantRole::LockerOperator];
        let config = NodeConfig::new(me.id.clone(), "Fengchao", roles);
        let mut node = Node::new(config, me.key.signing_key().clone());
        let key = Record::ApiKey {
            name: "admin".into(),
            role: Role::Admin,
            digest: ADMIN,
        };
        for record in std::iter::once(&key).chain(records) {
            node.replay(NOW, record, &NoKeys).unwrap();
        }
        let mut setup = Setup::new(cast("fengchao", 1));
        let publisher = Publisher {
            id: me.id,
            name: "Fengchao".into(),
            zone: Zone::CHINA,
            tls: false,
        };
        setup.public = Some(Door {
            listener: listener(),
            routes: Box::new(|handle| desk::router(handle, None, publisher)),
        });
        let (clock, store) = (setup.clock.clone(), setup.store.clone());
        let server = setup.start_with(node, store).await;
        let to = server.addresses.public.unwrap();
        for request in [
            put("an", &[Role::Admin], 1),
            put("bo", &[Role::Auditor], 2),
            put("courier-7", &[Role::Courier], 3),
        ] {
            let answer = server.handle.local(Some(ADMIN), None, request).await;
            assert!(matches!(answer, LocalAnswer::Json { status: 201, .. }));
        }
        Self { server, clock, to }
    }

    fn pass(&self, ms: i64) {
        self.clock.advance(u32::try_from(ms).unwrap());
    }

    async fn get(&self, path: &str, cookies: &str) -> Reply {
        let headers = [("Cookie", cookies), ("Accept-Language", "en")];
        send(self.to, "GET", path, &headers, b"").await
    }

    async fn post(&self, path: &str, cookies: &str, form: &str) -> Reply {
        let headers = [
            ("Cookie", cookies),
            ("Accept-Language", "en"),
            ("Sec-Fetch-Site", "same-origin"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        send(self.to, "POST", path, &headers, form.as_bytes()).await
    }

    /// Fills the login form as a browser with `cookies` does.
    async fn try_login(&self, cookies: &str, who: &str, password: &str, more: &str) -> Reply {
        let page = self.get("/login", cookies).await;
        let cookies = format!("{cookies}; {}", cookie_in(&page, "-login").unwrap());
        let form = format!(
            "csrf={}&name={who}&password={password}{more}",
            mark_in(&page.body)
        );
        self.post("/login", &cookies, &form).await
    }

    /// Logs in; gives the session's cookie.
    async fn log_in(&self, who: &str, of: u8) -> String {
        let password = drawn(of).password;
        let reply = self.try_login("", who, password.reveal(), "").await;
        assert_eq!(reply.status, 303, "{}", reply.body);
        cookie_in(&reply, "").unwrap()
    }

    async fn ask(&self, who: &str, code: Option<&str>, request: LocalRequest) -> LocalAnswer {
        let version = match self
            .server
            .handle
            .page(crate::node::io::PageRequest::Person(name(who)))
            .await
        {
            LocalAnswer::Person(Some(person)) => person.version,
            other => panic!("{other:?}"),
        };
        let who = PersonCaller {
            name: name(who),
            version,
            code: code.map(str::to_owned),
        };
        self.server.handle.person(who, None, request).await
    }
}

/// `name=value` of the cookie whose name ends in `suffix` (or is the session's).
fn cookie_in(reply: &Reply, suffix: &str) -> Option<String> {
    let cookies = reply.head.lines().filter_map(|line| {
        let cookie = line.strip_prefix("set-cookie: ")?;
        cookie.split(';').next().map(str::to_owned)
    });
    let mut fitting = cookies.filter(|cookie| {
        let name = cookie.split('=').next().unwrap_or_default();
        name.ends_with(suffix) && (suffix == "-login") == name.ends_with("-login")
    });
    fitting.next()
}

fn mark_in(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").unwrap();
    rest.split_once('"').unwrap().0.into()
}

fn kind_of(answer: &LocalAnswer) -> (&str, u16) {
    match answer {
        LocalAnswer::Problem(problem) => (&problem.kind, problem.status),
        LocalAnswer::Json { status, .. } => ("done", *status),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_begins_a_session_of_its_own() {
    let world = World::new().await;
    let first = world.get("/console/access?x=1", "").await;
    assert_eq!(first.status, 303);
    assert!(
        first
            .head
            .contains("location: /login?next=%2fconsole%2faccess%3fx%3d1")
    );
    // A session that somebody else put into the browser is not taken over.
    let theirs = world.log_in("bo", 2).await;
    let password = drawn(1).password;
    let reply = world
        .try_login(&theirs, "an", password.reveal(), "&next=/console/access")
        .await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    assert!(reply.head.contains("location: /console/access"));
    assert!(
        reply
            .head
            .contains("; path=/; max-age=43200; httponly; samesite=lax")
    );
    let ours = cookie_in(&reply, "").unwrap();
    assert_ne!(ours, theirs);
    assert_eq!(
        world.get("/console", &theirs).await.status,
        303,
        "it has ended"
    );
    let page = world.get("/console/access", &ours).await;
    assert_eq!(page.status, 200);
    assert!(
        page.body.contains("People who may log in: 3."),
        "{}",
        page.body
    );
    for header in [
        "content-security-policy: default-src 'none'; style-src 'self'",
        "cache-control: no-store",
        "referrer-policy: no-referrer",
        "x-content-type-options: nosniff",
        "content-language: en",
    ] {
        assert!(page.head.contains(header), "{header}");
    }
    assert!(!page.body.contains("<script"));
    let out = format!("csrf={}", mark_in(&page.body));
    assert_eq!(world.post("/logout", &ours, &out).await.status, 303);
    assert_eq!(world.get("/console", &ours).await.status, 303);
    world.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_tls_the_cookie_is_bound_to_the_host() {
    let world = World::new().await;
    let headers = [("X-Forwarded-Proto", "https")];
    let page = send(world.to, "GET", "/login", &headers, b"").await;
    assert!(page.head.contains("set-cookie: __host-interlock-"));
    assert!(page.head.contains("; secure"));
    world.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_ends_after_five_and_names_are_not_told_apart() {
    let world = World::new().await;
    for guess in 1..=5 {
        let known = world.try_login("", "bo", "a wrong password", "").await;
        let unknown = world.try_login("", "nobody", "a wrong password", "").await;
        assert_eq!((known.status, unknown.status), (422, 422), "{guess}");
        let plain = |reply: &Reply, who: &str| {
            let mark = mark_in(&reply.body);
            reply.body.replace(&mark, "").replace(who, "")
        };
        assert_eq!(plain(&known, "\"bo\""), plain(&unknown, "\"nobody\""));
    }
    let password = drawn(2).password;
    let right = world.try_login("", "bo", password.reveal(), "").await;
    assert_eq!(right.status, 429, "not even the right one");
    assert_eq!(world.try_login("", "nobody", "x", "").await.status, 429);
    world.log_in("an", 1).await;
    world.pass(15 * MINUTE_MS);
    world.log_in("bo", 2).await;
    // What is no name, no form or too much is refused alike.
    for name in ["", "%00", "li%20lei", "%E6%9D%8E"] {
        let reply = world.try_login("", name, "x", "").await;
        assert!(matches!(reply.status, 422 | 429), "{name}");
    }
    let page = world.get("/login", "").await;
    let cookie = cookie_in(&page, "-login").unwrap();
    let form = format!(
        "csrf={}&name=bo&password={}",
        mark_in(&page.body),
        password.reveal()
    );
    for (cookies, form) in [
        ("", form.as_str()),
        (cookie.as_str(), "name=bo&password=x"),
        (cookie.as_str(), "csrf=0&name=bo&password=x"),
        ("interlock-login=", "csrf=&name=bo&password=x"),
    ] {
        assert_eq!(
            world.post("/login", cookies, form).await.status,
            403,
            "{form}"
        );
    }
    let much = "x".repeat(80_000);
    assert_eq!(world.post("/login", &cookie, &much).await.status, 413);
    world.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_page_or_site_does_nothing() {
    let world = World::new().await;
    let cookies = world.log_in("an", 1).await;
    let page = world.get("/account", &cookies).await;
    let old = drawn(1).password;
    let form = |mark: &str| {
        format!(
            "csrf={mark}&old-password={}&new-password=four+words+in+a+row",
            old.reveal()
        )
    };
    let good = form(&mark_in(&page.body));
    let other = world.log_in("bo", 2).await;
    let theirs = mark_in(&world.get("/account", &other).await.body);
    for mark in ["", "0", &theirs] {
        let reply = world.post("/account/password", &cookies, &form(mark)).await;
        assert_eq!(reply.status, 403, "{mark}");
        assert!(reply.body.contains("Send again"));
        assert!(!reply.body.contains("four words"), "no password is kept");
    }
    for site in ["cross-site", "same-site"] {
        let headers = [("Cookie", cookies.as_str()), ("Sec-Fetch-Site", site)];
        let reply = send(
            world.to,
            "POST",
            "/account/password",
            &headers,
            good.as_bytes(),
        )
        .await;
        assert_eq!(reply.status, 403, "{site}");
    }
    let reply = world.post("/account/password", &cookies, &good).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    let next = cookie_in(&reply, "").unwrap();
    let page = world.get(&work::location(&reply), &next).await;
    assert!(page.body.contains("The password is changed."));
    assert_eq!(
        world.get("/console", &cookies).await.status,
        303,
        "the old one ended"
    );
    assert_eq!(world.get("/console", &next).await.status, 200);
    let reply = world.try_login("", "an", "four+words+in+a+row", "").await;
    assert_eq!(reply.status, 303);
    assert_eq!(
        world.try_login("", "an", old.reveal(), "").await.status,
        422
    );
    world.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_by_itself_and_with_its_person() {
    let world = World::new().await;
    let cookies = world.log_in("bo", 2).await;
    for _ in 0..20 {
        world.pass(29 * MINUTE_MS);
        assert_eq!(world.get("/console", &cookies).await.status, 200);
    }
    world.pass(30 * MINUTE_MS);
    assert_eq!(
        world.get("/console", &cookies).await.status,
        303,
        "not used"
    );
    let cookies = world.log_in("bo", 2).await;
    for _ in 0..24 {
        world.pass(29 * MINUTE_MS);
        assert_eq!(world.get("/console", &cookies).await.status, 200);
    }
    world.pass(29 * MINUTE_MS);
    assert_eq!(
        world.get("/console", &cookies).await.status,
        303,
        "12 hours"
    );

    let cookies = world.log_in("bo", 2).await;
    let again = put("bo", &[Role::Auditor], 2);
    world.server.handle.local(Some(ADMIN), None, again).await;
    let reply = world.get("/console", &cookies).await;
    assert_eq!(reply.status, 303, "another password ends it");
    let cookies = world.log_in("bo", 2).await;
    let withdraw = LocalRequest::WithdrawPerson(name("bo"));
    world.server.handle.local(Some(ADMIN), None, withdraw).await;
    assert_eq!(world.get("/console", &cookies).await.status, 303);
    let gone = world
        .try_login("", "bo", drawn(2).password.reveal(), "")
        .await;
    assert_eq!(gone.status, 422);
    world.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_came_too_late_is_shown_again_after_the_login() {
    let world = World::new().await;
    let form = "csrf=0&reason=%3Cscript%3E1&code=123456&password=secret";
    let reply = world.post("/console/inbox/x/reject?y=1", "", form).await;
    // No such page yet: what has no session is answered by the login alone where there is a form.
    assert!(matches!(reply.status, 401 | 404));
    let reply = world.post("/account/password?z", "", form).await;
    assert_eq!(reply.status, 401);
    assert!(
        reply
            .body
            .contains("name=\"kept.reason\" value=\"&lt;script&gt;1\"")
    );
    assert!(!reply.body.contains("123456") && !reply.body.contains("secret"));
    let cookie = cookie_in(&reply, "-login").unwrap();
    let login = format!(
        "csrf={}&name=an&password={}&next=/account/password&kept.reason=%3Cscript%3E1",
        mark_in(&reply.body),
        drawn(1).password.reveal()
    );
    let reply = world.post("/login", &cookie, &login).await;
    assert_eq!(reply.status, 200, "shown, not done");
    assert!(reply.body.contains("action=\"/account/password\""));
    assert!(reply.body.contains("<dd>&lt;script&gt;1</dd>"));
    for elsewhere in [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/login",
    ] {
        let more = format!("&next={elsewhere}");
        let reply = world
            .try_login("", "an", drawn(1).password.reveal(), &more)
            .await;
        assert!(reply.head.contains("location: /console\r"), "{elsewhere}");
    }
    world.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_form_leads_to_its_page() {
    let world = World::new().await;
    let cookies = world.log_in("an", 1).await;
    for (form, page) in [
        ("/account/password", "/account"),
        ("/console/agreements/x/suspend", "/console/agreements/x"),
        ("/console/inbox/x/approve", "/console/inbox/x"),
        ("/console/evidence/x/verify", "/console/evidence/x"),
        ("/courier/deposits", "/courier"),
        ("/courier/deposits/x/confirm", "/courier/deposits/x"),
        ("/logout", "/console"),
    ] {
        let reply = world.get(form, &cookies).await;
        assert_eq!(reply.status, 303, "{form}");
        assert!(
            reply.head.contains(&format!("location: {page}\r")),
            "{form}"
        );
    }
    assert_eq!(
        world.get("/console", &cookies).await.status,
        200,
        "still logged in"
    );
    // What only one view needs is not carried on: the language chosen now counts.
    let page = world
        .get("/console/alerts?lang=en&done&print&x=1", &cookies)
        .await;
    assert!(
        page.body.contains("back=%2Fconsole%2Falerts%3Fx%3D1"),
        "{}",
        page.body
    );
    world.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_reach_what_is_theirs() {
    let world = World::new().await;
    let auditor = world.log_in("bo", 2).await;
    assert_eq!(world.get("/console", &auditor).await.status, 200);
    let refused = world.get("/console/access", &auditor).await;
    assert_eq!(refused.status, 403);
    assert!(!refused.body.contains("courier-7"));
    let courier = world.log_in("courier-7", 3).await;
    assert_eq!(world.get("/console", &courier).await.status, 403);
    for path in ["/console/none", "/console/agreements/none"] {
        assert_eq!(world.get(path, &auditor).await.status, 404, "{path}");
    }
    for (who, request, expected) in [
        ("bo", put("eve", &[Role::Admin], 9), ("forbidden", 403)),
        ("courier-7", LocalRequest::GetStatus, ("forbidden", 403)),
        (
            "an",
            put("eve", &[Role::Cabinet], 9),
            ("one-time-code", 422),
        ),
    ] {
        let answer = world.ask(who, None, request).await;
        assert_eq!(kind_of(&answer), expected, "{who}");
    }
    world.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_time_code_is_needed_and_counts_once() {
    let world = World::new().await;
    let codes = OneTimeCodes::from_seed(&cast("fengchao", 1).key.signing_key().to_bytes());
    let now = || world.server.handle.now().latest;
    let code = codes.code(&drawn(1).enrolment, now());
    let put = || put("eve", &[Role::Auditor], 9);
    let answer = world.ask("an", Some(&code), put()).await;
    assert_eq!(kind_of(&answer), ("done", 201));
    let LocalAnswer::Json { body, .. } = &answer else {
        panic!("{answer:?}");
    };
    let secret = codes.reveal(&drawn(9).enrolment);
    assert_eq!(body["oneTimeSecret"], secret.as_str());
    let answer = world.ask("an", Some(&code), put()).await;
    assert_eq!(kind_of(&answer), ("one-time-code", 422), "used already");
    for wrong in ["000000", "", "abcdef", "999999", "1"] {
        let answer = world.ask("an", Some(wrong), put()).await;
        assert_eq!(kind_of(&answer), ("one-time-code", 422), "{wrong}");
    }
    world.pass(MINUTE_MS);
    let fresh = codes.code(&drawn(1).enrolment, now());
    let answer = world.ask("an", Some(&fresh), put()).await;
    assert_eq!(kind_of(&answer), ("one-time-code-locked", 429));
    world.pass(15 * MINUTE_MS);
    let fresh = codes.code(&drawn(1).enrolment, now());
    let answer = world.ask("an", Some(&fresh), put()).await;
    assert_eq!(kind_of(&answer), ("done", 201));
    world.server.stop().await.unwrap();
}
