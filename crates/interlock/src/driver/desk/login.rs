//! Logging in and out.
//!
//! INVARIANT: whoever is wrong is told the same, and takes as long, whether there is such a name or
//! not; a login never takes over a session that the browser had. It does not know roles.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use http::header::SET_COOKIE;
use http::{HeaderValue, Uri};
use subtle::ConstantTimeEq as _;

use super::session::{LIFE_MS, Session, random_hex};
use super::visit::{Outsider, Posted, kept, own_path};
use super::{Desk, visit};
use crate::driver::entropy::SystemRng;
use crate::driver::html::{Form, form_mark, from_elsewhere, see_other};
use crate::exchange::problem::problem;
use crate::identity::password::{Password, PasswordHash};
use crate::identity::person::{Person, PersonName};
use crate::node::io::{LocalAnswer, PageRequest, Problem, Role};
use crate::pages::console::{self, LoginTrouble, LoginView};

/// Largest login form, in bytes: with the form that came too late in it.
const FORM_SIZE_BYTES_MAX: usize = 72 * 1024;
/// How long a login waits for its turn.
const HASHING_WAIT: Duration = Duration::from_secs(5);
/// What the hidden fields of a form that came too late begin with.
const KEPT: &str = "kept.";

/// `GET /login`.
pub(super) async fn form(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let outsider = Outsider::of(&desk, request.headers(), request.uri());
    let query = Form::parse(request.uri().query().unwrap_or_default().as_bytes());
    let view = LoginView {
        next: own_path(query.get("next")).unwrap_or_default().into(),
        ..LoginView::default()
    };
    show(&outsider, 200, view)
}

/// A form came without a session: the login page, with the form in it.
pub(super) fn keep(outsider: &Outsider, form: &Form) -> Response {
    let view = LoginView {
        next: own_path(&outsider.here).unwrap_or_default().into(),
        kept: kept(form),
        trouble: Some(LoginTrouble::LoggedOut),
        ..LoginView::default()
    };
    show(outsider, 401, view)
}

/// `POST /login`.
pub(super) async fn log_in(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let outsider = Outsider::of(&desk, &head.headers, &head.uri);
    if from_elsewhere(&head.headers) {
        let page = console::foreign_form(&outsider.reader(None));
        return outsider.page(403, page);
    }
    let form = match Form::read(&head.headers, body, FORM_SIZE_BYTES_MAX).await {
        Ok(form) => form,
        Err(problem) => {
            let page = console::refused(&outsider.reader(None), &problem);
            return outsider.page(problem.status, page);
        }
    };
    let again = |trouble| LoginView {
        next: own_path(form.get("next")).unwrap_or_default().into(),
        name: form.get("name").chars().take(64).collect(),
        kept: kept_in(&form),
        trouble: Some(trouble),
        ..LoginView::default()
    };
    let pre = outsider.cookie(&pre_cookie(&outsider)).unwrap_or_default();
    // Only the browser that has the cookie was shown it.
    let mark = form_mark(&desk.form_key, pre);
    if pre.is_empty() || !bool::from(form.get("csrf").as_bytes().ct_eq(mark.as_bytes())) {
        return show(&outsider, 403, again(LoginTrouble::FormExpired));
    }
    let person = match check(&desk, &form).await {
        Ok(person) => person,
        Err(Refused::Wrong) => return show(&outsider, 422, again(LoginTrouble::Wrong)),
        Err(Refused::Until(at)) => return show(&outsider, 429, again(LoginTrouble::Until(at))),
        Err(Refused::Problem(problem)) => {
            let page = console::refused(&outsider.reader(None), &problem);
            return outsider.page(problem.status, page);
        }
    };
    begin(&outsider, &form, person)
}

/// Begins a session and goes on where the person was.
fn begin(outsider: &Outsider, form: &Form, person: Person) -> Response {
    let next = own_path(form.get("next"));
    let home = home_of(&person);
    let (session, cookie) = new_session(outsider, person);
    let kept = kept_in(form);
    let mut response = match (next, kept.is_empty()) {
        (Some(next), false) => {
            let page = console::send_again(&outsider.reader(Some(&session)), next, &kept);
            outsider.page(200, page)
        }
        (next, _) => see_other(next.unwrap_or(home)),
    };
    set_cookie(&mut response, &cookie);
    response
}

/// The same person goes on in a new session.
pub(super) fn begin_again(outsider: &Outsider, person: Person, next: &str) -> Response {
    let (_, cookie) = new_session(outsider, person);
    let mut response = see_other(next);
    set_cookie(&mut response, &cookie);
    response
}

/// A new session with its cookie; the one that the browser showed ends.
fn new_session(outsider: &Outsider, person: Person) -> (Session, String) {
    let desk = &outsider.desk;
    let name = outsider.session_cookie();
    if let Some(token) = outsider.cookie(&name) {
        desk.sessions.end(token);
    }
    let now = desk.handle.now().latest;
    let (token, session) = desk.sessions.begin(person, now, &mut SystemRng);
    (session, cookie(outsider, &name, &token, LIFE_MS / 1_000))
}

const fn home_path(role: Role) -> Option<&'static str> {
    match role {
        Role::Courier => Some("/courier"),
        Role::Merchant => Some("/merchant"),
        Role::Admin
        | Role::OrderSystem
        | Role::Handheld
        | Role::Cabinet
        | Role::Approver
        | Role::Auditor
        | Role::Operations
        | Role::Telephone => None,
    }
}

