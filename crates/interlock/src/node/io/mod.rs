//! What goes into a node and what comes out of it.
//!
//! Purpose: the one seam between the deterministic node and its drivers (the real one, the demo's,
//! the simulator's). Invariant: everything a node learns is an [`Input`], everything it does is an
//! [`Effect`]; effects that others can see are carried out only once the records of the same step are
//! durable. It does not know HTTP.

mod agreements;
mod extension;
mod key_id;
mod local;
mod page;
mod people;
mod role;
mod taken;

pub use agreements::{AgreementChange, Decision, Renewal};
pub use extension::{Extension, LeasedExtension};
pub use key_id::KeyId;
pub use local::{
    CallPut, DepositAction, DepositRequest, EventPut, ExplainRequest, LedgerQuery, LocalAnswer,
    LocalRequest, MediatedPut, MediationAct, MediationPut, OfferPut, ParcelPut,
};
pub use page::{PageRequest, Report};
pub use people::{LookKind, PersonCaller, PersonPut, REVEAL_REASONS, RevealAct, RevealPut};
pub use role::Role;
pub use taken::EventTaken;

use interlock_core::ids::{IdempotencyKey, MessageId, ParticipantId, WireId};
use interlock_core::time::Timestamp;
use interlock_journal::bilateral::Place;
use serde::{Deserialize, Serialize};

use crate::exchange::mediation::{MediationMessage, MediationTaken};
use crate::exchange::page::{Page, PageCursor};
use crate::exchange::wire::{
    Blob, CooperationMessage, Envelope, Evidence, FeedBatch, FeedReceipt, Lane, LogSide,
    LookupAnswer, LookupRequest, MirrorView, Notice,
};
use crate::identity::keys::NodeKey;
use crate::node::agreements::PushTarget;

/// Longest wait of our own systems for an event, in milliseconds.
pub const EVENTS_WAIT_MS_MAX: u32 = 60_000;

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
    /// A person who is logged in asks or does something.
    Person {
        /// Where the answer goes.
        reply: ReplyId,
        /// Who.
        who: PersonCaller,
        /// The `Idempotency-Key` and the digest of the form, if given.
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
    /// A request with the token of a transfer, by a connector that is not Interlock; the door has
    /// verified the token.
    Connector {
        /// Where the answer goes.
        reply: ReplyId,
        /// Whose token it is.
        from: ParticipantId,
        /// What.
        request: ConnectorRequest,
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
    /// Leaves were read from the journal, or could not be.
    LeavesRead {
        /// What was wanted.
        wanted: Box<LeavesWanted>,
        /// The leaves, or why there are none.
        outcome: Result<LeavesRead, String>,
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
        /// The hour in which it ends, in hours since 1970-01-01 UTC.
        hour: u32,
        /// Its slot among those.
        slot: u32,
        /// The key.
        key: [u8; 32],
    },
    /// Overwrite a content key, after the records of this group.
    DestroyKey {
        /// The hour in which it would end.
        hour: u32,
        /// Its slot among those.
        slot: u32,
    },
    /// Destroy all content keys that end in an hour, after the records of this group.
    DestroyHour {
        /// Which.
        hour: u32,
    },
    /// Make a new signing key durable, before the records of this group, and use it for calls and
    /// documents after them.
    RotateSigningKey(Box<NodeKey>),
    /// Append a record to the journal.
    Append(Box<crate::node::record::Record>),
    /// Answer a local caller or a page.
    ReplyLocal {
        /// Whom.
        to: ReplyId,
        /// With what.
        answer: LocalAnswer,
        /// Until when it may leave.
        guard: Option<Box<LocalGuard>>,
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
    /// Answer a connector that is not Interlock.
    ReplyConnector {
        /// Whom.
        to: ReplyId,
        /// With what.
        answer: ConnectorAnswer,
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
    /// Send a page to a connector; answered by [`Input::Answered`], with any 2xx as
    /// [`PeerAnswer::Dsp`] and all else as a failure.
    Push(Box<Push>),
    /// Read leaves from the journal; answered by [`Input::LeavesRead`].
    ReadLeaves(Box<LeavesWanted>),
    /// Hand a message to the gateway; answered by [`Input::Delivered`].
    Deliver(Message),
    /// Tell our own systems something; answered by [`Input::Delivered`].
    Notify(SystemNotice),
}

/// Leaves of a log that are wanted from the journal, for a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavesWanted {
    /// Where the answer goes.
    pub reply: ReplyId,
    /// The other party of the log, who asks.
    pub partner: ParticipantId,
    /// Which of the two logs.
    pub log: LogSide,
    /// Its epoch.
    pub epoch: u32,
    /// First leaf wanted.
    pub from: u64,
    /// How many leaves the log had when they were asked for.
    pub to: u64,
    /// Where reading begins, at or before that leaf, and places to skip to, ascending; never empty.
    pub places: Vec<Place>,
}

/// Leaves as the journal has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeavesRead {
    /// From the first place on.
    pub leaves: Vec<Blob>,
    /// Of a mirrored log: the writer's checkpoint over all up to the last of these.
    pub note: Option<String>,
}

/// Something that our own systems are told by webhook. No personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemNotice {
    /// Idempotency key at the receiver.
    pub id: MessageId,
    /// What it is about, such as `agreement.ends`.
    pub kind: &'static str,
    /// When it arose.
    pub at: Timestamp,
    /// What there is to say.
    pub data: serde_json::Value,
}

