//! Evidence of what passes between us and a partner.
//!
//! Purpose: leaves for our log toward a partner, envelopes that carry them, and the other side's leaves
//! taken in. Invariants: what leaves a node is named by a leaf of the same group of records; nothing of
//! a partner's is used that its own log does not show. It does not know why something was released.

mod committed;
mod fetch;
mod leaves;

pub use committed::Committed;
pub use fetch::Fetched;

use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParcelId, ParticipantId, RequestId, WireId};
use interlock_core::time::HOUR_MS;
use interlock_journal::bilateral::{self, Leaf, LeafBody, MirrorError, Receipt, commit};
use interlock_journal::checkpoint::{Checkpoint, epoch_of};
use serde::Serialize;

use crate::exchange::wire::{
    Blob, ENVELOPE_LEAVES_MAX, EVIDENCE_SIZE_BYTES_MAX, Envelope, Evidence, FeedItem, Lane,
    LookupItem, LookupOutcome, LookupRequest,
};
use crate::node::Node;
use crate::node::compare::page;
use crate::node::io::Problem;
use crate::node::problem::problem;
use crate::node::record::{AlertKind, Record};
use crate::node::turn::Turn;

/// So many leaves of theirs are receipted even if they are receipts themselves.
const RECEIPT_EVERY: u64 = 32;
/// How long people are not told the same of a partner again, in milliseconds.
const ALERT_AGAIN_MS: i64 = HOUR_MS;

impl Node {
    /// Wraps a body with our leaves that `to` has not receipted.
    pub(in crate::node) fn envelope<T>(
        &self,
        turn: &Turn<'_>,
        to: &ParticipantId,
        body: T,
    ) -> Envelope<T> {
        Envelope {
            evidence: self.evidence_for(turn, to),
            body,
        }
    }

    /// Our leaves that `to` has not receipted, and a checkpoint over them.
    pub(in crate::node) fn evidence_for(&self, turn: &Turn<'_>, to: &ParticipantId) -> Evidence {
        let from = self
            .state
            .channels
            .get(to)
            .map_or(0, |channel| channel.out.acknowledged());
        self.evidence_from(turn, to, from).unwrap_or(Evidence {
            from,
            ..Evidence::none()
        })
    }

    /// Our leaves from one on, and a checkpoint over them; `None` if they are not in memory.
    pub(in crate::node) fn evidence_from(
        &self,
        turn: &Turn<'_>,
        to: &ParticipantId,
        from: u64,
    ) -> Option<Evidence> {
        let fresh;
        let out = match self.state.channels.get(to) {
            Some(channel) => &channel.out,
            None => {
                fresh = crate::node::state::channel::Channel::new(&self.state.me, to, None);
                &fresh.out
            }
        };
        let leaves = page(out.leaves_from(from, ENVELOPE_LEAVES_MAX).ok()?);
        let size = from + leaves.len() as u64;
        let checkpoint = out.checkpoint_at(size, &self.key, turn.at()).ok()?;
        Some(Evidence {
            from,
            leaves,
            checkpoint,
        })
    }

    /// Verifies and mirrors what a partner's envelope carries.
    pub(in crate::node) fn take_evidence(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        evidence: &Evidence,
    ) -> Result<(), Problem> {
        let size_bytes: usize = evidence.leaves.iter().map(|leaf| leaf.0.len()).sum();
        if evidence.leaves.len() > ENVELOPE_LEAVES_MAX || size_bytes > EVIDENCE_SIZE_BYTES_MAX {
            return Err(problem(
                "evidence-size",
                413,
                "too many leaves",
                format!(
                    "send at most {ENVELOPE_LEAVES_MAX} leaves and {EVIDENCE_SIZE_BYTES_MAX} bytes of them at once"
                ),
            ));
        }
        let before = self.mirror_head(from);
        let pinned = self.state.partners.get(from).map(|partner| partner.key);
        self.check_receipt(turn, from, self.known_of(from, evidence), evidence)?;
        let mirrored = self.state.mirrored(
            turn.at(),
            from,
            evidence.from,
            &evidence.leaves,
            &evidence.checkpoint,
        );
        if let Ok(()) | Err(MirrorError::Skew { .. }) = &mirrored
            && let Some(checkpoint) = Checkpoint::parse_unverified(&evidence.checkpoint)
        {
            self.saw_time(turn, from, checkpoint.time);
        }
        match mirrored {
            Ok(()) => {
                let after = self.mirror_head(from);
                if after > before {
                    let record = Record::Mirrored {
                        from: from.clone(),
                        first: evidence.from,
                        leaves: evidence.leaves.clone(),
                        checkpoint: evidence.checkpoint.clone(),
                    };
                    self.append_applied(turn, record);
                }
                let pins = self.state.partners.get(from).map(|partner| partner.key);
                if let Some(key) = pins.filter(|_| pins != pinned) {
                    self.key_pinned(turn, from, &key.to_multibase());
                }
                if after.0 > before.0 && before.1 > 0 {
                    let detail = format!(
                        "it declares that it lost the end of epoch {} of its log, of which we hold {} leaves; it goes on in epoch {}",
                        before.0, before.1, after.0
                    );
                    self.alert(turn, AlertKind::RolledBack, None, Some(from), detail);
                }
                Ok(())
            }
            Err(error) => Err(self.mirror_problem(turn, from, &error)),
        }
    }

