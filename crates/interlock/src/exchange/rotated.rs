//! A request that introduces the key that it is signed with.
//!
//! INVARIANT: only a notice of rotations does, and only if they lead from the key that is pinned for its
//! sender, each signed by the old key and the new one. It pins nothing: that is for the node.

use interlock_journal::bilateral::KeyRotation;

use super::http::parse_request;
use super::wire::{Notice, Rotation};
use crate::identity::keys::PublicKey;
use crate::identity::partner::Partner;
use crate::node::io::PeerRequest;
use crate::node::keys::follow;

/// Largest body of such a request, in bytes: it is read before anybody has signed for it.
pub const NOTICE_SIZE_BYTES_MAX: usize = 32 * 1024;

/// Whether what is posted there can introduce a key.
pub fn introduces_keys(target: &str) -> bool {
    target.ends_with("/notices")
}

/// The key to which the body of a request rotates a partner's pinned key, if it is such a request.
pub fn rotated_to(partner: &Partner, target: &str, body: &[u8]) -> Option<PublicKey> {
    if !introduces_keys(target) || body.len() > NOTICE_SIZE_BYTES_MAX {
        return None;
    }
    let PeerRequest::Notice(envelope) = parse_request(true, target, body).ok()? else {
        return None;
    };
    let Notice::KeyRotation { rotations } = envelope.body else {
        return None;
    };
    let rotations: Vec<KeyRotation> = rotations
        .iter()
        .map(Rotation::read)
        .collect::<Option<_>>()?;
    let new = follow(&partner.id, partner.key.as_bytes(), &rotations)?;
    PublicKey::from_bytes(&new.last()?.new_key).ok()
}
