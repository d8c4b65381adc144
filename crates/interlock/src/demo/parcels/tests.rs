//! Tests of recorded and generated parcels and of their stations.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use interlock_core::time::{DAY_MS, Zone};
use proptest::prelude::*;

use super::*;

const HEADER: &str = "order_id,city,courier_id,accept_time,time_window_start,time_window_end,lng,lat,aoi_id,aoi_type,pickup_time";
const ROW: &str =
    "1000,Jilin,7,05-31 22:00:00,05-31 23:00:00,06-01 01:00:00,126.5,-43.83792,3,1,06-01 09:30:00";
const SEED: u64 = 2017;

fn file(rows: &[&str]) -> String {
    let lines: Vec<&str> = std::iter::once(HEADER)
        .chain(rows.iter().copied())
        .collect();
    lines.join("\n")
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_zoned(text).unwrap().0
}

/// What must hold for any parcels of a demo.
fn assert_sound(parcels: &[DemoParcel]) {
    let distinct = |of: fn(&DemoParcel) -> String| {
        let values: BTreeSet<String> = parcels.iter().map(of).collect();
        values.len()
    };
    assert_eq!(distinct(|p| p.waybill_number.clone()), parcels.len());
    assert_eq!(
        distinct(|p| p.recipient.phone.reveal().into()),
        parcels.len()
    );
    assert_eq!(distinct(|p| p.order_id.to_string()), parcels.len());
    assert!(parcels.is_sorted_by_key(|p| p.accepted_at));
    for parcel in parcels {
        let id = parcel.order_id;
        assert!(parcel.accepted_at < parcel.deposited_at, "{id}");
        assert!(parcel.deposited_at < parcel.picked_up_at, "{id}");
        assert!(parcel.window_start <= parcel.window_end, "{id}");
        assert!(parcel.recipient.phone.reveal().starts_with("+86199"));
        assert!(parcel.recipient.name.starts_with("测试收件人"));
        let number = parcel.waybill_number.as_bytes();
        let (prefix, digits) = number.split_at(2);
        let wanted = match parcel.carrier {
            DemoCarrier::Sf => b"SF",
            DemoCarrier::Yto => b"YT",
        };
        assert_eq!(prefix, wanted);
        assert_eq!(digits.len(), 13);
        assert!(digits.iter().all(u8::is_ascii_digit));
    }
    let stations = stations(parcels, Room::Usual);
    let ids: BTreeSet<&StationId> = stations.iter().map(|s| &s.id).collect();
    assert_eq!(ids.len(), stations.len());
    assert_eq!(ids, parcels.iter().map(|p| &p.station).collect());
    for station in &stations {
        assert!(station.compartments.values().all(|count| *count >= 1));
        assert_eq!(station.compartments.len(), 3);
    }
}

fn share(parcels: &[DemoParcel], of: fn(&DemoParcel) -> bool) -> f64 {
    parcels.iter().filter(|p| of(p)).count() as f64 / parcels.len() as f64
}

/// Deposits that find every compartment of their size class taken, and all deposits.
fn full_on_arrival(parcels: &[DemoParcel]) -> (usize, usize) {
    let mut free = BTreeMap::new();
    for station in stations(parcels, Room::Usual) {
        for (size, count) in station.compartments {
            free.insert((station.id.clone(), size), count);
        }
    }
    let mut changes = Vec::new();
    for (index, parcel) in parcels
        .iter()
        .enumerate()
        .filter(|(_, p)| p.consents_to_locker)
    {
        changes.push((parcel.deposited_at, true, index));
        changes.push((parcel.picked_up_at, false, index));
    }
    changes.sort();
    let mut refused = BTreeSet::new();
    for (_, is_deposit, index) in &changes {
        let parcel = &parcels[*index];
        let left = free
            .get_mut(&(parcel.station.clone(), parcel.size))
            .unwrap();
        match (is_deposit, *left) {
            (true, 0) => {
                refused.insert(*index);
            }
            (true, _) => *left -= 1,
            (false, _) => *left += u16::from(!refused.contains(index)),
        }
    }
    (refused.len(), changes.len() / 2)
}

#[test]
fn generated_parcels_are_sound_and_depend_on_the_seed_alone() {
    let parcels = generate(5_000, SEED).unwrap();
    assert_sound(&parcels);
    assert_eq!(parcels, generate(5_000, SEED).unwrap());
    let other = generate(5_000, SEED + 1).unwrap();
    let same = |of: fn(&DemoParcel) -> String| {
        let of_other: BTreeSet<String> = other.iter().map(of).collect();
        parcels.iter().filter(|p| of_other.contains(&of(p))).count()
    };
    assert_eq!(same(|p| p.waybill_number.clone()), 0);
    assert!(same(|p| format!("{} {}", p.order_id, p.accepted_at.as_millis())) < 10);
}

