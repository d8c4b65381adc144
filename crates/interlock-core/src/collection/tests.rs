use super::*;

const ZONE: Zone = Zone::CHINA;

/// Noon of a day.
fn noon(day: i64) -> Timestamp {
    ZONE.day_start(day).plus_ms(12 * HOUR_MS)
}

fn parcel(day: i64, nth: u64) -> ParcelId {
    let number = (u128::from(day.unsigned_abs()) << 64) | u128::from(nth);
    ParcelId::from_bytes(number.to_be_bytes())
}

fn released(parcel: ParcelId) -> Asked {
    Asked::Released {
        parcel,
        again: false,
        early: false,
        followed: true,
    }
}

/// A day of `number` lookups, all but `lost` of them followed by deposit and pick-up.
fn day_of(watch: &mut Watch, day: i64, number: u64, lost: u64) {
    let at = noon(day);
    watch.settle(at, ZONE, true);
    for nth in 0..number {
        let id = parcel(day, nth);
        watch.asked(at, ZONE, released(id), nth);
        if nth >= lost {
            watch.deposited(at.plus_ms(60_000), ZONE, id);
            watch.closed(ZONE, id);
        }
    }
    watch.heard(at.plus_ms(HOUR_MS));
}

fn honest(days: i64, number: u64) -> Watch {
    let mut watch = Watch::default();
    for day in 0..days {
        day_of(&mut watch, day, number, number / 20);
        assert_eq!(watch.judge(), [], "day {day}");
    }
    watch
}

fn signs(watch: &Watch) -> Vec<Sign> {
    watch.judge().into_iter().map(|found| found.sign).collect()
}

#[test]
fn contacts_without_deposits_are_found_when_the_wait_is_over() {
    let mut watch = honest(10, 200);
    day_of(&mut watch, 10, 400, 210);
    assert_eq!(signs(&watch), [], "their round may still be under way");
    watch.settle(noon(11).plus_ms(1), ZONE, true);
    assert_eq!(signs(&watch), [], "their feed may be late");
    watch.heard(noon(12));
    watch.settle(noon(13).plus_ms(1), ZONE, true);
    let found = watch.judge();
    let [found] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((found.sign, found.count), (Sign::Undeposited, 210));
    assert_eq!(found.leaves, Vec::from_iter(194..210));
    watch.found(found.day, found.sign);
    assert_eq!(watch.judge(), [], "once a day");
}

#[test]
fn a_consumer_that_is_never_heard_is_found_after_three_days() {
    let mut watch = Watch::default();
    for nth in 0..50 {
        watch.asked(noon(0), ZONE, released(parcel(0, nth)), nth);
    }
    watch.settle(noon(2), ZONE, true);
    assert_eq!(signs(&watch), []);
    watch.settle(noon(3), ZONE, true);
    assert_eq!(signs(&watch), [Sign::Undeposited]);
}

#[test]
fn what_nobody_reports_is_not_held_against_anybody() {
    let mut watch = Watch::default();
    for nth in 0..50 {
        watch.asked(noon(0), ZONE, released(parcel(0, nth)), nth);
    }
    watch.settle(noon(9), ZONE, false);
    assert_eq!(watch.next_due(), None);
    assert_eq!(signs(&watch), []);
}

#[test]
fn invented_deposits_stay_open_and_are_found() {
    let mut watch = honest(8, 100);
    let at = noon(8);
    for nth in 0..100 {
        let id = parcel(8, nth);
        watch.asked(at, ZONE, released(id), nth);
        watch.deposited(at, ZONE, id);
        if nth % 2 == 0 {
            watch.closed(ZONE, id);
        }
    }
    watch.heard(noon(16));
    watch.settle(noon(16), ZONE, true);
    assert_eq!(signs(&watch), [Sign::Unclosed]);
}

#[test]
fn each_other_sign_is_found_on_the_day() {
    let again = |again, early| Asked::Released {
        parcel: parcel(9, 1),
        again,
        early,
        followed: false,
    };
    let night = ZONE.day_start(10).plus_ms(2 * HOUR_MS);
    let cases = [
        (noon(10), again(true, false), Sign::Repeated),
        (noon(10), again(false, true), Sign::Early),
        (night, again(false, false), Sign::OutsideHours),
        (noon(10), Asked::Unknown, Sign::Unknown),
        (noon(10), Asked::Denied, Sign::Denied),
    ];
    for (at, item, sign) in cases {
        let mut watch = honest(9, 100);
        day_of(&mut watch, 10, 50, 0);
        for nth in 0..60 {
            watch.asked(at, ZONE, item, 1_000 + nth);
        }
        assert_eq!(signs(&watch), [sign], "{sign:?}");
    }
}

#[test]
fn a_busy_day_is_none_to_look_at_and_an_idle_large_one_is() {
    let mut watch = honest(10, 200);
    day_of(&mut watch, 10, 900, 10);
    assert_eq!(signs(&watch), [], "a peak with its deposits");
    let mut watch = honest(10, 200);
    day_of(&mut watch, 10, 900, 700);
    assert_eq!(signs(&watch), [Sign::Volume]);
    let mut watch = honest(3, 200);
    day_of(&mut watch, 3, 900, 700);
    assert_eq!(signs(&watch), [], "three days are no history");
}

#[test]
fn no_habit_makes_it_right() {
    let mut watch = Watch::default();
    for day in 0..25 {
        day_of(&mut watch, day, 400, 300);
    }
    let found = watch.judge();
    assert_eq!(found.len(), 22, "each day whose wait is over");
    assert!(
        found
            .iter()
            .all(|it| it.sign == Sign::Undeposited && it.usual <= 120)
    );
}

#[test]
fn one_bad_day_is_a_broken_station_and_two_are_not() {
    let mut watch = honest(10, 400);
    let lost = |watch: &Watch| {
        let days = watch.judge().into_iter().map(|found| found.day);
        days.collect::<Vec<_>>()
    };
    day_of(&mut watch, 10, 400, 90);
    day_of(&mut watch, 11, 400, 20);
    for day in 12..15 {
        day_of(&mut watch, day, 400, 20);
    }
    assert_eq!(lost(&watch), Vec::<i64>::new(), "22 percent, once");
    day_of(&mut watch, 15, 400, 90);
    for day in 16..20 {
        day_of(&mut watch, day, 400, 20);
    }
    assert_eq!(lost(&watch), [15], "again within a week");
}

#[test]
fn days_and_leaves_are_bounded() {
    let mut watch = honest(90, 30);
    assert_eq!(watch.days.len(), HISTORY_DAYS + 1);
    assert!(
        watch
            .leaves
            .values()
            .all(|leaves| leaves.len() <= LEAVES_MAX)
    );
    assert!(watch.open.len() <= 4 && watch.open.len() == watch.due.len());
    let day = watch.newest().unwrap().0;
    watch.asked(noon(day - 5), ZONE, Asked::Denied, 0);
    let (newest, counts) = watch.newest().unwrap();
    assert_eq!((newest, counts.denied), (day, 1), "days never go back");
}
