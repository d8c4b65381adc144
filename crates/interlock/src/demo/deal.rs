//! What the participants agree on, and how they come to it.
//!
//! INVARIANT: every agreement is offered, proposed and signed through the local APIs of those concerned;
//! nothing is put on record from outside. It does not know parcels.

use std::collections::{BTreeMap, BTreeSet};

use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::ids::Marketplace;
use interlock_core::terms::{Backlog, EvidenceKind, Field, Notifier, Purpose, Terms};
use interlock_core::time::{DAY_MS, SECOND_MS, Timestamp, Zone};
use serde::Serialize;
use serde_json::{Value, json};

use super::cast::Who;
use super::error::DemoError;
use super::network::{Network, id_of};
use super::parcels::DemoMarketplace;
use super::style::Style;

/// 2017-06-01T00:00:00+08:00: the old cooperation of Cainiao with Fengchao and SF ends.
pub const MIDNIGHT: Timestamp = Timestamp::from_millis(1_496_246_400_000);
/// 2017-06-03T10:00:00+08:00: the temporary agreement is proposed.
pub const TRUCE: Timestamp = MIDNIGHT.plus_ms(2 * DAY_MS + 10 * 3_600_000);
/// 2017-07-01T00:00:00+08:00: the temporary agreement ends.
pub const TRUCE_ENDS: Timestamp = MIDNIGHT.plus_ms(30 * DAY_MS);
/// 2018-01-01T00:00:00+08:00: what was never in dispute ends.
const YEAR_ENDS: Timestamp = MIDNIGHT.plus_ms(214 * DAY_MS);
/// Seconds of the demo's clock that signing may take.
const SIGNING_SECONDS_MAX: u32 = 120;
/// What the mediator says to both sides.
const MEDIATION_NOTE: &str =
    "parcels move, recipients are told, both sides negotiate until the end of June";
/// Seconds that the clock moves while the nodes negotiate.
const SIGNING_STEP_SECONDS: i64 = 2;

/// A chapter of agreements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chapter {
    /// What is in force from the first day.
    Opening,
    /// The temporary agreement of 3 June.
    Truce,
}

/// One flow: what one participant provides to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Who provides.
    pub provider: Who,
    /// Who consumes.
    pub consumer: Who,
    /// What.
    pub dataset: Dataset,
}

impl Flow {
    /// Whether it was in dispute: Cainiao with Fengchao, Cainiao with SF.
    pub fn is_disputed(self) -> bool {
        let pair = [self.provider, self.consumer];
        pair.contains(&Who::Cainiao) && (pair.contains(&Who::Fengchao) || pair.contains(&Who::Sf))
    }

    fn scope(self) -> Vec<DemoMarketplace> {
        match (self.provider.marketplace(), self.consumer.marketplace()) {
            (Some(one), _) | (None, Some(one)) => vec![one],
            (None, None) => vec![DemoMarketplace::Taobao, DemoMarketplace::Jd],
        }
    }
}

/// All flows of the network.
pub fn flows() -> Vec<Flow> {
    let mut flows = Vec::new();
    let mut add = |provider, consumer, dataset| {
        flows.push(Flow {
            provider,
            consumer,
            dataset,
        });
    };
    for operator in Who::OPERATORS {
        for platform in Who::PLATFORMS {
            add(platform, operator, Dataset::RecipientContact);
            add(operator, platform, Dataset::LockerEvents);
            add(operator, platform, Dataset::LockerStations);
        }
        for carrier in Who::CARRIERS {
            add(carrier, operator, Dataset::PreAdvice);
        }
    }
    for carrier in Who::CARRIERS {
        for platform in Who::PLATFORMS {
            add(carrier, platform, Dataset::TrackingEvents);
        }
    }
    flows
}

