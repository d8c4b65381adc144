//! A pickup code in a feed.
//!
//! INVARIANT: a code prints itself nowhere, and evidence commits to no code: six digits are found from any
//! hash of them. It does not know when a code may leave.

use std::borrow::Cow;

use interlock_core::contact::ContactForm;
use interlock_core::ids::StationId;
use serde::{Deserialize, Serialize};

use super::FeedItem;

/// A pickup code, where the term allows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeView {
    /// Carrier code.
    pub carrier: String,
    /// Waybill number.
    pub number: String,
    /// Where it opens a door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station: Option<StationId>,
    /// The form in which it was released, `sealed` or `full`; nothing if the parcel was out by then, or the
    /// code is its recipient's device's alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<ContactForm>,
    /// The code, as long as it is worth something. Evidence does not commit to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<CodeTold>,
}

/// What is told of a code.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodeTold {
    /// In clear.
    Open {
        /// The code.
        code: String,
        /// The compartment, which travels with the code only.
        compartment: u16,
    },
    /// Sealed to the key that the recipient enrolled at the operator.
    Sealed {
        /// The deposit that it is sealed for.
        deposit: String,
        /// Encapsulated key and ciphertext, in hexadecimal digits.
        sealed: String,
    },
}

impl CodeTold {
    /// Its form.
    pub const fn form(&self) -> ContactForm {
        match self {
            Self::Open { .. } => ContactForm::Full,
            Self::Sealed { .. } => ContactForm::Sealed,
        }
    }
}

impl std::fmt::Debug for CodeTold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open { .. } => "Open(redacted)",
            Self::Sealed { .. } => "Sealed",
        })
    }
}

impl FeedItem {
    /// What evidence commits to: everything but a code.
    pub fn committed(&self) -> Cow<'_, Self> {
        match self {
            Self::Code(view) if view.told.is_some() => Cow::Owned(Self::Code(CodeView {
                told: None,
                ..view.clone()
            })),
            Self::PreAdvice(_)
            | Self::Parcel(_)
            | Self::Station(_)
            | Self::Code(_)
            | Self::Cooperation(_) => Cow::Borrowed(self),
        }
    }
}
