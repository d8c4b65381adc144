//! Lookups of recipients' contacts, at both sides.
//!
//! Purpose: asking an owner for the contacts of parcels that lie at our stations, and answering such
//! questions. Invariants: at most one lookup to an owner is under way, so that what queues meanwhile
//! is the next one; a request keeps its id until it is answered, and a repeat gets the same answer and
//! debits nothing; the form that leaves is the most restrictive that serves. The evidence in a request
//! is the asker's word, put on record at both sides: invented deposits are detected, not prevented.

use interlock_core::contact::ContactForm;
use interlock_core::dataset::DatasetForm;
use interlock_core::decide::{self, Decision, EvidenceSeen, Grant, ReleaseRequest};
use interlock_core::ids::{DepositId, ParticipantId, RequestId, WireId};
use interlock_core::negotiation::Party;
use interlock_core::parcel::Consent;
use interlock_core::terms::{Field, Purpose};
use interlock_core::time::DAY_MS;
use interlock_core::waybill::Waybill;

use super::Node;
use super::agreements::Agreement;
use super::io::{CallFailure, Effect, Guard, PeerAnswer, PeerRequest, Problem, ReplyId};
use super::live::{self, Timer, backoff_ms};
use super::problem::{self, field};
use super::record::{
    AlertKind, ContactOutcome, LookupAsked, LookupDecision, LookupReleased, Record,
};
use super::state::channel::{Answered, Asked};
use super::turn::Turn;
use crate::exchange::wire::{
    ArrivalEvidence, ArrivalKind, Contact, Envelope, LOOKUP_ITEMS_MAX, LookupAnswer, LookupItem,
    LookupOutcome, LookupRequest,
};

/// How long an owner may take before the call is repeated, in milliseconds.
const LOOKUP_TIMEOUT_MS: u32 = 5_000;
/// How long after the last answer its receipt is given on its own, in milliseconds.
const RECEIPT_DELAY_MS: i64 = 1_000;
/// Most lookups that may be without receipt.
const UNRECEIPTED_MAX: usize = 2;
/// How long a leased number works, in milliseconds.
const LEASE_MS: i64 = 7 * DAY_MS;
/// Longest skew of evidence against our clock, in milliseconds.
const EVIDENCE_SKEW_MS: i64 = 60_000;

impl Node {
    /// Has a deposit's contact asked for as soon as the owner is free.
    pub(super) fn ask_soon(&mut self, turn: &mut Turn<'_>, id: DepositId) {
        let owner = self
            .state
            .deposits
            .get(&id)
            .and_then(|d| self.state.parcels.get(d.parcel))
            .and_then(|p| p.owner().cloned());
        let Some(owner) = owner else { return };
        self.live
            .to_ask
            .entry(owner.clone())
            .or_default()
            .push_back(id);
        self.ask(turn, &owner);
    }

    /// Whether a lookup for the deposit is on record and unanswered.
    pub(super) fn is_asked(&self, id: DepositId) -> bool {
        self.state.channels.values().any(|c| {
            c.asked
                .values()
                .any(|a| a.items.iter().any(|(d, _, _)| *d == id))
        })
    }

    /// Sends what waits for `owner`, unless a lookup is under way.
    pub(super) fn ask(&mut self, turn: &mut Turn<'_>, owner: &ParticipantId) {
        if self.live.asking.contains(owner) {
            return;
        }
        let repeat = self
            .state
            .channels
            .get(owner)
            .and_then(|c| c.asked.iter().next())
            .map(|(id, asked)| (*id, asked.clone()));
        if let Some((request_id, asked)) = repeat {
            return self.send_lookup(turn, owner, request_id, &asked);
        }
        let Some(queue) = self.live.to_ask.get_mut(owner) else {
            return;
        };
        let count = queue.len().min(LOOKUP_ITEMS_MAX);
        let ids: Vec<DepositId> = queue.drain(..count).collect();
        let mut items = Vec::new();
        for id in ids {
            let source = self
                .state
                .deposits
                .get(&id)
                .filter(|d| d.teller.is_none() && !d.stay.phase().is_over())
                .and_then(|d| self.state.parcels.get(d.parcel))
                .and_then(|p| self.contact_source(&turn.now, owner, p))
                .map(|(agreement, _)| agreement.id.clone());
            match source {
                Some(agreement) => items.push((id, agreement)),
                None => self.contact_settled(turn, id, Some("term-ended")),
            }
        }
        let Some(agreement) = items.first().map(|(_, agreement)| agreement.clone()) else {
            return;
        };
        let (now, later): (Vec<_>, Vec<_>) = items.into_iter().partition(|(_, a)| *a == agreement);
        for (id, _) in later {
            self.live
                .to_ask
                .entry(owner.clone())
                .or_default()
                .push_back(id);
        }
        let items: Vec<_> = now
            .into_iter()
            .map(|(id, _)| (id, turn.random_id(), turn.at()))
            .collect();
        self.record_lookup(turn, owner, agreement, items);
    }

