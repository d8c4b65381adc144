//! Letting people and machines in, and out, in the console.
//!
//! INVARIANT: each act is one request of the local API, in the person's name and with a one-time code.
//! A password is hashed for those alone who may let people in; what is drawn is shown on the answer to its
//! form and kept nowhere.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::acts::is_about_the_form;
use super::visit::{Posted, Visit};
use super::{Desk, above};
use crate::driver::entropy::SystemRng;
use crate::driver::html::see_other;
use crate::identity::api_key::{API_KEY_RANDOM_BYTES, ApiKey};
use crate::identity::person::PersonName;
use crate::local_api;
use crate::node::Rng as _;
use crate::node::io::{KeyId, LocalRequest, Problem, Role};
use crate::pages::console::{self, KeysView, PeopleView, Shown, Typed};

/// The routes below `/console/access`.
pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/console/access", get(access))
        .route("/console/access/people", get(above).post(add_person))
        .route("/console/access/keys", get(above).post(add_key))
        .route(
            "/console/access/people/{name}/withdraw",
            get(to_access).post(withdraw_person),
        )
        .route(
            "/console/access/keys/{id}/withdraw",
            get(to_access).post(withdraw_key),
        )
        .route(
            "/console/access/keys/{id}/approve",
            get(to_access).post(approve_key),
        )
}

async fn to_access() -> Response {
    see_other("/console/access")
}

async fn access(visit: Visit) -> Response {
    show(&visit, None, None).await
}

async fn show(
    visit: &Visit,
    shown: Option<&Shown<'_>>,
    trouble: Option<(&Problem, &Typed)>,
) -> Response {
    let people: PeopleView = match visit.read(LocalRequest::GetPeople).await {
        Ok(people) => people,
        Err(refused) => return refused,
    };
    let keys: KeysView = match visit.read(LocalRequest::GetKeys).await {
        Ok(keys) => keys,
        Err(refused) => return refused,
    };
    let page = console::access_page(&visit.reader(), &people, &keys, shown, trouble);
    let status = trouble.map_or(200, |(trouble, _)| trouble.status);
    visit.outsider.page(status, page)
}

/// The page again, or another that says why not.
async fn refused(posted: &Posted, problem: &Problem) -> Response {
    match is_about_the_form(problem) {
        true => {
            let typed = Typed::new(posted.form.pairs());
            show(&posted.visit, None, Some((problem, &typed))).await
        }
        false => posted.visit.refused(problem),
    }
}

/// The form of a person as the body of `POST /people`.
fn person_of(posted: &Posted) -> Value {
    let form = &posted.form;
    let roles = Role::ALL.into_iter().map(Role::as_str);
    let chosen = roles.filter(|role| form.may(&format!("role.{role}")).is_some());
    let mut person = json!({
        "name": form.get("name-of-person"),
        "roles": chosen.collect::<Vec<_>>(),
    });
    for bound in ["courier", "merchant"] {
        let id = form.get(bound);
        if let (false, Some(members)) = (id.is_empty(), person.as_object_mut()) {
            members.insert(bound.into(), id.into());
        }
    }
    person
}

async fn add_person(posted: Posted) -> Response {
    // A password is slow to hash: for those alone who may let people in.
    let may = posted.visit.ask(LocalRequest::GetPeople, None, None).await;
    if let Err(problem) = may {
        return posted.visit.refused(&problem);
    }
    let body = person_of(&posted).to_string();
    let drawn = local_api::draw_person(body.as_bytes(), |bytes| SystemRng.fill(bytes)).await;
    let (put, password) = match drawn {
        Ok(drawn) => drawn,
        Err(problem) => return refused(&posted, &problem).await,
    };
    let answer = match posted.act(LocalRequest::PutPerson(Box::new(put))).await {
        Ok(answer) => answer,
        Err(problem) => return refused(&posted, &problem).await,
    };
    let told = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    let shown = Shown::Person {
        name: posted.form.get("name-of-person"),
        password: password.reveal(),
        secret: told("oneTimeSecret"),
        enrolment: told("enrolment"),
    };
    show(&posted.visit, Some(&shown), None).await
}

async fn withdraw_person(Path(name): Path<String>, posted: Posted) -> Response {
    let Ok(name) = PersonName::parse(&name) else {
        return posted.visit.outsider.not_found();
    };
    match posted.act(LocalRequest::WithdrawPerson(name)).await {
        Ok(_) => see_other("/console/access"),
        Err(problem) => refused(&posted, &problem).await,
    }
}

async fn add_key(posted: Posted) -> Response {
    let form = &posted.form;
    let body = json!({ "name": form.get("holder"), "role": form.get("role") });
    let (name, role) = match local_api::parse_key(body.to_string().as_bytes()) {
        Ok(read) => read,
        Err(problem) => return refused(&posted, &problem).await,
    };
    let mut random = Zeroizing::new([0; API_KEY_RANDOM_BYTES]);
    SystemRng.fill(random.as_mut());
    let key = ApiKey::generate(&random);
    let request = LocalRequest::AddKey {
        name: name.clone(),
        role,
        digest: Sha256::digest(key.reveal().as_bytes()).into(),
    };
    let made = match posted.act(request).await {
        Ok(made) => made,
        Err(problem) => return refused(&posted, &problem).await,
    };
    let shown = Shown::Key {
        name: &name,
        key: key.reveal(),
        waits: made.get("waits").and_then(Value::as_bool) == Some(true),
    };
    show(&posted.visit, Some(&shown), None).await
}

async fn approve_key(Path(id): Path<String>, posted: Posted) -> Response {
    let Ok(id) = KeyId::parse(&id) else {
        return posted.visit.outsider.not_found();
    };
    match posted.act(LocalRequest::ApproveKey(id)).await {
        Ok(_) => see_other("/console/access"),
        Err(problem) => refused(&posted, &problem).await,
    }
}

async fn withdraw_key(Path(id): Path<String>, posted: Posted) -> Response {
    let Ok(id) = KeyId::parse(&id) else {
        return posted.visit.outsider.not_found();
    };
    match posted.act(LocalRequest::WithdrawKey(id)).await {
        Ok(_) => see_other("/console/access"),
        Err(problem) => refused(&posted, &problem).await,
    }
}
