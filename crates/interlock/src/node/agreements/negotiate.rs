//! What both sides of a negotiation have in common: taking a message, sending until acknowledged.
//!
//! Purpose: one way in and one way out for every negotiation. Invariants: a message of the peer is
//! taken only if the protocol's state machine allows it, and the same message again changes nothing;
//! what we have to say is durable before it is sent, and is sent again until the peer has it, for as
//! long as the terms on the table could still be of use. It does not know who decides.

use interlock_core::dataset::Dataset;
use interlock_core::ids::WireId;
use interlock_core::negotiation::{self, NegotiationMessage, NegotiationState, Party};
use interlock_core::terms::{self, Terms};
use interlock_core::time::Timestamp;
use serde_json::Value;

use super::super::Node;
use super::super::io::{CallFailure, Effect, PeerAnswer, PeerRequest};
use super::super::live::{Purpose, Timer};
use super::super::record::Record;
use super::super::turn::Turn;
use super::approver::{Decided, NegotiationCase, NegotiationMove};
use super::delivery::{Standing, Verdict, verdict};
use super::door::{Incoming, Refused};
use super::{Actor, Negotiation, Outgoing};
use crate::dsp;
use crate::dsp::failure::Refusal;
use crate::dsp::message::{ContractNegotiation, ContractNegotiationTerminationMessage, Pids};
use crate::identity::url::BaseUrl;

/// How long an answer to a message of the protocol is waited for, in milliseconds.
pub(super) const ANSWER_TIMEOUT_MS: u32 = 10_000;
/// Longest reason of the peer's that is kept, in characters.
const REASON_LENGTH_MAX: usize = 500;

impl Node {
    /// Takes a message of the peer: `None` for a repeat of the last one, else the negotiation with its
    /// state moved on, not yet on record.
    pub(super) fn take_message(
        &self,
        message: &Incoming<'_>,
        mut known: Negotiation,
        pids: &Pids,
        kind: NegotiationMessage,
    ) -> Result<Option<Negotiation>, Refused> {
        if known.taken == Some(message.digest) {
            return Ok(None);
        }
        let (ours, theirs, pointer) = match known.party {
            Party::Provider => (&pids.provider, &pids.consumer, "/consumerPid"),
            Party::Consumer => (&pids.consumer, &pids.provider, "/providerPid"),
        };
        let same_peer = known.peer_id.as_ref().is_none_or(|id| id == theirs);
        if ours != &known.id || !same_peer {
            let pointer = pointer.into();
            return Err(Refusal::Contradiction { pointer }.into());
        }
        match negotiation::next(Some(known.state), known.party.other(), kind) {
            Ok(state) => {
                known.state = state;
                known.peer_id = Some(theirs.clone());
                known.taken = Some(message.digest);
                // They answer what we said last, so they have it.
                known.unsent = None;
                known.waits_for_people = false;
                known.draft = None;
                Ok(Some(known))
            }
            Err(_) => {
                let refusal = Refusal::IllegalTransition {
                    message: kind.as_str(),
                    state: known.state.as_str(),
                };
                Err(Refused::about(known.pids(), refusal))
            }
        }
    }

    /// The terms of an offer or agreement that came in, which must be usable as they are.
    pub(super) fn terms_of(
        &self,
        turn: &Turn<'_>,
        policy: &Value,
        target: &WireId,
    ) -> Result<Terms, Refused> {
        let read = self.approver.terms(target, policy);
        let read = read.map_err(Refusal::Policy)?;
        if read.until <= turn.at() {
            let reason = "the term is over; ask for one that ends later";
            return Err(Refusal::Policy(reason.into()).into());
        }
        Ok(read)
    }

