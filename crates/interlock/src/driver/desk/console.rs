//! The console's pages that are read.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{any, get};
use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParticipantId, StationId, WireId};
use interlock_core::time::{DAY_MS, Timestamp};
use serde::de::DeserializeOwned;

use super::visit::{Posted, Visit};
use super::{Desk, above, acts, check, nothing};
use crate::node::io::{LedgerQuery, LocalRequest, Problem};
use crate::pages::console::{
    self, Again, AgreementsView, Asked, FeedsView, LedgerFilter, LedgerView, LogsView, Names,
    NamesView, OverviewView, ParcelView, ProposalView, RehearsalView, StationsView, StatusView,
};

/// Entries of the ledger on a page.
const ENTRIES: u32 = 50;

/// The routes below `/console`.
pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/console", get(overview))
        .route("/console/health", get(health))
        .route("/regulator", get(regulator))
        .route("/console/partners", get(partners))
        .route("/console/partners/{id}", get(partner))
        .route("/console/agreements", get(agreements))
        .route("/console/agreements/{id}", get(agreement))
        .route(
            "/console/agreements/{id}/{act}",
            get(above).post(acts::agreement),
        )
        .route("/console/inbox", get(inbox))
        .route("/console/inbox/{id}", get(proposal))
        .route("/console/inbox/{id}/{act}", get(above).post(acts::proposal))
        .route("/console/rehearsals", get(rehearsal))
        .route("/console/releases", get(releases))
        .route("/console/releases/{cursor}", get(release))
        .route("/console/alerts", get(alerts))
        .route("/console/feeds", get(feeds))
        .route("/console/evidence", get(evidence))
        .route("/console/evidence/{id}", get(evidence_of))
        .route(
            "/console/evidence/{id}/verify",
            get(above).post(check::verify),
        )
        .route("/console/parcels", get(parcels).post(parcel))
        .route("/console/stations", get(stations))
        .route("/console/stations/{id}", get(station))
        .route("/console/{*rest}", any(nothing))
}

/// A page, or the one that says why there is none.
type Paged = Result<Response, Response>;

fn either(paged: Paged) -> Response {
    paged.unwrap_or_else(|refused| refused)
}

/// What participants are called.
///
/// # Errors
/// The page that says why it is not shown.
pub(super) async fn names(visit: &Visit) -> Result<Names, Response> {
    let names: NamesView = visit.read(LocalRequest::GetNames).await?;
    let us = &visit.outsider.desk.publisher;
    Ok(names.names().with_own(us.id.as_str(), &us.name))
}

/// Whether the console is this person's at all, for a page that asks the node nothing yet.
///
/// # Errors
/// The page that says that it is not.
async fn may_read(visit: &Visit) -> Result<(), Response> {
    names(visit).await.map(drop)
}

async fn overview(visit: Visit) -> Response {
    either(overview_of(&visit).await)
}

async fn overview_of(visit: &Visit) -> Paged {
    let view = OverviewView {
        status: visit.read(LocalRequest::GetStatus).await?,
        agreements: visit.read(LocalRequest::GetAgreements).await?,
        proposals: visit.read(LocalRequest::GetProposals).await?,
        mediations: visit.read(LocalRequest::GetMediations).await?,
    };
    let names = names(visit).await?;
    Ok(visit.page(console::overview_page(&visit.reader(), &view, &names)))
}

/// A list and the names in it.
///
/// # Errors
/// The page that says why it is not shown.
pub(super) async fn listed<T: DeserializeOwned>(
    visit: &Visit,
    request: LocalRequest,
) -> Result<(T, Names), Response> {
    Ok((visit.read(request).await?, names(visit).await?))
}

async fn health(visit: Visit) -> Response {
    let read = listed::<StatusView>(&visit, LocalRequest::GetStatus).await;
    either(
        read.map(|(status, names)| {
            visit.page(console::health_page(&visit.reader(), &status, &names))
        }),
    )
}

async fn regulator(visit: Visit) -> Response {
    either(regulator_of(&visit).await)
}

async fn regulator_of(visit: &Visit) -> Paged {
    let cooperations = visit.read(LocalRequest::GetCooperations).await?;
    let mediations = visit.read(LocalRequest::GetMediations).await?;
    let names = names(visit).await?;
    let page = console::regulator_page(&visit.reader(), &cooperations, &mediations, &names);
    Ok(visit.page(page))
}

async fn partners(visit: Visit) -> Response {
    either(partners_of(&visit).await)
}

async fn partners_of(visit: &Visit) -> Paged {
    let partners = visit.read(LocalRequest::GetPartners).await?;
    let agreements = visit.read(LocalRequest::GetAgreements).await?;
    let page = console::partners_page(&visit.reader(), &partners, &agreements);
    Ok(visit.page(page))
}

async fn partner(visit: Visit, Path(id): Path<String>) -> Response {
    either(partner_of(&visit, &id).await)
}

