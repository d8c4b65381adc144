//! Every door of every node, and what it answers: the routes of the local API by its own document, the pages
//! by their links and by the routes in the source, the links of recipients, what partners may ask, counters.
//!
//! INVARIANT: a route that is new is visited, or the walk fails for want of knowing how.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::UNIX_EPOCH;

use interlock::exchange::http::encode_request;
use interlock::exchange::wire::LogSide;
use interlock::identity::keys::NodeKey;
use interlock::identity::token;
use interlock::node::io::PeerRequest;
use interlock_core::ids::{ParticipantId, RequestId};
use interlock_core::time::Timestamp;
use serde_json::{Value, json};

use super::planted::Found;
use super::{CAINIAO, Day, FENGCHAO, JD, NAMES, NOBODYS, OURS, OURS_TOO, RIVALS, SF};
use crate::mediation::Member;

/// Roles of keys, each with a key of its own at every node.
const ROLES: [&str; 6] = [
    "order-system",
    "handheld",
    "cabinet",
    "approver",
    "auditor",
    "telephone",
];
/// Pages of one pattern that are looked at.
const ALIKE_MAX: usize = 8;
/// An instant for whatever wants one.
const INSTANT: &str = "2030-01-01T00%3A00%3A00%2B08%3A00";
/// Nothing is there to be had in this day: nobody mediates, and no number for couriers is set.
const NEVER_FOUND: [&str; 2] = ["/mediations/{id}", "/calls/{extension}"];

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a hidden field of its form.
    fn hidden(&self, name: &str) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once(&format!("name=\"{name}\" value=\""))?;
        Some(rest.split('"').next()?.to_owned())
    }

    /// Cookies that it sets.
    fn cookies(&self) -> Vec<String> {
        let lines = self.head.lines().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("set-cookie").then_some(value)
        });
        lines
            .map(|it| it.trim().split(';').next().unwrap().to_owned())
            .collect()
    }
}

fn fetch(port: u16, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = memchr::memmem::find(&bytes, b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    Answer {
        status: head[9..12].parse().unwrap(),
        head,
        body: bytes.split_off(end + 4),
    }
}

/// Keys and a person at every node.
pub(super) struct People(Vec<Staff>);

struct Staff {
    keys: BTreeMap<&'static str, String>,
    password: String,
}

impl People {
    pub(super) fn hire(nodes: &[Member], names: &[&str]) -> Self {
        let hire = |(node, name): (&Member, &&str)| {
            let keys = ROLES.map(|role| {
                let body = json!({ "name": role, "role": role });
                let (status, made) = node.call("POST", "/keys", "", &body);
                assert_eq!(status, 201, "{name}: {made}");
                (role, made["key"].as_str().unwrap().to_owned())
            });
            let body = json!({ "name": "an", "roles": ["admin", "approver", "auditor", "operations",
                "courier", "merchant"], "courier": "c9", "merchant": "m1" });
            let (status, made) = node.call("POST", "/people", "", &body);
            assert_eq!(status, 201, "{name}: {made}");
            Staff {
                keys: keys.into(),
                password: made["password"].as_str().unwrap().to_owned(),
            }
        };
        Self(nodes.iter().zip(names).map(hire).collect())
    }
}

/// One visit of all doors.
struct Visit<'a> {
    day: &'a Day,
    found: BTreeSet<Found>,
    /// Ids of deposits.
    deposits: Vec<String>,
}

/// What every door of every node says; while there is something to say, each route says it somewhere.
pub(super) fn visit(
    day: &Day,
    people: &People,
    deposits: &[(&str, String, String, String)],
    links: &[String],
    something: bool,
) -> BTreeSet<Found> {
    let mut visit = Visit {
        day,
        found: BTreeSet::new(),
        deposits: deposits.iter().map(|it| it.1.clone()).collect(),
    };
    let mut reached = BTreeSet::new();
    for (node, staff) in people.0.iter().enumerate() {
        visit.local_api(node, staff, &mut reached);
        visit.pages(node, staff);
        visit.public(node, links);
        visit.partners(node);
        visit.machines(node);
    }
    let never: Vec<&String> = reached
        .iter()
        .filter_map(|(path, ok)| (!ok && !reached.contains(&(path.clone(), true))).then_some(path))
        .filter(|path| !NEVER_FOUND.contains(&path.as_str()))
        .collect();
    assert!(never.is_empty() || !something, "never answered: {never:?}");
    visit.found
}

