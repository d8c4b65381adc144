//! What records are made of.
//!
//! INVARIANT: fields and variants are stored in their order; new ones go to the end.

use interlock_core::collection::Finding;
use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::event::ParcelEvent;
use interlock_core::ids::{
    DepositId, Marketplace, MerchantId, MessageId, ParcelId, ParticipantId, RequestId, StationId,
    WireId,
};
use interlock_core::locker::Stay;
use interlock_core::parcel::{Consent, Generation, Preference, SizeClass};
use interlock_core::station::CompartmentNo;
use interlock_core::time::Timestamp;
use interlock_core::waybill::Waybill;
use interlock_journal::anchor::{Head, heads_filled};
use interlock_journal::bilateral::commit;
use interlock_journal::checkpoint::origin;
use interlock_journal::merkle::Hash;
use serde::{Deserialize, Serialize};

use crate::exchange::wire::{Blob, Lane};
use crate::node::io::Digest;

/// Personal data, encrypted under a key of its own (AES-256-GCM).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The hour in which the key ends, in hours since 1970-01-01 UTC.
    pub hour: u32,
    /// Slot of the key.
    pub slot: u32,
    /// Nonce.
    pub nonce: [u8; 12],
    /// Ciphertext and tag.
    pub ciphertext: Blob,
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
    /// Where a cooperation stands.
    Cooperation(WireId),
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
    /// Root over the commitments to what was asked.
    pub items_root: [u8; 32],
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
        /// What was leased and the end of the lease: `#` and how many leases of the parcel there were before,
        /// for an extension, or a number of a pool in E.164.
        lease: Option<(String, Timestamp)>,
    },
    /// Denied.
    Denied {
        /// Why.
        reason: String,
    },
}

/// Where a cooperation stands, as a party shows it or showed it to us. No personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CooperationStatus {
    /// SHA-256 of the manifest.
    pub manifest: [u8; 32],
    /// The two parties.
    pub parties: Vec<ParticipantId>,
    /// When it ends.
    pub end: Timestamp,
    /// How it stands, see [`crate::exchange::wire::CooperationView::state`].
    pub state: String,
    /// From when a party will suspend by reciprocity.
    pub suspends_at: Option<Timestamp>,
    /// How long ago the other party was heard of, in coarse steps.
    pub feed_age: String,
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
    /// Where a cooperation of the partner's stands.
    Cooperation(CooperationStatus),
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

/// Leaves of our own log that came back from its mirror.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Regained {
    /// Toward whom the log is.
    pub to: ParticipantId,
    /// Its epoch.
    pub epoch: u32,
    /// Index of the first leaf.
    pub first: u64,
    /// The leaves.
    pub leaves: Vec<Blob>,
    /// Our own signed checkpoint that covers them.
    pub checkpoint: String,
}

/// An entry of our anchor log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchored {
    /// Epoch of the anchor log.
    pub epoch: u32,
    /// The heads of our logs.
    pub heads: Vec<AnchoredHead>,
    /// From which the commitments are made that fill it up.
    pub filling: RequestId,
    /// Our checkpoint over the anchor log with this entry, a signed note.
    pub note: String,
}

/// The head of one log in an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchoredHead {
    /// Toward whom the log is.
    pub reader: ParticipantId,
    /// Its epoch.
    pub epoch: u32,
    /// How many leaves.
    pub size: u64,
    /// Root over them.
    pub root: [u8; 32],
    /// Salt of its commitment.
    pub salt: RequestId,
}

impl AnchoredHead {
    /// What is committed to.
    pub fn head(&self, me: &ParticipantId) -> Head {
        Head::new(origin(me, &self.reader, self.epoch), self.size, &self.root)
    }

    /// The commitment.
    pub fn commitment(&self, me: &ParticipantId) -> Hash {
        commit(self.salt.as_bytes(), self.head(me).text().as_bytes())
    }
}

