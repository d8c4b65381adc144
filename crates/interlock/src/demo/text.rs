//! The report for people.
//!
//! INVARIANT: it says what was counted and what was not shown; colours only where the output is a
//! terminal. It computes nothing.

use std::fmt::{self, Write};

use super::paint::{Paint, Table, grouped};
use super::report::{Day, Report, clock};

/// Day table: days around the midnight are always shown, others only if there are few.
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
            "{count} parcels made from a seed, alike to LaDe's in where and when. Lockers and recipients \
             are invented."
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
    let mut table = Table::new(&[
        "day",
        "released of parcels",
        "denied",
        "held at its owner",
        "refused at lockers",
    ]);
    for day in report.days.iter().filter(|day| is_around(day)) {
        table.row(&[
            day.day.clone(),
            grouped(day.releases_of_parcels),
            grouped(day.denials.values().sum()),
            grouped(day.held),
            grouped(day.deposits_refused),
        ]);
    }
    out.push_str(&table.render(paint));
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

fn is_around(day: &Day) -> bool {
    ("2017-05-30"..="2017-06-05").contains(&day.day.as_str())
}

fn truce(out: &mut String, report: &Report, paint: Paint) -> fmt::Result {
    heading(out, paint, 4, "3 June 2017, 10:00: a temporary agreement")?;
    let reached = report
        .days
        .last()
        .is_some_and(|day| day.day.as_str() >= "2017-06-03");
    if !reached {
        writeln!(out, "   Not reached: the demo ended before.")?;
        return unseen(out, paint);
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
    )?;
    unseen(out, paint)
}

fn unseen(out: &mut String, paint: Paint) -> fmt::Result {
    heading(out, paint, 5, "Not shown by this version")?;
    writeln!(
        out,
        "   The rehearsal of 30 June, the second midnight of 1 July, and the\n   same weeks under terms \"as in 2017\" (without run-off and hold)."
    )
}

fn days(out: &mut String, report: &Report, paint: Paint) -> fmt::Result {
    heading(out, paint, 6, "Day by day, with Interlock's terms")?;
    let mut table = Table::new(&[
        "day",
        "parcels",
        "deposits",
        "messages",
        "picked up",
        "refused",
        "accepted",
        "delivered",
        "held",
        "lost",
        "denied",
    ]);
    let busy = report
        .days
        .iter()
        .filter(|day| is_busy(day))
        .take(DAYS_SHOWN_MAX);
    for day in busy {
        table.row(&[
            day.day.clone(),
            grouped(day.parcels),
            grouped(day.deposits),
            grouped(day.messages_sent),
            grouped(day.picked_up),
            grouped(day.deposits_refused),
            grouped(day.events_accepted),
            grouped(day.events_delivered),
            grouped(day.held),
            grouped(day.events_lost),
            grouped(day.denials.values().sum()),
        ]);
    }
    out.push_str(&table.render(paint));
    Ok(())
}

fn is_busy(day: &Day) -> bool {
    day.parcels + day.deposits + day.events_accepted + day.events_delivered + day.held > 0
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
