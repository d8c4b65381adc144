//! Labels: drawn for who prints them, and resolved for who carries the parcel.
//!
//! INVARIANT: a code is resolved together with the waybill it was printed beside, at the node that made
//! it, and each time it is on record who had the address. Wrong codes and unknown parcels get one answer.

use interlock_core::label::{LabelKind, LabelText};
use interlock_core::waybill::Waybill;
use serde_json::json;
use subtle::ConstantTimeEq as _;

use super::Node;
use super::io::{Digest, LocalAnswer, Problem};
use super::problem::{self, problem};
use super::record::Looked;
use super::turn::Turn;
use crate::label::Label;

impl Node {
    /// `GET /parcels/{carrier}/{number}/label`.
    ///
    /// # Errors
    /// 404 if nothing is held of a recipient of that parcel, 422 if it cannot be drawn.
    pub(super) fn label(&self, waybill: &Waybill, kind: LabelKind) -> Result<LocalAnswer, Problem> {
        let parcel = self.state.parcels.find(waybill);
        let parcel = parcel.ok_or_else(|| problem::not_found("recipient"))?;
        let recipient = parcel.recipient.as_ref().and_then(|r| r.value.as_ref());
        let recipient = recipient.ok_or_else(|| problem::not_found("recipient"))?;
        let code = self.state.links.label_code(parcel.id);
        let told = LabelText::of(kind, recipient, &code);
        let own = parcel.owner() == Some(&self.state.me);
        let claim = own.then(|| self.state.links.claim(parcel.id).reveal());
        let label = Label {
            carrier: &self.carrier_name(&parcel),
            waybill: &parcel.waybill,
            recipient: &told,
            claim: claim.as_deref(),
        };
        let svg = label.to_svg().map_err(|error| {
            let detail = format!("{error}; print this waybill by other means");
            problem("label-not-drawn", 422, "no label", detail)
        })?;
        let body = json!({
            "kind": kind.as_str(),
            "carrier": label.carrier,
            "number": label.waybill.number(),
            "name": told.name,
            "phone": told.phone,
            "address": told.address,
            "claim": claim,
            "svg": svg,
        });
        Ok(LocalAnswer::Json { status: 200, body })
    }

    /// `POST /labels/resolve`.
    ///
    /// # Errors
    /// 404 if the code is not the one printed beside this waybill here, or the recipient is deleted.
    pub(super) fn resolve_label(
        &mut self,
        turn: &mut Turn<'_>,
        caller: &(Digest, String),
        waybill: &Waybill,
        code: &str,
    ) -> Result<LocalAnswer, Problem> {
        let typed = code.to_ascii_uppercase();
        let parcel = self.state.parcels.find(waybill).filter(|parcel| {
            let printed = self.state.links.label_code(parcel.id);
            printed.as_bytes().ct_eq(typed.as_bytes()).into()
        });
        let recipient = parcel
            .as_ref()
            .and_then(|p| p.recipient.as_ref()?.value.as_ref());
        let (Some(parcel), Some(recipient)) = (&parcel, recipient) else {
            return Err(problem::not_found("label"));
        };
        let body = json!({ "address": recipient.address });
        self.looked(turn, caller, Looked::Address(parcel.id));
        Ok(LocalAnswer::Json { status: 200, body })
    }
}
