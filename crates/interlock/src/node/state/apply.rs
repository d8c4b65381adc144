//! Applying records, one function a kind.

use interlock_core::agreement::AgreementState;
use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParticipantId, RequestId};
use interlock_core::time::Timestamp;
use interlock_journal::bilateral::{Leaf, LeafBody};
use interlock_journal::merkle::leaf_hash;

use super::channel::{Answered, Asked};
use super::{Alert, KeyAsked, Keyed, LedgerEntry, LedgerOutcome, LookEntry, MessageState, State};
use crate::exchange::wire::{Blob, FeedItem, Lane};
use crate::node::ContentKeys;
use crate::node::content::Content;
use crate::node::record::{
    BatchReleased, KeyedEffect, LookupAsked, LookupDecision, LookupReleased, MessageKind,
    MessageOutcome, Record,
};

/// Why a record does not fit the state: the journal is not this node's, or is damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record does not fit the state: {0}; restore the data directory from a backup")]
pub struct ReplayError(pub &'static str);

impl State {
    /// Applies one record written at `at`, the next one of the journal.
    ///
    /// # Errors
    /// [`ReplayError`] if it refers to something that was never recorded.
    pub fn apply(
        &mut self,
        at: Timestamp,
        record: &Record,
        keys: &dyn ContentKeys,
    ) -> Result<(), ReplayError> {
        let counted = (self.counters.deposits, self.counters.picked_up);
        self.apply_kind(at, record, keys)?;
        self.count_statistics(self.high, record, counted);
        self.applied += 1;
        Ok(())
    }

    /// The position in the journal of the record that is being applied.
    pub(super) const fn position(&self) -> u64 {
        self.applied + 1
    }

    // tidy: long, one arm a record
    fn apply_kind(
        &mut self,
        at: Timestamp,
        record: &Record,
        keys: &dyn ContentKeys,
    ) -> Result<(), ReplayError> {
        let at = at.max(self.high);
        self.high = at;
        for sealed in record.sealed() {
            self.vault.sealed(sealed);
        }
        match record {
            Record::Partner(partner) => self.introduced(partner),
            Record::PartnerRemoved(id) => {
                self.partners.remove(id);
            }
            Record::ApiKey { name, role, digest } => {
                self.api_keys.insert(*digest, (name.clone(), *role));
                self.api_keys_since.insert(*digest, at);
                self.keys_asked.remove(digest);
            }
            Record::KeyAsked {
                name,
                role,
                digest,
                by,
            } => {
                let (name, role, by) = (name.clone(), *role, by.clone());
                self.key_asked(*digest, KeyAsked { name, role, by, at });
            }
            Record::Person(person) => {
                self.people.insert(person.name.clone(), (**person).clone());
            }
            Record::PersonWithdrawn(name) => {
                self.people.remove(name);
            }
            Record::Offer(offer) => {
                self.book.offers.insert(offer.id.clone(), (**offer).clone());
            }
            Record::OfferWithdrawn(id) => {
                self.book.offers.remove(id);
            }
            Record::Negotiation(negotiation) => {
                self.book.put_negotiation((**negotiation).clone());
            }
            Record::Agreement(agreement) => {
                self.book.put_agreement((**agreement).clone());
            }
            Record::AgreementState { agreement, state } => {
                self.agreement_entered(at, agreement, *state)?
            }
            Record::Transfer(transfer) => {
                self.book.put_transfer((**transfer).clone());
            }
            Record::Cooperation(cooperation) => {
                self.book.put_cooperation((**cooperation).clone());
            }
            Record::CooperationShown {
                cooperation,
                status,
            } => self.cooperation_shown(at, cooperation, status),
            Record::Reciprocity(notice) => {
                let id = notice.agreement.clone();
                self.book.reciprocities.insert(id, (**notice).clone());
            }
            Record::Mediation(mediation) => self.book.put_mediation((**mediation).clone()),
            Record::Noted(noted) => self.book.noted(at, noted),
            Record::Parcel(parcel) => self.parcel(at, parcel, keys),
            Record::Claimed {
                parcel,
                claimant,
                token,
            } => self.claimed(*parcel, claimant, *token)?,
            Record::Event(event) => self.own_event(at, event)?,
            Record::Station(station) => self.station(at, station),
            Record::Deposit(deposit) => self.deposit(at, deposit, keys)?,
            Record::Stay {
                deposit,
                stay,
                compartment,
            } => self.stay(at, *deposit, stay, *compartment)?,
            Record::Notifier { deposit, teller } => self.teller(*deposit, teller)?,
            Record::LetIn { name, by } => {
                let known = self.let_in_by.entry(name.clone()).or_default();
                known.insert(by.clone());
            }
            Record::CodeKey { parcel, key, .. } => {
                self.code_keys.insert(*parcel, *key);
                self.offer_code(*parcel, at);
            }
            Record::Delegated { deposit, link } => self.delegates.set(&self.links, *deposit, *link),
            Record::LookupAsked(asked) => self.lookup_asked(at, asked)?,
            Record::LookupAnswered {
                from,
                request_id,
                outcomes,
            } => {
                self.lookup_answered(at, from, *request_id, outcomes, keys)?;
            }
            Record::BatchReleased(batch) => self.batch_released(at, batch)?,
            Record::LookupReleased(lookup) => self.lookup_released(at, lookup)?,
            Record::Denied {
                to,
                dataset,
                reason,
                leaf,
            } => {
                self.append_leaf(to, leaf)?;
                self.count_denial(reason);
                self.enter(LedgerEntry {
                    at,
                    to: to.clone(),
                    dataset: *dataset,
                    agreement: None,
                    purpose: None,
                    outcome: LedgerOutcome::Denied {
                        reason: reason.clone(),
                    },
                });
            }
            Record::Mirrored {
                from,
                first,
                leaves,
                checkpoint,
            } => {
                self.mirrored(at, from, *first, leaves, checkpoint)
                    .map_err(|_| ReplayError("mirrored leaves do not fit"))?;
            }
            Record::Leaf { to, leaf } => {
                self.append_leaf(to, leaf)?;
            }
            // What a receipt says by itself, and what stands in for one: either frees the batch.
            Record::Receipted {
                from,
                dataset,
                lane,
                next,
            }
            | Record::Acknowledged {
                from,
                dataset,
                lane,
                next,
            } => {
                let channel = self.channel_mut(from);
                channel
                    .outbound
                    .entry(*dataset)
                    .or_default()
                    .receipted(*lane, *next);
            }
            Record::BatchReceived(batch) => self.batch_received(at, batch, keys)?,
            Record::Message { id, parcel, kind } => self.message(at, *id, *parcel, *kind),
            Record::MessageDone { id, outcome } => self.message_done(at, *id, outcome)?,
            Record::Keyed {
                caller,
                key,
                body,
                effect,
            } => {
                let entry = Keyed {
                    body: *body,
                    effect: effect.clone(),
                    at,
                };
                if let KeyedEffect::Refused { reason, .. } = effect {
                    self.counters.deposits_refused += 1;
                    *self.counters.refusals.entry(reason.clone()).or_default() += 1;
                }
                self.keyed.insert((*caller, key.clone()), entry);
            }
            Record::Alert {
                kind,
                parcel,
                partner,
                detail,
            } => self.alerts.push(Alert {
                at,
                kind: *kind,
                parcel: *parcel,
                partner: partner.clone(),
                detail: detail.clone(),
                shown_by: None,
            }),
            Record::OverCollected(over) => self.over_collected(at, over),
            Record::Looked(look) => self.looks.push(LookEntry {
                at,
                by: look.by.clone(),
                what: look.what.clone(),
            }),
            Record::Wished {
                parcel,
                consent,
                preference,
                ..
            } => self.wished(*parcel, *consent, preference)?,
            Record::Reveal(reveal) => {
                self.reveals.insert(reveal.id, (**reveal).clone());
            }
            Record::ContactDeleted { parcel } => self.contact_deleted(at, *parcel),
            Record::BatchesTakenBack {
                to,
                dataset,
                lane,
                first,
                leaf,
            } => {
                self.append_leaf(to, leaf)?;
                self.taken_back(to, *dataset, *lane, *first);
            }
            Record::EndWarned(warning) => self.end_warned(at, warning),
            Record::WarningDone { id, outcome } => {
                let known = self.warnings.get_mut(id);
                known.ok_or(ReplayError("a warning is unknown"))?.done = Some(outcome.clone());
            }
            Record::RolledBack { .. } => self.rolled_back(at),
            Record::Regained(regained) => self.regained(regained)?,
            Record::Anchored(anchored) => self.anchored(anchored),
            Record::Cosigned { by, line } => self.anchor_cosigned(by, line),
            Record::Witnessed {
                of,
                epoch,
                entries,
                note,
            } => self.witnessed(of, *epoch, entries, note),
            Record::KeyRotated { of, rotation } => self.key_rotated(at, of, rotation),
            Record::EpochOpened {
                to,
                epoch,
                leaf,
                reissued,
            } => self.epoch_opened(to, *epoch, leaf, *reissued)?,
            Record::HourEnded { hour } => self.hour_ended(*hour),
            Record::Erased(erased) => self.erased(at, erased, keys),
            Record::PushSecret { transfer, secret } => {
                let secret = Content::open(secret, keys);
                self.push_secrets.insert(transfer.clone(), secret);
            }
            Record::ErasureTold { to, parcel, .. } => {
                self.erasures.remove(&(to.clone(), *parcel));
            }
            Record::ApiKeyWithdrawn { digest, .. } => {
                self.api_keys.remove(digest);
                self.api_keys_since.remove(digest);
                self.keys_asked.remove(digest);
            }
        }
        Ok(())
    }

    fn agreement_entered(
        &mut self,
        at: Timestamp,
        id: &interlock_core::ids::WireId,
        state: AgreementState,
    ) -> Result<(), ReplayError> {
        let agreement = self
            .book
            .agreement_entered(id, state)
            .ok_or(ReplayError("an agreement is unknown"))?;
        if agreement.provider != self.me {
            return Ok(());
        }
        let ends = (state == AgreementState::RunOff).then(|| agreement.clone());
        let (consumer, dataset) = (agreement.consumer.clone(), agreement.terms.dataset);
        let covers_from = agreement.terms.coverage_start();
        match ends {
            Some(agreement) => self.freeze(&agreement),
            None => drop(self.run_off.remove(id)),
        }
        let flows = self
            .book
            .between(&self.me, &consumer, dataset)
            .any(|other| {
                matches!(
                    other.state,
                    AgreementState::InForce | AgreementState::RunOff
                )
            });
        let feed = self
            .channel_mut(&consumer)
            .outbound
            .entry(dataset)
            .or_default();
        match state {
            AgreementState::InForce => {
                feed.cover(covers_from);
                if dataset == Dataset::LockerStations {
                    self.show_all_stations(at, &consumer);
                }
                if dataset == Dataset::CooperationStatus {
                    self.show_all_cooperations(at, &consumer);
                }
            }
            AgreementState::Ended | AgreementState::Superseded if !flows => feed.withdraw(),
            AgreementState::Ended
            | AgreementState::Superseded
            | AgreementState::Finalized
            | AgreementState::Signed
            | AgreementState::Suspended
            | AgreementState::RunOff => {}
        }
        Ok(())
    }

    fn lookup_asked(&mut self, at: Timestamp, asked: &LookupAsked) -> Result<(), ReplayError> {
        self.append_leaf(&asked.to, &asked.leaf)?;
        let channel = self.channel_mut(&asked.to);
        channel.asked.insert(
            asked.request_id,
            Asked {
                agreement: asked.agreement.clone(),
                purpose: asked.purpose.clone(),
                items: asked.items.clone(),
                at,
            },
        );
        Ok(())
    }

    fn batch_released(&mut self, at: Timestamp, batch: &BatchReleased) -> Result<(), ReplayError> {
        let leaf = if batch.salts.is_empty() {
            0
        } else {
            self.append_leaf(&batch.to, &batch.leaf)?
        };
        let shown = self.shown_in(batch)?;
        if self.is_connector(&batch.to) {
            let agreement = self.book.agreements.get(&batch.agreement);
            let day = agreement.map_or(0, |a| a.terms.zone.day_of(at));
            let items = batch.salts.len() as u64;
            let channel = self.channel_mut(&batch.to);
            channel.left_unreceipted(batch.dataset, day, items);
        }
        let channel = self.channel_mut(&batch.to);
        let feed = channel.outbound.entry(batch.dataset).or_default();
        feed.release(
            batch.lane,
            batch.taken,
            &batch.withheld,
            shown,
            &batch.agreement,
            leaf,
        );
        if batch.salts.is_empty() {
            return Ok(());
        }
        let events =
            u32::try_from(batch.salts.len()).map_err(|_| ReplayError("a batch is too large"))?;
        self.counters.releases += u64::from(events);
        self.enter(LedgerEntry {
            at,
            to: batch.to.clone(),
            dataset: batch.dataset,
            agreement: Some(batch.agreement.clone()),
            purpose: None,
            outcome: LedgerOutcome::Batch {
                lane: batch.lane,
                events,
            },
        });
        Ok(())
    }

    /// What was taken back waits, or flows by an agreement in force that covers it.
    fn taken_back(&mut self, to: &ParticipantId, dataset: Dataset, lane: Lane, first: u64) {
        let covers_from: Vec<Timestamp> = self
            .book
            .between(&self.me, to, dataset)
            .filter(|agreement| agreement.state == AgreementState::InForce)
            .map(|agreement| agreement.terms.coverage_start())
            .collect();
        let channel = self.channel_mut(to);
        let feed = channel.outbound.entry(dataset).or_default();
        feed.take_back(lane, first);
        for from in covers_from {
            feed.cover(from);
        }
    }

    /// What a batch shows, as things are when it leaves, with the salts.
    fn shown_in(
        &self,
        batch: &BatchReleased,
    ) -> Result<Vec<(RequestId, Option<FeedItem>)>, ReplayError> {
        let agreement = self
            .book
            .agreements
            .get(&batch.agreement)
            .ok_or(ReplayError("a batch's agreement is unknown"))?;
        let feed = self
            .channels
            .get(&batch.to)
            .and_then(|c| c.outbound.get(&batch.dataset))
            .ok_or(ReplayError("a batch's feed is unknown"))?;
        Ok(feed
            .front(batch.lane, batch.taken, &batch.withheld)
            .zip(&batch.salts)
            .map(|(queued, salt)| (*salt, self.view(&queued.item, &agreement.terms)))
            .collect())
    }

    fn lookup_released(
        &mut self,
        at: Timestamp,
        lookup: &LookupReleased,
    ) -> Result<(), ReplayError> {
        let mut positions = Vec::with_capacity(lookup.leaves.len());
        for leaf in &lookup.leaves {
            positions.push(self.append_leaf(&lookup.to, leaf)?);
        }
        self.watch_lookup(at, lookup, &positions);
        let dataset = Dataset::RecipientContact;
        for outcome in &lookup.outcomes {
            let entry = |outcome| LedgerEntry {
                at,
                to: lookup.to.clone(),
                dataset,
                agreement: Some(lookup.agreement.clone()),
                purpose: Some(lookup.purpose.clone()),
                outcome,
            };
            match outcome {
                LookupDecision::Released {
                    parcel,
                    form,
                    lease,
                } => {
                    self.counters.releases += 1;
                    let channel = self.channel_mut(&lookup.to);
                    channel
                        .usage
                        .entry(dataset)
                        .or_default()
                        .debit(lookup.day, *parcel);
                    self.enter(entry(LedgerOutcome::Contact {
                        parcel: *parcel,
                        form: *form,
                    }));
                    self.contact_used(at, *parcel, lookup, *form, lease.as_ref());
                }
                LookupDecision::Denied { reason } => {
                    self.enter(entry(LedgerOutcome::Denied {
                        reason: reason.clone(),
                    }));
                    self.count_denial(reason);
                }
            }
        }
        let channel = self.channel_mut(&lookup.to);
        let log_size = channel.out.size();
        channel.answered.push_back(Answered {
            request_id: lookup.request_id,
            agreement: lookup.agreement.clone(),
            items_root: lookup.items_root,
            outcomes: lookup.outcomes.clone(),
            log_size,
        });
        Ok(())
    }

    fn message(
        &mut self,
        at: Timestamp,
        id: interlock_core::ids::MessageId,
        parcel: interlock_core::ids::ParcelId,
        kind: MessageKind,
    ) {
        let deposit = self.parcels.get(parcel).and_then(|p| p.deposit);
        if let Some(state) = deposit.and_then(|d| self.deposits.get_mut(&d)) {
            state.message = Some(id);
        }
        let state = MessageState {
            parcel,
            deposit,
            kind,
            queued_at: at,
            delivered_at: None,
            refused: None,
        };
        self.messages.insert(id, state);
    }

    fn message_done(
        &mut self,
        at: Timestamp,
        id: interlock_core::ids::MessageId,
        outcome: &MessageOutcome,
    ) -> Result<(), ReplayError> {
        let known = self.messages.done(id, |message| match outcome {
            MessageOutcome::Delivered => message.delivered_at = Some(at),
            MessageOutcome::Refused { reason } => message.refused = Some(reason.clone()),
        });
        if !known {
            return Err(ReplayError("no message of this id is open"));
        }
        if matches!(outcome, MessageOutcome::Delivered) {
            self.counters.messages_sent += 1;
        }
        Ok(())
    }

    /// Appends an encoded leaf to our log toward `to` and returns its index.
    pub(super) fn append_leaf(
        &mut self,
        to: &ParticipantId,
        leaf: &Blob,
    ) -> Result<u64, ReplayError> {
        let bytes = &leaf.0;
        let leaf = Leaf::decode(bytes).map_err(|_| ReplayError("a leaf cannot be read"))?;
        if let LeafBody::Receipt(receipt) = &leaf.body {
            let channel = self.channel_mut(to);
            channel.receipted = receipt.size;
            channel.owes_receipt = false;
        }
        if let LeafBody::Deletion(deletion) = &leaf.body {
            self.vault.attested(deletion);
        }
        let connector = self.is_connector(to);
        let position = self.position();
        let channel = self.channel_mut(to);
        let does_not_fit = |_| ReplayError("a leaf does not fit its log");
        let index = channel.out.append(&leaf).map_err(does_not_fit)?;
        channel.written(position, leaf_hash(bytes));
        if let LeafBody::KeyRotation(rotation) = &leaf.body {
            let size = index + 1;
            self.rotation_written(to, rotation, size);
        }
        let channel = self.channel_mut(to);
        if connector {
            // It mirrors nothing and is sent no leaf: the journal has them, for export.
            let size = channel.out.size();
            channel.out.acknowledge(size).map_err(does_not_fit)?;
        }
        Ok(index)
    }

    pub(super) fn count_denial(&mut self, reason: &str) {
        *self.counters.denials.entry(reason.into()).or_default() += 1;
    }

    /// The lookup of ours with this id, and to whom.
    pub fn asked(&self, from: &ParticipantId, request_id: RequestId) -> Option<&Asked> {
        self.channels.get(from)?.asked.get(&request_id)
    }
}
