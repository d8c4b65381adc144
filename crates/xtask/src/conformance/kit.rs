//! The kit: its jars, its settings, one run of it.
//!
//! INVARIANT: jars are those that `crates/xtask/conformance/pom.xml` names; they are resolved again when
//! it has changed. A run that does not end is ended. It does not judge what the kit found.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use super::node::{Addresses, KIT_TOKEN, NODE_ID};
use crate::now;

const SOURCES: &str = "crates/xtask/conformance";
/// How long the kit waits for one state, in seconds.
const WAIT_S: u32 = 15;
const RUN_MAX: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Test ids by kind: the prefix of the kit's settings, the prefix of our ids, the numbers.
const NEGOTIATIONS: [(&str, &str, &[&str]); 2] = [
    (
        "CN",
        "ACN",
        &[
            "0101", "0102", "0103", "0104", "0201", "0202", "0203", "0204", "0205", "0206", "0207",
            "0301", "0302", "0303", "0304",
        ],
    ),
    (
        "CN_C",
        "ACNC",
        &[
            "0101", "0102", "0103", "0104", "0201", "0202", "0203", "0204", "0205", "0206", "0301",
            "0302", "0303", "0304", "0305", "0306",
        ],
    ),
];
const TRANSFERS: [(&str, &str); 2] = [("TP", "ATP"), ("TP_C", "ATPC")];
const TRANSFER_TESTS: [&str; 16] = [
    "0101", "0102", "0103", "0104", "0105", "0201", "0202", "0203", "0204", "0205", "0301", "0302",
    "0303", "0304", "0305", "0306",
];
const CATALOGS: [&str; 3] = ["0101", "0102", "0103"];

/// The kit, ready to run.
pub(super) struct Kit {
    jars: PathBuf,
    launcher: PathBuf,
    place: PathBuf,
}

impl Kit {
    /// Has Maven fetch the jars, unless they are there.
    pub(super) fn resolve(root: &Path, place: &Path) -> anyhow::Result<Self> {
        let pom = root.join(SOURCES).join("pom.xml");
        let jars = place.join("jars");
        let wanted = std::fs::read_to_string(&pom)
            .with_context(|| format!("failed to read `{}`", pom.display()))?;
        // Written last: what it holds was resolved whole.
        let mark = place.join("jars.pom");
        if std::fs::read_to_string(&mark).ok().as_ref() != Some(&wanted) {
            eprintln!("resolving the kit from Maven Central");
            let _ = std::fs::remove_dir_all(&jars);
            fetch(&pom, &jars)?;
            std::fs::write(&mark, wanted).context("failed to note which kit is there")?;
        }
        Ok(Self {
            jars,
            launcher: root.join(SOURCES).join("RunKit.java"),
            place: place.into(),
        })
    }

    /// Holds the messages in one file against the schemas in the jars; the result goes to another.
    pub(super) fn validate(&self, messages: &Path, result: &Path) -> anyhow::Result<()> {
        let mut java = Command::new("java");
        java.arg("-cp").arg(self.jars.join("*"));
        java.arg(self.launcher.with_file_name("CheckMessages.java"));
        java.arg(messages).arg(result);
        let log = self.place.join("schemas.log");
        let errors = std::fs::File::create(&log).context("failed to create `schemas.log`")?;
        java.stdin(Stdio::null()).stderr(errors);
        if !java.status().context("failed to start java")?.success() {
            bail!("the schemas could not be checked; see {}", log.display());
        }
        Ok(())
    }

