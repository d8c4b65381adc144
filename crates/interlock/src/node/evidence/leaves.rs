//! The leaves of our logs.

use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParticipantId, RequestId, WireId};
use interlock_journal::bilateral::{
    self, AgreementChange, Deletion, Denial, LeafBody, Release, Request, Voided,
};

use super::{contacts_root, count, encode, items_root, lookup_root};
use crate::exchange::wire::{Blob, FeedItem, Lane, LookupItem};
use crate::node::Node;
use crate::node::agreements::Agreement;
use crate::node::record::{LookupDecision, Record};
use crate::node::turn::Turn;

impl Node {
    /// The leaf of a batch.
    pub(in crate::node) fn release_leaf(
        &mut self,
        turn: &mut Turn<'_>,
        agreement: &Agreement,
        lane: Lane,
        first: u64,
        items: &[FeedItem],
        salts: &[RequestId],
    ) -> Blob {
        if items.is_empty() {
            return Blob(Vec::new());
        }
        let refs: Vec<&FeedItem> = items.iter().collect();
        let body = LeafBody::Release(Release {
            request_id: turn.random_id(),
            agreement: agreement.id.clone(),
            dataset: agreement.terms.dataset,
            lane: Some(lane.into()),
            from_position: first,
            to_position: first + items.len() as u64 - 1,
            items: count(items.len()),
            items_root: items_root(&refs, salts),
        });
        encode(turn, body)
    }

    /// The leaf of a lookup of ours.
    pub(in crate::node) fn request_leaf(
        &self,
        turn: &Turn<'_>,
        request_id: RequestId,
        agreement: &WireId,
        purpose: &str,
        items: &[LookupItem],
    ) -> Blob {
        let body = LeafBody::Request(Request {
            request_id,
            agreement: agreement.clone(),
            dataset: Dataset::RecipientContact,
            purpose: purpose.into(),
            items: count(items.len()),
            items_root: lookup_root(items),
        });
        encode(turn, body)
    }

    /// The leaves of a lookup that we decided: one for what is released, one for each reason of denial.
    pub(in crate::node) fn lookup_leaves(
        &self,
        turn: &Turn<'_>,
        agreement: &Agreement,
        request_id: RequestId,
        items: &[LookupItem],
        outcomes: &[LookupDecision],
    ) -> Vec<Blob> {
        let mut released = Vec::new();
        let mut denied: std::collections::BTreeMap<&str, Vec<&LookupItem>> =
            std::collections::BTreeMap::new();
        for (item, outcome) in items.iter().zip(outcomes) {
            match outcome {
                LookupDecision::Released { form, .. } => released.push((item, *form)),
                LookupDecision::Denied { reason } => denied.entry(reason).or_default().push(item),
            }
        }
        let mut leaves = Vec::new();
        if !released.is_empty() {
            leaves.push(encode(
                turn,
                LeafBody::Release(Release {
                    request_id,
                    agreement: agreement.id.clone(),
                    dataset: agreement.terms.dataset,
                    lane: None,
                    from_position: 0,
                    to_position: 0,
                    items: count(released.len()),
                    items_root: contacts_root(&released),
                }),
            ));
        }
        for (reason, items) in denied {
            let items: Vec<LookupItem> = items.into_iter().cloned().collect();
            leaves.push(encode(
                turn,
                LeafBody::Denial(Denial {
                    request_id,
                    agreement: Some(agreement.id.clone()),
                    reason: reason.into(),
                    items: count(items.len()),
                    items_root: lookup_root(&items),
                }),
            ));
        }
        leaves
    }

    /// The leaf of a denial of everything that was asked for.
    pub(in crate::node) fn denial_leaf(
        &self,
        turn: &mut Turn<'_>,
        agreement: Option<&Agreement>,
        reason: &str,
    ) -> Blob {
        let request_id = turn.random_id();
        let body = LeafBody::Denial(Denial {
            request_id,
            agreement: agreement.map(|a| a.id.clone()),
            reason: reason.into(),
            items: 0,
            items_root: bilateral::items_root(&[]),
        });
        encode(turn, body)
    }

    /// Says in our log toward the other party that an agreement changed its state.
    pub(in crate::node) fn agreement_leaf(
        &mut self,
        turn: &mut Turn<'_>,
        agreement: &Agreement,
        state: &str,
    ) {
        let to = if agreement.provider == self.state.me {
            &agreement.consumer
        } else {
            &agreement.provider
        };
        let to = to.clone();
        let body = LeafBody::AgreementChange(AgreementChange {
            agreement: agreement.id.clone(),
            policy_hash: agreement.policy_hash,
            state: state.into(),
        });
        let leaf = encode(turn, body);
        let of = to.clone();
        self.record(turn, Record::Leaf { to, leaf });
        self.fetch_leaves_if_many_wait(turn, &of);
    }

    /// The leaf that says that what we were granted is deleted.
    pub(in crate::node) fn deletion_leaf(&self, turn: &Turn<'_>, deletion: Deletion) -> Blob {
        encode(turn, LeafBody::Deletion(deletion))
    }

    /// The driver held an answer back: its term had ended.
    pub(in crate::node) fn voided(
        &mut self,
        turn: &mut Turn<'_>,
        to: &ParticipantId,
        agreement: &WireId,
    ) {
        let Some(known) = self.state.book.agreements.get(agreement) else {
            return;
        };
        let dataset = known.terms.dataset;
        let leaf = self.voided_leaf(turn, agreement, "term-ended");
        self.record(
            turn,
            Record::Denied {
                to: to.clone(),
                dataset,
                reason: "voided".into(),
                leaf,
            },
        );
    }

    /// The leaf that says that what was released never left.
    pub(in crate::node) fn voided_leaf(
        &self,
        turn: &mut Turn<'_>,
        agreement: &WireId,
        reason: &str,
    ) -> Blob {
        let body = LeafBody::Voided(Voided {
            request_id: turn.random_id(),
            agreement: agreement.clone(),
            reason: reason.into(),
        });
        encode(turn, body)
    }
}
