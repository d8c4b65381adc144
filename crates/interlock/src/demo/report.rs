//! The report of a demo: the figures that are printed and handed to programs.
//!
//! INVARIANT: the keys of the JSON object are those of the project's surface and stay as they are. It
//! only arranges what was counted.

use std::collections::BTreeMap;

use interlock_core::time::{Timestamp, Zone};
use serde::Serialize;

use super::audit::Audit;
use super::count::Figures;
use super::deal::Mediated;
use super::look::Sight;
use super::rehearsal::Rehearsal;
use super::streets::Round;

/// What a demo has shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Parcels at their owners.
    pub parcels: u64,
    /// Deposits in lockers, door closed.
    pub deposits: u64,
    /// Messages that the gateway took.
    pub messages_sent: u64,
    /// Messages beyond the first about one deposit.
    pub messages_duplicate: u64,
    /// Events accepted at their sources: carriers and lockers.
    pub events_accepted: u64,
    /// Events that their owners hold.
    pub events_delivered: u64,
    /// Events that their owners should hold and that wait nowhere.
    pub events_lost: u64,
    /// Events delivered more than once.
    pub events_duplicate: u64,
    /// Events delivered behind a later one of the same parcel.
    pub events_out_of_order: u64,
    /// Items released between participants.
    pub releases: u64,
    /// Denials between participants, by reason.
    pub denials: BTreeMap<String, u64>,
    /// Deposits that were refused because nobody could tell the recipient, by reason.
    pub deposits_refused: BTreeMap<String, u64>,
    /// Parcels picked up from lockers.
    pub picked_up: u64,
    /// Events that waited at their sources when the temporary agreement was proposed.
    pub held_at_cut: u64,
    /// Of these, events that arrived under it.
    pub drained: u64,
    /// How the temporary agreement came about; nothing of it if the demo ended before.
    pub mediation: Mediated,
    /// Events that wait at the end because no agreement covers them.
    pub held_at_end: u64,
    /// The rehearsal of 30 June and what came of it; nothing if the demo ended before.
    pub rehearsal: Option<Rehearsal>,
    /// The same in the run under terms as in 2017.
    pub rehearsal_as_in_2017: Option<Rehearsal>,
    /// Everything that was counted under Interlock's terms, as the days count it.
    pub interlock: Counts,
    /// Everything that was counted in the run under terms as in 2017.
    pub as_in_2017: Counts,
    /// By participant, parcels in its store that it must not know of.
    pub rival_parcels_seen: BTreeMap<&'static str, u64>,
    /// One object a day.
    pub days: Vec<Day>,
    /// Agreements on record, each at two participants.
    pub agreements: u64,
    /// The evidence of all pairs, verified offline.
    pub evidence: Evidence,
    /// How long it took, by the machine's clock.
    pub duration_ms: u64,
    /// What people saw during the cut.
    #[serde(skip)]
    pub sights: Vec<Sight>,
    /// Pages that still work at the end: whose, and where.
    #[serde(skip)]
    pub newest: Vec<(String, String)>,
    /// What couriers were told of their rounds on 31 May and 1 June.
    #[serde(skip)]
    pub rounds: Vec<Round>,
    /// Some messages of the outbox, masked.
    #[serde(skip)]
    pub outbox: Vec<(Timestamp, String, String, String)>,
    /// What is wrong with the evidence, if anything.
    #[serde(skip)]
    pub findings: Vec<String>,
    /// Whether the parcels were read from a file.
    #[serde(skip)]
    pub recorded: bool,
}

/// The evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Pairs of participants with logs.
    pub pairs: u64,
    /// Leaves in all logs.
    pub leaves: u64,
    /// Whether both copies of each log are what was signed.
    pub verified: bool,
}

/// One day, or the whole demo: what happened, and what waited at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Parcels announced.
    pub parcels: u64,
    /// Deposits.
    pub deposits: u64,
    /// Deposits refused, because nobody could tell the recipient.
    pub deposits_refused: u64,
    /// Messages sent.
    pub messages_sent: u64,
    /// Messages beyond the first about one deposit.
    pub messages_duplicate: u64,
    /// Parcels picked up.
    pub picked_up: u64,
    /// Events accepted.
    pub events_accepted: u64,
    /// Events delivered.
    pub events_delivered: u64,
    /// Events dropped at their sources, because the terms say so.
    pub events_dropped: u64,
    /// Events lost to their owners, those that were dropped among them, since the beginning.
    pub events_lost: u64,
    /// Events delivered twice.
    pub events_duplicate: u64,
    /// Events delivered out of order.
    pub events_out_of_order: u64,
    /// Items released.
    pub releases: u64,
    /// Of these, items about parcels: all but the states of stations.
    pub releases_of_parcels: u64,
    /// Denials by reason.
    pub denials: BTreeMap<String, u64>,
    /// Events that wait because no agreement covers them.
    pub held: u64,
}

