//! Messages to recipients: decided once, handed to the gateway until it takes them.
//!
//! Purpose: exactly one message for each occasion. Invariants: a message is on record before it goes to
//! the gateway, and its id is the gateway's idempotency key, so that a restart repeats no message; the
//! code is in the text only while it is ours to tell, and the recipient has enrolled no key for it. It does not know HTTP.

use interlock_core::event::{ParcelEvent, Step};
use interlock_core::ids::{MessageId, ParcelId};
use interlock_core::locker::Input as StayInput;
use interlock_core::terms::Notifier;
use interlock_core::time::HOUR_MS;

use super::Node;
use super::content::LinkKind;
use super::io::{DeliveryFailure, Effect, Message};
use super::live::{Timer, backoff_ms};
use super::record::{AlertKind, BatchReceived, MessageKind, MessageOutcome, ReceivedItem, Record};
use super::state::MessageState;
use super::turn::Turn;
use crate::exchange::wire::Contact;
use crate::notify::{CodeFacts, MessageFacts, MessageKind as TextKind, message};
use crate::pages::Language;

/// The try after which people are told that a gateway does not take a message.
const ALERT_AT_ATTEMPT: u32 = 3;
/// How long a message is tried, in milliseconds.
const MESSAGE_LIFE_MS: i64 = 48 * HOUR_MS;

impl Node {
    /// Decides on a message about a parcel, unless one of the kind was decided on before.
    pub(super) fn queue_message(
        &mut self,
        turn: &mut Turn<'_>,
        parcel: ParcelId,
        kind: MessageKind,
    ) {
        let deposit = self.state.parcels.get(parcel).and_then(|p| p.deposit);
        if self.state.messages.was_told(parcel, deposit, kind) {
            return;
        }
        let id = MessageId::from_bytes(turn.random16());
        self.record(turn, Record::Message { id, parcel, kind });
        self.deliver(turn, id);
    }

    /// Parcels of a received batch that are deposited, where we are the one who tells the recipient.
    pub(super) fn to_tell(&self, batch: &BatchReceived) -> Vec<ParcelId> {
        let us = if self
            .config
            .roles
            .contains(&crate::identity::partner::Role::Carrier)
        {
            Notifier::Carrier
        } else {
            Notifier::Owner
        };
        let ours = self
            .state
            .book
            .between(&batch.from, &self.state.me, batch.dataset)
            .any(|agreement| agreement.terms.notifier == Some(us));
        if !ours {
            return Vec::new();
        }
        batch
            .items
            .iter()
            .filter_map(|item| match item {
                ReceivedItem::Event { parcel, event, .. }
                    if event.step == Step::Deposited && self.is_news(batch, *parcel, event) =>
                {
                    Some(*parcel)
                }
                ReceivedItem::Event { .. }
                | ReceivedItem::Advice(_)
                | ReceivedItem::Station(_)
                | ReceivedItem::Code { .. }
                | ReceivedItem::Skipped { .. }
                | ReceivedItem::Cooperation(_) => None,
            })
            .filter(|id| {
                self.state
                    .parcels
                    .get(*id)
                    .is_some_and(|p| p.recipient.is_some())
            })
            .collect()
    }

    /// Whether nothing later of the parcel has come before: what fills a gap is no news to a recipient.
    fn is_news(&self, batch: &BatchReceived, parcel: ParcelId, event: &ParcelEvent) -> bool {
        let known = self.state.parcels.get(parcel);
        known.is_none_or(|p| p.last_received(&batch.from, true) < event.number)
    }

    fn deliver(&mut self, turn: &mut Turn<'_>, id: MessageId) {
        let Some(state) = self.state.messages.get(&id) else {
            return;
        };
        if state.delivered_at.is_some()
            || state.refused.is_some()
            || self.live.delivering.contains_key(&id)
        {
            return;
        }
        if self.is_moot(&state) {
            let reason = "the parcel lies there no more".to_owned();
            let outcome = MessageOutcome::Refused { reason };
            return self.record(turn, Record::MessageDone { id, outcome });
        }
        let Some(to) = self.addressee(&state) else {
            let reason = "the contact is gone".to_owned();
            return self.record(
                turn,
                Record::MessageDone {
                    id,
                    outcome: MessageOutcome::Refused { reason },
                },
            );
        };
        let texts = self.texts(&state);
        let attempt = self
            .live
            .tries
            .get(&Timer::Message(id))
            .copied()
            .unwrap_or(0)
            + 1;
        self.live.delivering.insert(id, attempt);
        turn.push(Effect::Deliver(Message {
            id,
            to,
            text_zh: texts.0,
            text_en: texts.1,
            attempt,
        }));
    }

    /// Whether what a message says is over: the parcel was picked up, taken back or sent elsewhere.
    fn is_moot(&self, state: &MessageState) -> bool {
        let deposit = state.deposit.and_then(|id| self.state.deposits.get(&id));
        deposit.is_some_and(|deposit| deposit.stay.phase().is_over())
    }

