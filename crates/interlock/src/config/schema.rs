//! The tables and keys of `interlock.toml`: one list, from which the file that `init` writes and the
//! check for unknown keys are both made.
//!
//! INVARIANT: every key that is read stands here, with a comment and an example that is accepted.

use super::limits;

/// One key.
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    /// What it means, for whoever edits the file.
    pub(super) comment: &'static str,
    /// Its default, or an example, in TOML.
    pub(super) example: &'static str,
}

/// One table.
pub(super) struct Table {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether it may stand there several times (`[[name]]`).
    pub(super) repeated: bool,
    /// What it is about.
    pub(super) comment: &'static str,
    /// Its keys.
    pub(super) keys: &'static [Key],
}

const fn key(name: &'static str, example: &'static str, comment: &'static str) -> Key {
    Key {
        name,
        comment,
        example,
    }
}

pub(super) const PARTICIPANT: Table = Table {
    name: "participant",
    repeated: false,
    comment: "Who we are.",
    keys: &[
        key("id", "\"did:web:fengchao.example\"", "Our DID. Needed."),
        key(
            "name",
            "\"Fengchao\"",
            "Our name, as people see it. Needed.",
        ),
        key(
            "roles",
            "[\"locker-operator\"]",
            "What we do: platform, locker-operator, carrier, regulator, messenger. Needed.",
        ),
        key(
            "marketplaces",
            "[]",
            "The marketplaces whose parcels we own, such as [\"taobao\"].",
        ),
        key(
            "zone",
            "\"+08:00\"",
            "The zone of our days, for quotas and pages.",
        ),
        key(
            "key_file",
            "\"keys/node.pem\"",
            "Our signing key (Ed25519, PKCS#8 PEM), mode 0600.",
        ),
        key(
            "master_key_env",
            "\"INTERLOCK_MASTER_KEY\"",
            "The environment variable with the master key, 64 hexadecimal digits. Default: the file master.key beside key_file.",
        ),
        key(
            "master_key_command",
            "[\"/usr/local/bin/unwrap\", \"interlock\"]",
            "Or a program that prints it, which asks a key management service. It is run at each start.",
        ),
        key(
            "master_key_command_seconds",
            "30",
            "How long that program may take before it is ended and the node does not start.",
        ),
    ],
};

pub(super) const LISTEN: Table = Table {
    name: "listen",
    repeated: false,
    comment: "The doors. Each is http:// or https:// with an IP address and a port; https needs [tls].\n\
              Plain http is accepted on loopback only.",
    keys: &[
        key(
            "exchange",
            "\"http://127.0.0.1:8440\"",
            "For other nodes: DSP and exchange.",
        ),
        key(
            "local",
            "\"http://127.0.0.1:8441\"",
            "For our own systems and people: local API and console.",
        ),
        key(
            "public",
            "\"http://127.0.0.1:8442\"",
            "For recipients and merchants: pick-up and tracking pages.",
        ),
        key(
            "metrics",
            "\"http://127.0.0.1:8443\"",
            "For monitoring: metrics and health.",
        ),
        key(
            "exchange_url",
            "\"https://node.fengchao.example\"",
            "The address under which partners reach the exchange door. Default: that of the door.",
        ),
        key(
            "public_url",
            "\"https://pick.fengchao.example\"",
            "The address with which links in messages start. Default: that of the public door.",
        ),
        key(
            "allow_plain_http_beyond_loopback",
            "false",
            "true accepts http:// to and from other machines: only behind a proxy that does TLS.",
        ),
        key(
            "allow_loopback_callbacks",
            "false",
            "true lets connectors name addresses on this machine, by http:// too: for tests.",
        ),
        key(
            "allow_static_tokens_for_laboratory",
            "false",
            "true accepts the fixed tokens of partners. They prove nothing: only for conformance kits.",
        ),
    ],
};

pub(super) const TLS: Table = Table {
    name: "tls",
    repeated: false,
    comment: "TLS of the https doors, and whose certificates we accept.",
    keys: &[
        key(
            "certificate_file",
            "\"keys/tls.crt\"",
            "Our certificate chain, PEM. Needed for https doors.",
        ),
        key(
            "key_file",
            "\"keys/tls.key\"",
            "Its private key, PEM, mode 0600. Needed for https doors.",
        ),
        key(
            "ca_file",
            "\"/etc/ssl/certs/ca-certificates.crt\"",
            "Authorities that may vouch for partners without certificate_pin. Default: none.",
        ),
    ],
};

pub(super) const STORE: Table = Table {
    name: "store",
    repeated: false,
    comment: "Where the journal lies.",
    keys: &[
        key("dir", "\"data\"", "Directory of the embedded store."),
        key(
            "url",
            "\"postgres://...\"",
            "PostgreSQL. Not in this version: leave it out.",
        ),
    ],
};

