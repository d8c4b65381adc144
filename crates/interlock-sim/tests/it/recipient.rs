//! What recipients do at their own page: more time once, somebody else who fetches, and no one else's.

use interlock::node::content::LinkKind;
use interlock::node::io::{
    DepositAction, Extension, LocalAnswer, LocalRequest, PageRequest, Report,
};
use interlock::pages::{CodeView, DelegateView, DoneView, PickupState, PickupView, ReportView};
use interlock_core::time::{DAY_MS, HOUR_MS};
use interlock_core::waybill::Waybill;
use interlock_sim::NodeIx;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::*;

const NUMBER: &str = "SF1000000000001";
const OTHER: &str = "SF1000000000002";

type Digest = [u8; 32];

fn digest(token: &str) -> Digest {
    Sha256::digest(token.as_bytes()).into()
}

/// The digest of a parcel's pick-up link at a node.
fn link(net: &Network, ix: NodeIx, number: &str) -> Digest {
    let state = net.world.node(ix).unwrap().state();
    let waybill = Waybill::parse("sf", number).unwrap();
    let parcel = state.parcels.find(&waybill).unwrap();
    digest(&state.links.token(LinkKind::Pickup, parcel.id))
}

fn view(net: &mut Network, ix: NodeIx, request: PageRequest) -> Option<PickupView> {
    let answer = net.world.page(ix, request).unwrap();
    if let LocalAnswer::Problem(problem) = &answer {
        assert_eq!(problem.status, 404);
        return None;
    }
    let LocalAnswer::Pickup(view) = answer else {
        panic!("no pick-up page");
    };
    Some(*view)
}

fn given(view: &PickupView) -> Digest {
    let DelegateView::Given { url } = &view.delegate else {
        panic!("{:?}", view.delegate);
    };
    digest(url.rsplit('/').next().unwrap())
}

/// Two parcels in lockers of Fengchao's; gives the deposit of the one that it is about.
fn two_in_lockers(seed: u64) -> (Network, Value) {
    let mut net = Network::of_june_2017(seed);
    net.put_station(FENGCHAO, "FC0001", 4);
    let mut first = Value::Null;
    for (number, key) in [(OTHER, "k2"), (NUMBER, "k1")] {
        net.put_parcel(number, "taobao", CAINIAO, "13877665544");
        net.world.settle();
        let deposit = net.deposit(FENGCHAO, number, "FC0001", key).unwrap();
        net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
            .unwrap();
        net.world.settle();
        first = deposit;
    }
    (net, first)
}

#[test]
fn a_recipient_has_more_time_once_even_after_the_deadline() {
    let (mut net, _) = two_in_lockers(940);
    let mine = link(&net, FENGCHAO, NUMBER);
    let before = view(&mut net, FENGCHAO, PageRequest::Pickup(mine)).unwrap();
    let PickupState::Deposited { until } = before.state else {
        panic!("{:?}", before.state);
    };
    assert_eq!(before.later, Some(until.plus_ms(24 * HOUR_MS)));
    let owners = link(&net, CAINIAO, NUMBER);
    let told = view(&mut net, CAINIAO, PageRequest::Pickup(owners)).unwrap();
    assert!(
        matches!(told.state, PickupState::Deposited { until: told } if told == until),
        "{:?}",
        told.state
    );
    net.world.run_until(until.plus_ms(HOUR_MS));
    let late = view(&mut net, FENGCHAO, PageRequest::Pickup(mine)).unwrap();
    assert!(matches!(late.state, PickupState::Overdue { .. }));
    let after = view(&mut net, FENGCHAO, PageRequest::Later(mine)).unwrap();
    assert_eq!(after.done, Some(DoneView::Later));
    let later = until.plus_ms(24 * HOUR_MS);
    assert!(
        matches!(after.state, PickupState::Deposited { until } if until == later),
        "{:?}",
        after.state
    );
    assert!(
        matches!(after.code, CodeView::Hidden),
        "and it can be opened"
    );
    let again = view(&mut net, FENGCHAO, PageRequest::Later(mine)).unwrap();
    assert_eq!((again.done, again.later), (None, None), "once");
    let other = link(&net, FENGCHAO, OTHER);
    let other = view(&mut net, FENGCHAO, PageRequest::Pickup(other)).unwrap();
    assert!(
        matches!(other.state, PickupState::Overdue { .. }),
        "its own alone"
    );
    // An owner's page gives no time in a locker that is not its own.
    let asked = view(&mut net, CAINIAO, PageRequest::Later(owners)).unwrap();
    assert_eq!((asked.done, asked.later), (None, None));
    // It is told of the time that the operator gave.
    net.world.settle();
    let told = view(&mut net, CAINIAO, PageRequest::Pickup(owners)).unwrap();
    assert!(
        matches!(told.state, PickupState::Deposited { until } if until == later),
        "{:?}",
        told.state
    );
    net.world.run_until(later.plus_ms(HOUR_MS));
    let end = view(&mut net, FENGCHAO, PageRequest::Pickup(mine)).unwrap();
    assert!(
        matches!(end.state, PickupState::Overdue { .. }),
        "{:?}",
        end.state
    );
}

