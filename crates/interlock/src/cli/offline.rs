//! `check`: whether a node would start and serve, and whether its partners can be reached.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use serde_json::{Value, json};

use super::args::Common;
use super::error::CliError;
use super::output::Output;
use super::{Around, place, probe};
use crate::config::Config;
use crate::identity::keys::NodeKey;
use crate::identity::tls;
use crate::identity::url::BaseUrl;

/// How long a partner may take to accept a connection, in milliseconds.
const CONNECT_TIMEOUT_MS: u64 = 3_000;

/// `check`: exit code 2 if something of ours is wrong, 5 if only partners cannot be reached.
pub(super) fn check(
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let config = place::config(common, around)?;
    let mut checks = vec![Check::good(
        "configuration",
        place::config_path(common, around).display(),
    )];
    checks.extend(files(&config));
    let (store, journaled) = probe::store(&config.store.dir);
    checks.extend([store, probe::keys(&config), probe::disk(&config.store.dir)]);
    let partners = probe::all_partners(&config, journaled);
    checks.push(probe::clock(&config, &partners));
    let wrong = checks.iter().filter(|check| !check.good).count();
    for partner in &partners {
        checks.push(reach(&partner.exchange_url, &partner.name));
    }
    let value = json!({ "checks": checks.iter().map(Check::to_json).collect::<Vec<Value>>() });
    let columns = [("what", "/what"), ("good", "/good"), ("detail", "/detail")];
    output.table(&value, "/checks", &columns, "")?;
    let unreachable = checks.iter().filter(|check| !check.good).count() - wrong;
    match (wrong, unreachable) {
        (0, 0) => Ok(()),
        (0, _) => Err(CliError::Unreachable(format!(
            "{unreachable} partners cannot be reached; ask them, or correct `exchange_url`"
        ))),
        (_, _) => Err(CliError::Usage(format!(
            "{wrong} checks failed; correct what the table names"
        ))),
    }
}

/// One line of the table.
pub(super) struct Check {
    what: String,
    pub(super) good: bool,
    pub(super) detail: String,
}

impl Check {
    pub(super) fn good(what: &str, detail: impl ToString) -> Self {
        Self {
            what: what.into(),
            good: true,
            detail: detail.to_string(),
        }
    }

    pub(super) fn bad(what: &str, detail: impl ToString) -> Self {
        Self {
            good: false,
            ..Self::good(what, detail)
        }
    }

    pub(super) fn of<T, E: ToString>(
        what: &str,
        outcome: Result<T, E>,
        detail: impl FnOnce(T) -> String,
    ) -> Self {
        match outcome {
            Ok(value) => Self::good(what, detail(value)),
            Err(error) => Self::bad(what, error.to_string()),
        }
    }

    fn to_json(&self) -> Value {
        json!({ "what": self.what, "good": self.good, "detail": self.detail })
    }
}

fn files(config: &Config) -> Vec<Check> {
    let key = NodeKey::read(&config.participant.key_file);
    let mut checks = vec![Check::of("signing key", key, |key| {
        key.public().to_multibase()
    })];
    if let Some(server) = &config.tls.server {
        let made = tls::server_config(&server.certificate_file, &server.key_file);
        let shown = server.certificate_file.display().to_string();
        checks.push(Check::of("certificate", made, |_| shown));
    }
    if let Some(file) = &config.tls.ca_file {
        let read = tls::read_certificates(file);
        checks.push(Check::of("authorities", read, |all| {
            format!("{} certificates", all.len())
        }));
    }
    if let Some(gateway) = &config.notify.gateway {
        let secret = gateway.secret.read(|name| std::env::var(name).ok());
        checks.push(Check::of("gateway secret", secret, |_| {
            gateway.url.to_string()
        }));
    }
    checks
}

/// Whether a partner's exchange door accepts a connection.
fn reach(url: &BaseUrl, name: &str) -> Check {
    let limit = Duration::from_millis(CONNECT_TIMEOUT_MS);
    let connected = (url.host(), url.port())
        .to_socket_addrs()
        .and_then(|mut addresses| {
            let none = || std::io::Error::other("the host has no address");
            TcpStream::connect_timeout(&addresses.next().ok_or_else(none)?, limit)
        })
        .map_err(|error| format!("`{url}`: {error}"));
    Check::of(&format!("partner {name}"), connected, |_| url.to_string())
}
