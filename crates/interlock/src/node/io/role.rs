//! What holders of API keys and people may do, by name.

use serde::{Deserialize, Serialize};

/// What a holder of an API key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Order system of a platform or carrier: parcels, events.
    OrderSystem,
    /// Courier's handheld: rounds, deposits.
    Handheld,
    /// Locker cabinet: deposits and what becomes of them.
    Cabinet,
    /// People who decide about agreements.
    Approver,
    /// Reads the ledger, alerts, evidence.
    Auditor,
    /// People on duty: see how everything runs and where a parcel is; decide nothing.
    Operations,
    /// A courier: own deposits and what a deposit needs.
    Courier,
    /// A merchant's people: own parcels.
    Merchant,
    /// The telephone network behind our numbers: whom to connect.
    Telephone,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 10] = [
        Self::Admin,
        Self::OrderSystem,
        Self::Handheld,
        Self::Cabinet,
        Self::Approver,
        Self::Auditor,
        Self::Operations,
        Self::Courier,
        Self::Merchant,
        Self::Telephone,
    ];

    /// The name in files and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::OrderSystem => "order-system",
            Self::Handheld => "handheld",
            Self::Cabinet => "cabinet",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::Operations => "operations",
            Self::Courier => "courier",
            Self::Merchant => "merchant",
            Self::Telephone => "telephone",
        }
    }
}
