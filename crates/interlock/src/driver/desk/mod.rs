//! The door for people who log in: console, courier, merchant, regulator.
//!
//! INVARIANT: a page goes to its session's person alone and is made of what the node answers that
//! person, by the same requests as at the local API; a form does something only with the session's own
//! mark, and never if a browser says that another site sent it; what a form changed is shown at an
//! address of its own, so that reloading repeats nothing. It does not know which role may do what: the node
//! does.

mod access;
mod account;
mod acts;
mod check;
mod console;
mod courier;
mod files;
mod login;
mod mediations;
mod merchant;
mod session;
mod throttle;
mod trust;
mod visit;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, Uri};
use interlock_core::ids::ParticipantId;
use interlock_core::time::Zone;
use interlock_journal::hex;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::entropy::SystemRng;
use super::handle::Handle;
use super::html::{assets, see_other};
use crate::evidence::Exporter;
use crate::local_api::{self, Seam};
use crate::node::Rng as _;

use self::session::Sessions;
use self::throttle::Throttle;

/// Passwords that are checked at once; each takes 19 MiB for a moment.
const HASHING_MAX: usize = 2;

/// Whose pages they are.
#[derive(Clone)]
pub struct Publisher {
    /// Our DID.
    pub id: ParticipantId,
    /// Our name.
    pub name: String,
    /// The zone that times are shown in.
    pub zone: Zone,
    /// Whether this door itself speaks TLS; behind a proxy `X-Forwarded-Proto` says it.
    pub tls: bool,
}

/// Everything that the handlers share.
pub(super) struct Desk {
    handle: Handle,
    /// Exports evidence.
    node: Option<Arc<dyn Seam>>,
    publisher: Publisher,
    sessions: Sessions,
    logins: Throttle,
    hashing: Arc<Semaphore>,
    /// Evidence that others handed in is checked one at a time: it is large.
    checking: Semaphore,
    /// Ties login forms to the browser that got them; new at every start.
    form_key: Zeroizing<[u8; 32]>,
    /// What tells our cookies from those of another node of the same host: cookies know no ports.
    suffix: String,
}

/// The routes of the pages beside those of the local API: one door for a participant's own systems and
/// people.
pub fn with_api(handle: &Handle, exporter: Arc<Exporter>, publisher: Publisher) -> Router {
    let running: Arc<dyn Seam> = Arc::new(local_api::Running::new(handle.clone(), exporter));
    let pages = router(handle, Some(Arc::clone(&running)), publisher);
    local_api::router(running).merge(pages)
}

/// The routes of the door; `node` exports evidence, if it keeps a journal.
pub fn router(handle: &Handle, node: Option<Arc<dyn Seam>>, publisher: Publisher) -> Router {
    let mut form_key = Zeroizing::new([0; 32]);
    SystemRng.fill(form_key.as_mut());
    let digest = Sha256::digest(publisher.id.as_str().as_bytes());
    let suffix = hex::encode(digest.get(..4).unwrap_or_default());
    let desk = Arc::new(Desk {
        handle: handle.clone(),
        node,
        publisher,
        sessions: Sessions::default(),
        logins: Throttle::default(),
        hashing: Arc::new(Semaphore::new(HASHING_MAX)),
        checking: Semaphore::new(1),
        form_key,
        suffix,
    });
    Router::new()
        .route("/", get(home))
        .route("/login", get(login::form).post(login::log_in))
        .route("/logout", get(above).post(login::log_out))
        .route("/settings", get(account::settings))
        .route("/account", get(account::page))
        .route(
            "/account/password",
            get(above).post(account::change_password),
        )
        .merge(console::routes())
        .merge(trust::routes())
        .merge(files::routes())
        .merge(mediations::routes())
        .merge(access::routes())
        .merge(courier::routes())
        .merge(merchant::routes())
        .merge(assets())
        .with_state(desk)
}

/// The address of a form, reloaded or gone back to: the page that the form stands on.
async fn above(uri: Uri) -> Response {
    let page = uri.path().rsplit_once('/').map(|(page, _)| page);
    see_other(page.filter(|page| !page.is_empty()).unwrap_or("/console"))
}

async fn home() -> Response {
    see_other("/console")
}

/// Whatever is not there, in words of the reader's language.
async fn nothing(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    visit::Outsider::of(&desk, request.headers(), request.uri()).not_found()
}

/// Whether the browser's connection is protected.
fn is_secure(desk: &Desk, headers: &HeaderMap) -> bool {
    desk.publisher.tls
        || headers
            .get("x-forwarded-proto")
            .is_some_and(|scheme| scheme == "https")
}
