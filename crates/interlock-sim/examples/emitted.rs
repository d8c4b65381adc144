//! Prints what two nodes say to each other over the Dataspace Protocol, a message a line: a label, a tab
//! and the JSON. Every dataset with every term it can have, haggled over, agreed on, renewed, suspended,
//! resumed and refused, so that the published schemas can be held against it.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write as _;

use interlock::identity::partner::Role;
use interlock::node::io::{
    AgreementChange, Decision, LocalAnswer, LocalRequest, OfferPut, PeerAnswer, PeerRequest,
    Renewal,
};
use interlock_core::contact::ContactForm;
use interlock_core::dataset::{Dataset, DatasetForm};
use interlock_core::ids::{Marketplace, WireId};
use interlock_core::terms::{Backlog, EvidenceKind, Field, Notifier, Terms, purposes_of};
use interlock_core::time::{DAY_MS, HOUR_MS, Timestamp, Zone};
use interlock_sim::{NodeIx, NodeSpec, World};
use serde_json::{Value, json};

/// 2017-06-01 00:00 in China.
const BEGIN: Timestamp = Timestamp::from_millis(1_496_246_400_000);
const PROVIDER: NodeIx = 0;
const CONSUMER: NodeIx = 1;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn spec(name: &'static str, role: Role) -> NodeSpec {
    NodeSpec {
        name,
        role,
        marketplaces: &["taobao"],
        carriers: &[],
    }
}

/// As many terms as go together for a dataset.
fn terms(dataset: Dataset) -> Outcome<Terms> {
    let parcels = dataset.is_parcel_data();
    let contact = dataset == Dataset::RecipientContact;
    let feed = dataset.form() == DatasetForm::Feed;
    let forms: &[ContactForm] = match dataset {
        Dataset::RecipientContact => &[ContactForm::Masked, ContactForm::Virtual],
        Dataset::PickupCode => &[ContactForm::Full, ContactForm::Sealed],
        Dataset::PreAdvice
        | Dataset::LockerEvents
        | Dataset::TrackingEvents
        | Dataset::LockerStations
        | Dataset::CooperationStatus
        | Dataset::ExchangeStatistics => &[],
    };
    // Whoever gets the data tells the recipient, where somebody does.
    let notifier = match dataset {
        Dataset::RecipientContact => Some(Notifier::Operator),
        Dataset::LockerEvents | Dataset::PickupCode => Some(Notifier::Owner),
        Dataset::PreAdvice
        | Dataset::TrackingEvents
        | Dataset::LockerStations
        | Dataset::CooperationStatus
        | Dataset::ExchangeStatistics => None,
    };
    let personal = contact || dataset == Dataset::PickupCode;
    Ok(Terms {
        dataset,
        from: BEGIN,
        until: BEGIN.plus_ms(30 * DAY_MS),
        zone: Zone::CHINA,
        purposes: purposes_of(dataset).iter().copied().collect(),
        marketplaces: match parcels {
            true => BTreeSet::from([Marketplace::parse("taobao")?]),
            false => BTreeSet::new(),
        },
        fields: Field::of(dataset).iter().copied().collect(),
        contact_forms: forms.iter().copied().collect(),
        quota_per_day: contact.then_some(10_000),
        quota_per_parcel: contact.then_some(3),
        evidence: match contact {
            true => BTreeSet::from([EvidenceKind::Arrival, EvidenceKind::Deposit]),
            false => BTreeSet::new(),
        },
        notifier,
        run_off_ms: parcels.then_some(7 * DAY_MS),
        backlog: (parcels && feed).then_some(Backlog::Hold),
        covers_from: (parcels && feed).then_some(BEGIN.plus_ms(-DAY_MS)),
        delete_after_ms: personal.then_some(30 * DAY_MS),
        reciprocate: parcels,
        no_redisclosure: parcels,
    })
}

/// A request of a node's people, which must be taken.
fn ask(world: &mut World, at: NodeIx, request: LocalRequest) -> Outcome<Value> {
    let shown = format!("{request:?}");
    match world.local(at, request) {
        Some(LocalAnswer::Json { body, .. }) => Ok(body),
        other => Err(format!("{shown}: {other:?}").into()),
    }
}

/// Decides the one proposal that waits at a node.
fn decide(world: &mut World, at: NodeIx, decision: Decision) -> Outcome<()> {
    world.settle();
    let waiting = ask(world, at, LocalRequest::GetProposals)?;
    let id = waiting.pointer("/proposals/0/id").and_then(Value::as_str);
    let negotiation = WireId::parse(id.ok_or("nothing waits")?)?;
    let request = LocalRequest::Decide {
        negotiation,
        decision,
    };
    ask(world, at, request)?;
    world.settle();
    Ok(())
}

fn propose(world: &mut World, offers: &[Dataset]) -> Outcome<()> {
    let partner = world.id(PROVIDER).ok_or("no provider")?.clone();
    let offers = offers.iter().map(|dataset| WireId::from(*dataset));
    let request = LocalRequest::Propose {
        partner,
        offers: offers.collect(),
        policies: Vec::new(),
    };
    ask(world, CONSUMER, request).map(drop)
}

