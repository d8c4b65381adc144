//! What a consumer of contacts asks beyond its deposits.
//!
//! Purpose: an owner counts, by day and by consumer, what is asked and what came of it, and finds days on
//! which too much was asked without a deposit, again, too early, at night, at random, or above what that
//! consumer has always asked. Invariants: a day is held against the consumer's own history, within bounds
//! that no history widens; a day that was found bad teaches nothing; each sign is found once a day, with
//! positions of the leaves that show it. It detects and prevents nothing, and it does not know why: a
//! broken station and a collector can look the same for a day, which is for people to tell apart.

mod judge;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::ids::ParcelId;
use crate::time::{DAY_MS, HOUR_MS, Timestamp, Zone};

/// Days that are kept beside the newest, as history.
pub const HISTORY_DAYS: usize = 28;
/// How long after a release a deposit is waited for, in milliseconds: the rest of a courier's round.
pub const DEPOSIT_WAIT_MS: i64 = DAY_MS;
/// The same while nothing at all is heard from the consumer's feed.
pub const SILENCE_WAIT_MS: i64 = 3 * DAY_MS;
/// A feed that was heard so long before the end of a wait, in milliseconds, is not silent: at night nobody
/// deposits.
const HEARD_WITHIN_MS: i64 = DAY_MS / 2;
/// How long after a deposit its end is waited for, in milliseconds: pick-up, or recall when overdue.
pub const CLOSE_WAIT_MS: i64 = 7 * DAY_MS;
/// Hours of the day in which couriers deposit: from this one, before that one.
pub const ROUND_HOURS: (i64, i64) = (6, 23);
/// Most leaves that are named for a sign of a day.
pub const LEAVES_MAX: usize = 16;

/// A sign that contacts are collected. The order of the variants is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// A contact was released, and no deposit followed.
    Undeposited,
    /// A deposit was reported, and neither pick-up nor recall followed: it may be invented.
    Unclosed,
    /// A contact was asked for again.
    Repeated,
    /// It was asked for before the parcel was announced to the consumer, or had gone beyond the place
    /// where its carrier took it in.
    Early,
    /// It was asked for at night, when no courier deposits.
    OutsideHours,
    /// The waybill is no parcel that the consumer may ask about: numbers are tried.
    Unknown,
    /// It was denied for another reason: quota, purpose, form, consent.
    Denied,
    /// More was asked than ever before, and deposits do not keep up.
    Volume,
}

impl Sign {
    /// All of them, in the stored order.
    pub const ALL: [Self; 8] = [
        Self::Undeposited,
        Self::Unclosed,
        Self::Repeated,
        Self::Early,
        Self::OutsideHours,
        Self::Unknown,
        Self::Denied,
        Self::Volume,
    ];

    /// The name in alerts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Undeposited => "undeposited",
            Self::Unclosed => "unclosed",
            Self::Repeated => "repeated",
            Self::Early => "early",
            Self::OutsideHours => "outside-hours",
            Self::Unknown => "unknown",
            Self::Denied => "denied",
            Self::Volume => "volume",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// What was counted of one day in the zone of the terms. What follows a release counts on its day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Items asked.
    pub asked: u32,
    /// Contacts released.
    pub released: u32,
    /// Items denied because the waybill is none that may be asked about.
    pub unknown: u32,
    /// Items denied for any other reason.
    pub denied: u32,
    /// Released again.
    pub repeated: u32,
    /// Released too early.
    pub early: u32,
    /// Asked outside the hours of rounds.
    pub outside_hours: u32,
    /// Releases whose deposit was reported.
    pub deposited: u32,
    /// Releases for which the wait for a deposit ended.
    pub undeposited: u32,
    /// Deposits whose end was reported.
    pub closed: u32,
    /// Deposits for which the wait for an end is over.
    pub unclosed: u32,
}

/// A day, what was counted, and which signs were found on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Day {
    day: i64,
    counts: Counts,
    found: u16,
}

/// A release that waits for what should follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    due: Timestamp,
    since: Timestamp,
    released_at: Timestamp,
    leaf: u64,
    deposited: bool,
}

