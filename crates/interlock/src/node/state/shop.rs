//! Merchants' parcels, the newest first, each with how it stands.
//!
//! Purpose: a merchant's list that reads no parcel which is not on it. Invariants: a parcel of ours that
//! has a merchant has one row, under that merchant, with the stage of its newest event; no other parcel
//! has one. It does not know who asks, nor how much of a list is shown.

use std::cmp::Reverse;

use interlock_core::event::Step;
use interlock_core::ids::{MerchantId, ParticipantId};
use serde::{Deserialize, Serialize};

use super::parcels::{Number, Parcel};
use super::table::{Key, plain_rows};

/// How far a parcel is, as merchants tell their parcels apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Its order is known, and at most that a waybill was issued.
    Announced,
    /// The carrier has it.
    Accepted,
    /// At a station of the carrier.
    Arrived,
    /// Between stations.
    Departed,
    /// With the courier.
    OutForDelivery,
    /// In a locker, and not overdue: deposited, told of, or given more time.
    Deposited,
    /// Taken out of the locker.
    PickedUp,
    /// Delivered at the door.
    Delivered,
    /// Not delivered.
    DeliveryFailed,
    /// Too long in the locker.
    Overdue,
    /// Taken back by the courier.
    Recalled,
    /// Sent on.
    Redirected,
    /// Something this version has no word for.
    Other,
}

impl Stage {
    /// The stage of a name in a merchant's filter, such as `picked-up`.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "announced" => Self::Announced,
            "accepted" => Self::Accepted,
            "arrived" => Self::Arrived,
            "departed" => Self::Departed,
            "out-for-delivery" => Self::OutForDelivery,
            "deposited" => Self::Deposited,
            "picked-up" => Self::PickedUp,
            "delivered" => Self::Delivered,
            "delivery-failed" => Self::DeliveryFailed,
            "overdue" => Self::Overdue,
            "recalled" => Self::Recalled,
            "redirected" => Self::Redirected,
            _ => return None,
        })
    }

    fn of(parcel: &Parcel) -> Self {
        match parcel.latest().map(|entry| &entry.event.step) {
            None | Some(Step::Issued) => Self::Announced,
            Some(Step::Accepted) => Self::Accepted,
            Some(Step::Arrived) => Self::Arrived,
            Some(Step::Departed) => Self::Departed,
            Some(Step::OutForDelivery) => Self::OutForDelivery,
            Some(Step::Deposited | Step::Notified | Step::Extended) => Self::Deposited,
            Some(Step::PickedUp) => Self::PickedUp,
            Some(Step::Delivered) => Self::Delivered,
            Some(Step::DeliveryFailed) => Self::DeliveryFailed,
            Some(Step::Overdue) => Self::Overdue,
            Some(Step::Recalled) => Self::Recalled,
            Some(Step::Redirected) => Self::Redirected,
            Some(Step::Other(_)) => Self::Other,
        }
    }
}

plain_rows!(Stage);

/// On whose list a parcel is, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub(super) merchant: MerchantId,
    pub(super) stage: Stage,
}

impl Standing {
    /// `None` if it is on nobody's list: it has no merchant, or is not owned by `me`.
    pub fn of(parcel: &Parcel, me: &ParticipantId) -> Option<Self> {
        let merchant = parcel.merchant.as_ref()?;
        (parcel.owner() == Some(me)).then(|| Self {
            merchant: merchant.clone(),
            stage: Stage::of(parcel),
        })
    }
}

/// A merchant and one of its parcels: the newest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sale(pub(super) MerchantId, pub(super) Reverse<Number>);

impl Key for Sale {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_str().as_bytes());
        out.push(0);
        out.extend((!self.1.0).to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (merchant, number) = bytes.split_last_chunk::<8>()?;
        let (_, merchant) = merchant.split_last()?;
        let merchant = MerchantId::parse(std::str::from_utf8(merchant).ok()?).ok()?;
        Some(Self(merchant, Reverse(!u64::from_be_bytes(*number))))
    }
}
