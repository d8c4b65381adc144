//! The memory of request ids, for as long as their tokens would be accepted again.
//!
//! Requests between nodes are idempotent by id in a layer above: a repeat with the same content gets
//! the stored answer and has no further effect. So a repeat is not always an attack, and the guard
//! only says that it saw the id; the caller decides. Use [`Admission::require_fresh`] at a door whose
//! requests are not idempotent.
//!
//! INVARIANT: an id is forgotten only when no token with it could be accepted. A memory that is full
//! refuses new ids rather than forgetting old ones. Each partner has a memory of its own, so that
//! none can fill another's, or learn from it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use interlock_core::ids::{ParticipantId, RequestId};
use interlock_core::time::Timestamp;

use super::{TokenError, Verified};

/// Most request ids that are remembered for one partner: over 30 s of tokens, 8,000 requests a second.
pub const REPLAY_IDS_PER_PARTNER_MAX: usize = 262_144;

/// What the guard says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Not seen within the life of its token; it is remembered now.
    Fresh,
    /// Seen: a repeat, or a copy by somebody else.
    Seen,
    /// The partner's memory is full; the request must be refused.
    Full,
}

impl Admission {
    /// Refuses a repeat, for doors whose requests are not idempotent.
    ///
    /// # Errors
    /// [`TokenError::Replayed`] or [`TokenError::TooManyRequests`].
    pub const fn require_fresh(self) -> Result<(), TokenError> {
        match self {
            Self::Fresh => Ok(()),
            Self::Seen => Err(TokenError::Replayed),
            Self::Full => Err(TokenError::TooManyRequests),
        }
    }
}

/// Remembers the request ids of every partner. It lives as long as the process: tokens from before
/// its start are refused by [`verify`](super::verify).
#[derive(Debug)]
pub struct ReplayGuard {
    ids_per_partner_max: usize,
    partners: BTreeMap<ParticipantId, Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    until: HashMap<RequestId, Timestamp>,
    by_end: BTreeSet<(Timestamp, RequestId)>,
}

impl Memory {
    fn forget_ended(&mut self, now: Timestamp) {
        while let Some((until, id)) = self.by_end.first().copied() {
            if until > now {
                return;
            }
            self.by_end.pop_first();
            self.until.remove(&id);
        }
    }

    fn remember(&mut self, id: RequestId, until: Timestamp) {
        self.until.insert(id, until);
        self.by_end.insert((until, id));
    }
}

impl Default for ReplayGuard {
    fn default() -> Self {
        Self::new(REPLAY_IDS_PER_PARTNER_MAX)
    }
}

impl ReplayGuard {
    /// A guard that remembers up to `ids_per_partner_max` ids for each partner.
    pub const fn new(ids_per_partner_max: usize) -> Self {
        Self {
            ids_per_partner_max,
            partners: BTreeMap::new(),
        }
    }

    /// Says whether this request was seen, and remembers it.
    ///
    /// A repeat with a newer token keeps its id in memory until the end of the newer one. `now` must
    /// not go back: the highest time so far is the caller's to keep.
    pub fn admit(&mut self, request: &Verified, now: Timestamp) -> Admission {
        let memory = self.partners.entry(request.partner.clone()).or_default();
        memory.forget_ended(now);
        let (id, until) = (request.request_id, request.remember_until);
        if let Some(known_until) = memory.until.get(&id).copied() {
            if until > known_until {
                memory.by_end.remove(&(known_until, id));
                memory.remember(id, until);
            }
            return Admission::Seen;
        }
        if memory.until.len() >= self.ids_per_partner_max {
            return Admission::Full;
        }
        memory.remember(id, until);
        Admission::Fresh
    }

    /// How many ids are remembered, for all partners.
    pub fn len(&self) -> usize {
        self.partners
            .values()
            .map(|memory| memory.until.len())
            .sum()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(partner: &str, id: u8, until_ms: i64) -> Verified {
        Verified {
            partner: ParticipantId::parse(partner).unwrap(),
            request_id: RequestId::from_bytes([id; 16]),
            remember_until: Timestamp::from_millis(until_ms),
        }
    }

    const A: &str = "did:web:a.example";
    const B: &str = "did:web:b.example";

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn an_id_is_seen_until_its_end() {
        let mut guard = ReplayGuard::default();
        assert_eq!(guard.admit(&request(A, 1, 100), at(0)), Admission::Fresh);
        assert_eq!(guard.admit(&request(A, 1, 100), at(99)), Admission::Seen);
        assert_eq!(guard.admit(&request(B, 1, 100), at(99)), Admission::Fresh);
        assert_eq!(guard.admit(&request(A, 1, 200), at(100)), Admission::Fresh);
    }

    #[test]
    fn a_newer_token_prolongs_the_memory_and_an_older_does_not_shorten_it() {
        let mut guard = ReplayGuard::default();
        assert_eq!(guard.admit(&request(A, 1, 100), at(0)), Admission::Fresh);
        assert_eq!(guard.admit(&request(A, 1, 200), at(50)), Admission::Seen);
        assert_eq!(guard.admit(&request(A, 1, 60), at(51)), Admission::Seen);
        assert_eq!(guard.admit(&request(A, 1, 200), at(199)), Admission::Seen);
        assert_eq!(guard.len(), 1);
        assert_eq!(guard.admit(&request(A, 2, 300), at(200)), Admission::Fresh);
        assert_eq!(guard.len(), 1);
    }

    #[test]
    fn a_full_memory_refuses_and_forgets_nothing() {
        let mut guard = ReplayGuard::new(2);
        assert_eq!(guard.admit(&request(A, 1, 100), at(0)), Admission::Fresh);
        assert_eq!(guard.admit(&request(A, 2, 200), at(0)), Admission::Fresh);
        assert_eq!(guard.admit(&request(A, 3, 300), at(0)), Admission::Full);
        assert_eq!(guard.admit(&request(A, 1, 100), at(0)), Admission::Seen);
        // The others are not affected, and room comes back.
        assert_eq!(guard.admit(&request(B, 3, 300), at(0)), Admission::Fresh);
        assert_eq!(guard.admit(&request(A, 3, 300), at(100)), Admission::Fresh);
    }

    #[test]
    fn a_strict_door_refuses_repeats() {
        assert_eq!(Admission::Fresh.require_fresh(), Ok(()));
        assert_eq!(Admission::Seen.require_fresh(), Err(TokenError::Replayed));
        assert_eq!(
            Admission::Full.require_fresh(),
            Err(TokenError::TooManyRequests)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        /// Against a model that remembers everything: no live id is ever fresh twice.
        #[test]
        fn no_live_id_is_fresh_twice(
            steps in proptest::collection::vec((0u8..6, 0i64..20, 1i64..60), 1..80),
        ) {
            let mut guard = ReplayGuard::new(4);
            let mut model: HashMap<u8, i64> = HashMap::new();
            let mut now = 0;
            for (id, pause, life) in steps {
                now += pause;
                let live = model.get(&id).is_some_and(|until| *until > now);
                let count = model.values().filter(|until| **until > now).count();
                let admission = guard.admit(&request(A, id, now + life), at(now));
                let wanted = match (live, count < 4) {
                    (true, _) => Admission::Seen,
                    (false, true) => Admission::Fresh,
                    (false, false) => Admission::Full,
                };
                prop_assert_eq!(admission, wanted);
                if admission != Admission::Full {
                    let until = model.entry(id).or_insert(0);
                    *until = (*until).max(now + life);
                }
                prop_assert!(guard.len() <= 4);
            }
        }
    }
}