    /// Epoch and size of what we hold of a partner's log.
    pub(in crate::node) fn mirror_head(&self, of: &ParticipantId) -> (u32, u64) {
        let mirror = self.state.channel(of).and_then(|c| c.mirror.as_ref());
        mirror.map_or((0, 0), |mirror| (mirror.epoch(), mirror.size()))
    }

    /// How many of these leaves we hold.
    fn known_of(&self, from: &ParticipantId, evidence: &Evidence) -> usize {
        let (epoch, held) = self.mirror_head(from);
        let named = Checkpoint::parse_unverified(&evidence.checkpoint)
            .and_then(|checkpoint| epoch_of(&checkpoint.origin, from, &self.state.me));
        if named.is_some_and(|named| named > epoch) {
            return 0;
        }
        usize::try_from(held.saturating_sub(evidence.from)).unwrap_or(usize::MAX)
    }

    /// The newest receipt among new leaves must name our log as it was. The others are settled with it,
    /// so that one call costs one walk over our leaves.
    fn check_receipt(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        known: usize,
        evidence: &Evidence,
    ) -> Result<(), Problem> {
        let fresh = evidence.leaves.iter().skip(known).rev();
        let newest = fresh
            .filter_map(|leaf| Leaf::decode(&leaf.0).ok())
            .find_map(|leaf| receipt_in(&leaf).cloned());
        let Some(receipt) = newest else { return Ok(()) };
        let channel = self.state.channel(from);
        let fits = channel.is_some_and(|channel| {
            let out = &channel.out;
            // What they say of an epoch that we closed settles nothing more.
            receipt.epoch < out.epoch()
                || (receipt.epoch == out.epoch()
                    && (receipt.size < out.acknowledged()
                        || out.root_at(receipt.size) == Ok(receipt.root)))
        });
        if fits || (channel.is_none() && receipt.size == 0) {
            return Ok(());
        }
        let detail = format!(
            "the receipt over {} leaves does not name our log; compare the evidence of both sides",
            receipt.size
        );
        self.alert(
            turn,
            AlertKind::EvidenceMismatch,
            None,
            Some(from),
            detail.clone(),
        );
        Err(problem(
            "receipt-mismatch",
            422,
            "the receipt does not fit",
            detail,
        ))
    }

    fn mirror_problem(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        error: &MirrorError,
    ) -> Problem {
        match error {
            MirrorError::Fork(fork) => {
                let detail = format!("{error}\n{}\n{}", fork.held, fork.offered);
                self.alert(turn, AlertKind::EvidenceMismatch, None, Some(from), detail);
            }
            MirrorError::OtherRoot { offered, .. } => {
                let detail = format!("{error}\n{offered}");
                self.alert(turn, AlertKind::EvidenceMismatch, None, Some(from), detail);
            }
            MirrorError::Rotation { .. } => {
                let detail = error.to_string();
                self.alert(turn, AlertKind::EvidenceMismatch, None, Some(from), detail);
            }
            MirrorError::Gap { .. }
            | MirrorError::Checkpoint(_)
            | MirrorError::OtherLog { .. }
            | MirrorError::Leaf { .. }
            | MirrorError::OtherSize { .. }
            | MirrorError::NoRollback { .. }
            | MirrorError::TimeBackwards { .. }
            | MirrorError::Skew { .. } => {}
        }
        problem(
            "evidence-refused",
            422,
            "the evidence does not fit",
            error.to_string(),
        )
    }

