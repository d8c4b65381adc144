//! A partner whose node is the test's: it has the partner's key and a log of its own to write.

use ed25519_dalek::SigningKey;
use interlock::exchange::wire::{
    ArrivalEvidence, ArrivalKind, Blob, Envelope, Evidence, FeedBatch, FeedEvent, FeedItem,
    FeedReceipt, Lane, LookupAnswer, LookupItem, LookupOutcome, LookupRequest, MirrorView,
    WrittenView,
};
use interlock::node::io::{PeerAnswer, PeerRequest, Problem};
use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParticipantId, RequestId, StationId, WireId};
use interlock_core::time::Timestamp;
use interlock_journal::bilateral::{
    self, Leaf, LeafBody, MirrorLog, OutLog, Receipt, Release, Request, commit, items_root,
};
use interlock_sim::{AskedOf, NodeIx, World};

use super::{Network, wire};

/// The view of a partner that holds nothing yet and has written nothing.
pub fn nothing_mirrored() -> PeerAnswer {
    PeerAnswer::Mirror(MirrorView {
        mirrored: Vec::new(),
        written: WrittenView {
            epoch: 1,
            receipted: 0,
            past: Vec::new(),
            rotations: Vec::new(),
        },
        rotations: Vec::new(),
        anchor: None,
    })
}

/// The partner, toward one victim.
pub struct Hostile {
    pub ix: NodeIx,
    pub victim: NodeIx,
    pub id: ParticipantId,
    pub theirs: ParticipantId,
    pub key: SigningKey,
    /// What it writes toward the victim.
    pub out: OutLog,
    /// What it holds of the victim's log.
    pub mirror: MirrorLog,
    draws: u128,
}

impl Hostile {
    /// Takes the place of node `ix`, whose polls the victim forgets.
    pub fn new(net: &mut Network, ix: NodeIx, victim: NodeIx) -> Self {
        net.world.replace(ix);
        net.world.kill(victim);
        assert!(net.world.restart(victim));
        net.answer_comparisons();
        Self::beside(net, ix, victim)
    }

    /// The key of node `ix` in other hands, while its node goes on.
    pub fn beside(net: &Network, ix: NodeIx, victim: NodeIx) -> Self {
        let id = net.world.id(ix).unwrap().clone();
        let theirs = net.world.id(victim).unwrap().clone();
        let pinned = net.world.key(victim).unwrap().verifying_key();
        Self {
            ix,
            victim,
            key: net.world.key(ix).unwrap().clone(),
            out: OutLog::new(id.clone(), theirs.clone(), 1),
            mirror: MirrorLog::new(theirs.clone(), id.clone(), 1, &pinned),
            theirs,
            id,
            draws: 0,
        }
    }

    /// The same with a log that begins otherwise.
    pub fn forked(&self, at: Timestamp, first: LeafBody) -> Self {
        let mut other = Self {
            ix: self.ix,
            victim: self.victim,
            id: self.id.clone(),
            theirs: self.theirs.clone(),
            key: self.key.clone(),
            out: OutLog::new(self.id.clone(), self.theirs.clone(), 1),
            mirror: self.mirror.clone(),
            draws: self.draws,
        };
        other.write(at, first);
        other
    }

    /// A new random id.
    pub fn draw(&mut self) -> RequestId {
        self.draws += 1;
        RequestId::from_bytes(self.draws.to_be_bytes())
    }

    pub fn write(&mut self, at: Timestamp, body: LeafBody) {
        self.out.append(&Leaf::new(at, body)).unwrap();
    }

    /// Its log up to now, from `from` on.
    pub fn evidence_from(&self, now: Timestamp, from: u64) -> Evidence {
        let from = from.max(self.out.acknowledged());
        let leaves = self.out.leaves_from(from, usize::MAX).unwrap();
        Evidence {
            from,
            leaves: leaves.map(|leaf| Blob(leaf.to_vec())).collect(),
            checkpoint: self.out.checkpoint(&self.key, now).unwrap(),
        }
    }

    pub fn evidence(&self, now: Timestamp) -> Evidence {
        self.evidence_from(now, 0)
    }

    pub fn envelope<T>(&self, now: Timestamp, body: T) -> Envelope<T> {
        Envelope {
            evidence: self.evidence(now),
            body,
        }
    }

