//! Which leaves a record holds.

use interlock_core::ids::ParticipantId;

use super::Record;
use crate::exchange::wire::Blob;

/// Leaves in a record, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeavesIn<'a> {
    /// Of our log.
    Written {
        /// Toward whom.
        to: &'a ParticipantId,
        /// The epoch that they are in, where the record says so; that of the leaf before otherwise.
        epoch: Option<u32>,
        /// The leaves.
        leaves: &'a [Blob],
    },
    /// Of a partner's log.
    Mirrored {
        /// Whose.
        from: &'a ParticipantId,
        /// Index of the first one. Some may have been mirrored before.
        first: u64,
        /// The leaves.
        leaves: &'a [Blob],
        /// The partner's checkpoint over all up to the last of them.
        note: &'a str,
    },
}

impl Record {
    /// The leaves in this record, if it holds any.
    // tidy: long, one arm a record
    pub fn leaves(&self) -> Option<LeavesIn<'_>> {
        let written = |to, leaves| LeavesIn::Written {
            to,
            epoch: None,
            leaves,
        };
        match self {
            Self::LookupAsked(asked) => Some(written(&asked.to, std::slice::from_ref(&asked.leaf))),
            // A batch in which everything was withheld has no leaf.
            Self::BatchReleased(batch) if batch.salts.is_empty() => None,
            Self::BatchReleased(batch) => {
                Some(written(&batch.to, std::slice::from_ref(&batch.leaf)))
            }
            Self::LookupReleased(lookup) => Some(written(&lookup.to, &lookup.leaves)),
            Self::Denied { to, leaf, .. }
            | Self::Leaf { to, leaf }
            | Self::BatchesTakenBack { to, leaf, .. } => {
                Some(written(to, std::slice::from_ref(leaf)))
            }
            Self::EpochOpened {
                to, epoch, leaf, ..
            } => Some(LeavesIn::Written {
                to,
                epoch: Some(*epoch),
                leaves: std::slice::from_ref(leaf),
            }),
            Self::Regained(regained) => Some(LeavesIn::Written {
                to: &regained.to,
                epoch: Some(regained.epoch),
                leaves: &regained.leaves,
            }),
            Self::Mirrored {
                from,
                first,
                leaves,
                checkpoint,
            } => Some(LeavesIn::Mirrored {
                from,
                first: *first,
                leaves,
                note: checkpoint,
            }),
            Self::Partner(_)
            | Self::PartnerRemoved(_)
            | Self::ApiKey { .. }
            | Self::Offer(_)
            | Self::OfferWithdrawn(_)
            | Self::Negotiation(_)
            | Self::Agreement(_)
            | Self::AgreementState { .. }
            | Self::Transfer(_)
            | Self::Cooperation(_)
            | Self::Parcel(_)
            | Self::Claimed { .. }
            | Self::Event(_)
            | Self::Station(_)
            | Self::Deposit(_)
            | Self::Stay { .. }
            | Self::Notifier { .. }
            | Self::LookupAnswered { .. }
            | Self::Receipted { .. }
            | Self::Acknowledged { .. }
            | Self::EndWarned(_)
            | Self::WarningDone { .. }
            | Self::Noted(_)
            | Self::BatchReceived(_)
            | Self::Message { .. }
            | Self::MessageDone { .. }
            | Self::Keyed { .. }
            | Self::Alert { .. }
            | Self::ContactDeleted { .. }
            | Self::RolledBack { .. }
            | Self::Person(_)
            | Self::PersonWithdrawn(_)
            | Self::Mediation(_)
            | Self::HourEnded { .. }
            | Self::Erased(_)
            | Self::PushSecret { .. }
            | Self::ErasureTold { .. }
            | Self::ApiKeyWithdrawn { .. }
            | Self::KeyRotated { .. }
            | Self::Anchored(_)
            | Self::Cosigned { .. }
            | Self::Witnessed { .. }
            | Self::CooperationShown { .. }
            | Self::Reciprocity(_)
            | Self::Delegated { .. }
            | Self::OverCollected(_)
            | Self::Looked(_)
            | Self::Reveal(_)
            | Self::Wished { .. }
            | Self::CodeKey { .. }
            | Self::KeyAsked { .. }
            | Self::LetIn { .. } => None,
        }
    }
}
