//! What people decide in the console.
//!
//! INVARIANT: each act is one request of the local API, in the person's name; what is refused is shown
//! on the page that it came from, with what was typed and never a code.

use axum::extract::Path;
use axum::response::Response;
use interlock_core::ids::WireId;
use interlock_core::time::Timestamp;

use super::console::{agreement_of, proposal_of};
use super::visit::Posted;
use crate::driver::html::see_other;
use crate::exchange::problem::problem;
use crate::identity::url::segment;
use crate::node::io::{AgreementChange, Decision, LocalRequest, Problem, Renewal};
use crate::pages::console::{Again, Typed};

/// `POST /console/inbox/{id}/{approve, counter, reject}`.
pub(super) async fn proposal(Path((id, act)): Path<(String, String)>, posted: Posted) -> Response {
    let Ok(negotiation) = WireId::parse(&id) else {
        return posted.visit.outsider.not_found();
    };
    let decision = match decision(&posted, &act) {
        Ok(Some(decision)) => decision,
        Ok(None) => return posted.visit.outsider.not_found(),
        Err(trouble) => return again(&posted, negotiation, &act, &trouble).await,
    };
    let request = LocalRequest::Decide {
        negotiation: negotiation.clone(),
        decision,
    };
    match posted.act(request).await {
        Ok(_) => see_other(&format!("/console/inbox/{}", segment(&id))),
        Err(trouble) if is_about_the_form(&trouble) => {
            again(&posted, negotiation, &act, &trouble).await
        }
        Err(refused) => posted.visit.refused(&refused),
    }
}

async fn again(posted: &Posted, negotiation: WireId, act: &str, trouble: &Problem) -> Response {
    let typed = Typed::new(posted.form.pairs());
    let again = Again {
        trouble,
        act,
        typed: &typed,
    };
    let page = proposal_of(&posted.visit, negotiation, Some(&again)).await;
    page.unwrap_or_else(|refused| refused)
}

pub(super) const fn is_about_the_form(problem: &Problem) -> bool {
    matches!(problem.status, 400 | 409 | 422 | 429)
}

fn decision(posted: &Posted, act: &str) -> Result<Option<Decision>, Problem> {
    let form = &posted.form;
    Ok(match act {
        "approve" => Some(match form.get("version").parse::<u32>() {
            Ok(version) if version > 0 => Decision::ApproveVersion(version),
            Ok(_) | Err(_) => Decision::Approve,
        }),
        "counter" => {
            let policy = serde_json::from_str(form.get("policy")).map_err(|error| {
                problem(
                    "no-policy",
                    422,
                    "no policy",
                    format!("the terms are no JSON: {error}; correct them"),
                )
            })?;
            Some(Decision::Counter { policy })
        }
        "reject" => Some(Decision::Reject {
            reason: reason(posted)?,
        }),
        _ => None,
    })
}

/// What is written in the field for the reason.
///
/// # Errors
/// Nothing is.
pub(super) fn reason(posted: &Posted) -> Result<String, Problem> {
    let reason: String = posted.form.get("reason").chars().take(500).collect();
    if reason.is_empty() {
        return Err(problem(
            "no-reason",
            422,
            "a reason is needed",
            "write why; the other side sees it",
        ));
    }
    Ok(reason)
}

/// `POST /console/agreements/{id}/{suspend, resume, renew, terminate}`.
pub(super) async fn agreement(Path((id, act)): Path<(String, String)>, posted: Posted) -> Response {
    let Ok(agreement) = WireId::parse(&id) else {
        return posted.visit.outsider.not_found();
    };
    let request = match change(&posted, &agreement, &act) {
        Ok(Some(request)) => request,
        Ok(None) => return posted.visit.outsider.not_found(),
        Err(trouble) => return agreement_again(&posted, agreement, &act, &trouble).await,
    };
    match posted.act(request).await {
        Ok(_) => see_other(&format!("/console/agreements/{}?done", segment(&id))),
        Err(trouble) if is_about_the_form(&trouble) => {
            agreement_again(&posted, agreement, &act, &trouble).await
        }
        Err(refused) => posted.visit.refused(&refused),
    }
}

async fn agreement_again(
    posted: &Posted,
    agreement: WireId,
    act: &str,
    trouble: &Problem,
) -> Response {
    let typed = Typed::new(posted.form.pairs());
    let again = Again {
        trouble,
        act,
        typed: &typed,
    };
    let page = agreement_of(&posted.visit, agreement, Some(&again)).await;
    page.unwrap_or_else(|refused| refused)
}

/// The instant that somebody has typed.
///
/// # Errors
/// It is none.
pub(super) fn instant(typed: &str) -> Result<Timestamp, Problem> {
    // A `+` of an address typed by hand arrives as a blank.
    let read = Timestamp::parse_zoned(&typed.trim().replace(' ', "+"));
    read.map(|(at, _)| at).map_err(|_| {
        problem(
            "no-instant",
            422,
            "no instant",
            "write an instant with its offset, such as 2017-07-01T00:00:00+08:00",
        )
    })
}

fn change(posted: &Posted, id: &WireId, act: &str) -> Result<Option<LocalRequest>, Problem> {
    let change = match act {
        "suspend" => AgreementChange::Suspend {
            reason: reason(posted)?,
        },
        "resume" => AgreementChange::Resume,
        "terminate" => AgreementChange::Terminate {
            at: instant(posted.form.get("at"))?,
            reason: reason(posted)?,
        },
        "renew" => {
            return Ok(Some(LocalRequest::Renew {
                agreement: id.clone(),
                renewal: Renewal::default(),
            }));
        }
        _ => return Ok(None),
    };
    Ok(Some(LocalRequest::ChangeAgreement {
        agreement: id.clone(),
        change,
    }))
}