/// The terms of a flow in a chapter.
///
/// # Errors
/// [`DemoError::Own`] for a marketplace that is none.
pub fn terms(flow: Flow, chapter: Chapter, from: Timestamp) -> Result<Terms, DemoError> {
    let dataset = flow.dataset;
    let lookup = dataset == Dataset::RecipientContact;
    let open = dataset == Dataset::LockerStations;
    let purpose = match dataset {
        Dataset::RecipientContact => Purpose::PickupNotification,
        Dataset::LockerStations => Purpose::LockerOperation,
        Dataset::PreAdvice => Purpose::Ownership,
        Dataset::LockerEvents
        | Dataset::TrackingEvents
        | Dataset::PickupCode
        | Dataset::CooperationStatus
        | Dataset::ExchangeStatistics => Purpose::DeliveryTracking,
    };
    let marketplaces: Result<BTreeSet<Marketplace>, _> = flow
        .scope()
        .into_iter()
        .filter(|_| !open)
        .map(|m| Marketplace::parse(m.as_str()))
        .collect();
    let until = match (chapter, flow.is_disputed()) {
        (Chapter::Truce, _) => TRUCE_ENDS,
        (Chapter::Opening, true) => MIDNIGHT,
        (Chapter::Opening, false) => YEAR_ENDS,
    };
    let fields: BTreeSet<Field> = match lookup {
        true => [Field::Contact].into(),
        false => Field::of(dataset).iter().copied().collect(),
    };
    Ok(Terms {
        dataset,
        from,
        until,
        zone: Zone::CHINA,
        purposes: [purpose].into(),
        marketplaces: marketplaces.map_err(DemoError::own("a marketplace"))?,
        fields,
        contact_forms: match lookup {
            true => [ContactForm::Virtual].into(),
            false => BTreeSet::new(),
        },
        quota_per_day: lookup.then_some(2_000_000),
        quota_per_parcel: lookup.then_some(3),
        evidence: match lookup {
            true => [EvidenceKind::Arrival].into(),
            false => BTreeSet::new(),
        },
        notifier: lookup.then_some(Notifier::Operator),
        run_off_ms: (!open).then_some(7 * DAY_MS),
        backlog: (!lookup).then_some(Backlog::Hold),
        covers_from: (chapter == Chapter::Truce && !lookup).then_some(MIDNIGHT),
        delete_after_ms: lookup.then_some(30 * DAY_MS),
        reciprocate: false,
        no_redisclosure: true,
    })
}

/// Offers, proposes and signs what is in force from the first day: offers accept by themselves what
/// stays within them. Returns how many agreements came into force by it.
///
/// # Errors
/// [`DemoError::Restless`] if not all are in force after two minutes of the demo's clock.
pub async fn conclude(network: &Network, from: Timestamp) -> Result<u64, DemoError> {
    let chosen = flows();
    let mut proposals: BTreeMap<(Who, Who), Vec<String>> = BTreeMap::new();
    for flow in &chosen {
        let offer = publish(network, *flow, from).await?;
        let pair = (flow.consumer, flow.provider);
        proposals.entry(pair).or_default().push(offer);
    }
    for ((consumer, provider), offers) in &proposals {
        let body = json!({ "partner": id_of(*provider)?.as_str(), "offers": offers });
        network.api(*consumer).post("/negotiations", &body).await?;
    }
    wait_for_force(network, &chosen).await
}

/// The temporary agreement: the State Post Bureau proposes it to both sides of each dispute, and their
/// people accept. Their nodes do the rest.
///
/// # Errors
/// [`DemoError::Restless`] if not all are in force after two minutes of the demo's clock.
pub async fn mediate(network: &Network, from: Timestamp) -> Result<Mediated, DemoError> {
    let mut accepted_by = 0;
    for (opponent, body) in proposals(network.style, from)? {
        let made = network.api(Who::Bureau).post("/mediations", &body).await?;
        let id = made.get("id").and_then(Value::as_str).unwrap_or_default();
        network.rest().await?;
        for party in [Who::Cainiao, opponent] {
            let path = format!("/mediations/{id}/accept");
            network.api(party).post(&path, &json!({})).await?;
            accepted_by += 1;
            network.rest().await?;
        }
    }
    let chosen: Vec<Flow> = flows().into_iter().filter(|f| f.is_disputed()).collect();
    let agreements = wait_for_force(network, &chosen).await?;
    Ok(Mediated {
        cooperations: named_mediator(network, from).await?,
        agreements,
        acceptances: accepted_by,
        in_force_after_s: network.now().since_ms(from).max(0).unsigned_abs() / 1_000,
    })
}

