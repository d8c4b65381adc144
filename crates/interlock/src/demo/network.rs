//! The seven nodes: each with its directory, keys and ports, in one process, under one clock.
//!
//! INVARIANT: a node is the same program that `interlock run` starts; only the clock is the demo's. It
//! does not know what the nodes are asked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use hyper::body::Bytes;
use interlock_core::ids::{Marketplace, ParticipantId};
use interlock_core::time::{DAY_MS, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::api::{Api, Http};
use super::cast::{Seven, Who};
use super::error::DemoError;
use super::gateway::Gateway;
use super::parcels::{DemoCarrier, DemoMarketplace};
use super::style::Style;
use crate::driver::activity::Activity;
use crate::driver::clock::ManualClock;
use crate::driver::desk::{self, Publisher};
use crate::driver::entropy::{PooledRng, SystemRng};
use crate::driver::exchange_door::{Gate, WellKnown};
use crate::driver::listen::Listener;
use crate::driver::node::{JOURNAL_DIR, Opened, open};
use crate::driver::outlet::{Calling, Gateway as Outlet, Hooks};
use crate::driver::public_door;
use crate::driver::seams::Store as _;
use crate::driver::server::{Door, Parts, Server};
use crate::driver::writer::IDLE_GROUP_WAIT;
use crate::evidence::Exporter;
use crate::identity::api_key::{API_KEY_RANDOM_BYTES, ApiKey};
use crate::identity::keys::NodeKey;
use crate::identity::own::OwnIdentity;
use crate::identity::tls::Trust;
use crate::identity::token::scheme::Scheme;
use crate::identity::transfer_token::TransferTokens;
use crate::identity::url::BaseUrl;
use crate::local_api;
use crate::node::io::Role;
use crate::node::record::Record;
use crate::node::{NodeConfig, Rng as _};
use crate::notify::WebhookSecret;

/// How long a parcel may lie in a locker here. Longer than in life, so that recorded recipients who
/// came late are not sent reminders: the demo counts one message for each deposit.
const PICKUP_PERIOD_MS: i64 = 6 * DAY_MS;
/// The number behind which recipients' own are hidden.
const VIRTUAL_NUMBER: &str = "+8695000000";
/// The number behind which couriers' own are hidden.
const COURIER_NUMBER: &str = "+8695000001";
/// How long the nodes may take to come to rest, in milliseconds of the machine's clock.
const REST_TIMEOUT_MS: u64 = 120_000;
/// How long is slept between two looks whether they have.
const REST_LOOK: Duration = Duration::from_micros(100);
/// How often in a row rest is looked for without sleeping.
const SPINS: u32 = 50;

/// What a node is opened with, again and again.
pub struct Deed {
    /// Its directory.
    pub directory: PathBuf,
    /// Its signing key.
    pub key: NodeKey,
    /// The key under which content keys lie.
    pub master: Zeroizing<[u8; 32]>,
    /// What it is told about itself.
    pub config: NodeConfig,
}

/// A running node.
pub struct Member {
    /// What it was opened with.
    pub deed: Deed,
    /// Its local API, with an administrator's key.
    pub api: Api,
    /// That key, for people who want to call the API themselves.
    pub admin: ApiKey,
    /// Its doors.
    pub server: Server,
}

/// All nodes and what they share.
pub struct Network {
    /// The nodes.
    pub nodes: Seven<Member>,
    /// Their clock.
    pub clock: Arc<ManualClock>,
    /// The outbox.
    pub gateway: Gateway,
    /// The demo's own connections.
    pub http: Http,
    /// What its participants agree on.
    pub style: Style,
    activity: Activity,
}

struct Shared<'a> {
    root: &'a Path,
    clock: Arc<ManualClock>,
    activity: Activity,
    gateway: SocketAddr,
    secret: WebhookSecret,
    http: Http,
}

