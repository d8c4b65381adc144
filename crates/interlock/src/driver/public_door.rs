//! The door for people who hold a link: recipients and buyers.
//!
//! INVARIANT: a link's token becomes its SHA-256 before anything else sees it, and is never logged;
//! every answer has the headers of all pages; an unknown link and one that has ended get the
//! same answer. A `GET` spends nothing and shows no code: previews fetch links. It does not know what
//! a page says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use interlock_core::time::{MINUTE_MS, Timestamp};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::answer::read_body;
use super::entropy::SystemRng;
use super::handle::Handle;
use super::html::{Form, assets, form_mark, from_elsewhere, html, language_of, see_other};
use crate::identity::code_key::CodeKey;
use crate::node::Rng as _;
use crate::node::io::{Digest, LocalAnswer, PageRequest, Problem, Report};
use crate::pages::{
    Language, PickupView, TroubleView, error_page, link_ended_page, not_found_page, pickup_page,
    tracking_page,
};

/// How often a link shows its code within [`SHOWN_FOR_MS`].
const SHOWN_MAX: usize = 5;
/// How often a link changes something within [`SHOWN_FOR_MS`].
const CHANGED_MAX: usize = 10;
/// For how long a showing or a change counts, in milliseconds.
const SHOWN_FOR_MS: i64 = 10 * MINUTE_MS;
/// Most links that are counted at once; beyond it nothing is shown or changed.
const SHOWN_LINKS_MAX: usize = 100_000;
/// Largest form, in bytes: it holds one hidden field.
const FORM_SIZE_BYTES_MAX: usize = 1_024;
/// Characters of a link's token, at most; what is longer is no link of ours.
const TOKEN_LENGTH_MAX: usize = 64;

struct Door {
    handle: Handle,
    publisher: String,
    /// Ties forms to pages; new at every start.
    form_key: Zeroizing<[u8; 32]>,
    /// When codes were shown of late.
    shown: Often,
    /// When something was changed of late.
    changed: Often,
}

/// Pages with forms.
#[derive(Clone, Copy)]
enum Page {
    /// The recipient's.
    Pickup,
    /// That of somebody whom the recipient sends.
    Delegated,
}

/// When something was done of late, by link.
struct Often {
    /// How often it may be done within [`SHOWN_FOR_MS`].
    max: usize,
    times: Mutex<BTreeMap<Digest, Vec<Timestamp>>>,
}

impl Often {
    const fn new(max: usize) -> Self {
        Self {
            max,
            times: Mutex::new(BTreeMap::new()),
        }
    }

    /// Notes that it is done; if it was done too often, until when it is not.
    fn too_often(&self, digest: Digest, now: Timestamp) -> Option<Timestamp> {
        let mut all = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |at: &Timestamp| now.since_ms(*at) < SHOWN_FOR_MS;
        all.retain(|_, times| times.last().is_some_and(recent));
        if all.len() >= SHOWN_LINKS_MAX {
            return Some(now.plus_ms(SHOWN_FOR_MS));
        }
        let times = all.entry(digest).or_default();
        times.retain(recent);
        if times.len() >= self.max {
            return times.first().map(|at| at.plus_ms(SHOWN_FOR_MS));
        }
        times.push(now);
        None
    }
}

/// The routes of the door; `publisher` is the participant's name on pages that show no parcel.
pub fn router(handle: &Handle, publisher: &str) -> Router {
    let mut form_key = Zeroizing::new([0; 32]);
    SystemRng.fill(form_key.as_mut());
    let door = Arc::new(Door {
        handle: handle.clone(),
        publisher: publisher.into(),
        form_key,
        shown: Often::new(SHOWN_MAX),
        changed: Often::new(CHANGED_MAX),
    });
    Router::new()
        .route("/t/{token}", get(tracking))
        .route("/p/{token}", get(pickup))
        .route("/p/{token}/{act}", post(act).get(back_to_page))
        .route("/d/{token}", get(delegated))
        .route(
            "/d/{token}/code",
            post(delegated_code).get(back_to_delegated),
        )
        .merge(assets())
        .fallback(nothing)
        .method_not_allowed_fallback(nothing)
        .with_state(door)
}

