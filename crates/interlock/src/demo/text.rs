//! The report for people.
//!
//! INVARIANT: it says what was counted and what was not shown; colours only where the output is a
//! terminal. It counts nothing.

use std::fmt::{self, Write};

use super::paint::{Paint, Table, grouped};
use super::rehearsal::Rehearsal;
use super::report::{Counts, Day, Report, clock};

/// Day table: most days on which something happened.
const DAYS_SHOWN_MAX: usize = 60;

/// The whole report.
///
/// # Errors
/// None but of the writer.
pub fn render(report: &Report, paint: Paint) -> Result<String, fmt::Error> {
    let mut out = String::new();
    title(&mut out, report, paint)?;
    agreements(&mut out, report, paint)?;
    parcels(&mut out, report, paint)?;
    midnight(&mut out, report, paint)?;
    truce(&mut out, report, paint)?;
    second_midnight(&mut out, report, paint)?;
    days(&mut out, report, paint)?;
    evidence(&mut out, report, paint)?;
    Ok(out)
}

fn title(out: &mut String, report: &Report, paint: Paint) -> fmt::Result {
    writeln!(out)?;
    writeln!(
        out,
        "{}",
        paint.bold("Interlock: June 2017 on seven whole nodes")
    )?;
    let count = grouped(report.parcels);
    match report.recorded {
        true => writeln!(
            out,
            "{count} recorded parcels (LaDe withholds the year: 2017 is assumed). Who carries them, \
             lockers and\nrecipients are derived from a seed: no log of deposits is public."
        )?,
        false => writeln!(
            out,
            "{count} parcels made from a seed, alike to LaDe's in where they go and at which hour. Lockers and \
             recipients are invented."
        )?,
    }
    writeln!(
        out,
        "Cainiao, JD.com \u{b7} Fengchao, Suidiyi \u{b7} SF, YTO \u{b7} State Post Bureau: each with its own \
         directory, keys and ports,\ntalking HTTP on this machine, under one clock set to Shanghai."
    )
}

fn heading(out: &mut String, paint: Paint, number: u8, text: &str) -> fmt::Result {
    writeln!(out, "\n{}", paint.bold(&format!("{number}  {text}")))
}

fn agreements(out: &mut String, report: &Report, paint: Paint) -> fmt::Result {
    heading(out, paint, 1, "Agreements")?;
    writeln!(
        out,
        "   {} agreements negotiated over Dataspace Protocol and signed by both sides. Those of Cainiao \
         with\n   Fengchao and with SF end on 1 June at 00:00: run-off 7 days, what arises later is held.",
        report.agreements
    )
}

fn parcels(out: &mut String, report: &Report, paint: Paint) -> fmt::Result {
    heading(out, paint, 2, "Parcels")?;
    let mut table = Table::new(&["", ""]);
    let mut row = |name: &str, count: u64| table.row(&[name.into(), grouped(count)]);
    row("parcels at their owners", report.parcels);
    row("put into lockers (derived)", report.deposits);
    row("picked up with the code of the message", report.picked_up);
    row("messages sent", report.messages_sent);
    row("messages sent twice", report.messages_duplicate);
    row("events accepted at their sources", report.events_accepted);
    row("events delivered to the owner", report.events_delivered);
    row("events lost", report.events_lost);
    row("events delivered twice", report.events_duplicate);
    row("events out of order", report.events_out_of_order);
    out.push_str(&table.render(paint));
    let refused: u64 = report.deposits_refused.values().sum();
    let full = report.parcels.saturating_sub(report.deposits + refused);
    writeln!(
        out,
        "   Delivered to the door: {}, because nobody could tell the recipient{};\n   {}, because no \
         compartment was free.",
        grouped(refused),
        reasons(report.deposits_refused.iter()),
        grouped(full)
    )?;
    writeln!(out, "\n   From the outbox, around the midnight:")?;
    for (at, to, zh, en) in &report.outbox {
        writeln!(out, "   {}  {}", paint.dim(&clock(*at)), paint.dim(to))?;
        writeln!(out, "      {zh}")?;
        writeln!(out, "      {en}")?;
    }
    Ok(())
}

