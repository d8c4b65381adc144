//! What goes into a node and what comes out of it.
//!
//! Purpose: the one seam between the deterministic node and its drivers (the real one, the demo's,
//! the simulator's). Invariant: everything a node learns is an [`Input`], everything it does is an
//! [`Effect`]; effects that others can see are carried out only once the records of the same step are
//! durable. It does not know HTTP.

use interlock_core::contact::Recipient;
use interlock_core::dataset::Dataset;
use interlock_core::event::ParcelEvent;
use interlock_core::ids::{
    CourierId, DepositId, IdempotencyKey, Marketplace, MerchantId, MessageId, ParticipantId,
    StationId, WireId,
};
use interlock_core::parcel::{Consent, Preference, SizeClass};
use interlock_core::station::Station;
use interlock_core::time::Timestamp;
use interlock_core::waybill::Waybill;
use serde::{Deserialize, Serialize};

use crate::exchange::wire::{
    CooperationMessage, Envelope, Evidence, FeedBatch, FeedReceipt, Lane, LookupAnswer,
    LookupRequest, Notice,
};

/// Where an answer goes; drawn by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyId(pub u64);

/// An outgoing call that is under way; drawn by the node, new at every start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// SHA-256 of what a caller showed: an API key or a link's token.
pub type Digest = [u8; 32];

/// Something that happened to a node.
#[derive(Debug)]
pub enum Input {
    /// A request at the local API.
    Local {
        /// Where the answer goes.
        reply: ReplyId,
        /// Digest of the API key shown, if any.
        credential: Option<Digest>,
        /// The `Idempotency-Key` and the digest of the body, if given.
        idempotency: Option<(IdempotencyKey, Digest)>,
        /// The request.
        request: LocalRequest,
    },
    /// Somebody opened a page by its link.
    Page {
        /// Where the answer goes.
        reply: ReplyId,
        /// The page.
        request: PageRequest,
    },
    /// A partner's request; the identity seam has already verified who it is.
    Peer {
        /// Where the answer goes.
        reply: ReplyId,
        /// Who asks.
        from: ParticipantId,
        /// What.
        request: PeerRequest,
    },
    /// The answer to an [`Effect::Call`].
    Answered {
        /// The call.
        call: CallId,
        /// What came back.
        outcome: Result<PeerAnswer, CallFailure>,
    },
    /// The gateway took a message, or did not.
    Delivered {
        /// The message.
        message: MessageId,
        /// What the gateway said.
        outcome: Result<(), DeliveryFailure>,
    },
    /// The driver held back an answer because its guard had run out when it came to the socket.
    Voided {
        /// The answer that did not leave.
        reply: ReplyId,
        /// Whose it would have been.
        to: ParticipantId,
        /// The agreement whose term had ended.
        agreement: WireId,
    },
    /// Time passed.
    Tick,
}

/// Why a call got no usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallFailure {
    /// No connection, or it broke.
    Unreachable(String),
    /// No answer in time.
    TimedOut,
    /// An answer that is none: wrong status, wrong shape, too large.
    Rubbish(String),
}

/// Why a gateway did not take a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryFailure {
    /// Worth another try.
    Retry(String),
    /// The gateway refused it for good (a 4xx other than 408 and 429).
    Refused(String),
}

/// Something that a node wants done.
#[derive(Debug)]
pub enum Effect {
    /// Make a content key durable, before the records of this group.
    PutKey {
        /// Day file (days since 1970-01-01 UTC).
        day: u32,
        /// Slot in it.
        slot: u32,
        /// The key.
        key: [u8; 32],
    },
    /// Overwrite a content key, after the records of this group.
    DestroyKey {
        /// Day file.
        day: u32,
        /// Slot in it.
        slot: u32,
    },
    /// Append a record to the journal.
    Append(Box<crate::node::record::Record>),
    /// Answer a local caller or a page.
    ReplyLocal {
        /// Whom.
        to: ReplyId,
        /// With what.
        answer: LocalAnswer,
    },
    /// Answer a partner.
    ReplyPeer {
        /// Whom.
        to: ReplyId,
        /// With what.
        answer: PeerAnswer,
        /// Until when it may leave.
        guard: Option<Guard>,
    },
    /// Call a partner; answered by [`Input::Answered`].
    Call {
        /// Its id.
        call: CallId,
        /// Whom.
        to: ParticipantId,
        /// What.
        request: PeerRequest,
        /// Give up after so many milliseconds.
        timeout_ms: u32,
    },
    /// Hand a message to the gateway; answered by [`Input::Delivered`].
    Deliver(Message),
}

