//! Transfers: how an agreement in force hands over its dataset.
//!
//! Purpose: the transfer process of DSP 2025-1, at both sides. Invariants: a
//! transfer is started only under an agreement in force; what one party suspended only that party
//! resumes; a transfer whose agreement has ended releases nothing, whether or not a message says so.
//! Our own pulls go to the partner list's address, whatever a start says. It does not know cursors: a
//! feed's position outlives its transfers.

use interlock_core::agreement::AgreementState;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::negotiation::Party;
use interlock_core::terms::RUN_OFF_MS_MAX;
use interlock_core::time::DAY_MS;
use interlock_core::transfer::{self, TransferMessage, TransferState};
use serde_json::Value;

use super::super::Node;
use super::super::io::{CallFailure, PeerAnswer};
use super::super::live::{Purpose, Timer};
use super::super::record::{ContentRef, ErasureReason, Record};
use super::super::turn::Turn;
use super::address::PULL;
use super::approver::{Decided, TransferCase, TransferMove};
use super::delivery::{Verdict, verdict};
use super::door::{Incoming, Refused};
use super::messages::cause;
use super::negotiate::shorten;
use super::{Actor, Agreement, OPEN_TRANSFERS_MAX, Outgoing, PushTarget, Transfer, new_id};
use crate::dsp::failure::Refusal;
use crate::dsp::message::{
    Pids, TransferCompletionMessage, TransferProcess, TransferRequestMessage, TransferStartMessage,
    TransferSuspensionMessage, TransferTerminationMessage,
};
use crate::dsp::routes::{Route, TransferStep};

/// How long the end of a transfer is told to a partner that does not answer, after the end of its
/// agreement, in milliseconds.
const FAREWELL_MS: i64 = DAY_MS;

impl Node {
    /// Asks the provider of an agreement in force for its dataset, unless that is under way.
    pub(in super::super) fn request_transfer(&mut self, turn: &mut Turn<'_>, agreement: &WireId) {
        let Some(agreement) = self.state.book.agreements.get(agreement) else {
            return;
        };
        let under_way = self
            .state
            .book
            .transfers_of(&agreement.id)
            .any(|t| t.party == Party::Consumer && !t.state.is_terminal());
        if under_way || agreement.consumer != self.state.me {
            return;
        }
        let Some(callback) = self.dsp_base() else {
            return;
        };
        let (peer, agreement) = (agreement.provider.clone(), agreement.id.clone());
        let id = new_id(turn);
        let message = TransferRequestMessage {
            consumer_pid: id.clone(),
            agreement_id: agreement.clone(),
            format: PULL.into(),
            callback,
            data_address: None,
        };
        let transfer = Transfer {
            id,
            peer_id: None,
            peer,
            party: Party::Consumer,
            agreement,
            state: TransferState::Requested,
            unsent: Some(Outgoing::new(&Route::TransferRequest, &message.to_json())),
            taken: None,
            starts: 0,
            push: None,
        };
        self.put_transfer(turn, transfer);
    }

    /// A consumer asks for the dataset of an agreement.
    pub(super) fn transfer_requested(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
    ) -> Result<Value, Refused> {
        let body = message.read(TransferRequestMessage::from_json)?;
        let book = &self.state.book;
        let asked_before = book.transfer_with(message.from, Party::Provider, &body.consumer_pid);
        if let Some(known) = asked_before {
            if known.agreement == body.agreement_id {
                return Ok(known.to_wire(known.state));
            }
            let pointer = "/agreementId".into();
            return Err(Refusal::Contradiction { pointer }.into());
        }
        let agreement = self.state.book.agreements.get(&body.agreement_id);
        let agreement = agreement
            .filter(|a| a.provider == self.state.me && &a.consumer == message.from)
            .ok_or(Refusal::NotFound)?;
        self.check_callback(message.from, &body.callback)?;
        let form = agreement.terms.dataset.form();
        let push = self.push_target(message.from, &body, form)?;
        match agreement.state_at(&turn.now) {
            AgreementState::InForce => {}
            // It may come: the consumer's clock or its news of a resumption are ahead of ours.
            AgreementState::Finalized | AgreementState::Signed | AgreementState::Suspended => {
                return Err(Refusal::Unavailable.into());
            }
            AgreementState::RunOff | AgreementState::Ended | AgreementState::Superseded => {
                let reason = "the agreement is over; negotiate a new one";
                return Err(Refusal::Policy(reason.into()).into());
            }
        }
        let all = self.state.book.transfers_of(&agreement.id);
        let open = all.filter(|t| !t.state.is_terminal());
        if open.count() >= OPEN_TRANSFERS_MAX {
            return Err(Refusal::Throttled.into());
        }
        let id = new_id(turn);
        let push = self.seal_push_secret(turn, &id, &body.agreement_id, push)?;
        let transfer = Transfer {
            id,
            peer_id: Some(body.consumer_pid),
            peer: message.from.clone(),
            party: Party::Provider,
            agreement: body.agreement_id,
            state: TransferState::Requested,
            unsent: None,
            taken: Some(message.endpoint),
            starts: 0,
            push,
        };
        let answer = transfer.to_wire(transfer.state);
        self.consider_transfer(turn, transfer, false);
        Ok(answer)
    }

