//! The demo's telephone exchange: puts calls to virtual numbers through.
//!
//! INVARIANT: it holds no list of recipients: for each call it asks the node that leased the number, and
//! forgets what it was told. Numbers leave here masked. It does not know parcels.

use http::Method;
use interlock_core::contact::Phone;
use serde_json::{Value, json};

use super::api::Api;
use super::cast::Who;
use super::error::DemoError;
use super::network::Network;

/// An exchange behind the numbers of one participant.
pub struct Exchange(Api);

impl Exchange {
    /// One that asks `owner`, with a key of its own.
    ///
    /// # Errors
    /// [`DemoError`] if the node does not give it a key.
    pub async fn of(network: &Network, owner: Who) -> Result<Self, DemoError> {
        let api = &network.nodes.of(owner).api;
        let body = json!({ "name": "telephone exchange", "role": "telephone" });
        let made = api.post("/keys", &body).await?;
        let key = made.get("key").and_then(Value::as_str).unwrap_or_default();
        let http = network.http.clone();
        Ok(Self(Api::new(owner, http, api.base().into(), key)?))
    }

    /// Puts a call through: whose phone rings, masked; `None` if nobody's does. `dialled` is a number, with
    /// an extension behind a comma if there is one.
    ///
    /// # Errors
    /// [`DemoError::Unreachable`].
    pub async fn connect(&self, dialled: &str) -> Result<Option<String>, DemoError> {
        let call = match dialled.split_once(',') {
            Some((to, extension)) => json!({ "to": to, "extension": extension }),
            None => json!({ "to": dialled }),
        };
        let answer = self
            .0
            .ask(Method::POST, "/calls", Some(&call), None)
            .await?;
        let phone = answer.body.get("phone").and_then(Value::as_str);
        let phone = phone.and_then(|phone| Phone::parse(phone).ok());
        Ok(phone.map(|phone| phone.masked()))
    }
}
