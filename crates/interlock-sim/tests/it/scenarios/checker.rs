//! What may and must be released in a scenario, from its file alone: no function that decides is asked.
//!
//! An event may be at its owner if there was an instant, not before it arose, at which an agreement
//! covered it and the two nodes reached each other. It must be there if such instants lasted for longer
//! than a retry takes. In between, either is right.

use interlock::node::state::LedgerOutcome;
use interlock_core::time::{HOUR_MS, Timestamp};
use interlock_core::waybill::Waybill;
use interlock_sim::NodeIx;

use super::format::at;
use super::runner::{Agreed, Run};
use crate::support::*;

/// After so long in reach, everything that may be released has been: longer than any retry waits, and
/// than a poll that was lost.
const SURELY_MS: i64 = 7 * HOUR_MS;
/// Notices and starts take this long at most.
const SOON_MS: i64 = HOUR_MS / 2;

/// From and until.
type Window = (Timestamp, Timestamp);

/// Windows in which an event of Cainiao's may leave that arose at `arose`, of a parcel that its source
/// has had since `known`.
fn windows(run: &Run, arose: Timestamp, known: Timestamp) -> Vec<Window> {
    let run_off_ms = run.scenario.run_off_hours * HOUR_MS;
    let mut windows = Vec::new();
    for Agreed {
        from,
        until,
        covers_from,
    } in &run.agreed
    {
        if arose >= *covers_from {
            windows.push((*from, *until));
        }
        if known < *until {
            windows.push((*until, until.plus_ms(run_off_ms)));
        }
    }
    windows
}

/// How long, in total, the windows are open and the two reach each other, from `arose` to the end.
fn reach_ms(run: &Run, windows: &[Window], between: [NodeIx; 2], arose: Timestamp) -> i64 {
    let end = at(run.scenario.last_hour);
    let mut cuts: Vec<Timestamp> = vec![arose, end];
    let apart = || run.apart.iter().filter(|(pair, _, _)| *pair == between);
    cuts.extend(windows.iter().flat_map(|(from, until)| [*from, *until]));
    cuts.extend(apart().flat_map(|(_, from, until)| [*from, *until]));
    cuts.retain(|cut| (arose..=end).contains(cut));
    cuts.sort_unstable();
    let mut reach_ms = 0;
    for (from, until) in cuts.iter().zip(cuts.iter().skip(1)) {
        let inside = |(begin, end): &Window| begin <= from && until <= end;
        let cut_off = apart().any(|(_, begin, end)| begin <= from && until <= end);
        if windows.iter().any(inside) && !cut_off {
            reach_ms += until.since_ms(*from);
        }
    }
    reach_ms
}

pub fn check(run: &mut Run) {
    events(run);
    scans(run);
    contacts(run);
    rivals(run);
    run.net.assert_all_evidence_is_mirrored();
    run.net.assert_replay_gives_the_same();
    for ix in ALL {
        let counters = &run.net.world.node(ix).unwrap().state().counters;
        let wrong = (counters.events_duplicate, counters.events_out_of_order);
        assert_eq!(wrong, (0, 0), "at {ix}");
    }
    let sent = &run.net.world.sent;
    let inside = run.scans.iter().filter(|scan| scan.opened).count();
    assert!(sent.len() <= inside, "one message for a deposit at most");
    assert_eq!(sent.is_empty(), inside == 0, "recipients are told");
}

