//! The network of June 2017 with its agreements in place, and short ways to act on it.

mod copies;
mod hostile;

use std::collections::BTreeSet;

pub use copies::{assert_no_fork, evidence_of, export_of, findings_of, verdict_of};
pub use hostile::{Hostile, nothing_mirrored, reason};

use interlock::exchange::wire::{Blob, Evidence};
use interlock::identity::partner::Role as ParticipantRole;
use interlock::node::agreements::{Agreement, Transfer};
use interlock::node::io::{
    DepositAction, DepositRequest, EventPut, EventTaken, LocalAnswer, LocalRequest, PageRequest,
    ParcelPut, PeerRequest, Problem,
};
use interlock::node::record::Record;
use interlock::pages::TrackingView;
use interlock_core::agreement::{AgreementFacts, AgreementState, Assurance};
use interlock_core::contact::{ContactForm, Phone, Recipient};
use interlock_core::dataset::Dataset;
use interlock_core::event::{ParcelEvent, Place, Step};
use interlock_core::ids::{CourierId, DepositId, Marketplace, MerchantId, StationId, WireId};
use interlock_core::negotiation::Party;
use interlock_core::parcel::{Consent, Preference, SizeClass};
use interlock_core::station::{Capacity, Position, Station, StationName, StationState};
use interlock_core::terms::{Backlog, EvidenceKind, Field, Notifier, Purpose, Terms, purposes_of};
use interlock_core::time::{DAY_MS, HOUR_MS, Timestamp, Zone};
use interlock_core::transfer::TransferState;
use interlock_core::waybill::Waybill;
use interlock_sim::{Exchanged, NodeIx, NodeSpec, World};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub const CAINIAO: NodeIx = 0;
pub const FENGCHAO: NodeIx = 1;
pub const SF: NodeIx = 2;
pub const JD: NodeIx = 3;
pub const ALL: [NodeIx; 4] = [CAINIAO, FENGCHAO, SF, JD];

/// 2017-06-01 00:00 in Shanghai.
pub const MIDNIGHT: Timestamp = Timestamp::from_millis(1_496_246_400_000);

pub struct Network {
    pub world: World,
}

impl Network {
    /// Two days before the first midnight, everything signed.
    pub fn of_june_2017(seed: u64) -> Self {
        Self::with_terms(seed, |_| {})
    }

    /// The same with other terms.
    pub fn with_terms(seed: u64, change: impl Fn(&mut Terms)) -> Self {
        let spec = |name, role, marketplaces, carriers| NodeSpec {
            name,
            role,
            marketplaces,
            carriers,
        };
        let specs = [
            spec(
                "cainiao",
                ParticipantRole::Platform,
                &["taobao"][..],
                &[][..],
            ),
            spec("fengchao", ParticipantRole::LockerOperator, &[], &[]),
            spec("sf", ParticipantRole::Carrier, &[], &["sf"]),
            spec("jd", ParticipantRole::Platform, &["jd"], &[]),
        ];
        let world = World::new(seed, MIDNIGHT.plus_ms(-2 * DAY_MS), &specs);
        let mut network = Self { world };
        for (owner, market) in [(CAINIAO, "taobao"), (JD, "jd")] {
            let until = if owner == CAINIAO {
                MIDNIGHT
            } else {
                MIDNIGHT.plus_ms(365 * DAY_MS)
            };
            let from = MIDNIGHT.plus_ms(-60 * DAY_MS);
            for (provider, consumer, dataset) in [
                (owner, FENGCHAO, Dataset::RecipientContact),
                (FENGCHAO, owner, Dataset::LockerEvents),
                (SF, owner, Dataset::TrackingEvents),
            ] {
                let mut terms = terms(dataset, from, until, &[market]);
                change(&mut terms);
                network.agree(provider, consumer, terms, "old");
            }
        }
        let long = MIDNIGHT.plus_ms(365 * DAY_MS);
        let advice = terms(
            Dataset::PreAdvice,
            MIDNIGHT.plus_ms(-60 * DAY_MS),
            long,
            &["taobao", "jd"],
        );
        network.agree(SF, FENGCHAO, advice, "old");
        network.world.start();
        network
    }