    /// Keeps what a connector wants to be shown with its pages beside the transfer, sealed: it is a
    /// secret of the connector's, and records are kept for years.
    fn seal_push_secret(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        agreement: &WireId,
        push: Option<PushTarget>,
    ) -> Result<Option<PushTarget>, Refused> {
        let Some(mut push) = push else {
            return Ok(None);
        };
        let Some(secret) = push.authorization.take() else {
            return Ok(Some(push));
        };
        let agreement = self.state.book.agreements.get(agreement);
        let agreement = agreement.ok_or(Refusal::NotFound)?;
        let due = agreement.flows_until().plus_ms(RUN_OFF_MS_MAX + DAY_MS);
        let sealed = turn.seal(&self.state.vault, &secret, due);
        let secret = sealed.ok_or(Refusal::Unavailable)?;
        let transfer = id.clone();
        self.record(turn, Record::PushSecret { transfer, secret });
        Ok(Some(push))
    }

    /// Puts a transfer on record. One that is over needs no secret any more.
    pub(super) fn record_transfer(&mut self, turn: &mut Turn<'_>, transfer: Transfer) {
        let over = transfer.state.is_terminal();
        let id = transfer.id.clone();
        self.record(turn, Record::Transfer(Box::new(transfer)));
        if over {
            let secret = vec![ContentRef::PushSecret(id)];
            self.erase(turn, secret, ErasureReason::Over);
        }
    }

    /// Decides what comes next in a transfer, and does it: the transfer is put on record as it is then.
    fn consider_transfer(&mut self, turn: &mut Turn<'_>, mut transfer: Transfer, waited: bool) {
        let Decided { next, by: _ } = self.approver.transfer(&TransferCase {
            transfer: &transfer,
            waited,
        });
        if let TransferMove::Later(ms) = next {
            let timer = Timer::DecideTransfer(transfer.id.clone());
            self.live.timer(turn.at().plus_ms(ms), timer);
        }
        if let Some(message) = next.message() {
            match transfer::next(Some(transfer.state), transfer.party, message) {
                Ok(state) => {
                    let starts = transfer.party == Party::Provider && next == TransferMove::Start;
                    transfer.state = state;
                    transfer.starts += u32::from(starts);
                    transfer.unsent = self.transfer_message(&transfer, &next);
                }
                Err(error) => {
                    tracing::error!(transfer = %transfer.id, %error, "the approver wants what the protocol does not allow; nothing was done");
                }
            }
        }
        if self.state.book.transfers.get(&transfer.id) != Some(&transfer) {
            self.put_transfer(turn, transfer);
        }
    }

    /// Decides about a transfer whose peer has nothing of ours to acknowledge.
    pub(in super::super) fn decide_transfer(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        waited: bool,
    ) {
        let known = self.state.book.transfers.get(id);
        let open = known.filter(|t| t.unsent.is_none() && !t.state.is_terminal());
        if let Some(transfer) = open.cloned() {
            self.consider_transfer(turn, transfer, waited);
        }
    }

