//! What a recipient sees and wants: who had the number, until when, and into which locker, if any.
//!
//! INVARIANT: a wish of the recipient's counts from then on, whatever an order system puts later, and is
//! on record with who brought it. It is looked at when a contact is asked for a deposit, and a refusal
//! tells the courier what to do instead.

use interlock_core::ids::ParcelId;
use interlock_core::parcel::{Consent, Preference};
use interlock_core::time::Timestamp;
use interlock_core::waybill::Waybill;
use serde_json::{Value, json};

use super::Node;
use super::io::{LocalAnswer, Problem};
use super::problem::{self, problem};
use super::record::{Asker, Record};
use super::state::parcels::{ContactUse, Parcel};
use super::turn::Turn;

impl Node {
    /// `GET /parcels/{carrier}/{number}/recipient`.
    ///
    /// # Errors
    /// 404 if there is no such parcel here.
    pub(super) fn recipient_view(&self, waybill: &Waybill) -> Result<LocalAnswer, Problem> {
        let parcel = self.state.parcels.find(waybill);
        let parcel = parcel.ok_or_else(|| problem::not_found("parcel"))?;
        Ok(LocalAnswer::Json {
            status: 200,
            body: self.recipient_body(&parcel),
        })
    }

    fn recipient_body(&self, parcel: &Parcel) -> Value {
        let held = parcel.recipient.as_ref().is_some_and(|r| r.value.is_some());
        let releases: Vec<Value> = parcel
            .uses
            .iter()
            .map(|use_| self.release_view(parcel, use_))
            .collect();
        let wants = &parcel.preference;
        json!({
            "held": held,
            "releases": releases,
            "consent": match parcel.consent {
                Consent::Given => "given",
                Consent::Refused => "refused",
                Consent::Unknown => "unknown",
            },
            "preference": {
                "noLocker": wants.no_locker,
                "onlyStation": wants.only_station.as_ref().map(|id| id.as_str()),
                "notBefore": wants.not_before.map(u8::from),
            },
            "wished": parcel.wished,
        })
    }

    /// One release: who had it, which form, for what, under which agreement, until when.
    fn release_view(&self, parcel: &Parcel, use_: &ContactUse) -> Value {
        let zone = self.config.zone;
        let knows = self.knows_to_delete(parcel.id, use_);
        json!({
            "to": use_.to.as_str(),
            "name": self.partner_name(&use_.to),
            "form": use_.form.as_str(),
            "purpose": use_.purpose,
            "agreement": use_.agreement.as_str(),
            "at": use_.at.to_rfc3339(zone),
            "until": self.kept_until(use_).map(|at| at.to_rfc3339(zone)),
            "askedToDelete": knows.is_some(),
            "knowsToDelete": knows == Some(true),
        })
    }

    /// Whether whoever had a contact knows that they have to delete it; `None` if they were not asked to.
    pub(super) fn knows_to_delete(&self, parcel: ParcelId, use_: &ContactUse) -> Option<bool> {
        let waits = || self.state.erasures.contains_key(&(use_.to.clone(), parcel));
        use_.passed_on.then(|| !waits())
    }

    /// Until when whoever had a contact may keep it, if the terms say.
    pub(super) fn kept_until(&self, use_: &ContactUse) -> Option<Timestamp> {
        let agreement = self.state.book.agreements.get(&use_.agreement)?;
        let after_ms = agreement.terms.delete_after_ms?;
        Some(use_.at.plus_ms(after_ms))
    }

    /// `PUT /parcels/{carrier}/{number}/recipient/wish`.
    ///
    /// # Errors
    /// 404 if there is no such parcel of ours, 409 if its life is over.
    pub(super) fn wish(
        &mut self,
        turn: &mut Turn<'_>,
        waybill: &Waybill,
        wish: (Consent, Preference),
        by: &str,
    ) -> Result<LocalAnswer, Problem> {
        let parcel = self.state.parcels.find(waybill);
        let ours = parcel.filter(|parcel| parcel.owner() == Some(&self.state.me));
        let parcel = ours.ok_or_else(|| problem::not_found("parcel"))?;
        if parcel.closed_at.is_some() {
            return Err(problem(
                "parcel-closed",
                409,
                "too late",
                "the parcel was delivered or picked up; there is nothing left to wish for",
            ));
        }
        let (consent, preference) = wish;
        let known = parcel.wished && parcel.consent == consent && parcel.preference == preference;
        if !known {
            self.record(
                turn,
                Record::Wished {
                    parcel: parcel.id,
                    consent,
                    preference,
                    by: Asker::Person(by.into()),
                },
            );
        }
        self.recipient_view(waybill)
    }
}
