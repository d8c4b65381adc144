//! `cargo xtask check-demo FILE`: whether the JSON report of `interlock demo` shows what it must.
//!
//! INVARIANT: a figure that is missing or no number fails like a wrong one. The report's layout is
//! known here by its published names only.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::Value;

/// Counts that must be 0.
const ZERO: [&str; 4] = [
    "events_lost",
    "events_duplicate",
    "events_out_of_order",
    "messages_duplicate",
];

/// The day of the temporary agreement.
const TRUCE_DAY: &str = "2017-06-03";

/// Counts that must be more than 0.
const POSITIVE: [&str; 3] = ["deposits", "messages_sent", "events_delivered"];

/// Reads the report and prints what is wrong with it.
pub(crate) fn run(file: &Path) -> anyhow::Result<ExitCode> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("failed to read `{name}`; give the output of `demo --json`"))?;
    let report: Value = serde_json::from_str(&text)
        .with_context(|| format!("`{name}` is no JSON; write it with `demo --json`"))?;
    let faults = faults(&report);
    for fault in &faults {
        eprintln!("{name}: {fault}");
    }
    if !faults.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    let count = |field| report.get(field).and_then(Value::as_u64).unwrap_or(0);
    println!(
        "{name}: {} deposits, {} messages, {} events delivered, none lost, repeated or misplaced",
        count("deposits"),
        count("messages_sent"),
        count("events_delivered")
    );
    Ok(ExitCode::SUCCESS)
}

fn faults(report: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for field in ZERO {
        match count(report, field) {
            Ok(0) => {}
            Ok(n) => faults.push(format!("`{field}` is {n}, must be 0")),
            Err(fault) => faults.push(fault),
        }
    }
    for field in POSITIVE {
        match count(report, field) {
            Ok(0) => faults.push(format!("`{field}` is 0, must be more")),
            Ok(_) => {}
            Err(fault) => faults.push(fault),
        }
    }
    if let (Ok(sent), Ok(deposits)) = (count(report, "messages_sent"), count(report, "deposits"))
        && sent != deposits
    {
        faults.push(format!(
            "`messages_sent` is {sent} for {deposits} `deposits`, must be one each"
        ));
    }
    faults.extend(rivals(report));
    faults.extend(mediation(report));
    faults.extend(days(report));
    faults.extend(rehearsals(report));
    faults
}

/// Once the demo has come to 3 June, the temporary agreement is the mediator's, and it let flow what was
/// held.
fn mediation(report: &Value) -> Vec<String> {
    let days = report.get("days").and_then(Value::as_array);
    let last = days.and_then(|days| days.last()?.get("day")?.as_str());
    if last.is_none_or(|day| day < TRUCE_DAY) {
        return Vec::new();
    }
    let mediated = report.get("mediation").unwrap_or(&Value::Null);
    let wanted = [("cooperations", 2), ("agreements", 4), ("acceptances", 4)];
    let mut faults = Vec::new();
    for (field, least) in wanted {
        match count(mediated, field) {
            Ok(n) if n >= least => {}
            Ok(n) => faults.push(format!(
                "`mediation.{field}` is {n}, must be {least} or more"
            )),
            Err(fault) => faults.push(format!("`mediation`: {fault}")),
        }
    }
    match (count(report, "drained"), count(report, "held_at_cut")) {
        (Ok(0), Ok(1..)) => faults.push("`drained` is 0 though events were held".into()),
        (drained, held) => faults.extend([drained, held].into_iter().filter_map(Result::err)),
    }
    faults
}

/// Runs of which every day has the same counts.
const RUNS: [&str; 2] = ["interlock", "as_in_2017"];
/// Counts of a day that add up to those of the whole run.
const SUMS: [&str; 8] = [
    "parcels",
    "deposits",
    "deposits_refused",
    "messages_sent",
    "picked_up",
    "events_accepted",
    "events_delivered",
    "events_dropped",
];

