//! Verifying evidence that somebody handed in.
//!
//! INVARIANT: no large body is read before it is known who sends it, and that they may see evidence; one
//! is checked at a time, by the same verifier as on the command line; nothing of it is kept.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use hyper::body::Bytes;
use interlock_journal::evidence::{EvidenceFile, TrustedKeys};
use multer::{Multipart, parse_boundary};

use super::visit::{Outsider, Visit};
use super::{Desk, check, console as read};
use crate::driver::answer::read_file;
use crate::driver::html::{Form, from_elsewhere};
use crate::exchange::problem::problem;
use crate::node::io::{LocalRequest, Problem};
use crate::pages::console::{self, Checked, LogsView, Names, PartnersView};

/// Most bytes of all files together.
const SIZE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Most files at once.
const FILES_MAX: usize = 4;

/// The routes of the page.
pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new().route("/console/evidence/files", get(page).post(verify))
}

async fn page(visit: Visit) -> Response {
    match allowed(&visit).await {
        Ok((names, _)) => visit.page(console::files_page(&visit.reader(), &names, None, None)),
        Err(refused) => refused,
    }
}

/// Names and keys of partners, for whoever may see the state of the logs.
///
/// # Errors
/// The page that says that they may not.
async fn allowed(visit: &Visit) -> Result<(Names, TrustedKeys), Response> {
    visit.read::<LogsView>(LocalRequest::GetEvidence).await?;
    let partners: PartnersView = visit.read(LocalRequest::GetPartners).await?;
    let mut keys = TrustedKeys::new();
    for (id, key) in partners.keys() {
        keys.entry(id).or_default().push(key);
    }
    Ok((read::names(visit).await?, keys))
}

async fn verify(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let outsider = Outsider::of(&desk, &head.headers, &head.uri);
    if from_elsewhere(&head.headers) {
        let page = console::foreign_form(&outsider.reader(None));
        return outsider.page(403, page);
    }
    let Some(session) = outsider.session() else {
        return super::login::keep(&outsider, &Form::default());
    };
    let visit = Visit {
        outsider,
        session,
        query: Form::default(),
    };
    let (names, keys) = match allowed(&visit).await {
        Ok(allowed) => allowed,
        Err(refused) => return refused,
    };
    let found = match desk.checking.try_acquire() {
        Ok(_turn) => found(&visit, &head, body, keys).await,
        Err(_) => Err(busy()),
    };
    let (status, checked, trouble) = match found {
        Ok(checked) => (200, Some(checked), None),
        Err(trouble) => (trouble.status, None, Some(trouble)),
    };
    let reader = visit.reader();
    let page = console::files_page(&reader, &names, checked.as_ref(), trouble.as_ref());
    visit.outsider.page(status, page)
}

async fn found(
    visit: &Visit,
    head: &Parts,
    body: Body,
    keys: TrustedKeys,
) -> Result<Checked, Problem> {
    let files = parts(visit, head, body).await?;
    let checked = tokio::task::spawn_blocking(move || {
        let read: Result<Vec<EvidenceFile>, Problem> =
            files.iter().map(|bytes| evidence(bytes)).collect();
        Ok(check::judge(&read?, &keys))
    });
    checked.await.map_err(|_| {
        problem(
            "internal",
            500,
            "the node failed",
            "the files could not be checked; run `interlock evidence verify` on them",
        )
    })?
}

fn evidence(bytes: &[u8]) -> Result<EvidenceFile, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        problem(
            "no-evidence",
            422,
            "no evidence file",
            format!(
                "that is no evidence file: {error}; it was cut or changed, or a later version wrote \
                 it: ask for it again"
            ),
        )
    })
}

/// The files of a form of this session.
async fn parts(visit: &Visit, head: &Parts, body: Body) -> Result<Vec<Bytes>, Problem> {
    let kind = head.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let boundary = kind.and_then(|kind| parse_boundary(kind).ok());
    let boundary = boundary.ok_or_else(|| broken("use the form of the page"))?;
    let body = read_file(&head.headers, body, SIZE_BYTES_MAX).await?;
    let mut parts = Multipart::new(Body::from(body).into_data_stream(), boundary);
    let (mut ours, mut files) = (false, Vec::new());
    let unread = |_: multer::Error| broken("the form broke off; send it again");
    while let Some(part) = parts.next_field().await.map_err(unread)? {
        let name = part.name().unwrap_or_default().to_owned();
        let bytes = part.bytes().await.map_err(unread)?;
        match name.as_str() {
            "csrf" => {
                let mark = std::str::from_utf8(&bytes).unwrap_or_default();
                ours |= visit.session.is_form_of(mark);
            }
            "evidence" if !bytes.is_empty() => files.push(bytes),
            _ => {}
        }
    }
    match files.len() {
        _ if !ours => Err(problem(
            "form-expired",
            403,
            "the form is not of this session",
            "nothing was checked; choose the files again on this page",
        )),
        0 => Err(broken("choose at least one file")),
        1..=FILES_MAX => Ok(files),
        _ => Err(broken("hand in at most four files at once")),
    }
}

fn broken(detail: &str) -> Problem {
    problem("no-files", 422, "no files", detail.to_owned())
}

fn busy() -> Problem {
    problem(
        "busy",
        429,
        "another check is under way",
        "nothing was checked; try again in a moment",
    )
}
