//! Agreements that are renewed again and again where two people must approve, in storms, with nodes that
//! are killed: whatever is lost on the way, both sides come to hold the same chain of agreements.

use std::collections::BTreeSet;

use interlock::identity::partner::Role as ParticipantRole;
use interlock::node::Rng as _;
use interlock::node::agreements::{Actor, Agreement, Book};
use interlock::node::io::{Decision, LocalRequest, OfferPut, Renewal, Role};
use interlock::node::record::Record;
use interlock_core::agreement::AgreementState;
use interlock_core::dataset::Dataset;
use interlock_core::ids::WireId;
use interlock_core::negotiation::NegotiationState;
use interlock_core::time::{ClockInterval, DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};
use interlock_core::transfer::TransferState;
use interlock_journal::disk::Crash;
use interlock_sim::{NodeIx, NodeSpec, SeededRng, Weather, World};

use crate::support::{MIDNIGHT, result, terms, wire};

const SEEDS: u64 = 20;
const PROVIDER: NodeIx = 0;
const CONSUMER: NodeIx = 1;
const BOTH: [NodeIx; 2] = [PROVIDER, CONSUMER];
/// Who decides: the digests of their keys.
const PEOPLE: [(&str, [u8; 32]); 3] = [("wang", [1; 32]), ("zhao", [2; 32]), ("li", [3; 32])];

struct Office {
    world: World,
    rng: SeededRng,
}

impl Office {
    /// Two nodes with four eyes each, and an agreement of two days between them.
    fn new(seed: u64) -> Self {
        let spec = |name, role| NodeSpec {
            name,
            role,
            marketplaces: &["taobao"],
            carriers: &[],
        };
        let specs = [
            spec("fengchao", ParticipantRole::LockerOperator),
            spec("cainiao", ParticipantRole::Platform),
        ];
        let mut world = World::new(seed, MIDNIGHT.plus_ms(-DAY_MS), &specs);
        for ix in BOTH {
            for (name, digest) in PEOPLE {
                let (name, role) = (name.to_owned(), Role::Approver);
                world.preset(ix, Record::ApiKey { name, role, digest });
            }
            world.four_eyes(ix);
            world.kill(ix);
            assert!(world.restart(ix));
        }
        let rng = SeededRng::new(seed, "office");
        let mut office = Self { world, rng };
        let mut offered = terms(
            Dataset::LockerStations,
            MIDNIGHT,
            MIDNIGHT.plus_ms(2 * DAY_MS),
            &[],
        );
        offered.run_off_ms = None;
        offered.backlog = None;
        let offer = OfferPut {
            id: wire("o"),
            dataset: wire("locker-stations"),
            policy: offered.to_policy(),
            audience: Vec::new(),
            auto_accept: false,
        };
        let published = office
            .world
            .local(PROVIDER, LocalRequest::PublishOffer(offer));
        result(published).expect("it is published");
        let partner = office.world.id(PROVIDER).unwrap().clone();
        let (offers, policies) = (vec![wire("o")], Vec::new());
        let request = LocalRequest::Propose {
            partner,
            offers,
            policies,
        };
        result(office.world.local(CONSUMER, request)).expect("it is proposed");
        office.approve_all();
        office.world.run_until(MIDNIGHT.plus_ms(HOUR_MS));
        office
    }

    fn draw(&mut self, below: usize) -> usize {
        let mut bytes = [0; 8];
        self.rng.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % below as u64).unwrap()
    }

    fn book(&self, ix: NodeIx) -> &Book {
        &self.world.node(ix).expect("a node").state().book
    }

    /// Everybody approves all that waits, at both nodes.
    fn approve_all(&mut self) {
        for _ in 0..4 {
            for ix in BOTH {
                for (_, key) in PEOPLE {
                    self.approve(ix, key);
                }
            }
            self.world.run_until(self.world.now().plus_ms(MINUTE_MS));
        }
    }

    fn approve(&mut self, ix: NodeIx, key: [u8; 32]) {
        if !self.world.is_up(ix) {
            return;
        }
        let waiting: Vec<WireId> = self.book(ix).waiting().map(|n| n.id.clone()).collect();
        for negotiation in waiting {
            let decision = Decision::Approve;
            let request = LocalRequest::Decide {
                negotiation,
                decision,
            };
            // The same person again, or one that lost a race, is refused.
            let _ = self.world.local_as(ix, Some(key), request);
        }
    }

    /// The agreement that has no successor, where a node knows of one.
    fn last(&self, ix: NodeIx) -> Option<&Agreement> {
        let mut all = self.book(ix).agreements.values();
        all.find(|a| a.superseded_by.is_none() && a.facts.manifest_complete_at.is_some())
    }

    fn act(&mut self) {
        let ix = BOTH[self.draw(2)];
        match self.draw(8) {
            0 | 1 => {
                let last = self.last(ix).map(|a| a.id.clone());
                if let Some(agreement) = last.filter(|_| self.world.is_up(ix)) {
                    let (_, key) = PEOPLE[self.draw(3)];
                    let renewal = Renewal::default();
                    let request = LocalRequest::Renew { agreement, renewal };
                    let _ = self.world.local_as(ix, Some(key), request);
                }
            }
            2..=4 => {
                let (_, key) = PEOPLE[self.draw(3)];
                self.approve(ix, key);
            }
            5 => self.world.kill(ix),
            6 => {
                let seed = self.draw(usize::MAX) as u64;
                self.world.crash(ix, Crash::Torn(seed));
            }
            _ => self.restart_all(),
        }
        let pause = i64::try_from(self.draw(40)).unwrap() * SECOND_MS;
        self.world.run_until(self.world.now().plus_ms(pause));
    }

    /// Starts whatever is down.
    fn restart_all(&mut self) {
        for ix in BOTH {
            assert!(self.world.is_up(ix) || self.world.restart(ix));
        }
    }

    /// No more storms; all nodes are up, and what waits is delivered.
    fn calm(&mut self) {
        self.world.weather = Weather::default();
        self.restart_all();
        self.world.run_until(self.world.now().plus_ms(2 * HOUR_MS));
        self.approve_all();
        self.world.run_until(self.world.now().plus_ms(HOUR_MS));
    }
}

