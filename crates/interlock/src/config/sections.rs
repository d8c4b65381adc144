//! From the tables of the file to a [`Config`], with the rules that span several keys.

use std::net::SocketAddr;

use interlock_core::contact::Phone;
use interlock_core::dataset::Dataset;
use interlock_core::ids::{Marketplace, ParticipantId, WireId};
use interlock_core::time::Zone;
use interlock_core::waybill::CarrierCode;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, ConfigErrorKind};
use super::reader::{self, Errors, Reader};
use super::schema::{self, Table};
use super::secret;
use super::virtual_numbers::{apart_from_pool, virtual_callers, virtual_pool};
use super::{
    CONFIG_BYTES_MAX, Config, Door, GatewayConfig, Language, Limits, ListenConfig, LockerConfig,
    NotifyConfig, OfferConfig, ParticipantConfig, PartnerConfig, PolicySource, StoreConfig,
    TlsConfig, TlsFiles,
};
use crate::identity::keys::PublicKey;
use crate::identity::partner::{NAME_LENGTH_MAX, Partner, PartnerList, Role};
use crate::identity::sealing::{Messenger, MessengerKey};
use crate::identity::tls::CertificatePin;
use crate::identity::url::BaseUrl;

const NEED_DID: &str = "write the DID, such as `id = \"did:web:fengchao.example\"`";
const NEED_NAME: &str = "write the name that people know, such as `name = \"Fengchao\"`";
const NEED_ROLES: &str = "write at least one, such as `roles = [\"locker-operator\"]`";

/// Reads the whole file.
pub(super) fn read(text: &str) -> Result<Config, Vec<ConfigError>> {
    if text.len() > CONFIG_BYTES_MAX {
        let message =
            format!("it is longer than {CONFIG_BYTES_MAX} bytes; check that it is the right file");
        let kind = ConfigErrorKind::Syntax(message);
        return Err(vec![ConfigError { line: 1, kind }]);
    }
    let errors = Errors::new(text);
    let (document, syntax_errors) = DeTable::parse_recoverable(text);
    if !syntax_errors.is_empty() {
        for error in syntax_errors {
            let at = error.span().map_or(0, |span| span.start);
            errors.push(
                at,
                ConfigErrorKind::Syntax(error.message().trim().replace('\n', ", ")),
            );
        }
        return Err(errors.into_sorted());
    }
    let config = read_document(document.get_ref(), &errors);
    match config {
        Some(config) if errors.is_empty() => Ok(config),
        Some(_) | None => Err(errors.into_sorted()),
    }
}

fn read_document(document: &DeTable<'_>, errors: &Errors<'_>) -> Option<Config> {
    for key in document.keys() {
        let name: &str = key.get_ref();
        if !schema::TABLES.iter().any(|table| table.name == name) {
            errors.push(key.span().start, reader::unknown_table(name));
        }
    }
    let one = |schema| single(document, schema, errors);
    let participant = participant(&one(&schema::PARTICIPANT));
    let tls_reader = one(&schema::TLS);
    let tls = tls(&tls_reader);
    let listen_reader = one(&schema::LISTEN);
    let allowed = Allowed::read(&listen_reader);
    let listen = listen(&listen_reader, allowed, &tls_reader);
    let store = store(&one(&schema::STORE));
    let notify = notify(&one(&schema::NOTIFY), allowed);
    let locker = locker(&one(&schema::LOCKER));
    let limits = Limits::read(&one(&schema::LIMITS));
    let own_id = participant.as_ref().map(|participant| &participant.id);
    let partners = partners(
        &several(document, &schema::PARTNER, errors),
        own_id,
        allowed,
    );
    let offers = offers(&several(document, &schema::OFFER, errors));
    Some(Config {
        participant: participant?,
        listen: listen?,
        tls,
        store,
        notify,
        locker,
        limits,
        partners,
        offers,
    })
}

/// What the file allows in so many words.
#[derive(Clone, Copy)]
struct Allowed {
    plain_http: bool,
    static_tokens: bool,
}

impl Allowed {
    fn read(listen: &Reader<'_>) -> Self {
        Self {
            plain_http: listen.flag("allow_plain_http_beyond_loopback"),
            static_tokens: listen.flag("allow_static_tokens_for_laboratory"),
        }
    }
}

