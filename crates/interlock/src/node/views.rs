//! What people and systems read: the ledger, alerts, the outbox, evidence, partners, status.

use interlock_core::ids::ParticipantId;
use interlock_core::statistics::SHOWN_MIN;
use interlock_core::time::Zone;
use serde_json::{Value, json};

use super::Node;
use super::feed_items::hex;
use super::record::AlertKind;
use super::state::{LedgerEntry, LedgerOutcome};
use super::turn::Turn;
use crate::exchange::wire::Lane;

/// Most entries of one page of a list.
const PAGE_MAX: u32 = 1_000;

impl Node {
    /// `GET /releases`, `GET /denials`.
    pub(super) fn ledger_view(&self, denials: bool, after: u64, limit: u32) -> Value {
        let limit = limit.clamp(1, PAGE_MAX) as usize;
        let mut next = after;
        let mut items = Vec::new();
        let entries = self.state.ledger.from(after);
        for (entry, position) in entries.zip(after.saturating_add(1)..) {
            if items.len() >= limit {
                break;
            }
            next = position;
            let denied = matches!(
                entry.outcome,
                LedgerOutcome::Denied { .. } | LedgerOutcome::Voided
            );
            if denied == denials {
                items.push(self.ledger_item(position, &entry));
            }
        }
        json!({ "items": items, "next": next })
    }

    pub(super) fn ledger_item(&self, position: u64, entry: &LedgerEntry) -> Value {
        let waybill = |id| self.state.parcels.get(id).map(|p| p.waybill.to_text());
        let outcome = match &entry.outcome {
            LedgerOutcome::Batch { lane, events } => {
                let receipts = !self.state.is_connector(&entry.to);
                json!({ "released": events, "lane": lane.as_str(), "receipts": receipts })
            }
            LedgerOutcome::Contact { parcel, form } => {
                json!({ "released": 1, "parcel": waybill(*parcel), "contactForm": form.as_str() })
            }
            LedgerOutcome::Denied { reason } => json!({ "denied": reason }),
            LedgerOutcome::Voided => json!({ "denied": "voided" }),
        };
        json!({
            "cursor": position,
            "at": entry.at.to_rfc3339(self.config.zone),
            "to": entry.to.as_str(),
            "dataset": entry.dataset.as_str(),
            "agreement": entry.agreement.as_ref().map(|a| a.as_str()),
            "purpose": entry.purpose,
            "outcome": outcome,
        })
    }

    /// `GET /alerts`.
    pub(super) fn alerts_view(&self) -> Value {
        json!({ "items": self.alerts_in(0, PAGE_MAX) })
    }

    /// `{items: [alert], all}`: a stretch, newest first, and how many there are.
    pub(super) fn alerts_found(&self, from: u32, limit: u32) -> Value {
        json!({ "items": self.alerts_in(from, limit.min(PAGE_MAX)), "all": self.state.alerts.len() })
    }

    fn alerts_in(&self, from: u32, limit: u32) -> Vec<Value> {
        let newest = self.state.alerts.iter().rev();
        let stretch = newest.skip(from as usize).take(limit as usize);
        let view = stretch.map(|alert| {
            json!({
                "at": alert.at.to_rfc3339(self.config.zone),
                "kind": alert_word(alert.kind),
                "partner": alert.partner.as_ref().map(ParticipantId::as_str),
                "parcel": alert.parcel.and_then(|id| self.state.parcels.get(id)).map(|p| p.waybill.to_text()),
                "detail": alert.detail,
                "evidence": alert.shown_by.as_deref().map(|over| super::collection::evidence_view(over, self.config.zone)),
            })
        });
        view.collect()
    }

    /// `GET /messages`: the outbox without the contacts and texts.
    pub(super) fn messages_view(&self, after: u64, limit: u32) -> Value {
        let limit = limit.clamp(1, PAGE_MAX) as usize;
        let zone = self.config.zone;
        let messages = self.state.messages.after(after).take(limit);
        let items: Vec<Value> = messages
            .zip(after.saturating_add(1)..)
            .map(|((id, message), position)| {
                json!({
                    "cursor": position,
                    "id": id.to_string(),
                    "kind": match message.kind { super::record::MessageKind::Deposited => "deposited", super::record::MessageKind::Overdue => "overdue" },
                    "queuedAt": message.queued_at.to_rfc3339(zone),
                    "deliveredAt": message.delivered_at.map(|at| at.to_rfc3339(zone)),
                    "refused": message.refused,
                    "tries": self.live.delivering.get(&id),
                })
            })
            .collect();
        let next = after + items.len() as u64;
        json!({ "items": items, "next": next })
    }

    /// `GET /evidence`: both logs with each partner.
    pub(super) fn evidence_view(&self) -> Value {
        let items: Vec<Value> = self
            .state
            .channels
            .iter()
            .map(|(partner, channel)| {
                json!({
                    "partner": partner.as_str(),
                    "ours": { "epoch": channel.out.epoch(), "leaves": channel.out.size(), "root": hex(&channel.out.root()), "receipted": channel.out.acknowledged() },
                    "theirs": {
                        "epoch": channel.mirror.as_ref().map(interlock_journal::bilateral::MirrorLog::epoch),
                        "leaves": channel.mirrored(),
                        "receipted": channel.receipted,
                        "checkpoint": channel.mirror.as_ref().and_then(|m| m.note()),
                    },
                })
            })
            .collect();
        json!({ "items": items })
    }

