//! Lives through a scenario: parcels on their way, couriers, recipients, and what the file says.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what a scenario does not ask for is left alone"
)]

use std::collections::{BTreeMap, BTreeSet};

use interlock::node::io::DepositAction;
use interlock_core::terms::{Backlog, Terms};
use interlock_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};
use interlock_core::waybill::Waybill;
use interlock_sim::{NodeIx, Weather};
use serde_json::Value;

use super::format::{Action, BacklogWord, Name, Scenario, Step, WeatherWord, at};
use crate::support::*;

/// An agreement of Cainiao's, as the checker knows it.
#[derive(Clone, Debug)]
pub struct Agreed {
    pub from: Timestamp,
    pub until: Timestamp,
    /// What arose since then flows under it.
    pub covers_from: Timestamp,
}

/// A parcel of the scenario.
pub struct Parcel {
    pub number: String,
    pub owner: NodeIx,
    pub put_at: Timestamp,
    deposit: Option<Value>,
}

/// A courier's scan, and what came of it.
pub struct Scan {
    pub at: Timestamp,
    pub parcel: usize,
    /// Whether a door was opened.
    pub opened: bool,
    /// Why not.
    pub refusal: String,
}

/// What happens to a parcel at a time.
enum Due {
    Put(NodeIx),
    Track(usize, &'static str),
    Deposit(usize),
    PickUp(usize),
}

/// A scenario under way, and what was noted.
pub struct Run {
    pub net: Network,
    pub scenario: Scenario,
    pub parcels: Vec<Parcel>,
    pub scans: Vec<Scan>,
    pub agreed: Vec<Agreed>,
    /// When which pairs did not reach each other: from and until.
    pub apart: Vec<([NodeIx; 2], Timestamp, Timestamp)>,
    due: BTreeMap<(Timestamp, u64), Due>,
    sequence: u64,
    down: BTreeSet<NodeIx>,
    /// Since when pairs do not reach each other, or a node is down and reaches nobody.
    since: BTreeMap<[NodeIx; 2], Timestamp>,
    /// Scans after which the courier had to deliver to the door.
    pub refused: usize,
    /// Scans whose notice was queued.
    pub queued: usize,
    /// Events that wait at the end.
    pub waits: usize,
    /// Events that reached nobody and never will.
    pub never: usize,
}

impl Run {
    pub fn new(mut scenario: Scenario) -> Self {
        let (run_off_ms, backlog) = terms_of(&scenario);
        let mut net = Network::with_terms(scenario.seed, |terms| {
            change(terms, run_off_ms, backlog);
        });
        net.put_station(FENGCHAO, "FC0001", 400);
        let old = Agreed {
            from: MIDNIGHT.plus_ms(-60 * DAY_MS),
            until: MIDNIGHT,
            covers_from: MIDNIGHT.plus_ms(-60 * DAY_MS),
        };
        let steps = std::mem::take(&mut scenario.steps);
        let mut run = Self {
            net,
            scenario,
            parcels: Vec::new(),
            scans: Vec::new(),
            agreed: vec![old],
            apart: Vec::new(),
            due: BTreeMap::new(),
            sequence: 0,
            down: BTreeSet::new(),
            since: BTreeMap::new(),
            refused: 0,
            queued: 0,
            waits: 0,
            never: 0,
        };
        run.plan(&steps);
        run.scenario.steps = steps;
        run
    }

    /// When parcels are announced: evenly, at the pace and for the owners that the file says.
    fn plan(&mut self, steps: &[Step]) {
        let (mut pace, mut only) = (1, None);
        let mut steps = steps.iter().peekable();
        let mut now = at(self.scenario.first_hour);
        // The last day is left for what is under way.
        let last = at(self.scenario.last_hour - 24);
        let mut count = 0_u32;
        while now < last {
            while let Some(step) = steps.next_if(|step| at(step.hour) <= now) {
                match &step.action {
                    Action::Pace(times) => pace = *times,
                    Action::AllOf(name) => only = Some(name.ix()),
                    _ => {}
                }
            }
            let owner = only.unwrap_or(if count % 4 == 3 { JD } else { CAINIAO });
            self.at(now, Due::Put(owner));
            count += 1;
            let a_day = i64::from(self.scenario.parcels_a_day * pace);
            now = now.plus_ms(DAY_MS / a_day);
        }
    }

