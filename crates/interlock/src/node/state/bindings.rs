//! Numbers of a pool that are bound to a caller and to a recipient.
//!
//! Purpose: which recipient a consumer reaches at a number (AXB: an alias X between a caller A and a callee
//! B), and which number is free for it. INVARIANT: toward one consumer a number is bound to one parcel at a
//! time, and to another one a day after the lease before it ended at the earliest. Numbers are given out by
//! consumer, so that one learns nothing of another's. It does not know phones.

use std::collections::{BTreeMap, BTreeSet};

use interlock_core::contact::NumberRange;
use interlock_core::ids::{ParcelId, ParticipantId};
use interlock_core::time::{DAY_MS, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a number rests between two parcels, in milliseconds: whoever still has it in a list of calls
/// does not reach somebody else.
pub const COOL_DOWN_MS: i64 = DAY_MS;

/// By consumer.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Bindings(BTreeMap<ParticipantId, Bound>);

/// What is bound for one consumer, by the digits of its numbers. It goes once its number has rested.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Bound {
    numbers: BTreeMap<u64, Binding>,
    by_end: BTreeSet<(Timestamp, u64)>,
    /// The number that was bound last: those after it have rested the longest.
    last: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Binding {
    parcel: ParcelId,
    until: Timestamp,
}

impl Binding {
    fn has_rested(self, at: Timestamp) -> bool {
        self.until.plus_ms(COOL_DOWN_MS) <= at
    }
}

impl Bound {
    /// Those numbers of `first` to `last` that may be bound, ascending.
    fn free(&self, first: u64, last: u64, at: Timestamp) -> impl Iterator<Item = u64> {
        let none = first > last;
        let taken = (!none).then(|| self.numbers.range(first..=last));
        let taken = taken.into_iter().flatten();
        let mut taken = taken.filter(move |(_, it)| !it.has_rested(at)).peekable();
        (first..=last).filter(move |number| taken.next_if(|(taken, _)| *taken == number).is_none())
    }

    fn bind(&mut self, number: u64, binding: Binding) {
        let before = self.numbers.insert(number, binding);
        if before == Some(binding) {
            return;
        }
        if let Some(before) = before {
            self.by_end.remove(&(before.until, number));
        }
        self.by_end.insert((binding.until, number));
        self.last = number;
    }

    /// Drops what has rested, in the pool or out of it.
    fn end(&mut self, at: Timestamp) {
        while let Some((until, number)) = self.by_end.first().copied()
            && until.plus_ms(COOL_DOWN_MS) <= at
        {
            self.by_end.remove(&(until, number));
            self.numbers.remove(&number);
        }
    }
}

impl Bindings {
    /// The parcel that a number was last bound to for a consumer. Its lease says whether it still is.
    pub fn parcel(&self, consumer: &ParticipantId, number: u64) -> Option<ParcelId> {
        let bound = self.0.get(consumer)?.numbers.get(&number)?;
        Some(bound.parcel)
    }

    /// At most `most` numbers of a pool that may be bound for a consumer, in turn: the ones after that which
    /// was bound last first.
    pub fn free(
        &self,
        consumer: &ParticipantId,
        pool: NumberRange,
        at: Timestamp,
        most: usize,
    ) -> Vec<u64> {
        let (first, last) = pool.ends();
        let none = Bound::default();
        let bound = self.0.get(consumer).unwrap_or(&none);
        let next = match pool.contains(bound.last) {
            true => bound.last + 1,
            false => first,
        };
        let after = bound.free(next, last, at);
        after
            .chain(bound.free(first, next - 1, at))
            .take(most)
            .collect()
    }

    /// A number is bound to a parcel for a consumer, instead of what it was bound to before.
    pub(super) fn bind(
        &mut self,
        consumer: &ParticipantId,
        number: u64,
        parcel: ParcelId,
        until: Timestamp,
    ) {
        let bound = self.0.entry(consumer.clone()).or_default();
        bound.bind(number, Binding { parcel, until });
    }

    /// Drops what has rested.
    pub(super) fn end(&mut self, at: Timestamp) {
        self.0.retain(|_, bound| {
            bound.end(at);
            !bound.numbers.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_496_246_400_000);

    fn parcel(n: u8) -> ParcelId {
        ParcelId::from_bytes([n; 16])
    }

    fn consumer(name: &str) -> ParticipantId {
        ParticipantId::parse(&format!("did:web:{name}.example")).unwrap()
    }

    #[test]
    fn a_number_is_bound_again_a_day_after_its_lease_and_not_before() {
        let pool = NumberRange::parse("+8617000000000-+8617000000002").unwrap();
        let (first, last) = pool.ends();
        let (one, other) = (consumer("one"), consumer("other"));
        let mut bindings = Bindings::default();
        assert_eq!(
            bindings.free(&one, pool, AT, 9),
            [first, first + 1, last],
            "nothing is bound"
        );
        assert_eq!(bindings.free(&one, pool, AT, 2).len(), 2);
        for (n, number) in (0..).zip([first + 1, first, last]) {
            let until = AT.plus_ms(i64::from(n) * DAY_MS);
            bindings.bind(&one, number, parcel(n), until);
        }
        assert_eq!(bindings.parcel(&one, first + 1), Some(parcel(0)));
        assert_eq!(bindings.parcel(&other, first + 1), None, "another's");
        assert_eq!(bindings.free(&other, pool, AT, 9).len(), 3);
        let rested = AT.plus_ms(DAY_MS);
        assert_eq!(
            bindings.free(&one, pool, rested.plus_ms(-1), 9),
            Vec::<u64>::new()
        );
        assert_eq!(bindings.free(&one, pool, rested, 9), [first + 1]);
        bindings.bind(&one, first + 1, parcel(9), AT.plus_ms(9 * DAY_MS));
        assert_eq!(bindings.parcel(&one, first + 1), Some(parcel(9)));
        let later = AT.plus_ms(5 * DAY_MS);
        assert_eq!(bindings.free(&one, pool, later, 9), [last, first]);
    }

    #[test]
    fn numbers_are_bound_in_turn_and_a_pool_that_grows_or_moves_has_more() {
        let grown = NumberRange::parse("+8617000000000-+8617000000009").unwrap();
        let (first, last) = grown.ends();
        let one = consumer("one");
        let mut bindings = Bindings::default();
        bindings.bind(&one, 1, parcel(3), AT);
        bindings.bind(&one, first + 3, parcel(1), AT);
        bindings.bind(&one, first + 4, parcel(2), AT);
        let expected: Vec<u64> = (first + 5..=last).chain(first..first + 3).collect();
        assert_eq!(bindings.free(&one, grown, AT, 99), expected);
        let rested = AT.plus_ms(DAY_MS);
        let all: Vec<u64> = (first + 5..=last).chain(first..first + 5).collect();
        assert_eq!(bindings.free(&one, grown, rested, 99), all);
        bindings.bind(&one, last, parcel(4), AT);
        assert_eq!(bindings.free(&one, grown, AT, 2), [first, first + 1]);
        let moved = NumberRange::parse("+8617100000000-+8617100000001").unwrap();
        let (first, last) = moved.ends();
        assert_eq!(bindings.free(&one, moved, AT, 9), [first, last]);
    }

    #[test]
    fn who_asks_again_for_what_is_bound_changes_no_turn() {
        let pool = NumberRange::parse("+8617000000000-+8617000000009").unwrap();
        let (first, _) = pool.ends();
        let one = consumer("one");
        let mut bindings = Bindings::default();
        for n in 0..4 {
            let until = AT.plus_ms(i64::from(n));
            bindings.bind(&one, first + u64::from(n), parcel(n), until);
        }
        bindings.bind(&one, first, parcel(0), AT);
        let rested = AT.plus_ms(2 * DAY_MS);
        assert_eq!(bindings.free(&one, pool, rested, 1), [first + 4]);
    }

    #[test]
    fn what_has_rested_is_dropped_whatever_pool_it_is_of() {
        let (one, other) = (consumer("one"), consumer("other"));
        let mut bindings = Bindings::default();
        bindings.bind(&one, 1, parcel(1), AT);
        bindings.bind(&one, 2, parcel(2), AT.plus_ms(1));
        bindings.bind(&other, 1, parcel(3), AT);
        let rested = AT.plus_ms(DAY_MS);
        bindings.end(rested.plus_ms(-1));
        assert_eq!(bindings.parcel(&other, 1), Some(parcel(3)));
        bindings.end(rested);
        assert_eq!(bindings.parcel(&one, 1), None);
        assert_eq!(bindings.parcel(&one, 2), Some(parcel(2)));
        assert_eq!(bindings.0.len(), 1);
    }
}
