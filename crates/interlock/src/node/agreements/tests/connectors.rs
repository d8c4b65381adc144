//! Transfers to connectors that are not Interlock.

use interlock_core::agreement::{AgreementFacts, Assurance};
use interlock_core::ids::StationId;
use interlock_core::station::{Capacity, Position, Station, StationName, StationState};
use interlock_core::time::MINUTE_MS;
use interlock_core::transfer::TransferState;
use serde_json::json;

use super::*;
use crate::dsp::CONTEXT;
use crate::exchange::page::{Page, PageCursor};
use crate::identity::transfer_token::{TokenUse, TransferTokenError, TransferTokens};
use crate::node::io::{AgreementChange, ConnectorRequest, ConnectorWant, Problem, TokenPair};

const AGREEMENT: &str = "urn:uuid:agreement";

/// A provider of stations, whose partner runs another connector.
pub(super) fn provider() -> World {
    let mut world = World::new();
    let connector = Partner {
        connector: true,
        ..partner(C)
    };
    world.put(P, Record::Partner(Box::new(connector)));
    for number in 1..=3 {
        world.put(P, Record::Station(Box::new(station(number))));
    }
    world.put(P, agreement(AGREEMENT));
    world.now = JUNE;
    world.restart(P);
    world
}

pub(super) fn station(number: u32) -> Station {
    Station {
        id: StationId::parse(&format!("FC{number:04}")).unwrap(),
        name: StationName::parse("Gate").unwrap(),
        position: Position::new(120_000_000, 30_000_000).unwrap(),
        state: StationState::Operating,
        capacity: Capacity::new(20, 10, 5).unwrap(),
    }
}

pub(super) fn agreement(id: &str) -> Record {
    let terms = stations();
    Record::Agreement(Box::new(Agreement {
        id: wire(id),
        provider: name(P),
        consumer: name(C),
        policy_hash: terms.policy_hash(),
        terms,
        cooperation: wire("urn:uuid:cooperation"),
        agreed_at: MAY,
        finalized_at: MAY,
        facts: AgreementFacts::finalized(Assurance::Plain),
        suspended_by: None,
        supersedes: None,
        superseded_by: None,
        unsent_notice: None,
        state: AgreementState::Finalized,
        negotiation: wire("urn:uuid:negotiation"),
        target: Dataset::LockerStations.into(),
    }))
}

pub(super) fn request(consumer_pid: &str, format: &str, address: Option<Value>) -> Value {
    let mut body = json!({
        "@context": [CONTEXT],
        "@type": "TransferRequestMessage",
        "consumerPid": consumer_pid,
        "agreementId": AGREEMENT,
        "format": format,
        "callbackAddress": "https://connector.example/dsp",
    });
    if let Some(address) = address {
        body["dataAddress"] = address;
    }
    body
}

/// The connector takes every message that is under way.
pub(super) fn take_messages(world: &mut World) -> Vec<(String, Value)> {
    let (mut taken, mut compared) = (Vec::new(), 0);
    while let Some(flight) = world.flights.pop_front() {
        if flight.request == PeerRequest::Checkpoint {
            // To the rival, which is no connector.
            compared += 1;
            assert_eq!(compared, 1, "a connector is not compared with");
            continue;
        }
        let PeerRequest::Dsp { path, body, .. } = flight.request else {
            panic!("a connector is asked for more than it knows");
        };
        taken.push((path, body));
        let outcome = Ok(PeerAnswer::Dsp {
            status: 200,
            body: Value::Null,
            link: None,
        });
        let call = flight.call;
        world.step(flight.from, Input::Answered { call, outcome });
    }
    taken
}

/// What a start said.
struct Start {
    transfer: WireId,
    access: String,
    refresh: String,
    properties: BTreeMap<String, String>,
}

fn start_of(messages: &[(String, Value)]) -> Start {
    let (path, body) = messages.last().expect("a start");
    assert!(path.ends_with("/start"), "{path}");
    let address = &body["dataAddress"];
    let properties: BTreeMap<String, String> = address["endpointProperties"]
        .as_array()
        .expect("properties")
        .iter()
        .map(|p| {
            let text = |name: &str| p[name].as_str().unwrap().to_owned();
            (text("name"), text("value"))
        })
        .collect();
    let transfer = wire(body["providerPid"].as_str().unwrap());
    let endpoint = format!("https://fengchao.example/pull/v1/{transfer}");
    assert_eq!(address["endpoint"], endpoint);
    Start {
        transfer,
        access: properties["authorization"].clone(),
        refresh: properties["refreshToken"].clone(),
        properties,
    }
}

