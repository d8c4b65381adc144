//! Parcels from a seed, alike to recorded ones in where and when.
//!
//! INVARIANT: order `n` of a seed is the same however many are generated, but for the invented
//! recipient, whose number is the place among all. The shares below are rounded from the 6,190
//! parcels of LaDe's pick-up part that the demo also reads. Unlike there days are even, but for the eves
//! of the two midnights, which have more, and three parcels in ten travel overnight: so that every day
//! has parcels, and some are on their way when a term ends.

use interlock_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp, Zone};

use super::{DemoParcel, Dice, PARCELS_MAX, ParcelsError, Record, complete};

/// 2017-05-08T00:00:00+08:00, the first day on which parcels are accepted.
const FIRST_DAY: Timestamp = Timestamp::from_millis(1_494_172_800_000);
/// Days around the first midnight: the last one is 7 June.
const DAYS_FIRST: u32 = 31;
/// Days around the second midnight: the last one is 4 July.
const DAYS_SECOND: u32 = 11;
/// Days whose parcels are so many times those of others: 31 May and 30 June.
const EVES: [i64; 2] = [23, 53];
const EVE_TIMES: u32 = 4;
/// Of a hundred parcels, so many travel overnight.
const OVERNIGHT_PERCENT: u32 = 30;
/// Days between the two spans, on which nothing would happen that was not shown before: the second span
/// begins on 24 June.
const DAYS_BETWEEN: u32 = 16;
/// What a day is drawn from: each once, an eve as often as it counts.
const DAYS_DRAWN: u32 = DAYS_FIRST + DAYS_SECOND + EVES.len() as u32 * (EVE_TIMES - 1);
/// The first order id.
const ORDER_ID_FIRST: u64 = 1_000_001;
/// Parts of a city in which parcels cluster.
const QUARTERS: u32 = 12;
/// Couriers in a city.
const COURIERS: u32 = 60;

struct City {
    name: &'static str,
    /// Drawn from here to the next city's, in thousandths of all parcels.
    from_permille: u32,
    lng_micro: i32,
    lat_micro: i32,
    /// Its couriers have the numbers above this.
    courier_base: u32,
}

const fn city(
    name: &'static str,
    from_permille: u32,
    [lng_micro, lat_micro]: [i32; 2],
    courier_base: u32,
) -> City {
    City {
        name,
        from_permille,
        lng_micro,
        lat_micro,
        courier_base,
    }
}

const CITIES: [City; 5] = [
    city("Chongqing", 0, [106_550_000, 29_560_000], 1_000),
    city("Hangzhou", 238, [120_160_000, 30_270_000], 2_000),
    city("Jilin", 425, [126_550_000, 43_840_000], 3_000),
    city("Shanghai", 549, [121_470_000, 31_230_000], 4_000),
    city("Yantai", 757, [121_390_000, 37_520_000], 5_000),
];

/// Thousandths of all parcels from which on they are accepted in this hour.
const HOURS: [(u32, i64); 11] = [
    (0, 7),
    (217, 8),
    (513, 9),
    (649, 10),
    (708, 11),
    (758, 12),
    (813, 13),
    (860, 14),
    (909, 15),
    (953, 16),
    (994, 17),
];

/// Quantiles of the time from acceptance to pick-up: of 1,000 parcels, so many are picked up within
/// so many minutes. Between two the time grows evenly.
const STAYS: [(u32, i64); 9] = [
    (0, 2),
    (100, 30),
    (250, 67),
    (500, 124),
    (750, 205),
    (900, 416),
    (960, 720),
    (990, 1_900),
    (1_000, 4_500),
];

/// People sleep: a pick-up between these hours is put off to the morning.
const NIGHT_FROM_HOUR: i64 = 22;
const NIGHT_UNTIL_HOUR: i64 = 7;

/// Generates `count` parcels accepted from 8 May to 7 June and from 24 June to 4 July 2017, ordered by
/// acceptance.
///
/// # Errors
/// [`ParcelsError::Empty`] for 0, [`ParcelsError::TooMany`] for more than [`PARCELS_MAX`].
pub fn generate(count: usize, seed: u64) -> Result<Vec<DemoParcel>, ParcelsError> {
    if count > PARCELS_MAX {
        return Err(ParcelsError::TooMany { count });
    }
    let records = (ORDER_ID_FIRST..)
        .take(count)
        .map(|order_id| record(order_id, seed))
        .collect();
    complete(records, seed)
}

