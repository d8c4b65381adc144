//! Commands against a door with a made-up node, and without any node.

mod alone;
mod asked;

use std::sync::{Arc, Mutex};

use expect_test::expect_file;
use interlock_core::ids::{IdempotencyKey, ParticipantId};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::*;
use crate::identity::api_key::ApiKey;
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
    expect_file!["../../../../../docs/reference/cli.md"].assert_eq(&reference());
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
