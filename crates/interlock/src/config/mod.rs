//! `interlock.toml`: what one node is told (surface: Configuration).
//!
//! INVARIANT: a [`Config`] came from a file without any error. Secrets are named, never held; a key
//! that is not known is an error; plain HTTP beyond this machine and laboratory tokens exist only
//! where the file says so in so many words. This module reads no files, no environment and no clock,
//! and does not know the terms of offers: their policies stay JSON.

mod error;
mod limits;
mod reader;
mod schema;
mod secret;
mod sections;
mod template;
mod virtual_numbers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use interlock_core::contact::{NumberRange, Phone};
use interlock_core::dataset::Dataset;
use interlock_core::ids::{Marketplace, ParticipantId, WireId};
use interlock_core::time::Zone;

pub use error::{ConfigError, ConfigErrorKind};
pub use limits::Limits;
pub use secret::{SecretError, SecretSource};
pub use template::Ports;

use crate::identity::partner::{Partner, Role};
use crate::identity::sealing::Messenger;
use crate::identity::url::BaseUrl;
use crate::master_key::MasterKeySource;

/// Longest file that is read, in bytes.
pub const CONFIG_BYTES_MAX: usize = 1_048_576;

/// The configuration of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Who we are.
    pub participant: ParticipantConfig,
    /// The doors.
    pub listen: ListenConfig,
    /// TLS of the https doors and of calls to partners.
    pub tls: TlsConfig,
    /// Where the journal lies.
    pub store: StoreConfig,
    /// Messages to recipients.
    pub notify: NotifyConfig,
    /// Rules of our lockers.
    pub locker: LockerConfig,
    /// Named limits.
    pub limits: Limits,
    /// Partners listed in the file.
    pub partners: Vec<PartnerConfig>,
    /// Offers listed in the file.
    pub offers: Vec<OfferConfig>,
}

/// `[participant]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantConfig {
    /// Our DID.
    pub id: ParticipantId,
    /// Our name, for people.
    pub name: String,
    /// What we do; at least one.
    pub roles: Vec<Role>,
    /// The marketplaces whose parcels we own.
    pub marketplaces: Vec<Marketplace>,
    /// The zone of our days.
    pub zone: Zone,
    /// Our signing key.
    pub key_file: PathBuf,
    /// Whence the master key comes.
    pub master_key: MasterKeySource,
}

/// One door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Where it listens.
    pub address: SocketAddr,
}

/// `[listen]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    /// For other nodes.
    pub exchange: Door,
    /// For own systems and people.
    pub local: Door,
    /// For recipients and merchants.
    pub public: Door,
    /// For monitoring.
    pub metrics: Door,
    /// Where partners reach the exchange door.
    pub exchange_url: BaseUrl,
    /// How links in messages start.
    pub public_url: BaseUrl,
    /// Whether plain HTTP is accepted beyond this machine.
    pub allow_plain_http_beyond_loopback: bool,
    /// Whether connectors may name callback addresses on this machine.
    pub allow_loopback_callbacks: bool,
    /// Whether fixed tokens are accepted ([`crate::identity::token::scheme::Scheme::Static`]).
    pub allow_static_tokens_for_laboratory: bool,
}

/// `[tls]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// Our certificate chain and its key; set if any door speaks TLS.
    pub server: Option<TlsFiles>,
    /// Authorities that may vouch for partners without a pin.
    pub ca_file: Option<PathBuf>,
}

/// A certificate chain and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM.
    pub certificate_file: PathBuf,
    /// PEM, mode 0600.
    pub key_file: PathBuf,
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Directory of the embedded store.
    pub dir: PathBuf,
}

/// `[notify]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyConfig {
    /// Our gateway and the secret that signs what we send to it; without it messages wait.
    pub gateway: Option<GatewayConfig>,
    /// Our own systems and the secret that signs what we tell them.
    pub systems: Option<GatewayConfig>,
    /// The number behind which recipients' own are hidden.
    pub virtual_number: Option<Phone>,
    /// Numbers that are bound to a partner that calls and a recipient.
    pub virtual_pool: Option<NumberRange>,
    /// From which numbers partners call those.
    pub virtual_callers: BTreeMap<Phone, ParticipantId>,
    /// The number behind which recipients reach couriers.
    pub courier_number: Option<Phone>,
    /// To whom contacts are sealed.
    pub messenger: Option<Messenger>,
    /// Language where a recipient has chosen none.
    pub language: Language,
}

/// A gateway for messages to recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayConfig {
    /// Where it takes webhooks.
    pub url: BaseUrl,
    /// The secret that signs them.
    pub secret: SecretSource,
}

/// A language of messages and pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Chinese.
    Zh,
    /// English.
    En,
}

/// `[locker]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockerConfig {
    /// Hours until a parcel is overdue.
    pub pickup_hours: u32,
    /// Hours that a recipient may add.
    pub extension_hours: u32,
    /// Minutes for which a compartment is held for a courier.
    pub reservation_minutes: u32,
}

/// One `[[partner]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerConfig {
    /// The partner.
    pub partner: Partner,
    /// Its fixed token, in a laboratory.
    pub static_token: Option<SecretSource>,
}

/// One `[[offer]]`
#[derive(Clone, Debug, PartialEq)]
pub struct OfferConfig {
    /// Its id.
    pub id: WireId,
    /// What is offered.
    pub dataset: Dataset,
    /// The terms.
    pub policy: PolicySource,
    /// Who may see it; empty for every partner.
    pub audience: Vec<ParticipantId>,
    /// Whether whoever accepts it unchanged has an agreement without asking our people.
    pub auto_accept: bool,
}

/// Where an offer's policy (ODRL 2.2) stands.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicySource {
    /// In the configuration.
    Inline(serde_json::Value),
    /// In a JSON file.
    File(PathBuf),
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Every error in the file, in the order of lines; never an empty list.
    pub fn parse(text: &str) -> Result<Self, Vec<ConfigError>> {
        sections::read(text)
    }

    /// The commented file of a new node, as `interlock init` writes it.
    pub fn template(id: &ParticipantId, name: &str, role: Role, ports: Ports) -> String {
        template::write(id, name, role, ports)
    }

    /// Makes relative paths relative to `base`, the directory of the file.
    pub fn resolve_paths(&mut self, base: &Path) {
        let resolve = |path: &mut PathBuf| *path = base.join(&*path);
        resolve(&mut self.participant.key_file);
        resolve(&mut self.store.dir);
        if let Some(files) = &mut self.tls.server {
            resolve(&mut files.certificate_file);
            resolve(&mut files.key_file);
        }
        self.tls.ca_file.iter_mut().for_each(resolve);
        let hooks = [&mut self.notify.gateway, &mut self.notify.systems];
        let gateway = hooks.into_iter().flatten().map(|g| &mut g.secret);
        let tokens = self
            .partners
            .iter_mut()
            .filter_map(|p| p.static_token.as_mut());
        for secret in gateway.chain(tokens) {
            match secret {
                SecretSource::File(path) => resolve(path),
                SecretSource::Env(_) => {}
            }
        }
        for offer in &mut self.offers {
            match &mut offer.policy {
                PolicySource::File(path) => resolve(path),
                PolicySource::Inline(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
