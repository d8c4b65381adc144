//! `interlock run`: one node from its configuration, until it is told to stop.
//!
//! Purpose: put together what the driver needs from files, and nothing else. Invariants: what the
//! configuration says of partners and offers is on record before the node starts; the process ends
//! with a failure if the writer does. It does not know what a node does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::body::Bytes;
use interlock_core::terms::{check_combination, parse_policy};
use interlock_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};
use zeroize::Zeroizing;

use crate::backup::{self, Places, RESTORED_NAME, STARTED_NAME};
use crate::config::{Config, GatewayConfig, OfferConfig, PolicySource};
use crate::driver::activity::Activity;
use crate::driver::clock::{Clock, SystemClock};
use crate::driver::desk::{self, Publisher};
use crate::driver::entropy::PooledRng;
use crate::driver::exchange_door::{Gate, WellKnown};
use crate::driver::file_store::FileStore;
use crate::driver::key_files::{KeyFiles, KeyFilesError};
use crate::driver::listen::Listener;
use crate::driver::node::{self, JOURNAL_DIR, Opened, open_derived};
use crate::driver::outlet::{Calling, Gateway, Hooks};
use crate::driver::seams::Store as _;
use crate::driver::server::{Addresses, Door, Parts, Server};
use crate::driver::writer::IDLE_GROUP_WAIT;
use crate::driver::{open_files, public_door};
use crate::dsp::version::Versions;
use crate::evidence::Exporter;
use crate::exchange::http::DSP_BASE;
use crate::identity::derived::Derived;
use crate::identity::keys::NodeKey;
use crate::identity::own::OwnIdentity;
use crate::identity::partner::Partner;
use crate::identity::private_file;
use crate::identity::tls::{self, Trust};
use crate::identity::token::scheme::{Scheme, StaticTokens};
use crate::identity::transfer_token::TransferTokens;
use crate::node::agreements::Offer;
use crate::node::agreements::approver::Approver;
use crate::node::cipher::Cipher;
use crate::node::io::{Digest, Role};
use crate::node::record::{AlertKind, Record};
use crate::node::state::State;
use crate::node::{ContentKeys, Node, NodeConfig};

/// How far the machine's own clock may be off, in milliseconds: the width of every instant.
const CLOCK_UNCERTAINTY_MS: u32 = 5;

/// Why a node does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file is missing or wrong.
    #[error("{0}")]
    Configuration(String),
    /// The node could not be opened or started, or its writer ended.
    #[error("{0}")]
    Failed(String),
}

fn configuration(what: &str, error: impl std::fmt::Display) -> RunError {
    RunError::Configuration(format!("{what}: {error}"))
}

fn failed(error: impl std::fmt::Display) -> RunError {
    RunError::Failed(error.to_string())
}

/// What a node is started with beside its configuration. The program that ships adds nothing.
#[derive(Default)]
pub struct Beside {
    /// Another approver than the one that ships.
    pub approver: Option<Box<dyn Approver>>,
    /// Records that a new journal begins with.
    pub records: Vec<Record>,
    /// Another cipher for personal data than the one that ships.
    pub cipher: Option<&'static dyn Cipher>,
}

/// Runs the node until SIGINT or SIGTERM. Its doors' addresses go to `started`.
///
/// # Errors
/// [`RunError`].
pub fn run(config: &Config, started: impl FnOnce(&Addresses)) -> Result<(), RunError> {
    run_beside(config, Beside::default(), |server| {
        started(&server.addresses);
    })
}

/// The same with something beside its configuration; `started` gets the running node.
///
/// # Errors
/// [`RunError`].
pub fn run_beside(
    config: &Config,
    beside: Beside,
    started: impl FnOnce(&Server),
) -> Result<(), RunError> {
    open_files::raise();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        let mut server = start(config, beside).await?;
        started(&server);
        tokio::select! {
            error = server.ended() => Err(failed(error)),
            () = told_to_stop() => server.stop().await.map_err(failed),
        }
    })
}

/// Starts the node in this process, within a runtime; whoever starts it stops it.
///
/// # Errors
/// [`RunError`].
pub async fn start(config: &Config, beside: Beside) -> Result<Server, RunError> {
    Server::start(parts(config, beside)?).await.map_err(failed)
}

