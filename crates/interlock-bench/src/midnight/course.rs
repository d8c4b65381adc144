//! One midnight: the nodes, what people do on them, and what hits a node meanwhile.
//!
//! INVARIANT: parcels are the same in every round, and so is the order in which people begin; only what
//! hits a node differs. A node that was hit is up again before anything is counted.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use interlock_core::dataset::Dataset;
use interlock_core::terms::Terms;
use interlock_core::time::{DAY_MS, SECOND_MS, Timestamp};
use serde_json::{Value, json};

use super::super::Setting;
use super::super::client::Client;
use super::super::kill::Gateway;
use super::super::machine::{wall, wall_ms};
use super::super::mediate::REGULATOR;
use super::super::pair::{OPERATOR, OWNER, Side, agree, terms};
use super::super::place::Place;
use super::count::{Counts, count};
use super::people::{Doors, Inside, Refusals, announce, deposit, done, mediate, pick_up};

/// Parcels of a round.
pub(super) const PARCELS: u64 = 24;
/// So many of them are announced before the end of the term; its run-off serves their contacts.
pub(super) const BEFORE: u64 = 12;
/// Between a parcel and the next.
const STEP_MS: i64 = 100;
/// A parcel stays in the locker for so long.
const STAY: Duration = Duration::from_millis(400);
/// Between two tries of a courier.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(40);
/// From the end of the term to the proposal of the mediator.
const CUT_MS: i64 = 1_000;
/// From the first proposal to the end of the term; more, if the machine is too slow for that.
const LEAD_S: i64 = 3;
const LEAD_S_MAX: i64 = 24;
/// The longest that people may take in all.
const PATIENCE_MS: i64 = 120_000;

/// How a node is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// SIGKILL, and a new start.
    Kill,
    /// SIGSTOP, then SIGCONT.
    Stop,
}

/// What hits a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blow {
    /// Which of the three.
    pub(super) node: u64,
    /// When, from the end of the term on.
    pub(super) at_ms: i64,
    /// For how long.
    pub(super) away_ms: u64,
    /// How.
    pub(super) how: How,
}

/// How a round ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// What must be the same in every round.
    pub(super) counts: Counts,
    /// Doors that stayed shut.
    pub(super) refused: u64,
    /// Events that waited when the mediator came.
    pub(super) held_at_cut: u64,
}

/// The nodes.
pub(super) struct Nodes {
    pub(super) owner: Side,
    pub(super) operator: Side,
    pub(super) regulator: Side,
}

impl Nodes {
    pub(super) const fn all(&self) -> [&Side; 3] {
        [&self.owner, &self.operator, &self.regulator]
    }

    const fn side(&mut self, number: u64) -> &mut Side {
        match number {
            0 => &mut self.owner,
            1 => &mut self.operator,
            _ => &mut self.regulator,
        }
    }

    fn doors(&self) -> Doors {
        Doors {
            owner: Client::of(&self.owner.place),
            operator: Client::of(&self.operator.place),
            regulator: Client::of(&self.regulator.place),
        }
    }
}

/// Lives through one midnight.
pub(super) fn live_through(setting: &Setting, blows: &[Blow]) -> anyhow::Result<Ended> {
    let gateway = Gateway::open()?;
    let mut nodes = up(setting, &gateway)?;
    let doors = nodes.doors();
    for parcel in 0..BEFORE {
        announce(&doors, parcel)?;
    }
    let midnight = old_terms(&nodes)?;
    let refusals = Refusals::default();
    let (closed, deposits) = mpsc::channel();
    let held_at_cut = std::thread::scope(|scope| {
        let couriers = scope.spawn(|| couriers(&doors, midnight, &refusals, closed));
        let recipients = scope.spawn(|| recipients(&doors, &gateway, deposits));
        let mediator = scope.spawn(|| mediator(&doors, midnight));
        let hit = hit(&mut nodes, midnight, blows);
        let joined = [couriers.join(), recipients.join()];
        let held = mediator.join();
        hit?;
        for outcome in joined {
            outcome.map_err(|_| anyhow::anyhow!("somebody ended by a defect"))??;
        }
        held.map_err(|_| anyhow::anyhow!("the mediator ended by a defect"))?
    })?;
    Ok(Ended {
        counts: count(setting, &nodes, &gateway, midnight)?,
        refused: refusals.count(),
        held_at_cut,
    })
}

fn up(setting: &Setting, gateway: &Gateway) -> anyhow::Result<Nodes> {
    let operator = Place::init(setting, &OPERATOR)?;
    gateway.configure(&operator)?;
    let nodes = Nodes {
        owner: Side::up(setting, &OWNER)?,
        operator: Side::of(operator)?,
        regulator: Side::up(setting, &REGULATOR)?,
    };
    let roles = [&OWNER, &OPERATOR, &REGULATOR];
    for (side, role) in nodes.all().into_iter().zip(roles) {
        let others = nodes.all().into_iter().zip(roles);
        for (other, listed) in others.filter(|(_, other)| other.id != role.id) {
            side.lists(listed, &other.place)?;
        }
    }
    let station = json!({
        "id": "S1",
        "name": "Station 1",
        "position": { "longitude": 114.0, "latitude": 22.5 },
        "capacity": { "small": 2 * PARCELS },
    });
    nodes.operator.client.put("/stations", &station)?;
    Ok(nodes)
}

