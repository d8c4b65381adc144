//! Notices: what one party tells the other of an agreement or a key, beside the protocol.
//!
//! INVARIANT: a notice counts with the sender's log that comes along, in the envelope around it. It does
//! not know who may give which.

use interlock_core::ids::WireId;
use interlock_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Rotation;

/// `POST notices`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Notice {
    /// An agreement will end before its term, not before the notice is over.
    Termination {
        /// The agreement.
        agreement: WireId,
        /// When it ends.
        at: Timestamp,
        /// Why, for people.
        reason: String,
    },
    /// Personal data released under an agreement was deleted, by the consumer's word.
    Deletion {
        /// The agreement.
        agreement: WireId,
        /// Up to which release time.
        up_to: Timestamp,
        /// How many contacts.
        contacts: u64,
    },
    /// The recipient of a parcel wants deleted what the provider released of them.
    Erasure {
        /// An agreement under which it was released.
        agreement: WireId,
        /// Carrier code.
        carrier: String,
        /// Waybill number.
        number: String,
    },
    /// An agreement is in run-off, and which parcels that serves is frozen: by a leaf of the evidence.
    RunOff {
        /// The agreement.
        agreement: WireId,
    },
    /// The sender is a witness and cosigns the receiver's newest anchor. It carries no evidence.
    Cosignature {
        /// A signature line of C2SP cosignature/v1, with the line break.
        line: String,
    },
    /// The sender signs with another key. It carries no evidence: the leaf in its log follows.
    KeyRotation {
        /// From a key that the receiver knows to the one in force; at most
        /// [`ROTATIONS_SHOWN_MAX`](super::ROTATIONS_SHOWN_MAX).
        rotations: Vec<Rotation>,
    },
    /// An agreement was suspended, or has ended early: the log that comes along says so.
    Stopped {
        /// The agreement.
        agreement: WireId,
    },
    /// An agreement will be suspended in return (`il:reciprocate`), or will not be after all.
    Reciprocity {
        /// The agreement.
        agreement: WireId,
        /// The agreement that the receiver has suspended or ended early.
        trigger: WireId,
        /// From when; the notice is taken back where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
        /// Why, for people.
        reason: String,
    },
}