/// What was asked about one item, and what was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Its contact was released.
    Released {
        /// The parcel.
        parcel: ParcelId,
        /// Whether this consumer had it before.
        again: bool,
        /// Whether it was too early, as [`Sign::Early`] says.
        early: bool,
        /// Whether the consumer reports its deposits to us, so that one can be waited for.
        followed: bool,
    },
    /// The waybill is none that the consumer may ask about.
    Unknown,
    /// It was denied for another reason.
    Denied,
}

/// A day on which a sign was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The day, in days since 1970-01-01 in the zone of the terms.
    pub day: i64,
    /// The sign.
    pub sign: Sign,
    /// How many items show it.
    pub count: u32,
    /// Of how many.
    pub of: u32,
    /// How many of so many would be usual for this consumer.
    pub usual: u32,
    /// Positions of leaves in our log toward the consumer that show it, the newest ones; each names the
    /// request that it answers.
    pub leaves: Vec<u64>,
}

/// What one consumer has asked for, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Oldest first; the last one is the newest that anything was counted on.
    days: VecDeque<Day>,
    open: BTreeMap<ParcelId, Open>,
    due: BTreeSet<(Timestamp, ParcelId)>,
    /// When the consumer's feed of deposits was last heard.
    heard_at: Option<Timestamp>,
    /// When something was last asked.
    asked_at: Option<Timestamp>,
    /// By day and sign: leaves that show it.
    leaves: BTreeMap<(i64, Sign), VecDeque<u64>>,
}

impl Watch {
    /// An item was asked about, and answered by the leaf at `leaf`.
    pub fn asked(&mut self, at: Timestamp, zone: Zone, item: Asked, leaf: u64) {
        self.enter(zone.day_of(at));
        self.asked_at = self.asked_at.max(Some(at));
        let outside = !in_round(at, zone);
        let mut signs = Vec::new();
        self.count(|c| c.asked = c.asked.saturating_add(1));
        if outside {
            self.count(|c| c.outside_hours = c.outside_hours.saturating_add(1));
            signs.push(Sign::OutsideHours);
        }
        match item {
            Asked::Unknown => {
                self.count(|c| c.unknown = c.unknown.saturating_add(1));
                signs.push(Sign::Unknown);
            }
            Asked::Denied => {
                self.count(|c| c.denied = c.denied.saturating_add(1));
                signs.push(Sign::Denied);
            }
            Asked::Released {
                parcel,
                again,
                early,
                followed,
            } => {
                self.count(|c| {
                    c.released = c.released.saturating_add(1);
                    c.repeated = c.repeated.saturating_add(u32::from(again));
                    c.early = c.early.saturating_add(u32::from(early));
                });
                signs.extend(again.then_some(Sign::Repeated));
                signs.extend(early.then_some(Sign::Early));
                signs.push(Sign::Volume);
                if followed {
                    self.wait_for(parcel, at, leaf);
                }
            }
        }
        let day = self.days.back().map_or(0, |newest| newest.day);
        for sign in signs {
            self.shown_by(day, sign, leaf);
        }
    }

    /// A deposit of the consumer's was reported.
    pub fn deposited(&mut self, at: Timestamp, zone: Zone, parcel: ParcelId) {
        let Some(open) = self.open.get(&parcel).copied().filter(|o| !o.deposited) else {
            return;
        };
        self.count_on(zone.day_of(open.released_at), |c| {
            c.deposited = c.deposited.saturating_add(1);
        });
        let next = Open {
            due: at.plus_ms(CLOSE_WAIT_MS),
            since: at,
            deposited: true,
            ..open
        };
        self.put(parcel, next);
    }

    /// The end of a stay was reported: picked up, recalled or redirected.
    pub fn closed(&mut self, zone: Zone, parcel: ParcelId) {
        let Some(open) = self.forget(parcel) else {
            return;
        };
        self.count_on(zone.day_of(open.released_at), |c| {
            if !open.deposited {
                c.deposited = c.deposited.saturating_add(1);
            }
            c.closed = c.closed.saturating_add(1);
        });
    }

    /// The consumer's feed of deposits was heard.
    pub fn heard(&mut self, at: Timestamp) {
        self.heard_at = self.heard_at.max(Some(at));
    }

