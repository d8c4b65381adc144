//! Commands that ask no node: what they make, look at and hand over.

use serde_json::{Value, json};

use super::*;
use crate::identity::private_file::tests::Scratch;

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
