//! Stations: ours, and what we are shown of partners'.

use interlock_core::dataset::Dataset;
use interlock_core::event::Place;
use interlock_core::ids::{ParticipantId, StationId};
use interlock_core::parcel::SizeClass;
use interlock_core::station::Station;
use serde_json::{Value, json};

use super::Node;
use super::io::{LocalAnswer, Problem};
use super::problem::{self, field};
use super::record::Record;
use super::state::OwnStation;
use super::state::parcels::Parcel;
use super::turn::Turn;
use crate::identity::partner::Role;

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
        let own: Vec<Value> = self.state.stations.values().map(station_view).collect();
        let seen: Vec<Value> = self
            .state
            .stations_seen
            .iter()
            .map(|((operator, _), seen)| {
                json!({ "id": seen.station.as_str(), "operator": operator.as_str(), "name": seen.name,
                    "state": seen.state, "capacity": seen.capacity, "availability": seen.availability })
            })
            .collect();
        json!({ "stations": own, "partners": seen })
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
