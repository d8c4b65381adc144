//! The rehearsal of 30 June, and whether it came as it was said.
//!
//! INVARIANT: what is said is what nodes answer to `GET /rehearsals`; what came is what they answer at
//! the midnight and at the end, to other questions. A parcel that nothing is said of must stay as it
//! is. It knows nothing of terms.

use std::collections::BTreeMap;

use interlock_core::time::{Timestamp, Zone};
use serde::Serialize;
use serde_json::{Value, json};

use super::cast::Who;
use super::deal::TRUCE_ENDS;
use super::error::DemoError;
use super::network::{Network, id_of};
use super::parcels::{DemoMarketplace, DemoParcel};
use super::streets::Streets;
use crate::local_api::ROUND_WAYBILLS_MAX;

/// Parcels of one page.
const PAGE: usize = 500;
/// What may follow the end: the nodes' word, and ours.
const ANSWERS: [(&str, &str); 3] = [
    ("nothing-signed", "nothing is signed, not even run-off"),
    ("run-off-only", "what the terms say, and nothing else"),
    ("temporary-agreement", "a temporary agreement follows"),
];
/// Of these, what comes to pass in the demo: the terms end, and nobody signs anything.
const COMES: &str = "run-off-only";

/// What one node says of one partner under one answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Who was asked.
    pub asked: &'static str,
    /// About the end of its agreements with whom.
    pub about: String,
    /// What follows the end.
    pub answer: &'static str,
    /// Parcels of which people see a difference.
    pub parcels: u64,
    /// Their recipients.
    pub recipients: u64,
    /// Their merchants.
    pub merchants: u64,
    /// Recipients whom nobody could tell of a deposit.
    pub not_told: u64,
    /// Parcels whose next event would wait.
    pub held: u64,
    /// Parcels whose next event would be dropped.
    pub dropped: u64,
    /// Parcels whose page would show the last known state.
    pub stale: u64,
}

/// What was said of some parcels, held against what came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Parcels looked at.
    pub checked: u64,
    /// Of these, parcels of which it came as it was said.
    pub as_said: u64,
    /// Of these, parcels of which a difference was said.
    pub touched: u64,
}

impl Check {
    fn add(&mut self, said: bool, came: bool) {
        self.checked += 1;
        self.as_said += u64::from(said == came);
        self.touched += u64::from(said);
    }
}

/// A rehearsal, and what came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rehearsal {
    /// What the nodes said three days before.
    pub said: Vec<Said>,
    /// Rounds checked at the locker operator at the midnight, as it was said on 28 June.
    pub rounds_said_early: Check,
    /// The same, as it was said in the last minute.
    pub rounds: Check,
    /// Pages of the owner at the midnight, as it was said in the last minute.
    pub pages: Check,
    /// Events of the carrier after the midnight, as it was said in the last minute.
    pub events: Check,
}

