//! Nodes that are started from an older copy of their directory.

use std::collections::BTreeMap;

use interlock::exchange::wire::{
    Blob, Evidence, Lane, LogSide, MirrorView, MirroredEpoch, WrittenView,
};
use interlock::node::Rng as _;
use interlock::node::io::{DepositAction, LocalRequest, PeerAnswer, PeerRequest};
use interlock::node::record::{AlertKind, Record};
use interlock_core::dataset::Dataset;
use interlock_core::time::{MINUTE_MS, SECOND_MS};
use interlock_journal::bilateral::{LeafBody, Receipt};
use interlock_journal::checkpoint::{Checkpoint, origin};
use interlock_journal::evidence::FindingKind;
use interlock_journal::merkle::{Frontier, leaf_hash};
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

const TRACKING: &str = "urn:agreement:old:2:0:tracking-events:p";
const PARCEL: &str = "SF1000000000001";

/// SF has released to Cainiao, whose key is in other hands, and goes back to before it did. What
/// Cainiao holds: a checkpoint over less, one over all, and all leaves.
struct Framed {
    net: Network,
    hostile: Hostile,
    less: String,
    all: String,
    leaves: Vec<Blob>,
}

fn framed(seed: u64) -> Framed {
    let mut net = Network::of_june_2017(seed);
    net.put_parcel(PARCEL, "taobao", CAINIAO, "13800000001");
    net.world.settle();
    let mut hostile = Hostile::new(&mut net, CAINIAO, SF);
    let transfer = wire(TRACKING);
    net.track(SF, PARCEL, "accepted");
    hostile
        .poll(&mut net.world, &transfer, Lane::Live, 0)
        .unwrap();
    hostile.sign_receipt(net.world.now());
    hostile
        .receipt(&mut net.world, &transfer, Lane::Live, 1)
        .unwrap();
    let copy = net.world.journal(SF).len();
    for (step, after) in [("arrived", 1), ("out-for-delivery", 2)] {
        net.track(SF, PARCEL, step);
        hostile
            .poll(&mut net.world, &transfer, Lane::Live, after)
            .unwrap();
        hostile.sign_receipt(net.world.now());
        if after == 1 {
            hostile
                .receipt(&mut net.world, &transfer, Lane::Live, 2)
                .unwrap();
        }
    }
    // What was signed stands in what passed; the first checkpoint over less than all.
    let all = hostile.mirror.note().unwrap().to_owned();
    let leaves: Vec<Blob> = hostile
        .mirror
        .leaves_from(0)
        .unwrap()
        .map(|l| Blob(l.to_vec()))
        .collect();
    net.world.kill(SF);
    assert!(net.world.put_back(SF, copy));
    assert!(net.world.restart(SF));
    net.world.settle();
    let less = signed_over(&net, leaves.len() as u64 - 1, &leaves);
    Framed {
        net,
        hostile,
        less,
        all,
        leaves,
    }
}

/// A checkpoint as SF signs it over the first leaves.
fn signed_over(net: &Network, size: u64, leaves: &[Blob]) -> String {
    let mut tree = Frontier::new();
    for leaf in &leaves[..size as usize] {
        tree.append(leaf_hash(&leaf.0));
    }
    let (sf, cainiao) = (net.world.id(SF).unwrap(), net.world.id(CAINIAO).unwrap());
    Checkpoint {
        origin: origin(sf, cainiao, 1),
        size,
        root: tree.root(),
        time: net.world.now(),
    }
    .sign(net.world.key(SF).unwrap(), sf.as_str())
    .unwrap()
}

