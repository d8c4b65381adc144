//! The course of the demo, from the first agreement to the last pick-up.
//!
//! INVARIANT: the clock moves only while nothing is under way, so that what is counted at an instant is
//! all that had happened by then. It prints nothing.

use std::sync::Arc;

use interlock_core::time::{DAY_MS, Timestamp};

use super::count::Figures;
use super::deal::{MIDNIGHT, TRUCE, TRUCE_ENDS, conclude, mediate};
use super::error::DemoError;
use super::look::{look, newest_pages};
use super::network::Network;
use super::parcels::{DemoParcel, Room, stations};
use super::plan::{EVE, LOOKS, Plan, REHEARSAL, day_start};
use super::rehearsal::{self, Rehearsal, Sayings};
use super::report::date;
use super::report::{Counts, Notes};
use super::streets::Streets;
use crate::progress::Progress;

/// Messages shown of the outbox: so many before and after the midnight.
const OUTBOX_SHOWN: usize = 2;

/// The demo under way.
pub struct Course<'a> {
    network: &'a Network,
    parcels: Arc<Vec<DemoParcel>>,
    room: Room,
    progress: Progress,
    notes: Notes,
    rehearsed: Rehearsed,
    day: Timestamp,
    before: Figures,
}

/// What was said before the second midnight, until it is held against what came.
#[derive(Default)]
struct Rehearsed {
    early: Sayings,
    late: Sayings,
    watched: rehearsal::Watched,
}

impl<'a> Course<'a> {
    /// Nothing has happened yet.
    pub fn new(
        network: &'a Network,
        parcels: Arc<Vec<DemoParcel>>,
        room: Room,
        progress: Progress,
    ) -> Self {
        Self {
            network,
            parcels,
            room,
            progress,
            notes: Notes::default(),
            rehearsed: Rehearsed::default(),
            day: day_start(network.now()),
            before: Figures::default(),
        }
    }

    /// Lives through a plan; the last figures, and what was noted on the way.
    ///
    /// # Errors
    /// [`DemoError`] if a node does not do its part.
    pub async fn run(mut self, plan: Plan) -> Result<(Figures, Notes), DemoError> {
        let network = self.network;
        let instants = plan.instants.clone();
        let label = |at: Timestamp| format!("{}: {}", network.style.name(), date(at));
        self.progress.say("agreements are negotiated and signed");
        conclude(network, self.day).await?;
        let mut streets = Streets::new(network, self.parcels.clone(), plan);
        streets
            .put_stations(&stations(&self.parcels, self.room))
            .await?;
        network.rest().await?;
        for (done, now) in instants.iter().enumerate() {
            self.progress
                .part(&label(*now), done as u64, instants.len() as u64);
            self.turn_page(*now).await?;
            network.advance(*now).await?;
            streets.step(*now).await?;
            if LOOKS.contains(now) {
                let seen = look(network, &streets, &self.parcels, *now).await?;
                self.notes.sights.extend(seen);
            }
            if *now == TRUCE {
                self.truce().await?;
            }
            self.rehearse(*now, &streets).await?;
        }
        self.close_day().await?;
        if let Some(rehearsal) = &mut self.notes.rehearsal {
            let Rehearsed { late, watched, .. } = &self.rehearsed;
            rehearsal::check_events(network, &self.parcels, watched, late, rehearsal).await?;
        }
        self.notes.newest = newest_pages(network, &streets, &self.parcels);
        self.notes.outbox = excerpt(network);
        let around =
            |at: Timestamp| at >= MIDNIGHT.plus_ms(-DAY_MS) && at < MIDNIGHT.plus_ms(DAY_MS);
        let rounds = streets.rounds.iter().copied();
        self.notes.rounds = rounds.filter(|round| around(round.at)).collect();
        Ok((self.before, self.notes))
    }

    /// Closes the days that are over at `now`, which has not come yet.
    async fn turn_page(&mut self, now: Timestamp) -> Result<(), DemoError> {
        while day_start(now) > self.day {
            self.close_day().await?;
            self.day = self.day.plus_ms(DAY_MS);
        }
        Ok(())
    }

    async fn close_day(&mut self) -> Result<(), DemoError> {
        let now = Figures::count(self.network).await?;
        let lost = now.events_lost();
        self.notes
            .days
            .push((date(self.day), Counts::new(now.since(&self.before), lost)));
        self.before = now;
        Ok(())
    }

    /// The second midnight: asked about three days and one minute before, and looked at when it is there.
    async fn rehearse(&mut self, now: Timestamp, streets: &Streets<'_>) -> Result<(), DemoError> {
        if now == REHEARSAL {
            let (said, sayings) = rehearsal::ask(self.network).await?;
            self.rehearsed.early = sayings;
            self.notes.rehearsal = Some(Rehearsal {
                said,
                ..Rehearsal::default()
            });
        }
        if now == EVE {
            (_, self.rehearsed.late) = rehearsal::ask(self.network).await?;
        }
        if let (Some(rehearsal), true) = (&mut self.notes.rehearsal, now == TRUCE_ENDS) {
            let Rehearsed { early, late, .. } = &self.rehearsed;
            self.rehearsed.watched = rehearsal::check_midnight(
                self.network,
                streets,
                &self.parcels,
                early,
                late,
                rehearsal,
            )
            .await?;
        }
        Ok(())
    }

    /// The temporary agreement, and what waited for it.
    async fn truce(&mut self) -> Result<(), DemoError> {
        let before = Figures::count(self.network).await?;
        self.notes.mediated = mediate(self.network, TRUCE).await?;
        self.network.rest().await?;
        let after = Figures::count(self.network).await?;
        self.notes.held_at_cut = before.events_held;
        self.notes.drained = after.drained - before.drained;
        Ok(())
    }
}

/// The last messages before the midnight and the first after it.
fn excerpt(network: &Network) -> Vec<(Timestamp, String, String, String)> {
    let all = network.gateway.since(0);
    let cut = all.iter().take_while(|sms| sms.at < MIDNIGHT).count();
    all.into_iter()
        .skip(cut.saturating_sub(OUTBOX_SHOWN))
        .take(2 * OUTBOX_SHOWN)
        .map(|sms| (sms.at, sms.to, sms.zh, sms.en))
        .collect()
}
