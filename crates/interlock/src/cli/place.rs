//! Where the node of a command is: its configuration, its address, the key shown to it.
//!
//! INVARIANT: what a flag says counts, then the environment, then the configuration. A key is read
//! from a private file or the environment, never from the command line.

use std::path::{Path, PathBuf};

use super::Around;
use super::args::Common;
use super::client::Client;
use super::error::CliError;
use crate::config::{CONFIG_BYTES_MAX, Config};
use crate::identity::api_key::ApiKey;
use crate::identity::private_file;
use crate::identity::tls::{self, CertificatePin, Trust};
use crate::identity::url::BaseUrl;

/// The file that is read if none is named.
pub(super) const CONFIG_NAME: &str = "interlock.toml";
/// The variable that holds the API key.
pub(super) const KEY_VARIABLE: &str = "INTERLOCK_KEY";

/// The path of the configuration.
pub(super) fn config_path(common: &Common, around: &Around<'_>) -> PathBuf {
    let path = common
        .config
        .as_deref()
        .unwrap_or_else(|| Path::new(CONFIG_NAME));
    around.directory.join(path)
}

/// Reads the configuration, with its paths made absolute.
///
/// # Errors
/// [`CliError::Usage`] with every error and its line.
pub(super) fn config(common: &Common, around: &Around<'_>) -> Result<Config, CliError> {
    config_in(&config_path(common, around))
}

/// As [`config`], from a file.
pub(super) fn config_in(path: &Path) -> Result<Config, CliError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        CliError::Usage(format!(
            "failed to read `{shown}`: {error}; make one with `interlock init`, or name it with \
             `--config`"
        ))
    })?;
    if text.len() > CONFIG_BYTES_MAX {
        return Err(CliError::Usage(format!(
            "`{shown}` has more than {CONFIG_BYTES_MAX} bytes; is it the right file?"
        )));
    }
    let mut config = Config::parse(&text).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(|error| format!("\n  {error}")).collect();
        CliError::Usage(format!("`{shown}` is wrong; correct it:{}", lines.concat()))
    })?;
    config.resolve_paths(path.parent().unwrap_or_else(|| Path::new(".")));
    Ok(config)
}

/// How the running node is reached.
///
/// # Errors
/// [`CliError::Usage`] if address or key are not known.
pub(super) fn client(common: &Common, around: &Around<'_>) -> Result<Client, CliError> {
    let key = key(common, around)?;
    let (url, tls) = match &common.url {
        Some(url) if !url.is_https() => (url.clone(), None),
        Some(url) => (url.clone(), Some(trust(&config(common, around)?)?)),
        None => {
            let config = config(common, around)?;
            let door = config.listen.local;
            let scheme = if door.tls { "https" } else { "http" };
            let url = BaseUrl::parse(&format!("{scheme}://{}", reachable(door.address)));
            let url = url.map_err(|error| CliError::Usage(error.to_string()))?;
            let tls = door.tls.then(|| trust(&config)).transpose()?;
            (url, tls)
        }
    };
    let tls = tls
        .map(|trust| tls::client_config(&trust))
        .transpose()
        .map_err(|error| CliError::Usage(error.to_string()))?;
    Ok(Client { url, key, tls })
}

/// An address that can be called: a door that listens everywhere is called on this machine.
fn reachable(mut address: std::net::SocketAddr) -> std::net::SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Our own certificate, pinned.
fn trust(config: &Config) -> Result<Trust, CliError> {
    let Some(files) = &config.tls.server else {
        return Err(CliError::Usage(
            "the certificate of the node is not known; set `tls.certificate_file` in the \
             configuration"
                .into(),
        ));
    };
    let chain = tls::read_certificates(&files.certificate_file);
    let chain = chain.map_err(|error| CliError::Usage(error.to_string()))?;
    Ok(Trust {
        pins: chain
            .first()
            .map(|own| CertificatePin::of(own))
            .into_iter()
            .collect(),
        authorities: Vec::new(),
    })
}

fn key(common: &Common, around: &Around<'_>) -> Result<ApiKey, CliError> {
    let (text, source) = match &common.key_file {
        Some(path) => {
            let path = around.directory.join(path);
            let text = private_file::read(&path);
            let text = text.map_err(|error| CliError::Usage(error.to_string()))?;
            (text, format!("`{}`", path.display()))
        }
        None => {
            let text = around.key.clone().ok_or_else(|| {
                CliError::Usage(format!(
                    "no API key; set the variable {KEY_VARIABLE} to the key that `interlock init` \
                     printed, or name a file that holds one with `--key-file`"
                ))
            })?;
            (text, KEY_VARIABLE.into())
        }
    };
    ApiKey::parse(text.trim()).map_err(|error| CliError::Usage(format!("{source}: {error}")))
}
