//! `PUT /stations`.

use interlock_core::ids::StationId;
use interlock_core::station::{
    COMPARTMENTS_MAX, Capacity, Position, Station, StationName, StationState,
};
use serde_json::Value;

use super::super::STATIONS_MAX;
use super::super::call::Call;
use super::super::input::{Errors, Object, below, one_of, text, whole};
use crate::node::io::{LocalRequest, Problem};

/// One station, or an object with `stations`.
pub(in super::super) fn put(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    let value = call.json()?;
    let errors = Errors::default();
    let stations = read(&value, &errors);
    errors.finish(stations).map(LocalRequest::PutStations)
}

fn read(value: &Value, errors: &Errors) -> Option<Vec<Station>> {
    if value.get("stations").is_none() {
        return Some(vec![station(value, "", errors)?]);
    }
    let object = Object::of(value, "", errors, &["stations"])?;
    let list = object.needed("stations")?;
    let stations = object.list("stations", list, &(1..=STATIONS_MAX), |item, pointer| {
        station(item, pointer, errors)
    })?;
    let mut seen = std::collections::HashSet::new();
    for (index, station) in stations.iter().enumerate() {
        if !seen.insert(&station.id) {
            let pointer = format!("/stations/{index}/id");
            errors.push(&pointer, "this station is listed before; send it once");
        }
    }
    Some(stations)
}

fn station(value: &Value, pointer: &str, errors: &Errors) -> Option<Station> {
    let known = ["id", "name", "position", "state", "capacity"];
    let object = Object::of(value, pointer, errors, &known)?;
    let id = object.need("id", text(StationId::parse));
    let name = object.need("name", text(StationName::parse));
    let position = object.needed("position");
    let position =
        position.and_then(|value| self::position(value, &below(pointer, "position"), errors));
    let state = object.may("state", one_of(&StationState::ALL, StationState::as_str));
    let capacity = object.needed("capacity");
    let capacity =
        capacity.and_then(|value| self::capacity(value, &below(pointer, "capacity"), errors));
    Some(Station {
        id: id?,
        name: name?,
        position: position?,
        state: state.unwrap_or(StationState::Operating),
        capacity: capacity?,
    })
}

fn position(value: &Value, pointer: &str, errors: &Errors) -> Option<Position> {
    let object = Object::of(value, pointer, errors, &["longitude", "latitude"])?;
    let longitude = object.need("longitude", |value: &Value| micro_degrees(value, 180));
    let latitude = object.need("latitude", |value: &Value| micro_degrees(value, 90));
    Position::new(longitude?, latitude?)
        .map_err(|error| errors.push(pointer, error.to_string()))
        .ok()
}

/// Degrees as millionths of a degree, rounded.
fn micro_degrees(value: &Value, degrees_max: u8) -> Result<i32, String> {
    let degrees = value.as_f64().filter(|d| d.abs() <= f64::from(degrees_max));
    let micro = degrees.map(|degrees| (degrees * 1e6).round());
    // Writing and reading the whole number avoids a cast; it has at most nine digits.
    let micro = micro.and_then(|micro| format!("{micro:.0}").parse().ok());
    micro.ok_or_else(|| {
        format!("expected degrees as a number from -{degrees_max} to {degrees_max}; write WGS 84")
    })
}

fn capacity(value: &Value, pointer: &str, errors: &Errors) -> Option<Capacity> {
    let object = Object::of(value, pointer, errors, &["small", "medium", "large"])?;
    let count = |name: &str| match object.get(name) {
        None => Some(0),
        Some(_) => object.may(name, whole(0..=COMPARTMENTS_MAX)),
    };
    let (small, medium, large) = (count("small"), count("medium"), count("large"));
    Capacity::new(small?, medium?, large?)
        .map_err(|error| errors.push(pointer, error.to_string()))
        .ok()
}
