//! Whether a day is beyond what is usual.

use super::{Counts, Day, Finding, Sign, Watch};

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
const BUSY_PERCENT: u32 = 80;

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
    /// The signs of the newest day that were not found before.
    pub fn judge(&self) -> alloc::vec::Vec<Finding> {
        let Some(today) = self.days.back() else {
            return alloc::vec::Vec::new();
        };
        let fresh = Sign::ALL
            .into_iter()
            .filter(|sign| today.found & sign.bit() == 0);
        fresh
            .filter_map(|sign| {
                let usual = match sign {
                    Sign::Volume => self.beyond_every_day(today)?,
                    Sign::Undeposited
                    | Sign::Unclosed
                    | Sign::Repeated
                    | Sign::Early
                    | Sign::OutsideHours
                    | Sign::Unknown
                    | Sign::Denied => self.beyond_rate(sign, today)?,
                };
                let (count, of) = seen(sign, &today.counts);
                let leaves = self.leaves.get(&sign).into_iter().flatten();
                Some(Finding {
                    day: today.day,
                    sign,
                    count,
                    of,
                    usual,
                    leaves: leaves.copied().collect(),
                })
            })
            .collect()
    }

    /// How many would be usual, if the day is beyond that.
    fn beyond_rate(&self, sign: Sign, today: &Day) -> Option<u32> {
        let (count, of) = seen(sign, &today.counts);
        if count < COUNT_MIN {
            return None;
        }
        let rate = self.usual_rate(sign);
        let (count, of) = (u128::from(count), u128::from(of));
        let expected = of * rate;
        let deviation = (of * rate * (MILLION - rate)).isqrt();
        let beyond = count * MILLION > expected + DEVIATIONS * deviation
            && count * MILLION * 100 > expected * BEYOND_PERCENT;
        beyond.then(|| u32::try_from(expected / MILLION).unwrap_or(u32::MAX))
    }

    /// The consumer's own rate on days on which the sign was not found, within bounds.
    fn usual_rate(&self, sign: Sign) -> u128 {
        let (least, most) = bounds(sign);
        let before = self.days.len().saturating_sub(1);
        let good = self.days.iter().take(before);
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

    /// The largest day before, if this one is more than twice that and its deposits do not keep up. A
    /// peak of deposits is a busy day.
    fn beyond_every_day(&self, today: &Day) -> Option<u32> {
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
