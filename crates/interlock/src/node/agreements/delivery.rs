//! Messages that a partner has not taken: tried again, shown, and what its refusal of one means.
//!
//! Purpose: the way of a message from its record to the partner's acknowledgement. Invariants: what a
//! partner did not answer is sent again with growing, random pauses; a refusal is believed only after
//! the process was read from the partner, because the answer to an earlier try may have been lost. It
//! does not know when a message stops being of use.

use std::ops::RangeInclusive;

use interlock_core::negotiation::{self, NegotiationMessage, NegotiationState};
use interlock_core::time::Timestamp;
use interlock_core::transfer::TransferState;
use serde_json::{Value, json};

use super::super::Node;
use super::super::io::{CallFailure, Effect, PeerAnswer, PeerRequest};
use super::super::live::{AGAIN_MS, Purpose, Timer, backoff_between_ms};
use super::super::turn::Turn;
use super::messages::{wire_state, wire_transfer_state};
use super::negotiate::{ANSWER_TIMEOUT_MS, shorten};
use super::{Agreement, Negotiation, Transfer};
use crate::dsp::message::{ContractNegotiation, TransferProcess};
use crate::dsp::routes::{NegotiationStep, Route, TransferStep};

/// Most processes that wait for a partner that a status shows.
const WAITING_SHOWN_MAX: usize = 100;

/// Between two tries of what a partner could not take yet, in milliseconds.
const SOON_MS: RangeInclusive<i64> = 20..=*AGAIN_MS.end();

/// A message that was tried and not taken.
#[derive(Clone, Debug)]
pub(super) struct Undelivered {
    /// How often it was tried since this node started.
    tries: u32,
    /// What came of the last try.
    error: String,
    /// When it is tried again.
    next_at: Timestamp,
}

/// What an answer to one of our messages means.
pub(super) enum Verdict {
    /// They have it; the body of the answer.
    Taken(Value),
    /// They will not take it: why.
    Refused(String),
    /// Worth another try: why.
    Again(String),
    /// They are there and cannot take it yet, as what one of us has learned reaches the other in a
    /// moment (503): why.
    NotYet(String),
}

/// Where a partner says that a process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing<S> {
    /// In this state.
    At(S),
    /// It knows no such process.
    Unknown,
}

/// What an answer to one of our messages means.
pub(super) fn verdict(outcome: Result<PeerAnswer, CallFailure>) -> Verdict {
    let other = "an answer of another kind";
    match outcome {
        Ok(PeerAnswer::Dsp { status, body, .. }) if (200..300).contains(&status) => {
            Verdict::Taken(body)
        }
        Ok(PeerAnswer::Dsp { status, body, .. }) => {
            let reasons = body.get("reason").map(Value::to_string);
            let why = reasons.unwrap_or_else(|| format!("status {status}"));
            told(status, &why)
        }
        Ok(PeerAnswer::Problem(problem)) => told(problem.status, &problem.detail),
        Ok(
            PeerAnswer::Feed(_)
            | PeerAnswer::Lookup(_)
            | PeerAnswer::Evidence(_)
            | PeerAnswer::Mirror(_)
            | PeerAnswer::Cooperation(_)
            | PeerAnswer::Mediation(_),
        ) => Verdict::Again(other.into()),
        Err(CallFailure::Unreachable(why) | CallFailure::Rubbish(why)) => {
            Verdict::Again(shorten(&why))
        }
        Err(CallFailure::TimedOut) => Verdict::Again("no answer in time".into()),
    }
}

/// Why an answer to something other than a message of the protocol is none.
pub(super) fn why_not(outcome: Result<PeerAnswer, CallFailure>) -> String {
    match verdict(outcome) {
        Verdict::Taken(_) => "an answer of another kind".into(),
        Verdict::Refused(why) | Verdict::Again(why) | Verdict::NotYet(why) => why,
    }
}

