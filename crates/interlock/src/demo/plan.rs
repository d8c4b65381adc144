//! When what is due: the demo's weeks as a list of instants and of things that happen by then.
//!
//! INVARIANT: nothing happens before its time, and nothing later than four hours after it; the midnights
//! of 1 June and 1 July are instants of their own, at which nothing else is due. It does not know nodes.

use std::collections::{BTreeMap, BTreeSet};

use interlock_core::event::Step;
use interlock_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp, Zone};

use super::deal::{MIDNIGHT, TRUCE, TRUCE_ENDS};
use super::parcels::DemoParcel;

/// The day is cut into pieces this long. Every instant costs a round of polls between all nodes.
pub const STEP_MS: i64 = 4 * HOUR_MS;
/// What is due in a piece happens this long before its end, so that the last piece of a day is in it.
const BEFORE_END_MS: i64 = MINUTE_MS;
/// The latest day on which the demo begins: a week before the first midnight.
const BEGIN_MAX: Timestamp = MIDNIGHT.plus_ms(-7 * DAY_MS);
/// 2017-06-01T08:00:00+08:00 and 2017-06-03T08:00:00+08:00: what recipients, buyers and merchants see is
/// looked at.
pub const LOOKS: [Timestamp; 2] = [
    MIDNIGHT.plus_ms(8 * HOUR_MS),
    MIDNIGHT.plus_ms(56 * HOUR_MS),
];

/// 2017-06-28T10:00:00+08:00: the end of the temporary agreement is rehearsed.
pub const REHEARSAL: Timestamp = TRUCE_ENDS.plus_ms(10 * HOUR_MS - 3 * DAY_MS);
/// 2017-06-30T23:59:00+08:00: it is rehearsed once more.
pub const EVE: Timestamp = TRUCE_ENDS.plus_ms(-BEFORE_END_MS);

/// Everything that happens, in order.
#[derive(Debug)]
pub struct Plan {
    /// When the demo begins.
    pub begins: Timestamp,
    /// Instants to which the clock is moved, ascending.
    pub instants: Vec<Timestamp>,
    accepted: Queue<usize>,
    tracked: Queue<(usize, Step)>,
    deposited: Queue<usize>,
}

/// Things due at their times, ascending.
#[derive(Debug)]
struct Queue<T>(BTreeMap<(Timestamp, usize), T>);

impl<T> Queue<T> {
    fn new(things: impl Iterator<Item = (Timestamp, T)>) -> Self {
        let numbered = things.enumerate().map(|(n, (at, thing))| ((at, n), thing));
        Self(numbered.collect())
    }

    /// Takes what is due by `now`.
    fn take(&mut self, now: Timestamp) -> Vec<T> {
        let later = self.0.split_off(&(now.plus_ms(1), 0));
        std::mem::replace(&mut self.0, later)
            .into_values()
            .collect()
    }
}

impl Plan {
    /// The plan for parcels until `end`, which comes last.
    pub fn new(parcels: &[DemoParcel], end: Timestamp) -> Self {
        let first = parcels.iter().map(|parcel| parcel.accepted_at).min();
        let first = first.map_or(BEGIN_MAX, |at| at.min(BEGIN_MAX));
        let begins = day_start(first.plus_ms(-DAY_MS)).plus_ms(9 * HOUR_MS);
        let times =
            |parcel: &DemoParcel| [parcel.accepted_at, parcel.deposited_at, parcel.picked_up_at];
        let due = parcels.iter().flat_map(times).map(instant_of);
        let fixed = [MIDNIGHT, TRUCE, REHEARSAL, EVE, TRUCE_ENDS, end];
        let fixed = fixed.into_iter().chain(LOOKS);
        let instants: BTreeSet<Timestamp> = due
            .chain(fixed)
            .filter(|at| *at > begins && *at <= end)
            .collect();
        let numbered = || parcels.iter().enumerate();
        Self {
            begins,
            instants: instants.into_iter().collect(),
            accepted: Queue::new(numbered().map(|(n, p)| (p.accepted_at, n))),
            tracked: Queue::new(numbered().flat_map(|(n, p)| way_of(n, p))),
            deposited: Queue::new(numbered().map(|(n, p)| (p.deposited_at, n))),
        }
    }

