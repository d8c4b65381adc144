//! How well collectors of contacts are found: consumers from a seed, honest ones with the mistakes of
//! couriers, and ones that ask for more, before the watch that a node keeps.
//!
//! Purpose: figures of detection and of false alarms. Invariants: the watch is the node's own
//! ([`interlock_core::collection`]), looked at every hour like a node does; the same seed gives the same
//! figures. It knows no nodes: that a node counts what is asked of it has a test with whole nodes.

use std::collections::BTreeMap;
use std::fmt;

use interlock_core::collection::{Asked, Finding, Sign, Watch};
use interlock_core::ids::ParcelId;
use interlock_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp, Zone};

use crate::SeededRng;

const ZONE: Zone = Zone::CHINA;
/// Days of a consumer's life.
const DAYS: i64 = 45;
/// The day on which a collector begins.
const BEGINS: i64 = 30;
/// What a collector asks for beyond its work, in percent of it.
const SHARES: [u64; 3] = [20, 50, 100];
/// Days within which a collector should be found.
const SOON_DAYS: i64 = 3;

/// What a consumer does beyond its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Honest,
    /// Asks for contacts of parcels that it never gets.
    Sweeper,
    /// Asks as soon as a parcel is announced, a day or more before it comes.
    EarlyBird,
    /// Asks at night for what it had before.
    Rereader,
    /// Tries numbers.
    Guesser,
    /// Reports deposits that never were.
    Inventor,
}

impl Kind {
    /// Those that collect.
    pub const COLLECTORS: [Self; 5] = [
        Self::Sweeper,
        Self::EarlyBird,
        Self::Rereader,
        Self::Guesser,
        Self::Inventor,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Sweeper => "sweeper",
            Self::EarlyBird => "early bird",
            Self::Rereader => "rereader",
            Self::Guesser => "guesser",
            Self::Inventor => "inventor",
        }
    }

    /// Signs by which it is rightly found.
    const fn signs(self) -> &'static [Sign] {
        match self {
            Self::Honest => &[],
            Self::Sweeper => &[Sign::Undeposited, Sign::Volume],
            Self::EarlyBird => &[Sign::Early, Sign::Undeposited],
            Self::Rereader => &[Sign::Repeated, Sign::OutsideHours],
            Self::Guesser => &[Sign::Unknown],
            Self::Inventor => &[Sign::Unclosed],
        }
    }

    /// How long what it does looks like work, in days: a deposit may wait that long for its pick-up.
    const fn hidden_days(self) -> i64 {
        match self {
            Self::Inventor => 7,
            Self::Sweeper => 1,
            Self::Honest | Self::EarlyBird | Self::Rereader | Self::Guesser => 0,
        }
    }
}

/// Small and fast, from a seed.
struct Dice(u64);

impl Dice {
    /// SplitMix64.
    const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    const fn below(&mut self, n: u64) -> u64 {
        self.draw() % n
    }

    /// From `least` to `most`.
    const fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    const fn permille(&mut self, p: u64) -> bool {
        self.below(1_000) < p
    }
}

/// How a consumer works, in thousandths of its lookups.
struct Habits {
    volume: u64,
    undeposited: u64,
    again: u64,
    early: u64,
    night: u64,
    unknown: u64,
    denied: u64,
    unclosed: u64,
}

impl Habits {
    const fn draw(dice: &mut Dice) -> Self {
        Self {
            volume: 100 << dice.below(4),
            undeposited: dice.between(10, 70),
            again: dice.between(5, 40),
            early: dice.between(0, 25),
            night: dice.between(0, 30),
            unknown: dice.between(0, 12),
            denied: dice.between(5, 60),
            unclosed: dice.between(1, 10),
        }
    }
}

#[derive(Clone, Copy)]
enum Act {
    Ask(Asked),
    Deposited(ParcelId),
    Closed(ParcelId),
}

