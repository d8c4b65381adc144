//! Counts for regulators, of which no parcel and no day of anybody can be read.
//!
//! Purpose: what happened in a week, in rounded counts. Invariants: periods and facts are fixed, so that no
//! two questions overlap in part; a week is published when it is over, and then never changes; a count
//! below [`SHOWN_MIN`] is not shown, and neither is whether it is zero; every other one is rounded down;
//! there are no totals, from which a hidden count could be had back. It does not know who reads them.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::time::{DAY_MS, Timestamp};

/// Weeks that are kept.
pub const WEEKS_MAX: usize = 160;
/// The smallest count that is shown; all are rounded down to a multiple of it.
pub const SHOWN_MIN: u64 = 10;
/// 1970-01-05 00:00 UTC, a Monday.
const FIRST_MONDAY_MS: i64 = 4 * DAY_MS;
const WEEK_MS: i64 = 7 * DAY_MS;

/// What is counted. The order of the variants is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fact {
    /// Parcels deposited at our stations.
    Deposited,
    /// Deposits refused because nobody could tell the recipient.
    DepositRefused,
    /// Parcels picked up at our stations.
    PickedUp,
    /// Messages to recipients that the gateway took.
    MessageSent,
    /// Contacts released.
    ContactReleased,
    /// Events released.
    EventReleased,
    /// Events received.
    EventReceived,
    /// Denied because no agreement covered it at that time.
    DeniedByTerm,
    /// Denied because a quota was used up.
    DeniedByQuota,
    /// Denied because purpose, scope, field, form or evidence did not fit.
    DeniedByReason,
    /// Denied because the waybill is none that may be asked about.
    DeniedUnknown,
    /// Denied because the recipient did not agree.
    DeniedByConsent,
    /// Denied for any other reason.
    DeniedOther,
}

impl Fact {
    /// All facts: each is in every week that is published.
    pub const ALL: [Self; 13] = [
        Self::Deposited,
        Self::DepositRefused,
        Self::PickedUp,
        Self::MessageSent,
        Self::ContactReleased,
        Self::EventReleased,
        Self::EventReceived,
        Self::DeniedByTerm,
        Self::DeniedByQuota,
        Self::DeniedByReason,
        Self::DeniedUnknown,
        Self::DeniedByConsent,
        Self::DeniedOther,
    ];

    /// The name at doors.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deposited => "deposited",
            Self::DepositRefused => "depositRefused",
            Self::PickedUp => "pickedUp",
            Self::MessageSent => "messageSent",
            Self::ContactReleased => "contactReleased",
            Self::EventReleased => "eventReleased",
            Self::EventReceived => "eventReceived",
            Self::DeniedByTerm => "deniedByTerm",
            Self::DeniedByQuota => "deniedByQuota",
            Self::DeniedByReason => "deniedByReason",
            Self::DeniedUnknown => "deniedUnknown",
            Self::DeniedByConsent => "deniedByConsent",
            Self::DeniedOther => "deniedOther",
        }
    }

    /// What a denial with a reason is counted as.
    pub fn of_denial(reason: &str) -> Self {
        use crate::decide::DenialReason as Reason;
        if reason == "unknown-parcel" {
            return Self::DeniedUnknown;
        }
        if reason.starts_with("consent-") {
            return Self::DeniedByConsent;
        }
        match Reason::parse(reason) {
            Some(
                Reason::NotInForce
                | Reason::NotYet
                | Reason::TermEnded
                | Reason::Closing
                | Reason::Suspended
                | Reason::Superseded
                | Reason::Terminated
                | Reason::NotInRunOff
                | Reason::RunOffNotFrozen
                | Reason::RunOffEnded
                | Reason::BeforeCoverage,
            ) => Self::DeniedByTerm,
            Some(Reason::QuotaPerDay | Reason::QuotaPerParcel) => Self::DeniedByQuota,
            Some(
                Reason::PurposeNotGranted
                | Reason::OutOfScope
                | Reason::FieldNotGranted
                | Reason::FormNotGranted
                | Reason::EvidenceMissing,
            ) => Self::DeniedByReason,
            Some(Reason::ClockUncertain) | None => Self::DeniedOther,
        }
    }
}

/// What was counted, by week.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Number of the week since [`FIRST_MONDAY_MS`], and its counts; the newest last.
    weeks: VecDeque<(i64, BTreeMap<Fact, u64>)>,
}

/// A week that is over, as anybody who asks sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Monday 00:00 UTC.
    pub from: Timestamp,
    /// The next Monday 00:00 UTC.
    pub until: Timestamp,
    /// Every fact; `None`: fewer than [`SHOWN_MIN`].
    pub facts: Vec<(Fact, Option<u64>)>,
}