    /// Asks the victim; `None` if it lets us wait.
    pub fn ask(&mut self, world: &mut World, request: &PeerRequest) -> Option<PeerAnswer> {
        let answer = world.peer(self.victim, &self.id, request);
        let evidence = match &answer {
            Some(PeerAnswer::Feed(envelope)) => Some(&envelope.evidence),
            Some(PeerAnswer::Lookup(envelope)) => Some(&envelope.evidence),
            Some(PeerAnswer::Evidence(evidence)) => Some(evidence),
            _ => None,
        };
        if let Some(evidence) = evidence {
            let leaves: Vec<&[u8]> = evidence.leaves.iter().map(|l| l.0.as_slice()).collect();
            self.mirror
                .accept(evidence.from, &leaves, &evidence.checkpoint, world.now())
                .expect("the victim's log is sound");
        }
        answer
    }

    /// Signs for what it holds of the victim's log.
    pub fn sign_receipt(&mut self, now: Timestamp) {
        let receipt = self.mirror.receipt();
        self.write(now, LeafBody::Receipt(receipt));
    }

    pub fn forge_receipt(&mut self, now: Timestamp, size: u64, root: [u8; 32]) {
        let receipt = Receipt {
            epoch: 1,
            size,
            root,
        };
        self.write(now, LeafBody::Receipt(receipt));
    }

    pub fn receipt(
        &mut self,
        world: &mut World,
        transfer: &WireId,
        lane: Lane,
        next: u64,
    ) -> Result<(), Problem> {
        let envelope = self.envelope(world.now(), FeedReceipt { lane, next });
        let transfer = transfer.clone();
        match self.ask(world, &PeerRequest::Receipt { transfer, envelope }) {
            Some(PeerAnswer::Evidence(_)) => Ok(()),
            Some(PeerAnswer::Problem(problem)) => Err(problem),
            other => panic!("{other:?}"),
        }
    }

    pub fn item(&mut self, number: &str, at: Timestamp) -> LookupItem {
        LookupItem {
            carrier: "sf".into(),
            number: number.into(),
            evidence: Some(ArrivalEvidence {
                kind: ArrivalKind::Arrival,
                station: StationId::parse("FC0001").unwrap(),
                at,
            }),
            salt: self.draw(),
        }
    }

    /// Writes down what it will ask.
    pub fn write_request(
        &mut self,
        now: Timestamp,
        request: &LookupRequest,
        items: &[LookupItem],
        agreement: &WireId,
    ) {
        let body = LeafBody::Request(Request {
            request_id: request.request_id,
            agreement: agreement.clone(),
            dataset: Dataset::RecipientContact,
            purpose: request.purpose.clone(),
            items: items.len() as u32,
            items_root: lookup_root(items),
        });
        self.write(now, body);
    }

    pub fn request(&mut self, items: Vec<LookupItem>) -> LookupRequest {
        LookupRequest {
            request_id: self.draw(),
            purpose: "pickup-notification".into(),
            form: None,
            items,
        }
    }

    /// Writes a lookup down and asks it.
    pub fn lookup(
        &mut self,
        world: &mut World,
        request: &LookupRequest,
    ) -> Result<LookupAnswer, Problem> {
        let agreement = self.lookup_agreement();
        self.write_request(world.now(), request, &request.items, &agreement);
        self.send_lookup(world, request)
    }

    /// Asks a lookup without writing it down.
    pub fn send_lookup(
        &mut self,
        world: &mut World,
        request: &LookupRequest,
    ) -> Result<LookupAnswer, Problem> {
        let envelope = self.envelope(world.now(), request.clone());
        let transfer = wire(&format!("{}:p", self.lookup_agreement()));
        match self.ask(world, &PeerRequest::Lookup { transfer, envelope }) {
            Some(PeerAnswer::Lookup(envelope)) => Ok(envelope.body),
            Some(PeerAnswer::Problem(problem)) => Err(problem),
            other => panic!("{other:?}"),
        }
    }

    /// The reasons for which one parcel's contact is denied; empty if it is released.
    pub fn look(&mut self, net: &mut Network, number: &str) -> String {
        let now = net.world.now();
        let item = self.item(number, now);
        let request = self.request(vec![item]);
        let answer = self.lookup(&mut net.world, &request).expect("answered");
        self.sign_receipt(now);
        reason(&answer.items[0])
    }

