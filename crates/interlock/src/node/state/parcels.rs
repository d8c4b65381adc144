//! Parcels by waybill, by id and by link.
//!
//! Purpose: finding a parcel and its timeline. Invariants: an id belongs to one parcel for ever; a
//! waybill leads to its newest generation; events of one source are numbered without gap in the order
//! of acceptance. It does not know lockers or agreements.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use interlock_core::contact::{ContactForm, Recipient};
use interlock_core::event::ParcelEvent;
use interlock_core::ids::{DepositId, Marketplace, MerchantId, ParcelId, ParticipantId, WireId};
use interlock_core::parcel::{
    ClaimTokenHash, Consent, Generation, Ownership, Preference, SizeClass,
};
use interlock_core::time::Timestamp;
use interlock_core::waybill::Waybill;
use serde::{Deserialize, Serialize};

pub use super::leases::{Lease, Leased};
use super::shop::{Sale, Stage, Standing};
use super::table::{Cold, FrozenRows, Key, Row, Table};
use crate::exchange::wire::CodeTold;
use crate::node::ContentKeys;
use crate::node::content::{Content, LinkKind};
use crate::node::io::Digest;

/// A parcel as this node knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// Whether the recipient said so: order systems do not change it then.
    pub wished: bool,
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
    /// Numbers at which its recipient is or was called, in the order in which they were leased. What ended
    /// stays known, so that nobody is leased it again.
    pub leases: Vec<Lease>,
    /// Its code at a partner's station, where the term allows it.
    pub code: Option<Content<CodeTold>>,
    /// Until when it can be picked up at a partner's station.
    pub pickup_until: Option<Timestamp>,
    /// When its life ended.
    pub closed_at: Option<Timestamp>,
}

/// A claim that came without the carrier's word: it opens nothing until the label's token is scanned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BareClaim {
    /// Who claims.
    pub claimant: ParticipantId,
    /// Digest of the token that they printed on the label.
    pub token: Option<ClaimTokenHash>,
    /// Where they say the order came from.
    pub marketplace: Option<Marketplace>,
}

/// An event with where it came from.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Serialize, Deserialize)]
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

    /// The newest event of a locker, in the order of acceptance.
    pub fn last_in_locker(&self) -> Option<&TimelineEvent> {
        self.events.iter().rev().find(|e| e.event.step.is_locker())
    }

    /// Its code at a partner's station, unless it lies there no more.
    pub fn code_seen(&self) -> Option<&CodeTold> {
        let left = self.last_in_locker();
        let left = left.is_some_and(|e| e.event.step.leaves_compartment());
        self.code.as_ref()?.value.as_ref().filter(|_| !left)
    }

    /// The newest event by its own time; the later accepted of two at one time.
    pub fn latest(&self) -> Option<&TimelineEvent> {
        self.events.iter().max_by_key(|e| e.event.at)
    }

    /// The newest locker event of one operator, by its own count.
    pub fn last_in_locker_of(&self, operator: &ParticipantId) -> Option<&TimelineEvent> {
        let theirs = self.events.iter();
        theirs
            .filter(|e| e.source() == (Some(operator), true))
            .max_by_key(|e| e.event.number)
    }

    /// How often the recipient's contact was released to a participant.
    pub fn releases_to(&self, to: &ParticipantId) -> u32 {
        let theirs = self.uses.iter().filter(|it| it.to == *to).count();
        u32::try_from(theirs).unwrap_or(u32::MAX)
    }

    /// The one participant that authorises its data, if that is known and undisputed.
    pub fn owner(&self) -> Option<&ParticipantId> {
        self.ownership.owner()
    }
}

/// The rows of each table begin with one of these.
mod tag {
    pub(super) const PARCELS: u8 = 1;
    pub(super) const BY_ID: u8 = 2;
    pub(super) const BY_WAYBILL: u8 = 3;
    pub(super) const BY_LINK: u8 = 4;
    pub(super) const BY_MERCHANT: u8 = 5;
}

/// A parcel's number: how many came into our journal before it. It tells how many that were, so it is
/// shown to nobody outside.
pub type Number = u64;