    /// Puts a negotiation on record and sends what it has to say.
    pub(super) fn put_negotiation(&mut self, turn: &mut Turn<'_>, negotiation: Negotiation) {
        let id = negotiation.id.clone();
        tracing::debug!(negotiation = %id, peer = %negotiation.peer, dataset = %negotiation.terms.dataset,
            state = negotiation.state.as_str(), "a negotiation moved on");
        let over = negotiation.state == NegotiationState::Terminated;
        let ours = negotiation.party == Party::Consumer;
        let cooperation = negotiation.cooperation.clone();
        self.live.agreements.moved.insert(id.clone());
        let before = self.state.book.negotiations.get(&id);
        if before.is_none_or(|before| before.unsent != negotiation.unsent) {
            self.forget_tries(&Timer::Negotiation(id.clone()));
        }
        self.record(turn, Record::Negotiation(Box::new(negotiation)));
        self.send_negotiation(turn, &id);
        if over && ours {
            self.abandon(turn, &cooperation);
        }
    }

    /// Ends the rest of a cooperation of which one negotiation has failed: its agreements come into
    /// force together or not at all.
    fn abandon(&mut self, turn: &mut Turn<'_>, cooperation: &WireId) {
        let members = self.state.book.members(cooperation);
        let open: Vec<Negotiation> = members
            .filter(|n| !n.state.is_terminal())
            .cloned()
            .collect();
        for mut negotiation in open {
            let reason =
                "another agreement of the cooperation was not concluded; propose all again";
            self.terminate(
                turn,
                &mut negotiation,
                Actor::Node,
                "cooperation-incomplete",
                reason,
            );
            let id = negotiation.id.clone();
            self.live.agreements.moved.insert(id.clone());
            self.record(turn, Record::Negotiation(Box::new(negotiation)));
            self.send_negotiation(turn, &id);
        }
    }

    /// Decides what comes next in a negotiation, and does it: the negotiation is put on record as it
    /// is then.
    pub(super) fn consider(
        &mut self,
        turn: &mut Turn<'_>,
        mut negotiation: Negotiation,
        waited: bool,
    ) {
        let offer = self.offer_about(&negotiation).cloned();
        let parties = negotiation.parties(&self.state.me);
        let can_provide = self.can_provide(&negotiation.terms).is_ok()
            && self.leaves_codes(&negotiation.terms, parties, []).is_ok();
        let Decided { next, by } = self.approver.negotiation(&NegotiationCase {
            negotiation: &negotiation,
            offer: offer.as_ref(),
            can_provide,
            mediated: self.is_mediated(&negotiation),
            waited,
        });
        let message = next.message(negotiation.party);
        let (state, party) = (negotiation.state, negotiation.party);
        if message.is_some_and(|m| negotiation::next(Some(state), party, m).is_err()) {
            tracing::error!(negotiation = %negotiation.id, ?next, %state,
                "the approver wants what the protocol does not allow; nothing was done");
            return self.put_if_changed(turn, negotiation);
        }
        negotiation.waits_for_people = next == NegotiationMove::AskPeople;
        match next {
            NegotiationMove::Wait | NegotiationMove::AskPeople => {
                self.put_if_changed(turn, negotiation);
            }
            NegotiationMove::Later(ms) => {
                let timer = Timer::DecideNegotiation(negotiation.id.clone());
                self.live.timer(turn.at().plus_ms(ms), timer);
                self.put_if_changed(turn, negotiation);
            }
            NegotiationMove::Agree => self.agree(turn, negotiation, by),
            NegotiationMove::Propose(terms) => {
                self.propose_terms(turn, negotiation, *terms, by, Vec::new());
            }
            NegotiationMove::Accept => self.accept(turn, negotiation, by),
            NegotiationMove::Verify => self.verify(turn, negotiation),
            NegotiationMove::Finalize => self.finalize(turn, negotiation),
            NegotiationMove::Terminate(reason) => {
                self.terminate(turn, &mut negotiation, by, "ended", &reason);
                self.put_negotiation(turn, negotiation);
            }
        }
    }

    /// Decides about a negotiation that nobody else is to move on: not the peer, who has something of
    /// ours to acknowledge, and not our people.
    pub(in super::super) fn decide_negotiation(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        waited: bool,
    ) {
        let known = self.state.book.negotiations.get(id);
        let open = known.filter(|n| n.unsent.is_none() && !n.waits_for_people);
        if let Some(negotiation) = open.filter(|n| !n.state.is_terminal()).cloned() {
            self.consider(turn, negotiation, waited);
        }
    }