    pub(super) fn transfer_message(
        &self,
        transfer: &Transfer,
        next: &TransferMove,
    ) -> Option<Outgoing> {
        let pids = transfer.pids()?;
        let (step, body) = match next {
            TransferMove::Wait | TransferMove::Later(_) => return None,
            TransferMove::Start => return self.start_message(transfer),
            TransferMove::Suspend(reason) => {
                let cause = cause("suspended", reason);
                let message = TransferSuspensionMessage { pids, cause };
                (TransferStep::Suspension, message.to_json())
            }
            TransferMove::Complete => {
                let message = TransferCompletionMessage { pids };
                (TransferStep::Completion, message.to_json())
            }
            TransferMove::Terminate(reason) => {
                let cause = cause("ended", reason);
                let message = TransferTerminationMessage { pids, cause };
                (TransferStep::Termination, message.to_json())
            }
        };
        transfer.outgoing(step, &body)
    }

    fn start_message(&self, transfer: &Transfer) -> Option<Outgoing> {
        let agreement = self.state.book.agreements.get(&transfer.agreement)?;
        let body = self.start_body(transfer, agreement.terms.dataset.form())?;
        transfer.outgoing(TransferStep::Start, &body)
    }

    /// The transfer `id` of ours, if it is with `from`.
    pub(super) fn transfer_with(
        &self,
        from: &ParticipantId,
        id: &WireId,
    ) -> Result<Transfer, Refused> {
        let known = self.state.book.transfers.get(id);
        known
            .filter(|transfer| &transfer.peer == from)
            .cloned()
            .ok_or_else(|| Refusal::NotFound.into())
    }

    /// Takes a message of the peer: `None` for a repeat of the last one.
    fn take_transfer_message(
        message: &Incoming<'_>,
        mut known: Transfer,
        pids: &Pids,
        kind: TransferMessage,
    ) -> Result<Option<Transfer>, Refused> {
        let (ours, theirs, pointer) = match known.party {
            Party::Provider => (&pids.provider, &pids.consumer, "/consumerPid"),
            Party::Consumer => (&pids.consumer, &pids.provider, "/providerPid"),
        };
        let same_peer = known.peer_id.as_ref().is_none_or(|id| id == theirs);
        if ours != &known.id || !same_peer {
            let pointer = pointer.into();
            return Err(Refusal::Contradiction { pointer }.into());
        }
        // The same message in another state is another one: a second start after a suspension.
        if known.taken == Some(message.endpoint) && known.state == kind.leads_to() {
            return Ok(None);
        }
        match transfer::next(Some(known.state), known.party.other(), kind) {
            Ok(state) => {
                known.state = state;
                known.peer_id = Some(theirs.clone());
                known.taken = Some(message.endpoint);
                known.unsent = None;
                Ok(Some(known))
            }
            Err(_) => Err(illegal(&known, kind)),
        }
    }

    /// The peer starts a transfer, for the first time or after its own suspension.
    pub(super) fn start_came(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
        known: Transfer,
    ) -> Result<(), Refused> {
        let body = message.read(TransferStartMessage::from_json)?;
        let kind = TransferMessage::Start;
        let refused = illegal(&known, kind);
        let Some(transfer) = Self::take_transfer_message(message, known, &body.pids, kind)? else {
            return Ok(());
        };
        let agreement = self.state.book.agreements.get(&transfer.agreement).cloned();
        if let Some(agreement) = agreement.filter(|a| a.suspended_by.is_some()) {
            if agreement.suspended_by.as_ref() != Some(message.from) {
                return Err(refused);
            }
            self.resumed(turn, agreement, Actor::Partner(message.from.clone()));
        }
        let id = transfer.id.clone();
        self.put_transfer(turn, transfer);
        self.settle_now(turn);
        self.start_pull(turn, &id);
        self.push(turn, &id);
        self.decide_transfer(turn, &id, false);
        Ok(())
    }

    /// The peer suspends a transfer, and with it the agreement.
    pub(super) fn suspension_came(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
        known: Transfer,
    ) -> Result<(), Refused> {
        let body = message.read(TransferSuspensionMessage::from_json)?;
        let kind = TransferMessage::Suspension;
        let Some(transfer) = Self::take_transfer_message(message, known, &body.pids, kind)? else {
            return Ok(());
        };
        let agreement = self.state.book.agreements.get(&transfer.agreement).cloned();
        if let Some(agreement) = agreement.filter(|a| a.suspended_by.is_none()) {
            let reason = shorten(&body.cause.reasons.join("; "));
            let by = Actor::Partner(message.from.clone());
            self.suspended(turn, agreement, message.from, by, &reason);
        }
        self.put_transfer(turn, transfer);
        self.settle_now(turn);
        Ok(())
    }

