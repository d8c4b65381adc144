//! The exchange between whole nodes: one parcel through an agreement, and what can go wrong.

use interlock::node::io::{DepositAction, LocalRequest};
use interlock_core::dataset::Dataset;
use interlock_core::ids::WireId;
use interlock_core::time::HOUR_MS;
use interlock_sim::NodeIx;
use serde_json::Value;

use crate::support::*;

#[test]
fn one_parcel_from_the_scan_to_the_tracking_page() {
    let mut net = Network::of_june_2017(1);
    net.put_station(FENGCHAO, "FC0001", 20);
    let parcel = net.put_parcel("SF1000000000001", "taobao", CAINIAO, "13800000001");
    net.world.settle();

    let deposit = net
        .deposit(FENGCHAO, "SF1000000000001", "FC0001", "k1")
        .expect("deposited");
    assert_eq!(deposit["state"], "reserved");
    assert_eq!(deposit["notifier"], "operator");
    assert_eq!(deposit["contactForm"], "virtual");
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .expect("confirmed");
    net.world.settle();

    assert_eq!(net.world.sent.len(), 1, "one message");
    let text = &net.world.sent[0].text_en;
    let code = text
        .split("ode ")
        .nth(1)
        .expect("a code in the text")
        .get(..6)
        .unwrap()
        .to_owned();
    let wrong = net.advance(
        FENGCHAO,
        &deposit,
        DepositAction::Open {
            code: "000000".into(),
        },
    );
    assert_eq!(wrong.unwrap_err().kind, "wrong-code");
    let opened = net
        .advance(FENGCHAO, &deposit, DepositAction::Open { code })
        .expect("opens");
    assert_eq!(opened["opens"], true);
    net.advance(FENGCHAO, &deposit, DepositAction::PickUp)
        .expect("picked up");
    net.world.settle();

    let seen = net.parcel(CAINIAO, "SF1000000000001");
    let steps: Vec<&str> = seen["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["step"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["deposited", "notified", "picked-up"]);
    assert_eq!(seen["contactReleases"][0]["form"], "virtual");
    let page = net.tracking(CAINIAO, &parcel);
    assert_eq!(page.events.first().unwrap().step.as_str(), "picked-up");
    net.assert_all_evidence_is_mirrored();
    net.assert_replay_gives_the_same();
}

/// What is used today of the quota of contacts between Cainiao and Fengchao, as one of them shows it.
fn used_today(net: &mut Network, at: NodeIx, partner: &str) -> Value {
    let all = ok(net.world.local(at, LocalRequest::GetAgreements));
    let all = all["agreements"].as_array().unwrap();
    let is_it = |a: &&Value| a["dataset"] == "recipient-contact" && a["partner"] == partner;
    let id = all.iter().find(is_it).unwrap()["id"].as_str().unwrap();
    let id = WireId::parse(id).unwrap();
    let view = ok(net.world.local(at, LocalRequest::GetAgreement(id)));
    assert_eq!(view["quotaPerDay"], 500, "{view}");
    view["usedToday"].clone()
}

#[test]
fn a_provider_shows_what_is_used_of_a_quota() {
    let mut net = Network::with_terms(3, |terms| {
        if terms.dataset == Dataset::RecipientContact {
            terms.quota_per_day = Some(500);
        }
    });
    net.put_station(FENGCHAO, "FC0001", 20);
    net.put_parcel("SF1000000000001", "taobao", CAINIAO, "13800000001");
    net.world.settle();
    let fengchao = "did:web:fengchao.example";
    assert_eq!(used_today(&mut net, CAINIAO, fengchao), 0);
    net.deposit(FENGCHAO, "SF1000000000001", "FC0001", "k1")
        .expect("deposited");
    net.world.settle();
    assert_eq!(used_today(&mut net, CAINIAO, fengchao), 1);
    let cainiao = "did:web:cainiao.example";
    assert_eq!(used_today(&mut net, FENGCHAO, cainiao), Value::Null);
}

#[test]
fn a_phone_never_reaches_a_courier_or_a_rival() {
    let mut net = Network::of_june_2017(2);
    net.put_station(FENGCHAO, "FC0001", 20);
    net.put_parcel("SF1000000000001", "taobao", CAINIAO, "13800004711");
    net.world.settle();
    let deposit = net
        .deposit(FENGCHAO, "SF1000000000001", "FC0001", "k1")
        .unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    net.world.settle();
    assert!(!deposit.to_string().contains("4711"));
    for exchanged in &net.world.exchanged {
        let text = String::from_utf8_lossy(&exchanged.answer.1).into_owned()
            + &String::from_utf8_lossy(&exchanged.request.2);
        assert!(!text.contains("13800004711"), "{text}");
    }
    for node in ALL {
        for (_, record) in net.world.journal(node) {
            let hex: Vec<u8> = record.clone();
            assert!(
                !hex.windows(11).any(|w| w == b"13800004711"),
                "node {node} wrote the phone"
            );
        }
    }
}

#[test]
fn a_repeated_deposit_is_the_same_deposit() {
    let mut net = Network::of_june_2017(3);
    net.put_station(FENGCHAO, "FC0001", 20);
    net.put_parcel("SF1000000000001", "taobao", CAINIAO, "13800000001");
    net.world.settle();
    let first = net
        .deposit(FENGCHAO, "SF1000000000001", "FC0001", "k1")
        .unwrap();
    let again = net
        .deposit(FENGCHAO, "SF1000000000001", "FC0001", "k1")
        .unwrap();
    assert_eq!(first["id"], again["id"]);
    let other = net.deposit_of_size(FENGCHAO, "SF1000000000001", "FC0001", "k1", "large");
    assert_eq!(other.unwrap_err().kind, "idempotency-key-reused");
    let second = net.deposit(FENGCHAO, "SF1000000000001", "FC0001", "k2");
    assert_eq!(second.unwrap_err().kind, "already-deposited");
}

#[test]
fn nobody_can_tell_then_no_door_opens() {
    let mut net = Network::of_june_2017(4);
    net.put_station(FENGCHAO, "FC0001", 20);
    net.put_parcel("SF1000000000001", "taobao", CAINIAO, "13800000001");
    net.world.settle();
    {
        let (waybill, reason) = ("SF1000000000009", "owner-unknown");
        let refused = net
            .deposit(FENGCHAO, waybill, "FC0001", waybill)
            .unwrap_err();
        assert_eq!(refused.kind, "nobody-can-tell");
        assert!(refused.detail.contains(reason), "{}", refused.detail);
    }
    net.world.run_until(MIDNIGHT.plus_ms(1));
    net.put_parcel("SF1000000000002", "taobao", CAINIAO, "13800000002");
    net.world.settle();
    let late = net
        .deposit(FENGCHAO, "SF1000000000002", "FC0001", "late")
        .unwrap_err();
    assert!(
        late.detail.contains("deliver to the address"),
        "{}",
        late.detail
    );
    let run_off = net
        .deposit(FENGCHAO, "SF1000000000001", "FC0001", "early")
        .expect("in run-off");
    assert_eq!(run_off["notifier"], "operator");
    net.world.run_until(MIDNIGHT.plus_ms(7 * 24 * HOUR_MS));
    net.put_parcel("SF1000000000003", "taobao", CAINIAO, "13800000003");
    net.world.settle();
    assert!(
        net.deposit(FENGCHAO, "SF1000000000003", "FC0001", "x")
            .is_err()
    );
}

#[test]
fn a_slow_owner_does_not_stop_the_deposit() {
    let mut net = Network::of_june_2017(5);
    net.put_station(FENGCHAO, "FC0001", 20);
    net.put_parcel("SF1000000000001", "taobao", CAINIAO, "13800000001");
    net.world.settle();
    net.world.cut(FENGCHAO, CAINIAO, true);
    let deposit = net
        .deposit(FENGCHAO, "SF1000000000001", "FC0001", "k1")
        .unwrap();
    assert_eq!(deposit["notifier"], "queued");
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    net.world.run_until(net.world.now().plus_ms(HOUR_MS));
    assert!(net.world.sent.is_empty());
    net.world.cut(FENGCHAO, CAINIAO, false);
    net.world.run_until(net.world.now().plus_ms(HOUR_MS));
    assert_eq!(net.world.sent.len(), 1);
    let seen = net.parcel(CAINIAO, "SF1000000000001");
    assert_eq!(seen["events"][0]["step"], "deposited");
    net.assert_all_evidence_is_mirrored();
}

#[test]
fn a_killed_node_loses_nothing_and_repeats_no_message() {
    for victim in [FENGCHAO, CAINIAO, SF] {
        for after_ms in [0, 2, 4, 7, 11, 16, 30] {
            let mut net = Network::of_june_2017(6);
            net.put_station(FENGCHAO, "FC0001", 20);
            net.put_parcel("SF1000000000001", "taobao", CAINIAO, "13800000001");
            net.world.settle();
            let deposit = net
                .deposit(FENGCHAO, "SF1000000000001", "FC0001", "k1")
                .unwrap();
            net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
                .unwrap();
            net.world.run_until(net.world.now().plus_ms(after_ms));
            net.world.kill(victim);
            net.world.run_until(net.world.now().plus_ms(5_000));
            assert!(
                net.world.restart(victim),
                "the journal gives the node again"
            );
            net.world.run_until(net.world.now().plus_ms(2 * HOUR_MS));
            assert_eq!(
                net.world.sent.len(),
                1,
                "victim {victim} after {after_ms} ms"
            );
            let seen = net.parcel(CAINIAO, "SF1000000000001");
            let steps: Vec<&str> = seen["events"]
                .as_array()
                .unwrap()
                .iter()
                .map(|e| e["step"].as_str().unwrap())
                .collect();
            assert_eq!(
                steps,
                ["deposited", "notified"],
                "victim {victim} after {after_ms} ms"
            );
            net.assert_all_evidence_is_mirrored();
            net.assert_replay_gives_the_same();
        }
    }
}

#[test]
fn tracking_waits_for_an_agreement_and_arrives_once_in_order() {
    let mut net = Network::of_june_2017(7);
    net.put_parcel("SF1000000000001", "taobao", CAINIAO, "13800000001");
    net.world.settle();
    net.track(SF, "SF1000000000001", "accepted");
    net.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
    net.put_parcel("SF1000000000002", "taobao", CAINIAO, "13800000002");
    net.track(SF, "SF1000000000001", "arrived");
    net.track(SF, "SF1000000000002", "accepted");
    net.track(SF, "SF1000000000002", "arrived");
    net.world.run_until(net.world.now().plus_ms(HOUR_MS));
    assert_eq!(
        net.steps(CAINIAO, "SF1000000000001"),
        ["accepted", "arrived"],
        "run-off"
    );
    assert!(
        net.steps(CAINIAO, "SF1000000000002").is_empty(),
        "held at its owner"
    );
    assert_eq!(net.held(SF, "tracking-events"), 2);
    net.agree_anew(3);
    net.world.run_until(net.world.now().plus_ms(HOUR_MS));
    net.track(SF, "SF1000000000002", "out-for-delivery");
    net.world.run_until(net.world.now().plus_ms(HOUR_MS));
    assert_eq!(
        net.steps(CAINIAO, "SF1000000000002"),
        ["accepted", "arrived", "out-for-delivery"]
    );
    assert_eq!(net.held(SF, "tracking-events"), 0);
    net.assert_all_evidence_is_mirrored();
    net.assert_replay_gives_the_same();
}

#[test]
fn a_rival_that_differs_changes_no_byte_that_a_platform_sees() {
    let mut alone = world_with(&[]);
    let rivals: Vec<(String, String)> = (1..8)
        .map(|n| (format!("SF200000000000{n}"), format!("1390000000{n}")))
        .collect();
    let rivals: Vec<(&str, &str)> = rivals
        .iter()
        .map(|(w, p)| (w.as_str(), p.as_str()))
        .collect();
    let mut crowded = world_with(&rivals);
    assert!(
        crowded.world.sent.len() > alone.world.sent.len(),
        "the rivals are there"
    );
    assert_eq!(
        crowded
            .world
            .node(JD)
            .unwrap()
            .state()
            .counters
            .events_received,
        7 * 3
    );
    let seen = alone.seen_by(CAINIAO);
    assert!(seen.len() > 10, "there is something to compare");
    assert_eq!(
        seen,
        crowded.seen_by(CAINIAO),
        "bodies, cursors, sizes, evidence"
    );
    assert_eq!(
        alone.world.journal(CAINIAO),
        crowded.world.journal(CAINIAO),
        "log entries"
    );
    for request in [|| LocalRequest::GetStatus, || LocalRequest::GetEvidence] {
        let a = alone.world.local(CAINIAO, request());
        let b = crowded.world.local(CAINIAO, request());
        assert_eq!(result(a).unwrap(), result(b).unwrap(), "counts");
    }
}

#[test]
fn local_requests_need_a_key_with_the_role() {
    let mut net = Network::of_june_2017(9);
    let none = net.world.local_as(CAINIAO, None, LocalRequest::GetStatus);
    assert_eq!(problem_of(none).status, 401);
    let unknown = net
        .world
        .local_as(CAINIAO, Some([9; 32]), LocalRequest::GetStatus);
    assert_eq!(problem_of(unknown).status, 401);
    net.world.local(
        CAINIAO,
        LocalRequest::AddKey {
            name: "h1".into(),
            role: interlock::node::io::Role::Handheld,
            digest: [9; 32],
        },
    );
    let wrong = net
        .world
        .local_as(CAINIAO, Some([9; 32]), LocalRequest::GetStatus);
    assert_eq!(problem_of(wrong).status, 403);
}

#[test]
fn a_key_that_was_withdrawn_counts_no_more_and_the_last_administrator_stays() {
    use interlock::node::io::{KeyId, Role};

    let mut net = Network::of_june_2017(10);
    let auditor = [9; 32];
    let add = LocalRequest::AddKey {
        name: "auditor".into(),
        role: Role::Auditor,
        digest: auditor,
    };
    let id = ok(net.world.local(CAINIAO, add))["id"].clone();
    assert_eq!(id, KeyId::of(&auditor).to_string());
    let as_auditor = |net: &mut Network, request| {
        result(net.world.local_as(CAINIAO, Some(auditor), request)).map_err(|p| p.status)
    };
    assert!(as_auditor(&mut net, LocalRequest::GetStatus).is_ok());
    for request in [
        LocalRequest::GetKeys,
        LocalRequest::WithdrawKey(KeyId::of(&auditor)),
    ] {
        assert_eq!(as_auditor(&mut net, request), Err(403));
    }
    let listed = ok(net.world.local(CAINIAO, LocalRequest::GetKeys));
    let keys = listed["keys"].as_array().unwrap().clone();
    assert_eq!(keys.len(), 2);
    let admin = keys.iter().find(|key| key["role"] == "admin").unwrap();
    let admin = KeyId::parse(admin["id"].as_str().unwrap()).unwrap();
    let last = net.world.local(CAINIAO, LocalRequest::WithdrawKey(admin));
    assert_eq!(problem_of(last).kind, "last-admin");
    let unknown = LocalRequest::WithdrawKey(KeyId::of(&[7; 32]));
    assert_eq!(problem_of(net.world.local(CAINIAO, unknown)).status, 404);
    assert!(KeyId::parse("12").is_err());

    let withdraw = LocalRequest::WithdrawKey(KeyId::of(&auditor));
    ok(net.world.local(CAINIAO, withdraw));
    assert_eq!(as_auditor(&mut net, LocalRequest::GetStatus), Err(401));
    net.world.kill(CAINIAO);
    assert!(net.world.restart(CAINIAO));
    assert_eq!(as_auditor(&mut net, LocalRequest::GetStatus), Err(401));
    let again = LocalRequest::WithdrawKey(KeyId::of(&auditor));
    assert_eq!(problem_of(net.world.local(CAINIAO, again)).status, 404);
    net.assert_replay_gives_the_same();
}
