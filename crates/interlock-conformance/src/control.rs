//! The door at which the kit has the node act as consumer: two requests of its own form.
//!
//! INVARIANT: what comes in leads to the same requests that our people's decisions lead to. It listens
//! for the kit on the same machine and knows no authentication.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use interlock::driver::handle::Handle;
use interlock::node::io::{LocalAnswer, LocalRequest};
use interlock_core::ids::{ParticipantId, WireId};
use serde_json::Value;

use super::seed::CONTROL_KEY;

/// Reaches the node with a key of its own.
#[derive(Clone)]
struct Control {
    handle: Handle,
    kit: ParticipantId,
}

/// Serves the door until the process ends.
pub(crate) fn serve(listener: std::net::TcpListener, handle: Handle, kit: ParticipantId) {
    let control = Control { handle, kit };
    let routes = axum::Router::new()
        .route("/ready", get(async || StatusCode::OK))
        .route("/negotiations", post(negotiate))
        .route("/transfers", post(transfer))
        .with_state(control);
    tokio::spawn(async move {
        let ready = listener.set_nonblocking(true);
        let listener = ready.and_then(|()| tokio::net::TcpListener::from_std(listener));
        let served = match listener {
            Ok(listener) => axum::serve(listener, routes).await,
            Err(error) => Err(error),
        };
        if let Err(error) = served {
            eprintln!("error: the kit's door is closed: {error}");
        }
    });
}

/// `{datasetId, offerId, providerId, connectorAddress}`: ask for an agreement. The kit is in the
/// partner list with its address.
async fn negotiate(State(control): State<Control>, body: Bytes) -> (StatusCode, String) {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (Some(offer), Some(target)) = (id(&body, "offerId"), id(&body, "datasetId")) else {
        return (StatusCode::BAD_REQUEST, "offerId and datasetId".into());
    };
    let request = LocalRequest::ProposeKnown {
        partner: control.kit.clone(),
        offer,
        target,
        policy: Value::Null,
    };
    control.ask(request).await
}

/// `{agreementId, format, providerId, connectorAddress}`: ask for a transfer.
async fn transfer(State(control): State<Control>, body: Bytes) -> (StatusCode, String) {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(agreement) = id(&body, "agreementId") else {
        return (StatusCode::BAD_REQUEST, "agreementId".into());
    };
    control.ask(LocalRequest::RequestTransfer(agreement)).await
}

fn id(body: &Value, name: &str) -> Option<WireId> {
    WireId::parse(body.get(name)?.as_str()?).ok()
}

impl Control {
    async fn ask(&self, request: LocalRequest) -> (StatusCode, String) {
        let answer = self.handle.local(Some(CONTROL_KEY), None, request).await;
        match answer {
            LocalAnswer::Json { status, body } => (
                StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
                body.to_string(),
            ),
            LocalAnswer::Problem(problem) => (StatusCode::BAD_REQUEST, problem.detail),
            LocalAnswer::Events(_)
            | LocalAnswer::Tracking(_)
            | LocalAnswer::Pickup(_)
            | LocalAnswer::Person(_) => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        }
    }
}