    /// The peer declares a transfer complete.
    pub(super) fn completion_came(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
        known: Transfer,
    ) -> Result<(), Refused> {
        let body = message.read(TransferCompletionMessage::from_json)?;
        let kind = TransferMessage::Completion;
        if let Some(transfer) = Self::take_transfer_message(message, known, &body.pids, kind)? {
            self.put_ended(turn, transfer);
        }
        Ok(())
    }

    /// The peer ends a transfer.
    pub(super) fn transfer_terminated(
        &mut self,
        turn: &mut Turn<'_>,
        message: &Incoming<'_>,
        known: Transfer,
    ) -> Result<(), Refused> {
        let body = message.read(TransferTerminationMessage::from_json)?;
        let kind = TransferMessage::Termination;
        if let Some(transfer) = Self::take_transfer_message(message, known, &body.pids, kind)? {
            self.put_ended(turn, transfer);
        }
        Ok(())
    }

    /// Suspends or starts again the transfers of an agreement that our people stopped or resumed.
    pub(super) fn follow_agreement(
        &mut self,
        turn: &mut Turn<'_>,
        agreement: &WireId,
        reason: &str,
    ) {
        let Some(agreement) = self.state.book.agreements.get(agreement) else {
            return;
        };
        let stopped = agreement.suspended_by.is_some();
        let wanted = if stopped {
            TransferState::Started
        } else {
            TransferState::Suspended
        };
        let all = self.state.book.transfers_of(&agreement.id);
        let mine = all.filter(|t| t.state == wanted);
        let transfers: Vec<Transfer> = mine.cloned().collect();
        for mut transfer in transfers {
            if stopped {
                let next = TransferMove::Suspend(reason.into());
                transfer.state = TransferState::Suspended;
                transfer.unsent = self.transfer_message(&transfer, &next);
            } else {
                transfer.state = TransferState::Started;
                transfer.starts += u32::from(transfer.party == Party::Provider);
                transfer.unsent = self.start_message(&transfer);
            }
            let id = transfer.id.clone();
            self.put_transfer(turn, transfer);
            self.start_pull(turn, &id);
        }
    }

    /// Ends the transfers of an agreement that is over. A node knows that by itself; to a connector it
    /// is said.
    pub(in super::super) fn end_transfers(&mut self, turn: &mut Turn<'_>, agreement: &Agreement) {
        if !self.state.is_connector(agreement.other(&self.state.me)) {
            return;
        }
        let all = self.state.book.transfers_of(&agreement.id);
        let open: Vec<Transfer> = all.filter(|t| !t.state.is_terminal()).cloned().collect();
        for mut transfer in open {
            let reason = "the agreement is over; negotiate a new one";
            let next = TransferMove::Terminate(reason.into());
            transfer.state = TransferState::Terminated;
            transfer.unsent = self.transfer_message(&transfer, &next);
            self.put_transfer(turn, transfer);
        }
    }

    pub(super) fn put_transfer(&mut self, turn: &mut Turn<'_>, transfer: Transfer) {
        let id = transfer.id.clone();
        let before = self.state.book.transfers.get(&id);
        if before.is_none_or(|before| before.unsent != transfer.unsent) {
            self.forget_tries(&Timer::Transfer(id.clone()));
        }
        self.record_transfer(turn, transfer);
        self.send_transfer(turn, &id);
    }

    /// Sends a transfer's message, if there is one, none is under way, and the agreement still runs; its
    /// last one also for [`FAREWELL_MS`] after the end.
    pub(in super::super) fn send_transfer(&mut self, turn: &mut Turn<'_>, id: &WireId) {
        let Some(transfer) = self.state.book.transfers.get(id) else {
            return;
        };
        let agreement = self.state.book.agreements.get(&transfer.agreement);
        let over = transfer.state.is_terminal();
        let runs = agreement.is_some_and(|a| {
            let run_off_ms = a.terms.run_off_ms.unwrap_or(0);
            let end = a.facts.end(&a.terms).plus_ms(run_off_ms);
            Self::is_live(turn, a) || over && turn.at() < end.plus_ms(FAREWELL_MS)
        });
        let Some(unsent) = transfer.unsent.clone().filter(|_| runs) else {
            return;
        };
        let to = transfer.peer.clone();
        let body = self.with_tokens(turn, transfer, unsent.json());
        self.send_body(turn, id, to, unsent, body, Purpose::Transfer(id.clone()));
    }