    /// `{names: {id: name}}`, of all partners.
    pub(super) fn names_view(&self) -> Value {
        let partners = self.state.partners.values();
        let names = partners.map(|p| (p.id.as_str().to_owned(), json!(p.name)));
        json!({ "names": names.collect::<serde_json::Map<_, _>>() })
    }

    /// `GET /statistics`: weeks that are over, in rounded counts; null: fewer than ten.
    pub(super) fn statistics_view(&self, turn: &Turn<'_>) -> Value {
        let weeks = self.state.statistics.published(turn.at());
        let items: Vec<Value> = weeks
            .into_iter()
            .map(|week| {
                let facts = week.facts.into_iter();
                let facts: serde_json::Map<String, Value> = facts
                    .map(|(fact, count)| (fact.as_str().to_owned(), json!(count)))
                    .collect();
                json!({
                    "from": week.from.to_rfc3339(Zone::UTC),
                    "until": week.until.to_rfc3339(Zone::UTC),
                    "facts": facts,
                })
            })
            .collect();
        json!({ "items": items, "fewerThan": SHOWN_MIN })
    }

    /// `GET /partners`.
    pub(super) fn partners_view(&self) -> Value {
        let items: Vec<Value> = self
            .state
            .partners
            .values()
            .map(|p| {
                json!({
                    "id": p.id.as_str(),
                    "name": p.name,
                    "roles": p.roles.iter().map(|r| r.as_str()).collect::<Vec<_>>(),
                    "exchangeUrl": p.exchange_url.as_str(),
                    "key": p.key.to_multibase(),
                    "connector": p.connector,
                    "connectorId": p.connector_id.as_ref().map(interlock_core::ids::WireId::as_str),
                    "carriers": p.carriers.iter().map(|c| c.as_str()).collect::<Vec<_>>(),
                    "parcelDataWithoutManifest": p.parcel_data_without_manifest,
                })
            })
            .collect();
        json!({ "items": items })
    }

    /// `GET /status`: what the node holds and has done, each figure counted from its records.
    pub(super) fn status_view(&self, turn: &Turn<'_>) -> Value {
        let counters = &self.state.counters;
        let feeds: Vec<Value> = self
            .state
            .channels
            .iter()
            .flat_map(|(partner, channel)| channel.outbound.iter().map(move |(dataset, feed)| (partner, dataset, feed)))
            .map(|(partner, dataset, feed)| {
                json!({
                    "to": partner.as_str(),
                    "dataset": dataset.as_str(),
                    "live": { "ready": feed.lane(Lane::Live).ready.len(), "released": feed.lane(Lane::Live).released },
                    "backlog": { "ready": feed.lane(Lane::Backlog).ready.len(), "released": feed.lane(Lane::Backlog).released },
                    "held": feed.held(),
                    "dropped": feed.dropped,
                    "oldestHeld": feed.oldest_held().map(|at| at.to_rfc3339(self.config.zone)),
                })
            })
            .collect();
        json!({
            "id": self.config.id.as_str(),
            "name": self.config.name,
            "now": turn.at().to_rfc3339(self.config.zone),
            "parcels": self.state.parcels.len(),
            "deposits": counters.deposits,
            "depositsUnderWay": self.state.deposits.under_way().len(),
            "depositsRefused": counters.refusals,
            "pickedUp": counters.picked_up,
            "messagesSent": counters.messages_sent,
            "messagesWaiting": self.state.messages.open().len(),
            "eventsAccepted": counters.events_accepted,
            "eventsReceived": counters.events_received,
            "eventsDuplicate": counters.events_duplicate,
            "eventsOutOfOrder": counters.events_out_of_order,
            "releases": counters.releases,
            "denials": counters.denials,
            "alerts": self.state.alerts.len(),
            "warnings": self.warnings_view(),
            "waitingForPartners": self.waiting_for_partners(turn),
            "clock": self.clock_view(turn),
            "notCompared": self.uncompared().map(ParticipantId::as_str).collect::<Vec<_>>(),
            "rolledBackAt": self.state.rolled_back_at.map(|at| at.to_rfc3339(self.config.zone)),
            "feeds": feeds,
        })
    }
}

const fn alert_word(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::ContestedOwnership => "contested-ownership",
        AlertKind::RecipientNotTold => "recipient-not-told",
        AlertKind::EvidenceMismatch => "evidence-mismatch",
        AlertKind::OrderBroken => "order-broken",
        AlertKind::MessageRefused => "message-refused",
        AlertKind::AgreementEnds => "agreement-ends",
        AlertKind::NotTaken => "not-taken",
        AlertKind::RolledBack => "rolled-back",
        AlertKind::NotCompared => "not-compared",
        AlertKind::Mediation => "mediation",
        AlertKind::ClockDoubted => "clock-doubted",
        AlertKind::ErasureRefused => "erasure-refused",
        AlertKind::KeyRotated => "key-rotated",
        AlertKind::SuspensionAnnounced => "suspension-announced",
        AlertKind::OverCollection => "over-collection",
        AlertKind::TelephoneKey => "telephone-key",
        AlertKind::CallsToNobody => "calls-to-nobody",
        AlertKind::DoorStuck => "door-stuck",
        AlertKind::CompartmentEmpty => "compartment-empty",
    }
}
