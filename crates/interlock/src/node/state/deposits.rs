//! Deposits at our stations.
//!
//! Purpose: those under way in memory, and those that are over in rows. Invariants: a deposit is under
//! way until its stay is over, and over for ever after; what it answers does not depend on where it
//! lies. It does not know parcels or compartments.

use std::collections::BTreeMap;
use std::sync::Arc;

use interlock_core::contact::ContactForm;
use interlock_core::ids::{CourierId, DepositId, MessageId, ParcelId, StationId, WireId};
use interlock_core::locker::Stay;
use interlock_core::parcel::SizeClass;
use interlock_core::station::CompartmentNo;
use interlock_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::table::{Cold, FrozenRows, Key, Row, Table};
use crate::exchange::wire::Contact;
use crate::node::ContentKeys;
use crate::node::content::Content;
use crate::node::record::Teller;

/// The rows of each table begin with one of these.
mod tag {
    pub(super) const OVER: u8 = 10;
    pub(super) const OF_PARCEL: u8 = 11;
}

/// A deposit at a station of ours.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deposit {
    /// The parcel.
    pub parcel: ParcelId,
    /// The station.
    pub station: StationId,
    /// The compartment.
    pub compartment: CompartmentNo,
    /// Size class.
    pub size_class: SizeClass,
    /// Where it is in its life.
    pub stay: Stay,
    /// The courier.
    pub courier: Content<CourierId>,
    /// The code.
    pub code: Content<String>,
    /// The recipient's contact, once we have it.
    pub contact: Option<Content<Contact>>,
    /// Its form.
    pub contact_form: Option<ContactForm>,
    /// Under which agreement it was granted, and when; nobody granted one that a courier typed.
    pub contact_under: Option<(WireId, Timestamp)>,
    /// Who tells the recipient; unsettled while a lookup is under way.
    pub teller: Option<Teller>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When the door was closed on the parcel.
    pub deposited_at: Option<Timestamp>,
    /// Until when it can be picked up.
    pub pickup_until: Option<Timestamp>,
    /// Its message, if one was decided on.
    pub message: Option<MessageId>,
}

impl Deposit {
    /// Whether the parcel lies in the compartment.
    pub fn lies(&self) -> bool {
        self.deposited_at.is_some() && !self.stay.phase().is_over()
    }

    /// Whether its owner may still be asked for the contact: nobody was asked to the end, or what was
    /// refused is known only since the door was closed on the parcel, which lies there.
    pub fn may_ask(&self) -> bool {
        !self.stay.phase().is_over()
            && match &self.teller {
                None => true,
                Some(Teller::Nobody { .. }) => self.deposited_at.is_some(),
                Some(Teller::Us | Teller::Owner(_) | Teller::Carrier(_)) => false,
            }
    }
}

/// All deposits of a node. What is serialized is what a snapshot keeps beside the tables.
#[derive(Debug, Serialize, Deserialize)]
pub struct Deposits {
    #[serde(with = "super::shared")]
    under_way: BTreeMap<DepositId, Arc<Deposit>>,
    #[serde(skip, default = "nothing_over")]
    over: Table<DepositId, Arc<Deposit>>,
    #[serde(skip, default = "of_no_parcel")]
    of_parcel: Table<(ParcelId, DepositId), ()>,
}

fn nothing_over() -> Table<DepositId, Arc<Deposit>> {
    Table::new(tag::OVER, &Cold::default())
}

fn of_no_parcel() -> Table<(ParcelId, DepositId), ()> {
    Table::new(tag::OF_PARCEL, &Cold::default())
}

impl Default for Deposits {
    fn default() -> Self {
        Self {
            under_way: BTreeMap::new(),
            over: nothing_over(),
            of_parcel: of_no_parcel(),
        }
    }
}

impl Deposits {
    /// Reads what is not in memory from these rows.
    pub fn attach(&mut self, cold: &Cold) {
        self.over.attach(cold);
        self.of_parcel.attach(cold);
    }

    /// One of them.
    pub fn get(&self, id: &DepositId) -> Option<Arc<Deposit>> {
        let under_way = self.under_way.get(id).cloned();
        under_way.or_else(|| self.over.get(id))
    }

