//! What a node writes to its journal: the whole of its state, as a sequence of records.
//!
//! Purpose: one type for everything durable. Invariants: a record carries everything that applying it
//! needs, so that replay draws no randomness and asks nobody; personal data is in [`Sealed`] parts
//! only, whose keys are destroyed one by one; variants are only ever added at the end. It does not know
//! framing, checksums and the chain (`interlock-journal`).

mod leaves;
mod looks;
mod parts;

pub use leaves::LeavesIn;
pub use looks::{Look, Looked, Reveal, Viewer};
pub use parts::{
    AlertKind, Anchored, AnchoredHead, Asker, BatchReceived, BatchReleased, CompartmentChange,
    ContactOutcome, ContentRef, CooperationStatus, DepositRecord, EndWarning, Erased,
    ErasureReason, EventRecord, ItemRef, KeyedEffect, LookupAsked, LookupDecision, LookupReleased,
    MessageKind, MessageOutcome, OverCollected, ParcelRecord, ReceivedItem, Regained, Sealed,
    StationSeen, Teller,
};

use interlock_core::agreement::AgreementState;
use interlock_core::dataset::Dataset;
use interlock_core::ids::{
    DepositId, IdempotencyKey, MessageId, ParcelId, ParticipantId, RequestId, WireId,
};
use interlock_core::locker::Stay;
use interlock_core::parcel::{Consent, Preference};
use interlock_core::station::Station;
use interlock_journal::bilateral::KeyRotation;
use serde::{Deserialize, Serialize};

use crate::exchange::wire::{Blob, Lane};
use crate::identity::code_key::CodeKey;
use crate::identity::partner::Partner;
use crate::identity::person::{Person, PersonName};
use crate::node::agreements::{
    Agreement, Cooperation, Mediation, Negotiation, Noted, Offer, Reciprocity, Transfer,
};
use crate::node::io::{Digest, Role};

/// Version of the record formats; stored in every frame's kind.
pub const RECORD_VERSION: u8 = 1;

