//! Who looks at whose data, and phones in clear.

use interlock::node::io::{
    DepositAction, Digest, LocalAnswer, LocalRequest, Problem, REVEAL_REASONS, RevealAct,
    RevealPut, Role,
};
use interlock::node::record::Record;
use interlock_core::ids::RequestId;
use interlock_core::label::LabelKind;
use interlock_core::time::MINUTE_MS;
use interlock_core::waybill::Waybill;
use serde_json::{Value, json};

use crate::support::*;

const PARCEL: &str = "SF1000000000001";
const PHONE: &str = "13800000001";
/// Two people of data protection, an order system and a handheld.
const AN: Digest = [11; 32];
const BO: Digest = [12; 32];
const ORDERS: Digest = [13; 32];
const HANDHELD: Digest = [14; 32];

fn begin(seed: u64) -> Network {
    let mut net = Network::of_june_2017(seed);
    net.put_station(FENGCHAO, "FC0001", 4);
    net.put_parcel(PARCEL, "taobao", CAINIAO, PHONE);
    for (name, role, digest) in [
        ("an", Role::Auditor, AN),
        ("bo", Role::Auditor, BO),
        ("orders", Role::OrderSystem, ORDERS),
        ("handheld 1", Role::Handheld, HANDHELD),
    ] {
        for ix in [CAINIAO, FENGCHAO] {
            let name = name.into();
            ok(net
                .world
                .local(ix, LocalRequest::AddKey { name, role, digest }));
        }
    }
    net.world.settle();
    net
}

fn waybill() -> Waybill {
    Waybill::parse("sf", PARCEL).unwrap()
}

fn put() -> RevealPut {
    RevealPut {
        waybill: waybill(),
        reason: REVEAL_REASONS[2].into(),
        reference: Some("TICKET-4711".into()),
    }
}

fn asked(net: &mut Network, by: Digest) -> RequestId {
    let request = LocalRequest::AskReveal(put());
    let body = ok(net.world.local_as(CAINIAO, Some(by), request));
    RequestId::parse(body["id"].as_str().unwrap()).unwrap()
}

fn act(net: &mut Network, by: Digest, reveal: RequestId, act: RevealAct) -> Result<Value, Problem> {
    let request = LocalRequest::Reveal { reveal, act };
    result(net.world.local_as(CAINIAO, Some(by), request))
}

#[track_caller]
fn refused(outcome: Result<Value, Problem>, status: u16, kind: &str) {
    let problem = outcome.expect_err(kind);
    assert_eq!((problem.status, problem.kind.as_str()), (status, kind));
    assert!(!problem.detail.contains("138"), "{}", problem.detail);
}

fn looks(net: &mut Network, ix: usize) -> Vec<Value> {
    let request = LocalRequest::GetLooks {
        before: 0,
        limit: 100,
        what: None,
    };
    let view = ok(net.world.local_as(ix, Some(BO), request));
    view["items"].as_array().unwrap().clone()
}

fn in_journal(net: &Network, ix: usize, text: &str) -> bool {
    let wanted = text.as_bytes();
    let journal = net.world.journal(ix).iter();
    journal
        .flat_map(|(_, record)| record.windows(wanted.len()))
        .any(|window| window == wanted)
}