    fn record_lookup(
        &mut self,
        turn: &mut Turn<'_>,
        owner: &ParticipantId,
        agreement: WireId,
        items: Vec<(DepositId, RequestId, interlock_core::time::Timestamp)>,
    ) {
        self.receipt_leaf(turn, owner);
        let request_id = turn.random_id();
        let asked = Asked {
            agreement: agreement.clone(),
            purpose: Purpose::PickupNotification.as_str().into(),
            items: items.clone(),
            at: turn.at(),
        };
        let wire = self.lookup_items(&asked);
        let leaf = self.request_leaf(turn, request_id, &agreement, &asked.purpose, &wire);
        self.record(
            turn,
            Record::LookupAsked(Box::new(LookupAsked {
                to: owner.clone(),
                agreement,
                request_id,
                purpose: asked.purpose.clone(),
                items,
                leaf,
            })),
        );
        self.send_lookup(turn, owner, request_id, &asked);
    }

    fn lookup_items(&self, asked: &Asked) -> Vec<LookupItem> {
        let item = |(id, salt, at): &(DepositId, RequestId, interlock_core::time::Timestamp)| {
            let deposit = self.state.deposits.get(id)?;
            let waybill = &self.state.parcels.get(deposit.parcel)?.waybill;
            Some(LookupItem {
                carrier: waybill.carrier().as_str().into(),
                number: waybill.number().into(),
                evidence: Some(ArrivalEvidence {
                    kind: ArrivalKind::Arrival,
                    station: deposit.station.clone(),
                    at: *at,
                }),
                salt: *salt,
            })
        };
        asked.items.iter().filter_map(item).collect()
    }

    fn send_lookup(
        &mut self,
        turn: &mut Turn<'_>,
        owner: &ParticipantId,
        request_id: RequestId,
        asked: &Asked,
    ) {
        let agreement = self.state.book.agreements.get(&asked.agreement);
        let transfer = agreement
            .and_then(|a| self.transfer_of(a, Party::Consumer))
            .and_then(|t| t.peer_id.clone());
        let Some(transfer) = transfer else {
            return self.lookup_over(turn, owner, request_id, "term-ended");
        };
        let body = LookupRequest {
            request_id,
            purpose: asked.purpose.clone(),
            form: None,
            items: self.lookup_items(asked),
        };
        let envelope = self.envelope(turn, owner, body);
        let call = self.live.call(live::Purpose::Lookup {
            to: owner.clone(),
            request_id,
        });
        self.live.asking.insert(owner.clone());
        let request = PeerRequest::Lookup { transfer, envelope };
        turn.push(Effect::Call {
            call,
            to: owner.clone(),
            request,
            timeout_ms: LOOKUP_TIMEOUT_MS,
        });
    }

    /// The answer to a lookup of ours.
    pub(super) fn lookup_answered(
        &mut self,
        turn: &mut Turn<'_>,
        owner: &ParticipantId,
        request_id: RequestId,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        self.live.asking.remove(owner);
        match outcome {
            Ok(PeerAnswer::Lookup(envelope)) => {
                match self.take_contacts(turn, owner, request_id, &envelope) {
                    Ok(()) => {
                        self.live.tries.remove(&Timer::Lookup(owner.clone()));
                        self.live.timer(
                            turn.at().plus_ms(RECEIPT_DELAY_MS),
                            Timer::LookupReceipt(owner.clone()),
                        );
                        self.ask(turn, owner);
                    }
                    Err(problem) => {
                        self.alert(
                            turn,
                            AlertKind::EvidenceMismatch,
                            None,
                            Some(owner),
                            problem.detail,
                        );
                        self.ask_later(turn, owner);
                    }
                }
            }
            Ok(PeerAnswer::Problem(refused)) if refused.status == 403 => {
                self.lookup_over(turn, owner, request_id, &refused.kind);
                self.ask(turn, owner);
            }
            Ok(
                PeerAnswer::Problem(_)
                | PeerAnswer::Dsp { .. }
                | PeerAnswer::Feed(_)
                | PeerAnswer::Evidence(_)
                | PeerAnswer::Cooperation(_),
            )
            | Err(_) => {
                self.ask_later(turn, owner);
            }
        }
    }

