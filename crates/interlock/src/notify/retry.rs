//! When a message that a gateway did not take is tried again.
//!
//! Invariant: before its own deadline a message always has a next attempt. It does not know why the
//! last one failed: what a gateway refuses for good is not retried by its caller.

use interlock_core::time::{MINUTE_MS, SECOND_MS, Timestamp};

/// Delay after the first attempt, before jitter.
const DELAY_MS_BASE: i64 = SECOND_MS;

/// Longest delay between two attempts.
pub const DELAY_MS_MAX: i64 = 10 * MINUTE_MS;

/// Milliseconds to wait after attempt number `attempt` (from 1) failed: doubling from one second to
/// [`DELAY_MS_MAX`], the upper half drawn by `random`, so that gateways that come back are not met by
/// everybody at once.
pub fn retry_delay_ms(attempt: u32, random: u64) -> i64 {
    let doublings = attempt.saturating_sub(1).min(16);
    let full = (DELAY_MS_BASE << doublings).min(DELAY_MS_MAX);
    let half = full / 2;
    let jitter = random % u64::try_from(half + 1).unwrap_or(1);
    half + i64::try_from(jitter).unwrap_or(half)
}

/// When to try again after attempt number `attempt` (from 1) failed at `failed_at`; `None` once the
/// message's `deadline` is over. The last attempt is at the deadline itself.
pub fn next_attempt(
    attempt: u32,
    failed_at: Timestamp,
    deadline: Timestamp,
    random: u64,
) -> Option<Timestamp> {
    if failed_at >= deadline {
        return None;
    }
    let next = failed_at.plus_ms(retry_delay_ms(attempt, random));
    Some(next.min(deadline))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn delays_double_up_to_the_cap() {
        let longest: Vec<i64> = [1, 2, 3, 4, 10, 11, u32::MAX]
            .map(|attempt| {
                (0..2_000_000u64)
                    .step_by(499)
                    .map(|random| retry_delay_ms(attempt, random))
                    .max()
                    .unwrap()
            })
            .to_vec();
        assert!(longest[0] <= 1_000 && longest[0] > 900, "{longest:?}");
        assert!(longest[2] <= 4_000 && longest[2] > 3_900, "{longest:?}");
        assert!(longest[6] <= DELAY_MS_MAX && longest[6] > DELAY_MS_MAX - 1_000);
        assert_ne!(retry_delay_ms(3, 0), retry_delay_ms(3, 1_234));
    }

    proptest! {
        #[test]
        fn no_message_is_given_up_before_its_deadline(
            attempt in 0..u32::MAX, random: u64, failed in 0..1_000_000i64, left in 1..100_000_000i64,
        ) {
            let failed_at = Timestamp::from_millis(failed);
            let deadline = failed_at.plus_ms(left);
            let next = next_attempt(attempt, failed_at, deadline, random).unwrap();
            prop_assert!(next > failed_at && next <= deadline);
            let delay = retry_delay_ms(attempt, random);
            prop_assert!((DELAY_MS_BASE / 2..=DELAY_MS_MAX).contains(&delay));
            prop_assert_eq!(next_attempt(attempt, deadline, deadline, random), None);
        }
    }
}
