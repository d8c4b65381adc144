//! A courier's deposits, in forms.
//!
//! INVARIANT: each step is a request of the local API in the courier's own name; a form is sent with
//! its key, so that a double scan opens one door. It does not decide who tells the recipient.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use interlock_core::contact::Phone;
use interlock_core::ids::{CourierId, DepositId, StationId};
use interlock_core::parcel::{ClaimToken, SizeClass};

use super::session::random_hex;
use super::visit::{Posted, Visit};
use super::{Desk, above};
use crate::driver::entropy::SystemRng;
use crate::driver::html::see_other;
use crate::exchange::problem::problem;
use crate::identity::url::segment;
use crate::local_api::parse_waybill;
use crate::node::io::{DepositAction, DepositRequest, LocalRequest, Problem};
use crate::pages::console::{
    self, DepositView, NearView, RoundView, ScanView, StationView, refusal_code,
};

/// The routes of couriers.
pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/courier", get(scan))
        .route("/courier/deposits", get(above).post(open))
        .route("/courier/deposits/{id}", get(deposit))
        .route("/courier/deposits/{id}/{act}", get(above).post(advance))
}

async fn scan(visit: Visit) -> Response {
    let text = |name: &str| visit.query.get(name).chars().take(64).collect();
    let view = ScanView {
        station: text("station"),
        size: text("size"),
        done: match visit.query.get("done") {
            "confirm" => Some(
                visit
                    .outsider
                    .language
                    .pick("已投柜，可扫描下一件。", "Deposited. Scan the next parcel."),
            ),
            "cancel" => Some(visit.outsider.language.pick(
                "已取消，格口已释放。请换一个尺寸再试。",
                "Cancelled, the compartment is free. Try another size.",
            )),
            "recall" => Some(visit.outsider.language.pick("已取回。", "Taken back.")),
            _ => None,
        },
        ..ScanView::default()
    };
    show(&visit, view, None).await
}

fn courier_of(visit: &Visit) -> Option<CourierId> {
    visit.session.person.courier.clone()
}

async fn show(visit: &Visit, mut view: ScanView, trouble: Option<&Problem>) -> Response {
    let Some(courier) = courier_of(visit) else {
        return visit.outsider.not_found();
    };
    let round: RoundView = match visit.read(LocalRequest::GetRound(courier)).await {
        Ok(round) => round,
        Err(refused) => return refused,
    };
    view.key = random_hex(&mut SystemRng);
    let instead = match trouble {
        Some(trouble) if trouble.kind == "no-compartment" => other_sizes(visit, &view).await,
        Some(_) | None => Vec::new(),
    };
    let page = console::courier_page(&visit.reader(), &view, &round, trouble, &instead);
    let status = trouble.map_or(200, |trouble| trouble.status);
    visit.outsider.page(status, page)
}

/// What is free at the station in other sizes, and near it in this one.
async fn other_sizes(visit: &Visit, view: &ScanView) -> Vec<String> {
    let Ok(id) = StationId::parse(&view.station) else {
        return Vec::new();
    };
    let at = id.clone();
    let answer = visit.ask(LocalRequest::GetStation(id), None, None).await;
    let station = answer
        .ok()
        .and_then(|body| serde_json::from_value::<StationView>(body).ok());
    let mut instead = station.map_or_else(Vec::new, |station| {
        station.free_beside(&visit.reader(), &view.size)
    });
    if let Ok(size) = SizeClass::parse(&view.size) {
        let request = LocalRequest::FindNear { station: at, size };
        let near = visit.ask(request, None, None).await;
        let near = near
            .ok()
            .and_then(|body| serde_json::from_value::<NearView>(body).ok());
        instead.extend(
            near.into_iter()
                .flat_map(|near| near.lines(&visit.reader(), &view.size)),
        );
    }
    instead
}

fn read_scan(posted: &Posted) -> ScanView {
    let text = |name: &str| posted.form.get(name).chars().take(64).collect();
    ScanView {
        key: String::new(),
        station: text("station"),
        waybill: text("waybill"),
        size: text("size"),
        claim: text("claim"),
        wants_contact: posted.form.may("contact").is_some(),
        done: None,
    }
}

