//! The rows about offers, negotiations, agreements and transfers.

use http::Method;
use interlock_core::ids::{ParticipantId, WireId};

use super::super::bodies::agreements;
use super::super::call::Call;
use super::super::problem::bad_request;
use super::super::routes::{Idempotency, Parameter, ParameterKind, Route, Target, get, write};
use super::super::{BODY_SIZE_BYTES_MAX, PAGE_DEFAULT, SMALL_BODY_SIZE_BYTES_MAX};
use super::{AFTER, LIMIT, VERSION, WAIT, page};
use crate::node::io::{AgreementChange, Decision, LocalRequest, Problem, Role};

pub(super) const ROUTES: &[Route] = &[
    get(
        "/offers",
        "getOffers",
        "What we offer, in the order of the ids.",
        "A page of offers and the cursor `next`, or `null` after the last page.",
        Target::Node(|call| {
            let after = call.parameter("after").map(WireId::parse);
            let limit = call.number("limit", PAGE_DEFAULT);
            let after = after
                .transpose()
                .map_err(|error| bad_request(format!("`after`: {error}")))?;
            Ok(LocalRequest::GetOffers { after, limit })
        }),
    )
    .query(OFFERS_PAGE),
    write(
        Method::PUT,
        "/offers",
        "putOffers",
        "Offers many datasets under terms; an offer with a known id is replaced. All or none are taken.",
        (200, "How many were taken, and how many of them changed something."),
        Target::Node(agreements::offers),
    )
    .takes_from(&[Role::Approver], "Offers", BODY_SIZE_BYTES_MAX),
    write(
        Method::POST,
        "/offers",
        "publishOffer",
        "Offers a dataset under terms.",
        (201, "The offer."),
        Target::Node(agreements::offer),
    )
    .takes("Offer", SMALL_BODY_SIZE_BYTES_MAX),
    write(
        Method::DELETE,
        "/offers/{id}",
        "withdrawOffer",
        "Withdraws an offer. Agreements made from it stay.",
        (200, "An empty object."),
        Target::Node(|call| {
            Ok(LocalRequest::WithdrawOffer(
                call.segment("id", WireId::parse)?,
            ))
        }),
    )
    .bodiless(),
    get(
        "/partners/{id}/catalog",
        "getCatalog",
        "What a partner offers us; asks the partner.",
        "The partner's offers.",
        Target::Node(|call| {
            Ok(LocalRequest::GetCatalog(
                call.segment("id", ParticipantId::parse)?,
            ))
        }),
    ),
    write(
        Method::POST,
        "/negotiations",
        "propose",
        "Asks a partner for agreements on its offers, as one cooperation.",
        (201, "The negotiations."),
        Target::Node(agreements::propose),
    )
    .takes_from(&[Role::Approver], "Proposal", BODY_SIZE_BYTES_MAX),
    get(
        "/negotiations",
        "getNegotiations",
        "All negotiations; of those that came to nothing the newest 1,000. An older one is answered by its id.",
        "The negotiations.",
        Target::Node(|_| Ok(LocalRequest::GetNegotiations)),
    ),
    get(
        "/negotiations/{id}",
        "getNegotiation",
        "A negotiation: the terms that lie there, what they change, who did and decided what. With `wait` the answer comes once it is over and signed, at the latest then.",
        "The negotiation.",
        Target::Node(get_negotiation),
    )
    .query(&[NEGOTIATION_WAIT]),
    get(
        "/proposals",
        "getProposals",
        "What waits for a decision of our people, in plain words.",
        "The proposals.",
        Target::Node(|_| Ok(LocalRequest::GetProposals)),
    ),
    write(
        Method::POST,
        "/proposals/{id}/approve",
        "approve",
        "Agrees to a proposal. Where two people must approve, the second one's approval counts.",
        (200, "The negotiation."),
        Target::Node(approve),
    )
    .query(&[VERSION]),
    write(
        Method::POST,
        "/proposals/{id}/counter",
        "counter",
        "Offers other terms instead.",
        (200, "The negotiation."),
        Target::Node(|call| decide(call, agreements::counter(call)?)),
    )
    .takes("Counter", SMALL_BODY_SIZE_BYTES_MAX),
    write(
        Method::POST,
        "/proposals/{id}/reject",
        "reject",
        "Ends a negotiation.",
        (200, "The negotiation."),
        Target::Node(|call| {
            let reason = agreements::reason(call)?;
            decide(call, Decision::Reject { reason })
        }),
    )
    .takes("Reason", SMALL_BODY_SIZE_BYTES_MAX),
    get(
        "/transfers",
        "getTransfers",
        "All transfers: their states, and what waits for a partner.",
        "The transfers.",
        Target::Node(|_| Ok(LocalRequest::GetTransfers)),
    ),
    get(
        "/agreements",
        "getAgreements",
        "All agreements; of those that were superseded before they began the newest 1,000. An older one is answered by its id.",
        "The agreements.",
        Target::Node(|_| Ok(LocalRequest::GetAgreements)),
    ),
    get(
        "/agreements/{id}",
        "getAgreement",
        "An agreement: its terms in plain words and as a policy, its state, what was used.",
        "The agreement.",
        Target::Node(|call| {
            Ok(LocalRequest::GetAgreement(
                call.segment("id", WireId::parse)?,
            ))
        }),
    ),
    write(
        Method::POST,
        "/agreements/{id}/suspend",
        "suspend",
        "Releases nothing under the agreement until it is resumed.",
        (200, "The agreement."),
        Target::Node(|call| {
            let reason = agreements::reason(call)?;
            change(call, AgreementChange::Suspend { reason })
        }),
    )
    .takes("Reason", SMALL_BODY_SIZE_BYTES_MAX),
    write(
        Method::POST,
        "/agreements/{id}/resume",
        "resume",
        "Goes on after a suspension.",
        (200, "The agreement."),
        Target::Node(|call| {
            call.nothing()?;
            change(call, AgreementChange::Resume)
        }),
    ),
    write(
        Method::POST,
        "/agreements/{id}/renew",
        "renew",
        "Proposes a successor that takes over at the agreement's end, with the same terms if none are given.",
        (201, "The negotiation."),
        Target::Node(agreements::renew),
    )
    .takes("Renewal", SMALL_BODY_SIZE_BYTES_MAX),
    write(
        Method::POST,
        "/agreements/{id}/terminate",
        "terminate",
        "Ends the agreement before its term.",
        (200, "The agreement."),
        Target::Node(|call| change(call, agreements::terminate(call)?)),
    )
    .takes("Termination", SMALL_BODY_SIZE_BYTES_MAX),
    write(
        Method::POST,
        "/explain",
        "explain",
        "Would this be released to a partner, and by which term not. Changes nothing.",
        (200, "The decision and its reason."),
        Target::Node(agreements::explain),
    )
    .takes("Explain", SMALL_BODY_SIZE_BYTES_MAX)
    .idempotency(Idempotency::Refused),
    get(
        "/rehearsals",
        "rehearse",
        "What the ends of agreements up to an instant would touch, and what people would see, if \
         nothing is signed, by the run-off alone, and under a temporary agreement. Changes nothing.",
        "Counts by partner and outcome, a page of parcels, and the cursor `next`.",
        Target::Node(|call| {
            let (after, limit) = page(call);
            let at = call.instant("at")?;
            Ok(LocalRequest::Rehearse { at, after, limit })
        }),
    )
    .query(REHEARSAL),
];

