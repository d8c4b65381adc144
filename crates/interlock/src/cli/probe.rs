//! What `check` looks at beyond the configuration: journal, keys, disk and clock.
//!
//! INVARIANT: nothing of the node's is changed, and a running node is not disturbed: the journal and
//! keys are read beside it, and the disk is tried with a file of our own that is removed again.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use http::{Method, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use interlock_core::ids::ParticipantId;
use interlock_core::time::{SECOND_MS, Timestamp};
use interlock_journal::disk::RealDisk;
use interlock_journal::journal::{Met, visit};
use interlock_journal::keyslots::KeySlots;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::client::send;
use super::offline::Check;
use crate::config::Config;
use crate::driver::clock::{Clock as _, SystemClock};
use crate::driver::file_store::read_record;
use crate::driver::node::{JOURNAL_DIR, KEYS_DIR};
use crate::identity::partner::Partner;
use crate::identity::tls::{self, Trust};
use crate::node::record::Record;
use crate::run;

/// How long a partner may take to answer, in milliseconds.
const ANSWER_TIMEOUT_MS: u64 = 3_000;
/// How many partners are asked for the time: each may take that long.
const ASKED_MAX: usize = 16;
/// What is written to try the disk, in bytes.
const PROBE_SIZE_BYTES: usize = 4_096;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The journal, and the partners that it names.
pub(super) fn store(dir: &Path) -> (Check, BTreeMap<ParticipantId, Partner>) {
    let shown = dir.display();
    let journal = dir.join(JOURNAL_DIR);
    let mut partners = BTreeMap::new();
    if !journal.exists() {
        let made = format!("`{shown}` is made at the first start");
        return (Check::good("store", made), partners);
    }
    let mut unreadable = 0_u64;
    let report = RealDisk::open_read_only(&journal).and_then(|mut disk| {
        visit(&mut disk, &mut |met| match met {
            Met::Record(header, body) => match read_record(header.kind, body) {
                Some(Record::Partner(partner)) => {
                    partners.insert(partner.id.clone(), *partner);
                }
                Some(Record::PartnerRemoved(id)) => {
                    partners.remove(&id);
                }
                Some(_) => {}
                None => unreadable += 1,
            },
            Met::Progress { .. } => {}
        })
    });
    let check = match report {
        Ok(report) if report.damage.is_empty() && unreadable == 0 => {
            Check::good("store", format!("`{shown}`, {} records", report.records))
        }
        Ok(_) => Check::bad(
            "store",
            format!("`{shown}` is damaged; `interlock journal verify` says where"),
        ),
        Err(error) => Check::bad(
            "store",
            format!("failed to read `{shown}`: {error}; check who may use it"),
        ),
    };
    (check, partners)
}

/// The keys of personal data, and the key under which they lie.
pub(super) fn keys(config: &Config) -> Check {
    let what = "content keys";
    let dir = config.store.dir.join(KEYS_DIR);
    let master = match run::master_key(config) {
        Ok(master) => master,
        Err(error) => return Check::bad(what, error),
    };
    if !dir.exists() {
        let shown = dir.display();
        return Check::good(what, format!("`{shown}` is made at the first start"));
    }
    let opened = RealDisk::open_read_only(&dir).map_err(|error| error.to_string());
    let hours = opened.and_then(|disk| {
        let mut keys = KeySlots::open(Box::new(disk), master).map_err(|e| e.to_string())?;
        keys.check_master().map_err(|e| e.to_string())?;
        keys.hours().map_err(|e| e.to_string())
    });
    Check::of(what, hours, |hours| {
        format!(
            "`{}`, keys that end in {} hours",
            dir.display(),
            hours.len()
        )
    })
}

/// Whether the disk takes a file and makes it durable, and how long that takes.
pub(super) fn disk(dir: &Path) -> Check {
    let what = "disk";
    if !dir.exists() {
        let shown = dir.display();
        return Check::good(what, format!("`{shown}` is made at the first start"));
    }
    let file = dir.join(format!("check-{}.tmp", std::process::id()));
    let clock = SystemClock::new(0);
    let began = clock.now().earliest;
    let written = fs::File::create_new(&file).and_then(|mut made| {
        made.write_all(&[0; PROBE_SIZE_BYTES])?;
        made.sync_all()
    });
    let took_ms = clock.now().earliest.since_ms(began);
    let removed = fs::remove_file(&file);
    let outcome = written.and(removed).map_err(|error| {
        format!(
            "`{}` takes no file: {error}; free space, and check who may write there",
            dir.display()
        )
    });
    Check::of(what, outcome, |()| {
        format!("{PROBE_SIZE_BYTES} bytes written and synced in {took_ms} ms")
    })
}

