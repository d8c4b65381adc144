//! Random schedules over the network of June 2017, and what must hold after each of them.
//!
//! A schedule is a function of its seed: the same seed gives the same world, byte by byte. Whatever is
//! found becomes a test of its own with its seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use interlock::node::Rng;
use interlock::node::io::{DepositAction, LocalRequest};
use interlock::node::record::AlertKind;
use interlock::node::state::{LedgerOutcome, State};
use interlock_core::dataset::Dataset;
use interlock_core::ids::ParcelId;
use interlock_core::locker::Phase;
use interlock_core::time::{DAY_MS, HOUR_MS, SECOND_MS, Timestamp};
use interlock_journal::disk::{Crash, Fault};
use interlock_sim::{ClockError, DiskOf, NodeIx, SeededRng, Struck, Weather};
use serde_json::Value;

use crate::support::*;

/// Seeds of one run; `INTERLOCK_SEEDS` asks for more, from `INTERLOCK_SEED_FIRST` on.
const SEEDS: u64 = 60;
/// Actions of one schedule.
const ACTIONS: usize = 40;
/// Of so many seeds one has disks, clocks and a network without faults.
const FAIR_EVERY: u64 = 3;

struct Schedule {
    net: Network,
    rng: SeededRng,
    seed: u64,
    /// Whether disks, clocks and the network misbehave, too.
    adverse: bool,
    /// Parcels that were begun with.
    begun: usize,
    /// Parcels: number and owner.
    parcels: Vec<(String, NodeIx)>,
    /// Deposits: answer and number.
    deposits: Vec<(Value, String)>,
    cut: BTreeSet<(NodeIx, NodeIx)>,
    down: BTreeSet<NodeIx>,
    renewals: u32,
    /// What becomes of the disks with what is derived, if anything does: drawn apart, so that a seed
    /// that failed once stays the same schedule.
    tables: Option<SeededRng>,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut net = Network::of_june_2017(seed);
        net.put_station(FENGCHAO, "FC0001", 60);
        Self {
            net,
            rng: SeededRng::new(seed, "schedule"),
            seed,
            adverse: !seed.is_multiple_of(FAIR_EVERY),
            begun: 0,
            parcels: Vec::new(),
            deposits: Vec::new(),
            cut: BTreeSet::new(),
            down: BTreeSet::new(),
            renewals: 0,
            tables: None,
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        let mut bytes = [0; 8];
        self.rng.fill(&mut bytes);
        u64::from_le_bytes(bytes) % below
    }

    fn up(&self, nodes: &[NodeIx]) -> bool {
        nodes.iter().all(|ix| !self.down.contains(ix))
    }

    fn wait(&mut self, ms: i64) {
        self.net.world.run_until(self.net.world.now().plus_ms(ms));
    }

    fn act(&mut self) {
        match self.draw(if self.adverse { 22 } else { 16 }) {
            0..=2 => self.put(),
            3..=5 => self.deposit(),
            6..=7 => self.advance(),
            8..=10 => self.track(),
            11 => self.cut_or_mend(),
            12 => self.kill_or_restart(),
            13 => {
                let ms = self.draw(2_000) as i64;
                self.wait(ms);
            }
            14 => {
                let ms = self.draw(4) as i64 * HOUR_MS;
                self.wait(ms);
            }
            15 => self.jump(),
            16 => self.turn_weather(),
            17 | 18 => self.break_disk(),
            19 => self.lose_power(),
            20 => self.fill_disk(),
            _ => self.turn_clock(),
        }
        self.harm_tables();
        let ms = self.draw(40) as i64;
        self.wait(ms);
        let died = ALL.into_iter().filter(|ix| !self.net.world.is_up(*ix));
        self.down.extend(died);
    }

    fn turn_weather(&mut self) {
        self.net.world.weather = match self.draw(2) {
            0 => Weather::default(),
            _ => Weather::STORM,
        };
    }