impl Rehearsal {
    /// All checks, with what they are.
    pub fn checks(&self) -> [(&'static str, Check); 4] {
        [
            ("rounds, said on 28 June", self.rounds_said_early),
            ("rounds, said on 30 June", self.rounds),
            ("pages, said on 30 June", self.pages),
            ("events, said on 30 June", self.events),
        ]
    }

    /// Whether everything came as it was said.
    pub fn came_true(&self) -> bool {
        let mut all = self.checks().into_iter();
        all.all(|(_, check)| check.checked == check.as_said)
    }
}

/// What was said of single parcels, by waybill number: of those of which a difference was said.
#[derive(Debug, Default)]
pub struct Sayings {
    /// Of the locker operator: whether nobody could tell the recipient.
    not_told: BTreeMap<String, bool>,
    /// Of the owner: whether the page shows the last known state.
    stale: BTreeMap<String, bool>,
    /// Of the carrier: whether the next event does not arrive.
    kept_back: BTreeMap<String, bool>,
}

/// Parcels whose carrier will report more after the midnight.
pub type Watched = Vec<usize>;

/// Asks the owner, the locker operator and the carrier of the dispute.
///
/// # Errors
/// [`DemoError`] if a node does not answer.
pub async fn ask(network: &Network) -> Result<(Vec<Said>, Sayings), DemoError> {
    let mut said = Vec::new();
    let mut sayings = Sayings::default();
    for who in [Who::Cainiao, Who::Fengchao, Who::Sf] {
        let mut after = 0;
        loop {
            let at = TRUCE_ENDS.to_rfc3339(Zone::CHINA).replace('+', "%2B");
            let path = format!("/rehearsals?at={at}&after={after}&limit={PAGE}");
            let page = network.api(who).get(&path).await?;
            if after == 0 {
                said.extend(rows(who, &page));
            }
            let parcels = page.get("parcels").and_then(Value::as_array);
            let parcels = parcels.map_or(&[][..], Vec::as_slice);
            for parcel in parcels {
                sayings.take(who, parcel);
            }
            if parcels.len() < PAGE {
                break;
            }
            after = page.get("next").and_then(Value::as_u64).unwrap_or(0);
        }
    }
    Ok((said, sayings))
}

fn rows(who: Who, page: &Value) -> Vec<Said> {
    let cooperations = page.get("cooperations").and_then(Value::as_array);
    let mut rows = Vec::new();
    for cooperation in cooperations.into_iter().flatten() {
        let name = cooperation.get("name").and_then(Value::as_str);
        for (key, answer) in ANSWERS {
            let count = |member: &str| {
                let pointer = format!("/outcomes/{key}/{member}");
                let count = cooperation.pointer(&pointer);
                count.and_then(Value::as_u64).unwrap_or(0)
            };
            rows.push(Said {
                asked: who.name(),
                about: name.unwrap_or_default().into(),
                answer,
                parcels: count("parcels"),
                recipients: count("recipients"),
                merchants: count("merchants"),
                not_told: count("recipientsNotTold"),
                held: count("eventsHeld"),
                dropped: count("eventsDropped"),
                stale: count("trackingStale"),
            });
        }
    }
    rows
}

impl Sayings {
    fn take(&mut self, who: Who, parcel: &Value) {
        let Some(number) = parcel.get("number").and_then(Value::as_str) else {
            return;
        };
        let word = |member: &str| {
            let pointer = format!("/outcomes/{COMES}/{member}");
            parcel.pointer(&pointer).and_then(Value::as_str)
        };
        let mut put = |of: fn(&mut Self) -> &mut BTreeMap<String, bool>, touched: Option<bool>| {
            if let Some(touched) = touched {
                *of(self).entry(number.into()).or_default() |= touched;
            }
        };
        match who {
            Who::Fengchao => put(|s| &mut s.not_told, word("message").map(|w| w == "nobody")),
            Who::Cainiao => put(
                |s| &mut s.stale,
                word("tracking").map(|w| w == "last-known"),
            ),
            Who::Sf => put(|s| &mut s.kept_back, word("events").map(|w| w != "flow")),
            Who::Jd | Who::Suidiyi | Who::Yto | Who::Bureau => {}
        }
    }
}

/// Holds what was said in the last minute, and before, against what the nodes do at the midnight.
///
/// # Errors
/// [`DemoError`] if a node does not answer.
pub async fn check_midnight(
    network: &Network,
    streets: &Streets<'_>,
    parcels: &[DemoParcel],
    early: &Sayings,
    late: &Sayings,
    rehearsal: &mut Rehearsal,
) -> Result<Watched, DemoError> {
    let taobao = |n: &usize| {
        let parcel = parcels.get(*n)?;
        (parcel.marketplace == DemoMarketplace::Taobao).then_some((*n, parcel))
    };
    let on_the_way: Vec<(usize, &DemoParcel)> =
        streets.on_the_way.iter().filter_map(taobao).collect();
    let operator = Who::Fengchao;
    let mut round = on_the_way.clone();
    round.retain(|(_, parcel)| Who::operator_of(parcel) == operator);
    for part in round.chunks(ROUND_WAYBILLS_MAX) {
        let waybills: Vec<Value> = part.iter().map(|(_, p)| waybill_of(p)).collect();
        let body = json!({ "waybills": waybills });
        let answer = network.api(operator).post("/rounds/check", &body).await?;
        let items = answer.get("items").and_then(Value::as_array);
        for item in items.into_iter().flatten() {
            let number = item.get("number").and_then(Value::as_str);
            let number = number.unwrap_or_default();
            let came = item.get("notifier").and_then(Value::as_str) == Some("nobody");
            if let Some(said) = early.not_told.get(number) {
                rehearsal.rounds_said_early.add(*said, came);
            }
            let said = late.not_told.get(number).copied().unwrap_or(false);
            rehearsal.rounds.add(said, came);
        }
    }
    let inside: Vec<usize> = streets.inside().collect();
    let lying = inside.iter().filter_map(taobao);
    for (_, parcel) in on_the_way.iter().copied().chain(lying) {
        let shown = network.api(Who::Cainiao).get(&path_of(parcel)).await?;
        let stale = shown.get("stale").and_then(Value::as_array);
        let came = stale.is_some_and(|sources| !sources.is_empty());
        let said = late.stale.get(&parcel.waybill_number).copied();
        rehearsal.pages.add(said.unwrap_or(false), came);
    }
    let by_sf =
        |(n, parcel): &(usize, &DemoParcel)| (Who::carrier_of(parcel) == Who::Sf).then_some(*n);
    Ok(on_the_way.iter().filter_map(by_sf).collect())
}

/// Holds what was said of the carrier's events against what has reached the owner at the end, of the
/// parcels of which the carrier has reported something after the midnight.
///
/// # Errors
/// [`DemoError`] if a node does not answer.
pub async fn check_events(
    network: &Network,
    parcels: &[DemoParcel],
    watched: &[usize],
    late: &Sayings,
    rehearsal: &mut Rehearsal,
) -> Result<(), DemoError> {
    let carrier = id_of(Who::Sf)?;
    for parcel in watched.iter().filter_map(|n| parcels.get(*n)) {
        let at_carrier = network.api(Who::Sf).get(&path_of(parcel)).await?;
        let reported = events_from(&at_carrier, None);
        if !reported.iter().any(|at| *at >= TRUCE_ENDS) {
            continue;
        }
        let at_owner = network.api(Who::Cainiao).get(&path_of(parcel)).await?;
        let arrived = events_from(&at_owner, Some(carrier.as_str()));
        let said = late.kept_back.get(&parcel.waybill_number).copied();
        let came = arrived.len() < reported.len();
        rehearsal.events.add(said.unwrap_or(false), came);
    }
    Ok(())
}

/// Times of the events that a node has of a parcel, from one source.
fn events_from(shown: &Value, from: Option<&str>) -> Vec<Timestamp> {
    let events = shown.get("events").and_then(Value::as_array);
    let mut times = Vec::new();
    for event in events.into_iter().flatten() {
        let time = event.get("at").and_then(Value::as_str);
        let time = time.and_then(|text| Timestamp::parse_zoned(text).ok());
        if event.get("from").and_then(Value::as_str) == from
            && let Some((time, _)) = time
        {
            times.push(time);
        }
    }
    times
}

fn waybill_of(parcel: &DemoParcel) -> Value {
    json!({ "carrier": parcel.carrier.as_str(), "number": parcel.waybill_number })
}

fn path_of(parcel: &DemoParcel) -> String {
    let carrier = parcel.carrier.as_str();
    format!("/parcels/{carrier}/{}", parcel.waybill_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(number: &str, message: &str, tracking: &str, events: &str) -> Value {
        let seen = json!({ "message": message, "tracking": tracking, "events": events });
        json!({ "number": number, "outcomes": { COMES: seen } })
    }

    #[test]
    fn what_is_said_is_kept_by_parcel_and_a_check_fails_either_way() {
        let mut sayings = Sayings::default();
        sayings.take(Who::Cainiao, &listed("A", "", "current", ""));
        sayings.take(Who::Cainiao, &listed("A", "", "last-known", ""));
        sayings.take(Who::Fengchao, &listed("A", "nobody", "", ""));
        sayings.take(Who::Fengchao, &listed("B", "operator", "", ""));
        sayings.take(Who::Sf, &listed("B", "", "", "held"));
        assert_eq!(
            sayings.stale.get("A"),
            Some(&true),
            "of one partner is enough"
        );
        let told: Vec<bool> = sayings.not_told.into_values().collect();
        assert_eq!(told, [true, false]);
        assert_eq!(sayings.kept_back.get("B"), Some(&true));
        let mut rehearsal = Rehearsal::default();
        rehearsal.pages.add(true, true);
        rehearsal.pages.add(false, false);
        assert!(rehearsal.came_true());
        assert_eq!((rehearsal.pages.checked, rehearsal.pages.touched), (2, 1));
        for (said, came) in [(true, false), (false, true)] {
            let mut other = rehearsal.clone();
            other.events.add(said, came);
            assert!(!other.came_true());
        }
    }
}
