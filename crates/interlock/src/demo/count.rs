//! Figures counted from what the nodes answer.
//!
//! INVARIANT: a figure is a sum over `GET /status` of the nodes and over the outbox; what the demo
//! meant to send is not looked at. Counts only grow, so that a day is a difference of two counts.

use std::collections::{BTreeMap, BTreeSet};

use interlock_core::dataset::Dataset;
use serde_json::Value;

use super::cast::Who;
use super::error::DemoError;
use super::gateway::Sms;
use super::network::Network;

/// What was counted at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Parcels at their owners.
    pub parcels: u64,
    /// Deposits confirmed at operators.
    pub deposits: u64,
    /// Deposits refused at operators, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Parcels picked up from lockers.
    pub picked_up: u64,
    /// Messages in the outbox.
    pub messages_sent: u64,
    /// Messages beyond the first about the same deposit.
    pub messages_duplicate: u64,
    /// Events accepted at their sources.
    pub events_accepted: u64,
    /// Events received by owners.
    pub events_delivered: u64,
    /// Events that wait at their sources.
    pub events_waiting: u64,
    /// Of these, events held because no agreement covers them.
    pub events_held: u64,
    /// Events that their sources dropped because the terms say so.
    pub events_dropped: u64,
    /// Repeats that owners received and kept out.
    pub events_duplicate: u64,
    /// Events that owners received after a later one of the same parcel.
    pub events_out_of_order: u64,
    /// Items released: events, pre-advices, stations, contacts.
    pub releases: u64,
    /// Of these, states of stations: open data, of no parcel.
    pub releases_of_stations: u64,
    /// Events that left by backlog lanes.
    pub drained: u64,
    /// Denials by reason.
    pub denials: BTreeMap<String, u64>,
}

impl Figures {
    /// Counts now.
    ///
    /// # Errors
    /// [`DemoError`] if a node does not answer.
    pub async fn count(network: &Network) -> Result<Self, DemoError> {
        let mut figures = Self::default();
        for who in Who::ALL {
            let status = network.api(who).get("/status").await?;
            figures.add(who, &status);
        }
        let outbox = network.gateway.since(0);
        figures.messages_sent = outbox.len() as u64;
        figures.messages_duplicate = duplicates(&outbox);
        Ok(figures)
    }

    fn add(&mut self, who: Who, status: &Value) {
        let count = |name: &str| status.get(name).map_or(0, total);
        if who.marketplace().is_some() {
            self.parcels += count("parcels");
        }
        self.deposits += count("deposits");
        add_reasons(&mut self.refused, status.get("depositsRefused"));
        self.picked_up += count("pickedUp");
        self.events_accepted += count("eventsAccepted");
        self.events_delivered += count("eventsReceived");
        self.events_duplicate += count("eventsDuplicate");
        self.events_out_of_order += count("eventsOutOfOrder");
        self.releases += count("releases");
        add_reasons(&mut self.denials, status.get("denials"));
        let feeds = status.get("feeds").and_then(Value::as_array);
        for feed in feeds.into_iter().flatten() {
            let of = |pointer: &str| feed.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
            let dataset = feed.get("dataset").and_then(Value::as_str);
            if dataset == Some(Dataset::LockerStations.as_str()) {
                self.releases_of_stations += of("/live/released") + of("/backlog/released");
            }
            if is_of_events(dataset) {
                self.events_held += of("/held");
                self.events_waiting += of("/held") + of("/live/ready") + of("/backlog/ready");
                self.events_dropped += of("/dropped");
                self.drained += of("/backlog/released");
            }
        }
    }

    /// Events that owners should have and have not, and that wait nowhere.
    pub const fn events_lost(&self) -> u64 {
        let known = self.events_delivered + self.events_waiting;
        self.events_accepted.saturating_sub(known)
    }