async fn partner_of(visit: &Visit, id: &str) -> Paged {
    let partners = visit.read(LocalRequest::GetPartners).await?;
    let agreements = visit.read(LocalRequest::GetAgreements).await?;
    let status: StatusView = visit.read(LocalRequest::GetStatus).await?;
    let reader = visit.reader();
    let page = console::partner_page(&reader, id, &partners, &agreements, status.feeds());
    Ok(page.map_or_else(|| visit.outsider.not_found(), |page| visit.page(page)))
}

async fn agreements(visit: Visit) -> Response {
    let read = listed::<AgreementsView>(&visit, LocalRequest::GetAgreements).await;
    either(
        read.map(|(view, names)| {
            visit.page(console::agreements_page(&visit.reader(), &view, &names))
        }),
    )
}

async fn agreement(visit: Visit, Path(id): Path<String>) -> Response {
    let Ok(id) = WireId::parse(&id) else {
        return visit.outsider.not_found();
    };
    either(agreement_of(&visit, id, None).await)
}

/// The page of one agreement, with what went wrong.
///
/// # Errors
/// The page that says why it is not shown.
pub(super) async fn agreement_of(visit: &Visit, id: WireId, again: Option<&Again<'_>>) -> Paged {
    let (view, names) = listed(visit, LocalRequest::GetAgreement(id)).await?;
    let done = visit.query.has("done");
    let page = console::agreement_page(&visit.reader(), &view, &names, done, again);
    let status = again.map_or(200, |again| again.trouble.status);
    Ok(visit.outsider.page(status, page))
}

async fn inbox(visit: Visit) -> Response {
    let read = listed(&visit, LocalRequest::GetProposals).await;
    either(
        read.map(|(view, names)| visit.page(console::inbox_page(&visit.reader(), &view, &names))),
    )
}

async fn proposal(visit: Visit, Path(id): Path<String>) -> Response {
    let Ok(id) = WireId::parse(&id) else {
        return visit.outsider.not_found();
    };
    either(proposal_of(&visit, id, None).await)
}

/// The page of one proposal, with what went wrong.
///
/// # Errors
/// The page that says why it is not shown.
pub(super) async fn proposal_of(visit: &Visit, id: WireId, again: Option<&Again<'_>>) -> Paged {
    let request = LocalRequest::GetNegotiation {
        negotiation: id,
        wait_ms: 0,
    };
    let (view, names) = listed::<ProposalView>(visit, request).await?;
    let page = console::proposal_page(&visit.reader(), &view, &names, again);
    let status = again.map_or(200, |again| again.trouble.status);
    Ok(visit.outsider.page(status, page))
}

async fn rehearsal(visit: Visit) -> Response {
    let typed = visit.query.get("at").to_owned();
    let show = |view: Option<&RehearsalView>, trouble: Option<&Problem>| {
        let page = console::rehearsal_page(&visit.reader(), &typed, view, trouble);
        visit
            .outsider
            .page(trouble.map_or(200, |trouble| trouble.status), page)
    };
    if typed.is_empty() {
        let allowed = may_read(&visit).await;
        return allowed.err().unwrap_or_else(|| show(None, None));
    }
    let at = match acts::instant(&typed) {
        Ok(at) => at,
        Err(trouble) => return show(None, Some(&trouble)),
    };
    let request = LocalRequest::Rehearse {
        at,
        after: 0,
        limit: 1,
    };
    match visit.ask(request, None, None).await {
        Ok(body) => match serde_json::from_value(body) {
            Ok(view) => show(Some(&view), None),
            Err(error) => visit.misread(&error),
        },
        Err(trouble) if trouble.status == 422 => show(None, Some(&trouble)),
        Err(refused) => visit.refused(&refused),
    }
}

fn filter_of(visit: &Visit) -> LedgerFilter {
    let text = |name: &str| visit.query.get(name).chars().take(256).collect();
    LedgerFilter {
        partner: text("partner"),
        dataset: text("dataset"),
        agreement: text("agreement"),
        purpose: text("purpose"),
        outcome: text("outcome"),
        since: text("since"),
        until: text("until"),
    }
}

/// The query; what cannot be read fits nothing but is kept in the form.
fn query_of(visit: &Visit, filter: &LedgerFilter) -> LedgerQuery {
    let zone = visit.outsider.desk.publisher.zone;
    let day = |text: &str| {
        let at = format!("{text}T00:00:00{}", zone.to_offset_string());
        Timestamp::parse_zoned(&at).ok().map(|(at, _)| at)
    };
    LedgerQuery {
        denied: match filter.outcome.as_str() {
            "denied" => Some(true),
            "released" => Some(false),
            _ => None,
        },
        partner: ParticipantId::parse(&filter.partner).ok(),
        dataset: Dataset::parse(&filter.dataset),
        agreement: WireId::parse(&filter.agreement).ok(),
        purpose: Some(filter.purpose.clone()).filter(|purpose| !purpose.is_empty()),
        since: day(&filter.since),
        until: day(&filter.until).map(|at| at.plus_ms(DAY_MS)),
        before: visit.query.get("before").parse().ok(),
        limit: ENTRIES,
    }
}

