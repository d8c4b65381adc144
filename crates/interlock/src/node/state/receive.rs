//! Applying records about what came from partners.

use interlock_core::ids::ParticipantId;
use interlock_core::time::{Timestamp, Zone};
use interlock_journal::bilateral::{Leaf, LeafBody, MirrorError};

use super::apply::ReplayError;
use super::parcels::TimelineEvent;
use super::shop::Standing;
use super::{InboxEntry, State};
use crate::exchange::wire::Blob;
use crate::node::ContentKeys;
use crate::node::agreements::{Actor, Noted};
use crate::node::content::Content;
use crate::node::record::{BatchReceived, ReceivedItem};

/// A consumer's attestation as a line of a history.
pub fn deletion_words(items: u32, up_to: Timestamp, zone: Zone) -> String {
    let up_to = up_to.to_rfc3339(zone);
    format!("says that {items} contacts released up to {up_to} are deleted")
}

impl State {
    /// Takes leaves of a partner's log: verified against the pinned key and what is held already.
    ///
    /// # Errors
    /// [`MirrorError`]; nothing is changed.
    pub fn mirrored(
        &mut self,
        at: Timestamp,
        from: &ParticipantId,
        first: u64,
        leaves: &[Blob],
        checkpoint: &str,
    ) -> Result<(), MirrorError> {
        let met = self.channels.contains_key(from);
        let me = self.me.clone();
        let position = self.position();
        let pinned = self.channel(from).and_then(|c| c.mirror.as_ref());
        let later = pinned.map_or_else(Vec::new, |mirror| self.keys_after(from, mirror.key()));
        self.check_rotations(from, first, leaves)?;
        let channel = self.channel_mut(from);
        let accepted =
            Self::mirror_for(channel, &me, from, first, leaves, checkpoint).and_then(|following| {
                let leaves: Vec<&[u8]> = leaves.iter().map(|leaf| leaf.0.as_slice()).collect();
                let mut next = match following {
                    Some(next) => next,
                    None => match &mut channel.mirror {
                        Some(mirror) => {
                            return mirror.accept_by(first, &leaves, checkpoint, at, &later);
                        }
                        None => return Err(MirrorError::Gap { expected: 0 }),
                    },
                };
                let accepted = next.accept_by(first, &leaves, checkpoint, at, &later)?;
                channel.follow(next);
                Ok(accepted)
            });
        let fresh = accepted.map(|accepted| (accepted.from, accepted.leaves));
        match &fresh {
            Ok((first, leaves)) if !leaves.is_empty() => {
                channel.read(position, leaves.len() as u64);
                Self::pass_lost_batches(channel, *first, leaves);
                channel.note_leaves(leaves);
                self.note_deletions(at, from, leaves);
                self.pin_mirrored(at, from, leaves);
            }
            Ok(_) | Err(_) if !met => {
                // Nothing was recorded, so nothing may stay.
                self.channels.remove(from);
            }
            Ok(_) | Err(_) => {}
        }
        fresh.map(|_| ())
    }

    /// No key that was ever used comes back by a rotation.
    fn check_rotations(
        &self,
        from: &ParticipantId,
        first: u64,
        leaves: &[Blob],
    ) -> Result<(), MirrorError> {
        let partner = self.partners.get(from);
        let mut pinned = partner.map(|partner| *partner.key.as_bytes());
        let mut passed = Vec::new();
        for (nth, leaf) in (0..).zip(leaves) {
            let rotation = match Leaf::decode(&leaf.0).map(|leaf| leaf.body) {
                Ok(LeafBody::KeyRotation(rotation)) => rotation,
                Ok(_) | Err(_) => continue,
            };
            // The one that led to the pinned key, or one that may come after it.
            let led_here = passed.is_empty() && pinned == Some(rotation.new_key);
            let fresh = !passed.contains(&rotation.new_key) && self.may_rotate(from, &rotation);
            if !led_here && !fresh {
                let index = first.saturating_add(nth);
                return Err(MirrorError::Rotation { index });
            }
            if pinned == Some(rotation.old_key) {
                passed.push(rotation.old_key);
                pinned = Some(rotation.new_key);
            }
        }
        Ok(())
    }