#[test]
fn somebody_else_fetches_it_by_a_link_that_can_be_withdrawn_and_ends_with_the_stay() {
    let (mut net, deposit) = two_in_lockers(941);
    let mine = link(&net, FENGCHAO, NUMBER);
    let made = view(&mut net, FENGCHAO, PageRequest::Delegate(mine)).unwrap();
    assert_eq!(made.done, Some(DoneView::Delegated));
    let theirs = given(&made);
    let again = view(&mut net, FENGCHAO, PageRequest::Delegate(mine)).unwrap();
    assert_eq!(
        given(&again),
        theirs,
        "one link, however often it is asked for"
    );

    let shown = view(&mut net, FENGCHAO, PageRequest::Delegated(theirs)).unwrap();
    assert!(shown.is_delegates && shown.station.is_some());
    assert!(shown.accesses.is_empty() && shown.merchant.is_none() && !shown.number_held);
    assert_eq!((&shown.delegate, shown.later), (&DelegateView::No, None));
    assert!(matches!(shown.code, CodeView::Hidden));
    let code = view(&mut net, FENGCHAO, PageRequest::DelegatedCode(theirs)).unwrap();
    let CodeView::Shown { code, .. } = code.code else {
        panic!("{:?}", code.code);
    };
    // What is theirs is no pick-up link, and the other way round.
    for request in [
        PageRequest::Pickup(theirs),
        PageRequest::ShowCode(theirs),
        PageRequest::Erase(theirs),
        PageRequest::Later(theirs),
        PageRequest::Delegate(theirs),
        PageRequest::Withdraw(theirs),
        PageRequest::Delegated(mine),
        PageRequest::DelegatedCode(mine),
        PageRequest::Delegated([7; 32]),
    ] {
        assert!(view(&mut net, FENGCHAO, request).is_none());
    }
    // Nor does a replay of the journal forget it.
    net.assert_replay_of(&[FENGCHAO]);
    assert!(view(&mut net, FENGCHAO, PageRequest::Delegated(theirs)).is_some());

    let withdrawn = view(&mut net, FENGCHAO, PageRequest::Withdraw(mine)).unwrap();
    assert_eq!(withdrawn.done, Some(DoneView::Withdrawn));
    assert_eq!(withdrawn.delegate, DelegateView::Possible);
    assert!(view(&mut net, FENGCHAO, PageRequest::DelegatedCode(theirs)).is_none());
    let nothing = view(&mut net, FENGCHAO, PageRequest::Withdraw(mine)).unwrap();
    assert_eq!(nothing.done, None);

    let second = view(&mut net, FENGCHAO, PageRequest::Delegate(mine)).unwrap();
    let second = given(&second);
    assert_ne!(second, theirs, "what was withdrawn does not come back");
    let open = DepositAction::Open { code };
    net.advance(FENGCHAO, &deposit, open).unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::PickUp)
        .unwrap();
    net.world.settle();
    assert!(view(&mut net, FENGCHAO, PageRequest::Delegated(second)).is_none());
    let over = view(&mut net, FENGCHAO, PageRequest::Delegate(mine)).unwrap();
    assert_eq!((over.done, over.delegate), (None, DelegateView::No));
}

#[test]
fn a_link_ends_a_week_after_the_pick_up_for_whatever_it_asks() {
    let (mut net, deposit) = two_in_lockers(942);
    let mine = link(&net, FENGCHAO, NUMBER);
    let shown = view(&mut net, FENGCHAO, PageRequest::ShowCode(mine)).unwrap();
    let CodeView::Shown { code, .. } = shown.code else {
        panic!("{:?}", shown.code);
    };
    let open = DepositAction::Open { code };
    net.advance(FENGCHAO, &deposit, open).unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::PickUp)
        .unwrap();
    net.world.settle();
    let over = net.world.now();
    net.world.run_until(over.plus_ms(7 * DAY_MS - HOUR_MS));
    let last = view(&mut net, FENGCHAO, PageRequest::Pickup(mine)).unwrap();
    assert!(matches!(last.state, PickupState::PickedUp { .. }));
    net.world.run_until(over.plus_ms(7 * DAY_MS + HOUR_MS));
    for request in [
        PageRequest::Pickup(mine),
        PageRequest::ShowCode(mine),
        PageRequest::Erase(mine),
        PageRequest::Later(mine),
        PageRequest::Delegate(mine),
        PageRequest::Withdraw(mine),
        PageRequest::Report(mine, Report::Stuck),
    ] {
        assert!(view(&mut net, FENGCHAO, request).is_none());
    }
    let other = link(&net, FENGCHAO, OTHER);
    assert!(view(&mut net, FENGCHAO, PageRequest::Pickup(other)).is_some());
}

