//! What leaves the process: calls to partners and messages to the gateway.
//!
//! INVARIANT: every call and every delivery comes back as exactly one input, whatever happens outside,
//! unless the node is stopped. One partner's slowness takes none of another's calls. It does not know
//! why something is sent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::Full;
use hyper::body::Bytes;
use interlock_core::ids::{MessageId, ParticipantId, RequestId};
use interlock_core::time::Zone;
use interlock_journal::disk::RealDisk;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::rustls::ClientConfig;

use super::entropy::SystemRng;
use super::handle::Handle;
use super::http_client::{HttpClient, HttpFailure, Reach};
use super::leaf_reader::read_leaves;
use super::seams::Outside;
use crate::exchange::http::{encode_request, parse_answer};
use crate::exchange::page::page_json;
use crate::exchange::wire::{BODY_SIZE_BYTES_MAX, Contact};
use crate::identity::keys::NodeKey;
use crate::identity::own::OwnIdentity;
use crate::identity::partner::Partner;
use crate::identity::tls::{self, Trust};
use crate::identity::token::{self, Request};
use crate::node::Rng as _;
use crate::node::io::{
    CallFailure, CallId, DeliveryFailure, Input, LeavesWanted, Message, PeerAnswer, PeerRequest,
    Push, ReplyId, SystemNotice,
};
use crate::notify::WebhookSecret;

/// Most calls to one partner at once, parked polls included.
pub const CALLS_PER_PARTNER_MAX: usize = 64;
/// Most pages of old leaves that are read from the journal at once.
pub const READS_MAX: usize = 1;
/// Most deliveries at once.
pub const DELIVERIES_MAX: usize = 32;
/// How long a gateway may take, in milliseconds.
pub const DELIVERY_TIMEOUT_MS: u32 = 15_000;
/// Largest answer of a gateway that is read, in bytes; it is not used.
const GATEWAY_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The participant's gateway for messages to recipients.
#[derive(Clone)]
pub struct Gateway {
    /// Where messages are posted.
    pub url: http::Uri,
    /// The secret that signs them (Standard Webhooks).
    pub secret: WebhookSecret,
    /// Whether it may run on this machine.
    pub allow_loopback: bool,
    /// Whose certificates are accepted; `None` for plain HTTP alone.
    pub tls: Option<Arc<ClientConfig>>,
}

/// Where webhooks go.
#[derive(Clone, Default)]
pub struct Hooks {
    /// The gateway for messages to recipients.
    pub gateway: Option<Gateway>,
    /// Our own systems.
    pub systems: Option<Gateway>,
}

/// How partners are called.
#[derive(Clone)]
pub struct Calling {
    /// Who we are, and the key that signs each call.
    pub own: Arc<OwnIdentity>,
    /// Authorities for partners without a pinned certificate.
    pub trust: Trust,
    /// Whether plain HTTP may leave this machine.
    pub plain_anywhere: bool,
    /// Whether a connector may have pages sent to this machine.
    pub allow_loopback_callbacks: bool,
}

/// Carries out calls and deliveries on the runtime.
pub(super) struct Outlet {
    runtime: tokio::runtime::Handle,
    handle: Handle,
    calling: Arc<Calling>,
    clients: Mutex<BTreeMap<ParticipantId, Client>>,
    gateway: Option<Arc<GatewayClient>>,
    systems: Option<Arc<GatewayClient>>,
    pushes: HttpClient,
    journal: PathBuf,
    reads: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
}

/// The client of one partner as it was listed when the client was made.
#[derive(Clone)]
struct Client {
    partner: Partner,
    http: HttpClient,
    slots: Arc<Semaphore>,
}

struct GatewayClient {
    gateway: Gateway,
    http: HttpClient,
    slots: Semaphore,
}

impl Outlet {
    pub(super) fn new(
        handle: Handle,
        calling: Calling,
        hooks: Hooks,
        journal: PathBuf,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let client = |gateway: Gateway| {
            let reach = Reach::Webhook {
                allow_loopback: gateway.allow_loopback,
            };
            Arc::new(GatewayClient {
                http: HttpClient::new(gateway.tls.clone(), reach),
                gateway,
                slots: Semaphore::new(DELIVERIES_MAX),
            })
        };
        // Without authorities nothing would be trusted: such pushes fail by name.
        let tls = tls::client_config(&calling.trust).ok();
        let reach = Reach::Webhook {
            allow_loopback: calling.allow_loopback_callbacks,
        };
        let pushes = HttpClient::new(tls, reach);
        Self {
            runtime: tokio::runtime::Handle::current(),
            handle,
            calling: Arc::new(calling),
            clients: Mutex::default(),
            gateway: hooks.gateway.map(client),
            systems: hooks.systems.map(client),
            pushes,
            journal,
            reads: Arc::new(Semaphore::new(READS_MAX)),
            stopped,
        }
    }

