//! Refusals that this door makes by itself.
//!
//! INVARIANT: none repeats what was sent. Their form on the wire is [`crate::exchange::problem`]'s.

use crate::exchange::problem::problem;
use crate::node::io::{FieldError, Problem};

/// 400: parts of the body do not fit.
pub(super) fn malformed(errors: Vec<FieldError>) -> Problem {
    Problem {
        errors,
        ..problem(
            "malformed",
            400,
            "the body does not fit",
            "nothing was changed; correct everything that `errors` names and send it again",
        )
    }
}

/// 400: the body is no JSON. Its text is not repeated.
pub(super) fn not_json(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let what = if error.is_eof() {
        "the body ends too early".to_owned()
    } else {
        format!("the body is no JSON at line {line}, column {column}")
    };
    let detail = format!("{what}; nothing was changed, send one JSON object in UTF-8");
    no_fit(detail)
}

/// 400: the body as a whole does not fit.
pub(super) fn no_fit(detail: String) -> Problem {
    problem("malformed", 400, "the body does not fit", detail)
}

/// 400: something outside the body does not fit.
pub(super) fn bad_request(detail: impl Into<String>) -> Problem {
    problem("bad-request", 400, "the request does not fit", detail)
}

/// 401: no key, or none that could be one.
pub(super) fn unauthorised() -> Problem {
    problem(
        "unauthorised",
        401,
        "no valid API key",
        "send `Authorization: Bearer` with an API key of this node; `interlock key add` makes one",
    )
}

/// 404: no such path.
pub(super) fn no_such_path() -> Problem {
    problem(
        "not-found",
        404,
        "nothing here",
        "there is no such resource; `/api/v1/openapi.json` lists all there are",
    )
}

/// 500: the node answered a request of this API with a page.
pub(super) fn internal() -> Problem {
    problem(
        "internal",
        500,
        "the node failed",
        "the request may have taken effect; report this with the time of the request",
    )
}