    pub fn lookup_agreement(&self) -> WireId {
        wire(&format!(
            "urn:agreement:old:{}:{}:recipient-contact",
            self.victim, self.ix
        ))
    }

    /// Polls a feed of the victim without waiting.
    pub fn poll(
        &mut self,
        world: &mut World,
        transfer: &WireId,
        lane: Lane,
        after: u64,
    ) -> Result<FeedBatch, Problem> {
        let request = PeerRequest::Feed {
            transfer: transfer.clone(),
            lane,
            after,
            limit: 500,
            wait_ms: 0,
        };
        match self.ask(world, &request) {
            Some(PeerAnswer::Feed(envelope)) => Ok(envelope.body),
            Some(PeerAnswer::Problem(problem)) => Err(problem),
            other => panic!("{other:?}"),
        }
    }

    /// The victim's poll of a lane that waits for an answer of ours.
    pub fn polled(&self, net: &mut Network, dataset: Dataset, lane: Lane) -> AskedOf {
        for _ in 0..200 {
            let asked = net.world.asked_of(self.ix);
            for asked in asked {
                if let PeerRequest::Feed {
                    transfer,
                    lane: wanted,
                    ..
                } = &asked.request
                    && transfer.as_str().contains(dataset.as_str())
                    && *wanted == lane
                    && asked.from == self.victim
                {
                    return asked;
                }
            }
            net.world.run_until(net.world.now().plus_ms(1_000));
        }
        panic!("no poll of {dataset}");
    }

    /// Goes on where the node whose place was taken has left its log and its copy of the victim's.
    pub fn continue_from(&mut self, net: &Network) {
        let state = net.world.node(self.ix).unwrap().state();
        let channel = state.channel(&self.theirs).unwrap();
        self.out = channel.out.clone();
        if let Some(mirror) = &channel.mirror {
            self.mirror = mirror.clone();
        }
    }

    /// A batch as an honest provider makes it, with its leaf.
    pub fn batch(
        &mut self,
        now: Timestamp,
        dataset: Dataset,
        lane: Lane,
        first: u64,
        items: Vec<FeedItem>,
    ) -> FeedBatch {
        let salts: Vec<RequestId> = items.iter().map(|_| self.draw()).collect();
        let commitments: Vec<[u8; 32]> = items
            .iter()
            .zip(&salts)
            .map(|(item, salt)| {
                let committed = serde_json::to_vec(&item.committed()).unwrap();
                commit(salt.as_bytes(), &committed)
            })
            .collect();
        let last = first + items.len() as u64 - 1;
        let request_id = self.draw();
        self.write(
            now,
            LeafBody::Release(Release {
                request_id,
                agreement: wire("urn:any"),
                dataset,
                lane: Some(match lane {
                    Lane::Live => bilateral::Lane::Live,
                    Lane::Backlog => bilateral::Lane::Backlog,
                }),
                from_position: first,
                to_position: last,
                items: items.len() as u32,
                items_root: items_root(&commitments),
            }),
        );
        let events = (first..)
            .zip(items)
            .zip(salts)
            .map(|((position, item), salt)| FeedEvent {
                position,
                salt,
                item,
            });
        FeedBatch {
            dataset,
            lane,
            next: last,
            events: events.collect(),
        }
    }

    pub fn give(&self, net: &mut Network, asked: &AskedOf, batch: FeedBatch) {
        let answer = PeerAnswer::Feed(self.envelope(net.world.now(), batch));
        net.world.answer_for(self.ix, asked, &answer);
        net.world.settle();
    }
}

fn lookup_root(items: &[LookupItem]) -> [u8; 32] {
    let commitments: Vec<[u8; 32]> = items
        .iter()
        .map(|item| commit(item.salt.as_bytes(), &serde_json::to_vec(item).unwrap()))
        .collect();
    items_root(&commitments)
}

pub fn reason(outcome: &LookupOutcome) -> String {
    match outcome {
        LookupOutcome::Released(_) => String::new(),
        LookupOutcome::Denied { reason } => reason.clone(),
    }
}