fn told(status: u16, why: &str) -> Verdict {
    match status {
        503 => Verdict::NotYet(shorten(why)),
        _ if is_final(status) => Verdict::Refused(shorten(why)),
        _ => Verdict::Again(shorten(why)),
    }
}

/// Whether a status says that repeating the message is of no use. A partner that does not know us yet
/// may add us; a busy one becomes free.
pub(super) const fn is_final(status: u16) -> bool {
    matches!(status, 400..500) && !matches!(status, 401 | 403 | 408 | 425 | 429)
}

impl Node {
    /// Sets the timer for another try, and keeps why it is needed.
    pub(super) fn try_later(&mut self, turn: &mut Turn<'_>, timer: Timer, why: String) {
        self.try_within(turn, timer, why, AGAIN_MS);
    }

    /// The same for what a partner could not take yet: the first tries follow at once.
    pub(super) fn try_soon(&mut self, turn: &mut Turn<'_>, timer: Timer, why: String) {
        self.try_within(turn, timer, why, SOON_MS);
    }

    fn try_within(
        &mut self,
        turn: &mut Turn<'_>,
        timer: Timer,
        why: String,
        bounds: RangeInclusive<i64>,
    ) {
        let undelivered = &mut self.live.agreements.undelivered;
        let tries = undelivered.get(&timer).map_or(0, |known| known.tries);
        let next_at = turn
            .at()
            .plus_ms(backoff_between_ms(bounds, tries, turn.random64()));
        let now = Undelivered {
            tries: tries.saturating_add(1),
            error: why,
            next_at,
        };
        undelivered.insert(timer.clone(), now);
        self.live.timer(next_at, timer);
    }

    /// A message may have been tried before this node started.
    pub(super) fn maybe_tried(&mut self, turn: &Turn<'_>, timer: Timer) {
        let before = Undelivered {
            tries: 0,
            error: String::new(),
            next_at: turn.at(),
        };
        self.live.agreements.undelivered.insert(timer, before);
    }

    /// There is nothing to be tried again.
    pub(super) fn forget_tries(&mut self, timer: &Timer) {
        self.live.agreements.undelivered.remove(timer);
    }

    /// Whether the time of a timer has come: an older timer for the same message tries nothing.
    pub(in super::super) fn is_due(&self, turn: &Turn<'_>, timer: &Timer) -> bool {
        let known = self.live.agreements.undelivered.get(timer);
        known.is_none_or(|known| known.next_at <= turn.at())
    }

    /// What a negotiation waits for, if its message could not be delivered: see [`Node::waiting_view`].
    pub(super) fn negotiation_waiting(&self, negotiation: &Negotiation) -> Value {
        let timer = Timer::Negotiation(negotiation.id.clone());
        self.waiting_view(&timer, negotiation.unsent.is_some())
    }

    /// The same of a transfer.
    pub(super) fn transfer_waiting(&self, transfer: &Transfer) -> Value {
        let timer = Timer::Transfer(transfer.id.clone());
        self.waiting_view(&timer, transfer.unsent.is_some())
    }

    /// The same of an agreement: its manifest to be signed, or the notice of its end.
    pub(super) fn agreement_waiting(&self, agreement: &Agreement) -> Value {
        let notice = Timer::Cooperation(agreement.id.clone());
        let notice = self.waiting_view(&notice, agreement.unsent_notice.is_some());
        if !notice.is_null() {
            return notice;
        }
        let known = self.state.book.cooperation(&agreement.cooperation);
        let unsigned = known.is_some_and(|known| known.is_open());
        let timer = Timer::Cooperation(agreement.cooperation.clone());
        self.waiting_view(&timer, unsigned)
    }

