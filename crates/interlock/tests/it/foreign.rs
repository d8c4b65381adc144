//! A connector that is not Interlock, and a node as people run it: what the guide promises
//! (`docs/guides/connectors.md`), over real sockets.

mod connector;
mod http;
mod node;
mod spelling;

use serde_json::{Value, json};

use self::connector::{Connector, Mood, NAME};
use self::http::{Message, parts, send};
use self::node::{ID, Node, PARTNER};
use self::spelling::Spelling;

const OURS: [&str; 3] = ["SF1000000000001", "SF1000000000002", "SF1000000000003"];
/// A parcel of another marketplace.
const RIVAL: &str = "SF2000000000001";
const NEGOTIATION: &str = "urn:uuid:3dd1add8-4d2d-569e-d634-8394a8836a88";
const PULLING: &str = "urn:uuid:c1000000-0000-4000-8000-000000000001";
const PUSHING: &str = "urn:uuid:c1000000-0000-4000-8000-000000000002";

#[test]
fn a_connector_that_writes_compact_json_has_its_feed() {
    story("foreign-compact", Spelling::Compact);
}

#[test]
fn a_connector_that_writes_expanded_json_has_its_feed() {
    story("foreign-expanded", Spelling::Expanded);
}

/// From version metadata to evidence.
fn story(name: &str, spelling: Spelling) {
    let connector = Connector::start(spelling);
    let mut node = Node::start(name, &connector);
    connector.discover(&node.root());
    node.command(&[
        "offer",
        "publish",
        "--dataset",
        "tracking-events",
        "--id",
        "urn:offer:tracking",
        "--marketplace",
        "shop",
        "--to",
        PARTNER,
        "--auto-accept",
    ]);
    let offer = offered(&connector);
    let agreement = negotiated(&connector, &offer);
    node.announce("shop", &OURS);
    node.announce("rival", &[RIVAL]);
    node.report(&OURS, "2017-06-01T08:00:00+08:00");
    node.report(&[RIVAL], "2017-06-01T08:00:00+08:00");

    let start = started(&connector, &agreement, None);
    let mut pulled = Pull::of(&start);
    let released = pulls(&mut pulled);
    suspended_and_resumed(&connector, &node, &agreement, &mut pulled);
    terminated(&connector, &pulled);
    let pushed = pushes(&connector, &mut node, &agreement);
    check_ledger(&node, &agreement, released + pushed);
    connector.assert_silent();
}

/// Reads the catalog: the policy of the one offer that is for us, with its id and target.
fn offered(connector: &Connector) -> Value {
    let (status, catalog) = connector.post("/catalog/request", "CatalogRequestMessage", json!({}));
    assert_eq!(
        (status, &catalog["@type"]),
        (200, &json!("Catalog")),
        "{catalog}"
    );
    assert_eq!(catalog["participantId"], ID);
    let [dataset] = catalog["dataset"].as_array().unwrap().as_slice() else {
        panic!("{catalog}")
    };
    assert_eq!(dataset["@id"], "tracking-events");
    let formats: Vec<&Value> = dataset["distribution"]
        .as_array()
        .unwrap()
        .iter()
        .map(|way| &way["format"])
        .collect();
    assert_eq!(formats, ["HttpData-PULL", "HttpData-PUSH"]);
    let [offer] = dataset["hasPolicy"].as_array().unwrap().as_slice() else {
        panic!("{catalog}")
    };
    let mut offer = offer.clone();
    offer["target"] = dataset["@id"].clone();
    offer
}

