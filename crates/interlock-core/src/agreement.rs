//! The life of an agreement after its negotiation is FINALIZED.
//!
//! INVARIANT: the state is derived from facts and a clock, never stored, so that midnight needs no
//! event: an agreement that ends at 00:00 has ended at 00:00 at a node that was asleep. An uncertain
//! clock makes an agreement start late and end early. Not known here: what may be released, see
//! [`crate::decide`].

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::terms::Terms;
use crate::time::{ClockInterval, HOUR_MS, Timestamp};

/// Shortest notice of a suspension by reciprocity, in milliseconds.
pub const RECIPROCITY_NOTICE_MS_MIN: i64 = 72 * HOUR_MS;

/// Where an agreement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgreementState {
    /// The negotiation is FINALIZED (DSP 2025-1); the cooperation's manifest is not complete.
    Finalized,
    /// All agreements of the manifest are FINALIZED, both parties signed it, the term is ahead.
    Signed,
    /// Data flows.
    InForce,
    /// A party stopped it; it can be resumed.
    Suspended,
    /// Ended; parcels that qualified before the end are still served.
    RunOff,
    /// Over.
    Ended,
    /// A successor took its place.
    Superseded,
}

impl AgreementState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Finalized,
        Self::Signed,
        Self::InForce,
        Self::Suspended,
        Self::RunOff,
        Self::Ended,
        Self::Superseded,
    ];

    /// The name on the wire, such as `IN_FORCE`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Finalized => "FINALIZED",
            Self::Signed => "SIGNED",
            Self::InForce => "IN_FORCE",
            Self::Suspended => "SUSPENDED",
            Self::RunOff => "RUN_OFF",
            Self::Ended => "ENDED",
            Self::Superseded => "SUPERSEDED",
        }
    }
}

impl fmt::Display for AgreementState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How well an agreement is attested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assurance {
    /// By a manifest with both signatures.
    Signed,
    /// By the negotiation alone: a counterparty that knows no manifests. Enough for open data.
    Plain,
    /// By the negotiation alone, and enough for parcel data too: our configuration says so.
    Waived,
}

impl Assurance {
    /// What agreements are shown to have: `signed`, or `plain` without a manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Plain | Self::Waived => "plain",
        }
    }

    /// Whether an agreement on `dataset` can come into force by it.
    pub const fn is_enough_for(self, dataset: Dataset) -> bool {
        match self {
            Self::Signed | Self::Waived => true,
            Self::Plain => !dataset.is_parcel_data(),
        }
    }
}

/// What is known of an agreement whose negotiation is FINALIZED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreementFacts {
    /// By what it is attested.
    pub assurance: Assurance,
    /// When the manifest became complete: all its agreements FINALIZED, both signatures on it.
    pub manifest_complete_at: Option<Timestamp>,
    /// From when it is suspended. A resumption clears it.
    pub suspended_at: Option<Timestamp>,
    /// When a termination takes effect, its notice over. Run-off begins then.
    pub terminated_at: Option<Timestamp>,
    /// From when a successor that names this agreement in `supersedes` is in force.
    pub superseded_at: Option<Timestamp>,
}

impl AgreementFacts {
    /// The facts of an agreement that was just FINALIZED.
    pub const fn finalized(assurance: Assurance) -> Self {
        Self {
            assurance,
            manifest_complete_at: None,
            suspended_at: None,
            terminated_at: None,
            superseded_at: None,
        }
    }

    /// The instant at which it ends: the end of the term, or an earlier termination.
    pub fn end(&self, terms: &Terms) -> Timestamp {
        self.terminated_at
            .map_or(terms.until, |at| at.min(terms.until))
    }

    fn attested(&self, terms: &Terms, clock: &ClockInterval) -> bool {
        match self.assurance {
            Assurance::Signed => self
                .manifest_complete_at
                .is_some_and(|at| clock.earliest >= at),
            Assurance::Plain | Assurance::Waived => self.assurance.is_enough_for(terms.dataset),
        }
    }

    /// Whether it is attested, or has been since some time: by both signatures, or by the negotiation
    /// where that is enough.
    pub fn is_attested(&self, terms: &Terms) -> bool {
        match self.assurance {
            Assurance::Signed => self.manifest_complete_at.is_some(),
            Assurance::Plain | Assurance::Waived => self.assurance.is_enough_for(terms.dataset),
        }
    }

    /// Whether a successor took its place before it began: it never comes into force.
    pub fn is_moot(&self, terms: &Terms) -> bool {
        self.superseded_at.is_some_and(|at| at <= terms.from)
    }
}

