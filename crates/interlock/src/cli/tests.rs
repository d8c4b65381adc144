//! Commands against a door with a made-up node, and without any node.

use std::sync::{Arc, Mutex};

use expect_test::{expect, expect_file};
use interlock_core::ids::{IdempotencyKey, ParticipantId};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::*;
use crate::identity::api_key::ApiKey;
use crate::identity::private_file::tests::Scratch;
use crate::local_api::{Answering, Exporting, Seam, router};
use crate::node::io::{Digest, LocalAnswer, LocalRequest, Problem, Role};

type Script = fn(&LocalRequest) -> LocalAnswer;

/// A node that answers by a script.
struct Scripted {
    script: Script,
    asked: Mutex<Vec<LocalRequest>>,
}

impl Seam for Scripted {
    fn local(
        &self,
        _credential: Option<Digest>,
        _idempotency: Option<(IdempotencyKey, Digest)>,
        request: LocalRequest,
    ) -> Answering<'_> {
        let answer = (self.script)(&request);
        self.asked.lock().unwrap().push(request);
        Box::pin(async { answer })
    }

    fn role(&self, _credential: &Digest) -> Option<Role> {
        Some(Role::Admin)
    }

    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }

    fn evidence(&self, partner: Option<ParticipantId>) -> Exporting<'_> {
        let body = json!({ "about": partner.as_ref().map(ParticipantId::as_str) });
        Box::pin(async move { Ok(body.to_string().into_bytes()) })
    }
}

/// A served node; it ends with the runtime.
struct Served {
    node: Arc<Scripted>,
    url: String,
    _runtime: tokio::runtime::Runtime,
}

