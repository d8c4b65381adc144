//! A temporary agreement by mediation over the network, and what the mediator's node sees: how the
//! cooperation stands, and nothing of any parcel.

use interlock::exchange::wire::{Envelope, Notice};
use interlock::identity::partner::Role;
use interlock::node::io::{
    AgreementChange, LocalRequest, MediatedPut, MediationAct, MediationPut, OfferPut, ParcelPut,
    PeerAnswer, PeerRequest,
};
use interlock_core::contact::{Phone, Recipient};
use interlock_core::dataset::Dataset;
use interlock_core::ids::{Marketplace, MerchantId, WireId};
use interlock_core::parcel::{Consent, Preference, SizeClass};
use interlock_core::terms::Terms;
use interlock_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use interlock_core::waybill::Waybill;
use interlock_sim::{NodeIx, NodeSpec, World};
use serde_json::Value;

use crate::support::{MIDNIGHT, Network, evidence_toward, ok, result, terms};

const PLATFORM: NodeIx = 0;
const LOCKERS: NodeIx = 1;
const BUREAU: NodeIx = 2;
/// Less than the first step of the age of what is heard.
const POLL_WAIT_MS: u32 = 200_000;
const PARCEL: &str = "SF1000000000077";
/// What must never come to the mediator: number, phone, name, address, merchant, station.
const CANARIES: [&str; 6] = [
    "SF1000000000077",
    "13899990001",
    "Canary Li",
    "Canary Road",
    "m-canary",
    "FC-CANARY",
];

fn network(seed: u64) -> Network {
    let spec = |name, role, marketplaces, carriers| NodeSpec {
        name,
        role,
        marketplaces,
        carriers,
    };
    let specs = [
        spec("cainiao", Role::Platform, &["taobao"][..], &[][..]),
        spec("fengchao", Role::LockerOperator, &[], &[]),
        spec("postbureau", Role::Regulator, &[], &[]),
    ];
    let mut world = World::new(seed, MIDNIGHT, &specs);
    world.start();
    world.poll_for(POLL_WAIT_MS);
    for ix in [PLATFORM, LOCKERS, BUREAU] {
        world.kill(ix);
        assert!(world.restart(ix));
    }
    Network { world }
}

fn one_term(dataset: Dataset) -> Terms {
    let now = MIDNIGHT;
    terms(dataset, now, now.plus_ms(27 * DAY_MS), &["taobao"])
}

/// Both parties offer the bureau to be told how their cooperations stand; the bureau takes it.
fn report_to_the_bureau(net: &mut Network) {
    for party in [PLATFORM, LOCKERS] {
        let dataset = Dataset::CooperationStatus;
        let mut open = terms(dataset, MIDNIGHT, MIDNIGHT.plus_ms(90 * DAY_MS), &[]);
        (open.run_off_ms, open.backlog) = (None, None);
        let offer = OfferPut {
            id: WireId::parse("status").unwrap(),
            dataset: dataset.into(),
            policy: open.to_policy(),
            audience: Vec::new(),
            auto_accept: true,
        };
        ok(net.world.local(party, LocalRequest::PublishOffer(offer)));
        let partner = net.world.id(party).unwrap().clone();
        let offers = vec![WireId::parse("status").unwrap()];
        let policies = Vec::new();
        ok(net.world.local(
            BUREAU,
            LocalRequest::Propose {
                partner,
                offers,
                policies,
            },
        ));
        net.world.settle();
    }
}

fn propose(net: &mut Network) -> WireId {
    propose_with(net, |_| {})
}

