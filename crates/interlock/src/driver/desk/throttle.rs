//! Logins that failed of late.
//!
//! INVARIANT: after [`FAILURES_MAX`] failures within [`FAILURES_FOR_MS`] no password of that name is
//! looked at until the first of them is so old; a name that nobody has is counted alike. It does not
//! know who is right.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use interlock_core::time::{MINUTE_MS, Timestamp};

/// How many logins of a name may fail.
pub(super) const FAILURES_MAX: usize = 5;
/// For how long a failure counts, in milliseconds.
pub(super) const FAILURES_FOR_MS: i64 = 15 * MINUTE_MS;
/// Most names that are counted; beyond it the name that failed longest ago is forgotten.
const NAMES_MAX: usize = 50_000;

/// Failures by name.
#[derive(Default)]
pub(super) struct Throttle(Mutex<BTreeMap<String, Vec<Timestamp>>>);

impl Throttle {
    /// Until when no login of `name` is tried, if it is so.
    pub(super) fn until(&self, name: &str, now: Timestamp) -> Option<Timestamp> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut recent = all.get(name)?.iter().filter(|at| is_recent(**at, now));
        let first = recent.next()?;
        (recent.count() + 1 >= FAILURES_MAX).then(|| first.plus_ms(FAILURES_FOR_MS))
    }

    /// A login of `name` failed.
    pub(super) fn failed(&self, name: &str, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(name) && all.len() >= NAMES_MAX {
            all.retain(|_, times| times.last().is_some_and(|at| is_recent(*at, now)));
            let oldest = all.iter().min_by_key(|(_, times)| times.last().copied());
            let oldest = oldest.map(|(name, _)| name.clone());
            if let (true, Some(oldest)) = (all.len() >= NAMES_MAX, oldest) {
                all.remove(&oldest);
            }
        }
        let times = all.entry(name.into()).or_default();
        times.retain(|at| is_recent(*at, now));
        times.push(now);
    }

    /// A login of `name` went well.
    pub(super) fn went_well(&self, name: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(name);
    }
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.since_ms(at) < FAILURES_FOR_MS
}