/// One consumer before its owner's watch.
struct Life {
    dice: Dice,
    habits: Habits,
    acts: BTreeMap<(i64, u64), Act>,
    acted: u64,
    parcels: u64,
    /// Until when its feed is not heard.
    silent_until: i64,
    /// Each with the day on which it was found.
    findings: Vec<(i64, Finding)>,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        Self {
            habits: Habits::draw(&mut dice),
            dice,
            acts: BTreeMap::new(),
            acted: 0,
            parcels: 0,
            silent_until: 0,
            findings: Vec::new(),
        }
    }

    fn act(&mut self, at: i64, act: Act) {
        self.acted += 1;
        self.acts.insert((at, self.acted), act);
    }

    /// What is reported comes when the feed is heard again.
    fn report(&mut self, at: i64, act: Act) {
        self.act(at, act);
    }

    /// Whether something is a report that comes later, because the feed is silent.
    fn delayed(&mut self, at: i64, act: Act) -> bool {
        let silent = !matches!(act, Act::Ask(_)) && at < self.silent_until;
        if silent {
            self.act(self.silent_until, act);
        }
        silent
    }

    fn parcel(&mut self) -> ParcelId {
        self.parcels += 1;
        ParcelId::from_bytes(u128::from(self.parcels).to_be_bytes())
    }

    fn ask(&mut self, at: i64, again: bool, early: bool) -> ParcelId {
        let parcel = self.parcel();
        let asked = Asked::Released {
            parcel,
            again,
            early,
            followed: true,
        };
        self.act(at, Act::Ask(asked));
        parcel
    }

    /// A moment of a round: eight in the morning to nine in the evening.
    fn in_round(&mut self, begin: i64) -> i64 {
        begin + 8 * HOUR_MS + self.ms(13 * HOUR_MS)
    }

    fn ms(&mut self, below: i64) -> i64 {
        i64::try_from(self.dice.below(below.unsigned_abs())).unwrap_or(0)
    }

    fn day(&mut self, day: i64, kind: Kind, share: u64) {
        let begin = ZONE.day_start(day).as_millis();
        let peak = self.dice.permille(50);
        let (broken, clumsy) = (self.dice.permille(20), self.dice.permille(20));
        if self.dice.permille(60) {
            let silent = 6 * HOUR_MS + self.ms(24 * HOUR_MS);
            self.silent_until = begin + self.ms(DAY_MS) + silent;
        }
        let spread = self.dice.between(80, 120);
        let number = self.habits.volume * spread / 100 * if peak { 3 } else { 1 };
        for _ in 0..number {
            self.work(begin, broken, clumsy);
        }
        if day >= BEGINS && kind != Kind::Honest {
            for _ in 0..number * share / 100 {
                self.collect(begin, kind);
            }
        }
    }

    /// One parcel of a courier's round.
    fn work(&mut self, begin: i64, broken: bool, clumsy: bool) {
        let h = &self.habits;
        let (unknown, denied, night) = (h.unknown, h.denied, h.night);
        let undeposited = h.undeposited * if broken { 4 } else { 1 };
        let again = h.again * if clumsy { 3 } else { 1 };
        let (early, unclosed) = (h.early, h.unclosed);
        let mut at = self.in_round(begin);
        if self.dice.permille(night) {
            at = begin + self.ms(5 * HOUR_MS);
        }
        if self.dice.permille(unknown) {
            return self.act(at, Act::Ask(Asked::Unknown));
        }
        if self.dice.permille(denied) {
            return self.act(at, Act::Ask(Asked::Denied));
        }
        let (again, early) = (self.dice.permille(again), self.dice.permille(early));
        let parcel = self.ask(at, again, early);
        if self.dice.permille(undeposited) {
            return;
        }
        let hours = if self.dice.permille(50) { 4 } else { 1 };
        let deposited = at + MINUTE_MS + self.ms(hours * HOUR_MS / 2);
        self.report(deposited, Act::Deposited(parcel));
        if self.dice.permille(unclosed) {
            return;
        }
        let lies = if self.dice.permille(30) {
            3 * DAY_MS
        } else {
            MINUTE_MS + self.ms(20 * HOUR_MS)
        };
        self.report(deposited + lies, Act::Closed(parcel));
    }

    /// One item more than the work needs.
    fn collect(&mut self, begin: i64, kind: Kind) {
        let at = self.in_round(begin);
        match kind {
            Kind::Honest => {}
            Kind::Sweeper => {
                self.ask(at, false, false);
            }
            Kind::EarlyBird => {
                let parcel = self.ask(at, false, true);
                let deposited = at + 26 * HOUR_MS + self.ms(20 * HOUR_MS);
                self.report(deposited, Act::Deposited(parcel));
                let lies = self.ms(20 * HOUR_MS);
                self.report(deposited + lies, Act::Closed(parcel));
            }
            Kind::Rereader => {
                let at = begin + self.ms(5 * HOUR_MS);
                let parcel = self.ask(at, true, false);
                // It had been deposited and picked up before.
                self.report(at + 1, Act::Closed(parcel));
            }
            Kind::Guesser => self.act(at, Act::Ask(Asked::Unknown)),
            Kind::Inventor => {
                let parcel = self.ask(at, false, false);
                self.report(at + 5 * MINUTE_MS, Act::Deposited(parcel));
            }
        }
    }

    /// Lives, and is looked at every hour.
    fn live(mut self, kind: Kind, share: u64) -> Vec<(i64, Finding)> {
        let mut watch = Watch::default();
        let mut leaf = 0;
        for day in 0..DAYS {
            self.day(day, kind, share);
            for hour in 1..=24 {
                let until = ZONE.day_start(day).plus_ms(hour * HOUR_MS);
                while let Some(((at, _), act)) = self
                    .acts
                    .first_entry()
                    .filter(|entry| entry.key().0 < until.as_millis())
                    .map(|entry| entry.remove_entry())
                {
                    if self.delayed(at, act) {
                        continue;
                    }
                    let at = Timestamp::from_millis(at);
                    match act {
                        Act::Ask(asked) => {
                            leaf += 1;
                            watch.settle(at, ZONE, true);
                            watch.asked(at, ZONE, asked, leaf);
                        }
                        Act::Deposited(parcel) => {
                            watch.deposited(at, ZONE, parcel);
                            watch.heard(at);
                        }
                        Act::Closed(parcel) => {
                            watch.closed(ZONE, parcel);
                            watch.heard(at);
                        }
                    }
                }
                watch.settle(until.plus_ms(-1), ZONE, true);
                for finding in watch.judge() {
                    watch.found(finding.day, finding.sign);
                    self.findings.push((day, finding));
                }
            }
        }
        self.findings
    }
}