/// A page that is sent to a connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// Its id.
    pub call: CallId,
    /// Our id of the transfer.
    pub transfer: WireId,
    /// Where to.
    pub target: PushTarget,
    /// What.
    pub page: Page,
    /// Until when it may leave.
    pub guard: Guard,
    /// Give up after so many milliseconds.
    pub timeout_ms: u32,
}

/// An answer to a caller of our own that may leave only while `latest < until`. Our logs toward partners say
/// nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalGuard {
    /// End of what it shows something under.
    pub until: Timestamp,
    /// What leaves instead.
    pub instead: Problem,
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
        /// Path below the base, with a leading slash, and the query if there is one.
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
        /// Of which log.
        log: LogSide,
        /// Of which epoch; the newest if none is named.
        epoch: Option<u32>,
        /// First leaf wanted.
        from: u64,
    },
    /// `POST cooperations`.
    Cooperation(CooperationMessage),
    /// `POST cooperations`, by or to a mediator.
    Mediation(MediationMessage),
    /// `POST notices`.
    Notice(Envelope<Notice>),
}

/// What a connector asks with a token of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorRequest {
    /// Our id of the transfer.
    pub transfer: WireId,
    /// The start of the transfer to which the token belongs.
    pub start: u32,
    /// What.
    pub want: ConnectorWant,
}

/// See [`ConnectorRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectorWant {
    /// A page of the feed.
    Page {
        /// Where it is, which acknowledges everything before; `None` for what is not acknowledged.
        cursor: Option<PageCursor>,
        /// Most items wanted.
        limit: u32,
        /// How long to wait for one, in milliseconds.
        wait_ms: u32,
    },
    /// New tokens.
    Tokens,
}

/// Answers to a [`ConnectorRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectorAnswer {
    /// A page, perhaps an empty one.
    Page(Page),
    /// New tokens.
    Tokens(TokenPair),
    /// Refused.
    Problem(Problem),
}

/// The tokens of a transfer.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenPair {
    /// For pages.
    pub access: String,
    /// For the next pair.
    pub refresh: String,
    /// How long `access` counts, in milliseconds.
    pub expires_in_ms: i64,
}

impl std::fmt::Debug for TokenPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenPair(redacted)")
    }
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
        /// The `Link` header: further pages of a catalog (RFC 8288).
        link: Option<String>,
    },
    /// A batch.
    Feed(Envelope<FeedBatch>),
    /// Contacts and denials.
    Lookup(Envelope<LookupAnswer>),
    /// Evidence alone: answers a receipt, entries, a notice.
    Evidence(Evidence),
    /// What we hold of the asking node's log.
    Mirror(MirrorView),
    /// The manifest with the signatures that it has now.
    Cooperation(CooperationMessage),
    /// A message of mediation was taken.
    Mediation(MediationTaken),
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