async fn releases(visit: Visit) -> Response {
    let filter = filter_of(&visit);
    let query = query_of(&visit, &filter);
    let read = listed::<LedgerView>(&visit, LocalRequest::FindLedger(Box::new(query))).await;
    either(read.map(|(view, names)| {
        let page = console::releases_page(&visit.reader(), &view, &filter, &names);
        visit.page(page)
    }))
}

async fn release(visit: Visit, Path(cursor): Path<String>) -> Response {
    let Some(cursor) = cursor.parse::<u64>().ok().filter(|cursor| *cursor > 0) else {
        return visit.outsider.not_found();
    };
    let query = LedgerQuery {
        before: cursor.checked_add(1),
        limit: 1,
        ..LedgerQuery::default()
    };
    let read = listed::<LedgerView>(&visit, LocalRequest::FindLedger(Box::new(query))).await;
    either(read.map(|(view, names)| {
        let shown = view.is_of(cursor).then_some(&view);
        let page = shown.and_then(|view| console::release_page(&visit.reader(), view, &names));
        page.map_or_else(|| visit.outsider.not_found(), |page| visit.page(page))
    }))
}

/// How many of a list are passed over.
fn from_of(visit: &Visit) -> u32 {
    visit.query.get("from").parse().unwrap_or(0)
}

async fn alerts(visit: Visit) -> Response {
    let request = LocalRequest::FindAlerts {
        from: from_of(&visit),
        limit: u32::try_from(console::ALERTS_SHOWN_MAX).unwrap_or(u32::MAX),
    };
    let read = listed(&visit, request).await;
    either(
        read.map(|(view, names)| visit.page(console::alerts_page(&visit.reader(), &view, &names))),
    )
}

async fn feeds(visit: Visit) -> Response {
    let read = listed::<FeedsView>(&visit, LocalRequest::GetStatus).await;
    either(
        read.map(|(view, names)| visit.page(console::feeds_page(&visit.reader(), &view, &names))),
    )
}

async fn evidence(visit: Visit) -> Response {
    let read = listed::<LogsView>(&visit, LocalRequest::GetEvidence).await;
    either(
        read.map(|(view, names)| {
            visit.page(console::evidence_page(&visit.reader(), &view, &names))
        }),
    )
}

async fn evidence_of(visit: Visit, Path(id): Path<String>) -> Response {
    let read = listed::<LogsView>(&visit, LocalRequest::GetEvidence).await;
    either(read.map(|(view, names)| {
        let page = console::evidence_of_page(&visit.reader(), &id, &view, &names, None);
        page.map_or_else(|| visit.outsider.not_found(), |page| visit.page(page))
    }))
}

async fn parcels(visit: Visit) -> Response {
    if let Err(refused) = may_read(&visit).await {
        return refused;
    }
    let page = console::parcels_page(&visit.reader(), &Asked::default(), None, &Names::default());
    visit.page(page)
}

async fn parcel(posted: Posted) -> Response {
    let Posted { visit, form } = &posted;
    let typed: String = form.get("waybill").chars().take(64).collect();
    let trouble = |status: u16, text: String| {
        let asked = Asked {
            waybill: typed.clone(),
            trouble: Some(text),
        };
        let page = console::parcels_page(&visit.reader(), &asked, None, &Names::default());
        visit.outsider.page(status, page)
    };
    let language = visit.outsider.language;
    let Ok(waybill) = crate::local_api::parse_waybill(&typed) else {
        let text = language.pick(
            "不是我们认识的运单号。请写成“快递公司/单号”，如 sf/SF1234567890123。",
            "that is no waybill that we know. Write carrier/number, such as sf/SF1234567890123.",
        );
        return trouble(422, text.into());
    };
    let names = match names(visit).await {
        Ok(names) => names,
        Err(refused) => return refused,
    };
    match visit
        .ask(LocalRequest::GetParcel(waybill), None, None)
        .await
    {
        Ok(body) => match serde_json::from_value::<ParcelView>(body) {
            Ok(view) => {
                let asked = Asked::default();
                let page = console::parcels_page(&visit.reader(), &asked, Some(&view), &names);
                visit.page(page)
            }
            Err(error) => visit.misread(&error),
        },
        Err(refused) if refused.status == 404 => {
            let text = language.pick(
                "本节点没有此运单。请核对单号，或询问所有方。",
                "this node does not know that waybill. Check the number, or ask its owner.",
            );
            trouble(422, text.into())
        }
        Err(refused) => visit.refused(&refused),
    }
}

async fn stations(visit: Visit) -> Response {
    let request = LocalRequest::FindStations {
        from: from_of(&visit),
        limit: u32::try_from(console::STATIONS_SHOWN_MAX).unwrap_or(u32::MAX),
    };
    let read = listed::<StationsView>(&visit, request).await;
    either(
        read.map(|(view, names)| {
            visit.page(console::stations_page(&visit.reader(), &view, &names))
        }),
    )
}

async fn station(visit: Visit, Path(id): Path<String>) -> Response {
    let Ok(id) = StationId::parse(&id) else {
        return visit.outsider.not_found();
    };
    let read = visit.read(LocalRequest::GetStation(id)).await;
    either(read.map(|station| visit.page(console::station_page(&visit.reader(), &station))))
}