fn propose_with(net: &mut Network, change: impl Fn(&mut Terms)) -> WireId {
    let agreements = [
        (PLATFORM, LOCKERS, Dataset::RecipientContact),
        (LOCKERS, PLATFORM, Dataset::LockerEvents),
    ];
    let agreements = agreements.map(|(provider, consumer, dataset)| {
        let mut terms = one_term(dataset);
        change(&mut terms);
        MediatedPut {
            provider: net.world.id(provider).unwrap().clone(),
            consumer: net.world.id(consumer).unwrap().clone(),
            dataset,
            policy: terms.to_policy(),
        }
    });
    let put = MediationPut {
        agreements: agreements.into(),
        note: "until it is settled".into(),
        answer_by: None,
    };
    let made = ok(net.world.local(BUREAU, LocalRequest::ProposeMediation(put)));
    net.world.settle();
    WireId::parse(made["id"].as_str().unwrap()).unwrap()
}

fn accept(net: &mut Network, party: NodeIx, id: &WireId) {
    let act = MediationAct::Accept { version: None };
    let mediation = id.clone();
    ok(net
        .world
        .local(party, LocalRequest::Mediate { mediation, act }));
}

/// The parcel, at its owner and by the operator's own word.
fn put_parcel(net: &mut Network) {
    let own = ParcelPut {
        waybill: Waybill::parse("sf", PARCEL).unwrap(),
        issued_at: None,
        marketplace: Marketplace::parse("taobao").unwrap(),
        merchant: Some(MerchantId::parse("m-canary").unwrap()),
        owner: None,
        recipient: Some(Recipient {
            name: "Canary Li".into(),
            phone: Phone::parse("13899990001").unwrap(),
            address: "Canary Road 1".into(),
        }),
        size_class: Some(SizeClass::Small),
        consent: Consent::Given,
        preference: Preference::default(),
        lockers: Vec::new(),
    };
    let at_lockers = ParcelPut {
        owner: net.world.id(PLATFORM).cloned(),
        recipient: None,
        ..own.clone()
    };
    ok(net
        .world
        .local(PLATFORM, LocalRequest::PutParcels(vec![own])));
    ok(net
        .world
        .local(LOCKERS, LocalRequest::PutParcels(vec![at_lockers])));
    net.put_station(LOCKERS, "FC-CANARY", 9);
}

/// How the bureau was shown the parties' cooperation: by platform, by operator.
fn seen(net: &mut Network) -> Vec<Value> {
    let all = ok(net.world.local(BUREAU, LocalRequest::GetCooperations));
    let all = all["cooperations"].as_array().unwrap();
    let reported = all.iter().filter(|c| c["reportedBy"].is_string());
    let mut reported: Vec<Value> = reported.cloned().collect();
    reported.sort_by_key(|c| c["reportedBy"].to_string());
    reported
}

fn until(net: &mut Network, at: Timestamp) {
    net.world.run_until(at);
}

fn later(net: &mut Network, ms: i64) {
    let at = net.world.now().plus_ms(ms);
    until(net, at);
}

#[test]
fn from_the_second_acceptance_to_the_first_contact_it_takes_no_timer() {
    let mut net = network(740);
    put_parcel(&mut net);
    let id = propose(&mut net);
    accept(&mut net, LOCKERS, &id);
    net.world.settle();
    let refused = net.deposit(LOCKERS, PARCEL, "FC-CANARY", "k1").unwrap_err();
    assert_eq!(refused.kind, "nobody-can-tell");
    accept(&mut net, PLATFORM, &id);
    let second = net.world.now();
    until(&mut net, second.plus_ms(2 * SECOND_MS));
    let opened = net.deposit(LOCKERS, PARCEL, "FC-CANARY", "k2").unwrap();
    assert_eq!(opened["contactForm"], "virtual", "{opened}");
    assert!(net.world.now().since_ms(second) < 4 * SECOND_MS);
}