// tidy: long, one walk over the events of every parcel
/// Every event is where it must be, and nowhere where it may not, once and in order.
fn events(run: &mut Run) {
    let (mut waits, mut never) = (0, 0);
    for parcel in &run.parcels {
        let waybill = Waybill::parse("sf", &parcel.number).unwrap();
        for source in [SF, FENGCHAO] {
            let of = |ix: NodeIx| {
                run.net
                    .world
                    .node(ix)
                    .unwrap()
                    .state()
                    .parcels
                    .find(&waybill)
            };
            let Some(known) = of(source) else { continue };
            let me = run.net.world.id(source);
            let there = of(parcel.owner);
            let arrived: Vec<u32> = there
                .iter()
                .flat_map(|p| &p.events)
                .filter(|e| e.from.as_ref() == me)
                .map(|e| e.event.number)
                .collect();
            assert!(
                arrived.is_sorted_by(|a, b| a < b),
                "{}: {arrived:?}",
                parcel.number
            );
            // A carrier has a parcel from its announcement on, an operator from its first deposit on.
            let mut own = known.events.iter().filter(|e| e.from.is_none());
            let qualified = match source {
                FENGCHAO => own.next().map_or(at(365 * 24), |e| e.logged_at),
                _ => known.registered_at,
            };
            for event in known.events.iter().filter(|e| e.from.is_none()) {
                let arose = event.logged_at;
                let between = if source < parcel.owner {
                    [source, parcel.owner]
                } else {
                    [parcel.owner, source]
                };
                let windows = match parcel.owner {
                    CAINIAO => windows(run, arose, qualified),
                    _ => vec![(at(-60 * 24), at(365 * 24))],
                };
                let reach_ms = reach_ms(run, &windows, between, arose);
                let is_there = arrived.contains(&event.event.number);
                let place = format!(
                    "{} of {source} that arose {} min from the midnight, in reach for {} min",
                    parcel.number,
                    arose.since_ms(MIDNIGHT) / 60_000,
                    reach_ms / 60_000
                );
                assert!(is_there || reach_ms < SURELY_MS, "missing: {place}");
                assert!(!is_there || reach_ms > 0, "released outside terms: {place}");
                waits += usize::from(!is_there);
            }
        }
    }
    let mut held = 0;
    for source in [SF, FENGCHAO] {
        let state = run.net.world.node(source).unwrap().state();
        for feed in state.channels.values().flat_map(|c| c.outbound.values()) {
            held += feed.held() as usize;
            never += feed.dropped as usize;
        }
    }
    assert_eq!(
        waits,
        held + never,
        "what is not there waits, or was dropped"
    );
    (run.waits, run.never) = (held, never);
}

/// Couriers were let in where the contact could be had, and nowhere else.
fn scans(run: &Run) {
    for scan in &run.scans {
        let parcel = &run.parcels[scan.parcel];
        let windows = match parcel.owner {
            CAINIAO => windows(run, scan.at, parcel.put_at),
            _ => vec![(at(-60 * 24), at(365 * 24))],
        };
        let open = |at: Timestamp| {
            windows
                .iter()
                .any(|(from, until)| (*from..*until).contains(&at))
        };
        let apart = run.apart.iter().any(|(pair, from, until)| {
            *pair == [CAINIAO, FENGCHAO] && *from <= scan.at && scan.at <= until.plus_ms(SOON_MS)
        });
        let place = format!(
            "{} scanned {} min from the midnight: {}",
            parcel.number,
            scan.at.since_ms(MIDNIGHT) / 60_000,
            scan.refusal
        );
        if scan.opened {
            assert!(open(scan.at), "let in though nobody could tell: {place}");
        } else {
            // An owner that is not reached does not stop a deposit either; one whose term ends does.
            let sure = open(scan.at) && open(scan.at.plus_ms(SOON_MS)) && !apart;
            assert!(
                !sure,
                "turned away though the owner could be asked: {place}"
            );
        }
    }
}

/// By the owner's ledger: no contact left outside a term and its run-off.
fn contacts(run: &Run) {
    let state = run.net.world.node(CAINIAO).unwrap().state();
    for entry in state.ledger.iter() {
        if let LedgerOutcome::Contact { parcel, .. } = &entry.outcome {
            let known = state.parcels.get(*parcel).unwrap().registered_at;
            let windows = windows(run, entry.at, known);
            let open = |(from, until): &Window| (*from..*until).contains(&entry.at);
            assert!(windows.iter().any(open), "a contact at {:?}", entry.at);
        }
    }
}

/// Nobody knows a parcel of another platform.
fn rivals(run: &Run) {
    for parcel in &run.parcels {
        let waybill = Waybill::parse("sf", &parcel.number).unwrap();
        let rival = if parcel.owner == JD { CAINIAO } else { JD };
        let state = run.net.world.node(rival).unwrap().state();
        assert!(state.parcels.find(&waybill).is_none(), "{}", parcel.number);
    }
}