    /// One of the next operations of a disk fails.
    fn break_disk(&mut self) {
        let ix = ALL[self.draw(4) as usize];
        let disk = match self.draw(3) {
            0 => DiskOf::Keys,
            _ => DiskOf::Journal,
        };
        let fault = match self.draw(5) {
            0 => Fault::Failed,
            1 => Fault::FailedAlthoughDone,
            2 => Fault::ShortWrite(self.draw(700) as usize),
            3 => Fault::DiskFull,
            _ => Fault::PowerLoss,
        };
        let after = self.draw(12);
        self.net.world.inject(ix, disk, after, fault);
    }

    /// One of the next operations of a disk with tables fails, or a bit of each of its files is another.
    fn harm_tables(&mut self) {
        let Some(rng) = self.tables.as_mut().filter(|_| self.adverse) else {
            return;
        };
        let mut draw = || {
            let mut bytes = [0; 8];
            rng.fill(&mut bytes);
            u64::from_le_bytes(bytes)
        };
        let ix = ALL[(draw() % 4) as usize];
        let fault = match draw() % 40 {
            0 => Fault::Failed,
            1 => Fault::FailedAlthoughDone,
            2 => Fault::ShortWrite((draw() % 700) as usize),
            3 => Fault::DiskFull,
            4 => Fault::PowerLoss,
            5 => return self.net.world.damage_tables(ix, draw() % 1_000_000),
            _ => return,
        };
        let after = draw() % 12;
        self.net.world.inject(ix, DiskOf::Tables, after, fault);
    }

    /// A machine loses power: of what was not synced, any part survives.
    fn lose_power(&mut self) {
        let ix = ALL[self.draw(4) as usize];
        let seed = self.draw(u64::MAX);
        self.net.world.crash(ix, Crash::Torn(seed));
    }

    /// A disk has room for little more; it has room again when the node is started again.
    fn fill_disk(&mut self) {
        let ix = ALL[self.draw(4) as usize];
        let room = self.draw(3_000);
        self.net.world.limit_disk(ix, Some(room));
    }

    /// A clock is set, within what its node says of it.
    fn turn_clock(&mut self) {
        let ix = ALL[self.draw(4) as usize];
        let uncertainty_ms = self.draw(1_500) as i64;
        let skew_ms = self.draw(2 * uncertainty_ms as u64 + 1) as i64 - uncertainty_ms;
        let clock = ClockError {
            skew_ms,
            uncertainty_ms,
        };
        self.net.world.set_clock(ix, clock);
    }

    fn put(&mut self) {
        if !self.up(&[SF, CAINIAO, JD]) {
            return;
        }
        let n = self.begun;
        self.begun += 1;
        let (market, owner) = match self.draw(3) {
            0 => ("jd", JD),
            _ => ("taobao", CAINIAO),
        };
        let number = format!("SF{n:013}");
        let phone = format!("138{n:08}");
        let put = self
            .net
            .try_put_parcel(&number, market, owner, &phone, |_| {});
        if put.is_some() {
            self.parcels.push((number, owner));
        }
    }

    fn any_parcel(&mut self) -> Option<String> {
        let count = self.parcels.len() as u64;
        let at = (count > 0).then(|| self.draw(count))?;
        Some(self.parcels[at as usize].0.clone())
    }

    fn deposit(&mut self) {
        let Some(number) = self.any_parcel().filter(|_| self.up(&[FENGCHAO])) else {
            return;
        };
        let key = format!("k{}", self.deposits.len());
        if let Ok(deposit) = self.net.deposit(FENGCHAO, &number, "FC0001", &key) {
            self.deposits.push((deposit.clone(), number));
            if self.draw(4) > 0 {
                // A deposit that was refused in the meantime says so.
                let _refused = self.net.advance(FENGCHAO, &deposit, DepositAction::Confirm);
            }
        }
    }

    fn advance(&mut self) {
        let count = self.deposits.len() as u64;
        if count == 0 || !self.up(&[FENGCHAO]) {
            return;
        }
        let at = self.draw(count) as usize;
        let (deposit, number) = self.deposits[at].clone();
        let action = match self.draw(4) {
            0 => DepositAction::Recall,
            1 => DepositAction::Confirm,
            _ => {
                let Some(code) = self.code_of(&number) else {
                    return;
                };
                let _wrong = self
                    .net
                    .advance(FENGCHAO, &deposit, DepositAction::Open { code });
                DepositAction::PickUp
            }
        };
        // What does not fit the phase is refused; the checks at the end say what must hold.
        let _refused = self.net.advance(FENGCHAO, &deposit, action);
    }

