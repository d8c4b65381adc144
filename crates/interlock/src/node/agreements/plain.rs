//! Partners that sign no manifests.
//!
//! Purpose: with whom agreements are attested by what. Invariant: parcel data is agreed on with a
//! manifest to be signed, unless the entry of the partner says otherwise in so many words. It does not
//! know how a partner's entry came about.

use interlock_core::agreement::Assurance;
use interlock_core::dataset::Dataset;
use interlock_core::ids::ParticipantId;

use super::super::Node;

impl Node {
    /// By what agreements with a partner are attested.
    pub(super) fn assurance_with(&self, partner: &ParticipantId) -> Assurance {
        match self.state.partners.get(partner) {
            Some(known) if known.connector && known.parcel_data_without_manifest => {
                Assurance::Waived
            }
            Some(known) if known.connector => Assurance::Plain,
            Some(_) | None => Assurance::Signed,
        }
    }

    /// Whether an agreement with a partner on a dataset could come into force.
    ///
    /// # Errors
    /// Why not, and what to do about it.
    pub(super) fn can_attest(
        &self,
        partner: &ParticipantId,
        dataset: Dataset,
    ) -> Result<(), String> {
        if self.assurance_with(partner).is_enough_for(dataset) {
            return Ok(());
        }
        Err(format!(
            "`{dataset}` is parcel data and needs a manifest that both sign, and its connector signs none; \
             agree on open data, or set `parcel_data_without_manifest` for it"
        ))
    }
}
