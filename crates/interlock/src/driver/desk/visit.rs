//! A request of a person: who it is, in which language, with which form.
//!
//! INVARIANT: a [`Posted`] exists only for a form of the session's own pages. Whoever is not logged in
//! gets the login page, and after it what was asked for: a form that came too late is shown again to be
//! sent once more, never carried out by itself.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::Response;
use http::header::COOKIE;
use http::request::Parts;
use http::{HeaderMap, Uri};
use interlock_core::ids::IdempotencyKey;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::session::Session;
use super::{Desk, is_secure};
use crate::driver::html::{Form, from_elsewhere, html, language_in, see_other};
use crate::exchange::problem::problem;
use crate::node::io::{Digest, LocalAnswer, LocalRequest, PersonCaller, Problem};
use crate::pages::console::{self, Reader, Theme};
use crate::pages::{Language, not_found_page};

/// Largest form, in bytes: a counter-offer with a policy.
const FORM_SIZE_BYTES_MAX: usize = 64 * 1024;
/// Longest address that is gone back to after a login, in bytes.
const NEXT_BYTES_MAX: usize = 512;

/// What is known of any request.
pub(in crate::driver) struct Outsider {
    pub(super) desk: Arc<Desk>,
    pub(super) language: Language,
    pub(super) theme: Theme,
    pub(super) secure: bool,
    pub(super) print: bool,
    /// Path and query, without what only this view of it needs.
    pub(super) here: String,
    cookies: Vec<(String, String)>,
}

impl Outsider {
    pub(super) fn of(desk: &Arc<Desk>, headers: &HeaderMap, uri: &Uri) -> Self {
        let cookies = cookies(headers);
        let named = |name: &str| {
            let found = cookies.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str())
        };
        let query = uri.query().unwrap_or_default();
        let of_this_view = |pair: &str| {
            let (name, _) = pair.split_once('=').unwrap_or((pair, ""));
            matches!(name, "" | "lang" | "print" | "done")
        };
        let kept: Vec<&str> = query
            .split('&')
            .filter(|pair| !of_this_view(pair))
            .collect();
        let here = match kept.is_empty() {
            true => uri.path().to_owned(),
            false => format!("{}?{}", uri.path(), kept.join("&")),
        };
        Self {
            desk: Arc::clone(desk),
            language: language_in(query, headers, named("interlock-lang")),
            theme: Theme::of(named("interlock-theme").unwrap_or_default()),
            secure: is_secure(desk, headers),
            print: query.split('&').any(|pair| pair == "print"),
            here,
            cookies,
        }
    }

    /// Name of the cookie that holds the session.
    pub(super) fn session_cookie(&self) -> String {
        match self.secure {
            true => format!("__Host-interlock-{}", self.desk.suffix),
            false => format!("interlock-{}", self.desk.suffix),
        }
    }

    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        let found = self.cookies.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The session of this browser, if it lasts.
    pub(super) fn session(&self) -> Option<Session> {
        let token = self.cookie(&self.session_cookie())?;
        let now = self.desk.handle.now().latest;
        self.desk.sessions.of(token, now)
    }

    pub(super) fn reader<'a>(&'a self, session: Option<&'a Session>) -> Reader<'a> {
        Reader {
            language: self.language,
            theme: self.theme,
            publisher: &self.desk.publisher.name,
            person: session.map(|session| &session.person),
            csrf: session.map_or("", |session| session.csrf.as_str()),
            here: &self.here,
            as_of: self.desk.handle.now().latest,
            zone: self.desk.publisher.zone,
            print: self.print,
        }
    }

    pub(super) fn page(&self, status: u16, page: maud::Markup) -> Response {
        self.desk.handle.metrics().answered(status);
        html(status, page.into_string(), self.language)
    }

    pub(super) fn not_found(&self) -> Response {
        let page = match self.session() {
            Some(session) => console::not_found(&self.reader(Some(&session))),
            None => not_found_page(&self.desk.publisher.name, self.language),
        };
        self.page(404, page)
    }
}

fn cookies(headers: &HeaderMap) -> Vec<(String, String)> {
    let all = headers.get_all(COOKIE).iter();
    let all = all.filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// Where to go after a login: a path of ours and nothing that a browser takes for another site.
pub(super) fn own_path(text: &str) -> Option<&str> {
    let good = text.len() <= NEXT_BYTES_MAX
        && text.starts_with('/')
        && !text.starts_with("//")
        && !text.starts_with("/login")
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>'));
    good.then_some(text)
}

/// A person who is logged in and reads.
pub(in crate::driver) struct Visit {
    pub(super) outsider: Outsider,
    pub(super) session: Session,
    /// What stands behind the `?`.
    pub(super) query: Form,
}

impl FromRequestParts<Arc<Desk>> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Response> {
        let outsider = Outsider::of(desk, &parts.headers, &parts.uri);
        let Some(session) = outsider.session() else {
            return Err(to_login(&outsider));
        };
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self {
            query: Form::parse(query.as_bytes()),
            outsider,
            session,
        })
    }
}

fn to_login(outsider: &Outsider) -> Response {
    let next = own_path(&outsider.here).unwrap_or("/console");
    let query = serde_urlencoded::to_string([("next", next)]).unwrap_or_default();
    see_other(&format!("/login?{query}"))
}

