//! Two nodes with an agreement, made as people make it: partners, an offer, a proposal.
//!
//! INVARIANT: nothing is put on record from outside. It does not know parcels.

use std::time::Duration;

use anyhow::{Context, bail};
use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::ids::Marketplace;
use interlock_core::terms::{Backlog, EvidenceKind, Field, Notifier, Purpose, Terms};
use interlock_core::time::{DAY_MS, Timestamp, Zone};
use serde_json::{Value, json};

use super::Setting;
use super::client::Client;
use super::machine::now;
use super::place::{Node, Place, Role};

/// How long an agreement may take to come into force.
const SIGNING_WAIT_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A platform that owns Taobao's parcels.
pub(crate) const OWNER: Role = Role {
    name: "owner",
    id: "did:web:owner.example",
    role: "platform",
    marketplace: Some("taobao"),
    config: "\n[notify]\nvirtual_number = \"+8695000000\"\n",
};
/// A carrier.
pub(crate) const CARRIER: Role = Role {
    name: "carrier",
    id: "did:web:sf.example",
    role: "carrier",
    marketplace: None,
    config: "",
};
/// A locker operator.
pub(crate) const OPERATOR: Role = Role {
    name: "operator",
    id: "did:web:lockers.example",
    role: "locker-operator",
    marketplace: None,
    // No door opens without a gateway; nothing is handed to it here, as no door is closed on a parcel.
    config: "\n[notify]\ngateway_url = \"http://127.0.0.1:9/messages\"\n\
             secret_file = \"keys/gateway.secret\"\n",
};

/// One of the two.
pub(crate) struct Side {
    /// Its directory.
    pub(crate) place: Place,
    /// Its process.
    pub(crate) node: Node,
    /// Its local API.
    pub(crate) client: Client,
}

impl Side {
    /// Makes and starts a node.
    pub(crate) fn up(setting: &Setting, role: &Role) -> anyhow::Result<Self> {
        Self::of(Place::init(setting, role)?)
    }

    /// Starts a node whose directory is made.
    pub(crate) fn of(place: Place) -> anyhow::Result<Self> {
        Ok(Self {
            node: place.up()?,
            client: Client::of(&place),
            place,
        })
    }

    /// Lists a partner that is at `place`.
    pub(crate) fn lists(&self, role: &Role, place: &Place) -> anyhow::Result<()> {
        let marketplaces: Vec<&str> = role.marketplace.into_iter().collect();
        let carriers: &[&str] = if role.role == "carrier" { &["sf"] } else { &[] };
        self.client.post(
            "/partners",
            &json!({
                "id": role.id,
                "name": role.name,
                "roles": [role.role],
                "exchangeUrl": format!("http://{}", place.exchange),
                "key": place.key,
                "marketplaces": marketplaces,
                "carriers": carriers,
            }),
        )?;
        Ok(())
    }
}

/// Two nodes.
pub(crate) struct Pair {
    /// Who provides.
    pub(crate) provider: Side,
    /// Who consumes.
    pub(crate) consumer: Side,
}

impl Pair {
    /// Starts both and has `terms` come into force between them.
    pub(crate) fn agreed(
        setting: &Setting,
        provider: &Role,
        consumer: &Role,
        terms: &Terms,
    ) -> anyhow::Result<Self> {
        let pair = Self {
            provider: Side::up(setting, provider)?,
            consumer: Side::up(setting, consumer)?,
        };
        pair.provider.lists(consumer, &pair.consumer.place)?;
        pair.consumer.lists(provider, &pair.provider.place)?;
        agree(
            (&pair.provider, provider),
            (&pair.consumer, consumer),
            terms,
        )?;
        Ok(pair)
    }
}

