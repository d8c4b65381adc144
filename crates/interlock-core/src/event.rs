//! What happens to a parcel, as one small typed event.
//!
//! EPCIS 2.0 is a codec at the doors; inside, a step is a value of [`Step`]. A step that a door does
//! not know stays as it was received ([`Step::Other`]): shown, never dropped.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::ids::StationId;
use crate::time::{Timestamp, Zone};

/// One step in a parcel's life. The order of the variants is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The waybill was issued.
    Issued,
    /// The sender handed the parcel to the carrier.
    Accepted,
    /// The parcel reached a station of the carrier.
    Arrived,
    /// The parcel left a station of the carrier.
    Departed,
    /// The courier set out with it.
    OutForDelivery,
    /// It was delivered at the door.
    Delivered,
    /// It could not be delivered.
    DeliveryFailed,
    /// It lies in a compartment, door closed.
    Deposited,
    /// The recipient was told.
    Notified,
    /// The recipient took it out.
    PickedUp,
    /// The time to pick it up is over.
    Overdue,
    /// The courier took it back.
    Recalled,
    /// It is to go to another station or address.
    Redirected,
    /// Something this version has no word for, by the code it came with.
    Other(String),
    /// It may lie in its compartment for longer: the recipient asked for more time.
    Extended,
}

impl Step {
    /// The name on the wire, such as `picked-up`; the received code for [`Step::Other`].
    pub fn as_str(&self) -> &str {
        match self {
            Self::Issued => "issued",
            Self::Accepted => "accepted",
            Self::Arrived => "arrived",
            Self::Departed => "departed",
            Self::OutForDelivery => "out-for-delivery",
            Self::Delivered => "delivered",
            Self::DeliveryFailed => "delivery-failed",
            Self::Deposited => "deposited",
            Self::Notified => "notified",
            Self::PickedUp => "picked-up",
            Self::Overdue => "overdue",
            Self::Recalled => "recalled",
            Self::Redirected => "redirected",
            Self::Extended => "extended",
            Self::Other(code) => code,
        }
    }

    /// Whether the step belongs to a locker operator (`locker-events`) rather than to a carrier.
    pub const fn is_locker(&self) -> bool {
        match self {
            Self::Deposited
            | Self::Notified
            | Self::PickedUp
            | Self::Overdue
            | Self::Recalled
            | Self::Redirected
            | Self::Extended => true,
            Self::Issued
            | Self::Accepted
            | Self::Arrived
            | Self::Departed
            | Self::OutForDelivery
            | Self::Delivered
            | Self::DeliveryFailed
            | Self::Other(_) => false,
        }
    }

    /// Whether the parcel's life ends with it.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Delivered | Self::PickedUp => true,
            Self::Issued
            | Self::Accepted
            | Self::Arrived
            | Self::Departed
            | Self::OutForDelivery
            | Self::DeliveryFailed
            | Self::Deposited
            | Self::Notified
            | Self::Overdue
            | Self::Recalled
            | Self::Redirected
            | Self::Extended
            | Self::Other(_) => false,
        }
    }

    /// Whether the parcel lies in its compartment no more.
    pub const fn leaves_compartment(&self) -> bool {
        match self {
            Self::PickedUp | Self::Recalled | Self::Redirected => true,
            Self::Issued
            | Self::Accepted
            | Self::Arrived
            | Self::Departed
            | Self::OutForDelivery
            | Self::Delivered
            | Self::DeliveryFailed
            | Self::Deposited
            | Self::Notified
            | Self::Overdue
            | Self::Extended
            | Self::Other(_) => false,
        }
    }
}

/// Where an event happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A locker station.
    Station(StationId),
    /// A place in the words of whoever reported it, at most 128 bytes.
    Named(String),
}

/// One event of a parcel. The parcel itself is named by whoever carries the event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ParcelEvent {
    /// Number within this parcel at its source, from 1 and gapless: order is promised per parcel.
    pub number: u32,
    /// What happened.
    pub step: Step,
    /// When it happened, by the source's word (EPCIS `eventTime`).
    pub at: Timestamp,
    /// The zone it was recorded in (EPCIS `eventTimeZoneOffset`).
    pub zone: Zone,
    /// Where, if known.
    pub place: Option<Place>,
}
