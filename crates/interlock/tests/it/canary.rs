//! Planted numbers, names, addresses and codes, and where they are found: four processes live through a day,
//! and everything that they keep, say, show and hold in memory is searched for them, before and after they
//! are deleted.
//!
//! What is allowed stands in [`ALLOWED`]: a place that is not there and holds something planted is a leak,
//! and a place there that holds nothing is a line too many. After the deletion nothing is allowed.

mod doors;
pub(super) mod planted;
mod wire;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use serde_json::{Value, json};

use self::planted::{Found, Kind, Planted};
use self::wire::Tap;
use super::backup::{Dir, interlock};
use super::mediation::{Member, OPERATOR, OWNER, policy_of, waits};
use super::memory::{IDLE_S_MAX, code_in, gateway};

const CARRIER: &str = "did:web:sf.example";
const RIVAL: &str = "did:web:jd.example";
/// No gateway but the operator's is handed anything.
const NO_GATEWAY: &str = "http://127.0.0.1:9/messages";
const LOG: &str = "debug";
/// How often memory is read until nothing is left, in seconds.
const LOOK_EVERY_S: u32 = 10;
/// Lines of each node's log that are shown if the day goes wrong.
const LINES_SHOWN: usize = 12;

/// Parcels: number, marketplace. Nobody announced the last one.
const OURS: &str = "SF7000000000001";
const OURS_TOO: &str = "SF7000000000002";
const RIVALS: &str = "SF7000000000003";
const NOBODYS: &str = "SF7000000000004";

/// What is planted: whose it is, what it is, the text.
const PLANTED: &[(&str, Kind, &str)] = &[
    ("ours", Kind::Phone, "13876501987"),
    ("ours", Kind::Text, "金丝雀甲"),
    ("ours", Kind::Text, "金丝雀路 7719 号"),
    ("ours-too", Kind::Phone, "13876501988"),
    ("ours-too", Kind::Text, "Kanarie-Zhou"),
    ("ours-too", Kind::Text, "Kanarie Lane 7720"),
    ("rivals", Kind::Phone, "13876501990"),
    ("rivals", Kind::Text, "Kanarie-Qian"),
    ("rivals", Kind::Text, "Kanarie Alley 7721"),
    ("typed", Kind::Phone, "13876501991"),
    ("refused", Kind::Phone, "13876501992"),
    ("refused", Kind::Phone, "13876501993"),
    ("refused", Kind::Phone, "13876501994"),
    ("refused", Kind::Text, "Kanarie-Refused"),
    ("courier", Kind::Text, "kanarie-7"),
];

/// Before the deletion: whose, in which place, under which term or rule. A place is its beginning.
const ALLOWED: &[(&str, &str, &str)] = &[
    // Held in memory by whoever was given it.
    ("ours", "memory of cainiao", "the owner's own"),
    ("ours-too", "memory of cainiao", "the owner's own"),
    ("rivals", "memory of jd", "the owner's own"),
    ("ours", "memory of fengchao", "recipient-contact in full"),
    (
        "ours-too",
        "memory of fengchao",
        "recipient-contact in full",
    ),
    ("typed", "memory of fengchao", "typed by its courier"),
    ("courier", "memory of fengchao", "its courier"),
    // Labels say name and address by their kind, to order systems; no phone.
    (
        "ours",
        "cainiao: order-system GET /parcels/sf/SF7000000000001/label",
        "label",
    ),
    (
        "ours-too",
        "cainiao: order-system GET /parcels/sf/SF7000000000002/label",
        "label",
    ),
    (
        "rivals",
        "jd: order-system GET /parcels/sf/SF7000000000003/label",
        "label",
    ),
    // The operator's couriers and cabinets may see what the terms release in full.
    (
        "ours",
        "fengchao: handheld GET /deposits",
        "recipient-contact in full",
    ),
    (
        "ours",
        "fengchao: cabinet GET /deposits",
        "recipient-contact in full",
    ),
    (
        "ours-too",
        "fengchao: handheld GET /deposits",
        "recipient-contact in full",
    ),
    (
        "ours-too",
        "fengchao: cabinet GET /deposits",
        "recipient-contact in full",
    ),
    (
        "typed",
        "fengchao: handheld GET /deposits",
        "typed by its courier",
    ),
    (
        "typed",
        "fengchao: cabinet GET /deposits",
        "typed by its courier",
    ),
    (
        "ours",
        "fengchao: order-system GET /parcels/sf",
        "recipient-contact in full",
    ),
    (
        "ours",
        "fengchao: auditor GET /parcels/sf",
        "recipient-contact in full",
    ),
    (
        "ours-too",
        "fengchao: order-system GET /parcels/sf",
        "recipient-contact in full",
    ),
    (
        "ours-too",
        "fengchao: auditor GET /parcels/sf",
        "recipient-contact in full",
    ),
    (
        "typed",
        "fengchao: order-system GET /parcels/sf",
        "typed by its courier",
    ),
    (
        "typed",
        "fengchao: auditor GET /parcels/sf",
        "typed by its courier",
    ),
    (
        "ours",
        "fengchao: command parcel",
        "recipient-contact in full",
    ),
    // Between nodes: the answer to a lookup, and the feed of codes; nothing else.
    (
        "ours",
        "wire from cainiao to fengchao",
        "recipient-contact in full",
    ),
    (
        "ours-too",
        "wire from cainiao to fengchao",
        "recipient-contact in full",
    ),
    ("code", "wire from fengchao to cainiao", "pickup-code open"),
    // Codes: the operator's, and the owner's to whom they are released.
    ("code", "memory of fengchao", "its locker"),
    ("code", "memory of cainiao", "pickup-code open"),
    (
        "code",
        "cainiao: order-system GET /parcels/sf/SF7000000000001/recipient/code",
        "pickup-code open",
    ),
    (
        "code",
        "cainiao: order-system GET /parcels/sf/SF7000000000002/recipient/code",
        "pickup-code open",
    ),
    (
        "code",
        "fengchao: recipient POST /p",
        "the recipient asks for it",
    ),
];