async fn tracking(
    State(door): State<Arc<Door>>,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    let language = language_of(&request);
    let Some(digest) = digest_of(&token) else {
        return door.ended(language);
    };
    let answer = door.handle.page(PageRequest::Tracking(digest)).await;
    door.render(answer, &token, language)
}

async fn pickup(
    State(door): State<Arc<Door>>,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    let language = language_of(&request);
    let Some(digest) = digest_of(&token) else {
        return door.ended(language);
    };
    let answer = door.handle.page(PageRequest::Pickup(digest)).await;
    door.render(answer, &token, language)
}

/// What the recipient wants: a form of their page.
async fn act(
    State(door): State<Arc<Door>>,
    Path((token, act)): Path<(String, String)>,
    request: Request,
) -> Response {
    let language = language_of(&request);
    let of: fn(Digest) -> PageRequest = match act.as_str() {
        "code" => PageRequest::ShowCode,
        "erase" => PageRequest::Erase,
        "later" => PageRequest::Later,
        "delegate" => PageRequest::Delegate,
        "withdraw" => PageRequest::Withdraw,
        "stuck" => |digest| PageRequest::Report(digest, Report::Stuck),
        "empty" => |digest| PageRequest::Report(digest, Report::Empty),
        "enrol" => PageRequest::Pickup,
        _ => return nothing(State(door), request).await,
    };
    let (digest, form) = match door.posted(Page::Pickup, &token, request, language).await {
        Ok(posted) => posted,
        Err(answer) => return *answer,
    };
    let often = match act.as_str() {
        "code" => &door.shown,
        _ => &door.changed,
    };
    if let Some(until) = often.too_often(digest, door.handle.now().latest) {
        let trouble = TroubleView::ShownTooOften { until };
        return door
            .again(Page::Pickup, &token, digest, trouble, language)
            .await;
    }
    let wanted = match (act.as_str(), CodeKey::parse(form.get("key"))) {
        ("enrol", Ok(key)) => PageRequest::Enrol(digest, key),
        ("enrol", Err(_)) => {
            let trouble = TroubleView::NoKey;
            return door
                .again(Page::Pickup, &token, digest, trouble, language)
                .await;
        }
        (_, _) => of(digest),
    };
    let answer = door.handle.page(wanted).await;
    door.render(answer, &token, language)
}

/// A reloaded or bookmarked address of a form: the page itself, which shows nothing until asked.
async fn back_to_page(Path((token, _)): Path<(String, String)>, request: Request) -> Response {
    back("p", &token, language_of(&request))
}

async fn back_to_delegated(Path(token): Path<String>, request: Request) -> Response {
    back("d", &token, language_of(&request))
}

fn back(door: &str, token: &str, language: Language) -> Response {
    match digest_of(token) {
        Some(_) => see_other(&format!("/{door}/{token}?lang={}", language.tag())),
        None => see_other(&format!("/{door}/ended")),
    }
}

/// The page of somebody whom the recipient sends.
async fn delegated(
    State(door): State<Arc<Door>>,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    let language = language_of(&request);
    let Some(digest) = digest_of(&token) else {
        return door.ended(language);
    };
    let answer = door.handle.page(PageRequest::Delegated(digest)).await;
    door.render(answer, &token, language)
}

async fn delegated_code(
    State(door): State<Arc<Door>>,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    let language = language_of(&request);
    let posted = door.posted(Page::Delegated, &token, request, language);
    let (digest, _) = match posted.await {
        Ok(posted) => posted,
        Err(answer) => return *answer,
    };
    if let Some(until) = door.shown.too_often(digest, door.handle.now().latest) {
        let trouble = TroubleView::ShownTooOften { until };
        let again = door.again(Page::Delegated, &token, digest, trouble, language);
        return again.await;
    }
    let answer = door.handle.page(PageRequest::DelegatedCode(digest)).await;
    door.render(answer, &token, language)
}

