//! The life of one parcel at one locker station, from its arrival to its end there.
//!
//! INVARIANT: between the reservation of a compartment and its release, its door opens once for the
//! courier and at most once for the recipient; a stay that ends holds no compartment, and has told
//! so with exactly one [`Fact::Released`] for each reservation. A code opens at most once.
//!
//! A [`Stay`] is a value: [`Stay::apply`] takes an input and gives the next value and the facts that
//! follow, for the caller to store and act upon. It does not know its parcel, its station, or which
//! compartments are free ([`crate::station::Compartments`]); it sends no messages and draws no codes.

mod apply;
mod input;

use serde::{Deserialize, Serialize};

use crate::ids::StationId;
use crate::pickup_code::StoredCode;
use crate::station::CompartmentNo;
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};

pub use input::{Actor, DoorUse, Fact, Input, LockerError};

/// Wrong codes until no more is taken for a while.
pub const TRIES_MAX: u8 = 3;
/// How long no code is taken after [`TRIES_MAX`] wrong ones.
pub const LOCK_OUT_MS: i64 = 15 * MINUTE_MS;
/// How long after its deposit a parcel can lie in a compartment at most, extensions included.
pub const STAY_MS_MAX: i64 = 30 * DAY_MS;

/// What an operator can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockerRules {
    reservation_ms: i64,
    pick_up_ms: i64,
}

/// Why a setting of an operator is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockerRulesError {
    /// The time to close the door.
    #[error("`{0}` ms to close the door: set 30 seconds to 15 minutes")]
    Reservation(i64),
    /// The time to pick up.
    #[error("`{0}` ms to pick up: set 1 hour to 7 days")]
    PickUp(i64),
}

impl Default for LockerRules {
    /// Three minutes to close the door, 24 hours to pick up.
    fn default() -> Self {
        Self {
            reservation_ms: 3 * MINUTE_MS,
            pick_up_ms: DAY_MS,
        }
    }
}

impl LockerRules {
    /// How long a compartment stays reserved until its door is closed, and how long a parcel lies
    /// until it is overdue, both in milliseconds.
    ///
    /// # Errors
    /// [`LockerRulesError`] beyond 30 seconds to 15 minutes, or 1 hour to 7 days.
    pub fn new(reservation_ms: i64, pick_up_ms: i64) -> Result<Self, LockerRulesError> {
        if !(30 * SECOND_MS..=15 * MINUTE_MS).contains(&reservation_ms) {
            return Err(LockerRulesError::Reservation(reservation_ms));
        }
        if !(HOUR_MS..=7 * DAY_MS).contains(&pick_up_ms) {
            return Err(LockerRulesError::PickUp(pick_up_ms));
        }
        Ok(Self {
            reservation_ms,
            pick_up_ms,
        })
    }

    /// How long a compartment stays reserved until its door is closed, in milliseconds.
    pub const fn reservation_ms(self) -> i64 {
        self.reservation_ms
    }

    /// How long a parcel lies until it is overdue, in milliseconds.
    pub const fn pick_up_ms(self) -> i64 {
        self.pick_up_ms
    }
}

/// Where a stay stands, for people and for answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The parcel was scanned at the station.
    Arrived,
    /// A compartment is open for it.
    Reserved,
    /// It lies in the compartment; the recipient has not been told the newest code.
    Deposited,
    /// The recipient was told.
    Notified,
    /// The time to pick it up is over; it can still be picked up.
    Overdue,
    /// The recipient has opened the compartment.
    Opened,
    /// Over: the recipient has it.
    PickedUp,
    /// Over: the courier or operator took it back.
    Recalled,
    /// Over: it is to go to another station.
    Redirected,
    /// Over: it may not be deposited; it goes to the address.
    Refused,
    /// Over: the courier gave up before the deposit.
    Cancelled,
}

impl Phase {
    /// The name on the wire, such as `picked-up`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Arrived => "arrived",
            Self::Reserved => "reserved",
            Self::Deposited => "deposited",
            Self::Notified => "notified",
            Self::Overdue => "overdue",
            Self::Opened => "opened",
            Self::PickedUp => "picked-up",
            Self::Recalled => "recalled",
            Self::Redirected => "redirected",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the stay is over.
    pub const fn is_over(self) -> bool {
        match self {
            Self::PickedUp
            | Self::Recalled
            | Self::Redirected
            | Self::Refused
            | Self::Cancelled => true,
            Self::Arrived
            | Self::Reserved
            | Self::Deposited
            | Self::Notified
            | Self::Overdue
            | Self::Opened => false,
        }
    }

