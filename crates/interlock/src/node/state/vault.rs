//! Which content keys there are, and when they end.
//!
//! Purpose: personal data that is sealed goes with its key. Keys that end in one hour lie in one file,
//! so that deleting what is due costs one file however much it is. Invariants: a key is put under an
//! hour that begins no later than its data is due, and after the last hour that has ended; a slot is
//! given once; what was granted to us by a partner and is deleted is owed as an attestation until the
//! leaf that says so is in our log. It does not know where keys are stored.

use std::collections::{BTreeMap, VecDeque};

use interlock_core::ids::{DepositId, ParcelId, ParticipantId, WireId};
use interlock_core::time::{HOUR_MS, Timestamp};
use interlock_journal::bilateral::Deletion;
use serde::{Deserialize, Serialize};

use super::State;
use super::lockers::leave_round;
use crate::node::ContentKeys;
use crate::node::record::{Asker, ContentRef, Erased, ErasureReason, Sealed};

/// Hours whose files may still be there after a crash: those that ended last.
const ENDED_KEPT: usize = 64;

/// Contacts that were granted to us under an agreement and end together, or are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// How many.
    pub items: u32,
    /// When the last of them was granted, by our journal.
    pub up_to: Timestamp,
}

impl Granted {
    fn add(known: &mut BTreeMap<WireId, Self>, agreement: &WireId, more: Self) {
        let entry = known.entry(agreement.clone()).or_insert(Self {
            items: 0,
            up_to: more.up_to,
        });
        entry.items = entry.items.saturating_add(more.items);
        entry.up_to = entry.up_to.max(more.up_to);
    }
}

/// Content keys in use.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Vault {
    /// The next free slot, by the hour in which its key ends.
    next: BTreeMap<u32, u32>,
    /// Contacts granted to us, by the hour in which they end.
    granted: BTreeMap<u32, BTreeMap<WireId, Granted>>,
    /// What is deleted and not yet attested to, by agreement.
    owed: BTreeMap<WireId, Granted>,
    /// Hours that ended last, oldest first.
    ended: VecDeque<u32>,
    /// Keys of what was erased that are still there: the process died before it destroyed them.
    left: Vec<(u32, u32)>,
}

impl Vault {
    /// The hour for data that is due at `due`: no later than that, and not over.
    pub fn hour_for(&self, due: Timestamp) -> u32 {
        let hour = u32::try_from(due.as_millis().div_euclid(HOUR_MS)).unwrap_or(0);
        let over = self.ended.back().copied().unwrap_or(0);
        hour.max(over.saturating_add(1))
    }

    /// The last hour that has ended.
    pub fn ended_to(&self) -> u32 {
        self.ended.back().copied().unwrap_or(0)
    }

    /// The next free slot of an hour.
    pub fn next_slot(&self, hour: u32) -> u32 {
        self.next.get(&hour).copied().unwrap_or(0)
    }

    /// The first hour in which keys end, and when it begins.
    pub fn next_end(&self) -> Option<(u32, Timestamp)> {
        let (hour, _) = self.next.first_key_value()?;
        Some((*hour, Timestamp::from_millis(i64::from(*hour) * HOUR_MS)))
    }

    /// What is deleted and not yet attested to, by agreement.
    pub const fn owed(&self) -> &BTreeMap<WireId, Granted> {
        &self.owed
    }

    /// Keys and hours of keys that a process which died may have left.
    pub fn left(&self) -> (Vec<(u32, u32)>, Vec<u32>) {
        (self.left.clone(), self.ended.iter().copied().collect())
    }

    pub(super) fn sealed(&mut self, sealed: &Sealed) {
        let next = self.next.entry(sealed.hour).or_default();
        *next = (*next).max(sealed.slot.saturating_add(1));
    }

    pub(super) fn granted(&mut self, hour: u32, agreement: &WireId, at: Timestamp) {
        let granted = Granted {
            items: 1,
            up_to: at,
        };
        Granted::add(self.granted.entry(hour).or_default(), agreement, granted);
    }

    pub(super) fn attested(&mut self, deletion: &Deletion) {
        self.owed.remove(&deletion.agreement);
    }

    fn hour_ended(&mut self, hour: u32) {
        self.next.remove(&hour);
        for (agreement, granted) in self.granted.remove(&hour).unwrap_or_default() {
            Granted::add(&mut self.owed, &agreement, granted);
        }
        self.ended.push_back(hour);
        if self.ended.len() > ENDED_KEPT {
            self.ended.pop_front();
        }
    }

    /// A single contact is deleted before its hour.
    fn withdrawn(&mut self, hour: u32, agreement: &WireId, at: Timestamp) {
        if let Some(known) = self.granted.get_mut(&hour)
            && let Some(granted) = known.get_mut(agreement)
        {
            granted.items = granted.items.saturating_sub(1);
            if granted.items == 0 {
                known.remove(agreement);
            }
        }
        let one = Granted {
            items: 1,
            up_to: at,
        };
        Granted::add(&mut self.owed, agreement, one);
    }
}

