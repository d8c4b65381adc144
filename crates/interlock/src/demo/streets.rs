//! What happens to parcels: order systems, couriers, cabinets and recipients at work.
//!
//! INVARIANT: everything goes through the local API of the participant whose system it would be; a
//! recipient knows of a parcel only what a message says. Whatever becomes of a request is the nodes'
//! word: a courier who is refused delivers to the door. It counts nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::Method;
use interlock_core::event::{Place, Step};
use interlock_core::time::{Timestamp, Zone};
use serde_json::{Value, json};

use super::api::Api;
use super::cast::Who;
use super::error::DemoError;
use super::gateway::Sms;
use super::lanes::in_lanes;
use super::network::{Network, id_of};
use super::parcels::{DemoOperator, DemoParcel, DemoSize, DemoStation};
use super::plan::{Plan, event_time};
use crate::epcis::{EVENTS_MAX, EventDraft, IdBase, render, render_document};
use crate::local_api::{PARCELS_MAX, ROUND_WAYBILLS_MAX, STATIONS_MAX};
use interlock_core::waybill::Waybill;

/// Size of a batch of parcels: their recipients make bodies large.
const PUT_MAX: usize = 500;
const _: () = assert!(PUT_MAX <= PARCELS_MAX);

/// The streets: parcels and where each is now.
pub struct Streets<'a> {
    network: &'a Network,
    parcels: Arc<Vec<DemoParcel>>,
    plan: Plan,
    /// Parcels that were announced and did not come to a locker yet, by number.
    pub on_the_way: BTreeSet<usize>,
    /// Parcels in lockers, by number.
    inside: BTreeMap<usize, Inside>,
    /// Messages that recipients have not acted on, by where the parcel lies.
    phones: BTreeMap<(Who, String, u64), Note>,
    /// How much of the outbox recipients have read.
    read: usize,
    /// Tracking pages of parcels, as their owners gave them.
    pub tracking: BTreeMap<usize, String>,
    /// Pick-up pages of parcels, as messages gave them.
    pub pages: BTreeMap<usize, String>,
    /// Rounds checked ahead: day, parcels asked about, of which a locker may be used.
    pub rounds: Vec<Round>,
}

/// What a courier was told of a round before setting out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// When it was asked.
    pub at: Timestamp,
    /// At whose node.
    pub operator: Who,
    /// Parcels.
    pub parcels: usize,
    /// Parcels that may go into a locker.
    pub may: usize,
}

/// A parcel in a locker.
struct Inside {
    operator: Who,
    deposit: String,
    station: String,
    compartment: u64,
}

/// What a message tells.
struct Note {
    code: String,
    link: String,
}

/// What became of a courier's scan.
enum Outcome {
    Inside(Inside),
    ToTheDoor,
}

impl<'a> Streets<'a> {
    /// Nothing has happened yet.
    pub fn new(network: &'a Network, parcels: Arc<Vec<DemoParcel>>, plan: Plan) -> Self {
        Self {
            network,
            parcels,
            plan,
            on_the_way: BTreeSet::new(),
            inside: BTreeMap::new(),
            phones: BTreeMap::new(),
            read: 0,
            tracking: BTreeMap::new(),
            pages: BTreeMap::new(),
            rounds: Vec::new(),
        }
    }

    /// Operators describe their stations.
    ///
    /// # Errors
    /// [`DemoError`] if they are not taken.
    pub async fn put_stations(&self, stations: &[DemoStation]) -> Result<(), DemoError> {
        for operator in [DemoOperator::Fengchao, DemoOperator::Suidiyi] {
            let own: Vec<Value> = stations
                .iter()
                .filter(|station| station.operator == operator)
                .map(station_body)
                .collect();
            let api = self.network.api(Who::operator(operator));
            for batch in own.chunks(STATIONS_MAX) {
                let body = json!({ "stations": batch });
                api.write(Method::PUT, "/stations", Some(&body)).await?;
            }
        }
        Ok(())
    }

    /// Does what is due by `now`, to which the clock was moved.
    ///
    /// # Errors
    /// [`DemoError`] if a node does not do its part.
    pub async fn step(&mut self, now: Timestamp) -> Result<(), DemoError> {
        self.pick_up(now).await?;
        let accepted = self.plan.accepted(now);
        let tracked = self.plan.tracked(now);
        let at_lockers = self.plan.deposited(now);
        if !accepted.is_empty() {
            self.announce(&accepted).await?;
            self.network.rest().await?;
        }
        self.report(now, &tracked).await?;
        if !at_lockers.is_empty() {
            self.check_rounds(now, &at_lockers).await?;
            let to_the_door = self.deposit(&at_lockers).await?;
            self.network.rest().await?;
            let delivered: Vec<_> = to_the_door.iter().map(|n| (*n, Step::Delivered)).collect();
            self.report(now, &delivered).await?;
            self.pick_up(now).await?;
        }
        self.network.rest().await
    }