    fn code_of(&self, number: &str) -> Option<String> {
        let parcel = interlock_core::waybill::Waybill::parse("sf", number).unwrap();
        let state = self.net.world.node(FENGCHAO)?.state();
        let deposit = state.parcels.find(&parcel)?.deposit?;
        state.deposits.get(&deposit)?.code.value.clone()
    }

    fn track(&mut self) {
        let Some(number) = self.any_parcel().filter(|_| self.up(&[SF])) else {
            return;
        };
        let step = format!("step-{}", self.draw(1_000_000));
        // What was not answered may be on record; the checks go by what is.
        let _dead = self.net.try_track(SF, &number, &step);
    }

    fn cut_or_mend(&mut self) {
        let pairs = [
            (CAINIAO, FENGCHAO),
            (SF, CAINIAO),
            (SF, FENGCHAO),
            (JD, FENGCHAO),
        ];
        let pair = pairs[self.draw(4) as usize];
        let cut = self.cut.insert(pair);
        if !cut {
            self.cut.remove(&pair);
        }
        self.net.world.cut(pair.0, pair.1, cut);
    }

    fn kill_or_restart(&mut self) {
        let ix = ALL[self.draw(4) as usize];
        if self.down.remove(&ix) {
            self.restart(ix);
        } else {
            self.net.world.kill(ix);
            if self.draw(2) == 0 {
                self.restart(ix);
            } else {
                self.down.insert(ix);
            }
        }
    }

    fn restart(&mut self, ix: NodeIx) {
        self.net.world.limit_disk(ix, None);
        if self.adverse && self.draw(2) == 0 {
            // The machine went down, not just the process.
            let seed = self.draw(u64::MAX);
            self.net.world.crash(ix, Crash::Torn(seed));
        } else {
            self.net.world.kill(ix);
        }
        assert!(
            self.net.world.restart(ix),
            "seed {}: the journal of {ix} gives no node",
            self.seed
        );
    }

    /// To just before or after one of the instants at which something ends, or to a new agreement.
    fn jump(&mut self) {
        let now = self.net.world.now();
        let ends = [MIDNIGHT, MIDNIGHT.plus_ms(7 * DAY_MS)];
        let next = ends.into_iter().find(|end| now < end.plus_ms(-SECOND_MS));
        if now >= MIDNIGHT && self.renewals < 2 && self.draw(2) == 0 {
            return self.renew();
        }
        if let Some(end) = next {
            // Days of calls that fail show nothing that hours do not.
            if self.draw(4) > 0 {
                self.mend();
            }
            let around = self.draw(4) as i64 * 500 - 1_000;
            self.net.world.run_until(end.plus_ms(around));
        }
    }

    fn renew(&mut self) {
        self.renewals += 1;
        let days = 2 + self.draw(20) as i64;
        let name = ["new", "renewed"][self.renewals as usize - 1];
        let restart: Vec<NodeIx> = self.down.iter().copied().collect();
        self.down.clear();
        for ix in restart {
            self.restart(ix);
        }
        let all_at_once = self.draw(2) == 0;
        self.net
            .agree_named(name, days, MIDNIGHT.plus_ms(-3 * DAY_MS), all_at_once);
    }

    /// Everybody is up and reaches everybody.
    fn mend(&mut self) {
        self.down
            .extend(ALL.into_iter().filter(|ix| !self.net.world.is_up(*ix)));
        for (a, b) in std::mem::take(&mut self.cut) {
            self.net.world.cut(a, b, false);
        }
        for ix in std::mem::take(&mut self.down) {
            self.restart(ix);
        }
    }

    /// The same, and an agreement covers everything.
    fn heal(&mut self) {
        self.net.world.weather = Weather::default();
        for ix in ALL {
            self.net.world.clear_faults(ix);
        }
        self.mend();
        self.wait(HOUR_MS);
        let now = self.net.world.now();
        if now < MIDNIGHT.plus_ms(8 * DAY_MS) {
            self.net.world.run_until(MIDNIGHT.plus_ms(8 * DAY_MS));
        }
        self.net
            .agree_named("last", 30, MIDNIGHT.plus_ms(-3 * DAY_MS), true);
        self.find_damage();
        self.wait(2 * HOUR_MS);
    }

