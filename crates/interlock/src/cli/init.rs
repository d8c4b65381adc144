//! `init`: the directory of a new node.
//!
//! INVARIANT: nothing that exists is changed; private files have mode 0600 from the start; the admin
//! key is printed once and only its hash is kept.

use std::path::Path;

use serde_json::json;
use zeroize::Zeroizing;

use super::args::InitArguments;
use super::error::CliError;
use super::output::Output;
use super::place::{CONFIG_NAME, KEY_VARIABLE};
use super::{Around, partner};
use crate::config::{Config, Ports};
use crate::driver::entropy::SystemRng;
use crate::identity::api_key::{API_KEY_RANDOM_BYTES, ApiKey};
use crate::identity::keys::NodeKey;
use crate::identity::private_file;
use crate::identity::tls::SelfSigned;
use crate::node::Rng as _;

/// The node's signing key.
pub const NODE_KEY_FILE: &str = "keys/node.pem";
/// The hash of the first admin key, 64 hexadecimal digits: read at the node's first start.
pub const ADMIN_KEY_FILE: &str = "keys/admin.sha256";
/// 32 random bytes, in hexadecimal digits, under which the keys of personal data are kept.
pub const MASTER_KEY_FILE: &str = "keys/master.key";

/// Makes the directory.
pub(super) fn init(
    arguments: &InitArguments,
    around: &mut Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let dir = around.directory.join(&arguments.dir);
    let config_path = dir.join(CONFIG_NAME);
    let text = config_text(arguments)?;
    let config = Config::parse(&text).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(|error| format!("\n  {error}")).collect();
        CliError::Usage(format!(
            "the configuration would be wrong:{}",
            lines.concat()
        ))
    })?;
    if config_path.exists() {
        return Err(CliError::Usage(format!(
            "`{}` exists already; choose another directory, or remove it to start anew",
            config_path.display()
        )));
    }
    let made = make(&dir, arguments).map_err(|error| {
        CliError::Failed(format!("failed to make `{}`: {error}", dir.display()))
    })?;
    std::fs::write(&config_path, text).map_err(|error| {
        let shown = config_path.display();
        CliError::Failed(format!(
            "failed to write `{shown}`: {error}; check the path"
        ))
    })?;
    let public = made.node.public();
    if output.json {
        return output.json(&json!({
            "config": config_path.display().to_string(),
            "id": arguments.id,
            "key": public.to_multibase(),
            "adminKey": made.admin.reveal(),
        }));
    }
    let config_arg = quoted(&config_path.display().to_string());
    around.note(&format!(
        "made `{}`. The admin key is shown this once; only its hash is kept.",
        dir.display()
    ));
    output.line(&format!("export {KEY_VARIABLE}={}", made.admin.reveal()))?;
    around.note(&format!(
        "run it:        interlock run --config {config_arg}"
    ));
    let add = partner::add_command(&config, &public);
    around.note(&format!("tell partners: {add}"));
    Ok(())
}

/// What was made and is needed once more.
struct Made {
    node: NodeKey,
    admin: ApiKey,
}

fn make(dir: &Path, arguments: &InitArguments) -> Result<Made, Box<dyn std::error::Error>> {
    std::fs::create_dir_all(dir.join("keys"))?;
    let mut seed = Zeroizing::new([0; 32]);
    SystemRng.fill(seed.as_mut());
    let node = NodeKey::from_seed(&seed);
    node.create_file(&dir.join(NODE_KEY_FILE))?;

    let mut random = Zeroizing::new([0; API_KEY_RANDOM_BYTES]);
    SystemRng.fill(random.as_mut());
    let admin = ApiKey::generate(&random);
    let hash = String::from(admin.hash());
    private_file::create(&dir.join(ADMIN_KEY_FILE), &format!("{hash}\n"))?;

    let mut master = Zeroizing::new([0; 32]);
    SystemRng.fill(master.as_mut());
    let digits = Zeroizing::new(interlock_journal::hex::encode(master.as_ref()));
    private_file::create(&dir.join(MASTER_KEY_FILE), &digits)?;

    let host = arguments
        .id
        .as_str()
        .strip_prefix("did:web:")
        .and_then(|rest| {
            let host = rest.split([':', '%']).next()?;
            (host != "localhost" && host != "127.0.0.1").then(|| host.to_owned())
        });
    let names: Vec<String> = ["localhost".into(), "127.0.0.1".into()]
        .into_iter()
        .chain(host)
        .collect();
    let certificate = SelfSigned::make(&names)?;
    private_file::create(&dir.join("keys/tls.key"), &certificate.key_pem)?;
    std::fs::write(dir.join("keys/tls.crt"), certificate.certificate_pem)?;
    Ok(Made { node, admin })
}

fn config_text(arguments: &InitArguments) -> Result<String, CliError> {
    let port = |offset: u16| arguments.port.checked_add(offset);
    let ports = (|| {
        Some(Ports {
            exchange: port(0)?,
            local: port(1)?,
            public: port(2)?,
            metrics: port(3)?,
        })
    })();
    let ports =
        ports.ok_or_else(|| CliError::Usage("`--port` is too high; use a lower one".into()))?;
    let text = Config::template(&arguments.id, &arguments.name, arguments.role, ports);
    if arguments.marketplaces.is_empty() {
        return Ok(text);
    }
    let names: Vec<String> = arguments
        .marketplaces
        .iter()
        .map(|m| format!("\"{m}\""))
        .collect();
    let line = format!("marketplaces = [{}]", names.join(", "));
    Ok(text.replacen("# marketplaces = []", &line, 1))
}

/// A word for a shell.
pub(super) fn quoted(text: &str) -> String {
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-' | b':' | b'%');
    if !text.is_empty() && text.bytes().all(plain) {
        return text.into();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}
