//! The frozen set of a run-off on evidence.
//!
//! Purpose: at the end of a term the provider says which parcels its run-off serves, as one root in its
//! log, and has the consumer receipt it. Invariant: what is committed to is exactly what is served. The
//! salts are derived, so that single parcels can be shown later and nothing has to be kept. It does not
//! know how the set was made.

use interlock_core::agreement::AgreementState;
use interlock_core::ids::{ParcelId, ParticipantId, RequestId, WireId};
use interlock_journal::bilateral::{self, LeafBody, RunOffSet};
use sha2::{Digest as _, Sha256};

use super::Node;
use super::agreements::Agreement;
use super::evidence::{Committed, encode};
use super::io::{CallFailure, Effect, PeerAnswer, PeerRequest};
use super::live::{Purpose, Timer, backoff_ms};
use super::record::Record;
use super::turn::Turn;
use crate::exchange::wire::Notice;

/// How long an answer to the notice is waited for, in milliseconds.
const ANSWER_TIMEOUT_MS: u32 = 10_000;

impl Node {
    /// Puts the frozen set of an agreement of ours that entered its run-off on evidence.
    pub(super) fn attest_run_off(&mut self, turn: &mut Turn<'_>, agreement: &Agreement) {
        let to = &agreement.consumer;
        if !agreement.terms.dataset.is_parcel_data() || self.state.is_connector(to) {
            return;
        }
        let commitments: Vec<_> = self
            .run_off_items(agreement)
            .iter()
            .map(|item| bilateral::commit(item.salt.as_bytes(), item.text.as_bytes()))
            .collect();
        let body = LeafBody::RunOffSet(RunOffSet {
            agreement: agreement.id.clone(),
            ended_at: agreement.facts.end(&agreement.terms),
            items: u32::try_from(commitments.len()).unwrap_or(u32::MAX),
            items_root: bilateral::items_root(&commitments),
        });
        let (to, leaf) = (to.clone(), encode(turn, body));
        self.record(turn, Record::Leaf { to, leaf });
        self.tell_run_off(turn, &agreement.id);
    }

    /// The parcels of a frozen set as they are committed to: in the order of their commitments, which
    /// tells nothing of them.
    pub(super) fn run_off_items(&self, agreement: &Agreement) -> Vec<Committed> {
        let frozen = self.state.frozen(&agreement.id).unwrap_or_default();
        let items = frozen.iter().filter_map(|id| {
            let waybill = self.state.parcels.get(*id)?.waybill;
            let salt = self.run_off_salt(&agreement.id, *id);
            Committed::of_waybill(salt, &waybill)
        });
        let mut items: Vec<_> = items
            .map(|item| {
                let commitment = bilateral::commit(item.salt.as_bytes(), item.text.as_bytes());
                (commitment, item)
            })
            .collect();
        items.sort_unstable_by_key(|(commitment, _)| *commitment);
        items.into_iter().map(|(_, item)| item).collect()
    }

    fn run_off_salt(&self, agreement: &WireId, parcel: ParcelId) -> RequestId {
        let mut hash = Sha256::new();
        hash.update(b"interlock run-off salt 1\n");
        hash.update(self.key.to_bytes());
        hash.update(agreement.as_str().as_bytes());
        hash.update([0]);
        hash.update(parcel.as_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let mut salt = [0; 16];
        for (to, from) in salt.iter_mut().zip(digest) {
            *to = from;
        }
        RequestId::from_bytes(salt)
    }

    /// Tells the consumer that the set is frozen, so that it receipts it now and not with whatever comes
    /// next.
    pub(super) fn tell_run_off(&mut self, turn: &mut Turn<'_>, id: &WireId) {
        let known = self.state.book.agreements.get(id);
        let open =
            known.filter(|a| a.provider == self.state.me && a.state == AgreementState::RunOff);
        let Some(to) = open.map(|a| a.consumer.clone()) else {
            return;
        };
        let received = self.state.channels.get(&to);
        let all = received.is_none_or(|channel| channel.out.acknowledged() == channel.out.size());
        if all || !self.is_compared(&to) {
            return;
        }
        let agreement = id.clone();
        let notice = self.envelope(turn, &to, Notice::RunOff { agreement });
        let call = self.live.call(Purpose::RunOff(id.clone()));
        turn.push(Effect::Call {
            call,
            to,
            request: PeerRequest::Notice(notice),
            timeout_ms: ANSWER_TIMEOUT_MS,
        });
    }

    /// The answer, with the consumer's receipt.
    pub(super) fn run_off_told(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        let known = self.state.book.agreements.get(id);
        let Some(from) = known.map(|a| a.consumer.clone()) else {
            return;
        };
        let timer = Timer::RunOff(id.clone());
        if let Ok(PeerAnswer::Evidence(evidence)) = outcome {
            self.live.tries.remove(&timer);
            if let Err(problem) = self.take_evidence(turn, &from, &evidence) {
                tracing::debug!(partner = %from, kind = %problem.kind, "the answer to a notice was refused");
            }
            return;
        }
        let tries = self.live.tries.entry(timer.clone()).or_default();
        let at = turn.at().plus_ms(backoff_ms(*tries, turn.random64()));
        *tries = tries.saturating_add(1);
        self.live.timer(at, timer);
    }

    /// After a restart, or once compared with a partner: tells again what may not have been heard.
    pub(super) fn resume_run_off(&mut self, turn: &mut Turn<'_>, with: Option<&ParticipantId>) {
        let agreements = self.state.book.agreements.values();
        let ending = agreements.filter(|a| {
            a.provider == self.state.me
                && a.state == AgreementState::RunOff
                && with.is_none_or(|with| with == &a.consumer)
        });
        let ending: Vec<WireId> = ending.map(|a| a.id.clone()).collect();
        for id in ending {
            self.tell_run_off(turn, &id);
        }
    }
}
