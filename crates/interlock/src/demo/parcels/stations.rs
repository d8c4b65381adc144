//! Locker stations near the demo's parcels. All of this is derived: no public log of deposits says
//! where the lockers of 2017 stood.
//!
//! INVARIANT: every parcel's station is among the stations of its demo, and has at least one
//! compartment of every size class. A station serves one cell of a grid for one operator. Its
//! compartments suffice for most hours and not for all: lockers are full on arrival now and then.

use std::collections::BTreeMap;

use interlock_core::ids::{IdError, StationId};

use super::{DemoOperator, DemoParcel, DemoSize};

/// Width and height of a cell: a fiftieth of a degree, about 2 km.
const CELL_MICRO: i32 = 20_000;
/// Of 1,000 deposits at a station, about so many find a compartment of their own size class.
const SERVED_PERMILLE: usize = 970;

/// A locker station of the demo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoStation {
    /// Named by operator and cell.
    pub id: StationId,
    /// Whose it is.
    pub operator: DemoOperator,
    /// The city of the parcels that it serves.
    pub city: String,
    /// For people.
    pub name: String,
    /// Longitude of the middle of its cell in millionths of a degree.
    pub lng_micro: i32,
    /// Latitude of the middle of its cell in millionths of a degree.
    pub lat_micro: i32,
    /// Compartments by size class, each at least 1.
    pub compartments: BTreeMap<DemoSize, u16>,
}

/// How many compartments stations have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Enough for most hours: lockers are full on arrival now and then.
    Usual,
    /// Enough for every parcel, even if it comes and goes so many milliseconds off its time.
    Ample {
        /// Milliseconds on either side.
        slack_ms: i64,
    },
}

/// The stations that the parcels go to, by operator and place.
pub fn stations(parcels: &[DemoParcel], room: Room) -> Vec<DemoStation> {
    let mut by_station: BTreeMap<&StationId, Vec<&DemoParcel>> = BTreeMap::new();
    for parcel in parcels {
        by_station.entry(&parcel.station).or_default().push(parcel);
    }
    by_station
        .into_iter()
        .filter_map(|(id, served)| {
            let first = served.first()?;
            Some(station(id, first, &served, room))
        })
        .collect()
}

fn station(id: &StationId, first: &DemoParcel, served: &[&DemoParcel], room: Room) -> DemoStation {
    let middle = |micro: i32| micro.div_euclid(CELL_MICRO) * CELL_MICRO + CELL_MICRO / 2;
    let operator = first.operator;
    DemoStation {
        id: id.clone(),
        operator,
        city: first.city.clone(),
        name: format!("{} {}", first.city, id.as_str()),
        lng_micro: middle(first.lng_micro),
        lat_micro: middle(first.lat_micro),
        compartments: DemoSize::ALL
            .map(|size| (size, capacity(served, size, room)))
            .into(),
    }
}

/// The station of `operator` for this place.
pub(super) fn station_id(
    operator: DemoOperator,
    lng_micro: i32,
    lat_micro: i32,
) -> Result<StationId, IdError> {
    StationId::parse(&format!(
        "{}.{}.{}",
        operator.as_str(),
        lng_micro.div_euclid(CELL_MICRO),
        lat_micro.div_euclid(CELL_MICRO)
    ))
}

/// What the given share of deposits would see occupied, their own compartment included, if there
/// were always room.
fn capacity(served: &[&DemoParcel], size: DemoSize, room: Room) -> u16 {
    let (permille, slack_ms) = match room {
        Room::Usual => (SERVED_PERMILLE, 0),
        Room::Ample { slack_ms } => (1_000, slack_ms),
    };
    let mut seen = occupancies(served, size, slack_ms);
    seen.sort_unstable();
    let place = (seen.len() * permille).div_ceil(1_000);
    let occupied = seen.get(place.saturating_sub(1)).copied().unwrap_or(1);
    u16::try_from(occupied).unwrap_or(u16::MAX).max(1)
}

/// Occupied compartments right after each deposit.
fn occupancies(served: &[&DemoParcel], size: DemoSize, slack_ms: i64) -> Vec<usize> {
    // At the same instant a pick-up comes first and frees its compartment.
    let mut changes: Vec<(i64, bool)> = served
        .iter()
        .filter(|parcel| parcel.size == size && parcel.consents_to_locker)
        .flat_map(|parcel| {
            [
                (parcel.picked_up_at.as_millis() + slack_ms, false),
                (parcel.deposited_at.as_millis() - slack_ms, true),
            ]
        })
        .collect();
    changes.sort_unstable();
    let mut occupied = 0_usize;
    let mut seen = Vec::new();
    for (_, is_deposit) in changes {
        if is_deposit {
            occupied += 1;
            seen.push(occupied);
        } else {
            occupied -= 1;
        }
    }
    seen
}
