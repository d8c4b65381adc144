//! Parcels by waybill, by id and by link.
//!
//! Purpose: finding a parcel and its timeline. Invariants: an id belongs to one parcel for ever; a
//! waybill leads to its newest generation; events of one source are numbered without gap in the order
//! of acceptance. It does not know lockers or agreements.

use std::collections::BTreeMap;

use interlock_core::contact::{ContactForm, Recipient};
use interlock_core::event::ParcelEvent;
use interlock_core::ids::{DepositId, Marketplace, MerchantId, ParcelId, ParticipantId, WireId};
use interlock_core::parcel::{
    ClaimTokenHash, Consent, Generation, Ownership, Preference, SizeClass,
};
use interlock_core::time::Timestamp;
use interlock_core::waybill::Waybill;

use crate::node::content::{Content, LinkKind};
use crate::node::io::Digest;

/// A parcel as this node knows it.
#[derive(Debug)]
pub struct Parcel {
    /// Our id.
    pub id: ParcelId,
    /// Waybill.
    pub waybill: Waybill,
    /// Generation.
    pub generation: Generation,
    /// When its waybill was issued.
    pub issued_at: Timestamp,
    /// When it came into our journal first.
    pub registered_at: Timestamp,
    /// Where the order came from.
    pub marketplace: Option<Marketplace>,
    /// Merchant.
    pub merchant: Option<MerchantId>,
    /// Whose it is.
    pub ownership: Ownership,
    /// Size class.
    pub size_class: Option<SizeClass>,
    /// Consent to lockers.
    pub consent: Consent,
    /// What the recipient prefers.
    pub preference: Preference,
    /// The recipient.
    pub recipient: Option<Content<Recipient>>,
    /// Operators that were advised.
    pub lockers: Vec<ParticipantId>,
    /// Claims that came without the carrier's word.
    pub claims: Vec<BareClaim>,
    /// What happened, in order of acceptance.
    pub events: Vec<TimelineEvent>,
    /// Its deposit at one of our stations, the newest.
    pub deposit: Option<DepositId>,
    /// Who had the contact, and why.
    pub uses: Vec<ContactUse>,
    /// Leased extension, its end, and for whom.
    pub lease: Option<(String, Timestamp, ParticipantId)>,
    /// Its code at a partner's station, where the term allows it.
    pub code: Option<Content<(String, u16)>>,
    /// Until when it can be picked up at a partner's station.
    pub pickup_until: Option<Timestamp>,
    /// When its life ended.
    pub closed_at: Option<Timestamp>,
}

/// A claim that came without the carrier's word: it opens nothing until the label's token is scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BareClaim {
    /// Who claims.
    pub claimant: ParticipantId,
    /// Digest of the token that they printed on the label.
    pub token: Option<ClaimTokenHash>,
    /// Where they say the order came from.
    pub marketplace: Option<Marketplace>,
}

/// An event with where it came from.
#[derive(Debug)]
pub struct TimelineEvent {
    /// The event.
    pub event: ParcelEvent,
    /// Its source: nobody for our own doors and lockers.
    pub from: Option<ParticipantId>,
    /// When it came into our journal.
    pub logged_at: Timestamp,
    /// Digest of the original; zero where there is none.
    pub digest: Digest,
}

impl TimelineEvent {
    /// Whose events it is numbered among: carrier's and locker's events of one participant have feeds of
    /// their own.
    fn source(&self) -> (Option<&ParticipantId>, bool) {
        (self.from.as_ref(), self.event.step.is_locker())
    }
}

/// A release of the recipient's contact.
#[derive(Debug)]
pub struct ContactUse {
    /// To whom.
    pub to: ParticipantId,
    /// Under which agreement.
    pub agreement: WireId,
    /// For what.
    pub purpose: String,
    /// In which form.
    pub form: ContactForm,
    /// When.
    pub at: Timestamp,
    /// Whether they were asked to delete it.
    pub passed_on: bool,
}