    /// Counts what nothing followed by `at`. `follows`: whether the consumer still reports its deposits;
    /// if not, nothing can be said of them.
    pub fn settle(&mut self, at: Timestamp, zone: Zone, follows: bool) {
        while let Some((_, parcel)) = self.due.first().copied().filter(|(due, _)| *due <= at) {
            let Some(open) = self.forget(parcel) else {
                continue;
            };
            if !follows {
                continue;
            }
            let lately = open.due.plus_ms(-HEARD_WITHIN_MS);
            let silent = self.heard_at.is_none_or(|heard| heard < lately);
            let wait_ms = at.since_ms(open.since);
            let given_up = if open.deposited {
                CLOSE_WAIT_MS.saturating_add(SILENCE_WAIT_MS)
            } else {
                SILENCE_WAIT_MS
            };
            if silent && wait_ms < given_up {
                let due = open.since.plus_ms(given_up);
                self.put(parcel, Open { due, ..open });
                continue;
            }
            let day = zone.day_of(open.released_at);
            let sign = if open.deposited {
                self.count_on(day, |c| c.unclosed = c.unclosed.saturating_add(1));
                Sign::Unclosed
            } else {
                self.count_on(day, |c| c.undeposited = c.undeposited.saturating_add(1));
                Sign::Undeposited
            };
            self.shown_by(day, sign, open.leaf);
        }
    }

    /// When [`Self::settle`] would count something next.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The newest day and what was counted on it.
    pub fn newest(&self) -> Option<(i64, Counts)> {
        self.days.back().map(|day| (day.day, day.counts))
    }

    /// Notes that a finding was put on record: it is made once, and its day teaches nothing of that sign.
    pub fn found(&mut self, day: i64, sign: Sign) {
        if let Some(known) = self.days.iter_mut().rev().find(|known| known.day == day) {
            known.found |= sign.bit();
        }
    }

    fn wait_for(&mut self, parcel: ParcelId, at: Timestamp, leaf: u64) {
        if self.open.get(&parcel).is_some_and(|open| open.deposited) {
            return;
        }
        let open = Open {
            due: at.plus_ms(DEPOSIT_WAIT_MS),
            since: at,
            released_at: at,
            leaf,
            deposited: false,
        };
        self.put(parcel, open);
    }

    fn put(&mut self, parcel: ParcelId, open: Open) {
        self.forget(parcel);
        self.due.insert((open.due, parcel));
        self.open.insert(parcel, open);
    }

    fn forget(&mut self, parcel: ParcelId) -> Option<Open> {
        let open = self.open.remove(&parcel)?;
        self.due.remove(&(open.due, parcel));
        Some(open)
    }

    /// Days never go back: what comes late is counted on the newest.
    fn enter(&mut self, day: i64) {
        if self.days.back().is_some_and(|newest| newest.day >= day) {
            return;
        }
        self.days.push_back(Day {
            day,
            ..Day::default()
        });
        while self.days.len() > HISTORY_DAYS + 1 {
            self.days.pop_front();
        }
        let oldest = self.days.front().map_or(day, |oldest| oldest.day);
        self.leaves.retain(|(of, _), _| *of >= oldest);
    }

    fn count(&mut self, change: impl FnOnce(&mut Counts)) {
        if let Some(day) = self.days.back_mut() {
            change(&mut day.counts);
        }
    }

    /// Counts on the day of a release, so that what is compared belongs together; on the newest, if that
    /// day is forgotten.
    fn count_on(&mut self, day: i64, change: impl FnOnce(&mut Counts)) {
        let known = self.days.iter().rposition(|known| known.day == day);
        let at = known.unwrap_or(self.days.len().saturating_sub(1));
        if let Some(day) = self.days.get_mut(at) {
            change(&mut day.counts);
        }
    }

    fn shown_by(&mut self, day: i64, sign: Sign, leaf: u64) {
        let leaves = self.leaves.entry((day, sign)).or_default();
        if leaves.back() != Some(&leaf) {
            leaves.push_back(leaf);
        }
        while leaves.len() > LEAVES_MAX {
            leaves.pop_front();
        }
    }
}

/// Whether couriers are under way.
fn in_round(at: Timestamp, zone: Zone) -> bool {
    let since_midnight_ms = at.since_ms(zone.day_start(zone.day_of(at)));
    let hour = since_midnight_ms / HOUR_MS;
    (ROUND_HOURS.0..ROUND_HOURS.1).contains(&hour)
}

#[cfg(test)]
mod tests;