    /// The client for a partner, made anew when its entry has changed.
    fn client(&self, to: &ParticipantId) -> Result<Client, CallFailure> {
        let partners = self.handle.partners();
        let partner = partners.get(to).ok_or_else(|| {
            CallFailure::Unreachable(format!("`{to}` is not in the list of partners"))
        })?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(to).filter(|client| client.partner == *partner) {
            return Ok(client.clone());
        }
        let tls = if partner.exchange_url.is_https() {
            let trust = Trust {
                pins: partner.certificate_pin.into_iter().collect(),
                ..self.calling.trust.clone()
            };
            let config = tls::client_config(&trust)
                .map_err(|error| CallFailure::Unreachable(error.to_string()))?;
            Some(config)
        } else {
            None
        };
        let reach = Reach::Partner {
            plain_anywhere: self.calling.plain_anywhere,
        };
        let client = Client {
            partner: partner.clone(),
            http: HttpClient::new(tls, reach),
            slots: Arc::new(Semaphore::new(CALLS_PER_PARTNER_MAX)),
        };
        clients.insert(to.clone(), client.clone());
        Ok(client)
    }

    /// Runs `work` and queues what it gives, counted as under way all along.
    fn spawn(&self, work: impl Future<Output = Input> + Send + 'static) {
        let under_way = self.handle.activity.begin();
        let handle = self.handle.clone();
        let mut stopped = self.stopped.clone();
        self.runtime.spawn(async move {
            let stop = async {
                let _ = stopped.wait_for(|stopped| *stopped).await;
            };
            tokio::select! {
                input = work => handle.send(input).await,
                () = stop => {}
            }
            drop(under_way);
        });
    }
}

impl Outside for Outlet {
    fn call(&self, call: CallId, to: ParticipantId, request: PeerRequest, timeout_ms: u32) {
        let client = self.client(&to);
        let calling = self.calling.clone();
        let handle = self.handle.clone();
        self.spawn(async move {
            let outcome = match client {
                Ok(client) => exchange(&client, &calling, &handle, &request, timeout_ms).await,
                Err(failure) => Err(failure),
            };
            handle.metrics.calls.add(1);
            if let Err(failure) = &outcome {
                handle.metrics.call_failures.add(1);
                tracing::warn!(partner = %to, failure = %describe(failure), "a call failed");
            }
            Input::Answered { call, outcome }
        });
    }

    fn sign_with(&self, key: NodeKey) {
        self.calling.own.sign_with(key);
    }

    fn read_leaves(&self, wanted: Box<LeavesWanted>) {
        let (journal, me) = (self.journal.clone(), self.calling.own.id().clone());
        let slots = self.reads.clone();
        self.spawn(async move {
            // The semaphore is never closed.
            let _slot = slots.acquire().await.ok();
            let read = tokio::task::spawn_blocking(move || {
                let outcome = RealDisk::open_read_only(&journal)
                    .map_err(|error| error.to_string())
                    .and_then(|mut disk| {
                        let read = read_leaves(&mut disk, &me, &wanted);
                        read.map_err(|error| error.to_string())
                    });
                Input::LeavesRead { wanted, outcome }
            });
            match read.await {
                Ok(input) => input,
                // The runtime is ending, or the read panicked: whoever asked gets no answer in time.
                Err(_) => Input::Tick,
            }
        });
    }

    fn push(&self, push: Push) {
        let client = self.pushes.clone();
        let calling = self.calling.clone();
        let handle = self.handle.clone();
        self.spawn(async move {
            let call = push.call;
            let outcome = send_page(&client, &calling, &handle, push).await;
            handle.metrics.calls.add(1);
            if outcome.is_err() {
                handle.metrics.call_failures.add(1);
            }
            Input::Answered { call, outcome }
        });
    }

    fn deliver(&self, message: Message) {
        let gateway = self.gateway.clone();
        let handle = self.handle.clone();
        self.spawn(async move {
            let outcome = match gateway {
                Some(gateway) => {
                    let body = message_json(&message);
                    post(&gateway, &handle, message.id, body).await
                }
                None => Err(DeliveryFailure::Retry(
                    "no gateway is configured; set `notify.gateway_url` and `notify.secret_file`"
                        .into(),
                )),
            };
            handle.metrics.deliveries.add(1);
            if outcome.is_err() {
                handle.metrics.delivery_failures.add(1);
            }
            Input::Delivered {
                message: message.id,
                outcome,
            }
        });
    }