// tidy: long, one cooperation from its beginning to its end
#[test]
fn the_mediator_sees_the_state_and_the_outage_of_the_cooperation_and_no_parcel() {
    let mut net = network(741);
    report_to_the_bureau(&mut net);
    put_parcel(&mut net);
    let id = propose(&mut net);
    accept(&mut net, LOCKERS, &id);
    accept(&mut net, PLATFORM, &id);
    until(&mut net, MIDNIGHT.plus_ms(2 * MINUTE_MS));
    let opened = net.deposit(LOCKERS, PARCEL, "FC-CANARY", "k1").unwrap();
    let confirm = interlock::node::io::DepositAction::Confirm;
    net.advance(LOCKERS, &opened, confirm).unwrap();
    until(&mut net, MIDNIGHT.plus_ms(5 * MINUTE_MS));
    let shown = seen(&mut net);
    assert_eq!(shown.len(), 2, "{shown:?}");
    for one in &shown {
        assert_eq!(
            (&one["state"], &one["feedAge"]),
            (&"in-force".into(), &"under-5-minutes".into())
        );
        assert_eq!(one["parties"].as_array().unwrap().len(), 2);
        assert_eq!(one["manifest"], shown[0]["manifest"]);
    }
    let mediated = ok(net.world.local(BUREAU, LocalRequest::GetMediation(id)));
    assert_eq!(mediated["manifestHash"], shown[0]["manifest"]);

    // The line between the parties is cut: the age grows, in coarse steps.
    net.world.cut(PLATFORM, LOCKERS, true);
    until(&mut net, MIDNIGHT.plus_ms(20 * MINUTE_MS));
    let ages = |shown: &[Value]| -> Vec<String> {
        let ages = shown
            .iter()
            .map(|one| one["feedAge"].as_str().unwrap().to_owned());
        ages.collect()
    };
    assert_eq!(ages(&seen(&mut net)), ["under-1-hour", "under-1-hour"]);
    until(&mut net, MIDNIGHT.plus_ms(3 * HOUR_MS));
    assert_eq!(ages(&seen(&mut net)), ["under-1-day", "under-1-day"]);
    net.world.cut(PLATFORM, LOCKERS, false);
    until(&mut net, MIDNIGHT.plus_ms(3 * HOUR_MS + 10 * MINUTE_MS));
    assert_eq!(
        ages(&seen(&mut net)),
        ["under-5-minutes", "under-5-minutes"]
    );

    // A suspension is seen, too.
    let book = &net.world.node(PLATFORM).unwrap().state().book;
    let contacts = book.agreements.values();
    let contacts = contacts.filter(|a| a.terms.dataset == Dataset::RecipientContact);
    let agreement = contacts.map(|a| a.id.clone()).next().unwrap();
    let change = interlock::node::io::AgreementChange::Suspend {
        reason: "a complaint".into(),
    };
    ok(net.world.local(
        PLATFORM,
        LocalRequest::ChangeAgreement { agreement, change },
    ));
    until(&mut net, MIDNIGHT.plus_ms(3 * HOUR_MS + 15 * MINUTE_MS));
    let states: Vec<Value> = seen(&mut net)
        .iter()
        .map(|one| one["state"].clone())
        .collect();
    assert_eq!(states, ["partly-suspended", "partly-suspended"]);

    for exchanged in net.seen_by(BUREAU) {
        let (_, target, body) = &exchanged.request;
        let text = [target.as_bytes(), body, &exchanged.answer.1].concat();
        let text = String::from_utf8_lossy(&text);
        for canary in CANARIES {
            assert!(
                !text.contains(canary),
                "{canary} came to the mediator: {text}"
            );
        }
    }
    for (_, record) in net.world.journal(BUREAU) {
        let text = String::from_utf8_lossy(record);
        for canary in CANARIES {
            assert!(
                !text.contains(canary),
                "{canary} is in the mediator's journal"
            );
        }
    }
}

/// The agreement of a dataset at a node.
fn agreement_on(net: &Network, at: NodeIx, dataset: Dataset) -> WireId {
    let book = &net.world.node(at).unwrap().state().book;
    let mut agreements = book.agreements.values();
    let found = agreements.find(|a| a.terms.dataset == dataset);
    found.expect("an agreement").id.clone()
}