fn partners(
    readers: &[Reader<'_>],
    own_id: Option<&ParticipantId>,
    allowed: Allowed,
) -> Vec<PartnerConfig> {
    let mut list = PartnerList::default();
    let mut partners = Vec::new();
    for reader in readers {
        let Some(found) = partner(reader, allowed) else {
            continue;
        };
        let problem = if Some(&found.partner.id) == own_id {
            Some(format!(
                "`{}` is this node itself; remove the entry",
                found.partner.id
            ))
        } else {
            list.add(found.partner.clone())
                .err()
                .map(|error| error.to_string())
        };
        if let Some(problem) = problem {
            reader.error("id", ConfigErrorKind::Combination(problem));
        }
        partners.push(found);
    }
    partners
}

fn offers(readers: &[Reader<'_>]) -> Vec<OfferConfig> {
    let mut offers: Vec<OfferConfig> = Vec::new();
    for reader in readers {
        let Some(found) = offer(reader) else { continue };
        if offers.iter().any(|other| other.id == found.id) {
            let text = format!(
                "`{}` is the id of another offer too; give each its own",
                found.id
            );
            reader.error("id", ConfigErrorKind::Combination(text));
        }
        offers.push(found);
    }
    offers
}

/// The reader of a table that may stand there once.
fn single<'a>(
    document: &'a DeTable<'a>,
    schema: &'static Table,
    errors: &'a Errors<'a>,
) -> Reader<'a> {
    let found = document
        .iter()
        .find(|(key, _)| key.get_ref().as_ref() == schema.name);
    let Some((key, value)) = found else {
        return Reader::new(schema, None, 0..0, errors);
    };
    let table = value.get_ref().as_table();
    if table.is_none() {
        errors.push(
            key.span().start,
            ConfigErrorKind::Type {
                key: schema.name.into(),
                found: reader::type_of(value.get_ref()),
                expected: format!("one table {}", reader::title(schema)),
            },
        );
    }
    Reader::new(schema, table, key.span(), errors)
}

/// The readers of a table that may stand there several times.
fn several<'a>(
    document: &'a DeTable<'a>,
    schema: &'static Table,
    errors: &'a Errors<'a>,
) -> Vec<Reader<'a>> {
    let found = document
        .iter()
        .find(|(key, _)| key.get_ref().as_ref() == schema.name);
    let Some((key, value)) = found else {
        return Vec::new();
    };
    let wrong = |at: usize, value: &DeValue<'_>| {
        errors.push(
            at,
            ConfigErrorKind::Type {
                key: schema.name.into(),
                found: reader::type_of(value),
                expected: format!("tables {}", reader::title(schema)),
            },
        );
    };
    let Some(items) = value.get_ref().as_array() else {
        wrong(key.span().start, value.get_ref());
        return Vec::new();
    };
    let mut readers = Vec::new();
    for item in items.iter() {
        match item.get_ref().as_table() {
            Some(table) => readers.push(Reader::new(schema, Some(table), item.span(), errors)),
            None => wrong(item.span().start, item.get_ref()),
        }
    }
    readers
}

fn parse_name(text: &str) -> Result<String, String> {
    let good = !text.trim().is_empty() && text.chars().count() <= NAME_LENGTH_MAX;
    if !good || text.chars().any(char::is_control) {
        return Err(format!(
            "not a name; write 1 to {NAME_LENGTH_MAX} characters on one line"
        ));
    }
    Ok(text.into())
}

