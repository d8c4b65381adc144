//! Requests of people and about them: accounts, and phones that somebody has to see in clear.

use std::collections::BTreeSet;

use interlock_core::ids::{CourierId, MerchantId};
use interlock_core::waybill::Waybill;

use super::Role;
use crate::identity::password::PasswordHash;
use crate::identity::person::PersonName;

/// A person who asks; the door has checked the password and keeps the session.
#[derive(Clone, Debug)]
pub struct PersonCaller {
    /// Who.
    pub name: PersonName,
    /// The version of the person at login: with another one the session has ended.
    pub version: u32,
    /// The one-time code typed beside the request, if any.
    pub code: Option<String>,
}

/// `POST /people`.
#[derive(Clone, Debug)]
pub struct PersonPut {
    /// Logs in with this.
    pub name: PersonName,
    /// What the person may do, at least one.
    pub roles: BTreeSet<Role>,
    /// Who it is as a courier.
    pub courier: Option<CourierId>,
    /// For which merchant it works.
    pub merchant: Option<MerchantId>,
    /// Of the password that the door drew and shows once.
    pub password: PasswordHash,
    /// Of the one-time codes, drawn by the door.
    pub enrolment: [u8; 16],
}

/// `POST /reveals`.
#[derive(Clone, Debug)]
pub struct RevealPut {
    /// Whose phone: the recipient of this parcel.
    pub waybill: Waybill,
    /// Why, one of [`REVEAL_REASONS`].
    pub reason: String,
    /// Number of a ticket or letter: letters, digits, `-`, `_`, `.` and `/`.
    pub reference: Option<String>,
}

/// Why a phone may have to be seen.
pub const REVEAL_REASONS: [&str; 4] = [
    "delivery-problem",
    "recipient-asked",
    "complaint",
    "legal-order",
];

/// What is done about a phone that somebody asked to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevealAct {
    /// Somebody else agrees.
    Approve,
    /// Who asked sees it.
    Show,
}

/// Which looks are wanted of the list of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookKind {
    /// All but [`LookKind::Call`].
    People,
    /// At a parcel.
    Parcel,
    /// At a courier's deposits.
    Round,
    /// At a merchant's list.
    Shop,
    /// At the address behind a label's code.
    Address,
    /// At a phone in clear, agreed on by two people.
    Phone,
    /// A number given to a telephone network that connects a call.
    Call,
}

impl LookKind {
    /// All, as they are listed to people.
    pub const ALL: [Self; 7] = [
        Self::People,
        Self::Parcel,
        Self::Round,
        Self::Shop,
        Self::Address,
        Self::Phone,
        Self::Call,
    ];

    /// Its name at the local API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Parcel => "parcel",
            Self::Round => "round",
            Self::Shop => "shop",
            Self::Address => "address",
            Self::Phone => "phone",
            Self::Call => "call",
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}