    /// Numbers of the parcels that couriers took charge of by `now`.
    pub fn accepted(&mut self, now: Timestamp) -> Vec<usize> {
        self.accepted.take(now)
    }

    /// What carriers saw of parcels by `now`, of each in order.
    pub fn tracked(&mut self, now: Timestamp) -> Vec<(usize, Step)> {
        self.tracked.take(now)
    }

    /// Numbers of the parcels with which couriers stand before a locker by `now`.
    pub fn deposited(&mut self, now: Timestamp) -> Vec<usize> {
        self.deposited.take(now)
    }
}

/// The carrier's events of a parcel on its way to the locker, with their times.
fn way_of(number: usize, parcel: &DemoParcel) -> [(Timestamp, (usize, Step)); 3] {
    [Step::Accepted, Step::Arrived, Step::OutForDelivery]
        .map(|step| (event_time(parcel, &step), (number, step)))
}

/// When a carrier's event happened. All but the acceptance are derived: evenly on the way.
pub fn event_time(parcel: &DemoParcel, step: &Step) -> Timestamp {
    let way_ms = parcel.deposited_at.since_ms(parcel.accepted_at);
    let thirds = match step {
        Step::Arrived => 1,
        Step::OutForDelivery => 2,
        Step::Issued
        | Step::Accepted
        | Step::Departed
        | Step::Delivered
        | Step::DeliveryFailed
        | Step::Deposited
        | Step::Notified
        | Step::PickedUp
        | Step::Overdue
        | Step::Recalled
        | Step::Redirected
        | Step::Extended
        | Step::Other(_) => 0,
    };
    parcel.accepted_at.plus_ms(way_ms * thirds / 3)
}

/// The instant by which something of time `at` has happened.
fn instant_of(at: Timestamp) -> Timestamp {
    let start = day_start(at);
    let since_ms = at.since_ms(start) + BEFORE_END_MS;
    let pieces = (since_ms + STEP_MS - 1).div_euclid(STEP_MS);
    start.plus_ms(pieces * STEP_MS - BEFORE_END_MS)
}

/// The start of the day of `at`, in China Standard Time.
pub fn day_start(at: Timestamp) -> Timestamp {
    Zone::CHINA.day_start(Zone::CHINA.day_of(at))
}

#[cfg(test)]
mod tests {
    use super::super::parcels::generate;
    use super::*;

    #[test]
    fn nothing_is_early_and_nothing_is_four_hours_late() {
        for at in [
            0,
            1,
            59 * MINUTE_MS,
            119 * MINUTE_MS,
            119 * MINUTE_MS + 1,
            DAY_MS - 1,
        ] {
            let at = MIDNIGHT.plus_ms(at);
            let by = instant_of(at);
            assert!(by >= at && by.since_ms(at) < STEP_MS, "{at:?} {by:?}");
        }
    }

    #[test]
    fn everything_is_due_once_and_midnight_stands_alone() {
        let parcels = generate(300, 7).unwrap();
        let end = MIDNIGHT.plus_ms(40 * DAY_MS);
        let mut plan = Plan::new(&parcels, end);
        let (mut accepted, mut tracked, mut deposited) = (0, 0, 0);
        for now in plan.instants.clone() {
            let due = [
                plan.accepted(now).len(),
                plan.tracked(now).len(),
                plan.deposited(now).len(),
            ];
            if now == MIDNIGHT || now == TRUCE_ENDS {
                assert_eq!(due, [0; 3]);
            }
            accepted += due[0];
            tracked += due[1];
            deposited += due[2];
        }
        assert_eq!((accepted, tracked, deposited), (300, 900, 300));
        assert_eq!(plan.instants.last(), Some(&end));
        assert!(plan.begins < parcels[0].accepted_at);
    }
}