/// Both runs day by day: the same counts, which add up, over the same parcels.
fn days(report: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let Some(days) = report.get("days").and_then(Value::as_array) else {
        return vec!["`days` is missing or no list".into()];
    };
    for run in RUNS {
        for field in SUMS {
            let of = |day: &Value| day.get(run).map_or(Err(missing(run)), |r| count(r, field));
            let sum: Result<u64, String> = days.iter().map(of).sum();
            let whole = of(report);
            if sum.is_err() || sum != whole {
                faults.push(format!(
                    "`{field}` of `{run}` is {whole:?}, and {sum:?} by its days"
                ));
            }
        }
    }
    let both = |field: &str| RUNS.map(|run| report.get(run).and_then(|r| count(r, field).ok()));
    let [with, without] = both("parcels");
    if with != without || with.is_none() {
        faults.push(format!(
            "`parcels` are {with:?} in one run and {without:?} in the other"
        ));
    }
    let [_, lost] = both("events_lost");
    let cut = days.iter().any(|day| name_of(day) == "2017-06-01");
    if cut && !matches!(lost, Some(1..)) {
        faults.push(format!(
            "`events_lost` of `as_in_2017` is {lost:?} across the cut; are its terms as in 2017?"
        ));
    }
    faults
}

/// What every demo that reaches the second midnight has ends to check of, whatever its parcels.
const REHEARSED: [&str; 2] = ["rounds", "pages"];

