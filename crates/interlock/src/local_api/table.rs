//! The rows of the table, in the groups of the design.
//!
//! INVARIANT: whatever the node can be asked locally has exactly one row. This module does not know
//! how answers look.

mod administration;
mod agreements;

use http::Method;
use interlock_core::dataset::Dataset;
use interlock_core::ids::{DepositId, RequestId, StationId};
use interlock_core::label::LabelKind;
use interlock_core::waybill::Waybill;

use super::bodies::{deposits, events, parcels, stations};
use super::call::Call;
use super::mediation_routes::MEDIATIONS;
use super::routes::{Idempotency, Parameter, ParameterKind, Route, Target, get, write};
use super::{BODY_SIZE_BYTES_MAX, PAGE_DEFAULT, PAGE_MAX, SMALL_BODY_SIZE_BYTES_MAX};
use crate::epcis::DOCUMENT_BYTES_MAX;
use crate::node::io::EVENTS_WAIT_MS_MAX;
use crate::node::io::{DepositAction, Extension, LocalRequest, LookKind, Problem, RevealAct, Role};

/// All routes; in groups, each in the order of the design's table.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    [
        PARCELS,
        LOCKERS,
        agreements::ROUTES,
        MEDIATIONS,
        LEDGER,
        administration::ROUTES,
    ]
    .into_iter()
    .flatten()
}

const PARCELS: &[Route] = &[
    write(
        Method::PUT,
        "/parcels",
        "putParcels",
        "Announces parcels, or changes what was announced of them. All or none are taken.",
        (200, "What was taken."),
        Target::Node(parcels::put),
    )
    .takes_from(&[Role::OrderSystem], "Parcels", BODY_SIZE_BYTES_MAX),
    get(
        "/parcels/{carrier}/{number}",
        "getParcel",
        "A parcel: its timeline, its last known state with its age, and why that may be stale.",
        "The parcel.",
        Target::Node(parcel),
    ),
    get(
        "/parcels/{carrier}/{number}/label",
        "getLabel",
        "A label for a parcel whose recipient is held here, as text and as a picture of 76 x 130 mm.",
        "`kind`, `carrier`, `number`, `name`, `phone`, `address`, `claim` (at the owner), and `svg`.",
        Target::Node(|call| {
            let named = call.parameter("kind").and_then(LabelKind::parse);
            let kind = named.unwrap_or(LabelKind::Gbt41833);
            Ok(LocalRequest::GetLabel(waybill(call)?, kind))
        }),
    )
    .query(&[KIND]),
    write(
        Method::POST,
        "/labels/resolve",
        "resolveLabel",
        "The address behind the code on a label of the kind `fengmi`, at the node that made it. Each time it is on record.",
        (200, "The address, in `address`."),
        Target::Node(parcels::resolve),
    )
    .takes("LabelCode", SMALL_BODY_SIZE_BYTES_MAX)
    .idempotency(Idempotency::Refused),
    get(
        "/parcels/{carrier}/{number}/recipient",
        "getRecipient",
        "For the recipient: who had the contact, in which form, for what, under which agreement and until when; consent and preference.",
        "The releases, and what the recipient wants. No name, phone or address.",
        Target::Node(|call| waybill(call).map(LocalRequest::GetRecipient)),
    ),
    write(
        Method::PUT,
        "/parcels/{carrier}/{number}/recipient/wish",
        "putWish",
        "The recipient's own word on lockers for a parcel of ours. It counts from here on, whatever is announced of the parcel later.",
        (200, "As `getRecipient`."),
        Target::Node(|call| parcels::wish(call, waybill(call)?)),
    )
    .takes("Wish", SMALL_BODY_SIZE_BYTES_MAX),
    write(
        Method::PUT,
        "/parcels/{carrier}/{number}/recipient/code-key",
        "putCodeKey",
        "Enrols a key of the recipient's device for the parcel. From here on its pick-up code leaves sealed to that key alone (HPKE, RFC 9180): no message says it, and no page shows it.",
        (200, "The key."),
        Target::Node(|call| parcels::code_key(call, waybill(call)?)),
    )
    .takes("CodeKey", SMALL_BODY_SIZE_BYTES_MAX),
    get(
        "/parcels/{carrier}/{number}/recipient/code",
        "getSealedCode",
        "For the recipient's device: the pick-up code, sealed to the key that was enrolled; at an owner to whom the operator releases it, as it came, sealed or open. Additional data is the deposit's id, `info` is `interlock sealed code 1`, the plaintext is JSON with `code` and `compartment`.",
        "`deposit`, its id, and `sealed`, in hexadecimal digits: encapsulated key, then ciphertext. If it is open, `code` and `compartment`.",
        Target::Node(|call| waybill(call).map(LocalRequest::GetSealedCode)),
    ),
    write(
        Method::DELETE,
        "/parcels/{carrier}/{number}/recipient",
        "eraseRecipient",
        "Deletes what is held of a parcel's recipient, because they want it. Partners that were given the contact are told to delete it too.",
        (200, "How much was deleted here, and who is told."),
        Target::Node(|call| waybill(call).map(LocalRequest::EraseRecipient)),
    )
    .bodiless(),
    write(
        Method::POST,
        "/events",
        "postEvents",
        "Reports events as an EPCIS 2.0 document. All or none are taken; repeats are answered as such.",
        (202, "What became of each event, in their order: accepted, durable, or a duplicate."),
        Target::Node(events::post),
    )
    .takes_from(&[Role::OrderSystem], "EpcisDocument", DOCUMENT_BYTES_MAX),
    get(
        "/events",
        "getEvents",
        "What came in from partners, in order.",
        "A page of events and the cursor `next`.",
        Target::Node(get_events),
    )
    .query(EVENTS_PAGE),
];