/// Has `terms` come into force between two nodes that list each other.
pub(crate) fn agree(
    (provider, provides): (&Side, &Role),
    (consumer, consumes): (&Side, &Role),
    terms: &Terms,
) -> anyhow::Result<()> {
    let offer = format!("urn:bench:{}", terms.dataset.as_str());
    provider.client.post(
        "/offers",
        &json!({
            "id": offer,
            "dataset": terms.dataset.as_str(),
            "policy": terms.to_policy(),
            "audience": [consumes.id],
            "autoAccept": true,
        }),
    )?;
    let proposal = json!({ "partner": provides.id, "offers": [offer] });
    consumer.client.post("/negotiations", &proposal)?;
    wait_for_force([provider, consumer], terms.dataset)
}

fn wait_for_force(sides: [&Side; 2], dataset: Dataset) -> anyhow::Result<()> {
    let begin = now();
    let mut last = Value::Null;
    while begin.elapsed() < SIGNING_WAIT_MAX {
        for side in sides {
            let proposals = side.client.get("/proposals")?;
            for id in ids(&proposals, "proposals") {
                let path = format!("/proposals/{id}/approve");
                side.client.post(&path, &json!({}))?;
            }
        }
        let mut in_force = 0;
        for side in sides {
            last = side.client.get("/agreements")?;
            let agreements = last.get("agreements").and_then(Value::as_array);
            let ours = agreements.into_iter().flatten().any(|agreement| {
                let is = |name, value| agreement.get(name).and_then(Value::as_str) == Some(value);
                is("dataset", dataset.as_str()) && is("state", "IN_FORCE")
            });
            in_force += usize::from(ours);
        }
        if in_force == 2 {
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    bail!("the agreement did not come into force: {last}")
}

fn ids<'a>(body: &'a Value, list: &str) -> impl Iterator<Item = &'a str> {
    let items = body.get(list).and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(|item| item.get("id")?.as_str())
}

/// Terms of a dataset that are in force at `at`.
pub(crate) fn terms(dataset: Dataset, at: Timestamp) -> anyhow::Result<Terms> {
    let lookup = dataset == Dataset::RecipientContact;
    let taobao = Marketplace::parse("taobao").ok();
    let fields = match lookup {
        true => [Field::Contact].into(),
        false => Field::of(dataset).iter().copied().collect(),
    };
    Ok(Terms {
        dataset,
        from: at.plus_ms(-DAY_MS),
        until: at.plus_ms(30 * DAY_MS),
        zone: Zone::CHINA,
        purposes: [match lookup {
            true => Purpose::PickupNotification,
            false => Purpose::DeliveryTracking,
        }]
        .into(),
        marketplaces: [taobao.context("a marketplace has a name")?].into(),
        fields,
        contact_forms: match lookup {
            true => [ContactForm::Virtual].into(),
            false => [].into(),
        },
        quota_per_day: lookup.then_some(2_000_000_000),
        quota_per_parcel: lookup.then_some(3),
        evidence: match lookup {
            true => [EvidenceKind::Arrival].into(),
            false => [].into(),
        },
        notifier: lookup.then_some(Notifier::Operator),
        run_off_ms: Some(7 * DAY_MS),
        backlog: (!lookup).then_some(Backlog::Hold),
        covers_from: None,
        delete_after_ms: lookup.then_some(30 * DAY_MS),
        reciprocate: false,
        no_redisclosure: true,
    })
}

/// Terms of stations, which anybody may have, for thirty days from `from`.
pub(crate) fn stations(from: Timestamp) -> Terms {
    let dataset = Dataset::LockerStations;
    Terms {
        dataset,
        from,
        until: from.plus_ms(30 * DAY_MS),
        zone: Zone::CHINA,
        purposes: [Purpose::LockerOperation].into(),
        marketplaces: [].into(),
        fields: Field::of(dataset).iter().copied().collect(),
        contact_forms: [].into(),
        quota_per_day: None,
        quota_per_parcel: None,
        evidence: [].into(),
        notifier: None,
        run_off_ms: None,
        backlog: None,
        covers_from: None,
        delete_after_ms: None,
        reciprocate: false,
        no_redisclosure: true,
    }
}