#[test]
fn a_generated_parcel_does_not_depend_on_how_many_there_are() {
    let few = generate(50, SEED).unwrap();
    let many: BTreeMap<u64, DemoParcel> = generate(500, SEED)
        .unwrap()
        .into_iter()
        .map(|p| (p.order_id, p))
        .collect();
    for parcel in few {
        let mut same = many[&parcel.order_id].clone();
        // Invented phones and names count the parcels of a demo.
        same.recipient = parcel.recipient.clone();
        assert_eq!(same, parcel);
    }
}

#[test]
fn generated_parcels_have_the_shares_of_the_case() {
    let parcels = generate(20_000, SEED).unwrap();
    for (want, got) in [
        (
            0.75,
            share(&parcels, |p| p.marketplace == DemoMarketplace::Taobao),
        ),
        (0.50, share(&parcels, |p| p.carrier == DemoCarrier::Sf)),
        (
            0.85,
            share(&parcels, |p| p.operator == DemoOperator::Fengchao),
        ),
        (0.45, share(&parcels, |p| p.size == DemoSize::A)),
        (0.98, share(&parcels, |p| p.consents_to_locker)),
        (0.243, share(&parcels, |p| p.city == "Yantai")),
        (0.124, share(&parcels, |p| p.city == "Jilin")),
        (
            0.35,
            share(&parcels, |p| {
                p.picked_up_at.since_ms(p.accepted_at) < 124 * MINUTE_MS
            }),
        ),
    ] {
        assert!((want - got).abs() < 0.015, "want {want}, got {got}");
    }
    let [first, last] = [parcels.first(), parcels.last()].map(|p| p.unwrap().accepted_at);
    let days = [
        at("2017-05-08T00:00:00+08:00"),
        at("2017-07-05T00:00:00+08:00"),
    ];
    assert!(
        days[0] <= first && first < days[0].plus_ms(DAY_MS),
        "{first:?}"
    );
    assert!(
        days[1].plus_ms(-DAY_MS) <= last && last < days[1],
        "{last:?}"
    );
    let between = [
        at("2017-06-08T00:00:00+08:00"),
        at("2017-06-24T00:00:00+08:00"),
    ];
    let idle = |p: &DemoParcel| (between[0]..between[1]).contains(&p.accepted_at);
    assert!(!parcels.iter().any(idle), "two spans of days");
    let second = |p: &DemoParcel| p.accepted_at >= between[1];
    let second = parcels.iter().filter(|p| second(p)).count();
    assert!(
        (20_000 * 13 / 48..20_000 * 15 / 48).contains(&second),
        "{second}"
    );
    let independent = share(&parcels, |p| {
        p.marketplace == DemoMarketplace::Jd && p.carrier == DemoCarrier::Sf
    });
    assert!((0.11..0.14).contains(&independent), "{independent}");
}

#[test]
fn some_generated_parcels_are_in_a_locker_or_on_their_way_at_each_midnight() {
    let parcels = generate(5_000, SEED).unwrap();
    for midnight in ["2017-06-01T00:00:00+08:00", "2017-07-01T00:00:00+08:00"] {
        let midnight = at(midnight);
        let over = parcels
            .iter()
            .filter(|p| p.deposited_at < midnight && midnight <= p.picked_up_at)
            .count();
        assert!((3..120).contains(&over), "{over}");
        let on_the_way = parcels
            .iter()
            .filter(|p| p.accepted_at < midnight && midnight < p.deposited_at)
            .count();
        assert!((60..250).contains(&on_the_way), "{on_the_way}");
    }
    for parcel in &parcels {
        let at = parcel.picked_up_at;
        let hour = at.since_ms(Zone::CHINA.day_start(Zone::CHINA.day_of(at))) / HOUR_MS;
        assert!((7..22).contains(&hour), "{}", at.to_display(Zone::CHINA));
    }
}

#[test]
fn lockers_are_full_now_and_then_and_mostly_not() {
    for count in [5_000, 50_000] {
        let (refused, deposits) = full_on_arrival(&generate(count, SEED).unwrap());
        assert!(refused * 20 < deposits, "{refused} of {deposits}");
        assert!(refused > 0, "{refused} of {deposits}");
    }
}

#[test]
fn too_many_or_no_parcels_are_refused() {
    assert!(matches!(generate(0, SEED), Err(ParcelsError::Empty)));
    let error = generate(PARCELS_MAX + 1, SEED).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`1000001` parcels are too many; give at most 1000000"
    );
    assert!(matches!(parse_lade(HEADER, SEED), Err(ParcelsError::Empty)));
}

#[test]
fn a_recorded_parcel_keeps_what_the_record_says() {
    let parcels = parse_lade(&file(&[ROW]), SEED).unwrap();
    let [parcel] = parcels.as_slice() else {
        panic!("{parcels:?}")
    };
    assert_eq!((parcel.order_id, parcel.city.as_str()), (1000, "Jilin"));
    assert_eq!(parcel.accepted_at, at("2017-05-31T22:00:00+08:00"));
    assert_eq!(parcel.window_start, at("2017-05-31T23:00:00+08:00"));
    assert_eq!(parcel.window_end, at("2017-06-01T01:00:00+08:00"));
    assert_eq!(parcel.picked_up_at, at("2017-06-01T09:30:00+08:00"));
    assert_eq!(
        (parcel.lng_micro, parcel.lat_micro),
        (126_500_000, -43_837_920)
    );
    assert!(parcel.courier.as_str().ends_with("-7"));
    assert_sound(&parcels);
}