fn change(
    net: &mut Network,
    at: NodeIx,
    agreement: &WireId,
    change: AgreementChange,
) -> Result<Value, interlock::node::io::Problem> {
    let agreement = agreement.clone();
    let answer = net
        .world
        .local(at, LocalRequest::ChangeAgreement { agreement, change });
    let done = result(answer);
    net.world.settle();
    done
}

fn reciprocate(trigger: &WireId, at: Option<Timestamp>) -> AgreementChange {
    AgreementChange::Reciprocate {
        trigger: trigger.clone(),
        at,
        reason: "you stopped first".into(),
    }
}

fn suspend() -> AgreementChange {
    AgreementChange::Suspend {
        reason: "a complaint".into(),
    }
}

fn state_of(net: &mut Network, at: NodeIx, agreement: &WireId) -> String {
    let shown = ok(net
        .world
        .local(at, LocalRequest::GetAgreement(agreement.clone())));
    shown["state"].as_str().unwrap().to_owned()
}

/// In force with `il:reciprocate` on both, the platform's tracking of lockers and the contacts.
fn mutual(seed: u64) -> (Network, WireId, WireId) {
    let mut net = network(seed);
    report_to_the_bureau(&mut net);
    put_parcel(&mut net);
    let id = propose_with(&mut net, |terms| terms.reciprocate = true);
    accept(&mut net, LOCKERS, &id);
    accept(&mut net, PLATFORM, &id);
    until(&mut net, MIDNIGHT.plus_ms(2 * MINUTE_MS));
    let contacts = agreement_on(&net, PLATFORM, Dataset::RecipientContact);
    let events = agreement_on(&net, PLATFORM, Dataset::LockerEvents);
    (net, contacts, events)
}

const THREE_DAYS: i64 = 3 * DAY_MS;
/// The notice that is given where no time is named.
const NOTICE: i64 = THREE_DAYS + HOUR_MS;

#[test]
fn a_signed_stop_is_answered_after_a_notice_that_the_mediator_sees() {
    let (mut net, contacts, events) = mutual(750);
    change(&mut net, PLATFORM, &contacts, suspend()).unwrap();
    later(&mut net, 5 * MINUTE_MS);
    change(&mut net, LOCKERS, &events, reciprocate(&contacts, None)).unwrap();
    let given = net.world.now();
    until(&mut net, given.plus_ms(5 * MINUTE_MS));
    for at in [PLATFORM, LOCKERS] {
        assert_eq!(
            state_of(&mut net, at, &events),
            "IN_FORCE",
            "72 hours' notice"
        );
    }
    for shown in seen(&mut net) {
        assert!(shown["suspendsAt"].is_string(), "{shown}");
    }
    let alerts = |net: &mut Network, at| -> usize {
        let alerts = ok(net.world.local(at, LocalRequest::GetAlerts));
        let items = alerts["items"].as_array().unwrap().iter();
        items
            .filter(|a| a["kind"] == "suspension-announced")
            .count()
    };
    let told = [PLATFORM, LOCKERS].map(|at| alerts(&mut net, at));
    assert_eq!(told, [1, 0], "who is to be stopped is told once");
    until(&mut net, given.plus_ms(NOTICE - 10 * MINUTE_MS));
    assert_eq!(state_of(&mut net, LOCKERS, &events), "IN_FORCE");
    net.assert_replay_of(&[PLATFORM, LOCKERS, BUREAU]);
    until(&mut net, given.plus_ms(NOTICE + 10 * MINUTE_MS));
    for at in [PLATFORM, LOCKERS] {
        assert_eq!(state_of(&mut net, at, &events), "SUSPENDED");
    }
    for shown in seen(&mut net) {
        assert_eq!(shown["state"], "suspended");
    }
}