impl Statistics {
    /// Counts `number` of what happened at `at`. Times never go back; what is late counts in the newest
    /// week, since an older one may be published.
    pub fn count(&mut self, at: Timestamp, fact: Fact, number: u64) {
        let week = at
            .as_millis()
            .saturating_sub(FIRST_MONDAY_MS)
            .div_euclid(WEEK_MS);
        if self.weeks.back().is_none_or(|(newest, _)| *newest < week) {
            self.weeks.push_back((week, BTreeMap::new()));
        }
        while self.weeks.len() > WEEKS_MAX {
            self.weeks.pop_front();
        }
        if let Some((_, counts)) = self.weeks.back_mut() {
            let count = counts.entry(fact).or_default();
            *count = count.saturating_add(number);
        }
    }

    /// The weeks that are over at `now`, the oldest first.
    pub fn published(&self, now: Timestamp) -> Vec<Published> {
        let start = |week: i64| {
            let since = week.saturating_mul(WEEK_MS);
            Timestamp::from_millis(since.saturating_add(FIRST_MONDAY_MS))
        };
        let over = self.weeks.iter().filter(|(week, _)| start(week + 1) <= now);
        over.map(|(week, counts)| Published {
            from: start(*week),
            until: start(week + 1),
            facts: Fact::ALL
                .into_iter()
                .map(|fact| (fact, shown(counts.get(&fact).copied().unwrap_or(0))))
                .collect(),
        })
        .collect()
    }
}

/// A count as it is shown.
const fn shown(count: u64) -> Option<u64> {
    match count / SHOWN_MIN {
        0 => None,
        tens => Some(tens * SHOWN_MIN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Monday 2017-05-29 00:00 UTC.
    const MONDAY: Timestamp = Timestamp::from_millis(1_496_016_000_000);

    fn of(published: &Published, fact: Fact) -> Option<u64> {
        let found = published.facts.iter().find(|(it, _)| *it == fact);
        found.unwrap().1
    }

    #[test]
    fn a_week_is_shown_when_it_is_over_with_every_fact_in_it() {
        let mut statistics = Statistics::default();
        statistics.count(MONDAY, Fact::Deposited, 1_239);
        statistics.count(MONDAY.plus_ms(WEEK_MS - 1), Fact::PickedUp, 9);
        assert_eq!(statistics.published(MONDAY.plus_ms(WEEK_MS - 1)), []);
        let published = statistics.published(MONDAY.plus_ms(WEEK_MS));
        let [week] = published.as_slice() else {
            panic!("{published:?}");
        };
        assert_eq!((week.from, week.until), (MONDAY, MONDAY.plus_ms(WEEK_MS)));
        assert_eq!(week.facts.len(), Fact::ALL.len());
        assert_eq!(of(week, Fact::Deposited), Some(1_230));
        assert_eq!(of(week, Fact::PickedUp), None, "fewer than ten");
        assert_eq!(of(week, Fact::MessageSent), None, "and so is none at all");
    }

    #[test]
    fn what_is_published_never_changes() {
        let mut statistics = Statistics::default();
        statistics.count(MONDAY, Fact::Deposited, 19);
        let later = MONDAY.plus_ms(WEEK_MS);
        statistics.count(later, Fact::Deposited, 1);
        let before = statistics.published(later);
        statistics.count(MONDAY, Fact::Deposited, 1);
        assert_eq!(statistics.published(later), before);
        for week in 0..400 {
            statistics.count(MONDAY.plus_ms(week * WEEK_MS), Fact::Deposited, 1);
        }
        assert_eq!(statistics.weeks.len(), WEEKS_MAX);
    }

    #[test]
    fn every_denial_is_counted_once() {
        for (reason, fact) in [
            ("term-ended", Fact::DeniedByTerm),
            ("quota-per-day", Fact::DeniedByQuota),
            ("evidence-missing", Fact::DeniedByReason),
            ("unknown-parcel", Fact::DeniedUnknown),
            ("consent-no-locker", Fact::DeniedByConsent),
            ("deleted", Fact::DeniedOther),
        ] {
            assert_eq!(Fact::of_denial(reason), fact, "{reason}");
        }
    }

    proptest! {
        /// However often and whenever it is asked, one parcel more or less shows in no count but at a
        /// multiple of ten, and small counts all look alike.
        #[test]
        fn asking_again_says_nothing_more(count in 0..500u64, asked in prop::collection::vec(0..8i64, 1..6)) {
            let world = |number: u64| {
                let mut statistics = Statistics::default();
                statistics.count(MONDAY, Fact::Deposited, number);
                let ask = |weeks: &i64| statistics.published(MONDAY.plus_ms(weeks * WEEK_MS));
                asked.iter().map(ask).collect::<Vec<_>>()
            };
            if (count + 1) % SHOWN_MIN != 0 {
                prop_assert_eq!(world(count), world(count + 1));
            }
            if count < SHOWN_MIN {
                prop_assert_eq!(world(count), world(0));
            }
        }
    }
}