    /// Whom a message goes to: the contact granted to us, or the recipient that we know ourselves.
    fn addressee(&self, state: &MessageState) -> Option<Contact> {
        match state.deposit {
            Some(id) => self
                .state
                .deposits
                .get(&id)?
                .contact
                .as_ref()?
                .value
                .clone(),
            None => {
                let parcel = self.state.parcels.get(state.parcel)?;
                let recipient = parcel.recipient.as_ref()?.value.as_ref()?;
                Some(Contact::Full {
                    phone: recipient.phone.reveal().into(),
                })
            }
        }
    }

    /// The text in Chinese and in English.
    fn texts(&self, state: &MessageState) -> (String, String) {
        let parcel = self.state.parcels.get(state.parcel);
        let deposit = state.deposit.and_then(|id| self.state.deposits.get(&id));
        let own = deposit
            .as_ref()
            .and_then(|d| self.state.stations.get(&d.station))
            .map(|s| s.station.name.as_str().to_owned());
        let station = own
            .or_else(|| parcel.as_ref().and_then(|p| self.station_seen_of(p)))
            .unwrap_or_default();
        let compartment = deposit
            .as_ref()
            .map(|d| d.compartment.number().to_string())
            .unwrap_or_default();
        let code = deposit
            .as_ref()
            .filter(|_| self.code_key(state.parcel).is_none())
            .and_then(|d| d.code.value.as_deref())
            .map(|code| CodeFacts {
                code,
                compartment: &compartment,
            });
        let until = deposit
            .as_ref()
            .and_then(|d| d.pickup_until)
            .or_else(|| parcel.as_ref().and_then(|p| p.pickup_until));
        let link = format!(
            "{}/p/{}",
            self.config.public_url,
            self.state.links.token(LinkKind::Pickup, state.parcel)
        );
        let carrier = parcel.map(|p| self.carrier_name(&p)).unwrap_or_default();
        let facts = MessageFacts {
            sender: &self.config.name,
            carrier: &carrier,
            station: &station,
            position: None,
            pickup_until: until.unwrap_or(state.queued_at.plus_ms(self.config.pickup_period_ms)),
            zone: self.config.zone,
            code,
            link: Some(&link),
        };
        let kind = match state.kind {
            MessageKind::Deposited => TextKind::Deposited,
            MessageKind::Overdue => TextKind::Overdue,
        };
        (
            message(kind, &facts, Language::Chinese),
            message(kind, &facts, Language::English),
        )
    }

    /// The gateway's answer.
    pub(super) fn delivered(
        &mut self,
        turn: &mut Turn<'_>,
        id: MessageId,
        outcome: Result<(), DeliveryFailure>,
    ) {
        if self.warning_delivered(turn, id, &outcome) {
            return;
        }
        let attempt = self.live.delivering.remove(&id).unwrap_or(0);
        let Some(state) = self.state.messages.get(&id) else {
            return;
        };
        if state.delivered_at.is_some() || state.refused.is_some() {
            return;
        }
        let (parcel, deposit, queued_at, kind) =
            (state.parcel, state.deposit, state.queued_at, state.kind);
        match outcome {
            Ok(()) => {
                self.live.tries.remove(&Timer::Message(id));
                self.record(
                    turn,
                    Record::MessageDone {
                        id,
                        outcome: MessageOutcome::Delivered,
                    },
                );
                if let (Some(deposit), MessageKind::Deposited) = (deposit, kind)
                    && let Err(error) = self.apply_stay(turn, deposit, &StayInput::MessageSent)
                {
                    tracing::debug!(%error, "a message went out after its stay moved on");
                }
            }
            Err(DeliveryFailure::Retry(why)) if queued_at.plus_ms(MESSAGE_LIFE_MS) > turn.at() => {
                tracing::info!(message = %id, attempt, why, "the gateway did not take a message; it is tried again");
                self.live.tries.insert(Timer::Message(id), attempt);
                let at = turn.at().plus_ms(backoff_ms(attempt, turn.random64()));
                self.live.timer(at, Timer::Message(id));
                if attempt == ALERT_AT_ATTEMPT {
                    let detail = format!(
                        "the gateway has not taken message {id} in {attempt} tries; see to the gateway, or \
                         tell the recipient another way"
                    );
                    self.alert(
                        turn,
                        AlertKind::RecipientNotTold,
                        Some(parcel),
                        None,
                        detail,
                    );
                }
            }
            Err(DeliveryFailure::Retry(reason) | DeliveryFailure::Refused(reason)) => {
                self.record(
                    turn,
                    Record::MessageDone {
                        id,
                        outcome: MessageOutcome::Refused {
                            reason: reason.clone(),
                        },
                    },
                );
                let detail = format!(
                    "the gateway will not take message {id}: {reason}; tell the recipient another way"
                );
                self.alert(turn, AlertKind::MessageRefused, Some(parcel), None, detail);
            }
        }
    }

    /// A message is tried again.
    pub(super) fn message_due(&mut self, turn: &mut Turn<'_>, id: MessageId) {
        self.deliver(turn, id);
    }

    /// After a restart: hands over what the gateway has not acknowledged, under the same ids.
    pub(super) fn resume_messages(&mut self, turn: &mut Turn<'_>) {
        let open: Vec<MessageId> = self.state.messages.open().keys().copied().collect();
        for id in open {
            self.deliver(turn, id);
        }
    }
}