fn request_of(posted: &Posted, courier: CourierId) -> Result<DepositRequest, Problem> {
    let form = &posted.form;
    let wrong = |kind: &str, detail: &str| problem(kind, 422, "not deposited", detail.to_owned());
    let waybill = parse_waybill(form.get("waybill")).map_err(|_| {
        wrong(
            "no-waybill",
            "that is no waybill that we know; scan it again, or write carrier/number",
        )
    })?;
    let station = StationId::parse(form.get("station")).map_err(|_| {
        wrong(
            "no-station",
            "that is no station's number; scan the station",
        )
    })?;
    let size_class = SizeClass::parse(form.get("size"))
        .map_err(|_| wrong("no-size", "choose small, medium or large"))?;
    let claim = form.may("claim").map(ClaimToken::parse).transpose();
    let claim = claim.map_err(|_| {
        wrong(
            "no-claim",
            "the claim token has 32 hexadecimal digits; scan it again",
        )
    })?;
    let contact = form.may("contact").map(Phone::parse).transpose();
    let contact = contact.map_err(|_| {
        wrong(
            "no-phone",
            "that is no phone number; type it as on the label",
        )
    })?;
    Ok(DepositRequest {
        waybill,
        station,
        size_class,
        courier,
        claim,
        contact,
    })
}

async fn open(posted: Posted) -> Response {
    let Some(courier) = courier_of(&posted.visit) else {
        return posted.visit.outsider.not_found();
    };
    let mut view = read_scan(&posted);
    let request = match request_of(&posted, courier) {
        Ok(request) => request,
        Err(trouble) => return show(&posted.visit, view, Some(&trouble)).await,
    };
    match posted.act_once(LocalRequest::OpenDeposit(request)).await {
        Ok(body) => match serde_json::from_value::<DepositView>(body) {
            Ok(deposit) => see_other(&format!("/courier/deposits/{}", deposit.id())),
            Err(error) => posted.visit.misread(&error),
        },
        Err(trouble) if matches!(trouble.status, 400 | 404 | 409 | 422) => {
            view.wants_contact |= refusal_code(&trouble.detail) == "owner-unknown";
            let shown = Problem {
                status: 422,
                ..trouble
            };
            show(&posted.visit, view, Some(&shown)).await
        }
        Err(refused) => posted.visit.refused(&refused),
    }
}

async fn deposit(visit: Visit, Path(id): Path<String>) -> Response {
    show_deposit(&visit, &id, None).await
}

async fn show_deposit(visit: &Visit, id: &str, trouble: Option<&Problem>) -> Response {
    let Ok(id) = DepositId::parse(id) else {
        return visit.outsider.not_found();
    };
    match visit
        .read::<DepositView>(LocalRequest::GetDeposit(id))
        .await
    {
        Ok(deposit) => {
            let page = console::deposit_page(&visit.reader(), &deposit, trouble);
            let status = trouble.map_or(200, |trouble| trouble.status);
            visit.outsider.page(status, page)
        }
        Err(refused) => refused,
    }
}

async fn advance(Path((id, act)): Path<(String, String)>, posted: Posted) -> Response {
    let action = match act.as_str() {
        "confirm" => DepositAction::Confirm,
        "cancel" => DepositAction::Cancel,
        "recall" => DepositAction::Recall,
        _ => return posted.visit.outsider.not_found(),
    };
    let Ok(deposit) = DepositId::parse(&id) else {
        return posted.visit.outsider.not_found();
    };
    let request = LocalRequest::AdvanceDeposit { deposit, action };
    match posted.act(request).await {
        Ok(_) => {
            let (station, size) = (posted.form.get("station"), posted.form.get("size"));
            let (station, size) = (segment(station), segment(size));
            see_other(&format!(
                "/courier?station={station}&size={size}&done={act}"
            ))
        }
        Err(trouble) if matches!(trouble.status, 409 | 422) => {
            show_deposit(&posted.visit, &id, Some(&trouble)).await
        }
        Err(refused) => posted.visit.refused(&refused),
    }
}