/// Negotiates what was offered; the agreement's id.
fn negotiated(connector: &Connector, offer: &Value) -> String {
    let request = json!({
        "consumerPid": NEGOTIATION,
        "callbackAddress": connector.base(),
        "offer": offer,
    });
    let path = "/negotiations/request";
    let (status, opened) = connector.post(path, "ContractRequestMessage", request.clone());
    assert_eq!(
        (status, &opened["state"]),
        (201, &json!("REQUESTED")),
        "{opened}"
    );
    assert_eq!(opened["consumerPid"], NEGOTIATION);
    let theirs = opened["providerPid"].as_str().unwrap();

    let message = connector.message(
        &format!("/negotiations/{NEGOTIATION}/agreement"),
        "ContractAgreementMessage",
    );
    let agreement = &message["agreement"];
    assert_eq!(agreement["target"], offer["target"]);
    assert_eq!(agreement["permission"], offer["permission"]);
    assert_eq!(agreement["prohibition"], offer["prohibition"]);
    assert_eq!(
        (&agreement["assigner"], &agreement["assignee"]),
        (&json!(ID), &json!(NAME))
    );
    // The same request again is the same negotiation.
    let (status, again) = connector.post(path, "ContractRequestMessage", request);
    assert_eq!(
        (status, &again["providerPid"]),
        (201, &json!(theirs)),
        "{again}"
    );

    let pids = json!({ "consumerPid": NEGOTIATION, "providerPid": theirs });
    let path = format!("/negotiations/{theirs}/agreement/verification");
    let (status, answer) = connector.post(&path, "ContractAgreementVerificationMessage", pids);
    assert_eq!(status, 200, "{answer}");
    let event = connector.message(
        &format!("/negotiations/{NEGOTIATION}/events"),
        "ContractNegotiationEventMessage",
    );
    assert_eq!(event["eventType"], "FINALIZED");
    assert_eq!(
        connector.state(&format!("/negotiations/{theirs}")),
        "FINALIZED"
    );
    agreement["@id"].as_str().unwrap().into()
}

/// Requests a transfer; the message that starts it.
fn started(connector: &Connector, agreement: &str, inbox: Option<Value>) -> Value {
    let (pid, format) = match &inbox {
        None => (PULLING, "HttpData-PULL"),
        Some(_) => (PUSHING, "HttpData-PUSH"),
    };
    let mut request = json!({
        "consumerPid": pid,
        "agreementId": agreement,
        "format": format,
        "callbackAddress": connector.base(),
    });
    if let Some(inbox) = inbox {
        request["dataAddress"] = inbox;
    }
    let (status, opened) = connector.post("/transfers/request", "TransferRequestMessage", request);
    assert_eq!(
        (status, &opened["state"]),
        (201, &json!("REQUESTED")),
        "{opened}"
    );
    let start = connector.message(&format!("/transfers/{pid}/start"), "TransferStartMessage");
    assert_eq!(start["providerPid"], opened["providerPid"]);
    start
}

/// Where a transfer's data is fetched, and with which tokens.
#[derive(Clone)]
struct Pull {
    transfer: String,
    endpoint: String,
    token: String,
    refresh_endpoint: String,
    refresh_token: String,
    cursor: Option<String>,
}

impl Pull {
    fn of(start: &Value) -> Self {
        let address = &start["dataAddress"];
        let property = |name: &str| {
            let mut all = address["endpointProperties"].as_array().unwrap().iter();
            let found = all.find(|property| property["name"] == name);
            found.expect(name)["value"].as_str().unwrap().to_owned()
        };
        assert_eq!(property("authType"), "bearer");
        assert!(property("expiresIn").parse::<u32>().unwrap() > 60);
        Self {
            transfer: start["providerPid"].as_str().unwrap().into(),
            endpoint: address["endpoint"].as_str().unwrap().into(),
            token: property("authorization"),
            refresh_endpoint: property("refreshEndpoint"),
            refresh_token: property("refreshToken"),
            cursor: None,
        }
    }

    /// Asks for a page of at most two.
    fn ask(&self) -> Message {
        let (to, path) = parts(&self.endpoint);
        let cursor = self.cursor.as_ref();
        let cursor = cursor.map_or(String::new(), |cursor| format!("&cursor={cursor}"));
        let bearer = format!("Bearer {}", self.token);
        let target = format!("{path}?limit=2{cursor}");
        send(to, "GET", &target, &[("Authorization", &bearer)], "")
    }

    /// The numbers of the waybills of the next page, which is an EPCIS document.
    fn page(&self) -> (Vec<String>, String) {
        let answer = self.ask();
        assert_eq!(answer.status(), 200, "{}", answer.body);
        let page = answer.json();
        let cursor = page["il:cursor"].as_str().unwrap().to_owned();
        assert_eq!(
            answer.headers["link"],
            format!("<?cursor={cursor}>; rel=\"next\"")
        );
        (numbers(&page), cursor)
    }

