//! What is under way in one or several nodes, so that a clock that is set by hand moves only when
//! nothing is.
//!
//! INVARIANT: whatever will become an input is counted from before its cause is forgotten until its
//! effects are handed over, so that the count never touches zero in between. Long polls that a node
//! has parked are taken off: they wait for the clock. It does not know what the work is.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use interlock_core::time::Timestamp;
use tokio::sync::watch;

/// Counts what is under way; shared by the nodes of one demo or test.
#[derive(Clone, Debug, Default)]
pub struct Activity(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    count: AtomicI64,
    begun: AtomicU64,
    wakes: Mutex<Vec<watch::Receiver<Option<Timestamp>>>>,
}

/// Counts as one piece of work until it is dropped.
#[derive(Debug)]
pub struct UnderWay(Arc<Inner>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Activity {
    /// Nothing is under way.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up a piece of work.
    pub fn begin(&self) -> UnderWay {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        UnderWay(self.0.clone())
    }

    /// A node had parked `before` polls and now has `after`.
    pub(super) fn repark(&self, before: usize, after: usize) {
        let signed = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.0
            .count
            .fetch_add(signed(before) - signed(after), Ordering::SeqCst);
    }

    /// Adds a node's next wake; a node that is due is busy.
    pub(super) fn watch(&self, wake: watch::Receiver<Option<Timestamp>>) {
        let mut wakes = self.0.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        wakes.retain(|wake| wake.has_changed().is_ok());
        wakes.push(wake);
    }

    /// Whether anything is under way, or some node wants to be woken at `now` or earlier.
    pub fn busy(&self, now: Timestamp) -> bool {
        // What begins while the wakes are being read may move one that was already looked at.
        let begun = self.0.begun.load(Ordering::SeqCst);
        if self.0.count.load(Ordering::SeqCst) > 0 {
            return true;
        }
        let wakes = self.0.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        let due = wakes
            .iter()
            .any(|wake| wake.has_changed().is_ok() && wake.borrow().is_some_and(|at| at <= now));
        due || self.0.begun.load(Ordering::SeqCst) != begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parked_polls_and_stopped_nodes_do_not_keep_it_busy() {
        let activity = Activity::new();
        let now = Timestamp::from_millis(5);
        assert!(!activity.busy(now));
        let call = activity.begin();
        assert!(activity.busy(now));
        activity.repark(0, 1);
        assert!(!activity.busy(now));
        activity.repark(1, 0);
        drop(call);
        assert!(!activity.busy(now));

        let wake = watch::Sender::new(Some(Timestamp::from_millis(6)));
        activity.watch(wake.subscribe());
        assert!(!activity.busy(now));
        assert!(activity.busy(Timestamp::from_millis(6)));
        drop(wake);
        assert!(!activity.busy(Timestamp::from_millis(6)));
    }
}