fn parse_role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| {
        let known: Vec<String> = Role::ALL.iter().map(|role| format!("`{role}`")).collect();
        format!(
            "`{}` is no role; write {}",
            shortened(text),
            known.join(", ")
        )
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The roles; nothing if there is none or one is wrong.
fn roles(reader: &Reader<'_>) -> Option<Vec<Role>> {
    if !reader.has("roles") || reader.is_empty_list("roles") {
        reader.missing("roles", NEED_ROLES);
        return None;
    }
    let roles = reader.list("roles", parse_role);
    (!roles.is_empty()).then_some(roles)
}

fn participant(reader: &Reader<'_>) -> Option<ParticipantConfig> {
    let id = reader.needed("id", NEED_DID, ParticipantId::parse);
    let name = reader.needed("name", NEED_NAME, parse_name);
    let roles = roles(reader);
    let marketplaces = reader.list("marketplaces", Marketplace::parse);
    let zone = reader.parsed("zone", Zone::parse).unwrap_or(Zone::CHINA);
    let key_file = reader.path("key_file");
    Some(ParticipantConfig {
        id: id?,
        name: name?,
        roles: roles?,
        marketplaces,
        zone,
        key_file: key_file.unwrap_or_else(|| "keys/node.pem".into()),
        master_key: secret::master_key(reader),
    })
}

fn parse_door(text: &str) -> Result<Door, String> {
    let (tls, rest) = match text.strip_prefix("https://") {
        Some(rest) => (true, Some(rest)),
        None => (false, text.strip_prefix("http://")),
    };
    let address: Option<SocketAddr> = rest.and_then(|rest| rest.parse().ok());
    address
        .filter(|address| address.port() != 0)
        .map(|address| Door { tls, address })
        .ok_or_else(|| {
            format!(
                "`{}` is no door; write `http://` or `https://`, an IP address and a port, such as \
                 `http://127.0.0.1:8440`",
                shortened(text)
            )
        })
}

fn door(reader: &Reader<'_>, name: &str, port: u16, allowed: Allowed) -> Door {
    let default = Door {
        tls: false,
        address: SocketAddr::from(([127, 0, 0, 1], port)),
    };
    let door = reader.parsed(name, parse_door).unwrap_or(default);
    if !door.tls && !door.address.ip().is_loopback() && !allowed.plain_http {
        let text = format!(
            "`{name}` would speak plain HTTP beyond this machine; write `https://` and set `[tls]`, or \
             `allow_plain_http_beyond_loopback = true` if a proxy in front of it does TLS"
        );
        reader.error(name, ConfigErrorKind::Combination(text));
    }
    door
}

fn listen(reader: &Reader<'_>, allowed: Allowed, tls: &Reader<'_>) -> Option<ListenConfig> {
    let exchange = door(reader, "exchange", 8440, allowed);
    let local = door(reader, "local", 8441, allowed);
    let public = door(reader, "public", 8442, allowed);
    let metrics = door(reader, "metrics", 8443, allowed);
    let doors = [
        ("exchange", exchange),
        ("local", local),
        ("public", public),
        ("metrics", metrics),
    ];
    check_doors(reader, &doors, tls);
    let exchange_url = outer_url(reader, "exchange_url", "exchange", exchange, allowed);
    let public_url = outer_url(reader, "public_url", "public", public, allowed);
    Some(ListenConfig {
        exchange,
        local,
        public,
        metrics,
        exchange_url: exchange_url?,
        public_url: public_url?,
        allow_plain_http_beyond_loopback: allowed.plain_http,
        allow_loopback_callbacks: reader.flag("allow_loopback_callbacks"),
        allow_static_tokens_for_laboratory: allowed.static_tokens,
    })
}

/// Each door has an address of its own, and a certificate if it speaks TLS.
fn check_doors(reader: &Reader<'_>, doors: &[(&'static str, Door)], tls: &Reader<'_>) {
    let has_certificate = tls.has("certificate_file") || tls.has("key_file");
    for (index, (name, door)) in doors.iter().enumerate() {
        let others = doors.iter().take(index);
        for (other, _) in others.filter(|(_, other)| other.address == door.address) {
            let text = format!(
                "`{name}` and `{other}` are both at `{}`; give each door its own port",
                door.address
            );
            reader.error(name, ConfigErrorKind::Combination(text));
        }
        if door.tls && !has_certificate {
            let text = format!(
                "`{name}` is https but there is no certificate; set `certificate_file` and `key_file` \
                 in `[tls]`"
            );
            reader.error(name, ConfigErrorKind::Combination(text));
        }
    }
}

