//! What can happen to a stay, and what follows from it.
//!
//! INVARIANT: every input has a name that is the same in errors and in the local API. This module
//! does not know which input fits when; that is [`super::Stay::apply`].

use alloc::string::String;

use super::{Phase, STAY_MS_MAX, TRIES_MAX};
use crate::event::Step;
use crate::ids::StationId;
use crate::pickup_code::{PickupCode, StoredCode};
use crate::station::CompartmentNo;
use crate::time::{DAY_MS, Timestamp, Zone};

/// Who asks for something that not everybody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The recipient.
    Recipient,
    /// The courier who deposits or collects.
    Courier,
    /// The operator of the locker.
    Operator,
}

/// Something that happened, or is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The parcel was scanned at the station.
    Arrive,
    /// [`crate::station::Compartments::reserve`] has handed out a compartment. If the stay does not
    /// take it, the caller releases it again.
    Reserve {
        /// The compartment.
        compartment: CompartmentNo,
    },
    /// The cabinet reports that the door was closed on the parcel. `code` is drawn for this deposit
    /// and is void unless the input is taken.
    DoorClosed {
        /// What is kept of the code.
        code: StoredCode,
    },
    /// The time to close the door is over. If the door still stands open, the caller also marks the
    /// compartment as faulty.
    DoorNotClosed,
    /// The courier gives the reservation back, for instance because the parcel does not fit.
    Abandon,
    /// The message with the newest code went out.
    MessageSent,
    /// Somebody typed a code at the cabinet.
    TryCode(PickupCode),
    /// A new code replaces the old one, which is worthless from now on.
    Rekey {
        /// What is kept of the new code.
        code: StoredCode,
    },
    /// The recipient has taken the parcel out and closed the door.
    PickedUp,
    /// The time to pick up is over.
    DeadlinePassed,
    /// More time to pick up.
    Extend {
        /// The new deadline.
        until: Timestamp,
    },
    /// The parcel was taken back out of its compartment.
    Recall {
        /// By whom.
        by: Actor,
    },
    /// The parcel goes to another station, out of its compartment if it has one.
    Redirect {
        /// The other station.
        to: StationId,
        /// By whom.
        by: Actor,
    },
    /// The parcel may not be deposited: no consent, or nobody could tell the recipient.
    Refuse,
    /// The courier gives up before the deposit.
    Cancel,
}

impl Input {
    /// The name in errors, such as `door-closed`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Arrive => "arrive",
            Self::Reserve { .. } => "reserve",
            Self::DoorClosed { .. } => "door-closed",
            Self::DoorNotClosed => "door-not-closed",
            Self::Abandon => "abandon",
            Self::MessageSent => "message-sent",
            Self::TryCode(_) => "try-code",
            Self::Rekey { .. } => "rekey",
            Self::PickedUp => "picked-up",
            Self::DeadlinePassed => "deadline-passed",
            Self::Extend { .. } => "extend",
            Self::Recall { .. } => "recall",
            Self::Redirect { .. } => "redirect",
            Self::Refuse => "refuse",
            Self::Cancel => "cancel",
        }
    }
}

/// What a door is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorUse {
    /// The courier puts the parcel in.
    Deposit,
    /// The recipient takes it out.
    PickUp,
}

/// What follows from an input, for the caller to store and act upon, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A step for `locker-events`.
    Step(Step),
    /// The door is to be opened, now and once.
    DoorOpens {
        /// Which.
        compartment: CompartmentNo,
        /// What for.
        purpose: DoorUse,
    },
    /// The compartment holds the parcel ([`crate::station::Compartments::occupy`]).
    Occupied {
        /// Which.
        compartment: CompartmentNo,
    },
    /// The compartment is free again ([`crate::station::Compartments::release`]).
    Released {
        /// Which.
        compartment: CompartmentNo,
    },
    /// The newest code is spent or void: nobody needs to be told it any more.
    CodeVoided,
    /// The code was wrong; the door stays closed.
    CodeRefused {
        /// Tries left before the lock-out; at least 1.
        tries_left: u8,
    },
    /// The code was wrong once too often; the door stays closed.
    LockedOut {
        /// When codes are taken again.
        until: Timestamp,
    },
    /// The parcel is to be picked up by then.
    DeadlineSet {
        /// The instant from which it is overdue.
        at: Timestamp,
    },
}

/// Why an input was not taken; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockerError {
    /// The same was done before: the caller answers as it did then.
    #[error("`{input}` was done before and changes nothing: the stay is `{phase}`")]
    AlreadyDone {
        /// The name of the input.
        input: &'static str,
        /// Where the stay stands.
        phase: Phase,
    },
    /// It does not fit where the stay stands.
    #[error("`{input}` does not fit a parcel that is `{phase}`: {}", phase.remedy())]
    WrongPhase {
        /// The name of the input.
        input: &'static str,
        /// Where the stay stands.
        phase: Phase,
    },
    /// The stay is over.
    #[error("`{input}` comes after the end, the stay is `{phase}`: {}", phase.remedy())]
    Over {
        /// The name of the input.
        input: &'static str,
        /// How it ended.
        phase: Phase,
    },
    /// A time limit has not been reached.
    #[error("`{input}` comes too early: wait until {}", instant(*due))]
    TooEarly {
        /// The name of the input.
        input: &'static str,
        /// When it is due.
        due: Timestamp,
    },
    /// Too many wrong codes.
    #[error("no code is taken after {TRIES_MAX} wrong ones: wait until {}", instant(*until))]
    LockedOut {
        /// When codes are taken again.
        until: Timestamp,
    },
    /// Not everybody may do it.
    #[error("`{input}` is not for recipients: ask the courier or the operator")]
    NotAllowed {
        /// The name of the input.
        input: &'static str,
    },
    /// An extension that shortens, has passed or is too long.
    #[error(
        "not an extension: choose a time after {} and at most {} days after the deposit, {}",
        instant(*after), STAY_MS_MAX / DAY_MS, instant(*latest)
    )]
    Extension {
        /// The new deadline must be later than this.
        after: Timestamp,
        /// The latest deadline possible.
        latest: Timestamp,
    },
}

fn instant(at: Timestamp) -> String {
    at.to_rfc3339(Zone::UTC)
}