    /// The same, to change it. That its stay is over is said by [`Self::ended`].
    pub fn get_mut(&mut self, id: &DepositId) -> Option<&mut Deposit> {
        let deposit = match self.under_way.get_mut(id) {
            Some(deposit) => deposit,
            None => self.over.get_mut(id)?,
        };
        Some(Arc::make_mut(deposit))
    }

    /// A new one.
    pub fn insert(&mut self, id: DepositId, deposit: Deposit) {
        self.of_parcel.insert((deposit.parcel, id), ());
        self.under_way.insert(id, Arc::new(deposit));
    }

    /// The stay of one is over.
    pub fn ended(&mut self, id: DepositId) {
        if let Some(deposit) = self.under_way.remove(&id) {
            self.over.insert(id, deposit);
        }
    }

    /// Those whose stay is not over.
    pub const fn under_way(&self) -> &BTreeMap<DepositId, Arc<Deposit>> {
        &self.under_way
    }

    /// The deposits of a parcel.
    pub fn of(&self, parcel: ParcelId) -> impl Iterator<Item = DepositId> {
        let first = (parcel, DepositId::from_bytes([0; 16]));
        let entries = self.of_parcel.range(Some(&first));
        let own = entries.map(|(key, ())| key);
        own.take_while(move |(of, _)| *of == parcel)
            .map(|(_, id)| id)
    }

    /// All of them, those under way first.
    pub fn iter(&self) -> impl Iterator<Item = (DepositId, Arc<Deposit>)> {
        let under_way = self.under_way.iter();
        let under_way = under_way.map(|(id, deposit)| (*id, deposit.clone()));
        under_way.chain(self.over.iter())
    }

    /// Opens what lies sealed in what a snapshot kept.
    pub(super) fn reopen(&mut self, keys: &dyn ContentKeys) {
        for deposit in self.under_way.values_mut() {
            Arc::make_mut(deposit).reopen(keys);
        }
    }

    /// Everything sealed under keys that end in `hour` is gone, of what is in memory. `seen`: each
    /// deposit under way before that.
    pub(super) fn hour_ended(&mut self, hour: u32, mut seen: impl FnMut(DepositId, &Deposit)) {
        for (id, deposit) in &mut self.under_way {
            seen(*id, deposit);
            Arc::make_mut(deposit).end(hour);
        }
        for id in self.over.held(|deposit| deposit.ends_with(hour)) {
            if let Some(deposit) = self.over.get_mut(&id) {
                Arc::make_mut(deposit).end(hour);
            }
        }
    }

    /// What changed since the last snapshot, table by table in the order of their rows.
    pub fn freeze(&mut self) -> [Box<dyn FrozenRows>; 2] {
        [self.over.freeze(), self.of_parcel.freeze()]
    }

    /// What was frozen is in the rows now.
    pub fn let_go(&mut self) {
        self.over.let_go();
        self.of_parcel.let_go();
    }
}

impl Deposit {
    fn reopen(&mut self, keys: &dyn ContentKeys) {
        self.courier.reopen(keys);
        self.code.reopen(keys);
        if let Some(contact) = &mut self.contact {
            contact.reopen(keys);
        }
    }

    fn end(&mut self, hour: u32) {
        self.courier.end(hour);
        self.code.end(hour);
        if let Some(contact) = &mut self.contact {
            contact.end(hour);
        }
    }

    fn ends_with(&self, hour: u32) -> bool {
        let contact = self.contact.as_ref().map(|contact| contact.slot.0);
        self.courier.slot.0 == hour || self.code.slot.0 == hour || contact == Some(hour)
    }
}

impl Row for Arc<Deposit> {
    fn encode(&self) -> Option<Vec<u8>> {
        postcard::to_allocvec(&**self).ok()
    }

    fn decode(bytes: &[u8], keys: &dyn ContentKeys) -> Option<Self> {
        let mut deposit: Deposit = postcard::from_bytes(bytes).ok()?;
        deposit.reopen(keys);
        Some(Self::new(deposit))
    }
}

impl Key for (ParcelId, DepositId) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (parcel, deposit) = bytes.split_at_checked(16)?;
        Some((ParcelId::read(parcel)?, DepositId::read(deposit)?))
    }
}
