//! Requests and answers of the local API and the pages.

use interlock_core::contact::{Phone, Recipient};
use interlock_core::dataset::Dataset;
use interlock_core::event::ParcelEvent;
use interlock_core::ids::{
    CourierId, DepositId, Marketplace, MerchantId, ParcelId, ParticipantId, RequestId, StationId,
    WireId,
};
use interlock_core::label::LabelKind;
use interlock_core::parcel::{Consent, Preference, SizeClass};
use interlock_core::station::Station;
use interlock_core::time::Timestamp;
use interlock_core::waybill::Waybill;

use super::{
    AgreementChange, Decision, Digest, EventTaken, Extension, KeyId, LeasedExtension, LookKind,
    PersonPut, Problem, Renewal, RevealAct, RevealPut, Role,
};
use crate::identity::code_key::CodeKey;
use crate::identity::password::PasswordHash;
use crate::identity::person::{Person, PersonName};

/// Requests of the local API (`surface.md`), parsed.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a request is moved once and never stored"
)]
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
    /// `DELETE /parcels/{carrier}/{number}/recipient`: the recipient wants their data deleted.
    EraseRecipient(Waybill),
    /// `PUT /stations`.
    PutStations(Vec<Station>),
    /// `GET /stations`.
    GetStations,
    /// `GET /stations/{id}`.
    GetStation(StationId),
    /// A stretch of our stations and of partners'. No route of the local API leads here.
    FindStations {
        /// How many to pass over.
        from: u32,
        /// Most wanted of either.
        limit: u32,
    },
    /// `GET /offers`.
    GetOffers {
        /// Cursor: offers after this one.
        after: Option<WireId>,
        /// Most wanted.
        limit: u32,
    },
    /// `PUT /offers`.
    PutOffers(Vec<OfferPut>),
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
    /// Propose an agreement from an offer known by other ways than the partner's catalog. No route of
    /// the local API leads here.
    ProposeKnown {
        /// The partner.
        partner: ParticipantId,
        /// Its offer.
        offer: WireId,
        /// The dataset as the wire names it.
        target: WireId,
        /// The policy to ask for.
        policy: serde_json::Value,
    },
    /// Ask the provider of an agreement for its dataset, unless that is under way. No route of the local
    /// API leads here.
    RequestTransfer(WireId),
    /// `GET /negotiations`.
    GetNegotiations,
    /// `GET /negotiations/{id}`.
    GetNegotiation {
        /// Our id of the negotiation.
        negotiation: WireId,
        /// How long to wait for its end, in milliseconds.
        wait_ms: u32,
    },
    /// `POST /agreements/{id}/renew`.
    Renew {
        /// The agreement.
        agreement: WireId,
        /// What changes.
        renewal: Renewal,
    },
    /// `GET /proposals`: what waits for a decision of our people.
    GetProposals,
    /// `POST /proposals/{id}/approve`, `counter`, `reject`.
    Decide {
        /// Our id of the negotiation.
        negotiation: WireId,
        /// What was decided.
        decision: Decision,
    },
    /// `GET /transfers`.
    GetTransfers,
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
    /// `GET /cooperations`.
    GetCooperations,
    /// `GET /mediations`.
    GetMediations,
    /// `GET /mediations/{id}`.
    GetMediation(WireId),
    /// `POST /mediations`: as a regulator, propose a cooperation to two partners.
    ProposeMediation(MediationPut),
    /// `POST /mediations/{id}/accept`, `counter`, `refuse`, `revise`, `adopt`, `withdraw`.
    Mediate {
        /// The mediation.
        mediation: WireId,
        /// What is done.
        act: MediationAct,
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
    /// A stretch of the alerts, newest first. No route of the local API leads here.
    FindAlerts {
        /// How many to pass over.
        from: u32,
        /// Most wanted.
        limit: u32,
    },
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
    /// `GET /rehearsals`: what the ends of agreements up to an instant would touch.
    Rehearse {
        /// The instant.
        at: Timestamp,
        /// Cursor in the list of parcels.
        after: u64,
        /// Most parcels wanted.
        limit: u32,
    },
    /// Our stations next to one that have a compartment of a size free. No route of the local API leads
    /// here.
    FindNear {
        /// Next to which.
        station: StationId,
        /// Of which size.
        size: SizeClass,
    },
    /// `GET /partners`.
    GetPartners,
    /// What partners are called, by id. No route of the local API leads here.
    GetNames,
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
    /// `POST /keys/{id}/approve`: the second person agrees to a key.
    ApproveKey(KeyId),
    /// `GET /keys`: who holds API keys.
    GetKeys,
    /// `DELETE /keys/{id}`.
    WithdrawKey(KeyId),
    /// `GET /keys/signing`: the key that this node signs with, and those before it.
    GetSigningKeys,
    /// `POST /keys/signing/rotate`.
    RotateSigningKey,
    /// `GET /status`.
    GetStatus,
    /// `GET /people`: who may log in.
    GetPeople,
    /// `POST /people`: a new person, or another password, roles and one-time codes for a known one.
    PutPerson(Box<PersonPut>),
    /// `DELETE /people/{name}`.
    WithdrawPerson(PersonName),
    /// A search in the ledger, newest first. No route of the local API leads here.
    FindLedger(Box<LedgerQuery>),
    /// `GET /calls/{extension}`.
    GetCall(Extension),
    /// `POST /calls`: whom the telephone network connects.
    ConnectCall(CallPut),
    /// A courier's deposits that are not over. No route of the local API leads here.
    GetRound(CourierId),
    /// A merchant's parcels, newest first. No route of the local API leads here.
    GetShop {
        /// The merchant.
        merchant: MerchantId,
        /// Only those that stand like this.
        state: Option<String>,
        /// Only those that became known before this one, which is the merchant's too.
        before: Option<ParcelId>,
        /// Most wanted, at most 500.
        limit: u32,
    },
    /// `GET /parcels/{carrier}/{number}/recipient`.
    GetRecipient(Waybill),
    /// `PUT /parcels/{carrier}/{number}/recipient/wish`.
    PutWish(Waybill, Consent, Preference),
    /// `PUT /parcels/{carrier}/{number}/recipient/code-key`.
    PutCodeKey(Waybill, CodeKey),
    /// `GET /parcels/{carrier}/{number}/recipient/code`.
    GetSealedCode(Waybill),
    /// `GET /statistics`.
    GetStatistics,
    /// `GET /parcels/{carrier}/{number}/label`.
    GetLabel(Waybill, LabelKind),
    /// `POST /labels/resolve`: the address behind the code of a label.
    ResolveLabel(Waybill, String),
    /// `GET /looks`: who looked at whose data, newest first.
    GetLooks {
        /// Cursor: entries before this one; 0 for the newest.
        before: u64,
        /// Most wanted.
        limit: u32,
        /// Only these; all if none is named.
        what: Option<LookKind>,
    },
    /// `GET /reveals`: phones that somebody asked to see.
    GetReveals,
    /// `POST /reveals`.
    AskReveal(RevealPut),
    /// `POST /reveals/{id}/approve` and `/show`.
    Reveal {
        /// Which.
        reveal: RequestId,
        /// What is done.
        act: RevealAct,
    },
    /// The person who asks has another password from here on. No route of the local API leads here.
    ChangePassword(Box<PasswordHash>),
}