/// Parcels that are open are read in stretches of so many numbers.
const STRETCH_PARCELS: u64 = 1_024;
/// A stretch of which fewer are open is read one by one.
const STRETCH_OPEN_MIN: usize = 64;

/// All parcels of a node.
#[derive(Debug)]
pub struct Parcels {
    count: u64,
    /// Those whose life has not ended.
    open: BTreeSet<Number>,
    all: Table<Number, Arc<Parcel>>,
    by_id: Table<ParcelId, Number>,
    found: Found,
    by_waybill: Table<Waybill, Number>,
    by_link: Table<LinkKey, Number>,
    by_merchant: Table<Sale, Stage>,
}

/// The parcel that was last asked for: it is the next one, too, more often than not, and an id belongs to
/// one number for ever. It says nothing of what is held, so it is not printed.
#[derive(Default)]
struct Found(Cell<Option<(ParcelId, Number)>>);

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Found")
    }
}

/// What is kept of parcels beside their tables.
#[derive(Serialize, Deserialize)]
struct KeptParcels {
    count: u64,
    /// Each as the distance from the one before.
    open: Vec<u64>,
}

impl Serialize for Parcels {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.kept().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Parcels {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut parcels = Self::new(&Cold::default());
        parcels.restore(KeptParcels::deserialize(deserializer)?);
        Ok(parcels)
    }
}

/// The kind of a link, and half of its digest: 128 bits tell all links apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LinkKey(LinkKind, [u8; 16]);

impl LinkKey {
    fn new(kind: LinkKind, digest: &Digest) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(digest.first_chunk::<16>().unwrap_or(&[0; 16]));
        Self(kind, half)
    }
}

impl Key for LinkKey {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(match self.0 {
            LinkKind::Tracking => 0,
            LinkKind::Pickup => 1,
        });
        out.extend(self.1);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (kind, half) = bytes.split_first()?;
        let kind = match kind {
            0 => LinkKind::Tracking,
            1 => LinkKind::Pickup,
            _ => return None,
        };
        Some(Self(kind, half.try_into().ok()?))
    }
}

impl Row for Arc<Parcel> {
    fn encode(&self) -> Option<Vec<u8>> {
        postcard::to_allocvec(&**self).ok()
    }

    fn decode(bytes: &[u8], keys: &dyn ContentKeys) -> Option<Self> {
        let mut parcel: Parcel = postcard::from_bytes(bytes).ok()?;
        if let Some(recipient) = &mut parcel.recipient {
            recipient.reopen(keys);
        }
        if let Some(code) = &mut parcel.code {
            code.reopen(keys);
        }
        Some(Self::new(parcel))
    }
}

impl Parcels {
    /// None, over these rows.
    pub fn new(cold: &Cold) -> Self {
        Self {
            count: 0,
            open: BTreeSet::new(),
            all: Table::new(tag::PARCELS, cold),
            by_id: Table::new(tag::BY_ID, cold),
            found: Found::default(),
            by_waybill: Table::new(tag::BY_WAYBILL, cold),
            by_link: Table::new(tag::BY_LINK, cold),
            by_merchant: Table::new(tag::BY_MERCHANT, cold),
        }
    }

    /// Reads what is not in memory from these rows.
    pub fn attach(&mut self, cold: &Cold) {
        self.all.attach(cold);
        self.by_id.attach(cold);
        self.by_waybill.attach(cold);
        self.by_link.attach(cold);
        self.by_merchant.attach(cold);
    }

    fn kept(&self) -> KeptParcels {
        let mut before = 0;
        let distances = self.open.iter().map(|number| {
            let distance = number - before;
            before = *number;
            distance
        });
        KeptParcels {
            count: self.count,
            open: distances.collect(),
        }
    }

    fn restore(&mut self, kept: KeptParcels) {
        self.count = kept.count;
        let mut number = 0_u64;
        self.open = kept
            .open
            .into_iter()
            .map(|distance| {
                number = number.saturating_add(distance);
                number
            })
            .collect();
    }