/// How collectors of one kind were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// What they do.
    pub kind: Kind,
    /// How much they ask beyond their work, in percent of it.
    pub share: u64,
    /// How many there were.
    pub collectors: u64,
    /// How many of them were found at all.
    pub found: u64,
    /// How many within three days from when it could be seen.
    pub soon: u64,
    /// Days from the first such lookup to the alert, the median of those found.
    pub median_days: Option<i64>,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Days that honest consumers lived through.
    pub honest_days: u64,
    /// Alerts on them, by sign.
    pub false_alarms: BTreeMap<Sign, u64>,
    /// Each kind and share.
    pub detections: Vec<Detection>,
}

impl Figures {
    /// All alerts on honest consumers.
    pub fn false_alarms(&self) -> u64 {
        self.false_alarms.values().sum()
    }
}

/// Lets `each` collectors of every kind and share, and ten times as many honest consumers, live.
pub fn measure(seed: u64, each: u64) -> Figures {
    let mut seeds = SeededRng::new(seed, "collectors");
    let mut false_alarms = BTreeMap::new();
    let honest = each * 10;
    for _ in 0..honest {
        for (_, finding) in Life::new(seeds.draw()).live(Kind::Honest, 0) {
            *false_alarms.entry(finding.sign).or_default() += 1;
        }
    }
    let mut detections = Vec::new();
    for kind in Kind::COLLECTORS {
        for share in SHARES {
            let mut days: Vec<i64> = (0..each)
                .filter_map(|_| found_after(seeds.draw(), kind, share))
                .collect();
            days.sort_unstable();
            let soon = days
                .iter()
                .filter(|d| **d <= SOON_DAYS + kind.hidden_days());
            detections.push(Detection {
                kind,
                share,
                collectors: each,
                found: days.len() as u64,
                soon: soon.count() as u64,
                median_days: days.get(days.len() / 2).copied(),
            });
        }
    }
    Figures {
        honest_days: honest * DAYS.unsigned_abs(),
        false_alarms,
        detections,
    }
}

/// Days from a collector's first lookup to the alert that it deserves.
fn found_after(seed: u64, kind: Kind, share: u64) -> Option<i64> {
    let findings = Life::new(seed).live(kind, share);
    let deserved = findings
        .iter()
        .filter(|(_, f)| f.day >= BEGINS && kind.signs().contains(&f.sign));
    deserved.map(|(day, _)| day - BEGINS).min()
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.false_alarms() as f64 * 1_000.0 / self.honest_days as f64;
        writeln!(
            f,
            "honest consumers: {} days, {} false alarms, {rate:.2} in a thousand days",
            self.honest_days,
            self.false_alarms()
        )?;
        for (sign, number) in &self.false_alarms {
            writeln!(f, "  {}: {number}", sign.as_str())?;
        }
        writeln!(
            f,
            "collector    beyond its work   found   soon   median days"
        )?;
        for it in &self.detections {
            let days = it.median_days.map_or("-".into(), |days| days.to_string());
            writeln!(
                f,
                "{:<12} {:>13} %   {:>2}/{:<2}   {:>2}/{:<2}  {days:>10}",
                it.kind.name(),
                it.share,
                it.found,
                it.collectors,
                it.soon,
                it.collectors,
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collectors_are_found_and_couriers_mistakes_are_not_taken_for_them() {
        let figures = measure(7, 6);
        println!("{figures}");
        assert_eq!(
            measure(8, 1),
            measure(8, 1),
            "the same seed, the same figures"
        );
        assert!(
            figures.false_alarms() * 1_000 <= figures.honest_days * 3,
            "three in a thousand days at most: {figures}"
        );
        for it in &figures.detections {
            assert!(it.share < 50 || it.soon == it.collectors, "{it:?}");
        }
    }
}
