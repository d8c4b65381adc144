//! The door with a node behind it that only writes down what it is asked.

mod bad_input;
mod document;
mod happy;

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::response::Response;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use interlock_core::ids::{IdempotencyKey, ParticipantId};
use serde_json::{Value, json};

use super::door::digest_of_key;
use super::{Answering, Exporting, Seam, router};
use crate::node::io::{Digest, LocalAnswer, LocalRequest, Role};

/// A key that has the form of one.
const KEY: &str = "il_000102030405060708090a0b0c0d0e0f1011121314151617";

/// The key of a handheld.
const HANDHELD_KEY: &str = "il_100102030405060708090a0b0c0d0e0f1011121314151617";

/// What the node was asked.
#[derive(Debug)]
struct Asked {
    credential: Option<Digest>,
    idempotency: Option<(IdempotencyKey, Digest)>,
    request: LocalRequest,
}

/// Answers everything with 200 and an empty object.
#[derive(Default)]
struct Scribe(Mutex<Vec<Asked>>);

impl Scribe {
    fn take(&self) -> Option<Asked> {
        self.0.lock().unwrap().pop()
    }
}

impl Seam for Scribe {
    fn local(
        &self,
        credential: Option<Digest>,
        idempotency: Option<(IdempotencyKey, Digest)>,
        request: LocalRequest,
    ) -> Answering<'_> {
        self.0.lock().unwrap().push(Asked {
            credential,
            idempotency,
            request,
        });
        let body = json!({});
        Box::pin(async { LocalAnswer::Json { status: 200, body } })
    }

    fn role(&self, credential: &Digest) -> Option<Role> {
        let keys = [(KEY, Role::Admin), (HANDHELD_KEY, Role::Handheld)];
        let found = keys
            .iter()
            .find(|(key, _)| digest_of_key(key) == *credential);
        found.map(|(_, role)| *role)
    }

    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }

    fn evidence(&self, partner: Option<ParticipantId>) -> Exporting<'_> {
        let body = json!({ "about": partner.as_ref().map(ParticipantId::as_str) });
        Box::pin(async move { Ok(body.to_string().into_bytes()) })
    }
}

/// An answer of the door.
struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Value,
}

impl Answer {
    /// The pointers of the errors listed.
    fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array();
        let pointers = errors.into_iter().flatten();
        pointers
            .map(|error| error["pointer"].as_str().unwrap())
            .collect()
    }

    /// The last part of `type`.
    fn kind(&self) -> &str {
        let kind = self.body["type"].as_str().unwrap();
        kind.strip_prefix("https://w3id.org/interlock/problems/")
            .unwrap()
    }
}

/// A door and what came through it.
struct Door {
    scribe: Arc<Scribe>,
    runtime: tokio::runtime::Runtime,
}

impl Door {
    fn new() -> Self {
        Self {
            scribe: Arc::default(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    /// Sends a request as it is.
    fn send(&self, request: Request<Body>) -> Answer {
        let router = router(self.scribe.clone());
        self.runtime.block_on(async {
            let service = TowerToHyperService::new(router);
            let response: Response = service.call(request).await.unwrap();
            let (head, body) = response.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            }
        })
    }

    /// Sends a well-formed request with a key, an idempotency key where one is needed, and a body.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.ask_text(method, path, body.map(ToString::to_string).as_deref())
    }

    fn ask_text(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header("authorization", format!("Bearer {KEY}"));
        if path == "/deposits" {
            request = request.header("idempotency-key", "scan-1");
        }
        if body.is_some() {
            request = request.header("content-type", "application/json; charset=utf-8");
        }
        let body = body.unwrap_or_default().to_owned();
        self.send(request.body(Body::from(body)).unwrap())
    }

    /// Sends a request that must go through, and gives what the node was asked.
    fn pass(&self, method: &str, path: &str, body: Option<&Value>) -> Asked {
        let answer = self.ask(method, path, body);
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
        self.scribe.take().unwrap()
    }

    /// Sends a body that must be refused with exactly these pointers, and gives the details.
    #[track_caller]
    fn refuse(&self, method: &str, path: &str, body: &Value, pointers: &[&str]) -> String {
        let answer = self.ask(method, path, Some(body));
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert_eq!(answer.kind(), "malformed");
        assert_eq!(answer.pointers(), pointers, "{}", answer.body);
        assert!(self.scribe.take().is_none(), "the node must not be asked");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        answer.body["errors"].to_string()
    }
}

/// The example of a schema.
fn example(name: &str) -> Value {
    super::schema::schemas()[name]["examples"][0].clone()
}
