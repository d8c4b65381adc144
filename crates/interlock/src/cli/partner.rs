//! `partner`: who may talk to us.

use interlock_core::ids::ParticipantId;
use serde_json::{Value, json};

use super::args::{Common, PartnerArguments, PartnerCommand};
use super::error::CliError;
use super::init::quoted;
use super::output::{Column, Output};
use super::{Around, place};
use crate::config::Config;
use crate::identity::did::{DID_DOCUMENT_BYTES_MAX, DidDocument};
use crate::identity::keys::{NodeKey, PublicKey};
use crate::identity::url::segment;

const ROWS: [Column<'static>; 6] = [
    ("id", "/id"),
    ("name", "/name"),
    ("roles", "/roles"),
    ("exchange url", "/exchangeUrl"),
    ("key", "/key"),
    ("carriers", "/carriers"),
];

/// Runs a command.
pub(super) fn run(
    command: &PartnerCommand,
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    match command {
        PartnerCommand::Add(arguments) => {
            let body = body(arguments, around)?;
            let answer = place::client(common, around)?.post("/partners", Some(&body))?;
            if output.json {
                return output.json(&answer);
            }
            output.line(&format!("`{}` is a partner now", arguments.name))
        }
        PartnerCommand::List => {
            let answer = place::client(common, around)?.get("/partners")?;
            let columns = [
                ("name", "/name"),
                ("id", "/id"),
                ("roles", "/roles"),
                ("exchange url", "/exchangeUrl"),
            ];
            output.table(
                &answer,
                "/items",
                &columns,
                "no partners; add one with `interlock partner add`",
            )
        }
        PartnerCommand::Show { id: Some(id) } => {
            let answer = place::client(common, around)?.get("/partners")?;
            output.card(&find(&answer, id)?, &ROWS)
        }
        PartnerCommand::Show { id: None } => show_ourselves(common, around, output),
        PartnerCommand::Remove { id } => {
            let path = format!("/partners/{}", segment(id.as_str()));
            let answer = place::client(common, around)?.delete(&path)?;
            if output.json {
                return output.json(&answer);
            }
            output.line(&format!("`{id}` is no partner any more"))
        }
    }
}

fn find(answer: &Value, id: &ParticipantId) -> Result<Value, CliError> {
    let items = answer.pointer("/items").and_then(Value::as_array);
    let found = items
        .into_iter()
        .flatten()
        .find(|item| item.pointer("/id").and_then(Value::as_str) == Some(id.as_str()));
    found.cloned().ok_or_else(|| {
        CliError::Failed(format!(
            "`{id}` is no partner; `interlock partner list` lists them"
        ))
    })
}

/// The body of `POST /partners`.
fn body(arguments: &PartnerArguments, around: &Around<'_>) -> Result<Value, CliError> {
    let introduced = arguments
        .did_document
        .as_ref()
        .map(|path| introduced(&around.directory.join(path)))
        .transpose()?;
    let missing =
        |flag: &str| CliError::Usage(format!("the DID document does not say it; add `{flag}`"));
    let document = introduced.as_ref();
    let id = arguments
        .id
        .clone()
        .or_else(|| document.map(|d| d.id.clone()));
    let url = arguments.exchange_url.clone();
    let url = url.or_else(|| document.and_then(|d| d.exchange_url.clone()));
    let key = arguments
        .key
        .or_else(|| document.and_then(|d| d.keys.first().copied()));
    let mut body = json!({
        "id": id.ok_or_else(|| missing("--id"))?,
        "name": arguments.name,
        "roles": arguments.roles,
        "exchangeUrl": url.ok_or_else(|| missing("--exchange-url"))?,
        "key": key.ok_or_else(|| missing("--key"))?.to_multibase(),
        "marketplaces": arguments.marketplaces,
        "carriers": arguments.carriers.iter().map(|carrier| carrier.as_str()).collect::<Vec<_>>(),
    });
    if let (Some(pin), Value::Object(members)) = (&arguments.certificate_pin, &mut body) {
        members.insert("certificatePin".into(), pin.to_string().into());
    }
    if let (true, Value::Object(members)) = (arguments.connector, &mut body) {
        members.insert("connector".into(), true.into());
    }
    if let (Some(id), Value::Object(members)) = (&arguments.connector_id, &mut body) {
        members.insert("connectorId".into(), id.as_str().into());
    }
    if let (true, Value::Object(members)) = (arguments.parcel_data_without_manifest, &mut body) {
        members.insert("parcelDataWithoutManifest".into(), true.into());
    }
    Ok(body)
}

fn introduced(path: &std::path::Path) -> Result<DidDocument, CliError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        CliError::Usage(format!("failed to read `{shown}`: {error}; check the path"))
    })?;
    let value: Option<Value> = Some(text.as_str())
        .filter(|text| text.len() <= DID_DOCUMENT_BYTES_MAX)
        .and_then(|text| serde_json::from_str(text).ok());
    let subject = value
        .as_ref()
        .and_then(|value| value.get("id"))
        .and_then(Value::as_str);
    let id = subject
        .and_then(|id| ParticipantId::parse(id).ok())
        .ok_or_else(|| {
            CliError::Usage(format!(
                "`{shown}` is no DID document; ask the partner for a correct one"
            ))
        })?;
    DidDocument::parse(&text, &id).map_err(|error| CliError::Usage(format!("`{shown}`: {error}")))
}

/// The lines of `[[partner]]` that others put into their configuration for us.
fn show_ourselves(
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let config = place::config(common, around)?;
    let key = NodeKey::read(&config.participant.key_file);
    let public = key
        .map_err(|error| CliError::Usage(error.to_string()))?
        .public();
    let us = &config.participant;
    if output.json {
        return output.json(&json!({
            "id": us.id,
            "name": us.name,
            "roles": us.roles,
            "exchangeUrl": config.listen.exchange_url,
            "key": public.to_multibase(),
            "marketplaces": us.marketplaces,
        }));
    }
    let text = |value: &str| toml::Value::String(value.into()).to_string();
    let list = |values: Vec<&str>| {
        let values: Vec<String> = values.into_iter().map(text).collect();
        format!("[{}]", values.join(", "))
    };
    output.line("[[partner]]")?;
    output.line(&format!("id = {}", text(us.id.as_str())))?;
    output.line(&format!("name = {}", text(&us.name)))?;
    let roles = us.roles.iter().map(|role| role.as_str()).collect();
    output.line(&format!("roles = {}", list(roles)))?;
    output.line(&format!(
        "exchange_url = {}",
        text(config.listen.exchange_url.as_str())
    ))?;
    output.line(&format!("key = {}", text(&public.to_multibase())))?;
    if us.marketplaces.is_empty() {
        return Ok(());
    }
    let marketplaces = us.marketplaces.iter().map(|m| m.as_str()).collect();
    output.line(&format!("marketplaces = {}", list(marketplaces)))
}

/// The command with which a partner adds the node of `config`.
pub(super) fn add_command(config: &Config, key: &PublicKey) -> String {
    let us = &config.participant;
    let mut command = format!(
        "interlock partner add --id {} --name {} --exchange-url {} --key {}",
        us.id,
        quoted(&us.name),
        config.listen.exchange_url,
        key.to_multibase()
    );
    for role in &us.roles {
        command.push_str(&format!(" --role {role}"));
    }
    for marketplace in &us.marketplaces {
        command.push_str(&format!(" --marketplace {marketplace}"));
    }
    command
}