impl Framed {
    /// Answers what SF asks for the comparison.
    fn answer(&mut self, checkpoint: Option<&str>, show: impl Fn(usize) -> Vec<Blob>) {
        for _ in 0..6 {
            for asked in self.net.world.asked_of(CAINIAO) {
                let answer = if asked.request == PeerRequest::Checkpoint {
                    let shown = checkpoint.map(|note| MirroredEpoch {
                        epoch: 1,
                        checkpoint: note.into(),
                    });
                    PeerAnswer::Mirror(MirrorView {
                        mirrored: shown.into_iter().collect(),
                        written: WrittenView {
                            epoch: 1,
                            receipted: 0,
                            past: Vec::new(),
                            rotations: Vec::new(),
                        },
                        rotations: Vec::new(),
                        anchor: None,
                    })
                } else {
                    let PeerRequest::Entries {
                        log: LogSide::Mirrored,
                        from,
                        ..
                    } = &asked.request
                    else {
                        panic!("signed too early: {:?}", asked.request);
                    };
                    PeerAnswer::Evidence(Evidence {
                        from: *from,
                        leaves: show(*from as usize),
                        checkpoint: checkpoint.unwrap_or_default().into(),
                    })
                };
                self.net.world.answer_for(CAINIAO, &asked, &answer);
            }
            let until = self.net.world.now().plus_ms(50);
            self.net.world.run_until(until);
        }
    }

    fn poll(&mut self, after: u64) -> Option<PeerAnswer> {
        let request = PeerRequest::Feed {
            transfer: wire(TRACKING),
            lane: Lane::Live,
            after,
            limit: 500,
            wait_ms: 0,
        };
        let id = self.hostile.id.clone();
        self.net.world.peer(SF, &id, &request)
    }

    fn epoch(&self) -> u32 {
        let state = self.net.world.node(SF).unwrap().state();
        state.channel(&self.hostile.id).unwrap().out.epoch()
    }

    fn released(&self) -> u64 {
        let state = self.net.world.node(SF).unwrap().state();
        let feed = &state.channel(&self.hostile.id).unwrap().outbound[&Dataset::TrackingEvents];
        feed.lane(interlock::exchange::wire::Lane::Live).released
    }

    fn alerted(&self, kind: AlertKind) -> bool {
        let state = self.net.world.node(SF).unwrap().state();
        state.alerts.iter().any(|alert| alert.kind == kind)
    }
}