/// Four nodes, and what passes between them.
struct Day {
    dir: Dir,
    nodes: Vec<Member>,
    taps: Vec<Tap>,
    messages: Arc<Mutex<Vec<String>>>,
    planted: Planted,
}

/// The same in this order everywhere.
const NAMES: [&str; 4] = ["cainiao", "fengchao", "sf", "jd"];
const CAINIAO: usize = 0;
const FENGCHAO: usize = 1;
const SF: usize = 2;
const JD: usize = 3;

impl Day {
    fn begin() -> Self {
        let (url, messages) = gateway();
        let dir = Dir::new("planted");
        let taps: Vec<Tap> = NAMES.iter().map(|_| Tap::new()).collect();
        let up = |nth: usize, of, gateway: &str, more: &[&str], number: &str| {
            let url = format!("http://127.0.0.1:{}", taps[nth].port);
            let node = Member::configured(LOG, gateway, &dir.0, NAMES[nth], of, more, |text| {
                let listed = format!("[listen]\nexchange_url = \"{url}\"\n");
                assert!(text.contains("\n[listen]\n"), "{text}");
                text.replace("[listen]\n", &listed) + number
            });
            taps[nth].lead_to(node.port);
            node
        };
        let number = "\n[notify]\nvirtual_number = \"+8695000000\"\n";
        let taobao = &["--marketplace", "taobao"][..];
        let nodes = vec![
            up(CAINIAO, (OWNER, "platform"), NO_GATEWAY, taobao, ""),
            up(FENGCHAO, (OPERATOR, "locker-operator"), &url, &[], ""),
            up(SF, (CARRIER, "carrier"), NO_GATEWAY, &[], ""),
            up(
                JD,
                (RIVAL, "platform"),
                NO_GATEWAY,
                &["--marketplace", "jd"],
                number,
            ),
        ];
        listed(&nodes, &taps);
        Self {
            dir,
            nodes,
            taps,
            messages,
            planted: Planted::new(PLANTED),
        }
    }

    /// A request by a system of a node's own, which must succeed.
    #[track_caller]
    fn call(&self, node: usize, method: &str, path: &str, body: &Value) -> Value {
        // A key is kept as it is: nothing of a body may be in it.
        let key = match method {
            "POST" if path.starts_with("/deposits") => format!("Idempotency-Key: {path}\r\n"),
            _ => String::new(),
        };
        let (status, said) = self.nodes[node].call(method, path, &key, body);
        assert!(
            status < 300,
            "{} {method} {path}: {status} {said}",
            NAMES[node]
        );
        said
    }

