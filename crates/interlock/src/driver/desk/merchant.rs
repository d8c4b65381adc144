//! A merchant's parcels, as a page and as a file.

use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use http::HeaderValue;
use http::header::CONTENT_DISPOSITION;
use interlock_core::ids::ParcelId;

use super::Desk;
use super::visit::Visit;
use crate::driver::answer::respond;
use crate::driver::html::secured;
use crate::node::io::LocalRequest;
use crate::pages::console::{self, ShopView, is_state};

/// Parcels on a page; as many as keep it below its limit.
const SHOWN: u32 = 100;
/// Parcels in a file.
const IN_FILE: u32 = 500;

/// The routes of merchants.
pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/merchant", get(page))
        .route("/merchant.csv", get(file))
}

/// What a list was asked for: a state, and behind which parcel it begins.
struct Asked {
    state: String,
    before: Option<ParcelId>,
}

async fn shop(visit: &Visit, limit: u32) -> Result<(ShopView, Asked), Response> {
    let Some(merchant) = visit.session.person.merchant.clone() else {
        return Err(visit.outsider.not_found());
    };
    let state = visit.query.may("state").filter(|state| is_state(state));
    let before = visit.query.may("before").map(ParcelId::parse).transpose();
    let before = before.map_err(|_| visit.outsider.not_found())?;
    let request = LocalRequest::GetShop {
        merchant,
        state: state.map(str::to_owned),
        before,
        limit,
    };
    let view = visit.read(request).await?;
    let state = state.unwrap_or_default().into();
    Ok((view, Asked { state, before }))
}

async fn page(visit: Visit) -> Response {
    match shop(&visit, SHOWN).await {
        Ok((view, asked)) => {
            let from = asked.before.map(|id| id.to_string());
            let reader = visit.reader();
            let page = console::merchant_page(&reader, &view, &asked.state, from.as_deref());
            visit.page(page)
        }
        Err(refused) => refused,
    }
}

async fn file(visit: Visit) -> Response {
    match shop(&visit, IN_FILE).await {
        Ok((view, _)) => {
            let text = console::merchant_csv(&visit.reader(), &view);
            let csv = respond(200, "text/csv; charset=utf-8", text);
            let mut response = secured(csv, None);
            let name = HeaderValue::from_static("attachment; filename=\"parcels.csv\"");
            response.headers_mut().insert(CONTENT_DISPOSITION, name);
            response
        }
        Err(refused) => refused,
    }
}
