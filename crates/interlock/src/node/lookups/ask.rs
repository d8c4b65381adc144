//! Asking owners for the contacts of parcels at our stations.

use interlock_core::contact::Phone;
use interlock_core::dataset::DatasetForm;
use interlock_core::ids::{DepositId, ParticipantId, RequestId, WireId};
use interlock_core::negotiation::Party;
use interlock_core::terms::Purpose;
use interlock_core::time::Timestamp;

use crate::exchange::wire::{
    ArrivalEvidence, ArrivalKind, Contact, Envelope, LOOKUP_ITEMS_MAX, LookupAnswer, LookupItem,
    LookupOutcome, LookupRequest,
};
use crate::node::Node;
use crate::node::io::{CallFailure, Effect, PeerAnswer, PeerRequest, Problem};
use crate::node::live::{self, Timer, backoff_ms};
use crate::node::problem::{self};
use crate::node::record::{AlertKind, ContactOutcome, LookupAsked, Record, Teller};
use crate::node::state::Deposit;
use crate::node::state::channel::Asked;
use crate::node::state::vault::Vault;
use crate::node::turn::Turn;

/// How long an owner may take before the call is repeated, in milliseconds.
const LOOKUP_TIMEOUT_MS: u32 = 5_000;
/// How long after the last answer its receipt is given on its own, in milliseconds.
const RECEIPT_DELAY_MS: i64 = 1_000;
/// Longest masked number that is taken, in characters.
const CONTACT_LENGTH_MAX: usize = 32;
/// Longest extension of a leased number that is taken, in digits.
const EXTENSION_LENGTH_MAX: usize = 12;
/// Largest contact sealed to a messenger that is taken, in bytes.
const SEALED_SIZE_BYTES_MAX: usize = 1_024;

impl Node {
    /// Has a deposit's contact asked for as soon as the owner is free.
    pub(in crate::node) fn ask_soon(&mut self, turn: &mut Turn<'_>, id: DepositId) {
        let owner = self
            .state
            .deposits
            .get(&id)
            .and_then(|d| self.state.parcels.get(d.parcel))
            .and_then(|p| p.owner().cloned());
        let Some(owner) = owner else {
            return self.contact_settled(turn, id, Some("owner-unknown"));
        };
        self.live
            .to_ask
            .entry(owner.clone())
            .or_default()
            .push_back(id);
        self.ask(turn, &owner);
    }

    /// Contacts can be asked for anew: asks for those of parcels that lie in a locker and of which nobody
    /// could tell, unless that had reasons which an agreement does not change.
    pub(in crate::node) fn ask_untold(&mut self, turn: &mut Turn<'_>, owner: &ParticipantId) {
        let untold = |deposit: &Deposit| {
            matches!(&deposit.teller, Some(Teller::Nobody { reason }) if may_change(reason))
                && deposit.may_ask()
        };
        let deposits = self.state.deposits.under_way().iter();
        let untold: Vec<DepositId> = deposits
            .filter(|(_, deposit)| untold(deposit))
            .filter(|(_, deposit)| {
                let parcel = self.state.parcels.get(deposit.parcel);
                parcel.is_some_and(|parcel| parcel.owner() == Some(owner))
            })
            .map(|(id, _)| *id)
            .collect();
        for id in untold {
            let queue = self.live.to_ask.get(owner);
            if !queue.is_some_and(|queue| queue.contains(&id)) && !self.is_asked(id) {
                self.ask_soon(turn, id);
            }
        }
    }

    /// Whether a lookup for the deposit is on record and unanswered.
    pub(in crate::node) fn is_asked(&self, id: DepositId) -> bool {
        self.state.channels.values().any(|c| {
            c.asked
                .values()
                .any(|a| a.items.iter().any(|(d, _, _)| *d == id))
        })
    }