    fn agreed(&self, provider: usize, consumer: usize, offers: &[(&str, Value)]) {
        let in_force = |node: usize| {
            let all = self.call(node, "GET", "/agreements", &Value::Null);
            let all = all["agreements"].as_array().unwrap().iter();
            all.filter(|it| it["state"] == "IN_FORCE").count()
        };
        let before = [provider, consumer].map(in_force);
        let mut ids = Vec::new();
        for (dataset, policy) in offers {
            let id = format!("urn:{dataset}:{}", NAMES[consumer]);
            let offer = json!({ "id": id, "dataset": dataset, "policy": policy,
                "audience": [self.nodes[consumer].id], "autoAccept": true });
            self.call(provider, "POST", "/offers", &offer);
            ids.push(id);
        }
        let partner = self.nodes[provider].id;
        let proposal = json!({ "partner": partner, "offers": ids });
        self.call(consumer, "POST", "/negotiations", &proposal);
        waits("the agreements", || {
            for node in [provider, consumer] {
                let open = self.call(node, "GET", "/proposals", &Value::Null);
                for proposal in open["proposals"].as_array().unwrap() {
                    let path = format!("/proposals/{}/approve", proposal["id"].as_str().unwrap());
                    self.nodes[node].call("POST", &path, "", &json!({}));
                }
            }
            let now = [provider, consumer].map(in_force);
            let done = now
                .iter()
                .zip(before)
                .all(|(now, before)| *now == before + offers.len());
            done.then_some(())
        });
    }

    fn agree(&self) {
        let of = |dataset: Dataset, markets: &[&str], forms: &[ContactForm]| {
            (dataset.as_str(), policy_of(dataset, markets, forms))
        };
        use Dataset::{LockerEvents, PickupCode, PreAdvice, RecipientContact, TrackingEvents};
        let (taobao, jd, both) = (&["taobao"][..], &["jd"][..], &["taobao", "jd"][..]);
        let full = &[ContactForm::Full][..];
        self.agreed(SF, FENGCHAO, &[of(PreAdvice, both, &[])]);
        self.agreed(SF, CAINIAO, &[of(TrackingEvents, taobao, &[])]);
        self.agreed(CAINIAO, FENGCHAO, &[of(RecipientContact, taobao, full)]);
        let flows = [of(LockerEvents, taobao, &[]), of(PickupCode, taobao, full)];
        self.agreed(FENGCHAO, CAINIAO, &flows);
        self.agreed(
            JD,
            FENGCHAO,
            &[of(RecipientContact, jd, &[ContactForm::Virtual])],
        );
        self.agreed(FENGCHAO, JD, &[of(LockerEvents, jd, &[])]);
    }

    fn announce(&self, node: usize, number: &str, market: &str, contact: [&str; 3]) {
        let [name, phone, address] = contact;
        let parcel = json!({ "waybill": format!("sf/{number}"), "marketplace": market,
            "owner": self.nodes[node].id, "lockers": [OPERATOR], "size": "small" });
        self.call(SF, "PUT", "/parcels", &parcel);
        let parcel = json!({ "waybill": format!("sf/{number}"), "marketplace": market,
            "consent": "given", "merchant": "m1",
            "recipient": { "name": name, "phone": phone, "address": address } });
        self.call(node, "PUT", "/parcels", &parcel);
    }

    /// What a door refuses is repeated by nobody: not in the answer, and not in the log.
    fn refused(&self) {
        let parcel = |waybill: &str, market: &str, phone: &str, name: &str| {
            json!({ "waybill": waybill, "marketplace": market, "consent": "given",
                "recipient": { "name": name, "phone": phone, "address": "Kanarie-Refused 1" } })
        };
        let deposit = |number: &str, station: &str, contact: &str| {
            json!({ "waybill": format!("sf/{number}"), "station": station, "size": "small",
                "courier": "kanarie-7", "contact": contact })
        };
        let name = "Kanarie-Refused";
        let bodies = [
            (
                CAINIAO,
                "PUT",
                "/parcels",
                parcel("sf/SF7000000000009", "taobao", "138 7650 1992", name),
            ),
            (
                CAINIAO,
                "PUT",
                "/parcels",
                parcel("sf/SF7000000000009", "taobao", "138-7650-1993", name),
            ),
            (
                CAINIAO,
                "PUT",
                "/parcels",
                parcel("sf/13876501994", "taobao", "13876501994", name),
            ),
            (
                CAINIAO,
                "PUT",
                "/parcels",
                parcel("sf/SF7000000000009", "138 7650 1994", "13876501994", name),
            ),
            (
                FENGCHAO,
                "POST",
                "/deposits",
                deposit(NOBODYS, "S1", "+86 138-7650-1993"),
            ),
            (
                FENGCHAO,
                "POST",
                "/deposits",
                deposit(NOBODYS, "13876501992", "13876501992"),
            ),
        ];
        for (nth, (node, method, path, body)) in bodies.into_iter().enumerate() {
            let key = format!("Idempotency-Key: refused-{nth}\r\n");
            let (status, said) = self.nodes[node].call(method, path, &key, &body);
            assert!((400..500).contains(&status), "{path}: {status} {said}");
            let found = self.planted.search(said.to_string().as_bytes());
            assert!(found.is_empty(), "{said}: {found:?}");
        }
    }

