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
    /// Begins a login of `name`, which counts as failed until it is said to have gone well.
    ///
    /// # Errors
    /// Until when none is tried.
    pub(super) fn begin(&self, name: &str, now: Timestamp) -> Result<(), Timestamp> {
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
        if let (Some(first), true) = (times.first(), times.len() >= FAILURES_MAX) {
            return Err(first.plus_ms(FAILURES_FOR_MS));
        }
        times.push(now);
        Ok(())
    }

    /// The login of `name` that began last was not looked at.
    pub(super) fn take_back(&self, name: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = all.get_mut(name) {
            times.pop();
        }
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
