//! What this node is to others right now: its DID, its address, and the key that it signs calls with.
//!
//! INVARIANT: calls, exports and the DID document use the same key at any moment; it changes only after
//! the record that names the new one is durable. It does not know where the key is kept.

use std::sync::{PoisonError, RwLock};

use interlock_core::ids::ParticipantId;

use super::did::DidDocument;
use super::keys::NodeKey;
use super::url::BaseUrl;

/// The identity of a running node, shared by its doors, its calls and its exports.
#[derive(Debug)]
pub struct OwnIdentity {
    id: ParticipantId,
    exchange_url: BaseUrl,
    key: RwLock<NodeKey>,
}

impl OwnIdentity {
    /// Of a node at an address.
    pub const fn new(id: ParticipantId, exchange_url: BaseUrl, key: NodeKey) -> Self {
        Self {
            id,
            exchange_url,
            key: RwLock::new(key),
        }
    }

    /// Its DID.
    pub const fn id(&self) -> &ParticipantId {
        &self.id
    }

    /// The key that it signs with.
    pub fn key(&self) -> NodeKey {
        self.key
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// From here on it signs with another key.
    pub fn sign_with(&self, key: NodeKey) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = key;
    }

    /// Its DID document (`did:web`), which names the key of this moment.
    pub fn did_document(&self) -> Vec<u8> {
        let document = DidDocument::of_node(&self.id, self.key().public(), &self.exchange_url);
        document.to_json().to_string().into_bytes()
    }
}