/// Resolves at SIGINT or SIGTERM.
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be waited for; stop the node with SIGINT");
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Opens the node where its memory is whole, and enters what the configuration says.
fn open_whole(
    config: &Config,
    beside: Beside,
    now: Timestamp,
) -> Result<(Opened, NodeKey), RunError> {
    let places = Places {
        config: PathBuf::new(),
        key: config.participant.key_file.clone(),
        store: config.store.dir.clone(),
    };
    if backup::journal_is_missing(&places) {
        return Err(RunError::Configuration(format!(
            "this node has run before, and its journal in `{}` is gone; restore a backup with `interlock restore`, \
             or make another node with `interlock init`: a node without its memory would contradict its own logs",
            config.store.dir.display()
        )));
    }
    let master = master_key(config)?;
    let files = KeyFiles::beside(config.participant.key_file.clone());
    let key = signing_key(config)?;
    let derived = files.derived(&key).map_err(wrong_key)?;
    let mut told = node_config(config);
    if let Some(cipher) = beside.cipher {
        told.cipher = cipher;
    }
    let mut opened =
        open_derived(&config.store.dir, told, &key, &derived, master).map_err(failed)?;
    let state = opened.node.state();
    let rotations = state.rotations_of(&state.me).iter();
    let earlier: Vec<[u8; 32]> = rotations.map(|(_, rotation)| rotation.old_key).collect();
    let key = files.in_use(state.own_key(), &earlier).map_err(wrong_key)?;
    opened.node.use_key(&key);
    opened.store = opened.store.with_key_files(files);
    let now = now.max(opened.journal_time.unwrap_or_default());
    if let Some(approver) = beside.approver {
        opened.node = opened.node.with_approver(approver);
    }
    enter(&mut opened, config, beside.records, now)?;
    let started = places.key.with_file_name(STARTED_NAME);
    if !started.exists() {
        private_file::create(&started, "")
            .map_err(|error| configuration("failed to note that the node has started", error))?;
    }
    Ok((opened, key))
}

fn wrong_key(error: KeyFilesError) -> RunError {
    RunError::Configuration(error.to_string())
}

/// Throws away what is derived from the journal of a node that does not run, and makes it anew.
/// `progress` is told how many records were replayed; returned is how many there are.
///
/// # Errors
/// [`RunError`].
pub fn rebuild(config: &Config, progress: &mut dyn FnMut(u64)) -> Result<u64, RunError> {
    let key = signing_key(config)?;
    let master = master_key(config)?;
    let derived = KeyFiles::beside(config.participant.key_file.clone()).derived(&key);
    let derived = derived.map_err(wrong_key)?;
    let dir = &config.store.dir;
    node::rebuild(dir, &node_config(config), &key, &derived, master, progress).map_err(failed)
}

fn parts(config: &Config, beside: Beside) -> Result<Parts<Node, FileStore>, RunError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::with_limit(
        CLOCK_UNCERTAINTY_MS,
        i64::from(config.limits.clock_limit_ms),
    ));
    let (opened, key) = open_whole(config, beside, clock.now().latest)?;
    let derived = KeyFiles::beside(config.participant.key_file.clone()).derived(&key);
    let tokens = TransferTokens::from_derived(&derived.map_err(wrong_key)?);
    let id = config.participant.id.clone();
    let name = config.participant.name.clone();
    let url = config.listen.exchange_url.clone();
    let own = Arc::new(OwnIdentity::new(id.clone(), url, key));
    let version = Versions::of_node(DSP_BASE).to_json();
    let exporter = Arc::new(Exporter {
        journal: config.store.dir.join(JOURNAL_DIR),
        own: own.clone(),
        zone: config.participant.zone,
        clock: clock.clone(),
    });
    let publisher = Publisher {
        id: id.clone(),
        name: name.clone(),
        zone: config.participant.zone,
        tls: config.listen.local.tls,
    };
    Ok(Parts {
        machine: opened.node,
        store: opened.store,
        journal_time: opened.journal_time,
        idle_group_wait: IDLE_GROUP_WAIT,
        clock,
        rng: Box::new(PooledRng::new()),
        activity: Activity::new(),
        journal: config.store.dir.join(JOURNAL_DIR),
        calling: Calling {
            own: own.clone(),
            trust: authorities(config)?,
            plain_anywhere: config.listen.allow_plain_http_beyond_loopback,
            allow_loopback_callbacks: config.listen.allow_loopback_callbacks,
        },
        hooks: Hooks {
            gateway: gateway(config)?,
            systems: systems(config)?,
        },
        gate: Gate {
            id,
            scheme: scheme(config)?,
            tokens,
            leeway_ms: i64::from(config.limits.clock_leeway_ms),
            base_path: String::new(),
            well_known: WellKnown {
                dspace_version: Bytes::from(version.to_string()),
                did: own,
            },
        },
        exchange: listener(config, config.listen.exchange)?,
        local: Some(Door {
            listener: listener(config, config.listen.local)?,
            routes: Box::new(move |handle| desk::with_api(handle, exporter, publisher)),
        }),
        public: Some(Door {
            listener: listener(config, config.listen.public)?,
            routes: Box::new(move |handle| public_door::router(handle, &name)),
        }),
        metrics: Some(listener(config, config.listen.metrics)?),
    })
}