    fn notify(&self, notice: SystemNotice) {
        let systems = self.systems.clone();
        let handle = self.handle.clone();
        self.spawn(async move {
            let outcome = match systems {
                Some(systems) => post(&systems, &handle, notice.id, notice_json(&notice)).await,
                // They read alerts and status then; it is not an attempt that failed.
                None => Err(DeliveryFailure::Refused("no webhook_url is set".into())),
            };
            Input::Delivered {
                message: notice.id,
                outcome,
            }
        });
    }
}

/// The body that our own systems get (Standard Webhooks): `{type, timestamp, data}`.
fn notice_json(notice: &SystemNotice) -> Vec<u8> {
    let timestamp = notice.at.to_rfc3339(Zone::UTC);
    let body =
        serde_json::json!({ "type": notice.kind, "timestamp": timestamp, "data": notice.data });
    body.to_string().into_bytes()
}

fn describe(failure: &CallFailure) -> &str {
    match failure {
        CallFailure::Unreachable(text) | CallFailure::Rubbish(text) => text,
        CallFailure::TimedOut => "no answer in time",
    }
}

/// One signed call.
async fn exchange(
    client: &Client,
    calling: &Calling,
    handle: &Handle,
    request: &PeerRequest,
    timeout_ms: u32,
) -> Result<PeerAnswer, CallFailure> {
    let limit = std::time::Duration::from_millis(timeout_ms.into());
    let slot = tokio::time::timeout(limit, client.slots.acquire()).await;
    let Ok(_slot) = slot else {
        return Err(CallFailure::TimedOut);
    };
    let encoded = encode_request(request);
    let below = match (client.partner.connector, request) {
        (true, PeerRequest::Dsp { path, .. }) => path,
        (true, _) => {
            let text =
                "a connector that is not Interlock takes messages of the Dataspace Protocol only";
            return Err(CallFailure::Unreachable(text.into()));
        }
        (false, _) => &encoded.target,
    };
    let uri = format!("{}{below}", client.partner.exchange_url);
    let uri: http::Uri = uri
        .parse()
        .map_err(|_| CallFailure::Unreachable(format!("`{uri}` is no address")))?;
    let mut id = [0; 16];
    SystemRng.fill(&mut id);
    // The path as it stands in the request line, with whatever the partner's base address adds.
    let path_and_query = uri.path_and_query().map_or("/", |path| path.as_str());
    let signed = token::sign(
        &calling.own.key(),
        &Request {
            issuer: calling.own.id(),
            audience: &client.partner.id,
            request_id: RequestId::from_bytes(id),
            method: if encoded.post { "POST" } else { "GET" },
            path_and_query,
            body: &encoded.body,
            issued_at: handle.now().earliest,
        },
    );
    let mut builder = http::Request::builder()
        .method(if encoded.post { "POST" } else { "GET" })
        .uri(uri)
        .header(AUTHORIZATION, format!("Bearer {signed}"));
    if encoded.post {
        builder = builder.header(CONTENT_TYPE, "application/json");
    }
    let http_request = builder
        .body(Full::new(Bytes::from(encoded.body)))
        .map_err(|error| CallFailure::Unreachable(error.to_string()))?;
    let answer = client
        .http
        .send(http_request, timeout_ms, BODY_SIZE_BYTES_MAX)
        .await
        .map_err(|failure| match failure {
            HttpFailure::Unreachable(text) => CallFailure::Unreachable(text),
            HttpFailure::TimedOut => CallFailure::TimedOut,
            HttpFailure::TooLarge => {
                CallFailure::Rubbish(format!("more than {BODY_SIZE_BYTES_MAX} bytes"))
            }
        })?;
    let parsed = parse_answer(request, answer.status, &answer.body);
    let mut parsed = parsed.map_err(CallFailure::Rubbish)?;
    if let PeerAnswer::Dsp { link, .. } = &mut parsed {
        *link = answer.link;
    }
    Ok(parsed)
}

/// One attempt to send a page to a connector. Redirects are not followed: only a 2xx takes it.
async fn send_page(
    client: &HttpClient,
    calling: &Calling,
    handle: &Handle,
    push: Push,
) -> Result<PeerAnswer, CallFailure> {
    let unreachable = |text: String| CallFailure::Unreachable(text);
    let created = handle.now().earliest;
    let body = page_json(&push.page, calling.own.id(), created, Zone::UTC).to_string();
    let key = format!("{}#{}", push.transfer, push.page.next.to_text());
    let mut builder = http::Request::builder()
        .method("POST")
        .uri(push.target.endpoint.as_str())
        .header(CONTENT_TYPE, "application/json")
        .header("idempotency-key", key);
    if let Some(authorization) = &push.target.authorization {
        builder = builder.header(AUTHORIZATION, authorization);
    }
    let request = builder
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| unreachable(error.to_string()))?;
    // Nobody waits for an answer of ours: what is voided is the page.
    if handle
        .may_leave(Some(&push.guard), ReplyId(0))
        .await
        .is_some()
    {
        return Err(unreachable(
            "the term had ended before it could leave".into(),
        ));
    }
    let answer = client
        .send(request, push.timeout_ms, GATEWAY_ANSWER_BYTES_MAX)
        .await
        .map_err(|failure| match failure {
            HttpFailure::Unreachable(text) => CallFailure::Unreachable(text),
            HttpFailure::TimedOut => CallFailure::TimedOut,
            HttpFailure::TooLarge => CallFailure::Rubbish("an answer that is too large".into()),
        })?;
    let status = answer.status;
    match status {
        200..=299 => Ok(PeerAnswer::Dsp {
            status,
            body: serde_json::Value::Null,
            link: None,
        }),
        _ => Err(CallFailure::Rubbish(format!("status `{status}`"))),
    }
}

