//! Nodes that are taken through a snapshot in the middle of a test.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use interlock_journal::disk::MemDisk;

use super::{Keeper, open};
use crate::identity::derived::Derived;
use crate::node::state::table::SharedKeys;
use crate::node::{ContentKeys, Node, NodeConfig};

/// Writes snapshots of one node and makes it anew from them.
pub(crate) struct Again {
    keeper: Keeper,
    keys: SharedKeys,
}

impl Again {
    /// For a node that is at its beginning.
    pub(crate) fn new(node: &Node, keys: impl ContentKeys + Send + Sync + 'static) -> Self {
        let keeper = Keeper::anew(Box::new(MemDisk::new())).unwrap();
        let keys: SharedKeys = Arc::new(keys);
        node.begin_tables(keeper.rows(), keys.clone());
        Self { keeper, keys }
    }

    /// The node as a snapshot of this moment gives it, which is as it was.
    pub(crate) fn take(&mut self, mut node: Node, config: &NodeConfig, key: &SigningKey) -> Node {
        let before = format!("{:?}", node.state());
        let frozen = node.freeze().unwrap();
        let kept = frozen.kept.clone();
        self.keeper.begin(frozen, None).unwrap();
        open::finish(&mut node, &mut self.keeper).unwrap();
        let (rows, keys) = (self.keeper.rows(), self.keys.clone());
        let derived = Derived::from_seed(&key.to_bytes());
        let (config, key) = (config.clone(), key.clone());
        let node = Node::restore(config, key, &derived, &kept, rows, keys);
        let node = node.expect("what was written just now");
        assert_eq!(format!("{:?}", node.state()), before);
        assert_eq!(node.failure(), None);
        node
    }
}