impl Visit {
    pub(super) fn reader(&self) -> Reader<'_> {
        self.outsider.reader(Some(&self.session))
    }

    pub(super) fn page(&self, page: maud::Markup) -> Response {
        self.outsider.page(200, page)
    }

    /// Asks the node in this person's name.
    ///
    /// # Errors
    /// What the node refuses with.
    pub(super) async fn ask(
        &self,
        request: LocalRequest,
        code: Option<String>,
        idempotency: Option<(IdempotencyKey, Digest)>,
    ) -> Result<serde_json::Value, Problem> {
        let who = PersonCaller {
            name: self.session.person.name.clone(),
            version: self.session.person.version,
            code,
        };
        let asked = self.outsider.desk.handle.person(who, idempotency, request);
        match asked.await {
            LocalAnswer::Json { body, .. } => Ok(body),
            LocalAnswer::Problem(problem) => Err(problem),
            LocalAnswer::Events(_)
            | LocalAnswer::Tracking(_)
            | LocalAnswer::Pickup(_)
            | LocalAnswer::Person(_) => Err(not_for_a_page()),
        }
    }

    /// Asks for something to show.
    ///
    /// # Errors
    /// The page that says why it is not shown.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        request: LocalRequest,
    ) -> Result<T, Response> {
        let body = self.ask(request, None, None).await;
        let body = body.map_err(|problem| self.refused(&problem))?;
        serde_json::from_value(body).map_err(|error| self.misread(&error))
    }

    /// The page for an answer of another shape than its view.
    pub(super) fn misread(&self, error: &serde_json::Error) -> Response {
        tracing::error!(%error, "an answer of the local API has another shape than its page");
        self.refused(&not_for_a_page())
    }

    /// The page that says why something is not shown or done.
    pub(super) fn refused(&self, problem: &Problem) -> Response {
        if problem.kind == "session-ended" {
            if let Some(token) = self.outsider.cookie(&self.outsider.session_cookie()) {
                self.outsider.desk.sessions.end(token);
            }
            return to_login(&self.outsider);
        }
        if problem.status == 404 {
            return self.outsider.not_found();
        }
        let page = console::refused(&self.reader(), problem);
        self.outsider.page(problem.status, page)
    }
}

fn not_for_a_page() -> Problem {
    problem(
        "internal",
        500,
        "the node failed",
        "the request may have taken effect; report this with the time of the request",
    )
}

/// A form of a page of this session.
pub(in crate::driver) struct Posted {
    pub(super) visit: Visit,
    pub(super) form: Form,
}

impl FromRequest<Arc<Desk>> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, desk: &Arc<Desk>) -> Result<Self, Response> {
        let (head, body) = request.into_parts();
        let outsider = Outsider::of(desk, &head.headers, &head.uri);
        if from_elsewhere(&head.headers) {
            let page = console::foreign_form(&outsider.reader(None));
            return Err(outsider.page(403, page));
        }
        let form = Form::read(&head.headers, body, FORM_SIZE_BYTES_MAX).await;
        let form = form.map_err(|problem| {
            let page = console::refused(&outsider.reader(None), &problem);
            outsider.page(problem.status, page)
        })?;
        let Some(session) = outsider.session() else {
            return Err(super::login::keep(&outsider, &form));
        };
        if !session.is_form_of(form.get("csrf")) {
            let kept = kept(&form);
            let reader = outsider.reader(Some(&session));
            let page = console::send_again(&reader, &outsider.here, &kept);
            return Err(outsider.page(403, page));
        }
        let query = head.uri.query().unwrap_or_default();
        let visit = Visit {
            query: Form::parse(query.as_bytes()),
            outsider,
            session,
        };
        Ok(Self { visit, form })
    }
}

/// What of a form may stand in another one, whoever logs in next: never a mark, a code, a password, or
/// what a courier typed of a recipient.
pub(super) fn kept(form: &Form) -> Vec<(String, String)> {
    let secret = |name: &str| {
        matches!(
            name,
            "csrf" | "code" | "next" | "name-of-person" | "contact" | "claim"
        ) || name.contains("password")
    };
    let pairs = form.pairs().filter(|(name, _)| !secret(name));
    pairs.map(|(k, v)| (k.into(), v.into())).collect()
}

impl Posted {
    /// Asks the node with the one-time code of the form.
    ///
    /// # Errors
    /// What the node refuses with.
    pub(super) async fn act(&self, request: LocalRequest) -> Result<serde_json::Value, Problem> {
        let code = self.form.may("code").map(str::to_owned);
        self.visit.ask(request, code, None).await
    }

    /// The same with the idempotency key of the form: sent twice, it is done once.
    ///
    /// # Errors
    /// What the node refuses with.
    pub(super) async fn act_once(
        &self,
        request: LocalRequest,
    ) -> Result<serde_json::Value, Problem> {
        let key = IdempotencyKey::parse(self.form.get("key")).ok();
        let mut digest = Sha256::new();
        // Stored nowhere, so that the digest, which is on record, tells nobody what was typed.
        digest.update(&self.visit.session.csrf);
        for (name, value) in self.form.pairs().filter(|(name, _)| *name != "csrf") {
            digest.update(name);
            digest.update([0]);
            digest.update(value);
            digest.update([0]);
        }
        let idempotency = key.map(|key| (key, digest.finalize_reset().into()));
        self.visit.ask(request, None, idempotency).await
    }
}