const LOCKERS: &[Route] = &[
    write(
        Method::POST,
        "/rounds/check",
        "checkRound",
        "Which parcels of a round can be deposited, and who would tell the recipients. Changes nothing.",
        (200, "For each parcel, in the order asked, whether it can be deposited and why not."),
        Target::Node(deposits::check_round),
    )
    .takes("Round", SMALL_BODY_SIZE_BYTES_MAX)
    .idempotency(Idempotency::Refused),
    write(
        Method::POST,
        "/deposits",
        "openDeposit",
        "Reserves a compartment for a parcel and settles who tells the recipient; then the door opens.",
        (201, "The deposit: compartment, who tells the recipient, the contact's form, state."),
        Target::Node(deposits::open),
    )
    .takes("Deposit", SMALL_BODY_SIZE_BYTES_MAX)
    .idempotency(Idempotency::Required),
    get(
        "/deposits/{id}",
        "getDeposit",
        "A deposit.",
        "The deposit.",
        Target::Node(|call| Ok(LocalRequest::GetDeposit(call.segment("id", DepositId::parse)?))),
    ),
    get(
        "/calls/{extension}",
        "getCall",
        "For our telephone system: whom to ring when a recipient dials the number for couriers (`notify.courier_number`) and this extension. It works while the parcel lies in its compartment.",
        "The courier, in the carrier's words; the deposit, its station, and until when it may lie there. No phone of anybody.",
        Target::Node(|call| Ok(LocalRequest::GetCall(call.segment("extension", Extension::parse)?))),
    ),
    write(
        Method::POST,
        "/calls",
        "connectCall",
        "For the telephone network behind our virtual numbers (`notify.virtual_number`, `notify.virtual_pool`), with a key of the role `telephone`: whom to connect. Nobody, once the lease, the stay or the agreement is over; at a number of the pool nobody but the partner that it is bound to; 404 is the one answer then. A body of another form is 400 or 422: whoever asks is to be put right, and the call ends. Each time it is on record.",
        (200, "The recipient's phone, in `phone`, and when the lease ends, in `until`."),
        Target::Node(parcels::call),
    )
    .takes("Call", SMALL_BODY_SIZE_BYTES_MAX)
    .idempotency(Idempotency::Refused),
    write(
        Method::POST,
        "/deposits/{id}/confirm",
        "confirmDeposit",
        "The door is closed and the parcel lies inside.",
        (200, "The deposit."),
        Target::Node(|call| deposit_bare(call, DepositAction::Confirm)),
    ),
    write(
        Method::POST,
        "/deposits/{id}/cancel",
        "cancelDeposit",
        "The door was not closed on a parcel; the compartment is free again.",
        (200, "The deposit."),
        Target::Node(|call| deposit_bare(call, DepositAction::Cancel)),
    ),
    write(
        Method::POST,
        "/deposits/{id}/open",
        "tryCode",
        "Somebody typed a code; the right one opens the door.",
        (200, "The deposit."),
        Target::Node(|call| deposit(call, deposits::code(call)?)),
    )
    .takes("Code", SMALL_BODY_SIZE_BYTES_MAX),
    write(
        Method::POST,
        "/deposits/{id}/pickup",
        "pickUp",
        "The parcel was taken out.",
        (200, "The deposit."),
        Target::Node(|call| deposit_bare(call, DepositAction::PickUp)),
    ),
    write(
        Method::POST,
        "/deposits/{id}/recall",
        "recall",
        "The courier took the parcel back.",
        (200, "The deposit."),
        Target::Node(|call| deposit_bare(call, DepositAction::Recall)),
    ),
    write(
        Method::POST,
        "/deposits/{id}/redirect",
        "redirect",
        "The parcel goes to another station.",
        (200, "The deposit."),
        Target::Node(|call| deposit(call, deposits::redirect(call)?)),
    )
    .takes("Redirect", SMALL_BODY_SIZE_BYTES_MAX),
    write(
        Method::PUT,
        "/stations",
        "putStations",
        "Describes stations of ours. All or none are taken.",
        (200, "What was taken."),
        Target::Node(stations::put),
    )
    .takes_from(&[Role::Cabinet], "Stations", BODY_SIZE_BYTES_MAX),
    get(
        "/stations",
        "getStations",
        "Our stations and those that partners told us of.",
        "The stations.",
        Target::Node(|_| Ok(LocalRequest::GetStations)),
    ),
    get(
        "/stations/{id}",
        "getStation",
        "A station with what is free in it.",
        "The station.",
        Target::Node(|call| Ok(LocalRequest::GetStation(call.segment("id", StationId::parse)?))),
    ),
];