    /// What changed since the last snapshot, table by table in the order of their rows.
    pub fn freeze(&mut self) -> [Box<dyn FrozenRows>; 5] {
        [
            self.all.freeze(),
            self.by_id.freeze(),
            self.by_waybill.freeze(),
            self.by_link.freeze(),
            self.by_merchant.freeze(),
        ]
    }

    /// What was frozen is in the rows now.
    pub fn let_go(&mut self) {
        let open = &self.open;
        self.all.let_go_but(|number, _| open.contains(number));
        self.by_id.let_go_but(|_, number| open.contains(number));
        self.by_waybill
            .let_go_but(|_, number| open.contains(number));
        self.by_link.let_go();
        self.by_merchant.let_go();
    }

    /// The newest generation of a waybill.
    pub fn find(&self, waybill: &Waybill) -> Option<Arc<Parcel>> {
        let number = self.by_waybill.get(waybill)?;
        let parcel = self.all.get(&number)?;
        self.found.0.set(Some((parcel.id, number)));
        Some(parcel)
    }

    fn number_of(&self, id: ParcelId) -> Option<Number> {
        match self.found.0.get() {
            Some((found, number)) if found == id => Some(number),
            Some(_) | None => {
                let number = self.by_id.get(&id)?;
                self.found.0.set(Some((id, number)));
                Some(number)
            }
        }
    }

    /// The parcel with our id.
    pub fn get(&self, id: ParcelId) -> Option<Arc<Parcel>> {
        self.all.get(&self.number_of(id)?)
    }

    /// The same, to change it. Its end is put on it by [`Self::close`].
    pub fn get_mut(&mut self, id: ParcelId) -> Option<&mut Parcel> {
        let number = self.number_of(id)?;
        let (parcel, changed_before) = self.all.changing(&number)?;
        if !changed_before {
            // A parcel that changes is asked for again: the ways to it stay in memory.
            self.by_id.warm_up(id, number);
            if self.by_waybill.get(&parcel.waybill) == Some(number) {
                self.by_waybill.warm_up(parcel.waybill, number);
            }
        }
        Some(Arc::make_mut(parcel))
    }

    /// Everything sealed under keys that end in `hour` is gone, of what is in memory.
    pub(super) fn hour_ended(&mut self, hour: u32) {
        let ends = |parcel: &Arc<Parcel>| {
            let recipient = parcel.recipient.as_ref().map(|content| content.slot.0);
            let code = parcel.code.as_ref().map(|content| content.slot.0);
            recipient == Some(hour) || code == Some(hour)
        };
        for number in self.all.held(ends) {
            let Some(parcel) = self.all.get_mut(&number).map(Arc::make_mut) else {
                continue;
            };
            if let Some(recipient) = &mut parcel.recipient {
                recipient.end(hour);
            }
            if let Some(code) = &mut parcel.code {
                code.end(hour);
            }
        }
    }

    /// The life of a parcel ended.
    pub fn close(&mut self, id: ParcelId, at: Timestamp) {
        let Some(number) = self.by_id.get(&id) else {
            return;
        };
        self.open.remove(&number);
        if let Some(parcel) = self.all.get_mut(&number) {
            let parcel = Arc::make_mut(parcel);
            parcel.closed_at = Some(at);
            self.by_waybill.cool(&parcel.waybill);
        }
        self.by_id.cool(&id);
    }

    /// The parcel behind a link.
    pub fn by_link(&self, digest: &Digest, kind: LinkKind) -> Option<Arc<Parcel>> {
        self.all
            .get(&self.by_link.get(&LinkKey::new(kind, digest))?)
    }

    /// Adds a parcel with the digests of its links.
    pub fn insert(&mut self, parcel: Parcel, links: [(Digest, LinkKind); 2]) {
        let number = self.count;
        self.count += 1;
        self.open.insert(number);
        self.by_waybill.insert(parcel.waybill, number);
        self.by_id.insert(parcel.id, number);
        for (digest, kind) in links {
            self.by_link.insert(LinkKey::new(kind, &digest), number);
        }
        self.all.insert(number, Arc::new(parcel));
    }