    /// Runs it with these settings; what it says goes to `kit.log`. Gives its result.
    pub(super) fn execute(&self, settings: &str) -> anyhow::Result<String> {
        let file = |name: &str| self.place.join(name);
        let (properties, result, log) =
            (file("kit.properties"), file("result.txt"), file("kit.log"));
        std::fs::write(&properties, settings).context("failed to write the kit's settings")?;
        if result.exists() {
            std::fs::remove_file(&result).context("failed to remove an old result")?;
        }
        let output = std::fs::File::create(&log).context("failed to create `kit.log`")?;
        let errors = output.try_clone().context("failed to share `kit.log`")?;
        let mut java = Command::new("java");
        java.arg("-cp").arg(self.jars.join("*")).arg(&self.launcher);
        java.arg(&properties).arg(&result);
        java.stdin(Stdio::null()).stdout(output).stderr(errors);
        let mut child = java.spawn().context("failed to start java")?;
        eprintln!("running the kit");
        let begin = now();
        let status = loop {
            if let Some(status) = child.try_wait().context("failed to watch the kit")? {
                break status;
            }
            if begin.elapsed() > RUN_MAX {
                // Nothing to do about a failure: the process is then already gone.
                let _ = child.kill();
                let _ = child.wait();
                bail!(
                    "the kit did not end in {} s; see {}",
                    RUN_MAX.as_secs(),
                    log.display()
                );
            }
            std::thread::sleep(LOOK_EVERY);
        };
        if !status.success() {
            bail!("the kit ended with {status}; see {}", log.display());
        }
        std::fs::read_to_string(&result)
            .with_context(|| format!("the kit left no result; see {}", log.display()))
    }
}

fn fetch(pom: &Path, jars: &Path) -> anyhow::Result<()> {
    let mut maven = Command::new("mvn");
    maven
        .args(["-q", "-B", "dependency:copy-dependencies", "-f"])
        .arg(pom);
    maven.arg(format!("-DoutputDirectory={}", jars.display()));
    let status = maven.stdin(Stdio::null()).status();
    if !status.context("failed to start mvn")?.success() {
        bail!("Maven could not resolve the kit; is Maven Central, or a mirror of it, reachable?");
    }
    Ok(())
}

/// Settings for the kit's own connector.
pub(super) fn alone() -> String {
    "dataspacetck.dsp.local.connector=true\n".into()
}

/// Settings for a node at these addresses.
pub(super) fn against(addresses: &Addresses) -> String {
    let Addresses {
        exchange,
        control,
        kit,
        ..
    } = addresses;
    let mut lines = vec![
        "dataspacetck.dsp.local.connector=false".into(),
        format!("dataspacetck.port={}", kit.port()),
        format!("dataspacetck.callback.address=http://{kit}"),
        format!("dataspacetck.dsp.connector.agent.id={NODE_ID}"),
        format!("dataspacetck.dsp.connector.http.url=http://{exchange}/dsp"),
        format!("dataspacetck.dsp.connector.http.base.url=http://{exchange}"),
        format!("dataspacetck.dsp.connector.http.headers.authorization={KIT_TOKEN}"),
        format!(
            "dataspacetck.dsp.connector.negotiation.initiate.url=http://{control}/negotiations"
        ),
        format!("dataspacetck.dsp.connector.transfer.initiate.url=http://{control}/transfers"),
        format!("dataspacetck.dsp.default.wait={WAIT_S}"),
    ];
    for (kit, ours, tests) in NEGOTIATIONS {
        for test in tests {
            let (key, id) = (key(kit, test), format!("{ours}{test}"));
            lines.push(format!("{key}_DATASETID={id}"));
            lines.push(format!("{key}_OFFERID=CD123:{id}:456"));
        }
    }
    for (kit, ours) in TRANSFERS {
        for test in TRANSFER_TESTS {
            let key = key(kit, test);
            lines.push(format!("{key}_AGREEMENTID={ours}{test}"));
            lines.push(format!("{key}_FORMAT=HttpData-PULL"));
        }
    }
    for test in CATALOGS {
        lines.push(format!("{}_DATASETID=CAT{test}", key("CAT", test)));
    }
    lines.join("\n") + "\n"
}

/// `CN_01_02` for test 0102 of `CN`.
fn key(kit: &str, test: &str) -> String {
    let (group, number) = test.split_at_checked(2).unwrap_or((test, ""));
    format!("{kit}_{group}_{number}")
}
