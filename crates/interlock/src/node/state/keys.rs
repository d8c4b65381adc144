//! Applying rotations of keys, ours and partners'.
//!
//! INVARIANT: a partner's pinned key changes only by a rotation that it and the new key have signed, or
//! when people list the partner anew. It does not know how a rotation came.

use interlock_core::ids::ParticipantId;
use interlock_core::time::Timestamp;
use interlock_journal::bilateral::{KeyRotation, Leaf, LeafBody};

use super::State;
use super::channel::Channel;
use crate::identity::keys::PublicKey;
use crate::identity::partner::Partner;

impl State {
    /// A partner is known, or known otherwise. One that comes back with another key begins another
    /// log: the one before was signed by a key that is not believed any more.
    pub(super) fn introduced(&mut self, partner: &Partner) {
        let known = self
            .partners
            .insert(partner.id.clone(), partner.clone())
            .is_some();
        if !known && self.rolled_back_at.is_some() {
            self.suspect.insert(partner.id.clone());
        }
        let key = *partner.key.as_bytes();
        let mirrored = self.channel(&partner.id).and_then(|c| c.mirror.as_ref());
        let follows = mirrored.is_none_or(|mirror| {
            *mirror.key() == key || self.keys_after(&partner.id, mirror.key()).contains(&key)
        });
        if !follows {
            self.rotations.remove(&partner.id);
        }
        let me = &self.me;
        if let Some(channel) = self.channels.get_mut(&partner.id)
            && !follows
        {
            let key = partner.key.verifying_key();
            let fresh = Channel::new(me, &partner.id, Some(key)).mirror;
            channel.mirror = fresh;
            channel.mirrored_past.clear();
            channel.mirrored_at.clear();
            channel.recent.clear();
            channel.receipted = 0;
            channel.receipted_then = 0;
        }
    }

    /// The rotations of a participant's key, the oldest first.
    pub fn rotations_of(&self, of: &ParticipantId) -> &[(Timestamp, KeyRotation)] {
        self.rotations.get(of).map_or(&[], Vec::as_slice)
    }

    /// The key that our journal says we sign with, if it was ever rotated.
    pub fn own_key(&self) -> Option<[u8; 32]> {
        self.rotations_of(&self.me)
            .last()
            .map(|(_, rotation)| rotation.new_key)
    }

    /// Whether a participant has rotated away this key.
    pub fn was_key_of(&self, of: &ParticipantId, key: &[u8; 32]) -> bool {
        self.rotations_of(of)
            .iter()
            .any(|(_, rotation)| rotation.old_key == *key)
    }

    /// The keys of a participant that came after `key`, the next first.
    pub(super) fn keys_after(&self, of: &ParticipantId, key: &[u8; 32]) -> Vec<[u8; 32]> {
        let rotations = self.rotations_of(of).iter();
        let after = rotations.skip_while(|(_, rotation)| rotation.old_key != *key);
        after.map(|(_, rotation)| rotation.new_key).collect()
    }

    /// Whether a partner may go over to the new key of a rotation: it is known already, or the new key was
    /// never used before by anybody and the old one was not rotated to another.
    pub fn may_rotate(&self, of: &ParticipantId, rotation: &KeyRotation) -> bool {
        let known = self.rotations_of(of).iter();
        if known.clone().any(|(_, known)| known == rotation) {
            return true;
        }
        let used = |key: &[u8; 32]| *key == rotation.new_key;
        let before = known.clone().any(|(_, known)| {
            used(&known.old_key) || used(&known.new_key) || known.old_key == rotation.old_key
        });
        let other = self
            .partners
            .values()
            .any(|partner| used(partner.key.as_bytes()));
        let ours = self.rotations_of(&self.me).iter();
        let ours = ours.flat_map(|(_, ours)| [&ours.old_key, &ours.new_key]);
        let strong = PublicKey::from_bytes(&rotation.new_key).is_ok();
        strong && !before && !other && !ours.into_iter().any(used)
    }

    /// A key took the place of another.
    pub(super) fn key_rotated(
        &mut self,
        at: Timestamp,
        of: &ParticipantId,
        rotation: &KeyRotation,
    ) {
        if *of != self.me {
            return self.pin_rotated(at, of, rotation);
        }
        // Every log that has begun, or may begin with a partner who knows the old key, shows it.
        let with: Vec<ParticipantId> = self.partners.keys().cloned().collect();
        for partner in with {
            self.channel_mut(&partner);
        }
        self.rotations
            .entry(of.clone())
            .or_default()
            .push((at, rotation.clone()));
    }

    /// Pins the new key of a partner's rotation, if it follows the one that is pinned.
    fn pin_rotated(&mut self, at: Timestamp, of: &ParticipantId, rotation: &KeyRotation) {
        let Some(partner) = self.partners.get_mut(of) else {
            return;
        };
        let follows = rotation.verify(of, partner.key.as_bytes()).is_some();
        if let Ok(key) = PublicKey::from_bytes(&rotation.new_key)
            && follows
        {
            partner.key = key;
            self.rotations
                .entry(of.clone())
                .or_default()
                .push((at, rotation.clone()));
        }
    }

    /// Rotations in leaves of a partner's log that were mirrored. Returns whether its key changed.
    pub(super) fn pin_mirrored(&mut self, at: Timestamp, of: &ParticipantId, leaves: &[Leaf]) {
        for leaf in leaves {
            if let LeafBody::KeyRotation(rotation) = &leaf.body {
                self.pin_rotated(at, of, rotation);
            }
        }
    }

    /// Our log toward a partner shows a rotation of our key, and has so many leaves with it.
    pub(super) fn rotation_written(
        &mut self,
        to: &ParticipantId,
        rotation: &KeyRotation,
        size: u64,
    ) {
        let rotations = self.rotations_of(&self.me).iter();
        let before = rotations.take_while(|(_, known)| known != rotation).count();
        let channel = self.channel_mut(to);
        channel.shown = channel.shown.max(before + 1);
        channel.shown_to = size;
    }

    /// A rotation of ours in a leaf that came back from a mirror.
    pub(super) fn own_rotation_regained(&mut self, at: Timestamp, rotation: &KeyRotation) {
        let me = self.me.clone();
        let known = self
            .rotations_of(&me)
            .iter()
            .any(|(_, known)| known == rotation);
        if !known {
            self.key_rotated(at, &me, rotation);
        }
    }
}