    /// Puts a receipt for everything mirrored of `to` into our log, if one is owed. True if it was.
    pub(in crate::node) fn receipt_leaf(
        &mut self,
        turn: &mut Turn<'_>,
        to: &ParticipantId,
    ) -> bool {
        let Some((channel, mirror)) = self
            .state
            .channel(to)
            .and_then(|channel| Some((channel, channel.mirror.as_ref()?)))
        else {
            return false;
        };
        let behind = mirror.size() - channel.receipted.min(mirror.size());
        let pending = channel
            .out
            .size()
            .saturating_sub(channel.out.acknowledged());
        if pending >= ENVELOPE_LEAVES_MAX as u64 {
            // They acknowledge nothing: a receipt would not reach them either.
            return false;
        }
        if behind == 0 || !(channel.owes_receipt || behind >= RECEIPT_EVERY) {
            return false;
        }
        let body = LeafBody::Receipt(mirror.receipt());
        let leaf = encode(turn, body);
        self.record(
            turn,
            Record::Leaf {
                to: to.clone(),
                leaf,
            },
        );
        true
    }

    /// The same where nothing of ours goes out but answers: only once much is owed, so that receipts do
    /// not answer receipts.
    pub(in crate::node) fn receipt_leaf_if_much(
        &mut self,
        turn: &mut Turn<'_>,
        to: &ParticipantId,
    ) {
        let behind = self.state.channel(to).map_or(0, |channel| {
            channel.mirrored().saturating_sub(channel.receipted)
        });
        if behind >= RECEIPT_EVERY {
            self.receipt_leaf(turn, to);
        }
    }

    /// Whether the partner's log shows that it released just this batch.
    pub(in crate::node) fn shows_batch(
        &self,
        from: &ParticipantId,
        dataset: Dataset,
        lane: Lane,
        positions: (u64, u64),
        root: &[u8; 32],
    ) -> bool {
        let lane: bilateral::Lane = lane.into();
        self.recent(from).any(|leaf| match &leaf.body {
            LeafBody::Release(release) => {
                release.dataset == dataset
                    && release.lane == Some(lane)
                    && (release.from_position, release.to_position) == positions
                    && &release.items_root == root
            }
            LeafBody::Request(_)
            | LeafBody::Denial(_)
            | LeafBody::AgreementChange(_)
            | LeafBody::Receipt(_)
            | LeafBody::KeyRotation(_)
            | LeafBody::Rollback(_)
            | LeafBody::Voided(_)
            | LeafBody::Deletion(_)
            | LeafBody::RunOffSet(_) => false,
        })
    }

    /// Whether the partner's log shows that it asked just for this, for this purpose, under this
    /// agreement.
    pub(in crate::node) fn shows_request(
        &self,
        from: &ParticipantId,
        agreement: &WireId,
        asked: &LookupRequest,
        root: &[u8; 32],
    ) -> bool {
        self.recent(from).any(|leaf| match &leaf.body {
            LeafBody::Request(request) => {
                request.request_id == asked.request_id
                    && request.dataset == Dataset::RecipientContact
                    && request.purpose == asked.purpose
                    && &request.agreement == agreement
                    && &request.items_root == root
            }
            LeafBody::Release(_)
            | LeafBody::Denial(_)
            | LeafBody::AgreementChange(_)
            | LeafBody::Receipt(_)
            | LeafBody::KeyRotation(_)
            | LeafBody::Rollback(_)
            | LeafBody::Voided(_)
            | LeafBody::Deletion(_)
            | LeafBody::RunOffSet(_) => false,
        })
    }

    /// Whether the partner's log shows that it released just these contacts, in these forms.
    pub(in crate::node) fn shows_contacts(
        &self,
        from: &ParticipantId,
        request_id: RequestId,
        items: &[LookupItem],
        outcomes: &[LookupOutcome],
    ) -> bool {
        let released: Vec<(&LookupItem, ContactForm)> = items
            .iter()
            .zip(outcomes)
            .filter_map(|(item, outcome)| match outcome {
                LookupOutcome::Released(contact) => Some((item, contact.form())),
                LookupOutcome::Denied { .. } => None,
            })
            .collect();
        if released.is_empty() {
            return true;
        }
        let root = contacts_root(&released);
        self.recent(from).any(|leaf| match &leaf.body {
            LeafBody::Release(release) => {
                release.request_id == request_id && release.items_root == root
            }
            LeafBody::Request(_)
            | LeafBody::Denial(_)
            | LeafBody::AgreementChange(_)
            | LeafBody::Receipt(_)
            | LeafBody::KeyRotation(_)
            | LeafBody::Rollback(_)
            | LeafBody::Voided(_)
            | LeafBody::Deletion(_)
            | LeafBody::RunOffSet(_) => false,
        })
    }

