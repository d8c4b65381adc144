//! Refusals as RFC 9457 problem details, the same at every door.
//!
//! Purpose: the JSON form of [`Problem`] in both directions and the refusals that a door makes by
//! itself. Invariant: `type` is [`PROBLEM_TYPE_BASE`] and the stable name of the kind. It does not
//! know sockets.

use serde_json::{Value, json};

use crate::node::io::{FieldError, Problem};

/// What `type` starts with; the stable name of the kind follows.
pub const PROBLEM_TYPE_BASE: &str = "https://w3id.org/interlock/problems/";
/// Media type of problem details (RFC 9457 section 3).
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// A refusal without field errors.
pub fn problem(kind: &str, status: u16, title: &str, detail: impl Into<String>) -> Problem {
    Problem {
        kind: kind.into(),
        status,
        title: title.into(),
        detail: detail.into(),
        errors: Vec::new(),
    }
}

/// 400: the body does not fit at `pointer` (RFC 6901; empty for the whole).
pub fn malformed(pointer: &str, detail: String) -> Problem {
    Problem {
        errors: vec![FieldError {
            pointer: pointer.into(),
            detail,
        }],
        ..problem(
            "malformed",
            400,
            "the body does not fit",
            "nothing was changed; correct what `errors` names and send it again",
        )
    }
}

/// 400: a query parameter does not fit.
pub fn parameter(name: &str, remedy: &str) -> Problem {
    problem(
        "malformed",
        400,
        "a query parameter does not fit",
        format!("`{name}`: {remedy}"),
    )
}

/// 404: unknown or not for the caller, which look the same.
pub fn not_found() -> Problem {
    problem(
        "not-found",
        404,
        "nothing here",
        "there is no such resource for you; check the path and the identifier",
    )
}

/// 405: the resource takes only `method`.
pub fn method_not_allowed(method: &str) -> Problem {
    problem(
        "method-not-allowed",
        405,
        "another method is wanted",
        format!("use {method} here"),
    )
}

/// The JSON form. `errors` is left out where there are none.
pub fn to_json(problem: &Problem) -> Value {
    let mut value = json!({
        "type": format!("{PROBLEM_TYPE_BASE}{}", problem.kind),
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
    });
    if let (false, Some(object)) = (problem.errors.is_empty(), value.as_object_mut()) {
        let errors = problem
            .errors
            .iter()
            .map(|error| json!({"pointer": error.pointer, "detail": error.detail}))
            .collect();
        object.insert("errors".into(), Value::Array(errors));
    }
    value
}

/// Reads problem details; the HTTP status counts, not the one in the body, and members that we do not
/// know are ignored (RFC 9457 section 3.2). `None` for anything else.
pub fn from_json(status: u16, body: &[u8]) -> Option<Problem> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let object = value.as_object()?;
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let kind = text("type")?.rsplit([':', '/']).next().unwrap_or_default();
    let errors = object.get("errors").and_then(Value::as_array);
    Some(Problem {
        kind: kind.into(),
        status,
        title: text("title").unwrap_or_default().into(),
        detail: text("detail").unwrap_or_default().into(),
        errors: errors
            .into_iter()
            .flatten()
            .filter_map(|error| {
                Some(FieldError {
                    pointer: error.get("pointer")?.as_str()?.into(),
                    detail: error.get("detail")?.as_str()?.into(),
                })
            })
            .collect(),
    })
}