/// The body that a gateway gets: `{id, to, text: {zh, en}}`.
fn message_json(message: &Message) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Text<'a> {
        zh: &'a str,
        en: &'a str,
    }
    #[derive(serde::Serialize)]
    struct Body<'a> {
        id: String,
        to: &'a Contact,
        text: Text<'a>,
    }
    let body = Body {
        id: message.id.to_string(),
        to: &message.to,
        text: Text {
            zh: &message.text_zh,
            en: &message.text_en,
        },
    };
    // Strings and an enum of strings: there is nothing that JSON could not hold.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// One attempt at the gateway. Failures name no content: it is personal data.
async fn post(
    client: &GatewayClient,
    handle: &Handle,
    id: MessageId,
    body: Vec<u8>,
) -> Result<(), DeliveryFailure> {
    let retry = DeliveryFailure::Retry;
    let _slot = client.slots.acquire().await;
    let id = id.to_string();
    let headers = client
        .gateway
        .secret
        .sign(&id, handle.now().latest, &body)
        .map_err(|error| retry(error.to_string()))?;
    let mut builder = http::Request::builder()
        .method("POST")
        .uri(client.gateway.url.clone())
        .header(CONTENT_TYPE, "application/json");
    for (name, value) in headers.pairs() {
        builder = builder.header(name, value);
    }
    let request = builder
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| retry(error.to_string()))?;
    let answer = client
        .http
        .send(request, DELIVERY_TIMEOUT_MS, GATEWAY_ANSWER_BYTES_MAX)
        .await
        .map_err(|failure| match failure {
            HttpFailure::Unreachable(text) => retry(text),
            HttpFailure::TimedOut => retry("no answer in time".into()),
            HttpFailure::TooLarge => retry("an answer that is too large".into()),
        })?;
    classify(answer.status)
}

/// What the gateway's status means: 408, 429 and whatever is neither success nor 4xx are worth another
/// try.
fn classify(status: u16) -> Result<(), DeliveryFailure> {
    match status {
        200..=299 => Ok(()),
        408 | 429 => Err(DeliveryFailure::Retry(format!("status `{status}`"))),
        400..=499 => Err(DeliveryFailure::Refused(format!("status `{status}`"))),
        _ => Err(DeliveryFailure::Retry(format!("status `{status}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_of_a_gateway() {
        for status in [200, 202, 204] {
            assert_eq!(classify(status), Ok(()));
        }
        for status in [301, 408, 429, 500, 502, 503] {
            assert!(matches!(classify(status), Err(DeliveryFailure::Retry(_))));
        }
        for status in [400, 401, 404, 410, 422] {
            assert!(matches!(classify(status), Err(DeliveryFailure::Refused(_))));
        }
    }

    #[test]
    fn the_body_for_our_own_systems_is_frozen() {
        let notice = SystemNotice {
            id: MessageId::from_bytes([1; 16]),
            kind: "agreement.ends",
            at: interlock_core::time::Timestamp::from_millis(1_496_246_400_000),
            data: serde_json::json!({ "parcels": 2 }),
        };
        expect_test::expect![[r#"{"data":{"parcels":2},"timestamp":"2017-05-31T16:00:00+00:00","type":"agreement.ends"}"#]]
            .assert_eq(&String::from_utf8(notice_json(&notice)).unwrap());
    }

    #[test]
    fn the_body_for_a_gateway_is_frozen() {
        let message = Message {
            id: MessageId::from_bytes([1; 16]),
            to: Contact::Full {
                phone: "+8613800000000".into(),
            },
            text_zh: "您的包裹".into(),
            text_en: "your parcel".into(),
            attempt: 1,
        };
        expect_test::expect![[r#"{"id":"01010101010101010101010101010101","to":{"full":{"phone":"+8613800000000"}},"text":{"zh":"您的包裹","en":"your parcel"}}"#]]
            .assert_eq(&String::from_utf8(message_json(&message)).unwrap());
    }
}
