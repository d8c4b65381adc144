//! Who has what in hand: deposits that are not over, by courier, and by the extension at which a
//! recipient calls that courier.
//!
//! INVARIANT: a deposit is here while it is not over and it is known whose it is, and under both. An
//! extension follows from a secret of the node and from the deposit, so that no snapshot keeps it; where two
//! deposits came to have the same one it reaches nobody.

use std::collections::{BTreeMap, BTreeSet};

use interlock_core::ids::{CourierId, DepositId};

use crate::node::content::Links;
use crate::node::io::Extension;

/// Deposits that couriers look after.
#[derive(Debug, Default)]
pub struct Rounds {
    by_courier: BTreeMap<CourierId, BTreeSet<DepositId>>,
    by_extension: BTreeMap<Extension, BTreeSet<DepositId>>,
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
        let all = self.by_extension.get(&extension)?;
        all.first().copied().filter(|_| all.len() == 1)
    }

    /// A courier looks after a deposit.
    pub(super) fn enter(&mut self, links: &Links, courier: &CourierId, id: DepositId) {
        let round = self.by_courier.entry(courier.clone()).or_default();
        round.insert(id);
        let called = self.by_extension.entry(links.extension(id)).or_default();
        called.insert(id);
    }

    /// It is over, or nobody may know any more whose it is.
    pub(super) fn leave(&mut self, links: &Links, courier: &CourierId, id: DepositId) {
        take_out(&mut self.by_courier, courier, id);
        take_out(&mut self.by_extension, &links.extension(id), id);
    }
}

fn take_out<K: Ord>(all: &mut BTreeMap<K, BTreeSet<DepositId>>, key: &K, id: DepositId) {
    if let Some(some) = all.get_mut(key) {
        some.remove(&id);
        if some.is_empty() {
            all.remove(key);
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
        let links = Links::unset();
        let [one, other] = [1, 2].map(|n| DepositId::from_bytes([n; 16]));
        let mut rounds = Rounds::default();
        for (id, name) in [(one, "c1"), (other, "c2")] {
            rounds.enter(&links, &courier(name), id);
        }
        assert_ne!(links.extension(one), links.extension(other));
        assert_eq!(rounds.called(links.extension(one)), Some(one));
        assert_eq!(rounds.called(links.extension(other)), Some(other));
        assert_eq!(rounds.of(&courier("c1")).map(BTreeSet::len), Some(1));
        rounds.leave(&links, &courier("c1"), one);
        assert_eq!(rounds.called(links.extension(one)), None);
        assert_eq!(rounds.of(&courier("c1")), None);
        assert_eq!(rounds.called(links.extension(other)), Some(other));
    }

    #[test]
    fn an_extension_of_two_deposits_reaches_nobody() {
        let id = |n| DepositId::from_bytes([n; 16]);
        let extension = Extension::of([7; 4]);
        let mut rounds = Rounds::default();
        rounds.by_extension.insert(extension, [id(1), id(2)].into());
        assert_eq!(rounds.called(extension), None);
        take_out(&mut rounds.by_extension, &extension, id(2));
        assert_eq!(rounds.called(extension), Some(id(1)));
    }
}