    fn put_if_changed(&mut self, turn: &mut Turn<'_>, negotiation: Negotiation) {
        if self.state.book.negotiations.get(&negotiation.id) != Some(&negotiation) {
            self.put_negotiation(turn, negotiation);
        }
    }

    /// Ends a negotiation from our side, with a message if the peer knows of it; not yet on record.
    pub(super) fn terminate(
        &mut self,
        turn: &mut Turn<'_>,
        negotiation: &mut Negotiation,
        by: Actor,
        code: &str,
        reason: &str,
    ) {
        negotiation.state = NegotiationState::Terminated;
        negotiation.waits_for_people = false;
        negotiation.draft = None;
        // Until the peer has answered what opens it, nothing can be said about it: that first.
        if negotiation.peer_id.is_some() {
            negotiation.unsent = negotiation.termination_message(code, reason);
            self.forget_tries(&Timer::Negotiation(negotiation.id.clone()));
        }
        self.note(turn, negotiation, by, format!("ended it: {reason}"));
    }

    /// Ends the negotiations in which nobody has answered in time.
    pub(in super::super) fn expire_negotiations(&mut self, turn: &mut Turn<'_>) {
        while let Some((_, id)) = self
            .state
            .book
            .next_deadline()
            .filter(|(at, _)| *at <= turn.at())
        {
            let Some(mut negotiation) = self.state.book.negotiations.get(id).cloned() else {
                return;
            };
            let reason = if negotiation.terms.until <= turn.at() {
                "the term that it was about is over"
            } else {
                "nobody answered in time; propose it again"
            };
            self.terminate(turn, &mut negotiation, Actor::Node, "expired", reason);
            self.put_negotiation(turn, negotiation);
        }
    }

    /// Until when an answer of people to terms that were tabled now is waited for.
    pub(super) fn answer_by(&self, turn: &Turn<'_>) -> Timestamp {
        turn.at().plus_ms(self.config.proposal_life_ms)
    }

    /// The peer ends a negotiation.
    pub(super) fn termination_came(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
        known: Negotiation,
    ) -> Result<(), Refused> {
        let body = message.read(ContractNegotiationTerminationMessage::from_json)?;
        let taken =
            self.take_message(message, known, &body.pids, NegotiationMessage::Termination)?;
        if let Some(negotiation) = taken {
            let reason = shorten(&body.cause.reasons.join("; "));
            let by = Actor::Partner(message.from.clone());
            self.note(turn, &negotiation, by, format!("ended it: {reason}"));
            self.put_negotiation(turn, negotiation);
        }
        Ok(())
    }

    /// Sends a negotiation's message, if there is one and none is under way.
    pub(in super::super) fn send_negotiation(&mut self, turn: &mut Turn<'_>, id: &WireId) {
        let Some(negotiation) = self.state.book.negotiations.get(id) else {
            return;
        };
        let Some(unsent) = negotiation.unsent.clone() else {
            return;
        };
        if negotiation.terms.until <= turn.at() {
            let mut negotiation = negotiation.clone();
            self.forget_tries(&Timer::Negotiation(id.clone()));
            negotiation.unsent = None;
            if negotiation.state.is_terminal() {
                return self.record(turn, Record::Negotiation(Box::new(negotiation)));
            }
            negotiation.state = NegotiationState::Terminated;
            let what = "gave up: the term that it was about is over";
            self.note(turn, &negotiation, Actor::Node, what);
            return self.put_negotiation(turn, negotiation);
        }
        let to = negotiation.peer.clone();
        self.send(turn, id, to, unsent, Purpose::Negotiation(id.clone()));
    }

    /// Sends one message about a process, unless another one about it is under way.
    pub(super) fn send(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        to: interlock_core::ids::ParticipantId,
        message: Outgoing,
        purpose: Purpose,
    ) {
        let body = message.json();
        self.send_body(turn, id, to, message, body, purpose);
    }

