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
    if let (Ok(0), Ok(1..)) = (count(report, "drained"), count(report, "held_at_cut")) {
        faults.push("`drained` is 0 though events were held".into());
    }
    faults
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
        })
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
        report["days"] = json!([{ "day": "2017-06-02" }]);
        assert_eq!(faults(&report), Vec::<String>::new());
        report["days"] = json!([{ "day": "2017-06-03" }]);
        assert_eq!(faults(&report).len(), 3, "no mediation at all");
        report["mediation"] = json!({ "cooperations": 2, "agreements": 8, "acceptances": 4 });
        report["held_at_cut"] = json!(3);
        report["drained"] = json!(3);
        assert_eq!(faults(&report), Vec::<String>::new());
        report["mediation"]["cooperations"] = json!(0);
        report["drained"] = json!(0);
        assert_eq!(faults(&report).len(), 2);
    }

    #[test]
    fn nothing_sent_for_nothing_deposited_is_no_success() {
        let mut report = good();
        report["deposits"] = json!(0);
        report["messages_sent"] = json!(0);
        assert_eq!(faults(&report).len(), 2);
    }
}