/// Whom the telephone system of Fengchao's is told to ring: status and courier.
fn rung(net: &mut Network, extension: &str) -> (u16, String) {
    let request = LocalRequest::GetCall(Extension::parse(extension).unwrap());
    match net.world.local(FENGCHAO, request).unwrap() {
        LocalAnswer::Json { status, body } => {
            let text = body.to_string();
            assert!(!text.contains("665544"), "a phone is in {text}");
            (status, body["courier"].as_str().unwrap().to_owned())
        }
        LocalAnswer::Problem(problem) => (problem.status, String::new()),
        LocalAnswer::Events(_)
        | LocalAnswer::Tracking(_)
        | LocalAnswer::Pickup(_)
        | LocalAnswer::Person(_) => panic!("a page, or events"),
    }
}

#[test]
fn a_recipient_calls_the_courier_behind_a_number_that_ends_with_the_stay() {
    let (mut net, deposit) = two_in_lockers(943);
    let mine = link(&net, FENGCHAO, NUMBER);
    let seen = view(&mut net, FENGCHAO, PageRequest::Pickup(mine)).unwrap();
    let call = seen.call.expect("a number for the courier");
    assert_eq!(call.number, "+8618877772222", "the operator's own");
    assert_eq!(rung(&mut net, &call.extension), (200, "c7".into()));
    let other = link(&net, FENGCHAO, OTHER);
    let other = view(&mut net, FENGCHAO, PageRequest::Pickup(other)).unwrap();
    let other = other.call.expect("a number for the courier");
    assert_ne!(other.extension, call.extension, "one for each parcel");
    let nobody = format!(
        "{:08}",
        (call.extension.parse::<u32>().unwrap() + 1) % 100_000_000
    );
    assert_eq!(rung(&mut net, &nobody).0, 404);

    // Neither the owner's page nor that of somebody who is sent has it.
    let owners = link(&net, CAINIAO, NUMBER);
    let owners = view(&mut net, CAINIAO, PageRequest::Pickup(owners)).unwrap();
    assert_eq!(owners.call, None);
    let made = view(&mut net, FENGCHAO, PageRequest::Delegate(mine)).unwrap();
    let theirs = PageRequest::Delegated(given(&made));
    assert_eq!(view(&mut net, FENGCHAO, theirs).unwrap().call, None);

    // It is the same after the deadline and after a replay.
    net.world.run_until(net.world.now().plus_ms(2 * DAY_MS));
    net.assert_replay_of(&[FENGCHAO]);
    let late = view(&mut net, FENGCHAO, PageRequest::Pickup(mine)).unwrap();
    assert_eq!(late.call.as_ref(), Some(&call));
    net.advance(FENGCHAO, &deposit, DepositAction::Recall)
        .unwrap();
    let over = view(&mut net, FENGCHAO, PageRequest::Pickup(mine)).unwrap();
    assert_eq!(over.call, None);
    assert_eq!(rung(&mut net, &call.extension).0, 404);
    assert_eq!(
        rung(&mut net, &other.extension).0,
        200,
        "the other's works on"
    );
}

#[test]
fn nobody_is_called_once_it_is_not_known_any_more_who_the_courier_was() {
    let (mut net, _) = two_in_lockers(944);
    let mine = link(&net, FENGCHAO, NUMBER);
    let seen = view(&mut net, FENGCHAO, PageRequest::Pickup(mine)).unwrap();
    let call = seen.call.expect("a number for the courier");
    net.world.run_until(net.world.now().plus_ms(60 * DAY_MS));
    assert_eq!(rung(&mut net, &call.extension).0, 404);
    let seen = view(&mut net, FENGCHAO, PageRequest::Pickup(mine)).unwrap();
    assert_eq!(seen.call, None);
}