    /// Puts an agreement with both signatures and a started transfer on record at both sides.
    pub fn agree(&mut self, provider: NodeIx, consumer: NodeIx, terms: Terms, name: &str) {
        let id = wire(&format!(
            "urn:agreement:{name}:{provider}:{consumer}:{}",
            terms.dataset
        ));
        let clock = interlock_core::time::ClockInterval::exact(self.world.now());
        let mut facts = AgreementFacts::finalized(Assurance::Signed);
        facts.manifest_complete_at = Some(self.world.now());
        let agreement = Agreement {
            id: id.clone(),
            provider: self.world.id(provider).unwrap().clone(),
            consumer: self.world.id(consumer).unwrap().clone(),
            policy_hash: terms.policy_hash(),
            terms,
            cooperation: wire("urn:cooperation"),
            agreed_at: self.world.now(),
            finalized_at: self.world.now(),
            facts,
            suspended_by: None,
            supersedes: None,
            superseded_by: None,
            unsent_notice: None,
            state: AgreementState::Signed,
            negotiation: wire("urn:negotiation"),
            target: wire("urn:dataset"),
        };
        let state = agreement.state_at(&clock);
        for (ix, party, peer) in [
            (provider, Party::Provider, consumer),
            (consumer, Party::Consumer, provider),
        ] {
            let [ours, theirs] = match party {
                Party::Provider => ["p", "c"],
                Party::Consumer => ["c", "p"],
            };
            let transfer = Transfer {
                id: wire(&format!("{id}:{ours}")),
                peer_id: Some(wire(&format!("{id}:{theirs}"))),
                peer: self.world.id(peer).unwrap().clone(),
                party,
                agreement: id.clone(),
                state: TransferState::Started,
                unsent: None,
                taken: None,
                starts: 1,
                push: None,
            };
            self.world
                .preset(ix, Record::Agreement(Box::new(agreement.clone())));
            self.world.preset(ix, Record::Transfer(Box::new(transfer)));
            self.world.preset(
                ix,
                Record::AgreementState {
                    agreement: id.clone(),
                    state,
                },
            );
        }
    }

    /// New agreements for Cainiao that cover the cut.
    pub fn agree_anew(&mut self, days: i64) {
        self.agree_named("new", days, MIDNIGHT, true);
    }

    /// The same under a name. Everybody learns of it by a restart, or all but the carrier.
    pub fn agree_named(&mut self, name: &str, days: i64, covers_from: Timestamp, all: bool) {
        self.put_agreements(name, days, covers_from, |_| {});
        self.learn(all);
    }

    /// The same with other terms, of which everybody learns.
    pub fn agree_changed(
        &mut self,
        name: &str,
        days: i64,
        covers_from: Timestamp,
        change: impl Fn(&mut Terms),
    ) {
        self.put_agreements(name, days, covers_from, change);
        self.learn(true);
    }

    fn put_agreements(
        &mut self,
        name: &str,
        days: i64,
        covers_from: Timestamp,
        change: impl Fn(&mut Terms),
    ) {
        let now = self.world.now();
        for (provider, consumer, dataset) in [
            (CAINIAO, FENGCHAO, Dataset::RecipientContact),
            (FENGCHAO, CAINIAO, Dataset::LockerEvents),
            (SF, CAINIAO, Dataset::TrackingEvents),
        ] {
            let mut new = terms(dataset, now, now.plus_ms(days * DAY_MS), &["taobao"]);
            new.covers_from = (dataset != Dataset::RecipientContact).then_some(covers_from);
            change(&mut new);
            self.agree(provider, consumer, new, name);
        }
    }

    fn learn(&mut self, all: bool) {
        for ix in ALL.into_iter().filter(|ix| all || *ix != SF) {
            if self.world.is_replaced(ix) {
                continue;
            }
            self.world.kill(ix);
            // Who starts again has room again.
            self.world.limit_disk(ix, None);
            assert!(self.world.restart(ix));
        }
        self.answer_comparisons();
    }