fn home_of(person: &Person) -> &'static str {
    let mut homes = person.roles.iter().map(|role| home_path(*role));
    match homes.all(|home| home.is_some()) {
        true => person
            .roles
            .iter()
            .find_map(|role| home_path(*role))
            .unwrap_or("/console"),
        false => "/console",
    }
}

/// `POST /logout`.
pub(super) async fn log_out(posted: Posted) -> Response {
    let outsider = &posted.visit.outsider;
    let name = outsider.session_cookie();
    if let Some(token) = outsider.cookie(&name) {
        outsider.desk.sessions.end(token);
    }
    let mut response = see_other("/login");
    set_cookie(&mut response, &cookie(outsider, &name, "", 0));
    response
}

/// Why somebody is not let in.
enum Refused {
    Wrong,
    Until(interlock_core::time::Timestamp),
    Problem(Problem),
}

async fn check(desk: &Arc<Desk>, form: &Form) -> Result<Person, Refused> {
    let now = desk.handle.now().latest;
    let typed = form.get("name").to_ascii_lowercase();
    let name = PersonName::parse(&typed).ok();
    let counted = name.as_ref().map_or("", PersonName::as_str);
    // Counted before it is looked at: many at once are not more than one after another.
    desk.logins.begin(counted, now).map_err(Refused::Until)?;
    let found = person_of(desk, form, name.as_ref()).await;
    match &found {
        Ok(Some(_)) => desk.logins.went_well(counted),
        Ok(None) => {}
        Err(_) => desk.logins.take_back(counted),
    }
    found.map_err(Refused::Problem)?.ok_or(Refused::Wrong)
}

/// Who logs in, if name and password are right.
///
/// # Errors
/// Neither could be looked at.
async fn person_of(
    desk: &Desk,
    form: &Form,
    name: Option<&PersonName>,
) -> Result<Option<Person>, Problem> {
    let person = match name {
        Some(name) => of_node(desk, name).await?,
        None => None,
    };
    let fits = fits(desk, form, person.as_ref()).await?;
    Ok(person.filter(|_| fits))
}

async fn of_node(desk: &Desk, name: &PersonName) -> Result<Option<Person>, Problem> {
    match desk.handle.page(PageRequest::Person(name.clone())).await {
        LocalAnswer::Person(person) => Ok(person.map(|person| *person)),
        LocalAnswer::Problem(problem) => Err(problem),
        LocalAnswer::Json { .. }
        | LocalAnswer::Events(_)
        | LocalAnswer::Tracking(_)
        | LocalAnswer::Pickup(_) => Ok(None),
    }
}

/// Whether the password of the form is that of `person`; takes as long for nobody.
async fn fits(desk: &Desk, form: &Form, person: Option<&Person>) -> Result<bool, Problem> {
    let hash = person.map_or_else(PasswordHash::of_nobody, |person| person.password.clone());
    let Some(password) = Password::typed(form.exact("password")) else {
        return Ok(false);
    };
    verify(desk, password, hash).await
}

/// Checks a password.
///
/// # Errors
/// As [`hash_aside`].
pub(super) async fn verify(
    desk: &Desk,
    password: Password,
    hash: PasswordHash,
) -> Result<bool, Problem> {
    hash_aside(desk, move || hash.fits(&password)).await
}

/// Hashes aside, a few passwords at a time.
///
/// # Errors
/// 503 if there was no turn in [`HASHING_WAIT`].
pub(super) async fn hash_aside<T: Send + 'static>(
    desk: &Desk,
    hash: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let turn = Arc::clone(&desk.hashing).acquire_owned();
    let Ok(Ok(permit)) = tokio::time::timeout(HASHING_WAIT, turn).await else {
        return Err(busy());
    };
    let hashed = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        hash()
    });
    hashed.await.map_err(|_| busy())
}

fn busy() -> Problem {
    problem(
        "busy",
        503,
        "too many logins at once",
        "nothing was done; try again in a moment",
    )
}

fn kept_in(form: &Form) -> Vec<(String, String)> {
    let kept = form.pairs().filter_map(|(name, value)| {
        let name = name.strip_prefix(KEPT)?;
        Some((name.to_owned(), value.to_owned()))
    });
    kept.collect()
}

fn show(outsider: &Outsider, status: u16, mut view: LoginView) -> Response {
    let name = pre_cookie(outsider);
    let known = outsider.cookie(&name).filter(|pre| !pre.is_empty());
    let pre = known.map_or_else(|| random_hex(&mut SystemRng), str::to_owned);
    view.csrf = form_mark(&outsider.desk.form_key, &pre);
    let page = console::login_page(&outsider.reader(None), &view);
    let mut response = outsider.page(status, page);
    set_cookie(&mut response, &cookie(outsider, &name, &pre, 3_600));
    response
}

fn pre_cookie(outsider: &Outsider) -> String {
    format!("{}-login", outsider.session_cookie())
}

/// A cookie of the whole site, out of reach of scripts.
pub(super) fn cookie(outsider: &Outsider, name: &str, value: &str, seconds: i64) -> String {
    let secure = if outsider.secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

pub(super) fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

/// Where a reader goes back to after changing a setting.
pub(super) fn back_to(uri: &Uri) -> String {
    let query = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let back = visit::own_path(query.get("back"));
    back.unwrap_or("/console").into()
}