/// Kinds and texts of the alerts of a node about a parcel, and which parcel.
fn reports(net: &mut Network, ix: NodeIx) -> Vec<(String, String, String)> {
    let alerts = ok(net.world.local(ix, LocalRequest::GetAlerts));
    let items = alerts["items"].as_array().unwrap().iter();
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let kinds = ["door-stuck", "compartment-empty"];
    let told = items.filter(|item| kinds.contains(&item["kind"].as_str().unwrap()));
    told.map(|item| {
        (
            text(item, "kind"),
            text(item, "parcel"),
            text(item, "detail"),
        )
    })
    .collect()
}

#[test]
// tidy: long, one stay and the next
fn what_is_wrong_at_the_locker_is_told_to_its_operator_once_a_stay() {
    let (mut net, deposit) = two_in_lockers(945);
    let mine = link(&net, FENGCHAO, NUMBER);
    let possible = |stuck, empty| ReportView::Possible { stuck, empty };
    let before = view(&mut net, FENGCHAO, PageRequest::Pickup(mine)).unwrap();
    assert_eq!(before.report, possible(None, None));
    assert!(
        reports(&mut net, FENGCHAO).is_empty(),
        "a look tells nobody"
    );
    let stuck = PageRequest::Report(mine, Report::Stuck);
    let at = net.world.now();
    let after = view(&mut net, FENGCHAO, stuck).unwrap();
    assert_eq!(after.done, Some(DoneView::Reported));
    assert_eq!(after.report, possible(Some(at), None));
    assert!(matches!(after.state, PickupState::Deposited { .. }));
    assert!(
        matches!(after.code, CodeView::Hidden),
        "nothing else changed"
    );
    let told = reports(&mut net, FENGCHAO);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (&*told[0].0, &*told[0].1),
        ("door-stuck", &*format!("sf/{NUMBER}"))
    );
    assert!(told[0].2.contains("`FC0001`"), "{told:?}");
    assert!(!told[0].2.contains("665544"), "no phone");

    // Said again it is not told again, after a restart neither; the other is.
    net.world.kill(FENGCHAO);
    assert!(net.world.restart(FENGCHAO));
    let stuck = PageRequest::Report(mine, Report::Stuck);
    let again = view(&mut net, FENGCHAO, stuck).unwrap();
    assert_eq!(again.done, Some(DoneView::Reported));
    assert_eq!(reports(&mut net, FENGCHAO).len(), 1);
    let empty = PageRequest::Report(mine, Report::Empty);
    assert_eq!(
        view(&mut net, FENGCHAO, empty).unwrap().done,
        Some(DoneView::Reported)
    );
    assert_eq!(reports(&mut net, FENGCHAO).len(), 2);

    // Neither at the owner's page nor at that of somebody who is sent.
    let owners = link(&net, CAINIAO, NUMBER);
    let asked = PageRequest::Report(owners, Report::Stuck);
    let asked = view(&mut net, CAINIAO, asked).unwrap();
    assert_eq!((asked.done, asked.report), (None, ReportView::No));
    assert!(reports(&mut net, CAINIAO).is_empty());
    let made = view(&mut net, FENGCHAO, PageRequest::Delegate(mine)).unwrap();
    let theirs = given(&made);
    let shown = view(&mut net, FENGCHAO, PageRequest::Delegated(theirs)).unwrap();
    assert_eq!(shown.report, ReportView::No);
    let theirs = PageRequest::Report(theirs, Report::Stuck);
    assert!(view(&mut net, FENGCHAO, theirs).is_none());

    // Of what is out nothing is told; a parcel that lies there again is another stay.
    net.advance(FENGCHAO, &deposit, DepositAction::Recall)
        .unwrap();
    net.world.settle();
    let gone = PageRequest::Report(mine, Report::Stuck);
    let gone = view(&mut net, FENGCHAO, gone).unwrap();
    assert_eq!((gone.done, gone.report), (None, ReportView::No));
    assert_eq!(reports(&mut net, FENGCHAO).len(), 2);
    net.world.run_until(net.world.now().plus_ms(HOUR_MS));
    let again = net.deposit(FENGCHAO, NUMBER, "FC0001", "k9").unwrap();
    net.advance(FENGCHAO, &again, DepositAction::Confirm)
        .unwrap();
    net.world.settle();
    let anew = view(&mut net, FENGCHAO, PageRequest::Pickup(mine)).unwrap();
    assert_eq!(anew.report, possible(None, None));
    let stuck = PageRequest::Report(mine, Report::Stuck);
    view(&mut net, FENGCHAO, stuck).unwrap();
    assert_eq!(reports(&mut net, FENGCHAO).len(), 3);
    net.assert_replay_of(&[FENGCHAO]);
}