    fn ask_later(&mut self, turn: &mut Turn<'_>, owner: &ParticipantId) {
        let timer = Timer::Lookup(owner.clone());
        let tries = self.live.tries.entry(timer.clone()).or_default();
        *tries = tries.saturating_add(1);
        let at = turn.at().plus_ms(backoff_ms(*tries, turn.random64()));
        self.live.timer(at, timer);
    }

    /// A lookup that was denied as a whole.
    fn lookup_over(
        &mut self,
        turn: &mut Turn<'_>,
        owner: &ParticipantId,
        request_id: RequestId,
        reason: &str,
    ) {
        let Some(asked) = self.state.asked(owner, request_id).cloned() else {
            return;
        };
        let outcomes = asked
            .items
            .iter()
            .map(|_| ContactOutcome::Denied {
                reason: reason.into(),
            })
            .collect();
        self.record(
            turn,
            Record::LookupAnswered {
                from: owner.clone(),
                request_id,
                outcomes,
            },
        );
        for (id, _, _) in asked.items {
            self.contact_settled(turn, id, Some(reason));
        }
    }

    fn take_contacts(
        &mut self,
        turn: &mut Turn<'_>,
        owner: &ParticipantId,
        request_id: RequestId,
        envelope: &Envelope<LookupAnswer>,
    ) -> Result<(), Problem> {
        let asked = self
            .state
            .asked(owner, request_id)
            .cloned()
            .ok_or_else(|| problem::not_found("lookup"))?;
        let answer = &envelope.body;
        if answer.request_id != request_id || answer.items.len() != asked.items.len() {
            return Err(problem::problem(
                "answer-mismatch",
                502,
                "not an answer",
                "the answer is for another lookup; it was not taken in",
            ));
        }
        self.take_evidence(turn, owner, &envelope.evidence)?;
        let wire = self.lookup_items(&asked);
        if !self.shows_contacts(owner, request_id, &wire, &answer.items) {
            return Err(problem::problem(
                "evidence-mismatch",
                502,
                "the answer is not on evidence",
                "the contacts are not what the partner's log says was released; they were not taken in",
            ));
        }
        let mut outcomes = Vec::with_capacity(answer.items.len());
        for item in &answer.items {
            outcomes.push(match item {
                LookupOutcome::Released(contact) => match turn.seal(contact) {
                    Some(sealed) => ContactOutcome::Granted {
                        form: contact.form(),
                        contact: sealed,
                    },
                    None => ContactOutcome::Denied {
                        reason: "internal".into(),
                    },
                },
                LookupOutcome::Denied { reason } => ContactOutcome::Denied {
                    reason: reason.chars().take(64).collect(),
                },
            });
        }
        let denials: Vec<Option<String>> = outcomes
            .iter()
            .map(|outcome| match outcome {
                ContactOutcome::Granted { form, .. } if form.can_notify() => None,
                ContactOutcome::Granted { .. } => Some("form-cannot-notify".into()),
                ContactOutcome::Denied { reason } => Some(reason.clone()),
            })
            .collect();
        self.record(
            turn,
            Record::LookupAnswered {
                from: owner.clone(),
                request_id,
                outcomes,
            },
        );
        for ((id, _, _), denied) in asked.items.iter().zip(denials) {
            self.contact_settled(turn, *id, denied.as_deref());
        }
        Ok(())
    }

    /// Gives the receipt for lookups on its own when no next lookup carries it.
    pub(super) fn lookup_receipt_due(&mut self, turn: &mut Turn<'_>, owner: &ParticipantId) {
        if self.live.asking.contains(owner) || !self.receipt_leaf(turn, owner) {
            return;
        }
        let transfer = self
            .state
            .book
            .transfers
            .values()
            .find(|t| {
                &t.peer == owner && t.party == Party::Consumer && self.is_lookup(&t.agreement)
            })
            .and_then(|t| t.peer_id.clone());
        let Some(transfer) = transfer else { return };
        let body = crate::exchange::wire::FeedReceipt {
            lane: crate::exchange::wire::Lane::Live,
            next: 0,
        };
        let envelope = self.envelope(turn, owner, body);
        let call = self.live.call(live::Purpose::LookupReceipt(owner.clone()));
        turn.push(Effect::Call {
            call,
            to: owner.clone(),
            request: PeerRequest::Receipt { transfer, envelope },
            timeout_ms: LOOKUP_TIMEOUT_MS,
        });
    }