/// Whatever was agreed on at a node has the approval of two of its people, by its own log.
fn assert_two_approved(book: &Book, seed: u64) {
    for a in book.agreements.values() {
        let people: BTreeSet<&str> = book
            .history(&a.negotiation)
            .filter_map(|line| match &line.by {
                Actor::Person(name) => Some(name.as_str()),
                Actor::Node | Actor::Partner(_) | Actor::Offer(_) => None,
            })
            .collect();
        // The admin's key proposed the first one.
        assert!(people.len() >= 2, "seed {seed}: {people:?} for {}", a.id);
    }
}

fn assert_one_chain(office: &Office, seed: u64) {
    let clock = ClockInterval::exact(office.world.now());
    let [ours, theirs] = BOTH.map(|ix| office.book(ix));
    assert_eq!(
        ours.agreements.keys().collect::<Vec<_>>(),
        theirs.agreements.keys().collect::<Vec<_>>(),
        "seed {seed}"
    );
    for a in ours.agreements.values() {
        let b = &theirs.agreements[&a.id];
        assert_eq!(a.superseded_by, b.superseded_by, "seed {seed}");
        assert_eq!(a.terms, b.terms, "seed {seed}");
        assert_eq!(a.state_at(&clock), b.state_at(&clock), "seed {seed}: {a:?}");
        if let Some(next) = &a.superseded_by {
            let next = &ours.agreements[next];
            // Without a gap and without an overlap, or in the place of one that crossed it.
            let begins = match a.facts.is_moot(&a.terms) {
                true => a.terms.from,
                false => a.facts.end(&a.terms),
            };
            assert_eq!(next.terms.from, begins, "seed {seed}");
        }
    }
    for book in [ours, theirs] {
        let states = book.agreements.values().map(|a| a.state_at(&clock));
        let in_force = states.filter(|s| *s == AgreementState::InForce).count();
        assert!(in_force <= 1, "seed {seed}: {in_force} in force");
        let open = book.negotiations.values().filter(|n| n.unsent.is_some());
        assert_eq!(open.count(), 0, "seed {seed}: all is delivered");
        assert_two_approved(book, seed);
    }
    for n in theirs.negotiations.values() {
        if let Some(m) = n.peer_id.as_ref().map(|id| &ours.negotiations[id]) {
            assert_eq!(n.state, m.state, "seed {seed}: {n:?}\n{m:?}");
        }
    }
}

#[test]
fn renewals_with_four_eyes_survive_storms_and_kills() {
    let mut renewed = 0;
    for seed in 0..SEEDS {
        let mut office = Office::new(seed);
        assert_eq!(office.book(CONSUMER).agreements.len(), 1, "seed {seed}");
        office.world.weather = Weather::STORM;
        for _ in 0..30 {
            office.act();
        }
        office.calm();
        assert_one_chain(&office, seed);
        renewed += office.book(PROVIDER).agreements.len() - 1;
    }
    assert!(renewed > 10, "renewals come about: {renewed}");
}

/// A message is under way when its sender is killed, at every moment of a renewal.
#[test]
fn a_node_that_is_killed_with_messages_under_way_sends_them_again() {
    for killed in BOTH {
        for after_ms in (0..400).step_by(20) {
            let mut office = Office::new(900);
            let agreement = office.last(CONSUMER).unwrap().id.clone();
            let renewal = Renewal::default();
            let request = LocalRequest::Renew { agreement, renewal };
            result(office.world.local_as(CONSUMER, Some(PEOPLE[0].1), request)).unwrap();
            office.approve(CONSUMER, PEOPLE[1].1);
            office
                .world
                .run_until(office.world.now().plus_ms(MINUTE_MS));
            office.approve(PROVIDER, PEOPLE[0].1);
            office.approve(PROVIDER, PEOPLE[1].1);
            // Five messages follow, from one side and the other, and the manifest.
            office.world.run_until(office.world.now().plus_ms(after_ms));
            office.world.kill(killed);
            office
                .world
                .run_until(office.world.now().plus_ms(5 * SECOND_MS));
            assert!(office.world.restart(killed));
            office
                .world
                .run_until(office.world.now().plus_ms(5 * MINUTE_MS));
            assert_one_chain(&office, 900);
            let book = office.book(CONSUMER);
            assert_eq!(book.agreements.len(), 2, "{killed} after {after_ms} ms");
            let signed = |a: &Agreement| a.facts.manifest_complete_at.is_some();
            assert!(book.agreements.values().all(signed));
            let all = book.negotiations.values();
            assert!(
                all.into_iter()
                    .all(|n| n.state == NegotiationState::Finalized)
            );
            // Of the first agreement one transfer is started, and none was begun twice.
            let transfers: Vec<_> = book.transfers.values().collect();
            assert_eq!(transfers.len(), 1, "{transfers:?}");
            assert_eq!(transfers[0].state, TransferState::Started);
        }
    }
}