#[test]
fn every_look_of_a_person_is_on_record_and_a_machines_is_not() {
    let mut net = begin(520);
    let deposit = net.deposit(FENGCHAO, PARCEL, "FC0001", "k").unwrap();
    net.world.settle();
    let before = looks(&mut net, FENGCHAO);
    let read = |net: &mut Network, by: Digest| {
        ok(net
            .world
            .local_as(FENGCHAO, Some(by), LocalRequest::GetParcel(waybill())))
    };
    read(&mut net, ORDERS);
    assert_eq!(looks(&mut net, FENGCHAO), before, "a machine of our own");
    let shown = read(&mut net, AN);
    let told = looks(&mut net, FENGCHAO);
    assert_eq!(told.len(), before.len() + 1);
    assert_eq!(told[0]["by"], "an");
    assert_eq!(told[0]["what"], "parcel");
    assert_eq!(told[0]["parcels"], json!([format!("sf/{PARCEL}")]));
    assert_eq!(told[0]["contactForm"], shown["deposit"]["contactForm"]);
    assert_eq!(shown["deposit"]["id"], deposit["id"]);
    let nothing = LocalRequest::GetParcel(Waybill::parse("sf", "SF1999999999999").unwrap());
    assert!(matches!(
        net.world.local_as(FENGCHAO, Some(AN), nothing),
        Some(LocalAnswer::Problem(_))
    ));
    assert_eq!(looks(&mut net, FENGCHAO), told, "nothing was seen");
    net.world.kill(FENGCHAO);
    assert!(net.world.restart(FENGCHAO));
    assert_eq!(looks(&mut net, FENGCHAO), told);
    let page = LocalRequest::GetLooks {
        before: 1,
        limit: 1,
        what: None,
    };
    let page = ok(net.world.local_as(FENGCHAO, Some(BO), page));
    assert_eq!(page["items"], json!([]), "nothing is before the first");
    let as_handheld = LocalRequest::GetLooks {
        before: 0,
        limit: 1,
        what: None,
    };
    let answer = net.world.local_as(FENGCHAO, Some(HANDHELD), as_handheld);
    assert_eq!(problem_of(answer).status, 403);
    net.assert_replay_of(&[FENGCHAO]);
}

#[test]
fn a_phone_in_clear_takes_two_people_and_is_shown_once() {
    let mut net = begin(521);
    let reveal = asked(&mut net, AN);
    refused(act(&mut net, AN, reveal, RevealAct::Show), 409, "not-shown");
    refused(
        act(&mut net, AN, reveal, RevealAct::Approve),
        403,
        "four-eyes",
    );
    refused(
        act(&mut net, HANDHELD, reveal, RevealAct::Approve),
        403,
        "forbidden",
    );
    refused(
        act(&mut net, ORDERS, reveal, RevealAct::Show),
        403,
        "forbidden",
    );
    act(&mut net, BO, reveal, RevealAct::Approve).unwrap();
    refused(
        act(&mut net, BO, reveal, RevealAct::Approve),
        409,
        "not-shown",
    );
    refused(act(&mut net, BO, reveal, RevealAct::Show), 403, "four-eyes");
    let shown = act(&mut net, AN, reveal, RevealAct::Show).unwrap();
    assert_eq!(shown["phone"], format!("+86{PHONE}"));
    refused(act(&mut net, AN, reveal, RevealAct::Show), 409, "not-shown");
    let told = looks(&mut net, CAINIAO);
    assert_eq!(
        (&told[0]["what"], &told[0]["by"]),
        (&json!("phone"), &json!("an"))
    );
    let view = ok(net
        .world
        .local_as(CAINIAO, Some(BO), LocalRequest::GetReveals));
    let item = &view["items"][0];
    assert_eq!(
        (&item["askedBy"], &item["approvedBy"]),
        (&json!("an"), &json!("bo"))
    );
    assert!(item["shownAt"].is_string() && !view.to_string().contains(PHONE));
    assert!(!in_journal(&net, CAINIAO, PHONE), "in no record");
    net.assert_replay_of(&[CAINIAO]);
}

#[test]
fn an_approval_is_good_for_fifteen_minutes_and_for_what_is_still_held() {
    let mut net = begin(522);
    let late = asked(&mut net, AN);
    act(&mut net, BO, late, RevealAct::Approve).unwrap();
    net.world.run_until(net.world.now().plus_ms(16 * MINUTE_MS));
    refused(act(&mut net, AN, late, RevealAct::Show), 409, "not-shown");
    let deleted = asked(&mut net, AN);
    act(&mut net, BO, deleted, RevealAct::Approve).unwrap();
    ok(net
        .world
        .local(CAINIAO, LocalRequest::EraseRecipient(waybill())));
    refused(
        act(&mut net, AN, deleted, RevealAct::Show),
        409,
        "not-shown",
    );
    let request = LocalRequest::AskReveal(put());
    let problem = problem_of(net.world.local_as(CAINIAO, Some(AN), request));
    assert_eq!(problem.status, 404, "nothing is held any more");
    let unknown = RequestId::from_bytes([9; 16]);
    refused(
        act(&mut net, BO, unknown, RevealAct::Approve),
        404,
        "not-found",
    );
}