    fn deposit(&self, number: &str, contact: Option<&str>) -> (String, Value) {
        let mut body = json!({ "waybill": format!("sf/{number}"), "station": "S1", "size": "small",
            "courier": "kanarie-7" });
        if let Some(phone) = contact {
            body["contact"] = phone.into();
        }
        let mut tries = 0;
        let opened = waits("an open door", || {
            tries += 1;
            let key = format!("Idempotency-Key: {number}-{tries}\r\n");
            let (status, said) = self.nodes[FENGCHAO].call("POST", "/deposits", &key, &body);
            match status {
                201 => Some(said),
                // Its carrier's word is still on its way.
                _ if said["detail"].to_string().contains("owner-unknown") && contact.is_none() => {
                    None
                }
                _ => panic!("{number}: {status} {said}"),
            }
        });
        let id = opened["id"].as_str().unwrap().to_owned();
        self.call(
            FENGCHAO,
            "POST",
            &format!("/deposits/{id}/confirm"),
            &json!({}),
        );
        (id, opened)
    }

    /// The code and the link of the message that went to a contact.
    fn told(&self, contact: &str) -> (String, String) {
        waits("the message", || {
            let all = self.messages.lock().unwrap().clone();
            let text = all.iter().find(|text| text.contains(contact))?;
            let body: Value = serde_json::from_str(text.split_once("\r\n\r\n")?.1).unwrap();
            let text = body["text"]["zh"].as_str().unwrap().to_owned();
            let (_, link) = text.split_once("/p/").expect("a link");
            let token = link.chars().take_while(char::is_ascii_hexdigit).collect();
            Some((code_in(&text), token))
        })
    }

    /// What every file below the root holds: data, keys, logs, exports, copies.
    fn files(&self) -> BTreeSet<Found> {
        let mut found = BTreeSet::new();
        let mut read = 0;
        walk(&self.dir.0, &mut |path, bytes| {
            read += 1;
            let place = path
                .strip_prefix(&self.dir.0)
                .unwrap()
                .display()
                .to_string();
            found.extend(self.planted.found_at(&format!("file {place}"), bytes));
        });
        assert!(read > 40, "four nodes keep more than {read} files");
        found
    }

    /// What the memory of every process holds; `None` if it may not be read here.
    fn memory(&self) -> Option<BTreeSet<Found>> {
        let mut all = BTreeSet::new();
        for (node, name) in self.nodes.iter().zip(NAMES) {
            let place = format!("memory of {name}");
            let pid = node.running.pid();
            all.extend(self.planted.in_memory(&place, pid)?);
        }
        Some(all)
    }

    fn wires(&self) -> BTreeSet<Found> {
        let mut all = BTreeSet::new();
        for (tap, to) in self.taps.iter().zip(NAMES) {
            let passed = tap.passed();
            assert!(!passed.is_empty(), "nobody asked {to}");
            for (from, [asked, answered]) in &passed {
                let place = |from: &str, to: &str| format!("wire from {from} to {to}");
                all.extend(self.planted.found_at(&place(from, to), asked));
                all.extend(self.planted.found_at(&place(to, from), answered));
            }
        }
        all
    }

