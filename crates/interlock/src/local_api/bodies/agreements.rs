//! Offers, negotiations, decisions of people, changes of agreements, dry runs.

use std::collections::BTreeMap;

use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::terms::{Purpose, check_combination, parse_policy};
use serde_json::Value;

use super::super::call::Call;
use super::super::input::{Errors, Object, below, flag, one_of, text, words};
use super::super::{NEGOTIATION_OFFERS_MAX, OFFERS_MAX, PARTICIPANTS_MAX};
use super::{instant, waybill};
use crate::node::agreements::approver::dataset_of;
use crate::node::io::{
    AgreementChange, Decision, ExplainRequest, LocalRequest, OfferPut, Problem, Renewal,
};

/// Longest reason, in bytes.
pub(in super::super) const REASON_BYTES_MAX: usize = 512;

/// All forms of contact, as written in bodies.
pub(in super::super) const CONTACT_FORMS: [ContactForm; 4] = [
    ContactForm::Masked,
    ContactForm::Sealed,
    ContactForm::Virtual,
    ContactForm::Full,
];

/// `POST /offers`.
pub(in super::super) fn offer(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    call.object(&OFFER, |object| {
        one_offer(object).map(LocalRequest::PublishOffer)
    })
}

/// `PUT /offers`.
pub(in super::super) fn offers(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    call.object(&["offers"], |object| {
        let value = object.needed("offers")?;
        let mut ids = BTreeMap::new();
        let read = |item, pointer: &str| {
            let errors = object.errors();
            let offer = one_offer(&Object::of(item, pointer, errors, &OFFER)?)?;
            if let Some(first) = ids.insert(offer.id.clone(), pointer.to_owned()) {
                let detail = format!("the same id as `{first}/id`; name each offer once");
                errors.push(&below(pointer, "id"), detail);
            }
            Some(offer)
        };
        let offers = object.list("offers", value, &(1..=OFFERS_MAX), read)?;
        Some(LocalRequest::PutOffers(offers))
    })
}

/// Members of an offer.
const OFFER: [&str; 5] = ["id", "dataset", "policy", "audience", "autoAccept"];

fn one_offer(object: &Object<'_>) -> Option<OfferPut> {
    let id = object.need("id", text(WireId::parse));
    let dataset = object.need("dataset", offered_dataset);
    let kind = dataset.as_ref().and_then(dataset_of);
    let policy = object.needed("policy");
    if let (Some(dataset), Some(policy)) = (kind, policy) {
        check_policy(policy, dataset, &object.at("policy"), object.errors());
    }
    let audience = object.texts("audience", PARTICIPANTS_MAX, ParticipantId::parse);
    let auto_accept = object.may("autoAccept", flag);
    Some(OfferPut {
        id: id?,
        dataset: dataset?,
        policy: policy?.clone(),
        audience: audience?,
        auto_accept: auto_accept.unwrap_or_default(),
    })
}

/// A kind of dataset, or one of several of a kind.
fn offered_dataset(value: &Value) -> Result<WireId, String> {
    let id = text(WireId::parse)(value)?;
    if dataset_of(&id).is_some() {
        return Ok(id);
    }
    let known: Vec<&str> = Dataset::ALL.iter().map(|kind| kind.as_str()).collect();
    Err(format!(
        "write one of `{}`, or one of several of a kind such as `locker-stations:hangzhou`",
        known.join("`, `")
    ))
}

/// Records what is wrong with a policy for `dataset`, as terms and as their combination.
pub(super) fn check_policy(policy: &Value, dataset: Dataset, pointer: &str, errors: &Errors) {
    match parse_policy(policy, dataset) {
        Err(wrong) => {
            for error in wrong {
                let detail = format!("{} `{}`; {}", error.problem, error.term, error.remedy);
                errors.push(&format!("{pointer}{}", error.pointer), detail);
            }
        }
        Ok(terms) => {
            for error in check_combination(&terms).err().into_iter().flatten() {
                errors.push(pointer, format!("{} ({})", error, error.key().odrl()));
            }
        }
    }
}

/// A policy whose dataset only the node knows: an object, in any terms.
pub(super) fn any_policy(value: &Value) -> Result<Value, String> {
    match value.is_object() {
        true => Ok(value.clone()),
        false => Err("expected a policy (ODRL 2.2), which is an object".into()),
    }
}