    fn is_lookup(&self, agreement: &WireId) -> bool {
        self.state
            .book
            .agreements
            .get(agreement)
            .is_some_and(|a| a.terms.dataset.form() == DatasetForm::Lookup)
    }

    /// After a restart: repeats what was asked and not answered.
    pub(super) fn resume_lookups(&mut self, turn: &mut Turn<'_>) {
        let owners: Vec<ParticipantId> = self.state.channels.keys().cloned().collect();
        for owner in owners {
            self.ask(turn, &owner);
        }
    }

    /// A partner's lookup.
    pub(super) fn lookup(
        &mut self,
        turn: &mut Turn<'_>,
        reply: ReplyId,
        from: &ParticipantId,
        transfer: &WireId,
        envelope: &Envelope<LookupRequest>,
    ) {
        let (answer, guard) = match self.decide_lookup(turn, from, transfer, envelope) {
            Ok((answer, guard)) => (answer, Some(guard)),
            Err(refused) => (PeerAnswer::Problem(refused), None),
        };
        turn.push(Effect::ReplyPeer {
            to: reply,
            answer,
            guard,
        });
    }

    fn decide_lookup(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        transfer: &WireId,
        envelope: &Envelope<LookupRequest>,
    ) -> Result<(PeerAnswer, Guard), Problem> {
        let agreement = self.provided(from, transfer, DatasetForm::Lookup)?;
        let request = &envelope.body;
        check_lookup(request)?;
        self.take_evidence(turn, from, &envelope.evidence)?;
        let known = self
            .state
            .channels
            .get(from)
            .and_then(|c| {
                c.answered
                    .iter()
                    .find(|a| a.request_id == request.request_id)
            })
            .cloned();
        let answered = match known {
            Some(answered) => {
                if let Some(reason) = self.closed(&turn.now, &agreement) {
                    return Err(problem::denial(reason));
                }
                answered
            }
            None => self.release_lookup(turn, from, &agreement, request)?,
        };
        let items = answered
            .outcomes
            .iter()
            .map(|outcome| self.outcome(outcome))
            .collect();
        let body = LookupAnswer {
            request_id: request.request_id,
            items,
        };
        let in_run_off = agreement.state == interlock_core::agreement::AgreementState::RunOff;
        let end = agreement.facts.end(&agreement.terms);
        let until = if in_run_off {
            end.plus_ms(agreement.terms.run_off_ms.unwrap_or(0))
        } else {
            end
        };
        let guard = Guard {
            until,
            agreement: agreement.id,
            to: from.clone(),
        };
        Ok((PeerAnswer::Lookup(self.envelope(turn, from, body)), guard))
    }

    fn release_lookup(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        agreement: &Agreement,
        request: &LookupRequest,
    ) -> Result<Answered, Problem> {
        let root = super::evidence::lookup_root(&request.items);
        if !self.shows_request(from, request.request_id, &root) {
            return Err(problem::problem(
                "evidence-mismatch",
                422,
                "the request is not on evidence",
                "the body is not what your log says you asked for; append the request to your log first, then send it as it is there",
            ));
        }
        let unreceipted = self
            .state
            .channels
            .get(from)
            .map_or(0, |c| c.answered.len());
        if unreceipted >= UNRECEIPTED_MAX {
            return Err(problem::problem(
                "receipt-missing",
                409,
                "receipts are missing",
                format!(
                    "{UNRECEIPTED_MAX} answers are without receipt; send their receipts with the next call"
                ),
            ));
        }
        let day = agreement.terms.zone.day_of(turn.at());
        let mut outcomes = Vec::with_capacity(request.items.len());
        let mut usage = self
            .state
            .channels
            .get(from)
            .and_then(|c| c.usage.get(&agreement.terms.dataset))
            .cloned()
            .unwrap_or_default();
        for item in &request.items {
            let outcome = self.decide_contact(turn, from, agreement, request, item, day, &usage);
            if let LookupDecision::Released { parcel, .. } = &outcome {
                usage.debit(day, *parcel);
            }
            outcomes.push(outcome);
        }
        let leaves = self.lookup_leaves(
            turn,
            agreement,
            request.request_id,
            &request.items,
            &outcomes,
        );
        self.record(
            turn,
            Record::LookupReleased(Box::new(LookupReleased {
                to: from.clone(),
                agreement: agreement.id.clone(),
                request_id: request.request_id,
                purpose: request.purpose.clone(),
                day,
                outcomes,
                leaves,
            })),
        );
        let answered = self
            .state
            .channels
            .get(from)
            .and_then(|c| c.answered.back())
            .cloned();
        answered.ok_or_else(|| {
            problem::problem(
                "internal",
                500,
                "not released",
                "the release could not be put on record; try again",
            )
        })
    }