    /// What people's commands say. Exports and copies that they make are among the files then.
    fn commands(&self, when: &str) -> BTreeSet<Found> {
        let mut found = BTreeSet::new();
        for (node, name) in self.nodes.iter().zip(NAMES) {
            let backup = format!("backup-{when}");
            let evidence = format!("evidence-{when}.json");
            let reports = [
                &["backup", "--to", &backup][..],
                &["evidence", "export", "--out", &evidence],
                &["status"],
                &["agreement", "list"],
                &["parcel", "show", &format!("sf/{OURS}")],
                &["station", "list"],
                &["partner", "list"],
            ];
            for arguments in reports {
                let (code, out, err) = interlock(&node.dir, &node.key, arguments);
                // A node without the parcel says so.
                let ran = code == 0 || arguments.starts_with(&["parcel"]);
                assert!(ran, "{arguments:?}: {err}");
                let place = format!("{name}: command {}", arguments[0]);
                found.extend(self.planted.found_at(&place, (out + &err).as_bytes()));
            }
        }
        found
    }
}

impl Drop for Day {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in NAMES {
                let said = std::fs::read_to_string(self.dir.0.join(format!("{name}.said")));
                let said = said.unwrap_or_default();
                let lines: Vec<&str> = said.lines().collect();
                let last = lines.len().saturating_sub(LINES_SHOWN);
                eprintln!("{name} said last:\n{}", lines[last..].join("\n"));
            }
        }
    }
}

/// Everybody lists whom it has to do with, where their wire is.
fn listed(nodes: &[Member], taps: &[Tap]) {
    for (a, b) in [
        (CAINIAO, FENGCHAO),
        (CAINIAO, SF),
        (FENGCHAO, SF),
        (FENGCHAO, JD),
    ] {
        for (from, to) in [(a, b), (b, a)] {
            let more: &[&str] = match to {
                CAINIAO => &["--marketplace", "taobao"],
                JD => &["--marketplace", "jd"],
                SF => &["--carrier", "sf"],
                _ => &[],
            };
            nodes[from].lists_at(&nodes[to], taps[to].port, more);
        }
    }
}

/// Calls `look` for every file below `root`.
fn walk(root: &Path, look: &mut dyn FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, look);
        } else if let Ok(bytes) = std::fs::read(&path) {
            // What a running node removes meanwhile is gone.
            look(&path, &bytes);
        }
    }
}

/// Found where it may be, and everywhere that it is said to be and was looked.
fn assert_allowed(found: &BTreeSet<Found>, memory_was_read: bool) {
    let allows = |found: &Found, (whose, place, _): &(&str, &str, &str)| {
        found.whose == *whose && found.place.starts_with(place)
    };
    let leaks: Vec<&Found> = found
        .iter()
        .filter(|found| !ALLOWED.iter().any(|line| allows(found, line)))
        .collect();
    let idle: Vec<_> = ALLOWED
        .iter()
        .filter(|(_, place, _)| memory_was_read || !place.starts_with("memory of"))
        .filter(|line| !found.iter().any(|found| allows(found, line)))
        .collect();
    assert!(
        leaks.is_empty() && idle.is_empty(),
        "leaks: {leaks:#?}\nallowed and nowhere found: {idle:#?}"
    );
}