/// An answer may leave only while `latest < until`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// End of the term.
    pub until: Timestamp,
    /// Whose term.
    pub agreement: WireId,
    /// To whom the answer goes.
    pub to: ParticipantId,
}

/// A message to a recipient, for the participant's SMS gateway. Holds personal data: not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Idempotency key at the gateway.
    pub id: MessageId,
    /// The contact in the form that the agreement grants.
    pub to: crate::exchange::wire::Contact,
    /// Text in Chinese.
    pub text_zh: String,
    /// Text in English.
    pub text_en: String,
    /// Which try this is, from 1.
    pub attempt: u32,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Message({}, attempt {}, redacted)",
            self.id, self.attempt
        )
    }
}

/// Between nodes. Dataspace Protocol messages stay JSON: they are of low rate and parsed in the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerRequest {
    /// A Dataspace Protocol request: method, path below the DSP base, body (`null` for GET).
    Dsp {
        /// `GET` or `POST`.
        post: bool,
        /// Path below the base, with a leading slash.
        path: String,
        /// JSON body.
        body: serde_json::Value,
    },
    /// `GET feeds/{transfer}`.
    Feed {
        /// The provider's id of the transfer.
        transfer: WireId,
        /// Lane.
        lane: Lane,
        /// Position after which to start.
        after: u64,
        /// Most events wanted.
        limit: u32,
        /// How long to wait for one, in milliseconds.
        wait_ms: u32,
    },
    /// `POST feeds/{transfer}/receipts`.
    Receipt {
        /// The provider's id of the transfer.
        transfer: WireId,
        /// The receipt.
        envelope: Envelope<FeedReceipt>,
    },
    /// `POST lookups/{transfer}`.
    Lookup {
        /// The provider's id of the transfer.
        transfer: WireId,
        /// The request.
        envelope: Envelope<LookupRequest>,
    },
    /// `GET evidence/checkpoint`.
    Checkpoint,
    /// `GET evidence/entries?from=`.
    Entries {
        /// First leaf wanted.
        from: u64,
    },
    /// `POST cooperations`.
    Cooperation(CooperationMessage),
    /// `POST notices`.
    Notice(Envelope<Notice>),
}

/// Answers between nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerAnswer {
    /// A Dataspace Protocol answer: HTTP status and JSON body.
    Dsp {
        /// HTTP status.
        status: u16,
        /// JSON body; `null` for none.
        body: serde_json::Value,
    },
    /// A batch.
    Feed(Envelope<FeedBatch>),
    /// Contacts and denials.
    Lookup(Envelope<LookupAnswer>),
    /// Evidence alone: answers a receipt, a checkpoint, entries, a notice.
    Evidence(Evidence),
    /// The manifest with the signatures that it has now.
    Cooperation(CooperationMessage),
    /// Refused.
    Problem(Problem),
}

/// A refusal (RFC 9457), for local callers and partners alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable name of the kind; the last part of `type`.
    pub kind: String,
    /// HTTP status.
    pub status: u16,
    /// One line for people.
    pub title: String,
    /// What happened and what to do about it.
    pub detail: String,
    /// Which parts of the input, if any.
    pub errors: Vec<FieldError>,
}

/// One wrong field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body.
    pub pointer: String,
    /// What is wrong and what to write instead.
    pub detail: String,
}

