//! The leaves of a bilateral log, and their bytes (postcard).
//!
//! INVARIANT: there is one encoding of a leaf, which is what is hashed; a leaf holds no personal
//! data, only commitments to it. Variants and fields are stored: new ones go to the end, with a new
//! version. It does not know whether what a leaf says is true.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParticipantId, RequestId, WireId};
use interlock_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::merkle::Hash;

/// Newest version of the encoding. A leaf has the version in which its kind first appeared, so that
/// there is one encoding of each.
pub const LEAF_VERSION: u8 = 3;
/// Bytes of an encoded leaf, at most.
pub const LEAF_SIZE_BYTES_MAX: usize = 64 * 1024;

/// One entry of a bilateral log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// The version in which its kind first appeared, at most [`LEAF_VERSION`].
    pub version: u8,
    /// When, by the writer's clock; never before the leaf that precedes it.
    pub time: Timestamp,
    /// What; the variant is the leaf's kind.
    pub body: LeafBody,
}

/// What a leaf says. The order of the variants is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeafBody {
    /// The writer asks for data.
    Request(Request),
    /// The writer released data.
    Release(Release),
    /// The writer refused data.
    Denial(Denial),
    /// An agreement changed its state, by the writer's word.
    AgreementChange(AgreementChange),
    /// The writer holds the other log up to a checkpoint.
    Receipt(Receipt),
    /// The writer signs with another key from the next checkpoint on.
    KeyRotation(KeyRotation),
    /// The writer lost the end of an earlier epoch.
    Rollback(Rollback),
    /// What was released never left: the term ended first.
    Voided(Voided),
    /// The writer has deleted personal data that it was given, by its word.
    Deletion(Deletion),
    /// The parcels that the run-off of an agreement of the writer's serves, frozen at its end.
    RunOffSet(RunOffSet),
}

impl LeafBody {
    /// The version of the encoding in which it first appeared.
    const fn version(&self) -> u8 {
        match self {
            Self::Request(_)
            | Self::Release(_)
            | Self::Denial(_)
            | Self::AgreementChange(_)
            | Self::Receipt(_)
            | Self::KeyRotation(_)
            | Self::Rollback(_)
            | Self::Voided(_) => 1,
            Self::Deletion(_) => 2,
            Self::RunOffSet(_) => 3,
        }
    }
}

/// Which of a feed's two lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// What arises while an agreement is in force.
    Live,
    /// What waited for one.
    Backlog,
}

/// Data is demanded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Which request; a repeat has the same.
    pub request_id: RequestId,
    /// Under which agreement.
    pub agreement: WireId,
    /// Of which dataset.
    pub dataset: Dataset,
    /// For which purpose (`odrl:purpose`).
    pub purpose: String,
    /// How many items were asked about.
    pub items: u32,
    /// Root over the commitments to them.
    pub items_root: Hash,
}

/// Data is released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// In answer to which request.
    pub request_id: RequestId,
    /// Under which agreement.
    pub agreement: WireId,
    /// Of which dataset.
    pub dataset: Dataset,
    /// In which lane; `None` for a lookup.
    pub lane: Option<Lane>,
    /// First position in the lane; 0 for a lookup.
    pub from_position: u64,
    /// Last position in the lane; 0 for a lookup.
    pub to_position: u64,
    /// How many items.
    pub items: u32,
    /// Root over the commitments to them.
    pub items_root: Hash,
}

/// Data is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// In answer to which request.
    pub request_id: RequestId,
    /// Under which agreement, if there is one.
    pub agreement: Option<WireId>,
    /// The reason's stable name.
    pub reason: String,
    /// How many items.
    pub items: u32,
    /// Root over the commitments to them.
    pub items_root: Hash,
}

/// An agreement changes its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreementChange {
    /// Which agreement.
    pub agreement: WireId,
    /// SHA-256 of its normalised policy.
    pub policy_hash: Hash,
    /// The state's stable name.
    pub state: String,
}

/// The counterparty's checkpoint up to which the writer holds the other log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Epoch of the other log.
    pub epoch: u32,
    /// Its size.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

/// 64 bytes of an Ed25519 signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureBytes([[u8; 32]; 2]);

