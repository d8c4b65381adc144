//! The demo's SMS gateway: what would reach recipients' phones.
//!
//! INVARIANT: a message is taken only with a right signature (Standard Webhooks), and once for each id;
//! a repeat is counted and answered like the first. Numbers leave here masked. It does not know nodes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use hyper::body::Bytes;
use interlock_core::time::Timestamp;
use serde::Deserialize;

use super::cast::Who;
use crate::driver::clock::{Clock as _, ManualClock};
use crate::exchange::wire::Contact;
use crate::notify::{WebhookHeaders, WebhookSecret};

/// A text message as a recipient's phone gets it.
#[derive(Clone)]
pub struct Sms {
    /// Who sent it.
    pub from: Who,
    /// When the gateway took it, by the demo's clock.
    pub at: Timestamp,
    /// To whom, masked: of a leased number only that it is one.
    pub to: String,
    /// Chinese text.
    pub zh: String,
    /// English text.
    pub en: String,
}

#[derive(Deserialize)]
struct Body {
    to: Contact,
    text: Texts,
}

#[derive(Deserialize)]
struct Texts {
    zh: String,
    en: String,
}

#[derive(Default)]
struct Taken {
    messages: Vec<Sms>,
    by_id: BTreeMap<String, u32>,
    refused: u64,
}

/// The outbox.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    clock: Arc<ManualClock>,
    secret: WebhookSecret,
    taken: Mutex<Taken>,
}

impl Gateway {
    /// An empty one.
    pub fn new(clock: Arc<ManualClock>, secret: WebhookSecret) -> Self {
        Self(Arc::new(Inner {
            clock,
            secret,
            taken: Mutex::default(),
        }))
    }

    /// Its door: `POST /{participant}`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/{participant}", post(take))
            .with_state(self.clone())
    }

    /// Messages from number `after` on, in the order taken.
    pub fn since(&self, after: usize) -> Vec<Sms> {
        self.taken().messages.iter().skip(after).cloned().collect()
    }

    /// How many messages were taken.
    pub fn count(&self) -> usize {
        self.taken().messages.len()
    }

    /// Repeats of an id that were kept out, and calls with a wrong signature or body.
    pub fn kept_out(&self) -> (u64, u64) {
        let taken = self.taken();
        let repeats = taken
            .by_id
            .values()
            .map(|times| u64::from(*times - 1))
            .sum();
        (repeats, taken.refused)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, from: Who, headers: &HeaderMap, body: &[u8]) -> Option<()> {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let signed = WebhookHeaders {
            id: header("webhook-id")?.into(),
            timestamp: header("webhook-timestamp")?.into(),
            signature: header("webhook-signature")?.into(),
        };
        let now = self.0.clock.now().earliest;
        self.0.secret.verify(&signed, body, now).ok()?;
        let read: Body = serde_json::from_slice(body).ok()?;
        let mut taken = self.taken();
        let times = taken.by_id.entry(signed.id).or_default();
        *times += 1;
        if *times == 1 {
            taken.messages.push(Sms {
                from,
                at: now,
                to: masked(&read.to),
                zh: read.text.zh,
                en: read.text.en,
            });
        }
        Some(())
    }
}

async fn take(
    State(gateway): State<Gateway>,
    Path(participant): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let from = Who::ALL.into_iter().find(|who| who.key() == participant);
    match from.and_then(|from| gateway.accept(from, &headers, &body)) {
        Some(()) => StatusCode::ACCEPTED,
        None => {
            gateway.taken().refused += 1;
            StatusCode::UNAUTHORIZED
        }
    }
}

/// A number for the eyes of whoever watches the demo.
fn masked(contact: &Contact) -> String {
    match contact {
        Contact::Masked { phone } => phone.clone(),
        Contact::Sealed { .. } => "sealed to a messenger".into(),
        Contact::Virtual {
            number, extension, ..
        } if extension.is_empty() => number.clone(),
        Contact::Virtual { number, .. } => format!("{number} ext. ******"),
        Contact::Full { phone } => {
            let digits = phone.chars().count();
            let shown = |(at, c)| if at + 4 < digits && at >= 3 { '*' } else { c };
            phone.chars().enumerate().map(shown).collect()
        }
    }
}
