//! Warnings before ends of agreements.

use interlock_core::time::{HOUR_MS, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Alert, State};
use crate::node::record::{AlertKind, EndWarning, MessageOutcome};

/// A warning before an end of agreements.
#[derive(Debug, Serialize, Deserialize)]
pub struct WarningState {
    /// What it says.
    pub warning: EndWarning,
    /// When it was given.
    pub at: Timestamp,
    /// What became of it at our own systems; open while they have not answered.
    pub done: Option<MessageOutcome>,
}

impl State {
    pub(super) fn end_warned(&mut self, at: Timestamp, warning: &EndWarning) {
        for agreement in &warning.agreements {
            self.warned.insert(agreement.clone(), warning.lead_ms);
        }
        let hours = warning.lead_ms / HOUR_MS;
        self.alerts.push(Alert {
            at,
            kind: AlertKind::AgreementEnds,
            parcel: None,
            partner: Some(warning.partner.clone()),
            detail: format!(
                "{} agreements end within {hours} hours and nothing follows them; {} parcels of {} \
                 merchants are touched: renew them, and see `interlock rehearse`",
                warning.agreements.len(),
                warning.parcels,
                warning.merchants.len()
            ),
            shown_by: None,
        });
        let warning = warning.clone();
        let known = WarningState {
            warning,
            at,
            done: None,
        };
        self.warnings.insert(known.warning.id, known);
    }
}
