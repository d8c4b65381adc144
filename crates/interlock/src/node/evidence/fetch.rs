//! Leaves that nothing carries.
//!
//! Purpose: two nodes that agree on much and exchange nothing would never show each other the leaves of
//! their agreements, and a log whose reader acknowledges nothing comes to its end. Invariant: what waits
//! for a receipt is bounded as long as the partner can be reached. Both sides do the same: each fetches
//! the other's leaves, and its receipt for them is a leaf that the other fetches. It does not know what
//! a leaf says.

use interlock_core::ids::ParticipantId;

use crate::exchange::wire::LogSide;
use crate::node::Node;
use crate::node::io::{CallFailure, Effect, PeerAnswer, PeerRequest};
use crate::node::live::Purpose;
use crate::node::turn::Turn;

/// So many leaves of ours without a receipt are a reason to fetch the partner's, which may hold one.
const FETCH_EVERY: u64 = 512;
/// How long an answer is waited for, in milliseconds.
const ANSWER_TIMEOUT_MS: u32 = 10_000;

/// When a partner's leaves were fetched last.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fetched {
    /// How many leaves of ours there were.
    at_size: u64,
    under_way: bool,
}

impl Node {
    /// Fetches a partner's leaves if many of ours have no receipt, and not again before there are many
    /// more.
    pub(in crate::node) fn fetch_leaves_if_many_wait(
        &mut self,
        turn: &mut Turn<'_>,
        of: &ParticipantId,
    ) {
        let Some(channel) = self.state.channel(of) else {
            return;
        };
        let out = &channel.out;
        let (size, acknowledged) = (out.size(), out.acknowledged());
        let fetched = self.live.fetched.get(of).copied().unwrap_or_default();
        // A new epoch of our log is shorter than the one before.
        let since = size.saturating_sub(fetched.at_size.min(size).max(acknowledged));
        let asks = self.is_compared(of) && self.state.partners.contains_key(of);
        if since < FETCH_EVERY || fetched.under_way || !asks || self.state.is_connector(of) {
            return;
        }
        let under_way = true;
        let fetched = Fetched {
            at_size: size,
            under_way,
        };
        self.live.fetched.insert(of.clone(), fetched);
        let (_, from) = self.mirror_head(of);
        let request = PeerRequest::Entries {
            log: LogSide::Written,
            epoch: None,
            from,
        };
        let call = self.live.call(Purpose::Leaves(of.clone()));
        turn.push(Effect::Call {
            call,
            to: of.clone(),
            request,
            timeout_ms: ANSWER_TIMEOUT_MS,
        });
    }

    /// A partner's leaves came, or not: then they come with the next thing that is exchanged.
    pub(in crate::node) fn leaves_fetched(
        &mut self,
        turn: &mut Turn<'_>,
        of: &ParticipantId,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        if let Some(fetched) = self.live.fetched.get_mut(of) {
            fetched.under_way = false;
        }
        let Ok(PeerAnswer::Evidence(evidence)) = outcome else {
            return;
        };
        match self.take_evidence(turn, of, &evidence) {
            Ok(()) => self.receipt_leaf_if_much(turn, of),
            Err(problem) => {
                tracing::debug!(partner = %of, kind = %problem.kind, "fetched leaves were refused");
            }
        }
    }
}