    /// Says in the place of replaced nodes that they hold nothing of anybody's log.
    pub fn answer_comparisons(&mut self) {
        let replaced = ALL.into_iter().filter(|ix| self.world.is_replaced(*ix));
        for ix in replaced.collect::<Vec<_>>() {
            self.world.settle();
            for asked in self.world.asked_of(ix) {
                if asked.request == PeerRequest::Checkpoint {
                    self.world.answer_for(ix, &asked, &nothing_mirrored());
                }
            }
            self.world.settle();
        }
    }

    pub fn station(&self, id: &str, each: u16) -> Station {
        Station {
            id: StationId::parse(id).unwrap(),
            name: StationName::parse("Gate 1").unwrap(),
            position: Position::new(120_000_000, 30_000_000).unwrap(),
            state: StationState::Operating,
            capacity: Capacity::new(each, each, each).unwrap(),
        }
    }

    pub fn put_station(&mut self, ix: NodeIx, id: &str, each: u16) {
        let station = self.station(id, each);
        ok(self
            .world
            .local(ix, LocalRequest::PutStations(vec![station])));
    }

    /// Puts a parcel at its carrier and its owner; returns the tracking link.
    pub fn put_parcel(&mut self, number: &str, market: &str, owner: NodeIx, phone: &str) -> String {
        self.put_parcel_with(number, market, owner, phone, |_| {})
    }

    /// The same, otherwise at its owner.
    pub fn put_parcel_with(
        &mut self,
        number: &str,
        market: &str,
        owner: NodeIx,
        phone: &str,
        change: impl FnOnce(&mut ParcelPut),
    ) -> String {
        self.try_put_parcel(number, market, owner, phone, change)
            .expect("an answer")
    }

    /// The same where a node may die before it answers.
    pub fn try_put_parcel(
        &mut self,
        number: &str,
        market: &str,
        owner: NodeIx,
        phone: &str,
        change: impl FnOnce(&mut ParcelPut),
    ) -> Option<String> {
        self.try_announce(number, market, (owner, FENGCHAO), phone, change)
    }

    /// The same, to another operator than Fengchao: `between` are owner and operator.
    pub fn try_announce(
        &mut self,
        number: &str,
        market: &str,
        between: (NodeIx, NodeIx),
        phone: &str,
        change: impl FnOnce(&mut ParcelPut),
    ) -> Option<String> {
        let (owner, operator) = between;
        let mut base = ParcelPut {
            waybill: Waybill::parse("sf", number).unwrap(),
            issued_at: None,
            marketplace: Marketplace::parse(market).unwrap(),
            merchant: Some(MerchantId::parse("m1").unwrap()),
            owner: None,
            recipient: Some(Recipient {
                name: "Li".into(),
                phone: Phone::parse(phone).unwrap(),
                address: "Wensan Road 90".into(),
            }),
            size_class: Some(SizeClass::Small),
            consent: Consent::Given,
            preference: Preference::default(),
            lockers: Vec::new(),
        };
        let carried = ParcelPut {
            owner: self.world.id(owner).cloned(),
            recipient: None,
            lockers: vec![self.world.id(operator).unwrap().clone()],
            ..base.clone()
        };
        let carrier = self
            .world
            .local(SF, LocalRequest::PutParcels(vec![carried]))?;
        ok(Some(carrier));
        change(&mut base);
        let answer = self
            .world
            .local(owner, LocalRequest::PutParcels(vec![base]))?;
        let body = ok(Some(answer));
        Some(body["items"][0]["tracking"].as_str().unwrap().to_owned())
    }

    pub fn deposit(
        &mut self,
        ix: NodeIx,
        number: &str,
        station: &str,
        key: &str,
    ) -> Result<Value, Problem> {
        self.deposit_of_size(ix, number, station, key, "small")
    }

    pub fn deposit_of_size(
        &mut self,
        ix: NodeIx,
        number: &str,
        station: &str,
        key: &str,
        size: &str,
    ) -> Result<Value, Problem> {
        let request = DepositRequest {
            waybill: Waybill::parse("sf", number).unwrap(),
            station: StationId::parse(station).unwrap(),
            size_class: SizeClass::parse(size).unwrap(),
            courier: CourierId::parse("c7").unwrap(),
            claim: None,
            contact: None,
        };
        let body = format!("{number}{station}{size}");
        result_or_dead(self.world.local_keyed(
            ix,
            LocalRequest::OpenDeposit(request),
            Some((key, &body)),
        ))
    }