impl Counts {
    /// What was counted; `lost` is counted since the beginning.
    pub fn new(counted: Figures, lost: u64) -> Self {
        Self {
            parcels: counted.parcels,
            deposits: counted.deposits,
            deposits_refused: counted.refused.values().sum(),
            messages_sent: counted.messages_sent,
            messages_duplicate: counted.messages_duplicate,
            picked_up: counted.picked_up,
            events_accepted: counted.events_accepted,
            events_delivered: counted.events_delivered,
            events_dropped: counted.events_dropped,
            events_lost: lost,
            events_duplicate: counted.events_duplicate,
            events_out_of_order: counted.events_out_of_order,
            releases: counted.releases,
            releases_of_parcels: counted.releases - counted.releases_of_stations,
            denials: counted.denials,
            held: counted.events_held,
        }
    }
}

/// One day of both runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Day {
    /// The day in China Standard Time, `2017-06-01`.
    pub day: String,
    /// Under terms with run-off and hold.
    pub interlock: Counts,
    /// Under terms without.
    pub as_in_2017: Counts,
}

impl Day {
    /// The days of both runs side by side. Both live through the same instants.
    fn pair(interlock: Vec<(String, Counts)>, as_in_2017: Vec<(String, Counts)>) -> Vec<Self> {
        let both = interlock.into_iter().zip(as_in_2017);
        let day = |((day, interlock), (_, as_in_2017))| Self {
            day,
            interlock,
            as_in_2017,
        };
        both.map(day).collect()
    }
}

/// The run under terms as in 2017.
#[derive(Debug)]
pub struct Other {
    /// Its last figures.
    pub figures: Figures,
    /// What was noted on the way.
    pub notes: Notes,
}

/// What the course of the demo noted beside its figures.
#[derive(Debug, Default)]
pub struct Notes {
    /// See [`Report::held_at_cut`].
    pub held_at_cut: u64,
    /// See [`Report::mediation`].
    pub mediated: Mediated,
    /// See [`Report::drained`].
    pub drained: u64,
    /// Days with their names.
    pub days: Vec<(String, Counts)>,
    /// The rehearsal, if its day was reached.
    pub rehearsal: Option<Rehearsal>,
    /// What people saw.
    pub sights: Vec<Sight>,
    /// Pages that still work at the end: whose, and where.
    pub newest: Vec<(String, String)>,
    /// Rounds around the midnight.
    pub rounds: Vec<Round>,
    /// Some messages.
    pub outbox: Vec<(Timestamp, String, String, String)>,
    /// Whether the parcels were read from a file.
    pub recorded: bool,
}

impl Report {
    /// Arranges what was counted.
    pub fn new(
        figures: Figures,
        notes: Notes,
        other: Other,
        audit: Audit,
        duration_ms: u64,
    ) -> Self {
        let lost = figures.events_lost();
        let rivals = audit.rivals.iter();
        let interlock = Counts::new(figures.clone(), lost);
        let lost_then = other.figures.events_lost();
        Self {
            parcels: figures.parcels,
            deposits: figures.deposits,
            messages_sent: figures.messages_sent,
            messages_duplicate: figures.messages_duplicate,
            events_accepted: figures.events_accepted,
            events_delivered: figures.events_delivered,
            events_lost: lost,
            events_duplicate: figures.events_duplicate,
            events_out_of_order: figures.events_out_of_order,
            releases: figures.releases,
            denials: figures.denials,
            deposits_refused: figures.refused,
            picked_up: figures.picked_up,
            held_at_cut: notes.held_at_cut,
            drained: notes.drained,
            mediation: notes.mediated,
            held_at_end: figures.events_held,
            rehearsal: notes.rehearsal,
            rehearsal_as_in_2017: other.notes.rehearsal,
            interlock,
            as_in_2017: Counts::new(other.figures, lost_then),
            rival_parcels_seen: rivals.map(|(who, count)| (who.key(), *count)).collect(),
            days: Day::pair(notes.days, other.notes.days),
            agreements: audit.agreements.len() as u64,
            evidence: Evidence {
                pairs: audit.pairs,
                leaves: audit.leaves,
                verified: audit.verified,
            },
            duration_ms,
            sights: notes.sights,
            newest: notes.newest,
            rounds: notes.rounds,
            outbox: notes.outbox,
            findings: audit.findings,
            recorded: notes.recorded,
        }
    }

    /// Whether everything that the demo promises holds: nothing lost, repeated, out of order or seen by
    /// a rival, evidence that verifies, and ends that came as they were rehearsed.
    pub fn holds(&self) -> bool {
        let bad = self.events_lost
            + self.events_duplicate
            + self.events_out_of_order
            + self.messages_duplicate
            + self.rival_parcels_seen.values().sum::<u64>();
        let mut rehearsals = [&self.rehearsal, &self.rehearsal_as_in_2017]
            .into_iter()
            .flatten();
        let told = self.messages_sent == self.deposits;
        bad == 0 && told && self.evidence.verified && rehearsals.all(Rehearsal::came_true)
    }

    /// Pages that were looked at: what they are, and where.
    pub fn links(&self) -> Vec<(String, String)> {
        self.newest.clone()
    }
}

/// `2017-06-01`, in China Standard Time.
pub fn date(at: Timestamp) -> String {
    let text = at.to_rfc3339(Zone::CHINA);
    text.get(..10).unwrap_or(&text).to_owned()
}

/// `1 June 08:00`-like: `06-01 08:00`, in China Standard Time.
pub fn clock(at: Timestamp) -> String {
    let text = at.to_rfc3339(Zone::CHINA);
    text.get(5..16).unwrap_or(&text).replace('T', " ")
}
