//! Clocks: the operating system's, and one that is set by hand.
//!
//! Purpose: the only place that reads the time. Invariant: a clock never goes back, whatever happens
//! to the operating system's, and does not follow a jump of it before that is confirmed
//! ([`super::steady`]). It does not know what the time is for.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use interlock_core::time::{ClockInterval, Timestamp};
use tokio::sync::watch;

use super::steady::{Reading, Steady};

/// The system clock is read again at least this often while somebody sleeps, so that a clock that is
/// set is noticed.
const LOOK_AGAIN_MS: u64 = 1_000;

/// A sleep; it keeps nothing of the clock borrowed.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tells the time and waits for it.
pub trait Clock: Send + Sync + 'static {
    /// What the clock knows now; neither end is ever lower than at an earlier call.
    fn now(&self) -> ClockInterval;

    /// Ends when `now().latest` has reached `at`.
    fn sleep_until(&self, at: Timestamp) -> Sleep;

    /// By how many milliseconds the clock below this one has jumped without being followed, if it has.
    fn jumped_ms(&self) -> Option<i64> {
        None
    }

    /// The jump was right: it is followed.
    fn follow(&self) {}
}

/// A jump that is followed without being confirmed, in milliseconds, where nobody says otherwise.
const JUMP_LIMIT_MS: i64 = 5_000;

/// The operating system's clock.
#[derive(Debug)]
pub struct SystemClock {
    uncertainty_ms: i64,
    read: Arc<Reader>,
}

/// The operating system's two clocks, read together.
#[derive(Debug)]
struct Reader {
    began: Instant,
    steady: Mutex<Steady>,
}

impl SystemClock {
    /// A clock that may be wrong by `uncertainty_ms` milliseconds in either direction.
    pub fn new(uncertainty_ms: u32) -> Self {
        Self::with_limit(uncertainty_ms, JUMP_LIMIT_MS)
    }

    /// The same, which follows jumps of up to `limit_ms` milliseconds.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the driver's clock, the one place that reads the time"
    )]
    pub fn with_limit(uncertainty_ms: u32, limit_ms: i64) -> Self {
        Self {
            uncertainty_ms: uncertainty_ms.into(),
            read: Arc::new(Reader {
                began: Instant::now(),
                steady: Mutex::new(Steady::new(limit_ms)),
            }),
        }
    }
}

impl Reader {
    /// Since the epoch, not below any earlier reading.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the driver's clock, the one place that reads the time"
    )]
    fn now(&self) -> Reading {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        let wall_ms = wall.ok().map_or(0, in_ms);
        self.with(|steady| steady.read(wall_ms, in_ms(self.began.elapsed())))
    }

    fn with<R>(&self, act: impl FnOnce(&mut Steady) -> R) -> R {
        // A reading is whole or not there: whoever panicked with the lock has broken nothing.
        act(&mut self.steady.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn in_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Clock for SystemClock {
    fn now(&self) -> ClockInterval {
        let now = self.read.now();
        ClockInterval {
            earliest: Timestamp::from_millis(now.earliest_ms - self.uncertainty_ms),
            latest: Timestamp::from_millis(now.latest_ms + self.uncertainty_ms),
        }
    }

    fn sleep_until(&self, at: Timestamp) -> Sleep {
        let read = self.read.clone();
        let wanted_ms = at.plus_ms(-self.uncertainty_ms).as_millis();
        Box::pin(async move {
            loop {
                let left_ms = wanted_ms.saturating_sub(read.now().latest_ms);
                let Some(left_ms) = u64::try_from(left_ms).ok().filter(|left| *left > 0) else {
                    return;
                };
                tokio::time::sleep(Duration::from_millis(left_ms.min(LOOK_AGAIN_MS))).await;
            }
        })
    }

    fn jumped_ms(&self) -> Option<i64> {
        self.read.with(|steady| steady.jumped_ms())
    }

    fn follow(&self) {
        self.read.with(Steady::follow);
    }
}

/// A clock that stands still until somebody moves it: the demo's and the tests'.
#[derive(Debug)]
pub struct ManualClock {
    at: watch::Sender<Timestamp>,
}

impl ManualClock {
    /// A clock that stands at `at`.
    pub fn new(at: Timestamp) -> Self {
        Self {
            at: watch::Sender::new(at),
        }
    }

    /// Moves the clock to `at` and wakes those who waited for it; an earlier time changes nothing.
    pub fn set(&self, at: Timestamp) {
        self.at.send_if_modified(|now| {
            let forward = at > *now;
            if forward {
                *now = at;
            }
            forward
        });
    }

    /// Moves the clock by `ms` milliseconds.
    pub fn advance(&self, ms: u32) {
        self.at.send_modify(|now| *now = now.plus_ms(ms.into()));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> ClockInterval {
        ClockInterval::exact(*self.at.borrow())
    }

    fn sleep_until(&self, at: Timestamp) -> Sleep {
        let mut seen = self.at.subscribe();
        Box::pin(async move {
            // The clock is gone: nobody will ever move it, and the sleeper is being stopped too.
            let _ = seen.wait_for(|now| *now >= at).await;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_its_sleepers_in_time_and_never_goes_back() {
        let clock = ManualClock::new(Timestamp::from_millis(1_000));
        let sleeper = tokio::spawn(clock.sleep_until(Timestamp::from_millis(3_000)));
        clock.sleep_until(Timestamp::from_millis(1_000)).await;
        clock.advance(1_999);
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.set(Timestamp::from_millis(3_000));
        sleeper.await.unwrap();
        clock.set(Timestamp::from_millis(10));
        assert_eq!(
            clock.now(),
            ClockInterval::exact(Timestamp::from_millis(3_000))
        );
    }

    #[tokio::test]
    async fn the_system_clock_never_goes_back_and_knows_its_error() {
        let clock = SystemClock::new(20);
        let now = clock.now();
        assert_eq!(now.latest.since_ms(now.earliest), 40);
        // As if it had been set a day back since: it goes on from where it was.
        let ahead_ms = now.latest.as_millis() + 86_400_000;
        clock.read.with(|steady| {
            steady.follow();
            steady.read(ahead_ms, in_ms(clock.read.began.elapsed()));
        });
        assert!(clock.now().earliest > now.latest);
        assert!(clock.jumped_ms().is_some_and(|by_ms| by_ms < -86_000_000));
        clock.sleep_until(clock.now().latest).await;
        clock.follow();
        assert!(clock.now().earliest > now.latest);
        assert_eq!(clock.jumped_ms(), None);
    }
}