    pub fn advance(
        &mut self,
        ix: NodeIx,
        deposit: &Value,
        action: DepositAction,
    ) -> Result<Value, Problem> {
        let deposit = DepositId::parse(deposit["id"].as_str().unwrap()).unwrap();
        result_or_dead(
            self.world
                .local(ix, LocalRequest::AdvanceDeposit { deposit, action }),
        )
    }

    pub fn track(&mut self, ix: NodeIx, number: &str, step: &str) {
        self.track_now(ix, number, step);
        self.world.settle();
    }

    /// The same without waiting for what follows from it.
    pub fn track_now(&mut self, ix: NodeIx, number: &str, step: &str) {
        self.try_track(ix, number, step).expect("an answer");
    }

    /// The same where the node may die before it answers.
    pub fn try_track(&mut self, ix: NodeIx, number: &str, step: &str) -> Option<()> {
        let step = match step {
            "accepted" => Step::Accepted,
            "arrived" => Step::Arrived,
            "out-for-delivery" => Step::OutForDelivery,
            other => Step::Other(other.into()),
        };
        let at = self.world.now();
        let event = ParcelEvent {
            number: 0,
            step,
            at,
            zone: Zone::CHINA,
            place: Some(Place::Named("Hangzhou".into())),
        };
        let digest = Sha256::digest(format!("{number}{event:?}")).into();
        let put = EventPut {
            waybill: Waybill::parse("sf", number).unwrap(),
            event,
            digest,
        };
        let answer = self.world.local(ix, LocalRequest::PostEvents(vec![put]))?;
        ok(Some(answer));
        Some(())
    }

    pub fn parcel(&mut self, ix: NodeIx, number: &str) -> Value {
        ok(self.world.local(
            ix,
            LocalRequest::GetParcel(Waybill::parse("sf", number).unwrap()),
        ))
    }