impl From<Signature> for SignatureBytes {
    fn from(signature: Signature) -> Self {
        Self([*signature.r_bytes(), *signature.s_bytes()])
    }
}

impl From<SignatureBytes> for Signature {
    fn from(SignatureBytes([r, s]): SignatureBytes) -> Self {
        Self::from_components(r, s)
    }
}

/// A key takes the place of another; both sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRotation {
    /// The Ed25519 key until now.
    pub old_key: [u8; 32],
    /// The Ed25519 key from now on.
    pub new_key: [u8; 32],
    /// By the old key.
    pub old_signature: SignatureBytes,
    /// By the new key, which shows that its owner has it.
    pub new_signature: SignatureBytes,
}

impl KeyRotation {
    /// Rotates the key of `participant`.
    pub fn sign(participant: &ParticipantId, old: &SigningKey, new: &SigningKey) -> Self {
        let (old_key, new_key) = (old.verifying_key(), new.verifying_key());
        let text = rotation_text(participant, old_key.as_bytes(), new_key.as_bytes());
        Self {
            old_key: old_key.to_bytes(),
            new_key: new_key.to_bytes(),
            old_signature: old.sign(&text).into(),
            new_signature: new.sign(&text).into(),
        }
    }

    /// The new key, if both signatures are right, the old key is the one that is `pinned`, and the new
    /// one is another.
    pub fn verify(&self, participant: &ParticipantId, pinned: &[u8; 32]) -> Option<VerifyingKey> {
        if self.old_key != *pinned || self.new_key == self.old_key {
            return None;
        }
        let old = VerifyingKey::from_bytes(&self.old_key).ok()?;
        let new = VerifyingKey::from_bytes(&self.new_key).ok()?;
        let text = rotation_text(participant, &self.old_key, &self.new_key);
        old.verify_strict(&text, &self.old_signature.into()).ok()?;
        new.verify_strict(&text, &self.new_signature.into()).ok()?;
        Some(new)
    }
}

impl KeyRotation {
    /// The key after this rotation for whoever has pinned `pinned`: the new key, also where that is what
    /// is pinned already.
    pub fn follow(&self, participant: &ParticipantId, pinned: &[u8; 32]) -> Option<VerifyingKey> {
        let known = if self.new_key == *pinned {
            &self.old_key
        } else {
            pinned
        };
        self.verify(participant, known)
    }
}

fn rotation_text(participant: &ParticipantId, old: &[u8; 32], new: &[u8; 32]) -> Vec<u8> {
    let mut text = b"interlock key rotation 1\n".to_vec();
    text.extend_from_slice(participant.as_str().as_bytes());
    text.push(b'\n');
    text.extend_from_slice(old);
    text.extend_from_slice(new);
    text
}

/// First leaf of an epoch that follows a loss: what the writer still has, and what it has signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// The epoch that lost its end.
    pub previous_epoch: u32,
    /// How many leaves of it the writer still has.
    pub kept_size: u64,
    /// The root over them.
    pub kept_root: Hash,
    /// The size that the counterparty last countersigned.
    pub countersigned_size: u64,
    /// The root at that size.
    pub countersigned_root: Hash,
}

/// A release that did not leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voided {
    /// Which request's.
    pub request_id: RequestId,
    /// Under which agreement.
    pub agreement: WireId,
    /// The reason's stable name.
    pub reason: String,
}

/// Personal data that the writer was given is deleted. It is an attestation, not a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// Released under which agreement.
    pub agreement: WireId,
    /// Released up to when, by the writer's clock.
    pub up_to: Timestamp,
    /// How many items.
    pub items: u32,
}

/// The parcels that a run-off serves. Once the reader has receipted it, neither side can change it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOffSet {
    /// Which agreement.
    pub agreement: WireId,
    /// When it ended: the parcels qualified before, by the writer's log.
    pub ended_at: Timestamp,
    /// How many parcels.
    pub items: u32,
    /// Root over the commitments to them, in ascending order.
    pub items_root: Hash,
}

/// Why bytes are no leaf, or a leaf has no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Larger than [`LEAF_SIZE_BYTES_MAX`].
    #[error("a leaf has {0} bytes; at most 65536 fit")]
    TooLarge(usize),
    /// Of a version that is not known.
    #[error("leaf version {0} is not known; update interlock")]
    UnknownVersion(u8),
    /// Not the encoding of a leaf.
    #[error("the bytes are no leaf; ask its writer for the leaf again")]
    Malformed,
}