    /// Stores the page that is next, and asks for no more.
    fn take(&mut self) -> Vec<String> {
        let (numbers, cursor) = self.page();
        self.cursor = Some(cursor);
        numbers
    }

    /// Exchanges the refresh token for new tokens.
    fn refresh(&mut self) -> u16 {
        let (to, path) = parts(&self.refresh_endpoint);
        let form = format!(
            "grant_type=refresh_token&refresh_token={}",
            self.refresh_token
        );
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let answer = send(to, "POST", &path, &headers, &form);
        let body = answer.json();
        if answer.status() == 200 {
            assert_eq!(body["token_type"], "bearer");
            self.token = body["access_token"].as_str().unwrap().into();
            self.refresh_token = body["refresh_token"].as_str().unwrap().into();
        }
        answer.status()
    }

    fn assert_revoked(&self) {
        let answer = self.ask();
        assert_eq!(answer.status(), 401, "{}", answer.body);
        assert_eq!(
            answer.headers["www-authenticate"],
            "Bearer error=\"invalid_token\""
        );
        assert_eq!(self.clone().refresh(), 401);
    }
}

/// The waybills of a page's events.
fn numbers(page: &Value) -> Vec<String> {
    assert_eq!(page["type"], "EPCISDocument", "{page}");
    assert_eq!(page["il:dataset"], "tracking-events");
    let events = page["epcisBody"]["eventList"].as_array().unwrap();
    let number = |event: &Value| {
        assert_eq!(
            (&event["type"], &event["bizStep"]),
            (&json!("ObjectEvent"), &json!("arriving"))
        );
        let epc = event["epcList"][0].as_str().unwrap();
        epc.strip_prefix("https://sf.example/waybill/sf/")
            .expect(epc)
            .to_owned()
    };
    events.iter().map(number).collect()
}

/// Pulls all there is by pages and refreshes the token; how much was released.
fn pulls(pull: &mut Pull) -> usize {
    let first = pull.page();
    assert_eq!(first.0, OURS[..2]);
    // The answer was lost: the same page comes again.
    assert_eq!(pull.page(), first);
    assert_eq!(pull.take(), OURS[..2]);
    let old = pull.clone();
    assert_eq!(pull.refresh(), 200);
    assert_ne!(pull.token, old.token);
    assert_eq!(pull.take(), OURS[2..]);
    assert_eq!(pull.take(), [""; 0], "a rival's parcel is none of ours");
    let (to, path) = parts(&pull.endpoint);
    for token in [
        "",
        "Bearer no-token",
        &format!("Bearer {}", pull.refresh_token),
    ] {
        assert_eq!(
            send(to, "GET", &path, &[("Authorization", token)], "").status(),
            401
        );
    }
    OURS.len()
}

/// The node's people suspend the agreement and resume it.
fn suspended_and_resumed(connector: &Connector, node: &Node, agreement: &str, pull: &mut Pull) {
    let reason = json!({ "reason": "checking" });
    node.api("POST", &format!("/agreements/{agreement}/suspend"), &reason);
    let path = format!("/transfers/{PULLING}/suspension");
    let message = connector.message(&path, "TransferSuspensionMessage");
    assert_eq!(message["reason"], json!(["checking"]));
    let process = format!("/transfers/{}", pull.transfer);
    assert_eq!(connector.state(&process), "SUSPENDED");
    pull.assert_revoked();
    node.api(
        "POST",
        &format!("/agreements/{agreement}/resume"),
        &Value::Null,
    );
    let path = format!("/transfers/{PULLING}/start");
    let start = connector.message(&path, "TransferStartMessage");
    assert_eq!(connector.state(&process), "STARTED");
    pull.assert_revoked();
    *pull = Pull {
        cursor: pull.cursor.take(),
        ..Pull::of(&start)
    };
    assert_eq!(pull.take(), [""; 0]);
}

