//! Data protection in the console: looks, phones in clear, statistics.
//!
//! INVARIANT: each step about a phone is one request of the local API, in the person's name and with a
//! one-time code; a phone is on the answer to its form and kept nowhere.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use interlock_core::ids::RequestId;
use serde_json::{Value, json};

use super::acts::is_about_the_form;
use super::visit::{Posted, Visit};
use super::{Desk, above};
use crate::driver::html::see_other;
use crate::local_api;
use crate::node::io::{LocalRequest, LookKind, Problem, RevealAct};
use crate::pages::console::{
    self, Again, LOOKS_ALL, LooksView, RevealsView, StatisticsView, Typed,
};

/// How often a page goes on looking where nothing that is wanted was found.
const LOOKS_TRIES_MAX: u32 = 10;

/// The routes below `/console`.
pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/console/looks", get(looks))
        .route("/console/statistics", get(statistics))
        .route("/console/reveals", get(reveals).post(ask))
        .route("/console/reveals/{id}/approve", get(to_all).post(approve))
        .route("/console/reveals/{id}/show", get(to_all).post(see))
        .route("/console/reveals/{id}", get(above))
}

async fn to_all() -> Response {
    see_other("/console/reveals")
}

async fn looks(visit: Visit) -> Response {
    let first: u64 = visit.query.get("before").parse().unwrap_or(0);
    let what = match visit.query.get("what") {
        LOOKS_ALL => None,
        other => Some(LookKind::parse(other).unwrap_or(LookKind::People)),
    };
    let mut before = first;
    let mut tries = 0;
    loop {
        let request = LocalRequest::GetLooks {
            before,
            limit: console::LOOKS_SHOWN,
            what,
        };
        let view: LooksView = match visit.read(request).await {
            Ok(view) => view,
            Err(refused) => return refused,
        };
        tries += 1;
        match view.goes_on_empty() {
            Some(next) if tries < LOOKS_TRIES_MAX => before = next,
            Some(_) | None => {
                return visit.page(console::looks_page(
                    &visit.reader(),
                    &view,
                    what,
                    first == 0,
                ));
            }
        }
    }
}

async fn statistics(visit: Visit) -> Response {
    match visit
        .read::<StatisticsView>(LocalRequest::GetStatistics)
        .await
    {
        Ok(view) => visit.page(console::statistics_page(&visit.reader(), &view)),
        Err(refused) => refused,
    }
}

async fn reveals(visit: Visit) -> Response {
    show(&visit, None, None).await
}

async fn show(visit: &Visit, phone: Option<&str>, again: Option<&Again<'_>>) -> Response {
    let view: RevealsView = match visit.read(LocalRequest::GetReveals).await {
        Ok(view) => view,
        Err(refused) => return refused,
    };
    let page = console::reveals_page(&visit.reader(), &view, phone, again);
    let status = again.map_or(200, |again| again.trouble.status);
    visit.outsider.page(status, page)
}

/// The page again, or another that says why not.
async fn refused(posted: &Posted, act: &str, trouble: &Problem) -> Response {
    // That somebody else has to agree, and that a parcel is not known, is said beside the list.
    let stays = is_about_the_form(trouble) || trouble.kind == "four-eyes" || trouble.status == 404;
    if !stays {
        return posted.visit.refused(trouble);
    }
    let typed = Typed::new(posted.form.pairs());
    let again = Again {
        trouble,
        act,
        typed: &typed,
    };
    show(&posted.visit, None, Some(&again)).await
}

async fn ask(posted: Posted) -> Response {
    let form = &posted.form;
    let mut body = json!({ "waybill": form.get("waybill"), "reason": form.get("reason") });
    let reference = form.get("reference");
    if let (false, Some(members)) = (reference.is_empty(), body.as_object_mut()) {
        members.insert("reference".into(), reference.into());
    }
    let request = match local_api::parse_reveal(body.to_string().as_bytes()) {
        Ok(request) => request,
        Err(trouble) => return refused(&posted, "ask", &trouble).await,
    };
    match posted.act(request).await {
        Ok(_) => see_other("/console/reveals"),
        Err(trouble) => refused(&posted, "ask", &trouble).await,
    }
}

async fn approve(Path(id): Path<String>, posted: Posted) -> Response {
    match act(&posted, &id, RevealAct::Approve).await {
        Some(Ok(_)) => see_other("/console/reveals"),
        Some(Err(trouble)) => refused(&posted, "approve", &trouble).await,
        None => posted.visit.outsider.not_found(),
    }
}

async fn see(Path(id): Path<String>, posted: Posted) -> Response {
    match act(&posted, &id, RevealAct::Show).await {
        Some(Ok(answer)) => {
            let phone = answer.get("phone").and_then(Value::as_str);
            show(&posted.visit, phone, None).await
        }
        Some(Err(trouble)) => refused(&posted, "show", &trouble).await,
        None => posted.visit.outsider.not_found(),
    }
}

/// `None` if that is no request's id.
async fn act(posted: &Posted, id: &str, act: RevealAct) -> Option<Result<Value, Problem>> {
    let reveal = RequestId::parse(id).ok()?;
    Some(posted.act(LocalRequest::Reveal { reveal, act }).await)
}
