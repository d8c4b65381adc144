//! A clock that does not follow a jump before it is confirmed.
//!
//! Purpose: the wall clock is compared with a count of milliseconds that nobody can set. Invariants:
//! what is read never goes back; a step is not believed but widens what is read, so that a term ends by
//! the later of the two and begins by the earlier; a jump beyond the limit, either way, is counted as
//! doubt until the wall clock comes back, or somebody who can tell says that it was right. It reads no
//! clock itself, so that the simulator runs the same code.

/// After so long without doubt the two are laid side by side anew, in milliseconds: small steps are
/// believed then.
const ANCHOR_AGAIN_MS: i64 = 3_600_000;

/// A wall clock held against a count that cannot be set. Times and counts in milliseconds.
#[derive(Debug)]
pub struct Steady {
    limit_ms: i64,
    anchor: Option<Anchor>,
    highest: Reading,
    jumped_ms: Option<i64>,
}

/// What is read: the time lies between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// No earlier than this.
    pub earliest_ms: i64,
    /// No later than this.
    pub latest_ms: i64,
}

/// A reading of both.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    wall_ms: i64,
    count_ms: i64,
}

impl Steady {
    /// Nothing was read yet. A step of up to `limit_ms` is no jump.
    pub const fn new(limit_ms: i64) -> Self {
        Self {
            limit_ms,
            anchor: None,
            highest: Reading {
                earliest_ms: i64::MIN,
                latest_ms: i64::MIN,
            },
            jumped_ms: None,
        }
    }

    /// The time, from a reading of the wall clock and of the count.
    pub fn read(&mut self, wall_ms: i64, count_ms: i64) -> Reading {
        let now = Anchor { wall_ms, count_ms };
        let anchor = *self.anchor.get_or_insert(now);
        let passed_ms = count_ms - anchor.count_ms;
        let expected_ms = anchor.wall_ms + passed_ms;
        let off_ms = wall_ms - expected_ms;
        let believed_ms = if off_ms.abs() <= self.limit_ms {
            self.jumped_ms = None;
            if passed_ms >= ANCHOR_AGAIN_MS {
                self.anchor = Some(now);
            }
            wall_ms
        } else {
            self.jumped_ms = Some(off_ms);
            expected_ms
        };
        let Reading {
            earliest_ms,
            latest_ms,
        } = self.highest;
        self.highest = Reading {
            earliest_ms: earliest_ms.max(believed_ms.min(expected_ms)),
            latest_ms: latest_ms.max(believed_ms.max(expected_ms)),
        };
        self.highest
    }

    /// By how much the wall clock has jumped and not come back, at the last reading.
    pub const fn jumped_ms(&self) -> Option<i64> {
        self.jumped_ms
    }

    /// The jump was right: the wall clock is believed again.
    pub const fn follow(&mut self) {
        self.anchor = None;
        self.jumped_ms = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT_MS: i64 = 5_000;

    fn read(clock: &mut Steady, wall_ms: i64, count_ms: i64) -> [i64; 2] {
        let read = clock.read(wall_ms, count_ms);
        [read.earliest_ms, read.latest_ms]
    }

    #[test]
    fn a_small_step_widens_what_is_read_and_a_jump_does_nothing() {
        let mut clock = Steady::new(LIMIT_MS);
        assert_eq!(read(&mut clock, 1_000_000, 0), [1_000_000; 2]);
        let three_seconds = read(&mut clock, 1_004_000, 1_000);
        assert_eq!(three_seconds, [1_001_000, 1_004_000]);
        assert_eq!(clock.jumped_ms(), None);
        for (wall_ms, by_ms) in [(1_602_000, 600_000), (402_000, -600_000)] {
            assert_eq!(read(&mut clock, wall_ms, 2_000), [1_002_000, 1_004_000]);
            assert_eq!(clock.jumped_ms(), Some(by_ms));
        }
        // Time goes on meanwhile, as the count says.
        assert_eq!(read(&mut clock, 410_000, 10_000), [1_010_000; 2]);
        assert_eq!(read(&mut clock, 1_020_000, 20_000), [1_020_000; 2]);
        assert_eq!(clock.jumped_ms(), None, "it came back");
        // Back by three seconds: the term ends by the later of the two.
        assert_eq!(read(&mut clock, 1_027_000, 30_000), [1_027_000, 1_030_000]);
        // An hour without doubt: the wall clock is believed.
        read(&mut clock, 4_597_000, 3_600_000);
        assert_eq!(read(&mut clock, 4_601_000, 3_604_000), [4_601_000; 2]);
    }

    #[test]
    fn a_confirmed_jump_is_followed_and_time_still_never_goes_back() {
        let mut clock = Steady::new(LIMIT_MS);
        clock.read(1_000_000, 0);
        clock.read(2_000_000, 1_000);
        clock.follow();
        assert_eq!(read(&mut clock, 2_001_000, 2_000), [2_001_000; 2]);
        assert_eq!(clock.jumped_ms(), None);
        clock.read(1_001_000, 3_000);
        clock.follow();
        assert_eq!(read(&mut clock, 1_002_000, 4_000), [2_002_000; 2]);
    }

    #[test]
    fn small_steps_do_not_add_up_to_a_jump_within_the_hour() {
        let mut clock = Steady::new(LIMIT_MS);
        clock.read(1_000_000, 0);
        clock.read(1_004_000, 0);
        clock.read(1_008_000, 0);
        assert_eq!(clock.jumped_ms(), Some(8_000));
    }

    proptest! {
        #[test]
        fn it_never_goes_back_and_what_began_right_stays_inside(
            steps in proptest::collection::vec((0i64..60_000, -900_000i64..900_000), 1..50)
        ) {
            let mut clock = Steady::new(LIMIT_MS);
            let began_ms = 1_000_000_000;
            let (mut count_ms, mut before) = (0, clock.read(began_ms, 0));
            for (passed_ms, skew_ms) in steps {
                count_ms += passed_ms;
                let right_ms = began_ms + count_ms;
                let read = clock.read(right_ms + skew_ms, count_ms);
                prop_assert!(read.earliest_ms >= before.earliest_ms);
                prop_assert!(read.latest_ms >= before.latest_ms);
                if count_ms < ANCHOR_AGAIN_MS {
                    prop_assert!(read.earliest_ms <= right_ms && right_ms <= read.latest_ms);
                }
                before = read;
            }
        }
    }
}