/// A value that leaves out what it has not, as JSON: the journal's format has no field names by which
/// a reader could tell what is missing.
pub(super) mod as_json {
    use serde::de::{DeserializeOwned, Error as _};
    use serde::ser::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serde_json::to_string(value)
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }

    pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
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
    /// Batches that the consumer never had, and may not have any more, went back to their queue.
    BatchesTakenBack {
        /// Whose.
        to: ParticipantId,
        /// Dataset.
        dataset: Dataset,
        /// Lane.
        lane: Lane,
        /// Position of the first event taken back; all after it are, too.
        first: u64,
        /// The leaf in our log toward them.
        leaf: Blob,
    },
    /// A connector that gives no receipts has gone on beyond a position, or took what was pushed.
    Acknowledged {
        /// The connector.
        from: ParticipantId,
        /// Dataset.
        dataset: Dataset,
        /// Lane.
        lane: Lane,
        /// Last position that it acknowledged.
        next: u64,
    },
    /// Our own systems are warned that agreements end.
    EndWarned(Box<EndWarning>),
    /// Our own systems have a warning, or will never.
    WarningDone {
        /// The warning.
        id: MessageId,
        /// Whether it was taken.
        outcome: MessageOutcome,
    },
    /// Somebody did or decided something about a negotiation or an agreement.
    Noted(Box<Noted>),
    /// The end of this journal had been lost: it was restored from a copy, or a partner showed more of
    /// our log than we had.
    RolledBack {
        /// By whose mirror it was found, if by one.
        shown_by: Option<ParticipantId>,
        /// In words.
        reason: String,
    },
    /// Leaves of ours that we had lost came back from the mirror of their reader.
    Regained(Box<Regained>),
    /// A new epoch of our log begins.
    EpochOpened {
        /// Toward whom.
        to: ParticipantId,
        /// Its number.
        epoch: u32,
        /// Its first leaf, which says what was lost.
        leaf: Blob,
        /// How many leaves that they do not hold of the epoch before follow, one record each.
        reissued: u32,
    },
    /// A person was added or changed.
    Person(Box<Person>),
    /// A person may do nothing any more.
    PersonWithdrawn(PersonName),
    /// A mediation was proposed, answered or changed.
    Mediation(Box<Mediation>),
    /// An hour has begun in which content keys end: all that they sealed is gone.
    HourEnded {
        /// The hour, since 1970-01-01 UTC.
        hour: u32,
    },
    /// Personal data was deleted before its hour.
    Erased(Box<Erased>),
    /// What a connector wants to be shown with each page that is pushed to it.
    PushSecret {
        /// Our id of the transfer.
        transfer: WireId,
        /// The secret.
        secret: Sealed,
    },
    /// A partner knows that it is to delete the contact of a parcel, or cannot be told.
    ErasureTold {
        /// The partner.
        to: ParticipantId,
        /// The parcel.
        parcel: ParcelId,
        /// Why it refused, if it did.
        refused: Option<String>,
    },
    /// An API key counts no more.
    ApiKeyWithdrawn {
        /// SHA-256 of the key.
        digest: Digest,
        /// Who withdrew it, by the name of their key.
        by: String,
    },
    /// A key took the place of another: ours, or a partner's that showed us the signatures of both.
    KeyRotated {
        /// Whose.
        of: ParticipantId,
        /// The rotation.
        rotation: KeyRotation,
    },
    /// An entry of our anchor log.
    Anchored(Box<Anchored>),
    /// A witness cosigned our newest anchor.
    Cosigned {
        /// The witness.
        by: ParticipantId,
        /// Its line, with the line break.
        line: String,
    },
    /// We cosigned a partner's anchor.
    Witnessed {
        /// Whose.
        of: ParticipantId,
        /// Epoch of its anchor log.
        epoch: u32,
        /// The entries that were new.
        entries: Vec<Blob>,
        /// The note over all.
        note: String,
    },
    /// A cooperation of ours stands otherwise than regulators were shown.
    CooperationShown {
        /// The cooperation.
        cooperation: WireId,
        /// How it stands.
        status: Box<CooperationStatus>,
    },
    /// Notice of a suspension in return was given, taken back or carried out.
    Reciprocity(Box<Reciprocity>),
    /// The recipient of a parcel has another link for somebody else, or none any more.
    Delegated {
        /// The deposit of the parcel.
        deposit: DepositId,
        /// What the link's token follows from, with the node's secret.
        link: Option<[u8; 16]>,
    },
    /// A consumer asked for contacts beyond its deposits, and people are told.
    OverCollected(Box<OverCollected>),
    /// A person looked at personal data.
    Looked(Box<Look>),
    /// Somebody asked for a phone in clear, or it was approved or shown.
    Reveal(Box<Reveal>),
    /// The recipient of a parcel of ours said whether and into which locker it may go.
    Wished {
        /// The parcel.
        parcel: ParcelId,
        /// Whether into a locker at all.
        consent: Consent,
        /// Into which, and when.
        preference: Preference,
        /// Who brought the wish.
        by: Asker,
    },
    /// The recipient of a parcel enrolled a key: its code leaves sealed to that key alone.
    CodeKey {
        /// The parcel.
        parcel: ParcelId,
        /// The key.
        key: CodeKey,
        /// Who brought it.
        by: Asker,
    },
    /// Somebody got a key or a login from somebody else, who knows it.
    LetIn {
        /// Name of the person, or of the key's holder.
        name: String,
        /// Who made it.
        by: String,
    },
    /// Somebody wants an API key that another person has to agree to before it counts.
    KeyAsked {
        /// Who will hold it.
        name: String,
        /// What it may do.
        role: Role,
        /// SHA-256 of the key.
        digest: Digest,
        /// Who asks, by name.
        by: String,
    },
}

impl Record {
    /// The sealed parts, whose keys must be durable before the record.
    // tidy: long, one arm a record
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
                    | ReceivedItem::Skipped { .. }
                    | ReceivedItem::Cooperation(_) => None,
                })
                .collect(),
            Self::PushSecret { secret, .. } => vec![secret],
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
            | Self::ContactDeleted { .. }
            | Self::BatchesTakenBack { .. }
            | Self::Acknowledged { .. }
            | Self::EndWarned(_)
            | Self::WarningDone { .. }
            | Self::Noted(_)
            | Self::RolledBack { .. }
            | Self::Regained(_)
            | Self::EpochOpened { .. }
            | Self::Person(_)
            | Self::PersonWithdrawn(_)
            | Self::Mediation(_)
            | Self::HourEnded { .. }
            | Self::Erased(_)
            | Self::ErasureTold { .. }
            | Self::ApiKeyWithdrawn { .. }
            | Self::KeyRotated { .. }
            | Self::Anchored(_)
            | Self::Cosigned { .. }
            | Self::Witnessed { .. }
            | Self::CooperationShown { .. }
            | Self::Reciprocity(_)
            | Self::Delegated { .. }
            | Self::OverCollected(_)
            | Self::Looked(_)
            | Self::Reveal(_)
            | Self::Wished { .. }
            | Self::CodeKey { .. }
            | Self::KeyAsked { .. }
            | Self::LetIn { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
