//! Whether a day is beyond what is usual.

use alloc::vec::Vec;

use super::{Counts, Day, Finding, Sign, Watch};
use crate::time::HOUR_MS;

/// One in a million.
const MILLION: u128 = 1_000_000;
/// Fewer items than this show nothing.
const COUNT_MIN: u32 = 20;
/// How many standard deviations beyond the usual rate a day must be: what is judged every hour for years
/// must hardly ever be chance.
const DEVIATIONS: u128 = 6;
/// Beside that, how much more than usual, in percent: rates of whole days differ by more than chance.
const BEYOND_PERCENT: u128 = 150;
/// Items that a history needs before its rate counts.
const HISTORY_MIN: u32 = 200;
/// Days that a history needs before its largest day counts.
const DAYS_MIN: usize = 7;
/// Of what was released, the share in percent whose deposit shows that a large day is a busy one.
const BUSY_PERCENT: u32 = 60;
/// How long a feed may be silent for a day's deposits to be known, in milliseconds.
const SILENT_MS: i64 = 3 * HOUR_MS;
/// Days within which a second bad day counts.
const AGAIN_DAYS: usize = 7;

/// What is usual of a sign, in millionths of the items that could show it: at least, because nobody is
/// without mistakes, and at most, because no habit makes it right.
const fn bounds(sign: Sign) -> (u128, u128) {
    match sign {
        Sign::Undeposited => (100_000, 300_000),
        Sign::Unclosed => (50_000, 200_000),
        Sign::Repeated | Sign::Early | Sign::OutsideHours => (50_000, 250_000),
        Sign::Unknown => (30_000, 150_000),
        Sign::Denied => (100_000, 400_000),
        Sign::Volume => (0, 0),
    }
}

/// How many items of a day show a sign, and how many could.
const fn seen(sign: Sign, c: &Counts) -> (u32, u32) {
    match sign {
        Sign::Undeposited => (c.undeposited, c.undeposited.saturating_add(c.deposited)),
        Sign::Unclosed => (c.unclosed, c.unclosed.saturating_add(c.closed)),
        Sign::Repeated => (c.repeated, c.released),
        Sign::Early => (c.early, c.released),
        Sign::OutsideHours => (c.outside_hours, c.asked),
        Sign::Unknown => (c.unknown, c.asked),
        Sign::Denied => (c.denied, c.asked),
        Sign::Volume => (c.asked, c.asked),
    }
}

impl Watch {
    /// The signs that were not found before, of every day that is kept: what follows a release, or does
    /// not, is known days later.
    pub fn judge(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (at, day) in self.days.iter().enumerate() {
            let newest = at + 1 == self.days.len();
            for sign in Sign::ALL {
                let later = matches!(sign, Sign::Undeposited | Sign::Unclosed);
                if (newest || later) && day.found & sign.bit() == 0 {
                    findings.extend(self.finding(sign, at, day));
                }
            }
        }
        findings
    }

    fn finding(&self, sign: Sign, at: usize, day: &Day) -> Option<Finding> {
        let usual = if sign == Sign::Volume {
            self.beyond_every_day(day)?
        } else {
            self.beyond_rate(sign, at)?
        };
        let (count, of) = seen(sign, &day.counts);
        let leaves = self.leaves.get(&(day.day, sign)).into_iter().flatten();
        Some(Finding {
            day: day.day,
            sign,
            count,
            of,
            usual,
            leaves: leaves.copied().collect(),
        })
    }

    /// How many would be usual, if a day is beyond that, and is so by far or not for the first time: a
    /// broken station or scanner makes one bad day.
    fn beyond_rate(&self, sign: Sign, at: usize) -> Option<u32> {
        let (usual, by_far) = self.beyond(sign, at)?;
        let before = at.saturating_sub(AGAIN_DAYS)..at;
        let again = || before.clone().any(|day| self.beyond(sign, day).is_some());
        (by_far || again()).then_some(usual)
    }

    /// How many would be usual, and whether the rate is one that no habit makes right.
    fn beyond(&self, sign: Sign, at: usize) -> Option<(u32, bool)> {
        let (count, of) = seen(sign, &self.days.get(at)?.counts);
        if count < COUNT_MIN {
            return None;
        }
        let of = match sign {
            // The night comes before the day's work.
            Sign::OutsideHours => of.max(self.usual_day(at)?),
            Sign::Undeposited
            | Sign::Unclosed
            | Sign::Repeated
            | Sign::Early
            | Sign::Unknown
            | Sign::Denied
            | Sign::Volume => of,
        };
        let rate = self.usual_rate(sign, at);
        let (count, of) = (u128::from(count), u128::from(of));
        let expected = of * rate;
        let deviation = (of * rate * (MILLION - rate)).isqrt();
        let beyond = count * MILLION > expected + DEVIATIONS * deviation
            && count * MILLION * 100 > expected * BEYOND_PERCENT;
        let (_, most) = bounds(sign);
        let usual = u32::try_from(expected / MILLION).unwrap_or(u32::MAX);
        beyond.then_some((usual, count * MILLION > of * most))
    }

    /// Items of a day before this one, on average; with none before, what was asked so far, if that is a
    /// day's work.
    fn usual_day(&self, at: usize) -> Option<u32> {
        let before = self.days.iter().take(at).map(|day| day.counts.asked);
        let (sum, days) = before.fold((0_u64, 0_u64), |(sum, days), asked| {
            (sum + u64::from(asked), days + 1)
        });
        match sum.checked_div(days) {
            Some(mean) => u32::try_from(mean).ok(),
            None => {
                let asked = self.days.get(at)?.counts.asked;
                (asked >= HISTORY_MIN).then_some(asked)
            }
        }
    }

    /// The consumer's own rate on days before on which the sign was not found, within bounds.
    fn usual_rate(&self, sign: Sign, at: usize) -> u128 {
        let (least, most) = bounds(sign);
        let good = self.days.iter().take(at);
        let good = good.filter(|day| day.found & sign.bit() == 0);
        let (count, of) = good.fold((0_u32, 0_u32), |(count, of), day| {
            let (more, more_of) = seen(sign, &day.counts);
            (count.saturating_add(more), of.saturating_add(more_of))
        });
        if of < HISTORY_MIN {
            return least;
        }
        (u128::from(count) * MILLION / u128::from(of)).clamp(least, most)
    }

    /// The largest day before, if the newest is more than twice that and its deposits do not keep up. A
    /// peak of deposits is a busy day, and while a feed that was heard is silent nobody can say.
    fn beyond_every_day(&self, today: &Day) -> Option<u32> {
        let silent = self.heard_at.zip(self.asked_at);
        if silent.is_some_and(|(heard, asked)| asked.since_ms(heard) > SILENT_MS) {
            return None;
        }
        let before = self.days.len().saturating_sub(1);
        let good = self.days.iter().take(before);
        let good = good.filter(|day| day.found & Sign::Volume.bit() == 0);
        let (largest, days) = good.fold((0_u32, 0_usize), |(largest, days), day| {
            (largest.max(day.counts.asked), days + 1)
        });
        let c = &today.counts;
        let follow =
            u64::from(c.deposited) * 100 >= u64::from(c.released) * u64::from(BUSY_PERCENT);
        let limit = largest.saturating_mul(2).saturating_add(COUNT_MIN);
        (days >= DAYS_MIN && c.asked > limit && !follow).then_some(largest)
    }
}