/// The state of an agreement at `clock`.
///
/// A successor that comes into force before the end takes everything over. One that comes after the
/// end leaves the run-off alone, and so does a suspension: neither may strand a parcel.
pub fn state(facts: &AgreementFacts, terms: &Terms, clock: &ClockInterval) -> AgreementState {
    let passed = |at: Option<Timestamp>| at.is_some_and(|at| clock.latest >= at);
    let end = facts.end(terms);
    let superseded = passed(facts.superseded_at) || facts.is_moot(terms);
    if !facts.attested(terms, clock) {
        return match (superseded, clock.latest >= end) {
            (true, _) => AgreementState::Superseded,
            (false, true) => AgreementState::Ended,
            (false, false) => AgreementState::Finalized,
        };
    }
    if superseded && facts.superseded_at.is_some_and(|at| at < end) {
        return AgreementState::Superseded;
    }
    if clock.latest >= end {
        let run_off_end = end.plus_ms(terms.run_off_ms.unwrap_or(0));
        let was_in_force = terms.from < end && facts.manifest_complete_at.is_none_or(|at| at < end);
        if was_in_force && clock.latest < run_off_end {
            return AgreementState::RunOff;
        }
        return if superseded {
            AgreementState::Superseded
        } else {
            AgreementState::Ended
        };
    }
    if passed(facts.suspended_at) {
        return AgreementState::Suspended;
    }
    if clock.earliest < terms.from {
        return AgreementState::Signed;
    }
    AgreementState::InForce
}