/// The node's signing key.
///
/// # Errors
/// [`RunError::Configuration`].
pub fn signing_key(config: &Config) -> Result<NodeKey, RunError> {
    NodeKey::read(&config.participant.key_file)
        .map_err(|error| configuration("failed to read the signing key", error))
}

/// The key under which the keys of personal data are kept.
///
/// # Errors
/// [`RunError::Configuration`].
pub fn master_key(config: &Config) -> Result<Zeroizing<[u8; 32]>, RunError> {
    let source = &config.participant.master_key;
    source
        .read(&config.participant.key_file, |name| {
            std::env::var(name).ok()
        })
        .map_err(|error| RunError::Configuration(error.to_string()))
}

/// A node of this configuration into which nothing has been replayed.
pub fn empty_node(config: &Config, key: &NodeKey) -> Node {
    let derived = KeyFiles::beside(config.participant.key_file.clone()).derived(key);
    let derived = derived.unwrap_or_else(|_| Derived::from_seed(&key.signing_key().to_bytes()));
    Node::with_derived(node_config(config), key.signing_key().clone(), &derived)
}

fn node_config(config: &Config) -> NodeConfig {
    let participant = &config.participant;
    NodeConfig {
        marketplaces: participant.marketplaces.clone(),
        zone: participant.zone,
        public_url: config
            .listen
            .public_url
            .as_str()
            .trim_end_matches('/')
            .into(),
        exchange_url: config
            .listen
            .exchange_url
            .as_str()
            .trim_end_matches('/')
            .into(),
        virtual_number: config
            .notify
            .virtual_number
            .as_ref()
            .map(|p| p.reveal().into()),
        virtual_pool: config.notify.virtual_pool,
        virtual_callers: config.notify.virtual_callers.clone(),
        courier_number: config
            .notify
            .courier_number
            .as_ref()
            .map(|p| p.reveal().into()),
        messenger: config.notify.messenger.clone(),
        pickup_period_ms: i64::from(config.locker.pickup_hours) * HOUR_MS,
        extension_ms: i64::from(config.locker.extension_hours) * HOUR_MS,
        reservation_ms: i64::from(config.locker.reservation_minutes) * MINUTE_MS,
        slow_partner_ms: i64::from(config.limits.partner_answer_ms_max),
        closing_guard_ms: i64::from(config.limits.closing_ms),
        clock_limit_ms: i64::from(config.limits.clock_limit_ms),
        poll_wait_ms: config.limits.poll_wait_ms,
        anchor_every_ms: Some(i64::from(config.limits.anchor_minutes) * MINUTE_MS),
        transfer_token_ms: i64::from(config.limits.transfer_token_minutes) * MINUTE_MS,
        unreceipted_per_day: config.limits.unreceipted_items_per_day,
        allow_loopback_callbacks: config.listen.allow_loopback_callbacks,
        approvals_min: usize::try_from(config.limits.approvals_min).unwrap_or(usize::MAX),
        proposal_life_ms: i64::from(config.limits.proposal_days) * DAY_MS,
        recipient_kept_ms: i64::from(config.limits.recipient_kept_days) * DAY_MS,
        contact_kept_ms: i64::from(config.limits.contact_kept_days) * DAY_MS,
        courier_kept_ms: i64::from(config.limits.courier_kept_days) * DAY_MS,
        plain_http_anywhere: config.listen.allow_plain_http_beyond_loopback,
        has_gateway: config.notify.gateway.is_some(),
        ..NodeConfig::new(
            participant.id.clone(),
            &participant.name,
            participant.roles.clone(),
        )
    }
}