fn serve(script: Script) -> Served {
    let node = Arc::new(Scripted {
        script,
        asked: Mutex::default(),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = router(node.clone());
    runtime.spawn(async move { axum::serve(listener, router).await });
    Served {
        node,
        url,
        _runtime: runtime,
    }
}

fn ok(body: Value) -> LocalAnswer {
    LocalAnswer::Json { status: 200, body }
}

fn refusal(kind: &str, status: u16) -> LocalAnswer {
    LocalAnswer::Problem(Problem {
        kind: kind.into(),
        status,
        title: "no".into(),
        detail: "do something else".into(),
        errors: Vec::new(),
    })
}

/// What a command did.
pub(super) struct Done {
    pub(super) code: u8,
    pub(super) out: String,
    pub(super) err: String,
}

const PROGRAMS: Programs = Programs {
    run: |config| Err(CliError::Failed(format!("ran {}", config.participant.name))),
    demo: |arguments, json| {
        Err(CliError::Failed(format!(
            "demo {:?} {:?} {} {json}",
            arguments.parcels, arguments.until, arguments.stay
        )))
    },
};

pub(super) fn run_in(directory: &Path, key: bool, arguments: &str) -> Done {
    run_with(directory, key, arguments, "")
}

/// The same with something at standard input.
fn run_with(directory: &Path, key: bool, arguments: &str, input: &str) -> Done {
    let mut input = input.as_bytes();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let key = key.then(|| ApiKey::generate(&[9; 24]).reveal().to_owned());
    let around = Surroundings {
        directory: directory.into(),
        key: key.map(Zeroizing::new),
        input: &mut input,
        typed: false,
        out: &mut out,
        err: &mut err,
        terminal: false,
        programs: PROGRAMS,
    };
    let arguments = std::iter::once("interlock").chain(arguments.split_whitespace());
    let code = run(arguments.map(OsString::from), around);
    Done {
        code,
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8(err).unwrap(),
    }
}

/// Runs a command against a served node.
fn ask(served: &Served, arguments: &str) -> Done {
    ask_with(served, arguments, "")
}

/// The same with something at standard input.
fn ask_with(served: &Served, arguments: &str, input: &str) -> Done {
    let arguments = format!("{arguments} --url {}", served.url);
    run_with(Path::new("."), true, &arguments, input)
}

/// Runs a command that must do what is asked, and gives what was printed and what the node was asked.
#[track_caller]
fn pass(script: Script, arguments: &str) -> (String, LocalRequest) {
    let served = serve(script);
    let done = ask(&served, arguments);
    assert_eq!(done.code, 0, "{}", done.err);
    let request = served.node.asked.lock().unwrap().pop().unwrap();
    (done.out, request)
}

/// The pages of help, command by command.
fn reference() -> String {
    fn write(command: &mut clap::Command, name: &str, out: &mut String) {
        let name = format!("{name} {}", command.get_name());
        let name = name.trim();
        let help = command.render_long_help().to_string();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        let help = lines.join("\n");
        out.push_str(&format!(
            "\n## `{name}`\n\n```text\n{}\n```\n",
            help.trim_end()
        ));
        for inner in command.get_subcommands_mut() {
            if inner.get_name() != "help" {
                write(inner, name, out);
            }
        }
    }
    let mut command = Arguments::command();
    command.build();
    let mut out = String::from(
        "# Command line\n\nMade from the program's own help; a test keeps it so. Results go to \
         standard output, everything else\nto standard error.\n",
    );
    write(&mut command, "", &mut out);
    out
}

#[test]
fn the_reference_is_the_help() {
    expect_file!["../../../../docs/reference/cli.md"].assert_eq(&reference());
}

#[test]
fn usage_errors_are_two_and_help_is_zero() {
    let none = Path::new("/nonexistent");
    for (arguments, code) in [
        ("--help", 0),
        ("--version", 0),
        ("agreement --help", 0),
        ("", 2),
        ("fly", 2),
        ("catalog cainiao", 2),
        ("offer publish --dataset everything", 2),
        ("init d --id did:web:a.example --name A --role postman", 2),
        ("partner add --name A --role carrier", 2),
    ] {
        let done = run_in(none, true, arguments);
        assert_eq!(done.code, code, "{arguments}: {}", done.err);
        assert_eq!(done.out.is_empty(), code == 2, "{arguments}");
        assert_eq!(done.err.is_empty(), code == 0, "{arguments}");
    }
}

#[test]
fn completions_and_the_manual_are_printed() {
    let none = Path::new("/nonexistent");
    let man = run_in(none, false, "man");
    assert_eq!(man.code, 0);
    assert!(man.out.contains(".TH interlock"), "{}", man.out);
    for shell in ["bash", "zsh", "fish"] {
        let done = run_in(none, false, &format!("completions {shell}"));
        assert_eq!(done.code, 0);
        assert!(done.out.contains("interlock") && done.out.contains("journal"));
    }
}

const INIT: &str = "init node --id did:web:fengchao.example --name Fengchao --role locker-operator";

#[test]
fn init_makes_a_node_and_shows_its_key_once() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::new("cli-init");
    let done = run_in(&scratch.0, false, &format!("{INIT} --port 9440"));
    assert_eq!(done.code, 0, "{}", done.err);
    let shown = done
        .out
        .strip_prefix("export INTERLOCK_KEY=")
        .unwrap()
        .trim();
    let key = ApiKey::parse(shown).unwrap();
    assert!(!done.err.contains(shown));
    let dir = scratch.0.join("node");
    let stored = std::fs::read_to_string(dir.join(ADMIN_KEY_FILE)).unwrap();
    assert_eq!(stored.trim(), String::from(key.hash()));
    for file in [
        NODE_KEY_FILE,
        ADMIN_KEY_FILE,
        MASTER_KEY_FILE,
        "keys/tls.key",
    ] {
        let mode = std::fs::metadata(dir.join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let text = std::fs::read_to_string(dir.join("interlock.toml")).unwrap();
    let config = Config::parse(&text).unwrap();
    assert_eq!(config.listen.local.address.port(), 9441);
    assert!(
        done.err
            .contains("interlock partner add --id did:web:fengchao.example")
    );
    let again = run_in(&scratch.0, false, INIT);
    assert_eq!(again.code, 2);
    assert!(again.err.contains("exists already"), "{}", again.err);
    assert_eq!(
        std::fs::read_to_string(dir.join("interlock.toml")).unwrap(),
        text
    );
}

#[test]
fn init_takes_marketplaces_and_a_partner_shows_its_lines() {
    let scratch = Scratch::new("cli-show");
    let init = "init n --id did:web:cainiao.example --name Cainiao --role platform \
                --marketplace taobao --json";
    let done = run_in(&scratch.0, false, init);
    assert_eq!(done.code, 0, "{}", done.err);
    let made: Value = serde_json::from_str(&done.out).unwrap();
    let lines = run_in(&scratch.0, false, "partner show --config n/interlock.toml");
    assert_eq!(lines.code, 0, "{}", lines.err);
    assert!(
        lines.out.contains(made["key"].as_str().unwrap()),
        "{}",
        lines.out
    );
    assert!(lines.out.contains("marketplaces = [\"taobao\"]"));
    let text = std::fs::read_to_string(scratch.0.join("n/interlock.toml")).unwrap();
    let both = format!(
        "{text}\n{}",
        lines.out.replace("cainiao.example", "other.example")
    );
    assert_eq!(Config::parse(&both).unwrap().partners.len(), 1);
}

#[test]
fn run_and_demo_are_handed_over() {
    let scratch = Scratch::new("cli-run");
    run_in(&scratch.0, false, INIT);
    let done = run_in(&scratch.0, false, "run --config node/interlock.toml");
    assert_eq!((done.code, done.err.as_str()), (1, "error: ran Fengchao\n"));
    let done = run_in(&scratch.0, false, "run");
    assert_eq!(done.code, 2);
    assert!(done.err.contains("interlock init"), "{}", done.err);
    let done = run_in(
        &scratch.0,
        false,
        "demo --parcels p.csv --until 2017-06-03 --json",
    );
    assert_eq!(
        done.err,
        "error: demo \"p.csv\" Some(\"2017-06-03\") false true\n"
    );
}

#[test]
fn without_node_or_key_the_remedy_is_said() {
    let scratch = Scratch::new("cli-none");
    let done = run_in(&scratch.0, false, "status --url http://127.0.0.1:9");
    assert_eq!(done.code, 2);
    assert!(done.err.contains("INTERLOCK_KEY"), "{}", done.err);
    let done = run_in(&scratch.0, true, "status --url http://127.0.0.1:9");
    assert_eq!(done.code, 1);
    assert!(done.err.contains("interlock run"), "{}", done.err);
    let done = run_in(&scratch.0, true, "status --url http://node.example");
    assert_eq!(done.code, 2);
    assert!(done.err.contains("in the clear"), "{}", done.err);
    std::fs::write(scratch.0.join("key"), "il_").unwrap();
    let open = run_in(
        &scratch.0,
        false,
        "status --url http://127.0.0.1:9 --key-file key",
    );
    assert_eq!(open.code, 2, "others may read the file: {}", open.err);
}

#[test]
fn check_looks_at_keys_disk_and_the_partners_in_the_journal() {
    use crate::node::record::{RECORD_VERSION, Record};
    use interlock_core::time::Timestamp;
    use interlock_journal::disk::RealDisk;
    use interlock_journal::journal::{Journal, NewRecord, Options};
    let scratch = Scratch::new("cli-probe");
    run_in(&scratch.0, false, INIT);
    let data = scratch.0.join("node/data");
    let rows = |code: u8| {
        let done = run_in(
            &scratch.0,
            false,
            "check --config node/interlock.toml --json",
        );
        assert_eq!(done.code, code, "{}{}", done.out, done.err);
        let value: Value = serde_json::from_str(&done.out).unwrap();
        value["checks"].as_array().unwrap().clone()
    };
    let good = |rows: &[Value], what: &str| {
        let row = rows.iter().find(|row| row["what"] == what);
        row.unwrap_or_else(|| panic!("no `{what}`: {rows:?}"))["good"].clone()
    };
    let mut partner = crate::identity::partner::tests::partner("did:web:gone.example", 9);
    partner.name = "gone".into();
    partner.exchange_url = crate::identity::url::BaseUrl::parse("http://127.0.0.1:9").unwrap();
    let record = Record::Partner(Box::new(partner));
    let body = postcard::to_allocvec(&record).unwrap();
    {
        let disk = Box::new(RealDisk::open(&data.join("journal")).unwrap());
        let (mut journal, _) = Journal::open(disk, Options::default(), &mut |_, _| {}).unwrap();
        let kind = u16::from_be_bytes([RECORD_VERSION, body[0]]);
        let time = Timestamp::from_millis(1);
        let new = NewRecord {
            kind,
            partition: 0,
            time,
            body: &body,
        };
        journal.append_group(&[new]).unwrap();
    }
    let found = rows(5);
    assert_eq!(
        good(&found, "partner gone"),
        false,
        "it is in the journal alone"
    );
    assert_eq!(good(&found, "disk"), true);
    assert_eq!(
        std::fs::read_dir(&data).unwrap().count(),
        1,
        "nothing is left behind"
    );
    // Keys that lie under another master key.
    std::fs::create_dir(data.join("keys")).unwrap();
    let mut keys = interlock_journal::keyslots::KeySlots::open(
        Box::new(RealDisk::open(&data.join("keys")).unwrap()),
        [7; 32].into(),
    )
    .unwrap();
    keys.check_master().unwrap();
    drop(keys);
    assert_eq!(good(&rows(2), "content keys"), false);
}

#[test]
fn check_and_journal_verify_need_no_node() {
    let scratch = Scratch::new("cli-check");
    run_in(&scratch.0, false, INIT);
    let done = run_in(&scratch.0, false, "check --config node/interlock.toml");
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    for what in ["signing key", "store", "content keys", "disk", "clock"] {
        assert!(done.out.contains(what), "{what}: {}", done.out);
    }
    let config = scratch.0.join("node/interlock.toml");
    let good = std::fs::read_to_string(&config).unwrap();
    let partner = "[[partner]]\nid = \"did:web:gone.example\"\nname = \"Gone\"\nroles = [\"carrier\"]\n\
                   exchange_url = \"http://127.0.0.1:9\"\n\
                   key = \"z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw\"\n";
    std::fs::write(&config, format!("{good}\n{partner}")).unwrap();
    let done = run_in(&scratch.0, false, "check --config node/interlock.toml");
    assert_eq!(done.code, 5, "{}", done.err);
    std::fs::remove_file(scratch.0.join("node").join(NODE_KEY_FILE)).unwrap();
    let done = run_in(
        &scratch.0,
        false,
        "check --config node/interlock.toml --json",
    );
    assert_eq!(done.code, 2, "{}", done.err);
    let value: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(value["checks"][1]["good"], false);
    std::fs::write(&config, good.replace("[participant]", "[participent]")).unwrap();
    let done = run_in(&scratch.0, false, "check --config node/interlock.toml");
    assert_eq!(done.code, 2);
    assert!(done.err.contains("`participant`"), "{}", done.err);
}

/// Two groups of one good record each, whose body is returned.
fn two_records(journal: &std::path::Path) -> Vec<u8> {
    use crate::node::record::{RECORD_VERSION, Record};
    use interlock_core::ids::WireId;
    use interlock_core::time::Timestamp;
    use interlock_journal::disk::RealDisk;
    use interlock_journal::journal::{Journal, NewRecord, Options};
    let disk = Box::new(RealDisk::open(journal).unwrap());
    let (mut journal, _) = Journal::open(disk, Options::default(), &mut |_, _| {}).unwrap();
    let withdrawn = Record::OfferWithdrawn(WireId::parse("urn:withdrawn").unwrap());
    let body = postcard::to_allocvec(&withdrawn).unwrap();
    let record = NewRecord {
        kind: u16::from_be_bytes([RECORD_VERSION, body[0]]),
        partition: 0,
        time: Timestamp::from_millis(5),
        body: &body,
    };
    for _ in 0..2 {
        journal.append_group(&[record]).unwrap();
    }
    body
}

#[test]
fn a_damaged_journal_is_four() {
    let scratch = Scratch::new("cli-journal");
    run_in(&scratch.0, false, INIT);
    let verify = "journal verify --config node/interlock.toml";
    assert_eq!(
        run_in(&scratch.0, false, verify).code,
        1,
        "there is none yet"
    );
    let dir = scratch.0.join("node/data/journal");
    let body = two_records(&dir);
    let done = run_in(&scratch.0, false, &format!("{verify} --json"));
    assert_eq!(done.code, 0, "{}", done.err);
    let report: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(
        (&report["records"], &report["damage"]),
        (&json!(2), &json!([]))
    );
    assert_eq!(report["good"], true);
    let segment = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let segment = segment
        .filter(|path| path.metadata().unwrap().len() > 0)
        .max()
        .unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes
        .windows(body.len())
        .position(|window| window == body)
        .unwrap();
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    // Named by the journal itself, by its store and by its node.
    for named in ["node", "node/data", "node/data/journal"] {
        let verify = format!("journal verify {named} --json");
        let done = run_in(&scratch.0, false, &verify);
        assert_eq!(done.code, 4, "{}{}", done.out, done.err);
        assert!(done.err.contains("restore a backup"), "{}", done.err);
        let report: Value = serde_json::from_str(&done.out).unwrap();
        let damage = &report["damage"][0];
        assert_eq!(report["good"], false);
        assert_eq!(
            (
                &damage["segment"],
                &damage["offset"],
                &damage["position"],
                &damage["kind"]
            ),
            (
                &json!("segment-0000000001.log"),
                &json!(64),
                &json!("1"),
                &json!("record")
            )
        );
        assert!(damage["meaning"].as_str().unwrap().contains("durable"));
    }
    let done = run_in(&scratch.0, false, "journal verify keys");
    assert_eq!(done.code, 2, "{}", done.err);
    assert!(done.err.contains("no journal in"), "{}", done.err);
}

#[test]
fn records_of_another_version_are_named() {
    use interlock_core::time::Timestamp;
    use interlock_journal::disk::RealDisk;
    use interlock_journal::journal::{Journal, NewRecord, Options};
    let scratch = Scratch::new("cli-journal-version");
    let disk = Box::new(RealDisk::open(&scratch.0.join("journal")).unwrap());
    let (mut journal, _) = Journal::open(disk, Options::default(), &mut |_, _| {}).unwrap();
    let record = NewRecord {
        kind: u16::from_be_bytes([200, 0]),
        partition: 0,
        time: Timestamp::from_millis(5),
        body: b"\0from the future",
    };
    journal.append_group(&[record]).unwrap();
    let done = run_in(&scratch.0, false, "journal verify journal --json");
    assert_eq!(done.code, 4, "{}", done.err);
    assert!(done.err.contains("from record 1 on"), "{}", done.err);
    let report: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(report["unreadable"], json!({ "records": 1, "first": "1" }));
    assert_eq!(
        (&report["damage"], &report["good"]),
        (&json!([]), &json!(false))
    );
}

#[test]
fn refusals_of_the_node_have_their_exit_codes() {
    for (script, code) in [
        ((|_| refusal("term-ended", 403)) as Script, 3),
        (|_| refusal("forbidden", 403), 1),
        (|_| refusal("not-found", 404), 1),
        (|_| refusal("invalid", 422), 2),
        (|_| refusal("partner-unreachable", 502), 5),
        (|_| refusal("busy", 503), 1),
    ] {
        let done = ask(&serve(script), "catalog did:web:sf.example");
        assert_eq!(done.code, code, "{}", done.err);
        assert_eq!(done.err, "error: no: do something else\n");
        assert!(done.out.is_empty());
    }
}

#[test]
fn a_denial_is_three_and_says_why() {
    let denial = |_: &LocalRequest| {
        ok(json!({ "decision": "denial", "reason": "term-ended",
            "sentence": { "en": "the term ended" } }))
    };
    let command = "explain --partner did:web:f.example --dataset locker-events \
                   --purpose delivery-tracking --waybill SF1234567890123";
    let done = ask(&serve(denial), command);
    assert_eq!(
        (done.code, done.err.as_str()),
        (3, "error: it would be denied: the term ended\n")
    );
    assert!(done.out.contains("term-ended"));
    let release = |_: &LocalRequest| ok(json!({ "decision": "release", "fields": ["step"] }));
    let (out, request) = pass(release, command);
    assert!(out.contains("release"));
    assert!(matches!(request, LocalRequest::Explain(explain)
        if explain.waybill.unwrap().carrier().as_str() == "sf"));
}

#[test]
fn a_call_is_asked_for_as_it_was_dialled() {
    let reached = |_: &LocalRequest| {
        ok(json!({ "phone": "+8613812341234", "until": "2017-06-08T00:00:00+08:00" }))
    };
    let dialled = r#"{"to": "+8695000000", "extension": "004711000815", "from": "+8695000001"}"#;
    let served = serve(reached);
    let done = ask_with(&served, "messenger call", dialled);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("+8613812341234"), "{}", done.out);
    let LocalRequest::ConnectCall(call) = served.node.asked.lock().unwrap().pop().unwrap() else {
        panic!("another request");
    };
    assert_eq!(call.to.reveal(), "+8695000000");
    assert_eq!(call.from.unwrap().reveal(), "+8695000001");
    assert_eq!(call.extension.unwrap().as_str(), "004711000815");
    let nobody = |_: &LocalRequest| refusal("not-found", 404);
    let bare = r#"{"to": "+8617000000001"}"#;
    let done = ask_with(&serve(nobody), "messenger call", bare);
    assert_eq!((done.code, done.out.as_str()), (1, ""));
}

#[test]
fn numbers_of_a_call_are_no_arguments_and_come_in_no_error() {
    let never = |_: &LocalRequest| -> LocalAnswer { panic!("the node was asked") };
    let call = r#"{"to": "+8613812341234"}"#;
    let served = serve(never);
    for (arguments, input) in [
        ("+8613812341234", call),
        ("+8613812341234 --from +8613812341234", call),
        ("--from +8613812341234", call),
        ("", ""),
        ("", "+8613812341234"),
        ("", "[\"+8613812341234\"]"),
        ("", r#"{"to": "+8613812341234""#),
        ("", r#"{"to": "13812341234x"}"#),
        ("", r#"{"to": "+8613812341234", "phone": "+8613812341234"}"#),
    ] {
        let command = format!("messenger call --url {} {arguments}", served.url);
        let done = run_with(Path::new("."), true, &command, input);
        assert_eq!((done.code, done.out.as_str()), (2, ""), "{}", done.err);
        assert!(!done.err.contains("1381234"), "{}", done.err);
        assert!(!done.err.is_empty());
    }
    let command = format!("messenger call --url {} +8613812341234", served.url);
    let done = run_with(Path::new("."), true, &command, call);
    assert!(done.err.contains("`ps`") && done.err.contains("standard input"));
}

#[test]
fn a_rehearsal_is_a_table_for_each_partner() {
    let script = |_: &LocalRequest| {
        let counts = |n: u32| {
            json!({ "parcels": n, "recipients": n, "merchants": 1,
            "recipientsNotTold": n, "eventsHeld": 0, "eventsDropped": 0, "trackingStale": n })
        };
        let seen =
            |message: &str, tracking: &str| json!({ "message": message, "tracking": tracking });
        ok(json!({
            "cooperations": [{ "partner": "did:web:f.example", "name": "Fengchao",
                "agreements": [{ "id": "a1", "dataset": "recipient-contact",
                    "provider": "did:web:c.example", "endsAt": "2017-07-01T00:00:00+08:00" }],
                "outcomes": { "nothing-signed": counts(2), "run-off-only": counts(1),
                    "temporary-agreement": counts(0) } }],
            "parcels": [{ "carrier": "sf", "number": "SF1234567890123", "merchant": "m1",
                "partner": "did:web:f.example", "outcomes": {
                    "nothing-signed": seen("nobody", "last-known"),
                    "run-off-only": seen("operator", "current") } }],
            "next": 1,
        }))
    };
    let (out, request) = pass(script, "rehearse --at 2017-07-01T01:00:00+08:00 --limit 1");
    expect![[r#"
        Fengchao (did:web:f.example)
        agreement  dataset            provider           ends                       run-off until  backlog
        a1         recipient-contact  did:web:c.example  2017-07-01T00:00:00+08:00  -              -

        if                   parcels  recipients  merchants  not told  events held  dropped  pages stale
        nothing signed       2        2           1          2         0            0        2
        run-off only         1        1           1          1         0            0        1
        temporary agreement  0        0           1          0         0            0        0

        parcel              merchant  partner            nothing signed                             run-off only
        sf/SF1234567890123  m1        did:web:f.example  no message: to the door, last known state  operator tells, tracked
        there may be more: add `--after 1`
    "#]]
    .assert_eq(&out);
    assert!(
        matches!(request, LocalRequest::Rehearse { at, after: 0, limit: 1 }
        if at.as_millis() == 1_498_842_000_000)
    );
    let wrong = ask(&serve(script), "rehearse --at midnight");
    assert_eq!(wrong.code, 2);
}

#[test]
fn tables_and_cards() {
    let agreements = |request: &LocalRequest| {
        if matches!(request, LocalRequest::GetAgreements) {
            return ok(json!({ "agreements": [{ "id": "a1",
                "partner": "did:web:f.example", "role": "provider", "dataset": "locker-events",
                "state": "IN_FORCE", "endsAt": "2017-07-01T00:00:00+08:00", "daysLeft": 3,
                "assurance": "signed", "waitingForPartner": null }] }));
        }
        if matches!(request, LocalRequest::GetTransfers) {
            return ok(json!({ "transfers": [{ "id": "t1", "state": "STARTED",
                "waitingForPartner": null }] }));
        }
        ok(json!({ "negotiations": [
            { "id": "n1", "state": "FINALIZED" },
            { "id": "n2", "state": "REQUESTED", "partner": "did:web:f.example",
              "role": "provider", "dataset": "pre-advice", "waitsForPeople": true,
              "assurance": "plain", "waitingForPartner": { "tries": 3,
              "lastError": "no answer in time", "nextTryAt": "2017-06-28T00:00:05+08:00" } },
        ] }))
    };
    let served = serve(agreements);
    let done = ask(&served, "agreement list");
    expect![[r#"
        agreement  partner            we are    dataset        state     ends                       days  assurance
        a1         did:web:f.example  provider  locker-events  IN_FORCE  2017-07-01T00:00:00+08:00  3     signed

        negotiation  partner            we are    dataset     state      assurance  waits for us
        n2           did:web:f.example  provider  pre-advice  REQUESTED  plain      yes

        waits for partner  state      tries  next try                   last error
        n2                 REQUESTED  3      2017-06-28T00:00:05+08:00  no answer in time
    "#]]
    .assert_eq(&done.out);
    let done = ask(&served, "agreement list --json");
    let value: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(value["negotiations"].as_array().unwrap().len(), 1);
}

#[test]
fn an_agreement_is_shown_in_plain_words_or_as_its_policy() {
    let agreement = |request: &LocalRequest| {
        if matches!(request, LocalRequest::GetProposals) {
            return ok(json!({ "proposals": [] }));
        }
        ok(
            json!({ "id": "urn:a", "state": "IN_FORCE", "policy": { "permission": [] },
            "summary": { "en": "Words.", "zh": "条款。" },
            "terms": [{ "key": "term", "class": "provider", "en": "until July", "zh": "至七月" }] }),
        )
    };
    let (out, request) = pass(agreement, "agreement show urn:a");
    assert!(matches!(request, LocalRequest::GetAgreement(id) if id.as_str() == "urn:a"));
    assert!(
        out.contains("Words.\n\n  until July  [enforced by the provider]\n"),
        "{out}"
    );
    let (out, _) = pass(agreement, "agreement show urn:a --zh");
    assert!(out.contains("条款。") && out.contains("至七月"), "{out}");
    let (out, _) = pass(agreement, "agreement show urn:a --odrl");
    assert_eq!(
        serde_json::from_str::<Value>(&out).unwrap(),
        json!({ "permission": [] })
    );
}

#[test]
fn an_offer_is_one_short_line() {
    use interlock_core::terms::parse_policy;
    let published = |_: &LocalRequest| ok(json!({ "terms": [] }));
    let (out, request) = pass(
        published,
        "offer publish --dataset locker-events --marketplace taobao --to did:web:c.example \
         --auto-accept --until 2030-07-01T00:00:00+08:00 --run-off P2D",
    );
    assert!(out.contains("`locker-events` is offered"));
    let LocalRequest::PublishOffer(offer) = request else {
        panic!("{request:?}");
    };
    assert!(offer.auto_accept);
    assert_eq!(offer.audience[0].as_str(), "did:web:c.example");
    let terms = parse_policy(
        &offer.policy,
        crate::node::agreements::approver::dataset_of(&offer.dataset).unwrap(),
    )
    .unwrap();
    assert_eq!(terms.run_off_ms, Some(2 * 86_400_000));
    let served = serve(published);
    let done = ask(&served, "offer publish --dataset locker-events");
    assert_eq!(done.code, 2);
    assert!(done.err.contains("--marketplace"), "{}", done.err);
    assert!(served.node.asked.lock().unwrap().is_empty());
}

#[test]
fn people_decide() {
    use crate::node::io::{AgreementChange, Decision};
    let done = |_: &LocalRequest| ok(json!({ "id": "x" }));
    let (_, request) = pass(done, "agreement approve n1");
    assert!(matches!(
        request,
        LocalRequest::Decide {
            decision: Decision::Approve,
            ..
        }
    ));
    let (_, request) = pass(done, "agreement reject n1 --reason no");
    assert!(matches!(
        request,
        LocalRequest::Decide {
            decision: Decision::Reject { .. },
            ..
        }
    ));
    let (_, request) = pass(done, "agreement propose did:web:sf.example o1 o2");
    assert!(matches!(request, LocalRequest::Propose { offers, .. } if offers.len() == 2));
    let at = "agreement terminate a1 --at 2017-07-01T00:00:00+08:00 --reason over";
    let (_, request) = pass(done, at);
    assert!(matches!(request, LocalRequest::ChangeAgreement {
        change: AgreementChange::Terminate { at, .. }, .. } if at.as_millis() == 1_498_838_400_000));
    let scratch = Scratch::new("cli-counter");
    let policy = scratch.0.join("policy.json");
    std::fs::write(&policy, "{\"permission\": []}").unwrap();
    let (_, request) = pass(
        done,
        &format!("agreement counter n1 --policy {}", policy.display()),
    );
    assert!(matches!(
        request,
        LocalRequest::Decide {
            decision: Decision::Counter { .. },
            ..
        }
    ));
}

#[test]
fn partners_are_added_by_flags_or_by_their_document() {
    use crate::identity::did::DidDocument;
    use crate::identity::keys::NodeKey;
    use crate::identity::url::BaseUrl;
    use interlock_core::ids::ParticipantId;
    let done = |_: &LocalRequest| ok(json!({}));
    let key = NodeKey::from_seed(&[3; 32]).public();
    let flags = format!(
        "partner add --id did:web:sf.example --name SF --role carrier --carrier sf \
         --exchange-url https://node.sf.example --key {}",
        key.to_hex()
    );
    let scratch = Scratch::new("cli-did");
    let file = scratch.0.join("did.json");
    let id = ParticipantId::parse("did:web:sf.example").unwrap();
    let url = BaseUrl::parse("https://node.sf.example").unwrap();
    let document = DidDocument::of_node(&id, key, &url).to_json();
    std::fs::write(&file, document.to_string()).unwrap();
    let by_document = format!(
        "partner add --name SF --role carrier --carrier sf --did-document {}",
        file.display()
    );
    for command in [flags, by_document] {
        let (_, request) = pass(done, &command);
        assert!(matches!(request, LocalRequest::AddPartner(partner)
            if partner.key == key && partner.id == id && partner.exchange_url == url
                && partner.carriers[0].as_str() == "sf"));
    }
}

#[test]
fn a_key_is_shown_in_the_form_of_the_environment() {
    let added = |_: &LocalRequest| LocalAnswer::Json {
        status: 201,
        body: json!({}),
    };
    let (out, _) = pass(added, "key add --name cabinet --role cabinet");
    assert_eq!(
        out,
        format!("export INTERLOCK_KEY=il_{}\n", "07".repeat(24))
    );
    let done = ask(&serve(added), "key add --name cabinet --role king");
    assert_eq!(done.code, 2);
    assert!(done.err.contains("/role: "), "{}", done.err);
}

#[test]
fn keys_are_listed_and_withdrawn() {
    let listed = |_: &LocalRequest| LocalAnswer::Json {
        status: 200,
        body: json!({ "keys": [{ "id": "0707070707070707", "name": "cabinet", "role": "cabinet",
            "addedAt": "2017-06-01T00:00:00+08:00" }] }),
    };
    let (out, request) = pass(listed, "key list");
    assert!(matches!(request, LocalRequest::GetKeys));
    assert!(out.contains("0707070707070707"), "{out}");
    let empty = |_: &LocalRequest| LocalAnswer::Json {
        status: 200,
        body: json!({}),
    };
    let (out, request) = pass(empty, "key withdraw 0707070707070707");
    assert_eq!(out, "key 0707070707070707 counts no more\n");
    assert!(
        matches!(request, LocalRequest::WithdrawKey(id) if id.to_string() == "0707070707070707")
    );
    assert_eq!(ask(&serve(empty), "key withdraw cabinet").code, 2);
}

#[test]
fn a_key_that_waits_is_said_to_listed_and_approved() {
    let added = |_: &LocalRequest| LocalAnswer::Json {
        status: 202,
        body: json!({ "id": "0808080808080808", "waits": true }),
    };
    let (out, _) = pass(added, "key add --name exchange --role telephone");
    let (key, waits) = out.split_once('\n').unwrap();
    assert_eq!(key, format!("export INTERLOCK_KEY=il_{}", "07".repeat(24)));
    assert_eq!(
        waits,
        "# it counts once another person has approved it: `interlock key approve 0808080808080808`\n"
    );
    let listed = |_: &LocalRequest| LocalAnswer::Json {
        status: 200,
        body: json!({ "keys": [], "waiting": [{ "id": "0808080808080808", "name": "exchange",
            "role": "telephone", "askedBy": "zhao", "askedAt": "2017-06-01T00:00:00+08:00" }] }),
    };
    let (out, _) = pass(listed, "key list");
    for said in [
        "no keys",
        "0808080808080808",
        "exchange",
        "telephone",
        "zhao",
    ] {
        assert!(out.contains(said), "{said}: {out}");
    }
    let (out, _) = pass(listed, "key list --json");
    let listed: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(listed["waiting"][0]["askedBy"], "zhao");
    let approved = |_: &LocalRequest| LocalAnswer::Json {
        status: 200,
        body: json!({ "id": "0808080808080808", "name": "exchange", "role": "telephone",
            "letInAlike": "admin" }),
    };
    let (out, request) = pass(approved, "key approve 0808080808080808");
    assert!(out.contains("exchange") && out.contains("admin"), "{out}");
    assert!(
        matches!(request, LocalRequest::ApproveKey(id) if id.to_string() == "0808080808080808")
    );
    assert_eq!(ask(&serve(approved), "key approve exchange").code, 2);
}

#[test]
fn the_help_names_the_roles_that_a_key_may_have() {
    let added = |_: &LocalRequest| LocalAnswer::Json {
        status: 201,
        body: json!({}),
    };
    let help = reference();
    let named = help.split("What it may do: ").nth(1).unwrap();
    let named: Vec<&str> = named.lines().next().unwrap().split(", ").collect();
    for role in Role::ALL {
        let command = format!("key add --name x --role {}", role.as_str());
        let taken = ask(&serve(added), &command).code == 0;
        assert_eq!(named.contains(&role.as_str()), taken, "{}", role.as_str());
    }
}
