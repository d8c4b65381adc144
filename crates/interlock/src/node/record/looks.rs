//! Looks of people at personal data, and phones that two agree on to see.
//!
//! INVARIANT: fields and variants are stored in their order; new ones go to the end. No personal data.

use std::collections::BTreeSet;

use interlock_core::contact::ContactForm;
use interlock_core::ids::{MerchantId, ParcelId, RequestId};
use interlock_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::node::io::Digest;

/// A person, or the holder of a key, who looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewer {
    /// Digest by which they are told apart: of the key, or of the person's name.
    pub caller: Digest,
    /// Name of the person, or of the key's holder.
    pub name: String,
}

/// What was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Looked {
    /// A parcel, with its recipient's contact in a form.
    Parcel {
        /// The parcel.
        parcel: ParcelId,
        /// The form, if a contact was shown.
        form: Option<ContactForm>,
    },
    /// A courier's deposits.
    Round {
        /// Their parcels.
        parcels: BTreeSet<ParcelId>,
        /// The least restrictive form in which a contact was shown.
        form: Option<ContactForm>,
    },
    /// A merchant's list.
    Shop(MerchantId),
    /// The phone of a parcel's recipient, in clear.
    Phone(ParcelId),
    /// The address behind the code of a label.
    Address(ParcelId),
    /// The phone of a parcel's recipient, by the telephone network that connects a call.
    Call(ParcelId),
}

/// A look of a person at personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Who.
    pub by: Viewer,
    /// At what.
    pub what: Looked,
}

/// Somebody wants to see a phone in clear; its whole state, as of this record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reveal {
    /// Its id.
    pub id: RequestId,
    /// Whose phone.
    pub parcel: ParcelId,
    /// Why, as a name that is known.
    pub reason: String,
    /// Number of a ticket or letter.
    pub reference: Option<String>,
    /// Who asked.
    pub asked_by: Viewer,
    /// When.
    pub asked_at: Timestamp,
    /// Who else approved, and when.
    pub approved: Option<(Viewer, Timestamp)>,
    /// When it was shown.
    pub shown_at: Option<Timestamp>,
}
