//! The keys that a manifest names, and our signature with ours.
//!
//! INVARIANT: what we sign names the two of us, each with the key that is pinned now. It does not know
//! what was agreed on.

use std::collections::BTreeMap;

use ed25519_dalek::VerifyingKey;
use interlock_core::ids::ParticipantId;
use interlock_journal::manifest::{Manifest, ManifestError, Party as Signer};

use super::super::Node;
use super::super::feed_items::hex;
use super::Cooperation;

impl Node {
    /// Us and the partner, each with the key that is pinned.
    pub(super) fn signers(&self, peer: &ParticipantId) -> Option<BTreeMap<ParticipantId, Signer>> {
        let ours = hex(self.key.verifying_key().as_bytes());
        let theirs = self.state.partners.get(peer)?.key.to_hex();
        Some(BTreeMap::from([
            (self.state.me.clone(), Signer { key: ours }),
            (peer.clone(), Signer { key: theirs }),
        ]))
    }

    /// Keys that manifests with `peer` name.
    pub(super) fn manifest_keys(&self, peer: &ParticipantId) -> Vec<VerifyingKey> {
        let theirs = self.state.partners.get(peer);
        let theirs = theirs.map(|partner| *partner.key.verifying_key());
        theirs
            .into_iter()
            .chain([self.key.verifying_key()])
            .collect()
    }

    /// The canonical form of a manifest with `peer`, and our signature.
    pub(super) fn sign_manifest(
        &self,
        peer: &ParticipantId,
        manifest: &Manifest,
    ) -> Result<(Vec<u8>, Vec<u8>), ManifestError> {
        let checked = manifest.checked(&self.manifest_keys(peer))?;
        let signature = checked.sign(&self.state.me, &self.key)?;
        Ok((checked.canonical_bytes().to_vec(), signature.to_vec()))
    }

    /// Whether a manifest names the two of us with keys of which one was rotated since.
    pub(super) fn names_rotated_keys(&self, from: &ParticipantId, manifest: &Manifest) -> bool {
        let known = |of: &ParticipantId, key: &str| {
            let rotations = self.state.rotations_of(of).iter();
            let mut earlier = rotations.map(|(_, rotation)| hex(&rotation.old_key));
            earlier.any(|earlier| earlier == key)
        };
        let signers = self.signers(from).unwrap_or_default();
        manifest.parties.len() == signers.len()
            && manifest
                .parties
                .iter()
                .all(|(party, named)| signers.get(party) == Some(named) || known(party, &named.key))
    }

    /// Signs a manifest of ours anew that they have not signed and that names a key that was rotated.
    pub(super) fn signed_with_keys_in_force(
        &self,
        cooperation: &Cooperation,
        mut manifest: Manifest,
    ) -> Option<Cooperation> {
        let signers = self.signers(&cooperation.peer)?;
        if manifest.parties == signers {
            return None;
        }
        manifest.parties = signers;
        let (canonical, signature) = self.sign_manifest(&cooperation.peer, &manifest).ok()?;
        Some(Cooperation {
            manifest: Some(canonical),
            our_signature: Some(signature),
            ..cooperation.clone()
        })
    }
}