    fn parcel(&self, number: usize) -> Result<&DemoParcel, DemoError> {
        self.parcels.get(number).ok_or_else(|| DemoError::Own {
            what: "a parcel",
            reason: format!("there is no parcel {number}"),
        })
    }

    /// Owners and carriers announce parcels to their own nodes.
    async fn announce(&mut self, numbers: &[usize]) -> Result<(), DemoError> {
        let mut work: BTreeMap<Who, Vec<(usize, Value)>> = BTreeMap::new();
        for number in numbers {
            let parcel = self.parcel(*number)?;
            let owner = Who::owner(parcel);
            let by_owner = owner_body(parcel);
            let by_carrier = carrier_body(parcel)?;
            let carrier = Who::carrier_of(parcel);
            work.entry(owner).or_default().push((*number, by_owner));
            work.entry(carrier).or_default().push((*number, by_carrier));
            self.on_the_way.insert(*number);
        }
        let mut batches = Vec::new();
        for (who, all) in work {
            for batch in all.chunks(PUT_MAX) {
                batches.push((self.network.api(who).clone(), who, batch.to_vec()));
            }
        }
        let put = |(api, who, batch): (Api, Who, Vec<(usize, Value)>)| async move {
            let (numbers, bodies): (Vec<usize>, Vec<Value>) = batch.into_iter().unzip();
            let body = json!({ "parcels": bodies });
            let taken = api.write(Method::PUT, "/parcels", Some(&body)).await?;
            Ok((who, numbers, taken))
        };
        for (who, numbers, taken) in in_lanes(batches, put).await? {
            if who.marketplace().is_some() {
                let links = super::deal::texts(&taken, "items", "tracking");
                self.tracking
                    .extend(numbers.into_iter().zip(links.map(str::to_owned)));
            }
        }
        Ok(())
    }

    /// Carriers report what they saw.
    async fn report(&self, now: Timestamp, events: &[(usize, Step)]) -> Result<(), DemoError> {
        let mut work: BTreeMap<Who, Vec<Value>> = BTreeMap::new();
        for (number, step) in events {
            let parcel = self.parcel(*number)?;
            let carrier = Who::carrier_of(parcel);
            let at = if *step == Step::Delivered {
                now
            } else {
                event_time(parcel, step)
            };
            let event = EventDraft {
                step: step.clone(),
                at,
                zone: Zone::CHINA,
                place: Some(Place::Named(parcel.city.clone())),
            };
            let waybill = waybill(parcel)?;
            let base = IdBase::parse(&carrier.domain()).ok_or_else(|| DemoError::Own {
                what: "a domain",
                reason: carrier.domain(),
            })?;
            let rendered = render(&event, &waybill, &base);
            work.entry(carrier).or_default().push(rendered);
        }
        for (carrier, all) in work {
            for batch in all.chunks(EVENTS_MAX) {
                let document = render_document(batch.to_vec(), now, Zone::CHINA);
                self.network.api(carrier).post("/events", &document).await?;
            }
        }
        Ok(())
    }

    /// On the first way of a day couriers ask ahead, at each operator, about up to 500 parcels.
    async fn check_rounds(&mut self, now: Timestamp, numbers: &[usize]) -> Result<(), DemoError> {
        let day = Zone::CHINA.day_of(now);
        for operator in Who::OPERATORS {
            let asked =
                |round: &Round| round.operator == operator && Zone::CHINA.day_of(round.at) == day;
            if self.rounds.iter().rev().take(4).any(asked) {
                continue;
            }
            let parcels = numbers.iter().filter_map(|n| self.parcels.get(*n));
            let waybills: Vec<Value> = parcels
                .filter(|parcel| Who::operator_of(parcel) == operator)
                .take(ROUND_WAYBILLS_MAX)
                .map(waybill_body)
                .collect();
            if waybills.is_empty() {
                continue;
            }
            let body = json!({ "waybills": waybills });
            let checked = self
                .network
                .api(operator)
                .post("/rounds/check", &body)
                .await?;
            let items = checked.get("items").and_then(Value::as_array);
            let may = |item: &&Value| item.get("canDeposit") == Some(&Value::Bool(true));
            self.rounds.push(Round {
                at: now,
                operator,
                parcels: waybills.len(),
                may: items.into_iter().flatten().filter(may).count(),
            });
        }
        Ok(())
    }

