use super::*;
use alloc::format;
use alloc::vec;
use proptest::prelude::*;

const OPEN: StationState = StationState::Operating;

fn compartments(small: u16, medium: u16, large: u16) -> Compartments {
    Compartments::new(Capacity::new(small, medium, large).unwrap())
}

fn no(number: u16) -> CompartmentNo {
    CompartmentNo::new(number).unwrap()
}

fn station() -> Station {
    Station {
        id: StationId::parse("0412").unwrap(),
        name: StationName::parse("丰巢 0412").unwrap(),
        position: Position::new(120_155_070, -30_274_085).unwrap(),
        state: StationState::Overloaded,
        capacity: Capacity::new(40, 30, 300).unwrap(),
    }
}

#[test]
fn stored_form_of_a_station_is_frozen_and_checked() {
    let station = station();
    let bytes = postcard::to_allocvec(&station).unwrap();
    let mut golden = b"\x040412\x0b".to_vec();
    golden.extend_from_slice("丰巢 0412".as_bytes());
    // Position as zigzag variable-length integers, state 3, capacity.
    golden.extend_from_slice(b"\xfc\xae\xcb\x72\xc9\xc8\xef\x1c\x03\x28\x1e\xac\x02");
    assert_eq!(bytes, golden);
    assert_eq!(postcard::from_bytes::<Station>(&bytes), Ok(station));
}

#[test]
fn a_station_on_the_wire_is_checked() {
    let json = serde_json::to_value(station()).unwrap();
    assert_eq!(json["state"], "overloaded");
    assert_eq!(
        serde_json::from_value::<Station>(json.clone()).unwrap(),
        station()
    );
    for (pointer, bad) in [
        ("/position/lng_udeg", 180_000_001.into()),
        ("/position/lat_udeg", (-90_000_001).into()),
        ("/capacity/large", 2_001.into()),
        ("/name", "".into()),
        ("/name", "a\nb".into()),
        ("/name", "x".repeat(129).into()),
        ("/state", "open".into()),
        ("/id", "a b".into()),
    ] {
        let mut wrong = json.clone();
        *wrong.pointer_mut(pointer).unwrap() = bad;
        assert!(
            serde_json::from_value::<Station>(wrong).is_err(),
            "{pointer}"
        );
    }
    assert_eq!(
        Capacity::new(0, 0, 0),
        Err(StationError::Capacity { total: 0 })
    );
    assert!(Position::new(i32::MIN, 0).is_err());
    for state in StationState::ALL {
        assert_eq!(StationState::parse(state.as_str()), Ok(state));
    }
}

#[test]
fn denials_tell_the_courier_what_to_do() {
    let mut lockers = compartments(1, 1, 2);
    for state in StationState::ALL.into_iter().filter(|state| *state != OPEN) {
        assert_eq!(
            lockers.reserve(state, SizeClass::Small, 0),
            Err(NoCompartment::NotOperating { state })
        );
    }
    assert_eq!(
        lockers.reserve(OPEN, SizeClass::Medium, u64::MAX),
        Ok(no(2))
    );
    let denial = lockers.reserve(OPEN, SizeClass::Medium, 0).unwrap_err();
    assert_eq!(
        format!("{denial}"),
        "no `medium` compartment is free: ask for a larger one (`large`: 2 free) or use another station"
    );
    lockers.set_faulty(no(3), true).unwrap();
    assert_eq!(lockers.free(SizeClass::Large), 1);
    assert_eq!(lockers.reserve(OPEN, SizeClass::Large, 0), Ok(no(4)));
    // A small one is free and of no use for a medium parcel.
    assert_eq!(
        lockers.reserve(OPEN, SizeClass::Medium, 0),
        Err(NoCompartment::Full {
            size: SizeClass::Medium
        })
    );
    let mut only_large = compartments(0, 0, 1);
    assert_eq!(
        only_large.reserve(OPEN, SizeClass::Small, 0),
        Err(NoCompartment::NotInstalled {
            size: SizeClass::Small,
            larger: vec![(SizeClass::Large, 1)]
        })
    );
}