#[test]
fn a_pick_up_at_once_is_stretched_so_that_a_deposit_fits() {
    let row = ROW.replace("06-01 09:30:00", "05-31 22:00:00");
    let parcels = parse_lade(&file(&[&row]), SEED).unwrap();
    assert_sound(&parcels);
    assert_eq!(
        parcels[0].picked_up_at.since_ms(parcels[0].accepted_at),
        STAY_MIN_MS
    );
}

#[test]
fn the_order_of_lines_and_their_ends_do_not_matter() {
    let second = ROW.replace("1000,", "1001,");
    let parcels = parse_lade(&file(&[ROW, &second]), SEED).unwrap();
    let turned = file(&[&second, ROW]).replace('\n', "\r\n") + "\r\n";
    assert_eq!(parse_lade(&turned, SEED).unwrap(), parcels);
}

#[test]
fn a_bad_line_is_named_with_column_and_remedy() {
    let bad = |from: &str, to: &str| {
        let good = ROW.replace("1000,", "999,");
        parse_lade(&file(&[&good, &ROW.replacen(from, to, 1)]), SEED)
            .unwrap_err()
            .to_string()
    };
    for (from, to, column, value) in [
        ("1000", "-1000", "order_id", "-1000"),
        ("1000", "", "order_id", ""),
        ("1000", "1000000000000", "order_id", "1000000000000"),
        ("Jilin", " ", "city", " "),
        (",7,", ",4294967296,", "courier_id", "4294967296"),
        (
            "05-31 22:00:00",
            "05-31 24:00:00",
            "accept_time",
            "05-31 24:00:00",
        ),
        (
            "05-31 22:00:00",
            "02-29 22:00:00",
            "accept_time",
            "02-29 22:00:00",
        ),
        (
            "05-31 22:00:00",
            "2017-05-31 22:00:00",
            "accept_time",
            "2017-05-31 22:00:00",
        ),
        ("05-31 22:00:00", "05-31", "accept_time", "05-31"),
        ("05-31 23:00:00", "x", "time_window_start", "x"),
        (
            "06-01 01:00:00",
            "05-31 22:59:59",
            "time_window_end",
            "05-31 22:59:59",
        ),
        ("126.5", "180.1", "lng", "180.1"),
        ("126.5", "NaN", "lng", "NaN"),
        ("-43.83792", "90.000001", "lat", "90.000001"),
        (",3,1,", ",,1,", "aoi_id", ""),
        (",3,1,", ",3,home,", "aoi_type", "home"),
        (
            "06-01 09:30:00",
            "05-31 21:59:59",
            "pickup_time",
            "05-31 21:59:59",
        ),
    ] {
        let error = bad(from, to);
        let start = format!("line 3, column `{column}`: `{value}` is not accepted; ");
        assert!(error.starts_with(&start), "{error}");
    }
    assert!(bad(",1,", ",").starts_with("line 3 has 10 columns, must have 11; "));
    let twice = parse_lade(&file(&[ROW, ROW]), SEED)
        .unwrap_err()
        .to_string();
    assert!(
        twice.starts_with("line 3, column `order_id`: `1000` "),
        "{twice}"
    );
    let headless = parse_lade(ROW, SEED).unwrap_err().to_string();
    assert!(headless.contains(HEADER), "{headless}");
    let missing = read_lade(Path::new("no-such.csv"), SEED).unwrap_err();
    assert!(missing.to_string().contains("`no-such.csv`"), "{missing}");
}

#[test]
fn the_recorded_parcels_beside_the_checkout_are_read() {
    let beside =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/lade-pickup-6190.csv");
    if !beside.exists() {
        eprintln!("skipped: there is no ../shared/data/lade-pickup-6190.csv beside the checkout");
        return;
    }
    let parcels = read_lade(&beside, SEED).unwrap();
    assert_eq!(parcels.len(), 6_190);
    assert_sound(&parcels);
    let (refused, deposits) = full_on_arrival(&parcels);
    assert!(refused * 20 < deposits, "{refused} of {deposits}");
    let cities: BTreeSet<&str> = parcels.iter().map(|p| p.city.as_str()).collect();
    assert_eq!(cities.len(), 5);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_seed_gives_sound_parcels(seed: u64, count in 1_usize..200) {
        assert_sound(&generate(count, seed).unwrap());
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[0-9a-z,:. \\-]{0,200}") {
        let _ = parse_lade(&file(&[&text]), SEED);
    }

    #[test]
    fn waybills_differ_for_different_orders(
        seed: u64,
        one in 0..=ORDER_ID_MAX,
        other in 0..=ORDER_ID_MAX,
    ) {
        let number = |order| waybill_number(DemoCarrier::Sf, order, seed);
        prop_assert_eq!(one == other, number(one) == number(other));
    }
}
