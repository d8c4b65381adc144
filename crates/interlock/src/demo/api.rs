//! A participant's own systems: order system, handhelds, cabinets and people, as one HTTP client.
//!
//! INVARIANT: the demo reaches a node by its local API only; an answer that was not expected ends the
//! demo. It does not know what is asked.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::cast::Who;
use super::error::DemoError;

/// How long an answer may take, in milliseconds of the machine's clock.
const ANSWER_TIMEOUT_MS: u64 = 60_000;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The client's connections, shared by all.
#[derive(Clone)]
pub struct Http(Client<HttpConnector, Full<Bytes>>);

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl Http {
    /// No connections yet.
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }

    /// Sends a request; status and body.
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), String> {
        let exchange = async {
            let answer = self.0.request(request).await.map_err(|e| e.to_string())?;
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await;
            Ok((status, body.map_err(|e| e.to_string())?.to_bytes()))
        };
        let limit = Duration::from_millis(ANSWER_TIMEOUT_MS);
        let in_time = tokio::time::timeout(limit, exchange).await;
        in_time.unwrap_or_else(|_| Err("no answer in time".into()))
    }

    /// A page as a browser would get it.
    ///
    /// # Errors
    /// [`DemoError::Unreachable`].
    pub async fn page(&self, who: Who, url: &str) -> Result<String, DemoError> {
        let unreachable = |reason: String| DemoError::Unreachable {
            who,
            request: "GET a page".into(),
            reason,
        };
        let request = Request::get(url)
            .header("accept-language", "en")
            .body(Full::default())
            .map_err(|e| unreachable(e.to_string()))?;
        let (_, body) = self.send(request).await.map_err(unreachable)?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}

/// What a node answered.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON body; null if there is none.
    pub body: Value,
}

/// One participant's local API.
#[derive(Clone)]
pub struct Api {
    who: Who,
    http: Http,
    base: String,
    bearer: HeaderValue,
}

impl Api {
    /// The API at `base`, such as `http://127.0.0.1:4000/api/v1`, with a key.
    ///
    /// # Errors
    /// [`DemoError::Own`] for a key that no header can hold.
    pub fn new(who: Who, http: Http, base: String, key: &str) -> Result<Self, DemoError> {
        let mut bearer =
            HeaderValue::try_from(format!("Bearer {key}")).map_err(DemoError::own("an API key"))?;
        bearer.set_sensitive(true);
        Ok(Self {
            who,
            http,
            base,
            bearer,
        })
    }

    /// Where it is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Asks, and takes any answer.
    ///
    /// # Errors
    /// [`DemoError::Unreachable`].
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        idempotency: Option<&str>,
    ) -> Result<Answer, DemoError> {
        let unreachable = |reason: String| DemoError::Unreachable {
            who: self.who,
            request: format!("{method} {path}"),
            reason,
        };
        let mut request = Request::builder()
            .method(method.clone())
            .uri(format!("{}{path}", self.base))
            .header(AUTHORIZATION, self.bearer.clone());
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(key) = idempotency {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        let bytes = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let request = request
            .body(Full::new(bytes))
            .map_err(|e| unreachable(e.to_string()))?;
        let (status, bytes) = self.http.send(request).await.map_err(unreachable)?;
        let body = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes).map_err(|e| unreachable(e.to_string()))?,
        };
        Ok(Answer { status, body })
    }

    /// Asks for what must be granted.
    ///
    /// # Errors
    /// [`DemoError::Refused`] for any other answer, [`DemoError::Unreachable`].
    pub async fn get(&self, path: &str) -> Result<Value, DemoError> {
        let answer = self.ask(Method::GET, path, None, None).await?;
        self.granted(&Method::GET, path, answer)
    }

    /// Writes what must be taken.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn write(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, DemoError> {
        let answer = self.ask(method.clone(), path, body, None).await?;
        self.granted(&method, path, answer)
    }

    /// Posts what must be taken.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, DemoError> {
        self.write(Method::POST, path, Some(body)).await
    }

    fn granted(&self, method: &Method, path: &str, answer: Answer) -> Result<Value, DemoError> {
        if (200..300).contains(&answer.status) {
            return Ok(answer.body);
        }
        let detail = answer.body.get("detail").and_then(Value::as_str);
        let errors = answer.body.get("errors").map(Value::to_string);
        Err(DemoError::Refused {
            who: self.who,
            request: format!("{method} {path}"),
            status: answer.status,
            detail: format!(
                "{} {}",
                detail.unwrap_or("no reason given"),
                errors.unwrap_or_default()
            ),
        })
    }
}
