//! What a node writes to its journal: the whole of its state, as a sequence of records.
//!
//! Purpose: one type for everything durable. Invariants: a record carries everything that applying it
//! needs, so that replay draws no randomness and asks nobody; personal data is in [`Sealed`] parts
//! only, whose keys are destroyed one by one; variants are only ever added at the end. It does not know
//! framing, checksums and the chain (`interlock-journal`).

use interlock_core::agreement::AgreementState;
use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::event::ParcelEvent;
use interlock_core::ids::{
    DepositId, IdempotencyKey, Marketplace, MerchantId, MessageId, ParcelId, ParticipantId,
    RequestId, StationId, WireId,
};
use interlock_core::locker::Stay;
use interlock_core::parcel::{Consent, Generation, Preference, SizeClass};
use interlock_core::station::{CompartmentNo, Station};
use interlock_core::time::Timestamp;
use interlock_core::waybill::Waybill;
use serde::{Deserialize, Serialize};

use super::agreements::{Agreement, Cooperation, Negotiation, Offer, Transfer};
use super::io::{Digest, Role};
use crate::exchange::wire::{Blob, Lane};
use crate::identity::partner::Partner;

/// Version of the record formats; stored in every frame's kind.
pub const RECORD_VERSION: u8 = 1;

/// Personal data, encrypted under a key of its own (AES-256-GCM).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Day file of the key.
    pub day: u32,
    /// Slot of the key.
    pub slot: u32,
    /// Nonce.
    pub nonce: [u8; 12],
    /// Ciphertext and tag.
    pub ciphertext: Blob,
}

/// A value that leaves out what it has not, as JSON: the journal's format has no field names by which
/// a reader could tell what is missing.
mod as_json {
    use serde::de::{DeserializeOwned, Error as _};
    use serde::ser::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serde_json::to_string(value)
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map_err(D::Error::custom)
    }
}