    /// A parcel is on merchants' lists as it is `now`, no longer as it was `before`.
    pub(super) fn stands(&mut self, id: ParcelId, before: Option<Standing>, now: Option<Standing>) {
        if before == now {
            return;
        }
        let Some(number) = self.number_of(id) else {
            return;
        };
        let left = before.filter(|before| {
            let now = now.as_ref();
            now.is_none_or(|now| now.merchant != before.merchant)
        });
        if let Some(left) = left {
            self.by_merchant
                .remove(&Sale(left.merchant, Reverse(number)));
        }
        if let Some(now) = now {
            self.by_merchant
                .insert(Sale(now.merchant, Reverse(number)), now.stage);
        }
    }

    /// The place of a parcel on a merchant's list; `None` if it is not on it.
    pub fn place_in_shop(&self, merchant: &MerchantId, id: ParcelId) -> Option<Number> {
        let number = self.by_id.get(&id)?;
        let sale = Sale(merchant.clone(), Reverse(number));
        self.by_merchant.get(&sale).map(|_| number)
    }

    /// A merchant's parcels of ours by their places, the newest first, those `before` a place if one is
    /// given.
    pub fn of_merchant<'a>(
        &'a self,
        merchant: &'a MerchantId,
        before: Option<Number>,
    ) -> impl Iterator<Item = (Number, Stage)> + 'a {
        let newest = Sale(
            merchant.clone(),
            Reverse(before.map_or(u64::MAX, |n| n.saturating_sub(1))),
        );
        let sales = self.by_merchant.range(Some(&newest));
        let own = sales.take_while(move |(sale, _)| sale.0 == *merchant);
        own.map(|(sale, stage)| (sale.1.0, stage))
            .filter(move |(number, _)| before.is_none_or(|before| *number < before))
    }

    /// The parcel's number.
    pub fn number(&self, id: ParcelId) -> Option<Number> {
        self.number_of(id)
    }

    /// The parcel at a place of a list, or with a number.
    pub fn at_place(&self, number: Number) -> Option<Arc<Parcel>> {
        self.all.get(&number)
    }

    /// All parcels, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Arc<Parcel>> {
        self.all.iter().map(|(_, parcel)| parcel)
    }

    /// Those whose life has not ended, oldest first. Where they lie close together, their rows are read
    /// in one go.
    pub fn open(&self) -> impl Iterator<Item = Arc<Parcel>> {
        self.read(self.open.iter().copied())
    }

    /// At most `max` of them, those from a place on; and the place that the rest goes on from, if there
    /// is a rest.
    pub fn some_open(&self, from: Number, max: usize) -> (Vec<Arc<Parcel>>, Option<Number>) {
        let mut numbers = self.open.range(from..).copied();
        let some: Vec<Number> = numbers.by_ref().take(max).collect();
        (self.read(some.into_iter()).collect(), numbers.next())
    }

    fn read(&self, numbers: impl Iterator<Item = Number>) -> impl Iterator<Item = Arc<Parcel>> {
        let mut numbers = numbers.peekable();
        let stretches = std::iter::from_fn(move || {
            let first = numbers.next()?;
            let mut stretch = vec![first];
            while let Some(number) = numbers.next_if(|number| number - first < STRETCH_PARCELS) {
                stretch.push(number);
            }
            Some(stretch)
        });
        stretches.flat_map(|stretch| self.stretch(&stretch))
    }

    /// The parcels with these numbers, ascending.
    fn stretch(&self, numbers: &[Number]) -> Vec<Arc<Parcel>> {
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else {
            return Vec::new();
        };
        if numbers.len() < STRETCH_OPEN_MIN {
            return numbers.iter().filter_map(|n| self.all.get(n)).collect();
        }
        let rows = self.all.range(Some(first));
        let rows = rows.take_while(|(number, _)| number <= last);
        let open = rows.filter(|(number, _)| numbers.binary_search(number).is_ok());
        open.map(|(_, parcel)| parcel).collect()
    }

    /// How many there are.
    pub const fn len(&self) -> u64 {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}
