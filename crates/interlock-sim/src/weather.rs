//! What the network does to what is sent over it.
//!
//! Invariant: all of its chance comes from the world's seed, and none is drawn in fair weather, so that
//! worlds without it stay comparable byte by byte.

use interlock::node::Rng as _;

use crate::SeededRng;
use crate::net::LATENCY_MS;

/// How a network behaves. The default is fair: everything arrives once, after the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Up to so much is added to the way of each message, in milliseconds: what is sent later may
    /// arrive earlier.
    pub delay_ms_max: u32,
    /// Of a thousand requests, so many never arrive.
    pub lost_requests: u32,
    /// Of a thousand answers, so many never arrive: what was asked was done.
    pub lost_answers: u32,
    /// Of a thousand requests, so many arrive twice.
    pub repeated_requests: u32,
}

/// What becomes of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    /// How long it is under way, in milliseconds.
    pub(crate) way_ms: i64,
    /// It never arrives.
    pub(crate) lost: bool,
    /// It arrives again, so long after it was sent.
    pub(crate) again_ms: Option<i64>,
}

impl Weather {
    /// A storm: everything that a network may do.
    pub const STORM: Self = Self {
        delay_ms_max: 400,
        lost_requests: 50,
        lost_answers: 50,
        repeated_requests: 50,
    };

    pub(crate) fn request(&self, rng: &mut SeededRng) -> Fate {
        self.fate(rng, self.lost_requests, self.repeated_requests)
    }

    pub(crate) fn answer(&self, rng: &mut SeededRng) -> Fate {
        self.fate(rng, self.lost_answers, 0)
    }

    fn fate(&self, rng: &mut SeededRng, lost: u32, repeated: u32) -> Fate {
        let mut below = |end: u32| match end {
            0 => 0,
            _ => {
                let mut bytes = [0; 8];
                rng.fill(&mut bytes);
                (u64::from_le_bytes(bytes) % u64::from(end)) as u32
            }
        };
        let delay = |drawn: u32| LATENCY_MS + i64::from(drawn);
        let way_ms = delay(below(self.delay_ms_max));
        let lost = lost > 0 && below(1_000) < lost;
        let again = repeated > 0 && below(1_000) < repeated;
        Fate {
            way_ms,
            lost,
            again_ms: again.then(|| delay(below(self.delay_ms_max))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fair_weather_draws_nothing() {
        let mut rng = SeededRng::new(1, "weather");
        let fate = Weather::default().request(&mut rng);
        let fair = Fate {
            way_ms: LATENCY_MS,
            lost: false,
            again_ms: None,
        };
        assert_eq!(fate, fair);
        assert_eq!(rng.draw(), SeededRng::new(1, "weather").draw());
    }

    #[test]
    fn a_storm_does_all_that_it_may_about_as_often_as_it_says() {
        let mut rng = SeededRng::new(2, "weather");
        let fates: Vec<Fate> = (0..10_000)
            .map(|_| Weather::STORM.request(&mut rng))
            .collect();
        let share = |count: usize| (300..=700).contains(&count);
        assert!(share(fates.iter().filter(|fate| fate.lost).count()));
        assert!(share(
            fates.iter().filter(|fate| fate.again_ms.is_some()).count()
        ));
        let ways = fates.iter().map(|fate| fate.way_ms);
        assert!(ways.clone().min() < Some(20) && ways.max() > Some(380));
        let answers: Vec<Fate> = (0..10_000)
            .map(|_| Weather::STORM.answer(&mut rng))
            .collect();
        assert!(answers.iter().all(|fate| fate.again_ms.is_none()));
        assert!(share(answers.iter().filter(|fate| fate.lost).count()));
    }
}
