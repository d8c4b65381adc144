//! Bodies of `/exchange/v1`, version 1. JSON; every struct refuses unknown fields.
//!
//! Every answer and every posted request is an [`Envelope`]: the leaves of the sender's bilateral log
//! that the receiver has not yet receipted, with a checkpoint over them.

mod code;
mod notice;

pub use code::{CodeTold, CodeView};
pub use notice::Notice;

use ed25519_dalek::Signature;
use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::event::{Place, Step};
use interlock_core::ids::{Marketplace, ParticipantId, RequestId, StationId};
use interlock_core::time::{Timestamp, Zone};
use interlock_journal::bilateral::KeyRotation;
use serde::{Deserialize, Serialize};

use crate::identity::keys::PublicKey;

/// Most items in one lookup.
pub const LOOKUP_ITEMS_MAX: usize = 500;
/// Most events in one batch of a feed.
pub const BATCH_EVENTS_MAX: u32 = 2_000;
/// Longest wait of a long poll, in milliseconds: a day. Whoever polls chooses less.
pub const POLL_WAIT_MS_MAX: u32 = 86_400_000;
/// Most leaves in one envelope.
pub const ENVELOPE_LEAVES_MAX: usize = 5_000;
/// Most bytes of leaves in one page or envelope that we send, unless a single leaf is larger.
pub const PAGE_SIZE_BYTES_MAX: usize = 512 * 1024;
/// Most bytes of leaves that are taken at once: what is taken is one record of the journal.
pub const EVIDENCE_SIZE_BYTES_MAX: usize = 768 * 1024;
/// Most epochs of a log that a [`MirrorView`] names: the newest.
pub const EPOCHS_SHOWN_MAX: usize = 32;
/// Most rotations of a key that are shown at once: the newest.
pub const ROTATIONS_SHOWN_MAX: usize = 32;
/// Largest body at the exchange door, in bytes.
pub const BODY_SIZE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes that JSON carries as unpadded base64url.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;
        if s.is_human_readable() {
            s.serialize_str(&base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&self.0))
        } else {
            self.0.serialize(s)
        }
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use base64::Engine as _;
        struct Encoded;
        impl serde::de::Visitor<'_> for Encoded {
            type Value = Blob;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Blob, E> {
                base64::engine::general_purpose::URL_SAFE_NO_PAD
                    .decode(text)
                    .map(Blob)
                    .map_err(|_| E::custom("not base64url without padding"))
            }
        }
        if d.is_human_readable() {
            d.deserialize_str(Encoded)
        } else {
            Vec::deserialize(d).map(Self)
        }
    }
}

/// New leaves of the sender's log toward the receiver, and the checkpoint that covers them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Index of the first leaf given.
    pub from: u64,
    /// Encoded leaves from there on, gapless.
    pub leaves: Vec<Blob>,
    /// Signed note over the log including these leaves (C2SP tlog-checkpoint).
    pub checkpoint: String,
}

impl Evidence {
    /// No leaf and no checkpoint: of what shows nothing and signs nothing.
    pub const fn none() -> Self {
        Self {
            from: 0,
            leaves: Vec::new(),
            checkpoint: String::new(),
        }
    }
}

/// `GET evidence/checkpoint`: what the answering node holds of the asking one's log. Only the asking
/// node's own signatures are in it, so it is believed by nobody's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorView {
    /// The epochs of the asking node's log, oldest first, with the newest checkpoint mirrored.
    pub mirrored: Vec<MirroredEpoch>,
    /// The answering node's own log toward the asking one.
    pub written: WrittenView,
    /// How the asking node's key was rotated, oldest first; at most [`ROTATIONS_SHOWN_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotations: Vec<Rotation>,
    /// The newest checkpoint of the asking node's anchor log that the answering one has cosigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
}

/// One epoch of a log as its reader mirrors it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirroredEpoch {
    /// The epoch.
    pub epoch: u32,
    /// Its writer's newest signed note there.
    pub checkpoint: String,
}

/// Where a log stands, by its writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenView {
    /// The epoch.
    pub epoch: u32,
    /// How many leaves its reader has receipted: those before it are not sent again by themselves.
    pub receipted: u64,
    /// The epochs before, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<PastEpoch>,
    /// How its key was rotated, oldest first; at most [`ROTATIONS_SHOWN_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotations: Vec<Rotation>,
}