#[test]
fn a_trigger_that_is_lifted_in_time_stops_nothing() {
    let (mut net, contacts, events) = mutual(751);
    change(&mut net, PLATFORM, &contacts, suspend()).unwrap();
    later(&mut net, 5 * MINUTE_MS);
    change(&mut net, LOCKERS, &events, reciprocate(&contacts, None)).unwrap();
    let given = net.world.now();
    until(&mut net, given.plus_ms(DAY_MS));
    change(&mut net, PLATFORM, &contacts, AgreementChange::Resume).unwrap();
    until(&mut net, given.plus_ms(NOTICE + HOUR_MS));
    for at in [PLATFORM, LOCKERS] {
        assert_eq!(state_of(&mut net, at, &events), "IN_FORCE");
    }
    for shown in seen(&mut net) {
        assert_eq!(
            (&shown["state"], &shown["suspendsAt"]),
            (&"in-force".into(), &Value::Null)
        );
    }
}

#[test]
fn nothing_else_is_answered_and_nothing_else_is_stopped() {
    let (mut net, contacts, events) = mutual(752);
    let refused = |net: &mut Network, at, agreement: &WireId, what: AgreementChange| {
        let problem = change(net, at, agreement, what).unwrap_err();
        (problem.status, problem.kind)
    };
    let no = (409, "not-possible".to_owned());
    // Nobody has stopped anything.
    let answer = reciprocate(&contacts, None);
    assert_eq!(refused(&mut net, LOCKERS, &events, answer), no);
    // Silence is no reason, however long.
    net.world.cut(PLATFORM, LOCKERS, true);
    until(&mut net, MIDNIGHT.plus_ms(DAY_MS));
    let answer = reciprocate(&contacts, None);
    assert_eq!(refused(&mut net, LOCKERS, &events, answer), no);
    // Nor is a stop of which the other's log has not told us yet.
    change(&mut net, PLATFORM, &contacts, suspend()).unwrap();
    let answer = reciprocate(&contacts, None);
    assert_eq!(refused(&mut net, LOCKERS, &events, answer), no);
    net.world.cut(PLATFORM, LOCKERS, false);
    until(&mut net, MIDNIGHT.plus_ms(DAY_MS + HOUR_MS));
    // Too short a notice.
    let soon = net.world.now().plus_ms(THREE_DAYS - MINUTE_MS);
    let short = refused(
        &mut net,
        LOCKERS,
        &events,
        reciprocate(&contacts, Some(soon)),
    );
    assert_eq!(short, (422, "notice-too-short".into()));
    // Who stopped first does not answer itself; contacts, which messages depend on, are never stopped so.
    let own = reciprocate(&contacts, None);
    assert_eq!(refused(&mut net, PLATFORM, &events, own), no);
    change(&mut net, PLATFORM, &contacts, AgreementChange::Resume).unwrap();
    change(&mut net, LOCKERS, &events, suspend()).unwrap();
    later(&mut net, 5 * MINUTE_MS);
    let answer = reciprocate(&events, None);
    assert_eq!(refused(&mut net, PLATFORM, &contacts, answer), no);
    // After the end there is only run-off, which nobody stops.
    change(&mut net, LOCKERS, &events, AgreementChange::Resume).unwrap();
    until(&mut net, MIDNIGHT.plus_ms(28 * DAY_MS));
    assert_eq!(state_of(&mut net, LOCKERS, &events), "RUN_OFF");
    let answer = reciprocate(&contacts, None);
    assert_eq!(refused(&mut net, LOCKERS, &events, answer), no);
}

/// Offers `dataset` to whoever wants it and has the other party take it; the agreement.
fn agree_on(net: &mut Network, provider: NodeIx, consumer: NodeIx, dataset: Dataset) -> WireId {
    let mut open = terms(dataset, MIDNIGHT, MIDNIGHT.plus_ms(27 * DAY_MS), &[]);
    (open.run_off_ms, open.backlog, open.reciprocate) = (None, None, true);
    let id = WireId::parse(dataset.as_str()).unwrap();
    let offer = OfferPut {
        id: id.clone(),
        dataset: dataset.into(),
        policy: open.to_policy(),
        audience: Vec::new(),
        auto_accept: true,
    };
    ok(net.world.local(provider, LocalRequest::PublishOffer(offer)));
    let partner = net.world.id(provider).unwrap().clone();
    let ask = LocalRequest::Propose {
        partner,
        offers: vec![id],
        policies: Vec::new(),
    };
    ok(net.world.local(consumer, ask));
    net.world.settle();
    agreement_on(net, provider, dataset)
}