fn started(world: &mut World, consumer_pid: &str) -> Start {
    let body = request(consumer_pid, "HttpData-PULL", None);
    let (status, answer) = world.post(&name(C), P, "/transfers/request", &body);
    assert_eq!(status, 201, "{answer}");
    start_of(&take_messages(world))
}

/// As the door does it: the token is verified, then the node is asked.
fn ask(
    world: &mut World,
    transfer: &WireId,
    token: &str,
    used_for: TokenUse,
    want: ConnectorWant,
) -> Result<Option<ConnectorAnswer>, TransferTokenError> {
    let tokens = TransferTokens::from_seed(&key(P).to_bytes());
    let claims = tokens.verify(transfer, token, used_for, world.now)?;
    world.replies += 1;
    let input = Input::Connector {
        reply: ReplyId(world.replies),
        from: claims.holder,
        request: ConnectorRequest {
            transfer: transfer.clone(),
            start: claims.start,
            want,
        },
    };
    world.connector.clear();
    world.step(P, input);
    Ok(world.connector.pop())
}

fn pull(
    world: &mut World,
    start: &Start,
    cursor: Option<PageCursor>,
    limit: u32,
) -> Result<Page, Problem> {
    let want = ConnectorWant::Page {
        cursor,
        limit,
        wait_ms: 0,
    };
    let answer = ask(world, &start.transfer, &start.access, TokenUse::Fetch, want);
    match answer.expect("a token that counts").expect("an answer") {
        ConnectorAnswer::Page(page) => Ok(page),
        ConnectorAnswer::Problem(problem) => Err(problem),
        ConnectorAnswer::Tokens(_) => panic!("tokens"),
    }
}

fn refresh(world: &mut World, start: &Start) -> Result<TokenPair, String> {
    let want = ConnectorWant::Tokens;
    match ask(
        world,
        &start.transfer,
        &start.refresh,
        TokenUse::Refresh,
        want,
    ) {
        Ok(Some(ConnectorAnswer::Tokens(pair))) => Ok(pair),
        Ok(Some(ConnectorAnswer::Problem(problem))) => Err(problem.kind),
        Ok(Some(ConnectorAnswer::Page(_)) | None) => panic!("no answer to a refresh"),
        Err(error) => Err(error.to_string()),
    }
}

fn stations_of(page: &Page) -> usize {
    page.items.len()
}

#[test]
fn pages_come_by_cursor_each_acknowledged_by_the_next() {
    let mut world = provider();
    let start = started(&mut world, "urn:uuid:c1");
    assert_eq!(start.properties["authType"], "bearer");
    assert_eq!(start.properties["expiresIn"], "900");
    let first = pull(&mut world, &start, None, 2).unwrap();
    assert_eq!(stations_of(&first), 2);
    // Asked again without a cursor or with the same one, it is the same page.
    assert_eq!(pull(&mut world, &start, None, 2).unwrap(), first);
    let releases = |world: &World| {
        let all = world.journals[P].iter();
        all.filter(|(_, record)| matches!(record, Record::BatchReleased(_)))
            .count()
    };
    assert_eq!(releases(&world), 1, "a repeat is no release");
    let second = pull(&mut world, &start, Some(first.next), 2).unwrap();
    assert_eq!(stations_of(&second), 1);
    assert!(
        world.journals[P]
            .iter()
            .any(|(_, record)| matches!(record, Record::Acknowledged { .. }))
    );
    let end = pull(&mut world, &start, Some(second.next), 2).unwrap();
    assert_eq!((stations_of(&end), end.next), (0, second.next));
    // What was acknowledged does not come again.
    let again = pull(&mut world, &start, Some(first.next), 2).unwrap_err();
    assert_eq!((again.status, again.kind.as_str()), (409, "cursor-unknown"));
    let ahead = PageCursor {
        live: 99,
        ..end.next
    };
    assert_eq!(
        pull(&mut world, &start, Some(ahead), 2).unwrap_err().kind,
        "cursor-unknown"
    );
    // A node made from the journal alone goes on at the same place.
    world.restart(P);
    assert_eq!(stations_of(&pull(&mut world, &start, None, 2).unwrap()), 0);
    let channel = world.nodes[P].state().channel(&name(C)).unwrap();
    let leaves = world.journals[P].iter().filter(|(_, record)| {
        matches!(
            record,
            Record::BatchReleased(_) | Record::Leaf { .. } | Record::Denied { .. }
        )
    });
    assert_eq!(
        channel.out.size(),
        leaves.count() as u64,
        "every release is on the log"
    );
}