    /// Rows that nobody has read since a bit of them changed are read: the node must notice, end, and be
    /// made anew from its journal. What it writes then may be damaged again.
    fn find_damage(&mut self) {
        for ix in ALL {
            while self.reads_damage(ix) {
                let asked = self.net.world.local(ix, LocalRequest::GetStatus);
                assert!(
                    asked.is_none() && !self.net.world.is_up(ix),
                    "seed {}: {ix} went on with rows that cannot be read",
                    self.seed
                );
                self.restart(ix);
            }
        }
    }

    fn reads_damage(&self, ix: NodeIx) -> bool {
        let node = self.net.world.node(ix).unwrap();
        let state = node.state();
        let waybills: Vec<_> = state.parcels.iter().map(|parcel| parcel.waybill).collect();
        let found = waybills.iter().filter_map(|it| state.parcels.find(it));
        let read = found.count()
            + state.inbox.iter().count()
            + state.ledger.iter().count()
            + state.keyed.iter().count()
            + state.deposits.iter().count()
            + state.messages.after(0).count();
        std::hint::black_box(read);
        node.failure().is_some()
    }

    fn check(&mut self) {
        self.one_message_each();
        self.everything_arrived_once_in_order();
        self.nothing_of_another_marketplace();
        self.nothing_outside_terms();
        self.feeds_are_gapless();
        self.net.assert_replay_gives_the_same();
    }

    /// One message for each deposit that stood with its door closed and was ours to tell.
    fn one_message_each(&self) {
        let seed = self.seed;
        let state = self.net.world.node(FENGCHAO).unwrap().state();
        let mut told: BTreeMap<_, u32> = BTreeMap::new();
        for (_, message) in state.messages.after(0) {
            if message.kind == interlock::node::record::MessageKind::Deposited {
                *told.entry(message.deposit).or_default() += 1;
            }
        }
        for (id, deposit) in state.deposits.iter() {
            let closed = deposit.deposited_at.is_some();
            let ours = deposit.teller == Some(interlock::node::record::Teller::Us);
            let count = told.get(&Some(id)).copied().unwrap_or(0);
            match (closed && ours, deposit.stay.phase().is_over()) {
                (true, false) => assert_eq!(count, 1, "seed {seed}: deposit {id}"),
                (true, true) => assert!(count <= 1, "seed {seed}: deposit {id}"),
                (false, _) => assert_eq!(count, 0, "seed {seed}: deposit {id}"),
            }
            assert_ne!(
                (deposit.stay.phase(), deposit.teller.is_none()),
                (Phase::Arrived, true),
                "seed {seed}: deposit {id} waits for ever"
            );
        }
    }

    fn everything_arrived_once_in_order(&mut self) {
        for (number, owner) in self.parcels.clone() {
            let seed = self.seed;
            let waybill = interlock_core::waybill::Waybill::parse("sf", &number).unwrap();
            for source in [SF, FENGCHAO] {
                let written: Vec<u32> = self.numbers(source, &waybill, None);
                let arrived = self.numbers(owner, &waybill, Some(source));
                assert_eq!(
                    written, arrived,
                    "seed {seed}: {number} from {source} at {owner}"
                );
            }
        }
        for ix in ALL {
            let seed = self.seed;
            let counters = &self.net.world.node(ix).unwrap().state().counters;
            assert_eq!(
                (counters.events_duplicate, counters.events_out_of_order),
                (0, 0),
                "seed {seed}: at {ix}"
            );
            let alerts = &self.net.world.node(ix).unwrap().state().alerts;
            let bad = alerts
                .iter()
                .find(|a| a.partner.is_some() && a.kind != AlertKind::AgreementEnds);
            assert!(bad.is_none(), "seed {seed}: at {ix}: {bad:?}");
        }
    }

