//! Messages to recipients.
//!
//! Purpose: those that the gateway has not answered for in memory, and those that are done with in rows.
//! Invariants: a message is open until its outcome is on record, and done for ever after; they are
//! listed in the order in which they were decided on. It does not know gateways or texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use interlock_core::ids::{DepositId, MessageId, ParcelId};
use interlock_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::list::List;
use super::table::{Cold, FrozenRows, Key, Row, Table, plain_rows};
use crate::node::ContentKeys;
use crate::node::record::MessageKind;

/// The rows of each table begin with one of these.
mod tag {
    pub(super) const DONE: u8 = 12;
    pub(super) const IN_ORDER: u8 = 13;
    pub(super) const TOLD: u8 = 14;
}

/// What a message was decided on for: parcel, deposit, kind.
type Occasion = (ParcelId, Option<DepositId>, MessageKind);

/// A message to a recipient.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MessageState {
    /// The parcel.
    pub parcel: ParcelId,
    /// The deposit, at a locker operator.
    pub deposit: Option<DepositId>,
    /// What it says.
    pub kind: MessageKind,
    /// When it was decided on.
    pub queued_at: Timestamp,
    /// When the gateway took it.
    pub delivered_at: Option<Timestamp>,
    /// Why the gateway will never take it.
    pub refused: Option<String>,
}

/// All messages of a node. What is serialized is what a snapshot keeps beside the tables.
#[derive(Debug, Serialize, Deserialize)]
pub struct Messages {
    #[serde(with = "super::shared")]
    open: BTreeMap<MessageId, Arc<MessageState>>,
    #[serde(skip, default = "nothing_done")]
    done: Table<MessageId, Arc<MessageState>>,
    in_order: List<{ tag::IN_ORDER }, MessageId>,
    #[serde(skip, default = "nobody_told")]
    told: Table<Occasion, ()>,
}

fn nothing_done() -> Table<MessageId, Arc<MessageState>> {
    Table::new(tag::DONE, &Cold::default())
}

fn nobody_told() -> Table<Occasion, ()> {
    Table::new(tag::TOLD, &Cold::default())
}

plain_rows!(MessageId);

impl Row for Arc<MessageState> {
    fn encode(&self) -> Option<Vec<u8>> {
        postcard::to_allocvec(&**self).ok()
    }

    fn decode(bytes: &[u8], _: &dyn ContentKeys) -> Option<Self> {
        postcard::from_bytes(bytes).ok().map(Self::new)
    }
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            open: BTreeMap::new(),
            done: nothing_done(),
            in_order: List::default(),
            told: nobody_told(),
        }
    }
}

impl Messages {
    /// Reads what is not in memory from these rows.
    pub fn attach(&mut self, cold: &Cold) {
        self.done.attach(cold);
        self.in_order.attach(cold);
        self.told.attach(cold);
    }

    /// One of them.
    pub fn get(&self, id: &MessageId) -> Option<Arc<MessageState>> {
        let open = self.open.get(id).cloned();
        open.or_else(|| self.done.get(id))
    }

    /// Those whose outcome is not on record.
    pub const fn open(&self) -> &BTreeMap<MessageId, Arc<MessageState>> {
        &self.open
    }

    /// Whether a message of this kind was decided on for this deposit of the parcel.
    pub fn was_told(
        &self,
        parcel: ParcelId,
        deposit: Option<DepositId>,
        kind: MessageKind,
    ) -> bool {
        self.told.contains(&(parcel, deposit, kind))
    }

    /// A new one.
    pub fn insert(&mut self, id: MessageId, message: MessageState) {
        let occasion = (message.parcel, message.deposit, message.kind);
        self.told.insert(occasion, ());
        self.in_order.push(id);
        self.open.insert(id, Arc::new(message));
    }

    /// The outcome of an open one is on record: `settle` writes it down. False if none is open.
    pub fn done(&mut self, id: MessageId, settle: impl FnOnce(&mut MessageState)) -> bool {
        let Some(mut message) = self.open.remove(&id) else {
            return false;
        };
        settle(Arc::make_mut(&mut message));
        self.done.insert(id, message);
        true
    }

    /// Those after the first `after`, in the order in which they were decided on.
    pub fn after(&self, after: u64) -> impl Iterator<Item = (MessageId, Arc<MessageState>)> {
        let ids = self.in_order.from(after);
        ids.filter_map(|id| Some((id, self.get(&id)?)))
    }

    /// What changed since the last snapshot, table by table in the order of their rows.
    pub fn freeze(&mut self) -> [Box<dyn FrozenRows>; 3] {
        [
            self.done.freeze(),
            self.in_order.freeze(),
            self.told.freeze(),
        ]
    }

    /// What was frozen is in the rows now.
    pub fn let_go(&mut self) {
        self.done.let_go();
        self.in_order.let_go();
        self.told.let_go();
    }
}

impl Key for Occasion {
    fn write(&self, out: &mut Vec<u8>) {
        let (parcel, deposit, kind) = self;
        parcel.write(out);
        match deposit {
            None => out.push(0),
            Some(deposit) => {
                out.push(1);
                deposit.write(out);
            }
        }
        out.push(match kind {
            MessageKind::Deposited => 0,
            MessageKind::Overdue => 1,
        });
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (parcel, rest) = bytes.split_at_checked(16)?;
        let (kind, deposit) = rest.split_last()?;
        let kind = match kind {
            0 => MessageKind::Deposited,
            1 => MessageKind::Overdue,
            _ => return None,
        };
        let deposit = match deposit.split_first()? {
            (0, []) => None,
            (1, id) => Some(DepositId::read(id)?),
            _ => return None,
        };
        Some((ParcelId::read(parcel)?, deposit, kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn occasions_are_ordered_as_their_bytes_are() {
        let mut occasions = Vec::new();
        for parcel in [1, 0] {
            let parcel = ParcelId::from_bytes([parcel; 16]);
            for deposit in [Some(DepositId::from_bytes([3; 16])), None] {
                occasions.push((parcel, deposit, MessageKind::Overdue));
                occasions.push((parcel, deposit, MessageKind::Deposited));
            }
        }
        occasions.sort();
        let bytes = occasions.iter().map(|occasion| {
            let mut bytes = Vec::new();
            occasion.write(&mut bytes);
            assert_eq!(Occasion::read(&bytes).as_ref(), Some(occasion));
            bytes
        });
        assert!(bytes.is_sorted());
        assert_eq!(Occasion::read(&[0; 16]), None);
        assert_eq!(Occasion::read(&[7; 20]), None);
    }
}