/// Requests of the local API (`surface.md`), parsed.
#[derive(Debug)]
pub enum LocalRequest {
    /// `PUT /parcels`.
    PutParcels(Vec<ParcelPut>),
    /// `POST /rounds/check`.
    CheckRound {
        /// The waybills of the round.
        waybills: Vec<Waybill>,
    },
    /// `POST /deposits`.
    OpenDeposit(DepositRequest),
    /// `GET /deposits/{id}`.
    GetDeposit(DepositId),
    /// `POST /deposits/{id}/…`.
    AdvanceDeposit {
        /// The deposit.
        deposit: DepositId,
        /// What happened.
        action: DepositAction,
    },
    /// `POST /events`.
    PostEvents(Vec<EventPut>),
    /// `GET /events`.
    GetEvents {
        /// Only this dataset.
        feed: Option<Dataset>,
        /// Cursor: events after this one.
        after: u64,
        /// Most wanted.
        limit: u32,
        /// How long to wait for one, in milliseconds.
        wait_ms: u32,
    },
    /// `GET /parcels/{carrier}/{number}`.
    GetParcel(Waybill),
    /// `PUT /stations`.
    PutStations(Vec<Station>),
    /// `GET /stations`.
    GetStations,
    /// `GET /stations/{id}`.
    GetStation(StationId),
    /// `GET /offers`.
    GetOffers,
    /// `POST /offers`.
    PublishOffer(OfferPut),
    /// `DELETE /offers/{id}`.
    WithdrawOffer(WireId),
    /// `GET /partners/{id}/catalog`: asks the partner.
    GetCatalog(ParticipantId),
    /// `POST /negotiations`: propose agreements to a partner, one for each offer, as one cooperation.
    Propose {
        /// The partner.
        partner: ParticipantId,
        /// Its offers.
        offers: Vec<WireId>,
        /// Policies to ask for instead of the offered ones, by offer; as offered where absent.
        policies: Vec<(WireId, serde_json::Value)>,
    },
    /// `GET /negotiations`.
    GetNegotiations,
    /// `GET /proposals`: what waits for a decision of our people.
    GetProposals,
    /// `POST /proposals/{id}/approve`, `counter`, `reject`.
    Decide {
        /// Our id of the negotiation.
        negotiation: WireId,
        /// What was decided.
        decision: Decision,
    },
    /// `GET /agreements`.
    GetAgreements,
    /// `GET /agreements/{id}`.
    GetAgreement(WireId),
    /// `POST /agreements/{id}/suspend`, `resume`, `terminate`.
    ChangeAgreement {
        /// The agreement.
        agreement: WireId,
        /// What to do.
        change: AgreementChange,
    },
    /// `GET /releases` and `GET /denials`.
    GetLedger {
        /// Denials rather than releases.
        denials: bool,
        /// Cursor.
        after: u64,
        /// Most wanted.
        limit: u32,
    },
    /// `GET /alerts`.
    GetAlerts,
    /// `GET /messages`: the outbox, masked.
    GetMessages {
        /// Cursor.
        after: u64,
        /// Most wanted.
        limit: u32,
    },
    /// `GET /evidence`: the bilateral logs of each partner.
    GetEvidence,
    /// `POST /explain`.
    Explain(ExplainRequest),
    /// `GET /partners`.
    GetPartners,
    /// `POST /partners`.
    AddPartner(crate::identity::partner::Partner),
    /// `DELETE /partners/{id}`.
    RemovePartner(ParticipantId),
    /// `POST /keys`: a new API key.
    AddKey {
        /// Who will hold it, at most 64 characters.
        name: String,
        /// What it may do.
        role: Role,
        /// Digest of the key, which the door drew and shows once.
        digest: Digest,
    },
    /// `GET /status`.
    GetStatus,
}

/// What a holder of an API key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Order system of a platform or carrier: parcels, events.
    OrderSystem,
    /// Courier's handheld: rounds, deposits.
    Handheld,
    /// Locker cabinet: deposits and what becomes of them.
    Cabinet,
    /// People who decide about agreements.
    Approver,
    /// Reads the ledger, alerts, evidence.
    Auditor,
}

/// One parcel of `PUT /parcels`.
#[derive(Clone, Debug)]
pub struct ParcelPut {
    /// The waybill.
    pub waybill: Waybill,
    /// When it was issued; now, if absent.
    pub issued_at: Option<Timestamp>,
    /// Where the order came from.
    pub marketplace: Marketplace,
    /// Merchant.
    pub merchant: Option<MerchantId>,
    /// Who authorises its data; a platform names nobody (itself).
    pub owner: Option<ParticipantId>,
    /// Recipient, at the owner or a carrier that may notify.
    pub recipient: Option<Recipient>,
    /// Size class.
    pub size_class: Option<SizeClass>,
    /// Whether the recipient agreed to lockers.
    pub consent: Consent,
    /// What the recipient prefers.
    pub preference: Preference,
    /// Locker operators to advise of it.
    pub lockers: Vec<ParticipantId>,
}