    fn numbers(
        &self,
        ix: NodeIx,
        waybill: &interlock_core::waybill::Waybill,
        from: Option<NodeIx>,
    ) -> Vec<u32> {
        let from = from.map(|from| self.net.world.id(from).unwrap());
        let parcel = self
            .net
            .world
            .node(ix)
            .unwrap()
            .state()
            .parcels
            .find(waybill);
        parcel
            .iter()
            .flat_map(|p| &p.events)
            .filter(|e| e.from.as_ref() == from)
            .map(|e| e.event.number)
            .collect()
    }

    fn nothing_of_another_marketplace(&self) {
        for (mine, theirs) in [(CAINIAO, JD), (JD, CAINIAO)] {
            let state = self.net.world.node(mine).unwrap().state();
            for (number, _) in self.parcels.iter().filter(|(_, owner)| *owner == theirs) {
                let waybill = interlock_core::waybill::Waybill::parse("sf", number).unwrap();
                assert!(
                    state.parcels.find(&waybill).is_none(),
                    "seed {}: {mine} knows {number}",
                    self.seed
                );
            }
            let name = |ix: NodeIx| self.net.world.id(ix).unwrap().as_str().to_owned();
            let seen = self.net.seen_by(mine);
            let rival = name(theirs);
            assert!(
                !seen
                    .iter()
                    .any(|e| String::from_utf8_lossy(&e.answer.1).contains(&rival)),
                "seed {}: {mine} was told of {rival}",
                self.seed
            );
        }
    }

    /// By each provider's ledger: nothing left before a term, or after it and its run-off.
    fn nothing_outside_terms(&self) {
        for ix in ALL {
            let state = self.net.world.node(ix).unwrap().state();
            for entry in state.ledger.iter() {
                let released = match &entry.outcome {
                    LedgerOutcome::Batch { .. } | LedgerOutcome::Contact { .. } => true,
                    LedgerOutcome::Denied { .. } | LedgerOutcome::Voided => false,
                };
                let agreement = entry
                    .agreement
                    .as_ref()
                    .and_then(|a| state.book.agreements.get(a));
                let Some(agreement) = agreement.filter(|_| released) else {
                    assert!(!released, "seed {}: released under nothing", self.seed);
                    continue;
                };
                let terms = &agreement.terms;
                let end = terms.until.plus_ms(terms.run_off_ms.unwrap_or(0));
                assert!(
                    terms.from <= entry.at && entry.at < end,
                    "seed {}: {} at {:?}",
                    self.seed,
                    agreement.id,
                    entry.at
                );
                if let (LedgerOutcome::Contact { parcel, .. }, true) =
                    (&entry.outcome, entry.at >= terms.until)
                {
                    let registered = registered_at(state, *parcel);
                    assert!(registered < terms.until, "seed {}: run-off", self.seed);
                }
            }
        }
    }

    fn feeds_are_gapless(&self) {
        for provider in ALL {
            let state = self.net.world.node(provider).unwrap().state();
            for (consumer, channel) in &state.channels {
                let consumer_ix = ALL
                    .into_iter()
                    .find(|ix| self.net.world.id(*ix) == Some(consumer));
                let theirs = consumer_ix
                    .and_then(|ix| self.net.world.node(ix))
                    .unwrap()
                    .state();
                let me = self.net.world.id(provider).unwrap();
                for (dataset, feed) in &channel.outbound {
                    for lane in interlock::exchange::wire::Lane::ALL {
                        let inbound = theirs.channel(me).and_then(|c| c.inbound.get(dataset));
                        let cursor = inbound.map_or(0, |inbound| inbound.cursor(lane));
                        let lane = feed.lane(lane);
                        assert_eq!(
                            (lane.released, lane.ready.len(), lane.outstanding.len()),
                            (cursor, 0, 0),
                            "seed {}: {dataset} from {provider} to {consumer}",
                            self.seed
                        );
                    }
                    let held = if *dataset == Dataset::RecipientContact {
                        0
                    } else {
                        feed.held()
                    };
                    assert_eq!(held, 0, "seed {}: {dataset} to {consumer}", self.seed);
                }
            }
        }
    }
}

