//! Where the data of a transfer is fetched, or pushed.
//!
//! Purpose: the `dataAddress` of DSP 2025-1 in both directions. Invariants: a connector's tokens are
//! made when its start is sent and are on no record; an address that a consumer names for a push is
//! taken only if nothing that it says leads inward. It does not know whether a name leads inward: that
//! is seen when the name is resolved, each time anew.

use interlock_core::dataset::DatasetForm;
use interlock_core::ids::ParticipantId;
use interlock_core::negotiation::Party;
use interlock_core::time::{SECOND_MS, Timestamp};
use interlock_core::transfer::TransferState;
use serde_json::Value;

use super::super::Node;
use super::super::io::TokenPair;
use super::super::turn::Turn;
use super::door::Refused;
use super::negotiate::shorten;
use super::{Agreement, PushTarget, Transfer};
use crate::dsp::failure::Refusal;
use crate::dsp::message::{
    DataAddress, EndpointProperty, TransferRequestMessage, TransferStartMessage,
};
use crate::exchange::page::pull_path;
use crate::identity::transfer_token::{TokenUse, TransferClaims};
use crate::identity::url::BaseUrl;
use crate::notify;

/// The consumer fetches by HTTP.
pub(super) const PULL: &str = "HttpData-PULL";
/// We send by HTTP.
pub(super) const PUSH: &str = "HttpData-PUSH";
/// Endpoint type of data that is fetched or sent by HTTP (DSP 2025-1, "DataAddress").
const HTTP_ENDPOINT: &str = "https://w3id.org/idsa/v4.1/HTTP";
/// Longest value for `Authorization` that is kept, in bytes.
const AUTHORIZATION_BYTES_MAX: usize = 4_096;

fn property(name: &str, value: impl Into<String>) -> EndpointProperty {
    EndpointProperty {
        name: name.into(),
        value: value.into(),
    }
}

impl Node {
    /// A callback address is never called: messages go to the listed one (decision 10). One that leads
    /// elsewhere is an error all the same, and one that leads inward is refused before people wonder.
    pub(super) fn check_callback(
        &self,
        from: &ParticipantId,
        callback: &BaseUrl,
    ) -> Result<(), Refused> {
        let listed = self.state.partners.get(from).map(|p| &p.exchange_url);
        let same = |url: &BaseUrl| {
            (url.is_https(), url.host(), url.port())
                == (callback.is_https(), callback.host(), callback.port())
        };
        if listed.is_some_and(same) {
            return Ok(());
        }
        notify::screen(callback.as_str(), self.config.allow_loopback_callbacks)
            .map_err(|error| Refusal::Policy(format!("`/callbackAddress`: {error}")).into())
    }

    /// Where a request wants its data: `None` to fetch it.
    pub(super) fn push_target(
        &self,
        from: &ParticipantId,
        request: &TransferRequestMessage,
        form: DatasetForm,
    ) -> Result<Option<PushTarget>, Refused> {
        let refused = |reason: String| Refused::from(Refusal::Policy(reason));
        let connector = self.state.is_connector(from);
        match (request.format.as_str(), form) {
            (PULL, _) => return Ok(None),
            (PUSH, DatasetForm::Feed) if connector => {}
            (PUSH, DatasetForm::Feed | DatasetForm::Lookup) => {
                let reason = "`/format` may be `HttpData-PUSH` for feeds to connectors alone; ask for `HttpData-PULL`";
                return Err(refused(reason.into()));
            }
            (other, _) => {
                let other = shorten(other);
                let reason =
                    format!("`/format` is `{other}`; ask for `{PULL}`, or for `{PUSH}` of a feed");
                return Err(refused(reason));
            }
        }
        let address = request.data_address.as_ref();
        let endpoint = address.and_then(|address| address.endpoint.clone());
        let Some((address, endpoint)) = address.zip(endpoint) else {
            let reason = "`/dataAddress/endpoint` is missing; say where the data is to be sent";
            return Err(refused(reason.into()));
        };
        notify::screen(&endpoint, self.config.allow_loopback_callbacks)
            .map_err(|error| refused(format!("`/dataAddress/endpoint`: {error}")))?;
        let authorization = authorization(address).map_err(refused)?;
        Ok(Some(PushTarget {
            endpoint,
            authorization,
        }))
    }