/// `POST /negotiations`.
pub(in super::super) fn propose(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    call.object(&["partner", "offers", "policies"], |object| {
        let partner = object.need("partner", text(ParticipantId::parse));
        let offers = object.needed("offers").and_then(|list| {
            let length = 1..=NEGOTIATION_OFFERS_MAX;
            object.list("offers", list, &length, |item, pointer| {
                let read = text(WireId::parse)(item);
                read.map_err(|detail| object.errors().push(pointer, detail))
                    .ok()
            })
        });
        for (index, offer) in offers.iter().flatten().enumerate() {
            if offers
                .iter()
                .flatten()
                .take(index)
                .any(|other| other == offer)
            {
                let pointer = format!("/offers/{index}");
                object
                    .errors()
                    .push(&pointer, "this offer is listed before; send it once");
            }
        }
        let policies = object.get("policies");
        let policies = policies.map_or(Some(Vec::new()), |value| {
            let offers = offers.as_deref().unwrap_or_default();
            self::policies(value, &object.at("policies"), offers, object.errors())
        });
        Some(LocalRequest::Propose {
            partner: partner?,
            offers: offers?,
            policies: policies?,
        })
    })
}

fn policies(
    value: &Value,
    pointer: &str,
    offers: &[WireId],
    errors: &Errors,
) -> Option<Vec<(WireId, Value)>> {
    let known: Vec<&str> = offers.iter().map(WireId::as_str).collect();
    let object = Object::of(value, pointer, errors, &known)?;
    let given = offers
        .iter()
        .filter(|offer| object.get(offer.as_str()).is_some());
    let read: Vec<_> = given
        .map(|offer| Some((offer.clone(), object.need(offer.as_str(), any_policy)?)))
        .collect();
    read.into_iter().collect()
}

/// `POST /proposals/{id}/counter`.
pub(in super::super) fn counter(call: &Call<'_>) -> Result<Decision, Problem> {
    call.object(&["policy"], |object| {
        let policy = object.need("policy", any_policy)?;
        Some(Decision::Counter { policy })
    })
}

/// A body with a reason alone.
pub(in super::super) fn reason(call: &Call<'_>) -> Result<String, Problem> {
    call.object(&["reason"], |object| {
        object.need("reason", words(REASON_BYTES_MAX))
    })
}

/// `POST /agreements/{id}/renew`.
pub(in super::super) fn renew(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    let agreement = call.segment("id", WireId::parse)?;
    call.object(&["until", "policy"], |object| {
        let until = object.may("until", text(instant));
        let policy = object.may("policy", any_policy);
        let renewal = Renewal { until, policy };
        Some(LocalRequest::Renew { agreement, renewal })
    })
}

/// `POST /agreements/{id}/terminate`.
pub(in super::super) fn terminate(call: &Call<'_>) -> Result<AgreementChange, Problem> {
    call.object(&["at", "reason"], |object| {
        let at = object.need("at", text(instant));
        let reason = object.need("reason", words(REASON_BYTES_MAX));
        Some(AgreementChange::Terminate {
            at: at?,
            reason: reason?,
        })
    })
}

/// `POST /agreements/{id}/reciprocate`.
pub(in super::super) fn reciprocate(call: &Call<'_>) -> Result<AgreementChange, Problem> {
    call.object(&["trigger", "at", "reason"], |object| {
        let trigger = object.need("trigger", text(WireId::parse));
        let at = object.may("at", text(instant));
        let reason = object.need("reason", words(REASON_BYTES_MAX));
        Some(AgreementChange::Reciprocate {
            trigger: trigger?,
            at,
            reason: reason?,
        })
    })
}

/// `POST /explain`.
pub(in super::super) fn explain(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    let known = ["partner", "dataset", "purpose", "waybill", "form", "at"];
    call.object(&known, |object| {
        let partner = object.need("partner", text(ParticipantId::parse));
        let dataset = object.need("dataset", one_of(&Dataset::ALL, Dataset::as_str));
        let purpose = object.need("purpose", one_of(Purpose::ALL, Purpose::as_str));
        let about = object
            .get("waybill")
            .and_then(|value| waybill(value, &below("", "waybill"), object.errors()));
        let form = object.may("form", one_of(&CONTACT_FORMS, ContactForm::as_str));
        let at = object.may("at", text(instant));
        Some(LocalRequest::Explain(ExplainRequest {
            partner: partner?,
            dataset: dataset?,
            purpose: purpose?.as_str().into(),
            waybill: about,
            form,
            at,
        }))
    })
}