/// What was rehearsed came as it was said, if the second midnight was reached.
fn rehearsals(report: &Value) -> Vec<String> {
    let days = report.get("days").and_then(Value::as_array);
    let mut days = days.into_iter().flatten();
    if !days.any(|day| name_of(day) == "2017-07-01") {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for rehearsal in ["rehearsal", "rehearsal_as_in_2017"] {
        for what in ["rounds_said_early", "rounds", "pages", "events"] {
            let pointer = format!("/{rehearsal}/{what}");
            let check = report.pointer(&pointer).cloned().unwrap_or_default();
            match (count(&check, "checked"), count(&check, "as_said")) {
                (Ok(0), Ok(0)) if REHEARSED.contains(&what) => {
                    faults.push(format!("`{what}` of `{rehearsal}`: none was checked"));
                }
                (Ok(checked), Ok(as_said)) if checked == as_said => {}
                (Ok(checked), Ok(as_said)) => faults.push(format!(
                    "`{what}` of `{rehearsal}`: {as_said} of {checked} came as they were said"
                )),
                (checked, as_said) => faults.push(format!(
                    "`{what}` of `{rehearsal}` is no check: {checked:?}, {as_said:?}"
                )),
            }
        }
    }
    faults
}

fn missing(what: &str) -> String {
    format!("`{what}` is missing")
}

fn name_of(day: &Value) -> &str {
    day.get("day").and_then(Value::as_str).unwrap_or_default()
}

fn rivals(report: &Value) -> Vec<String> {
    match report.get("rival_parcels_seen").and_then(Value::as_object) {
        None => vec!["`rival_parcels_seen` is missing or no object".into()],
        Some(seen) if seen.is_empty() => {
            vec!["`rival_parcels_seen` names no participant".into()]
        }
        Some(seen) => seen
            .iter()
            .filter(|(_, n)| n.as_u64() != Some(0))
            .map(|(who, n)| format!("`rival_parcels_seen` of `{who}` is {n}, must be 0"))
            .collect(),
    }
}

fn count(report: &Value, field: &str) -> Result<u64, String> {
    report
        .get(field)
        .and_then(Value::as_u64)
        .ok_or_else(|| format!("`{field}` is missing or no count"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn good() -> Value {
        json!({
            "deposits": 12, "messages_sent": 12, "messages_duplicate": 0,
            "events_delivered": 24, "events_lost": 0, "events_duplicate": 0,
            "events_out_of_order": 0, "rival_parcels_seen": {"cainiao": 0, "jd": 0},
            "interlock": counts(4, 0), "as_in_2017": counts(4, 2),
            "days": [
                { "day": "2017-06-01", "interlock": counts(3, 0), "as_in_2017": counts(1, 1) },
                { "day": "2017-07-01", "interlock": counts(1, 0), "as_in_2017": counts(3, 2) },
            ],
            "rehearsal": rehearsal(), "rehearsal_as_in_2017": rehearsal(),
            "mediation": { "cooperations": 2, "agreements": 8, "acceptances": 4 },
            "held_at_cut": 3, "drained": 3,
        })
    }

    fn counts(each: u64, lost: u64) -> Value {
        let mut counts: serde_json::Map<String, Value> = SUMS
            .into_iter()
            .map(|field| (field.into(), each.into()))
            .collect();
        counts.insert("events_lost".into(), lost.into());
        counts.into()
    }

    fn rehearsal() -> Value {
        let check = json!({ "checked": 7, "as_said": 7, "touched": 2 });
        json!({ "rounds_said_early": check, "rounds": check, "pages": check, "events": check })
    }

    #[test]
    fn days_that_do_not_add_up_and_ends_that_came_otherwise_are_named() {
        for (pointer, bad, named) in [
            ("/days/0/interlock/deposits", json!(2), "deposits"),
            ("/days/1/as_in_2017/picked_up", Value::Null, "picked_up"),
            ("/as_in_2017/events_lost", json!(0), "as_in_2017"),
            ("/as_in_2017/events_lost", Value::Null, "as_in_2017"),
            ("/as_in_2017/parcels", Value::Null, "parcels"),
            ("/rehearsal/pages/as_said", json!(6), "pages"),
            ("/rehearsal_as_in_2017", Value::Null, "rehearsal_as_in_2017"),
        ] {
            let mut report = good();
            *report.pointer_mut(pointer).unwrap() = bad;
            let faults = faults(&report);
            assert!(
                faults.iter().any(|f| f.contains(named)),
                "{pointer}: {faults:?}"
            );
        }
        let mut report = good();
        report["days"] = json!([]);
        assert!(!faults(&report).is_empty());
        for (nothing, checked) in [("rounds", 1), ("pages", 1), ("events", 0)] {
            let mut report = good();
            report["rehearsal"][nothing] = json!({ "checked": 0, "as_said": 0, "touched": 0 });
            assert_eq!(faults(&report).len(), checked, "{nothing}");
        }
        // A demo that ends before the second midnight has rehearsed nothing.
        let mut short = good();
        short["days"][1]["day"] = json!("2017-06-02");
        short["rehearsal"] = Value::Null;
        assert_eq!(faults(&short), Vec::<String>::new());
    }

    #[test]
    fn a_good_report_passes() {
        assert_eq!(faults(&good()), Vec::<String>::new());
    }

    #[test]
    fn every_wrong_or_missing_figure_is_named() {
        for (field, bad) in [
            ("events_lost", json!(1)),
            ("events_duplicate", json!(1)),
            ("events_out_of_order", json!(1)),
            ("messages_duplicate", json!(1)),
            ("messages_sent", json!(11)),
            ("deposits", json!(0)),
            ("events_delivered", json!(0)),
            ("events_lost", json!("0")),
            ("events_lost", Value::Null),
            ("deposits", json!(-1)),
            ("rival_parcels_seen", json!({"cainiao": 0, "jd": 3})),
            ("rival_parcels_seen", json!({})),
            ("rival_parcels_seen", json!(0)),
        ] {
            let mut report = good();
            report[field] = bad.clone();
            let faults = faults(&report);
            assert!(
                faults.iter().any(|f| f.contains(field)),
                "{field} = {bad}: {faults:?}"
            );
        }
    }

    #[test]
    fn the_temporary_agreement_must_be_the_mediators() {
        let mut report = good();
        let mediation = report["mediation"].take();
        report["days"][1]["day"] = json!("2017-06-02");
        assert_eq!(faults(&report), Vec::<String>::new());
        report["days"][1]["day"] = json!("2017-06-03");
        assert_eq!(faults(&report).len(), 3, "no mediation at all");
        report["mediation"] = mediation;
        assert_eq!(faults(&report), Vec::<String>::new());
        report["mediation"]["cooperations"] = json!(0);
        report["drained"] = json!(0);
        assert_eq!(faults(&report).len(), 2);
        report["drained"] = Value::Null;
        report["held_at_cut"] = Value::Null;
        assert_eq!(faults(&report).len(), 3);
    }

    #[test]
    fn nothing_sent_for_nothing_deposited_is_no_success() {
        let mut report = good();
        report["deposits"] = json!(0);
        report["messages_sent"] = json!(0);
        assert_eq!(faults(&report).len(), 2);
    }
}