// tidy: long, it is one day
#[test]
fn what_is_planted_is_found_where_a_term_says_so_and_nowhere_once_deleted() {
    let mut day = Day::begin();
    day.agree();
    let station = json!({ "id": "S1", "name": "Gate 1", "capacity": { "small": 9 },
        "position": { "longitude": 120.0, "latitude": 30.0 } });
    day.call(FENGCHAO, "PUT", "/stations", &station);
    day.announce(
        CAINIAO,
        OURS,
        "taobao",
        ["金丝雀甲", "13876501987", "金丝雀路 7719 号"],
    );
    day.announce(
        CAINIAO,
        OURS_TOO,
        "taobao",
        ["Kanarie-Zhou", "+8613876501988", "Kanarie Lane 7720"],
    );
    day.announce(
        JD,
        RIVALS,
        "jd",
        ["Kanarie-Qian", "13876501990", "Kanarie Alley 7721"],
    );
    day.refused();

    let round = [OURS, OURS_TOO, RIVALS].map(|it| format!("sf/{it}"));
    let round = json!({ "waybills": round });
    day.call(FENGCHAO, "POST", "/rounds/check", &round);
    let (mut deposits, mut leased) = (Vec::new(), String::new());
    for (number, contact, form, typed) in [
        (OURS, "13876501987", "full", None),
        (OURS_TOO, "13876501988", "full", None),
        (RIVALS, "8695000000", "virtual", None),
        (NOBODYS, "13876501991", "full", Some("13876501991")),
    ] {
        let (id, opened) = day.deposit(number, typed);
        assert_eq!(opened["contactForm"], form, "{opened}");
        if form == "virtual" {
            leased = opened["phone"].as_str().unwrap().to_owned();
        }
        let (code, link) = day.told(contact);
        deposits.push((number, id, code, link));
    }
    let codes: Vec<(&str, String)> = deposits.iter().map(|it| ("code", it.2.clone())).collect();
    day.planted.plant_codes(&codes);
    let wrong = json!({ "code": "000000" });
    let path = format!("/deposits/{}/open", deposits[0].1);
    assert_eq!(
        day.nodes[FENGCHAO]
            .call("POST", &path, "Idempotency-Key: w\r\n", &wrong)
            .0,
        403
    );
    for number in [OURS, OURS_TOO] {
        let path = format!("/parcels/sf/{number}/recipient/code");
        waits("the code at the owner", || {
            (day.nodes[CAINIAO].call("GET", &path, "", &Value::Null).0 == 200).then_some(())
        });
    }
    let links: Vec<String> = deposits.iter().map(|it| it.3.clone()).collect();

    // Before: where a term says so. The doors are last: what they show is on record then too.
    let people = doors::People::hire(&day.nodes, &NAMES);
    let mut found = doors::visit(&day, &people, &deposits, &links, true);
    found.extend(day.commands("before"));
    found.extend(day.files());
    found.extend(day.wires());
    let held = day.memory();
    let memory_is_read = held.is_some();
    found.extend(held.unwrap_or_default());
    assert_allowed(&found, memory_is_read);
    doors::revealed(&day, OURS, "13876501987");
    let reached = doors::connected(&day, &people, &leased);
    assert_eq!(reached.as_deref(), Some("+8613876501990"));

    // The parcels go, and their recipients want to be forgotten.
    for (_, id, code, _) in &deposits {
        day.call(
            FENGCHAO,
            "POST",
            &format!("/deposits/{id}/open"),
            &json!({ "code": code }),
        );
        day.call(
            FENGCHAO,
            "POST",
            &format!("/deposits/{id}/pickup"),
            &json!({}),
        );
    }
    for (node, number) in [
        (CAINIAO, OURS),
        (CAINIAO, OURS_TOO),
        (JD, RIVALS),
        (FENGCHAO, NOBODYS),
    ] {
        let path = format!("/parcels/sf/{number}/recipient");
        day.call(node, "DELETE", &path, &Value::Null);
        waits("the deletion", || {
            let view = day.call(node, "GET", &path, &Value::Null);
            let all = view["releases"].as_array().into_iter().flatten();
            let told = all.into_iter().all(|it| it["knowsToDelete"] == true);
            (view["held"] == false && told).then_some(())
        });
    }
    // Whose courier it was is kept for 30 days.
    let after = |found: BTreeSet<Found>| -> Vec<Found> {
        let kept = |it: &Found| it.whose == "courier" && it.place == "memory of fengchao";
        found.into_iter().filter(|it| !kept(it)).collect()
    };
    // Buffers of connections that nobody uses any more go with them.
    let mut left = Vec::new();
    for _ in 0..=IDLE_S_MAX.div_ceil(LOOK_EVERY_S) {
        left = after(day.memory().unwrap_or_default());
        if left.is_empty() {
            break;
        }
        eprintln!(
            "still in memory: {} spellings, such as {:?}",
            left.len(),
            left[0]
        );
        std::thread::sleep(Duration::from_secs(LOOK_EVERY_S.into()));
    }
    assert!(left.is_empty(), "{left:#?}");
    for tap in &day.taps {
        tap.forget();
    }
    day.nodes = day
        .nodes
        .drain(..)
        .map(|node| node.restarted(LOG))
        .collect();
    assert_eq!(doors::connected(&day, &people, &leased), None);
    let mut found = doors::visit(&day, &people, &deposits, &links, false);
    found.extend(day.commands("after"));
    found.extend(day.files());
    found.extend(day.wires());
    found.extend(day.memory().unwrap_or_default());
    let left = after(found);
    assert!(left.is_empty(), "{left:#?}");
}