impl Leaf {
    /// A leaf.
    pub const fn new(time: Timestamp, body: LeafBody) -> Self {
        Self {
            version: body.version(),
            time,
            body,
        }
    }

    /// The bytes that are hashed, sent and stored.
    ///
    /// # Errors
    /// [`LeafError::TooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, LeafError> {
        let bytes = postcard::to_allocvec(self).map_err(|_| LeafError::Malformed)?;
        if bytes.len() > LEAF_SIZE_BYTES_MAX {
            return Err(LeafError::TooLarge(bytes.len()));
        }
        Ok(bytes)
    }

    /// Reads a leaf, which must be encoded in the one way there is.
    ///
    /// # Errors
    /// [`LeafError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, LeafError> {
        if bytes.len() > LEAF_SIZE_BYTES_MAX {
            return Err(LeafError::TooLarge(bytes.len()));
        }
        match bytes.first() {
            None => return Err(LeafError::Malformed),
            Some(1..=LEAF_VERSION) => {}
            Some(version) => return Err(LeafError::UnknownVersion(*version)),
        }
        let leaf: Self = postcard::from_bytes(bytes).map_err(|_| LeafError::Malformed)?;
        // Other lengths of a number, or bytes after the end, would be a second encoding.
        let version = leaf.body.version();
        if leaf.version != version || leaf.encode().as_deref() != Ok(bytes) {
            return Err(LeafError::Malformed);
        }
        Ok(leaf)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;

    fn every_kind() -> Vec<LeafBody> {
        let request_id = RequestId::from_bytes([1; 16]);
        let agreement = WireId::parse("urn:a").unwrap();
        let old = SigningKey::from_bytes(&[1; 32]);
        let new = SigningKey::from_bytes(&[2; 32]);
        let a = ParticipantId::parse("did:web:a.example").unwrap();
        vec![
            LeafBody::Request(Request {
                request_id,
                agreement: agreement.clone(),
                dataset: Dataset::RecipientContact,
                purpose: "pickup-notification".into(),
                items: 2,
                items_root: [3; 32],
            }),
            LeafBody::Release(Release {
                request_id,
                agreement: agreement.clone(),
                dataset: Dataset::LockerEvents,
                lane: Some(Lane::Backlog),
                from_position: 300,
                to_position: 301,
                items: 2,
                items_root: [3; 32],
            }),
            LeafBody::Denial(Denial {
                request_id,
                agreement: None,
                reason: "term-over".into(),
                items: 1,
                items_root: [3; 32],
            }),
            LeafBody::AgreementChange(AgreementChange {
                agreement: agreement.clone(),
                policy_hash: [4; 32],
                state: "in-force".into(),
            }),
            LeafBody::Receipt(Receipt {
                epoch: 1,
                size: 9,
                root: [5; 32],
            }),
            LeafBody::KeyRotation(KeyRotation::sign(&a, &old, &new)),
            LeafBody::Rollback(Rollback {
                previous_epoch: 1,
                kept_size: 5,
                kept_root: [6; 32],
                countersigned_size: 9,
                countersigned_root: [7; 32],
            }),
            LeafBody::Voided(Voided {
                request_id,
                agreement: agreement.clone(),
                reason: "closing".into(),
            }),
            LeafBody::Deletion(Deletion {
                agreement: agreement.clone(),
                up_to: Timestamp::from_millis(7),
                items: 3,
            }),
            LeafBody::RunOffSet(RunOffSet {
                agreement,
                ended_at: Timestamp::from_millis(1_496_246_400_000),
                items: 2,
                items_root: [8; 32],
            }),
        ]
    }

    #[test]
    fn golden_leaves() {
        let time = Timestamp::from_millis(1_496_246_400_000);
        let mut text = String::new();
        for body in every_kind() {
            let leaf = Leaf::new(time, body);
            let bytes = leaf.encode().unwrap();
            assert_eq!(Leaf::decode(&bytes), Ok(leaf));
            text.push_str(&crate::hex::encode(&bytes));
            text.push('\n');
        }
        expect![[r#"
            0180d0e1f38b5700010101010101010101010101010101010575726e3a6101137069636b75702d6e6f74696669636174696f6e020303030303030303030303030303030303030303030303030303030303030303
            0180d0e1f38b5701010101010101010101010101010101010575726e3a61020101ac02ad02020303030303030303030303030303030303030303030303030303030303030303
            0180d0e1f38b57020101010101010101010101010101010100097465726d2d6f766572010303030303030303030303030303030303030303030303030303030303030303
            0180d0e1f38b57030575726e3a61040404040404040404040404040404040404040404040404040404040404040408696e2d666f726365
            0180d0e1f38b570401090505050505050505050505050505050505050505050505050505050505050505
            0180d0e1f38b57058a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b3943c805ba81b632e2b18b4d114d5661a7843f871e02484edb6256a9602769609d565b4ca3697e58eccb24fc428c8d5e1826fdc22404353e57d84c64def5b45a10b8ede52af6f77bf81d1c0c099a730fab6de18880eb1d370f8384941d8783fc94edb368d405d20138ae33b70cc4534605709dacc15444a9cb0a9d1cd7f5a6bef05
            0180d0e1f38b570601050606060606060606060606060606060606060606060606060606060606060606090707070707070707070707070707070707070707070707070707070707070707
            0180d0e1f38b5707010101010101010101010101010101010575726e3a6107636c6f73696e67
            0280d0e1f38b57080575726e3a610e03
            0380d0e1f38b57090575726e3a6180d0e1f38b57020808080808080808080808080808080808080808080808080808080808080808
        "#]].assert_eq(&text);
    }

    #[test]
    fn a_rotation_needs_both_keys_and_the_pinned_one() {
        let old = SigningKey::from_bytes(&[1; 32]);
        let new = SigningKey::from_bytes(&[2; 32]);
        let a = ParticipantId::parse("did:web:a.example").unwrap();
        let b = ParticipantId::parse("did:web:b.example").unwrap();
        let pinned = old.verifying_key().to_bytes();
        let rotation = KeyRotation::sign(&a, &old, &new);
        assert_eq!(rotation.verify(&a, &pinned), Some(new.verifying_key()));
        assert_eq!(rotation.verify(&b, &pinned), None);
        assert_eq!(rotation.verify(&a, &new.verifying_key().to_bytes()), None);
        let swapped = KeyRotation {
            new_signature: rotation.old_signature,
            ..rotation
        };
        assert_eq!(swapped.verify(&a, &pinned), None);
    }

    #[test]
    fn there_is_one_encoding_and_it_is_bounded() {
        let body = LeafBody::Receipt(Receipt {
            epoch: 1,
            size: 9,
            root: [5; 32],
        });
        let bytes = Leaf::new(Timestamp::from_millis(1), body).encode().unwrap();
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(Leaf::decode(&longer), Err(LeafError::Malformed));
        // The time as a longer number of the same value.
        let mut padded = bytes.clone();
        padded[1] |= 0x80;
        padded.insert(2, 0);
        assert_eq!(Leaf::decode(&padded), Err(LeafError::Malformed));
        assert_eq!(Leaf::decode(&[]), Err(LeafError::Malformed));
        let mut later = bytes;
        later[0] = 2;
        assert_eq!(Leaf::decode(&later), Err(LeafError::Malformed));
        later[0] = 3;
        assert_eq!(Leaf::decode(&later), Err(LeafError::Malformed));
        later[0] = 4;
        assert_eq!(Leaf::decode(&later), Err(LeafError::UnknownVersion(4)));
        let body = LeafBody::Voided(Voided {
            request_id: RequestId::from_bytes([1; 16]),
            agreement: WireId::parse("a").unwrap(),
            reason: "x".repeat(LEAF_SIZE_BYTES_MAX),
        });
        let large = Leaf::new(Timestamp::default(), body).encode();
        assert!(matches!(large, Err(LeafError::TooLarge(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(
            which in 0usize..10, at in any::<proptest::sample::Index>(), byte in any::<u8>(),
        ) {
            let leaf = Leaf::new(Timestamp::from_millis(5), every_kind().remove(which));
            let mut bytes = leaf.encode().unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(leaf) = Leaf::decode(&bytes) {
                prop_assert_eq!(leaf.encode(), Ok(bytes));
            }
        }
    }
}