fn refused(answer: Option<PeerAnswer>, kind: &str) {
    match answer {
        Some(PeerAnswer::Problem(problem)) => assert_eq!(problem.kind, kind),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_signed_toward_a_partner_before_the_comparison() {
    let mut framed = framed(301);
    refused(framed.poll(1), "not-compared-yet");
    let asked = framed.net.world.asked_of(CAINIAO);
    assert!(!asked.is_empty());
    assert!(
        asked
            .iter()
            .all(|asked| asked.request == PeerRequest::Checkpoint)
    );
    // The others are served though this one does not answer: its call is given up.
    for asked in &asked {
        let gone = PeerAnswer::Problem(interlock::node::problem::not_found("it"));
        framed.net.world.answer_for(CAINIAO, asked, &gone);
    }
    framed.net.world.settle();
    let state = framed.net.world.local(SF, LocalRequest::GetStatus);
    let waits = ok(state)["notCompared"].as_array().unwrap().len();
    assert_eq!(waits, 1, "only the one that did not answer");
    refused(framed.poll(1), "not-compared-yet");
}

#[test]
fn a_whole_mirror_brings_the_leaves_back_and_their_positions_are_not_given_again() {
    let mut framed = framed(302);
    let (all, leaves) = (framed.all.clone(), framed.leaves.clone());
    framed.answer(Some(&all), |from| leaves[from..].to_vec());
    assert!(
        framed.epoch() > 1,
        "a mirror may be shown shorter than it is"
    );
    assert_eq!(framed.released(), 3);
    assert!(framed.alerted(AlertKind::RolledBack));
    framed.net.track(SF, PARCEL, "arrived");
    match framed.poll(3) {
        Some(PeerAnswer::Feed(envelope)) => {
            assert_eq!(envelope.body.events[0].position, 4);
            assert!(!envelope.evidence.checkpoint.contains("epoch 1\n"));
        }
        other => panic!("{other:?}"),
    }
    assert_no_fork(&framed.net.world);
}

#[test]
fn an_older_checkpoint_makes_no_fork_though_all_was_signed() {
    let mut framed = framed(303);
    let (less, leaves) = (framed.less.clone(), framed.leaves.clone());
    let shown = leaves.len() - 1;
    framed.answer(Some(&less), |from| leaves[from..shown].to_vec());
    assert!(framed.epoch() > 1);
    framed.net.track(SF, PARCEL, "arrived");
    let known = framed.released();
    match framed.poll(known) {
        Some(PeerAnswer::Feed(envelope)) => {
            assert!(!envelope.evidence.leaves.is_empty());
            assert!(!envelope.evidence.checkpoint.contains("epoch 1\n"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_doctored_or_truncated_mirror_gives_nothing_back_and_makes_no_fork() {
    for (seed, truncated) in [(304, true), (305, false)] {
        let mut framed = framed(seed);
        let (all, leaves) = (framed.all.clone(), framed.leaves.clone());
        let last = leaves.len() - 1;
        framed.answer(Some(&all), |from| match truncated {
            true => leaves.get(from..last).unwrap_or_default().to_vec(),
            false => {
                let mut other = leaves[from..].to_vec();
                let end = other.len() - 1;
                *other[end].0.last_mut().unwrap() ^= 1;
                other
            }
        });
        assert!(framed.epoch() > 1);
        assert!(framed.alerted(AlertKind::RolledBack));
        assert_eq!(framed.released(), 1, "what was shown is not believed");
        assert_no_fork(&framed.net.world);
        let journal = framed.net.world.journal(SF);
        assert!(journal.iter().all(|(_, bytes)| {
            !matches!(postcard::from_bytes(bytes).unwrap(), Record::Regained(_))
        }));
    }
}

#[test]
fn a_claim_without_our_signature_opens_no_epoch_and_is_told() {
    let mut framed = framed(306);
    let forged = framed.all.replace("\n5\n", "\n9\n").replace('=', "A=");
    let mut other = framed.hostile.forked(
        framed.net.world.now(),
        LeafBody::Receipt(Receipt {
            epoch: 1,
            size: 0,
            root: [0; 32],
        }),
    );
    other.write(
        framed.net.world.now(),
        LeafBody::Receipt(Receipt {
            epoch: 1,
            size: 0,
            root: [1; 32],
        }),
    );
    let theirs = other
        .out
        .checkpoint(&other.key, framed.net.world.now())
        .unwrap();
    for note in [forged.as_str(), theirs.as_str()] {
        framed.answer(Some(note), |_| Vec::new());
        assert_eq!(framed.epoch(), 1);
        refused(framed.poll(1), "not-compared-yet");
        let until = framed.net.world.now().plus_ms(2 * MINUTE_MS);
        framed.net.world.run_until(until);
    }
    assert!(framed.alerted(AlertKind::NotCompared));
    // Once it shows what we signed, all goes on.
    let (all, leaves) = (framed.all.clone(), framed.leaves.clone());
    framed.answer(Some(&all), |from| leaves[from..].to_vec());
    assert!(framed.epoch() > 1 && framed.released() == 3);
    assert_no_fork(&framed.net.world);
}

#[test]
fn a_partner_that_comes_back_with_another_key_begins_another_log() {
    let mut net = Network::of_june_2017(307);
    net.put_parcel(PARCEL, "taobao", CAINIAO, "13800000001");
    net.track(SF, PARCEL, "accepted");
    let until = net.world.now().plus_ms(MINUTE_MS);
    net.world.run_until(until);
    let cainiao = net.world.id(CAINIAO).unwrap().clone();
    let mut partner = net.world.node(SF).unwrap().state().partners[&cainiao].clone();
    let state = net.world.node(SF).unwrap().state();
    let before = state.channel(&cainiao).unwrap().mirror.as_ref().unwrap();
    assert!(before.size() > 0 && before.key() == partner.key.as_bytes());
    partner.key = interlock::identity::keys::NodeKey::from_seed(&[7; 32]).public();
    ok(net
        .world
        .local(SF, LocalRequest::RemovePartner(cainiao.clone())));
    ok(net
        .world
        .local(SF, LocalRequest::AddPartner(partner.clone())));
    let state = net.world.node(SF).unwrap().state();
    let mirror = state.channel(&cainiao).unwrap().mirror.as_ref().unwrap();
    assert_eq!((mirror.size(), mirror.key()), (0, partner.key.as_bytes()));
    let replayed = net.world.replayed(SF).unwrap();
    let channel = replayed.state().channel(&cainiao).unwrap();
    assert_eq!(channel.mirror.as_ref(), Some(mirror));
}