/// A key that took the place of another, signed by both over the same text as in a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// The key until then.
    pub old_key: PublicKey,
    /// The key from then on.
    pub new_key: PublicKey,
    /// By the old key, 64 bytes.
    pub old_signature: Blob,
    /// By the new key, 64 bytes.
    pub new_signature: Blob,
}

impl Rotation {
    /// As JSON carries it; `None` if a key is none that partners take.
    pub fn of(rotation: &KeyRotation) -> Option<Self> {
        let signature = |bytes| Blob(Signature::from(bytes).to_bytes().to_vec());
        Some(Self {
            old_key: PublicKey::from_bytes(&rotation.old_key).ok()?,
            new_key: PublicKey::from_bytes(&rotation.new_key).ok()?,
            old_signature: signature(rotation.old_signature),
            new_signature: signature(rotation.new_signature),
        })
    }

    /// As logs have it; nothing was verified. `None` if a signature has not 64 bytes.
    pub fn read(&self) -> Option<KeyRotation> {
        let signature = |blob: &Blob| Some(Signature::from_slice(&blob.0).ok()?.into());
        Some(KeyRotation {
            old_key: *self.old_key.as_bytes(),
            new_key: *self.new_key.as_bytes(),
            old_signature: signature(&self.old_signature)?,
            new_signature: signature(&self.new_signature)?,
        })
    }
}

/// An epoch of a log that was followed by another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastEpoch {
    /// The epoch.
    pub epoch: u32,
    /// How many leaves its writer has of it.
    pub size: u64,
}

/// Which of the two logs of a pair `GET evidence/entries` reads, by what the answering node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogSide {
    /// The log that the answering node writes.
    Written,
    /// The log that the asking node writes, as the answering one mirrors it.
    Mirrored,
    /// The anchor log of the answering node, which is the same for everybody.
    Anchor,
}

impl LogSide {
    /// All.
    pub const ALL: [Self; 3] = [Self::Written, Self::Mirrored, Self::Anchor];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Mirrored => "mirrored",
            Self::Anchor => "anchor",
        }
    }
}

/// A body with the evidence that goes with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope<T> {
    /// The sender's new leaves.
    pub evidence: Evidence,
    /// The body.
    pub body: T,
}

/// A lane of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// What arises while an agreement is in force.
    Live,
    /// What waited at its owner and is covered by a later agreement.
    Backlog,
}

impl Lane {
    /// Both lanes.
    pub const ALL: [Self; 2] = [Self::Live, Self::Backlog];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Backlog => "backlog",
        }
    }
}

/// A batch of a feed: positions `from..=to` of a lane, gapless. Empty when a poll ran out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedBatch {
    /// The dataset.
    pub dataset: Dataset,
    /// The lane.
    pub lane: Lane,
    /// The position after which to ask next: that of the last event, or the one asked after.
    pub next: u64,
    /// The events, in order of position.
    pub events: Vec<FeedEvent>,
}

/// One event of a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedEvent {
    /// Position in the lane, from 1, gapless.
    pub position: u64,
    /// Salt of the commitment to `item` in the batch's leaf.
    pub salt: RequestId,
    /// What is released.
    pub item: FeedItem,
}

/// What a feed releases. Fields that the agreement does not grant are absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FeedItem {
    /// `pre-advice`: whose parcel comes, from its carrier; from another party a mere claim.
    PreAdvice(PreAdviceView),
    /// `locker-events` and `tracking-events`.
    Parcel(ParcelView),
    /// `locker-stations`.
    Station(StationView),
    /// `pickup-code`.
    Code(CodeView),
    /// `cooperation-status`.
    Cooperation(CooperationView),
}

/// A pre-advice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreAdviceView {
    /// Carrier code.
    pub carrier: String,
    /// Waybill number.
    pub number: String,
    /// When the waybill was issued; it separates generations of one number.
    pub issued_at: Timestamp,
    /// Size class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_class: Option<String>,
    /// Who authorises the parcel's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<ParticipantId>,
    /// Where the order came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marketplace: Option<Marketplace>,
    /// SHA-256 of the claim token printed on the label, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
}

/// An event of a parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParcelView {
    /// Carrier code.
    pub carrier: String,
    /// Waybill number.
    pub number: String,
    /// Number of the event within its parcel at the provider, from 1.
    pub sequence: u32,
    /// What happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// In which zone that was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Until when the parcel can be picked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pickup_until: Option<Timestamp>,
}

