//! `mediate`: from the second acceptance of a regulator's proposal to the first contact released.
//!
//! Three nodes as processes. The clock starts when the second party's people accept at their local API,
//! and stops when a courier's deposit has the recipient's contact: word to the mediator, both signatures
//! back to both parties, negotiations in both directions, the start of the transfer, the lookup. Each
//! round has nodes of its own, as nothing may be in force before.

use std::time::Duration;

use anyhow::{Context, bail};
use interlock_core::dataset::Dataset;
use interlock_core::terms::Terms;
use interlock_core::time::DAY_MS;
use serde_json::{Value, json};

use super::Setting;
use super::figure::{Figure, Goal, median};
use super::machine::{now, wall};
use super::pair::{OPERATOR, OWNER, Side, terms};
use super::place::Role;

const QUICK_ROUNDS: usize = 2;
const ROUNDS: usize = 9;
const WAIT_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(2);
const WAYBILL: &str = "sf/SF1234567890123";

/// Who mediates.
pub(crate) const REGULATOR: Role = Role {
    name: "regulator",
    id: "did:web:postbureau.example",
    role: "regulator",
    marketplace: None,
    config: "",
};

/// Time from the second acceptance to the first contact.
pub(crate) fn mediate(setting: &Setting) -> anyhow::Result<Vec<Figure>> {
    let rounds = if setting.quick { QUICK_ROUNDS } else { ROUNDS };
    let mut times = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let scratch = setting.scratch.join(format!("round-{round}"));
        std::fs::create_dir_all(&scratch).context("failed to make a directory")?;
        let setting = Setting {
            scratch,
            binary: setting.binary.clone(),
            quick: setting.quick,
            events: setting.events,
            plain: false,
        };
        times.push(self::round(&setting)?);
    }
    let worst = times.iter().copied().fold(0.0, f64::max);
    Ok(vec![
        Figure {
            name: "mediate",
            value: worst,
            unit: "ms",
            floor: None,
            goal: Goal::AtMost(2_000.0),
            about: format!("from the second acceptance to the first contact, worst of {rounds}"),
        },
        Figure {
            name: "mediate-median",
            value: median(times).context("nothing was mediated")?,
            unit: "ms",
            floor: None,
            goal: Goal::AtMost(2_000.0),
            about: "the same, median".into(),
        },
    ])
}

fn round(setting: &Setting) -> anyhow::Result<f64> {
    let roles = [&OWNER, &OPERATOR, &REGULATOR];
    let sides = [
        Side::up(setting, &OWNER)?,
        Side::up(setting, &OPERATOR)?,
        Side::up(setting, &REGULATOR)?,
    ];
    for (side, role) in sides.iter().zip(roles) {
        for (other, listed) in sides.iter().zip(roles).filter(|(_, r)| r.id != role.id) {
            side.lists(listed, &other.place)?;
        }
    }
    let [owner, operator, regulator] = &sides;
    announce(owner, operator)?;
    let id = propose(regulator)?;
    let path = format!("/mediations/{id}/accept");
    for side in [owner, operator] {
        wait(|| Ok(side.client.get(&format!("/mediations/{id}")).ok()))?;
    }
    owner.client.post(&path, &json!({}))?;
    anyhow::ensure!(
        deposit(operator, 0)?.is_none(),
        "a contact was released though one party alone had accepted"
    );
    let begin = now();
    operator.client.post(&path, &json!({}))?;
    let mut tries = 0;
    wait(|| {
        tries += 1;
        deposit(operator, tries)
    })?;
    Ok(begin.elapsed().as_secs_f64() * 1e3)
}

fn announce(owner: &Side, operator: &Side) -> anyhow::Result<()> {
    owner.client.put(
        "/parcels",
        &json!({
            "waybill": WAYBILL,
            "marketplace": "taobao",
            "consent": "given",
            "recipient": { "name": "Li Wei", "phone": "13812341234",
                "address": "Shenzhen, Baoan, Xixiang 7" },
        }),
    )?;
    operator.client.put(
        "/stations",
        &json!({
            "id": "S1",
            "name": "Station 1",
            "position": { "longitude": 114.0, "latitude": 22.5 },
            "capacity": { "small": 100 },
        }),
    )?;
    operator.client.put(
        "/parcels",
        &json!({
            "waybill": WAYBILL,
            "marketplace": "taobao",
            "owner": OWNER.id,
            "consent": "given",
            "size": "small",
        }),
    )?;
    Ok(())
}

/// The regulator's proposal: contacts one way, what happens in lockers the other.
fn propose(regulator: &Side) -> anyhow::Result<String> {
    let at = wall();
    let one_term = |dataset| -> anyhow::Result<Terms> {
        Ok(Terms {
            from: at.plus_ms(-1_000),
            until: at.plus_ms(30 * DAY_MS),
            ..terms(dataset, at)?
        })
    };
    let agreement = |provider: &Role, consumer: &Role, dataset: Dataset| {
        Ok::<Value, anyhow::Error>(json!({
            "provider": provider.id,
            "consumer": consumer.id,
            "dataset": dataset.as_str(),
            "policy": one_term(dataset)?.to_policy(),
        }))
    };
    let proposal = json!({
        "agreements": [
            agreement(&OWNER, &OPERATOR, Dataset::RecipientContact)?,
            agreement(&OPERATOR, &OWNER, Dataset::LockerEvents)?,
        ],
        "note": "until the dispute is settled",
    });
    let made = regulator.client.post("/mediations", &proposal)?;
    let id = made.get("id").and_then(Value::as_str);
    Ok(id.context("a mediation has an id")?.to_owned())
}

/// A courier's try; the form of the contact, once it was released. A deposit without one is given up.
fn deposit(operator: &Side, number: u32) -> anyhow::Result<Option<String>> {
    let body = json!({ "waybill": WAYBILL, "station": "S1", "size": "small", "courier": "c-17" });
    let key = format!("try-{number}");
    let asked = operator
        .client
        .try_ask("POST", "/deposits", Some(&key), Some(&body))?;
    let made = match asked {
        (201, made) => made,
        // Nobody could tell the recipient: the door stays shut.
        (409, _) => return Ok(None),
        (_, refusal) => bail!("a deposit was refused: {refusal}"),
    };
    let form = made.get("contactForm").and_then(Value::as_str);
    if form.is_none() {
        bail!("a door would open without a contact: {made}");
    }
    Ok(form.map(Into::into))
}

fn wait<T>(mut look: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let begin = now();
    while begin.elapsed() < WAIT_MAX {
        if let Some(found) = look()? {
            return Ok(found);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    bail!("nothing within {WAIT_MAX:?}")
}