    pub fn steps(&mut self, ix: NodeIx, number: &str) -> Vec<String> {
        let parcel = self.parcel(ix, number);
        let events = parcel["events"].as_array().unwrap().clone();
        events
            .iter()
            .map(|e| e["step"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The steps of a parcel, none if it is unknown.
    pub fn steps_or_none(&mut self, ix: NodeIx, number: &str) -> Vec<String> {
        let waybill = Waybill::parse("sf", number).unwrap();
        let known = self.world.node(ix).unwrap().state().parcels.find(&waybill);
        match known.is_some() {
            true => self.steps(ix, number),
            false => Vec::new(),
        }
    }

    /// The code in the newest message.
    pub fn code(&self) -> String {
        let text = &self.world.sent.last().expect("a message").text_en;
        let tail = text.split("ode ").nth(1).expect("a code in the text");
        tail[..6].to_owned()
    }

    pub fn held(&mut self, ix: NodeIx, dataset: &str) -> u64 {
        let status = ok(self.world.local(ix, LocalRequest::GetStatus));
        let feeds = status["feeds"].as_array().unwrap().clone();
        feeds
            .iter()
            .filter(|f| f["dataset"] == dataset)
            .map(|f| f["held"].as_u64().unwrap())
            .sum()
    }

    pub fn tracking(&mut self, ix: NodeIx, link: &str) -> TrackingView {
        let token = link.rsplit('/').next().unwrap();
        match self.world.page(
            ix,
            PageRequest::Tracking(Sha256::digest(token.as_bytes()).into()),
        ) {
            Some(LocalAnswer::Tracking(view)) => *view,
            other => panic!("no page: {other:?}"),
        }
    }

    /// What each node has of each other's log is what that other wrote: the same root over as many leaves.
    pub fn assert_all_evidence_is_mirrored(&self) {
        assert!(self.mirrored_logs() > 0, "nothing was compared");
    }

    /// How many logs are so mirrored; none may differ. What nothing has carried yet is not mirrored, and
    /// where little came to pass that can be all of it.
    pub fn mirrored_logs(&self) -> u64 {
        let mut compared = 0;
        for a in ALL {
            for b in ALL.into_iter().filter(|b| *b != a) {
                let (Some(ours), Some(theirs)) = (self.world.node(a), self.world.node(b)) else {
                    continue;
                };
                let channel = theirs.state().channel(self.world.id(a).unwrap());
                let Some(mirror) = channel.and_then(|c| c.mirror.as_ref()) else {
                    continue;
                };
                let out = ours.state().channel(self.world.id(b).unwrap());
                let out = out.map(|channel| &channel.out);
                let Some(out) = out.filter(|out| out.epoch() == mirror.epoch()) else {
                    assert!(
                        mirror.size() == 0 || out.is_some_and(|out| out.epoch() > mirror.epoch())
                    );
                    continue;
                };
                let held = mirror.size();
                assert!(
                    held <= out.size(),
                    "{b} holds more of {a}'s log than {a} wrote"
                );
                assert_eq!(out.root_at(held), Ok(mirror.receipt().root), "{a} to {b}");
                compared += u64::from(held > 0);
            }
        }
        compared
    }

    /// A node made anew from its journal has the same state.
    pub fn assert_replay_gives_the_same(&mut self) {
        self.assert_replay_of(&ALL);
    }

    pub fn assert_replay_of(&mut self, nodes: &[NodeIx]) {
        for ix in nodes.iter().copied() {
            let before = recorded(self.world.node(ix).unwrap().state());
            let replayed = self.world.replayed(ix).expect("the journal gives the node");
            let after = recorded(replayed.state());
            if before != after {
                let same = before
                    .bytes()
                    .zip(after.bytes())
                    .take_while(|(a, b)| a == b);
                let from = same.count().saturating_sub(400);
                let part = |text: &str| {
                    let bytes = text.as_bytes();
                    String::from_utf8_lossy(&bytes[from..bytes.len().min(from + 800)]).into_owned()
                };
                panic!(
                    "node {ix} differs after replay:\n{}\nreplayed:\n{}",
                    part(&before),
                    part(&after)
                );
            }
            self.world.kill(ix);
            let opened = self.world.opened(ix).expect("the disks give the node");
            let opened = recorded(opened.state());
            assert!(after == opened, "node {ix} differs as its disks have it");
            assert!(self.world.restart(ix));
        }
    }

    /// Everything that passed to and from a node, byte by byte.
    pub fn seen_by(&self, ix: NodeIx) -> Vec<Exchanged> {
        self.world
            .exchanged
            .iter()
            .filter(|e| e.from == ix || e.to == ix)
            .cloned()
            .collect()
    }
}

/// One world: Cainiao's parcel at fixed times, and the rivals' parcels between them.
pub fn world_with(rivals: &[(&str, &str)]) -> Network {
    let mut net = Network::of_june_2017(8);
    let start = net.world.now();
    let at = |net: &mut Network, ms: i64| net.world.run_until(start.plus_ms(ms));
    net.put_station(FENGCHAO, "FC0001", 40);
    at(&mut net, 1_000);
    net.put_parcel("SF1000000000001", "taobao", CAINIAO, "13800000001");
    for (ms, (waybill, phone)) in (2_001..).step_by(37).zip(rivals) {
        at(&mut net, ms);
        net.put_parcel(waybill, "jd", JD, phone);
    }
    at(&mut net, 10_000);
    let first = net
        .deposit(FENGCHAO, "SF1000000000001", "FC0001", "k1")
        .unwrap();
    for (ms, (waybill, _)) in (12_001..).step_by(1_037).zip(rivals) {
        at(&mut net, ms);
        let other = net.deposit(FENGCHAO, waybill, "FC0001", waybill).unwrap();
        net.advance(FENGCHAO, &other, DepositAction::Confirm)
            .unwrap();
        net.track(SF, waybill, "arrived");
    }
    at(&mut net, 60_000);
    net.advance(FENGCHAO, &first, DepositAction::Confirm)
        .unwrap();
    at(&mut net, 90_000);
    net.track(SF, "SF1000000000001", "arrived");
    at(&mut net, 120_000);
    net.advance(FENGCHAO, &first, DepositAction::Recall)
        .unwrap();
    at(&mut net, 12 * HOUR_MS);
    net
}

/// Terms as the participants of 2017 would have had them.
pub fn terms(dataset: Dataset, from: Timestamp, until: Timestamp, markets: &[&str]) -> Terms {
    let lookup = dataset == Dataset::RecipientContact;
    let purposes = match dataset {
        Dataset::RecipientContact => [Purpose::PickupNotification].into(),
        Dataset::LockerEvents | Dataset::TrackingEvents => [Purpose::DeliveryTracking].into(),
        Dataset::PreAdvice
        | Dataset::PickupCode
        | Dataset::LockerStations
        | Dataset::CooperationStatus
        | Dataset::ExchangeStatistics => purposes_of(dataset).iter().copied().collect(),
    };
    Terms {
        dataset,
        from,
        until,
        zone: Zone::CHINA,
        purposes,
        marketplaces: markets
            .iter()
            .map(|m| Marketplace::parse(m).unwrap())
            .collect(),
        fields: Field::of(dataset).iter().copied().collect(),
        contact_forms: if lookup {
            [ContactForm::Masked, ContactForm::Virtual].into()
        } else {
            BTreeSet::new()
        },
        quota_per_day: None,
        quota_per_parcel: lookup.then_some(3),
        evidence: if lookup {
            [EvidenceKind::Arrival].into()
        } else {
            BTreeSet::new()
        },
        notifier: lookup.then_some(Notifier::Operator),
        run_off_ms: Some(7 * DAY_MS),
        backlog: (!lookup).then_some(Backlog::Hold),
        covers_from: None,
        delete_after_ms: None,
        reciprocate: false,
        no_redisclosure: true,
    }
}

/// What a node's own log toward a partner holds and the partner has not receipted.
pub fn evidence_toward(net: &Network, from: NodeIx, to: NodeIx) -> Evidence {
    let them = net.world.id(to).unwrap();
    let out = &net
        .world
        .node(from)
        .unwrap()
        .state()
        .channel(them)
        .unwrap()
        .out;
    let at = out.acknowledged();
    let leaves = out.leaves_from(at, usize::MAX).unwrap();
    let key = net.world.key(from).unwrap();
    Evidence {
        from: at,
        leaves: leaves.map(|leaf| Blob(leaf.to_vec())).collect(),
        checkpoint: out.checkpoint(key, net.world.now()).unwrap(),
    }
}

pub fn wire(text: &str) -> WireId {
    WireId::parse(text).unwrap()
}

pub fn result(answer: Option<LocalAnswer>) -> Result<Value, Problem> {
    match answer {
        Some(LocalAnswer::Json { body, .. }) => Ok(body),
        Some(LocalAnswer::Events(taken)) => {
            Ok(serde_json::from_str(&EventTaken::body(&taken)).expect("JSON"))
        }
        Some(LocalAnswer::Problem(problem)) => Err(problem),
        other => panic!("no answer: {other:?}"),
    }
}

/// What a caller sees whose node dies before it answers.
fn result_or_dead(answer: Option<LocalAnswer>) -> Result<Value, Problem> {
    match answer {
        None => Err(Problem {
            kind: "no-answer".into(),
            status: 503,
            title: "No answer".into(),
            detail: "the node died before it answered".into(),
            errors: Vec::new(),
        }),
        answered => result(answered),
    }
}

pub fn ok(answer: Option<LocalAnswer>) -> Value {
    result(answer).expect("an answer")
}

pub fn problem_of(answer: Option<LocalAnswer>) -> Problem {
    result(answer).expect_err("a refusal")
}

/// A state without the keys that a start found still on its disk: those are the disk's, not the
/// journal's.
fn recorded(state: &interlock::node::state::State) -> String {
    let text = format!("{state:?}");
    let (head, tail) = text.split_once(", left: [").expect("what a start found");
    let (_, tail) = tail.split_once(']').expect("the end of it");
    format!("{head}{tail}")
}