fn registered_at(state: &State, parcel: ParcelId) -> Timestamp {
    state.parcels.get(parcel).unwrap().registered_at
}

/// What a schedule came to.
#[derive(Clone, Copy, Default)]
struct Run {
    struck: Struck,
    /// Nodes made from a snapshot, and from a whole journal.
    starts: (u64, u64),
    /// Logs of which the other side has what was written.
    mirrored: u64,
}

fn run(seed: u64, tables: bool) -> Run {
    let mut schedule = Schedule::new(seed);
    schedule.tables = tables.then(|| SeededRng::new(seed, "tables"));
    for _ in 0..ACTIONS {
        schedule.act();
    }
    schedule.heal();
    schedule.check();
    Run {
        mirrored: schedule.net.mirrored_logs(),
        struck: schedule.net.world.struck,
        starts: schedule.net.world.starts(),
    }
}

/// Shows the state of every node after a schedule, once all has healed.
pub fn states_after(seed: u64, show: &mut dyn FnMut(&State)) {
    let mut schedule = Schedule::new(seed);
    for _ in 0..ACTIONS {
        schedule.act();
    }
    schedule.heal();
    for ix in ALL {
        show(schedule.net.world.node(ix).unwrap().state());
    }
}

/// What some seeds came to.
#[derive(Default)]
struct Outcome {
    failed: Vec<u64>,
    all: Run,
}

/// Runs all seeds, on as many threads as the machine is worth.
fn run_all(seeds: std::ops::Range<u64>) -> Outcome {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(seeds.start);
    let worker = || {
        let mut outcome = Outcome::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return outcome;
            }
            match std::panic::catch_unwind(|| run(seed, true)) {
                Ok(run) => outcome.add(&run),
                Err(_) => outcome.failed.push(seed),
            }
        }
    };
    let mut all = Outcome::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            let outcome = worker.join().expect("a worker");
            all.failed.extend(outcome.failed);
            all.add(&outcome.all);
        }
    });
    all
}

impl Outcome {
    fn add(&mut self, run: &Run) {
        self.all.struck.disks += run.struck.disks;
        self.all.struck.lost += run.struck.lost;
        self.all.struck.repeated += run.struck.repeated;
        self.all.starts.0 += run.starts.0;
        self.all.starts.1 += run.starts.1;
        self.all.mirrored += run.mirrored;
    }
}

/// A number from the environment.
fn asked_for(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Seeds that once failed, each for the reason that stands beside it.
const FAILED_ONCE: [u64; 18] = [
    // A lookup that its owner refused as unknown was repeated for ever, and its deposit never settled.
    1_429, 2_002, 2_045, 5_995, 6_293, 9_059,
    // So was one that its owner does not find on evidence, for it lies in an epoch that is over.
    248, 631, 2_690, // The simulator went on writing to a disk that had failed.
    562, 1_363, 1_420,
    // What was withheld, or withdrawn behind something without receipt, came after what arose later.
    760, 1_385,
    1_690, // A key of which half was overwritten when the disk failed stopped every start.
    5_804, 6_325,
    // What was withheld while a clock was back did not come before what arose after it.
    7_620,
];

#[test]
fn what_failed_once_does_not_fail_again() {
    for seed in FAILED_ONCE {
        run(seed, false);
    }
}

#[test]
fn random_schedules_lose_nothing() {
    let first = asked_for("INTERLOCK_SEED_FIRST").unwrap_or(0);
    let seeds = asked_for("INTERLOCK_SEEDS").unwrap_or(SEEDS);
    let Outcome { failed, all } = run_all(first..first + seeds);
    assert!(failed.is_empty(), "seeds {failed:?}");
    let Run {
        struck,
        starts,
        mirrored,
    } = all;
    println!("{seeds} seeds from {first}: {struck:?}, starts {starts:?}, {mirrored} logs mirrored");
    if seeds >= SEEDS {
        let Struck {
            disks,
            lost,
            repeated,
        } = struck;
        let in_vain = [disks, lost, repeated, starts.0, starts.1, mirrored].contains(&0);
        assert!(
            !in_vain,
            "what never came to pass: {struck:?}, {starts:?}, {mirrored}"
        );
    }
}