#[test]
fn a_faulty_compartment_keeps_its_parcel_and_takes_no_other() {
    let mut lockers = compartments(1, 0, 0);
    let number = lockers.reserve(OPEN, SizeClass::Small, 7).unwrap();
    lockers.occupy(number).unwrap();
    lockers.set_faulty(number, true).unwrap();
    assert_eq!(lockers.state_of(number), Ok(CompartmentState::Occupied));
    lockers.release(number).unwrap();
    assert_eq!(lockers.state_of(number), Ok(CompartmentState::Faulty));
    assert!(lockers.reserve(OPEN, SizeClass::Small, 7).is_err());
    lockers.set_faulty(number, false).unwrap();
    assert!(lockers.reserve(OPEN, SizeClass::Small, 7).is_ok());
}

#[test]
fn wrong_changes_are_refused() {
    let mut lockers = compartments(1, 0, 0);
    let error = lockers.occupy(no(1)).unwrap_err();
    assert_eq!(
        format!("{error}"),
        "compartment `1` is free: reserve it before it is occupied"
    );
    assert!(lockers.release(no(1)).is_err());
    assert_eq!(
        lockers.release(no(2)),
        Err(CompartmentError::Unknown {
            number: no(2),
            total: 1
        })
    );
    assert!(CompartmentNo::new(0).is_none());
}

#[test]
fn draws_spread_over_the_free_ones() {
    let mut seen = vec![0u32; 10];
    for draw in 0..1_000u64 {
        let spread = draw.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let number = compartments(0, 10, 0)
            .reserve(OPEN, SizeClass::Medium, spread)
            .unwrap();
        seen[usize::from(number.number()) - 1] += 1;
    }
    assert!(
        seen.iter().all(|count| (80..=120).contains(count)),
        "{seen:?}"
    );
}

#[test]
fn corrupt_compartments_are_refused() {
    let lockers = compartments(3, 0, 0);
    let mut json = serde_json::to_value(&lockers).unwrap();
    assert_eq!(
        serde_json::from_value::<Compartments>(json.clone()).unwrap(),
        lockers
    );
    json["taken"][0] = 0b111.into();
    json["occupied"][0] = 0b101.into();
    assert!(serde_json::from_value::<Compartments>(json.clone()).is_ok());
    for (field, bits) in [
        ("taken", 0b1111),
        ("occupied", 0b1101),
        ("taken", 0b011),
        ("faulty", 8),
    ] {
        let mut wrong = json.clone();
        wrong[field][0] = bits.into();
        assert!(
            serde_json::from_value::<Compartments>(wrong).is_err(),
            "{field}"
        );
    }
    json["faulty"] = serde_json::json!([0, 0]);
    assert!(serde_json::from_value::<Compartments>(json).is_err());
}