/// The address under which others reach a door.
fn outer_url(
    reader: &Reader<'_>,
    name: &'static str,
    door_name: &str,
    door: Door,
    allowed: Allowed,
) -> Option<BaseUrl> {
    if reader.has(name) {
        return url(reader, name, allowed);
    }
    if door.address.ip().is_unspecified() {
        let text = format!(
            "`{door_name}` listens on every address, so that the node does not know under which one \
             others reach it; set `{name}`"
        );
        reader.error(door_name, ConfigErrorKind::Combination(text));
        return None;
    }
    let scheme = if door.tls { "https" } else { "http" };
    BaseUrl::parse(&format!("{scheme}://{}", door.address)).ok()
}

/// A base address; plain HTTP beyond this machine is an error unless it is allowed.
fn url(reader: &Reader<'_>, name: &str, allowed: Allowed) -> Option<BaseUrl> {
    let url = reader.parsed(name, BaseUrl::parse)?;
    if !url.is_https() && !url.is_loopback() && !allowed.plain_http {
        let text = format!(
            "`{name}` would use plain HTTP beyond this machine; write `https://`, or \
             `allow_plain_http_beyond_loopback = true` in `[listen]`"
        );
        reader.error(name, ConfigErrorKind::Combination(text));
    }
    Some(url)
}

fn tls(reader: &Reader<'_>) -> TlsConfig {
    let certificate_file = reader.path("certificate_file");
    let key_file = reader.path("key_file");
    let ca_file = reader.path("ca_file");
    if reader.has("certificate_file") != reader.has("key_file") {
        let set = match reader.has("key_file") {
            true => "key_file",
            false => "certificate_file",
        };
        let text = "`certificate_file` and `key_file` need each other; set both";
        reader.error(set, ConfigErrorKind::Combination(text.into()));
    }
    let server = certificate_file
        .zip(key_file)
        .map(|(certificate_file, key_file)| TlsFiles {
            certificate_file,
            key_file,
        });
    TlsConfig { server, ca_file }
}

fn store(reader: &Reader<'_>) -> StoreConfig {
    if reader.has("url") {
        let text = "this version keeps its store in files and has no PostgreSQL; remove `url` and set \
                    `dir`";
        reader.error("url", ConfigErrorKind::Combination(text.into()));
    }
    StoreConfig {
        dir: reader.path("dir").unwrap_or_else(|| "data".into()),
    }
}

fn notify(reader: &Reader<'_>, allowed: Allowed) -> NotifyConfig {
    let language = reader.parsed("language", |text| match text {
        "zh" => Ok(Language::Zh),
        "en" => Ok(Language::En),
        _ => Err(format!(
            "`{}` is no language of messages; write `zh` or `en`",
            shortened(text)
        )),
    });
    let virtual_pool = virtual_pool(reader);
    let virtual_number = reader.parsed("virtual_number", Phone::parse);
    let virtual_callers = virtual_callers(reader);
    let courier_number = reader.parsed("courier_number", Phone::parse);
    let apart = |key, number: &Option<Phone>| {
        apart_from_pool(reader, virtual_pool, key, number.iter());
    };
    apart("virtual_number", &virtual_number);
    apart("courier_number", &courier_number);
    apart_from_pool(
        reader,
        virtual_pool,
        "virtual_callers",
        virtual_callers.keys(),
    );
    NotifyConfig {
        gateway: hook(
            reader,
            allowed,
            ["gateway_url", "secret_file", "secret_env"],
        ),
        systems: hook(
            reader,
            allowed,
            ["webhook_url", "webhook_secret_file", "webhook_secret_env"],
        ),
        virtual_number,
        virtual_pool,
        virtual_callers,
        courier_number,
        messenger: messenger(reader),
        language: language.unwrap_or(Language::Zh),
    }
}

/// A messenger and its key, of which neither does without the other.
fn messenger(reader: &Reader<'_>) -> Option<Messenger> {
    let id = reader.parsed("messenger", ParticipantId::parse);
    let key = reader.parsed("messenger_key", MessengerKey::parse);
    for (one, other) in [
        ("messenger", "messenger_key"),
        ("messenger_key", "messenger"),
    ] {
        if reader.has(one) && !reader.has(other) {
            let text = format!("`{one}` says nothing without `{other}`; set both or none");
            reader.error(one, ConfigErrorKind::Combination(text));
        }
    }
    id.zip(key).map(|(id, key)| Messenger { id, key })
}