impl Visit<'_> {
    fn see(&mut self, place: &str, answer: &Answer) {
        assert!(answer.status < 500, "{place}: {}", answer.text());
        let head = self.day.planted.found_at(place, answer.head.as_bytes());
        self.found.extend(head);
        self.found
            .extend(self.day.planted.found_at(place, &answer.body));
    }

    /// Every `GET` of the local API's own document, by a key of each role.
    fn local_api(&mut self, node: usize, staff: &Staff, reached: &mut BTreeSet<(String, bool)>) {
        let member = &self.day.nodes[node];
        let port = member.port + 1;
        let document = fetch(port, "GET", "/api/v1/openapi.json", &[], "");
        let document: Value = serde_json::from_slice(&document.body).unwrap();
        let paths = document["paths"].as_object().unwrap();
        assert!(paths.len() > 40, "{}", paths.len());
        for (path, methods) in paths
            .iter()
            .filter(|(_, methods)| methods["get"].is_object())
        {
            for target in self.targets(node, path, &methods["get"]) {
                let mut let_in = false;
                let keys = staff.keys.iter().map(|(role, key)| (*role, key.as_str()));
                for (role, key) in keys.chain([("admin", member.key.as_str())]) {
                    // An administrator may do everything: what somebody else may was seen by then.
                    if role == "admin" && let_in {
                        continue;
                    }
                    let bearer = format!("Bearer {key}");
                    let target = format!("/api/v1{target}");
                    let answer = fetch(port, "GET", &target, &[("Authorization", &bearer)], "");
                    assert_ne!(answer.status, 401, "{role} {target}");
                    let_in |= answer.status != 403;
                    reached.insert((path.clone(), answer.status == 200));
                    let shown = target.trim_start_matches("/api/v1");
                    self.see(&format!("{}: {role} GET {shown}", NAMES[node]), &answer);
                }
                assert!(let_in, "nobody may ask {target}");
            }
        }
    }

    /// What a path is asked as: with each id that there is, and each value of each parameter that has a list.
    fn targets(&self, node: usize, path: &str, operation: &Value) -> Vec<String> {
        let mut targets = vec![String::new()];
        let mut before = String::new();
        for segment in path.split('/').skip(1) {
            let values = match segment.strip_prefix('{') {
                None => vec![segment.to_owned()],
                Some(name) => self.values(node, &before, name.trim_end_matches('}')),
            };
            before = format!("{before}/{segment}");
            targets = targets
                .iter()
                .flat_map(|target| values.iter().map(move |value| format!("{target}/{value}")))
                .collect();
        }
        let parameters = operation["parameters"].as_array().unwrap().iter();
        let mut queries = vec![String::new()];
        for parameter in parameters.filter(|it| it["in"] == "query") {
            let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
            if schema["format"] == "date-time" {
                queries = queries
                    .iter()
                    .map(|it| format!("{it}&{name}={INSTANT}"))
                    .collect();
            }
            let all = schema["enum"].as_array().into_iter().flatten();
            let all = all.map(|value| format!("&{name}={}", value.as_str().unwrap()));
            queries.extend(all.collect::<Vec<_>>());
        }
        let with = |target: &String| {
            let target = target.clone();
            let queries = queries.iter();
            let all = queries.map(move |query| match query.strip_prefix('&') {
                None => target.clone(),
                Some(query) => format!("{target}?{query}"),
            });
            all.collect::<Vec<_>>()
        };
        targets.iter().flat_map(with).collect()
    }

    fn values(&self, node: usize, before: &str, name: &str) -> Vec<String> {
        let texts = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
        match (before, name) {
            ("/parcels", "carrier") => texts(&["sf"]),
            ("/parcels/{carrier}", "number") => texts(&[OURS, OURS_TOO, RIVALS, NOBODYS]),
            ("/deposits", "id") => self.deposits.clone(),
            ("/stations", "id") => texts(&["S1"]),
            ("/calls", "extension") => texts(&["123456"]),
            ("/partners" | "/evidence", "id") => {
                let others = self.day.nodes.iter().map(|it| it.id.to_owned());
                others.collect()
            }
            (_, "id") => {
                // Whatever its own list names.
                let (status, list) = self.day.nodes[node].call("GET", before, "", &Value::Null);
                assert_eq!(
                    status, 200,
                    "how is `{before}/{{{name}}}` asked? teach the walk"
                );
                let lists = list.as_object().unwrap().values();
                let all = lists.filter_map(Value::as_array).flatten();
                let ids = all.filter_map(|it| it["id"].as_str()).map(encoded);
                let ids: Vec<String> = ids.take(ALIKE_MAX).collect();
                if ids.is_empty() {
                    texts(&["urn:none"])
                } else {
                    ids
                }
            }
            _ => panic!("how is `{before}/{{{name}}}` asked? teach the walk"),
        }
    }

    /// Every page of a person with all roles: by links from the first ones on, then every route of the source
    /// that no link led to.
    fn pages(&mut self, node: usize, staff: &Staff) {
        let port = self.day.nodes[node].port + 1;
        let cookie = logged_in(port, &staff.password);
        let headers = [("Cookie", cookie.as_str()), ("Accept-Language", "en")];
        let routes = routes_of_pages();
        let starts = [
            "/console",
            "/courier",
            "/merchant",
            "/regulator",
            "/settings",
            "/account",
        ];
        let mut waiting: VecDeque<String> = starts.map(str::to_owned).into();
        let mut seen: BTreeSet<String> = waiting.iter().cloned().collect();
        let mut alike: BTreeMap<String, usize> = BTreeMap::new();
        let mut visited = BTreeSet::new();
        while let Some(target) = waiting.pop_front() {
            let path = target.split('?').next().unwrap();
            let Some(route) = routes.iter().find(|route| fits(route, path)) else {
                panic!("`{target}` is a link to no route");
            };
            let names = target.split('?').nth(1).unwrap_or_default().split('&');
            let names: BTreeSet<&str> = names.map(|it| it.split('=').next().unwrap()).collect();
            let count = alike.entry(format!("{route}?{names:?}")).or_default();
            *count += 1;
            if *count > ALIKE_MAX {
                continue;
            }
            visited.insert(route.clone());
            let answer = fetch(port, "GET", &target, &headers, "");
            assert!(answer.status < 400, "{target}: {}", answer.text());
            self.see(&format!("{}: page {target}", NAMES[node]), &answer);
            for link in links_of(&answer.text()) {
                if seen.insert(link.clone()) {
                    waiting.push_back(link);
                }
            }
        }
        assert!(visited.len() > 15, "{visited:?}");
        for route in routes.iter().filter(|route| !visited.contains(*route)) {
            let target = route.replace("{*rest}", "none").replace("{id}", "none");
            let target = target
                .replace("{act}", "none")
                .replace("{cursor}", "1")
                .replace("{name}", "an");
            assert!(
                !target.contains('{'),
                "how is `{route}` asked? teach the walk"
            );
            let answer = fetch(port, "GET", &target, &headers, "");
            self.see(&format!("{}: page {target}", NAMES[node]), &answer);
        }
        self.searched(node, &headers);
    }

    /// What a search finds is shown where it was typed.
    fn searched(&mut self, node: usize, headers: &[(&str, &str); 2]) {
        let port = self.day.nodes[node].port + 1;
        let page = fetch(port, "GET", "/console/parcels", headers, "");
        let mark = page.hidden("csrf").expect("the session's mark");
        for number in [OURS, OURS_TOO, RIVALS, NOBODYS] {
            let form = format!("csrf={mark}&waybill=sf%2F{number}");
            let kind = ("Content-Type", "application/x-www-form-urlencoded");
            let answer = fetch(
                port,
                "POST",
                "/console/parcels",
                &[headers[0], headers[1], kind],
                &form,
            );
            self.see(
                &format!("{}: page /console/parcels of {number}", NAMES[node]),
                &answer,
            );
        }
    }

    /// What recipients and buyers see behind their links, at their node and at the others.
    fn public(&mut self, node: usize, links: &[String]) {
        let port = self.day.nodes[node].port + 2;
        let name = NAMES[node];
        let tracking = [OURS, OURS_TOO, RIVALS, NOBODYS]
            .into_iter()
            .filter_map(|number| {
                let path = format!("/parcels/sf/{number}");
                let (_, parcel) = self.day.nodes[node].call("GET", &path, "", &Value::Null);
                let link = parcel["tracking"].as_str()?.rsplit('/').next()?.to_owned();
                Some(link)
            });
        let tracking: Vec<String> = tracking.collect();
        let language = ("Accept-Language", "en");
        for token in &tracking {
            let answer = fetch(port, "GET", &format!("/t/{token}"), &[language], "");
            assert_eq!(answer.status, 200, "{}", answer.text());
            self.see(&format!("{name}: recipient GET /t"), &answer);
        }
        for token in links.iter().chain(&tracking) {
            for path in [format!("/p/{token}"), format!("/d/{token}")] {
                let answer = fetch(port, "GET", &path, &[language], "");
                let kind = path[..2].to_owned();
                self.see(&format!("{name}: recipient GET {kind}"), &answer);
                let Some(mark) = answer.hidden("csrf") else {
                    continue;
                };
                let form = format!("csrf={mark}");
                let kind_of = ("Content-Type", "application/x-www-form-urlencoded");
                let target = format!("{path}/code");
                let answer = fetch(port, "POST", &target, &[language, kind_of], &form);
                self.see(&format!("{name}: recipient POST {kind}"), &answer);
            }
        }
        for path in ["/", "/p/none", "/t/none", "/nothing"] {
            self.see(
                &format!("{name}: recipient GET {path}"),
                &fetch(port, "GET", path, &[], ""),
            );
        }
    }

    /// What each partner's key may ask at the exchange door.
    fn partners(&mut self, node: usize) {
        let others = match node {
            CAINIAO => &[FENGCHAO, SF][..],
            FENGCHAO => &[CAINIAO, SF, JD],
            SF => &[CAINIAO, FENGCHAO],
            _ => &[FENGCHAO],
        };
        for other in others {
            for request in asked_by_partners() {
                let answer = self.signed(*other, node, &request);
                assert_ne!(answer.status, 401, "{request:?}: {}", answer.text());
                let target = encode_request(&request).target;
                let place = format!("{}: partner {} GET {target}", NAMES[node], NAMES[*other]);
                self.see(&place, &answer);
            }
        }
        let port = self.day.nodes[node].port;
        for path in [
            "/.well-known/did.json",
            "/.well-known/dspace-version",
            "/dsp",
            "/none",
        ] {
            self.see(
                &format!("{}: anybody GET {path}", NAMES[node]),
                &fetch(port, "GET", path, &[], ""),
            );
        }
    }

    fn signed(&self, from: usize, to: usize, request: &PeerRequest) -> Answer {
        let (issuer, audience) = (&self.day.nodes[from], &self.day.nodes[to]);
        let key = NodeKey::read(&issuer.dir.join("keys/node.pem")).unwrap();
        let http = encode_request(request);
        assert!(!http.post, "{request:?} changes something");
        let now = fetch(audience.port, "GET", "/.well-known/did.json", &[], "");
        let date = now
            .head
            .lines()
            .find_map(|line| line.strip_prefix("date: "));
        let date = httpdate::parse_http_date(date.expect("a date").trim()).unwrap();
        let seconds = date.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let id = |text: &str| ParticipantId::parse(text).unwrap();
        let mut drawn = [0; 16];
        drawn[..8].copy_from_slice(&self.found.len().to_le_bytes());
        let unique = http
            .target
            .bytes()
            .chain([from as u8, to as u8, seconds as u8]);
        for (nth, byte) in unique.enumerate() {
            drawn[8 + nth % 8] = drawn[8 + nth % 8].wrapping_mul(31).wrapping_add(byte);
        }
        let token = token::sign(
            &key,
            &token::Request {
                issuer: &id(issuer.id),
                audience: &id(audience.id),
                request_id: RequestId::from_bytes(drawn),
                method: "GET",
                path_and_query: &http.target,
                body: b"",
                issued_at: Timestamp::from_millis(i64::try_from(seconds).unwrap() * 1_000),
            },
        );
        let bearer = format!("Bearer {token}");
        fetch(
            audience.port,
            "GET",
            &http.target,
            &[("Authorization", &bearer)],
            "",
        )
    }

    /// Counters and health.
    fn machines(&mut self, node: usize) {
        let port = self.day.nodes[node].port;
        let metrics = fetch(port + 3, "GET", "/metrics", &[], "");
        assert!(metrics.text().contains("interlock_"), "{}", metrics.text());
        self.see(&format!("{}: /metrics", NAMES[node]), &metrics);
        self.see(
            &format!("{}: /health", NAMES[node]),
            &fetch(port + 1, "GET", "/health", &[], ""),
        );
    }
}