    /// Sends what waits for `owner`, unless a lookup is under way.
    pub(in crate::node) fn ask(&mut self, turn: &mut Turn<'_>, owner: &ParticipantId) {
        if self.live.asking.contains(owner) || !self.is_compared(owner) {
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
        if self.state.channel(owner).is_some_and(|c| !c.has_room()) {
            return self.ask_later(turn, owner);
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
                .filter(|d| d.may_ask())
                .and_then(|d| self.state.parcels.get(d.parcel))
                .and_then(|p| {
                    let source = self.outlook(turn.now).contact_source(owner, &p);
                    source.map(|(agreement, _)| agreement.id.clone())
                });
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

    pub(in crate::node) fn lookup_items(&self, asked: &Asked) -> Vec<LookupItem> {
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
            .and_then(|a| self.state.book.started(a, Party::Consumer))
            .and_then(|t| t.peer_id.clone());
        let Some(transfer) = transfer else {
            self.lookup_over(turn, owner, request_id, "term-ended");
            return self.ask(turn, owner);
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
    pub(in crate::node) fn lookup_answered(
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
            Ok(PeerAnswer::Problem(refused)) => match final_reason(&refused) {
                Some(reason) => {
                    self.live.tries.remove(&Timer::Lookup(owner.clone()));
                    self.lookup_over(turn, owner, request_id, reason);
                    self.ask(turn, owner);
                }
                None => self.ask_later(turn, owner),
            },
            Ok(
                PeerAnswer::Dsp { .. }
                | PeerAnswer::Feed(_)
                | PeerAnswer::Evidence(_)
                | PeerAnswer::Mirror(_)
                | PeerAnswer::Cooperation(_)
                | PeerAnswer::Mediation(_),
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
        let own_ms = self.config.contact_kept_ms;
        let due = self.keep_until(turn, own_ms, Some(&asked.agreement));
        let vault = &self.state.vault;
        let outcomes: Vec<ContactOutcome> = answer
            .items
            .iter()
            .map(|item| stored(turn, vault, item, due))
            .collect();
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
    pub(in crate::node) fn lookup_receipt_due(
        &mut self,
        turn: &mut Turn<'_>,
        owner: &ParticipantId,
    ) {
        let busy = self.live.asking.contains(owner) || !self.is_compared(owner);
        if busy || !self.receipt_leaf(turn, owner) {
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
    pub(in crate::node) fn resume_lookups(&mut self, turn: &mut Turn<'_>) {
        let owners: Vec<ParticipantId> = self.state.channels.keys().cloned().collect();
        for owner in owners {
            self.ask(turn, &owner);
        }
    }
}

/// Whether another agreement, or another time, may release a contact that was refused for this reason.
fn may_change(reason: &str) -> bool {
    [
        "clock-uncertain",
        "closing",
        "code-withheld",
        "no-agreement",
        "no-gateway",
        "not-in-force",
        "not-in-run-off",
        "not-yet",
        "quota-per-day",
        "request-lost",
        "run-off-ended",
        "superseded",
        "suspended",
        "term-ended",
        "terminated",
        "transfer-not-started",
        "transfer-unknown",
    ]
    .contains(&reason)
}

/// Why a lookup was refused for good, if it was. An owner that does not know the transfer, as after a
/// start from an old copy, will not know it the next time either: who asks on has a deposit wait for
/// as long as the agreement stands. So has who repeats a request that lies in an epoch of its log that is
/// over: every envelope carries what the owner's copy lacks, so that what it does not show it never will.
fn final_reason(refused: &Problem) -> Option<&str> {
    match refused.status {
        403 => Some(&refused.kind),
        404 => Some("transfer-unknown"),
        422 if refused.kind == "evidence-mismatch" => Some("request-lost"),
        _ => None,
    }
}

/// Whether a contact can be what it says: it is shown to couriers and handed to a gateway.
fn usable(contact: &Contact) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    match contact {
        Contact::Full { phone } => Phone::parse(phone).is_ok(),
        Contact::Masked { phone } => {
            let known = |b: u8| b.is_ascii_digit() || matches!(b, b'*' | b'+');
            phone.len() <= CONTACT_LENGTH_MAX && phone.bytes().all(known)
        }
        Contact::Virtual {
            number, extension, ..
        } => {
            Phone::parse(number).is_ok()
                && extension.len() <= EXTENSION_LENGTH_MAX
                && digits(extension)
        }
        Contact::Sealed { ciphertext, .. } => ciphertext.0.len() <= SEALED_SIZE_BYTES_MAX,
    }
}

/// An outcome as it is put on record.
fn stored(
    turn: &mut Turn<'_>,
    vault: &Vault,
    outcome: &LookupOutcome,
    due: Timestamp,
) -> ContactOutcome {
    let denied = |reason: &str| ContactOutcome::Denied {
        reason: reason.chars().take(64).collect(),
    };
    match outcome {
        LookupOutcome::Denied { reason } => denied(reason),
        LookupOutcome::Released(contact) if !usable(contact) => denied("contact-unusable"),
        LookupOutcome::Released(contact) => match turn.seal(vault, contact, due) {
            Some(sealed) => ContactOutcome::Granted {
                form: contact.form(),
                contact: sealed,
            },
            None => denied("internal"),
        },
    }
}