pub(super) const NOTIFY: Table = Table {
    name: "notify",
    repeated: false,
    comment: "Messages to recipients. Without gateway_url no door opens where we would tell the recipient.",
    keys: &[
        key(
            "gateway_url",
            "\"https://sms.fengchao.example/hook\"",
            "Our SMS gateway (Standard Webhooks). Default: none.",
        ),
        key(
            "secret_file",
            "\"keys/gateway.secret\"",
            "File with the secret that signs what we send to the gateway, mode 0600.",
        ),
        key(
            "secret_env",
            "\"INTERLOCK_GATEWAY_SECRET\"",
            "Or the environment variable that holds it.",
        ),
        key(
            "webhook_url",
            "\"https://erp.fengchao.example/interlock\"",
            "Our own systems (Standard Webhooks), told when agreements end soon. Default: none.",
        ),
        key(
            "webhook_secret_file",
            "\"keys/webhook.secret\"",
            "File with the secret that signs what they are told, mode 0600.",
        ),
        key(
            "webhook_secret_env",
            "\"INTERLOCK_WEBHOOK_SECRET\"",
            "Or the environment variable that holds it.",
        ),
        key(
            "virtual_number",
            "\"+8695000000\"",
            "The number behind which recipients' own are hidden, with an extension each. Default: none.",
        ),
        key(
            "virtual_pool",
            "\"+8617000000000-+8617000000999\"",
            "Numbers in a row of which each is bound to a partner that calls and a recipient (AXB); `virtual_number` serves where none is free. Default: none.",
        ),
        key(
            "virtual_callers",
            "[\"did:web:fengchao.example +8695000001\"]",
            "From which numbers partners call those: a call from any other reaches nobody. Our telephone system asks `POST /calls` whom to connect.",
        ),
        key(
            "courier_number",
            "\"+8695000001\"",
            "A locker operator's number behind which recipients reach the courier of their parcel, with an extension each; our telephone system asks `GET /calls/{extension}` whom to ring. Default: none.",
        ),
        key(
            "messenger",
            "\"did:web:sms.example\"",
            "A messenger to whom contacts are sealed, so that a partner passes on what it cannot read. Default: none.",
        ),
        key(
            "messenger_key",
            "\"0000000000000000000000000000000000000000000000000000000000000009\"",
            "Its key, as `interlock messenger key` prints it.",
        ),
        key(
            "language",
            "\"zh\"",
            "Language of messages and pages where a recipient has chosen none: zh, en.",
        ),
    ],
};

pub(super) const LOCKER: Table = Table {
    name: "locker",
    repeated: false,
    comment: "Rules of our lockers.",
    keys: &[
        key(
            "pickup_hours",
            "24",
            "How long a parcel waits before it is overdue.",
        ),
        key(
            "extension_hours",
            "24",
            "How many hours a recipient may add to that, once; 0: none.",
        ),
        key(
            "reservation_minutes",
            "5",
            "How long a compartment is held for a courier who has not closed its door.",
        ),
    ],
};

pub(super) const LIMITS: Table = Table {
    name: "limits",
    repeated: false,
    comment: "Limits of queues, bodies and times.",
    keys: limits::KEYS,
};

pub(super) const PARTNER: Table = Table {
    name: "partner",
    repeated: true,
    comment: "A partner, once for each. `interlock partner show` at its node prints these lines.",
    keys: &[
        key("id", "\"did:web:cainiao.example\"", "Its DID. Needed."),
        key("name", "\"Cainiao\"", "Its name. Needed."),
        key("roles", "[\"platform\"]", "What it does. Needed."),
        key(
            "exchange_url",
            "\"https://node.cainiao.example\"",
            "Where its exchange door is; of a connector, its Dataspace Protocol endpoints. Needed.",
        ),
        key(
            "key",
            "\"z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw\"",
            "Its public key, compared with the partner by another way. Needed.",
        ),
        key(
            "marketplaces",
            "[\"taobao\"]",
            "The marketplaces whose parcels it owns.",
        ),
        key(
            "carriers",
            "[\"sf\"]",
            "The carriers for which it speaks: its pre-advice decides whose their parcels are.",
        ),
        key(
            "certificate_pin",
            "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"",
            "SHA-256 of its TLS certificate. Default: an authority of tls.ca_file must vouch for it.",
        ),
        key(
            "connector",
            "true",
            "It runs a connector that is not Interlock: no manifest, no receipts. Default: false.",
        ),
        key(
            "connector_id",
            "\"BPNL00000007QWER\"",
            "What its connector calls itself in offers and agreements. Default: its id.",
        ),
        key(
            "parcel_data_without_manifest",
            "false",
            "true agrees with such a connector on parcel data too, which needs a manifest otherwise.",
        ),
        key(
            "static_token_file",
            "\"keys/kit.token\"",
            "Laboratory only: file with its fixed token, mode 0600.",
        ),
        key(
            "static_token_env",
            "\"INTERLOCK_KIT_TOKEN\"",
            "Or the environment variable that holds it.",
        ),
    ],
};

pub(super) const OFFER: Table = Table {
    name: "offer",
    repeated: true,
    comment: "An offer in our catalog, once for each.",
    keys: &[
        key("id", "\"locker-events-2017\"", "Its id. Needed."),
        key("dataset", "\"locker-events\"", "What is offered. Needed."),
        key(
            "policy_file",
            "\"offers/locker-events.json\"",
            "The terms as an ODRL policy in JSON.",
        ),
        key(
            "policy",
            "{ permission = [{ action = \"use\" }] }",
            "Or the policy here, as a table [offer.policy].",
        ),
        key(
            "audience",
            "[\"did:web:cainiao.example\"]",
            "Who may see it. Default: every partner.",
        ),
        key(
            "auto_accept",
            "false",
            "true agrees with whoever accepts it unchanged; false asks our people.",
        ),
    ],
};

/// All tables, in the order of the file.
pub(super) const TABLES: [&Table; 9] = [
    &PARTICIPANT,
    &LISTEN,
    &TLS,
    &STORE,
    &NOTIFY,
    &LOCKER,
    &LIMITS,
    &PARTNER,
    &OFFER,
];