    /// `tries` (since the node started), `lastError`, `nextTryAt`; `null` unless a try has failed.
    fn waiting_view(&self, timer: &Timer, open: bool) -> Value {
        let known = self.live.agreements.undelivered.get(timer);
        match known.filter(|known| open && known.tries > 0) {
            None => Value::Null,
            Some(known) => json!({
                "tries": known.tries,
                "lastError": known.error,
                "nextTryAt": self.instant(known.next_at),
            }),
        }
    }

    /// What waits for a partner because a message could not be delivered, at most
    /// [`WAITING_SHOWN_MAX`]: `what` (negotiation, transfer, manifest, notice), `id`, `partner`, `state`,
    /// `tries`, `lastError`, `nextTryAt`.
    pub(in super::super) fn waiting_for_partners(&self, turn: &Turn<'_>) -> Vec<Value> {
        let timers = self.live.agreements.undelivered.keys();
        let lines = timers.filter_map(|timer| self.waiting_line(turn, timer));
        lines.take(WAITING_SHOWN_MAX).collect()
    }

    fn waiting_line(&self, turn: &Turn<'_>, timer: &Timer) -> Option<Value> {
        let book = &self.state.book;
        let (what, id, partner, state, open) = match timer {
            Timer::Negotiation(id) => {
                let n = book.negotiations.get(id)?;
                let open = n.unsent.is_some();
                ("negotiation", id, &n.peer, n.state.as_str(), open)
            }
            Timer::Transfer(id) => {
                let t = book.transfers.get(id)?;
                (
                    "transfer",
                    id,
                    &t.peer,
                    t.state.as_str(),
                    t.unsent.is_some(),
                )
            }
            Timer::Cooperation(id) => match (book.cooperations.get(id), book.agreements.get(id)) {
                (Some(c), _) => ("manifest", id, &c.peer, "FINALIZED", c.is_open()),
                (None, Some(a)) => {
                    let state = a.state_at(&turn.now).as_str();
                    let open = a.unsent_notice.is_some();
                    ("notice", id, a.other(&self.state.me), state, open)
                }
                (None, None) => return None,
            },
            Timer::Pull(_)
            | Timer::Receipt(..)
            | Timer::Lookup(_)
            | Timer::LookupReceipt(_)
            | Timer::Message(_)
            | Timer::Warning(_)
            | Timer::Courier(_)
            | Timer::Contact(_)
            | Timer::Reservation(_)
            | Timer::Pickup(_)
            | Timer::Poll
            | Timer::Mediation(..)
            | Timer::RunOff(_)
            | Timer::Reciprocate(_)
            | Timer::TellReciprocity(_)
            | Timer::TellStopped(_)
            | Timer::Cooperations
            | Timer::Push(_)
            | Timer::DecideNegotiation(_)
            | Timer::DecideTransfer(_)
            | Timer::AskAgain(_)
            | Timer::Compare(_)
            | Timer::Clock
            | Timer::Attestation(_)
            | Timer::Erasure(..)
            | Timer::KeyNotice(_)
            | Timer::Anchor
            | Timer::Witness => return None,
        };
        let Value::Object(waiting) = self.waiting_view(timer, open) else {
            return None;
        };
        let mut line = json!({
            "what": what,
            "id": id.as_str(),
            "partner": partner.as_str(),
            "state": state,
        });
        if let Value::Object(members) = &mut line {
            members.extend(waiting);
        }
        Some(line)
    }

    /// Asks where a negotiation stands at the partner, which has refused our message about it.
    pub(super) fn reread_negotiation(
        &mut self,
        turn: &mut Turn<'_>,
        negotiation: &Negotiation,
        refusal: String,
    ) {
        let Some(theirs) = negotiation.peer_id.clone() else {
            return;
        };
        let id = negotiation.id.clone();
        let route = Route::Negotiation(theirs, NegotiationStep::State);
        let purpose = Purpose::NegotiationReread { id, refusal };
        self.reread(turn, &negotiation.peer, &route, purpose);
    }