    fn at(&mut self, at: Timestamp, due: Due) {
        self.sequence += 1;
        self.due.insert((at, self.sequence), due);
    }

    pub fn live_through(&mut self) {
        let steps: Vec<(Timestamp, Action)> = self
            .scenario
            .steps
            .iter()
            .map(|s| (at(s.hour), s.action.clone()))
            .collect();
        let mut steps = steps.into_iter().peekable();
        while let Some((&(now, _), _)) = self.due.first_key_value() {
            while let Some((then, action)) = steps.next_if(|(then, _)| *then <= now) {
                self.net.world.run_until(then);
                self.act(&action);
            }
            self.net.world.run_until(now);
            if let Some((_, due)) = self.due.pop_first() {
                self.happen(due);
            }
        }
        for (then, action) in steps {
            self.net.world.run_until(then);
            self.act(&action);
        }
        self.net.world.run_until(at(self.scenario.last_hour));
        assert!(self.down.is_empty(), "the file leaves a node down");
        let open: Vec<[NodeIx; 2]> = self.since.keys().copied().collect();
        for pair in open {
            self.together(pair);
        }
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Agree {
                name,
                until_hour,
                covers_from_hour,
            } => self.agree(name, at(*until_hour), at(*covers_from_hour)),
            Action::Cut([a, b]) => {
                self.net.world.cut(a.ix(), b.ix(), true);
                self.part(pair(a.ix(), b.ix()));
            }
            Action::Mend([a, b]) => {
                self.net.world.cut(a.ix(), b.ix(), false);
                self.together(pair(a.ix(), b.ix()));
            }
            Action::Stop(name) => {
                self.net.world.kill(name.ix());
                self.down.insert(name.ix());
                self.reach(*name, Self::part);
            }
            Action::Start(name) => {
                self.down.remove(&name.ix());
                assert!(self.net.world.restart(name.ix()));
                self.reach(*name, Self::together);
            }
            Action::Weather(WeatherWord::Fair) => self.net.world.weather = Weather::default(),
            Action::Weather(WeatherWord::Storm) => self.net.world.weather = Weather::STORM,
            Action::Pace(_) | Action::AllOf(_) => {}
        }
    }

    fn reach(&mut self, name: Name, change: fn(&mut Self, [NodeIx; 2])) {
        for other in ALL.into_iter().filter(|other| *other != name.ix()) {
            change(self, pair(name.ix(), other));
        }
    }

    fn part(&mut self, pair: [NodeIx; 2]) {
        let now = self.net.world.now();
        self.since.entry(pair).or_insert(now);
    }

    fn together(&mut self, pair: [NodeIx; 2]) {
        if let Some(since) = self.since.remove(&pair) {
            self.apart.push((pair, since, self.net.world.now()));
        }
    }

    fn agree(&mut self, name: &str, until: Timestamp, covers_from: Timestamp) {
        let now = self.net.world.now();
        let (run_off_ms, backlog) = terms_of(&self.scenario);
        self.net.agree_changed(name, 1, covers_from, |terms| {
            change(terms, run_off_ms, backlog);
            terms.until = until;
        });
        self.agreed.push(Agreed {
            from: now,
            until,
            covers_from: covers_from.min(now),
        });
    }