impl State {
    /// Everything sealed under keys that end in `hour` is gone.
    pub(super) fn hour_ended(&mut self, hour: u32) {
        self.vault.hour_ended(hour);
        self.cold.end_hours(hour);
        self.parcels.hour_ended(hour);
        self.bindings.end(self.high);
        let (rounds, links) = (&mut self.rounds, &self.links);
        self.deposits.hour_ended(hour, |id, deposit| {
            if deposit.courier.slot.0 == hour {
                leave_round(rounds, links, deposit, id);
            }
        });
        for secret in self.push_secrets.values_mut() {
            secret.end(hour);
        }
    }

    /// Single contents are gone before their hour.
    pub(super) fn erased(&mut self, at: Timestamp, erased: &Erased, keys: &dyn ContentKeys) {
        for what in &erased.what {
            let slot = match what {
                ContentRef::Recipient(id) => {
                    let parcel = self.parcels.get_mut(*id);
                    parcel.and_then(|p| {
                        p.end_leases(at);
                        p.recipient.as_mut()?.erase()
                    })
                }
                ContentRef::CodeSeen(id) => {
                    let parcel = self.parcels.get_mut(*id);
                    parcel.and_then(|p| p.code.as_mut()?.erase())
                }
                ContentRef::Courier(id) => {
                    let deposit = self.deposits.get_mut(id);
                    deposit.and_then(|d| {
                        leave_round(&mut self.rounds, &self.links, d, *id);
                        d.courier.erase()
                    })
                }
                ContentRef::Code(id) => {
                    let deposit = self.deposits.get_mut(id);
                    deposit.and_then(|d| d.code.erase())
                }
                ContentRef::Contact(id) => self.contact_erased(*id),
                ContentRef::PushSecret(id) => {
                    let secret = self.push_secrets.remove(id);
                    secret.and_then(|mut secret| secret.erase())
                }
            };
            // Nobody holds the key of what was there before this step, unless it is still on disk.
            if let Some((hour, slot)) = slot
                && keys.get(hour, slot).is_some()
            {
                self.vault.left.push((hour, slot));
            }
        }
        if let ErasureReason::Asked { parcel, by } = &erased.why {
            self.pass_on_erasure(at, *parcel, by);
        }
    }

    fn contact_erased(&mut self, id: DepositId) -> Option<(u32, u32)> {
        let deposit = self.deposits.get_mut(&id)?;
        let contact = deposit.contact.as_mut()?;
        // During replay the key may be gone, and the value with it: what counts is the record.
        if let Some((agreement, at)) = &deposit.contact_under {
            self.vault.withdrawn(contact.slot.0, agreement, *at);
        }
        contact.erase()
    }

    /// Whoever was given the contact of a parcel is to delete it too; who was asked before only if one
    /// of our people insists.
    fn pass_on_erasure(&mut self, at: Timestamp, id: ParcelId, by: &Asker) {
        let Some(parcel) = self.parcels.get_mut(id) else {
            return;
        };
        let again = matches!(by, Asker::Person(_));
        let mut holders: Vec<(ParticipantId, WireId)> = Vec::new();
        for it in &mut parcel.uses {
            if again || !it.passed_on {
                holders.push((it.to.clone(), it.agreement.clone()));
            }
            it.passed_on = true;
        }
        for (to, agreement) in holders {
            self.erasures.insert((to, id), (agreement, at));
        }
    }

    /// The key of something that is held.
    pub fn slot_of(&self, what: &ContentRef) -> Option<(u32, u32)> {
        let held = |slot, held: bool| held.then_some(slot);
        match what {
            ContentRef::Recipient(id) => {
                let parcel = self.parcels.get(*id)?;
                let content = parcel.recipient.as_ref()?;
                held(content.slot, content.value.is_some())
            }
            ContentRef::CodeSeen(id) => {
                let parcel = self.parcels.get(*id)?;
                let content = parcel.code.as_ref()?;
                held(content.slot, content.value.is_some())
            }
            ContentRef::Courier(id) => {
                let courier = &self.deposits.get(id)?.courier;
                held(courier.slot, courier.value.is_some())
            }
            ContentRef::Code(id) => {
                let code = &self.deposits.get(id)?.code;
                held(code.slot, code.value.is_some())
            }
            ContentRef::Contact(id) => {
                let deposit = self.deposits.get(id)?;
                let content = deposit.contact.as_ref()?;
                held(content.slot, content.value.is_some())
            }
            ContentRef::PushSecret(id) => {
                let content = self.push_secrets.get(id)?;
                held(content.slot, content.value.is_some())
            }
        }
    }
}