    /// What happened since an earlier count; what waits is what waits now.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            parcels: self.parcels - earlier.parcels,
            deposits: self.deposits - earlier.deposits,
            refused: since(&self.refused, &earlier.refused),
            picked_up: self.picked_up - earlier.picked_up,
            messages_sent: self.messages_sent - earlier.messages_sent,
            messages_duplicate: self.messages_duplicate - earlier.messages_duplicate,
            events_accepted: self.events_accepted - earlier.events_accepted,
            events_delivered: self.events_delivered - earlier.events_delivered,
            events_waiting: self.events_waiting,
            events_held: self.events_held,
            events_dropped: self.events_dropped - earlier.events_dropped,
            events_duplicate: self.events_duplicate - earlier.events_duplicate,
            events_out_of_order: self.events_out_of_order - earlier.events_out_of_order,
            releases: self.releases - earlier.releases,
            releases_of_stations: self.releases_of_stations - earlier.releases_of_stations,
            drained: self.drained - earlier.drained,
            denials: since(&self.denials, &earlier.denials),
        }
    }
}

/// A number, or the sum of an object of numbers.
fn total(value: &Value) -> u64 {
    match value {
        Value::Object(members) => members.values().filter_map(Value::as_u64).sum(),
        Value::Number(number) => number.as_u64().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) => 0,
    }
}

fn add_reasons(to: &mut BTreeMap<String, u64>, from: Option<&Value>) {
    for (reason, count) in from.and_then(Value::as_object).into_iter().flatten() {
        *to.entry(reason.clone()).or_default() += count.as_u64().unwrap_or(0);
    }
}

fn since(now: &BTreeMap<String, u64>, earlier: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let grown = now.iter().map(|(reason, count)| {
        let before = earlier.get(reason).copied().unwrap_or(0);
        (reason.clone(), count - before)
    });
    grown.filter(|(_, count)| *count > 0).collect()
}

fn is_of_events(dataset: Option<&str>) -> bool {
    let of_events = [Dataset::LockerEvents, Dataset::TrackingEvents];
    dataset.is_some_and(|name| of_events.iter().any(|d| d.as_str() == name))
}

/// Messages beyond the first about the same deposit: the link names the parcel.
fn duplicates(outbox: &[Sms]) -> u64 {
    let mut seen = BTreeSet::new();
    let mut repeated = 0;
    for sms in outbox {
        let text = sms.en.as_str();
        let what = (sms.from, text);
        if !seen.insert(what) {
            repeated += 1;
        }
    }
    repeated
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_added_and_a_day_is_a_difference() {
        let status = json!({
            "parcels": 9, "deposits": 4, "depositsRefused": { "term-ended": 2 }, "pickedUp": 3,
            "eventsAccepted": 20, "eventsReceived": 0, "eventsDuplicate": 0, "eventsOutOfOrder": 0,
            "releases": 17, "denials": { "not-in-run-off": 1 },
            "feeds": [
                { "dataset": "locker-events", "held": 2, "dropped": 4, "live": { "ready": 1, "released": 8 },
                  "backlog": { "ready": 3, "released": 5 } },
                { "dataset": "locker-stations", "held": 7, "live": { "ready": 0, "released": 1 },
                  "backlog": { "ready": 0, "released": 9 } },
            ],
        });
        let mut now = Figures::default();
        now.add(Who::Fengchao, &status);
        assert_eq!((now.parcels, now.deposits, now.picked_up), (0, 4, 3));
        assert_eq!(
            (now.events_held, now.events_waiting, now.drained),
            (2, 6, 5)
        );
        assert_eq!((now.events_lost(), now.releases_of_stations), (14, 10));
        assert_eq!(now.events_dropped, 4);
        let earlier = now.clone();
        now.add(Who::Cainiao, &json!({ "parcels": 9, "eventsReceived": 14 }));
        assert_eq!((now.parcels, now.events_lost()), (9, 0));
        let day = now.since(&earlier);
        assert_eq!((day.deposits, day.events_delivered), (0, 14));
        assert_eq!(day.denials, BTreeMap::new());
    }
}
