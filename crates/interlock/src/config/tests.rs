use std::collections::BTreeSet;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::master_key::MasterKeySource;

const GOOD: &str = r#"
[participant]
id = "did:web:fengchao.example"
name = "Fengchao"
roles = ["locker-operator"]
"#;

const PARTNER: &str = r#"
[[partner]]
id = "did:web:cainiao.example"
name = "Cainiao"
roles = ["platform"]
exchange_url = "https://node.cainiao.example"
key = "z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw"
marketplaces = ["taobao"]
"#;

fn id() -> ParticipantId {
    ParticipantId::parse("did:web:fengchao.example").unwrap()
}

fn check(text: &str, expected: Expect) {
    let errors = Config::parse(text).unwrap_err();
    let lines: String = errors.iter().map(|error| format!("{error}\n")).collect();
    expected.assert_eq(&lines);
}

/// Checks `text` after the smallest good file.
fn check_added(text: &str, expected: Expect) {
    check(&format!("{GOOD}{text}"), expected);
}

#[test]
fn the_master_key_is_named_by_one_way_alone() {
    let of = |text: &str| {
        Config::parse(&format!("{GOOD}{text}"))
            .unwrap()
            .participant
            .master_key
    };
    assert_eq!(of(""), MasterKeySource::File);
    assert_eq!(
        of("master_key_env = \"KEY\"\n"),
        MasterKeySource::Env("KEY".into())
    );
    let command = MasterKeySource::Command {
        program: "/bin/unwrap".into(),
        arguments: vec!["a".into()],
        limit_s: 30,
    };
    let text = "master_key_command = [\"/bin/unwrap\", \"a\"]\n";
    assert_eq!(of(text), command);
    let MasterKeySource::Command { limit_s, .. } =
        of(&format!("{text}master_key_command_seconds = 5\n"))
    else {
        panic!("a command");
    };
    assert_eq!(limit_s, 5);
    check_added(
        "master_key_command_seconds = 0\n",
        expect![[r#"
            line 6: `master_key_command_seconds`: `0` is out of range; write a whole number from 1 to 600
            line 6: `master_key_command_seconds` says nothing without `master_key_command`; set both or none
        "#]],
    );
    check_added(
        "master_key_env = \"KEY\"\nmaster_key_command = [\"/bin/unwrap\"]\n",
        expect![[r#"
            line 7: `master_key_env` and `master_key_command` exclude each other; remove one of them
        "#]],
    );
    check_added(
        "master_key_command = []\n",
        expect![[r#"
            line 6: `master_key_command` names no program; write one, or remove the line
        "#]],
    );
}

#[test]
fn a_pool_of_numbers_has_callers_and_a_number_beside_it() {
    let of = |lines: &str| Config::parse(&format!("{GOOD}[notify]\n{lines}"));
    let pool = "virtual_pool = \"+8617000000000-+8617000000999\"\n";
    let callers = "virtual_callers = [\"did:web:cainiao.example +8695000077\"]\n";
    let number = "virtual_number = \"+8695000000\"\n";
    let whole = of(&format!("{pool}{callers}{number}")).unwrap().notify;
    assert_eq!(whole.virtual_pool.unwrap().ends().1, 8_617_000_000_999);
    let (phone, id) = whole.virtual_callers.iter().next().unwrap();
    assert_eq!(
        (phone.reveal(), id.as_str()),
        ("+8695000077", "did:web:cainiao.example")
    );
    for (lines, told) in [
        (
            format!("{pool}{number}"),
            "`virtual_pool` needs `virtual_callers`",
        ),
        (
            format!("{pool}{callers}"),
            "`virtual_pool` needs `virtual_number`",
        ),
        (
            format!("{callers}{number}"),
            "`virtual_callers` needs `virtual_pool`",
        ),
        (
            format!(
                "{pool}{number}virtual_callers = [\"did:web:a.example +8695000077\", \"did:web:b.example +8695000077\"]\n"
            ),
            "a number is there twice",
        ),
        (
            format!("{pool}{number}virtual_callers = [\"+8695000077\"]\n"),
            "not a partner and its number",
        ),
        (
            format!("virtual_pool = \"+8617000000000\"\n{callers}{number}"),
            "not a range of telephone numbers",
        ),
        (
            format!("{pool}{callers}virtual_number = \"+8617000000500\"\n"),
            "a number of `virtual_number` lies in `virtual_pool`",
        ),
        (
            format!("{pool}{callers}{number}courier_number = \"+8617000000999\"\n"),
            "a number of `courier_number` lies in `virtual_pool`",
        ),
        (
            format!("{pool}{number}virtual_callers = [\"did:web:a.example +8617000000000\"]\n"),
            "a number of `virtual_callers` lies in `virtual_pool`",
        ),
    ] {
        let errors = of(&lines).unwrap_err();
        let errors: String = errors.iter().map(|error| format!("{error}\n")).collect();
        assert!(errors.contains(told), "{told}: {errors}");
        assert!(
            !errors.contains("95000077") && !errors.contains("17000000500"),
            "{errors}"
        );
    }
}

#[test]
fn the_smallest_file() {
    let config = Config::parse(GOOD).unwrap();
    assert_eq!(config.participant.zone, Zone::CHINA);
    assert_eq!(config.listen.exchange_url.as_str(), "http://127.0.0.1:8440");
    assert_eq!(config.listen.public_url.as_str(), "http://127.0.0.1:8442");
    assert!(!config.listen.allow_plain_http_beyond_loopback);
    assert!(!config.listen.allow_static_tokens_for_laboratory);
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.locker.pickup_hours, 24);
    assert_eq!(config.notify.gateway, None);
}

// tidy: long, one snapshot a mistake
#[test]
fn a_full_file() {
    let text = format!(
        r#"{GOOD}marketplaces = ["jd"]
zone = "Z"
[listen]
exchange = "https://0.0.0.0:8443"
metrics = "http://[::1]:9000"
exchange_url = "https://node.fengchao.example/"
allow_static_tokens_for_laboratory = true
[tls]
certificate_file = "tls.crt"
key_file = "/etc/tls.key"
ca_file = "ca.pem"
[store]
dir = "journal"
[notify]
gateway_url = "https://sms.example/hook"
secret_env = "GATEWAY_SECRET"
webhook_url = "https://erp.example/interlock"
webhook_secret_file = "webhook.secret"
language = "en"
[locker]
pickup_hours = 48
[limits]
poll_wait_ms = 0x10_0000
{PARTNER}certificate_pin = "sha256:{pin}"
static_token_file = "kit.token"
[[offer]]
id = "events"
dataset = "locker-events"
policy_file = "events.json"
[[offer]]
id = "stations"
dataset = "locker-stations"
audience = ["did:web:cainiao.example"]
auto_accept = true
[offer.policy]
"@type" = "Offer"
permission = [{{ action = "use", n = 5, x = 1.5, until = 2017-06-01T00:00:00+08:00 }}]
"#,
        pin = "ab".repeat(32)
    );
    let mut config = Config::parse(&text).unwrap();
    config.resolve_paths(Path::new("/srv/node"));
    assert_eq!(
        config.participant.key_file,
        Path::new("/srv/node/keys/node.pem")
    );
    assert_eq!(config.store.dir, Path::new("/srv/node/journal"));
    assert!(config.listen.exchange.tls && !config.listen.metrics.tls);
    let server = config.tls.server.as_ref().unwrap();
    assert_eq!(server.certificate_file, Path::new("/srv/node/tls.crt"));
    assert_eq!(server.key_file, Path::new("/etc/tls.key"));
    assert_eq!(
        config.tls.ca_file.as_deref(),
        Some(Path::new("/srv/node/ca.pem"))
    );
    let gateway = config.notify.gateway.as_ref().unwrap();
    assert_eq!(gateway.secret, SecretSource::Env("GATEWAY_SECRET".into()));
    let systems = config.notify.systems.as_ref().unwrap();
    assert_eq!(systems.url.as_str(), "https://erp.example/interlock");
    assert_eq!(
        systems.secret,
        SecretSource::File("/srv/node/webhook.secret".into())
    );
    assert_eq!(config.notify.language, Language::En);
    assert_eq!(config.locker.pickup_hours, 48);
    assert_eq!(config.limits.poll_wait_ms, 1_048_576);
    let partner = &config.partners[0];
    assert_eq!(partner.partner.roles, [Role::Platform]);
    assert_eq!(
        partner.static_token,
        Some(SecretSource::File("/srv/node/kit.token".into()))
    );
    assert_eq!(
        config.offers[0].policy,
        PolicySource::File("/srv/node/events.json".into())
    );
    assert!(config.offers[1].auto_accept);
    let PolicySource::Inline(policy) = &config.offers[1].policy else {
        panic!("a policy in the file");
    };
    let wanted = serde_json::json!({
        "@type": "Offer",
        "permission": [{ "action": "use", "n": 5, "x": 1.5, "until": "2017-06-01T00:00:00+08:00" }],
    });
    assert_eq!(*policy, wanted);
}

#[test]
fn the_file_of_init_is_accepted_and_complete() {
    let name = "Feng \"chao\" \\ 丰巢";
    let ports = Ports {
        exchange: 1,
        local: 2,
        public: 3,
        metrics: 4,
    };
    for role in Role::ALL {
        let text = Config::template(&id(), name, role, ports);
        let config = Config::parse(&text).unwrap();
        assert_eq!(config.participant.name, name);
        assert_eq!(config.participant.roles, [role]);
        assert_eq!(config.listen.metrics.address.port(), 4);
        for table in schema::TABLES {
            assert!(text.contains(&format!("[{}]", table.name)));
            for key in table.keys {
                assert!(text.contains(&format!("{} = ", key.name)), "{}", key.name);
            }
        }
    }
}

/// Each commented key, taken alone, is what its table takes; what is shown as a default is one.
#[test]
fn the_examples_of_the_file_are_true() {
    let defaults = Config::parse(GOOD).unwrap();
    for table in schema::TABLES {
        for key in table.keys {
            let text = match table.name {
                "participant" => continue,
                "partner" if PARTNER.contains(&format!("\n{} =", key.name)) => continue,
                "partner" => format!("{GOOD}{PARTNER}{} = {}", key.name, key.example),
                "offer" => format!("{GOOD}[[offer]]\n{} = {}", key.name, key.example),
                _ => format!("{GOOD}[{}]\n{} = {}", table.name, key.name, key.example),
            };
            match Config::parse(&text) {
                Ok(config) if !table.repeated && !key.comment.contains("Default") => {
                    let secret = key.name.starts_with("secret_");
                    assert!(secret || config == defaults, "{}.{}", table.name, key.name);
                }
                Ok(_) => {}
                Err(errors) => {
                    let combinations = errors.iter().all(|error| {
                        matches!(
                            error.kind,
                            ConfigErrorKind::Combination(_) | ConfigErrorKind::Missing { .. }
                        )
                    });
                    assert!(combinations, "{}.{}: {errors:?}", table.name, key.name);
                }
            }
        }
    }
}

#[test]
fn keys_have_one_name_a_table() {
    for table in schema::TABLES {
        let names: BTreeSet<&str> = table.keys.iter().map(|key| key.name).collect();
        assert_eq!(names.len(), table.keys.len(), "{}", table.name);
    }
}

#[test]
fn an_empty_file_says_what_is_needed() {
    check(
        "",
        expect![[r#"
        line 1: `[participant]` has no `id`; write the DID, such as `id = "did:web:fengchao.example"`
        line 1: `[participant]` has no `name`; write the name that people know, such as `name = "Fengchao"`
        line 1: `[participant]` has no `roles`; write at least one, such as `roles = ["locker-operator"]`
    "#]],
    );
}

#[test]
fn unknown_keys_name_the_nearest() {
    check_added(
        "[listen]\nexchang = \"x\"\nzone = \"Z\"\n[lissten]\n[limits]\npoll_wait = 1\n[[partners]]\n[[offer]]\nautoaccept = true\n",
        expect![[r#"
            line 7: `exchang` is no key of `[listen]`; did you mean `exchange`?
            line 8: `zone` is no key of `[listen]`; it belongs to `[participant]`
            line 9: `lissten` is no key of the file; did you mean `listen`?
            line 11: `poll_wait` is no key of `[limits]`; did you mean `poll_wait_ms`?
            line 12: `partners` is no key of the file; did you mean `partner`?
            line 13: `[[offer]]` has no `id`; write an id of your own, such as `id = "locker-events-2017"`
            line 13: `[[offer]]` has no `dataset`; write what is offered, such as `dataset = "locker-events"`
            line 13: `[[offer]]` has no `policy`; write the terms there as ODRL, or name a file with `policy_file`
            line 14: `autoaccept` is no key of `[[offer]]`; did you mean `auto_accept`?
        "#]],
    );
    check(
        "id = \"did:web:a.example\"\nfrobnicate = 1",
        expect![[r#"
            line 1: `id` is no key of the file; it belongs to `[participant]`
            line 1: `[participant]` has no `id`; write the DID, such as `id = "did:web:fengchao.example"`
            line 1: `[participant]` has no `name`; write the name that people know, such as `name = "Fengchao"`
            line 1: `[participant]` has no `roles`; write at least one, such as `roles = ["locker-operator"]`
            line 2: `frobnicate` is no key of the file; did you mean `participant`?
        "#]],
    );
}

#[test]
fn wrong_types_and_values() {
    check(
        r#"
participant = 7
listen = [1]
store = { dir = 1, dri = 2 }
partner = { id = "x" }
offer = ["x"]
"#,
        expect![[r#"
            line 2: `participant` is a whole number; write one table `[participant]`
            line 2: `[participant]` has no `id`; write the DID, such as `id = "did:web:fengchao.example"`
            line 2: `[participant]` has no `name`; write the name that people know, such as `name = "Fengchao"`
            line 2: `[participant]` has no `roles`; write at least one, such as `roles = ["locker-operator"]`
            line 3: `listen` is a list; write one table `[listen]`
            line 4: `dri` is no key of `[store]`; did you mean `dir`?
            line 4: `dir` is a whole number; write a string in quotes
            line 5: `partner` is a table; write tables `[[partner]]`
            line 6: `offer` is a string; write tables `[[offer]]`
        "#]],
    );
    check(
        r#"[participant]
id = "fengchao"
name = ""
roles = ["locker-operater", 5]
marketplaces = "taobao"
zone = "Asia/Shanghai"
key_file = ""
[listen]
exchange = "127.0.0.1:8440"
local = "http://localhost:8441"
public = "ftp://127.0.0.1:1"
metrics = "http://127.0.0.1:0"
exchange_url = "node.example"
allow_plain_http_beyond_loopback = "true"
[notify]
language = "de"
[locker]
pickup_hours = -1
reservation_minutes = 1.5
[limits]
clock_leeway_ms = 5001
poll_wait_ms = 99999999999999999999
"#,
        expect![[r#"
            line 2: `id`: `fengchao` is no participant id: write a DID such as `did:web:fengchao.example`
            line 3: `name`: not a name; write 1 to 100 characters on one line
            line 4: `roles`: `locker-operater` is no role; write `platform`, `locker-operator`, `carrier`, `regulator`, `messenger`
            line 4: `roles` is a whole number; write strings in the list
            line 5: `marketplaces` is a string; write a list of strings, such as `["a", "b"]`
            line 6: `zone`: `Asia/Shanghai` is no zone offset; write `+08:00` or `Z`
            line 7: `key_file`: the path is empty; write one, or remove the line
            line 9: `exchange`: `127.0.0.1:8440` is no door; write `http://` or `https://`, an IP address and a port, such as `http://127.0.0.1:8440`
            line 10: `local`: `http://localhost:8441` is no door; write `http://` or `https://`, an IP address and a port, such as `http://127.0.0.1:8440`
            line 11: `public`: `ftp://127.0.0.1:1` is no door; write `http://` or `https://`, an IP address and a port, such as `http://127.0.0.1:8440`
            line 12: `metrics`: `http://127.0.0.1:0` is no door; write `http://` or `https://`, an IP address and a port, such as `http://127.0.0.1:8440`
            line 13: `exchange_url`: `node.example` is no base address; write `https://host`, `https://host:port` or with a path, without user, query and fragment
            line 14: `allow_plain_http_beyond_loopback` is a string; write `true` or `false`
            line 16: `language`: `de` is no language of messages; write `zh` or `en`
            line 18: `pickup_hours`: `-1` is out of range; write a whole number from 1 to 168
            line 19: `reservation_minutes` is a number with a fraction; write a whole number from 1 to 15
            line 21: `clock_leeway_ms`: `5001` is out of range; write a whole number from 0 to 5000
            line 22: `poll_wait_ms`: `99999999999999999999` is out of range; write a whole number from 1000 to 86400000
        "#]],
    );
}

#[test]
fn partners_and_offers_are_checked() {
    let shared = PARTNER.replace("cainiao.example\"\nname", "jd.example\"\nname");
    check_added(
        &format!("{PARTNER}{PARTNER}{shared}"),
        expect![[r#"
        line 16: `did:web:cainiao.example` is a partner already; remove it first, or change its entry
        line 24: the key of `did:web:jd.example` is also the key of `did:web:cainiao.example`; each partner needs its own, ask which of them holds it
    "#]],
    );
    check_added(
        &PARTNER
            .replace("did:web:cainiao.example", "did:web:fengchao.example")
            .replace("https:", "http:"),
        expect![[r#"
            line 8: `did:web:fengchao.example` is this node itself; remove the entry
            line 11: `exchange_url` would use plain HTTP beyond this machine; write `https://`, or `allow_plain_http_beyond_loopback = true` in `[listen]`
        "#]],
    );
    check_added(
        r#"
[[partner]]
key = "z6Mkbad"
certificate_pin = "sha256:ab"
[[offer]]
[[offer]]
id = "a b"
dataset = "lockers"
policy = "use"
audience = ["fengchao"]
[[offer]]
id = "a"
dataset = "pre-advice"
policy_file = "a.json"
policy = { x = inf }
[[offer]]
id = "a"
dataset = "pre-advice"
policy_file = "a.json"
[[offer]]
id = "a"
dataset = "pre-advice"
policy_file = "a.json"
"#,
        expect![[r#"
            line 7: `[[partner]]` has no `id`; write the DID, such as `id = "did:web:fengchao.example"`
            line 7: `[[partner]]` has no `name`; write the name that people know, such as `name = "Fengchao"`
            line 7: `[[partner]]` has no `roles`; write at least one, such as `roles = ["locker-operator"]`
            line 7: `[[partner]]` has no `exchange_url`; write the address of its exchange door, such as `exchange_url = "https://node.cainiao.example"`
            line 8: `key`: `z6Mkbad...` is no public key; write Ed25519 as multibase (`z6Mk...`), 64 hexadecimal digits or a JWK with `kty` `OKP` and `crv` `Ed25519`
            line 9: `certificate_pin`: `sha256:ab` is no pin of a certificate; write `sha256:` and 64 hexadecimal digits
            line 10: `[[offer]]` has no `id`; write an id of your own, such as `id = "locker-events-2017"`
            line 10: `[[offer]]` has no `dataset`; write what is offered, such as `dataset = "locker-events"`
            line 10: `[[offer]]` has no `policy`; write the terms there as ODRL, or name a file with `policy_file`
            line 12: `id`: `a b` is no identifier: use printable ASCII without spaces, at most 256 characters
            line 13: `dataset`: `lockers` is no dataset; write one of `pre-advice`, `recipient-contact`, `locker-events`, `pickup-code`, `locker-stations`, `tracking-events`, `cooperation-status`, `exchange-statistics`
            line 14: `policy` is a string; write a table, such as `[offer.policy]`
            line 15: `audience`: `fengchao` is no participant id: write a DID such as `did:web:fengchao.example`
            line 19: `policy_file` and `policy` exclude each other; remove one of them
            line 20: `policy`: it holds a number that JSON does not know; write a finite one of 64 bits
            line 22: `a` is the id of another offer too; give each its own
            line 26: `a` is the id of another offer too; give each its own
        "#]],
    );
}

#[test]
fn secrets_are_never_in_the_file_or_in_a_message() {
    let text = format!(
        r#"{GOOD}
[store]
url = "postgres://node:hunter2@db/interlock"
[notify]
gateway_url = "https://sms.example"
secret = "hunter2"
secret_env = "hunter2 !"
{PARTNER}static_token = "hunter2"
"#
    );
    check(
        &text,
        expect![[r#"
        line 8: this version keeps its store in files and has no PostgreSQL; remove `url` and set `dir`
        line 11: `secret` would hold a secret in this file; remove it, consider it as known to others, and name a file that only the node's user may read (`secret_file`) or an environment variable (`secret_env`)
        line 12: `secret_env`: not the name of an environment variable; write its name (letters, digits, `_`), never the secret
        line 21: `static_token` would hold a secret in this file; remove it, consider it as known to others, and name a file that only the node's user may read (`static_token_file`) or an environment variable (`static_token_env`)
    "#]],
    );
    let errors = Config::parse(&text).unwrap_err();
    assert!(!format!("{errors:?}").contains("hunter2"), "{errors:?}");
}

#[test]
fn laboratory_tokens_need_the_words() {
    let token = format!("{PARTNER}static_token_env = \"KIT_TOKEN\"\n");
    check_added(
        &token,
        expect![[r#"
        line 14: `static_token_env` is for laboratories: a fixed token proves neither sender nor content; remove it, or write `allow_static_tokens_for_laboratory = true` in `[listen]`
    "#]],
    );
    let allowed = format!("{GOOD}[listen]\nallow_static_tokens_for_laboratory = true\n{token}");
    assert!(Config::parse(&allowed).is_ok());
}

#[test]
fn plain_http_beyond_this_machine_needs_the_words() {
    let doors = r#"
[listen]
exchange = "http://10.0.0.1:8440"
public = "http://0.0.0.0:8442"
public_url = "http://pick.example"
[notify]
gateway_url = "http://sms.example"
secret_file = "s"
"#;
    check_added(
        doors,
        expect![[r#"
        line 8: `exchange` would speak plain HTTP beyond this machine; write `https://` and set `[tls]`, or `allow_plain_http_beyond_loopback = true` if a proxy in front of it does TLS
        line 9: `public` would speak plain HTTP beyond this machine; write `https://` and set `[tls]`, or `allow_plain_http_beyond_loopback = true` if a proxy in front of it does TLS
        line 10: `public_url` would use plain HTTP beyond this machine; write `https://`, or `allow_plain_http_beyond_loopback = true` in `[listen]`
        line 12: `gateway_url` would use plain HTTP beyond this machine; write `https://`, or `allow_plain_http_beyond_loopback = true` in `[listen]`
    "#]],
    );
    let allowed = doors.replace(
        "[notify]",
        "allow_plain_http_beyond_loopback = true\n[notify]",
    );
    assert!(Config::parse(&format!("{GOOD}{allowed}")).is_ok());
}

#[test]
fn combinations_are_checked() {
    check_added(
        "[listen]\nexchange = \"https://0.0.0.0:8443\"\nlocal = \"http://127.0.0.1:8442\"\n[tls]\nca_file = \"ca.pem\"\n[notify]\nsecret_file = \"a\"\nsecret_env = \"B\"\n",
        expect![[r#"
            line 6: `public` and `local` are both at `127.0.0.1:8442`; give each door its own port
            line 7: `exchange` is https but there is no certificate; set `certificate_file` and `key_file` in `[tls]`
            line 7: `exchange` listens on every address, so that the node does not know under which one others reach it; set `exchange_url`
            line 13: `secret_file` and `secret_env` exclude each other; remove one of them
        "#]],
    );
    check(
        &GOOD.replace("\"locker-operator\"", ""),
        expect![[r#"
        line 2: `[participant]` has no `roles`; write at least one, such as `roles = ["locker-operator"]`
    "#]],
    );
    check_added(
        "[tls]\nkey_file = \"a\"\n",
        expect![[r#"
        line 7: `certificate_file` and `key_file` need each other; set both
    "#]],
    );
}

#[test]
fn what_is_no_toml_is_said_with_its_line() {
    check(
        "[participant\nid = 1\n\n[listen]\nexchange =\n",
        expect![[r#"
            line 1: the file is no TOML: unclosed table, expected `]`
            line 5: the file is no TOML: string values must be quoted, expected literal string
        "#]],
    );
    check(
        "[listen]\nlocal = \"a\"\nlocal = \"b\"\n",
        expect![[r#"
        line 3: the file is no TOML: duplicate key
    "#]],
    );
    let long = format!("#{}", "x".repeat(CONFIG_BYTES_MAX));
    check(
        &long,
        expect![[r#"
        line 1: the file is no TOML: it is longer than 1048576 bytes; check that it is the right file
    "#]],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever the file holds, there is an answer, and a refusal says why.
    #[test]
    fn any_text_is_answered(text in "[\\[\\]a-z=\"{}\n ,.0-9]{0,200}") {
        match Config::parse(&text) {
            Ok(_) => prop_assert!(false, "a file without participant was accepted"),
            Err(errors) => prop_assert!(!errors.is_empty()),
        }
    }

    #[test]
    fn any_name_survives_the_template(name in "\\PC{1,50}") {
        prop_assume!(!name.trim().is_empty());
        let text = Config::template(&id(), &name, Role::Carrier, Ports::default());
        prop_assert_eq!(Config::parse(&text).unwrap().participant.name, name);
    }
}