fn listener(config: &Config, door: crate::config::Door) -> Result<Listener, RunError> {
    let tls = match (&config.tls.server, door.tls) {
        (Some(files), true) => Some(
            tls::server_config(&files.certificate_file, &files.key_file)
                .map_err(|error| configuration("failed to use the certificate", error))?,
        ),
        (Some(_) | None, _) => None,
    };
    Listener::bind(door.address, tls).map_err(|error| {
        RunError::Failed(format!(
            "failed to listen on `{}`: {error}; is another node running there?",
            door.address
        ))
    })
}

/// Signed tokens; beside them the fixed ones of a laboratory, where the configuration says so.
fn scheme(config: &Config) -> Result<Scheme, RunError> {
    let mut tokens = StaticTokens::default();
    let mut any = false;
    for listed in &config.partners {
        let Some(secret) = &listed.static_token else {
            continue;
        };
        let id = &listed.partner.id;
        let token = secret
            .read(|name| std::env::var(name).ok())
            .map_err(|error| configuration("failed to read a fixed token", error))?;
        tokens = tokens.with(id.clone(), &token);
        any = true;
        tracing::warn!(partner = %id, "LABORATORY: a fixed token counts as this partner; it proves neither sender nor content");
    }
    if any && config.listen.allow_static_tokens_for_laboratory {
        return Ok(Scheme::Static(tokens));
    }
    if config.listen.allow_static_tokens_for_laboratory {
        tracing::warn!(
            "LABORATORY: `allow_static_tokens_for_laboratory` is set and no partner has a fixed token; take it out"
        );
    }
    Ok(Scheme::Signed)
}

fn authorities(config: &Config) -> Result<Trust, RunError> {
    let read = config
        .tls
        .ca_file
        .as_ref()
        .map(|file| tls::read_certificates(file));
    let authorities = read
        .transpose()
        .map_err(|error| configuration("failed to read the authorities", error))?;
    Ok(Trust {
        pins: Vec::new(),
        authorities: authorities.unwrap_or_default(),
    })
}

fn gateway(config: &Config) -> Result<Option<Gateway>, RunError> {
    let Some(gateway) = &config.notify.gateway else {
        tracing::warn!(
            "no `gateway_url` in `[notify]`: no door opens for a parcel whose recipient we would tell"
        );
        return Ok(None);
    };
    webhook(config, gateway).map(Some)
}

/// Where our own systems are told of what they should know.
fn systems(config: &Config) -> Result<Option<Gateway>, RunError> {
    let systems = config.notify.systems.as_ref();
    systems.map(|systems| webhook(config, systems)).transpose()
}

fn webhook(config: &Config, gateway: &GatewayConfig) -> Result<Gateway, RunError> {
    let text = gateway
        .secret
        .read(|name| std::env::var(name).ok())
        .map_err(|error| configuration("failed to read the secret of a webhook", error))?;
    let secret = crate::notify::WebhookSecret::parse(&text)
        .map_err(|error| configuration("failed to use the secret of a webhook", error))?;
    let url = gateway
        .url
        .as_str()
        .parse()
        .map_err(|error| configuration("the address of a webhook", error))?;
    let tls = match gateway.url.is_https() {
        true => Some(
            tls::client_config(&authorities(config)?)
                .map_err(|error| configuration("failed to set up TLS for a webhook", error))?,
        ),
        false => None,
    };
    Ok(Gateway {
        url,
        secret,
        allow_loopback: gateway.url.is_loopback(),
        tls,
    })
}