/// `POST /calls`: a call that arrives at one of our numbers.
#[derive(Clone, Debug)]
pub struct CallPut {
    /// From which number, unless it is withheld.
    pub from: Option<Phone>,
    /// At which of ours.
    pub to: Phone,
    /// What was dialled behind it.
    pub extension: Option<LeasedExtension>,
}

/// What the ledger is searched by; what is absent fits everything.
#[derive(Clone, Debug, Default)]
pub struct LedgerQuery {
    /// Only denials, or only releases.
    pub denied: Option<bool>,
    /// To whom.
    pub partner: Option<ParticipantId>,
    /// What.
    pub dataset: Option<Dataset>,
    /// Under which agreement.
    pub agreement: Option<WireId>,
    /// For which purpose.
    pub purpose: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Cursor: entries before this one; the newest if absent.
    pub before: Option<u64>,
    /// Most wanted.
    pub limit: u32,
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
    /// What is offered: a kind of dataset, or `KIND:NAME` for one of several of a kind.
    pub dataset: WireId,
    /// ODRL policy in the `il:` profile.
    pub policy: serde_json::Value,
    /// To whom; everybody in the partner list if empty.
    pub audience: Vec<ParticipantId>,
    /// Accept requests within the offer without asking people.
    pub auto_accept: bool,
}

/// `POST /mediations`.
#[derive(Clone, Debug)]
pub struct MediationPut {
    /// The agreements of the cooperation.
    pub agreements: Vec<MediatedPut>,
    /// Why, for people.
    pub note: String,
    /// Until when the parties may accept; as long as for other proposals if absent.
    pub answer_by: Option<Timestamp>,
}

/// One agreement of a mediation.
#[derive(Clone, Debug)]
pub struct MediatedPut {
    /// Who would provide.
    pub provider: ParticipantId,
    /// Who would consume.
    pub consumer: ParticipantId,
    /// What.
    pub dataset: Dataset,
    /// ODRL policy in the `il:` profile.
    pub policy: serde_json::Value,
}

/// What people do about a mediation.
#[derive(Clone, Debug)]
pub enum MediationAct {
    /// A party accepts the terms; at the mediator a second person stands for them.
    Accept {
        /// Only if the terms have this number.
        version: Option<u32>,
    },
    /// A party would accept other terms.
    Counter {
        /// Another end for all of them.
        until: Option<Timestamp>,
        /// Other policies, by agreement.
        policies: Vec<(WireId, serde_json::Value)>,
        /// Why.
        reason: String,
    },
    /// A party accepts none of this.
    Refuse {
        /// Why.
        reason: String,
    },
    /// The mediator proposes other terms.
    Revise(MediationPut),
    /// The mediator proposes to both what this party would accept.
    Adopt(ParticipantId),
    /// The mediator gives up.
    Withdraw {
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
    /// Each event of `POST /events`, in order; written out at the door.
    Events(Vec<EventTaken>),
    /// A tracking page.
    Tracking(Box<crate::pages::TrackingView>),
    /// A pick-up page.
    Pickup(Box<crate::pages::PickupView>),
    /// Who somebody is, to a door that checks passwords. It goes no further.
    Person(Option<Box<Person>>),
    /// Refused.
    Problem(Problem),
}