fn midnight(out: &mut String, report: &Report, paint: Paint) -> fmt::Result {
    heading(out, paint, 3, "1 June 2017, 00:00: the term ends")?;
    around(out, report, paint, "2017-05-30", "2017-06-05");
    writeln!(
        out,
        "   Denials, all days{}.",
        reasons(report.denials.iter())
    )?;
    for round in &report.rounds {
        writeln!(
            out,
            "   {}  before a round {} is asked about {} parcels: as far as it knows, {} may go into a locker.",
            paint.dim(&clock(round.at)),
            round.operator.name(),
            round.parcels,
            round.may
        )?;
    }
    writeln!(out, "\n   What people read during the cut:")?;
    if report.sights.is_empty() {
        writeln!(out, "   no parcel of Taobao is on its way then")?;
    }
    for sight in &report.sights {
        let who = format!("{}  {}", clock(sight.at), sight.who);
        writeln!(out, "   {}", paint.dim(&who))?;
        writeln!(out, "      {}", sight.reads)?;
    }
    Ok(())
}

/// What flowed on the days around a midnight.
fn around(out: &mut String, report: &Report, paint: Paint, first: &str, last: &str) {
    let mut table = Table::new(&[
        "day",
        "released of parcels",
        "denied",
        "held at its owner",
        "refused at lockers",
    ]);
    let days = report.days.iter();
    for day in days.filter(|day| (first..=last).contains(&day.day.as_str())) {
        let counts = &day.interlock;
        table.row(&[
            day.day.clone(),
            grouped(counts.releases_of_parcels),
            grouped(counts.denials.values().sum()),
            grouped(counts.held),
            grouped(counts.deposits_refused),
        ]);
    }
    out.push_str(&table.render(paint));
}

fn truce(out: &mut String, report: &Report, paint: Paint) -> fmt::Result {
    heading(out, paint, 4, "3 June 2017, 10:00: a temporary agreement")?;
    let reached = report
        .days
        .last()
        .is_some_and(|day| day.day.as_str() >= "2017-06-03");
    if !reached {
        return writeln!(out, "   Not reached: the demo ended before.");
    }
    writeln!(
        out,
        "   The State Post Bureau's node proposes it to Cainiao and Fengchao, and to Cainiao and SF: {} \
         cooperations\n   under manifests that name the mediator. Their people accept {} times; the nodes \
         negotiate and sign {}\n   agreements by themselves, in force {} s of the clock after the proposal. \
         The bureau sees no parcel.\n   Held at their owners: {} events. The new agreements cover what arose \
         since 1 June: {} events arrive at\n   once, behind nothing of today's.",
        report.mediation.cooperations,
        report.mediation.acceptances,
        report.mediation.agreements,
        report.mediation.in_force_after_s,
        grouped(report.held_at_cut),
        grouped(report.drained)
    )
}

fn second_midnight(out: &mut String, report: &Report, paint: Paint) -> fmt::Result {
    let title = "28 June 2017: the end of 30 June is rehearsed. 1 July, 00:00: it comes";
    heading(out, paint, 5, title)?;
    let Some(rehearsal) = &report.rehearsal else {
        return writeln!(out, "   Not reached: the demo ended before.");
    };
    writeln!(
        out,
        "   On 28 June at 10:00 three nodes are asked what the end of 30 June would touch of the parcels that \
         they know:"
    )?;
    let mut table = Table::new(&[
        "asked, about, and if",
        "parcels",
        "recipients",
        "merchants",
        "not told",
        "held",
        "pages stale",
    ]);
    for said in &rehearsal.said {
        table.row(&[
            format!("{}, {}: {}", said.asked, said.about, said.answer),
            grouped(said.parcels),
            grouped(said.recipients),
            grouped(said.merchants),
            grouped(said.not_told),
            grouped(said.held),
            grouped(said.stale),
        ]);
    }
    out.push_str(&table.render(paint));
    writeln!(
        out,
        "   Nobody signs anything. Run-off serves what was on its way, what arises of later parcels is held, and \
         at the\n   end of the demo {} events wait at their owners for the next agreement.",
        grouped(report.held_at_end)
    )?;
    around(out, report, paint, "2017-06-29", "2017-07-04");
    let reached = report
        .days
        .last()
        .is_some_and(|day| day.day.as_str() >= "2017-07-01");
    if !reached {
        return writeln!(
            out,
            "   The midnight itself is not reached: the demo ended before."
        );
    }
    writeln!(out, "\n   What was said, held against what came:")?;
    came(out, paint, "these terms", rehearsal)?;
    match &report.rehearsal_as_in_2017 {
        Some(other) => came(out, paint, "terms as in 2017", other),
        None => Ok(()),
    }
}