const NEGOTIATION_WAIT: Parameter = Parameter {
    description: "How long to wait for its end, in milliseconds.",
    ..WAIT
};
const AT: Parameter = Parameter {
    name: "at",
    kind: ParameterKind::Instant,
    description: "The instant. Has to be given, and lies ahead.",
};
const AFTER_OFFER: Parameter = Parameter {
    name: "after",
    kind: ParameterKind::Text,
    description: "Cursor: offers after the one of this id. Take it from `next` of the page before.",
};
const OFFERS_PAGE: &[Parameter] = &[AFTER_OFFER, LIMIT];
const REHEARSAL: &[Parameter] = &[AT, AFTER, LIMIT];

fn decide(call: &Call<'_>, decision: Decision) -> Result<LocalRequest, Problem> {
    let negotiation = call.segment("id", WireId::parse)?;
    Ok(LocalRequest::Decide {
        negotiation,
        decision,
    })
}

fn approve(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    call.nothing()?;
    match call.number("version", 0) {
        0 => decide(call, Decision::Approve),
        version => decide(call, Decision::ApproveVersion(version)),
    }
}

fn get_negotiation(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    Ok(LocalRequest::GetNegotiation {
        negotiation: call.segment("id", WireId::parse)?,
        wait_ms: call.number("wait", 0),
    })
}

fn change(call: &Call<'_>, change: AgreementChange) -> Result<LocalRequest, Problem> {
    let agreement = call.segment("id", WireId::parse)?;
    Ok(LocalRequest::ChangeAgreement { agreement, change })
}
