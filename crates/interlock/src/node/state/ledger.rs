//! Entering releases and denials, and how many there were of late.
//!
//! INVARIANT: the counts are of the entries, by their own time; what is older than [`KEPT_MS`] before the
//! newest is not counted any more.

use std::collections::BTreeMap;

use interlock_core::time::{DAY_MS, MINUTE_MS, Timestamp};
use serde::{Deserialize, Serialize};

use super::{LedgerEntry, LedgerOutcome, State};

/// What is counted together, in milliseconds: every zone's days begin with one of these.
const STEP_MS: i64 = 15 * MINUTE_MS;
/// How long counts are kept, in milliseconds.
const KEPT_MS: i64 = 16 * DAY_MS;

/// Items released and requests denied, by quarter of an hour.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct LedgerCounts(BTreeMap<i64, (u64, u64)>);

impl LedgerCounts {
    fn count(&mut self, entry: &LedgerEntry) {
        let step = entry.at.as_millis().div_euclid(STEP_MS);
        let counts = self.0.entry(step).or_default();
        match &entry.outcome {
            LedgerOutcome::Batch { events, .. } => counts.0 += u64::from(*events),
            LedgerOutcome::Contact { .. } => counts.0 += 1,
            LedgerOutcome::Denied { .. } | LedgerOutcome::Voided => counts.1 += 1,
        }
        let newest = self.0.last_key_value().map_or(step, |(step, _)| *step);
        let first = newest - KEPT_MS / STEP_MS;
        if self
            .0
            .first_key_value()
            .is_some_and(|(step, _)| *step < first)
        {
            self.0 = self.0.split_off(&first);
        }
    }

    /// Counts since an instant, each with the beginning of its step.
    pub fn since(&self, from: Timestamp) -> impl Iterator<Item = (Timestamp, (u64, u64))> + '_ {
        let first = from.as_millis().div_euclid(STEP_MS);
        let steps = self.0.range(first..);
        steps.map(|(step, counts)| (Timestamp::from_millis(step * STEP_MS), *counts))
    }
}

impl State {
    /// Enters a release or a denial.
    pub(super) fn enter(&mut self, entry: LedgerEntry) {
        self.ledger_counts.count(&entry);
        self.ledger.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use interlock_core::dataset::Dataset;
    use interlock_core::ids::ParticipantId;

    use super::*;

    fn denied(at: Timestamp) -> LedgerEntry {
        LedgerEntry {
            at,
            to: ParticipantId::parse("did:web:sf.example").unwrap(),
            dataset: Dataset::LockerEvents,
            agreement: None,
            purpose: None,
            outcome: LedgerOutcome::Denied {
                reason: "term-ended".into(),
            },
        }
    }

    #[test]
    fn what_is_old_is_not_counted_and_what_is_new_is() {
        let begin = Timestamp::from_millis(1_496_246_400_000);
        let mut counts = LedgerCounts::default();
        for day in 0..40 {
            for _ in 0..3 {
                counts.count(&denied(begin.plus_ms(day * DAY_MS)));
            }
        }
        let all: u64 = counts.since(begin).map(|(_, (_, denied))| denied).sum();
        assert_eq!(all, 3 * 17, "sixteen days and the newest");
        let late = counts.since(begin.plus_ms(39 * DAY_MS));
        assert_eq!(
            late.collect::<Vec<_>>(),
            [(begin.plus_ms(39 * DAY_MS), (0, 3))]
        );
    }
}
