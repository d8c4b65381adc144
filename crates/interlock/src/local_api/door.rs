//! From a request on the socket to the node and back.
//!
//! INVARIANT: path, method, credential, idempotency key, content type and size are settled in this order
//! before a body is read; a body is read whole before anything is done with it. This module does not
//! know single routes.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, RawPathParams, Request};
use axum::response::Response;
use axum::routing::any;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use hyper::body::Bytes;
use interlock_core::ids::{IdempotencyKey, ParticipantId};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::bodies::{admin, people};
use super::call::Call;
use super::problem::{self, bad_request};
use super::routes::{Body, Idempotency, Route, Target};
use super::table::routes;
use super::{BASE, Seam, openapi};
use crate::driver::answer::{read_body, refuse, require_json, respond};
use crate::exchange::problem::{method_not_allowed, problem};
use crate::identity::api_key::{API_KEY_RANDOM_BYTES, ApiKey};
use crate::node::io::{Digest, EventTaken, LocalAnswer, LocalRequest, Problem};

/// Header by which a caller makes a write repeatable.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
const JSON: &str = "application/json";

/// A router made of the table.
pub(super) fn router(seam: Arc<dyn Seam>) -> Router {
    let mut paths: BTreeMap<&'static str, Vec<&'static Route>> = BTreeMap::new();
    for route in routes() {
        paths.entry(route.path).or_default().push(route);
    }
    let mut router = Router::new();
    for (path, methods) in paths {
        let seam = Arc::clone(&seam);
        let methods: Arc<[&'static Route]> = methods.into();
        let handler = move |parameters: RawPathParams, request: Request| {
            let (seam, methods) = (Arc::clone(&seam), Arc::clone(&methods));
            async move {
                let outcome = answer(seam.as_ref(), &methods, &parameters, request).await;
                outcome.unwrap_or_else(|refusal| refuse(&refusal))
            }
        };
        router = router.route(&format!("{BASE}{path}"), any(handler));
    }
    let nothing = || async { refuse(&problem::no_such_path()) };
    router
        .route(BASE, any(nothing))
        .route(&format!("{BASE}/"), any(nothing))
        .route(&format!("{BASE}/{{*rest}}"), any(nothing))
}

async fn answer(
    seam: &dyn Seam,
    methods: &[&'static Route],
    parameters: &RawPathParams,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let Some(route) = methods.iter().find(|route| route.method == head.method) else {
        return Ok(not_allowed(methods));
    };
    if let Target::Document = route.target {
        return Ok(respond(200, JSON, openapi::document().to_string()));
    }
    let credential = credential(&head.headers)?;
    let role = seam.role(&credential);
    route.admit(role.ok_or_else(problem::unauthorised)?)?;
    let key = idempotency_key(&head.headers, route.idempotency)?;
    let body = take_body(route, &head.headers, body).await?;
    let query = Query::<Vec<(String, String)>>::try_from_uri(&head.uri)
        .map_err(|_| bad_request("the query cannot be read; write it as `name=value&...`"))?;
    let call = Call {
        path: parameters
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        query: query.0,
        body: &body,
    };
    call.check_query(route.query)?;
    let idempotency = key.map(|key| (key, digest(&head, &body)));
    let (request, fresh) = match route.target {
        Target::Node(read) => (read(&call)?, None),
        Target::NewKey => new_key(seam, &call)?,
        Target::NewPerson => {
            let described = people::person(&call)?;
            // A password is slow to hash: for those alone who may let people in.
            if let Some(refused) = refusal(seam, credential, LocalRequest::GetPeople).await {
                return Ok(refused);
            }
            new_person(seam, described).await?
        }
        Target::Evidence => return evidence(seam, credential, &call).await,
        Target::Document => return Err(problem::no_such_path()),
    };
    let answered = seam.local(Some(credential), idempotency, request).await;
    Ok(to_response(answered, fresh.as_ref()))
}

/// Whoever may see the state of the logs may have all of them.
async fn evidence(
    seam: &dyn Seam,
    credential: Digest,
    call: &Call<'_>,
) -> Result<Response, Problem> {
    let partner = call.segment("id", |text| match text {
        "all" => Ok(None),
        did => ParticipantId::parse(did).map(Some),
    })?;
    if let Some(refused) = refusal(seam, credential, LocalRequest::GetEvidence).await {
        return Ok(refused);
    }
    let file = seam.evidence(partner).await?;
    Ok(respond(200, JSON, file))
}

/// What the node refuses a caller with that reads something: asked before work is done for it.
async fn refusal(seam: &dyn Seam, credential: Digest, read: LocalRequest) -> Option<Response> {
    match seam.local(Some(credential), None, read).await {
        LocalAnswer::Json { .. } => None,
        refused @ (LocalAnswer::Problem(_)
        | LocalAnswer::Tracking(_)
        | LocalAnswer::Pickup(_)
        | LocalAnswer::Person(_)
        | LocalAnswer::Events(_)) => Some(to_response(refused, None)),
    }
}

/// A secret that the answer shows once: the member's name and its text.
type Fresh = (&'static str, Zeroizing<String>);

fn new_key(seam: &dyn Seam, call: &Call<'_>) -> Result<(LocalRequest, Option<Fresh>), Problem> {
    let (name, role) = admin::key(call)?;
    let mut random = Zeroizing::new([0; API_KEY_RANDOM_BYTES]);
    seam.fill(random.as_mut());
    let key = ApiKey::generate(&random);
    let digest = digest_of_key(key.reveal());
    let request = LocalRequest::AddKey { name, role, digest };
    let shown = Zeroizing::new(key.reveal().to_owned());
    Ok((request, Some(("key", shown))))
}

async fn new_person(
    seam: &dyn Seam,
    described: people::Described,
) -> Result<(LocalRequest, Option<Fresh>), Problem> {
    let (put, password) = people::with_password(described, |bytes| seam.fill(bytes)).await?;
    let shown = Zeroizing::new(password.reveal().to_owned());
    let request = LocalRequest::PutPerson(Box::new(put));
    Ok((request, Some(("password", shown))))
}

fn to_response(answer: LocalAnswer, fresh: Option<&Fresh>) -> Response {
    match answer {
        LocalAnswer::Json { status, mut body } => {
            let created = (200..300).contains(&status);
            if let (true, Some((name, secret)), Value::Object(members)) =
                (created, fresh, &mut body)
            {
                members.insert((*name).into(), secret.as_str().into());
            }
            respond(status, JSON, body.to_string())
        }
        LocalAnswer::Events(taken) => respond(202, JSON, EventTaken::body(&taken)),
        LocalAnswer::Problem(refusal) => refuse(&refusal),
        LocalAnswer::Tracking(_) | LocalAnswer::Pickup(_) | LocalAnswer::Person(_) => {
            tracing::error!("the node answered a request of the local API with a page");
            refuse(&problem::internal())
        }
    }
}

fn not_allowed(methods: &[&'static Route]) -> Response {
    let names: Vec<&str> = methods.iter().map(|route| route.method.as_str()).collect();
    let allowed = names.join(", ");
    let mut response = refuse(&method_not_allowed(&allowed));
    if let Ok(value) = HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

/// What the node knows a key by.
pub(super) fn digest_of_key(key: &str) -> Digest {
    Sha256::digest(key.as_bytes()).into()
}

/// The digest of the key shown (RFC 6750 section 2.1).
fn credential(headers: &HeaderMap) -> Result<Digest, Problem> {
    let shown = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let (scheme, key) = shown
        .and_then(|value| value.split_once(' '))
        .ok_or_else(problem::unauthorised)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(problem::unauthorised());
    }
    let key = ApiKey::parse(key.trim()).map_err(|_| problem::unauthorised())?;
    Ok(digest_of_key(key.reveal()))
}

fn idempotency_key(
    headers: &HeaderMap,
    idempotency: Idempotency,
) -> Result<Option<IdempotencyKey>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (value, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(bad_request(
            "`Idempotency-Key` is given twice; give it once",
        ));
    }
    match (idempotency, value) {
        (Idempotency::Refused | Idempotency::Optional, None) => Ok(None),
        (Idempotency::Refused, Some(_)) => Err(bad_request(
            "this request takes no `Idempotency-Key`: it changes nothing, or its answer is shown \
             once; leave the header out",
        )),
        (Idempotency::Required, None) => Err(problem(
            "idempotency-key-missing",
            400,
            "an idempotency key is needed",
            "send `Idempotency-Key` with a value that is new for each deposit and the same when it \
             is repeated",
        )),
        (Idempotency::Optional | Idempotency::Required, Some(value)) => {
            let text = value.to_str().unwrap_or_default();
            let bare = text
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'));
            let key = IdempotencyKey::parse(bare.unwrap_or(text));
            key.map(Some).map_err(|error| {
                bad_request(format!("`Idempotency-Key` is none: {}", error.remedy))
            })
        }
    }
}

/// What a request must be like to be a repeat: the same key for another resource is another write, even with
/// the same body. The caller's key is part of it, which is stored nowhere: the
/// digest is on record, and a body may hold a phone or a code, of which few enough exist to try them all.
fn digest(head: &Parts, body: &[u8]) -> Digest {
    let shown = head.headers.get(AUTHORIZATION);
    let shown = shown.map_or(&[][..], HeaderValue::as_bytes);
    let key = shown.rsplit(|byte| *byte == b' ').next();
    let path = head.uri.path().as_bytes();
    let mut hash = Sha256::new();
    for part in [
        key.unwrap_or_default(),
        head.method.as_str().as_bytes(),
        path,
    ] {
        hash.update(part);
        hash.update([0]);
    }
    hash.update(body);
    // In its place: a hash that is moved leaves the end of the body behind.
    hash.finalize_reset().into()
}

async fn take_body(
    route: &Route,
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<Bytes, Problem> {
    if let Body::None = route.body {
        return match headers.get(CONTENT_LENGTH).map(HeaderValue::as_bytes) {
            None | Some(b"0") => Ok(Bytes::new()),
            Some(_) => Err(bad_request("this request takes no body; leave it out")),
        };
    }
    let needed = matches!(route.body, Body::Json { .. });
    if needed || headers.contains_key(CONTENT_TYPE) {
        require_json(headers)?;
    }
    read_body(headers, body, route.size_bytes_max()).await
}
