//! The demo on a few parcels: what its report promises, and that personal data is nowhere but where a
//! term says so.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use interlock::demo::{Counts, Options, Report, Source, replay};

/// Every invented recipient's number begins so (see the demo's parcels); a label or message never does.
const CANARY: &str = "1990000";
/// And every name.
const CANARY_NAME: &str = "测试收件人";

/// A directory that is removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("interlock-it-demo-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack
        .windows(needle.len())
        .any(|w| w == needle.as_bytes())
}

/// Calls `look` for every file below `root`.
fn walk(root: &Path, look: &mut dyn FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, look);
        } else {
            look(&path, &fs::read(&path).unwrap());
        }
    }
}

fn assert_promises(report: &Report) {
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.parcels, 200);
    assert_eq!(
        (
            report.events_lost,
            report.events_duplicate,
            report.events_out_of_order,
            report.messages_duplicate
        ),
        (0, 0, 0, 0)
    );
    assert_eq!(report.messages_sent, report.deposits);
    assert_eq!(
        report.picked_up, report.deposits,
        "nobody was left without a code"
    );
    assert_eq!(
        report.events_delivered + report.held_at_end,
        report.events_accepted
    );
    assert!(report.deposits > 150, "{}", report.deposits);
    assert_eq!(report.rival_parcels_seen.len(), 7);
    assert!(report.rival_parcels_seen.values().all(|count| *count == 0));
    assert!(report.evidence.verified && report.evidence.pairs == 12);
    assert!(report.held_at_cut > 0, "something waited during the cut");
    assert_eq!(report.held_at_cut, report.drained);
    assert!(report.held_at_end > 0, "nothing follows the end of June");
    assert!(report.holds());
}

/// The same weeks under terms as in 2017: what the interfaces of that year lost.
fn assert_as_in_2017(report: &Report) {
    let (with, without) = (&report.interlock, &report.as_in_2017);
    assert_eq!(with.parcels, without.parcels, "the same parcels");
    assert!(without.deposits < with.deposits);
    assert!(without.deposits_refused > with.deposits_refused);
    assert_eq!(without.messages_sent, without.deposits);
    assert_eq!((without.held, with.events_lost), (0, 0));
    assert!(without.events_lost > 0);
    assert_eq!(without.events_lost, without.events_dropped);
    assert_eq!(
        without.events_delivered + without.events_lost,
        without.events_accepted
    );
    let sum = |of: fn(&Counts) -> u64| -> (u64, u64) {
        let days = report.days.iter();
        days.fold((0, 0), |(a, b), day| {
            (a + of(&day.interlock), b + of(&day.as_in_2017))
        })
    };
    for of in [
        (|c| c.parcels) as fn(&Counts) -> u64,
        |c| c.deposits,
        |c| c.deposits_refused,
        |c| c.messages_sent,
        |c| c.picked_up,
        |c| c.events_accepted,
        |c| c.events_delivered,
        |c| c.events_dropped,
        |c| c.releases,
    ] {
        assert_eq!(sum(of), (of(with), of(without)), "the days are the whole");
    }
    let last = &report.days.last().unwrap().as_in_2017;
    assert_eq!(last.events_lost, without.events_lost);
}

/// 30 June was rehearsed, and came as it was said: with run-off nobody is left without a message, and
/// without it everybody is.
fn assert_rehearsals(report: &Report) {
    let with = report.rehearsal.as_ref().unwrap();
    let without = report.rehearsal_as_in_2017.as_ref().unwrap();
    for rehearsal in [with, without] {
        assert!(rehearsal.came_true(), "{rehearsal:?}");
        // Whether a carrier reports of one of so few parcels just after the midnight is left to chance.
        for check in [rehearsal.rounds, rehearsal.pages] {
            assert!(check.checked > 0, "nothing was looked at: {rehearsal:?}");
        }
    }
    assert_eq!((with.rounds.touched, with.events.touched), (0, 0));
    let (rounds, events) = (without.rounds, without.events);
    assert_eq!(rounds.touched, rounds.checked);
    assert_eq!(events.touched, events.checked);
    let row = |asked: &str, answer: &str| {
        let mut said = with.said.iter();
        let row = said.find(|s| s.asked == asked && s.answer.contains(answer));
        row.unwrap().clone()
    };
    assert!(row("Fengchao", "nothing is signed").parcels > 0);
    assert_eq!(row("Fengchao", "temporary agreement").parcels, 0);
    assert!(row("SF Express", "nothing is signed").held > 0);
}