const LEDGER: &[Route] = &[
    get(
        "/releases",
        "getReleases",
        "What was released to partners, in order.",
        "A page of releases and the cursor `next`.",
        Target::Node(|call| ledger(call, false)),
    )
    .query(PAGE),
    get(
        "/denials",
        "getDenials",
        "What was denied to partners and why, in order.",
        "A page of denials and the cursor `next`.",
        Target::Node(|call| ledger(call, true)),
    )
    .query(PAGE),
    get(
        "/alerts",
        "getAlerts",
        "What people should look at.",
        "The alerts.",
        Target::Node(|_| Ok(LocalRequest::GetAlerts)),
    ),
    get(
        "/looks",
        "getLooks",
        "Who looked at whose data, newest first.",
        "A page of looks; `next` is the cursor of earlier ones, for `before`, null after the first. With `what`, 20,000 looks at most are gone through for a page: it may be short or empty and `next` go on.",
        Target::Node(|call| {
            let (before, limit) = (call.number("before", 0), call.number("limit", 100));
            let what = call.parameter("what").and_then(LookKind::parse);
            Ok(LocalRequest::GetLooks { before, limit, what })
        }),
    )
    .query(&[LOOKED_AT, BEFORE, LIMIT]),
    get(
        "/reveals",
        "getReveals",
        "Phones that somebody asked to see in clear, newest first.",
        "The requests: who asked and why, who approved, when it was shown. No phone.",
        Target::Node(|_| Ok(LocalRequest::GetReveals)),
    ),
    write(
        Method::POST,
        "/reveals",
        "askReveal",
        "Asks to see the phone of a parcel's recipient in clear. Somebody else has to approve.",
        (201, "The request."),
        Target::Node(parcels::reveal),
    )
    .takes("Reveal", SMALL_BODY_SIZE_BYTES_MAX)
    .idempotency(Idempotency::Refused),
    write(
        Method::POST,
        "/reveals/{id}/approve",
        "approveReveal",
        "Approves that somebody else sees a phone in clear.",
        (200, "The request."),
        Target::Node(|call| reveal(call, RevealAct::Approve)),
    )
    .idempotency(Idempotency::Refused),
    write(
        Method::POST,
        "/reveals/{id}/show",
        "showReveal",
        "Shows the phone to who asked for it, once, within 15 minutes of the approval.",
        (200, "The phone, in `phone`."),
        Target::Node(|call| reveal(call, RevealAct::Show)),
    )
    .idempotency(Idempotency::Refused),
    get(
        "/messages",
        "getMessages",
        "The outbox: messages to recipients, with masked numbers.",
        "A page of messages and the cursor `next`.",
        Target::Node(|call| {
            let (after, limit) = page(call);
            Ok(LocalRequest::GetMessages { after, limit })
        }),
    )
    .query(PAGE),
    get(
        "/evidence",
        "getEvidence",
        "The bilateral logs with each partner.",
        "The logs.",
        Target::Node(|_| Ok(LocalRequest::GetEvidence)),
    ),
    get(
        "/evidence/{id}",
        "exportEvidence",
        "What an auditor gets about a partner, or about `all`: logs, checkpoints, manifests, policies, keys.",
        "The evidence file, as `interlock evidence verify` reads it.",
        Target::Evidence,
    ),
];