#[test]
fn a_stop_in_return_is_no_reason_for_another() {
    let (mut net, _, events) = mutual(753);
    let stations = agree_on(&mut net, LOCKERS, PLATFORM, Dataset::LockerStations);
    let statistics = agree_on(&mut net, PLATFORM, LOCKERS, Dataset::ExchangeStatistics);
    change(&mut net, LOCKERS, &events, suspend()).unwrap();
    later(&mut net, 5 * MINUTE_MS);
    change(&mut net, PLATFORM, &statistics, reciprocate(&events, None)).unwrap();
    later(&mut net, NOTICE + 10 * MINUTE_MS);
    for at in [PLATFORM, LOCKERS] {
        assert_eq!(state_of(&mut net, at, &statistics), "SUSPENDED");
    }
    let answer = reciprocate(&statistics, None);
    let refused = change(&mut net, LOCKERS, &stations, answer).unwrap_err();
    assert_eq!(refused.kind, "not-possible");
    // Stopped anew, without notice, it is one.
    change(&mut net, PLATFORM, &statistics, AgreementChange::Resume).unwrap();
    change(&mut net, PLATFORM, &statistics, suspend()).unwrap();
    later(&mut net, 5 * MINUTE_MS);
    let answer = reciprocate(&statistics, None);
    change(&mut net, LOCKERS, &stations, answer).unwrap();
    net.assert_replay_of(&[PLATFORM, LOCKERS, BUREAU]);
}

#[test]
fn a_notice_that_did_not_come_in_time_comes_to_nothing() {
    // For longer than the notice, and for so long that too little of it would be left.
    for (seed, dark_ms) in [(754, NOTICE + HOUR_MS), (755, 2 * HOUR_MS)] {
        let (mut net, contacts, events) = mutual(seed);
        change(&mut net, PLATFORM, &contacts, suspend()).unwrap();
        later(&mut net, 5 * MINUTE_MS);
        net.world.cut(PLATFORM, LOCKERS, true);
        change(&mut net, LOCKERS, &events, reciprocate(&contacts, None)).unwrap();
        let given = net.world.now();
        later(&mut net, dark_ms);
        net.world.cut(PLATFORM, LOCKERS, false);
        until(&mut net, given.plus_ms(NOTICE + 2 * DAY_MS));
        for at in [PLATFORM, LOCKERS] {
            assert_eq!(state_of(&mut net, at, &events), "IN_FORCE", "{dark_ms}");
        }
        for shown in seen(&mut net) {
            assert_eq!(shown["suspendsAt"], Value::Null, "{shown}");
        }
    }
    // A short outage does no harm.
    let (mut net, contacts, events) = mutual(756);
    change(&mut net, PLATFORM, &contacts, suspend()).unwrap();
    later(&mut net, 5 * MINUTE_MS);
    net.world.cut(PLATFORM, LOCKERS, true);
    change(&mut net, LOCKERS, &events, reciprocate(&contacts, None)).unwrap();
    later(&mut net, 10 * MINUTE_MS);
    net.world.cut(PLATFORM, LOCKERS, false);
    later(&mut net, NOTICE);
    assert_eq!(state_of(&mut net, PLATFORM, &events), "SUSPENDED");
}

/// What becomes of a notice with the evidence that its sender's log really holds.
fn noticed(net: &mut Network, from: NodeIx, to: NodeIx, body: Notice) -> String {
    let envelope = Envelope {
        evidence: evidence_toward(net, from, to),
        body,
    };
    let id = net.world.id(from).unwrap().clone();
    match net.world.peer(to, &id, &PeerRequest::Notice(envelope)) {
        Some(PeerAnswer::Problem(problem)) => problem.kind,
        Some(PeerAnswer::Evidence(_)) => "taken".into(),
        other => panic!("no answer: {other:?}"),
    }
}

