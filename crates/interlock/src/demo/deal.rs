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
use serde_json::{Value, json};

use super::cast::Who;
use super::error::DemoError;
use super::network::{Network, id_of};
use super::parcels::DemoMarketplace;

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

impl Chapter {
    const fn key(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Truce => "truce",
        }
    }
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

/// Offers, proposes and signs a chapter. In the opening, offers accept by themselves what stays within
/// them; the truce is approved by people. Returns how many agreements came into force by it.
///
/// # Errors
/// [`DemoError::Restless`] if not all are in force after two minutes of the demo's clock.
pub async fn conclude(
    network: &Network,
    chapter: Chapter,
    from: Timestamp,
) -> Result<u64, DemoError> {
    let chosen: Vec<Flow> = flows()
        .into_iter()
        .filter(|flow| chapter == Chapter::Opening || flow.is_disputed())
        .collect();
    let mut proposals: BTreeMap<(Who, Who), Vec<String>> = BTreeMap::new();
    for flow in &chosen {
        let offer = publish(network, *flow, chapter, from).await?;
        let pair = (flow.consumer, flow.provider);
        proposals.entry(pair).or_default().push(offer);
    }
    for ((consumer, provider), offers) in &proposals {
        let body = json!({ "partner": id_of(*provider)?.as_str(), "offers": offers });
        network.api(*consumer).post("/negotiations", &body).await?;
    }
    for _ in 0..SIGNING_SECONDS_MAX {
        network.rest().await?;
        approve(network).await?;
        network.rest().await?;
        if in_force(network, &chosen).await? == chosen.len() {
            return Ok(chosen.len() as u64);
        }
        let next = network.now().plus_ms(SIGNING_STEP_SECONDS * SECOND_MS);
        network.advance(next).await?;
    }
    Err(DemoError::Restless("the negotiations"))
}

async fn publish(
    network: &Network,
    flow: Flow,
    chapter: Chapter,
    from: Timestamp,
) -> Result<String, DemoError> {
    let id = format!(
        "urn:interlock:demo:{}:{}:{}:{}",
        chapter.key(),
        flow.provider.key(),
        flow.consumer.key(),
        flow.dataset.as_str()
    );
    let body = json!({
        "id": id,
        "dataset": flow.dataset.as_str(),
        "policy": terms(flow, chapter, from)?.to_policy(),
        "audience": [id_of(flow.consumer)?.as_str()],
        "autoAccept": chapter == Chapter::Opening,
    });
    network.api(flow.provider).post("/offers", &body).await?;
    Ok(id)
}

/// People look at what waits for them, and agree.
async fn approve(network: &Network) -> Result<(), DemoError> {
    for who in Who::ALL {
        let api = network.api(who);
        let waiting = api.get("/proposals").await?;
        for id in texts(&waiting, "proposals", "id") {
            let path = format!("/proposals/{id}/approve");
            api.post(&path, &json!({})).await?;
        }
    }
    Ok(())
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