    /// What can be done in this phase, for errors.
    const fn remedy(self) -> &'static str {
        match self {
            Self::Arrived => "reserve a compartment first",
            Self::Reserved => "close the door on the parcel, or abandon the reservation",
            Self::Deposited | Self::Notified | Self::Overdue => {
                "open it with the newest code, or recall it as courier or operator"
            }
            Self::Opened => "take the parcel out, or recall it as courier or operator",
            Self::PickedUp
            | Self::Recalled
            | Self::Redirected
            | Self::Refused
            | Self::Cancelled => "scan the parcel again to begin a new stay",
        }
    }
}

impl core::fmt::Display for Phase {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A parcel's stay at a station. The order of the variants inside is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stay {
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Arrived,
    Reserved {
        compartment: CompartmentNo,
        until: Timestamp,
    },
    Lying(Lying),
    /// The code is kept only to recognise a repeat of the request that opened the door.
    Opened {
        compartment: CompartmentNo,
        code: StoredCode,
    },
    PickedUp,
    Recalled,
    Redirected {
        to: StationId,
    },
    Refused,
    Cancelled,
}

/// A parcel in a closed compartment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Lying {
    compartment: CompartmentNo,
    deposited_at: Timestamp,
    deadline: Timestamp,
    code: StoredCode,
    tries: Tries,
    /// Whether the recipient was told the newest code.
    notified: bool,
    overdue: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Tries {
    Left(u8),
    LockedUntil(Timestamp),
}

impl Stay {
    /// The stay of a parcel that was just scanned at a station.
    pub const fn arrive() -> Self {
        Self {
            state: State::Arrived,
        }
    }

    /// Where it stands.
    pub const fn phase(&self) -> Phase {
        match &self.state {
            State::Arrived => Phase::Arrived,
            State::Reserved { .. } => Phase::Reserved,
            State::Lying(lying) => {
                if lying.overdue {
                    Phase::Overdue
                } else if lying.notified {
                    Phase::Notified
                } else {
                    Phase::Deposited
                }
            }
            State::Opened { .. } => Phase::Opened,
            State::PickedUp => Phase::PickedUp,
            State::Recalled => Phase::Recalled,
            State::Redirected { .. } => Phase::Redirected,
            State::Refused => Phase::Refused,
            State::Cancelled => Phase::Cancelled,
        }
    }

    /// The compartment it holds, if any.
    pub const fn compartment(&self) -> Option<CompartmentNo> {
        match &self.state {
            State::Reserved { compartment, .. } | State::Opened { compartment, .. } => {
                Some(*compartment)
            }
            State::Lying(lying) => Some(lying.compartment),
            State::Arrived
            | State::PickedUp
            | State::Recalled
            | State::Redirected { .. }
            | State::Refused
            | State::Cancelled => None,
        }
    }

    /// When the parcel is, or was, to be picked up, while it lies in a compartment.
    pub const fn deadline(&self) -> Option<Timestamp> {
        match self.lying() {
            Some(lying) => Some(lying.deadline),
            None => None,
        }
    }

    /// The stay as it is put on record: what is kept of the code stays out, because six digits can be
    /// found from any hash of them.
    #[must_use]
    pub fn without_code(&self) -> Self {
        self.with_code(StoredCode::ELSEWHERE)
    }

    /// The stay with `code` as what is kept of the newest code, where it keeps any.
    #[must_use]
    pub fn with_code(&self, code: StoredCode) -> Self {
        let mut stay = self.clone();
        match &mut stay.state {
            State::Lying(lying) => lying.code = code,
            State::Opened { code: kept, .. } => *kept = code,
            State::Arrived
            | State::Reserved { .. }
            | State::PickedUp
            | State::Recalled
            | State::Redirected { .. }
            | State::Refused
            | State::Cancelled => {}
        }
        stay
    }

    /// Until when no code is taken, if that is after `now`.
    pub fn locked_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self.lying()?.tries {
            Tries::LockedUntil(until) => Some(until).filter(|until| now < *until),
            Tries::Left(_) => None,
        }
    }

    /// What time alone will do to it: at that instant the caller applies the input.
    pub const fn due(&self) -> Option<(Timestamp, Input)> {
        match &self.state {
            State::Reserved { until, .. } => Some((*until, Input::DoorNotClosed)),
            State::Lying(lying) if !lying.overdue => Some((lying.deadline, Input::DeadlinePassed)),
            State::Lying(_)
            | State::Arrived
            | State::Opened { .. }
            | State::PickedUp
            | State::Recalled
            | State::Redirected { .. }
            | State::Refused
            | State::Cancelled => None,
        }
    }

    const fn lying(&self) -> Option<&Lying> {
        match &self.state {
            State::Lying(lying) => Some(lying),
            State::Arrived
            | State::Reserved { .. }
            | State::Opened { .. }
            | State::PickedUp
            | State::Recalled
            | State::Redirected { .. }
            | State::Refused
            | State::Cancelled => None,
        }
    }
}

#[cfg(test)]
mod tests;