/// One record. The order of the variants is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A partner was added or changed.
    Partner(#[serde(with = "as_json")] Box<Partner>),
    /// A partner was removed.
    PartnerRemoved(ParticipantId),
    /// An API key was added.
    ApiKey {
        /// Holder.
        name: String,
        /// Role.
        role: Role,
        /// SHA-256 of the key.
        digest: Digest,
    },
    /// An offer was published or changed.
    Offer(Box<Offer>),
    /// An offer was withdrawn.
    OfferWithdrawn(WireId),
    /// A negotiation reached a state.
    Negotiation(Box<Negotiation>),
    /// An agreement was concluded or changed by somebody.
    Agreement(Box<Agreement>),
    /// Time, or the end of another agreement, changed an agreement's state.
    AgreementState {
        /// The agreement.
        agreement: WireId,
        /// Its state from here on.
        state: AgreementState,
    },
    /// A transfer reached a state.
    Transfer(Box<Transfer>),
    /// A cooperation got a manifest or a signature.
    Cooperation(Box<Cooperation>),
    /// A parcel became known, or more became known of it.
    Parcel(Box<ParcelRecord>),
    /// A claim token scanned from a label proved who the owner is.
    Claimed {
        /// The parcel.
        parcel: ParcelId,
        /// Who had announced that token.
        claimant: ParticipantId,
        /// The token.
        token: [u8; 16],
    },
    /// An event of a parcel was accepted.
    Event(EventRecord),
    /// A station was put up or changed.
    Station(Box<Station>),
    /// A deposit was opened.
    Deposit(Box<DepositRecord>),
    /// Something happened to a deposit.
    Stay {
        /// The deposit.
        deposit: DepositId,
        /// Where its stay stands now.
        stay: Stay,
        /// What became of its compartment.
        compartment: CompartmentChange,
    },
    /// Who tells the recipient of a deposit was settled.
    Notifier {
        /// The deposit.
        deposit: DepositId,
        /// Who.
        teller: Teller,
    },
    /// Contacts were asked for.
    LookupAsked(Box<LookupAsked>),
    /// Contacts were answered.
    LookupAnswered {
        /// Who answered.
        from: ParticipantId,
        /// The request.
        request_id: RequestId,
        /// By item.
        outcomes: Vec<ContactOutcome>,
    },
    /// A batch of a feed left.
    BatchReleased(Box<BatchReleased>),
    /// A lookup was decided.
    LookupReleased(Box<LookupReleased>),
    /// Something was denied as a whole.
    Denied {
        /// To whom.
        to: ParticipantId,
        /// What they asked for.
        dataset: Dataset,
        /// Why not.
        reason: String,
        /// The leaf in our log toward them.
        leaf: Blob,
    },
    /// Leaves of a partner's log were verified and mirrored.
    Mirrored {
        /// Whose log.
        from: ParticipantId,
        /// Index of the first leaf.
        first: u64,
        /// The leaves.
        leaves: Vec<Blob>,
        /// Their signed checkpoint.
        checkpoint: String,
    },
    /// We wrote a leaf that goes with no other record: receipts, states of agreements.
    Leaf {
        /// Toward whom.
        to: ParticipantId,
        /// The leaf.
        leaf: Blob,
    },
    /// A consumer holds a feed up to a position, by its receipt.
    Receipted {
        /// The consumer.
        from: ParticipantId,
        /// Dataset.
        dataset: Dataset,
        /// Lane.
        lane: Lane,
        /// Last position that it holds.
        next: u64,
    },
    /// A batch of a partner's feed came in.
    BatchReceived(Box<BatchReceived>),
    /// A message to a recipient was decided on.
    Message {
        /// Its id.
        id: MessageId,
        /// The parcel.
        parcel: ParcelId,
        /// What it says.
        kind: MessageKind,
    },
    /// The gateway took a message, or will never.
    MessageDone {
        /// The message.
        id: MessageId,
        /// Whether it was taken.
        outcome: MessageOutcome,
    },
    /// A request with an idempotency key was carried out.
    Keyed {
        /// Digest of the API key of the caller.
        caller: Digest,
        /// The key.
        key: IdempotencyKey,
        /// Digest of the body.
        body: Digest,
        /// What it led to.
        effect: KeyedEffect,
    },
    /// Something that people should look at.
    Alert {
        /// Kind.
        kind: AlertKind,
        /// Which parcel, if any.
        parcel: Option<ParcelId>,
        /// Which partner, if any.
        partner: Option<ParticipantId>,
        /// In words, without personal data.
        detail: String,
    },
    /// A contact that we hold was due for deletion; its key is destroyed.
    ContactDeleted {
        /// The parcel.
        parcel: ParcelId,
    },
}

impl Record {
    /// The sealed parts, whose keys must be durable before the record.
    pub fn sealed(&self) -> Vec<&Sealed> {
        match self {
            Self::Parcel(parcel) => parcel.recipient.iter().collect(),
            Self::Deposit(deposit) => {
                let fixed = [&deposit.courier, &deposit.code];
                fixed.into_iter().chain(&deposit.contact).collect()
            }
            Self::LookupAnswered { outcomes, .. } => outcomes
                .iter()
                .filter_map(|outcome| match outcome {
                    ContactOutcome::Granted { contact, .. } => Some(contact),
                    ContactOutcome::Denied { .. } => None,
                })
                .collect(),
            Self::BatchReceived(batch) => batch
                .items
                .iter()
                .filter_map(|item| match item {
                    ReceivedItem::Code { code, .. } => Some(code),
                    ReceivedItem::Advice(_)
                    | ReceivedItem::Event { .. }
                    | ReceivedItem::Station(_)
                    | ReceivedItem::Skipped { .. } => None,
                })
                .collect(),
            Self::Partner(_)
            | Self::PartnerRemoved(_)
            | Self::ApiKey { .. }
            | Self::Offer(_)
            | Self::OfferWithdrawn(_)
            | Self::Negotiation(_)
            | Self::Agreement(_)
            | Self::AgreementState { .. }
            | Self::Transfer(_)
            | Self::Cooperation(_)
            | Self::Claimed { .. }
            | Self::Event(_)
            | Self::Station(_)
            | Self::Stay { .. }
            | Self::Notifier { .. }
            | Self::LookupAsked(_)
            | Self::BatchReleased(_)
            | Self::LookupReleased(_)
            | Self::Denied { .. }
            | Self::Mirrored { .. }
            | Self::Leaf { .. }
            | Self::Receipted { .. }
            | Self::Message { .. }
            | Self::MessageDone { .. }
            | Self::Keyed { .. }
            | Self::Alert { .. }
            | Self::ContactDeleted { .. } => Vec::new(),
        }
    }
}