impl Network {
    /// Starts the nodes under `root`, at `at`, and makes them partners of each other.
    ///
    /// # Errors
    /// [`DemoError`]; what was started is stopped when it is dropped.
    pub async fn start(root: &Path, at: Timestamp, style: Style) -> Result<Self, DemoError> {
        let clock = Arc::new(ManualClock::new(at));
        let secret = WebhookSecret::parse(&webhook_secret())
            .map_err(DemoError::own("a secret for the gateway"))?;
        let gateway = Gateway::new(clock.clone(), secret.clone());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.map_err(DemoError::Listen)?;
        let address = listener.local_addr().map_err(DemoError::Listen)?;
        let router = gateway.router();
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the demo's gateway has ended");
            }
        });
        let shared = Shared {
            root,
            clock: clock.clone(),
            activity: Activity::new(),
            gateway: address,
            secret,
            http: Http::new(),
        };
        let nodes = Seven::make(async |who| start_node(who, &shared).await).await?;
        let network = Self {
            nodes,
            clock,
            gateway,
            http: shared.http.clone(),
            style,
            activity: shared.activity,
        };
        network.introduce().await?;
        Ok(network)
    }

    /// A node's local API.
    pub const fn api(&self, who: Who) -> &Api {
        &self.nodes.of(who).api
    }

    /// Every node lists every other.
    async fn introduce(&self) -> Result<(), DemoError> {
        for (who, member) in self.nodes.iter() {
            for (other, partner) in self.nodes.iter().filter(|(other, _)| *other != who) {
                let body = as_partner(other, partner, other.name())?;
                member.api.post("/partners", &body).await?;
            }
        }
        Ok(())
    }

    /// Every node takes every other off its list and lists it again under another name.
    ///
    /// # Errors
    /// [`DemoError`], for a name that a node does not take too.
    pub async fn rename(&self, name: impl Fn(Who) -> String) -> Result<(), DemoError> {
        for (who, member) in self.nodes.iter() {
            for (other, partner) in self.nodes.iter().filter(|(other, _)| *other != who) {
                let path = format!("/partners/{}", id_of(other)?.as_str());
                member.api.write(Method::DELETE, &path, None).await?;
                let body = as_partner(other, partner, &name(other))?;
                member.api.post("/partners", &body).await?;
            }
        }
        self.rest().await
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        use crate::driver::clock::Clock as _;
        self.clock.now().earliest
    }

    /// Moves the clock and waits until everything that follows has happened.
    ///
    /// # Errors
    /// [`DemoError::Restless`].
    pub async fn advance(&self, to: Timestamp) -> Result<(), DemoError> {
        self.clock.set(to);
        self.rest().await
    }

    /// Waits until nothing is under way in any node.
    ///
    /// # Errors
    /// [`DemoError::Restless`] after two minutes.
    pub async fn rest(&self) -> Result<(), DemoError> {
        let limit = Duration::from_millis(REST_TIMEOUT_MS);
        let rest = async {
            let mut spins = 0;
            while self.activity.busy(self.now()) {
                spins += 1;
                if spins < SPINS {
                    tokio::task::yield_now().await;
                } else {
                    // The runtime's own sleep is a millisecond at least: too long, thousands of times.
                    tokio::task::block_in_place(|| std::thread::sleep(REST_LOOK));
                    tokio::task::yield_now().await;
                }
            }
        };
        let rested = tokio::time::timeout(limit, rest).await;
        rested.map_err(|_| DemoError::Restless("the network"))
    }

    /// Stops the nodes.
    pub async fn stop(self) {
        for (who, member) in self.nodes.take_all() {
            if let Err(error) = member.server.stop().await {
                tracing::error!(participant = who.key(), %error, "a node ended badly");
            }
        }
    }
}

fn random<const N: usize>() -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    SystemRng.fill(bytes.as_mut());
    bytes
}

fn webhook_secret() -> Zeroizing<String> {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(random::<32>().as_slice());
    Zeroizing::new(format!("whsec_{encoded}"))
}

fn loopback() -> Result<(Listener, String), DemoError> {
    let listener = Listener::bind(([127, 0, 0, 1], 0).into(), None).map_err(DemoError::Listen)?;
    let address = listener.address().map_err(DemoError::Listen)?;
    Ok((listener, format!("http://{address}")))
}

async fn start_node(who: Who, shared: &Shared<'_>) -> Result<Member, DemoError> {
    let (exchange, exchange_url) = loopback()?;
    let (local, local_url) = loopback()?;
    let (public, public_url) = loopback()?;
    let deed = deed(who, shared.root, &exchange_url, &public_url)?;
    let opened = open(
        &deed.directory,
        deed.config.clone(),
        &deed.key,
        deed.master.clone(),
    );
    let mut opened = opened.map_err(|source| DemoError::Open { who, source })?;
    let admin = ApiKey::generate(&random::<API_KEY_RANDOM_BYTES>());
    let record = Record::ApiKey {
        name: "demo".into(),
        role: Role::Admin,
        digest: Sha256::digest(admin.reveal().as_bytes()).into(),
    };
    let now = {
        use crate::driver::clock::Clock as _;
        shared.clock.now().earliest
    };
    enter(&mut opened, who, &deed, now, record)?;
    let parts = parts(who, opened, &deed, shared, [exchange, local, public])?;
    let server = Server::start(parts).await;
    let server = server.map_err(|source| DemoError::Start { who, source })?;
    let base = format!("{local_url}{}", local_api::BASE);
    Ok(Member {
        api: Api::new(who, shared.http.clone(), base, admin.reveal())?,
        deed,
        admin,
        server,
    })
}

/// Puts the administrator's key on record before the node starts, as `interlock init` does.
fn enter(
    opened: &mut Opened,
    who: Who,
    deed: &Deed,
    now: Timestamp,
    record: Record,
) -> Result<(), DemoError> {
    struct NoKeys;
    impl crate::node::ContentKeys for NoKeys {
        fn get(&self, _: u32, _: u32) -> Option<[u8; 32]> {
            None
        }
    }
    let replayed = opened.node.replay(now, &record, &NoKeys);
    replayed.map_err(|error| DemoError::Journal {
        who,
        reason: error.to_string(),
    })?;
    let steps = [vec![(now, Box::new(record))]];
    let appended = opened.store.append(&steps);
    appended.map_err(DemoError::files(&deed.directory))?;
    opened.journal_time = Some(now);
    Ok(())
}

