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
use http_body_util::BodyExt as _;
use hyper::body::Bytes;

use crate::dsp::failure::{Protocol, Refusal};
use crate::exchange::problem::{self, PROBLEM_MEDIA_TYPE, problem};
use crate::node::io::Problem;

/// How long a body may take to arrive, in milliseconds.
pub const BODY_TIMEOUT_MS: u64 = 15_000;
/// How long a file may take that somebody sends from a browser, in milliseconds.
const FILE_TIMEOUT_MS: u64 = 60_000;
/// Most bytes beyond the limit that are read and thrown away before the refusal.
const THROWN_AWAY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The same of a file: a browser that is cut off shows its person no reason.
const FILE_THROWN_AWAY_BYTES_MAX: usize = 256 * 1024 * 1024;
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

/// A refusal in the words of the Dataspace Protocol. What is unknown and what is not the caller's are
/// answered by the same bytes.
pub fn refuse_protocol(protocol: Protocol, refusal: &Problem) -> Response {
    let body = match refusal.status {
        404 => Refusal::NotFound.body(protocol, None),
        _ => protocol.error(&refusal.kind, &reason(refusal)),
    };
    let mut response = refuse(refusal);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.body_mut() = body.to_string().into();
    response
}

/// What is wrong, in one text, with the fields that are.
fn reason(refusal: &Problem) -> String {
    let fields = refusal.errors.iter();
    let fields = fields.map(|field| format!("; `{}`: {}", field.pointer, field.detail));
    let fields: String = fields.collect();
    format!("{}{fields}", refusal.detail)
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
    let limits = (size_bytes_max, THROWN_AWAY_BYTES_MAX, BODY_TIMEOUT_MS);
    read_within(headers, body, limits).await
}

/// Reads the same of somebody who is known and may send a large file.
///
/// # Errors
/// As [`read_body`].
pub async fn read_file(
    headers: &HeaderMap,
    body: Body,
    size_bytes_max: usize,
) -> Result<Bytes, Problem> {
    let limits = (size_bytes_max, FILE_THROWN_AWAY_BYTES_MAX, FILE_TIMEOUT_MS);
    read_within(headers, body, limits).await
}

async fn read_within(
    headers: &HeaderMap,
    body: Body,
    (size_bytes_max, thrown_away_bytes_max, timeout_ms): (usize, usize, u64),
) -> Result<Bytes, Problem> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    let limits = (size_bytes_max, thrown_away_bytes_max);
    let read = collect(body, limits, announced.unwrap_or(0));
    match tokio::time::timeout(Duration::from_millis(timeout_ms), read).await {
        Ok(Ok(Some(body))) => Ok(body),
        Ok(Ok(None)) => Err(problem(
            "too-large",
            413,
            "the body is too large",
            format!("send at most {size_bytes_max} bytes; split the request"),
        )),
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
            format!(
                "nothing was changed; send it within {} seconds, in smaller parts if need be",
                timeout_ms / 1_000
            ),
        )),
    }
}

/// The body, or `None` if it is larger than `size_bytes_max`. A little more than that is read and
/// thrown away: a sender that is still sending when the connection closes may never see the refusal.
async fn collect(
    mut body: Body,
    (size_bytes_max, thrown_away_bytes_max): (usize, usize),
    announced: usize,
) -> Result<Option<Bytes>, axum::Error> {
    let mut bytes = Vec::with_capacity(if announced > size_bytes_max {
        0
    } else {
        announced
    });
    let mut read = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        read = read.saturating_add(data.len());
        if read.max(announced) <= size_bytes_max {
            bytes.extend_from_slice(&data);
        } else if read > size_bytes_max.saturating_add(thrown_away_bytes_max) {
            break;
        }
    }
    Ok((read.max(announced) <= size_bytes_max).then(|| bytes.into()))
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