#[test]
fn two_pages_may_be_without_acknowledgement_and_no_more() {
    let mut world = provider();
    let start = started(&mut world, "urn:uuid:c1");
    let first = pull(&mut world, &start, None, 1).unwrap();
    // A cursor acknowledges what is before it: only a repeat of the oldest leaves it open.
    assert_eq!(pull(&mut world, &start, None, 1).unwrap(), first);
    let feed = |world: &World| {
        let channel = world.nodes[P].state().channel(&name(C)).unwrap();
        channel.outbound[&Dataset::LockerStations]
            .lane(crate::exchange::wire::Lane::Backlog)
            .outstanding
            .len()
            + channel.outbound[&Dataset::LockerStations]
                .lane(crate::exchange::wire::Lane::Live)
                .outstanding
                .len()
    };
    assert_eq!(feed(&world), 1);
    let second = pull(&mut world, &start, Some(first.next), 1).unwrap();
    assert_eq!(feed(&world), 1);
    assert_ne!(first.items, second.items);
}

#[test]
fn a_token_counts_for_its_transfer_its_time_and_its_start() {
    let mut world = provider();
    let start = started(&mut world, "urn:uuid:c1");
    let other = started(&mut world, "urn:uuid:c2");
    let want = || ConnectorWant::Page {
        cursor: None,
        limit: 1,
        wait_ms: 0,
    };
    let swapped = ask(
        &mut world,
        &other.transfer,
        &start.access,
        TokenUse::Fetch,
        want(),
    );
    assert_eq!(swapped, Err(TransferTokenError::Unknown));
    let misused = ask(
        &mut world,
        &start.transfer,
        &start.refresh,
        TokenUse::Fetch,
        want(),
    );
    assert_eq!(misused, Err(TransferTokenError::Unknown));

    world.now = world.now.plus_ms(15 * MINUTE_MS);
    let expired = ask(
        &mut world,
        &start.transfer,
        &start.access,
        TokenUse::Fetch,
        want(),
    );
    assert_eq!(expired, Err(TransferTokenError::Expired));
    let pair = refresh(&mut world, &start).unwrap();
    assert_eq!(pair.expires_in_ms, 15 * MINUTE_MS);
    let fresh = Start {
        access: pair.access,
        refresh: pair.refresh,
        ..start
    };
    assert!(pull(&mut world, &fresh, None, 1).is_ok());
}

#[test]
fn suspension_revokes_and_a_new_start_brings_new_tokens() {
    let mut world = provider();
    let start = started(&mut world, "urn:uuid:c1");
    let suspend = AgreementChange::Suspend {
        reason: "checking".into(),
    };
    change(&mut world, suspend);
    let messages = take_messages(&mut world);
    assert!(
        messages
            .iter()
            .any(|(path, _)| path.ends_with("/suspension"))
    );
    let revoked = pull(&mut world, &start, None, 1).unwrap_err();
    assert_eq!(
        (revoked.status, revoked.kind.as_str()),
        (401, "token-revoked")
    );
    assert_eq!(refresh(&mut world, &start).unwrap_err(), "token-revoked");
    change(&mut world, AgreementChange::Resume);
    let again = start_of(&take_messages(&mut world));
    let old = pull(&mut world, &start, None, 1).unwrap_err();
    assert_eq!(
        old.kind, "token-revoked",
        "tokens from before the suspension stay void"
    );
    assert!(pull(&mut world, &again, None, 1).is_ok());
}

/// A change by our people, without the messages that it leads to.
pub(super) fn change(world: &mut World, change: AgreementChange) {
    world.replies += 1;
    let input = Input::Local {
        reply: ReplyId(world.replies),
        credential: Some([9; 32]),
        idempotency: None,
        request: LocalRequest::ChangeAgreement {
            agreement: wire(AGREEMENT),
            change,
        },
    };
    world.step(P, input);
}