impl Anchored {
    /// The commitments of the entry. They are in the order of their values, so that the place of one
    /// says nothing of the others.
    pub fn commitments(&self, me: &ParticipantId) -> Vec<Hash> {
        let mut all: Vec<Hash> = self.heads.iter().map(|head| head.commitment(me)).collect();
        for nth in all.len()..heads_filled(all.len()) {
            all.push(commit(self.filling.as_bytes(), &nth.to_le_bytes()));
        }
        all.sort_unstable();
        all
    }
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
        /// In words.
        detail: String,
    },
    /// Something whose answer says no more than that it was done.
    Done {
        /// HTTP status.
        status: u16,
        /// The answer, without personal data and secrets.
        body: Blob,
    },
    /// Something that changes nothing when it is carried out again; a repeat is.
    Repeatable,
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
    /// A connector does not take what is sent to it.
    NotTaken,
    /// We or a partner lost the end of a log.
    RolledBack,
    /// A partner cannot be compared with, so nothing is signed toward it.
    NotCompared,
    /// A mediation needs people.
    Mediation,
    /// Our clock has jumped, or differs from what a partner or most partners sign.
    ClockDoubted,
    /// A partner refuses to delete what its recipient wants deleted.
    ErasureRefused,
    /// A partner signs with another key, or does not take ours.
    KeyRotated,
    /// A partner will suspend an agreement in return (`il:reciprocate`).
    SuspensionAnnounced,
    /// A consumer asks for contacts beyond its deposits.
    OverCollection,
    /// Somebody made a key that is told phones.
    TelephoneKey,
    /// A key asks for many calls that lead nowhere.
    CallsToNobody,
    /// Whoever has the pick-up link says that the door does not open.
    DoorStuck,
    /// Whoever has the pick-up link says that the compartment is empty.
    CompartmentEmpty,
}

/// A day on which a consumer asked for contacts beyond its deposits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverCollected {
    /// Who asked.
    pub by: ParticipantId,
    /// What shows it.
    pub finding: Finding,
    /// Epoch of our log toward them in which the leaves stand.
    pub epoch: u32,
}

/// A warning that agreements with a partner end together and nothing follows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndWarning {
    /// Its id, the idempotency key at our own systems.
    pub id: MessageId,
    /// With whom.
    pub partner: ParticipantId,
    /// When they end.
    pub ends_at: Timestamp,
    /// How long before that this is due, in milliseconds.
    pub lead_ms: i64,
    /// Which agreements.
    pub agreements: Vec<WireId>,
    /// Parcels of which people would see a difference.
    pub parcels: u64,
    /// Recipients of them.
    pub recipients: u64,
    /// Merchants of them with their parcels, those with most first.
    pub merchants: Vec<(MerchantId, u64)>,
}

/// A piece of personal data, or a secret, that is sealed under a key of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ContentRef {
    /// The recipient of a parcel, at its owner or carrier.
    Recipient(ParcelId),
    /// The code of a parcel that a locker operator told us.
    CodeSeen(ParcelId),
    /// The courier of a deposit of ours.
    Courier(DepositId),
    /// The code of a deposit of ours.
    Code(DepositId),
    /// The contact of a deposit of ours.
    Contact(DepositId),
    /// What a connector wants to be shown with pushed pages.
    PushSecret(WireId),
}

/// Personal data that is deleted before its hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// What.
    pub what: Vec<ContentRef>,
    /// Why.
    pub why: ErasureReason,
}

/// Why personal data is deleted before its hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErasureReason {
    /// It is of no more use: the code of a parcel that was picked up, the secret of a transfer that ended.
    Over,
    /// The recipient wants it.
    Asked {
        /// Of which parcel.
        parcel: ParcelId,
        /// Who told us.
        by: Asker,
    },
    /// The partner that gave it to us says that its recipient wants it.
    Told {
        /// The partner.
        by: ParticipantId,
    },
}

/// Who brings a recipient's wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asker {
    /// The recipient, by the pick-up link.
    Recipient,
    /// One of our people or systems, by the name of its API key.
    Person(String),
}
