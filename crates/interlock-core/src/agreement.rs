//! The life of an agreement after its negotiation is FINALIZED.
//!
//! INVARIANT: the state is derived from facts and a clock, never stored, so that midnight needs no
//! event: an agreement that ends at 00:00 has ended at 00:00 at a node that was asleep. An uncertain
//! clock makes an agreement start late and end early. Not known here: what may be released, see
//! [`crate::decide`].

use core::fmt;

use serde::{Deserialize, Serialize};

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
            Assurance::Plain => !terms.dataset.is_parcel_data(),
        }
    }
}

/// The state of an agreement at `clock`.
///
/// A successor that comes into force before the end takes everything over. One that comes after the
/// end leaves the run-off alone, and so does a suspension: neither may strand a parcel.
pub fn state(facts: &AgreementFacts, terms: &Terms, clock: &ClockInterval) -> AgreementState {
    let passed = |at: Option<Timestamp>| at.is_some_and(|at| clock.latest >= at);
    let end = facts.end(terms);
    let superseded = passed(facts.superseded_at);
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