/// Puts the first admin key, partners and offers on record where they are new, and `first` at the
/// beginning of a new journal.
fn enter(
    opened: &mut Opened,
    config: &Config,
    first: Vec<Record>,
    now: Timestamp,
) -> Result<(), RunError> {
    struct NoKeys;
    impl ContentKeys for NoKeys {
        fn get(&self, _: u32, _: u32) -> Option<[u8; 32]> {
            None
        }
    }
    let mut records = Vec::new();
    let state = opened.node.state();
    let is_new = state.api_keys.is_empty();
    if is_new {
        let digest: Digest =
            *hex_file(&config.participant.key_file.with_file_name("admin.sha256"))?;
        records.push(Record::ApiKey {
            name: "admin".into(),
            role: Role::Admin,
            digest,
        });
    }
    records.extend(listed_partners(state, config)?);
    for listed in &config.offers {
        let offer = offer(listed)?;
        if state.book.offers.get(&offer.id) != Some(&offer) {
            records.push(Record::Offer(Box::new(offer)));
        }
    }
    if is_new {
        records.extend(first);
    }
    let restored = config.participant.key_file.with_file_name(RESTORED_NAME);
    if restored.exists() {
        records.extend(restored_from(&restored)?);
    }
    let mut steps = Vec::with_capacity(records.len());
    for record in records {
        opened.node.replay(now, &record, &NoKeys).map_err(failed)?;
        steps.push(vec![(now, Box::new(record))]);
    }
    if !steps.is_empty() {
        opened.store.append(&steps).map_err(failed)?;
        opened.journal_time = Some(now);
    }
    if restored.exists() {
        std::fs::remove_file(&restored).map_err(failed)?;
    }
    Ok(())
}

/// Partners of the configuration that are new, or listed otherwise than before.
fn listed_partners(state: &State, config: &Config) -> Result<Vec<Record>, RunError> {
    let mut records = Vec::new();
    for listed in config.partners.iter().map(|listed| &listed.partner) {
        match state.partners.get(&listed.id) {
            // The configuration names a key that the partner has rotated since: all else of it counts.
            Some(known) if state.was_key_of(&listed.id, listed.key.as_bytes()) => {
                let listed = Partner {
                    key: known.key,
                    ..listed.clone()
                };
                if *known != listed {
                    records.push(Record::Partner(Box::new(listed)));
                }
            }
            Some(known) if known.key != listed.key => {
                return Err(RunError::Configuration(format!(
                    "`{}` is pinned with another key than in the configuration; remove the partner first \
                     if its key was lost",
                    listed.id
                )));
            }
            Some(known) if known == listed => {}
            Some(_) | None => records.push(Record::Partner(Box::new(listed.clone()))),
        }
    }
    Ok(records)
}

/// What a node that was restored says before anything else: its logs may have gone on beyond the copy.
fn restored_from(note: &Path) -> Result<[Record; 2], RunError> {
    let made_at = private_file::read(note)
        .map_err(|error| configuration("failed to read when the backup was made", error))?;
    let reason = format!("it was restored from a backup made at {}", made_at.trim());
    let detail = format!("this node: {reason}; its logs go on in new epochs");
    let alert = Record::Alert {
        kind: AlertKind::RolledBack,
        parcel: None,
        partner: None,
        detail,
    };
    let shown_by = None;
    Ok([Record::RolledBack { shown_by, reason }, alert])
}

fn offer(listed: &OfferConfig) -> Result<Offer, RunError> {
    let what = format!("offer `{}`", listed.id);
    let policy = match &listed.policy {
        PolicySource::Inline(policy) => policy.clone(),
        PolicySource::File(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|error| configuration(&what, error))?;
            serde_json::from_str(&text).map_err(|error| configuration(&what, error))?
        }
    };
    let join = |errors: Vec<String>| configuration(&what, errors.join("; "));
    let terms = parse_policy(&policy, listed.dataset)
        .map_err(|errors| join(errors.iter().map(ToString::to_string).collect()))?;
    check_combination(&terms)
        .map_err(|errors| join(errors.iter().map(ToString::to_string).collect()))?;
    Ok(Offer {
        id: listed.id.clone(),
        target: terms.dataset.into(),
        terms,
        audience: listed.audience.clone(),
        auto_accept: listed.auto_accept,
    })
}

