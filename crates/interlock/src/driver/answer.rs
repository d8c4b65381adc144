//! Small things that all doors share: problem details as responses, and bodies with limits.
//!
//! INVARIANT: a body is read whole, within a size and a time, before anything is done with it. It does
//! not know what is in it.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Bytes;

use crate::exchange::problem::{self, PROBLEM_MEDIA_TYPE, problem};
use crate::node::io::Problem;

/// How long a body may take to arrive, in milliseconds.
pub const BODY_TIMEOUT_MS: u64 = 15_000;
/// When to try again after a refusal that passes by itself, in seconds.
const RETRY_AFTER_S: &str = "1";

/// A response of the given status and media type; not to be stored by anybody on the way.
pub fn respond(status: u16, media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
    set(CONTENT_TYPE, media_type);
    set(CACHE_CONTROL, "no-store");
    response
}

/// A refusal (RFC 9457) with the headers that belong to its status.
pub fn refuse(refusal: &Problem) -> Response {
    let body = problem::to_json(refusal).to_string();
    let mut response = respond(refusal.status, PROBLEM_MEDIA_TYPE, body);
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
    match refusal.status {
        401 => set(WWW_AUTHENTICATE, "Bearer"),
        405 => set(ALLOW, "GET, POST"),
        429 | 503 => set(RETRY_AFTER, RETRY_AFTER_S),
        _ => None,
    };
    response
}

/// Reads a body of at most `size_bytes_max` within [`BODY_TIMEOUT_MS`].
///
/// # Errors
/// 413 `too-large`, 408 `too-slow`, or 400 `broken` if the connection broke off.
pub async fn read_body(
    headers: &HeaderMap,
    body: Body,
    size_bytes_max: usize,
) -> Result<Bytes, Problem> {
    let too_large = || {
        problem(
            "too-large",
            413,
            "the body is too large",
            format!("send at most {size_bytes_max} bytes; split the request"),
        )
    };
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    if announced.is_some_and(|length| length > size_bytes_max) {
        return Err(too_large());
    }
    let read = Limited::new(body, size_bytes_max).collect();
    match tokio::time::timeout(Duration::from_millis(BODY_TIMEOUT_MS), read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(problem(
            "broken",
            400,
            "the body broke off",
            "nothing was changed; send the request again",
        )),
        Err(_) => Err(problem(
            "too-slow",
            408,
            "the body did not arrive in time",
            "nothing was changed; send it within 15 seconds, in smaller parts if need be",
        )),
    }
}

/// Refuses a body that is not said to be JSON.
///
/// # Errors
/// 415 `wrong-content-type`.
pub fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase())
        .unwrap_or_default();
    if media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
    {
        return Ok(());
    }
    Err(problem(
        "wrong-content-type",
        415,
        "another content type is wanted",
        "send JSON with `Content-Type: application/json`",
    ))
}