const KIND: Parameter = Parameter {
    name: "kind",
    kind: ParameterKind::Name(|| LabelKind::ALL.map(LabelKind::as_str).to_vec()),
    description: "Which rule it follows; `gb-t-41833-2022` if it is not given.",
};
const LOOKED_AT: Parameter = Parameter {
    name: "what",
    kind: ParameterKind::Name(|| LookKind::ALL.map(LookKind::as_str).to_vec()),
    description: "Only looks at this; `people` for all but `call`, which are numbers given to a telephone network. All looks if it is not given.",
};
const BEFORE: Parameter = Parameter {
    name: "before",
    kind: ParameterKind::Whole {
        range: || 0..=u64::MAX,
        default: 0,
    },
    description: "Cursor: entries before this one; 0 for the newest. Take it from `next` of the page before.",
};
const AFTER: Parameter = Parameter {
    name: "after",
    kind: ParameterKind::Whole {
        range: || 0..=u64::MAX,
        default: 0,
    },
    description: "Cursor: entries after this one. Take it from `next` of the page before.",
};
const LIMIT: Parameter = Parameter {
    name: "limit",
    kind: ParameterKind::Whole {
        range: || 1..=u64::from(PAGE_MAX),
        default: PAGE_DEFAULT as u64,
    },
    description: "Most entries wanted.",
};
const WAIT: Parameter = Parameter {
    name: "wait",
    kind: ParameterKind::Whole {
        range: || 0..=u64::from(EVENTS_WAIT_MS_MAX),
        default: 0,
    },
    description: "How long to wait for an entry if there is none, in milliseconds.",
};
pub(super) const VERSION: Parameter = Parameter {
    name: "version",
    kind: ParameterKind::Whole {
        range: || 0..=u64::from(u32::MAX),
        default: 0,
    },
    description: "Approve these terms only, by the number that was shown; 0 for whatever lies there.",
};
const FEED: Parameter = Parameter {
    name: "feed",
    kind: ParameterKind::Name(|| {
        Dataset::ALL
            .iter()
            .map(|dataset| dataset.as_str())
            .collect()
    }),
    description: "Only what came in by this dataset.",
};
const PAGE: &[Parameter] = &[AFTER, LIMIT];
const EVENTS_PAGE: &[Parameter] = &[FEED, AFTER, LIMIT, WAIT];

fn reveal(call: &Call<'_>, act: RevealAct) -> Result<LocalRequest, Problem> {
    call.nothing()?;
    let reveal = call.segment("id", RequestId::parse)?;
    Ok(LocalRequest::Reveal { reveal, act })
}

fn deposit(call: &Call<'_>, action: DepositAction) -> Result<LocalRequest, Problem> {
    let deposit = call.segment("id", DepositId::parse)?;
    Ok(LocalRequest::AdvanceDeposit { deposit, action })
}

fn deposit_bare(call: &Call<'_>, action: DepositAction) -> Result<LocalRequest, Problem> {
    call.nothing()?;
    deposit(call, action)
}

fn ledger(call: &Call<'_>, denials: bool) -> Result<LocalRequest, Problem> {
    let (after, limit) = page(call);
    Ok(LocalRequest::GetLedger {
        denials,
        after,
        limit,
    })
}

fn page(call: &Call<'_>) -> (u64, u32) {
    (call.number("after", 0), call.number("limit", PAGE_DEFAULT))
}

fn parcel(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    waybill(call).map(LocalRequest::GetParcel)
}

fn waybill(call: &Call<'_>) -> Result<Waybill, Problem> {
    let carrier = call.segment("carrier", |text| Ok::<_, String>(text.to_owned()))?;
    call.segment("number", |number| Waybill::parse(&carrier, number))
}

fn get_events(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    let (after, limit) = page(call);
    Ok(LocalRequest::GetEvents {
        feed: call.parameter("feed").and_then(Dataset::parse),
        after,
        limit,
        wait_ms: call.number("wait", 0),
    })
}
