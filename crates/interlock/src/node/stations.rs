//! Stations: ours, and what we are shown of partners'.

use interlock_core::dataset::Dataset;
use interlock_core::event::Place;
use interlock_core::ids::{ParticipantId, StationId};
use interlock_core::parcel::SizeClass;
use interlock_core::station::{Station, StationState};
use serde_json::{Value, json};

use super::Node;
use super::io::{LocalAnswer, Problem};
use super::problem::{self, field};
use super::record::Record;
use super::state::OwnStation;
use super::state::parcels::Parcel;
use super::turn::Turn;
use crate::identity::partner::Role;

/// Metres of a degree of latitude.
const METRES_PER_DEGREE: f64 = 111_195.0;
/// How far another station may be that a courier is told of, in metres.
const NEAR_METRES_MAX: u64 = 3_000;
/// Of how many a courier is told.
const NEAR_MAX: usize = 3;

impl Node {
    /// `PUT /stations`.
    pub(super) fn put_stations(
        &mut self,
        turn: &mut Turn<'_>,
        stations: Vec<Station>,
    ) -> Result<LocalAnswer, Problem> {
        if !self.config.roles.contains(&Role::LockerOperator) {
            return Err(problem::problem(
                "not-an-operator",
                409,
                "no stations here",
                "this node's participant is no locker operator; add the role `locker-operator` to `interlock.toml`",
            ));
        }
        for (at, station) in stations.iter().enumerate() {
            let in_use = self
                .state
                .stations
                .get(&station.id)
                .is_some_and(|own| own.is_in_use());
            let same = self
                .state
                .stations
                .get(&station.id)
                .is_none_or(|own| own.station.capacity == station.capacity);
            if in_use && !same {
                return Err(field(
                    "station-in-use",
                    409,
                    "the station is in use",
                    &format!("/stations/{at}/capacity"),
                    "parcels lie there; change its compartments when it is empty",
                ));
            }
        }
        let count = stations.len();
        let mut changed = false;
        for station in stations {
            let known = self
                .state
                .stations
                .get(&station.id)
                .is_some_and(|own| own.station == station);
            if !known {
                self.record(turn, Record::Station(Box::new(station)));
                changed = true;
            }
        }
        if changed {
            self.stations_ready();
        }
        Ok(LocalAnswer::Json {
            status: 200,
            body: json!({ "stations": count }),
        })
    }

    /// Feeds of stations that may have something now, if somebody waits for one.
    pub(super) fn stations_ready(&mut self) {
        if self.nobody_waits() {
            return;
        }
        let dataset = Dataset::LockerStations;
        let channels = self.state.channels.iter();
        let fed = channels.filter(|(_, channel)| channel.outbound.contains_key(&dataset));
        self.live
            .ready
            .extend(fed.map(|(consumer, _)| (consumer.clone(), dataset)));
    }

    /// Whether no poll is parked and nothing is pushed, so that no feed has to be woken.
    pub(super) fn nobody_waits(&self) -> bool {
        self.live.parked.is_empty() && self.state.book.pushed().next().is_none()
    }

    /// `GET /stations`: ours, then partners'.
    pub(super) fn stations_view(&self) -> Value {
        self.stations_in(0, usize::MAX)
    }

    /// `{stations, partners, all, usable, partnersAll}`: a stretch of either list, how many there are of
    /// ours and how many of these take parcels, and how many there are of partners'.
    pub(super) fn stations_found(&self, from: u32, limit: u32) -> Value {
        let mut view = self.stations_in(from as usize, limit as usize);
        let own = self.state.stations.values();
        let usable = own.filter(|own| {
            let free = SizeClass::ALL
                .iter()
                .map(|size| own.compartments.free(*size));
            own.station.state == StationState::Operating && free.max().unwrap_or(0) > 0
        });
        if let Some(members) = view.as_object_mut() {
            members.insert("all".into(), self.state.stations.len().into());
            members.insert("usable".into(), usable.count().into());
            members.insert("partnersAll".into(), self.state.stations_seen.len().into());
        }
        view
    }