fn counter(dataset: Dataset, hours: i64) -> Outcome<Decision> {
    let mut other = terms(dataset)?;
    other.until = other.until.plus_ms(-hours * HOUR_MS);
    Ok(Decision::Counter {
        policy: other.to_policy(),
    })
}

/// Everything that people do.
fn live(world: &mut World) -> Outcome<()> {
    for dataset in Dataset::ALL {
        let offer = OfferPut {
            id: dataset.into(),
            dataset: dataset.into(),
            policy: terms(dataset)?.to_policy(),
            audience: Vec::new(),
            auto_accept: false,
        };
        ask(world, PROVIDER, LocalRequest::PublishOffer(offer))?;
    }
    // Haggled over, then agreed on.
    let stations = Dataset::LockerStations;
    propose(world, &[stations])?;
    decide(world, PROVIDER, counter(stations, 1)?)?;
    decide(world, CONSUMER, counter(stations, 2)?)?;
    decide(world, PROVIDER, counter(stations, 3)?)?;
    decide(world, CONSUMER, Decision::Approve)?;
    // Every other dataset, agreed on as it is offered, as one cooperation.
    let others = Dataset::ALL.into_iter().filter(|d| *d != stations);
    let others: Vec<Dataset> = others.collect();
    propose(world, &others)?;
    for _ in &others {
        decide(world, PROVIDER, Decision::Approve)?;
    }
    // Refused.
    propose(world, &[stations])?;
    let reason = "not now".into();
    decide(world, PROVIDER, Decision::Reject { reason })?;
    world.run_until(BEGIN.plus_ms(HOUR_MS));
    let all = ask(world, PROVIDER, LocalRequest::GetAgreements)?;
    let all = all.pointer("/agreements").and_then(Value::as_array);
    let all = all.ok_or("no agreements")?;
    let in_force = all.iter().filter(|a| a["state"] == "IN_FORCE").count();
    if in_force != Dataset::ALL.len() {
        return Err(format!("{in_force} agreements in force: {all:#?}").into());
    }
    let first = all.first().and_then(|a| a["id"].as_str());
    let agreement = WireId::parse(first.ok_or("no agreement")?)?;
    for change in [
        AgreementChange::Suspend {
            reason: "an audit".into(),
        },
        AgreementChange::Resume,
    ] {
        let agreement = agreement.clone();
        let request = LocalRequest::ChangeAgreement { agreement, change };
        ask(world, PROVIDER, request)?;
        world.settle();
    }
    // Renewed by its provider, which opens with an offer.
    let renewal = Renewal::default();
    ask(world, PROVIDER, LocalRequest::Renew { agreement, renewal })?;
    decide(world, CONSUMER, Decision::Approve)
}

/// What the provider answers to things that cannot be, and to questions.
fn answers(world: &mut World) -> Outcome<Vec<(String, Value)>> {
    let consumer = world.id(CONSUMER).ok_or("no consumer")?.clone();
    let state = world.node(PROVIDER).ok_or("no provider")?.state();
    let negotiations = state.book.negotiations.keys();
    let transfers = state.book.transfers.keys();
    let mut paths: Vec<(bool, String)> = Vec::new();
    paths.extend(negotiations.map(|id| (false, format!("/negotiations/{id}"))));
    paths.extend(transfers.map(|id| (false, format!("/transfers/{id}"))));
    for known in paths.clone() {
        paths.push((true, format!("{}/termination", known.1)));
    }
    for path in [
        "/catalog/datasets/recipient-contact",
        "/catalog/datasets/none",
    ] {
        paths.push((false, path.into()));
    }
    for path in [
        "/catalog/request",
        "/negotiations/request",
        "/negotiations/offers",
        "/negotiations/urn:none/events",
        "/transfers/request",
        "/transfers/urn:none/start",
    ] {
        paths.push((true, path.into()));
    }
    let mut lines = Vec::new();
    for (post, path) in paths {
        let body = match post {
            true => json!({ "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"] }),
            false => Value::Null,
        };
        let label = format!("answer to {} {path}", if post { "POST" } else { "GET" });
        let request = PeerRequest::Dsp { post, path, body };
        if let Some(PeerAnswer::Dsp { body, .. }) = world.peer(PROVIDER, &consumer, &request) {
            lines.push((label, body));
        }
    }
    Ok(lines)
}

fn main() -> Outcome<()> {
    let specs = [
        spec("fengchao", Role::LockerOperator),
        spec("cainiao", Role::Platform),
    ];
    let mut world = World::new(1, BEGIN.plus_ms(-DAY_MS), &specs);
    world.start();
    live(&mut world)?;
    let mut lines = answers(&mut world)?;
    for e in &world.exchanged {
        let (post, target, request) = &e.request;
        if !target.starts_with("/dsp/") {
            continue;
        }
        let method = if *post { "POST" } else { "GET" };
        let said = [
            (format!("{method} {target}"), request.as_slice()),
            (
                format!("answer to {method} {target}"),
                e.answer.1.as_slice(),
            ),
        ];
        for (label, bytes) in said {
            if !bytes.is_empty() {
                lines.push((label, serde_json::from_slice(bytes)?));
            }
        }
    }
    let mut out = std::io::stdout().lock();
    for (label, message) in lines.iter().filter(|(_, message)| !message.is_null()) {
        writeln!(out, "{label}\t{message}")?;
    }
    Ok(())
}