    /// The same with a body that holds more than what is on record.
    pub(super) fn send_body(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        to: interlock_core::ids::ParticipantId,
        message: Outgoing,
        body: Value,
        purpose: Purpose,
    ) {
        if self.live.agreements.sending.contains_key(id) {
            return;
        }
        let request = PeerRequest::Dsp {
            post: true,
            path: message.path.clone(),
            body,
        };
        self.live.agreements.sending.insert(id.clone(), message);
        let call = self.live.call(purpose);
        turn.push(Effect::Call {
            call,
            to,
            request,
            timeout_ms: ANSWER_TIMEOUT_MS,
        });
    }

    /// The answer to a message about a negotiation.
    pub(in super::super) fn negotiation_answered(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        let sent = self.live.agreements.sending.remove(id);
        let Some(mut negotiation) = self.state.book.negotiations.get(id).cloned() else {
            return;
        };
        let current = negotiation.unsent.is_some() && negotiation.unsent == sent;
        let timer = Timer::Negotiation(id.clone());
        match verdict(outcome) {
            Verdict::Taken(body) if current => {
                if negotiation.peer_id.is_none() {
                    let Some(theirs) = their_id(&negotiation, &body) else {
                        let why = "the answer names no negotiation of ours";
                        return self.try_later(turn, timer, why.into());
                    };
                    negotiation.peer_id = Some(theirs);
                }
                self.negotiation_taken(turn, negotiation);
            }
            Verdict::Refused(reason) if current => {
                if negotiation.peer_id.is_none() || negotiation.state.is_terminal() {
                    return self.negotiation_refused(turn, negotiation, &reason, false);
                }
                // Nothing else is sent about it until that is known.
                self.live
                    .agreements
                    .sending
                    .extend(sent.map(|sent| (id.clone(), sent)));
                self.reread_negotiation(turn, &negotiation, reason);
            }
            Verdict::Again(why) | Verdict::NotYet(why) if current => {
                self.try_later(turn, timer, why)
            }
            // The answer is for a message that something newer has taken the place of.
            Verdict::Taken(_) | Verdict::Refused(_) | Verdict::Again(_) | Verdict::NotYet(_) => {
                self.send_negotiation(turn, id)
            }
        }
    }

    /// Where a negotiation stands at the peer, which refused our message about it: it may have had it
    /// before.
    pub(in super::super) fn negotiation_reread(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        refusal: String,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        let sent = self.live.agreements.sending.remove(id);
        let Some(negotiation) = self.state.book.negotiations.get(id).cloned() else {
            return;
        };
        if negotiation.unsent.is_none() || negotiation.unsent != sent {
            return self.send_negotiation(turn, id);
        }
        match negotiation.standing(outcome) {
            Ok(Standing::At(theirs)) if self.has_ours(&negotiation, theirs) => {
                self.negotiation_taken(turn, negotiation);
            }
            Ok(standing) => {
                let tell = match standing {
                    Standing::At(theirs) => !theirs.is_terminal(),
                    Standing::Unknown => false,
                };
                self.negotiation_refused(turn, negotiation, &refusal, tell);
            }
            Err(why) => self.try_later(turn, Timer::Negotiation(id.clone()), why),
        }
    }

    /// The peer has our message.
    fn negotiation_taken(&mut self, turn: &mut Turn<'_>, mut negotiation: Negotiation) {
        let id = negotiation.id.clone();
        self.forget_tries(&Timer::Negotiation(id.clone()));
        let opened = negotiation.unsent.as_ref().is_some_and(Outgoing::opens);
        if opened && negotiation.state.is_terminal() {
            let reason = "it was ended before you had it";
            negotiation.unsent = negotiation.termination_message("ended", reason);
            return self.put_negotiation(turn, negotiation);
        }
        negotiation.unsent = None;
        negotiation.expires_at = self.answer_by(turn);
        self.record(turn, Record::Negotiation(Box::new(negotiation)));
        self.decide_negotiation(turn, &id, false);
    }