    /// `{stations: [{id, name, metres, free}]}`: the nearest of ours that take a parcel of this size, by
    /// the straight line, without the one itself.
    pub(super) fn stations_near(&self, id: &StationId, size: SizeClass) -> Value {
        let from = self.state.stations.get(id);
        let others = self.state.stations.values().filter(|own| {
            let operating = own.station.state == StationState::Operating;
            operating && own.station.id != *id && own.compartments.free(size) > 0
        });
        let mut near: Vec<(u64, &OwnStation)> = others
            .filter_map(|own| Some((metres(&from?.station, &own.station), own)))
            .filter(|(metres, _)| *metres <= NEAR_METRES_MAX)
            .collect();
        near.sort_by(|a, b| (a.0, &a.1.station.id).cmp(&(b.0, &b.1.station.id)));
        let near = near.into_iter().take(NEAR_MAX).map(|(metres, own)| {
            json!({
                "id": own.station.id.as_str(),
                "name": own.station.name.as_str(),
                "metres": metres,
                "free": own.compartments.free(size),
            })
        });
        json!({ "stations": near.collect::<Vec<_>>() })
    }

    fn stations_in(&self, from: usize, limit: usize) -> Value {
        let own = self.state.stations.values().skip(from).take(limit);
        let own: Vec<Value> = own.map(station_view).collect();
        let seen = self.state.stations_seen.iter().skip(from).take(limit);
        let seen = seen.map(|((operator, _), seen)| {
            json!({ "id": seen.station.as_str(), "operator": operator.as_str(), "name": seen.name,
                "state": seen.state, "capacity": seen.capacity, "availability": seen.availability })
        });
        json!({ "stations": own, "partners": seen.collect::<Vec<_>>() })
    }

    /// `GET /stations/{id}`.
    pub(super) fn station_answer(&self, id: &StationId) -> Result<LocalAnswer, Problem> {
        let own = self
            .state
            .stations
            .get(id)
            .ok_or_else(|| problem::not_found("station"))?;
        Ok(LocalAnswer::Json {
            status: 200,
            body: station_view(own),
        })
    }

    /// Name of the partner's station where a parcel lies, as the partner showed it.
    pub(super) fn station_seen_of(&self, parcel: &Parcel) -> Option<String> {
        let entry = parcel
            .events
            .iter()
            .rev()
            .find(|e| e.event.step.is_locker())?;
        let (Some(from), Some(Place::Station(station))) = (&entry.from, &entry.event.place) else {
            return None;
        };
        Some(self.seen_name(from, station))
    }

    /// Name of a partner's station; its id where no name was shown.
    pub(super) fn seen_name(&self, from: &ParticipantId, station: &StationId) -> String {
        let seen = self
            .state
            .stations_seen
            .get(&(from.clone(), station.clone()));
        seen.and_then(|s| s.name.clone())
            .unwrap_or_else(|| station.as_str().to_owned())
    }
}

impl OwnStation {
    fn is_in_use(&self) -> bool {
        SizeClass::ALL
            .iter()
            .any(|size| self.compartments.free(*size) < self.station.capacity.of(*size))
    }
}

/// Metres between two stations, on a plane: near enough for those that a courier can walk to.
fn metres(from: &Station, to: &Station) -> u64 {
    let degrees = |udeg: i32| f64::from(udeg) / 1e6;
    let north = degrees(to.position.lat_udeg()) - degrees(from.position.lat_udeg());
    let narrowing = degrees(from.position.lat_udeg()).to_radians().cos();
    let east = (degrees(to.position.lng_udeg()) - degrees(from.position.lng_udeg())) * narrowing;
    let metres = north.hypot(east) * METRES_PER_DEGREE;
    if metres.is_finite() {
        metres as u64
    } else {
        u64::MAX
    }
}

/// Degrees of millionths of a degree.
pub(super) fn degrees(millionths: i32) -> f64 {
    f64::from(millionths) / 1e6
}

fn station_view(own: &OwnStation) -> Value {
    let sizes: serde_json::Map<String, Value> = SizeClass::ALL
        .iter()
        .zip(own.shown)
        .map(|(size, level)| {
            let view = json!({
                "installed": own.station.capacity.of(*size),
                "free": own.compartments.free(*size),
                "shownAs": level.map(|l| l.as_str()),
            });
            (size.as_str().to_owned(), view)
        })
        .collect();
    json!({
        "id": own.station.id.as_str(),
        "name": own.station.name.as_str(),
        "state": own.station.state.as_str(),
        "position": { "longitude": degrees(own.station.position.lng_udeg()), "latitude": degrees(own.station.position.lat_udeg()) },
        "sizes": sizes,
    })
}