/// What a partner may ask with a `GET`. The polls of feeds are among what passes on the wire: a partner's own
/// node makes them all day long.
fn asked_by_partners() -> Vec<PeerRequest> {
    let mut all = vec![PeerRequest::Checkpoint];
    for log in [LogSide::Written, LogSide::Mirrored, LogSide::Anchor] {
        all.push(PeerRequest::Entries {
            log,
            epoch: None,
            from: 0,
        });
    }
    for path in [
        "/negotiations/none",
        "/transfers/none",
        "/catalog/datasets/none",
    ] {
        all.push(PeerRequest::Dsp {
            post: false,
            path: path.into(),
            body: Value::Null,
        });
    }
    for request in &all {
        // A kind of request that is new is asked here, or stands among those that change something.
        match request {
            PeerRequest::Dsp { .. }
            | PeerRequest::Checkpoint
            | PeerRequest::Entries { .. }
            | PeerRequest::Feed { .. }
            | PeerRequest::Receipt { .. }
            | PeerRequest::Lookup { .. }
            | PeerRequest::Cooperation(_)
            | PeerRequest::Mediation(_)
            | PeerRequest::Notice(_) => {}
        }
    }
    all
}

/// A person's session.
fn logged_in(port: u16, password: &str) -> String {
    let form = fetch(port, "GET", "/login", &[], "");
    let before = form.cookies().join("; ");
    let mark = form.hidden("csrf").expect("the form's mark");
    let body = format!("csrf={mark}&next=&name=an&password={}", encoded(password));
    let headers = [
        ("Cookie", before.as_str()),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let answer = fetch(port, "POST", "/login", &headers, &body);
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.cookies().join("; ")
}

/// The routes of the pages, as the source of their door has them.
fn routes_of_pages() -> Vec<String> {
    let desk = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/driver/desk");
    let mut routes = Vec::new();
    for entry in std::fs::read_dir(desk).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for rest in text.split(".route(").skip(1) {
            let route = rest.split('"').nth(1).unwrap();
            routes.push(route.to_owned());
        }
    }
    // What is exact comes before what fits much.
    routes.sort_by_key(|route| {
        (
            route.contains("{*"),
            route.matches('{').count(),
            route.clone(),
        )
    });
    assert!(routes.len() > 40, "{routes:?}");
    routes
}