/// The connector ends the transfer, and its tokens with it.
fn terminated(connector: &Connector, pull: &Pull) {
    let path = format!("/transfers/{}", pull.transfer);
    let message = json!({
        "consumerPid": PULLING,
        "providerPid": pull.transfer,
        "code": "done",
        "reason": ["we will be pushed to"],
    });
    let termination = format!("{path}/termination");
    let (status, answer) =
        connector.post(&termination, "TransferTerminationMessage", message.clone());
    assert_eq!(status, 200, "{answer}");
    assert_eq!(connector.state(&path), "TERMINATED");
    pull.assert_revoked();
    // The same message again changes nothing; a start is not possible any more.
    assert_eq!(
        connector
            .post(&termination, "TransferTerminationMessage", message)
            .0,
        200
    );
    let pids = json!({ "consumerPid": PULLING, "providerPid": pull.transfer });
    let (status, error) = connector.post(&format!("{path}/start"), "TransferStartMessage", pids);
    assert_eq!(
        (status, &error["@type"]),
        (400, &json!("TransferError")),
        "{error}"
    );
}

/// Pages are pushed to a receiver that fails, to a node that is killed meanwhile; how much was released.
fn pushes(connector: &Connector, node: &mut Node, agreement: &str) -> usize {
    let start = started(connector, agreement, Some(connector.inbox()));
    assert_eq!(start.get("dataAddress"), None);
    connector.set_moods(&[
        Mood::Answers(503),
        Mood::HangsUp,
        Mood::Answers(302),
        Mood::Answers(204),
    ]);
    node.report(&OURS[..1], "2017-06-01T09:00:00+08:00");
    let attempts: Vec<Message> = (0..4).map(|_| connector.attempt()).collect();
    let key = &attempts[0].headers["idempotency-key"];
    for attempt in &attempts {
        assert_eq!(&attempt.headers["idempotency-key"], key);
        assert_eq!(numbers(&attempt.json()), OURS[..1]);
    }
    // Taken; what comes next is another page, also after a kill in the middle of it.
    connector.set_moods(&[Mood::HangsUp]);
    node.report(&OURS[1..], "2017-06-01T09:10:00+08:00");
    let before = connector.attempt();
    node.kill();
    node.run();
    let after = connector.attempt();
    assert_ne!(&before.headers["idempotency-key"], key);
    assert_eq!(
        before.headers["idempotency-key"],
        after.headers["idempotency-key"]
    );
    assert_eq!(numbers(&before.json()), numbers(&after.json()));
    assert_eq!(numbers(&after.json()), OURS[1..]);
    OURS.len()
}

/// Every release is on the ledger and in the evidence, once.
fn check_ledger(node: &Node, agreement: &str, released: usize) {
    let releases = node.api("GET", "/releases", &Value::Null);
    let items = releases["items"].as_array().unwrap();
    for item in items {
        assert_eq!(item["to"], PARTNER);
        assert_eq!(item["agreement"], agreement);
        assert_eq!(item["dataset"], "tracking-events");
        assert_eq!(item["outcome"]["receipts"], false);
    }
    let counted: u64 = items
        .iter()
        .map(|item| item["outcome"]["released"].as_u64().unwrap())
        .sum();
    assert_eq!(counted, released as u64, "{releases}");
    assert_eq!(
        items.len(),
        4,
        "two pages were pulled, two pushed: {releases}"
    );

    node.command(&["evidence", "export", "--out", "evidence.json"]);
    let verdict = node.command(&["evidence", "verify", "evidence.json"]);
    assert_eq!(verdict["findings"], json!([]), "{verdict}");
    let text = std::fs::read_to_string(node.file("evidence.json")).unwrap();
    assert!(!text.contains(OURS[0]), "no parcel is named");
    let log = &verdict["logs"][0];
    assert_eq!(log["origin"], format!("{ID} -> {PARTNER} epoch 1"));
    assert_eq!(
        (&log["releases"], &log["released_items"]),
        (&json!(4), &json!(released))
    );
    let unproven = verdict["unproven"].to_string();
    assert!(unproven.contains("signs no manifest"), "{unproven}");
}