    /// Couriers stand before lockers; at each station one after the other. Returns the parcels that
    /// they were told to deliver to the door.
    async fn deposit(&mut self, numbers: &[usize]) -> Result<Vec<usize>, DemoError> {
        let mut by_station: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for number in numbers {
            let station = self.parcel(*number)?.station.as_str().to_owned();
            self.on_the_way.remove(number);
            by_station.entry(station).or_default().push(*number);
        }
        let mut work = Vec::new();
        for numbers in by_station.into_values() {
            let Some(first) = numbers.first() else {
                continue;
            };
            let operator = Who::operator_of(self.parcel(*first)?);
            work.push((self.network.api(operator).clone(), operator, numbers));
        }
        let parcels = self.parcels.clone();
        let at_station = move |(api, operator, numbers): (Api, Who, Vec<usize>)| {
            let parcels = parcels.clone();
            async move {
                let mut outcomes = Vec::with_capacity(numbers.len());
                for number in numbers {
                    if let Some(parcel) = parcels.get(number) {
                        outcomes.push((number, scan(&api, operator, parcel).await?));
                    }
                }
                Ok(outcomes)
            }
        };
        let mut to_the_door = Vec::new();
        for (number, outcome) in in_lanes(work, at_station).await?.into_iter().flatten() {
            match outcome {
                Outcome::Inside(inside) => {
                    self.inside.insert(number, inside);
                }
                Outcome::ToTheDoor => to_the_door.push(number),
            }
        }
        to_the_door.sort_unstable();
        Ok(to_the_door)
    }

    /// Recipients read their messages and pick up what is due by `now`.
    async fn pick_up(&mut self, now: Timestamp) -> Result<(), DemoError> {
        self.read_messages();
        let due: Vec<usize> = self
            .inside
            .keys()
            .copied()
            .filter(|n| self.parcels.get(*n).is_some_and(|p| p.picked_up_at <= now))
            .collect();
        let mut work = Vec::new();
        for number in due {
            let Some(inside) = self.inside.get(&number) else {
                continue;
            };
            let place = (inside.operator, inside.station.clone(), inside.compartment);
            // Without a message nobody knows that there is something to pick up.
            let Some(note) = self.phones.remove(&place) else {
                continue;
            };
            self.pages.insert(number, note.link);
            if let Some(inside) = self.inside.remove(&number) {
                let api = self.network.api(inside.operator).clone();
                work.push((api, inside.deposit, note.code));
            }
        }
        let take = |(api, deposit, code): (Api, String, String)| async move {
            let path = format!("/deposits/{deposit}");
            let typed = json!({ "code": code });
            api.post(&format!("{path}/open"), &typed).await?;
            api.post(&format!("{path}/pickup"), &json!({})).await
        };
        in_lanes(work, take).await.map(drop)
    }

    fn read_messages(&mut self) {
        let fresh = self.network.gateway.since(self.read);
        self.read += fresh.len();
        for sms in fresh {
            if let Some((place, note)) = understand(&sms) {
                self.phones.insert(place, note);
            }
        }
    }

    /// The pick-up page of a parcel that lies in a locker now, if its recipient was told.
    pub fn page_inside(&self, number: usize) -> Option<&str> {
        let inside = self.inside.get(&number)?;
        let place = (inside.operator, inside.station.clone(), inside.compartment);
        self.phones.get(&place).map(|note| note.link.as_str())
    }

    /// The deposit of a parcel in a locker, and whose locker that is.
    pub fn deposit_inside(&self, number: usize) -> Option<(Who, &str)> {
        let inside = self.inside.get(&number)?;
        Some((inside.operator, inside.deposit.as_str()))
    }

    /// Numbers of the parcels in lockers now.
    pub fn inside(&self) -> impl Iterator<Item = usize> {
        self.inside.keys().copied()
    }
}

/// A courier scans a parcel, puts it in and closes the door, or is told to deliver to the address. Where
/// no compartment of its size is free, a larger one will do.
async fn scan(api: &Api, operator: Who, parcel: &DemoParcel) -> Result<Outcome, DemoError> {
    for size in DemoSize::ALL
        .into_iter()
        .filter(|size| *size >= parcel.size)
    {
        let body = json!({
            "waybill": waybill_body(parcel),
            "station": parcel.station.as_str(),
            "size": size.as_str(),
            "courier": parcel.courier.as_str(),
        });
        let key = format!("scan-{}-{}", parcel.waybill_number, size.as_str());
        let answer = api
            .ask(Method::POST, "/deposits", Some(&body), Some(&key))
            .await?;
        if answer.status == 201 {
            return put_in(api, operator, parcel, &answer.body).await;
        }
        let kind = answer.body.get("type").and_then(Value::as_str);
        let full = kind.is_some_and(|kind| kind.ends_with("no-compartment"));
        match (answer.status, full) {
            (409, true) => {}
            (409, false) => break,
            (status, _) => {
                return Err(DemoError::Refused {
                    who: operator,
                    request: "POST /deposits".into(),
                    status,
                    detail: answer.body.to_string(),
                });
            }
        }
    }
    Ok(Outcome::ToTheDoor)
}

