//! Refusals, each with a stable kind, a status, and what to do about it.

use interlock_core::decide::DenialReason;
use interlock_core::terms::Language;

use super::io::{FieldError, Problem};

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

/// A refusal that names one field.
pub fn field(
    kind: &str,
    status: u16,
    title: &str,
    pointer: &str,
    detail: impl Into<String>,
) -> Problem {
    let detail = detail.into();
    Problem {
        kind: kind.into(),
        status,
        title: title.into(),
        detail: detail.clone(),
        errors: vec![FieldError {
            pointer: pointer.into(),
            detail,
        }],
    }
}

/// A denial by a term: 403, with the reason as its kind.
pub fn denial(reason: DenialReason) -> Problem {
    problem(
        reason.as_str(),
        403,
        "not released",
        reason.sentence(Language::En),
    )
}

/// What is unknown or not the caller's.
pub fn not_found(what: &str) -> Problem {
    problem(
        "not-found",
        404,
        "not found",
        format!("there is no such {what}, or it is not yours; check its id"),
    )
}

/// The API key is missing, unknown or may not do this.
pub fn forbidden(needs: &str) -> Problem {
    problem(
        "forbidden",
        403,
        "not allowed",
        format!("this API key may not do that; use one with the role {needs}"),
    )
}

/// No API key.
pub fn unauthorised() -> Problem {
    problem(
        "unauthorised",
        401,
        "no valid API key",
        "send `Authorization: Bearer` with an API key of this node; `interlock key add` makes one",
    )
}