fn record(order_id: u64, seed: u64) -> Record {
    let dice = Dice::new(seed, order_id);
    let city = city_at(dice.below("city", 1_000));
    let accepted_at = FIRST_DAY
        .plus_ms(day_at(dice.below("day", DAYS_DRAWN)) * DAY_MS)
        .plus_ms(hour_at(dice.below("hour", 1_000)) * HOUR_MS)
        .plus_ms(i64::from(dice.below("second", 3_600)) * SECOND_MS);
    let stay_ms = stay_minutes(dice.below("stay", 1_000)) * MINUTE_MS;
    let overnight = dice.below("overnight", 100) < OVERNIGHT_PERCENT;
    let picked_up_at = match overnight {
        true => morning_after(accepted_at, dice),
        false => awake(accepted_at.plus_ms(stay_ms), dice),
    };
    // The window opens with the next full hour; the offset of the zone is whole hours.
    let past_hour_ms = accepted_at.as_millis().rem_euclid(HOUR_MS);
    let window_start = accepted_at.plus_ms(HOUR_MS - past_hour_ms);
    let quarter = city.courier_base + dice.below("quarter", QUARTERS);
    let near = Dice::new(seed, u64::from(quarter));
    Record {
        order_id,
        city: city.name.into(),
        courier_number: city.courier_base + dice.below("courier", COURIERS) + 1,
        accepted_at,
        window_start,
        window_end: window_start.plus_ms(2 * HOUR_MS),
        picked_up_at,
        overnight,
        lng_micro: city.lng_micro + spread(near, "lng", 120_000) + spread(dice, "lng", 8_000),
        lat_micro: city.lat_micro + spread(near, "lat", 120_000) + spread(dice, "lat", 8_000),
    }
}

/// The day, counted from the first, of the drawn one among those with parcels.
fn day_at(drawn: u32) -> i64 {
    let day = match drawn < DAYS_FIRST {
        true => drawn,
        false => drawn + DAYS_BETWEEN,
    };
    let more = drawn.checked_sub(DAYS_FIRST + DAYS_SECOND);
    let eve = more.and_then(|more| EVES.get((more / (EVE_TIMES - 1)) as usize));
    eve.copied().unwrap_or(day.into())
}

fn city_at(permille: u32) -> &'static City {
    let [first, others @ ..] = &CITIES;
    let reached = others.iter().take_while(|c| c.from_permille <= permille);
    reached.last().unwrap_or(first)
}

fn hour_at(permille: u32) -> i64 {
    let [(_, first), others @ ..] = HOURS;
    let reached = others.iter().take_while(|(from, _)| *from <= permille);
    reached.last().map_or(first, |(_, hour)| *hour)
}

/// Minutes from acceptance to pick-up for the given quantile in thousandths.
fn stay_minutes(permille: u32) -> i64 {
    let mut below = (0, 0);
    for (quantile, minutes) in STAYS {
        if permille < quantile {
            let (low, low_minutes) = below;
            let part = i64::from(permille - low) * (minutes - low_minutes);
            return low_minutes + part / i64::from(quantile - low);
        }
        below = (quantile, minutes);
    }
    below.1
}

/// Between nine and seven on the day after.
fn morning_after(at: Timestamp, dice: Dice) -> Timestamp {
    let next = Zone::CHINA.day_start(Zone::CHINA.day_of(at) + 1);
    let seconds = i64::from(dice.below("morning after", 10 * 3_600));
    next.plus_ms(9 * HOUR_MS + seconds * SECOND_MS)
}

/// The first time not at night from `at` on, within two hours after the night if it was.
fn awake(at: Timestamp, dice: Dice) -> Timestamp {
    let day = Zone::CHINA.day_of(at);
    let hour = at.since_ms(Zone::CHINA.day_start(day)) / HOUR_MS;
    let morning = match hour {
        NIGHT_FROM_HOUR.. => Zone::CHINA.day_start(day + 1),
        ..NIGHT_UNTIL_HOUR => Zone::CHINA.day_start(day),
        _ => return at,
    };
    morning
        .plus_ms(NIGHT_UNTIL_HOUR * HOUR_MS)
        .plus_ms(i64::from(dice.below("morning", 7_200)) * SECOND_MS)
}

/// From `-reach` to `reach`.
fn spread(dice: Dice, what: &str, reach: i32) -> i32 {
    let width = reach.unsigned_abs() * 2 + 1;
    i32::try_from(dice.below(what, width)).unwrap_or_default() - reach
}
