//! The console's pages.

use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use axum::routing::{any, get};

use super::visit::Visit;
use super::{Desk, nothing};
use crate::node::io::LocalRequest;
use crate::pages::console;

/// The routes below `/console`.
pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/console", get(overview))
        .route("/console/access", get(access))
        .route("/console/{*rest}", any(nothing))
}

async fn overview(visit: Visit) -> Response {
    match visit.read(LocalRequest::GetStatus).await {
        Ok(status) => visit.page(console::overview_page(&visit.reader(), &status)),
        Err(refused) => refused,
    }
}

async fn access(visit: Visit) -> Response {
    match visit.read(LocalRequest::GetPeople).await {
        Ok(people) => visit.page(console::access_page(&visit.reader(), &people)),
        Err(refused) => refused,
    }
}