/// A parcel as a door gave it. Applying it again adds what is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParcelRecord {
    /// Our id.
    pub id: ParcelId,
    /// The waybill.
    pub waybill: Waybill,
    /// Its generation.
    pub generation: Generation,
    /// When the waybill was issued.
    pub issued_at: Timestamp,
    /// Who says so: nobody for our own door.
    pub source: Option<ParticipantId>,
    /// Where the order came from.
    pub marketplace: Option<Marketplace>,
    /// Merchant.
    pub merchant: Option<MerchantId>,
    /// Owner, by the source's word.
    pub owner: Option<ParticipantId>,
    /// SHA-256 of the claim token.
    pub claim: Option<Digest>,
    /// Size class.
    pub size_class: Option<SizeClass>,
    /// Consent to lockers.
    pub consent: Consent,
    /// What the recipient prefers.
    pub preference: Preference,
    /// The recipient.
    pub recipient: Option<Sealed>,
    /// Operators to advise.
    pub lockers: Vec<ParticipantId>,
}

/// An event of a parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// The parcel.
    pub parcel: ParcelId,
    /// The event; its number counts within the parcel and the source.
    pub event: ParcelEvent,
    /// Digest of the original, for finding repeats; zero for our own events.
    pub digest: Digest,
}

/// A deposit at one of our stations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositRecord {
    /// Its id.
    pub id: DepositId,
    /// The parcel.
    pub parcel: ParcelId,
    /// The station.
    pub station: StationId,
    /// The compartment.
    pub compartment: CompartmentNo,
    /// Size class wanted.
    pub size_class: SizeClass,
    /// The courier, sealed: a person too.
    pub courier: Sealed,
    /// The code, sealed.
    pub code: Sealed,
    /// Contact typed by the courier, sealed.
    pub contact: Option<Sealed>,
    /// Where its stay stands: a compartment is reserved.
    pub stay: Stay,
}

/// What became of a compartment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CompartmentChange {
    /// Nothing.
    None,
    /// It holds the parcel.
    Occupied,
    /// It is free again.
    Released,
}

/// Who tells the recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Teller {
    /// We do, as soon as the contact is there.
    Us,
    /// The owner, from the event in its feed.
    Owner(ParticipantId),
    /// The carrier, under its own agreement.
    Carrier(ParticipantId),
    /// Nobody can: the deposit is refused.
    Nobody {
        /// Why not.
        reason: String,
    },
}

/// A lookup that we asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupAsked {
    /// Whom.
    pub to: ParticipantId,
    /// The agreement that we rely on.
    pub agreement: WireId,
    /// The request.
    pub request_id: RequestId,
    /// Purpose.
    pub purpose: String,
    /// Deposits, with the salt of each item and the time of its evidence.
    pub items: Vec<(DepositId, RequestId, Timestamp)>,
    /// The leaf in our log toward them.
    pub leaf: Blob,
}

/// What a lookup brought for one deposit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContactOutcome {
    /// A contact.
    Granted {
        /// Its form.
        form: ContactForm,
        /// The contact.
        contact: Sealed,
    },
    /// A denial.
    Denied {
        /// Why.
        reason: String,
    },
}

/// One thing in a feed, by reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemRef {
    /// A pre-advice.
    Advice(ParcelId),
    /// An event of a parcel, by its index in the parcel's timeline.
    Event(ParcelId, u32),
    /// A station's state.
    Station(StationId),
    /// A parcel's code.
    Code(DepositId),
}

/// A batch that left: positions, what was taken from the queue, and the leaf, together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchReleased {
    /// To whom.
    pub to: ParticipantId,
    /// Dataset.
    pub dataset: Dataset,
    /// Lane.
    pub lane: Lane,
    /// Under which agreement.
    pub agreement: WireId,
    /// Position of the first event.
    pub first: u64,
    /// How many items were taken from the front of the queue.
    pub taken: u32,
    /// Those of them that were not released and wait, by index among the taken.
    pub withheld: Vec<u32>,
    /// Salts of the released ones, in order.
    pub salts: Vec<RequestId>,
    /// The leaf in our log toward them.
    pub leaf: Blob,
}

