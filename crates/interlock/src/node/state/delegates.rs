//! Links by which somebody else fetches a parcel.

use std::collections::BTreeMap;

use interlock_core::ids::DepositId;
use serde::{Deserialize, Serialize};

use crate::node::content::Links;
use crate::node::io::Digest;

/// One link a deposit at most, while the parcel lies in its compartment.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Delegates {
    /// What a link's token follows from, by deposit.
    links: BTreeMap<DepositId, [u8; 16]>,
    /// The same by the digest of the token.
    by_link: BTreeMap<Digest, DepositId>,
}

impl Delegates {
    /// What the token of a deposit's link follows from.
    pub fn of(&self, deposit: DepositId) -> Option<[u8; 16]> {
        self.links.get(&deposit).copied()
    }

    /// The deposit behind a link.
    pub fn by_link(&self, digest: &Digest) -> Option<DepositId> {
        self.by_link.get(digest).copied()
    }

    /// The deposit has this link from here on, or none.
    pub(super) fn set(&mut self, links: &Links, deposit: DepositId, link: Option<[u8; 16]>) {
        if let Some(before) = self.links.remove(&deposit) {
            self.by_link.remove(&links.delegate_digest(&before));
        }
        if let Some(link) = link {
            self.links.insert(deposit, link);
            self.by_link.insert(links.delegate_digest(&link), deposit);
        }
    }
}