    /// The body of a provider's start.
    pub(super) fn start_body(&self, transfer: &Transfer, form: DatasetForm) -> Option<Value> {
        let base = &self.config.exchange_url;
        let path = match form {
            DatasetForm::Feed if self.state.is_connector(&transfer.peer) => pull_path(&transfer.id),
            DatasetForm::Feed => format!("/exchange/v1/feeds/{}", transfer.id),
            DatasetForm::Lookup => format!("/exchange/v1/lookups/{}", transfer.id),
        };
        let address = DataAddress {
            endpoint_type: HTTP_ENDPOINT.into(),
            endpoint: Some(format!("{base}{path}")),
            properties: Vec::new(),
        };
        let fetched = transfer.party == Party::Provider && transfer.push.is_none();
        let message = TransferStartMessage {
            pids: transfer.pids()?,
            data_address: fetched.then_some(address),
        };
        Some(message.to_json())
    }

    /// What is sent of an unsent message about `transfer`: a connector's start gets its tokens now.
    pub(super) fn with_tokens(&self, turn: &Turn<'_>, transfer: &Transfer, body: Value) -> Value {
        let starts = transfer.party == Party::Provider
            && transfer.push.is_none()
            && transfer.state == TransferState::Started
            && self.state.is_connector(&transfer.peer);
        let agreement = self.state.book.agreements.get(&transfer.agreement);
        let Some(agreement) = agreement.filter(|_| starts) else {
            return body;
        };
        let Ok(mut message) = TransferStartMessage::from_json(&body) else {
            return body;
        };
        let Some(address) = &mut message.data_address else {
            return body;
        };
        let pair = self.token_pair(transfer, agreement, turn.now.latest);
        let refresh_at = format!(
            "{}{}/token",
            self.config.exchange_url,
            pull_path(&transfer.id)
        );
        let seconds = pair.expires_in_ms / SECOND_MS;
        address.properties = vec![
            property("authorization", pair.access),
            property("authType", "bearer"),
            property("expiresIn", seconds.to_string()),
            property("refreshEndpoint", refresh_at),
            property("refreshToken", pair.refresh),
        ];
        message.to_json()
    }

    /// Tokens for a started transfer; neither counts beyond the end of its agreement.
    pub(in super::super) fn token_pair(
        &self,
        transfer: &Transfer,
        agreement: &Agreement,
        now: Timestamp,
    ) -> TokenPair {
        let end = agreement.flows_until();
        let fetch_until = now.plus_ms(self.config.transfer_token_ms).min(end);
        let issue = |used_for, expires_at| {
            let claims = TransferClaims {
                holder: transfer.peer.clone(),
                start: transfer.starts,
                used_for,
                expires_at,
            };
            self.tokens.issue(&transfer.id, &claims)
        };
        TokenPair {
            access: issue(TokenUse::Fetch, fetch_until),
            refresh: issue(TokenUse::Refresh, end),
            expires_in_ms: fetch_until.since_ms(now).max(0),
        }
    }
}

/// What goes into `Authorization`: `authorization`, with the scheme that `authType` names before it.
fn authorization(address: &DataAddress) -> Result<Option<String>, String> {
    let Some(value) = address.property("authorization") else {
        return Ok(None);
    };
    let wanted = "`/dataAddress/endpointProperties`: `authorization`";
    let visible = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if value.len() > AUTHORIZATION_BYTES_MAX || value.is_empty() || !visible(value) {
        return Err(format!(
            "{wanted} is 1 to {AUTHORIZATION_BYTES_MAX} visible ASCII characters"
        ));
    }
    match address.property("authType").map(str::to_ascii_lowercase) {
        None => Ok(Some(value.into())),
        Some(kind) if kind == "bearer" => {
            let (scheme, token) = value.split_once(' ').unwrap_or(("", value));
            let named = scheme.eq_ignore_ascii_case("bearer");
            let token = if named { token } else { value };
            Ok(Some(format!("Bearer {token}")))
        }
        Some(_) => Err(format!(
            "{wanted} goes with an `authType` of `bearer`, or with none and its own scheme"
        )),
    }
}