    fn decide_contact(
        &self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        agreement: &Agreement,
        request: &LookupRequest,
        item: &LookupItem,
        day: i64,
        usage: &super::state::channel::UsageState,
    ) -> LookupDecision {
        let denied = |reason: &str| LookupDecision::Denied {
            reason: reason.into(),
        };
        let Some(purpose) = Purpose::parse(&request.purpose) else {
            return denied("purpose-not-granted");
        };
        let parcel = Waybill::parse(&item.carrier, &item.number)
            .ok()
            .and_then(|w| self.state.parcels.find(&w));
        let Some(parcel) =
            parcel.filter(|p| p.owner() == Some(&self.state.me) && p.recipient.is_some())
        else {
            return denied("unknown-parcel");
        };
        let evidence = EvidenceSeen {
            arrival: has(item, ArrivalKind::Arrival, turn),
            deposit: has(item, ArrivalKind::Deposit, turn),
            open_elsewhere: false,
        };
        let fields = [Field::Contact];
        let decision = decide::decide(
            &ReleaseRequest {
                purpose,
                marketplace: parcel.marketplace.as_ref(),
                fields: &fields,
                form: request.form,
                arose_at: parcel.registered_at,
                qualified_at: Some(parcel.registered_at),
            },
            &agreement.terms,
            &self.standing(&turn.now, agreement, Some(parcel.registered_at)),
            &usage.seen(day, parcel.id),
            &evidence,
            &turn.now,
        );
        match decision {
            Decision::Denial(reason) => denied(reason.as_str()),
            Decision::Release(_) if parcel.consent == Consent::Refused => denied("consent-refused"),
            Decision::Release(Grant {
                form: Some(form), ..
            }) => {
                let id = parcel.id;
                let held = parcel
                    .lease
                    .clone()
                    .filter(|(_, until, to)| to == from && *until > turn.at());
                let lease = (form == ContactForm::Virtual).then(|| match held {
                    Some((extension, until, _)) => (extension, until),
                    None => (
                        format!("{:06}", turn.random64() % 1_000_000),
                        turn.at().plus_ms(LEASE_MS),
                    ),
                });
                LookupDecision::Released {
                    parcel: id,
                    form,
                    lease,
                }
            }
            Decision::Release(Grant { form: None, .. }) => denied("form-not-granted"),
        }
    }

    /// An outcome with the contact itself, from the parcel as it is now.
    fn outcome(&self, decision: &LookupDecision) -> LookupOutcome {
        let denied = |reason: &str| LookupOutcome::Denied {
            reason: reason.into(),
        };
        let (parcel, form, lease) = match decision {
            LookupDecision::Denied { reason } => return denied(reason),
            LookupDecision::Released {
                parcel,
                form,
                lease,
            } => (parcel, form, lease),
        };
        let recipient = self
            .state
            .parcels
            .get(*parcel)
            .and_then(|p| p.recipient.as_ref())
            .and_then(|r| r.value.as_ref());
        let Some(recipient) = recipient else {
            return denied("deleted");
        };
        match (form, lease, &self.config.virtual_number) {
            (ContactForm::Masked, _, _) => LookupOutcome::Released(Contact::Masked {
                phone: recipient.phone.masked(),
            }),
            (ContactForm::Full, _, _) => LookupOutcome::Released(Contact::Full {
                phone: recipient.phone.reveal().into(),
            }),
            (ContactForm::Virtual, Some((extension, expires_at)), Some(number)) => {
                LookupOutcome::Released(Contact::Virtual {
                    number: number.clone(),
                    extension: extension.clone(),
                    expires_at: *expires_at,
                })
            }
            (ContactForm::Virtual, _, _) => denied("no-virtual-number"),
            (ContactForm::Sealed, _, _) => denied("no-messenger"),
        }
    }
}

fn has(item: &LookupItem, kind: ArrivalKind, turn: &Turn<'_>) -> bool {
    item.evidence
        .as_ref()
        .is_some_and(|e| e.kind == kind && e.at <= turn.now.latest.plus_ms(EVIDENCE_SKEW_MS))
}

fn check_lookup(request: &LookupRequest) -> Result<(), Problem> {
    if request.items.is_empty() || request.items.len() > LOOKUP_ITEMS_MAX {
        return Err(field(
            "lookup-size",
            422,
            "not a lookup",
            "/body/items",
            format!(
                "{} items; send 1 to {LOOKUP_ITEMS_MAX}",
                request.items.len()
            ),
        ));
    }
    Ok(())
}
