//! What a row of the table of routes says. One row drives the router and the document alike, so that
//! they cannot drift apart.
//!
//! INVARIANT: a row is a constant. The rows themselves are in [`super::table`].

use std::ops::RangeInclusive;

use http::Method;

use super::SMALL_BODY_SIZE_BYTES_MAX;
use super::call::Call;
use crate::node::io::{LocalRequest, Problem, Role};
use crate::node::problem::forbidden;

/// Form of a query parameter.
#[derive(Clone, Copy)]
pub(super) enum ParameterKind {
    /// A whole number.
    Whole {
        /// What is allowed.
        range: fn() -> RangeInclusive<u64>,
        /// What counts if it is not given.
        default: u64,
    },
    /// A text whose form the route checks.
    Text,
    /// One of some names.
    Name(fn() -> Vec<&'static str>),
    /// An instant in RFC 3339 with an offset, which has to be given.
    Instant,
}

/// A query parameter.
pub(super) struct Parameter {
    /// Its name.
    pub(super) name: &'static str,
    /// Its form.
    pub(super) kind: ParameterKind,
    /// What it means.
    pub(super) description: &'static str,
}

/// What a body is.
#[derive(Clone, Copy)]
pub(super) enum Body {
    /// None is taken.
    None,
    /// None, or an object without members.
    Nothing,
    /// JSON of the named schema.
    Json {
        /// Name in the components of the document.
        schema: &'static str,
        /// Largest size, in bytes.
        size_bytes_max: usize,
    },
}

/// Whether a route takes an `Idempotency-Key`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Idempotency {
    /// It changes nothing, or answers with a secret that is shown once.
    Refused,
    /// It may be given.
    Optional,
    /// It has to be given.
    Required,
}

/// Who answers.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// The node, asked with what this makes of the call.
    Node(fn(&Call<'_>) -> Result<LocalRequest, Problem>),
    /// The node, and the door adds the key that it drew.
    NewKey,
    /// The node, and the door adds the password that it drew.
    NewPerson,
    /// The evidence file, once the node has let the caller read evidence.
    Evidence,
    /// The door itself: the OpenAPI document, without a key.
    Document,
}

/// One row.
pub(super) struct Route {
    /// Method.
    pub(super) method: Method,
    /// Path below the base; `{name}` is a parameter.
    pub(super) path: &'static str,
    /// Name of the operation.
    pub(super) name: &'static str,
    /// What it does.
    pub(super) summary: &'static str,
    /// Query parameters.
    pub(super) query: &'static [Parameter],
    /// Body.
    pub(super) body: Body,
    /// Whose key has a large body read; every key, where the body is small. The node asks again.
    pub(super) roles: Option<&'static [Role]>,
    /// Idempotency.
    pub(super) idempotency: Idempotency,
    /// Status of success, and what the answer is.
    pub(super) success: (u16, &'static str),
    /// Another status of success, where there are two, and when it is answered.
    pub(super) or_success: Option<(u16, &'static str)>,
    /// Who answers.
    pub(super) target: Target,
}

/// A row that reads.
pub(super) const fn get(
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    answer: &'static str,
    target: Target,
) -> Route {
    Route {
        method: Method::GET,
        path,
        name,
        summary,
        query: &[],
        body: Body::None,
        roles: None,
        idempotency: Idempotency::Refused,
        success: (200, answer),
        or_success: None,
        target,
    }
}

/// A row that writes; its body is none or an object without members, its idempotency key optional.
pub(super) const fn write(
    method: Method,
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    success: (u16, &'static str),
    target: Target,
) -> Route {
    Route {
        method,
        path,
        name,
        summary,
        query: &[],
        body: Body::Nothing,
        roles: None,
        idempotency: Idempotency::Optional,
        success,
        or_success: None,
        target,
    }
}

impl Route {
    /// With query parameters.
    pub(super) const fn query(mut self, query: &'static [Parameter]) -> Self {
        self.query = query;
        self
    }

    /// With a body of the named schema.
    pub(super) const fn takes(mut self, schema: &'static str, size_bytes_max: usize) -> Self {
        self.body = Body::Json {
            schema,
            size_bytes_max,
        };
        self
    }

    /// With a large body, which is read for keys with these roles alone.
    pub(super) const fn takes_from(
        mut self,
        roles: &'static [Role],
        schema: &'static str,
        size_bytes_max: usize,
    ) -> Self {
        self.roles = Some(roles);
        self.takes(schema, size_bytes_max)
    }

    /// Without any body.
    pub(super) const fn bodiless(mut self) -> Self {
        self.body = Body::None;
        self
    }

    /// With another status of success.
    pub(super) const fn or(mut self, status: u16, answer: &'static str) -> Self {
        self.or_success = Some((status, answer));
        self
    }

    /// With another rule for the idempotency key.
    pub(super) const fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = idempotency;
        self
    }

    /// Refuses a key of another role before a large body is read.
    ///
    /// # Errors
    /// 403 `forbidden`.
    pub(super) fn admit(&self, role: Role) -> Result<(), Problem> {
        let needed = self.roles.unwrap_or(&Role::ALL);
        if role == Role::Admin || needed.contains(&role) {
            return Ok(());
        }
        let needs = needed.first().map_or("admin", |role| role.as_str());
        Err(forbidden(&format!("`{needs}`")))
    }

    /// Largest body, in bytes.
    pub(super) const fn size_bytes_max(&self) -> usize {
        match self.body {
            Body::None => 0,
            Body::Nothing => SMALL_BODY_SIZE_BYTES_MAX,
            Body::Json { size_bytes_max, .. } => size_bytes_max,
        }
    }
}
