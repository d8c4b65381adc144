//! What looks at all open parcels does so a stretch a step: nobody else waits for it.

use interlock_core::contact::{Phone, Recipient};
use interlock_core::ids::Marketplace;
use interlock_core::parcel::{Consent, Preference};
use interlock_core::waybill::Waybill;

use super::*;
use crate::node::io::ParcelPut;

/// More than two steps look at.
const PARCELS: u64 = 2_500;

fn parcel(number: u64) -> ParcelPut {
    ParcelPut {
        waybill: Waybill::parse("sf", &format!("SF1{number:012}")).unwrap(),
        issued_at: None,
        marketplace: Marketplace::parse("taobao").unwrap(),
        merchant: None,
        owner: None,
        recipient: Some(Recipient {
            name: "Li Lei".into(),
            phone: Phone::parse(&format!("139{number:08}")).unwrap(),
            address: "Wensan Road 90".into(),
        }),
        size_class: None,
        consent: Consent::Unknown,
        preference: Preference::default(),
        lockers: vec![],
    }
}

/// An agreement in force, and parcels at its provider.
fn with_parcels() -> World {
    let mut world = World::new();
    world.publish("o", &stations(), false);
    world.propose(&["o"], &[]);
    world.decide(P, Decision::Approve);
    world.run_until(JUNE);
    world.assert_in_force();
    let all: Vec<u64> = (0..PARCELS).collect();
    for some in all.chunks(500) {
        let parcels = some.iter().map(|number| parcel(*number)).collect();
        let (status, body) = world.local(P, LocalRequest::PutParcels(parcels));
        assert_eq!(status, 200, "{body}");
    }
    world.local.clear();
    world
}

/// Asks, and waits for nothing.
fn ask(world: &mut World, request: LocalRequest) {
    world.replies += 1;
    let input = Input::Local {
        reply: ReplyId(world.replies),
        credential: Some([9; 32]),
        idempotency: None,
        request,
    };
    world.step(P, input);
}

fn rehearse(at: Timestamp) -> LocalRequest {
    LocalRequest::Rehearse {
        at,
        after: 0,
        limit: 10,
    }
}

#[test]
fn others_are_answered_while_a_rehearsal_looks_at_many_parcels() {
    let mut world = with_parcels();
    ask(&mut world, rehearse(JULY));
    assert!(world.local.is_empty(), "it takes more than a step");
    assert!(world.nodes[P].next_wake().unwrap() <= world.now, "goes on");
    let (status, _) = world.local(P, LocalRequest::GetStatus);
    assert_eq!(status, 200, "somebody else is answered first");
    let mut ticks = 0;
    while world.local.is_empty() {
        world.step(P, Input::Tick);
        ticks += 1;
        assert!(ticks < 10, "it ends");
    }
    assert_eq!(ticks, 2, "a thousand parcels a step");
    let Some(LocalAnswer::Json { status: 200, body }) = world.local.pop() else {
        panic!("no rehearsal");
    };
    assert_eq!(body["cooperations"].as_array().unwrap().len(), 1, "{body}");
    // With nothing under way a node sleeps until something else is due.
    assert!(world.nodes[P].next_wake().is_none_or(|at| at > world.now));
}

#[test]
fn rehearsals_wait_for_each_other_and_too_many_are_refused() {
    let mut world = with_parcels();
    for _ in 0..8 {
        ask(&mut world, rehearse(JULY));
    }
    assert!(world.local.is_empty());
    ask(&mut world, rehearse(JULY));
    let Some(LocalAnswer::Problem(problem)) = world.local.pop() else {
        panic!("a ninth is taken");
    };
    assert_eq!(
        (problem.kind.as_str(), problem.status),
        ("rehearsals-under-way", 503)
    );
    for _ in 0..8 * 3 {
        world.step(P, Input::Tick);
    }
    assert_eq!(world.local.len(), 8, "each has its answer");
    ask(&mut world, rehearse(MAY));
    assert!(
        matches!(world.local.pop(), Some(LocalAnswer::Problem(it)) if it.status == 422),
        "the past is refused at once"
    );
}

#[test]
fn an_end_is_warned_of_once_a_lead_however_many_parcels_are_looked_at() {
    let mut world = with_parcels();
    world.run_until(JULY.plus_ms(-1));
    let warnings = &world.nodes[P].state().warnings;
    let mut leads: Vec<i64> = warnings.values().map(|it| it.warning.lead_ms).collect();
    leads.sort_unstable();
    let mut once = leads.clone();
    once.dedup();
    assert_eq!(leads, once, "no lead twice");
    let known = crate::node::warnings::LEADS_MS;
    assert!(leads.iter().all(|lead| known.contains(lead)));
    assert!(leads.len() >= 7, "{leads:?}");
}