/// The next instant after `now` at which the state is another one than at `now`, by an exact clock
/// and if no new fact arrives.
pub fn next_change_at(facts: &AgreementFacts, terms: &Terms, now: Timestamp) -> Option<Timestamp> {
    let end = facts.end(terms);
    let mut instants = [
        Some(terms.from),
        Some(end),
        Some(end.plus_ms(terms.run_off_ms.unwrap_or(0))),
        facts.manifest_complete_at,
        facts.suspended_at,
        facts.superseded_at,
    ];
    instants.sort_unstable();
    let current = state(facts, terms, &ClockInterval::exact(now));
    instants
        .into_iter()
        .flatten()
        .filter(|at| *at > now)
        .find(|at| state(facts, terms, &ClockInterval::exact(*at)) != current)
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::terms::testing::{JULY, JUNE, event_terms};
    use crate::time::DAY_MS;

    use AgreementState as S;

    const EARLIER: Timestamp = JUNE.plus_ms(-DAY_MS);

    fn signed() -> AgreementFacts {
        AgreementFacts {
            manifest_complete_at: Some(EARLIER),
            ..AgreementFacts::finalized(Assurance::Signed)
        }
    }

    fn at(facts: &AgreementFacts, instant: Timestamp) -> S {
        state(facts, &event_terms(), &ClockInterval::exact(instant))
    }

    #[test]
    fn midnight_needs_no_event() {
        let facts = signed();
        for (instant, expected) in [
            (EARLIER.plus_ms(-1), S::Finalized),
            (EARLIER, S::Signed),
            (JUNE.plus_ms(-1), S::Signed),
            (JUNE, S::InForce),
            (JULY.plus_ms(-1), S::InForce),
            (JULY, S::RunOff),
            (JULY.plus_ms(7 * DAY_MS - 1), S::RunOff),
            (JULY.plus_ms(7 * DAY_MS), S::Ended),
        ] {
            assert_eq!(at(&facts, instant), expected, "{instant:?}");
        }
    }

    #[test]
    fn an_uncertain_clock_starts_late_and_ends_early() {
        let around = |instant: Timestamp| {
            let clock = ClockInterval {
                earliest: instant.plus_ms(-1),
                latest: instant.plus_ms(1),
            };
            state(&signed(), &event_terms(), &clock)
        };
        assert_eq!(around(JUNE), S::Signed);
        assert_eq!(around(JULY), S::RunOff);
    }

    #[test]
    fn parcel_data_needs_a_manifest_and_open_data_does_not() {
        let plain = AgreementFacts::finalized(Assurance::Plain);
        assert_eq!(at(&plain, JUNE), S::Finalized);
        let mut stations = event_terms();
        stations.dataset = Dataset::LockerStations;
        let clock = ClockInterval::exact(JUNE);
        assert_eq!(state(&plain, &stations, &clock), S::InForce);
        let unsigned = AgreementFacts::finalized(Assurance::Signed);
        assert_eq!(state(&unsigned, &stations, &clock), S::Finalized);
        assert_eq!(at(&unsigned, JULY), S::Ended, "never in force, no run-off");
    }

    #[test]
    fn a_manifest_completed_after_the_end_gives_no_run_off() {
        let facts = AgreementFacts {
            manifest_complete_at: Some(JULY),
            ..signed()
        };
        assert_eq!(at(&facts, JULY), S::Ended);
    }

    #[test]
    fn suspension_stops_the_term_but_not_the_run_off() {
        let facts = AgreementFacts {
            suspended_at: Some(JUNE.plus_ms(DAY_MS)),
            ..signed()
        };
        assert_eq!(at(&facts, JUNE.plus_ms(DAY_MS - 1)), S::InForce);
        assert_eq!(at(&facts, JUNE.plus_ms(DAY_MS)), S::Suspended);
        assert_eq!(at(&facts, JULY), S::RunOff);
    }

    #[test]
    fn a_termination_ends_early_and_starts_run_off() {
        let stop = JUNE.plus_ms(3 * DAY_MS);
        let facts = AgreementFacts {
            terminated_at: Some(stop),
            ..signed()
        };
        assert_eq!(at(&facts, stop.plus_ms(-1)), S::InForce);
        assert_eq!(at(&facts, stop), S::RunOff);
        assert_eq!(at(&facts, stop.plus_ms(7 * DAY_MS)), S::Ended);
        let before_start = AgreementFacts {
            terminated_at: Some(EARLIER),
            ..signed()
        };
        assert_eq!(at(&before_start, JUNE), S::Ended);
    }

    #[test]
    fn a_successor_takes_over_the_term_but_leaves_the_run_off() {
        let during = AgreementFacts {
            superseded_at: Some(JUNE.plus_ms(DAY_MS)),
            ..signed()
        };
        assert_eq!(at(&during, JUNE.plus_ms(DAY_MS - 1)), S::InForce);
        assert_eq!(at(&during, JUNE.plus_ms(DAY_MS)), S::Superseded);
        assert_eq!(at(&during, JULY), S::Superseded);
        let after = AgreementFacts {
            superseded_at: Some(JULY.plus_ms(2 * DAY_MS)),
            ..signed()
        };
        assert_eq!(at(&after, JULY.plus_ms(3 * DAY_MS)), S::RunOff);
        assert_eq!(at(&after, JULY.plus_ms(7 * DAY_MS)), S::Superseded);
    }

    #[test]
    fn one_that_was_superseded_before_it_began_is_over_at_once() {
        for moot_at in [EARLIER, JUNE] {
            let facts = AgreementFacts {
                superseded_at: Some(moot_at),
                ..signed()
            };
            for instant in [EARLIER, JUNE, JULY] {
                assert_eq!(at(&facts, instant), S::Superseded);
            }
        }
    }

    #[test]
    fn parcel_data_without_a_manifest_flows_only_where_that_was_waived() {
        let waived = AgreementFacts::finalized(Assurance::Waived);
        assert_eq!(at(&waived, JUNE), S::InForce);
        assert_eq!(Assurance::Waived.as_str(), "plain");
        assert!(!Assurance::Plain.is_enough_for(Dataset::LockerEvents));
        assert!(Assurance::Plain.is_enough_for(Dataset::LockerStations));
    }

    #[test]
    fn states_keep_their_stored_order() {
        let packed = postcard::to_allocvec(&S::ALL).unwrap();
        assert_eq!(packed, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(
            serde_json::to_value(S::InForce).unwrap(),
            serde_json::json!("in-force")
        );
    }

    prop_compose! {
        fn any_facts()(
            plain in any::<bool>(),
            complete_h in option::weighted(0.8, -100i64..1_000),
            suspended_h in option::of(-100i64..1_000),
            terminated_h in option::of(-100i64..1_000),
            superseded_h in option::of(-100i64..1_000),
        ) -> AgreementFacts {
            let hours = |h: Option<i64>| h.map(|h| JUNE.plus_ms(h * HOUR_MS));
            AgreementFacts {
                assurance: if plain { Assurance::Plain } else { Assurance::Signed },
                manifest_complete_at: hours(complete_h),
                suspended_at: hours(suspended_h),
                terminated_at: hours(terminated_h),
                superseded_at: hours(superseded_h),
            }
        }
    }

    proptest! {
        #[test]
        fn next_change_is_the_next_change(facts in any_facts(), start_h in -200i64..1_100) {
            let terms = event_terms();
            let exact = |instant| state(&facts, &terms, &ClockInterval::exact(instant));
            let now = JUNE.plus_ms(start_h * HOUR_MS);
            let walked = (1..2_000)
                .map(|h| now.plus_ms(h * HOUR_MS))
                .find(|instant| exact(*instant) != exact(now));
            prop_assert_eq!(next_change_at(&facts, &terms, now), walked);
        }

        #[test]
        fn an_interval_is_in_force_only_if_both_its_ends_are(
            facts in any_facts(),
            start_h in -200i64..1_100,
            width_h in 0i64..100,
        ) {
            let terms = event_terms();
            let earliest = JUNE.plus_ms(start_h * HOUR_MS);
            let clock = ClockInterval { earliest, latest: earliest.plus_ms(width_h * HOUR_MS) };
            if state(&facts, &terms, &clock) == S::InForce {
                prop_assert_eq!(state(&facts, &terms, &ClockInterval::exact(clock.earliest)), S::InForce);
                prop_assert_eq!(state(&facts, &terms, &ClockInterval::exact(clock.latest)), S::InForce);
            }
        }
    }
}