#[test]
fn completion_termination_and_the_end_of_the_agreement_revoke() {
    for (kind, path) in [
        ("TransferCompletionMessage", "completion"),
        ("TransferTerminationMessage", "termination"),
    ] {
        let mut world = provider();
        let start = started(&mut world, "urn:uuid:c1");
        let body = json!({
            "@context": [CONTEXT], "@type": kind,
            "consumerPid": "urn:uuid:c1", "providerPid": start.transfer.as_str(),
        });
        let path = format!("/transfers/{}/{path}", start.transfer);
        assert_eq!(world.post(&name(C), P, &path, &body).0, 200);
        assert_eq!(
            pull(&mut world, &start, None, 1).unwrap_err().kind,
            "token-revoked"
        );
        assert_eq!(refresh(&mut world, &start).unwrap_err(), "token-revoked");
    }
    let mut world = provider();
    let start = started(&mut world, "urn:uuid:c1");
    world.now = JULY.plus_ms(-1);
    let closing = refresh(&mut world, &start).unwrap_err();
    assert_eq!(closing, "closing");
    world.now = JULY;
    assert!(refresh(&mut world, &start).unwrap_err().contains("expired"));
}

#[test]
fn a_connector_is_told_that_its_transfer_is_over() {
    let mut world = provider();
    let start = started(&mut world, "urn:uuid:c1");
    let terminate = AgreementChange::Terminate {
        at: JUNE.plus_ms(DAY_MS),
        reason: "enough".into(),
    };
    change(&mut world, terminate);
    assert_eq!(take_messages(&mut world), [], "it knows no notices");
    world.now = JUNE.plus_ms(DAY_MS);
    world.step(P, Input::Tick);
    let ended = "/transfers/urn:uuid:c1/termination";
    let flight = world.flights.pop_front().expect("a message");
    let call = flight.call;
    let outcome = Err(CallFailure::TimedOut);
    world.step(P, Input::Answered { call, outcome });
    // It does not answer, and the node is started anew: it is told again, for a day.
    world.restart(P);
    let messages = take_messages(&mut world);
    let [(path, body)] = messages.as_slice() else {
        panic!("{messages:?}")
    };
    assert_eq!(
        (path, &body["@type"]),
        (&ended.to_owned(), &json!("TransferTerminationMessage"))
    );
    let transfer = &world.book(P).transfers[&start.transfer];
    assert_eq!(
        (transfer.state, &transfer.unsent),
        (TransferState::Terminated, &None)
    );
    assert_eq!(refresh(&mut world, &start).unwrap_err(), "token-revoked");

    let mut world = provider();
    started(&mut world, "urn:uuid:c1");
    world.now = JULY;
    world.step(P, Input::Tick);
    for _ in 0..10_000 {
        let Some(flight) = world.flights.pop_front() else {
            break;
        };
        let (call, outcome) = (flight.call, Err(CallFailure::TimedOut));
        world.step(P, Input::Answered { call, outcome });
        world.now = world.nodes[P].next_wake().expect("a timer");
        world.step(P, Input::Tick);
    }
    let given_up = JULY.plus_ms(DAY_MS)..JULY.plus_ms(DAY_MS + 2 * MINUTE_MS);
    assert!(given_up.contains(&world.now), "{:?}", world.now);
}

#[test]
fn a_day_without_receipts_has_a_bound() {
    let mut world = provider();
    world.nodes[P].config.unreceipted_per_day = 2;
    let start = started(&mut world, "urn:uuid:c1");
    let page = pull(&mut world, &start, None, 2).unwrap();
    let refused = pull(&mut world, &start, Some(page.next), 2).unwrap_err();
    assert_eq!(
        (refused.status, refused.kind.as_str()),
        (429, "unreceipted-limit")
    );
    world.now = world.now.plus_ms(DAY_MS);
    let pair = refresh(&mut world, &start).unwrap();
    let start = Start {
        access: pair.access,
        refresh: pair.refresh,
        ..start
    };
    assert_eq!(
        stations_of(&pull(&mut world, &start, Some(page.next), 2).unwrap()),
        1
    );
}

#[test]
fn the_exchange_between_nodes_is_not_for_connectors() {
    let mut world = provider();
    let start = started(&mut world, "urn:uuid:c1");
    let poll = PeerRequest::Feed {
        transfer: start.transfer,
        lane: crate::exchange::wire::Lane::Live,
        after: 0,
        limit: 1,
        wait_ms: 0,
    };
    let answer = world.ask(&name(C), P, &poll);
    assert!(
        matches!(&answer, PeerAnswer::Problem(p) if p.kind == "connector"),
        "{answer:?}"
    );
}

#[test]
fn a_token_is_on_no_record() {
    let mut world = provider();
    let start = started(&mut world, "urn:uuid:c1");
    for (_, record) in &world.journals[P] {
        let bytes = postcard::to_allocvec(record).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains(&start.access) && !text.contains(&start.refresh));
    }
}