    fn recent(&self, from: &ParticipantId) -> impl Iterator<Item = &Leaf> {
        self.state
            .channels
            .get(from)
            .into_iter()
            .flat_map(|channel| channel.recent.iter().rev())
    }

    /// Tells people of something; of a partner's evidence and order once an hour, however often the
    /// partner repeats it.
    pub(in crate::node) fn alert(
        &mut self,
        turn: &mut Turn<'_>,
        kind: AlertKind,
        parcel: Option<ParcelId>,
        partner: Option<&ParticipantId>,
        detail: String,
    ) {
        let repeats = match kind {
            AlertKind::EvidenceMismatch
            | AlertKind::OrderBroken
            | AlertKind::NotTaken
            | AlertKind::NotCompared
            | AlertKind::ClockDoubted => true,
            AlertKind::ContestedOwnership
            | AlertKind::RecipientNotTold
            | AlertKind::MessageRefused
            | AlertKind::AgreementEnds
            | AlertKind::RolledBack
            | AlertKind::Mediation
            | AlertKind::ErasureRefused
            | AlertKind::KeyRotated
            | AlertKind::SuspensionAnnounced
            | AlertKind::OverCollection
            | AlertKind::TelephoneKey
            | AlertKind::CallsToNobody
            | AlertKind::DoorStuck
            | AlertKind::CompartmentEmpty => false,
        };
        if let Some(partner) = partner.filter(|_| repeats) {
            let before = self.live.alerted.get(&(kind, partner.clone()));
            if before.is_some_and(|at| turn.at().since_ms(*at) < ALERT_AGAIN_MS) {
                return;
            }
            self.live.alerted.insert((kind, partner.clone()), turn.at());
        }
        self.record(
            turn,
            Record::Alert {
                kind,
                parcel,
                partner: partner.cloned(),
                detail,
            },
        );
    }
}

const fn receipt_in(leaf: &Leaf) -> Option<&Receipt> {
    match &leaf.body {
        LeafBody::Receipt(receipt) => Some(receipt),
        LeafBody::Request(_)
        | LeafBody::Release(_)
        | LeafBody::Denial(_)
        | LeafBody::AgreementChange(_)
        | LeafBody::KeyRotation(_)
        | LeafBody::Rollback(_)
        | LeafBody::Voided(_)
        | LeafBody::Deletion(_)
        | LeafBody::RunOffSet(_) => None,
    }
}

pub(in crate::node) fn encode(turn: &Turn<'_>, body: LeafBody) -> Blob {
    // A leaf of ours holds bounded names and hashes only; it always fits.
    Blob(Leaf::new(turn.at(), body).encode().unwrap_or_default())
}

fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}

/// The root over salted commitments to items, each in its JSON form.
fn root_over<T: Serialize>(items: impl Iterator<Item = (RequestId, T)>) -> [u8; 32] {
    let mut text = Vec::new();
    let commitments: Vec<[u8; 32]> = items
        .map(|(salt, item)| {
            text.clear();
            // Every item is JSON, and a vector takes all that is written to it.
            let _ = serde_json::to_writer(&mut text, &item);
            commit(salt.as_bytes(), &text)
        })
        .collect();
    bilateral::items_root(&commitments)
}

/// Root over the salted commitments to the items of a batch, each in its JSON form without a code.
pub(in crate::node) fn items_root(items: &[&FeedItem], salts: &[RequestId]) -> [u8; 32] {
    let committed = items.iter().map(|item| item.committed());
    root_over(salts.iter().copied().zip(committed))
}

/// Root over the commitments to the items of a lookup; each item carries its salt.
pub(in crate::node) fn lookup_root(items: &[LookupItem]) -> [u8; 32] {
    root_over(items.iter().map(|item| (item.salt, item)))
}

/// Root over the commitments to the items that were released and the form of each.
fn contacts_root(released: &[(&LookupItem, ContactForm)]) -> [u8; 32] {
    let items = released.iter();
    root_over(items.map(|(item, form)| (item.salt, (item, form.as_str()))))
}

impl From<Lane> for bilateral::Lane {
    fn from(lane: Lane) -> Self {
        match lane {
            Lane::Live => Self::Live,
            Lane::Backlog => Self::Backlog,
        }
    }
}