// tidy: long, one notice after another
#[test]
fn a_notice_is_taken_from_the_provider_for_what_we_stopped_and_long_enough_ahead() {
    let (mut net, contacts, events) = mutual(757);
    let in_time = net.world.now().plus_ms(NOTICE);
    let notice = |agreement: &WireId, trigger: &WireId, at| Notice::Reciprocity {
        agreement: agreement.clone(),
        trigger: trigger.clone(),
        at,
        reason: "you <b>stopped</b> first ".repeat(1_000),
    };
    let none = WireId::parse("urn:none").unwrap();
    let refused = |net: &mut Network, from, to, body| {
        let before = net.world.node(to).unwrap().state().book.clone();
        let kind = noticed(net, from, to, body);
        assert_eq!(net.world.node(to).unwrap().state().book, before);
        kind
    };
    let ours = notice(&events, &contacts, Some(in_time));
    // We have stopped nothing.
    assert_eq!(
        refused(&mut net, LOCKERS, PLATFORM, ours.clone()),
        "notice-refused"
    );
    change(&mut net, PLATFORM, &contacts, suspend()).unwrap();
    for (from, to, body, kind) in [
        // Of an agreement that is none, or somebody else's.
        (
            LOCKERS,
            PLATFORM,
            notice(&none, &contacts, Some(in_time)),
            "not-found",
        ),
        (BUREAU, PLATFORM, ours.clone(), "not-found"),
        // In return for one that is none, or for itself.
        (
            LOCKERS,
            PLATFORM,
            notice(&events, &none, Some(in_time)),
            "notice-refused",
        ),
        (
            LOCKERS,
            PLATFORM,
            notice(&events, &events, Some(in_time)),
            "notice-refused",
        ),
        // By its consumer; of contacts, which messages depend on.
        (PLATFORM, LOCKERS, ours.clone(), "notice-refused"),
        (
            PLATFORM,
            LOCKERS,
            notice(&contacts, &events, Some(in_time)),
            "notice-refused",
        ),
    ] {
        assert_eq!(refused(&mut net, from, to, body), kind);
    }
    // Too soon, in the past, and after the end of all time.
    for at in [
        net.world.now().plus_ms(THREE_DAYS - HOUR_MS),
        MIDNIGHT,
        Timestamp::from_millis(i64::MIN),
        Timestamp::from_millis(i64::MAX),
    ] {
        let body = notice(&events, &contacts, Some(at));
        assert_eq!(
            refused(&mut net, LOCKERS, PLATFORM, body),
            "notice-refused",
            "{at:?}"
        );
    }
    // What was never announced can be taken back: nothing changes.
    let back = notice(&events, &contacts, None);
    assert_eq!(refused(&mut net, LOCKERS, PLATFORM, back.clone()), "taken");
    // A good one, and the same again.
    assert_eq!(noticed(&mut net, LOCKERS, PLATFORM, ours.clone()), "taken");
    assert_eq!(refused(&mut net, LOCKERS, PLATFORM, ours), "taken");
    let kept = |net: &Network| {
        let book = &net.world.node(PLATFORM).unwrap().state().book;
        let notice = &book.reciprocities[&events];
        assert!(notice.reason.len() <= 2_000, "what is kept is bounded");
        notice.ahead()
    };
    assert_eq!(kept(&net), Some(in_time));
    assert_eq!(noticed(&mut net, LOCKERS, PLATFORM, back), "taken");
    assert_eq!(kept(&net), None);
    // `stopped` says nothing that the log does not.
    let stopped = |agreement: &WireId| Notice::Stopped {
        agreement: agreement.clone(),
    };
    let id = events.clone();
    assert_eq!(refused(&mut net, LOCKERS, PLATFORM, stopped(&id)), "taken");
    assert_eq!(
        refused(&mut net, BUREAU, PLATFORM, stopped(&id)),
        "not-found"
    );
}