#[test]
fn requests_that_nobody_decides_on_do_not_pile_up() {
    let mut net = begin(523);
    for _ in 0..100 {
        asked(&mut net, AN);
    }
    let request = LocalRequest::AskReveal(put());
    let problem = problem_of(net.world.local_as(CAINIAO, Some(AN), request));
    assert_eq!(
        (problem.status, problem.kind.as_str()),
        (429, "too-many-reveals")
    );
}

#[test]
fn a_label_shows_what_its_kind_allows_and_a_code_is_resolved_on_record() {
    let mut net = begin(524);
    let label = |net: &mut Network, kind| {
        let request = LocalRequest::GetLabel(waybill(), kind);
        ok(net.world.local_as(CAINIAO, Some(ORDERS), request))
    };
    let old = label(&mut net, LabelKind::Privacy2017);
    assert_eq!(
        (&old["phone"], &old["name"]),
        (&json!("138****0001"), &json!("Li"))
    );
    let now = label(&mut net, LabelKind::Gbt41833);
    assert_eq!(
        (&now["phone"], &now["name"]),
        (&json!("*******0001"), &json!("L*"))
    );
    let hidden = label(&mut net, LabelKind::Fengmi);
    let code = hidden["address"].as_str().unwrap().to_owned();
    for label in [&old, &now, &hidden] {
        let svg = label["svg"].as_str().unwrap();
        assert!(svg.contains("76mm") && svg.contains(PARCEL) && !svg.contains(PHONE));
        assert!(svg.contains(label["claim"].as_str().unwrap()));
    }
    assert!(!hidden.to_string().contains("Wensan"));
    let before = looks(&mut net, CAINIAO).len();
    let resolve = |net: &mut Network, by, code: &str| {
        let request = LocalRequest::ResolveLabel(waybill(), code.into());
        result(net.world.local_as(CAINIAO, Some(by), request))
    };
    refused(resolve(&mut net, ORDERS, &code), 403, "forbidden");
    refused(
        resolve(&mut net, HANDHELD, "0000-0000-0000"),
        404,
        "not-found",
    );
    assert_eq!(looks(&mut net, CAINIAO).len(), before, "nothing was seen");
    let found = resolve(&mut net, HANDHELD, &code.to_ascii_lowercase()).unwrap();
    assert_eq!(found, json!({ "address": "Wensan Road 90" }));
    let told = looks(&mut net, CAINIAO);
    assert_eq!(
        (&told[0]["what"], &told[0]["by"]),
        (&json!("address"), &json!("handheld 1"))
    );
    ok(net
        .world
        .local(CAINIAO, LocalRequest::EraseRecipient(waybill())));
    refused(resolve(&mut net, HANDHELD, &code), 404, "not-found");
    let request = LocalRequest::GetLabel(waybill(), LabelKind::Fengmi);
    assert_eq!(
        problem_of(net.world.local_as(CAINIAO, Some(ORDERS), request)).status,
        404
    );
    let elsewhere = LocalRequest::ResolveLabel(waybill(), code);
    let elsewhere = net.world.local_as(FENGCHAO, Some(HANDHELD), elsewhere);
    refused(result(elsewhere), 404, "not-found");
}

fn add_key(net: &mut Network, by: Option<Digest>, name: &str, role: Role, digest: Digest) {
    let name = name.into();
    let request = LocalRequest::AddKey { name, role, digest };
    ok(match by {
        Some(by) => net.world.local_as(CAINIAO, Some(by), request),
        None => net.world.local(CAINIAO, request),
    });
}