/// What the bureau proposes, by Cainiao's opponent: the bodies of `POST /mediations`.
///
/// # Errors
/// [`DemoError::Own`].
pub fn proposals(style: Style, from: Timestamp) -> Result<BTreeMap<Who, Value>, DemoError> {
    let mut disputes: BTreeMap<Who, Vec<Value>> = BTreeMap::new();
    for flow in flows().into_iter().filter(|flow| flow.is_disputed()) {
        let opponent = match flow.provider {
            Who::Cainiao => flow.consumer,
            Who::Jd | Who::Fengchao | Who::Suidiyi | Who::Sf | Who::Yto | Who::Bureau => {
                flow.provider
            }
        };
        disputes.entry(opponent).or_default().push(json!({
            "provider": id_of(flow.provider)?.as_str(),
            "consumer": id_of(flow.consumer)?.as_str(),
            "dataset": flow.dataset.as_str(),
            "policy": style.of(terms(flow, Chapter::Truce, from)?).to_policy(),
        }));
    }
    let body = |agreements| json!({ "agreements": agreements, "note": MEDIATION_NOTE });
    Ok(disputes
        .into_iter()
        .map(|(opponent, agreements)| (opponent, body(agreements)))
        .collect())
}

/// What came of the mediation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mediated {
    /// Cooperations in force under a manifest that names the mediator, by the parties' word.
    pub cooperations: u64,
    /// Agreements in force by it.
    pub agreements: u64,
    /// Acceptances by people.
    pub acceptances: u64,
    /// Seconds of the demo's clock from the proposal to force.
    pub in_force_after_s: u64,
}

/// How many cooperations a party holds in force that the bureau has mediated.
async fn named_mediator(network: &Network, from: Timestamp) -> Result<u64, DemoError> {
    let bureau = id_of(Who::Bureau)?;
    let listed = network.api(Who::Cainiao).get("/mediations").await?;
    let all = listed.get("mediations").and_then(Value::as_array);
    let begun = from.to_rfc3339(Zone::CHINA);
    let is_it = |m: &&Value| {
        let text = |name: &str| m.get(name).and_then(Value::as_str);
        m.get("inForce") == Some(&Value::Bool(true))
            && text("mediator") == Some(bureau.as_str())
            && text("from") == Some(begun.as_str())
    };
    Ok(all.into_iter().flatten().filter(is_it).count() as u64)
}

/// Waits until all of these are in force; how many that are.
async fn wait_for_force(network: &Network, flows: &[Flow]) -> Result<u64, DemoError> {
    for _ in 0..SIGNING_SECONDS_MAX {
        network.rest().await?;
        if in_force(network, flows).await? == flows.len() {
            return Ok(flows.len() as u64);
        }
        let next = network.now().plus_ms(SIGNING_STEP_SECONDS * SECOND_MS);
        network.advance(next).await?;
    }
    Err(DemoError::Restless("the negotiations"))
}

async fn publish(network: &Network, flow: Flow, from: Timestamp) -> Result<String, DemoError> {
    let id = format!(
        "urn:interlock:demo:opening:{}:{}:{}",
        flow.provider.key(),
        flow.consumer.key(),
        flow.dataset.as_str()
    );
    let body = json!({
        "id": id,
        "dataset": flow.dataset.as_str(),
        "policy": network.style.of(terms(flow, Chapter::Opening, from)?).to_policy(),
        "audience": [id_of(flow.consumer)?.as_str()],
        "autoAccept": true,
    });
    network.api(flow.provider).post("/offers", &body).await?;
    Ok(id)
}

/// How many of the flows are in force now, by the consumers' word, with a transfer started: a first
/// poll of each feed is under way then.
async fn in_force(network: &Network, flows: &[Flow]) -> Result<usize, DemoError> {
    let mut found = 0;
    for consumer in Who::ALL {
        let listed = network.api(consumer).get("/agreements").await?;
        for flow in flows.iter().filter(|flow| flow.consumer == consumer) {
            let provider = id_of(flow.provider)?;
            let is_it = |a: &Value| {
                a.get("state").and_then(Value::as_str) == Some("IN_FORCE")
                    && a.get("partner").and_then(Value::as_str) == Some(provider.as_str())
                    && a.get("dataset").and_then(Value::as_str) == Some(flow.dataset.as_str())
                    && a.get("role").and_then(Value::as_str) == Some("consumer")
            };
            let agreements = listed.get("agreements").and_then(Value::as_array);
            found += usize::from(agreements.into_iter().flatten().any(is_it));
        }
    }
    Ok(found)
}

/// A member of each object of a list.
pub(super) fn texts<'a>(
    body: &'a Value,
    list: &str,
    member: &'a str,
) -> impl Iterator<Item = &'a str> {
    body.get(list)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(move |item| item.get(member)?.as_str())
}