fn came(out: &mut String, paint: Paint, under: &str, rehearsal: &Rehearsal) -> fmt::Result {
    let looked_at = rehearsal
        .checks()
        .into_iter()
        .filter(|(_, c)| c.checked > 0);
    for (what, check) in looked_at {
        let line = format!(
            "{under}, {what}: {} of {} parcels as said, {} of them touched",
            grouped(check.as_said),
            grouped(check.checked),
            grouped(check.touched)
        );
        let good = check.as_said == check.checked;
        writeln!(out, "   {}", paint.verdict(good, &line))?;
    }
    Ok(())
}

fn days(out: &mut String, report: &Report, paint: Paint) -> fmt::Result {
    heading(
        out,
        paint,
        6,
        "Day by day, beside the same parcels \"as in 2017\"",
    )?;
    let mut table = Table::new(&[
        "day", "parcels", "lockers", "*", "door", "*", "events", "*", "arrived", "*", "waiting",
        "*", "lost", "*",
    ]);
    let busy = report.days.iter().filter(|day| is_busy(day));
    for day in busy.take(DAYS_SHOWN_MAX) {
        table.row(&cells(&day.day, &day.interlock, &day.as_in_2017));
    }
    let other = &report.as_in_2017;
    table.row(&cells("all", &report.interlock, other));
    out.push_str(&table.render(paint));
    let share = |lost: u64, of: u64| 100.0 * lost as f64 / of.max(1) as f64;
    writeln!(
        out,
        "   * as in 2017: the same parcels, days and nodes under terms without run-off and hold. {} of {} \
         events never\n   reach their owner ({:.1} %), and couriers are sent to the door {} times instead of {}. \
         In 2017 such parcels went\n   into lockers without a message; these nodes open no door of which nobody \
         can tell the recipient.",
        grouped(other.events_lost),
        grouped(other.events_accepted),
        share(other.events_lost, other.events_accepted),
        grouped(other.deposits_refused),
        grouped(report.interlock.deposits_refused),
    )
}

/// A row of the table: parcels, which are the same in both runs, and all else side by side.
fn cells(name: &str, interlock: &Counts, other: &Counts) -> Vec<String> {
    let mut row = vec![name.to_owned(), grouped(interlock.parcels)];
    let mut both = |of: fn(&Counts) -> u64| row.extend([interlock, other].map(|c| grouped(of(c))));
    both(|c| c.deposits);
    both(|c| c.deposits_refused);
    both(|c| c.events_accepted);
    both(|c| c.events_delivered);
    both(|c| c.held);
    both(|c| c.events_lost);
    row
}

fn is_busy(day: &Day) -> bool {
    let counts = &day.interlock;
    counts.parcels + counts.deposits + counts.events_accepted + counts.events_delivered > 0
}

fn evidence(out: &mut String, report: &Report, paint: Paint) -> fmt::Result {
    let rivals: u64 = report.rival_parcels_seen.values().sum();
    writeln!(out)?;
    let good = report.evidence.verified;
    let line = format!(
        "Evidence of {} pairs, {} leaves, read from the journals without the nodes: {}",
        report.evidence.pairs,
        grouped(report.evidence.leaves),
        if good { "verified" } else { "NOT verified" }
    );
    writeln!(out, "   {}", paint.verdict(good, &line))?;
    for finding in &report.findings {
        writeln!(out, "      {finding}")?;
    }
    let line = format!(
        "Parcels in a store that must not know of them: {}",
        grouped(rivals)
    );
    writeln!(out, "   {}", paint.verdict(rivals == 0, &line))?;
    let line = match report.holds() {
        true => "Nothing lost, nothing twice, nothing out of order, one message for each deposit",
        false => "The figures above do NOT hold what the demo promises; report it as a fault",
    };
    writeln!(out, "   {}", paint.verdict(report.holds(), line))?;
    writeln!(
        out,
        "\n   Took {}.{:01} s. Next: `interlock demo --stay` leaves nodes and pages up; `--parcels FILE` reads \
         parcels in\n   LaDe's format; `--json` gives all figures.",
        report.duration_ms / 1_000,
        report.duration_ms % 1_000 / 100
    )
}

/// ` (reason 3, other 2)`, or nothing.
fn reasons<'a>(counts: impl Iterator<Item = (&'a String, &'a u64)>) -> String {
    let all: Vec<String> = counts
        .map(|(reason, count)| format!("{reason} {}", grouped(*count)))
        .collect();
    match all.is_empty() {
        true => " (none)".into(),
        false => format!(" ({})", all.join(", ")),
    }
}