/// A lookup that we decided, with its leaves and debits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupReleased {
    /// To whom.
    pub to: ParticipantId,
    /// Under which agreement.
    pub agreement: WireId,
    /// The request.
    pub request_id: RequestId,
    /// Its purpose.
    pub purpose: String,
    /// Day of the quota, in the term's zone.
    pub day: i64,
    /// By item.
    pub outcomes: Vec<LookupDecision>,
    /// The leaves in our log toward them.
    pub leaves: Vec<Blob>,
}

/// What was decided for one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LookupDecision {
    /// Released.
    Released {
        /// The parcel.
        parcel: ParcelId,
        /// In which form.
        form: ContactForm,
        /// Extension of a leased number and the end of the lease.
        lease: Option<(String, Timestamp)>,
    },
    /// Denied.
    Denied {
        /// Why.
        reason: String,
    },
}

/// A batch of a partner's feed, as it was received and verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchReceived {
    /// From whom.
    pub from: ParticipantId,
    /// Dataset.
    pub dataset: Dataset,
    /// Lane.
    pub lane: Lane,
    /// Our cursor after it.
    pub next: u64,
    /// What came; parcels that were new are in records of their own before this one.
    pub items: Vec<ReceivedItem>,
}

/// One item of a received batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReceivedItem {
    /// A pre-advice or a claim; its parcel record precedes.
    Advice(ParcelId),
    /// An event.
    Event {
        /// The parcel.
        parcel: ParcelId,
        /// The event, numbered by its source.
        event: ParcelEvent,
        /// Until when the parcel can be picked up, if said.
        pickup_until: Option<Timestamp>,
    },
    /// A partner's station.
    Station(StationSeen),
    /// A pickup code.
    Code {
        /// The parcel.
        parcel: ParcelId,
        /// The code and compartment, sealed.
        code: Sealed,
    },
    /// A repeat of what we already had, or something out of order; kept out of the timeline.
    Skipped {
        /// The parcel.
        parcel: ParcelId,
        /// The source's number of it.
        number: u32,
    },
}

/// A partner's station as it was last shown to us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StationSeen {
    /// The station.
    pub station: StationId,
    /// Its name.
    pub name: Option<String>,
    /// Longitude and latitude, millionths of a degree.
    pub position: Option<(i32, i32)>,
    /// Its state.
    pub state: Option<String>,
    /// Installed compartments by size.
    pub capacity: Option<[u16; 3]>,
    /// Coarse levels by size.
    pub availability: Option<[String; 3]>,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MessageKind {
    /// The parcel lies in a compartment.
    Deposited,
    /// The time to pick it up is over.
    Overdue,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageOutcome {
    /// The gateway has it.
    Delivered,
    /// The gateway will never take it.
    Refused {
        /// What it said.
        reason: String,
    },
}

/// What a request with an idempotency key led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyedEffect {
    /// A deposit.
    Deposit(DepositId),
    /// A deposit that was refused.
    Refused {
        /// The parcel, if it was known.
        parcel: Option<ParcelId>,
        /// Why nobody could tell the recipient.
        reason: String,
        /// The kind of problem.
        kind: String,
        /// HTTP status.
        status: u16,
        /// In words.
        detail: String,
    },
    /// Something whose answer says no more than that it was done.
    Done {
        /// HTTP status.
        status: u16,
        /// The answer, without personal data.
        body: Blob,
    },
}

/// Kind of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertKind {
    /// Two parties claim one parcel.
    ContestedOwnership,
    /// A recipient could not be told of a deposit.
    RecipientNotTold,
    /// A partner's evidence does not fit what it showed before.
    EvidenceMismatch,
    /// A partner sent an event out of its order, or with a gap.
    OrderBroken,
    /// A gateway refused a message.
    MessageRefused,
    /// An agreement ends soon.
    AgreementEnds,
}