/// A webhook: its address, and the file or environment variable with its secret.
fn hook(
    reader: &Reader<'_>,
    allowed: Allowed,
    [address, file, env]: [&'static str; 3],
) -> Option<GatewayConfig> {
    let url = url(reader, address, allowed);
    let secret = reader.secret(file, env);
    if reader.has(address) && !reader.has(file) && !reader.has(env) {
        let text = format!(
            "`{address}` needs the secret that signs what we send; set `{file}` or `{env}`"
        );
        reader.error(address, ConfigErrorKind::Combination(text));
    }
    url.zip(secret)
        .map(|(url, secret)| GatewayConfig { url, secret })
}

fn locker(reader: &Reader<'_>) -> LockerConfig {
    LockerConfig {
        pickup_hours: reader.number("pickup_hours", 1..=168, 24),
        extension_hours: reader.number("extension_hours", 0..=168, 24),
        reservation_minutes: reader.number("reservation_minutes", 1..=15, 5),
    }
}

fn partner(reader: &Reader<'_>, allowed: Allowed) -> Option<PartnerConfig> {
    let id = reader.needed("id", NEED_DID, ParticipantId::parse);
    let name = reader.needed("name", NEED_NAME, parse_name);
    let roles = roles(reader);
    if !reader.has("exchange_url") {
        let advice = "write the address of its exchange door, such as \
                      `exchange_url = \"https://node.cainiao.example\"`";
        reader.missing("exchange_url", advice);
    }
    let exchange_url = url(reader, "exchange_url", allowed);
    let advice = "write its public key, such as `key = \"z6Mk...\"`";
    let key = reader.needed("key", advice, PublicKey::parse);
    let marketplaces = reader.list("marketplaces", Marketplace::parse);
    let carriers = reader.list("carriers", CarrierCode::parse);
    let certificate_pin = reader.parsed("certificate_pin", CertificatePin::parse);
    let connector_id = reader.parsed("connector_id", WireId::parse);
    let static_token = reader.secret("static_token_file", "static_token_env");
    if static_token.is_some() && !allowed.static_tokens {
        let set = match reader.has("static_token_file") {
            true => "static_token_file",
            false => "static_token_env",
        };
        let text = format!(
            "`{set}` is for laboratories: a fixed token proves neither sender nor content; remove it, \
             or write `allow_static_tokens_for_laboratory = true` in `[listen]`"
        );
        reader.error(set, ConfigErrorKind::Combination(text));
    }
    Some(PartnerConfig {
        partner: Partner {
            id: id?,
            name: name?,
            roles: roles?,
            exchange_url: exchange_url?,
            key: key?,
            marketplaces,
            carriers,
            certificate_pin,
            connector: reader.flag("connector"),
            connector_id,
            parcel_data_without_manifest: reader.flag("parcel_data_without_manifest"),
        },
        static_token,
    })
}

fn offer(reader: &Reader<'_>) -> Option<OfferConfig> {
    let advice = "write an id of your own, such as `id = \"locker-events-2017\"`";
    let id = reader.needed("id", advice, WireId::parse);
    let advice = "write what is offered, such as `dataset = \"locker-events\"`";
    let dataset = reader.needed("dataset", advice, |text| {
        Dataset::parse(text).ok_or_else(|| {
            let known: Vec<String> = Dataset::ALL.iter().map(|d| format!("`{d}`")).collect();
            format!(
                "`{}` is no dataset; write one of {}",
                shortened(text),
                known.join(", ")
            )
        })
    });
    let audience = reader.list("audience", ParticipantId::parse);
    let auto_accept = reader.flag("auto_accept");
    let file = reader.path("policy_file").map(PolicySource::File);
    let inline = reader.json("policy").map(PolicySource::Inline);
    match (reader.has("policy_file"), reader.has("policy")) {
        (true, true) => {
            let text = "`policy_file` and `policy` exclude each other; remove one of them";
            reader.error("policy_file", ConfigErrorKind::Combination(text.into()));
        }
        (false, false) => {
            let advice = "write the terms there as ODRL, or name a file with `policy_file`";
            reader.missing("policy", advice);
        }
        (true, false) | (false, true) => {}
    }
    Some(OfferConfig {
        id: id?,
        dataset: dataset?,
        policy: file.or(inline)?,
        audience,
        auto_accept,
    })
}