#[test]
fn levels_fall_at_once_and_rise_late() {
    use Level::{Low, Normal, VeryLow};
    for (previous, free, expected) in [
        (None, 100, Normal),
        (None, 30, Normal),
        (None, 29, Low),
        (None, 10, Low),
        (None, 9, VeryLow),
        (None, 0, VeryLow),
        (Some(Normal), 30, Normal),
        (Some(Normal), 29, Low),
        (Some(Normal), 9, VeryLow),
        (Some(Low), 39, Low),
        (Some(Low), 40, Normal),
        (Some(Low), 10, Low),
        (Some(Low), 9, VeryLow),
        (Some(VeryLow), 19, VeryLow),
        (Some(VeryLow), 20, Low),
        (Some(VeryLow), 39, Low),
        (Some(VeryLow), 40, Normal),
    ] {
        assert_eq!(
            level(previous, free, 100),
            Some(expected),
            "{previous:?} {free}"
        );
    }
    assert_eq!(level(Some(Low), 0, 0), None);
    assert_eq!(level(None, u16::MAX, u16::MAX), Some(Normal));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// A model with a plain list of states: the same answers, and nothing handed out twice.
    #[test]
    fn no_compartment_is_handed_out_twice(
        sizes in (0..70u16, 0..70u16, 1..5u16),
        commands in proptest::collection::vec((0..5u8, any::<u64>(), 0..3usize), 1..200),
    ) {
        let mut lockers = compartments(sizes.0, sizes.1, sizes.2);
        let total = lockers.capacity().total();
        let mut model = vec![(CompartmentState::Free, false); usize::from(total)];
        for (command, draw, size) in commands {
            let size = SizeClass::ALL[size];
            let target = no(u16::try_from(draw % u64::from(total)).unwrap() + 1);
            let slot = &mut model[usize::from(target.index())];
            match command {
                0 | 1 => match lockers.reserve(OPEN, size, draw) {
                    Ok(number) => {
                        let slot = &mut model[usize::from(number.index())];
                        prop_assert_eq!(*slot, (CompartmentState::Free, false));
                        prop_assert_eq!(lockers.size_of(number), Ok(size));
                        slot.0 = CompartmentState::Reserved;
                    }
                    Err(_) => prop_assert_eq!(lockers.free(size), 0),
                },
                2 => {
                    let done = lockers.occupy(target).is_ok();
                    prop_assert_eq!(done, slot.0 == CompartmentState::Reserved);
                    if done {
                        slot.0 = CompartmentState::Occupied;
                    }
                }
                3 => {
                    let done = lockers.release(target).is_ok();
                    prop_assert_eq!(done, slot.0 != CompartmentState::Free);
                    slot.0 = CompartmentState::Free;
                }
                _ => {
                    slot.1 = !slot.1;
                    lockers.set_faulty(target, slot.1).unwrap();
                }
            }
            for (index, (state, faulty)) in (1..).zip(&model) {
                let expected = match (state, faulty) {
                    (CompartmentState::Free, true) => CompartmentState::Faulty,
                    (state, _) => *state,
                };
                prop_assert_eq!(lockers.state_of(no(index)), Ok(expected));
            }
        }
        let free: u16 = SizeClass::ALL.iter().map(|size| lockers.free(*size)).sum();
        let expected = model.iter().filter(|slot| **slot == (CompartmentState::Free, false)).count();
        prop_assert_eq!(usize::from(free), expected);
        let bytes = postcard::to_allocvec(&lockers).unwrap();
        prop_assert_eq!(postcard::from_bytes::<Compartments>(&bytes), Ok(lockers));
    }

    /// A single parcel that comes and goes never moves a level to and fro at a station of ten or
    /// more compartments.
    #[test]
    fn one_parcel_does_not_flicker(installed in 10..200u16, free in 1..200u16, start in 0..4usize) {
        let free = free.min(installed);
        let start = [None, Some(Level::VeryLow), Some(Level::Low), Some(Level::Normal)][start];
        let settled = level(level(start, free, installed), free - 1, installed);
        let back = level(settled, free, installed);
        prop_assert_eq!(back, settled);
        prop_assert_eq!(level(back, free - 1, installed), settled);
    }
}

proptest! {
    /// Sizes begin and end anywhere in the words that hold them.
    #[test]
    fn free_ones_are_those_that_are_free_one_by_one(
        sizes in (0_u16..200, 0_u16..200, 1_u16..200),
        taken in proptest::collection::vec((0_usize..3, any::<u64>()), 0..150),
    ) {
        let mut held = compartments(sizes.0, sizes.1, sizes.2);
        for (size, draw) in taken {
            let chosen = held.choose(OPEN, SizeClass::ALL[size], draw);
            prop_assert_eq!(&chosen, &held.reserve(OPEN, SizeClass::ALL[size], draw));
            if let Ok(number) = chosen {
                prop_assert_eq!(held.size_of(number).unwrap(), SizeClass::ALL[size]);
            }
        }
        let total = sizes.0 + sizes.1 + sizes.2;
        for size in SizeClass::ALL {
            let one_by_one = (1..=total)
                .map(no)
                .filter(|number| held.size_of(*number) == Ok(size))
                .filter(|number| held.state_of(*number) == Ok(CompartmentState::Free));
            prop_assert_eq!(usize::from(held.free(size)), one_by_one.count());
        }
    }
}