/// Agreements that end soon; when.
fn old_terms(nodes: &Nodes) -> anyhow::Result<Timestamp> {
    let mut lead_s = LEAD_S;
    while lead_s <= LEAD_S_MAX {
        let midnight = wall().plus_ms(lead_s * SECOND_MS);
        let owner = (&nodes.owner, &OWNER);
        let operator = (&nodes.operator, &OPERATOR);
        let contacts = until(Dataset::RecipientContact, midnight)?;
        let events = until(Dataset::LockerEvents, midnight)?;
        let agreed =
            agree(owner, operator, &contacts).and_then(|()| agree(operator, owner, &events));
        let in_time = wall_ms() < due(midnight, 0).as_millis();
        match agreed {
            Ok(()) if in_time => return Ok(midnight),
            Err(error) if in_time => return Err(error),
            // The term was over before it could be tried.
            Ok(()) | Err(_) => lead_s *= 2,
        }
    }
    bail!("two agreements did not come into force within {LEAD_S_MAX} s")
}

/// Terms that end at `midnight`. Contacts have a run-off; events of lockers have none: they are held.
fn until(dataset: Dataset, midnight: Timestamp) -> anyhow::Result<Terms> {
    let mut terms = terms(dataset, midnight)?;
    terms.until = midnight;
    if dataset == Dataset::LockerEvents {
        terms.run_off_ms = None;
    }
    Ok(terms)
}

/// When a courier begins with a parcel.
fn due(midnight: Timestamp, parcel: u64) -> Timestamp {
    midnight.plus_ms((parcel.cast_signed() - BEFORE.cast_signed()) * STEP_MS)
}

/// From when on the temporary agreement counts.
pub(super) fn truce(midnight: Timestamp) -> Timestamp {
    midnight.plus_ms(CUT_MS)
}

/// Deposits all parcels; one that is refused is tried again until it is taken.
fn couriers(
    doors: &Doors,
    midnight: Timestamp,
    refusals: &Refusals,
    closed: mpsc::Sender<Inside>,
) -> anyhow::Result<()> {
    let mut open: Vec<(u64, u64)> = Vec::new();
    let mut next = 0;
    while next < PARCELS || !open.is_empty() {
        let now_ms = wall_ms();
        ensure!(
            now_ms < midnight.plus_ms(PATIENCE_MS).as_millis(),
            "parcels {open:?} (with their tries) are not in the locker yet"
        );
        while next < PARCELS && due(midnight, next).as_millis() <= now_ms {
            if next >= BEFORE {
                announce(doors, next)?;
            }
            open.push((next, 0));
            next += 1;
        }
        let mut refused = Vec::new();
        for (parcel, tries) in open {
            match deposit(doors, parcel, tries, refusals)? {
                Some(inside) => closed.send(inside).context("nobody picks up")?,
                None => refused.push((parcel, tries + 1)),
            }
        }
        open = refused;
        std::thread::sleep(TRY_AGAIN_AFTER);
    }
    Ok(())
}

/// Picks up whatever was deposited.
fn recipients(
    doors: &Doors,
    gateway: &Gateway,
    deposits: mpsc::Receiver<Inside>,
) -> anyhow::Result<()> {
    let mut used = BTreeSet::new();
    for inside in deposits {
        std::thread::sleep(STAY.saturating_sub(inside.since.elapsed()));
        pick_up(doors, gateway, &inside, &mut used)?;
    }
    Ok(())
}

/// Brings about the temporary agreement; how many events waited before.
fn mediator(doors: &Doors, midnight: Timestamp) -> anyhow::Result<u64> {
    sleep_until(truce(midnight));
    let status = done(&doors.operator, ("GET", "/status"), None, None)?;
    let feeds = status.get("feeds").and_then(Value::as_array);
    let held = |feed: &Value| feed.get("held")?.as_u64();
    let held = feeds.into_iter().flatten().filter_map(held).sum();
    let policy = |dataset| -> anyhow::Result<Value> {
        let mut terms = terms(dataset, midnight)?;
        terms.from = truce(midnight);
        if dataset == Dataset::LockerEvents {
            // All that may not have left: there is no run-off.
            terms.covers_from = Some(midnight.plus_ms(-DAY_MS));
        }
        Ok(terms.to_policy())
    };
    mediate(
        doors,
        &policy(Dataset::RecipientContact)?,
        &policy(Dataset::LockerEvents)?,
    )?;
    Ok(held)
}

/// Hits nodes when it is time, and has all of them up again.
fn hit(nodes: &mut Nodes, midnight: Timestamp, blows: &[Blow]) -> anyhow::Result<()> {
    for blow in blows {
        sleep_until(midnight.plus_ms(blow.at_ms));
        let side = nodes.side(blow.node);
        let away = Duration::from_millis(blow.away_ms);
        match blow.how {
            How::Kill => {
                side.node.kill()?;
                std::thread::sleep(away);
                side.node = side.place.up()?;
            }
            How::Stop => {
                signal("STOP", side.node.pid())?;
                std::thread::sleep(away);
                signal("CONT", side.node.pid())?;
            }
        }
    }
    Ok(())
}

/// The shell's own `kill`: there is always one.
fn signal(name: &str, pid: u32) -> anyhow::Result<()> {
    let mut shell = Command::new("sh");
    shell.args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()]);
    let status = shell.status().context("failed to start a shell")?;
    ensure!(status.success(), "`kill -s {name} {pid}` failed: {status}");
    Ok(())
}

fn sleep_until(at: Timestamp) {
    let left_ms = u64::try_from(at.as_millis() - wall_ms()).unwrap_or(0);
    std::thread::sleep(Duration::from_millis(left_ms));
}