    /// Asks where a transfer stands at the partner, which has refused our message about it.
    pub(super) fn reread_transfer(
        &mut self,
        turn: &mut Turn<'_>,
        transfer: &Transfer,
        refusal: String,
    ) {
        let Some(theirs) = transfer.peer_id.clone() else {
            return;
        };
        let id = transfer.id.clone();
        let route = Route::Transfer(theirs, TransferStep::State);
        let purpose = Purpose::TransferReread { id, refusal };
        self.reread(turn, &transfer.peer, &route, purpose);
    }

    fn reread(
        &mut self,
        turn: &mut Turn<'_>,
        to: &interlock_core::ids::ParticipantId,
        route: &Route,
        purpose: Purpose,
    ) {
        let call = self.live.call(purpose);
        turn.push(Effect::Call {
            call,
            to: to.clone(),
            request: PeerRequest::Dsp {
                post: false,
                path: route.path(),
                body: Value::Null,
            },
            timeout_ms: ANSWER_TIMEOUT_MS,
        });
    }

    /// Whether the partner has our last message about a negotiation, from where it says that it stands:
    /// in the state that the message led to, or further. That it is in the state before is no answer if
    /// an earlier try may have reached it: it may have made a counter-offer meanwhile, which is then on
    /// its way to us.
    pub(super) fn has_ours(&self, negotiation: &Negotiation, theirs: NegotiationState) -> bool {
        if theirs == negotiation.state {
            return true;
        }
        let timer = Timer::Negotiation(negotiation.id.clone());
        let tried = self.live.agreements.undelivered.contains_key(&timer);
        let haggling = matches!(
            theirs,
            NegotiationState::Requested | NegotiationState::Offered
        );
        let answers = |message| {
            negotiation::next(Some(negotiation.state), negotiation.party.other(), message)
                == Ok(theirs)
        };
        let answered = NegotiationMessage::ALL.into_iter().any(answers);
        answered && (tried || !haggling)
    }
}

impl Negotiation {
    /// Where the partner says that it stands.
    ///
    /// # Errors
    /// Why the answer says nothing: ask again.
    pub(super) fn standing(
        &self,
        outcome: Result<PeerAnswer, CallFailure>,
    ) -> Result<Standing<NegotiationState>, String> {
        let read = |body: Value| {
            let answer = ContractNegotiation::from_json(&body);
            let answer = answer.map_err(|error| error.to_string())?;
            let all = NegotiationState::ALL.into_iter();
            let state = all.into_iter().find(|s| wire_state(*s) == answer.state);
            let ours = self.pids().is_some_and(|pids| pids == answer.pids);
            state
                .filter(|_| ours)
                .ok_or_else(|| "the answer is about another negotiation".into())
        };
        standing(outcome, read)
    }
}

impl Transfer {
    /// Where the partner says that it stands.
    ///
    /// # Errors
    /// Why the answer says nothing: ask again.
    pub(super) fn standing(
        &self,
        outcome: Result<PeerAnswer, CallFailure>,
    ) -> Result<Standing<TransferState>, String> {
        let read = |body: Value| {
            let answer = TransferProcess::from_json(&body);
            let answer = answer.map_err(|error| error.to_string())?;
            let mut all = TransferState::ALL.into_iter();
            let state = all.find(|s| wire_transfer_state(*s) == answer.state);
            let ours = self.pids().is_some_and(|pids| pids == answer.pids);
            state
                .filter(|_| ours)
                .ok_or_else(|| "the answer is about another transfer".into())
        };
        standing(outcome, read)
    }
}

fn standing<S>(
    outcome: Result<PeerAnswer, CallFailure>,
    read: impl FnOnce(Value) -> Result<S, String>,
) -> Result<Standing<S>, String> {
    match verdict(outcome) {
        Verdict::Taken(body) => read(body).map(Standing::At),
        Verdict::Refused(_) => Ok(Standing::Unknown),
        Verdict::Again(why) | Verdict::NotYet(why) => Err(why),
    }
}