/// What 1 June was like: denied after midnight, served in run-off, held at its owner.
fn assert_midnight(report: &Report) {
    let day = |name: &str| report.days.iter().find(|day| day.day == name).unwrap();
    let after = |reason: &str| report.denials.get(reason).copied().unwrap_or(0);
    // Who knows that its parcel is outside run-off does not ask; who cannot know is told at once.
    assert!(
        day("2017-06-01")
            .interlock
            .denials
            .contains_key("term-ended"),
        "{:?}",
        report.denials
    );
    assert!(after("consent-refused") > 0, "{:?}", report.denials);
    assert_eq!(
        after("before-coverage"),
        0,
        "a new agreement serves what lies before it"
    );
    let before = &day("2017-05-31").interlock;
    assert!(
        before
            .denials
            .keys()
            .all(|reason| reason == "consent-refused"),
        "{before:?}"
    );
    assert_eq!(before.held, 0);
    assert!(day("2017-06-02").interlock.held > 0);
    assert_eq!(day("2017-06-04").interlock.held, 0);
    assert_eq!(day("2017-06-30").interlock.held, 0);
    assert!(day("2017-07-02").interlock.held > 0);
    let served: u64 = ["2017-06-01", "2017-06-02"]
        .map(|name| day(name).interlock.releases_of_parcels)
        .iter()
        .sum();
    assert!(served > 0, "run-off serves what was on its way");
    let reads = |words: &str| {
        report
            .sights
            .iter()
            .any(|sight| sight.reads.contains(words))
    };
    assert!(
        reads("No SF Express updates since 2017-06-01 00:00"),
        "{:?}",
        report.sights
    );
    assert!(reads("Ready to pick up"), "{:?}", report.sights);
    assert!(reads("connected to *******"), "{:?}", report.sights);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_parcels_live_through_june() {
    let log = Log::default();
    let written = log.clone();
    let _ = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || written.clone())
        .try_init();
    let directory = Directory::new();
    let options = Options {
        parcels: Source::Generated(200),
        ..Options::default()
    };
    let report = replay(&options, &directory.0).await.unwrap();
    assert_promises(&report);
    assert_midnight(&report);
    assert_as_in_2017(&report);
    assert_rehearsals(&report);

    let mut files = 0;
    walk(&directory.0, &mut |path, bytes| {
        files += 1;
        for canary in [CANARY, CANARY_NAME] {
            assert!(
                !contains(bytes, canary),
                "`{canary}` lies open in {}",
                path.display()
            );
        }
    });
    assert!(files >= 14, "seven journals and their keys: {files}");
    let logged = log.0.lock().unwrap().clone();
    assert!(
        contains(&logged, "an agreement changed its state"),
        "the log was captured"
    );
    for canary in [CANARY, CANARY_NAME] {
        assert!(!contains(&logged, canary), "`{canary}` was logged");
    }
    let printed = serde_json::to_string(&report).unwrap() + &format!("{report:?}");
    assert!(!printed.contains(CANARY) && !printed.contains(CANARY_NAME));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_none_is_refused_before_anything_starts() {
    let directory = Directory(std::env::temp_dir().join("interlock-it-demo-never"));
    for until in ["2017-06-31", "tomorrow", "2016-06-01"] {
        let options = Options {
            parcels: Source::Generated(5),
            until: Some(until.into()),
            ..Options::default()
        };
        let refused = replay(&options, &directory.0)
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains(until), "{refused}");
        assert!(!directory.0.exists());
    }
    let none = Options {
        parcels: Source::Generated(0),
        ..Options::default()
    };
    assert!(replay(&none, &directory.0).await.is_err());
}