impl Parcel {
    /// Highest number of the events of `from`, 0 for none.
    pub fn last_number(&self, from: Option<&ParticipantId>) -> u32 {
        self.events
            .iter()
            .rev()
            .filter(|e| e.from.as_ref() == from)
            .map(|e| e.event.number)
            .max()
            .unwrap_or(0)
    }

    /// Highest number of the events that came from `from`, 0 for none. Locker steps and others travel in
    /// feeds of their own, of which neither waits for the other.
    pub fn last_received(&self, from: &ParticipantId, locker: bool) -> u32 {
        self.events
            .iter()
            .filter(|e| e.source() == (Some(from), locker))
            .map(|e| e.event.number)
            .max()
            .unwrap_or(0)
    }

    /// Whether an event of `from` with this number came in.
    pub fn has_received(&self, from: &ParticipantId, locker: bool, number: u32) -> bool {
        let mut theirs = self
            .events
            .iter()
            .filter(|e| e.source() == (Some(from), locker));
        theirs.any(|e| e.event.number == number)
    }

    /// The events in order: as they came in, but for those that had waited until an agreement covered
    /// them, each of which stands before the later ones of its source.
    pub fn in_order(&self) -> Vec<&TimelineEvent> {
        let mut ordered: Vec<&TimelineEvent> = Vec::with_capacity(self.events.len());
        for entry in &self.events {
            let overtaken = ordered.iter().position(|before| {
                before.source() == entry.source() && before.event.number > entry.event.number
            });
            ordered.insert(overtaken.unwrap_or(ordered.len()), entry);
        }
        ordered
    }

    /// The newest event by its own time; the later accepted of two at one time.
    pub fn latest(&self) -> Option<&TimelineEvent> {
        self.events.iter().max_by_key(|e| e.event.at)
    }

    /// The one participant that authorises its data, if that is known and undisputed.
    pub fn owner(&self) -> Option<&ParticipantId> {
        self.ownership.owner()
    }
}

/// All parcels of a node.
#[derive(Debug, Default)]
pub struct Parcels {
    all: Vec<Parcel>,
    by_waybill: BTreeMap<Waybill, usize>,
    by_id: BTreeMap<ParcelId, usize>,
    by_link: BTreeMap<Digest, (ParcelId, LinkKind)>,
    by_merchant: BTreeMap<MerchantId, Vec<ParcelId>>,
}

impl Parcels {
    /// The newest generation of a waybill.
    pub fn find(&self, waybill: &Waybill) -> Option<&Parcel> {
        self.by_waybill
            .get(waybill)
            .and_then(|at| self.all.get(*at))
    }

    /// The parcel with our id.
    pub fn get(&self, id: ParcelId) -> Option<&Parcel> {
        self.by_id.get(&id).and_then(|at| self.all.get(*at))
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, id: ParcelId) -> Option<&mut Parcel> {
        self.by_id.get(&id).and_then(|at| self.all.get_mut(*at))
    }

    /// The parcel behind a link.
    pub fn by_link(&self, digest: &Digest, kind: LinkKind) -> Option<&Parcel> {
        let (id, found) = self.by_link.get(digest)?;
        if *found != kind {
            return None;
        }
        self.get(*id)
    }

    /// Adds a parcel with the digests of its links.
    pub fn insert(&mut self, parcel: Parcel, links: [(Digest, LinkKind); 2]) {
        let at = self.all.len();
        self.by_waybill.insert(parcel.waybill, at);
        self.by_id.insert(parcel.id, at);
        for (digest, kind) in links {
            self.by_link.insert(digest, (parcel.id, kind));
        }
        self.all.push(parcel);
    }

    /// The parcel is of this merchant from here on.
    pub fn is_of(&mut self, merchant: &MerchantId, id: ParcelId) {
        let of = self.by_merchant.entry(merchant.clone()).or_default();
        of.push(id);
    }

    /// A merchant's parcels in the order in which they became known, oldest first.
    pub fn of_merchant(&self, merchant: &MerchantId) -> &[ParcelId] {
        self.by_merchant.get(merchant).map_or(&[], Vec::as_slice)
    }

    /// All parcels, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Parcel> {
        self.all.iter()
    }

    /// The same, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Parcel> {
        self.all.iter_mut()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}
