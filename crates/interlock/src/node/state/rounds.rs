//! Who has what in hand: deposits that are not over, by courier, and by the extension at which a
//! recipient calls that courier.
//!
//! INVARIANT: a deposit is here while it is not over and it is known whose it is, and under both. An
//! extension follows from a secret of the node and from the deposit, so that no snapshot keeps it; where two
//! deposits came to have the same one it reaches nobody. A node without a number for such calls keeps none.

use std::collections::{BTreeMap, BTreeSet};

use interlock_core::ids::{CourierId, DepositId};

use crate::node::content::Links;
use crate::node::io::Extension;

/// Deposits that couriers look after.
#[derive(Debug, Default)]
pub struct Rounds {
    by_courier: BTreeMap<CourierId, BTreeSet<DepositId>>,
    by_extension: BTreeSet<(Extension, DepositId)>,
}

impl Rounds {
    /// A courier's deposits.
    pub fn of(&self, courier: &CourierId) -> Option<&BTreeSet<DepositId>> {
        self.by_courier.get(courier)
    }

    /// How many couriers have any.
    pub fn couriers(&self) -> usize {
        self.by_courier.len()
    }

    /// The deposit about which somebody calls an extension; `None` if there is none, or more than one.
    pub fn called(&self, extension: Extension) -> Option<DepositId> {
        let [first, last] = [[0; 16], [u8::MAX; 16]].map(DepositId::from_bytes);
        let mut all = self
            .by_extension
            .range((extension, first)..=(extension, last));
        let (_, only) = all.next()?;
        all.next().is_none().then_some(*only)
    }

    /// A courier looks after a deposit.
    pub(super) fn enter(&mut self, links: &Links, courier: &CourierId, id: DepositId) {
        let round = self.by_courier.entry(courier.clone()).or_default();
        round.insert(id);
        let called = links.extension(id).map(|extension| (extension, id));
        self.by_extension.extend(called);
    }

    /// It is over, or nobody may know any more whose it is.
    pub(super) fn leave(&mut self, links: &Links, courier: &CourierId, id: DepositId) {
        if let Some(round) = self.by_courier.get_mut(courier) {
            round.remove(&id);
            if round.is_empty() {
                self.by_courier.remove(courier);
            }
        }
        if let Some(extension) = links.extension(id) {
            self.by_extension.remove(&(extension, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn courier(name: &str) -> CourierId {
        CourierId::parse(name).unwrap()
    }

    #[test]
    fn an_extension_reaches_the_courier_of_one_deposit_while_it_is_not_over() {
        let links = Links::unset_with_calls();
        let [one, other] = [1, 2].map(|n| DepositId::from_bytes([n; 16]));
        let [first, second] = [one, other].map(|id| links.extension(id).unwrap());
        let mut rounds = Rounds::default();
        for (id, name) in [(one, "c1"), (other, "c2")] {
            rounds.enter(&links, &courier(name), id);
        }
        assert_ne!(first, second);
        assert_eq!(rounds.called(first), Some(one));
        assert_eq!(rounds.called(second), Some(other));
        assert_eq!(rounds.of(&courier("c1")).map(BTreeSet::len), Some(1));
        rounds.leave(&links, &courier("c1"), one);
        assert_eq!(rounds.called(first), None);
        assert_eq!(rounds.of(&courier("c1")), None);
        assert_eq!(rounds.called(second), Some(other));
    }

    #[test]
    fn an_extension_of_two_deposits_reaches_nobody() {
        let id = |n| DepositId::from_bytes([n; 16]);
        let extension = Extension::of([7; 4]);
        let mut rounds = Rounds {
            by_extension: [(extension, id(1)), (extension, id(2))].into(),
            ..Rounds::default()
        };
        assert_eq!(rounds.called(extension), None);
        rounds.by_extension.remove(&(extension, id(2)));
        assert_eq!(rounds.called(extension), Some(id(1)));
    }

    #[test]
    fn without_a_number_for_calls_no_extension_is_kept() {
        let id = DepositId::from_bytes([1; 16]);
        let mut rounds = Rounds::default();
        rounds.enter(&Links::unset(), &courier("c1"), id);
        assert_eq!(rounds.of(&courier("c1")).map(BTreeSet::len), Some(1));
        assert!(rounds.by_extension.is_empty());
    }
}