    /// What a partner attests to have deleted goes into the history of the agreement.
    fn note_deletions(&mut self, at: Timestamp, from: &ParticipantId, leaves: &[Leaf]) {
        for leaf in leaves {
            let LeafBody::Deletion(deletion) = &leaf.body else {
                continue;
            };
            let known = self.book.agreements.get(&deletion.agreement);
            let Some(agreement) = known.filter(|a| &a.consumer == from) else {
                continue;
            };
            let noted = Noted {
                about: deletion.agreement.clone(),
                by: Actor::Partner(from.clone()),
                what: deletion_words(deletion.items, deletion.up_to, agreement.terms.zone),
                version: None,
            };
            self.book.noted(at, &noted);
        }
    }

    // tidy: long, one arm a kind of item
    pub(super) fn batch_received(
        &mut self,
        at: Timestamp,
        batch: &BatchReceived,
        keys: &dyn ContentKeys,
    ) -> Result<(), ReplayError> {
        for item in &batch.items {
            let mut entry = InboxEntry {
                from: batch.from.clone(),
                dataset: batch.dataset,
                lane: batch.lane,
                event: None,
                station: None,
                cooperation: None,
                at,
            };
            match item {
                ReceivedItem::Advice(_) => self.counters.advices_received += 1,
                ReceivedItem::Event {
                    parcel,
                    event,
                    pickup_until,
                } => {
                    let known = self
                        .parcels
                        .get_mut(*parcel)
                        .ok_or(ReplayError("a received event's parcel is unknown"))?;
                    let index = u32::try_from(known.events.len())
                        .map_err(|_| ReplayError("a parcel has too many events"))?;
                    let last = known.last_received(&batch.from, event.step.is_locker());
                    // What comes late says nothing of how long the parcel lies there now.
                    if pickup_until.is_some() && event.number > last {
                        known.pickup_until = *pickup_until;
                    }
                    let stood = Standing::of(known, &self.me);
                    known.events.push(TimelineEvent {
                        event: event.clone(),
                        from: Some(batch.from.clone()),
                        logged_at: at,
                        digest: [0; 32],
                    });
                    let stands = Standing::of(known, &self.me);
                    self.parcels.stands(*parcel, stood, stands);
                    if event.step.is_final() {
                        self.parcels.close(*parcel, at);
                    }
                    self.counters.events_received += 1;
                    entry.event = Some((*parcel, index));
                    self.inbox.push(entry);
                }
                ReceivedItem::Station(seen) => {
                    entry.station = Some(seen.station.clone());
                    self.stations_seen
                        .insert((batch.from.clone(), seen.station.clone()), seen.clone());
                    self.inbox.push(entry);
                }
                ReceivedItem::Cooperation(status) => {
                    entry.cooperation = Some(status.manifest);
                    let key = (batch.from.clone(), status.manifest);
                    self.cooperations_seen.insert(key, (at, status.clone()));
                    self.inbox.push(entry);
                }
                ReceivedItem::Code { parcel, code } => {
                    let known = self
                        .parcels
                        .get_mut(*parcel)
                        .ok_or(ReplayError("a code's parcel is unknown"))?;
                    known.code = Some(Content::open(code, keys));
                }
                ReceivedItem::Skipped { parcel, number } => {
                    self.count_skipped(*parcel, &batch.from, *number)
                }
            }
        }
        self.watch_deposits(at, batch);
        let channel = self.channel_mut(&batch.from);
        channel
            .inbound
            .entry(batch.dataset)
            .or_default()
            .advance(batch.lane, batch.next);
        Ok(())
    }

    /// Something that came again, or too late to be put in its place.
    fn count_skipped(
        &mut self,
        parcel: interlock_core::ids::ParcelId,
        from: &ParticipantId,
        number: u32,
    ) {
        let had = self.parcels.get(parcel).is_some_and(|p| {
            p.events
                .iter()
                .any(|e| e.from.as_ref() == Some(from) && e.event.number == number)
        });
        if had {
            self.counters.events_duplicate += 1;
        } else {
            self.counters.events_out_of_order += 1;
        }
    }
}