#[test]
fn who_let_somebody_in_is_not_the_second_person() {
    const DEPUTY: Digest = [15; 32];
    const CY: Digest = [16; 32];
    const AN_TOO: Digest = [17; 32];
    let mut net = begin(525);
    // The administrator who installed the node let in everybody, a deputy too, who let in `cy`.
    add_key(&mut net, None, "deputy", Role::Admin, DEPUTY);
    add_key(&mut net, Some(DEPUTY), "cy", Role::Auditor, CY);
    add_key(&mut net, None, "an", Role::Auditor, AN_TOO);

    let request = LocalRequest::AskReveal(put());
    let body = ok(net.world.local(CAINIAO, request));
    let first = RequestId::parse(body["id"].as_str().unwrap()).unwrap();
    for theirs in [AN, BO, DEPUTY, CY] {
        let outcome = act(&mut net, theirs, first, RevealAct::Approve);
        refused(outcome, 403, "four-eyes");
    }
    // The other way round: who let in whoever asked.
    let asked_by_cy = asked(&mut net, CY);
    let outcome = act(&mut net, DEPUTY, asked_by_cy, RevealAct::Approve);
    refused(outcome, 403, "four-eyes");
    let outcome = result(net.world.local(
        CAINIAO,
        LocalRequest::Reveal {
            reveal: asked_by_cy,
            act: RevealAct::Approve,
        },
    ));
    refused(outcome, 403, "four-eyes");
    // Another key of the same name is the same person, whoever made it.
    let asked_by_an = asked(&mut net, AN);
    let outcome = act(&mut net, AN_TOO, asked_by_an, RevealAct::Approve);
    refused(outcome, 403, "four-eyes");

    // Two colleagues may, and whoever reads of it is told who let both in: they might be one.
    act(&mut net, BO, asked_by_an, RevealAct::Approve).unwrap();
    act(&mut net, AN, asked_by_cy, RevealAct::Approve).unwrap();
    let view = ok(net
        .world
        .local_as(CAINIAO, Some(BO), LocalRequest::GetReveals));
    let both = |by: &str| {
        let items = view["items"].as_array().unwrap();
        let item = items.iter().find(|item| item["askedBy"] == by).unwrap();
        item["letInAlike"].clone()
    };
    assert!(both("an").is_string(), "{view}");
    assert_eq!(both("an"), both("cy"));
    net.assert_replay_of(&[CAINIAO]);
}

/// What docs/privacy.md says of the journal.
#[test]
fn a_waybill_stands_in_the_records_by_which_its_parcel_was_announced_alone() {
    let mut net = begin(526);
    let deposit = net.deposit(FENGCHAO, PARCEL, "FC0001", "k").unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    net.world.settle();
    for ix in [CAINIAO, FENGCHAO] {
        ok(net
            .world
            .local_as(ix, Some(AN), LocalRequest::GetParcel(waybill())));
    }
    let reveal = asked(&mut net, AN);
    act(&mut net, BO, reveal, RevealAct::Approve).unwrap();
    act(&mut net, AN, reveal, RevealAct::Show).unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Recall)
        .unwrap();
    net.world.settle();
    let erase = LocalRequest::EraseRecipient(waybill());
    ok(net.world.local(CAINIAO, erase));
    net.world.settle();
    for ix in [CAINIAO, FENGCHAO] {
        let has_it = |bytes: &&[u8]| {
            bytes
                .windows(PARCEL.len())
                .any(|it| it == PARCEL.as_bytes())
        };
        let journal = net.world.journal(ix).iter();
        let with: Vec<&[u8]> = journal
            .map(|(_, bytes)| &bytes[..])
            .filter(has_it)
            .collect();
        assert!(!with.is_empty());
        for bytes in with {
            let record: Record = postcard::from_bytes(bytes).unwrap();
            assert!(matches!(record, Record::Parcel(_)), "{record:?}");
        }
    }
}