/// Our clock beside those of the partners that answer, by the `Date` of their answers.
pub(super) fn clock(config: &Config, partners: &[Partner]) -> Check {
    let what = "clock";
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Check::bad(what, format!("failed to start: {error}; try again")),
    };
    let ours = SystemClock::new(0);
    let mut ahead_ms = Vec::new();
    for partner in partners.iter().take(ASKED_MAX) {
        let asked = date_of(config, partner);
        let limit = Duration::from_millis(ANSWER_TIMEOUT_MS);
        let answer = runtime.block_on(async { tokio::time::timeout(limit, asked).await });
        if let Ok(Ok(theirs)) = answer {
            ahead_ms.push(theirs.since_ms(ours.now().earliest));
        }
    }
    compared(&mut ahead_ms, i64::from(config.limits.clock_limit_ms))
}

/// What partners' clocks say of ours: how far each was ahead, cut to whole seconds.
fn compared(ahead_ms: &mut [i64], limit_ms: i64) -> Check {
    let what = "clock";
    ahead_ms.sort_unstable();
    let Some(middle_ms) = ahead_ms.get(ahead_ms.len() / 2).copied() else {
        return Check::good(what, "no partner answered with a time to compare with");
    };
    let count = ahead_ms.len();
    // A date is cut to the second, and was under way.
    if (-limit_ms - SECOND_MS..=limit_ms).contains(&middle_ms) {
        return Check::good(what, format!("agrees with {count} partners"));
    }
    Check::bad(
        what,
        format!(
            "{count} partners say that ours is {} s {}, half of them more; check the time \
             synchronisation of this machine: beyond {limit_ms} ms nothing is released",
            middle_ms.abs() / SECOND_MS,
            if middle_ms > 0 { "behind" } else { "ahead" }
        ),
    )
}

/// The date of a partner's answer, whatever it answers.
async fn date_of(config: &Config, partner: &Partner) -> Result<Timestamp, Failure> {
    let url = &partner.exchange_url;
    let tcp = TcpStream::connect((url.host(), url.port())).await?;
    let request = Request::builder()
        .method(Method::GET)
        .uri("/.well-known/did.json")
        .header("host", url.host())
        .body(Full::new(Bytes::new()))?;
    let date = if url.is_https() {
        let trust = trusted(config, partner)?;
        let name = ServerName::try_from(url.host().to_owned())?;
        let connector = TlsConnector::from(tls::client_config(&trust)?);
        send(connector.connect(name, tcp).await?, request)
            .await?
            .date
    } else {
        send(tcp, request).await?.date
    };
    let date = date.ok_or("the answer has no date")?;
    let since = httpdate::parse_http_date(&date)?.duration_since(std::time::UNIX_EPOCH)?;
    Ok(Timestamp::from_millis(i64::try_from(since.as_millis())?))
}

fn trusted(config: &Config, partner: &Partner) -> Result<Trust, Failure> {
    let authorities = config.tls.ca_file.as_ref();
    let authorities = authorities.map(|file| tls::read_certificates(file));
    Ok(Trust {
        pins: partner.certificate_pin.into_iter().collect(),
        authorities: authorities.transpose()?.unwrap_or_default(),
    })
}

/// Partners of the configuration, then those of the journal that it does not name, each once.
pub(super) fn all_partners(
    config: &Config,
    journaled: BTreeMap<ParticipantId, Partner>,
) -> Vec<Partner> {
    let mut all: Vec<Partner> = config.partners.iter().map(|p| p.partner.clone()).collect();
    for (id, partner) in journaled {
        if !all.iter().any(|known| known.id == id) {
            all.push(partner);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_wrong_if_half_of_the_partners_say_so() {
        for (ahead_ms, good) in [
            (vec![], true),
            (vec![-900], true),
            (vec![-5_900, 4_900], true),
            (vec![600_000], false),
            (vec![-600_000, -600_500, 0], false),
            (vec![0, 600_000, -300], true),
        ] {
            let mut sorted = ahead_ms.clone();
            let check = compared(&mut sorted, 5_000);
            assert_eq!(check.good, good, "{ahead_ms:?}: {}", check.detail);
        }
    }
}