fn fits(route: &str, path: &str) -> bool {
    let (mut of_route, mut of_path) = (route.split('/'), path.split('/'));
    loop {
        match (of_route.next(), of_path.next()) {
            (None, None) => return true,
            (Some(part), Some(_)) if part.starts_with("{*") => return true,
            (Some(part), Some(segment)) if part.starts_with('{') || part == segment => {}
            _ => return false,
        }
    }
}

/// Links of a page that stay at its door and show something.
fn links_of(text: &str) -> Vec<String> {
    let all = text.split("<a ").skip(1).filter_map(|rest| {
        let tag = rest.split('>').next()?;
        let link = tag.split("href=\"").nth(1)?.split('"').next()?;
        let link = link.split('#').next()?.replace("&amp;", "&");
        (link.starts_with('/') && !link.starts_with("/assets")).then_some(link)
    });
    all.collect()
}

fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// A phone in clear, as two people agree on it: there it is.
pub(super) fn revealed(day: &Day, number: &str, phone: &str) {
    let node = &day.nodes[CAINIAO];
    let keys = ["one", "two"].map(|name| {
        let (_, made) = node.call(
            "POST",
            "/keys",
            "",
            &json!({ "name": name, "role": "auditor" }),
        );
        made["key"].as_str().unwrap().to_owned()
    });
    let call = |key: &str, path: &str, body: &Value| {
        let bearer = format!("Bearer {key}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        let target = format!("/api/v1{path}");
        let answer = fetch(node.port + 1, "POST", &target, &headers, &body.to_string());
        assert!(answer.status < 300, "{path}: {}", answer.text());
        serde_json::from_slice::<Value>(&answer.body).unwrap()
    };
    let body = json!({ "waybill": format!("sf/{number}"), "reason": "recipient-asked" });
    let asked = call(&keys[0], "/reveals", &body);
    let id = asked["id"].as_str().unwrap();
    call(&keys[1], &format!("/reveals/{id}/approve"), &json!({}));
    let shown = call(&keys[0], &format!("/reveals/{id}/show"), &json!({}));
    assert!(shown.to_string().contains(phone), "{shown}");
}

/// Whom the telephone network is told to connect to a leased extension; `None` if nobody. No other key is
/// told.
pub(super) fn connected(day: &Day, people: &People, leased: &str) -> Option<String> {
    let (number, extension) = leased.split_once(',').expect("an extension");
    let body = json!({ "to": number, "extension": extension }).to_string();
    let port = day.nodes[JD].port + 1;
    let keys = people.0[JD].keys.iter();
    let keys = keys.map(|(role, key)| (*role, key.as_str()));
    let mut told = None;
    for (role, key) in keys.chain([("admin", day.nodes[JD].key.as_str())]) {
        let bearer = format!("Bearer {key}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        let answer = fetch(port, "POST", "/api/v1/calls", &headers, &body);
        if role != "telephone" {
            assert_eq!(answer.status, 403, "{role}");
            continue;
        }
        let said: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!([200, 404].contains(&answer.status), "{said}");
        told = said["phone"].as_str().map(str::to_owned);
    }
    told
}
