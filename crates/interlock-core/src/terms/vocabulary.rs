//! The words of the `il:` profile: purposes, fields, evidence, notifiers, and what a term is called.
//!
//! INVARIANT: the order of the variants is stored (the bits of a [`FieldSet`], `postcard` records);
//! new words are appended. What a word may be combined with is not known here.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::contact::ContactForm;
use crate::dataset::Dataset;

macro_rules! words {
    (
        $(#[$doc:meta])* $name:ident {
            $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(rename_all = "kebab-case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every known word, in stored order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The word with the given name; `None` for one that this version does not know.
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.as_str() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What data is asked for (`odrl:purpose`, ODRL 2.2 vocabulary section 3.19).
    Purpose {
        /// Does the recipient agree to a locker?
        DepositConsent = "deposit-consent",
        /// Telling the recipient that the parcel lies in a locker.
        PickupNotification = "pickup-notification",
        /// The courier calls the recipient.
        CourierCall = "courier-call",
        /// Showing a parcel to its own recipient and merchant.
        DeliveryTracking = "delivery-tracking",
        /// Running lockers: which parcels come, which stations have room.
        LockerOperation = "locker-operation",
        /// Whose parcel it is.
        Ownership = "ownership",
        /// Settling a dispute between participants.
        Mediation = "mediation",
        /// Aggregates that show no parcel.
        Statistics = "statistics",
        /// Advertising. Known, so that a denial can name it.
        Marketing = "marketing",
    }
}

words! {
    /// A field of a dataset (`il:field`). Unlisted fields do not leave.
    Field {
        /// Carrier and number of the parcel.
        Waybill = "waybill",
        /// What happened.
        Step = "step",
        /// When it happened, by the source's word.
        EventTime = "event-time",
        /// Number of the event within its parcel.
        Number = "number",
        /// The locker station.
        Station = "station",
        /// Size class of the parcel or its compartment.
        SizeClass = "size-class",
        /// Where the carrier saw the parcel.
        Place = "place",
        /// The participant that authorises the parcel's data.
        Owner = "owner",
        /// Where the order came from.
        Marketplace = "marketplace",
        /// How to reach the recipient, in a form that the terms allow.
        Contact = "contact",
        /// Name of the recipient (`recipient-contact`) or of the station (`locker-stations`).
        Name = "name",
        /// Whether the recipient agrees to a locker.
        Consent = "consent",
        /// How the recipient wants to be told.
        Preference = "preference",
        /// The pick-up code, in a form that the terms allow.
        Code = "code",
        /// The compartment; it travels with the code only.
        Compartment = "compartment",
        /// Until when the parcel can be picked up.
        Deadline = "deadline",
        /// Position of the station.
        Position = "position",
        /// Whether the station works.
        State = "state",
        /// Free space in three coarse levels.
        Availability = "availability",
        /// Installed compartments by size class.
        Capacity = "capacity",
        /// Hash of a cooperation's manifest.
        ManifestHash = "manifest-hash",
        /// The parties of a cooperation.
        Parties = "parties",
        /// When a cooperation ends.
        End = "end",
        /// Age of the feeds in coarse steps.
        FeedAge = "feed-age",
        /// Period of an aggregate.
        Period = "period",
        /// What an aggregate counts.
        Measure = "measure",
        /// The aggregate; small counts are suppressed.
        Count = "count",
    }
}

impl Purpose {
    /// The least revealing form of contact with which the purpose can be served.
    pub const fn least_form(self) -> ContactForm {
        match self {
            Self::PickupNotification => ContactForm::Sealed,
            Self::CourierCall => ContactForm::Virtual,
            Self::DepositConsent
            | Self::DeliveryTracking
            | Self::LockerOperation
            | Self::Ownership
            | Self::Mediation
            | Self::Statistics
            | Self::Marketing => ContactForm::Masked,
        }
    }
}

impl Field {
    /// The fields that exist in `dataset`. Others cannot be agreed on for it.
    pub const fn of(dataset: Dataset) -> &'static [Self] {
        match dataset {
            Dataset::PreAdvice => &[
                Self::Waybill,
                Self::SizeClass,
                Self::Owner,
                Self::Marketplace,
            ],
            Dataset::RecipientContact => {
                &[Self::Contact, Self::Name, Self::Consent, Self::Preference]
            }
            Dataset::LockerEvents => &[
                Self::Waybill,
                Self::Step,
                Self::EventTime,
                Self::Number,
                Self::Station,
                Self::SizeClass,
                Self::Deadline,
            ],
            Dataset::PickupCode => &[
                Self::Waybill,
                Self::Station,
                Self::Code,
                Self::Compartment,
                Self::Deadline,
            ],
            Dataset::LockerStations => &[
                Self::Station,
                Self::Name,
                Self::Position,
                Self::State,
                Self::Availability,
                Self::Capacity,
            ],
            Dataset::TrackingEvents => &[
                Self::Waybill,
                Self::Step,
                Self::EventTime,
                Self::Number,
                Self::Place,
            ],
            Dataset::CooperationStatus => {
                &[Self::ManifestHash, Self::Parties, Self::End, Self::FeedAge]
            }
            Dataset::ExchangeStatistics => &[Self::Period, Self::Measure, Self::Count],
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

words! {
    /// What a consumer must have seen of a parcel before it may ask (`il:evidence`).
    EvidenceKind {
        /// The parcel's scan at a station.
        Arrival = "arrival",
        /// The parcel lies in a compartment, door closed.
        Deposit = "deposit",
    }
}

words! {
    /// Who tells the recipient that a parcel can be picked up (`il:notifier`).
    Notifier {
        /// The locker operator.
        Operator = "operator",
        /// The owner of the parcel.
        Owner = "owner",
        /// The carrier, under its own agreement.
        Carrier = "carrier",
    }
}

words! {
    /// What happens to items that arise while nothing is in force (`il:backlog`).
    Backlog {
        /// They wait at the provider for an agreement that covers their time.
        Hold = "hold",
        /// They are never handed over.
        Drop = "drop",
    }
}

words! {
    /// One term of the profile, in the order in which terms are shown.
    TermKey {
        /// What flows.
        Dataset = "dataset",
        /// From when until when.
        Term = "term",
        /// Purposes.
        Purpose = "purpose",
        /// Marketplaces.
        Scope = "scope",
        /// Fields.
        Fields = "fields",
        /// Forms of the contact or code.
        ContactForm = "contact-form",
        /// Distinct parcels a day.
        QuotaPerDay = "quota-per-day",
        /// Releases of one parcel.
        QuotaPerParcel = "quota-per-parcel",
        /// Evidence before a release.
        Evidence = "evidence",
        /// Who tells the recipient.
        Notifier = "notifier",
        /// Service after the end.
        RunOff = "run-off",
        /// What waits while nothing is in force.
        Backlog = "backlog",
        /// Since when backlog is covered.
        CoversFrom = "covers-from",
        /// Deletion by the consumer.
        Deletion = "deletion",
        /// Reciprocity.
        Reciprocity = "reciprocity",
        /// No passing on.
        Redisclosure = "redisclosure",
    }
}

words! {
    /// Who makes a term come true; shown to whoever approves.
    TermClass {
        /// The provider's node denies what is outside it.
        Provider = "provider",
        /// The consumer's node acts on it and attests to it.
        ConsumerNode = "consumer-node",
        /// Nothing but the signature holds it.
        Promised = "promised",
    }
}

impl TermKey {
    /// Who makes the term come true. For `purpose` the provider checks what is stated; what the
    /// data is then used for is promised. `reciprocity` binds both nodes, the provider's acts.
    pub const fn class(self) -> TermClass {
        match self {
            Self::Dataset
            | Self::Term
            | Self::Purpose
            | Self::Scope
            | Self::Fields
            | Self::ContactForm
            | Self::QuotaPerDay
            | Self::QuotaPerParcel
            | Self::Evidence
            | Self::RunOff
            | Self::Backlog
            | Self::CoversFrom
            | Self::Reciprocity => TermClass::Provider,
            Self::Notifier | Self::Deletion => TermClass::ConsumerNode,
            Self::Redisclosure => TermClass::Promised,
        }
    }
}

/// A set of fields in four bytes, so that deciding allocates nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FieldSet(u32);

impl FieldSet {
    /// No field.
    pub const EMPTY: Self = Self(0);

    /// Every field of `dataset`.
    pub fn of(dataset: Dataset) -> Self {
        Field::of(dataset).iter().copied().collect()
    }

    /// Whether it has no field.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it has `field`.
    pub const fn contains(self, field: Field) -> bool {
        self.0 & field.bit() != 0
    }

    /// Whether every field of it is in `other`.
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set but not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The fields in stored order.
    pub fn iter(self) -> impl Iterator<Item = Field> {
        Field::ALL
            .iter()
            .copied()
            .filter(move |f| self.contains(*f))
    }
}

impl FromIterator<Field> for FieldSet {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        Self(fields.into_iter().fold(0, |bits, field| bits | field.bit()))
    }
}

impl fmt::Debug for FieldSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_serde_writes_the_same_names() {
        for (at, field) in Field::ALL.iter().enumerate() {
            assert_eq!(Field::parse(field.as_str()), Some(*field));
            assert_eq!(field.bit(), 1 << at);
            assert_eq!(
                serde_json::to_value(field).unwrap(),
                serde_json::Value::from(field.as_str())
            );
        }
        for purpose in Purpose::ALL {
            assert_eq!(
                serde_json::to_value(purpose).unwrap(),
                serde_json::Value::from(purpose.as_str())
            );
        }
        assert_eq!(Purpose::parse("profiling"), None);
    }

    #[test]
    fn the_code_and_the_compartment_exist_in_the_code_dataset_only() {
        for dataset in Dataset::ALL {
            let fields = FieldSet::of(dataset);
            let secret = fields.contains(Field::Code) || fields.contains(Field::Compartment);
            assert_eq!(secret, dataset == Dataset::PickupCode, "{dataset}");
            assert_eq!(
                fields.contains(Field::Contact),
                dataset == Dataset::RecipientContact
            );
        }
    }

    #[test]
    fn field_sets_are_sets() {
        let set: FieldSet = [Field::Count, Field::Waybill, Field::Count]
            .into_iter()
            .collect();
        let fields: alloc::vec::Vec<Field> = set.iter().collect();
        assert_eq!(fields, [Field::Waybill, Field::Count]);
        assert!(set.difference(set).is_empty());
        assert!(!FieldSet::of(Dataset::PreAdvice).is_subset(set));
    }
}