    /// The answer to a message about a transfer.
    pub(in super::super) fn transfer_answered(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        let sent = self.live.agreements.sending.remove(id);
        let Some(mut transfer) = self.state.book.transfers.get(id).cloned() else {
            return;
        };
        let current = transfer.unsent.is_some() && transfer.unsent == sent;
        let timer = Timer::Transfer(id.clone());
        match verdict(outcome) {
            Verdict::Taken(body) if current => {
                if transfer.peer_id.is_none() {
                    let Some(theirs) = their_id(&transfer, &body) else {
                        let why = "the answer names no transfer of ours";
                        return self.try_later(turn, timer, why.into());
                    };
                    transfer.peer_id = Some(theirs);
                }
                self.transfer_taken(turn, transfer);
            }
            Verdict::Refused(reason) if current => {
                if transfer.peer_id.is_none() || transfer.state.is_terminal() {
                    return self.transfer_refused(turn, transfer, &reason, None);
                }
                // Nothing else is sent about it until that is known.
                self.live
                    .agreements
                    .sending
                    .extend(sent.map(|sent| (id.clone(), sent)));
                self.reread_transfer(turn, &transfer, reason);
            }
            Verdict::Again(why) if current => self.try_later(turn, timer, why),
            Verdict::NotYet(why) if current => self.try_soon(turn, timer, why),
            // The answer is for a message that something newer has taken the place of.
            Verdict::Taken(_) | Verdict::Refused(_) | Verdict::Again(_) | Verdict::NotYet(_) => {
                self.send_transfer(turn, id)
            }
        }
    }

    /// Takes up what was under way before a restart.
    pub(in super::super) fn resume_agreements(&mut self, turn: &mut Turn<'_>) {
        let book = &self.state.book;
        self.live.agreements.touched = book.agreements.keys().cloned().collect();
        self.settle_now(turn);
        let book = &self.state.book;
        let negotiations: Vec<WireId> = book.unsent().cloned().collect();
        let transfers: Vec<WireId> = book.transfers.keys().cloned().collect();
        let untold: Vec<WireId> = book.untold().cloned().collect();
        for id in negotiations {
            self.maybe_tried(turn, Timer::Negotiation(id.clone()));
            self.send_negotiation(turn, &id);
        }
        for id in transfers {
            self.send_transfer(turn, &id);
            self.start_pull(turn, &id);
            self.push(turn, &id);
        }
        for id in untold {
            self.send_cooperation(turn, &id);
        }
        self.resume_asking(turn);
    }

    /// Takes up with one partner what waited until its log was compared with ours.
    pub(in super::super) fn resume_agreements_with(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
    ) {
        let book = &self.state.book;
        let agreements = book.agreements.values();
        let agreements = agreements.filter(|a| a.other(&self.state.me) == partner);
        let touched: Vec<WireId> = agreements.map(|a| a.id.clone()).collect();
        let transfers = book.transfers.values().filter(|t| &t.peer == partner);
        let transfers: Vec<WireId> = transfers.map(|t| t.id.clone()).collect();
        let untold: Vec<WireId> = book.untold().cloned().collect();
        self.live.agreements.touched.extend(touched);
        self.settle_now(turn);
        for id in transfers {
            self.start_pull(turn, &id);
        }
        for id in untold {
            self.send_cooperation(turn, &id);
        }
    }
}

impl TransferMove {
    /// The message by which it is made, if it is made by one.
    const fn message(&self) -> Option<TransferMessage> {
        match self {
            Self::Wait | Self::Later(_) => None,
            Self::Start => Some(TransferMessage::Start),
            Self::Suspend(_) => Some(TransferMessage::Suspension),
            Self::Complete => Some(TransferMessage::Completion),
            Self::Terminate(_) => Some(TransferMessage::Termination),
        }
    }
}

fn illegal(known: &Transfer, kind: TransferMessage) -> Refused {
    let refusal = Refusal::IllegalTransition {
        message: kind.as_str(),
        state: known.state.as_str(),
    };
    Refused::about(known.pids(), refusal)
}

/// The provider's id of a transfer, from its answer to our request.
fn their_id(transfer: &Transfer, body: &Value) -> Option<WireId> {
    let answer = TransferProcess::from_json(body).ok()?;
    (answer.pids.consumer == transfer.id).then_some(answer.pids.provider)
}