/// `POST /deposits`. The idempotency key is required and travels beside it.
#[derive(Clone, Debug)]
pub struct DepositRequest {
    /// The waybill scanned.
    pub waybill: Waybill,
    /// The station.
    pub station: StationId,
    /// Size class of the compartment wanted.
    pub size_class: SizeClass,
    /// The courier.
    pub courier: CourierId,
    /// The claim token on the label, 32 hexadecimal digits, if it was scanned.
    pub claim: Option<interlock_core::parcel::ClaimToken>,
    /// Contact typed by the courier where the owner is unknown.
    pub contact: Option<interlock_core::contact::Phone>,
}

/// What the cabinet reports of a deposit.
#[derive(Clone, Debug)]
pub enum DepositAction {
    /// The door is closed, the parcel lies inside.
    Confirm,
    /// The door was never closed; the compartment is free again.
    Cancel,
    /// Somebody typed a code; opens the door if it is right.
    Open {
        /// The code as typed.
        code: String,
    },
    /// The parcel was taken out.
    PickUp,
    /// The courier took it back.
    Recall,
    /// It goes to another station.
    Redirect {
        /// Which.
        station: StationId,
    },
}

/// One event of `POST /events`.
#[derive(Clone, Debug)]
pub struct EventPut {
    /// The parcel.
    pub waybill: Waybill,
    /// The event; its number is given by the node.
    pub event: ParcelEvent,
    /// Digest of the original, for finding repeats within the parcel.
    pub digest: Digest,
}

/// `POST /offers`.
#[derive(Clone, Debug)]
pub struct OfferPut {
    /// The offer's id.
    pub id: WireId,
    /// What is offered.
    pub dataset: Dataset,
    /// ODRL policy in the `il:` profile.
    pub policy: serde_json::Value,
    /// To whom; everybody in the partner list if empty.
    pub audience: Vec<ParticipantId>,
    /// Accept requests within the offer without asking people.
    pub auto_accept: bool,
}

/// What people decided about a proposal.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Agree.
    Approve,
    /// Offer other terms.
    Counter {
        /// The policy offered instead.
        policy: serde_json::Value,
    },
    /// End the negotiation.
    Reject {
        /// Why, for the other side.
        reason: String,
    },
}

/// A change to an agreement in force.
#[derive(Clone, Debug)]
pub enum AgreementChange {
    /// Nothing is released until it is resumed.
    Suspend {
        /// Why.
        reason: String,
    },
    /// Goes on after a suspension.
    Resume,
    /// Ends before its term.
    Terminate {
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
}

/// `POST /explain`.
#[derive(Clone, Debug)]
pub struct ExplainRequest {
    /// Consumer.
    pub partner: ParticipantId,
    /// Dataset.
    pub dataset: Dataset,
    /// Purpose.
    pub purpose: String,
    /// A parcel, if it is about one.
    pub waybill: Option<Waybill>,
    /// Form of contact, if asked for.
    pub form: Option<interlock_core::contact::ContactForm>,
    /// At which time; now if absent.
    pub at: Option<Timestamp>,
}

/// Pages behind unguessable links.
#[derive(Debug)]
pub enum PageRequest {
    /// `/t/{token}`.
    Tracking(Digest),
    /// `/p/{token}`.
    Pickup(Digest),
    /// `POST /p/{token}/code`.
    ShowCode(Digest),
}

/// Answers of the local API and the pages.
#[derive(Debug)]
pub enum LocalAnswer {
    /// A JSON body with its status.
    Json {
        /// HTTP status.
        status: u16,
        /// Body.
        body: serde_json::Value,
    },
    /// A tracking page.
    Tracking(Box<crate::pages::TrackingView>),
    /// A pick-up page.
    Pickup(Box<crate::pages::PickupView>),
    /// Refused.
    Problem(Problem),
}