/// 32 bytes in hexadecimal digits, from a file that only we may read.
fn hex_file(path: &Path) -> Result<Zeroizing<[u8; 32]>, RunError> {
    let shown = path.display();
    let text = private_file::read(path)
        .map_err(|error| RunError::Configuration(format!("{error}; `interlock init` makes it")))?;
    let bytes = crate::node::parse_hex32(text.trim()).ok_or_else(|| {
        RunError::Configuration(format!(
            "`{shown}` does not hold 64 hexadecimal digits; restore it"
        ))
    })?;
    Ok(Zeroizing::new(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use interlock_core::ids::ParticipantId;

    use super::*;
    use crate::identity::private_file::tests::Scratch;
    use crate::identity::token::{Expected, TokenError};

    /// A node with one partner, and what stands in `[listen]` and at the partner beside the rest.
    fn configured(scratch: &Scratch, listen: &str, partner: &str) -> Config {
        let key = NodeKey::from_seed(&[2; 32]).public().to_multibase();
        let text = format!(
            "[participant]\nid = \"did:web:fengchao.example\"\nname = \"Fengchao\"\n\
             roles = [\"locker-operator\"]\n[listen]\n{listen}\n[[partner]]\n\
             id = \"did:web:cainiao.example\"\nname = \"Cainiao\"\nroles = [\"platform\"]\n\
             exchange_url = \"https://node.cainiao.example\"\nkey = \"{key}\"\n{partner}\n"
        );
        let mut config = Config::parse(&text).expect("a configuration");
        config.resolve_paths(&scratch.0);
        config
    }

    fn whose(scheme: &Scheme, header: &str) -> Result<ParticipantId, TokenError> {
        let us = ParticipantId::parse("did:web:fengchao.example").expect("an id");
        let expected = Expected {
            audience: &us,
            method: "GET",
            path_and_query: "/",
            now: Timestamp::from_millis(1_000),
            leeway_ms: 0,
            started_at: Timestamp::from_millis(0),
        };
        let caller = scheme.authenticate(Some(header), &expected, |_| None)?;
        Ok(caller.partner().clone())
    }

    const ALLOWED: &str = "allow_static_tokens_for_laboratory = true";
    const TOKEN: &str = "static_token_file = \"kit.token\"";

    #[test]
    fn a_fixed_token_counts_where_the_configuration_says_so_and_for_its_partner_alone() {
        let scratch = Scratch::new("laboratory-token");
        private_file::create(&scratch.0.join("kit.token"), "of-the-kit\n").expect("a file");
        let config = configured(&scratch, ALLOWED, TOKEN);
        let scheme = scheme(&config).expect("a scheme");
        for header in ["of-the-kit", "Bearer of-the-kit", "bearer of-the-kit"] {
            let partner = whose(&scheme, header).expect("a partner");
            assert_eq!(partner.as_str(), "did:web:cainiao.example");
        }
        for header in ["Bearer of-the-kit2", "Bearer ", "", "Basic of-the-kit"] {
            assert!(whose(&scheme, header).is_err(), "{header}");
        }
    }

    #[test]
    fn without_the_words_or_without_a_token_every_request_is_signed() {
        let scratch = Scratch::new("laboratory-none");
        private_file::create(&scratch.0.join("kit.token"), "of-the-kit\n").expect("a file");
        for listen in ["", ALLOWED] {
            let config = configured(&scratch, listen, "");
            let scheme = scheme(&config).expect("a scheme");
            assert!(matches!(scheme, Scheme::Signed), "{listen}");
            assert!(whose(&scheme, "Bearer of-the-kit").is_err());
        }
    }

    #[test]
    fn a_fixed_token_that_cannot_be_read_keeps_the_node_from_starting() {
        let scratch = Scratch::new("laboratory-broken");
        let config = configured(&scratch, ALLOWED, TOKEN);
        assert!(scheme(&config).is_err(), "there is no file");
        fs::write(scratch.0.join("kit.token"), "of-the-kit").expect("a file");
        assert!(scheme(&config).is_err(), "others may read it");
    }
}