/// The parcel lies inside and the door is closed.
async fn put_in(
    api: &Api,
    operator: Who,
    parcel: &DemoParcel,
    deposit: &Value,
) -> Result<Outcome, DemoError> {
    let id = deposit.get("id").and_then(Value::as_str);
    let compartment = deposit.get("compartment").and_then(Value::as_u64);
    let (Some(id), Some(compartment)) = (id, compartment) else {
        return Err(DemoError::Unreachable {
            who: operator,
            request: "POST /deposits".into(),
            reason: "the answer names no deposit or no compartment".into(),
        });
    };
    let path = format!("/deposits/{id}/confirm");
    api.post(&path, &json!({})).await?;
    Ok(Outcome::Inside(Inside {
        operator,
        deposit: id.into(),
        station: format!("{} {}", parcel.city, parcel.station.as_str()),
        compartment,
    }))
}

/// What a recipient understands of a message: where, which compartment, the code, the link.
fn understand(sms: &Sms) -> Option<((Who, String, u64), Note)> {
    let station = between(&sms.en, " parcel is in locker ", ". Pick it up by ")?;
    let code = between(&sms.en, " Code ", ", compartment ")?;
    let compartment = between(&sms.en, ", compartment ", ".")?.parse().ok()?;
    let link = sms.en.rsplit(' ').next()?;
    let note = Note {
        code: code.into(),
        link: link.into(),
    };
    Some(((sms.from, station.into(), compartment), note))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

/// The waybill of a parcel.
///
/// # Errors
/// [`DemoError::Own`] for a number that its carrier does not give.
pub(super) fn waybill(parcel: &DemoParcel) -> Result<Waybill, DemoError> {
    Waybill::parse(parcel.carrier.as_str(), &parcel.waybill_number)
        .map_err(DemoError::own("a waybill"))
}

fn waybill_body(parcel: &DemoParcel) -> Value {
    json!({ "carrier": parcel.carrier.as_str(), "number": parcel.waybill_number })
}

fn owner_body(parcel: &DemoParcel) -> Value {
    let recipient = &parcel.recipient;
    let consent = if parcel.consents_to_locker {
        "given"
    } else {
        "refused"
    };
    json!({
        "waybill": waybill_body(parcel),
        "marketplace": parcel.marketplace.as_str(),
        "merchant": parcel.merchant.as_str(),
        "recipient": {
            "name": recipient.name,
            "phone": recipient.phone.reveal(),
            "address": recipient.address,
        },
        "size": parcel.size.as_str(),
        "consent": consent,
    })
}

fn carrier_body(parcel: &DemoParcel) -> Result<Value, DemoError> {
    Ok(json!({
        "waybill": waybill_body(parcel),
        "marketplace": parcel.marketplace.as_str(),
        "owner": id_of(Who::owner(parcel))?.as_str(),
        "size": parcel.size.as_str(),
        "lockers": [id_of(Who::operator_of(parcel))?.as_str()],
    }))
}

fn station_body(station: &DemoStation) -> Value {
    let count = |size: DemoSize| station.compartments.get(&size).copied().unwrap_or_default();
    json!({
        "id": station.id.as_str(),
        "name": station.name,
        "position": {
            "longitude": f64::from(station.lng_micro) / 1e6,
            "latitude": f64::from(station.lat_micro) / 1e6,
        },
        "capacity": {
            "small": count(DemoSize::A),
            "medium": count(DemoSize::B),
            "large": count(DemoSize::C),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_understands_what_a_node_writes() {
        use crate::notify::{CodeFacts, MessageFacts, MessageKind, message};
        use crate::pages::Language;
        let facts = MessageFacts {
            sender: "Fengchao",
            carrier: "SF Express",
            station: "Shanghai fengchao.6073.1561",
            position: None,
            pickup_until: Timestamp::from_millis(1_496_246_400_000),
            zone: Zone::CHINA,
            code: Some(CodeFacts {
                code: "481 516",
                compartment: "7",
            }),
            link: Some("http://127.0.0.1:1/p/abc"),
        };
        let sms = |en: String| Sms {
            from: Who::Fengchao,
            at: facts.pickup_until,
            to: String::new(),
            zh: String::new(),
            en,
        };
        let en = message(MessageKind::Deposited, &facts, Language::English);
        let (place, note) = understand(&sms(en)).unwrap();
        assert_eq!(
            place,
            (Who::Fengchao, "Shanghai fengchao.6073.1561".into(), 7)
        );
        assert_eq!(
            (note.code.as_str(), note.link.as_str()),
            ("481 516", "http://127.0.0.1:1/p/abc")
        );
        let without = MessageFacts {
            code: None,
            ..facts
        };
        let en = message(MessageKind::Deposited, &without, Language::English);
        assert!(understand(&sms(en)).is_none());
    }
}