async fn nothing(State(door): State<Arc<Door>>, request: Request) -> Response {
    let language = language_of(&request);
    let page = not_found_page(&door.publisher, language).into_string();
    door.html(404, page, language)
}

impl Door {
    /// A form that its own page posted, and the link of that page.
    ///
    /// # Errors
    /// The answer to anything else: nothing was shown, spent or changed.
    async fn posted(
        &self,
        page: Page,
        token: &str,
        request: Request,
        language: Language,
    ) -> Result<(Digest, Form), Box<Response>> {
        let Some(digest) = digest_of(token) else {
            return Err(Box::new(self.ended(language)));
        };
        let (head, body) = request.into_parts();
        let form = match read_body(&head.headers, body, FORM_SIZE_BYTES_MAX).await {
            Ok(form) => form,
            Err(problem) => return Err(Box::new(self.failed(&problem, language))),
        };
        if from_elsewhere(&head.headers) || !self.is_our_form(token, &form) {
            // The page again, with a new form.
            let trouble = TroubleView::FormExpired;
            let again = self.again(page, token, digest, trouble, language);
            return Err(Box::new(again.await));
        }
        Ok((digest, Form::parse(&form)))
    }

    /// The page as it is, with what went wrong.
    async fn again(
        &self,
        page: Page,
        token: &str,
        digest: Digest,
        trouble: TroubleView,
        language: Language,
    ) -> Response {
        let request = match page {
            Page::Pickup => PageRequest::Pickup(digest),
            Page::Delegated => PageRequest::Delegated(digest),
        };
        let mut answer = self.handle.page(request).await;
        if let LocalAnswer::Pickup(view) = &mut answer {
            view.trouble = Some(trouble);
        }
        self.render(answer, token, language)
    }

    fn render(&self, answer: LocalAnswer, token: &str, language: Language) -> Response {
        match answer {
            LocalAnswer::Tracking(view) => {
                self.html(200, tracking_page(&view, language).into_string(), language)
            }
            LocalAnswer::Pickup(view) => {
                let view = PickupView {
                    token: token.into(),
                    csrf: form_mark(&self.form_key, token),
                    ..*view
                };
                self.html(200, pickup_page(&view, language).into_string(), language)
            }
            LocalAnswer::Problem(problem) if problem.status == 404 => self.ended(language),
            LocalAnswer::Problem(problem) => self.failed(&problem, language),
            LocalAnswer::Json { .. } | LocalAnswer::Events(_) | LocalAnswer::Person(_) => {
                self.ended(language)
            }
        }
    }

    fn ended(&self, language: Language) -> Response {
        let page = link_ended_page(&self.publisher, language).into_string();
        self.html(404, page, language)
    }

    fn failed(&self, problem: &Problem, language: Language) -> Response {
        let page = error_page(
            &self.publisher,
            &problem.title,
            &problem.detail,
            &problem.kind,
            language,
        );
        self.html(problem.status, page.into_string(), language)
    }

    fn html(&self, status: u16, page: String, language: Language) -> Response {
        self.finish(html(status, page, language))
    }

    fn finish(&self, response: Response) -> Response {
        self.handle.metrics().answered(response.status().as_u16());
        response
    }

    fn is_our_form(&self, token: &str, form: &[u8]) -> bool {
        let mark = form_mark(&self.form_key, token);
        let shown = form
            .split(|byte| *byte == b'&')
            .find_map(|pair| pair.strip_prefix(b"csrf="))
            .unwrap_or_default();
        !mark.is_empty() && bool::from(shown.ct_eq(mark.as_bytes()))
    }
}

fn digest_of(token: &str) -> Option<Digest> {
    let good = !token.is_empty()
        && token.len() <= TOKEN_LENGTH_MAX
        && token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    good.then(|| Sha256::digest(token.as_bytes()).into())
}
