//! Mediations in the console: a regulator's proposal, and what the parties say to it.
//!
//! INVARIANT: each act is one request of the local API, in the person's name, as in `acts`.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use interlock_core::ids::{ParticipantId, WireId};

use super::acts::{instant, is_about_the_form, reason};
use super::console::listed;
use super::visit::{Posted, Visit};
use super::{Desk, above};
use crate::driver::html::see_other;
use crate::exchange::problem::problem;
use crate::identity::url::segment;
use crate::local_api;
use crate::node::io::{LocalRequest, MediationAct, Problem};
use crate::pages::console::{self, Again, MediationView, MediationsView, Typed};

/// The routes below `/console/mediations`.
pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/console/mediations", get(mediations).post(propose))
        .route("/console/mediations/{id}", get(mediation))
        .route("/console/mediations/{id}/{act}", get(above).post(act))
}

async fn mediations(visit: Visit) -> Response {
    mediations_of(&visit, None, "").await
}

async fn mediations_of(visit: &Visit, trouble: Option<&Problem>, typed: &str) -> Response {
    let read = listed::<MediationsView>(visit, LocalRequest::GetMediations).await;
    let (view, names) = match read {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let page = console::mediations_page(&visit.reader(), &view, &names, trouble, typed);
    let status = trouble.map_or(200, |trouble| trouble.status);
    visit.outsider.page(status, page)
}

async fn mediation(visit: Visit, Path(id): Path<String>) -> Response {
    match WireId::parse(&id) {
        Ok(id) => mediation_of(&visit, id, None).await,
        Err(_) => visit.outsider.not_found(),
    }
}

async fn mediation_of(visit: &Visit, id: WireId, again: Option<&Again<'_>>) -> Response {
    let read = listed::<MediationView>(visit, LocalRequest::GetMediation(id)).await;
    let (view, names) = match read {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let page = console::mediation_page(&visit.reader(), &view, &names, again);
    let status = again.map_or(200, |again| again.trouble.status);
    visit.outsider.page(status, page)
}

async fn propose(posted: Posted) -> Response {
    let typed = posted.form.exact("mediation");
    let put = match local_api::parse_mediation(typed.as_bytes()) {
        Ok(put) => put,
        Err(trouble) => return mediations_of(&posted.visit, Some(&trouble), typed).await,
    };
    match posted.act(LocalRequest::ProposeMediation(put)).await {
        Ok(made) => {
            let id = made.get("id").and_then(serde_json::Value::as_str);
            let id = segment(id.unwrap_or_default());
            see_other(&format!("/console/mediations/{id}"))
        }
        Err(trouble) if is_about_the_form(&trouble) => {
            mediations_of(&posted.visit, Some(&trouble), typed).await
        }
        Err(refused) => posted.visit.refused(&refused),
    }
}

/// `POST /console/mediations/{id}/{accept, counter, refuse, adopt, withdraw}`.
async fn act(Path((id, act)): Path<(String, String)>, posted: Posted) -> Response {
    let Ok(mediation) = WireId::parse(&id) else {
        return posted.visit.outsider.not_found();
    };
    let done = match act_of(&posted, &act) {
        Ok(Some(done)) => done,
        Ok(None) => return posted.visit.outsider.not_found(),
        Err(trouble) => return mediation_again(&posted, mediation, &act, &trouble).await,
    };
    let request = LocalRequest::Mediate {
        mediation: mediation.clone(),
        act: done,
    };
    match posted.act(request).await {
        Ok(_) => see_other(&format!("/console/mediations/{}", segment(&id))),
        Err(trouble) if is_about_the_form(&trouble) => {
            mediation_again(&posted, mediation, &act, &trouble).await
        }
        Err(refused) => posted.visit.refused(&refused),
    }
}

async fn mediation_again(
    posted: &Posted,
    mediation: WireId,
    act: &str,
    trouble: &Problem,
) -> Response {
    let typed = Typed::new(posted.form.pairs());
    let again = Again {
        trouble,
        act,
        typed: &typed,
    };
    mediation_of(&posted.visit, mediation, Some(&again)).await
}

fn act_of(posted: &Posted, act: &str) -> Result<Option<MediationAct>, Problem> {
    let form = &posted.form;
    Ok(Some(match act {
        "accept" => MediationAct::Accept {
            version: form.get("version").parse().ok(),
        },
        "counter" => MediationAct::Counter {
            until: Some(instant(form.get("until"))?),
            policies: Vec::new(),
            reason: reason(posted)?,
        },
        "refuse" => MediationAct::Refuse {
            reason: reason(posted)?,
        },
        "adopt" => {
            let party = ParticipantId::parse(form.get("party"));
            let party = party.map_err(|_| {
                problem(
                    "no-party",
                    422,
                    "no party",
                    "say whose terms are adopted; use the form of the page",
                )
            })?;
            MediationAct::Adopt(party)
        }
        "withdraw" => MediationAct::Withdraw {
            reason: reason(posted)?,
        },
        _ => return Ok(None),
    }))
}