    /// The peer will not take our message: it is over. `tell` the peer, if it does not think so itself.
    fn negotiation_refused(
        &mut self,
        turn: &mut Turn<'_>,
        mut negotiation: Negotiation,
        reason: &str,
        tell: bool,
    ) {
        self.forget_tries(&Timer::Negotiation(negotiation.id.clone()));
        negotiation.unsent = None;
        let by = Actor::Partner(negotiation.peer.clone());
        self.note(turn, &negotiation, by, format!("refused it: {reason}"));
        if negotiation.state.is_terminal() {
            return self.record(turn, Record::Negotiation(Box::new(negotiation)));
        }
        if tell {
            let reason = "you refused the message that came last";
            self.terminate(turn, &mut negotiation, Actor::Node, "refused", reason);
        }
        negotiation.state = NegotiationState::Terminated;
        self.put_negotiation(turn, negotiation);
    }

    /// Our own endpoint of the protocol: what messages name as callback address.
    pub(super) fn dsp_base(&self) -> Option<BaseUrl> {
        BaseUrl::parse(&format!("{}/dsp", self.config.exchange_url)).ok()
    }
}

impl NegotiationMove {
    /// The message by which `party` makes it, if it is made by one.
    const fn message(&self, party: Party) -> Option<NegotiationMessage> {
        match self {
            Self::Wait | Self::AskPeople | Self::Later(_) => None,
            Self::Agree => Some(NegotiationMessage::Agreement),
            Self::Propose(_) => Some(match party {
                Party::Provider => NegotiationMessage::Offer,
                Party::Consumer => NegotiationMessage::Request,
            }),
            Self::Accept => Some(NegotiationMessage::Accepted),
            Self::Verify => Some(NegotiationMessage::Verification),
            Self::Finalize => Some(NegotiationMessage::Finalized),
            Self::Terminate(_) => Some(NegotiationMessage::Termination),
        }
    }
}

impl Negotiation {
    /// Lays other terms on the table. `by` is the one of our people who made them, if they are ours.
    pub(super) fn table(&mut self, terms: Terms, by: Option<&str>) {
        self.policy_hash = terms.policy_hash();
        self.terms_before = Some(std::mem::replace(&mut self.terms, terms));
        self.version = self.version.saturating_add(1);
        self.approved_by = by.into_iter().map(Into::into).collect();
        self.draft = None;
    }
}

/// Reads a policy and checks that its terms go together.
///
/// # Errors
/// Everything that is wrong, each with the constraint named.
pub(super) fn check_policy(policy: &Value, dataset: Dataset) -> Result<Terms, String> {
    let join = |errors: Vec<String>| shorten(&errors.join("; "));
    let read = terms::parse_policy(policy, dataset)
        .map_err(|errors| join(errors.iter().map(ToString::to_string).collect()))?;
    terms::check_combination(&read)
        .map_err(|errors| join(errors.iter().map(ToString::to_string).collect()))?;
    Ok(read)
}

/// Checks what an offer on the wire says beside its rules.
pub(super) fn check_frame(
    offer: &dsp::Offer,
    target: &WireId,
    parties: [&str; 2],
) -> Result<(), Refused> {
    let [provider, consumer] = parties;
    let frame = [
        (&offer.target, target.as_str(), "/offer/target"),
        (&offer.assigner, provider, "/offer/assigner"),
        (&offer.assignee, consumer, "/offer/assignee"),
    ];
    for (given, wanted, pointer) in frame {
        if given.as_ref().is_some_and(|id| id.as_str() != wanted) {
            let pointer = pointer.into();
            return Err(Refusal::Contradiction { pointer }.into());
        }
    }
    Ok(())
}

/// The peer's id of a negotiation, from its answer to the message that opened it.
fn their_id(negotiation: &Negotiation, body: &Value) -> Option<WireId> {
    let answer = ContractNegotiation::from_json(body).ok()?;
    let (ours, theirs) = match negotiation.party {
        Party::Provider => (answer.pids.provider, answer.pids.consumer),
        Party::Consumer => (answer.pids.consumer, answer.pids.provider),
    };
    (ours == negotiation.id).then_some(theirs)
}

/// A text of the peer's, cut to what is kept.
pub(super) fn shorten(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control());
    plain.take(REASON_LENGTH_MAX).collect()
}
