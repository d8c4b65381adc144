//! Nodes that are started from an older copy of their directory.

use std::collections::BTreeMap;

use interlock::node::Rng as _;
use interlock::node::io::DepositAction;
use interlock::node::record::{AlertKind, Record};
use interlock_core::time::{MINUTE_MS, SECOND_MS};
use interlock_journal::evidence::FindingKind;
use interlock_sim::{NodeIx, SeededRng};

use crate::support::*;

/// A busy exchange, one act a draw.
struct Busy {
    net: Network,
    rng: SeededRng,
    parcels: Vec<String>,
}

impl Busy {
    fn new(seed: u64) -> Self {
        let mut net = Network::of_june_2017(seed);
        net.put_station(FENGCHAO, "FC0001", 60);
        Self {
            net,
            rng: SeededRng::new(seed, "busy"),
            parcels: Vec::new(),
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        let mut bytes = [0; 8];
        self.rng.fill(&mut bytes);
        u64::from_le_bytes(bytes) % below
    }

    fn act(&mut self) {
        let of_jd = self.draw(3) == 0;
        let (market, owner) = if of_jd {
            ("jd", JD)
        } else {
            ("taobao", CAINIAO)
        };
        let number = format!("SF{:013}", 1_000_000_000_001 + self.parcels.len() as u64);
        match self.draw(4) {
            0 | 1 => {
                self.net.put_parcel(&number, market, owner, "13800000001");
                self.parcels.push(number);
            }
            2 if !self.parcels.is_empty() => {
                let at = self.draw(self.parcels.len() as u64) as usize;
                let step = ["accepted", "arrived", "out-for-delivery"][self.draw(3) as usize];
                let number = self.parcels[at].clone();
                if self
                    .net
                    .world
                    .node(SF)
                    .unwrap()
                    .state()
                    .parcels
                    .find(&interlock_core::waybill::Waybill::parse("sf", &number).unwrap())
                    .is_some()
                {
                    self.net.track_now(SF, &number, step);
                }
            }
            _ if !self.parcels.is_empty() => {
                let at = self.draw(self.parcels.len() as u64) as usize;
                let number = self.parcels[at].clone();
                if let Ok(deposit) = self.net.deposit(FENGCHAO, &number, "FC0001", &number) {
                    let _ = self.net.advance(FENGCHAO, &deposit, DepositAction::Confirm);
                }
            }
            _ => {}
        }
        let wait = 1 + self.draw(40) as i64;
        let until = self.net.world.now().plus_ms(wait * SECOND_MS);
        self.net.world.run_until(until);
    }

    /// Everybody is compared with everybody, and what waited has gone.
    fn calm(&mut self) {
        let until = self.net.world.now().plus_ms(5 * MINUTE_MS);
        self.net.world.run_until(until);
    }
}

fn restored() -> Record {
    Record::RolledBack {
        shown_by: None,
        reason: "restored from a copy".into(),
    }
}

/// How much each node holds of each log of the others, by epoch.
fn mirrored(net: &Network) -> BTreeMap<(NodeIx, NodeIx, u32), u64> {
    let mut out = BTreeMap::new();
    for holder in ALL {
        for log in evidence_of(&net.world, holder).logs {
            let writer = ALL
                .into_iter()
                .find(|ix| net.world.id(*ix) == Some(&log.writer));
            if writer != Some(holder) {
                let at = (holder, writer.unwrap(), log.epoch);
                out.insert(at, log.leaves.len() as u64);
            }
        }
    }
    out
}

/// Nothing convicts anybody; what is said of rollbacks, the writers say themselves.
fn assert_declared_only(net: &Network) {
    for finding in findings_of(&net.world) {
        if finding.kind == FindingKind::NoAgreement {
            // The agreements of this network were put on record without manifests.
            continue;
        }
        assert_eq!(finding.kind, FindingKind::Rollback, "{finding:?}");
        assert_eq!(finding.convicts, None, "{finding:?}");
    }
}

fn assert_compared(net: &mut Network) {
    for ix in ALL {
        let status = ok(net
            .world
            .local(ix, interlock::node::io::LocalRequest::GetStatus));
        assert_eq!(
            status["notCompared"].as_array().unwrap().len(),
            0,
            "{status}"
        );
    }
}

/// How often the journal of a node says what.
#[derive(Debug, Default)]
struct Seen {
    found_behind: u32,
    regained: u32,
    opened: u32,
    alerts_of_others: u32,
}

impl Seen {
    fn count(&mut self, net: &Network, victim: NodeIx) {
        for (_, bytes) in net.world.journal(victim) {
            let record: Record = postcard::from_bytes(bytes).unwrap();
            let shown = matches!(
                &record,
                Record::RolledBack {
                    shown_by: Some(_),
                    ..
                }
            );
            self.found_behind += u32::from(shown);
            self.regained += u32::from(matches!(record, Record::Regained(_)));
            self.opened += u32::from(matches!(record, Record::EpochOpened { .. }));
        }
        for ix in ALL.into_iter().filter(|ix| *ix != victim) {
            let alerts = &net.world.node(ix).unwrap().state().alerts;
            let told = alerts
                .iter()
                .filter(|alert| alert.kind == AlertKind::RolledBack);
            self.alerts_of_others += told.count() as u32;
        }
    }
}

/// One node goes back to a random earlier moment; `marked` as a restore marks it, `cut` from one
/// partner while answers to it are lost.
fn roll_back(seed: u64, marked: bool, cut: bool, seen: &mut Seen) {
    let mut busy = Busy::new(seed);
    for _ in 0..6 {
        busy.act();
    }
    let victim = ALL[busy.draw(4) as usize];
    for _ in 0..busy.draw(8) {
        busy.act();
    }
    let copy = busy.net.world.journal(victim).len();
    for _ in 0..busy.draw(12) {
        busy.act();
    }
    let other = ALL[(victim + 1 + busy.draw(3) as usize) % 4];
    if cut {
        busy.net.world.cut(victim, other, true);
        for _ in 0..4 {
            busy.act();
        }
    }
    busy.net.world.kill(victim);
    let before = mirrored(&busy.net);
    assert!(busy.net.world.put_back(victim, copy));
    if marked {
        let at = busy.net.world.now();
        assert!(busy.net.world.append_offline(victim, at, restored()));
    }
    assert!(busy.net.world.restart(victim));
    for _ in 0..4 {
        busy.act();
    }
    busy.net.world.cut(victim, other, false);
    busy.calm();
    for _ in 0..6 {
        busy.act();
    }
    busy.calm();
    assert_no_fork(&busy.net.world);
    assert_compared(&mut busy.net);
    // Whatever anybody held of anybody's log is held again: the victim gets back what it had mirrored,
    // as far as it had said so, and its own leaves as far as they were mirrored.
    let after = mirrored(&busy.net);
    for (log, size) in before.iter().filter(|(log, _)| log.0 != victim) {
        assert!(after[log] >= *size, "seed {seed}: {log:?} had {size}");
    }
    for log in evidence_of(&busy.net.world, victim).logs {
        let held = before.iter().find(|((holder, writer, epoch), _)| {
            (busy.net.world.id(*writer), *epoch) == (Some(&log.writer), log.epoch)
                && busy.net.world.id(*holder) == Some(&log.reader)
                && *writer == victim
        });
        if let Some((_, size)) = held {
            assert!(
                log.leaves.len() as u64 >= *size,
                "seed {seed}: lost for good"
            );
        }
    }
    assert_declared_only(&busy.net);
    busy.net.assert_replay_gives_the_same();
    seen.count(&busy.net, victim);
}

#[test]
fn a_node_put_back_to_any_moment_never_forks() {
    let mut seen = Seen::default();
    for seed in 0..24 {
        roll_back(seed, false, false, &mut seen);
    }
    assert!(seen.found_behind > 10 && seen.regained > 15, "{seen:?}");
    assert!(seen.opened > 30 && seen.alerts_of_others > 10, "{seen:?}");
}

#[test]
fn a_restored_node_never_forks_though_answers_were_lost_and_a_partner_is_away() {
    let mut seen = Seen::default();
    for seed in 100..124 {
        roll_back(seed, true, true, &mut seen);
    }
    assert!(seen.regained > 15 && seen.opened >= 72, "{seen:?}");
}
