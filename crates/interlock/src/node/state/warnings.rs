//! Warnings before ends of agreements.

use interlock_core::time::{DAY_MS, HOUR_MS, Timestamp};
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
        self.alerts.push(Alert {
            at,
            kind: AlertKind::AgreementEnds,
            parcel: None,
            partner: Some(warning.partner.clone()),
            detail: words(warning),
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

/// The pages say it in Chinese, too, by its shape.
fn words(warning: &EndWarning) -> String {
    let (end, them) = match warning.agreements.len() {
        1 => ("agreement ends", "it"),
        _ => ("agreements end", "them"),
    };
    format!(
        "{} {end} within {} and nothing follows {them} (parcels touched: {}, merchants: {}): renew {them}, \
         or rehearse the end",
        warning.agreements.len(),
        span(warning.lead_ms),
        warning.parcels,
        warning.merchants.len()
    )
}

/// `14 days`, `1 hour`.
fn span(ms: i64) -> String {
    let (number, unit) = match ms % DAY_MS {
        0 => (ms / DAY_MS, "day"),
        _ => (ms / HOUR_MS, "hour"),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_is_said_in_its_largest_unit() {
        for (ms, said) in [
            (14 * DAY_MS, "14 days"),
            (DAY_MS, "1 day"),
            (12 * HOUR_MS, "12 hours"),
            (HOUR_MS, "1 hour"),
        ] {
            assert_eq!(span(ms), said);
        }
    }
}
