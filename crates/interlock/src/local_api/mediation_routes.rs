//! The rows of mediation and of what regulators are shown.
//!
//! INVARIANT: as in [`super::table`]. This module does not know who mediates.

use http::Method;
use interlock_core::ids::WireId;

use super::bodies::{agreements, mediations};
use super::call::Call;
use super::routes::{Route, Target, get, write};
use super::table::VERSION;
use super::{BODY_SIZE_BYTES_MAX, SMALL_BODY_SIZE_BYTES_MAX};
use crate::node::io::{LocalRequest, MediationAct, Problem, Role};

pub(super) const MEDIATIONS: &[Route] = &[
    get(
        "/cooperations",
        "getCooperations",
        "How cooperations stand: ours, and for a regulator those that parties have shown it. No parcels, ages in coarse steps.",
        "The cooperations.",
        Target::Node(|_| Ok(LocalRequest::GetCooperations)),
    ),
    get(
        "/mediations",
        "getMediations",
        "Cooperations that a regulator proposes to two others: ours as mediator, and those in which we are a party.",
        "The mediations.",
        Target::Node(|_| Ok(LocalRequest::GetMediations)),
    ),
    get(
        "/mediations/{id}",
        "getMediation",
        "A mediation: its agreements with their terms in plain words, what each party has said, what it would change.",
        "The mediation.",
        Target::Node(|call| {
            let id = call.segment("id", WireId::parse)?;
            Ok(LocalRequest::GetMediation(id))
        }),
    ),
    write(
        Method::POST,
        "/agreements/{id}/reciprocate",
        "reciprocate",
        "Gives notice, at least 72 hours, that what we provide will be suspended in return for what the other party stopped by a signed act.",
        (200, "The agreement."),
        Target::Node(|call| {
            let agreement = call.segment("id", WireId::parse)?;
            let change = agreements::reciprocate(call)?;
            Ok(LocalRequest::ChangeAgreement { agreement, change })
        }),
    )
    .takes("Reciprocity", SMALL_BODY_SIZE_BYTES_MAX),
    write(
        Method::POST,
        "/mediations",
        "proposeMediation",
        "As a regulator, proposes a cooperation with one term to two partners, signed.",
        (201, "The mediation."),
        Target::Node(|call| Ok(LocalRequest::ProposeMediation(mediations::proposal(call)?))),
    )
    .takes_from(&[Role::Approver], "Mediation", BODY_SIZE_BYTES_MAX),
    write(
        Method::POST,
        "/mediations/{id}/accept",
        "acceptMediation",
        "Accepts the terms that lie there. Once both parties have, their nodes negotiate and sign by themselves. Where two people must approve, the second one's approval counts.",
        (200, "The mediation."),
        Target::Node(|call| {
            call.nothing()?;
            let version = Some(call.number("version", 0)).filter(|number| *number > 0);
            act(call, MediationAct::Accept { version })
        }),
    )
    .query(&[VERSION]),
    write(
        Method::POST,
        "/mediations/{id}/counter",
        "counterMediation",
        "Says which other terms we would accept; the mediator and the other party are shown them.",
        (200, "The mediation."),
        Target::Node(|call| act(call, mediations::counter(call)?)),
    )
    .takes_from(&[Role::Approver], "MediationCounter", BODY_SIZE_BYTES_MAX),
    write(
        Method::POST,
        "/mediations/{id}/refuse",
        "refuseMediation",
        "Accepts none of this.",
        (200, "The mediation."),
        Target::Node(|call| {
            let reason = agreements::reason(call)?;
            act(call, MediationAct::Refuse { reason })
        }),
    )
    .takes("Reason", SMALL_BODY_SIZE_BYTES_MAX),
    write(
        Method::POST,
        "/mediations/{id}/revise",
        "reviseMediation",
        "As its mediator, proposes other terms; both parties are asked anew.",
        (200, "The mediation."),
        Target::Node(|call| act(call, MediationAct::Revise(mediations::proposal(call)?))),
    )
    .takes_from(&[Role::Approver], "Mediation", BODY_SIZE_BYTES_MAX),
    write(
        Method::POST,
        "/mediations/{id}/adopt",
        "adoptCounter",
        "As its mediator, proposes to both what one of them would accept.",
        (200, "The mediation."),
        Target::Node(|call| act(call, mediations::adopt(call)?)),
    )
    .takes("Adoption", SMALL_BODY_SIZE_BYTES_MAX),
    write(
        Method::POST,
        "/mediations/{id}/withdraw",
        "withdrawMediation",
        "As its mediator, gives it up.",
        (200, "The mediation."),
        Target::Node(|call| {
            let reason = agreements::reason(call)?;
            act(call, MediationAct::Withdraw { reason })
        }),
    )
    .takes("Reason", SMALL_BODY_SIZE_BYTES_MAX),
];

fn act(call: &Call<'_>, act: MediationAct) -> Result<LocalRequest, Problem> {
    let mediation = call.segment("id", WireId::parse)?;
    Ok(LocalRequest::Mediate { mediation, act })
}