    fn happen(&mut self, due: Due) {
        let now = self.net.world.now();
        match due {
            Due::Put(owner) if self.up(&[SF, owner]) => self.put(owner),
            Due::Track(n, step) if self.up(&[SF]) => {
                let number = self.parcels[n].number.clone();
                self.net.track_now(SF, &number, step);
            }
            Due::Deposit(n) if self.up(&[FENGCHAO]) => self.deposit(n),
            Due::PickUp(n) if self.up(&[FENGCHAO]) => self.pick_up(n),
            // Whoever finds the node down comes again.
            later => self.at(now.plus_ms(30 * MINUTE_MS), later),
        }
    }

    fn up(&self, nodes: &[NodeIx]) -> bool {
        nodes.iter().all(|ix| !self.down.contains(ix))
    }

    fn put(&mut self, owner: NodeIx) {
        let n = self.parcels.len();
        let number = format!("SF{n:013}");
        let market = if owner == JD { "jd" } else { "taobao" };
        self.net
            .put_parcel(&number, market, owner, &format!("138{n:08}"));
        let now = self.net.world.now();
        self.parcels.push(Parcel {
            number,
            owner,
            put_at: now,
            deposit: None,
        });
        let hours = |h: i64| now.plus_ms(h * HOUR_MS + (n as i64 % 50) * MINUTE_MS);
        for (h, step) in [(1, "accepted"), (4, "arrived"), (5, "out-for-delivery")] {
            self.at(hours(h), Due::Track(n, step));
        }
        self.at(hours(6), Due::Deposit(n));
        self.at(hours(16), Due::PickUp(n));
    }

    fn deposit(&mut self, n: usize) {
        let at = self.net.world.now();
        let number = self.parcels[n].number.clone();
        let outcome = self.net.deposit(FENGCHAO, &number, "FC0001", &number);
        let (opened, refusal) = match outcome {
            Ok(deposit) => {
                self.queued += usize::from(deposit["notifier"] == "queued");
                self.net
                    .advance(FENGCHAO, &deposit, DepositAction::Confirm)
                    .unwrap();
                self.parcels[n].deposit = Some(deposit);
                (true, String::new())
            }
            Err(problem) => {
                assert_eq!(problem.kind, "nobody-can-tell", "{}", problem.detail);
                self.refused += 1;
                (false, problem.detail)
            }
        };
        self.scans.push(Scan {
            at,
            parcel: n,
            opened,
            refusal,
        });
    }

    /// The recipient types the code of the message, or the courier takes back what nobody was told of.
    fn pick_up(&mut self, n: usize) {
        let Some(deposit) = self.parcels[n].deposit.take() else {
            return;
        };
        let waybill = Waybill::parse("sf", &self.parcels[n].number).unwrap();
        let state = self.net.world.node(FENGCHAO).unwrap().state();
        let parcel = state.parcels.find(&waybill).unwrap();
        let told = state.messages.after(0).any(|(_, m)| m.parcel == parcel.id);
        let code = state
            .deposits
            .get(&parcel.deposit.unwrap())
            .unwrap()
            .code
            .value
            .clone();
        let action = match (told, code) {
            (true, Some(code)) => {
                let open = DepositAction::Open { code };
                self.net.advance(FENGCHAO, &deposit, open).unwrap();
                DepositAction::PickUp
            }
            _ => DepositAction::Recall,
        };
        self.net.advance(FENGCHAO, &deposit, action).unwrap();
    }
}

const fn pair(a: NodeIx, b: NodeIx) -> [NodeIx; 2] {
    if a < b { [a, b] } else { [b, a] }
}

fn terms_of(scenario: &Scenario) -> (Option<i64>, Backlog) {
    let run_off_ms = scenario.run_off_hours * HOUR_MS;
    let backlog = match scenario.backlog {
        BacklogWord::Hold => Backlog::Hold,
        BacklogWord::Drop => Backlog::Drop,
    };
    ((run_off_ms > 0).then_some(run_off_ms), backlog)
}

fn change(terms: &mut Terms, run_off_ms: Option<i64>, backlog: Backlog) {
    terms.run_off_ms = run_off_ms;
    terms.backlog = terms.backlog.map(|_| backlog);
}
