//! One's own account: language, colours, password.
//!
//! INVARIANT: a new password needs the old one, and ends every other session of the person. Settings
//! are cookies of the browser and say nothing about who it is.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use super::login::{back_to, cookie, hash_aside, set_cookie, verify};
use super::visit::{Outsider, Posted, Visit};
use super::{Desk, login};
use crate::driver::entropy::SystemRng;
use crate::driver::html::{Form, see_other};
use crate::identity::password::{Password, PasswordError, PasswordHash};
use crate::node::Rng as _;
use crate::node::io::LocalRequest;
use crate::pages::console::{self, AccountTrouble, Theme};

/// How long a setting lasts, in seconds.
const SETTING_S: i64 = 365 * 24 * 3_600;

/// `GET /settings?lang=&theme=&back=`: keeps a choice and goes back. It changes nothing at the node.
pub(super) async fn settings(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let outsider = Outsider::of(&desk, request.headers(), request.uri());
    let query = Form::parse(request.uri().query().unwrap_or_default().as_bytes());
    let mut response = see_other(&back_to(request.uri()));
    if query.may("lang").is_some() {
        let tag = outsider.language.tag();
        set_cookie(
            &mut response,
            &cookie(&outsider, "interlock-lang", tag, SETTING_S),
        );
    }
    if let Some(theme) = query.may("theme") {
        let name = Theme::of(theme).as_str();
        set_cookie(
            &mut response,
            &cookie(&outsider, "interlock-theme", name, SETTING_S),
        );
    }
    response
}

/// `GET /account`.
pub(super) async fn page(visit: Visit) -> Response {
    let done = visit.query.has("done");
    let page = console::account_page(&visit.reader(), done, None);
    visit.page(page)
}

/// `POST /account/password`.
pub(super) async fn change_password(posted: Posted) -> Response {
    let Posted { visit, form } = &posted;
    let desk = &visit.outsider.desk;
    let trouble = |trouble| {
        let page = console::account_page(&visit.reader(), false, Some(trouble));
        visit.outsider.page(422, page)
    };
    let chosen = match Password::choose(form.exact("new-password")) {
        Ok(chosen) => chosen,
        Err(PasswordError::TooShort) => return trouble(AccountTrouble::TooShort),
        Err(PasswordError::TooLong) => return trouble(AccountTrouble::TooLong),
    };
    let name = visit.session.person.name.as_str();
    let now = desk.handle.now().latest;
    if let Err(until) = desk.logins.begin(name, now) {
        return trouble(AccountTrouble::Until(until));
    }
    let kept = visit.session.person.password.clone();
    let right = match Password::typed(form.exact("old-password")) {
        Some(old) => verify(desk, old, kept).await,
        None => Ok(false),
    };
    match right {
        Ok(true) => desk.logins.went_well(name),
        Ok(false) => return trouble(AccountTrouble::WrongPassword),
        Err(problem) => {
            desk.logins.take_back(name);
            return visit.refused(&problem);
        }
    }
    let mut salt = [0; 16];
    SystemRng.fill(&mut salt);
    let hash = match hash_aside(desk, move || PasswordHash::of(&chosen, salt)).await {
        Ok(Some(hash)) => hash,
        Ok(None) => return trouble(AccountTrouble::TooLong),
        Err(problem) => return visit.refused(&problem),
    };
    let changed = posted.act(LocalRequest::ChangePassword(Box::new(hash.clone())));
    let answer = match changed.await {
        Ok(answer) => answer,
        Err(problem) => return visit.refused(&problem),
    };
    let version = answer.get("version").and_then(serde_json::Value::as_u64);
    let mut person = visit.session.person.clone();
    person.password = hash;
    person.version = version
        .and_then(|version| u32::try_from(version).ok())
        .unwrap_or(person.version);
    login::begin_again(&visit.outsider, person, "/account?done")
}
