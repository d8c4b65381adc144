//! The datasets that flow between participants (design: what flows).

use core::fmt;

use serde::{Deserialize, Serialize};

/// A dataset (DSP 2025-1, DCAT `dcat:Dataset`). The discriminants are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dataset {
    /// Carrier to locker operator: waybill, size class, owner, marketplace. Feed.
    PreAdvice,
    /// Owner to locker operator: how to reach the recipient of a deposited parcel. Lookup.
    RecipientContact,
    /// Locker operator to owner: the life of its parcels in lockers. Feed.
    LockerEvents,
    /// Locker operator to owner: the code itself, where the term allows it. Feed.
    PickupCode,
    /// Locker operator to partners: stations, state, coarse free space. Feed.
    LockerStations,
    /// Carrier to owner: tracking of its parcels. Feed.
    TrackingEvents,
    /// Both parties to the regulator: the state of a cooperation, not its parcels. Feed.
    CooperationStatus,
    /// Any to the regulator: aggregates with small counts suppressed. Feed.
    ExchangeStatistics,
}

/// How a dataset is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatasetForm {
    /// Events in order, by cursor.
    Feed,
    /// An answer for each parcel asked about.
    Lookup,
}

impl Dataset {
    /// All datasets.
    pub const ALL: [Self; 8] = [
        Self::PreAdvice,
        Self::RecipientContact,
        Self::LockerEvents,
        Self::PickupCode,
        Self::LockerStations,
        Self::TrackingEvents,
        Self::CooperationStatus,
        Self::ExchangeStatistics,
    ];

    /// The name on the wire, such as `locker-events`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreAdvice => "pre-advice",
            Self::RecipientContact => "recipient-contact",
            Self::LockerEvents => "locker-events",
            Self::PickupCode => "pickup-code",
            Self::LockerStations => "locker-stations",
            Self::TrackingEvents => "tracking-events",
            Self::CooperationStatus => "cooperation-status",
            Self::ExchangeStatistics => "exchange-statistics",
        }
    }

    /// The dataset with the given name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.as_str() == name)
    }

    /// Feed or lookup.
    pub const fn form(self) -> DatasetForm {
        match self {
            Self::RecipientContact => DatasetForm::Lookup,
            Self::PreAdvice
            | Self::LockerEvents
            | Self::PickupCode
            | Self::LockerStations
            | Self::TrackingEvents
            | Self::CooperationStatus
            | Self::ExchangeStatistics => DatasetForm::Feed,
        }
    }

    /// Whether its items concern single parcels (and so need assurance `signed`) or are open data.
    pub const fn is_parcel_data(self) -> bool {
        match self {
            Self::PreAdvice
            | Self::RecipientContact
            | Self::LockerEvents
            | Self::PickupCode
            | Self::TrackingEvents => true,
            Self::LockerStations | Self::CooperationStatus | Self::ExchangeStatistics => false,
        }
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
