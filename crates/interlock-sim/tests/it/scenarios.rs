//! Scenarios as data: files that say what happens when, one runner, and a checker that knows by itself
//! what may and must be released.

mod checker;
mod format;
mod runner;

use self::format::Scenario;
use self::runner::Run;

/// Runs a scenario's file and holds what came against what may and must.
fn play(text: &str) -> Run {
    let scenario = Scenario::parse(text).unwrap();
    let mut run = Run::new(scenario);
    run.live_through();
    checker::check(&mut run);
    run
}

#[test]
fn june_2017() {
    let run = play(include_str!("../../scenarios/2017.toml"));
    assert!(run.refused > 0, "the ladder was used");
    assert!(run.waits > 0, "nothing follows the end of June");
}

#[test]
fn a_month_without_a_connection() {
    let run = play(include_str!("../../scenarios/month.toml"));
    assert_eq!((run.refused, run.waits), (0, 0), "the term went on");
    assert!(
        run.queued > 0,
        "couriers were told that the notice is queued"
    );
}

#[test]
fn a_change_of_platform() {
    let run = play(include_str!("../../scenarios/platform.toml"));
    assert!(run.refused > 0);
    assert_eq!(run.waits, 0);
}

#[test]
fn a_peak_of_ten_times_in_a_storm() {
    let run = play(include_str!("../../scenarios/peak.toml"));
    assert!(run.net.world.struck.lost > 0 && run.net.world.struck.repeated > 0);
    assert_eq!(run.waits, 0);
}

#[test]
fn a_cut_under_terms_that_drop() {
    let run = play(include_str!("../../scenarios/dropped.toml"));
    assert!(run.refused > 0);
    assert!(run.never > 0, "events reached nobody");
    assert_eq!(run.waits, 0);
}

#[test]
fn a_file_that_is_none_is_refused_with_its_place() {
    let good = include_str!("../../scenarios/2017.toml");
    for (from, to, says) in [
        ("hour = 58", "hours = 58", "hours"),
        ("agree =", "agrees =", "agrees"),
        ("backlog = \"hold\"", "backlog = \"keep\"", "keep"),
        ("seed = 2017", "", "seed"),
        ("first_hour = -30", "first_hour = 800", "first_hour"),
    ] {
        let error = Scenario::parse(&good.replace(from, to)).unwrap_err();
        assert!(error.contains(says), "{says}: {error}");
    }
    let unknown = good.replace(
        "action = { agree",
        "action = { cut = [\"sf\", \"suning\"], agree",
    );
    assert!(Scenario::parse(&unknown).is_err(), "one action a step");
    let stranger = "seed = 1\nparcels_a_day = 1\nfirst_hour = 0\nlast_hour = 1\nbacklog = \"hold\"\n\
                    run_off_hours = 0\n[[step]]\nhour = 0\naction = { stop = \"suning\" }\n";
    assert!(Scenario::parse(stranger).unwrap_err().contains("suning"));
}
