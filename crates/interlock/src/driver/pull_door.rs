//! The door for connectors that are not Interlock: feeds by plain HTTP with the token of a transfer.
//!
//! INVARIANT: nothing reaches the node before the token was verified for this very transfer and use; a
//! page with a guard is checked again after it was encoded. A token counts in `Authorization` alone:
//! addresses end up in logs. It does not know what a page holds.

use axum::body::Body;
use axum::response::Response;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LINK, WWW_AUTHENTICATE};
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::time::{SECOND_MS, Zone};
use serde_json::json;

use super::answer::{read_body, refuse, respond};
use super::exchange_door::Door;
use crate::exchange::page::{Page, PullCall, REFRESH_BODY_BYTES_MAX, page_json, parse_pull};
use crate::exchange::problem::problem;
use crate::identity::transfer_token::{TokenUse, TransferTokenError};
use crate::node::io::{ConnectorAnswer, ConnectorRequest, ConnectorWant, Problem, TokenPair};

impl Door {
    /// Answers a request below `/pull/v1`.
    pub(super) async fn pull(
        &self,
        post: bool,
        target: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Response {
        match self.pulled(post, target, headers, body).await {
            Ok(response) => response,
            Err(refusal) => {
                let mut response = refuse(&refusal);
                if refusal.status == 401 {
                    let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                }
                response
            }
        }
    }

    async fn pulled(
        &self,
        post: bool,
        target: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, Problem> {
        if post {
            require_form(headers)?;
        }
        let body = read_body(headers, body, REFRESH_BODY_BYTES_MAX).await?;
        let (transfer, token, used_for, want) = match parse_pull(post, target, &body)? {
            PullCall::Page {
                transfer,
                cursor,
                limit,
                wait_ms,
            } => {
                let want = ConnectorWant::Page {
                    cursor,
                    limit,
                    wait_ms,
                };
                (transfer, shown(headers), TokenUse::Fetch, want)
            }
            PullCall::Refresh { transfer, token } => {
                let want = ConnectorWant::Tokens;
                (transfer, Some(token), TokenUse::Refresh, want)
            }
        };
        let (from, start) = self.holder(&transfer, token.as_deref(), used_for)?;
        let _slot = self.slot(&from)?;
        let request = ConnectorRequest {
            transfer,
            start,
            want,
        };
        let reply = self.handle.connector(from, request).await;
        match reply.answer {
            ConnectorAnswer::Problem(refusal) => Err(refusal),
            ConnectorAnswer::Tokens(pair) => Ok(tokens(&pair)),
            ConnectorAnswer::Page(page) => {
                let response = self.page(&page);
                match self
                    .handle
                    .may_leave(reply.guard.as_ref(), reply.reply)
                    .await
                {
                    Some(denial) => Err(denial),
                    None => Ok(response),
                }
            }
        }
    }

    /// Whose token it is, and to which start of the transfer it belongs.
    fn holder(
        &self,
        transfer: &WireId,
        token: Option<&str>,
        used_for: TokenUse,
    ) -> Result<(ParticipantId, u32), Problem> {
        let now = self.handle.now().latest;
        let claims = token
            .ok_or(TransferTokenError::Missing)
            .and_then(|token| self.gate.tokens.verify(transfer, token, used_for, now));
        claims
            .map(|claims| (claims.holder, claims.start))
            .map_err(|error| {
                self.handle.metrics().unauthorised.add(1);
                let kind = match error {
                    TransferTokenError::Missing => "token-missing",
                    TransferTokenError::Unknown => "token-unknown",
                    TransferTokenError::Expired => "token-expired",
                };
                tracing::info!(reason = kind, "a connector's token was not accepted");
                problem(kind, 401, "not accepted", error.to_string())
            })
    }

    fn page(&self, page: &Page) -> Response {
        let created = self.handle.now().earliest;
        let body = page_json(page, &self.gate.id, created, Zone::UTC).to_string();
        let mut response = respond(200, "application/json", body);
        let next = format!("<?cursor={}>; rel=\"next\"", page.next.to_text());
        if let Ok(next) = HeaderValue::from_str(&next) {
            response.headers_mut().insert(LINK, next);
        }
        response
    }
}

/// The answer of a token endpoint (RFC 6749 section 5.1).
fn tokens(pair: &TokenPair) -> Response {
    let body = json!({
        "access_token": pair.access,
        "token_type": "bearer",
        "expires_in": pair.expires_in_ms / SECOND_MS,
        "refresh_token": pair.refresh,
    });
    respond(200, "application/json", body.to_string())
}

/// The token of `Authorization: Bearer`, or bare, as some connectors send what they were given.
fn shown(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let token = match text.split_once(' ') {
        Some((scheme, token)) => scheme.eq_ignore_ascii_case("bearer").then_some(token)?,
        None => text,
    };
    Some(token.trim().into())
}

fn require_form(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase());
    if media_type.as_deref() == Some("application/x-www-form-urlencoded") {
        return Ok(());
    }
    Err(problem(
        "wrong-content-type",
        415,
        "another content type is wanted",
        "send the form of RFC 6749 section 6 with \
         `Content-Type: application/x-www-form-urlencoded`",
    ))
}