fn deed(who: Who, root: &Path, exchange_url: &str, public_url: &str) -> Result<Deed, DemoError> {
    let id = id_of(who)?;
    let mut config = NodeConfig::new(id, who.name(), vec![who.role()]);
    let marketplaces = who.marketplace().map(|m| Marketplace::parse(m.as_str()));
    config.marketplaces = marketplaces
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(DemoError::own("a marketplace"))?;
    config.exchange_url = exchange_url.into();
    config.public_url = public_url.into();
    config.pickup_period_ms = PICKUP_PERIOD_MS;
    config.poll_wait_ms = crate::exchange::wire::POLL_WAIT_MS_MAX;
    // Its key is in no file.
    config.keeps_key = false;
    config.virtual_number = who.marketplace().map(|_| VIRTUAL_NUMBER.into());
    config.courier_number = Who::OPERATORS.contains(&who).then(|| COURIER_NUMBER.into());
    Ok(Deed {
        directory: root.join(who.key()),
        key: NodeKey::from_seed(&random()),
        master: random(),
        config,
    })
}

pub(super) fn id_of(who: Who) -> Result<ParticipantId, DemoError> {
    who.id().map_err(DemoError::own("a participant's id"))
}

fn parts(
    who: Who,
    opened: Opened,
    deed: &Deed,
    shared: &Shared<'_>,
    [exchange, local, public]: [Listener; 3],
) -> Result<Parts<crate::node::Node, crate::driver::file_store::FileStore>, DemoError> {
    let url = format!("http://{}/{}", shared.gateway, who.key());
    let gateway = Outlet {
        url: url
            .parse()
            .map_err(DemoError::own("the gateway's address"))?,
        secret: shared.secret.clone(),
        allow_loopback: true,
        tls: None,
    };
    let id = deed.config.id.clone();
    let base = BaseUrl::parse(&deed.config.exchange_url)
        .map_err(DemoError::own("an address of a node"))?;
    let own = Arc::new(OwnIdentity::new(id.clone(), base, deed.key.clone()));
    let name = who.name();
    let exporter = exporter(deed, own.clone(), shared);
    let publisher = publisher(who, deed);
    Ok(Parts {
        machine: opened.node,
        store: opened.store,
        journal_time: opened.journal_time,
        idle_group_wait: IDLE_GROUP_WAIT,
        clock: shared.clock.clone(),
        rng: Box::new(PooledRng::new()),
        activity: shared.activity.clone(),
        journal: deed.directory.join(JOURNAL_DIR),
        calling: Calling {
            own: own.clone(),
            trust: Trust::default(),
            plain_anywhere: false,
            allow_loopback_callbacks: false,
        },
        hooks: Hooks {
            gateway: Some(gateway),
            systems: None,
        },
        gate: Gate {
            id,
            scheme: Scheme::default(),
            tokens: TransferTokens::from_seed(&deed.key.signing_key().to_bytes()),
            leeway_ms: 1_000,
            base_path: String::new(),
            well_known: WellKnown {
                dspace_version: Bytes::from_static(
                    b"{\"protocolVersions\":[{\"version\":\"2025-1\",\"path\":\"/dsp\",\"binding\":\"HTTPS\"}]}",
                ),
                did: own,
            },
        },
        exchange,
        local: Some(Door {
            listener: local,
            routes: Box::new(move |handle| desk::with_api(handle, exporter, publisher)),
        }),
        public: Some(Door {
            listener: public,
            routes: Box::new(move |handle| public_door::router(handle, name)),
        }),
        metrics: None,
    })
}

fn publisher(who: Who, deed: &Deed) -> Publisher {
    Publisher {
        id: deed.config.id.clone(),
        name: who.name().into(),
        zone: deed.config.zone,
        tls: false,
    }
}

/// Reads the evidence of a node from its journal.
fn exporter(deed: &Deed, own: Arc<OwnIdentity>, shared: &Shared<'_>) -> Arc<Exporter> {
    Arc::new(Exporter {
        journal: deed.directory.join(JOURNAL_DIR),
        own,
        zone: deed.config.zone,
        clock: shared.clock.clone(),
    })
}

/// The body of `POST /partners`.
fn as_partner(who: Who, member: &Member, name: &str) -> Result<Value, DemoError> {
    let marketplaces: Vec<&str> = who
        .marketplace()
        .map(DemoMarketplace::as_str)
        .into_iter()
        .collect();
    let carriers: Vec<&str> = who.carrier().map(DemoCarrier::as_str).into_iter().collect();
    Ok(json!({
        "id": id_of(who)?.as_str(),
        "name": name,
        "roles": [who.role().as_str()],
        "exchangeUrl": member.deed.config.exchange_url,
        "key": member.deed.key.public().to_multibase(),
        "marketplaces": marketplaces,
        "carriers": carriers,
    }))
}