/// A station, by what partners may see of it: free space only in coarse levels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StationView {
    /// The station.
    pub station: StationId,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Longitude and latitude, millionths of a degree (WGS 84).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<(i32, i32)>,
    /// Its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Installed compartments: small, medium, large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<[u16; 3]>,
    /// Free space by size class, in coarse levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<[String; 3]>,
}

/// Where a cooperation stands, for a regulator: nothing of any parcel, and ages in coarse steps only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CooperationView {
    /// SHA-256 of the manifest, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// The two parties.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<ParticipantId>,
    /// When it ends, by what is known now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// `signed`, `in-force`, `suspended`, `run-off`, `ended`; `partly-suspended` if some of its agreements
    /// are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// From when a party will suspend by reciprocity, if it gave notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspends_at: Option<Timestamp>,
    /// How long ago the reporting party last heard of the other, in coarse steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed_age: Option<String>,
}

/// The consumer holds everything up to `next` of a lane; the receipt itself is a leaf of the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedReceipt {
    /// The lane.
    pub lane: Lane,
    /// Last position that is durable at the consumer.
    pub next: u64,
}

/// Asks for the contacts of parcels, with the evidence that they are being deposited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupRequest {
    /// A repeat with the same id gets the same answer and debits nothing.
    pub request_id: RequestId,
    /// Purpose (`odrl:purpose`).
    pub purpose: String,
    /// The form that serves the purpose; the provider gives the most restrictive that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<ContactForm>,
    /// The parcels, at most [`LOOKUP_ITEMS_MAX`].
    pub items: Vec<LookupItem>,
}

/// One parcel asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupItem {
    /// Carrier code.
    pub carrier: String,
    /// Waybill number.
    pub number: String,
    /// What shows that the parcel is there; without it nothing is released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<ArrivalEvidence>,
    /// Salt of the commitment to this item in the request's leaf.
    pub salt: RequestId,
}

/// Kind of evidence (`il:evidence`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArrivalKind {
    /// The courier scanned the parcel at the station.
    Arrival,
    /// A compartment is reserved for it or holds it.
    Deposit,
}

/// What shows that a parcel is at a station.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrivalEvidence {
    /// Kind.
    pub kind: ArrivalKind,
    /// Station.
    pub station: StationId,
    /// When, by the consumer's journal.
    pub at: Timestamp,
}

/// Answers a [`LookupRequest`] item by item, in its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupAnswer {
    /// The request answered.
    pub request_id: RequestId,
    /// One outcome an item.
    pub items: Vec<LookupOutcome>,
}

/// What became of one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LookupOutcome {
    /// The contact, in the form granted.
    Released(Contact),
    /// Not released.
    Denied {
        /// The reason's stable name.
        reason: String,
    },
}

/// A released contact. Never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Contact {
    /// For people to compare, not to call.
    Masked {
        /// `*******1234`.
        phone: String,
    },
    /// Encrypted to a messenger (HPKE, RFC 9180).
    Sealed {
        /// The messenger.
        messenger: ParticipantId,
        /// Encapsulated key and ciphertext.
        ciphertext: Blob,
    },
    /// A leased number.
    Virtual {
        /// Number to call, E.164.
        number: String,
        /// Extension to dial; empty where the number itself is leased.
        extension: String,
        /// When the lease ends.
        expires_at: Timestamp,
    },
    /// The number itself, E.164.
    Full {
        /// The number.
        phone: String,
    },
}

impl Contact {
    /// The form it has.
    pub const fn form(&self) -> ContactForm {
        match self {
            Self::Masked { .. } => ContactForm::Masked,
            Self::Sealed { .. } => ContactForm::Sealed,
            Self::Virtual { .. } => ContactForm::Virtual,
            Self::Full { .. } => ContactForm::Full,
        }
    }
}

impl std::fmt::Debug for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Contact({}, redacted)", self.form().as_str())
    }
}

/// `POST cooperations`: a manifest with the signatures that it has so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CooperationMessage {
    /// The manifest in JSON (its canonical form is signed).
    pub manifest: serde_json::Value,
    /// Signatures so far, hexadecimal Ed25519, by participant.
    pub signatures: Vec<ManifestSignature>,
}

/// One party's signature under a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestSignature {
    /// Who signed.
    pub participant: ParticipantId,
    /// Ed25519 over the canonical manifest, hexadecimal.
    pub signature: String,
}
